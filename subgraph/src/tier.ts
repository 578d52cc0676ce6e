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

export function handleAuthorityUpdated(event: AuthorityUpdated): void {}

export function handleDeficitClosed(event: DeficitClosed): void {}

export function handleDeficitOpened(event: DeficitOpened): void {}

export function handleEntriesPaused(event: EntriesPaused): void {}

export function handleGainsAdded(event: GainsAdded): void {}

export function handleInstantlyRedeemed(event: InstantlyRedeemed): void {}

export function handleLossBooked(event: LossBooked): void {}

export function handleRecovered(event: Recovered): void {}

export function handleReserveSkimmed(event: ReserveSkimmed): void {}

export function handleReserveToppedUp(event: ReserveToppedUp): void {}

export function handleSeriesOpened(event: SeriesOpened): void {}

export function handleSeriesRetired(event: SeriesRetired): void {}

export function handleSynced(event: Synced): void {}
