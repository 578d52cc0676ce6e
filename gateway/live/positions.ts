/** `Position.now`: the accumulators of the subgraph, carried on to a block by the integers of its mapping. */
import * as z from "zod";
import { decimal, positive, RAY } from "./numbers.ts";

const ETH_HOUR = 3_600n * 10n ** 18n;

const integer = z.union([z.string(), z.number(), z.bigint()]).transform((text) => BigInt(text));

/** What is needed of a position, as the subgraph has it. */
export const positionSchema = z.object({
  balance: integer,
  queuedShares: integer,
  costBasis: integer,
  lossesBorne: integer,
  ethSeconds: integer,
  lossIndex: integer,
  ethSecondsIndex: integer,
  tier: z.object({ id: z.string() }),
  series: z.object({
    id: z.string(),
    senior: z.boolean(),
    supply: integer,
    retired: z.boolean(),
    lossPerShare: integer,
    ethSecondsPerShare: integer,
    accruedUntil: integer,
    tranche: z.object({ assets: integer }),
  }),
});
export type PositionInput = z.output<typeof positionSchema>;

/** The selection for `positionSchema`. */
export const POSITION_SELECTION =
  "balance queuedShares costBasis lossesBorne ethSeconds lossIndex ethSecondsIndex tier { id } series { id senior supply retired lossPerShare ethSecondsPerShare accruedUntil tranche { assets } }";

/** Losses and ETH-seconds up to a time. A retired series earns nothing more. */
export function accrued(
  p: PositionInput,
  timestamp: number,
): { readonly lossesBorne: bigint; readonly ethSeconds: bigint } {
  const { series } = p;
  const shares = p.balance + p.queuedShares;
  const seconds = positive(BigInt(timestamp) - series.accruedUntil);
  const rate = series.retired || series.supply === 0n ? 0n : (series.tranche.assets * RAY) / series.supply;
  const index = series.ethSecondsPerShare + rate * seconds;
  return {
    lossesBorne: p.lossesBorne + (shares * (series.lossPerShare - p.lossIndex)) / RAY,
    ethSeconds: p.ethSeconds + (shares * (index - p.ethSecondsIndex)) / RAY,
  };
}

/** ETH-hours of wei-seconds. */
export const ethHours = (ethSeconds: bigint): string => decimal((ethSeconds * 10n ** 18n) / ETH_HOUR, 18);

/** Value of a position in a book (wei, rounded down). */
export function valueIn(p: PositionInput, book: bigint, supply: bigint): bigint {
  return supply === 0n || p.series.retired ? 0n : ((p.balance + p.queuedShares) * book) / supply;
}
