/**
 * A tier's AVS rewards: what arrived, who earned which part, what was sold and for how much, drops. `held`, `lot` and what
 * follows from them repeat RewardsBooks' arithmetic, because no event says how much is left.
 */
import { Address, BigInt, Bytes, ethereum } from "@graphprotocol/graph-ts";
import {
  Agent,
  Drop,
  DropClaim,
  Harvest,
  PayBalance,
  RewardEvent,
  RewardSale,
  RewardToken,
  Tier,
} from "../generated/schema";
import {
  Absorbed,
  AuthorityUpdated,
  DropClaimed,
  DropClosed,
  DropPosted,
  Earned,
  FaultEnded,
  FaultFound,
  FeeChanged,
  FeeProposed,
  FloorChanged,
  GainPaid,
  Harvested,
  LotOpened,
  OperatorRecorded,
  PayClaimed,
  ReservedForDrops,
  Sold,
  TokenListed,
  TreasuryChanged,
  TreasuryOffered,
} from "../generated/templates/Rewards/IRewards";
import { IStakingModule } from "../generated/templates/Rewards/IStakingModule";
import { ITier } from "../generated/templates/Rewards/ITier";
import { noteAuthority } from "./governance";
import { eventId, max, min, NO_ADDRESS, number4, tally, tierOf, WAD, ZERO } from "./ids";
import { account } from "./positions";

const TWO = BigInt.fromI32(2);
/** Rewards.TELLING_PROCEEDS: a lot that brought less (wei) does not move the next one's start. */
const TELLING_PROCEEDS = BigInt.fromI32(10).pow(17);
const MAX_UINT128 = TWO.pow(128).minus(BigInt.fromI32(1));

function loadToken(tier: Bytes, address: Address): RewardToken {
  const id = tier.concat(address);
  let token = RewardToken.load(id);
  if (token === null) {
    token = new RewardToken(id);
    token.tier = tier;
    token.token = address;
    token.use = useOf(tier, address);
    token.listed = false;
    token.startPrice = ZERO;
    token.floor = ZERO;
    token.held = ZERO;
    token.lot = ZERO;
    token.lotSize = ZERO;
    token.lotProceeds = ZERO;
    token.dropPot = ZERO;
    token.harvested = ZERO;
    token.absorbed = ZERO;
    token.sold = ZERO;
    token.proceeds = ZERO;
    token.reservedForDrops = ZERO;
    token.paidAsGain = ZERO;
  }
  return token;
}

/** No event says which token is WETH and which the staking token; asked once for each token of a tier. */
function useOf(tierId: Bytes, token: Address): string {
  const tier = Tier.load(tierId)!;
  const weth = ITier.bind(Address.fromBytes(tier.id)).try_asset();
  if (!weth.reverted && weth.value.equals(token)) return "WETH";
  const staking = IStakingModule.bind(Address.fromBytes(tier.module)).try_token();
  if (!staking.reverted && staking.value.equals(token)) return "STAKING_TOKEN";
  return "OTHER";
}

function loadPay(tier: Bytes, earner: Address, token: Address, event: ethereum.Event): PayBalance {
  const id = tier.concat(earner).concat(token);
  let pay = PayBalance.load(id);
  if (pay === null) {
    pay = new PayBalance(id);
    pay.tier = tier;
    pay.account = account(earner, event.block.timestamp).id;
    pay.token = token;
    pay.earned = ZERO;
    pay.claimed = ZERO;
  }
  return pay;
}

/** An event that has no entity of its own; the caller fills in the rest, and saves. */
function note(kind: string, event: ethereum.Event): RewardEvent {
  const entry = new RewardEvent(eventId(event));
  entry.tier = tierOf();
  entry.kind = kind;
  entry.block = event.block.number;
  entry.timestamp = event.block.timestamp;
  entry.transaction = event.transaction.hash;
  return entry;
}

function noteAmount(kind: string, event: ethereum.Event, token: Address, amount: BigInt): void {
  const entry = note(kind, event);
  entry.token = token;
  entry.amount = amount;
  entry.save();
}

function noteAccount(kind: string, event: ethereum.Event, address: Address): void {
  const entry = note(kind, event);
  entry.account = address;
  entry.save();
}

export function handleRewardsAuthorityUpdated(event: AuthorityUpdated): void {
  noteAuthority("Rewards", event, event.params.authority);
}

// --------------------------------------------------------------------------------------------- what arrives

export function handleHarvested(event: Harvested): void {
  tally("Rewards.Harvested");
  const amount = event.params.amount;
  const fees = event.params.operatorPart.plus(event.params.protocolPart);
  const token = loadToken(tierOf(), event.params.token);
  token.harvested = token.harvested.plus(amount);
  // of the staking token only the fees are sold
  if (token.use == "STAKING_TOKEN") token.held = token.held.plus(fees);
  else if (token.use == "OTHER") token.held = token.held.plus(amount);
  token.save();
  const entry = new Harvest(eventId(event));
  entry.tier = tierOf();
  entry.agent = event.params.agent;
  entry.token = token.id;
  entry.nodeOperator = event.params.nodeOperator;
  entry.amount = amount;
  entry.operatorPart = event.params.operatorPart;
  entry.protocolPart = event.params.protocolPart;
  entry.until = event.params.until;
  entry.block = event.block.number;
  entry.timestamp = event.block.timestamp;
  entry.transaction = event.transaction.hash;
  entry.save();
}

export function handleAbsorbed(event: Absorbed): void {
  tally("Rewards.Absorbed");
  const token = loadToken(tierOf(), event.params.token);
  token.absorbed = token.absorbed.plus(event.params.amount);
  if (token.use == "OTHER") token.held = token.held.plus(event.params.amount);
  token.save();
  noteAmount("Absorbed", event, event.params.token, event.params.amount);
}

export function handleGainPaid(event: GainPaid): void {
  tally("Rewards.GainPaid");
  const token = loadToken(tierOf(), event.params.token);
  token.paidAsGain = token.paidAsGain.plus(event.params.amount);
  token.save();
  noteAmount("GainPaid", event, event.params.token, event.params.amount);
}

export function handleEarned(event: Earned): void {
  tally("Rewards.Earned");
  const pay = loadPay(tierOf(), event.params.account, event.params.token, event);
  pay.earned = pay.earned.plus(event.params.amount);
  pay.save();
  const token = loadToken(tierOf(), event.params.token);
  if (token.use != "WETH") {
    // in kind: these units leave the stock, as what is reserved for drops does
    token.held = token.held.minus(event.params.amount);
    token.save();
  }
  const entry = note("Earned", event);
  entry.account = event.params.account;
  entry.token = event.params.token;
  entry.amount = event.params.amount;
  entry.save();
}

export function handlePayClaimed(event: PayClaimed): void {
  tally("Rewards.PayClaimed");
  const pay = loadPay(tierOf(), event.params.account, event.params.token, event);
  pay.claimed = pay.claimed.plus(event.params.amount);
  pay.save();
  const entry = note("PayClaimed", event);
  entry.account = event.params.account;
  entry.receiver = event.params.receiver;
  entry.token = event.params.token;
  entry.amount = event.params.amount;
  entry.save();
}

// --------------------------------------------------------------------------------------------------- sales

export function handleTokenListed(event: TokenListed): void {
  tally("Rewards.TokenListed");
  const token = loadToken(tierOf(), event.params.token);
  token.listed = true;
  token.startPrice = event.params.startPrice;
  token.floor = event.params.floor;
  token.save();
  noteAmount("TokenListed", event, event.params.token, event.params.startPrice);
}

export function handleFloorChanged(event: FloorChanged): void {
  tally("Rewards.FloorChanged");
  const token = loadToken(tierOf(), event.params.token);
  token.floor = event.params.floor;
  token.save();
  noteAmount("FloorChanged", event, event.params.token, event.params.floor);
}

export function handleLotOpened(event: LotOpened): void {
  tally("Rewards.LotOpened");
  const token = loadToken(tierOf(), event.params.token);
  token.lot = event.params.amount;
  token.lotSize = event.params.amount;
  token.lotProceeds = ZERO;
  token.startPrice = event.params.startPrice;
  token.save();
  const sale = newSale(token, event.params.amount, event);
  sale.startPrice = event.params.startPrice;
  sale.save();
}

export function handleSold(event: Sold): void {
  tally("Rewards.Sold");
  const token = loadToken(tierOf(), event.params.token);
  token.sold = token.sold.plus(event.params.amount);
  token.proceeds = token.proceeds.plus(event.params.payment);
  token.held = token.held.minus(event.params.amount);
  token.lot = token.lot.minus(event.params.amount);
  token.lotProceeds = min(token.lotProceeds.plus(event.params.payment), MAX_UINT128);
  if (token.lot.isZero() && token.lotProceeds.ge(TELLING_PROCEEDS)) {
    // DutchAuction.next: twice the average price of this lot
    const start = token.lotProceeds.times(TWO).times(WAD).div(token.lotSize);
    token.startPrice = min(max(start, token.floor), MAX_UINT128);
  }
  token.save();
  const sale = newSale(token, event.params.amount, event);
  sale.buyer = event.params.buyer;
  sale.receiver = event.params.receiver;
  sale.payment = event.params.payment;
  sale.save();
}

function newSale(token: RewardToken, amount: BigInt, event: ethereum.Event): RewardSale {
  const sale = new RewardSale(eventId(event));
  sale.tier = token.tier;
  sale.token = token.id;
  sale.amount = amount;
  sale.block = event.block.number;
  sale.timestamp = event.block.timestamp;
  sale.transaction = event.transaction.hash;
  return sale;
}

// -------------------------------------------------------------------------------------- fees, faults, treasury

export function handleFeeProposed(event: FeeProposed): void {
  tally("Rewards.FeeProposed");
  // agent 0: the protocol's
  const agent = Agent.load(event.params.agent);
  if (agent !== null) {
    agent.pendingFeeBps = event.params.feeBps.toI32();
    agent.feeFrom = event.params.from;
    agent.save();
  } else if (event.params.agent.equals(NO_ADDRESS)) {
    const tier = Tier.load(tierOf())!;
    tier.pendingProtocolFeeBps = event.params.feeBps.toI32();
    tier.protocolFeeFrom = event.params.from;
    tier.save();
  }
  const entry = note("FeeProposed", event);
  entry.agent = event.params.agent;
  entry.amount = event.params.feeBps;
  entry.time = event.params.from;
  entry.save();
}

export function handleFeeChanged(event: FeeChanged): void {
  tally("Rewards.FeeChanged");
  const agent = Agent.load(event.params.agent);
  if (agent !== null) {
    agent.feeBps = event.params.feeBps.toI32();
    agent.unset("pendingFeeBps");
    agent.feeFrom = null;
    agent.save();
  } else if (event.params.agent.equals(NO_ADDRESS)) {
    const tier = Tier.load(tierOf())!;
    tier.protocolFeeBps = event.params.feeBps.toI32();
    tier.unset("pendingProtocolFeeBps");
    tier.protocolFeeFrom = null;
    tier.save();
  }
  const entry = note("FeeChanged", event);
  entry.agent = event.params.agent;
  entry.amount = event.params.feeBps;
  entry.save();
}

export function handleFaultFound(event: FaultFound): void {
  tally("Rewards.FaultFound");
  const agent = Agent.load(event.params.agent);
  if (agent !== null) {
    agent.faultSince = event.params.since;
    agent.withheld = event.params.withheld;
    agent.save();
  }
  const entry = note("FaultFound", event);
  entry.agent = event.params.agent;
  entry.time = event.params.since;
  entry.withheld = event.params.withheld;
  entry.save();
}

export function handleFaultEnded(event: FaultEnded): void {
  tally("Rewards.FaultEnded");
  const agent = Agent.load(event.params.agent);
  if (agent !== null) {
    agent.faultSince = null;
    agent.withheld = false;
    agent.save();
  }
  const entry = note("FaultEnded", event);
  entry.agent = event.params.agent;
  entry.time = event.params.at;
  entry.withheld = false;
  entry.save();
}

export function handleOperatorRecorded(event: OperatorRecorded): void {
  tally("Rewards.OperatorRecorded");
  const entry = note("OperatorRecorded", event);
  entry.agent = event.params.agent;
  entry.account = event.params.nodeOperator;
  entry.save();
}

export function handleTreasuryOffered(event: TreasuryOffered): void {
  tally("Rewards.TreasuryOffered");
  noteAccount("TreasuryOffered", event, event.params.to);
}

export function handleTreasuryChanged(event: TreasuryChanged): void {
  tally("Rewards.TreasuryChanged");
  const tier = Tier.load(tierOf())!;
  tier.treasury = event.params.treasury;
  tier.save();
  noteAccount("TreasuryChanged", event, event.params.treasury);
}

// --------------------------------------------------------------------------------------------------- drops

export function handleReservedForDrops(event: ReservedForDrops): void {
  tally("Rewards.ReservedForDrops");
  const token = loadToken(tierOf(), event.params.token);
  token.held = token.held.minus(event.params.amount);
  token.dropPot = token.dropPot.plus(event.params.amount);
  token.reservedForDrops = token.reservedForDrops.plus(event.params.amount);
  token.save();
  noteAmount("ReservedForDrops", event, event.params.token, event.params.amount);
}

export function handleDropPosted(event: DropPosted): void {
  tally("Rewards.DropPosted");
  const drop = new Drop(number4(tierOf(), event.params.id.toI32()));
  drop.tier = tierOf();
  drop.dropId = event.params.id;
  drop.series = event.params.series;
  drop.token = event.params.token;
  drop.amount = event.params.amount;
  drop.root = event.params.root;
  drop.expiry = event.params.expiry;
  drop.inputsHash = event.params.inputsHash;
  drop.uri = event.params.uri;
  drop.claimed = ZERO;
  drop.closed = false;
  drop.unclaimed = ZERO;
  drop.save();
  const token = loadToken(tierOf(), event.params.token);
  token.dropPot = token.dropPot.minus(event.params.amount);
  token.save();
  const entry = note("DropPosted", event);
  entry.token = event.params.token;
  entry.amount = event.params.amount;
  entry.time = event.params.expiry;
  entry.save();
}

export function handleDropClaimed(event: DropClaimed): void {
  tally("Rewards.DropClaimed");
  const drop = Drop.load(number4(tierOf(), event.params.id.toI32()))!;
  drop.claimed = drop.claimed.plus(event.params.amount);
  drop.save();
  const entry = new DropClaim(eventId(event));
  entry.drop = drop.id;
  entry.account = event.params.account;
  entry.amount = event.params.amount;
  entry.timestamp = event.block.timestamp;
  entry.transaction = event.transaction.hash;
  entry.save();
}

export function handleDropClosed(event: DropClosed): void {
  tally("Rewards.DropClosed");
  const drop = Drop.load(number4(tierOf(), event.params.id.toI32()))!;
  drop.closed = true;
  drop.unclaimed = event.params.unclaimed;
  drop.save();
  // the tier's again; fees were taken when it was reserved
  const token = loadToken(tierOf(), Address.fromBytes(drop.token));
  token.held = token.held.plus(event.params.unclaimed);
  token.save();
  noteAmount("DropClosed", event, Address.fromBytes(drop.token), event.params.unclaimed);
}
