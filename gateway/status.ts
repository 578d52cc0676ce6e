/** `gatewayStatus`: how far the subgraph and the chain are. It answers whatever is down. */
import type { GraphQLError } from "graphql";
import { type BlockReading, reading } from "./live/tier.ts";
import type { Operation } from "./operation.ts";

export interface GatewayStatus {
  readonly subgraph: BlockReading | null;
  readonly chain: BlockReading | null;
  readonly lagBlocks: number | null;
  readonly hasIndexingErrors: boolean;
  readonly health: string | null;
  readonly fatalError: string | null;
  readonly earliestBlock: number | null;
  readonly deployment: string | null;
  readonly notes: readonly string[];
}

export async function gatewayStatus(operation: Operation): Promise<GatewayStatus> {
  const { subgraph, heads } = operation.services;
  const [pin, chain, health] = await Promise.all([
    operation.pin().catch((error: GraphQLError) => {
      operation.note(error.message);
      return undefined;
    }),
    heads.now(),
    subgraph.health(),
  ]);
  const { notes, lagBlocks } = await operation.provenance();
  return {
    subgraph: pin === undefined ? null : reading(pin.block),
    chain: chain === undefined ? null : reading(chain),
    lagBlocks,
    hasIndexingErrors: pin?.hasIndexingErrors ?? false,
    health: health?.health ?? null,
    fatalError: health?.fatalError ?? null,
    earliestBlock: health?.earliestBlock ?? null,
    deployment: pin?.deployment ?? null,
    notes,
  };
}
