/** Moves of stake, as StakeManager, Allocator, the staking module and agents tell of them. */
import { Bytes, ethereum } from "@graphprotocol/graph-ts";
import { StakeMove } from "../generated/schema";
import { eventId } from "./ids";

/** A move of `kind` (StakeMoveKind); the caller adds what the event says, and saves it. */
export function stakeMove(tier: Bytes, kind: string, event: ethereum.Event): StakeMove {
  const move = new StakeMove(eventId(event));
  move.tier = tier;
  move.kind = kind;
  move.block = event.block.number;
  move.timestamp = event.block.timestamp;
  move.transaction = event.transaction.hash;
  return move;
}
