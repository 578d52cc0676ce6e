/**
 * TierFactory: opens tiers, agents and series. In a tier's creation the events come as RewardsCreated, SeriesCreated twice,
 * TierCreated; what the new contracts said before is handled after all of them, because graph-node runs new templates on the
 * block's events when its handlers are done.
 */
import { Address, BigInt, Bytes, DataSourceContext, ethereum } from "@graphprotocol/graph-ts";
import { Protocol, Series, Tier, TierContract, Tranche } from "../generated/schema";
import { IRiskManager } from "../generated/TierFactory/IRiskManager";
import {
  AgentCreated,
  AuthorityUpdated,
  RewardsCreated,
  SeriesCreated,
  TierCreated,
} from "../generated/TierFactory/ITierFactory";
import { ITrancheToken } from "../generated/TierFactory/ITrancheToken";
import {
  Agent as AgentTemplate,
  Allocator as AllocatorTemplate,
  Mandate as MandateTemplate,
  Rewards as RewardsTemplate,
  RiskManager as RiskManagerTemplate,
  StakeManager as StakeManagerTemplate,
  StakingModule as StakingModuleTemplate,
  Tier as TierTemplate,
  TrancheToken as TrancheTokenTemplate,
} from "../generated/templates";
import { agentOf } from "./agents";
import { noteAuthority } from "./governance";
import { NO_ADDRESS, SCHEMA_VERSION, tally, tierTranche, WAD, ZERO } from "./ids";
import { premiumRate } from "./premium";

/** Premium base rate of a new tier (WAD a year): Premium.START_RATE. */
const START_RATE = WAD.times(BigInt.fromI32(4)).div(BigInt.fromI32(100));

function protocolOf(factory: Bytes): Protocol {
  let protocol = Protocol.load(factory);
  if (protocol == null) {
    protocol = new Protocol(factory);
    protocol.schemaVersion = SCHEMA_VERSION;
    protocol.tierCount = 0;
    protocol.totalValueLockedETH = ZERO;
    protocol.cumulativeUniqueUsers = 0;
    protocol.cumulativeDepositETH = ZERO;
    protocol.cumulativeWithdrawETH = ZERO;
    protocol.cumulativeGainETH = ZERO;
    protocol.cumulativeLossETH = ZERO;
    protocol.cumulativeSeniorLossETH = ZERO;
    protocol.cumulativePremiumETH = ZERO;
    protocol.cumulativeUpkeepFeeETH = ZERO;
    protocol.cumulativeUpkeepGas = ZERO;
  }
  return protocol;
}

function newTier(id: Bytes, event: ethereum.Event): Tier {
  const protocol = protocolOf(event.address);
  const tier = new Tier(id);
  tier.protocol = protocol.id;
  tier.index = protocol.tierCount;
  protocol.tierCount += 1;
  protocol.save();
  tier.name = "";
  tier.risk = NO_ADDRESS;
  tier.stakes = NO_ADDRESS;
  tier.allocator = NO_ADDRESS;
  tier.mandateContract = NO_ADDRESS;
  tier.module = NO_ADDRESS;
  tier.rewards = NO_ADDRESS;
  tier.strategy = NO_ADDRESS;
  tier.reserve = ZERO;
  tier.junior = ZERO;
  tier.senior = ZERO;
  tier.gains = ZERO;
  tier.totalValueLockedETH = ZERO;
  tier.cover = ZERO;
  tier.utilisation = ZERO;
  tier.exposed = ZERO;
  tier.baseRate = START_RATE;
  tier.premiumRate = premiumRate(START_RATE, ZERO);
  tier.unlockAt = event.block.timestamp;
  tier.lastSync = event.block.timestamp;
  tier.lastSyncBlock = event.block.number;
  tier.idle = ZERO;
  tier.reserved = ZERO;
  tier.entriesPaused = false;
  tier.k = 0;
  tier.marginBps = 0;
  tier.haircutBps = 0;
  tier.bufferBps = 0;
  tier.instantFeeBps = 0;
  tier.quarantineBps = 0;
  tier.cap = ZERO;
  tier.protocolFeeBps = 0;
  tier.treasury = NO_ADDRESS;
  tier.deficitCount = 0;
  tier.lossCount = 0;
  tier.syncCount = 0;
  tier.cumulativeDepositETH = ZERO;
  tier.cumulativeWithdrawETH = ZERO;
  tier.cumulativeGainETH = ZERO;
  tier.cumulativeVestedETH = ZERO;
  tier.cumulativePremiumETH = ZERO;
  tier.cumulativeLossETH = ZERO;
  tier.cumulativeGainsLossETH = ZERO;
  tier.cumulativeReserveLossETH = ZERO;
  tier.cumulativeJuniorLossETH = ZERO;
  tier.cumulativeSeniorLossETH = ZERO;
  tier.cumulativeRecoveredETH = ZERO;
  tier.cumulativeUpkeepFeeETH = ZERO;
  tier.cumulativeUpkeepGas = ZERO;
  tier.exposureBlock = ZERO;
  tier.exposureCover = ZERO;
  tier.exposureTimestamp = ZERO;
  tier.unapprovedExposure = ZERO;
  tier.exposureStale = true;
  tier.snapshotTimestamp = ZERO;
  tier.createdBlock = event.block.number;
  tier.createdTimestamp = event.block.timestamp;
  tier.createdTransaction = event.transaction.hash;
  tier.seniorTranche = newTranche(id, true).id;
  tier.juniorTranche = newTranche(id, false).id;
  return tier;
}

function newTranche(tier: Bytes, senior: boolean): Tranche {
  const tranche = new Tranche(tierTranche(tier, senior));
  tranche.tier = tier;
  tranche.senior = senior;
  tranche.seriesCount = 0;
  tranche.snapshotTimestamp = ZERO;
  tranche.assets = ZERO;
  tranche.supply = ZERO;
  tranche.rate = WAD;
  tranche.queuedShares = ZERO;
  tranche.cumulativeDepositETH = ZERO;
  tranche.cumulativeExitETH = ZERO;
  tranche.cumulativeYieldETH = ZERO;
  tranche.cumulativePremiumETH = ZERO;
  tranche.cumulativeLossETH = ZERO;
  tranche.cumulativeRecoveredETH = ZERO;
  tranche.save();
  return tranche;
}

function context(tier: Bytes): DataSourceContext {
  const result = new DataSourceContext();
  result.setBytes("tier", tier);
  return result;
}

/** Which tier an address belongs to: what an upkeep's calls are told by. */
function contractOf(tier: Tier, address: Bytes, kind: string): void {
  const contract = new TierContract(address);
  contract.tier = tier.id;
  contract.kind = kind;
  contract.save();
}

export function handleRewardsCreated(event: RewardsCreated): void {
  tally("TierFactory.RewardsCreated");
  const tier = newTier(event.params.tier, event);
  tier.rewards = event.params.rewards;
  tier.save();
}

export function handleSeriesCreated(event: SeriesCreated): void {
  tally("TierFactory.SeriesCreated");
  const tranche = Tranche.load(tierTranche(event.params.tier, event.params.senior))!;
  const token = ITrancheToken.bind(event.params.token);
  const name = token.try_name();
  const symbol = token.try_symbol();
  const series = new Series(event.params.token);
  series.tier = event.params.tier;
  series.tranche = tranche.id;
  series.senior = event.params.senior;
  series.number = event.params.series.toI32();
  series.name = name.reverted ? "" : name.value;
  series.symbol = symbol.reverted ? "" : symbol.value;
  series.supply = ZERO;
  series.rate = WAD;
  series.holderCount = 0;
  series.requestCount = 0;
  series.requestedShares = ZERO;
  series.finalisedShares = ZERO;
  series.finalisedAssets = ZERO;
  series.nextRequest = 0;
  series.retired = false;
  series.pot = ZERO;
  series.potShares = ZERO;
  series.lossPerShare = ZERO;
  series.ethSecondsPerShare = ZERO;
  series.accruedUntil = event.block.timestamp;
  series.burnedShares = ZERO;
  series.burnedCost = ZERO;
  series.burnedLossIndex = ZERO;
  series.escrowedCost = ZERO;
  series.save();
  tranche.series = series.id;
  tranche.seriesCount += 1;
  tranche.assets = ZERO;
  tranche.supply = ZERO;
  tranche.rate = WAD;
  tranche.queuedShares = ZERO;
  tranche.save();
  TrancheTokenTemplate.createWithContext(event.params.token, context(event.params.tier));
}

export function handleTierCreated(event: TierCreated): void {
  tally("TierFactory.TierCreated");
  const id = event.params.tier;
  const tier = Tier.load(id)!;
  const strategy = IRiskManager.bind(event.params.risk).try_strategy();
  tier.name = event.params.name;
  tier.risk = event.params.risk;
  tier.stakes = event.params.stakes;
  tier.allocator = event.params.allocator;
  tier.mandateContract = event.params.mandate;
  tier.module = event.params.module;
  tier.strategy = strategy.reverted ? NO_ADDRESS : strategy.value;
  tier.save();
  contractOf(tier, id, "Tier");
  contractOf(tier, tier.risk, "RiskManager");
  contractOf(tier, tier.stakes, "StakeManager");
  contractOf(tier, tier.allocator, "Allocator");
  contractOf(tier, tier.mandateContract, "Mandate");
  contractOf(tier, tier.module, "StakingModule");
  contractOf(tier, tier.rewards, "Rewards");
  const belongs = context(id);
  TierTemplate.createWithContext(id, belongs);
  RiskManagerTemplate.createWithContext(event.params.risk, belongs);
  StakeManagerTemplate.createWithContext(event.params.stakes, belongs);
  AllocatorTemplate.createWithContext(event.params.allocator, belongs);
  MandateTemplate.createWithContext(event.params.mandate, belongs);
  StakingModuleTemplate.createWithContext(event.params.module, belongs);
  RewardsTemplate.createWithContext(Address.fromBytes(tier.rewards), belongs);
}

export function handleAgentCreated(event: AgentCreated): void {
  tally("TierFactory.AgentCreated");
  const agent = agentOf(event.params.tier, event.params.agent, event.params.nodeOperator, event);
  agent.index = event.params.index.toI32();
  agent.save();
  AgentTemplate.createWithContext(event.params.agent, context(event.params.tier));
}

export function handleFactoryAuthorityUpdated(event: AuthorityUpdated): void {
  noteAuthority("TierFactory", event, event.params.authority);
}
