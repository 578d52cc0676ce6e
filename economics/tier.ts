/**
 * A tier in daily steps: staking yield, AVS rewards, slashes, the contracts' sync, and keepers who act on the same day.
 * Books, vesting, premium and exposure are the mirror's; what is simplified is said where it is, and in docs/MANDATES.md.
 */
import { Exposure, Premium, WAD, Waterfall } from "../model/index.ts";
import { ceilDiv, max, min, subtract, sum } from "../model/integer.ts";
import { deployed, missingJunior, type Size } from "./cover.ts";
import { must } from "./must.ts";
import type { Market } from "./returns.ts";
import type { MandateTerms } from "./terms.ts";

export const DAY = 86_400n;

/** EigenLayer's deallocation delay, days. */
export const DEALLOCATION_DAYS = 14;

const { P, Q } = Exposure;
const MAX_LINKS = 8n;
const RETIREMENT = 1_000_000n;
const DEFICIT_BPS = 1n;
const DEFICIT_TERM = 14n * DAY;
const DEFICIT_MAX_TERM = 28n * DAY;
const SCORE_DECAY = 30n * DAY;
const REPAIR = DAY;
/** Moves of less money, and agents with less magnitude, are left alone. */
const WORTHWHILE = WAD;
const LEAST_MAGNITUDE = WAD / 10n;

/** What may happen in a year, beside the market. */
export interface Conduct {
  /** Utilisation to which new junior money fills the tier up again, so many days after a loss; never where absent. */
  readonly refill?: { readonly days: number; readonly utilisation: bigint } | undefined;
}

interface Link {
  readonly set: number;
  readonly group: number;
  readonly target: bigint;
  current: bigint;
  pending: bigint;
  effect: number;
}

interface Agent {
  readonly weight: bigint;
  /** Wei before slashing: worth stake·magnitude/WAD. */
  stake: bigint;
  magnitude: bigint;
  links: Link[];
}

/** A slash: part of what is allocated to a set, WAD. */
export interface Slash {
  readonly set: number;
  readonly part: bigint;
}

/** What one day did. */
export interface DayResult {
  readonly lost: bigint;
  readonly borne: Waterfall.Borne | undefined;
}

/** The parts of a mandate that never change while a tier is simulated. */
export class Plan {
  readonly terms: MandateTerms;
  readonly market: Market;
  readonly conduct: Conduct;
  readonly groupCount: number;
  /** Group of each set, in the order of `terms.sets`. */
  readonly groupOf: readonly number[];
  /** Daily net AVS reward of a wei that is allocated, in WAD·WAD. */
  readonly rewardRate: bigint;
  readonly baseRate: bigint;

  constructor(terms: MandateTerms, size: Size, market: Market, baseRate: bigint, conduct: Conduct) {
    this.terms = terms;
    this.market = market;
    this.conduct = conduct;
    this.baseRate = baseRate;
    const { groups, staked, exposure } = deployed(terms, size.value);
    this.groupCount = groups.length;
    const groupOf = new Map(groups.flatMap(({ sets }, i) => sets.map((set) => [set, i] as const)));
    this.groupOf = terms.sets.map(({ name }) => must(groupOf.get(name), `group of ${name}`));
    const net = Q - market.operatorFee - market.protocolFee;
    const allocated = sum(exposure) / P;
    this.rewardRate = allocated === 0n ? 0n : (staked * market.avsRewards * net * WAD) / (Q * allocated * 365n);
  }
}

/** The state of a tier at the end of a day. */
export class SimulatedTier {
  readonly plan: Plan;
  day = 0;
  books: Waterfall.Books;
  seniorSupply: bigint;
  juniorSupply: bigint;
  /** Whether the junior series of the beginning was retired. */
  juniorRetired = false;
  seniorRetired = false;
  utilisation: bigint;
  /** Whether the k largest groups could take more than the cover, haircut included: U at b = 0 above 1. */
  exposed = false;
  baseRate: bigint;
  private agents: Agent[];
  private idle: bigint;
  private unlockAt = 0n;
  private deficit: { openedAt: bigint; closesAt: bigint } | undefined;
  private scores: bigint[];
  private scoredAt: number[];
  private quarantined: boolean[];
  private repairUntil = -1n;
  private lastLoss: number | undefined;
  /** Σ e_ij of each agent's sets in each group, P; refreshed when an allocation or a magnitude changes. */
  private fractions: bigint[][] = [];
  private known: { readonly exposure: readonly bigint[]; readonly largest: bigint } | undefined;

  private constructor(plan: Plan, agents: Agent[], idle: bigint, books: Waterfall.Books) {
    this.plan = plan;
    this.agents = agents;
    this.idle = idle;
    this.books = books;
    this.seniorSupply = books.senior;
    this.juniorSupply = books.junior;
    this.baseRate = plan.baseRate;
    this.scores = Array.from({ length: plan.groupCount }, () => 0n);
    this.scoredAt = Array.from({ length: plan.groupCount }, () => 0);
    this.quarantined = Array.from({ length: plan.groupCount }, () => false);
    this.utilisation = 0n;
    this.refresh();
    this.measure();
  }

  /** A tier of this size as its mandate wants it. */
  static full(plan: Plan, size: Size): SimulatedTier {
    const { terms } = plan;
    const { stakes, staked } = deployed(terms, size.value);
    const setOf = new Map(terms.sets.map(({ name }, i) => [name, i]));
    const agents = terms.agents.map(({ weight, targets }, i): Agent => {
      const links = targets.map(({ set, magnitude }): Link => {
        const at = must(setOf.get(set), `set ${set}`);
        const group = must(plan.groupOf[at], `group of ${set}`);
        return { set: at, group, target: magnitude, current: magnitude, pending: 0n, effect: 0 };
      });
      return { weight, stake: must(stakes[i], "stake"), magnitude: WAD, links };
    });
    const { reserve, junior, senior } = size;
    return new SimulatedTier(plan, agents, size.value - staked, { reserve, junior, senior, gains: 0n });
  }

  clone(): SimulatedTier {
    const copy: SimulatedTier = Object.create(SimulatedTier.prototype);
    Object.assign(copy, this);
    copy.agents = this.agents.map((agent) => ({ ...agent, links: agent.links.map((link) => ({ ...link })) }));
    copy.scores = [...this.scores];
    copy.scoredAt = [...this.scoredAt];
    copy.quarantined = [...this.quarantined];
    return copy;
  }

  /** Σ of the books, G included. */
  get booked(): bigint {
    return Waterfall.total(this.books);
  }

  /** Value of a share against its price at the beginning, WAD. */
  get seniorRate(): bigint {
    return this.seniorRetired || this.seniorSupply === 0n ? 0n : (this.books.senior * WAD) / this.seniorSupply;
  }

  get juniorRate(): bigint {
    return this.juniorRetired || this.juniorSupply === 0n ? 0n : (this.books.junior * WAD) / this.juniorSupply;
  }

  /** Junior money that would bring U back to 1 now. */
  get missing(): bigint {
    return missingJunior(this.plan.terms, this.risk().largest, this.value, this.cover());
  }

  /** One day: yield (where the day `earns`), slashes, sync, keepers. */
  advance(slashes: readonly Slash[] = [], earns = true): DayResult {
    this.day += 1;
    if (earns) this.earn();
    const lost = slashes.length === 0 ? 0n : this.slash(slashes);
    const borne = this.sync();
    if (lost > 0n) this.lastLoss = this.day;
    this.protect();
    this.refillJunior();
    this.grow();
    this.measure();
    return { lost, borne };
  }

  // ---- what happens to the tier

  private earn(): void {
    const { market, rewardRate } = this.plan;
    this.idle += (sum(this.risk().exposure) * rewardRate) / (WAD * WAD * P);
    for (const agent of this.agents) agent.stake += (agent.stake * market.stakingYield) / (WAD * 365n);
    this.known = undefined;
  }

  /** Each slash takes its part of every agent's allocation to the set, pending decrease included; wei. */
  private slash(slashes: readonly Slash[]): bigint {
    const before = this.value;
    const had = this.plan.groupOf.map(() => 0n);
    const taken = this.plan.groupOf.map(() => 0n);
    for (const { set, part } of slashes) {
      for (const agent of this.agents) {
        for (const link of agent.links) {
          if (link.set !== set || link.current === 0n) continue;
          const magnitude = min(ceilDiv(link.current * part, WAD), link.current);
          had[link.group] = (had[link.group] ?? 0n) + agent.stake * link.current;
          taken[link.group] = (taken[link.group] ?? 0n) + agent.stake * magnitude;
          link.current -= magnitude;
          link.pending = min(link.pending - min(ceilDiv(link.pending * part, WAD), link.pending), link.current);
          agent.magnitude -= magnitude;
        }
      }
    }
    this.refresh();
    const limit = (this.plan.terms.quarantine * WAD) / Q;
    taken.forEach((amount, group) => {
      const whole = had[group] ?? 0n;
      if (amount === 0n || whole === 0n) return;
      const age = BigInt(this.day - (this.scoredAt[group] ?? 0)) * DAY;
      const score = ((this.scores[group] ?? 0n) * subtract(SCORE_DECAY, age)) / SCORE_DECAY + (amount * WAD) / whole;
      this.scores[group] = score;
      this.scoredAt[group] = this.day;
      if (score > limit) this.quarantined[group] = true;
    });
    return before - this.value;
  }

  /** SPEC 2.3: vest, distribute with the premium of the interval, adapt, compare, retire. */
  private sync(): Waterfall.Borne | undefined {
    const time = BigInt(this.day) * DAY;
    const last = time - DAY;
    const { reserve, junior, senior, gains } = this.books;
    const vested = Waterfall.vested(gains, last, this.unlockAt, time);
    const interval = min(DAY, subtract(this.unlockAt, last));
    const due = Premium.due(this.baseRate, this.utilisation, junior, senior, reserve + junior + senior, interval);
    this.books = Waterfall.distribute(this.books, vested, due, this.deficit !== undefined).books;
    this.baseRate = Premium.adapt(this.baseRate, this.utilisation, junior, senior, DAY);
    if (this.deficit !== undefined && time >= this.deficit.closesAt) this.deficit = undefined;
    const { booked } = this;
    const { value } = this;
    let borne: Waterfall.Borne | undefined;
    if (value >= booked) {
      const gained = Waterfall.gain(this.books, value - booked, this.unlockAt, time);
      ({ books: this.books, unlockAt: this.unlockAt } = gained);
    } else {
      const before = this.books.senior;
      ({ books: this.books, borne } = Waterfall.lose(this.books, booked - value));
      if (borne.senior > 0n && (this.deficit !== undefined || borne.senior * Q >= before * DEFICIT_BPS)) {
        const openedAt = this.deficit?.openedAt ?? time;
        this.deficit = { openedAt, closesAt: min(time + DEFICIT_TERM, openedAt + DEFICIT_MAX_TERM) };
      }
    }
    this.retire();
    return borne;
  }

  private retire(): void {
    const { reserve, junior, senior, gains } = this.books;
    if (this.seniorSupply > 0n && senior * RETIREMENT < this.seniorSupply) {
      this.books = { reserve: reserve + senior, junior, senior: 0n, gains };
      this.seniorSupply = 0n;
      this.seniorRetired = true;
    }
    if (this.juniorSupply > 0n && junior * RETIREMENT < this.juniorSupply) {
      this.books = { ...this.books, reserve: this.books.reserve + junior, junior: 0n };
      this.juniorSupply = 0n;
      this.juniorRetired = true;
    }
  }

  // ---- what keepers do

  private protect(): void {
    const links = this.agents.flatMap((agent) => agent.links.map((link) => ({ agent, link })));
    let changed = false;
    for (const { link } of links) {
      if (link.pending > 0n && this.day >= link.effect) {
        link.current -= link.pending;
        link.pending = 0n;
        changed = true;
      }
      if (this.quarantined[link.group] && link.pending === 0n && link.current > 0n) this.lower(link, 0n);
    }
    if (changed) this.refresh();
    this.deleverage();
    this.raise();
  }

  private lower(link: Link, to: bigint): void {
    link.pending = link.current - to;
    link.effect = this.day + DEALLOCATION_DAYS;
  }

  /** SPEC 5.6, agent by agent. */
  private deleverage(): void {
    const { margin, haircut, k } = this.plan.terms;
    const time = BigInt(this.day) * DAY;
    const [value, cover] = [this.value, this.cover()];
    const b = () => (time <= this.repairUntil ? margin : 0n);
    if (Exposure.covered(this.risk().largest, value, cover, b(), haircut)) return; // forward is never more
    for (const agent of this.agents) {
      const { movable, settled } = this.forward();
      const forward = movable.map((x, i) => x + (settled[i] ?? 0n));
      if (Exposure.covered(this.largest(forward), value, cover, b(), haircut)) return;
      const available = Exposure.deleverageBudget(cover, value, 0n, margin, haircut);
      const ceiling = subtract(Exposure.ceiling(forward, k, available), MAX_LINKS * value);
      this.repairUntil = time + REPAIR;
      const held = movable.map(() => 0n);
      for (const { group, pending, current: now } of agent.links) {
        if (pending === 0n) held[group] = (held[group] ?? 0n) + now;
      }
      for (const link of agent.links) {
        if (link.current === 0n || link.pending !== 0n) continue;
        const { group } = link;
        const [moves, stays, all] = [movable[group] ?? 0n, settled[group] ?? 0n, held[group] ?? 0n];
        const target = Exposure.target(link.current, all, agent.magnitude, moves, stays, ceiling);
        if (target !== link.current) this.lower(link, target);
      }
    }
  }

  /** Allocations go back up towards their targets as far as the gate lets them: all of what is missing, a half, a quarter. */
  private raise(): void {
    const { k } = this.plan.terms;
    let most: bigint | undefined;
    for (const [i, agent] of this.agents.entries()) {
      for (const link of agent.links) {
        if (this.quarantined[link.group] || link.pending > 0n || link.current >= link.target) continue;
        most ??= this.mostExposure();
        if (most < 0n) return; // not covered: nothing may rise
        const { exposure, largest } = this.risk();
        const own = must(exposure[link.group], "group");
        const others = exposure.filter((_, group) => group !== link.group);
        const rest = Exposure.largest(others, k - 1).sum;
        const free = agent.magnitude - agent.links.reduce((total, one) => total + one.current, 0n);
        const missing = min(link.target - link.current, free);
        const before = Exposure.fraction(link.current, agent.magnitude);
        for (const quarters of [4n, 2n, 1n]) {
          const step = (missing * quarters) / 4n;
          const after = Exposure.fraction(link.current + step, agent.magnitude);
          // with the group among the k largest, or without it
          const sum = max(rest + own + (worth(agent) + 2n) * (after - before), largest);
          if (step === 0n || sum > most) continue;
          link.current += step;
          this.refresh(i);
          break;
        }
      }
    }
  }

  /** The largest L_k that the gate lets pass now, wei·P; negative where the haircut alone is too much. */
  private mostExposure(): bigint {
    const { margin, haircut } = this.plan.terms;
    const budget = Exposure.budget(this.cover()) / (Q + margin);
    const most = (budget - haircut * this.value * P * Q) / (Q * Q);
    return this.covered() ? most : -1n;
  }

  /** Idle above the buffer goes to the agents by weight, as far as the gate lets it. */
  private grow(): void {
    const { terms } = this.plan;
    for (const [i, agent] of this.agents.entries()) {
      const value = this.value;
      const buffer = (value * terms.buffer) / Q;
      const room = subtract(((value - buffer) * agent.weight) / Q, worth(agent));
      const wanted = min(room, subtract(this.idle, buffer));
      if (wanted < WORTHWHILE || agent.magnitude < LEAST_MAGNITUDE) continue;
      if (agent.links.some((link) => this.quarantined[link.group] && link.current > 0n)) continue;
      const line = Exposure.deployLine({
        exposure: this.risk().exposure,
        e: must(this.fractions[i], "fractions"),
        extraExposure: 0n,
        extraE: 0n,
        v: value,
        b: terms.margin,
        h: terms.haircut,
      });
      const amount = Exposure.limit(line, terms.k, Exposure.budget(this.cover()), wanted);
      if (amount < WORTHWHILE) continue;
      this.idle -= amount;
      agent.stake += (amount * WAD) / agent.magnitude;
      this.known = undefined;
    }
  }

  /** New junior money after a loss, where the assumptions say that some comes. */
  private refillJunior(): void {
    const { conduct, terms } = this.plan;
    if (conduct.refill === undefined || this.lastLoss === undefined || this.deficit !== undefined) return;
    if (this.day < this.lastLoss + conduct.refill.days) return;
    const largest = this.risk().largest;
    const amount = missingJunior(terms, largest, this.value, this.cover(), conduct.refill.utilisation);
    if (amount < WORTHWHILE) return;
    const { junior } = this.books;
    this.juniorSupply += this.juniorSupply === 0n ? amount : (amount * this.juniorSupply) / junior;
    this.books = { ...this.books, junior: junior + amount };
    this.idle += amount;
  }

  // ---- what the tier is worth and what could be taken

  get value(): bigint {
    return this.agents.reduce((total, agent) => total + worth(agent), this.idle);
  }

  private cover(): bigint {
    return this.books.reserve + this.books.junior;
  }

  /** Reads the fractions again, of one agent or of all. */
  private refresh(only?: number): void {
    this.known = undefined;
    this.fractions = this.agents.map(({ links, magnitude }, i) => {
      const known = this.fractions[i];
      if (only !== undefined && only !== i && known !== undefined) return known;
      const all = Array.from({ length: this.plan.groupCount }, () => 0n);
      for (const { group, current } of links) all[group] = (all[group] ?? 0n) + Exposure.fraction(current, magnitude);
      return all;
    });
  }

  /** E_a of each group and L_k, computed once until stakes or allocations change. */
  private risk(): { readonly exposure: readonly bigint[]; readonly largest: bigint } {
    if (this.known === undefined) {
      const exposure = this.exposures();
      this.known = { exposure, largest: Exposure.largest(exposure, this.plan.terms.k).sum };
    }
    return this.known;
  }

  private exposures(): bigint[] {
    const all = Array.from({ length: this.plan.groupCount }, () => 0n);
    this.agents.forEach((agent, i) => {
      const slashable = worth(agent) + 2n;
      this.fractions[i]?.forEach((fraction, group) => {
        if (fraction > 0n) all[group] = (all[group] ?? 0n) + slashable * fraction;
      });
    });
    return all;
  }

  /** SPEC 4.9: what will be left of each group, in links that can still be cut and in those that wait. */
  private forward(): { movable: bigint[]; settled: bigint[] } {
    const movable = Array.from({ length: this.plan.groupCount }, () => 0n);
    const settled = [...movable];
    for (const agent of this.agents) {
      const slashable = worth(agent) + 2n;
      for (const { group, current, pending } of agent.links) {
        const list = pending > 0n ? settled : movable;
        list[group] = (list[group] ?? 0n) + slashable * Exposure.fraction(current - pending, agent.magnitude);
      }
    }
    return { movable, settled };
  }

  private largest(exposure: readonly bigint[]): bigint {
    return Exposure.largest(exposure, this.plan.terms.k).sum;
  }

  private covered(): boolean {
    const { margin, haircut } = this.plan.terms;
    return Exposure.covered(this.risk().largest, this.value, this.cover(), margin, haircut);
  }

  private measure(): void {
    const { margin, haircut } = this.plan.terms;
    const [largest, value, cover] = [this.risk().largest, this.value, this.cover()];
    this.utilisation = Exposure.utilisation(largest, value, cover, margin, haircut);
    this.exposed = !Exposure.covered(largest, value, cover, 0n, haircut);
  }
}

const worth = (agent: Agent): bigint => (agent.stake * agent.magnitude) / WAD;
