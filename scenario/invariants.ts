/** SPEC's invariants, as far as a running chain can show them; each is counted, so that none passes unlooked at. */
import { Interface } from "ethers";
import * as z from "zod";
import { decode, ranking, rateOf, type Side, type TierView, total, type View, ZERO_ADDRESS } from "./books.ts";
import { type Call, Refused } from "./chain.ts";
import type { Booked, Journal } from "./journal.ts";
import { BPS, WAD } from "./units.ts";
import { SET_ID, type Tier, type World } from "./world.ts";

export const INVARIANTS: ReadonlyMap<number, string> = new Map([
  [1, "Conservation: R + J + S + G = V after every call, V counted again from EigenLayer, Lido and WETH"],
  [2, "While at most k slasher groups slash between two covered blocks, the senior rate does not fall"],
  [3, "Junior first: the senior loses only when gains, reserve and junior are empty"],
  [4, "No free lunch: all that came in or was earned is there, was lost or was paid, to the wei"],
  [5, "No dodging: whoever leaves gets the rate of those who stay, and bears the same losses"],
  [6, "Transfers, exit requests and rates never revert, covered or not"],
  [7, "Recorded exposure is at least what EigenLayer would let be slashed"],
  [8, "Claimable is at most what is reserved, and the WETH is there"],
  [9, "Without a loss no rate falls"],
  [10, "Gated calls leave U at most 1"],
  [11, "Limits are exact: they pass, one wei more is refused"],
  [12, "A tier's books never change because of another tier"],
  [13, "Fees come out of AVS rewards only, within the agreed parts, and all the rest is the tier's, to the wei"],
]);

export interface Verdict {
  readonly number: number;
  readonly text: string;
  readonly checks: number;
  readonly failures: readonly string[];
}

const wei = z.bigint();
const queuedWithdrawals = z.object({ shares: z.array(z.array(wei)) });
const allocation = z.object({ currentMagnitude: wei });
const RICH = 10n ** 24n;
const FIRST_DEPOSIT = 10n ** 16n;
/** EigenLayer and stETH round down in other places than we do: a few wei for each agent and each withdrawal. */
const ROUNDING = 100n;

/** Compares rates of two moments without dividing: positive when the rate has risen. */
export function compareRates(before: Side, after: Side): bigint {
  if (before.supply === 0n || after.supply === 0n) return 0n;
  return after.book * before.supply - before.book * after.supply;
}

export class Invariants {
  #checks = new Map<number, { count: number; failures: string[] }>();
  /** Since the last covered moment: the senior then, who has slashed, and what the staking token has lost (wei). */
  #covered = new Map<string, { side: Side; value: bigint; slashing: Set<number>; stakingLoss: bigint }>();

  check(number: number, holds: boolean, message: () => string): void {
    const entry = this.#checks.get(number) ?? { count: 0, failures: [] };
    entry.count++;
    if (!holds) entry.failures.push(message());
    this.#checks.set(number, entry);
  }

  verdicts(): readonly Verdict[] {
    return [...INVARIANTS].map(([number, text]) => {
      const { count, failures } = this.#checks.get(number) ?? { count: 0, failures: [] };
      return { number, text, checks: count, failures };
    });
  }

  /** After every step, with what was seen before it. `subject`: the only tier that the step was about. */
  async observe(journal: Journal, before: View, after: View, what: string, subject: string | undefined): Promise<void> {
    const { world } = journal;
    for (const [name, now] of after.tiers) {
      const then = before.tiers.get(name);
      if (!then) continue;
      const losses = journal.losses.filter((loss) => loss.tier === name && loss.block > before.block);
      const unbooked = now.preview.borne;
      const lost = losses.length > 0 || unbooked.gains + unbooked.reserve + unbooked.junior + unbooked.senior > 0n;

      this.check(1, total(now.preview.books) === now.preview.value, () => `${what}: ${name}'s preview does not add up`);
      // about one tier: what the others' own views say is looked at when it is their turn
      const looked = subject === undefined || subject === name;
      if (looked) await this.#recount(world, now, what);
      this.#headline(now, losses, what);
      for (const senior of [true, false]) {
        const [was, is] = senior ? [then.senior, now.senior] : [then.junior, now.junior];
        if (lost || was.token !== is.token) continue;
        const side = senior ? "senior" : "junior";
        this.check(9, compareRates(was, is) >= 0n, () => `${what}: ${name}'s ${side} rate fell without a loss`);
      }
      const claimable = now.holdings.reduce((sum, one) => sum + one.claimable, 0n);
      this.check(8, claimable <= now.reserved, () => `${what}: ${name} owes ${claimable}, reserved ${now.reserved}`);
      if (looked) await this.#exits(world, now, what);
      if (subject !== undefined && subject !== name) {
        const same = JSON.stringify(then.stored, bigints) === JSON.stringify(now.stored, bigints);
        const shares = then.senior.supply === now.senior.supply && then.junior.supply === now.junior.supply;
        this.check(12, same && shares && losses.length === 0, () => `${what}, about ${subject}, changed ${name}`);
      }
    }
  }

  /** V and the exposures once more, from EigenLayer's, Lido's and WETH's own views. */
  async #recount(world: World, now: TierView, what: string): Promise<void> {
    const { chain, faces, addresses } = world;
    const { tier } = now;
    const am = (fn: string, ...args: unknown[]): Call => ({
      to: addresses.allocationManager,
      face: faces.allocationManager,
      fn,
      args,
    });
    const dm = (fn: string, ...args: unknown[]): Call => ({
      to: addresses.delegationManager,
      face: faces.delegationManager,
      fn,
      args,
    });
    const steth = (fn: string, ...args: unknown[]): Call => ({ to: addresses.steth, face: faces.steth, fn, args });
    const links = tier.agents.flatMap((agent) => agent.avss.map((avs) => ({ agent, avs })));
    const read = await chain.read([
      ...tier.agents.flatMap((agent) => [
        dm("getWithdrawableShares", agent.address, [addresses.strategy]),
        dm("getQueuedWithdrawals", agent.address),
        dm("getSlashableSharesInQueue", agent.address, addresses.strategy),
        am("getMaxMagnitude", agent.address, addresses.strategy),
      ]),
      ...links.map(({ agent, avs }) =>
        am("getAllocation", agent.address, { avs: world.avss.get(avs)?.address, id: SET_ID }, addresses.strategy),
      ),
      steth("getPooledEthByShares", WAD),
      steth("sharesOf", tier.module),
      { to: addresses.weth, face: faces.weth, fn: "balanceOf", args: [tier.address] },
    ]);
    const count = tier.agents.length * 4;
    let shares = 0n;
    const stakes = new Map<string, { shares: bigint; max: bigint }>();
    for (const [i, agent] of tier.agents.entries()) {
      const [withdrawable, queued, slashable, max] = read.slice(i * 4, i * 4 + 4);
      const own = wei.parse(withdrawable?.[0]?.[0]);
      const waiting = decode(queuedWithdrawals, queued).shares.reduce((sum, [one = 0n]) => sum + one, 0n);
      shares += own + waiting;
      stakes.set(agent.address, { shares: own + wei.parse(slashable?.[0]), max: wei.parse(max?.[0]) });
    }
    const cash = wei.parse(read.at(-1)?.[0]);
    this.check(
      8,
      cash >= now.idle + now.reserved,
      () => `${what}: ${tier.name} holds ${cash} WETH, recorded ${now.idle + now.reserved}`,
    );

    const strategy = await chain.get<bigint>({
      to: addresses.strategy,
      face: STRATEGY,
      fn: "sharesToUnderlyingView",
      args: [shares],
    });
    const value = now.idle + now.preview.loose + now.preview.unstaking + strategy;
    const gap = value - now.preview.value;
    this.check(
      1,
      gap <= ROUNDING && gap >= -ROUNDING,
      () => `${what}: ${tier.name} says V = ${now.preview.value}, EigenLayer and Lido say ${value}`,
    );

    const taken = new Map<number, bigint>();
    const groupOf = (avs: string) => [...now.groups].find(([, names]) => names.includes(avs))?.[0] ?? -1;
    for (const [i, { agent, avs }] of links.entries()) {
      const { currentMagnitude } = decode(allocation, read[count + i]);
      const stake = stakes.get(agent.address);
      if (!stake || stake.max === 0n) continue;
      const part = (stake.shares * currentMagnitude * strategy) / (shares === 0n ? 1n : shares) / stake.max;
      taken.set(groupOf(avs), (taken.get(groupOf(avs)) ?? 0n) + part);
    }
    for (const [group, amount] of taken) {
      const recorded = (now.exposures.current[group] ?? 0n) + now.exposures.unapproved;
      this.check(7, recorded >= amount * 10n ** 9n, () => {
        const name = ranking(now).find((one) => one.group === group)?.name ?? group;
        return `${what}: ${tier.name} records ${recorded / 10n ** 9n} for ${name}, which could take ${amount}`;
      });
    }
  }

  #headline(now: TierView, losses: readonly Booked[], what: string): void {
    const { name, terms } = now.tier;
    const last = this.#covered.get(name);
    if (last) {
      for (const loss of losses) {
        for (const { group } of loss.causes) last.slashing.add(group);
        if (!loss.slashed) last.stakingLoss += loss.amount;
      }
      const fell = last.side.token === now.senior.token && compareRates(last.side, now.senior) < 0n;
      const promised = last.slashing.size <= terms.k && last.stakingLoss * BPS <= last.value * BigInt(terms.haircut);
      const groups = `${last.slashing.size} of k = ${terms.k} groups slashed`;
      if (promised) this.check(2, !fell, () => `${what}: ${name}'s senior rate fell although ${groups}`);
    }
    if (now.preview.utilisation > WAD) return;
    this.#covered.set(name, { side: now.senior, value: now.preview.value, slashing: new Set(), stakingLoss: 0n });
  }

  /** Tried without being done: a transfer and a request for everything, from the first holder of each tranche. */
  async #exits(world: World, now: TierView, what: string): Promise<void> {
    const calls: Call[] = [];
    for (const senior of [true, false]) {
      const side = senior ? now.senior : now.junior;
      const holder = now.holdings.find((one) => one.senior === senior && one.shares > one.queued);
      if (!holder || side.token === ZERO_ADDRESS) continue;
      const from = world.accounts.people.get(holder.person) ?? "";
      const shares = holder.shares - holder.queued;
      const token = { to: side.token, face: world.faces.token, from };
      calls.push({ ...token, fn: "transfer", args: [world.accounts.keeper, shares] });
      calls.push({ ...token, fn: "requestRedeem", args: [shares, from, from] });
      calls.push({ ...token, fn: "collateralRate" });
    }
    const results = await world.chain.tryRead(calls);
    for (const [i, result] of results.entries()) {
      // a series that the next sync retires takes no requests: its holders are no longer in it
      if (result instanceof Refused && result.reason === "SeriesRetired") continue;
      this.check(
        6,
        !(result instanceof Refused),
        () => `${what}: ${calls[i]?.fn} in ${now.tier.name}: ${(result as Refused).message}`,
      );
    }
  }

  /** The limits pass, and one wei more is refused; tried without being done. */
  async limits(world: World, tier: Tier, now: TierView): Promise<void> {
    const { chain, faces, addresses, accounts } = world;
    const deadline = chain.head.time + 86_400;
    const edges: {
      readonly what: string;
      readonly limit: Call;
      readonly least: bigint;
      readonly act: (amount: bigint) => Call;
    }[] = [];
    for (const senior of [true, false]) {
      const side = senior ? now.senior : now.junior;
      const name = senior ? "senior" : "junior";
      if (side.token === ZERO_ADDRESS) continue;
      edges.push({
        what: `${tier.name}'s ${name} deposit limit`,
        limit: { to: tier.address, face: faces.tier, fn: "maxDeposit", args: [senior] },
        least: FIRST_DEPOSIT,
        act: (value) => ({
          to: addresses.router,
          face: faces.router,
          fn: "depositEth",
          args: [side.token, 0, accounts.keeper, deadline],
          from: accounts.keeper,
          value,
        }),
      });
      if (side.queued === 0n) continue;
      edges.push({
        what: `${tier.name}'s finalisable ${name} shares`,
        limit: { to: tier.address, face: faces.tier, fn: "finalisable", args: [senior] },
        least: 1n,
        act: (shares) => ({ to: side.token, face: faces.token, fn: "finalise", args: [shares] }),
      });
    }
    for (const agent of tier.agents) {
      edges.push({
        what: `${tier.name}'s limit for ${agent.operator}`,
        limit: { to: tier.stakes, face: faces.stakes, fn: "deployLimit", args: [agent.index] },
        least: 1n,
        act: (assets) => ({ to: tier.stakes, face: faces.stakes, fn: "deploy", args: [agent.index, assets] }),
      });
    }
    const limits = (await chain.read(edges.map((edge) => edge.limit))).map((one) => wei.parse(one[0]));
    // nobody here could pay a limit that only the cap sets
    const tried = edges.flatMap((edge, i) => {
      const limit = limits[i] ?? 0n;
      return limit < RICH / 2n ? [{ ...edge, amount: limit }] : [];
    });
    const over = await chain.probe(tried.map(({ act, amount }) => act(amount + 1n)));
    const within = await chain.probe(tried.map(({ act, amount }) => act(amount)));
    for (const [i, { what, amount, least }] of tried.entries()) {
      this.check(11, over[i] instanceof Refused, () => `${what}: one wei more than ${amount} passes`);
      const answer = within[i];
      if (amount < least) continue;
      this.check(
        11,
        !(answer instanceof Refused),
        () => `${what} of ${amount} is refused: ${(answer as Refused).message}`,
      );
    }
  }

  /** At a finalisation: the rate of those who leave is the rate of those who stay, to the wei. */
  finalised(tier: string, shares: bigint, assets: bigint, stays: Side): void {
    if (stays.supply === 0n) return;
    const rate = rateOf(stays);
    const fair = (shares * rate) / WAD;
    const gap = fair > assets ? fair - assets : assets - fair;
    this.check(
      5,
      gap <= 2n + shares / WAD,
      () => `${tier}: ${assets} wei paid for ${shares} shares, those who stay have ${fair}`,
    );
  }

  /** At the end: what AVSs paid is the tier's or somebody's pay, and the pay is there or was claimed. */
  async fees(journal: Journal): Promise<void> {
    const { chain, faces, addresses, tiers } = journal.world;
    for (const [name, flow] of journal.rewards) {
      const tier = tiers.get(name);
      if (!tier || flow.came === 0n) continue;
      const { came, gained, earned, claimed } = flow;
      this.check(13, gained + earned === came, () => `${name}: ${came} came, ${gained} gained, ${earned} earned`);
      const most = BigInt((tier.terms["operator fee"] ?? 0) + (tier.terms["protocol fee"] ?? 0));
      this.check(13, earned * BPS <= came * most, () => `${name}: ${earned} of ${came} is more than was agreed`);
      const weth = { to: addresses.weth, face: faces.weth, fn: "balanceOf", args: [tier.rewards] };
      const there = await chain.get<bigint>(weth);
      this.check(13, there === earned - claimed, () => `${name}: pay of ${earned - claimed} is due, ${there} is there`);
    }
  }

  /** At the end: what came in and was gained is there, was lost or was paid. */
  settle(journal: Journal, last: View): void {
    for (const [name, flow] of journal.flows) {
      const now = last.tiers.get(name);
      if (!now) continue;
      const { gains, reserve, junior, senior } = now.stored;
      const there = gains + reserve + junior + senior + now.reserved;
      const due = flow.in + flow.gained - flow.lost - flow.paid;
      this.check(4, there === due, () => `${name}: ${due} wei should be there, ${there} are`);
    }
  }
}

const bigints = (_: string, value: unknown): unknown => (typeof value === "bigint" ? value.toString() : value);

const STRATEGY = new Interface(["function sharesToUnderlyingView(uint256) view returns (uint256)"]);
