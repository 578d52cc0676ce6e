/**
 * What must not wait: booking slashes, looking at sets whose surroundings changed, the unwind ladder, deleverage. All of
 * it may be called by anybody and none of it is gated.
 */
import { covered, fraction, largest, P } from "../../model/exposure.ts";
import type { BlockRef, SetState, TierState } from "../state/types.ts";
import { calls } from "./calls.ts";
import type { Draft } from "./draft.ts";
import { Forecast, type Settled, STAKE_LEFT, type Standing } from "./forecast.ts";
import type { Remembered } from "./types.ts";
import { blocks, count, eth, list, percent, short, utilisation } from "./words.ts";

const NOBODY = "0x0000000000000000000000000000000000000000";
const DEFICIT_TERM = 14 * 86_400;

/** Plans what protects the tier, and says what was left out. An unreadable tier gets nothing. */
export function protect(tier: TierState, block: BlockRef, remembered: readonly Remembered[], draft: Draft): void {
  if (!tier.readable) {
    const why = tier.failure === "" || tier.failure === "0x" ? "no reason given" : tier.failure;
    draft.hold(
      "sync",
      "tier",
      `CANNOT BE READ (${why}): EigenLayer or the staking protocol does not answer. Nothing can be synced, unwound or ` +
        "finalised until it does; claims still pay.",
    );
    return;
  }
  const forecast = new Forecast(tier, block);
  book(tier, block, draft);
  const closing = look(tier, remembered, draft);
  const unwinding = unwind(forecast, closing, draft);
  deleverage(forecast, unwinding, draft);
}

/** A sync where the books on chain do not say yet what the chain knows. */
function book(tier: TierState, block: BlockRef, draft: Draft): void {
  const reason = unbooked(tier, block);
  if (reason !== undefined) draft.act("sync", "tier", reason, calls.sync(tier));
}

function unbooked(tier: TierState, block: BlockRef): string | undefined {
  if (tier.slashedAgents !== 0n) {
    const slashed = tier.agents.filter(({ index }) => (tier.slashedAgents >> BigInt(index)) & 1n);
    const who = slashed.length === 1 ? `agent ${names(slashed)} was` : `agents ${names(slashed)} were`;
    return `${who} slashed and the loss is not booked yet: U is ${utilisation(tier.utilisation)} with it`;
  }
  if (tier.deficit.closesAt === block.timestamp + DEFICIT_TERM && tier.lastSync < block.timestamp)
    return (
      `the senior bears a loss that is not booked yet: a Deficit of ${eth(tier.deficit.outstanding)} opens or grows, ` +
      "and closes the entries"
    );
  if (block.timestamp <= tier.freshUntil) return undefined;
  // the lens synced before it read, and that looked at what was stale
  const stale = tier.sets.filter(({ index, seenAt }) => seenAt === block.timestamp && watched(tier, index));
  return (
    `${stale.length === 1 ? "set" : "sets"} ${names(stale)} had not been looked at for three days: the cover holds only ` +
    "for sets that are"
  );
}

/**
 * Pokes sets whose slashers or surroundings changed. Returns the sets that this will quarantine, so that they can be
 * unwound in the same transaction.
 */
function look(tier: TierState, remembered: readonly Remembered[], draft: Draft): ReadonlySet<number> {
  const closing = new Set<number>();
  for (const set of tier.sets) {
    const slashers = !same(set.slasher, set.seenSlasher) || !same(set.pendingSlasher, set.seenPendingSlasher);
    const before = remembered.length === 0 ? undefined : remembrance(tier, set, remembered);
    const around = before === undefined ? [] : changes(set, before);
    if ((!slashers && around.length === 0) || !watched(tier, set.index)) continue;
    const reasons = [...(slashers ? [slasherNews(set)] : []), ...around];
    if (slashers && unapprovedNow(set) && !set.quarantined) closing.add(set.index);
    draft.act("poke", `set ${set.index}`, reasons.join("; "), calls.poke(tier, set.index));
  }
  return closing;
}

/** The ladder (SPEC 5.5) for every link to a quarantined set. Returns the links that are being taken to zero. */
function unwind(forecast: Forecast, closing: ReadonlySet<number>, draft: Draft): ReadonlySet<Settled> {
  const { tier, block } = forecast;
  const zeroed = new Set<Settled>();
  for (const at of forecast.agents) {
    for (const one of at.links) {
      const { set, state, current, pending } = one;
      if (current === 0n || (!set.quarantined && !closing.has(set.index))) continue;
      const subject = `agent ${at.agent.index}, set ${set.index}`;
      const share = percent(current, at.agent.magnitude);
      const size = `${share} of the agent, ${eth(reachOf(at, current))}`;
      const act = (reason: string) =>
        draft.act("unwind", subject, reason, calls.unwind(tier, at.agent.index, state.index));
      const wait = state.effectBlock - block.number;
      if (pending === 0n) {
        act(`set ${set.index} is quarantined (${whyQuarantined(set)}): takes its ${size} to zero`);
        zeroed.add(one);
      } else if (pending === current) {
        draft.hold("unwind", subject, `all of it (${size}) is on its way to zero: free in ${blocks(wait)}`);
      } else if (!state.member) {
        draft.hold(
          "unwind",
          subject,
          `the agent has left set ${set.index}, which can slash it for the deregistration tail only; a smaller decrease ` +
            `is pending for ${blocks(wait)}, then what is left (${percent(current - pending, at.agent.magnitude)}) goes to zero`,
        );
      } else if (at.agent.stake <= STAKE_LEFT) {
        draft.hold(
          "unwind",
          subject,
          `all stake of the agent is queued already: leaving set ${set.index} would save nothing. The pending decrease ends ` +
            `in ${blocks(wait)}`,
        );
      } else {
        act(
          `set ${set.index} is quarantined (${whyQuarantined(set)}) and a smaller decrease is pending for ${blocks(wait)}: ` +
            `leaves the set with ${size}; if the AVS refuses, all of the agent's stake is queued`,
        );
      }
    }
  }
  return zeroed;
}

/** SPEC 5.6. The chain knows how much; here it is which agents, the largest part of what is too much first. */
function deleverage(forecast: Forecast, unwinding: ReadonlySet<Settled>, draft: Draft): void {
  const { tier, block } = forecast;
  const { k, marginBps, haircutBps } = tier.params;
  const u = utilisation(tier.utilisation);
  if (!tier.deleverageNeeded) {
    if (tier.utilisation > 10n ** 18n && unwinding.size === 0)
      draft.hold(
        "deleverage",
        "tier",
        `U is ${u}, but what is pending or the margin brings it to 1: nothing may be cut. Senior entries, restaking and ` +
          "junior exits wait for cover",
      );
    return;
  }
  const { forward, extra } = forwardExposure(forecast, unwinding);
  // queued junior is left out, overdue or not: an under-estimate of the cover that the contract uses
  const enough = covered(largest(forward, k).sum + extra, tier.value, tier.deployableCover, marginBps, haircutBps);
  if (unwinding.size > 0 && enough) {
    draft.hold("deleverage", "tier", `U is ${u}; the unwinding in this round is enough`);
    return;
  }
  const parts = forecast.agents.map((at) => cutOf(at, forward, tier.ceiling, unwinding));
  const order = [...parts.keys()]
    .filter((i) => (parts[i]?.amount ?? 0n) > 0n)
    .sort((i, j) => compare(parts[j]?.amount ?? 0n, parts[i]?.amount ?? 0n) || i - j);
  for (const i of order) {
    const [at, part] = [forecast.agents[i], parts[i]];
    if (!at || !part) continue;
    const groups = part.groups.map(
      (group) => `group ${group} holds ${eth((forward[group] ?? 0n) / P)} and may keep ${eth(tier.ceiling / P)}`,
    );
    draft.act(
      "deleverage",
      `agent ${at.agent.index}`,
      `U is ${u}: cuts agent ${at.agent.index}; ${groups.join(", ")}`,
      calls.deleverage(tier, at.agent.index),
    );
  }
  if (order.length === 0) {
    const ends = forecast.agents.flatMap(({ links }) =>
      links.filter(({ pending }) => pending > 0n).map(({ state }) => state.effectBlock - block.number),
    );
    const next = ends.length === 0 ? "cover is all that helps" : `the next is done in ${blocks(Math.min(...ends))}`;
    draft.hold(
      "deleverage",
      "tier",
      `U is ${u}, and what could be cut is being cut or within the ${eth(tier.ceiling / P)} that a group may keep; ${next}`,
    );
  }
}

/** Exposure with pending decreases and this round's unwinding counted as done (SPEC 4.9). */
function forwardExposure(forecast: Forecast, unwinding: ReadonlySet<Settled>) {
  const forward = forecast.groups.map(() => 0n);
  let extra = 0n;
  for (const at of forecast.agents)
    for (const one of at.links) {
      const left = unwinding.has(one) ? 0n : one.current - one.pending;
      if (left <= 0n) continue;
      const exposure = at.reach * fraction(left, at.agent.magnitude);
      if (one.set.unapproved) extra += exposure;
      else forward[one.set.group] = (forward[one.set.group] ?? 0n) + exposure;
    }
  return { forward, extra };
}

/** What an agent holds, free to be cut, in groups above the ceiling. */
function cutOf(at: Standing, forward: readonly bigint[], ceiling: bigint, unwinding: ReadonlySet<Settled>) {
  let amount = 0n;
  const groups = new Set<number>();
  for (const one of at.links) {
    if (one.current === 0n || one.pending > 0n || unwinding.has(one) || one.set.unapproved) continue;
    if ((forward[one.set.group] ?? 0n) <= ceiling) continue;
    amount += at.reach * fraction(one.current, at.agent.magnitude);
    groups.add(one.set.group);
  }
  return { amount, groups: [...groups].sort((a, b) => a - b) };
}

/** Does the tier have, or mean to have, an allocation to the set? */
export const watched = (tier: TierState, index: number): boolean =>
  tier.agents.some(({ links }) =>
    links.some(({ set, current, target }) => set === index && (current > 0n || target > 0n)),
  );

function remembrance(tier: TierState, set: SetState, remembered: readonly Remembered[]): Remembered | undefined {
  return remembered.find((one) => one.set === set.index && same(one.tier, tier.address));
}

/** What changed around a set: nothing that the tier stores, but a reason to look. */
function changes(set: SetState, before: Remembered): string[] {
  const news: string[] = [];
  if (!same(set.registrar, before.registrar))
    news.push(`the AVS of set ${set.index} has another registrar, ${set.registrar} (it was ${before.registrar})`);
  const [now, then] = [set.strategies.map(lower), before.strategies.map(lower)];
  const came = set.strategies.filter((strategy) => !then.includes(lower(strategy)));
  const went = before.strategies.filter((strategy) => !now.includes(lower(strategy)));
  if (came.length > 0)
    news.push(`set ${set.index} has ${came.length === 1 ? "a new strategy" : "new strategies"}: ${list(came)}`);
  if (went.length > 0)
    news.push(
      `set ${set.index} lost ${count(went.length, "strategy").replace("strategys", "strategies")}: ${list(went)}`,
    );
  return news;
}

/** As RiskStore judges slashers. */
const unapprovedNow = (set: SetState): boolean =>
  !same(set.slasher, set.approvedSlasher) ||
  (!same(set.pendingSlasher, NOBODY) && !same(set.pendingSlasher, set.approvedSlasher));

function slasherNews(set: SetState): string {
  const news = same(set.slasher, set.seenSlasher)
    ? same(set.pendingSlasher, NOBODY)
      ? `the announcement of slasher ${short(set.seenPendingSlasher)} was taken back`
      : `slasher ${short(set.pendingSlasher)} is announced for block ${set.pendingSlasherBlock}`
    : `its slasher is ${short(set.slasher)}, seen was ${short(set.seenSlasher)}`;
  const consequence = unapprovedNow(set)
    ? `the mandate approves ${short(set.approvedSlasher)} only, so it is quarantined and unwound`
    : "approved";
  return `set ${set.index}: ${news}; ${consequence}`;
}

const whyQuarantined = (set: SetState): string =>
  set.unapproved || unapprovedNow(set)
    ? "its slasher is not approved"
    : "its group slashed too much, or by the guardian's word";

const reachOf = (at: Standing, magnitude: bigint): bigint => (at.reach * fraction(magnitude, at.agent.magnitude)) / P;

const lower = (text: string): string => text.toLowerCase();
const same = (a: string, b: string): boolean => a === b || lower(a) === lower(b);
const names = (things: readonly { readonly index: number }[]): string => list(things.map(({ index }) => index));
const compare = (a: bigint, b: bigint): number => (a < b ? -1 : a > b ? 1 : 0);
