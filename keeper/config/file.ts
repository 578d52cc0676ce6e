/** Reads the keeper's configuration; every complaint names file, line, column and key, what is wrong, and the fix. */
import { readFileSync } from "node:fs";
import { dirname, extname, resolve } from "node:path";
import { parse as parseToml, TomlError } from "smol-toml";
import { isMap, isScalar, LineCounter, parseDocument } from "yaml";
import * as z from "zod";
import { nearest } from "../../scripts/lib/words.ts";
import { type Config, configSchema } from "./schema.ts";
import { withoutKeys } from "./secrets.ts";

/** Thrown with a list of complaints, one a line. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
}

interface Place {
  readonly line: number;
  readonly column: number;
}

type Path = readonly (string | number)[];

/** A file's values, and where each is: at the key for `key`, else at the value or the nearest thing around it. */
interface Source {
  readonly value: unknown;
  place(path: Path, key?: string): Place;
}

/** The configuration in a file, with its files' names made absolute: they are meant as seen from the file's folder. */
export function loadConfig(file: string): Config {
  return withPaths(readConfig(readText(file), file), dirname(resolve(file)));
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    const reason =
      code === "ENOENT"
        ? "there is no such file"
        : code === "EISDIR"
          ? "it is a folder"
          : code === "EACCES"
            ? "this user may not read it"
            : String(code);
    throw new ConfigError(
      `${file}: ${reason}. Name a file with --config; "npm run -s keeper -- config > keeper.yaml" writes one to begin with.`,
    );
  }
}

/** YAML, or TOML where the file's name ends so. */
export function readConfig(text: string, file: string): Config {
  const toml = extname(file).toLowerCase() === ".toml";
  const source = toml ? readToml(text, file) : readYaml(text, file);
  const parsed = configSchema.safeParse(source.value ?? {}, { error: sayWhatIsWrong });
  if (parsed.success) return parsed.data;
  const complaints = parsed.error.issues.flatMap((issue) => {
    const path = issue.path.filter((key) => typeof key !== "symbol");
    if (issue.code === "unrecognized_keys")
      return issue.keys.map((key) => ({ ...source.place(path, key), message: unknownKey(path, key) }));
    return [{ ...source.place(path), message: `${path.length === 0 ? "" : `${nameOf(path)}: `}${issue.message}` }];
  });
  complaints.sort((a, b) => a.line - b.line || a.column - b.column);
  throw new ConfigError(
    complaints.map(({ line, column, message }) => withoutKeys(`${file}:${line}:${column}: ${message}`)).join("\n"),
  );
}

function readYaml(text: string, file: string): Source {
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false, // they quote the file, and with it what may be secret
    // An address without quotes is meant as text, not as a number in hex.
    customTags: (tags) => tags.filter((tag) => typeof tag === "string" || !("format" in tag && tag.format === "HEX")),
  });
  const at = (offset: number): Place => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  if (document.errors.length > 0) {
    const list = document.errors.map((error) => {
      const { line, column } = at(error.pos[0]);
      return withoutKeys(`${file}:${line}:${column}: This is not YAML: ${error.message}`);
    });
    throw new ConfigError(list.join("\n"));
  }
  let value: unknown;
  try {
    value = document.toJS();
  } catch {
    // an alias of nothing, or of too much: a configuration needs none
    throw new ConfigError(`${file}:1:1: An alias (*name) cannot be followed. Write the value itself in its place.`);
  }
  return {
    value,
    place(path, key) {
      const parent = path.length === 0 ? document.contents : document.getIn(path, true);
      if (key !== undefined && isMap(parent)) {
        for (const pair of parent.items)
          if (isScalar(pair.key) && String(pair.key.value) === key && pair.key.range) return at(pair.key.range[0]);
      }
      for (let depth = path.length; depth > 0; depth--) {
        const node = document.getIn(path.slice(0, depth), true);
        const range = (node as { range?: [number, number, number] | null } | undefined)?.range;
        if (range) return at(range[0]);
      }
      return at(document.contents?.range?.[0] ?? 0);
    },
  };
}

function readToml(text: string, file: string): Source {
  let value: unknown;
  try {
    value = parseToml(text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const [first = ""] = error.message.split("\n"); // the rest quotes the file
    const reason = first.replace(/^Invalid TOML document: /, "");
    throw new ConfigError(withoutKeys(`${file}:${error.line}:${error.column}: This is not TOML: ${reason}`));
  }
  const places = tomlPlaces(text);
  return {
    value,
    place(path, key) {
      const whole = key === undefined ? path : [...path, key];
      for (let depth = whole.length; depth > 0; depth--) {
        const found = places.get(whole.slice(0, depth).join("."));
        if (found) return found;
      }
      return { line: 1, column: 1 };
    },
  };
}

/** Where TOML's keys are: the parser keeps no positions. Of inline tables and arrays it is the line of their key. */
function tomlPlaces(text: string): Map<string, Place> {
  const places = new Map<string, Place>();
  let table: string[] = [];
  for (const [index, line] of text.split("\n").entries()) {
    const header = /^\s*\[\[?([^\]]+)\]\]?\s*(?:#.*)?$/.exec(line);
    const pair = /^\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=/.exec(line);
    const words = (header ?? pair)?.[1]?.split(".").map((word) => word.trim().replaceAll(/^["']|["']$/g, ""));
    if (words === undefined) continue;
    if (header) table = words;
    const path = header ? words : [...table, ...words];
    const place = { line: index + 1, column: line.search(/\S/) + 1 };
    if (!places.has(path.join("."))) places.set(path.join("."), place);
  }
  return places;
}

const nameOf = (path: Path): string =>
  path.map((part, i) => (typeof part === "number" ? `[${part + 1}]` : i === 0 ? part : `.${part}`)).join("");

function unknownKey(path: Path, key: string): string {
  const name = nameOf([...path, key]);
  if (path[0] === "key" && /^(?:private_?key|key|secret|password|mnemonic)$/i.test(key))
    return `${name}: Secrets do not belong in this file. Write where the key is: keystore, env, file or web3signer.`;
  const meant = nearest(key, keysAt(path));
  return `${name}: There is no such key. ${meant === undefined ? `There are ${keysAt(path).join(", ")}.` : `Did you mean ${meant}?`}`;
}

function keysAt(path: Path): string[] {
  let schema: z.ZodType = configSchema;
  for (const part of path) {
    const inner = unwrapped(schema);
    const next = inner instanceof z.ZodObject ? inner.shape[String(part)] : undefined;
    if (next === undefined) return [];
    schema = next as z.ZodType;
  }
  const inner = unwrapped(schema);
  return inner instanceof z.ZodObject ? Object.keys(inner.shape) : [];
}

/** The schema behind its default. */
export function unwrapped(schema: z.ZodType): z.ZodType {
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault || schema instanceof z.ZodOptional)
    return unwrapped(schema.unwrap() as z.ZodType);
  return schema;
}

const WORDS: Readonly<Record<string, string>> = {
  int: "a whole number",
  number: "a number",
  string: "a text",
  boolean: "true or false",
  array: "a list",
  object: "keys and values",
};

/** Never shows a text: it might be a secret in the wrong place. */
const kindOf = (value: unknown): string => {
  if (value === null || value === undefined) return "empty";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return value instanceof Date ? "a date" : "keys and values";
  return typeof value === "string" ? "a text" : `${value}`;
};

/** What is wrong and what to do, where the schema itself does not say it. */
const sayWhatIsWrong: z.core.$ZodErrorMap = (issue) => {
  switch (issue.code) {
    case "invalid_type":
      return `It is ${kindOf(issue.input)}. Write ${WORDS[issue.expected] ?? issue.expected}${issue.input === null ? ", or leave the line out" : ""}.`;
    case "too_small":
      if (issue.origin === "string") return "It is empty. Write it, or leave the line out.";
      return `It is ${kindOf(issue.input)}. Write ${issue.inclusive ? "at least" : "more than"} ${issue.minimum}.`;
    case "too_big":
      return `It is ${kindOf(issue.input)}. Write ${issue.inclusive ? "at most" : "less than"} ${issue.maximum}.`;
    case "invalid_value":
      return `It is none of ${issue.values.map(String).join(", ")}. Write one of them.`;
    default:
      return undefined;
  }
};

function withPaths(config: Config, folder: string): Config {
  const from = (file: string): string => resolve(folder, file);
  const { key, routine } = config;
  return {
    ...config,
    ...(config.deployment === undefined ? {} : { deployment: from(config.deployment) }),
    journal: from(config.journal),
    key: {
      ...key,
      ...(key.keystore === undefined ? {} : { keystore: from(key.keystore) }),
      ...(key.password_file === undefined ? {} : { password_file: from(key.password_file) }),
      ...(key.file === undefined ? {} : { file: from(key.file) }),
    },
    routine: {
      ...routine,
      ...(routine.claims === undefined || /^https?:\/\//.test(routine.claims) ? {} : { claims: from(routine.claims) }),
    },
  };
}
