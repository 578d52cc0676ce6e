/**
 * What keepers do, in the simplest form: look at a tier, then make the permissionless calls that help it. Protection
 * comes first, then money on its way out, then money on its way in. A call that is refused is left for the next round:
 * everything here may be tried again.
 */
import * as z from "zod";
import { decode } from "./books.ts";
import { type Call, type Receipt, Refused, type Sending } from "./chain.ts";
import { formatEth } from "./units.ts";
import type { Tier, World } from "./world.ts";

/** Sends as the keeper; `gated` calls must leave U <= 1. */
export type Send = (sending: Omit<Sending, "from">, gated: boolean) => Promise<Receipt>;

const wei = z.bigint();
const small = z.bigint().transform(Number);
const agentState = z.object({ exits: small });
const link = z.tuple([small, z.object({ current: wei, pending: wei, effectBlock: small, target: wei })]);
const exit = z.object({ startBlock: small, tokensOnly: z.boolean() });
const setState = z.object({ allowed: z.boolean(), unapproved: z.boolean(), quarantined: z.boolean() });
const shares = z.object({ queued: wei });
const liquidity = z.object({ wanted: wei, idle: wei, queued: wei, loose: wei, unstaking: wei });

/** Moves of less are left for later, unless somebody waits for the money. */
const WORTHWHILE = 10n ** 18n;
const ALL = (1n << 256n) - 1n;
const REQUESTS = 20;

export interface Round {
  /** What was done, for people. */
  readonly done: readonly string[];
  /** Whether something is under way that will need a keeper soon. */
  readonly busy: boolean;
}

export async function upkeep(world: World, tier: Tier, send: Send): Promise<Round> {
  const { faces, chain } = world;
  const to =
    (address: string, face: Call["face"]) =>
    (fn: string, ...args: unknown[]) => ({ to: address, face, fn, args });
  const risk = to(tier.risk, faces.risk);
  const stakes = to(tier.stakes, faces.stakes);
  const allocator = to(tier.allocator, faces.allocator);
  const books = to(tier.address, faces.tier);
  const module = to(tier.module, faces.module);
  const done: string[] = [];

  const attempt = async (call: Call, gated: boolean): Promise<boolean> => {
    try {
      await send(call, gated);
      return true;
    } catch (error) {
      if (error instanceof Refused) return false;
      throw error;
    }
  };
  const passes = async (call: Call): Promise<boolean> => !((await chain.probe([call]))[0] instanceof Refused);

  const places = tier.agents.flatMap((one) => one.avss.map((_, at) => ({ agent: one.index, at })));
  const look = async () => {
    const counts = [tier.agents.length, tier.avss.length, places.length];
    const read = await chain.read([
      ...tier.agents.map((one) => risk("agent", one.index)),
      ...tier.avss.map((_, set) => risk("set", set)),
      ...places.map(({ agent, at }) => risk("link", agent, at)),
      allocator("deleverageNeeded"),
      module("requests"),
      stakes("liquidity"),
      stakes("deployRoom"),
      books("shares", true),
      books("shares", false),
    ]);
    const take = (count = 1) => read.splice(0, count);
    const [agents = 0, sets = 0, links = 0] = counts;
    return {
      exits: take(agents).map((one) => decode(agentState, one).exits),
      sets: take(sets).map((one) => decode(setState, one)),
      links: take(links).map((one, i) => {
        const [set, value] = decode(link, one);
        return { agent: places[i]?.agent ?? 0, at: places[i]?.at ?? 0, set, ...value };
      }),
      uncovered: take().map((one) => decode(z.object({ needed: z.boolean() }), one).needed)[0] ?? false,
      payable: take().map((one) => decode(z.object({ claimable: small }), one).claimable)[0] ?? 0,
      money: decode(liquidity, take()[0]),
      room: take().map((one) => decode(z.object({ idle: wei }), one).idle)[0] ?? 0n,
      waiting: take(2).map((one) => decode(shares, one).queued > 0n),
    };
  };

  await send(books("sync"), false);
  let now = await look();

  // ---- protection
  const acted = done.length;
  const ended = new Set(
    now.links.filter((one) => one.pending > 0n && chain.head.block >= one.effectBlock).map(({ set }) => set),
  );
  for (const set of ended) await attempt(risk("poke", set), false);
  if (ended.size > 0) done.push(`deallocation over in ${names(tier, ended)}`);
  const unwound = new Set<number>();
  for (const one of now.links) {
    // while another change is pending, the next rungs of the ladder are a guardian's decision
    if (!now.sets[one.set]?.quarantined || one.current === 0n || one.pending > 0n) continue;
    if (await attempt(allocator("unwind", one.agent, one.at), false)) unwound.add(one.set);
  }
  if (unwound.size > 0) done.push(`unwinds ${names(tier, unwound)}`);
  if (now.uncovered) {
    let cut = 0;
    for (const one of tier.agents) if (await attempt(allocator("deleverage", one.index), false)) cut++;
    if (cut > 0) done.push(`deleverages ${cut} of ${tier.agents.length} agents`);
  }
  if (done.length > acted) now = await look();

  // ---- money on its way out
  const before = done.length;
  const delay = now.exits.some((count) => count > 0) ? Number(await chain.get<bigint>(risk("withdrawalDelay"))) : 0;
  let returned = 0;
  let completed = 0;
  for (const [i, one] of tier.agents.entries()) {
    for (let at = (now.exits[i] ?? 0) - 1; at >= 0; at--) {
      const value = decode(exit, (await chain.read([risk("exit", one.index, at)]))[0]);
      if (chain.head.block <= value.startBlock + delay) continue;
      const back = stakes("redeposit", one.index, at);
      if (!value.tokensOnly && (await passes(back)) && (await attempt(back, true))) returned++;
      else if (await attempt(stakes("complete", one.index, at), false)) completed++;
    }
  }
  if (returned > 0)
    done.push(`${returned} withdrawal${returned === 1 ? " returns" : "s return"} to the stake unneeded`);
  if (completed > 0) done.push(`completes ${completed} withdrawal${completed === 1 ? "" : "s"} from EigenLayer`);
  if (now.payable > 0 && (await attempt(stakes("claimUnstaked", REQUESTS), false))) done.push("Lido pays");
  if (done.length > before) now = await look();
  const { money } = now;
  const somebodyWaits = now.waiting.some((one) => one);
  const missing = money.wanted - money.idle - money.unstaking;
  if (money.loose > 0n && missing > (somebodyWaits && money.unstaking === 0n ? WORTHWHILE / 100n : WORTHWHILE)) {
    if (await attempt(stakes("requestUnstake", REQUESTS), false)) done.push("asks Lido for ETH");
  }
  for (const senior of [true, false]) {
    if (!now.waiting[senior ? 0 : 1]) continue;
    const [amount, token] = await chain.read([books("finalisable", senior), books("token", senior)]);
    if (decode(wei, amount) === 0n) continue;
    const call = { to: decode(z.string(), token), face: faces.token, fn: "finalise", args: [ALL] };
    if (await attempt(call, !senior)) done.push(`finalises ${senior ? "senior" : "junior"} requests`);
  }

  // ---- money on its way in
  let allocated = 0;
  let lowered = 0;
  for (const one of now.links) {
    const set = now.sets[one.set];
    if (!set?.allowed || set.quarantined || set.unapproved || one.pending > 0n) continue;
    if (one.current > one.target && (await attempt(allocator("deallocate", one.agent, one.at), false))) lowered++;
    if (one.current >= one.target) continue;
    // all of it, or as much as the gate lets pass
    for (const quarters of [4n, 2n, 1n]) {
      const magnitude = one.current + ((one.target - one.current) * quarters) / 4n;
      const call = allocator("allocate", one.agent, one.at, magnitude);
      if (magnitude === one.current || !(await passes(call))) continue;
      if (await attempt(call, true)) allocated++;
      break;
    }
  }
  if (lowered > 0) done.push(`lowers ${lowered} allocations to their target`);
  if (allocated > 0) done.push(`allocates to ${allocated} operator set${allocated === 1 ? "" : "s"}`);
  let deployed = 0n;
  for (const one of now.room >= WORTHWHILE ? tier.agents : []) {
    const limit = await chain.get<bigint>(stakes("deployLimit", one.index));
    if (limit >= WORTHWHILE && (await attempt(stakes("deploy", one.index, limit), true))) deployed += limit;
  }
  if (deployed > 0n) done.push(`restakes ${formatEth(deployed)} ETH`);

  // ---- and what the queues still need
  const coming = money.queued + money.loose + money.unstaking;
  let unbonded = 0;
  for (const _ of missing > 0n ? tier.agents : []) {
    const need = await chain.get<bigint>(stakes("unbondNeed"));
    if (need === 0n || (need < WORTHWHILE && !(somebodyWaits && coming === 0n && unbonded === 0))) break;
    if (!(await attempt(stakes("unbond"), false))) break;
    unbonded++;
  }
  if (unbonded > 0) done.push(`queues ${unbonded} withdrawal${unbonded === 1 ? "" : "s"} at EigenLayer`);
  const busy = done.length > 0 || somebodyWaits || coming > 0n || now.links.some((one) => one.pending > 0n);
  return { done, busy };
}

const names = (tier: Tier, sets: ReadonlySet<number>): string =>
  [...sets].map((set) => tier.avss[set] ?? `set ${set}`).join(", ");
