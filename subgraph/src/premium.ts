/** The premium's curve, as contracts/libraries/Premium.sol has it. */
import { BigInt } from "@graphprotocol/graph-ts";
import { WAD } from "./ids";

const TARGET = WAD.times(BigInt.fromI32(9)).div(BigInt.fromI32(10));
const STEEPNESS = BigInt.fromI32(4);
const SLOPE = BigInt.fromI32(3);

/** Premium rate p (WAD a year) at base rate `base` (WAD a year) and utilisation `u` (WAD); rounded down. */
export function premiumRate(base: BigInt, u: BigInt): BigInt {
  const used = u.gt(WAD) ? WAD : u;
  if (used.gt(TARGET)) {
    const above = used.minus(TARGET).times(WAD).div(WAD.minus(TARGET));
    return base.times(WAD.plus(SLOPE.times(above))).div(WAD);
  }
  const below = TARGET.minus(used).times(WAD).div(TARGET);
  return base.times(STEEPNESS.times(WAD).minus(SLOPE.times(below))).div(STEEPNESS.times(WAD));
}
