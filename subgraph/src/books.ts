/**
 * What other contracts' events change in a tier's books. `idle` and `reserved` equal `tier.cash()` between transactions. Each
 * function loads, changes and saves: call it after having saved what you hold of the tier.
 */
import { BigInt, Bytes } from "@graphprotocol/graph-ts";
import { Deficit, Protocol, Tier } from "../generated/schema";
import { mulDiv, ZERO } from "./ids";
import { noteCash } from "./snapshots";

/** The tier; the factory's handler has made it before any of its contracts is indexed. */
export function loadTier(id: Bytes): Tier {
  return Tier.load(id)!;
}

export function loadProtocol(tier: Tier): Protocol {
  return Protocol.load(tier.protocol)!;
}

/** WETH at hand changes by `delta` wei (signed): always in a transaction that has synced the tier. */
export function addIdle(id: Bytes, delta: BigInt): void {
  const tier = loadTier(id);
  tier.idle = tier.idle.plus(delta);
  noteCash(tier);
  tier.save();
}

/** WETH set aside for finalised claims and pots changes by `delta` wei (signed). Payments, which do not sync, call `noteFlow`. */
export function addReserved(id: Bytes, delta: BigInt): void {
  const tier = loadTier(id);
  tier.reserved = tier.reserved.plus(delta);
  if (delta.gt(ZERO)) noteCash(tier);
  tier.save();
}

/** Senior `shares` of `supply` (before they left) were finalised: they take their part of an open Deficit along (Tier._leave). */
export function takeDeficit(id: Bytes, shares: BigInt, supply: BigInt): void {
  const open = loadTier(id).deficit;
  if (open === null) return;
  const deficit = Deficit.load(open)!;
  deficit.outstanding = deficit.outstanding.minus(mulDiv(deficit.outstanding, shares, supply));
  deficit.save();
}
