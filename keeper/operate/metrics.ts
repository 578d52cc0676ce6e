/**
 * What the keeper measures, in Prometheus' text format. The daemon calls the methods below and knows nothing of
 * Prometheus; the names, units and explanations are all here. Counters begin at zero with each process.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { EndpointStatus, PoolCounters } from "../chain/pool.ts";
import type * as ports from "../daemon/ports.ts";
import type { Job, Urgency } from "../plan/types.ts";
import type { BlockRef, Pulse, TierRef, TierState } from "../state/types.ts";
import type { Entry, Outcome } from "../transactions/types.ts";

export interface MetricsOptions {
  readonly chainId: number;
  readonly version?: string;
  /** Without one: the keeper has no key. */
  readonly address?: string | undefined;
  readonly dryRun?: boolean;
  readonly minBalance?: bigint;
  /** Memory, garbage collection and event loop of this process as well. */
  readonly processMetrics?: boolean;
  /** Wall clock in seconds. */
  readonly clock?: () => number;
}

const WAD = 10n ** 18n;
const WEI_P = 10n ** 27n;
/** U where there is exposure and no cover: all that a uint256 can say. */
const UNBOUNDED = 1n << 200n;

/** Transactions of which it is remembered that they were counted; far more than can be in flight. */
const REMEMBERED = 1_000;

/** Metrics are for eyes and thresholds, so a double is enough here; no decision is made on one. */
const toNumber = (value: bigint, unit: bigint): number =>
  value >= UNBOUNDED ? Number.POSITIVE_INFINITY : Number(value / unit) + Number(value % unit) / Number(unit);
const eth = (wei: bigint): number => toNumber(wei, WAD);
const flag = (value: boolean): number => (value ? 1 : 0);
const bits = (value: bigint): number => [...value.toString(2)].filter((bit) => bit === "1").length;

export class Metrics implements ports.Metrics {
  readonly registry = new Registry();
  readonly #names = new Map<string, string>();
  /** What was counted elsewhere when it was last looked at. */
  readonly #raised = new Map<string, number>();
  readonly #counted = new Set<number>();
  readonly #early: Entry[] = [];
  readonly #clock: () => number;

  readonly #info = this.#gauge("bulkhead_keeper_info", "Always 1; the labels say which keeper this is.", [
    "version",
    "chain_id",
    "address",
    "dry_run",
  ]);

  // --- tiers, from the pulse of every block ---
  readonly #tierInfo = this.#gauge("bulkhead_tier_info", "Always 1; the address of a tier that is kept.", [
    "tier",
    "address",
  ]);
  readonly #readable = this.#tier("readable", "1 while EigenLayer and the staking protocol can be read for the tier.");
  readonly #utilisation = this.#tier(
    "utilisation_ratio",
    "U, the utilisation of the cover as a sync now would find it; the tier is covered while it is at most 1.",
  );
  readonly #exposure = this.#tier("exposure_eth", "L_k, what the k largest slasher groups could take, in ETH.");
  readonly #cover = this.#tier("cover_eth", "R + J, reserve and junior book, in ETH.");
  readonly #value = this.#tier("value_eth", "V, all that the tier owns, in ETH.");
  readonly #covered = this.#tier("covered", "1 while U is at most 1.");
  readonly #since = this.#tier(
    "uncovered_since_timestamp_seconds",
    "Chain time of the block since which the tier is uncovered; 0 while it is covered.",
  );
  readonly #lastSync = this.#tier("last_sync_timestamp_seconds", "Chain time of the tier's last stored sync.");
  readonly #freshUntil = this.#tier(
    "fresh_until_timestamp_seconds",
    "Chain time until which every operator set counts as looked at; afterwards the next sync pokes.",
  );
  readonly #slashed = this.#tier("slashed_agents", "Agents whose slash no sync has booked yet.");
  readonly #unwinding = this.#tier(
    "unwinding_links",
    "Links of quarantined operator sets whose allocation is not on its way to zero.",
  );
  readonly #changed = this.#tier(
    "changed_sets",
    "Operator sets with exposure whose slasher or pending slasher differs from what the tier last saw.",
  );

  // --- tiers, from their full state ---
  readonly #readAt = this.#tier(
    "read_timestamp_seconds",
    "Wall clock time at which the whole tier was last read, as every round of routine work does.",
  );
  readonly #book = this.#gauge("bulkhead_tier_book_eth", "A tier's books, in ETH.", ["tier", "book"]);
  readonly #queue = this.#gauge("bulkhead_tier_queue_shares", "Shares that wait for their exit, in whole shares.", [
    "tier",
    "tranche",
  ]);
  readonly #finalisable = this.#gauge(
    "bulkhead_tier_queue_finalisable_shares",
    "Waiting shares that could be paid now, in whole shares.",
    ["tier", "tranche"],
  );
  readonly #idle = this.#tier("idle_eth", "WETH in the tier, in ETH.");
  readonly #deployable = this.#tier("deployable_eth", "Idle WETH that no queue and no buffer claims, in ETH.");
  readonly #withdrawing = this.#tier("withdrawing_eth", "Stake in EigenLayer's withdrawal queue, in ETH.");
  readonly #unstaking = this.#tier("unstaking_eth", "What waits in the staking token's own exit queue, in ETH.");
  readonly #requests = this.#gauge("bulkhead_tier_unstake_requests", "Requests in the staking token's exit queue.", [
    "tier",
    "state",
  ]);
  readonly #paused = this.#tier("entries_paused", "1 while the guardian has paused entries.");
  readonly #deficit = this.#tier("deficit_eth", "What an open Deficit still owes, in ETH; 0 without one.");
  readonly #quarantined = this.#tier("quarantined_sets", "Operator sets in quarantine.");

  // --- the loop ---
  readonly #head = this.#gauge("bulkhead_keeper_head_block", "Number of the last head that was looked at.");
  readonly #headTime = this.#gauge("bulkhead_keeper_head_timestamp_seconds", "Chain time of the last head.");
  readonly #headSeen = this.#gauge(
    "bulkhead_keeper_head_seen_timestamp_seconds",
    "Wall clock time at which the last new head was seen.",
  );
  readonly #final = this.#gauge("bulkhead_keeper_final_block", "Number of the last final block that was seen.");
  readonly #step = this.#histogram(
    "bulkhead_keeper_step_duration_seconds",
    "How long a turn of the loop took.",
    [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
  );
  readonly #stepTime = this.#gauge(
    "bulkhead_keeper_last_step_timestamp_seconds",
    "Wall clock time at which the loop last finished a turn.",
  );
  readonly #goodStepTime = this.#gauge(
    "bulkhead_keeper_last_good_step_timestamp_seconds",
    "Wall clock time at which the loop last finished a turn without an error.",
  );
  readonly #errors = this.#counter("bulkhead_keeper_errors_total", "Errors that the loop survived, by their class.", [
    "kind",
  ]);
  readonly #reorgs = this.#counter("bulkhead_keeper_reorgs_total", "Reorganisations of the chain that were seen.");
  readonly #reorgDepth = this.#gauge("bulkhead_keeper_reorg_depth_blocks", "Depth of the last reorganisation.");
  readonly #skew = this.#gauge(
    "bulkhead_keeper_clock_skew_seconds",
    "How far this machine's clock is ahead of the last head's time, when that was new.",
  );

  // --- what it did, and what it cost ---
  readonly #actions = this.#counter(
    "bulkhead_keeper_actions_total",
    "Actions by what came of them: done, failed (tried in a transaction, no effect), refused (by the simulation).",
    ["tier", "job", "outcome"],
  );
  readonly #offers = this.#counter(
    "bulkhead_keeper_offers_total",
    "Batches of actions by what came of the offer: sent, refused, busy, dear (fees above the cap), poor, dry.",
    ["urgency", "outcome"],
  );
  readonly #races = this.#counter(
    "bulkhead_keeper_races_lost_total",
    "Transactions whose work somebody else had done first, so that their gas was for nothing.",
    ["tier"],
  );
  readonly #transactions = this.#counter(
    "bulkhead_keeper_transactions_total",
    "Transactions at their end: succeeded, reverted, abandoned.",
    ["urgency", "outcome"],
  );
  readonly #gas = this.#counter(
    "bulkhead_keeper_gas_total",
    "Gas that was paid for, by job; a transaction's gas is shared equally by its actions.",
    ["job", "outcome"],
  );
  readonly #spent = this.#counter(
    "bulkhead_keeper_spent_eth_total",
    "ETH that was paid for gas, by job; a transaction's cost is shared equally by its actions.",
    ["job", "outcome"],
  );
  readonly #latency = this.#histogram(
    "bulkhead_keeper_unwind_latency_blocks",
    "Blocks from the one with the slash to the one with its unwind.",
    [1, 2, 3, 5, 10, 25, 50, 100, 300],
    ["tier"],
  );
  readonly #balance = this.#gauge("bulkhead_keeper_balance_eth", "ETH in the keeper's wallet.");
  readonly #minBalance = this.#gauge(
    "bulkhead_keeper_min_balance_eth",
    "Balance below which the rest is kept for protection (fees.min_balance_eth).",
  );
  readonly #inFlight = this.#gauge("bulkhead_keeper_in_flight", "Transactions that are not final.", [
    "urgency",
    "stage",
  ]);
  readonly #unminedSince = this.#gauge(
    "bulkhead_keeper_oldest_unmined_timestamp_seconds",
    "Wall clock time of the oldest transaction that no block has; 0 without one.",
    ["urgency"],
  );

  // --- RPCs ---
  readonly #rpcHealthy = this.#gauge("bulkhead_keeper_rpc_healthy", "1 while the RPC is used.", ["rpc"]);
  readonly #rpcHead = this.#gauge("bulkhead_keeper_rpc_head_block", "Last head that the RPC told.", ["rpc"]);
  readonly #rpcRequests = this.#counter("bulkhead_keeper_rpc_requests_total", "Calls to an RPC.", ["rpc"]);
  readonly #rpcErrors = this.#counter("bulkhead_keeper_rpc_errors_total", "Calls that an RPC did not answer well.", [
    "rpc",
    "kind",
  ]);
  readonly #rpcLatency = this.#gauge("bulkhead_keeper_rpc_latency_seconds", "How long good answers took lately.", [
    "rpc",
  ]);
  readonly #rpcScore = this.#gauge(
    "bulkhead_keeper_rpc_score_ratio",
    "Part of the recent calls that were answered well.",
    ["rpc"],
  );
  readonly #rpcBytes = this.#counter("bulkhead_keeper_rpc_bytes_total", "Bytes to and from an RPC.", [
    "rpc",
    "direction",
  ]);
  readonly #failovers = this.#counter(
    "bulkhead_keeper_rpc_failovers_total",
    "Calls that another RPC than the first one answered.",
  );
  readonly #disagreements = this.#counter(
    "bulkhead_keeper_rpc_disagreements_total",
    "Times that RPCs gave different answers about the same block.",
  );

  constructor(options: MetricsOptions) {
    this.#info.set(
      {
        version: options.version ?? "",
        chain_id: String(options.chainId),
        address: options.address ?? "",
        dry_run: String(options.dryRun ?? false),
      },
      1,
    );
    this.#minBalance.set(eth(options.minBalance ?? 0n));
    // so that a first increase is seen as one, which Prometheus cannot do with a series that begins at 1
    for (const urgency of ["protection", "routine"]) {
      for (const outcome of ["succeeded", "reverted", "abandoned"]) this.#transactions.inc({ urgency, outcome }, 0);
      for (const outcome of ["sent", "refused", "busy", "dear", "poor", "dry"])
        this.#offers.inc({ urgency, outcome }, 0);
    }
    this.#clock = options.clock ?? (() => Date.now() / 1000);
    if (options.processMetrics ?? true) collectDefaultMetrics({ register: this.registry });
  }

  /** All of it, as Prometheus reads it. */
  text(): Promise<string> {
    return this.registry.metrics();
  }

  get contentType(): string {
    return this.registry.contentType;
  }

  /** A new head; `skew` is how far this machine's clock is ahead of the block's time, in seconds. */
  head(block: BlockRef, skew: number): void {
    this.#head.set(block.number);
    this.#headTime.set(block.timestamp);
    this.#headSeen.set(block.timestamp + skew);
    this.#skew.set(skew);
  }

  final(block: BlockRef): void {
    this.#final.set(block.number);
  }

  reorg(depth: number): void {
    this.#reorgs.inc();
    this.#reorgDepth.set(depth);
  }

  /** What a block's pulse says of a tier; `uncoveredSince` is a block's time, absent while it is covered. */
  pulse(ref: TierRef, pulse: Pulse, uncoveredSince: number | undefined): void {
    const tier = this.#meet(ref);
    this.#readable.set({ tier }, flag(pulse.readable));
    if (!pulse.readable) return; // the rest means nothing, so the last true figures stay
    this.#utilisation.set({ tier }, toNumber(pulse.utilisation, WAD));
    this.#exposure.set({ tier }, toNumber(pulse.exposed, WEI_P));
    this.#cover.set({ tier }, eth(pulse.cover));
    this.#value.set({ tier }, eth(pulse.value));
    this.#lastSync.set({ tier }, pulse.lastSync);
    this.#freshUntil.set({ tier }, pulse.freshUntil);
    this.#slashed.set({ tier }, bits(pulse.slashedAgents));
    this.#unwinding.set({ tier }, pulse.unwinding);
    this.#changed.set({ tier }, bits(pulse.changedSets));
    this.#covered.set({ tier }, flag(pulse.utilisation <= WAD));
    this.#since.set({ tier }, uncoveredSince ?? 0);
  }

  /** What a tier's full state says beyond the pulse. Every round of routine work begins with reading it. */
  tier(state: TierState): void {
    const tier = this.#meet(state);
    this.#readAt.set({ tier }, this.#clock());
    if (!state.readable) return;
    for (const book of ["reserve", "junior", "senior", "gains"] as const)
      this.#book.set({ tier, book }, eth(state.books[book]));
    for (const tranche of ["senior", "junior"] as const) {
      this.#queue.set({ tier, tranche }, eth(state[tranche].queued));
      this.#finalisable.set({ tier, tranche }, eth(state[tranche].finalisable));
    }
    this.#idle.set({ tier }, eth(state.idle));
    this.#deployable.set({ tier }, eth(state.deployable));
    this.#withdrawing.set({ tier }, eth(state.queued));
    this.#unstaking.set({ tier }, eth(state.unstaking));
    for (const which of ["open", "claimable"] as const)
      this.#requests.set({ tier, state: which }, state.unstakeRequests[which]);
    this.#paused.set({ tier }, flag(state.entriesPaused));
    this.#deficit.set({ tier }, eth(state.deficit.outstanding));
    this.#quarantined.set({ tier }, state.sets.filter((set) => set.quarantined).length);
  }

  /** A slash was answered: `blocks` after the block that it was in. */
  unwound(ref: TierRef, blocks: number): void {
    this.#latency.observe({ tier: this.#meet(ref) }, blocks);
  }

  /** What came of an offer: sent, refused, busy, dear, poor or dry. */
  offered(urgency: Urgency, outcome: Outcome["kind"]): void {
    this.#offers.inc({ urgency, outcome });
  }

  refused(tier: string, job: Job, _urgency: Urgency): void {
    this.#actions.inc({ tier: this.#nameOf(tier), job, outcome: "refused" });
  }

  /** A race for a job was lost to somebody else, and gas with it. */
  raceLost(tier: string): void {
    this.#races.inc({ tier: this.#nameOf(tier) });
  }

  /** A transaction was mined, became final or was abandoned. It is counted at its end, once. */
  transaction(entry: Entry): void {
    if ((entry.stage !== "final" && entry.stage !== "abandoned") || this.#counted.has(entry.id)) return;
    this.#counted.add(entry.id);
    // of a tier that was not seen since the start: counted when its name is known
    if (this.#names.has(entry.tier.toLowerCase())) this.#count(entry);
    else this.#early.push(entry);
    for (const old of this.#counted) {
      if (this.#counted.size <= REMEMBERED) break;
      this.#counted.delete(old);
    }
  }

  #count(entry: Entry): void {
    const outcome = entry.stage === "abandoned" ? "abandoned" : entry.succeeded ? "succeeded" : "reverted";
    this.#transactions.inc({ urgency: entry.urgency, outcome });
    if (entry.stage === "abandoned") return;
    const count = BigInt(Math.max(entry.actions.length, 1));
    entry.actions.forEach((action, i) => {
      const result = entry.done?.[i] ? "done" : "failed";
      this.#actions.inc({ tier: this.#nameOf(action.tier), job: action.job, outcome: result });
      this.#gas.inc({ job: action.job, outcome: result }, Number((entry.gasUsed ?? 0n) / count));
      this.#spent.inc({ job: action.job, outcome: result }, eth((entry.paid ?? 0n) / count));
    });
  }

  inFlight(entries: readonly Entry[], _head?: BlockRef): void {
    const urgencies: readonly Urgency[] = ["protection", "routine"];
    for (const urgency of urgencies) {
      const mine = entries.filter((entry) => entry.urgency === urgency);
      for (const stage of ["intended", "sent", "mined"] as const)
        this.#inFlight.set({ urgency, stage }, mine.filter((entry) => entry.stage === stage).length);
      const unmined = mine.filter((entry) => entry.stage === "intended" || entry.stage === "sent");
      this.#unminedSince.set({ urgency }, unmined.length === 0 ? 0 : Math.min(...unmined.map((one) => one.createdAt)));
    }
  }

  balance(wei: bigint): void {
    this.#balance.set(eth(wei));
  }

  disagreement(): void {
    this.#disagreements.inc();
  }

  /** An error that the loop survived, by its class. */
  error(kind: string): void {
    this.#errors.inc({ kind });
  }

  /** A turn of the loop is over. */
  step(seconds: number, succeeded: boolean): void {
    this.#step.observe(seconds);
    this.#stepTime.set(this.#clock());
    if (succeeded) this.#goodStepTime.set(this.#clock());
  }

  /** How the RPCs are; asked for when somebody looks. Their names are hosts: the rest of an address is often a key. */
  rpcs(endpoints: readonly EndpointStatus[], counters: Pick<PoolCounters, "failovers">): void {
    for (const { name, state, score, latency, head, traffic } of endpoints) {
      this.rpcHealth(name, state === "well" || state === "untried", head);
      this.#rpcLatency.set({ rpc: name }, latency);
      this.#rpcScore.set({ rpc: name }, score);
      this.#raise("requests", this.#rpcRequests, { rpc: name }, traffic.requests);
      this.#raise("bytes", this.#rpcBytes, { rpc: name, direction: "sent" }, traffic.bytesSent);
      this.#raise("bytes", this.#rpcBytes, { rpc: name, direction: "received" }, traffic.bytesReceived);
      for (const [kind, count] of Object.entries(traffic.errors))
        this.#raise("errors", this.#rpcErrors, { rpc: name, kind }, count);
    }
    this.#raise("failovers", this.#failovers, {}, counters.failovers);
  }

  rpcHealth(name: string, healthy: boolean, head?: number): void {
    this.#rpcHealthy.set({ rpc: name }, flag(healthy));
    if (head !== undefined) this.#rpcHead.set({ rpc: name }, head);
  }

  /** To what somebody else has counted. */
  #raise(name: string, counter: Counter, labels: Record<string, string>, count: number): void {
    const key = `${name} ${Object.values(labels).join(" ")}`;
    counter.inc(labels, Math.max(count - (this.#raised.get(key) ?? 0), 0));
    this.#raised.set(key, count);
  }

  /** A tier's label: its name, and its address too where another has the same. */
  #meet({ address, name }: Pick<TierRef, "address" | "name">): string {
    const key = address.toLowerCase();
    const known = this.#names.get(key);
    if (known !== undefined) return known;
    const tier = [...this.#names.values()].includes(name) ? `${name} ${address}` : name;
    this.#names.set(key, tier);
    this.#tierInfo.set({ tier, address }, 1);
    for (const entry of this.#early.splice(0)) {
      if (entry.tier.toLowerCase() === key) this.#count(entry);
      else this.#early.push(entry);
    }
    return tier;
  }

  #nameOf(address: string): string {
    return this.#names.get(address.toLowerCase()) ?? address;
  }

  #gauge(name: string, help: string, labelNames: string[] = []): Gauge {
    return new Gauge({ name, help, labelNames, registers: [this.registry] });
  }

  #tier(name: string, help: string): Gauge {
    return this.#gauge(`bulkhead_tier_${name}`, help, ["tier"]);
  }

  #counter(name: string, help: string, labelNames: string[] = []): Counter {
    return new Counter({ name, help, labelNames, registers: [this.registry] });
  }

  #histogram(name: string, help: string, buckets: number[], labelNames: string[] = []): Histogram {
    return new Histogram({ name, help, buckets, labelNames, registers: [this.registry] });
  }
}
