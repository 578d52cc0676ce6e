import { parseEther } from "ethers";
import type { Config } from "../config/schema.ts";
import type { RewardsClaim } from "./types.ts";

/** What the plan takes from the configuration. */
export interface Settings {
  /** Wei. */
  readonly minMove: bigint;
  readonly minDeploy: bigint;
  readonly bandBps: bigint;
  /** Seconds. */
  readonly pokeBefore: number;
  readonly syncEvery: number;
  readonly reviewEvery: number;
  readonly claims: readonly RewardsClaim[];
}

/** Less than this (wei) is nobody's while: rounding of stETH and of rates. */
export const DUST = 10n ** 12n;

/** What a queue is finalised for, if it is not all of it: the least that may be requested (SPEC 3.3). */
export const WORTH_FINALISING = 10n ** 16n;

export const settingsOf = ({ routine }: Config, claims: readonly RewardsClaim[]): Settings => ({
  minMove: parseEther(routine.min_move_eth),
  minDeploy: parseEther(routine.min_deploy_eth),
  bandBps: BigInt(routine.band_bps),
  pokeBefore: routine.poke_before_hours * 3_600,
  syncEvery: routine.sync_every_hours * 3_600,
  reviewEvery: routine.review_every_days * 86_400,
  claims,
});
