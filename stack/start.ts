/** Real graph-node and real Postgres beside a chain, as one thing that is started and closed. */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as z from "zod";
import { rpc } from "../scripts/chain.ts";
import { type Bridge, needsBridge, startBridge } from "./bridge.ts";
import { missingGraphNode, SUBGRAPH_NAME, startGraphNode } from "./graph-node.ts";
import { startIpfsStandIn } from "./ipfs.ts";
import { startPostgres } from "./postgres.ts";
import { sleep, startGuardian } from "./process.ts";
import { DEVNET, isRunning, renderSubgraph } from "./render.ts";
import { type Stack, StackError, type StackOptions } from "./types.ts";

const PREFIX = "bulkhead-stack-";
const OWNER = "owner.pid";
const SYNC_TIMEOUT_MS = 120_000;
const POLL_MS = 100;

export async function startStack(options: StackOptions): Promise<Stack> {
  const missing = missingGraphNode();
  if (missing !== undefined) throw new StackError(missing);
  const log = options.log ?? (() => {});
  sweep(log);
  // The database is always in a folder of its own below the machine's temporary one, where any user of Postgres may go.
  const temporary = mkdtempSync(join(tmpdir(), PREFIX));
  chmodSync(temporary, 0o755);
  writeFileSync(join(temporary, OWNER), String(process.pid));
  const folder = options.folder ?? temporary;
  mkdirSync(folder, { recursive: true });

  const guardian = startGuardian();
  guardian.folder(temporary);
  const undo: (() => Promise<void>)[] = [];
  const close = async () => {
    for (const one of undo.splice(0).reverse()) await one();
    await guardian.close();
  };

  try {
    const subgraph =
      options.built ??
      (await renderSubgraph({
        deployment: options.deployment,
        network: DEVNET,
        folder: join(folder, "subgraph"),
        log,
      }));
    let rpcUrl = options.rpcUrl;
    if (await needsBridge(options.rpcUrl)) {
      const bridge: Bridge = await startBridge(options.rpcUrl);
      undo.push(() => bridge.close());
      rpcUrl = bridge.url;
    }
    const ipfs = await startIpfsStandIn();
    undo.push(() => ipfs.close());
    const postgres = await startPostgres({
      folder: join(temporary, "database"),
      logFile: join(folder, "postgres.log"),
      guardian,
      log,
    });
    undo.push(() => postgres.kill());
    const graphNode = await startGraphNode({
      subgraph,
      rpcUrl,
      ipfsUrl: ipfs.url,
      postgresUrl: postgres.url,
      port: options.port,
      logFile: join(folder, "graph-node.log"),
      guardian,
      log,
    });
    undo.push(() => graphNode.kill());
    const { graphqlUrl, statusUrl, metricsUrl } = graphNode;
    return {
      graphqlUrl,
      statusUrl,
      metricsUrl,
      postgresUrl: postgres.url,
      folder,
      synced: (block, timeoutMs = SYNC_TIMEOUT_MS) => synced({ graphqlUrl, statusUrl, rpcUrl, block, timeoutMs }),
      killPostgres: () => postgres.kill(),
      startPostgres: () => postgres.start(),
      killGraphNode: () => graphNode.kill(),
      startGraphNode: () => graphNode.start(),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Folders of runs that ended without their guardian (the machine went down). */
function sweep(log: (line: string) => void): void {
  for (const name of readdirSync(tmpdir())) {
    if (!name.startsWith(PREFIX)) continue;
    const path = join(tmpdir(), name);
    const owner = join(path, OWNER);
    try {
      if (!existsSync(owner) || isRunning(Number(readFileSync(owner, "utf8")))) continue;
      rmSync(path, { recursive: true, force: true });
      log(`removed ${path}, which an earlier run has left`);
    } catch {
      // somebody else's
    }
  }
}

const metaSchema = z.object({
  data: z.object({
    _meta: z.object({
      block: z.object({ number: z.int(), hash: z.string().nullable() }),
      hasIndexingErrors: z.boolean(),
    }),
  }),
});

const statusSchema = z.object({
  data: z.object({
    indexingStatusForCurrentVersion: z
      .object({
        health: z.string(),
        fatalError: z
          .object({
            message: z.string(),
            handler: z.string().nullable(),
            block: z.object({ number: z.string() }).nullish(),
          })
          .nullable(),
      })
      .nullable(),
  }),
});

/** It has not come to the block yet; nothing is known to be wrong. */
export class NotSynced extends StackError {
  /** Where it is; -1 where it does not answer. */
  readonly at: number;

  constructor(message: string, at: number) {
    super(message);
    this.at = at;
  }
}

interface Wait {
  readonly graphqlUrl: string;
  readonly statusUrl: string;
  readonly rpcUrl: string;
  readonly block: number | undefined;
  readonly timeoutMs: number;
}

async function synced({ graphqlUrl, statusUrl, rpcUrl, block, timeoutMs }: Wait): Promise<void> {
  const until = Date.now() + timeoutMs;
  const target = block ?? Number(await rpc(rpcUrl, "eth_blockNumber", []));
  let at = -1;
  for (;;) {
    const meta = metaSchema.safeParse(await ask(graphqlUrl, "{ _meta { block { number hash } hasIndexingErrors } }"));
    if (meta.success) {
      const { number, hash } = meta.data.data._meta.block;
      at = number;
      // after a reorganisation the same number may still be of the branch that is gone
      if (number >= target && (hash === null || hash === (await hashOf(rpcUrl, number)))) return;
    }
    const status = statusSchema.safeParse(
      await ask(
        statusUrl,
        `{ indexingStatusForCurrentVersion(subgraphName: "${SUBGRAPH_NAME}") { health fatalError { message handler block { number } } } }`,
      ),
    );
    const indexing = status.success ? status.data.data.indexingStatusForCurrentVersion : null;
    if (indexing?.health === "failed") {
      const { message = "without a reason", handler = null, block: where } = indexing.fatalError ?? {};
      throw new StackError(
        `The subgraph has failed at block ${where?.number ?? "?"}${handler === null ? "" : ` in ${handler}`}: ${message}`,
      );
    }
    if (Date.now() > until)
      throw new NotSynced(
        `The subgraph has not come to block ${target} within ${timeoutMs / 1000} s (it ${at < 0 ? "does not answer" : `is at block ${at}`}). See graph-node.log.`,
        at,
      );
    await sleep(POLL_MS);
  }
}

async function hashOf(rpcUrl: string, number: number): Promise<string | undefined> {
  const block = await rpc(rpcUrl, "eth_getBlockByNumber", [`0x${number.toString(16)}`, false]);
  const parsed = z.object({ hash: z.string() }).safeParse(block);
  return parsed.success ? parsed.data.hash : undefined;
}

/** An answer, or undefined while there is none (graph-node or Postgres may be on their way back). */
async function ask(url: string, query: string): Promise<unknown> {
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ query }),
      signal: AbortSignal.timeout(5_000),
    });
    return await response.json();
  } catch {
    return undefined;
  }
}
