/** Many simulated years of one tier: how senior and junior returns are spread, and how long it stays uncovered. */
import { WAD } from "../model/index.ts";
import type { Size } from "./cover.ts";
import { must } from "./must.ts";
import { type Random, randomStream } from "./random.ts";
import type { Market } from "./returns.ts";
import type { MandateTerms } from "./terms.ts";
import { type Conduct, Plan, SimulatedTier, type Slash } from "./tier.ts";

/** What slashes. Probabilities and parts in WAD. */
export interface Hazard {
  /** Chance in a year that one operator set slashes, where the set has none of its own. */
  readonly slashChance: bigint;
  /** A slash takes a part of the allocation, uniform between these two. */
  readonly leastPart: bigint;
  readonly mostPart: bigint;
  /** Chance that the other sets of the same group slash the same part on the same day. */
  readonly together: bigint;
  /** Chance, for each other group, that it slashes on the same day, a part of its own. */
  readonly spread: bigint;
}

/** One simulated year. Returns are those of a holder from the first day to the last, as fractions. */
export interface Year {
  readonly senior: number;
  readonly junior: number;
  /** Days on which a slash took something: a set that nothing is allocated to any more takes nothing. */
  readonly slashDays: number;
  /** Whether a loss reached the senior. */
  readonly seniorLost: boolean;
  /** Days that ended with U above 1 at b = 0: the k largest groups could have reached the senior. */
  readonly exposedDays: number;
  /** Days that ended with U above 1: entries, restaking and junior exits were closed. */
  readonly closedDays: number;
}

/** How a quantity is spread over the years. */
export interface Spread {
  readonly mean: number;
  readonly p5: number;
  readonly median: number;
  readonly p95: number;
  /** Mean of the worst twentieth. */
  readonly worstTwentieth: number;
  readonly least: number;
}

/** All years of a simulation. */
export interface Simulation {
  readonly seed: number;
  readonly paths: number;
  readonly days: number;
  readonly years: readonly Year[];
  readonly senior: Spread;
  readonly junior: Spread;
  /** What both earn in a year without a slash. */
  readonly quiet: { readonly senior: number; readonly junior: number };
  readonly slashYears: number;
  readonly slashDays: number;
  readonly seniorLoss: { readonly count: number; readonly low: number; readonly high: number };
  /** Days for each day with a slash. */
  readonly exposedAfterSlash: number;
  readonly closedAfterSlash: number;
  readonly longestExposed: number;
}

export interface SimulationOptions {
  readonly paths: number;
  readonly seed: number;
  readonly days: number;
  readonly conduct: Conduct;
  readonly baseRate: bigint;
}

/** Simulates `paths` years. The same seed and input give the same years. */
export function simulate(
  terms: MandateTerms,
  size: Size,
  market: Market,
  hazard: Hazard,
  options: SimulationOptions,
): Simulation {
  const { paths, seed, days } = options;
  const plan = new Plan(terms, size, market, options.baseRate, options.conduct);
  // years are the same until their first slash, so that part is simulated once
  const quiet: SimulatedTier[] = [SimulatedTier.full(plan, size)];
  const quietCounts = [{ exposed: 0, closed: 0 }];
  for (let day = 1; day <= days; day++) {
    const tier = must(quiet[day - 1], "day").clone();
    tier.advance();
    const before = must(quietCounts[day - 1], "day");
    quiet.push(tier);
    quietCounts.push({ exposed: before.exposed + Number(tier.exposed), closed: before.closed + Number(closed(tier)) });
  }
  const years: Year[] = [];
  for (let path = 0; path < paths; path++) {
    const slashes = drawSlashes(terms, plan.groupOf, hazard, days, randomStream(seed, path));
    const first = slashes.keys().next().value ?? days + 1;
    const tier = must(quiet[first - 1], "day").clone();
    let { exposed, closed: closedDays } = must(quietCounts[first - 1], "day");
    let seniorLost = false;
    let slashDays = 0;
    for (let day = first; day <= days; day++) {
      const { borne, lost } = tier.advance(slashes.get(day));
      slashDays += Number(lost > 0n);
      seniorLost ||= (borne?.senior ?? 0n) > 0n;
      exposed += Number(tier.exposed);
      closedDays += Number(closed(tier));
    }
    years.push({
      senior: fraction(tier.seniorRate - WAD),
      junior: fraction(tier.juniorRate - WAD),
      slashDays,
      seniorLost,
      exposedDays: exposed,
      closedDays,
    });
  }
  const last = must(quiet[days], "day");
  const slashDays = total(years.map((one) => one.slashDays));
  const seniorLosses = years.filter((one) => one.seniorLost).length;
  return {
    seed,
    paths,
    days,
    years,
    senior: spreadOf(years.map((one) => one.senior)),
    junior: spreadOf(years.map((one) => one.junior)),
    quiet: { senior: fraction(last.seniorRate - WAD), junior: fraction(last.juniorRate - WAD) },
    slashYears: years.filter((one) => one.slashDays > 0).length,
    slashDays,
    seniorLoss: { count: seniorLosses, ...wilson(seniorLosses, paths) },
    exposedAfterSlash: slashDays === 0 ? 0 : total(years.map((one) => one.exposedDays)) / slashDays,
    closedAfterSlash: slashDays === 0 ? 0 : total(years.map((one) => one.closedDays)) / slashDays,
    longestExposed: years.reduce((most, one) => Math.max(most, one.exposedDays), 0),
  };
}

/** The days on which something slashes, in order, and what. */
export function drawSlashes(
  terms: MandateTerms,
  groupOf: readonly number[],
  hazard: Hazard,
  days: number,
  random: Random,
): Map<number, Slash[]> {
  const found: { day: number; set: number }[] = [];
  terms.sets.forEach(({ slashChance }, set) => {
    for (const day of eventDays(Number(slashChance ?? hazard.slashChance) / 1e18, days, random))
      found.push({ day, set });
  });
  found.sort((a, b) => a.day - b.day || a.set - b.set);
  const byDay = new Map<number, Slash[]>();
  const part = () =>
    hazard.leastPart + ((hazard.mostPart - hazard.leastPart) * BigInt(Math.floor(random() * 1e9))) / 10n ** 9n;
  const happens = (chance: bigint) => random() < Number(chance) / 1e18;
  for (const { day, set } of found) {
    const list = byDay.get(day) ?? [];
    byDay.set(day, list);
    const add = (starter: number): void => {
      const size = part();
      groupOf.forEach((own, other) => {
        if (own !== groupOf[starter] || list.some((one) => one.set === other)) return;
        if (other === starter || happens(hazard.together)) list.push({ set: other, part: size });
      });
    };
    add(set);
    for (const other of new Set(groupOf)) {
      if (other !== groupOf[set] && happens(hazard.spread)) add(groupOf.indexOf(other));
    }
  }
  return byDay;
}

/** The days of 1..days on which something happens that has this chance (below 1) in a year. */
function eventDays(chanceAYear: number, days: number, random: Random): number[] {
  if (chanceAYear <= 0) return [];
  const list: number[] = [];
  // the wait until the next event is geometric
  const log = Math.log1p(-chanceAYear) / 365;
  for (let day = 0; ; ) {
    day += 1 + Math.floor(Math.log1p(-random()) / log);
    if (day > days) return list;
    list.push(day);
  }
}

/** Mean, percentiles (nearest rank) and the mean of the worst twentieth. */
export function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (part: number) => sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)] ?? 0;
  const worst = sorted.slice(0, Math.max(1, Math.floor(sorted.length / 20)));
  return {
    mean: total(sorted) / Math.max(1, sorted.length),
    p5: at(0.05),
    median: at(0.5),
    p95: at(0.95),
    worstTwentieth: total(worst) / Math.max(1, worst.length),
    least: sorted[0] ?? 0,
  };
}

/** Wilson's 95 % interval of a probability of which `count` in `of` was seen. */
export function wilson(count: number, of: number): { readonly low: number; readonly high: number } {
  if (of === 0) return { low: 0, high: 1 };
  const z = 1.959964;
  const seen = count / of;
  const scale = 1 + (z * z) / of;
  const centre = (seen + (z * z) / (2 * of)) / scale;
  const half = (z / scale) * Math.sqrt((seen * (1 - seen)) / of + (z * z) / (4 * of * of));
  return { low: count === 0 ? 0 : centre - half, high: count === of ? 1 : centre + half };
}

const closed = (tier: SimulatedTier): boolean => tier.utilisation > WAD;
const total = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0);
const fraction = (wad: bigint): number => Number(wad) / 1e18;
