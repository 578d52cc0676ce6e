/**
 * How much junior a mandate needs. The tier is taken as its mandate wants it: all but the buffer restaked by the
 * weights, every allocation at its target, nobody leaving, no gains waiting to vest.
 */
import { Exposure, WAD } from "../model/index.ts";
import { ceilDiv, subtract, sum } from "../model/integer.ts";
import { type MandateTerms, type SlasherGroup, slasherGroups } from "./terms.ts";
import { largestGroups } from "./words.ts";

/** What a tier of one value looks like. Wei, but exposures in wei·P. */
export interface Deployed {
  readonly groups: readonly SlasherGroup[];
  readonly stakes: readonly bigint[];
  readonly staked: bigint;
  /** E_a of each group. */
  readonly exposure: readonly bigint[];
  /** L_k. */
  readonly largest: bigint;
  /** Indexes of the k largest groups, the largest first. */
  readonly worst: readonly number[];
}

/** The books of a tier without unvested gains, wei. */
export interface Size {
  readonly value: bigint;
  readonly senior: bigint;
  readonly junior: bigint;
  readonly reserve: bigint;
}

/** A mandate for which no amount of junior is enough. */
export class Uncoverable extends Error {
  override readonly name = "Uncoverable";
}

/** SPEC 4.1 and 4.2 for the targets: A_i = stake + 2 wei, e_ij = ceil(target·P/WAD). */
export function deployed(terms: MandateTerms, value: bigint): Deployed {
  const groups = slasherGroups(terms);
  const groupOf = new Map(groups.flatMap(({ sets }, i) => sets.map((set) => [set, i] as const)));
  const restaked = value - (value * terms.buffer) / Exposure.Q;
  const stakes = terms.agents.map(({ weight }) => (restaked * weight) / Exposure.Q);
  const exposure = groups.map(() => 0n);
  terms.agents.forEach(({ targets }, i) => {
    for (const { set, magnitude } of targets) {
      const group = groupOf.get(set);
      if (group === undefined) throw new RangeError(`The mandate allocates to "${set}" and does not name it as a set.`);
      const slashable = (stakes[i] ?? 0n) + 2n;
      exposure[group] = (exposure[group] ?? 0n) + slashable * Exposure.fraction(magnitude, WAD);
    }
  });
  const top = Exposure.largest(exposure, terms.k);
  const worst = exposure
    .map((_, i) => i)
    .filter((i) => (top.mask >> BigInt(i)) & 1n)
    .sort(
      (a, b) => Number((exposure[b] ?? 0n) > (exposure[a] ?? 0n)) - Number((exposure[b] ?? 0n) < (exposure[a] ?? 0n)),
    );
  return { groups, stakes, staked: sum(stakes), exposure, largest: top.sum, worst };
}

/** U of these books under this mandate, WAD, rounded up. */
export function utilisationOf(terms: MandateTerms, size: Size): bigint {
  const { largest } = deployed(terms, size.value);
  return Exposure.utilisation(largest, size.value, size.reserve + size.junior, terms.margin, terms.haircut);
}

/** The least cover of a tier worth `value` with U at most `utilisation` (WAD); with WAD it is the gate's, to the wei. */
export function neededCover(terms: MandateTerms, value: bigint, utilisation = WAD): bigint {
  const needed = Exposure.need(deployed(terms, value).largest, value, terms.margin, terms.haircut);
  return ceilDiv(needed * WAD, Exposure.budget(1n) * utilisation);
}

/** The books of a tier worth `total` with the least junior. Throws `Uncoverable` where the cover exceeds the total. */
export function sizeForTotal(terms: MandateTerms, total: bigint, reserve: bigint, utilisation = WAD): Size {
  const junior = subtract(neededCover(terms, total, utilisation), reserve);
  if (junior + reserve > total) throw new Uncoverable(uncoverable(terms));
  return { value: total, senior: total - reserve - junior, junior, reserve };
}

/** The books of a tier with so much senior and the least junior. Throws `Uncoverable` where no junior is enough. */
export function sizeForSenior(terms: MandateTerms, senior: bigint, reserve: bigint, utilisation = WAD): Size {
  const fits = (junior: bigint) => neededCover(terms, senior + reserve + junior, utilisation) <= reserve + junior;
  const size = (junior: bigint): Size => ({ value: senior + reserve + junior, senior, junior, reserve });
  if (fits(0n)) return size(0n);
  let [low, high] = [0n, senior + WAD];
  while (!fits(high)) {
    // more junior makes the tier larger, and with it what the groups could take
    if (high > 10n ** 12n * WAD) throw new Uncoverable(uncoverable(terms));
    [low, high] = [high, 2n * high];
  }
  while (high - low > 1n) {
    const middle = (low + high) / 2n;
    if (fits(middle)) high = middle;
    else low = middle;
  }
  return size(high);
}

/** The junior that brings U down to `utilisation`, deposited now into idle; wei, 0 where it is there already. */
export function missingJunior(
  terms: MandateTerms,
  largest: bigint,
  value: bigint,
  cover: bigint,
  utilisation = WAD,
): bigint {
  const { P, Q } = Exposure;
  const lacking =
    Exposure.need(largest, value, terms.margin, terms.haircut) * WAD - Exposure.budget(cover) * utilisation;
  const each = Exposure.budget(1n) * utilisation - (Q + terms.margin) * terms.haircut * P * Q * WAD;
  return lacking <= 0n || each <= 0n ? 0n : ceilDiv(lacking, each);
}

const uncoverable = ({ k, name }: MandateTerms): string =>
  `${name}: ${largestGroups(k)} could take so much that no junior is enough. ` +
  "Lower the target magnitudes, spread the sets over more agents, or lower k.";
