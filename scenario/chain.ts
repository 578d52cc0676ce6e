/**
 * The chain as the scenario uses it: plain JSON-RPC, many reads in one request, one transaction a block, and the clock
 * of mainnet, where a block takes 12 seconds.
 */
import { type ErrorDescription, Interface, type InterfaceAbi, type LogDescription, type Result } from "ethers";
import * as z from "zod";
import { BLOCK_SECONDS } from "./units.ts";

export interface Call {
  readonly to: string;
  readonly face: Interface;
  readonly fn: string;
  readonly args?: readonly unknown[];
  readonly from?: string;
  readonly value?: bigint;
}

export interface Sending extends Call {
  readonly from: string;
}

/** A transaction as the chain takes it; without `to` it creates a contract. */
export interface RawTransaction {
  readonly from: string;
  readonly to?: string;
  readonly data: string;
}

export interface Log {
  readonly address: string;
  readonly topics: readonly string[];
  readonly data: string;
}

export interface Receipt {
  readonly block: number;
  readonly gas: bigint;
  readonly logs: readonly Log[];
}

/** A transaction that somebody else has sent. */
export interface Seen extends Receipt {
  readonly to: string | undefined;
  readonly data: string;
  readonly succeeded: boolean;
}

/** A contract said no; `reason` is its error's name. */
export class Refused extends Error {
  override readonly name = "Refused";
  readonly reason: string;

  constructor(what: string, reason: string, detail: string) {
    super(`${what}: ${detail}`);
    this.reason = reason;
  }
}

const answer = z.object({
  id: z.number(),
  result: z.unknown().optional(),
  error: z.object({ message: z.string(), data: z.unknown().optional() }).optional(),
});
const receipt = z.object({
  status: z.string(),
  blockNumber: z.string(),
  gasUsed: z.string(),
  logs: z.array(z.object({ address: z.string(), topics: z.array(z.string()), data: z.string() })),
});
const creation = z.object({ status: z.literal("0x1"), contractAddress: z.string().nullish() });
const header = z.object({ number: z.string(), timestamp: z.string() });
const filledBlock = z.object({
  transactions: z.array(z.object({ hash: z.string(), from: z.string(), to: z.string().nullish(), input: z.string() })),
});

type Request = readonly [method: string, params: readonly unknown[]];
type Answer = z.output<typeof answer>;

const hex = (value: number | bigint): string => `0x${value.toString(16)}`;
const GAS = hex(30_000_000);
/** Transactions that share a block share its gas. */
const BLOCK_GAS = 45_000_000n;

export class ChainClient {
  readonly url: string;
  #errors: Interface;
  #timestamp = 0;
  #block = 0;
  sent = 0;

  /** `errors` name what contracts revert with. */
  constructor(url: string, errors: readonly InterfaceAbi[]) {
    this.url = url;
    const fragments = new Map<string, string>();
    for (const abi of errors)
      Interface.from(abi).forEachError((fragment) => {
        fragments.set(fragment.selector, fragment.format("full"));
      });
    this.#errors = new Interface([...fragments.values()]);
  }

  /** Block and time (seconds) of the head. */
  get head(): { readonly block: number; readonly time: number } {
    return { block: this.#block, time: this.#timestamp };
  }

  async #post(requests: readonly Request[]): Promise<Answer[]> {
    const body = requests.map(([method, params], id) => ({ jsonrpc: "2.0", id, method, params }));
    let response: Response;
    try {
      response = await fetch(this.url, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
      });
    } catch (error) {
      throw new Error(`The chain at ${this.url} does not answer: ${error instanceof Error ? error.message : error}`);
    }
    const answers = z.array(answer).parse(await response.json());
    return answers.sort((a, b) => a.id - b.id);
  }

  async rpc(method: string, params: readonly unknown[] = []): Promise<unknown> {
    const [only] = await this.#post([[method, params]]);
    if (only?.error) throw new Error(`${method}: ${only.error.message}`);
    return only?.result;
  }

  /** Learns where the head is; needed once, and after somebody else has moved it. */
  async locate(): Promise<void> {
    const block = header.parse(await this.rpc("eth_getBlockByNumber", ["latest", false]));
    this.#block = Number(block.number);
    this.#timestamp = Number(block.timestamp);
  }

  /** Mines empty blocks, 12 seconds each. */
  async mine(blocks: number): Promise<void> {
    await this.rpc("evm_setNextBlockTimestamp", [hex(this.#timestamp + BLOCK_SECONDS)]);
    await this.rpc("hardhat_mine", [hex(blocks), hex(BLOCK_SECONDS)]);
    await this.locate();
  }

  /** What an account has sent in the blocks after `after`, up to `to`. */
  async sentBy(account: string, after: number, to: number): Promise<readonly Seen[]> {
    const numbers = Array.from({ length: to - after }, (_, i) => after + 1 + i);
    if (numbers.length === 0) return [];
    const blocks = await this.#post(numbers.map((number) => ["eth_getBlockByNumber", [hex(number), true]] as const));
    const mine = blocks
      .flatMap((value) => filledBlock.parse(value.result).transactions)
      .filter((one) => same(one.from, account));
    if (mine.length === 0) return [];
    const receipts = await this.#post(mine.map((one) => ["eth_getTransactionReceipt", [one.hash]] as const));
    this.sent += mine.length;
    return mine.map((one, i) => {
      const { status, blockNumber, gasUsed, logs } = receipt.parse(receipts[i]?.result);
      const { to: target, input: data } = one;
      const block = Number(blockNumber);
      return { block, gas: BigInt(gasUsed), logs, to: target ?? undefined, data, succeeded: status === "0x1" };
    });
  }

  /** Reads; the results keep the order of the calls. `at`: a block; by default the head. */
  async read(calls: readonly Call[], at?: number): Promise<Result[]> {
    const settled = await this.tryRead(calls, at);
    return settled.map((value) => {
      if (value instanceof Refused) throw value;
      return value;
    });
  }

  /** As `read`, with what a contract refuses in its place. */
  async tryRead(calls: readonly Call[], at?: number): Promise<(Result | Refused)[]> {
    if (calls.length === 0) return [];
    const block = at === undefined ? "latest" : hex(at);
    const answers = await this.#post(calls.map((call) => ["eth_call", [request(call, GAS), block]] as const));
    return answers.map((value, i) => {
      const call = calls[i];
      if (!call) throw new Error("More answers than calls.");
      if (value.error) return this.#refusal(call, value.error);
      return call.face.decodeFunctionResult(call.fn, z.string().parse(value.result));
    });
  }

  /**
   * Tries calls that anybody may make, refusals expected. The chain explains every failed call with a stack trace, which
   * takes a quarter of a second; so a short program makes the call and reports how it went, and itself never fails.
   */
  async probe(calls: readonly Call[]): Promise<(Result | Refused)[]> {
    if (calls.length === 0) return [];
    const answers = await this.#post(
      calls.map((call) => {
        const { to: _, ...sent } = request(call, GAS);
        return ["eth_call", [{ ...sent, data: prober(call) }, "latest"]] as const;
      }),
    );
    return answers.map((value, i) => {
      const call = calls[i];
      if (!call) throw new Error("More answers than calls.");
      if (value.error) throw new Error(`${call.fn} could not be tried: ${value.error.message}`);
      const answer = z.string().parse(value.result);
      const data = `0x${answer.slice(2 + 64)}`;
      const passed = BigInt(answer.slice(0, 2 + 64)) === 1n;
      return passed
        ? call.face.decodeFunctionResult(call.fn, data)
        : this.#refusal(call, { message: "reverted", data });
    });
  }

  /** One read of one value. */
  async get<T>(call: Call): Promise<T> {
    const [result] = await this.read([call]);
    return (result?.length === 1 ? result[0] : result) as T;
  }

  /** One transaction in a block of its own, 12 seconds after the last one. */
  async send(sending: Sending): Promise<Receipt> {
    const [, sent] = await this.#post([
      ["evm_setNextBlockTimestamp", [hex(this.#timestamp + BLOCK_SECONDS)]],
      ["eth_sendTransaction", [request(sending, GAS)]],
    ]);
    if (sent?.error) {
      const refusal = this.#refusal(sending, sent.error);
      await this.locate(); // a failed transaction may be mined all the same
      throw refusal;
    }
    return this.#receipt(z.string().parse(sent?.result));
  }

  /** Many transactions in one request, each in a block of its own; only for a start, where nobody counts seconds. */
  async sendMany(sendings: readonly RawTransaction[]): Promise<readonly string[]> {
    const answers = await this.#post(sendings.map((one) => ["eth_sendTransaction", [{ gas: GAS, ...one }]]));
    const hashes = answers.map((value, i) => {
      if (value.error) throw new Error(`Transaction ${i + 1} of the start failed: ${value.error.message}`);
      return z.string().parse(value.result);
    });
    const receipts = await this.#post(hashes.map((hash) => ["eth_getTransactionReceipt", [hash]]));
    this.sent += hashes.length;
    await this.locate();
    return receipts.map((value) => creation.parse(value.result).contractAddress ?? "");
  }

  /** Several transactions in one block, in order: nothing vests and nothing accrues between them. */
  async sendTogether(sendings: readonly Sending[]): Promise<Receipt[]> {
    const gas = hex(BLOCK_GAS / BigInt(sendings.length));
    await this.rpc("evm_setAutomine", [false]);
    try {
      const answers = await this.#post(sendings.map((one) => ["eth_sendTransaction", [request(one, gas)]]));
      answers.forEach((value, i) => {
        const sending = sendings[i];
        if (value.error && sending) throw this.#refusal(sending, value.error);
      });
      await this.rpc("evm_setNextBlockTimestamp", [hex(this.#timestamp + BLOCK_SECONDS)]);
      await this.rpc("evm_mine", []);
      const receipts: Receipt[] = [];
      for (const [i, value] of answers.entries()) {
        const sending = sendings[i];
        receipts.push(await this.#receipt(z.string().parse(value.result), sending));
      }
      return receipts;
    } finally {
      await this.rpc("evm_setAutomine", [true]);
    }
  }

  async #receipt(hash: string, sending?: Sending): Promise<Receipt> {
    const [found, latest] = await this.#post([
      ["eth_getTransactionReceipt", [hash]],
      ["eth_getBlockByNumber", ["latest", false]],
    ]);
    const block = header.parse(latest?.result);
    this.#block = Number(block.number);
    this.#timestamp = Number(block.timestamp);
    const parsed = receipt.parse(found?.result);
    if (parsed.status !== "0x1") {
      throw new Refused(sending?.fn ?? hash, "Reverted", "the transaction failed in a block that it shared");
    }
    this.sent++;
    return { block: Number(parsed.blockNumber), gas: BigInt(parsed.gasUsed), logs: parsed.logs };
  }

  #refusal(call: Call, error: NonNullable<Answer["error"]>): Refused {
    const data = revertData(error.data);
    let known: ErrorDescription | null = null;
    if (data !== undefined && data.length >= 10) known = this.#errors.parseError(data);
    if (known === null) {
      const text = data !== undefined && data !== "0x" ? `${error.message} (${data.slice(0, 10)})` : error.message;
      return new Refused(call.fn, "Reverted", text);
    }
    return new Refused(call.fn, known.name, `${known.name}(${known.args.map(String).join(", ")})`);
  }
}

function encode(call: Call): string {
  return call.face.encodeFunctionData(call.fn, [...(call.args ?? [])]);
}

function request(call: Call, gas: string): Record<string, string> {
  return {
    to: call.to,
    gas,
    data: encode(call),
    ...(call.from === undefined ? {} : { from: call.from }),
    ...(call.value === undefined ? {} : { value: hex(call.value) }),
  };
}

/**
 * Creation code that calls `to` with the value it was sent, and returns one word (1: passed) and what the call returned.
 * In order: CODECOPY the call's data behind the program to memory; CALL; MSTORE its success; RETURNDATACOPY; RETURN.
 */
function prober(call: Call): string {
  const data = encode(call).slice(2);
  const size = (data.length / 2).toString(16).padStart(8, "0");
  const program = (offset: string) =>
    [
      `63${size}`, // PUSH4 size
      `60${offset}`, // PUSH1 offset
      "5f39", // PUSH0 CODECOPY
      `5f5f63${size}5f34`, // no room for the answer; the data; CALLVALUE
      `73${call.to.slice(2).toLowerCase()}5af1`, // PUSH20 to, GAS, CALL
      "5f52", // PUSH0 MSTORE
      "3d5f60203e", // RETURNDATASIZE, 0, 32, RETURNDATACOPY
      "3d6020015ff3", // RETURNDATASIZE + 32, 0, RETURN
    ].join("");
  const length = (program("00").length / 2).toString(16).padStart(2, "0");
  return `0x${program(length)}${data}`;
}

function revertData(data: unknown): string | undefined {
  if (typeof data === "string") return data;
  if (typeof data === "object" && data !== null && "data" in data) return revertData(data.data);
  return undefined;
}

/** Events of one contract kind in some logs. */
export function events(
  logs: readonly Log[],
  face: Interface,
  name: string,
  address?: string,
): readonly LogDescription[] {
  const topic = face.getEvent(name)?.topicHash;
  return logs
    .filter((log) => log.topics[0] === topic && (address === undefined || same(log.address, address)))
    .map((log) => face.parseLog({ topics: [...log.topics], data: log.data }))
    .filter((log) => log !== null);
}

export const same = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase();
