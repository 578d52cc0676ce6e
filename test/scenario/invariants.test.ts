import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { AbiCoder, keccak256 } from "ethers";
import { type Side, type View, view } from "../../scenario/books.ts";
import { compareRates, Invariants } from "../../scenario/invariants.ts";
import { Journal } from "../../scenario/journal.ts";
import type { Keeper } from "../../scenario/keeper.ts";
import { loadScenario } from "../../scenario/load.ts";
import { Player } from "../../scenario/player.ts";
import type { Printer } from "../../scenario/print.ts";
import { printVerdicts } from "../../scenario/summary.ts";
import { buildWorld, must, type World } from "../../scenario/world.ts";
import { type Chain, rpc, startChain } from "../../scripts/chain.ts";
import { ROOT } from "../../scripts/lib/tools.ts";

const plain = (text: string) => text;
const silent: Printer = { line: () => {}, bold: plain, dim: plain, red: plain, green: plain, yellow: plain };
const side = (book: bigint, supply: bigint): Side => ({ token: "0x01", book, supply, queued: 0n });
const failing = (invariants: Invariants): number[] =>
  invariants
    .verdicts()
    .filter(({ failures }) => failures.length > 0)
    .map(({ number }) => number);

/** The chain is set back between these tests, which no keeper's journal could follow: here it never gets up. */
const asleep = (world: World): Keeper => ({
  address: `0x${"ee".repeat(20)}`,
  url: "",
  folder: "",
  turn: async () => ({ from: world.chain.head.block, to: world.chain.head.block }),
  publish: () => {},
  free: async () => {},
  stop: async () => {},
});

describe("the invariants' bookkeeping", () => {
  it("compares rates to the wei, whatever the supply", () => {
    assert.equal(compareRates(side(10n ** 18n, 10n ** 18n), side(3n * 10n ** 18n, 3n * 10n ** 18n)), 0n);
    assert.ok(compareRates(side(10n ** 24n, 10n ** 24n), side(10n ** 24n - 1n, 10n ** 24n)) < 0n);
    assert.ok(compareRates(side(10n ** 24n, 10n ** 24n), side(10n ** 24n + 1n, 10n ** 24n)) > 0n);
  });

  it("fails a finalisation at another rate than that of those who stay", () => {
    const invariants = new Invariants();
    invariants.finalised("Tier", 10n ** 18n, 11n * 10n ** 17n, side(22n * 10n ** 17n, 2n * 10n ** 18n));
    assert.deepEqual(failing(invariants), []);
    invariants.finalised("Tier", 10n ** 18n, 12n * 10n ** 17n, side(22n * 10n ** 17n, 2n * 10n ** 18n));
    assert.deepEqual(failing(invariants), [5]);
  });

  it("one failure fails the verdict, an invariant without occasion does not", () => {
    const invariants = new Invariants();
    invariants.check(1, true, () => "");
    assert.equal(printVerdicts(silent, invariants.verdicts()), true);
    invariants.check(1, false, () => "a wei is missing");
    assert.equal(printVerdicts(silent, invariants.verdicts()), false);
  });
});

describe("the invariants on a chain", () => {
  let chain: Chain;
  let world: World;
  let snapshot: unknown;
  before(async () => {
    chain = await startChain();
    world = await buildWorld(loadScenario(`${ROOT}/test/scenario/stories/small.yaml`), chain.url, "local", () => {});
  });
  after(() => chain.stop());

  /** Plays the first chapter and then lets `spoil` change what the player has seen or what the chain holds. */
  async function spoiled(spoil: (player: Player) => Promise<void>): Promise<number[]> {
    snapshot = await rpc(chain.url, "evm_snapshot", []);
    await world.chain.locate();
    const invariants = new Invariants();
    const journal = new Journal(world, invariants);
    const player = new Player(world, journal, invariants, silent, await view(world), asleep(world));
    for (const step of must(world.scenario.story[0], "chapter").steps) await player.play(step);
    assert.deepEqual(failing(invariants), []);
    await spoil(player);
    await player.look("the spoiled step", undefined);
    invariants.settle(journal, player.now);
    await invariants.fees(journal);
    await rpc(chain.url, "evm_revert", [snapshot]);
    await world.chain.locate();
    return failing(invariants);
  }

  const raised = (seen: View, senior: boolean): View => {
    const [name, one] = must([...seen.tiers][0], "tier");
    const lift = (from: Side): Side => ({ ...from, book: from.book + 1n });
    const changed = senior ? { ...one, senior: lift(one.senior) } : { ...one, junior: lift(one.junior) };
    return { ...seen, tiers: new Map([[name, changed]]) };
  };

  it("hold for an untouched tier", async () => {
    assert.deepEqual(await spoiled(async () => {}), []);
  });

  it("notice a senior or junior rate that falls by a wei without a loss", async () => {
    for (const senior of [true, false]) {
      const found = await spoiled(async (player) => {
        player.before = raised(player.now, senior);
      });
      assert.deepEqual(found, [9]);
    }
  });

  it("notice WETH that is recorded and not there", async () => {
    const found = await spoiled(async (player) => {
      const tier = must(player.now.tiers.get("Only"), "tier");
      // LocalWETH: take the balance away behind everybody's back
      const { weth } = world.addresses;
      for (let index = 0n; index < 8n; index++) {
        const key = keccak256(AbiCoder.defaultAbiCoder().encode(["address", "uint256"], [tier.tier.address, index]));
        await rpc(chain.url, "hardhat_setStorageAt", [weth, key, `0x${"0".repeat(64)}`]);
      }
    });
    assert.deepEqual(found, [8]);
  });

  it("notice pay that nobody agreed to, and rewards of which a wei is missing", async () => {
    for (const change of [
      { came: 100n, gained: 90n, earned: 10n, claimed: 10n },
      { came: 100n, gained: 99n },
    ]) {
      const found = await spoiled(async (player) => {
        Object.assign(must(player.journal.rewards.get("Only"), "rewards"), change);
      });
      assert.deepEqual(found, [13]);
    }
  });

  it("notice a wei that came from nowhere", async () => {
    const found = await spoiled(async (player) => {
      const flow = must(player.journal.flows.get("Only"), "flow");
      flow.in += 1n;
    });
    assert.deepEqual(found, [4]);
  });
});
