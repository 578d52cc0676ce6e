/** Resolvers of the live fields: each says what of the subgraph it needs, and reads the chain at the block of its root field. */
import { delegateToSchema, type SubschemaConfig } from "@graphql-tools/delegate";
import { type GraphQLResolveInfo, parse } from "graphql";
import * as z from "zod";
import type { ChainView } from "../chain.ts";
import { chainError } from "../errors.ts";
import { type Operation, operationOf } from "../operation.ts";
import { gatewayStatus } from "../status.ts";
import { accrued, ethHours, POSITION_SELECTION, type PositionInput, positionSchema, valueIn } from "./positions.ts";
import { REQUEST_SELECTION, requestForecast, requestSchema } from "./request.ts";
import { groupBits, solvency } from "./solvency.ts";
import { atStake, liveTier, reading } from "./tier.ts";

type Resolve<P, A = Record<string, unknown>> = (
  parent: P,
  args: A,
  view: ChainView,
  operation: Operation,
) => Promise<unknown>;

/** A field that reads the chain: its failures are this field's alone, with what to do. */
function live<P, A = Record<string, unknown>>(selectionSet: string, schema: z.ZodType<P>, resolve: Resolve<P, A>) {
  return {
    selectionSet,
    resolve: async (parent: unknown, args: A, context: unknown, info: GraphQLResolveInfo) => {
      try {
        const operation = operationOf(context);
        return await resolve(schema.parse(parent), args, await operation.view(info), operation);
      } catch (error) {
        throw chainError(error);
      }
    },
  };
}

/** An entity of the subgraph that a live type refers to, at the same block. */
function entity<P>(subschema: SubschemaConfig, fieldName: string, id: (parent: P) => string) {
  return async (parent: P, _: unknown, context: object, info: GraphQLResolveInfo): Promise<unknown> => {
    const { hash } = await operationOf(context).blockOf(info);
    const args = { id: id(parent), block: { hash } };
    return await delegateToSchema({ schema: subschema, operation: "query" as never, fieldName, args, context, info });
  };
}

const byte = (n: number): string => n.toString(16).padStart(2, "0");
const groupEntity = ({ tierId, number }: { readonly tierId: string; readonly number: number }) => tierId + byte(number);

const idSchema = z.object({ id: z.string() });
const operatorSetSchema = z.object({ setId: z.coerce.number(), avs: idSchema });
const linkSchema = z.object({ tier: idSchema, agent: idSchema, tierSet: z.object({ index: z.int() }) });
const seriesSchema = idSchema.extend({ senior: z.boolean() });

// asked for apart: what a hint selects with arguments would collide with the client's own selection of the same field
const KNOWN_BY = parse(`query KnownBy($avs: String!, $at: Bytes!) {
  tierSets(first: 1000, where: { operatorSet_: { avs: $avs } }, block: { hash: $at }) { tier { id } }
}`);
const knownBy = z.object({ tierSets: z.array(z.object({ tier: idSchema })) });

/** The same question in each tier that knows the AVS's sets. */
async function whatIf(
  { avs, setId }: { readonly avs: string; readonly setId?: number },
  view: ChainView,
  { services }: Operation,
): Promise<unknown[]> {
  const { tierSets } = await services.subgraph.ask(KNOWN_BY, { avs, at: view.asked.hash }, knownBy);
  const tiers = [...new Set(tierSets.map(({ tier }) => tier.id))].sort();
  const answers = await Promise.all(
    tiers.map(async (tier) => {
      const { sets } = await view.tier(tier);
      const own = sets.filter(
        (set) => set.avs.toLowerCase() === avs.toLowerCase() && (setId === undefined || set.id === setId),
      );
      if (own.length === 0) return [];
      return [
        await solvency(view, services.subgraph, tier, () => ({
          groups: own.reduce((map, { group }) => map | (1n << BigInt(group)), 0n),
          // an unapproved set counts in no group; the lens knows all of them only together
          unapproved: own.some((set) => set.unapproved),
        })),
      ];
    }),
  );
  return answers.flat();
}

const ACCOUNT_POSITIONS = parse(`query AccountPositions($account: String!, $after: Bytes!, $at: Bytes!) {
  positions(first: 1000, where: { account: $account, id_gt: $after }, orderBy: id, block: { hash: $at }) { id ${POSITION_SELECTION} }
}`);
const accountPositions = z.object({ positions: z.array(positionSchema.extend({ id: z.string() })) });

/** Value of positions at the rate of now; read when it is asked for. */
function valueNow(view: ChainView, list: readonly PositionInput[]) {
  return async (): Promise<bigint> => {
    try {
      const values = await Promise.all(
        list.map(async (position) => {
          if (position.balance + position.queuedShares === 0n || position.series.retired) return 0n;
          const state = await view.tier(position.tier.id);
          const { senior, id } = position.series;
          const tranche = senior ? state.senior : state.junior;
          // a sync now would retire it
          if (tranche.token.toLowerCase() !== id.toLowerCase()) return 0n;
          return valueIn(position, senior ? state.books.senior : state.books.junior, tranche.supply);
        }),
      );
      return values.reduce((a, b) => a + b, 0n);
    } catch (error) {
      throw chainError(error);
    }
  };
}

function broughtUp(view: ChainView, list: readonly PositionInput[]) {
  const sums = list.map((position) => accrued(position, view.asked.timestamp));
  const ethSeconds = sums.reduce((total, one) => total + one.ethSeconds, 0n);
  const cost = list.reduce((total, { costBasis }) => total + costBasis, 0n);
  const value = valueNow(view, list);
  return {
    block: () => reading(view.block),
    value: async () => `${await value()}`,
    unrealisedGain: async () => `${(await value()) - cost}`,
    lossesBorne: `${sums.reduce((total, one) => total + one.lossesBorne, 0n)}`,
    ethSeconds: `${ethSeconds}`,
    ethHours: ethHours(ethSeconds),
  };
}

export function liveResolvers(subschema: SubschemaConfig) {
  return {
    Query: {
      gatewayStatus: async (_: unknown, __: unknown, context: unknown) => await gatewayStatus(operationOf(context)),
    },
    Tier: {
      live: live("{ id }", idSchema, ({ id }, _, view) => liveTier(view, id)),
      solvency: live<{ id: string }, { groups?: readonly number[] | null; unapproved?: boolean | null }>(
        "{ id }",
        idSchema,
        ({ id }, { groups: numbers, unapproved }, view, { services }) =>
          solvency(view, services.subgraph, id, (state) => ({
            groups: groupBits(state, numbers),
            unapproved: unapproved ?? true,
          })),
      ),
    },
    AVS: {
      whatIf: live("{ id }", idSchema, ({ id }, _, view, operation) => whatIf({ avs: id }, view, operation)),
    },
    OperatorSet: {
      whatIf: live("{ setId avs { id } }", operatorSetSchema, ({ setId, avs }, _, view, operation) =>
        whatIf({ avs: avs.id, setId }, view, operation),
      ),
    },
    RedeemRequest: {
      forecast: live(`{ ${REQUEST_SELECTION} }`, requestSchema, (request, _, view) => requestForecast(view, request)),
    },
    Position: {
      now: live(`{ ${POSITION_SELECTION} }`, positionSchema, async (position, _, view) => broughtUp(view, [position])),
    },
    Account: {
      now: live("{ id }", idSchema, async ({ id }, _, view, { services }) => {
        const list: PositionInput[] = [];
        let after = "0x";
        for (;;) {
          const { positions } = await services.subgraph.ask(
            ACCOUNT_POSITIONS,
            { account: id, after, at: view.asked.hash },
            accountPositions,
          );
          list.push(...positions);
          const last = positions.at(-1);
          if (positions.length < 1_000 || last === undefined) break;
          after = last.id;
        }
        return broughtUp(view, list);
      }),
    },
    Link: {
      atStake: live("{ tier { id } agent { id } tierSet { index } }", linkSchema, ({ tier, agent, tierSet }, _, view) =>
        atStake(view, tier.id, agent.id, tierSet.index),
      ),
    },
    Series: {
      maxInstantRedeem: live("{ id senior }", seriesSchema, async ({ id, senior }, _, view) => {
        if (!senior) return "0";
        const [shares] = await view.call(id, view.interfaceOf("TrancheToken"), "maxInstantRedeem");
        return `${z.bigint().parse(shares)}`;
      }),
    },
    LiveGroup: { group: entity(subschema, "slasherGroup", groupEntity) },
    GroupLoss: { group: entity(subschema, "slasherGroup", groupEntity) },
    LiveAgent: { agent: entity(subschema, "agent", ({ account }: { readonly account: string }) => account) },
    Solvency: { tier: entity(subschema, "tier", ({ tierId }: { readonly tierId: string }) => tierId) },
    HolderAtRisk: { position: entity(subschema, "position", ({ id }: { readonly id: string }) => id) },
  };
}
