/**
 * Deploys Bulkhead on any chain that has EigenLayer and Lido, and opens tiers on it. Plain ethers: the signer decides
 * the chain. Calls that need a role are made by the signer that is passed in for it.
 */
import { Contract, EventLog, getAddress, type Signer, type TransactionReceipt, ZeroAddress } from "ethers";
import * as z from "zod";
import { type ArtifactSource, deployContract, type EigenLayerAddresses, hardhatArtifacts, send } from "./eigenlayer.ts";
import {
  BEACON_PERMISSIONS,
  DEFAULT_ROLE_DELAYS,
  FACTORY_PERMISSIONS,
  IMPLEMENTATIONS,
  interfaceOf,
  KINDS,
  type Kind,
  type Permission,
  ROLES,
  type RoleDelays,
  type RoleHolders,
  selectorsOf,
  TIER_PERMISSIONS,
} from "./roles.ts";

export interface Timings {
  /** Blocks until a senior request matures while the tier is covered. */
  readonly seniorExitBlocks: number;
  /** Blocks that a junior request waits beyond EigenLayer's withdrawal delay. */
  readonly exitMarginBlocks: number;
  /** Blocks beyond maturity after which a junior request counts as overdue. */
  readonly overdueBlocks: number;
}

/** A day, a day, thirty days, at 12 s a block. */
export const DEFAULT_TIMINGS: Timings = { seniorExitBlocks: 7_200, exitMarginBlocks: 7_200, overdueBlocks: 216_000 };

export interface ProtocolOptions {
  /** Pays for everything and wires the roles; keeps no right unless it is `roles.admin`. */
  readonly signer: Signer;
  readonly eigenlayer: EigenLayerAddresses;
  /** EigenLayer's KeyRegistrar, if node operators shall register keys there. */
  readonly keyRegistrar?: string;
  readonly lido: { readonly steth: string; readonly queue: string };
  readonly weth: string;
  readonly roles: RoleHolders;
  readonly timings?: Timings;
  readonly roleDelays?: RoleDelays;
  readonly artifacts?: ArtifactSource;
}

export interface ProtocolAddresses {
  readonly accessManager: string;
  readonly factory: string;
  readonly router: string;
  readonly lens: string;
  readonly configurator: string;
  readonly weth: string;
  readonly steth: string;
  readonly lidoQueue: string;
  readonly implementations: Readonly<Record<Kind, string>>;
  readonly beacons: Readonly<Record<Kind, string>>;
}

export interface Protocol {
  readonly addresses: ProtocolAddresses;
  readonly eigenlayer: EigenLayerAddresses;
  readonly timings: Timings;
  readonly roles: RoleHolders;
  readonly roleDelays: RoleDelays;
  /** Contracts, connected to the deploying signer; `contract.connect(signer)` acts as another. */
  readonly accessManager: Contract;
  readonly factory: Contract;
  readonly router: Contract;
  readonly lens: Contract;
  readonly beacons: Readonly<Record<Kind, Contract>>;
}

const ACCESS_MANAGER = { name: "AccessManager", file: "@openzeppelin/contracts/access/manager/AccessManager.sol" };
const BEACON = { name: "UpgradeableBeacon", file: "@openzeppelin/contracts/proxy/beacon/UpgradeableBeacon.sol" };

export async function deployProtocol(options: ProtocolOptions): Promise<Protocol> {
  const { signer, eigenlayer, lido, weth, roles } = options;
  const timings = options.timings ?? DEFAULT_TIMINGS;
  const roleDelays = options.roleDelays ?? DEFAULT_ROLE_DELAYS;
  const artifacts = options.artifacts ?? hardhatArtifacts;
  const deployer = await signer.getAddress();
  const { allocationManager: am, delegationManager: dm, strategyManager: sm, permissionController: pc } = eigenlayer;

  const deploy = (name: string, file: string, ...args: unknown[]): Promise<Contract> =>
    deployContract(signer, artifacts(name, file), ...args);
  const accessManager = await deploy(ACCESS_MANAGER.name, ACCESS_MANAGER.file, deployer);
  const configurator = await deploy("RiskConfigurator", "contracts/core/risk/RiskConfigurator.sol", am, dm, sm);

  const constructorArguments: Readonly<Record<Kind, readonly unknown[]>> = {
    tier: [weth, timings.seniorExitBlocks, timings.exitMarginBlocks],
    risk: [am, dm, sm, await configurator.getAddress()],
    stakes: [dm, sm, timings.overdueBlocks],
    allocator: [am, sm],
    mandate: [],
    token: [],
    agent: [am, dm, sm, pc, options.keyRegistrar ?? ZeroAddress],
    module: [lido.steth, lido.queue, weth],
  };
  const implementations: Partial<Record<Kind, string>> = {};
  const beacons: Partial<Record<Kind, Contract>> = {};
  const beaconAddresses: Partial<Record<Kind, string>> = {};
  for (const kind of KINDS) {
    const { name, file } = IMPLEMENTATIONS[kind];
    const implementation = await (await deploy(name, file, ...constructorArguments[kind])).getAddress();
    // The manager owns the beacons, so upgradeTo goes through AccessManager.execute and asks for the upgrader's role.
    const beacon = await deploy(BEACON.name, BEACON.file, implementation, await accessManager.getAddress());
    implementations[kind] = implementation;
    beacons[kind] = beacon;
    beaconAddresses[kind] = await beacon.getAddress();
  }
  const allBeacons = complete(beacons);
  const allBeaconAddresses = complete(beaconAddresses);

  const factory = await deploy(
    "TierFactory",
    "contracts/core/TierFactory.sol",
    await accessManager.getAddress(),
    weth,
    allBeaconAddresses,
  );
  const router = await deploy("Router", "contracts/periphery/Router.sol", await factory.getAddress(), weth);
  const lens = await deploy("SolvencyLens", "contracts/periphery/SolvencyLens.sol");

  await permit(accessManager, factory, FACTORY_PERMISSIONS);
  for (const kind of KINDS) {
    await permit(accessManager, allBeacons[kind], BEACON_PERMISSIONS);
    // Five days from here (AccessManager's least setback) not even the admin can give the right to upgrade away faster
    // than an upgrade itself would take.
    await send(accessManager, "setTargetAdminDelay", allBeaconAddresses[kind], roleDelays.upgrader);
  }
  await send(accessManager, "setGrantDelay", ROLES.upgrader, roleDelays.upgrader);
  await grantRoles(accessManager, deployer, roles, roleDelays);

  return {
    addresses: {
      accessManager: await accessManager.getAddress(),
      factory: await factory.getAddress(),
      router: await router.getAddress(),
      lens: await lens.getAddress(),
      configurator: await configurator.getAddress(),
      weth: getAddress(weth),
      steth: getAddress(lido.steth),
      lidoQueue: getAddress(lido.queue),
      implementations: complete(implementations),
      beacons: allBeaconAddresses,
    },
    eigenlayer,
    timings,
    roles,
    roleDelays,
    accessManager,
    factory,
    router,
    lens,
    beacons: allBeacons,
  };
}

async function permit(accessManager: Contract, target: Contract, permissions: readonly Permission[]): Promise<void> {
  for (const { role, functions } of permissions) {
    const selectors = selectorsOf(target.interface, functions);
    await send(accessManager, "setTargetFunctionRole", await target.getAddress(), selectors, ROLES[role]);
  }
}

async function grantRoles(
  accessManager: Contract,
  deployer: string,
  holders: RoleHolders,
  delays: RoleDelays,
): Promise<void> {
  for (const role of ["curator", "guardian", "upgrader", "canceller"] as const)
    await send(accessManager, "labelRole", ROLES[role], role);
  await send(accessManager, "grantRole", ROLES.curator, holders.curator, delays.curator);
  await send(accessManager, "grantRole", ROLES.guardian, holders.guardian, delays.guardian);
  await send(accessManager, "grantRole", ROLES.upgrader, holders.upgrader, delays.upgrader);
  await send(accessManager, "grantRole", ROLES.canceller, holders.curator, delays.curator);
  await send(accessManager, "grantRole", ROLES.canceller, holders.guardian, delays.guardian);
  // an announced upgrade can be called off by those who protect the tiers
  await send(accessManager, "setRoleGuardian", ROLES.upgrader, ROLES.guardian);
  if (getAddress(holders.admin) === getAddress(deployer)) return;
  await send(accessManager, "grantRole", ROLES.admin, holders.admin, 0);
  await send(accessManager, "renounceRole", ROLES.admin, deployer);
}

// ------------------------------------------------------------------------------------------------------- tiers

export interface Params {
  readonly k: number;
  readonly marginBps: number;
  readonly haircutBps: number;
  readonly bufferBps: number;
  readonly instantFeeBps: number;
  readonly quarantineBps: number;
  readonly cap: bigint;
}

export interface TierOptions {
  readonly name: string;
  readonly symbol: string;
  readonly strategy: string;
  /** Wei of WETH that the curator gives to the reserve for good; at least 0.01 ETH. */
  readonly seed: bigint;
  /** Seconds that a riskier mandate waits; at least 45 days. */
  readonly mandateDelay: number;
  readonly params: Params;
}

/** A tier's contracts, connected to nobody in particular: the signer that attached them. */
export interface TierContracts {
  readonly address: string;
  readonly tier: Contract;
  readonly senior: Contract;
  readonly junior: Contract;
  readonly risk: Contract;
  readonly stakes: Contract;
  readonly allocator: Contract;
  readonly mandate: Contract;
  readonly module: Contract;
}

const tierParts = z.object({
  risk: z.string(),
  stakes: z.string(),
  allocator: z.string(),
  mandate: z.string(),
  stakingModule: z.string(),
});

/** The contracts of a tier that exists; its tokens are those of the live series. */
export async function attachTier(
  address: string,
  signer: Signer,
  artifacts: ArtifactSource = hardhatArtifacts,
): Promise<TierContracts> {
  const at = (kind: Kind, target: string) => new Contract(target, interfaceOf(kind, artifacts), signer);
  const tier = at("tier", address);
  const parts = tierParts.parse((await tier.getFunction("parts")()).toObject());
  return {
    address: getAddress(address),
    tier,
    senior: at("token", z.string().parse(await tier.getFunction("token")(true))),
    junior: at("token", z.string().parse(await tier.getFunction("token")(false))),
    risk: at("risk", parts.risk),
    stakes: at("stakes", parts.stakes),
    allocator: at("allocator", parts.allocator),
    mandate: at("mandate", parts.mandate),
    module: at("module", parts.stakingModule),
  };
}

/** Opens a tier as the curator (who pays the seed in WETH) and gives its functions their roles as the admin. */
export async function openTier(
  protocol: Protocol,
  signers: { readonly curator: Signer; readonly admin: Signer },
  options: TierOptions,
  artifacts: ArtifactSource = hardhatArtifacts,
): Promise<TierContracts> {
  const factory = protocol.factory.connect(signers.curator) as Contract;
  const weth = new Contract(
    protocol.addresses.weth,
    ["function approve(address spender, uint256 amount) returns (bool)"],
    signers.curator,
  );
  await send(weth, "approve", protocol.addresses.factory, options.seed);
  const receipt = await sendFor(factory, "createTier", options);
  const address = eventArgument(receipt, factory, "TierCreated", "tier");
  const tier = await attachTier(address, signers.curator, artifacts);
  await configureTier(protocol, signers.admin, tier);
  return tier;
}

/** AccessManager knows roles per target, so each new tier's functions get theirs here; until then only the admin may. */
export async function configureTier(protocol: Protocol, admin: Signer, contracts: TierContracts): Promise<void> {
  const accessManager = protocol.accessManager.connect(admin) as Contract;
  const targets: Partial<Record<Kind, Contract>> = {
    tier: contracts.tier,
    risk: contracts.risk,
    mandate: contracts.mandate,
  };
  for (const kind of KINDS) {
    const target = targets[kind];
    if (target) await permit(accessManager, target, TIER_PERMISSIONS[kind] ?? []);
  }
}

/** Opens an agent for a node operator; returns the agent and its index in the tier. */
export async function openAgent(
  protocol: Protocol,
  curator: Signer,
  tier: string,
  nodeOperator: string,
  metadata = "",
  artifacts: ArtifactSource = hardhatArtifacts,
): Promise<{ readonly agent: Contract; readonly address: string; readonly index: number }> {
  const factory = protocol.factory.connect(curator) as Contract;
  const receipt = await sendFor(factory, "createAgent", tier, nodeOperator, metadata);
  const address = eventArgument(receipt, factory, "AgentCreated", "agent");
  const index = Number(eventArgument(receipt, factory, "AgentCreated", "index"));
  return { agent: new Contract(address, interfaceOf("agent", artifacts), curator), address, index };
}

// ----------------------------------------------------------------------------------------------------- helpers

/** As `send`, and returns the receipt. */
export async function sendFor(contract: Contract, fn: string, ...args: unknown[]): Promise<TransactionReceipt> {
  const transaction = await contract.getFunction(fn).send(...args);
  const receipt = await transaction.wait();
  if (receipt === null) throw new Error(`${fn} was sent and is not mined.`);
  return receipt;
}

function eventArgument(receipt: TransactionReceipt, contract: Contract, event: string, argument: string): string {
  const fragment = contract.interface.getEvent(event);
  if (fragment === null) throw new Error(`There is no event ${event}.`);
  for (const log of receipt.logs) {
    const parsed = log instanceof EventLog ? log : contract.interface.parseLog(log);
    if (parsed?.fragment.topicHash === fragment.topicHash) return String(parsed.args.getValue(argument));
  }
  throw new Error(`The transaction ${receipt.hash} emitted no ${event}.`);
}

function complete<T>(partial: Partial<Record<Kind, T>>): Record<Kind, T> {
  for (const kind of KINDS) if (partial[kind] === undefined) throw new Error(`There is no ${kind}.`);
  return partial as Record<Kind, T>;
}
