/**
 * Compares what is on a chain with what a configuration expects, before anything is sent. Reads only; every difference
 * is one sentence that names the address, what was found, and what was expected.
 */
import { Contract, getAddress, isError, type Provider, ZeroAddress } from "ethers";
import * as z from "zod";
import type { Network } from "./network.ts";

const FACES = {
  delegation: [
    "function minWithdrawalDelayBlocks() view returns (uint32)",
    "function version() view returns (string)",
    "function strategyManager() view returns (address)",
    "function allocationManager() view returns (address)",
  ],
  allocation: [
    "function DEALLOCATION_DELAY() view returns (uint32)",
    "function ALLOCATION_CONFIGURATION_DELAY() view returns (uint32)",
    "function SLASHER_CONFIGURATION_DELAY() view returns (uint32)",
    "function getSlasher((address avs, uint32 id)) view returns (address)",
  ],
  strategies: [
    "function version() view returns (string)",
    "function strategyIsWhitelistedForDeposit(address) view returns (bool)",
  ],
  permissions: [
    "function canCall(address account, address caller, address target, bytes4 selector) view returns (bool)",
  ],
  rewards: ["function getDistributionRootsLength() view returns (uint256)"],
  factory: ["function deployedStrategies(address) view returns (address)"],
  registry: ["function version() view returns (string)"],
  strategy: ["function underlyingToken() view returns (address)"],
  steth: [
    "function symbol() view returns (string)",
    "function decimals() view returns (uint8)",
    "function getPooledEthByShares(uint256) view returns (uint256)",
    "function getCurrentStakeLimit() view returns (uint256)",
  ],
  queue: [
    "function STETH() view returns (address)",
    "function MIN_STETH_WITHDRAWAL_AMOUNT() view returns (uint256)",
    "function MAX_STETH_WITHDRAWAL_AMOUNT() view returns (uint256)",
    "function getLastFinalizedRequestId() view returns (uint256)",
  ],
  weth: ["function symbol() view returns (string)", "function decimals() view returns (uint8)"],
} as const;

const ETH = 10n ** 18n;

/** What differs; empty where everything is as expected. */
export async function checkNetwork(provider: Provider, network: Network): Promise<readonly string[]> {
  const chainId = (await provider.getNetwork()).chainId;
  // on another chain nothing else means anything
  if (chainId !== BigInt(network.chainId))
    return [`The node is on chain ${chainId}; ${network.name} is chain ${network.chainId}.`];
  const differences: string[] = [];
  const say = (sentence: string) => differences.push(sentence);
  const { eigenlayer, lido, weth } = network;

  const named = Object.entries({
    "eigenlayer.delegationManager": eigenlayer.delegationManager,
    "eigenlayer.strategyManager": eigenlayer.strategyManager,
    "eigenlayer.allocationManager": eigenlayer.allocationManager,
    "eigenlayer.strategyFactory": eigenlayer.strategyFactory,
    "eigenlayer.permissionController": eigenlayer.permissionController,
    "eigenlayer.rewardsCoordinator": eigenlayer.rewardsCoordinator,
    "eigenlayer.keyRegistrar": eigenlayer.keyRegistrar,
    "eigenlayer.protocolRegistry": eigenlayer.protocolRegistry,
    "eigenlayer.strategy": eigenlayer.strategy,
    "lido.steth": lido.steth,
    "lido.queue": lido.queue,
    weth,
  });
  const present = new Set<string>();
  for (const [name, address] of named) {
    if (address === undefined) continue;
    if ((await provider.getCode(address)) === "0x") say(`${name} (${address}) has no code.`);
    else present.add(address);
  }

  /** Asks one function; undefined, and a sentence, where it does not answer. Silent where the code is missing. */
  const ask = async (
    name: string,
    address: string | undefined,
    face: keyof typeof FACES,
    fn: string,
    ...args: unknown[]
  ): Promise<unknown> => {
    if (address === undefined || !present.has(address)) return undefined;
    try {
      return await new Contract(address, FACES[face], provider).getFunction(fn)(...args);
    } catch (error) {
      if (!isError(error, "CALL_EXCEPTION") && !isError(error, "BAD_DATA")) throw error;
      const words = nodeWords(error);
      // a node that cannot answer at all says nothing about the contract
      if (words !== undefined && !/revert/i.test(words)) throw new Error(`The node refuses to answer ${fn}: ${words}`);
      say(`${name} (${address}) does not answer ${fn}: it is another contract, or another version of it.`);
      return undefined;
    }
  };
  const expect = (name: string, fn: string, found: unknown, expected: unknown) => {
    if (found !== undefined && String(found) !== String(expected))
      say(`${name}.${fn} is ${String(found)}; the configuration expects ${String(expected)}.`);
  };
  const same = (name: string, fn: string, found: unknown, expected: string, called: string) => {
    if (typeof found === "string" && getAddress(found) !== getAddress(expected))
      say(`${name}.${fn} is ${found}, and not ${called} (${expected}).`);
  };
  const versioned = (name: string, found: unknown) => {
    const { atLeast, below } = eigenlayer.version;
    if (typeof found === "string" && !(compare(found, atLeast) >= 0 && compare(found, below) < 0))
      say(`${name}.version is ${found}; the configuration expects at least ${atLeast} and below ${below}.`);
  };

  const { delegationManager: dm, allocationManager: am, strategyManager: sm } = eigenlayer;
  const { delays } = eigenlayer;
  const DM = "DelegationManager";
  const AM = "AllocationManager";
  const SM = "StrategyManager";
  expect(
    DM,
    "minWithdrawalDelayBlocks",
    await ask(DM, dm, "delegation", "minWithdrawalDelayBlocks"),
    delays.withdrawal,
  );
  same(DM, "strategyManager", await ask(DM, dm, "delegation", "strategyManager"), sm, "eigenlayer.strategyManager");
  same(
    DM,
    "allocationManager",
    await ask(DM, dm, "delegation", "allocationManager"),
    am,
    "eigenlayer.allocationManager",
  );
  versioned(DM, await ask(DM, dm, "delegation", "version"));
  expect(AM, "DEALLOCATION_DELAY", await ask(AM, am, "allocation", "DEALLOCATION_DELAY"), delays.deallocation);
  for (const fn of ["ALLOCATION_CONFIGURATION_DELAY", "SLASHER_CONFIGURATION_DELAY"])
    expect(AM, fn, await ask(AM, am, "allocation", fn), delays.configuration);
  versioned(SM, await ask(SM, sm, "strategies", "version"));
  versioned("ProtocolRegistry", await ask("ProtocolRegistry", eigenlayer.protocolRegistry, "registry", "version"));
  const rights = [dm, dm, dm, "0x00000000"];
  await ask("PermissionController", eigenlayer.permissionController, "permissions", "canCall", ...rights);
  await ask("RewardsCoordinator", eigenlayer.rewardsCoordinator, "rewards", "getDistributionRootsLength");
  await ask("StrategyFactory", eigenlayer.strategyFactory, "factory", "deployedStrategies", lido.steth);

  const { strategy } = eigenlayer;
  const underlying = await ask("eigenlayer.strategy", strategy, "strategy", "underlyingToken");
  same("eigenlayer.strategy", "underlyingToken", underlying, lido.steth, "lido.steth");
  if (strategy !== undefined && present.has(strategy)) {
    const listed = await ask(SM, sm, "strategies", "strategyIsWhitelistedForDeposit", strategy);
    if (listed === false) say(`${SM} takes no deposits for eigenlayer.strategy (${strategy}).`);
  }

  expect("lido.steth", "symbol", await ask("lido.steth", lido.steth, "steth", "symbol"), "stETH");
  expect("lido.steth", "decimals", await ask("lido.steth", lido.steth, "steth", "decimals"), 18);
  const rate = await ask("lido.steth", lido.steth, "steth", "getPooledEthByShares", ETH);
  if (typeof rate === "bigint" && !(rate > ETH / 2n && rate < 10n * ETH))
    say(`lido.steth says that one share is worth ${rate} wei, which no Lido has ever been.`);
  await ask("lido.steth", lido.steth, "steth", "getCurrentStakeLimit");
  same("lido.queue", "STETH", await ask("lido.queue", lido.queue, "queue", "STETH"), lido.steth, "lido.steth");
  for (const fn of ["MIN_STETH_WITHDRAWAL_AMOUNT", "MAX_STETH_WITHDRAWAL_AMOUNT", "getLastFinalizedRequestId"])
    await ask("lido.queue", lido.queue, "queue", fn);
  expect("weth", "symbol", await ask("weth", weth, "weth", "symbol"), "WETH");
  expect("weth", "decimals", await ask("weth", weth, "weth", "decimals"), 18);

  if (!network.rolesMayBeKeys) {
    for (const [role, holder] of Object.entries(network.roles)) {
      if (holder !== undefined && (await provider.getCode(holder)) === "0x")
        say(`roles.${role} (${holder}) has no code, so one key would hold it: name a Safe, or set rolesMayBeKeys.`);
    }
  }
  return differences;
}

const nodeError = z.object({ info: z.object({ error: z.object({ message: z.string() }) }) });

/** EigenLayer's strategy of stETH by its factory's own list; undefined where it has none. */
export async function listedStrategy(provider: Provider, { eigenlayer, lido }: Network): Promise<string | undefined> {
  const factory = new Contract(eigenlayer.strategyFactory, FACES.factory, provider);
  const listed = String(await factory.getFunction("deployedStrategies")(lido.steth));
  return listed === ZeroAddress ? undefined : listed;
}

/** What the node itself said, below ethers' words. */
const nodeWords = (error: unknown): string | undefined => nodeError.safeParse(error).data?.info.error.message;

/** As versions are ordered; anything that is none is older than all. */
function compare(one: string, other: string): number {
  const parts = (text: string) => (/^v?(\d+)\.(\d+)\.(\d+)/.exec(text) ?? ["", "-1", "0", "0"]).slice(1, 4).map(Number);
  const [a, b] = [parts(one), parts(other)];
  for (const [i, part] of a.entries()) {
    const difference = part - (b[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
