/**
 * One RPC: JSON-RPC over HTTP with a deadline for every answer. Whatever is not an answer as it should be (late, cut off,
 * too large, malformed, of another request) is an `EndpointError`, never a value; a contract's revert is `CallReverted`.
 */
import { Agent as HttpAgent, request as httpRequest } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import * as z from "zod";
import { errorKind, revertData } from "./answers.ts";
import { CallReverted, RpcError } from "./types.ts";

/** What went wrong with an RPC. */
export const FAULTS = [
  "timeout", // no whole answer within the deadline
  "connection", // refused, broken off, no such host
  "http", // a status other than 200
  "limited", // asked too often (429)
  "malformed", // not JSON-RPC, or not what the method answers
  "oversize", // more than the keeper is ready to read
  "refused", // a JSON-RPC error that is not a contract's
  "missing", // it does not know the block, or has no state for it
] as const;
export type Fault = (typeof FAULTS)[number];

interface Extra {
  readonly retryAfter?: number;
  readonly refusal?: string;
  readonly cause?: unknown;
}

/** An RPC's fault. Its address is never in the message: it often holds a key. */
export class EndpointError extends RpcError {
  override readonly name = "EndpointError";
  readonly endpoint: string;
  readonly fault: Fault;
  /** Milliseconds that the RPC asks to be left alone for. */
  readonly retryAfter: number | undefined;
  /** The JSON-RPC error's message, for "refused". */
  readonly refusal: string | undefined;

  constructor(endpoint: string, fault: Fault, message: string, extra: Extra = {}) {
    super(`${endpoint}: ${message}`, extra.cause === undefined ? undefined : { cause: extra.cause });
    this.endpoint = endpoint;
    this.fault = fault;
    this.retryAfter = extra.retryAfter;
    this.refusal = extra.refusal;
  }
}

/** Plain numbers for whoever measures. They only grow. */
export interface Traffic {
  requests: number;
  /** HTTP requests: less than `requests` where they were batched. */
  posts: number;
  bytesSent: number;
  bytesReceived: number;
  readonly errors: Record<Fault, number>;
}

export interface EndpointOptions {
  readonly url: string;
  /** How it is called in messages. */
  readonly name: string;
  readonly timeoutMs: number;
  /** An answer larger than this is cut off. */
  readonly maxBytes?: number;
  /** Requests of the same moment that go in one HTTP request; 1 for none. */
  readonly maxBatch?: number;
}

const envelope = z.object({
  id: z.union([z.number(), z.string(), z.null()]).optional(),
  result: z.unknown().optional(),
  error: z
    .looseObject({ code: z.coerce.number().catch(0), message: z.string(), data: z.unknown().optional() })
    .nullish(),
});

interface Asked {
  readonly id: number;
  readonly method: string;
  readonly params: readonly unknown[];
  readonly signal: AbortSignal | undefined;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
}

const MAX_BYTES = 16 * 1024 * 1024;
const MAX_BATCH = 10;
const NO_BATCH: readonly Fault[] = ["http", "malformed", "oversize"];
const MAX_RETRY_AFTER_MS = 60_000;

export class Endpoint {
  readonly name: string;
  readonly traffic: Traffic = {
    requests: 0,
    posts: 0,
    bytesSent: 0,
    bytesReceived: 0,
    errors: Object.fromEntries(FAULTS.map((fault) => [fault, 0])) as Record<Fault, number>,
  };
  readonly #url: URL;
  readonly #agent: HttpAgent;
  readonly #request: typeof httpRequest;
  readonly #headers: Record<string, string>;
  readonly #timeoutMs: number;
  readonly #maxBytes: number;
  #maxBatch: number;
  #batchesFailed = 0;
  #queue: Asked[] = [];
  #id = 0;

  constructor({ url, name, timeoutMs, maxBytes = MAX_BYTES, maxBatch = MAX_BATCH }: EndpointOptions) {
    this.name = name;
    this.#url = new URL(url);
    const secure = this.#url.protocol === "https:";
    this.#agent = secure ? new HttpsAgent({ keepAlive: true }) : new HttpAgent({ keepAlive: true });
    this.#request = secure ? httpsRequest : httpRequest;
    this.#headers = { "content-type": "application/json" };
    if (this.#url.username !== "") {
      // no login in an address that an error may show
      const login = `${decodeURIComponent(this.#url.username)}:${decodeURIComponent(this.#url.password)}`;
      this.#headers.authorization = `Basic ${Buffer.from(login).toString("base64")}`;
      this.#url.username = "";
      this.#url.password = "";
    }
    this.#timeoutMs = timeoutMs;
    this.#maxBytes = maxBytes;
    this.#maxBatch = maxBatch;
  }

  /** Asks, and checks the answer. Rejects with EndpointError or CallReverted; with the signal's reason if that aborts it. */
  async request<T>(method: string, params: readonly unknown[], schema: z.ZodType<T>, signal?: AbortSignal): Promise<T> {
    signal?.throwIfAborted();
    const result = await new Promise<unknown>((resolve, reject) => {
      this.#queue.push({ id: ++this.#id, method, params, signal, resolve, reject });
      if (this.#queue.length === 1) setImmediate(() => this.#flush());
    });
    const parsed = schema.safeParse(result);
    if (parsed.success) return parsed.data;
    const issue = parsed.error.issues[0];
    throw this.error(
      "malformed",
      `${method} gives something else than it should (${[...(issue?.path ?? [])].join(".")} ${issue?.message ?? ""})`,
    );
  }

  /** Lets go of its connections. Idle ones keep no process alive. */
  close(): void {
    this.#agent.destroy();
  }

  /** An error of this RPC, counted. */
  error(fault: Fault, message: string, extra?: Extra): EndpointError {
    this.traffic.errors[fault]++;
    return new EndpointError(this.name, fault, message, extra);
  }

  #flush(): void {
    const queue = this.#queue.filter(({ signal, reject }) => {
      if (signal?.aborted) reject(signal.reason);
      return signal?.aborted !== true;
    });
    this.#queue = [];
    for (let i = 0; i < queue.length; i += this.#maxBatch) void this.#send(queue.slice(i, i + this.#maxBatch));
  }

  async #send(asked: readonly Asked[]): Promise<void> {
    const first = asked[0];
    if (first === undefined) return;
    const batch = asked.length > 1;
    const bodies = asked.map(({ id, method, params }) => JSON.stringify({ jsonrpc: "2.0", id, method, params }));
    this.traffic.requests += asked.length;
    try {
      const answer = await this.#post(batch ? `[${bodies.join(",")}]` : (bodies[0] ?? ""), asked);
      if (!batch) {
        this.#settle(first, answer);
        return;
      }
      if (!Array.isArray(answer)) throw this.error("malformed", "a batch was not answered with a batch");
      const byId = new Map<unknown, unknown>();
      for (const one of answer) {
        const id = z.looseObject({ id: z.unknown() }).safeParse(one).data?.id;
        if (!byId.has(id)) byId.set(id, one);
      }
      for (const one of asked) this.#settle(one, byId.get(one.id));
    } catch (error) {
      if (batch && error instanceof EndpointError && NO_BATCH.includes(error.fault)) {
        // some take no batches, or only small ones
        if (++this.#batchesFailed > 1) this.#maxBatch = 1;
        await Promise.all(asked.map((one) => this.#send([one])));
        return;
      }
      for (const one of asked) one.reject(one.signal?.aborted ? one.signal.reason : error);
    }
  }

  #settle(asked: Asked, answer: unknown): void {
    try {
      asked.resolve(this.#result(asked, answer));
    } catch (error) {
      asked.reject(error);
    }
  }

  #result({ id, method }: Asked, answer: unknown): unknown {
    const parsed = envelope.safeParse(answer);
    const error = parsed.data?.error;
    if (error) {
      // only what executes contracts can be refused by one
      const data = ["eth_call", "eth_sendRawTransaction"].includes(method) ? revertData(error) : undefined;
      if (data !== undefined) throw new CallReverted(data);
      const message = error.message.slice(0, 300);
      throw this.error(errorKind(error), `${method}: ${message}`, { refusal: message });
    }
    const { data } = parsed;
    if (data === undefined || data.id !== id || data.result === undefined)
      throw this.error("malformed", `${method} was answered with something that is not JSON-RPC`);
    return data.result;
  }

  async #post(body: string, asked: readonly Asked[]): Promise<unknown> {
    const names = asked.map(({ method }) => method).join(", ");
    const over = new AbortController();
    const timer = setTimeout(() => over.abort(), this.#timeoutMs);
    // a batch is given up when nobody waits for any of it
    const left = new Set(asked);
    const leave = asked.map((one) => {
      const listener = () => {
        one.reject(one.signal?.reason);
        left.delete(one);
        if (left.size === 0) over.abort();
      };
      one.signal?.addEventListener("abort", listener, { once: true });
      return () => one.signal?.removeEventListener("abort", listener);
    });
    this.traffic.posts++;
    try {
      const { status, retryAfter, text } = await this.#exchange(body, names, over.signal);
      const json = parse(text);
      // some answer a JSON-RPC error with another status, and with the error in the body
      const told = status !== 429 && status < 500 && envelope.safeParse(json).data?.error;
      if (status !== 200 && !told) {
        const wait = Number(retryAfter ?? Number.NaN) * 1000;
        throw this.error(
          status === 429 ? "limited" : "http",
          `${names}: HTTP status ${status}${status === 401 || status === 403 ? "; is the address's key still good?" : ""}`,
          Number.isFinite(wait) ? { retryAfter: Math.min(wait, MAX_RETRY_AFTER_MS) } : {},
        );
      }
      if (json === undefined) throw this.error("malformed", `${names}: the answer is not JSON, or not all of it`);
      return json;
    } catch (error) {
      if (error instanceof EndpointError || left.size === 0) throw error;
      if (over.signal.aborted) throw this.error("timeout", `${names}: no answer within ${this.#timeoutMs / 1000} s`);
      throw this.error("connection", `${names}: ${causeOf(error)}`);
    } finally {
      clearTimeout(timer);
      for (const one of leave) one();
    }
  }

  /** One HTTP request and its whole answer. Node's own client: `fetch` takes 70 MB of memory more, and four times as long. */
  #exchange(
    body: string,
    names: string,
    signal: AbortSignal,
  ): Promise<{ readonly status: number; readonly retryAfter: string | undefined; readonly text: string }> {
    return new Promise((resolve, reject) => {
      const payload = Buffer.from(body);
      const request = this.#request(
        this.#url,
        { method: "POST", agent: this.#agent, headers: { ...this.#headers, "content-length": payload.length }, signal },
        (response) => {
          const chunks: Buffer[] = [];
          let size = 0;
          response.on("data", (chunk: Buffer) => {
            size += chunk.length;
            this.traffic.bytesReceived += chunk.length;
            chunks.push(chunk);
            if (size <= this.#maxBytes) return;
            reject(this.error("oversize", `${names}: the answer has more than ${this.#maxBytes} bytes`));
            request.destroy();
          });
          response.on("error", reject);
          response.on("end", () => {
            const status = response.statusCode ?? 0;
            resolve({
              status,
              retryAfter: response.headers["retry-after"],
              text: Buffer.concat(chunks).toString("utf8"),
            });
          });
        },
      );
      request.on("error", reject);
      request.end(payload);
      this.traffic.bytesSent += payload.length;
    });
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** Why a connection failed, without the address. */
function causeOf(error: unknown): string {
  // of a host with several addresses, each has its error
  const one = error instanceof AggregateError ? (error.errors[0] as unknown) : error;
  const code = (one as { code?: unknown } | undefined)?.code;
  if (code === "ECONNREFUSED") return "nobody listens there";
  if (code === "ENOTFOUND" || code === "EAI_AGAIN") return "the host's name cannot be resolved";
  if (typeof code === "string") return `the connection failed (${code})`;
  return "the connection broke off";
}
