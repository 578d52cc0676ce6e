/**
 * The redemption queue, as contracts/libraries/Queue.sol keeps it: requests lie one after the other on a line of cumulative
 * shares, a finalisation moves a mark along the line, and a piece of a request is paid the difference of the cumulative payment
 * A at its ends, which is linear between two marks and rounded down.
 */
import { BigInt, Bytes, ethereum } from "@graphprotocol/graph-ts";
import { Position, RedeemRequest, Series, Tranche } from "../generated/schema";
import { min, mulDiv, number4, ZERO } from "./ids";
import { keep, realise, touch, worth } from "./positions";

export function requestOf(series: Series, id: i32): RedeemRequest {
  return RedeemRequest.load(number4(series.id, id))!;
}

/** Appends a request of shares that cost `cost`, and moves both into the controller's position. The caller saves the series. */
export function push(
  series: Series,
  id: i32,
  controller: Bytes,
  owner: Bytes,
  sender: Bytes,
  shares: BigInt,
  cost: BigInt,
  event: ethereum.Event,
): void {
  const request = new RedeemRequest(number4(series.id, id));
  request.requestId = id;
  request.tier = series.tier;
  request.tranche = series.tranche;
  request.series = series.id;
  request.controller = controller;
  request.owner = owner;
  request.sender = sender;
  request.shares = shares;
  request.valueRequested = worth(series, shares);
  request.queueStart = series.requestedShares;
  request.queueEnd = series.requestedShares.plus(shares);
  request.pendingShares = shares;
  request.finalisedShares = ZERO;
  request.finalisedAssets = ZERO;
  request.claimedShares = ZERO;
  request.returnedShares = ZERO;
  request.costBasis = cost;
  request.status = "PENDING";
  request.block = event.block.number;
  request.timestamp = event.block.timestamp;
  request.transaction = event.transaction.hash;
  request.nextOfController = 0;
  request.save();

  const position = touch(series, controller, event);
  position.queuedShares = position.queuedShares.plus(shares);
  position.costBasis = position.costBasis.plus(cost);
  position.queuedCostBasis = position.queuedCostBasis.plus(cost);
  if (position.lastRequest != 0) {
    const last = requestOf(series, position.lastRequest);
    last.nextOfController = id;
    last.save();
  }
  if (position.firstRequest == 0) position.firstRequest = id;
  position.lastRequest = id;
  if (controller.notEqual(owner)) position.sharesReceived = position.sharesReceived.plus(shares);
  keep(position, series, event);

  series.requestCount = id;
  series.requestedShares = request.queueEnd;
  if (series.nextRequest == 0) series.nextRequest = id;
  queued(series, shares);
}

/**
 * Finalises the line from `series.finalisedShares` to `toShares`, for cumulative payments up to `toAssets`. Returns the cost
 * of the shares. Each request is passed once in its life, and the one at the mark once more for each finalisation that cuts it.
 * The caller saves the series.
 */
export function finalise(series: Series, toShares: BigInt, toAssets: BigInt, event: ethereum.Event): BigInt {
  const fromShares = series.finalisedShares;
  const fromAssets = series.finalisedAssets;
  let costs = ZERO;
  let id = series.nextRequest;
  let at = fromShares;
  let paid = fromAssets;
  while (at.lt(toShares)) {
    const request = requestOf(series, id);
    const end = min(request.queueEnd, toShares);
    const until = fromAssets.plus(
      mulDiv(toAssets.minus(fromAssets), end.minus(fromShares), toShares.minus(fromShares)),
    );
    costs = costs.plus(pay(series, request, end.minus(at), until.minus(paid), event));
    at = end;
    paid = until;
    if (request.pendingShares.isZero()) id += 1;
  }
  series.nextRequest = id > series.requestCount ? 0 : id;
  series.finalisedShares = toShares;
  series.finalisedAssets = toAssets;
  queued(series, fromShares.minus(toShares));
  return costs;
}

/** Finalises `shares` of a request for `assets`; returns their cost. */
function pay(series: Series, request: RedeemRequest, shares: BigInt, assets: BigInt, event: ethereum.Event): BigInt {
  const cost = mulDiv(request.costBasis, shares, request.pendingShares);
  request.costBasis = request.costBasis.minus(cost);
  request.pendingShares = request.pendingShares.minus(shares);
  request.finalisedShares = request.finalisedShares.plus(shares);
  request.finalisedAssets = request.finalisedAssets.plus(assets);
  request.status = request.pendingShares.isZero() ? "CLAIMABLE" : "PARTLY_FINALISED";
  if (request.pendingShares.isZero()) {
    request.finalisedTimestamp = event.block.timestamp;
    request.waitSeconds = event.block.timestamp.minus(request.timestamp);
  }
  request.save();

  const position = touch(series, request.controller, event);
  position.queuedShares = position.queuedShares.minus(shares);
  position.claimableShares = position.claimableShares.plus(shares);
  position.claimableAssets = position.claimableAssets.plus(assets);
  position.costBasis = position.costBasis.minus(cost);
  position.queuedCostBasis = position.queuedCostBasis.minus(cost);
  realise(position, assets, cost, event.block.timestamp);
  keep(position, series, event);
  return cost;
}

/** Uses up `shares` finalised shares of a position's requests, oldest first. The caller keeps the position. */
export function claim(position: Position, series: Series, shares: BigInt, event: ethereum.Event): void {
  let left = shares;
  while (position.firstRequest != 0) {
    const request = requestOf(series, position.firstRequest);
    const taken = min(left, request.finalisedShares.minus(request.claimedShares));
    if (!taken.isZero()) {
      left = left.minus(taken);
      request.claimedShares = request.claimedShares.plus(taken);
      if (used(request)) {
        if (request.returnedShares.isZero()) request.status = "CLAIMED";
        request.claimedTimestamp = event.block.timestamp;
      }
      request.save();
    }
    if (!used(request)) break;
    leave(position, request);
  }
}

/** Gives what of a request is not finalised back to its controller; returns its cost. The caller saves the series. */
export function giveBack(series: Series, id: i32, shares: BigInt, event: ethereum.Event): BigInt {
  const request = requestOf(series, id);
  const cost = request.costBasis;
  request.costBasis = ZERO;
  request.pendingShares = request.pendingShares.minus(shares);
  request.returnedShares = request.returnedShares.plus(shares);
  request.queueEnd = request.queueEnd.minus(shares);
  request.status = "RETURNED";
  request.save();

  const position = touch(series, request.controller, event);
  position.queuedShares = position.queuedShares.minus(shares);
  position.queuedCostBasis = position.queuedCostBasis.minus(cost);
  position.balance = position.balance.plus(shares);
  while (position.firstRequest != 0) {
    const first = requestOf(series, position.firstRequest);
    if (!used(first)) break;
    leave(position, first);
  }
  keep(position, series, event);

  // returns come in any order: the mark goes on to the next one that still waits
  let next = series.nextRequest;
  while (next != 0 && requestOf(series, next).pendingShares.isZero()) {
    next = next == series.requestCount ? 0 : next + 1;
  }
  series.nextRequest = next;
  queued(series, shares.neg());
  return cost;
}

/** Whether nothing of a request waits or can be claimed. */
function used(request: RedeemRequest): boolean {
  return request.pendingShares.isZero() && request.claimedShares.equals(request.finalisedShares);
}

function leave(position: Position, request: RedeemRequest): void {
  position.firstRequest = request.nextOfController;
  if (position.firstRequest == 0) position.lastRequest = 0;
}

/** The tranche's queue changes by `shares` (signed). */
function queued(series: Series, shares: BigInt): void {
  if (series.retired) return;
  const tranche = Tranche.load(series.tranche)!;
  tranche.queuedShares = tranche.queuedShares.plus(shares);
  tranche.save();
}
