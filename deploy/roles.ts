/**
 * Who may do what. OpenZeppelin's AccessManager holds one role per function, so this file is the whole policy: which
 * role may call which function of which contract. Everything that is not listed here and is restricted stays with the
 * admin; everything else of the protocol is permissionless.
 */
import { Interface } from "ethers";
import * as z from "zod";
import { type ArtifactSource, hardhatArtifacts } from "./eigenlayer.ts";

/** Numbers of the roles in AccessManager; 0 is its own admin role. */
export const ROLES = {
  admin: 0n,
  curator: 1n,
  guardian: 2n,
  upgrader: 3n,
  /** Withdraws a proposed mandate. A role of its own, held by curator and guardian, because both may. */
  canceller: 4n,
} as const;

export type Role = keyof typeof ROLES;

/** Kinds of contract, as the factory's beacons are named. */
export const KINDS = ["tier", "risk", "stakes", "allocator", "mandate", "token", "agent", "module", "rewards"] as const;
export type Kind = (typeof KINDS)[number];

/** Source file and name of each kind's implementation. */
export const IMPLEMENTATIONS: Readonly<Record<Kind, { readonly name: string; readonly file: string }>> = {
  tier: { name: "Tier", file: "contracts/core/Tier.sol" },
  risk: { name: "RiskManager", file: "contracts/core/risk/RiskManager.sol" },
  stakes: { name: "StakeManager", file: "contracts/core/StakeManager.sol" },
  allocator: { name: "Allocator", file: "contracts/core/Allocator.sol" },
  mandate: { name: "Mandate", file: "contracts/core/Mandate.sol" },
  token: { name: "TrancheToken", file: "contracts/core/TrancheToken.sol" },
  agent: { name: "RestakingAgent", file: "contracts/core/RestakingAgent.sol" },
  module: { name: "LidoModule", file: "contracts/modules/LidoModule.sol" },
  rewards: { name: "Rewards", file: "contracts/modules/Rewards.sol" },
};

export interface Permission {
  readonly role: Role;
  readonly functions: readonly string[];
}

/** Functions of the contracts that there is one of. */
export const FACTORY_PERMISSIONS: readonly Permission[] = [
  { role: "curator", functions: ["createTier", "createAgent", "nominateNodeOperator"] },
];
/** Ownership of a beacon goes with the right to upgrade: otherwise the admin could hand the beacon to himself. */
export const BEACON_PERMISSIONS: readonly Permission[] = [
  { role: "upgrader", functions: ["upgradeTo", "transferOwnership", "renounceOwnership"] },
];

/** Functions of each tier's own contracts; set when the tier is opened. */
export const TIER_PERMISSIONS: Readonly<Partial<Record<Kind, readonly Permission[]>>> = {
  tier: [
    { role: "curator", functions: ["skimReserve", "writeOff", "unpauseEntries"] },
    { role: "guardian", functions: ["pauseEntries"] },
  ],
  risk: [
    { role: "curator", functions: ["merge", "removeAgent"] },
    { role: "guardian", functions: ["quarantine"] },
  ],
  mandate: [
    { role: "curator", functions: ["propose", "tighten"] },
    { role: "canceller", functions: ["cancel"] },
  ],
  rewards: [
    {
      role: "curator",
      functions: [
        "setOperatorFee",
        "setProtocolFee",
        "resumePay",
        "listToken",
        "setFloor",
        "reserveForDrops",
        "postDrop",
      ],
    },
    { role: "guardian", functions: ["withholdPay", "raiseFloor"] },
  ],
};

/** Seconds between an announced call and its execution. */
export interface RoleDelays {
  readonly curator: number;
  readonly guardian: number;
  readonly upgrader: number;
}

/**
 * Mandates carry their own delay of 45 days and more, so the curator's calls need none; protection must not wait; an
 * upgrade waits longer than the slowest exit, so that nobody is held in a tier whose rules change.
 */
export const DEFAULT_ROLE_DELAYS: RoleDelays = { curator: 0, guardian: 0, upgrader: 60 * 86_400 };

/** Selectors of functions by name; a name that is missing or overloaded is an error of this file. */
export function selectorsOf(face: Interface, functions: readonly string[]): string[] {
  return functions.map((name) => {
    const fragment = face.getFunction(name);
    if (fragment === null) throw new Error(`There is no function ${name}: correct deploy/roles.ts.`);
    return fragment.selector;
  });
}

/** Reads the interface of a kind's implementation. */
export function interfaceOf(kind: Kind, artifacts: ArtifactSource = hardhatArtifacts): Interface {
  const { name, file } = IMPLEMENTATIONS[kind];
  return Interface.from(artifacts(name, file).abi);
}

/** Addresses that hold the roles. */
export const roleHolders = z.object({
  admin: z.string(),
  curator: z.string(),
  guardian: z.string(),
  upgrader: z.string(),
});
export type RoleHolders = z.infer<typeof roleHolders>;
