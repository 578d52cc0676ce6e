/** Money on its way in: idle ETH and loose tokens into stake, magnitude to its targets. Everything that adds risk is gated. */
import { budget, ceiling, deleverageBudget, fraction, type Line, limit, P, Q } from "../../model/exposure.ts";
import { min, subtract, sum } from "../../model/integer.ts";
import { calls } from "./calls.ts";
import type { Draft } from "./draft.ts";
import { type Forecast, IN_FLIGHT_BPS, type Settled, STAKE_LEFT, type Standing, unfit } from "./forecast.ts";
import { DUST, type Settings } from "./settings.ts";
import { blocks, eth, list, percent, utilisation } from "./words.ts";

/** @param closed why nothing may be put at risk now, if that is so. */
export function putIn(forecast: Forecast, settings: Settings, closed: string | undefined, draft: Draft): void {
  deallocate(forecast, settings, draft);
  if (closed === undefined) {
    restake(forecast, settings, "deploy", draft);
    restake(forecast, settings, "redeploy", draft);
    allocate(forecast, settings, draft);
  } else {
    const { deployable } = forecast.tier;
    if (deployable >= settings.minDeploy) draft.hold("deploy", "tier", `${eth(deployable)} stay idle: ${closed}`);
  }
}

// ------------------------------------------------------------------------------------------------------- stake

/** Idle ETH, or loose tokens that nobody needs, to the agents most below their weight. */
function restake(forecast: Forecast, { minDeploy }: Settings, job: "deploy" | "redeploy", draft: Draft): void {
  const { tier } = forecast;
  const what = job === "deploy" ? "idle ETH" : "loose stETH that nobody needs";
  const free = job === "deploy" ? tier.deployable : unneeded(forecast);
  let left = job === "deploy" ? min(free, tier.stakeLimit) : free;
  if (left < minDeploy) {
    if (free >= minDeploy)
      draft.hold(job, "tier", `${eth(free)} of ${what}, but Lido takes only ${eth(tier.stakeLimit)} now`);
    else if (free >= DUST)
      draft.hold(job, "tier", `${eth(free)} of ${what}: less than ${eth(minDeploy)}, waits for more`);
    return;
  }
  const order = forecast.agents
    .map((at, i) => ({ at, i, below: forecast.shortfall(at) }))
    .sort((a, b) => (a.below < b.below ? 1 : a.below > b.below ? -1 : a.i - b.i));
  const full: number[] = [];
  for (const { at, below } of order) {
    if (left < minDeploy) break;
    const { index } = at.agent;
    const poor = unfit(at);
    if (poor !== undefined) {
      draft.hold(job, `agent ${index}`, `no new stake: ${poor}`);
      continue;
    }
    if (below < minDeploy) {
      full.push(index);
      continue;
    }
    let most = forecast.room(at, left);
    if (job === "deploy") most = min(most, at.agent.deployLimit);
    // rates move by some wei between two calls of one transaction
    const amount = subtract(most, most / 1_000_000n + 1_000n);
    if (amount < minDeploy) {
      draft.hold(
        job,
        `agent ${index}`,
        `${eth(below)} below its weight, but the cover has room for ${eth(most)} with it (U is ${utilisation(tier.utilisation)})`,
      );
      continue;
    }
    draft.act(
      job,
      `agent ${index}`,
      `${eth(free)} of ${what}; agent ${index} is ${eth(below)} below its weight of ${percent(at.agent.weightBps, Q)}: ` +
        `restakes ${eth(amount)}`,
      job === "deploy" ? calls.deploy(tier, index, amount) : calls.redeploy(tier, index, amount),
    );
    forecast.addStake(at, amount);
    if (job === "redeploy") forecast.loose -= amount;
    left -= amount;
  }
  if (left >= minDeploy && full.length > 0)
    draft.hold(
      job,
      "tier",
      `${eth(left)} of ${what} stay: ${full.length === 1 ? "agent" : "agents"} ${list(full.sort((a, b) => a - b))} ` +
        `${full.length === 1 ? "has its" : "have their"} weight`,
    );
}

/** Loose tokens that may go back with unbondNeed still 0: in flight counts for 95 %. */
function unneeded(forecast: Forecast): bigint {
  const missing = subtract(forecast.wanted, forecast.idle);
  const kept = (missing * Q + IN_FLIGHT_BPS - 1n) / IN_FLIGHT_BPS;
  return min(forecast.loose, subtract(forecast.inFlight, kept + DUST));
}

// --------------------------------------------------------------------------------------------------- magnitude

/** How far an allocation may be from its target: the configured part of the agent, but a tenth of a small target. */
const bandOf = ({ state }: Settled, { agent }: Standing, bandBps: bigint): bigint =>
  min((agent.magnitude * bandBps) / Q, state.target / 10n);

const subjectOf = ({ set }: Settled, { agent }: Standing): string => `agent ${agent.index}, set ${set.index}`;

function deallocate(forecast: Forecast, { bandBps }: Settings, draft: Draft): void {
  const { tier, block } = forecast;
  for (const at of forecast.agents) {
    for (const one of at.links) {
      const { current, pending, set, state } = one;
      if (current - pending <= state.target || set.quarantined) continue; // the ladder has quarantined sets
      const { magnitude } = at.agent;
      const off = `${percent(current, magnitude)} of the agent, ${percent(current - state.target, magnitude)} above its target`;
      const subject = subjectOf(one, at);
      if (draft.has("unwind", subject) || draft.has("deleverage", `agent ${at.agent.index}`)) continue;
      if (pending > 0n) {
        draft.hold(
          "deallocate",
          subject,
          `${off}, but a decrease is pending for ${blocks(state.effectBlock - block.number)}`,
        );
      } else if (current - state.target <= bandOf(one, at, bandBps)) {
        draft.hold(
          "deallocate",
          subject,
          `${off}: inside the band of ${percent(bandBps, Q)}, and a decrease locks the set for 14 days`,
        );
      } else {
        draft.act(
          "deallocate",
          subject,
          `${off}: lowers it to the target`,
          calls.deallocate(tier, at.agent.index, state.index),
        );
      }
    }
  }
}

interface Rise {
  readonly at: Standing;
  readonly one: Settled;
  /** What the mandate and the agent's free magnitude allow. */
  readonly most: bigint;
  /** The same in parts of the agent (P), and in exposure (wei·P). */
  readonly parts: bigint;
  readonly exposure: bigint;
}

/** Towards the targets, as far as the gate allows: where it does not allow all, every group may rise to the same ceiling. */
function allocate(forecast: Forecast, { bandBps }: Settings, draft: Draft): void {
  const rises = wanted(forecast, bandBps, draft);
  if (rises.length === 0) return;
  const { tier } = forecast;
  const share = shares(forecast, rises);
  for (const [i, rise] of rises.entries()) {
    const { at, one, most, parts } = rise;
    const { magnitude, index } = at.agent;
    const [numerator, denominator] = share[i] ?? [0n, 1n];
    const whole = numerator === denominator;
    const part = (parts * numerator) / denominator;
    const reached = ((fraction(one.current, magnitude) + part) * magnitude) / P;
    const next = whole ? one.current + most : min(reached, one.current + most);
    const subject = subjectOf(one, at);
    const target = `${percent(one.state.target, magnitude)} of the agent`;
    const raise = next - one.current;
    if (!whole && at.reach <= STAKE_LEFT) {
      draft.hold(
        "allocate",
        subject,
        `the agent has no stake, and the cover has no room for all that is missing elsewhere`,
      );
      continue;
    }
    if (raise <= 0n || (!whole && raise <= bandOf(one, at, bandBps))) {
      draft.hold(
        "allocate",
        subject,
        `${percent(one.current, magnitude)} with a target of ${target}: the cover has room for ` +
          `${percent(raise > 0n ? raise : 0n, magnitude)} more (U is ${utilisation(tier.utilisation)}, cover ` +
          `${eth(tier.deployableCover)})`,
      );
      continue;
    }
    const how = whole ? "" : ", as far as the cover reaches";
    draft.act(
      "allocate",
      subject,
      `${percent(one.current, magnitude)} with a target of ${target}: raises it to ${percent(next, magnitude)}${how}` +
        (one.state.member ? "" : " (the agent is not registered for the set)"),
      calls.allocate(tier, index, one.state.index, next),
    );
  }
}

/** Links that should rise, and why others that are low do not. */
function wanted(forecast: Forecast, bandBps: bigint, draft: Draft): readonly Rise[] {
  const rises: Rise[] = [];
  for (const at of forecast.agents) {
    const { agent } = at;
    let free: bigint | undefined;
    for (const one of at.links) {
      const { current, pending, set, state } = one;
      const gap = state.target - current;
      if (gap <= 0n) continue;
      const subject = subjectOf(one, at);
      const low = `${percent(current, agent.magnitude)} with a target of ${percent(state.target, agent.magnitude)} of the agent`;
      if (!set.allowed || set.unapproved || set.quarantined) {
        const why = set.unapproved
          ? "its slasher is not approved"
          : set.quarantined
            ? "it is quarantined"
            : "it left the mandate";
        draft.hold("allocate", subject, `set ${set.index} is closed: ${why}`);
      } else if (pending > 0n) {
        draft.hold(
          "allocate",
          subject,
          `${low}, but a decrease is pending for ${blocks(state.effectBlock - forecast.block.number)}`,
        );
      } else if (gap <= bandOf(one, at, bandBps)) {
        draft.hold("allocate", subject, `${low}: inside the band of ${percent(bandBps, Q)}`);
      } else {
        free ??= subtract(agent.magnitude, sum(at.links.map((link) => link.current)));
        const most = min(gap, free);
        if (most <= bandOf(one, at, bandBps)) {
          draft.hold(
            "allocate",
            subject,
            `${low}, but the agent has only ${percent(free, agent.magnitude)} of its magnitude free`,
          );
          continue;
        }
        free -= most;
        const parts = fraction(current + most, agent.magnitude) - fraction(current, agent.magnitude);
        rises.push({ at, one, most, parts, exposure: at.reach * parts });
      }
    }
  }
  return rises;
}

/** Which part of each rise the gate lets pass, as fractions. */
function shares(forecast: Forecast, rises: readonly Rise[]): readonly (readonly [bigint, bigint])[] {
  const { tier, groups } = forecast;
  const { k, marginBps, haircutBps } = tier.params;
  const added = groups.map(() => 0n);
  for (const { one, exposure } of rises) added[one.set.group] = (added[one.set.group] ?? 0n) + exposure;
  const full = groups.map((exposure, group) => exposure + (added[group] ?? 0n));
  if (forecast.fits(full)) return rises.map(() => [1n, 1n]);

  // every group to the same ceiling: the k largest then sum to what the cover carries, and the others rise for free
  const most = deleverageBudget(forecast.firmCover, forecast.value, forecast.unapproved, marginBps, haircutBps);
  const top = ceiling(full, k, most);
  const room = groups.map((exposure, group) => min(added[group] ?? 0n, subtract(top, exposure)));
  if (forecast.fits(groups.map((exposure, group) => exposure + (room[group] ?? 0n))))
    return rises.map(({ one }) => {
      const all = added[one.set.group] ?? 0n;
      return all === 0n ? [1n, 1n] : [room[one.set.group] ?? 0n, all];
    });

  // a group stands above that ceiling already: the same part of every rise
  const steps = 1_000_000n;
  const scale = (Q + marginBps) * Q * Q;
  const line: Line = {
    level: groups.map((exposure) => scale * exposure * steps),
    slope: added.map((exposure) => scale * exposure),
    baseLevel: (scale * forecast.unapproved + (Q + marginBps) * Q * haircutBps * forecast.value * P) * steps,
    baseSlope: 0n,
  };
  const part = limit(line, k, budget(forecast.firmCover) * steps, steps);
  return rises.map(() => [part, steps]);
}
