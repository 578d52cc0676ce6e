/** Integer helpers with the roundings of the contracts. All operands are non-negative. */

/** 1e18, the unit of rates and of utilisation. */
export const WAD = 10n ** 18n;

/** A year of 365 days, in seconds. */
export const YEAR = 365n * 86_400n;

/** The smaller of two. */
export const min = (a: bigint, b: bigint): bigint => (a < b ? a : b);

/** The larger of two. */
export const max = (a: bigint, b: bigint): bigint => (a > b ? a : b);

/** a / b, rounded up; `b` > 0. */
export const ceilDiv = (a: bigint, b: bigint): bigint => (a + b - 1n) / b;

/** a - b, or 0 where that is negative. */
export const subtract = (a: bigint, b: bigint): bigint => (a > b ? a - b : 0n);

/** The sum of a list. */
export const sum = (values: readonly bigint[]): bigint => values.reduce((total, value) => total + value, 0n);
