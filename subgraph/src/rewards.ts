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

export function handleAbsorbed(event: Absorbed): void {}

export function handleAuthorityUpdated(event: AuthorityUpdated): void {}

export function handleDropClaimed(event: DropClaimed): void {}

export function handleDropClosed(event: DropClosed): void {}

export function handleDropPosted(event: DropPosted): void {}

export function handleEarned(event: Earned): void {}

export function handleFaultEnded(event: FaultEnded): void {}

export function handleFaultFound(event: FaultFound): void {}

export function handleFeeChanged(event: FeeChanged): void {}

export function handleFeeProposed(event: FeeProposed): void {}

export function handleFloorChanged(event: FloorChanged): void {}

export function handleGainPaid(event: GainPaid): void {}

export function handleHarvested(event: Harvested): void {}

export function handleLotOpened(event: LotOpened): void {}

export function handleOperatorRecorded(event: OperatorRecorded): void {}

export function handlePayClaimed(event: PayClaimed): void {}

export function handleReservedForDrops(event: ReservedForDrops): void {}

export function handleSold(event: Sold): void {}

export function handleTokenListed(event: TokenListed): void {}

export function handleTreasuryChanged(event: TreasuryChanged): void {}

export function handleTreasuryOffered(event: TreasuryOffered): void {}
