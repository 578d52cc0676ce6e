/**
 * What no call knows, computed a second time from the chain's events and the schema's descriptions: positions with their cost,
 * gains, losses and wei-seconds, requests, totals, syncs and snapshots.
 */
import { min } from "../../../model/integer.ts";
import { type Books, distribute } from "../../../model/waterfall.ts";
import type { Comparison } from "./compare.ts";
import { address, big, type Event, flag } from "./events.ts";

const RAY = 10n ** 27n;
const WAD = 10n ** 18n;
const ZERO = `0x${"0".repeat(40)}`;
const at4 = (id: string, number: bigint | number): string => `${id}${number.toString(16).padStart(8, "0")}`;
const at1 = (id: string, number: bigint | number): string => `${id}${number.toString(16).padStart(2, "0")}`;
const part = (amount: bigint, of: bigint, whole: bigint): bigint => (whole === 0n ? 0n : (amount * of) / whole);

interface Position {
  readonly account: string;
  balance: bigint;
  queued: bigint;
  cost: bigint;
  queuedCost: bigint;
  claimableShares: bigint;
  claimableAssets: bigint;
  realised: bigint;
  deposits: bigint;
  exits: bigint;
  paid: bigint;
  opened: bigint;
  /** Exact sums in RAY up to the series' indexes when the shares changed last, and how often they were rounded at most. */
  losses: bigint;
  lossIndex: bigint;
  seconds: bigint;
  secondsIndex: bigint;
  touches: bigint;
  /** Number of the event that touched it last. */
  touched: number;
}

interface Request {
  readonly id: number;
  readonly controller: string;
  readonly owner: string;
  readonly sender: string;
  readonly shares: bigint;
  readonly start: bigint;
  readonly block: number;
  readonly timestamp: bigint;
  pending: bigint;
  cost: bigint;
  finalised: bigint;
  assets: bigint;
  claimed: bigint;
  returned: bigint;
  finalisedAt: bigint | null;
  claimedAt: bigint | null;
}

interface Series {
  readonly token: string;
  readonly tier: string;
  readonly senior: boolean;
  supply: bigint;
  retired: boolean;
  requested: bigint;
  finalised: bigint;
  assets: bigint;
  lossPerShare: bigint;
  secondsPerShare: bigint;
  accrued: bigint;
  burned:
    | { readonly holder: string; readonly shares: bigint; readonly cost: bigint; readonly lossIndex: bigint }
    | undefined;
  escrowed: bigint;
  fee: bigint;
  readonly positions: Map<string, Position>;
  readonly requests: Request[];
}

interface Tier {
  books: Books;
  baseRate: bigint;
  utilisation: bigint;
  lastSync: bigint;
  /** Number of the last Synced event. */
  synced: number;
  deficit: boolean;
  readonly totals: Record<string, bigint>;
  syncs: number;
  losses: number;
  deficits: number;
  openLoss: Event | undefined;
  readonly tranches: readonly [Record<string, bigint>, Record<string, bigint>];
}

const positionId = ({ token }: Series, { account }: Position): string => `${token}${account.slice(2)}`;

/** Follows the events in their order and compares at the end. */
export class Replay {
  readonly #series = new Map<string, Series>();
  readonly #tiers = new Map<string, Tier>();
  readonly #c: Comparison;
  #order = 0;

  constructor(events: readonly Event[], c: Comparison) {
    this.#c = c;
    for (const event of events) if (event.kind === "TierFactory.RewardsCreated") this.#newTier(event);
    for (const event of events) if (event.kind === "TierFactory.SeriesCreated") this.#newSeries(event);
    for (const event of events) {
      this.#order++;
      if (event.contract === "Tier") this.#onTier(event);
      if (event.contract === "TrancheToken") this.#onToken(event);
    }
  }

  #newTier(event: Event): void {
    this.#tiers.set(address(event, "tier"), {
      books: { reserve: 0n, junior: 0n, senior: 0n, gains: 0n },
      baseRate: 40_000_000_000_000_000n,
      utilisation: 0n,
      lastSync: event.timestamp,
      synced: 0,
      deficit: false,
      totals: {},
      syncs: 0,
      losses: 0,
      deficits: 0,
      openLoss: undefined,
      tranches: [{}, {}],
    });
  }

  #newSeries(event: Event): void {
    const token = address(event, "token");
    this.#series.set(token, {
      token,
      tier: address(event, "tier"),
      senior: flag(event, "senior"),
      supply: 0n,
      retired: false,
      requested: 0n,
      finalised: 0n,
      assets: 0n,
      lossPerShare: 0n,
      secondsPerShare: 0n,
      accrued: event.timestamp,
      burned: undefined,
      escrowed: 0n,
      fee: 0n,
      positions: new Map(),
      requests: [],
    });
  }

  #tier(id: string | undefined): Tier {
    const tier = this.#tiers.get(id ?? "");
    if (!tier) throw new Error(`The factory never opened tier ${id}.`);
    return tier;
  }

  #live(tier: string, senior: boolean): Series | undefined {
    let found: Series | undefined;
    for (const series of this.#series.values())
      if (series.tier === tier && series.senior === senior && !series.retired) found ??= series;
    return found;
  }

  // --------------------------------------------------------------------------------------------------- books

  #book(series: Series): bigint {
    if (series.retired) return 0n;
    const { books } = this.#tier(series.tier);
    return series.senior ? books.senior : books.junior;
  }

  /** Shares that earn and bear: an instant exit burns before the sync that it pays by. */
  #shares = (series: Series): bigint => series.supply + (series.burned?.shares ?? 0n);

  #accrue(series: Series, time: bigint): void {
    const seconds = time - series.accrued;
    if (seconds <= 0n) return;
    series.secondsPerShare += part(this.#book(series), RAY, this.#shares(series)) * seconds;
    series.accrued = time;
  }

  #onTier(event: Event): void {
    const tier = this.#tier(event.tier);
    const id = event.tier ?? "";
    const add = (name: string, amount: bigint) => {
      tier.totals[name] = (tier.totals[name] ?? 0n) + amount;
    };
    switch (event.name) {
      case "ReserveToppedUp":
        // the seed, which no sync tells
        if (tier.syncs === 0 && tier.books.reserve === 0n)
          tier.books = { ...tier.books, reserve: big(event, "assets") };
        break;
      case "LossBooked": {
        tier.losses++;
        tier.openLoss = event;
        const borne = {
          gains: big(event, "gains"),
          reserve: big(event, "reserve"),
          junior: big(event, "junior"),
          senior: big(event, "senior"),
        };
        add("cumulativeLossETH", big(event, "amount"));
        add("cumulativeGainsLossETH", borne.gains);
        add("cumulativeReserveLossETH", borne.reserve);
        add("cumulativeJuniorLossETH", borne.junior);
        add("cumulativeSeniorLossETH", borne.senior);
        for (const senior of [true, false]) {
          const series = this.#live(id, senior);
          if (!series) continue;
          this.#accrue(series, event.timestamp);
          series.lossPerShare += part(senior ? borne.senior : borne.junior, RAY, this.#shares(series));
        }
        this.#c.fields("Loss", at4(id, big(event, "lossId")), {
          tier: id,
          lossId: big(event, "lossId"),
          slashed: flag(event, "slashed"),
          amount: big(event, "amount"),
          gainsLoss: borne.gains,
          reserveLoss: borne.reserve,
          juniorLoss: borne.junior,
          seniorLoss: borne.senior,
          block: event.block,
          timestamp: event.timestamp,
          transaction: event.transaction,
        });
        break;
      }
      case "SeriesRetired": {
        const series = this.#series.get(address(event, "token"));
        if (!series) break;
        this.#accrue(series, event.timestamp);
        series.retired = true;
        break;
      }
      case "DeficitOpened":
        if (!tier.deficit) tier.deficits++;
        tier.deficit = true;
        break;
      case "DeficitClosed":
        tier.deficit = false;
        break;
      case "Recovered":
        add("cumulativeRecoveredETH", big(event, "senior") + big(event, "junior") + big(event, "reserve"));
        break;
      case "InstantlyRedeemed": {
        const series = this.#series.get(address(event, "token"));
        if (series) series.fee = big(event, "fee");
        break;
      }
      case "Synced":
        this.#synced(event, tier, id, add);
    }
  }

  #synced(event: Event, tier: Tier, id: string, add: (name: string, amount: bigint) => void): void {
    const c = this.#c;
    for (const series of this.#series.values()) if (series.tier === id) this.#accrue(series, event.timestamp);
    const before = tier.books;
    const after: Books = {
      reserve: big(event, "reserve"),
      junior: big(event, "junior"),
      senior: big(event, "senior"),
      gains: big(event, "gains"),
    };
    const [vested, premium, gained] = [big(event, "vested"), big(event, "premium"), big(event, "gained")];
    // Waterfall.distribute: what is due is at least what was paid, and no more of it can have been paid
    const shared = distribute(before, vested, premium, false).books;
    const loss = tier.openLoss;
    const lost = (name: string): bigint => (loss ? big(loss, name) : 0n);
    const yields = {
      reserve: shared.reserve - before.reserve,
      junior: shared.junior - before.junior - premium,
      senior: shared.senior - before.senior + premium,
    };
    c.fields("Sync", event.id, {
      tier: id,
      interval: event.timestamp - tier.lastSync,
      reserveBefore: before.reserve,
      juniorBefore: before.junior,
      seniorBefore: before.senior,
      gainsBefore: before.gains,
      reserveAfter: after.reserve,
      juniorAfter: after.junior,
      seniorAfter: after.senior,
      gainsAfter: after.gains,
      vested,
      premium,
      gained,
      reserveYield: yields.reserve,
      juniorYield: yields.junior,
      seniorYield: yields.senior,
      reserveFlow: after.reserve - before.reserve - yields.reserve + lost("reserve"),
      juniorFlow: after.junior - before.junior - yields.junior - premium + lost("junior"),
      seniorFlow: after.senior - before.senior - yields.senior + premium + lost("senior"),
      gainsFlow: after.gains - before.gains + vested - gained + lost("gains"),
      loss: loss ? at4(id, big(loss, "lossId")) : null,
      utilisationBefore: tier.utilisation,
      utilisationAfter: big(event, "utilisation"),
      exposed: big(event, "exposed"),
      baseRate: big(event, "baseRate"),
      unlockAt: big(event, "unlockAt"),
      block: event.block,
      timestamp: event.timestamp,
      transaction: event.transaction,
    });
    if (loss)
      c.fields("Loss", at4(id, big(loss, "lossId")), {
        gainsBefore: shared.gains,
        reserveBefore: shared.reserve,
        juniorBefore: shared.junior,
        seniorBefore: shared.senior,
        gainsAfter: shared.gains - lost("gains"),
        reserveAfter: shared.reserve - lost("reserve"),
        juniorAfter: shared.junior - lost("junior"),
        seniorAfter: shared.senior - lost("senior"),
        utilisationBefore: tier.utilisation,
        utilisationAfter: big(event, "utilisation"),
      });
    tier.openLoss = undefined;
    add("cumulativeGainETH", gained);
    add("cumulativeVestedETH", vested);
    add("cumulativePremiumETH", premium);
    const [senior, junior] = tier.tranches;
    const note = (totals: Record<string, bigint>, name: string, amount: bigint) => {
      totals[name] = (totals[name] ?? 0n) + amount;
    };
    note(senior, "cumulativeYieldETH", yields.senior);
    note(junior, "cumulativeYieldETH", yields.junior);
    note(senior, "cumulativePremiumETH", premium);
    note(junior, "cumulativePremiumETH", premium);
    note(senior, "cumulativeLossETH", lost("senior"));
    note(junior, "cumulativeLossETH", lost("junior"));
    tier.books = after;
    tier.baseRate = big(event, "baseRate");
    tier.utilisation = big(event, "utilisation");
    tier.lastSync = event.timestamp;
    tier.synced = this.#order;
    tier.syncs++;
  }

  // -------------------------------------------------------------------------------------------------- tokens

  #position(series: Series, account: string, time: bigint): Position {
    let position = series.positions.get(account);
    if (!position) {
      position = {
        account,
        balance: 0n,
        queued: 0n,
        cost: 0n,
        queuedCost: 0n,
        claimableShares: 0n,
        claimableAssets: 0n,
        realised: 0n,
        deposits: 0n,
        exits: 0n,
        paid: 0n,
        opened: time,
        losses: 0n,
        lossIndex: series.lossPerShare,
        seconds: 0n,
        secondsIndex: series.secondsPerShare,
        touches: 0n,
        touched: 0,
      };
      series.positions.set(account, position);
    }
    const shares = position.balance + position.queued;
    position.losses += shares * (series.lossPerShare - position.lossIndex);
    position.lossIndex = series.lossPerShare;
    position.seconds += shares * (series.secondsPerShare - position.secondsIndex);
    position.secondsIndex = series.secondsPerShare;
    position.touches += 2n;
    position.touched = this.#order;
    return position;
  }

  #onToken(event: Event): void {
    const series = this.#series.get(event.address);
    if (!series) throw new Error(`The factory never opened series ${event.address}.`);
    const tier = this.#tier(series.tier);
    this.#accrue(series, event.timestamp);
    const of = (account: string) => this.#position(series, account, event.timestamp);
    const total = (name: string, amount: bigint) => {
      tier.totals[name] = (tier.totals[name] ?? 0n) + amount;
    };
    const tranche = tier.tranches[series.senior ? 0 : 1];
    switch (event.name) {
      case "Transfer": {
        const [from, to, shares] = [address(event, "from"), address(event, "to"), big(event, "value")];
        this.#moved(series, event, from, to, shares, of);
        break;
      }
      case "Deposit": {
        const [owner, assets] = [of(address(event, "owner")), big(event, "assets")];
        owner.cost += assets;
        owner.deposits += assets;
        total("cumulativeDepositETH", assets);
        tranche.cumulativeDepositETH = (tranche.cumulativeDepositETH ?? 0n) + assets;
        this.#flow(event, "DEPOSIT", owner.account, address(event, "owner"), 0n, 0n);
        break;
      }
      case "RedeemRequest": {
        const shares = big(event, "shares");
        const escrow = of(series.token);
        escrow.balance -= shares;
        escrow.cost -= series.escrowed;
        const controller = of(address(event, "controller"));
        controller.queued += shares;
        controller.cost += series.escrowed;
        controller.queuedCost += series.escrowed;
        series.requests.push({
          id: Number(big(event, "requestId")),
          controller: controller.account,
          owner: address(event, "owner"),
          sender: address(event, "sender"),
          shares,
          start: series.requested,
          block: event.block,
          timestamp: event.timestamp,
          pending: shares,
          cost: series.escrowed,
          finalised: 0n,
          assets: 0n,
          claimed: 0n,
          returned: 0n,
          finalisedAt: null,
          claimedAt: null,
        });
        series.requested += shares;
        series.escrowed = 0n;
        break;
      }
      case "Finalised":
        this.#finalised(series, event, of);
        tranche.cumulativeExitETH = (tranche.cumulativeExitETH ?? 0n) + big(event, "assets");
        break;
      case "RequestReturned": {
        const request = series.requests[Number(big(event, "requestId")) - 1];
        const controller = of(address(event, "controller"));
        if (!request) break;
        controller.queued -= big(event, "shares");
        controller.balance += big(event, "shares");
        controller.queuedCost -= request.cost;
        request.returned += request.pending;
        request.pending = 0n;
        request.cost = 0n;
        break;
      }
      case "Withdraw": {
        const [assets, shares] = [big(event, "assets"), big(event, "shares")];
        const holder = of(address(event, "owner"));
        const receiver = address(event, "receiver");
        holder.paid += assets;
        total("cumulativeWithdrawETH", assets);
        const { burned } = series;
        if (burned && !series.retired) {
          holder.losses += burned.shares * (series.lossPerShare - burned.lossIndex);
          holder.touches++;
          holder.realised += assets - burned.cost;
          holder.exits += assets;
          series.burned = undefined;
          tranche.cumulativeExitETH = (tranche.cumulativeExitETH ?? 0n) + assets;
          this.#flow(event, "INSTANT", holder.account, receiver, series.fee, assets - burned.cost);
          break;
        }
        this.#claimed(series, event, holder, shares, assets);
        this.#flow(event, "CLAIM", holder.account, receiver, 0n, 0n);
        break;
      }
      case "PotPaid": {
        const holder = of(address(event, "holder"));
        const assets = big(event, "assets");
        const cost = series.burned?.cost ?? 0n;
        holder.realised += assets - cost;
        holder.exits += assets;
        holder.paid += assets;
        series.burned = undefined;
        total("cumulativeWithdrawETH", assets);
        this.#flow(event, "POT", holder.account, address(event, "receiver"), 0n, assets - cost);
      }
    }
  }

  #moved(
    series: Series,
    event: Event,
    from: string,
    to: string,
    shares: bigint,
    of: (account: string) => Position,
  ): void {
    if (from === ZERO) {
      of(to).balance += shares;
      series.supply += shares;
      return;
    }
    if (from === series.token) {
      if (to === ZERO) series.supply -= shares;
      return; // out of the escrow: Finalised or RequestReturned says whose they were
    }
    const record = { from, to, shares, series: series.token, block: event.block };
    if (shares === 0n) {
      this.#c.fields("Transfer", event.id, { ...record, cost: 0 });
      return;
    }
    const sender = of(from);
    const cost = part(sender.cost - sender.queuedCost, shares, sender.balance);
    this.#c.fields("Transfer", event.id, { ...record, cost });
    if (from === to) return;
    sender.balance -= shares;
    sender.cost -= cost;
    if (to === ZERO) {
      series.supply -= shares;
      series.burned = { holder: from, shares, cost, lossIndex: series.lossPerShare };
      return;
    }
    const receiver = of(to);
    receiver.balance += shares;
    receiver.cost += cost;
    if (to === series.token) series.escrowed = cost;
  }

  #finalised(series: Series, event: Event, of: (account: string) => Position): void {
    const [toShares, toAssets] = [big(event, "cumulativeShares"), big(event, "cumulativeAssets")];
    const [fromShares, fromAssets] = [series.finalised, series.assets];
    // Queue.assetsAt: linear between two checkpoints, rounded down
    const assetsAt = (shares: bigint) =>
      fromAssets + ((toAssets - fromAssets) * (shares - fromShares)) / (toShares - fromShares);
    for (const request of series.requests) {
      const start = request.start + (request.shares - request.pending - request.returned);
      const end = min(request.start + request.shares, toShares);
      if (request.pending === 0n || start >= toShares) continue;
      const shares = end - start;
      const assets = assetsAt(end) - assetsAt(start);
      const cost = part(request.cost, shares, request.pending);
      request.pending -= shares;
      request.cost -= cost;
      request.finalised += shares;
      request.assets += assets;
      if (request.pending === 0n) request.finalisedAt = event.timestamp;
      const holder = of(request.controller);
      holder.queued -= shares;
      holder.queuedCost -= cost;
      holder.cost -= cost;
      holder.claimableShares += shares;
      holder.claimableAssets += assets;
      holder.realised += assets - cost;
      holder.exits += assets;
    }
    series.finalised = toShares;
    series.assets = toAssets;
  }

  #claimed(series: Series, event: Event, holder: Position, shares: bigint, assets: bigint): void {
    holder.claimableShares -= shares;
    holder.claimableAssets -= assets;
    let left = shares;
    for (const request of series.requests) {
      if (left === 0n) break;
      if (request.controller !== holder.account) continue;
      const open = request.finalised - request.claimed;
      const taken = min(left, open);
      if (taken === 0n) continue;
      request.claimed += taken;
      left -= taken;
      if (request.claimed === request.shares - request.returned) request.claimedAt = event.timestamp;
    }
  }

  #flow(event: Event, kind: string, account: string, receiver: string, fee: bigint, realisedGain: bigint): void {
    this.#c.fields("Flow", event.id, {
      kind,
      account,
      receiver,
      fee,
      realisedGain,
      tier: event.tier,
      series: event.address,
      assets: big(event, "assets"),
      shares: big(event, "shares"),
      block: event.block,
      timestamp: event.timestamp,
      transaction: event.transaction,
    });
  }

  // ------------------------------------------------------------------------------------------------ at the end

  /** Compares what has grown. */
  compare(): void {
    const c = this.#c;
    const positions = new Set<string>();
    const accounts = new Map<string, { deposits: bigint; exits: bigint; realised: bigint }>();
    for (const series of this.#series.values()) {
      let holders = 0;
      for (const position of series.positions.values()) {
        positions.add(positionId(series, position));
        if (position.balance + position.queued > 0n) holders++;
        this.#comparePosition(series, position);
        const sums = accounts.get(position.account) ?? { deposits: 0n, exits: 0n, realised: 0n };
        sums.deposits += position.deposits;
        sums.exits += position.exits;
        sums.realised += position.realised;
        accounts.set(position.account, sums);
      }
      for (const request of series.requests) this.#compareRequest(series, request);
      const waiting = series.requests.find(({ pending }) => pending > 0n);
      c.fields("Series", series.token, {
        tier: series.tier,
        senior: series.senior,
        supply: series.supply,
        holderCount: holders,
        requestCount: series.requests.length,
        requestedShares: series.requested,
        finalisedShares: series.finalised,
        finalisedAssets: series.assets,
        retired: series.retired,
        lossPerShare: series.lossPerShare,
        burnedShares: 0,
        burnedCost: 0,
        escrowedCost: series.escrowed,
      });
      if (!series.retired) c.same("Series", series.token, "nextRequest", waiting?.id ?? 0);
      // up to where the subgraph has counted
      const until = BigInt(String(c.all("Series").get(series.token)?.accruedUntil ?? 0));
      const rest = part(this.#book(series), RAY, this.#shares(series)) * (until - series.accrued);
      c.same("Series", series.token, "ethSecondsPerShare", series.secondsPerShare + rest);
    }
    c.ids("Position", positions);
    for (const [id, sums] of accounts)
      c.fields("Account", id, {
        cumulativeDepositETH: sums.deposits,
        cumulativeExitETH: sums.exits,
        realisedGain: sums.realised,
      });
    for (const [id, tier] of this.#tiers) {
      c.fields("Tier", id, {
        syncCount: tier.syncs,
        lossCount: tier.losses,
        deficitCount: tier.deficits,
        ...tier.totals,
      });
      for (const [i, totals] of tier.tranches.entries()) c.fields("Tranche", at1(id, 1 - i), totals);
    }
    const sum = (name: string) => [...this.#tiers.values()].reduce((all, { totals }) => all + (totals[name] ?? 0n), 0n);
    const [protocol] = c.all("Protocol").keys();
    const names = ["Deposit", "Withdraw", "Gain", "Loss", "SeniorLoss", "Premium"];
    for (const name of names) {
      const field = `cumulative${name}ETH`;
      c.same("Protocol", protocol ?? "", field, sum(field));
    }
  }

  #comparePosition(series: Series, position: Position): void {
    const c = this.#c;
    const id = positionId(series, position);
    c.fields("Position", id, {
      account: position.account,
      series: series.token,
      tier: series.tier,
      tranche: at1(series.tier, series.senior ? 1 : 0),
      balance: position.balance,
      queuedShares: position.queued,
      claimableShares: position.claimableShares,
      claimableAssets: position.claimableAssets,
      costBasis: position.cost,
      queuedCostBasis: position.queuedCost,
      realisedGain: position.realised,
      cumulativeDepositETH: position.deposits,
      cumulativeExitETH: position.exits,
      cumulativePaidETH: position.paid,
      openedTimestamp: position.opened,
    });
    const got = c.all("Position").get(id);
    if (!got) return;
    const number = (field: string) => BigInt(String(got[field]));
    const shares = position.balance + position.queued;
    // exact up to the index that the entity is settled to; each settlement rounds down by less than one
    const rounded = (field: string, exact: bigint) => {
      const [most, value] = [exact / RAY, number(field)];
      const within = value <= most && value >= most - position.touches;
      c.equal(`Position.${field}`, id, within ? value : most, value);
    };
    rounded("lossesBorne", position.losses + shares * (number("lossIndex") - position.lossIndex));
    rounded("ethSeconds", position.seconds + shares * (number("ethSecondsIndex") - position.secondsIndex));
    c.same("Position", id, "unrealisedGain", number("value") - number("costBasis"));
    // where no sync has come since it was touched its value is that of now
    if (position.touched > this.#tier(series.tier).synced)
      c.same("Position", id, "value", part(shares, this.#book(series), series.supply));
  }

  #compareRequest(series: Series, request: Request): void {
    const c = this.#c;
    const id = at4(series.token, request.id);
    const used = request.claimed === request.shares - request.returned;
    const status =
      request.returned > 0n
        ? "RETURNED"
        : used
          ? "CLAIMED"
          : request.pending === 0n
            ? "CLAIMABLE"
            : request.finalised > 0n
              ? "PARTLY_FINALISED"
              : "PENDING";
    c.fields("RedeemRequest", id, {
      requestId: request.id,
      tier: series.tier,
      series: series.token,
      controller: request.controller,
      owner: request.owner,
      sender: request.sender,
      shares: request.shares,
      queueStart: request.start,
      queueEnd: request.start + request.shares - request.returned,
      pendingShares: request.pending,
      finalisedShares: request.finalised,
      finalisedAssets: request.assets,
      claimedShares: request.claimed,
      returnedShares: request.returned,
      costBasis: request.cost,
      status,
      block: request.block,
      timestamp: request.timestamp,
      finalisedTimestamp: request.finalisedAt,
      waitSeconds: request.finalisedAt === null ? null : request.finalisedAt - request.timestamp,
      claimedTimestamp: request.claimedAt,
    });
  }
}
export { WAD };
