/** What the gateway measures, in Prometheus' text format. Names, units and explanations are all here. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { Readiness } from "./probe.ts";

const SECONDS = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

export type Upstream = "subgraph" | "status" | "chain";

export class Metrics {
  readonly registry = new Registry();
  readonly #requests = new Counter({
    name: "bulkhead_gateway_requests_total",
    help: "Requests by route (graphql, csv, page, other) and HTTP status.",
    labelNames: ["route", "status"],
    registers: [this.registry],
  });
  readonly #errors = new Counter({
    name: "bulkhead_gateway_errors_total",
    help: "GraphQL errors in answers, by their code.",
    labelNames: ["code"],
    registers: [this.registry],
  });
  readonly #duration = new Histogram({
    name: "bulkhead_gateway_request_duration_seconds",
    help: "Time from a request to the head of its answer.",
    labelNames: ["route"],
    buckets: SECONDS,
    registers: [this.registry],
  });
  readonly #upstream = new Histogram({
    name: "bulkhead_gateway_upstream_duration_seconds",
    help: "Time until graph-node or the chain answered, by what came of it (ok, error).",
    labelNames: ["upstream", "outcome"],
    buckets: SECONDS,
    registers: [this.registry],
  });
  readonly #refused = new Counter({
    name: "bulkhead_gateway_rate_refused_total",
    help: "Requests refused because a client sent too many.",
    registers: [this.registry],
  });
  readonly #subscriptions = new Gauge({
    name: "bulkhead_gateway_subscriptions",
    help: "Open subscriptions.",
    registers: [this.registry],
  });
  readonly #rows = new Counter({
    name: "bulkhead_gateway_csv_rows_total",
    help: "Rows of CSV exports.",
    registers: [this.registry],
  });
  readonly #ready = this.#gauge("ready", "1 while the gateway is ready.");
  readonly #lag = this.#gauge("lag_blocks", "Blocks that the subgraph is behind the chain; NaN while it is not known.");
  readonly #subgraphBlock = this.#gauge("subgraph_block", "Last block of the subgraph; NaN while it is not known.");
  readonly #chainBlock = this.#gauge("chain_block", "Head of the chain; NaN while it is not known.");

  #gauge(name: string, help: string): Gauge {
    return new Gauge({ name: `bulkhead_gateway_${name}`, help, registers: [this.registry] });
  }

  constructor(processMetrics = true) {
    this.#subscriptions.set(0);
    if (processMetrics) collectDefaultMetrics({ register: this.registry });
  }

  request(route: string, status: number, seconds: number): void {
    this.#requests.inc({ route, status: String(status) });
    this.#duration.observe({ route }, seconds);
  }

  /** Codes are ours or graph-node's, never a client's words, so that labels stay few. */
  error(code: string): void {
    this.#errors.inc({ code: /^[A-Z_]{1,40}$/.test(code) ? code : "OTHER" });
  }

  upstream(upstream: Upstream, ok: boolean, seconds: number): void {
    this.#upstream.observe({ upstream, outcome: ok ? "ok" : "error" }, seconds);
  }

  rateRefused(): void {
    this.#refused.inc();
  }

  subscriptions(open: number): void {
    this.#subscriptions.set(open);
  }

  csvRows(rows: number): void {
    this.#rows.inc(rows);
  }

  readiness({ ready, subgraph, chain, lagBlocks }: Readiness): void {
    this.#ready.set(ready ? 1 : 0);
    this.#lag.set(lagBlocks ?? Number.NaN);
    this.#subgraphBlock.set(subgraph?.block ?? Number.NaN);
    this.#chainBlock.set(chain?.block ?? Number.NaN);
  }

  /** fetch that is measured; its caller sees no difference. */
  measured(upstream: Upstream, inner: typeof fetch = fetch): typeof fetch {
    return async (input, init) => {
      const begin = performance.now();
      let ok = false;
      try {
        const response = await inner(input, init);
        ok = response.ok;
        return response;
      } finally {
        this.upstream(upstream, ok, (performance.now() - begin) / 1000);
      }
    };
  }
}
