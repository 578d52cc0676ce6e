/** Reorgs on a real chain process: its head goes back to a mark, and other blocks follow. */
import * as z from "zod";
import { rpc } from "../../scripts/chain.ts";

export interface ReorgOptions {
  /** Blocks of the new branch. */
  readonly blocks: number;
  /** Raw transactions that the new branch has, in this order (`FaultProxy.sent` has what went through a proxy). */
  readonly transactions?: readonly string[];
  /** Anything else that happens on the new branch before its blocks are mined. */
  readonly before?: () => Promise<void>;
  /** Seconds between its blocks. */
  readonly interval?: number;
}

/**
 * Marks the head. What it returns takes the chain back here and mines another branch, as often as one likes; the mempool
 * goes back too, so that a transaction of the old branch is gone unless the new one has it.
 */
export async function mark(url: string): Promise<(options: ReorgOptions) => Promise<void>> {
  const take = async (): Promise<string> => z.string().parse(await rpc(url, "evm_snapshot", []));
  let snapshot = await take();
  let branch = 0;
  return async ({ blocks, transactions = [], before, interval = 12 }) => {
    if ((await rpc(url, "evm_revert", [snapshot])) !== true) throw new Error("The chain process forgot the mark.");
    snapshot = await take();
    // another block producer, so that no block of the new branch has the hash of an old one
    branch++;
    await rpc(url, "hardhat_setCoinbase", [`0x${(0xb0b0_0000 + branch).toString(16).padStart(40, "0")}`]);
    await before?.();
    for (const raw of transactions) await rpc(url, "eth_sendRawTransaction", [raw]);
    for (let i = 0; i < blocks; i++) {
      await rpc(url, "evm_increaseTime", [interval - 1]);
      await rpc(url, "evm_mine", []);
    }
  };
}
