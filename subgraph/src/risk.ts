/** RiskManager: agents, sets, groups, links and exits as the tier has recorded them, and who took what of a loss. */
import { BigInt, Bytes, ethereum, store } from "@graphprotocol/graph-ts";
import {
  AgentPosition,
  AVS,
  Exit,
  Link,
  LossAttribution,
  NodeOperator,
  OperatorSet,
  SetEvent,
  SlasherGroup,
  TierSet,
} from "../generated/schema";
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
import { agentOf, loadNodeOperator } from "./agents";
import { loadTier } from "./books";
import { noteAuthority } from "./governance";
import { byte, eventId, NO_ADDRESS, number4, tally, tierOf, ZERO } from "./ids";
import {
  agentAt,
  loadGroup,
  loadLink,
  loadOperatorSet,
  MAX_AGENTS,
  MAX_LINKS,
  markStale,
  setAt,
  settleSlasher,
} from "./sets";

// ------------------------------------------------------------------------------------------------ agents

export function handleAgentAdded(event: AgentAdded): void {
  tally("RiskManager.AgentAdded");
  const tier = tierOf();
  const agent = agentOf(tier, event.params.account, event.params.nodeOperator, event);
  agent.index = event.params.agent.toI32();
  agent.nodeOperator = loadNodeOperator(event.params.nodeOperator).id;
  agent.save();
  const position = new AgentPosition(byte(tier, agent.index));
  position.agent = agent.id;
  position.save();
  markStale(tier);
}

/** Its stake is no longer the tier's: what was left is booked as a loss by the same call. */
export function handleAgentRemoved(event: AgentRemoved): void {
  tally("RiskManager.AgentRemoved");
  const tier = tierOf();
  const agent = agentAt(tier, event.params.agent.toI32());
  const sets = agent.linkSets;
  for (let i = 0; i < sets.length; i++) {
    const link = loadLink(agent, setAt(tier, sets[i]), event.block);
    link.previous = link.current;
    link.current = ZERO;
    link.pending = ZERO;
    link.effectBlock = ZERO;
    link.target = ZERO;
    link.save();
  }
  agent.linkSets = [];
  agent.removed = true;
  agent.weightBps = 0;
  agent.stake = ZERO;
  agent.stakeValue = ZERO;
  agent.save();
  store.remove("AgentPosition", byte(tier, agent.index).toHexString());
  markStale(tier);
}

export function handleNodeOperatorRecorded(event: NodeOperatorRecorded): void {
  tally("RiskManager.NodeOperatorRecorded");
  const agent = agentAt(tierOf(), event.params.agent.toI32());
  agent.nodeOperator = loadNodeOperator(event.params.nodeOperator).id;
  agent.save();
}

export function handleStakeRecorded(event: StakeRecorded): void {
  tally("RiskManager.StakeRecorded");
  const tier = tierOf();
  const agent = agentAt(tier, event.params.agent.toI32());
  if (agent.stake.equals(event.params.stake)) return;
  agent.stake = event.params.stake;
  agent.save();
  markStale(tier);
}

export function handleWeightChanged(event: WeightChanged): void {
  tally("RiskManager.WeightChanged");
  const agent = agentAt(tierOf(), event.params.agent.toI32());
  agent.weightBps = event.params.weightBps;
  agent.save();
}

// ------------------------------------------------------------------------------------------------ mandates

/**
 * A tier's first event, and the first of every mandate that comes into force: RiskConfigurator.apply_ then takes all weights,
 * targets and permissions back without a word, and says those that the mandate gives (permissions of known sets in
 * MandateApplied).
 */
export function handleParamsChanged(event: ParamsChanged): void {
  tally("RiskManager.ParamsChanged");
  const tier = loadTier(tierOf());
  const params = event.params.params;
  tier.k = params.k;
  tier.marginBps = params.marginBps;
  tier.haircutBps = params.haircutBps;
  tier.bufferBps = params.bufferBps;
  tier.instantFeeBps = params.instantFeeBps;
  tier.quarantineBps = params.quarantineBps;
  tier.cap = params.cap;
  tier.exposureStale = true;
  tier.save();
  for (let i = 0; i < MAX_AGENTS; i++) {
    if (AgentPosition.load(byte(tier.id, i)) == null) continue;
    const agent = agentAt(tier.id, i);
    const sets = agent.linkSets;
    for (let j = 0; j < sets.length; j++) {
      const link = loadLink(agent, setAt(tier.id, sets[j]), event.block);
      if (link.target.isZero()) continue;
      link.target = ZERO;
      link.save();
    }
    agent.weightBps = 0;
    agent.save();
  }
  for (let i = 0; ; i++) {
    const set = TierSet.load(byte(tier.id, i));
    if (set == null) break;
    set.allowed = false;
    set.save();
  }
}

/** RiskConfigurator._linkOf: the agent's link to the set, a new one, or the place of one that nothing uses any more. */
export function handleTargetChanged(event: TargetChanged): void {
  tally("RiskManager.TargetChanged");
  const tier = tierOf();
  const agent = agentAt(tier, event.params.agent.toI32());
  const set = setAt(tier, event.params.set.toI32());
  const link = loadLink(agent, set, event.block);
  const sets = agent.linkSets;
  let free = -1;
  let known = false;
  for (let j = 0; j < sets.length; j++) {
    if (sets[j] == set.index) {
      known = true;
      break;
    }
    const other = Link.load(byte(agent.id, sets[j]))!;
    if (other.current.isZero() && other.pending.isZero() && other.target.isZero()) free = j;
  }
  if (!known) {
    if (sets.length < MAX_LINKS) sets.push(set.index);
    else sets[free] = set.index;
    agent.linkSets = sets;
    agent.save();
    // read afresh from EigenLayer, which forgets a change that is over
    if (link.effectBlock.le(event.block.number)) link.effectBlock = ZERO;
  }
  link.target = event.params.magnitude;
  link.save();
}

// ------------------------------------------------------------------------------------------------ links, exits

export function handleAllocationRecorded(event: AllocationRecorded): void {
  tally("RiskManager.AllocationRecorded");
  const tier = tierOf();
  const agent = agentAt(tier, event.params.agent.toI32());
  const link = loadLink(agent, setAt(tier, event.params.set.toI32()), event.block);
  // a look at a set records its links again, as they were
  const moved =
    link.current.notEqual(event.params.current) ||
    link.pending.notEqual(event.params.pending) ||
    link.effectBlock.notEqual(event.params.effectBlock);
  link.previous = link.current;
  link.current = event.params.current;
  link.pending = event.params.pending;
  link.effectBlock = event.params.effectBlock;
  link.save();
  if (moved) markStale(tier);
}

export function handleExitQueued(event: ExitQueued): void {
  tally("RiskManager.ExitQueued");
  const tier = tierOf();
  const agent = agentAt(tier, event.params.agent.toI32());
  const id = number4(agent.id, event.params.nonce);
  let exit = Exit.load(id);
  if (exit == null) {
    // EigenLayer's own event came first and has made it
    exit = new Exit(id);
    exit.agent = agent.id;
    exit.tier = tier;
    exit.nonce = BigInt.fromI32(event.params.nonce);
    exit.completed = false;
    exit.timestamp = event.block.timestamp;
  }
  exit.scaled = event.params.scaled;
  exit.startBlock = event.params.startBlock;
  exit.tokensOnly = event.params.tokensOnly;
  exit.save();
  agent.exitCount += 1;
  agent.queuedStake = agent.queuedStake.plus(exit.scaled);
  agent.save();
  markStale(tier);
}

export function handleExitRemoved(event: ExitRemoved): void {
  tally("RiskManager.ExitRemoved");
  const tier = tierOf();
  const agent = agentAt(tier, event.params.agent.toI32());
  const exit = Exit.load(number4(agent.id, event.params.nonce))!;
  exit.completed = true;
  exit.completedTimestamp = event.block.timestamp;
  exit.save();
  agent.exitCount -= 1;
  agent.queuedStake = agent.queuedStake.minus(exit.scaled);
  agent.save();
  markStale(tier);
}

// ------------------------------------------------------------------------------------------------ sets, groups

function setEvent(kind: string, set: TierSet, event: ethereum.Event): SetEvent {
  const entity = new SetEvent(eventId(event));
  entity.tierSet = set.id;
  entity.kind = kind;
  entity.block = event.block.number;
  entity.timestamp = event.block.timestamp;
  entity.transaction = event.transaction.hash;
  return entity;
}

/** A new set is a group of its own, until GroupChanged joins it to others. */
export function handleSetAdded(event: SetAdded): void {
  tally("RiskManager.SetAdded");
  const tier = tierOf();
  const slasher = event.params.slasher;
  const operatorSet = loadOperatorSet(event.params.avs, event.params.id, slasher);
  settleSlasher(operatorSet, event.block.number);
  operatorSet.save();
  const index = event.params.set.toI32();
  const group = loadGroup(tier, index);
  group.setCount += 1;
  group.save();
  const set = new TierSet(byte(tier, index));
  set.tier = tier;
  set.index = index;
  set.operatorSet = operatorSet.id;
  set.category = event.params.category;
  set.group = group.id;
  set.allowed = true;
  set.unapproved = false;
  set.quarantined = false;
  set.approvedSlasher = slasher;
  set.seenSlasher = slasher;
  const pending = operatorSet.pendingSlasher;
  set.seenPendingSlasher = pending === null ? NO_ADDRESS : pending;
  set.seenTimestamp = event.block.timestamp;
  set.cumulativeLossETH = ZERO;
  set.save();
  const entity = setEvent("SetAdded", set, event);
  entity.slasher = slasher;
  entity.save();
  markStale(tier);
}

export function handleSetPoked(event: SetPoked): void {
  tally("RiskManager.SetPoked");
  const tier = tierOf();
  const set = setAt(tier, event.params.set.toI32());
  const slasher = event.params.slasher;
  const pending = event.params.pendingSlasher;
  const moved = set.unapproved != event.params.unapproved;
  set.seenSlasher = slasher;
  set.seenPendingSlasher = pending;
  set.seenTimestamp = event.block.timestamp;
  set.unapproved = event.params.unapproved;
  set.save();
  seeSlashers(set.operatorSet, slasher, pending, event.block.number);
  const entity = setEvent("SetPoked", set, event);
  entity.slasher = slasher;
  if (pending != NO_ADDRESS) entity.pendingSlasher = pending;
  entity.unapproved = event.params.unapproved;
  entity.save();
  if (moved) markStale(tier);
}

/** What a tier sees at EigenLayer is right whatever events were missed, as those before the set was known. */
function seeSlashers(id: Bytes, slasher: Bytes, pending: Bytes, block: BigInt): void {
  const set = OperatorSet.load(id)!;
  // nearly always nothing has changed
  if (set.slasher == slasher && set.pendingSlasher === null && pending == NO_ADDRESS) return;
  settleSlasher(set, block);
  set.slasher = slasher;
  if (pending == NO_ADDRESS) {
    set.pendingSlasher = null;
    set.pendingSlasherBlock = null;
  } else {
    const known = set.pendingSlasher;
    if (known === null || known != pending) set.pendingSlasherBlock = null;
    set.pendingSlasher = pending;
  }
  set.save();
}

export function handleQuarantineChanged(event: QuarantineChanged): void {
  tally("RiskManager.QuarantineChanged");
  const tier = tierOf();
  const set = setAt(tier, event.params.set.toI32());
  set.quarantined = event.params.quarantined;
  set.save();
  const entity = setEvent("QuarantineChanged", set, event);
  entity.quarantined = event.params.quarantined;
  entity.save();
  markStale(tier);
}

export function handleGroupChanged(event: GroupChanged): void {
  tally("RiskManager.GroupChanged");
  const tier = tierOf();
  const set = setAt(tier, event.params.set.toI32());
  const left = SlasherGroup.load(set.group)!;
  left.setCount -= 1;
  left.save();
  const joined = loadGroup(tier, event.params.group);
  joined.setCount += 1;
  joined.save();
  set.group = joined.id;
  set.save();
  const entity = setEvent("GroupChanged", set, event);
  entity.group = event.params.group;
  entity.save();
  markStale(tier);
}

// ------------------------------------------------------------------------------------------------ losses

/** Comes before the LossBooked of the same sync, so the Loss that it refers to is made a few events later. */
export function handleSlashAttributed(event: SlashAttributed): void {
  tally("RiskManager.SlashAttributed");
  const tier = tierOf();
  const value = event.params.value;
  const agent = agentAt(tier, event.params.agent.toI32());
  const set = setAt(tier, event.params.set.toI32());
  const link = loadLink(agent, set, event.block);
  const operatorSet = OperatorSet.load(set.operatorSet)!;
  const avs = AVS.load(operatorSet.avs)!;
  const group = loadGroup(tier, event.params.group);
  const operator = NodeOperator.load(agent.nodeOperator)!;

  const loss = number4(tier, event.params.lossId.toI32());
  const entity = new LossAttribution(byte(byte(loss, agent.index), set.index));
  entity.loss = loss;
  entity.tier = tier;
  entity.agent = agent.id;
  entity.nodeOperator = operator.id;
  entity.tierSet = set.id;
  entity.operatorSet = operatorSet.id;
  entity.avs = avs.id;
  entity.group = group.id;
  entity.taken = event.params.taken;
  entity.value = value;
  entity.shares = link.openShares;
  entity.estimated = event.params.estimated;
  entity.slashes = link.openSlashes;
  entity.timestamp = event.block.timestamp;
  entity.save();

  link.openShares = ZERO;
  link.openSlashes = [];
  link.save();
  agent.cumulativeLossETH = agent.cumulativeLossETH.plus(value);
  agent.save();
  operator.cumulativeLossETH = operator.cumulativeLossETH.plus(value);
  operator.save();
  set.cumulativeLossETH = set.cumulativeLossETH.plus(value);
  set.save();
  operatorSet.cumulativeLossETH = operatorSet.cumulativeLossETH.plus(value);
  operatorSet.save();
  avs.cumulativeLossETH = avs.cumulativeLossETH.plus(value);
  avs.save();
  group.cumulativeLossETH = group.cumulativeLossETH.plus(value);
  group.save();
  markStale(tier);
}

// ------------------------------------------------------------------------------------------------ governance

export function handleRiskAuthorityUpdated(event: AuthorityUpdated): void {
  noteAuthority("RiskManager", event, event.params.authority);
}
