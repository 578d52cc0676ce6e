/**
 * An RPC that can be made sick: an HTTP server in front of a real chain process that passes everything through, until it
 * is told to hang, to break off, to be late or to lie. Tests and benchmarks also read from it what was asked.
 *
 *   const proxy = await startProxy(chain.url);
 *   const heal = proxy.inject("eth_call", { kind: "hang" });
 *   ...
 *   heal();
 */
import { Agent, createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { keccak256 } from "ethers";
import * as z from "zod";

export interface RpcRequest {
  readonly id: unknown;
  readonly method: string;
  readonly params: readonly unknown[];
}

/** A JSON-RPC answer without its envelope. */
export type RpcAnswer =
  | { readonly result: unknown }
  | { readonly error: { readonly code: number; readonly message: string; readonly data?: unknown } };

export type Fault =
  /** Never answers; the connection breaks when the fault is removed. */
  | { readonly kind: "hang" }
  /** Waits until the fault is removed, then does as asked. */
  | { readonly kind: "hold" }
  /** Breaks the connection before the chain has heard of the request. */
  | { readonly kind: "close" }
  /** The chain does as asked, and the connection breaks before the answer. */
  | { readonly kind: "lose" }
  | { readonly kind: "status"; readonly status: number; readonly body?: string; readonly retryAfter?: number }
  | { readonly kind: "latency"; readonly milliseconds: number }
  /** Only the first part of the answer: as if that were all of it, or with the connection broken in its middle. */
  | { readonly kind: "cut"; readonly bytes?: number; readonly broken?: boolean }
  /** The answer followed by so many spaces. */
  | { readonly kind: "pad"; readonly bytes: number }
  /** Answers without asking the chain. */
  | { readonly kind: "answer"; readonly answer: RpcAnswer }
  /** Answers what the function makes of the chain's answer. */
  | { readonly kind: "lie"; readonly lie: (answer: RpcAnswer, request: RpcRequest) => RpcAnswer }
  /** Anything else: `forward` asks the chain. */
  | {
      readonly kind: "custom";
      readonly handle: (
        request: RpcRequest,
        forward: (request: RpcRequest) => Promise<RpcAnswer>,
      ) => Promise<RpcAnswer>;
    };

export interface InjectOptions {
  /** The fault goes away after so many requests. */
  readonly times?: number;
  /** So many matching requests pass first. */
  readonly after?: number;
  readonly when?: (request: RpcRequest) => boolean;
}

export interface MethodCount {
  calls: number;
  /** Of the JSON-RPC request and answer, without HTTP's headers. */
  bytesIn: number;
  bytesOut: number;
}

export interface FaultProxy {
  readonly url: string;
  /** Requests by method since the last `reset`, in the order in which they were first asked. */
  readonly counts: ReadonlyMap<string, Readonly<MethodCount>>;
  readonly total: Readonly<MethodCount> & { readonly http: number };
  /** Every raw transaction that was sent through here, also those that were dropped. */
  readonly sent: readonly string[];
  /** Adds a fault for a method, several, or all ("*"). The one added last counts. Returns what removes it. */
  inject(methods: string | readonly string[], fault: Fault, options?: InjectOptions): () => void;
  /** Heals everything. */
  clear(): void;
  reset(): void;
  /** How many requests are hanging or held now. */
  readonly waiting: number;
  /** Asks another chain process from now on. */
  retarget(url: string): void;
  close(): Promise<void>;

  // What tests want most.

  /** Says that it is on another chain. */
  wrongChain(id: number): () => void;
  /** Knows no block after this one (the head now, if left out). */
  freeze(block?: number): Promise<() => void>;
  /** "finalized" and "safe" are so many blocks behind the head; a local chain's are the head itself. */
  finality(lag: number): () => void;
  /** Finds no logs; receipts come without them, too. */
  dropLogs(): () => void;
  /** Takes transactions, and forgets them. */
  dropTransactions(options?: InjectOptions): () => void;
  /** Sends each transaction twice. */
  duplicateTransactions(): () => void;
  /** Has no receipt of anything. */
  swallowReceipts(): () => void;
  /** Says that accounts have sent so many transactions more (or fewer) than they have. */
  lieAboutNonces(difference: number): () => void;
  /** Answers several requests in one with this HTTP status, and single ones as ever. */
  refuseBatches(status: number): () => void;
  /** Blocks' timestamps are so many seconds later (or earlier). */
  skew(seconds: number): () => void;
}

interface Rule {
  readonly methods: ReadonlySet<string> | undefined;
  readonly fault: Fault;
  readonly when: ((request: RpcRequest) => boolean) | undefined;
  after: number;
  times: number;
  readonly removed: Promise<void>;
  readonly remove: () => void;
}

/** What concerns the whole HTTP answer, not one of its JSON-RPC answers. */
class Connection extends Error {
  readonly fault: Fault;

  constructor(fault: Fault) {
    super(fault.kind);
    this.fault = fault;
  }
}

const requestSchema = z.object({ id: z.unknown(), method: z.string(), params: z.array(z.unknown()).default([]) });
const answerSchema = z.union([
  z.object({ error: z.object({ code: z.number(), message: z.string(), data: z.unknown().optional() }) }),
  z.object({ result: z.unknown() }),
]);
const blockSchema = z.looseObject({ number: z.string(), timestamp: z.string() });

const hex = (n: number | bigint): string => `0x${n.toString(16)}`;
const BLOCK_METHODS = ["eth_getBlockByNumber", "eth_getBlockByHash"];
const FINAL_TAGS = ["finalized", "safe"];
const HEAD_TAGS = ["latest", "pending"];

export async function startProxy(target: string): Promise<FaultProxy> {
  let upstream = new URL(target);
  const agent = new Agent({ keepAlive: true });
  const rules: Rule[] = [];
  const counts = new Map<string, MethodCount>();
  const total = { calls: 0, bytesIn: 0, bytesOut: 0, http: 0 };
  const sent: string[] = [];
  let waiting = 0;
  let batchStatus: number | undefined;
  let ids = 0;

  async function forward({ method, params }: RpcRequest): Promise<RpcAnswer> {
    const id = ++ids;
    const text = await post(upstream, agent, JSON.stringify({ jsonrpc: "2.0", id, method, params }));
    return answerSchema.parse(JSON.parse(text));
  }
  const ask = async (method: string, ...params: unknown[]): Promise<unknown> => {
    const answer = await forward({ id: 0, method, params });
    if ("error" in answer) throw new Error(`${method}: ${answer.error.message}`);
    return answer.result;
  };
  const height = async (): Promise<number> => Number(z.string().parse(await ask("eth_blockNumber")));

  /** The rules that a request meets, the last one first, as long as they pass it on. */
  async function handle(request: RpcRequest, left: readonly Rule[] = [...rules]): Promise<RpcAnswer> {
    for (let i = left.length - 1; i >= 0; i--) {
      const rule = left[i];
      if (!rule || !rules.includes(rule) || (rule.methods && !rule.methods.has(request.method))) continue;
      if (rule.times <= 0 || rule.when?.(request) === false) continue;
      if (rule.after > 0) {
        rule.after--;
        continue;
      }
      rule.times--;
      return await apply(rule, request, (inner) => handle(inner, left.slice(0, i)));
    }
    if (request.method === "eth_sendRawTransaction" && typeof request.params[0] === "string")
      sent.push(request.params[0]);
    return await forward(request);
  }

  async function apply(
    rule: Rule,
    request: RpcRequest,
    next: (request: RpcRequest) => Promise<RpcAnswer>,
  ): Promise<RpcAnswer> {
    const { fault } = rule;
    switch (fault.kind) {
      case "hang":
      case "hold":
        waiting++;
        await rule.removed;
        waiting--;
        if (fault.kind === "hang") throw new Connection(fault);
        return await next(request);
      case "latency":
        await new Promise((resolve) => setTimeout(resolve, fault.milliseconds));
        return await next(request);
      case "lose":
        await next(request);
        throw new Connection(fault);
      case "close":
      case "status":
        throw new Connection(fault);
      case "cut":
      case "pad":
        return Object.assign({}, await next(request), { [MANGLE]: fault });
      case "answer":
        return fault.answer;
      case "lie":
        return fault.lie(await next(request), request);
      case "custom":
        return await fault.handle(request, next);
    }
  }

  async function serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const body = await read(incoming);
    total.http++;
    const parsed: unknown = JSON.parse(body);
    const batch = Array.isArray(parsed);
    if (batch && batchStatus !== undefined)
      throw new Connection({ kind: "status", status: batchStatus, body: "batches are not supported" });
    const requests = z.array(requestSchema).parse(batch ? parsed : [parsed]);
    let mangle: Fault | undefined;
    const answers = await Promise.all(
      requests.map(async (request) => {
        const count = counts.get(request.method) ?? { calls: 0, bytesIn: 0, bytesOut: 0 };
        counts.set(request.method, count);
        const size = batch ? JSON.stringify(request).length : body.length;
        for (const each of [count, total]) {
          each.calls++;
          each.bytesIn += size;
        }
        const answer = await handle(request);
        const marked = answer as { [MANGLE]?: Fault };
        mangle = marked[MANGLE] ?? mangle;
        const text = JSON.stringify({ jsonrpc: "2.0", id: request.id, ...answer });
        for (const each of [count, total]) each.bytesOut += text.length;
        return text;
      }),
    );
    let text = batch ? `[${answers.join(",")}]` : (answers[0] ?? "");
    outgoing.setHeader("content-type", "application/json");
    if (mangle?.kind === "cut") {
      const part = text.slice(0, mangle.bytes ?? Math.floor(text.length / 2));
      if (mangle.broken) {
        outgoing.setHeader("content-length", text.length);
        outgoing.write(part, () => outgoing.destroy());
        return;
      }
      text = part;
    }
    if (mangle?.kind === "pad") text += " ".repeat(mangle.bytes);
    outgoing.end(text);
  }

  const server = createServer((incoming, outgoing) => {
    serve(incoming, outgoing).catch((error: unknown) => {
      if (error instanceof Connection && error.fault.kind === "status") {
        const { status, body, retryAfter } = error.fault;
        outgoing.writeHead(status, retryAfter === undefined ? {} : { "retry-after": String(retryAfter) });
        outgoing.end(body ?? "");
      } else if (error instanceof Connection) outgoing.destroy();
      else {
        // the chain process is gone, or the request is none: as a gateway in front of a dead node answers
        outgoing.writeHead(502);
        outgoing.end(error instanceof Error ? error.message : String(error));
      }
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  server.unref(); // whoever is done may simply return

  function inject(methods: string | readonly string[], fault: Fault, options: InjectOptions = {}): () => void {
    const names = typeof methods === "string" ? [methods] : methods;
    let release = () => {};
    const removed = new Promise<void>((resolve) => {
      release = resolve;
    });
    const rule: Rule = {
      methods: names.includes("*") ? undefined : new Set(names),
      fault,
      when: options.when,
      after: options.after ?? 0,
      times: options.times ?? Number.POSITIVE_INFINITY,
      removed,
      remove: () => {
        const index = rules.indexOf(rule);
        if (index >= 0) rules.splice(index, 1);
        release();
      },
    };
    rules.push(rule);
    return rule.remove;
  }

  const lie = (methods: string | readonly string[], change: (result: unknown, request: RpcRequest) => unknown) =>
    inject(methods, {
      kind: "lie",
      lie: (answer, request) => ("error" in answer ? answer : { result: change(answer.result, request) }),
    });

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    counts,
    total,
    sent,
    inject,
    clear: () => {
      for (const rule of [...rules]) rule.remove();
      batchStatus = undefined;
    },
    reset: () => {
      counts.clear();
      Object.assign(total, { calls: 0, bytesIn: 0, bytesOut: 0, http: 0 });
    },
    get waiting() {
      return waiting;
    },
    retarget: (url) => {
      upstream = new URL(url);
    },
    close: async () => {
      for (const rule of [...rules]) rule.remove();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
      agent.destroy();
    },

    wrongChain: (id) => {
      const undo = [
        inject("eth_chainId", { kind: "answer", answer: { result: hex(id) } }),
        inject("net_version", { kind: "answer", answer: { result: String(id) } }),
      ];
      return () => {
        for (const one of undo) one();
      };
    },

    freeze: async (block) => {
      const last = block ?? (await height());
      const none: RpcAnswer = { error: { code: -32000, message: "header not found" } };
      const late = (answer: RpcAnswer, field: "number" | "blockNumber"): boolean => {
        const found = "result" in answer ? (answer.result as Record<string, unknown> | null) : null;
        return found !== null && typeof found?.[field] === "string" && Number(found[field]) > last;
      };
      return inject("*", {
        kind: "custom",
        handle: async (request, next) => {
          const { method } = request;
          if (method === "eth_blockNumber") return { result: hex(last) };
          if (method.startsWith("eth_send")) return await next(request);
          if (method === "eth_getBlockByHash") {
            const answer = await next(request);
            return late(answer, "number") ? { result: null } : answer;
          }
          if (method === "eth_getTransactionReceipt" || method === "eth_getTransactionByHash") {
            const answer = await next(request);
            return late(answer, "blockNumber") ? { result: null } : answer;
          }
          let hidden = false;
          const params = await retag(request, async (tag) => {
            if (FINAL_TAGS.includes(tag)) {
              const answer = await next({ id: 0, method: "eth_getBlockByNumber", params: [tag, false] });
              const found = "result" in answer ? blockSchema.safeParse(answer.result).data : undefined;
              return hex(Math.min(last, found ? Number(found.number) : last));
            }
            if (HEAD_TAGS.includes(tag)) return hex(last);
            if (tag.length === 66) {
              if (late(await next({ id: 0, method: "eth_getBlockByHash", params: [tag, false] }), "number"))
                hidden = true;
            } else if (Number(tag) > last) hidden = true;
            return tag;
          });
          if (hidden) return method === "eth_getBlockByNumber" ? { result: null } : none;
          return await next({ ...request, params });
        },
      });
    },

    finality: (lag) =>
      inject("*", {
        kind: "custom",
        handle: async (request, next) => {
          const params = await retag(request, async (tag) =>
            FINAL_TAGS.includes(tag) ? hex(Math.max(0, (await height()) - lag)) : tag,
          );
          return await next({ ...request, params });
        },
      }),

    dropLogs: () =>
      lie(["eth_getLogs", "eth_getTransactionReceipt"], (result, { method }) => {
        if (method === "eth_getLogs") return [];
        return result === null ? null : { ...(result as object), logs: [] };
      }),

    dropTransactions: (options) =>
      inject(
        "eth_sendRawTransaction",
        {
          kind: "custom",
          handle: async ({ params }) => {
            const raw = z.string().parse(params[0]);
            sent.push(raw);
            return { result: keccak256(raw) };
          },
        },
        options,
      ),

    duplicateTransactions: () =>
      inject("eth_sendRawTransaction", {
        kind: "custom",
        handle: async (request, next) => {
          const answer = await next(request);
          await next(request);
          return answer;
        },
      }),

    swallowReceipts: () => inject("eth_getTransactionReceipt", { kind: "answer", answer: { result: null } }),

    lieAboutNonces: (difference) =>
      lie("eth_getTransactionCount", (result) => hex(Math.max(0, Number(z.string().parse(result)) + difference))),

    refuseBatches: (status) => {
      batchStatus = status;
      return () => {
        batchStatus = undefined;
      };
    },

    skew: (seconds) =>
      lie(BLOCK_METHODS, (result) => {
        const block = blockSchema.safeParse(result);
        return block.success
          ? { ...block.data, timestamp: hex(Math.max(0, Number(block.data.timestamp) + seconds)) }
          : result;
      }),
  };
}

const MANGLE = Symbol("mangle");

/** The request's parameters with each block tag, number or hash that says which block is meant replaced. */
async function retag(
  { method, params }: RpcRequest,
  change: (tag: string) => Promise<string>,
): Promise<readonly unknown[]> {
  const position = TAG_POSITIONS[method];
  if (method === "eth_getLogs") {
    const filter = z.looseObject({}).parse(params[0]);
    const changed: Record<string, unknown> = { ...filter };
    for (const key of ["fromBlock", "toBlock", "blockHash"])
      if (typeof changed[key] === "string") changed[key] = await change(changed[key]);
    return [changed];
  }
  if (position === undefined) return params;
  const tag = params[position] ?? "latest";
  const result = [...params];
  while (result.length < position) result.push(undefined);
  if (typeof tag === "string") result[position] = await change(tag);
  else {
    const object: Record<string, unknown> = { ...z.looseObject({}).parse(tag) };
    for (const key of ["blockNumber", "blockHash"])
      if (typeof object[key] === "string") object[key] = await change(object[key]);
    result[position] = object;
  }
  return result;
}

const TAG_POSITIONS: Readonly<Record<string, number>> = {
  eth_getBlockByNumber: 0,
  eth_getBalance: 1,
  eth_getCode: 1,
  eth_getTransactionCount: 1,
  eth_call: 1,
  eth_estimateGas: 1,
  eth_feeHistory: 1,
  eth_getStorageAt: 2,
};

function read(incoming: NodeJS.ReadableStream): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
    incoming.on("end", () => resolve(Buffer.concat(chunks).toString("utf8")));
    incoming.on("error", reject);
  });
}

function post(url: URL, agent: Agent, body: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      url,
      {
        method: "POST",
        agent,
        headers: { "content-type": "application/json", "content-length": Buffer.byteLength(body) },
      },
      (response) => read(response).then(resolve, reject),
    );
    request.on("error", reject);
    request.end(body);
  });
}
