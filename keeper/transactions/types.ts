import type { Action, Urgency } from "../plan/types.ts";
import type { BlockRef } from "../state/types.ts";

/** Actions of one tier that go out in one transaction, through `Upkeep.perform`, each tried on its own. */
export interface Batch {
  readonly tier: string;
  readonly urgency: Urgency;
  readonly actions: readonly Action[];
}

/** One transaction in flight for a tier and urgency. */
export const laneOf = (batch: Pick<Batch, "tier" | "urgency">): string => `${batch.tier}/${batch.urgency}`;

/** How far a transaction of the journal has come. */
export type Stage =
  | "intended" // written down with its nonce, perhaps sent, perhaps not
  | "sent" // at least one RPC took it
  | "mined" // has a receipt in a block that is not final
  | "final" // its block is final
  | "abandoned"; // its nonce was used by something else, or it was cancelled

export interface Entry {
  readonly id: number;
  readonly lane: string;
  readonly tier: string;
  readonly urgency: Urgency;
  readonly actions: readonly Action[];
  readonly nonce: number;
  readonly stage: Stage;
  /** Every hash it was signed under: replacements keep the nonce. */
  readonly hashes: readonly string[];
  /** Which of them was mined. */
  readonly minedAs?: string | undefined;
  /** Unix seconds, by this machine's clock. */
  readonly createdAt: number;
  /** The head that the decision was made on. */
  readonly decidedAt: number;
  readonly minedIn?: BlockRef | undefined;
  readonly gasUsed?: bigint | undefined;
  readonly paid?: bigint | undefined;
  readonly succeeded?: boolean | undefined;
  /** Which of the actions took effect. */
  readonly done?: readonly boolean[] | undefined;
  /** What was mined in its place is an empty transaction of the keeper's own: its reason was gone, or it stood in the way. */
  readonly cancelled?: boolean | undefined;
  /** Why it reverted, what of it failed, or why it was given up. */
  readonly error?: string | undefined;
}

/** What came of an offer. */
export type Outcome =
  | { readonly kind: "sent"; readonly entry: Entry; readonly dropped: readonly Refusal[] }
  | { readonly kind: "refused"; readonly dropped: readonly Refusal[] } // no action passes the simulation
  | { readonly kind: "busy"; readonly entry: Entry } // the lane has one in flight
  | { readonly kind: "dear"; readonly detail: string } // fees above the cap of its urgency
  | { readonly kind: "poor"; readonly detail: string } // the wallet cannot pay for it
  | { readonly kind: "dry"; readonly dropped: readonly Refusal[] }; // dry run: would have been sent

/** An action that the simulation refuses, with the contract's error in words. */
export interface Refusal {
  readonly action: Action;
  readonly error: string;
}

/**
 * Sends batches and sees them through. Everything is in the journal before it is on the wire, so that a process that is
 * killed at any moment goes on where it was.
 */
export interface Sender {
  readonly address: string;
  /**
   * Simulates, drops what is refused, writes the intent down, signs and sends. Protection is simulated by `agreement` RPCs
   * (by default as many as the configuration says); RpcDisagreement where they differ, and nothing is sent.
   */
  offer(batch: Batch, head: BlockRef, agreement?: number): Promise<Outcome>;
  /** Looks after what is in flight: receipts, replacements, drops, reorgs, finality. Call it on every head. */
  tend(head: BlockRef, final: BlockRef): Promise<readonly Entry[]>;
  /** What is not final yet. */
  inFlight(): readonly Entry[];
}

/** Signs transactions: a key in this process, or a remote signer. Never shows its key. */
export interface Signer {
  readonly address: string;
  /** Signs an EIP-1559 transaction and returns it serialised. */
  sign(transaction: {
    readonly chainId: number;
    readonly nonce: number;
    readonly to: string;
    readonly data: string;
    readonly value: bigint;
    readonly gasLimit: bigint;
    readonly maxFeePerGas: bigint;
    readonly maxPriorityFeePerGas: bigint;
  }): Promise<string>;
}
