/** Agents, made by whichever of a creation's events comes first: Rewards', RiskManager's or the factory's. */
import { Bytes, ethereum } from "@graphprotocol/graph-ts";
import { Agent, NodeOperator } from "../generated/schema";
import { WAD, ZERO } from "./ids";

export function loadNodeOperator(address: Bytes): NodeOperator {
  let operator = NodeOperator.load(address);
  if (operator == null) {
    operator = new NodeOperator(address);
    operator.cumulativeLossETH = ZERO;
    operator.slashCount = 0;
    operator.save();
  }
  return operator;
}

/** The agent; a new one starts with nothing, full magnitude and the node operator given. Not saved. */
export function agentOf(tier: Bytes, address: Bytes, nodeOperator: Bytes, event: ethereum.Event): Agent {
  let agent = Agent.load(address);
  if (agent == null) {
    agent = new Agent(address);
    agent.tier = tier;
    agent.index = 0;
    agent.nodeOperator = loadNodeOperator(nodeOperator).id;
    agent.removed = false;
    agent.weightBps = 0;
    agent.stake = ZERO;
    agent.magnitude = WAD;
    agent.encumbered = ZERO;
    agent.stakeValue = ZERO;
    agent.exitCount = 0;
    agent.queuedStake = ZERO;
    agent.slashedMagnitude = ZERO;
    agent.slashCount = 0;
    agent.cumulativeLossETH = ZERO;
    agent.cumulativeDeployedETH = ZERO;
    agent.feeBps = 0;
    agent.withheld = false;
    agent.linkSets = [];
    agent.openMagnitude = ZERO;
    agent.openShares = ZERO;
    agent.createdTimestamp = event.block.timestamp;
  }
  return agent;
}
