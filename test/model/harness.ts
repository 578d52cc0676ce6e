/**
 * The Solidity libraries behind `MathHarness`, on a chain inside this process: every call gives the result as plain
 * bigints, or the custom error that it reverted with, in the same shape as the mirror's.
 */
import { readFile } from "node:fs/promises";
import { Interface, type InterfaceAbi, type Result } from "ethers";
import hre from "hardhat";
import { ModelError } from "../../model/index.ts";

const SOURCE = "test/solidity/harness/MathHarness.sol";

/** A result of either side: values, or the error that it refused the input with. */
export type Outcome = { readonly value: unknown } | { readonly error: string; readonly values: readonly bigint[] };

/** The deployed libraries. */
export interface Harness {
  /** Reads a function. */
  call(name: string, ...args: readonly unknown[]): Promise<Outcome>;
  /** Sends a transaction, in a block of its own, and gives what the function returned, or why it reverted. */
  send(name: string, ...args: readonly unknown[]): Promise<Outcome>;
  /** Number of the latest block. */
  blockNumber(): Promise<bigint>;
  /** Notes the state; the returned function goes back to it. */
  snapshot(): Promise<() => Promise<void>>;
  close(): Promise<void>;
}

/** Compiles the harness where it changed and deploys it on a fresh chain. */
export async function deploy(): Promise<Harness> {
  await hre.tasks.getTask("build").run({ files: [SOURCE], quiet: true });
  const file = new URL(`../../artifacts/${SOURCE}/MathHarness.json`, import.meta.url);
  const artifact = JSON.parse(await readFile(file, "utf8")) as {
    readonly abi: InterfaceAbi;
    readonly bytecode: string;
  };
  const abi = new Interface(artifact.abi);
  const connection = await hre.network.create();
  const { provider } = connection;
  const request = (method: string, params: unknown[]) => provider.request({ method, params });
  const [from] = (await request("eth_accounts", [])) as string[];
  const transact = async (transaction: { readonly to?: string; readonly data: string }) => {
    const hash = await request("eth_sendTransaction", [{ from, gas: "0x1c9c380", ...transaction }]);
    return (await request("eth_getTransactionReceipt", [hash])) as { readonly contractAddress: string };
  };
  const to = (await transact({ data: artifact.bytecode })).contractAddress;

  const call = async (name: string, ...args: readonly unknown[]): Promise<Outcome> => {
    const data = abi.encodeFunctionData(name, args);
    try {
      const returned = (await request("eth_call", [{ from, to, data, gas: "0x1c9c380" }, "latest"])) as string;
      return { value: plain(abi.decodeFunctionResult(name, returned)) };
    } catch (cause) {
      const parsed = abi.parseError(revertData(cause));
      if (parsed === null) throw new Error(`${name}(${args.join(", ")}) failed without a custom error`, { cause });
      return { error: parsed.name, values: [...parsed.args] as bigint[] };
    }
  };
  return {
    call,
    send: async (name, ...args) => {
      const outcome = await call(name, ...args);
      if ("value" in outcome) await transact({ to, data: abi.encodeFunctionData(name, args) });
      return outcome;
    },
    blockNumber: async () => BigInt((await request("eth_blockNumber", [])) as string),
    snapshot: async () => {
      const id = await request("evm_snapshot", []);
      return async () => {
        await request("evm_revert", [id]);
      };
    },
    close: () => connection.close(),
  };
}

/** What the mirror does, in the same shape. */
export function outcomeOf(mirror: () => unknown): Outcome {
  try {
    return { value: mirror() };
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    return { error: error.error, values: error.values };
  }
}

/** Results without their names: one value as it is, several as an array, tuples and lists as arrays. */
function plain(result: Result): unknown {
  const open = (value: unknown): unknown => (Array.isArray(value) ? Array.from(value, open) : value);
  const values = Array.from(result, open);
  return values.length === 1 ? values[0] : values;
}

function revertData(error: unknown): string {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const data = (cause as { readonly data?: unknown }).data;
    if (typeof data === "string") return data;
    const inner = (data as { readonly data?: unknown } | undefined)?.data;
    if (typeof inner === "string") return inner;
  }
  return "0x";
}
