/**
 * Brings the real EigenLayer core, slashing release 1.4, as creation bytecode and ABI.
 *
 * EigenLayer's source is not open, so nothing of it is in this repository. The generated bindings in a published Rust
 * package carry what is needed to deploy it: cargo downloads that package (pinned in `crate/Cargo.lock`, checksum
 * verified by cargo), this module reads the bindings as text, and the result stays in a git-ignored folder.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import * as z from "zod";

/** Contract name -> file of its bindings. */
const BINDINGS = {
  AllocationManager: "allocation_manager",
  AVSDirectory: "avs_directory",
  DelegationManager: "delegation_manager",
  EigenPod: "eigen_pod",
  EigenPodManager: "eigen_pod_manager",
  EmptyContract: "empty_contract",
  PauserRegistry: "pauser_registry",
  PermissionController: "permission_controller",
  ProxyAdmin: "proxy_admin",
  RewardsCoordinator: "rewards_coordinator",
  StrategyBase: "strategy_base",
  StrategyFactory: "strategy_factory",
  StrategyManager: "strategy_manager",
  TransparentUpgradeableProxy: "transparent_upgradeable_proxy",
  UpgradeableBeacon: "upgradeable_beacon",
} as const;

export type CoreContract = keyof typeof BINDINGS;
const CONTRACTS = Object.keys(BINDINGS) as CoreContract[];

const abiEntry = z.looseObject({
  type: z.string(),
  name: z.string().optional(),
});
const artifact = z.object({
  abi: z.array(abiEntry),
  bytecode: z.templateLiteral(["0x", z.string().regex(/^([0-9a-f]{2})+$/)]),
});
export type CoreArtifact = z.infer<typeof artifact>;
export type CoreArtifacts = Record<CoreContract, CoreArtifact>;

const cacheFile = z.object({
  key: z.string(),
  contracts: z.record(z.string(), artifact),
});
const cargoMetadata = z.object({
  packages: z.array(
    z.object({
      name: z.string(),
      version: z.string(),
      manifest_path: z.string(),
    }),
  ),
});

const MANIFEST_DIR = fileURLToPath(new URL("./crate/", import.meta.url));
const CACHE_DIR = fileURLToPath(new URL("../../.eigenlayer/", import.meta.url));
const PACKAGE = { name: "eigenlayer-contract-deployer", version: "0.4.0" };
/** Only filters which dependencies are downloaded; nothing is compiled, so it need not be the machine's own target. */
const TARGET = "x86_64-unknown-linux-gnu";
const MAX_INIT_CODE = 49_152; // EIP-3860
const MAX_RUNTIME_CODE = 24_576; // EIP-170

/** Whether `cargo` can be run here. */
export function cargoAvailable(): boolean {
  return spawnSync("cargo", ["--version"], { stdio: "ignore" }).status === 0;
}

/** The real core's contracts: from the cache if it fits this manifest and this module, else from the package. */
export function prepareCore(log: (line: string) => void = () => {}): CoreArtifacts {
  const key = cacheKey();
  const path = join(CACHE_DIR, "core.json");
  const cached = readCache(path, key);
  if (cached) return cached;
  log(`fetching ${PACKAGE.name} ${PACKAGE.version} with cargo (half a GB into the cargo home, once)`);
  const bindings = join(fetchPackage(), "src/bindings/core");
  const contracts = Object.fromEntries(
    CONTRACTS.map((name) => [name, extract(name, readFileSync(join(bindings, `${BINDINGS[name]}.rs`), "utf8"))]),
  ) as CoreArtifacts;
  mkdirSync(CACHE_DIR, { recursive: true });
  const partial = `${path}.${process.pid}`;
  writeFileSync(partial, JSON.stringify({ key, contracts }));
  renameSync(partial, path);
  log(`extracted ${CONTRACTS.length} contracts of EigenLayer core`);
  return contracts;
}

function cacheKey(): string {
  const hash = createHash("sha256");
  for (const file of [join(MANIFEST_DIR, "Cargo.lock"), fileURLToPath(import.meta.url)])
    hash.update(readFileSync(file));
  return hash.digest("hex");
}

function readCache(path: string, key: string): CoreArtifacts | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return undefined; // never prepared here
  }
  // a cache that was cut short or written by another version is rebuilt, not an error
  try {
    const cache = cacheFile.parse(JSON.parse(text));
    if (cache.key !== key || CONTRACTS.some((name) => !(name in cache.contracts))) return undefined;
    return cache.contracts as CoreArtifacts;
  } catch {
    return undefined;
  }
}

/** Downloads the package and returns its folder in the cargo home. */
function fetchPackage(): string {
  const cargo = (args: string[]): string =>
    execFileSync("cargo", args, {
      cwd: MANIFEST_DIR,
      encoding: "utf8",
      maxBuffer: 1 << 28,
      stdio: ["ignore", "pipe", "pipe"],
    });
  try {
    cargo(["fetch", "--locked", "--target", TARGET]);
    const options = ["--format-version", "1", "--locked", "--offline", "--filter-platform", TARGET];
    const { packages } = cargoMetadata.parse(JSON.parse(cargo(["metadata", ...options])));
    const found = packages.find((p) => p.name === PACKAGE.name && p.version === PACKAGE.version);
    if (!found) throw new Error(`${PACKAGE.name} ${PACKAGE.version} is not in cargo's answer`);
    return dirname(found.manifest_path);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(
      `Cannot fetch ${PACKAGE.name} ${PACKAGE.version}: ${reason}\n` +
        `Try it by hand: (cd test/eigenlayer/crate && cargo fetch --locked --target ${TARGET})`,
    );
  }
}

/** Reads one contract out of the text of its bindings; throws rather than return anything doubtful. */
export function extract(name: string, source: string): CoreArtifact {
  const fail = (what: string): never => {
    throw new Error(`Bindings of ${name}: ${what}. The package's layout differs from the one this reader knows.`);
  };
  const anchor = source.indexOf(`pub mod ${name} {`);
  if (anchor < 0) fail("no module");

  const abiMark = source.lastIndexOf("generated by the following JSON ABI:", anchor);
  const abiStart = source.indexOf("```json", abiMark) + "```json".length;
  const abiEnd = source.indexOf("```", abiStart);
  if (abiMark < 0 || abiStart < abiMark || abiEnd < 0 || abiEnd > anchor) fail("no ABI");

  const code = (label: string): Buffer => {
    const at = source.indexOf(`pub static ${label}:`, anchor);
    if (at < 0) fail(`no ${label}`);
    const [bytes, end] = readRustByteString(source, source.indexOf('b"', at) + 1);
    if (!/^\s*,?\s*\)/.test(source.slice(end, end + 40))) fail(`${label} does not end after its literal`);
    // the comment above repeats the code as hex: an independent check of the literal's decoding
    const comment = source.lastIndexOf("///0x", at);
    if (source.slice(comment + 5, source.indexOf("\n", comment)).trim() !== bytes.toString("hex"))
      fail(`${label} differs from the hex beside it`);
    return bytes;
  };
  const creation = code("BYTECODE");
  const deployed = code("DEPLOYED_BYTECODE");
  if (creation.length === 0 || creation.length > MAX_INIT_CODE) fail(`${creation.length} bytes of creation code`);
  if (deployed.length === 0 || deployed.length > MAX_RUNTIME_CODE) fail(`${deployed.length} bytes of deployed code`);
  // immutables are zero in both, so the one contains the other literally; an unlinked library would be a gap in either
  if (!creation.includes(deployed)) fail("the deployed code is not part of the creation code");
  if (creation.includes("__$")) fail("a library is not linked");
  return artifact.parse({
    abi: JSON.parse(source.slice(abiStart, abiEnd)),
    bytecode: `0x${creation.toString("hex")}`,
  });
}

const SIMPLE_ESCAPES: Record<string, number> = {
  n: 10,
  r: 13,
  t: 9,
  "\\": 92,
  "0": 0,
  "'": 39,
  '"': 34,
};

/** Decodes the Rust byte string literal whose opening quote is at `start`; returns the bytes and the index behind it. */
export function readRustByteString(source: string, start: number): [Buffer, number] {
  if (source[start] !== '"') throw new Error("Not a Rust byte string.");
  const bytes: number[] = [];
  let i = start + 1;
  while (source[i] !== '"') {
    if (i >= source.length) throw new Error("A Rust byte string does not end.");
    if (source[i] !== "\\") {
      const value = source.charCodeAt(i++);
      if (value > 127) throw new Error("A Rust byte string holds a character that is not ASCII.");
      bytes.push(value);
      continue;
    }
    const symbol = source[i + 1] ?? "";
    if (symbol === "x") {
      const hex = source.slice(i + 2, i + 4);
      if (!/^[0-9a-fA-F]{2}$/.test(hex)) throw new Error(`Unknown escape \\x${hex} in a Rust byte string.`);
      bytes.push(Number.parseInt(hex, 16));
      i += 4;
    } else if (symbol === "\n" || symbol === "\r") {
      i += 2;
      while (/\s/.test(source[i] ?? "")) i++; // a line continuation swallows the indentation
    } else {
      const value = SIMPLE_ESCAPES[symbol];
      if (value === undefined) throw new Error(`Unknown escape \\${symbol} in a Rust byte string.`);
      bytes.push(value);
      i += 2;
    }
  }
  return [Buffer.from(bytes), i + 1];
}
