/**
 * A tier as it will be once the actions that are planned so far are carried out, as far as that can be foreseen: stake,
 * exposure and money in flight. Where it is estimated it errs against new risk; the chain has the last word in the
 * simulation before anything is sent.
 */
import { budget, covered, deployLine, fraction, largest, limit, Q } from "../../model/exposure.ts";
import { min, subtract, WAD } from "../../model/integer.ts";
import type { AgentState, BlockRef, ExitState, LinkState, SetState, TierState } from "../state/types.ts";

/** The contracts' own constants (SPEC sections 4 and 5). */
export const IN_FLIGHT_BPS = 9_500n;
export const MIN_MAGNITUDE = WAD / 10n;
export const BATCH_INTERVAL = 86_400;
export const MAX_BATCHES = 15;
export const MIN_BATCH = WAD;
export const FRESHNESS = 3 * 86_400;
/** An agent with less (wei) has but the 1,000 shares that withdrawals leave behind. */
export const STAKE_LEFT = 1_000_000n;

/** A link whose decrease, if its time has come, is taken as done. */
export interface Settled {
  readonly state: LinkState;
  readonly set: SetState;
  readonly current: bigint;
  readonly pending: bigint;
  /** A decrease has taken effect that the tier has not looked at. */
  readonly over: boolean;
}

/** An agent and what actions so far make of it. */
export interface Standing {
  readonly agent: AgentState;
  readonly links: readonly Settled[];
  stake: bigint;
  /** A_i: what a slash could reach, in wei. */
  reach: bigint;
}

export class Forecast {
  readonly tier: TierState;
  readonly block: BlockRef;
  readonly agents: readonly Standing[];
  /** E_a by group and what unapproved sets add, in wei·P. */
  readonly groups: bigint[];
  unapproved: bigint;
  value: bigint;
  wanted: bigint;
  idle: bigint;
  queued: bigint;
  loose: bigint;
  unstaking: bigint;
  /** wei of each unit of scaled shares times magnitude, as a fraction. */
  readonly #price: readonly [bigint, bigint];

  constructor(tier: TierState, block: BlockRef) {
    this.tier = tier;
    this.block = block;
    const sets = new Map(tier.sets.map((set) => [set.index, set]));
    const used = tier.sets.reduce((most, { group }) => Math.max(most, group + 1), 0);
    this.groups = tier.groups.slice(0, used);
    while (this.groups.length < used) this.groups.push(0n);
    this.unapproved = tier.unapproved;
    ({ value: this.value, wanted: this.wanted } = tier);
    ({ idle: this.idle, queued: this.queued, loose: this.loose, unstaking: this.unstaking } = tier);
    let all = 0n;
    for (const { exits, magnitude } of tier.agents) for (const { scaled } of exits) all += scaled * magnitude;
    this.#price = [tier.queued, all];
    this.agents = tier.agents.map((agent) => {
      let reach = agent.stake + 2n * BigInt(1 + agent.exits.length) + 1n;
      for (const exit of agent.exits) if (!this.ready(exit)) reach += this.valueOf(agent, exit);
      const links: Settled[] = [];
      for (const state of agent.links) {
        const set = sets.get(state.set);
        if (set) links.push(settle(state, set, block.number));
      }
      return { agent, links, stake: agent.stake, reach };
    });
  }

  ready(exit: ExitState): boolean {
    return this.block.number > exit.startBlock + this.tier.withdrawalDelay;
  }

  /** What a withdrawal is worth, rounded up: its part of the queue. Above the truth where a slash came between. */
  valueOf(agent: AgentState, exit: ExitState): bigint {
    const [wei, all] = this.#price;
    return all === 0n ? 0n : (wei * exit.scaled * agent.magnitude) / all + 1n;
  }

  get inFlight(): bigint {
    return this.queued + this.loose + this.unstaking;
  }

  /** What should be unbonded if `less` of what is in flight went back into stake. */
  unbondNeed(less = 0n): bigint {
    return subtract(this.wanted, this.idle + (subtract(this.inFlight, less) * IN_FLIGHT_BPS) / Q);
  }

  /** What the buffer asks for, of `wanted`. */
  get buffer(): bigint {
    return min((this.value * this.tier.params.bufferBps) / Q, this.wanted);
  }

  /** What people wait for and neither idle nor Lido will pay. */
  get owed(): bigint {
    return subtract(this.wanted - this.buffer, this.idle + this.unstaking);
  }

  /** c_dep, less what rounding may take while stake moves (SPEC 4.7). */
  get firmCover(): bigint {
    return subtract(this.tier.deployableCover, 1_000n + this.value / 10n ** 16n);
  }

  /** Whether these exposures pass the gate. */
  fits(groups: readonly bigint[] = this.groups, cover = this.firmCover): boolean {
    const { k, marginBps, haircutBps } = this.tier.params;
    const exposed = largest(groups, k).sum + this.unapproved;
    return covered(exposed, this.value, cover, marginBps, haircutBps);
  }

  /** Largest amount that this agent may take of `most`: its room by weight, and the gate (SPEC 4.7). */
  room(at: Standing, most: bigint): bigint {
    const { tier } = this;
    const byWeight = min(most, this.shortfall(at));
    if (byWeight === 0n) return 0n;
    const e = this.groups.map(() => 0n);
    let extraE = 0n;
    for (const { set, current } of at.links) {
      if (current === 0n) continue;
      const part = fraction(current, at.agent.magnitude);
      if (set.unapproved) extraE += part;
      else e[set.group] = (e[set.group] ?? 0n) + part;
    }
    const line = deployLine({
      exposure: this.groups,
      e,
      extraExposure: this.unapproved,
      extraE,
      v: this.value,
      b: tier.params.marginBps,
      h: tier.params.haircutBps,
    });
    return limit(line, tier.params.k, budget(this.firmCover), byWeight);
  }

  /** How far an agent is below its weight of what is restaked. */
  shortfall(at: Standing): bigint {
    const restaked = this.value - (this.value * this.tier.params.bufferBps) / Q;
    return subtract((at.agent.weightBps * restaked) / Q, at.stake);
  }

  /** Somebody who waited is paid: his money leaves the tier. */
  pay(assets: bigint): void {
    this.value = subtract(this.value, assets);
    this.idle = subtract(this.idle, assets);
    // the buffer is a part of V
    this.wanted = subtract(this.wanted, assets + (assets * this.tier.params.bufferBps) / Q);
  }

  /** Stake comes to an agent, and its groups can take more. */
  addStake(at: Standing, amount: bigint): void {
    at.stake += amount;
    at.reach += amount;
    for (const { set, current } of at.links) {
      if (current === 0n) continue;
      const more = amount * fraction(current, at.agent.magnitude);
      if (set.unapproved) this.unapproved += more;
      else this.groups[set.group] = (this.groups[set.group] ?? 0n) + more;
    }
  }
}

/** May this agent get new stake (SPEC 4.7)? */
export const unfit = ({ agent }: Standing): string | undefined =>
  agent.quarantined
    ? "it has an allocation to a quarantined set"
    : agent.magnitude < MIN_MAGNITUDE
      ? "slashes have left it less than a tenth of its magnitude"
      : undefined;

function settle(state: LinkState, set: SetState, block: number): Settled {
  const over = state.pending > 0n && block >= state.effectBlock;
  return over
    ? { state, set, current: subtract(state.current, state.pending), pending: 0n, over }
    : { state, set, current: state.current, pending: state.pending, over };
}
