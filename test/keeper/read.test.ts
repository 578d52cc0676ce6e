/**
 * What the keeper reads is what the contracts say: every number against the contract's own view, on a real chain
 * process, for the largest tier there can be; and what reading costs.
 */
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import { type Contract, FunctionFragment, getAddress, Interface, type JsonRpcProvider, ZeroAddress } from "ethers";
import * as z from "zod";
import { hardhatArtifacts, send } from "../../deploy/eigenlayer.ts";
import { PERIPHERY } from "../../deploy/plan.ts";
import { openAgent, openTier } from "../../deploy/protocol.ts";
import { type At, type CallRequest, CallReverted } from "../../keeper/chain/types.ts";
import { LENS, LensError, type Reader, readChain, readPulse, readTier, readTiers } from "../../keeper/state/read.ts";
import type { BlockRef, TierRef, TierState } from "../../keeper/state/types.ts";
import {
  as,
  big,
  books,
  call,
  cash,
  checkpoint,
  DAY,
  ETH,
  exposures,
  fields,
  fund,
  mine,
  NODE_OPERATOR,
  openService,
  PARAMS,
  passDays,
  register,
  request,
  type Service,
  setState,
  setTerms,
  startWorld,
  type Terms,
  user,
  WAD,
  type WorkingTier,
  type World,
} from "../integration/world.ts";

const AGENTS = 8;
const LINKS = 8;
const SETS = 32;

/** Reads over JSON-RPC as any client would, and counts. */
class Counting implements Reader {
  calls = 0;
  /** Round trips: calls that were under way together count once. */
  trips = 0;
  bytes = 0;
  #underway = 0;
  readonly #provider: JsonRpcProvider;
  readonly #gas: string | undefined;

  constructor(provider: JsonRpcProvider, gas?: number) {
    this.#provider = provider;
    this.#gas = gas === undefined ? undefined : `0x${gas.toString(16)}`;
  }

  async call({ to, data }: CallRequest, at: At): Promise<string> {
    this.calls++;
    if (this.#underway++ === 0) this.trips++;
    const block = typeof at === "string" ? at : { blockHash: at.hash };
    const request = { to, data, ...(this.#gas === undefined ? {} : { gas: this.#gas }) };
    try {
      const answer = z.string().parse(await this.#provider.send("eth_call", [request, block]));
      this.bytes += answer.length / 2;
      return answer;
    } catch (error) {
      // where ethers and the node put a revert's data depends on the node
      const data = /"?data"?: ?"(0x[0-9a-f]*)"/.exec(JSON.stringify(error))?.[1];
      throw data === undefined ? error : new CallReverted(data);
    } finally {
      this.#underway--;
    }
  }
}

/** Eight agents, each in eight of 32 sets: every set is a slasher group of two agents. */
async function openLargestTier(world: World): Promise<{ readonly tier: WorkingTier; readonly services: Service[] }> {
  const { signers, protocol, strategy, weth } = world.local;
  const services: Service[] = [];
  for (let n = 0; n < SETS; n++) services.push(await openService(world));
  await send(as(weth, signers.curator), "deposit", { value: ETH });
  const params = { ...PARAMS, k: 2 };
  const config = { name: "Wide Open", symbol: "WIDE", strategy, seed: ETH, mandateDelay: 45 * DAY, params };
  const contracts = await openTier(protocol, signers, config);
  const operator = user(world, NODE_OPERATOR);
  const agents: WorkingTier["agents"][number][] = [];
  for (let i = 0; i < AGENTS; i++)
    agents.push({ ...(await openAgent(protocol, signers.curator, contracts.address, operator.address)), operator });
  const terms: Terms = {
    params,
    releases: 0,
    sets: services.map(({ set }) => setTerms(set)),
    agents: agents.map(({ address }, i) => ({
      agent: address,
      weightBps: 10_000 / AGENTS,
      targets: Array.from({ length: LINKS }, (_, j) => ({
        set: (i * LINKS + j) % SETS,
        magnitude: WAD / BigInt(LINKS),
      })),
    })),
  };
  await send(as(contracts.mandate, signers.curator), "tighten", terms);
  const tier = { ...contracts, agents, terms };
  for (const [i, { targets }] of terms.agents.entries())
    for (const { set } of targets) await register(tier, i, terms.sets[set]?.operatorSet ?? assert.fail());
  return { tier, services };
}

describe("What the keeper reads", () => {
  let world: World;
  let tier: WorkingTier;
  let services: Service[];
  let lens: string;
  let ref: TierRef;
  let reader: Counting;
  let reset: () => Promise<void>;

  const deployment = () => ({ network: "local", contracts: { upkeepLens: { address: lens, block: 0, abi: "" } } });
  const head = async (): Promise<BlockRef> => {
    const block = (await world.provider.getBlock("latest")) ?? assert.fail();
    return { number: block.number, hash: block.hash ?? "", timestamp: block.timestamp };
  };
  const observed = async (): Promise<TierState> => {
    const { tiers } = await readChain(reader, lens, [ref], await head());
    return tiers[0] ?? assert.fail();
  };
  const pulsed = async () => (await readPulse(reader, lens, [ref], "latest"))[0] ?? assert.fail();
  const sync = () => send(as(tier.tier, world.local.signers.keeper), "sync");
  const slash = (set: number, agent: number, wad: bigint) => {
    const { contract } = services[set] ?? assert.fail();
    return send(contract, "slash", tier.agents[agent]?.address, 1, world.local.strategy, wad, "test");
  };

  before(async () => {
    world = await startWorld();
    ({ tier, services } = await openLargestTier(world));
    const [bob, alice] = [user(world, 0), user(world, 1)];
    await fund(world, tier, bob, alice, 100n * ETH);
    lens = world.local.protocol.addresses.upkeepLens;
    reader = new Counting(world.provider);
    [ref = assert.fail()] = await readTiers(reader, deployment());
    reset = await checkpoint(world);
  });
  beforeEach(async () => {
    await reset();
    reader = new Counting(world.provider);
  });
  after(() => world?.close());

  it("are the tiers of the factory, by their names, with all of their contracts", async () => {
    const tiers = await readTiers(reader, deployment());
    const at = (contract: Contract) => contract.getAddress();
    assert.deepEqual(tiers, [
      {
        address: tier.address,
        name: "Wide Open",
        risk: await at(tier.risk),
        stakes: await at(tier.stakes),
        allocator: await at(tier.allocator),
        mandate: await at(tier.mandate),
        module: await at(tier.module),
        rewards: await at(tier.rewards),
        factory: await at(world.local.protocol.factory),
        allocationManager: world.local.eigenlayer.addresses.allocationManager,
        strategy: getAddress(world.local.strategy),
      },
    ]);
    assert.equal(reader.calls, 1);
  });

  it("is the contract that is deployed: the keeper's own ABI of the lens is the compiler's", () => {
    const { name, file } = PERIPHERY.upkeepLens;
    const real = Interface.from(hardhatArtifacts(name, file).abi);
    LENS.forEachFunction((fragment) => {
      const other = real.getFunction(fragment.name) ?? assert.fail();
      const full = (one: FunctionFragment) => one.format("full").replace(/ memory| calldata/g, "");
      // names of struct members, their order and their types
      assert.equal(full(fragment), full(FunctionFragment.from(JSON.parse(other.format("json")))));
    });
  });

  it("is what the tier's own views say, agent by agent, set by set", async () => {
    await request(tier, tier.senior, user(world, 1), 100n * ETH);
    await request(tier, tier.junior, user(world, 0), 5n * ETH);
    await send(as(tier.stakes, world.local.signers.keeper), "unbond");
    await passDays(world, 2);
    await send(as(tier.tier, world.local.signers.guardian), "pauseEntries");
    await sync();
    const s = await observed();
    assert.equal(s.readable, true);
    assert.equal(s.name, "Wide Open");

    const wei = z.bigint();
    const preview = await fields(
      z.object({
        value: wei,
        utilisation: wei,
        deployable: wei,
        idle: wei,
        loose: wei,
        unstaking: wei,
        queuedJunior: wei,
        unlockAt: wei,
        observation: z.custom<{ readonly exposed: bigint; readonly queued: bigint }>(),
      }),
      tier.tier,
      "preview",
    );
    const stored = z.tuple([wei, wei, wei, wei, z.boolean()]).parse([...((await call(tier.tier, "status")) as [])]);
    const money = await cash(tier);
    assert.deepEqual(s.books, await books(tier));
    assert.equal(s.value, preview.value);
    assert.equal(s.utilisation, stored[0]);
    assert.equal(s.exposed, preview.observation.exposed);
    assert.equal(s.deployableCover, s.books.reserve + s.books.junior - preview.queuedJunior);
    assert.equal(s.lastSync, Number(stored[2]));
    assert.equal(s.unlockAt, Number(preview.unlockAt));
    assert.equal(s.entriesPaused, true);
    assert.equal(s.freshUntil, Number(await big(tier.risk, "freshUntil")));
    assert.deepEqual([s.idle, s.reserved], [money.idle, money.reserved]);
    assert.deepEqual(
      [s.deployable, s.loose, s.unstaking, s.queued],
      [preview.deployable, preview.loose, preview.unstaking, preview.observation.queued],
    );
    assert.equal(s.stakeLimit, await big(tier.module, "stakeLimit"));
    const [wanted] = z.array(wei).parse([...((await call(tier.stakes, "liquidity")) as [])]);
    assert.equal(s.wanted, wanted);
    assert.equal(s.unbondNeed, await big(tier.stakes, "unbondNeed"));
    assert.deepEqual(s.unstakeRequests, { open: 0, claimable: 0 });
    assert.deepEqual(s.deficit, { outstanding: 0n, closesAt: 0 });
    assert.equal(s.mandatePending.eta, 0);
    const { current, unapproved, largest } = await exposures(tier);
    assert.deepEqual([s.groups, s.unapproved, s.exposed], [current, unapproved, largest]);
    assert.equal(s.deleverageNeeded, false);
    const { k, marginBps, cap } = PARAMS;
    assert.deepEqual([s.params.k, s.params.marginBps, s.params.cap], [k, BigInt(marginBps), cap]);
    for (const [tranche, token, senior] of [
      [s.senior, tier.senior, true],
      [s.junior, tier.junior, false],
    ] as const) {
      assert.equal(tranche.token, await token.getAddress());
      assert.equal(tranche.supply, await big(token, "totalSupply"));
      assert.equal(tranche.queued, await big(token, "queuedShares"));
      assert.equal(tranche.finalisable, await big(tier.tier, "finalisable", senior));
    }
    assert.ok(s.senior.finalisable > 0n && s.junior.finalisable === 0n);

    assert.equal(s.agents.length, AGENTS);
    let links = 0;
    for (const [i, a] of s.agents.entries()) {
      const { address } = tier.agents[i] ?? assert.fail();
      const raw = z.object({ weightBps: wei, lastUnbond: wei, magnitude: wei, exits: wei, links: wei });
      const own = await fields(raw, tier.risk, "agent", i);
      assert.deepEqual([a.index, a.account, a.nodeOperator], [i, address, user(world, NODE_OPERATOR).address]);
      assert.deepEqual([a.weightBps, a.magnitude, a.quarantined], [own.weightBps, own.magnitude, false]);
      assert.equal(a.lastUnbond, Number(own.lastUnbond));
      assert.equal(a.stake, await big(tier.risk, "stakeOf", i));
      assert.equal(a.deployLimit, await big(tier.stakes, "deployLimit", i));
      assert.equal(a.encumbered, WAD);
      assert.ok(a.reviewedAt > 0 && a.reviewedAt < s.lastSync);
      assert.equal(a.exits.length, Number(own.exits));
      for (const [q, exit] of a.exits.entries()) {
        const schema = z.object({ scaled: wei, startBlock: wei, nonce: wei, tokensOnly: z.boolean() });
        const own = await fields(schema, tier.risk, "exit", i, q);
        const { scaled, tokensOnly } = own;
        const [startBlock, nonce] = [Number(own.startBlock), Number(own.nonce)];
        assert.deepEqual(exit, { index: q, scaled, startBlock, nonce, tokensOnly });
      }
      for (const [j, x] of a.links.entries()) {
        const { set, magnitude } = tier.terms.agents[i]?.targets[j] ?? assert.fail();
        const expected = { index: j, set, current: magnitude, pending: 0n, effectBlock: 0, target: magnitude };
        assert.deepEqual(x, { ...expected, member: true });
        links++;
      }
    }
    assert.equal(links, AGENTS * LINKS);
    assert.equal(s.agents.flatMap(({ exits }) => exits).length, 1);

    assert.equal(s.sets.length, SETS);
    for (const [n, set] of s.sets.entries()) {
      const { avs, id } = services[n]?.set ?? assert.fail();
      const own = await setState(tier, n);
      assert.deepEqual([set.index, set.avs, set.id, set.category], [n, avs, id, 2]);
      assert.deepEqual([set.group, set.allowed, set.quarantined], [Number(own.group), true, false]);
      assert.deepEqual([set.approvedSlasher, set.seenSlasher, set.slasher, set.registrar], [avs, avs, avs, avs]);
      assert.deepEqual([set.pendingSlasher, set.seenPendingSlasher], [ZeroAddress, ZeroAddress]);
      assert.deepEqual(set.strategies, [getAddress(world.local.strategy)]);
    }
  });

  it("costs one round trip for the largest tier there can be, and the pulse another", async () => {
    await observed();
    assert.deepEqual([reader.calls, reader.trips], [1, 1]);
    const stateBytes = reader.bytes;
    await pulsed();
    assert.equal(reader.calls, 2);
    const pulseBytes = reader.bytes - stateBytes;
    const { name, file } = PERIPHERY.upkeepLens;
    const face = Interface.from(hardhatArtifacts(name, file).abi);
    const { upkeep } = world.local.protocol;
    const gasOf = async (fn: string) => {
      const data = face.encodeFunctionData(fn, [tier.address]);
      const tried = upkeep.interface.encodeFunctionData("attempt", [lens, 40_000_000, data]);
      const reverted = await reader.call({ to: await upkeep.getAddress(), data: tried }, "latest").catch((e) => e);
      assert.ok(reverted instanceof CallReverted);
      const [success, gasUsed] = upkeep.interface.decodeErrorResult("Attempted", reverted.data);
      assert.equal(success, true);
      return Number(gasUsed);
    };
    const [observe, pulse] = [await gasOf("stateOf"), await gasOf("pulseOf")];
    assert.ok(stateBytes < 100_000 && pulseBytes < 1_000);
    // the worst: everybody was slashed, and all sets are stale
    await passDays(world, 4);
    for (let agent = 0; agent < AGENTS; agent++) await slash((agent * LINKS) % SETS, agent, WAD / 2n);
    const [observeWorst, pulseWorst] = [await gasOf("stateOf"), await gasOf("pulseOf")];
    console.log(`observe: ${observe} gas, at worst ${observeWorst}, ${stateBytes} bytes`);
    console.log(`pulse: ${pulse} gas, at worst ${pulseWorst}, ${pulseBytes} bytes`);
    const least = Number(await big(world.local.protocol.upkeepLens, "LEAST_GAS"));
    assert.ok(Math.max(observeWorst, pulseWorst) < least, "what the lens asks for is enough");
  });

  it("sees a slash of the latest block as a sync would book it, and no sync was sent", async () => {
    const before = await pulsed();
    assert.deepEqual([before.slashedAgents, before.unwinding, before.changedSets], [0n, 0, 0n]);
    await slash(3, 0, WAD / 2n);
    const block = await world.provider.getBlockNumber();
    const p = await pulsed();
    assert.deepEqual([p.slashedAgents, p.unwinding, p.readable], [1n, 2, true]); // both agents of the set
    const s = await observed();
    assert.equal(s.slashedAgents, 1n);
    const quarantined = s.sets.filter((set) => set.quarantined).map(({ index }) => index);
    assert.deepEqual(quarantined, [3]);
    assert.ok(s.agents[0]?.quarantined && s.agents[4]?.quarantined);
    assert.equal(s.agents[0]?.links[3]?.current, WAD / 16n);
    assert.equal(s.agents[0]?.magnitude, WAD - WAD / 16n);
    assert.equal(await world.provider.getBlockNumber(), block);
    assert.equal((await setState(tier, 3)).quarantined, false, "the chain does not know yet");

    await sync();
    assert.equal((await setState(tier, 3)).quarantined, true);
    const booked = await observed();
    assert.equal(booked.slashedAgents, 0n);
    assert.deepEqual([booked.value, booked.exposed, booked.groups], [s.value, s.exposed, s.groups]);
    assert.deepEqual(booked.agents, s.agents);
    assert.equal((await pulsed()).unwinding, 2);
    for (const agent of [0, 4]) await send(as(tier.allocator, world.local.signers.keeper), "unwind", agent, 3);
    assert.equal((await pulsed()).unwinding, 0, "on its way to zero");
  });

  it("sees changed slashers and surroundings of sets that the tier is exposed to", async () => {
    const before = await pulsed();
    const { contract } = services[7] ?? assert.fail();
    await send(contract, "updateSlasher", 1, user(world, 5).address);
    const p = await pulsed();
    assert.equal(p.changedSets, 1n << 7n);
    assert.equal(p.surroundings, before.surroundings);
    const seen = (await observed()).sets[7] ?? assert.fail();
    assert.deepEqual([seen.pendingSlasher, seen.seenPendingSlasher], [user(world, 5).address, ZeroAddress]);
    assert.ok(seen.pendingSlasherBlock > 0);
    await send(as(tier.risk, world.local.signers.keeper), "poke", 7);
    const poked = await pulsed();
    assert.deepEqual([poked.changedSets, poked.unwinding], [0n, 2], "unapproved, so it is quarantined");
  });

  it("says which tier cannot be read and why, and reads the others", async () => {
    const foreign = { ...ref, address: user(world, 3).address };
    const [broken, well] = await readPulse(reader, lens, [foreign, ref], "latest");
    assert.deepEqual([broken?.readable, well?.readable], [false, true]);
    assert.equal(broken?.address, foreign.address);
    const s = await readTier(reader, lens, foreign, "latest");
    assert.deepEqual([s.readable, s.agents.length, s.address], [false, 0, foreign.address]);
  });

  it("does not take an RPC that gives too little gas for a tier that cannot be read", async () => {
    const poor = new Counting(world.provider, 8_000_000);
    await assert.rejects(readPulse(poor, lens, [ref], "latest"), (error) => {
      assert.ok(error instanceof LensError);
      assert.match(error.message, /too little gas.*12000000 are needed.*gascap/s);
      return true;
    });
    await assert.rejects(readTier(poor, lens, ref, "latest"), /too little gas/);
  });

  it("refuses an answer that was cut, and an address that is no lens", async () => {
    const cut: Reader = { call: async (request, at) => (await reader.call(request, at)).slice(0, 5_000) };
    await assert.rejects(readTier(cut, lens, ref, "latest"), /whether the RPC cuts answers/);
    await assert.rejects(readTier(reader, user(world, 3).address, ref, "latest"), LensError);
    await assert.rejects(readTiers(reader, { network: "local", contracts: {} }), /has no UpkeepLens/);
  });

  it("knows that nothing is left to unwind once a decrease has taken effect, though nobody has looked", async () => {
    await slash(3, 0, WAD / 2n);
    await send(as(tier.allocator, world.local.signers.keeper), "unwind", 4, 3);
    const waiting = (await observed()).agents[4] ?? assert.fail();
    const link = { index: 3, set: 3, current: WAD / 8n, pending: WAD / 8n, target: WAD / 8n, member: true };
    assert.deepEqual(waiting.links[3], { ...link, effectBlock: waiting.links[3]?.effectBlock });
    assert.equal(waiting.encumbered, WAD);
    const blocks = (waiting.links[3]?.effectBlock ?? assert.fail()) - (await world.provider.getBlockNumber());
    await mine(world, blocks - 10);
    await sync(); // looks at all sets, which are stale by now
    await mine(world, 10);
    const done = (await observed()).agents[4] ?? assert.fail();
    assert.deepEqual(done.links[3], waiting.links[3], "as the tier has it");
    assert.equal(done.encumbered, WAD - WAD / 8n);
    assert.equal((await pulsed()).unwinding, 1, "agent 0's, which nobody has unwound");
  });
});
