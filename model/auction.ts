/**
 * Mirror of `contracts/libraries/DutchAuction.sol`: what a reward token costs. Prices are wei of WETH for 1e18 units of
 * the token, times in seconds.
 */
import { ceilDiv, max, min, WAD } from "./integer.ts";

/** Seconds in which the price falls to a half. */
export const HALVING = 12n * 3_600n;
/** A lot starts at this multiple of the average price of the lot before it. */
export const START_FACTOR = 2n;

const UINT128_MAX = (1n << 128n) - 1n;

/** The price `elapsed` seconds after the start: halves, linear in between, never below `floor`. Rounded up. */
export function price(start: bigint, floor: bigint, elapsed: bigint): bigint {
  const halvings = elapsed / HALVING;
  const base = halvings > 255n ? 0n : start >> halvings;
  return max(floor, base - (base * (elapsed % HALVING)) / (2n * HALVING));
}

/** What `amount` units cost at `price_` (wei, rounded up). */
export function cost(amount: bigint, price_: bigint): bigint {
  return ceilDiv(amount * price_, WAD);
}

/** Where the next lot starts: a multiple of the average price of the last one (of `amount` > 0), at least its floor; 128 bits. */
export function next(proceeds: bigint, amount: bigint, floor: bigint): bigint {
  return min(max((proceeds * START_FACTOR * WAD) / amount, floor), UINT128_MAX);
}
