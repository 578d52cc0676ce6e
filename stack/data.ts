/** `npm run data`, and what `npm start -- --data` does after its story: the stack and the gateway beside a local chain. */
import { mkdirSync, rmSync } from "node:fs";
import { join, relative } from "node:path";
import { parseArgs } from "node:util";
import { DeploymentFileError } from "../deployments/index.ts";
import { DEFAULT_LIMITS } from "../gateway/config.ts";
import { startGateway } from "../gateway/start.ts";
import { ROOT } from "../scripts/lib/tools.ts";
import { missingGraphNode } from "./graph-node.ts";
import { chainOf, type LocalChain } from "./local.ts";
import { compileSubgraph } from "./render.ts";
import { untilSignal } from "./signals.ts";
import { NotSynced, startStack } from "./start.ts";
import { type Stack, StackError } from "./types.ts";

const HELP = `Bulkhead's data beside a running "npm start -- --keep": real graph-node and Postgres, and the GraphQL gateway.

  npm run data                   until Ctrl-C; prints the address of GraphiQL
  npm run data -- --port 4000    the gateway on a port of your choice
  npm run data -- --fresh        compile the subgraph again, even if nothing has changed
  npm run data -- --help         this page

What is indexed comes from the chain again at every start; logs are in .local/data/.`;

const REPORT_MS = 20_000;
/** No further in so long: something is wrong. */
const STUCK_MS = 5 * 60_000;
const FOLDER = join(ROOT, ".local", "data");

export interface Data {
  /** The gateway's address; GraphiQL is at `/graphql`. */
  readonly url: string;
  /** graph-node's own, without live fields. */
  readonly subgraphUrl: string;
  readonly folder: string;
  close(): Promise<void>;
}

export interface DataOptions extends LocalChain {
  /** The gateway's; a free one by default. */
  readonly port?: number | undefined;
  readonly log: (line: string) => void;
}

/** Starts both, and waits until the whole chain is indexed. */
export async function startData({ rpcUrl, deployment, port, log }: DataOptions): Promise<Data> {
  rmSync(FOLDER, { recursive: true, force: true });
  mkdirSync(FOLDER, { recursive: true });
  const stack = await startStack({ rpcUrl, deployment, folder: FOLDER, log });
  try {
    log("graph-node and Postgres run; indexing ...");
    const begin = performance.now();
    await indexed(stack, log);
    log(`the whole chain is indexed (${((performance.now() - begin) / 1000).toFixed(1)} s)`);
    const gateway = await startGateway({
      subgraphUrl: stack.graphqlUrl,
      statusUrl: stack.statusUrl,
      rpcUrl,
      deployment,
      port: port ?? 0,
      host: "127.0.0.1",
      limits: DEFAULT_LIMITS,
      maxLagBlocks: 20,
      pollMs: 1_000,
      logLevel: "warn",
    });
    return {
      url: gateway.url,
      subgraphUrl: stack.graphqlUrl,
      folder: FOLDER,
      close: async () => {
        await gateway.close();
        await stack.close();
      },
    };
  } catch (error) {
    await stack.close();
    throw error;
  }
}

/** However long it takes, as long as it goes on. */
async function indexed(stack: Stack, log: (line: string) => void): Promise<void> {
  let last = -1;
  let since = Date.now();
  for (;;) {
    try {
      return await stack.synced(undefined, REPORT_MS);
    } catch (error) {
      if (!(error instanceof NotSynced)) throw error;
      if (error.at !== last) since = Date.now();
      else if (Date.now() - since > STUCK_MS) throw error;
      last = error.at;
      log(`indexed to block ${last} ...`);
    }
  }
}

/** What somebody needs to know to use it. */
export const describeData = (data: Data): string[] => [
  `GraphiQL, with the questions that analysts ask first: ${data.url}/graphql`,
  `graph-node itself, without live fields: ${data.subgraphUrl}`,
  `logs of graph-node and Postgres: ${relative(ROOT, data.folder)}/`,
];

/** Exit codes: 0 ended by a signal, 1 it could not run, 2 the command is wrong. */
export async function main(args: readonly string[]): Promise<number> {
  const say = (line: string) => process.stdout.write(`${line}\n`);
  let values: { help?: boolean | undefined; port?: string | undefined; fresh?: boolean | undefined };
  try {
    values = parseArgs({
      args: [...args],
      options: { help: { type: "boolean", short: "h" }, port: { type: "string" }, fresh: { type: "boolean" } },
    }).values;
  } catch (error) {
    const [first] = (error instanceof Error ? error.message : String(error)).split("\n");
    process.stderr.write(`${first ?? "The options are wrong"}. See npm run data -- --help\n`);
    return 2;
  }
  if (values.help) {
    say(HELP);
    return 0;
  }
  const port = values.port === undefined ? undefined : Number(values.port);
  if (port !== undefined && !(Number.isInteger(port) && port > 0 && port < 65_536)) {
    process.stderr.write(`"${values.port}" is no port. Write a number from 1 to 65535.\n`);
    return 2;
  }
  try {
    const missing = missingGraphNode();
    if (missing !== undefined) throw new StackError(missing);
    const chain = await chainOf();
    if (values.fresh) await compileSubgraph({ fresh: true, log: say });
    const data = await startData({ ...chain, port, log: say });
    for (const line of describeData(data)) say(line);
    say("Ctrl-C ends it; the chain goes on.");
    await untilSignal();
    await data.close();
    return 0;
  } catch (error) {
    if (!(error instanceof StackError || error instanceof DeploymentFileError)) throw error;
    process.stderr.write(`${error.message}\n`);
    return 1;
  }
}
