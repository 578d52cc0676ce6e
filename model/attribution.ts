/**
 * Mirror of `contracts/libraries/Attribution.sol`: which operator set took how much of an agent's magnitude.
 */
import { subtract, sum } from "./integer.ts";

/** What is known of one (agent, set): magnitudes recorded and read now, and a decrease that was pending. */
export interface Item {
  /** Current magnitude when it was last recorded. */
  readonly before: bigint;
  /** Size of the decrease that was pending then; 0 for none. */
  readonly pending: bigint;
  /** Block from which that decrease counts. */
  readonly effectBlock: bigint;
  /** Whether the set's slash count has changed since. */
  readonly slashed: boolean;
  /** Current magnitude now. */
  readonly afterwards: bigint;
  /** Whether the maximum magnitude at block effectBlock - 1 was still the recorded one. */
  readonly calmBeforeEffect: boolean;
}

/**
 * Splits the fall of an agent's maximum magnitude among its slashed sets; sums to it exactly where any is slashed.
 * `estimated` where several sets are ambiguous or the figures contradict each other. Refuses nothing.
 */
export function attribute(
  items: readonly Item[],
  maxBefore: bigint,
  maxAfter: bigint,
  blockNumber: bigint,
): { readonly taken: bigint[]; readonly estimated: boolean } {
  const fall = subtract(maxBefore, maxAfter);
  // null: ambiguous
  const known = items.map((item): bigint | null => {
    if (!item.slashed) return 0n;
    if (item.pending === 0n || blockNumber < item.effectBlock) return subtract(item.before, item.afterwards);
    if (item.calmBeforeEffect) return subtract(subtract(item.before, item.pending), item.afterwards);
    return null;
  });
  const taken = known.map((value) => value ?? 0n);
  if (!items.some((item) => item.slashed)) return { taken, estimated: fall !== 0n };
  const exact = sum(taken);
  if (exact > fall) return { taken: share(fall, taken), estimated: true };
  if (exact === fall) return { taken, estimated: false };
  const ambiguous = known.filter((value) => value === null).length;
  const shares = items.map((item, i) => (ambiguous === 0 ? item.slashed : known[i] === null));
  const weights = items.map((item, i) => (shares[i] ? item.before : 0n));
  const equal = shares.map((yes) => (yes ? 1n : 0n));
  const parts = share(fall - exact, sum(weights) === 0n ? equal : weights);
  return { taken: taken.map((value, i) => value + (parts[i] ?? 0n)), estimated: ambiguous !== 1 };
}

/** amount·weight/Σ weights: differences of the floored cumulative sum, so that the parts add up to `amount`. */
function share(amount: bigint, weights: readonly bigint[]): bigint[] {
  const total = sum(weights);
  let cumulative = 0n;
  let given = 0n;
  return weights.map((weight) => {
    cumulative += weight;
    const upTo = (amount * cumulative) / total;
    const part = upTo - given;
    given = upTo;
    return part;
  });
}
