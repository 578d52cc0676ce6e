/**
 * What a keeper's tier promises, looked at after each moment of a simulation: with the contracts' and EigenLayer's own
 * views, not with the keeper's.
 *
 * The bounds are the specification's. Unwinding takes EigenLayer's delay from the call on, and the keeper calls at once
 * (sections 5.5 and 10, 1); a cut that meets a decrease that is pending waits for it first. A senior request waits for its
 * maturity (3.4), one batch of an agent a day, EigenLayer's queue and Lido's; a junior request for its maturity, until it
 * is overdue, for deleveraging and both queues (5.3), except for what the haircut holds back (10, 18).
 */
import assert from "node:assert/strict";
import { Contract, type Interface, JsonRpcProvider } from "ethers";
import * as z from "zod";
import { covered, juniorLimit } from "../../model/exposure.ts";
import { decode } from "../../scenario/books.ts";
import { BLOCKS_A_DAY, big, call, cash, WAD } from "../../test/integration/world.ts";
import { LIDO_LAG } from "./events.ts";
import { type Exit, type Moment, momentOf, type Stage } from "./stage.ts";

const DUST_SHARES = 2_000n;
const DAYS = {
  /** What a bound is exceeded by before it counts: the simulation looks some times a day only. */
  slack: 1,
  /** Maturity of a senior request while the tier is covered, and of any other request. */
  matureCovered: 1,
  mature: 15,
  /** From maturity until a junior request is overdue. */
  overdue: 30,
  /** EigenLayer's delays. */
  delay: 14,
  /** One batch of an agent a day: some days until all that is needed is on its way. */
  batches: 3,
};

const booksSchema = z.object({ reserve: z.bigint(), junior: z.bigint(), senior: z.bigint(), gains: z.bigint() });
const previewSchema = z.object({
  books: booksSchema,
  value: z.bigint(),
  idle: z.bigint(),
  loose: z.bigint(),
  unstaking: z.bigint(),
  utilisation: z.bigint(),
  queuedJunior: z.bigint(),
});
const observationSchema = z.object({ exposed: z.bigint(), slashedAgents: z.bigint() });
const linkSchema = z.tuple([
  z.bigint(),
  z.object({ current: z.bigint(), pending: z.bigint(), effectBlock: z.bigint() }),
]);
const setSchema = z.object({
  operatorSet: z.object({ avs: z.string(), id: z.bigint() }),
  group: z.bigint(),
  quarantined: z.boolean(),
  approvedSlasher: z.string(),
});
const withdrawableSchema = z.object({ withdrawableShares: z.array(z.bigint()) });
const queuedSchema = z.object({ shares: z.array(z.array(z.bigint())) });
const STRATEGY = ["function sharesToUnderlyingView(uint256) view returns (uint256)"];
/** EigenLayer and stETH round down in other places than the tier does. */
const ROUNDING = 100n;
const agentSchema = z.object({ account: z.string(), links: z.bigint(), stake: z.bigint() });
const lossSchema = z.object({ amount: z.bigint() });

interface Link {
  readonly agent: number;
  readonly set: number;
  readonly current: bigint;
  readonly pending: bigint;
  readonly member: boolean;
  /** Whether the set could take something of the agent's now. */
  readonly power: boolean;
}

interface Sight extends Moment {
  readonly cover: bigint;
  readonly books: z.output<typeof booksSchema>;
  readonly value: bigint;
  /** V without what is restaked. */
  readonly liquid: bigint;
  readonly exposed: bigint;
  readonly utilisation: bigint;
  /** With b = 0: what must be repaired. */
  readonly sound: boolean;
  readonly queuedJunior: bigint;
  readonly seniorRate: bigint;
  readonly links: readonly Link[];
  readonly sets: readonly (z.output<typeof setSchema> & { readonly slasher: string })[];
  readonly lost: bigint;
  readonly slashing: ReadonlySet<number>;
  /** Something that repair must answer happened since the last sight: a loss, a quarantine, another slasher. */
  readonly trouble: boolean;
}

export interface Findings {
  readonly checks: number;
  readonly slashes: number;
  readonly losses: bigint;
  /** Days. */
  readonly longestUncovered: number;
  readonly longestSeniorWait: number;
  readonly longestJuniorWait: number;
  readonly exitsServed: number;
  readonly exitsReturned: number;
  readonly highest: bigint;
}

export class Promises {
  readonly #stage: Stage;
  /** The tier's and EigenLayer's contracts, asked in batches. */
  readonly #provider: JsonRpcProvider;
  readonly #tier: Contract;
  readonly #risk: Contract;
  readonly #manager: Contract;
  #looked: Moment | undefined;
  #checks = 0;
  #slashes = 0;
  #losses = 0n;
  #highest = 0n;
  #served = 0;
  #returned = 0;
  readonly #longest = { uncovered: 0, senior: 0, junior: 0 };

  #unsoundSince: Moment | undefined;
  #trouble: Moment | undefined;
  #pendingAtTrouble = false;
  /** The last loss of more than a hundredth of V, or time without cover: both make exits wait anew. */
  #delayed: Moment | undefined;
  #uncoveredAt: Moment | undefined;
  readonly #quarantinedSince = new Map<number, Moment>();
  /** At the last covered sight: the senior's rate; and who slashed since then. */
  #covered: { readonly rate: bigint; readonly slashing: Set<number>; readonly token: string } | undefined;

  constructor(stage: Stage) {
    this.#stage = stage;
    const { chain, local } = stage.world;
    this.#provider = new JsonRpcProvider(chain.url, 31_337, {
      staticNetwork: true,
      cacheTimeout: -1,
      batchStallTime: 1,
    });
    const through = (contract: Contract) => contract.connect(this.#provider) as Contract;
    this.#tier = through(stage.tier.tier);
    this.#risk = through(stage.tier.risk);
    this.#manager = through(local.core.allocationManager);
  }

  /** After the keeper is done with a moment. */
  async check(daily: boolean): Promise<void> {
    const sight = await this.#look();
    this.#checks++;
    const { reserve, junior, senior, gains } = sight.books;
    assert.equal(reserve + junior + senior + gains, sight.value, "R + J + S + G = V");
    this.#follow(sight);
    this.#ladder(sight);
    this.#slashers(sight);
    this.#cover(sight);
    await this.#headline(sight);
    await this.#queues(sight);
    if (daily) {
      await this.#recount(sight);
      await this.#claims();
    }
    this.#looked = sight;
  }

  close(): void {
    this.#provider.destroy();
  }

  findings(): Findings {
    return {
      checks: this.#checks,
      slashes: this.#slashes,
      losses: this.#losses,
      longestUncovered: days(this.#longest.uncovered),
      longestSeniorWait: days(this.#longest.senior),
      longestJuniorWait: days(this.#longest.junior),
      exitsServed: this.#served,
      exitsReturned: this.#returned,
      highest: this.#highest,
    };
  }

  // --------------------------------------------------------------------------------------------------------- looking

  async #look(): Promise<Sight> {
    const { world } = this.#stage;
    const [tier, risk, manager] = [this.#tier, this.#risk, this.#manager];
    const moment = await momentOf(world);
    const [preview, observation, params, agentCount, setCount, events] = await Promise.all([
      read(previewSchema, tier, "preview"),
      read(observationSchema, risk, "observe"),
      read(z.object({ marginBps: z.bigint(), haircutBps: z.bigint() }), risk, "params"),
      big(risk, "agentCount"),
      big(risk, "setCount"),
      this.#events(moment),
    ]);
    const sets = await Promise.all(
      Array.from({ length: Number(setCount) }, async (_, i) => {
        const one = await read(setSchema, risk, "set", i);
        const slasher = z.string().parse(await call(manager, "getSlasher", one.operatorSet));
        return { ...one, slasher };
      }),
    );
    const agents = await Promise.all(
      Array.from({ length: Number(agentCount) }, (_, i) => read(agentSchema, risk, "agent", i)),
    );
    const links = await Promise.all(
      agents.flatMap(({ account, links: count, stake }, agent) =>
        Array.from({ length: Number(count) }, async (_, j): Promise<Link> => {
          const [at, x] = await read(linkSchema, risk, "link", agent, j);
          const set = sets[Number(at)];
          if (!set) throw new Error(`There is no set ${at}.`);
          const [member, slashable] = z
            .tuple([z.boolean(), z.boolean()])
            .parse(
              await Promise.all(
                ["isMemberOfOperatorSet", "isOperatorSlashable"].map((fn) =>
                  call(manager, fn, account, set.operatorSet),
                ),
              ),
            );
          const power = slashable && x.current > 0n && stake > DUST_SHARES;
          return { agent, set: Number(at), current: x.current, pending: x.pending, member, power };
        }),
      ),
    );
    const { books, value } = preview;
    const cover = books.reserve + books.junior;
    const token = z.string().parse(await call(tier, "token", true));
    const series = this.#stage.series.get(token);
    const seniorRate = series ? await big(series.token, "collateralRate") : 0n;
    return {
      ...moment,
      cover,
      books,
      value,
      liquid: preview.idle + preview.loose + preview.unstaking,
      exposed: observation.exposed,
      utilisation: preview.utilisation,
      sound: covered(observation.exposed, value, cover, 0n, params.haircutBps),
      queuedJunior: preview.queuedJunior,
      seniorRate,
      links,
      sets,
      ...events,
    };
  }

  /** What was booked, slashed and quarantined since the last sight. */
  async #events(now: Moment) {
    const { tier, world } = this.#stage;
    const manager = world.local.core.allocationManager;
    const from = (this.#looked?.block ?? now.block - 1) + 1;
    const logs =
      from > now.block
        ? []
        : await world.provider.getLogs({
            address: [tier.address, String(tier.risk.target), String(manager.target)],
            fromBlock: from,
            toBlock: now.block,
          });
    let lost = 0n;
    let trouble = false;
    const slashing = new Set<number>();
    const accounts = new Set(tier.agents.map(({ address }) => address));
    for (const log of logs) {
      const face: Interface =
        log.address === tier.address
          ? tier.tier.interface
          : log.address === tier.risk.target
            ? tier.risk.interface
            : manager.interface;
      const parsed = face.parseLog(log);
      if (parsed?.name === "LossBooked") lost += lossSchema.parse(parsed.args.toObject()).amount;
      if (parsed?.name === "OperatorSlashed" && accounts.has(z.string().parse(parsed.args.getValue("operator")))) {
        const { avs } = z.object({ avs: z.string() }).parse(parsed.args.getValue("operatorSet").toObject());
        const at = tier.services.findIndex(({ set }) => set.avs === avs);
        const { group } = await read(z.object({ group: z.bigint() }), tier.risk, "set", at);
        slashing.add(Number(group));
        this.#slashes++;
        trouble = true;
      }
      if (["QuarantineChanged", "SetPoked", "GroupChanged", "WeightChanged"].includes(parsed?.name ?? "")) {
        if (parsed?.name !== "SetPoked" || parsed.args.getValue("unapproved") === true) trouble = true;
      }
    }
    this.#losses += lost;
    return { lost, slashing, trouble: trouble || lost > 1_000_000n };
  }

  // -------------------------------------------------------------------------------------------------------- promises

  #follow(sight: Sight): void {
    if (sight.trouble || !this.#trouble) {
      this.#trouble = sight;
      this.#pendingAtTrouble = sight.links.some(({ pending }) => pending > 0n);
    }
    if (sight.lost * 100n > sight.value) this.#delayed = sight;
    if (sight.utilisation > WAD) this.#uncoveredAt = sight;
    if (sight.utilisation > this.#highest) this.#highest = sight.utilisation;
    for (const [set, { quarantined }] of sight.sets.entries()) {
      if (!quarantined) this.#quarantinedSince.delete(set);
      else if (!this.#quarantinedSince.has(set)) this.#quarantinedSince.set(set, sight);
    }
  }

  /** SPEC 5.5: a quarantined set's allocation is on its way to nothing at once, and without power after the delay. */
  #ladder(sight: Sight): void {
    for (const link of sight.links) {
      const since = this.#quarantinedSince.get(link.set);
      if (!since) continue;
      const what = `agent ${link.agent}'s allocation to the quarantined set ${link.set}`;
      assert.ok(link.current === 0n || link.pending > 0n, `${what} is not being taken away`);
      assert.ok(
        !link.power || link.current === link.pending || !link.member,
        `${what} can be neither enlarged nor left, and the keeper did not climb the ladder`,
      );
      const age = sight.block - since.block;
      if (age > (DAYS.delay + DAYS.slack) * BLOCKS_A_DAY)
        assert.ok(!link.power, `${what} still has power after ${days(age)} days`);
    }
  }

  /** SPEC 4.8: before a slasher that nobody approved has power, nothing is left that it could take. */
  #slashers(sight: Sight): void {
    for (const link of sight.links) {
      const set = sight.sets[link.set];
      if (!set || set.slasher === set.approvedSlasher) continue;
      assert.ok(
        !link.power,
        `set ${link.set} has a slasher that nobody approved, and can take from agent ${link.agent}`,
      );
    }
  }

  /** The tier is not uncovered for longer than unwinding takes, where unwinding helps. */
  #cover(sight: Sight): void {
    if (sight.sound) {
      this.#unsoundSince = undefined;
      return;
    }
    this.#unsoundSince ??= sight;
    const since = Math.max(this.#unsoundSince.block, this.#trouble?.block ?? 0);
    this.#longest.uncovered = Math.max(this.#longest.uncovered, sight.block - this.#unsoundSince.block);
    const bound = (this.#pendingAtTrouble ? 2 * DAYS.delay : DAYS.delay) + DAYS.slack;
    // with nothing allocated, the haircut alone may ask for more than there is: only new junior money helps then
    if (sight.exposed === 0n || sight.block - since <= bound * BLOCKS_A_DAY) return;
    assert.fail(
      `The tier is uncovered for ${days(sight.block - this.#unsoundSince.block)} days, ${days(sight.block - since)} since the last trouble: ` +
        `L_k ${sight.exposed / 10n ** 9n}, V ${sight.value}, cover ${sight.cover}`,
    );
  }

  /** SPEC 9: from a covered block on, k groups cannot lower the senior's rate. */
  async #headline(sight: Sight): Promise<void> {
    const token = z.string().parse(await call(this.#stage.tier.tier, "token", true));
    const last = this.#covered;
    if (last && last.token === token) {
      for (const group of sight.slashing) last.slashing.add(group);
      if (last.slashing.size <= 2)
        assert.ok(
          sight.seniorRate >= last.rate,
          `${last.slashing.size} groups slashed since the tier was covered, and the senior's rate fell from ${last.rate} to ${sight.seniorRate}`,
        );
    }
    // who slashed and is not booked yet counts for the next interval too
    if (sight.utilisation <= WAD || last?.token !== token)
      this.#covered = { rate: sight.seniorRate, slashing: new Set(), token };
  }

  /** SPEC 5.3: no request waits longer than its bound. */
  async #queues(sight: Sight): Promise<void> {
    const stage = this.#stage;
    const left: Exit[] = [];
    for (const exit of stage.exits) {
      const retired = await read(z.object({ exists: z.boolean() }), stage.tier.tier, "retired", exit.token.target);
      if (retired.exists) {
        this.#returned++;
        continue;
      }
      const waited = sight.block - exit.at.block;
      const side = exit.senior ? "senior" : "junior";
      if ((await big(exit.token, "pendingRedeemRequest", exit.id, exit.controller)) === 0n) {
        this.#served++;
        this.#longest[side] = Math.max(this.#longest[side], waited);
        continue;
      }
      left.push(exit);
      const bound = exit.senior ? this.#seniorBound(exit) : this.#juniorBound();
      const since = Math.max(
        exit.at.block,
        this.#delayed?.block ?? 0,
        exit.senior ? 0 : (this.#uncoveredAt?.block ?? 0),
      );
      if (sight.block - since <= bound * BLOCKS_A_DAY) continue;
      if (!exit.senior && (await this.#heldByHaircut(sight))) continue;
      assert.fail(
        `A ${side} exit (${exit.id} of ${exit.shares} shares) waits for ${days(waited)} days; its bound is ${bound} days from day ` +
          `${days(since - exit.at.block)} of them on`,
      );
    }
    stage.exits = left;
  }

  #seniorBound(exit: Exit): number {
    const uncovered = (this.#uncoveredAt?.block ?? 0) >= exit.at.block;
    return (uncovered ? DAYS.mature : DAYS.matureCovered) + DAYS.batches + DAYS.delay + LIDO_LAG + DAYS.slack;
  }

  #juniorBound(): number {
    return DAYS.mature + DAYS.overdue + DAYS.delay + DAYS.batches + LIDO_LAG + DAYS.slack;
  }

  /** Whether nothing more could leave even with nothing allocated. */
  async #heldByHaircut(sight: Sight): Promise<boolean> {
    const params = await read(
      z.object({ marginBps: z.bigint(), haircutBps: z.bigint() }),
      this.#stage.tier.risk,
      "params",
    );
    const free = juniorLimit(0n, sight.value, sight.cover, params.marginBps, params.haircutBps);
    return free < sight.queuedJunior;
  }

  /** SPEC rule 1: V once more, from EigenLayer's own views. */
  async #recount(sight: Sight): Promise<void> {
    const { tier, world } = this.#stage;
    const { strategy, core } = world.local;
    const delegation = core.delegationManager.connect(this.#provider) as Contract;
    const shares = await Promise.all(
      tier.agents.map(async ({ address }) => {
        const [{ withdrawableShares }, queued] = await Promise.all([
          read(withdrawableSchema, delegation, "getWithdrawableShares", address, [strategy]),
          read(queuedSchema, delegation, "getQueuedWithdrawals", address),
        ]);
        return queued.shares.reduce((sum, [one = 0n]) => sum + one, withdrawableShares[0] ?? 0n);
      }),
    );
    const all = shares.reduce((sum, one) => sum + one, 0n);
    const face = new Contract(strategy, STRATEGY, this.#provider);
    const value = sight.liquid + (await big(face, "sharesToUnderlyingView", all));
    const gap = value - sight.value;
    assert.ok(
      gap <= ROUNDING && gap >= -ROUNDING,
      `the tier says V = ${sight.value}, EigenLayer and Lido say ${value}`,
    );
  }

  /** SPEC rule 8: what all can claim is set aside, and the money is there. */
  async #claims(): Promise<void> {
    const { series, people, tier, world } = this.#stage;
    let claimable = 0n;
    for (const { token } of series.values())
      for (const { address } of people) claimable += await big(token, "maxWithdraw", address);
    const [{ idle, reserved }, held] = await Promise.all([
      cash(tier),
      big(world.local.weth, "balanceOf", tier.address),
    ]);
    assert.ok(held >= idle + reserved, `${held} wei of WETH are there, ${idle} and ${reserved} are recorded`);
    assert.ok(claimable <= reserved, `${claimable} wei can be claimed, ${reserved} are set aside`);
  }
}

const days = (blocks: number): number => Math.round((blocks / BLOCKS_A_DAY) * 10) / 10;

async function read<T extends z.ZodType>(
  schema: T,
  contract: Contract,
  fn: string,
  ...args: unknown[]
): Promise<z.output<T>> {
  return decode(schema, await contract.getFunction(fn).staticCallResult(...args));
}

/** U as people write it. */
export const percent = (u: bigint): string => `${(Number(u / 10n ** 14n) / 1e2).toFixed(1)} %`;
