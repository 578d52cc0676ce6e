/** What a unit of gas may cost: the rules, for any market. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  affordable,
  type Fees,
  firstFees,
  type Market,
  type Offer,
  replacementFees,
  type Tariff,
  tariffs,
} from "../../keeper/transactions/fees.ts";
import { CONFIG } from "./purse.ts";

const GWEI = 10n ** 9n;
const gwei = (most: number) => fc.bigInt(0n, BigInt(most) * GWEI);
const markets: fc.Arbitrary<Market> = fc.record({
  baseFee: gwei(700),
  tips: fc.tuple(gwei(300), gwei(300), gwei(300)).map((tips) => {
    const [a = 0n, b = 0n, c = 0n] = tips.sort((x, y) => (x < y ? -1 : x > y ? 1 : 0));
    return [a, b, c] as const;
  }),
});
const urgencies = fc.constantFrom("protection", "routine" as const);
const tariffsOf: fc.Arbitrary<Tariff> = fc.record({
  cap: gwei(600),
  tip: gwei(20),
  replaceAfter: fc.constant(1),
});

function feesOf(offer: Offer): Fees {
  assert.equal(offer.kind, "fees", offer.kind === "fees" ? "" : offer.detail);
  assert.ok(offer.kind === "fees");
  return offer.fees;
}

test("no offer is above the cap, and each could be mined in the next block", () => {
  fc.assert(
    fc.property(markets, urgencies, tariffsOf, (market, urgency, tariff) => {
      const offer = firstFees(market, urgency, tariff);
      if (offer.kind !== "fees") return assert.ok(market.baseFee >= tariff.cap);
      const { maxFeePerGas, maxPriorityFeePerGas } = offer.fees;
      assert.ok(maxFeePerGas <= tariff.cap);
      assert.ok(maxFeePerGas >= market.baseFee + (maxPriorityFeePerGas > 0n ? 1n : 0n));
      assert.ok(maxPriorityFeePerGas <= maxFeePerGas);
    }),
  );
});

test("a replacement is at least 12.5 % higher on both fees, and never above the cap", () => {
  fc.assert(
    fc.property(markets, markets, urgencies, tariffsOf, (then, now, urgency, tariff) => {
      const first = firstFees(then, urgency, tariff);
      if (first.kind !== "fees") return;
      const second = replacementFees(first.fees, now, urgency, tariff);
      if (second.kind !== "fees") return assert.ok(first.fees.maxFeePerGas * 9n > tariff.cap * 8n - 8n);
      assert.ok(second.fees.maxFeePerGas * 8n >= first.fees.maxFeePerGas * 9n);
      assert.ok(second.fees.maxPriorityFeePerGas * 8n >= first.fees.maxPriorityFeePerGas * 9n);
      assert.ok(second.fees.maxFeePerGas <= tariff.cap);
      assert.ok(second.fees.maxPriorityFeePerGas <= second.fees.maxFeePerGas);
    }),
  );
});

test("in a calm market a first offer can be replaced three times below its cap", () => {
  const market: Market = { baseFee: 5n * GWEI, tips: [0n, GWEI, 2n * GWEI] };
  const tariff: Tariff = { cap: 20n * GWEI, tip: GWEI, replaceAfter: 1 };
  let fees = feesOf(firstFees(market, "routine", tariff));
  for (let i = 0; i < 3; i++) fees = feesOf(replacementFees(fees, market, "routine", tariff));
  assert.ok(fees.maxFeePerGas <= tariff.cap);
});

test("a stranger's tips do not make a first offer dear; what is not mined in its time follows them", () => {
  const { protection } = tariffs(CONFIG.fees);
  const market: Market = { baseFee: GWEI, tips: [0n, 300n * GWEI, 300n * GWEI] };
  const first = feesOf(firstFees(market, "protection", protection));
  assert.equal(first.maxPriorityFeePerGas, protection.tip * 8n);
  const second = feesOf(replacementFees(first, market, "protection", protection));
  assert.equal(second.maxPriorityFeePerGas, 300n * GWEI);
});

test("whoever waits for lower fees is told what it waits for", () => {
  const { routine } = tariffs(CONFIG.fees);
  const offer = firstFees({ baseFee: 25n * GWEI, tips: [0n, 0n, 0n] }, "routine", routine);
  assert.deepEqual(offer, { kind: "dear", detail: "The base fee is 25 gwei, and routine pays at most 20 gwei." });
});

test("nobody spends what he has not: what is in flight counts, and routine leaves the minimum balance alone", () => {
  const purse = fc.record({ balance: gwei(10 ** 9), committed: gwei(10 ** 9), minBalance: gwei(10 ** 9) });
  fc.assert(
    fc.property(markets, urgencies, tariffsOf, purse, (market, urgency, tariff, money) => {
      const gasLimit = 1_000_000n;
      const first = firstFees(market, urgency, tariff);
      if (first.kind !== "fees") return;
      const offer = affordable(first.fees, gasLimit, market, urgency, money);
      const kept = urgency === "routine" ? money.minBalance : 0n;
      const free = money.balance - money.committed - kept;
      if (offer.kind === "fees") {
        assert.ok(gasLimit * offer.fees.maxFeePerGas <= free);
        assert.ok(offer.fees.maxFeePerGas <= first.fees.maxFeePerGas);
        assert.ok(offer.fees.maxPriorityFeePerGas <= offer.fees.maxFeePerGas);
      } else assert.ok(gasLimit * first.fees.maxFeePerGas > free);
    }),
  );
});
