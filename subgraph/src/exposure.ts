/**
 * What groups could take and what agents hold: no event carries these, because they move with EigenLayer's magnitudes and the
 * strategy's rate. A sync reads them where something has moved them or a new hour has begun, once a block; a call answers as of
 * the end of the block.
 */
import { Address, BigInt, ethereum } from "@graphprotocol/graph-ts";
import { Agent, SlasherGroup, Tier, TierSet } from "../generated/schema";
import { IRiskManager, IRiskManager__exposuresResultValue0Struct } from "../generated/templates/Tier/IRiskManager";
import { byte, HOUR_MARK, ONE } from "./ids";
import { coverRatio, noteAgent, noteGroup, samePeriod } from "./snapshots";

const MAX_SETS = 32;

/** Reads if needed. Changes `tier`, which the caller saves. */
export function readExposures(tier: Tier, event: ethereum.Event): void {
  const block = event.block;
  if (tier.exposureBlock.equals(block.number)) {
    // read already, as of this block's end; the cover may have moved since
    tier.exposureStale = false;
    writeGroups(tier, tier.exposureTimestamp, event, null);
    return;
  }
  const last = tier.exposureTimestamp;
  if (!tier.exposureStale && samePeriod(HOUR_MARK, last, block.timestamp)) return;
  const risk = IRiskManager.bind(Address.fromBytes(tier.risk));
  const exposures = risk.try_exposures(false);
  const standings = risk.try_standings();
  // EigenLayer cannot be read: what was read last stands, and is still stale
  if (exposures.reverted || standings.reverted) return;
  tier.exposureBlock = block.number;
  tier.exposureTimestamp = block.timestamp;
  tier.unapprovedExposure = exposures.value.unapproved;
  tier.exposureStale = false;
  for (let i = 0; i < standings.value.length; i++) {
    const agent = Agent.load(standings.value[i].account);
    if (agent == null) continue; // a place whose agent was removed
    agent.stakeValue = standings.value[i].stake;
    agent.save();
    noteAgent(agent, event);
  }
  writeGroups(tier, last, event, exposures.value);
}

/** Writes groups' exposures, where they were read now, and what covers them. */
function writeGroups(
  tier: Tier,
  last: BigInt,
  event: ethereum.Event,
  read: IRiskManager__exposuresResultValue0Struct | null,
): void {
  for (let i = 0; i < MAX_SETS; i++) {
    if (TierSet.load(byte(tier.id, i)) == null) break;
    const group = SlasherGroup.load(byte(tier.id, i));
    if (group == null) continue;
    if (read != null) {
      group.exposure = read.current[i];
      group.worst = !read.worst.rightShift(u8(i)).bitAnd(ONE).isZero();
    }
    group.coverRatio = coverRatio(tier.cover, group.exposure);
    group.save();
    noteGroup(group, last, event);
  }
}
