/** The staking module: ETH to the staking token and back through the staking protocol's exit queue. */
import { Bytes } from "@graphprotocol/graph-ts";
import { Agent, StakeMove } from "../generated/schema";
import {
  Received,
  Released,
  Staked,
  UnstakeClaimed,
  UnstakeRequested,
} from "../generated/templates/StakingModule/IStakingModule";
import { addIdle } from "./books";
import { tally, tierOf } from "./ids";
import { stakeMove } from "./moves";

/** Tokens also come from whoever credits a gift. */
function withAgent(move: StakeMove, account: Bytes): void {
  const agent = Agent.load(account);
  if (agent != null) move.agent = agent.id;
}

export function handleStaked(event: Staked): void {
  tally("StakingModule.Staked");
  const move = stakeMove(tierOf(), "STAKED", event);
  withAgent(move, event.params.receiver);
  move.assets = event.params.assets;
  move.amount = event.params.tokens;
  move.save();
}

export function handleReceived(event: Received): void {
  tally("StakingModule.Received");
  const move = stakeMove(tierOf(), "RECEIVED", event);
  withAgent(move, event.params.from);
  move.amount = event.params.shares;
  move.save();
}

export function handleReleased(event: Released): void {
  tally("StakingModule.Released");
  const move = stakeMove(tierOf(), "RELEASED", event);
  withAgent(move, event.params.receiver);
  move.amount = event.params.tokens;
  move.save();
}

export function handleUnstakeRequested(event: UnstakeRequested): void {
  tally("StakingModule.UnstakeRequested");
  const move = stakeMove(tierOf(), "UNSTAKE_REQUESTED", event);
  move.assets = event.params.assets;
  move.amount = event.params.requests;
  move.save();
}

export function handleUnstakeClaimed(event: UnstakeClaimed): void {
  tally("StakingModule.UnstakeClaimed");
  const tier = tierOf();
  addIdle(tier, event.params.assets);
  const move = stakeMove(tier, "UNSTAKE_CLAIMED", event);
  move.assets = event.params.assets;
  move.amount = event.params.asked;
  move.reference = event.params.requestId;
  move.save();
}
