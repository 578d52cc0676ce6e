/** What-if: SolvencyLens's answer, and whose loss it would be. */
import { parse } from "graphql";
import * as z from "zod";
import type { TierState } from "../../keeper/state/types.ts";
import type { ChainView } from "../chain.ts";
import { gatewayError } from "../errors.ts";
import type { Subgraph } from "../subgraph.ts";
import type { BlockRef } from "../types.ts";
import { bits, RAY } from "./numbers.ts";
import { reading } from "./tier.ts";

const MOST_HOLDERS = 1_000;

const booksSchema = z.object({ reserve: z.bigint(), junior: z.bigint(), senior: z.bigint(), gains: z.bigint() });
const solvencySchema = z.object({
  value: z.bigint(),
  loss: z.bigint(),
  lossByGroup: z.array(z.bigint()),
  lossUnapproved: z.bigint(),
  borne: booksSchema,
  afterwards: booksSchema,
  seniorLossBps: z.bigint(),
  juniorLossBps: z.bigint(),
  covered: z.boolean(),
});

/** The groups as the bits of a number; a clear error for those that the tier does not have. */
export function groupBits(state: TierState, groups: readonly number[] | null | undefined): bigint {
  if (groups === null || groups === undefined || groups.length === 0) return state.worst;
  const known = [...new Set(state.sets.map(({ group }) => group))].sort((a, b) => a - b);
  const wrong = groups.filter((group) => !known.includes(group));
  if (wrong.length > 0)
    throw gatewayError(
      "BAD_USER_INPUT",
      `The tier ${state.name} has no slasher group ${wrong.join(", ")}: ${
        known.length === 0 ? "it has none yet" : `it has ${known.join(", ")}`
      }.`,
    );
  return groups.reduce((map, group) => map | (1n << BigInt(group)), 0n);
}

/** The object behind `Solvency`. */
export async function solvency(
  view: ChainView,
  subgraph: Subgraph,
  address: string,
  groupMap: (state: TierState) => { readonly groups: bigint; readonly unapproved: boolean },
) {
  const state = await view.tier(address);
  const { groups, unapproved } = groupMap(state);
  const lens = view.deployment.contracts.lens;
  if (lens === undefined)
    throw gatewayError(
      "BAD_USER_INPUT",
      `The deployment on ${view.deployment.network} has no SolvencyLens, so nothing can be said about solvency.`,
    );
  const [answer] = await view.call(lens.address, view.interfaceOf("SolvencyLens"), "solvencyAgainst", [
    state.address,
    groups,
    unapproved,
  ]);
  const s = solvencySchema.parse(answer.toObject(true));
  const tierId = state.address.toLowerCase();
  return {
    block: reading(view.block),
    tierId,
    value: `${s.value}`,
    loss: `${s.loss}`,
    byGroup: bits(groups).map((number) => ({ number, tierId, loss: `${s.lossByGroup[number] ?? 0n}` })),
    lossUnapproved: `${s.lossUnapproved}`,
    gainsLoss: `${s.borne.gains}`,
    reserveLoss: `${s.borne.reserve}`,
    juniorLoss: `${s.borne.junior}`,
    seniorLoss: `${s.borne.senior}`,
    gainsAfter: `${s.afterwards.gains}`,
    reserveAfter: `${s.afterwards.reserve}`,
    juniorAfter: `${s.afterwards.junior}`,
    seniorAfter: `${s.afterwards.senior}`,
    seniorLossBps: `${s.seniorLossBps}`,
    juniorLossBps: `${s.juniorLossBps}`,
    covered: s.covered,
    holdersAtRisk: ({ first }: { readonly first: number }) =>
      holdersAtRisk(subgraph, view.asked, first, [
        {
          senior: true,
          token: state.senior.token,
          supply: state.senior.supply,
          book: state.books.senior,
          lost: s.borne.senior,
        },
        {
          senior: false,
          token: state.junior.token,
          supply: state.junior.supply,
          book: state.books.junior,
          lost: s.borne.junior,
        },
      ]),
  };
}

interface Loser {
  readonly senior: boolean;
  readonly token: string;
  readonly supply: bigint;
  readonly book: bigint;
  readonly lost: bigint;
}

const HOLDERS = parse(`query HoldersAtRisk($series: String!, $first: Int!, $at: Bytes!) {
  positions(first: $first, where: { series: $series, value_gt: 0 }, orderBy: value, orderDirection: desc, block: { hash: $at }) {
    id account { id } balance queuedShares
  }
}`);
const holdersSchema = z.object({
  positions: z.array(
    z.object({
      id: z.string(),
      account: z.object({ id: z.string() }),
      balance: z.string().transform(BigInt),
      queuedShares: z.string().transform(BigInt),
    }),
  ),
});

async function holdersAtRisk(subgraph: Subgraph, at: BlockRef, first: number, tranches: readonly Loser[]) {
  if (first < 1 || first > MOST_HOLDERS)
    throw gatewayError("BAD_USER_INPUT", `holdersAtRisk gives 1 to ${MOST_HOLDERS} positions, not ${first}.`);
  const losers = tranches.filter(({ lost, supply }) => lost > 0n && supply > 0n);
  const lists = await Promise.all(
    losers.map(async ({ senior, token, supply, book, lost }) => {
      const { positions } = await subgraph.ask(
        HOLDERS,
        { series: token.toLowerCase(), first, at: at.hash },
        holdersSchema,
      );
      const perShare = (lost * RAY) / supply;
      return positions.map(({ id, account, balance, queuedShares }) => {
        const shares = balance + queuedShares;
        return {
          id,
          account: account.id,
          senior,
          shares,
          value: (shares * book) / supply,
          loss: (shares * perShare) / RAY,
        };
      });
    }),
  );
  return lists
    .flat()
    .sort((a, b) => (a.loss === b.loss ? (a.id < b.id ? -1 : 1) : a.loss < b.loss ? 1 : -1))
    .slice(0, first)
    .map((holder) => ({
      ...holder,
      shares: `${holder.shares}`,
      value: `${holder.value}`,
      loss: `${holder.loss}`,
    }));
}
