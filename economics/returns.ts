/**
 * What senior and junior earn in a year without a loss, by the contracts' own distribution and premium. Rates a year in
 * WAD, without compounding, rounded down.
 */
import { Exposure, Premium, WAD, Waterfall, YEAR } from "../model/index.ts";
import { deployed, type Size } from "./cover.ts";
import type { MandateTerms } from "./terms.ts";

/** What the tier earns before it is shared. */
export interface Market {
  /** Of staked ETH, net of the staking protocol's fee; WAD a year. */
  readonly stakingYield: bigint;
  /** Of restaked ETH with all allocations at their targets, before fees; WAD a year. */
  readonly avsRewards: bigint;
  /** Of AVS rewards, basis points. */
  readonly operatorFee: bigint;
  /** Of AVS rewards, basis points. */
  readonly protocolFee: bigint;
}

/** How the premium's base rate is found: given, or such that the junior earns what it asks for (both WAD a year). */
export type Pricing = { readonly baseRate: bigint } | { readonly juniorAsks: bigint };

/** One year without a loss. */
export interface Returns {
  readonly senior: bigint;
  readonly junior: bigint;
  /** What a whole tier earns, in parts of V. */
  readonly tier: bigint;
  /** What the senior gives of its return. */
  readonly premium: bigint;
  readonly baseRate: bigint;
  /** Whether half of the senior's yield was less than the premium due. */
  readonly capped: boolean;
  /** Whether the junior earns what it asks for; true where the base rate is given. */
  readonly satisfied: boolean;
}

/** Returns of a tier of this size as a function of the market and the price of protection. */
export function returnsOf(terms: MandateTerms, size: Size): (market: Market, pricing: Pricing) => Returns {
  const { staked, largest } = deployed(terms, size.value);
  const allocated = largest > 0n;
  const { senior, junior, reserve, value } = size;
  const u = Exposure.utilisation(largest, value, reserve + junior, terms.margin, terms.haircut);
  const rate = (gained: bigint, book: bigint) => (book === 0n ? 0n : (gained * WAD) / book);

  const at = (market: Market, baseRate: bigint): Returns => {
    const net = Exposure.Q - market.operatorFee - market.protocolFee;
    const rewards = allocated ? (staked * market.avsRewards * net) / (WAD * Exposure.Q) : 0n;
    const gains = (staked * market.stakingYield) / WAD + rewards;
    const due = Premium.due(baseRate, u, junior, senior, value, YEAR);
    const { books, premium } = Waterfall.distribute({ reserve, junior, senior, gains }, gains, due, false);
    return {
      senior: rate(books.senior - senior, senior),
      junior: rate(books.junior - junior, junior),
      tier: rate(gains, value),
      premium: rate(premium, senior),
      baseRate,
      capped: premium < due,
      satisfied: true,
    };
  };

  return (market, pricing) => {
    if ("baseRate" in pricing) return at(market, pricing.baseRate);
    const pays = (baseRate: bigint) => at(market, baseRate).junior >= pricing.juniorAsks;
    if (!pays(Premium.MAX_RATE)) return { ...at(market, Premium.MAX_RATE), satisfied: false };
    return at(market, smallest(Premium.MIN_RATE, Premium.MAX_RATE, pays));
  };
}

/** The smallest AVS reward (WAD a year, before fees) at which the senior earns what staking pays; none up to 100 %. */
export function breakEven(
  returns: (market: Market, pricing: Pricing) => Returns,
  market: Market,
  pricing: Pricing,
): bigint | undefined {
  const pays = (avsRewards: bigint) => returns({ ...market, avsRewards }, pricing).senior >= market.stakingYield;
  return pays(WAD) ? smallest(0n, WAD, pays) : undefined;
}

/** The smallest of low..high for which `holds`, which holds at `high` and stays true once it is. */
function smallest(low: bigint, high: bigint, holds: (value: bigint) => boolean): bigint {
  if (holds(low)) return low;
  let [fails, passes] = [low, high];
  while (passes - fails > 1n) {
    const middle = (fails + passes) / 2n;
    if (holds(middle)) passes = middle;
    else fails = middle;
  }
  return passes;
}
