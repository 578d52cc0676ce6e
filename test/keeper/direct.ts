/** The keeper's chain over one RPC that is healthy: what tests of transactions need, without the pool's judgement. */
import * as z from "zod";
import {
  type At,
  type CallRequest,
  CallReverted,
  type Chain,
  type Header,
  RpcError,
  type TransactionReceipt,
  TransactionRefused,
} from "../../keeper/chain/types.ts";

const quantity = z.string().transform(BigInt);
const header = z
  .object({
    number: quantity,
    hash: z.string(),
    parentHash: z.string(),
    timestamp: quantity,
    baseFeePerGas: quantity,
    gasLimit: quantity,
    logsBloom: z.string(),
  })
  .nullable();
const log = z.object({ address: z.string(), topics: z.array(z.string()), data: z.string() });
const receipt = z
  .object({
    transactionHash: z.string(),
    blockNumber: quantity,
    blockHash: z.string(),
    status: z.string(),
    gasUsed: quantity,
    effectiveGasPrice: quantity,
    logs: z.array(log),
  })
  .nullable();
const answer = z.object({
  result: z.unknown().optional(),
  error: z.object({ message: z.string(), data: z.unknown().optional() }).optional(),
});
const hex = (amount: number | bigint) => `0x${amount.toString(16)}`;

export class DirectChain implements Chain {
  readonly chainId = 31_337;
  readonly url: string;

  constructor(url: string) {
    this.url = url;
  }

  async #ask(method: string, ...params: readonly unknown[]): Promise<{ result?: unknown; error?: Refused }> {
    let response: Response;
    try {
      response = await fetch(this.url, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }),
      });
    } catch (error) {
      throw new RpcError(`${method}: ${error instanceof Error ? error.message : String(error)}`);
    }
    const { result, error } = answer.parse(await response.json());
    return error ? { error } : { result };
  }

  async #get(method: string, ...params: readonly unknown[]): Promise<unknown> {
    const { result, error } = await this.#ask(method, ...params);
    if (error) throw new RpcError(`${method}: ${error.message}`);
    return result;
  }

  async header(at: At | number): Promise<Header | undefined> {
    const found = header.parse(
      typeof at === "object"
        ? await this.#get("eth_getBlockByHash", at.hash, false)
        : await this.#get("eth_getBlockByNumber", typeof at === "number" ? hex(at) : at, false),
    );
    return found
      ? {
          number: Number(found.number),
          hash: found.hash,
          parentHash: found.parentHash,
          timestamp: Number(found.timestamp),
          baseFee: found.baseFeePerGas,
          gasLimit: found.gasLimit,
          logsBloom: found.logsBloom,
        }
      : undefined;
  }

  async call({ to, data, from, gas, check }: CallRequest, at: At): Promise<string> {
    const { result, error } = await this.#ask(
      "eth_call",
      { to, data, ...(from ? { from } : {}), ...(gas ? { gas: hex(gas) } : {}) },
      typeof at === "object" ? { blockHash: at.hash } : at,
    );
    if (error) {
      const data = z.union([z.string(), z.object({ data: z.string() }).transform((one) => one.data)]);
      const parsed = data.safeParse(error.data);
      if (parsed.success) throw new CallReverted(parsed.data);
      throw new RpcError(error.message);
    }
    const text = z.string().parse(result);
    check?.(text);
    return text;
  }

  agreedCall(request: CallRequest, at: At): Promise<string> {
    return this.call(request, at);
  }

  async code(address: string): Promise<string> {
    return z.string().parse(await this.#get("eth_getCode", address, "latest"));
  }

  async balance(address: string): Promise<bigint> {
    return quantity.parse(await this.#get("eth_getBalance", address, "latest"));
  }

  async nonce(address: string, at: "latest" | "pending" | "finalized"): Promise<number> {
    return Number(quantity.parse(await this.#get("eth_getTransactionCount", address, at)));
  }

  async receipt(hash: string): Promise<TransactionReceipt | undefined> {
    const found = receipt.parse(await this.#get("eth_getTransactionReceipt", hash));
    return found
      ? {
          hash: found.transactionHash,
          blockNumber: Number(found.blockNumber),
          blockHash: found.blockHash,
          succeeded: found.status === "0x1",
          gasUsed: found.gasUsed,
          effectiveGasPrice: found.effectiveGasPrice,
          logs: found.logs,
        }
      : undefined;
  }

  async knows(hash: string): Promise<boolean> {
    return (await this.#get("eth_getTransactionByHash", hash)) !== null;
  }

  async broadcast(raw: string): Promise<string> {
    const { result, error } = await this.#ask("eth_sendRawTransaction", raw);
    if (!error) return z.string().parse(result);
    const { message } = error;
    if (/already known|known transaction/i.test(message)) return "";
    if (/nonce too low/i.test(message)) throw new TransactionRefused("nonce too low", message);
    if (/underpriced|too low|less than/i.test(message)) throw new TransactionRefused("underpriced", message);
    if (/funds/i.test(message)) throw new TransactionRefused("insufficient funds", message);
    throw new TransactionRefused("other", message);
  }

  async logs(): Promise<readonly z.output<typeof log>[]> {
    return [];
  }

  async fees(): Promise<{ baseFee: bigint; tips: readonly [bigint, bigint, bigint] }> {
    const history = z
      .object({ baseFeePerGas: z.array(quantity) })
      .parse(await this.#get("eth_feeHistory", hex(1), "latest", []));
    return { baseFee: history.baseFeePerGas.at(-1) ?? 0n, tips: [0n, 0n, 0n] };
  }
}

type Refused = { readonly message: string; readonly data?: unknown };
