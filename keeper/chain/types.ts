import type { BlockRef } from "../state/types.ts";

/** A block's header as the keeper needs it. */
export interface Header extends BlockRef {
  readonly parentHash: string;
  /** Wei; 0 before EIP-1559. */
  readonly baseFee: bigint;
  readonly gasLimit: bigint;
  readonly logsBloom: string;
}

export interface CallRequest {
  readonly to: string;
  readonly data: string;
  readonly from?: string | undefined;
  readonly gas?: bigint | undefined;
  /** Throws if the answer cannot be what was asked for: then it is an error of that RPC, and the next is asked. */
  readonly check?: ((answer: string) => void) | undefined;
}

export interface TransactionReceipt {
  readonly hash: string;
  readonly blockNumber: number;
  readonly blockHash: string;
  readonly succeeded: boolean;
  readonly gasUsed: bigint;
  readonly effectiveGasPrice: bigint;
  readonly logs: readonly { readonly address: string; readonly topics: readonly string[]; readonly data: string }[];
}

/** Where to read: a block by its hash (then all answers are of one block), or a tag. */
export type At = { readonly hash: string } | "latest" | "pending" | "finalized";

/**
 * The chain through one or several RPCs. Every method has a deadline, leaves a sick RPC out and tries the next, and fails
 * with `RpcError` (which says what to do) when none is left. Implemented by `RpcPool`.
 */
export interface Chain {
  readonly chainId: number;
  header(at: At | number): Promise<Header | undefined>;
  call(request: CallRequest, at: At): Promise<string>;
  /** Asks `needed` RPCs (all, if there are fewer) and gives the answer that so many share; RpcDisagreement if there is none. */
  agreedCall(request: CallRequest, at: At, needed: number): Promise<string>;
  code(address: string, at: At): Promise<string>;
  balance(address: string, at: At): Promise<bigint>;
  /**
   * Number of transactions of an account; with "pending", those in the mempool too: the largest that any RPC knows. Of
   * mined ones, where three RPCs or more answer, the largest that two of them know, so that one cannot invent any.
   */
  nonce(address: string, at: "latest" | "pending" | "finalized"): Promise<number>;
  receipt(hash: string): Promise<TransactionReceipt | undefined>;
  /** Whether any RPC knows the transaction, mined or not. */
  knows(hash: string): Promise<boolean>;
  /** Sends to all RPCs; returns the hash when the first has taken it; TransactionRefused if none does. */
  broadcast(raw: string): Promise<string>;
  logs(filter: {
    readonly address: readonly string[];
    readonly topics: readonly string[];
    readonly blockHash: string;
  }): Promise<readonly { readonly address: string; readonly topics: readonly string[]; readonly data: string }[]>;
  /** Base fee of the next block and the tips (wei) that the last blocks' cheapest, median and dear transactions paid. */
  fees(): Promise<{ readonly baseFee: bigint; readonly tips: readonly [bigint, bigint, bigint] }>;
}

/** No RPC answered, or each answered with an error that is not the contract's. */
export class RpcError extends Error {
  override readonly name: string = "RpcError";
}

/** No RPC knows the block: it was taken back, or they are all behind. */
export class BlockUnknown extends RpcError {
  override readonly name = "BlockUnknown";
}

export const REFUSALS = ["nonce too low", "underpriced", "insufficient funds", "other"] as const;

/** Every RPC that answered refuses the transaction. */
export class TransactionRefused extends RpcError {
  override readonly name = "TransactionRefused";
  /** "underpriced": as a replacement, or for the mempool at all. */
  readonly reason: (typeof REFUSALS)[number];

  constructor(reason: (typeof REFUSALS)[number], message: string) {
    super(message);
    this.reason = reason;
  }
}

/** The contract reverted: its data, to be explained by ABI. Not the RPC's fault, so no other RPC is asked. */
export class CallReverted extends Error {
  override readonly name = "CallReverted";
  readonly data: string;

  constructor(data: string) {
    super(`The call reverts with ${data === "" || data === "0x" ? "no data" : data}.`);
    this.data = data;
  }
}

/** RPCs that should agree do not. */
export class RpcDisagreement extends RpcError {
  override readonly name = "RpcDisagreement";
}
