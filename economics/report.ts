/** The calculation for programs: amounts in wei as decimal strings, rates and parts as fractions. */
import type { Books, DeployedTier } from "./chain.ts";
import { type Calculation, compare } from "./index.ts";

const part = (wad: bigint): number => Number(wad) / 1e18;

/** One tier; `now` is the mandate in force where there is one to compare with. */
export function toJson(
  one: Calculation,
  now: Calculation | undefined,
  deployed: DeployedTier | undefined,
  accepted: ReadonlySet<string>,
): unknown {
  const { market, hazard, pricing, utilisation, paths, days, randomSeed, refillDays } = one.assumptions;
  const { simulation } = one;
  return plain({
    tier: one.terms.name,
    k: one.terms.k,
    ...(deployed ? { chain: booksOf(deployed.books) } : {}),
    needed: {
      leastJunior: one.least.junior,
      leastJuniorPart: ratio(one.least.junior, one.least.value),
      least: one.least,
    },
    settled: {
      ...one.size,
      utilisation: part(one.utilisation),
      juniorPart: ratio(one.size.junior, one.size.value),
      leverage: part(one.leverage),
      seniorRoom: one.room,
    },
    worst: {
      groups: one.groups.filter((group) => group.worst).map((group) => group.name),
      takes: one.worst.takes,
      part: part(one.worst.share),
    },
    groups: one.groups.map(({ share, ...group }) => ({ ...group, part: part(share) })),
    returns: {
      senior: part(one.returns.senior),
      junior: part(one.returns.junior),
      premium: part(one.returns.premium),
      baseRate: part(one.returns.baseRate),
      premiumCapped: one.returns.capped,
      juniorSatisfied: one.returns.satisfied,
      breakEven: one.breakEven === undefined ? null : part(one.breakEven),
      atRewards: one.table.map((row) => ({
        avsRewards: part(row.avsRewards),
        senior: part(row.senior),
        junior: part(row.junior),
      })),
    },
    slashes: one.recoveries.map(({ utilisation: u, closedDays, ...rest }) => ({
      ...rest,
      utilisation: part(u),
      closedDays: closedDays ?? null,
    })),
    simulation:
      simulation === undefined
        ? null
        : {
            ...simulation,
            years: simulation.years.map((year) => [
              year.senior,
              year.junior,
              year.slashDays,
              year.exposedDays,
              year.closedDays,
            ]),
            yearColumns: ["senior", "junior", "slashDays", "exposedDays", "closedDays"],
          },
    against:
      now === undefined
        ? null
        : {
            tier: now.terms.name,
            changes: compare(now.terms, one.terms),
            leastJunior: now.least.junior,
            worstPart: part(now.worst.share),
            senior: part(now.returns.senior),
            junior: part(now.returns.junior),
          },
    assumed: {
      stakingYield: part(market.stakingYield),
      avsRewards: part(market.avsRewards),
      operatorFee: Number(market.operatorFee) / 10_000,
      protocolFee: Number(market.protocolFee) / 10_000,
      utilisation: part(utilisation),
      ...("baseRate" in pricing ? { baseRate: part(pricing.baseRate) } : { juniorAsks: part(pricing.juniorAsks) }),
      slashChance: part(hazard.slashChance),
      slashTakes: [part(hazard.leastPart), part(hazard.mostPart)],
      slashTogether: part(hazard.together),
      slashSpreads: part(hazard.spread),
      juniorReturnsAfterDays: refillDays ?? null,
      paths,
      days,
      randomSeed,
    },
    refusals: one.refusals.map((refusal) => ({ ...refusal, accepted: accepted.has(refusal.reason) })),
  });
}

const booksOf = (books: Books): unknown => ({
  ...books,
  largest: books.largest / 10n ** 9n,
  utilisation: part(books.utilisation),
});

const ratio = (x: bigint, whole: bigint): number => (whole === 0n ? 0 : part((x * 10n ** 18n) / whole));

/** Wei as decimal strings, because JSON's numbers are too coarse for them. */
function plain(value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, plain(one)]));
}
