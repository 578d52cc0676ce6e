/**
 * Follows the head of the chain by polling, and notices when the chain takes blocks back. A quiet new block costs one
 * request: it names its parent, and only what does not fit is looked into.
 */
import type { BlockRef } from "../state/types.ts";
import { type Chain, type Header, RpcError } from "./types.ts";

/** The head is another block than before. */
export interface HeadChange {
  readonly head: Header;
  /** Blocks that are new on the chain, oldest first; the last is the head. After a jump only the head. */
  readonly added: readonly Header[];
  /** Blocks that the chain took back, newest first, as far as they are remembered: their number is the reorg's depth. */
  readonly removed: readonly BlockRef[];
  /** There are blocks between the last head and this one that were not looked at. */
  readonly jumped: boolean;
  /** Seconds by which this machine's clock is ahead of the block's. */
  readonly skew: number;
}

export interface HeadFollowerOptions {
  readonly pollSeconds: number;
  /** Blocks that are remembered; a deeper reorg is seen, but not its depth. */
  readonly remember?: number;
  /** Larger gaps are jumped over. */
  readonly fill?: number;
  /** Seconds since 1970. */
  readonly clock?: () => number;
}

const REMEMBER = 128;
const FILL = 16;
/** Polls for which an older head is taken for a lagging RPC's. */
const PATIENT_POLLS = 5;
const ARRIVALS = 6;
/** Polls for a block that is late, before it is given up. */
const LATE_POLLS = 2;
/** Seconds by which timers may be early. */
const EARLY = 0.05;

export class HeadFollower {
  readonly #chain: Pick<Chain, "header">;
  readonly #options: HeadFollowerOptions;
  /** Oldest first; there may be holes. */
  #blocks: BlockRef[] = [];
  #head: Header | undefined;
  #final: Header | undefined;
  #finalAskedAt: number | undefined;
  #behind = 0;
  /** When the last heads were seen, by this machine's clock, and what they say themselves. */
  #arrivals: { readonly timestamp: number; readonly seen: number }[] = [];
  /** Seconds after a block's timestamp at which it is worth asking for it. */
  #lag = 0;
  #polls = 0;

  constructor(chain: Pick<Chain, "header">, options: HeadFollowerOptions) {
    this.#chain = chain;
    this.#options = options;
  }

  get head(): Header | undefined {
    return this.#head;
  }

  /** The last known final block, without asking. */
  get knownFinal(): Header | undefined {
    return this.#final;
  }

  /** Asks for the head once. Undefined if it is the same, or only an RPC that is behind. */
  async poll(): Promise<HeadChange | undefined> {
    this.#polls++;
    const head = await this.#chain.header("latest");
    if (head === undefined)
      throw new RpcError("The RPCs have no block at all: they are not synced yet. Wait, or use others.");
    const last = this.#head;
    if (last?.hash === head.hash) {
      this.#behind = 0;
      return undefined;
    }
    if (last === undefined) return this.#change(head, [head], [], false);
    if (head.parentHash === last.hash) return this.#change(head, [head], [], false);
    const known = this.#blocks.findIndex(({ hash }) => hash === head.hash);
    if (known >= 0) {
      // A chain does not shrink: an RPC is behind. Unless it stays so: a local chain that was set back.
      if (++this.#behind < PATIENT_POLLS) return undefined;
      return this.#change(head, [], this.#blocks.slice(known + 1).reverse(), false);
    }
    if (head.number - last.number <= (this.#options.fill ?? FILL)) {
      const linked = await this.#link(head);
      if (linked) return this.#change(head, linked.added, linked.removed, false);
    }
    return this.#change(head, [head], await this.#lost(head), true);
  }

  /**
   * The final block. Asks again only if the head has moved by more than `tolerance` blocks since it last did: Ethereum's
   * final block moves once in 32. It never goes back, unless the chain did.
   */
  async final(tolerance = 32): Promise<Header> {
    const head = this.#head?.number ?? 0;
    const asked = this.#finalAskedAt;
    if (this.#final && asked !== undefined && head >= asked && head - asked <= tolerance) return this.#final;
    const final = await this.#chain.header("finalized");
    if (final === undefined)
      throw new RpcError('The RPCs have no block that is "finalized": the keeper needs RPCs that say what is final.');
    const ours = this.#blocks.find(({ number }) => number === final.number);
    if (ours && ours.hash !== final.hash)
      throw new RpcError(
        `Block ${final.number} is final as ${final.hash}, but the chain that is followed has ${ours.hash} there. ` +
          "It has just been reorganised, or an RPC lies; the next poll tells.",
      );
    this.#finalAskedAt = head;
    if (this.#final === undefined || final.number >= this.#final.number) this.#final = final;
    return this.#final;
  }

  /**
   * How long to wait before the next poll, in seconds. Where blocks come at even intervals, as Ethereum's, until the next
   * one is due; when that one is late, `pollSeconds`, and after some of those until the one after it is due. Where blocks
   * keep no time, always `pollSeconds`.
   */
  delay(): number {
    const poll = this.#options.pollSeconds;
    const beat = this.#beat();
    const last = this.#arrivals.at(-1);
    if (beat === undefined || last === undefined) return poll;
    const passed = this.#now() - last.timestamp - this.#lag;
    const due = Math.max(1, Math.floor(passed / beat)) * beat;
    const overdue = passed - due;
    if (overdue >= -EARLY && overdue < LATE_POLLS * poll) return poll;
    return Math.min(beat, (overdue < 0 ? due : due + beat) - passed);
  }

  /** Waits for as long as `delay` says; returns at once when the signal aborts. */
  wait(signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted) {
        resolve();
        return;
      }
      const done = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, this.delay() * 1000);
      signal?.addEventListener("abort", done, { once: true });
    });
  }

  #now(): number {
    return this.#options.clock?.() ?? Date.now() / 1000;
  }

  #change(head: Header, added: readonly Header[], removed: readonly BlockRef[], jumped: boolean): HeadChange {
    const gone = new Set(removed.map(({ hash }) => hash));
    const kept = this.#blocks.filter(
      ({ hash, number }) => !gone.has(hash) && number < (added[0]?.number ?? head.number + 1),
    );
    const fresh = added.map(({ number, hash, timestamp }) => ({ number, hash, timestamp }));
    this.#blocks = [...kept, ...fresh].slice(-(this.#options.remember ?? REMEMBER));
    this.#head = head;
    this.#behind = 0;
    const oldest = removed.at(-1)?.number;
    if (this.#final && ((oldest !== undefined && oldest <= this.#final.number) || head.number < this.#final.number)) {
      // only a local chain can do that
      this.#final = undefined;
      this.#finalAskedAt = undefined;
    }
    const skew = this.#now() - head.timestamp;
    this.#arrived(head, skew);
    return { head, added, removed, jumped, skew };
  }

  /** Walks from a head that does not fit to a block that is known. Undefined if an RPC does not have the blocks between. */
  async #link(head: Header): Promise<{ readonly added: Header[]; readonly removed: BlockRef[] } | undefined> {
    const added = [head];
    const most = this.#options.remember ?? REMEMBER;
    for (let first = head; added.length <= most; ) {
      const ancestor = this.#blocks.findIndex(({ hash }) => hash === first.parentHash);
      if (ancestor >= 0) return { added, removed: this.#blocks.slice(ancestor + 1).reverse() };
      if (first.number <= (this.#blocks[0]?.number ?? 0)) return { added, removed: [...this.#blocks].reverse() };
      const parent = await this.#chain.header({ hash: first.parentHash });
      if (parent === undefined || parent.number !== first.number - 1) return undefined;
      added.unshift(parent);
      first = parent;
    }
    return undefined;
  }

  /** Which of the remembered blocks are not on the chain any more: the newest that still is, is searched by halves. */
  async #lost(head: Header): Promise<BlockRef[]> {
    const blocks = this.#blocks;
    const stands = async ({ number, hash }: BlockRef): Promise<boolean> =>
      number < head.number && (await this.#chain.header(number))?.hash === hash;
    const last = blocks.at(-1);
    if (last === undefined || (await stands(last))) return [];
    let low = 0; // all before it stand
    let high = blocks.length - 1; // this one does not
    while (low < high) {
      const middle = (low + high) >> 1;
      const block = blocks[middle];
      if (block && (await stands(block))) low = middle + 1;
      else high = middle;
    }
    return blocks.slice(low).reverse();
  }

  #arrived(head: Header, lag: number): void {
    this.#arrivals = [...this.#arrivals, { timestamp: head.timestamp, seen: head.timestamp + lag }].slice(-ARRIVALS);
    const beat = this.#beat();
    // where the first poll found it, the next may come a little earlier; where it came too early, later
    if (beat !== undefined) this.#lag = this.#polls > 1 || this.#lag === 0 ? lag + beat / 50 : this.#lag - beat / 200;
    this.#polls = 0;
  }

  /** Seconds between blocks, where they keep time, by their clock and by ours. */
  #beat(): number | undefined {
    if (this.#arrivals.length < ARRIVALS) return undefined;
    const gaps = this.#arrivals.slice(1).map((one, i) => one.timestamp - (this.#arrivals[i]?.timestamp ?? 0));
    const beat = Math.min(...gaps);
    const even = beat >= 2 * this.#options.pollSeconds && beat > 0 && gaps.every((gap) => gap % beat === 0);
    // neither from one to the next nor over all of them does our clock run away from theirs
    const lags = this.#arrivals.map(({ timestamp, seen }) => seen - timestamp);
    const inTime = Math.max(...lags) - Math.min(...lags) < beat / 2;
    return even && inTime ? beat : undefined;
  }
}
