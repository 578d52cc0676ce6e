/**
 * A tranche's rate: wei for 1e18 shares, and its yearly growth over 7 and 30 days. The two growths are measured from daily
 * closes, by two marks that move along the list of days: each day is passed once.
 */
import { BigDecimal, BigInt, Bytes } from "@graphprotocol/graph-ts";
import { Tranche, TrancheSnapshot } from "../generated/schema";
import { DAY, mulDiv, WAD, YEAR } from "./ids";

/** Wei for 1e18 shares, rounded down; 1e18 while there are none. */
export function rateOf(assets: BigInt, supply: BigInt): BigInt {
  return supply.isZero() ? WAD : mulDiv(assets, WAD, supply);
}

/** Yearly growth up to `now` at the tranche's rate of now. Not saved. */
export function updateGrowth(tranche: Tranche, now: BigInt): void {
  // a rate starts anew with a new series, and where all have left
  if (tranche.supply.isZero()) {
    tranche.apr7dFrom = null;
    tranche.apr30dFrom = null;
    tranche.lastDay = null;
    tranche.apr7d = null;
    tranche.apr30d = null;
    return;
  }
  const week = advance(tranche.apr7dFrom, now.minus(BigInt.fromI32(7 * DAY)));
  if (week != null) tranche.apr7dFrom = week.id;
  tranche.apr7d = growth(week, tranche, now, 7);
  const month = advance(tranche.apr30dFrom, now.minus(BigInt.fromI32(30 * DAY)));
  if (month != null) tranche.apr30dFrom = month.id;
  tranche.apr30d = growth(month, tranche, now, 30);
}

/** The newest close that is not younger than `limit`; the mark itself where none is. */
function advance(from: Bytes | null, limit: BigInt): TrancheSnapshot | null {
  if (from === null) return null;
  let row = TrancheSnapshot.load(from);
  while (row != null && row.next !== null) {
    const next = TrancheSnapshot.load(row.next!);
    if (next == null || next.closeTimestamp.gt(limit)) break;
    row = next;
  }
  return row;
}

function growth(from: TrancheSnapshot | null, tranche: Tranche, now: BigInt, days: i32): BigDecimal | null {
  if (from == null || from.rate.isZero()) return null;
  const seconds = now.minus(from.closeTimestamp);
  if (seconds.lt(BigInt.fromI32(days * DAY))) return null;
  return tranche.rate
    .minus(from.rate)
    .times(BigInt.fromI32(YEAR))
    .toBigDecimal()
    .div(from.rate.times(seconds).toBigDecimal());
}
