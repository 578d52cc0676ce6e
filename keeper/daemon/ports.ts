/**
 * What the daemon asks of its surroundings. A pino logger is a `Log`; `keeper/operate/metrics.ts` is a `Metrics`; the
 * journal is a `Memory`.
 */
import type { Job, Remembered, Urgency } from "../plan/types.ts";
import type { BlockRef, ChainState, Pulse, TierRef, TierState } from "../state/types.ts";
import type { Entry, Outcome } from "../transactions/types.ts";

/** One line tells what, why, hash and cost; `fields` are the same for machines. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** What the daemon tells those who watch it. Called in its loop: none of it may throw or wait. */
export interface Metrics {
  /** A new head; `skew` is how far this machine's clock is ahead of the block's, in seconds. */
  head(block: BlockRef, skew: number): void;
  final(block: BlockRef): void;
  /** The chain took blocks back. */
  reorg(depth: number): void;
  /** Every block: health of a tier. `uncoveredSince` is a block's time, absent while it is covered. */
  pulse(tier: TierRef, pulse: Pulse, uncoveredSince: number | undefined): void;
  /** Whenever a tier was read as a whole: queues, exits, withheld cover. */
  tier(state: TierState): void;
  /** Blocks from the slash (or from when it was first seen) to the unwind's inclusion. */
  unwound(tier: TierRef, blocks: number): void;
  /** A transaction was mined, became final or was abandoned: gas and ETH by job and outcome. */
  transaction(entry: Entry): void;
  inFlight(entries: readonly Entry[], head: BlockRef): void;
  offered(urgency: Urgency, outcome: Outcome["kind"]): void;
  refused(tier: string, job: Job, urgency: Urgency): void;
  /** A race for a job was lost to somebody else, with gas. */
  raceLost(tier: string): void;
  balance(wei: bigint): void;
  /** RPCs do not agree on what protection should do. */
  disagreement(): void;
  /** An error that the loop survived, by its class. */
  error(kind: string): void;
  /** A step of the loop is over. */
  step(seconds: number, succeeded: boolean): void;
}

/** What must survive a restart beside the transactions. */
export interface Memory {
  /** What the sets' surroundings were when the keeper last acted on them. */
  remembered(): readonly Remembered[];
  /** Replaces what is known of the same tier and set. */
  remember(seen: readonly Remembered[]): void;
}

/** The chain as the plan wants it. */
export interface Views {
  /** The tiers to keep. */
  tiers(): Promise<readonly TierRef[]>;
  /** One call for all of them; with `agreement` above 1, that many RPCs must give the same answer. */
  pulse(tiers: readonly TierRef[], block: BlockRef, agreement: number): Promise<readonly Pulse[]>;
  observe(tiers: readonly TierRef[], block: BlockRef, agreement: number): Promise<ChainState>;
}

/** `GET /status`: where the keeper is. */
export interface Status {
  readonly address: string | undefined;
  readonly chainId: number;
  readonly dryRun: boolean;
  readonly head: BlockRef | undefined;
  /** The head whose protection was planned and offered last. */
  readonly considered: number | undefined;
  /** The final block that routine was planned on last. */
  readonly routine: number | undefined;
  readonly inFlight: number;
  /** Nothing is in flight, and the plans of `considered` and `routine` left nothing to do but what was refused. */
  readonly settled: boolean;
  readonly lastError?: string | undefined;
}
