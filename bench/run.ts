/** `npm run bench`: measures, compares, writes the page. `--help` says how. */
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { CLASSES } from "./breakdown.ts";
import { measureData } from "./data.ts";
import { compare, type Figure, figureName, reached, type Snapshot, snapshot, toReport, toSnapshot } from "./figures.ts";
import { measureKeeper } from "./keeper.ts";
import type { Measured } from "./meter.ts";
import { HELP, readOptions } from "./options.ts";
import { pageOf } from "./page.ts";
import { full, quick } from "./suite.ts";

const COMMITTED = fileURLToPath(new URL("gas.json", import.meta.url));
const PAGE = fileURLToPath(new URL("../docs/benchmarks.md", import.meta.url));
const ACCEPT = "npm run bench -- --accept";

function committed(): Snapshot {
  try {
    return snapshot.parse(JSON.parse(readFileSync(COMMITTED, "utf8")));
  } catch (error) {
    throw new Error(`bench/gas.json cannot be read (${String(error)}): make it again with "${ACCEPT}".`);
  }
}

function print(figures: readonly Measured[], before: Snapshot): void {
  for (const figure of figures) {
    const name = figureName(figure);
    const was = figure.unit === "gas" ? before[name] : undefined;
    const change =
      was === undefined ? "" : `${figure.value >= was ? "+" : ""}${(((figure.value - was) / was) * 100).toFixed(1)} %`;
    const verdict =
      figure.target === undefined ? "" : `${reached(figure) ? "ok, at most" : "MISSED, at most"} ${figure.target}`;
    const unit = figure.unit === "gas" ? "" : figure.unit;
    console.log(
      `${name.padEnd(52)} ${String(figure.value).padStart(9)} ${unit.padEnd(6)} ${change.padStart(8)}  ${verdict}`,
    );
  }
}

function printBreakdown({ breakdown, ...figure }: Measured): void {
  if (!breakdown) return;
  console.log(`\n${figureName(figure)}: ${breakdown.base} base and calldata, ${breakdown.refund} refunded`);
  const rows = breakdown.lines.map(({ contract, gas, total }) => [contract, { ...gas, total }] as const);
  const all = Object.fromEntries(
    [...CLASSES, "total" as const].map((name) => [name, rows.reduce((sum, [, row]) => sum + row[name], 0)]),
  );
  console.table(Object.fromEntries([...rows, ["all", all]]));
}

function check(before: Snapshot, now: Snapshot): boolean {
  const changes = compare(before, now);
  for (const { name, was, is } of changes) console.error(`${name}: ${was ?? "new"} → ${is ?? "gone"}`);
  if (changes.length > 0)
    console.error(`Gas changed by more than 2 %. If that is meant, run "${ACCEPT}" and commit bench/gas.json.`);
  return changes.length === 0;
}

function checkNames(names: readonly string[], known: Snapshot): void {
  const wrong = names.find((name) => name !== "missed" && !(name in known));
  if (wrong === undefined || Object.keys(known).length === 0) return;
  throw new Error(`There is no figure "${wrong}"; there are: missed,\n  ${Object.keys(known).join("\n  ")}`);
}

async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2));
  if (options.mode === "help") {
    console.log(HELP);
    return 0;
  }
  const before = options.mode === "accept" ? {} : committed();
  checkNames(options.explain, before);
  if (options.json) appendFileSync(options.json, ""); // a path that cannot be written shall not cost the measurement
  const say = (line: string) => console.error(line);
  let figures: readonly Measured[];
  let real: readonly Measured[] = [];
  if (options.mode === "full") {
    if (options.real) real = await full("real", say); // first: without cargo it fails at once, not after minutes
    figures = [...(await full("local", say)), ...(await measureKeeper(say)), ...(await measureData(say))];
    writeFileSync(PAGE, pageOf(figures, options.real ? real : undefined));
    say("docs/benchmarks.md is written.");
  } else if (options.mode === "keeper") {
    figures = await measureKeeper(say);
  } else if (options.mode === "data") {
    figures = await measureData(say);
  } else {
    const explained = (figure: Figure) =>
      options.explain.includes(figureName(figure)) || (options.explain.includes("missed") && reached(figure) === false);
    figures = await quick(explained);
  }
  print(figures, before);
  if (options.mode !== "full") figures.forEach(printBreakdown); // of the whole run they are on the page
  if (options.json) {
    const onReal = toReport(real).map((entry) => ({ ...entry, name: `${entry.name}, real EigenLayer` }));
    writeFileSync(options.json, `${JSON.stringify([...toReport(figures), ...onReal], null, 2)}\n`);
  }
  if (options.mode === "accept") writeFileSync(COMMITTED, `${JSON.stringify(toSnapshot(figures), null, 2)}\n`);
  return options.mode === "check" && !check(before, toSnapshot(figures)) ? 1 : 0;
}

// what is waited for may hold nothing that keeps the process
const awake = setInterval(() => {}, 60_000);
try {
  process.exitCode = await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
} finally {
  clearInterval(awake);
}
