/** Who may do what, and which code runs: the access manager, role acceptance, the beacons, and the example service. */
import { Address, BigInt, Bytes, ethereum } from "@graphprotocol/graph-ts";
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
import { GovernanceEvent } from "../generated/schema";
import { OwnershipTransferred, Upgraded } from "../generated/TierBeacon/UpgradeableBeacon";
import {
  Greeted,
  MisbehaviourProven,
  Opened,
  SigningKeyRegistered,
  SigningKeyRetired,
  TaskCreated,
} from "../generated/templates/HelloWorldAVS/HelloWorldAVS";
import { eventId, tally } from "./ids";

/** Counts the event and begins its entity; the caller fills in what the event says, and saves. */
function begin(kind: string, event: ethereum.Event): GovernanceEvent {
  tally(kind);
  const entry = new GovernanceEvent(eventId(event));
  entry.contract = event.address;
  entry.kind = kind;
  entry.sender = event.transaction.from;
  entry.block = event.block.number;
  entry.timestamp = event.block.timestamp;
  entry.transaction = event.transaction.hash;
  return entry;
}

/** A contract under the access manager goes to another one: `kind` is the contract's, as in "Tier". */
export function noteAuthority(kind: string, event: ethereum.Event, authority: Address): void {
  const entry = begin(kind + ".AuthorityUpdated", event);
  entry.account = authority;
  entry.save();
}

// ------------------------------------------------------------------------------------------- access manager

function role(kind: string, event: ethereum.Event, id: BigInt): GovernanceEvent {
  const entry = begin("AccessManager." + kind, event);
  entry.number = id;
  return entry;
}

export function handleRoleGranted(event: RoleGranted): void {
  const entry = role("RoleGranted", event, event.params.roleId);
  entry.account = event.params.account;
  entry.value = event.params.delay;
  entry.since = event.params.since;
  entry.flag = event.params.newMember;
  entry.save();
}

export function handleRoleRevoked(event: RoleRevoked): void {
  const entry = role("RoleRevoked", event, event.params.roleId);
  entry.account = event.params.account;
  entry.save();
}

export function handleRoleLabel(event: RoleLabel): void {
  const entry = role("RoleLabel", event, event.params.roleId);
  entry.text = event.params.label;
  entry.save();
}

export function handleRoleAdminChanged(event: RoleAdminChanged): void {
  const entry = role("RoleAdminChanged", event, event.params.roleId);
  entry.value = event.params.admin;
  entry.save();
}

export function handleRoleGuardianChanged(event: RoleGuardianChanged): void {
  const entry = role("RoleGuardianChanged", event, event.params.roleId);
  entry.value = event.params.guardian;
  entry.save();
}

export function handleRoleGrantDelayChanged(event: RoleGrantDelayChanged): void {
  const entry = role("RoleGrantDelayChanged", event, event.params.roleId);
  entry.value = event.params.delay;
  entry.since = event.params.since;
  entry.save();
}

export function handleTargetClosed(event: TargetClosed): void {
  const entry = begin("AccessManager.TargetClosed", event);
  entry.account = event.params.target;
  entry.flag = event.params.closed;
  entry.save();
}

export function handleTargetFunctionRoleUpdated(event: TargetFunctionRoleUpdated): void {
  const entry = role("TargetFunctionRoleUpdated", event, event.params.roleId);
  entry.account = event.params.target;
  entry.data = event.params.selector;
  entry.save();
}

export function handleTargetAdminDelayUpdated(event: TargetAdminDelayUpdated): void {
  const entry = begin("AccessManager.TargetAdminDelayUpdated", event);
  entry.account = event.params.target;
  entry.value = event.params.delay;
  entry.since = event.params.since;
  entry.save();
}

function operation(kind: string, event: ethereum.Event, id: Bytes, nonce: BigInt): GovernanceEvent {
  const entry = begin("AccessManager." + kind, event);
  entry.operation = id;
  entry.number = nonce;
  return entry;
}

export function handleOperationScheduled(event: OperationScheduled): void {
  const entry = operation("OperationScheduled", event, event.params.operationId, event.params.nonce);
  entry.since = event.params.schedule;
  entry.account = event.params.target;
  entry.other = event.params.caller;
  entry.data = event.params.data;
  entry.save();
}

export function handleOperationExecuted(event: OperationExecuted): void {
  operation("OperationExecuted", event, event.params.operationId, event.params.nonce).save();
}

export function handleOperationCanceled(event: OperationCanceled): void {
  operation("OperationCanceled", event, event.params.operationId, event.params.nonce).save();
}

// ------------------------------------------------------------------------------------------ role acceptance

export function handleRoleAccepted(event: RoleAccepted): void {
  const entry = begin("RoleAcceptance.RoleAccepted", event);
  entry.number = event.params.role;
  entry.account = event.params.account;
  entry.other = event.params.manager;
  entry.save();
}

export function handleRoleDeclined(event: RoleDeclined): void {
  const entry = begin("RoleAcceptance.RoleDeclined", event);
  entry.number = event.params.role;
  entry.account = event.params.account;
  entry.other = event.params.manager;
  entry.save();
}

// --------------------------------------------------------------------------------------------------- beacons

export function handleUpgraded(event: Upgraded): void {
  const entry = begin("UpgradeableBeacon.Upgraded", event);
  entry.account = event.params.implementation;
  entry.save();
}

export function handleOwnershipTransferred(event: OwnershipTransferred): void {
  const entry = begin("UpgradeableBeacon.OwnershipTransferred", event);
  entry.account = event.params.newOwner;
  entry.other = event.params.previousOwner;
  entry.save();
}

// -------------------------------------------------------------------------------------------- Hello World AVS
// Its template is created for every AVS that a tier comes to know, because nothing tells beforehand which one it is; others
// do not know these events.

export function handleOpened(event: Opened): void {
  begin("HelloWorldAVS.Opened", event).save();
}

export function handleTaskCreated(event: TaskCreated): void {
  const entry = begin("HelloWorldAVS.TaskCreated", event);
  entry.number = event.params.taskId;
  entry.account = event.params.requester;
  entry.text = event.params.name;
  entry.save();
}

export function handleGreeted(event: Greeted): void {
  const entry = begin("HelloWorldAVS.Greeted", event);
  entry.number = event.params.taskId;
  entry.account = event.params.operator;
  entry.other = event.params.key;
  entry.text = event.params.greeting;
  entry.save();
}

export function handleMisbehaviourProven(event: MisbehaviourProven): void {
  const entry = begin("HelloWorldAVS.MisbehaviourProven", event);
  entry.number = event.params.taskId;
  entry.account = event.params.operator;
  entry.other = event.params.reporter;
  entry.data = event.params.key;
  entry.text = event.params.greeting;
  entry.value = event.params.wad;
  entry.save();
}

export function handleSigningKeyRegistered(event: SigningKeyRegistered): void {
  const entry = begin("HelloWorldAVS.SigningKeyRegistered", event);
  entry.account = event.params.operator;
  entry.other = event.params.key;
  entry.save();
}

export function handleSigningKeyRetired(event: SigningKeyRetired): void {
  const entry = begin("HelloWorldAVS.SigningKeyRetired", event);
  entry.account = event.params.operator;
  entry.other = event.params.key;
  entry.save();
}
