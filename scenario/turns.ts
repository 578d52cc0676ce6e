/** The keeper's turns as the story tells them: what the daemon did, read from the chain, checked and put in words. */
import { Interface, type TransactionDescription } from "ethers";
import * as z from "zod";
import { FUNCTIONS } from "../keeper/plan/calls.ts";
import { decode } from "./books.ts";
import { events, type Seen, same } from "./chain.ts";
import type { Invariants } from "./invariants.ts";
import type { Journal } from "./journal.ts";
import type { Keeper } from "./keeper.ts";
import { formatEth } from "./units.ts";
import type { Tier, World } from "./world.ts";

const wei = z.bigint();
const small = z.bigint().transform(Number);
const callList = z.array(z.object({ target: z.string(), data: z.string() }));
const performed = z.object({ index: small, success: z.boolean() });
const shares = z.object({ supply: wei, queued: wei });
const liquidity = z.object({ queued: wei, loose: wei, unstaking: wei });
const previewBooks = z.object({ books: z.object({ senior: wei, junior: wei }) });

const FACE = new Interface([...new Set(Object.values(FUNCTIONS).flat())]);
/** Calls after which U is at most 1; of finalisations the junior's. */
const GATED = ["deploy", "redeploy", "redeposit", "allocate"];

/** What was done for one tier; syncs, pokes and reviews go without saying. */
export interface Deeds {
  readonly tier: Tier;
  readonly words: readonly string[];
}

export class Turns {
  readonly #world: World;
  readonly #journal: Journal;
  readonly #invariants: Invariants;
  readonly #keeper: Keeper;
  /** Live tokens, with their tranche. */
  readonly #tokens = new Map<string, string>();

  constructor(journal: Journal, invariants: Invariants, keeper: Keeper) {
    this.#world = journal.world;
    this.#journal = journal;
    this.#invariants = invariants;
    this.#keeper = keeper;
  }

  /** Lets the keeper act until nothing is left to do, and says what it did, tier by tier. */
  async take(): Promise<readonly Deeds[]> {
    const { from, to } = await this.#keeper.turn();
    const deeds = new Map<Tier, Deed[]>();
    const unwound = new Map<Tier, number>();
    const vain = new Map<Tier, number>();
    for (const seen of await this.#world.chain.sentBy(this.#keeper.address, from, to)) {
      const calls = this.#callsOf(seen);
      const tier = this.#tierOf(seen, calls);
      if (tier === undefined) continue; // it reverted, or gave up a nonce
      const done = calls.filter((one) => one.done);
      if (done.length > 0) await this.#check(seen, tier, done);
      else vain.set(tier, (vain.get(tier) ?? 0) + 1);
      deeds.set(tier, [...(deeds.get(tier) ?? []), ...done]);
      if (done.some(({ call }) => call.name === "unwind") && !unwound.has(tier)) unwound.set(tier, seen.block);
    }
    return [...deeds].map(([tier, done]) => ({
      tier,
      words: [
        ...this.#words(tier, done, unwound.get(tier)),
        ...(vain.has(tier) ? [`pays for ${several(vain.get(tier) ?? 0, "transaction", "transactions")} in vain`] : []),
      ],
    }));
  }

  /** Whether money is on its way, so that a keeper will be needed soon. */
  async busy(): Promise<boolean> {
    const { chain, faces, tiers } = this.#world;
    const read = await chain.read(
      [...tiers.values()].flatMap((tier) => [
        { to: tier.stakes, face: faces.stakes, fn: "liquidity" },
        { to: tier.address, face: faces.tier, fn: "shares", args: [true] },
        { to: tier.address, face: faces.tier, fn: "shares", args: [false] },
      ]),
    );
    return read.some((one, i) => {
      if (i % 3 !== 0) return decode(shares, one).queued > 0n;
      const { queued, loose, unstaking } = decode(liquidity, one);
      return queued + loose + unstaking > 0n;
    });
  }

  #callsOf(seen: Seen): readonly Deed[] {
    const { upkeep } = this.#world.protocol;
    const parsed = upkeep.interface.parseTransaction({ data: seen.data });
    if (parsed?.name !== "perform") return [];
    const results = new Map(
      events(seen.logs, upkeep.interface, "Performed").map((log) => {
        const { index, success } = performed.parse(log.args.toObject());
        return [index, success] as const;
      }),
    );
    const list = callList.parse(parsed.args[0].toArray().map((one: { toObject(): unknown }) => one.toObject()));
    return list.flatMap(({ target, data }, i) => {
      const call = FACE.parseTransaction({ data });
      return call ? [{ target, call, done: results.get(i) ?? false }] : [];
    });
  }

  /** A batch is about one tier, whose contracts say so. */
  #tierOf(seen: Seen, calls: readonly Deed[]): Tier | undefined {
    const places = [...calls.map(({ target }) => target), ...seen.logs.map(({ address }) => address)];
    return [...this.#world.tiers.values()].find((tier) => {
      const { address, risk, stakes, allocator, rewards } = tier;
      return [address, risk, stakes, allocator, rewards].some((own) => places.some((place) => same(place, own)));
    });
  }

  async #check(seen: Seen, tier: Tier, done: readonly Deed[]): Promise<void> {
    const { chain, faces } = this.#world;
    const logs = events(seen.logs, faces.token, "Finalised");
    const sides = await chain.read(
      [
        { to: tier.address, face: faces.tier, fn: "preview" },
        { to: tier.address, face: faces.tier, fn: "shares", args: [true] },
        { to: tier.address, face: faces.tier, fn: "shares", args: [false] },
        { to: tier.address, face: faces.tier, fn: "token", args: [true] },
        { to: tier.address, face: faces.tier, fn: "token", args: [false] },
      ],
      seen.block,
    );
    const { books } = decode(previewBooks, sides[0]);
    const [seniorShares, juniorShares] = [decode(shares, sides[1]), decode(shares, sides[2])];
    const [senior, junior] = [decode(z.string(), sides[3]), decode(z.string(), sides[4])];
    this.#tokens.set(senior, "senior").set(junior, "junior");
    const releasesCover = done.some(({ target, call }) => call.name === "finalise" && same(target, junior));
    const gated = releasesCover || done.some(({ call }) => GATED.includes(call.name));
    const what = done.map(({ call }) => call.name).join(", ");
    await this.#journal.witness(seen, tier, `the keeper's ${what}`, gated);
    for (const token of [senior, junior]) {
      const isSenior = token === senior;
      for (const log of seen.logs.filter((one) => same(one.address, token))) {
        const [event] = logs.length === 0 ? [] : events([log], faces.token, "Finalised");
        if (!event) continue;
        const [gone, paid] = [wei.parse(event.args.getValue("shares")), wei.parse(event.args.getValue("assets"))];
        const stays = isSenior
          ? { token, ...seniorShares, book: books.senior }
          : { token, ...juniorShares, book: books.junior };
        this.#invariants.finalised(tier.name, gone, paid, stays);
      }
    }
  }

  #words(tier: Tier, done: readonly Deed[], unwoundIn: number | undefined): readonly string[] {
    const of = (name: string) => done.filter(({ call }) => call.name === name).map(({ call }) => call);
    const number = (call: TransactionDescription, i: number) => Number(call.args[i]);
    const words: string[] = [];

    const unwound = new Set(
      of("unwind").map((call) => {
        const agent = tier.agents.find(({ index }) => index === number(call, 0));
        return agent?.avss[number(call, 1)] ?? `link ${number(call, 0)}/${number(call, 1)}`;
      }),
    );
    if (unwound.size > 0) words.push(`unwinds ${[...unwound].join(", ")}${this.#since(tier, unwoundIn)}`);
    const cut = new Set(of("deleverage").map((call) => number(call, 0))).size;
    if (cut > 0) words.push(`deleverages ${cut} of ${tier.agents.length} agents`);
    const returned = of("redeposit").length;
    if (returned > 0) words.push(`returns ${several(returned, "withdrawal", "withdrawals")} to the stake unneeded`);
    const completed = of("complete").length;
    if (completed > 0) words.push(`completes ${several(completed, "withdrawal", "withdrawals")} from EigenLayer`);
    if (of("claimUnstaked").length > 0) words.push("collects what Lido pays");
    if (of("requestUnstake").length > 0) words.push("asks Lido for ETH");
    const paid = done.filter(({ call }) => call.name === "finalise").map(({ target }) => this.#trancheOf(target));
    for (const tranche of new Set(paid)) words.push(`finalises ${tranche} requests`);
    const raised = of("allocate").length;
    if (raised > 0) words.push(`allocates to ${several(raised, "operator set", "operator sets")}`);
    const lowered = of("deallocate").length;
    if (lowered > 0) words.push(`lowers ${several(lowered, "allocation", "allocations")} to the target`);
    const deployed = of("deploy").reduce((sum, call) => sum + wei.parse(call.args[1]), 0n);
    if (deployed > 0n) words.push(`restakes ${formatEth(deployed)} ETH`);
    const again = of("redeploy").reduce((sum, call) => sum + wei.parse(call.args[1]), 0n);
    if (again > 0n) words.push(`restakes ${formatEth(again)} ETH that came back`);
    const unbonded = of("unbond").length;
    if (unbonded > 0) words.push(`queues ${several(unbonded, "withdrawal", "withdrawals")} at EigenLayer`);
    const harvested = of("harvest").length;
    if (harvested > 0) words.push(`harvests the rewards of ${several(harvested, "agent", "agents")}`);
    for (const call of of("openSeries")) words.push(`opens the next ${call.args[1] ? "senior" : "junior"} series`);
    return words;
  }

  #trancheOf(token: string): string {
    return [...this.#tokens].find(([address]) => same(address, token))?.[1] ?? "retired";
  }

  /** How fast an unwind answered the slash that it answers, if that was just now. */
  #since(tier: Tier, block: number | undefined): string {
    const slash = this.#journal.losses.filter((loss) => loss.tier === tier.name && loss.slashed).at(-1);
    if (slash === undefined || block === undefined || block - slash.block > 10) return "";
    const blocks = block - slash.block;
    return blocks === 1 ? " in the next block" : ` ${blocks} blocks after the slash`;
  }
}

const several = (count: number, one: string, more: string) => `${count} ${count === 1 ? one : more}`;

interface Deed {
  readonly target: string;
  readonly call: TransactionDescription;
  readonly done: boolean;
}
