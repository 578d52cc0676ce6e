/**
 * Hour and day rows. A row is made where something happens in its period, and holds the state at the period's last event: a
 * reader of a period without a row takes the row before. Work is constant for each event.
 */
import { BigDecimal, BigInt, Bytes, ethereum } from "@graphprotocol/graph-ts";
import {
  Agent,
  AgentSnapshot,
  GroupSnapshot,
  SlasherGroup,
  Tier,
  TierSnapshot,
  Tranche,
  TrancheSnapshot,
} from "../generated/schema";
import { DAY, DAY_MARK, HOUR, HOUR_MARK, max, min, snapshotId, ZERO } from "./ids";

const EXPOSURE_UNIT = BigInt.fromI32(10).pow(9).toBigDecimal();

function length(mark: i32): i32 {
  return mark == HOUR_MARK ? HOUR : DAY;
}

function interval(mark: i32): string {
  return mark == HOUR_MARK ? "HOUR" : "DAY";
}

export function periodOf(mark: i32, timestamp: BigInt): i32 {
  return (timestamp.toI64() / length(mark)) as i32;
}

/** Whether two times are in the same period. */
export function samePeriod(mark: i32, a: BigInt, b: BigInt): boolean {
  return periodOf(mark, a) == periodOf(mark, b);
}

function begin(mark: i32, period: i32): BigInt {
  return BigInt.fromI64((period as i64) * length(mark));
}

// ------------------------------------------------------------------------------------------------------- tiers

function tierRow(tier: Tier, mark: i32, timestamp: BigInt): TierSnapshot {
  const period = periodOf(mark, timestamp);
  const id = snapshotId(tier.id, mark, period);
  let row: TierSnapshot | null = null;
  if (samePeriod(mark, tier.snapshotTimestamp, timestamp)) row = TierSnapshot.load(id);
  if (row == null) {
    row = new TierSnapshot(id);
    row.tier = tier.id;
    row.interval = interval(mark);
    row.period = period;
    row.timestamp = begin(mark, period);
    row.maxUtilisation = tier.utilisation;
    row.periodDepositETH = ZERO;
    row.periodWithdrawETH = ZERO;
    row.periodGainETH = ZERO;
    row.periodVestedETH = ZERO;
    row.periodPremiumETH = ZERO;
    row.periodLossETH = ZERO;
    row.syncCount = 0;
  }
  return row;
}

function closeTier(row: TierSnapshot, tier: Tier): void {
  row.reserve = tier.reserve;
  row.junior = tier.junior;
  row.senior = tier.senior;
  row.gains = tier.gains;
  row.totalValueLockedETH = tier.totalValueLockedETH;
  row.utilisation = tier.utilisation;
  row.exposed = tier.exposed;
  row.baseRate = tier.baseRate;
  row.premiumRate = tier.premiumRate;
  row.idle = tier.idle;
  row.reserved = tier.reserved;
  row.block = tier.lastSyncBlock;
  row.save();
}

/** A sync has been stored in `tier`. The caller saves the tier. */
export function noteSync(tier: Tier, gained: BigInt, vested: BigInt, premium: BigInt, loss: BigInt): void {
  for (let mark = HOUR_MARK; mark <= DAY_MARK; mark++) {
    const row = tierRow(tier, mark, tier.lastSync);
    row.maxUtilisation = row.syncCount == 0 ? tier.utilisation : max(row.maxUtilisation, tier.utilisation);
    row.periodGainETH = row.periodGainETH.plus(gained);
    row.periodVestedETH = row.periodVestedETH.plus(vested);
    row.periodPremiumETH = row.periodPremiumETH.plus(premium);
    row.periodLossETH = row.periodLossETH.plus(loss);
    row.syncCount += 1;
    closeTier(row, tier);
  }
  tier.snapshotTimestamp = tier.lastSync;
}

/** An entry or a payment: the last thing that its handler does, when the tier's cash is right. */
export function noteFlow(id: Bytes, deposit: BigInt, withdrawal: BigInt, event: ethereum.Event): void {
  const tier = Tier.load(id)!;
  for (let mark = HOUR_MARK; mark <= DAY_MARK; mark++) {
    const row = tierRow(tier, mark, event.block.timestamp);
    row.periodDepositETH = row.periodDepositETH.plus(deposit);
    row.periodWithdrawETH = row.periodWithdrawETH.plus(withdrawal);
    closeTier(row, tier);
  }
  tier.snapshotTimestamp = event.block.timestamp;
  tier.save();
}

/** The tier's cash has changed in the block of its last sync. The caller saves the tier. */
export function noteCash(tier: Tier): void {
  for (let mark = HOUR_MARK; mark <= DAY_MARK; mark++) closeTier(tierRow(tier, mark, tier.lastSync), tier);
  tier.snapshotTimestamp = tier.lastSync;
}

// ---------------------------------------------------------------------------------------------------- tranches

function trancheRow(tranche: Tranche, mark: i32, timestamp: BigInt): TrancheSnapshot {
  const period = periodOf(mark, timestamp);
  const id = snapshotId(tranche.id, mark, period);
  let row: TrancheSnapshot | null = null;
  if (samePeriod(mark, tranche.snapshotTimestamp, timestamp)) row = TrancheSnapshot.load(id);
  if (row == null) {
    row = new TrancheSnapshot(id);
    row.tranche = tranche.id;
    row.tier = tranche.tier;
    row.interval = interval(mark);
    row.period = period;
    row.timestamp = begin(mark, period);
    row.closeTimestamp = Tier.load(tranche.tier)!.lastSync;
    row.minRate = tranche.rate;
    row.periodYieldETH = ZERO;
    row.periodPremiumETH = ZERO;
    row.periodLossETH = ZERO;
  }
  return row;
}

function closeTranche(row: TrancheSnapshot, tranche: Tranche, block: BigInt): void {
  row.series = tranche.series;
  row.assets = tranche.assets;
  row.supply = tranche.supply;
  row.rate = tranche.rate;
  row.minRate = min(row.minRate, tranche.rate);
  row.queuedShares = tranche.queuedShares;
  row.apr7d = tranche.apr7d;
  row.apr30d = tranche.apr30d;
  row.block = block;
  row.save();
}

/** A sync of the tier has been stored in `tranche`. Saves the tranche, whose chain of daily closes grows. */
export function noteTrancheSync(tranche: Tranche, tier: Tier, earned: BigInt, premium: BigInt, loss: BigInt): void {
  for (let mark = HOUR_MARK; mark <= DAY_MARK; mark++) {
    const row = trancheRow(tranche, mark, tier.lastSync);
    row.closeTimestamp = tier.lastSync;
    row.periodYieldETH = row.periodYieldETH.plus(earned);
    row.periodPremiumETH = row.periodPremiumETH.plus(premium);
    row.periodLossETH = row.periodLossETH.plus(loss);
    closeTranche(row, tranche, tier.lastSyncBlock);
    if (mark == DAY_MARK) chain(tranche, row);
  }
  tranche.snapshotTimestamp = tier.lastSync;
  tranche.save();
}

/** Supply, rate or queue have changed since: the last thing that a handler does which has saved the tranche. */
export function noteTranche(id: Bytes, event: ethereum.Event): void {
  const tranche = Tranche.load(id)!;
  const block = Tier.load(tranche.tier)!.lastSyncBlock;
  for (let mark = HOUR_MARK; mark <= DAY_MARK; mark++) {
    closeTranche(trancheRow(tranche, mark, event.block.timestamp), tranche, block);
  }
  tranche.snapshotTimestamp = event.block.timestamp;
  tranche.save();
}

/** Links a day to the day before; yearly rates walk along this list. */
function chain(tranche: Tranche, row: TrancheSnapshot): void {
  const last = tranche.lastDay;
  if (last !== null && last.equals(row.id)) return;
  if (last !== null) {
    const before = TrancheSnapshot.load(last)!;
    before.next = row.id;
    before.save();
  }
  tranche.lastDay = row.id;
  if (tranche.apr7dFrom === null) tranche.apr7dFrom = row.id;
  if (tranche.apr30dFrom === null) tranche.apr30dFrom = row.id;
}

// --------------------------------------------------------------------------------------------- agents and groups

/** The agent as it is now, at the tier's reading in the event's block. */
export function noteAgent(agent: Agent, event: ethereum.Event): void {
  for (let mark = HOUR_MARK; mark <= DAY_MARK; mark++) {
    const period = periodOf(mark, event.block.timestamp);
    const row = new AgentSnapshot(snapshotId(agent.id, mark, period));
    row.agent = agent.id;
    row.tier = agent.tier;
    row.interval = interval(mark);
    row.period = period;
    row.timestamp = begin(mark, period);
    row.stake = agent.stake;
    row.stakeValue = agent.stakeValue;
    row.queuedStake = agent.queuedStake;
    row.magnitude = agent.magnitude;
    row.cumulativeLossETH = agent.cumulativeLossETH;
    row.block = event.block.number;
    row.save();
  }
}

/** The group as it is now, at the tier's reading in the event's block; the reading before was at `last`. */
export function noteGroup(group: SlasherGroup, last: BigInt, event: ethereum.Event): void {
  for (let mark = HOUR_MARK; mark <= DAY_MARK; mark++) {
    const period = periodOf(mark, event.block.timestamp);
    const id = snapshotId(group.id, mark, period);
    let row: GroupSnapshot | null = null;
    if (samePeriod(mark, last, event.block.timestamp)) row = GroupSnapshot.load(id);
    if (row == null) {
      row = new GroupSnapshot(id);
      row.group = group.id;
      row.tier = group.tier;
      row.interval = interval(mark);
      row.period = period;
      row.timestamp = begin(mark, period);
      row.maxExposure = group.exposure;
    }
    row.exposure = group.exposure;
    row.maxExposure = max(row.maxExposure, group.exposure);
    row.worst = group.worst;
    row.coverRatio = group.coverRatio;
    row.block = event.block.number;
    row.save();
  }
}

/** Cover over what a group could take (as a fraction); none where it could take nothing. */
export function coverRatio(cover: BigInt, exposure: BigInt): BigDecimal | null {
  if (exposure.isZero()) return null;
  return cover.toBigDecimal().times(EXPOSURE_UNIT).div(exposure.toBigDecimal());
}
