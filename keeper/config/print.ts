/** The configuration as a file to begin with: made from the schema, so that it cannot say anything else. */
import { stringify } from "yaml";
import * as z from "zod";
import { unwrapped } from "./file.ts";
import { configSchema } from "./schema.ts";

/** What has no default, filled in for a beginning. */
export const FILLED_IN = { rpc: ["http://127.0.0.1:8545"], key: { env: "BULKHEAD_KEEPER_KEY" } } as const;

const WIDTH = 100;

const HEADER = [
  "The configuration of Bulkhead's keeper. Fill in rpc and key: all else may be left out, and is then as it stands here.",
  "Files are meant as seen from the folder of this one. TOML with the same keys does as well (keeper.toml).",
];

/** YAML with a comment for each key. */
export function printConfig(): string {
  return `${HEADER.flatMap((text) => comment(text, "")).join("\n")}\n\n${section(configSchema, "", FILLED_IN).join("\n")}\n`;
}

function section(schema: z.ZodObject, indent: string, filled: Readonly<Record<string, unknown>>): string[] {
  const lines: string[] = [];
  for (const [key, value] of Object.entries(schema.shape)) {
    const type = value as z.ZodType;
    const inner = unwrapped(type);
    if (lines.length > 0 && indent === "") lines.push("");
    lines.push(...comment(type.description ?? "", indent));
    if (inner instanceof z.ZodObject) {
      lines.push(`${indent}${key}:`, ...section(inner, `${indent}  `, (filled[key] ?? {}) as Record<string, unknown>));
    } else if (key in filled || type instanceof z.ZodDefault) {
      lines.push(...entry(key, filled[key] ?? type.parse(undefined), indent));
    } else {
      lines.push(`${indent}# ${key}: ${String(type.meta()?.example ?? "")}`);
    }
  }
  return lines;
}

const entry = (key: string, value: unknown, indent: string): string[] =>
  stringify({ [key]: value })
    .trimEnd()
    .split("\n")
    .map((line) => `${indent}${line}`);

function comment(text: string, indent: string): string[] {
  const lines: string[] = [];
  let line = `${indent}#`;
  for (const word of text.split(" ")) {
    if (line.length + word.length + 1 > WIDTH) {
      lines.push(line);
      line = `${indent}#`;
    }
    line += ` ${word}`;
  }
  return [...lines, line];
}
