/**
 * What a keeper should do now, and why: a function of the state of the chain and of the configuration alone. Protection
 * is planned on the head, routine on the final block; the actions of a tier go in their order: protection, money out,
 * money in. Carried out, it leaves nothing to do: the next plan of the same state is empty.
 */
import type { Config } from "../config/schema.ts";
import type { ChainState, TierState } from "../state/types.ts";
import { care, foreignClaims, refresh } from "./care.ts";
import { Draft } from "./draft.ts";
import { putIn } from "./entries.ts";
import { payOut } from "./exits.ts";
import { Forecast } from "./forecast.ts";
import { protect } from "./protection.ts";
import { type Settings, settingsOf } from "./settings.ts";
import type { Action, KeeperState, Plan, Withheld } from "./types.ts";

export function plan(state: KeeperState, config: Config): Plan {
  const settings = settingsOf(config, state.claims);
  const protection = new Map<string, Draft>();
  for (const tier of state.head.tiers) {
    const draft = new Draft(tier, "protection");
    protect(tier, state.head.block, state.remembered, draft);
    protection.set(tier.address.toLowerCase(), draft);
  }
  const routine: Draft[] = [];
  for (const tier of state.final?.tiers ?? [])
    routine.push(upkeep(tier, state.final, settings, state.head, protection.get(tier.address.toLowerCase())));
  const drafts = [...protection.values(), ...routine];
  const actions: Action[] = drafts.flatMap((draft) => draft.actions);
  const withheld: Withheld[] = drafts.flatMap((draft) => draft.withheld);
  if (state.final !== undefined) withheld.push(...foreignClaims(state.final.tiers, state.claims));
  return { actions, withheld };
}

function upkeep(
  tier: TierState,
  final: ChainState | undefined,
  settings: Settings,
  head: ChainState,
  protection: Draft | undefined,
): Draft {
  const draft = new Draft(tier, "routine", protection);
  if (final === undefined || !tier.readable) return draft;
  const forecast = new Forecast(tier, final.block);
  const closed = closedFor(tier, head, protection);
  refresh(forecast, settings, draft);
  payOut(forecast, settings, closed, draft);
  putIn(forecast, settings, closed, draft);
  care(forecast, settings, draft);
  return draft;
}

/** Why nothing may be put at risk, if that is so. Exits are served all the same. */
function closedFor(tier: TierState, head: ChainState, protection: Draft | undefined): string | undefined {
  const now = head.tiers.find(({ address }) => address.toLowerCase() === tier.address.toLowerCase());
  if (tier.entriesPaused || now?.entriesPaused) return "entries are paused";
  if (now && !now.readable) return "the tier cannot be read at the head";
  if (protection && protection.actions.length > 0) return "protection comes first";
  return undefined;
}
