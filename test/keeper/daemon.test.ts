/** The keeper's loop on a real chain process, behind RPCs that fail. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { Interface, JsonRpcSigner, parseEther, Result, Wallet } from "ethers";
import * as z from "zod";
import { send } from "../../deploy/eigenlayer.ts";
import { as, checkpoint, depositEth, ETH, fields, mine, setState, slash, user, WAD } from "../integration/world.ts";
import {
  type Keeper,
  type KeeperOptions,
  type KeeperProcess,
  openKeeper,
  openStage,
  type Stage,
  startKeeperProcess,
  until,
} from "./daemon-world.ts";
import { type FaultProxy, startProxy } from "./proxy.ts";
import { mark } from "./reorg.ts";

const SIMULATE =
  new Interface(["function simulate((address target, uint256 gas, bytes data)[] calls)"]).getFunction("simulate")
    ?.selector ?? "";
/** More than the mandate tolerates (5 %), and less than the spare cover. */
const PART = WAD / 10n;
const linkSchema = z.object({ current: z.bigint(), pending: z.bigint() });
const NEVER = { routine: { every_seconds: 1e9 } };

describe("the keeper's daemon", { timeout: 300_000 }, () => {
  let stage: Stage;
  let proxies: FaultProxy[];
  let reset: () => Promise<void>;
  let keepers: Keeper[] = [];

  const proxy = (index = 0): FaultProxy => {
    const found = proxies[index];
    if (!found) throw new Error(`There is no proxy ${index}.`);
    return found;
  };
  const keeper = async (options: Partial<KeeperOptions> = {}): Promise<Keeper> => {
    const opened = await openKeeper(stage, { urls: [proxy().url], ...options });
    keepers.push(opened);
    return opened;
  };
  const service = (group: number) => {
    const found = stage.tier.services[group];
    if (!found) throw new Error(`There is no service ${group}.`);
    return found;
  };
  const height = () => stage.world.provider.getBlockNumber();
  const block = () => mine(stage.world, 1);
  /** Whether all that the group's agent has allocated to the group's set is on its way to zero. */
  const unwound = async (group: number): Promise<boolean> => {
    const result: unknown = await stage.tier.risk.getFunction("link").staticCall(Math.floor(group / 4), group % 4);
    const { current, pending } = linkSchema.parse(
      z.instanceof(Result).parse(z.instanceof(Result).parse(result)[1]).toObject(),
    );
    return current === pending;
  };
  /** Transactions of an account since a block, by success. */
  const transactions = async (who: string, from: number): Promise<{ passed: number; reverted: number }> => {
    const count = { passed: 0, reverted: 0 };
    for (let number = from + 1; number <= (await height()); number++) {
      const found = await stage.world.provider.getBlock(number, true);
      for (const transaction of found?.prefetchedTransactions ?? []) {
        if (transaction.from !== who) continue;
        const receipt = await stage.world.provider.getTransactionReceipt(transaction.hash);
        if (receipt?.status === 1) count.passed++;
        else count.reverted++;
      }
    }
    return count;
  };

  before(async () => {
    stage = await openStage();
    proxies = [await startProxy(stage.world.chain.url), await startProxy(stage.world.chain.url)];
    // what the first routine would do is done, so that each test begins at rest
    const first = await openKeeper(stage, { urls: [stage.world.chain.url] });
    await first.settle();
    await first.close();
    await mine(stage.world, 10);
    reset = await checkpoint(stage.world);
  });
  beforeEach(() => reset());
  afterEach(async () => {
    for (const one of proxies) {
      one.clear();
      one.reset();
    }
    for (const one of keepers) await one.close();
    keepers = [];
    await stage.world.provider.send("evm_setAutomine", [true]);
  });
  after(async () => {
    for (const one of proxies ?? []) await one.close();
    await stage?.close();
  });

  // -------------------------------------------------------------------------------------------------- protection

  it("unwinds a slash in the next block, without a person and without a sync before it", async () => {
    const one = await keeper();
    await one.settle();
    await slash(stage.world, stage.tier, 0, PART);
    const slashed = await height();
    await one.daemon.step();
    assert.equal(await height(), slashed + 1, "one transaction, in the next block");
    assert.equal((await setState(stage.tier, 0)).quarantined, true);
    assert.ok(await unwound(0), "all of it is on its way to zero");
    await one.settle();
    assert.deepEqual(await transactions(one.wallet.address, slashed), { passed: 1, reverted: 0 });
    assert.ok(one.said(/slashed by set 0/), one.lines.map((l) => JSON.stringify(l)).join("\n"));
    assert.ok(one.said(/^Done: unwind/), "and what it did");
    assert.match(await one.metrics.text(), /unwind_latency_blocks_sum\{[^}]*\} 1\n/);
  });

  it("does not need the event: the pulse of every block shows the slash", async () => {
    proxy().dropLogs();
    proxy().inject(["eth_getBlockByNumber", "eth_getBlockByHash"], {
      kind: "lie",
      lie: (answer) =>
        "result" in answer && answer.result !== null
          ? { result: { ...answer.result, logsBloom: `0x${"00".repeat(256)}` } }
          : answer,
    });
    const one = await keeper();
    await one.settle();
    await slash(stage.world, stage.tier, 0, PART);
    await one.daemon.step();
    assert.ok(await unwound(0));
    assert.equal(one.said(/slashed by/), false);
  });

  it("deleverages until the tier is covered again", async () => {
    const one = await keeper();
    await one.settle();
    for (const group of [0, 5]) await slash(stage.world, stage.tier, group, WAD);
    await one.settle();
    const { needed } = await fields(z.object({ needed: z.boolean() }), stage.tier.allocator, "deleverageNeeded");
    assert.equal(needed, false, "nothing is left to cut");
    assert.ok(one.said(/^Done: deleverage/));
  });

  it("unwinds a set as soon as another slasher is announced for it", async () => {
    const one = await keeper({ config: NEVER });
    await one.daemon.step();
    await send(service(2).contract, "updateSlasher", 1, user(stage.world, 5).address);
    await one.daemon.step();
    assert.ok(one.said(/^The slasher of set 2 becomes/, "warn"));
    for (let turn = 0; turn < 3 && !(await unwound(2)); turn++) await one.daemon.step();
    assert.ok(await unwound(2));
  });

  it("pokes once when a set gets a new strategy, says so, and remembers it", async () => {
    const one = await keeper({ config: NEVER });
    await one.daemon.step();
    const { avs } = service(3).set;
    const { provider } = stage.world;
    await provider.send("hardhat_impersonateAccount", [avs]);
    await provider.send("hardhat_setBalance", [avs, `0x${ETH.toString(16)}`]);
    const manager = as(stage.world.local.core.allocationManager, new JsonRpcSigner(provider, avs));
    const strategy = user(stage.world, 6).address; // no tier has any of it
    await send(manager, "addStrategiesToOperatorSet", avs, 1, [strategy]);
    const from = await height();
    for (let turn = 0; turn < 4; turn++) {
      await one.daemon.step();
      await block();
    }
    assert.ok(one.said(/^Set 3: it has new strategies/, "warn"));
    assert.deepEqual(await transactions(one.wallet.address, from), { passed: 1, reverted: 0 });
    const known = one.journal.remembered().find(({ set }) => set === 3);
    assert.ok(known?.strategies.includes(strategy));
  });

  it("a reorg that takes the slash and the unwinding back leaves no trace, and the next slash is unwound", async () => {
    const one = await keeper();
    await one.settle();
    const fork = await mark(stage.world.chain.url);
    await slash(stage.world, stage.tier, 0, PART);
    await one.daemon.step();
    assert.ok(await unwound(0));
    await fork({ blocks: 4 });
    assert.equal(await unwound(0), false, "the chain never had it");
    await one.settle();
    assert.ok(one.said(/took blocks back/));
    assert.equal(one.journal.open().length, 0);
    await slash(stage.world, stage.tier, 1, PART);
    await one.settle();
    assert.ok(await unwound(1));
  });

  it("sends its transaction again when a reorg has the slash and not the unwinding", async () => {
    proxy().finality(10);
    const one = await keeper({ config: NEVER });
    await one.daemon.step();
    await slash(stage.world, stage.tier, 0, PART);
    const fork = await mark(stage.world.chain.url);
    await one.daemon.step();
    assert.ok(await unwound(0));
    await fork({ blocks: 2 });
    assert.equal(await unwound(0), false);
    for (let i = 0; i < 4 && !(await unwound(0)); i++) {
      await one.daemon.step();
      await block();
    }
    assert.ok(await unwound(0));
    await mine(stage.world, 12);
    await one.settle();
    assert.equal(one.journal.open().length, 0, "and it is final");
  });

  // --------------------------------------------------------------------------------------------------------- RPCs

  for (const [name, fail] of [
    ["dies", (sick: FaultProxy) => sick.inject("*", { kind: "close" })],
    ["hangs", (sick: FaultProxy) => sick.inject("*", { kind: "hang" })],
    ["cuts its answers", (sick: FaultProxy) => sick.inject("*", { kind: "cut" })],
    ["says that it is another chain", (sick: FaultProxy) => sick.wrongChain(1)],
  ] as const)
    it(`an RPC that ${name} does not keep it from unwinding in the next block`, async () => {
      const one = await keeper({ urls: proxies.map(({ url }) => url), config: { ...NEVER, agreement: 2 } });
      await one.daemon.step();
      await fail(proxy(0));
      await slash(stage.world, stage.tier, 0, PART);
      const slashed = await height();
      for (let turn = 0; turn < 4 && !(await unwound(0)); turn++) await one.daemon.step();
      assert.ok(await unwound(0));
      assert.equal(await height(), slashed + 1);
    });

  it("an RPC that stands still is left out as soon as another one shows it", async () => {
    const one = await keeper({ urls: proxies.map(({ url }) => url), config: { ...NEVER, agreement: 2 } });
    for (let i = 0; i < 4; i++) {
      // so it learns how long blocks take here
      await block();
      await one.daemon.step();
    }
    await proxy(0).freeze();
    await slash(stage.world, stage.tier, 0, PART);
    await mine(stage.world, 3);
    await until("it has unwound", async () => {
      await one.daemon.step();
      return unwound(0);
    });
  });

  it("lives on while all RPCs are dead, says so, and acts as soon as one is back", async () => {
    const one = await keeper({ config: NEVER });
    await one.daemon.step();
    const heal = proxy().inject("*", { kind: "close" });
    await slash(stage.world, stage.tier, 0, PART);
    assert.equal(await one.daemon.step(), false);
    assert.equal(await one.daemon.step(), false);
    assert.match(one.daemon.status().lastError ?? "", /head of the chain/);
    heal();
    await until("it has unwound", async () => {
      await one.daemon.step();
      return unwound(0);
    });
    assert.equal(one.daemon.status().lastError, undefined);
  });

  it("two RPCs that disagree stop it for a few blocks, loudly; then it protects all the same", async () => {
    const one = await keeper({ urls: proxies.map(({ url }) => url), config: { ...NEVER, agreement: 2 } });
    await one.daemon.step();
    proxy(1).inject(
      "eth_call",
      { kind: "lie", lie: () => ({ error: { code: 3, message: "execution reverted", data: "0x" } }) as never },
      { when: ({ params }) => JSON.stringify(params[0]).includes(SIMULATE) },
    );
    await slash(stage.world, stage.tier, 0, PART);
    const slashed = await height();
    await one.daemon.step();
    assert.equal(await height(), slashed, "nothing is sent");
    assert.ok(one.said(/do not agree/, "error"));
    for (let turn = 0; turn < 6 && !(await unwound(0)); turn++) {
      await block();
      await one.daemon.step();
    }
    assert.ok(await unwound(0));
    assert.match(await one.metrics.text(), /rpc_disagreements_total [1-9]/);
  });

  // --------------------------------------------------------------------------------------------------------- others

  it("of two keepers that race the loser pays for nothing once, and takes over when the other is gone", async () => {
    const [one, two] = [await keeper({ config: NEVER }), await keeper({ urls: [proxy(1).url], config: NEVER })];
    await one.daemon.step();
    await two.daemon.step();
    const from = await height();
    for (const group of [0, 1]) {
      await slash(stage.world, stage.tier, group, PART);
      await stage.world.provider.send("evm_setAutomine", [false]);
      for (let turn = 0; turn < 3; turn++) {
        await one.daemon.step();
        await two.daemon.step();
        await block();
      }
      await stage.world.provider.send("evm_setAutomine", [true]);
      assert.ok(await unwound(group));
    }
    const [ones, twos] = [await transactions(one.wallet.address, from), await transactions(two.wallet.address, from)];
    const all = ones.passed + ones.reverted + twos.passed + twos.reverted;
    assert.ok(all <= 3, `two slashes cost two transactions, and one more at most was for nothing: ${all}`);

    // whoever lost is alone now
    const loser = one.said(/^Came too late/) ? one : two;
    assert.ok(loser.said(/^Came too late/));
    await slash(stage.world, stage.tier, 3, PART);
    for (let turn = 0; turn < 4 && !(await unwound(3)); turn++) {
      await loser.daemon.step();
      await block();
    }
    assert.ok(await unwound(3));
  });

  it("an empty wallet is said loudly, and filled it acts; below the minimum the rest is kept for protection", async () => {
    const one = await keeper({ balance: "0", config: { routine: { every_seconds: 0 } } });
    await one.daemon.step();
    await slash(stage.world, stage.tier, 0, PART);
    await one.daemon.step();
    assert.equal(await unwound(0), false);
    assert.ok(one.said(/wallet is too empty/, "error"));
    // less than fees.min_balance_eth, enough for the ladder
    await stage.world.provider.send("hardhat_setBalance", [one.wallet.address, `0x${parseEther("0.19").toString(16)}`]);
    await depositEth(stage.world, user(stage.world, 2), stage.tier.junior, 50n * ETH);
    one.forget();
    for (let turn = 0; turn < 4; turn++) await one.daemon.step();
    assert.ok(await unwound(0));
    const nonce = await stage.world.provider.getTransactionCount(one.wallet.address);
    await one.daemon.step();
    assert.equal(await stage.world.provider.getTransactionCount(one.wallet.address), nonce, "routine waits for money");
    assert.ok(one.said(/wallet is too empty/, "error"));
  });

  it("while EigenLayer is paused it says why nothing is possible, pays nothing, and acts afterwards", async () => {
    const one = await keeper({ config: NEVER });
    await one.daemon.step();
    const manager = stage.world.local.core.allocationManager;
    await slash(stage.world, stage.tier, 0, PART);
    await send(manager, "pause", 1n);
    const from = await height();
    for (let i = 0; i < 5; i++) {
      await one.daemon.step();
      await block();
    }
    assert.equal(await unwound(0), false);
    assert.ok(one.said(/Not possible now: unwind .*paused/i));
    assert.ok((await transactions(one.wallet.address, from)).passed <= 1, "at most the sync");
    assert.equal((await transactions(one.wallet.address, from)).reverted, 0);
    await send(manager, "unpause", 0n);
    for (let i = 0; i < 10 && !(await unwound(0)); i++) {
      await one.daemon.step();
      await block();
    }
    assert.ok(await unwound(0));
  });

  it("a tier whose entries the guardian has paused is protected, and its exits are served", async () => {
    const one = await keeper();
    await one.settle();
    await send(as(stage.tier.tier, stage.world.local.signers.guardian), "pauseEntries");
    await slash(stage.world, stage.tier, 0, PART);
    await one.settle();
    assert.ok(await unwound(0));
  });

  it("a tier that cannot be read is said loudly and left alone until it can", async () => {
    const one = await keeper({ config: NEVER });
    await one.daemon.step();
    const steth = await stage.world.local.steth.getAddress();
    const code = await stage.world.provider.getCode(steth);
    const from = await height();
    await stage.world.provider.send("hardhat_setCode", [steth, "0xfe"]);
    await block();
    await one.daemon.step();
    assert.ok(one.said(/cannot be read/, "error"));
    assert.deepEqual(await transactions(one.wallet.address, from), { passed: 0, reverted: 0 });
    await stage.world.provider.send("hardhat_setCode", [steth, code]);
    await slash(stage.world, stage.tier, 0, PART);
    await one.daemon.step();
    assert.ok(one.said(/can be read again/i));
    assert.ok(await unwound(0));
  });

  // -------------------------------------------------------------------------------------------------------- routine

  it("restakes what is idle on final blocks only, and comes to rest", async () => {
    proxy().finality(3);
    const one = await keeper();
    await depositEth(stage.world, user(stage.world, 2), stage.tier.junior, 50n * ETH);
    const deposited = await height();
    for (let i = 0; i < 3; i++) {
      await one.daemon.step();
      await block();
    }
    assert.deepEqual(await transactions(one.wallet.address, deposited), { passed: 0, reverted: 0 }, "not final yet");
    for (let i = 0; i < 20 && !(one.daemon.status().settled && one.said(/^Done: deploy/)); i++) {
      await mine(stage.world, 2);
      await one.daemon.step();
    }
    assert.ok(one.daemon.status().settled, "it comes to rest");
    assert.ok(one.said(/^Done: deploy/));
    assert.equal((await transactions(one.wallet.address, deposited)).reverted, 0);
  });

  it("asks at most 2 times a block while there is nothing to do", async () => {
    const one = await keeper({ config: NEVER });
    await one.settle();
    proxy().reset();
    const blocks = 30;
    for (let i = 0; i < blocks; i++) {
      await block();
      await one.daemon.step();
    }
    assert.ok(proxy().total.calls <= 2 * blocks, `${proxy().total.calls} calls for ${blocks} blocks`);
    assert.ok(one.daemon.status().settled);
  });

  it("a dry run decides, simulates and says what it would send, and sends nothing", async () => {
    const one = await keeper({ config: { dry_run: true } });
    await one.settle();
    await slash(stage.world, stage.tier, 0, PART);
    await one.daemon.step();
    assert.ok(one.said(/^Would send: unwind/));
    assert.equal(proxy().counts.get("eth_sendRawTransaction"), undefined);
  });

  // ---------------------------------------------------------------------------------------------------- its own death

  it("forgets nothing when it is closed in the middle: the next process knows what is in flight", async () => {
    const folder = mkdtempSync(join(tmpdir(), "bulkhead-daemon-"));
    const wallet = Wallet.createRandom();
    try {
      const first = await keeper({ folder, wallet, config: NEVER });
      await first.daemon.step();
      await stage.world.provider.send("evm_setAutomine", [false]);
      await slashUnmined();
      await first.daemon.step();
      assert.equal(first.journal.open().length, 1);
      await first.close();
      keepers = [];
      const second = await keeper({ folder, wallet, balance: "", config: NEVER });
      const from = await height();
      for (let i = 0; i < 4; i++) {
        await second.daemon.step();
        await block();
      }
      await second.daemon.step();
      assert.ok(await unwound(0));
      assert.deepEqual(await transactions(wallet.address, from), { passed: 1, reverted: 0 });
      assert.equal(second.journal.open().length, 0);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
  /** Slashes while transactions wait for blocks; returns the block before. */
  const slashUnmined = async (): Promise<number> => {
    const before = await height();
    let mined = false;
    const done = slash(stage.world, stage.tier, 0, PART).then(() => {
      mined = true;
    });
    await until("it is slashed", async () => {
      if (!mined) await block();
      return mined;
    });
    await done;
    return before;
  };

  it("killed as a whole process after it has sent, it goes on where it was: the slash is unwound once", async () => {
    const folder = mkdtempSync(join(tmpdir(), "bulkhead-daemon-"));
    const wallet = Wallet.createRandom();
    const processes: KeeperProcess[] = [];
    try {
      await stage.world.provider.send("hardhat_setBalance", [wallet.address, `0x${parseEther("10").toString(16)}`]);
      const start = async () => {
        const started = await startKeeperProcess(stage, { folder, wallet, url: proxy().url });
        processes.push(started);
        return started;
      };
      const first = await start();
      await first.settled(await height());
      await stage.world.provider.send("evm_setAutomine", [false]);
      const from = await slashUnmined();
      await until("it has sent", async () => (proxy().counts.get("eth_sendRawTransaction")?.calls ?? 0) > 0);
      await first.kill();
      const second = await start();
      await until("it has unwound", async () => {
        await block();
        return unwound(0);
      });
      await stage.world.provider.send("evm_setAutomine", [true]);
      await block();
      await second.settled(await height());
      assert.deepEqual(await transactions(wallet.address, from), { passed: 1, reverted: 0 }, second.output());
      assert.equal(await second.stop(), 0, "asked to stop, it ends well");
    } finally {
      for (const one of processes) await one.kill();
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it("a bug ends it, so that its supervisor starts it again; an error of the world does not", async () => {
    let fault: Error | undefined;
    const one = await keeper({
      config: NEVER,
      wrap: (options) => ({
        ...options,
        plan: (...args) => {
          if (fault) throw fault;
          return options.plan(...args);
        },
      }),
    });
    await one.daemon.step();
    await slash(stage.world, stage.tier, 0, PART);
    fault = new Error("the world is not as expected");
    assert.equal(await one.daemon.step(), false);
    assert.match(one.daemon.status().lastError ?? "", /the world is not as expected/);
    fault = new TypeError("undefined is not a function");
    await assert.rejects(one.daemon.run(AbortSignal.timeout(5_000)), TypeError);
    fault = undefined;
    await one.daemon.step();
    assert.ok(await unwound(0));
  });
});
