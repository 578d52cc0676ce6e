/**
 * What the integration tests share: a chain process with the whole protocol on it, tiers as a curator would open them,
 * and the people who use them. Every step is a transaction over JSON-RPC, through the doors that users have.
 */
import assert from "node:assert/strict";
import {
  type Contract,
  getAddress,
  type Interface,
  isCallException,
  JsonRpcProvider,
  type JsonRpcSigner,
  MaxUint256,
  parseEther,
  type TransactionReceipt,
  type TransactionRequest,
} from "ethers";
import * as z from "zod";
import { deployContract, hardhatArtifacts, mergeInterfaces, send } from "../../deploy/eigenlayer.ts";
import { deployLocal, FIRST_USER_ACCOUNT, type LocalDeployment } from "../../deploy/local.ts";
import { openAgent, openTier, type Params, sendFor, type TierContracts } from "../../deploy/protocol.ts";
import { interfaceOf, KINDS } from "../../deploy/roles.ts";
import { type Chain, startChain } from "../../scripts/chain.ts";
import { buildContracts } from "../../scripts/lib/build.ts";

export const ETH = parseEther("1");
export const WAD = 10n ** 18n;
export const DAY = 86_400;
export const BLOCKS_A_DAY = 7_200;
export const BLOCK_TIME = 12;

export interface World {
  readonly chain: Chain;
  readonly provider: JsonRpcProvider;
  readonly local: LocalDeployment;
  /** People: accounts that no part of the deployment uses. */
  readonly users: readonly JsonRpcSigner[];
  /** Every custom error of the protocol and of EigenLayer. */
  readonly errors: Interface;
  close(): Promise<void>;
}

const USERS = 12;
const GAS = 16_000_000n;

/**
 * Simulates once and sends with plenty of gas. An estimate is a search of a dozen executions, which would be half of the
 * time of these tests; the scenario estimates as wallets do.
 */
class TestProvider extends JsonRpcProvider {
  override async estimateGas(transaction: TransactionRequest): Promise<bigint> {
    await this.call({ ...transaction, blockTag: "pending" });
    return GAS;
  }
}

export async function startWorld(): Promise<World> {
  await buildContracts();
  const chain = await startChain();
  const provider = new TestProvider(chain.url, 31_337, { staticNetwork: true, batchMaxCount: 1, cacheTimeout: -1 });
  const close = async () => {
    provider.destroy();
    await chain.stop();
  };
  try {
    const local = await deployLocal(provider);
    const indexes = Array.from({ length: USERS }, (_, i) => FIRST_USER_ACCOUNT + i);
    const users = await Promise.all(indexes.map((index) => provider.getSigner(index)));
    const weth = local.weth.interface.fragments;
    const errors = mergeInterfaces(
      ...KINDS.map((kind) => interfaceOf(kind).fragments),
      hardhatArtifacts("RiskConfigurator", "contracts/core/risk/RiskConfigurator.sol").abi,
      hardhatArtifacts("HelloWorldAVS", "contracts/avs/HelloWorldAVS.sol").abi,
      local.protocol.router.interface.fragments,
      local.protocol.upkeep.interface.fragments,
      local.protocol.accessManager.interface.fragments,
      local.protocol.factory.interface.fragments,
      local.steth.interface.fragments,
      weth,
      ...Object.values(local.eigenlayer.interfaces).map((face) => face.fragments),
    );
    return { chain, provider, local, users, errors, close };
  } catch (error) {
    await close();
    throw error;
  }
}

export function user(world: World, index: number): JsonRpcSigner {
  const signer = world.users[index];
  if (!signer) throw new Error(`There are ${world.users.length} users.`);
  return signer;
}

// -------------------------------------------------------------------------------------------- chain and reading

/** Mines blocks of 12 seconds. */
export async function mine(world: World, blocks: number): Promise<void> {
  await world.provider.send("hardhat_mine", [`0x${blocks.toString(16)}`, `0x${BLOCK_TIME.toString(16)}`]);
}

/** A block more than the days have: the first of many blocks comes one second after the last, not twelve. */
export async function passDays(world: World, days: number): Promise<void> {
  await mine(world, days * BLOCKS_A_DAY + 1);
}

/** Returns a function that brings the chain back to this moment; it can be called again and again. */
export async function checkpoint(world: World): Promise<() => Promise<void>> {
  const take = async () => z.string().parse(await world.provider.send("evm_snapshot", []));
  let id = await take();
  return async () => {
    assert.equal(await world.provider.send("evm_revert", [id]), true);
    id = await take();
  };
}

export async function now(world: World): Promise<number> {
  const block = await world.provider.getBlock("latest");
  if (!block) throw new Error("The chain has no block.");
  return block.timestamp;
}

export const as = (contract: Contract, signer: JsonRpcSigner): Contract => contract.connect(signer) as Contract;

export const call = (contract: Contract, fn: string, ...args: unknown[]): Promise<unknown> =>
  contract.getFunction(fn).staticCall(...args);

export async function big(contract: Contract, fn: string, ...args: unknown[]): Promise<bigint> {
  return z.bigint().parse(await call(contract, fn, ...args));
}

export async function address(contract: Contract, fn: string, ...args: unknown[]): Promise<string> {
  return getAddress(z.string().parse(await call(contract, fn, ...args)));
}

const list = (value: unknown): readonly unknown[] => z.custom<readonly unknown[]>().parse(value);

/** The result of a function that returns several values, or one struct, by name. */
export async function fields<T>(schema: z.ZodType<T>, contract: Contract, fn: string, ...args: unknown[]): Promise<T> {
  const result = z.custom<{ toObject(deep?: boolean): unknown }>().parse(await call(contract, fn, ...args));
  return schema.parse(result.toObject());
}

const booksSchema = z.object({ reserve: z.bigint(), junior: z.bigint(), senior: z.bigint(), gains: z.bigint() });
export type Books = z.infer<typeof booksSchema>;
export const books = (t: TierContracts): Promise<Books> => fields(booksSchema, t.tier, "books");
export const total = (b: Books): bigint => b.reserve + b.junior + b.senior + b.gains;

/** U (WAD) as stored by the last call. */
export async function utilisation(t: TierContracts): Promise<bigint> {
  return z
    .tuple([z.bigint()])
    .rest(z.unknown())
    .parse([...list(await call(t.tier, "status"))])[0];
}

export const deficitOf = (t: TierContracts) =>
  fields(
    z.object({
      outstanding: z.bigint(),
      juniorLoss: z.bigint(),
      openedAt: z.bigint(),
      closesAt: z.bigint(),
      juniorToken: z.string(),
    }),
    t.tier,
    "deficit",
  );

export async function cash(t: TierContracts): Promise<{ readonly idle: bigint; readonly reserved: bigint }> {
  const [idle, reserved] = z.tuple([z.bigint(), z.bigint()]).parse([...list(await call(t.tier, "cash"))]);
  return { idle, reserved };
}

export const agentState = (t: TierContracts, index: number) =>
  fields(
    z.object({
      account: z.string(),
      weightBps: z.bigint(),
      links: z.bigint(),
      exits: z.bigint(),
      magnitude: z.bigint(),
    }),
    t.risk,
    "agent",
    index,
  );

export const setState = (t: TierContracts, index: number) =>
  fields(
    z.object({ group: z.bigint(), allowed: z.boolean(), unapproved: z.boolean(), quarantined: z.boolean() }),
    t.risk,
    "set",
    index,
  );

export const exposures = (t: TierContracts) =>
  fields(
    z.object({
      current: z.custom<bigint[]>().transform((list) => [...list]),
      unapproved: z.bigint(),
      largest: z.bigint(),
    }),
    t.risk,
    "exposures",
    false,
  );

// ------------------------------------------------------------------------------------------------------ promises

/** The promise must fail with this custom error (or revert reason) of the protocol or of EigenLayer. */
export async function reverts(world: World, error: string, promise: Promise<unknown>): Promise<void> {
  try {
    await promise;
  } catch (caught) {
    assert.equal(errorName(world, caught), error);
    return;
  }
  assert.fail(`It should have reverted with ${error}, and it passed.`);
}

/** Whether a simulated call would revert with this error; another error is a failure. */
export async function refused(world: World, error: string, simulation: Promise<unknown>): Promise<boolean> {
  try {
    await simulation;
    return false;
  } catch (caught) {
    assert.equal(errorName(world, caught), error);
    return true;
  }
}

/** The custom error behind a failed call or transaction. */
export function errorName(world: World, caught: unknown): string {
  if (!isCallException(caught)) throw caught;
  const data = caught.data ?? z.object({ data: z.string() }).safeParse(caught.info?.error).data?.data;
  if (data === "0x") return "no data";
  if (typeof data !== "string") return caught.shortMessage;
  return world.errors.parseError(data)?.name ?? data;
}

/** SPEC rules 1 and 8: the books add up to what is owned, and the money that is set aside is there. */
export async function conserved(world: World, t: TierContracts): Promise<void> {
  const [stored, preview, money, held] = await Promise.all([
    books(t),
    fields(z.object({ value: z.bigint() }), t.tier, "preview"),
    cash(t),
    big(world.local.weth, "balanceOf", t.address),
  ]);
  assert.equal(total(stored), preview.value, "R + J + S + G = V");
  assert.ok(held >= money.idle + money.reserved, "recorded cash is there");
}

// --------------------------------------------------------------------------------------------------------- tiers

export interface OperatorSet {
  readonly avs: string;
  readonly id: number;
}

export interface Service {
  readonly contract: Contract;
  readonly set: OperatorSet;
}

export interface SetTerms {
  readonly operatorSet: OperatorSet;
  readonly category: number;
  readonly slasher: string;
  readonly redistributing: boolean;
  readonly vetoBlocks: number;
}

export interface AgentTerms {
  readonly agent: string;
  readonly weightBps: number;
  readonly targets: readonly { readonly set: number; readonly magnitude: bigint }[];
}

export interface Terms {
  readonly params: Params;
  readonly releases: number;
  readonly sets: readonly SetTerms[];
  readonly agents: readonly AgentTerms[];
}

export interface WorkingTier extends TierContracts {
  readonly agents: readonly { readonly agent: Contract; readonly address: string; readonly operator: JsonRpcSigner }[];
  readonly terms: Terms;
}

export interface Tier extends WorkingTier {
  /** Group n is service n, and works with agent n / sets per agent. */
  readonly services: readonly Service[];
}

export const PARAMS: Params = {
  k: 2,
  marginBps: 1_000,
  haircutBps: 200,
  bufferBps: 100,
  instantFeeBps: 20,
  quarantineBps: 500,
  cap: parseEther("1000000"),
};

export const NODE_OPERATOR = USERS - 1;

/** An AVS for tests; it is its own registrar. */
export async function openAVS(world: World, category = "oracle"): Promise<Contract> {
  const { outside } = world.local.signers;
  return deployContract(
    outside,
    hardhatArtifacts("LocalAVS", "contracts/local/avs/LocalAVS.sol"),
    outside.address,
    world.local.eigenlayer.addresses.allocationManager,
    category,
  );
}

/** An AVS with one operator set, which it slashes itself. */
export async function openService(world: World): Promise<Service> {
  const contract = await openAVS(world);
  const avs = await contract.getAddress();
  await send(contract, "createSet", 1, [world.local.strategy], avs);
  return { contract, set: { avs, id: 1 } };
}

export const setTerms = (set: OperatorSet, slasher: string = set.avs): SetTerms => ({
  operatorSet: set,
  category: 2,
  slasher,
  redistributing: false,
  vetoBlocks: 0,
});

/** A set that an agent shall work for. */
export interface Work {
  readonly set: OperatorSet;
  /** By default the AVS itself. */
  readonly slasher?: string;
  readonly magnitude: bigint;
}

/** A tier with agents, a first mandate and equal weights. Nobody has deposited and nobody is registered anywhere. */
export async function openWorkingTier(
  world: World,
  name: string,
  params: Partial<Params>,
  work: readonly (readonly Work[])[],
): Promise<WorkingTier> {
  const { signers, protocol, strategy, weth } = world.local;
  const seed = ETH;
  await send(as(weth, signers.curator), "deposit", { value: seed });
  const contracts = await openTier(protocol, signers, {
    name,
    symbol: name.toUpperCase(),
    strategy,
    seed,
    mandateDelay: 45 * DAY,
    params: { ...PARAMS, ...params },
  });
  const operator = user(world, NODE_OPERATOR);
  const agents: Tier["agents"][number][] = [];
  const sets: SetTerms[] = [];
  const agentTerms: AgentTerms[] = [];
  for (const [i, works] of work.entries()) {
    const opened = await openAgent(protocol, signers.curator, contracts.address, operator.address, "ipfs://agent");
    assert.equal(opened.index, i);
    agents.push({ agent: opened.agent, address: opened.address, operator });
    const targets = works.map(({ set, slasher, magnitude }) => ({
      set: sets.push(setTerms(set, slasher)) - 1,
      magnitude,
    }));
    agentTerms.push({ agent: opened.address, weightBps: Math.floor(10_000 / work.length), targets });
  }
  const terms: Terms = { params: { ...PARAMS, ...params }, releases: 0, sets, agents: agentTerms };
  await send(as(contracts.mandate, signers.curator), "tighten", terms);
  return { ...contracts, agents, terms };
}

/** The node operator registers an agent for a set. */
export async function register(t: WorkingTier, index: number, set: OperatorSet, data = "0x"): Promise<void> {
  const agent = t.agents[index];
  if (!agent) throw new Error(`There is no agent ${index}.`);
  await send(as(agent.agent, agent.operator), "register", set, data);
}

export interface TierShape {
  readonly name?: string;
  readonly params?: Partial<Params>;
  readonly agents: number;
  readonly setsPerAgent: number;
}

/**
 * A tier as its curator leaves it: each agent works for services of its own, so that each set is a slasher group, and
 * shares its magnitude equally among them; everybody is registered. Nobody has deposited.
 */
export async function openStandardTier(world: World, shape: TierShape): Promise<Tier> {
  const services: Service[] = [];
  for (let n = 0; n < shape.agents * shape.setsPerAgent; n++) services.push(await openService(world));
  const magnitude = WAD / BigInt(shape.setsPerAgent);
  const work = Array.from({ length: shape.agents }, (_, i) =>
    services.slice(i * shape.setsPerAgent, (i + 1) * shape.setsPerAgent).map(({ set }) => ({ set, magnitude })),
  );
  const tier = await openWorkingTier(world, shape.name ?? "Careful", shape.params ?? {}, work);
  for (const [i, works] of work.entries()) for (const { set } of works) await register(tier, i, set);
  return { ...tier, services };
}

// --------------------------------------------------------------------------------------------------------- people

export async function deadline(world: World): Promise<number> {
  return (await now(world)) + 3_600;
}

/** Deposits ETH through the router. */
export async function depositEth(world: World, who: JsonRpcSigner, token: Contract, assets: bigint): Promise<void> {
  const router = as(world.local.protocol.router, who);
  await send(router, "depositEth", token, 0, who.address, await deadline(world), { value: assets });
}

/** Junior capital, as much senior as it covers, everything restaked and allocated. */
export async function fund(
  world: World,
  t: WorkingTier,
  junior: JsonRpcSigner,
  senior: JsonRpcSigner,
  assets: bigint,
): Promise<void> {
  await depositEth(world, junior, t.junior, assets);
  await depositEth(world, senior, t.senior, await big(t.senior, "maxDeposit", senior.address));
  await deployAll(world, t);
  await allocateAll(world, t);
  await conserved(world, t);
}

/** A keeper restakes whatever the limits allow. */
export async function deployAll(world: World, t: WorkingTier): Promise<void> {
  const stakes = as(t.stakes, world.local.signers.keeper);
  for (const index of t.agents.keys()) {
    const limit = await big(stakes, "deployLimit", index);
    if (limit > 0n) await send(stakes, "deploy", index, limit);
  }
}

/** A keeper raises every allocation to its target. */
export async function allocateAll(world: World, t: WorkingTier): Promise<void> {
  const allocator = as(t.allocator, world.local.signers.keeper);
  for (const [index, { targets }] of t.terms.agents.entries())
    for (const [link, { magnitude }] of targets.entries()) await send(allocator, "allocate", index, link, magnitude);
}

/** A keeper brings back what the queues need: EigenLayer's queue, Lido's queue, idle. Takes some weeks of the chain. */
export async function bringBack(world: World, t: WorkingTier): Promise<void> {
  const stakes = as(t.stakes, world.local.signers.keeper);
  while (!(await refused(world, "NothingToUnbond", call(stakes, "unbond")))) await send(stakes, "unbond");
  await passDays(world, 14);
  await mine(world, 2);
  await completeAll(world, t);
  await throughLido(world, t);
}

/** Completes every withdrawal that is ready. */
export async function completeAll(world: World, t: WorkingTier): Promise<void> {
  const stakes = as(t.stakes, world.local.signers.keeper);
  for (const index of t.agents.keys()) {
    const { exits } = await agentState(t, index);
    for (let exit = Number(exits) - 1; exit >= 0; exit--) await send(stakes, "complete", index, exit);
  }
}

/** Sends loose stETH through Lido's queue, whose oracle finalises everything. */
export async function throughLido(world: World, t: TierContracts): Promise<void> {
  const { lidoQueue, signers } = world.local;
  const stakes = as(t.stakes, signers.keeper);
  await send(stakes, "requestUnstake", 50);
  await passDays(world, 2);
  await send(lidoQueue, "finalize", await big(lidoQueue, "getLastRequestId"));
  await send(stakes, "claimUnstaked", 50);
}

export async function request(t: TierContracts, token: Contract, who: JsonRpcSigner, shares: bigint): Promise<bigint> {
  const receipt = await sendFor(as(token, who), "requestRedeem", shares, who.address, who.address);
  return BigInt(eventValue(t.senior.interface, receipt, "RedeemRequest", "requestId"));
}

/** A value of the first event of that name in a receipt. */
export function eventValue(face: Interface, receipt: TransactionReceipt, event: string, name: string): string {
  for (const log of receipt.logs) {
    const parsed = face.parseLog(log);
    if (parsed?.name === event) return String(parsed.args.getValue(name));
  }
  throw new Error(`No ${event} in ${receipt.hash}.`);
}

/** All of a token's queue that can be finalised. */
export async function finalise(world: World, token: Contract): Promise<void> {
  await send(as(token, world.local.signers.keeper), "finalise", MaxUint256);
}

/** The service of group `group` slashes the agent that works for it; `wad` of what is allocated to it. */
export async function slash(world: World, t: Tier, group: number, wad: bigint): Promise<void> {
  const service = t.services[group];
  const perAgent = t.services.length / t.agents.length;
  const agent = t.agents[Math.floor(group / perAgent)];
  if (!service || !agent) throw new Error(`There is no group ${group}.`);
  await send(service.contract, "slash", agent.address, service.set.id, world.local.strategy, wad, "test");
}

/** What `shares` are worth now, without the rounding of a rate. */
export const worth = (token: Contract, shares: bigint): Promise<bigint> => big(token, "convertToAssets", shares);

export const rate = (token: Contract): Promise<bigint> => big(token, "collateralRate");
