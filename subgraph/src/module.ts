import {
  Received,
  Released,
  Staked,
  UnstakeClaimed,
  UnstakeRequested,
} from "../generated/templates/StakingModule/IStakingModule";

export function handleReceived(event: Received): void {}

export function handleReleased(event: Released): void {}

export function handleStaked(event: Staked): void {}

export function handleUnstakeClaimed(event: UnstakeClaimed): void {}

export function handleUnstakeRequested(event: UnstakeRequested): void {}
