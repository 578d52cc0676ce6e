/** RestakingAgent: who runs it. */
import { Agent } from "../generated/schema";
import {
  NodeOperatorNamed,
  NodeOperatorNominated,
  Registered,
  Swept,
} from "../generated/templates/Agent/IRestakingAgent";
import { loadNodeOperator } from "./agents";
import { NO_ADDRESS, tally } from "./ids";
import { stakeMove } from "./moves";

/** At creation, and when a nominee has taken the agent over. */
export function handleNodeOperatorNamed(event: NodeOperatorNamed): void {
  tally("RestakingAgent.NodeOperatorNamed");
  const agent = Agent.load(event.address)!;
  agent.nodeOperator = loadNodeOperator(event.params.nodeOperator).id;
  agent.nominee = null;
  agent.save();
}

export function handleNodeOperatorNominated(event: NodeOperatorNominated): void {
  tally("RestakingAgent.NodeOperatorNominated");
  const agent = Agent.load(event.address)!;
  agent.nominee = event.params.nominee == NO_ADDRESS ? null : event.params.nominee;
  agent.save();
}

/** EigenLayer's OperatorAddedToOperatorSet has said it already, and the service may have let the agent go since. */
export function handleRegistered(event: Registered): void {
  tally("RestakingAgent.Registered");
}

export function handleSwept(event: Swept): void {
  tally("RestakingAgent.Swept");
  const agent = Agent.load(event.address)!;
  const move = stakeMove(agent.tier, "SWEPT", event);
  move.agent = agent.id;
  move.token = event.params.token;
  move.amount = event.params.amount;
  move.save();
}
