/** Allocator: what the tier wished of EigenLayer, and why. What EigenLayer then had is RiskManager's AllocationRecorded. */
import { BigInt, ethereum } from "@graphprotocol/graph-ts";
import { AllocationChange } from "../generated/schema";
import { Allocated, Deregistered, StakeEvacuated } from "../generated/templates/Allocator/IAllocator";
import { eventId, tally, tierOf, ZERO } from "./ids";
import { stakeMove } from "./moves";
import { agentAt, loadLink, setAt } from "./sets";

function reasonOf(code: i32): string {
  if (code == 1) return "TARGET";
  return code == 2 ? "UNWIND" : "DELEVERAGE";
}

function change(agentIndex: BigInt, setIndex: BigInt, reason: string, event: ethereum.Event): AllocationChange {
  const tier = tierOf();
  const agent = agentAt(tier, agentIndex.toI32());
  const set = setAt(tier, setIndex.toI32());
  const link = loadLink(agent, set, event.block);
  const entity = new AllocationChange(eventId(event));
  entity.tier = tier;
  entity.agent = agent.id;
  entity.tierSet = set.id;
  entity.link = link.id;
  entity.magnitude = ZERO;
  entity.before = link.current;
  entity.reason = reason;
  entity.block = event.block.number;
  entity.timestamp = event.block.timestamp;
  entity.transaction = event.transaction.hash;
  return entity;
}

/** The change was recorded just before, so what was allocated before it is the link's `previous`. */
export function handleAllocated(event: Allocated): void {
  tally("Allocator.Allocated");
  const agent = agentAt(tierOf(), event.params.agent.toI32());
  const set = setAt(tierOf(), event.params.set.toI32());
  const entity = change(event.params.agent, event.params.set, reasonOf(event.params.reason), event);
  entity.magnitude = event.params.magnitude;
  entity.before = loadLink(agent, set, event.block).previous;
  entity.save();
}

export function handleDeregistered(event: Deregistered): void {
  tally("Allocator.Deregistered");
  change(event.params.agent, event.params.set, "DEREGISTER", event).save();
}

export function handleStakeEvacuated(event: StakeEvacuated): void {
  tally("Allocator.StakeEvacuated");
  const tier = tierOf();
  const move = stakeMove(tier, "EVACUATED", event);
  move.agent = agentAt(tier, event.params.agent.toI32()).id;
  move.amount = event.params.depositShares;
  move.save();
}
