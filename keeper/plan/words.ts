/** Numbers and times as an operator reads them at three in the morning. */
import { U_MAX } from "../../model/exposure.ts";
import { WAD } from "../../model/integer.ts";

const TENTH_OF_MILLI = 10n ** 14n;

/** "120.5 ETH": four decimals, rounded down; less is given in wei. */
export function eth(wei: bigint): string {
  if (wei < 0n) return `-${eth(-wei)}`;
  if (wei < TENTH_OF_MILLI) return wei === 0n ? "0 ETH" : `${wei} wei`;
  return `${decimal(wei / TENTH_OF_MILLI, 4)} ETH`;
}

/** "19.25 %" of a WAD. */
export const percent = (part: bigint, whole = WAD): string =>
  whole === 0n ? "0 %" : `${decimal((part * 10_000n) / whole, 2)} %`;

/** "1.234", rounded up, so that what is not covered never reads as covered. */
export function utilisation(u: bigint): string {
  if (u >= U_MAX) return "without bound (there is no cover)";
  return decimal((u + 10n ** 15n - 1n) / 10n ** 15n, 3);
}

/** "3 days", "5 hours", "40 seconds": two units at most are never needed. */
export function duration(seconds: number): string {
  const [size, unit] = seconds >= 172_800 ? [86_400, "day"] : seconds >= 7_200 ? [3_600, "hour"] : [60, "minute"];
  const count = Math.ceil(seconds / size);
  return `${count} ${unit}${count === 1 ? "" : "s"}`;
}

/** Blocks of twelve seconds, as time. */
export const blocks = (count: number): string => `${count} block${count === 1 ? "" : "s"} (${duration(count * 12)})`;

/** "1, 2 and 5". */
export function list(values: readonly (string | number)[]): string {
  if (values.length < 2) return values.join("");
  return `${values.slice(0, -1).join(", ")} and ${values.at(-1)}`;
}

export const count = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? "" : "s"}`;

/** "0x1234…cdef". */
export const short = (address: string): string => `${address.slice(0, 6)}…${address.slice(-4)}`;

function decimal(scaled: bigint, digits: number): string {
  const base = 10n ** BigInt(digits);
  const fraction = (scaled % base).toString().padStart(digits, "0").replace(/0+$/, "");
  return fraction === "" ? `${scaled / base}` : `${scaled / base}.${fraction}`;
}
