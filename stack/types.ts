/** A local stack: real graph-node and Postgres beside a chain, for development, tests and the default story. */
import type { Deployment } from "../deployments/index.ts";

export interface StackOptions {
  /** JSON-RPC address of the chain. */
  readonly rpcUrl: string;
  readonly deployment: Deployment;
  /** Where the rendered subgraph, the database and the logs lie; a temporary folder by default, removed at the end. */
  readonly folder?: string;
  /** Told what happens, a line each. */
  readonly log?: (line: string) => void;
  /** Port of graph-node's GraphQL server; a free one by default. */
  readonly port?: number;
  /** Another subgraph than Bulkhead's: a folder with a subgraph.yaml that is built already (benchmarks). */
  readonly built?: string;
}

export interface Stack {
  /** The subgraph's GraphQL address. */
  readonly graphqlUrl: string;
  /** graph-node's index-node address. */
  readonly statusUrl: string;
  /** graph-node's Prometheus address. */
  readonly metricsUrl: string;
  readonly postgresUrl: string;
  readonly folder: string;
  /** Waits until the subgraph has come to a block (the chain's head by default); throws with its reason when it has failed. */
  synced(block?: number, timeoutMs?: number): Promise<void>;
  /** Kills Postgres at once (SIGKILL), as a crash would. */
  killPostgres(): Promise<void>;
  startPostgres(): Promise<void>;
  killGraphNode(): Promise<void>;
  startGraphNode(): Promise<void>;
  close(): Promise<void>;
}

/** This machine has no graph-node; the message says what to run instead. */
export class StackError extends Error {
  override readonly name = "StackError";
}
