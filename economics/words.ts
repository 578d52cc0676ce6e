/** Figures and names as people read them. */
import { formatPercent } from "../scenario/units.ts";

/** A part or rate in WAD, rounded to the nearest, as people expect of figures that they compare. */
export function percent(wad: bigint, places = 2): string {
  const half = 5n * 10n ** BigInt(15 - places);
  return formatPercent(wad < 0n ? wad - half : wad + half, places);
}

/** Addresses of 42 characters become 0x1234…abcd. */
export const short = (text: string): string =>
  text.replace(/0x([0-9a-fA-F]{4})[0-9a-fA-F]{32}([0-9a-fA-F]{4})/g, "0x$1…$2");

/** "the largest group", "the 2 largest groups". */
export const largestGroups = (k: number): string => (k === 1 ? "the largest group" : `the ${k} largest groups`);
