/** What the limits are for: how much junior money the worst groups need, and how fast Newton finds the room. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { Exposure, WAD } from "../../model/index.ts";

const groups = (count: number, each: bigint) => Array.from({ length: count }, () => each * Exposure.P);

/** Smallest cover, in thousandths of V, that bears `count` equal groups. */
function coverNeeded(count: number, share: bigint, k: number): number {
  const v = 1000n * WAD;
  const { sum } = Exposure.largest(groups(count, (v * share) / 10_000n), k);
  for (let c = 0; c <= 1000; ++c) {
    if (Exposure.covered(sum, v, BigInt(c) * WAD, 1000n, 200n)) return c;
  }
  return Number.NaN;
}

describe("the cover a tier needs at b = 10 %, h = 2 %, k = 2", () => {
  test("six groups of 15 % need more than a third in junior money, sixteen of 6.25 % about a sixth", () => {
    assert.equal(coverNeeded(6, 1500n, 2), 352);
    assert.equal(coverNeeded(16, 625n, 2), 160);
  });

  test("six groups of 14.25 against a cover of 10 in 100 are 3.36 times too much", () => {
    const { sum } = Exposure.largest(groups(6, (1425n * WAD) / 100n), 2);
    const u = Exposure.utilisation(sum, 100n * WAD, 10n * WAD, 1000n, 200n);
    assert.equal((Number(u) / 1e18).toFixed(3), "3.355");
    assert.equal(Exposure.covered(sum, 100n * WAD, 10n * WAD, 1000n, 200n), false);
  });
});

describe("a limit", () => {
  test("is exact on 32 groups of the sizes that tiers have, whatever the cover", () => {
    const amount = (most: bigint) => fc.bigInt({ min: 0n, max: most * WAD });
    const input = fc.record({
      exposure: fc.array(
        amount(300n).map((x) => x * Exposure.P),
        { minLength: 32, maxLength: 32 },
      ),
      rho: fc.array(fc.bigInt({ min: 0n, max: (Exposure.P * Exposure.Q) / 8n }), { minLength: 32, maxLength: 32 }),
      extraExposure: fc.constant(0n),
      extraRho: fc.constant(0n),
      idleToDeploy: amount(50n),
      v: amount(5000n),
      b: fc.constant(1000n),
      h: fc.constant(200n),
    });
    fc.assert(
      fc.property(input, amount(3000n), fc.integer({ min: 1, max: 4 }), (x, cover, k) => {
        const line = Exposure.seniorLine(x);
        const available = Exposure.budget(cover);
        const cap = 1_000_000n * WAD;
        const d = Exposure.limit(line, k, available, cap);
        if (Exposure.demand(line, k, 0n) > available) return d === 0n;
        return Exposure.demand(line, k, d) <= available && Exposure.demand(line, k, d + 1n) > available;
      }),
      { numRuns: 2000 },
    );
  });
});
