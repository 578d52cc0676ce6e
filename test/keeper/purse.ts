/**
 * A world for tests of transactions: a chain process, `Upkeep`, and a purse that it can pay from, one coin a call. Nothing
 * keeps a payment from being made twice but the sender, so the number of coins tells how often an action took effect.
 */
import { type HDNodeWallet, Interface, JsonRpcProvider, Transaction, Wallet } from "ethers";
import * as z from "zod";
import { deployContract, hardhatArtifacts, send } from "../../deploy/eigenlayer.ts";
import { RpcPool } from "../../keeper/chain/pool.ts";
import { configSchema } from "../../keeper/config/schema.ts";
import type { Action, Urgency } from "../../keeper/plan/types.ts";
import type { BlockRef } from "../../keeper/state/types.ts";
import { Explainer } from "../../keeper/transactions/explain.ts";
import { type Tariffs, tariffs } from "../../keeper/transactions/fees.ts";
import { type Identity, Journal } from "../../keeper/transactions/journal.ts";
import { JournaledSender, type Notice, type SenderOptions } from "../../keeper/transactions/sender.ts";
import type { Batch, Signer } from "../../keeper/transactions/types.ts";
import { type Chain as Process, rpc, startChain } from "../../scripts/chain.ts";
import { buildContracts } from "../../scripts/lib/build.ts";

export interface Purse {
  readonly process: Process;
  readonly chain: RpcPool;
  readonly upkeep: string;
  readonly token: string;
  close(): Promise<void>;
}

const TOKEN = new Interface([
  "function transfer(address to, uint256 amount)",
  "function balanceOf(address) view returns (uint256)",
  "error ERC20InsufficientBalance(address sender, uint256 balance, uint256 needed)",
]);
export const COINS = 1_000_000n;

export const chainOf = (...urls: readonly string[]) =>
  new RpcPool({ urls, chainId: 31_337, timeoutSeconds: 5, maxHeadAgeSeconds: 0 });

export async function startPurse(): Promise<Purse> {
  await buildContracts();
  const process = await startChain();
  const provider = new JsonRpcProvider(process.url, 31_337, { staticNetwork: true, batchMaxCount: 1 });
  try {
    const owner = await provider.getSigner(0);
    const token = await deployContract(
      owner,
      hardhatArtifacts("LocalToken", "contracts/local/LocalToken.sol"),
      owner.address,
      "Coin",
      "COIN",
    );
    const nobody = `0x${"11".repeat(20)}`;
    const artifact = hardhatArtifacts("Upkeep", "contracts/periphery/upkeep/Upkeep.sol");
    const upkeep = await deployContract(owner, artifact, nobody, nobody);
    await send(token, "mint", await upkeep.getAddress(), COINS);
    const chain = chainOf(process.url);
    return {
      process,
      chain,
      upkeep: await upkeep.getAddress(),
      token: await token.getAddress(),
      close: async () => {
        await chain.close();
        await process.stop();
      },
    };
  } catch (error) {
    await process.stop();
    throw error;
  } finally {
    provider.destroy();
  }
}

export async function mine(url: string, blocks = 1): Promise<void> {
  for (let i = 0; i < blocks; i++) await rpc(url, "evm_mine", []);
}

export const automine = (url: string, on: boolean) => rpc(url, "evm_setAutomine", [on]);

export async function fund(url: string, address: string, ether: number): Promise<void> {
  await rpc(url, "hardhat_setBalance", [address, `0x${(BigInt(Math.round(ether * 1e9)) * 10n ** 9n).toString(16)}`]);
}

/** How many coins somebody was paid. */
export async function coins(chain: RpcPool, token: string, owner: string): Promise<number> {
  const answer = await chain.call({ to: token, data: TOKEN.encodeFunctionData("balanceOf", [owner]) }, "latest");
  return Number(z.bigint().parse(TOKEN.decodeFunctionResult("balanceOf", answer)[0]));
}

/** Pays somebody; one that asks for more than there is fails. */
export function payment(token: string, to: string, urgency: Urgency, amount = 1n): Action {
  return {
    tier: token,
    job: urgency === "protection" ? "unwind" : "deploy",
    subject: `for ${to}`,
    urgency,
    reason: "a test pays",
    call: {
      target: token,
      data: TOKEN.encodeFunctionData("transfer", [to, amount]),
      text: `transfer(${to}, ${amount})`,
    },
  };
}

export function batch(actions: readonly Action[]): Batch {
  const [first] = actions;
  if (!first) throw new Error("A batch has an action.");
  return { tier: first.tier, urgency: first.urgency, actions };
}

export function walletSigner(wallet: Wallet | HDNodeWallet): Signer {
  return { address: wallet.address, sign: (transaction) => wallet.signTransaction({ type: 2, ...transaction }) };
}

export const CONFIG = configSchema.parse({ chain_id: 31_337, rpc: ["http://127.0.0.1:1"] });
export const TARIFFS: Tariffs = tariffs({
  ...CONFIG.fees,
  routine: { ...CONFIG.fees.routine, replace_after_blocks: 2 },
});

export const explainer = () => new Explainer([TOKEN]);

export interface Keeper {
  readonly wallet: Wallet | HDNodeWallet;
  readonly journal: Journal;
  readonly sender: JournaledSender;
  readonly notices: Notice[];
  /** One round at the head, as the daemon does it. */
  tend(): ReturnType<JournaledSender["tend"]>;
  head(): Promise<BlockRef>;
}

export function identity(purse: { readonly upkeep: string }, account: string): Identity {
  return { chainId: 31_337, account, deployment: purse.upkeep };
}

export function openKeeper(
  purse: Pick<Purse, "chain" | "upkeep">,
  wallet: Wallet | HDNodeWallet,
  file = ":memory:",
  options: Partial<SenderOptions> = {},
): Keeper {
  const journal = Journal.open(file, identity(purse, wallet.address));
  const notices: Notice[] = [];
  const sender = new JournaledSender({
    chain: purse.chain,
    journal,
    signer: walletSigner(wallet),
    upkeep: purse.upkeep,
    explainer: explainer(),
    tariffs: TARIFFS,
    agreement: 1,
    dryRun: false,
    notify: (notice) => notices.push(notice),
    ...options,
  });
  const head = async () => {
    const header = await purse.chain.header("latest");
    if (!header) throw new Error("The chain has no block.");
    return header;
  };
  const tend = async () => {
    const final = await purse.chain.header("finalized");
    return sender.tend(await head(), final ?? (await head()));
  };
  return { wallet, journal, sender, notices, tend, head };
}

/** A keeper with a new account that can pay. */
export async function newKeeper(
  purse: Purse,
  options: Partial<SenderOptions> & { ether?: number } = {},
): Promise<Keeper> {
  const { ether = 100, ...rest } = options;
  const wallet = Wallet.createRandom();
  await fund(purse.process.url, wallet.address, ether);
  return openKeeper(purse, wallet, ":memory:", rest);
}

/** Somebody else who has the keeper's key sends something. */
export async function foreign(
  purse: Pick<Purse, "chain">,
  wallet: Wallet | HDNodeWallet,
  nonce: number,
  gwei = 200,
): Promise<string> {
  const fee = BigInt(gwei) * 10n ** 9n;
  const raw = await wallet.signTransaction({
    type: 2,
    chainId: 31_337,
    nonce,
    to: wallet.address,
    value: 0n,
    gasLimit: 21_000n,
    maxFeePerGas: fee,
    maxPriorityFeePerGas: fee,
  });
  await purse.chain.broadcast(raw);
  return Transaction.from(raw).hash ?? "";
}
