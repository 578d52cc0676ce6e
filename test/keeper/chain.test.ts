/**
 * The chain as the keeper sees it, through RPCs that die, hang and lie: each fault on a real chain process behind a proxy
 * that makes it sick.
 */
import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { AbiCoder, concat, getCreateAddress, Interface, id, keccak256, toBeHex, Wallet, zeroPadValue } from "ethers";
import * as z from "zod";
import { hardhatArtifacts } from "../../deploy/eigenlayer.ts";
import { revertData } from "../../keeper/chain/answers.ts";
import { mayHold } from "../../keeper/chain/bloom.ts";
import { Endpoint, EndpointError } from "../../keeper/chain/endpoint.ts";
import { INCIDENT_TOPICS, incidentsIn, readIncident } from "../../keeper/chain/events.ts";
import { HeadFollower } from "../../keeper/chain/head.ts";
import { type PoolEvent, RpcPool, type RpcPoolOptions } from "../../keeper/chain/pool.ts";
import {
  BlockUnknown,
  CallReverted,
  type Header,
  RpcDisagreement,
  RpcError,
  TransactionRefused,
} from "../../keeper/chain/types.ts";
import { type Chain as Process, rpc, startChain } from "../../scripts/chain.ts";
import { buildContracts } from "../../scripts/lib/build.ts";
import { type FaultProxy, startProxy } from "./proxy.ts";
import { mark } from "./reorg.ts";

const CHAIN_ID = 31_337;
/** For what is late on purpose; elsewhere a busy machine must not be taken for a sick RPC. */
const DEADLINE = 0.8;
const HEDGE = 0.2;
const IMPATIENT = { timeoutSeconds: DEADLINE, hedgeSeconds: HEDGE };
// the first two accounts of the local chain
const OWNER = new Wallet("0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80");
const OTHER = new Wallet("0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d");

let chain: Process;
let proxies: FaultProxy[];
/** Answers with the number of the block, and `REVERTS` when it is called with anything. */
let counter: string;
/** An address where nobody listens. */
let nobody: string;
const pools: RpcPool[] = [];
const REVERTS = "0xdeadbeef";

before(async () => {
  await buildContracts();
  chain = await startChain();
  proxies = await Promise.all([startProxy(chain.url), startProxy(chain.url), startProxy(chain.url)]);
  const gone = await startProxy(chain.url);
  nobody = gone.url;
  await gone.close();
  counter = await deploy(
    // calldatasize, jump if any: revert(0xdeadbeef); else return(number)
    "0x36600b57435f5260205ff35b63deadbeef5f526004601cfd",
  );
  await mine(3);
});

after(async () => {
  for (const one of proxies) await one.close();
  await chain.stop();
});

afterEach(async () => {
  for (const one of proxies) one.clear();
  for (const one of pools.splice(0)) await one.close();
});

const mine = (blocks = 1): Promise<unknown> => rpc(chain.url, "hardhat_mine", [`0x${blocks.toString(16)}`]);
const height = async (): Promise<number> => Number(await rpc(chain.url, "eth_blockNumber", []));
const proxy = (index: number): FaultProxy => {
  const found = proxies[index];
  assert.ok(found);
  return found;
};

async function send(transaction: object): Promise<string> {
  return z.string().parse(await rpc(chain.url, "eth_sendTransaction", [{ from: OWNER.address, ...transaction }]));
}

/** A contract with this code. */
async function deploy(code: string): Promise<string> {
  const nonce = Number(await rpc(chain.url, "eth_getTransactionCount", [OWNER.address, "latest"]));
  const size = (code.length - 2) / 2;
  // codecopy and return
  await send({ data: concat([`0x61${toBeHex(size, 2).slice(2)}80600a5f395ff3`, code]) });
  return getCreateAddress({ from: OWNER.address, nonce });
}

function pool(count: number, options: Partial<RpcPoolOptions> = {}): RpcPool & { readonly events: PoolEvent[] } {
  const events: PoolEvent[] = [];
  const made = new RpcPool({
    urls: proxies.slice(0, count).map(({ url }) => url),
    chainId: CHAIN_ID,
    timeoutSeconds: 8,
    maxHeadAgeSeconds: 0,
    onEvent: (event) => events.push(event),
    ...options,
  });
  pools.push(made);
  return Object.assign(made, { events });
}

const endpoint = (options: Partial<ConstructorParameters<typeof Endpoint>[0]> = {}): Endpoint =>
  new Endpoint({ url: proxy(0).url, name: "node", timeoutMs: 8_000, ...options });

const askNumber = (of: Endpoint) => of.request("eth_blockNumber", [], z.string());
const word = (n: number | bigint): string => toBeHex(n, 32);
const timed = async <T>(work: Promise<T>): Promise<{ value: T; seconds: number }> => {
  const begin = performance.now();
  const value = await work;
  return { value, seconds: (performance.now() - begin) / 1000 };
};
const calls = (of: FaultProxy, method: string): number => of.counts.get(method)?.calls ?? 0;
const nameOf = (index: number): string => new URL(proxy(index).url).host;
const fault =
  (kind: string, pattern = /./) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof EndpointError, String(error));
    assert.equal(error.fault, kind);
    assert.match(error.message, pattern);
    return true;
  };

async function eventually(holds: () => boolean | Promise<boolean>, seconds = 4): Promise<void> {
  const end = performance.now() + seconds * 1000;
  while (!(await holds())) {
    assert.ok(performance.now() < end, `it does not hold after ${seconds} s: ${holds}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

describe("One RPC", () => {
  test("an answer that does not come in time is an error of the RPC, and of nothing else", async () => {
    proxy(0).inject("eth_blockNumber", { kind: "hang" }, { times: 1 });
    const asked = await timed(askNumber(endpoint({ timeoutMs: DEADLINE * 1000 })).catch((error: unknown) => error));
    assert.ok(fault("timeout", /no answer within 0.8 s/)(asked.value));
    assert.ok(asked.seconds < DEADLINE + 0.5, `${asked.seconds} s`);
    assert.equal(Number(await askNumber(endpoint())), await height());
  });

  test("broken connections, HTTP errors and too many requests are told apart", async () => {
    const one = endpoint();
    proxy(0).inject("*", { kind: "close" }, { times: 1 });
    await assert.rejects(askNumber(one), fault("connection", /broke|failed/));
    proxy(0).inject("*", { kind: "status", status: 500, body: "<html>" }, { times: 1 });
    await assert.rejects(askNumber(one), fault("http", /status 500/));
    proxy(0).inject("*", { kind: "status", status: 429, retryAfter: 7 }, { times: 1 });
    await assert.rejects(
      askNumber(one),
      (error) => fault("limited")(error) && (error as EndpointError).retryAfter === 7000,
    );
    await assert.rejects(askNumber(endpoint({ url: nobody })), fault("connection", /nobody listens/));
    assert.deepEqual(
      { ...one.traffic.errors },
      { timeout: 0, connection: 1, http: 1, limited: 1, malformed: 0, oversize: 0, refused: 0, missing: 0 },
    );
  });

  test("an answer that was cut off anywhere is an error, never a value", async () => {
    const one = pool(1, { maxBatch: 1 });
    const truth = await one.call({ to: counter, data: "0x" }, "latest");
    const whole = JSON.stringify({ jsonrpc: "2.0", id: 1, result: truth }).length;
    for (const broken of [false, true])
      for (let bytes = 0; bytes < whole; bytes += 16) {
        const heal = proxy(0).inject("eth_call", { kind: "cut", bytes, broken }, { times: 1 });
        // the cut answer is not taken: it is asked again
        assert.equal(await one.call({ to: counter, data: "0x" }, "latest"), truth);
        heal();
      }
    // in the middle of the value, in an envelope that is whole
    proxy(0).inject("eth_call", { kind: "answer", answer: { result: truth.slice(0, 40) } });
    await assert.rejects(one.call({ to: counter, data: "0x" }, "latest"), /not whole words/);
  });

  test("an answer larger than the keeper is ready to read is cut off", async () => {
    proxy(0).inject("*", { kind: "pad", bytes: 200_000 }, { times: 1 });
    await assert.rejects(askNumber(endpoint({ maxBytes: 100_000 })), fault("oversize", /more than 100000 bytes/));
  });

  test("what is not an answer to the question is not taken", async () => {
    const one = pool(1);
    const head = await one.header("latest");
    assert.ok(head);
    const strange: unknown[] = ["0x1", { number: "0x1" }];
    for (const result of strange) {
      const heal = proxy(0).inject("eth_getBlockByNumber", { kind: "answer", answer: { result } });
      await assert.rejects(one.header("latest"), RpcError);
      heal();
    }
    // another block than the one that was asked for
    proxy(0).inject("eth_getBlockByHash", {
      kind: "custom",
      handle: (_, forward) => forward({ id: 1, method: "eth_getBlockByNumber", params: ["0x1", false] }),
    });
    await assert.rejects(one.header({ hash: head.hash }), /another block/);
  });

  test("requests of the same moment go in one HTTP request, and one that fails takes no other along", async () => {
    const one = endpoint();
    proxy(0).reset();
    const [number, bad, chainId] = await Promise.allSettled([
      askNumber(one),
      one.request("eth_nonsense", [], z.string()),
      one.request("eth_chainId", [], z.string()),
    ]);
    assert.equal(proxy(0).total.http, 1);
    assert.equal(number.status, "fulfilled");
    assert.equal(chainId.status === "fulfilled" && Number(chainId.value), CHAIN_ID);
    assert.ok(bad.status === "rejected" && fault("refused", /not supported/)(bad.reason));
  });

  test("an RPC that takes no batches is asked one by one", async () => {
    const one = endpoint();
    proxy(0).refuseBatches(400);
    proxy(0).reset();
    for (const posts of [3, 6, 8]) {
      const answers = await Promise.all([askNumber(one), askNumber(one)]);
      assert.equal(new Set(answers).size, 1);
      assert.equal(proxy(0).total.http, posts, "twice it tries, then it knows");
    }
  });

  test("an error never shows the RPC's address, which often holds a key", async () => {
    const secret = "SECRETKEY";
    const one = pool(0, {
      urls: [`${nobody.replace("//", `//user:${secret}@`)}/v3/${secret}?k=${secret}`, `${proxy(0).url}/${secret}`],
    });
    proxy(0).inject("*", { kind: "status", status: 403, body: secret });
    const asks = [
      () => one.header("latest"),
      () => one.broadcast("0x1234"),
      () => one.agreedCall({ to: counter, data: "0x" }, "latest", 2),
    ];
    for (const ask of asks)
      await assert.rejects(ask(), (error: Error) => {
        assert.ok(!(error.stack ?? "").includes(secret), error.stack);
        assert.match(error.message, /127\.0\.0\.1/);
        return true;
      });
    assert.ok(!JSON.stringify([one.events, one.status()]).includes(secret));
  });

  test("a contract's revert is told from an RPC's error, whatever words the client has for it", () => {
    const reason = concat(["0x08c379a0", AbiCoder.defaultAbiCoder().encode(["string"], ["no"])]);
    const reverts: [string, { code: number; message: string; data?: unknown }, string][] = [
      ["geth", { code: 3, message: "execution reverted", data: REVERTS }, REVERTS],
      ["geth, no data", { code: -32000, message: "execution reverted" }, "0x"],
      ["geth, assertion", { code: -32000, message: "invalid opcode: INVALID" }, "0x"],
      ["Erigon", { code: 3, message: "execution reverted: no", data: reason }, reason],
      ["Reth", { code: 3, message: "execution reverted: custom error 0xdeadbeef", data: REVERTS }, REVERTS],
      ["Besu", { code: -32000, message: "Execution reverted", data: REVERTS }, REVERTS],
      ["Nethermind", { code: -32000, message: "execution reverted", data: REVERTS }, REVERTS],
      ["old Nethermind", { code: -32015, message: "VM execution error.", data: `Reverted ${REVERTS}` }, REVERTS],
      ["old Nethermind, text", { code: -32015, message: "VM execution error.", data: "revert: no" }, reason],
      ["OpenEthereum", { code: -32015, message: "VM execution error.", data: "Reverted 0x" }, "0x"],
      ["Hardhat", { code: 3, message: "VM Exception while processing transaction: reverted", data: REVERTS }, REVERTS],
      [
        "Hardhat 2",
        { code: -32603, message: "Error: VM Exception: reverted", data: { message: "x", data: REVERTS } },
        REVERTS,
      ],
      ["Ganache", { code: -32000, message: "Internal", data: { message: "revert", data: REVERTS } }, REVERTS],
      ["a gateway", { code: -32603, message: `execution reverted (return data: ${REVERTS})` }, REVERTS],
    ];
    for (const [client, error, data] of reverts) assert.equal(revertData(error), data, client);
    for (const message of ["header not found", "missing trie node", "rate limit exceeded", "out of gas", "timeout"])
      assert.equal(revertData({ code: -32000, message, data: { message } }), undefined, message);
  });

  test("a real revert keeps its data, and costs the RPC nothing of its good name", async () => {
    const one = pool(2);
    for (let i = 0; i < 5; i++)
      await assert.rejects(
        one.call({ to: counter, data: "0x01" }, "latest"),
        (error) => error instanceof CallReverted && error.data === REVERTS,
      );
    assert.equal(calls(proxy(1), "eth_call"), 0);
    assert.equal(one.status()[0]?.score, 1);
  });
});

describe("Several RPCs", () => {
  test("the next answers at once when the best is dead, and the dead one is left alone until it is back", async () => {
    const two = pool(2);
    await two.header("latest");
    proxy(0).inject("*", { kind: "close" });
    const asked = await timed(two.call({ to: counter, data: "0x" }, "latest"));
    assert.equal(BigInt(asked.value), BigInt(await height()));
    assert.ok(asked.seconds < 1, `${asked.seconds} s`);
    for (let i = 0; i < 4; i++) {
      await two.header("latest");
      await new Promise((resolve) => setTimeout(resolve, 60)); // failures of one moment count once
    }
    assert.equal(two.status()[0]?.state, "left alone");
    proxy(0).reset();
    await two.header("latest");
    assert.equal(proxy(0).total.calls, 0);
    proxy(0).clear();
    // nobody asks for it to be tried again
    await eventually(async () => {
      await two.header("latest");
      return two.status()[0]?.state === "well";
    });
    assert.deepEqual(
      two.events.map(({ kind, endpoint }) => [kind, endpoint]),
      [
        ["left alone", nameOf(0)],
        ["well again", nameOf(0)],
      ],
    );
  });

  test("an RPC that hangs costs a moment, not its deadline", async () => {
    const two = pool(2, IMPATIENT);
    await two.header("latest");
    proxy(0).inject("*", { kind: "hang" });
    const asked = await timed(two.call({ to: counter, data: "0x" }, "latest"));
    assert.ok(asked.seconds > HEDGE * 0.9 && asked.seconds < DEADLINE * 0.75, `${asked.seconds} s`);
    assert.equal(two.counters.hedges, 1);
    assert.match(two.status()[0]?.lastError ?? "", /no answer within/);
  });

  test("a burst of requests that one broken connection takes along counts as one failure", async () => {
    const one = pool(1);
    await one.header("latest");
    proxy(0).inject("*", { kind: "close" }, { times: 1 });
    const answers = await Promise.all(Array.from({ length: 8 }, () => one.call({ to: counter, data: "0x" }, "latest")));
    assert.equal(new Set(answers).size, 1);
    assert.deepEqual(one.events, []);
  });

  test("who asks to be left alone is left alone for as long as he says", async () => {
    const two = pool(2);
    await two.header("latest");
    proxy(0).inject("*", { kind: "status", status: 429, retryAfter: 2 }, { times: 1 });
    await two.header("latest");
    proxy(0).reset();
    await new Promise((resolve) => setTimeout(resolve, 1200));
    await two.header("latest");
    assert.equal(proxy(0).total.calls, 0);
    assert.equal(two.status()[0]?.state, "left alone");
  });

  test("an RPC on another chain is reported and never asked again", async () => {
    proxy(0).wrongChain(5);
    const two = pool(2);
    await two.header("latest");
    assert.deepEqual(two.events, [{ kind: "wrong chain", endpoint: nameOf(0), detail: "it is on chain 5, not 31337" }]);
    proxy(0).reset();
    await Promise.all([
      two.header("latest"),
      two.nonce(OWNER.address, "latest"),
      two.call({ to: counter, data: "0x" }, "latest"),
    ]);
    assert.equal(proxy(0).total.calls, 0);

    const alone = pool(1);
    for (let i = 0; i < 2; i++) await assert.rejects(alone.header("latest"), /chain 5, not 31337/);
  });

  test("an RPC whose head stands still is left out, and taken in again when it moves", async () => {
    const two = pool(2);
    await two.header("latest");
    // it learns how long blocks take here
    for (let i = 0; i < 4; i++) {
      await mine();
      await two.header("latest");
    }
    const heal = await proxy(0).freeze();
    await mine(4);
    await eventually(async () => (await two.header("latest"))?.number === (await height()));
    assert.equal(two.status()[0]?.state, "stale");
    assert.equal(BigInt(await two.call({ to: counter, data: "0x" }, "latest")), BigInt(await height()));
    heal();
    await eventually(async () => {
      await mine();
      await two.header("latest");
      return two.status()[0]?.state === "well";
    });
    assert.deepEqual(
      two.events.map(({ kind }) => kind),
      ["stale", "well again"],
    );
  });

  test("a head that is too old is refused, with what may be the cause", async () => {
    const clock = await chainClock();
    proxy(0).skew(-1_000_000);
    const one = pool(1, { maxHeadAgeSeconds: 60, clock });
    for (let i = 0; i < 2; i++)
      await assert.rejects(one.header("latest"), /No RPC has a fresh head.*clock.*max_head_age_seconds to 0/s);
    // one that is fresh is enough
    const two = pool(2, { maxHeadAgeSeconds: 60, clock });
    assert.equal((await two.header("latest"))?.number, await height());
    assert.equal(two.status()[0]?.state, "stale");
  });

  test("a wrong clock of this machine does not stop the keeper: a head that moves is alive", async () => {
    const clock = await chainClock();
    const one = pool(1, { maxHeadAgeSeconds: 60, clock: () => clock() + 3600 });
    await assert.rejects(one.header("latest"), /fresh head/);
    await mine();
    const follower = new HeadFollower(one, { pollSeconds: 1, clock: () => clock() + 3600 });
    const change = await follower.poll();
    assert.equal(change?.head.number, await height());
    assert.ok(change && change.skew > 3500, "and the skew is told");
    assert.equal(one.status()[0]?.state, "well");
  });

  test("a block that one RPC has not got yet is waited for a moment", async () => {
    const two = pool(2);
    await two.agreedCall({ to: counter, data: "0x" }, "latest", 2);
    const thaw = await proxy(1).freeze();
    await mine();
    const head = await two.header("latest");
    assert.ok(head);
    setTimeout(thaw, 250);
    assert.equal(
      BigInt(await two.agreedCall({ to: counter, data: "0x" }, { hash: head.hash }, 2)),
      BigInt(head.number),
    );
    assert.equal(two.counters.thinAgreements, 0);
  });

  test("a block that nobody has is not the RPCs' fault", async () => {
    const two = pool(2);
    await assert.rejects(two.call({ to: counter, data: "0x" }, { hash: keccak256("0x01") }), BlockUnknown);
    assert.equal(await two.header({ hash: keccak256("0x01") }), undefined);
    assert.deepEqual(
      two.status().map(({ state, score }) => [state, score]),
      [
        ["well", 1],
        ["well", 1],
      ],
    );
  });

  test("one that lies is outvoted by two, named, and soon left alone", async () => {
    const three = pool(3);
    proxy(0).inject("eth_call", { kind: "answer", answer: { result: word(7) } });
    for (let i = 0; i < 3; i++) {
      assert.equal(BigInt(await three.agreedCall({ to: counter, data: "0x" }, "latest", 2)), BigInt(await height()));
    }
    const kinds = three.events.filter(({ endpoint }) => endpoint === nameOf(0)).map(({ kind }) => kind);
    assert.deepEqual(kinds, ["disagreement", "disagreement", "left alone"]);
    assert.equal(three.counters.disagreements, 2);
  });

  test("a lie that is a revert is a lie, too; a revert that all see is a revert", async () => {
    const three = pool(3);
    proxy(0).inject("eth_call", { kind: "answer", answer: { error: { code: 3, message: "reverted", data: "0x" } } });
    assert.equal(BigInt(await three.agreedCall({ to: counter, data: "0x" }, "latest", 2)), BigInt(await height()));
    proxy(0).clear();
    await assert.rejects(three.agreedCall({ to: counter, data: "0x01" }, "latest", 3), CallReverted);
  });

  test("where one says this and one that, neither is believed, and the error says who said what", async () => {
    const two = pool(2);
    proxy(1).inject("eth_call", { kind: "answer", answer: { result: word(7) } });
    await assert.rejects(two.agreedCall({ to: counter, data: "0x" }, "latest", 2), (error: Error) => {
      assert.ok(error instanceof RpcDisagreement);
      assert.ok(error.message.includes(nameOf(0)) && error.message.includes(nameOf(1)), error.message);
      return true;
    });
    assert.equal(two.counters.disagreements, 1);
  });

  test("an agreement is made by those that are alive, without waiting for the dead", async () => {
    const two = pool(2, IMPATIENT);
    await two.header("latest");
    proxy(1).inject("*", { kind: "hang" });
    const first = await timed(two.agreedCall({ to: counter, data: "0x" }, "latest", 2));
    assert.ok(first.seconds < DEADLINE, `${first.seconds} s`);
    assert.equal(two.counters.thinAgreements, 1);
    await eventually(async () => {
      await two.agreedCall({ to: counter, data: "0x" }, "latest", 2);
      return two.status()[1]?.state === "left alone";
    });
    const later = await timed(two.agreedCall({ to: counter, data: "0x" }, "latest", 2));
    assert.ok(later.seconds < HEDGE, `${later.seconds} s`);
  });

  test("an RPC that has no code where there is some, or gives what cannot be read, is not believed", async () => {
    const two = pool(2);
    proxy(0).inject("eth_call", { kind: "answer", answer: { result: "0x" } });
    proxy(0).inject("eth_getCode", { kind: "answer", answer: { result: "0x" } });
    assert.equal(BigInt(await two.call({ to: counter, data: "0x" }, "latest")), BigInt(await height()));
    assert.notEqual(await two.code(counter, "latest"), "0x");
    proxy(0).clear();
    proxy(0).inject("eth_call", { kind: "answer", answer: { result: word(7) } });
    const check = (answer: string) => {
      if (BigInt(answer) === 7n) throw new Error("seven is none");
    };
    assert.equal(BigInt(await two.call({ to: counter, data: "0x", check }, "latest")), BigInt(await height()));
    assert.match(two.status()[0]?.lastError ?? "", /seven is none/);
    // where nobody's can be read, the reader's own error tells more
    await assert.rejects(pool(1).call({ to: counter, data: "0x", check }, "latest"), { message: "seven is none" });
  });

  test("receipts that one RPC swallows, and transactions that it forgot, are found at the other", async () => {
    const hash = await send({ to: OTHER.address, value: "0x1" });
    proxy(0).swallowReceipts();
    proxy(0).inject("eth_getTransactionByHash", { kind: "answer", answer: { result: null } });
    const two = pool(2);
    const receipt = await two.receipt(hash);
    assert.equal(receipt?.hash, hash);
    assert.equal(receipt?.succeeded, true);
    assert.equal(receipt?.gasUsed, 21_000n);
    assert.equal(await two.knows(hash), true);
    assert.equal(await two.receipt(keccak256("0x02")), undefined);
    assert.equal(await two.knows(keccak256("0x02")), false);
  });

  test("one RPC cannot invent transactions of the account, nor forget them", async () => {
    const three = pool(3);
    const truth = Number(await rpc(chain.url, "eth_getTransactionCount", [OWNER.address, "latest"]));
    const heal = proxy(0).lieAboutNonces(5);
    assert.equal(await three.nonce(OWNER.address, "latest"), truth);
    heal();
    proxy(1).lieAboutNonces(-1);
    assert.equal(await three.nonce(OWNER.address, "latest"), truth);
    assert.equal(await pool(2).nonce(OWNER.address, "latest"), truth);
  });

  test("fees: the next block's base fee and what the last blocks' transactions paid; without the method, what is safe", async () => {
    await send({ to: OTHER.address, value: "0x1", maxPriorityFeePerGas: "0x77359400", maxFeePerGas: "0x174876e800" });
    const two = pool(2);
    const fees = await two.fees();
    await mine();
    assert.equal(fees.baseFee, (await two.header("latest"))?.baseFee);
    assert.equal(fees.tips[2], 2_000_000_000n);
    for (const one of proxies)
      one.inject("eth_feeHistory", { kind: "answer", answer: { error: { code: -32601, message: "no such method" } } });
    const head = await two.header("latest");
    assert.ok(head);
    assert.deepEqual(await two.fees(), { baseFee: (head.baseFee * 9n) / 8n, tips: [0n, 0n, 0n] });
  });
});

describe("Sending", () => {
  const sign = async (overrides: object = {}) => {
    const nonce = Number(await rpc(chain.url, "eth_getTransactionCount", [OTHER.address, "pending"]));
    return await OTHER.signTransaction({
      type: 2,
      chainId: CHAIN_ID,
      nonce,
      to: OWNER.address,
      value: 1n,
      gasLimit: 21_000n,
      maxFeePerGas: 100_000_000_000n,
      maxPriorityFeePerGas: 1_000_000_000n,
      ...overrides,
    });
  };
  const refused = (reason: string) => (error: unknown) =>
    error instanceof TransactionRefused && error.reason === reason;

  test("a transaction goes to every RPC, and one that takes it is enough", async () => {
    const two = pool(2, IMPATIENT);
    await two.header("latest");
    proxy(0).dropTransactions();
    const raw = await sign();
    const hash = await two.broadcast(raw);
    assert.equal(hash, keccak256(raw));
    await eventually(async () => (await two.receipt(hash)) !== undefined);
    for (const one of [proxy(0), proxy(1)]) assert.ok(one.sent.includes(raw));

    proxy(0).clear();
    proxy(0).inject("*", { kind: "hang" });
    const next = await timed(two.broadcast(await sign()));
    assert.ok(next.seconds < HEDGE, `${next.seconds} s`);
  });

  test("sent twice, or known already, is sent", async () => {
    await rpc(chain.url, "evm_setAutomine", [false]);
    try {
      proxy(0).duplicateTransactions();
      const one = pool(1);
      const raw = await sign();
      assert.equal(await one.broadcast(raw), keccak256(raw));
      assert.equal(await one.broadcast(raw), keccak256(raw));
      assert.equal(await one.knows(keccak256(raw)), true);
    } finally {
      await rpc(chain.url, "evm_setAutomine", [true]);
      await mine();
    }
  });

  test("an answer that was lost is not a transaction that was lost", async () => {
    const one = pool(1);
    await one.header("latest");
    const raw = await sign();
    proxy(0).inject("eth_sendRawTransaction", { kind: "lose" }, { times: 1 });
    await assert.rejects(
      one.broadcast(raw),
      (error) => error instanceof RpcError && !(error instanceof TransactionRefused),
    );
    assert.equal(await one.knows(keccak256(raw)), true);
  });

  test("why it is refused is told in the same words, whoever refuses", async () => {
    const two = pool(2);
    await assert.rejects(two.broadcast(await sign({ nonce: 0 })), refused("nonce too low"));
    await assert.rejects(two.broadcast(await sign({ value: 10n ** 30n })), refused("insufficient funds"));
    await rpc(chain.url, "evm_setAutomine", [false]);
    try {
      const nonce = Number(await rpc(chain.url, "eth_getTransactionCount", [OTHER.address, "pending"]));
      await two.broadcast(await sign({ nonce }));
      await assert.rejects(two.broadcast(await sign({ nonce, value: 2n })), refused("underpriced"));
    } finally {
      await rpc(chain.url, "evm_setAutomine", [true]);
      await mine();
    }
  });
});

describe("The head", () => {
  test("a quiet block costs one request, and a poll without one too", async () => {
    const one = pool(1);
    const follower = new HeadFollower(one, { pollSeconds: 1 });
    await follower.poll();
    await follower.final();
    proxy(0).reset();
    for (let i = 0; i < 10; i++) {
      await mine();
      assert.equal((await follower.poll())?.added.length, 1);
      await follower.final();
    }
    assert.deepEqual(
      [...proxy(0).counts].map(([method, { calls: n }]) => [method, n]),
      [["eth_getBlockByNumber", 10]],
    );
    assert.equal(await follower.poll(), undefined);
  });

  test("blocks that came between two polls are looked at in order; a long absence is jumped over", async () => {
    const follower = new HeadFollower(pool(1), { pollSeconds: 1 });
    const first = await follower.poll();
    assert.ok(first);
    await mine(5);
    const change = await follower.poll();
    const numbers = [1, 2, 3, 4, 5].map((i) => first.head.number + i);
    assert.deepEqual(
      change?.added.map(({ number }) => number),
      numbers,
    );
    await mine(5_000);
    const jump = await follower.poll();
    assert.ok(jump?.jumped);
    assert.deepEqual([jump.added.length, jump.removed.length], [1, 0]);
  });

  test("blocks that the chain took back are named, and those that came instead", async () => {
    const follower = new HeadFollower(pool(1), { pollSeconds: 1 });
    const base = await follower.poll();
    assert.ok(base);
    const reorg = await mark(chain.url);
    await mine(3);
    const old = await follower.poll();
    await reorg({ blocks: 2 }); // shorter, as a chain with other weights can be
    const change = await follower.poll();
    assert.deepEqual(
      change?.removed.map(({ hash }) => hash),
      old?.added.map(({ hash }) => hash).reverse(),
    );
    assert.deepEqual(
      change?.added.map(({ number }) => number),
      [base.head.number + 1, base.head.number + 2],
    );
    assert.equal(change?.jumped, false);
    // and in a long absence: which of the remembered ones do not stand any more is searched
    await reorg({ blocks: 40 });
    const jump = await follower.poll();
    assert.ok(jump?.jumped);
    assert.deepEqual(
      jump.removed.map(({ hash }) => hash),
      change?.added.map(({ hash }) => hash).reverse(),
    );
  });

  test("an RPC that is behind for a moment is not a reorg", async () => {
    const one = pool(1);
    const follower = new HeadFollower(one, { pollSeconds: 1 });
    await follower.poll();
    await mine(3);
    const head = await follower.poll();
    const thaw = await proxy(0).freeze((head?.head.number ?? 0) - 2);
    for (let i = 0; i < 3; i++) assert.equal(await follower.poll(), undefined);
    thaw();
    await mine();
    const next = await follower.poll();
    assert.deepEqual([next?.added.length, next?.removed.length], [1, 0]);
  });

  test("the final block lags, is asked for once in 32 blocks, and never goes back", async () => {
    proxy(0).finality(5);
    const follower = new HeadFollower(pool(1), { pollSeconds: 1 });
    const head = await follower.poll();
    assert.ok(head);
    assert.equal((await follower.final()).number, head.head.number - 5);
    proxy(0).reset();
    await mine(10);
    await follower.poll();
    proxy(0).reset();
    assert.equal((await follower.final()).number, head.head.number - 5);
    assert.equal(proxy(0).total.calls, 0);
    assert.equal((await follower.final(0)).number, head.head.number + 5);
    proxy(0).finality(40);
    await mine();
    await follower.poll();
    assert.equal((await follower.final(0)).number, head.head.number + 5);
  });

  test("where blocks keep time, about one poll finds each, soon after it is there", async () => {
    // the chain's clock and ours are simulated: 400 slots of 12 s, one of 50 without a block, arrivals between 1 s and 3 s
    let now = 1_000_000;
    let seed = 7;
    const random = () => {
      seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
      return seed / 2 ** 31;
    };
    const blocks: { header: Header; arrives: number }[] = [];
    for (let slot = 0; slot < 400; slot++) {
      if (slot > 0 && random() < 0.02) continue;
      const number = blocks.length;
      const header: Header = {
        number,
        hash: word(number + 1),
        parentHash: word(number),
        timestamp: now + 12 * slot,
        baseFee: 1n,
        gasLimit: 30_000_000n,
        logsBloom: "0x",
      };
      blocks.push({ header, arrives: header.timestamp + 1 + 2 * random() });
    }
    now = blocks[0]?.arrives ?? now;
    let polls = 0;
    const known = () => blocks.findLast(({ arrives }) => arrives <= now);
    const follower = new HeadFollower(
      {
        header: async () => {
          polls++;
          return known()?.header;
        },
      },
      { pollSeconds: 2, clock: () => now },
    );
    const late: number[] = [];
    while (late.length < blocks.length) {
      const change = await follower.poll();
      for (const { number } of change?.added ?? []) late.push(now - (blocks[number]?.arrives ?? 0));
      now += follower.delay();
      if (now > 1_000_000 + 12 * 401) break;
    }
    const mean = late.reduce((sum, one) => sum + one, 0) / late.length;
    assert.ok(polls / late.length < 1.25, `${polls / late.length} polls a block`);
    assert.ok(mean < 2, `${mean} s after it arrived`);
  });
});

describe("Logs", () => {
  /** Emits one log with this topic and data from a contract of its own, while it is created. */
  async function emit(topic: string, data: string): Promise<{ address: string; header: Header }> {
    const size = (data.length - 2) / 2;
    const nonce = Number(await rpc(chain.url, "eth_getTransactionCount", [OWNER.address, "latest"]));
    const head = `0x61${toBeHex(size, 2).slice(2)}602e5f397f${topic.slice(2)}61${toBeHex(size, 2).slice(2)}5fa100`;
    await send({ data: concat([head, data]), gas: "0xfffff" });
    const header = await pool(1).header("latest");
    assert.ok(header);
    return { address: getCreateAddress({ from: OWNER.address, nonce }).toLowerCase(), header };
  }

  const artifact = () =>
    hardhatArtifacts("LocalAllocationManager", "contracts/local/eigenlayer/LocalAllocationManager.sol");

  test("a block's bloom never hides a log that is in it, and hides most that are not", async () => {
    let chance = 0;
    for (let i = 0; i < 8; i++) {
      const topic = id(`event ${i}`);
      const { address, header } = await emit(topic, word(i));
      const logs = await pool(1).logs({ address: [address], topics: [topic], blockHash: header.hash });
      assert.equal(logs.length, 1, "the log is there");
      assert.ok(mayHold(header.logsBloom, [OTHER.address, address], [id("other"), topic]));
      if (mayHold(header.logsBloom, [address], [id("other")])) chance++;
      if (mayHold(header.logsBloom, [OTHER.address], [topic])) chance++;
    }
    assert.ok(chance <= 1, `${chance} of 16`);
  });

  test("EigenLayer's incidents are found by the topics of its own ABI, and read to the field", async () => {
    const face = Interface.from(artifact().abi);
    const avs = OTHER.address;
    const set = [avs, 5];
    const strategy = OWNER.address;
    const cases: [string, unknown[], unknown][] = [
      [
        "OperatorSlashed",
        [OWNER.address, set, [strategy], [10n ** 17n], "late"],
        {
          kind: "slashed",
          operator: OWNER.address,
          avs,
          set: 5,
          taken: [{ strategy, wad: 10n ** 17n }],
          description: "late",
        },
      ],
      [
        "SlasherUpdated",
        [set, OWNER.address, 77],
        { kind: "slasher", avs, set: 5, slasher: OWNER.address, effectBlock: 77 },
      ],
      ["AVSRegistrarSet", [avs, OWNER.address], { kind: "registrar", avs, registrar: OWNER.address }],
      ["StrategyAddedToOperatorSet", [set, strategy], { kind: "strategy", avs, set: 5, strategy }],
    ];
    const topics = cases.map(([name]) => face.getEvent(name)?.topicHash);
    assert.deepEqual([...INCIDENT_TOPICS].sort(), [...topics].sort());
    for (const [name, values, incident] of cases) {
      const event = face.getEvent(name);
      assert.ok(event);
      const { topics: encoded, data } = face.encodeEventLog(event, values);
      const { address, header } = await emit(z.string().parse(encoded[0]), data);
      const one = pool(1);
      assert.deepEqual(await incidentsIn(one, header, address), [incident]);
      proxy(0).reset();
      assert.deepEqual(await incidentsIn(one, header, zeroPadValue("0x01", 20)), []);
      assert.equal(proxy(0).total.calls, 0, "what the bloom excludes is not asked for");
    }
    assert.equal(readIncident({ topics: [INCIDENT_TOPICS[0] ?? ""], data: "0x01" }), undefined);
  });

  test("logs that an RPC leaves out are missing, and those that nobody asked for are refused", async () => {
    const topic = id("Gone()");
    const { address, header } = await emit(topic, "0x01");
    const filter = { address: [address], topics: [topic], blockHash: header.hash };
    const heal = proxy(0).dropLogs();
    assert.deepEqual(await pool(1).logs(filter), []);
    heal();
    const other = await emit(id("Other()"), "0x02");
    proxy(0).inject("eth_getLogs", {
      kind: "custom",
      handle: (_, forward) => forward({ id: 1, method: "eth_getLogs", params: [{ blockHash: other.header.hash }] }),
    });
    await assert.rejects(pool(1).logs(filter), /not asked for/);
    assert.equal((await pool(2).logs(filter)).length, 1);
  });
});

async function chainClock(): Promise<() => number> {
  const header = await pool(1).header("latest");
  assert.ok(header);
  const begin = performance.now();
  return () => header.timestamp + (performance.now() - begin) / 1000;
}
