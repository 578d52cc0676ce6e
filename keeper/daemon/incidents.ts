/** Which tiers an event of EigenLayer is about, and what it means in words. Pure. */
import type { Incident } from "../chain/events.ts";
import { percent } from "../plan/words.ts";
import type { TierState } from "../state/types.ts";

export interface Concern {
  readonly tier: TierState;
  readonly text: string;
}

/** The tiers that have the agent or the set, as they were last read. */
export function concerning(incident: Incident, tiers: Iterable<TierState>): readonly Concern[] {
  const concerns: Concern[] = [];
  for (const tier of tiers) {
    const text = incident.kind === "slashed" ? slashed(incident, tier) : changed(incident, tier);
    if (text !== undefined) concerns.push({ tier, text });
  }
  return concerns;
}

function slashed(incident: Extract<Incident, { kind: "slashed" }>, tier: TierState): string | undefined {
  const agent = tier.agents.find(({ account }) => same(account, incident.operator));
  if (!agent) return undefined;
  const set = tier.sets.find((one) => same(one.avs, incident.avs) && one.id === incident.set);
  const who = set ? `set ${set.index}` : `set ${incident.set} of ${incident.avs}, which the tier does not know,`;
  const taken = incident.taken.map(({ wad }) => percent(wad)).join(", ");
  return `Agent ${agent.index} is slashed by ${who}, which takes ${taken} of its stake.`;
}

function changed(incident: Exclude<Incident, { kind: "slashed" }>, tier: TierState): string | undefined {
  const sets = tier.sets.filter(
    (set) => same(set.avs, incident.avs) && (incident.kind === "registrar" || set.id === incident.set),
  );
  if (sets.length === 0) return undefined;
  const which = sets.map((set) => `set ${set.index}`).join(", ");
  switch (incident.kind) {
    case "slasher":
      return `The slasher of ${which} becomes ${incident.slasher} at block ${incident.effectBlock}.`;
    case "registrar":
      return `The registrar of ${which} becomes ${incident.registrar}.`;
    case "strategy":
      return `The strategy ${incident.strategy} joins ${which}.`;
  }
}

const same = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase();
