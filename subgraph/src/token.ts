/**
 * TrancheToken: shares, entries, requests, claims, instant exits, pots.
 *
 * A mint's cost stands in the Deposit that follows at once, that of shares which leave the token's escrow in Finalised or
 * RequestReturned: these handlers write the Transfer before them. Holders who burn their own shares are paid by what the rest
 * of the transaction reports: Withdraw while the series lives, PotPaid afterwards.
 */
import { Address, BigInt, Bytes, ethereum } from "@graphprotocol/graph-ts";
import {
  ControllerOperator,
  Finalisation,
  Flow,
  Position,
  Protocol,
  Series,
  Tier,
  Tranche,
  Transfer,
} from "../generated/schema";
import {
  Deposit as DepositEvent,
  Finalised as FinalisedEvent,
  OperatorSet as OperatorSetEvent,
  PotPaid as PotPaidEvent,
  RedeemRequest as RedeemRequestEvent,
  RequestReturned as RequestReturnedEvent,
  Transfer as TransferEvent,
  Withdraw as WithdrawEvent,
} from "../generated/templates/TrancheToken/ITrancheToken";
import { addIdle, addReserved, takeDeficit } from "./books";
import { eventId, number4, tally, ZERO } from "./ids";
import {
  account,
  accrue,
  bearBurned,
  bookOf,
  keep,
  positionId,
  realise,
  reprice,
  touch,
  walletCost,
} from "./positions";
import { claim, finalise, giveBack, push } from "./requests";
import { noteFlow, noteTranche } from "./snapshots";

function seriesOf(token: Address): Series {
  return Series.load(token)!;
}

/** Id of the log just before this event's. */
function before(event: ethereum.Event): Bytes {
  return number4(event.transaction.hash, event.logIndex.toI32() - 1);
}

function writeTransfer(id: Bytes, from: Bytes, to: Bytes, shares: BigInt, cost: BigInt, event: ethereum.Event): void {
  const transfer = new Transfer(id);
  transfer.series = event.address;
  transfer.from = from;
  transfer.to = to;
  transfer.shares = shares;
  transfer.cost = cost;
  transfer.block = event.block.number;
  transfer.timestamp = event.block.timestamp;
  transfer.transaction = event.transaction.hash;
  transfer.save();
}

function writeFlow(
  kind: string,
  series: Series,
  holder: Bytes,
  sender: Bytes,
  receiver: Bytes,
  assets: BigInt,
  shares: BigInt,
  fee: BigInt,
  gain: BigInt,
  event: ethereum.Event,
): void {
  const flow = new Flow(eventId(event));
  flow.kind = kind;
  flow.tier = series.tier;
  flow.series = series.id;
  flow.account = account(holder, event.block.timestamp).id;
  flow.sender = sender;
  flow.receiver = receiver;
  flow.assets = assets;
  flow.shares = shares;
  flow.fee = fee;
  flow.realisedGain = gain;
  flow.block = event.block.number;
  flow.timestamp = event.block.timestamp;
  flow.transaction = event.transaction.hash;
  flow.save();
}

// ------------------------------------------------------------------------------------------------------ ERC-20

export function handleTransfer(event: TransferEvent): void {
  tally("TrancheToken.Transfer");
  const series = seriesOf(event.address);
  const from = event.params.from;
  const to = event.params.to;
  const shares = event.params.value;
  const nobody = Address.zero();
  accrue(series, bookOf(series), event.block.timestamp);
  if (from.equals(nobody)) {
    series.supply = series.supply.plus(shares);
    reprice(series);
    const receiver = touch(series, to, event);
    receiver.balance = receiver.balance.plus(shares);
    keep(receiver, series, event);
  } else if (from.equals(event.address)) {
    if (to.equals(nobody)) {
      series.supply = series.supply.minus(shares);
      reprice(series);
    }
  } else if (to.equals(nobody)) {
    writeTransfer(eventId(event), from, to, shares, burn(series, from, shares, event), event);
  } else {
    writeTransfer(eventId(event), from, to, shares, move(series, from, to, shares, event), event);
  }
  series.save();
}

/** A holder's own burn; returns the cost. What it pays is not known yet. As in `move`, 0 shares are nothing. */
function burn(series: Series, holder: Bytes, shares: BigInt, event: ethereum.Event): BigInt {
  if (shares.isZero()) return ZERO;
  const position = touch(series, holder, event);
  const cost = walletCost(position, shares);
  position.balance = position.balance.minus(shares);
  position.costBasis = position.costBasis.minus(cost);
  series.supply = series.supply.minus(shares);
  series.burnedShares = series.burnedShares.plus(shares);
  series.burnedCost = series.burnedCost.plus(cost);
  series.burnedLossIndex = series.lossPerShare;
  keep(position, series, event);
  return cost;
}

/** Returns the cost that went along. Nothing moves with 0 shares, so that nobody becomes a holder by them. */
function move(series: Series, from: Bytes, to: Bytes, shares: BigInt, event: ethereum.Event): BigInt {
  if (shares.isZero()) return ZERO;
  const sender = touch(series, from, event);
  const cost = walletCost(sender, shares);
  sender.sharesSent = sender.sharesSent.plus(shares);
  if (from.equals(to)) {
    sender.sharesReceived = sender.sharesReceived.plus(shares);
    keep(sender, series, event);
    return cost;
  }
  sender.balance = sender.balance.minus(shares);
  sender.costBasis = sender.costBasis.minus(cost);
  keep(sender, series, event);
  const receiver = touch(series, to, event);
  receiver.balance = receiver.balance.plus(shares);
  receiver.costBasis = receiver.costBasis.plus(cost);
  receiver.sharesReceived = receiver.sharesReceived.plus(shares);
  keep(receiver, series, event);
  if (to.equals(series.id)) series.escrowedCost = cost;
  return cost;
}

// ---------------------------------------------------------------------------------------------------- entries

export function handleDeposit(event: DepositEvent): void {
  tally("TrancheToken.Deposit");
  const series = seriesOf(event.address);
  const assets = event.params.assets;
  const holder = event.params.owner;
  writeTransfer(before(event), Address.zero(), holder, event.params.shares, assets, event);
  writeFlow("DEPOSIT", series, holder, event.params.sender, holder, assets, event.params.shares, ZERO, ZERO, event);
  const position = touch(series, holder, event);
  position.costBasis = position.costBasis.plus(assets);
  position.cumulativeDepositETH = position.cumulativeDepositETH.plus(assets);
  keep(position, series, event);
  series.save();
  const owner = account(holder, event.block.timestamp);
  owner.cumulativeDepositETH = owner.cumulativeDepositETH.plus(assets);
  owner.save();
  const tranche = Tranche.load(series.tranche)!;
  tranche.cumulativeDepositETH = tranche.cumulativeDepositETH.plus(assets);
  tranche.save();
  const tier = Tier.load(series.tier)!;
  tier.cumulativeDepositETH = tier.cumulativeDepositETH.plus(assets);
  tier.save();
  const protocol = Protocol.load(tier.protocol)!;
  protocol.cumulativeDepositETH = protocol.cumulativeDepositETH.plus(assets);
  protocol.save();
  addIdle(series.tier, assets);
  noteTranche(series.tranche, event);
  noteFlow(series.tier, assets, ZERO, event);
}

// ---------------------------------------------------------------------------------------------------- requests

export function handleRedeemRequest(event: RedeemRequestEvent): void {
  tally("TrancheToken.RedeemRequest");
  const series = seriesOf(event.address);
  const owner = event.params.owner;
  const controller = event.params.controller;
  const shares = event.params.shares;
  const cost = series.escrowedCost;
  series.escrowedCost = ZERO;
  // the transfer to the token, just before, was no mistake: its shares wait in the queue
  const escrow = touch(series, series.id, event);
  escrow.balance = escrow.balance.minus(shares);
  escrow.costBasis = escrow.costBasis.minus(cost);
  escrow.sharesReceived = escrow.sharesReceived.minus(shares);
  keep(escrow, series, event);
  if (owner.equals(controller)) {
    const position = touch(series, owner, event);
    position.sharesSent = position.sharesSent.minus(shares);
    keep(position, series, event);
  }
  push(series, event.params.requestId.toI32(), controller, owner, event.params.sender, shares, cost, event);
  series.save();
  noteTranche(series.tranche, event);
}

export function handleFinalised(event: FinalisedEvent): void {
  tally("TrancheToken.Finalised");
  const series = seriesOf(event.address);
  const shares = event.params.shares;
  const assets = event.params.assets;
  const cost = finalise(series, event.params.cumulativeShares, event.params.cumulativeAssets, event);
  series.save();
  writeTransfer(before(event), event.address, Address.zero(), shares, cost, event);
  const step = new Finalisation(eventId(event));
  step.series = series.id;
  step.shares = shares;
  step.assets = assets;
  step.cumulativeShares = event.params.cumulativeShares;
  step.cumulativeAssets = event.params.cumulativeAssets;
  step.block = event.block.number;
  step.timestamp = event.block.timestamp;
  step.transaction = event.transaction.hash;
  step.save();
  left(series, assets);
  addIdle(series.tier, assets.neg());
  addReserved(series.tier, assets);
  if (series.senior) takeDeficit(series.tier, shares, series.supply.plus(shares));
  noteTranche(series.tranche, event);
}

export function handleRequestReturned(event: RequestReturnedEvent): void {
  tally("TrancheToken.RequestReturned");
  const series = seriesOf(event.address);
  const shares = event.params.shares;
  const cost = giveBack(series, event.params.requestId.toI32(), shares, event);
  series.save();
  writeTransfer(before(event), event.address, event.params.controller, shares, cost, event);
}

/** Finalised and instantly redeemed shares left their tranche with `assets`. */
function left(series: Series, assets: BigInt): void {
  const tranche = Tranche.load(series.tranche)!;
  tranche.cumulativeExitETH = tranche.cumulativeExitETH.plus(assets);
  tranche.save();
}

// --------------------------------------------------------------------------------------------------- payments

export function handleWithdraw(event: WithdrawEvent): void {
  tally("TrancheToken.Withdraw");
  const series = seriesOf(event.address);
  // a living series burns for instant exits alone, whose payment can be interrupted by no claim: the tier's lock is held
  if (!series.retired && !series.burnedShares.isZero()) payInstantly(series, event);
  else payClaim(series, event);
  paid(series, event.params.assets, event);
}

function payInstantly(series: Series, event: WithdrawEvent): void {
  const assets = event.params.assets;
  const holder = event.params.owner;
  const cost = series.burnedCost;
  const fee = series.burnedFee;
  const position = touch(series, holder, event);
  bearBurned(position, series);
  realise(position, assets, cost, event.block.timestamp);
  position.cumulativePaidETH = position.cumulativePaidETH.plus(assets);
  series.burnedShares = ZERO;
  series.burnedCost = ZERO;
  series.burnedLossIndex = ZERO;
  series.burnedFee = null;
  keep(position, series, event);
  series.save();
  left(series, assets);
  writeFlow(
    "INSTANT",
    series,
    holder,
    event.params.sender,
    event.params.receiver,
    assets,
    event.params.shares,
    fee === null ? ZERO : fee,
    assets.minus(cost),
    event,
  );
}

function payClaim(series: Series, event: WithdrawEvent): void {
  const assets = event.params.assets;
  const controller = event.params.owner;
  const shares = event.params.shares;
  // anybody may claim nothing of nothing
  if (Position.load(positionId(series, controller)) != null) {
    const position = touch(series, controller, event);
    position.claimableShares = position.claimableShares.minus(shares);
    position.claimableAssets = position.claimableAssets.minus(assets);
    position.cumulativePaidETH = position.cumulativePaidETH.plus(assets);
    claim(position, series, shares, event);
    keep(position, series, event);
    series.save();
  }
  writeFlow("CLAIM", series, controller, event.params.sender, event.params.receiver, assets, shares, ZERO, ZERO, event);
  addReserved(series.tier, assets.neg());
}

export function handlePotPaid(event: PotPaidEvent): void {
  tally("TrancheToken.PotPaid");
  const series = seriesOf(event.address);
  const assets = event.params.assets;
  const shares = event.params.shares;
  const holder = event.params.holder;
  const cost = shares.equals(series.burnedShares) ? series.burnedCost : costOfBurn(event);
  series.burnedShares = series.burnedShares.minus(shares);
  series.burnedCost = series.burnedCost.minus(cost);
  series.burnedLossIndex = ZERO;
  series.pot = series.pot.minus(assets);
  series.potShares = series.potShares.minus(shares);
  if (!shares.isZero()) {
    const position = touch(series, holder, event);
    realise(position, assets, cost, event.block.timestamp);
    position.cumulativePaidETH = position.cumulativePaidETH.plus(assets);
    keep(position, series, event);
  }
  series.save();
  writeFlow("POT", series, holder, holder, event.params.receiver, assets, shares, ZERO, assets.minus(cost), event);
  addReserved(series.tier, assets.neg());
  paid(series, assets, event);
}

/**
 * Cost of the burn that a PotPaid belongs to, where a receiver of ETH has redeemed again while he was being paid: burns and
 * payments of a series nest like brackets.
 */
function costOfBurn(event: PotPaidEvent): BigInt {
  let closed = 0;
  for (let index = event.logIndex.toI32() - 1; index >= 0; index--) {
    const id = number4(event.transaction.hash, index);
    const flow = Flow.load(id);
    if (flow != null && flow.kind == "POT" && flow.series.equals(event.address)) {
      closed += 1;
      continue;
    }
    const transfer = Transfer.load(id);
    if (transfer == null || transfer.series.notEqual(event.address)) continue;
    if (transfer.to.notEqual(Address.zero()) || transfer.from.equals(event.address)) continue;
    if (closed == 0) return transfer.cost;
    closed -= 1;
  }
  return ZERO;
}

/** `assets` wei were paid to somebody who left. */
function paid(series: Series, assets: BigInt, event: ethereum.Event): void {
  const tier = Tier.load(series.tier)!;
  tier.cumulativeWithdrawETH = tier.cumulativeWithdrawETH.plus(assets);
  tier.save();
  const protocol = Protocol.load(tier.protocol)!;
  protocol.cumulativeWithdrawETH = protocol.cumulativeWithdrawETH.plus(assets);
  protocol.save();
  noteFlow(tier.id, ZERO, assets, event);
}

// -------------------------------------------------------------------------------------------------- operators

export function handleOperatorSet(event: OperatorSetEvent): void {
  tally("TrancheToken.OperatorSet");
  const id = event.address.concat(event.params.controller).concat(event.params.operator);
  const entry = new ControllerOperator(id);
  entry.series = event.address;
  entry.controller = event.params.controller;
  entry.operator = event.params.operator;
  entry.approved = event.params.approved;
  entry.timestamp = event.block.timestamp;
  entry.save();
}
