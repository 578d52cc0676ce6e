/** `Tier.live`: a tier as a sync now would leave it. */
import { Interface } from "ethers";
import type { GraphQLError } from "graphql";
import * as z from "zod";
import type { AgentState, TierState } from "../../keeper/state/types.ts";
import { fraction, P } from "../../model/exposure.ts";
import { rate } from "../../model/premium.ts";
import type { ChainView } from "../chain.ts";
import { chainError } from "../errors.ts";
import type { BlockRef } from "../types.ts";
import { bits, ceilDiv, groupBy, min, ratio, sum, WAD } from "./numbers.ts";

const ZERO = "0x0000000000000000000000000000000000000000";

export interface BlockReading {
  readonly number: number;
  readonly hash: string;
  readonly timestamp: string;
}

export const reading = ({ number, hash, timestamp }: BlockRef): BlockReading => ({
  number,
  hash,
  timestamp: timestamp.toString(),
});

/** What a slash of an agent can reach, and what each of its links could take of it (wei·P), by set. */
export interface Reach {
  readonly agent: AgentState;
  readonly reachable: bigint;
  readonly bySet: ReadonlyMap<number, bigint>;
}

const agentSchema = z.object({ stake: z.bigint(), exits: z.bigint() });

/** What is known of a state already: an operation has one state of a tier, and asks for it with every row and alias. */
const known = new WeakMap<TierState, Promise<readonly Reach[]>>();

/** A_i and A_i·e of every agent, by the integers of the risk manager (SPEC section 4.1). */
export function reaches(view: ChainView, state: TierState): Promise<readonly Reach[]> {
  let found = known.get(state);
  if (found === undefined) {
    found = readReaches(view, state);
    known.set(state, found);
  }
  return found;
}

async function readReaches(view: ChainView, state: TierState): Promise<readonly Reach[]> {
  const risk = view.interfaceOf("RiskManager");
  return await Promise.all(
    state.agents.map(async (agent) => {
      const [cached] = await view.call(state.risk, risk, "agent", [agent.index]);
      const { stake } = agentSchema.parse(cached.toObject());
      const open = agent.exits.filter(({ startBlock }) => view.block.number <= startBlock + state.withdrawalDelay);
      const shares = sum(
        [stake, ...open.map(({ scaled }) => scaled)].map((scaled) => (scaled * agent.magnitude) / WAD),
      );
      let reachable = 2n * BigInt(1 + agent.exits.length);
      if (shares !== 0n) {
        const [worth] = await view.call(state.strategy, STRATEGY, "sharesToUnderlyingView", [shares]);
        reachable += z.bigint().parse(worth) + 1n;
      }
      const bySet = new Map(agent.links.map((link) => [link.set, reachable * fraction(link.current, agent.magnitude)]));
      return { agent, reachable, bySet };
    }),
  );
}

const STRATEGY = new Interface(["function sharesToUnderlyingView(uint256) view returns (uint256)"]);

/** What of an agent could be taken together: everything allocated, at most everything. */
const takeable = ({ reachable, bySet }: Reach): bigint => min(ceilDiv(sum([...bySet.values()]), P), reachable);

function share(id: string, stake: bigint, atStake: bigint, value: bigint) {
  return { id, stake: `${stake}`, atStake: `${atStake}`, shareOfValue: ratio(atStake, value) ?? "0" };
}
const largestFirst = (list: readonly ReturnType<typeof share>[]) =>
  [...list].sort((a, b) => compare(BigInt(b.atStake), BigInt(a.atStake)) || (a.id < b.id ? -1 : 1));
const compare = (a: bigint, b: bigint): number => (a < b ? -1 : a > b ? 1 : 0);

/** By node operator: what its agents hold, and what could be taken of them. */
export function byNodeOperator(list: readonly Reach[], value: bigint) {
  const groups = groupBy(list, ({ agent }) => agent.nodeOperator.toLowerCase());
  return largestFirst(
    [...groups].map(([id, own]) => share(id, sum(own.map(({ agent }) => agent.stake)), sum(own.map(takeable)), value)),
  );
}

/** By AVS: what is allocated to its sets; of one agent at most all that can be reached. */
export function byAvs(list: readonly Reach[], state: TierState) {
  const avss = groupBy(state.sets, ({ avs }) => avs.toLowerCase());
  const shares = [...avss].map(([avs, sets]) => {
    const own = list.map(({ bySet, reachable }) =>
      min(ceilDiv(sum(sets.map(({ index }) => bySet.get(index) ?? 0n)), P), reachable),
    );
    const stake = list
      .filter(({ bySet }) => sets.some(({ index }) => (bySet.get(index) ?? 0n) > 0n))
      .map(({ reachable }) => reachable);
    return share(avs, sum(stake), sum(own), state.value);
  });
  return largestFirst(shares);
}

/** Wei for 1e18 shares, as the token says it. */
export function rateOf(book: bigint, supply: bigint): bigint {
  return supply === 0n ? WAD : (book * WAD) / supply;
}

/** The groups that have a set, the one that could take most first. */
export function groupsOf(state: TierState) {
  const cover = state.books.reserve + state.books.junior;
  const groups = groupBy(state.sets, ({ group }) => group);
  return [...groups]
    .map(([number, sets]) => {
      const exposure = state.groups[number] ?? 0n;
      const canTake = ceilDiv(exposure, P);
      return {
        number,
        tierId: state.address.toLowerCase(),
        exposure: `${exposure}`,
        canTake: `${canTake}`,
        coverRatio: canTake === 0n ? null : ratio(cover, canTake),
        worst: ((state.worst >> BigInt(number)) & 1n) === 1n,
        sets: sets.map((set) => ({
          index: set.index,
          avs: set.avs.toLowerCase(),
          setId: `${set.id}`,
          slasher: set.slasher.toLowerCase(),
          pendingSlasher: set.pendingSlasher.toLowerCase(),
          unapproved: set.unapproved,
          quarantined: set.quarantined,
        })),
      };
    })
    .sort((a, b) => compare(BigInt(b.exposure), BigInt(a.exposure)) || a.number - b.number);
}

/** A field that is read when it is asked for. */
const lazily =
  <T>(read: () => Promise<T>) =>
  async (): Promise<T> => {
    try {
      return await read();
    } catch (error) {
      throw chainError(error) satisfies GraphQLError;
    }
  };

/** The object behind `LiveTier`. */
export async function liveTier(view: ChainView, address: string) {
  const state = await view.tier(address);
  const face = view.interfaceOf("Tier");
  const token = view.interfaceOf("TrancheToken");
  const preview = async () => {
    const [p] = await view.call(state.address, face, "preview");
    return z.object({ baseRate: z.bigint(), gained: z.bigint(), borne: z.array(z.bigint()) }).parse({
      baseRate: p.baseRate,
      gained: p.gained,
      borne: [...p.borne],
    });
  };
  const tokenRate = (address: string) => async (): Promise<string | null> => {
    if (address === ZERO) return null;
    const [value] = await view.call(address, token, "collateralRate");
    return `${z.bigint().parse(value)}`;
  };
  const maxDeposit = (senior: boolean) => async (): Promise<string> => {
    const [value] = await view.call(state.address, face, "maxDeposit", [senior]);
    return `${z.bigint().parse(value)}`;
  };
  const groups = groupsOf(state);
  const quarantined = new Set(state.sets.filter((set) => set.quarantined).map(({ index }) => index));
  const slashed = new Set(bits(state.slashedAgents));
  return {
    block: reading(view.block),
    totalValueLockedETH: `${state.value}`,
    reserve: `${state.books.reserve}`,
    junior: `${state.books.junior}`,
    senior: `${state.books.senior}`,
    gains: `${state.books.gains}`,
    cover: `${state.books.reserve + state.books.junior}`,
    deployableCover: `${state.deployableCover}`,
    utilisation: `${state.utilisation}`,
    covered: state.utilisation <= WAD,
    exposed: `${state.exposed}`,
    unapprovedExposure: `${state.unapproved}`,
    worst: groups.filter(({ worst, exposure }) => worst && exposure !== "0"),
    groups,
    seniorRate: lazily(tokenRate(state.senior.token)),
    juniorRate: lazily(tokenRate(state.junior.token)),
    baseRate: lazily(async () => `${(await preview()).baseRate}`),
    premiumRate: lazily(
      async () => `${state.deficit.closesAt === 0 ? rate((await preview()).baseRate, state.utilisation) : 0n}`,
    ),
    seniorMaxDeposit: lazily(maxDeposit(true)),
    juniorMaxDeposit: lazily(maxDeposit(false)),
    seniorFinalisable: `${state.senior.finalisable}`,
    juniorFinalisable: `${state.junior.finalisable}`,
    seniorQueued: `${state.senior.queued}`,
    juniorQueued: `${state.junior.queued}`,
    idle: `${state.idle}`,
    reserved: `${state.reserved}`,
    wanted: `${state.wanted}`,
    queued: `${state.queued}`,
    loose: `${state.loose}`,
    unstaking: `${state.unstaking}`,
    unstakeClaimable: state.unstakeRequests.claimable,
    unbondNeed: `${state.unbondNeed}`,
    deployable: `${state.deployable}`,
    deleverageDue: state.deleverageNeeded,
    unwindDue: state.agents.some(({ links }) => links.some((link) => quarantined.has(link.set) && link.current > 0n)),
    lossDue: lazily(async () => slashed.size > 0 || (await preview()).borne.some((part) => part > 0n)),
    slashedAgents: state.agents.filter(({ index }) => slashed.has(index)).map(({ account }) => account.toLowerCase()),
    deficitOutstanding: `${state.deficit.closesAt === 0 ? 0n : state.deficit.outstanding}`,
    agents: state.agents.map((agent) => {
      const own = async (read: (reach: Reach) => bigint) => {
        const found = (await reaches(view, state)).find((reach) => reach.agent.index === agent.index);
        return found === undefined ? null : `${read(found)}`;
      };
      return {
        account: agent.account.toLowerCase(),
        nodeOperator: agent.nodeOperator.toLowerCase(),
        index: agent.index,
        magnitude: `${agent.magnitude}`,
        stakeValue: `${agent.stake}`,
        reachable: lazily(() => own(({ reachable }) => reachable)),
        atStake: lazily(() => own(takeable)),
        quarantined: agent.quarantined,
      };
    }),
    nodeOperators: lazily(async () => byNodeOperator(await reaches(view, state), state.value)),
    avss: lazily(async () => byAvs(await reaches(view, state), state)),
  };
}

/** What a set could take of an agent (wei, rounded up). */
export async function atStake(view: ChainView, tier: string, agent: string, set: number): Promise<string | null> {
  const state = await view.tier(tier);
  const found = (await reaches(view, state)).find((one) => one.agent.account.toLowerCase() === agent.toLowerCase());
  // an agent that was removed has nothing
  return `${found === undefined ? 0n : ceilDiv(found.bySet.get(set) ?? 0n, P)}`;
}
