/** What keeps a tier in order: looking at sets in time, EigenLayer's bookkeeping, rewards, reviews, new series. */
import type { TierState } from "../state/types.ts";
import { calls } from "./calls.ts";
import type { Draft } from "./draft.ts";
import { type Forecast, FRESHNESS } from "./forecast.ts";
import type { Settings } from "./settings.ts";
import type { RewardsClaim, Withheld } from "./types.ts";
import { count, duration, eth, list } from "./words.ts";

const NOBODY = "0x0000000000000000000000000000000000000000";
/** Rewards in WETH, or in a token whose price nobody here knows, below this are dust. */
const LEAST_REWARD = 10n ** 15n;

/** Before money moves: what the tier does not know yet makes its limits too low. */
export function refresh(forecast: Forecast, settings: Settings, draft: Draft): void {
  const { tier, block } = forecast;
  const ended = new Map<number, number[]>();
  const used = new Set<number>();
  for (const { agent, links } of forecast.agents)
    for (const { over, state, set } of links) {
      if (state.current > 0n || (state.target > 0n && !set.quarantined && !set.unapproved)) used.add(set.index);
      if (over) ended.set(set.index, [...(ended.get(set.index) ?? []), agent.index]);
    }
  for (const [set, agents] of ended)
    draft.act(
      "poke",
      `set ${set}`,
      `a decrease of agent${agents.length === 1 ? "" : "s"} ${list(agents)} has taken effect: until somebody looks, set ${set} ` +
        "counts at its old size",
      calls.poke(tier, set),
    );
  for (const { index, seenAt } of tier.sets) {
    if (!used.has(index) || ended.has(index)) continue;
    const left = seenAt + FRESHNESS - block.timestamp;
    if (left > settings.pokeBefore) continue;
    draft.act(
      "poke",
      `set ${index}`,
      `set ${index} was last looked at ${duration(block.timestamp - seenAt)} ago and is stale in ${duration(Math.max(left, 0))}`,
      calls.poke(tier, index),
    );
  }
}

/** After money has moved. */
export function care(forecast: Forecast, settings: Settings, draft: Draft): void {
  const { tier, block } = forecast;
  clearQueues(forecast, draft);
  for (const claim of settings.claims) harvest(tier, claim, draft);
  for (const { index, account, reviewedAt } of tier.agents) {
    const age = block.timestamp - reviewedAt;
    if (age < settings.reviewEvery) continue;
    draft.act(
      "review",
      `agent ${index}`,
      `its operator was last reviewed ${reviewedAt === 0 ? "never" : `${duration(age)} ago`}: a fault would count from then`,
      calls.review(tier, account),
    );
  }
  const closed = [
    ...(tier.senior.token === NOBODY ? ["senior"] : []),
    ...(tier.junior.token === NOBODY ? ["junior"] : []),
  ];
  const age = block.timestamp - tier.lastSync;
  if (age >= settings.syncEvery && !draft.syncs)
    draft.act(
      "sync",
      "tier",
      `nobody touched the tier for ${duration(age)}: gains vest and rates move with it`,
      calls.sync(tier),
    );
  else if (closed.length > 0 && !draft.syncs)
    draft.act(
      "sync",
      "tier",
      `the ${list(closed)} series lost everything: books that before a new one opens`,
      calls.sync(tier),
    );
  for (const tranche of closed)
    draft.act(
      "openSeries",
      tranche,
      `the ${tranche} series is retired: opens the next, so that people can enter again`,
      calls.openSeries(tier, tranche === "senior"),
    );
}

/**
 * Only where a decrease has just ended: every change of an allocation clears the queue by itself, and what nobody sees
 * need not be paid for.
 */
function clearQueues(forecast: Forecast, draft: Draft): void {
  for (const { agent, links } of forecast.agents) {
    if (!links.some(({ over }) => over)) continue;
    const changing = draft.actions.some(
      ({ job, subject }) => (job === "allocate" || job === "deallocate") && subject.startsWith(`agent ${agent.index},`),
    );
    if (changing) continue; // EigenLayer clears the queue in that call
    draft.act(
      "clearQueue",
      `agent ${agent.index}`,
      "its decrease is over: EigenLayer still has it in its queue",
      calls.clearQueue(forecast.tier, agent.account),
    );
  }
}

function harvest(tier: TierState, claim: RewardsClaim, draft: Draft): void {
  const agent = tier.agents.find(({ account }) => account.toLowerCase() === claim.agent.toLowerCase());
  if (agent === undefined) return;
  const subject = `agent ${agent.index}`;
  const due = claim.due.filter(({ amount }) => amount > 0n);
  if (due.length === 0) return;
  if (due.every(({ amount }) => amount < LEAST_REWARD)) {
    draft.hold(
      "harvest",
      subject,
      `${count(due.length, "token")} with less than a thousandth of a token due: waits for more`,
    );
    return;
  }
  try {
    draft.act(
      "harvest",
      subject,
      `EigenLayer's root has rewards for it: ${list(due.map(({ token, amount }) => `${eth(amount).replace(" ETH", "")} of ${token}`))}`,
      calls.harvest(tier, claim),
    );
  } catch (error) {
    const why = error instanceof Error ? error.message.split("\n")[0] : "unknown";
    draft.hold("harvest", subject, `the claim is not of EigenLayer's shape (${why}): fetch it again`);
  }
}

/** Claims that no tier's agent can have. */
export function foreignClaims(tiers: readonly TierState[], claims: readonly RewardsClaim[]): readonly Withheld[] {
  const known = new Set(tiers.flatMap(({ agents }) => agents.map(({ account }) => account.toLowerCase())));
  return claims
    .filter(({ agent }) => !known.has(agent.toLowerCase()))
    .map(({ agent }) => ({
      tier: "",
      job: "harvest" as const,
      subject: agent,
      reason: "there is a claim for it, but it is no agent of a tier that is kept here",
    }));
}
