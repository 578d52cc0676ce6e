/**
 * A tier's books. In a call the events come as LossBooked, SeriesRetired, DeficitClosed, DeficitOpened, Synced, then the
 * call's own: a Loss is completed by its Synced, which alone says what vested before it.
 */
import { Address, BigInt, Bytes, ethereum } from "@graphprotocol/graph-ts";
import { Deficit, Gift, Loss, Premium, Recovery, Series, Sync, Tier, TierEvent, Tranche } from "../generated/schema";
import {
  AuthorityUpdated,
  DeficitClosed,
  DeficitOpened,
  EntriesPaused,
  GainsAdded,
  InstantlyRedeemed,
  LossBooked,
  Recovered,
  ReserveSkimmed,
  ReserveToppedUp,
  SeriesOpened,
  SeriesRetired,
  Synced,
} from "../generated/templates/Tier/ITier";
import { addIdle, addReserved, loadProtocol, loadTier } from "./books";
import { readExposures } from "./exposure";
import { noteAuthority } from "./governance";
import { eventId, number4, tally, ZERO } from "./ids";
import { accrue, bookLoss, instantFee, reprice, sharesOf } from "./positions";
import { premiumRate } from "./premium";
import { rateOf, updateGrowth } from "./rates";
import { noteSync, noteTranche, noteTrancheSync } from "./snapshots";
import { noteDirect } from "./upkeep";
import { Books } from "./waterfall";

function trancheOf(tier: Tier, senior: boolean): Tranche {
  return Tranche.load(senior ? tier.seniorTranche : tier.juniorTranche)!;
}

/** The tranche's live series; none while a retired one has no successor. */
function liveSeries(tranche: Tranche): Series | null {
  const token = tranche.series;
  if (token === null) return null;
  return Series.load(token);
}

/** The Loss that the sync under way has booked. */
function openLoss(tier: Tier): Loss | null {
  const key = tier.openLoss;
  if (key === null) return null;
  return Loss.load(key);
}

function id(event: ethereum.Event): Bytes {
  return eventId(event);
}

// -------------------------------------------------------------------------------------------------------- sync

export function handleSynced(event: Synced): void {
  tally("Tier.Synced");
  const params = event.params;
  const now = event.block.timestamp;
  const tier = loadTier(event.address);
  const protocol = loadProtocol(tier);
  const books = new Books(tier.reserve, tier.junior, tier.senior, tier.gains);
  const yields = books.distribute(params.vested, params.premium);
  const loss = openLoss(tier);

  const sync = new Sync(id(event));
  sync.tier = tier.id;
  sync.interval = now.minus(tier.lastSync);
  sync.reserveBefore = tier.reserve;
  sync.juniorBefore = tier.junior;
  sync.seniorBefore = tier.senior;
  sync.gainsBefore = tier.gains;
  sync.reserveAfter = params.reserve;
  sync.juniorAfter = params.junior;
  sync.seniorAfter = params.senior;
  sync.gainsAfter = params.gains;
  sync.vested = params.vested;
  sync.reserveYield = yields.reserve;
  sync.juniorYield = yields.junior;
  sync.seniorYield = yields.senior;
  sync.premium = params.premium;
  sync.gained = params.gained;
  sync.utilisationBefore = tier.utilisation;
  sync.utilisationAfter = params.utilisation;
  sync.exposed = params.exposed;
  sync.baseRate = params.baseRate;
  sync.unlockAt = params.unlockAt;
  sync.sender = event.transaction.from;
  sync.block = event.block.number;
  sync.timestamp = now;
  sync.transaction = event.transaction.hash;

  if (loss != null) {
    loss.gainsBefore = books.gains;
    loss.reserveBefore = books.reserve;
    loss.juniorBefore = books.junior;
    loss.seniorBefore = books.senior;
    books.gains = books.gains.minus(loss.gainsLoss);
    books.reserve = books.reserve.minus(loss.reserveLoss);
    books.junior = books.junior.minus(loss.juniorLoss);
    books.senior = books.senior.minus(loss.seniorLoss);
    loss.gainsAfter = books.gains;
    loss.reserveAfter = books.reserve;
    loss.juniorAfter = books.junior;
    loss.seniorAfter = books.senior;
    loss.utilisationAfter = params.utilisation;
    loss.save();
    sync.loss = loss.id;
  }
  books.gains = books.gains.plus(params.gained);
  sync.reserveFlow = params.reserve.minus(books.reserve);
  sync.juniorFlow = params.junior.minus(books.junior);
  sync.seniorFlow = params.senior.minus(books.senior);
  sync.gainsFlow = params.gains.minus(books.gains);
  sync.save();

  if (params.premium.gt(ZERO) || params.baseRate.notEqual(tier.baseRate)) {
    const step = new Premium(sync.id);
    step.tier = tier.id;
    step.sync = sync.id;
    step.utilisation = tier.utilisation;
    step.baseRateBefore = tier.baseRate;
    step.premiumRate = premiumRate(tier.baseRate, tier.utilisation);
    step.baseRate = params.baseRate;
    step.seniorYield = yields.senior;
    step.premium = params.premium;
    step.cumulativePremiumETH = tier.cumulativePremiumETH.plus(params.premium);
    step.block = event.block.number;
    step.timestamp = now;
    step.save();
  }

  const value = params.reserve.plus(params.junior).plus(params.senior).plus(params.gains);
  protocol.totalValueLockedETH = protocol.totalValueLockedETH.plus(value).minus(tier.totalValueLockedETH);
  protocol.cumulativeGainETH = protocol.cumulativeGainETH.plus(params.gained);
  protocol.cumulativePremiumETH = protocol.cumulativePremiumETH.plus(params.premium);
  protocol.save();

  tier.reserve = params.reserve;
  tier.junior = params.junior;
  tier.senior = params.senior;
  tier.gains = params.gains;
  tier.totalValueLockedETH = value;
  tier.cover = params.reserve.plus(params.junior);
  tier.utilisation = params.utilisation;
  tier.exposed = params.exposed;
  tier.baseRate = params.baseRate;
  tier.premiumRate = premiumRate(params.baseRate, params.utilisation);
  tier.unlockAt = params.unlockAt;
  tier.lastSync = now;
  tier.lastSyncBlock = event.block.number;
  tier.syncCount += 1;
  tier.cumulativeGainETH = tier.cumulativeGainETH.plus(params.gained);
  tier.cumulativeVestedETH = tier.cumulativeVestedETH.plus(params.vested);
  tier.cumulativePremiumETH = tier.cumulativePremiumETH.plus(params.premium);
  tier.openLoss = null;
  readExposures(tier, event);
  noteSync(tier, params.gained, params.vested, params.premium, loss == null ? ZERO : loss.amount);
  tier.save();
  syncTranche(tier, true, params.senior, sync.seniorFlow, yields.senior, params.premium, loss);
  syncTranche(tier, false, params.junior, sync.juniorFlow, yields.junior, params.premium, loss);
  noteDirect(event);
}

/** `flow` (wei, signed) is the part of `assets` that the call itself moved. */
function syncTranche(
  tier: Tier,
  senior: boolean,
  assets: BigInt,
  flow: BigInt,
  earned: BigInt,
  premium: BigInt,
  loss: Loss | null,
): void {
  const tranche = trancheOf(tier, senior);
  const series = liveSeries(tranche);
  tranche.rate = rateOf(ZERO, ZERO);
  if (series != null) {
    accrue(series, tranche.assets, tier.lastSync);
    // An instant exit has burned before its sync. Entries and finalisations mint and burn after it: until then the rate is
    // that of the book without them, and the Transfer sets the last wei of it.
    const burned = !series.burnedShares.isZero();
    series.rate = rateOf(burned ? assets : assets.minus(flow), series.supply);
    series.save();
    tranche.rate = series.rate;
    tranche.supply = series.supply;
  }
  tranche.assets = assets;
  tranche.cumulativeYieldETH = tranche.cumulativeYieldETH.plus(earned);
  tranche.cumulativePremiumETH = tranche.cumulativePremiumETH.plus(premium);
  updateGrowth(tranche, tier.lastSync);
  let lost = ZERO;
  if (loss != null) lost = senior ? loss.seniorLoss : loss.juniorLoss;
  noteTrancheSync(tranche, tier, earned, premium, lost);
}

// ------------------------------------------------------------------------------------------------------ losses

export function handleLossBooked(event: LossBooked): void {
  tally("Tier.LossBooked");
  const params = event.params;
  const tier = loadTier(event.address);
  const loss = new Loss(number4(tier.id, params.lossId.toI32()));
  loss.tier = tier.id;
  loss.lossId = params.lossId;
  loss.gainsBefore = ZERO;
  loss.reserveBefore = ZERO;
  loss.juniorBefore = ZERO;
  loss.seniorBefore = ZERO;
  loss.gainsAfter = ZERO;
  loss.reserveAfter = ZERO;
  loss.juniorAfter = ZERO;
  loss.seniorAfter = ZERO;
  loss.utilisationAfter = ZERO;
  loss.sender = event.transaction.from;
  loss.block = event.block.number;
  loss.timestamp = event.block.timestamp;
  loss.transaction = event.transaction.hash;
  loss.slashed = params.slashed;
  loss.amount = params.amount;
  loss.gainsLoss = params.gains;
  loss.reserveLoss = params.reserve;
  loss.juniorLoss = params.junior;
  loss.seniorLoss = params.senior;
  loss.utilisationBefore = tier.utilisation;
  loss.seniorShares = bear(tier, true, params.senior);
  loss.juniorShares = bear(tier, false, params.junior);
  // the attributions came just before
  loss.attributedValue = ZERO;
  loss.estimated = false;
  const attributions = loss.attributions.load();
  for (let i = 0; i < attributions.length; i++) {
    loss.attributedValue = loss.attributedValue.plus(attributions[i].value);
    if (attributions[i].estimated) loss.estimated = true;
  }
  loss.save();

  tier.openLoss = loss.id;
  tier.lossCount += 1;
  tier.cumulativeLossETH = tier.cumulativeLossETH.plus(params.amount);
  tier.cumulativeGainsLossETH = tier.cumulativeGainsLossETH.plus(params.gains);
  tier.cumulativeReserveLossETH = tier.cumulativeReserveLossETH.plus(params.reserve);
  tier.cumulativeJuniorLossETH = tier.cumulativeJuniorLossETH.plus(params.junior);
  tier.cumulativeSeniorLossETH = tier.cumulativeSeniorLossETH.plus(params.senior);
  tier.save();
  const protocol = loadProtocol(tier);
  protocol.cumulativeLossETH = protocol.cumulativeLossETH.plus(params.amount);
  protocol.cumulativeSeniorLossETH = protocol.cumulativeSeniorLossETH.plus(params.senior);
  protocol.save();
}

/** The tranche's live series bears `borne` wei; returns its shares. */
function bear(tier: Tier, senior: boolean, borne: BigInt): BigInt {
  const tranche = trancheOf(tier, senior);
  tranche.cumulativeLossETH = tranche.cumulativeLossETH.plus(borne);
  tranche.save();
  const series = liveSeries(tranche);
  if (series == null) return ZERO;
  bookLoss(series, borne);
  series.save();
  return sharesOf(series);
}

export function handleSeriesRetired(event: SeriesRetired): void {
  tally("Tier.SeriesRetired");
  const tier = loadTier(event.address);
  const tranche = trancheOf(tier, event.params.senior);
  const series = Series.load(event.params.token)!;
  accrue(series, tranche.assets, event.block.timestamp);
  series.retired = true;
  series.retiredTimestamp = event.block.timestamp;
  series.potShares = event.params.supply;
  series.rate = ZERO;
  series.save();
  tranche.series = null;
  tranche.supply = ZERO;
  tranche.queuedShares = ZERO;
  tranche.save();
  const loss = openLoss(tier);
  if (loss != null) {
    if (event.params.senior) loss.seniorRetired = series.id;
    else loss.juniorRetired = series.id;
    loss.save();
  }
  const entry = tierEvent(event, "SERIES_RETIRED");
  entry.series = event.params.token;
  entry.supply = event.params.supply;
  entry.save();
}

export function handleSeriesOpened(event: SeriesOpened): void {
  tally("Tier.SeriesOpened");
  const entry = tierEvent(event, "SERIES_OPENED");
  entry.series = event.params.token;
  entry.save();
  noteDirect(event);
}

// ---------------------------------------------------------------------------------------------------- deficits

function deficitId(tier: Tier): Bytes {
  return number4(tier.id, tier.deficitCount);
}

/** Opened, or grown by another loss. */
export function handleDeficitOpened(event: DeficitOpened): void {
  tally("Tier.DeficitOpened");
  const params = event.params;
  const tier = loadTier(event.address);
  const loss = openLoss(tier);
  if (tier.deficit === null) {
    tier.deficitCount += 1;
    const opened = new Deficit(deficitId(tier));
    opened.tier = tier.id;
    opened.status = "OPEN";
    opened.seniorLoss = ZERO;
    opened.juniorLoss = ZERO;
    opened.outstanding = ZERO;
    opened.juniorOutstanding = ZERO;
    // the series of before the retirement that the same loss may have brought
    opened.seniorSeries = trancheOf(tier, true).series;
    if (opened.seniorSeries === null && loss != null) opened.seniorSeries = loss.seniorRetired;
    if (params.juniorToken.notEqual(Address.zero())) opened.juniorSeries = params.juniorToken;
    opened.recoveredSenior = ZERO;
    opened.recoveredJunior = ZERO;
    opened.recoveredReserve = ZERO;
    opened.writtenOff = ZERO;
    opened.openedTimestamp = event.block.timestamp;
    opened.closesAt = params.closesAt;
    opened.save();
    tier.deficit = opened.id;
    tier.save();
  }
  const deficit = Deficit.load(deficitId(tier))!;
  deficit.seniorLoss = deficit.seniorLoss.plus(params.outstanding).minus(deficit.outstanding);
  deficit.juniorLoss = deficit.juniorLoss.plus(params.juniorLoss).minus(deficit.juniorOutstanding);
  deficit.outstanding = params.outstanding;
  deficit.juniorOutstanding = params.juniorLoss;
  deficit.closesAt = params.closesAt;
  deficit.save();
  if (loss != null) {
    loss.deficit = deficit.id;
    loss.save();
  }
}

/** By time, by the curator, or, as the Recovered that follows tells, because all has come back. */
export function handleDeficitClosed(event: DeficitClosed): void {
  tally("Tier.DeficitClosed");
  const tier = loadTier(event.address);
  const deficit = Deficit.load(deficitId(tier))!;
  deficit.status = "WRITTEN_OFF";
  deficit.writtenOff = event.params.writtenOff;
  deficit.outstanding = ZERO;
  deficit.juniorOutstanding = ZERO;
  deficit.closedTimestamp = event.block.timestamp;
  deficit.save();
  tier.deficit = null;
  tier.save();
}

export function handleRecovered(event: Recovered): void {
  tally("Tier.Recovered");
  const params = event.params;
  const tier = loadTier(event.address);
  const deficit = Deficit.load(deficitId(tier))!;
  deficit.recoveredSenior = deficit.recoveredSenior.plus(params.senior);
  deficit.recoveredJunior = deficit.recoveredJunior.plus(params.junior);
  deficit.recoveredReserve = deficit.recoveredReserve.plus(params.reserve);
  if (tier.deficit === null) {
    deficit.status = "RECOVERED";
  } else {
    deficit.outstanding = deficit.outstanding.minus(params.senior);
    deficit.juniorOutstanding = deficit.juniorOutstanding.minus(params.junior);
  }
  deficit.save();

  const recovery = new Recovery(id(event));
  recovery.tier = tier.id;
  recovery.deficit = deficit.id;
  recovery.from = params.from;
  recovery.senior = params.senior;
  recovery.junior = params.junior;
  recovery.reserve = params.reserve;
  recovery.block = event.block.number;
  recovery.timestamp = event.block.timestamp;
  recovery.transaction = event.transaction.hash;
  recovery.save();

  const total = params.senior.plus(params.junior).plus(params.reserve);
  tier.cumulativeRecoveredETH = tier.cumulativeRecoveredETH.plus(total);
  tier.save();
  const pots = credit(tier, true, deficit.seniorSeries, params.senior, event).plus(
    credit(tier, false, deficit.juniorSeries, params.junior, event),
  );
  addIdle(tier.id, total.minus(pots));
  addReserved(tier.id, pots);
}

/** The series that lost gets `assets`: into its book, which the sync has stored, while it lives; else into its pot, returned. */
function credit(tier: Tier, senior: boolean, token: Bytes | null, assets: BigInt, event: ethereum.Event): BigInt {
  if (token === null || assets.isZero()) return ZERO;
  const series = Series.load(token)!;
  if (series.retired) {
    series.pot = series.pot.plus(assets);
    series.save();
    return assets;
  }
  const tranche = trancheOf(tier, senior);
  tranche.cumulativeRecoveredETH = tranche.cumulativeRecoveredETH.plus(assets);
  tranche.save();
  reprice(series);
  series.save();
  noteTranche(tranche.id, event);
  return ZERO;
}

// ------------------------------------------------------------------------------------------------ gifts and cash

function gift(event: ethereum.Event, kind: string, account: Address, assets: BigInt): void {
  const entry = new Gift(id(event));
  entry.tier = event.address;
  entry.kind = kind;
  entry.account = account;
  entry.assets = assets;
  entry.block = event.block.number;
  entry.timestamp = event.block.timestamp;
  entry.transaction = event.transaction.hash;
  entry.save();
}

export function handleReserveToppedUp(event: ReserveToppedUp): void {
  tally("Tier.ReserveToppedUp");
  const assets = event.params.assets;
  gift(event, "RESERVE_TOPPED_UP", event.params.from, assets);
  const tier = loadTier(event.address);
  if (tier.syncCount == 0) {
    // the seed: the only money that comes without a sync
    tier.reserve = assets;
    tier.totalValueLockedETH = assets;
    tier.cover = assets;
    tier.save();
    const protocol = loadProtocol(tier);
    protocol.totalValueLockedETH = protocol.totalValueLockedETH.plus(assets);
    protocol.save();
  }
  addIdle(tier.id, assets);
}

export function handleReserveSkimmed(event: ReserveSkimmed): void {
  tally("Tier.ReserveSkimmed");
  gift(event, "RESERVE_SKIMMED", event.params.to, event.params.assets);
  addIdle(event.address, event.params.assets.neg());
}

export function handleGainsAdded(event: GainsAdded): void {
  tally("Tier.GainsAdded");
  gift(event, "GAINS_ADDED", event.params.from, event.params.assets);
  addIdle(event.address, event.params.assets);
}

/** What was paid left idle; position and flow follow by the token's Withdraw. */
export function handleInstantlyRedeemed(event: InstantlyRedeemed): void {
  tally("Tier.InstantlyRedeemed");
  const series = Series.load(event.params.token)!;
  instantFee(series, event.params.fee);
  series.save();
  addIdle(event.address, event.params.assets.neg());
}

// ------------------------------------------------------------------------------------------------------- others

function tierEvent(event: ethereum.Event, kind: string): TierEvent {
  const entry = new TierEvent(id(event));
  entry.tier = event.address;
  entry.kind = kind;
  entry.block = event.block.number;
  entry.timestamp = event.block.timestamp;
  entry.transaction = event.transaction.hash;
  return entry;
}

export function handleEntriesPaused(event: EntriesPaused): void {
  tally("Tier.EntriesPaused");
  const tier = loadTier(event.address);
  tier.entriesPaused = event.params.paused;
  tier.save();
  tierEvent(event, event.params.paused ? "ENTRIES_PAUSED" : "ENTRIES_UNPAUSED").save();
}

export function handleTierAuthorityUpdated(event: AuthorityUpdated): void {
  noteAuthority("Tier", event, event.params.authority);
}
