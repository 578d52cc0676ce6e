/**
 * EigenLayer's events that concern our agents and the sets that a tier knows. Anybody else's cost one failed load and nothing
 * more. What is not listened to, because RiskManager's StakeRecorded says it and on a public network it is by far the most
 * frequent: OperatorSharesIncreased and OperatorSharesDecreased, and StrategyManager's Deposit.
 */
import { BigInt, Bytes, ethereum } from "@graphprotocol/graph-ts";
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
import { Agent, AVS, EigenEvent, Exit, NodeOperator, OperatorSet, Slash, WithdrawalRoot } from "../generated/schema";
import { loadTier } from "./books";
import { eventId, NO_ADDRESS, number4, tally, ZERO } from "./ids";
import { findSet, loadLink, loadOperatorSet, operatorSetId, settleSlasher } from "./sets";

function eigenEvent(kind: string, event: ethereum.Event): EigenEvent {
  const entity = new EigenEvent(eventId(event));
  entity.kind = kind;
  entity.block = event.block.number;
  entity.timestamp = event.block.timestamp;
  entity.transaction = event.transaction.hash;
  return entity;
}

/** Whether a strategy is the one that the agent's tier restakes in; agents have stake in no other. */
function isOurs(agent: Agent, strategy: Bytes): boolean {
  return loadTier(agent.tier).strategy == strategy;
}

// ------------------------------------------------------------------------------------------------ AllocationManager

/**
 * A slash during a pending decrease has two of these: what will be left after the decrease, and what is left now. So while a
 * decrease is pending, an event that counts at once is a slash's and does not change what is left in the end.
 */
export function handleAllocationUpdated(event: AllocationUpdated): void {
  const agent = Agent.load(event.params.operator);
  if (agent == null) return;
  tally("AllocationManager.AllocationUpdated");
  const operatorSet = operatorSetId(event.params.operatorSet.avs, event.params.operatorSet.id);
  const entity = eigenEvent("AllocationManager.AllocationUpdated", event);
  entity.agent = agent.id;
  entity.operatorSet = operatorSet;
  entity.amount = event.params.magnitude;
  entity.effectBlock = event.params.effectBlock;
  entity.save();
  if (!isOurs(agent, event.params.strategy)) return;
  const set = findSet(agent.tier, operatorSet);
  if (set == null) return;
  const link = loadLink(agent, set, event.block);
  const now = event.block.number;
  if (link.eigenEffectBlock.gt(now) && event.params.effectBlock.le(now)) return;
  link.eigenMagnitude = event.params.magnitude;
  link.eigenEffectBlock = event.params.effectBlock;
  link.save();
}

export function handleEncumberedMagnitudeUpdated(event: EncumberedMagnitudeUpdated): void {
  const agent = Agent.load(event.params.operator);
  if (agent == null) return;
  tally("AllocationManager.EncumberedMagnitudeUpdated");
  const entity = eigenEvent("AllocationManager.EncumberedMagnitudeUpdated", event);
  entity.agent = agent.id;
  entity.amount = event.params.encumberedMagnitude;
  entity.save();
  if (!isOurs(agent, event.params.strategy)) return;
  agent.encumbered = event.params.encumberedMagnitude;
  agent.save();
}

export function handleMaxMagnitudeUpdated(event: MaxMagnitudeUpdated): void {
  const agent = Agent.load(event.params.operator);
  if (agent == null) return;
  tally("AllocationManager.MaxMagnitudeUpdated");
  const entity = eigenEvent("AllocationManager.MaxMagnitudeUpdated", event);
  entity.agent = agent.id;
  entity.amount = event.params.maxMagnitude;
  entity.save();
  if (!isOurs(agent, event.params.strategy)) return;
  const taken = agent.magnitude.minus(event.params.maxMagnitude);
  agent.magnitude = event.params.maxMagnitude;
  agent.slashedMagnitude = agent.slashedMagnitude.plus(taken);
  agent.openMagnitude = agent.openMagnitude.plus(taken);
  agent.save();
}

/** The last event of a slash: what it took was said before, strategy by strategy. */
export function handleOperatorSlashed(event: OperatorSlashed): void {
  const agent = Agent.load(event.params.operator);
  if (agent == null) return;
  tally("AllocationManager.OperatorSlashed");
  const tier = loadTier(agent.tier);
  let wad = ZERO;
  for (let i = 0; i < event.params.strategies.length; i++) {
    if (event.params.strategies[i] == tier.strategy) wad = event.params.wadSlashed[i];
  }
  const operatorSet = loadOperatorSet(event.params.operatorSet.avs, event.params.operatorSet.id, NO_ADDRESS);
  operatorSet.slashCount += 1;
  operatorSet.save();
  const avs = AVS.load(operatorSet.avs)!;
  avs.slashCount += 1;
  avs.save();
  const operator = NodeOperator.load(agent.nodeOperator)!;
  operator.slashCount += 1;
  operator.save();

  const slash = new Slash(eventId(event));
  slash.tier = tier.id;
  slash.agent = agent.id;
  slash.operatorSet = operatorSet.id;
  slash.avs = avs.id;
  slash.wadSlashed = wad;
  slash.shares = agent.openShares;
  slash.magnitudeAfter = agent.magnitude;
  slash.description = event.params.description;
  slash.sender = event.transaction.from;
  slash.block = event.block.number;
  slash.timestamp = event.block.timestamp;
  slash.transaction = event.transaction.hash;

  const set = findSet(tier.id, operatorSet.id);
  if (set != null) {
    slash.tierSet = set.id;
    // one that took nothing is behind no loss
    if (wad.gt(ZERO)) {
      const link = loadLink(agent, set, event.block);
      link.slashedMagnitude = link.slashedMagnitude.plus(agent.openMagnitude);
      link.openShares = link.openShares.plus(agent.openShares);
      const slashes = link.openSlashes;
      slashes.push(slash.id);
      link.openSlashes = slashes;
      link.save();
    }
  }
  slash.save();
  agent.slashCount += 1;
  agent.openMagnitude = ZERO;
  agent.openShares = ZERO;
  agent.save();
}

/** Only sets that a tier knows: what others do with theirs costs one failed load. */
export function handleSlasherUpdated(event: SlasherUpdated): void {
  const set = OperatorSet.load(operatorSetId(event.params.operatorSet.avs, event.params.operatorSet.id));
  if (set == null) return;
  tally("AllocationManager.SlasherUpdated");
  const entity = eigenEvent("AllocationManager.SlasherUpdated", event);
  entity.operatorSet = set.id;
  entity.account = event.params.slasher;
  entity.effectBlock = event.params.effectBlock;
  entity.save();
  settleSlasher(set, event.block.number);
  if (event.params.effectBlock.gt(event.block.number)) {
    set.pendingSlasher = event.params.slasher;
    set.pendingSlasherBlock = event.params.effectBlock;
  } else {
    set.slasher = event.params.slasher;
    set.pendingSlasher = null;
    set.pendingSlasherBlock = null;
  }
  set.save();
}

function register(
  agent: Agent,
  avs: Bytes,
  id: BigInt,
  registered: boolean,
  kind: string,
  event: ethereum.Event,
): void {
  const operatorSet = operatorSetId(avs, id);
  const entity = eigenEvent(kind, event);
  entity.agent = agent.id;
  entity.operatorSet = operatorSet;
  entity.save();
  const set = findSet(agent.tier, operatorSet);
  if (set == null) return;
  const link = loadLink(agent, set, event.block);
  link.registered = registered;
  link.save();
}

export function handleOperatorAddedToOperatorSet(event: OperatorAddedToOperatorSet): void {
  const agent = Agent.load(event.params.operator);
  if (agent == null) return;
  const kind = "AllocationManager.OperatorAddedToOperatorSet";
  tally(kind);
  register(agent, event.params.operatorSet.avs, event.params.operatorSet.id, true, kind, event);
}

export function handleOperatorRemovedFromOperatorSet(event: OperatorRemovedFromOperatorSet): void {
  const agent = Agent.load(event.params.operator);
  if (agent == null) return;
  const kind = "AllocationManager.OperatorRemovedFromOperatorSet";
  tally(kind);
  register(agent, event.params.operatorSet.avs, event.params.operatorSet.id, false, kind, event);
}

// ------------------------------------------------------------------------------------------------ DelegationManager

/** Inside a slash, after MaxMagnitudeUpdated and before OperatorSlashed, which names the set. */
export function handleOperatorSharesSlashed(event: OperatorSharesSlashed): void {
  const agent = Agent.load(event.params.operator);
  if (agent == null) return;
  tally("DelegationManager.OperatorSharesSlashed");
  const entity = eigenEvent("DelegationManager.OperatorSharesSlashed", event);
  entity.agent = agent.id;
  entity.amount = event.params.totalSlashedShares;
  entity.save();
  if (!isOurs(agent, event.params.strategy)) return;
  agent.openShares = agent.openShares.plus(event.params.totalSlashedShares);
  agent.save();
}

/** Comes before RiskManager's ExitQueued, which has the same nonce and counts it. */
export function handleSlashingWithdrawalQueued(event: SlashingWithdrawalQueued): void {
  const withdrawal = event.params.withdrawal;
  const agent = Agent.load(withdrawal.staker);
  if (agent == null) return;
  tally("DelegationManager.SlashingWithdrawalQueued");
  const exit = new Exit(number4(agent.id, withdrawal.nonce.toI32()));
  exit.agent = agent.id;
  exit.tier = agent.tier;
  exit.nonce = withdrawal.nonce;
  exit.root = event.params.withdrawalRoot;
  exit.scaled = withdrawal.scaledShares[0];
  exit.startBlock = withdrawal.startBlock;
  exit.tokensOnly = false;
  exit.completed = false;
  exit.timestamp = event.block.timestamp;
  exit.save();
  const root = new WithdrawalRoot(event.params.withdrawalRoot);
  root.exit = exit.id;
  root.save();
  const entity = eigenEvent("DelegationManager.SlashingWithdrawalQueued", event);
  entity.agent = agent.id;
  entity.amount = event.params.sharesToWithdraw[0];
  entity.root = event.params.withdrawalRoot;
  entity.save();
}

export function handleSlashingWithdrawalCompleted(event: SlashingWithdrawalCompleted): void {
  const root = WithdrawalRoot.load(event.params.withdrawalRoot);
  if (root == null) return;
  tally("DelegationManager.SlashingWithdrawalCompleted");
  const entity = eigenEvent("DelegationManager.SlashingWithdrawalCompleted", event);
  entity.agent = Exit.load(root.exit)!.agent;
  entity.root = root.id;
  entity.save();
}
