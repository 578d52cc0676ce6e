/** Returns of a year without a loss, against the specification's formulas worked out by hand. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import {
  breakEven,
  DEFAULTS,
  type Market,
  type Pricing,
  returnsOf,
  type Size,
  sizeForTotal,
} from "../../economics/index.ts";
import { Premium, WAD } from "../../model/index.ts";
import { anyMandate, equalGroups } from "./mandates.ts";

const wad = (percent: number): bigint => BigInt(Math.round(percent * 1e6)) * 10n ** 10n;
const percent = (x: bigint): number => Number(x) / 1e16;
const close = (actual: number, expected: number, tolerance: number) =>
  assert.ok(Math.abs(actual - expected) <= tolerance, `${actual} is not ${expected} ± ${tolerance}`);

const TOTAL = 10_000n * WAD;
const market: Market = { stakingYield: wad(2.8), avsRewards: wad(1), operatorFee: 1000n, protocolFee: 0n };

/** A tier in which the junior is so much of everything. */
const withJunior = (part: number): Size => {
  const junior = (TOTAL * wad(part)) / (100n * 10n ** 16n);
  return { value: TOTAL, junior, senior: TOTAL - junior, reserve: 0n };
};

describe("sixteen groups of 6.25 % at k = 2 with 17 % junior that asks for 4 % above staking", () => {
  const terms = equalGroups(16, WAD / 16n);
  const returns = returnsOf(terms, withJunior(17));
  const pricing: Pricing = { juniorAsks: wad(6.8) };

  test("leave the senior 3.07 % at AVS rewards of 1 %", () => {
    // the tier earns 2.8 + 0.9 · 1 = 3.7; (3.7 − 0.17 · 6.8) / 0.83 = 3.065
    close(percent(returns(market, pricing).senior), (3.7 - 0.17 * 6.8) / 0.83, 1e-4);
    assert.equal(percent(returns(market, pricing).senior).toFixed(2), "3.07");
  });

  test("break even at AVS rewards of 0.76 %", () => {
    // (2.8 + 0.9 x − 0.17 · 6.8) / 0.83 = 2.8
    const even = breakEven(returns, market, pricing);
    assert.ok(even !== undefined);
    close(percent(even), (0.83 * 2.8 + 0.17 * 6.8 - 2.8) / 0.9, 1e-4);
    assert.equal(percent(even).toFixed(2), "0.76");
  });

  test("pay the junior by a base rate that the contracts would allow", () => {
    const { baseRate, junior, satisfied } = returns(market, pricing);
    assert.ok(satisfied && junior >= wad(6.8) && junior < wad(6.8) + 10n ** 10n);
    assert.ok(baseRate > Premium.MIN_RATE && baseRate < Premium.MAX_RATE);
  });
});

describe("six groups of 15 % at k = 2 with 37 % junior that asks for 4 % above staking", () => {
  test("leave the senior less than plain staking at AVS rewards of 1 %", () => {
    const returns = returnsOf(equalGroups(6, (WAD * 15n) / 100n), withJunior(37));
    const { senior } = returns(market, { juniorAsks: wad(6.8) });
    close(percent(senior), (3.7 - 0.37 * 6.8) / 0.63, 1e-4);
    assert.ok(senior < market.stakingYield);
  });
});

describe("returns at the base rate of a new tier and U = 90 %", () => {
  const terms = equalGroups(16, WAD / 16n);
  const size = sizeForTotal(terms, TOTAL, 0n, Premium.TARGET);
  const { senior, junior, premium, tier } = returnsOf(terms, size)(market, { baseRate: Premium.START_RATE });
  const part = Number(size.junior) / Number(TOTAL);

  test("are what the tier earns, less or plus 4 % · 0.9 · J·S/V", () => {
    close(percent(tier), 3.7, 1e-9);
    close(percent(premium), 4 * 0.9 * part, 1e-6);
    close(percent(senior), 3.7 - 4 * 0.9 * part, 1e-6);
    close(percent(junior), 3.7 + 4 * 0.9 * (1 - part), 1e-6);
  });

  test("fall with the fees by what the fees take of AVS rewards, and staking is never charged", () => {
    const returns = returnsOf(terms, size);
    const at = (fees: Partial<Market>) => returns({ ...market, ...fees }, { baseRate: Premium.START_RATE });
    close(percent(at({ operatorFee: 1500n, protocolFee: 500n }).tier), 2.8 + 0.8, 1e-9);
    close(percent(at({ operatorFee: 10_000n }).tier), 2.8, 1e-9);
    close(percent(at({ avsRewards: 0n, operatorFee: 10_000n }).tier), 2.8, 1e-9);
  });

  test("earn nothing on the buffer", () => {
    const buffered = { ...terms, buffer: 500n };
    const returns = returnsOf(buffered, sizeForTotal(buffered, TOTAL, 0n, Premium.TARGET));
    close(percent(returns(market, { baseRate: Premium.START_RATE }).tier), 3.7 * 0.95, 1e-9);
  });
});

describe("any mandate", () => {
  const anyMarket: fc.Arbitrary<Market> = fc.record({
    stakingYield: fc.bigInt({ min: 1n, max: wad(10) }),
    avsRewards: fc.bigInt({ min: 0n, max: wad(20) }),
    operatorFee: fc.bigInt({ min: 0n, max: 5000n }),
    protocolFee: fc.bigInt({ min: 0n, max: 5000n }),
  });
  const anySize = fc
    .tuple(
      fc.bigInt({ min: WAD, max: 100_000n * WAD }),
      fc.bigInt({ min: WAD, max: 100_000n * WAD }),
      fc.bigInt({ min: 0n, max: 100n * WAD }),
    )
    .map(([senior, junior, reserve]): Size => ({ value: senior + junior + reserve, senior, junior, reserve }));
  const anyPricing: fc.Arbitrary<Pricing> = fc.oneof(
    fc.bigInt({ min: Premium.MIN_RATE, max: Premium.MAX_RATE }).map((baseRate) => ({ baseRate })),
    fc.bigInt({ min: 0n, max: wad(15) }).map((juniorAsks) => ({ juniorAsks })),
  );

  test("shares out no more than the tier earns, and leaves the senior half of its own yield", () => {
    fc.assert(
      fc.property(anyMandate, anySize, anyMarket, anyPricing, (terms, size, one, pricing) => {
        const { senior, junior, tier } = returnsOf(terms, size)(one, pricing);
        assert.ok(senior * size.senior + junior * size.junior <= tier * size.value + size.value);
        assert.ok(2n * senior + 10n >= tier - 10n);
      }),
      { numRuns: 300 },
    );
  });

  test("breaks even where the senior's return crosses plain staking, and nowhere below", () => {
    fc.assert(
      fc.property(anyMandate, anySize, anyMarket, anyPricing, (terms, size, one, pricing) => {
        const returns = returnsOf(terms, size);
        const even = breakEven(returns, one, pricing);
        const difference = (avsRewards: bigint) => returns({ ...one, avsRewards }, pricing).senior - one.stakingYield;
        if (even === undefined) return difference(WAD) < 0n;
        return difference(even) >= 0n && (even === 0n || difference(even - 1n) < 0n);
      }),
      { numRuns: 100 },
    );
  });

  test("has a senior return that never falls as AVS rewards rise", () => {
    fc.assert(
      fc.property(anyMandate, anySize, anyPricing, (terms, size, pricing) => {
        const returns = returnsOf(terms, size);
        const rates = [0, 0.5, 1, 2, 5, 20].map((x) => returns({ ...market, avsRewards: wad(x) }, pricing).senior);
        return rates.every((rate, i) => i === 0 || rate >= (rates[i - 1] ?? 0n));
      }),
      { numRuns: 100 },
    );
  });
});

test("the defaults settle where the base rate rests, at its start", () => {
  assert.equal(DEFAULTS.utilisation, Premium.TARGET);
  assert.deepEqual(DEFAULTS.pricing, { baseRate: Premium.START_RATE });
});
