/**
 * The gateway's log: a JSON line for each request that is not a probe, and for what goes wrong inside. Queries, variables
 * and headers are not in it, and addresses of RPCs lose their path and query, where providers put keys.
 */
import { type Logger, pino } from "pino";
import type { GatewayOptions } from "../types.ts";

export type Log = Logger;

export interface LogOutput {
  write(line: string): unknown;
}

const hidden = (line: string): string =>
  line.replace(
    /(https?:\/\/)([^\s"'<>\\)/?#]+)([/?#][^\s"'<>\\)]*)?/gi,
    (_, scheme: string, where: string, rest?: string) => {
      const host = where.slice(where.lastIndexOf("@") + 1);
      return `${scheme}${host}${rest === undefined || rest === "/" ? "" : "/…"}`;
    },
  );

export function createLog(level: GatewayOptions["logLevel"], output: LogOutput = process.stderr): Log {
  return pino(
    {
      level,
      base: null,
      messageKey: "message",
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: (line: string) => void output.write(hidden(line)) },
  );
}
