import { Deployed, Unbonded, WithdrawalCompleted } from "../generated/templates/StakeManager/IStakeManager";

export function handleDeployed(event: Deployed): void {}

export function handleUnbonded(event: Unbonded): void {}

export function handleWithdrawalCompleted(event: WithdrawalCompleted): void {}
