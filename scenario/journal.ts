/** Everything that the story sends to the chain goes through here, so that each call can be checked and accounted for. */
import * as z from "zod";
import { decode } from "./books.ts";
import { type Call, events, type Receipt, type Seen, type Sending, same } from "./chain.ts";
import type { Invariants } from "./invariants.ts";
import { WAD } from "./units.ts";
import type { Tier, World } from "./world.ts";

export interface Booked {
  readonly tier: string;
  readonly time: number;
  readonly block: number;
  readonly slashed: boolean;
  readonly amount: bigint;
  readonly gains: bigint;
  readonly reserve: bigint;
  readonly junior: bigint;
  readonly senior: bigint;
  /** AVSs to which the loss was attributed, with the wei that each took. */
  readonly causes: readonly { readonly avs: string; readonly group: number; readonly wei: bigint }[];
}

export interface Flow {
  readonly tier: string;
  readonly person: string;
  readonly senior: boolean;
  readonly wei: bigint;
}

/** What a tier's Rewards did, in wei of WETH. */
export interface RewardFlow {
  /** AVS rewards that came as WETH, and what buyers paid for the others. */
  came: bigint;
  /** Into the tier, as gains. */
  gained: bigint;
  /** Node operators' and protocol's pay. */
  earned: bigint;
  claimed: bigint;
}

export interface Pay {
  readonly tier: string;
  readonly operator: string;
  readonly wei: bigint;
}

const wei = z.bigint();
const synced = z.object({ reserve: wei, junior: wei, senior: wei, gains: wei, gained: wei });
const lossBooked = z.object({
  lossId: wei,
  slashed: z.boolean(),
  amount: wei,
  gains: wei,
  reserve: wei,
  junior: wei,
  senior: wei,
});
const attributed = z.object({ lossId: wei, set: wei, group: wei, value: wei });
const previewTotal = z.object({
  value: wei,
  books: z.object({ reserve: wei, junior: wei, senior: wei, gains: wei }),
});
const stored = z.object({ reserve: wei, junior: wei, senior: wei, gains: wei });

const sum = (b: z.output<typeof stored>): bigint => b.reserve + b.junior + b.senior + b.gains;

export interface Note {
  /** The tier whose books the call may change. */
  readonly tier?: Tier;
  /** Whether it must leave U <= 1. */
  readonly gated?: boolean;
  /** Whether it brings the books up to date (requests and claims do not). */
  readonly syncs?: boolean;
}

export class Journal {
  readonly world: World;
  readonly invariants: Invariants;
  readonly losses: Booked[] = [];
  readonly deposits: Flow[] = [];
  readonly payments: Flow[] = [];
  readonly recoveries: Flow[] = [];
  /** Claimed by node operators. */
  readonly pays: Pay[] = [];
  readonly rewards = new Map<string, RewardFlow>();
  /** Per tier: everything that ever came in, was gained, lost and paid, by the tier's own events. */
  readonly flows = new Map<string, { in: bigint; gained: bigint; lost: bigint; paid: bigint }>();

  constructor(world: World, invariants: Invariants) {
    this.world = world;
    this.invariants = invariants;
    for (const [name, tier] of world.tiers) {
      this.flows.set(name, { in: tier.terms.seed, gained: 0n, lost: 0n, paid: 0n });
      this.rewards.set(name, { came: 0n, gained: 0n, earned: 0n, claimed: 0n });
    }
  }

  async send(sending: Sending, note: Note = {}): Promise<Receipt> {
    const receipt = await this.world.chain.send(sending);
    this.#account(receipt, note.tier);
    if (note.tier && note.syncs !== false) await this.#check(note.tier, sending.fn, note.gated ?? false);
    return receipt;
  }

  /** Accounts for a transaction that somebody else has sent, which is about one tier. */
  async witness(seen: Seen, tier: Tier, what: string, gated: boolean): Promise<void> {
    this.#account(seen, tier);
    await this.#check(tier, what, gated, seen.block);
  }

  /** In one block. */
  async sendTogether(sendings: readonly Sending[], tier: Tier): Promise<readonly Receipt[]> {
    const receipts = await this.world.chain.sendTogether(sendings);
    for (const receipt of receipts) this.#account(receipt, tier);
    await this.#check(tier, sendings.map((one) => one.fn).join(", "), false);
    return receipts;
  }

  async #check(tier: Tier, what: string, gated: boolean, block?: number): Promise<void> {
    const { faces, chain } = this.world;
    const at = (fn: string): Call => ({ to: tier.address, face: faces.tier, fn });
    const calls = [at("books"), at("preview"), ...(gated ? [at("status")] : [])];
    const [books, live, status] = await chain.read(calls, block);
    const now = decode(stored, books);
    const { value } = decode(previewTotal, live);
    this.invariants.check(
      1,
      sum(now) === value,
      () => `after ${what} in ${tier.name}: books ${sum(now)}, value ${value}`,
    );
    if (!gated) return;
    const u = z.bigint().parse(status?.[0]);
    this.invariants.check(10, u <= WAD, () => `${what} in ${tier.name} left U = ${u}`);
  }

  #account(receipt: Receipt, only?: Tier): void {
    const { faces, tiers, chain } = this.world;
    for (const [name, tier] of only ? [[only.name, only] as const] : tiers) {
      const flow = this.flows.get(name);
      if (!flow) continue;
      const of = (event: string) => events(receipt.logs, faces.tier, event, tier.address);
      const causes = events(receipt.logs, faces.risk, "SlashAttributed", tier.risk).map((log) =>
        attributed.parse(log.args.toObject()),
      );
      const states = of("Synced").map((log) => synced.parse(log.args.toObject()));
      for (const state of states) flow.gained += state.gained;
      for (const log of of("LossBooked")) {
        const { lossId, ...loss } = lossBooked.parse(log.args.toObject());
        flow.lost += loss.amount;
        this.losses.push({
          tier: name,
          time: chain.head.time,
          block: receipt.block,
          ...loss,
          causes: causes
            .filter((cause) => cause.lossId === lossId)
            .map((cause) => ({
              avs: tier.avss[Number(cause.set)] ?? "?",
              group: Number(cause.group),
              wei: cause.value,
            })),
        });
        // the state that the same sync has stored: what had to be empty first
        const spent = states.some(
          (state) => state.gains === 0n && state.junior === 0n && (state.reserve === 0n || state.senior === 0n),
        );
        this.invariants.check(
          3,
          loss.senior === 0n || spent,
          () => `${name}: the senior lost ${loss.senior} wei too early`,
        );
      }
      for (const log of of("Recovered")) {
        for (const key of ["senior", "junior", "reserve"]) flow.in += wei.parse(log.args.getValue(key));
      }
      for (const log of of("GainsAdded")) flow.in += wei.parse(log.args.getValue("assets"));
      this.#accountRewards(receipt, tier);
      for (const log of of("ReserveToppedUp")) flow.in += wei.parse(log.args.getValue("assets"));
      for (const log of of("ReserveSkimmed")) flow.paid += wei.parse(log.args.getValue("assets"));
      for (const log of events(receipt.logs, faces.token, "Deposit")) {
        if (only) flow.in += wei.parse(log.args.getValue("assets"));
      }
      for (const event of ["Withdraw", "PotPaid"]) {
        for (const log of events(receipt.logs, faces.token, event)) {
          if (only) flow.paid += wei.parse(log.args.getValue("assets"));
        }
      }
    }
  }

  #accountRewards(receipt: Receipt, tier: Tier): void {
    const { faces, addresses } = this.world;
    const flow = this.rewards.get(tier.name);
    if (!flow) return;
    const sum = (event: string, key: string, ofWeth = true) =>
      events(receipt.logs, faces.rewards, event, tier.rewards)
        .filter((log) => !ofWeth || same(String(log.args.getValue("token")), addresses.weth))
        .reduce((total, log) => total + wei.parse(log.args.getValue(key)), 0n);
    flow.came += sum("Harvested", "amount") + sum("Sold", "payment", false);
    flow.gained += sum("GainPaid", "amount");
    flow.earned += sum("Earned", "amount");
    flow.claimed += sum("PayClaimed", "amount");
  }
}
