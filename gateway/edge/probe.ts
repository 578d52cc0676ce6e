/** Whether the gateway can do its work: the subgraph answers, is near the chain's head and has not failed; the chain answers. */
import * as z from "zod";
import type { GatewayOptions } from "../types.ts";
import type { Metrics } from "./metrics.ts";

interface Block {
  readonly block: number;
  readonly hash: string | null;
}

export interface Readiness {
  readonly ready: boolean;
  /** What is wrong, and what to do. Empty when ready. */
  readonly reasons: readonly string[];
  readonly subgraph: (Block & { readonly deployment: string; readonly hasIndexingErrors: boolean }) | null;
  readonly chain: (Block & { readonly chainId: number }) | null;
  readonly lagBlocks: number | null;
}

const metaAnswer = z.object({
  data: z
    .object({
      _meta: z
        .object({
          deployment: z.string(),
          hasIndexingErrors: z.boolean(),
          block: z.object({ number: z.int(), hash: z.string().nullish() }),
        })
        .nullable(),
    })
    .nullish(),
  errors: z.array(z.object({ message: z.string() })).optional(),
});

const statusAnswer = z.object({
  data: z.object({
    indexingStatuses: z.array(
      z.object({ health: z.string(), fatalError: z.object({ message: z.string() }).nullish() }),
    ),
  }),
});

const hex = z
  .string()
  .regex(/^0x[0-9a-f]+$/i)
  .transform(Number);
const blockAnswer = z.object({ result: z.object({ number: hex, hash: z.string() }) });
const chainIdAnswer = z.object({ result: hex });

const PATIENCE_MS = 5_000;
/** However many probes and scrapes come, upstream is asked once in this time. */
const FRESH_MS = 1_000;

export type Probe = () => Promise<Readiness>;

export function createProbe(options: GatewayOptions, metrics: Metrics): Probe {
  let last: { readonly at: number; readonly answer: Promise<Readiness> } | undefined;
  return () => {
    if (last === undefined || Date.now() - last.at > FRESH_MS) {
      const answer = look(options, metrics).then((readiness) => {
        metrics.readiness(readiness);
        return readiness;
      });
      last = { at: Date.now(), answer };
    }
    return last.answer;
  };
}

async function look(options: GatewayOptions, metrics: Metrics): Promise<Readiness> {
  const [subgraph, chain] = await Promise.all([
    lookAtSubgraph(options, metrics).catch((error: unknown) => sentence("The subgraph does not answer", error)),
    lookAtChain(options, metrics).catch((error: unknown) => sentence("The chain does not answer", error)),
  ]);
  const reasons: string[] = [];
  if (typeof subgraph === "string") reasons.push(`${subgraph}: is graph-node up, and the subgraph deployed?`);
  if (typeof chain === "string") reasons.push(`${chain}: is the RPC up, and its address right?`);
  const meta = typeof subgraph === "string" ? null : subgraph;
  const head = typeof chain === "string" ? null : chain;
  if (meta?.failure !== undefined) reasons.push(meta.failure);
  if (head !== null && head.chainId !== options.deployment.chainId) {
    reasons.push(`The RPC is of chain ${head.chainId}, the deployment of chain ${options.deployment.chainId}.`);
  }
  const lagBlocks = meta === null || head === null ? null : Math.max(0, head.block - meta.block);
  if (lagBlocks !== null && lagBlocks > options.maxLagBlocks) {
    reasons.push(
      `The subgraph is ${lagBlocks} blocks behind the chain, ${options.maxLagBlocks} are allowed: wait while it indexes, ` +
        "or look at graph-node's log.",
    );
  }
  if (meta !== null) {
    const { failure: _, ...rest } = meta;
    return { ready: reasons.length === 0, reasons, subgraph: rest, chain: head, lagBlocks };
  }
  return { ready: false, reasons, subgraph: null, chain: head, lagBlocks };
}

/** Why something failed; never an address, which may hold a provider's key. */
function sentence(what: string, error: unknown): string {
  if (error instanceof z.ZodError) return `${what} as it should`;
  if (error instanceof DOMException && error.name === "TimeoutError") return `${what} within ${PATIENCE_MS / 1000} s`;
  const cause = error instanceof Error ? (error.cause as { code?: unknown } | undefined)?.code : undefined;
  if (typeof cause === "string") return `${what} (${cause})`;
  return error instanceof Refused ? `${what} (${error.message})` : what;
}

class Refused extends Error {}

async function ask(url: string, body: unknown, inner: typeof fetch): Promise<unknown> {
  const response = await inner(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
  if (!response.ok) {
    await response.body?.cancel();
    throw new Refused(`HTTP ${response.status}`);
  }
  return response.json();
}

async function lookAtSubgraph(options: GatewayOptions, metrics: Metrics) {
  const query = "{ _meta { deployment hasIndexingErrors block { number hash } } }";
  const { data, errors } = metaAnswer.parse(await ask(options.subgraphUrl, { query }, metrics.measured("subgraph")));
  if (!data?._meta) throw new Refused(errors?.[0]?.message.slice(0, 200) ?? "no _meta");
  const { deployment, hasIndexingErrors, block } = data._meta;
  const failure = await whyFailed(options, metrics, deployment, hasIndexingErrors);
  return { block: block.number, hash: block.hash ?? null, deployment, hasIndexingErrors, failure };
}

/** The index node knows of a failure and its reason; without it, `hasIndexingErrors` says that there is one. */
async function whyFailed(
  { statusUrl }: GatewayOptions,
  metrics: Metrics,
  deployment: string,
  hasIndexingErrors: boolean,
): Promise<string | undefined> {
  const unknown = hasIndexingErrors ? "The subgraph has indexing errors: look at graph-node's log." : undefined;
  if (statusUrl === undefined) return unknown;
  const query = "query($id: [String!]) { indexingStatuses(subgraphs: $id) { health fatalError { message } } }";
  try {
    const { data } = statusAnswer.parse(
      await ask(statusUrl, { query, variables: { id: [deployment] } }, metrics.measured("status")),
    );
    const status = data.indexingStatuses[0];
    if (status?.health !== "failed") return unknown;
    return `The subgraph has failed (${status.fatalError?.message.slice(0, 300) ?? "no reason given"}): look at graph-node's log.`;
  } catch {
    return unknown;
  }
}

/** The chain's block of a number; undefined where there is none yet. */
export async function hashOf(rpcUrl: string, number: number, metrics: Metrics): Promise<string | undefined> {
  const params = [`0x${number.toString(16)}`, false];
  const answer = await ask(
    rpcUrl,
    { jsonrpc: "2.0", id: 1, method: "eth_getBlockByNumber", params },
    metrics.measured("chain"),
  );
  return z.object({ result: z.object({ hash: z.string() }).nullable() }).parse(answer).result?.hash;
}

async function lookAtChain({ rpcUrl }: GatewayOptions, metrics: Metrics) {
  const inner = metrics.measured("chain");
  const call = (method: string, params: unknown[]) => ask(rpcUrl, { jsonrpc: "2.0", id: 1, method, params }, inner);
  const [block, chainId] = await Promise.all([
    call("eth_getBlockByNumber", ["latest", false]).then((answer) => blockAnswer.parse(answer).result),
    call("eth_chainId", []).then((answer) => chainIdAnswer.parse(answer).result),
  ]);
  return { block: block.number, hash: block.hash, chainId };
}
