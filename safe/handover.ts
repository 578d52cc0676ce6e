/**
 * Moving a role in two steps: whoever shall have it accepts from that very account, then the admin's batch grants and
 * revokes. AccessManager itself takes any address; docs/ROLES.md says what this adds.
 */
import { Contract, getAddress, type Provider, ZeroAddress } from "ethers";
import * as z from "zod";
import { hardhatArtifacts } from "../deploy/eigenlayer.ts";
import { ACCESS_MANAGER, PERIPHERY } from "../deploy/plan.ts";
import { ROLES, type Role } from "../deploy/roles.ts";
import { type CallSpec, callSchema } from "./commands.ts";

/** Curator and guardian may both cancel proposals; that right goes where they go. */
const MOVES: Readonly<Partial<Record<Role, readonly Role[]>>> = {
  admin: ["admin"],
  curator: ["curator", "canceller"],
  guardian: ["guardian", "canceller"],
  upgrader: ["upgrader"],
};
export const MOVABLE = Object.keys(MOVES) as Role[];

export interface HandoverOptions {
  readonly role: Role;
  readonly from: string;
  readonly to: string;
  readonly accessManager: string;
  readonly acceptance: string;
}

export interface Handover {
  /** For the admin's batch; empty while there is something to wait for, or nothing left to do. */
  readonly calls: readonly CallSpec[];
  readonly lines: readonly string[];
}

const membership = z.tuple([z.boolean(), z.bigint().transform(Number)]);
const list = (value: unknown): unknown[] => [...z.custom<readonly unknown[]>().parse(value)];

/** What the next step is. Refuses where the new holder has not shown that he can act. */
export async function nextStep(provider: Provider, options: HandoverOptions): Promise<Handover> {
  const { role, accessManager, acceptance } = options;
  const moved = MOVES[role];
  if (moved === undefined)
    throw new Error(`${role} moves with curator and guardian; name one of ${MOVABLE.join(", ")}.`);
  const [from, to] = [getAddress(options.from), getAddress(options.to)];
  if (from === to) throw new Error(`${to} would hand the role to itself.`);
  if ([ZeroAddress, getAddress(accessManager), getAddress(acceptance)].includes(to))
    throw new Error(`${to} cannot act: a role would be lost there.`);
  const manager = new Contract(accessManager, hardhatArtifacts(ACCESS_MANAGER.name, ACCESS_MANAGER.file).abi, provider);
  const { name, file } = PERIPHERY.acceptance;
  const book = new Contract(acceptance, hardhatArtifacts(name, file).abi, provider);
  const acceptedAt = z.bigint().parse(await book.getFunction("acceptedAt")(accessManager, ROLES[role], to));
  if (acceptedAt === 0n)
    throw new Error(
      `${to} has not accepted the role: let it call RoleAcceptance.accept(${accessManager}, ${ROLES[role]}) at ${acceptance} first, from that account (npm run handover -- accept, or a Safe transaction). Nothing was prepared.`,
    );

  const call = (target: string, fn: string, ...args: unknown[]): CallSpec =>
    callSchema.parse({ to: target, function: fn, args: args.map(String), via: "auto" });
  const grants: CallSpec[] = [];
  const revocations: CallSpec[] = [];
  const lines: string[] = [];
  let waits = 0;
  const now = (await provider.getBlock("latest"))?.timestamp ?? 0;
  for (const one of moved) {
    const id = ROLES[one];
    const hasRole = async (who: string) => membership.parse(list(await manager.getFunction("hasRole")(id, who)));
    const [[held, delay], [received]] = [await hasRole(from), await hasRole(to)];
    const access = list(await manager.getFunction("getAccess")(id, to));
    const since = z.bigint().transform(Number).parse(access[0]);
    const grantDelay = z
      .bigint()
      .transform(Number)
      .parse(await manager.getFunction("getRoleGrantDelay")(id));
    if (!received && since === 0) {
      if (!held) throw new Error(`${from} does not hold the role ${one}, so it has nothing to hand on.`);
      grants.push(call(accessManager, "grantRole", id, to, delay));
      lines.push(`${to} becomes ${one}${grantDelay === 0 ? "" : `, ${grantDelay / 86_400} days after the grant`}`);
    } else if (!received) {
      lines.push(`the grant of ${one} counts from ${new Date(since * 1000).toISOString()}`);
    }
    const waiting = !received && (since > now || (since === 0 && grantDelay > 0));
    if (waiting) waits++;
    else if (held) {
      revocations.push(call(accessManager, "revokeRole", id, from));
      lines.push(`${from} is ${one} no longer`);
    }
  }
  if (waits > 0) lines.push(`${from} keeps the role until then; run this again to take it`);
  const changes = [...grants, ...revocations];
  if (changes.length === 0) {
    if (waits === 0) lines.push("nothing is left to do: the role is where it shall be");
    return { calls: [], lines };
  }
  return { calls: [call(acceptance, "requireAccepted", accessManager, ROLES[role], to), ...changes], lines };
}
