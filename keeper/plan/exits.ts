/**
 * Money on its way out: EigenLayer's queue, Lido's queue, idle, and the people who wait. What nobody needs goes back into
 * stake.
 */
import { max, min } from "../../model/integer.ts";
import type { AgentState, TierState, TrancheState } from "../state/types.ts";
import { calls } from "./calls.ts";
import type { Draft } from "./draft.ts";
import { BATCH_INTERVAL, type Forecast, MAX_BATCHES, MIN_BATCH, STAKE_LEFT, type Standing, unfit } from "./forecast.ts";
import { DUST, type Settings, WORTH_FINALISING } from "./settings.ts";
import { blocks, count, duration, eth } from "./words.ts";

/** What one call asks of Lido, in or out: some 100,000 gas each. */
const REQUESTS = 20;
const LIDO_LEAST = 100n;
const LIDO_MOST = 1_000n * 10n ** 18n;

/** @param closed why nothing may be put at risk now, if that is so. */
export function payOut(forecast: Forecast, settings: Settings, closed: string | undefined, draft: Draft): void {
  completeAll(forecast, closed, draft);
  const paid = claim(forecast, draft);
  unstake(forecast, settings, draft);
  for (const senior of [true, false]) finalise(forecast, senior, draft);
  unbond(forecast, settings, paid, draft);
}

/**
 * Withdrawals whose delay is over: into tokens, or back into stake. The last first: what is removed gives its place to
 * the last one, so those before it keep theirs, even if one of these calls is refused.
 */
function completeAll(forecast: Forecast, closed: string | undefined, draft: Draft): void {
  const { tier, block } = forecast;
  for (const at of forecast.agents) {
    const { agent } = at;
    let waiting = 0;
    let next = Number.MAX_SAFE_INTEGER;
    for (let i = agent.exits.length - 1; i >= 0; i--) {
      const exit = agent.exits[i];
      if (exit === undefined) continue;
      if (!forecast.ready(exit)) {
        waiting++;
        next = Math.min(next, exit.startBlock + tier.withdrawalDelay + 1 - block.number);
        continue;
      }
      const value = forecast.valueOf(agent, exit);
      const subject = `agent ${agent.index}, withdrawal ${exit.nonce}`;
      forecast.queued = forecast.queued > value ? forecast.queued - value : 0n;
      const needed = whyTokens(forecast, at, value, exit.tokensOnly);
      if (needed === undefined && closed !== undefined) {
        draft.hold(
          "redeposit",
          subject,
          `nobody needs its ${eth(value)}, and out of stake nothing can take it: ${closed}`,
        );
      } else if (needed === undefined) {
        draft.act(
          "redeposit",
          subject,
          `EigenLayer's delay is over and nobody needs its ${eth(value)}: back into stake`,
          calls.redeposit(tier, agent.index, exit.index),
        );
        forecast.addStake(at, value);
      } else {
        draft.act(
          "complete",
          subject,
          `EigenLayer's delay is over: takes ${eth(value)} out (${needed})`,
          calls.complete(tier, agent.index, exit.index),
        );
        forecast.loose += value;
      }
    }
    if (waiting > 0)
      draft.hold(
        "complete",
        `agent ${agent.index}`,
        `${count(waiting, "withdrawal")} in EigenLayer's queue; the next is ready in ${blocks(next)}`,
      );
  }
}

/** Why a withdrawal is taken out in tokens; undefined where it can go back into stake. Its value is not in flight any more. */
function whyTokens(forecast: Forecast, at: Standing, value: bigint, tokensOnly: boolean): string | undefined {
  if (tokensOnly) return "the unwind ladder queued it for good";
  const poor = unfit(at);
  if (poor !== undefined) return poor;
  // without it in flight; a part more, because its value is an estimate
  const need = forecast.unbondNeed(value / 100n);
  if (need > 0n) return `without it ${eth(need)} would be missing`;
  if (!fitsWith(forecast, at, value + value / 100n)) return "the cover has no room for it as stake";
  return undefined;
}

function fitsWith(forecast: Forecast, at: Standing, value: bigint): boolean {
  const [groups, unapproved, stake, reach] = [[...forecast.groups], forecast.unapproved, at.stake, at.reach];
  forecast.addStake(at, value);
  const fits = forecast.fits();
  groups.forEach((exposure, i) => {
    forecast.groups[i] = exposure;
  });
  [forecast.unapproved, at.stake, at.reach] = [unapproved, stake, reach];
  return fits;
}

/** Lido's payments. Returns whether there are any. */
function claim({ tier }: Forecast, draft: Draft): boolean {
  const { open, claimable } = tier.unstakeRequests;
  if (claimable > 0) {
    const taken = Math.min(claimable, REQUESTS);
    const rest = claimable > taken ? `, of ${claimable}` : "";
    draft.act(
      "claimUnstaked",
      "Lido",
      `Lido pays ${count(taken, "request")}${rest}; ${eth(tier.unstaking)} are asked for in all`,
      calls.claimUnstaked(tier, taken),
    );
  } else if (open > 0) {
    draft.hold(
      "claimUnstaked",
      "Lido",
      `${count(open, "request")} for ${eth(tier.unstaking)}, none of them payable yet`,
    );
  }
  return claimable > 0;
}

function unstake(forecast: Forecast, { minMove }: Settings, draft: Draft): void {
  const { tier, loose } = forecast;
  const missing = forecast.wanted - forecast.idle - forecast.unstaking;
  if (loose === 0n || missing <= 0n) return;
  const amount = min(missing, loose);
  const owed = forecast.owed;
  // who waits is not kept waiting for a full coin, but one small request after another, not all at once
  const small = amount < minMove;
  const waitedFor = owed > DUST && forecast.unstaking === 0n;
  if (loose < LIDO_LEAST || amount < DUST || (small && !waitedFor)) {
    if (missing >= DUST && loose >= DUST)
      draft.hold(
        "requestUnstake",
        "Lido",
        `${eth(amount)} of loose stETH could be asked back: less than ${eth(minMove)}, and ` +
          (owed > DUST ? `${eth(forecast.unstaking)} are on their way to those who wait` : "nobody waits for it"),
      );
    return;
  }
  const pieces = Number(min((amount + LIDO_MOST - 1n) / LIDO_MOST, BigInt(REQUESTS)));
  draft.act(
    "requestUnstake",
    "Lido",
    `queues and buffer want ${eth(forecast.wanted)}; idle ${eth(forecast.idle)} and Lido's ${eth(forecast.unstaking)} leave ` +
      `${eth(missing)} missing: asks Lido for ${eth(amount)} of the loose ${eth(loose)}`,
    calls.requestUnstake(tier, pieces),
  );
  forecast.loose -= amount;
  forecast.unstaking += amount;
}

function finalise(forecast: Forecast, senior: boolean, draft: Draft): void {
  const { tier } = forecast;
  const tranche = senior ? tier.senior : tier.junior;
  const subject = senior ? "senior" : "junior";
  if (tranche.queued === 0n) return;
  const queued = worthOf(tier, tranche, tranche.queued, senior);
  const value = worthOf(tier, tranche, tranche.finalisable, senior);
  const all = tranche.finalisable === tranche.queued;
  if (tranche.finalisable > 0n && (all || value >= WORTH_FINALISING)) {
    draft.act(
      "finalise",
      subject,
      `${all ? `all of the ${subject} queue` : `${eth(value)} of ${eth(queued)} in the ${subject} queue`} can be paid` +
        (all ? `: ${eth(value)}` : ""),
      calls.finalise(tranche.token),
    );
    forecast.pay(value);
    return;
  }
  const coming = `idle is ${eth(forecast.idle)}, on the way are ${eth(forecast.inFlight)}`;
  const why =
    tranche.finalisable > 0n
      ? `only ${eth(value)} of ${eth(queued)} can be paid now: too little for a transaction`
      : `${eth(queued)} wait: not mature yet, ${senior ? "" : "held by the cover, "}or the money is not there`;
  draft.hold("finalise", subject, `${why}; ${coming}`);
}

/** Queues stake at EigenLayer for what nothing on its way will pay. */
function unbond(forecast: Forecast, { minMove }: Settings, paid: boolean, draft: Draft): void {
  const { tier } = forecast;
  let need = forecast.unbondNeed();
  if (need < DUST) return;
  if (paid && need * 20n <= forecast.unstaking) {
    draft.hold("unbond", "tier", `${eth(need)} seem to be missing; Lido pays in this round, and then it is known`);
    return;
  }
  const states = forecast.agents.map((at) => ({ at, left: at.stake, used: false }));
  for (;;) {
    // who waits while nothing is on its way gets a batch, however small the sum
    if (need < DUST || (need < minMove && !(forecast.owed > DUST && forecast.inFlight === 0n))) break;
    const from = mostAbove(forecast.value, forecast.block.timestamp, states);
    if (from === undefined) {
      draft.hold("unbond", "tier", `${eth(need)} should be queued at EigenLayer, but ${whyNoAgent(forecast)}`);
      return;
    }
    const amount = min(max(need, MIN_BATCH), from.left);
    draft.act(
      "unbond",
      `agent ${from.at.agent.index}`,
      `queues and buffer want ${eth(forecast.wanted)}; idle ${eth(forecast.idle)} and 95 % of ${eth(forecast.inFlight)} on the ` +
        `way leave ${eth(need)} missing: queues ${eth(amount)} of the agent most above its weight`,
      calls.unbond(tier),
    );
    from.used = true;
    from.at.stake -= amount;
    forecast.queued += amount;
    need = forecast.unbondNeed();
  }
  if (need >= DUST)
    draft.hold(
      "unbond",
      "tier",
      `${eth(need)} are missing: less than ${eth(minMove)}, and ` +
        (forecast.owed > DUST ? `${eth(forecast.inFlight)} are on their way to those who wait` : "nobody waits for it"),
    );
}

interface Giver {
  readonly at: Standing;
  readonly left: bigint;
  used: boolean;
}

const mayGive = (agent: AgentState, now: number): boolean =>
  agent.stake > STAKE_LEFT && agent.exits.length < MAX_BATCHES && now >= agent.lastUnbond + BATCH_INTERVAL;

/** As StakeManager chooses. */
function mostAbove(value: bigint, now: number, givers: readonly Giver[]): Giver | undefined {
  let most: Giver | undefined;
  let above = 0n;
  for (const giver of givers) {
    const { agent } = giver.at;
    if (giver.used || !mayGive(agent, now)) continue;
    const own = giver.left * 10_000n - agent.weightBps * value;
    if (most === undefined || own > above) [most, above] = [giver, own];
  }
  return most;
}

function whyNoAgent({ tier, block }: Forecast): string {
  const staked = tier.agents.filter(({ stake }) => stake > STAKE_LEFT);
  if (staked.length === 0) return "no agent has any stake";
  const open = staked.filter(({ exits }) => exits.length < MAX_BATCHES);
  if (open.length === 0) return `every agent has ${MAX_BATCHES} withdrawals open`;
  const next = Math.min(...open.map(({ lastUnbond }) => lastUnbond + BATCH_INTERVAL - block.timestamp));
  return `each agent queues once a day: the next may in ${duration(Math.max(next, 0))}`;
}

function worthOf(tier: TierState, tranche: TrancheState, shares: bigint, senior: boolean): bigint {
  const book = senior ? tier.books.senior : tier.books.junior;
  return tranche.supply === 0n ? 0n : (shares * book) / tranche.supply;
}
