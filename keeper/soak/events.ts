/**
 * What happens in a simulation without the keeper: people come and go, Lido earns and pays, AVSs slash and misbehave,
 * guardian and curator answer. Each event is tried and may be refused by the protocol, as in life.
 */
import { hexlify, isCallException, MaxUint256, ZeroAddress } from "ethers";
import * as z from "zod";
import { send } from "../../deploy/eigenlayer.ts";
import { sendFor } from "../../deploy/protocol.ts";
import type { Random } from "../../economics/random.ts";
import {
  as,
  big,
  books,
  call,
  DAY,
  depositEth,
  ETH,
  errorName,
  eventValue,
  fields,
  type Service,
  WAD,
} from "../../test/integration/world.ts";
import { attempt, liveToken, momentOf, type Stage } from "./stage.ts";

/** Days that Lido leaves requests unfinalised at most. */
export const LIDO_LAG = 5;
const POOL_A_DAY = 25n * ETH; // of 300,000: about 3 % a year

export class Dice {
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  chance(probability: number): boolean {
    return this.#random() < probability;
  }

  /** From `least` to `most`, both included. */
  whole(least: number, most: number): number {
    return least + Math.floor(this.#random() * (most - least + 1));
  }

  /** A part of an amount, in steps of a millionth. */
  part(amount: bigint, least: number, most: number): bigint {
    return (amount * BigInt(Math.round((least + this.#random() * (most - least)) * 1e6))) / 1_000_000n;
  }

  of<T>(list: readonly T[]): T {
    const one = list[this.whole(0, list.length - 1)];
    if (one === undefined) throw new Error("Nothing to choose from.");
    return one;
  }

  address(): string {
    return hexlify(Uint8Array.from({ length: 20 }, () => this.whole(1, 255)));
  }
}

/** What happened, for the record; nothing where nothing did. */
export type Told = string | undefined;
type Event = (stage: Stage, dice: Dice) => Promise<Told>;

const list = (value: unknown): readonly unknown[] => [...z.custom<Iterable<unknown>>().parse(value)];
const ether = (wei: bigint): string => (Number(wei / 10n ** 14n) / 1e4).toString();
const ended = (said: string, error: string | undefined): string => (error ? `${said}: ${error}` : said);

// ---------------------------------------------------------------------------------------------------------- people

const enters: Event = async (stage, dice) => {
  const senior = dice.chance(0.75);
  const token = await liveToken(stage, senior);
  if (!token) return undefined;
  const who = dice.of(stage.people);
  const limit = await big(token, "maxDeposit", who.address);
  // the senior takes most of what cover allows, so that a slash is felt
  const most = limit < (senior ? 400n : 15n) * ETH ? limit : (senior ? 400n : 15n) * ETH;
  const assets = dice.part(most, senior ? 0.5 : 0.1, 1);
  if (assets < ETH / 100n) return undefined;
  const said = `${senior ? "senior" : "junior"} deposit of ${ether(assets)}`;
  return ended(said, await tried(stage, () => depositEth(stage.world, who, token, assets)));
};

const leaves: Event = async (stage, dice) => {
  const senior = dice.chance(0.65);
  const token = await liveToken(stage, senior);
  if (!token) return undefined;
  const who = dice.of(stage.people);
  const held = await big(token, "balanceOf", who.address);
  if (held === 0n) return undefined;
  const shares = dice.chance(0.15) ? held : dice.part(held, 0.05, 0.6);
  const said = `${senior ? "senior" : "junior"} exit of ${ether(shares)} shares`;
  const error = await tried(stage, async () => {
    const receipt = await sendFor(as(token, who), "requestRedeem", shares, who.address, who.address);
    const id = BigInt(eventValue(token.interface, receipt, "RedeemRequest", "requestId"));
    stage.exits.push({ token, senior, id, controller: who.address, shares, at: await momentOf(stage.world) });
  });
  return ended(said, error);
};

const leavesAtOnce: Event = async (stage, dice) => {
  const token = await liveToken(stage, true);
  if (!token) return undefined;
  const who = dice.of(stage.people);
  const held = await big(token, "balanceOf", who.address);
  let shares = dice.part(held, 0.01, 0.2);
  const most = await big(token, "maxInstantRedeem").catch(() => 0n);
  if (shares > most) shares = most;
  if (shares === 0n) return undefined;
  return ended(
    `instant exit of ${ether(shares)} shares`,
    await attempt(stage, token, who, "instantRedeem", shares, 0, who.address, false),
  );
};

const claims: Event = async (stage, dice) => {
  const who = dice.of(stage.people);
  for (const { token } of stage.series.values()) {
    const shares = await big(token, "maxRedeem", who.address);
    if (shares > 0n)
      return ended(
        `claim of ${ether(shares)} shares`,
        await attempt(stage, token, who, "redeem", shares, who.address, who.address),
      );
  }
  return undefined;
};

const gives: Event = async (stage, dice) => {
  const { weth } = stage.world.local;
  const who = dice.of(stage.people);
  const assets = dice.part(3n * ETH, 0.01, 1);
  await send(as(weth, who), "deposit", { value: assets });
  await send(as(weth, who), "approve", stage.tier.address, MaxUint256);
  return ended(`gains of ${ether(assets)}`, await attempt(stage, stage.tier.tier, who, "addGains", assets));
};

// ------------------------------------------------------------------------------------------------------------ Lido

/** Once a day: yield, or rarely a loss, and the withdrawal queue, which waits some days at most. */
export async function lidoDay(stage: Stage, dice: Dice): Promise<readonly string[]> {
  const { steth, lidoQueue } = stage.world.local;
  const told: string[] = [];
  if (dice.chance(0.01)) {
    const loss = dice.part(600n * ETH, 0.1, 1); // at most 0.2 %
    await send(steth, "report", -loss);
    told.push(`Lido loses ${ether(loss)}`);
  } else {
    const gain = dice.part(POOL_A_DAY, 0.5, 1.5);
    await send(steth, "report", gain, { value: gain });
  }
  const { time } = await momentOf(stage.world);
  if (dice.chance(0.5) || time - stage.lidoAt > (LIDO_LAG - 1) * DAY) {
    await tried(stage, async () => send(lidoQueue, "finalize", await big(lidoQueue, "getLastRequestId")));
    stage.lidoAt = time;
  }
  return told;
}

// ------------------------------------------------------------------------------------------------------------ AVSs

const agentOf = (stage: Stage, service: Service) => {
  const perAgent = stage.tier.services.length / stage.tier.agents.length;
  const agent = stage.tier.agents[Math.floor(stage.tier.services.indexOf(service) / perAgent)];
  if (!agent) throw new Error("A service without an agent.");
  return agent;
};

async function slashOf(stage: Stage, service: Service, wad: bigint): Promise<string> {
  const { strategy, signers } = stage.world.local;
  const agent = agentOf(stage, service);
  const error = await attempt(
    stage,
    service.contract,
    signers.outside,
    "slash",
    agent.address,
    service.set.id,
    strategy,
    wad,
    "soak",
  );
  const set = stage.tier.services.indexOf(service);
  return ended(`set ${set} slashes ${ether(wad * 100n)} %`, error);
}

const slashes: Event = (stage, dice) =>
  slashOf(stage, dice.of(stage.tier.services), dice.part(WAD, 0.001, dice.chance(0.5) ? 0.04 : 0.6));

/** More groups than the senior is covered against. */
const disaster: Event = async (stage, dice) => {
  const told: string[] = [];
  for (let i = dice.whole(2, 4); i > 0; i--)
    told.push(await slashOf(stage, dice.of(stage.tier.services), dice.part(WAD, 0.3, 1)));
  return told.join(", ");
};

const changesSlasher: Event = async (stage, dice) => {
  const service = dice.of(stage.tier.services);
  const set = stage.tier.services.indexOf(service);
  const { outside } = stage.world.local.signers;
  const slasher = dice.chance(0.3) ? service.set.avs : dice.of(stage.people).address;
  return ended(
    `set ${set} announces slasher ${slasher.slice(0, 8)}`,
    await attempt(stage, service.contract, outside, "updateSlasher", service.set.id, slasher),
  );
};

const BEHAVIOURS = ["accepts", "refuses", "burns all gas", "slashes in its callback"] as const;

const misbehaves: Event = async (stage, dice) => {
  const service = dice.of(stage.tier.services);
  const set = stage.tier.services.indexOf(service);
  const { outside } = stage.world.local.signers;
  const behaviour = dice.whole(0, 3);
  if (behaviour === 3) {
    const wad = dice.part(WAD, 0.01, 0.3);
    await attempt(
      stage,
      service.contract,
      outside,
      "setCallbackSlash",
      service.set.id,
      stage.world.local.strategy,
      wad,
    );
  }
  return ended(
    `set ${set}'s registrar ${BEHAVIOURS[behaviour]}`,
    await attempt(stage, service.contract, outside, "setBehaviour", 0, behaviour),
  );
};

const ejects: Event = async (stage, dice) => {
  const service = dice.of(stage.tier.services);
  const { outside } = stage.world.local.signers;
  const agent = agentOf(stage, service);
  return ended(
    `set ${stage.tier.services.indexOf(service)} throws its operator out`,
    await attempt(stage, service.contract, outside, "eject", agent.address, [service.set.id]),
  );
};

// --------------------------------------------------------------------------------------------------- the tier's own

const quarantines: Event = async (stage, dice) => {
  const set = dice.whole(0, stage.tier.services.length - 1);
  const { group } = await setOf(stage, set);
  return ended(
    `the guardian quarantines group ${group}`,
    await attempt(stage, stage.tier.risk, stage.world.local.signers.guardian, "quarantine", group),
  );
};

const pauses: Event = async (stage) =>
  ended("entries paused", await attempt(stage, stage.tier.tier, stage.world.local.signers.guardian, "pauseEntries"));

/** Once a day: the curator opens entries, lowers targets to what agents have left, and lets good sets back in. */
export async function curatorDay(stage: Stage, dice: Dice): Promise<readonly string[]> {
  const { tier, world } = stage;
  const { curator } = world.local.signers;
  const told: string[] = [];
  if (dice.chance(0.5)) await attempt(stage, tier.tier, curator, "unpauseEntries");
  if (dice.chance(0.3)) told.push(...(await refill(stage)));
  const { time } = await momentOf(world);
  const [id, eta, expiry] = z
    .tuple([z.string(), z.bigint(), z.bigint()])
    .parse(list(await call(tier.mandate, "pending")));
  if (BigInt(id) !== 0n && stage.proposed) {
    if (time > Number(expiry)) stage.proposed = undefined;
    else if (time >= Number(eta)) {
      const error = await attempt(stage, tier.mandate, curator, "execute", stage.proposed);
      told.push(ended("the waiting mandate", error));
      if (error === undefined) {
        stage.terms = stage.proposed;
        stage.proposed = undefined;
      } else if (error !== "Uncovered") {
        await attempt(stage, tier.mandate, curator, "cancel");
        stage.proposed = undefined;
      }
    }
    return told;
  }
  if (!dice.chance(0.2)) return told;
  const wanted = await reopened(stage);
  if (wanted) {
    const error = await attempt(stage, tier.mandate, curator, "propose", wanted);
    told.push(ended("a mandate that lets sets back in", error));
    if (error === undefined) stage.proposed = wanted;
  }
  return told;
}

/** The reserve back to its seed: until then no senior enters. */
async function refill(stage: Stage): Promise<readonly string[]> {
  const { tier, world } = stage;
  const { curator } = world.local.signers;
  const missing = (await big(tier.tier, "seed")) - (await books(tier)).reserve;
  if (missing <= 0n) return [];
  await send(as(world.local.weth, curator), "deposit", { value: missing });
  await send(as(world.local.weth, curator), "approve", tier.address, missing);
  return [
    ended(`the reserve gets ${ether(missing)}`, await attempt(stage, tier.tier, curator, "topUpReserve", missing)),
  ];
}

/** Terms that release what is in quarantine and has a slasher that can be approved. */
async function reopened(stage: Stage): Promise<Stage["terms"] | undefined> {
  const { allocationManager } = stage.world.local.core;
  let releases = 0;
  const sets = [];
  for (const [i, known] of stage.terms.sets.entries()) {
    const { quarantined } = await setOf(stage, i);
    const slasher = z.string().parse(await call(allocationManager, "getSlasher", known.operatorSet));
    const [announced] = z
      .tuple([z.string(), z.bigint()])
      .parse(list(await call(allocationManager, "getPendingSlasher", known.operatorSet)));
    if (announced !== ZeroAddress && announced !== slasher) return undefined;
    if (quarantined) releases |= 1 << i;
    sets.push({ ...known, slasher });
  }
  if (releases === 0) return undefined;
  const agents = [];
  for (const [i, one] of stage.terms.agents.entries()) {
    const { magnitude } = await fields(z.object({ magnitude: z.bigint() }), stage.tier.risk, "agent", i);
    const each = magnitude / BigInt(one.targets.length);
    agents.push({ ...one, targets: one.targets.map(({ set }) => ({ set, magnitude: each })) });
  }
  return { ...stage.terms, sets, agents, releases: releases >>> 0 };
}

/** Once a day: node operators register where their agents are wanted and are no members. */
export async function operatorsDay(stage: Stage, dice: Dice): Promise<void> {
  if (!dice.chance(0.3)) return;
  const { allocationManager } = stage.world.local.core;
  for (const service of stage.tier.services) {
    const agent = agentOf(stage, service);
    const member = z
      .boolean()
      .parse(await call(allocationManager, "isMemberOfOperatorSet", agent.address, service.set));
    if (!member) await attempt(stage, agent.agent, agent.operator, "register", service.set, "0x");
  }
}

const setOf = (stage: Stage, index: number) =>
  fields(z.object({ group: z.bigint(), quarantined: z.boolean() }), stage.tier.risk, "set", index);

async function tried(stage: Stage, task: () => Promise<unknown>): Promise<string | undefined> {
  try {
    await task();
    return undefined;
  } catch (error) {
    if (!isCallException(error)) throw error;
    return errorName(stage.world, error);
  }
}

/** Events with how often each happens in a day, on average. */
export const PEOPLE: readonly { readonly event: Event; readonly aDay: number }[] = [
  { event: enters, aDay: 1.2 },
  { event: leaves, aDay: 0.5 },
  { event: leavesAtOnce, aDay: 0.15 },
  { event: claims, aDay: 0.6 },
  { event: gives, aDay: 0.2 },
];

export const TROUBLE: typeof PEOPLE = [
  { event: slashes, aDay: 0.06 },
  { event: disaster, aDay: 0.008 },
  { event: changesSlasher, aDay: 0.03 },
  { event: misbehaves, aDay: 0.08 },
  { event: ejects, aDay: 0.03 },
  { event: quarantines, aDay: 0.01 },
  { event: pauses, aDay: 0.015 },
];
