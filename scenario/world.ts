/** Builds what a scenario file names: tiers with their agents, AVSs with their operator sets, and people with accounts. */
import {
  AbiCoder,
  type Contract,
  getAddress,
  Interface,
  JsonRpcProvider,
  type JsonRpcSigner,
  Wallet,
  ZeroAddress,
} from "ethers";
import { type EigenLayerKind, hardhatArtifacts, send } from "../deploy/eigenlayer.ts";
import { attachOutside, deployLocal, FIRST_USER_ACCOUNT, type LocalDeployment } from "../deploy/local.ts";
import { inputsFor, type Network } from "../deploy/network.ts";
import { deployProtocol, openAgent, openTier, type Protocol, type TierContracts } from "../deploy/protocol.ts";
import { interfaceOf, KINDS, type Kind } from "../deploy/roles.ts";
import { ChainClient, type RawTransaction } from "./chain.ts";
import { CATEGORIES, type Scenario, type TierTerms, type TokenTerms } from "./schema.ts";
import { WAD } from "./units.ts";

export interface Avs {
  readonly name: string;
  readonly category: (typeof CATEGORIES)[number];
  readonly address: string;
  readonly contract: "local" | "hello world";
  /** What it pays with, if that is not WETH, and has staked beside ETH: a quorum of its own. */
  readonly token?: AvsToken;
}

export interface AvsToken {
  readonly symbol: string;
  readonly address: string;
  /** Wei of ETH for a whole token, by the scenario. */
  readonly price: bigint;
  readonly strategy: string;
  /** The operator of the token's quorum: not one of Bulkhead's. */
  readonly operator: string;
}

export interface Agent {
  readonly operator: string;
  readonly index: number;
  readonly address: string;
  /** AVSs in the order of the agent's links. */
  readonly avss: readonly string[];
  /** Answers for the Hello World AVS, where the agent serves it. */
  readonly key?: Wallet;
}

export interface Tier {
  readonly name: string;
  readonly terms: TierTerms;
  readonly address: string;
  readonly risk: string;
  readonly stakes: string;
  readonly allocator: string;
  readonly mandate: string;
  readonly module: string;
  readonly rewards: string;
  readonly agents: readonly Agent[];
  /** AVSs in the order of the tier's sets. */
  readonly avss: readonly string[];
}

export interface Faces extends Readonly<Record<Kind, Interface>> {
  readonly router: Interface;
  readonly lens: Interface;
  readonly factory: Interface;
  readonly weth: Interface;
  readonly steth: Interface;
  readonly lidoQueue: Interface;
  readonly localAvs: Interface;
  readonly helloWorld: Interface;
  readonly allocationManager: Interface;
  readonly delegationManager: Interface;
  readonly rewardsCoordinator: Interface;
  readonly strategy: Interface;
  readonly localToken: Interface;
}

export interface World {
  readonly scenario: Scenario;
  readonly chain: ChainClient;
  readonly faces: Faces;
  readonly addresses: {
    readonly router: string;
    readonly lens: string;
    readonly factory: string;
    readonly accessManager: string;
    readonly weth: string;
    readonly steth: string;
    readonly lidoQueue: string;
    readonly strategy: string;
    readonly allocationManager: string;
    readonly delegationManager: string;
    readonly strategyManager: string;
    readonly rewardsCoordinator: string;
  };
  readonly accounts: {
    readonly curator: string;
    readonly guardian: string;
    readonly keeper: string;
    readonly outside: string;
    readonly avsOwner: string;
    readonly operators: ReadonlyMap<string, string>;
    readonly people: ReadonlyMap<string, string>;
  };
  readonly avss: ReadonlyMap<string, Avs>;
  readonly tiers: ReadonlyMap<string, Tier>;
  /** Whether the story plays Lido's oracle; on a copy of a network it is somebody else's and stands still. */
  readonly oracle: boolean;
  readonly protocol: Protocol;
  /** The block after which the story begins, and its time. */
  readonly birth: { readonly block: number; readonly time: number };
}

/** The operator set that each AVS opens here. */
export const SET_ID = 1;
/** The operator set for an AVS's own token. */
export const OWN_SET_ID = 2;

/** Anybody may call it; the tier takes what the strategy takes. */
export async function buildWorld(
  scenario: Scenario,
  url: string,
  kind: EigenLayerKind,
  log: (line: string) => void,
): Promise<World> {
  return withProvider(url, async (provider) => {
    const local = await deployLocal(provider, { eigenlayer: kind, log });
    return populate(scenario, url, local, true, log);
  });
}

/** As `buildWorld`, on a copy of a network where EigenLayer, Lido and WETH are somebody else's. */
export async function buildForkedWorld(
  scenario: Scenario,
  url: string,
  network: Network,
  file: string,
  log: (line: string) => void,
): Promise<World> {
  return withProvider(url, async (provider) => {
    const outside = await attachOutside(provider, network, file);
    log(`${network.name} is as ${file} says`);
    const protocol = await deployProtocol({
      ...inputsFor(outside.network, outside.signers.admin.address),
      signer: outside.signers.admin,
    });
    return populate(scenario, url, { ...outside, protocol }, false, log);
  });
}

async function withProvider(url: string, work: (provider: JsonRpcProvider) => Promise<World>): Promise<World> {
  const provider = new JsonRpcProvider(url, undefined, { staticNetwork: true, cacheTimeout: -1, batchMaxCount: 1 });
  provider.pollingInterval = 20;
  try {
    return await work(provider);
  } finally {
    provider.destroy();
  }
}

async function populate(
  scenario: Scenario,
  url: string,
  local: LocalDeployment,
  oracle: boolean,
  log: (line: string) => void,
): Promise<World> {
  const { provider, protocol, signers, strategy } = local;
  const assign = await accountBook(provider);
  const operators = new Map<string, JsonRpcSigner>();
  const owner = await assign("the AVSs");
  for (const name of Object.keys(scenario.operators)) operators.set(name, await assign(name));
  const people = new Map<string, string>();
  for (const name of Object.keys(scenario.people)) people.set(name, (await assign(name)).address);

  const artifacts = {
    local: hardhatArtifacts("LocalAVS", "contracts/local/avs/LocalAVS.sol"),
    "hello world": hardhatArtifacts("HelloWorldAVS", "contracts/avs/HelloWorldAVS.sol"),
  };
  const avsFaces = {
    local: Interface.from(artifacts.local.abi),
    "hello world": Interface.from(artifacts["hello world"].abi),
  };
  const tokenArtifact = hardhatArtifacts("LocalToken", "contracts/local/LocalToken.sol");
  const kinds = Object.fromEntries(KINDS.map((kind) => [kind, interfaceOf(kind)])) as Record<Kind, Interface>;
  const faces: Faces = {
    ...kinds,
    router: protocol.router.interface,
    lens: protocol.lens.interface,
    factory: protocol.factory.interface,
    weth: local.weth.interface,
    steth: local.steth.interface,
    lidoQueue: local.lidoQueue.interface,
    localAvs: avsFaces.local,
    helloWorld: avsFaces["hello world"],
    allocationManager: local.eigenlayer.interfaces.allocationManager,
    delegationManager: local.eigenlayer.interfaces.delegationManager,
    rewardsCoordinator: local.eigenlayer.interfaces.rewardsCoordinator,
    strategy: new Interface(["function sharesToUnderlyingView(uint256) view returns (uint256)"]),
    localToken: Interface.from(tokenArtifact.abi),
  };
  const configurator = hardhatArtifacts("RiskConfigurator", "contracts/core/risk/RiskConfigurator.sol");
  const rewardsConfigurator = hardhatArtifacts(
    "RewardsConfigurator",
    "contracts/modules/rewards/RewardsConfigurator.sol",
  );
  const chain = new ChainClient(url, [
    configurator.abi,
    rewardsConfigurator.abi,
    ...Object.values(faces).map((face) => face.fragments as never),
    protocol.accessManager.interface.fragments as never,
  ]);

  const allocationManager = protocol.eigenlayer.allocationManager;
  const planned = Object.entries(scenario.avss);
  const created = await chain.sendMany(
    planned.map(([, { category, contract, "fault costs": fault }]) => {
      const args =
        contract === "local" ? [owner.address, allocationManager, category] : [allocationManager, strategy, fault];
      return {
        from: owner.address,
        data: artifacts[contract].bytecode + avsFaces[contract].encodeDeploy(args).slice(2),
      };
    }),
  );
  const avss = new Map<string, Avs>();
  for (const [i, [name, { category, contract }]] of planned.entries()) {
    avss.set(name, { name, category, address: getAddress(must(created[i], name)), contract });
  }
  await chain.sendMany(
    [...avss.values()].map(({ contract, address }) => {
      const [fn, args] = contract === "local" ? ["createSet", [SET_ID, [strategy], address]] : ["open", []];
      return {
        from: owner.address,
        to: address,
        data: avsFaces[contract].encodeFunctionData(fn as string, args as unknown[]),
      };
    }),
  );
  log(`${avss.size} AVSs opened their operator sets`);
  for (const [name, { token }] of planned) {
    const avs = must(avss.get(name), name);
    if (token) avss.set(name, { ...avs, token: await openQuorum(avs, token) });
  }

  const seeds = Object.values(scenario.tiers).reduce((sum, terms) => sum + terms.seed, 0n);
  await send(local.weth.connect(signers.curator) as Contract, "deposit", { value: seeds });
  const tiers = new Map<string, Tier>();
  const paramsOf = (terms: TierTerms) => ({
    k: terms.k,
    marginBps: terms.margin,
    haircutBps: terms.haircut,
    bufferBps: terms.buffer,
    instantFeeBps: terms["instant fee"],
    quarantineBps: terms.quarantine,
    cap: terms.cap,
  });
  for (const [name, terms] of Object.entries(scenario.tiers)) {
    const contracts = await openTier(protocol, signers, {
      name,
      symbol: terms.symbol,
      strategy,
      seed: terms.seed,
      mandateDelay: terms["mandate delay"],
      params: paramsOf(terms),
    });
    tiers.set(name, await equip(name, terms, contracts));
    log(`${name}: ${Object.keys(terms.agents).length} agents, ${tiers.get(name)?.avss.length ?? 0} AVSs`);
  }

  /** An AVS's own token, with an operator set of its own in which somebody else has staked it. */
  async function openQuorum(avs: Avs, { symbol, price, staked }: TokenTerms): Promise<AvsToken> {
    const operator = await assign(`${avs.name}'s own quorum`);
    const args = [owner.address, `${avs.name} token`, symbol];
    const data = tokenArtifact.bytecode + faces.localToken.encodeDeploy(args).slice(2);
    const [created] = await chain.sendMany([{ from: owner.address, data }]);
    const address = getAddress(must(created, symbol));
    const units = (staked * WAD) / price;
    await send(local.core.strategyFactory, "deployNewStrategy", address);
    const strategies = local.core.strategyFactory.getFunction("deployedStrategies");
    const ownStrategy = getAddress(String(await strategies(address)));
    const { strategyManager, delegationManager } = protocol.eigenlayer;
    const set = { avs: avs.address, id: OWN_SET_ID };
    const self = operator.address;
    const call = (from: string, to: string, face: Interface, fn: string, ...values: unknown[]) => ({
      from,
      to,
      data: face.encodeFunctionData(fn, values),
    });
    const dm = faces.delegationManager;
    const am = faces.allocationManager;
    const sm = local.eigenlayer.interfaces.strategyManager;
    await chain.sendMany([
      call(owner.address, avs.address, faces.localAvs, "createSet", OWN_SET_ID, [ownStrategy], avs.address),
      call(owner.address, address, faces.localToken, "mint", self, units),
      call(self, address, faces.localToken, "approve", strategyManager, units),
      call(self, delegationManager, dm, "registerAsOperator", ZeroAddress, 0, ""),
      call(self, strategyManager, sm, "depositIntoStrategy", ownStrategy, address, units),
      call(self, allocationManager, am, "registerForOperatorSets", self, {
        avs: avs.address,
        operatorSetIds: [OWN_SET_ID],
        data: "0x",
      }),
      call(self, allocationManager, am, "modifyAllocations", self, [
        { operatorSet: set, strategies: [ownStrategy], newMagnitudes: [WAD] },
      ]),
    ]);
    return { symbol, address, price, strategy: ownStrategy, operator: self };
  }

  /** Opens the agents, puts the mandate in force and registers every agent with its AVSs. */
  async function equip(name: string, terms: TierTerms, contracts: TierContracts): Promise<Tier> {
    const used = [...new Set(Object.values(terms.agents).flatMap((one) => Object.keys(one.sets)))];
    const agents: Agent[] = [];
    const agentTerms: unknown[] = [];
    const registrations: RawTransaction[] = [];
    for (const [operatorName, value] of Object.entries(terms.agents)) {
      const operator = must(operators.get(operatorName), operatorName);
      const opened = await openAgent(protocol, signers.curator, contracts.address, operator.address, operatorName);
      const sets = Object.entries(value.sets);
      agentTerms.push({
        agent: opened.address,
        weightBps: value.weight,
        targets: sets.map(([avsName, magnitude]) => ({ set: used.indexOf(avsName), magnitude })),
      });
      const key = sets.some(([avsName]) => avss.get(avsName)?.contract === "hello world")
        ? new Wallet(keyOf(name, operatorName))
        : undefined;
      for (const [avsName] of sets) {
        const avs = must(avss.get(avsName), avsName);
        let data = "0x";
        if (avs.contract === "hello world" && key) {
          const call = { to: avs.address, face: faces.helloWorld, fn: "keyDigest", args: [opened.address] };
          const signature = key.signingKey.sign(await chain.get<string>(call)).serialized;
          data = AbiCoder.defaultAbiCoder().encode(["address", "bytes"], [key.address, signature]);
        }
        const args = [{ avs: avs.address, id: SET_ID }, data];
        registrations.push({
          from: operator.address,
          to: opened.address,
          data: faces.agent.encodeFunctionData("register", args),
        });
      }
      agents.push({
        operator: operatorName,
        index: opened.index,
        address: opened.address,
        avss: sets.map(([avsName]) => avsName),
        ...(key ? { key } : {}),
      });
    }
    const setTerms = used.map((avsName) => {
      const avs = must(avss.get(avsName), avsName);
      return {
        operatorSet: { avs: avs.address, id: SET_ID },
        category: CATEGORIES.indexOf(avs.category),
        slasher: avs.address,
        redistributing: false,
        vetoBlocks: 0,
      };
    });
    // nobody holds a share yet, so there is nobody to warn, and neither mandate nor fees need a delay
    const rewards = contracts.rewards.connect(signers.curator) as Contract;
    if (terms["protocol fee"] !== undefined) await send(rewards, "setProtocolFee", terms["protocol fee"]);
    for (const one of terms["operator fee"] === undefined ? [] : agents)
      await send(rewards, "setOperatorFee", one.address, terms["operator fee"]);
    const mandate = contracts.mandate.connect(signers.curator) as Contract;
    await send(mandate, "tighten", { params: paramsOf(terms), releases: 0, sets: setTerms, agents: agentTerms });
    await chain.sendMany(registrations);
    const address = (contract: Contract) => contract.getAddress();
    return {
      name,
      terms,
      address: contracts.address,
      risk: await address(contracts.risk),
      stakes: await address(contracts.stakes),
      allocator: await address(contracts.allocator),
      mandate: await address(contracts.mandate),
      module: await address(contracts.module),
      rewards: await address(contracts.rewards),
      agents,
      avss: used,
    };
  }

  await chain.locate();
  return {
    scenario,
    chain,
    faces,
    addresses: {
      ...protocol.addresses,
      strategy,
      allocationManager,
      delegationManager: protocol.eigenlayer.delegationManager,
      strategyManager: protocol.eigenlayer.strategyManager,
      rewardsCoordinator: protocol.eigenlayer.rewardsCoordinator,
    },
    accounts: {
      curator: signers.curator.address,
      guardian: signers.guardian.address,
      keeper: signers.keeper.address,
      outside: signers.outside.address,
      avsOwner: owner.address,
      operators: new Map([...operators].map(([name, signer]) => [name, signer.address])),
      people,
    },
    avss,
    tiers,
    oracle,
    protocol,
    birth: { block: chain.head.block, time: chain.head.time },
  };
}

/** Hands out the chain's accounts, one for each name. */
async function accountBook(provider: JsonRpcProvider): Promise<(name: string) => Promise<JsonRpcSigner>> {
  const accounts = await provider.listAccounts();
  let next = FIRST_USER_ACCOUNT;
  return async (name) => {
    const signer = accounts[next++];
    if (!signer)
      throw new Error(`The chain has ${accounts.length} accounts, and none is left for ${name}. Name fewer people.`);
    return signer;
  };
}

/** A key for a local chain only: from the names, so that a story always plays the same. */
function keyOf(tier: string, operator: string): string {
  const bytes = new TextEncoder().encode(`bulkhead ${tier} ${operator}`);
  let value = 0x9e3779b97f4a7c15n;
  for (const byte of bytes) value = ((value ^ BigInt(byte)) * 0x100000001b3n) % (1n << 250n);
  return `0x${(value + 1n).toString(16).padStart(64, "0")}`;
}

export function must<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new Error(`There is no ${what}.`);
  return value;
}
