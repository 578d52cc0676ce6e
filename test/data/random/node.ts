/** A chain process, spoken to in batches: a run of thousands of transactions has no time for one question at a time. */
import { Interface, type Result } from "ethers";
import * as z from "zod";

/** A view to be called; `face` decodes the answer. */
export interface View {
  readonly to: string;
  readonly face: Interface;
  readonly fn: string;
  readonly args: readonly unknown[];
}

/** A block by its hash: what is read there cannot be of another branch. */
export type At = "latest" | { readonly blockHash: string };

const answerSchema = z.object({
  id: z.number(),
  result: z.unknown().optional(),
  error: z.object({ message: z.string(), data: z.unknown().optional() }).optional(),
});
type Answer = z.infer<typeof answerSchema>;

const BATCH = 250;

export class Node {
  readonly url: string;

  constructor(url: string) {
    this.url = url;
  }

  async rpc(method: string, ...params: readonly unknown[]): Promise<unknown> {
    const [answer] = await this.#post([{ method, params }]);
    if (!answer || answer.error) throw new Error(`${method}: ${answer?.error?.message ?? "no answer"}`);
    return answer.result;
  }

  /** Answers in the order of the questions; a failed one is undefined. */
  async batch(questions: readonly { readonly method: string; readonly params: readonly unknown[] }[]) {
    const results: (unknown | undefined)[] = [];
    for (let i = 0; i < questions.length; i += BATCH)
      for (const { result, error } of await this.#post(questions.slice(i, i + BATCH)))
        results.push(error ? undefined : result);
    return results;
  }

  /** Results in the order of the views; undefined where a call reverts. */
  async views(views: readonly View[], at: At = "latest"): Promise<(Result | undefined)[]> {
    const questions = views.map(({ to, face, fn, args }) => ({
      method: "eth_call",
      params: [{ to, data: face.encodeFunctionData(fn, args) }, at],
    }));
    const answers = await this.batch(questions);
    return answers.map((answer, i) => {
      const view = views[i];
      if (typeof answer !== "string" || answer === "0x" || !view) return undefined;
      return view.face.decodeFunctionResult(view.fn, answer);
    });
  }

  async view(to: string, face: Interface, fn: string, ...args: unknown[]): Promise<Result> {
    const [result] = await this.views([{ to, face, fn, args }]);
    if (!result) throw new Error(`${fn} of ${to} reverts.`);
    return result;
  }

  /** One whole number; 0 where the call reverts. */
  async big(to: string, face: Interface, fn: string, ...args: unknown[]): Promise<bigint> {
    const [result] = await this.views([{ to, face, fn, args }]);
    return result ? z.bigint().parse(result[0]) : 0n;
  }

  async #post(questions: readonly { readonly method: string; readonly params: readonly unknown[] }[]) {
    const body = questions.map(({ method, params }, id) => ({ jsonrpc: "2.0", id, method, params }));
    const request = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
    const reads = questions.every(({ method }) => /^eth_(get|call)/.test(method));
    // a connection that idled while something was computed may be closed by now
    const response = await fetch(this.url, request).catch((error) => {
      if (!reads) throw error;
      return fetch(this.url, request);
    });
    const answers = z.array(answerSchema).parse(await response.json());
    const sorted: Answer[] = [];
    for (const answer of answers) sorted[answer.id] = answer;
    if (sorted.length !== questions.length) throw new Error("The chain process did not answer all questions.");
    return sorted;
  }
}

export interface Block {
  readonly number: number;
  readonly hash: string;
  readonly timestamp: number;
}

const blockSchema = z
  .object({ number: z.string(), hash: z.string(), timestamp: z.string() })
  .transform(({ number, hash, timestamp }) => ({ number: Number(number), hash, timestamp: Number(timestamp) }));

export async function blockOf(node: Node, which: number | "latest"): Promise<Block> {
  const name = which === "latest" ? which : `0x${which.toString(16)}`;
  return blockSchema.parse(await node.rpc("eth_getBlockByNumber", name, false));
}

export interface Log {
  readonly address: string;
  readonly topics: readonly string[];
  readonly data: string;
  readonly block: number;
  readonly transaction: string;
  readonly index: number;
}

const logSchema = z
  .object({
    address: z.string(),
    topics: z.array(z.string()),
    data: z.string(),
    blockNumber: z.string(),
    transactionHash: z.string(),
    logIndex: z.string(),
  })
  .transform(({ blockNumber, transactionHash, logIndex, ...rest }) => ({
    ...rest,
    address: rest.address.toLowerCase(),
    block: Number(blockNumber),
    transaction: transactionHash,
    index: Number(logIndex),
  }));

/** Every log of the chain in these blocks, whoever emitted it. */
export async function logsOf(node: Node, from: number, to: number): Promise<Log[]> {
  const range = { fromBlock: `0x${from.toString(16)}`, toBlock: `0x${to.toString(16)}` };
  return z.array(logSchema).parse(await node.rpc("eth_getLogs", range));
}

/** Only for reading ABIs that are strings. */
export const faceOf = (...signatures: readonly string[]): Interface => new Interface(signatures);
