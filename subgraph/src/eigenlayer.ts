import {
  AllocationUpdated,
  EncumberedMagnitudeUpdated,
  MaxMagnitudeUpdated,
  OperatorAddedToOperatorSet,
  OperatorRemovedFromOperatorSet,
  OperatorSlashed,
  SlasherUpdated,
} from "../generated/AllocationManager/IAllocationManager";
import {
  OperatorSharesSlashed,
  SlashingWithdrawalCompleted,
  SlashingWithdrawalQueued,
} from "../generated/DelegationManager/IDelegationManager";
import { Deposit } from "../generated/StrategyManager/IStrategyManager";

export function handleAllocationUpdated(event: AllocationUpdated): void {}

export function handleEncumberedMagnitudeUpdated(event: EncumberedMagnitudeUpdated): void {}

export function handleMaxMagnitudeUpdated(event: MaxMagnitudeUpdated): void {}

export function handleOperatorAddedToOperatorSet(event: OperatorAddedToOperatorSet): void {}

export function handleOperatorRemovedFromOperatorSet(event: OperatorRemovedFromOperatorSet): void {}

export function handleOperatorSlashed(event: OperatorSlashed): void {}

export function handleSlasherUpdated(event: SlasherUpdated): void {}

export function handleOperatorSharesSlashed(event: OperatorSharesSlashed): void {}

export function handleSlashingWithdrawalCompleted(event: SlashingWithdrawalCompleted): void {}

export function handleSlashingWithdrawalQueued(event: SlashingWithdrawalQueued): void {}

export function handleDeposit(event: Deposit): void {}
