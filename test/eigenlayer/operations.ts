/** The random operations of the comparison, weighted so that most of them work and the edges are met often. */
import type { EigenLayerContract } from "../../deploy/eigenlayer.ts";
import type { Random } from "./random.ts";
import type { Call, OperatorSet, Side, StakeView, View, WithdrawalView, World } from "./world.ts";

export const WAD = 10n ** 18n;
const ONE_TOKEN = 10n ** 18n;

/** What the generator knows about the run: who takes part, and what it has seen. */
export interface Scene {
  readonly world: World;
  readonly operators: readonly string[];
  readonly sets: readonly OperatorSet[];
  /** As of the latest block. */
  readonly view: View;
  readonly block: number;
  readonly deregistrations: readonly Deregistration[];
  /** A slash whose shares have not been burned yet. */
  readonly unsettled: { readonly set: OperatorSet; readonly slashId: bigint } | undefined;
}

export interface Deregistration {
  readonly block: number;
  readonly operator: number;
  readonly set: OperatorSet;
}

/** One transaction of one account, on both sides. */
export interface Operation {
  readonly kind: string;
  /** For people: the arguments, with names instead of addresses. */
  readonly text: string;
  readonly actor: string;
  readonly call: (side: Side) => Call;
  /** The operator concerned, if one is. */
  readonly operator?: number;
  readonly slashed?: OperatorSet;
  readonly left?: OperatorSet;
  readonly settles?: true;
  /** The returned bytes name strategies by address or roots, so only success is compared. */
  readonly opaqueResult?: true;
}

export interface Roll {
  readonly kind: "roll";
  readonly text: string;
  readonly blocks: number;
  /** The step that the roll was made for. */
  readonly next?: Generator;
}

export interface Replacement {
  readonly kind: "replace operator";
  readonly text: string;
  readonly operator: number;
}

export type Step = Operation | Roll | Replacement;
export type Generator = (scene: Scene, random: Random) => Step | undefined;

/** Steps to choose from, by weight; a generator that has nothing to do returns nothing and another is drawn. */
const GENERATORS: readonly (readonly [number, Generator])[] = [
  [10, deposit],
  [8, register],
  [3, deregister],
  [16, allocate],
  [14, slash],
  [2, slashAsStranger],
  [10, queue],
  [12, complete],
  [5, clearDeallocations],
  [6, settle],
  [12, roll],
  [2, updateSlasher],
  [3, rate],
  [4, views],
  [1, actForAnother],
  [2, replace],
];

export function nextStep(scene: Scene, random: Random, wanted?: Generator): Step {
  // release 1.4 has one pot for all slashes: only one may be open at a time, or roundings of burns would differ
  for (;;) {
    const step = wanted?.(scene, random) ?? random.weighted(GENERATORS)(scene, random);
    if (!step) continue;
    const slashes = "slashed" in step && step.slashed;
    const mayAimASlash = "next" in step && step.next; // at an exact block, so the pot must be empty before
    if (scene.unsettled && (slashes || mayAimASlash)) return settle(scene, random) ?? step;
    return step;
  }
}

// ---- helpers

function index(items: readonly unknown[], random: Random): number {
  return random.int(items.length - 1);
}

function stake(scene: Scene, operator: number, strategy: number): StakeView {
  const found = scene.view.operators[operator]?.stakes[strategy];
  if (!found) throw new Error(`Operator ${operator} or strategy ${strategy} was not seen.`);
  return found;
}

function nameOfSet(scene: Scene, set: OperatorSet): string {
  return `set ${scene.sets.indexOf(set)}`;
}

function address(list: readonly string[], i: number): string {
  const found = list[i];
  if (found === undefined) throw new Error(`No address number ${i}.`);
  return found;
}

/** Picks an operator; those with stake come more often. */
function pickOperator(scene: Scene, random: Random): number {
  const first = index(scene.operators, random);
  const staked = (i: number) => scene.view.operators[i]?.stakes.some((s) => s.withdrawableShares > 0n) ?? false;
  return staked(first) || random.oneIn(3) ? first : index(scene.operators, random);
}

function eigen(
  scene: Scene,
  contract: EigenLayerContract,
  fn: string,
  args: (side: Side) => readonly unknown[],
): (side: Side) => Call {
  return (side) => scene.world.call(side, contract, fn, args(side));
}

// ---- operations

function deposit(scene: Scene, random: Random): Step {
  const operator = index(scene.operators, random);
  const strategy = index(scene.world.sides[0].strategies, random);
  const amount = random.amount(1000n * ONE_TOKEN);
  return {
    kind: "deposit",
    text: `operator ${operator}, strategy ${strategy}, ${amount} wei`,
    operator,
    actor: address(scene.operators, operator),
    call: eigen(scene, "strategyManager", "depositIntoStrategy", (side) => [
      side.strategies[strategy],
      side.tokens[strategy],
      amount,
    ]),
  };
}

function register(scene: Scene, random: Random): Step {
  const operator = index(scene.operators, random);
  const open = scene.sets.filter((_, i) => !scene.view.operators[operator]?.memberships[i]?.slashable);
  const set = random.pick(open.length > 0 && !random.oneIn(6) ? open : scene.sets);
  return registration(scene, random, operator, set);
}

function registration(scene: Scene, random: Random, operator: number, set: OperatorSet): Step {
  const sets = scene.sets.filter((s) => s.avs === set.avs && (s === set || random.oneIn(4))).map((s) => s.id);
  const data = "0x";
  return {
    kind: "register",
    text: `operator ${operator}, ids ${sets} of the AVS of ${nameOfSet(scene, set)}`,
    operator,
    actor: address(scene.operators, operator),
    call: eigen(scene, "allocationManager", "registerForOperatorSets", () => [
      scene.operators[operator],
      { avs: set.avs, operatorSetIds: sets, data },
    ]),
  };
}

function deregister(scene: Scene, random: Random): Step {
  const operator = index(scene.operators, random);
  const member = (s: OperatorSet) => scene.view.operators[operator]?.memberships[scene.sets.indexOf(s)]?.member;
  const members = scene.sets.filter(member);
  const set = random.pick(members.length > 0 && !random.oneIn(8) ? members : scene.sets);
  const byAvs = random.oneIn(4); // the AVS may throw an operator out
  return {
    kind: "deregister",
    text: `operator ${operator}, ${nameOfSet(scene, set)}${byAvs ? ", by the AVS" : ""}`,
    operator,
    left: set,
    actor: byAvs ? set.avs : address(scene.operators, operator),
    call: eigen(scene, "allocationManager", "deregisterFromOperatorSets", () => [
      {
        operator: scene.operators[operator],
        avs: set.avs,
        operatorSetIds: [set.id],
      },
    ]),
  };
}

function allocate(scene: Scene, random: Random): Step {
  const operator = pickOperator(scene, random);
  const stakes = scene.view.operators[operator]?.stakes ?? [];
  const free = scene.sets.filter((_, i) => stakes.every((s) => s.allocations[i]?.effectBlock === 0n));
  return allocation(scene, random, operator, random.pick(free.length > 0 && !random.oneIn(6) ? free : scene.sets));
}

function allocation(scene: Scene, random: Random, operator: number, set: OperatorSet): Step {
  const all = scene.world.sides[0].strategies.map((_, i) => i);
  const strategies = random.oneIn(4) ? all : [random.pick(all)];
  const magnitudes = strategies.map((strategy) => magnitude(scene, random, operator, set, strategy));
  return {
    kind: "allocate",
    text: `operator ${operator}, ${nameOfSet(scene, set)}, strategies ${strategies}, magnitudes ${magnitudes}`,
    operator,
    actor: address(scene.operators, operator),
    call: eigen(scene, "allocationManager", "modifyAllocations", (side) => [
      scene.operators[operator],
      [
        {
          operatorSet: set,
          strategies: strategies.map((i) => side.strategies[i]),
          newMagnitudes: magnitudes,
        },
      ],
    ]),
  };
}

function magnitude(scene: Scene, random: Random, operator: number, set: OperatorSet, strategy: number): bigint {
  const { allocations, allocatable } = stake(scene, operator, strategy);
  const current = allocations[scene.sets.indexOf(set)]?.currentMagnitude ?? 0n;
  const limit = current + allocatable;
  const less = current === 0n ? 1 : 4; // from nothing there is only more
  const wanted = random.weighted<() => bigint>([
    [6, () => random.amount(limit)],
    [less, () => random.amount(current)],
    [less, () => 0n],
    [1, () => limit], // everything that is left
    [1, () => limit + 1n], // and one too much
    [1, () => current], // no change
    [1, () => current + 1n],
    [1, () => (current > 0n ? current - 1n : 0n)],
  ])();
  return wanted > WAD ? WAD : wanted;
}

function slash(scene: Scene, random: Random): Step {
  return slashOf(scene, random, pickOperator(scene, random));
}

/** By a set that can, mostly. */
function slashOf(scene: Scene, random: Random, operator: number): Step {
  const all = scene.world.sides[0].strategies.map((_, i) => i);
  const { memberships = [], stakes = [] } = scene.view.operators[operator] ?? {};
  const targets = scene.sets.flatMap((set, i) =>
    all.flatMap((strategy) => {
      const found = stakes[strategy]?.allocations[i];
      const possible = found && found.currentMagnitude > 0n && memberships[i]?.slashable;
      return possible ? [{ set, strategy, decreasing: found.pendingDiff < 0n }] : [];
    }),
  );
  const decreasing = targets.filter((target) => target.decreasing);
  const target =
    targets.length === 0 || random.oneIn(10)
      ? { set: random.pick(scene.sets), strategy: random.pick(all) }
      : random.pick(decreasing.length > 0 && random.oneIn(2) ? decreasing : targets);
  const slasher = scene.view.sets[scene.sets.indexOf(target.set)]?.slasher ?? target.set.avs;
  return slashing(scene, random, operator, target.set, random.oneIn(4) ? all : [target.strategy], slasher);
}

function slashAsStranger(scene: Scene, random: Random): Step {
  const set = random.pick(scene.sets);
  return slashing(scene, random, pickOperator(scene, random), set, [0], random.pick(scene.sets).avs);
}

function slashing(
  scene: Scene,
  random: Random,
  operator: number,
  set: OperatorSet,
  strategies: readonly number[],
  actor: string,
): Step {
  const wads = strategies.map(() =>
    random.weighted<() => bigint>([
      [8, () => random.amount(WAD)],
      [4, () => random.upTo(WAD / 10n)],
      [2, () => 1n],
      [1, () => WAD],
      [1, () => WAD - 1n],
    ])(),
  );
  return {
    kind: "slash",
    text: `operator ${operator} by ${nameOfSet(scene, set)}, strategies ${strategies}, wads ${wads}`,
    operator,
    actor,
    slashed: set,
    call: eigen(scene, "allocationManager", "slashOperator", (side) => [
      set.avs,
      {
        operator: scene.operators[operator],
        operatorSetId: set.id,
        strategies: strategies.map((i) => side.strategies[i]),
        wadsToSlash: wads,
        description: "seeded",
      },
    ]),
  };
}

function queue(scene: Scene, random: Random): Step | undefined {
  const operator = pickOperator(scene, random);
  if ((scene.view.operators[operator]?.queue.length ?? 0) >= 12) return undefined;
  const strategy = index(scene.world.sides[0].strategies, random);
  const { depositShares } = stake(scene, operator, strategy);
  const shares = random.oneIn(20) ? depositShares + 1n : random.amount(depositShares);
  return {
    kind: "queue",
    text: `operator ${operator}, strategy ${strategy}, ${shares} of ${depositShares} deposit shares`,
    operator,
    opaqueResult: true,
    actor: address(scene.operators, operator),
    call: eigen(scene, "delegationManager", "queueWithdrawals", (side) => [
      [[[side.strategies[strategy]], [shares], `0x${"00".repeat(20)}`]],
    ]),
  };
}

function complete(scene: Scene, random: Random): Step | undefined {
  const delay = BigInt(scene.world.sides[0].deployment.delays.withdrawal);
  const queued = scene.view.operators.flatMap((v, operator) => v.queue.map((withdrawal) => ({ operator, withdrawal })));
  const due = queued.filter(({ withdrawal }) => withdrawal.startBlock + delay <= BigInt(scene.block));
  if (queued.length === 0) return undefined;
  const { operator, withdrawal } = random.pick(due.length > 0 && !random.oneIn(10) ? due : queued);
  return completion(scene, random, operator, withdrawal);
}

function completion(scene: Scene, random: Random, operator: number, withdrawal: WithdrawalView): Step {
  const asTokens = !random.oneIn(3);
  return {
    kind: asTokens ? "complete as tokens" : "complete as shares",
    text: `operator ${operator}, nonce ${withdrawal.nonce}, queued in block ${withdrawal.startBlock}, to pay ${withdrawal.payout}`,
    operator,
    actor: address(scene.operators, operator),
    call: eigen(scene, "delegationManager", "completeQueuedWithdrawal", (side) => [
      {
        staker: withdrawal.staker,
        delegatedTo: withdrawal.delegatedTo,
        withdrawer: withdrawal.withdrawer,
        nonce: withdrawal.nonce,
        startBlock: withdrawal.startBlock,
        strategies: [side.strategies[Number(withdrawal.strategyIndex)]],
        scaledShares: [withdrawal.scaledShares],
      },
      [side.tokens[Number(withdrawal.strategyIndex)]],
      asTokens,
    ]),
  };
}

function clearDeallocations(scene: Scene, random: Random): Step {
  const strategy = index(scene.world.sides[0].strategies, random);
  return clearing(scene, random, pickOperator(scene, random), strategy);
}

function clearing(scene: Scene, random: Random, operator: number, strategy: number): Step {
  const count = random.oneIn(3) ? 65_535 : random.int(2);
  return {
    kind: "clear deallocations",
    text: `operator ${operator}, strategy ${strategy}, up to ${count}`,
    operator,
    actor: random.pick(scene.operators), // permissionless
    call: eigen(scene, "allocationManager", "clearDeallocationQueue", (side) => [
      scene.operators[operator],
      [side.strategies[strategy]],
      [count],
    ]),
  };
}

function settle(scene: Scene, random: Random): Step | undefined {
  if (!scene.unsettled) return undefined;
  const { set, slashId } = scene.unsettled;
  return {
    kind: "burn slashed shares",
    text: `slash ${slashId} of ${nameOfSet(scene, set)}`,
    actor: random.pick(scene.operators), // permissionless
    settles: true,
    call: eigen(scene, "strategyManager", "clearBurnOrRedistributableShares", () => [set, slashId]),
  };
}

/** Somewhere, or so that the next transaction lands on, just before or just behind a block in which something changes. */
function roll(scene: Scene, random: Random): Step {
  const coming = edges(scene).filter(({ block }) => block > scene.block + 2);
  if (coming.length === 0 || random.oneIn(4)) {
    const blocks = Number(random.amount(BigInt(scene.world.sides[0].deployment.delays.withdrawal) / 4n)) + 1;
    return { kind: "roll", text: `${blocks} blocks`, blocks };
  }
  const first = coming.reduce((a, b) => (b.block < a.block ? b : a));
  const edge = random.oneIn(2) ? first : random.pick(coming);
  const offset = random.int(3) - 1;
  const blocks = Math.max(edge.block + offset - 1 - scene.block, 1);
  const text = `${blocks} blocks: the next transaction is ${offset} blocks from the ${edge.what}`;
  return random.oneIn(4)
    ? { kind: "roll", text, blocks }
    : { kind: "roll", text, blocks, next: (later, r) => edge.next(later, r) };
}

interface Edge {
  readonly block: number;
  readonly what: string;
  readonly next: Generator;
}

/** Blocks in which something changes, each with a step to whom it matters. */
function edges(scene: Scene): Edge[] {
  const { withdrawal, deallocation } = scene.world.sides[0].deployment.delays;
  const all = scene.world.sides[0].strategies.map((_, i) => i);
  const slasherOf = (later: Scene, set: OperatorSet) => later.view.sets[scene.sets.indexOf(set)]?.slasher ?? set.avs;
  const bySlasher = (later: Scene, r: Random, operator: number, set: OperatorSet) =>
    slashing(later, r, operator, set, [r.pick(all)], slasherOf(later, set));
  return [
    ...scene.view.operators.flatMap(({ queue }, operator) =>
      queue.map((queued) => ({
        block: Number(queued.startBlock) + withdrawal,
        what: "end of a withdrawal's delay",
        // a slash in the last block counts, one behind it does not
        next: (later: Scene, r: Random) =>
          r.oneIn(3) ? slashOf(later, r, operator) : completion(later, r, operator, queued),
      })),
    ),
    ...scene.view.operators.flatMap(({ stakes }, operator) =>
      stakes.flatMap(({ allocations }, strategy) =>
        scene.sets.map((set, i) => ({
          block: Number(allocations[i]?.effectBlock ?? 0n),
          what: "end of a deallocation",
          next: (later: Scene, r: Random) =>
            r.pick([
              () => clearing(later, r, operator, strategy),
              () => allocation(later, r, operator, set),
              () => bySlasher(later, r, operator, set),
            ])(),
        })),
      ),
    ),
    ...scene.sets.map((set, i) => ({
      block: Number(scene.view.sets[i]?.slasherEffectBlock ?? 0n),
      what: "change of a slasher",
      next: (later: Scene, r: Random) => {
        const pending = scene.view.sets[i]?.pendingSlasher ?? set.avs;
        const actor = r.oneIn(2) ? pending : (scene.view.sets[i]?.slasher ?? set.avs);
        return slashing(later, r, pickOperator(later, r), set, [r.pick(all)], actor);
      },
    })),
    ...scene.deregistrations.map(({ block, operator, set }) => ({
      block: block + deallocation,
      what: "end of a former member's liability",
      next: (later: Scene, r: Random) =>
        r.oneIn(3) ? registration(later, r, operator, set) : bySlasher(later, r, operator, set),
    })),
  ];
}

function updateSlasher(scene: Scene, random: Random): Step {
  const set = random.pick(scene.sets);
  const slasher = random.pick(scene.sets).avs;
  return {
    kind: "update slasher",
    text: `${nameOfSet(scene, set)}, to the AVS of set ${scene.sets.findIndex((s) => s.avs === slasher)}`,
    actor: random.oneIn(6) ? random.pick(scene.sets).avs : set.avs,
    call: eigen(scene, "allocationManager", "updateSlasher", () => [set, slasher]),
  };
}

/** A donation to a strategy, or a rebase that takes a little away. */
function rate(scene: Scene, random: Random): Step {
  const strategy = index(scene.world.sides[0].strategies, random);
  const down = random.oneIn(3);
  const balance = scene.view.pools[strategy]?.balance ?? 0n;
  const amount = down ? random.amount(balance / 100n) : random.amount(ONE_TOKEN);
  return {
    kind: down ? "rebase down" : "donate",
    text: `strategy ${strategy}, ${amount} wei`,
    actor: random.pick(scene.operators),
    call: (side) => scene.world.tokenCall(side, strategy, down ? "burn" : "mint", amount),
  };
}

/** Views that are not part of what is compared after every step, because they take arguments. */
function views(scene: Scene, random: Random): Step {
  const operator = index(scene.operators, random);
  const strategy = index(scene.world.sides[0].strategies, random);
  const actor = random.pick(scene.operators);
  if (random.oneIn(2)) {
    const shares = random.amount(stake(scene, operator, strategy).withdrawableShares);
    return {
      kind: "view convertToDepositShares",
      text: `operator ${operator}, strategy ${strategy}, ${shares}`,
      actor,
      call: eigen(scene, "delegationManager", "convertToDepositShares", (side) => [
        scene.operators[operator],
        [side.strategies[strategy]],
        [shares],
      ]),
    };
  }
  const block = scene.block + 10 - Number(random.amount(BigInt(scene.block)));
  return {
    kind: "view getMaxMagnitudesAtBlock",
    text: `operator ${operator}, strategy ${strategy}, block ${block}`,
    actor,
    call: eigen(scene, "allocationManager", "getMaxMagnitudesAtBlock", (side) => [
      scene.operators[operator],
      [side.strategies[strategy]],
      block,
    ]),
  };
}

/** Calls that only the account itself may make. */
function actForAnother(scene: Scene, random: Random): Step {
  const operator = index(scene.operators, random);
  const stranger = address(scene.operators, (operator + 1) % scene.operators.length);
  const set = random.pick(scene.sets);
  const [fn, args] = random.pick<[string, (side: Side) => readonly unknown[]]>([
    [
      "modifyAllocations",
      (side) => [
        scene.operators[operator],
        [
          {
            operatorSet: set,
            strategies: [side.strategies[0]],
            newMagnitudes: [1n],
          },
        ],
      ],
    ],
    [
      "registerForOperatorSets",
      () => [scene.operators[operator], { avs: set.avs, operatorSetIds: [set.id], data: "0x" }],
    ],
    [
      "deregisterFromOperatorSets",
      () => [
        {
          operator: scene.operators[operator],
          avs: set.avs,
          operatorSetIds: [set.id],
        },
      ],
    ],
    ["setAllocationDelay", () => [scene.operators[operator], 5]],
  ]);
  return {
    kind: "act for another",
    text: `${fn} for operator ${operator}`,
    actor: stranger,
    call: eigen(scene, "allocationManager", fn, args),
  };
}

/** Operators wear out: a fresh one takes the place of one that has lost nearly everything, now and then of another. */
function replace(scene: Scene, random: Random): Step | undefined {
  const worn = scene.view.operators.findIndex((v) => v.stakes.every((s) => s.maxMagnitude < WAD / 1_000_000n));
  if (worn < 0 && !random.oneIn(4)) return undefined;
  const operator = worn >= 0 ? worn : index(scene.operators, random);
  return { kind: "replace operator", text: `operator ${operator}`, operator };
}
