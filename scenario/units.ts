/** Amounts, durations and rates as people write them ("100 ETH", "14 days", "2.8 %"), and back. */

export const WAD = 10n ** 18n;
export const BPS = 10_000n;
export const DAY = 86_400;
export const BLOCK_SECONDS = 12;
export const BLOCKS_PER_DAY = DAY / BLOCK_SECONDS;

/** What is wrong with a value, and what to write instead. */
export class UnitError extends Error {
  override readonly name = "UnitError";
}

const DECIMAL = String.raw`(-?\d[\d_,]*(?:\.\d+)?)`;
const ETH = new RegExp(`^${DECIMAL}\\s*(ETH|WETH|gwei|wei)$`);
const TIME = new RegExp(`^${DECIMAL}\\s*(seconds?|minutes?|hours?|days?|weeks?|blocks?)$`);
const RATE = new RegExp(`^${DECIMAL}\\s*(%|bps)$`);

const ETH_DECIMALS: Readonly<Record<string, number>> = { ETH: 18, WETH: 18, gwei: 9, wei: 0 };
const SECONDS: Readonly<Record<string, number>> = {
  second: 1,
  minute: 60,
  hour: 3600,
  day: DAY,
  week: 7 * DAY,
  block: BLOCK_SECONDS,
};

/** A decimal number times 10^decimals, exactly; undefined where it has more places than that. */
function scale(text: string, decimals: number): bigint | undefined {
  const plain = text.replace(/[_,]/g, "");
  const negative = plain.startsWith("-");
  const [whole = "0", places = ""] = plain.replace("-", "").split(".");
  const kept = places.replace(/0+$/, "");
  if (kept.length > decimals) return undefined;
  const value = BigInt(whole) * 10n ** BigInt(decimals) + BigInt(kept.padEnd(decimals, "0") || "0");
  return negative ? -value : value;
}

const shown = (value: unknown): string => (typeof value === "string" ? `"${value}"` : String(value));

/** Wei. */
export function parseEth(value: unknown): bigint {
  const match = typeof value === "string" ? ETH.exec(value.trim()) : null;
  const [, number, unit] = match ?? [];
  if (number === undefined || unit === undefined) {
    throw new UnitError(`${shown(value)} is no amount of ETH. Write a number and its unit, such as "100 ETH".`);
  }
  const wei = scale(number, ETH_DECIMALS[unit] ?? 0);
  if (wei === undefined)
    throw new UnitError(`${shown(value)} is finer than a wei. Use at most 18 decimal places of ETH.`);
  if (wei <= 0n) throw new UnitError(`${shown(value)} is not positive. Amounts are above 0.`);
  return wei;
}

/** Whole seconds. */
export function parseDuration(value: unknown): number {
  const match = typeof value === "string" ? TIME.exec(value.trim()) : null;
  const [, number, unit] = match ?? [];
  if (number === undefined || unit === undefined) {
    throw new UnitError(`${shown(value)} is no duration. Write a number and its unit, such as "14 days" or "6 hours".`);
  }
  const seconds = Number(number.replace(/[_,]/g, "")) * (SECONDS[unit.replace(/s$/, "")] ?? 0);
  if (!Number.isInteger(seconds) || seconds <= 0) {
    throw new UnitError(`${shown(value)} is not a whole, positive number of seconds.`);
  }
  return seconds;
}

/** WAD; may be negative. */
export function parseRate(value: unknown): bigint {
  const match = typeof value === "string" ? RATE.exec(value.trim()) : null;
  const [, number, unit] = match ?? [];
  if (number === undefined || unit === undefined) {
    throw new UnitError(`${shown(value)} is no rate. Write a number and a per cent sign, such as "2.8 %".`);
  }
  const wad = scale(number, unit === "%" ? 16 : 14);
  if (wad === undefined) throw new UnitError(`${shown(value)} has too many decimal places.`);
  return wad;
}

/** Basis points; the rate must be a whole number of them and lie in [0, 100 %]. */
export function parseBps(value: unknown): number {
  const wad = parseRate(value);
  const unit = WAD / BPS;
  if (wad < 0n || wad > WAD) throw new UnitError(`${shown(value)} must lie between 0 % and 100 %.`);
  if (wad % unit !== 0n) throw new UnitError(`${shown(value)} is finer than a basis point. Use steps of 0.01 %.`);
  return Number(wad / unit);
}

/** A part of something, WAD, in (0, 100 %]. */
export function parsePart(value: unknown): bigint {
  const wad = parseRate(value);
  if (wad <= 0n || wad > WAD) throw new UnitError(`${shown(value)} must be above 0 % and at most 100 %.`);
  return wad;
}

const groups = (digits: string): string => digits.replace(/\B(?=(\d{3})+$)/g, ",");

/** A fixed number of places, cut towards zero, thousands separated. */
export function formatUnits(value: bigint, decimals: number, places: number): string {
  const negative = value < 0n;
  const cut = (negative ? -value : value) / 10n ** BigInt(decimals - places);
  const text = cut.toString().padStart(places + 1, "0");
  const whole = groups(text.slice(0, text.length - places));
  const sign = negative && cut > 0n ? "-" : "";
  return places === 0 ? `${sign}${whole}` : `${sign}${whole}.${text.slice(text.length - places)}`;
}

export const formatEth = (wei: bigint, places = 2): string => formatUnits(wei, 18, places);
export const formatPercent = (wad: bigint, places = 2): string => `${formatUnits(wad, 16, places)} %`;

export function formatDuration(seconds: number): string {
  for (const [name, size] of [
    ["day", DAY],
    ["hour", 3600],
    ["minute", 60],
  ] as const) {
    if (seconds % size === 0) return `${seconds / size} ${name}${seconds === size ? "" : "s"}`;
  }
  return `${seconds} seconds`;
}
