/** The real graph-node, from npm (gnd), in its development mode: it deploys the one subgraph of its folder by itself. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../scripts/lib/tools.ts";
import { freePorts, type Guardian, type Service, service } from "./process.ts";
import { DEVNET } from "./render.ts";
import { StackError } from "./types.ts";

export interface GraphNode extends Service {
  readonly graphqlUrl: string;
  readonly statusUrl: string;
  readonly metricsUrl: string;
}

export interface GraphNodeOptions {
  /** With `subgraph.yaml` and `build/`. */
  readonly subgraph: string;
  readonly rpcUrl: string;
  readonly ipfsUrl: string;
  readonly postgresUrl: string;
  /** Of the GraphQL server; a free one by default. */
  readonly port?: number | undefined;
  readonly logFile: string;
  readonly guardian: Guardian;
  readonly log: (line: string) => void;
}

/** As gnd names the first manifest that it is given. */
export const SUBGRAPH_NAME = "subgraph-0";

const SETTINGS: NodeJS.ProcessEnv = {
  GRAPH_LOG: "info",
  // a local chain mines when it is told to: look often
  ETHEREUM_POLLING_INTERVAL: "500",
  // and whole stories of 500,000 empty blocks cost it nothing
  GRAPH_ETHEREUM_MAX_BLOCK_RANGE_SIZE: "50000",
  // it writes at least so often (seconds, 300 by default), and only what is written is seen: so one sees that it goes on
  GRAPH_STORE_WRITE_BATCH_DURATION: "5",
  // after an error that may pass (no chain, no database) graph-node pauses for up to half an hour, which is for clusters
  GRAPH_SUBGRAPH_ERROR_RETRY_CEIL_SECS: "2",
  // a machine may have RUST_BACKTRACE set: graph-node then unwinds its stack at every look-up that finds nothing
  RUST_LIB_BACKTRACE: "0",
};

/** The binary, or undefined where npm has brought none. */
export function findGraphNode(): string | undefined {
  const file = join(ROOT, "node_modules", "@graphprotocol", `gnd-${process.platform}-${process.arch}`, "bin", "gnd");
  return existsSync(file) ? file : undefined;
}

/** Why there is no graph-node here and what to run instead; undefined where there is one. */
export function missingGraphNode(): string | undefined {
  if (findGraphNode() !== undefined) return undefined;
  return `npm has brought no graph-node for ${process.platform} ${process.arch} (it has one for linux x64). With Docker instead:
  npm start -- --keep                             (leave it running; the rest in other terminals)
  npm run subgraph -- bridge --host 0.0.0.0       (leave it running)
  docker compose -f stack/compose.yaml up --detach --wait
  npm run subgraph -- deploy --network devnet --node http://127.0.0.1:8020 --ipfs http://127.0.0.1:5001
  npm run gateway -- --subgraph http://127.0.0.1:8000/subgraphs/name/bulkhead --status http://127.0.0.1:8030/graphql --deployment 31337 --rpc URL
where URL is the chain's, in .local/chain.json.`;
}

export async function startGraphNode(options: GraphNodeOptions): Promise<GraphNode> {
  const command = findGraphNode();
  if (command === undefined) throw new StackError(missingGraphNode() ?? "");
  const [free = 0, status = 0, admin = 0, metrics = 0] = await freePorts(4);
  const port = options.port ?? free;
  const graphqlUrl = `http://127.0.0.1:${port}/subgraphs/name/${SUBGRAPH_NAME}`;
  // biome-ignore format: a command line
  const args = ["dev", "--manifests", "subgraph.yaml:build", "--ethereum-rpc", `${DEVNET}:${options.rpcUrl}`,
    "--ipfs", options.ipfsUrl, "--http-port", String(port), "--index-node-port", String(status),
    "--admin-port", String(admin), "--metrics-port", String(metrics)];
  const one = service({
    name: "graph-node",
    command,
    args,
    cwd: options.subgraph,
    env: { ...process.env, ...SETTINGS, POSTGRES_URL: options.postgresUrl },
    logFile: options.logFile,
    ready: () => answers(graphqlUrl),
    readyTimeoutMs: 90_000,
    guardian: options.guardian,
    log: options.log,
  });
  await one.start();
  return {
    graphqlUrl,
    statusUrl: `http://127.0.0.1:${status}/graphql`,
    metricsUrl: `http://127.0.0.1:${metrics}/metrics`,
    start: () => one.start(),
    kill: () => one.kill(),
    get pid() {
      return one.pid;
    },
  };
}

/** Whether the subgraph is deployed: it answers what block it is at. */
async function answers(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ query: "{ _meta { block { number } } }" }),
      signal: AbortSignal.timeout(2_000),
    });
    const body: unknown = await response.json();
    return typeof body === "object" && body !== null && "data" in body && body.data !== null;
  } catch {
    return false;
  }
}
