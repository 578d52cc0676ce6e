/**
 * Who pays for a deployment: an account of the node (local chains), or a key from a keystore file or the environment.
 * Never from the command line, which other users of the machine can read and shells remember.
 */
import { readFileSync } from "node:fs";
import type { EIP1193Provider } from "@nomicfoundation/ignition-core";
import { getAddress, HDNodeWallet, Transaction, Wallet } from "ethers";
import * as z from "zod";

export interface Account {
  readonly address: string;
  readonly provider: EIP1193Provider;
}

export class AccountError extends Error {
  override readonly name = "AccountError";
}

export interface AccountSource {
  /** A keystore file (the usual JSON of geth, Foundry and others). */
  readonly keystore?: string;
  /** A file with the keystore's password. */
  readonly passwordFile?: string;
}

export const KEY_VARIABLE = "DEPLOYER_PRIVATE_KEY";
export const PASSWORD_VARIABLE = "DEPLOYER_KEYSTORE_PASSWORD";

/** Opens the key that is named; undefined where none is. */
export async function openKey(source: AccountSource, environment: NodeJS.ProcessEnv): Promise<Wallet | undefined> {
  if (source.keystore !== undefined) {
    const password =
      source.passwordFile === undefined
        ? environment[PASSWORD_VARIABLE]
        : read(source.passwordFile, "password file").replace(/\r?\n$/, "");
    if (password === undefined)
      throw new AccountError(
        `The keystore needs its password: name a file with --password-file, or set ${PASSWORD_VARIABLE}.`,
      );
    const text = read(source.keystore, "keystore");
    try {
      const opened = await Wallet.fromEncryptedJson(text, password);
      return opened instanceof HDNodeWallet ? new Wallet(opened.privateKey) : opened;
    } catch (error) {
      const reason = error instanceof Error && /password/i.test(error.message) ? "its password is wrong" : "it is none";
      throw new AccountError(`The keystore ${source.keystore} does not open: ${reason}.`);
    }
  }
  const key = environment[KEY_VARIABLE];
  if (key === undefined || key === "") return undefined;
  try {
    return new Wallet(key);
  } catch {
    throw new AccountError(`${KEY_VARIABLE} is no private key: 32 bytes in hex.`);
  }
}

function read(file: string, what: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    throw new AccountError(`There is no ${what} ${file}.`);
  }
}

const answer = z.object({
  result: z.unknown().optional(),
  error: z.object({ message: z.string(), code: z.number().optional(), data: z.unknown().optional() }).optional(),
});

/** What a node refused, in its own words: Ignition reads the reasons of reverts from `data`. */
class NodeError extends Error {
  override readonly name = "NodeError";
  readonly code: number;
  readonly data: unknown;

  constructor(message: string, code: number, data: unknown) {
    super(message);
    this.code = code;
    this.data = data;
  }
}

/** JSON-RPC without more. */
export function rpcProvider(url: string): EIP1193Provider {
  return {
    async request({ method, params }) {
      let response: Response;
      try {
        response = await fetch(url, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params: params ?? [] }),
        });
      } catch (error) {
        const reason = error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error);
        throw new AccountError(`The node does not answer (${reason}): check the address after --rpc.`);
      }
      const text = await response.text();
      let json: unknown;
      try {
        json = JSON.parse(text);
      } catch {
        throw new AccountError(
          `The node answers ${response.status} and no JSON to ${method}: check the address after --rpc.`,
        );
      }
      const { result, error } = answer.parse(json);
      if (error) throw new NodeError(`${method}: ${error.message}`, error.code ?? -32_603, error.data);
      return result;
    },
  };
}

/** An account that the node itself signs for. */
export function nodeAccount(url: string, address: string): Account {
  return { address: getAddress(address), provider: rpcProvider(url) };
}

const hex = z.string().optional();
const requested = z.object({
  to: hex,
  data: hex,
  value: hex,
  gas: hex,
  nonce: hex,
  gasPrice: hex,
  maxFeePerGas: hex,
  maxPriorityFeePerGas: hex,
  chainId: hex,
});

/** An account whose key is here: transactions are signed in this process, the node only passes them on. */
export function keyAccount(url: string, wallet: Wallet, chainId: bigint): Account {
  const node = rpcProvider(url);
  return {
    address: wallet.address,
    provider: {
      async request({ method, params }) {
        if (method === "eth_accounts") return [wallet.address];
        if (method !== "eth_sendTransaction") return node.request({ method, params: params ?? [] });
        const [asked] = z.tuple([requested]).parse(params);
        const transaction = Transaction.from({
          chainId,
          type: asked.maxFeePerGas === undefined ? 0 : 2,
          data: asked.data ?? "0x",
          value: BigInt(asked.value ?? 0),
          gasLimit: BigInt(asked.gas ?? 0),
          nonce: Number(asked.nonce),
          ...(asked.to === undefined ? {} : { to: asked.to }),
          ...(asked.maxFeePerGas === undefined
            ? { gasPrice: BigInt(asked.gasPrice ?? 0) }
            : {
                maxFeePerGas: BigInt(asked.maxFeePerGas),
                maxPriorityFeePerGas: BigInt(asked.maxPriorityFeePerGas ?? 0),
              }),
        });
        return node.request({
          method: "eth_sendRawTransaction",
          params: [await wallet.signTransaction(transaction)],
        });
      },
    },
  };
}
