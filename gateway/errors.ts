/** Errors as the gateway answers them: each says what to do, and none shows what is inside. */
import { GraphQLError, type GraphQLErrorExtensions } from "graphql";
import { BlockUnknown, CallReverted, RpcError } from "../keeper/chain/types.ts";
import { LensError } from "../keeper/state/read.ts";

/** What went wrong, for programs. */
export const CODES = [
  "SUBGRAPH_UNAVAILABLE", // graph-node does not answer, or not in time
  "SUBGRAPH_FAILED", // the subgraph has stopped at an error
  "BLOCK_NOT_INDEXED", // a block of the future
  "BLOCK_PRUNED", // a block whose data is gone
  "BLOCK_UNKNOWN", // no such block, or not any more
  "CHAIN_UNAVAILABLE", // the RPC does not answer
  "TIER_UNREADABLE", // EigenLayer or the staking protocol does not answer the tier
  "BAD_USER_INPUT",
  "TIMEOUT",
] as const;
export type Code = (typeof CODES)[number];

export function gatewayError(code: Code, message: string, extensions: GraphQLErrorExtensions = {}): GraphQLError {
  return new GraphQLError(message, { extensions: { code, ...extensions } });
}

/** The chain's fault in words; the RPC's address stays out of it, because it often holds a key. */
export function chainError(error: unknown): GraphQLError {
  if (error instanceof GraphQLError) return error;
  if (error instanceof BlockUnknown)
    return gatewayError(
      "BLOCK_UNKNOWN",
      "The chain's RPC does not know the block that this answer is of: it was taken back by a reorganisation, or the RPC is behind. Ask again.",
    );
  if (error instanceof CallReverted)
    return gatewayError(
      "TIER_UNREADABLE",
      `A contract refuses to answer (${error.data.slice(0, 10)}): EigenLayer or the staking protocol cannot be read at this block, or the contract did not exist yet. Fields that the subgraph knows are not concerned.`,
    );
  if (error instanceof LensError) return gatewayError("TIER_UNREADABLE", error.message);
  if (error instanceof RpcError)
    return gatewayError(
      "CHAIN_UNAVAILABLE",
      "The chain's RPC does not answer, so fields that only the chain knows are missing; those of the subgraph are not concerned. Ask again later; if it lasts, the gateway's operator has to look at --rpc.",
    );
  return gatewayError(
    "CHAIN_UNAVAILABLE",
    `A field that only the chain knows could not be read (${error instanceof Error ? error.name : "unknown error"}). Ask again.`,
  );
}

/** graph-node's own words, and what they mean for whoever asked. */
export function subgraphError(message: string): { readonly code: Code; readonly message: string } | undefined {
  const future = /only indexed up to block number (\d+) and data for block number (\d+)/.exec(message);
  if (future)
    return {
      code: "BLOCK_NOT_INDEXED",
      message: `Block ${future[2]} is not indexed: the newest block is ${future[1]}. Ask for that one or an older one, or wait.`,
    };
  const pruned = /only has data starting at block number (\d+) and data for block number (\d+)/.exec(message);
  if (pruned)
    return {
      code: "BLOCK_PRUNED",
      message: `The data of block ${pruned[2]} is gone: the oldest block that can be asked for is ${pruned[1]}.`,
    };
  if (/no block with that hash/.test(message))
    return {
      code: "BLOCK_UNKNOWN",
      message:
        "The subgraph knows no block with this hash: it is not of this chain, not indexed yet, or was taken back by a reorganisation. Ask for a block by its number, or for none.",
    };
  if (/^indexing_error$|indexing_error/.test(message))
    return {
      code: "SUBGRAPH_FAILED",
      message:
        "The subgraph has stopped at an error, and graph-node gives no data because it may be wrong. extensions.bulkhead.notes says why. Data up to the error can be asked for with the argument `subgraphError: allow`.",
    };
  if (/deployment .* does not exist|subgraph .* not found|has not started syncing/i.test(message))
    return {
      code: "SUBGRAPH_UNAVAILABLE",
      message:
        "graph-node runs, but has no such subgraph yet, or has not indexed a block of it. Wait until it has, or check --subgraph.",
    };
  return undefined;
}
