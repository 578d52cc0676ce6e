/** Why a mandate should not be proposed, in a sentence each. Each reason can be accepted by its name. */
import { Exposure, WAD } from "../model/index.ts";
import { ceilDiv, sum } from "../model/integer.ts";
import { deployed, type Size } from "./cover.ts";
import type { MandateTerms } from "./terms.ts";
import { largestGroups, percent } from "./words.ts";

/** The reasons, by the option that accepts them. */
export const REASONS = {
  "accept-concentration": "the k largest groups together hold more than 12.5 % of the tier",
  "accept-large-groups": "groups of 25 % or more at k = 2, of 15 % or more at k = 3 and above",
  "accept-few-groups": "fewer slasher groups than k and the allocations ask for",
  "accept-expensive-cover": "the senior earns less than plain staking pays",
  "accept-no-margin": "b is 0",
  "accept-no-haircut": "h is 0",
} as const;

export type Reason = keyof typeof REASONS;

/** A reason against the mandate. */
export interface Refusal {
  readonly reason: Reason;
  readonly sentence: string;
}

/** k times the share of a group, above which cover is too expensive to sell. */
export const MOST_CONCENTRATED = WAD / 8n;

/** Everything that speaks against the mandate, at this size and these returns. */
export function judge(
  terms: MandateTerms,
  size: Size,
  outcome: { readonly senior: bigint; readonly staking: bigint; readonly breakEven: bigint | undefined },
): readonly Refusal[] {
  const { k } = terms;
  const { exposure, largest, worst, groups } = deployed(terms, size.value);
  const part = (wei: bigint) => (size.value === 0n ? 0n : (wei * WAD) / (Exposure.P * size.value));
  const refusals: Refusal[] = [];
  const refuse = (reason: Reason, sentence: string) => refusals.push({ reason, sentence });

  const biggest = part(exposure[worst[0] ?? 0] ?? 0n);
  const name = groups[worst[0] ?? 0]?.name ?? "no group";
  const bound = k === 1 ? undefined : k === 2 ? WAD / 4n : (WAD * 15n) / 100n;
  if (bound !== undefined && biggest >= bound) {
    refuse(
      "accept-large-groups",
      `${name} could take ${percent(biggest)} of the tier: at k = ${k} a group should stay below ${percent(bound)}, ` +
        "because the junior for it costs more than the seniors earn.",
    );
  }
  const together = part(largest);
  if (together > MOST_CONCENTRATED) {
    refuse(
      "accept-concentration",
      `${sentence(largestGroups(k))} could take ${percent(together)} of the tier; above ` +
        `${percent(MOST_CONCENTRATED)} the cover costs more than most AVS rewards bring.`,
    );
  }
  const active = exposure.filter((one) => one > 0n).length;
  const all = part(sum(exposure));
  const needed = Number(ceilDiv(BigInt(k) * all, MOST_CONCENTRATED));
  if (all > 0n && active < needed) {
    refuse(
      "accept-few-groups",
      `${active} slasher group${active === 1 ? "" : "s"} hold${active === 1 ? "s" : ""} ${percent(all)} of the tier; ` +
        `with k = ${k} that takes at least ${needed} of equal size. Use other sets on other agents, or allocate less.`,
    );
  }
  if (outcome.senior < outcome.staking && size.senior > 0n) {
    const even = outcome.breakEven;
    refuse(
      "accept-expensive-cover",
      `The senior earns ${percent(outcome.senior)} a year where plain staking pays ${percent(outcome.staking)}; ` +
        (even === undefined
          ? "no AVS reward up to 100 % makes up for it."
          : `it takes AVS rewards of ${percent(even)} to break even.`),
    );
  }
  if (terms.margin === 0n) {
    refuse(
      "accept-no-margin",
      "The margin b is 0: nothing is left for rounding, and for what the staking token earns before a slash (SPEC 9).",
    );
  }
  if (terms.haircut === 0n) {
    refuse("accept-no-haircut", "The haircut h is 0: a loss of the staking token itself is not covered at all.");
  }
  return refusals;
}

const sentence = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
