/** What the keeper's operator sees: metrics, log, HTTP, alerts with their runbook, and the files that run it. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join, relative, resolve } from "node:path";
import { after, before, describe, it } from "node:test";
import { parse } from "yaml";
import * as z from "zod";
import type { EndpointStatus } from "../../keeper/chain/pool.ts";
import { configSchema } from "../../keeper/config/schema.ts";
import { liveness, readiness, type Vitals } from "../../keeper/operate/health.ts";
import { createLog, formatEth } from "../../keeper/operate/log.ts";
import { Metrics } from "../../keeper/operate/metrics.ts";
import { type Health, type HttpServer, serve } from "../../keeper/operate/server.ts";
import type { Action } from "../../keeper/plan/types.ts";
import type { Pulse, TierRef } from "../../keeper/state/types.ts";
import type { Entry } from "../../keeper/transactions/types.ts";
import { ROOT } from "../../scripts/lib/tools.ts";

const OPERATE = join(ROOT, "keeper/operate");
const read = (path: string) => readFileSync(join(ROOT, path), "utf8");
const ETH = 10n ** 18n;
const A = `0x${"a1".repeat(20)}`;
const B = `0x${"b2".repeat(20)}`;

const ref = (address: string, name: string): TierRef => ({
  address,
  name,
  risk: A,
  stakes: A,
  allocator: A,
  mandate: A,
  factory: A,
  allocationManager: A,
  strategy: A,
  module: A,
  rewards: A,
});
const pulseOf = (change: Partial<Pulse> = {}): Pulse => ({
  address: A,
  readable: true,
  failure: "0x",
  slashedAgents: 0n,
  unwinding: 0,
  deleverageNeeded: false,
  changedSets: 0n,
  surroundings: "0x",
  freshUntil: 2_000,
  lastSync: 1_000,
  utilisation: ETH / 2n,
  exposed: 5n * 10n ** 27n,
  cover: 10n * ETH,
  value: 100n * ETH,
  ...change,
});
const actionOf = (job: Action["job"], tier = A): Action => ({
  tier,
  job,
  subject: "agent 1",
  urgency: "routine",
  reason: "a test",
  call: { target: A, data: "0x", text: "deploy(1)" },
});
const entryOf = (change: Partial<Entry> = {}): Entry => ({
  id: 1,
  lane: `${A}/routine`,
  tier: A,
  urgency: "routine",
  actions: [actionOf("deploy"), actionOf("finalise")],
  nonce: 3,
  stage: "final",
  hashes: [`0x${"12".repeat(32)}`],
  createdAt: 1_000,
  decidedAt: 7,
  gasUsed: 600_000n,
  paid: ETH / 100n,
  succeeded: true,
  done: [true, false],
  cancelled: false,
  ...change,
});
const value = async (metrics: Metrics, name: string, labels: Record<string, string> = {}) => {
  const metric = await metrics.registry.getSingleMetric(name)?.get();
  assert.ok(metric, `no metric ${name}`);
  const has = (one: object) =>
    Object.entries(labels).every(([key, wanted]) => String((one as Record<string, unknown>)[key]) === wanted);
  return metric.values.find((one) => has(one.labels))?.value;
};

describe("metrics", () => {
  const fresh = () => new Metrics({ chainId: 1, processMetrics: false, clock: () => 5_000 });

  it("tell each tier's health in ETH and ratios, and infinite utilisation as such", async () => {
    const metrics = fresh();
    metrics.pulse(ref(A, "Careful"), pulseOf(), undefined);
    metrics.pulse(ref(B, "Bold"), pulseOf({ address: B, utilisation: 2n ** 256n - 1n, slashedAgents: 5n }), 900);
    const of = (name: string, tier: string) => value(metrics, `bulkhead_tier_${name}`, { tier });
    assert.deepEqual(
      [await of("utilisation_ratio", "Careful"), await of("exposure_eth", "Careful"), await of("cover_eth", "Careful")],
      [0.5, 5, 10],
    );
    assert.deepEqual([await of("covered", "Careful"), await of("covered", "Bold")], [1, 0]);
    assert.equal(await of("utilisation_ratio", "Bold"), Number.POSITIVE_INFINITY);
    assert.equal(await of("slashed_agents", "Bold"), 2);
    assert.deepEqual(
      [await of("uncovered_since_timestamp_seconds", "Careful"), await of("uncovered_since_timestamp_seconds", "Bold")],
      [0, 900],
    );
  });

  it("keep an unreadable tier's last true figures, and say that it is unreadable", async () => {
    const metrics = fresh();
    metrics.pulse(ref(A, "Careful"), pulseOf(), undefined);
    metrics.pulse(ref(A, "Careful"), pulseOf({ readable: false, utilisation: 0n, cover: 0n }), undefined);
    assert.equal(await value(metrics, "bulkhead_tier_readable", { tier: "Careful" }), 0);
    assert.equal(await value(metrics, "bulkhead_tier_cover_eth", { tier: "Careful" }), 10);
  });

  it("keep two tiers of one name apart", async () => {
    const metrics = fresh();
    metrics.pulse(ref(A, "Careful"), pulseOf(), undefined);
    metrics.pulse(ref(B, "Careful"), pulseOf({ value: ETH }), undefined);
    assert.equal(await value(metrics, "bulkhead_tier_value_eth", { tier: "Careful" }), 100);
    assert.equal(await value(metrics, "bulkhead_tier_value_eth", { tier: `Careful ${B}` }), 1);
  });

  it("count a transaction once, at its end, and share its cost among its actions", async () => {
    const metrics = fresh();
    metrics.pulse(ref(A, "Careful"), pulseOf(), undefined);
    metrics.transaction(entryOf({ stage: "mined" }));
    assert.equal(await value(metrics, "bulkhead_keeper_gas_total", { job: "deploy" }), undefined);
    metrics.transaction(entryOf());
    metrics.transaction(entryOf());
    const labels = { tier: "Careful", job: "deploy", outcome: "done" };
    assert.equal(await value(metrics, "bulkhead_keeper_actions_total", labels), 1);
    assert.equal(await value(metrics, "bulkhead_keeper_gas_total", { job: "finalise", outcome: "failed" }), 300_000);
    assert.equal(await value(metrics, "bulkhead_keeper_spent_eth_total", { job: "deploy" }), 0.005);
    metrics.transaction(entryOf({ id: 2, stage: "abandoned" }));
    assert.equal(
      await value(metrics, "bulkhead_keeper_transactions_total", { outcome: "abandoned", urgency: "routine" }),
      1,
    );
    assert.equal(
      await value(metrics, "bulkhead_keeper_transactions_total", { outcome: "succeeded", urgency: "routine" }),
      1,
    );
  });

  it("count what a process finds finished when it starts under the tier's name, once that is known", async () => {
    const metrics = fresh();
    metrics.transaction(entryOf());
    metrics.pulse(ref(B, "Bold"), pulseOf({ address: B }), undefined);
    metrics.pulse(ref(A, "Careful"), pulseOf(), undefined);
    metrics.transaction(entryOf());
    assert.equal(await value(metrics, "bulkhead_keeper_actions_total", { tier: "Careful", job: "deploy" }), 1);
    assert.equal(await value(metrics, "bulkhead_keeper_actions_total", { tier: A }), undefined);
  });

  it("tell since when a transaction waits to be mined, and stop when it is", async () => {
    const metrics = fresh();
    const name = "bulkhead_keeper_oldest_unmined_timestamp_seconds";
    metrics.inFlight([entryOf({ stage: "sent", createdAt: 70 }), entryOf({ stage: "intended", createdAt: 60 })]);
    assert.equal(await value(metrics, name, { urgency: "routine" }), 60);
    assert.equal(await value(metrics, name, { urgency: "protection" }), 0);
    metrics.inFlight([entryOf({ stage: "mined", createdAt: 60 })]);
    assert.equal(await value(metrics, name, { urgency: "routine" }), 0);
    assert.equal(await value(metrics, "bulkhead_keeper_in_flight", { urgency: "routine", stage: "mined" }), 1);
  });

  it("count RPCs' calls, bytes and errors on from where they were when last looked at", async () => {
    const metrics = fresh();
    const traffic = { requests: 10, posts: 5, bytesSent: 100, bytesReceived: 900, errors: { timeout: 2 } };
    const rpc = (change: object) =>
      ({
        name: "node.example",
        state: "well",
        score: 0.8,
        latency: 0.05,
        head: 7,
        traffic,
        ...change,
      }) as EndpointStatus;
    metrics.rpcs([rpc({})], { failovers: 1 });
    metrics.rpcs([rpc({ state: "left alone", traffic: { ...traffic, requests: 12, errors: { timeout: 3 } } })], {
      failovers: 1,
    });
    const of = (name: string, labels = {}) =>
      value(metrics, `bulkhead_keeper_rpc_${name}`, { rpc: "node.example", ...labels });
    assert.deepEqual(
      [await of("requests_total"), await of("errors_total", { kind: "timeout" }), await of("healthy")],
      [12, 3, 0],
    );
    assert.equal(await of("bytes_total", { direction: "received" }), 900);
    assert.equal(await value(metrics, "bulkhead_keeper_rpc_failovers_total"), 1);
  });

  it("are explained each, named by Prometheus' rules, and parse as its text format", async () => {
    const metrics = new Metrics({ chainId: 1 });
    metrics.pulse(ref(A, 'a "quoted" \\ name'), pulseOf(), undefined);
    for (const one of metrics.registry.getMetricsAsArray()) {
      const { name, help, type } = one as unknown as { name: string; help: string; type: string };
      if (!name.startsWith("bulkhead_")) continue;
      assert.match(name, /^bulkhead_(keeper|tier)_[a-z_]+$/);
      assert.ok(help.length > 10 && help.endsWith("."), `${name} is not explained`);
      assert.equal(name.endsWith("_total"), type === "counter", `${name} is a ${type}`);
    }
    for (const line of (await metrics.text()).split("\n")) {
      const sample =
        /^[a-zA-Z_:][\w:]*(\{([a-z_A-Z]\w*="(\\.|[^"\\])*",?)*\})? ([Nn]a[Nn]|[+-]Inf|-?[\d.]+(e[+-]?\d+)?)( \d+)?$/;
      assert.ok(line === "" || line.startsWith("# ") || sample.test(line), line);
    }
  });
});

/** Names of metrics in a PromQL expression, with their label matchers taken away. */
function metricsIn(expression: string): string[] {
  const bare = expression.replace(/\{[^}]*\}|\[[^\]]*\]|"[^"]*"/g, " ");
  return [...new Set(bare.match(/\b(bulkhead|process|nodejs)_\w+\b/g) ?? [])];
}

/** Labels that an expression asks for, by metric. */
function labelsIn(expression: string): { metric: string; labels: string[] }[] {
  return [...expression.matchAll(/\b((?:bulkhead)_\w+)\{([^}]*)\}/g)].map((match) => ({
    metric: match[1] ?? "",
    labels: [...(match[2] ?? "").matchAll(/(\w+)\s*[=!]~?/g)].map((label) => label[1] ?? ""),
  }));
}

const rules = z
  .object({
    groups: z.array(
      z.object({
        name: z.string(),
        rules: z.array(
          z.strictObject({
            alert: z.string().regex(/^[A-Z][A-Za-z]+$/),
            expr: z.string(),
            for: z
              .string()
              .regex(/^\d+[mh]$/)
              .optional(),
            labels: z.strictObject({ severity: z.enum(["page", "ticket"]) }),
            annotations: z.strictObject({ summary: z.string(), description: z.string(), runbook_url: z.string() }),
          }),
        ),
      }),
    ),
  })
  .parse(parse(readFileSync(join(OPERATE, "alerts.yaml"), "utf8")))
  .groups.flatMap((group) => group.rules);

const dashboard = z
  .object({
    panels: z.array(
      z.object({
        id: z.number(),
        title: z.string(),
        gridPos: z.object({ x: z.number(), w: z.number() }),
        targets: z.array(z.object({ expr: z.string() })).default([]),
      }),
    ),
  })
  .parse(JSON.parse(readFileSync(join(OPERATE, "dashboard.json"), "utf8")));

describe("alerts, dashboard and runbook", () => {
  const registry = new Metrics({ chainId: 1 }).registry;
  const known = new Map(
    registry.getMetricsAsArray().flatMap((one) => {
      const { name, type, labelNames } = one as unknown as { name: string; type: string; labelNames: string[] };
      const names = type === "histogram" ? ["_bucket", "_count", "_sum"].map((end) => name + end) : [name];
      return names.map((each) => [each, [...labelNames, ...(each.endsWith("_bucket") ? ["le"] : [])]] as const);
    }),
  );
  const expressions = [
    ...rules.map((rule) => [`alert ${rule.alert}`, rule.expr] as const),
    ...dashboard.panels.flatMap((panel) => panel.targets.map(({ expr }) => [`panel ${panel.title}`, expr] as const)),
  ];

  it("use only metrics and labels that the keeper has", () => {
    for (const [where, expression] of expressions) {
      const names = metricsIn(expression);
      assert.ok(names.length > 0, `${where} asks for no metric`);
      for (const name of names) assert.ok(known.has(name), `${where}: no metric ${name}`);
      for (const { metric, labels } of labelsIn(expression))
        for (const label of labels)
          assert.ok(known.get(metric)?.includes(label), `${where}: ${metric} has no ${label}`);
    }
  });

  it("have brackets that close", () => {
    for (const [where, expression] of expressions) {
      let open = 0;
      for (const letter of expression.replace(/"[^"]*"/g, "")) {
        if ("({[".includes(letter)) open++;
        if (")}]".includes(letter)) open--;
        assert.ok(open >= 0, where);
      }
      assert.equal(open, 0, where);
    }
  });

  it("have a section of the runbook for each alert, and no other", () => {
    const manual = read("docs/KEEPER.md");
    const sections = new Map(
      (manual.split(/^## Runbook$/m)[1] ?? "")
        .split(/^### /m)
        .slice(1)
        .map((text) => [text.slice(0, text.indexOf("\n")).trim(), text] as const),
    );
    assert.deepEqual([...sections.keys()].sort(), rules.map((rule) => rule.alert).sort());
    for (const rule of rules) {
      assert.equal(rule.annotations.runbook_url, `docs/KEEPER.md#${rule.alert.toLowerCase()}`);
      const text = sections.get(rule.alert) ?? "";
      for (const word of ["**Means**", "**Do**"]) assert.ok(text.includes(word), `${rule.alert} lacks ${word}`);
    }
  });

  it("link to sections and files that exist", () => {
    const manual = read("docs/KEEPER.md");
    const anchors = new Set(
      [...manual.matchAll(/^#+ (.+)$/gm)].map((match) =>
        (match[1] ?? "")
          .toLowerCase()
          .replace(/[^\w -]/g, "")
          .replace(/ /g, "-"),
      ),
    );
    for (const [, target] of manual.matchAll(/\]\(([^)]+)\)/g)) {
      const [file, anchor] = (target ?? "").split("#");
      if (file) assert.ok(existsSync(join(ROOT, "docs", file)), `docs/${file}`);
      else assert.ok(anchors.has(anchor ?? ""), `#${anchor}`);
    }
  });

  it("place no panel outside the page, and number each once", () => {
    for (const { title, gridPos } of dashboard.panels) assert.ok(gridPos.x + gridPos.w <= 24, title);
    assert.equal(new Set(dashboard.panels.map((panel) => panel.id)).size, dashboard.panels.length);
  });
});

describe("the log", () => {
  const KEY = `${"c0ffee".repeat(10)}beef`;
  function lines(
    format: "json" | "pretty",
    tell: (log: ReturnType<typeof createLog>) => void,
    level?: "debug",
  ): string {
    let text = "";
    const output = {
      write: (line: string) => {
        text += line;
      },
    };
    tell(createLog({ format, output, secrets: [`0x${KEY}`], ...(level ? { level } : {}) }));
    return text;
  }
  const told = { tier: "Bold", reason: "it was slashed", hash: `0x${"12".repeat(32)}`, cost: 1_234_500_000_000_000n };

  it("says what, why, hash and cost in one line for people", () => {
    const text = lines("pretty", (log) => log.info(told, "unwound agent 2, set 5"));
    assert.match(text, /INFO: Bold: unwound agent 2, set 5, because it was slashed \(0x(12){32}, 0\.00123 ETH\)\n$/);
    assert.equal(text.split("\n").length, 2);
  });

  it("says the same as JSON for machines, amounts to the wei", () => {
    const text = lines("json", (log) => log.info(told, "unwound agent 2, set 5"));
    const { time, ...rest } = z.record(z.string(), z.unknown()).parse(JSON.parse(text));
    assert.ok(Math.abs(Date.parse(String(time)) - Date.now()) < 60_000);
    assert.deepEqual(rest, { level: "info", message: "unwound agent 2, set 5", ...told, cost: "1234500000000000" });
  });

  for (const format of ["json", "pretty"] as const) {
    it(`shows no key, no password and no RPC's path (${format})`, () => {
      const text = lines(format, (log) => {
        log.error({ error: new Error(`bad key 0x${KEY}`), nested: { deep: [{ password: "hunter2" }] } }, "failed");
        log.warn({ url: "https://me:hunter2@node.example/v3/hunter2?k=hunter2" }, `asked http://x.example/hunter2`);
        log.warn({ privateKey: "hunter2", more: `calldata ${KEY.toUpperCase()}` }, "refused");
      });
      assert.doesNotMatch(text, /hunter2|c0ffee/i);
      assert.match(text, /https:\/\/node\.example\/…/);
      assert.equal(text.trim().split("\n").length, 3);
    });
  }

  it("leaves out what is less severe than the level, and survives what cannot be told", () => {
    assert.equal(
      lines("json", (log) => log.debug({}, "no")),
      "",
    );
    const loop: Record<string, unknown> = {};
    loop.self = loop;
    assert.match(
      lines("json", (log) => log.debug({ loop, nothing: undefined, none: null }, "yes"), "debug"),
      /yes/,
    );
  });

  it("writes amounts so that they can be read", () => {
    assert.deepEqual([0n, 1n, ETH, 123n * ETH + ETH / 2n, 1_234_567n * 10n ** 9n].map(formatEth), [
      "0 ETH",
      "0.000000000000000001 ETH",
      "1 ETH",
      "123.5 ETH",
      "0.00123 ETH",
    ]);
  });
});

describe("health", () => {
  const config = configSchema.parse({ chain_id: 1, rpc: ["http://127.0.0.1:1"] });
  const well: Vitals = {
    now: 10_000,
    startedAt: 9_000,
    lastStep: 9_999,
    boot: [],
    head: { seenAt: 9_998, timestamp: 9_990 },
    balance: ETH,
    minBalance: ETH / 5n,
    config,
  };
  const faults = (checks: readonly Health[]) =>
    checks.filter((check) => check.fault !== undefined).map(({ name }) => name);

  it("is ready when nothing is wrong", () => assert.deepEqual(faults(readiness(well)), []));

  it("names each thing that is wrong, and what is less than alive is not ready", () => {
    const cases: [string, Partial<Vitals>][] = [
      ["boot checks", { boot: undefined }],
      ["boot checks", { boot: ["wrong chain"] }],
      ["head", { head: undefined }],
      ["head", { head: { seenAt: 9_998, timestamp: 9_000 } }],
      ["head", { head: { seenAt: 9_000, timestamp: 9_998 } }],
      ["journal", { journal: "the disk is full" }],
      ["wallet", { balance: ETH / 10n }],
      ["loop", { lastStep: 9_000 }],
      ["loop", { lastStep: undefined }],
    ];
    for (const [name, change] of cases) assert.deepEqual(faults(readiness({ ...well, ...change })), [name]);
  });

  it("is alive while it starts, and though its RPCs, wallet and journal are not well", () => {
    assert.deepEqual(faults(liveness({ ...well, lastStep: undefined, startedAt: 9_990 })), []);
    const ill = { boot: ["wrong chain"], head: undefined, balance: 0n, journal: "the disk is full" };
    assert.deepEqual(faults(liveness({ ...well, ...ill })), []);
  });

  it("asks no funds of a dry run and no clock of a chain that has its own", () => {
    const dry = { ...config, dry_run: true, chain: { ...config.chain, max_head_age_seconds: 0 } };
    const other = { balance: 0n, head: { seenAt: 1, timestamp: 1 } };
    assert.deepEqual(faults(readiness({ ...well, ...other, config: dry })), []);
  });
});

describe("the HTTP server", () => {
  let server: HttpServer;
  let ready: Health[] = [{ name: "head" }];
  let broken = false;
  before(async () => {
    server = await serve(
      { host: "127.0.0.1", port: 0 },
      {
        metrics: async () => {
          if (broken) throw new Error("SECRET inside");
          return "up 1\n";
        },
        metricsType: "text/plain; version=0.0.4; charset=utf-8",
        live: () => [],
        ready: () => ready,
        status: () => ({ head: { number: 5n }, settled: true }),
      },
    );
  });
  after(() => server.close());
  const get = async (path: string, init?: RequestInit) => {
    const response = await fetch(server.url + path, init);
    return { code: response.status, type: response.headers.get("content-type"), text: await response.text() };
  };

  it("answers what it is there for, and says what it is there for", async () => {
    assert.deepEqual(await get("/metrics"), {
      code: 200,
      type: "text/plain; version=0.0.4; charset=utf-8",
      text: "up 1\n",
    });
    assert.deepEqual(JSON.parse((await get("/status")).text), { head: { number: "5" }, settled: true });
    assert.equal((await get("/livez")).code, 200);
    assert.equal((await get("/nothing")).code, 404);
    assert.equal((await get("/status", { method: "POST", body: "x".repeat(100_000) })).code, 405);
    assert.equal((await get("/livez", { method: "HEAD" })).text, "");
  });

  it("is not ready while something is wrong, and says what", async () => {
    ready = [{ name: "head" }, { name: "wallet", fault: "0.1 ETH is less than 0.2 ETH" }];
    const answer = await get("/readyz");
    assert.equal(answer.code, 503);
    assert.match(answer.text, /^ok {4}head\nFAULT wallet: 0\.1 ETH/);
    ready = [{ name: "head" }];
    assert.equal((await get("/readyz")).code, 200);
  });

  it("tells a stranger nothing of its own failure, and lives on", async () => {
    broken = true;
    const answer = await get("/metrics");
    broken = false;
    assert.equal(answer.code, 500);
    assert.doesNotMatch(answer.text, /SECRET/);
    assert.equal((await get("/metrics")).code, 200);
  });

  it("answers others while clients hang in the middle of a request, break off or send nonsense", async () => {
    const sockets = Array.from({ length: 20 }, () => connect(server.port, "127.0.0.1"));
    for (const [i, socket] of sockets.entries()) {
      socket.on("error", () => {});
      socket.write(i % 2 === 0 ? "GET /metrics HTTP/1.1\r\nHost: x\r\nX-Slow: " : "\x16\x03\x01 nonsense\r\n\r\n");
    }
    const aborted = request(`${server.url}/metrics`).on("error", () => {});
    aborted.end();
    aborted.destroy();
    assert.equal((await get("/livez")).code, 200);
    for (const socket of sockets) socket.destroy();
    assert.equal((await get("/livez")).code, 200);
  });

  it("says which key of the configuration to change when its port is taken", async () => {
    const { port } = server;
    await assert.rejects(
      serve(
        { host: "127.0.0.1", port },
        { metrics: async () => "", metricsType: "", live: () => [], ready: () => [], status: () => ({}) },
      ),
      new RegExp(`127\\.0\\.0\\.1:${port} is taken: set http\\.port`),
    );
  });
});

describe("the files that run it", () => {
  it("include a systemd unit that systemd accepts", (t) => {
    if (spawnSync("systemd-analyze", ["--version"]).status !== 0) {
      t.skip("systemd-analyze is not here");
      return;
    }
    const folder = mkdtempSync(join(tmpdir(), "bulkhead-unit-"));
    try {
      const file = join(folder, "bulkhead-keeper.service");
      // whether this machine has Node where the operator's has it is not the unit's matter
      writeFileSync(file, read("keeper/operate/keeper.service").replace("/usr/bin/node", process.execPath));
      const { status, stdout, stderr } = spawnSync("systemd-analyze", ["verify", file], { encoding: "utf8" });
      assert.equal(`${stdout}${stderr}`.trim(), "");
      assert.equal(status, 0);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  const container = read("keeper/operate/Containerfile");
  const copied = [...container.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap((match) => (match[1] ?? "").split(" "));

  const entry = join(ROOT, "scripts/keeper.ts");
  const pending = existsSync(entry) ? false : "the command is not built yet";

  it("include a container file that copies only what exists", { skip: pending }, () => {
    assert.ok(copied.length > 3);
    for (const path of copied) assert.ok(existsSync(join(ROOT, path)), path);
  });

  it("put into the container all that the keeper imports, and only packages that are installed there", {
    skip: pending,
  }, () => {
    const { dependencies } = z
      .object({ dependencies: z.record(z.string(), z.string()) })
      .parse(JSON.parse(read("package.json")));
    const seen = new Set<string>();
    const visit = (file: string, from: string): void => {
      if (seen.has(file)) return;
      seen.add(file);
      const path = relative(ROOT, file);
      assert.ok(
        copied.some((one) => path === one || path.startsWith(`${one}/`)),
        `${path}, which ${from} imports, is not in the container`,
      );
      for (const [, type, name = ""] of readFileSync(file, "utf8").matchAll(
        /^(?:import|export)(?: (type))?[^;]*?from "([^"]+)";|^import "([^"]+)";/gm,
      )) {
        if (type !== undefined || name === "" || name.startsWith("node:")) continue;
        if (name.startsWith(".")) visit(resolve(dirname(file), name), path);
        else {
          const found = name
            .split("/")
            .slice(0, name.startsWith("@") ? 2 : 1)
            .join("/");
          assert.ok(found in dependencies, `${path} imports ${name}, which is not among the dependencies`);
        }
      }
    };
    visit(entry, "the container file");
  });

  it("agree on the command, the port and the journal's folder", () => {
    const unit = read("keeper/operate/keeper.service");
    const config = configSchema.parse({ chain_id: 1, rpc: ["http://127.0.0.1:1"] });
    const [, command = ""] = /ExecStart=\S+\/(node .+)\n/.exec(unit) ?? [];
    assert.match(command, /scripts\/keeper\.ts run --config \/etc\/bulkhead\/keeper\.yaml$/);
    const [, entry = "[]", args = "[]"] = /ENTRYPOINT (\[.+\])\nCMD (\[.+\])/.exec(container) ?? [];
    assert.deepEqual([...JSON.parse(entry), ...JSON.parse(args)], command.split(" "));
    assert.match(container, new RegExp(`EXPOSE ${config.http.port}\\n`));
    assert.match(unit, /StateDirectory=bulkhead-keeper\n/);
    assert.match(container, /VOLUME \/var\/lib\/bulkhead-keeper\n/);
  });
});
