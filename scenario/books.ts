/** A tier as the chain shows it at one moment: the books after a sync, exposures, and who holds what. */
import type { Result } from "ethers";
import * as z from "zod";
import { type Call, Refused } from "./chain.ts";
import { WAD } from "./units.ts";
import type { Tier, World } from "./world.ts";

const wei = z.bigint();
const small = z.bigint().transform(Number);
const address = z.string();

const books = z.object({ reserve: wei, junior: wei, senior: wei, gains: wei });
const borne = z.object({ gains: wei, reserve: wei, junior: wei, senior: wei });
const deficit = z.object({ outstanding: wei, juniorLoss: wei, openedAt: small, closesAt: small });
const preview = z.object({
  books,
  borne,
  deficit,
  observation: z.object({ staked: wei, queued: wei, exposed: wei, slashedAgents: wei }),
  value: wei,
  loose: wei,
  unstaking: wei,
  utilisation: wei,
  baseRate: wei,
  seniorRetires: z.boolean(),
  juniorRetires: z.boolean(),
});
const exposures = z.object({ current: z.array(wei), unapproved: wei, largest: wei, worst: wei });
const solvency = z.object({ loss: wei, lossByGroup: z.array(wei), borne, afterwards: books, covered: z.boolean() });
const shares = z.object({ supply: wei, queued: wei });
const setState = z.object({
  group: small,
  allowed: z.boolean(),
  unapproved: z.boolean(),
  quarantined: z.boolean(),
});

export type Books = z.output<typeof books>;
export type Borne = z.output<typeof borne>;
export type Preview = z.output<typeof preview>;
export type Exposures = z.output<typeof exposures>;
export type Solvency = z.output<typeof solvency>;

export interface Side {
  /** The live token; the zero address while a retired series has no successor. */
  readonly token: string;
  readonly supply: bigint;
  readonly queued: bigint;
  readonly book: bigint;
}

export interface Holding {
  readonly person: string;
  readonly senior: boolean;
  /** In the wallet and in the queue, not finalised. */
  readonly shares: bigint;
  readonly queued: bigint;
  readonly value: bigint;
  /** Finalised, waiting to be claimed. */
  readonly claimable: bigint;
}

export interface TierView {
  readonly tier: Tier;
  readonly stored: Books;
  readonly preview: Preview;
  readonly exposures: Exposures;
  readonly solvency: Solvency;
  readonly senior: Side;
  readonly junior: Side;
  /** Number of the live junior series; 0 while there is none. */
  readonly juniorSeries: number;
  readonly idle: bigint;
  readonly reserved: bigint;
  /** AVSs by slasher group, and those in quarantine. */
  readonly groups: ReadonlyMap<number, readonly string[]>;
  readonly quarantined: readonly string[];
  readonly holdings: readonly Holding[];
}

export interface View {
  readonly block: number;
  readonly time: number;
  readonly tiers: ReadonlyMap<string, TierView>;
}

export const ZERO_ADDRESS = `0x${"0".repeat(40)}`;
export const total = (b: Books): bigint => b.reserve + b.junior + b.senior + b.gains;
/** Wei for a share of 1e18, rounded down. */
export const rateOf = (side: Side): bigint => (side.supply === 0n ? WAD : (side.book * WAD) / side.supply);

const plain = (value: unknown): unknown => {
  if (Array.isArray(value) && "toObject" in value) {
    const result = value as unknown as Result;
    if (result.length === 0) return [];
    try {
      const object = result.toObject();
      if (Object.keys(object).every((key) => key !== "_"))
        return Object.fromEntries(Object.entries(object).map(([key, one]) => [key, plain(one)]));
    } catch {
      // an array: its elements have no names
    }
    return result.toArray().map(plain);
  }
  return value;
};

/** What a call returned, as plain objects and arrays, checked. */
export function decode<T extends z.ZodType>(schema: T, result: Result | undefined): z.output<T> {
  const value = plain(result?.length === 1 ? result[0] : result);
  return schema.parse(value);
}

export async function viewTier(world: World, tier: Tier): Promise<TierView> {
  const { faces, addresses, accounts } = world;
  const at = (fn: string, ...args: unknown[]): Call => ({ to: tier.address, face: faces.tier, fn, args });
  const risk = (fn: string, ...args: unknown[]): Call => ({ to: tier.risk, face: faces.risk, fn, args });
  const head = await world.chain.read([
    at("books"),
    at("preview"),
    at("cash"),
    at("shares", true),
    at("shares", false),
    at("token", true),
    at("token", false),
    risk("exposures", false),
    { to: addresses.lens, face: faces.lens, fn: "solvencyAgainstWorst", args: [tier.address] },
    ...tier.avss.map((_, index) => risk("set", index)),
  ]);
  const p = decode(preview, head[1]);
  const [idle, reserved] = z.tuple([wei, wei]).parse(head[2]?.toArray());
  const [seniorShares, juniorShares] = [decode(shares, head[3]), decode(shares, head[4])];
  const [seniorToken, juniorToken] = [decode(address, head[5]), decode(address, head[6])];
  const sets = head.slice(9).map((one) => decode(setState, one));

  const groups = new Map<number, string[]>();
  for (const [index, set] of sets.entries()) {
    const list = groups.get(set.group) ?? [];
    list.push(tier.avss[index] ?? "");
    groups.set(set.group, list);
  }
  // what a preview would retire has no book any more
  const senior: Side = { token: seniorToken, ...seniorShares, book: p.books.senior };
  const junior: Side = { token: juniorToken, ...juniorShares, book: p.books.junior };

  const people = [...accounts.people];
  const sides = [
    { isSenior: true, side: senior },
    { isSenior: false, side: junior },
  ].filter(({ side }) => side.token !== ZERO_ADDRESS);
  const token = (side: Side, fn: string, ...args: unknown[]): Call => ({ to: side.token, face: faces.token, fn, args });
  const read = await world.chain.read([
    ...sides.flatMap(({ side }) => [
      token(side, "series"),
      ...people.flatMap(([, account]) => [token(side, "balanceOf", account), token(side, "maxWithdraw", account)]),
    ]),
  ]);
  let juniorSeries = 0;
  const holdings: Holding[] = [];
  for (const { isSenior, side } of sides) {
    const series = Number(decode(wei, read.shift()));
    if (!isSenior) juniorSeries = series;
    const queued = await queuedBy(world, side);
    for (const [person, account] of people) {
      const balance = decode(wei, read.shift());
      const claimable = decode(wei, read.shift());
      const waiting = queued.get(account.toLowerCase()) ?? 0n;
      const held = balance + waiting;
      if (held === 0n && claimable === 0n) continue;
      const value = side.supply === 0n ? 0n : (held * side.book) / side.supply;
      holdings.push({ person, senior: isSenior, shares: held, queued: waiting, value, claimable });
    }
  }
  return {
    tier,
    stored: decode(books, head[0]),
    preview: p,
    exposures: decode(exposures, head[7]),
    solvency: decode(solvency, head[8]),
    senior,
    junior,
    juniorSeries,
    idle,
    reserved,
    groups,
    quarantined: tier.avss.filter((_, index) => sets[index]?.quarantined ?? false),
    holdings,
  };
}

const request = z.tuple([address, wei, wei, wei, wei]);

/** Shares in the queue, not finalised, by controller. */
async function queuedBy(world: World, side: Side): Promise<ReadonlyMap<string, bigint>> {
  const sums = new Map<string, bigint>();
  if (side.queued === 0n) return sums;
  // requests are numbered from 1; the queue is short here, so a reader may simply look at all of them
  for (let first = 1; ; first += 16) {
    const read = await world.chain.probe(
      Array.from({ length: 16 }, (_, i) => ({
        to: side.token,
        face: world.faces.token,
        fn: "request",
        args: [first + i],
      })),
    );
    for (const one of read) {
      if (one instanceof Refused) return sums; // beyond the last one
      const [controller, , pending] = request.parse(one.toArray());
      const key = controller.toLowerCase();
      sums.set(key, (sums.get(key) ?? 0n) + pending);
    }
  }
}

export async function view(world: World): Promise<View> {
  const tiers = new Map<string, TierView>();
  for (const [name, tier] of world.tiers) tiers.set(name, await viewTier(world, tier));
  return { block: world.chain.head.block, time: world.chain.head.time, tiers };
}

/** The slasher groups by what they could take now (wei), largest first; unapproved sets are not among them. */
export function ranking(
  view: TierView,
): readonly { readonly group: number; readonly name: string; readonly wei: bigint }[] {
  return view.exposures.current
    .map((exposed, group) => ({
      group,
      name: (view.groups.get(group) ?? []).join(" + "),
      wei: exposed / 10n ** 9n,
    }))
    .filter((one) => one.wei > 0n)
    .sort((a, b) => (a.wei === b.wei ? a.group - b.group : a.wei < b.wei ? 1 : -1));
}
