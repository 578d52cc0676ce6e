/** The gateway's schema: the subgraph's as graph-node describes it, and the fields that only the chain knows. */

import type { SubschemaConfig } from "@graphql-tools/delegate";
import { stitchSchemas } from "@graphql-tools/stitch";
import type { ExecutionRequest, Executor } from "@graphql-tools/utils";
import { FilterRootFields, schemaFromExecutor } from "@graphql-tools/wrap";
import { GraphQLError, type GraphQLSchema } from "graphql";
import { gatewayError } from "../errors.ts";
import { liveResolvers } from "../live/resolvers.ts";
import { operationOf } from "../operation.ts";
import type { Subgraph } from "../subgraph.ts";
import { type Feed, subscriptionResolvers } from "../subscriptions.ts";
import { LIVE_TYPES, SUBSCRIPTION_TYPES } from "./live.ts";
import { blockFields, pinned } from "./pin.ts";

/** Both schemas. */
export interface GatewaySchema {
  readonly gateway: GraphQLSchema;
  readonly subgraph: GraphQLSchema;
  readonly deployment: string;
}

const FIRST_RETRY_MS = 100;
const MAX_RETRY_MS = 5_000;

/** Builds the schema when graph-node is there, and again when it serves another deployment. */
export class SchemaSource {
  readonly #subgraph: Subgraph;
  readonly #feed: Feed;
  #schema: GatewaySchema | undefined;
  #building: Promise<GatewaySchema> | undefined;
  #retry: NodeJS.Timeout | undefined;
  #delay = FIRST_RETRY_MS;
  #closed = false;
  #notBefore = 0;

  constructor(subgraph: Subgraph, feed: Feed) {
    this.#subgraph = subgraph;
    this.#feed = feed;
  }

  /** The schema; an error that says what is wrong while there is none. */
  async get(): Promise<GatewaySchema> {
    const deployment = this.#subgraph.lastHead?.deployment;
    if (this.#schema !== undefined) {
      // the old schema answers until the new one is there
      if (deployment !== undefined && deployment !== this.#schema.deployment) this.#rebuild();
      return this.#schema;
    }
    return await this.#build();
  }

  /** The schema, if there is one already. */
  get current(): GatewaySchema | undefined {
    return this.#schema;
  }

  /** Tries until there is a schema. */
  start(): void {
    if (this.#closed || this.#schema !== undefined) return;
    this.#build().catch(() => {
      if (this.#closed) return;
      this.#retry = setTimeout(() => this.start(), this.#delay);
      this.#delay = Math.min(this.#delay * 2, MAX_RETRY_MS);
    });
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
  }

  #rebuild(): void {
    if (performance.now() < this.#notBefore) return;
    this.#notBefore = performance.now() + MAX_RETRY_MS;
    this.#build().catch(() => {});
  }

  #build(): Promise<GatewaySchema> {
    this.#building ??= this.#introspect().finally(() => {
      this.#building = undefined;
    });
    return this.#building;
  }

  async #introspect(): Promise<GatewaySchema> {
    const { deployment } = await this.#subgraph.head();
    let subgraph: GraphQLSchema;
    try {
      subgraph = await schemaFromExecutor(this.#subgraph.executor);
    } catch (error) {
      if (error instanceof GraphQLError && error.extensions.code !== undefined) throw error;
      throw gatewayError(
        "SUBGRAPH_UNAVAILABLE",
        "graph-node does not describe its schema yet. The gateway keeps trying: ask again later.",
        { http: { status: 503 } },
      );
    }
    this.#schema = { gateway: stitch(subgraph, this.#subgraph, this.#feed), subgraph, deployment };
    return this.#schema;
  }
}

/** The subgraph's schema with the gateway's fields. */
export function stitch(schema: GraphQLSchema, subgraph: Subgraph, feed: Feed): GraphQLSchema {
  const takesBlock = blockFields(schema);
  const executor = (async (request: ExecutionRequest) => {
    const pin = await operationOf(request.context).pin();
    const { document, variables } = pinned(request.document, request.variables, pin.block.hash, takesBlock);
    return await subgraph.run({ ...request, document, variables });
  }) as Executor;
  const subschema: SubschemaConfig = {
    schema,
    executor,
    batch: true,
    // graph-node's own subscriptions, where it still has them, poll its database for every client
    transforms: [new FilterRootFields((operation) => operation === "Query")],
  };
  return stitchSchemas({
    subschemas: [subschema],
    typeDefs: [LIVE_TYPES, SUBSCRIPTION_TYPES],
    resolvers: { ...liveResolvers(subschema), ...subscriptionResolvers(subschema, feed) },
    mergeDirectives: true,
  });
}
