/** The random operations of the comparison, weighted so that most of them work and the edges are met often. */
import type { Random } from "./random.ts";
import type { Generator, Scene, Step } from "./steps.ts";
import * as steps from "./steps.ts";
import type { OperatorSet, Side } from "./world.ts";

const WAD = 10n ** 18n;
const ONE_TOKEN = 10n ** 18n;
const MAX_QUEUE = 12;

/** Steps to choose from, by weight; a generator that has nothing to do returns nothing and another is drawn. */
const GENERATORS: readonly (readonly [number, Generator])[] = [
  [10, anyDeposit],
  [8, anyRegistration],
  [3, anyDeregistration],
  [16, anyAllocation],
  [14, anySlash],
  [2, slashAsStranger],
  [10, anyQueueing],
  [12, anyCompletion],
  [5, anyClearing],
  [6, settling],
  [12, roll],
  [2, anyNewSlasher],
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
    if (scene.unsettled && (slashes || mayAimASlash)) return settling(scene, random) ?? step;
    return step;
  }
}

// ---- operations

function index(items: readonly unknown[], random: Random): number {
  return random.int(items.length - 1);
}

/** Picks an operator; those with stake come more often. */
function pickOperator(scene: Scene, random: Random): number {
  const first = index(scene.operators, random);
  const staked = (i: number) => scene.view.operators[i]?.stakes.some((s) => s.withdrawableShares > 0n) ?? false;
  return staked(first) || random.oneIn(3) ? first : index(scene.operators, random);
}

function pickStrategy(scene: Scene, random: Random): number {
  return index(scene.world.sides[0].strategies, random);
}

function anyDeposit(scene: Scene, random: Random): Step {
  const amount = random.amount(1000n * ONE_TOKEN);
  return steps.deposit(scene, index(scene.operators, random), pickStrategy(scene, random), amount);
}

function anyRegistration(scene: Scene, random: Random): Step {
  const operator = index(scene.operators, random);
  const open = scene.sets.filter((_, i) => !scene.view.operators[operator]?.memberships[i]?.slashable);
  const set = random.pick(open.length > 0 && !random.oneIn(6) ? open : scene.sets);
  const sets = scene.sets.filter((s) => s.avs === set.avs && (s === set || random.oneIn(4)));
  return steps.register(scene, operator, sets);
}

function anyDeregistration(scene: Scene, random: Random): Step {
  const operator = index(scene.operators, random);
  const member = (s: OperatorSet) => scene.view.operators[operator]?.memberships[scene.sets.indexOf(s)]?.member;
  const members = scene.sets.filter(member);
  const set = random.pick(members.length > 0 && !random.oneIn(8) ? members : scene.sets);
  return steps.deregister(scene, operator, set, random.oneIn(4)); // the AVS may throw an operator out
}

function anyAllocation(scene: Scene, random: Random): Step {
  const operator = pickOperator(scene, random);
  const stakes = scene.view.operators[operator]?.stakes ?? [];
  const free = scene.sets.filter((_, i) => stakes.every((s) => s.allocations[i]?.effectBlock === 0n));
  return allocationTo(scene, random, operator, random.pick(free.length > 0 && !random.oneIn(6) ? free : scene.sets));
}

function allocationTo(scene: Scene, random: Random, operator: number, set: OperatorSet): Step {
  const all = scene.world.sides[0].strategies.map((_, i) => i);
  const strategies = random.oneIn(4) ? all : [random.pick(all)];
  const magnitudes = strategies.map((strategy) => magnitude(scene, random, operator, set, strategy));
  return steps.allocate(scene, operator, set, strategies, magnitudes);
}

function magnitude(scene: Scene, random: Random, operator: number, set: OperatorSet, strategy: number): bigint {
  const { allocations, allocatable } = steps.stake(scene, operator, strategy);
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

function anySlash(scene: Scene, random: Random): Step {
  return slashOf(scene, random, pickOperator(scene, random));
}

/** By a set that can, mostly; of `strategy`, if one is given and can be slashed. */
function slashOf(scene: Scene, random: Random, operator: number, strategy?: number): Step {
  const all = scene.world.sides[0].strategies.map((_, i) => i);
  const { memberships = [], stakes = [] } = scene.view.operators[operator] ?? {};
  const targets = scene.sets.flatMap((set, i) =>
    all.flatMap((s) => {
      const found = stakes[s]?.allocations[i];
      const possible = found && found.currentMagnitude > 0n && memberships[i]?.slashable;
      return possible ? [{ set, strategy: s, decreasing: found.pendingDiff < 0n }] : [];
    }),
  );
  const wanted = targets.filter((target) =>
    strategy === undefined ? target.decreasing : target.strategy === strategy,
  );
  const target =
    targets.length === 0 || random.oneIn(10)
      ? { set: random.pick(scene.sets), strategy: random.pick(all) }
      : random.pick(wanted.length > 0 && (strategy !== undefined || random.oneIn(2)) ? wanted : targets);
  return slashBy(scene, random, operator, target.set, random.oneIn(4) ? all : [target.strategy]);
}

function slashAsStranger(scene: Scene, random: Random): Step {
  const set = random.pick(scene.sets);
  return slashBy(scene, random, pickOperator(scene, random), set, [0], random.pick(scene.sets).avs);
}

function slashBy(
  scene: Scene,
  random: Random,
  operator: number,
  set: OperatorSet,
  strategies: readonly number[],
  actor = steps.slasherOf(scene, set),
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
  return steps.slash(scene, operator, set, strategies, wads, actor);
}

function anyQueueing(scene: Scene, random: Random): Step | undefined {
  const operator = pickOperator(scene, random);
  if ((scene.view.operators[operator]?.queue.length ?? 0) >= MAX_QUEUE) return undefined;
  const strategy = pickStrategy(scene, random);
  const { depositShares } = steps.stake(scene, operator, strategy);
  const shares = random.oneIn(20) ? depositShares + 1n : random.amount(depositShares);
  return steps.queue(scene, operator, strategy, shares);
}

function anyCompletion(scene: Scene, random: Random): Step | undefined {
  const delay = BigInt(scene.world.sides[0].deployment.delays.withdrawal);
  const queued = scene.view.operators.flatMap((v, operator) => v.queue.map((withdrawal) => ({ operator, withdrawal })));
  const due = queued.filter(({ withdrawal }) => withdrawal.startBlock + delay <= BigInt(scene.block));
  if (queued.length === 0) return undefined;
  const { operator, withdrawal } = random.pick(due.length > 0 && !random.oneIn(10) ? due : queued);
  return steps.complete(scene, operator, withdrawal, !random.oneIn(3));
}

function anyClearing(scene: Scene, random: Random): Step {
  return clearingOf(scene, random, pickOperator(scene, random), pickStrategy(scene, random));
}

function clearingOf(scene: Scene, random: Random, operator: number, strategy: number): Step {
  const count = random.oneIn(3) ? 65_535 : random.int(2);
  return steps.clearDeallocations(scene, random.pick(scene.operators), operator, strategy, count);
}

function settling(scene: Scene, random: Random): Step | undefined {
  return steps.settle(scene, random.pick(scene.operators));
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
  const step = steps.rollTo(scene, edge.block, random.int(3) - 1, edge.what);
  return random.oneIn(4) ? step : { ...step, next: edge.next };
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
  const bySlasher = (later: Scene, r: Random, operator: number, set: OperatorSet) =>
    slashBy(later, r, operator, set, [r.pick(all)]);
  return [
    ...scene.view.operators.flatMap(({ queue }, operator) =>
      queue.map((queued) => ({
        block: Number(queued.startBlock) + withdrawal,
        what: "end of a withdrawal's delay",
        // a slash in the last block counts, one behind it does not
        next: (later: Scene, r: Random) =>
          r.oneIn(2)
            ? slashOf(later, r, operator, Number(queued.strategyIndex))
            : steps.complete(later, operator, queued, !r.oneIn(3)),
      })),
    ),
    ...scene.view.operators.flatMap(({ stakes }, operator) =>
      stakes.flatMap(({ allocations }, strategy) =>
        scene.sets.map((set, i) => ({
          block: Number(allocations[i]?.effectBlock ?? 0n),
          what: "end of a deallocation",
          next: (later: Scene, r: Random) =>
            r.pick([
              () => clearingOf(later, r, operator, strategy),
              () => allocationTo(later, r, operator, set),
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
        return slashBy(later, r, pickOperator(later, r), set, [r.pick(all)], actor);
      },
    })),
    ...scene.deregistrations.map(({ block, operator, set }) => ({
      block: block + deallocation,
      what: "end of a former member's liability",
      next: (later: Scene, r: Random) =>
        r.oneIn(3) ? steps.register(later, operator, [set]) : bySlasher(later, r, operator, set),
    })),
  ];
}

function anyNewSlasher(scene: Scene, random: Random): Step {
  const set = random.pick(scene.sets);
  const actor = random.oneIn(6) ? random.pick(scene.sets).avs : set.avs;
  return steps.updateSlasher(scene, set, random.pick(scene.sets).avs, actor);
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
    const shares = random.amount(steps.stake(scene, operator, strategy).withdrawableShares);
    return {
      kind: "view convertToDepositShares",
      text: `operator ${operator}, strategy ${strategy}, ${shares}`,
      actor,
      call: steps.eigen(scene, "delegationManager", "convertToDepositShares", (side) => [
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
    call: steps.eigen(scene, "allocationManager", "getMaxMagnitudesAtBlock", (side) => [
      scene.operators[operator],
      [side.strategies[strategy]],
      block,
    ]),
  };
}

/** Calls that only the account itself may make. */
function actForAnother(scene: Scene, random: Random): Step {
  const operator = index(scene.operators, random);
  const stranger = steps.address(scene.operators, (operator + 1) % scene.operators.length);
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
    call: steps.eigen(scene, "allocationManager", fn, args),
  };
}

/** Operators wear out: a fresh one takes the place of one that has lost nearly everything, now and then of another. */
function replace(scene: Scene, random: Random): Step | undefined {
  const worn = scene.view.operators.findIndex((v) => v.stakes.every((s) => s.maxMagnitude < WAD / 1_000_000n));
  if (worn < 0 && !random.oneIn(4)) return undefined;
  const operator = worn >= 0 ? worn : index(scene.operators, random);
  return { kind: "replace operator", text: `operator ${operator}`, operator };
}
