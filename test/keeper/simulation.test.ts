/**
 * A short life of a tier with a real keeper process (keeper/soak; `npm run soak -- simulation` is the long one): days of a
 * seed that is known to be eventful, and days of one that nobody has seen. A failure names its seed and day.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { simulate, tell } from "../../keeper/soak/simulation.ts";

const SEED = Number(process.env.SIMULATION_SEED ?? Math.floor(Math.random() * 2 ** 31));

test("Through random days with slashes, sick RPCs and kills of the keeper, sets in quarantine lose their power, exits are paid in time and the books add up", async (t) => {
  t.diagnostic(`random seed ${SEED}; again with SIMULATION_SEED=${SEED}`);
  const seeds = [
    { seed: 7, days: 4 },
    { seed: SEED, days: 4 },
  ];
  const report = await simulate({ seeds, agents: 2, setsPerAgent: 3, kills: 0.12, faults: 0.2, pace: 2, trouble: 10 });
  for (const line of tell(report).split("\n")) t.diagnostic(line);
  assert.ok(report.checks >= 8);
});
