/** What a block's header says about the logs in it, without asking for them. */
import { getBytes, keccak256 } from "ethers";

const BITS = 2048;

/**
 * Whether a block with this `logsBloom` may hold a log of any of these contracts with any of these first topics. False is
 * certain; true may be chance (about one block of ten on a busy chain). Yellow paper, section 4.3.1.
 */
export function mayHold(logsBloom: string, addresses: readonly string[], topics: readonly string[]): boolean {
  const bloom = getBytes(logsBloom);
  const has = (value: string): boolean =>
    positions(value).every((position) => {
      const byte = bloom[BITS / 8 - 1 - (position >> 3)] ?? 0;
      return (byte & (1 << (position & 7))) !== 0;
    });
  return addresses.some(has) && topics.some(has);
}

const known = new Map<string, readonly number[]>();

/** The three bits that a value sets. Remembered: the same few contracts and topics are asked for at every block. */
function positions(value: string): readonly number[] {
  const key = value.toLowerCase();
  const found = known.get(key);
  if (found) return found;
  const hash = getBytes(keccak256(key));
  const bits = [0, 2, 4].map((i) => (((hash[i] ?? 0) << 8) | (hash[i + 1] ?? 0)) & (BITS - 1));
  if (known.size < 1000) known.set(key, bits);
  return bits;
}
