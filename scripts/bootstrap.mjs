/**
 * Runs a script of this project on a machine that has nothing but Node 18 or newer, npm and git.
 *
 *   node scripts/bootstrap.mjs scripts/start.ts [arguments...]
 *
 * Hardhat needs Node 22, and so do our TypeScript files, which Node runs as they are. So: find a Node 22, or let npm
 * bring one (beside the machine's own, which stays as it is); install the locked packages with it, once for each state
 * of the lockfile; run the script with it. Plain JavaScript without any dependency, because nothing is there yet.
 */
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, lstatSync, mkdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const NODE_VERSION = "22.23.3";
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const modules = join(root, "node_modules");
// Written after a finished install only: a killed one leaves no stamp, and the next run installs again.
const stampFile = join(modules, ".bulkhead.json");
const windows = process.platform === "win32";

const say = (text) => process.stderr.write(`bulkhead: ${text}\n`);
const seconds = (since) => `${Math.round((Date.now() - since) / 1000)} s`;

function fail(problem, advice) {
  say(`${problem}\n          ${advice}`);
  process.exit(1);
}

/** Runs TypeScript without flags and satisfies Hardhat: from 22.18 and 23.6 on. */
function fits(version) {
  const [major = 0, minor = 0] = version.trim().replace(/^v/, "").split(".").map(Number);
  return major > 23 || (major === 23 && minor >= 6) || (major === 22 && minor >= 18);
}

function nodeFits(file) {
  if (!file || !existsSync(file)) return false;
  const answer = spawnSync(file, ["-p", "process.versions.node"], { encoding: "utf8" });
  return answer.status === 0 && fits(answer.stdout);
}

/** npm's own script: started through a chosen Node, where the command `npm` would take whatever is on the PATH. */
function npmScript() {
  const candidates = [process.env.npm_execpath];
  for (const folder of [dirname(process.execPath), ...(process.env.PATH ?? "").split(delimiter)]) {
    if (windows) candidates.push(join(folder, "node_modules", "npm", "bin", "npm-cli.js"));
    else if (existsSync(join(folder, "npm"))) candidates.push(realpathSync(join(folder, "npm")));
  }
  const found = candidates.find((file) => file && /npm-cli\.js$/.test(file) && existsSync(file));
  return found ?? fail("npm was not found.", "Install Node 22 together with npm (https://nodejs.org), then try again.");
}

/** Lets npm fetch Node into its own cache, and returns where it is. */
function fetchNode() {
  const platform = windows ? "win" : process.platform;
  const begin = Date.now();
  say(`this is Node ${process.versions.node}; Hardhat needs 22, so npm fetches ${NODE_VERSION} into its cache ...`);
  // First the bare binary (no install script); `node` brings it on platforms whose package is named differently.
  for (const name of [`node-${platform}-${process.arch}`, "node"]) {
    const args = ["exec", "--yes", `--package=${name}@${NODE_VERSION}`, "--", "node", "-p", "process.execPath"];
    // Outside the project, where npm would look at our own packages first.
    const answer = spawnSync(process.execPath, [npmScript(), ...args], { cwd: tmpdir(), encoding: "utf8" });
    const file = answer.stdout?.trim().split("\n").pop();
    if (answer.status === 0 && nodeFits(file)) {
      say(`got it (${seconds(begin)})`);
      return file;
    }
  }
  return fail(
    `Node ${NODE_VERSION} could not be fetched from npm.`,
    "Check the network, or install Node 22 yourself (https://nodejs.org), then try again.",
  );
}

function readStamp() {
  try {
    return JSON.parse(readFileSync(stampFile, "utf8"));
  } catch {
    return {};
  }
}

function prepare() {
  const lock = readFileSync(join(root, "package-lock.json"));
  const key = createHash("sha256").update(lock).update(`${process.platform} ${process.arch}`).digest("hex");
  const stamp = readStamp();
  const own = fits(process.versions.node) ? process.execPath : undefined;
  const node = own ?? (nodeFits(stamp.node) ? stamp.node : fetchNode());
  const linked = lstatSync(modules, { throwIfNoEntry: false })?.isSymbolicLink() ?? false;
  // A linked folder belongs to another checkout, which looks after it.
  if (linked || (stamp.key === key && stamp.node === node)) return node;
  if (stamp.key !== key) install(node);
  mkdirSync(modules, { recursive: true });
  writeFileSync(stampFile, JSON.stringify({ key, node }));
  return node;
}

function install(node) {
  const begin = Date.now();
  say("installing packages (once; a minute or two on a first visit) ...");
  rmSync(stampFile, { force: true });
  const env = { ...process.env, PATH: dirname(node) + delimiter + process.env.PATH };
  // npm's environment of the outer command would otherwise rule the inner one.
  for (const name of Object.keys(env))
    if (/^npm_(config_(global|prefix|local_prefix)|lifecycle|package)/i.test(name)) delete env[name];
  const answer = spawnSync(node, [npmScript(), "ci", "--no-audit", "--no-fund", "--loglevel=error"], {
    cwd: root,
    env,
    stdio: ["ignore", "ignore", "inherit"],
  });
  if (answer.status !== 0) {
    fail(
      "the packages could not be installed (npm's words are above).",
      "Check the network and free disk space, then try again: it starts over cleanly.",
    );
  }
  say(`packages installed (${seconds(begin)})`);
}

function run(node, script, args) {
  const path = [join(modules, ".bin"), dirname(node), process.env.PATH].join(delimiter);
  const child = spawn(node, ["--disable-warning=ExperimentalWarning", join(root, script), ...args], {
    cwd: root,
    stdio: "inherit",
    env: { ...process.env, PATH: path },
  });
  // The script decides what a signal means (it may have a chain to stop); we wait for it.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  child.on("error", (error) => fail(`could not run ${script}: ${error.message}`, "Delete node_modules and try again."));
  child.on("exit", (code, signal) => process.exit(code ?? (signal === "SIGINT" ? 130 : 143)));
}

const [script, ...args] = process.argv.slice(2);
const node = prepare();
if (script) run(node, script, args);
