/** `npm run subgraph`: the subgraph for a network, built, tested or deployed, and the bridge alone. */
import { cpSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import * as z from "zod";
import { DeploymentFileError } from "../deployments/index.ts";
import { ROOT } from "../scripts/lib/tools.ts";
import { nearest } from "../scripts/lib/words.ts";
import { startBridge } from "./bridge.ts";
import { chainOf } from "./local.ts";
import { runMappingTests } from "./mappings.ts";
import { compileSubgraph, DEVNET, deploymentOn, graph, networks, renderSubgraph, SUBGRAPH } from "./render.ts";
import { untilSignal } from "./signals.ts";
import { StackError } from "./types.ts";

export const BRIDGE_PORT = 8546;
/** Where The Graph's own node takes deployments. */
const STUDIO = "https://api.studio.thegraph.com/deploy/";

const COMMANDS = ["build", "codegen", "test", "deploy", "bridge"] as const;

const HELP = `Bulkhead's subgraph: rendered for a network into .local/subgraph/NETWORK, with the addresses of Bulkhead's deployment there.

  npm run subgraph -- build [--network NAME] [--fresh]
        compile it; NAME is ${[...networks().keys()].join(", ")} (${DEVNET}, a local chain, by default); --fresh: even if nothing has changed
  npm run subgraph -- codegen
        only the types that the mappings import, into subgraph/generated (for editors; git does not see it)
  npm run subgraph -- test [tests/FILE.test.json ...]
        the mappings' own tests, by graph-node
  npm run subgraph -- deploy --network NAME [--name NAME] [--label LABEL]
        to The Graph's Studio; the deploy key is read from GRAPH_DEPLOY_KEY
  npm run subgraph -- deploy --network NAME --node URL --ipfs URL [--name NAME] [--label LABEL]
        to a graph-node of one's own (stack/compose.yaml is one): its admin address and its IPFS
  npm run subgraph -- bridge [--rpc URL] [--port ${BRIDGE_PORT}] [--host 127.0.0.1]
        the bridge that graph-node needs in front of a chain of "npm start -- --keep", until Ctrl-C;
        --host 0.0.0.0 lets a graph-node in a container reach it

--name is "bulkhead" by default, --label the version of package.json.`;

const FLAGS = {
  help: { type: "boolean", short: "h" },
  network: { type: "string" },
  fresh: { type: "boolean" },
  node: { type: "string" },
  ipfs: { type: "string" },
  name: { type: "string" },
  label: { type: "string" },
  rpc: { type: "string" },
  port: { type: "string" },
  host: { type: "string" },
} as const;

class UsageError extends Error {
  override readonly name = "UsageError";
}

/** Exit codes: 0 done, 1 it has failed, 2 the command is wrong. `build` compiles the contracts where they have changed. */
export async function main(args: readonly string[], build: () => Promise<void>): Promise<number> {
  const say = (line: string) => process.stdout.write(`${line}\n`);
  try {
    const { values, positionals } = read(args);
    const [command, ...rest] = positionals;
    if (values.help || command === undefined) {
      say(HELP);
      return values.help ? 0 : 2;
    }
    if (!(COMMANDS as readonly string[]).includes(command)) {
      const meant = nearest(command, [...COMMANDS]);
      throw new UsageError(
        `There is no command "${command}". ${meant ? `Did you mean ${meant}?` : `There are ${COMMANDS.join(", ")}.`}`,
      );
    }
    if (command !== "test" && rest.length > 0) throw new UsageError(`"${rest[0]}" is too much: see --help.`);
    if (command === "bridge") return await bridge(values, say);
    await build();
    if (command === "test") {
      const { passed, output } = await runMappingTests(rest, say);
      process.stdout.write(output);
      return passed ? 0 : 1;
    }
    if (command === "codegen") {
      const types = join(SUBGRAPH, "generated");
      rmSync(types, { recursive: true, force: true });
      cpSync(join(await compileSubgraph({ fresh: values.fresh ?? false, log: say }), "generated"), types, {
        recursive: true,
      });
      say(`The types are in ${types}`);
      return 0;
    }
    const network = values.network ?? DEVNET;
    const folder = await renderSubgraph({
      deployment: deploymentOn(network),
      network,
      folder: join(ROOT, ".local", "subgraph", network),
      fresh: values.fresh ?? false,
      log: say,
    });
    say(`The subgraph for ${network} is in ${folder}, what graph-node takes in ${join(folder, "build")}`);
    if (command === "deploy") await deploy(values, folder, say);
    return 0;
  } catch (error) {
    if (error instanceof UsageError || error instanceof StackError || error instanceof DeploymentFileError) {
      process.stderr.write(`${error.message}\n`);
      return error instanceof UsageError ? 2 : 1;
    }
    throw error;
  }
}

function read(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: FLAGS, allowPositionals: true });
  } catch (error) {
    const [first] = (error instanceof Error ? error.message : String(error)).split("\n");
    throw new UsageError(`${first ?? "The options are wrong"}. See npm run subgraph -- --help`);
  }
}

type Values = ReturnType<typeof read>["values"];

async function deploy(values: Values, folder: string, say: (line: string) => void): Promise<void> {
  const { version } = z
    .object({ version: z.string() })
    .parse(JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")));
  const name = values.name ?? "bulkhead";
  const label = values.label ?? version;
  if ((values.node === undefined) !== (values.ipfs === undefined))
    throw new UsageError("A graph-node of one's own needs both --node URL (its admin address) and --ipfs URL.");
  if (values.node === undefined || values.ipfs === undefined) {
    const key = process.env.GRAPH_DEPLOY_KEY;
    if (key === undefined || key === "")
      throw new UsageError(
        "Studio takes a deploy key: put it into GRAPH_DEPLOY_KEY (Studio's page of the subgraph shows it). For a graph-node of one's own: --node URL --ipfs URL.",
      );
    await graph(["deploy", name, "--node", STUDIO, "--deploy-key", key, "--version-label", label], folder);
  } else {
    // a name that is there already is fine
    await graph(["create", name, "--node", values.node], folder).catch((error: unknown) => {
      if (!/already exists/i.test(String(error))) throw error;
    });
    const to = ["--node", values.node, "--ipfs", values.ipfs];
    await graph(["deploy", name, ...to, "--version-label", label], folder);
  }
  say(`${name} ${label} is deployed to ${values.node ?? "Studio"}`);
}

async function bridge(values: Values, say: (line: string) => void): Promise<number> {
  const port = values.port === undefined ? BRIDGE_PORT : Number(values.port);
  if (!(Number.isInteger(port) && port > 0 && port < 65_536))
    throw new UsageError(`"${values.port}" is no port. Write a number from 1 to 65535.`);
  const rpcUrl = values.rpc ?? (await chainOf()).rpcUrl;
  const one = await startBridge(rpcUrl, { port, host: values.host ?? "127.0.0.1" });
  say(`graph-node can read ${rpcUrl} at ${one.url}. Ctrl-C ends it.`);
  await untilSignal();
  await one.close();
  return 0;
}
