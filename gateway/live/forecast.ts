/**
 * When a redemption request will be paid, and why: a pure function of what the chain says at one block. A request is paid
 * when its shares are mature, everything before it in its queue is paid, and money is at hand; junior money must in addition
 * not be bound by what it covers (SPEC section 5). Times are blocks of 12 seconds.
 */
import { ceilDiv, min, positive } from "./numbers.ts";

export const BLOCK_SECONDS = 12;
/** What Lido's queue takes as a rule: one to five days. An assumption, stated in the forecast. */
export const UNSTAKE_BLOCKS = 3 * 7_200;

/** Money on its way back. */
export interface Source {
  /** Wei. */
  readonly amount: bigint;
  /** First block in which it can leave EigenLayer, or be handed to the staking protocol; the next block for what is there. */
  readonly block: number;
  /** Whether the staking protocol's queue is still before it. */
  readonly unstakes: boolean;
}

export interface ForecastInput {
  /** The block that everything here is of. */
  readonly block: number;
  readonly timestamp: number;
  readonly senior: boolean;
  readonly retired: boolean;
  /** The request: block in which it was made, end of its shares in the queue, shares that wait. */
  readonly request: { readonly block: number; readonly queueEnd: bigint; readonly pending: bigint };
  /** Shares of the queue that were finalised so far. */
  readonly finalisedShares: bigint;
  /** The tranche: book (wei), supply, shares that can be finalised now. */
  readonly book: bigint;
  readonly supply: bigint;
  readonly finalisable: bigint;
  /** Blocks after which a request of this tranche matures now. */
  readonly maturity: number;
  /** Whether a senior request waits as long as a junior one, because a Deficit is open or U without margin is above 1. */
  readonly slow: boolean;
  /** Value of queued senior shares (wei, rounded up), which goes before junior requests. */
  readonly seniorQueued: bigint;
  /** Most junior money that cover lets go now (wei). */
  readonly juniorLimit: bigint;
  readonly idle: bigint;
  readonly sources: readonly Source[];
  /** Stake that could be taken out of EigenLayer besides (wei), and EigenLayer's delay (blocks). */
  readonly staked: bigint;
  readonly withdrawalDelay: number;
}

export type ForecastStatus = "READY" | "MATURING" | "WAITING_FOR_MONEY" | "WAITING_FOR_COVER" | "SETTLED" | "UNKNOWN";

export interface Forecast {
  readonly status: ForecastStatus;
  readonly readyShares: bigint;
  readonly sharesAhead: bigint;
  readonly value: bigint | null;
  readonly matureBlock: number | null;
  readonly earliestBlock: number | null;
  readonly likelyBlock: number | null;
  readonly missing: bigint | null;
  readonly reasons: readonly string[];
  readonly assumptions: readonly string[];
}

const NOTHING = {
  readyShares: 0n,
  sharesAhead: 0n,
  value: null,
  matureBlock: null,
  earliestBlock: null,
  likelyBlock: null,
  missing: null,
  assumptions: [],
};

export function forecast(input: ForecastInput): Forecast {
  const { request, senior } = input;
  if (request.pending === 0n)
    return { ...NOTHING, status: "SETTLED", reasons: ["Nothing of it waits: it is finalised, claimed or returned."] };
  if (input.retired)
    return {
      ...NOTHING,
      status: "UNKNOWN",
      reasons: [
        "Its series is retired: nothing more is finalised. Return the request, and claim from the pot when the Deficit has closed.",
      ],
    };
  const next = input.block + 1;
  const upToEnd = positive(request.queueEnd - input.finalisedShares);
  const sharesAhead = positive(upToEnd - request.pending);
  const worth = (shares: bigint) => (input.supply === 0n ? 0n : (shares * input.book) / input.supply);
  const matureBlock = Math.max(next, request.block + input.maturity);
  const mature = matureBlock === next;

  // the least money that lets the tranche's own division finalise so many shares
  const own = input.supply === 0n ? 0n : ceilDiv(upToEnd * input.book, input.supply);
  const need = senior ? own : own + input.seniorQueued;
  const { earliest, likely, missing, unbonds } = arrival(input, need, next, matureBlock);

  const reasons: string[] = [];
  const assumptions = [
    "The rate stays as it is: no slash, no new Deficit; requests before this one are finalised before it.",
    "A keeper does what falls due in the block in which it falls due.",
  ];
  const wait = `${input.maturity} blocks (${days(input.maturity)} days)`;
  reasons.push(
    mature
      ? `Its shares are mature: it was made in block ${request.block}, and ${wait} have passed.`
      : `Its shares are mature in block ${matureBlock}, ${wait} after block ${request.block}, in which it was made.`,
  );
  if (senior && input.slow)
    reasons.push(
      "Senior requests wait as long as junior ones, because a Deficit is open or cover is too small without margin.",
    );
  if (sharesAhead > 0n) reasons.push(`Requests for ${sharesAhead} shares are before it in the queue.`);
  if (!senior && input.seniorQueued > 0n)
    reasons.push(`Senior requests worth ${input.seniorQueued} wei are paid first.`);
  if (missing > 0n) reasons.push(`${missing} wei are missing now: ${input.idle} of ${need} wei are at hand.`);
  if (unbonds > 0n)
    reasons.push(
      `${unbonds} wei of that are not on their way yet: they have to wait out EigenLayer's delay of ${input.withdrawalDelay} blocks (${days(input.withdrawalDelay)} days)${senior ? "" : ", which begins when the shares are mature"}.`,
    );
  if (likely !== null && earliest !== null && likely !== earliest)
    assumptions.push(
      `The staking protocol's own queue takes ${days(UNSTAKE_BLOCKS)} days for the likely block, and no time for the earliest: the chain does not say how long it is.`,
    );
  if (!senior && !mature && input.idle > 0n)
    assumptions.push("Idle money stays idle: a keeper may restake what no mature request claims.");

  const bound = !senior && own > input.juniorLimit;
  if (bound) {
    reasons.push(
      `Junior money covers what slashers could take: only ${input.juniorLimit} wei of it may leave now, and ${own} would have to. It is free when exposure falls or other junior money comes.`,
    );
    return {
      status: "WAITING_FOR_COVER",
      readyShares: readyOf(input),
      sharesAhead,
      value: worth(request.pending),
      matureBlock,
      earliestBlock: null,
      likelyBlock: null,
      missing,
      reasons,
      assumptions,
    };
  }
  const at = (block: number | null) => (block === null ? null : Math.max(block, matureBlock));
  const earliestBlock = at(earliest);
  const status = statusOf(mature, missing, earliestBlock, at(likely), matureBlock);
  if (earliestBlock === null)
    reasons.push("All that is staked and on its way would not pay it: the books and the money differ until a sync.");
  return {
    status,
    readyShares: readyOf(input),
    sharesAhead,
    value: worth(request.pending),
    matureBlock,
    earliestBlock,
    likelyBlock: at(likely),
    missing,
    reasons,
    assumptions,
  };
}

/** Money that could come at once still is not at hand: somebody has to fetch it first. */
function statusOf(
  mature: boolean,
  missing: bigint,
  earliest: number | null,
  likely: number | null,
  matureBlock: number,
): ForecastStatus {
  if (earliest === null) return "UNKNOWN";
  if (missing === 0n) return mature ? "READY" : "MATURING";
  return !mature && likely === matureBlock ? "MATURING" : "WAITING_FOR_MONEY";
}

/** What of the request the next finalisation can take: it goes from the head of the queue. */
function readyOf({ request, finalisedShares, finalisable }: ForecastInput): bigint {
  const start = request.queueEnd - request.pending;
  return min(request.pending, positive(finalisedShares + finalisable - start));
}

/** When the money is there: in the order in which it comes, the last of it by a withdrawal that has to begin. */
function arrival(input: ForecastInput, need: bigint, next: number, matureBlock: number) {
  const missing = positive(need - input.idle);
  if (missing === 0n) return { earliest: next, likely: next, missing, unbonds: 0n };
  const coming = input.sources.reduce((total, { amount }) => total + amount, 0n);
  const unbonds = positive(missing - coming);
  if (unbonds > input.staked) return { earliest: null, likely: null, missing, unbonds };
  // a junior request asks for money when it is mature
  const begins = input.senior ? next : matureBlock;
  const sources = [...input.sources];
  if (unbonds > 0n) sources.push({ amount: unbonds, block: begins + input.withdrawalDelay + 1, unstakes: true });
  const when = (wait: number): number => {
    let left = missing;
    const arrivals = sources
      .map(({ amount, block, unstakes }) => ({ amount, block: Math.max(next, block) + (unstakes ? wait : 0) }))
      .sort((a, b) => a.block - b.block);
    let last = next;
    for (const { amount, block } of arrivals) {
      if (left <= 0n) break;
      left -= amount;
      last = block;
    }
    return last;
  };
  return { earliest: when(0), likely: when(UNSTAKE_BLOCKS), missing, unbonds };
}

const days = (blocks: number): string => ((blocks * BLOCK_SECONDS) / 86_400).toFixed(1).replace(/\.0$/, "");

/** Time of a block, at 12 seconds each. */
export function timeOf(input: Pick<ForecastInput, "block" | "timestamp">, block: number | null): bigint | null {
  return block === null ? null : BigInt(input.timestamp) + BigInt(Math.max(0, block - input.block) * BLOCK_SECONDS);
}
