/** `npm run soak`: tests that take as long as one lets them. */
import { parseArgs } from "node:util";

const HELP = `npm run soak -- simulation [--days N] [--seed N] [--agents N] [--sets N] [--trouble N]
  Random days of a tier with people, yields, slashes, misbehaving AVSs, sick RPCs and a keeper that is killed now and
  then; after each moment every promise is checked. By default 365 days and a random seed, which is printed.
  --trouble: slashes and misbehaviour so many times as often.

npm run soak -- keeper [OPTIONS]
  Kills the keeper at random moments of a transaction; its own --help says more.
`;

const [what, ...args] = process.argv.slice(2);

async function simulation(): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      days: { type: "string", default: "365" },
      seed: { type: "string", default: String(Math.floor(Math.random() * 2 ** 31)) },
      agents: { type: "string", default: "3" },
      sets: { type: "string", default: "4" },
      trouble: { type: "string", default: "1" },
    },
  });
  const number = (name: keyof typeof values, least: number): number => {
    const n = Number(values[name]);
    if (!Number.isInteger(n) || n < least) throw new Error(`--${name} is a whole number from ${least} on.`);
    return n;
  };
  const { simulate, tell } = await import("../keeper/soak/simulation.ts");
  const report = await simulate({
    seeds: [{ seed: number("seed", 0), days: number("days", 1) }],
    agents: number("agents", 2),
    setsPerAgent: number("sets", 2),
    trouble: number("trouble", 0),
    log: console.log,
  });
  console.log(tell(report));
}

async function keeper(): Promise<void> {
  const file = "../keeper/soak/kills.ts";
  const { main } = (await import(file)) as { main(args: readonly string[]): Promise<void> };
  await main(args);
}

try {
  if (what === "simulation") await simulation();
  else if (what === "keeper") await keeper();
  else {
    console.log(HELP);
    if (what !== undefined && what !== "--help") process.exitCode = 2;
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
process.exit();
