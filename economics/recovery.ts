/** What follows when one slasher group takes everything that it could take: who pays, and how long cover is missing. */
import { WAD } from "../model/index.ts";
import type { Size } from "./cover.ts";
import { must } from "./must.ts";
import type { Market } from "./returns.ts";
import { type MandateTerms, slasherGroups } from "./terms.ts";
import { Plan, SimulatedTier } from "./tier.ts";

/** After a slash of one group's whole allocation. Amounts in wei. */
export interface Recovery {
  readonly group: string;
  readonly loss: bigint;
  readonly gains: bigint;
  readonly reserve: bigint;
  readonly junior: bigint;
  readonly senior: bigint;
  /** U on the evening of the slash, WAD. */
  readonly utilisation: bigint;
  /** Days with U above 1 at b = 0: another slash of the k largest groups could reach the senior. */
  readonly exposedDays: number;
  /** Days until U is at most 1 without new junior money; none where a year is not enough. */
  readonly closedDays: number | undefined;
  /** Junior money that would close the gap on the evening of the slash. */
  readonly missing: bigint;
}

const LONGEST = 365;

/** A slash of each group on the first day, with keepers who act on that day. */
export function recoveries(terms: MandateTerms, size: Size, market: Market, baseRate: bigint): readonly Recovery[] {
  const plan = new Plan(terms, size, market, baseRate, {});
  const start = SimulatedTier.full(plan, size);
  return slasherGroups(terms).map(({ name }, group): Recovery => {
    const tier = start.clone();
    const sets = plan.groupOf.flatMap((own, set) => (own === group ? [set] : []));
    const slashes = sets.map((set) => ({ set, part: WAD }));
    // without the day's yield, which would soften the blow a little
    const { lost, borne } = tier.advance(slashes, false);
    const [utilisation, missing] = [tier.utilisation, tier.missing];
    let exposedDays = 0;
    let closedDays: number | undefined = 0;
    while (tier.utilisation > WAD || tier.exposed) {
      if (tier.exposed) exposedDays += 1;
      closedDays += 1;
      if (closedDays === LONGEST) {
        closedDays = undefined;
        break;
      }
      tier.advance();
    }
    const fell = borne ?? { gains: 0n, reserve: 0n, junior: 0n, senior: 0n };
    return {
      group: must(name, "name"),
      loss: lost,
      gains: fell.gains,
      reserve: fell.reserve,
      junior: fell.junior,
      senior: fell.senior,
      utilisation,
      exposedDays,
      closedDays,
      missing,
    };
  });
}
