/** What a keeper refuses to start with, on a real chain: RPCs, contracts, key, funds and journal; and in which words. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Endpoint } from "../../keeper/chain/endpoint.ts";
import { configSchema } from "../../keeper/config/schema.ts";
import { allGood, type Check, checkRpcs } from "../../keeper/daemon/boot.ts";
import { type Chain, rpc, startChain } from "../../scripts/chain.ts";
import { type FaultProxy, type RpcAnswer, startProxy } from "./proxy.ts";

let chain: Chain;
let [first, second]: readonly FaultProxy[] = [];
const proxies = (): readonly [FaultProxy, FaultProxy] => {
  assert.ok(first && second);
  return [first, second];
};
before(async () => {
  chain = await startChain();
  await rpc(chain.url, "hardhat_mine", ["0x20"]);
  [first, second] = await Promise.all([startProxy(chain.url), startProxy(chain.url)]);
});
after(async () => {
  await Promise.all([first, second].map((proxy) => proxy?.close()));
  await chain.stop();
});

const settings = (change: object = {}) => configSchema.parse({ rpc: ["http://node"], chain_id: 31_337, ...change });

/** Asks the RPCs, and heals them afterwards. */
async function ask(urls: readonly string[], change: object = {}, now?: number) {
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
    assert.match(of("RPC rpc-1").detail, /^Block \d+, -?\d+ s old; final \d+\.$/);
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
    const late = Date.now() / 1_000 + 500;
    const { good, of } = await ask([proxies()[0].url], {}, late);
    assert.ok(!good);
    assertSays(of("RPC rpc-1"), /is \d+ s old; 120 s are allowed/, /synchronised.*clock/);
    assert.ok((await ask([proxies()[0].url], { chain: { max_head_age_seconds: 0 } }, late)).good);
  });

  test("refuse when the head is in the future: this machine's clock is wrong", async () => {
    const { good, of } = await ask([proxies()[0].url], {}, Date.now() / 1_000 - 500);
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
