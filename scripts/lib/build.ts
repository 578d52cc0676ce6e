/** Compiles the contracts with Hardhat, and only when something that matters has changed. */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { HARDHAT, ROOT } from "./tools.ts";

const STAMP = join(ROOT, "artifacts", ".build.json");
const INPUTS = [
  "contracts/**/*.sol",
  "hardhat.config.ts",
  "remappings.txt",
  "package-lock.json",
  "scripts/soljson.cjs",
];

function fingerprint(): string {
  const hash = createHash("sha256");
  for (const file of globSync(INPUTS, { cwd: ROOT }).sort())
    hash
      .update(file)
      .update("\0")
      .update(readFileSync(join(ROOT, file)));
  return hash.digest("hex");
}

function lastBuild(): string | undefined {
  try {
    return readFileSync(STAMP, "utf8");
  } catch {
    return undefined;
  }
}

/** Resolves with false when everything was up to date (a few milliseconds; starting Hardhat to learn it takes 2 s). */
export async function buildContracts(): Promise<boolean> {
  const now = fingerprint();
  if (lastBuild() === now) return false;
  rmSync(STAMP, { force: true });
  // Contracts only: the tests are built where they are run. Warnings are `npm test`'s business, not a first visitor's.
  const child = spawn(process.execPath, [HARDHAT, "build", "--no-tests"], {
    cwd: ROOT,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let printed = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => {
      printed += chunk.toString("utf8");
    });
  }
  const code = await new Promise<number | null>((resolve, reject) => child.on("close", resolve).on("error", reject));
  if (code !== 0) throw new Error(`The contracts do not compile:\n${printed}`);
  mkdirSync(join(ROOT, "artifacts"), { recursive: true });
  writeFileSync(STAMP, now);
  return true;
}
