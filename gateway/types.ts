/** What the gateway is started with, and what it gives back. */
import type { Deployment } from "../deployments/index.ts";

/** What a client may ask for at most. */
export interface GatewayLimits {
  /** Depth of a query's selections. */
  readonly depth: number;
  /** Fields weighted by their page sizes. */
  readonly cost: number;
  /** Tokens of a document. */
  readonly tokens: number;
  readonly aliases: number;
  readonly directives: number;
  /** Largest `first`. */
  readonly pageSize: number;
  /** Largest request body (bytes). */
  readonly bodyBytes: number;
  /** An operation is given up after so long. */
  readonly timeoutMs: number;
  /** Requests of one client in `perSeconds`. */
  readonly requests: number;
  readonly perSeconds: number;
  /** Open subscriptions of one client, and of all. */
  readonly subscriptionsPerClient: number;
  readonly subscriptions: number;
  /** Rows of one CSV export. */
  readonly csvRows: number;
}

export interface GatewayOptions {
  /** The subgraph's GraphQL address at graph-node. */
  readonly subgraphUrl: string;
  /** graph-node's index-node address (`/graphql`), which knows why a subgraph has failed; without it the gateway knows only that. */
  readonly statusUrl?: string | undefined;
  /** The chain's JSON-RPC address. */
  readonly rpcUrl: string;
  /** Where Bulkhead is deployed. */
  readonly deployment: Deployment;
  /** 0: a free one. */
  readonly port: number;
  readonly host: string;
  readonly limits: GatewayLimits;
  /** A folder of persisted documents (`HASH.graphql`); with `only`, nothing else is answered. */
  readonly persisted?: { readonly folder: string; readonly only: boolean } | undefined;
  /** Behind a proxy: the header in which it names the client, such as x-real-ip; without it the connection's address counts. */
  readonly clientHeader?: string | undefined;
  /** Blocks that the subgraph may be behind before the gateway is not ready. */
  readonly maxLagBlocks: number;
  /** How often subscriptions look for something new. */
  readonly pollMs: number;
  /** What is logged; "silent" for nothing. */
  readonly logLevel: "debug" | "info" | "warn" | "error" | "silent";
}

export interface Gateway {
  /** `/graphql` (GraphiQL in a browser), `/csv/...`, `/health`, `/ready`, `/metrics` are below it. */
  readonly url: string;
  close(): Promise<void>;
}

/** A block as both sides know it. */
export interface BlockRef {
  readonly number: number;
  readonly hash: string;
  /** Unix seconds. */
  readonly timestamp: number;
}

/** `extensions.bulkhead` of every answer. */
export interface Provenance {
  readonly subgraph: (BlockRef & { readonly hasIndexingErrors: boolean }) | null;
  /** The block that live fields were read at; none if there were none. */
  readonly chain: BlockRef | null;
  /** Blocks between the subgraph's and the chain's head; none where one of them is not known. */
  readonly lagBlocks: number | null;
  /** Whether every part of the answer is of one block. */
  readonly consistent: boolean;
  /** What a reader must know: lag, failure, a block that he chose himself. */
  readonly notes: readonly string[];
}
