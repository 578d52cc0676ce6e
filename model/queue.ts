/**
 * Mirror of `contracts/libraries/Queue.sol`: one tranche's redemption queue on a line of cumulative shares.
 * Shares and assets in wei. Like the contract's storage, a `State` is changed in place by `push`, `finalise`, the claims
 * and `returnUnfinalised`; a call that throws has changed nothing. `copy` gives a state to try things on.
 */
import { ModelError } from "./errors.ts";
import { ceilDiv, max, min, subtract } from "./integer.ts";

/**
 * One redemption request; it owns [start, end) of the cumulative shares, `start` moves as it is claimed. The contract
 * deletes it once it is used up; here it only loses its controller.
 */
export interface Request {
  controller: string;
  readonly blockNumber: bigint;
  start: bigint;
  end: bigint;
}

/** State of the line after a finalisation, cumulative. */
export interface Checkpoint {
  readonly shares: bigint;
  readonly assets: bigint;
}

/** The requests of one controller; `credit` is what an exact withdrawal left over from its last share, in wei. */
export interface List {
  head: number;
  credit: bigint;
  readonly ids: number[];
}

/** The queue. `requests[id - 1]` is request `id`. */
export interface State {
  requested: bigint;
  finalised: bigint;
  assets: bigint;
  returned: bigint;
  readonly requests: Request[];
  readonly checkpoints: Checkpoint[];
  readonly byController: Map<string, List>;
}

/** An amount of shares and what it is worth. */
export interface Claim {
  readonly shares: bigint;
  readonly assets: bigint;
}

const NOBODY = `0x${"0".repeat(40)}`;

/** Most requests that one claim or one view of a controller looks at. */
export const MAX_SCAN = 32;

/** An empty queue. */
export function create(): State {
  return {
    requested: 0n,
    finalised: 0n,
    assets: 0n,
    returned: 0n,
    requests: [],
    checkpoints: [],
    byController: new Map(),
  };
}

/** A copy that shares nothing with the original. */
export function copy(state: State): State {
  return structuredClone(state);
}

/**
 * Appends a request and gives its id, from 1.
 * @throws ModelError `ZeroShares`, `QueueClosed(returned)`.
 */
export function push(state: State, controller: string, shares: bigint, blockNumber: bigint): number {
  assertOpen(state, shares);
  const start = state.requested;
  state.requested += shares;
  const id = state.requests.push({ controller, blockNumber, start, end: state.requested });
  const list = state.byController.get(controller);
  if (list === undefined) state.byController.set(controller, { head: 0, credit: 0n, ids: [id] });
  else list.ids.push(id);
  return id;
}

/**
 * Finalises the next shares of the line, worth `assets` together.
 * @throws ModelError `ZeroShares`, `QueueClosed(returned)`, `ExceedsPending(shares, pending)`.
 */
export function finalise(state: State, shares: bigint, assets: bigint): void {
  assertOpen(state, shares);
  const pending = state.requested - state.finalised;
  if (shares > pending) {
    throw new ModelError("ExceedsPending", [shares, pending], "finalise at most the pending shares.");
  }
  state.finalised += shares;
  state.assets += assets;
  state.checkpoints.push({ shares: state.finalised, assets: state.assets });
}

/** Shares that wait: requested, not finalised, not returned. */
export function pendingShares(state: State): bigint {
  return state.requested - state.finalised - state.returned;
}

/** Shares requested up to and including a block and not finalised yet; 0 once requests are given back. */
export function maturedShares(state: State, blockNumber: bigint): bigint {
  if (state.returned !== 0n) return 0n;
  const after = firstIndex(state.requests, (request) => request.blockNumber > blockNumber);
  return subtract(state.requests[after - 1]?.end ?? 0n, state.finalised);
}

/** A(s): what the first s shares of the line were paid together; linear between checkpoints, rounded down. */
export function assetsAt(state: State, shares: bigint): bigint {
  if (shares === 0n) return 0n;
  const index = firstIndex(state.checkpoints, (checkpoint) => checkpoint.shares >= shares);
  const { last, next } = piece(state, index);
  if (next === undefined) return state.assets;
  return last.assets + ((next.assets - last.assets) * (shares - last.shares)) / (next.shares - last.shares);
}

/**
 * The part of a request that still waits.
 * @throws ModelError `UnknownRequest(id, count)`.
 */
export function pendingOf(state: State, id: number): bigint {
  const request = requestOf(state, id);
  return subtract(request.end, max(request.start, state.finalised));
}

/**
 * The part of a request that can be claimed, without the controller's credit.
 * @throws ModelError `UnknownRequest(id, count)`.
 */
export function claimableOf(state: State, id: number): Claim {
  const request = requestOf(state, id);
  const end = min(request.end, state.finalised);
  if (end <= request.start) return { shares: 0n, assets: 0n };
  return { shares: end - request.start, assets: assetsAt(state, end) - assetsAt(state, request.start) };
}

/** What a controller can claim now from his 32 oldest requests that are not used up, his credit included. */
export function claimable(state: State, controller: string): Claim {
  const list = state.byController.get(controller);
  if (list === undefined) return { shares: 0n, assets: 0n };
  let shares = 0n;
  let assets = list.credit;
  for (const id of list.ids.slice(list.head, list.head + MAX_SCAN)) {
    const part = claimableOf(state, id);
    shares += part.shares;
    assets += part.assets;
  }
  return { shares, assets };
}

/**
 * Claims exactly so many finalised shares, oldest first, and the credit. Returns the assets paid.
 * @throws ModelError `ExceedsClaimable(requested, claimable)`.
 */
export function claimShares(state: State, controller: string, shares: bigint): bigint {
  const claim = plan(state, controller, shares, undefined);
  if (claim.shares < shares) throw exceeds(shares, claim.shares);
  const list = state.byController.get(controller);
  const credit = list?.credit ?? 0n;
  if (list !== undefined) list.credit = 0n;
  claim.apply();
  return claim.assets + credit;
}

/**
 * Claims exactly so many assets: out of the credit, then with the fewest shares that pay the rest, oldest first; what
 * the last request has behind them goes along where it is worth nothing. The excess becomes credit. Returns the shares.
 * @throws ModelError `ExceedsClaimable(requested, claimable)`.
 */
export function claimAssets(state: State, controller: string, assets: bigint): bigint {
  const list = state.byController.get(controller);
  const credit = list?.credit ?? 0n;
  if (assets <= credit) {
    if (list !== undefined) list.credit = credit - assets;
    return 0n;
  }
  const claim = plan(state, controller, undefined, assets - credit);
  if (list === undefined || claim.assets + credit < assets) throw exceeds(assets, claim.assets + credit);
  list.credit = claim.assets + credit - assets;
  claim.apply();
  return claim.shares;
}

/**
 * Cuts a request of a retired series at what is finalised and gives the rest back; from then on the queue is closed.
 * A used-up request has the controller zero and nothing to give back.
 * @throws ModelError `UnknownRequest(id, count)`.
 */
export function returnUnfinalised(state: State, id: number): { readonly controller: string; readonly shares: bigint } {
  const shares = pendingOf(state, id);
  const request = requestOf(state, id);
  request.end -= shares;
  state.returned += shares;
  return { controller: request.controller, shares };
}

/** What a claim takes, without taking it: at most `shares`, and no more than it needs to pay `assets`. */
function plan(
  state: State,
  controller: string,
  shares: bigint | undefined,
  assets: bigint | undefined,
): Claim & { apply(): void } {
  const list = state.byController.get(controller);
  const starts: { readonly request: Request; readonly start: bigint }[] = [];
  let taken = 0n;
  let paid = 0n;
  let head = list?.head ?? 0;
  const last = Math.min(list?.ids.length ?? 0, head + MAX_SCAN);
  while (head < last && taken !== shares && (assets === undefined || paid < assets)) {
    const id = list?.ids[head] ?? 0;
    const request = requestOf(state, id);
    if (request.start !== request.end) {
      let end = max(min(request.end, state.finalised), request.start);
      if (shares !== undefined) end = min(end, request.start + shares - taken);
      const before = assetsAt(state, request.start);
      const worth = assetsAt(state, end) - before;
      if (assets !== undefined && worth > assets - paid) {
        const enough = sharesFor(state, before + assets - paid);
        if (assetsAt(state, enough) - before !== worth) end = enough;
      }
      starts.push({ request, start: end });
      taken += end - request.start;
      paid += assetsAt(state, end) - before;
      if (end !== request.end) break;
    }
    ++head;
  }
  const apply = () => {
    for (const { request, start } of starts) request.start = start;
    if (list === undefined) return;
    for (const id of list.ids.slice(list.head, head)) requestOf(state, id).controller = NOBODY;
    list.head = head;
  };
  return { shares: taken, assets: paid, apply };
}

/** The smallest s with A(s) >= assets, for 0 < assets <= A(finalised). */
function sharesFor(state: State, assets: bigint): bigint {
  const index = firstIndex(state.checkpoints, (checkpoint) => checkpoint.assets >= assets);
  const { last, next } = piece(state, index);
  if (next === undefined) throw new RangeError(`no finalised shares pay ${assets} wei: claim what is claimable`);
  return last.shares + ceilDiv((assets - last.assets) * (next.shares - last.shares), next.assets - last.assets);
}

function piece(state: State, index: number): { readonly last: Checkpoint; readonly next: Checkpoint | undefined } {
  return { last: state.checkpoints[index - 1] ?? { shares: 0n, assets: 0n }, next: state.checkpoints[index] };
}

/** Binary search: the first index for which `test` holds, the length where none does. */
function firstIndex<T>(list: readonly T[], test: (item: T) => boolean): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const item = list[middle];
    if (item !== undefined && test(item)) high = middle;
    else low = middle + 1;
  }
  return low;
}

function requestOf(state: State, id: number): Request {
  const request = state.requests[id - 1];
  if (request === undefined) {
    const values = [BigInt(id), BigInt(state.requests.length)];
    throw new ModelError("UnknownRequest", values, "ids run from 1 to the number of requests.");
  }
  return request;
}

function exceeds(requested: bigint, available: bigint): ModelError {
  return new ModelError("ExceedsClaimable", [requested, available], "claim at most what is claimable, then again.");
}

function assertOpen(state: State, shares: bigint): void {
  if (shares === 0n) throw new ModelError("ZeroShares", [], "give at least 1 wei of shares.");
  if (state.returned !== 0n) {
    throw new ModelError("QueueClosed", [state.returned], "the series is retired: use the tranche's next one.");
  }
}
