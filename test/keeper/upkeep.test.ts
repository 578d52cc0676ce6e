/** How the calls of a batch become one transaction, and how much gas it has. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { MAX_TRANSACTION_GAS } from "../../keeper/transactions/fees.ts";
import { type Passed, performance, UPKEEP } from "../../keeper/transactions/upkeep.ts";
import { payment } from "./purse.ts";

const TOKEN = `0x${"22".repeat(20)}`;
const call = (gas: bigint): Passed => ({ action: payment(TOKEN, TOKEN, "routine"), gasUsed: gas, gas });
const calls = fc.array(fc.bigInt(25_000n, 20_000_000n).map(call), { minLength: 1, maxLength: 70 });

/** What `perform` must have left when it begins: each call's gas, the 63rd that EIP-150 keeps, and its surroundings. */
const needed = (data: string): bigint => {
  const [asked] = UPKEEP.decodeFunctionData("perform", data);
  return [...asked].reduce((sum: bigint, { gas }: { gas: bigint }) => sum + gas + gas / 63n + 25_000n, 0n);
};

test("a transaction has the longest beginning of the batch that fits, with gas for every call", () => {
  fc.assert(
    fc.property(calls, (passed) => {
      const job = performance(passed);
      if (!job) return assert.ok(passed[0] && (passed[0].gas * 5n * 64n) / (4n * 63n) > MAX_TRANSACTION_GAS - 200_000n);
      const count = job.actions.length;
      assert.deepEqual(
        job.actions,
        passed.slice(0, count).map(({ action }) => action),
      );
      assert.ok(job.gasLimit <= MAX_TRANSACTION_GAS);
      const bytes = BigInt((job.data.length - 2) / 2);
      assert.ok(job.gasNeeded - 21_000n - 16n * bytes < needed(job.data) + 30_000n + 5_000n * BigInt(count) + 1n);
      assert.ok(job.gasNeeded > needed(job.data) + 21_000n + 4n * bytes);
      const spare = job.gasLimit - job.gasNeeded;
      assert.ok(spare >= 686_000n || job.gasLimit === MAX_TRANSACTION_GAS, "a sync that finds a slash fits in too");
      if (count < passed.length) assert.ok(performance(passed.slice(0, count + 1))?.actions.length === count);
      const [asked] = UPKEEP.decodeFunctionData("perform", job.data);
      for (const [i, { gas }] of [...asked].entries())
        assert.ok(gas * 4n >= (passed[i]?.gas ?? 0n) * 5n, "a quarter more than in the simulation");
    }),
    { numRuns: 50 },
  );
});
