/** `Upkeep` as the sender calls it, and how much gas its calls are given. */
import { getBytes, Interface } from "ethers";
import * as z from "zod";
import type { TransactionReceipt } from "../chain/types.ts";
import type { Action } from "../plan/types.ts";
import { MAX_TRANSACTION_GAS } from "./fees.ts";

export const UPKEEP = new Interface([
  "function perform((address target, uint256 gas, bytes data)[] calls) returns (bool[] done)",
  "function simulate((address target, uint256 gas, bytes data)[] calls) returns ((bool success, uint256 gasUsed, bytes answer, uint256 gas)[] results)",
  "event Performed(uint256 indexed index, address indexed target, bytes4 indexed selector, bool success, uint256 gasUsed, bytes failure)",
  "error NothingDone()",
  "error InsufficientGas(uint256 index, uint256 available, uint256 needed)",
]);

/** What a call would do; `gas` is what it has to be given to pass, `gasUsed` what it uses of that. */
export interface Simulated {
  readonly success: boolean;
  readonly gasUsed: bigint;
  readonly answer: string;
  readonly gas: bigint;
}

const results = z.array(z.object({ success: z.boolean(), gasUsed: z.bigint(), answer: z.string(), gas: z.bigint() }));

/** A call may need a quarter more than in the simulation: other transactions come before it. */
const MARGIN_NUMERATOR = 5n;
const MARGIN_DENOMINATOR = 4n;
/**
 * What a transaction may use beyond that, for its calls to share: a slash that lands before it makes the first sync dearer by
 * half a million (docs/benchmarks.md, eight agents), several and stale sets by more. Gas that is not used is not paid.
 */
const SURPRISE = 1_500_000n;
/** Of `perform` for each call: the touch of its target, its event, the loop; and reading it. */
const CALL_OVERHEAD = 25_000n;
const READING = 5_000n;
const OVERHEAD = 30_000n;
const INTRINSIC = 21_000n;

export function encodeSimulate(actions: readonly Action[]): string {
  return UPKEEP.encodeFunctionData("simulate", [actions.map(({ call }) => [call.target, 0n, call.data])]);
}

/** Throws where the answer is not one result for each of `count` calls. */
export function decodeSimulate(answer: string, count: number): readonly Simulated[] {
  const [list] = UPKEEP.decodeFunctionResult("simulate", answer);
  const decoded = results.parse(
    Array.from(list as Iterable<Simulated>, ({ success, gasUsed, answer, gas }) => ({ success, gasUsed, answer, gas })),
  );
  if (decoded.length !== count)
    throw new Error(`Upkeep.simulate answers ${decoded.length} results for ${count} calls.`);
  return decoded;
}

/** A call that passed, and what it needs. */
export interface Passed {
  readonly action: Action;
  readonly gasUsed: bigint;
  readonly gas: bigint;
}

export interface Performance {
  readonly actions: readonly Action[];
  /** Gas that each used in the simulation. */
  readonly shares: readonly bigint[];
  readonly data: string;
  /** What its calls ask for. */
  readonly gasNeeded: bigint;
  /** The same with gas for surprises. */
  readonly gasLimit: bigint;
}

/** The least that a call must be given when it is performed. */
const asked = (gas: bigint): bigint => (gas * MARGIN_NUMERATOR + MARGIN_DENOMINATOR - 1n) / MARGIN_DENOMINATOR;

/**
 * The longest beginning of `passed` that fits into one transaction (EIP-7825); the rest waits for the next. None where the
 * first alone is too large.
 */
export function performance(passed: readonly Passed[], limit: bigint = MAX_TRANSACTION_GAS): Performance | undefined {
  const whole = performanceOf(passed);
  if (whole.gasNeeded <= limit) return prepared(whole, limit);
  // more calls take more gas, so the longest that fits is found by halving
  let [fits, tooMany] = [0, passed.length];
  while (tooMany - fits > 1) {
    const middle = Math.floor((fits + tooMany) / 2);
    if (performanceOf(passed.slice(0, middle)).gasNeeded <= limit) fits = middle;
    else tooMany = middle;
  }
  return fits === 0 ? undefined : prepared(performanceOf(passed.slice(0, fits)), limit);
}

/** For what may happen between simulation and inclusion. */
const prepared = (job: Omit<Performance, "gasLimit">, limit: bigint): Performance => ({
  ...job,
  gasLimit: job.gasNeeded + SURPRISE < limit ? job.gasNeeded + SURPRISE : limit,
});

function performanceOf(passed: readonly Passed[]): Omit<Performance, "gasLimit"> {
  const gas = passed.map((one) => asked(one.gas));
  const calls = passed.map(({ action }, i) => [action.call.target, gas[i], action.call.data]);
  const data = UPKEEP.encodeFunctionData("perform", [calls]);
  return {
    actions: passed.map(({ action }) => action),
    shares: passed.map(({ gasUsed }) => gasUsed),
    data,
    gasNeeded: gasFor(data, gas),
  };
}

/** For `perform` with calls that ask for so much gas: a call gets at most 63/64 of what is left (EIP-150). */
export function gasFor(data: string, gas: readonly bigint[]): bigint {
  const calls = gas.reduce((sum, one) => sum + one + one / 63n + CALL_OVERHEAD + READING, 0n);
  const execution = INTRINSIC + calldataGas(data, 4n, 16n) + OVERHEAD + calls;
  const floor = INTRINSIC + calldataGas(data, 10n, 40n); // EIP-7623
  return execution > floor ? execution : floor;
}

function calldataGas(data: string, zero: bigint, other: bigint): bigint {
  let zeros = 0;
  const bytes = getBytes(data);
  for (const byte of bytes) if (byte === 0) zeros++;
  return BigInt(zeros) * zero + BigInt(bytes.length - zeros) * other;
}

/** What the receipt's events say of each call. A call without an event was not made. */
export function performedBy(
  receipt: TransactionReceipt,
  upkeep: string,
  count: number,
): readonly { readonly done: boolean; readonly failure: string }[] {
  const calls = Array.from({ length: count }, () => ({ done: false, failure: "0x" }));
  for (const log of receipt.succeeded ? receipt.logs : []) {
    if (log.address.toLowerCase() !== upkeep.toLowerCase()) continue;
    const event = UPKEEP.parseLog({ topics: [...log.topics], data: log.data });
    if (event?.name !== "Performed") continue;
    const index = Number(event.args.getValue("index"));
    if (index < count)
      calls[index] = { done: Boolean(event.args.getValue("success")), failure: String(event.args.getValue("failure")) };
  }
  return calls;
}
