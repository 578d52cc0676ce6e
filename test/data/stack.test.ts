import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { id, parseEther } from "ethers";
import * as z from "zod";
import { loadNetwork, networkFile } from "../../deploy/network.ts";
import { saveDeployment } from "../../deployments/index.ts";
import { type Chain, rpc, startChain } from "../../scripts/chain.ts";
import { type Bridge, needsBridge, startBridge } from "../../stack/bridge.ts";
import { chainOf } from "../../stack/local.ts";
import { service, startGuardian } from "../../stack/process.ts";
import { deploymentOn, fillManifest, networks, placeOf, SUBGRAPH } from "../../stack/render.ts";
import { startStack } from "../../stack/start.ts";
import { type Stack, StackError } from "../../stack/types.ts";
import { depositEth, user } from "../integration/world.ts";
import { openStage, type Stage } from "../keeper/daemon-world.ts";
import { type FaultProxy, startProxy } from "../keeper/proxy.ts";
import { mark } from "../keeper/reorg.ts";

const hex = (n: number) => `0x${n.toString(16)}`;
const ZERO_HASH = `0x${"0".repeat(64)}`;
const blockSchema = z.object({ number: z.string().transform(Number), hash: z.string(), parentHash: z.string() });
type Block = z.output<typeof blockSchema>;

async function post(url: string, body: string): Promise<{ status: number; body: string }> {
  const response = await fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body });
  return { status: response.status, body: await response.text() };
}

/** Blocks in one batch. */
async function blocks(url: string, numbers: readonly number[]): Promise<Block[]> {
  const calls = numbers.map((n, i) => ({
    jsonrpc: "2.0",
    id: i,
    method: "eth_getBlockByNumber",
    params: [hex(n), false],
  }));
  const answers = z
    .array(z.object({ id: z.number(), result: blockSchema }))
    .parse(JSON.parse((await post(url, JSON.stringify(calls))).body));
  return answers.sort((a, b) => a.id - b.id).map(({ result }) => result);
}

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

describe("the bridge between graph-node and EDR", () => {
  let chain: Chain;
  let bridge: Bridge;
  before(async () => {
    chain = await startChain();
    bridge = await startBridge(chain.url);
  });
  after(async () => {
    await bridge.close();
    await chain.stop();
  });

  it("is needed for EDR, and says what to do about a chain that does not answer", async () => {
    assert.equal(await needsBridge(chain.url), true);
    await assert.rejects(needsBridge("http://127.0.0.1:1"), /does not answer.*Is it running/);
  });

  it("shows a chain of parents without a gap over 100,000 blocks mined at once, which EDR itself does not", async () => {
    await rpc(chain.url, "evm_mine", []);
    const first = Number(await rpc(chain.url, "eth_blockNumber", []));
    await rpc(chain.url, "hardhat_mine", ["0x186a0", "0xc"]);
    await rpc(chain.url, "evm_mine", []);
    const last = first + 100_001;
    for (const [from, to] of [
      [first - 1, first + 60],
      [first + 50_000, first + 50_060],
      [last - 60, last],
    ] as const) {
      const seen = await blocks(bridge.url, range(from, to));
      seen.forEach((block, i) => {
        if (i > 0) assert.equal(block.parentHash, seen[i - 1]?.hash, `parent of block ${block.number}`);
      });
    }
    const raw = await blocks(chain.url, range(last - 60, last - 1));
    assert.ok(
      raw.some(({ parentHash }) => parentHash === ZERO_HASH),
      "EDR has parents itself: the bridge is not needed any more",
    );
  });

  it("finds each parent by the hash that its child names", async () => {
    const head = Number(await rpc(chain.url, "eth_blockNumber", []));
    let block = blockSchema.parse(await rpc(bridge.url, "eth_getBlockByNumber", [hex(head), false]));
    for (let i = 1; i <= 20; i++) {
      block = blockSchema.parse(await rpc(bridge.url, "eth_getBlockByHash", [block.parentHash, false]));
      assert.equal(block.number, head - i);
    }
  });

  it("lets a call name its data twice, which EDR refuses, and gives the same answer as for one that does not", async () => {
    const echo = "0x365f5f37365ff3"; // returns its calldata
    const [from] = z.array(z.string()).parse(await rpc(chain.url, "eth_accounts", []));
    const data = `0x66${echo.slice(2)}5f5260076019f3`;
    const hash = await rpc(chain.url, "eth_sendTransaction", [{ from, data }]);
    const receipt = z.object({ contractAddress: z.string() });
    const { contractAddress: to } = receipt.parse(await rpc(chain.url, "eth_getTransactionReceipt", [hash]));
    const twice = { to, data: "0xc0ffee", input: "0xc0ffee" };
    await assert.rejects(rpc(chain.url, "eth_call", [twice, "latest"]), /duplicate/);
    assert.equal(await rpc(bridge.url, "eth_call", [twice, "latest"]), "0xc0ffee");
    assert.equal(await rpc(bridge.url, "eth_call", [{ to, input: "0xc0ffee" }, "latest"]), "0xc0ffee");
  });

  it("passes everything else on, errors included", async () => {
    const call = (method: string, params: unknown[] = []) =>
      JSON.stringify({ jsonrpc: "2.0", id: "x", method, params });
    for (const body of [
      call("eth_chainId"),
      call("eth_nonsense"),
      call("eth_getBlockByNumber", ["0xffffffff", false]),
      call("eth_getBlockByNumber", ["no block"]),
      `[${call("eth_chainId")},${call("eth_nonsense")}]`,
      "this is no JSON",
      "[]",
    ])
      assert.deepEqual(await post(bridge.url, body), await post(chain.url, body), body);
  });

  it("answers 502 while the chain is away, so that graph-node tries again", async () => {
    const other = await startBridge("http://127.0.0.1:1");
    const answer = await post(other.url, JSON.stringify({ jsonrpc: "2.0", id: 7, method: "eth_blockNumber" }));
    assert.equal(answer.status, 502);
    assert.match(answer.body, /does not answer/);
    await other.close();
  });

  it("npm run data is told what to do where there is no chain, where it is gone, and where the record is of another one", async () => {
    const folder = mkdtempSync(join(tmpdir(), "bulkhead-local-"));
    const file = join(folder, "chain.json");
    await assert.rejects(chainOf(file), /no local chain.*npm start -- --keep/);
    writeFileSync(file, "{}");
    await assert.rejects(chainOf(file), /does not say where the chain is/);
    writeFileSync(file, JSON.stringify({ url: "http://127.0.0.1:1" }));
    await assert.rejects(chainOf(file), /does not answer any more.*npm start -- --keep/);
    writeFileSync(file, JSON.stringify({ url: chain.url }));
    const record = join(folder, "record.json");
    const zero = `0x${"0".repeat(39)}1`;
    const external = Object.fromEntries(
      // biome-ignore format: a list of names
      ["delegationManager", "strategyManager", "allocationManager", "strategyFactory", "permissionController",
          "rewardsCoordinator", "strategy", "steth", "lidoQueue", "weth"].map((name) => [name, zero]),
    );
    const contracts = { factory: { address: zero, block: 3, abi: "TierFactory" } };
    const other = {
      network: "local",
      chainId: 31_337,
      startBlock: 3,
      deployer: zero,
      contracts,
      external,
      tiers: [],
      abis: { TierFactory: [] },
    };
    writeFileSync(record, JSON.stringify(other));
    await assert.rejects(
      chainOf(file, record),
      (error) => error instanceof StackError && /another chain.*factory/.test(error.message),
    );
    rmSync(folder, { recursive: true });
  });
});

describe("rendering", () => {
  const deployment = {
    network: "local",
    chainId: 31_337,
    startBlock: 40,
    deployer: `0x${"1".repeat(40)}`,
    contracts: {
      factory: { address: `0x${"a".repeat(40)}`, block: 44, abi: "TierFactory" },
      tierBeacon: { address: `0x${"b".repeat(40)}`, block: 41, abi: "UpgradeableBeacon" },
      riskBeacon: { address: `0x${"c".repeat(40)}`, block: 42, abi: "UpgradeableBeacon" },
    },
    external: { allocationManager: `0x${"d".repeat(40)}` },
    tiers: [],
    abis: {},
  } as unknown as Stage["deployment"];

  it("finds a data source's place by the contract's name in the record or by that of its ABI, an external one from the start block", () => {
    assert.deepEqual(placeOf("TierFactory", deployment), { address: `0x${"a".repeat(40)}`, startBlock: 44 });
    assert.deepEqual(placeOf("RiskBeacon", deployment), { address: `0x${"c".repeat(40)}`, startBlock: 42 });
    assert.deepEqual(placeOf("AllocationManager", deployment), { address: `0x${"d".repeat(40)}`, startBlock: 40 });
    assert.throws(() => placeOf("UpgradeableBeacon", deployment), /has no UpgradeableBeacon/);
  });

  it("fills every data source of the manifest, sets the network everywhere, and changes nothing else", () => {
    const manifest = readFileSync(join(SUBGRAPH, "subgraph.yaml"), "utf8");
    const filled = fillManifest(manifest, "hoodi", () => ({ address: `0x${"e".repeat(40)}`, startBlock: 9 }));
    assert.ok(!/network: devnet|0x0{40}/.test(filled.replace(/#.*/g, "")));
    const undo = (text: string) =>
      text
        .replaceAll("network: hoodi", "network: devnet")
        .replaceAll("e".repeat(40), "0".repeat(40))
        .replace(/startBlock: \d+/g, "startBlock: 0")
        .replace(/\s+/g, "");
    assert.equal(
      undo(filled),
      undo(fillManifest(manifest, "devnet", () => ({ address: `0x${"0".repeat(40)}`, startBlock: 0 }))),
    );
  });

  it("says that Bulkhead is not deployed on a network yet, and which networks there are", () => {
    assert.throws(() => deploymentOn("hoodi"), /not deployed on hoodi yet.*npm run deploy/s);
    assert.throws(() => deploymentOn("goerli"), /There is no network "goerli"; there are: devnet, mainnet, hoodi/);
  });

  it("has EigenLayer's addresses of the public networks, the same as the deployment", () => {
    const schema = z.record(z.string(), z.record(z.string(), z.object({ address: z.string() })));
    const known = schema.parse(JSON.parse(readFileSync(join(SUBGRAPH, "networks.json"), "utf8")));
    assert.deepEqual(Object.keys(known).sort(), [...networks().keys()].filter((name) => name !== "devnet").sort());
    for (const [name, sources] of Object.entries(known)) {
      const { eigenlayer } = loadNetwork(networkFile(name));
      for (const [source, { address }] of Object.entries(sources)) {
        const key = source.charAt(0).toLowerCase() + source.slice(1);
        assert.equal(address, (eigenlayer as unknown as Record<string, string>)[key], `${name}: ${source}`);
      }
    }
  });
});

describe("a program that the stack runs", () => {
  it("is started again by itself when it dies, but not when it was told to end", async () => {
    const folder = mkdtempSync(join(tmpdir(), "bulkhead-service-"));
    const guardian = startGuardian();
    const lines: string[] = [];
    const one = service({
      name: "the program",
      command: process.execPath,
      args: ["-e", 'console.log("here I am"); setInterval(() => {}, 1000)'],
      logFile: join(folder, "log"),
      ready: (printed) => printed.includes("here I am"),
      readyTimeoutMs: 20_000,
      guardian,
      log: (line) => lines.push(line),
    });
    await one.start();
    const first = one.pid;
    assert.ok(first !== undefined);
    process.kill(first, "SIGKILL");
    await until(() => one.pid !== undefined && one.pid !== first && lines.some((line) => /is back/.test(line)));
    assert.match(lines.join("\n"), /the program has ended \(SIGKILL\); it is started again in 0.5 s/);
    await one.kill();
    await sleep(1_200);
    assert.equal(one.pid, undefined);
    await guardian.close();
    rmSync(folder, { recursive: true });
  });

  it("that cannot start says so with its last words", async () => {
    const folder = mkdtempSync(join(tmpdir(), "bulkhead-service-"));
    const guardian = startGuardian();
    const one = service({
      name: "the program",
      command: process.execPath,
      args: ["-e", 'console.error("the disk is full"); process.exit(3)'],
      logFile: join(folder, "log"),
      ready: () => false,
      readyTimeoutMs: 20_000,
      guardian,
      log: () => {},
    });
    await assert.rejects(one.start(), /ended with exit code 3 before.*the disk is full/s);
    await guardian.close();
    rmSync(folder, { recursive: true });
  });
});

const TRANSFER = id("Transfer(address,address,uint256)");

describe("the stack", () => {
  let stage: Stage;
  let proxy: FaultProxy;
  let stack: Stack;
  before(async () => {
    stage = await openStage();
    proxy = await startProxy(stage.world.chain.url);
    stack = await startStack({ rpcUrl: proxy.url, deployment: stage.deployment });
  });
  after(async () => {
    await stack?.close();
    await proxy?.close();
    await stage?.close();
  });

  const deposit = () => depositEth(stage.world, user(stage.world, 2), stage.tier.junior, parseEther("1"));

  /** Transfers of the tier's tokens by the chain's logs, from the start to the head. */
  const transfers = async () => {
    const { senior, junior } = stage.tier;
    const address = [await senior.getAddress(), await junior.getAddress()];
    const logs = await rpc(stage.world.chain.url, "eth_getLogs", [{ address, topics: [TRANSFER], fromBlock: "0x0" }]);
    return (logs as unknown[]).length;
  };

  const indexed = async () => {
    const query = '{ eventTally(id: "TrancheToken.Transfer") { count } _meta { block { hash } hasIndexingErrors } }';
    const schema = z.object({
      data: z.object({
        eventTally: z.object({ count: z.int() }),
        _meta: z.object({ block: z.object({ hash: z.string() }), hasIndexingErrors: z.literal(false) }),
      }),
    });
    return schema.parse(JSON.parse((await post(stack.graphqlUrl, JSON.stringify({ query }))).body)).data;
  };

  /** The subgraph is at the chain's head, and has counted what the chain's logs say. */
  const agrees = async () => {
    await stack.synced();
    const head = z
      .object({ hash: z.string() })
      .parse(await rpc(stage.world.chain.url, "eth_getBlockByNumber", ["latest", false]));
    const { eventTally, _meta } = await indexed();
    assert.equal(_meta.block.hash, head.hash);
    assert.equal(eventTally.count, await transfers());
  };

  it("indexes a chain from the deployment's first block to its head, and what comes then", async () => {
    await agrees();
    const before = await transfers();
    await deposit();
    assert.ok((await transfers()) > before);
    await agrees();
  });

  it("indexes across 100,000 empty blocks that were mined at once", async () => {
    await rpc(stage.world.chain.url, "hardhat_mine", ["0x186a0", "0xc"]);
    await deposit();
    await agrees();
  });

  it("follows a reorganisation: what happened on the branch that is gone is gone", async () => {
    await agrees();
    const before = await transfers();
    const revert = await mark(stage.world.chain.url);
    await deposit();
    await deposit();
    await agrees();
    await revert({ blocks: 6 });
    assert.equal(await transfers(), before);
    await agrees();
  });

  it("goes on with the right numbers after Postgres was killed and is back", async () => {
    await stack.killPostgres();
    await deposit();
    await stack.startPostgres();
    await agrees();
  });

  it("goes on with the right numbers after graph-node was killed and is back", async () => {
    await stack.killGraphNode();
    await deposit();
    await stack.startGraphNode();
    await agrees();
  });

  it("goes on with the right numbers after the chain's RPC was away", async () => {
    const heal = proxy.inject("*", { kind: "close" });
    await deposit();
    await sleep(1_500);
    heal();
    await agrees();
  });

  it("says that a block has not come, and where it is", async () => {
    const head = Number(await rpc(stage.world.chain.url, "eth_blockNumber", []));
    await assert.rejects(
      stack.synced(head + 1_000, 300),
      new RegExp(`not come to block ${head + 1_000}.*at block ${head}`),
    );
  });

  it("dies with its parent, kill -9 included, and leaves nothing behind", async () => {
    const folder = mkdtempSync(join(tmpdir(), "bulkhead-record-"));
    const record = saveDeployment(stage.deployment, join(folder, "deployment.json"));
    const { process: parent, urls, home } = await holder(proxy.url, record);
    for (const url of urls) assert.equal(await answers(url), true, url);
    parent.kill("SIGKILL");
    await until(async () => !(await Promise.all(urls.map(answers))).includes(true) && !existsSync(home));
    rmSync(folder, { recursive: true });
  });
});

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 150; tries++) {
    if (await holds()) return;
    await sleep(100);
  }
  assert.fail("it has not come within 15 s");
}

const answers = (url: string): Promise<boolean> =>
  fetch(url, { signal: AbortSignal.timeout(2_000) }).then(
    () => true,
    () => false,
  );

/** Another process with a stack of its own. */
async function holder(
  rpcUrl: string,
  record: string,
): Promise<{ process: ChildProcess; urls: string[]; home: string }> {
  const module = (path: string) => JSON.stringify(new URL(path, import.meta.url).href);
  const code = `const { startStack } = await import(${module("../../stack/start.ts")});
    const { loadDeployment } = await import(${module("../../deployments/index.ts")});
    const stack = await startStack({ rpcUrl: ${JSON.stringify(rpcUrl)}, deployment: loadDeployment(31337, ${JSON.stringify(record)}) });
    console.log(JSON.stringify({ urls: [stack.graphqlUrl, stack.statusUrl], home: stack.folder }));
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", code], { stdio: ["ignore", "pipe", "inherit"] });
  const [first] = (await once(child.stdout, "data")) as [Buffer];
  const said = z.object({ urls: z.array(z.string()), home: z.string() }).parse(JSON.parse(first.toString()));
  return { process: child, ...said };
}
