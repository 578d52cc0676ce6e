/** Events that an entity records as they are: each has its entity, which says what the event said, and nothing else is there. */
import { ZeroAddress } from "ethers";
import type { Comparison, Expected } from "./compare.ts";
import { type Event, manifestEvents } from "./events.ts";

/** What of an event stands under which field: an argument's name, or a value. */
type Mapping = Readonly<Record<string, string | { readonly is: Expected }>>;

interface Rule {
  readonly type: string;
  readonly fields: Mapping;
}

const is = (value: Expected) => ({ is: value });
const move = (kind: string, fields: Mapping = {}): Rule => ({
  type: "StakeMove",
  fields: { kind: is(kind), ...fields },
});

export const RULES: Readonly<Record<string, Rule>> = {
  "Tier.Synced": { type: "Sync", fields: { exposed: "exposed" } },
  "Tier.GainsAdded": { type: "Gift", fields: { kind: is("GAINS_ADDED"), account: "from", assets: "assets" } },
  "Tier.ReserveToppedUp": {
    type: "Gift",
    fields: { kind: is("RESERVE_TOPPED_UP"), account: "from", assets: "assets" },
  },
  "Tier.ReserveSkimmed": { type: "Gift", fields: { kind: is("RESERVE_SKIMMED"), account: "to", assets: "assets" } },
  "Tier.Recovered": {
    type: "Recovery",
    fields: { from: "from", senior: "senior", junior: "junior", reserve: "reserve" },
  },
  "Tier.SeriesRetired": {
    type: "TierEvent",
    fields: { kind: is("SERIES_RETIRED"), series: "token", supply: "supply" },
  },
  "Tier.SeriesOpened": { type: "TierEvent", fields: { kind: is("SERIES_OPENED"), series: "token" } },
  "Tier.EntriesPaused": { type: "TierEvent", fields: {} },
  "TrancheToken.Transfer": { type: "Transfer", fields: { from: "from", to: "to", shares: "value" } },
  "TrancheToken.Deposit": { type: "Flow", fields: { sender: "sender" } },
  "TrancheToken.Withdraw": { type: "Flow", fields: { sender: "sender" } },
  "TrancheToken.PotPaid": { type: "Flow", fields: { sender: "holder" } },
  "TrancheToken.Finalised": {
    type: "Finalisation",
    fields: {
      shares: "shares",
      assets: "assets",
      cumulativeShares: "cumulativeShares",
      cumulativeAssets: "cumulativeAssets",
    },
  },
  "RiskManager.SetAdded": { type: "SetEvent", fields: { kind: is("SetAdded") } },
  "RiskManager.SetPoked": {
    type: "SetEvent",
    fields: { kind: is("SetPoked"), slasher: "slasher", unapproved: "unapproved" },
  },
  "RiskManager.QuarantineChanged": {
    type: "SetEvent",
    fields: { kind: is("QuarantineChanged"), quarantined: "quarantined" },
  },
  "RiskManager.GroupChanged": { type: "SetEvent", fields: { kind: is("GroupChanged"), group: "group" } },
  "Allocator.Allocated": { type: "AllocationChange", fields: { magnitude: "magnitude" } },
  "Allocator.Deregistered": { type: "AllocationChange", fields: { reason: is("DEREGISTER"), magnitude: is(0) } },
  "Allocator.StakeEvacuated": move("EVACUATED"),
  "StakeManager.Unbonded": move("UNBONDED", { assets: "assets", reference: "nonce" }),
  "StakeManager.WithdrawalCompleted": move("COMPLETED", { reference: "nonce" }),
  "StakeManager.Deployed": move("DEPLOYED", { assets: "assets", amount: "tokens" }),
  "StakingModule.Staked": move("STAKED", { assets: "assets", amount: "tokens" }),
  "StakingModule.Received": move("RECEIVED", { amount: "shares" }),
  "StakingModule.Released": move("RELEASED"),
  "StakingModule.UnstakeRequested": move("UNSTAKE_REQUESTED", { assets: "assets" }),
  "StakingModule.UnstakeClaimed": move("UNSTAKE_CLAIMED", { assets: "assets", reference: "requestId" }),
  "RestakingAgent.Swept": move("SWEPT", { amount: "amount" }),
  "AllocationManager.OperatorSlashed": { type: "Slash", fields: { description: "description" } },
  "Rewards.Harvested": {
    type: "Harvest",
    fields: {
      agent: "agent",
      nodeOperator: "nodeOperator",
      amount: "amount",
      operatorPart: "operatorPart",
      protocolPart: "protocolPart",
      until: "until",
    },
  },
  "Rewards.LotOpened": {
    type: "RewardSale",
    fields: { amount: "amount", startPrice: "startPrice", buyer: is(null), payment: is(null) },
  },
  "Rewards.Sold": {
    type: "RewardSale",
    fields: { buyer: "buyer", receiver: "receiver", amount: "amount", payment: "payment" },
  },
  "Rewards.DropClaimed": { type: "DropClaim", fields: { account: "account", amount: "amount" } },
};

/** Kinds whose entity tells it in another way than the event's name does. */
const LATER: Readonly<Record<string, (event: Event) => Mapping>> = {
  "RiskManager.SetPoked": (event) => {
    const pending = String(event.args.getValue("pendingSlasher"));
    return { pendingSlasher: is(pending === ZeroAddress ? null : pending) };
  },
  "StakeManager.Deployed": (event) => ({ kind: is(event.args.getValue("fromIdle") ? "DEPLOYED" : "REDEPLOYED") }),
  "StakeManager.WithdrawalCompleted": (event) => ({
    kind: is(event.args.getValue("asTokens") ? "COMPLETED" : "REDEPOSITED"),
  }),
  "Tier.EntriesPaused": (event) => ({
    kind: is(event.args.getValue("paused") ? "ENTRIES_PAUSED" : "ENTRIES_UNPAUSED"),
  }),
};

const GOVERNANCE = new Set(["AccessManager", "RoleAcceptance", "UpgradeableBeacon", "HelloWorldAVS"]);
/** Types whose entities are all events, so that none may be there without its event. */
const WHOLE = [
  "Sync",
  "Gift",
  "Recovery",
  "TierEvent",
  "Transfer",
  "Flow",
  "Finalisation",
  "SetEvent",
  "AllocationChange",
  "StakeMove",
  "Slash",
  "Harvest",
  "RewardSale",
  "DropClaim",
];

export function compareRecords(events: readonly Event[], c: Comparison): void {
  const ids = new Map<string, string[]>(WHOLE.map((type) => [type, []]));
  for (const event of events) {
    const rule = RULES[event.kind];
    if (!rule) continue;
    ids.get(rule.type)?.push(event.id);
    const fields: Mapping = { ...rule.fields, ...LATER[event.kind]?.(event) };
    for (const [field, from] of Object.entries(fields))
      c.same(rule.type, event.id, field, typeof from === "string" ? event.args.getValue(from) : from.is);
    if (
      rule.type !== "DropClaim" &&
      rule.type !== "Transfer" &&
      rule.type !== "Finalisation" &&
      event.tier &&
      rule.type !== "SetEvent"
    )
      c.same(rule.type, event.id, "tier", event.tier);
    if (rule.type !== "DropClaim") c.same(rule.type, event.id, "block", event.block);
    c.same(rule.type, event.id, "timestamp", event.timestamp);
    c.same(rule.type, event.id, "transaction", event.transaction);
  }
  for (const [type, list] of ids) c.ids(type, list);
  const governance = events.filter(({ contract }) => GOVERNANCE.has(contract)).map(({ id }) => id);
  for (const id of governance) c.equal("GovernanceEvent.id", id, true, c.all("GovernanceEvent").has(id));
}

/** How many events of a kind the chain has, and how many the subgraph has counted. */
export function compareTallies(events: readonly Event[], c: Comparison): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  const handled = manifestEvents();
  for (const { kind } of events) if (handled.has(kind)) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  const kinds = new Set([...counts.keys(), ...c.all("EventTally").keys()]);
  for (const kind of kinds)
    c.equal(`EventTally ${kind}`, kind, counts.get(kind) ?? 0, c.all("EventTally").get(kind)?.count ?? 0);
  return counts;
}

/** Events that the run leaves out, and why. */
const NEVER: readonly (readonly [RegExp, string])[] = [
  [/^HelloWorldAVS\./, "the example service is no part of the run: its events are told as they come"],
];

export const neverHappens = (kind: string): boolean => NEVER.some(([pattern]) => pattern.test(kind));
