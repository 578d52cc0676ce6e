/** StakeManager: idle to agents and back. */
import { BigInt } from "@graphprotocol/graph-ts";
import { Exit } from "../generated/schema";
import { Deployed, Unbonded, WithdrawalCompleted } from "../generated/templates/StakeManager/IStakeManager";
import { addIdle } from "./books";
import { number4, tally, tierOf } from "./ids";
import { stakeMove } from "./moves";
import { agentAt } from "./sets";

export function handleDeployed(event: Deployed): void {
  tally("StakeManager.Deployed");
  const tier = tierOf();
  const assets = event.params.assets;
  const agent = agentAt(tier, event.params.agent.toI32());
  agent.cumulativeDeployedETH = agent.cumulativeDeployedETH.plus(assets);
  agent.save();
  if (event.params.fromIdle) addIdle(tier, assets.neg());
  const move = stakeMove(tier, event.params.fromIdle ? "DEPLOYED" : "REDEPLOYED", event);
  move.agent = agent.id;
  move.assets = assets;
  move.amount = event.params.tokens;
  move.save();
}

export function handleUnbonded(event: Unbonded): void {
  tally("StakeManager.Unbonded");
  const tier = tierOf();
  const agent = agentAt(tier, event.params.agent.toI32());
  const exit = Exit.load(number4(agent.id, event.params.nonce))!;
  exit.assets = event.params.assets;
  exit.save();
  const move = stakeMove(tier, "UNBONDED", event);
  move.agent = agent.id;
  move.assets = event.params.assets;
  move.amount = event.params.scaledShares;
  move.reference = BigInt.fromI32(event.params.nonce);
  move.save();
}

export function handleWithdrawalCompleted(event: WithdrawalCompleted): void {
  tally("StakeManager.WithdrawalCompleted");
  const tier = tierOf();
  const agent = agentAt(tier, event.params.agent.toI32());
  const exit = Exit.load(number4(agent.id, event.params.nonce))!;
  exit.asTokens = event.params.asTokens;
  exit.save();
  const move = stakeMove(tier, event.params.asTokens ? "COMPLETED" : "REDEPOSITED", event);
  move.agent = agent.id;
  move.amount = exit.scaled;
  move.reference = exit.nonce;
  move.save();
}
