/**
 * A long life of a tier in a short time: days of random events on a real chain process, a real keeper that does all of the
 * keeper's work through RPCs that fall ill, and that is killed now and then. The same seed makes the same days, except
 * for where in its work a kill finds the keeper.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { randomStream } from "../../economics/random.ts";
import { BLOCKS_A_DAY, mine } from "../../test/integration/world.ts";
import { type FaultProxy, startProxy } from "../../test/keeper/proxy.ts";
import { curatorDay, Dice, lidoDay, operatorsDay, PEOPLE, TROUBLE } from "./events.ts";
import { blackout, heal, sicken } from "./faults.ts";
import { KeeperProcess } from "./process.ts";
import { type Findings, Promises, percent } from "./promises.ts";
import { openStage, type Stage } from "./stage.ts";

export interface SimulationOptions {
  /** One after the other, in the same tier. */
  readonly seeds: readonly { readonly seed: number; readonly days: number }[];
  readonly agents: number;
  readonly setsPerAgent: number;
  /** Chances in a moment; by default 0.03 and 0.1. */
  readonly kills?: number;
  readonly faults?: number;
  /** People's events, and those of AVSs and guardian, so many times as often. */
  readonly pace?: number;
  readonly trouble?: number;
  readonly log?: (line: string) => void;
}

export interface Report extends Findings {
  readonly seeds: SimulationOptions["seeds"];
  readonly days: number;
  readonly moments: number;
  readonly events: number;
  readonly kills: number;
  readonly faults: number;
  readonly seconds: number;
  /** Bytes, at the end. */
  readonly memory: number | undefined;
}

const RPCS = 3;
const MOMENTS = 3;
const SETTLE_LIMIT = 120_000;

export async function simulate(options: SimulationOptions): Promise<Report> {
  const begin = Date.now();
  const { log = () => {} } = options;
  const stage = await openStage(options.agents, options.setsPerAgent);
  const proxies: FaultProxy[] = [];
  let keeper: KeeperProcess | undefined;
  const promises = new Promises(stage);
  const run = { seed: 0, day: 0, moments: 0, events: 0, kills: 0, faults: 0 };
  const recent: string[] = [];
  const tell = (line: string) => {
    recent.push(`day ${run.day}: ${line}`);
    if (recent.length > 30) recent.shift();
    log(`day ${run.day}: ${line}`);
  };
  try {
    for (let i = 0; i < RPCS; i++) proxies.push(await startProxy(stage.world.chain.url));
    const { provider } = stage.world;
    keeper = await KeeperProcess.open({ provider, rpc: proxies.map(({ url }) => url), deployment: stage.deployment });
    await keeper.start();
    const scene = { stage, keeper, proxies, promises, run, tell, options };
    for (const { seed, days } of options.seeds)
      for (let i = 1; i <= days; i++) {
        run.day++;
        run.seed = seed;
        await day(scene, new Dice(randomStream(seed, i)));
      }
    return {
      ...promises.findings(),
      seeds: options.seeds,
      days: run.day,
      moments: run.moments,
      events: run.events,
      kills: run.kills,
      faults: run.faults,
      seconds: Math.round((Date.now() - begin) / 1_000),
      memory: keeper.memory(),
    };
  } catch (error) {
    const story = recent.map((line) => `  ${line}`).join("\n");
    const words = error instanceof Error ? (error.stack ?? error.message) : String(error);
    throw new Error(
      `Seed ${run.seed}, day ${run.day}: ${words}\nBefore it:\n${story}\nThe keeper's last words:\n${keeper?.lastWords() ?? ""}`,
    );
  } finally {
    await keeper?.close();
    promises.close();
    for (const proxy of proxies) await proxy.close();
    await stage.world.close();
  }
}

interface Scene {
  readonly stage: Stage;
  readonly keeper: KeeperProcess;
  readonly proxies: readonly FaultProxy[];
  readonly promises: Promises;
  readonly run: { seed: number; day: number; moments: number; events: number; kills: number; faults: number };
  readonly tell: (line: string) => void;
  readonly options: SimulationOptions;
}

async function day(scene: Scene, dice: Dice): Promise<void> {
  const { stage, tell, run } = scene;
  const parts = dice.whole(1, MOMENTS);
  const cuts = Array.from({ length: parts - 1 }, () => dice.whole(1, BLOCKS_A_DAY - 1)).sort((a, b) => a - b);
  let at = 0;
  for (const end of [...cuts, BLOCKS_A_DAY]) {
    if (end > at) await mine(stage.world, end - at);
    at = end;
    const last = end === BLOCKS_A_DAY;
    const wound = await befall(scene, dice);
    if (last) {
      for (const line of await lidoDay(stage, dice)) tell(line);
      for (const line of await curatorDay(stage, dice)) tell(line);
      await operatorsDay(stage, dice);
    }
    const { pace = 1, trouble = 1 } = scene.options;
    for (const { event, aDay, times } of [
      ...PEOPLE.map((one) => ({ ...one, times: pace })),
      ...TROUBLE.map((one) => ({ ...one, times: trouble })),
    ]) {
      if (!dice.chance((aDay * times) / parts)) continue;
      const told = await event(stage, dice);
      if (told === undefined) continue;
      run.events++;
      tell(told);
    }
    await wound();
    await settle(scene, dice);
    await scene.promises.check(last);
    run.moments++;
  }
}

/** Perhaps an RPC falls ill, or all of them; what it returns is done once the moment's events are over. */
async function befall({ proxies, tell, run, options }: Scene, dice: Dice): Promise<() => Promise<void>> {
  if (!dice.chance(options.faults ?? 0.1)) return async () => {};
  run.faults++;
  if (dice.chance(0.2)) {
    tell("no RPC answers for a moment");
    return () => blackout(proxies, 300);
  }
  tell(await sicken(proxies, dice));
  return async () => {};
}

/** The keeper does what there is to do, and is perhaps killed in the middle of it. */
async function settle({ stage, keeper, proxies, tell, run, options }: Scene, dice: Dice): Promise<void> {
  if (dice.chance(options.kills ?? 0.03)) {
    await sleep(dice.whole(0, 250));
    await keeper.kill();
    run.kills++;
    tell("the keeper is killed");
    heal(proxies); // it refuses to start with an RPC of another chain, and says so
    await keeper.start();
  }
  await keeper.settle(SETTLE_LIMIT, () => mine(stage.world, 1));
  heal(proxies);
}

export function tell(report: Report): string {
  const eth = (wei: bigint) => (Number(wei / 10n ** 14n) / 1e4).toFixed(2);
  return [
    `${report.days} days (${report.seeds.map(({ seed }) => `seed ${seed}`).join(", ")}) in ${report.seconds} s: every promise held in ${report.checks} looks`,
    `  ${report.events} events, ${report.slashes} slashes, ${eth(report.losses)} ETH lost, U at most ${percent(report.highest)}`,
    `  ${report.kills} kills of the keeper, ${report.faults} ill RPCs`,
    `  longest without cover: ${report.longestUncovered} days`,
    `  ${report.exitsServed} exits served, ${report.exitsReturned} returned by a retirement; longest waits: senior ${report.longestSeniorWait} days, junior ${report.longestJuniorWait} days`,
    ...(report.memory === undefined ? [] : [`  the keeper's memory at the end: ${Math.round(report.memory / 1e6)} MB`]),
  ].join("\n");
}
