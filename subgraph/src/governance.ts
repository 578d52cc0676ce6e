import {
  OperationCanceled,
  OperationExecuted,
  OperationScheduled,
  RoleAdminChanged,
  RoleGrantDelayChanged,
  RoleGranted,
  RoleGuardianChanged,
  RoleLabel,
  RoleRevoked,
  TargetAdminDelayUpdated,
  TargetClosed,
  TargetFunctionRoleUpdated,
} from "../generated/AccessManager/AccessManager";
import { RoleAccepted, RoleDeclined } from "../generated/RoleAcceptance/RoleAcceptance";
import { OwnershipTransferred, Upgraded } from "../generated/TierBeacon/UpgradeableBeacon";
import {
  Greeted,
  MisbehaviourProven,
  Opened,
  SigningKeyRegistered,
  SigningKeyRetired,
  TaskCreated,
} from "../generated/templates/HelloWorldAVS/HelloWorldAVS";

export function handleOperationCanceled(event: OperationCanceled): void {}

export function handleOperationExecuted(event: OperationExecuted): void {}

export function handleOperationScheduled(event: OperationScheduled): void {}

export function handleRoleAdminChanged(event: RoleAdminChanged): void {}

export function handleRoleGrantDelayChanged(event: RoleGrantDelayChanged): void {}

export function handleRoleGranted(event: RoleGranted): void {}

export function handleRoleGuardianChanged(event: RoleGuardianChanged): void {}

export function handleRoleLabel(event: RoleLabel): void {}

export function handleRoleRevoked(event: RoleRevoked): void {}

export function handleTargetAdminDelayUpdated(event: TargetAdminDelayUpdated): void {}

export function handleTargetClosed(event: TargetClosed): void {}

export function handleTargetFunctionRoleUpdated(event: TargetFunctionRoleUpdated): void {}

export function handleRoleAccepted(event: RoleAccepted): void {}

export function handleRoleDeclined(event: RoleDeclined): void {}

export function handleOwnershipTransferred(event: OwnershipTransferred): void {}

export function handleUpgraded(event: Upgraded): void {}

export function handleGreeted(event: Greeted): void {}

export function handleMisbehaviourProven(event: MisbehaviourProven): void {}

export function handleOpened(event: Opened): void {}

export function handleSigningKeyRegistered(event: SigningKeyRegistered): void {}

export function handleSigningKeyRetired(event: SigningKeyRetired): void {}

export function handleTaskCreated(event: TaskCreated): void {}
