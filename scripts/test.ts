/**
 * `npm test`: every check of the project, stage by stage, and one line of counts at the end.
 *
 *   npm test                        all stages
 *   npm test -- --list              what there is
 *   npm test -- --only lint,build   some stages (contracts are built where needed)
 *
 * Stages run one after another with live output. forge compiles on its own, so it runs beside them from the start and
 * shows its output in its turn.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, globSync } from "node:fs";
import { delimiter, join } from "node:path";
import { parseArgs } from "node:util";
import { findGraphNode } from "../stack/graph-node.ts";
import { buildContracts } from "./lib/build.ts";
import { add, type Counts, type Format, NONE, readCounts, sentence } from "./lib/counts.ts";
import { BIOME, findForge, HARDHAT, ROOT, SOLHINT, TSC } from "./lib/tools.ts";

interface Step {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** How the step reports its tests; without it, the step is one check that its exit code decides. */
  readonly format?: Format;
}

interface Stage {
  readonly name: string;
  readonly about: string;
  /** A reason to leave the stage out, said loudly and counted as skipped. */
  readonly skip?: string | undefined;
  /** Runs from the start, beside the others. */
  readonly aside?: boolean;
  readonly steps: readonly Step[];
}

interface Result {
  readonly counts: Counts;
  readonly seconds: number;
  readonly note?: string;
}

const QUIET = "--disable-warning=ExperimentalWarning"; // for older 22s, which warn about TypeScript
const STEP_TIMEOUT_MS = 40 * 60_000;
const color = process.stdout.isTTY
  ? (code: number, text: string) => `\x1b[${code}m${text}\x1b[0m`
  : (_: number, text: string) => text;

const nodeStep = (name: string, ...args: string[]): Step => ({ name, command: process.execPath, args });

function nodeTests(pattern: string, beside = 1): { steps: Step[] } {
  const files = globSync(pattern, { cwd: ROOT }).sort();
  // One file after another, as a rule: the integration tests each keep a chain busy, and two cores are all that CI has.
  const args = [QUIET, "--test", `--test-concurrency=${beside}`, "--test-reporter=spec", ...files];
  if (files.length === 0) throw new Error(`There is no ${pattern}: the checkout is not whole. Clone it again.`);
  return {
    steps: [{ name: pattern, command: process.execPath, args, format: "node" }],
  };
}

function onPath(program: string): boolean {
  const names = process.platform === "win32" ? [`${program}.exe`, `${program}.cmd`] : [program];
  return (process.env.PATH ?? "")
    .split(delimiter)
    .some((folder) => names.some((name) => existsSync(join(folder, name))));
}

function stages(): Stage[] {
  const forge = findForge();
  const noForge = forge ? undefined : `npm has no forge for ${process.platform} ${process.arch}`;
  return [
    {
      name: "lint",
      about: "format, linters and types of both languages, and the lockfile",
      steps: [
        nodeStep("biome", BIOME, "check", "--error-on-warnings"),
        ...(forge ? [{ name: "forge fmt", command: forge, args: ["fmt", "--check"] }] : []),
        nodeStep("solhint", SOLHINT, "--disc", "--noPoster", "contracts/**/*.sol", "test/**/*.sol"),
        nodeStep("types", TSC, "--noEmit"),
        nodeStep("lockfile", join("scripts", "lockfile.ts")),
      ],
    },
    {
      name: "forge",
      about: "the Solidity tests under native forge",
      aside: true,
      skip: noForge,
      steps: [{ name: "forge test", command: forge ?? "forge", args: ["test"], format: "forge" }],
    },
    {
      name: "build",
      about: "Hardhat's build, sizes (EIP-170) and NatSpec",
      steps: [
        nodeStep("hardhat build", HARDHAT, "build"),
        nodeStep("contracts", join("scripts", "check-contracts.ts")),
      ],
    },
    {
      name: "solidity",
      about: "the Solidity tests under Hardhat",
      steps: [
        {
          ...nodeStep("hardhat test solidity", HARDHAT, "test", "solidity", "--network", "default"),
          format: "hardhat",
        },
      ],
    },
    {
      name: "upgrades",
      about: "whether the implementations may stand behind the beacons",
      skip: noForge,
      steps: [nodeStep("upgrades", QUIET, join("scripts", "upgrades.ts"))],
    },
    { name: "scripts", about: "tests of the tools", ...nodeTests("test/scripts/**/*.test.ts") },
    { name: "drops", about: "who gets what of a Merkle drop", ...nodeTests("test/drops/**/*.test.ts") },
    { name: "model", about: "the mirror of the maths against the contracts", ...nodeTests("test/model/**/*.test.ts") },
    {
      name: "economics",
      about: "the curator's calculation: needed junior, returns, simulation",
      ...nodeTests("test/economics/**/*.test.ts"),
    },
    { name: "scenarios", about: "the scenario's reader and schema", ...nodeTests("test/scenario/**/*.test.ts") },
    {
      name: "integration",
      about: "the protocol on a real chain process",
      ...nodeTests("test/integration/**/*.test.ts"),
    },
    {
      name: "data",
      about: "the subgraph and its gateway on real graph-node and Postgres",
      skip: findGraphNode() ? undefined : `npm has no graph-node for ${process.platform} ${process.arch}`,
      ...nodeTests("test/data/**/*.test.ts", 2),
    },
    // most of the time these wait: for blocks, deadlines and processes that die
    { name: "keeper", about: "the keeper: plan, journal, faults, kills", ...nodeTests("test/keeper/**/*.test.ts", 2) },
    {
      name: "gas",
      about: "the gas of each operation against the committed figures (bench/gas.json)",
      steps: [nodeStep("gas", QUIET, join("bench", "run.ts"), "--check")],
    },
    {
      name: "deployment",
      about: "checks, dry run, deployment and resumption on a chain process",
      ...nodeTests("test/deployment/**/*.test.ts"),
    },
    {
      name: "eigenlayer",
      about: "stand-in and scenario against EigenLayer's real bytecode (needs cargo)",
      skip: onPath("cargo")
        ? undefined
        : "cargo is not on the PATH; install Rust (https://rustup.rs) to run EigenLayer's real bytecode",
      steps: [{ ...nodeStep("real bytecode", QUIET, join("test", "eigenlayer", "run.ts")), format: "sentence" }],
    },
    {
      name: "start",
      about: "npm start: the default scenario",
      steps: [nodeStep("scenario", QUIET, join("scripts", "start.ts"))],
    },
  ];
}

const children = new Set<ChildProcess>();

function execute(step: Step, write: (text: string) => void): Promise<Counts> {
  return new Promise((resolve) => {
    let printed = "";
    const child = spawn(step.command, step.args, {
      cwd: ROOT,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...(process.stdout.isTTY ? { FORCE_COLOR: "1" } : {}) },
    });
    children.add(child);
    const take = (chunk: Buffer) => {
      const text = chunk.toString("utf8");
      printed += text;
      write(text);
    };
    child.stdout.on("data", take);
    child.stderr.on("data", take);
    const timer = setTimeout(() => {
      write(`\n${step.name}: stopped after ${STEP_TIMEOUT_MS / 60_000} minutes\n`);
      child.kill("SIGKILL");
    }, STEP_TIMEOUT_MS);
    const end = (ok: boolean) => {
      clearTimeout(timer);
      children.delete(child);
      const read = step.format && readCounts(step.format, printed);
      // A tool that fails without a failed test, or reports nothing at all, is a failure of its own.
      if (read) resolve(ok || read.failed > 0 ? read : add(read, { ...NONE, failed: 1 }));
      else resolve(ok && !step.format ? { ...NONE, passed: 1 } : { ...NONE, failed: 1 });
    };
    child.once("error", (error) => {
      write(`${step.name}: ${error.message}\n`);
      end(false);
    });
    child.once("close", (code) => end(code === 0));
  });
}

async function runStage(stage: Stage, write: (text: string) => void): Promise<Result> {
  const begin = performance.now();
  let counts = NONE;
  const failed: string[] = [];
  for (const step of stage.steps) {
    const done = await execute(step, write);
    if (done.failed > 0) failed.push(step.name);
    counts = add(counts, done);
  }
  const seconds = (performance.now() - begin) / 1000;
  return failed.length > 0 ? { counts, seconds, note: `see ${failed.join(", ")} above` } : { counts, seconds };
}

function choose(all: readonly Stage[]): Stage[] {
  const { values } = parseArgs({
    options: { only: { type: "string" }, list: { type: "boolean" }, help: { type: "boolean" } },
  });
  if (values.list || values.help) {
    console.log("npm test -- --only STAGE[,STAGE...]");
    for (const stage of all) console.log(`  ${stage.name.padEnd(12)} ${stage.about}`);
    process.exit(0);
  }
  if (values.only === undefined) return [...all];
  const names = values.only.split(",").map((name) => name.trim());
  const unknown = names.find((name) => !all.some((stage) => stage.name === name));
  if (unknown !== undefined) {
    console.error(`There is no stage "${unknown}"; there are: ${all.map((stage) => stage.name).join(", ")}.`);
    process.exit(2);
  }
  return all.filter((stage) => names.includes(stage.name));
}

async function main(): Promise<void> {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => {
      for (const child of children) child.kill(signal);
      process.exit(130);
    });
  }
  const begin = performance.now();
  const chosen = choose(stages());
  const live = (text: string) => process.stdout.write(text);

  const builds = (name: string) => ["build", "solidity"].includes(name);
  if (
    !chosen.some(({ name }) => builds(name)) &&
    chosen.some(({ name }) => !["lint", "forge", "scripts", "upgrades", "economics"].includes(name))
  ) {
    await buildContracts(); // TypeScript stages chosen alone read artifacts
  }

  const aside = new Map<Stage, { result: Promise<Result>; held: string[] }>();
  for (const stage of chosen) {
    if (!stage.aside || stage.skip) continue;
    const held: string[] = [];
    aside.set(stage, { held, result: runStage(stage, (text) => held.push(text)) });
  }

  const results = new Map<Stage, Result>();
  // What runs beside is shown when its neighbours are through: by then it has mostly ended.
  const order = [...chosen.filter((stage) => !aside.has(stage)), ...aside.keys()];
  const place = order.findIndex((stage) => stage.name === "solidity");
  if (place >= 0) order.splice(place + 1, 0, ...order.splice(order.length - aside.size, aside.size));

  for (const stage of order) {
    console.log(color(1, `\n━━ ${stage.name}: ${stage.about}`));
    if (stage.skip) {
      console.log(color(33, `SKIPPED: ${stage.skip}`));
      results.set(stage, { counts: { ...NONE, skipped: 1 }, seconds: 0, note: `SKIPPED: ${stage.skip}` });
      continue;
    }
    const beside = aside.get(stage);
    const result = beside ? await beside.result : await runStage(stage, live);
    for (const text of beside?.held ?? []) live(text);
    results.set(stage, result);
    console.log(
      color(
        result.counts.failed > 0 ? 31 : 32,
        `── ${stage.name}: ${sentence(result.counts)} (${result.seconds.toFixed(1)} s)`,
      ),
    );
  }

  console.log(color(1, "\n━━ Summary"));
  let total = NONE;
  for (const [stage, { counts, seconds, note }] of results) {
    const mark = counts.failed > 0 ? color(31, "✗") : stage.skip ? color(33, "–") : color(32, "✓");
    console.log(
      `${mark} ${stage.name.padEnd(12)} ${sentence(counts).padEnd(36)} ${seconds.toFixed(1).padStart(6)} s  ${note ?? ""}`,
    );
    total = add(total, counts);
  }
  console.log(`in ${((performance.now() - begin) / 1000).toFixed(0)} s`);
  console.log(sentence(total));
  process.exitCode = total.failed > 0 ? 1 : 0;
}

await main();
