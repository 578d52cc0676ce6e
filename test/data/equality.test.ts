/**
 * The subgraph equals the chain: a random run over all contracts on a chain process that reorganises, followed by real
 * graph-node; at several blocks everything that it says is compared with calls at that block and with the chain's events.
 *
 * `DATA_SEED=n` repeats a run, `DATA_STEPS=n` makes it longer.
 */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { missingGraphNode } from "../../stack/graph-node.ts";
import { startStack } from "../../stack/start.ts";
import type { Stack } from "../../stack/types.ts";
import { WAD } from "../integration/world.ts";
import { Comparison } from "./random/compare.ts";
import { eventsOf, manifestEvents } from "./random/events.ts";
import type { Block } from "./random/node.ts";
import { compareWithCalls } from "./random/oracle.ts";
import { Player } from "./random/player.ts";
import { compareRecords, compareTallies, neverHappens } from "./random/records.ts";
import { Replay } from "./random/replay.ts";
import { openStage, type Stage } from "./random/stage.ts";
import { readAll } from "./random/subgraph.ts";
import { compareTotals } from "./random/totals.ts";

/** One run for everybody; another number is another run. */
const SEED = Number(process.env.DATA_SEED ?? 7);
const STEPS = Number(process.env.DATA_STEPS ?? 2_000);
/** A slow machine is no failure. */
const PATIENCE_MS = 900_000;

describe(`the subgraph equals the chain (DATA_SEED=${SEED})`, { skip: missingGraphNode() ?? false }, () => {
  let stage: Stage;
  let stack: Stack;
  let player: Player;
  let counts: ReadonlyMap<string, number> = new Map();
  let middle: Block;

  before(async () => {
    stage = await openStage();
    player = await Player.open(stage, SEED);
    const { deployment, node } = stage;
    stack = await startStack({ rpcUrl: node.url, deployment });
  });
  after(async () => {
    await stack?.close();
    await stage?.world.close();
  });

  /** All entities at a block against calls at that block and the events up to it. */
  async function equal(block: Block, where: string): Promise<void> {
    await stack.synced(block.number, PATIENCE_MS);
    const c = new Comparison(await readAll(stack.graphqlUrl, block.hash), where);
    await compareWithCalls(stage, block, c);
    const events = await eventsOf(stage, block.number);
    new Replay(events, c).compare();
    compareRecords(events, c);
    await compareTotals(stage.node, events, c);
    counts = compareTallies(events, c);
    assert.ok(c.values > 1_000, `only ${c.values} values were compared`);
    assert.deepEqual(c.report(), [], `DATA_SEED=${SEED}`);
  }

  it("after people, keepers, AVSs and the curator have done a quarter of all", async () => {
    await player.play(STEPS / 4);
    middle = await player.head();
    await equal(middle, "a quarter");
  });

  it("on a branch that is lost, and on the one that replaces it, whatever its depth", async () => {
    for (const [lost, kept] of [
      [1, 2],
      [4, 3],
      [25, 20],
    ] as const) {
      const depth = await player.branch(
        () => player.play(lost),
        async () => equal(await player.head(), `${lost} transactions on a branch that will be lost`),
        () => player.play(kept),
      );
      await equal(await player.head(), `after a reorganisation of depth ${depth}`);
    }
  });

  it("when a loss, or the opening of a tier, vanishes and is done again in another way", async () => {
    await player.branch(
      async () => {
        await player.ruin(0, WAD / 5n);
        await player.openTier();
      },
      async () => equal(await player.head(), "a loss that will be lost"),
      async () => {
        await player.play(3);
        await player.openTier();
      },
    );
    await equal(await player.head(), "without the loss");
  });

  it("after a disaster that retires series, and what follows: compensation, pots, returns, new series", async () => {
    await player.disasters();
    await equal(await player.head(), "disaster");
  });

  it("after months in which the curator's mandates come into force and stake comes home", async () => {
    await player.seasons();
    await equal(await player.head(), "seasons");
  });

  it("at the end of all transactions, and still at a block in the middle", async () => {
    await player.play(Math.max(0, STEPS - player.transactions));
    assert.ok(player.transactions >= STEPS, `${player.transactions} transactions`);
    await equal(await player.head(), "the end");
    const kept = counts;
    await equal(middle, "a quarter, asked at the end");
    counts = kept;
  });

  it("and every kind of event that the subgraph handles has happened", () => {
    const missing = [...manifestEvents()].filter((kind) => !counts.has(kind) && !neverHappens(kind));
    assert.deepEqual(missing, [], `DATA_SEED=${SEED}`);
  });
});
