/** The words after `npm run keeper --`. */
import { parseArgs } from "node:util";
import { nearest } from "../scripts/lib/words.ts";

export const COMMANDS = ["run", "plan", "check", "config"] as const;
export type Command = (typeof COMMANDS)[number];

export interface Options {
  readonly command: Command;
  readonly help: boolean;
  /** Undefined: keeper.yaml or keeper.toml, where the command is typed. */
  readonly config: string | undefined;
  /** In place of the configuration's. */
  readonly rpc: readonly string[];
  readonly deployment: string | undefined;
  readonly dryRun: boolean;
  readonly json: boolean;
}

export class OptionError extends Error {
  override readonly name = "OptionError";
}

export const HELP = `Bulkhead: the keeper, which does what tiers need and anybody may do.

  npm run keeper                       runs until it is stopped (Ctrl-C, SIGTERM); may be killed at any moment
  npm run keeper -- --dry-run          decides, simulates and logs, but sends nothing
  npm run keeper -- check              validates the configuration, looks at RPCs, contracts, key and journal, and says
                                       what to do about what is not as it should be; sends nothing
  npm run keeper -- plan               what it would do now, and why; what it would not do, and why not; needs no key
  npm run keeper -- plan --rpc URL     the same without a configuration: the chain says which deployment it is
  npm run -s keeper -- plan --json     for programs
  npm run -s keeper -- config          prints a configuration to begin with: every key, its meaning, its default

  --config FILE       YAML, or TOML if its name ends in .toml; by default keeper.yaml (or keeper.toml) in this folder
  --rpc URL           in place of the configuration's rpc; may be given more than once
  --deployment FILE   in place of the configuration's deployment
  --help              this page

Keys are never taken from the command line, which others can read. See docs/KEEPER.md.
The exit code is 0 if all is well, 1 if something failed, and 2 if the command or the configuration is wrong.`;

const FLAGS = {
  help: { type: "boolean", short: "h" },
  config: { type: "string", short: "c" },
  rpc: { type: "string", multiple: true },
  deployment: { type: "string" },
  "dry-run": { type: "boolean" },
  json: { type: "boolean" },
} as const;

export function readOptions(args: readonly string[]): Options {
  const names = Object.keys(FLAGS).map((name) => `--${name}`);
  for (const argument of args) {
    const [flag = ""] = argument.split("=");
    if (!flag.startsWith("--") || flag === "--" || names.includes(flag)) continue;
    const meant = nearest(flag, names);
    throw new OptionError(
      `There is no option ${flag}. ${meant ? `Did you mean ${meant}?` : `There are ${names.join(", ")}.`}`,
    );
  }
  const parse = () => parseArgs({ args: [...args], options: FLAGS, allowPositionals: true });
  let parsed: ReturnType<typeof parse>;
  try {
    parsed = parse();
  } catch (error) {
    const [first] = (error instanceof Error ? error.message : String(error)).split(". To specify");
    throw new OptionError(`${first ?? "The options are wrong"}. See npm run keeper -- --help`);
  }
  const { values, positionals } = parsed;
  const [word = "run", extra] = positionals;
  const command = COMMANDS.find((one) => one === word);
  if (command === undefined) {
    const meant = nearest(word, COMMANDS);
    throw new OptionError(
      `There is no command "${word}". ${meant ? `Did you mean ${meant}?` : `There are ${COMMANDS.join(", ")}.`}`,
    );
  }
  if (extra !== undefined)
    throw new OptionError(`"${extra}" is too much. A file is named with --config, a node with --rpc.`);
  for (const url of values.rpc ?? [])
    if (!/^https?:$/.test(URL.parse(url)?.protocol ?? ""))
      throw new OptionError("--rpc is no address of a node. Write --rpc https://…");
  if (values.json === true && command !== "plan" && command !== "check")
    throw new OptionError("--json goes with plan and check.");
  return {
    command,
    help: values.help ?? false,
    config: values.config,
    rpc: values.rpc ?? [],
    deployment: values.deployment,
    dryRun: values["dry-run"] ?? false,
    json: values.json ?? false,
  };
}
