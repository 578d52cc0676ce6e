/**
 * What indexing and the gateway take: our subgraph beside one that only counts the same events, the gateway beside graph-node
 * asked directly, and a portfolio of many positions. Measured in turns, so that a machine that grows slower meets both.
 */
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { toBeHex } from "ethers";
import { parse, stringify } from "yaml";
import * as z from "zod";
import { DEFAULT_LIMITS } from "../gateway/config.ts";
import { startGateway } from "../gateway/start.ts";
import { ROOT } from "../scripts/lib/tools.ts";
import { DEVNET, graph, renderSubgraph } from "../stack/render.ts";
import { startStack } from "../stack/start.ts";
import type { Stack } from "../stack/types.ts";
import { step } from "../test/data/random/moves.ts";
import { Player } from "../test/data/random/player.ts";
import { openStage, type Stage } from "../test/data/random/stage.ts";
import { ask } from "../test/data/random/subgraph.ts";
import type { Figure } from "./figures.ts";

const SEED = 6;
const TRANSACTIONS = 1_000;
const POSITIONS = 10_000;
const SHARES = 1_000n;
const ROUNDS = 2;
const CLIENTS = 16;
const REQUESTS = 1_600;
const PAGE = 1_000;
const CLOSING_MS = 5_000;
const PATIENCE_MS = 1_800_000;
/** At least half the counting subgraph's speed; a gateway under one and a half times graph-node's latency. */
const TIMES_COUNTING = 2;
const TIMES_DIRECT = 1.5;

type Say = (line: string) => void;

export async function measureData(say: Say): Promise<Figure[]> {
  const stage = await openStage();
  try {
    const player = await Player.open(stage, SEED);
    await player.play(TRANSACTIONS);
    await manyPositions(stage, player);
    say(`the chain has ${player.transactions} transactions`);
    // within the project: graph-cli looks for its library in the folders above
    const folder = join(ROOT, ".local", "subgraph", `counting-${process.pid}`);
    try {
      return [...(await indexing(stage, await countingSubgraph(stage, folder), say)), ...(await serving(stage, say))];
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  } finally {
    await stage.world.close();
  }
}

/** One wei-share in ten thousand wallets each. */
async function manyPositions(stage: Stage, player: Player): Promise<void> {
  const series = stage.memory.series.find(({ senior }) => !senior);
  const face = stage.faces.token;
  const held = await stage.node.views(
    stage.people.holders.map((who) => ({ to: series?.address ?? "", face, fn: "balanceOf", args: [who] })),
  );
  const holder = stage.people.holders.find((_, i) => z.bigint().parse(held[i]?.[0]) > BigInt(POSITIONS) * SHARES);
  if (!holder || !series) throw new Error("There is nobody to send shares from.");
  const steps = Array.from({ length: POSITIONS }, (_, i) => ({
    ...step(holder, series.address, stage.faces.token, "transfer", toBeHex(0x10_0000_0000n + BigInt(i), 20), SHARES),
    gas: 150_000n,
  }));
  const before = player.transactions;
  await player.send(steps);
  if (player.transactions - before !== POSITIONS)
    throw new Error(`Only ${player.transactions - before} transfers passed.`);
}

// ----------------------------------------------------------------------------------------------------- indexing

const COUNT = `import { ethereum } from "@graphprotocol/graph-ts";
import { Counter } from "../generated/schema";
import { AgentCreated, RewardsCreated, SeriesCreated, TierCreated } from "../generated/TierFactory/ITierFactory";
import * as templates from "../generated/templates";

export function count(event: ethereum.Event): void {
  let counter = Counter.load("events");
  if (counter == null) counter = new Counter("events");
  counter.count += 1;
  counter.save();
}

export function countTier(event: TierCreated): void {
  count(event);
  templates.Tier.create(event.params.tier);
  templates.RiskManager.create(event.params.risk);
  templates.StakeManager.create(event.params.stakes);
  templates.Allocator.create(event.params.allocator);
  templates.Mandate.create(event.params.mandate);
  templates.StakingModule.create(event.params.module);
}

export function countRewards(event: RewardsCreated): void {
  count(event);
  templates.Rewards.create(event.params.rewards);
}

export function countSeries(event: SeriesCreated): void {
  count(event);
  templates.TrancheToken.create(event.params.token);
}

export function countAgent(event: AgentCreated): void {
  count(event);
  templates.Agent.create(event.params.agent);
}
`;
const SCHEMA = `type Counter @entity(immutable: false) {
  id: ID!
  count: Int!
}
`;
const CREATING: Readonly<Record<string, string>> = {
  TierCreated: "countTier",
  RewardsCreated: "countRewards",
  SeriesCreated: "countSeries",
  AgentCreated: "countAgent",
};

const sourceSchema = z.looseObject({
  mapping: z.looseObject({
    file: z.string(),
    entities: z.array(z.string()),
    eventHandlers: z.array(z.looseObject({ event: z.string(), handler: z.string() })),
  }),
});
const manifestSchema = z.looseObject({ dataSources: z.array(sourceSchema), templates: z.array(sourceSchema) });

/** A subgraph with the same sources and events, whose handlers add one each. */
async function countingSubgraph({ deployment }: Stage, folder: string): Promise<string> {
  const ours = await renderSubgraph({ deployment, network: DEVNET, folder: join(folder, "ours") });
  const counting = join(folder, "counting");
  cpSync(join(ours, "abis"), join(counting, "abis"), { recursive: true });
  const manifest = manifestSchema.parse(parse(readFileSync(join(ours, "subgraph.yaml"), "utf8")));
  for (const { mapping } of [...manifest.dataSources, ...manifest.templates]) {
    mapping.file = "./src/count.ts";
    mapping.entities = ["Counter"];
    for (const handler of mapping.eventHandlers) {
      handler.handler = CREATING[handler.event.slice(0, handler.event.indexOf("("))] ?? "count";
      delete handler.calls;
    }
  }
  mkdirSync(join(counting, "src"));
  writeFileSync(join(counting, "src", "count.ts"), COUNT);
  writeFileSync(join(counting, "schema.graphql"), SCHEMA);
  writeFileSync(join(counting, "subgraph.yaml"), stringify(manifest));
  await graph(["codegen", "subgraph.yaml"], counting);
  await graph(["build", "subgraph.yaml"], counting);
  return counting;
}

async function indexing(stage: Stage, counting: string, say: Say): Promise<Figure[]> {
  const { deployment, node } = stage;
  const seconds = { ours: [] as number[], counting: [] as number[] };
  let events = 0;
  for (let round = 0; round < ROUNDS; round++)
    for (const which of ["ours", "counting"] as const) {
      const built = which === "counting" ? { built: counting } : {};
      const stack = await startStack({ rpcUrl: node.url, deployment, ...built });
      const begin = performance.now();
      await stack.synced(undefined, PATIENCE_MS);
      seconds[which].push((performance.now() - begin) / 1_000);
      if (which === "ours") events = await tallied(stack);
      await stack.close();
      say(`indexing, ${which}: ${seconds[which].at(-1)?.toFixed(1)} s`);
    }
  const [ours, theirs] = [Math.min(...seconds.ours), Math.min(...seconds.counting)];
  return [
    figure("data: events indexed per second", "events/s", events / ours),
    figure("data: events counted per second, by a subgraph that only counts", "events/s", events / theirs),
    { ...figure("data: indexing ÷ only counting", "times", ours / theirs, 100), target: TIMES_COUNTING },
  ];
}

const talliesSchema = z.array(z.object({ count: z.int() }));

async function tallied(stack: Stack): Promise<number> {
  const { eventTallies } = await ask(stack.graphqlUrl, "{ eventTallies(first: 1000) { count } }");
  return talliesSchema.parse(eventTallies).reduce((sum, { count }) => sum + count, 0);
}

// ------------------------------------------------------------------------------------------------------ serving

const QUERY = "{ tiers(first: 10) { id name reserve junior senior gains utilisation agents { id stakeValue } } }";

async function serving(stage: Stage, say: Say): Promise<Figure[]> {
  const { deployment, node } = stage;
  const stack = await startStack({ rpcUrl: node.url, deployment });
  try {
    await stack.synced(undefined, PATIENCE_MS);
    const gateway = await startGateway({
      subgraphUrl: stack.graphqlUrl,
      statusUrl: stack.statusUrl,
      rpcUrl: node.url,
      deployment,
      port: 0,
      host: "127.0.0.1",
      limits: { ...DEFAULT_LIMITS, requests: Number.MAX_SAFE_INTEGER },
      maxLagBlocks: 20,
      pollMs: 1_000,
      logLevel: "silent",
    });
    try {
      const url = new URL("/graphql", gateway.url).href;
      const direct: number[] = [];
      const through: number[] = [];
      await load(stack.graphqlUrl, CLIENTS * 4);
      await load(url, CLIENTS * 4);
      for (let round = 0; round < 4; round++) {
        direct.push(...(await load(stack.graphqlUrl, REQUESTS / 4)));
        through.push(...(await load(url, REQUESTS / 4)));
      }
      say(`latency: ${direct.length} requests each`);
      const figures = [50, 99].flatMap((percent) => {
        const [a, b] = [percentile(direct, percent), percentile(through, percent)];
        const name = percent === 50 ? "median" : "99th percentile";
        return [
          figure(`data: graph-node's latency, ${CLIENTS} clients, ${name}`, "ms", a, 10),
          figure(`data: the gateway's latency, ${CLIENTS} clients, ${name}`, "ms", b, 10),
          { ...figure(`data: gateway ÷ graph-node, ${name}`, "times", b / a, 100), target: TIMES_DIRECT },
        ];
      });
      const begin = performance.now();
      const count = await portfolio(url);
      figures.push(
        figure(`data: a portfolio of ${count} positions, in pages of ${PAGE}`, "ms", performance.now() - begin),
      );
      return figures;
    } finally {
      // connections that the clients keep open end by themselves; nobody waits for them
      await Promise.race([gateway.close(), sleep(CLOSING_MS)]);
    }
  } finally {
    await stack.close();
  }
}

/** Milliseconds of each of so many requests by clients that ask again as soon as they are answered. */
async function load(url: string, requests: number): Promise<number[]> {
  const times: number[] = [];
  let left = requests;
  const client = async () => {
    while (left-- > 0) {
      const begin = performance.now();
      await ask(url, QUERY);
      times.push(performance.now() - begin);
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
  return times;
}

function percentile(values: readonly number[], percent: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * percent) / 100))] ?? 0;
}

const pageSchema = z.array(z.object({ id: z.string() }));

async function portfolio(url: string): Promise<number> {
  let count = 0;
  for (let last = ""; ; ) {
    const where = last === "" ? "" : `, where: { id_gt: "${last}" }`;
    const fields = "id balance queuedShares costBasis value unrealisedGain account { id } tier { name }";
    const { positions } = await ask(url, `{ positions(first: ${PAGE}, orderBy: id${where}) { ${fields} } }`);
    const page = pageSchema.parse(positions);
    count += page.length;
    last = page.at(-1)?.id ?? "";
    if (page.length < PAGE) return count;
  }
}

const figure = (operation: string, unit: Figure["unit"], value: number, per = 1): Figure => ({
  operation,
  agents: 0,
  unit,
  value: Math.round(value * per) / per,
});
