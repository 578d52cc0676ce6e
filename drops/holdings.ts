/**
 * Who held how much of a series for how long, from what its token logged. Queued shares still earn and bear losses, so
 * they count for the controller of their request until they are finalised (SPEC section 11.5). Pure: the same events give
 * the same result anywhere, whether they come from a node or from the subgraph.
 */
import { min, WAD } from "../model/integer.ts";

interface Stamped {
  /** Time of the block, Unix seconds. */
  readonly time: number;
}

/** Events of a series' token, in the order of the chain. Addresses in any case; shares in wei of the token. */
export type HoldingEvent =
  | (Stamped & { readonly kind: "transfer"; readonly from: string; readonly to: string; readonly shares: bigint })
  /** RedeemRequest: follows the transfer of the shares into the token's escrow. */
  | (Stamped & {
      readonly kind: "request";
      readonly requestId: bigint;
      readonly controller: string;
      readonly shares: bigint;
    })
  /** Finalised: from the head of the queue. */
  | (Stamped & { readonly kind: "finalised"; readonly shares: bigint })
  /** RequestReturned: what was left of a request of a retired series went back. */
  | (Stamped & { readonly kind: "returned"; readonly requestId: bigint; readonly shares: bigint });

/** Wei of ETH for 1e18 shares from `time` on. */
export interface RatePoint {
  readonly time: number;
  readonly rate: bigint;
}

export interface Period {
  /** The series' token. */
  readonly series: string;
  /** Unix seconds; the period ends before `until`. */
  readonly from: number;
  readonly until: number;
  /** Rates in order of time; without them every share counts as 1 ETH, which is as good while rates hardly move. */
  readonly rates?: readonly RatePoint[];
}

export class DropError extends Error {
  override readonly name = "DropError";
}

const ZERO = `0x${"0".repeat(40)}`;

/**
 * Σ shares · rate · seconds of each holder in the period, in wei·1e18·seconds of ETH (divide by 1e18 · 3600 for the ETH-hours
 * that points programmes count). Keys in lower case; who has nothing is left out.
 */
export function holdings(events: readonly HoldingEvent[], period: Period): ReadonlyMap<string, bigint> {
  const { from, until } = period;
  if (!(from < until)) throw new DropError(`The period from ${from} to ${until} has no second. Name a later end.`);
  const clock = clockOf(period);
  const escrow = period.series.toLowerCase();
  const shares = new Map<string, bigint>();
  const weights = new Map<string, bigint>();
  const since = new Map<string, number>();
  const queue: { readonly id: bigint; readonly controller: string; left: bigint }[] = [];
  let head = 0;

  const settle = (account: string, time: number) => {
    const grown = (shares.get(account) ?? 0n) * (clock(time) - clock(since.get(account) ?? time));
    if (grown > 0n) weights.set(account, (weights.get(account) ?? 0n) + grown);
    since.set(account, time);
  };
  const change = (account: string, amount: bigint, time: number) => {
    if (account === escrow || account === ZERO) return; // what lies in escrow is its controllers'
    settle(account, time);
    const now = (shares.get(account) ?? 0n) + amount;
    if (now < 0n) throw new DropError(`${account} gave away more than it had at ${time}: events are missing.`);
    shares.set(account, now);
  };

  let last = 0;
  for (const event of events) {
    if (event.time < last) throw new DropError(`The event at ${event.time} comes after one at ${last}: sort them.`);
    last = event.time;
    if (event.time >= until) break;
    if (event.kind === "transfer") {
      change(event.from.toLowerCase(), -event.shares, event.time);
      change(event.to.toLowerCase(), event.shares, event.time);
    } else if (event.kind === "request") {
      const controller = event.controller.toLowerCase();
      queue.push({ id: event.requestId, controller, left: event.shares });
      change(controller, event.shares, event.time);
    } else if (event.kind === "returned") {
      const found = queue.find(({ id }) => id === event.requestId);
      if (!found || found.left < event.shares)
        throw new DropError(`Request ${event.requestId} was returned and is not in the queue: events are missing.`);
      found.left -= event.shares;
      change(found.controller, -event.shares, event.time);
    } else {
      let left = event.shares;
      while (left > 0n) {
        const first = queue[head];
        if (!first) throw new DropError(`More was finalised at ${event.time} than was queued: events are missing.`);
        const part = min(first.left, left);
        first.left -= part;
        left -= part;
        change(first.controller, -part, event.time);
        if (first.left === 0n) head++;
      }
    }
  }
  for (const account of shares.keys()) settle(account, until);
  return new Map([...weights].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** ∫ rate dt from the period's start to a time, 0 before it. */
function clockOf({ from, until, rates = [] }: Period): (time: number) => bigint {
  for (const [i, point] of rates.entries()) {
    const before = rates[i - 1];
    if (before && before.time > point.time) throw new DropError("The rates are not in order of time: sort them.");
  }
  const steps = rates.filter(({ time }) => time > from && time < until);
  const first = rates.filter(({ time }) => time <= from).at(-1)?.rate ?? rates[0]?.rate ?? WAD;
  const points = [{ time: from, rate: first }, ...steps];
  const sums = [0n];
  for (let i = 1; i < points.length; i++) {
    const [a, b] = [points[i - 1], points[i]];
    if (a && b) sums.push((sums[i - 1] ?? 0n) + a.rate * BigInt(b.time - a.time));
  }
  return (time) => {
    const at = Math.min(time, until);
    if (at <= from) return 0n;
    let low = 0;
    let high = points.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if ((points[middle]?.time ?? 0) <= at) low = middle;
      else high = middle;
    }
    const point = points[low];
    return point ? (sums[low] ?? 0n) + point.rate * BigInt(at - point.time) : 0n;
  };
}
