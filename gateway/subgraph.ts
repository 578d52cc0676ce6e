/**
 * graph-node as the gateway sees it: queries with a deadline and connections that stay open, its head, its health, its
 * schema. Nothing here knows Bulkhead's entities.
 */
import { buildHTTPExecutor } from "@graphql-tools/executor-http";
import type { ExecutionRequest, ExecutionResult, Executor } from "@graphql-tools/utils";
import { type DocumentNode, GraphQLError, parse } from "graphql";
import * as z from "zod";
import { gatewayError, subgraphError } from "./errors.ts";
import type { BlockRef } from "./types.ts";

/** The subgraph's head when it was asked. */
export interface SubgraphHead {
  readonly block: BlockRef;
  readonly deployment: string;
  readonly hasIndexingErrors: boolean;
}

/** What graph-node's index-node says of the subgraph. */
export interface SubgraphHealth {
  readonly health: "healthy" | "unhealthy" | "failed";
  readonly synced: boolean;
  /** Why it has failed. */
  readonly fatalError: string | null;
  /** Oldest block that can be asked for. */
  readonly earliestBlock: number | null;
}

export const META = "block { number hash timestamp } deployment hasIndexingErrors";

export const metaSchema = z
  .object({
    block: z.object({ number: z.int(), hash: z.string().nullable(), timestamp: z.int().nullish() }),
    deployment: z.string(),
    hasIndexingErrors: z.boolean(),
  })
  .transform(({ block, ...rest }) => ({
    ...rest,
    block: { number: block.number, hash: block.hash ?? "", timestamp: block.timestamp ?? 0 },
  }));

const HEAD = parse(`query GatewayHead { _meta { ${META} } }`);
const answer = z.object({ _meta: metaSchema.nullable() });

const statusSchema = z.object({
  data: z.object({
    indexingStatuses: z.array(
      z.object({
        subgraph: z.string(),
        synced: z.boolean(),
        health: z.enum(["healthy", "unhealthy", "failed"]),
        fatalError: z.object({ message: z.string() }).nullish(),
        chains: z.array(z.object({ earliestBlock: z.object({ number: z.coerce.number() }).nullish() })),
      }),
    ),
  }),
});

const HEALTH_MS = 2_000;
const STATUS_TIMEOUT_MS = 2_000;

export class Subgraph {
  /** Runs a request as it is, with graph-node's errors in words that say what to do. */
  readonly executor: Executor;
  readonly #statusUrl: string | undefined;
  readonly #send: Executor;
  #head: Promise<SubgraphHead> | undefined;
  #health: { readonly at: number; readonly value: Promise<SubgraphHealth | undefined> } | undefined;
  /** The last head that any answer has shown. */
  lastHead: SubgraphHead | undefined;

  constructor(options: {
    readonly url: string;
    readonly statusUrl?: string | undefined;
    readonly timeoutMs: number;
    readonly fetch?: typeof fetch;
  }) {
    this.#statusUrl = options.statusUrl;
    this.#send = buildHTTPExecutor({
      endpoint: options.url,
      timeout: options.timeoutMs,
      deduplicateInflightRequests: false,
      ...(options.fetch === undefined ? {} : { fetch: options.fetch }),
    }) as Executor;
    this.executor = ((request: ExecutionRequest) => this.run(request)) as Executor;
  }

  async run(request: ExecutionRequest): Promise<ExecutionResult> {
    try {
      const result = (await this.#send(request)) as ExecutionResult;
      const errors = result.errors?.map(explained);
      return errors === undefined ? result : { ...result, errors };
    } catch (error) {
      return { errors: [explained(error)] };
    }
  }

  /** The head now. Who asks while an answer is under way gets that one. */
  head(): Promise<SubgraphHead> {
    this.#head ??= this.#askHead().finally(() => {
      this.#head = undefined;
    });
    return this.#head;
  }

  async #askHead(): Promise<SubgraphHead> {
    const result = await this.run({ document: HEAD });
    const parsed = answer.safeParse(result.data);
    if (parsed.success && parsed.data._meta !== null) return this.seen(parsed.data._meta);
    throw (
      result.errors?.[0] ??
      gatewayError("SUBGRAPH_UNAVAILABLE", "graph-node has not indexed a block of this subgraph yet. Ask again later.")
    );
  }

  /** Notes a head that came with an answer. */
  seen(head: SubgraphHead): SubgraphHead {
    this.lastHead = head;
    return head;
  }

  /** What the index-node says, at most two seconds old; undefined where it is not known. */
  health(): Promise<SubgraphHealth | undefined> {
    if (this.#statusUrl === undefined) return Promise.resolve(undefined);
    const now = performance.now();
    if (this.#health === undefined || now - this.#health.at > HEALTH_MS)
      this.#health = { at: now, value: this.#askHealth(this.#statusUrl).catch(() => undefined) };
    return this.#health.value;
  }

  async #askHealth(url: string): Promise<SubgraphHealth | undefined> {
    const deployment = this.lastHead?.deployment;
    const query = `{ indexingStatuses${
      deployment === undefined ? "" : `(subgraphs: ${JSON.stringify([deployment])})`
    } { subgraph synced health fatalError { message } chains { earliestBlock { number } } } }`;
    const response = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ query }),
      signal: AbortSignal.timeout(STATUS_TIMEOUT_MS),
    });
    const { indexingStatuses } = statusSchema.parse(await response.json()).data;
    const status = indexingStatuses.find(({ subgraph }) => subgraph === deployment) ?? indexingStatuses[0];
    if (status === undefined) return undefined;
    return {
      health: status.health,
      synced: status.synced,
      fatalError: status.fatalError?.message.split("\n")[0]?.slice(0, 500) ?? null,
      earliestBlock: status.chains[0]?.earliestBlock?.number ?? null,
    };
  }

  /** A query that must succeed: its data, or the first error thrown. */
  async ask<T>(document: DocumentNode, variables: Record<string, unknown>, schema: z.ZodType<T>): Promise<T> {
    const result = await this.run({ document, variables });
    const first = result.errors?.[0];
    if (first) throw first;
    return schema.parse(result.data);
  }

  async close(): Promise<void> {
    await (this.#send as Partial<AsyncDisposable>)[Symbol.asyncDispose]?.();
  }
}

function explained(error: unknown): GraphQLError {
  const message = error instanceof Error ? error.message : String(error);
  const known = subgraphError(message);
  if (known) {
    const location = error instanceof GraphQLError ? { path: error.path } : {};
    return new GraphQLError(known.message, { ...location, extensions: { code: known.code } });
  }
  const aborted = /abort|timeout|timed out/i.test(message);
  if (error instanceof GraphQLError && error.path === undefined && isTransport(error)) return unavailable(aborted);
  if (!(error instanceof GraphQLError)) return unavailable(aborted);
  return new GraphQLError(message, { path: error.path, extensions: { code: "SUBGRAPH_ERROR" } });
}

/** Whether an error is of the way to graph-node, not of graph-node. */
function isTransport(error: GraphQLError): boolean {
  const { originalError, extensions } = error;
  if (originalError !== undefined && !(originalError instanceof GraphQLError)) return true;
  return "http" in extensions || "response" in extensions || "request" in extensions;
}

function unavailable(late: boolean): GraphQLError {
  return gatewayError(
    "SUBGRAPH_UNAVAILABLE",
    late
      ? "graph-node did not answer in time. Ask for less, or again later."
      : "graph-node, which holds the indexed data, cannot be reached. The gateway keeps trying: ask again later. If it lasts, its operator has to look at graph-node and --subgraph.",
    { http: { status: 503 } },
  );
}
