/**
 * What a deployment consists of, on every network: contracts with their constructor arguments, and calls. Pure data:
 * `ignition.ts` carries it out, `report.ts` prints it, `audit.ts` compares it with the chain.
 *
 * To add a contract behind a beacon: a kind in `roles.ts`, its constructor arguments in KIND_ARGUMENTS. To add another
 * contract: an entry in DELEGATES (needed by implementations) or PERIPHERY (needs the factory).
 */
import { getAddress, Interface, ZeroAddress } from "ethers";
import { type ArtifactSource, type EigenLayerAddresses, hardhatArtifacts } from "./eigenlayer.ts";
import {
  BEACON_PERMISSIONS,
  FACTORY_PERMISSIONS,
  IMPLEMENTATIONS,
  KINDS,
  type Kind,
  type Permission,
  ROLES,
  type RoleDelays,
  type RoleHolders,
  selectorsOf,
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

/** Everything that a deployment is told; the rest follows. */
export interface Inputs {
  /** Pays for everything and wires the roles; keeps no right unless it is `roles.admin`. */
  readonly deployer: string;
  readonly eigenlayer: EigenLayerAddresses;
  /** EigenLayer's KeyRegistrar, if node operators shall register keys there. */
  readonly keyRegistrar?: string;
  /** Gets the protocol's part of AVS rewards, and can hand that on; the admin if nobody is named. */
  readonly treasury?: string;
  readonly lido: { readonly steth: string; readonly queue: string };
  readonly weth: string;
  readonly roles: RoleHolders;
  readonly timings: Timings;
  readonly roleDelays: RoleDelays;
}

/** A contract of the plan, in an argument: its address once it is deployed. */
export interface Reference {
  readonly ref: string;
}
export type Argument =
  | string
  | number
  | bigint
  | Reference
  | readonly Argument[]
  | { readonly [key: string]: Argument };

export interface Source {
  readonly name: string;
  readonly file: string;
}

export interface PlannedContract {
  readonly id: string;
  readonly source: Source;
  readonly args: readonly Argument[];
  /** Deployed behind a beacon: may never be initialised itself. */
  readonly implementation: boolean;
}

/** A call of AccessManager, the only contract that a deployment calls. */
export interface PlannedCall {
  readonly id: string;
  readonly fn: string;
  readonly args: readonly Argument[];
  /** In words, for review. */
  readonly about: string;
}

export interface Plan {
  readonly contracts: readonly PlannedContract[];
  /** In this order; the last one takes the deployer's rights away. */
  readonly calls: readonly PlannedCall[];
}

interface Definition extends Source {
  readonly args: (inputs: Inputs) => readonly Argument[];
}

const at = (id: string): Reference => ({ ref: id });

export const ACCESS_MANAGER: Source = {
  name: "AccessManager",
  file: "@openzeppelin/contracts/access/manager/AccessManager.sol",
};
export const BEACON: Source = {
  name: "UpgradeableBeacon",
  file: "@openzeppelin/contracts/proxy/beacon/UpgradeableBeacon.sol",
};
export const FACTORY: Source = { name: "TierFactory", file: "contracts/core/TierFactory.sol" };

/** Code that implementations reach by delegatecall: they hold its address as an immutable. */
export const DELEGATES = {
  configurator: {
    name: "RiskConfigurator",
    file: "contracts/core/risk/RiskConfigurator.sol",
    args: ({ eigenlayer: e }) => [e.allocationManager, e.delegationManager, e.strategyManager],
  },
  rewardsConfigurator: {
    name: "RewardsConfigurator",
    file: "contracts/modules/rewards/RewardsConfigurator.sol",
    args: ({ weth }) => [weth],
  },
  watch: {
    name: "RiskWatch",
    file: "contracts/core/risk/RiskWatch.sol",
    args: ({ eigenlayer: e }) => [e.allocationManager, e.delegationManager, e.strategyManager],
  },
  reserve: { name: "TierReserve", file: "contracts/core/tier/TierReserve.sol", args: ({ weth }) => [weth] },
} as const satisfies Readonly<Record<string, Definition>>;
export type Delegate = keyof typeof DELEGATES;

/** Constructor arguments of each kind's implementation. */
const KIND_ARGUMENTS: Readonly<Record<Kind, (inputs: Inputs) => readonly Argument[]>> = {
  tier: ({ weth, timings }) => [weth, timings.seniorExitBlocks, timings.exitMarginBlocks, at("reserve")],
  risk: ({ eigenlayer: e }) => [
    e.allocationManager,
    e.delegationManager,
    e.strategyManager,
    at("configurator"),
    at("watch"),
  ],
  stakes: ({ eigenlayer: e, timings }) => [e.delegationManager, e.strategyManager, timings.overdueBlocks],
  allocator: ({ eigenlayer: e }) => [e.allocationManager, e.strategyManager],
  mandate: () => [],
  token: () => [],
  agent: ({ eigenlayer: e, keyRegistrar }) => [
    e.allocationManager,
    e.delegationManager,
    e.strategyManager,
    e.permissionController,
    e.rewardsCoordinator,
    keyRegistrar ?? ZeroAddress,
  ],
  module: ({ lido, weth }) => [lido.steth, lido.queue, weth],
  rewards: ({ eigenlayer: e, weth, treasury, roles }) => [
    e.rewardsCoordinator,
    weth,
    treasury ?? roles.admin,
    at("rewardsConfigurator"),
  ],
};

/** What uses the factory, and what nothing in the protocol knows. */
export const PERIPHERY = {
  router: {
    name: "Router",
    file: "contracts/periphery/Router.sol",
    args: ({ weth }) => [at("factory"), weth],
  },
  lens: { name: "SolvencyLens", file: "contracts/periphery/SolvencyLens.sol", args: () => [] },
  acceptance: { name: "RoleAcceptance", file: "contracts/periphery/RoleAcceptance.sol", args: () => [] },
  upkeepLens: {
    name: "UpkeepLens",
    file: "contracts/periphery/upkeep/UpkeepLens.sol",
    args: ({ eigenlayer: e }) => [at("factory"), e.allocationManager],
  },
  upkeep: {
    name: "Upkeep",
    file: "contracts/periphery/upkeep/Upkeep.sol",
    args: ({ eigenlayer: e }) => [at("factory"), e.allocationManager],
  },
} as const satisfies Readonly<Record<string, Definition>>;
export type Peripheral = keyof typeof PERIPHERY;

export const implementationId = (kind: Kind): string => `${kind}Implementation`;
export const beaconId = (kind: Kind): string => `${kind}Beacon`;

/** Roles beside the admin's, with who holds each and after which delay. */
export interface Grant {
  readonly role: Exclude<keyof typeof ROLES, "admin">;
  readonly holder: string;
  readonly delay: number;
}

export function grantsOf({ roles, roleDelays }: Pick<Inputs, "roles" | "roleDelays">): readonly Grant[] {
  return [
    { role: "curator", holder: roles.curator, delay: roleDelays.curator },
    { role: "guardian", holder: roles.guardian, delay: roleDelays.guardian },
    { role: "upgrader", holder: roles.upgrader, delay: roleDelays.upgrader },
    { role: "canceller", holder: roles.curator, delay: roleDelays.curator },
    { role: "canceller", holder: roles.guardian, delay: roleDelays.guardian },
  ];
}

/** Which functions of which contract of the plan need which role; all other restricted ones stay with the admin. */
export function permissionsOf(): readonly {
  readonly target: string;
  readonly source: Source;
  readonly to: readonly Permission[];
}[] {
  return [
    { target: "factory", source: FACTORY, to: FACTORY_PERMISSIONS },
    ...KINDS.map((kind) => ({ target: beaconId(kind), source: BEACON, to: BEACON_PERMISSIONS })),
  ];
}

/** An announced upgrade can be called off by those who protect the tiers. */
export const ROLE_GUARDIANS = [{ role: "upgrader", guardian: "guardian" }] as const;

/** Whether the admin is somebody else, so that the deployer must hand over. */
export const handsOver = ({ deployer, roles }: Pick<Inputs, "deployer" | "roles">): boolean =>
  getAddress(roles.admin) !== getAddress(deployer);

/** The calls that end a deployment, in this order. */
export const HAND_OVER: readonly string[] = ["grant_admin", "renounce_admin"];

export function planOf(inputs: Inputs, artifacts: ArtifactSource = hardhatArtifacts): Plan {
  const contracts: PlannedContract[] = [];
  const add = (id: string, { name, file }: Source, args: readonly Argument[], implementation = false) =>
    contracts.push({ id, source: { name, file }, args, implementation });

  add("accessManager", ACCESS_MANAGER, [inputs.deployer]);
  for (const [id, definition] of Object.entries<Definition>(DELEGATES)) add(id, definition, definition.args(inputs));
  for (const kind of KINDS) {
    add(implementationId(kind), IMPLEMENTATIONS[kind], KIND_ARGUMENTS[kind](inputs), true);
    // The manager owns the beacons, so upgradeTo goes through AccessManager.execute and asks for the upgrader's role.
    add(beaconId(kind), BEACON, [at(implementationId(kind)), at("accessManager")]);
  }
  const beacons = Object.fromEntries(KINDS.map((kind) => [kind, at(beaconId(kind))]));
  add("factory", FACTORY, [at("accessManager"), inputs.weth, beacons]);
  for (const [id, definition] of Object.entries<Definition>(PERIPHERY)) add(id, definition, definition.args(inputs));
  return { contracts, calls: callsOf(inputs, artifacts) };
}

function callsOf(inputs: Inputs, artifacts: ArtifactSource): readonly PlannedCall[] {
  const { deployer, roles, roleDelays } = inputs;
  const calls: PlannedCall[] = [];
  const call = (id: string, fn: string, args: readonly Argument[], about: string) =>
    calls.push({ id, fn, args, about });
  for (const { target, source, to } of permissionsOf()) {
    const face = Interface.from(artifacts(source.name, source.file).abi);
    for (const { role, functions } of to) {
      const args = [at(target), selectorsOf(face, functions), ROLES[role]];
      call(
        `permit_${target}_${role}`,
        "setTargetFunctionRole",
        args,
        `${role} may call ${functions.join(", ")} of ${target}`,
      );
    }
  }
  for (const kind of KINDS) {
    // Five days from here (AccessManager's least setback) not even the admin can give the right to upgrade away faster
    // than an upgrade itself would take.
    const about = `changing who may call ${beaconId(kind)} takes ${seconds(roleDelays.upgrader)}`;
    call(`delay_${beaconId(kind)}`, "setTargetAdminDelay", [at(beaconId(kind)), roleDelays.upgrader], about);
  }
  call(
    "delay_upgrader",
    "setGrantDelay",
    [ROLES.upgrader, roleDelays.upgrader],
    `granting the upgrader's role takes ${seconds(roleDelays.upgrader)}`,
  );
  for (const role of ["curator", "guardian", "upgrader", "canceller"] as const)
    call(`label_${role}`, "labelRole", [ROLES[role], role], `role ${ROLES[role]} is called ${role}`);
  for (const [i, { role, holder, delay }] of grantsOf(inputs).entries())
    call(
      `grant_${i}_${role}`,
      "grantRole",
      [ROLES[role], holder, delay],
      `${holder} becomes ${role}, ${delay === 0 ? "without delay" : `with a delay of ${seconds(delay)}`}`,
    );
  for (const { role, guardian } of ROLE_GUARDIANS)
    call(
      `guardian_${role}`,
      "setRoleGuardian",
      [ROLES[role], ROLES[guardian]],
      `the ${guardian} may cancel what the ${role} has announced`,
    );
  if (handsOver(inputs)) {
    call("grant_admin", "grantRole", [ROLES.admin, roles.admin, 0], `${roles.admin} becomes admin`);
    call("renounce_admin", "renounceRole", [ROLES.admin, deployer], "the deployer gives its rights up");
  }
  return calls;
}

const seconds = (value: number): string => (value % 86_400 === 0 ? `${value / 86_400} days` : `${value} s`);

/** Arguments with the addresses of deployed contracts in the places of their references. */
export function resolveArgument(argument: Argument, address: (id: string) => string): unknown {
  if (typeof argument !== "object") return argument;
  if (Array.isArray(argument)) return argument.map((one) => resolveArgument(one, address));
  if (isReference(argument)) return address(argument.ref);
  return Object.fromEntries(Object.entries(argument).map(([key, one]) => [key, resolveArgument(one, address)]));
}

export function isReference(argument: Argument): argument is Reference {
  return (
    typeof argument === "object" && !Array.isArray(argument) && "ref" in argument && typeof argument.ref === "string"
  );
}
