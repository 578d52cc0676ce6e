/** Sums, periods and figures that follow from several events: premium's path, snapshots, attributions, keepers' gas. */
import * as z from "zod";
import { rate } from "../../../model/premium.ts";
import type { Comparison } from "./compare.ts";
import { address, big, type Event, flag } from "./events.ts";
import type { Node } from "./node.ts";

const WAD = 10n ** 18n;
const YEAR = 365n * 86_400n;
const bytes = (id: string, number: bigint | number, length: number): string =>
  `${id}${number.toString(16).padStart(2 * length, "0")}`;

export async function compareTotals(node: Node, events: readonly Event[], c: Comparison): Promise<void> {
  comparePremium(events, c);
  compareAttributions(events, c);
  compareMagnitudes(events, c);
  compareSnapshots(events, c);
  compareGrowth(c);
  await compareUpkeep(node, events, c);
}

/** A step of the path is where the base rate moved or premium was paid; the rate that ruled is the curve's at the U before. */
function comparePremium(events: readonly Event[], c: Comparison): void {
  const before = new Map<string, { baseRate: bigint; utilisation: bigint; paid: bigint }>();
  const steps: string[] = [];
  for (const event of events) {
    if (event.kind !== "Tier.Synced" || !event.tier) continue;
    const old = before.get(event.tier) ?? { baseRate: 4n * 10n ** 16n, utilisation: 0n, paid: 0n };
    const [baseRate, premium] = [big(event, "baseRate"), big(event, "premium")];
    const paid = old.paid + premium;
    if (premium > 0n || baseRate !== old.baseRate) {
      steps.push(event.id);
      c.fields("Premium", event.id, {
        tier: event.tier,
        sync: event.id,
        utilisation: old.utilisation,
        baseRateBefore: old.baseRate,
        premiumRate: rate(old.baseRate, old.utilisation),
        baseRate,
        premium,
        cumulativePremiumETH: paid,
        block: event.block,
        timestamp: event.timestamp,
      });
    }
    before.set(event.tier, { baseRate, utilisation: big(event, "utilisation"), paid });
  }
  c.ids("Premium", steps);
  for (const [tier, { baseRate, utilisation }] of before)
    c.same("Tier", tier, "premiumRate", rate(baseRate, utilisation));
  const last = new Map<string, Event>();
  for (const event of events) if (event.kind === "Tier.Synced" && event.tier) last.set(event.tier, event);
  for (const [tier, event] of last)
    c.fields("Tier", tier, { exposed: big(event, "exposed"), lastSyncBlock: event.block, openLoss: null });
}

/** Encumbered magnitude and each allocation's are what EigenLayer said last. */
function compareMagnitudes(events: readonly Event[], c: Comparison): void {
  const encumbered = new Map<string, bigint>();
  for (const event of events)
    if (event.kind === "AllocationManager.EncumberedMagnitudeUpdated")
      encumbered.set(address(event, "operator"), big(event, "encumberedMagnitude"));
  for (const id of c.all("Agent").keys()) c.same("Agent", id, "encumbered", encumbered.get(id) ?? 0n);
}

/** What slashes took, as booked: one row a set and agent, and what it adds to everybody who has to do with it. */
function compareAttributions(events: readonly Event[], c: Comparison): void {
  const rows: string[] = [];
  const agents = new Map<string, string>();
  const operators = new Map<string, string>();
  const sums = new Map<string, bigint>();
  const add = (type: string, id: string, amount: bigint) =>
    sums.set(`${type} ${id}`, (sums.get(`${type} ${id}`) ?? 0n) + amount);
  const booked = new Map<string, { value: bigint; estimated: boolean }>();
  for (const event of events) {
    const tier = event.tier ?? "";
    if (event.kind === "RiskManager.AgentAdded") {
      agents.set(`${tier} ${big(event, "agent")}`, address(event, "account"));
      operators.set(`${tier} ${big(event, "agent")}`, address(event, "nodeOperator"));
    }
    if (event.kind === "RiskManager.NodeOperatorRecorded")
      operators.set(`${tier} ${big(event, "agent")}`, address(event, "nodeOperator"));
    if (event.kind !== "RiskManager.SlashAttributed") continue;
    const [loss, agent, set] = [big(event, "lossId"), big(event, "agent"), big(event, "set")];
    const id = bytes(bytes(bytes(tier, loss, 4), agent, 1), set, 1);
    rows.push(id);
    const account = agents.get(`${tier} ${agent}`) ?? "";
    const nodeOperator = operators.get(`${tier} ${agent}`) ?? "";
    const tierSet = bytes(tier, set, 1);
    const operatorSet = String(c.all("TierSet").get(tierSet)?.operatorSet);
    const avs = operatorSet.slice(0, 42);
    const group = bytes(tier, big(event, "group"), 1);
    const value = big(event, "value");
    c.fields("LossAttribution", id, {
      loss: bytes(tier, loss, 4),
      tier,
      agent: account,
      nodeOperator,
      tierSet,
      operatorSet,
      avs,
      group,
      taken: big(event, "taken"),
      value,
      estimated: flag(event, "estimated"),
      timestamp: event.timestamp,
    });
    for (const [type, key] of [
      ["Agent", account],
      ["NodeOperator", nodeOperator],
      ["TierSet", tierSet],
      ["OperatorSet", operatorSet],
      ["AVS", avs],
      ["SlasherGroup", group],
    ] as const)
      add(type, key, value);
    const of = booked.get(bytes(tier, loss, 4)) ?? { value: 0n, estimated: false };
    booked.set(bytes(tier, loss, 4), { value: of.value + value, estimated: of.estimated || flag(event, "estimated") });
  }
  c.ids("LossAttribution", rows);
  for (const type of ["Agent", "NodeOperator", "TierSet", "OperatorSet", "AVS"])
    for (const id of c.all(type).keys()) c.same(type, id, "cumulativeLossETH", sums.get(`${type} ${id}`) ?? 0n);
  for (const id of c.all("Loss").keys()) {
    const { value, estimated } = booked.get(id) ?? { value: 0n, estimated: false };
    c.fields("Loss", id, { attributedValue: value, estimated });
  }
}

interface Period {
  readonly tier: string;
  last: Event;
  syncs: number;
  maxUtilisation: bigint;
  vested: bigint;
  premium: bigint;
  gained: bigint;
  lost: bigint;
}

/** An hour or day has a row where something was synced or paid in it: its last sync's state, and sums over its syncs. */
function compareSnapshots(events: readonly Event[], c: Comparison): void {
  const periods = new Map<
    string,
    Period & { readonly interval: string; readonly period: bigint; readonly start: bigint }
  >();
  const flows = new Map<string, { deposits: bigint; withdrawals: bigint }>();
  const ids = (event: Event) =>
    (
      [
        [1, 3_600n, "HOUR"],
        [2, 86_400n, "DAY"],
      ] as const
    ).map(([mark, seconds, interval]) => {
      const period = event.timestamp / seconds;
      return { id: bytes(bytes(event.tier ?? "", mark, 1), period, 4), interval, period, start: period * seconds };
    });
  for (const event of events) {
    if (event.kind === "Tier.Synced" || event.kind === "Tier.LossBooked")
      for (const { id, interval, period, start } of ids(event)) {
        const known = periods.get(id);
        const row = known ?? {
          tier: event.tier ?? "",
          interval,
          period,
          start,
          last: event,
          syncs: 0,
          maxUtilisation: 0n,
          vested: 0n,
          premium: 0n,
          gained: 0n,
          lost: 0n,
        };
        if (!known) periods.set(id, row);
        if (event.kind === "Tier.LossBooked") {
          row.lost += big(event, "amount");
          continue;
        }
        row.last = event;
        row.syncs++;
        if (big(event, "utilisation") > row.maxUtilisation) row.maxUtilisation = big(event, "utilisation");
        row.vested += big(event, "vested");
        row.premium += big(event, "premium");
        row.gained += big(event, "gained");
      }
    const enters = event.kind === "TrancheToken.Deposit";
    if (enters || event.kind === "TrancheToken.Withdraw" || event.kind === "TrancheToken.PotPaid")
      for (const { id } of ids(event)) {
        const flow = flows.get(id) ?? { deposits: 0n, withdrawals: 0n };
        if (enters) flow.deposits += big(event, "assets");
        else flow.withdrawals += big(event, "assets");
        flows.set(id, flow);
      }
  }
  for (const [id, row] of periods) {
    const at = (name: string) => big(row.last, name);
    const [reserve, junior, senior, gains] = [at("reserve"), at("junior"), at("senior"), at("gains")];
    c.fields("TierSnapshot", id, {
      tier: row.tier,
      interval: row.interval,
      period: row.period,
      timestamp: row.start,
      reserve,
      junior,
      senior,
      gains,
      totalValueLockedETH: reserve + junior + senior + gains,
      utilisation: at("utilisation"),
      maxUtilisation: row.maxUtilisation,
      exposed: at("exposed"),
      baseRate: at("baseRate"),
      premiumRate: rate(at("baseRate"), at("utilisation")),
      periodDepositETH: flows.get(id)?.deposits ?? 0n,
      periodWithdrawETH: flows.get(id)?.withdrawals ?? 0n,
      periodGainETH: row.gained,
      periodVestedETH: row.vested,
      periodPremiumETH: row.premium,
      periodLossETH: row.lost,
      syncCount: row.syncs,
      block: row.last.block,
    });
    for (const isSenior of [true, false]) {
      const tranche = bytes(row.tier, isSenior ? 1 : 0, 1);
      const own = `${tranche}${id.slice(42)}`;
      c.fields("TrancheSnapshot", own, {
        tranche,
        tier: row.tier,
        interval: row.interval,
        period: row.period,
        timestamp: row.start,
        closeTimestamp: row.last.timestamp,
        assets: isSenior ? senior : junior,
        periodPremiumETH: row.premium,
        block: row.last.block,
      });
      const snapshot = c.all("TrancheSnapshot").get(own);
      if (!snapshot) continue;
      const supply = BigInt(String(snapshot.supply));
      c.same("TrancheSnapshot", own, "rate", supply === 0n ? WAD : ((isSenior ? senior : junior) * WAD) / supply);
    }
  }
  c.ids("TierSnapshot", [...periods.keys(), ...flows.keys()]);
}

/** Yearly growth is measured from the newest daily close that is old enough. */
function compareGrowth(c: Comparison): void {
  for (const [id, tranche] of c.all("Tranche"))
    for (const [days, field] of [
      [7n, "apr7d"],
      [30n, "apr30d"],
    ] as const) {
      const from = c.all("TrancheSnapshot").get(String(tranche[`${field}From`]));
      const now = BigInt(String(c.all("Tier").get(String(tranche.tier))?.lastSync));
      const value = tranche[field];
      if (!from || value === null || value === undefined) continue;
      const seconds = now - BigInt(String(from.closeTimestamp));
      c.equal(`Tranche.${field}From`, id, true, seconds >= days * 86_400n);
      const [then, is] = [BigInt(String(from.rate)), BigInt(String(tranche.rate))];
      const exact = Number(((is - then) * YEAR * WAD) / (then * seconds)) / 1e18;
      const close = Math.abs(exact - Number(value)) <= 1e-12 * Math.max(1, Math.abs(exact));
      c.equal(`Tranche.${field}`, id, close ? String(value) : String(exact), String(value));
    }
}

const receiptSchema = z.object({
  from: z.string(),
  gasUsed: z.string().transform(BigInt),
  effectiveGasPrice: z.string().transform(BigInt),
});

/** Keepers' batches, with gas and price of the chain's receipts. */
async function compareUpkeep(node: Node, events: readonly Event[], c: Comparison): Promise<void> {
  const calls = new Map<string, Event[]>();
  for (const event of events)
    if (event.kind === "Upkeep.Performed")
      calls.set(event.transaction, [...(calls.get(event.transaction) ?? []), event]);
  const hashes = [...calls.keys()];
  const receipts = await node.batch(hashes.map((hash) => ({ method: "eth_getTransactionReceipt", params: [hash] })));
  for (const [i, hash] of hashes.entries()) {
    const { from, gasUsed, effectiveGasPrice } = receiptSchema.parse(receipts[i]);
    const own = calls.get(hash) ?? [];
    c.fields("Upkeep", hash, {
      keeper: from.toLowerCase(),
      batched: true,
      callCount: own.length,
      gasUsed,
      gasPrice: effectiveGasPrice,
      feeETH: gasUsed * effectiveGasPrice,
      block: own[0]?.block ?? 0,
    });
    for (const [index, event] of own.entries())
      c.fields("UpkeepCall", bytes(hash, index, 4), {
        upkeep: hash,
        index,
        target: address(event, "target"),
        selector: address(event, "selector"),
        success: flag(event, "success"),
        gasUsed: big(event, "gasUsed"),
        failure: address(event, "failure"),
        timestamp: event.timestamp,
      });
  }
  const kept = new Map<string, { gas: bigint; fee: bigint; count: number }>();
  for (const upkeep of c.all("Upkeep").values()) {
    const keeper = String(upkeep.keeper);
    const sum = kept.get(keeper) ?? { gas: 0n, fee: 0n, count: 0 };
    sum.gas += BigInt(String(upkeep.gasUsed));
    sum.fee += BigInt(String(upkeep.feeETH));
    sum.count++;
    kept.set(keeper, sum);
  }
  for (const [id, { gas, fee, count }] of kept)
    c.fields("Keeper", id, { cumulativeGas: gas, cumulativeFeeETH: fee, transactionCount: count });
}
