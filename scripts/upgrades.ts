/**
 * Whether the contracts behind the beacons may be upgraded to what is in this tree: OpenZeppelin's validation of every
 * implementation, and the comparison of its storage with what the last release put on-chain.
 *
 *   npm run upgrades                      checks
 *   npm run upgrades -- --record 1.0.0    after a release: writes released/1.0.0.json, to be committed
 */
import { spawnSync } from "node:child_process";
import { existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type SolcInput, type SolcOutput, validateUpgradeSafety } from "@openzeppelin/upgrades-core";
import * as z from "zod";
import { IMPLEMENTATIONS, KINDS } from "../deploy/roles.ts";
import { conflicts, layoutsOf, parseRelease, runValidations } from "./lib/layouts.ts";
import { findForge, ROOT } from "./lib/tools.ts";

const FOLDER = join(ROOT, "out-upgrade");
const RELEASES = join(ROOT, "released");
const buildInfo = z.looseObject({
  solcVersion: z.string(),
  input: z.custom<SolcInput>(),
  output: z.custom<SolcOutput>(),
});

/** A clean build with storage layouts, which Hardhat's artifacts lack; a stale one would be read along with it. */
function build(): z.infer<typeof buildInfo> {
  const forge = findForge();
  if (!forge) throw new Error("npm has no forge for this platform: run this on Linux, macOS or Windows (x64, arm64).");
  rmSync(FOLDER, { recursive: true, force: true });
  const folders = ["core", "modules", "periphery"].map((name) => join("contracts", name));
  const options = ["--force", "--build-info", "--extra-output", "storageLayout", "--out", join(FOLDER, "out")];
  const places = ["--build-info-path", join(FOLDER, "build-info"), "--cache-path", join(FOLDER, "cache")];
  const run = spawnSync(forge, ["build", ...folders, ...options, ...places], { cwd: ROOT, encoding: "utf8" });
  if (run.status !== 0) throw new Error(`The contracts do not compile:\n${run.stdout}${run.stderr}`);
  const files = globSync("build-info/*.json", { cwd: FOLDER });
  const [file] = files;
  if (file === undefined || files.length > 1)
    throw new Error(`forge wrote ${files.length} build-infos instead of one.`);
  return buildInfo.parse(JSON.parse(readFileSync(join(FOLDER, file), "utf8")));
}

const qualified = KINDS.map((kind) => `${IMPLEMENTATIONS[kind].file}:${IMPLEMENTATIONS[kind].name}`);

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { record: { type: "string" } } });
  const { input, output, solcVersion } = build();
  const report = await validateUpgradeSafety(join(FOLDER, "build-info"), undefined, undefined, { unsafeAllow: [] });
  console.log(report.explain(process.stdout.isTTY));
  const problems = report.ok ? [] : ["OpenZeppelin's validation refuses an implementation (above)."];
  // It recognises upgradeable contracts by their shape; one that it overlooks must not pass for a safe one.
  const seen = new Set(report.upgradeableContractReports.map(({ contract }) => contract));
  for (const name of qualified)
    if (!seen.has(name)) problems.push(`${name} is behind a beacon, and the validation did not recognise it.`);

  const layouts = layoutsOf(runValidations(input, output, solcVersion), qualified);
  for (const [name, layout] of Object.entries(layouts))
    if (Object.keys(layout.namespaces ?? {}).length === 0 || layout.storage.length > 0)
      problems.push(`${name}: an implementation keeps its state in ERC-7201 namespaces, and in nothing else.`);

  const files = existsSync(RELEASES) ? globSync("*.json", { cwd: RELEASES }).sort() : [];
  for (const file of files) {
    const release = parseRelease(readFileSync(join(RELEASES, file), "utf8"), file);
    for (const reason of conflicts(release.contracts, layouts))
      problems.push(`Storage does not follow release ${release.version}: ${reason}`);
    console.log(
      `Storage compared with release ${release.version}: ${Object.keys(release.contracts).length} contracts.`,
    );
  }
  if (files.length === 0)
    console.log(
      "There is no release yet, so there is no storage to keep. After the first one: npm run upgrades -- --record VERSION",
    );

  for (const problem of problems) console.error(problem);
  if (problems.length > 0) {
    process.exitCode = 1;
    return;
  }
  if (values.record === undefined) return;
  if (!/^\d+\.\d+\.\d+$/.test(values.record)) throw new Error(`"${values.record}" is not a version like 1.0.0.`);
  const file = join(RELEASES, `${values.record}.json`);
  if (existsSync(file)) throw new Error(`${file} exists: a release is recorded once and never again.`);
  mkdirSync(RELEASES, { recursive: true });
  writeFileSync(file, `${JSON.stringify({ version: values.record, contracts: layouts }, null, 2)}\n`);
  console.log(`Wrote ${file}: commit it.`);
}

await main();
