/** Puts the gateway together: the schema, one operation's consistency, the edge, and a server before them. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { ExecutionArgs, ExecutionResult } from "graphql";
import { createYoga, type Plugin } from "graphql-yoga";
import { RpcPool } from "../keeper/chain/pool.ts";
import { HeadWatch, Tiers } from "./chain.ts";
import { createEdge } from "./edge/edge.ts";
import { Operation, type OperationContext, operationOf, ProgressWatch, type Services } from "./operation.ts";
import { blocksOfOperation, HEAD_KEY, wholeOperation } from "./schema/pin.ts";
import { SchemaSource } from "./schema/stitch.ts";
import { metaSchema, Subgraph } from "./subgraph.ts";
import { Feed } from "./subscriptions.ts";
import type { Gateway, GatewayOptions } from "./types.ts";

/** The chain is given up before the operation is, so that the subgraph's part is answered. */
const CHAIN_PART = 0.6;

/** Starts the gateway. It answers from the first moment on: with what is wrong, as long as something is. */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const edge = createEdge(options, {
    fault: () => (schema.current === undefined ? "The subgraph's schema is not read yet: wait a moment." : undefined),
  });
  const { limits, deployment } = options;
  const chain = new RpcPool({
    urls: [options.rpcUrl],
    chainId: deployment.chainId,
    timeoutSeconds: Math.max(0.5, (limits.timeoutMs / 1000) * CHAIN_PART),
    maxHeadAgeSeconds: 0,
  });
  const subgraph = new Subgraph({
    url: options.subgraphUrl,
    statusUrl: options.statusUrl,
    // the deadline of the operation as a whole speaks first, and says so
    timeoutMs: limits.timeoutMs + 1_000,
    fetch: edge.metrics.measured("subgraph"),
  });
  const services: Services = {
    chain,
    deployment,
    subgraph,
    tiers: new Tiers(chain, deployment),
    heads: new HeadWatch(chain),
    watch: new ProgressWatch(),
    maxLagBlocks: options.maxLagBlocks,
  };
  const feed = new Feed(() => services, options.pollMs);
  const schema = new SchemaSource(subgraph, feed);
  schema.start();

  const yoga = createYoga({
    ...edge.yoga,
    graphqlEndpoint: "/graphql",
    schema: async () => (await schema.get()).gateway,
    // the edge's deadline is to hold for the operation as a whole, so it comes after
    plugins: [operations(services, schema), ...edge.yoga.plugins],
  });
  const server = createServer(edge.server, yoga);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(options.port, options.host, resolve);
    });
  } catch (error) {
    schema.close();
    await chain.close();
    throw error;
  }
  const { port } = server.address() as AddressInfo;
  const host = options.host.includes(":") ? `[${options.host}]` : options.host;
  let closing: Promise<void> | undefined;
  return {
    url: `http://${host}:${port}`,
    close() {
      closing ??= (async () => {
        schema.close();
        await feed.close();
        await edge.drain(server);
        await Promise.all([chain.close(), subgraph.close()]);
      })();
      return closing;
    },
  };
}

/** Gives each operation its block, sends it to graph-node whole where nothing of it is the gateway's, and says what the answer is of. */
function operations(services: Services, schema: SchemaSource): Plugin {
  return {
    onExecute({ executeFn, setExecuteFn }) {
      setExecuteFn(async (given: unknown) => {
        const args = given as ExecutionArgs & { readonly signal?: AbortSignal };
        const operation = new Operation(services);
        (args.contextValue as OperationContext).bulkhead = operation;
        const result = ((await whole(args, operation, schema)) ??
          (await inParts(args, operation, schema, executeFn))) as ExecutionResult;
        return Symbol.asyncIterator in result ? result : await withProvenance(result, operation);
      });
    },
    onSubscribe({ args }) {
      (args.contextValue as OperationContext).bulkhead = new Operation(services);
      return {
        onSubscribeResult: () => ({
          // each event has an operation of its own
          onNext: async ({ result, setResult }) => {
            setResult(await withProvenance(result as ExecutionResult, operationOf(args.contextValue)));
          },
        }),
      };
    },
  };
}

/** An operation with fields of the gateway's own: its parts are delegated, each at the operation's block. */
async function inParts(
  args: ExecutionArgs,
  operation: Operation,
  source: SchemaSource,
  execute: (args: ExecutionArgs) => unknown,
): Promise<unknown> {
  const subgraph = source.current?.subgraph;
  if (subgraph !== undefined)
    operation.choose(blocksOfOperation(args.document, args.operationName, args.variableValues ?? {}, subgraph));
  return await execute(args);
}

async function withProvenance(result: ExecutionResult, operation: Operation): Promise<ExecutionResult> {
  return { ...result, extensions: { ...result.extensions, bulkhead: await operation.provenance() } };
}

/** The answer of graph-node to an operation that wants nothing but its fields. */
async function whole(
  args: ExecutionArgs & { readonly signal?: AbortSignal },
  operation: Operation,
  source: SchemaSource,
): Promise<ExecutionResult | undefined> {
  const { subgraph } = operation.services;
  const schema = source.current;
  if (schema === undefined || args.schema !== schema.gateway) return undefined;
  const found = wholeOperation(args.document, args.operationName, schema.gateway, schema.subgraph);
  if (found === undefined) return undefined;
  const given = args.variableValues ?? {};
  const variables = Object.fromEntries(
    found.variables.flatMap((name) => (given[name] === undefined ? [] : [[name, given[name]]])),
  );
  operation.choose(found.blocks(given));
  const result = await subgraph.run({
    document: found.document,
    variables,
    ...(args.signal === undefined ? {} : { signal: args.signal }),
  });
  const { [HEAD_KEY]: meta, ...data } = (result.data ?? {}) as Record<string, unknown>;
  const head = metaSchema.safeParse(meta);
  if (head.success) {
    operation.pinTo(subgraph.seen(head.data));
  } else if (result.errors?.some(({ extensions }) => extensions.code !== "SUBGRAPH_UNAVAILABLE")) {
    await operation.pin().catch(() => {});
  }
  return {
    ...(result.data === undefined || result.data === null ? { data: null } : { data }),
    ...(result.errors === undefined ? {} : { errors: result.errors.filter(({ path }) => path?.[0] !== HEAD_KEY) }),
  };
}
