/**
 * Where the random run plays: the whole protocol on a chain process, three tiers that share services, many people, and
 * what a player has to remember. What is remembered is plain data, so that it can go back when the chain does.
 */
import { getAddress, Interface, MaxUint256, parseEther, type Result, ZeroAddress } from "ethers";
import * as z from "zod";
import { deployContract, hardhatArtifacts, LOCAL_EIGENLAYER, send } from "../../../deploy/eigenlayer.ts";
import type { LocalDeployment } from "../../../deploy/local.ts";
import { ACCESS_MANAGER, BEACON, FACTORY, PERIPHERY } from "../../../deploy/plan.ts";
import { localRecordOf } from "../../../deploy/record.ts";
import { interfaceOf, type Kind } from "../../../deploy/roles.ts";
import type { Deployment } from "../../../deployments/index.ts";
import type { Claim } from "../../../scenario/rewards-tree.ts";
import {
  as,
  depositEth,
  ETH,
  openAVS,
  openWorkingTier,
  register,
  startWorld,
  type Terms,
  user,
  WAD,
  type World,
} from "../../integration/world.ts";
import { type Log, Node } from "./node.ts";

/** Services: one AVS each, with its sets; set 2 of some of them pays slashed funds to somebody. */
export interface Service {
  readonly avs: string;
  readonly sets: readonly { readonly id: number; readonly redistributing: boolean }[];
}

export interface AgentOf {
  readonly address: string;
  readonly index: number;
  removed: boolean;
}

export interface TierOf {
  readonly address: string;
  readonly risk: string;
  readonly stakes: string;
  readonly allocator: string;
  readonly mandate: string;
  readonly module: string;
  rewards: string;
  agents: AgentOf[];
  /** Terms in force, as the last MandateApplied says. */
  terms: Terms | undefined;
  proposed: Terms | undefined;
  /** Whether its functions have their roles. */
  permitted: boolean;
}

export interface SeriesOf {
  readonly address: string;
  readonly tier: string;
  readonly senior: boolean;
}

export interface DropOf {
  readonly tier: string;
  readonly id: number;
  readonly parts: readonly { readonly account: string; readonly amount: bigint; readonly proof: readonly string[] }[];
}

/** What a player remembers; goes back with the chain. */
export interface Memory {
  tiers: TierOf[];
  series: SeriesOf[];
  holders: string[];
  /** earner → token → all that was ever earned. */
  earned: Map<string, Map<string, bigint>>;
  claims: { readonly tier: string; readonly claim: Claim }[];
  /** Drops that will be posted, by their root. */
  trees: Map<string, DropOf["parts"]>;
  drops: DropOf[];
  listed: string[];
  scheduled: { readonly from: string; readonly target: string; readonly data: string }[];
  named: number;
  /** Whether the third tier has met its end: until then only people and keepers come there. */
  ruined: boolean;
}

export interface Faces extends Readonly<Record<Kind, Interface>> {
  readonly factory: Interface;
  readonly router: Interface;
  readonly upkeep: Interface;
  readonly accessManager: Interface;
  readonly acceptance: Interface;
  readonly beacon: Interface;
  readonly weth: Interface;
  readonly lido: Interface;
  readonly lidoQueue: Interface;
  readonly avs: Interface;
  readonly localToken: Interface;
  readonly allocationManager: Interface;
  readonly delegationManager: Interface;
  readonly strategyManager: Interface;
  readonly rewardsCoordinator: Interface;
}

export interface People {
  readonly admin: string;
  readonly curator: string;
  readonly guardian: string;
  readonly upgrader: string;
  readonly keeper: string;
  readonly treasury: string;
  readonly outside: string;
  readonly holders: readonly string[];
  readonly operators: readonly string[];
}

/** What comparing takes: a chain, what is deployed there, and how to read it. */
export interface Scene {
  readonly node: Node;
  readonly deployment: Deployment;
  readonly faces: Faces;
}

export interface Stage extends Scene {
  readonly world: World;
  readonly local: LocalDeployment;
  readonly people: People;
  readonly services: readonly Service[];
  /** Reward tokens that have no price in ETH. */
  readonly tokens: readonly string[];
  readonly weth: string;
  memory: Memory;
}

/** The last five work for the third tier alone, and nobody meddles with them. */
const SERVICES = 12;
export const OPEN_SERVICES = 7;

export async function openStage(): Promise<Stage> {
  const world = await startWorld();
  try {
    const { local } = world;
    const { signers } = local;
    const node = new Node(world.chain.url);
    const services: Service[] = [];
    for (let i = 0; i < SERVICES; i++) {
      const contract = await openAVS(world, `service ${i}`);
      const avs = await contract.getAddress();
      // the fourth one's sets belong to the third one's slasher: a group of two AVSs
      const slasher = i === 3 ? (services[2]?.avs ?? avs) : avs;
      const sets = [{ id: 1, redistributing: false }];
      await send(contract, "createSet", 1, [local.strategy], slasher);
      if (i % 3 === 1 && i < OPEN_SERVICES) {
        await send(contract, "createRedistributingSet", 2, [local.strategy], avs, signers.treasury.address);
        sets.push({ id: 2, redistributing: true });
      }
      services.push({ avs, sets });
    }
    const tokens: string[] = [];
    for (const symbol of ["TIDE", "FOAM"]) {
      const artifact = hardhatArtifacts("LocalToken", "contracts/local/LocalToken.sol");
      const token = await deployContract(signers.outside, artifact, signers.outside.address, symbol, symbol);
      tokens.push(await token.getAddress());
    }

    const set = (service: number, id = 1) => ({ avs: services[service]?.avs ?? ZeroAddress, id });
    const careful = await openWorkingTier(world, "Careful", { k: 2, quarantineBps: 2_000 }, [
      [0, 1, 2, 3].map((n) => ({ set: set(n), slasher: slasherOf(services, n), magnitude: WAD / 4n })),
      [4, 5, 6].map((n) => ({ set: set(n), magnitude: WAD / 3n })),
    ]);
    // shares services with the first one, other agents
    const bold = await openWorkingTier(world, "Bold", { k: 1, quarantineBps: 3_000 }, [
      [0, 4].map((n) => ({ set: set(n), magnitude: WAD / 3n })),
      [5, 6].map((n) => ({ set: set(n), magnitude: WAD / 3n })),
    ]);
    // everything allocated, no buffer: a disaster leaves nothing
    const doomed = await openWorkingTier(world, "Doomed", { k: 1, bufferBps: 0 }, [
      [7, 8, 9, 10, 11].map((n) => ({ set: set(n), magnitude: WAD / 5n })),
    ]);
    for (const tier of [careful, bold, doomed])
      for (const [i, { targets }] of tier.terms.agents.entries())
        for (const target of targets) {
          const terms = tier.terms.sets[target.set];
          if (terms) await register(tier, i, terms.operatorSet);
        }

    // while nobody holds anything a fee counts at once
    for (const { rewards, agents } of [careful, bold]) {
      const curator = as(rewards, signers.curator);
      await send(curator, "setProtocolFee", 500);
      for (const { address } of agents) await send(curator, "setOperatorFee", address, 1_000);
    }

    const rich = [...world.users, signers.curator, signers.keeper, signers.outside].map(({ address }) => address);
    const weth = local.weth.interface;
    const questions = rich.flatMap((from) => {
      const wethCall = (data: string, value = 0n) => ({
        method: "eth_sendTransaction",
        params: [{ from, to: local.protocol.addresses.weth, data, value: `0x${value.toString(16)}` }],
      });
      const spenders = [careful, bold, doomed].flatMap(({ address, senior, junior, rewards }) => [
        address,
        senior.target,
        junior.target,
        rewards.target,
      ]);
      return [
        { method: "hardhat_setBalance", params: [from, `0x${parseEther("10000000").toString(16)}`] },
        wethCall(weth.encodeFunctionData("deposit"), parseEther("100000")),
        ...spenders.map((spender) => wethCall(weth.encodeFunctionData("approve", [spender, MaxUint256]))),
      ];
    });
    if ((await node.batch(questions)).includes(undefined)) throw new Error("Somebody has no WETH.");
    await depositEth(world, user(world, 0), careful.junior, 200n * ETH);
    await depositEth(world, user(world, 1), bold.junior, 100n * ETH);
    await depositEth(world, user(world, 2), doomed.junior, 10n * ETH);

    const holders = world.users.slice(0, -2).map(({ address }) => address);
    const operators = world.users.slice(-2).map(({ address }) => address);
    const people: People = {
      admin: signers.admin.address,
      curator: signers.curator.address,
      guardian: signers.guardian.address,
      upgrader: signers.upgrader.address,
      keeper: signers.keeper.address,
      treasury: signers.treasury.address,
      outside: signers.outside.address,
      holders,
      operators,
    };
    const memory: Memory = {
      tiers: [],
      series: [],
      holders: [],
      earned: new Map(),
      claims: [],
      trees: new Map(),
      drops: [],
      listed: [],
      scheduled: [],
      named: 0,
      ruined: false,
    };
    return {
      world,
      node,
      local,
      deployment: await localRecordOf(local.protocol, local.strategy, world.provider),
      faces: facesOf(),
      people,
      services,
      tokens,
      weth: await local.weth.getAddress(),
      memory,
    };
  } catch (error) {
    await world.close();
    throw error;
  }
}

const slasherOf = (services: readonly Service[], n: number): string =>
  (n === 3 ? services[2] : services[n])?.avs ?? ZeroAddress;

const abiOf = (name: string, file: string): Interface => Interface.from(hardhatArtifacts(name, file).abi);

/** How to read and write everything on a local chain. */
export function facesOf(): Faces {
  const eigen = (name: string) => abiOf(`Local${name}`, `${LOCAL_EIGENLAYER}/Local${name}.sol`);
  return {
    tier: interfaceOf("tier"),
    risk: interfaceOf("risk"),
    stakes: interfaceOf("stakes"),
    allocator: interfaceOf("allocator"),
    mandate: interfaceOf("mandate"),
    token: interfaceOf("token"),
    agent: interfaceOf("agent"),
    module: interfaceOf("module"),
    rewards: interfaceOf("rewards"),
    factory: abiOf(FACTORY.name, FACTORY.file),
    router: abiOf(PERIPHERY.router.name, PERIPHERY.router.file),
    upkeep: abiOf(PERIPHERY.upkeep.name, PERIPHERY.upkeep.file),
    accessManager: abiOf(ACCESS_MANAGER.name, ACCESS_MANAGER.file),
    acceptance: abiOf("RoleAcceptance", "contracts/periphery/RoleAcceptance.sol"),
    beacon: abiOf(BEACON.name, BEACON.file),
    weth: abiOf("LocalWETH", "contracts/local/LocalWETH.sol"),
    lido: abiOf("LocalLido", "contracts/local/lido/LocalLido.sol"),
    lidoQueue: abiOf("LocalLidoWithdrawalQueue", "contracts/local/lido/LocalLidoWithdrawalQueue.sol"),
    avs: abiOf("LocalAVS", "contracts/local/avs/LocalAVS.sol"),
    localToken: abiOf("LocalToken", "contracts/local/LocalToken.sol"),
    allocationManager: eigen("AllocationManager"),
    delegationManager: eigen("DelegationManager"),
    strategyManager: eigen("StrategyManager"),
    rewardsCoordinator: eigen("RewardsCoordinator"),
  };
}

// ------------------------------------------------------------------------------------------------ what is remembered

const text = (result: Result, name: string): string => z.string().parse(result.getValue(name));
const whole = (result: Result, name: string): number => Number(z.bigint().parse(result.getValue(name)));

/** Follows the chain: agents, series, holders, terms and drops are what events say. */
export function remember(stage: Stage, logs: readonly Log[]): void {
  const { memory, faces } = stage;
  const known = (address: string) => getAddress(address);
  const tierBy = (part: keyof TierOf, address: string) => memory.tiers.find((tier) => tier[part] === known(address));
  for (const log of logs) {
    const parse = (face: Interface) => {
      try {
        return face.parseLog({ topics: [...log.topics], data: log.data });
      } catch {
        return null;
      }
    };
    const address = known(log.address);
    if (address === known(stage.local.protocol.addresses.factory)) {
      const event = parse(faces.factory);
      if (event?.name === "RewardsCreated") rewardsOf.set(text(event.args, "tier"), text(event.args, "rewards"));
      if (event?.name === "TierCreated") {
        const part = (name: string) => text(event.args, name);
        memory.tiers.push({
          address: part("tier"),
          risk: part("risk"),
          stakes: part("stakes"),
          allocator: part("allocator"),
          mandate: part("mandate"),
          module: part("module"),
          rewards: rewardsOf.get(part("tier")) ?? ZeroAddress,
          agents: [],
          terms: undefined,
          proposed: undefined,
          permitted: false,
        });
      }
      if (event?.name === "AgentCreated")
        tierBy("address", text(event.args, "tier"))?.agents.push({
          address: text(event.args, "agent"),
          index: whole(event.args, "index"),
          removed: false,
        });
      if (event?.name === "SeriesCreated")
        memory.series.push({
          address: text(event.args, "token"),
          tier: text(event.args, "tier"),
          senior: Boolean(event.args.getValue("senior")),
        });
    }
    if (memory.series.some((one) => one.address === address)) {
      const event = parse(faces.token);
      if (event?.name === "Transfer")
        for (const side of ["from", "to"]) {
          const account = text(event.args, side);
          if (account !== ZeroAddress && !memory.holders.includes(account)) memory.holders.push(account);
        }
    }
    const risk = tierBy("risk", address);
    if (risk) {
      const event = parse(faces.risk);
      const agent = event?.name === "AgentRemoved" ? text(event.args, "account") : undefined;
      for (const one of risk.agents) if (one.address === agent) one.removed = true;
    }
    const mandate = tierBy("mandate", address);
    if (mandate) {
      const event = parse(faces.mandate);
      if (event?.name === "MandateProposed") mandate.proposed = termsOf(event.args.getValue("terms"));
      if (event?.name === "MandateCancelled") mandate.proposed = undefined;
      if (event?.name === "MandateApplied") {
        mandate.terms = termsOf(event.args.getValue("terms"));
        if (event.args.getValue("riskier")) mandate.proposed = undefined;
      }
    }
    const rewards = tierBy("rewards", address);
    if (rewards) {
      const event = parse(faces.rewards);
      const parts = event?.name === "DropPosted" ? memory.trees.get(text(event.args, "root")) : undefined;
      if (event && parts) memory.drops.push({ tier: rewards.rewards, id: whole(event.args, "id"), parts });
    }
    if (address === known(stage.local.protocol.addresses.accessManager)) {
      const event = parse(faces.accessManager);
      if (event?.name === "TargetFunctionRoleUpdated") {
        const target = text(event.args, "target");
        // the rewards contract's rights are the last ones to be given
        const tier = memory.tiers.find((one) => one.rewards === target);
        if (tier) tier.permitted = true;
      }
    }
  }
}
const rewardsOf = new Map<string, string>();

const termsSchema = z.object({
  params: z.object({
    k: z.bigint().transform(Number),
    marginBps: z.bigint().transform(Number),
    haircutBps: z.bigint().transform(Number),
    bufferBps: z.bigint().transform(Number),
    instantFeeBps: z.bigint().transform(Number),
    quarantineBps: z.bigint().transform(Number),
    cap: z.bigint(),
  }),
  releases: z.bigint().transform(Number),
  sets: z.array(
    z.object({
      operatorSet: z.object({ avs: z.string(), id: z.bigint().transform(Number) }),
      category: z.bigint().transform(Number),
      slasher: z.string(),
      redistributing: z.boolean(),
      vetoBlocks: z.bigint().transform(Number),
    }),
  ),
  agents: z.array(
    z.object({
      agent: z.string(),
      weightBps: z.bigint().transform(Number),
      targets: z.array(z.object({ set: z.bigint().transform(Number), magnitude: z.bigint() })),
    }),
  ),
});

/** Terms as an event carries them, as plain data: structs have names, lists have none. */
function termsOf(value: unknown): Terms {
  const struct = (one: unknown, ...names: readonly string[]): Record<string, unknown> => {
    const result = z.custom<Result>().parse(one);
    return Object.fromEntries(names.map((name) => [name, result.getValue(name)]));
  };
  const list = (one: unknown): unknown[] => [...z.custom<Result>().parse(one)];
  const terms = struct(value, "params", "releases", "sets", "agents");
  return termsSchema.parse({
    ...terms,
    params: struct(terms.params, "k", "marginBps", "haircutBps", "bufferBps", "instantFeeBps", "quarantineBps", "cap"),
    sets: list(terms.sets).map((one) => {
      const set = struct(one, "operatorSet", "category", "slasher", "redistributing", "vetoBlocks");
      return { ...set, operatorSet: struct(set.operatorSet, "avs", "id") };
    }),
    agents: list(terms.agents).map((one) => {
      const agent = struct(one, "agent", "weightBps", "targets");
      return { ...agent, targets: list(agent.targets).map((target) => struct(target, "set", "magnitude")) };
    }),
  });
}

/** What a player remembers, to be put back when the chain goes back. */
export const copyOf = (memory: Memory): Memory => structuredClone(memory);
