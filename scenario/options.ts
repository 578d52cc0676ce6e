/** The words after `npm start --`. */
import { parseArgs } from "node:util";
import * as z from "zod";
import type { EigenLayerKind } from "../deploy/eigenlayer.ts";
import { nearest } from "./schema.ts";

export interface Options {
  readonly help: boolean;
  readonly scenario: string;
  readonly keep: boolean;
  /** Beside the chain that is kept: the subgraph on a real graph-node, and its gateway. */
  readonly data: boolean;
  readonly port: number | undefined;
  readonly eigenlayer: EigenLayerKind;
  /** JSON-RPC address of the network to copy. */
  readonly fork: string | undefined;
  /** Its configuration, where it is none of ours. */
  readonly networkConfig: string | undefined;
}

export class OptionError extends Error {
  override readonly name = "OptionError";
}

export const DEFAULT_SCENARIO = "scenarios/default.yaml";
export const FORK_SCENARIO = "scenarios/fork.yaml";

export const HELP = `Bulkhead: play a scenario on a local chain.

  npm start                                the default story (${DEFAULT_SCENARIO})
  npm start -- --scenario FILE             another one; see scenarios/
  npm start -- --keep                      leave the chain running afterwards, until Ctrl-C, and print its
                                           addresses, accounts and RPC URL (also written to .local/chain.json)
  npm start -- --keep --port 8545          on a port of your choice
  npm start -- --data                      the same, with the subgraph and its GraphQL gateway beside it
  npm start -- --eigenlayer real           on EigenLayer's own bytecode instead of the stand-in (needs cargo)
  npm start -- --fork URL                  on a copy of a public network, with the deployed EigenLayer, Lido and WETH
                                           (by default the story ${FORK_SCENARIO}); nothing is sent to URL
  npm start -- --fork URL --network-config FILE
                                           of a network that has no file in deploy/networks/
  npm start -- --help                      this page

The story's tiers, AVSs, people, steps and expectations are in the file; edit it, or copy it and start from there.
The exit code is 0 if every expectation of the story and every invariant of the protocol has held, 1 if one has not,
and 2 if the command or the file is wrong.`;

const FLAGS = {
  help: { type: "boolean", short: "h" },
  scenario: { type: "string" },
  keep: { type: "boolean" },
  data: { type: "boolean" },
  port: { type: "string" },
  eigenlayer: { type: "string" },
  fork: { type: "string" },
  "network-config": { type: "string" },
} as const;

export function readOptions(args: readonly string[], environment: NodeJS.ProcessEnv = process.env): Options {
  const names = Object.keys(FLAGS).map((name) => `--${name}`);
  for (const argument of args) {
    const [flag = ""] = argument.split("=");
    if (!flag.startsWith("-") || names.includes(flag) || flag === "-h") continue;
    const meant = nearest(flag, names);
    throw new OptionError(
      `There is no option ${flag}. ${meant ? `Did you mean ${meant}?` : `There are ${names.join(", ")}.`}`,
    );
  }
  const parse = () => parseArgs({ args: [...args], options: FLAGS, allowPositionals: false }).values;
  let values: ReturnType<typeof parse>;
  try {
    values = parse();
  } catch (error) {
    const [first] = (error instanceof Error ? error.message : String(error)).split("\n");
    throw new OptionError(`${first ?? "The options are wrong"}. See npm start -- --help`);
  }
  const kind = z.enum(["local", "real"]).safeParse(values.eigenlayer ?? environment.BULKHEAD_EIGENLAYER ?? "local");
  if (!kind.success) throw new OptionError('EigenLayer is "local" (the stand-in) or "real" (its own bytecode).');
  const port = values.port === undefined ? undefined : Number(values.port);
  if (port !== undefined && !(Number.isInteger(port) && port > 0 && port < 65_536)) {
    throw new OptionError(`"${values.port}" is no port. Write a number from 1 to 65535.`);
  }
  const { fork, "network-config": networkConfig } = values;
  if (fork !== undefined && !/^https?:$/.test(URL.parse(fork)?.protocol ?? "")) {
    throw new OptionError(`"${fork}" is no address of a node. Write --fork https://...`);
  }
  if (fork === undefined && networkConfig !== undefined) {
    throw new OptionError("--network-config describes the network that --fork copies: name both.");
  }
  if (fork !== undefined && kind.data === "real") {
    throw new OptionError("A fork has its own EigenLayer: leave --eigenlayer out.");
  }
  return {
    help: values.help ?? false,
    scenario: values.scenario ?? (fork === undefined ? DEFAULT_SCENARIO : FORK_SCENARIO),
    keep: (values.keep ?? false) || (values.data ?? false),
    data: values.data ?? false,
    port,
    eigenlayer: kind.data,
    fork,
    networkConfig,
  };
}
