/** The scenario file: its words, their units and their limits. What it means is in `steps.ts`. */
import * as z from "zod";
import { nearest } from "../scripts/lib/words.ts";
import { parseBps, parseDuration, parseEth, parsePart, parseRate, UnitError } from "./units.ts";

export { nearest };

/** One thing that is wrong with a file, at a path of keys and indexes. */
export interface Problem {
  readonly path: readonly (string | number)[];
  /** For an unknown key: that key, whose place is more telling than its parent's. */
  readonly key?: string;
  readonly message: string;
}

export const CATEGORIES = [
  "other",
  "data availability",
  "oracle",
  "bridge",
  "coprocessor",
  "proof of location",
] as const;

export const oneOf = (words: readonly string[]): string => words.map((word) => `"${word}"`).join(", ");

export function unknownWord(what: string, word: string, words: readonly string[]): string {
  const meant = nearest(word, words);
  const fix = meant === undefined ? `Use one of ${oneOf(words)}.` : `Did you mean "${meant}"?`;
  return `There is no ${what} "${word}". ${fix}`;
}

// ---- building blocks

/** A value with a unit, read by `parse`. */
export const measured = <T>(parse: (value: unknown) => T, example: string) =>
  z.unknown().transform((value, context): T => {
    try {
      if (value !== undefined) return parse(value);
      context.issues.push({ code: "custom", input: value, message: `It is missing. Add it, such as "${example}".` });
    } catch (error) {
      if (!(error instanceof UnitError)) throw error;
      context.issues.push({ code: "custom", input: value, message: error.message });
    }
    return z.NEVER;
  });

export const eth = measured(parseEth, "100 ETH");
export const duration = measured(parseDuration, "14 days");
export const rate = measured(parseRate, "2.8 %");
export const bps = measured(parseBps, "10 %");
export const part = measured(parsePart, "50 %");

const kindOf = (value: unknown): string => {
  if (value === null) return "empty";
  if (Array.isArray(value)) return "a list";
  return typeof value === "object" ? "a map" : `the ${typeof value} ${JSON.stringify(value)}`;
};

export const expected = (what: string) => (issue: { readonly input?: unknown }) =>
  issue.input === undefined ? `It is missing. Add ${what}.` : `It is ${kindOf(issue.input)}. Write ${what}.`;

export const text = z.string({ error: expected("a text") }).min(1, "It is empty. Write a text.");
const name = z.string({ error: expected("a name") }).min(1, "It is empty. Write a name.");
const flag = z.boolean({ error: expected("true or false") });

const word = <const Words extends readonly [string, ...string[]]>(words: Words) =>
  z.enum(words, {
    error: (issue) =>
      typeof issue.input === "string"
        ? unknownWord("choice", issue.input, words)
        : expected(`one of ${oneOf(words)}`)(issue),
  });

/** A map that knows its keys, and says so. */
export function map<Shape extends z.core.$ZodLooseShape>(shape: Shape) {
  const known = Object.keys(shape);
  return z.strictObject(shape, {
    error: (issue) => {
      if (issue.code !== "unrecognized_keys") return expected(`a map with ${oneOf(known)}`)(issue);
      const [key = ""] = issue.keys as string[];
      return unknownWord("key", key, known);
    },
  });
}

export const named = <T extends z.ZodType>(what: string, value: T) =>
  z.record(name, value, { error: expected(`a map from ${what} to what they are`) });

const tranche = word(["senior", "junior"]);
const change = word(["unchanged", "higher", "lower", "not lower", "not higher"]);
const share = word(["none", "part", "all"]);

// ---- what there is

export const staking = map({
  /** Yearly yield of the staking token, reported daily. */
  yield: rate.refine((wad) => wad >= 0n && wad <= 10n ** 18n, "The yield of a year lies between 0 % and 100 %."),
  /** How long its exit queue takes. */
  "exit time": duration,
});

const operator = map({
  /** What it runs with elsewhere, for people. */
  about: text.optional(),
});

export const avs = map({
  category: word(CATEGORIES),
  about: text.optional(),
  /** `hello world`: the AVS whose faults are proven on-chain. Otherwise one that does what its owner says. */
  contract: word(["local", "hello world"]).default("local"),
  /** Part of an allocation that one proven fault costs. */
  "fault costs": part.optional(),
  /** It pays with a token of its own, and has that staked too; otherwise it pays in WETH. */
  token: map({
    symbol: name,
    /** What a whole token is worth. */
    price: eth,
    /** What is staked of it, by others and in an operator set of its own, is worth. */
    staked: eth,
  }).optional(),
});

const agent = map({
  weight: bps,
  /** Part of the agent's stake for each AVS. */
  sets: named("AVSs", part),
});

export const tier = map({
  symbol: z
    .string({ error: expected('a symbol such as "CARE"') })
    .regex(/^[A-Z][A-Z0-9]{1,7}$/, 'Write 2 to 8 capital letters or digits, such as "CARE".'),
  about: text.optional(),
  k: z
    .int({ error: expected("a whole number of slasher groups, such as 2") })
    .min(1, "At least one group may misbehave: k is 1 or more.")
    .max(32, "A tier has at most 32 groups."),
  margin: bps,
  haircut: bps,
  buffer: bps.refine((value) => value <= 500, "The buffer is at most 5 %."),
  "instant fee": bps.refine((value) => value >= 10 && value <= 30, "The fee lies between 0.1 % and 0.3 %."),
  quarantine: bps,
  cap: eth,
  seed: eth.refine((wei) => wei >= 10n ** 16n, "The seed is at least 0.01 ETH."),
  "mandate delay": duration.refine((seconds) => seconds >= 45 * 86_400, "A riskier mandate waits at least 45 days."),
  /** The node operators' and the protocol's part of AVS rewards. */
  "operator fee": bps.refine((value) => value <= 3_000, "An operator gets at most 30 %.").optional(),
  "protocol fee": bps.refine((value) => value <= 2_000, "The protocol gets at most 20 %.").optional(),
  agents: named("operators", agent),
});

// ---- what happens

const exitAmount = z.unknown().transform((value, context): "all" | { wei: bigint } | { part: bigint } => {
  try {
    if (value === "all") return value;
    if (typeof value === "string" && value.includes("%")) return { part: parsePart(value) };
    return { wei: parseEth(value) };
  } catch (error) {
    if (!(error instanceof UnitError)) throw error;
    const message = `${JSON.stringify(value) ?? "Nothing"} is no amount to leave with. Write "all", "50 %" or "100 ETH".`;
    context.issues.push({ code: "custom", input: value, message });
    return z.NEVER;
  }
});

const names = z.union([name.transform((one) => [one]), z.array(name).min(1)], {
  error: expected("a name, or a list of names"),
});

const wait = z.preprocess(
  (value) => (typeof value === "object" && value !== null ? value : { for: value }),
  map({
    for: duration,
    /** Whether the keeper has its turns in the meantime. */
    keeper: word(["awake", "asleep"]).default("awake"),
  }),
);

const expectation = map({
  tier: name,
  /** Compare with a remembered moment; by default with the moment before the last step. */
  since: name.optional(),
  covered: flag.optional(),
  "senior rate": change.optional(),
  "junior rate": change.optional(),
  deficit: word(["open", "none"]).optional(),
  quarantined: z.array(name, { error: expected("a list of AVSs") }).optional(),
  /** How much of each bucket the losses took since then. */
  loss: map({
    gains: share.optional(),
    reserve: share.optional(),
    junior: share.optional(),
    senior: share.optional(),
  }).optional(),
  "junior series": z.int({ error: expected("a number from 1 on") }).optional(),
});

const holderExpectation = map({
  who: name,
  tier: name,
  tranche,
  since: name.optional(),
  /** Per share, exactly, what somebody else in the tranche loses. */
  "loses as much a share as": name.optional(),
  value: change.optional(),
});

const paidExpectation = map({
  who: name,
  tier: name,
  tranche,
  "at least": eth.optional(),
  "at most": eth.optional(),
});

const payExpectation = map({
  operator: name,
  tier: name,
  "at least": eth.optional(),
  "at most": eth.optional(),
});

const verbs = {
  say: text,
  show: name,
  remember: name,
  deposit: map({ by: name, tier: name, tranche, amount: eth }),
  wait,
  upkeep: word(["all"]),
  "staking loss": part,
  greet: map({ tier: name, operator: name, name: text, says: text.optional() }),
  prove: map({ tier: name, operator: name, by: name }),
  slash: map({ tier: name, avs: names, part, because: text }),
  "request exit": map({ by: name, tier: name, tranche, amount: exitAmount }),
  "leave at once": map({ by: name, tier: name, amount: exitAmount }),
  finalise: map({ tier: name, tranche }),
  claim: map({ by: name, tier: name, tranche }),
  unwind: name,
  deleverage: name,
  quarantine: map({ tier: name, avs: name }),
  recover: map({ by: name, tier: name, amount: eth }),
  "write off": name,
  "open series": map({ tier: name, tranche }),
  "top up reserve": map({ by: name, tier: name, amount: eth }),
  "pause entries": name,
  "resume entries": name,
  "pay rewards": map({ avs: names, rate, for: duration }),
  "sell rewards": map({ tier: name, avs: name, from: eth, floor: eth }),
  "buy rewards": map({ by: name, tier: name, avs: name, "at most": eth }),
  "claim pay": map({ operator: name, tier: name }),
  expect: expectation,
  "expect holder": holderExpectation,
  "expect paid": paidExpectation,
  "expect pay": payExpectation,
} as const;

export const VERBS: readonly string[] = [...Object.keys(verbs), "refused"];

const optional = <Shape extends Record<string, z.ZodType>>(shape: Shape) =>
  Object.fromEntries(Object.entries(shape).map(([key, value]) => [key, value.optional()])) as {
    [Key in keyof Shape]: z.ZodOptional<Shape[Key]>;
  };

// none at all is an unknown verb, which has been named, or an empty step, which crossCheck names
const oneVerb = (value: object): boolean => Object.values(value).filter((part) => part !== undefined).length <= 1;
const ONE_VERB = "A step does one thing. Give every step its own dash.";

const plainStep = map(optional(verbs)).refine(oneVerb, ONE_VERB);
const step = map({
  ...optional(verbs),
  /** A step that the contracts must turn down, with the error that they name. */
  refused: map({ step: plainStep, because: name }).optional(),
}).refine(oneVerb, ONE_VERB);

const chapter = map({
  chapter: text,
  about: text.optional(),
  steps: z.array(step, { error: expected("a list of steps") }).min(1, "A chapter has at least one step."),
});

export const scenarioSchema = map({
  title: text,
  about: text.optional(),
  staking,
  operators: named("operators", operator),
  avss: named("AVSs", avs),
  tiers: named("tiers", tier),
  people: named("people", text),
  story: z.array(chapter, { error: expected("a list of chapters") }).min(1, "A story has at least one chapter."),
});

export type Scenario = z.output<typeof scenarioSchema>;
export type TierTerms = Scenario["tiers"][string];
export type Chapter = Scenario["story"][number];
export type Step = Chapter["steps"][number];
export type PlainStep = z.output<typeof plainStep>;
export type ExitAmount = z.output<typeof exitAmount>;
export type Tranche = z.output<typeof tranche>;
export type Change = z.output<typeof change>;
export type Share = z.output<typeof share>;
export type Expectation = z.output<typeof expectation>;
export type HolderExpectation = z.output<typeof holderExpectation>;
export type PayExpectation = z.output<typeof payExpectation>;
export type TokenTerms = NonNullable<Scenario["avss"][string]["token"]>;
export type PaidExpectation = z.output<typeof paidExpectation>;

// ---- what fits together

/** What is wrong with one tier: names that do not exist, sums and counts that the contracts refuse. */
export function checkTier(
  tierName: string,
  terms: TierTerms,
  avss: readonly string[],
  operators?: readonly string[],
): Problem[] {
  const problems: Problem[] = [];
  const say = (path: readonly (string | number)[], message: string, key?: string) =>
    problems.push(key === undefined ? { path, message } : { path, message, key });
  const path = ["tiers", tierName, "agents"];
  const agents = Object.entries(terms.agents);
  if (agents.length === 0) say(path, "A tier needs at least one agent.");
  if (agents.length > 8) say(path, "A tier has at most 8 agents.");
  const weights = agents.reduce((sum, [, value]) => sum + value.weight, 0);
  if (weights > 10_000) say(path, `The weights add up to ${weights / 100} %. Together they may be 100 % at most.`);
  const used = new Set<string>();
  for (const [operatorName, value] of agents) {
    const at = [...path, operatorName];
    if (operators !== undefined && !operators.includes(operatorName)) {
      say(path, unknownWord("operator", operatorName, operators), operatorName);
    }
    const sets = Object.entries(value.sets);
    if (sets.length > 8) say([...at, "sets"], "An agent works for at most 8 AVSs.");
    const sum = sets.reduce((total, [, wad]) => total + wad, 0n);
    if (sum > 10n ** 18n) {
      say([...at, "sets"], `Its parts add up to ${Number(sum / 10n ** 14n) / 100} %. An agent has 100 % to give.`);
    }
    for (const [avsName] of sets) {
      used.add(avsName);
      if (!avss.includes(avsName)) say([...at, "sets"], unknownWord("AVS", avsName, avss), avsName);
    }
  }
  if (used.size > 32) say(path, "A tier works for at most 32 AVSs.");
  return problems;
}

/** What the schema alone cannot see: names that do not exist, sums that are too large. */
export function crossCheck(scenario: Scenario): Problem[] {
  const problems: Problem[] = [];
  const say = (path: readonly (string | number)[], message: string, key?: string) =>
    problems.push(key === undefined ? { path, message } : { path, message, key });
  const tiers = Object.keys(scenario.tiers);
  const people = Object.keys(scenario.people);
  const known = (what: string, word: string, words: readonly string[], path: readonly (string | number)[]) => {
    if (!words.includes(word)) say(path, unknownWord(what, word, words));
  };

  for (const [avsName, value] of Object.entries(scenario.avss)) {
    const path = ["avss", avsName];
    if (value.contract === "hello world" && value["fault costs"] === undefined) {
      say(path, 'Its contract is "hello world". Add what a proven fault costs: fault costs: 50 %');
    }
    if (value.contract === "hello world" && value.token !== undefined) {
      say([...path, "token"], 'Only the contract "local" pays with a token of its own. Remove it.');
    }
    if (value.contract === "local" && value["fault costs"] !== undefined) {
      say([...path, "fault costs"], 'Only the contract "hello world" has provable faults. Remove it.');
    }
  }

  for (const [tierName, terms] of Object.entries(scenario.tiers)) {
    problems.push(...checkTier(tierName, terms, Object.keys(scenario.avss), Object.keys(scenario.operators)));
  }

  // what a story says can only be judged by definitions that are right
  if (problems.length > 0) return problems;
  const remembered = new Set<string>();
  scenario.story.forEach((one, i) => {
    one.steps.forEach((value, j) => {
      checkStep(value, ["story", i, "steps", j]);
    });
  });

  function checkStep(value: Step | PlainStep, path: readonly (string | number)[]): void {
    if ("refused" in value && value.refused) checkStep(value.refused.step, [...path, "refused", "step"]);
    const [verb, body] = Object.entries(value).find(([, part]) => part !== undefined) ?? [];
    if (verb === undefined) say(path, `The step is empty. Write one of ${oneOf(VERBS)}.`);
    if (verb === undefined || verb === "refused") return;
    const at = [...path, verb];
    const bare = ["unwind", "deleverage", "write off", "pause entries", "resume entries"];
    if (bare.includes(verb)) known("tier", body as string, tiers, at);
    if (verb === "show") known("tier", body as string, [...tiers, "all"], at);
    if (verb === "remember") remembered.add(body as string);
    if (typeof body !== "object" || body === null) return;
    const fields = body as Record<string, unknown>;
    const tierName = fields.tier;
    if (typeof tierName === "string") known("tier", tierName, tiers, [...at, "tier"]);
    for (const key of ["by", "who", "loses as much a share as"]) {
      const who = fields[key];
      if (typeof who === "string") known("person", who, people, [...at, key]);
    }
    if (typeof fields.since === "string") known("remembered moment", fields.since, [...remembered], [...at, "since"]);
    if (verb === "pay rewards")
      for (const one of fields.avs as string[]) known("AVS", one, Object.keys(scenario.avss), [...at, "avs"]);
    const terms = typeof tierName === "string" ? scenario.tiers[tierName] : undefined;
    if (!terms) return;
    const agents = Object.entries(terms.agents);
    const operatorName = fields.operator;
    if (typeof operatorName === "string") {
      const place = [...at, "operator"];
      known(
        `operator of ${tierName}`,
        operatorName,
        agents.map(([one]) => one),
        place,
      );
      const sets = Object.keys(terms.agents[operatorName]?.sets ?? {});
      const greets = sets.some((one) => scenario.avss[one]?.contract === "hello world");
      if ((verb === "greet" || verb === "prove") && operatorName in terms.agents && !greets) {
        say(place, `In ${tierName}, ${operatorName} works for no "hello world" AVS. Choose one that does.`);
      }
    }
    const avss = new Set(agents.flatMap(([, one]) => Object.keys(one.sets)));
    for (const key of ["avs", "quarantined"]) {
      const list = typeof fields[key] === "string" ? [fields[key]] : fields[key];
      if (!Array.isArray(list)) continue;
      for (const avsName of list as string[]) {
        known(`AVS in ${tierName}`, avsName, [...avss], [...at, key]);
        if (verb === "slash" && scenario.avss[avsName]?.contract === "hello world") {
          say([...at, key], `${avsName} slashes by proof alone. Use "greet" with a wrong answer, then "prove".`);
        }
        const sold = verb === "sell rewards" || verb === "buy rewards";
        if (sold && avsName in scenario.avss && !scenario.avss[avsName]?.token) {
          say([...at, key], `${avsName} pays in WETH, which goes in directly. Name one with a token of its own.`);
        }
      }
    }
  }
  return problems;
}
