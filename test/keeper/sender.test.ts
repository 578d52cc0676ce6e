/** Transactions on a real chain process, with its mempool: each test has an account and a payee of its own. */
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { parseEther, Transaction, Wallet } from "ethers";
import type { RpcPool } from "../../keeper/chain/pool.ts";
import { RpcDisagreement } from "../../keeper/chain/types.ts";
import { tariffs } from "../../keeper/transactions/fees.ts";
import type { Recorded } from "../../keeper/transactions/journal.ts";
import type { Outcome } from "../../keeper/transactions/types.ts";
import { UPKEEP } from "../../keeper/transactions/upkeep.ts";
import { rpc } from "../../scripts/chain.ts";
import { type FaultProxy, startProxy } from "./proxy.ts";
import {
  automine,
  batch,
  COINS,
  CONFIG,
  chainOf,
  coins,
  foreign,
  fund,
  type Keeper,
  mine,
  newKeeper,
  openKeeper,
  type Purse,
  payment,
  startPurse,
  walletSigner,
} from "./purse.ts";
import { mark } from "./reorg.ts";

let purse: Purse;
let proxy: FaultProxy;
let url: string;
/** Over the RPC that can be made sick. */
let sick: RpcPool;
let payee: string;

before(async () => {
  purse = await startPurse();
  url = purse.process.url;
  proxy = await startProxy(url);
});
after(async () => {
  await proxy?.close();
  await purse?.close();
});
afterEach(() => sick.close());
beforeEach(async () => {
  proxy.clear();
  sick = chainOf(proxy.url);
  await automine(url, false);
  await mine(url); // what an earlier test left in the mempool
  await baseFee(1);
  payee = Wallet.createRandom().address;
});

const paid = () => coins(purse.chain, purse.token, payee);
const pay = (urgency: "protection" | "routine" = "routine", amount = 1n) =>
  payment(purse.token, payee, urgency, amount);
const routine = () => batch([pay()]);
const protection = () => batch([pay("protection")]);
const used = (keeper: Keeper) => purse.chain.nonce(keeper.wallet.address, "latest");

/** Mines a block with this base fee; what offers less stays in the mempool. */
async function baseFee(gwei: number): Promise<void> {
  await rpc(url, "hardhat_setNextBlockBaseFeePerGas", [`0x${Math.round(gwei * 1e9).toString(16)}`]);
  await mine(url);
}

async function offer(keeper: Keeper, what = routine()): Promise<Outcome> {
  return keeper.sender.offer(what, await keeper.head());
}

async function sent(keeper: Keeper, what = routine()): Promise<Recorded> {
  const outcome = await offer(keeper, what);
  assert.equal(
    outcome.kind,
    "sent",
    JSON.stringify(outcome, (_, one) => (typeof one === "bigint" ? `${one}` : one)),
  );
  const [entry] = keeper.journal.history(1);
  assert.ok(entry);
  return entry;
}

/** A round in which only blocks up to `final` are final. */
async function tendWithFinal(keeper: Keeper, final: number): Promise<readonly Recorded[]> {
  return keeper.sender.tend(await keeper.head(), { number: final, hash: "0x", timestamp: 0 });
}

const entryOf = (keeper: Keeper, { id }: { readonly id: number }): Recorded => {
  const entry = keeper.journal.entry(id);
  assert.ok(entry);
  return entry;
};

test("what the contract refuses is dropped, with its error in words, and the rest is paid for once", async () => {
  const keeper = await newKeeper(purse);
  const outcome = await offer(keeper, batch([pay("routine", COINS * 2n), pay()]));
  assert.equal(outcome.kind, "sent");
  assert.ok(outcome.kind === "sent");
  assert.deepEqual(
    outcome.dropped.map(({ error }) => error.replace(/balance \d+/, "balance N")),
    [`ERC20InsufficientBalance(sender ${purse.upkeep}, balance N, needed ${COINS * 2n})`],
  );
  assert.equal(outcome.entry.actions.length, 1);
  await mine(url);
  const [over] = await keeper.tend();
  assert.equal(over?.stage, "final");
  assert.deepEqual(over?.done, [true]);
  assert.equal(await paid(), 1);

  const receipt = await purse.chain.receipt(over?.minedAs ?? "");
  assert.equal(over?.paid, (receipt?.gasUsed ?? 0n) * (receipt?.effectiveGasPrice ?? 0n));
  assert.deepEqual(keeper.journal.spent(), [
    { job: "deploy", succeeded: true, transactions: 1, gas: receipt?.gasUsed, wei: over?.paid },
  ]);
  assert.deepEqual(keeper.sender.inFlight(), []);
});

test("where no action passes nothing is written down and no nonce is taken", async () => {
  const keeper = await newKeeper(purse);
  const outcome = await offer(keeper, batch([pay("routine", COINS * 2n)]));
  assert.equal(outcome.kind, "refused");
  assert.deepEqual(keeper.journal.history(1), []);
});

test("a dry run simulates and sends nothing", async () => {
  const keeper = await newKeeper(purse, { dryRun: true });
  const outcome = await offer(keeper, batch([pay(), pay("routine", COINS * 2n)]));
  assert.equal(outcome.kind, "dry");
  assert.equal(outcome.kind === "dry" && outcome.dropped.length, 1);
  await mine(url);
  assert.equal(await used(keeper), 0);
  assert.deepEqual(keeper.journal.history(1), []);
});

test("a routine lane is busy until its block is final, protection's only until it is mined", async () => {
  const keeper = await newKeeper(purse);
  await sent(keeper, protection());
  await sent(keeper);
  assert.equal((await offer(keeper)).kind, "busy");
  assert.equal((await offer(keeper, protection())).kind, "busy");
  await mine(url);
  const { number } = await keeper.head();
  const changed = await tendWithFinal(keeper, number - 1);
  assert.deepEqual(
    changed.map(({ stage }) => stage),
    ["mined", "mined"],
  );
  assert.equal((await offer(keeper)).kind, "busy");
  assert.equal((await offer(keeper, protection())).kind, "sent");
  await tendWithFinal(keeper, number);
  assert.equal((await offer(keeper)).kind, "sent");
});

test("a decision on a head that does not have the lane's last transaction yet is not carried out", async () => {
  const keeper = await newKeeper(purse);
  const old = await keeper.head();
  const entry = await sent(keeper, protection());
  await mine(url);
  await keeper.tend();
  assert.equal(entryOf(keeper, entry).stage, "final");
  assert.equal((await keeper.sender.offer(protection(), old)).kind, "busy");
  assert.equal((await offer(keeper, protection())).kind, "sent");
});

test("above the cap of its urgency nothing is sent, and what it waits for is said", async () => {
  const keeper = await newKeeper(purse);
  await baseFee(100);
  await baseFee(100);
  const outcome = await offer(keeper);
  assert.equal(outcome.kind, "dear");
  assert.match(
    outcome.kind === "dear" ? outcome.detail : "",
    /base fee is [\d.]+ gwei, and routine pays at most 20 gwei/,
  );
  assert.equal((await offer(keeper, protection())).kind, "sent");
});

test("an account that cannot pay says so; the last of it is for protection", async () => {
  const keeper = await newKeeper(purse, { ether: 0.2 });
  const outcome = await offer(keeper);
  assert.equal(outcome.kind, "poor");
  assert.match(outcome.kind === "poor" ? outcome.detail : "", /keeps 0\.2 ETH for protection\. Send it ETH\./);
  assert.equal((await offer(keeper, protection())).kind, "sent");

  const empty = await newKeeper(purse, { ether: 0 });
  assert.equal((await offer(empty, protection())).kind, "poor");
  assert.deepEqual(empty.journal.history(1), []);
});

test("protection with little ETH offers less than it would, rather than nothing", async () => {
  const keeper = await newKeeper(purse, { ether: 0.0003 });
  const entry = await sent(keeper, protection());
  const [attempt] = entry.attempts;
  assert.ok(attempt && attempt.gasLimit * attempt.fees.maxFeePerGas <= parseEther("0.0003"));
  await mine(url);
  await keeper.tend();
  assert.equal(await paid(), 1);
});

test("what takes too long is replaced by at least an eighth more on both fees, and mined once", async () => {
  const keeper = await newKeeper(purse);
  const first = await sent(keeper);
  await baseFee(8);
  await keeper.tend();
  assert.equal(entryOf(keeper, first).attempts.length, 1); // it has two blocks' time
  await baseFee(8);
  await keeper.tend();
  const replaced = entryOf(keeper, first);
  assert.equal(replaced.attempts.length, 2);
  const [before, now] = replaced.attempts;
  assert.ok(before && now?.taken);
  assert.ok(now.fees.maxFeePerGas * 8n >= before.fees.maxFeePerGas * 9n);
  assert.ok(now.fees.maxPriorityFeePerGas * 8n >= before.fees.maxPriorityFeePerGas * 9n);
  assert.equal(Transaction.from(now.raw).nonce, Transaction.from(before.raw).nonce);
  await mine(url, 2);
  await keeper.tend();
  const over = entryOf(keeper, first);
  assert.equal(over.stage, "final");
  assert.equal(over.minedAs, now.hash);
  assert.equal(await paid(), 1);
  assert.equal(await used(keeper), 1);
});

test("at its cap it waits and says so, and is mined when fees fall", async () => {
  const keeper = await newKeeper(purse, {
    tariffs: tariffs({
      ...CONFIG.fees,
      routine: { max_fee_gwei: 3, tip_gwei: 0.1, replace_after_blocks: 1 },
    }),
  });
  const entry = await sent(keeper);
  for (let i = 0; i < 6; i++) {
    await baseFee(8);
    await keeper.tend();
  }
  const waiting = entryOf(keeper, entry);
  for (const { fees } of waiting.attempts) assert.ok(fees.maxFeePerGas <= 3_000_000_000n);
  assert.ok(keeper.notices.some(({ text }) => /cannot be replaced and waits.*at most 3 gwei/.test(text)));
  assert.equal(waiting.stage, "sent");
  await baseFee(1);
  await keeper.tend();
  assert.equal(entryOf(keeper, entry).stage, "final");
  assert.equal(await paid(), 1);
});

test("what is stuck when its reason goes is cancelled by an empty transaction, and the lane goes on", async () => {
  const keeper = await newKeeper(purse);
  const all = BigInt(await coins(purse.chain, purse.token, purse.upkeep));
  const entry = await sent(keeper, batch([pay("routine", all)]));
  const other = await newKeeper(purse);
  await rpc(url, "hardhat_setNextBlockBaseFeePerGas", [`0x${(8e9).toString(16)}`]);
  await sent(other, batch([payment(purse.token, other.wallet.address, "protection")])); // one coin is gone
  await mine(url);
  await baseFee(8);
  await keeper.tend();
  assert.equal(entryOf(keeper, entry).attempts.at(-1)?.kind, "cancel");
  await mine(url);
  await keeper.tend();
  const over = entryOf(keeper, entry);
  assert.equal(over.stage, "abandoned");
  assert.equal(over.cancelled, true);
  assert.equal(over.gasUsed, 21_000n);
  assert.equal(await paid(), 0);
  assert.deepEqual(
    keeper.journal.spent().map(({ job, gas }) => ({ job, gas })),
    [{ job: "cancel", gas: 21_000n }],
  );
  await sent(keeper);
  await mine(url);
  await keeper.tend();
  assert.equal(await paid(), 1);
});

test("what the RPCs forget is sent again", async () => {
  const keeper = await newKeeper(purse);
  const entry = await sent(keeper);
  await rpc(url, "hardhat_dropTransaction", [entry.hashes[0]]);
  await mine(url);
  assert.equal(await paid(), 0);
  await keeper.tend();
  await mine(url);
  await keeper.tend();
  assert.equal(entryOf(keeper, entry).stage, "final");
  assert.deepEqual(entryOf(keeper, entry).hashes, entry.hashes);
  assert.equal(await paid(), 1);
});

test("a transaction that no RPC takes is sent with the next block; one whose answer is lost is not sent twice", async () => {
  for (const kind of ["close", "lose"] as const) {
    const keeper = await newKeeper(purse, { chain: sick });
    payee = Wallet.createRandom().address;
    const heal = proxy.inject("eth_sendRawTransaction", { kind });
    const entry = await sent(keeper);
    assert.equal(entry.stage, "intended", kind);
    heal();
    await keeper.tend();
    assert.equal(entryOf(keeper, entry).stage, "sent");
    await mine(url);
    await keeper.tend();
    assert.equal(entryOf(keeper, entry).stage, "final");
    assert.equal(await paid(), 1);
    assert.equal(await used(keeper), 1);
  }
});

test("a wallet that is emptied between two steps loses nothing: the transaction goes out when it is filled", async () => {
  const keeper = await newKeeper(purse, {
    at: async (step) => {
      if (step === "intended") await fund(url, keeper.wallet.address, 0);
    },
  });
  const entry = await sent(keeper);
  assert.equal(entry.stage, "intended");
  await fund(url, keeper.wallet.address, 1);
  await keeper.tend();
  await mine(url);
  await keeper.tend();
  assert.equal(entryOf(keeper, entry).stage, "final");
  assert.equal(await paid(), 1);
});

test("what no RPC takes for long is given up and offered anew, at no higher price", async () => {
  let empty = true;
  const keeper = await newKeeper(purse, {
    at: async (step) => {
      if (step === "intended" && empty) await fund(url, keeper.wallet.address, 0);
    },
  });
  const first = await sent(keeper, protection());
  for (let i = 0; i < 3; i++) {
    await mine(url);
    await keeper.tend();
  }
  assert.equal(entryOf(keeper, first).stage, "abandoned");
  assert.equal((await offer(keeper, protection())).kind, "poor");
  await fund(url, keeper.wallet.address, 1);
  empty = false;
  const second = await sent(keeper, protection());
  assert.equal(second.nonce, first.nonce);
  const [before, now] = [first.attempts[0], second.attempts[0]];
  assert.ok(before && now && now.fees.maxPriorityFeePerGas <= before.fees.maxPriorityFeePerGas);
  await mine(url);
  await keeper.tend();
  assert.equal(await paid(), 1);
  assert.equal(await used(keeper), 1);
});

test("a nonce that somebody else used is given up when that is final, and the work is done under the next", async () => {
  const keeper = await newKeeper(purse);
  const entry = await sent(keeper);
  await foreign(purse, keeper.wallet, entry.nonce);
  await mine(url);
  await keeper.tend();
  assert.equal(entryOf(keeper, entry).stage, "sent"); // an RPC may be behind
  await mine(url);
  await keeper.tend();
  assert.equal(entryOf(keeper, entry).stage, "abandoned");
  assert.match(entryOf(keeper, entry).error ?? "", /not the keeper's: somebody else has its key/);
  assert.equal((await sent(keeper)).nonce, entry.nonce + 1);
  await mine(url);
  await keeper.tend();
  assert.equal(await paid(), 1);
});

test("protection does not wait for finality when its nonce was taken by somebody else", async () => {
  const keeper = await newKeeper(purse);
  const entry = await sent(keeper, protection());
  await foreign(purse, keeper.wallet, entry.nonce);
  await mine(url);
  const { number } = await keeper.head();
  await tendWithFinal(keeper, number - 10);
  await mine(url);
  assert.equal((await sent(keeper, protection())).nonce, entry.nonce + 1);
  await mine(url);
  await keeper.tend();
  assert.equal(await paid(), 1);
});

test("a transaction whose block is taken back is sent again, and paid for once", async () => {
  const keeper = await newKeeper(purse);
  const { number } = await keeper.head();
  const reorg = await mark(url);
  await automine(url, false);
  const entry = await sent(keeper);
  await mine(url);
  await tendWithFinal(keeper, number);
  assert.equal(entryOf(keeper, entry).stage, "mined");
  await reorg({ blocks: 1 });
  await automine(url, false);
  assert.equal(await paid(), 0);
  const [back] = await tendWithFinal(keeper, number);
  assert.equal(back?.stage, "sent");
  assert.equal(back?.minedIn, undefined);
  await mine(url);
  await tendWithFinal(keeper, number + 2);
  assert.equal(entryOf(keeper, entry).stage, "final");
  assert.equal(await paid(), 1);
  assert.deepEqual(entryOf(keeper, entry).hashes, entry.hashes);
});

test("a transaction that another block takes up after a reorg is not sent again", async () => {
  const keeper = await newKeeper(purse);
  const { number } = await keeper.head();
  const reorg = await mark(url);
  await automine(url, false);
  const entry = await sent(keeper);
  await mine(url);
  await tendWithFinal(keeper, number);
  const before = entryOf(keeper, entry).minedIn?.hash;
  await reorg({ blocks: 1, transactions: entry.attempts.map(({ raw }) => raw) });
  await tendWithFinal(keeper, number);
  const now = entryOf(keeper, entry);
  assert.equal(now.stage, "mined");
  assert.notEqual(now.minedIn?.hash, before);
  await automine(url, false);
  await tendWithFinal(keeper, number + 1);
  assert.equal(entryOf(keeper, entry).stage, "final");
  assert.equal(await paid(), 1);
});

test("the loser of a race pays once, and is told that somebody else was first", async () => {
  const [winner, loser] = [await newKeeper(purse), await newKeeper(purse)];
  const all = BigInt(await coins(purse.chain, purse.token, purse.upkeep));
  const reorg = await mark(url);
  await automine(url, false);
  const won = await sent(winner, batch([pay("protection", all)]));
  const lost = await sent(loser, batch([pay("routine", all)]));
  await mine(url);
  await Promise.all([winner.tend(), loser.tend()]);
  assert.equal(entryOf(winner, won).succeeded, true);
  const over = entryOf(loser, lost);
  assert.equal(over.succeeded, false);
  assert.deepEqual(over.done, [false]);
  assert.match(over.error ?? "", /somebody else was first/);
  assert.equal((await offer(loser, batch([pay("routine", all)]))).kind, "refused");
  assert.equal(await used(loser), 1);
  await reorg({ blocks: 1 }); // the coins come back for the other tests
});

test("protection goes ahead of a stuck routine transaction with a lower nonce: it is mined in the next block", async () => {
  const keeper = await newKeeper(purse);
  const stuck = await sent(keeper);
  await baseFee(30);
  await keeper.tend();
  payee = Wallet.createRandom().address;
  const urgent = await sent(keeper, protection());
  assert.ok(urgent.nonce > stuck.nonce);
  await rpc(url, "hardhat_setNextBlockBaseFeePerGas", [`0x${(30e9).toString(16)}`]);
  await mine(url);
  await keeper.tend();
  assert.equal(entryOf(keeper, urgent).stage, "final");
  assert.equal(entryOf(keeper, stuck).cancelled, true);
  assert.equal(await paid(), 1);
  assert.equal(await used(keeper), 2);
  assert.equal((await offer(keeper)).kind, "dear"); // the lane is free
});

test("nonces that an RPC invented are filled, so that what came after them is mined", async () => {
  const keeper = await newKeeper(purse, { chain: sick });
  const heal = proxy.lieAboutNonces(2);
  const entry = await sent(keeper);
  assert.equal(entry.nonce, 2);
  heal();
  await mine(url);
  await keeper.tend();
  await mine(url);
  await keeper.tend();
  assert.equal(entryOf(keeper, entry).stage, "final");
  assert.equal(await paid(), 1);
  assert.equal(await used(keeper), 3);
  assert.deepEqual(keeper.sender.inFlight(), []);
});

test("receipts that an RPC swallows delay the end and change nothing else", async () => {
  const keeper = await newKeeper(purse, { chain: sick });
  const entry = await sent(keeper);
  await mine(url);
  const heal = proxy.swallowReceipts();
  for (let i = 0; i < 3; i++) {
    await keeper.tend();
    await mine(url);
  }
  assert.equal(entryOf(keeper, entry).stage, "sent");
  heal();
  await keeper.tend();
  assert.equal(entryOf(keeper, entry).stage, "final");
  assert.equal(await used(keeper), 1);
  assert.equal(await paid(), 1);
});

test("a signer that fails costs no nonce, and one that signs something else is found out", async () => {
  const wallet = Wallet.createRandom();
  await fund(url, wallet.address, 1);
  const good = walletSigner(wallet);
  let broken: typeof good.sign = () => Promise.reject(new Error("the signer is locked"));
  const keeper = openKeeper(purse, wallet, ":memory:", {
    signer: { address: wallet.address, sign: (transaction) => broken(transaction) },
  });
  await assert.rejects(offer(keeper), /the signer is locked/);
  broken = (transaction) => walletSigner(Wallet.createRandom()).sign(transaction);
  await assert.rejects(offer(keeper), /not the transaction that it was asked for/);
  broken = good.sign;
  assert.equal((await sent(keeper)).nonce, 0);
  await mine(url);
  await keeper.tend();
  assert.equal(await paid(), 1);
});

test("a signer that fails while something must be replaced stops nothing: it is replaced when it signs again", async () => {
  const wallet = Wallet.createRandom();
  await fund(url, wallet.address, 1);
  const good = walletSigner(wallet);
  let locked = false;
  const keeper = openKeeper(purse, wallet, ":memory:", {
    signer: {
      address: wallet.address,
      sign: async (transaction) => {
        if (locked) throw new Error("the signer is locked");
        return good.sign(transaction);
      },
    },
  });
  const entry = await sent(keeper);
  locked = true;
  for (let i = 0; i < 2; i++) await baseFee(8);
  await keeper.tend();
  assert.ok(keeper.notices.some(({ text }) => /cannot be looked after in this block: the signer is locked/.test(text)));
  assert.equal(entryOf(keeper, entry).attempts.length, 1);
  locked = false;
  await keeper.tend();
  await mine(url);
  await keeper.tend();
  assert.equal(entryOf(keeper, entry).stage, "final");
  assert.equal(await paid(), 1);
});

test("offers that are made at once get a nonce each", async () => {
  const keeper = await newKeeper(purse);
  const others = [1, 2, 3].map((i) => `0x${String(i).repeat(40)}`);
  const head = await keeper.head();
  const outcomes = await Promise.all(
    others.map((tier) => keeper.sender.offer({ tier, urgency: "routine", actions: [{ ...pay(), tier }] }, head)),
  );
  assert.deepEqual(outcomes.map((one) => (one.kind === "sent" ? one.entry.nonce : one.kind)).sort(), [0, 1, 2]);
  await mine(url);
  await keeper.tend();
  assert.equal(await paid(), 3);
  assert.deepEqual(keeper.sender.inFlight(), []);
});

test("a sender without a key refuses to start unless it is a dry run", () => {
  assert.throws(
    () => openKeeper(purse, Wallet.createRandom(), ":memory:", { signer: undefined }),
    /no key to sign with.*dry run/,
  );
});

test("protection that two RPCs see differently is not sent; routine asks one", async () => {
  const both = chainOf(url, proxy.url);
  try {
    const keeper = await newKeeper(purse, { chain: both, agreement: 2 });
    const heal = proxy.inject("eth_call", {
      kind: "lie",
      lie: () => ({ result: UPKEEP.encodeFunctionResult("simulate", [[[false, 0n, "0x", 0n]]]) }),
    });
    await assert.rejects(offer(keeper, protection()), RpcDisagreement);
    assert.deepEqual(keeper.journal.history(1), []);
    assert.equal((await offer(keeper)).kind, "sent");
    heal();
    assert.equal((await offer(keeper, protection())).kind, "sent");
    await mine(url);
    await keeper.tend();
    assert.equal(await paid(), 1); // the routine one made way
  } finally {
    await both.close();
  }
});
