/** Numbers as GraphQL carries them. */

export const RAY = 10n ** 27n;
export const WAD = 10n ** 18n;
const DIGITS = 18;

/** a / b with 18 decimals, rounded down (towards zero), without trailing zeros; null for b = 0. */
export function ratio(a: bigint, b: bigint): string | null {
  return b === 0n ? null : decimal((a * WAD) / b, DIGITS);
}

/** n / 10^decimals, exactly. */
export function decimal(n: bigint, decimals: number): string {
  const sign = n < 0n ? "-" : "";
  const digits = (n < 0n ? -n : n).toString().padStart(decimals + 1, "0");
  const fraction = digits.slice(digits.length - decimals).replace(/0+$/, "");
  return `${sign}${digits.slice(0, digits.length - decimals)}${fraction === "" ? "" : `.${fraction}`}`;
}

export const ceilDiv = (a: bigint, b: bigint): bigint => (a + b - 1n) / b;
export const min = (a: bigint, b: bigint): bigint => (a < b ? a : b);
export const max = (a: bigint, b: bigint): bigint => (a > b ? a : b);
export const positive = (a: bigint): bigint => (a > 0n ? a : 0n);
export const sum = (list: readonly bigint[]): bigint => list.reduce((a, b) => a + b, 0n);

/** Positions of the bits that are set. */
export function bits(map: bigint): number[] {
  const list: number[] = [];
  for (let i = 0; map >> BigInt(i); i++) if ((map >> BigInt(i)) & 1n) list.push(i);
  return list;
}

/** The values by their keys, in the order in which they come. */
export function groupBy<K, V>(values: readonly V[], key: (value: V) => K): Map<K, V[]> {
  const groups = new Map<K, V[]>();
  for (const value of values) groups.set(key(value), [...(groups.get(key(value)) ?? []), value]);
  return groups;
}
