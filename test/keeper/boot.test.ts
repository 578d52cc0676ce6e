/** What a keeper refuses to start with, on a real chain: RPCs, contracts, key, funds and journal; and in which words. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Wallet } from "ethers";
import { stringify } from "yaml";
import * as z from "zod";
import { type Deployment, saveDeployment } from "../../deployments/index.ts";
import { type Assembled, assemble } from "../../keeper/assemble.ts";
import { Endpoint } from "../../keeper/chain/endpoint.ts";
import { configSchema } from "../../keeper/config/schema.ts";
import { allGood, type Check, checkRpcs } from "../../keeper/daemon/boot.ts";
import { main } from "../../keeper/main.ts";
import { deploymentOf } from "../../keeper/soak/stage.ts";
import { Journal } from "../../keeper/transactions/journal.ts";
import { rpc } from "../../scripts/chain.ts";
import { ROOT } from "../../scripts/lib/tools.ts";
import { openStandardTier, startWorld, type Tier, type World } from "../integration/world.ts";
import { type FaultProxy, type RpcAnswer, startProxy } from "./proxy.ts";

let world: World;
let tier: Tier;
let deployment: Deployment;
let [first, second]: readonly FaultProxy[] = [];
const proxies = (): readonly [FaultProxy, FaultProxy] => {
  assert.ok(first && second);
  return [first, second];
};
const folder = mkdtempSync(join(tmpdir(), "keeper-boot-"));
before(async () => {
  world = await startWorld();
  tier = await openStandardTier(world, { agents: 1, setsPerAgent: 1 });
  deployment = await deploymentOf(world);
  saveDeployment(deployment, join(folder, "31337.json"));
  [first, second] = await Promise.all([startProxy(world.chain.url), startProxy(world.chain.url)]);
});
after(async () => {
  await Promise.all([first, second].map((proxy) => proxy?.close()));
  await world.close();
  rmSync(folder, { recursive: true });
});

const settings = (change: object = {}) => configSchema.parse({ rpc: ["http://node"], chain_id: 31_337, ...change });

/** Asks the RPCs, and heals them afterwards. */
async function ask(urls: readonly string[], change: object = {}, seconds = 4) {
  // the chain of these tests has a clock of its own: this is a machine whose clock is so far ahead of it
  const now = ((await world.provider.getBlock("latest"))?.timestamp ?? 0) + seconds;
  const probes = urls.map((url, i) => new Endpoint({ url, name: `rpc-${i + 1}`, timeoutMs: 500 }));
  const { checks, genesis } = await checkRpcs(probes, settings(change), now);
  for (const proxy of proxies()) proxy.clear();
  const of = (name: string): Check => {
    const found = checks.find((check) => check.name === name);
    assert.ok(found, `There is no check "${name}" in ${checks.map((check) => check.name).join(", ")}.`);
    return found;
  };
  return { checks, genesis, good: allGood(checks), of };
}
const both = () => proxies().map(({ url }) => url);

function assertSays(check: Check, detail: RegExp, fix: RegExp): void {
  assert.equal(check.ok, false);
  assert.match(check.detail, detail);
  assert.match(check.fix ?? "", fix);
}

const block = (answer: RpcAnswer): Record<string, unknown> =>
  "result" in answer ? { ...(answer.result as Record<string, unknown>) } : {};

describe("RPCs at the start", () => {
  test("that are well pass, and say where they are", async () => {
    const { good, of, genesis } = await ask(both());
    assert.ok(good);
    assert.match(of("RPC rpc-1").detail, /^Block \d+, 4 s old; final \d+\.$/);
    assert.match(of("RPCs agree").detail, /same block \d+/);
    assert.match(genesis ?? "", /^0x[0-9a-f]{64}$/);
  });

  test("refuse when nobody listens", async () => {
    const { good, of } = await ask(["http://127.0.0.1:65533"]);
    assert.ok(!good);
    assertSays(of("RPC rpc-1"), /does not answer as it should: .*nobody listens there/, /Look at rpc/);
  });

  test("are only told about when one of two is dead", async () => {
    const { good, of } = await ask([proxies()[0].url, "http://127.0.0.1:65533"]);
    assert.ok(good);
    assert.equal(of("RPC rpc-2").warning, true);
    assertSays(of("agreement"), /Only 1 of the 2 RPCs/, /Mend the others/);
  });

  test("refuse when one is on another chain, even beside one that is not", async () => {
    proxies()[1].inject("eth_chainId", { kind: "answer", answer: { result: "0x1" } });
    const { good, of } = await ask(both());
    assert.ok(!good);
    assertSays(of("RPC rpc-2"), /on chain 1, not on 31337/, /set chain_id: 1/);
  });

  test("refuse when the only one hangs, within its deadline", async () => {
    proxies()[0].inject("*", { kind: "hang" });
    const begin = Date.now();
    const { good, of } = await ask([proxies()[0].url]);
    assert.ok(!good && Date.now() - begin < 3_000);
    assertSays(of("RPC rpc-1"), /no answer within 0\.5 s/, /Look at rpc/);
  });

  test("refuse answers that are cut off or nonsense", async () => {
    for (const fault of [
      { kind: "cut" },
      { kind: "answer", answer: { result: { number: "soon" } } },
      { kind: "status", status: 503 },
    ] as const) {
      proxies()[0].inject("eth_getBlockByNumber", fault);
      const { good, of } = await ask([proxies()[0].url]);
      assert.ok(!good, fault.kind);
      assertSays(of("RPC rpc-1"), /does not answer as it should/, /Look at rpc/);
    }
  });

  test("refuse when the only head is older than allowed, unless the chain has a clock of its own", async () => {
    const { good, of } = await ask([proxies()[0].url], {}, 500);
    assert.ok(!good);
    assertSays(of("RPC rpc-1"), /is \d+ s old; 120 s are allowed/, /synchronised.*clock/);
    assert.ok((await ask([proxies()[0].url], { chain: { max_head_age_seconds: 0 } }, 500)).good);
  });

  test("refuse when the head is in the future: this machine's clock is wrong", async () => {
    const { good, of } = await ask([proxies()[0].url], {}, -500);
    assert.ok(!good);
    assertSays(of("RPC rpc-1"), /s in the future of this machine's clock/, /NTP/);
  });

  test("refuse when one has another block at a height that is final", async () => {
    proxies()[1].inject("eth_getBlockByNumber", {
      kind: "lie",
      lie: (answer, { params }) =>
        params[0] === "latest" ? answer : { result: { ...block(answer), hash: `0x${"ab".repeat(32)}` } },
    });
    const { good, of } = await ask(both());
    assert.ok(!good);
    assertSays(of("RPCs agree"), /different blocks \d+: rpc-1 says 0x.*; rpc-2 says 0xabab/, /take it out of rpc/);
  });

  test("refuse when one answers another block than it is asked for", async () => {
    proxies()[1].inject(
      "eth_getBlockByNumber",
      { kind: "lie", lie: (answer) => ({ result: { ...block(answer), number: "0x1" } }) },
      { when: ({ params }) => /^0x(?!0$)/.test(String(params[0])) },
    );
    const { good, of } = await ask(both());
    assert.ok(!good);
    assertSays(of("RPCs agree"), /rpc-2 answers block 1 when it is asked for/, /Take it out/);
  });

  test("are told about when they know no final block", async () => {
    proxies()[1].inject(
      "eth_getBlockByNumber",
      { kind: "answer", answer: { error: { code: -32_602, message: "unknown tag" } } },
      { when: ({ params }) => params[0] === "finalized" },
    );
    const { good, of } = await ask(both());
    assert.ok(good);
    assertSays(of("RPC rpc-2"), /knows no final block/, /Use a node that does/);
  });
});

const wallet = Wallet.createRandom();
let files = 0;

/** What the keeper finds when it starts with the defaults of a local chain, changed as given. */
async function boot(change: object = {}, journal: "open" | "look" = "open"): Promise<Assembled> {
  const config = configSchema.parse({
    chain_id: 31_337,
    rpc: [proxies()[0].url],
    chain: { max_head_age_seconds: 0, timeout_seconds: 2 },
    deployment: join(folder, "31337.json"),
    journal: join(folder, `${files++}.db`),
    key: { env: "KEY" },
    ...change,
  });
  return assemble(config, { environment: { KEY: wallet.privateKey }, key: true, journal });
}

/** The only check that failed. */
async function failureOf(change: object = {}): Promise<Check> {
  const found = await boot(change);
  await found.close();
  for (const proxy of proxies()) proxy.clear();
  const bad = found.checks.filter(({ ok }) => !ok);
  assert.equal(bad.length, 1, JSON.stringify(bad));
  return bad[0] ?? assert.fail();
}

/** The deployment's file with something else in it. */
function changed(change: (copy: z.infer<typeof deploymentCopy>) => void): string {
  const copy = deploymentCopy.parse(structuredClone(deployment));
  change(copy);
  const file = join(folder, `changed-${files++}.json`);
  writeFileSync(file, JSON.stringify(copy));
  return file;
}
const abiEntry = z.looseObject({
  type: z.string(),
  name: z.string().optional(),
  outputs: z.array(z.looseObject({ type: z.string() })).optional(),
});
const deploymentCopy = z.looseObject({
  chainId: z.number(),
  contracts: z.record(z.string(), z.looseObject({ address: z.string(), abi: z.string() })),
  abis: z.record(z.string(), z.array(abiEntry)),
});

const fundWallet = (wei: bigint) =>
  rpc(world.chain.url, "hardhat_setBalance", [wallet.address, `0x${wei.toString(16)}`]);
const ETHER = 10n ** 18n;
const addressOf = (id: string) => deployment.contracts[id]?.address ?? assert.fail(`There is no ${id}.`);

describe("a keeper", () => {
  before(() => fundWallet(ETHER));

  test("starts where all is well, and says what it found", async () => {
    const found = await boot();
    await found.close();
    assert.deepEqual(
      found.checks.map(({ name, ok }) => [name, ok]),
      [
        ["key", true],
        [`RPC ${proxies()[0].url}`, true],
        ["deployment", true],
        ["ABI", true],
        ["tiers", true],
        ["funds", true],
        ["journal", true],
      ],
    );
    assert.deepEqual(
      found.tiers.map(({ address }) => address),
      [tier.address],
    );
  });

  test("refuses a deployment of another chain, or none", async () => {
    const other = changed((copy) => {
      copy.chainId = 1;
    });
    assertSays(await failureOf({ deployment: other }), /is of chain 1, not of chain 31337/, /chain_id/);
    assertSays(await failureOf({ deployment: join(folder, "none") }), /There is no deployment of Bulkhead/, /chain_id/);
  });

  test("refuses a deployment without the contracts that keepers use", async () => {
    const old = changed((copy) => {
      delete copy.contracts.upkeepLens;
    });
    assertSays(await failureOf({ deployment: old }), /has no upkeepLens/, /older than this keeper/);
  });

  test("refuses addresses without code", async () => {
    const wrong = changed((copy) => {
      const upkeep = copy.contracts.upkeep;
      if (upkeep) upkeep.address = Wallet.createRandom().address;
    });
    assertSays(await failureOf({ deployment: wrong }), /no code at 1 of \d+ addresses: upkeep \(0x/, /local chain/);
  });

  test("refuses a deployment whose functions are others than it calls, by the file", async () => {
    const missing = changed((copy) => {
      copy.abis.Allocator = copy.abis.Allocator?.filter(({ name }) => name !== "unwind") ?? [];
    });
    assertSays(await failureOf({ deployment: missing }), /Allocator has no unwind\(uint256,uint256\)/, /release/);
    const other = changed((copy) => {
      const pulse = copy.abis.UpkeepLens?.find(({ name }) => name === "pulse");
      if (pulse) pulse.outputs = [{ type: "uint256", name: "", internalType: "uint256" }];
    });
    assertSays(
      await failureOf({ deployment: other }),
      /UpkeepLens has pulse.*→ \(uint256\) where the keeper/,
      /release/,
    );
  });

  test("refuses code that lacks functions that the file promises", async () => {
    const snapshot = await rpc(world.chain.url, "evm_snapshot", []);
    const code = await rpc(world.chain.url, "eth_getCode", [addressOf("router"), "latest"]);
    await rpc(world.chain.url, "hardhat_setCode", [addressOf("upkeep"), code]);
    const check = await failureOf();
    await rpc(world.chain.url, "evm_revert", [snapshot]);
    assertSays(check, /the code of upkeep \(0x.*\) has no perform\(/, /release that is deployed/);
  });

  test("refuses a lens that answers what it cannot read", async () => {
    proxies()[0].inject(
      "eth_call",
      { kind: "lie", lie: () => ({ result: `0x${"00".repeat(31)}40` }) },
      { when: ({ params }) => JSON.stringify(params[0]).toLowerCase().includes(addressOf("upkeepLens").toLowerCase()) },
    );
    assertSays(await failureOf(), /The lens does not answer as this keeper knows it/, /different releases/);
  });

  test("refuses a tier that the factory does not know", async () => {
    assertSays(await failureOf({ tiers: [wallet.address] }), /0x.* is no tier of this deployment/, /Correct tiers/);
  });

  test("refuses to send without a key, and without ETH; a dry run does without both", async () => {
    assertSays(await failureOf({ key: {} }), /names no key/, /under key.*dry_run/);
    await fundWallet(0n);
    assertSays(await failureOf(), /0x.* has no ETH/, /Send ETH to 0x.*0\.2 ETH/);
    for (const key of [{}, { env: "KEY" }]) {
      const found = await boot({ key, dry_run: true });
      await found.close();
      assert.ok(allGood(found.checks), JSON.stringify(found.checks));
    }
    await fundWallet(ETHER / 10n);
    const low = await failureOf();
    assert.equal(low.warning, true);
    assertSays(low, /has 0\.1 ETH, less than 0\.2/, /Send ETH/);
    await fundWallet(ETHER);
  });

  test("refuses a journal of another chain, another account, or another deployment", async () => {
    const journal = join(folder, "foreign.db");
    const own = {
      chainId: 31_337,
      genesis: (await world.provider.getBlock(0))?.hash ?? "",
      account: wallet.address,
      deployment: addressOf("factory"),
    };
    for (const change of [
      { chainId: 1 },
      { genesis: `0x${"12".repeat(32)}` },
      { account: Wallet.createRandom().address },
      { deployment: Wallet.createRandom().address },
    ]) {
      Journal.open(journal, { ...own, ...change }).close();
      assertSays(await failureOf({ journal }), /journal|foreign\.db/i, /one keeper, account and chain/);
      rmSync(journal);
    }
    Journal.open(journal, own).close();
    const found = await boot({ journal });
    await found.close();
    assert.ok(allGood(found.checks), "its own journal is taken up");
  });

  test("refuses a journal that another keeper holds, until that one is gone", async () => {
    const journal = join(folder, "shared.db");
    const holder = await boot({ journal });
    assertSays(await failureOf({ journal }), /process|keeper/, /one keeper, account and chain/);
    await holder.close();
    const found = await boot({ journal });
    await found.close();
    assert.ok(allGood(found.checks));
  });

  test("refuses what is no journal, and leaves it as it was", async () => {
    const journal = join(folder, "letter.db");
    writeFileSync(journal, "Dear keeper");
    assert.match((await failureOf({ journal })).name, /^journal$/);
    assert.equal(readFileSync(journal, "utf8"), "Dear keeper");
  });
});

describe("npm run keeper", () => {
  const secret = wallet.privateKey.slice(2);
  before(() => fundWallet(ETHER));

  function write(change: object = {}): string {
    const file = join(folder, `keeper-${files++}.yaml`);
    const config = {
      chain_id: 31_337,
      rpc: [world.chain.url],
      chain: { max_head_age_seconds: 0, poll_seconds: 0.05 },
      deployment: "31337.json",
      journal: `${files++}.db`,
      key: { env: "KEY" },
      http: { port: 0 },
      log: { format: "json" },
      ...change,
    };
    writeFileSync(file, stringify(config));
    return file;
  }

  async function keeper(args: readonly string[], signal?: AbortSignal) {
    const [out, err]: [string[], string[]] = [[], []];
    const code = await main(args, {
      out: { write: (text) => out.push(text) },
      err: { write: (text) => err.push(text) },
      environment: { KEY: wallet.privateKey, INIT_CWD: folder },
      ...(signal === undefined ? {} : { signal }),
    });
    const done = { code, out: out.join(""), err: err.join("") };
    assert.ok(!`${done.out}${done.err}`.toLowerCase().includes(secret), "it showed its key");
    return done;
  }

  test("check says that all is well, and leaves with 0", async () => {
    const { code, out } = await keeper(["check", "--config", write()]);
    assert.equal(code, 0, out);
    assert.match(out, /^ok {4}funds: 0x.* has 1\.0 ETH\.$/m);
    assert.match(out, /^ok {4}journal: .* will be begun\.$/m);
    assert.match(out, /The keeper can start\.\n$/);
  });

  test("check leaves with 1 when it would not start, and says what to do; with --json for programs", async () => {
    const file = write({ rpc: ["http://127.0.0.1:65533"], chain: { timeout_seconds: 1 } });
    const { code, out } = await keeper(["check", "--config", file]);
    assert.equal(code, 1);
    assert.match(out, /^FAIL {2}RPC http:.*nobody listens/m);
    assert.match(out, /1 of \d checks failed: it would not start\./);
    const json = await keeper(["check", "--json", "--config", file]);
    const { ok } = z
      .object({ ok: z.boolean(), checks: z.array(z.object({ name: z.string() })) })
      .parse(JSON.parse(json.out));
    assert.equal(ok, false);
  });

  test("plan needs nothing but a node and where the contracts are", async () => {
    const { code, out, err } = await keeper(["plan", "--rpc", world.chain.url, "--deployment", "31337.json"]);
    assert.equal(code, 0, err);
    assert.match(out, /^head block \d+/);
    assert.match(out, new RegExp(`^Tier .* ${tier.address}$`, "m"));
    const json = await keeper(["plan", "--rpc", world.chain.url, "--deployment", "31337.json", "--json"]);
    const parsed = z
      .object({ head: z.object({ number: z.number() }), actions: z.array(z.unknown()), withheld: z.array(z.unknown()) })
      .parse(JSON.parse(json.out));
    assert.equal(parsed.head.number, await world.provider.getBlockNumber());
  });

  test("plan of a dead node is one sentence and 1", async () => {
    const { code, out, err } = await keeper(["plan", "--rpc", "http://127.0.0.1:65533"]);
    assert.deepEqual([code, out], [1, ""]);
    assert.match(err, /nobody listens there/);
    assert.ok(!err.includes("    at "), "no trace");
  });

  test("what is wrong with command or configuration is told, with 2", async () => {
    const cases: readonly (readonly [readonly string[], RegExp])[] = [
      [["run", "--config", "none.yaml"], /none\.yaml: there is no such file/],
      [["run"], /keeper\.yaml: there is no such file.*keeper -- config/],
      [["plan"], /Which chain\? Add --rpc/],
      [["check", "--config", write({ agreement: 0 })], /agreement: It is 0\. Write more than 0\./],
      [["paln"], /Did you mean plan/],
    ];
    for (const [args, words] of cases) {
      const { code, err } = await keeper(args);
      assert.equal(code, 2, err);
      assert.match(err, words);
    }
  });

  test("run refuses with 1 and says why, before it sends or serves anything", async () => {
    const { code, out, err } = await keeper(["run", "--config", write({ chain_id: 5 })]);
    assert.equal(code, 1);
    assert.match(err, /^FAIL {2}RPC .*on chain 31337, not on 5/m);
    assert.equal(out, "");
  });

  test("run refuses a port that is taken, and so does check", async () => {
    const { port } = new URL(world.chain.url);
    const file = write({ http: { port: Number(port) } });
    const ran = await keeper(["run", "--config", file]);
    assert.equal(ran.code, 1);
    assert.match(ran.err, /FAIL {2}http: 127\.0\.0\.1:\d+ is taken/);
    const checked = await keeper(["check", "--config", file]);
    assert.equal(checked.code, 1);
    assert.match(checked.out, /FAIL {2}http: .* is taken\.\n.*Is a keeper running already/);
  });

  test("run works as a process of its own: it answers /status, ends with 0 at SIGTERM, and shows no key", async () => {
    const child = spawn(process.execPath, [join(ROOT, "scripts/keeper.ts"), "run", "--config", write()], {
      env: { ...process.env, KEY: wallet.privateKey },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let printed = "";
    const ended = new Promise<number | null>((resolve) => child.on("close", (code) => resolve(code)));
    const ready = new Promise<string>((resolve, reject) => {
      const take = (chunk: Buffer) => {
        printed += chunk.toString("utf8");
        const url = /"url":"(http:[^"]+)"/.exec(printed)?.[1];
        if (url !== undefined) resolve(url);
      };
      child.stdout.on("data", take);
      child.stderr.on("data", take);
      void ended.then((code) => reject(new Error(`It ended with ${code}: ${printed}`)));
    });
    try {
      const url = await ready;
      const status = await (await fetch(`${url}/status`)).text();
      assert.equal(z.object({ address: z.string() }).parse(JSON.parse(status)).address, wallet.address);
      const metrics = await (await fetch(`${url}/metrics`)).text();
      child.kill("SIGTERM");
      assert.equal(await ended, 0, printed);
      for (const text of [printed, status, metrics]) assert.ok(!text.toLowerCase().includes(secret));
    } finally {
      child.kill("SIGKILL");
    }
  });
});
