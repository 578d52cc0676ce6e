/** Ids of entities, constants, and the tally of events. Numbers in ids are big-endian bytes. */
import { Address, BigDecimal, BigInt, Bytes, dataSource, ethereum } from "@graphprotocol/graph-ts";
import { EventTally } from "../generated/schema";

export const SCHEMA_VERSION = "1.0.0";

export const ZERO = BigInt.zero();
export const ONE = BigInt.fromI32(1);
export const WAD = BigInt.fromI32(10).pow(18);
export const RAY = BigInt.fromI32(10).pow(27);
export const BPS = BigInt.fromI32(10_000);
export const NO_ADDRESS = Address.zero();
export const NO_DECIMAL = BigDecimal.zero();

/** Length of a period in seconds, and what marks it in a snapshot's id. */
export const HOUR = 3_600;
export const DAY = 86_400;
export const YEAR = 365 * DAY;
export const HOUR_MARK = 1;
export const DAY_MARK = 2;

function bytes(value: u64, length: i32): Bytes {
  const result = new Bytes(length);
  for (let i = length - 1; i >= 0; i--) {
    result[i] = u8(value & 0xff);
    value >>= 8;
  }
  return result;
}

/** `id`, then a number in one byte. */
export function byte(id: Bytes, number: i32): Bytes {
  return id.concat(bytes(number, 1));
}

/** `id`, then a number in four bytes. */
export function number4(id: Bytes, number: i32): Bytes {
  return id.concat(bytes(number, 4));
}

/** `tier`, then 01 (senior) or 00 (junior). */
export function tierTranche(tier: Bytes, senior: boolean): Bytes {
  return byte(tier, senior ? 1 : 0);
}

/** An owner's snapshot: `owner`, 01 (hour) or 02 (day), the period's number in four bytes. */
export function snapshotId(owner: Bytes, mark: i32, period: i32): Bytes {
  return number4(byte(owner, mark), period);
}

/** The event's transaction, then its log index in four bytes. */
export function eventId(event: ethereum.Event): Bytes {
  return number4(event.transaction.hash, event.logIndex.toI32());
}

/** Counts an event, as in `tally("Tier.Synced")`: the first thing that every handler does. */
export function tally(kind: string): void {
  let entry = EventTally.load(kind);
  if (entry == null) {
    entry = new EventTally(kind);
    entry.count = 0;
  }
  entry.count += 1;
  entry.save();
}

/** The tier that the running template's contract belongs to: the factory's handlers gave it along. */
export function tierOf(): Bytes {
  return dataSource.context().getBytes("tier");
}

/** floor(a·b/c); 0 where c is 0. */
export function mulDiv(a: BigInt, b: BigInt, c: BigInt): BigInt {
  return c.isZero() ? ZERO : a.times(b).div(c);
}

/** ceil(a·b/c) for amounts that are not negative; 0 where c is 0. */
export function mulDivUp(a: BigInt, b: BigInt, c: BigInt): BigInt {
  return c.isZero() ? ZERO : a.times(b).plus(c).minus(ONE).div(c);
}

export function min(a: BigInt, b: BigInt): BigInt {
  return a.lt(b) ? a : b;
}

export function max(a: BigInt, b: BigInt): BigInt {
  return a.gt(b) ? a : b;
}
