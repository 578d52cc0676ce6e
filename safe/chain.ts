/** What the chain says about a Safe and about calls that it wants to make. */
import { Contract, getAddress, Interface, isCallException, keccak256, type Provider, type Signer } from "ethers";
import * as z from "zod";
import type { Book } from "./book.ts";
import { type Proposal, transactionOf } from "./proposal.ts";
import { type Call, joinSignatures, readSimulation, type SafeTx } from "./transaction.ts";

const SAFE = new Interface([
  "function VERSION() view returns (string)",
  "function nonce() view returns (uint256)",
  "function getOwners() view returns (address[])",
  "function getThreshold() view returns (uint256)",
  "function simulateAndRevert(address target, bytes data)",
  "function execTransaction(address to, uint256 value, bytes data, uint8 operation, uint256 safeTxGas, uint256 baseGas, uint256 gasPrice, address gasToken, address refundReceiver, bytes signatures) payable returns (bool)",
  "event ExecutionSuccess(bytes32 indexed txHash, uint256 payment)",
  "error Error(string)",
]);

/**
 * MultiSendCallOnly of Safe's releases, by the hash of its code: other code, called by delegatecall, could do anything to
 * the Safe. Hashes and addresses: github.com/safe-global/safe-deployments, multi_send_call_only.json of each version.
 */
const MULTI_SENDS: ReadonlyMap<string, string> = new Map([
  ["0xa9865ac2d9c7a1591619b188c4d88167b50df6cc0c5327fcbd1c8c75f7c066ad", "1.3.0"],
  ["0xecd5bd14a08c5d2122379900b2f272bdf107a7e92423c10dd5fe3254386c9939", "1.4.1"],
  ["0xcdbdcec38d2f1c7d961b0029ff8416b7e86e9974d6f0e9c9580c7d17fcfb6663", "1.5.0"],
]);
/** Its canonical address since 1.4.1, on mainnet and on Hoodi. */
export const MULTI_SEND_ADDRESS = "0x9641d764fc13c8B624c04430C7356C1C7C8102e2";

export interface SafeState {
  readonly address: string;
  readonly version: string;
  readonly owners: readonly string[];
  readonly threshold: number;
  readonly nonce: bigint;
}

export async function readSafe(provider: Provider, address: string): Promise<SafeState> {
  if ((await provider.getCode(address)) === "0x")
    throw new Error(`There is no contract at ${address}: is this the Safe's address, and the right chain?`);
  const safe = new Contract(address, SAFE, provider);
  try {
    const read = async <T>(schema: z.ZodType<T>, fn: string) => schema.parse(await safe.getFunction(fn).staticCall());
    return {
      address: getAddress(address),
      version: await read(z.string(), "VERSION"),
      owners: (await read(z.custom<readonly string[]>(), "getOwners")).map((owner) => getAddress(owner)),
      threshold: Number(await read(z.bigint(), "getThreshold")),
      nonce: await read(z.bigint(), "nonce"),
    };
  } catch {
    throw new Error(`${address} does not answer like a Safe.`);
  }
}

/** Refuses a proposal that this Safe on this chain cannot execute any more, or not yet. */
export async function checkProposal(provider: Provider, proposal: Proposal): Promise<SafeState> {
  const { chainId } = await provider.getNetwork();
  if (chainId !== proposal.chainId)
    throw new Error(`The proposal is for chain ${proposal.chainId}, and the RPC is of chain ${chainId}.`);
  const safe = await readSafe(provider, proposal.safe);
  if (proposal.nonce < safe.nonce)
    throw new Error(
      `The proposal has number ${proposal.nonce}, and the Safe is at ${safe.nonce}: this number was used, by it or by another transaction. Propose it again.`,
    );
  if (proposal.nonce > safe.nonce)
    throw new Error(
      `The proposal has number ${proposal.nonce}, and the Safe is at ${safe.nonce}: execute the ones before it first.`,
    );
  if (proposal.calls.length > 1) await checkMultiSend(provider, proposal.multiSend);
  for (const owner of proposal.signatures.keys())
    if (!safe.owners.includes(owner))
      throw new Error(`${owner} signed and is not an owner of the Safe: remove the signature from the file.`);
  return safe;
}

export async function checkMultiSend(provider: Provider, address: string): Promise<void> {
  if (!MULTI_SENDS.has(keccak256(await provider.getCode(address))))
    throw new Error(
      `${address} is not MultiSendCallOnly of a Safe release (1.3.0, 1.4.1, 1.5.0): name the right one with --multisend.`,
    );
}

// ------------------------------------------------------------------------------------------- through AccessManager

export const MANAGER = new Interface([
  "function canCall(address caller, address target, bytes4 selector) view returns (bool immediate, uint32 delay)",
  "function hashOperation(address caller, address target, bytes data) view returns (bytes32)",
  "function getSchedule(bytes32 id) view returns (uint48)",
  "function schedule(address target, bytes data, uint48 when) returns (bytes32, uint32)",
  "function execute(address target, bytes data) payable returns (uint32)",
  "function cancel(address caller, address target, bytes data) returns (uint32)",
]);
const MANAGED = new Interface([
  "function authority() view returns (address)",
  "function owner() view returns (address)",
]);

export type Via = "auto" | "direct" | "schedule" | "execute" | "cancel";

export interface Routed {
  readonly call: Call;
  /** What was done to it, in a sentence. */
  readonly note?: string;
}

/**
 * The call that the Safe must make so that `call` happens: itself where its role may at once; announced where its role has
 * a delay; executed where it was announced and the delay is over.
 */
export async function route(provider: Provider, safe: string, call: Call, via: Via, of?: string): Promise<Routed> {
  if (via === "direct" || call.data.length < 10) return { call };
  const managed = await managerOf(provider, call.to);
  if (managed === undefined) {
    if (via !== "auto") throw new Error(`${call.to} has no AccessManager, so nothing can be announced for it.`);
    return { call };
  }
  const manager = new Contract(managed.manager, MANAGER, provider);
  const through = (fn: string, args: readonly unknown[]): Call => ({
    to: managed.manager,
    value: 0n,
    data: MANAGER.encodeFunctionData(fn, args),
  });
  const execute = through("execute", [call.to, call.data]);
  if (via === "execute") return { call: execute };
  if (via === "schedule") return { call: through("schedule", [call.to, call.data, 0]) };
  if (via === "cancel") return { call: through("cancel", [of ?? safe, call.to, call.data]) };

  const [immediate, delay] = z
    .tuple([z.boolean(), z.bigint()])
    .parse([...(await manager.getFunction("canCall")(safe, call.to, call.data.slice(0, 10)))]);
  if (immediate) return managed.owns ? { call: execute, note: "through AccessManager, which owns it" } : { call };
  // not restricted, or not for this Safe: the simulation will tell
  if (delay === 0n) return { call };
  const id = await manager.getFunction("hashOperation")(safe, call.to, call.data);
  const due = z.bigint().parse(await manager.getFunction("getSchedule")(id));
  if (due === 0n)
    return {
      call: through("schedule", [call.to, call.data, 0]),
      note: `announced: it can be executed ${Number(delay) / 86_400} days after this transaction; propose the same call again then`,
    };
  const now = BigInt((await provider.getBlock("latest"))?.timestamp ?? 0);
  if (due > now)
    throw new Error(
      `This call was announced and can be executed from ${new Date(Number(due) * 1000).toISOString()}: propose it again then, or --via cancel.`,
    );
  return { call: execute, note: "announced before; its delay is over" };
}

async function managerOf(
  provider: Provider,
  target: string,
): Promise<{ readonly manager: string; readonly owns: boolean } | undefined> {
  const contract = new Contract(target, MANAGED, provider);
  for (const fn of ["authority", "owner"] as const) {
    try {
      const manager = getAddress(z.string().parse(await contract.getFunction(fn).staticCall()));
      if ((await provider.getCode(manager)) === "0x") continue;
      await new Contract(manager, MANAGER, provider).getFunction("canCall")(target, target, "0x00000000");
      return { manager, owns: fn === "owner" };
    } catch {
      // not that kind of contract
    }
  }
  return undefined;
}

// -------------------------------------------------------------------------------------------------- simulation

/** The error of the first call that fails; undefined where all pass, one after the other, as the Safe. */
export async function simulate(
  provider: Provider,
  book: Book,
  proposal: Proposal,
): Promise<{ readonly index: number; readonly reason: string } | undefined> {
  const { calls } = proposal;
  if (calls.length === 1) {
    const failed = await callAs(provider, proposal.safe, transactionOf(proposal));
    return failed === undefined ? undefined : { index: 0, reason: book.reason(failed) };
  }
  const whole = await delegate(provider, proposal);
  if (whole === undefined) return undefined;
  // the batch has one reason; how many of its calls pass says whose it is
  for (let n = 1; n <= calls.length; n++) {
    const part = { ...proposal, calls: calls.slice(0, n) };
    const failed =
      n === 1 ? await callAs(provider, proposal.safe, transactionOf(part)) : await delegate(provider, part);
    if (failed !== undefined) return { index: n - 1, reason: book.reason(failed) };
  }
  return { index: calls.length - 1, reason: book.reason(whole) };
}

async function callAs(provider: Provider, from: string, tx: SafeTx): Promise<string | undefined> {
  try {
    await provider.call({ from, to: tx.to, data: tx.data, value: tx.value });
    return undefined;
  } catch (error) {
    return revertReason(error);
  }
}

/** Runs a batch inside the Safe, which reverts with its result. */
async function delegate(provider: Provider, proposal: Proposal): Promise<string | undefined> {
  const tx = transactionOf(proposal);
  const data = SAFE.encodeFunctionData("simulateAndRevert", [tx.to, tx.data]);
  try {
    await provider.call({ to: proposal.safe, data });
  } catch (error) {
    const { ok, returned } = readSimulation(revertReason(error));
    return ok ? undefined : returned;
  }
  throw new Error("The Safe did not revert its simulation: it is older than version 1.3.");
}

/** The data of a revert; any other failure goes on. */
export function revertReason(error: unknown): string {
  if (!isCallException(error)) throw error;
  const data = error.data ?? z.object({ data: z.string() }).safeParse(error.info?.error).data?.data;
  return typeof data === "string" ? data : "0x";
}

// --------------------------------------------------------------------------------------------------- execution

export function missing(safe: SafeState, proposal: Proposal): { readonly given: number; readonly absent: string[] } {
  const absent = safe.owners.filter((owner) => !proposal.signatures.has(owner));
  return { given: safe.owners.length - absent.length, absent };
}

/** Sends the transaction; anybody may, once enough owners have signed. Returns its hash. */
export async function execute(sender: Signer, book: Book, proposal: Proposal): Promise<string> {
  const { provider } = sender;
  if (!provider) throw new Error("The sender needs a provider.");
  const safe = await checkProposal(provider, proposal);
  const { given, absent } = missing(safe, proposal);
  if (given < safe.threshold)
    throw new Error(
      `${safe.threshold} owners must sign and ${given} did: ask ${safe.threshold - given} of ${absent.join(", ")}.`,
    );
  const failed = await simulate(provider, book, proposal);
  if (failed !== undefined)
    throw new Error(`Not sent: call ${failed.index + 1} would fail now; ${failed.reason}. Nothing was spent.`);
  const tx = transactionOf(proposal);
  const needed = new Map([...proposal.signatures].slice(0, safe.threshold));
  const contract = new Contract(safe.address, SAFE, sender);
  const nobody = "0x0000000000000000000000000000000000000000";
  const args = [tx.to, tx.value, tx.data, tx.operation, 0, 0, 0, nobody, nobody, joinSignatures(needed)];
  const sent = await contract.getFunction("execTransaction").send(...args);
  const receipt = await sent.wait();
  const done = receipt?.logs.some((log) => SAFE.parseLog(log)?.name === "ExecutionSuccess");
  if (!done) throw new Error(`Transaction ${sent.hash} was mined, and the Safe does not report a success.`);
  return sent.hash;
}
