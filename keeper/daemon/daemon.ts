/**
 * The loop. Each new head: the pulse of all tiers in one call; where it shows something, protection on the full state of
 * that head, at once; routine by interval, on final blocks. What is in flight is looked after first. Everything that must
 * survive is in the journal, so the process may be killed at any moment and started again.
 */

import { setTimeout } from "node:timers/promises";
import type { Incident } from "../chain/events.ts";
import { HeadFollower } from "../chain/head.ts";
import type { Chain, Header } from "../chain/types.ts";
import { RpcDisagreement, RpcError } from "../chain/types.ts";
import type { Config } from "../config/schema.ts";
import type { Action, Job, KeeperState, Plan, Remembered, RewardsClaim, Urgency } from "../plan/types.ts";
import type { BlockRef, Pulse, TierRef, TierState } from "../state/types.ts";
import { type Batch, type Entry, laneOf, type Refusal, type Sender } from "../transactions/types.ts";
import { attentionOf, signatureOf, surroundingsOf } from "./attention.ts";
import { concerning } from "./incidents.ts";
import type { Log, Memory, Metrics, Status, Views } from "./ports.ts";
import { keyOf, Setbacks } from "./setbacks.ts";

export interface DaemonOptions {
  readonly config: Config;
  readonly chain: Chain;
  readonly views: Views;
  readonly plan: (state: KeeperState, config: Config) => Plan;
  /** Without one nothing is offered: the plan is logged. */
  readonly sender?: Sender | undefined;
  readonly memory: Memory;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly claims?: ((tiers: readonly TierState[], block: BlockRef) => Promise<readonly RewardsClaim[]>) | undefined;
  /** EigenLayer's events in a block; asks only where the header's bloom allows them. */
  readonly incidents?: ((head: Header) => Promise<readonly Incident[]>) | undefined;
  /** Wall clock, in milliseconds. */
  readonly clock?: () => number;
  readonly random?: () => number;
}

/** Blocks after which the pulse is asked of several RPCs again. */
const CROSS_CHECK = 25;
/** Blocks for which RPCs may disagree before protection goes by the healthiest of them. */
const PATIENCE = 3;
/** Blocks between two lines about the same lasting trouble. */
const REPEAT = 25;
/** Blocks after which a dry run tells the same action again. */
const DRY_REPEAT = 300;
/** Blocks between two questions for the final block, where it is far behind. */
const FINAL_EVERY = 8;
/** Lines that are remembered as said. */
const MEMORY = 1_000;
const MAX_PAUSE = 12_000;
/** Jobs that pass again and again. */
const REPEATABLE: ReadonlySet<Job> = new Set(["sync", "poke", "review", "clearQueue"]);

/**
 * A fault of the program, not of the world: the process ends, and its supervisor starts it again. Libraries throw the same
 * classes for what they were given (an answer that is cut, an address that is none), with a code.
 */
export const isBug = (error: unknown): boolean =>
  (error instanceof TypeError ||
    error instanceof ReferenceError ||
    error instanceof RangeError ||
    error instanceof SyntaxError) &&
  !("code" in error);

const WAD = 10n ** 18n;

export class Daemon {
  readonly #config: Config;
  readonly #chain: Chain;
  readonly #views: Views;
  readonly #plan: DaemonOptions["plan"];
  readonly #sender: Sender | undefined;
  readonly #memory: Memory;
  readonly #log: Log;
  readonly #metrics: Metrics;
  readonly #claims: DaemonOptions["claims"];
  readonly #incidents: DaemonOptions["incidents"];
  readonly #clock: () => number;
  readonly #setbacks: Setbacks;

  #tiers: readonly TierRef[] = [];
  readonly #heads: HeadFollower;
  /** The head at which the last reorg was seen. */
  #forkedAt: number | undefined;
  /** Blocks whose events were not looked at yet. */
  #news: Header[] = [];
  /** The head must be looked at again, though it is not new: something failed. */
  #again = false;
  /** Something failed in this turn. */
  #troubled = false;
  #considered: number | undefined;
  #routine: BlockRef | undefined;
  #routineAt: number | undefined;
  /** A routine transaction is final: there may be a next step. */
  #followUp = false;
  readonly #left: Record<Urgency, boolean> = { protection: true, routine: true };
  #lastError: string | undefined;
  #turnedAt: number | undefined;
  #seenAt: number | undefined;
  #balance: bigint | undefined;
  #balanceAt: number | undefined;

  /** The tiers as they were last read. */
  readonly #known = new Map<string, TierState>();
  /** What the surroundings' hash of a tier's pulse was when its state was last read. */
  readonly #surroundings = new Map<string, string>();
  /** Surroundings that the next poke of the tier answers. */
  readonly #unanswered = new Map<string, readonly Remembered[]>();
  /** A tier whose trouble cannot be helped before a block, unless its pulse changes. */
  readonly #helpless = new Map<string, { readonly signature: string; readonly until: number }>();
  /** The block since which a tier has something to unwind. */
  readonly #trouble = new Map<string, number>();
  /** Chain time since which a tier is not covered. */
  readonly #uncovered = new Map<string, number>();
  readonly #unreadable = new Set<string>();
  readonly #stages = new Map<number, string>();
  readonly #said = new Map<string, number>();
  #crossChecked: number | undefined;
  /** Blocks in a row at which protection found the RPCs to disagree, and the last of them. */
  #disagreements = 0;
  #disagreedAt: string | undefined;

  constructor(options: DaemonOptions) {
    this.#config = options.config;
    this.#chain = options.chain;
    this.#views = options.views;
    this.#plan = options.plan;
    this.#sender = options.sender;
    this.#memory = options.memory;
    this.#log = options.log;
    this.#metrics = options.metrics;
    this.#claims = options.claims;
    this.#incidents = options.incidents;
    this.#clock = options.clock ?? Date.now;
    this.#setbacks = new Setbacks(options.random);
    const clock = this.#clock;
    const pollSeconds = options.config.chain.poll_seconds;
    this.#heads = new HeadFollower(options.chain, { pollSeconds, clock: () => clock() / 1_000 });
  }

  status(): Status {
    const inFlight = this.#sender?.inFlight().length ?? 0;
    const { number, hash, timestamp } = this.#heads.head ?? {};
    return {
      address: this.#sender?.address,
      chainId: this.#chain.chainId,
      dryRun: this.#config.dry_run || this.#sender === undefined,
      head:
        number === undefined || hash === undefined || timestamp === undefined ? undefined : { number, hash, timestamp },
      considered: this.#considered,
      routine: this.#routine?.number,
      inFlight,
      settled: inFlight === 0 && !this.#again && !this.#left.protection && !this.#left.routine && !this.#followUp,
      lastError: this.#lastError,
    };
  }

  /** Wall clock (seconds) at which the loop last finished a turn and last saw a new head, and the wallet's last balance. */
  vitals(): {
    readonly turnedAt?: number | undefined;
    readonly seenAt?: number | undefined;
    balance?: bigint | undefined;
  } {
    return { turnedAt: this.#turnedAt, seenAt: this.#seenAt, balance: this.#balance };
  }

  /** Turns until the signal; the turn that it comes in is finished. Errors of the world do not end it, a bug does. */
  async run(signal: AbortSignal): Promise<void> {
    let failures = 0;
    while (!signal.aborted) {
      failures = (await this.step()) ? 0 : failures + 1;
      if (failures < 2) await this.#heads.wait(signal);
      else
        await pause(
          Math.min(Math.max(this.#config.chain.poll_seconds * 1_000, 250) * 2 ** (failures - 1), MAX_PAUSE),
          signal,
        );
    }
  }

  /** One turn: looks for a new head and does what there is to do. Says whether all went well. */
  async step(): Promise<boolean> {
    const started = this.#clock();
    this.#troubled = false;
    try {
      await this.#attempt("looked for the head of the chain", async () => {
        const head = await this.#newHead();
        if (head === undefined) return;
        this.#again = true; // until all of it is done
        if (this.#tiers.length === 0) await this.#findTiers();
        await this.#attempt("looked after what is in flight", () => this.#tend(head));
        await this.#attempt("looked after protection", () => this.#protect(head));
        await this.#attempt("did its routine", () => this.#doRoutine(head));
        this.#again = this.#troubled;
      });
      if (!this.#troubled) this.#lastError = undefined;
      return !this.#troubled;
    } catch (error) {
      this.#troubled = true;
      throw error;
    } finally {
      const now = this.#clock();
      this.#turnedAt = now / 1_000;
      this.#metrics.step((now - started) / 1_000, !this.#troubled);
    }
  }

  /** What fails is told and tried again; the rest of the turn goes on. */
  async #attempt(what: string, task: () => Promise<void>): Promise<void> {
    try {
      await task();
    } catch (error) {
      if (isBug(error)) throw error;
      this.#failed(what, error);
    }
  }

  // ------------------------------------------------------------------------------------------------------ the chain

  /** The head, if it has to be looked at. */
  async #newHead(): Promise<Header | undefined> {
    const change = await this.#heads.poll();
    if (change === undefined) return this.#again ? this.#heads.head : undefined;
    const { head, added, removed, jumped, skew } = change;
    this.#seenAt = this.#clock() / 1_000;
    this.#metrics.head(head, skew);
    this.#news.push(...added);
    const oldest = removed.at(-1);
    if (oldest) {
      this.#metrics.reorg(removed.length);
      this.#tell("warn", "The chain took blocks back: what they held is looked at again.", {
        block: head.number,
        from: oldest.number,
        depth: removed.length,
      });
      this.#forkedAt = Math.max(head.number, removed[0]?.number ?? 0);
      this.#helpless.clear();
      this.#trouble.clear();
      if (this.#routine && this.#routine.number >= oldest.number) this.#routine = undefined;
      if (this.#routineAt !== undefined && this.#routineAt >= oldest.timestamp) this.#routineAt = undefined;
      this.#crossChecked = undefined;
    }
    if (jumped) this.#tell("debug", "Blocks before this head were not looked at.", { block: head.number });
    this.#setbacks.prune(head.number);
    return head;
  }

  /** The final block; asked for again where it can have moved: on Ethereum it is far behind, and moves once in 32 blocks. */
  async #finalBlock(head: Header): Promise<BlockRef> {
    const behind = head.number - (this.#heads.knownFinal?.number ?? 0);
    const final = await this.#heads.final(Math.min(FINAL_EVERY, behind >> 3));
    this.#metrics.final(refOf(final));
    // where every block is final at once, there may be a newer one already: the state that is planned on is the head's
    return refOf(final.number > head.number ? head : final);
  }

  async #findTiers(): Promise<void> {
    const found = await this.#views.tiers();
    const known = new Set(this.#tiers.map((tier) => tier.address));
    for (const tier of found)
      if (!known.has(tier.address)) this.#tell("info", `Keeps the tier ${tier.name}.`, { tier: tier.name });
    this.#tiers = found;
    if (found.length === 0)
      this.#sayOnce(
        "tiers",
        "There is no tier to keep: is the deployment the right one?",
        {},
        this.#heads.head?.number ?? 0,
      );
  }

  // ------------------------------------------------------------------------------------------------------ in flight

  async #tend(head: Header): Promise<void> {
    if (!this.#sender) return;
    if (this.#sender.inFlight().length === 0) return;
    const final = await this.#finalBlock(head);
    const changed = await this.#sender.tend(refOf(head), final);
    for (const entry of changed) this.#follow(entry);
    this.#metrics.inFlight(this.#sender.inFlight(), head);
  }

  /** What became of a transaction, once for each stage. */
  #follow(entry: Entry): void {
    const before = this.#stages.get(entry.id);
    if (before === entry.stage) return;
    this.#stages.set(entry.id, entry.stage);
    const tier = this.#nameOf(entry.tier);
    const hash = entry.hashes.at(-1);
    const about = { tier, hash, block: entry.minedIn?.number, cost: entry.paid };
    switch (entry.stage) {
      case "intended":
        break;
      case "sent":
        if (before === "mined") this.#tell("warn", "A transaction lost its block, and is sent again.", about);
        break;
      case "mined":
      case "final":
        if (before !== "mined") this.#mined(entry, about);
        if (entry.stage === "final") this.#ended(entry);
        break;
      case "abandoned":
        this.#tell("warn", "A transaction was given up: its nonce was used by another one.", about);
        this.#ended(entry);
        break;
    }
  }

  #mined(entry: Entry, about: object): void {
    const lane = laneOf(entry);
    const at = entry.minedIn?.number ?? entry.decidedAt;
    const done = entry.succeeded ? entry.actions.filter((_, i) => entry.done?.[i] ?? false) : [];
    if (entry.succeeded && done.length === 0) {
      // `perform` reverts rather than do nothing, so this was the empty transaction that took its place
      this.#tell("info", `Called off: ${sayAll(entry.actions)}.`, about);
      return;
    }
    const failed = entry.actions.filter((action) => !done.includes(action));
    for (const action of done) {
      this.#setbacks.done(action);
      this.#tell("info", `Done: ${say(action)}.`, { ...about, job: action.job, reason: action.reason });
    }
    for (const action of failed) this.#setbacks.refused(action, at);
    // a sync or a poke passes whoever did it before: they do not tell whether there was anything left to do
    const telling = entry.actions.filter((action) => !REPEATABLE.has(action.job));
    if (done.some((action) => telling.includes(action)) || (entry.succeeded && telling.length === 0)) {
      this.#setbacks.won(lane);
      if (failed.length > 0)
        this.#tell("info", `Had no effect, done by somebody else or not possible any more: ${sayAll(failed)}.`, about);
    } else if (entry.decidedAt <= (this.#forkedAt ?? 0)) {
      this.#tell("info", `Of no use any more, since the chain took blocks back: ${sayAll(entry.actions)}.`, about);
    } else {
      this.#setbacks.lost(lane);
      this.#metrics.raceLost(entry.tier);
      const deference = "Leaves such work to the other keeper for some blocks.";
      this.#tell("warn", `Came too late: ${sayAll(entry.actions)}. ${deference}`, about);
    }
    if (done.some((action) => action.job === "poke")) {
      const seen = this.#unanswered.get(entry.tier);
      if (seen) this.#memory.remember(seen);
      this.#unanswered.delete(entry.tier);
    }
    const since = this.#trouble.get(entry.tier);
    if (since !== undefined && done.some((action) => action.job === "unwind")) {
      this.#trouble.delete(entry.tier);
      const tier = this.#tiers.find((one) => one.address === entry.tier);
      if (tier) this.#metrics.unwound(tier, Math.max(0, at - since));
    }
  }

  #ended(entry: Entry): void {
    this.#metrics.transaction(entry);
    this.#stages.delete(entry.id);
    this.#balanceAt = undefined;
    // a step that is over makes the next one possible, and need not wait for the interval
    if (entry.urgency === "routine") this.#followUp = true;
  }

  // ----------------------------------------------------------------------------------------------------- protection

  /** Reads the pulse and does what it asks for. */
  async #protect(head: Header): Promise<void> {
    const block = refOf(head);
    const events = await this.#incidentsSince();
    const pulses = await this.#pulse(block, events.size > 0);
    const alarmed: TierRef[] = [];
    for (const tier of this.#tiers) {
      const pulse = pulses.find((one) => one.address === tier.address);
      if (!pulse) throw new RpcError(`The lens answered without ${tier.name}: is it the right deployment?`);
      if (pulse.readable) {
        if (pulse.utilisation <= WAD) this.#uncovered.delete(tier.address);
        else if (!this.#uncovered.has(tier.address)) this.#uncovered.set(tier.address, block.timestamp);
      }
      this.#metrics.pulse(tier, pulse, this.#uncovered.get(tier.address));
      if (this.#alarm(tier, pulse, block, events.has(tier.address))) alarmed.push(tier);
    }
    if (alarmed.length === 0) {
      this.#disagreements = 0;
      this.#left.protection = false;
      this.#considered = block.number;
      return;
    }
    const states = await this.#agreed(block, (agreement) => this.#views.observe(alarmed, block, agreement));
    this.#look(states.tiers, pulses, block);
    const plan = this.#plan({ head: states, claims: [], remembered: this.#memory.remembered() }, this.#config);
    this.#withheld(plan, block);
    this.#left.protection = await this.#carryOut(plan, "protection", block);
    this.#answer(states.tiers, plan);
    for (const tier of alarmed) this.#rest(tier, pulses, plan, block);
    this.#considered = block.number;
  }

  async #pulse(block: BlockRef, alarmed: boolean): Promise<readonly Pulse[]> {
    const several = Math.min(this.#config.agreement, this.#config.rpc.length);
    const due = this.#crossChecked === undefined || block.number - this.#crossChecked >= CROSS_CHECK || alarmed;
    if (several < 2 || !due) return this.#views.pulse(this.#tiers, block, 1);
    try {
      const pulses = await this.#views.pulse(this.#tiers, block, several);
      this.#crossChecked = block.number;
      return pulses;
    } catch (error) {
      if (!(error instanceof RpcDisagreement)) throw error;
      this.#metrics.disagreement();
      this.#sayOnce("pulse", "The RPCs do not agree on the state of the tiers.", { error }, block.number, "error");
      return this.#views.pulse(this.#tiers, block, 1);
    }
  }

  /** The tiers that EigenLayer's events in new blocks are about. They only tell more and sooner: the pulse is asked anyway. */
  async #incidentsSince(): Promise<ReadonlySet<string>> {
    const concerned = new Set<string>();
    const news = this.#news;
    this.#news = [];
    if (!this.#incidents) return concerned;
    for (const header of news)
      try {
        for (const incident of await this.#incidents(header))
          for (const { tier, text } of concerning(incident, this.#known.values())) {
            concerned.add(tier.address);
            if (incident.kind === "slashed" && !this.#trouble.has(tier.address))
              this.#trouble.set(tier.address, header.number);
            this.#tell("warn", text, { tier: tier.name, block: header.number });
          }
      } catch (error) {
        if (isBug(error)) throw error;
        this.#tell("debug", "Could not read EigenLayer's events.", { block: header.number, error });
      }
    return concerned;
  }

  /** Whether the tier's state has to be read. */
  #alarm(tier: TierRef, pulse: Pulse, block: BlockRef, events: boolean): boolean {
    const { address, name } = tier;
    if (!pulse.readable) {
      this.#unreadable.add(address);
      this.#sayOnce(
        `unreadable ${address}`,
        "EigenLayer or the staking protocol cannot be read: nothing can be done for this tier until it can.",
        { tier: name },
        block.number,
        "error",
      );
      return false;
    }
    if (this.#unreadable.delete(address)) {
      this.#said.delete(`unreadable ${address}`);
      this.#tell("info", "Can be read again.", { tier: name });
    }
    const troubled = pulse.slashedAgents !== 0n || pulse.unwinding > 0;
    if (!troubled) this.#trouble.delete(address);
    else if (!this.#trouble.has(address)) this.#trouble.set(address, block.number);

    const before = this.#config.routine.poke_before_hours * 3_600;
    const attention = attentionOf(pulse, this.#surroundings.get(address), block.timestamp, before);
    if (attention.length === 0 && !events) {
      this.#helpless.delete(address);
      this.#setbacks.idle(laneOf({ tier: address, urgency: "protection" }));
      return false;
    }
    const helpless = this.#helpless.get(address);
    if (helpless && !events && helpless.signature === signatureOf(pulse) && block.number < helpless.until) return false;
    this.#tell("debug", `Needs a look: ${attention.join(", ")}.`, { tier: name, block: block.number });
    return true;
  }

  /** Notes what the read states are like. */
  #look(tiers: readonly TierState[], pulses: readonly Pulse[], block: BlockRef): void {
    const known = this.#memory.remembered();
    for (const tier of tiers) {
      this.#metrics.tier(tier);
      if (!tier.readable) continue;
      this.#known.set(tier.address, tier);
      const pulse = pulses.find((one) => one.address === tier.address);
      if (pulse) this.#surroundings.set(tier.address, pulse.surroundings);
      const { first, changed } = surroundingsOf(tier, known);
      if (first.length > 0) this.#memory.remember(first);
      if (changed.length > 0) {
        for (const { text } of changed)
          this.#sayOnce(`${tier.address} ${text}`, text, { tier: tier.name }, block.number);
        this.#unanswered.set(
          tier.address,
          changed.map((one) => one.now),
        );
      }
    }
  }

  /** Changes of surroundings that the plan answers with nothing are known now. */
  #answer(tiers: readonly TierState[], plan: Plan): void {
    for (const { address } of tiers) {
      const seen = this.#unanswered.get(address);
      if (!seen || plan.actions.some((action) => action.tier === address && action.job === "poke")) continue;
      this.#memory.remember(seen);
      this.#unanswered.delete(address);
    }
  }

  /** A tier for which nothing can be done now is not read again at every block. */
  #rest(tier: TierRef, pulses: readonly Pulse[], plan: Plan, block: BlockRef): void {
    const pulse = pulses.find((one) => one.address === tier.address);
    if (!pulse) return;
    const mine = plan.actions.filter((action) => action.tier === tier.address && action.urgency === "protection");
    const waits = mine.map((action) => this.#setbacks.waits(action, block.number));
    if (waits.some((until) => until === undefined)) {
      this.#helpless.delete(tier.address);
      return;
    }
    // what is withheld may be possible later though the pulse does not change: time passes
    const until = Math.min(block.number + REPEAT, ...waits.map((one) => one ?? 0));
    this.#helpless.set(tier.address, { signature: signatureOf(pulse), until });
  }

  /** Asks as many RPCs as the configuration says; after some blocks of disagreement the healthiest of them alone. */
  async #agreed<T>(block: BlockRef, ask: (agreement: number) => Promise<T>): Promise<T> {
    const several = Math.min(this.#config.agreement, this.#config.rpc.length);
    try {
      return await ask(this.#disagreements < PATIENCE ? several : 1);
    } catch (error) {
      if (error instanceof RpcDisagreement && this.#disagreedAt !== block.hash) {
        this.#disagreements++;
        this.#disagreedAt = block.hash;
        this.#metrics.disagreement();
      }
      throw error;
    }
  }

  // -------------------------------------------------------------------------------------------------------- routine

  async #doRoutine(head: Header): Promise<void> {
    const every = this.#config.routine.every_seconds;
    const due = this.#routineAt === undefined || head.timestamp - this.#routineAt >= every;
    if (!due && !this.#followUp) return;
    const final = await this.#finalBlock(head);
    if (final.hash === this.#routine?.hash && !this.#followUp) return;
    await this.#findTiers();
    const block = refOf(head);
    const [now, then] = await Promise.all([
      this.#views.observe(this.#tiers, block, 1),
      final.hash === block.hash ? undefined : this.#views.observe(this.#tiers, final, 1),
    ]);
    this.#look(now.tiers, [], block);
    await this.#weigh(head);
    const settled = then ?? now;
    const claims = await this.#claimsAt(settled.tiers, final);
    const remembered = this.#memory.remembered();
    const plan = this.#plan({ head: now, final: settled, claims, remembered }, this.#config);
    const wanted = then ? this.#stillWanted(plan, { head: now, final: now, claims, remembered }) : plan;
    this.#withheld(wanted, block);
    this.#left.protection = await this.#carryOut(plan, "protection", block);
    this.#left.routine = await this.#carryOut(wanted, "routine", block);
    this.#routine = final;
    this.#routineAt = head.timestamp;
    this.#followUp = false;
  }

  /**
   * Routine that the final block asks for and the head still does: somebody may have done it in between. Amounts and
   * reasons are the head's.
   */
  #stillWanted(plan: Plan, head: KeeperState): Plan {
    const asked = new Set(plan.actions.map(keyOf));
    const now = this.#plan(head, this.#config);
    return { ...now, actions: now.actions.filter((action) => asked.has(keyOf(action))) };
  }

  async #claimsAt(tiers: readonly TierState[], final: BlockRef): Promise<readonly RewardsClaim[]> {
    if (!this.#claims) return [];
    try {
      return await this.#claims(tiers, final);
    } catch (error) {
      if (isBug(error)) throw error;
      // the rest of the routine does not wait for rewards
      this.#sayOnce("claims", "Cannot read the reward claims: nothing is harvested for now.", { error }, final.number);
      return [];
    }
  }

  /** The wallet's balance, for those who watch. */
  async #weigh(head: Header): Promise<void> {
    if (!this.#sender || (this.#balanceAt !== undefined && head.number - this.#balanceAt < REPEAT)) return;
    this.#balance = await this.#chain.balance(this.#sender.address, "latest");
    this.#balanceAt = head.number;
    this.#metrics.balance(this.#balance);
  }

  // ------------------------------------------------------------------------------------------------------- carrying out

  /** Offers the actions of one urgency, tier by tier. Says whether something is left that was not refused. */
  async #carryOut(plan: Plan, urgency: Urgency, block: BlockRef): Promise<boolean> {
    let left = false;
    for (const tier of this.#tiers) {
      const mine = plan.actions.filter((action) => action.tier === tier.address && action.urgency === urgency);
      const lane = laneOf({ tier: tier.address, urgency });
      if (mine.length === 0) this.#setbacks.idle(lane);
      const actions = this.#ready(mine, block);
      if (actions.length === 0) continue;
      if (this.#setbacks.defers(lane, urgency, block.number, this.#clock() / 1_000)) {
        left = true;
        continue;
      }
      // the other tiers shall not wait for this one
      await this.#attempt(`acted for ${tier.name}`, async () => {
        if (await this.#offer({ tier: tier.address, urgency, actions }, tier.name, block)) left = true;
      });
    }
    return left;
  }

  /** The actions that are neither in flight nor waiting after a refusal. */
  #ready(actions: readonly Action[], block: BlockRef): readonly Action[] {
    const flying = new Set<string>();
    for (const entry of this.#sender?.inFlight() ?? []) {
      // what was mined is in the head's state, unless it was mined after that head; the final block's does not have it
      const shown = entry.stage === "mined" && (entry.minedIn?.number ?? 0) <= block.number;
      if (!shown || entry.urgency === "routine") for (const one of entry.actions) flying.add(keyOf(one));
    }
    return actions.filter(
      (action) => !flying.has(keyOf(action)) && this.#setbacks.waits(action, block.number) === undefined,
    );
  }

  /** Says whether more is to come of it: something was sent, or could not be sent yet. */
  async #offer(batch: Batch, name: string, block: BlockRef): Promise<boolean> {
    if (!this.#sender) {
      this.#dry(batch.actions, name, block);
      return false;
    }
    const sender = this.#sender;
    const outcome = await this.#agreed(block, (agreement) => sender.offer(batch, block, agreement));
    this.#metrics.offered(batch.urgency, outcome.kind);
    const said = `${batch.tier} ${batch.urgency}`;
    switch (outcome.kind) {
      case "sent": {
        const { entry } = outcome;
        if (batch.urgency === "protection") this.#disagreements = 0;
        this.#stages.set(entry.id, entry.stage);
        for (const action of entry.actions)
          this.#tell("info", `Sends: ${say(action)}.`, {
            tier: name,
            job: action.job,
            reason: action.reason,
            hash: entry.hashes.at(-1),
            nonce: entry.nonce,
            block: block.number,
          });
        this.#metrics.inFlight(this.#sender.inFlight(), block);
        this.#drop(outcome.dropped, name, block);
        return true;
      }
      case "refused":
        this.#drop(outcome.dropped, name, block);
        return false;
      case "dry":
        this.#drop(outcome.dropped, name, block);
        this.#dry(
          batch.actions.filter((action) => !outcome.dropped.some((one) => keyOf(one.action) === keyOf(action))),
          name,
          block,
        );
        return false;
      case "busy":
        this.#tell("debug", `Waits for transaction ${outcome.entry.hashes.at(-1) ?? outcome.entry.nonce}.`, {
          tier: name,
        });
        return true;
      case "dear":
        this.#sayOnce(
          `dear ${said}`,
          `Gas is dearer than fees.${batch.urgency}.max_fee_gwei allows: ${outcome.detail}`,
          { tier: name },
          block.number,
        );
        return true;
      case "poor":
        this.#sayOnce(
          `poor ${said}`,
          `The wallet is too empty: ${outcome.detail}`,
          { tier: name },
          block.number,
          "error",
        );
        return true;
    }
  }

  #drop(dropped: readonly Refusal[], tier: string, block: BlockRef): void {
    for (const { action, error } of dropped) {
      const until = this.#setbacks.refused(action, block.number);
      this.#metrics.refused(action.tier, action.job, action.urgency);
      // the first refusals of a lasting one are news
      const level = this.#setbacks.count(action) <= 2 ? "info" : "debug";
      this.#tell(level, `Not possible now: ${say(action)}: ${error} Tries again from block ${until}.`, {
        tier,
        job: action.job,
        reason: action.reason,
        block: block.number,
      });
    }
  }

  /** Would have been sent. */
  #dry(actions: readonly Action[], tier: string, block: BlockRef): void {
    for (const action of actions)
      this.#sayOnce(
        `dry ${keyOf(action)}`,
        `Would send: ${say(action)}.`,
        { tier, job: action.job, reason: action.reason },
        block.number,
        "info",
        DRY_REPEAT,
      );
  }

  // --------------------------------------------------------------------------------------------------------- telling

  #nameOf(address: string): string {
    return this.#tiers.find((tier) => tier.address === address)?.name ?? address;
  }

  /** Once in some blocks: trouble that lasts must be seen, and must not bury the rest. */
  #sayOnce(
    key: string,
    sentence: string,
    details: object,
    block: number,
    level: "debug" | "info" | "warn" | "error" = "warn",
    repeat = REPEAT,
  ): void {
    const last = this.#said.get(key);
    if (last !== undefined && block >= last && block < last + repeat) return;
    this.#said.delete(key);
    this.#said.set(key, block);
    for (const oldest of this.#said.keys()) {
      if (this.#said.size <= MEMORY) break;
      this.#said.delete(oldest);
    }
    this.#tell(level, sentence, details);
  }

  /** What is not done, and why not. */
  #withheld(plan: Plan, block: BlockRef): void {
    for (const { tier, job, subject, reason } of plan.withheld)
      this.#sayOnce(
        `withheld ${tier} ${job} ${subject} ${reason}`,
        `Leaves: ${subject === "" ? job : `${job} ${subject}`}.`,
        { tier: this.#nameOf(tier), job, reason },
        block.number,
        "debug",
        DRY_REPEAT,
      );
  }

  #tell(level: "debug" | "info" | "warn" | "error", sentence: string, details: object = {}): void {
    this.#log[level](details, sentence);
  }

  #failed(what: string, error: unknown): void {
    const text = error instanceof Error ? error.message : String(error);
    this.#troubled = true;
    this.#metrics.error(error instanceof Error ? error.name : "unknown");
    this.#lastError = `Failed when it ${what}: ${text}`;
    if (error instanceof RpcDisagreement)
      this.#tell("error", `The RPCs do not agree: nothing is sent for now. ${text}`, { error });
    else
      this.#sayOnce(
        `${what} ${text}`,
        `Failed when it ${what}; tries again.`,
        { error },
        this.#heads.head?.number ?? 0,
        "error",
      );
  }
}

const refOf = ({ number, hash, timestamp }: BlockRef): BlockRef => ({ number, hash, timestamp });
const say = (action: Action): string => (action.subject === "" ? action.job : `${action.job} ${action.subject}`);
const sayAll = (actions: readonly Action[]): string => actions.map(say).join("; ");

async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  try {
    await setTimeout(milliseconds, undefined, { signal });
  } catch {
    // asked to stop
  }
}
