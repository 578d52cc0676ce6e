/**
 * Tiers for tests of the plan: a small model of the protocol's rules with one wei to a share. `stateOf` says what the lens
 * would say of it, `carryOut` what a call would do to it, or why it would be refused.
 */
import { Interface, ZeroAddress } from "ethers";
import { type Config, configSchema } from "../../keeper/config/schema.ts";
import { FUNCTIONS } from "../../keeper/plan/calls.ts";
import type { Action, KeeperState, Remembered, RewardsClaim } from "../../keeper/plan/types.ts";
import type { AgentState, BlockRef, SetState, TierState } from "../../keeper/state/types.ts";
import {
  budget,
  ceiling,
  covered,
  target as cutTo,
  deleverageBudget,
  deployLine,
  fraction,
  juniorLimit,
  largest,
  limit,
  Q,
  utilisation,
} from "../../model/exposure.ts";
import { max, min, subtract, sum, WAD } from "../../model/integer.ts";

export const ETH = 10n ** 18n;
export const DELAY = 100_800;
export const DAY = 86_400;
const HOLD = 1_000n; // what withdrawals leave behind

export interface LinkCore {
  set: number;
  current: bigint;
  pending: bigint;
  effectBlock: number;
  target: bigint;
  member: boolean;
}

export interface ExitCore {
  value: bigint;
  startBlock: number;
  nonce: number;
  tokensOnly: boolean;
}

export interface AgentCore {
  weightBps: bigint;
  stake: bigint;
  magnitude: bigint;
  encumbered: bigint;
  lastUnbond: number;
  reviewedAt: number;
  links: LinkCore[];
  exits: ExitCore[];
}

export interface SetCore {
  group: number;
  allowed: boolean;
  unapproved: boolean;
  quarantined: boolean;
  slasher: string;
  pendingSlasher: string;
  seenSlasher: string;
  seenPendingSlasher: string;
  seenAt: number;
  registrar: string;
  strategies: string[];
  /** Its registrar lets no agent go. */
  stubborn: boolean;
}

/** What a tier consists of; everything else follows. Senior is what is left of V. */
export interface Core {
  address: string;
  name: string;
  readable: boolean;
  slashed: bigint;
  reserve: bigint;
  junior: bigint;
  gains: bigint;
  idle: bigint;
  loose: bigint;
  unstaking: bigint;
  /** Of `unstaking`, what Lido pays now. */
  payable: bigint;
  queuedSenior: bigint;
  maturedSenior: bigint;
  queuedJunior: bigint;
  maturedJunior: bigint;
  stakeLimit: bigint;
  lastSync: number;
  paused: boolean;
  retired: { senior: boolean; junior: boolean };
  repairUntil: number;
  params: TierState["params"];
  agents: AgentCore[];
  sets: SetCore[];
}

export interface WorldCore {
  block: BlockRef;
  tiers: Core[];
  claims: RewardsClaim[];
  remembered: Remembered[];
}

export const address = (n: number): string => `0x${n.toString(16).padStart(40, "0")}`;
export const APPROVED = address(0xa11);
export const STRANGER = address(0xbad);
export const BLOCK: BlockRef = { number: 1_000_000, hash: `0x${"ab".repeat(32)}`, timestamp: 1_800_000_000 };

/** A quiet set. */
export const set = (own: Partial<SetCore> = {}): SetCore => ({
  group: 0,
  allowed: true,
  unapproved: false,
  quarantined: false,
  slasher: APPROVED,
  pendingSlasher: ZeroAddress,
  seenSlasher: APPROVED,
  seenPendingSlasher: ZeroAddress,
  seenAt: BLOCK.timestamp - DAY,
  registrar: address(0x4e9),
  strategies: [address(0x57)],
  stubborn: false,
  ...own,
});

export const link = (own: Partial<LinkCore> = {}): LinkCore => ({
  set: 0,
  current: WAD / 2n,
  pending: 0n,
  effectBlock: 0,
  target: WAD / 2n,
  member: true,
  ...own,
});

export const exit = (own: Partial<ExitCore> = {}): ExitCore => ({
  value: 10n * ETH,
  startBlock: BLOCK.number - DELAY - 10,
  nonce: 0,
  tokensOnly: false,
  ...own,
});

export const agent = (own: Partial<AgentCore> = {}): AgentCore => {
  const links = own.links ?? [];
  return {
    weightBps: 5_000n,
    stake: 99n * ETH,
    magnitude: WAD,
    encumbered: sum(links.map(({ current }) => current)),
    lastUnbond: 0,
    reviewedAt: BLOCK.timestamp - DAY,
    links,
    exits: [],
    ...own,
  };
};

/** Two agents with a set each, everything at its target, ample cover, nobody waits: nothing to do. */
export const quiet = (own: Partial<Core> = {}): Core => ({
  address: address(0x71e4),
  name: "Careful",
  readable: true,
  slashed: 0n,
  reserve: ETH,
  junior: 150n * ETH,
  gains: 0n,
  idle: 2n * ETH,
  loose: 0n,
  unstaking: 0n,
  payable: 0n,
  queuedSenior: 0n,
  maturedSenior: 0n,
  queuedJunior: 0n,
  maturedJunior: 0n,
  stakeLimit: 150_000n * ETH,
  lastSync: BLOCK.timestamp - 3_600,
  paused: false,
  retired: { senior: false, junior: false },
  repairUntil: 0,
  params: {
    k: 2,
    marginBps: 1_000n,
    haircutBps: 200n,
    bufferBps: 100n,
    quarantineBps: 500n,
    cap: 1_000_000n * ETH,
  },
  agents: [agent({ links: [link()] }), agent({ links: [link({ set: 1 })] })],
  sets: [set(), set({ group: 1 })],
  ...own,
});

export const world = (tiers: Core[] = [quiet()], own: Partial<WorldCore> = {}): WorldCore => ({
  block: BLOCK,
  tiers,
  claims: [],
  remembered: [],
  ...own,
});

export const config = (routine: Partial<Config["routine"]> = {}): Config => {
  const plain = configSchema.parse({ chain_id: 31_337, rpc: ["http://127.0.0.1:8545"] });
  return { ...plain, routine: { ...plain.routine, ...routine } };
};

/** What the keeper would read: head and final block are the same. */
export function keeperState(w: WorldCore): KeeperState {
  const chain = { block: w.block, tiers: w.tiers.map((core) => stateOf(core, w.block)) };
  return { head: chain, final: chain, claims: w.claims, remembered: w.remembered };
}

// ------------------------------------------------------------------------------------------- what follows

const isReady = (one: ExitCore, block: BlockRef) => block.number > one.startBlock + DELAY;

const reachOf = (one: AgentCore, block: BlockRef): bigint =>
  one.stake +
  sum(one.exits.filter((e) => !isReady(e, block)).map(({ value }) => value)) +
  2n * BigInt(1 + one.exits.length);

const queuedOf = (core: Core): bigint => sum(core.agents.flatMap(({ exits }) => exits.map(({ value }) => value)));

const worthOf = (core: Core): bigint =>
  core.idle + core.loose + core.unstaking + queuedOf(core) + sum(core.agents.map(({ stake }) => stake));

const settled = (one: LinkCore, block: BlockRef): LinkCore =>
  one.pending > 0n && block.number >= one.effectBlock
    ? { ...one, current: one.current - one.pending, pending: 0n }
    : one;

function exposures(core: Core, block: BlockRef, forward = false) {
  const groups = Array.from({ length: 32 }, () => 0n);
  const done = Array.from({ length: 32 }, () => 0n);
  let unapproved = 0n;
  for (const one of core.agents)
    for (const cached of one.links) {
      const l = forward ? settled(cached, block) : cached;
      const s = at(core.sets, l.set);
      const e = reachOf(one, block) * fraction(forward ? l.current - l.pending : l.current, one.magnitude);
      if (s.unapproved) unapproved += e;
      else {
        groups[s.group] = at(groups, s.group) + e;
        if (l.pending > 0n) done[s.group] = at(done, s.group) + e;
      }
    }
  const top = largest(groups, core.params.k);
  return { groups, done, unapproved, worst: top.mask, exposed: top.sum + unapproved };
}

function moneyOf(core: Core, block: BlockRef) {
  const value = worthOf(core);
  const { marginBps: b, haircutBps: h, bufferBps } = core.params;
  const { exposed } = exposures(core, block);
  const cover = core.reserve + core.junior;
  const buffer = (value * bufferBps) / Q;
  const room = juniorLimit(exposed, value, cover, b, h);
  const wanted = core.queuedSenior + buffer + min(room, core.maturedJunior);
  const flight = queuedOf(core) + core.loose + core.unstaking;
  return {
    value,
    exposed,
    cover,
    room,
    wanted,
    deployableCover: cover - core.queuedJunior,
    deployable: subtract(core.idle, core.queuedSenior + buffer + core.maturedJunior),
    unbondNeed: subtract(wanted, core.idle + (flight * 9_500n) / Q),
    utilisation: utilisation(exposed, value, cover, b, h),
  };
}

/** U with the deployable cover is at most 1. */
function gate(core: Core, block: BlockRef): boolean {
  const m = moneyOf(core, block);
  return covered(m.exposed, m.value, m.deployableCover, core.params.marginBps, core.params.haircutBps);
}

function cuts(core: Core, block: BlockRef) {
  const { k, marginBps: b, haircutBps: h } = core.params;
  const x = exposures(core, block, true);
  const m = moneyOf(core, block);
  const trigger = block.timestamp <= core.repairUntil ? b : 0n;
  const needed = !covered(x.exposed, m.value, m.cover, trigger, h);
  const top = ceiling(x.groups, k, deleverageBudget(m.cover, m.value, x.unapproved, b, h));
  return { needed, ceiling: needed ? subtract(top, 8n * m.value) : 0n, x };
}

const isUnfit = (core: Core, one: AgentCore): boolean =>
  one.magnitude < WAD / 10n || one.links.some((l) => l.current > 0n && at(core.sets, l.set).quarantined);

function deployLimit(core: Core, index: number, block: BlockRef, most: bigint): bigint {
  const one = at(core.agents, index);
  if (isUnfit(core, one)) return 0n;
  const m = moneyOf(core, block);
  const restaked = m.value - (m.value * core.params.bufferBps) / Q;
  const cap = min(most, subtract((one.weightBps * restaked) / Q, one.stake));
  const x = exposures(core, block);
  const e = x.groups.map(() => 0n);
  let extraE = 0n;
  for (const l of one.links) {
    const s = at(core.sets, l.set);
    if (s.unapproved) extraE += fraction(l.current, one.magnitude);
    else e[s.group] = at(e, s.group) + fraction(l.current, one.magnitude);
  }
  const { k, marginBps: b, haircutBps: h } = core.params;
  const line = deployLine({ exposure: x.groups, e, extraExposure: x.unapproved, extraE, v: m.value, b, h });
  return limit(line, k, budget(subtract(m.deployableCover, 1_000n + m.value / 10n ** 16n)), cap);
}

const approvedNow = (one: SetCore): boolean =>
  one.slasher === APPROVED && (one.pendingSlasher === ZeroAddress || one.pendingSlasher === APPROVED);

const isWatched = (core: Core, index: number): boolean =>
  core.agents.some(({ links }) => links.some((l) => l.set === index && (l.current > 0n || l.target > 0n)));

/** The lens's answer. */
export function stateOf(core: Core, block: BlockRef): TierState {
  const m = moneyOf(core, block);
  const x = exposures(core, block);
  const cut = cuts(core, block);
  const books = { reserve: core.reserve, junior: core.junior, gains: core.gains, senior: seniorOf(core) };
  const seniorFree = min(core.maturedSenior, core.idle);
  const juniorFree = min(core.maturedJunior, min(subtract(core.idle, core.queuedSenior), m.room));
  const most = min(m.deployable, core.stakeLimit);
  return {
    address: core.address,
    name: core.name,
    risk: address(0xf1),
    stakes: address(0xf2),
    allocator: address(0xf3),
    mandate: address(0xf4),
    module: address(0xf5),
    rewards: address(0xf6),
    factory: address(0xf7),
    allocationManager: address(0xf8),
    strategy: address(0x57),
    readable: core.readable,
    failure: core.readable ? "0x" : "0xdeadbeef",
    slashedAgents: core.slashed,
    books,
    value: m.value,
    utilisation: m.utilisation,
    exposed: m.exposed,
    deployableCover: m.deployableCover,
    params: core.params,
    deficit: { outstanding: 0n, closesAt: 0 },
    lastSync: core.lastSync,
    unlockAt: core.lastSync,
    entriesPaused: core.paused,
    freshUntil: Math.min(
      2 ** 40 - 1,
      ...core.sets.filter((_, i) => isWatched(core, i)).map(({ seenAt }) => seenAt + 3 * DAY),
    ),
    reserved: 0n,
    deployable: m.deployable,
    stakeLimit: core.stakeLimit,
    wanted: m.wanted,
    idle: core.idle,
    queued: queuedOf(core),
    loose: core.loose,
    unstaking: core.unstaking,
    unbondNeed: m.unbondNeed,
    unstakeRequests: { open: core.unstaking > 0n ? 1 : 0, claimable: core.payable > 0n ? 1 : 0 },
    deleverageNeeded: cut.needed,
    ceiling: cut.ceiling,
    groups: x.groups,
    unapproved: x.unapproved,
    worst: x.worst,
    withdrawalDelay: DELAY,
    vetoBlocks: 0,
    mandatePending: { id: `0x${"00".repeat(32)}`, eta: 0, expiry: 0 },
    senior: {
      token: core.retired.senior ? ZeroAddress : address(0x5e),
      supply: books.senior,
      queued: core.queuedSenior,
      finalisable: seniorFree,
    },
    junior: {
      token: core.retired.junior ? ZeroAddress : address(0x1e),
      supply: books.junior,
      queued: core.queuedJunior,
      finalisable: juniorFree,
    },
    agents: core.agents.map((one, index) => agentState(core, one, index, block, most)),
    sets: core.sets.map((one, index) => setState(one, index, block)),
  };
}

const seniorOf = (core: Core): bigint => subtract(worthOf(core), core.reserve + core.junior + core.gains);

function agentState(core: Core, one: AgentCore, index: number, block: BlockRef, most: bigint): AgentState {
  return {
    index,
    account: address(0xa0 + index),
    nodeOperator: address(0xb0 + index),
    weightBps: one.weightBps,
    lastUnbond: one.lastUnbond,
    magnitude: one.magnitude,
    quarantined: one.links.some((l) => l.current > 0n && at(core.sets, l.set).quarantined),
    stake: one.stake,
    deployLimit: deployLimit(core, index, block, most),
    encumbered: one.encumbered,
    reviewedAt: one.reviewedAt,
    links: one.links.map((l, i) => ({ index: i, ...l })),
    exits: one.exits.map((e, i) => ({
      index: i,
      scaled: one.magnitude === 0n ? 0n : (e.value * WAD) / one.magnitude,
      startBlock: e.startBlock,
      nonce: e.nonce,
      tokensOnly: e.tokensOnly,
    })),
  };
}

const setState = (one: SetCore, index: number, block: BlockRef): SetState => ({
  index,
  avs: address(0xc0 + index),
  id: 1,
  category: 2,
  group: one.group,
  allowed: one.allowed,
  unapproved: one.unapproved,
  quarantined: one.quarantined,
  approvedSlasher: APPROVED,
  seenSlasher: one.seenSlasher,
  seenPendingSlasher: one.seenPendingSlasher,
  // the lens syncs first, and that looks at stale sets
  seenAt: block.timestamp > one.seenAt + 3 * DAY ? block.timestamp : one.seenAt,
  slasher: one.slasher,
  pendingSlasher: one.pendingSlasher,
  pendingSlasherBlock: one.pendingSlasher === ZeroAddress ? 0 : BLOCK.number + 126_000,
  registrar: one.registrar,
  strategies: one.strategies,
});

// ------------------------------------------------------------------------------------------- what calls do

const EVERYTHING = new Interface(Object.values(FUNCTIONS).flat());

/** Does what the action's call would do; returns why it would be refused, if it would be. Decodes the call's own data. */
export function carryOut(w: WorldCore, action: Action): string | undefined {
  const core = w.tiers.find((one) => one.address === action.tier);
  const parsed = EVERYTHING.parseTransaction({ data: action.call.data });
  if (!core || !parsed) return "no such tier or function";
  const before = structuredClone(core);
  const number = (i: number) => Number(parsed.args[i]);
  const failure = apply(w, core, parsed.name, number, (i) => BigInt(parsed.args[i]), action);
  if (failure !== undefined) Object.assign(core, before);
  return failure;
}

function apply(
  w: WorldCore,
  core: Core,
  name: string,
  number: (i: number) => number,
  big: (i: number) => bigint,
  action: Action,
): string | undefined {
  const { block } = w;
  if (name === "clearDeallocationQueue") {
    for (const one of core.agents)
      if (action.subject === `agent ${core.agents.indexOf(one)}`)
        one.encumbered = sum(one.links.map((l) => settled(l, block).current));
    return undefined;
  }
  if (name === "openSeries") {
    const which = action.subject === "senior" ? "senior" : "junior";
    if (!core.retired[which]) return "SeriesLive";
    core.retired[which] = false;
    return undefined;
  }
  if (!core.readable) return "cannot be read";
  core.slashed = 0n;
  core.lastSync = block.timestamp;
  switch (name) {
    case "sync":
      for (const one of core.sets) if (block.timestamp > one.seenAt + 3 * DAY) one.seenAt = block.timestamp;
      return undefined;
    case "poke":
      return poke(w, core, number(0));
    case "unwind":
      return unwind(core, number(0), number(1), block);
    case "deleverage":
      return deleverage(core, number(0), block);
    case "allocate": {
      const one = at(core.agents, number(0));
      const l = relink(one, number(1), block);
      const s = at(core.sets, l.set);
      if (!s.allowed || s.quarantined || s.unapproved) return "SetClosed";
      if (l.pending > 0n) return "ChangePending";
      if (big(2) <= l.current || big(2) > l.target) return "InvalidMagnitude";
      if (sum(one.links.map((x) => x.current)) - l.current + big(2) > one.magnitude) return "InsufficientMagnitude";
      one.encumbered += big(2) - l.current;
      l.current = big(2);
      return gate(core, block) ? undefined : "Uncovered";
    }
    case "deallocate": {
      const one = at(core.agents, number(0));
      const l = relink(one, number(1), block);
      if (l.pending > 0n) return "ChangePending";
      if (l.current <= l.target) return "NothingToDo";
      lower(one, l, l.target, block);
      return undefined;
    }
    case "complete":
    case "redeposit": {
      const one = at(core.agents, number(0));
      const e = one.exits[number(1)];
      if (!e) return "UnknownIndex";
      if (!isReady(e, block)) return "NotReady";
      const last = one.exits.pop();
      if (last && last !== e) one.exits[number(1)] = last;
      if (name === "complete") {
        core.loose += e.value;
        return undefined;
      }
      if (e.tokensOnly) return "Needed";
      if (isUnfit(core, one)) return "AgentUnfit";
      one.stake += e.value;
      if (moneyOf(core, block).unbondNeed > 0n) return "Needed";
      return gate(core, block) ? undefined : "Uncovered";
    }
    case "claimUnstaked":
      core.idle += core.payable;
      core.unstaking -= core.payable;
      core.payable = 0n;
      return undefined;
    case "requestUnstake": {
      const amount = min(subtract(moneyOf(core, block).wanted, core.idle + core.unstaking), core.loose);
      if (amount === 0n) return "NothingToUnstake";
      const asked = min(max(amount, 100n), core.loose);
      if (asked < 100n) return "AmountTooSmall";
      const taken = min(asked, 1_000n * ETH * big(0));
      core.loose -= taken;
      core.unstaking += taken;
      return undefined;
    }
    case "deploy":
    case "redeploy": {
      const m = moneyOf(core, block);
      const idle = name === "deploy";
      const most = deployLimit(core, number(0), block, idle ? min(m.deployable, core.stakeLimit) : 2n ** 100n);
      if (big(1) > most || (!idle && big(1) > core.loose)) return "ExceedsDeployLimit";
      if (idle) core.idle -= big(1);
      else core.loose -= big(1);
      if (idle) core.stakeLimit -= big(1);
      at(core.agents, number(0)).stake += big(1);
      if (!idle && moneyOf(core, block).unbondNeed > 0n) return "Needed";
      return gate(core, block) ? undefined : "Uncovered";
    }
    case "unbond":
      return unbond(core, block);
    case "finalise": {
      const state = stateOf(core, block);
      if (action.subject === "senior") {
        core.idle -= state.senior.finalisable;
        core.queuedSenior -= state.senior.finalisable;
        core.maturedSenior -= state.senior.finalisable;
      } else {
        core.idle -= state.junior.finalisable;
        core.queuedJunior -= state.junior.finalisable;
        core.maturedJunior -= state.junior.finalisable;
        core.junior -= state.junior.finalisable;
      }
      return undefined;
    }
    case "review":
      at(core.agents, Number(action.subject.replace("agent ", ""))).reviewedAt = block.timestamp;
      return undefined;
    case "harvest":
      w.claims = w.claims.filter((claim) => !action.call.text.includes(claim.agent));
      return undefined;
    default:
      return `${name} is not modelled`;
  }
}

function relink(one: AgentCore, index: number, block: BlockRef): LinkCore {
  const l = at(one.links, index);
  Object.assign(l, settled(l, block));
  return l;
}

/** Everything of the agent is slashable where it is a member; elsewhere a decrease is done at once. */
function lower(one: AgentCore, l: LinkCore, to: bigint, block: BlockRef): void {
  if (l.member) {
    l.pending = l.current - to;
    l.effectBlock = block.number + DELAY;
    return;
  }
  one.encumbered -= l.current - to;
  l.current = to;
}

function poke(w: WorldCore, core: Core, index: number): undefined {
  const one = at(core.sets, index);
  one.seenSlasher = one.slasher;
  one.seenPendingSlasher = one.pendingSlasher;
  one.seenAt = w.block.timestamp;
  one.unapproved = !approvedNow(one);
  one.quarantined ||= one.unapproved;
  for (const a of core.agents) for (const [i, l] of a.links.entries()) if (l.set === index) relink(a, i, w.block);
  // the daemon remembers what it looked at
  for (const [i, seen] of w.remembered.entries())
    if (seen.tier === core.address && seen.set === index)
      w.remembered[i] = { ...seen, registrar: one.registrar, strategies: one.strategies };
  return undefined;
}

function unwind(core: Core, index: number, linkIndex: number, block: BlockRef): string | undefined {
  const one = at(core.agents, index);
  const l = relink(one, linkIndex, block);
  const s = at(core.sets, l.set);
  if (!s.quarantined || l.current === l.pending) return "NothingToDo";
  if (l.pending === 0n) {
    lower(one, l, 0n, block);
    return undefined;
  }
  if (!l.member) return "NothingToDo";
  if (!s.stubborn) {
    l.member = false;
    return undefined;
  }
  if (one.stake <= HOLD) return "NothingToDo";
  if (one.exits.length >= 16) return "TooMany";
  const nonce = 100 + one.exits.length;
  one.exits.push({ value: one.stake - HOLD, startBlock: block.number, nonce, tokensOnly: true });
  one.stake = HOLD;
  return undefined;
}

function deleverage(core: Core, index: number, block: BlockRef): string | undefined {
  const one = at(core.agents, index);
  const cut = cuts(core, block);
  if (!cut.needed) return "Covered";
  core.repairUntil = block.timestamp + DAY;
  for (const i of one.links.keys()) relink(one, i, block);
  const held = (group: number) =>
    sum(one.links.filter((l) => l.pending === 0n && at(core.sets, l.set).group === group).map((l) => l.current));
  const before = new Map(one.links.map((l) => [l, held(at(core.sets, l.set).group)]));
  let done = false;
  for (const l of one.links) {
    if (l.current === 0n || l.pending > 0n) continue;
    const s = at(core.sets, l.set);
    const settledPart = at(cut.x.done, s.group);
    const movable = at(cut.x.groups, s.group) - settledPart;
    const to = s.quarantined
      ? 0n
      : cutTo(l.current, before.get(l) ?? 0n, one.magnitude, movable, settledPart, cut.ceiling);
    if (to === l.current) continue;
    lower(one, l, to, block);
    done = true;
  }
  return done ? undefined : "NothingToDo";
}

function unbond(core: Core, block: BlockRef): string | undefined {
  const m = moneyOf(core, block);
  const givers = core.agents.filter(
    (one) => one.stake > HOLD && one.exits.length < 15 && block.timestamp >= one.lastUnbond + DAY,
  );
  const above = (one: AgentCore) => one.stake * Q - one.weightBps * m.value;
  const from = givers.reduce<AgentCore | undefined>(
    (best, one) => (best === undefined || above(one) > above(best) ? one : best),
    undefined,
  );
  if (m.unbondNeed === 0n || !from) return "NothingToUnbond";
  const amount = min(min(max(m.unbondNeed, ETH), from.stake), from.stake - HOLD);
  from.stake -= amount;
  from.exits.push({ value: amount, startBlock: block.number, nonce: 50 + from.exits.length, tokensOnly: false });
  from.lastUnbond = block.timestamp;
  return undefined;
}

/** Blocks and time pass. */
export const passBlocks = (w: WorldCore, blocks: number): void => {
  w.block = { ...w.block, number: w.block.number + blocks, timestamp: w.block.timestamp + blocks * 12 };
};

export function at<T>(list: readonly T[], index: number): T {
  const value = list[index];
  if (value === undefined) throw new RangeError(`no element ${index} of ${list.length}`);
  return value;
}
