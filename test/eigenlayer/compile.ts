/**
 * Compiles with the project's own solc and settings what is not part of the project's build: the few contracts of this
 * folder (and, for the comparison, the stand-in), and what `npm run bench` measures beside the protocol.
 */
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as z from "zod";
import type { Artifact } from "../../deploy/eigenlayer.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const CACHE_DIR = join(ROOT, ".eigenlayer");
/** As in hardhat.config.ts and foundry.toml. */
const SETTINGS = {
  optimizer: { enabled: true, runs: 200 },
  evmVersion: "cancun",
  metadata: { bytecodeHash: "none" },
};

const artifact = z.object({
  abi: z.array(z.looseObject({ type: z.string() })),
  bytecode: z.string(),
});
const cacheFile = z.object({
  sources: z.record(z.string(), z.string()),
  contracts: z.record(z.string(), artifact),
});
const solcOutput = z.object({
  errors: z.array(z.object({ severity: z.string(), formattedMessage: z.string() })).default([]),
  contracts: z
    .record(
      z.string(),
      z.record(
        z.string(),
        z.object({
          abi: artifact.shape.abi,
          evm: z.object({ bytecode: z.object({ object: z.string() }) }),
        }),
      ),
    )
    .default({}),
});
interface Solc {
  compile(
    input: string,
    callbacks: {
      import(path: string): { contents: string } | { error: string };
    },
  ): string;
}

export interface CompileOptions {
  readonly remappings?: readonly string[];
  /** Lets sources that name another 0.8 compiler exactly be compiled with ours: in memory only. */
  readonly anyPragma?: boolean;
}

/** Compiles `files` (paths from the project's root); the result holds every deployable contract in them by name. */
export function compile(
  name: string,
  files: readonly string[],
  { remappings = [], anyPragma = false }: CompileOptions = {},
): Record<string, Artifact> {
  const path = join(CACHE_DIR, `compiled-${name}.json`);
  const cached = readCache(path, files);
  if (cached) return cached;

  const sources: Record<string, string> = {};
  const read = (file: string): string => {
    const onDisk = locate(file);
    const content = readFileSync(onDisk, "utf8");
    sources[onDisk] = digest(content);
    return anyPragma ? content.replace(/^pragma solidity 0\.8\.\d+;/m, "pragma solidity ^0.8.0;") : content;
  };
  const input = {
    language: "Solidity",
    sources: Object.fromEntries(files.map((file) => [file, { content: read(file) }])),
    settings: {
      ...SETTINGS,
      remappings,
      outputSelection: { "*": { "*": ["abi", "evm.bytecode.object"] } },
    },
  };
  const solc = createRequire(import.meta.url)("solc") as Solc;
  const answer = solc.compile(JSON.stringify(input), {
    import: (file) => {
      try {
        return { contents: read(file) };
      } catch (error) {
        return {
          error: error instanceof Error ? error.message : String(error),
        };
      }
    },
  });
  const output = solcOutput.parse(JSON.parse(answer));
  const failed = output.errors.filter((e) => e.severity === "error");
  if (failed.length > 0) throw new Error(failed.map((e) => e.formattedMessage).join("\n"));
  const contracts: Record<string, z.infer<typeof artifact>> = {};
  for (const file of files)
    for (const [contract, { abi, evm }] of Object.entries(output.contracts[file] ?? {}))
      if (evm.bytecode.object !== "") contracts[contract] = { abi, bytecode: `0x${evm.bytecode.object}` };
  mkdirSync(CACHE_DIR, { recursive: true });
  writeFileSync(`${path}.${process.pid}`, JSON.stringify({ sources, contracts }));
  renameSync(`${path}.${process.pid}`, path);
  return contracts;
}

/** Sources are named from the project's root, those of packages by the package. */
const locate = (file: string): string => join(ROOT, file.startsWith("@") ? "node_modules" : "", file);

function readCache(path: string, files: readonly string[]): Record<string, Artifact> | undefined {
  try {
    const cache = cacheFile.parse(JSON.parse(readFileSync(path, "utf8")));
    if (files.some((file) => !(locate(file) in cache.sources))) return undefined;
    const unchanged = Object.entries(cache.sources).every(
      ([file, hash]) => digest(readFileSync(file, "utf8")) === hash,
    );
    return unchanged ? cache.contracts : undefined;
  } catch {
    return undefined; // absent, cut short, or a source is gone: compile again
  }
}

function digest(text: string): string {
  return createHash("sha256").update(text).update(JSON.stringify(SETTINGS)).digest("hex");
}

/** The named contract of a compilation. */
export function pick(contracts: Record<string, Artifact>, name: string): Artifact {
  const found = contracts[name];
  if (!found) throw new Error(`No contract ${name} was compiled; there are: ${Object.keys(contracts).join(", ")}.`);
  return found;
}
