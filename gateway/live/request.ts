/** Reads what a forecast needs of the chain, at one block. */
import * as z from "zod";
import type { TierState } from "../../keeper/state/types.ts";
import { covered, juniorLimit } from "../../model/exposure.ts";
import type { ChainView } from "../chain.ts";
import { type ForecastInput, forecast, type Source, timeOf } from "./forecast.ts";
import { ceilDiv, min, positive, sum } from "./numbers.ts";
import { reading } from "./tier.ts";

/** What is needed of a request, as the subgraph has it. */
export const requestSchema = z.object({
  requestId: z.int(),
  queueEnd: z.string().transform(BigInt),
  block: z.coerce.number(),
  tier: z.object({ id: z.string() }),
  series: z.object({ id: z.string(), senior: z.boolean() }),
});
export const REQUEST_SELECTION = "requestId queueEnd block tier { id } series { id senior }";
export type RequestInput = z.output<typeof requestSchema>;

const bigints = z.array(z.bigint());

/** The pure function's input, at the view's block. */
export async function forecastInput(view: ChainView, request: RequestInput): Promise<ForecastInput> {
  const state = await view.tier(request.tier.id);
  const { id: token, senior } = request.series;
  const face = view.interfaceOf("TrancheToken");
  const [maturity, totals, entry] = await Promise.all([
    view.call(state.address, view.interfaceOf("Tier"), "maturity"),
    view.call(token, face, "queueTotals"),
    view.call(token, face, "request", [request.requestId]),
  ]);
  const [seniorBlocks = 0n, juniorBlocks = 0n] = bigints.parse([...maturity]);
  const { books, params } = state;
  const tranche = senior ? state.senior : state.junior;
  const cover = books.reserve + books.junior;
  const fast = state.deficit.closesAt === 0 && covered(state.exposed, state.value, cover, 0n, params.haircutBps);
  return {
    block: view.block.number,
    timestamp: view.block.timestamp,
    senior,
    retired: tranche.token.toLowerCase() !== token.toLowerCase(),
    request: { block: request.block, queueEnd: request.queueEnd, pending: z.bigint().parse(entry.pending) },
    finalisedShares: z.bigint().parse(totals.finalised),
    book: senior ? books.senior : books.junior,
    supply: tranche.supply,
    finalisable: tranche.finalisable,
    maturity: Number(senior && fast ? seniorBlocks : juniorBlocks),
    slow: senior && !fast,
    seniorQueued: state.senior.supply === 0n ? 0n : ceilDiv(state.senior.queued * books.senior, state.senior.supply),
    juniorLimit: juniorLimit(state.exposed, state.value, cover, params.marginBps, params.haircutBps),
    idle: state.idle,
    sources: sources(state, view.block.number),
    staked: sum(state.agents.map(({ stake }) => stake)),
    withdrawalDelay: state.withdrawalDelay,
  };
}

/** Money on its way: the staking protocol's queue, loose tokens, and withdrawals from EigenLayer. */
function sources(state: TierState, block: number): readonly Source[] {
  const { open, claimable } = state.unstakeRequests;
  // requests are not told apart by size: what is paid counts by its number
  const paid = open === 0 ? 0n : (state.unstaking * BigInt(claimable)) / BigInt(open);
  const exits = state.agents.flatMap(({ exits, magnitude }) =>
    exits.map(({ startBlock, scaled }) => ({ startBlock, weight: scaled * magnitude })),
  );
  const weight = sum(exits.map((exit) => exit.weight));
  return [
    { amount: paid, block: block + 1, unstakes: false },
    { amount: positive(state.unstaking - paid), block: block + 1, unstakes: true },
    { amount: state.loose, block: block + 1, unstakes: true },
    ...exits.map((exit) => ({
      amount: weight === 0n ? 0n : (state.queued * exit.weight) / weight,
      block: exit.startBlock + state.withdrawalDelay + 1,
      unstakes: true,
    })),
  ].filter(({ amount }) => amount > 0n);
}

/** The object behind `Forecast`. */
export async function requestForecast(view: ChainView, request: RequestInput) {
  const input = await forecastInput(view, request);
  const told = forecast(input);
  const text = (n: bigint | null) => (n === null ? null : `${n}`);
  return {
    block: reading(view.block),
    status: told.status,
    pendingShares: `${input.request.pending}`,
    readyShares: `${min(told.readyShares, input.request.pending)}`,
    sharesAhead: `${told.sharesAhead}`,
    value: text(told.value),
    matureBlock: told.matureBlock,
    earliestBlock: told.earliestBlock,
    earliestTimestamp: text(timeOf(input, told.earliestBlock)),
    likelyBlock: told.likelyBlock,
    likelyTimestamp: text(timeOf(input, told.likelyBlock)),
    missing: text(told.missing),
    reasons: told.reasons,
    assumptions: told.assumptions,
  };
}
