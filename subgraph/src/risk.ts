import {
  AgentAdded,
  AgentRemoved,
  AllocationRecorded,
  AuthorityUpdated,
  ExitQueued,
  ExitRemoved,
  GroupChanged,
  NodeOperatorRecorded,
  ParamsChanged,
  QuarantineChanged,
  SetAdded,
  SetPoked,
  SlashAttributed,
  StakeRecorded,
  TargetChanged,
  WeightChanged,
} from "../generated/templates/RiskManager/IRiskManager";

export function handleAgentAdded(event: AgentAdded): void {}

export function handleAgentRemoved(event: AgentRemoved): void {}

export function handleAllocationRecorded(event: AllocationRecorded): void {}

export function handleAuthorityUpdated(event: AuthorityUpdated): void {}

export function handleExitQueued(event: ExitQueued): void {}

export function handleExitRemoved(event: ExitRemoved): void {}

export function handleGroupChanged(event: GroupChanged): void {}

export function handleNodeOperatorRecorded(event: NodeOperatorRecorded): void {}

export function handleParamsChanged(event: ParamsChanged): void {}

export function handleQuarantineChanged(event: QuarantineChanged): void {}

export function handleSetAdded(event: SetAdded): void {}

export function handleSetPoked(event: SetPoked): void {}

export function handleSlashAttributed(event: SlashAttributed): void {}

export function handleStakeRecorded(event: StakeRecorded): void {}

export function handleTargetChanged(event: TargetChanged): void {}

export function handleWeightChanged(event: WeightChanged): void {}
