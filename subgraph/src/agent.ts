import {
  NodeOperatorNamed,
  NodeOperatorNominated,
  Registered,
  Swept,
} from "../generated/templates/Agent/IRestakingAgent";

export function handleNodeOperatorNamed(event: NodeOperatorNamed): void {}

export function handleNodeOperatorNominated(event: NodeOperatorNominated): void {}

export function handleRegistered(event: Registered): void {}

export function handleSwept(event: Swept): void {}
