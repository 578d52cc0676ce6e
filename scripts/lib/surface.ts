/**
 * Everything that can be called and changes something, and who may call it: the functions from the compiler's output,
 * the roles, their holders and delays from a deployed AccessManager, the meaning from deploy/access.ts.
 */
import { globSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { Contract, EventLog, type FunctionFragment, getAddress, Interface } from "ethers";
import * as z from "zod";
import { ACCESS, type Access, accessOf, DELEGATES } from "../../deploy/access.ts";
import type { TierContracts } from "../../deploy/protocol.ts";
import { IMPLEMENTATIONS, KINDS, type Kind, ROLES, type Role } from "../../deploy/roles.ts";
import { ROOT } from "./tools.ts";

const artifact = z.looseObject({ contractName: z.string(), abi: z.array(z.looseObject({ type: z.string() })) });
const SOURCES = [
  "artifacts/contracts/{core,modules,periphery}/**/*.sol/*.json",
  "artifacts/@openzeppelin/contracts/{access/manager/AccessManager,proxy/beacon/UpgradeableBeacon}.sol/*.json",
];

/** A production contract with the functions that change state. */
export interface Surface {
  readonly contract: string;
  readonly face: Interface;
  readonly functions: readonly FunctionFragment[];
}

/** With `silent`, also contracts that only answer. Libraries and interfaces have nothing to call. */
export function surfaces(silent = false): Surface[] {
  const found: Surface[] = [];
  for (const path of SOURCES.flatMap((pattern) => globSync(pattern, { cwd: ROOT })).sort()) {
    const parsed = z.looseObject({ bytecode: z.string() }).and(artifact);
    const { contractName, abi, bytecode } = parsed.parse(JSON.parse(readFileSync(join(ROOT, path), "utf8")));
    if (bytecode === "0x" || basename(path, ".json") !== contractName) continue;
    const face = Interface.from(abi);
    const functions: FunctionFragment[] = [];
    face.forEachFunction((fragment) => {
      if (!["view", "pure"].includes(fragment.stateMutability)) functions.push(fragment);
    });
    if (functions.length > 0 || silent) found.push({ contract: contractName, face, functions });
  }
  if (found.length === 0) throw new Error('Nothing is compiled: run "npm run build".');
  return found;
}

/** One deployed contract. `of` tells beacons apart. */
export interface Instance {
  readonly address: string;
  readonly of?: Kind;
}

/** Where a deployment's contracts are: singles by their name in the plan, beacons by kind. */
export interface Places {
  readonly beacons: Readonly<Record<Kind, string>>;
  readonly [name: string]: unknown;
}

/** Where each production contract is on a chain, with its tiers and their agents. */
export async function instances(
  places: Places,
  tiers: readonly { readonly contracts: TierContracts; readonly agents: readonly string[] }[],
): Promise<ReadonlyMap<string, readonly Instance[]>> {
  const map = new Map<string, Instance[]>();
  const add = (name: string, instance: Instance) => map.set(name, [...(map.get(name) ?? []), instance]);
  for (const kind of KINDS) {
    add("UpgradeableBeacon", { address: places.beacons[kind], of: kind });
    for (const { contracts, agents } of tiers) {
      const { name } = IMPLEMENTATIONS[kind];
      const parts: Readonly<Record<string, unknown>> = { ...contracts, token: contracts.senior };
      const part = parts[kind];
      if (part instanceof Contract) add(name, { address: await part.getAddress() });
      else if (kind === "agent") for (const address of agents) add(name, { address });
      else
        throw new Error(
          `attachTier does not return the tier's ${kind}: return it under that name (deploy/protocol.ts).`,
        );
      if (kind === "token") add(name, { address: await contracts.junior.getAddress() });
    }
  }
  for (const { contract } of surfaces()) {
    if (KINDS.some((kind) => IMPLEMENTATIONS[kind].name === contract) || contract === "UpgradeableBeacon") continue;
    // "RiskConfigurator" is places.riskConfigurator or places.configurator
    const names = [contract, contract.replace(/^[A-Z][a-z]+/, "")].map((n) => n.charAt(0).toLowerCase() + n.slice(1));
    const target = names.map((name) => places[name]).find((value) => typeof value === "string");
    if (typeof target !== "string")
      throw new Error(
        `${contract} has functions that change state and is not among the deployed addresses: deploy it in deployProtocol, or say in scripts/lib/surface.ts where it is.`,
      );
    add(contract, { address: target });
  }
  return map;
}

/** A role as the chain has it. */
export interface RoleState {
  readonly role: Role;
  readonly id: bigint;
  readonly holders: readonly { readonly account: string; readonly delay: number }[];
  /** Seconds from a grant until it counts. */
  readonly grantDelay: number;
  /** Role that may call off what this role announced. */
  readonly guardian: Role;
}

/** One row of the table. */
export interface Row {
  readonly contract: string;
  readonly fn: string;
  readonly access: Access;
  /** Restricted functions: what AccessManager says. */
  readonly role?: RoleState;
  /** Longest time (seconds) between announcement and call that a holder of the role must wait. */
  readonly delay?: number;
  /** Where targets differ (AccessManager's own functions): the delay for beacons. */
  readonly beaconDelay?: number;
}

const seconds = z.bigint().transform(Number);
const membership = z.tuple([z.boolean(), seconds]);
const list = (value: unknown): unknown[] => [...z.custom<readonly unknown[]>().parse(value)];

/** Roles with holders, read from the events and checked against the state. */
export async function readRoles(manager: Contract, fromBlock: number): Promise<RoleState[]> {
  const accounts = new Map<bigint, Set<string>>();
  for (const log of await manager.queryFilter("RoleGranted", fromBlock)) {
    if (!(log instanceof EventLog)) continue;
    const id = BigInt(log.args.getValue("roleId"));
    accounts.set(id, (accounts.get(id) ?? new Set()).add(getAddress(String(log.args.getValue("account")))));
  }
  const nameOf = (id: bigint): Role => {
    const found = (Object.keys(ROLES) as Role[]).find((name) => ROLES[name] === id);
    if (found === undefined) throw new Error(`AccessManager has a role ${id} that deploy/roles.ts does not know.`);
    return found;
  };
  const states: RoleState[] = [];
  for (const id of [...accounts.keys()].sort((a, b) => Number(a - b))) {
    const holders = [];
    for (const account of accounts.get(id) ?? []) {
      const [member, delay] = membership.parse(list(await manager.getFunction("hasRole")(id, account)));
      if (member) holders.push({ account, delay });
    }
    states.push({
      role: nameOf(id),
      id,
      holders,
      grantDelay: seconds.parse(await manager.getFunction("getRoleGrantDelay")(id)),
      guardian: nameOf(z.bigint().parse(await manager.getFunction("getRoleGuardian")(id))),
    });
  }
  return states;
}

/** AccessManager's own functions whose delay is the target's. */
const TARGET_ADMINISTRATION = ["setTargetFunctionRole", "setTargetClosed", "updateAuthority"];

/** The whole table. Where the chain and deploy/access.ts disagree, an error says what to do. */
export async function readTable(
  manager: Contract,
  deployed: ReadonlyMap<string, readonly Instance[]>,
  fromBlock = 0,
): Promise<{ readonly roles: readonly RoleState[]; readonly rows: readonly Row[] }> {
  const roles = await readRoles(manager, fromBlock);
  const rows: Row[] = [];
  const all = surfaces();
  for (const { contract, functions } of all) {
    const main = DELEGATES[contract];
    if (main !== undefined) {
      const served = all.find((other) => other.contract === main)?.face;
      for (const { name } of functions)
        if (!served?.hasFunction(name))
          throw new Error(`${contract}.${name} is not a function of ${main}: nobody can reach it. Remove it.`);
      continue;
    }
    for (const fragment of functions) {
      const access = accessOf(contract, fragment.name);
      if (access.may !== "role") {
        rows.push({ contract, fn: fragment.name, access });
        continue;
      }
      rows.push(await restrictedRow(manager, roles, contract, fragment, access, deployed));
    }
  }
  return { roles, rows };
}

async function restrictedRow(
  manager: Contract,
  roles: readonly RoleState[],
  contract: string,
  fragment: FunctionFragment,
  access: Extract<Access, { may: "role" }>,
  deployed: ReadonlyMap<string, readonly Instance[]>,
): Promise<Row> {
  const fn = fragment.name;
  const role = roles.find((state) => state.role === access.role);
  if (role === undefined) throw new Error(`Nobody was ever granted the role ${access.role}.`);
  const longest = Math.max(0, ...role.holders.map(({ delay }) => delay));
  if (contract === "AccessManager") {
    if (!TARGET_ADMINISTRATION.includes(fn)) return { contract, fn, access, role, delay: longest };
    const adminDelay = async (target: string) =>
      seconds.parse(await manager.getFunction("getTargetAdminDelay")(target));
    const [beacon] = deployed.get("UpgradeableBeacon") ?? [];
    const [factory] = deployed.get("TierFactory") ?? [];
    if (!beacon || !factory) throw new Error("There is no factory or no beacon.");
    const [delay, beaconDelay] = [await adminDelay(factory.address), await adminDelay(beacon.address)];
    return { contract, fn, access, role, delay: Math.max(longest, delay), beaconDelay: Math.max(longest, beaconDelay) };
  }
  for (const { address } of deployed.get(contract) ?? []) {
    const id = z.bigint().parse(await manager.getFunction("getTargetFunctionRole")(address, fragment.selector));
    if (id !== role.id)
      throw new Error(
        `${contract}.${fn} at ${address} needs role ${id}, and deploy/access.ts says ${access.role} (${role.id}): correct it there, or the permissions in deploy/roles.ts.`,
      );
  }
  return { contract, fn, access, role, delay: longest };
}

// -------------------------------------------------------------------------------------------------------- page

export function duration(time: number): string {
  if (time === 0) return "none";
  const [value, unit] = time % 86_400 === 0 ? [time / 86_400, "day"] : [time / 3_600, "hour"];
  return `${value} ${unit}${value === 1 ? "" : "s"}`;
}

const ORDER = { role: 0, only: 1, anybody: 2 } as const;

/** docs/ROLES.md. `nameOf` names an account. */
export function page(
  roles: readonly RoleState[],
  rows: readonly Row[],
  nameOf: (account: string) => string,
  prose: { readonly before: string; readonly after: string },
): string {
  const held = (state: RoleState) => state.holders.map(({ account }) => nameOf(account)).join(", ") || "nobody";
  const delays = (state: RoleState) =>
    [...new Set(state.holders.map(({ delay }) => duration(delay)))].join(", ") || "none";
  const holders = roles.map(
    (state) =>
      `| ${state.role} | ${state.id} | ${held(state)} | ${delays(state)} | ${duration(state.grantDelay)} | ${state.guardian} |`,
  );
  const contracts = Object.keys(ACCESS);
  const sorted = [...rows].sort(
    (a, b) =>
      contracts.indexOf(a.contract) - contracts.indexOf(b.contract) ||
      ORDER[a.access.may] - ORDER[b.access.may] ||
      a.fn.localeCompare(b.fn),
  );
  const lines = sorted.map(({ contract, fn, access, role, delay, beaconDelay }) => {
    if (access.may === "anybody") return [contract, `\`${fn}\``, "anybody", "", "", access.effect];
    if (access.may === "only") return [contract, `\`${fn}\``, `only ${access.caller}`, "", "", access.effect];
    const wait =
      beaconDelay === undefined || beaconDelay === delay
        ? duration(delay ?? 0)
        : `${duration(delay ?? 0)}; for beacons ${duration(beaconDelay)}`;
    return [contract, `\`${fn}\``, `**${access.role}**`, wait, role ? held(role) : "", access.worst];
  });
  return `${prose.before.trim()}

## Holders

| role | number | held by | delay of its calls | a grant counts after | who may call off what it announced |
| --- | --- | --- | --- | --- | --- |
${holders.join("\n")}

## Every function that changes something

| contract | function | who | delay | held by | the worst that he could do |
| --- | --- | --- | --- | --- | --- |
${lines.map((cells) => `| ${cells.join(" | ")} |`).join("\n")}

${prose.after.trim()}
`;
}
