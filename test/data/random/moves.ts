/**
 * What can happen, each as transactions that are tried: people, keepers, node operators, AVSs, Lido, curator, guardian and
 * admin. What the protocol refuses is part of the run.
 */
import { AbiCoder, getAddress, type Interface, id, MaxUint256, parseEther, ZeroAddress } from "ethers";
import * as z from "zod";
import { ROLES } from "../../../deploy/roles.ts";
import { dropOf } from "../../../drops/tree.ts";
import { Dice } from "../../../keeper/soak/events.ts";
import { rewardsTree } from "../../../scenario/rewards-tree.ts";
import { DAY, ETH, type Terms, WAD } from "../../integration/world.ts";
import { OPEN_SERVICES, type SeriesOf, type Stage, type TierOf } from "./stage.ts";

export { Dice };

/** A transaction to be tried. */
export interface Step {
  readonly kind: string;
  readonly from: string;
  readonly to: string;
  readonly data: string;
  readonly value?: bigint;
  readonly gas?: bigint;
}

export type Move = (stage: Stage, dice: Dice) => Promise<readonly Step[]>;

const NOTHING: readonly Step[] = [];
const step = (from: string, to: string, face: Interface, fn: string, ...args: unknown[]): Step => ({
  kind: fn,
  from,
  to,
  data: face.encodeFunctionData(fn, args),
});
const named = (kind: string, one: Step): Step => ({ ...one, kind });
const paying = (value: bigint, one: Step): Step => ({ ...one, value });
const most = (a: bigint, b: bigint): bigint => (a < b ? a : b);

const someTier = (stage: Stage, dice: Dice): TierOf => dice.of(stage.memory.tiers);
/** A tier that may be meddled with. */
const meddled = (stage: Stage, dice: Dice): TierOf =>
  dice.of(stage.memory.tiers.filter((_, i) => i !== 2 || stage.memory.ruined));
const someone = (stage: Stage, dice: Dice): string => dice.of(stage.people.holders);

/** The live series of a tranche, or nothing. */
async function live(stage: Stage, tier: TierOf, senior: boolean): Promise<SeriesOf | undefined> {
  const token = getAddress(
    z.string().parse((await stage.node.view(tier.address, stage.faces.tier, "token", senior))[0]),
  );
  return stage.memory.series.find(({ address }) => address === token);
}

async function someSeries(stage: Stage, dice: Dice, seniors = 0.6): Promise<SeriesOf | undefined> {
  return live(stage, someTier(stage, dice), dice.chance(seniors));
}

/** Somebody who holds a series and whose key we have. */
async function holderOf(stage: Stage, dice: Dice, token: string): Promise<{ who: string; held: bigint } | undefined> {
  const { holders } = stage.people;
  const found = await stage.node.views(
    holders.map((who) => ({ to: token, face: stage.faces.token, fn: "balanceOf", args: [who] })),
  );
  const rich = holders.flatMap((who, i) => {
    const held = z.bigint().parse(found[i]?.[0] ?? 0n);
    return held > 0n ? [{ who, held }] : [];
  });
  return rich.length > 0 ? dice.of(rich) : undefined;
}

export const blockTime = async (stage: Stage): Promise<number> =>
  Number(
    z.object({ timestamp: z.string() }).parse(await stage.node.rpc("eth_getBlockByNumber", "latest", false)).timestamp,
  );

// ---------------------------------------------------------------------------------------------------------- people

const enters: Move = async (stage, dice) => {
  const series = await someSeries(stage, dice, 0.7);
  if (!series) return NOTHING;
  const { faces, node, local, weth } = stage;
  const who = someone(stage, dice);
  const limit = await node.big(series.address, faces.token, "maxDeposit", who);
  const assets = dice.part(most(limit, (series.senior ? 120n : 25n) * ETH), 0.02, 1);
  if (assets < ETH / 100n) return NOTHING;
  const receiver = dice.chance(0.15) ? someone(stage, dice) : who;
  const approve = step(who, weth, faces.weth, "approve", series.address, MaxUint256);
  const way = dice.whole(0, 3);
  if (way === 0) {
    const deadline = (await blockTime(stage)) + 100 * DAY;
    const router = local.protocol.addresses.router;
    return [paying(assets, step(who, router, faces.router, "depositEth", series.address, 0, receiver, deadline))];
  }
  if (way === 1) {
    const shares = await node.big(series.address, faces.token, "convertToShares", (assets * 99n) / 100n);
    return [approve, step(who, series.address, faces.token, "mint", shares, receiver)];
  }
  return [approve, step(who, series.address, faces.token, "deposit", assets, receiver)];
};

const transfers: Move = async (stage, dice) => {
  const series = dice.of(stage.memory.series);
  const holder = await holderOf(stage, dice, series.address);
  if (!holder) return NOTHING;
  const { who, held } = holder;
  const { token } = stage.faces;
  const to = series.address;
  const part = dice.part(held, 0.01, 0.7);
  switch (dice.whole(0, 9)) {
    case 0:
      return [named("transfer whole", step(who, to, token, "transfer", someone(stage, dice), held))];
    case 1:
      return [named("transfer to self", step(who, to, token, "transfer", who, part))];
    case 2:
      return [named("transfer of nothing", step(who, to, token, "transfer", someone(stage, dice), 0n))];
    case 3:
      return [named("transfer to the token", step(who, to, token, "transfer", to, part / 50n))];
    case 4:
      return [named("transfer to a stranger", step(who, to, token, "transfer", dice.address(), part / 10n))];
    case 5: {
      const spender = someone(stage, dice);
      return [
        step(who, to, token, "approve", spender, part),
        step(spender, to, token, "transferFrom", who, someone(stage, dice), part),
      ];
    }
    default:
      return [step(who, to, token, "transfer", someone(stage, dice), part)];
  }
};

const appoints: Move = async (stage, dice) => {
  const series = dice.of(stage.memory.series);
  const [who, operator] = [someone(stage, dice), someone(stage, dice)];
  return [step(who, series.address, stage.faces.token, "setOperator", operator, dice.chance(0.7))];
};

const leaves: Move = async (stage, dice) => {
  const series = await someSeries(stage, dice);
  const holder = series && (await holderOf(stage, dice, series.address));
  if (!holder) return NOTHING;
  const { who, held } = holder;
  const { token } = stage.faces;
  const shares = dice.chance(0.15) ? held : dice.part(held, 0.02, 0.4);
  const way = dice.whole(0, 5);
  const other = someone(stage, dice);
  if (way === 0)
    return [
      step(who, series.address, token, "setOperator", other, true),
      named("requestRedeem by operator", step(other, series.address, token, "requestRedeem", shares, who, who)),
    ];
  if (way === 1)
    return [
      step(other, series.address, token, "setOperator", who, true),
      named("requestRedeem for another", step(who, series.address, token, "requestRedeem", shares, other, who)),
    ];
  return [step(who, series.address, token, "requestRedeem", shares, who, who)];
};

const leavesAtOnce: Move = async (stage, dice) => {
  const series = await live(stage, someTier(stage, dice), true);
  const holder = series && (await holderOf(stage, dice, series.address));
  if (!holder) return NOTHING;
  const limit = await stage.node.big(series.address, stage.faces.token, "maxInstantRedeem");
  const shares = most(dice.part(holder.held, 0.01, 1), limit);
  if (shares === 0n) return NOTHING;
  const receiver = dice.chance(0.3) ? dice.address() : holder.who;
  const { token } = stage.faces;
  return [step(holder.who, series.address, token, "instantRedeem", shares, 0, receiver, dice.chance(0.5))];
};

const claims: Move = async (stage, dice) => {
  const { token } = stage.faces;
  const pairs = stage.memory.series.flatMap(({ address }) => stage.people.holders.map((who) => ({ address, who })));
  const found = await stage.node.views(
    pairs.flatMap(({ address, who }) =>
      ["maxRedeem", "maxWithdraw"].map((fn) => ({ to: address, face: token, fn, args: [who] })),
    ),
  );
  const open = pairs.flatMap((pair, i) => {
    const shares = z.bigint().parse(found[2 * i]?.[0] ?? 0n);
    const assets = z.bigint().parse(found[2 * i + 1]?.[0] ?? 0n);
    return shares > 0n || assets > 0n ? [{ ...pair, shares, assets }] : [];
  });
  if (open.length === 0) return NOTHING;
  const { address, who, shares, assets } = dice.of(open);
  const receiver = dice.chance(0.2) ? dice.address() : who;
  switch (dice.whole(0, 4)) {
    case 0:
      return [step(who, address, token, "withdraw", dice.part(assets, 0.1, 0.95), receiver, who)];
    case 1:
      return [named("redeem a part", step(who, address, token, "redeem", dice.part(shares, 0.1, 0.9), receiver, who))];
    case 2:
      return [step(who, address, token, "redeemEth", shares, receiver, who)];
    case 3: {
      const other = someone(stage, dice);
      return [
        step(who, address, token, "setOperator", other, true),
        named("redeem by operator", step(other, address, token, "redeem", shares, who, who)),
      ];
    }
    default:
      return [step(who, address, token, "redeem", shares, receiver, who)];
  }
};

const gives: Move = async (stage, dice) => {
  const tier = someTier(stage, dice);
  const { faces, weth } = stage;
  const who = someone(stage, dice);
  const approve = step(who, weth, faces.weth, "approve", tier.address, MaxUint256);
  const way = dice.whole(0, 3);
  const { reserve } = await booksOf(stage, tier);
  if (way === 0 || reserve < ETH)
    return [approve, step(who, tier.address, faces.tier, "topUpReserve", dice.part(2n * ETH, 0.3, 1))];
  if (way === 1)
    return [step(stage.people.curator, tier.address, faces.tier, "skimReserve", dice.part(reserve, 0.1, 0.4), who)];
  if (way === 2 && (await closesAt(stage, tier)) > 0n)
    return [approve, step(who, tier.address, faces.tier, "recover", dice.part(5n * ETH, 0.01, 1))];
  return [approve, step(who, tier.address, faces.tier, "addGains", dice.part(ETH, 0.01, 1))];
};

const recovers: Move = async (stage, dice) => {
  const { faces, weth, node, people } = stage;
  for (const tier of stage.memory.tiers) {
    if ((await closesAt(stage, tier)) === 0n) continue;
    const who = someone(stage, dice);
    const approve = step(who, weth, faces.weth, "approve", tier.address, MaxUint256);
    const deficit = (await node.view(tier.address, faces.tier, "deficit"))[0];
    const outstanding = z.bigint().parse(deficit.getValue("outstanding"));
    const junior = z.bigint().parse(deficit.getValue("juniorLoss"));
    if (dice.chance(0.25)) return [step(people.curator, tier.address, faces.tier, "writeOff")];
    const assets = dice.chance(0.4) ? outstanding + junior + ETH / 7n : dice.part(outstanding + junior, 0.1, 0.9);
    return [approve, step(who, tier.address, faces.tier, "recover", most(assets, 1_000n * ETH))];
  }
  return NOTHING;
};

const pots: Move = async (stage, dice) => {
  const steps: Step[] = [];
  const { faces, node } = stage;
  for (const series of stage.memory.series) {
    const retired = (await node.view(series.tier, faces.tier, "retired", series.address))[0];
    if (retired.getValue("exists") !== true) continue;
    const count = 40;
    const pending = await node.views(
      Array.from({ length: count }, (_, i) => ({
        to: series.address,
        face: faces.token,
        fn: "request",
        args: [i + 1],
      })),
    );
    const open = pending.flatMap((one, i) => (z.bigint().parse(one?.[2] ?? 0n) > 0n ? [i + 1] : []));
    if (open.length > 0)
      steps.push(step(someone(stage, dice), series.address, faces.token, "returnRequest", dice.of(open)));
    const holder = await holderOf(stage, dice, series.address);
    if (holder) {
      const shares = dice.part(holder.held, 0.2, 1);
      steps.push(step(holder.who, series.address, faces.token, "redeemRetired", shares, holder.who, dice.chance(0.5)));
    }
    const current = await live(stage, tierOf(stage, series.tier), series.senior);
    if (!current)
      steps.push(
        step(
          someone(stage, dice),
          stage.local.protocol.addresses.factory,
          faces.factory,
          "openSeries",
          series.tier,
          series.senior,
        ),
      );
  }
  return steps;
};

const tierOf = (stage: Stage, address: string): TierOf => {
  const found = stage.memory.tiers.find((one) => one.address === address);
  if (!found) throw new Error(`There is no tier ${address}.`);
  return found;
};

async function booksOf(stage: Stage, tier: TierOf): Promise<{ reserve: bigint; junior: bigint; senior: bigint }> {
  const books = (await stage.node.view(tier.address, stage.faces.tier, "books"))[0];
  const part = (name: string) => z.bigint().parse(books.getValue(name));
  return { reserve: part("reserve"), junior: part("junior"), senior: part("senior") };
}

async function closesAt(stage: Stage, tier: TierOf): Promise<bigint> {
  const deficit = (await stage.node.view(tier.address, stage.faces.tier, "deficit"))[0];
  return z.bigint().parse(deficit.getValue("closesAt"));
}

// --------------------------------------------------------------------------------------------------------- keepers

interface AgentNow {
  readonly index: number;
  readonly account: string;
  readonly nodeOperator: string;
  readonly links: readonly {
    readonly set: number;
    readonly current: bigint;
    readonly target: bigint;
    readonly pending: bigint;
  }[];
  readonly exits: number;
}

async function agentsOf(stage: Stage, tier: TierOf): Promise<readonly AgentNow[]> {
  const { node, faces } = stage;
  const alive = tier.agents.filter(({ removed }) => !removed);
  const states = await node.views(
    alive.map(({ index }) => ({ to: tier.risk, face: faces.risk, fn: "agent", args: [index] })),
  );
  const list: AgentNow[] = [];
  for (const [i, { index }] of alive.entries()) {
    const state = states[i]?.[0];
    if (!state) continue;
    const count = Number(z.bigint().parse(state.getValue("links")));
    const links = await node.views(
      Array.from({ length: count }, (_, at) => ({ to: tier.risk, face: faces.risk, fn: "link", args: [index, at] })),
    );
    list.push({
      index,
      account: z.string().parse(state.getValue("account")),
      nodeOperator: z.string().parse(state.getValue("nodeOperator")),
      exits: Number(z.bigint().parse(state.getValue("exits"))),
      links: links.map((result) => ({
        set: Number(z.bigint().parse(result?.[0] ?? 0n)),
        current: z.bigint().parse(result?.[1].getValue("current") ?? 0n),
        target: z.bigint().parse(result?.[1].getValue("target") ?? 0n),
        pending: z.bigint().parse(result?.[1].getValue("pending") ?? 0n),
      })),
    });
  }
  return list;
}

/** What a keeper might send for a tier now. */
async function jobs(stage: Stage, tier: TierOf, dice: Dice): Promise<readonly Step[]> {
  const { faces, people, node } = stage;
  const keeper = people.keeper;
  const agents = await agentsOf(stage, tier);
  if (agents.length === 0) return [step(keeper, tier.address, faces.tier, "sync")];
  const agent = dice.of(agents);
  const { index } = agent;
  const link = agent.links.length > 0 ? dice.whole(0, agent.links.length - 1) : 0;
  const now = agent.links[link];
  const list: Step[] = [];
  const add = (to: string, face: Interface, fn: string, ...args: unknown[]) =>
    list.push(step(keeper, to, face, fn, ...args));
  switch (dice.whole(0, 11)) {
    case 0:
      add(tier.address, faces.tier, "sync");
      break;
    case 1: {
      const sets = await node.big(tier.risk, faces.risk, "setCount");
      if (sets > 0n) add(tier.risk, faces.risk, "poke", dice.whole(0, Number(sets) - 1));
      break;
    }
    case 2:
    case 3: {
      const limit = await node.big(tier.stakes, faces.stakes, "deployLimit", index);
      if (limit > 0n)
        add(tier.stakes, faces.stakes, "deploy", index, dice.chance(0.6) ? limit : dice.part(limit, 0.1, 1));
      break;
    }
    case 4:
      if (now && now.current < now.target)
        add(
          tier.allocator,
          faces.allocator,
          "allocate",
          index,
          link,
          dice.chance(0.8) ? now.target : (now.current + now.target) / 2n,
        );
      else if (now && now.current > now.target) add(tier.allocator, faces.allocator, "deallocate", index, link);
      break;
    case 5:
      add(tier.allocator, faces.allocator, "unwind", index, link);
      add(tier.allocator, faces.allocator, "deleverage", index);
      break;
    case 6:
      add(tier.stakes, faces.stakes, "unbond");
      break;
    case 7:
      for (let exit = agent.exits - 1; exit >= 0; exit--)
        add(tier.stakes, faces.stakes, dice.chance(0.35) ? "redeposit" : "complete", index, exit);
      break;
    case 8:
      add(tier.stakes, faces.stakes, "requestUnstake", dice.whole(1, 5));
      break;
    case 9:
      add(tier.stakes, faces.stakes, "claimUnstaked", dice.whole(1, 8));
      break;
    case 10: {
      const [loose] = (await node.views([{ to: tier.module, face: faces.module, fn: "value", args: [] }])) ?? [];
      const some = z.bigint().parse(loose?.[0] ?? 0n);
      if (some > 0n) add(tier.stakes, faces.stakes, "redeploy", index, dice.part(some, 0.05, 0.6));
      break;
    }
    default: {
      const senior = dice.chance(0.6);
      const series = await live(stage, tier, senior);
      if (!series) break;
      const ready = await node.big(tier.address, faces.tier, "finalisable", senior);
      if (ready > 0n)
        add(series.address, faces.token, "finalise", dice.chance(0.5) ? MaxUint256 : dice.part(ready, 0.05, 1));
    }
  }
  return list;
}

const keeps: Move = async (stage, dice) => jobs(stage, someTier(stage, dice), dice);

/** Several jobs in one transaction, some of which fail. */
const keepsTogether: Move = async (stage, dice) => {
  const { faces, people, local } = stage;
  const calls: Step[] = [];
  for (let i = dice.whole(2, 4); i > 0; i--) calls.push(...(await jobs(stage, someTier(stage, dice), dice)));
  if (dice.chance(0.3)) calls.push({ kind: "nonsense", from: people.keeper, to: stage.weth, data: "0xdeadbeef" });
  if (calls.length === 0) return NOTHING;
  const upkeep = local.protocol.addresses.upkeep;
  const list = calls.slice(0, 6).map(({ to, data }) => ({ target: to, gas: 0, data }));
  return [{ ...step(people.keeper, upkeep, faces.upkeep, "perform", list), gas: 16_000_000n }];
};

const finalises: Move = async (stage, dice) => {
  const { faces, node } = stage;
  for (const tier of stage.memory.tiers)
    for (const senior of [true, false]) {
      const series = await live(stage, tier, senior);
      if (!series) continue;
      const ready = await node.big(tier.address, faces.tier, "finalisable", senior);
      if (ready > 0n && dice.chance(0.7))
        return [
          step(
            stage.people.keeper,
            series.address,
            faces.token,
            "finalise",
            dice.chance(0.5) ? MaxUint256 : dice.part(ready, 0.05, 1),
          ),
        ];
    }
  return NOTHING;
};

// ------------------------------------------------------------------------------------------------- AVSs, operators

const operatorSets = (stage: Stage) =>
  stage.services
    .slice(0, OPEN_SERVICES)
    .flatMap(({ avs, sets }) => sets.map(({ id: number, redistributing }) => ({ avs, id: number, redistributing })));

async function slashStep(stage: Stage, account: string, set: { avs: string; id: number }, wad: bigint): Promise<Step> {
  const { faces, node, local, people } = stage;
  const slasher = z
    .string()
    .parse(
      (await node.view(local.eigenlayer.addresses.allocationManager, faces.allocationManager, "getSlasher", set))[0],
    );
  const avs = stage.services.find((one) => one.avs === slasher);
  if (avs)
    return named(
      "slash",
      step(people.outside, avs.avs, faces.avs, "slashFor", set.avs, account, set.id, local.strategy, wad, "random"),
    );
  return named(
    "slash",
    step(slasher, local.eigenlayer.addresses.allocationManager, faces.allocationManager, "slashOperator", set.avs, {
      operator: account,
      operatorSetId: set.id,
      strategies: [local.strategy],
      wadsToSlash: [wad],
      description: "by hand",
    }),
  );
}

const slashes: Move = async (stage, dice) => {
  const tier = meddled(stage, dice);
  const agents = await agentsOf(stage, tier);
  if (agents.length === 0) return NOTHING;
  const agent = dice.of(agents);
  const linked = agent.links.filter(({ current }) => current > 0n);
  if (linked.length === 0) return NOTHING;
  const sets = await Promise.all(
    linked.map(async ({ set }) => {
      const state = (await stage.node.view(tier.risk, stage.faces.risk, "set", set))[0];
      const own = state.getValue("operatorSet");
      return { avs: z.string().parse(own[0]), id: Number(z.bigint().parse(own[1])) };
    }),
  );
  const steps: Step[] = [];
  for (let i = dice.chance(0.4) ? dice.whole(1, 3) : 1; i > 0; i--)
    steps.push(
      await slashStep(stage, agent.account, dice.of(sets), dice.part(WAD, 0.001, dice.chance(0.8) ? 0.05 : 0.4)),
    );
  return steps;
};

/** Everything that an agent has allocated is taken. */
export async function disaster(stage: Stage, tier: TierOf, wad: bigint): Promise<readonly Step[]> {
  const steps: Step[] = [];
  for (const agent of await agentsOf(stage, tier))
    for (const { set, current } of agent.links) {
      if (current === 0n) continue;
      const own = (await stage.node.view(tier.risk, stage.faces.risk, "set", set))[0].getValue("operatorSet");
      const operatorSet = { avs: z.string().parse(own[0]), id: Number(z.bigint().parse(own[1])) };
      steps.push(await slashStep(stage, agent.account, operatorSet, wad));
    }
  return steps;
}

const misbehaves: Move = async (stage, dice) => {
  const service = dice.of(stage.services.slice(0, OPEN_SERVICES));
  const { faces, people, local } = stage;
  const from = people.outside;
  switch (dice.whole(0, 3)) {
    case 0: {
      const slasher = dice.chance(0.6) ? service.avs : someone(stage, dice);
      return [step(from, service.avs, faces.avs, "updateSlasher", dice.of(service.sets).id, slasher)];
    }
    case 1:
      return [step(from, service.avs, faces.avs, "setBehaviour", 0, dice.whole(0, 1))];
    case 2: {
      const agents = await agentsOf(stage, someTier(stage, dice));
      if (agents.length === 0) return NOTHING;
      return [step(from, service.avs, faces.avs, "eject", dice.of(agents).account, [1])];
    }
    default:
      return [
        step(from, service.avs, faces.avs, "setCallbackSlash", 1, local.strategy, dice.part(WAD, 0.01, 0.1)),
        step(from, service.avs, faces.avs, "setBehaviour", 0, dice.chance(0.5) ? 3 : 0),
      ];
  }
};

const registers: Move = async (stage, dice) => {
  const tier = someTier(stage, dice);
  const { node, faces } = stage;
  const agents = await agentsOf(stage, tier);
  if (agents.length === 0) return NOTHING;
  const agent = dice.of(agents);
  if (agent.links.length === 0) return NOTHING;
  const state = (await node.view(tier.risk, faces.risk, "set", dice.of(agent.links).set))[0];
  const [avs, number] = [...state.getValue("operatorSet")];
  return [step(agent.nodeOperator, agent.account, faces.agent, "register", { avs, id: number }, "0x")];
};

const handsOver: Move = async (stage, dice) => {
  const tier = meddled(stage, dice);
  const agents = tier.agents.filter(({ removed }) => !removed);
  if (agents.length === 0) return NOTHING;
  const { address } = dice.of(agents);
  const to = dice.of(stage.people.operators);
  const { faces, people, local } = stage;
  const factory = local.protocol.addresses.factory;
  return [
    step(people.curator, factory, faces.factory, "nominateNodeOperator", address, to),
    ...(dice.chance(0.8) ? [step(to, address, faces.agent, "acceptNomination")] : []),
  ];
};

// ------------------------------------------------------------------------------------------------------------ Lido

const lido: Move = async (stage, dice) => {
  const { local, faces, people } = stage;
  const { addresses } = local.protocol;
  const steps: Step[] = [];
  if (dice.chance(0.15))
    steps.push(step(people.outside, addresses.steth, faces.lido, "report", -dice.part(300n * ETH, 0.01, 1)));
  else {
    const gain = dice.part(25n * ETH, 0.3, 1.5);
    steps.push(paying(gain, step(people.outside, addresses.steth, faces.lido, "report", gain)));
  }
  if (dice.chance(0.6)) {
    const last = await stage.node.big(addresses.lidoQueue, faces.lidoQueue, "getLastRequestId");
    steps.push(step(people.outside, addresses.lidoQueue, faces.lidoQueue, "finalize", last));
  }
  return steps;
};

/** Tokens that arrive by mistake, and are put to their place. */
const strays: Move = async (stage, dice) => {
  const { faces, local, weth } = stage;
  const tier = someTier(stage, dice);
  const agents = tier.agents.filter(({ removed }) => !removed);
  const who = someone(stage, dice);
  const { steth } = local.protocol.addresses;
  if (agents.length === 0 || dice.chance(0.3)) {
    const give = paying(ETH / 10n, step(who, steth, faces.lido, "submit", ZeroAddress));
    return [
      give,
      step(who, steth, faces.lido, "transfer", tier.module, ETH / 11n),
      step(who, tier.stakes, faces.stakes, "creditLoose"),
    ];
  }
  const agent = dice.of(agents).address;
  const amount = dice.part(ETH / 50n, 0.1, 1);
  return [
    step(who, weth, faces.weth, "transfer", agent, amount),
    step(who, agent, faces.agent, "sweep", weth),
    ...(dice.chance(0.5) ? [step(who, tier.rewards, faces.rewards, "absorb", weth)] : []),
  ];
};

// ------------------------------------------------------------------------------------------------ curator, guardian

/** Sets whose slasher can be approved now, with it. */
async function approvable(stage: Stage): Promise<readonly Terms["sets"][number][]> {
  const { node, faces, local } = stage;
  const to = local.eigenlayer.addresses.allocationManager;
  const sets = operatorSets(stage);
  const found = await node.views(
    sets.flatMap(({ avs, id: number }) =>
      ["getSlasher", "getPendingSlasher"].map((fn) => ({
        to,
        face: faces.allocationManager,
        fn,
        args: [{ avs, id: number }],
      })),
    ),
  );
  return sets.flatMap(({ avs, id: number, redistributing }, i) => {
    const slasher = z.string().parse(found[2 * i]?.[0]);
    const pending = z.string().parse(found[2 * i + 1]?.[0]);
    if (pending !== ZeroAddress && pending !== slasher) return [];
    return [{ operatorSet: { avs, id: number }, category: 2, slasher, redistributing, vetoBlocks: 0 }];
  });
}

/** Other terms than those in force. */
async function otherTerms(stage: Stage, tier: TierOf, dice: Dice): Promise<Terms | undefined> {
  const { terms } = tier;
  if (!terms) return undefined;
  const open = await approvable(stage);
  const same = (a: { avs: string; id: number }, b: { avs: string; id: number }) => a.avs === b.avs && a.id === b.id;
  const sets = open.filter(
    ({ operatorSet }) => terms.sets.some((one) => same(one.operatorSet, operatorSet)) || dice.chance(0.4),
  );
  if (sets.length === 0) return undefined;
  const alive = tier.agents.filter(({ removed }) => !removed);
  const agents = alive.map(({ address }) => {
    const count = Math.min(sets.length, dice.whole(2, 4));
    const first = dice.whole(0, sets.length - 1);
    const targets = Array.from({ length: count }, (_, i) => ({
      set: (first + i) % sets.length,
      magnitude: dice.part(WAD / BigInt(count), 0.3, 1),
    }));
    return { agent: address, weightBps: dice.chance(0.15) ? 0 : Math.floor(10_000 / alive.length), targets };
  });
  const { params } = terms;
  return {
    params: {
      ...params,
      k: dice.whole(1, 2),
      bufferBps: dice.whole(0, 300),
      instantFeeBps: dice.whole(10, 30),
      quarantineBps: dice.whole(500, 4_000),
      cap: parseEther(String(dice.whole(2_000, 1_000_000))),
    },
    releases: 0xffffffff,
    sets,
    agents,
  };
}

const mandates: Move = async (stage, dice) => {
  const tier = meddled(stage, dice);
  const { faces, people } = stage;
  const { mandate } = tier;
  if (tier.proposed) {
    if (dice.chance(0.15))
      return [step(dice.chance(0.5) ? people.curator : people.guardian, mandate, faces.mandate, "cancel")];
    return [step(someone(stage, dice), mandate, faces.mandate, "execute", tier.proposed)];
  }
  if (tier.terms && dice.chance(0.4)) {
    const { params } = tier.terms;
    const agents = tier.terms.agents
      .filter(({ agent }) => tier.agents.some(({ address, removed }) => address === agent && !removed))
      .map((one) => ({ ...one, weightBps: dice.chance(0.2) ? Math.floor(one.weightBps * 0.9) : one.weightBps }));
    const cap = (params.cap * 9n) / 10n;
    return [
      step(people.curator, mandate, faces.mandate, "tighten", {
        ...tier.terms,
        params: { ...params, cap },
        releases: 0,
        agents,
      }),
    ];
  }
  const wanted = await otherTerms(stage, tier, dice);
  return wanted ? [step(people.curator, mandate, faces.mandate, "propose", wanted)] : NOTHING;
};

const guards: Move = async (stage, dice) => {
  const tier = meddled(stage, dice);
  const { faces, people, node } = stage;
  const sets = Number(await node.big(tier.risk, faces.risk, "setCount"));
  switch (dice.whole(0, 6)) {
    case 0:
      return [step(people.guardian, tier.address, faces.tier, "pauseEntries")];
    case 1:
    case 2:
    case 3:
      return [step(people.curator, tier.address, faces.tier, "unpauseEntries")];
    case 4:
      return sets > 0 && dice.chance(0.3)
        ? [step(people.guardian, tier.risk, faces.risk, "quarantine", dice.whole(0, sets - 1))]
        : NOTHING;
    default:
      return sets > 1 && dice.chance(0.15)
        ? [step(people.curator, tier.risk, faces.risk, "merge", dice.whole(0, sets - 1), dice.whole(0, sets - 1))]
        : NOTHING;
  }
};

const staffs: Move = async (stage, dice) => {
  const tier = meddled(stage, dice);
  const { faces, people, local } = stage;
  const alive = tier.agents.filter(({ removed }) => !removed);
  if (alive.length < 4 && dice.chance(0.5)) {
    const factory = local.protocol.addresses.factory;
    return [
      step(
        people.curator,
        factory,
        faces.factory,
        "createAgent",
        tier.address,
        dice.of(people.operators),
        "ipfs://new",
      ),
    ];
  }
  return alive.length > 1
    ? [step(people.curator, tier.risk, faces.risk, "removeAgent", dice.of(alive).index)]
    : NOTHING;
};

/** A tier more; its rights follow in the next block. */
export const opensTier: Move = async (stage, dice) => {
  const { faces, people, local, weth, memory } = stage;
  const factory = local.protocol.addresses.factory;
  memory.named += 1;
  const name = `Tier ${memory.named} of ${dice.whole(1, 1_000_000)}`;
  const config = {
    name,
    symbol: `T${memory.named}`,
    strategy: local.strategy,
    seed: dice.part(ETH, 0.5, 2),
    mandateDelay: 45 * DAY,
    params: {
      k: 1,
      marginBps: 1_000,
      haircutBps: 200,
      bufferBps: 100,
      instantFeeBps: 20,
      quarantineBps: 500,
      cap: parseEther("5000"),
    },
  };
  return [
    step(people.curator, weth, faces.weth, "approve", factory, MaxUint256),
    { ...step(people.curator, factory, faces.factory, "createTier", config), gas: 16_000_000n },
  ];
};

// ---------------------------------------------------------------------------------------------------------- rewards

const pays: Move = async (stage, dice) => {
  const { memory, faces, people, local, weth, tokens, node } = stage;
  const tier = someTier(stage, dice);
  const agents = tier.agents.filter(({ removed }) => !removed);
  if (agents.length === 0) return NOTHING;
  const earner = dice.of(agents).address;
  const what = dice.of([weth, ...tokens]);
  const amount = what === weth ? dice.part(ETH / 2n, 0.1, 1) : dice.part(1_000n * ETH, 0.1, 1);
  const coordinator = local.eigenlayer.addresses.rewardsCoordinator;
  const owed = memory.earned.get(earner) ?? new Map<string, bigint>();
  owed.set(what, (owed.get(what) ?? 0n) + amount);
  memory.earned.set(earner, owed);
  const tree = rewardsTree(
    new Map(
      [...memory.earned].map(([key, value]) => [key, [...value].map(([token, cumulative]) => ({ token, cumulative }))]),
    ),
  );
  const index = Number(await node.big(coordinator, faces.rewardsCoordinator, "getDistributionRootsLength"));
  memory.claims.push({ tier: tier.rewards, claim: tree.claim(earner, index, [what]) });
  const fill =
    what === weth
      ? step(people.outside, weth, faces.weth, "transfer", coordinator, amount)
      : step(people.outside, what, faces.localToken, "mint", coordinator, amount);
  return [
    fill,
    step(people.outside, coordinator, faces.rewardsCoordinator, "submitRoot", tree.root, (await blockTime(stage)) - 1),
  ];
};

const harvests: Move = async (stage, dice) => {
  const { memory, faces } = stage;
  if (memory.claims.length === 0) return NOTHING;
  const at = dice.whole(0, Math.min(3, memory.claims.length - 1));
  const one = memory.claims[at];
  if (!one) return NOTHING;
  if (dice.chance(0.5)) memory.claims.splice(at, 1);
  return [step(stage.people.keeper, one.tier, faces.rewards, "harvest", one.claim)];
};

const trades: Move = async (stage, dice) => {
  const { faces, people, tokens, weth, node } = stage;
  const tier = someTier(stage, dice);
  const token = dice.of(tokens);
  const face = faces.rewards;
  const stock = (await node.view(tier.rewards, face, "stock", token))[0];
  const floor = z.bigint().parse(stock.getValue("floor"));
  const listed = stock.getValue("listed") === true;
  const who = someone(stage, dice);
  if (!listed) {
    if (token === tokens[1]) {
      const steps = [
        step(people.curator, tier.rewards, face, "reserveForDrops", token, dice.chance(0.5) ? MaxUint256 : ETH),
      ];
      return steps;
    }
    return [step(people.curator, tier.rewards, face, "listToken", token, ETH / 500n, ETH / 5_000n)];
  }
  switch (dice.whole(0, 6)) {
    case 0:
      return [step(people.curator, tier.rewards, face, "setFloor", token, dice.part(ETH / 4_000n, 0.2, 1))];
    case 1:
      return [step(people.guardian, tier.rewards, face, "raiseFloor", token, floor + 1_000n)];
    default:
      return [
        step(who, weth, faces.weth, "approve", tier.rewards, MaxUint256),
        step(
          who,
          tier.rewards,
          face,
          "buy",
          token,
          dice.part(300n * ETH, 0.01, 1),
          1_000n * ETH,
          dice.chance(0.5) ? who : dice.address(),
        ),
      ];
  }
};

const drops: Move = async (stage, dice) => {
  const { faces, people, tokens, node, memory } = stage;
  const face = faces.rewards;
  if (memory.drops.length > 0 && dice.chance(0.6)) {
    const drop = dice.of(memory.drops);
    const { account, amount, proof } = dice.of(drop.parts);
    if (dice.chance(0.25)) return [step(someone(stage, dice), drop.tier, face, "closeDrop", drop.id)];
    return [step(someone(stage, dice), drop.tier, face, "claimDrop", drop.id, account, amount, proof)];
  }
  const tier = someTier(stage, dice);
  const token = tokens[1];
  const series = memory.series.find((one) => one.tier === tier.address);
  if (!token || !series) return NOTHING;
  const pot = z.bigint().parse((await node.view(tier.rewards, face, "stock", token))[0].getValue("pot"));
  if (pot === 0n) return NOTHING;
  const now = await blockTime(stage);
  const shares = people.holders.slice(0, 4).map((to, i) => ({
    kind: "transfer" as const,
    time: now - 1_000,
    from: ZeroAddress,
    to,
    shares: BigInt(i + 1) * ETH,
  }));
  const amount = dice.part(pot, 0.2, 0.9);
  const tree = dropOf({ series: series.address, from: now - 900, until: now, amount, events: shares });
  memory.trees.set(tree.root, tree.parts);
  return [
    step(
      people.curator,
      tier.rewards,
      face,
      "postDrop",
      token,
      series.address,
      amount,
      tree.root,
      now + 100 * DAY,
      tree.inputsHash,
      "ipfs://holdings",
    ),
  ];
};

const fees: Move = async (stage, dice) => {
  const { faces, people, tokens, weth } = stage;
  const tier = someTier(stage, dice);
  const face = faces.rewards;
  const { rewards } = tier;
  const agents = tier.agents.filter(({ removed }) => !removed);
  if (agents.length === 0) return NOTHING;
  const agent = dice.of(agents).address;
  const token = dice.of([weth, ...tokens]);
  switch (dice.whole(0, 9)) {
    case 0:
      return [step(people.curator, rewards, face, "setOperatorFee", agent, dice.whole(0, 1_500))];
    case 1:
      return [step(people.curator, rewards, face, "setProtocolFee", dice.whole(0, 900))];
    case 2:
      return [step(someone(stage, dice), rewards, face, "applyFee", dice.chance(0.5) ? agent : ZeroAddress)];
    case 3:
      return [step(people.guardian, rewards, face, "withholdPay", agent)];
    case 4:
      return [step(people.curator, rewards, face, "resumePay", agent)];
    case 5:
      return [step(people.keeper, rewards, face, "review", agent)];
    case 6:
      return [step(people.treasury, rewards, face, "claimPay", token, people.treasury)];
    case 7:
      return [
        step(people.treasury, rewards, face, "offerTreasury", people.treasury),
        step(people.treasury, rewards, face, "acceptTreasury"),
      ];
    case 8:
      return [
        step(people.outside, token, token === weth ? faces.weth : faces.localToken, "transfer", rewards, 10n ** 15n),
        step(someone(stage, dice), rewards, face, "absorb", token),
      ];
    default:
      return [step(dice.of(people.operators), rewards, face, "claimPay", token, dice.address())];
  }
};

// ------------------------------------------------------------------------------------------------------- governance

const governs: Move = async (stage, dice) => {
  const { faces, people, local } = stage;
  const { accessManager: manager, acceptance, beacons, implementations } = local.protocol.addresses;
  const face = faces.accessManager;
  const { admin } = people;
  const who = someone(stage, dice);
  const role = 100n + BigInt(dice.whole(0, 5));
  const target = stage.services[0]?.avs ?? ZeroAddress;
  switch (dice.whole(0, 9)) {
    case 0:
      return [step(admin, manager, face, "grantRole", role, who, 0)];
    case 1:
      return [
        step(admin, manager, face, "grantRole", role, who, dice.whole(0, 1_000)),
        step(admin, manager, face, "revokeRole", role, who),
      ];
    case 2:
      return [step(admin, manager, face, "labelRole", role, `role ${role}`)];
    case 3:
      return [
        step(admin, manager, face, "setRoleAdmin", role, ROLES.admin),
        step(admin, manager, face, "setRoleGuardian", role, ROLES.guardian),
        step(admin, manager, face, "setGrantDelay", role, dice.whole(0, 100)),
      ];
    case 4:
      return [
        step(admin, manager, face, "setTargetClosed", target, true),
        step(admin, manager, face, "setTargetClosed", target, false),
        step(admin, manager, face, "setTargetAdminDelay", target, 0),
      ];
    case 5:
      return [step(who, acceptance, faces.acceptance, dice.chance(0.6) ? "accept" : "decline", manager, role)];
    case 6:
    case 7: {
      const waiting = stage.memory.scheduled[0];
      if (waiting && dice.chance(0.5)) {
        const cancels = dice.chance(0.4);
        if (cancels || dice.chance(0.6)) stage.memory.scheduled.shift();
        return [
          cancels
            ? step(waiting.from, manager, face, "cancel", waiting.from, waiting.target, waiting.data)
            : step(waiting.from, manager, face, "execute", waiting.target, waiting.data),
        ];
      }
      const kind = dice.of(["tier", "token", "risk", "agent"] as const);
      const data = faces.beacon.encodeFunctionData("upgradeTo", [implementations[kind]]);
      stage.memory.scheduled.push({ from: people.upgrader, target: beacons[kind], data });
      return [step(people.upgrader, manager, face, "schedule", beacons[kind], data, 0)];
    }
    case 8:
      return [step(who, manager, face, "renounceRole", role, who)];
    default:
      return [step(admin, manager, face, "setTargetFunctionRole", target, [id("nothing()").slice(0, 10)], role)];
  }
};

export const MOVES: readonly { readonly move: Move; readonly weight: number }[] = [
  { move: enters, weight: 22 },
  { move: transfers, weight: 22 },
  { move: appoints, weight: 3 },
  { move: leaves, weight: 14 },
  { move: leavesAtOnce, weight: 6 },
  { move: claims, weight: 12 },
  { move: finalises, weight: 8 },
  { move: gives, weight: 6 },
  { move: recovers, weight: 3 },
  { move: pots, weight: 3 },
  { move: keeps, weight: 40 },
  { move: keepsTogether, weight: 8 },
  { move: slashes, weight: 3 },
  { move: misbehaves, weight: 3 },
  { move: registers, weight: 5 },
  { move: handsOver, weight: 2 },
  { move: lido, weight: 6 },
  { move: strays, weight: 3 },
  { move: mandates, weight: 6 },
  { move: guards, weight: 4 },
  { move: staffs, weight: 2 },
  { move: pays, weight: 5 },
  { move: harvests, weight: 6 },
  { move: trades, weight: 6 },
  { move: drops, weight: 5 },
  { move: fees, weight: 6 },
  { move: governs, weight: 5 },
];

/** One of the moves, by weight. */
export function anyMove(dice: Dice): Move {
  const total = MOVES.reduce((sum, { weight }) => sum + weight, 0);
  let at = dice.whole(1, total);
  for (const { move, weight } of MOVES) {
    at -= weight;
    if (at <= 0) return move;
  }
  throw new Error("Weights do not add up.");
}

export const encode = AbiCoder.defaultAbiCoder();
/** Moves by name, for episodes. */
export const moves = {
  claims,
  drops,
  fees,
  finalises,
  governs,
  guards,
  handsOver,
  harvests,
  lido,
  mandates,
  misbehaves,
  pays,
  pots,
  recovers,
  registers,
  staffs,
  strays,
  trades,
  gives,
  leaves,
};
export { agentsOf, jobs, live, step };
