/** What a unit of gas may cost. Pure; wei everywhere. */
import { formatEther, formatUnits, parseEther, parseUnits } from "ethers";
import type { Config } from "../config/schema.ts";
import type { Urgency } from "../plan/types.ts";

/** Of an EIP-1559 transaction. */
export interface Fees {
  readonly maxFeePerGas: bigint;
  readonly maxPriorityFeePerGas: bigint;
}

/** The next block's base fee, and the tips that the last blocks' cheapest, median and dear transactions paid. */
export interface Market {
  readonly baseFee: bigint;
  readonly tips: readonly [bigint, bigint, bigint];
}

/** What one urgency may pay. */
export interface Tariff {
  readonly cap: bigint;
  readonly tip: bigint;
  readonly replaceAfter: number;
}

export interface Tariffs {
  readonly protection: Tariff;
  readonly routine: Tariff;
  /** Balance that only protection may go below. */
  readonly minBalance: bigint;
}

export type Offer =
  | { readonly kind: "fees"; readonly fees: Fees }
  | { readonly kind: "dear"; readonly detail: string }
  | { readonly kind: "poor"; readonly detail: string };

/** Clients ask for 10 % (geth, Reth, Nethermind, Besu) to 12.5 % more than the transaction that is replaced. */
const BUMP_NUMERATOR = 9n;
const BUMP_DENOMINATOR = 8n;
/** Replacements that a first offer leaves room for below the cap. */
const ROOM = 3;
/** Configured tips that a first offer pays at most where others pay more. */
const MAX_FIRST_TIP = 8n;
/** EIP-7825: the most gas that a transaction may ask for. */
export const MAX_TRANSACTION_GAS = 16_777_216n;
export const TRANSFER_GAS = 21_000n;

const wei = (gwei: number) => parseUnits(gwei.toFixed(9), "gwei");
const inGwei = (amount: bigint) => `${formatUnits(amount, "gwei").replace(/\.0$/, "")} gwei`;
const min = (a: bigint, b: bigint) => (a < b ? a : b);
const max = (a: bigint, b: bigint) => (a > b ? a : b);

export function tariffs(config: Config["fees"]): Tariffs {
  const of = (one: Config["fees"]["protection"]): Tariff => ({
    cap: wei(one.max_fee_gwei),
    tip: wei(one.tip_gwei),
    replaceAfter: one.replace_after_blocks,
  });
  return {
    protection: of(config.protection),
    routine: of(config.routine),
    minBalance: parseEther(config.min_balance_eth),
  };
}

/** The least that replaces another. Rounded up: one wei too few is refused. */
export const bump = (amount: bigint): bigint => (amount * BUMP_NUMERATOR + BUMP_DENOMINATOR - 1n) / BUMP_DENOMINATOR;

/**
 * First offer: the configured tip, or what the median of others pays if that is more (routine: the cheapest), but not by
 * far more, because a few transactions of one stranger can make a tip look usual; and room for the base fee to double.
 * Below the cap by so much that it can be replaced, as long as it is mined in the next block even so.
 */
export function firstFees(market: Market, urgency: Urgency, { cap, tip }: Tariff): Offer {
  const [cheap, median] = market.tips;
  return offerOf(market, urgency, cap, max(tip, min(urgency === "protection" ? median : cheap, tip * MAX_FIRST_TIP)));
}

function offerOf(market: Market, urgency: Urgency, cap: bigint, tip: bigint): Offer {
  const spare = cap - market.baseFee;
  if (spare <= 0n)
    return {
      kind: "dear",
      detail: `The base fee is ${inGwei(market.baseFee)}, and ${urgency} pays at most ${inGwei(cap)}.`,
    };
  const priority = min(tip, spare);
  let room = cap;
  for (let i = 0; i < ROOM; i++) room = (room * BUMP_DENOMINATOR) / BUMP_NUMERATOR;
  const wanted = 2n * market.baseFee + priority;
  const needed = bump(market.baseFee) + priority; // the base fee rises by an eighth a block at most
  const maxFeePerGas = min(cap, max(needed, min(wanted, room)));
  return { kind: "fees", fees: { maxFeePerGas, maxPriorityFeePerGas: priority } };
}

/**
 * An offer that replaces another: both fees at least an eighth higher, and not behind the market: what was not mined in its
 * time follows the median of others (protection: the dear ones). Never above the cap.
 */
export function replacementFees(previous: Fees, market: Market, urgency: Urgency, tariff: Tariff): Offer {
  const [, median, dear] = market.tips;
  const fresh = offerOf(market, urgency, tariff.cap, max(tariff.tip, urgency === "protection" ? dear : median));
  const least = { tip: bump(previous.maxPriorityFeePerGas), max: bump(previous.maxFeePerGas) };
  if (least.max > tariff.cap)
    return {
      kind: "dear",
      detail: `It offers ${inGwei(previous.maxFeePerGas)}; to replace it takes ${inGwei(least.max)}, and ${urgency} pays at most ${inGwei(tariff.cap)}.`,
    };
  const base = fresh.kind === "fees" ? fresh.fees : { maxFeePerGas: 0n, maxPriorityFeePerGas: 0n };
  const maxFeePerGas = max(least.max, base.maxFeePerGas);
  return {
    kind: "fees",
    fees: { maxFeePerGas, maxPriorityFeePerGas: min(max(least.tip, base.maxPriorityFeePerGas), maxFeePerGas) },
  };
}

/** Both fees at least those of `floor`; what is replaced at the same nonce sets it. */
export const atLeast = (fees: Fees, floor: Fees): Fees => ({
  maxFeePerGas: max(fees.maxFeePerGas, floor.maxFeePerGas),
  maxPriorityFeePerGas: max(fees.maxPriorityFeePerGas, floor.maxPriorityFeePerGas),
});

/**
 * Whether the account can pay. A node counts the most that everything in flight could cost (`committed`). Routine leaves
 * the minimum balance alone; protection offers less rather than nothing, as long as the next block would take it.
 */
export function affordable(
  fees: Fees,
  gasLimit: bigint,
  market: Market,
  urgency: Urgency,
  purse: { readonly balance: bigint; readonly committed: bigint; readonly minBalance: bigint },
): Offer {
  const kept = urgency === "routine" ? purse.minBalance : 0n;
  const free = max(purse.balance - purse.committed - kept, 0n);
  if (gasLimit * fees.maxFeePerGas <= free) return { kind: "fees", fees };
  const most = free / gasLimit;
  if (urgency === "protection" && most >= bump(market.baseFee) + min(fees.maxPriorityFeePerGas, 1n))
    return {
      kind: "fees",
      fees: {
        maxFeePerGas: most,
        maxPriorityFeePerGas: min(fees.maxPriorityFeePerGas, most - bump(market.baseFee)),
      },
    };
  const keeps = kept > 0n ? ` and keeps ${formatEther(kept)} ETH for protection` : "";
  const flight = purse.committed > 0n ? `, ${formatEther(purse.committed)} ETH of it for what is in flight` : "";
  return {
    kind: "poor",
    detail: `It could cost ${formatEther(gasLimit * fees.maxFeePerGas)} ETH; the account has ${formatEther(purse.balance)} ETH${flight}${keeps}. Send it ETH.`,
  };
}
