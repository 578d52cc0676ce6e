/**
 * Sends batches and sees them through. Every step is in the journal before it is on the wire: an intent takes its nonce,
 * a signed transaction is written down before anybody sees it, and all signed transactions of one intent have its nonce,
 * so that at most one of them is ever mined. A process that is killed between any two steps finds in the journal what
 * may be on the wire and goes on from there.
 */
import { getAddress, Transaction } from "ethers";
import { BlockUnknown, type Chain, RpcError, type TransactionReceipt, TransactionRefused } from "../chain/types.ts";
import type { Urgency } from "../plan/types.ts";
import type { BlockRef } from "../state/types.ts";
import type { Explainer } from "./explain.ts";
import {
  affordable,
  atLeast,
  bump,
  type Fees,
  firstFees,
  type Market,
  type Offer,
  replacementFees,
  type Tariffs,
  TRANSFER_GAS,
} from "./fees.ts";
import { type Attempt, type Journal, JournalError, type Recorded } from "./journal.ts";
import { type Batch, type Entry, laneOf, type Outcome, type Refusal, type Sender, type Signer } from "./types.ts";
import { decodeSimulate, encodeSimulate, type Passed, type Performance, performance, performedBy } from "./upkeep.ts";

/** The moments between which a process may die; the test kills it at each. */
export const STEPS = [
  "offered",
  "simulated",
  "intending",
  "intended",
  "signed",
  "attempted",
  "broadcasting",
  "broadcast",
  "taken",
  "found",
  "mined",
  "finalising",
  "final",
  "unmined",
  "abandoning",
  "abandoned",
] as const;
export type Step = (typeof STEPS)[number];

/** What the sender tells beside what it returns. */
export interface Notice {
  readonly level: "info" | "warn";
  readonly text: string;
  readonly entry?: Entry | undefined;
}

export interface SenderOptions {
  readonly chain: Chain;
  readonly journal: Journal;
  /** Absent only in a dry run. */
  readonly signer?: Signer | undefined;
  /** `Upkeep`'s address. */
  readonly upkeep: string;
  readonly explainer: Explainer;
  readonly tariffs: Tariffs;
  /** RPCs that must agree before protection is sent. */
  readonly agreement: number;
  readonly dryRun: boolean;
  readonly notify?: ((notice: Notice) => void) | undefined;
  readonly at?: ((step: Step) => void | Promise<void>) | undefined;
  /** Unix seconds; by default this machine's clock. */
  readonly now?: (() => number) | undefined;
}

const ZERO = "0x0000000000000000000000000000000000000000";
/** Times that a refused replacement is made dearer at once. */
const BUMPS = 4;
/** Unused nonces below ours that are filled with empty transactions; more of them are an RPC's lie. */
const MAX_GAP = 16;
const KEEP = 2_000;
/** The program's own faults, and a journal that cannot be written: nothing may go on. */
const FATAL = [TypeError, RangeError, ReferenceError, SyntaxError, JournalError];

export class JournaledSender implements Sender {
  readonly address: string;
  readonly #options: SenderOptions;
  readonly #chain: Chain;
  readonly #journal: Journal;
  /** Entries whose nonce is used though none of their transactions is found, with the head at which that was first so. */
  readonly #doubts = new Map<number, number>();
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: SenderOptions) {
    if (!options.signer && !options.dryRun)
      throw new Error("There is no key to sign with: set one in the configuration, or use a dry run.");
    this.#options = options;
    this.#chain = options.chain;
    this.#journal = options.journal;
    this.address = options.signer ? getAddress(options.signer.address) : ZERO;
  }

  inFlight(): readonly Recorded[] {
    return this.#journal.open();
  }

  // ------------------------------------------------------------------------------------------------------- offers

  async offer(batch: Batch, head: BlockRef, agreement: number = this.#options.agreement): Promise<Outcome> {
    if (batch.actions.length === 0) return { kind: "refused", dropped: [] };
    await this.#at("offered");
    const before = this.#busy(batch, head);
    if (before) return { kind: "busy", entry: before };
    const { job, dropped } = await this.#simulate(batch, head, batch.urgency === "protection" ? agreement : 1);
    await this.#at("simulated");
    if (!job) return { kind: "refused", dropped };
    if (this.#options.dryRun) return { kind: "dry", dropped };
    return this.#exclusively(async () => {
      const entry = this.#busy(batch, head);
      return entry ? { kind: "busy", entry } : this.#carryOut(batch, job, dropped, head);
    });
  }

  /**
   * What holds up a batch: the transaction of its lane that is not final, or for protection not mined; and any that was
   * mined after the head that the batch was decided on, because on that head its work is still to do.
   */
  #busy({ tier, urgency }: Batch, head: BlockRef): Recorded | undefined {
    const lane = laneOf({ tier, urgency });
    const later = this.#journal.minedAfter(lane, head.number);
    if (later) return later;
    return this.#journal.open().find((entry) => {
      if (entry.lane !== lane || entry.cancelled) return false;
      if (urgency === "routine") return true;
      return entry.stage !== "mined" && !this.#doubtful(entry, head);
    });
  }

  /** The nonce is used for a block at least, and nobody finds what used it: protection does not wait until it is final. */
  #doubtful(entry: Recorded, head: BlockRef): boolean {
    const since = this.#doubts.get(entry.id);
    return since !== undefined && head.number > since;
  }

  async #simulate(
    batch: Batch,
    head: BlockRef,
    agreement: number,
  ): Promise<{ readonly job: Performance | undefined; readonly dropped: readonly Refusal[] }> {
    const { actions } = batch;
    const request = {
      to: this.#options.upkeep,
      from: this.address,
      data: encodeSimulate(actions),
      check: (answer: string) => {
        decodeSimulate(answer, actions.length);
      },
    };
    const at = { hash: head.hash };
    const answer =
      agreement > 1 ? await this.#chain.agreedCall(request, at, agreement) : await this.#chain.call(request, at);
    const passed: (Passed & { readonly position: number })[] = [];
    const refused: (Refusal & { readonly position: number })[] = [];
    for (const [position, result] of decodeSimulate(answer, actions.length).entries()) {
      const action = actions[position];
      if (!action) continue;
      if (result.success) passed.push({ action, gasUsed: result.gasUsed, gas: result.gas, position });
      else refused.push({ action, error: this.#options.explainer.data(result.answer), position });
    }
    let job: Performance | undefined;
    for (;;) {
      const [first] = passed;
      if (!first) break;
      job = performance(passed);
      if (job) break;
      const error = `it takes ${first.gas} gas, more than one transaction may have (EIP-7825)`;
      refused.push({ action: first.action, error, position: first.position });
      passed.shift();
    }
    // what comes after those that fit was simulated on top of what is left out: it waits for the next round
    const next = job && passed[job.actions.length]?.position;
    const dropped = refused.filter(({ position }) => next === undefined || position < next);
    return { job, dropped: dropped.map(({ action, error }) => ({ action, error })) };
  }

  async #carryOut(batch: Batch, job: Performance, dropped: readonly Refusal[], head: BlockRef): Promise<Outcome> {
    const { urgency } = batch;
    const [market, balance, latest] = await Promise.all([
      this.#chain.fees(),
      this.#chain.balance(this.address, "latest"),
      this.#chain.nonce(this.address, "latest"),
    ]);
    const nonce = this.#journal.nextNonce(latest);
    const offered = this.#feesFor(urgency, market, nonce, undefined);
    if (offered.kind !== "fees") return offered;
    const purse = { balance, committed: this.#committed(urgency), minBalance: this.#options.tariffs.minBalance };
    const affordableWith = (gas: bigint) => affordable(offered.fees, gas, market, urgency, purse);
    // gas for surprises is the first thing that a small purse does without
    const generous = affordableWith(job.gasLimit);
    const whole = generous.kind === "fees" && generous.fees.maxFeePerGas === offered.fees.maxFeePerGas;
    const gasLimit = whole ? job.gasLimit : job.gasNeeded;
    const fees = whole ? generous : affordableWith(gasLimit);
    if (fees.kind !== "fees") return fees;

    await this.#at("intending");
    let entry = this.#journal.intend({
      lane: laneOf(batch),
      tier: batch.tier,
      urgency,
      actions: job.actions,
      shares: job.shares,
      nonce,
      to: this.#options.upkeep,
      data: job.data,
      gasLimit,
      createdAt: this.#now(),
      decidedAt: head.number,
    });
    await this.#at("intended");
    try {
      entry = await this.#sign(entry, "act", fees.fees, head);
    } catch (error) {
      // nothing was signed, so the nonce is free again
      this.#journal.abandoned(entry.id, `It was not signed: ${this.#words(error)}`, false);
      throw error;
    }
    entry = await this.#broadcast(entry, head);
    if (urgency === "protection") await this.#surviving(entry, () => this.#clearWay(entry, head, market));
    return { kind: "sent", entry: this.#journal.entry(entry.id) ?? entry, dropped };
  }

  /** The most that what is in flight may still cost. Protection counts only its own: the rest can be cancelled for it. */
  #committed(urgency: Urgency): bigint {
    return this.#journal
      .open()
      .filter((entry) => entry.stage !== "mined" && (urgency === "routine" || entry.urgency === "protection"))
      .reduce((sum, entry) => {
        const last = entry.attempts.at(-1);
        return last ? sum + last.gasLimit * last.fees.maxFeePerGas : sum;
      }, 0n);
  }

  /** Fees for the next attempt at a nonce: a first offer, or enough to replace whatever an RPC took for it before. */
  #feesFor(urgency: Urgency, market: Market, nonce: number, floor: Fees | undefined): Offer {
    const tariff = this.#options.tariffs[urgency];
    const signed = this.#journal.ofNonce(nonce).flatMap((entry) => entry.attempts);
    const rivals = signed.filter(({ taken }) => taken);
    const highest = rivals.reduce<Fees | undefined>((all, { fees }) => (all ? atLeast(all, fees) : fees), undefined);
    const offer = highest ? replacementFees(highest, market, urgency, tariff) : firstFees(market, urgency, tariff);
    return offer.kind === "fees" && floor ? { kind: "fees", fees: atLeast(offer.fees, floor) } : offer;
  }

  // ------------------------------------------------------------------------------------------ signing and sending

  async #sign(entry: Recorded, kind: Attempt["kind"], fees: Fees, head: BlockRef): Promise<Recorded> {
    const { signer } = this.#options;
    if (!signer) throw new Error("A dry run signs nothing.");
    const wanted = {
      chainId: this.#chain.chainId,
      nonce: entry.nonce,
      to: kind === "act" ? entry.to : this.address,
      data: kind === "act" ? entry.data : "0x",
      value: 0n,
      gasLimit: kind === "act" ? entry.gasLimit : TRANSFER_GAS,
      ...fees,
    };
    const raw = await signer.sign(wanted);
    const { hash, from, nonce } = Transaction.from(raw);
    if (hash === null || from === null || getAddress(from) !== this.address || nonce !== wanted.nonce)
      throw new Error("What the signer returned is not the transaction that it was asked for: nothing was sent.");
    await this.#at("signed");
    // an equal transaction may be there already: signing is deterministic
    const known = this.#journal.entry(entry.id)?.attempts.some((attempt) => attempt.hash === hash);
    const recorded = known
      ? this.#found(entry.id)
      : this.#journal.attempted(entry.id, { hash, raw, kind, fees, gasLimit: wanted.gasLimit, head: head.number });
    await this.#at("attempted");
    return recorded;
  }

  /** Sends the last attempt; makes it dearer where the mempool has one that it does not replace. Never throws RPC errors. */
  async #broadcast(entry: Recorded, head: BlockRef): Promise<Recorded> {
    let now = entry;
    for (let bumps = 0; ; bumps++) {
      const attempt = now.attempts.at(-1);
      if (!attempt) return now;
      await this.#at("broadcasting");
      try {
        await this.#chain.broadcast(attempt.raw);
        await this.#at("broadcast");
        now = this.#journal.taken(now.id, attempt.hash);
        await this.#at("taken");
        return now;
      } catch (error) {
        if (!(error instanceof RpcError)) throw error;
        const reason = error instanceof TransactionRefused ? error.reason : "other";
        if (reason === "underpriced" && bumps < BUMPS) {
          const { cap } = this.#options.tariffs[attempt.kind === "cancel" ? "protection" : now.urgency];
          const fees = {
            maxFeePerGas: bump(attempt.fees.maxFeePerGas),
            maxPriorityFeePerGas: bump(attempt.fees.maxPriorityFeePerGas),
          };
          if (fees.maxFeePerGas <= cap) {
            now = await this.#sign(now, attempt.kind, fees, head);
            continue;
          }
        }
        if (reason === "nonce too low") this.#doubts.set(now.id, head.number);
        this.#notify("warn", `No RPC takes it (${this.#words(error)}); it is sent again with the next block.`, now);
        return now;
      }
    }
  }

  /**
   * Lower nonces must not hold protection up: routine that is not mined yet makes way by an empty transaction at
   * protection's price, other protection pays the same price.
   */
  async #clearWay(entry: Recorded, head: BlockRef, market: Market): Promise<void> {
    const price = entry.attempts.at(-1)?.fees;
    if (!price) return;
    for (const lower of this.#journal.open()) {
      if (lower.nonce >= entry.nonce || lower.stage === "mined") continue;
      const last = lower.attempts.at(-1);
      const pays =
        last !== undefined &&
        last.fees.maxFeePerGas >= price.maxFeePerGas &&
        last.fees.maxPriorityFeePerGas >= price.maxPriorityFeePerGas;
      if (pays) continue;
      const kind = lower.urgency === "routine" ? "cancel" : "act";
      await this.#replace(lower, kind, head, market, "protection", price);
    }
  }

  async #replace(
    entry: Recorded,
    kind: Attempt["kind"],
    head: BlockRef,
    market: Market,
    urgency: Urgency,
    floor?: Fees,
  ): Promise<Recorded> {
    const offer = this.#feesFor(urgency, market, entry.nonce, floor);
    if (offer.kind !== "fees") {
      this.#notify("warn", `It cannot be replaced and waits. ${offer.detail}`, entry);
      return entry;
    }
    const what = kind === "cancel" ? "It is cancelled by an empty transaction" : "It is replaced by a dearer one";
    this.#notify("info", `${what}.`, entry);
    return this.#broadcast(await this.#sign(entry, kind, offer.fees, head), head);
  }

  // ------------------------------------------------------------------------------------------------------ tending

  async tend(head: BlockRef, final: BlockRef): Promise<readonly Recorded[]> {
    if (this.#journal.open().length === 0) return [];
    return this.#exclusively(async () => {
      const before = new Map(this.#journal.open().map((entry) => [entry.id, entry.stage]));
      const latest = await this.#chain.nonce(this.address, "latest");
      let market: Market | undefined;
      const marketNow = async () => (market ??= await this.#chain.fees());
      for (const { id } of this.#journal.open()) {
        const entry = this.#journal.entry(id);
        if (entry) await this.#surviving(entry, () => this.#tendTo(entry, head, final, latest, marketNow));
      }
      await this.#surviving(undefined, () => this.#fillGap(latest, head, marketNow));
      this.#journal.prune(KEEP);
      return [...before]
        .map(([id, stage]) => ({ entry: this.#found(id), stage }))
        .filter(({ entry, stage }) => entry.stage !== stage)
        .map(({ entry }) => entry);
    });
  }

  /** One transaction that an RPC or the signer fails on must not keep the others from being looked after. */
  async #surviving(entry: Recorded | undefined, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (FATAL.some((kind) => error instanceof kind)) throw error;
      this.#notify("warn", `It cannot be looked after in this block: ${this.#words(error)}`, entry);
    }
  }

  async #tendTo(
    entry: Recorded,
    head: BlockRef,
    final: BlockRef,
    latest: number,
    market: () => Promise<Market>,
  ): Promise<void> {
    if (entry.attempts.length === 0) {
      // killed between intent and signature: nothing can be on the wire, and the decision is an old one
      await this.#abandon(entry, "The keeper was stopped before it was signed.", false);
      return;
    }
    const used = latest > entry.nonce;
    if (used || entry.stage === "mined") {
      const receipt = await this.#receiptOf(entry);
      if (receipt) {
        this.#doubts.delete(entry.id);
        await this.#settle(entry, receipt, final);
        return;
      }
    }
    if (entry.stage === "mined") {
      const block = entry.minedIn && (await this.#chain.header(entry.minedIn.number));
      if (block?.hash === entry.minedIn?.hash) return; // the block is there: an RPC only has no receipts
      this.#journal.unmined(entry.id);
      await this.#at("unmined");
      this.#notify("warn", "The block that it was mined in is no longer of the chain.", entry);
    }
    if (used) await this.#doubt(entry, head);
    else await this.#push(this.#found(entry.id), head, market);
  }

  /** The receipt of whichever of its transactions was mined. */
  async #receiptOf(entry: Recorded): Promise<TransactionReceipt | undefined> {
    const mined = entry.minedAs;
    const hashes = entry.attempts.map(({ hash }) => hash).reverse();
    if (mined !== undefined) hashes.sort((a, b) => Number(b === mined) - Number(a === mined));
    for (const hash of hashes) {
      const receipt = await this.#chain.receipt(hash);
      if (receipt) return receipt;
    }
    return undefined;
  }

  async #settle(entry: Recorded, receipt: TransactionReceipt, final: BlockRef): Promise<void> {
    let now = entry;
    if (now.stage !== "mined" || now.minedAs !== receipt.hash || now.minedIn?.hash !== receipt.blockHash) {
      const header = await this.#chain.header({ hash: receipt.blockHash });
      if (!header) throw new BlockUnknown(`No RPC knows block ${receipt.blockHash} of transaction ${receipt.hash}.`);
      await this.#at("found");
      const cancelled = now.attempts.find(({ hash }) => hash === receipt.hash)?.kind === "cancel";
      const calls = performedBy(receipt, now.to, now.actions.length);
      const error = cancelled
        ? "It was cancelled."
        : receipt.succeeded
          ? this.#failures(now, calls)
          : await this.#whyReverted(now, header.parentHash);
      now = this.#journal.mined(now.id, {
        hash: receipt.hash,
        block: { number: header.number, hash: header.hash, timestamp: header.timestamp },
        gasUsed: receipt.gasUsed,
        paid: receipt.gasUsed * receipt.effectiveGasPrice,
        succeeded: receipt.succeeded && !cancelled,
        cancelled,
        done: calls.map(({ done }) => done),
        error,
      });
      await this.#at("mined");
    }
    if (receipt.blockNumber > final.number) return;
    // the receipt's RPC may be on a branch that lost
    const canonical = await this.#chain.header(receipt.blockNumber);
    if (canonical?.hash !== receipt.blockHash) return;
    await this.#at("finalising");
    this.#journal.final(now.id);
    await this.#at("final");
  }

  #failures(entry: Recorded, calls: ReturnType<typeof performedBy>): string | undefined {
    const failed = entry.actions.flatMap((action, i) =>
      calls[i]?.done === false
        ? [`${action.job} (${action.subject}): ${this.#options.explainer.data(calls[i].failure)}`]
        : [],
    );
    return failed.length === 0 ? undefined : failed.join("; ");
  }

  /** The same call on the block before: not the same place in the block, but nearly always the same reason. */
  async #whyReverted(entry: Recorded, parent: string): Promise<string> {
    try {
      const request = { to: entry.to, data: entry.data, from: this.address, gas: entry.gasLimit };
      await this.#chain.call(request, { hash: parent });
      return "It reverted, but not on the block before: somebody else was first.";
    } catch (error) {
      return this.#words(error);
    }
  }

  /** Its nonce is used, but none of its transactions is found: an RPC is behind, or somebody else has the key. */
  async #doubt(entry: Recorded, head: BlockRef): Promise<void> {
    for (const rival of this.#journal.ofNonce(entry.nonce)) {
      if (rival.id === entry.id || rival.attempts.length === 0) continue;
      if (!(await this.#receiptOf(rival))) continue;
      // one that had been given up was mined after all: it holds the nonce again, and is settled from now on
      await this.#at("abandoning");
      this.#journal.revived(rival.id, entry.id, `An earlier transaction of nonce ${entry.nonce} was mined instead.`);
      await this.#at("abandoned");
      return;
    }
    const since = this.#doubts.get(entry.id);
    if (since === undefined) {
      this.#doubts.set(entry.id, head.number);
      return;
    }
    if (head.number <= since) return;
    const final = await this.#chain.nonce(this.address, "finalized");
    if (final <= entry.nonce) return;
    for (const { hash } of entry.attempts) if (await this.#chain.knows(hash)) return;
    this.#doubts.delete(entry.id);
    await this.#abandon(
      entry,
      `Nonce ${entry.nonce} was used by a transaction that is not the keeper's: somebody else has its key. Give the keeper a key of its own.`,
      true,
    );
  }

  /** Its nonce is unused: sent again where it was dropped, replaced where it takes too long. */
  async #push(entry: Recorded, head: BlockRef, marketNow: () => Promise<Market>): Promise<void> {
    this.#doubts.delete(entry.id);
    const last = entry.attempts.at(-1);
    if (!last) return;
    const first = this.#journal.open().every((other) => other.nonce >= entry.nonce || other.stage === "mined");
    const due = head.number - last.head >= this.#options.tariffs[entry.urgency].replaceAfter;
    if (due && (first || entry.urgency === "protection")) {
      // dearer does not help what no RPC took; whoever still wants it is simulated and priced anew
      if (!(await this.#onTheWire(entry))) {
        await this.#abandon(entry, "No RPC took it in its time.", false);
        return;
      }
      const market = await marketNow();
      if (last.kind === "act" && entry.actions.length > 0 && !(await this.#stillWanted(entry, head))) {
        await this.#replace(entry, "cancel", head, market, entry.urgency);
        return;
      }
      const replaced = await this.#replace(entry, last.kind, head, market, entry.urgency);
      if (replaced.attempts.length > entry.attempts.length) {
        if (entry.urgency === "protection") await this.#clearWay(replaced, head, market);
        return;
      }
    }
    if (!(await this.#chain.knows(last.hash))) await this.#broadcast(entry, head);
    else if (!last.taken) this.#journal.taken(entry.id, last.hash);
    if (entry.urgency === "protection" && !first) await this.#clearWay(this.#found(entry.id), head, await marketNow());
  }

  async #stillWanted(entry: Recorded, head: BlockRef): Promise<boolean> {
    const { job } = await this.#simulate(entry, head, 1);
    return job !== undefined;
  }

  async #onTheWire(entry: Recorded): Promise<boolean> {
    if (entry.attempts.some(({ taken }) => taken)) return true;
    for (const { hash } of entry.attempts) if (await this.#chain.knows(hash)) return true;
    return false;
  }

  /** A nonce below ours that nobody uses would hold up all that come after it. */
  async #fillGap(latest: number, head: BlockRef, marketNow: () => Promise<Market>): Promise<void> {
    const open = this.#journal.open().filter(({ stage }) => stage !== "mined");
    const [lowest] = open;
    if (!lowest || lowest.nonce <= latest) return;
    const from = this.#journal.nextNonce(latest);
    if (from >= lowest.nonce) return;
    if (lowest.nonce - from > MAX_GAP) {
      await this.#abandon(
        lowest,
        `It has nonce ${lowest.nonce}, but the chain counts only ${latest} of the account: an RPC lied about the nonce.`,
        false,
      );
      return;
    }
    const urgency = open.some((entry) => entry.urgency === "protection") ? "protection" : "routine";
    const market = await marketNow();
    for (let nonce = from; nonce < lowest.nonce; nonce++) {
      const offer = this.#feesFor(urgency, market, nonce, undefined);
      if (offer.kind !== "fees") return;
      const entry = this.#journal.intend({
        lane: `nonce/${nonce}`,
        tier: this.address,
        urgency,
        actions: [],
        shares: [],
        nonce,
        to: this.address,
        data: "0x",
        gasLimit: TRANSFER_GAS,
        createdAt: this.#now(),
        decidedAt: head.number,
      });
      this.#notify(
        "warn",
        `Nonce ${nonce} is used by nothing and holds up the next: an empty transaction fills it.`,
        entry,
      );
      await this.#broadcast(await this.#sign(entry, "cancel", offer.fees, head), head);
    }
  }

  // ---------------------------------------------------------------------------------------------------- internals

  async #abandon(entry: Recorded, reason: string, used: boolean): Promise<void> {
    await this.#at("abandoning");
    this.#journal.abandoned(entry.id, reason, used);
    this.#notify("warn", reason, entry);
    await this.#at("abandoned");
  }

  #found(id: number): Recorded {
    const entry = this.#journal.entry(id);
    if (!entry) throw new Error(`The journal has no transaction ${id}.`);
    return entry;
  }

  #words(error: unknown): string {
    return this.#options.explainer.error(error);
  }

  #notify(level: Notice["level"], text: string, entry?: Entry): void {
    this.#options.notify?.({ level, text, entry });
  }

  #now(): number {
    return this.#options.now?.() ?? Math.floor(Date.now() / 1_000);
  }

  async #at(step: Step): Promise<void> {
    await this.#options.at?.(step);
  }

  /** One at a time: nonces are taken and given in order. */
  #exclusively<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(work, work);
    this.#turn = mine.catch(() => undefined);
    return mine;
  }
}
