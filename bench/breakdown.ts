/**
 * Where the gas of a transaction went, from the steps that `debug_traceTransaction` reports: by contract, and by what
 * the gas was paid for. Pure. The lines add up to the receipt's gas, or it throws.
 */
import * as z from "zod";

export interface Step {
  readonly op: string;
  readonly gas: number;
  readonly gasCost: number;
  readonly depth: number;
  readonly stack: readonly string[];
  readonly error?: unknown;
}

/** By hand: a trace has a hundred thousand steps. */
const isStep = (value: unknown): value is Step => {
  const { op, gas, gasCost, depth, stack } = value as Record<string, unknown>;
  return (
    typeof op === "string" &&
    [gas, gasCost, depth].every(Number.isSafeInteger) &&
    Array.isArray(stack) &&
    (stack.length === 0 || typeof stack.at(-1) === "string")
  );
};
export const traceSchema = z.object({
  structLogs: z.custom<readonly Step[]>((value) => Array.isArray(value) && value.every(isStep)),
});

/** In the order of the page's columns. */
export const CLASSES = [
  "cold accounts",
  "cold slots",
  "warm reads",
  "new slots",
  "changed slots",
  "other writes",
  "logs",
  "calls",
  "hashing",
  "compute",
] as const;
export type Class = (typeof CLASSES)[number];

export interface Line {
  readonly contract: string;
  readonly gas: Readonly<Record<Class, number>>;
  readonly total: number;
}

export interface Breakdown {
  /** 21,000 and calldata. */
  readonly base: number;
  readonly lines: readonly Line[];
  readonly refund: number;
  readonly total: number;
}

/** Names of contracts by address in lower case. Code behind a proxy without a name of its own counts as the proxy. */
export type Labels = ReadonlyMap<string, string>;

const CALLS = new Set(["CALL", "CALLCODE", "DELEGATECALL", "STATICCALL"]);
const CREATES = new Set(["CREATE", "CREATE2"]);
const ENDS = new Set(["RETURN", "STOP", "REVERT", "SELFDESTRUCT"]);
const ACCOUNT_READS = new Set(["EXTCODESIZE", "EXTCODEHASH", "EXTCODECOPY", "BALANCE"]);
const COLD_SLOT = 2_100;
const COLD_ACCOUNT = 2_600;
const WARM = 100;

interface Frame {
  readonly contract: string;
  /** Own costs. */
  readonly gas: Record<Class, number>;
}

const none = (): Record<Class, number> => Object.fromEntries(CLASSES.map((name) => [name, 0])) as Record<Class, number>;

/** Gas that the transaction pays before its first step. */
export function intrinsic(data: string): number {
  const bytes = Buffer.from(data.replace(/^0x/, ""), "hex");
  return bytes.reduce((sum, byte) => sum + (byte === 0 ? 4 : 16), 21_000);
}

export function breakdown(
  transaction: { readonly to: string; readonly data: string; readonly gasUsed: number },
  steps: readonly Step[],
  labels: Labels,
): Breakdown {
  const named = (address: string, otherwise: string) => labels.get(address) ?? otherwise;
  const totals = new Map<string, Record<Class, number>>();
  const of = (contract: string) => {
    const found = totals.get(contract) ?? none();
    totals.set(contract, found);
    return found;
  };
  const frames: Frame[] = [];
  const open = (contract: string) => frames.push({ contract, gas: of(contract) });
  open(named(transaction.to.toLowerCase(), "other"));

  let executed = 0;
  for (const [i, current] of steps.entries()) {
    while (frames.length > current.depth) frames.pop();
    const frame = frames[current.depth - 1];
    if (!frame) throw new Error(`The trace enters depth ${current.depth} without a call.`);
    const own = ownCost(steps, i);
    executed += own;
    for (const [name, gas] of split(current, own)) frame.gas[name] += gas;
    if (entered(steps, i)) open(nameOf(current, frame, named));
  }
  const base = intrinsic(transaction.data);
  const refund = base + executed - transaction.gasUsed;
  if (refund < 0 || refund > Math.ceil((base + executed) / 5))
    throw new Error(`The trace holds ${executed} gas, which does not make ${transaction.gasUsed} of the receipt.`);
  const lines = [...totals]
    .map(([contract, gas]) => ({ contract, gas, total: CLASSES.reduce((sum, name) => sum + gas[name], 0) }))
    .sort((a, b) => b.total - a.total);
  return { base, lines, refund, total: transaction.gasUsed };
}

const entered = (steps: readonly Step[], i: number): boolean =>
  (steps[i + 1]?.depth ?? 0) > (steps[i]?.depth ?? Number.POSITIVE_INFINITY);

/** What a step took itself: for a call, what is left after what the callee used. */
function ownCost(steps: readonly Step[], i: number): number {
  const current = steps[i] as Step;
  if (!CALLS.has(current.op) && !CREATES.has(current.op)) return ending(current) ? lastCost(current) : current.gasCost;
  if (!entered(steps, i)) {
    const after = steps[i + 1];
    return after ? current.gas - after.gas : current.gasCost;
  }
  let end = i + 1;
  while ((steps[end + 1]?.depth ?? 0) > current.depth) end++;
  const first = steps[i + 1] as Step;
  const last = steps[end] as Step;
  const left = ENDS.has(last.op) && last.error === undefined ? last.gas - last.gasCost : 0;
  const after = steps[end + 1];
  if (after === undefined) throw new Error("The trace ends within a call.");
  return current.gas - after.gas - (first.gas - left);
}

const ending = (current: Step) => current.error !== undefined || current.op === "INVALID";
const lastCost = (current: Step) => current.gas; // a step that fails takes all that is there

function nameOf(current: Step, frame: Frame, named: (address: string, otherwise: string) => string): string {
  const target = current.stack.at(-2);
  if (target === undefined || CREATES.has(current.op)) return "created";
  const address = `0x${BigInt(target).toString(16).padStart(40, "0").slice(-40)}`;
  return named(address, current.op === "DELEGATECALL" ? frame.contract : "other");
}

function split(current: Step, own: number): [Class, number][] {
  const { op } = current;
  if (op === "SLOAD") return own >= COLD_SLOT ? [["cold slots", own]] : [["warm reads", own]];
  if (op === "TLOAD") return [["warm reads", own]];
  if (op === "TSTORE") return [["other writes", own]];
  if (op === "SSTORE") {
    // 20,000 for a slot that was zero, 2,900 for another, 100 where it was written before or stays; 2,100 more if cold
    const cold = own === 22_100 || own === 5_000 || own === 2_200 ? COLD_SLOT : 0;
    const rest = own - cold;
    const kind: Class = rest >= 20_000 ? "new slots" : rest >= 2_900 ? "changed slots" : "other writes";
    return cold > 0
      ? [
          ["cold slots", cold],
          [kind, rest],
        ]
      : [[kind, rest]];
  }
  if (CALLS.has(op) || ACCOUNT_READS.has(op)) {
    const cold = own >= COLD_ACCOUNT ? COLD_ACCOUNT - WARM : 0;
    return [
      ["cold accounts", cold],
      ["calls", own - cold],
    ];
  }
  if (op.startsWith("LOG")) return [["logs", own]];
  if (op === "KECCAK256" || op === "SHA3") return [["hashing", own]];
  return [["compute", own]];
}
