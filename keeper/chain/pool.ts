/**
 * The chain through several RPCs, some of which die, hang or lie.
 *
 * A request goes to the best RPC that is well. If that errs, the next is asked at once; if it is merely late, the next is
 * asked beside it, and the first good answer counts. An RPC that keeps failing is left alone for a while and then tried
 * in the background; one on another chain is never asked again. An RPC whose head stands still while others' move, or
 * is older than the configuration allows, is left out of everything that is about the head.
 *
 * What one RPC says is believed, because the keeper simulates before it sends and the contracts check everything again;
 * `agreedCall` is for what must not rest on one.
 */
import { keccak256 } from "ethers";
import * as z from "zod";
import {
  alreadyKnown,
  bigSchema,
  bytesSchema,
  feeHistorySchema,
  hashSchema,
  headerSchema,
  logSchema,
  numberSchema,
  receiptSchema,
  refusalReason,
} from "./answers.ts";
import { Endpoint, EndpointError, type Fault, type Traffic } from "./endpoint.ts";
import {
  type At,
  BlockUnknown,
  type CallRequest,
  CallReverted,
  type Chain,
  type Header,
  type REFUSALS,
  RpcDisagreement,
  RpcError,
  type TransactionReceipt,
  TransactionRefused,
} from "./types.ts";

/** What happened to an RPC, for the log. */
export type PoolEvent =
  | { readonly kind: "wrong chain"; readonly endpoint: string; readonly detail: string }
  | { readonly kind: "left alone"; readonly endpoint: string; readonly detail: string }
  | { readonly kind: "stale"; readonly endpoint: string; readonly detail: string }
  | { readonly kind: "well again"; readonly endpoint: string; readonly detail: string }
  | { readonly kind: "disagreement"; readonly endpoint: string; readonly detail: string };

export interface RpcPoolOptions {
  /** The best first. */
  readonly urls: readonly string[];
  readonly chainId: number;
  /** Deadline of one answer. */
  readonly timeoutSeconds: number;
  /** 0: heads may have any age. */
  readonly maxHeadAgeSeconds: number;
  readonly maxAnswerBytes?: number;
  readonly maxBatch?: number;
  /** An answer that is not there after this long is also asked of the next RPC; by default a quarter of the deadline. */
  readonly hedgeSeconds?: number;
  readonly onEvent?: (event: PoolEvent) => void;
  /** Seconds since 1970. */
  readonly clock?: () => number;
}

export interface EndpointStatus {
  readonly name: string;
  readonly state: "untried" | "well" | "stale" | "left alone" | "wrong chain";
  /** 0 (every request fails) to 1. */
  readonly score: number;
  /** Of recent good answers, in seconds. */
  readonly latency: number;
  readonly head: number | undefined;
  readonly traffic: Traffic;
  readonly lastError: string | undefined;
}

/** They only grow. */
export interface PoolCounters {
  /** Requests that another RPC than the first one answered. */
  failovers: number;
  /** Requests that were asked of a second RPC because the first was late. */
  hedges: number;
  disagreements: number;
  /** Agreed calls that fewer RPCs answered than were asked for. */
  thinAgreements: number;
}

interface Member {
  readonly endpoint: Endpoint;
  verified: boolean;
  verifying: Promise<void> | undefined;
  excluded: string | undefined;
  /** As it was at `scoredAt`; old failures are forgotten by and by. */
  score: number;
  scoredAt: number;
  latencyMs: number;
  failures: number;
  /** Agreed calls in a row that it answered otherwise than the majority. */
  lies: number;
  /** Left alone until then (monotonic milliseconds), and for how long the time after that. */
  openUntil: number;
  backoffMs: number;
  probing: boolean;
  head: Header | undefined;
  /** When its head last moved (monotonic milliseconds). */
  movedAt: number;
  stale: string | undefined;
  /** Seconds by which its head was too old when that was first seen. */
  firstAge: number | undefined;
  lastError: string | undefined;
}

const FAILURES_TO_OPEN = 3;
const LIES_TO_OPEN = 2;
const BACKOFF_MS = 1_000;
const MAX_BACKOFF_MS = 60_000;
const LAG_BLOCKS = 2;
const MISSING_RETRIES_MS = [150, 350, 700];
const RETRIES_MS = [100, 400];
/** Failures so near to each other have one cause: a burst of requests and a broken connection. */
const SAME_FAILURE_MS = 50;
const FORGET_MS = 60_000;
const MAX_COMPARE_MS = 60_000;
/** What may be better at once. */
const PASSING: readonly Fault[] = ["connection", "http", "malformed"];

const hex = (n: number | bigint): string => `0x${n.toString(16)}`;
const tagOf = (at: At | number): string | { blockHash: string; requireCanonical: true } => {
  if (typeof at === "number") return hex(at);
  return typeof at === "string" ? at : { blockHash: at.hash, requireCanonical: true };
};
const callParams = ({ to, data, from, gas }: CallRequest, at: At): unknown[] => [
  {
    to,
    data,
    ...(from === undefined ? {} : { from }),
    ...(gas === undefined ? {} : { gas: hex(gas) }),
  },
  tagOf(at),
];

type Ask<T> = (member: Member, signal: AbortSignal) => Promise<T>;

export class RpcPool implements Chain {
  readonly chainId: number;
  readonly counters: PoolCounters = { failovers: 0, hedges: 0, disagreements: 0, thinAgreements: 0 };
  readonly #members: readonly Member[];
  readonly #options: RpcPoolOptions;
  readonly #hedgeMs: number;
  readonly #closed = new AbortController();
  readonly #background = new Set<Promise<unknown>>();
  #best: Header | undefined;
  #bestMovedAt = 0;
  /** How long a head usually stays, in milliseconds; learned. */
  #interval: number | undefined;
  #compareAfter = 0;

  constructor(options: RpcPoolOptions) {
    this.chainId = options.chainId;
    this.#options = options;
    this.#hedgeMs = (options.hedgeSeconds ?? options.timeoutSeconds / 4) * 1000;
    const names = namesOf(options.urls);
    this.#members = options.urls.map((url, i) => ({
      endpoint: new Endpoint({
        url,
        name: names[i] ?? url,
        timeoutMs: options.timeoutSeconds * 1000,
        ...(options.maxAnswerBytes === undefined ? {} : { maxBytes: options.maxAnswerBytes }),
        ...(options.maxBatch === undefined ? {} : { maxBatch: options.maxBatch }),
      }),
      verified: false,
      verifying: undefined,
      excluded: undefined,
      score: 1,
      scoredAt: 0,
      latencyMs: 0,
      failures: 0,
      lies: 0,
      openUntil: 0,
      backoffMs: BACKOFF_MS,
      probing: false,
      head: undefined,
      movedAt: 0,
      stale: undefined,
      firstAge: undefined,
      lastError: undefined,
    }));
  }

  /** Gives up what is still asked in the background. */
  async close(): Promise<void> {
    this.#closed.abort();
    await Promise.allSettled([...this.#background]);
    for (const { endpoint } of this.#members) endpoint.close();
  }

  status(): readonly EndpointStatus[] {
    return this.#members.map((member) => ({
      name: member.endpoint.name,
      state: this.#stateOf(member),
      score: scoreOf(member),
      latency: member.latencyMs / 1000,
      head: member.head?.number,
      traffic: member.endpoint.traffic,
      lastError: member.lastError,
    }));
  }

  // ------------------------------------------------------------------------------------------------ the chain

  async header(at: At | number): Promise<Header | undefined> {
    if (at === "latest") return await this.#latest();
    const byHash = typeof at === "object";
    const ask: Ask<Header | null> = async (member, signal) => {
      const [method, params] = byHash
        ? ["eth_getBlockByHash", [at.hash, false]]
        : ["eth_getBlockByNumber", [tagOf(at), false]];
      const header = await member.endpoint.request(
        method as string,
        params as unknown[],
        headerSchema.nullable(),
        signal,
      );
      if (
        header &&
        ((byHash && header.hash !== at.hash.toLowerCase()) || (typeof at === "number" && header.number !== at))
      )
        throw member.endpoint.error("malformed", `${method} gives another block than the one asked for`);
      if (header === null && typeof at === "string")
        throw member.endpoint.error("missing", `it has no block that is ${at}`);
      return header;
    };
    return (await this.#some(ask, (header) => header !== null, at)) ?? undefined;
  }

  async call(request: CallRequest, at: At): Promise<string> {
    // "0x" is what an RPC says that has no code there, although the contract has: only if all say so it is believed
    return await this.#some(this.#callOn(request, at), (answer) => answer !== "0x", at);
  }

  async agreedCall(request: CallRequest, at: At, needed: number): Promise<string> {
    let block = at;
    if (at === "latest") {
      const head = await this.#latest(); // else they could differ honestly
      block = { hash: head.hash };
    }
    const ask = this.#callOn(request, block);
    const answers = new Map<Member, string>();
    const errors: unknown[] = [];
    const ranked = this.#ranked(block);
    if (ranked.length === 0) throw this.#nobody();
    // nobody waits for the sick while others answer
    const waiting = ranked.filter((member) => this.#isWell(member));
    const sick = ranked.filter((member) => !waiting.includes(member));
    while (answers.size < needed && waiting.length > 0)
      await this.#collect(waiting.splice(0, needed - answers.size), ask, answers, errors);
    // not all the same: everybody is asked
    if (new Set(answers.values()).size > 1) await this.#collect(waiting.splice(0), ask, answers, errors);
    if (answers.size === 0) await this.#collect(sick, ask, answers, errors);
    if (answers.size === 0) throw this.#failed(errors);
    const groups = new Map<string, Member[]>();
    for (const [member, answer] of answers) groups.set(answer, [...(groups.get(answer) ?? []), member]);
    const [most, second] = [...groups].sort(([, a], [, b]) => b.length - a.length);
    if (most === undefined) throw this.#failed(errors);
    const [answer, agreeing] = most;
    const enough = Math.min(needed, answers.size);
    if (agreeing.length < enough || agreeing.length === second?.[1].length) {
      this.counters.disagreements++;
      const detail = [...groups]
        .map(([text, members]) => `${members.map(({ endpoint }) => endpoint.name).join(", ")}: ${inShort(text)}`)
        .join("; ");
      this.#tell({ kind: "disagreement", endpoint: agreeing[0]?.endpoint.name ?? "", detail });
      throw new RpcDisagreement(
        `The RPCs give different answers to a call to ${request.to}, and no ${enough} of them the same: ${detail}. ` +
          "One of them is behind or lies: compare them with another source, and take it out of the configuration.",
      );
    }
    for (const [text, members] of groups) {
      if (text === answer) continue;
      this.counters.disagreements++;
      for (const member of members) {
        this.#lied(
          member,
          `it answered a call with ${inShort(text)}, ${agreeing.length} others with ${inShort(answer)}`,
        );
      }
    }
    for (const member of agreeing) member.lies = 0;
    if (agreeing.length < Math.min(needed, this.#members.length)) this.counters.thinAgreements++;
    if (answer.startsWith(REVERT)) throw new CallReverted(answer.slice(REVERT.length));
    return answer;
  }

  async code(address: string, at: At): Promise<string> {
    const ask: Ask<string> = (member, signal) =>
      member.endpoint.request("eth_getCode", [address, tagOf(at)], bytesSchema, signal);
    return await this.#some(ask, (code) => code !== "0x", at);
  }

  async balance(address: string, at: At): Promise<bigint> {
    const ask: Ask<bigint> = (member, signal) =>
      member.endpoint.request("eth_getBalance", [address, tagOf(at)], bigSchema, signal);
    return await this.#some(ask, () => true, at);
  }

  async nonce(address: string, at: "latest" | "pending" | "finalized"): Promise<number> {
    const counts = await this.#everybody((member, signal) =>
      member.endpoint.request("eth_getTransactionCount", [address, at], numberSchema, signal),
    );
    counts.sort((a, b) => b - a);
    return counts[at !== "pending" && counts.length > 2 ? 1 : 0] ?? 0;
  }

  async receipt(hash: string): Promise<TransactionReceipt | undefined> {
    const ask: Ask<z.infer<typeof receiptSchema> | null> = async (member, signal) => {
      const answer = await member.endpoint.request(
        "eth_getTransactionReceipt",
        [hash],
        receiptSchema.nullable(),
        signal,
      );
      if (answer && answer.transactionHash !== hash.toLowerCase())
        throw member.endpoint.error("malformed", "eth_getTransactionReceipt gives the receipt of another transaction");
      return answer;
    };
    const found = await this.#some(ask, (answer) => answer !== null);
    if (found === null) return undefined;
    const { transactionHash, status, logs, ...rest } = found;
    return {
      ...rest,
      hash: transactionHash,
      succeeded: status === 1,
      logs: logs.map(({ address, topics, data }) => ({ address, topics, data })),
    };
  }

  async knows(hash: string): Promise<boolean> {
    const schema = z.object({ hash: hashSchema }).nullable();
    const ask: Ask<boolean> = async (member, signal) => {
      const found = await member.endpoint.request("eth_getTransactionByHash", [hash], schema, signal);
      return found !== null && found.hash === hash.toLowerCase();
    };
    return await this.#some(ask, (known) => known);
  }

  async broadcast(raw: string): Promise<string> {
    const hash = keccak256(raw);
    // also to those that are left alone: they cost nothing, and one that takes it is enough
    const members = this.#members.filter(({ excluded }) => excluded === undefined);
    if (members.length === 0) throw this.#nobody();
    const errors: unknown[] = [];
    const send = async (member: Member): Promise<void> => {
      const attempt = () =>
        this.#attempt(member, (_, signal) => this.#sendOn(member, raw, signal), this.#closed.signal);
      const answer = await attempt().catch(async (error: unknown) => {
        if (faultOf(error) !== "connection") throw error;
        // most often an idle connection that its other end had closed; if it was the answer that was lost, a refusal of
        // what has been mined meanwhile is none
        await sleep(RETRIES_MS[0] ?? 0, this.#closed.signal);
        return await attempt().catch(() => {
          throw error;
        });
      });
      if (answer !== hash)
        throw member.endpoint.error("malformed", "eth_sendRawTransaction gives another hash than the transaction's");
    };
    const sends = members.map((member) =>
      send(member).catch((error: unknown) => {
        errors.push(error);
        throw error;
      }),
    );
    for (const one of sends) this.#keep(one);
    try {
      await Promise.any(sends);
      return hash;
    } catch {
      const refusals = errors.flatMap((error) =>
        error instanceof EndpointError && error.refusal !== undefined && error.fault === "refused" ? [error] : [],
      );
      if (refusals.length === 0) throw this.#failed(errors);
      // the reason that tells most: a lagging RPC does not know of the nonce or the money yet
      const order: readonly (typeof REFUSALS)[number][] = [
        "nonce too low",
        "underpriced",
        "insufficient funds",
        "other",
      ];
      const reasons = refusals.map(({ refusal }) => refusalReason(refusal ?? ""));
      const reason = order.find((one) => reasons.includes(one)) ?? "other";
      const said = refusals.map(({ message }) => message).join("; ");
      throw new TransactionRefused(reason, `No RPC takes the transaction (${reason}). ${said}`);
    }
  }

  async logs(filter: Parameters<Chain["logs"]>[0]): ReturnType<Chain["logs"]> {
    const blockHash = filter.blockHash.toLowerCase();
    const addresses = filter.address.map((one) => one.toLowerCase());
    const topics = filter.topics.map((one) => one.toLowerCase());
    const ask: Ask<z.infer<typeof logSchema>[]> = async (member, signal) => {
      const params = [{ address: addresses, topics: [topics], blockHash }];
      const logs = await member.endpoint.request("eth_getLogs", params, z.array(logSchema), signal);
      for (const log of logs)
        if (
          !addresses.includes(log.address) ||
          !topics.includes(log.topics[0] ?? "") ||
          (log.blockHash ?? blockHash) !== blockHash
        )
          throw member.endpoint.error("malformed", "eth_getLogs gives logs that were not asked for");
      return logs;
    };
    const found = await this.#some(ask, () => true, { hash: blockHash });
    return found.map(({ address, topics: own, data }) => ({ address, topics: own, data }));
  }

  async fees(): ReturnType<Chain["fees"]> {
    try {
      const ask: Ask<z.infer<typeof feeHistorySchema>> = (member, signal) =>
        member.endpoint.request("eth_feeHistory", [hex(FEE_BLOCKS), "latest", [10, 50, 90]], feeHistorySchema, signal);
      const { baseFeePerGas, gasUsedRatio, reward } = await this.#some(ask, () => true, "latest");
      const tips = [0, 1, 2].map((column) =>
        // empty blocks had no tips
        median((reward ?? []).flatMap((row, i) => ((gasUsedRatio[i] ?? 0) > 0 ? [row[column] ?? 0n] : []))),
      );
      return { baseFee: baseFeePerGas.at(-1) ?? 0n, tips: [tips[0] ?? 0n, tips[1] ?? 0n, tips[2] ?? 0n] };
    } catch (error) {
      if (!(error instanceof RpcError)) throw error;
      // an RPC without eth_feeHistory: at most an eighth more than now (EIP-1559)
      const { baseFee } = await this.#latest();
      return { baseFee: (baseFee * 9n) / 8n, tips: [0n, 0n, 0n] };
    }
  }

  // ------------------------------------------------------------------------------------------------ the head

  /** The head by the best RPC; the others are asked when it goes back, is too old, or stands still for too long. */
  async #latest(): Promise<Header> {
    this.#probe();
    const ask: Ask<Header> = (member, signal) => this.#headOf(member, signal);
    const first = await this.#some(ask, () => true, "latest").catch((error: unknown) => {
      if (error instanceof RpcError && this.#members.some(({ stale, excluded }) => stale && !excluded))
        return undefined;
      throw error;
    });
    const best = this.#best;
    const now = performance.now();
    const suspicious =
      first === undefined ||
      (best !== undefined && first.number < best.number) ||
      (best !== undefined && first.hash === best.hash && now - this.#bestMovedAt > this.#patience()) ||
      !this.#fresh(first);
    if (!suspicious || now < this.#compareAfter) {
      if (first === undefined) throw this.#nobody();
      if (!suspicious) return this.#settleHead(first);
      if (first.number >= (best?.number ?? 0)) return this.#settleHead(first);
    }
    return await this.#compare(first);
  }

  /** Asks everybody for the head, and goes by the highest of those that are not too old. */
  async #compare(first: Header | undefined): Promise<Header> {
    const members = this.#members.filter(({ excluded }) => excluded === undefined);
    const heads: { readonly member: Member; readonly head: Header }[] = [];
    const only = members.length === 1 ? members[0] : undefined;
    if (only && first) heads.push({ member: only, head: first });
    else {
      const all = members.map(async (member) => {
        const head = await this.#attempt(member, (_, signal) => this.#headOf(member, signal), this.#closed.signal);
        heads.push({ member, head });
      });
      await this.#within(all, members);
    }
    const now = performance.now();
    // nothing new: ask again later, and less and less often while the chain itself stands still
    this.#compareAfter = now + Math.min(MAX_COMPARE_MS, Math.max(this.#patience(), (now - this.#bestMovedAt) / 2));
    const alive = heads.filter(({ head, member }) => !this.#tooOld(head) || this.#clockIsWrong(member));
    const highest = alive.reduce<Header | undefined>(
      (top, { head }) => (top === undefined || head.number > top.number ? head : top),
      undefined,
    );
    for (const { member, head } of heads) {
      const age = Math.round(this.#age(head));
      if (highest === undefined || (this.#tooOld(head) && !this.#clockIsWrong(member)))
        this.#setStale(member, `its head, block ${head.number}, is ${age} s old`);
      else if (highest.number - head.number >= LAG_BLOCKS)
        this.#setStale(member, `its head is block ${head.number}, another RPC's ${highest.number}`);
      else this.#setStale(member, undefined);
    }
    if (highest === undefined) {
      this.#compareAfter = 0;
      if (heads.length === 0 && first === undefined) throw this.#nobody();
      const newest = heads.reduce((least, { head }) => Math.min(least, this.#age(head)), Number.POSITIVE_INFINITY);
      throw new RpcError(
        `No RPC has a fresh head: the newest is ${Math.round(newest)} s old, and max_head_age_seconds is ` +
          `${this.#options.maxHeadAgeSeconds}. The RPCs are not synced, or the chain stands still, or this machine's clock ` +
          "is ahead (compare it with an NTP server); for a chain with a clock of its own set max_head_age_seconds to 0.",
      );
    }
    return this.#settleHead(highest);
  }

  async #headOf(member: Member, signal: AbortSignal): Promise<Header> {
    const header = await member.endpoint.request("eth_getBlockByNumber", ["latest", false], headerSchema, signal);
    const now = performance.now();
    if (member.head?.hash !== header.hash) {
      if (member.head !== undefined) member.movedAt = now;
      if (!this.#tooOld(header)) member.firstAge = undefined;
      else member.firstAge ??= this.#age(header);
    }
    member.head = header;
    return header;
  }

  #settleHead(header: Header): Header {
    const now = performance.now();
    if (this.#best?.hash !== header.hash) {
      if (this.#best !== undefined && header.number === this.#best.number + 1) {
        const took = now - this.#bestMovedAt;
        this.#interval = this.#interval === undefined ? took : this.#interval * 0.8 + took * 0.2;
      }
      this.#best = header;
      this.#bestMovedAt = now;
      this.#compareAfter = 0;
    }
    return header;
  }

  /** How long a head may stand still before the other RPCs are asked for theirs. */
  #patience(): number {
    return this.#interval === undefined ? 15_000 : Math.min(60_000, Math.max(250, this.#interval * 2));
  }

  #age(header: Header): number {
    return (this.#options.clock?.() ?? Date.now() / 1000) - header.timestamp;
  }

  /** Whether any RPC whose head this is may be believed that it is the chain's. */
  #fresh(header: Header): boolean {
    return (
      !this.#tooOld(header) || this.#members.some((one) => one.head?.hash === header.hash && this.#clockIsWrong(one))
    );
  }

  #tooOld(header: Header): boolean {
    const most = this.#options.maxHeadAgeSeconds;
    return most > 0 && this.#age(header) > most;
  }

  /**
   * Old by this machine's clock, and yet alive: its head moved just now, and it is not catching up. Then the clock is
   * wrong, which must not stop the keeper; `HeadFollower` reports the skew.
   */
  #clockIsWrong(member: Member): boolean {
    const { head, firstAge } = member;
    if (head === undefined || firstAge === undefined || member.movedAt === 0) return false;
    const moved = performance.now() - member.movedAt < this.#options.maxHeadAgeSeconds * 1000;
    return moved && this.#age(head) > firstAge / 2;
  }

  #setStale(member: Member, why: string | undefined): void {
    if (why !== undefined && member.stale === undefined)
      this.#tell({ kind: "stale", endpoint: member.endpoint.name, detail: why });
    if (why === undefined && member.stale !== undefined)
      this.#tell({ kind: "well again", endpoint: member.endpoint.name, detail: "its head moves with the others'" });
    member.stale = why;
  }

  // ------------------------------------------------------------------------------------------------ asking

  /**
   * Asks the best RPC, at once the next if it errs and beside it if it is late, until an answer is good enough; if none
   * is, the first that came. A contract's revert is an answer.
   */
  async #some<T>(ask: Ask<T>, good: (answer: T) => boolean, at?: At | number): Promise<T> {
    const begin = performance.now();
    for (let round = 0; ; round++) {
      const outcome = await this.#race(this.#ranked(at), ask, good);
      if ("answer" in outcome) return outcome.answer;
      const faults = outcome.errors.map(faultOf);
      // a block that one RPC has shown reaches the others a moment later
      const late = faults.includes("missing") && typeof at === "object" && this.#members.length > 1;
      const passing = faults.some((fault) => fault && PASSING.includes(fault));
      const wait = late ? MISSING_RETRIES_MS[round] : passing ? RETRIES_MS[round] : undefined;
      const time = performance.now() - begin < this.#options.timeoutSeconds * 500;
      if (wait === undefined || !time || this.#closed.signal.aborted) throw this.#failed(outcome.errors);
      await sleep(wait, this.#closed.signal);
    }
  }

  #race<T>(
    members: readonly Member[],
    ask: Ask<T>,
    good: (answer: T) => boolean,
  ): Promise<{ readonly answer: T } | { readonly errors: readonly unknown[] }> {
    if (members.length === 0) return Promise.resolve({ errors: [this.#nobody()] });
    return new Promise((resolve, reject) => {
      const errors: unknown[] = [];
      const over = new AbortController();
      const running = new Map<Member, number>();
      let next = 0;
      let fallback: { readonly answer: T } | undefined;
      let timer: NodeJS.Timeout | undefined;
      const end = (act: () => void) => {
        clearTimeout(timer);
        this.#closed.signal.removeEventListener("abort", close);
        // who was so late that another had to be asked has failed, even if nobody waits for it to be seen
        for (const [member, since] of running) this.#late(member, since);
        act();
        over.abort(new Error("another RPC was faster"));
      };
      const close = () => end(() => resolve({ errors: [new RpcError("The connection to the chain is closed.")] }));
      this.#closed.signal.addEventListener("abort", close, { once: true });
      const start = () => {
        clearTimeout(timer);
        const member = members[next++];
        if (member === undefined) {
          if (running.size > 0) return;
          end(() => resolve(fallback ?? { errors }));
          return;
        }
        const order = next;
        running.set(member, performance.now());
        this.#attempt(member, ask, over.signal).then(
          (answer) => {
            running.delete(member);
            if (over.signal.aborted) return;
            if (good(answer)) {
              if (order > 1) this.counters.failovers++;
              end(() => resolve({ answer }));
            } else {
              fallback ??= { answer };
              start();
            }
          },
          (error: unknown) => {
            running.delete(member);
            if (over.signal.aborted) return;
            if (error instanceof RpcError) {
              errors.push(error);
              start();
            } else end(() => reject(error));
          },
        );
        if (next < members.length)
          timer = setTimeout(() => {
            this.counters.hedges++;
            start();
          }, this.#patienceWith(member));
      };
      start();
    });
  }

  /** All RPCs that are well, at the same time; those that answer before they are late. */
  async #everybody<T>(ask: Ask<T>): Promise<T[]> {
    const members = this.#ranked("latest");
    if (members.length === 0) throw this.#nobody();
    const answers: T[] = [];
    const errors: unknown[] = [];
    const all = members.map(async (member) => {
      try {
        answers.push(await this.#attempt(member, ask, this.#closed.signal));
      } catch (error) {
        errors.push(error);
        throw error;
      }
    });
    await this.#within(all, members);
    if (answers.length === 0) await Promise.any(all).catch(() => undefined);
    if (answers.length === 0) throw this.#failed(errors);
    return [...answers];
  }

  /** Waits for all, but not for those that are late; they have failed then, and go on in the background. */
  async #within(all: readonly Promise<unknown>[], members: readonly Member[]): Promise<void> {
    const begin = performance.now();
    const settled = new Set<number>();
    const watched = all.map((one, i) => one.catch(() => undefined).then(() => settled.add(i)));
    const done = Promise.all(watched);
    this.#keep(done);
    const enough = new AbortController();
    await Promise.race([done, sleep(Math.max(...members.map((one) => this.#patienceWith(one))), enough.signal)]);
    enough.abort();
    members.forEach((member, i) => {
      if (!settled.has(i)) this.#late(member, begin);
    });
  }

  /** Asks each of them, as often as is worth it, and adds to the answers. Waits for the late only if nobody answers. */
  async #collect(
    members: readonly Member[],
    ask: Ask<string>,
    answers: Map<Member, string>,
    errors: unknown[],
  ): Promise<void> {
    if (members.length === 0) return;
    const results = new Map<Member, string>();
    const all = members.map(async (member) => {
      for (let round = 0; ; round++) {
        try {
          results.set(member, await this.#attempt(member, ask, this.#closed.signal));
          return;
        } catch (error) {
          if (error instanceof CallReverted) {
            results.set(member, REVERT + error.data);
            return;
          }
          const fault = faultOf(error);
          const retries =
            fault === "missing" ? MISSING_RETRIES_MS : fault && PASSING.includes(fault) ? RETRIES_MS.slice(0, 1) : [];
          const wait = this.#members.length === 1 && fault === "missing" ? undefined : retries[round];
          if (wait === undefined || this.#closed.signal.aborted) {
            errors.push(error);
            throw error;
          }
          await sleep(wait, this.#closed.signal);
        }
      }
    });
    await this.#within(all, members);
    if (answers.size === 0 && results.size === 0) await Promise.any(all).catch(() => undefined);
    for (const [member, answer] of results) answers.set(member, answer);
  }

  #callOn(request: CallRequest, at: At): Ask<string> {
    const params = callParams(request, at);
    return async ({ endpoint }, signal) => {
      let answer: string;
      try {
        answer = await endpoint.request("eth_call", params, bytesSchema, signal);
      } catch (error) {
        // with as much gas as was asked for, every RPC's would run out; else this one may give less than others
        const spent = error instanceof EndpointError && /out of gas/i.test(error.refusal ?? "");
        if (spent && request.gas !== undefined) throw new CallReverted("0x");
        throw error;
      }
      if ((answer.length - 2) % 64 !== 0)
        throw endpoint.error("malformed", "eth_call gives an answer that is not whole words: it was cut off");
      if (answer === "0x") return answer;
      try {
        request.check?.(answer);
      } catch (error) {
        const why = error instanceof Error ? error.message.slice(0, 200) : String(error);
        throw endpoint.error("malformed", `eth_call gives an answer that cannot be read: ${why}`, { cause: error });
      }
      return answer;
    };
  }

  async #sendOn(member: Member, raw: string, signal: AbortSignal): Promise<string> {
    const hash = keccak256(raw);
    try {
      return await member.endpoint.request("eth_sendRawTransaction", [raw], hashSchema, signal);
    } catch (error) {
      // a local chain has mined it at once, and says that it failed; the receipt says the same
      if (error instanceof CallReverted) return hash;
      if (error instanceof EndpointError && alreadyKnown(error.refusal ?? "")) return hash;
      throw error;
    }
  }

  /** One request to one RPC; what comes of it counts for or against it. */
  async #attempt<T>(member: Member, ask: Ask<T>, signal: AbortSignal): Promise<T> {
    const begin = performance.now();
    try {
      await this.#verify(member);
      const answer = await ask(member, signal);
      this.#success(member, performance.now() - begin);
      return answer;
    } catch (error) {
      if (error instanceof CallReverted) this.#success(member, performance.now() - begin);
      else if (error instanceof EndpointError) this.#blame(member, error);
      throw error;
    }
  }

  /** An RPC's chain is asked once, and again whenever it comes back from being left alone. */
  async #verify(member: Member): Promise<void> {
    if (member.excluded !== undefined) throw new RpcError(`${member.endpoint.name}: ${member.excluded}`);
    if (member.verified) return;
    member.verifying ??= (async () => {
      try {
        // not with the caller's signal: others wait for it, too
        const id = await member.endpoint.request("eth_chainId", [], numberSchema, this.#closed.signal);
        if (id !== this.chainId) {
          member.excluded = `it is on chain ${id}, not ${this.chainId}`;
          member.lastError = member.excluded;
          this.#tell({ kind: "wrong chain", endpoint: member.endpoint.name, detail: member.excluded });
          throw new RpcError(`${member.endpoint.name}: ${member.excluded}`);
        }
        member.verified = true;
      } finally {
        member.verifying = undefined;
      }
    })();
    await member.verifying;
  }

  // ------------------------------------------------------------------------------------------------ health

  /**
   * Whom to ask, in this order: those that are well, as configured, but for those that fail often. Who is left alone or
   * stale comes last where a block is named by its hash (then old is not wrong), and otherwise only where nobody is left.
   */
  #ranked(at?: At | number): Member[] {
    const now = performance.now();
    const members = this.#members.filter(({ excluded }) => excluded === undefined);
    const aboutTheHead = typeof at === "string";
    const rank = (member: Member): number => {
      if (member.openUntil > now) return 3;
      if (member.stale !== undefined) return 2;
      return member.openUntil > 0 || scoreOf(member) < 0.3 ? 1 : 0;
    };
    const ranked = members.map((member) => ({ member, rank: rank(member) })).sort((a, b) => a.rank - b.rank);
    const well = ranked.filter((one) => one.rank < 2);
    // a stale head is a wrong answer; a sick RPC's is none at worst
    const list = aboutTheHead ? (well.length > 0 ? well : ranked.filter((one) => one.rank !== 2)) : ranked;
    return list.map(({ member }) => member);
  }

  #isWell(member: Member): boolean {
    return member.openUntil <= performance.now() && member.stale === undefined;
  }

  /** How long an answer of this RPC may take before another is asked: slow ones that always were are not late. */
  #patienceWith(member: Member): number {
    return Math.min(this.#options.timeoutSeconds * 1000, Math.max(this.#hedgeMs, member.latencyMs * 4));
  }

  #late(member: Member, since: number): void {
    const took = performance.now() - since;
    if (took >= this.#hedgeMs)
      this.#failure(member, `${member.endpoint.name}: no answer within ${(took / 1000).toFixed(1)} s`);
  }

  #success(member: Member, took: number): void {
    member.latencyMs = member.latencyMs === 0 ? took : member.latencyMs * 0.8 + took * 0.2;
    member.score = scoreOf(member) * 0.9 + 0.1;
    member.scoredAt = performance.now();
    if (member.openUntil > 0) this.#tell({ kind: "well again", endpoint: member.endpoint.name, detail: "it answers" });
    member.failures = 0;
    member.openUntil = 0;
    member.backoffMs = BACKOFF_MS;
  }

  #blame(member: Member, error: EndpointError): void {
    member.lastError = error.message;
    if (error.fault === "missing") return;
    // it was asked something that it does not want to answer, but it is there
    if (error.fault === "refused") {
      member.failures = 0;
      return;
    }
    this.#failure(member, error.message, error.fault === "limited" ? (error.retryAfter ?? BACKOFF_MS) : undefined);
  }

  #failure(member: Member, why: string, aloneMs?: number): void {
    member.lastError = why;
    const now = performance.now();
    if (aloneMs === undefined && member.failures > 0 && now - member.scoredAt < SAME_FAILURE_MS) return;
    member.score = scoreOf(member) * 0.7;
    member.scoredAt = now;
    member.failures++;
    if (aloneMs === undefined && member.failures < FAILURES_TO_OPEN) return;
    const open = member.openUntil > now;
    const wait = Math.max(aloneMs ?? 0, member.backoffMs);
    member.openUntil = now + wait;
    member.verified = false; // who comes back may be another
    if (open) return;
    member.backoffMs = Math.min(MAX_BACKOFF_MS, member.backoffMs * 2);
    this.#tell({
      kind: "left alone",
      endpoint: member.endpoint.name,
      detail: `for ${(wait / 1000).toFixed(0)} s: ${why}`,
    });
  }

  #lied(member: Member, why: string): void {
    this.#tell({ kind: "disagreement", endpoint: member.endpoint.name, detail: why });
    if (++member.lies >= LIES_TO_OPEN) this.#failure(member, why, MAX_BACKOFF_MS);
    else member.lastError = why;
  }

  /** Tries those whose time is over, and those that were stale, without anybody waiting for it. */
  #probe(): void {
    const now = performance.now();
    for (const member of this.#members) {
      const due =
        (member.openUntil > 0 && member.openUntil <= now) || (member.stale !== undefined && now >= this.#compareAfter);
      if (!due || member.probing || member.excluded !== undefined) continue;
      member.probing = true;
      const probe = this.#attempt(member, (_, signal) => this.#headOf(member, signal), this.#closed.signal)
        .then((head) => {
          const behind = (this.#best?.number ?? 0) - head.number;
          if (member.stale !== undefined && behind < LAG_BLOCKS && !this.#tooOld(head))
            this.#setStale(member, undefined);
        })
        .finally(() => {
          member.probing = false;
        });
      this.#keep(probe);
    }
  }

  #stateOf(member: Member): EndpointStatus["state"] {
    if (member.excluded !== undefined) return "wrong chain";
    if (member.openUntil > 0) return "left alone"; // until it answers
    if (member.stale !== undefined) return "stale";
    return member.latencyMs === 0 && member.failures === 0 ? "untried" : "well";
  }

  #nobody(): RpcError {
    const reasons = this.#members.map(({ endpoint, excluded, stale, lastError }) => {
      const why = excluded ?? stale ?? lastError ?? "not asked yet";
      return why.startsWith(endpoint.name) ? why : `${endpoint.name}: ${why}`;
    });
    return new RpcError(
      `No RPC can be used. ${reasons.join("; ")}. Check the addresses under rpc in the configuration.`,
    );
  }

  #failed(errors: readonly unknown[]): RpcError {
    const other = errors.find((error) => error instanceof RpcError && !(error instanceof EndpointError));
    if (errors.length === 1 && other instanceof RpcError) return other;
    // no RPC's answer can be read: then it is not the RPCs
    const causes = errors.map((error) => (error instanceof EndpointError ? error.cause : undefined));
    if (causes.length > 0 && causes.every((cause) => cause instanceof Error)) throw causes[0];
    const said = [...new Set(errors.map((error) => (error instanceof Error ? error.message : String(error))))].join(
      "; ",
    );
    const faults = errors.flatMap((error) => (error instanceof EndpointError ? [error.fault] : []));
    if (faults.length > 0 && faults.every((fault) => fault === "missing"))
      return new BlockUnknown(`No RPC knows the block (${said}): the chain took it back, or the RPCs are behind.`);
    return new RpcError(`No RPC answers. ${said}. Check the addresses under rpc in the configuration, or wait.`);
  }

  #tell(event: PoolEvent): void {
    this.#options.onEvent?.(event);
  }

  /** What goes on after its caller has its answer. */
  #keep(promise: Promise<unknown>): void {
    const quiet = promise.catch(() => undefined).finally(() => this.#background.delete(quiet));
    this.#background.add(quiet);
  }
}

const scoreOf = ({ score, scoredAt }: Member): number =>
  1 - (1 - score) * 0.5 ** ((performance.now() - scoredAt) / FORGET_MS);

const faultOf = (error: unknown): Fault | undefined => (error instanceof EndpointError ? error.fault : undefined);

const REVERT = "revert ";
const FEE_BLOCKS = 5;

/** Hosts, numbered where they are the same: the rest of an address is often a key. */
function namesOf(urls: readonly string[]): readonly string[] {
  const hosts = urls.map((url) => new URL(url).host);
  return hosts.map((host, i) =>
    hosts.indexOf(host) === hosts.lastIndexOf(host)
      ? host
      : `${host} ${hosts.slice(0, i + 1).filter((one) => one === host).length}`,
  );
}

const inShort = (text: string): string =>
  text.length <= 74 ? text : `${text.slice(0, 34)}…${text.slice(-8)} (${(text.length - 2) / 2} bytes)`;

function median(values: readonly bigint[]): bigint {
  const sorted = [...values].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  return sorted[Math.floor(sorted.length / 2)] ?? 0n;
}

function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    signal.addEventListener("abort", done, { once: true });
  });
}
