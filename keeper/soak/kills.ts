/**
 * kill -9 at random moments, for as long as one asks: each keeper is killed up to five times, at a step or in the midst of
 * one, and then goes on to the end. Whatever the moments were, the end must be the same as without a kill.
 */
import { parseArgs } from "node:util";
import { randomStream } from "../../economics/random.ts";
import { play, STORY_NAMES } from "../../test/keeper/kill-stories.ts";
import { KillWorld } from "../../test/keeper/kill-world.ts";

const HELP = `npm run soak -- keeper [--minutes N] [--seed N]
  Kills keepers by SIGKILL at random moments while they send, replace, cancel and lose transactions on a real chain
  process, and starts them again. By default 10 minutes and a random seed, which is printed. Ends with 1 at the first
  keeper whose end is not the same as without a kill.
`;

const MOST_KILLS = 5;
/** A story has fewer steps than this; it takes about this long. */
const STEPS = 40;
const MILLISECONDS = 600;
/** Keepers on one chain process. */
const A_CHAIN = 200;

export interface Report {
  readonly seed: number;
  readonly keepers: number;
  readonly kills: number;
  readonly seconds: number;
}

export async function kills(options: {
  readonly minutes: number;
  readonly seed: number;
  readonly log: (line: string) => void;
}): Promise<Report> {
  const { minutes, seed, log } = options;
  const random = randomStream(seed, 0);
  const begin = Date.now();
  const seconds = () => Math.round((Date.now() - begin) / 1_000);
  let [keepers, killed] = [0, 0];
  while (Date.now() - begin < minutes * 60_000) {
    const world = await KillWorld.open();
    try {
      for (let i = 0; i < A_CHAIN && Date.now() - begin < minutes * 60_000; i++) {
        const story = STORY_NAMES[Math.floor(random() * STORY_NAMES.length)] ?? "replacement";
        const setting = await world.setting(story);
        const moments = Array.from({ length: 1 + Math.floor(random() * MOST_KILLS) }, () =>
          random() < 0.5
            ? { step: Math.floor(random() * STEPS) }
            : { milliseconds: Math.floor(random() * MILLISECONDS) },
        );
        try {
          for (const moment of moments) if (await world.killed(setting, moment)) killed++;
          await play(setting, () => {});
          await world.assertGoodEnd(setting);
        } catch (error) {
          log(`Keeper ${keepers + 1} (${story}), killed at ${JSON.stringify(moments)}, with seed ${seed}:`);
          throw error;
        }
        if (++keepers % 20 === 0) log(`${seconds()} s: ${keepers} keepers, ${killed} kills`);
      }
    } finally {
      await world.close();
    }
  }
  return { seed, keepers, kills: killed, seconds: seconds() };
}

export async function main(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: { minutes: { type: "string" }, seed: { type: "string" }, help: { type: "boolean", short: "h" } },
  });
  if (values.help) {
    console.log(HELP);
    return;
  }
  const minutes = Number(values.minutes ?? 10);
  const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
  if (!(minutes > 0)) throw new Error("--minutes is a number above 0.");
  if (!Number.isSafeInteger(seed) || seed < 0) throw new Error("--seed is a whole number from 0 on.");
  console.log(`Seed ${seed}. Kills come at random moments, so a seed repeats the stories and not each result.`);
  const report = await kills({ minutes, seed, log: console.log });
  console.log(
    `${report.keepers} keepers were killed ${report.kills} times in ${report.seconds} s, and each ended as without a kill.`,
  );
}
