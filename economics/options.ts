/** The words after `npm run mandate --`. */
import { parseArgs } from "node:util";
import { nearest } from "../scenario/schema.ts";
import { parseEth, UnitError } from "../scenario/units.ts";
import { type Assumed, parseBaseRate, parseChance, parseShare } from "./file.ts";
import { REASONS } from "./judgement.ts";

export interface Options {
  readonly help: boolean;
  readonly file: string | undefined;
  /** Names of tiers in the file. */
  readonly names: readonly string[];
  readonly against: string | undefined;
  readonly rpc: string | undefined;
  /** Address of a deployed tier. */
  readonly address: string | undefined;
  readonly json: boolean;
  readonly chart: string | undefined;
  readonly save: string | undefined;
  readonly accepted: ReadonlySet<string>;
  readonly assumed: Assumed;
}

export class OptionError extends Error {
  override readonly name = "OptionError";
}

const ACCEPTING = Object.entries(REASONS)
  .map(([flag, reason]) => `  --${flag.padEnd(32)} ${reason}`)
  .join("\n");

export const HELP = `Bulkhead: what a mandate needs, earns and risks, before it is proposed.

  npm run mandate -- FILE                  every tier of a mandate file or of a scenario (economics/examples, scenarios)
  npm run mandate -- FILE --tier NAME      one of them
  npm run mandate -- FILE --against FILE   beside the mandate in force: what is riskier, what changes
  npm run mandate -- --rpc URL --tier 0x…  the mandate of a deployed tier, with its books of now
  npm run mandate -- FILE --rpc URL --tier 0x…   the file's mandate against the deployed one

  --senior "5000 ETH" | --total "…"  how large the tier is      --paths 2000        years to simulate; 0: none
  --staking "2.8 %"                  staking yield              --random-seed 1     the same seed, the same years
  --rewards "1 %"                    AVS rewards                --slash-chance "1 %"  of a set within a year
  --utilisation "90 %"               where the tier settles     --base-rate "4 %" | --junior-asks "7 %"
  --chart FILE.svg   draws it        --json   for programs (npm run -s mandate -- … --json)
  --save FILE.yaml   writes the deployed tier's mandate as a file, to be changed and compared

It refuses a mandate that would not sell or not hold, unless told otherwise:
${ACCEPTING}

The exit code is 0 if nothing speaks against it, 1 if something does, 2 if the command or the file is wrong.
What it assumes is in docs/MANDATES.md.`;

const FLAGS = {
  help: { type: "boolean", short: "h" },
  tier: { type: "string", multiple: true },
  against: { type: "string" },
  rpc: { type: "string" },
  json: { type: "boolean" },
  chart: { type: "string" },
  save: { type: "string" },
  senior: { type: "string" },
  total: { type: "string" },
  staking: { type: "string" },
  rewards: { type: "string" },
  utilisation: { type: "string" },
  "base-rate": { type: "string" },
  "junior-asks": { type: "string" },
  "slash-chance": { type: "string" },
  paths: { type: "string" },
  "random-seed": { type: "string" },
} as const;

const accepting = Object.fromEntries(Object.keys(REASONS).map((flag) => [flag, { type: "boolean" as const }]));

export function readOptions(args: readonly string[]): Options {
  const known = [...Object.keys(FLAGS), ...Object.keys(REASONS)].map((name) => `--${name}`);
  for (const argument of args) {
    const [flag = ""] = argument.split("=");
    if (!flag.startsWith("--") || known.includes(flag)) continue;
    const meant = nearest(flag, known);
    throw new OptionError(
      `There is no option ${flag}. ${meant ? `Did you mean ${meant}?` : "See npm run mandate -- --help"}`,
    );
  }
  let parsed: ReturnType<typeof read>;
  try {
    parsed = read(args);
  } catch (error) {
    const [first] = (error instanceof Error ? error.message : String(error)).split(". To specify");
    throw new OptionError(`${first}. See npm run mandate -- --help`);
  }
  const { values, positionals } = parsed;
  if (positionals.length > 1) {
    throw new OptionError(
      `One file at a time: "${positionals[1]}" is too much. Values with a space need quotes, such as "2.8 %".`,
    );
  }
  const tiers = values.tier ?? [];
  const address = tiers.find((one) => one.startsWith("0x"));
  const [file] = positionals;
  if (!values.help && file === undefined && values.rpc === undefined) {
    throw new OptionError(
      "Name a mandate file, such as economics/examples/sixteen-groups.yaml, or --rpc URL --tier 0x…",
    );
  }
  if (!values.help && (values.rpc === undefined) !== (address === undefined)) {
    throw new OptionError("--rpc URL and --tier 0x… belong together: the chain, and the address of a tier on it.");
  }
  if (values.save !== undefined && values.rpc === undefined) {
    throw new OptionError("--save writes the mandate of a deployed tier. Add --rpc URL --tier 0x…");
  }
  if (values.against !== undefined && (file === undefined || values.rpc !== undefined)) {
    throw new OptionError("--against compares two files. Name a file before it, and leave --rpc away.");
  }
  for (const [a, b] of [
    ["senior", "total"],
    ["base-rate", "junior-asks"],
  ] as const) {
    if (values[a] !== undefined && values[b] !== undefined) throw new OptionError(`Use --${a} or --${b}, not both.`);
  }
  const value = <T>(flag: keyof typeof values & string, parse: (text: unknown) => T): T | undefined => {
    const text = values[flag];
    if (text === undefined) return undefined;
    try {
      return parse(text);
    } catch (error) {
      if (!(error instanceof UnitError)) throw error;
      throw new OptionError(`--${flag}: ${error.message}`);
    }
  };
  const senior = value("senior", parseEth);
  const total = value("total", parseEth);
  const baseRate = value("base-rate", parseBaseRate);
  const juniorAsks = value("junior-asks", parseShare);
  return {
    help: values.help ?? false,
    file,
    names: tiers.filter((one) => !one.startsWith("0x")),
    against: values.against,
    rpc: values.rpc,
    address,
    json: values.json ?? false,
    chart: values.chart,
    save: values.save,
    accepted: new Set(Object.keys(REASONS).filter((flag) => (values as Record<string, unknown>)[flag] === true)),
    assumed: {
      amount: senior !== undefined ? { senior } : total !== undefined ? { total } : undefined,
      stakingYield: value("staking", parseShare),
      avsRewards: value("rewards", parseShare),
      utilisation: value("utilisation", (text) => {
        const share = parseShare(text);
        if (share === 0n) throw new UnitError("It must be above 0 %.");
        return share;
      }),
      pricing: baseRate !== undefined ? { baseRate } : juniorAsks !== undefined ? { juniorAsks } : undefined,
      slashChance: value("slash-chance", parseChance),
      paths: value("paths", whole("years", 100_000)),
      randomSeed: value("random-seed", whole("seed", 2 ** 32 - 1)),
    },
  };
}

const read = (args: readonly string[]) =>
  parseArgs({ args: [...args], options: { ...FLAGS, ...accepting }, allowPositionals: true });

const whole =
  (what: string, most: number) =>
  (text: unknown): number => {
    const number = Number(text);
    if (!/^\d+$/.test(String(text)) || number > most) {
      throw new UnitError(`"${String(text)}" is no number of ${what}. Write a whole number from 0 to ${most}.`);
    }
    return number;
  };
