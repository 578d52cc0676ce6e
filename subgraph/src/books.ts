/** Changes of a tier's cash that other contracts' events tell of. `idle` and `reserved` equal `tier.cash()` between transactions. */
import { BigInt, Bytes } from "@graphprotocol/graph-ts";
import { Protocol, Tier } from "../generated/schema";

/** The tier; the factory's handler has made it before any of its contracts is indexed. */
export function loadTier(id: Bytes): Tier {
  return Tier.load(id)!;
}

export function loadProtocol(tier: Tier): Protocol {
  return Protocol.load(tier.protocol)!;
}

/** WETH at hand changes by `delta` wei (signed). */
export function addIdle(id: Bytes, delta: BigInt): void {
  const tier = loadTier(id);
  tier.idle = tier.idle.plus(delta);
  tier.save();
}

/** WETH set aside for finalised claims and pots changes by `delta` wei (signed). */
export function addReserved(id: Bytes, delta: BigInt): void {
  const tier = loadTier(id);
  tier.reserved = tier.reserved.plus(delta);
  tier.save();
}
