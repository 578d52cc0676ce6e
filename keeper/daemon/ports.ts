/** What the daemon asks of its surroundings. `keeper/operate` has its `Log` and `Metrics`; the journal is its `Memory`. */
import type { Remembered } from "../plan/types.ts";
import type { BlockRef, ChainState, Pulse, TierRef, TierState } from "../state/types.ts";
import type { Batch, Entry, Outcome } from "../transactions/types.ts";

/** One line tells what, why, under which hash and at what cost; `details` are the same for machines. */
export interface Log {
  debug(sentence: string, details?: Details): void;
  info(sentence: string, details?: Details): void;
  warn(sentence: string, details?: Details): void;
  error(sentence: string, details?: Details): void;
}

export interface Details {
  /** The tier's name. */
  readonly tier?: string | undefined;
  readonly job?: string | undefined;
  readonly reason?: string | undefined;
  readonly hash?: string | undefined;
  /** Wei that were paid. */
  readonly cost?: bigint | undefined;
  readonly block?: number | undefined;
  readonly error?: unknown;
  readonly [more: string]: unknown;
}

/** What the daemon tells those who watch it. Called in its loop: none of it may throw or wait. */
export interface Metrics {
  /** The tiers that are kept. */
  keep(tiers: readonly TierRef[]): void;
  /** A new head, and the wall clock (seconds) at which it was seen. */
  head(block: BlockRef, seenAt: number): void;
  final(number: number): void;
  /** The chain took blocks back. */
  reorg(depth: number): void;
  /** Every block: the health of the tiers. */
  pulse(block: BlockRef, pulses: readonly Pulse[]): void;
  /** Whenever tiers were read as a whole. */
  states(tiers: readonly TierState[]): void;
  offered(batch: Batch, outcome: Outcome): void;
  /** A transaction came to its end: final or abandoned. Called once for each. */
  settled(entry: Entry): void;
  /** Blocks from the slash, or from when it was first seen, to the inclusion of its unwind. */
  unwound(tier: string, blocks: number): void;
  inFlight(entries: readonly Entry[]): void;
  balance(wei: bigint): void;
  /** RPCs gave different answers about the same block. */
  disagreement(): void;
  /** A turn of the loop ended at `now` (wall clock, seconds), well or not. */
  step(work: "idle" | "protection" | "routine", duration: number, now: number, failed?: boolean): void;
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
