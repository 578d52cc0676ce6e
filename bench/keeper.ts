/**
 * What a keeper does with its operator's time, calls and memory: the real process on a real chain, in blocks that this
 * machine's clock mines. Mainnet's block takes twelve seconds; here it takes less, and so does the keeper's time.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { JsonRpcProvider } from "ethers";
import * as z from "zod";
import { type Random, randomStream } from "../economics/random.ts";
import { KeeperProcess } from "../keeper/soak/process.ts";
import { deploymentOf } from "../keeper/soak/stage.ts";
import {
  allocateAll,
  big,
  deployAll,
  depositEth,
  ETH,
  openStandardTier,
  startWorld,
  type Tier,
  user,
  WAD,
  type World,
} from "../test/integration/world.ts";
import { type FaultProxy, startProxy } from "../test/keeper/proxy.ts";
import type { Figure } from "./figures.ts";
import { measurePlan } from "./keeper-plan.ts";

const AGENTS = 8;
const SETS_PER_AGENT = 4;
const SLASHES = 200;
/** Of a tier's 32 groups: then the next tier, so that there is always something left to slash. */
const PER_TIER = 20;
const SLASHES_A_BLOCK = 0.7;
const SEED = 5;
const BLOCK_MS = 1_500;
/** Blocks after which a slash that nobody has unwound counts as missed. */
const PATIENCE = 6;
const IDLE_BLOCKS = 30;
const WARM_BLOCKS = 12;
const IDLE_BLOCK_SECONDS = 3;
const DAY_OF_BLOCKS = 7_200;
const BLOCK_SECONDS = 12;
const BUSY_BLOCK_MS = 25;
const MEGABYTE = 1_000_000;

const quantity = z.string().transform(Number);
const logsSchema = z.array(
  z.object({ blockNumber: quantity, transactionHash: z.string(), topics: z.array(z.string()), data: z.string() }),
);
const receiptSchema = z.object({ status: z.literal("0x1"), blockNumber: quantity });

type Say = (line: string) => void;

/** All of it takes some ten minutes. */
export async function measureKeeper(say: Say): Promise<Figure[]> {
  return [...measurePlan(), ...(await measureUnwinds(say)), ...(await measureIdle(say))];
}

// -------------------------------------------------------------------------------------------- from slash to unwind

/** Groups of tiers at work are slashed in random order, in seven blocks of ten, each by a tenth to a half of its allocation. */
export async function measureUnwinds(say: Say, slashes = SLASHES): Promise<Figure[]> {
  const random = randomStream(SEED, 0);
  const distances: number[] = [];
  while (distances.length < slashes) {
    const world = await startWorld();
    let keeper: KeeperProcess | undefined;
    try {
      const tier = await openTierAtWork(world);
      keeper = await startKeeper(world, world.chain.url);
      distances.push(
        ...(await slashInTurn(world, tier, keeper, Math.min(PER_TIER, slashes - distances.length), random)),
      );
      say(`  ${distances.length} slashes, the slowest unwind ${Math.max(...distances)} blocks later`);
    } finally {
      await keeper?.close();
      await world.close();
    }
  }
  const sorted = distances.toSorted((a, b) => a - b);
  const at = (part: number) => sorted[Math.ceil(sorted.length * part) - 1] ?? 0;
  const name = `keeper: blocks from slash to unwind, ${slashes} slashes`;
  return [
    { operation: `${name}, median`, agents: 0, value: at(0.5), unit: "blocks" },
    { operation: `${name}, 99 %`, agents: 0, value: at(0.99), unit: "blocks", target: 1 },
    { operation: `${name}, slowest`, agents: 0, value: at(1), unit: "blocks", target: 2 },
  ];
}

async function slashInTurn(
  world: World,
  tier: Tier,
  keeper: KeeperProcess,
  count: number,
  random: Random,
): Promise<readonly number[]> {
  const { provider, local } = world;
  const groups = shuffled(tier.services.length, random).slice(0, count);
  const slashed = new Map<number, string>();
  await provider.send("evm_setAutomine", [false]);
  const first = (await provider.getBlockNumber()) + 1;
  try {
    while (slashed.size < count) {
      if (random() < SLASHES_A_BLOCK) {
        const group = groups[slashed.size] ?? 0;
        const { contract, set } = tier.services[group] ?? missing(group);
        const agent = tier.agents[Math.floor(group / SETS_PER_AGENT)] ?? missing(group);
        const part = (WAD * BigInt(100 + Math.floor(random() * 400))) / 1_000n;
        const data = contract.interface.encodeFunctionData("slash", [
          agent.address,
          set.id,
          local.strategy,
          part,
          "bench",
        ]);
        const request = { from: local.signers.outside.address, to: set.avs, data, gas: "0xf4240" };
        slashed.set(group, z.string().parse(await provider.send("eth_sendTransaction", [request])));
      }
      await nextBlock(provider);
    }
    for (let i = 0; i < PATIENCE; i++) await nextBlock(provider);
  } finally {
    await provider.send("evm_setAutomine", [true]);
  }
  const unwinds = await unwindsSince(world, tier, first);
  const distances: number[] = [];
  for (const [group, hash] of slashed) {
    const { blockNumber } = receiptSchema.parse(await provider.send("eth_getTransactionReceipt", [hash]));
    const unwound = unwinds.get(group);
    if (unwound === undefined)
      throw new Error(`Nobody unwound group ${group}, slashed in block ${blockNumber}.\n${keeper.lastWords()}`);
    distances.push(unwound - blockNumber);
  }
  return distances;
}

/**
 * The block in which the ladder was climbed for each group: its allocation on its way to zero (by a deleverage that came with it, too), or, where a smaller decrease
 * was pending (deleverage, of a tier slashed so often), the agent gone from the set or all of its stake queued.
 */
async function unwindsSince(world: World, tier: Tier, from: number): Promise<ReadonlyMap<number, number>> {
  const { interface: face } = tier.allocator;
  const filter = { address: await tier.allocator.getAddress(), fromBlock: `0x${from.toString(16)}` };
  const found = logsSchema.parse(await world.provider.send("eth_getLogs", [filter]));
  const blocks = new Map<number, number>();
  const evacuated: [number, number][] = [];
  for (const { blockNumber, topics, data } of found) {
    const log = face.parseLog({ topics, data });
    if (log?.name === "StakeEvacuated") {
      const agent = Number(log.args.getValue("agent"));
      for (let i = 0; i < SETS_PER_AGENT; i++) evacuated.push([agent * SETS_PER_AGENT + i, blockNumber]);
    }
    const unwound = log?.name === "Allocated" && log.args.getValue("magnitude") === 0n;
    if (!unwound && log?.name !== "Deregistered") continue;
    const set = Number(log.args.getValue("set"));
    if (!blocks.has(set)) blocks.set(set, blockNumber);
  }
  for (const [set, block] of evacuated) if (!blocks.has(set)) blocks.set(set, block);
  return blocks;
}

async function nextBlock(provider: JsonRpcProvider): Promise<void> {
  await sleep(BLOCK_MS);
  await provider.send("evm_mine", []);
}

// ----------------------------------------------------------------------------------------------- calls and memory

/** What a quiet day costs: calls and bytes for each block, and the memory after all of its blocks. */
export async function measureIdle(say: Say, blocks = DAY_OF_BLOCKS): Promise<Figure[]> {
  const world = await startWorld();
  let proxy: FaultProxy | undefined;
  try {
    await openTierAtWork(world);
    proxy = await startProxy(world.chain.url);
    return [...(await measureCalls(world, proxy, say)), ...(await measureMemory(world, say, blocks))];
  } finally {
    await proxy?.close();
    await world.close();
  }
}

async function mineBlocks(world: World, count: number, seconds: number, pauseMs: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const begin = performance.now();
    await world.provider.send("hardhat_mine", ["0x1", `0x${seconds.toString(16)}`]);
    await sleep(Math.max(0, pauseMs - (performance.now() - begin)));
  }
}

/** In blocks that keep the time that they claim, as mainnet's do; polled six times as often as they come, by default too. */
async function measureCalls(world: World, proxy: FaultProxy, say: Say): Promise<Figure[]> {
  const keeper = await startKeeper(world, proxy.url, IDLE_BLOCK_SECONDS / 6);
  try {
    const pause = IDLE_BLOCK_SECONDS * 1_000;
    await mineBlocks(world, WARM_BLOCKS, IDLE_BLOCK_SECONDS, pause);
    const begin = await considered(keeper);
    proxy.reset();
    await mineBlocks(world, IDLE_BLOCKS, IDLE_BLOCK_SECONDS, pause);
    const seen = (await considered(keeper)) - begin;
    const { calls, bytesIn, bytesOut } = proxy.total;
    const each = [...proxy.counts].map(([method, count]) => `${count.calls} ${method}`);
    say(`  ${seen} idle blocks: ${calls} calls: ${each.join(", ")}`);
    return [
      {
        operation: "keeper: RPC calls per idle block",
        agents: 0,
        value: round(calls / seen),
        unit: "calls",
        target: 2,
      },
      {
        operation: "keeper: bytes per idle block",
        agents: 0,
        value: Math.round((bytesIn + bytesOut) / seen),
        unit: "bytes",
      },
    ];
  } finally {
    await keeper.close();
  }
}

async function measureMemory(world: World, say: Say, blocks: number): Promise<Figure[]> {
  const keeper = await startKeeper(world, world.chain.url, BUSY_BLOCK_MS / 1_000);
  try {
    const kept: number[] = [];
    for (let quarter = 1; quarter <= 4; quarter++) {
      await mineBlocks(world, Math.floor(blocks / 4), BLOCK_SECONDS, BUSY_BLOCK_MS);
      const bytes = keeper.memory();
      if (bytes === undefined) throw new Error("This system does not tell the memory of a process.");
      kept.push(Math.round(bytes / MEGABYTE));
      say(`  after ${quarter * 6} simulated hours: ${kept.at(-1)} MB`);
    }
    const [early = 0, late = 0] = [kept[0], kept.at(-1)];
    return [
      { operation: "keeper: memory after 6 simulated hours", agents: 0, value: early, unit: "MB" },
      { operation: "keeper: memory after 24 simulated hours", agents: 0, value: late, unit: "MB", target: 150 },
    ];
  } finally {
    await keeper.close();
  }
}

async function considered(keeper: KeeperProcess): Promise<number> {
  const status = await keeper.status();
  if (status?.considered === undefined) throw new Error("The keeper does not say which block it has considered.");
  return status.considered;
}

// -------------------------------------------------------------------------------------------------------- shared

/** Eight agents with four sets each, restaked and allocated: nothing left to do but what comes. */
async function openTierAtWork(world: World): Promise<Tier> {
  const tier = await openStandardTier(world, { agents: AGENTS, setsPerAgent: SETS_PER_AGENT });
  const [junior, senior] = [user(world, 0), user(world, 1)];
  await depositEth(world, junior, tier.junior, 1_000n * ETH);
  await depositEth(world, senior, tier.senior, (await big(tier.senior, "maxDeposit", senior.address)) / 2n);
  await deployAll(world, tier);
  await allocateAll(world, tier);
  return tier;
}

/** With the intervals that an operator would have, but for the head, which comes faster here. */
async function startKeeper(world: World, rpc: string, pollSeconds = 0.05): Promise<KeeperProcess> {
  const keeper = await KeeperProcess.open({
    provider: world.provider,
    rpc: [rpc],
    deployment: await deploymentOf(world),
    config: {
      chain: { poll_seconds: pollSeconds, timeout_seconds: 5, max_head_age_seconds: 0 },
      routine: { every_seconds: 300 },
    },
  });
  await keeper.start();
  const begin = Date.now();
  while (!(await keeper.status())?.settled) {
    if (Date.now() - begin > 60_000) throw new Error(`The keeper finds no rest.\n${keeper.lastWords()}`);
    await sleep(100);
  }
  return keeper;
}

function shuffled(count: number, random: Random): number[] {
  const order = Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [order[i], order[j]] = [order[j] ?? 0, order[i] ?? 0];
  }
  return order;
}

const round = (value: number): number => Math.round(value * 100) / 100;

function missing(group: number): never {
  throw new Error(`There is no group ${group}.`);
}
