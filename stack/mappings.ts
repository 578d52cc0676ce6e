/** The mappings' own tests (`subgraph/tests/*.test.json`), run by graph-node itself against a real Postgres. */
import { spawn } from "node:child_process";
import { chmodSync, cpSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findGraphNode, missingGraphNode } from "./graph-node.ts";
import { startPostgres } from "./postgres.ts";
import { startGuardian } from "./process.ts";
import { compileSubgraph, SUBGRAPH } from "./render.ts";
import { StackError } from "./types.ts";

const TIMEOUT_MS = 10 * 60_000;

export interface MappingTests {
  /** Whether every assertion held. */
  readonly passed: boolean;
  /** What gnd has printed: each test with the differences that it found. */
  readonly output: string;
}

/**
 * Runs all of them, or those of the given files (`tests/NAME.test.json`), at the manifest's placeholder addresses. They share
 * graph-node's cache of calls: the same call in a block of the same number and time needs the same answer in every file.
 */
export async function runMappingTests(
  files: readonly string[] = [],
  log: (line: string) => void = () => {},
): Promise<MappingTests> {
  const awake = setInterval(() => {}, 60_000); // compiler, Postgres and guardian keep no process from ending
  try {
    return await run(files, log);
  } finally {
    clearInterval(awake);
  }
}

async function run(files: readonly string[], log: (line: string) => void): Promise<MappingTests> {
  const command = findGraphNode();
  if (command === undefined) throw new StackError(missingGraphNode() ?? "");
  if (!existsSync(join(SUBGRAPH, "tests"))) throw new StackError(`There are no tests in ${SUBGRAPH}.`);
  const compiled = await compileSubgraph({ log });
  const folder = mkdtempSync(join(tmpdir(), "bulkhead-mappings-"));
  chmodSync(folder, 0o755);
  const guardian = startGuardian();
  guardian.folder(folder);
  try {
    cpSync(compiled, folder, { recursive: true });
    cpSync(join(SUBGRAPH, "tests"), join(folder, "tests"), { recursive: true });
    const logFile = join(folder, "postgres.log");
    const postgres = await startPostgres({ folder: join(folder, "database"), logFile, guardian, log });
    try {
      return await new Promise<MappingTests>((resolve, reject) => {
        const child = spawn(command, ["test", "--skip-build", ...files], {
          cwd: folder,
          env: { ...process.env, RUST_LIB_BACKTRACE: "0", POSTGRES_URL: postgres.url },
          stdio: ["ignore", "pipe", "pipe"],
        });
        if (child.pid !== undefined) guardian.watch(child.pid);
        let output = "";
        for (const stream of [child.stdout, child.stderr])
          stream.on("data", (chunk: Buffer) => {
            output += chunk.toString("utf8");
          });
        const timer = setTimeout(() => child.kill("SIGKILL"), TIMEOUT_MS);
        child.once("error", reject);
        child.once("close", (code) => {
          clearTimeout(timer);
          if (child.pid !== undefined) guardian.forget(child.pid);
          resolve({ passed: code === 0, output });
        });
      });
    } finally {
      await postgres.kill();
    }
  } finally {
    await guardian.close();
    rmSync(folder, { recursive: true, force: true });
  }
}
