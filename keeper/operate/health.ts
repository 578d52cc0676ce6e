/** What /livez and /readyz say, from what the daemon knows of itself. Pure: times are given, in wall clock seconds. */
import type { Config } from "../config/schema.ts";
import { formatEth } from "./log.ts";
import type { Health } from "./server.ts";

export interface Vitals {
  readonly now: number;
  readonly startedAt: number;
  /** When the loop last finished a turn, well or not. */
  readonly lastStep?: number | undefined;
  /** Sentences of the boot checks that failed; undefined while they run. */
  readonly boot?: readonly string[] | undefined;
  /** When a new head was last seen, and that head's own time. */
  readonly head?: { readonly seenAt: number; readonly timestamp: number } | undefined;
  /** What is wrong with the journal. */
  readonly journal?: string | undefined;
  /** Wei; undefined without a wallet or before it was asked for. */
  readonly balance?: bigint | undefined;
  readonly minBalance: bigint;
  readonly config: Pick<Config, "dry_run"> & { readonly chain: Config["chain"] };
}

/** Turns that may pass without a sign of life: one may wait for all RPCs, several times over. */
const PATIENCE = 10;

/** A keeper that fails this does not turn any more: restart it. */
export function liveness(vitals: Vitals): readonly Health[] {
  const { poll_seconds: poll, timeout_seconds: timeout } = vitals.config.chain;
  const limit = PATIENCE * (poll + timeout);
  const age = vitals.now - (vitals.lastStep ?? vitals.startedAt);
  return [
    {
      name: "loop",
      fault: age > limit ? `no turn ended for ${Math.round(age)} s, ${Math.round(limit)} s are allowed` : undefined,
    },
  ];
}

/** A keeper that fails this lives, and cannot do all of its work. */
export function readiness(vitals: Vitals): readonly Health[] {
  return [
    ...liveness(vitals),
    { name: "boot checks", fault: bootFault(vitals) },
    { name: "head", fault: headFault(vitals) },
    { name: "journal", fault: vitals.journal },
    { name: "wallet", fault: walletFault(vitals) },
  ];
}

function bootFault({ boot }: Vitals): string | undefined {
  if (boot === undefined) return "they have not passed yet";
  return boot.length === 0 ? undefined : boot.join("; ");
}

function headFault({ head, now, config }: Vitals): string | undefined {
  if (head === undefined) return "no head was seen yet: does an RPC answer?";
  const limit = config.chain.max_head_age_seconds;
  if (limit === 0) return undefined;
  // the older of the two: a chain that stands still, or an RPC whose chain does
  const age = Math.round(now - Math.min(head.seenAt, head.timestamp));
  return age > limit ? `the last one is ${age} s old, ${limit} s are allowed: look at the RPCs` : undefined;
}

function walletFault({ balance, minBalance, config }: Vitals): string | undefined {
  if (config.dry_run || balance === undefined || balance >= minBalance) return undefined;
  return `${formatEth(balance)} is less than ${formatEth(minBalance)} (fees.min_balance_eth): send it ETH`;
}
