/**
 * Compares a deployment with its plan, from the chain alone: the code of every contract with its immutables, the
 * beacons, that no implementation can be initialised, and every right that AccessManager has ever given. Reads only;
 * every difference is one sentence.
 */
import { Contract, dataSlice, getAddress, Interface, id, keccak256, type Provider, toBeHex, toBigInt } from "ethers";
import { fullArtifact } from "./artifacts.ts";
import { logsOf } from "./logs.ts";
import { ACCESS_MANAGER, BEACON, beaconId, FACTORY, implementationId, type Plan, resolveArgument } from "./plan.ts";
import { attachTier } from "./protocol.ts";
import { KINDS, ROLES, selectorsOf, TIER_PERMISSIONS } from "./roles.ts";

export interface AuditOptions {
  readonly provider: Provider;
  readonly plan: Plan;
  readonly deployer: string;
  readonly addressOf: (id: string) => string;
  /** The block in which AccessManager was deployed, or an earlier one. */
  readonly fromBlock: number;
}

/** Slot of OpenZeppelin's Initializable by ERC-7201; all ones in its low 64 bits: disabled for good. */
const INITIALIZABLE = toBeHex(
  toBigInt(keccak256(toBeHex(toBigInt(id("openzeppelin.storage.Initializable")) - 1n, 32))) & ~0xffn,
  32,
);
const DISABLED = 2n ** 64n - 1n;

export async function audit(options: AuditOptions): Promise<readonly string[]> {
  return [...(await auditCode(options)), ...(await auditBeacons(options)), ...(await auditRights(options))];
}

async function auditCode({ provider, plan, addressOf, deployer }: AuditOptions): Promise<readonly string[]> {
  const differences: string[] = [];
  for (const { id: name, source, args, implementation } of plan.contracts) {
    const address = addressOf(name);
    const artifact = fullArtifact(source);
    const found = await provider.getCode(address);
    if (found === "0x") {
      differences.push(`${name} (${address}) has no code.`);
      continue;
    }
    // the constructor, run again without a transaction, answers the code that it would deploy
    const resolved = args.map((argument) => resolveArgument(argument, addressOf));
    const data = artifact.bytecode + Interface.from(artifact.abi).encodeDeploy(resolved).slice(2);
    const expected = await provider.call({ data, from: deployer });
    const ranges = Object.values(artifact.immutableReferences).flat();
    if (!sameCode(found, expected, ranges, address))
      differences.push(`${name} (${address}) has other code than ${source.name} compiled here with these arguments.`);
    if (implementation) {
      const slot = toBigInt(await provider.getStorage(address, INITIALIZABLE));
      if ((slot & DISABLED) !== DISABLED)
        differences.push(`${name} (${address}) can be initialised by anybody: it is an implementation.`);
    }
  }
  return differences;
}

/** Equal, but for immutables that hold the contract's own address: those the repeated constructor cannot know. */
export function sameCode(
  found: string,
  expected: string,
  ranges: readonly { readonly start: number; readonly length: number }[],
  address: string,
): boolean {
  if (found.length !== expected.length) return false;
  let patched = expected.toLowerCase();
  for (const { start, length } of ranges) {
    const value = dataSlice(found, start, start + length);
    if (toBigInt(value) !== toBigInt(address)) continue;
    patched = patched.slice(0, 2 + 2 * start) + value.slice(2) + patched.slice(2 + 2 * (start + length));
  }
  return found.toLowerCase() === patched;
}

async function auditBeacons({ provider, addressOf }: AuditOptions): Promise<readonly string[]> {
  const differences: string[] = [];
  const same = (what: string, found: unknown, expected: string) => {
    if (getAddress(String(found)) !== getAddress(expected))
      differences.push(`${what} is ${found} instead of ${expected}.`);
  };
  const manager = addressOf("accessManager");
  const factory = new Contract(addressOf("factory"), fullArtifact(FACTORY).abi, provider);
  same("The factory's authority", await factory.getFunction("authority")(), manager);
  const listed = (await factory.getFunction("beacons")()).toObject() as Record<string, unknown>;
  for (const kind of KINDS) {
    const beacon = new Contract(addressOf(beaconId(kind)), fullArtifact(BEACON).abi, provider);
    same(`The owner of ${beaconId(kind)}`, await beacon.getFunction("owner")(), manager);
    same(
      `What ${beaconId(kind)} points at`,
      await beacon.getFunction("implementation")(),
      addressOf(implementationId(kind)),
    );
    same(`The factory's ${kind} beacon`, listed[kind], addressOf(beaconId(kind)));
  }
  return differences;
}

/** Rights by name → what they are worth, so that two states can be compared line by line. */
type Rights = Map<string, string>;

const roleName = (role: bigint): string =>
  Object.entries(ROLES).find(([, number]) => number === role)?.[0] ?? `role ${role}`;

async function auditRights(options: AuditOptions): Promise<readonly string[]> {
  const { provider, addressOf, deployer, fromBlock } = options;
  const manager = new Contract(addressOf("accessManager"), fullArtifact(ACCESS_MANAGER).abi, provider);
  const found = rightsOf(manager.interface, await logsOf(manager, "*", fromBlock));
  const expected = plannedRights(options);
  for (const [name, value] of await tierRights(options)) expected.set(name, value);

  const differences: string[] = [];
  for (const [name, value] of expected)
    if (found.get(name) !== value) differences.push(`${name}: ${found.get(name) ?? "nothing"} instead of ${value}.`);
  for (const [name, value] of found)
    if (!expected.has(name)) differences.push(`${name}: ${value}, which the plan does not give.`);
  // events say what was done; the state says what holds now
  for (const [name, role] of Object.entries(ROLES)) {
    const [member] = await manager.getFunction("hasRole")(role, deployer);
    if (member === true && !expected.has(`${deployer} holds ${name}`))
      differences.push(`The deployer (${deployer}) still holds the role ${name}.`);
  }
  return differences;
}

function rightsOf(
  face: Interface,
  logs: readonly { readonly topics: readonly string[]; readonly data: string }[],
): Rights {
  const rights: Rights = new Map();
  for (const log of logs) {
    const event = face.parseLog({ topics: [...log.topics], data: log.data });
    if (event === null) continue;
    const value = (name: string): unknown => event.args.getValue(name);
    const role = () => roleName(BigInt(String(value("roleId"))));
    switch (event.name) {
      case "RoleGranted":
        rights.set(`${value("account")} holds ${role()}`, `with a delay of ${value("delay")} s`);
        break;
      case "RoleRevoked":
        rights.delete(`${value("account")} holds ${role()}`);
        break;
      case "TargetFunctionRoleUpdated":
        rights.set(`${value("selector")} of ${value("target")}`, role());
        break;
      case "RoleGuardianChanged":
        rights.set(`guardian of ${role()}`, roleName(BigInt(String(value("guardian")))));
        break;
      case "RoleAdminChanged":
        rights.set(`admin of ${role()}`, roleName(BigInt(String(value("admin")))));
        break;
      case "RoleGrantDelayChanged":
        rights.set(`granting ${role()}`, `takes ${value("delay")} s`);
        break;
      case "TargetAdminDelayUpdated":
        rights.set(`changing who may call ${value("target")}`, `takes ${value("delay")} s`);
        break;
      case "TargetClosed":
        if (value("closed") === true) rights.set(`${value("target")}`, "closed");
        else rights.delete(`${value("target")}`);
        break;
      case "RoleLabel":
        rights.set(`label of ${role()}`, String(value("label")));
        break;
    }
  }
  return rights;
}

/** What the plan's calls amount to. */
function plannedRights({ plan, addressOf, deployer }: AuditOptions): Rights {
  const rights: Rights = new Map([[`${deployer} holds admin`, "with a delay of 0 s"]]);
  for (const { fn, args } of plan.calls) {
    const [first, second, third] = args.map((argument) => resolveArgument(argument, addressOf));
    const role = () => roleName(BigInt(String(first)));
    if (fn === "grantRole") rights.set(`${second} holds ${role()}`, `with a delay of ${third} s`);
    else if (fn === "renounceRole") rights.delete(`${second} holds ${role()}`);
    else if (fn === "setTargetFunctionRole" && Array.isArray(second))
      for (const selector of second) rights.set(`${selector} of ${first}`, roleName(BigInt(String(third))));
    else if (fn === "setRoleGuardian") rights.set(`guardian of ${role()}`, roleName(BigInt(String(second))));
    else if (fn === "setGrantDelay") rights.set(`granting ${role()}`, `takes ${second} s`);
    else if (fn === "setTargetAdminDelay") rights.set(`changing who may call ${first}`, `takes ${second} s`);
    else if (fn === "labelRole") rights.set(`label of ${role()}`, String(second));
    else throw new Error(`The audit does not know ${fn}: teach it in deploy/audit.ts.`);
  }
  return rights;
}

/** The rights of tiers that were opened since. */
async function tierRights({ provider, addressOf }: AuditOptions): Promise<Rights> {
  const rights: Rights = new Map();
  const factory = new Contract(addressOf("factory"), fullArtifact(FACTORY).abi, provider);
  const count = Number(await factory.getFunction("tierCount")());
  for (let i = 0; i < count; i++) {
    const tier = await attachTier(String(await factory.getFunction("tierAt")(i)), provider);
    for (const kind of KINDS) {
      const contract = new Map<string, unknown>(Object.entries(tier)).get(kind);
      if (!(contract instanceof Contract)) continue;
      const address = await contract.getAddress();
      for (const { role, functions } of TIER_PERMISSIONS[kind] ?? [])
        for (const selector of selectorsOf(contract.interface, functions))
          rights.set(`${selector} of ${address}`, role);
    }
  }
  return rights;
}
