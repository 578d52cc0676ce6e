/**
 * The subgraph as graph-cli and graph-node take it, out of `subgraph/` as it is kept: with ABIs from the artifacts and
 * addresses from a deployment's record. graph-cli writes into the folder it works in, so it never works in ours.
 *
 * Compiling takes some seconds and depends on no address: it is done once for each state of the sources, below
 * `.local/subgraph/compiled/`, and a rendered subgraph is a copy of that with its own addresses.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import {
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { promisify } from "node:util";
import { isMap, isSeq, parse, parseDocument, Scalar, type YAMLMap } from "yaml";
import * as z from "zod";
import { loadNetwork, NETWORKS, networkFile } from "../deploy/network.ts";
import { type Deployment, DeploymentFileError, LOCAL_CHAIN_ID, loadDeployment } from "../deployments/index.ts";
import { WATCHDOG } from "../scripts/chain.ts";
import { ROOT } from "../scripts/lib/tools.ts";
import { sleep } from "./process.ts";
import { StackError } from "./types.ts";

export const SUBGRAPH = join(ROOT, "subgraph");
const COMPILED = join(ROOT, ".local", "subgraph", "compiled");
const GRAPH = join(ROOT, "node_modules", "@graphprotocol", "graph-cli", "bin", "run.js");
/** graph-node's name for a local chain. */
export const DEVNET = "devnet";
/** Compiled sources that nobody has used for so long are removed. */
const KEEP_MS = 3 * 24 * 3_600_000;
const COMPILE_TIMEOUT_MS = 15 * 60_000;

/** Where a data source reads, and from when. */
export interface Place {
  readonly address: string;
  readonly startBlock: number;
}

/** The networks that the subgraph can be built for, with their chain ids: the local one, and where Bulkhead may go. */
export const networks = (): Map<string, number> =>
  new Map([
    [DEVNET, LOCAL_CHAIN_ID],
    ...NETWORKS.map((name): [string, number] => [name, loadNetwork(networkFile(name)).chainId]),
  ]);

/** graph-cli's networks.json: what is the same for every deployment of Bulkhead on a network. */
const networksSchema = z.record(
  z.string(),
  z.record(z.string(), z.object({ address: z.string(), startBlock: z.int().nonnegative().optional() })),
);

function readNetworks(file: string): z.output<typeof networksSchema> {
  if (!existsSync(file)) return {};
  const parsed = networksSchema.safeParse(JSON.parse(readFileSync(file, "utf8")));
  if (!parsed.success) throw new StackError(`${file} is not as graph-cli wants it:\n${z.prettifyError(parsed.error)}`);
  return parsed.data;
}

/** The record of Bulkhead on a network by its name; says how to get one where there is none. */
export function deploymentOn(network: string): Deployment {
  const chainId = networks().get(network);
  if (chainId === undefined)
    throw new StackError(`There is no network "${network}"; there are: ${[...networks().keys()].join(", ")}.`);
  try {
    return loadDeployment(chainId);
  } catch (error) {
    if (!(error instanceof DeploymentFileError) || network === DEVNET) throw error;
    throw new StackError(
      `Bulkhead is not deployed on ${network} yet, so there is nothing to index: deploy it first (npm run deploy -- --network ${network}). ${error.message}`,
    );
  }
}

/**
 * The place of a data source by its name in the manifest: `TierBeacon` is the record's `tierBeacon`, `Upkeep` its
 * `upkeep`, `TierFactory` the contract whose ABI has that name, `AllocationManager` the external `allocationManager`,
 * from the oldest block of ours, because nothing that concerns us is older.
 */
export function placeOf(name: string, deployment: Deployment): Place {
  const key = name.charAt(0).toLowerCase() + name.slice(1);
  const own = deployment.contracts[key] ?? only(Object.values(deployment.contracts).filter(({ abi }) => abi === name));
  if (own) return { address: own.address, startBlock: own.block };
  const external = (deployment.external as Record<string, string | undefined>)[key];
  if (external !== undefined) return { address: external, startBlock: deployment.startBlock };
  throw new StackError(
    `The record of the deployment on ${deployment.network} has no ${name}: the subgraph's manifest asks for it. Either the record is older than the manifest (deploy again), or the data source is misnamed.`,
  );
}

const only = <T>(list: readonly T[]): T | undefined => (list.length === 1 ? list[0] : undefined);

/** A manifest (ours, or the one that graph-cli has built) for a network, with the places of its data sources. */
export function fillManifest(text: string, network: string, placeOfSource: (name: string) => Place): string {
  const document = parseDocument(text);
  const each = (list: string, change: (one: YAMLMap) => void) => {
    const nodes = document.get(list);
    if (!isSeq(nodes)) return;
    for (const node of nodes.items) if (isMap(node)) change(node);
  };
  each("dataSources", (one) => {
    one.set("network", network);
    const { address, startBlock } = placeOfSource(String(one.get("name")));
    const quoted = new Scalar(address);
    quoted.type = "QUOTE_DOUBLE"; // a bare 0x… is a number
    one.setIn(["source", "address"], quoted);
    one.setIn(["source", "startBlock"], startBlock);
  });
  each("templates", (one) => one.set("network", network));
  return document.toString();
}

const sourcesSchema = z.array(z.object({ mapping: z.object({ abis: z.array(z.object({ file: z.string() })) }) }));
const manifestSchema = z.object({ dataSources: sourcesSchema, templates: sourcesSchema.default([]) });

/** The names of the ABIs that a manifest takes from `./abis/`. */
export function abisOf(manifest: string): string[] {
  const parsed = manifestSchema.safeParse(parse(manifest));
  if (!parsed.success) throw new StackError(`The subgraph's manifest is wrong:\n${z.prettifyError(parsed.error)}`);
  const files = [...parsed.data.dataSources, ...parsed.data.templates].flatMap(({ mapping }) => mapping.abis);
  return [...new Set(files.map(({ file }) => basename(file, ".json")))].sort();
}

/** A contract's ABI (JSON) from the artifacts, ours before others'. */
export function abiOf(name: string): string {
  const found = globSync(`artifacts/**/${name}.sol/${name}.json`, { cwd: ROOT });
  const inOther = found.length > 0 ? found : globSync(`artifacts/**/${name}.json`, { cwd: ROOT });
  const file = inOther.find((one) => one.startsWith(join("artifacts", "contracts"))) ?? inOther[0];
  if (file === undefined)
    throw new StackError(`The artifacts have no ${name}, whose ABI the subgraph needs: "npm run build" compiles them.`);
  const artifact = z.object({ abi: z.array(z.unknown()) }).parse(JSON.parse(readFileSync(join(ROOT, file), "utf8")));
  return `${JSON.stringify(artifact.abi, null, 2)}\n`;
}

/** The sources with codegen and build done, at placeholder addresses; the folder is shared, so it is only read. */
export async function compileSubgraph(
  options: { readonly fresh?: boolean; readonly log?: (line: string) => void } = {},
): Promise<string> {
  const manifestFile = join(SUBGRAPH, "subgraph.yaml");
  if (!existsSync(manifestFile)) throw new StackError(`There is no ${manifestFile}: the checkout is not whole.`);
  const manifest = readFileSync(manifestFile, "utf8");
  const files = new Map<string, string>();
  for (const file of globSync("{schema.graphql,subgraph.yaml,src/**/*.ts}", { cwd: SUBGRAPH }).sort())
    files.set(file, readFileSync(join(SUBGRAPH, file), "utf8"));
  for (const name of abisOf(manifest)) files.set(join("abis", `${name}.json`), abiOf(name));
  const hash = createHash("sha256");
  for (const tool of ["graph-cli", "graph-ts"]) hash.update(versionOf(tool));
  for (const [file, text] of files) hash.update(`\0${file}\0${text}`);
  const folder = join(COMPILED, hash.digest("hex").slice(0, 20));

  mkdirSync(COMPILED, { recursive: true });
  if (options.fresh) rmSync(folder, { recursive: true, force: true });
  const unlock = await lock(`${folder}.lock`, () => existsSync(folder));
  try {
    if (!existsSync(folder)) {
      const begin = performance.now();
      options.log?.("compiling the subgraph (some seconds; once for each state of its sources) ...");
      const half = `${folder}.half`;
      rmSync(half, { recursive: true, force: true });
      for (const [file, text] of files) {
        mkdirSync(join(half, file, ".."), { recursive: true });
        writeFileSync(join(half, file), text);
      }
      await graph(["codegen", "subgraph.yaml"], half);
      await graph(["build", "subgraph.yaml"], half);
      renameSync(half, folder);
      options.log?.(`the subgraph is compiled (${((performance.now() - begin) / 1000).toFixed(1)} s)`);
    }
  } finally {
    unlock();
  }
  const now = new Date();
  utimesSync(folder, now, now);
  for (const other of readdirSync(COMPILED)) {
    const path = join(COMPILED, other);
    const age = now.getTime() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? now.getTime());
    if (path !== folder && age > KEEP_MS) rmSync(path, { recursive: true, force: true });
  }
  return folder;
}

export interface RenderOptions {
  readonly deployment: Deployment;
  /** graph-node's name of the network: "devnet" for a local chain. */
  readonly network: string;
  /** Replaced as a whole. */
  readonly folder: string;
  /** Compiles anew even if it has been. */
  readonly fresh?: boolean;
  readonly log?: (line: string) => void;
}

/** Writes the subgraph for one deployment: sources in `folder`, what graph-node takes in `folder/build`. */
export async function renderSubgraph(options: RenderOptions): Promise<string> {
  const { deployment, network, folder } = options;
  const fixed = readNetworks(join(SUBGRAPH, "networks.json"))[network] ?? {};
  const place = (name: string): Place => {
    const recorded = placeOf(name, deployment);
    const known = fixed[name];
    if (known !== undefined && known.address.toLowerCase() !== recorded.address.toLowerCase())
      throw new StackError(
        `${name} is ${known.address} in subgraph/networks.json, but ${recorded.address} in the record of ${network}: one of them is wrong.`,
      );
    return { address: recorded.address, startBlock: known?.startBlock ?? recorded.startBlock };
  };
  const compiled = await compileSubgraph(options);
  rmSync(folder, { recursive: true, force: true });
  cpSync(compiled, folder, { recursive: true });
  for (const file of [join(folder, "subgraph.yaml"), join(folder, "build", "subgraph.yaml")])
    writeFileSync(file, fillManifest(readFileSync(file, "utf8"), network, place));
  return folder;
}

/** Runs graph-cli; what it says is shown only where it fails, and then whole. */
export async function graph(args: readonly string[], folder: string): Promise<void> {
  try {
    await promisify(execFile)(process.execPath, ["--import", WATCHDOG, GRAPH, ...args], {
      cwd: folder,
      env: { ...process.env, NO_COLOR: "1", FORCE_COLOR: undefined },
      maxBuffer: 64 * 1024 * 1024,
      timeout: COMPILE_TIMEOUT_MS,
    });
  } catch (error) {
    const { stdout = "", stderr = "", killed } = error as { stdout?: string; stderr?: string; killed?: boolean };
    const shown = args.map((one, i) => (args[i - 1] === "--deploy-key" ? "…" : one)).join(" ");
    const how = killed ? `was stopped after ${COMPILE_TIMEOUT_MS / 60_000} minutes` : "has failed";
    throw new StackError(
      `graph ${shown} ${how} in ${folder}:\n${`${stdout}${stderr}`.trim() || "(it has said nothing)"}`,
    );
  }
}

function versionOf(tool: string): string {
  const text = readFileSync(join(ROOT, "node_modules", "@graphprotocol", tool, "package.json"), "utf8");
  const { version } = z.object({ version: z.string() }).parse(JSON.parse(text));
  return `${tool}@${version}`;
}

/** One compiles, the others wait for it; the lock of one who died is taken over. */
async function lock(file: string, done: () => boolean): Promise<() => void> {
  for (;;) {
    try {
      writeFileSync(file, String(process.pid), { flag: "wx" });
      return () => rmSync(file, { force: true });
    } catch {
      if (done()) return () => {};
      if (!alive(file)) rmSync(file, { force: true });
      await sleep(200);
    }
  }
}

function alive(file: string): boolean {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch {
    return false;
  }
  if (text === "") return Date.now() - (statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0) < 5_000;
  return isRunning(Number(text));
}

/** Whether a process of this number runs. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}
