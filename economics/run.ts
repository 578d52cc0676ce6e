/** `npm run mandate`: reads, computes, prints. Everything that touches files, chains or the terminal is here. */
import { writeFileSync } from "node:fs";
import { extname } from "node:path";
import { stringify } from "yaml";
import { printer } from "../scenario/print.ts";
import { formatDuration, formatUnits } from "../scenario/units.ts";
import { ChainError, type DeployedTier, readTier } from "./chain.ts";
import { type Assumed, loadMandates, MandateFileError, type Mandates } from "./file.ts";
import { type Assumptions, type Calculation, calculate, DEFAULTS, Uncoverable } from "./index.ts";
import { HELP, OptionError, type Options, readOptions } from "./options.ts";
import { printCalculation, printComparison, printRefusals } from "./print.ts";
import { toJson } from "./report.ts";
import type { MandateTerms } from "./terms.ts";

export interface Output {
  readonly out: NodeJS.WriteStream;
  readonly err: NodeJS.WritableStream;
}

/** Returns the exit code. */
export async function main(
  args: readonly string[],
  { out, err }: Output = { out: process.stdout, err: process.stderr },
): Promise<number> {
  // whoever reads may stop reading (`| head`): then there is nobody to tell the rest to
  out.on("error", () => process.exit(2));
  try {
    const options = readOptions(args);
    if (options.help) {
      out.write(`${HELP}\n`);
      return 0;
    }
    return await run(options, out, err);
  } catch (error) {
    const known = [OptionError, MandateFileError, ChainError, Uncoverable].some((kind) => error instanceof kind);
    if (!known) throw error;
    err.write(`${(error as Error).message}\n`);
    return 2;
  }
}

async function run(options: Options, out: NodeJS.WriteStream, err: NodeJS.WritableStream): Promise<number> {
  const { rpc, address, file } = options;
  const deployed = rpc !== undefined && address !== undefined ? await readTier(rpc, address) : undefined;
  const proposal = file === undefined ? undefined : loadMandates(file);
  const inForce = options.against === undefined ? undefined : loadMandates(options.against);
  const chosen = proposal === undefined ? [] : choose(proposal, options.names);
  if (deployed !== undefined && chosen.length > 1) {
    throw new OptionError(`${file} has ${chosen.length} tiers. Say which one is meant for ${address}: --tier NAME`);
  }
  const size = deployed !== undefined && deployed.books.value > 0n ? booksAssumed(deployed) : {};
  const assume = (mandates?: Mandates): Assumptions => combine(size, mandates?.assumed ?? {}, options.assumed);

  const p = printer(out);
  let refused = false;
  const reports: unknown[] = [];
  const pairs: { proposed: Calculation; now: Calculation | undefined }[] = [];
  const now =
    deployed === undefined
      ? undefined
      : calculate(deployed.terms, { ...assume(proposal), ...(proposal ? { paths: 0 } : {}) });
  if (now !== undefined && proposal === undefined) pairs.push({ proposed: now, now: undefined });
  for (const terms of chosen) {
    const assumptions = assume(proposal);
    const old = inForce === undefined ? undefined : partner(inForce, terms, options);
    pairs.push({
      proposed: calculate(terms, assumptions),
      now: now ?? (old === undefined ? undefined : calculate(old, { ...assumptions, reserve: undefined, paths: 0 })),
    });
  }
  for (const [i, { proposed, now: before }] of pairs.entries()) {
    const open = proposed.refusals.filter(({ reason }) => !options.accepted.has(reason));
    refused ||= open.length > 0;
    if (options.json) {
      reports.push(toJson(proposed, before, deployed, options.accepted));
      continue;
    }
    if (i > 0) p.line("\n");
    printCalculation(p, proposed, before === undefined ? deployed?.books : undefined);
    if (before !== undefined) printComparison(p, before, proposed, deployed?.books);
    if (deployed !== undefined && deployed.closedSets.length > 0) {
      p.line(
        p.yellow(
          `\n  Quarantined or unapproved on the chain, counted at their targets here: ${deployed.closedSets.join(", ")}`,
        ),
      );
    }
    printRefusals(p, proposed.refusals, options.accepted);
  }
  if (options.json) out.write(`${JSON.stringify(reports.length === 1 ? reports[0] : reports, null, 2)}\n`);
  if (options.save !== undefined && deployed !== undefined) {
    write(options.save, asYaml(deployed));
    err.write(`The mandate in force is in ${options.save}.\n`);
  }
  if (options.chart !== undefined) {
    if (extname(options.chart) !== ".svg") throw new OptionError("A chart is an SVG file. Let its name end with .svg");
    const { drawChart } = await import("./chart.ts");
    for (const { proposed } of pairs) {
      const name =
        pairs.length === 1 ? options.chart : options.chart.replace(/\.svg$/, `-${slug(proposed.terms.name)}.svg`);
      write(name, await drawChart(proposed));
      err.write(`The chart is in ${name}.\n`);
    }
  }
  return refused ? 1 : 0;
}

function choose(mandates: Mandates, names: readonly string[]): readonly MandateTerms[] {
  if (names.length === 0) return mandates.tiers;
  return names.map((name) => {
    const found = mandates.tiers.find((one) => one.name === name);
    if (found !== undefined) return found;
    const all = mandates.tiers.map((one) => `"${one.name}"`).join(", ");
    throw new OptionError(`${mandates.file} has no tier "${name}". It has ${all}.`);
  });
}

/** The mandate in force for a proposal: the tier of the same name, or the only one. */
function partner(inForce: Mandates, terms: MandateTerms, options: Options): MandateTerms {
  const same = inForce.tiers.find((one) => one.name === terms.name);
  const [only] = inForce.tiers;
  if (same !== undefined) return same;
  if (only !== undefined && inForce.tiers.length === 1) return only;
  const all = inForce.tiers.map((one) => `"${one.name}"`).join(", ");
  throw new OptionError(`${options.against} has no tier "${terms.name}" to compare with. It has ${all}.`);
}

const booksAssumed = ({ books, baseRate }: DeployedTier): Assumed => ({
  amount: { total: books.value },
  reserve: books.reserve,
  pricing: { baseRate },
});

/** Later ones win; what nobody assumes has its default. */
function combine(...list: readonly Assumed[]): Assumptions {
  const pick = <Key extends keyof Assumed>(key: Key): Assumed[Key] =>
    list.reduce<Assumed[Key]>((found, one) => one[key] ?? found, undefined as Assumed[Key]);
  const { market, hazard } = DEFAULTS;
  return {
    amount: pick("amount") ?? DEFAULTS.amount,
    reserve: pick("reserve"),
    utilisation: pick("utilisation") ?? DEFAULTS.utilisation,
    market: {
      stakingYield: pick("stakingYield") ?? market.stakingYield,
      avsRewards: pick("avsRewards") ?? market.avsRewards,
      operatorFee: pick("operatorFee") ?? market.operatorFee,
      protocolFee: pick("protocolFee") ?? market.protocolFee,
    },
    pricing: pick("pricing") ?? DEFAULTS.pricing,
    hazard: {
      slashChance: pick("slashChance") ?? hazard.slashChance,
      leastPart: pick("leastPart") ?? hazard.leastPart,
      mostPart: pick("mostPart") ?? hazard.mostPart,
      together: pick("together") ?? hazard.together,
      spread: pick("spread") ?? hazard.spread,
    },
    refillDays: pick("refillDays"),
    paths: pick("paths") ?? DEFAULTS.paths,
    days: DEFAULTS.days,
    randomSeed: pick("randomSeed") ?? DEFAULTS.randomSeed,
  };
}

function write(file: string, text: string): void {
  try {
    writeFileSync(file, text);
  } catch (error) {
    throw new OptionError(`${file} cannot be written: ${(error as Error).message}. Choose another place.`);
  }
}

const slug = (name: string): string => name.toLowerCase().replace(/[^a-z0-9]+/g, "-");
const percent = (wad: bigint): string => `${trim(formatUnits(wad, 16, 16))} %`;
const trim = (text: string): string => text.replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "");
const ether = (wei: bigint): string => `${trim(formatUnits(wei, 18, 18))} ETH`;

/** A mandate file with a deployed tier's mandate. */
export function asYaml({ terms, books }: DeployedTier): string {
  const bps = (value: bigint) => percent(value * 10n ** 14n);
  const document = {
    title: `Mandate of ${terms.name} at block ${books.block}`,
    avss: Object.fromEntries(
      terms.sets.map((set) => [
        set.name,
        {
          ...(set.category === undefined ? {} : { category: set.category }),
          slasher: set.slasher,
          ...(set.redistributing ? { redistributing: true } : {}),
          ...(set.vetoBlocks ? { "veto window": `${set.vetoBlocks} blocks` } : {}),
        },
      ]),
    ),
    ...(terms.merged.length > 0 ? { merged: terms.merged } : {}),
    tiers: {
      Deployed: {
        symbol: "TIER",
        k: terms.k,
        margin: bps(terms.margin),
        haircut: bps(terms.haircut),
        buffer: bps(terms.buffer),
        "instant fee": bps(terms.instantFee),
        quarantine: bps(terms.quarantine),
        cap: ether(terms.cap),
        seed: ether(terms.seed),
        "mandate delay": formatDuration(terms.delay),
        agents: Object.fromEntries(
          terms.agents.map(({ name, weight, targets }) => [
            name,
            {
              weight: bps(weight),
              sets: Object.fromEntries(targets.map(({ set, magnitude }) => [set, percent(magnitude)])),
            },
          ]),
        ),
      },
    },
  };
  return stringify(document, { lineWidth: 0 });
}
