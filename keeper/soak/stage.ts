/** The stage of a simulation: a chain process, one funded tier, its people, and how to try things there. */
import { Contract, getAddress, isCallException, type JsonRpcSigner, MaxUint256, parseEther, ZeroAddress } from "ethers";
import * as z from "zod";
import { send } from "../../deploy/eigenlayer.ts";
import { localRecordOf } from "../../deploy/record.ts";
import type { Deployment } from "../../deployments/index.ts";
import {
  as,
  big,
  depositEth,
  ETH,
  errorName,
  openStandardTier,
  startWorld,
  type Terms,
  type Tier,
  user,
  type World,
} from "../../test/integration/world.ts";

const HOLDERS = 6;

/** An exit that somebody waits for. */
export interface Exit {
  readonly token: Contract;
  readonly senior: boolean;
  readonly id: bigint;
  readonly controller: string;
  readonly shares: bigint;
  readonly at: Moment;
}

export interface Moment {
  readonly block: number;
  readonly time: number;
}

export interface Stage {
  readonly world: World;
  readonly tier: Tier;
  readonly deployment: Deployment;
  readonly people: readonly JsonRpcSigner[];
  /** The terms in force, and those that wait. */
  terms: Terms;
  proposed: Terms | undefined;
  exits: Exit[];
  /** Every series that there was; the live ones are the tier's. */
  readonly series: Map<string, { readonly token: Contract; readonly senior: boolean }>;
  /** When Lido last finalised all requests. */
  lidoAt: number;
}

export async function openStage(agents: number, setsPerAgent: number): Promise<Stage> {
  const world = await startWorld();
  try {
    const tier = await openStandardTier(world, { agents, setsPerAgent, params: { k: 2 } });
    const people = Array.from({ length: HOLDERS }, (_, i) => user(world, i));
    const { outside } = world.local.signers;
    for (const { address } of [...people, outside])
      await world.provider.send("hardhat_setBalance", [address, `0x${parseEther("10000000").toString(16)}`]);
    await depositEth(world, user(world, 0), tier.junior, 100n * ETH);
    await depositEth(world, user(world, 1), tier.senior, await big(tier.senior, "maxDeposit", user(world, 1).address));
    const { timestamp } = await momentOf(world).then(({ time }) => ({ timestamp: time }));
    const stage: Stage = {
      world,
      tier,
      deployment: await deploymentOf(world),
      people,
      terms: tier.terms,
      proposed: undefined,
      exits: [],
      series: new Map(),
      lidoAt: timestamp,
    };
    await liveToken(stage, true);
    await liveToken(stage, false);
    return stage;
  } catch (error) {
    await world.close();
    throw error;
  }
}

/** Where Bulkhead is in this world, as the keeper is told. */
export const deploymentOf = ({ local, provider }: World): Promise<Deployment> =>
  localRecordOf(local.protocol, local.strategy, provider);

export async function momentOf(world: World): Promise<Moment> {
  const block = await world.provider.getBlock("latest");
  if (!block) throw new Error("The chain has no block.");
  return { block: block.number, time: block.timestamp };
}

/** The live series of a tranche; nothing while a retired one has no successor. */
export async function liveToken(stage: Stage, senior: boolean): Promise<Contract | undefined> {
  const { tier, world } = stage;
  const address = getAddress(z.string().parse(await tier.tier.getFunction("token")(senior)));
  if (address === ZeroAddress) return undefined;
  const known = stage.series.get(address);
  if (known) return known.token;
  const token = new Contract(address, tier.senior.interface, world.provider);
  stage.series.set(address, { token, senior });
  return token;
}

/** Sends it, or says with which error the protocol refuses it. */
export async function attempt(
  stage: Stage,
  contract: Contract,
  signer: JsonRpcSigner,
  fn: string,
  ...args: unknown[]
): Promise<string | undefined> {
  try {
    await send(as(contract, signer), fn, ...args);
    return undefined;
  } catch (error) {
    if (!isCallException(error)) throw error;
    return errorName(stage.world, error);
  }
}

export const approveAll = (stage: Stage, who: JsonRpcSigner, spender: string): Promise<unknown> =>
  send(as(stage.world.local.weth, who), "approve", spender, MaxUint256);
