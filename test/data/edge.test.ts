/**
 * The gateway's edge through HTTP, before a real graph-node: what a client may ask for, what he is told when he asks for
 * more, tables as CSV, and what operators see.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout } from "node:timers/promises";
import { parseEther } from "ethers";
import * as z from "zod";
import { send } from "../../deploy/eigenlayer.ts";
import { type Deployment, saveDeployment } from "../../deployments/index.ts";
import { ConfigError, DEFAULT_LIMITS, readConfig } from "../../gateway/config.ts";
import { csvResponse } from "../../gateway/edge/csv.ts";
import { Metrics } from "../../gateway/edge/metrics.ts";
import { depthOf } from "../../gateway/edge/requests.ts";
import { questions } from "../../gateway/questions.ts";
import { startGateway } from "../../gateway/start.ts";
import type { Gateway, GatewayLimits, GatewayOptions } from "../../gateway/types.ts";
import { missingGraphNode } from "../../stack/graph-node.ts";
import { startStack } from "../../stack/start.ts";
import type { Stack } from "../../stack/types.ts";
import { depositEth, passDays, type Tier, user, type World } from "../integration/world.ts";
import { openStage } from "../keeper/daemon-world.ts";
import { type Relay, startRelay } from "./relay.ts";

const answerSchema = z.object({
  data: z.record(z.string(), z.unknown()).nullish(),
  errors: z
    .array(
      z.object({ message: z.string(), extensions: z.looseObject({ code: z.string().optional() }).optional() }).loose(),
    )
    .optional(),
});

interface Answer extends z.output<typeof answerSchema> {
  readonly status: number;
  readonly headers: Headers;
  /** Of the first error. */
  readonly code: string | undefined;
  readonly message: string;
}

async function answerOf(response: Response): Promise<Answer> {
  const text = await response.text();
  const body = answerSchema.parse(JSON.parse(text));
  const first = body.errors?.[0];
  assert.ok(!/node_modules|file:\/\/|\n\s+at /.test(text), `nothing internal is told: ${text.slice(0, 300)}`);
  return {
    ...body,
    status: response.status,
    headers: response.headers,
    code: first?.extensions?.code,
    message: first?.message ?? "",
  };
}

const raw = (gateway: Gateway, body: string | Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}) =>
  fetch(`${gateway.url}/graphql`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body,
  });

const ask = async (gateway: Gateway, query: string, variables: object = {}, headers: Record<string, string> = {}) =>
  answerOf(await raw(gateway, JSON.stringify({ query, variables }), headers));

const passes = (answer: Answer): void => {
  assert.equal(answer.errors, undefined, JSON.stringify(answer.errors));
  assert.equal(answer.status, 200);
};

const refused = (answer: Answer, code: string, status: number, advice: RegExp): void => {
  assert.equal(answer.code, code, JSON.stringify(answer.errors));
  assert.equal(answer.status, status);
  assert.match(answer.message, advice);
};

/** Holds the process while something ends that does not hold it itself; what the stack leaves its guardian ends. */
async function ended(closing: Promise<unknown> | undefined): Promise<void> {
  const stop = new AbortController();
  await Promise.race([closing, setTimeout(20_000, undefined, { signal: stop.signal }).catch(() => {})]);
  stop.abort();
}

describe("the gateway's edge", { skip: missingGraphNode() ?? false, timeout: 240_000 }, () => {
  let world: World;
  let tier: Tier;
  let deployment: Deployment;
  let stack: Stack;
  let subgraph: Relay;
  let chain: Relay;
  const gateways: Gateway[] = [];

  before(async () => {
    const stage = await openStage();
    ({ world, tier, deployment } = stage);
    for (let day = 0; day < 4; day++) {
      await passDays(world, 1);
      await send(tier.tier, "sync");
    }
    await depositEth(world, user(world, 2), tier.senior, parseEther("1"));
    stack = await startStack({ rpcUrl: world.chain.url, deployment });
    await stack.synced();
    subgraph = await startRelay(stack.graphqlUrl);
    chain = await startRelay(world.chain.url);
  });

  after(async () => {
    await ended(Promise.all(gateways.map((one) => one.close())));
    await subgraph?.close();
    await chain?.close();
    await ended(stack?.close());
    await world?.close();
  });

  interface Changes extends Partial<Omit<GatewayOptions, "limits">> {
    readonly limits?: Partial<GatewayLimits>;
  }

  const open = async ({ limits, ...changes }: Changes = {}): Promise<Gateway> => {
    const gateway = await startGateway({
      subgraphUrl: subgraph.url,
      statusUrl: stack.statusUrl,
      rpcUrl: chain.url,
      deployment,
      port: 0,
      host: "127.0.0.1",
      limits: { ...DEFAULT_LIMITS, requests: 100_000, ...limits },
      maxLagBlocks: 20,
      pollMs: 200,
      logLevel: "silent",
      ...changes,
    });
    gateways.push(gateway);
    for (let i = 0; i < 300; i++) {
      const response = await fetch(`${gateway.url}/ready`);
      await response.body?.cancel();
      if (response.status === 200) break;
      await setTimeout(100);
    }
    return gateway;
  };

  const tierId = () => tier.address.toLowerCase();

  describe("limits of an operation: at the limit it passes, one more is refused", () => {
    let gateway: Gateway;
    before(async () => {
      gateway = await open({
        limits: { depth: 4, tokens: 60, aliases: 2, directives: 2, pageSize: 10, cost: 400, bodyBytes: 2_000 },
      });
    });

    it("depth", async () => {
      passes(await ask(gateway, "{ tiers(first: 1) { seniorTranche { series { id } } } }"));
      refused(
        await ask(gateway, "{ tiers(first: 1) { seniorTranche { series { tier { id } } } } }"),
        "DEPTH_LIMIT",
        400,
        /deeper than 4/,
      );
    });

    it("depth hidden in fragments counts the same", async () => {
      const inner = "fragment A on Tranche { series { ...B } } fragment B on Series";
      passes(await ask(gateway, `{ tiers(first: 1) { seniorTranche { ...A } } } ${inner} { id }`));
      refused(
        await ask(gateway, `{ tiers(first: 1) { seniorTranche { ...A } } } ${inner} { tier { id } }`),
        "DEPTH_LIMIT",
        400,
        /deeper than 4/,
      );
    });

    it("tokens", async () => {
      // { tiers(first: 1) { id ... } }: ten tokens, and the fields
      const query = (fields: number) => `{ tiers(first: 1) { ${"id ".repeat(fields)}} }`;
      passes(await ask(gateway, query(60 - 10)));
      refused(await ask(gateway, query(60 - 10 + 1)), "TOKEN_LIMIT", 400, /more than 60 tokens/);
    });

    it("aliases", async () => {
      passes(await ask(gateway, "{ a: tiers(first: 1) { id } b: tiers(first: 1) { id } }"));
      refused(
        await ask(gateway, "{ a: tiers(first: 1) { id } b: tiers(first: 1) { id } c: tiers(first: 1) { id } }"),
        "ALIAS_LIMIT",
        400,
        /More than 2 aliases/,
      );
    });

    it("directives", async () => {
      const query = (count: number) => `{ tiers(first: 1) { id ${"name @include(if: true) ".repeat(count)} } }`;
      passes(await ask(gateway, query(2)));
      refused(await ask(gateway, query(3)), "DIRECTIVE_LIMIT", 400, /More than 2 directives/);
    });

    it("a page's size as a literal, as a variable, as a variable's default, and unsaid", async () => {
      passes(await ask(gateway, "{ tiers(first: 10) { id } }"));
      refused(await ask(gateway, "{ tiers(first: 11) { id } }"), "PAGE_LIMIT", 400, /id_gt/);
      const variable = "query($n: Int = 11) { tiers(first: $n) { id } }";
      passes(await ask(gateway, variable, { n: 10 }));
      refused(await ask(gateway, variable, { n: 11 }), "PAGE_LIMIT", 400, /first: 11/);
      refused(await ask(gateway, variable), "PAGE_LIMIT", 400, /first: 11/);
      refused(await ask(gateway, "{ tiers { id } }"), "PAGE_LIMIT", 400, /first: 100/);
      refused(await ask(gateway, "{ tiers(first: 1) { agents { id } } }"), "PAGE_LIMIT", 400, /agents\(first: 100\)/);
    });

    it("cost: page sizes multiply", async () => {
      // 10 tiers with 9 or 10 agents of 3 fields: 10 · (1 + 9 · 4) = 370, 10 · (1 + 10 · 4) = 410
      const query = (agents: number) => `{ tiers(first: 10) { agents(first: ${agents}) { id index removed } } }`;
      passes(await ask(gateway, query(9)));
      refused(await ask(gateway, query(10)), "COST_LIMIT", 400, /410 fields, 400 are allowed/);
    });

    it("cost in fragments counts wherever they are spread", async () => {
      const query = (spreads: number) =>
        `{ ${"tiers(first: 10) { ...A } ".repeat(1)} ${Array.from({ length: spreads }, (_, i) => `x${i}: tiers(first: 9) { ...A }`).join(" ")} } fragment A on Tier { agents(first: 5) { id index } }`;
      // 10 · (1 + 5 · 3) = 160, 9 · 16 = 144
      passes(await ask(gateway, query(1)));
      refused(await ask(gateway, query(2)), "COST_LIMIT", 400, /448 fields/);
    });

    it("the body's bytes, declared or not", async () => {
      const body = (bytes: number) => {
        const text = JSON.stringify({ query: "{ tiers(first: 1) { id } }" });
        return text + " ".repeat(bytes - text.length);
      };
      passes(await answerOf(await raw(gateway, body(2_000))));
      refused(await answerOf(await raw(gateway, body(2_001))), "BODY_LIMIT", 413, /2000 bytes/);
      const stream = new Blob([body(2_001)]).stream();
      const chunked = await fetch(`${gateway.url}/graphql`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: stream,
        duplex: "half",
      } as RequestInit);
      refused(await answerOf(chunked), "BODY_LIMIT", 413, /2000 bytes/);
    });
  });

  describe("hostile requests get a clear answer, and the gateway goes on", () => {
    let gateway: Gateway;
    before(async () => {
      gateway = await open();
    });

    const alive = async () => passes(await ask(gateway, "{ tiers(first: 1) { id } }"));

    it("10,000 levels of selections, of lists, of filters", async () => {
      const deep = (open: string, inside: string, close: string) => open.repeat(10_000) + inside + close.repeat(10_000);
      for (const query of [deep("{a", "{b}", "}"), `{ tiers(where: {name_in: ${deep("[", '"a"', "]")}}) { id } }`]) {
        const { status, code, message } = await ask(gateway, query);
        // the lexer's limit, or the parser's stack, whichever is first
        assert.ok(code === "TOKEN_LIMIT" || code === "DEPTH_LIMIT", code);
        assert.equal(status, 400);
        assert.match(message, /split it|less at once/);
      }
      const variables = `{"query":"query($w: Tier_filter) { tiers(where: $w) { id } }","variables":{"w":${deep('{"and":[', "", "]}")}}}`;
      const wide = await open({ limits: { bodyBytes: 1_000_000 } });
      refused(await answerOf(await raw(wide, variables)), "DEPTH_LIMIT", 400, /variables|body/);
      await alive();
    });

    it("as deep as tokens allow: no stack overflows", async () => {
      const levels = Math.floor((DEFAULT_LIMITS.tokens - 20) / 3);
      const lists = `{ tiers(where: {name_in: ${"[".repeat(levels)}${"]".repeat(levels)}}) { id } }`;
      const selections = `{ tiers ${"{ a ".repeat(levels)}${"}".repeat(levels)} }`;
      for (const query of [lists, selections]) {
        const { status, code } = await ask(gateway, query);
        assert.equal(status, 400, code);
        assert.ok(["DEPTH_LIMIT", "GRAPHQL_VALIDATION_FAILED"].includes(code ?? ""), code);
      }
      await alive();
    });

    it("fragments in a circle, and fragments that double", async () => {
      const circle = "{ tiers(first: 1) { ...A } } fragment A on Tier { id ...B } fragment B on Tier { ...A }";
      const answer = await ask(gateway, circle);
      assert.equal(answer.status, 400);
      assert.match(answer.message, /Cannot spread fragment/);
      const doubling = Array.from({ length: 60 }, (_, i) => `fragment F${i} on Tier { ...F${i + 1} ...F${i + 1} }`);
      const begin = performance.now();
      const bomb = await ask(
        gateway,
        `{ tiers(first: 1) { ...F0 } } ${doubling.join(" ")} fragment F60 on Tier { agents(first: 1) { id } }`,
      );
      assert.equal(bomb.status, 400);
      assert.ok(performance.now() - begin < 5_000);
      await alive();
    });

    it("a bomb of aliases, one of directives, one of introspection", async () => {
      const aliases = Array.from({ length: 100 }, (_, i) => `a${i}: tiers(first: 1) { id }`).join(" ");
      refused(await ask(gateway, `{ ${aliases} }`), "ALIAS_LIMIT", 400, /aliases/);
      const directives = `{ tiers(first: 1) { id ${"@include(if: true) ".repeat(100)} } }`;
      refused(await ask(gateway, directives), "DIRECTIVE_LIMIT", 400, /directives/);
      const bomb = `{ __schema { types { fields { type { fields { type { fields { type { fields { name } } } } } } } } } }`;
      const answer = await ask(gateway, bomb);
      assert.equal(answer.status, 400);
      assert.match(answer.message, /introspection/i);
      await alive();
    });

    it("introspection as tools send it is answered", async () => {
      const { getIntrospectionQuery } = await import("graphql");
      passes(await ask(gateway, getIntrospectionQuery({ descriptions: true })));
    });

    it("JSON that is none, bodies that are none, types that are none, batches", async () => {
      refused(await answerOf(await raw(gateway, '{"query": "{ tiers')), "BAD_JSON", 400, /no JSON/);
      refused(await answerOf(await raw(gateway, "")), "BAD_JSON", 400, /no JSON/);
      refused(await answerOf(await raw(gateway, "null")), "BAD_REQUEST", 400, /no object/);
      refused(await answerOf(await raw(gateway, new Uint8Array([0xff, 0xfe]))), "BAD_JSON", 400, /UTF-8/);
      refused(await answerOf(await raw(gateway, "[]")), "BATCH_REFUSED", 400, /one operation/);
      refused(
        await answerOf(await raw(gateway, '[{"query":"{ __typename }"},{"query":"{ __typename }"}]')),
        "BATCH_REFUSED",
        400,
        /one operation/,
      );
      for (const type of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]) {
        const answer = await answerOf(await raw(gateway, '{"query":"{ __typename }"}', { "content-type": type }));
        refused(answer, "BAD_CONTENT_TYPE", 415, /application\/json/);
      }
      for (const body of ['{"query": 5}', '{"query": "{ __typename }", "variables": 5}', "{}"]) {
        const answer = await answerOf(await raw(gateway, body));
        assert.equal(answer.status, 400, body);
        assert.ok(answer.code !== undefined, body);
      }
      await alive();
    });

    it("GET answers queries; what is no GraphQL there is told, too", async () => {
      const get = async (search: string) => answerOf(await fetch(`${gateway.url}/graphql?${search}`));
      passes(await get(`query=${encodeURIComponent("{ tiers(first: 1) { id } }")}`));
      refused(
        await get(`query=${encodeURIComponent("{ __typename }")}&variables=%7B`),
        "BAD_JSON",
        400,
        /variables is no JSON/,
      );
      const mutation = await get(`query=${encodeURIComponent("mutation { a }")}`);
      assert.ok(mutation.status >= 400 && mutation.status < 500);
      for (const method of ["PUT", "DELETE", "PATCH"]) {
        const response = await fetch(`${gateway.url}/graphql`, { method });
        assert.equal(response.status, 405, method);
        assert.match(response.headers.get("allow") ?? "", /POST/);
      }
    });

    it("queries that are wrong say where", async () => {
      const syntax = await ask(gateway, "{ tiers(first: 1) { id }");
      refused(syntax, "PARSE_FAILED", 400, /Syntax Error/);
      const unknown = await ask(gateway, "{ tiers(first: 1) { nothing } }");
      assert.match(unknown.message, /Cannot query field "nothing"/);
      const several = await ask(gateway, "query A { __typename } query B { __typename }");
      assert.equal(several.status, 400);
      assert.match(several.message, /operation/);
    });

    it("ids that do not exist are null, and ids that are none are an error", async () => {
      const nobody = await ask(gateway, `{ tier(id: "0x${"00".repeat(20)}") { id } }`);
      passes(nobody);
      assert.equal(nobody.data?.tier, null);
      const none = await ask(gateway, '{ tier(id: "nonsense") { id } }');
      assert.ok(none.errors !== undefined);
    });

    it("anybody's page may read, with no credentials", async () => {
      const response = await raw(gateway, '{"query":"{ __typename }"}', { origin: "https://evil.example" });
      assert.ok(["*", "https://evil.example"].includes(response.headers.get("access-control-allow-origin") ?? ""));
      assert.notEqual(response.headers.get("access-control-allow-credentials"), "true");
      await response.body?.cancel();
    });
  });

  it("depth of a JSON text is counted without being fooled by its strings", () => {
    assert.equal(depthOf('{"a":[{"b":1}]}'), 3);
    assert.equal(depthOf('{"a":"[[[[\\"[[["}'), 1);
    assert.equal(depthOf("5"), 0);
  });

  describe("clients", () => {
    it("so many requests in a time, and no more; whoever watches the gateway is not counted", async () => {
      const gateway = await open({ limits: { requests: 3, perSeconds: 600 } });
      for (let i = 0; i < 3; i++) passes(await ask(gateway, "{ tiers(first: 1) { id } }"));
      const answer = await ask(gateway, "{ tiers(first: 1) { id } }");
      refused(answer, "RATE_LIMIT", 429, /wait \d+ s/);
      const wait = Number(answer.headers.get("retry-after"));
      assert.ok(wait > 0 && wait <= 600);
      for (let i = 0; i < 5; i++) assert.equal((await fetch(`${gateway.url}/health`)).status, 200);
      assert.equal((await fetch(`${gateway.url}/csv/positions?tier=${tierId()}`)).status, 429);
    });

    it("whoever waits as long as he is told may ask again", async () => {
      const gateway = await open({ limits: { requests: 1, perSeconds: 1 } });
      const probe = () => fetch(`${gateway.url}/graphql?query=%7B__typename%7D`);
      let response = await probe();
      for (let i = 0; i < 100 && response.status !== 429; i++) response = await probe();
      assert.equal(response.status, 429);
      await setTimeout(Number(response.headers.get("retry-after")) * 1_000 + 50);
      assert.equal((await probe()).status, 200);
    });

    it("without a proxy nobody can claim another address", async () => {
      const gateway = await open({ limits: { requests: 1, perSeconds: 60 } });
      passes(await ask(gateway, "{ tiers(first: 1) { id } }", {}, { "x-forwarded-for": "203.0.113.1" }));
      const again = await ask(gateway, "{ tiers(first: 1) { id } }", {}, { "x-forwarded-for": "203.0.113.2" });
      assert.equal(again.code, "RATE_LIMIT");
    });

    it("behind one the header's last entry counts, which the proxy wrote; of IPv6 its network", async () => {
      const gateway = await open({ limits: { requests: 1, perSeconds: 60 }, clientHeader: "x-forwarded-for" });
      const from = (said: string) => ask(gateway, "{ tiers(first: 1) { id } }", {}, { "x-forwarded-for": said });
      passes(await from("203.0.113.1"));
      passes(await from("203.0.113.2"));
      assert.equal((await from("198.51.100.9, 203.0.113.1")).code, "RATE_LIMIT");
      passes(await from("2001:db8:1:2::1"));
      assert.equal((await from("2001:db8:1:2:ffff::9")).code, "RATE_LIMIT");
      passes(await from("2001:db8:1:3::1"));
    });

    it("so many subscriptions; one that ends makes room", async () => {
      const gateway = await open({ limits: { subscriptionsPerClient: 2 } });
      const subscribe = async () => {
        const stop = new AbortController();
        const response = await fetch(`${gateway.url}/graphql`, {
          method: "POST",
          headers: { "content-type": "application/json", accept: "text/event-stream" },
          body: JSON.stringify({ query: `subscription { synced { id } }` }),
          signal: stop.signal,
        });
        return { response, stop };
      };
      const first = await subscribe();
      const second = await subscribe();
      assert.equal(first.response.headers.get("content-type")?.split(";")[0], "text/event-stream");
      const third = await subscribe();
      assert.match(await third.response.text(), /SUBSCRIPTION_LIMIT/);
      first.stop.abort();
      await setTimeout(300);
      const fourth = await subscribe();
      assert.equal(fourth.response.status, 200);
      const metrics = await (await fetch(`${gateway.url}/metrics`)).text();
      assert.match(metrics, /^bulkhead_gateway_subscriptions 2$/m);
      for (const { stop } of [second, fourth]) stop.abort();
    });
  });

  it("an operation that takes too long is given up, and so is what it asked graph-node for", async () => {
    const gateway = await open({ limits: { timeoutMs: 3_000 } });
    passes(await ask(gateway, "{ tiers(first: 1) { id } }"));
    const before = subgraph.abandoned;
    subgraph.mode = "hang";
    try {
      const begin = performance.now();
      refused(await ask(gateway, "{ tiers(first: 1) { id name } }"), "TIMEOUT", 504, /within 3 s/);
      assert.ok(performance.now() - begin < 15_000);
      for (let i = 0; i < 40 && subgraph.abandoned === before; i++) await setTimeout(50);
      assert.ok(subgraph.abandoned > before, "graph-node sees that nobody waits any more");
    } finally {
      subgraph.mode = "pass";
    }
    passes(await ask(gateway, "{ tiers(first: 1) { id } }"));
  });

  it("with persisted documents only, nothing else is answered", async () => {
    const folder = mkdtempSync(join(tmpdir(), "bulkhead-persisted-"));
    try {
      const text = "{ tiers(first: 1) { id } }";
      const hash = createHash("sha256").update(text).digest("hex");
      writeFileSync(join(folder, `${hash}.graphql`), text);
      const gateway = await open({ persisted: { folder, only: true } });
      const named = async (sha256Hash: string) =>
        answerOf(await raw(gateway, JSON.stringify({ extensions: { persistedQuery: { version: 1, sha256Hash } } })));
      passes(await named(hash));
      refused(await named("0".repeat(64)), "PERSISTED_NOT_FOUND", 404, /operator/);
      refused(await ask(gateway, text), "PERSISTED_ONLY", 403, /persistedQuery/);
      writeFileSync(join(folder, "wrong.graphql"), text);
      await assert.rejects(open({ persisted: { folder, only: true } }), (error: Error) => error.message.includes(hash));
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  describe("CSV", () => {
    let gateway: Gateway;
    before(async () => {
      gateway = await open();
    });
    const csv = (path: string, to = gateway) => fetch(`${to.url}/csv/${path}`);
    const rowsOf = async (response: Response): Promise<string[][]> => {
      const text = await response.text();
      assert.equal(response.status, 200, text);
      assert.match(response.headers.get("content-type") ?? "", /^text\/csv/);
      assert.ok(text.endsWith("\r\n"));
      return text
        .slice(0, -2)
        .split("\r\n")
        .map((line) => line.split(","));
    };
    const fields = ["period", "timestamp", "totalValueLockedETH", "utilisation", "tier"];

    it("a tier's days say what GraphQL says, to the wei", async () => {
      const [header, ...rows] = await rowsOf(await csv(`tiers/${tierId()}/days?fields=${fields.join(",")}`));
      const { data } = await ask(
        gateway,
        `{ tierSnapshots(first: 1000, where: {tier: "${tierId()}", interval: DAY}, orderBy: period) {
            period timestamp totalValueLockedETH utilisation tier { id } } }`,
      );
      const rowSchema = z.object({
        period: z.int(),
        timestamp: z.string(),
        totalValueLockedETH: z.string(),
        utilisation: z.string(),
        tier: z.object({ id: z.string() }),
      });
      const expected = z.array(rowSchema).parse(data?.tierSnapshots);
      assert.ok(expected.length >= 5, "there is something to compare");
      assert.deepEqual(header, fields);
      assert.deepEqual(
        rows,
        expected.map((one) => [
          String(one.period),
          one.timestamp,
          one.totalValueLockedETH,
          one.utilisation,
          one.tier.id,
        ]),
      );
    });

    it("every table of a tier, with all of its fields, none in the notation of floats", async () => {
      const paths = [
        `tiers/${tierId()}/hours`,
        `tranches/${tierId()}01/days`,
        `agents/${tier.agents[0]?.address.toLowerCase()}/days`,
        `groups/${tierId()}00/days`,
        `positions?tier=${tierId()}`,
        `syncs?tier=${tierId()}`,
      ];
      for (const path of paths) {
        const [header, ...rows] = await rowsOf(await csv(path));
        assert.ok(rows.length > 0, path);
        assert.equal(header?.[0], "id");
        for (const row of rows) {
          assert.equal(row.length, header?.length, path);
          for (const one of row) assert.doesNotMatch(one, /^-?[\d.]+e[+-]?\d+$/i, path);
        }
      }
      assert.deepEqual((await rowsOf(await csv(`losses?tier=${tierId()}&fields=lossId,amount`)))[0], [
        "lossId",
        "amount",
      ]);
    });

    it("from is inside, to is outside, as days or as seconds", async () => {
      const all = (await rowsOf(await csv(`tiers/${tierId()}/days?fields=timestamp`)))
        .slice(1)
        .map(([at]) => Number(at));
      const [, second = 0, third = 0] = all;
      const some = async (search: string) =>
        (await rowsOf(await csv(`tiers/${tierId()}/days?fields=timestamp&${search}`)))
          .slice(1)
          .map(([at]) => Number(at));
      assert.deepEqual(await some(`from=${second}&to=${third}`), [second]);
      const day = new Date(second * 1000).toISOString().slice(0, 10);
      assert.deepEqual(await some(`from=${day}`), all.slice(1));
      assert.deepEqual(await some(`to=${day}T00:00:00Z`), all.slice(0, 1));
    });

    it("is of one block, which it names; a block can be asked for", async () => {
      const now = await csv(`positions?tier=${tierId()}&fields=account,balance`);
      const block = Number(now.headers.get("x-bulkhead-block"));
      assert.match(now.headers.get("x-bulkhead-block-hash") ?? "", /^0x[0-9a-f]{64}$/);
      assert.equal(
        now.headers.get("content-disposition"),
        `attachment; filename="bulkhead-positions-${tierId()}-block${block}.csv"`,
      );
      const rows = await rowsOf(now);
      const before = await csv(`positions?tier=${tierId()}&fields=account,balance&block=${block - 1}`);
      assert.equal(before.headers.get("x-bulkhead-block"), String(block - 1));
      assert.notDeepEqual(await rowsOf(before), rows, "the last block was a deposit");
      refused(
        await answerOf(await csv(`positions?tier=${tierId()}&block=${block + 1_000}`)),
        "NOT_FOUND",
        404,
        /it is at \d+/,
      );
    });

    it("pages of any size give the same file", async () => {
      const services = { metrics: new Metrics(false), onPage: () => {}, onFailure: assert.ifError };
      const file = async (page: number, path: string) => {
        const options = { subgraphUrl: stack.graphqlUrl, rows: 10_000, timeoutMs: 10_000, page };
        return (await csvResponse(new URL(`http://localhost/csv/${path}`), options, services)).text();
      };
      for (const path of [`syncs?tier=${tierId()}`, `tiers/${tierId()}/days`, `positions?tier=${tierId()}`]) {
        const whole = await file(1_000, path);
        const count = whole.split("\r\n").length - 2;
        assert.ok(count > 2, path);
        for (const page of [1, 2, count, count + 1]) assert.equal(await file(page, path), whole, `${path} by ${page}`);
      }
    });

    it("as many rows as allowed; one more is refused before the first byte", async () => {
      const path = `syncs?tier=${tierId()}&fields=block`;
      const count = (await rowsOf(await csv(path))).length - 1;
      const enough = await open({ limits: { csvRows: count } });
      assert.equal((await rowsOf(await csv(path, enough))).length - 1, count);
      const less = await open({ limits: { csvRows: count - 1 } });
      refused(await answerOf(await csv(path, less)), "CSV_LIMIT", 413, /from and to/);
    });

    it("a failure in the middle breaks the file off", async () => {
      let pages = 0;
      const relay = await startRelay(stack.graphqlUrl);
      try {
        relay.mode = (body) => (body.includes("rows:") && ++pages > 1 ? "break" : "pass");
        const failures: unknown[] = [];
        const response = await csvResponse(
          new URL(`http://localhost/csv/syncs?tier=${tierId()}`),
          { subgraphUrl: relay.url, rows: 10_000, timeoutMs: 10_000, page: 2 },
          { metrics: new Metrics(false), onPage: () => {}, onFailure: (error) => failures.push(error) },
        );
        assert.equal(response.status, 200);
        await assert.rejects(response.text());
        assert.equal(failures.length, 1);
      } finally {
        await relay.close();
      }
    });

    it("what is wrong in an address is told", async () => {
      const wrong: [string, number, RegExp][] = [
        ["", 404, /There are: \/csv\/tiers/],
        ["nothing", 404, /There are: \/csv\/tiers/],
        [`tiers/${tierId()}/weeks`, 404, /days or hours/],
        ["tiers/0x12/days", 400, /no id of a tier/],
        [`tiers/0x${"00".repeat(20)}/days`, 404, /no tier 0x00/],
        [`positions?tier=0x${"00".repeat(20)}`, 404, /no tier 0x00/],
        ["positions", 400, /Of which tier/],
        [`positions?tier=${tierId()}&from=0`, 400, /no parameter "from"/],
        [`tiers/${tierId()}/days?fields=period,nothing`, 400, /no field "nothing": id, /],
        [`tiers/${tierId()}/days?from=yesterday`, 400, /2026-01-31/],
        [`tiers/${tierId()}/days?from=5&to=5`, 400, /before to/],
        [`tiers/${tierId()}/days?block=latest`, 400, /number, or a hash/],
      ];
      for (const [path, status, words] of wrong) {
        const answer = await answerOf(await csv(path));
        assert.equal(answer.status, status, path);
        assert.match(answer.message, words, path);
      }
      const post = await fetch(`${gateway.url}/csv/positions?tier=${tierId()}`, { method: "POST" });
      assert.equal(post.status, 405);
    });
  });

  describe("operation", () => {
    const readySchema = z.object({
      ready: z.boolean(),
      reasons: z.array(z.string()),
      lagBlocks: z.number().nullable(),
      subgraph: z.object({ block: z.int() }).nullable(),
      chain: z.object({ block: z.int(), chainId: z.int() }).nullable(),
    });
    const ready = async (gateway: Gateway) => {
      const response = await fetch(`${gateway.url}/ready`);
      return { status: response.status, ...readySchema.parse(await response.json()) };
    };
    /** Asks until it is so: probes are remembered for a second. */
    const until = async (gateway: Gateway, want: boolean) => {
      let last = await ready(gateway);
      for (let i = 0; i < 100 && last.ready !== want; i++) {
        await setTimeout(100);
        last = await ready(gateway);
      }
      assert.equal(last.ready, want, last.reasons.join(" "));
      assert.equal(last.status, want ? 200 : 503);
      return last;
    };

    it("is ready; not when the subgraph or the chain is away, saying which; and then again", async () => {
      const gateway = await open();
      const first = await until(gateway, true);
      assert.deepEqual(first.reasons, []);
      assert.equal(first.chain?.chainId, 31_337);
      for (const [relay, word] of [
        [subgraph, /subgraph does not answer/],
        [chain, /chain does not answer/],
      ] as const) {
        relay.mode = "break";
        try {
          const { reasons } = await until(gateway, false);
          assert.equal(reasons.length, 1);
          assert.match(reasons[0] ?? "", word);
          assert.doesNotMatch(reasons[0] ?? "", /http:/, "an address may hold a key");
          assert.equal((await fetch(`${gateway.url}/health`)).status, 200, "alive all the same");
        } finally {
          relay.mode = "pass";
        }
        await until(gateway, true);
      }
    });

    it("metrics count requests, errors by code and upstream's answers, and know the lag", async () => {
      const gateway = await open();
      passes(await ask(gateway, "{ tiers(first: 1) { id } }"));
      await ask(gateway, "{ tiers(first: 100000) { id } }");
      const text = await (await fetch(`${gateway.url}/metrics`)).text();
      assert.match(text, /^bulkhead_gateway_requests_total\{route="graphql",status="200"\} [1-9]\d*$/m);
      assert.match(text, /^bulkhead_gateway_requests_total\{route="graphql",status="400"\} 1$/m);
      assert.match(text, /^bulkhead_gateway_errors_total\{code="PAGE_LIMIT"\} 1$/m);
      assert.match(text, /^bulkhead_gateway_lag_blocks 0$/m);
      assert.match(
        text,
        /^bulkhead_gateway_upstream_duration_seconds_count\{upstream="subgraph",outcome="ok"\} [1-9]/m,
      );
    });

    it("GraphiQL is one page that loads nothing from elsewhere, with the questions as tabs", async () => {
      const gateway = await open();
      const response = await fetch(`${gateway.url}/graphql`, { headers: { accept: "text/html" } });
      assert.equal(response.status, 200);
      const html = await response.text();
      assert.doesNotMatch(html, /<(script|link|img)[^>]+(src|href)="https?:/);
      for (const { title } of questions()) assert.ok(html.includes(JSON.stringify(`# ${title}`).slice(1, -1)), title);
      const again = await fetch(`${gateway.url}/graphql`, {
        headers: { accept: "text/html", "if-none-match": response.headers.get("etag") ?? "" },
      });
      assert.equal(again.status, 304);
      assert.equal(
        new URL((await fetch(gateway.url, { redirect: "manual" })).headers.get("location") ?? "", gateway.url).pathname,
        "/graphql",
      );
    });

    it("every question is a query that the default limits allow, and is answered without an error", async () => {
      const gateway = await open();
      for (const { name, query } of questions()) {
        const answer = await ask(gateway, query);
        assert.equal(answer.errors, undefined, `${name}: ${JSON.stringify(answer.errors)}`);
      }
    });

    it("drains: what is under way finishes, nothing new is taken, subscriptions end", async () => {
      const gateway = await open();
      const stream = await fetch(`${gateway.url}/graphql`, {
        method: "POST",
        headers: { "content-type": "application/json", accept: "text/event-stream" },
        body: JSON.stringify({ query: "subscription { synced { id } }" }),
      });
      assert.equal(stream.status, 200);
      const underWay = ask(gateway, "{ tiers(first: 1) { id } }");
      await setTimeout(20);
      const closed = gateway.close();
      passes(await underWay);
      await stream.text();
      await closed;
      gateways.splice(gateways.indexOf(gateway), 1);
      const { port } = new URL(gateway.url);
      await assert.rejects(
        new Promise((done, fail) => connect(Number(port), "127.0.0.1", () => done(undefined)).on("error", fail)),
        /ECONNREFUSED/,
      );
    });
  });

  it("npm run gateway: says where it is, answers, and ends in order when it is told to", async () => {
    const folder = mkdtempSync(join(tmpdir(), "bulkhead-gateway-"));
    const file = join(folder, "it.json");
    saveDeployment(deployment, file);
    const args = ["scripts/gateway.ts", "--subgraph", stack.graphqlUrl, "--deployment", file, "--port", "0"];
    const child = spawn(process.execPath, [...args, "--log-level", "info"], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, BULKHEAD_GATEWAY_RPC: `${world.chain.url}/a-secret-key` },
    });
    try {
      let log = "";
      child.stderr.on("data", (text) => {
        log += text;
      });
      const [first] = (await once(child.stdout, "data")) as [Buffer];
      const url = /http:\S+(?=\/graphql)/.exec(first.toString())?.[0] ?? "";
      const response = await fetch(`${url}/graphql?query=%7Btiers(first:1)%7Bid%7D%7D`);
      passes(await answerOf(response));
      child.kill("SIGTERM");
      const [code] = (await once(child, "exit")) as [number | null];
      assert.equal(code, 0, log);
      assert.match(log, /"route":"graphql","status":200/);
      assert.doesNotMatch(log, /a-secret-key|tiers\(first/, "neither keys nor queries are logged");
    } finally {
      child.kill("SIGKILL");
      rmSync(folder, { recursive: true });
    }
  });

  describe("configuration", () => {
    const needed = (file: string) => [
      "--subgraph",
      "http://127.0.0.1:1/",
      "--rpc",
      "http://127.0.0.1:2/",
      "--deployment",
      file,
    ];

    it("takes options before the environment, and defaults for the rest", () => {
      const folder = mkdtempSync(join(tmpdir(), "bulkhead-gateway-"));
      try {
        const file = join(folder, "it.json");
        saveDeployment(deployment, file);
        const config = readConfig([...needed(file), "--port", "0", "--page-size", "5"], {
          BULKHEAD_GATEWAY_PORT: "9",
          BULKHEAD_GATEWAY_CSV_ROWS: "7",
        });
        assert.ok(!config.help);
        assert.equal(config.options.port, 0);
        assert.deepEqual(config.options.limits, { ...DEFAULT_LIMITS, pageSize: 5, csvRows: 7 });
        assert.equal(config.options.deployment.chainId, 31_337);
      } finally {
        rmSync(folder, { recursive: true });
      }
    });

    it("tells every mistake at once, with the name of the option", () => {
      assert.throws(
        () => readConfig(["--rpc", "ftp://x", "--port", "70000"], {}),
        (error: Error) =>
          error instanceof ConfigError &&
          /--subgraph is missing/.test(error.message) &&
          /BULKHEAD_GATEWAY_SUBGRAPH/.test(error.message) &&
          /--rpc: not an http/.test(error.message) &&
          /--port: not a port/.test(error.message),
      );
      assert.throws(() => readConfig(["--subgraf", "x"], {}), /Did you mean --subgraph/);
      assert.throws(() => readConfig([...needed("/nowhere.json")], {}), /chain id, or a file/);
    });
  });
});
