/** The curator's calculation: what a mandate needs, earns, risks, and what speaks against it. Pure; runs in a browser. */
import { Exposure, Premium, WAD } from "../model/index.ts";
import { subtract } from "../model/integer.ts";
import { type Deployed, deployed, type Size, sizeForSenior, sizeForTotal, utilisationOf } from "./cover.ts";
import { judge, type Refusal } from "./judgement.ts";
import { type Recovery, recoveries } from "./recovery.ts";
import { breakEven, type Market, type Pricing, type Returns, returnsOf } from "./returns.ts";
import { type Hazard, type Simulation, simulate } from "./simulation.ts";
import type { MandateTerms } from "./terms.ts";

/** What the calculation takes for granted. Rates and parts in WAD, amounts in wei. */
export interface Assumptions {
  readonly amount: { readonly senior: bigint } | { readonly total: bigint };
  /** The mandate's seed where absent. */
  readonly reserve?: bigint | undefined;
  /** Where senior and junior settle; the premium's base rate rests at 90 %. */
  readonly utilisation: bigint;
  readonly market: Market;
  readonly pricing: Pricing;
  readonly hazard: Hazard;
  /** Days after a loss until new junior money fills the tier up; never where absent. */
  readonly refillDays?: number | undefined;
  readonly paths: number;
  readonly days: number;
  readonly randomSeed: number;
}

const percent = (x: number): bigint => BigInt(Math.round(x * 100)) * 10n ** 14n;

/** What is assumed where nobody says otherwise; docs/MANDATES.md says where each figure comes from. */
export const DEFAULTS: Assumptions = {
  amount: { total: 10_000n * WAD },
  utilisation: Premium.TARGET,
  market: { stakingYield: percent(2.8), avsRewards: percent(1), operatorFee: 1000n, protocolFee: 0n },
  pricing: { baseRate: Premium.START_RATE },
  hazard: { slashChance: percent(1), leastPart: percent(10), mostPart: WAD, together: WAD, spread: 0n },
  paths: 2000,
  days: 365,
  randomSeed: 1,
};

/** One slasher group of the mandate. */
export interface GroupShare {
  readonly name: string;
  readonly sets: readonly string[];
  /** Wei that it could take, rounded up. */
  readonly takes: bigint;
  /** Of V, WAD. */
  readonly share: bigint;
  /** One of the k largest. */
  readonly worst: boolean;
}

/** Returns at one level of AVS rewards. */
export interface Row {
  readonly avsRewards: bigint;
  readonly senior: bigint;
  readonly junior: bigint;
}

/** Everything about one mandate. */
export interface Calculation {
  readonly terms: MandateTerms;
  readonly assumptions: Assumptions;
  /** The tier with the least junior that the gate lets pass. */
  readonly least: Size;
  /** The tier at the assumed utilisation; all that follows is about it. */
  readonly size: Size;
  readonly utilisation: bigint;
  /** V per ETH of junior, WAD. */
  readonly leverage: bigint;
  /** Senior money that could still enter in one deposit, wei. */
  readonly room: bigint;
  /** The groups, the largest first. */
  readonly groups: readonly GroupShare[];
  /** What the k largest could take together, wei and part of V. */
  readonly worst: { readonly takes: bigint; readonly share: bigint };
  readonly returns: Returns;
  readonly breakEven: bigint | undefined;
  readonly table: readonly Row[];
  readonly recoveries: readonly Recovery[];
  readonly simulation: Simulation | undefined;
  readonly refusals: readonly Refusal[];
}

/** Computes all of it; `paths` 0 leaves the simulation out. Throws `Uncoverable` where no junior is enough. */
export function calculate(terms: MandateTerms, assumptions: Assumptions = DEFAULTS): Calculation {
  const { amount, utilisation, market, pricing, hazard, paths, days, randomSeed } = assumptions;
  const reserve = assumptions.reserve ?? terms.seed;
  const sized = (u: bigint) =>
    "senior" in amount
      ? sizeForSenior(terms, amount.senior, reserve, u)
      : sizeForTotal(terms, amount.total, reserve, u);
  const least = sized(WAD);
  const size = sized(utilisation);
  const at = deployed(terms, size.value);
  const returns = returnsOf(terms, size);
  const now = returns(market, pricing);
  const even = breakEven(returns, market, pricing);
  const conduct = assumptions.refillDays === undefined ? {} : { refill: { days: assumptions.refillDays, utilisation } };
  const options = { paths, seed: randomSeed, days, conduct, baseRate: now.baseRate };
  return {
    terms,
    assumptions,
    least,
    size,
    utilisation: utilisationOf(terms, size),
    leverage: size.junior === 0n ? 0n : (size.value * WAD) / size.junior,
    room: seniorRoom(terms, size),
    groups: groupShares(at, size.value),
    worst: { takes: wei(at.largest), share: share(at.largest, size.value) },
    returns: now,
    breakEven: even,
    table: [0, 0.5, 1, 1.5, 2, 3].map((x): Row => {
      const { senior, junior } = returns({ ...market, avsRewards: percent(x) }, pricing);
      return { avsRewards: percent(x), senior, junior };
    }),
    recoveries: recoveries(terms, size, market, now.baseRate),
    simulation: paths === 0 ? undefined : simulate(terms, size, market, hazard, options),
    refusals: judge(terms, size, { senior: now.senior, staking: market.stakingYield, breakEven: even }),
  };
}

/** The largest senior deposit that a fully restaked tier of this size takes (SPEC 4.5), wei. */
export function seniorRoom(terms: MandateTerms, size: Size): bigint {
  const { exposure, groups, staked } = deployed(terms, size.value);
  const groupOf = new Map(groups.flatMap(({ sets }, i) => sets.map((set) => [set, i] as const)));
  const rho = groups.map(() => 0n);
  for (const { weight, targets } of terms.agents) {
    for (const { set, magnitude } of targets) {
      const group = groupOf.get(set) ?? 0;
      rho[group] = (rho[group] ?? 0n) + weight * Exposure.fraction(magnitude, WAD);
    }
  }
  const buffer = (size.value * terms.buffer) / Exposure.Q;
  const line = Exposure.seniorLine({
    exposure,
    rho,
    extraExposure: 0n,
    extraRho: 0n,
    idleToDeploy: subtract(size.value - staked, buffer),
    v: size.value,
    b: terms.margin,
    h: terms.haircut,
  });
  const cover = Exposure.budget(size.reserve + size.junior);
  return Exposure.limit(line, terms.k, cover, subtract(terms.cap, size.value));
}

function groupShares(at: Deployed, value: bigint): readonly GroupShare[] {
  const worst = new Set(at.worst);
  return at.groups
    .map(({ name, sets }, i) => {
      const exposure = at.exposure[i] ?? 0n;
      return { name, sets, takes: wei(exposure), share: share(exposure, value), worst: worst.has(i) };
    })
    .sort((a, b) => (a.takes < b.takes ? 1 : a.takes > b.takes ? -1 : 0));
}

const wei = (exposure: bigint): bigint => (exposure + Exposure.P - 1n) / Exposure.P;
const share = (exposure: bigint, value: bigint): bigint =>
  value === 0n ? 0n : (exposure * WAD) / (Exposure.P * value);
