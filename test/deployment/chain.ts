/** What the deployment tests share: a chain process with somebody else's EigenLayer, Lido and WETH on it. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { JsonRpcProvider } from "ethers";
import { deployOutside, localNetwork, type Outside } from "../../deploy/local.ts";
import type { CompleteNetwork } from "../../deploy/network.ts";
import { startChain } from "../../scripts/chain.ts";
import { buildContracts } from "../../scripts/lib/build.ts";

export interface Stage {
  readonly url: string;
  readonly provider: JsonRpcProvider;
  readonly outside: Outside;
  readonly network: CompleteNetwork;
  /** A folder that goes with the chain. */
  readonly folder: string;
  close(): Promise<void>;
}

export async function startStage(): Promise<Stage> {
  await buildContracts();
  const chain = await startChain();
  const provider = new JsonRpcProvider(chain.url, 31_337, { staticNetwork: true, batchMaxCount: 1, cacheTimeout: -1 });
  provider.pollingInterval = 20;
  const folder = mkdtempSync(join(tmpdir(), "bulkhead-deployment-"));
  const close = async () => {
    provider.destroy();
    rmSync(folder, { recursive: true, force: true });
    await chain.stop();
  };
  try {
    const outside = await deployOutside(provider, { eigenlayer: "local" });
    return { url: chain.url, provider, outside, network: await localNetwork(outside), folder, close };
  } catch (error) {
    await close();
    throw error;
  }
}
