/** Hardhat's artifacts whole, as deployment, audit and verification need them. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { BuildInfo } from "@nomicfoundation/ignition-core";
import * as z from "zod";
import type { Source } from "./plan.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

const fullArtifactSchema = z.looseObject({
  _format: z.string(),
  contractName: z.string(),
  sourceName: z.string(),
  inputSourceName: z.string(),
  abi: z.array(z.looseObject({ type: z.string() })),
  bytecode: z.string().regex(/^0x([0-9a-f]{2})+$/),
  deployedBytecode: z.string().regex(/^0x([0-9a-f]{2})+$/),
  linkReferences: z.record(z.string(), z.never()),
  deployedLinkReferences: z.record(z.string(), z.never()),
  immutableReferences: z.record(z.string(), z.array(z.object({ start: z.int(), length: z.int() }))).default({}),
  buildInfoId: z.string(),
});
export type FullArtifact = z.output<typeof fullArtifactSchema>;

export function fullArtifact({ file, name }: Source): FullArtifact {
  const path = join(ROOT, "artifacts", file, `${name}.json`);
  if (!existsSync(path)) throw new Error(`${name} is not compiled (${file}): run "npm run build".`);
  return fullArtifactSchema.parse(JSON.parse(readFileSync(path, "utf8")));
}

export function buildInfoOf(id: string): BuildInfo {
  // Hardhat wrote it for Ignition and for itself; only `input` and the compiler's version are read here
  return JSON.parse(readFileSync(join(ROOT, "artifacts", "build-info", `${id}.json`), "utf8")) as BuildInfo;
}
