/**
 * `npm run test:eigenlayer`: everything that is checked against EigenLayer's real bytecode.
 *
 *   node test/eigenlayer/run.ts [--seed N] [--seeds N] [--steps N] [--only compare,integration,scenario]
 *
 * Ends with a line of counts. Exit codes: 0 all passed, 1 something failed, 77 skipped because there is no cargo.
 */
import { spawn } from "node:child_process";
import { existsSync, globSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import { JsonRpcProvider, type JsonRpcSigner } from "ethers";
import * as z from "zod";
import {
  deployLocalEigenLayer,
  type EigenLayerDelays,
  type EigenLayerDeployment,
  LOCAL_EIGENLAYER,
  MAINNET_DELAYS,
} from "../../deploy/eigenlayer.ts";
import { startChain } from "../../scripts/chain.ts";
import { buildContracts } from "../../scripts/lib/build.ts";
import { readCounts } from "../../scripts/lib/counts.ts";
import { ROOT } from "../../scripts/lib/tools.ts";
import { type Comparison, compare, describe } from "./compare.ts";
import { compile, pick } from "./compile.ts";
import { cargoAvailable, prepareCore } from "./crate.ts";
import { deployRealEigenLayer, WITNESS } from "./deploy.ts";

const SKIPPED = 77;
const PARTS = ["compare", "integration", "scenario"] as const;
/** Tests that are about AccessManager and Safes: EigenLayer has no part in them. */
const ABOUT_ROLES = ["handover", "roles", "safe"];

const options = z
  .object({
    seed: z.coerce.bigint().optional(),
    seeds: z.coerce.number().int().min(1).default(3),
    steps: z.coerce.number().int().min(1).default(1000),
    only: z
      .string()
      .transform((text) => text.split(","))
      .pipe(z.array(z.enum(PARTS)))
      .default([...PARTS]),
  })
  .parse(
    parseArgs({
      options: {
        seed: { type: "string" },
        seeds: { type: "string" },
        steps: { type: "string" },
        only: { type: "string" },
      },
    }).values,
  );

let passed = 0;
let failed = 0;
/** Runs one named check; what it returns is printed behind its name. */
async function check(name: string, body: () => Promise<string>): Promise<void> {
  const begin = performance.now();
  try {
    const note = await body();
    passed++;
    say(`ok   ${name}${note === "" ? "" : `: ${note}`} (${seconds(begin)})`);
  } catch (error) {
    failed++;
    say(`FAIL ${name} (${seconds(begin)})\n${error instanceof Error ? error.message : String(error)}`);
  }
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

const seconds = (begin: number): string => `${((performance.now() - begin) / 1000).toFixed(1)} s`;

if (!cargoAvailable()) {
  say("SKIPPED: EigenLayer's real bytecode was NOT tested, because there is no cargo on the PATH.");
  say("It comes from a Rust package; install Rust (https://rustup.rs) and run this again.");
  say("0 passed, 0 failed");
  process.exit(SKIPPED);
}

await check("the package yields every contract of the core", async () => {
  const core = prepareCore(say);
  return `${Object.keys(core).length} contracts`;
});
if (failed === 0) {
  if (options.only.includes("compare")) await comparisons();
  if (options.only.some((part) => part !== "compare")) await buildContracts();
  if (options.only.includes("integration")) await integration();
  if (options.only.includes("scenario")) await scenario();
}
say(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);

/** Stand-in against real bytecode; each seed has a chain of its own, so that two cores do two at a time. */
async function comparisons(): Promise<void> {
  const first = options.seed ?? 1n;
  const seeds = Array.from({ length: options.seed === undefined ? options.seeds : 1 }, (_, i) => first + BigInt(i));
  const files = globSync(`${LOCAL_EIGENLAYER}/*.sol`, { cwd: ROOT }).sort();
  const compiled = compile("local", files);
  const local = (signer: JsonRpcSigner, delays: EigenLayerDelays = MAINNET_DELAYS) =>
    deployLocalEigenLayer(signer, { delays, artifacts: (name) => pick(compiled, name) });

  await check("the comparison notices a deallocation that ends one block early", async () => {
    const early = { ...MAINNET_DELAYS, deallocation: MAINNET_DELAYS.deallocation - 1 };
    const result = await onFreshChain((signer) => Promise.all([local(signer), local(signer, early)]), first, 1000);
    if (!result.difference) throw new Error(`Not noticed in ${result.steps} steps.`);
    return `in step ${result.difference.step}`;
  });

  const total = new Map<string, { worked: number; refused: number }>();
  const waiting = [...seeds];
  const worker = async (): Promise<void> => {
    for (let seed = waiting.shift(); seed !== undefined; seed = waiting.shift()) {
      const current = seed;
      await check(`stand-in and real bytecode agree under seed ${current}`, async () => {
        const pair = async (signer: JsonRpcSigner) =>
          [await deployRealEigenLayer(signer), await local(signer)] as const;
        const result = await onFreshChain(pair, current, options.steps);
        for (const [kind, { worked, refused }] of result.counts) {
          const sum = total.get(kind) ?? { worked: 0, refused: 0 };
          total.set(kind, { worked: sum.worked + worked, refused: sum.refused + refused });
        }
        if (result.difference) throw new Error(`${describe(result)}\n${keep(result)}`);
        return `${result.steps} steps`;
      });
    }
  };
  await Promise.all(Array.from({ length: Math.min(availableParallelism(), 2, seeds.length) }, worker));

  const kinds = [...total].map(([kind, { worked, refused }]) => `${kind} ${worked}/${worked + refused}`);
  say(`     steps that worked: ${kinds.join(", ")}`);
  await check("every kind of step worked somewhere", async () => {
    // acting for another is there to be refused; short runs need not reach everything
    const never = [...total].flatMap(([kind, { worked }]) =>
      worked === 0 && kind !== "act for another" ? [kind] : [],
    );
    if (never.length > 0 && options.steps * seeds.length >= 1000) throw new Error(`Never: ${never.join(", ")}`);
    return "";
  });
}

async function onFreshChain(
  deploy: (signer: JsonRpcSigner) => Promise<readonly [EigenLayerDeployment, EigenLayerDeployment]>,
  seed: bigint,
  steps: number,
): Promise<Comparison> {
  const chain = await startChain();
  const provider = new JsonRpcProvider(chain.url, 31_337, { staticNetwork: true, batchMaxCount: 1, cacheTimeout: -1 });
  try {
    return await compare(provider, await deploy(await provider.getSigner(0)), seed, steps);
  } finally {
    provider.destroy();
    await chain.stop();
  }
}

/** Writes both states where they can be read in full. */
function keep(result: Comparison): string {
  const file = join(ROOT, ".eigenlayer", `difference-seed-${result.seed}.json`);
  const text = JSON.stringify(result.difference, (_, v) => (typeof v === "bigint" ? String(v) : v), 2);
  writeFileSync(file, text);
  return `Both states: ${file}\nAgain: node test/eigenlayer/run.ts --only compare --seed ${result.seed} --steps ${result.steps}`;
}

/** The integration tests again, on the real bytecode: they ask `deployEigenLayer`, which follows the variable. */
async function integration(): Promise<void> {
  const files = globSync("test/integration/**/*.test.ts", { cwd: ROOT })
    .filter((file) => !ABOUT_ROLES.includes(basename(file, ".test.ts")))
    .sort();
  if (files.length === 0) return say("     there are no integration tests to run on the real bytecode");
  const flags = ["--disable-warning=ExperimentalWarning", "--test", "--test-concurrency=1", "--test-reporter=spec"];
  await check("the integration tests pass on the real bytecode", async () => {
    const { printed, end } = await child([...flags, ...files]);
    const counts = readCounts("node", printed);
    passed += counts?.passed ?? 0;
    failed += counts?.failed ?? 0;
    if (end !== "") throw new Error(`They ${end}; see above.`);
    if (!counts || counts.passed === 0) throw new Error("They printed no counts.");
    return `${counts.passed} tests`;
  });
}

/** The default scenario again, on the real bytecode. */
async function scenario(): Promise<void> {
  if (!existsSync(join(ROOT, "scripts/start.ts"))) return say("     there is no scenario to run on the real bytecode");
  await check("the default scenario holds on the real bytecode", async () => {
    const { end } = await child(["--disable-warning=ExperimentalWarning", "scripts/start.ts", "--eigenlayer", "real"]);
    if (end !== "") throw new Error(`It ${end}; see above.`);
    return "";
  });
}

/** Runs Node with the real bytecode chosen; `end` is empty where it ended well and really used it. */
function child(args: readonly string[]): Promise<{ printed: string; end: string }> {
  const witness = join(ROOT, ".eigenlayer", `used-${process.pid}`);
  rmSync(witness, { force: true });
  const running = spawn(process.execPath, args, {
    cwd: ROOT,
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, BULKHEAD_EIGENLAYER: "real", [WITNESS]: witness },
  });
  let printed = "";
  running.stdout.on("data", (chunk: Buffer) => {
    printed += chunk.toString("utf8");
    process.stdout.write(chunk);
  });
  return new Promise((resolve, reject) => {
    running.on("error", reject);
    running.on("close", (code, signal) => {
      const used = existsSync(witness);
      rmSync(witness, { force: true });
      const end = code !== 0 ? `ended with ${signal ?? `exit code ${code}`}` : used ? "" : "used the stand-in";
      resolve({ printed, end });
    });
  });
}
