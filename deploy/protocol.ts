/**
 * Deploys Bulkhead on any chain that has EigenLayer and Lido, and opens tiers on it. Plain ethers: the signer decides
 * the chain. Calls that need a role are made by the signer that is passed in for it.
 */
import { Contract, type ContractRunner, EventLog, getAddress, type Signer, type TransactionReceipt } from "ethers";
import * as z from "zod";
import { type ArtifactSource, deployContract, type EigenLayerAddresses, hardhatArtifacts, send } from "./eigenlayer.ts";
import {
  ACCESS_MANAGER,
  BEACON,
  beaconId,
  DEFAULT_TIMINGS,
  FACTORY,
  type Inputs,
  implementationId,
  PERIPHERY,
  planOf,
  resolveArgument,
  type Source,
  type Timings,
} from "./plan.ts";
import {
  DEFAULT_ROLE_DELAYS,
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

export { DEFAULT_TIMINGS, type Timings } from "./plan.ts";

export interface ProtocolOptions {
  /** Pays for everything and wires the roles; keeps no right unless it is `roles.admin`. */
  readonly signer: Signer;
  readonly eigenlayer: EigenLayerAddresses;
  /** EigenLayer's KeyRegistrar, if node operators shall register keys there. */
  readonly keyRegistrar?: string;
  /** Gets the protocol's part of AVS rewards; the admin if nobody is named. */
  readonly treasury?: string;
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
  readonly acceptance: string;
  readonly upkeepLens: string;
  readonly upkeep: string;
  readonly configurator: string;
  readonly watch: string;
  readonly reserve: string;
  readonly rewardsConfigurator: string;
  readonly weth: string;
  readonly steth: string;
  readonly lidoQueue: string;
  readonly implementations: Readonly<Record<Kind, string>>;
  readonly beacons: Readonly<Record<Kind, string>>;
}

export interface Protocol {
  readonly inputs: Inputs;
  /** Address of a contract under the plan's id. */
  readonly addressOf: (id: string) => string;
  /** Transactions that created the contracts, by the plan's id; empty where it was deployed earlier. */
  readonly creations: ReadonlyMap<string, string>;
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
  readonly upkeepLens: Contract;
  readonly upkeep: Contract;
  readonly beacons: Readonly<Record<Kind, Contract>>;
}

/**
 * Carries the plan out directly, one transaction after another: for local chains and tests, where nothing has to be
 * resumed. Public networks go through `ignition.ts`, with the same plan.
 */
export async function deployProtocol(options: ProtocolOptions): Promise<Protocol> {
  const artifacts = options.artifacts ?? hardhatArtifacts;
  const inputs = inputsOf(options, await options.signer.getAddress());
  const plan = planOf(inputs, artifacts);
  const contracts = new Map<string, Contract>();
  const addresses = new Map<string, string>();
  const creations = new Map<string, string>();
  const addressOf = (id: string) => known(addresses, id);
  for (const { id, source, args } of plan.contracts) {
    const resolved = args.map((argument) => resolveArgument(argument, addressOf));
    const contract = await deployContract(options.signer, artifacts(source.name, source.file), ...resolved);
    contracts.set(id, contract);
    addresses.set(id, await contract.getAddress());
    creations.set(id, contract.deploymentTransaction()?.hash ?? "");
  }
  const accessManager = known(contracts, "accessManager");
  for (const { fn, args } of plan.calls)
    await send(accessManager, fn, ...args.map((argument) => resolveArgument(argument, addressOf)));
  return { ...attachProtocol(inputs, addressOf, options.signer, artifacts), creations };
}

/** What a deployment is told, with the defaults filled in. */
export function inputsOf(options: Omit<ProtocolOptions, "signer" | "artifacts">, deployer: string): Inputs {
  return {
    deployer,
    eigenlayer: options.eigenlayer,
    ...(options.keyRegistrar === undefined ? {} : { keyRegistrar: options.keyRegistrar }),
    ...(options.treasury === undefined ? {} : { treasury: options.treasury }),
    lido: options.lido,
    weth: options.weth,
    roles: options.roles,
    timings: options.timings ?? DEFAULT_TIMINGS,
    roleDelays: options.roleDelays ?? DEFAULT_ROLE_DELAYS,
  };
}

/** A protocol that is deployed already; `addressOf` knows the plan's ids. */
export function attachProtocol(
  inputs: Inputs,
  addressOf: (id: string) => string,
  signer: Signer,
  artifacts: ArtifactSource = hardhatArtifacts,
): Protocol {
  const connect = (id: string, { name, file }: Source) =>
    new Contract(addressOf(id), artifacts(name, file).abi, signer);
  const byKind = <T>(make: (kind: Kind) => T) =>
    Object.fromEntries(KINDS.map((kind) => [kind, make(kind)])) as Record<Kind, T>;
  return {
    inputs,
    addressOf,
    creations: new Map(),
    addresses: {
      accessManager: addressOf("accessManager"),
      factory: addressOf("factory"),
      router: addressOf("router"),
      lens: addressOf("lens"),
      acceptance: addressOf("acceptance"),
      upkeepLens: addressOf("upkeepLens"),
      upkeep: addressOf("upkeep"),
      configurator: addressOf("configurator"),
      watch: addressOf("watch"),
      reserve: addressOf("reserve"),
      rewardsConfigurator: addressOf("rewardsConfigurator"),
      weth: getAddress(inputs.weth),
      steth: getAddress(inputs.lido.steth),
      lidoQueue: getAddress(inputs.lido.queue),
      implementations: byKind((kind) => addressOf(implementationId(kind))),
      beacons: byKind((kind) => addressOf(beaconId(kind))),
    },
    eigenlayer: inputs.eigenlayer,
    timings: inputs.timings,
    roles: inputs.roles,
    roleDelays: inputs.roleDelays,
    accessManager: connect("accessManager", ACCESS_MANAGER),
    factory: connect("factory", FACTORY),
    router: connect("router", PERIPHERY.router),
    lens: connect("lens", PERIPHERY.lens),
    upkeepLens: connect("upkeepLens", PERIPHERY.upkeepLens),
    upkeep: connect("upkeep", PERIPHERY.upkeep),
    beacons: byKind((kind) => connect(beaconId(kind), BEACON)),
  };
}

async function permit(accessManager: Contract, target: Contract, permissions: readonly Permission[]): Promise<void> {
  for (const { role, functions } of permissions) {
    const selectors = selectorsOf(target.interface, functions);
    await send(accessManager, "setTargetFunctionRole", await target.getAddress(), selectors, ROLES[role]);
  }
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
  readonly rewards: Contract;
}

const tierParts = z.object({
  risk: z.string(),
  stakes: z.string(),
  allocator: z.string(),
  mandate: z.string(),
  stakingModule: z.string(),
  factory: z.string(),
});
const REWARDS_OF = ["function rewardsOf(address tier) view returns (address)"];

/** The contracts of a tier that exists; its tokens are those of the live series. */
export async function attachTier(
  address: string,
  runner: ContractRunner,
  artifacts: ArtifactSource = hardhatArtifacts,
): Promise<TierContracts> {
  const at = (kind: Kind, target: string) => new Contract(target, interfaceOf(kind, artifacts), runner);
  const tier = at("tier", address);
  const parts = tierParts.parse((await tier.getFunction("parts")()).toObject());
  const rewards = await new Contract(parts.factory, REWARDS_OF, runner).getFunction("rewardsOf")(address);
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
    rewards: at("rewards", z.string().parse(rewards)),
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
  for (const kind of KINDS) {
    const permissions = TIER_PERMISSIONS[kind];
    if (!permissions) continue;
    // one of each tier, under its kind's name; tokens and agents come and go, and may be nobody's to command
    const target = new Map<string, unknown>(Object.entries(contracts)).get(kind);
    if (!(target instanceof Contract)) throw new Error(`A tier has no ${kind}: correct TIER_PERMISSIONS.`);
    await permit(accessManager, target, permissions);
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

function known<T>(map: ReadonlyMap<string, T>, id: string): T {
  const value = map.get(id);
  if (value === undefined) throw new Error(`The plan uses ${id} before it is deployed: correct deploy/plan.ts.`);
  return value;
}
