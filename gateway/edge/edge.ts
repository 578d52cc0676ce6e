/**
 * The gateway's edge: everything between a client and the schema. `createEdge` gives the options that yoga takes, the
 * measured fetch for what is asked of graph-node and of the chain, and an orderly end.
 */
import type { Server, ServerOptions } from "node:http";
import { type Plugin, useExecutionCancellation, type YogaServerOptions } from "graphql-yoga";
import type { GatewayOptions } from "../types.ts";
import { clientOf, rateLimit, socketOf, subscriptionLimit } from "./clients.ts";
import { csvResponse } from "./csv.ts";
import { documentLimits } from "./documents.ts";
import { graphiqlPage } from "./graphiql.ts";
import { createLog, type Log, type LogOutput } from "./log.ts";
import { Metrics } from "./metrics.ts";
import { persistedDocuments } from "./persisted.ts";
import { createProbe, hashOf, type Probe } from "./probe.ts";
import { refusalResponse } from "./refusal.ts";
import { requestParser } from "./requests.ts";
import { timeout } from "./timeout.ts";

export interface Edge {
  /** Spread these into createYoga's options; the gateway's own plugins come after `plugins`. */
  readonly yoga: Pick<
    YogaServerOptions<object, object>,
    "batching" | "cors" | "graphiql" | "landingPage" | "logging" | "maskedErrors" | "maxRequestBodySize" | "multipart"
  > & { readonly plugins: Plugin[] };
  /** For node:http's createServer. */
  readonly server: ServerOptions;
  readonly metrics: Metrics;
  readonly log: Log;
  readonly probe: Probe;
  /** Stops taking connections, ends subscriptions, lets what is under way finish for so long, then cuts it off. */
  drain(server: Server, graceMs?: number): Promise<void>;
}

export interface EdgeExtras {
  readonly logOutput?: LogOutput;
  readonly processMetrics?: boolean;
  /** What else keeps the gateway from being ready. */
  readonly fault?: () => string | undefined;
}

const GRACE_MS = 10_000;
/** What watches the gateway: neither counted nor refused. */
const WATCHED = new Set(["/health", "/ready", "/metrics"]);

export function createEdge(options: GatewayOptions, extras: EdgeExtras = {}): Edge {
  const { limits, clientHeader } = options;
  const metrics = new Metrics(extras.processMetrics ?? true);
  const log = createLog(options.logLevel, extras.logOutput);
  const probe = createProbe(options, metrics);
  const rate = rateLimit(limits, metrics, WATCHED, clientHeader);
  const subscriptions = subscriptionLimit(limits, metrics, clientHeader);
  let closing = false;

  const plugins: Plugin[] = [
    requestLog(metrics, log),
    routes(),
    requestParser(limits),
    ...(options.persisted === undefined ? [] : [persistedDocuments(options.persisted.folder, options.persisted.only)]),
    ...documentLimits(limits, clientHeader),
    subscriptions.plugin,
    useExecutionCancellation() as Plugin,
    timeout(limits.timeoutMs),
  ];

  function routes(): Plugin {
    const answer = async (request: Request, url: URL, client: string): Promise<Response | undefined> => {
      const read = request.method === "GET" || request.method === "HEAD";
      const watching = WATCHED.has(url.pathname);
      const csv = url.pathname === "/csv" || url.pathname.startsWith("/csv/");
      if ((watching || csv) && !read) {
        return refusalResponse("BAD_REQUEST", 405, "Only GET is answered here.", { allow: "GET, HEAD" });
      }
      if (url.pathname === "/health") return json(200, { alive: true });
      if (url.pathname === "/ready") {
        const readiness = await probe();
        const fault = closing ? "The gateway is going down." : extras.fault?.();
        const reasons = fault === undefined ? readiness.reasons : [...readiness.reasons, fault];
        const ready = reasons.length === 0;
        return json(ready ? 200 : 503, { ...readiness, ready, reasons });
      }
      if (url.pathname === "/metrics") {
        await probe();
        return new Response(await metrics.registry.metrics(), {
          headers: { "content-type": metrics.registry.contentType, "cache-control": "no-store" },
        });
      }
      if (csv) {
        return csvResponse(
          url,
          {
            subgraphUrl: options.subgraphUrl,
            rows: limits.csvRows,
            timeoutMs: limits.timeoutMs,
            blockHash: (number) => hashOf(options.rpcUrl, number, metrics),
          },
          {
            metrics,
            onPage: () => rate.charge(client),
            onFailure: (error) => log.warn({ error: messageOf(error) }, "a CSV export failed"),
            signal: request.signal,
          },
        );
      }
      const browser = request.headers.get("accept")?.includes("text/html") === true;
      if (read && browser && (url.pathname === "/graphql" || url.pathname === "/graphql/"))
        return graphiqlPage(request);
      if (read && url.pathname === "/") return new Response(null, { status: 302, headers: { location: "/graphql" } });
      if (url.pathname !== "/graphql" && url.pathname !== "/graphql/") {
        return refusalResponse("NOT_FOUND", 404, "There are /graphql, /csv/, /health, /ready and /metrics.");
      }
      if (request.method !== "GET" && request.method !== "POST" && request.method !== "OPTIONS") {
        return refusalResponse("BAD_REQUEST", 405, "GraphQL is asked by POST, or by GET.", { allow: "GET, POST" });
      }
      return undefined;
    };
    return {
      async onRequest(payload) {
        const { request, url, serverContext, endResponse } = payload;
        let ended = false;
        await rate.plugin.onRequest?.({
          ...payload,
          endResponse(response) {
            ended = true;
            endResponse(response);
          },
        });
        if (ended) return;
        const response = await answer(request, url, clientOf(request, socketOf(serverContext), clientHeader));
        if (response !== undefined) endResponse(response);
      },
    };
  }

  return {
    yoga: {
      // no cookies and nothing secret: anybody's page may read
      cors: { origin: "*", credentials: false, methods: ["GET", "POST", "OPTIONS"] },
      batching: false,
      graphiql: false,
      landingPage: false,
      multipart: false,
      // our parser counts bytes itself, and says what to do
      maxRequestBodySize: false,
      maskedErrors: { isDev: false },
      logging: {
        debug: (...words: unknown[]) => log.debug(words.map(messageOf).join(" ")),
        info: (...words: unknown[]) => log.debug(words.map(messageOf).join(" ")),
        warn: (...words: unknown[]) => log.warn(words.map(messageOf).join(" ")),
        error: (...words: unknown[]) => log.error(words.map(messageOf).join(" ")),
      },
      plugins,
    },
    server: { maxHeaderSize: 16_384, headersTimeout: 10_000, requestTimeout: 30_000, keepAliveTimeout: 65_000 },
    metrics,
    log,
    probe,
    async drain(server, graceMs = GRACE_MS) {
      closing = true;
      const closed = new Promise<void>((done) => server.close(() => done()));
      await subscriptions.end();
      server.closeIdleConnections();
      const idle = setInterval(() => server.closeIdleConnections(), 50);
      const late = setTimeout(() => server.closeAllConnections(), graceMs);
      await closed;
      clearInterval(idle);
      clearTimeout(late);
    },
  };
}

const json = (status: number, body: unknown): Response =>
  new Response(`${JSON.stringify(body, null, 2)}\n`, {
    status,
    headers: { "content-type": "application/json; charset=utf-8", "cache-control": "no-store" },
  });

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null;

const messageOf = (value: unknown): string =>
  value instanceof Error ? (value.stack ?? value.message) : typeof value === "string" ? value : String(value);

/** Counts, measures and logs each request; the codes of its errors with it. */
function requestLog(metrics: Metrics, log: Log): Plugin {
  const seen = new WeakMap<Request, { begin: number; route: string; operation?: string; codes: string[] }>();
  return {
    onRequest({ request, url }) {
      const [, first = ""] = url.pathname.split("/");
      const route = first === "graphql" || first === "csv" ? first : WATCHED.has(url.pathname) ? "watch" : "other";
      seen.set(request, { begin: performance.now(), route, codes: [] });
    },
    onParams({ request, params }) {
      const mine = seen.get(request);
      if (mine !== undefined && typeof params.operationName === "string")
        mine.operation = params.operationName.slice(0, 64);
    },
    onResultProcess({ request, result }) {
      if (result === undefined || result === null || Symbol.asyncIterator in result) return;
      for (const one of Array.isArray(result) ? result : [result]) {
        for (const { extensions } of one.errors ?? []) {
          // a document that cannot be answered is 400 whatever media type was accepted: nobody takes it for an answer
          if (isRecord(extensions?.http)) extensions.http.spec = false;
          const code = typeof extensions?.code === "string" ? extensions.code : "UPSTREAM";
          metrics.error(code);
          seen.get(request)?.codes.push(code);
        }
      }
    },
    onResponse({ request, response }) {
      const mine = seen.get(request);
      if (mine === undefined) return;
      const seconds = (performance.now() - mine.begin) / 1000;
      metrics.request(mine.route, response.status, seconds);
      const line = {
        method: request.method,
        route: mine.route,
        status: response.status,
        milliseconds: Math.round(seconds * 1000),
        ...(mine.operation === undefined ? {} : { operation: mine.operation }),
        ...(mine.codes.length === 0 ? {} : { codes: [...new Set(mine.codes)].slice(0, 5) }),
      };
      if (mine.route === "watch") log.debug(line, "answered");
      else log.info(line, "answered");
    },
  };
}
