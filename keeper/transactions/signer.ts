/**
 * Where signatures come from: a key in this process (from a keystore, an environment variable or a file), or a remote
 * signer. A key is nowhere but in a private field: no log, error, inspection or diagnostic report shows it.
 */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { computeAddress, getAddress, type HDNodeWallet, SigningKey, Transaction, toQuantity, Wallet } from "ethers";
import * as z from "zod";
import type { KeyConfig } from "../config/schema.ts";
import { hostOf, withoutKeys } from "../config/secrets.ts";
import type { Signer } from "./types.ts";

/** The key cannot be had, or the remote signer cannot be used: says what to do. */
export class KeyError extends Error {
  override readonly name = "KeyError";
}

/** A signature cannot be had now, or is not of what was asked for. */
export class SigningError extends Error {
  override readonly name = "SigningError";
}

export interface SignerOptions {
  /** The variable with the key is taken out of it. */
  readonly environment?: NodeJS.ProcessEnv;
  /** Hears what is not as it should be, though it works. */
  readonly warn?: (text: string) => void;
  /** Deadline of a remote signer. */
  readonly timeoutMs?: number;
}

type Asked = Parameters<Signer["sign"]>[0];

/** Opens the key that the configuration names; undefined where it names none. */
export async function openSigner(key: KeyConfig, options: SignerOptions = {}): Promise<Signer | undefined> {
  const { environment = process.env, warn = () => {}, timeoutMs = 10_000 } = options;
  const secrets = takeSecrets(key, environment);
  if (key.web3signer !== undefined) {
    if (key.address === undefined) throw new KeyError("Add key.address: the account to use at the remote signer.");
    const remote = new RemoteSigner(key.web3signer, key.address, timeoutMs);
    await remote.check();
    return remote;
  }
  if (key.keystore !== undefined) {
    const password = secretOf("password", key.password_env, key.password_file, secrets, environment, warn);
    return new LocalSigner(await openKeystore(key.keystore, password));
  }
  if (key.env === undefined && key.file === undefined) return undefined;
  const text = secretOf("private key", key.env, key.file, secrets, environment, warn).trim();
  const where = key.env === undefined ? `The file ${key.file}` : `The variable ${key.env} (or its file)`;
  return new LocalSigner(keyOf(text, where));
}

/** Takes the configuration's secrets out of the environment, so that no child process and no report gets them. */
export function takeSecrets(key: KeyConfig, environment: NodeJS.ProcessEnv = process.env): ReadonlyMap<string, string> {
  const taken = new Map<string, string>();
  for (const name of [key.env, key.password_env]) {
    const value = name === undefined ? undefined : environment[name];
    if (name === undefined || value === undefined) continue;
    taken.set(name, value);
    delete environment[name];
  }
  return taken;
}

function secretOf(
  what: string,
  variable: string | undefined,
  file: string | undefined,
  secrets: ReadonlyMap<string, string>,
  environment: NodeJS.ProcessEnv,
  warn: (text: string) => void,
): string {
  if (variable === undefined) return readSecret(file ?? "", what, environment, warn);
  const value = secrets.get(variable);
  const named = environment[`${variable}_FILE`];
  if (value !== undefined && value !== "") return value;
  if (named !== undefined && named !== "") return readSecret(named, what, environment, warn);
  throw new KeyError(`There is no ${what}: set ${variable}, or ${variable}_FILE to the file that holds it.`);
}

const SECRET_LIMIT = 64 * 1024;

/** A secret's file, without the end of its line. Refused where others could read or change it. */
function readSecret(file: string, what: string, environment: NodeJS.ProcessEnv, warn: (text: string) => void): string {
  let handle: number;
  try {
    handle = openSync(file, "r");
  } catch (error) {
    throw new KeyError(`The ${what} cannot be read from ${withoutKeys(file)}: ${reasonOf(error)}.`);
  }
  try {
    const stat = fstatSync(handle); // of what is open, not of what the name means a moment later
    if (!stat.isFile()) throw new KeyError(`The ${what} cannot be read from ${file}: it is no file.`);
    if (process.platform !== "win32") checkMode(stat.mode, file, what, environment, warn);
    const buffer = Buffer.alloc(Math.min(stat.size, SECRET_LIMIT));
    const length = readSync(handle, buffer);
    const text = buffer.toString("utf8", 0, length).replace(/\r?\n$/, "");
    buffer.fill(0);
    if (text === "") throw new KeyError(`The ${what} cannot be read from ${file}: it is empty.`);
    return text;
  } finally {
    closeSync(handle);
  }
}

function checkMode(
  mode: number,
  file: string,
  what: string,
  environment: NodeJS.ProcessEnv,
  warn: (text: string) => void,
): void {
  if ((mode & 0o026) !== 0)
    throw new KeyError(
      `Everybody on this machine can ${(mode & 0o004) === 0 ? "change" : "read"} ${file}, which holds a ${what}. ` +
        `Run: chmod 600 ${file} (a container's secret: mount it with mode 0400).`,
    );
  // systemd gives its credentials to the service's user by an access list, which looks like a group's right to read
  const folder = environment.CREDENTIALS_DIRECTORY;
  const bySystemd = folder !== undefined && folder !== "" && file.startsWith(`${folder}/`);
  if ((mode & 0o040) !== 0 && !bySystemd)
    warn(`The group of ${file} may read it, and it holds a ${what}. Better: chmod 600 ${file}.`);
}

function reasonOf(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === "ENOENT") return "there is no such file";
  if (code === "EACCES" || code === "EPERM") return "this user may not read it";
  if (code === "EISDIR") return "it is a folder";
  return String(code);
}

function keyOf(text: string, where: string): SigningKey {
  const hex = /^(?:0x)?([0-9a-fA-F]{64})$/.exec(text)?.[1];
  try {
    if (hex !== undefined) {
      const key = new SigningKey(`0x${hex}`);
      if (key.publicKey !== "") return key; // computing it is what finds a number that is no key
    }
  } catch {
    // zero, or not below the curve's order; the library's error is not passed on, on purpose
  }
  throw new KeyError(`${where} holds no private key: 32 bytes in hex, and nothing else.`);
}

async function openKeystore(file: string, password: string): Promise<SigningKey> {
  let text: string;
  let handle: number | undefined;
  try {
    handle = openSync(file, "r");
    const buffer = Buffer.alloc(SECRET_LIMIT);
    text = buffer.toString("utf8", 0, readSync(handle, buffer));
  } catch (error) {
    throw new KeyError(`The keystore cannot be read from ${withoutKeys(file)}: ${reasonOf(error)}.`);
  } finally {
    if (handle !== undefined) closeSync(handle);
  }
  let opened: Wallet | HDNodeWallet | undefined;
  let wrong = false;
  try {
    opened = await Wallet.fromEncryptedJson(text, password);
  } catch (error) {
    // never passed on: who knows what the library puts into its errors
    wrong = error instanceof Error && /password/i.test(error.message);
  }
  if (opened !== undefined) return opened.signingKey;
  throw new KeyError(
    wrong
      ? `The keystore ${file} does not open: its password is wrong. Look at password_file or password_env.`
      : `The keystore ${file} does not open: it is no Web3 Secret Storage file (JSON, version 3).`,
  );
}

const unsigned = (asked: Asked): Transaction =>
  Transaction.from({
    type: 2,
    chainId: asked.chainId,
    nonce: asked.nonce,
    to: asked.to,
    data: asked.data,
    value: asked.value,
    gasLimit: asked.gasLimit,
    maxFeePerGas: asked.maxFeePerGas,
    maxPriorityFeePerGas: asked.maxPriorityFeePerGas,
  });

/** A key in this process. */
class LocalSigner implements Signer {
  readonly address: string;
  readonly #key: SigningKey;

  constructor(key: SigningKey) {
    this.#key = key;
    this.address = computeAddress(key.publicKey);
  }

  async sign(asked: Asked): Promise<string> {
    const transaction = unsigned(asked);
    transaction.signature = this.#key.sign(transaction.unsignedHash);
    return transaction.serialized;
  }
}

const answer = z.object({
  result: z.unknown().optional(),
  error: z.object({ message: z.string(), code: z.number().optional() }).nullish(),
});

const ANSWER_LIMIT = 4 * 1024 * 1024;

/**
 * A signer behind web3signer's JSON-RPC interface (`eth_accounts`, `eth_signTransaction`). What comes back is believed only
 * when it is, to the byte, the transaction that was asked for, signed by the account that was asked for.
 */
class RemoteSigner implements Signer {
  readonly address: string;
  readonly #url: string;
  readonly #host: string;
  readonly #timeoutMs: number;

  constructor(url: string, address: string, timeoutMs: number) {
    this.address = getAddress(address);
    this.#url = url;
    this.#host = `The remote signer ${hostOf(url)}`;
    this.#timeoutMs = timeoutMs;
  }

  /** Whether it is there and signs for the account. */
  async check(): Promise<void> {
    const accounts = z.array(z.string()).safeParse(await this.#ask("eth_accounts", []));
    if (!accounts.success) throw new KeyError(`${this.#host} answers no list of accounts: look at key.web3signer.`);
    const has = accounts.data.some((one) => one.toLowerCase() === this.address.toLowerCase());
    if (!has)
      throw new KeyError(
        `${this.#host} does not sign for ${this.address} (it has ${accounts.data.length} accounts). ` +
          "Load the key there, or correct key.address.",
      );
  }

  async sign(asked: Asked): Promise<string> {
    const wanted = unsigned(asked);
    const raw = await this.#ask("eth_signTransaction", [
      {
        from: this.address,
        to: asked.to,
        gas: toQuantity(asked.gasLimit),
        nonce: toQuantity(asked.nonce),
        value: toQuantity(asked.value),
        data: asked.data,
        maxFeePerGas: toQuantity(asked.maxFeePerGas),
        maxPriorityFeePerGas: toQuantity(asked.maxPriorityFeePerGas),
        chainId: toQuantity(asked.chainId),
      },
    ]);
    let signed: Transaction;
    try {
      signed = Transaction.from(z.string().parse(raw));
    } catch {
      throw new SigningError(`${this.#host} answers what is no signed transaction. Nothing was sent.`);
    }
    if (signed.chainId !== BigInt(asked.chainId))
      throw new SigningError(
        `${this.#host} signs for chain ${signed.chainId}, not ${asked.chainId}: start it with --chain-id=${asked.chainId}. Nothing was sent.`,
      );
    if (signed.unsignedHash !== wanted.unsignedHash || signed.serialized !== raw)
      throw new SigningError(`${this.#host} signed another transaction than it was asked to. Nothing was sent.`);
    if (signed.from !== this.address)
      throw new SigningError(
        `${this.#host} signed with the key of ${signed.from ?? "nobody"}, not of ${this.address}. Nothing was sent.`,
      );
    return signed.serialized;
  }

  async #ask(method: string, params: readonly unknown[]): Promise<unknown> {
    let status: number;
    let text: string;
    try {
      const response = await fetch(this.#url, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }),
        redirect: "error", // it would take the transaction to a signer that nobody chose
        signal: AbortSignal.timeout(this.#timeoutMs),
      });
      status = response.status;
      text = await limited(response);
    } catch (error) {
      throw new SigningError(`${this.#host} does not answer (${networkReason(error)}): is it running and reachable?`);
    }
    let json: unknown;
    try {
      json = JSON.parse(text);
    } catch {
      throw new SigningError(
        `${this.#host} answers ${status} and no JSON to ${method}: is key.web3signer its address?`,
      );
    }
    const parsed = answer.safeParse(json);
    if (!parsed.success) throw new SigningError(`${this.#host} answers ${status} and no JSON-RPC to ${method}.`);
    const { result, error } = parsed.data;
    if (error) throw new SigningError(`${this.#host} refuses ${method}: ${withoutKeys(error.message).slice(0, 300)}`);
    return result;
  }
}

async function limited(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body ?? []) {
    length += chunk.length;
    if (length > ANSWER_LIMIT) throw new Error("its answer is too long");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function networkReason(error: unknown): string {
  if (!(error instanceof Error)) return "no reason given";
  if (error.name === "TimeoutError") return "no answer within the deadline";
  return error.cause instanceof Error ? withoutKeys(error.cause.message) : withoutKeys(error.message);
}
