/** A mandate as the calculation sees it: no files, no chain. Magnitudes in WAD, margins and weights in basis points. */
import { must } from "./must.ts";

/** An operator set of the mandate. Its name is "AVS" or "AVS/id": sets of one AVS are one slasher group. */
export interface SetTerms {
  readonly name: string;
  readonly category?: string;
  /** Sets with the same slasher are one slasher group. */
  readonly slasher?: string;
  readonly redistributing?: boolean;
  readonly vetoBlocks?: number;
  /** Chance in a year that this set slashes, WAD; where it is absent, the assumptions say. */
  readonly slashChance?: bigint;
}

/** What an agent allocates to one set. */
export interface Target {
  readonly set: string;
  /** WAD of the agent's stake. */
  readonly magnitude: bigint;
}

/** An agent's part of the mandate. */
export interface AgentTerms {
  readonly name: string;
  /** Basis points of what is restaked. */
  readonly weight: bigint;
  readonly targets: readonly Target[];
}

/** A proposed mandate. */
export interface MandateTerms {
  readonly name: string;
  readonly k: number;
  readonly margin: bigint;
  readonly haircut: bigint;
  readonly buffer: bigint;
  readonly instantFee: bigint;
  readonly quarantine: bigint;
  /** Wei. */
  readonly cap: bigint;
  /** Wei of reserve that can never leave. */
  readonly seed: bigint;
  /** Seconds that riskier terms wait. */
  readonly delay: number;
  readonly sets: readonly SetTerms[];
  readonly agents: readonly AgentTerms[];
  /** Sets that the curator has merged, beyond equal AVS and equal slasher. */
  readonly merged: readonly (readonly string[])[];
}

/** Sets that one will could slash. */
export interface SlasherGroup {
  readonly name: string;
  readonly sets: readonly string[];
}

/** The AVS in a set's name. */
export const avsOf = (set: string): string => set.split("/")[0] ?? set;

/** Joins sets, transitively, by equal AVS, equal slasher and the curator's merges (SPEC section 1), in the order of the sets. */
export function slasherGroups(terms: Pick<MandateTerms, "sets" | "merged">): readonly SlasherGroup[] {
  const parent = new Map<string, string>(terms.sets.map(({ name }) => [name, name]));
  const root = (name: string): string => {
    const above = must(parent.get(name), `operator set "${name}" in the mandate`);
    return above === name ? name : root(above);
  };
  const order = new Map(terms.sets.map(({ name }, i) => [name, i]));
  const join = (a: string, b: string): void => {
    const [first, second] = [root(a), root(b)].sort((x, y) => (order.get(x) ?? 0) - (order.get(y) ?? 0));
    if (first !== undefined && second !== undefined) parent.set(second, first);
  };
  const firstWith = new Map<string, string>();
  for (const { name, slasher } of terms.sets) {
    for (const key of [`AVS ${avsOf(name)}`, ...(slasher === undefined ? [] : [`slasher ${slasher}`])]) {
      const other = firstWith.get(key);
      if (other === undefined) firstWith.set(key, name);
      else join(other, name);
    }
  }
  for (const [first, ...others] of terms.merged) {
    for (const other of others) if (first !== undefined) join(first, other);
  }
  const members = new Map<string, string[]>();
  for (const { name } of terms.sets) members.set(root(name), [...(members.get(root(name)) ?? []), name]);
  return [...members.entries()].map(([first, sets]) => ({
    name: sets.length === 1 ? first : `${first} +${sets.length - 1}`,
    sets,
  }));
}
