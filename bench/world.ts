/**
 * A chain on which gas is the same to the unit in every run: accounts, amounts, blocks and their times are all fixed.
 * Everything that moves the chain goes through `FixedTimeProvider`; the rest is the world of the integration tests.
 */
import { Interface, JsonRpcProvider } from "ethers";
import * as z from "zod";
import type { EigenLayerKind } from "../deploy/eigenlayer.ts";
import { deployLocal, FIRST_USER_ACCOUNT } from "../deploy/local.ts";
import { startChain } from "../scripts/chain.ts";
import { buildContracts } from "../scripts/lib/build.ts";
import { BLOCK_TIME, type World } from "../test/integration/world.ts";

/** Far enough ahead that the clock of the machine never overtakes the chain (2035). */
const GENESIS = 2_051_222_400;
const GAS = 16_000_000n;
const USERS = 12;
/** Given, because the node would take longer to propose fees than to run the transaction. */
const FEES = { maxFeePerGas: `0x${(100n * 10n ** 9n).toString(16)}`, maxPriorityFeePerGas: "0x0" };
const mined = z.object({ transactions: z.array(z.unknown()) });
const blockTime = z.object({ timestamp: z.string().transform(Number) });

/** Mines each transaction twelve seconds after the one before; sends without an estimate, which would cost time. */
class FixedTimeProvider extends JsonRpcProvider {
  /** While false, transactions wait in the pool until `mineWaiting`. */
  automine = true;

  override async send(method: string, params: unknown[] | Record<string, unknown>): Promise<unknown> {
    if (method === "eth_estimateGas") return `0x${GAS.toString(16)}`;
    const moves =
      method === "hardhat_mine" || method === "evm_mine" || (method === "eth_sendTransaction" && this.automine);
    if (moves) await this.advance();
    if (method !== "eth_sendTransaction" || !Array.isArray(params)) return super.send(method, params);
    return super.send(method, [Object.assign({}, params[0], FEES)]);
  }

  async advance(): Promise<void> {
    const latest = blockTime.parse(await super.send("eth_getBlockByNumber", ["latest", false]));
    await super.send("evm_setNextBlockTimestamp", [Math.max(latest.timestamp + BLOCK_TIME, GENESIS)]);
  }
}

export interface Call {
  readonly from: string;
  readonly to: string;
  readonly data: string;
}

export interface BenchWorld extends World {
  /** Sends many transactions of one account, as many as fit into a block, and fails where one is left out. */
  together(calls: readonly Call[], gasEach: number): Promise<void>;
}

const BLOCK_GAS = 45_000_000;

export async function startBench(eigenlayer: EigenLayerKind, log?: (line: string) => void): Promise<BenchWorld> {
  await buildContracts();
  const chain = await startChain();
  const provider = new FixedTimeProvider(chain.url, 31_337, {
    staticNetwork: true,
    batchMaxCount: 1,
    cacheTimeout: -1,
    pollingInterval: 20,
  });
  const close = async () => {
    provider.destroy();
    await chain.stop();
  };
  const together = async (calls: readonly Call[], gasEach: number) => {
    const inBlock = Math.floor(BLOCK_GAS / gasEach);
    const gas = `0x${gasEach.toString(16)}`;
    await provider.send("evm_setAutomine", [false]);
    provider.automine = false;
    try {
      let nonce = calls[0] ? await provider.getTransactionCount(calls[0].from) : 0;
      for (let i = 0; i < calls.length; i += inBlock) {
        const block = calls.slice(i, i + inBlock);
        // with its nonce: without, the node would run all that waits to find it
        for (const call of block)
          await provider.send("eth_sendTransaction", [{ ...call, gas, nonce: `0x${(nonce++).toString(16)}` }]);
        await provider.send("evm_mine", []);
        const { transactions } = mined.parse(await provider.send("eth_getBlockByNumber", ["latest", false]));
        if (transactions.length !== block.length)
          throw new Error(`${transactions.length} of ${block.length} transactions were mined.`);
      }
    } finally {
      provider.automine = true;
      await provider.send("evm_setAutomine", [true]);
    }
  };
  try {
    const local = await deployLocal(provider, { eigenlayer, ...(log ? { log } : {}) });
    const indexes = Array.from({ length: USERS }, (_, i) => FIRST_USER_ACCOUNT + i);
    const users = await Promise.all(indexes.map((index) => provider.getSigner(index)));
    return { chain, provider, local, users, errors: new Interface([]), close, together };
  } catch (error) {
    await close();
    throw error;
  }
}
