/** Reads a mandate file, or the tiers of a scenario; every complaint names file, line, column, field and the fix. */
import { parseDocument } from "yaml";
import * as z from "zod";
import { readDocument, readScenario, readText, ScenarioFileError } from "../scenario/load.ts";
import {
  avs,
  bps,
  checkTier,
  duration,
  eth,
  expected,
  map,
  measured,
  named,
  type Problem,
  type Scenario,
  text,
  tier,
  unknownWord,
} from "../scenario/schema.ts";
import { BLOCK_SECONDS, DAY, parseRate, UnitError, WAD } from "../scenario/units.ts";
import type { Assumptions } from "./calculate.ts";
import type { MandateTerms, SetTerms } from "./terms.ts";

/** Thrown with a list of complaints, one a line. */
export const MandateFileError = ScenarioFileError;

/** A rate of at least 0 and at most (or below) 100 %. */
export function parseShare(value: unknown): bigint {
  const wad = parseRate(value);
  if (wad < 0n || wad > WAD) throw new UnitError(`"${String(value)}" must lie between 0 % and 100 %.`);
  return wad;
}

/** A chance of at least 0 and below 100 %. */
export function parseChance(value: unknown): bigint {
  const wad = parseShare(value);
  if (wad === WAD) throw new UnitError('A chance of 100 % is a certainty. Write less, such as "1 %".');
  return wad;
}

/** The base rate of the premium: the contracts keep it between 0.5 % and 20 %. */
export function parseBaseRate(value: unknown): bigint {
  const wad = parseRate(value);
  if (wad < WAD / 200n || wad > WAD / 5n) throw new UnitError("The base rate lies between 0.5 % and 20 %.");
  return wad;
}

const rateOfYear = measured(parseShare, "1 %");
const chance = measured(parseChance, "1 %");
const positive = rateOfYear.refine((wad) => wad > 0n, "It must be above 0 %.");
const whole = (what: string, least: number, most: number) =>
  z
    .int({ error: expected(what) })
    .min(least, `It is at least ${least}.`)
    .max(most, `It is at most ${most}.`);

const assumptions = map({
  /** How large the tier is: senior money, or everything. */
  senior: eth.optional(),
  total: eth.optional(),
  /** By default the seed. */
  reserve: eth.optional(),
  /** Where senior and junior settle. */
  utilisation: positive.optional(),
  /** Of restaked ETH with every allocation at its target, before fees, a year. */
  "avs rewards": rateOfYear.optional(),
  "operator fee": bps.optional(),
  "protocol fee": bps.optional(),
  /** The premium: its base rate, or what the junior wants to earn in a year without a loss. */
  "base rate": measured(parseBaseRate, "4 %").optional(),
  "junior asks": rateOfYear.optional(),
  /** That one set slashes within a year. */
  "slash chance": chance.optional(),
  /** Part of its allocation that a slash takes: anything between the two is equally likely. */
  "slash takes": map({ least: positive, most: positive }).optional(),
  /** Chance that the other sets of a slashing group slash too. */
  "slash together": rateOfYear.optional(),
  /** Chance for each other group to slash on the same day. */
  "slash spreads": rateOfYear.optional(),
  /** Days after a loss until new junior money comes; without it none does. */
  "junior returns after": duration.optional(),
  paths: whole("how many years to simulate, such as 2000", 0, 100_000).optional(),
  "random seed": whole("a whole number", 0, 2 ** 32 - 1).optional(),
});

const set = map({
  ...avs.shape,
  category: avs.shape.category.optional(),
  /** Sets with the same slasher are one slasher group. A name or an address. */
  slasher: z
    .string({ error: (issue) => `${expected("a name or an address")(issue)} An address needs quotes.` })
    .min(1, "It is empty. Write a name or an address.")
    .optional(),
  redistributing: z.boolean({ error: expected("true or false") }).optional(),
  "veto window": duration
    .refine(
      (seconds) => seconds <= 14 * DAY && seconds % BLOCK_SECONDS === 0,
      "It is at most 14 days, in whole blocks.",
    )
    .optional(),
  "slash chance": chance.optional(),
});

export const mandateSchema = map({
  title: text.optional(),
  about: text.optional(),
  staking: map({ yield: rateOfYear, "exit time": duration.optional() }).optional(),
  /** Operator sets. Names are free; sets of one AVS are named "AVS/1", "AVS/2". */
  avss: named("operator sets", set),
  /** Lists of sets that the curator treats as one slasher group. */
  merged: z
    .array(z.array(text).min(2, "A merge joins two sets or more."), { error: expected("a list of lists") })
    .optional(),
  tiers: named("tiers", tier),
  assumptions: assumptions.optional(),
});

type MandateFile = z.output<typeof mandateSchema>;
type TierTerms = MandateFile["tiers"][string];

/** The mandates of a file, and what it assumes. */
export interface Mandates {
  readonly file: string;
  readonly title: string | undefined;
  readonly tiers: readonly MandateTerms[];
  readonly assumed: Assumed;
}

/** The assumptions that somebody made; the others have defaults. */
export interface Assumed {
  readonly amount?: Assumptions["amount"] | undefined;
  readonly reserve?: bigint | undefined;
  readonly utilisation?: bigint | undefined;
  readonly stakingYield?: bigint | undefined;
  readonly avsRewards?: bigint | undefined;
  readonly operatorFee?: bigint | undefined;
  readonly protocolFee?: bigint | undefined;
  readonly pricing?: Assumptions["pricing"] | undefined;
  readonly slashChance?: bigint | undefined;
  readonly leastPart?: bigint | undefined;
  readonly mostPart?: bigint | undefined;
  readonly together?: bigint | undefined;
  readonly spread?: bigint | undefined;
  readonly refillDays?: number | undefined;
  readonly paths?: number | undefined;
  readonly randomSeed?: number | undefined;
}

export function loadMandates(file: string): Mandates {
  return readMandates(readText(file, "examples are in economics/examples/"), file);
}

export function readMandates(source: string, file: string): Mandates {
  const document = parseDocument(source);
  if (document.errors.length === 0 && document.has("story")) return fromScenario(readScenario(source, file), file);
  const read = readDocument(source, file, mandateSchema, crossCheck);
  const sets = Object.entries(read.avss).map(
    ([name, value]): SetTerms => ({
      name,
      ...(value.category === undefined ? {} : { category: value.category }),
      ...(value.slasher === undefined ? {} : { slasher: value.slasher.toLowerCase() }),
      ...(value.redistributing === undefined ? {} : { redistributing: value.redistributing }),
      ...(value["veto window"] === undefined ? {} : { vetoBlocks: value["veto window"] / BLOCK_SECONDS }),
      ...(value["slash chance"] === undefined ? {} : { slashChance: value["slash chance"] }),
    }),
  );
  const a = read.assumptions ?? {};
  return {
    file,
    title: read.title,
    tiers: Object.entries(read.tiers).map(([name, value]) => toTerms(name, value, sets, read.merged ?? [])),
    assumed: {
      amount: a.senior !== undefined ? { senior: a.senior } : a.total !== undefined ? { total: a.total } : undefined,
      reserve: a.reserve,
      utilisation: a.utilisation,
      stakingYield: read.staking?.yield,
      avsRewards: a["avs rewards"],
      operatorFee: optionalBig(a["operator fee"]),
      protocolFee: optionalBig(a["protocol fee"]),
      pricing:
        a["base rate"] !== undefined
          ? { baseRate: a["base rate"] }
          : a["junior asks"] !== undefined
            ? { juniorAsks: a["junior asks"] }
            : undefined,
      slashChance: a["slash chance"],
      leastPart: a["slash takes"]?.least,
      mostPart: a["slash takes"]?.most,
      together: a["slash together"],
      spread: a["slash spreads"],
      refillDays: a["junior returns after"] === undefined ? undefined : Math.ceil(a["junior returns after"] / DAY),
      paths: a.paths,
      randomSeed: a["random seed"],
    },
  };
}

function fromScenario(scenario: Scenario, file: string): Mandates {
  const sets = Object.entries(scenario.avss).map(([name, { category }]): SetTerms => ({ name, category }));
  return {
    file,
    title: scenario.title,
    tiers: Object.entries(scenario.tiers).map(([name, value]) => toTerms(name, value, sets, [])),
    assumed: { stakingYield: scenario.staking.yield },
  };
}

/** Only the sets that the tier works for are its mandate's. */
function toTerms(
  name: string,
  value: TierTerms,
  sets: readonly SetTerms[],
  merged: readonly (readonly string[])[],
): MandateTerms {
  const used = new Set(Object.values(value.agents).flatMap((agent) => Object.keys(agent.sets)));
  const own = (list: readonly string[]) => list.filter((one) => used.has(one));
  return {
    name,
    k: value.k,
    margin: BigInt(value.margin),
    haircut: BigInt(value.haircut),
    buffer: BigInt(value.buffer),
    instantFee: BigInt(value["instant fee"]),
    quarantine: BigInt(value.quarantine),
    cap: value.cap,
    seed: value.seed,
    delay: value["mandate delay"],
    sets: sets.filter((one) => used.has(one.name)),
    merged: merged.map(own).filter((list) => list.length > 1),
    agents: Object.entries(value.agents).map(([agent, terms]) => ({
      name: agent,
      weight: BigInt(terms.weight),
      targets: Object.entries(terms.sets).map(([target, magnitude]) => ({ set: target, magnitude })),
    })),
  };
}

/** What the schema alone cannot see. */
function crossCheck(read: MandateFile): Problem[] {
  const names = Object.keys(read.avss);
  const problems = Object.entries(read.tiers).flatMap(([name, value]) => [
    ...checkTier(name, value, names),
    ...checkLimits(name, value),
  ]);
  const numbers = [
    ...names.map((name) => ["avss", name]),
    ...Object.entries(read.tiers).flatMap(([tierName, { agents }]) =>
      Object.keys(agents).map((name) => ["tiers", tierName, "agents", name]),
    ),
  ];
  for (const path of numbers) {
    // YAML reads 0x… as a number, and its digits are gone
    if (!/^\d+(\.\d+)?e\+\d+$/.test(path.at(-1) ?? "")) continue;
    problems.push({ path: path.slice(0, -1), message: 'An address is a name here: write it in quotes, "0x…".' });
  }
  if (Object.keys(read.tiers).length === 0) problems.push({ path: ["tiers"], message: "Name at least one tier." });
  read.merged?.forEach((list, i) => {
    list.forEach((one, j) => {
      if (!names.includes(one)) problems.push({ path: ["merged", i, j], message: unknownWord("AVS", one, names) });
    });
  });
  const a = read.assumptions ?? {};
  const either = (first: keyof typeof a, second: keyof typeof a) => {
    if (a[first] !== undefined && a[second] !== undefined) {
      problems.push({ path: ["assumptions", second], message: `There is "${first}" already. Keep one of the two.` });
    }
  };
  either("senior", "total");
  either("base rate", "junior asks");
  const takes = a["slash takes"];
  if (takes !== undefined && takes.least > takes.most) {
    problems.push({ path: ["assumptions", "slash takes", "least"], message: 'It is above "most". Swap them.' });
  }
  if ((a["operator fee"] ?? 0) + (a["protocol fee"] ?? 0) > 10_000) {
    problems.push({ path: ["assumptions", "protocol fee"], message: "Both fees together exceed the AVS rewards." });
  }
  for (const [name, value] of Object.entries(read.tiers)) {
    if (a.reserve !== undefined && a.reserve < value.seed) {
      problems.push({
        path: ["assumptions", "reserve"],
        message: `It is below the seed of ${name}, which never leaves.`,
      });
    }
  }
  return problems;
}

/** Bounds that the contracts keep (SPEC 4.6), beyond those of a scenario. */
function checkLimits(name: string, value: TierTerms): Problem[] {
  const problems: Problem[] = [];
  if (value.margin > 5_000) problems.push({ path: ["tiers", name, "margin"], message: "The margin is at most 50 %." });
  if (value.haircut > 1_000)
    problems.push({ path: ["tiers", name, "haircut"], message: "The haircut is at most 10 %." });
  return problems;
}

const optionalBig = (value: number | undefined): bigint | undefined =>
  value === undefined ? undefined : BigInt(value);
