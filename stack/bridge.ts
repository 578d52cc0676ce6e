/**
 * What graph-node needs to read a chain of EDR (`hardhat node`): a proxy in front of it that repairs two things.
 *
 * 1. `hardhat_mine` of many blocks only reserves them, and a reserved block has no parent (parentHash is zero).
 *    graph-node follows parents to tell a reorganisation, finds that "block was likely uncled", and waits for ever. The
 *    proxy gives such a block the hash of the block before it; by that hash EDR knows the block.
 * 2. EDR refuses an eth_call that names its calldata both `input` and `data` ("duplicate field"), as graph-node does for
 *    nodes old and new. The proxy leaves `data`.
 *
 * Everything else goes through as it is, in both directions: other methods, batches, errors, bodies that are no JSON,
 * statuses. Only HTTP (graph-node is never given a WebSocket), only for chains of EDR; real networks are asked directly.
 */
import { Agent, createServer, type IncomingMessage, type ServerResponse, request as send } from "node:http";
import type { AddressInfo } from "node:net";
import { rpc } from "../scripts/chain.ts";
import { StackError } from "./types.ts";

export interface Bridge {
  readonly url: string;
  close(): Promise<void>;
}

export interface BridgeOptions {
  /** A free one by default. */
  readonly port?: number;
  readonly host?: string;
}

interface Call {
  readonly id?: unknown;
  readonly method?: unknown;
  readonly params?: unknown;
}

const ZERO_HASH = `0x${"0".repeat(64)}`;
const WITH_CALLDATA = ["eth_call", "eth_estimateGas"];
const WITH_BLOCK = ["eth_getBlockByNumber", "eth_getBlockByHash"];

/** Whether the chain behind an address is EDR, which needs the bridge. */
export async function needsBridge(rpcUrl: string): Promise<boolean> {
  let version: unknown;
  try {
    version = await rpc(rpcUrl, "web3_clientVersion", []);
  } catch (error) {
    // a node that has no such method is not EDR; one that does not answer at all is of no use
    if (error instanceof Error && error.message.startsWith("web3_clientVersion:")) return false;
    const cause = error instanceof Error ? (error.cause ?? error) : error;
    throw new StackError(
      `The chain at ${rpcUrl} does not answer (${cause instanceof Error ? cause.message : String(cause)}). Is it running?`,
    );
  }
  return typeof version === "string" && /HardhatNetwork|\bEDR\b/i.test(version);
}

/** A call as EDR takes it. */
export function repairCall<T>(call: T): T {
  if (!isRecord(call) || !WITH_CALLDATA.includes(String(call.method)) || !Array.isArray(call.params)) return call;
  const [transaction, ...rest] = call.params as unknown[];
  if (!isRecord(transaction) || !("input" in transaction) || !("data" in transaction)) return call;
  const { input: _, ...one } = transaction;
  return { ...call, params: [one, ...rest] };
}

/** The number of a block that has no parent though it is not the first one; nothing for every other answer. */
export function orphan(result: unknown): bigint | undefined {
  if (!isRecord(result) || result.parentHash !== ZERO_HASH || typeof result.number !== "string") return undefined;
  const number = BigInt(result.number);
  return number > 0n ? number : undefined;
}

export async function startBridge(rpcUrl: string, options: BridgeOptions = {}): Promise<Bridge> {
  const target = new URL(rpcUrl);
  if (target.protocol !== "http:")
    throw new StackError(`The bridge is for local chains over http, not for ${rpcUrl}: give graph-node its address.`);
  const agent = new Agent({ keepAlive: true });

  const ask = (body: Buffer | string): Promise<{ status: number; type: string; body: Buffer }> =>
    new Promise((resolve, reject) => {
      const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(body) };
      const request = send(target, { method: "POST", agent, headers }, (response) => {
        collect(response).then(
          (answer) =>
            resolve({
              status: response.statusCode ?? 502,
              type: response.headers["content-type"] ?? "application/json",
              body: answer,
            }),
          reject,
        );
      });
      request.once("error", reject);
      request.end(body);
    });

  /** The hash of a block, as the chain itself says. */
  const hashOf = async (number: bigint): Promise<string | undefined> => {
    const params = [`0x${number.toString(16)}`, false];
    const { body } = await ask(JSON.stringify({ jsonrpc: "2.0", id: 1, method: "eth_getBlockByNumber", params }));
    const answer: unknown = JSON.parse(body.toString("utf8"));
    const block = isRecord(answer) ? answer.result : undefined;
    return isRecord(block) && typeof block.hash === "string" ? block.hash : undefined;
  };

  const repairAnswer = async (answer: unknown): Promise<unknown> => {
    if (!isRecord(answer)) return answer;
    const number = orphan(answer.result);
    if (number === undefined || !isRecord(answer.result)) return answer;
    const parentHash = await hashOf(number - 1n);
    return parentHash === undefined ? answer : { ...answer, result: { ...answer.result, parentHash } };
  };

  const pass = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await collect(request);
    let calls: unknown;
    try {
      calls = JSON.parse(body.toString("utf8"));
    } catch {
      calls = undefined; // the chain says what it thinks of it
    }
    const list = (Array.isArray(calls) ? calls : [calls]) as unknown[];
    const repaired = list.map(repairCall);
    const sent =
      repaired.some((call, i) => call !== list[i]) && calls !== undefined
        ? JSON.stringify(Array.isArray(calls) ? repaired : repaired[0])
        : body;
    try {
      const answer = await ask(sent);
      let out: Buffer | string = answer.body;
      if (list.some((call) => isRecord(call) && WITH_BLOCK.includes(String((call as Call).method)))) {
        const parsed: unknown = JSON.parse(answer.body.toString("utf8"));
        out = JSON.stringify(
          Array.isArray(parsed) ? await Promise.all(parsed.map(repairAnswer)) : await repairAnswer(parsed),
        );
      }
      response.writeHead(answer.status, { "content-type": answer.type, "content-length": Buffer.byteLength(out) });
      response.end(out);
    } catch (error) {
      // a broken gateway, not a JSON-RPC error with status 200: graph-node must try again, not take it for a revert
      const message = `The chain at ${rpcUrl} does not answer: ${error instanceof Error ? error.message : String(error)}`;
      const [first] = list;
      const id = isRecord(first) ? (first.id ?? null) : null;
      const out = JSON.stringify({ jsonrpc: "2.0", id, error: { code: -32_000, message } });
      response.writeHead(502, { "content-type": "application/json" });
      response.end(out);
    }
  };

  const server = createServer((request, response) => {
    pass(request, response).catch(() => response.destroy()); // the caller went away in the middle of his request
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port ?? 0, options.host ?? "127.0.0.1", resolve);
  });
  server.unref();
  return {
    url: `http://${options.host ?? "127.0.0.1"}:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          agent.destroy();
          resolve();
        });
        server.closeAllConnections();
      }),
  };
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

async function collect(stream: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
