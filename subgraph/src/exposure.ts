/**
 * What groups could take and what agents hold: no event carries these, because they move with EigenLayer's magnitudes and the
 * strategy's rate. A sync reads them where something has moved them or a new hour has begun. A call answers as of the end of the
 * block, and graph-node asks the chain once for the same call in a block.
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
  const last = tier.exposureTimestamp;
  if (!tier.exposureStale && samePeriod(HOUR_MARK, last, block.timestamp)) {
    // what was read in this block is as of its end, but the cover may have moved since
    if (tier.exposureBlock.equals(block.number)) writeGroups(tier, last, event, true, null);
    return;
  }
  const risk = IRiskManager.bind(Address.fromBytes(tier.risk));
  const exposures = risk.try_exposures(false);
  const standings = risk.try_standings();
  // EigenLayer cannot be read: what was read last stands, and is still stale
  if (exposures.reverted || standings.reverted) return;
  const again = tier.exposureBlock.equals(block.number);
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
  writeGroups(tier, last, event, again, exposures.value);
}

/**
 * Writes groups' exposures, where they were read now, and what covers them. A keeper's transaction syncs dozens of times in one
 * block: `again`, a group is written only where something of it has moved since.
 */
function writeGroups(
  tier: Tier,
  last: BigInt,
  event: ethereum.Event,
  again: boolean,
  read: IRiskManager__exposuresResultValue0Struct | null,
): void {
  const covered = again && tier.exposureCover.equals(tier.cover);
  if (covered && read == null) return;
  tier.exposureCover = tier.cover;
  for (let i = 0; i < MAX_SETS; i++) {
    if (TierSet.load(byte(tier.id, i)) == null) break;
    const group = SlasherGroup.load(byte(tier.id, i));
    if (group == null) continue;
    if (read != null) {
      const exposure = read.current[i];
      const worst = !read.worst.rightShift(u8(i)).bitAnd(ONE).isZero();
      if (covered && worst == group.worst && exposure.equals(group.exposure)) continue;
      group.exposure = exposure;
      group.worst = worst;
    }
    group.coverRatio = coverRatio(tier.cover, group.exposure);
    group.save();
    noteGroup(group, last, event);
  }
}
