/** What `npm run gateway` is told, by options and environment, and what holds where nothing is said. */
import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import * as z from "zod";
import { loadDeployment } from "../deployments/index.ts";
import { nearest } from "../scripts/lib/words.ts";
import type { GatewayLimits, GatewayOptions } from "./types.ts";

/** For a public gateway; the portfolio of a thousand positions with all fields passes, and so do GraphiQL's questions. */
export const DEFAULT_LIMITS: GatewayLimits = {
  depth: 12,
  cost: 250_000,
  tokens: 2_000,
  aliases: 30,
  directives: 30,
  pageSize: 1_000,
  bodyBytes: 100_000,
  timeoutMs: 20_000,
  requests: 300,
  perSeconds: 60,
  subscriptionsPerClient: 5,
  subscriptions: 500,
  csvRows: 100_000,
};

export class ConfigError extends Error {
  override readonly name = "ConfigError";
}

const url = z.url({ protocol: /^https?$/, error: "not an http(s) address" });
const count = z
  .string()
  .regex(/^\d{1,9}$/, "not a whole number")
  .transform(Number)
  .refine((value) => value > 0, "must be at least 1");
const flag = z.enum(["true", "false"]).transform((value) => value === "true");

const LIMITS = {
  depth: "depth of selections",
  cost: "fields of the largest possible answer",
  tokens: "tokens of a document",
  aliases: "aliases of an operation",
  directives: "directives of an operation",
  "page-size": "largest first",
  "body-bytes": "largest body",
  "timeout-ms": "an operation is given up after so long",
  requests: "requests of one client ...",
  "per-seconds": "... in so many seconds",
  "subscriptions-per-client": "open subscriptions of one client",
  subscriptions: "open subscriptions of all",
  "csv-rows": "rows of one CSV file",
} as const;

const limitName = (option: string) =>
  option.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase()) as keyof GatewayLimits;

const schema = z.object({
  subgraph: url,
  status: url.optional(),
  rpc: url,
  deployment: z.string().min(1),
  port: z
    .string()
    .regex(/^\d{1,5}$/, "not a port")
    .transform(Number)
    .refine((value) => value < 65_536, "not a port")
    .default(4000),
  host: z.string().min(1).default("127.0.0.1"),
  "client-header": z
    .string()
    .regex(/^[a-z0-9-]+$/i, "not a header's name")
    .transform((name) => name.toLowerCase())
    .optional(),
  persisted: z.string().min(1).optional(),
  "persisted-only": flag.default(false),
  "max-lag-blocks": count.default(20),
  "poll-ms": count.default(2_000),
  "log-level": z.enum(["debug", "info", "warn", "error", "silent"]).default("info"),
  ...(Object.fromEntries(
    Object.keys(LIMITS).map((option) => [option, count.default(DEFAULT_LIMITS[limitName(option)])]),
  ) as Record<keyof typeof LIMITS, z.ZodDefault<typeof count>>),
});

type Name = keyof typeof schema.shape;
const NAMES = Object.keys(schema.shape) as Name[];
const variable = (name: string) => `BULKHEAD_GATEWAY_${name.toUpperCase().replaceAll("-", "_")}`;

export const HELP = `npm run gateway -- --subgraph URL --rpc URL --deployment FILE|CHAIN_ID [options]

One GraphQL endpoint over the subgraph and the chain, with GraphiQL, CSV, /health, /ready and /metrics. docs/GATEWAY.md

  --subgraph URL         the subgraph's GraphQL address
  --status URL           graph-node's index-node address (it knows why a subgraph has failed)
  --rpc URL              the chain's JSON-RPC address; an archive node answers for old blocks too
  --deployment WHAT      a chain id (deployments/CHAIN_ID.json), or a file
  --port N, --host H     where it listens (4000, 127.0.0.1)
  --client-header NAME   behind a proxy: the header in which it names the client
  --persisted FOLDER     documents that clients may name by hash (HASH.graphql); --persisted-only: nothing else
  --max-lag-blocks N     the subgraph may be so far behind before /ready says 503 (20)
  --poll-ms N            how often subscriptions look for something new (2000)
  --log-level LEVEL      debug, info, warn, error, silent (info)
  --help

Limits:
${Object.entries(LIMITS)
  .map(([name, what]) => `  --${name.padEnd(26)}${what} (${DEFAULT_LIMITS[limitName(name)]})`)
  .join("\n")}

Each option is also an environment variable: --rpc is BULKHEAD_GATEWAY_RPC, --max-lag-blocks BULKHEAD_GATEWAY_MAX_LAG_BLOCKS.
An address that holds a key belongs there, where no list of processes shows it. SIGTERM and SIGINT end it in order: it takes
nothing new, ends subscriptions and lets what is under way finish.
`;

export type Config = { readonly help: true } | { readonly help: false; readonly options: GatewayOptions };

/** Options over environment over defaults; every mistake is told at once. */
export function readConfig(args: readonly string[], environment: NodeJS.ProcessEnv = {}): Config {
  let values: Record<string, string | boolean | undefined>;
  try {
    ({ values } = parseArgs({
      args: [...args],
      options: {
        help: { type: "boolean", short: "h" },
        ...Object.fromEntries(
          NAMES.map((name) => [name, { type: name === "persisted-only" ? ("boolean" as const) : ("string" as const) }]),
        ),
      },
    }));
  } catch (error) {
    const word = /'--([^' ]+)/.exec((error as Error).message)?.[1];
    const meant = word === undefined || NAMES.includes(word as Name) ? undefined : nearest(word, NAMES);
    const hint = meant === undefined ? "" : ` Did you mean --${meant}?`;
    throw new ConfigError(`${(error as Error).message}${hint} See npm run gateway -- --help`);
  }
  if (values.help === true) return { help: true };
  const given = Object.fromEntries(
    NAMES.flatMap((name) => {
      const value = values[name] ?? environment[variable(name)];
      return value === undefined || value === "" ? [] : [[name, String(value)]];
    }),
  );
  const parsed = schema.safeParse(given);
  if (!parsed.success) {
    const lines = parsed.error.issues.map(({ path, message }) => {
      const name = String(path[0]);
      return given[name] === undefined
        ? `  --${name} is missing (or ${variable(name)} in the environment)`
        : `  --${name}: ${message}`;
    });
    throw new ConfigError(`The gateway cannot start:\n${lines.join("\n")}\nSee npm run gateway -- --help`);
  }
  const { persisted, "persisted-only": only, ...rest } = parsed.data;
  if (only && persisted === undefined)
    throw new ConfigError("--persisted-only needs the folder of the documents: --persisted FOLDER.");
  return {
    help: false,
    options: {
      subgraphUrl: rest.subgraph,
      statusUrl: rest.status,
      rpcUrl: rest.rpc,
      deployment: deploymentOf(rest.deployment, environment),
      port: rest.port,
      host: rest.host,
      clientHeader: rest["client-header"],
      persisted: persisted === undefined ? undefined : { folder: fromHere(persisted, environment), only },
      maxLagBlocks: rest["max-lag-blocks"],
      pollMs: rest["poll-ms"],
      logLevel: rest["log-level"],
      limits: Object.fromEntries(
        (Object.keys(LIMITS) as (keyof typeof LIMITS)[]).map((name) => [limitName(name), rest[name]]),
      ) as unknown as GatewayLimits,
    },
  };
}

/** npm starts scripts in the project's folder, so a name is meant as seen from where the command was typed. */
const fromHere = (file: string, environment: NodeJS.ProcessEnv): string =>
  resolve(environment.INIT_CWD ?? process.cwd(), file);

function deploymentOf(what: string, environment: NodeJS.ProcessEnv) {
  if (/^\d{1,12}$/.test(what)) return loadDeployment(Number(what));
  const file = fromHere(what, environment);
  if (!existsSync(file)) throw new ConfigError(`There is no ${file}: --deployment is a chain id, or a file.`);
  let text: unknown;
  try {
    text = JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    throw new ConfigError(`${file} is no deployment's record (${(error as Error).message}).`);
  }
  const record = z.object({ chainId: z.int().positive() }).safeParse(text);
  if (!record.success) throw new ConfigError(`${file} is no deployment's record: it names no chainId.`);
  return loadDeployment(record.data.chainId, file);
}
