/**
 * Mirror of `contracts/libraries/Premium.sol`: what the senior pays the junior for its protection.
 * Rates per year in WAD, utilisation in WAD, amounts in wei, times in seconds.
 */
import { min, WAD, YEAR } from "./integer.ts";

/** Base rate of a new tier. */
export const START_RATE = 4n * 10n ** 16n;

/** Smallest base rate. */
export const MIN_RATE = 5n * 10n ** 15n;

/** Largest base rate. */
export const MAX_RATE = 2n * 10n ** 17n;

/** C: the curve runs from 1/C through 1 at the target to C. */
export const STEEPNESS = 4n;

/** The utilisation at which the base rate rests. */
export const TARGET = 9n * 10n ** 17n;

/** The exponent per year at the largest error. */
export const SPEED = 10n;

/** The longest time that one step of adaption counts. */
export const MAX_STEP = 7n * 86_400n;

/** A tranche smaller than this freezes the base rate. */
export const FREEZE_BELOW = WAD;

const RAY = 10n ** 27n;

/** Distance of the utilisation from its target, scaled to [-1, 1] in WAD; rounded towards zero below the target. */
export function err(u: bigint): bigint {
  const used = min(u, WAD);
  if (used > TARGET) return ((used - TARGET) * WAD) / (WAD - TARGET);
  return -(((TARGET - used) * WAD) / TARGET);
}

/** The premium rate at a utilisation: base · curve(err), rounded down. */
export function rate(base: bigint, u: bigint): bigint {
  const error = err(u);
  if (error >= 0n) return (base * (WAD + (STEEPNESS - 1n) * error)) / WAD;
  return (base * (STEEPNESS * WAD + (STEEPNESS - 1n) * error)) / (STEEPNESS * WAD);
}

/** The premium earned over `dt`: p·min(U,1)·J·S/B·dt/YEAR, J·S/B and the product rounded down; 0 where B is 0. */
export function due(base: bigint, u: bigint, junior: bigint, senior: bigint, total: bigint, dt: bigint): bigint {
  if (total === 0n) return 0n;
  const backing = (junior * senior) / total;
  return (backing * rate(base, u) * min(u, WAD) * dt) / (WAD * WAD * YEAR);
}

/** The base rate after `dt`: clamp(base·exp(10/year·err·min(dt, 7 days))); unchanged while a tranche is dust. */
export function adapt(base: bigint, u: bigint, junior: bigint, senior: bigint, dt: bigint): bigint {
  if (junior < FREEZE_BELOW || senior < FREEZE_BELOW) return base;
  const error = err(u);
  const size = error < 0n ? -error : error;
  const factor = exp((SPEED * size * min(dt, MAX_STEP) * (RAY / WAD)) / YEAR);
  const adapted = error < 0n ? (base * RAY) / factor : (base * factor) / RAY;
  if (adapted < MIN_RATE) return MIN_RATE;
  return min(adapted, MAX_RATE);
}

/** exp(x) for x in [0, 0.2], in RAY: the Taylor series with every term rounded down, until a term is 0. */
function exp(x: bigint): bigint {
  let result = 0n;
  let term = RAY;
  for (let n = 1n; term !== 0n; ++n) {
    result += term;
    term = (term * x) / (n * RAY);
  }
  return result;
}
