/** What in a pulse asks for a look at the whole tier, and what changed around the sets that it is exposed to. Pure. */
import type { Remembered } from "../plan/types.ts";
import type { Pulse, SetState, TierState } from "../state/types.ts";

/** Reasons to read the tier's state now, in words; `surroundings` is their hash when the state was last read. */
export function attentionOf(
  pulse: Pulse,
  surroundings: string | undefined,
  now: number,
  pokeBefore: number,
): readonly string[] {
  const reasons: string[] = [];
  if (pulse.slashedAgents !== 0n) reasons.push("an agent was slashed");
  if (pulse.unwinding > 0) reasons.push(`${pulse.unwinding} links to quarantined sets are not unwound`);
  if (pulse.deleverageNeeded) reasons.push("it is not covered");
  if (pulse.changedSets !== 0n) reasons.push("a set has another slasher, or another one is announced");
  if (surroundings === undefined) reasons.push("it was not looked at yet");
  else if (surroundings !== pulse.surroundings) reasons.push("a registrar or the strategies of a set changed");
  if (pulse.freshUntil !== 0 && pulse.freshUntil <= now + pokeBefore) reasons.push("its sets are about to be stale");
  return reasons;
}

/** What must change before a tier that cannot be helped is looked at again. */
export const signatureOf = (pulse: Pulse): string =>
  [
    pulse.slashedAgents,
    pulse.unwinding,
    pulse.deleverageNeeded,
    pulse.changedSets,
    pulse.surroundings,
    pulse.freshUntil,
  ].join("|");

export interface Surroundings {
  /** Sets that were never seen before. */
  readonly first: readonly Remembered[];
  readonly changed: readonly { readonly now: Remembered; readonly text: string }[];
}

/** What is new around the sets that the tier is exposed to, against what is remembered. */
export function surroundingsOf(tier: TierState, known: readonly Remembered[]): Surroundings {
  const exposed = new Set(
    tier.agents.flatMap((agent) => agent.links.filter((link) => link.current > 0n).map((link) => link.set)),
  );
  const first: Remembered[] = [];
  const changed: { now: Remembered; text: string }[] = [];
  for (const set of tier.sets) {
    if (!exposed.has(set.index)) continue;
    const now = rememberedOf(tier.address, set);
    const before = known.find((one) => one.tier === tier.address && one.set === set.index);
    if (!before) first.push(now);
    else {
      const texts = differences(before, now);
      if (texts.length > 0) changed.push({ now, text: `Set ${set.index}: ${texts.join("; ")}.` });
    }
  }
  return { first, changed };
}

const rememberedOf = (tier: string, set: SetState): Remembered => ({
  tier,
  set: set.index,
  registrar: set.registrar,
  strategies: [...set.strategies].sort(),
});

function differences(before: Remembered, now: Remembered): readonly string[] {
  const texts: string[] = [];
  if (before.registrar.toLowerCase() !== now.registrar.toLowerCase())
    texts.push(`its registrar was ${before.registrar} and is ${now.registrar}`);
  const [old, current] = [lower(before.strategies), lower(now.strategies)];
  const added = now.strategies.filter((one) => !old.has(one.toLowerCase()));
  const removed = before.strategies.filter((one) => !current.has(one.toLowerCase()));
  if (added.length > 0) texts.push(`it has new strategies: ${added.join(", ")}`);
  if (removed.length > 0) texts.push(`it lost strategies: ${removed.join(", ")}`);
  return texts;
}

const lower = (addresses: readonly string[]): ReadonlySet<string> => new Set(addresses.map((one) => one.toLowerCase()));
