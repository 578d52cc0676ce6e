/**
 * Runs the same seeded random operations against two EigenLayer deployments on one chain and compares them after every
 * step: outcome, returned data, name of the revert, events, and the whole visible state (see contracts/Twins.sol).
 */
import type { JsonRpcProvider } from "ethers";
import type { EigenLayerContract, EigenLayerDeployment } from "../../deploy/eigenlayer.ts";
import { edgeScript } from "./edges.ts";
import { nextStep } from "./operations.ts";
import { Random } from "./random.ts";
import type { Deregistration, Generator, Operation, Scene, Step } from "./steps.ts";
import { type Call, type OperatorSet, type Outcome, type Side, type Sight, World } from "./world.ts";

const OPERATORS = 3;
const STRATEGIES = 2;
/** Per AVS, the number of strategies of each of its sets. */
const AVSS = [
  [STRATEGIES, 1],
  [STRATEGIES, STRATEGIES],
] as const;
const FUNDS = 10n ** 30n;
const RECENT_STEPS = 12;
const FULL_LOOK = 10;

/** Reverts that are the same refusal under another name: release 1.4's name -> v1.12's. */
export const RENAMED_ERRORS: Readonly<Record<string, string>> = {
  InvalidPermissions: "InvalidCaller",
};

export interface Difference {
  readonly step: number;
  readonly what: readonly string[];
  readonly recent: readonly string[];
  /** What the lens returned on either side, encoded. */
  readonly raw: readonly [string, string];
}

export interface Comparison {
  readonly seed: bigint;
  readonly steps: number;
  /** Kind of operation -> how often it worked and how often it was refused (by both). */
  readonly counts: ReadonlyMap<string, { worked: number; refused: number }>;
  readonly difference: Difference | undefined;
}

export async function compare(
  provider: JsonRpcProvider,
  deployments: readonly [EigenLayerDeployment, EigenLayerDeployment],
  seed: bigint,
  steps: number,
): Promise<Comparison> {
  const random = new Random(seed);
  const world = await World.create(provider, deployments, STRATEGIES);
  const cast = await setUp(world);
  const counts = new Map<string, { worked: number; refused: number }>();
  const recent: string[] = [];

  const differs = (step: number, what: readonly string[], { same, raw }: Sight): Comparison => ({
    seed,
    steps: step,
    counts,
    difference: {
      step,
      what: same ? what : [...what, ...differingLines(world, raw)],
      recent,
      raw,
    },
  });
  let sight = await world.look(cast.operators, cast.sets);
  if (!sight.same) return differs(0, ["The states differ after the set-up."], sight);
  let view = world.decode(sight.raw[0]);
  let block = await world.blockNumber();

  const script = edgeScript();
  let wanted: Generator | undefined;
  for (let step = 1; step <= steps; step++) {
    const scene: Scene = { world, ...cast, view, block };
    const current = scripted(script, scene, random) ?? nextStep(scene, random, wanted);
    wanted = "next" in current ? current.next : undefined;
    recent.push(`${step} (block ${block}) ${current.kind}: ${current.text}`);
    if (recent.length > RECENT_STEPS) recent.shift();
    let problems: readonly string[] = [];
    let worked = true;
    /** Whose state may have changed. */
    let touched: number | undefined;
    if ("blocks" in current) {
      await world.mine(current.blocks);
      block += current.blocks;
    } else if ("call" in current) {
      const [first, second] = await world.both(current.actor, current.call);
      problems = differences(world, current, first, second);
      worked = first.ok && second.ok;
      touched = current.operator;
      block++;
      if (first.ok) remember(world, cast, current, block, first);
    } else {
      cast.operators[current.operator] = await newOperator(world);
      block = await world.blockNumber();
      touched = current.operator;
    }
    count(counts, current.kind, worked);

    // one operator's step changes nothing of another's; all are looked at again when time has passed, and now and then
    const one = step % FULL_LOOK === 0 ? undefined : touched;
    const looked = one === undefined ? cast.operators : cast.operators.slice(one, one + 1);
    sight = await world.look(looked, cast.sets);
    if (problems.length > 0 || !sight.same) return differs(step, problems, sight);
    const seen = world.decode(sight.raw[0]);
    const fresh = (i: number) => (one === undefined ? seen.operators[i] : i === one ? seen.operators[0] : undefined);
    const operators = view.operators.map((operator, i) => fresh(i) ?? operator);
    view = { ...seen, operators };
  }
  return { seed, steps, counts, difference: undefined };
}

/** The next step of the script that has something to do. */
function scripted(script: Generator[], scene: Scene, random: Random): Step | undefined {
  for (let generator = script.shift(); generator; generator = script.shift()) {
    const step = generator(scene, random);
    if (step) return step;
  }
  return undefined;
}

/** The difference for people. */
export function describe(comparison: Comparison): string {
  const { seed, difference } = comparison;
  if (!difference) return `seed ${seed}: ${comparison.steps} steps, no difference`;
  return [
    `seed ${seed}, step ${difference.step}: the deployments differ`,
    ...difference.what.map((line) => `  ${line}`),
    "  the last steps:",
    ...difference.recent.map((line) => `    ${line}`),
  ].join("\n");
}

// ---- the cast

interface Cast {
  readonly operators: string[];
  readonly sets: readonly OperatorSet[];
  readonly deregistrations: Deregistration[];
  unsettled: Scene["unsettled"];
}

async function setUp(world: World): Promise<Cast> {
  const sets: OperatorSet[] = [];
  for (const sizes of AVSS) {
    const avs = await world.newTwin();
    await must(
      world,
      avs,
      eigen(world, "allocationManager", "updateAVSMetadataURI", () => [avs, "local"]),
    );
    await must(
      world,
      avs,
      eigen(world, "allocationManager", "setAVSRegistrar", () => [avs, avs]),
    );
    const params = (side: Side) =>
      sizes.map((size, i) => ({
        operatorSetId: i + 1,
        strategies: side.strategies.slice(0, size),
        slasher: avs,
      }));
    const create = "createOperatorSets(address,(uint32,address[],address)[])";
    await must(
      world,
      avs,
      eigen(world, "allocationManager", create, (side) => [avs, params(side)]),
    );
    sets.push(...sizes.map((_, i) => ({ avs, id: i + 1 })));
  }
  const operators: string[] = [];
  for (let i = 0; i < OPERATORS; i++) operators.push(await newOperator(world));
  return { operators, sets, deregistrations: [], unsettled: undefined };
}

/** An operator with money that may register, allocate and deposit. */
async function newOperator(world: World): Promise<string> {
  const operator = await world.newTwin();
  await must(
    world,
    operator,
    eigen(world, "delegationManager", "registerAsOperator", () => [operator, 0, ""]),
  );
  for (let i = 0; i < STRATEGIES; i++) {
    await must(world, operator, (side) => world.tokenCall(side, i, "mint", FUNDS, operator));
    await must(world, operator, (side) => world.approval(side, i));
  }
  return operator;
}

function eigen(world: World, contract: EigenLayerContract, fn: string, args: (side: Side) => unknown[]) {
  return (side: Side): Call => world.call(side, contract, fn, args(side));
}

async function must(world: World, twin: string, call: (side: Side) => Call): Promise<void> {
  const outcomes = await world.both(twin, call);
  outcomes.forEach((outcome, i) => {
    const side = world.sides[i === 0 ? 0 : 1];
    if (!outcome.ok) throw new Error(`Setting up ${side.name} failed: ${world.revertName(side, outcome.data)}`);
  });
}

/** What later operations aim at. */
function remember(world: World, cast: Cast, operation: Operation, block: number, outcome: Outcome): void {
  if (operation.left && operation.operator !== undefined) {
    cast.deregistrations.push({ block, operator: operation.operator, set: operation.left });
    if (cast.deregistrations.length > 6) cast.deregistrations.shift();
  }
  if (operation.settles) cast.unsettled = undefined;
  if (operation.slashed) {
    const side = world.sides[0];
    const [slashId] = side.deployment.interfaces.allocationManager.decodeFunctionResult("slashOperator", outcome.data);
    cast.unsettled = { set: operation.slashed, slashId };
  }
}

// ---- comparing

function differences(world: World, operation: Operation, first: Outcome, second: Outcome): string[] {
  const [a, b] = world.sides;
  const lines: string[] = [];
  const result = (side: Side, o: Outcome) => (o.ok ? `works, returns ${o.data}` : world.revertName(side, o.data));
  const [left, right] = [result(a, first), result(b, second)];
  const sameRefusal = !first.ok && !second.ok && canonical(left) === canonical(right);
  const sameSuccess = first.ok && second.ok && (operation.opaqueResult || first.data === second.data);
  if (!sameRefusal && !sameSuccess) lines.push(`result: ${a.name}: ${left} | ${b.name}: ${right}`);

  const [eventsA, eventsB] = [first.events, second.events].map((list) =>
    list.filter((event) => world.sharedEvents.has(event.slice(0, event.indexOf("(")))),
  ) as [string[], string[]];
  if (eventsA.join() !== eventsB.join()) {
    const list = (side: Side, events: string[]) => [`events of ${side.name}:`, ...events.map((e) => `  ${e}`)];
    lines.push(...list(a, eventsA), ...list(b, eventsB));
  }
  return lines;
}

function canonical(name: string): string {
  return RENAMED_ERRORS[name] ?? name;
}

function differingLines(world: World, raw: readonly [string, string]): string[] {
  const unreadable = raw.flatMap((text, i) =>
    text.startsWith("0x") ? [] : [`${world.sides[i === 0 ? 0 : 1].name}: ${text}`],
  );
  if (unreadable.length > 0) return unreadable;
  const lines: string[] = [];
  walk(world.decode(raw[0]), world.decode(raw[1]), "", (path, x, y) =>
    lines.push(`state${path}: ${world.sides[0].name}: ${x} | ${world.sides[1].name}: ${y}`),
  );
  return lines;
}

function walk(a: unknown, b: unknown, path: string, report: (path: string, a: string, b: string) => void): void {
  if (a !== null && b !== null && typeof a === "object" && typeof b === "object") {
    for (const key of new Set([...Object.keys(a), ...Object.keys(b)]))
      walk(Reflect.get(a, key), Reflect.get(b, key), `${path}.${key}`, report);
  } else if (a !== b) report(path, String(a), String(b));
}

function count(counts: Map<string, { worked: number; refused: number }>, kind: string, worked: boolean): void {
  const entry = counts.get(kind) ?? { worked: 0, refused: 0 };
  if (worked) entry.worked++;
  else entry.refused++;
  counts.set(kind, entry);
}
