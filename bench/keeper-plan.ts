/** How long the keeper's plan takes for twenty of the largest tiers: while nothing happens, and while everything does. */
import { performance } from "node:perf_hooks";
import { plan } from "../keeper/plan/plan.ts";
import { WAD } from "../model/integer.ts";
import {
  address,
  agent,
  BLOCK,
  type Core,
  config,
  ETH,
  exit,
  keeperState,
  link,
  quiet,
  set,
  type WorldCore,
  world,
} from "../test/keeper/states.ts";
import type { Figure } from "./figures.ts";

const TIERS = 20;
const AGENTS = 8;
const LINKS = 8;
const SETS = 32;
const TARGET_MS = 10;
const WARM = 30;
const RUNS = 101;

/** Eight agents in eight of 32 sets each, all at their targets. */
const largest = (number: number): Core =>
  quiet({
    address: address(0x71e40 + number),
    name: `Tier ${number}`,
    idle: 8n * ETH,
    junior: 400n * ETH,
    sets: Array.from({ length: SETS }, (_, group) => set({ group })),
    agents: Array.from({ length: AGENTS }, (_, i) =>
      agent({
        weightBps: 1_250n,
        stake: 99n * ETH,
        links: Array.from({ length: LINKS }, (_, j) =>
          link({ set: (i * LINKS + j) % SETS, current: WAD / 8n, target: WAD / 8n }),
        ),
      }),
    ),
  });

/** Something to do for every job: half of the magnitude is missing, idle ETH, withdrawals, queues, a quarantine, a slash. */
function busy(number: number): Core {
  const core = largest(number);
  for (const [i, one] of core.agents.entries()) {
    one.exits = [exit(), exit({ nonce: 1, startBlock: BLOCK.number })];
    one.reviewedAt = 0;
    for (const [j, own] of one.links.entries()) if ((i + j) % 2 === 0) own.current = WAD / 16n;
  }
  const [first] = core.sets;
  if (first) first.quarantined = true;
  return {
    ...core,
    slashed: 1n,
    idle: 60n * ETH,
    loose: 20n * ETH,
    unstaking: 20n * ETH,
    payable: 10n * ETH,
    queuedSenior: 30n * ETH,
    maturedSenior: 10n * ETH,
    queuedJunior: 10n * ETH,
  };
}

/** As `busy`, but nothing forbids to put money in: the cover carries a part of what is missing. */
function growing(number: number): Core {
  const core = busy(number);
  const [first] = core.sets;
  if (first) first.quarantined = false;
  return { ...core, slashed: 0n, idle: 160n * ETH, junior: 200n * ETH };
}

const worldOf = (make: (number: number) => Core): WorldCore =>
  world(Array.from({ length: TIERS }, (_, number) => make(number)));

/** Median milliseconds. */
function time(w: WorldCore): number {
  const [state, own] = [keeperState(w), config()];
  const times: number[] = [];
  for (let run = 0; run < WARM + RUNS; run++) {
    const start = performance.now();
    plan(state, own);
    if (run >= WARM) times.push(performance.now() - start);
  }
  return times.sort((a, b) => a - b)[times.length >> 1] ?? Number.NaN;
}

export function measurePlan(): readonly Figure[] {
  const shape = `${TIERS} tiers with ${AGENTS} agents and ${LINKS} sets each`;
  const figure = (what: string, make: (number: number) => Core, target?: number): Figure => ({
    operation: `keeper: plan for ${shape}, ${what}`,
    agents: 0,
    unit: "ms",
    value: Math.round(time(worldOf(make)) * 1_000) / 1_000,
    ...(target === undefined ? {} : { target }),
  });
  return [
    figure("nothing to do", largest, TARGET_MS),
    figure("fifteen actions in each", busy, TARGET_MS),
    figure("55 actions in each", growing),
  ];
}
