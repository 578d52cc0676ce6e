/**
 * Everything for a local chain in one call: WETH, Lido with its withdrawal queue, EigenLayer (our stand-in or the real
 * bytecode), EigenLayer's strategy for stETH, and Bulkhead. The scenario and the integration tests start from here.
 */
import { Contract, Interface, type JsonRpcProvider, type JsonRpcSigner, parseEther } from "ethers";
import * as z from "zod";
import { LOCAL_CHAIN_ID } from "../deployments/index.ts";
import { checkNetwork } from "./check.ts";
import {
  chosenEigenLayer,
  deployContract,
  deployEigenLayer,
  type EigenLayerContract,
  type EigenLayerDeployment,
  type EigenLayerKind,
  hardhatArtifacts,
  LOCAL_EIGENLAYER,
  send,
} from "./eigenlayer.ts";
import { type CompleteNetwork, complete, inputsFor, type Network, NetworkError } from "./network.ts";
import { DEFAULT_TIMINGS, deployProtocol, type Protocol, type Timings } from "./protocol.ts";
import { DEFAULT_ROLE_DELAYS, type RoleDelays, type RoleHolders } from "./roles.ts";

/** Accounts of the local chain by their part; the rest are free for users. */
export const LOCAL_ACCOUNTS = {
  admin: 0,
  curator: 1,
  guardian: 2,
  upgrader: 3,
  keeper: 4,
  /** Gets the protocol's part of AVS rewards. */
  treasury: 5,
  /** Reports Lido's rewards and losses and finalises its withdrawals; owns EigenLayer's pause switches. */
  outside: 0,
} as const;

/** The first account that no part of the deployment uses. */
export const FIRST_USER_ACCOUNT = 6;

export interface LocalOptions {
  readonly eigenlayer?: EigenLayerKind;
  readonly timings?: Timings;
  readonly roleDelays?: RoleDelays;
  readonly log?: (line: string) => void;
}

export interface LocalSigners {
  readonly admin: JsonRpcSigner;
  readonly curator: JsonRpcSigner;
  readonly guardian: JsonRpcSigner;
  readonly upgrader: JsonRpcSigner;
  readonly keeper: JsonRpcSigner;
  readonly treasury: JsonRpcSigner;
  readonly outside: JsonRpcSigner;
}

export interface Outside {
  readonly provider: JsonRpcProvider;
  readonly signers: LocalSigners;
  readonly eigenlayer: EigenLayerDeployment;
  /** EigenLayer's contracts, connected to `outside`, who may pause them. */
  readonly core: Readonly<Record<EigenLayerContract, Contract>>;
  readonly weth: Contract;
  readonly steth: Contract;
  readonly lidoQueue: Contract;
  /** EigenLayer's strategy of stETH. */
  readonly strategy: string;
}

export interface LocalDeployment extends Outside {
  readonly protocol: Protocol;
}

// Lido on mainnet takes 150,000 ETH at once and refills that within a day.
const STAKE_LIMIT = parseEther("150000");
const STAKE_LIMIT_REFILL = STAKE_LIMIT / 6_400n;
/** Large beside what tiers stake, as on mainnet: nobody but rewards moves the rate. */
const LIDO_POOL = parseEther("300000");

export async function deployLocal(provider: JsonRpcProvider, options: LocalOptions = {}): Promise<LocalDeployment> {
  const world = await deployOutside(provider, options);
  const { signers, eigenlayer, weth, steth, lidoQueue } = world;
  const protocol = await deployProtocol({
    signer: signers.admin,
    eigenlayer: eigenlayer.addresses,
    lido: { steth: await steth.getAddress(), queue: await lidoQueue.getAddress() },
    weth: await weth.getAddress(),
    treasury: signers.treasury.address,
    roles: rolesOf(signers),
    ...(options.timings ? { timings: options.timings } : {}),
    ...(options.roleDelays ? { roleDelays: options.roleDelays } : {}),
  });
  return { ...world, protocol };
}

/** What belongs to somebody else on a public network: WETH, Lido, EigenLayer and its strategy for stETH. */
export async function deployOutside(provider: JsonRpcProvider, options: LocalOptions = {}): Promise<Outside> {
  const signers = await localSigners(provider);
  const { outside } = signers;
  const kind = options.eigenlayer ?? chosenEigenLayer();

  const eigenlayer = await deployEigenLayer(outside, kind, options.log ? { log: options.log } : {});
  const weth = await deployContract(outside, hardhatArtifacts("LocalWETH", "contracts/local/LocalWETH.sol"));
  const lidoArtifact = hardhatArtifacts("LocalLido", "contracts/local/lido/LocalLido.sol");
  const steth = await deployContract(outside, lidoArtifact, outside.address, { value: LIDO_POOL });
  await send(steth, "setStakingLimit", STAKE_LIMIT, STAKE_LIMIT_REFILL);
  const queueArtifact = hardhatArtifacts(
    "LocalLidoWithdrawalQueue",
    "contracts/local/lido/LocalLidoWithdrawalQueue.sol",
  );
  const queue = z.string().parse(await steth.getFunction("withdrawalQueue")());
  const lidoQueue = new Contract(queue, queueArtifact.abi, outside);

  const connect = (name: EigenLayerContract) =>
    new Contract(eigenlayer.addresses[name], eigenlayer.interfaces[name], outside);
  const core = {
    delegationManager: connect("delegationManager"),
    strategyManager: connect("strategyManager"),
    allocationManager: connect("allocationManager"),
    strategyFactory: connect("strategyFactory"),
    permissionController: connect("permissionController"),
    rewardsCoordinator: connect("rewardsCoordinator"),
  };
  await send(core.strategyFactory, "deployNewStrategy", await steth.getAddress());
  const strategy = z
    .string()
    .parse(await core.strategyFactory.getFunction("deployedStrategies")(await steth.getAddress()));

  return { provider, signers, eigenlayer, core, weth, steth, lidoQueue, strategy };
}

/**
 * The same on a copy of a public network: nothing is deployed, everything is found and checked. The stand-ins' ABIs are
 * those of the deployed contracts, as far as anybody here calls them.
 */
export async function attachOutside(
  provider: JsonRpcProvider,
  network: Network,
  file: string,
): Promise<Outside & { readonly network: CompleteNetwork }> {
  const signers = await localSigners(provider);
  // the copy has an id of its own, so that nothing signed here is worth anything there
  const here = { ...network, chainId: LOCAL_CHAIN_ID, roles: rolesOf(signers), rolesMayBeKeys: true };
  const found = complete(here, file);
  const differences = await checkNetwork(provider, found);
  if (differences.length > 0)
    throw new NetworkError(
      `${network.name} is not as ${file} says:\n${differences.map((one) => `  ${one}`).join("\n")}`,
    );
  const face = (name: string) => Interface.from(hardhatArtifacts(name, `${LOCAL_EIGENLAYER}/${name}.sol`).abi);
  const interfaces = {
    delegationManager: face("LocalDelegationManager"),
    strategyManager: face("LocalStrategyManager"),
    allocationManager: face("LocalAllocationManager"),
    strategyFactory: face("LocalStrategyFactory"),
    permissionController: face("LocalPermissionController"),
    rewardsCoordinator: face("LocalRewardsCoordinator"),
  };
  const { eigenlayer: e, lido, weth } = found;
  const addresses = inputsFor(found, signers.admin.address).eigenlayer;
  const connect = (name: EigenLayerContract) => new Contract(addresses[name], interfaces[name], provider);
  const at = (address: string, name: string, source: string) =>
    new Contract(address, hardhatArtifacts(name, source).abi, provider);
  return {
    provider,
    signers,
    network: found,
    eigenlayer: { kind: "real", delays: e.delays, addresses, interfaces },
    core: {
      delegationManager: connect("delegationManager"),
      strategyManager: connect("strategyManager"),
      allocationManager: connect("allocationManager"),
      strategyFactory: connect("strategyFactory"),
      permissionController: connect("permissionController"),
      rewardsCoordinator: connect("rewardsCoordinator"),
    },
    weth: at(weth, "LocalWETH", "contracts/local/LocalWETH.sol"),
    steth: at(lido.steth, "LocalLido", "contracts/local/lido/LocalLido.sol"),
    lidoQueue: at(lido.queue, "LocalLidoWithdrawalQueue", "contracts/local/lido/LocalLidoWithdrawalQueue.sol"),
    strategy: e.strategy,
  };
}

const rolesOf = ({ admin, curator, guardian, upgrader }: LocalSigners): RoleHolders => ({
  admin: admin.address,
  curator: curator.address,
  guardian: guardian.address,
  upgrader: upgrader.address,
});

/** The configuration of a local chain, as a file would say it. */
export async function localNetwork(world: Outside): Promise<CompleteNetwork> {
  const { eigenlayer, signers } = world;
  return {
    name: "local",
    chainId: LOCAL_CHAIN_ID,
    confirmations: 1,
    rolesMayBeKeys: true,
    eigenlayer: {
      ...eigenlayer.addresses,
      strategy: world.strategy,
      version: { atLeast: "1.9.0", below: "1.14.0" },
      delays: eigenlayer.delays,
    },
    lido: { steth: await world.steth.getAddress(), queue: await world.lidoQueue.getAddress() },
    weth: await world.weth.getAddress(),
    treasury: signers.treasury.address,
    roles: rolesOf(signers),
    roleDelays: DEFAULT_ROLE_DELAYS,
    timings: DEFAULT_TIMINGS,
    tiers: [],
  };
}

async function localSigners(provider: JsonRpcProvider): Promise<LocalSigners> {
  const [admin, curator, guardian, upgrader, keeper, treasury, outside] = await Promise.all([
    provider.getSigner(LOCAL_ACCOUNTS.admin),
    provider.getSigner(LOCAL_ACCOUNTS.curator),
    provider.getSigner(LOCAL_ACCOUNTS.guardian),
    provider.getSigner(LOCAL_ACCOUNTS.upgrader),
    provider.getSigner(LOCAL_ACCOUNTS.keeper),
    provider.getSigner(LOCAL_ACCOUNTS.treasury),
    provider.getSigner(LOCAL_ACCOUNTS.outside),
  ]);
  return { admin, curator, guardian, upgrader, keeper, treasury, outside };
}
