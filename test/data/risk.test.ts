/**
 * Agents, sets, links, withdrawals and slashes in the subgraph, after things that EigenLayer says in events which
 * `subgraph/tests/` cannot write down (tuples), on a real chain through real graph-node.
 */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Contract, type JsonRpcSigner, type TransactionReceipt, ZeroAddress } from "ethers";
import * as z from "zod";
import { send } from "../../deploy/eigenlayer.ts";
import { sendFor } from "../../deploy/protocol.ts";
import { localRecordOf } from "../../deploy/record.ts";
import { startStack } from "../../stack/start.ts";
import type { Stack } from "../../stack/types.ts";
import {
  address,
  as,
  big,
  call,
  completeAll,
  ETH,
  eventValue,
  fields,
  fund,
  mine,
  openStandardTier,
  passDays,
  request,
  type Service,
  startWorld,
  type Tier,
  user,
  WAD,
  type World,
} from "../integration/world.ts";

const wei = z.string().transform(BigInt);
const idOf = z.object({ id: z.string() }).transform(({ id }) => id);

const agentSchema = z.object({
  id: z.string(),
  index: z.number(),
  nodeOperator: idOf,
  weightBps: z.number(),
  stake: wei,
  magnitude: wei,
  slashedMagnitude: wei,
  slashCount: z.number(),
  exitCount: z.number(),
  queuedStake: wei,
  linkSets: z.array(z.number()),
  links: z.array(
    z.object({
      tierSet: z.object({ index: z.number(), operatorSet: z.object({ avs: idOf, setId: wei }) }),
      current: wei,
      pending: wei,
      effectBlock: wei,
      target: wei,
      eigenMagnitude: wei,
      registered: z.boolean(),
      slashedMagnitude: wei,
      openSlashes: z.array(idOf),
    }),
  ),
  exits: z.array(
    z.object({
      nonce: wei,
      root: z.string(),
      scaled: wei,
      startBlock: wei,
      tokensOnly: z.boolean(),
      completed: z.boolean(),
      asTokens: z.boolean().nullable(),
    }),
  ),
});
const AGENTS = `{ agents(orderBy: index) { id index nodeOperator { id } weightBps stake magnitude slashedMagnitude slashCount
  exitCount queuedStake linkSets links { tierSet { index operatorSet { avs { id } setId } } current pending effectBlock target
  eigenMagnitude registered slashedMagnitude openSlashes { id } }
  exits(orderBy: nonce) { nonce root scaled startBlock tokensOnly completed asTokens } } }`;

const setSchema = z.object({
  index: z.number(),
  group: z.object({ number: z.number() }),
  operatorSet: z.object({
    avs: idOf,
    setId: wei,
    slasher: z.string(),
    pendingSlasher: z.string().nullable(),
    pendingSlasherBlock: wei.nullable(),
  }),
  category: z.number(),
  allowed: z.boolean(),
  unapproved: z.boolean(),
  quarantined: z.boolean(),
  approvedSlasher: z.string(),
  seenSlasher: z.string(),
  seenPendingSlasher: z.string(),
  seenTimestamp: wei,
});
const SETS = `{ tierSets(orderBy: index) { index group { number } operatorSet { avs { id } setId slasher pendingSlasher
  pendingSlasherBlock } category allowed unapproved quarantined approvedSlasher seenSlasher seenPendingSlasher seenTimestamp } }`;

const lower = z.string().transform((text) => text.toLowerCase());

describe("the subgraph's view of risk, beside the chain's", () => {
  let world: World;
  let tier: Tier;
  let stack: Stack;
  let core: World["local"]["core"];
  /** Of slashes of agent 0 by service 0 before the first sync, and of that sync. */
  let first: TransactionReceipt[];
  let booked: TransactionReceipt;
  let stranger: JsonRpcSigner;

  const service = (n: number): Service => {
    const found = tier.services[n];
    if (!found) throw new Error(`There is no service ${n}.`);
    return found;
  };
  const agentOf = (n: number): string => {
    const found = tier.agents[n];
    if (!found) throw new Error(`There is no agent ${n}.`);
    return found.address;
  };
  const slashOf = (by: Service, operator: string, wad: bigint, why: string) =>
    sendFor(by.contract, "slash", operator, by.set.id, world.local.strategy, wad, why);

  async function ask<T>(query: string, schema: z.ZodType<T>): Promise<T> {
    const response = await fetch(stack.graphqlUrl, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ query }),
    });
    const answer = z
      .object({ data: z.unknown(), errors: z.unknown() })
      .partial()
      .parse(await response.json());
    assert.equal(answer.errors, undefined, JSON.stringify(answer.errors));
    return schema.parse(answer.data);
  }

  before(async () => {
    world = await startWorld();
    core = world.local.core;
    tier = await openStandardTier(world, { agents: 2, setsPerAgent: 2 });
    const [junior, senior, anybody, node] = [user(world, 0), user(world, 1), user(world, 2), user(world, 3)];
    stranger = user(world, 4);
    await fund(world, tier, junior, senior, 100n * ETH);

    // somebody else's operator, in a set that the tier knows
    const { set } = service(0);
    const [delegation, allocations] = [as(core.delegationManager, stranger), as(core.allocationManager, stranger)];
    await send(delegation, "registerAsOperator", ZeroAddress, 0, "");
    await send(allocations, "registerForOperatorSets", stranger.address, {
      avs: set.avs,
      operatorSetIds: [set.id],
      data: "0x",
    });
    await send(allocations, "modifyAllocations", stranger.address, [
      { operatorSet: set, strategies: [world.local.strategy], newMagnitudes: [WAD] },
    ]);
    await slashOf(service(0), stranger.address, WAD / 2n, "a stranger");

    // two slashes of one set before one sync, and one of another agent's
    first = [
      await slashOf(service(0), agentOf(0), WAD / 10n, "a tenth"),
      await slashOf(service(0), agentOf(0), WAD / 2n, "half of the rest"),
    ];
    await slashOf(service(2), agentOf(1), WAD / 4n, "another agent");
    booked = await sendFor(tier.tier, "sync");

    // the ladder of a quarantined set, with a slash while its decrease is pending
    const allocator = as(tier.allocator, anybody);
    await send(allocator, "unwind", 0, 0);
    await slashOf(service(0), agentOf(0), WAD / 2n, "while it leaves");
    await send(tier.tier, "sync");

    // a slasher to come, which one look finds
    await send(service(3).contract, "updateSlasher", 1, node.address);
    await send(as(tier.risk, anybody), "poke", 3);

    // a stricter mandate without that set
    const { params, sets } = tier.terms;
    await send(as(tier.mandate, world.local.signers.curator), "tighten", {
      params,
      releases: 0,
      sets: sets.slice(0, 3),
      agents: [
        { agent: agentOf(0), weightBps: 3_000, targets: [{ set: 1, magnitude: WAD / 4n }] },
        { agent: agentOf(1), weightBps: 3_000, targets: [{ set: 2, magnitude: WAD / 2n }] },
      ],
    });
    await send(allocator, "deallocate", 0, 1);

    // one withdrawal that is completed, and one that waits
    await request(tier, tier.senior, senior, await big(tier.senior, "balanceOf", senior.address));
    const stakes = as(tier.stakes, anybody);
    await send(stakes, "unbond");
    await passDays(world, 14);
    await mine(world, 2);
    await completeAll(world, tier);
    await send(stakes, "unbond");

    const record = await localRecordOf(world.local.protocol, world.local.strategy, world.provider);
    stack = await startStack({ rpcUrl: world.chain.url, deployment: record });
    await stack.synced();
  });
  after(async () => {
    await stack?.close();
    await world?.close();
  });

  it("every agent, link and withdrawal is what RiskManager has stored and EigenLayer has", async () => {
    const { agents } = await ask(AGENTS, z.object({ agents: z.array(agentSchema) }));
    assert.equal(agents.length, 2);
    for (const agent of agents) {
      const stored = await fields(
        z.object({
          account: lower,
          nodeOperator: lower,
          weightBps: z.bigint().transform(Number),
          links: z.bigint(),
          exits: z.bigint().transform(Number),
          stake: z.bigint(),
          magnitude: z.bigint(),
        }),
        tier.risk,
        "agent",
        agent.index,
      );
      assert.deepEqual(
        [agent.id, agent.nodeOperator, agent.weightBps, agent.stake, agent.magnitude, agent.exitCount],
        [stored.account, stored.nodeOperator, stored.weightBps, stored.stake, stored.magnitude, stored.exits],
      );
      assert.equal(BigInt(agent.linkSets.length), stored.links);
      for (const [j, index] of agent.linkSets.entries()) {
        const [set, link] = z
          .tuple([z.bigint(), z.custom<{ toObject(): unknown }>()])
          .parse([...z.custom<readonly unknown[]>().parse(await call(tier.risk, "link", agent.index, j))]);
        assert.equal(BigInt(index), set);
        const mine = agent.links.find(({ tierSet }) => tierSet.index === index);
        const kept = z
          .object({ current: z.bigint(), pending: z.bigint(), effectBlock: z.bigint(), target: z.bigint() })
          .parse(link.toObject());
        assert.deepEqual(
          [mine?.current, mine?.pending, mine?.effectBlock, mine?.target],
          [kept.current, kept.pending, kept.effectBlock, kept.target],
        );
      }
      for (const link of agent.links) {
        const { avs, setId } = link.tierSet.operatorSet;
        const set = { avs, id: setId };
        const allocation = await fields(
          z.object({ currentMagnitude: z.bigint(), pendingDiff: z.bigint() }),
          core.allocationManager,
          "getAllocation",
          agent.id,
          set,
          world.local.strategy,
        );
        assert.equal(link.eigenMagnitude, allocation.currentMagnitude + allocation.pendingDiff);
        assert.equal(link.registered, await call(core.allocationManager, "isMemberOfOperatorSet", agent.id, set));
        assert.deepEqual(link.openSlashes, [], "every slash is attributed");
      }
      const taken = agent.links.reduce((sum, link) => sum + link.slashedMagnitude, 0n);
      assert.deepEqual([agent.slashedMagnitude, taken], [WAD - agent.magnitude, WAD - agent.magnitude]);

      const open = agent.exits.filter(({ completed }) => !completed);
      assert.equal(open.length, stored.exits);
      let queued = 0n;
      for (let at = 0; at < stored.exits; at++) {
        const exit = await fields(
          z.object({ nonce: z.bigint(), scaled: z.bigint(), startBlock: z.bigint(), tokensOnly: z.boolean() }),
          tier.risk,
          "exit",
          agent.index,
          at,
        );
        const mine = open.find(({ nonce }) => nonce === exit.nonce);
        assert.deepEqual(
          [mine?.scaled, mine?.startBlock, mine?.tokensOnly],
          [exit.scaled, exit.startBlock, exit.tokensOnly],
        );
        assert.equal(await call(core.delegationManager, "pendingWithdrawals", mine?.root), true);
        queued += exit.scaled;
      }
      assert.equal(agent.queuedStake, queued);
    }
    const exits = agents.flatMap((agent) => agent.exits);
    assert.deepEqual(
      [exits.filter(({ completed }) => !completed).length > 0, exits.filter(({ asTokens }) => asTokens).length > 0],
      [true, true],
      "one waits, one is completed in tokens",
    );
  });

  it("every set is what RiskManager has stored, its slashers EigenLayer's, and its group counts it", async () => {
    const { tierSets, slasherGroups } = await ask(
      `${SETS.slice(0, -1)} slasherGroups(orderBy: number) { number setCount } }`,
      z.object({
        tierSets: z.array(setSchema),
        slasherGroups: z.array(z.object({ number: z.number(), setCount: z.number() })),
      }),
    );
    assert.equal(BigInt(tierSets.length), await big(tier.risk, "setCount"));
    const head = BigInt(await world.provider.getBlockNumber());
    for (const set of tierSets) {
      const stored = await fields(
        z.object({
          category: z.bigint().transform(Number),
          group: z.bigint().transform(Number),
          allowed: z.boolean(),
          unapproved: z.boolean(),
          quarantined: z.boolean(),
          approvedSlasher: lower,
          seenSlasher: lower,
          pendingSlasher: lower,
          seenAt: z.bigint(),
        }),
        tier.risk,
        "set",
        set.index,
      );
      assert.deepEqual(
        {
          category: set.category,
          group: set.group.number,
          allowed: set.allowed,
          unapproved: set.unapproved,
          quarantined: set.quarantined,
          approvedSlasher: set.approvedSlasher,
          seenSlasher: set.seenSlasher,
          pendingSlasher: set.seenPendingSlasher,
          seenAt: set.seenTimestamp,
        },
        stored,
      );
      const { avs, setId, slasher, pendingSlasher, pendingSlasherBlock } = set.operatorSet;
      const [pending] = z
        .tuple([lower, z.bigint()])
        .parse([
          ...z
            .custom<readonly unknown[]>()
            .parse(await call(core.allocationManager, "getPendingSlasher", { avs, id: setId })),
        ]);
      assert.equal(slasher, (await address(core.allocationManager, "getSlasher", { avs, id: setId })).toLowerCase());
      assert.equal(pendingSlasher ?? ZeroAddress, pending);
      assert.ok(pendingSlasherBlock === null || pendingSlasherBlock > head);
    }
    assert.deepEqual(
      slasherGroups.map(({ setCount }) => setCount),
      slasherGroups.map(({ number }) => tierSets.filter(({ group }) => group.number === number).length),
    );
    assert.deepEqual(
      tierSets.map(({ allowed, unapproved, quarantined }) => ({ allowed, unapproved, quarantined })),
      [
        { allowed: true, unapproved: false, quarantined: true },
        { allowed: true, unapproved: false, quarantined: false },
        { allowed: true, unapproved: false, quarantined: true },
        { allowed: false, unapproved: true, quarantined: true },
      ],
      "what the story did to them",
    );
  });

  it("two slashes of one set before one sync stand behind one attribution, with the shares that EigenLayer took", async () => {
    const { lossAttributions } = await ask(
      `{ lossAttributions(orderBy: id) { agent { index } tierSet { index } taken value shares estimated slashes(orderBy: block) { description shares magnitudeAfter } } }`,
      z.object({
        lossAttributions: z.array(
          z.object({
            agent: z.object({ index: z.number() }),
            tierSet: z.object({ index: z.number() }),
            taken: wei,
            value: wei,
            shares: wei,
            estimated: z.boolean(),
            slashes: z.array(z.object({ description: z.string(), shares: wei, magnitudeAfter: wei })),
          }),
        ),
      }),
    );
    const delegation = core.delegationManager.interface;
    const shares = first.map((receipt) =>
      BigInt(eventValue(delegation, receipt, "OperatorSharesSlashed", "totalSlashedShares")),
    );
    const value = BigInt(eventValue(tier.risk.interface, booked, "SlashAttributed", "value"));
    const [one, two, three] = lossAttributions;
    // a tenth of a half, then half of what was left of it
    assert.deepEqual(one, {
      agent: { index: 0 },
      tierSet: { index: 0 },
      taken: (WAD * 275n) / 1_000n,
      value,
      shares: shares.reduce((a, b) => a + b, 0n),
      estimated: false,
      slashes: [
        { description: "a tenth", shares: shares[0], magnitudeAfter: (WAD * 95n) / 100n },
        { description: "half of the rest", shares: shares[1], magnitudeAfter: (WAD * 725n) / 1_000n },
      ],
    });
    assert.deepEqual([two?.agent.index, two?.tierSet.index, two?.taken], [1, 2, WAD / 8n]);
    assert.deepEqual(
      [three?.taken, three?.slashes.map(({ description }) => description)],
      [(WAD * 1_125n) / 10_000n, ["while it leaves"]],
    );
    assert.equal(lossAttributions.length, 3);
  });

  it("what happens to somebody else's operator leaves no trace, though the set is known", async () => {
    const { slashes, eventTally, avss } = await ask(
      `{ slashes { agent { id } description } eventTally(id: "AllocationManager.OperatorSlashed") { count } avss { id slashCount } }`,
      z.object({
        slashes: z.array(z.object({ agent: idOf, description: z.string() })),
        eventTally: z.object({ count: z.number() }),
        avss: z.array(z.object({ id: z.string(), slashCount: z.number() })),
      }),
    );
    assert.deepEqual(slashes.map(({ description }) => description).sort(), [
      "a tenth",
      "another agent",
      "half of the rest",
      "while it leaves",
    ]);
    assert.equal(eventTally.count, 4);
    assert.equal(avss.find(({ id }) => id === service(0).set.avs.toLowerCase())?.slashCount, 3);
    const { eigenEvents } = await ask(
      `{ eigenEvents(where: { agent: null, kind_not: "AllocationManager.SlasherUpdated" }) { id } }`,
      z.object({ eigenEvents: z.array(idOf) }),
    );
    assert.deepEqual(eigenEvents, []);
  });

  it("every event of the tier's managers is counted", async () => {
    const { eventTallies } = await ask(
      "{ eventTallies(first: 1000) { id count } }",
      z.object({ eventTallies: z.array(z.object({ id: z.string(), count: z.number() })) }),
    );
    const contracts: readonly (readonly [string, Contract])[] = [
      ["RiskManager", tier.risk],
      ["StakeManager", tier.stakes],
      ["Allocator", tier.allocator],
    ];
    for (const [kind, contract] of contracts) {
      const logs = await world.provider.getLogs({ address: contract, fromBlock: 0, toBlock: "latest" });
      const counts = new Map<string, number>();
      for (const log of logs) {
        const name = contract.interface.parseLog(log)?.name; // none: the proxy's own BeaconUpgraded
        if (name !== undefined && name !== "Initialized") counts.set(name, (counts.get(name) ?? 0) + 1);
      }
      const tallied = eventTallies.filter(({ id }) => id.startsWith(`${kind}.`));
      assert.deepEqual(
        Object.fromEntries(tallied.map(({ id, count }) => [id.slice(kind.length + 1), count])),
        Object.fromEntries(counts),
      );
    }
  });
});
