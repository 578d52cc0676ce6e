/**
 * The keeper's log: one line for each thing that happened, which says what, why, under which hash and at what cost. JSON
 * for machines, or the same for people. No line shows a secret: known names are masked, addresses of RPCs lose their path
 * and query (where providers put keys), and a private key is masked wherever it turns up.
 */
import { createHash } from "node:crypto";
import { pino } from "pino";
import { prettyFactory } from "pino-pretty";
import type { Config } from "../config/schema.ts";
import type * as ports from "../daemon/ports.ts";
import type { Action } from "../plan/types.ts";
import type { Entry } from "../transactions/types.ts";

/**
 * A line's fields, where they apply: `tier`, `job`, `reason`, `hash`, `cost` (wei that were paid, bigint), `block`, `error`.
 * Whatever else there is comes after them.
 */
export type Log = ports.Log & {
  trace(fields: object, message: string): void;
};

/** Where lines go; process.stdout is one. */
export interface Output {
  write(line: string): unknown;
  readonly isTTY?: boolean;
}

export interface LogOptions extends Partial<Config["log"]> {
  readonly output?: Output;
  /** Private keys that must never appear; only their hashes are kept. */
  readonly secrets?: readonly string[];
}

const LEVELS = ["trace", "debug", "info", "warn", "error"] as const;
const MASK = "[hidden]";
const SECRET_NAMES = [
  "key",
  "privateKey",
  "private_key",
  "password",
  "passphrase",
  "mnemonic",
  "secret",
  "authorization",
];

export function createLog(options: LogOptions = {}): Log {
  const output = options.output ?? process.stdout;
  const clean = cleaner(options.secrets ?? []);
  const forPeople = (options.format ?? "auto") === "auto" ? output.isTTY === true : options.format === "pretty";
  const write = { write: (line: string) => void output.write(clean(line)) };
  const target = forPeople ? people(write, output.isTTY === true) : write;
  const logger = pino(
    {
      level: options.level ?? "info",
      base: null,
      messageKey: "message",
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (level) => ({ level }) },
    },
    target,
  );
  const line =
    (level: (typeof LEVELS)[number]) =>
    (fields: object, message: string): void => {
      if (logger.isLevelEnabled(level)) logger[level](plain(fields), message);
    };
  return {
    trace: line("trace"),
    debug: line("debug"),
    info: line("info"),
    warn: line("warn"),
    error: line("error"),
  };
}

/** Says nothing. */
export const silent: Log = { trace() {}, debug() {}, info() {}, warn() {}, error() {} };

/** "unwind agent 2, set 5": an action as people name it. */
export const nameOf = (action: Pick<Action, "job" | "subject">): string =>
  action.subject === "" ? action.job : `${action.job} ${action.subject}`;

/** What a transaction does, in a few words. */
export const purposeOf = (entry: Pick<Entry, "actions">): string => entry.actions.map(nameOf).join("; ");

export function formatEth(wei: bigint): string {
  const digits = (wei < 0n ? -wei : wei).toString().padStart(19, "0");
  const fraction = digits.slice(-18).replace(/0+$/, "");
  // to the first three digits that are not zero: a cost is read, not added up
  const shown = fraction.slice(0, Math.max(fraction.search(/[1-9]/), 0) + 3).replace(/0+$/, "");
  return `${wei < 0n ? "-" : ""}${digits.slice(0, -18)}${shown === "" ? "" : `.${shown}`} ETH`;
}

/** Lines for people, made in this process and at once: a worker's would be lost when the process dies. */
function people(output: Output, colorize: boolean): Output {
  const format = prettyFactory({
    colorize,
    messageKey: "message",
    translateTime: "SYS:yyyy-mm-dd HH:MM:ss",
    hideObject: true,
    messageFormat: (line) => {
      const { level: _, time: __, message, tier, job: ___, reason, hash, cost, block, error, ...more } = line;
      const aside = [
        hash,
        block === undefined ? undefined : `block ${block}`,
        typeof cost === "string" ? formatEth(BigInt(cost)) : undefined,
        ...Object.entries(more).map(([name, value]) =>
          value === undefined ? undefined : `${name} ${typeof value === "string" ? value : JSON.stringify(value)}`,
        ),
      ].filter((part) => part !== undefined);
      const failure =
        typeof error === "object" && error !== null && "message" in error ? String(error.message) : undefined;
      const goesOn = reason !== undefined || failure !== undefined;
      return [
        tier === undefined ? "" : `${tier}: `,
        goesOn ? String(message).replace(/\.$/, "") : message,
        reason === undefined ? "" : `, because ${reason}`,
        failure === undefined ? "" : `: ${failure}`,
        aside.length === 0 ? "" : ` (${aside.join(", ")})`,
      ].join("");
    },
  });
  return { write: (line) => output.write(format(line)) };
}

/** Fields as JSON can hold them: bigints as digits, errors with their message, secrets masked. */
function plain(value: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, toPlain(one, name, 0)]));
}

function toPlain(value: unknown, name: string, depth: number): unknown {
  if (value !== undefined && SECRET_NAMES.includes(name)) return MASK;
  if (typeof value === "bigint") return value.toString();
  if (value instanceof Error) {
    // a programming error is looked for in the code; a failure of the world is told in its sentence
    const stack = [TypeError, ReferenceError, RangeError].some((kind) => value instanceof kind);
    return { name: value.name, message: value.message, ...(stack ? { stack: value.stack } : {}) };
  }
  if (typeof value !== "object" || value === null) return value;
  if (depth > 4) return "…";
  if (Array.isArray(value)) return value.map((one) => toPlain(one, "", depth + 1));
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, toPlain(one, key, depth + 1)]));
}

/** Removes from a whole line what no line may show. */
function cleaner(secrets: readonly string[]): (line: string) => string {
  const digest = (hex: string) => createHash("sha256").update(hex.toLowerCase()).digest("hex");
  const hidden = new Set(secrets.map((secret) => digest(secret.trim().replace(/^0x/i, ""))));
  return (line) => {
    const short = line.replace(/(https?:\/\/)([^\s"'<>\\)]+)/gi, (_, scheme: string, rest: string) => {
      const end = rest.search(/[/?#]/);
      const authority = end === -1 ? rest : rest.slice(0, end);
      const host = authority.slice(authority.lastIndexOf("@") + 1);
      return `${scheme}${host}${rest.slice(end === -1 ? rest.length : end).replace(/^\/$/, "") === "" ? "" : "/…"}`;
    });
    if (hidden.size === 0) return short;
    return short.replace(/(0x)?([0-9a-f]{64})(?![0-9a-f])/gi, (whole, _prefix, hex: string) =>
      hidden.has(digest(hex)) ? MASK : whole,
    );
  };
}
