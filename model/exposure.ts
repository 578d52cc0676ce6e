/**
 * Mirror of `contracts/libraries/Exposure.sol`: what slasher groups can take, what covers it, how much room is left.
 * Exposures in wei·P, margins b and h in basis points, amounts in wei; needs and budgets in wei·P·Q³.
 */
import { ModelError } from "./errors.ts";
import { ceilDiv, min, subtract, sum, WAD } from "./integer.ts";

/** Denominator of a fraction of an agent's stake. */
export const P = 10n ** 9n;

/** Denominator of basis points. */
export const Q = 10n ** 4n;

/** Utilisation where something needs cover and there is none; the largest one ever returned, in WAD. */
export const U_MAX = 10n ** 27n;

/** Most slasher groups of a tier. */
export const MAX_GROUPS = 32;

const MAX_AMOUNT = 1n << 120n;

/** What the gate needs as a function of an amount D: baseLevel + baseSlope·D + Σ of the k largest (level + slope·D). */
export interface Line {
  readonly level: readonly bigint[];
  readonly slope: readonly bigint[];
  readonly baseLevel: bigint;
  readonly baseSlope: bigint;
}

/** ceil(magnitude·P / maxMagnitude); 0 where `maxMagnitude` is 0. */
export function fraction(magnitude: bigint, maxMagnitude: bigint): bigint {
  return maxMagnitude === 0n ? 0n : ceilDiv(magnitude * P, maxMagnitude);
}

/**
 * The k largest values: their sum, and which (bit i for values[i]); of equal values the lower index first.
 * @throws ModelError `TooManyGroups(count, 32)`.
 */
export function largest(values: readonly bigint[], k: number): { readonly sum: bigint; readonly mask: bigint } {
  assertGroups(values.length);
  const order = [...values.keys()].sort((i, j) => compare(at(values, j), at(values, i)) || i - j).slice(0, k);
  return {
    sum: sum(order.map((i) => at(values, i))),
    mask: order.reduce((mask, i) => mask | (1n << BigInt(i)), 0n),
  };
}

/** Left side of the gate: (Q+b)·(L·Q² + h·V·P·Q). */
export function need(exposed: bigint, v: bigint, b: bigint, h: bigint): bigint {
  return (Q + b) * (exposed * Q * Q + h * v * P * Q);
}

/** Right side of the gate: c·Q³·P. */
export function budget(cover: bigint): bigint {
  return cover * Q * Q * Q * P;
}

/** U in WAD, rounded up, at most `U_MAX`: at most 1e18 exactly where `covered`. */
export function utilisation(exposed: bigint, v: bigint, cover: bigint, b: bigint, h: bigint): bigint {
  const needed = need(exposed, v, b, h);
  if (needed === 0n) return 0n;
  if (cover === 0n) return U_MAX;
  return min(ceilDiv(needed * WAD, budget(cover)), U_MAX);
}

/** The gate: need <= budget. */
export function covered(exposed: bigint, v: bigint, cover: bigint, b: bigint, h: bigint): boolean {
  return need(exposed, v, b, h) <= budget(cover);
}

/** What the gate needs after an amount `d`. */
export function demand(line: Line, k: number, d: bigint): bigint {
  return largest(values(line, d), k).sum + line.baseLevel + line.baseSlope * d;
}

/**
 * The largest d <= cap with demand(d) <= available, by Newton's method from above; exact. 0 where not even 0 passes. A
 * cap above 2^120 counts as 2^120.
 */
export function limit(line: Line, k: number, available: bigint, cap: bigint): bigint {
  let d = min(cap, MAX_AMOUNT);
  for (;;) {
    const top = largest(values(line, d), k);
    if (top.sum + line.baseLevel + line.baseSlope * d <= available) return d;
    const taken = (list: readonly bigint[]) => sum(list.filter((_, i) => (top.mask >> BigInt(i)) & 1n));
    const level = line.baseLevel + taken(line.level);
    if (level > available) return 0n;
    d = (available - level) / (line.baseSlope + taken(line.slope));
  }
}

/** Arguments of `seniorLine`: exposures in wei·P, ρ in P·Q, amounts in wei, margins in basis points. */
export interface SeniorLineInput {
  readonly exposure: readonly bigint[];
  readonly rho: readonly bigint[];
  readonly extraExposure: bigint;
  readonly extraRho: bigint;
  readonly idleToDeploy: bigint;
  readonly v: bigint;
  readonly b: bigint;
  readonly h: bigint;
}

/**
 * The line of the senior deposit limit: a deposit of D and the idle money before it, deployed by the target weights.
 * @throws ModelError `LengthMismatch(left, right)`.
 */
export function seniorLine(input: SeniorLineInput): Line {
  const { exposure, rho, extraExposure, extraRho, idleToDeploy, v, b, h } = input;
  assertSameLength(exposure, rho);
  const scale = (Q + b) * Q;
  return {
    level: exposure.map((e, i) => scale * (e * Q + at(rho, i) * idleToDeploy)),
    slope: rho.map((r) => scale * r),
    baseLevel: scale * (extraExposure * Q + extraRho * idleToDeploy + h * v * P),
    baseSlope: scale * (extraRho + h * P),
  };
}

/** At least the demand of `seniorLine` at a deposit of `d`, from L_k and ρ_k as one sum each. */
export function seniorBound(
  exposed: bigint,
  rho: bigint,
  idleToDeploy: bigint,
  d: bigint,
  v: bigint,
  b: bigint,
  h: bigint,
): bigint {
  return (Q + b) * Q * ((exposed + BigInt(MAX_GROUPS) + 1n) * Q + rho * (idleToDeploy + d) + h * (v + d) * P);
}

/** At least the demand of `deployLine` at `d`, from L_k and the agent's k largest fractions as one sum each. */
export function deployBound(exposed: bigint, e: bigint, d: bigint, v: bigint, b: bigint, h: bigint): bigint {
  return (Q + b) * Q * ((exposed + BigInt(MAX_GROUPS) + 1n + e * d) * Q + h * v * P);
}

/** Arguments of `deployLine`: exposures in wei·P, fractions e in P, V in wei, margins in basis points. */
export interface DeployLineInput {
  readonly exposure: readonly bigint[];
  readonly e: readonly bigint[];
  readonly extraExposure: bigint;
  readonly extraE: bigint;
  readonly v: bigint;
  readonly b: bigint;
  readonly h: bigint;
}

/**
 * The line of the deployment limit: D of the idle money goes to one agent.
 * @throws ModelError `LengthMismatch(left, right)`.
 */
export function deployLine(input: DeployLineInput): Line {
  const { exposure, e, extraExposure, extraE, v, b, h } = input;
  assertSameLength(exposure, e);
  const scale = (Q + b) * Q * Q;
  return {
    level: exposure.map((x) => scale * x),
    slope: e.map((x) => scale * x),
    baseLevel: scale * extraExposure + (Q + b) * Q * (h * v * P),
    baseSlope: scale * extraE,
  };
}

/** The largest junior amount x that may leave: the gate still holds with c - x and V - x. 0 where it does not hold. */
export function juniorLimit(exposed: bigint, v: bigint, cover: bigint, b: bigint, h: bigint): bigint {
  const slack = budget(cover) - need(exposed, v, b, h);
  if (slack <= 0n || (Q + b) * h >= Q * Q) return 0n;
  return slack / (P * Q * (Q * Q - (Q + b) * h));
}

/** The largest l such that, with every exposure capped at l, the k largest sum to at most `available`; wei·P. */
export function ceiling(exposure: readonly bigint[], k: number, available: bigint): bigint {
  if (available === 0n) return 0n;
  assertGroups(exposure.length);
  const sorted = [...exposure].sort((a, b) => compare(b, a));
  if (sorted.length === 0) return available;
  if (k === 0) return at(sorted, 0);
  const counted = Math.min(k, sorted.length);
  for (let j = 1; j <= counted; ++j) {
    const others = sum(sorted.slice(j, counted));
    if (others > available) continue;
    const l = (available - others) / BigInt(j);
    if (l >= (sorted[j] ?? 0n)) return l;
  }
  return available / BigInt(counted);
}

/**
 * The magnitude to which deleveraging cuts one set without a pending change: what may stay of the group's movable
 * exposure is `ceiling` less the settled one; a cut is at least a quarter. `held` sums the agent's sets of the group
 * without a pending change; `movable`, `settled` and the ceiling are in wei·P, over all agents.
 */
export function target(
  cur: bigint,
  held: bigint,
  maxMagnitude: bigint,
  movable: bigint,
  settled: bigint,
  ceiling: bigint,
): bigint {
  if (movable + settled <= ceiling) return cur;
  if (held === 0n || movable === 0n) return 0n;
  const parts = (fraction(held, maxMagnitude) * subtract(ceiling, settled)) / movable;
  return min((cur * ((parts * maxMagnitude) / P)) / held, (cur * 3n) / 4n);
}

/** What the k largest groups may sum to: floor(c·P·Q/(Q+b)) - ceil(h·V·P/Q) - extraExposure, at least 0; wei·P. */
export function deleverageBudget(cover: bigint, v: bigint, extraExposure: bigint, b: bigint, h: bigint): bigint {
  return subtract((cover * P * Q) / (Q + b), ceilDiv(h * v * P, Q) + extraExposure);
}

function values(line: Line, d: bigint): bigint[] {
  return line.level.map((level, i) => level + at(line.slope, i) * d);
}

function compare(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function at(list: readonly bigint[], index: number): bigint {
  const value = list[index];
  if (value === undefined) throw new RangeError(`no group ${index}: give every list one value for each group`);
  return value;
}

function assertGroups(count: number): void {
  if (count > MAX_GROUPS) {
    throw new ModelError("TooManyGroups", [BigInt(count), BigInt(MAX_GROUPS)], "merge or drop slasher groups.");
  }
}

function assertSameLength(left: readonly bigint[], right: readonly bigint[]): void {
  if (left.length !== right.length) {
    const lengths = [BigInt(left.length), BigInt(right.length)];
    throw new ModelError("LengthMismatch", lengths, "give both lists one value for each group.");
  }
}
