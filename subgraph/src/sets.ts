/** Finds and makes what the events of RiskManager, its managers and EigenLayer speak of: agents by position, sets, groups, links. */
import { Address, BigInt, Bytes, ethereum } from "@graphprotocol/graph-ts";
import { Agent, AgentPosition, AVS, Link, OperatorSet, SlasherGroup, Tier, TierSet } from "../generated/schema";
import { HelloWorldAVS as HelloWorldAVSTemplate } from "../generated/templates";
import { byte, number4, ZERO } from "./ids";

/** RiskStore.MAX_AGENTS. */
export const MAX_AGENTS = 8;
/** RiskStore.MAX_LINKS. */
export const MAX_LINKS = 8;

/** Says that exposures must be read again, because something has moved them. */
export function markStale(tier: Bytes): void {
  const entity = Tier.load(tier)!;
  if (entity.exposureStale) return;
  entity.exposureStale = true;
  entity.save();
}

/** The agent at a position now. Events name only positions that are taken. */
export function agentAt(tier: Bytes, position: i32): Agent {
  return Agent.load(AgentPosition.load(byte(tier, position))!.agent)!;
}

export function setAt(tier: Bytes, position: i32): TierSet {
  return TierSet.load(byte(tier, position))!;
}

/** What the tier knows of an operator set; null if it does not know it. A tier has at most 32 sets. */
export function findSet(tier: Bytes, operatorSet: Bytes): TierSet | null {
  let set = TierSet.load(byte(tier, 0));
  for (let i = 1; set != null && set.operatorSet != operatorSet; i++) set = TierSet.load(byte(tier, i));
  return set;
}

export function operatorSetId(avs: Bytes, setId: BigInt): Bytes {
  // an id may use all 32 bits
  return number4(avs, setId.toU32() as i32);
}

export function loadAVS(address: Bytes): AVS {
  let avs = AVS.load(address);
  if (avs == null) {
    avs = new AVS(address);
    avs.slashCount = 0;
    avs.cumulativeLossETH = ZERO;
    avs.save();
    // events of the example service, should it be one; another contract has none of them
    HelloWorldAVSTemplate.create(Address.fromBytes(address));
  }
  return avs;
}

/** An operator set; a new one has the slasher given. Not saved. */
export function loadOperatorSet(avs: Bytes, setId: BigInt, slasher: Bytes): OperatorSet {
  const id = operatorSetId(avs, setId);
  let entity = OperatorSet.load(id);
  if (entity == null) {
    entity = new OperatorSet(id);
    entity.avs = loadAVS(avs).id;
    entity.setId = setId;
    entity.slasher = slasher;
    entity.slashCount = 0;
    entity.cumulativeLossETH = ZERO;
  }
  return entity;
}

/** A slasher to come has power once its block is there; no event says so. Not saved. */
export function settleSlasher(set: OperatorSet, block: BigInt): void {
  const from = set.pendingSlasherBlock;
  if (from === null || from.gt(block)) return;
  set.slasher = set.pendingSlasher!;
  set.pendingSlasher = null;
  set.pendingSlasherBlock = null;
}

export function loadGroup(tier: Bytes, number: i32): SlasherGroup {
  const id = byte(tier, number);
  let group = SlasherGroup.load(id);
  if (group == null) {
    group = new SlasherGroup(id);
    group.tier = tier;
    group.number = number;
    group.setCount = 0;
    group.exposure = ZERO;
    group.worst = false;
    group.cumulativeLossETH = ZERO;
  }
  return group;
}

/** An agent's link to a set of its tier. Changed as of this block; not saved. */
export function loadLink(agent: Agent, set: TierSet, block: ethereum.Block): Link {
  const id = byte(agent.id, set.index);
  let link = Link.load(id);
  if (link == null) {
    link = new Link(id);
    link.agent = agent.id;
    link.tierSet = set.id;
    link.tier = set.tier;
    link.current = ZERO;
    link.previous = ZERO;
    link.pending = ZERO;
    link.effectBlock = ZERO;
    link.target = ZERO;
    link.eigenMagnitude = ZERO;
    link.eigenEffectBlock = ZERO;
    link.registered = false;
    link.slashedMagnitude = ZERO;
    link.openSlashes = [];
    link.openShares = ZERO;
  }
  link.block = block.number;
  link.timestamp = block.timestamp;
  return link;
}

/**
 * A mandate in force names a set: RiskConfigurator._applySet, which has no event of its own for a set that is known already. It
 * reverts unless the slasher is the one that EigenLayer has, and one to come could only be the same.
 */
export function applySetTerms(
  tier: Bytes,
  avs: Bytes,
  setId: BigInt,
  category: i32,
  slasher: Bytes,
  block: ethereum.Block,
): void {
  const operatorSet = OperatorSet.load(operatorSetId(avs, setId))!;
  settleSlasher(operatorSet, block.number);
  operatorSet.slasher = slasher;
  operatorSet.save();
  const set = findSet(tier, operatorSet.id)!;
  set.allowed = true;
  set.category = category;
  set.approvedSlasher = slasher;
  set.seenSlasher = slasher;
  const pending = operatorSet.pendingSlasher;
  set.seenPendingSlasher = pending === null ? Address.zero() : pending;
  set.seenTimestamp = block.timestamp;
  set.unapproved = false;
  set.save();
}
