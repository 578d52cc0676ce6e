/** Plays the steps of a story on the chain. One function for each verb; what they mean to the reader is in the file. */
import * as z from "zod";
import { decode, type Side, type TierView, type View, view, viewTier, ZERO_ADDRESS } from "./books.ts";
import { events, Refused, type Sending } from "./chain.ts";
import { checkExpectation, checkHolder, checkPaid, checkPay } from "./expectations.ts";
import type { Invariants } from "./invariants.ts";
import type { Journal, Note } from "./journal.ts";
import type { Keeper } from "./keeper.ts";
import { booksTable, dayOf, type Printer, worstCase } from "./print.ts";
import { RewardsDesk, type Security } from "./rewards.ts";
import type { ExitAmount, PlainStep, Step, Tranche } from "./schema.ts";
import { type Deeds, Turns } from "./turns.ts";
import { BLOCK_SECONDS, BLOCKS_PER_DAY, DAY, formatDuration, formatEth, formatPercent, WAD } from "./units.ts";
import { type Agent, must, SET_ID, type Tier, type World } from "./world.ts";

/** A step of the file did not do what the file says: an expectation failed, or a call was refused. */
export class StoryError extends Error {
  override readonly name = "StoryError";
}

interface Evidence {
  readonly avs: string;
  readonly agent: Agent;
  readonly task: bigint;
  readonly greeting: string;
  readonly signature: string;
}

const wei = z.bigint();
const text = z.string();
const status = z.object({ timestamp: wei, isFinalized: z.boolean() });
const YEAR = 365n;
const ALL = (1n << 256n) - 1n;

export class Player {
  readonly world: World;
  readonly journal: Journal;
  readonly invariants: Invariants;
  readonly printer: Printer;
  now: View;
  before: View;
  readonly #remembered = new Map<string, View>();
  readonly #evidence = new Map<string, Evidence>();
  /** All series of a tier's tranche, the live one last. */
  readonly #series = new Map<string, string[]>();
  readonly #desk: RewardsDesk;
  readonly #turns: Turns;
  #lastReport: number;
  #printed = "";

  constructor(world: World, journal: Journal, invariants: Invariants, printer: Printer, first: View, keeper: Keeper) {
    this.world = world;
    this.journal = journal;
    this.invariants = invariants;
    this.printer = printer;
    this.now = first;
    this.before = first;
    this.#desk = new RewardsDesk(world, keeper);
    this.#turns = new Turns(journal, invariants, keeper);
    this.#lastReport = world.birth.time;
    this.#learnSeries();
  }

  /** Plays one step; acting steps are followed by the invariants. Throws a StoryError where the file is not met. */
  async play(step: Step): Promise<void> {
    if (step.refused) {
      await this.#refused(step.refused.step, step.refused.because);
      return;
    }
    if (step.say !== undefined) return this.#tell(this.printer.dim(step.say));
    if (step.show !== undefined) return this.show(step.show);
    if (step.remember !== undefined) {
      this.#remembered.set(step.remember, this.now);
      return;
    }
    if (step.expect)
      return this.#expect(step.expect.since, (since) =>
        checkExpectation(must(step.expect, "expectation"), since, this.now, this.journal),
      );
    if (step["expect holder"]) {
      const wanted = step["expect holder"];
      return this.#expect(wanted.since, (since) => checkHolder(wanted, since, this.now));
    }
    if (step["expect paid"]) {
      const wanted = step["expect paid"];
      return this.#expect(undefined, () => checkPaid(wanted, this.journal));
    }
    if (step["expect pay"]) {
      const wanted = step["expect pay"];
      return this.#expect(undefined, () => checkPay(wanted, this.journal));
    }
    this.before = this.now;
    const subject = subjectOf(step);
    try {
      await this.#act(step);
    } catch (error) {
      if (error instanceof Refused) throw new StoryError(`The contracts refuse this step: ${error.message}`);
      throw error;
    }
    await this.look(verbOf(step), subject);
  }

  /** Looks at the chain again, and checks what must always hold. */
  async look(what: string, subject: string | undefined): Promise<void> {
    this.now = await view(this.world);
    this.#learnSeries();
    await this.invariants.observe(this.journal, this.before, this.now, what, subject);
  }

  show(which: string): void {
    const shown = which === "all" ? this.now : { ...this.now, tiers: new Map([[which, this.tierView(which)]]) };
    this.#table(shown);
    for (const one of shown.tiers.values()) for (const line of worstCase(this.printer, one)) this.printer.line(line);
  }

  /** One line a tier, if anything has changed since it was last printed. */
  showBooks(): void {
    this.#table(this.now, true);
  }

  #table(shown: View, changed = false): void {
    const lines = booksTable(this.printer, shown);
    if (changed && lines.join() === this.#printed) return;
    this.#printed = lines.join();
    for (const line of lines) this.printer.line(line);
  }

  tierView(name: string): TierView {
    return must(this.now.tiers.get(name), `tier ${name}`);
  }

  async #expect(since: string | undefined, test: (since: View) => readonly string[]): Promise<void> {
    const from = since === undefined ? this.before : must(this.#remembered.get(since), `remembered moment ${since}`);
    const results = test(from);
    for (const line of results) this.#tell(`${this.printer.green("✓")} ${line}`);
  }

  async #refused(step: PlainStep, because: string): Promise<void> {
    this.before = this.now;
    try {
      await this.#act(step);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (error.reason !== because) {
        throw new StoryError(`It is refused, but not because of ${because}: ${error.message}`);
      }
      this.#tell(`${this.printer.green("✓")} ${verbOf(step)} is refused: ${error.message}`);
      await this.look(verbOf(step), undefined);
      return;
    }
    throw new StoryError(`${verbOf(step)} passes, and should be refused because of ${because}`);
  }

  async #act(step: PlainStep): Promise<void> {
    if (step.deposit) return this.#deposit(step.deposit);
    if (step.wait) return this.#wait(step.wait.for, step.wait.keeper === "awake");
    if (step.upkeep !== undefined) return this.#upkeep();
    if (step["staking loss"] !== undefined) return this.#stakingLoss(step["staking loss"]);
    if (step.greet) return this.#greet(step.greet);
    if (step.prove) return this.#prove(step.prove);
    if (step.slash) return this.#slash(step.slash);
    if (step["request exit"]) return this.#requestExit(step["request exit"]);
    if (step["leave at once"]) return this.#leaveAtOnce(step["leave at once"]);
    if (step.finalise) return this.#finalise(step.finalise);
    if (step.claim) return this.#claim(step.claim);
    if (step.unwind !== undefined) return this.#unwind(step.unwind);
    if (step.deleverage !== undefined) return this.#deleverage(step.deleverage);
    if (step.quarantine) return this.#quarantine(step.quarantine);
    if (step.recover) return this.#recover(step.recover);
    if (step["write off"] !== undefined) return this.#writeOff(step["write off"]);
    if (step["open series"]) return this.#openSeries(step["open series"]);
    if (step["top up reserve"]) return this.#topUp(step["top up reserve"]);
    if (step["pause entries"] !== undefined) return this.#pause(step["pause entries"], true);
    if (step["resume entries"] !== undefined) return this.#pause(step["resume entries"], false);
    if (step["pay rewards"]) return this.#payRewards(step["pay rewards"]);
    if (step["sell rewards"]) return this.#sellRewards(step["sell rewards"]);
    if (step["buy rewards"]) return this.#buyRewards(step["buy rewards"]);
    if (step["claim pay"]) return this.#claimPay(step["claim pay"]);
    throw new Error(`No hand for ${verbOf(step)}.`);
  }

  // ------------------------------------------------------------------------------------------------ people

  async #deposit(step: { by: string; tier: string; tranche: Tranche; amount: bigint }): Promise<void> {
    const tier = this.#tier(step.tier);
    const from = this.#person(step.by);
    const senior = step.tranche === "senior";
    const { chain, faces, addresses } = this.world;
    const sending: Sending = {
      from,
      to: addresses.router,
      face: faces.router,
      fn: "depositEth",
      args: [this.#side(step.tier, senior).token, 0, from, chain.head.time + DAY],
      value: step.amount,
    };
    await this.journal.send(sending, { tier, gated: senior });
    this.journal.deposits.push({ tier: step.tier, person: step.by, senior, wei: step.amount });
    this.#tell(`${step.by} deposits ${formatEth(step.amount)} ETH into ${step.tier} ${step.tranche}`);
  }

  async #requestExit(step: { by: string; tier: string; tranche: Tranche; amount: ExitAmount }): Promise<void> {
    const tier = this.#tier(step.tier);
    const from = this.#person(step.by);
    const side = this.#side(step.tier, step.tranche === "senior");
    const shares = await this.#sharesFor(from, side, step.amount, step.by);
    const call = { from, to: side.token, face: this.world.faces.token };
    await this.journal.send({ ...call, fn: "requestRedeem", args: [shares, from, from] }, { tier, syncs: false });
    const value = side.supply === 0n ? 0n : (shares * side.book) / side.supply;
    this.#tell(
      `${step.by} asks to leave ${step.tier} ${step.tranche} with ${formatEth(shares)} shares, worth ${formatEth(value)} ETH now`,
    );
  }

  async #leaveAtOnce(step: { by: string; tier: string; amount: ExitAmount }): Promise<void> {
    const tier = this.#tier(step.tier);
    const from = this.#person(step.by);
    const side = this.#side(step.tier, true);
    const shares = await this.#sharesFor(from, side, step.amount, step.by);
    const call = { from, to: side.token, face: this.world.faces.token };
    const receipt = await this.journal.send({ ...call, fn: "instantRedeem", args: [shares, 0, from, true] }, { tier });
    const [log] = events(receipt.logs, this.world.faces.tier, "InstantlyRedeemed", tier.address);
    const paid = wei.parse(log?.args.getValue("assets"));
    this.journal.payments.push({ tier: step.tier, person: step.by, senior: true, wei: paid });
    this.#tell(
      `${step.by} leaves ${step.tier} senior at once with ${formatEth(paid)} ETH, after a fee of ${formatEth(wei.parse(log?.args.getValue("fee")), 4)}`,
    );
  }

  async #sharesFor(account: string, side: Side, amount: ExitAmount, who: string): Promise<bigint> {
    const token = { to: side.token, face: this.world.faces.token };
    const balance = await this.world.chain.get<bigint>({ ...token, fn: "balanceOf", args: [account] });
    if (balance === 0n) throw new StoryError(`${who} has no shares to leave with.`);
    if (amount === "all") return balance;
    if ("part" in amount) return (balance * amount.part) / WAD;
    return this.world.chain.get<bigint>({ ...token, fn: "convertToShares", args: [amount.wei] });
  }

  async #finalise(step: { tier: string; tranche: Tranche }): Promise<void> {
    const tier = this.#tier(step.tier);
    const senior = step.tranche === "senior";
    const to = this.#side(step.tier, senior).token;
    const sending = { from: this.world.accounts.keeper, to, face: this.world.faces.token, fn: "finalise", args: [ALL] };
    const receipt = await this.#keeperSend(tier)(sending, !senior);
    const logs = events(receipt.logs, this.world.faces.token, "Finalised", to);
    const assets = logs.reduce((sum, log) => sum + wei.parse(log.args.getValue("assets")), 0n);
    this.#tell(
      `anybody may finalise what has matured: ${formatEth(assets)} ETH set aside for ${step.tier}'s ${step.tranche} queue`,
    );
  }

  async #claim(step: { by: string; tier: string; tranche: Tranche }): Promise<void> {
    const tier = this.#tier(step.tier);
    const from = this.#person(step.by);
    const { chain, faces } = this.world;
    let paid = 0n;
    for (const token of this.#series.get(`${step.tier} ${step.tranche}`) ?? []) {
      const call = { from, to: token, face: faces.token };
      const shares = await chain.get<bigint>({ ...call, fn: "maxRedeem", args: [from] });
      if (shares === 0n) continue;
      const before = await this.#balance(from);
      const receipt = await this.journal.send(
        { ...call, fn: "redeemEth", args: [shares, from, from] },
        { tier, syncs: false },
      );
      for (const log of events(receipt.logs, faces.token, "Withdraw", token))
        paid += wei.parse(log.args.getValue("assets"));
      // gas is free on this chain's accounts only as far as its price goes; what arrives must be what was promised
      const arrived = (await this.#balance(from)) - before;
      this.invariants.check(
        8,
        arrived > 0n && arrived <= paid,
        () => `${step.by} was promised ${paid} wei, ${arrived} arrived`,
      );
    }
    if (paid === 0n) throw new StoryError(`${step.by} has nothing to claim from ${step.tier} ${step.tranche}.`);
    this.journal.payments.push({ tier: step.tier, person: step.by, senior: step.tranche === "senior", wei: paid });
    this.#tell(`${step.by} claims ${formatEth(paid)} ETH from ${step.tier} ${step.tranche}, paid in native ETH`);
  }

  async #balance(account: string): Promise<bigint> {
    return BigInt(text.parse(await this.world.chain.rpc("eth_getBalance", [account, "latest"])));
  }

  async #topUp(step: { by: string; tier: string; amount: bigint }): Promise<void> {
    await this.#pay(step, "topUpReserve");
    this.#tell(`${step.by} gives ${formatEth(step.amount)} ETH to ${step.tier}'s reserve`);
  }

  async #recover(step: { by: string; tier: string; amount: bigint }): Promise<void> {
    await this.#pay(step, "recover");
    this.journal.recoveries.push({ tier: step.tier, person: step.by, senior: true, wei: step.amount });
    this.#tell(`${step.by} pays ${formatEth(step.amount)} ETH of compensation into ${step.tier}`);
  }

  async #pay(step: { by: string; tier: string; amount: bigint }, fn: string): Promise<void> {
    const tier = this.#tier(step.tier);
    const from = this.#person(step.by);
    const weth = { from, to: this.world.addresses.weth, face: this.world.faces.weth };
    await this.journal.send({ ...weth, fn: "deposit", value: step.amount });
    await this.journal.send({ ...weth, fn: "approve", args: [tier.address, step.amount] });
    await this.journal.send({ from, to: tier.address, face: this.world.faces.tier, fn, args: [step.amount] }, { tier });
  }

  // ------------------------------------------------------------------------------------------------- time

  async #wait(seconds: number, awake: boolean): Promise<void> {
    const end = this.world.chain.head.time + seconds;
    this.#tell(`${formatDuration(seconds)} pass${awake ? "" : "; the keeper sleeps"}`);
    // where nothing is under way, the next turn comes two days later: it would only find the time passing
    let rest = 0;
    while (this.world.chain.head.time < end) {
      const blocks = Math.min(
        BLOCKS_PER_DAY,
        Math.max(1, Math.floor((end - this.world.chain.head.time) / BLOCK_SECONDS)),
      );
      await this.world.chain.mine(blocks);
      await this.#lidoDay();
      if (!awake || (rest-- > 0 && this.world.chain.head.time < end)) continue;
      const day = dayOf(this.world.chain.head.time, this.world.birth.time);
      const deeds = await this.#turns.take();
      this.#tellDeeds(deeds, `${day}, `);
      rest = deeds.some(({ words }) => words.length > 0) || (await this.#turns.busy()) ? 0 : 1;
    }
  }

  #tellDeeds(deeds: readonly Deeds[], when = ""): void {
    for (const { tier, words } of deeds)
      if (words.length > 0) this.#tell(this.printer.dim(`${when}${tier.name}: the keeper ${words.join("; ")}`));
  }

  /** What Lido's oracle does: reports the day's rewards, and pays requests that have waited long enough. */
  async #lidoDay(): Promise<void> {
    const { chain, faces, addresses, accounts, scenario } = this.world;
    const passed = chain.head.time - this.#lastReport;
    if (!this.world.oracle || passed < DAY) return;
    const steth = { from: accounts.outside, to: addresses.steth, face: faces.steth };
    const pooled = await chain.get<bigint>({ ...steth, fn: "getTotalPooledEther" });
    const reward = (pooled * scenario.staking.yield * BigInt(passed)) / (WAD * YEAR * BigInt(DAY));
    this.#lastReport = chain.head.time;
    if (reward > 0n) await this.journal.send({ ...steth, fn: "report", args: [reward], value: reward });

    const queue = { from: accounts.outside, to: addresses.lidoQueue, face: faces.lidoQueue };
    const [lastId, doneId] = await chain.read([
      { ...queue, fn: "getLastRequestId" },
      { ...queue, fn: "getLastFinalizedRequestId" },
    ]);
    const [last, done] = [decode(wei, lastId), decode(wei, doneId)];
    if (last === done) return;
    const ids = Array.from({ length: Number(last - done) }, (_, i) => done + 1n + BigInt(i));
    const [states] = await chain.read([{ ...queue, fn: "getWithdrawalStatus", args: [ids] }]);
    const due = decode(z.array(status), states).filter(
      (one) => Number(one.timestamp) + scenario.staking["exit time"] <= chain.head.time,
    );
    if (due.length > 0) await this.journal.send({ ...queue, fn: "finalize", args: [done + BigInt(due.length)] });
  }

  async #stakingLoss(part: bigint): Promise<void> {
    const { chain, faces, addresses, accounts } = this.world;
    if (!this.world.oracle) throw new StoryError("On a fork nobody plays Lido's oracle: leave staking losses out.");
    const steth = { from: accounts.outside, to: addresses.steth, face: faces.steth };
    const pooled = await chain.get<bigint>({ ...steth, fn: "getTotalPooledEther" });
    const loss = (pooled * part) / WAD;
    await this.journal.send({ ...steth, fn: "report", args: [-loss] });
    this.#tell(`the staking token loses ${formatPercent(part)} of its backing`);
  }

  /** The keeper's turn, though no time passes. */
  async #upkeep(): Promise<void> {
    const deeds = await this.#turns.take();
    this.#tellDeeds(deeds);
    if (deeds.every(({ words }) => words.length === 0)) this.#tell("the keeper finds nothing to do");
  }

  /** Sends as the keeper, and looks at each finalisation. */
  #keeperSend(tier: Tier): (sending: Omit<Sending, "from">, gated: boolean) => ReturnType<Journal["send"]> {
    return async (sending, gated) => {
      const note: Note = { tier, gated };
      const receipt = await this.journal.send({ ...sending, from: this.world.accounts.keeper }, note);
      for (const log of events(receipt.logs, this.world.faces.token, "Finalised")) {
        const after = await viewTier(this.world, tier);
        const side = sending.to.toLowerCase() === after.senior.token.toLowerCase() ? after.senior : after.junior;
        const [shares, assets] = [wei.parse(log.args.getValue("shares")), wei.parse(log.args.getValue("assets"))];
        this.invariants.finalised(tier.name, shares, assets, side);
      }
      return receipt;
    };
  }

  // ---------------------------------------------------------------------------------------------- rewards

  async #payRewards(step: { avs: readonly string[]; rate: bigint; for: number }): Promise<void> {
    if (!this.world.oracle) throw new StoryError("On a fork EigenLayer publishes its own roots: leave rewards out.");
    const send = (sending: Sending) => this.journal.send(sending);
    const payments = await this.#desk.pay(step.avs, step.rate, step.for, send);
    const period = formatDuration(step.for);
    for (const { avs, amount, security } of payments)
      this.#tell(
        `${avs.name} pays ${formatEth(amount, 4)} ${avs.token?.symbol ?? "WETH"}, ${formatPercent(step.rate)} a year on its stake for ${period}${secured(avs.token?.symbol, security)}`,
      );
    this.#tell("EigenLayer publishes the root; claims are open in 7 days, and the keeper has them");
  }

  #ownToken(avs: string) {
    return must(this.world.avss.get(avs)?.token, `token of ${avs}`);
  }

  async #sellRewards(step: { tier: string; avs: string; from: bigint; floor: bigint }): Promise<void> {
    const tier = this.#tier(step.tier);
    const { address, symbol } = this.#ownToken(step.avs);
    const call = { to: tier.rewards, face: this.world.faces.rewards, from: this.world.accounts.curator };
    await this.journal.send({ ...call, fn: "listToken", args: [address, step.from, step.floor] });
    this.#tell(
      `the curator offers ${step.tier}'s ${symbol}, from ${formatEth(step.from, 4)} ETH down to ${formatEth(step.floor, 4)}`,
    );
  }

  async #buyRewards(step: { by: string; tier: string; avs: string; "at most": bigint }): Promise<void> {
    const tier = this.#tier(step.tier);
    const from = this.#person(step.by);
    const { address, symbol } = this.#ownToken(step.avs);
    const { faces, addresses, chain } = this.world;
    const rewards = { from, to: tier.rewards, face: faces.rewards };
    const [stock] = await chain.read([{ ...rewards, fn: "stock", args: [address] }]);
    const { lot } = decode(z.object({ lot: wei }), stock);
    const most = (lot * step["at most"]) / WAD;
    const weth = { from, to: addresses.weth, face: faces.weth };
    await this.journal.send({ ...weth, fn: "deposit", value: most });
    await this.journal.send({ ...weth, fn: "approve", args: [tier.rewards, most] });
    const receipt = await this.journal.send({ ...rewards, fn: "buy", args: [address, lot, most, from] }, { tier });
    const [log] = events(receipt.logs, faces.rewards, "Sold", tier.rewards);
    const [amount, payment] = [wei.parse(log?.args.getValue("amount")), wei.parse(log?.args.getValue("payment"))];
    this.#tell(
      `${step.by} buys ${formatEth(amount)} ${symbol} of ${step.tier} for ${formatEth(payment, 4)} ETH, ${formatEth((payment * WAD) / amount, 5)} each`,
    );
  }

  async #claimPay(step: { operator: string; tier: string }): Promise<void> {
    const tier = this.#tier(step.tier);
    const { accounts, addresses, faces } = this.world;
    const from = must(accounts.operators.get(step.operator), step.operator);
    const call = { from, to: tier.rewards, face: faces.rewards, fn: "claimPay", args: [addresses.weth, from] };
    const receipt = await this.journal.send(call, { tier, syncs: false });
    const [log] = events(receipt.logs, faces.rewards, "PayClaimed", tier.rewards);
    const paid = wei.parse(log?.args.getValue("amount"));
    this.journal.pays.push({ tier: step.tier, operator: step.operator, wei: paid });
    this.#tell(`${step.operator} claims ${formatEth(paid, 4)} WETH for running his agent of ${step.tier}`);
  }

  // ----------------------------------------------------------------------------------------- misbehaviour

  async #greet(step: { tier: string; operator: string; name: string; says?: string | undefined }): Promise<void> {
    const { chain, faces, accounts } = this.world;
    const agent = this.#agent(step.tier, step.operator);
    const avs = must(
      agent.avss.map((one) => this.world.avss.get(one)).find((one) => one?.contract === "hello world"),
      "Hello World AVS",
    );
    const call = { from: accounts.keeper, to: avs.address, face: faces.helloWorld };
    const created = await this.journal.send({ ...call, fn: "createTask", args: [step.name] });
    const task = wei.parse(
      events(created.logs, faces.helloWorld, "TaskCreated", avs.address)[0]?.args.getValue("taskId"),
    );
    const right = await chain.get<string>({ ...call, fn: "rightGreeting", args: [task] });
    const greeting = step.says ?? right;
    const digest = await chain.get<string>({ ...call, fn: "greetingDigest", args: [task, greeting] });
    const signature = must(agent.key, `key of ${step.operator}`).signingKey.sign(digest).serialized;
    this.#evidence.set(`${step.tier} ${step.operator}`, { avs: avs.name, agent, task, greeting, signature });
    if (greeting === right) {
      await this.journal.send({ ...call, fn: "respond", args: [task, agent.address, greeting, signature] });
      this.#tell(
        `${avs.name} asks for a greeting of ${step.name}; ${step.operator} signs "${greeting}", which is right`,
      );
    } else {
      this.#tell(
        `${avs.name} asks for a greeting of ${step.name}; ${step.operator} signs "${this.printer.red(greeting)}", which is wrong: anybody can prove it now`,
      );
    }
  }

  async #prove(step: { tier: string; operator: string; by: string }): Promise<void> {
    const evidence = this.#evidence.get(`${step.tier} ${step.operator}`);
    if (!evidence)
      throw new StoryError(`${step.operator} has signed nothing yet in ${step.tier}. Let him "greet" first.`);
    const { agent, task, greeting, signature } = evidence;
    await this.#slashing(this.#tier(step.tier), [
      {
        from: this.#person(step.by),
        to: must(this.world.avss.get(evidence.avs), evidence.avs).address,
        face: this.world.faces.helloWorld,
        fn: "proveMisbehaviour",
        args: [agent.address, task, greeting, signature],
      },
    ]);
    this.#tell(`${step.by} proves it on-chain: the proof itself slashes ${step.operator}`);
    this.#tellLoss(step.tier);
  }

  async #slash(step: { tier: string; avs: readonly string[]; part: bigint; because: string }): Promise<void> {
    const tier = this.#tier(step.tier);
    const slashes = step.avs.flatMap((name) => {
      const avs = must(this.world.avss.get(name), name);
      return tier.agents
        .filter((agent) => agent.avss.includes(name))
        .map((agent) => ({
          from: this.world.accounts.avsOwner,
          to: avs.address,
          face: this.world.faces.localAvs,
          fn: "slash",
          args: [agent.address, SET_ID, this.world.addresses.strategy, step.part, step.because],
        }));
    });
    await this.#slashing(tier, slashes);
    this.#tell(
      `${step.avs.join(", ")} slash${step.avs.length === 1 ? "es" : ""} ${formatPercent(step.part, 0)} of what ${step.tier} has allocated there: ${step.because}`,
    );
    this.#tellLoss(step.tier);
  }

  /** A sync, the slashes and a sync in one block, so that between before and after there is nothing but the slash. */
  async #slashing(tier: Tier, slashes: readonly Sending[]): Promise<void> {
    const { chain, accounts, faces } = this.world;
    await chain.read(slashes); // refused ones are refused here, with their reason
    const sync: Sending = { from: accounts.keeper, to: tier.address, face: faces.tier, fn: "sync" };
    const [first] = await this.journal.sendTogether([sync, ...slashes, sync], tier);
    const [log] = events(first?.logs ?? [], faces.tier, "Synced", tier.address);
    const books = z.object({ reserve: wei, junior: wei, senior: wei, gains: wei }).parse(log?.args.toObject());
    const old = must(this.before.tiers.get(tier.name), tier.name);
    const moment: TierView = {
      ...old,
      stored: books,
      preview: { ...old.preview, books },
      senior: { ...old.senior, book: books.senior },
      junior: { ...old.junior, book: books.junior },
    };
    this.before = { ...this.before, tiers: new Map([...this.before.tiers, [tier.name, moment]]) };
  }

  #tellLoss(tier: string): void {
    const loss = this.journal.losses.filter((one) => one.tier === tier).at(-1);
    if (!loss) return;
    const causes = loss.causes.map((one) => `${one.avs} ${formatEth(one.wei)}`).join(", ");
    const senior = loss.senior === 0n ? "S nothing" : this.printer.red(`S ${formatEth(loss.senior)}`);
    this.#tell(
      `${tier} loses ${this.printer.bold(formatEth(loss.amount))} ETH (${causes}): G bears ${formatEth(loss.gains)}, R ${formatEth(loss.reserve)}, J ${formatEth(loss.junior)}, ${senior}`,
    );
  }

  // ------------------------------------------------------------------------------------ keepers and roles

  async #unwind(name: string): Promise<void> {
    const tier = this.#tier(name);
    const quarantined = new Set(this.tierView(name).quarantined);
    let count = 0;
    for (const agent of tier.agents) {
      for (const [at, avs] of agent.avss.entries()) {
        if (!quarantined.has(avs)) continue;
        const call = { to: tier.allocator, face: this.world.faces.allocator, fn: "unwind", args: [agent.index, at] };
        await this.#keeperSend(tier)(call, false);
        count++;
      }
    }
    if (count === 0) throw new StoryError(`Nothing in ${name} is quarantined, so there is nothing to unwind.`);
    this.#tell(`keepers unwind ${[...quarantined].join(", ")} in ${name}: 14 days until its stake is out of reach`);
  }

  async #deleverage(name: string): Promise<void> {
    const tier = this.#tier(name);
    let count = 0;
    for (const agent of tier.agents) {
      const call = { to: tier.allocator, face: this.world.faces.allocator, fn: "deleverage", args: [agent.index] };
      try {
        await this.#keeperSend(tier)(call, false);
        count++;
      } catch (error) {
        // the first cuts may be enough, and an agent may have nothing in the groups that are too large
        const reasons = count > 0 ? ["NothingToDo", "Covered"] : ["NothingToDo"];
        if (!(error instanceof Refused && reasons.includes(error.reason))) throw error;
      }
    }
    this.#tell(`keepers deleverage ${count} of ${tier.agents.length} agents of ${name}`);
  }

  async #quarantine(step: { tier: string; avs: string }): Promise<void> {
    const tier = this.#tier(step.tier);
    const group = [...this.tierView(step.tier).groups].find(([, names]) => names.includes(step.avs))?.[0];
    const call = { to: tier.risk, face: this.world.faces.risk, fn: "quarantine", args: [must(group, step.avs)] };
    await this.journal.send({ ...call, from: this.world.accounts.guardian }, { tier });
    this.#tell(`the guardian quarantines ${step.avs} in ${step.tier}`);
  }

  async #writeOff(name: string): Promise<void> {
    const tier = this.#tier(name);
    const call = { to: tier.address, face: this.world.faces.tier, fn: "writeOff" };
    await this.journal.send({ ...call, from: this.world.accounts.curator }, { tier });
    this.#tell(`the curator writes ${name}'s Deficit off`);
  }

  async #openSeries(step: { tier: string; tranche: Tranche }): Promise<void> {
    const tier = this.#tier(step.tier);
    const call = { to: this.world.addresses.factory, face: this.world.faces.factory, fn: "openSeries" };
    await this.journal.send(
      { ...call, from: this.world.accounts.keeper, args: [tier.address, step.tranche === "senior"] },
      { tier, syncs: false },
    );
    this.#tell(`anybody may open ${step.tier}'s next ${step.tranche} series: it is open`);
  }

  async #pause(name: string, paused: boolean): Promise<void> {
    const tier = this.#tier(name);
    const { accounts, faces } = this.world;
    const fn = paused ? "pauseEntries" : "unpauseEntries";
    const from = paused ? accounts.guardian : accounts.curator;
    await this.journal.send({ from, to: tier.address, face: faces.tier, fn }, { tier, syncs: false });
    this.#tell(paused ? `the guardian closes ${name}'s entries` : `the curator opens ${name}'s entries`);
  }

  // ---------------------------------------------------------------------------------------------- helpers

  #tell(line: string): void {
    this.printer.line(`  · ${line}`);
  }

  #tier(name: string): Tier {
    return must(this.world.tiers.get(name), `tier ${name}`);
  }

  #person(name: string): string {
    return must(this.world.accounts.people.get(name), `person ${name}`);
  }

  #agent(tier: string, operator: string): Agent {
    return must(
      this.#tier(tier).agents.find((one) => one.operator === operator),
      `agent of ${operator} in ${tier}`,
    );
  }

  #side(tier: string, senior: boolean): Side {
    const side = senior ? this.tierView(tier).senior : this.tierView(tier).junior;
    if (side.token === ZERO_ADDRESS) {
      throw new StoryError(`${tier}'s ${senior ? "senior" : "junior"} series is retired. Add a step: open series`);
    }
    return side;
  }

  #learnSeries(): void {
    for (const [name, one] of this.now.tiers) {
      for (const [tranche, side] of [
        ["senior", one.senior],
        ["junior", one.junior],
      ] as const) {
        const key = `${name} ${tranche}`;
        const list = this.#series.get(key) ?? [];
        if (side.token !== ZERO_ADDRESS && !list.includes(side.token)) list.push(side.token);
        this.#series.set(key, list);
      }
    }
  }

  /** What secures each AVS that has a quorum of its own token as well, in words. */
  async securities(): Promise<readonly string[]> {
    const lines: string[] = [];
    for (const { name, token } of this.world.avss.values())
      if (token) lines.push(`${name}${secured(token.symbol, await this.#desk.security(name))}`);
    return lines;
  }

  /** How many series a tranche has had. */
  seriesOf(tier: string, tranche: Tranche): number {
    return this.#series.get(`${tier} ${tranche}`)?.length ?? 0;
  }
}

/** Which part of an AVS's security is Bulkhead's, where it has a quorum of its own token as well. */
function secured(symbol: string | undefined, { ours, own }: Security): string {
  if (symbol === undefined || ours + own === 0n) return "";
  const part = formatPercent((ours * WAD) / (ours + own), 1);
  return `: ${part} of its security is ours, ${formatEth(ours)} ETH beside ${symbol} worth ${formatEth(own)} ETH`;
}

export function verbOf(step: Step | PlainStep): string {
  return Object.entries(step).find(([, value]) => value !== undefined)?.[0] ?? "nothing";
}

/** The one tier that a step is about; undefined where it may touch several. */
function subjectOf(step: Step): string | undefined {
  for (const [verb, body] of Object.entries(step)) {
    if (body === undefined || verb === "wait" || verb === "staking loss") continue;
    if (typeof body === "string") return body === "all" ? undefined : body;
    if (typeof body === "object" && body !== null && "tier" in body && typeof body.tier === "string") return body.tier;
  }
  return undefined;
}
