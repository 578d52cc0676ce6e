/** The error bounds that `Premium` documents, against exact rational arithmetic. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { Premium, WAD, YEAR } from "../../model/index.ts";

const SCALE = 10n ** 60n;

/** exp(numerator/denominator) in units of 1e-60, signed argument, good to about 1e-58. */
function exponential(numerator: bigint, denominator: bigint): bigint {
  let result = 0n;
  let term = SCALE;
  for (let n = 1n; term !== 0n; ++n) {
    result += term;
    term = (term * numerator) / (denominator * n);
  }
  return result;
}

describe("the base rate", () => {
  test("is within one wei of rT·exp(10/year·err·dt), both ways, for every step up to seven days", () => {
    const base = fc.bigInt({ min: 10n ** 16n, max: 15n * 10n ** 16n });
    const u = fc.bigInt({ min: 0n, max: WAD });
    const dt = fc.bigInt({ min: 0n, max: Premium.MAX_STEP });
    fc.assert(
      fc.property(base, u, dt, (rate, used, time) => {
        const exact = (rate * exponential(Premium.SPEED * Premium.err(used) * time, YEAR * WAD)) / SCALE;
        const got = Premium.adapt(rate, used, WAD, WAD, time);
        const distance = got > exact ? got - exact : exact - got;
        assert.ok(distance <= 1n, `${got} is ${distance} wei from ${exact}`);
      }),
      { numRuns: 5000 },
    );
  });

  test("a year of daily syncs at full use meets its upper bound, at no use its lower one", () => {
    const year = (u: bigint) => {
      let rate = Premium.START_RATE;
      for (let day = 0; day < 365; ++day) rate = Premium.adapt(rate, u, WAD, WAD, 86_400n);
      return rate;
    };
    assert.equal(year(WAD), Premium.MAX_RATE);
    assert.equal(year(0n), Premium.MIN_RATE);
  });

  test("syncing every block instead of once a week changes it by less than a millionth", () => {
    let often = Premium.START_RATE;
    for (let block = 0; block < 50_400; ++block) often = Premium.adapt(often, WAD, WAD, WAD, 12n);
    const once = Premium.adapt(Premium.START_RATE, WAD, WAD, WAD, Premium.MAX_STEP);
    const distance = once > often ? once - often : often - once;
    assert.ok(distance * 1_000_000n < once, `${often} and ${once}`);
  });
});
