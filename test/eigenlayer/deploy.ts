/** Deploys the real core with the shims of v1.12 in front (see contracts/Shims.sol). */
import { appendFileSync } from "node:fs";
import { Interface, type InterfaceAbi, type Signer, ZeroAddress } from "ethers";
import {
  type Artifact,
  deployContract,
  type EigenLayerDelays,
  type EigenLayerDeployment,
  MAINNET_DELAYS,
  mergeInterfaces,
  minePast,
  REWARDS_ACTIVATION,
  send,
} from "../../deploy/eigenlayer.ts";
import { compile, pick } from "./compile.ts";
import { type CoreArtifacts, type CoreContract, prepareCore } from "./crate.ts";

export interface RealOptions {
  readonly delays?: EigenLayerDelays;
  /** By default prepared here (cargo is needed the first time). */
  readonly core?: CoreArtifacts;
  readonly log?: (line: string) => void;
}

/** Names a file in which each deployment leaves a line, so that run.ts sees that the real bytecode was really used. */
export const WITNESS = "BULKHEAD_EIGENLAYER_WITNESS";

const VERSION = "1.4.0-local";
const DAY = 86_400;
const BEACON_GENESIS = 1_606_824_023n;
/** Pods of native validators are not used. */
const ETH_DEPOSIT_CONTRACT = ZeroAddress;

/** The signer becomes owner, pauser, unpauser and rewards updater of everything. */
export async function deployRealEigenLayer(signer: Signer, options: RealOptions = {}): Promise<EigenLayerDeployment> {
  const delays = options.delays ?? MAINNET_DELAYS;
  const core = options.core ?? prepareCore(options.log);
  const shims = compile("shims", ["test/eigenlayer/contracts/Shims.sol"]);
  const provider = signer.provider;
  if (!provider) throw new Error("The signer of a deployment needs a provider.");
  const owner = await signer.getAddress();

  const real = (name: CoreContract): Artifact => ({
    abi: core[name].abi as InterfaceAbi,
    bytecode: core[name].bytecode,
  });
  const deploy = async (artifact: Artifact, ...args: unknown[]): Promise<string> =>
    (await deployContract(signer, artifact, ...args)).getAddress();

  // proxies come first: the contracts know each other by constructor argument
  const proxyAdmin = await deployContract(signer, real("ProxyAdmin"));
  const admin = await proxyAdmin.getAddress();
  const pausers = await deploy(real("PauserRegistry"), [owner], owner);
  const empty = await deploy(real("EmptyContract"));
  const proxy = () => deploy(real("TransparentUpgradeableProxy"), empty, admin, "0x");
  const delegationManager = await proxy();
  const strategyManager = await proxy();
  const allocationManager = await proxy();
  const eigenPodManager = await proxy();
  const permissionController = await proxy();
  const rewardsCoordinator = await proxy();
  const strategyFactory = await proxy();

  const eigenPod = await deploy(real("EigenPod"), ETH_DEPOSIT_CONTRACT, eigenPodManager, BEACON_GENESIS, VERSION);
  const podBeacon = await deploy(real("UpgradeableBeacon"), eigenPod);
  const strategyBase = await deploy(real("StrategyBase"), strategyManager, pausers, VERSION);
  const strategyBeacon = await deploy(real("UpgradeableBeacon"), strategyBase);

  /** Points a proxy at its implementation and initialises it in the same transaction. */
  const upgrade = (address: string, implementation: string, name: CoreContract, initialize: unknown[]) => {
    const data = Interface.from(real(name).abi).encodeFunctionData("initialize", initialize);
    return send(proxyAdmin, "upgradeAndCall", address, implementation, data);
  };
  const shim = (name: string, ...args: unknown[]) => deploy(pick(shims, name), ...args);

  const permissionCode = await deploy(real("PermissionController"), VERSION);
  await send(
    proxyAdmin,
    "upgrade",
    permissionController,
    await shim("PermissionControllerShim", permissionCode, allocationManager),
  );

  const delegationCode = await deploy(
    real("DelegationManager"),
    strategyManager,
    eigenPodManager,
    allocationManager,
    pausers,
    permissionController,
    delays.withdrawal,
    VERSION,
  );
  await upgrade(delegationManager, delegationCode, "DelegationManager", [owner, 0]);

  const strategyCode = await deploy(real("StrategyManager"), delegationManager, pausers, VERSION);
  await upgrade(
    strategyManager,
    await shim("StrategyManagerShim", strategyCode, allocationManager),
    "StrategyManager",
    [owner, strategyFactory, 0],
  );

  const allocationCode = await deploy(
    real("AllocationManager"),
    delegationManager,
    pausers,
    permissionController,
    delays.deallocation,
    delays.configuration,
    VERSION,
  );
  await upgrade(
    allocationManager,
    await shim(
      "AllocationManagerShim",
      allocationCode,
      delegationManager,
      strategyManager,
      permissionController,
      delays.configuration,
    ),
    "AllocationManager",
    [owner, 0],
  );

  const podCode = await deploy(
    real("EigenPodManager"),
    ETH_DEPOSIT_CONTRACT,
    podBeacon,
    delegationManager,
    pausers,
    VERSION,
  );
  await upgrade(eigenPodManager, podCode, "EigenPodManager", [owner, 0]);

  const factoryCode = await deploy(real("StrategyFactory"), strategyManager, pausers, VERSION);
  await upgrade(strategyFactory, factoryCode, "StrategyFactory", [owner, 0, strategyBeacon]);

  const now = (await provider.getBlock("latest"))?.timestamp ?? 0;
  const genesis = Math.floor((now - 30 * DAY) / DAY) * DAY; // must be a whole day
  const rewardsCode = await deploy(real("RewardsCoordinator"), {
    delegationManager,
    strategyManager,
    allocationManager,
    pauserRegistry: pausers,
    permissionController,
    CALCULATION_INTERVAL_SECONDS: DAY,
    MAX_REWARDS_DURATION: 70 * DAY,
    MAX_RETROACTIVE_LENGTH: 84 * DAY,
    MAX_FUTURE_LENGTH: 28 * DAY,
    GENESIS_REWARDS_TIMESTAMP: genesis,
    version: VERSION,
  });
  await upgrade(rewardsCoordinator, rewardsCode, "RewardsCoordinator", [owner, 0, owner, REWARDS_ACTIVATION, 1000]);

  await minePast(provider, delays.withdrawal + 1);
  if (process.env[WITNESS]) appendFileSync(process.env[WITNESS], `${allocationManager}\n`);
  return {
    kind: "real",
    delays,
    addresses: {
      delegationManager,
      strategyManager,
      allocationManager,
      strategyFactory,
      permissionController,
      rewardsCoordinator,
    },
    interfaces: {
      delegationManager: mergeInterfaces(real("DelegationManager").abi),
      strategyManager: mergeInterfaces(real("StrategyManager").abi, pick(shims, "StrategyManagerShim").abi),
      allocationManager: mergeInterfaces(real("AllocationManager").abi, pick(shims, "AllocationManagerShim").abi),
      strategyFactory: mergeInterfaces(real("StrategyFactory").abi),
      permissionController: mergeInterfaces(real("PermissionController").abi),
      rewardsCoordinator: mergeInterfaces(real("RewardsCoordinator").abi),
    },
  };
}
