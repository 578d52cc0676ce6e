/**
 * Accounts and positions, and what a series counts for all of its holders at once: losses a share and wei-seconds a share.
 * A position is settled to both sums before its shares change, so a handler costs the same whatever the number of holders.
 */
import { BigDecimal, BigInt, Bytes, ethereum } from "@graphprotocol/graph-ts";
import { Account, Position, Protocol, Series, Tier, Tranche } from "../generated/schema";
import { mulDiv, RAY, WAD, ZERO } from "./ids";

/** wei-seconds in an ETH-hour */
const ETH_HOUR = WAD.times(BigInt.fromI32(3_600)).toBigDecimal();

// ---------------------------------------------------------------------------------------------- a series' sums

/** Shares that bear and earn: the supply, with shares that an instant exit has burned before its sync. */
export function sharesOf(series: Series): BigInt {
  return series.supply.plus(series.burnedShares);
}

/** The book that a series' shares are a part of (wei, as of the last sync): 0 once it is retired. */
export function bookOf(series: Series): BigInt {
  return series.retired ? ZERO : Tranche.load(series.tranche)!.assets;
}

/**
 * Counts wei-seconds up to `timestamp` with `book` (wei), which has been the series' since the last event. Whoever changes the
 * book, the supply or whether the series is retired calls it first. The caller saves the series.
 */
export function accrue(series: Series, book: BigInt, timestamp: BigInt): void {
  const seconds = timestamp.minus(series.accruedUntil);
  if (seconds.isZero()) return;
  series.ethSecondsPerShare = series.ethSecondsPerShare.plus(mulDiv(book, RAY, sharesOf(series)).times(seconds));
  series.accruedUntil = timestamp;
}

/** The series' holders bear `borne` wei, each his part. Before the sync's books are stored; the caller saves the series. */
export function bookLoss(series: Series, borne: BigInt): void {
  series.lossPerShare = series.lossPerShare.plus(mulDiv(borne, RAY, sharesOf(series)));
}

/** Keeps an instant exit's fee for the Withdraw that ends it. The caller saves the series. */
export function instantFee(series: Series, fee: BigInt): void {
  series.burnedFee = fee;
}

/** Wei that `shares` are worth at the last sync, rounded down; 0 once the series is retired. */
export function worth(series: Series, shares: BigInt): BigInt {
  return mulDiv(shares, bookOf(series), sharesOf(series));
}

/**
 * Sets the rate by the book of the last sync and the supply of now. An entry and a finalisation store their sync before they
 * mint and burn, so that the Synced event's book is that of a supply which only the token's Transfer brings. The caller saves
 * the series.
 */
export function reprice(series: Series): void {
  if (series.retired) return;
  const tranche = Tranche.load(series.tranche)!;
  tranche.supply = series.supply;
  tranche.rate = series.supply.isZero() ? WAD : tranche.assets.times(WAD).div(series.supply);
  series.rate = tranche.rate;
  tranche.save();
}

// ------------------------------------------------------------------------------------------------- an account

/** The account; made where it was never seen. A user is counted when his first position is opened. */
export function account(id: Bytes, timestamp: BigInt): Account {
  let entry = Account.load(id);
  if (entry == null) {
    entry = new Account(id);
    entry.cumulativeDepositETH = ZERO;
    entry.cumulativeExitETH = ZERO;
    entry.realisedGain = ZERO;
    entry.firstTimestamp = timestamp;
    entry.save();
  }
  return entry;
}

// ------------------------------------------------------------------------------------------------- a position

export function positionId(series: Series, holder: Bytes): Bytes {
  return series.id.concat(holder);
}

/** Whose position, settled to the event's block; a new one where he had none. `keep` stores it. */
export function touch(series: Series, holder: Bytes, event: ethereum.Event): Position {
  accrue(series, bookOf(series), event.block.timestamp);
  let position = Position.load(positionId(series, holder));
  if (position == null) position = open(series, holder, event);
  settle(position, series, position.balance.plus(position.queuedShares));
  return position;
}

/** Brings `position` to the series' sums with the shares that it has had since it was settled last. */
function settle(position: Position, series: Series, shares: BigInt): void {
  const losses = series.lossPerShare.minus(position.lossIndex);
  position.lossesBorne = position.lossesBorne.plus(shares.times(losses).div(RAY));
  position.lossIndex = series.lossPerShare;
  const earned = series.ethSecondsPerShare.minus(position.ethSecondsIndex);
  position.ethSeconds = position.ethSeconds.plus(shares.times(earned).div(RAY));
  position.ethHours = position.ethSeconds.toBigDecimal().div(ETH_HOUR);
  position.ethSecondsIndex = series.ethSecondsPerShare;
}

function open(series: Series, holder: Bytes, event: ethereum.Event): Position {
  // the token itself holds what waits in its queue: it is nobody
  if (holder.notEqual(series.id)) count(holder, series.tier);
  const position = new Position(positionId(series, holder));
  position.account = account(holder, event.block.timestamp).id;
  position.tier = series.tier;
  position.tranche = series.tranche;
  position.series = series.id;
  position.balance = ZERO;
  position.queuedShares = ZERO;
  position.claimableShares = ZERO;
  position.claimableAssets = ZERO;
  position.costBasis = ZERO;
  position.queuedCostBasis = ZERO;
  position.value = ZERO;
  position.unrealisedGain = ZERO;
  position.realisedGain = ZERO;
  position.lossesBorne = ZERO;
  position.ethSeconds = ZERO;
  position.ethHours = BigDecimal.zero();
  position.cumulativeDepositETH = ZERO;
  position.cumulativeExitETH = ZERO;
  position.cumulativePaidETH = ZERO;
  position.sharesReceived = ZERO;
  position.sharesSent = ZERO;
  position.lossIndex = series.lossPerShare;
  position.ethSecondsIndex = series.ethSecondsPerShare;
  position.firstRequest = 0;
  position.lastRequest = 0;
  position.openedTimestamp = event.block.timestamp;
  return position;
}

/** Counts a user whose first position this is: he may be known already, from what rewards have paid him. */
function count(holder: Bytes, tier: Bytes): void {
  const known = Account.load(holder);
  if (known != null && known.positions.load().length > 0) return;
  const protocol = Protocol.load(Tier.load(tier)!.protocol)!;
  protocol.cumulativeUniqueUsers += 1;
  protocol.save();
}

/** Values a touched position, counts it among the series' holders or not, and stores it. The caller saves the series. */
export function keep(position: Position, series: Series, event: ethereum.Event): void {
  const before = Position.load(position.id);
  const held = before != null && holds(before);
  if (held != holds(position)) series.holderCount += held ? -1 : 1;
  position.value = worth(series, position.balance.plus(position.queuedShares));
  position.unrealisedGain = position.value.minus(position.costBasis);
  position.block = event.block.number;
  position.timestamp = event.block.timestamp;
  position.save();
}

function holds(position: Position): boolean {
  return !position.balance.isZero() || !position.queuedShares.isZero();
}

/** Cost of `shares` of the wallet: their part of its cost, rounded down; all of it with all shares. */
export function walletCost(position: Position, shares: BigInt): BigInt {
  return mulDiv(position.costBasis.minus(position.queuedCostBasis), shares, position.balance);
}

/** Shares that cost `cost` are worth `assets` for good: what that gained or lost counts for position and account. */
export function realise(position: Position, assets: BigInt, cost: BigInt, timestamp: BigInt): void {
  const gain = assets.minus(cost);
  position.realisedGain = position.realisedGain.plus(gain);
  position.cumulativeExitETH = position.cumulativeExitETH.plus(assets);
  const owner = account(position.account, timestamp);
  owner.realisedGain = owner.realisedGain.plus(gain);
  owner.cumulativeExitETH = owner.cumulativeExitETH.plus(assets);
  owner.save();
}

/** Losses that were booked between an instant exit's burn and its payment: its shares bore them too. */
export function bearBurned(position: Position, series: Series): void {
  const losses = series.lossPerShare.minus(series.burnedLossIndex);
  position.lossesBorne = position.lossesBorne.plus(series.burnedShares.times(losses).div(RAY));
}
