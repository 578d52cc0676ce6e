/** What mandates, keepers and roles leave behind, read from the subgraph beside the chain that it indexes. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { AbiCoder, type Contract, Interface, type JsonRpcSigner, type TransactionReceipt } from "ethers";
import * as z from "zod";
import { hardhatArtifacts, send } from "../../deploy/eigenlayer.ts";
import { interfaceOf, KINDS } from "../../deploy/roles.ts";
import { FUNCTIONS } from "../../keeper/plan/calls.ts";
import { rpc } from "../../scripts/chain.ts";
import { SUBGRAPH } from "../../stack/render.ts";
import { startStack } from "../../stack/start.ts";
import type { Stack } from "../../stack/types.ts";
import { as, call, fields, passDays, type Terms, user } from "../integration/world.ts";
import { openStage, type Stage } from "../keeper/daemon-world.ts";

const big = z.string().transform(BigInt);

describe("the names of keepers' jobs", () => {
  const source = readFileSync(join(SUBGRAPH, "src", "upkeep.ts"), "utf8");
  const table = source.slice(source.indexOf("const JOBS"), source.indexOf("];"));
  const jobs = new Map(
    [...table.matchAll(/"(0x[0-9a-f]{8})",\s*"(\w+)"/g)].map(([, selector, name]) => [name, selector]),
  );

  it("are those of the contracts' functions, each at its selector", () => {
    const faces = [
      ...KINDS.map((kind) => interfaceOf(kind)),
      new Interface(hardhatArtifacts("TierFactory", "contracts/core/TierFactory.sol").abi),
      new Interface(FUNCTIONS.AllocationManager),
    ];
    assert.ok(jobs.size > 0);
    for (const [name, selector] of jobs)
      assert.ok(
        faces.some((face) => face.hasFunction(selector ?? "") && face.getFunction(selector ?? "")?.name === name),
        `${name} ${selector}`,
      );
  });

  it("leave out nothing that a keeper's plan calls", () => {
    for (const functions of Object.values(FUNCTIONS))
      new Interface(functions).forEachFunction(({ name, selector }) => assert.equal(jobs.get(name), selector, name));
  });
});

describe("what the subgraph records", () => {
  let stage: Stage;
  let stack: Stack;
  let curator: JsonRpcSigner;
  let keeper: JsonRpcSigner;
  const receipts: TransactionReceipt[] = [];

  const allocationManager = () => stage.world.local.eigenlayer.addresses.allocationManager;
  const withCap = (terms: Terms, cap: bigint): Terms => ({ ...terms, params: { ...terms.params, cap } });
  /** Without the last set, and without the second agent's weight. */
  const smaller = (terms: Terms): Terms => ({
    ...terms,
    sets: terms.sets.slice(0, -1),
    agents: terms.agents.slice(0, 1),
  });

  async function ask<T>(schema: z.ZodType<T>, query: string): Promise<T> {
    const response = await fetch(stack.graphqlUrl, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ query }),
    });
    return z.object({ data: schema }).parse(await response.json()).data;
  }

  before(async () => {
    stage = await openStage();
    const { world, tier } = stage;
    ({ curator } = world.local.signers);
    keeper = user(world, 5);
    const { mandate, terms } = tier;
    const riskier = withCap(terms, 2n * terms.params.cap);

    // a life of mandates: withdrawn, lapsed, in force while another one waits, in force after its delay, made smaller
    await send(as(mandate, curator), "propose", riskier);
    await send(as(mandate, world.local.signers.guardian), "cancel");
    await send(as(mandate, curator), "propose", riskier);
    await passDays(world, 76);
    await send(as(mandate, curator), "propose", riskier);
    await send(as(mandate, curator), "tighten", withCap(terms, terms.params.cap / 2n));
    await passDays(world, 46);
    await send(as(mandate, user(world, 2)), "execute", riskier);
    await send(as(mandate, curator), "tighten", smaller(riskier));
    await send(as(mandate, curator), "propose", terms);

    // a keeper's work: straight, and as a batch in both ways
    const clear = new Interface(FUNCTIONS.AllocationManager).encodeFunctionData("clearDeallocationQueue", [
      tier.agents[0]?.address,
      [world.local.strategy],
      [65_535],
    ]);
    const target = (contract: { getAddress(): Promise<string> }) => contract.getAddress();
    const upkeep = as(world.local.protocol.upkeep, keeper);
    const risk = await target(tier.risk);
    const poke = (set: number) => [risk, 0n, tier.risk.interface.encodeFunctionData("poke", [set])];
    receipts.push(await sent(as(tier.tier, keeper), "sync"));
    receipts.push(await sent(as(tier.risk, keeper), "poke", 0));
    receipts.push(await sent(upkeep, "perform", [poke(1), poke(99), [allocationManager(), 0n, clear]]));
    const step = (job: bigint, gas: bigint) => (job << 248n) | (gas << 200n);
    const steps = [step(0n, 500_000n), step(4n, 300_000n)];
    const data = AbiCoder.defaultAbiCoder().encode(["address", "uint256[]"], [tier.address, steps]);
    receipts.push(await sent(upkeep, "performUpkeep", data));

    stack = await startStack({ rpcUrl: world.chain.url, deployment: stage.deployment });
    await stack.synced();
  });
  after(async () => {
    await stack?.close();
    await stage?.close();
  });

  it("each mandate with what became of it, and as in force and waiting those that the chain names", async () => {
    const named = z.object({ termsId: z.string() });
    const { tiers, mandates } = await ask(
      z.object({
        tiers: z.array(z.object({ mandate: named, pendingMandate: named })),
        mandates: z.array(
          z.object({
            status: z.string(),
            riskier: z.boolean(),
            cap: big,
            sets: z.array(z.unknown()),
            changes: z.array(z.object({ kind: z.string(), block: z.coerce.number() })),
          }),
        ),
      }),
      `{ tiers { mandate { termsId } pendingMandate { termsId } }
         mandates { status riskier cap sets { id } changes(orderBy: block) { kind block } } }`,
    );
    const { mandate, terms } = stage.tier;
    const [pending] = z
      .tuple([z.string()])
      .rest(z.unknown())
      .parse([...list(await call(mandate, "pending"))]);
    assert.deepEqual(tiers, [
      { mandate: { termsId: await call(mandate, "current") }, pendingMandate: { termsId: pending } },
    ]);
    const { cap } = terms.params;
    const sets = terms.sets.length;
    const lives = mandates
      .sort((a, b) => (a.changes[0]?.block ?? 0) - (b.changes[0]?.block ?? 0))
      .map(({ status, riskier, cap, sets, changes }) => [
        status,
        riskier,
        cap,
        sets.length,
        changes.map(({ kind }) => kind).join(" "),
      ]);
    assert.deepEqual(lives, [
      ["REPLACED", false, cap, sets, "APPLIED"],
      ["CANCELLED", true, 2n * cap, sets, "PROPOSED CANCELLED"],
      ["EXPIRED", true, 2n * cap, sets, "PROPOSED"],
      ["REPLACED", true, 2n * cap, sets, "PROPOSED APPLIED"],
      ["REPLACED", false, cap / 2n, sets, "APPLIED"],
      ["IN_FORCE", false, 2n * cap, sets - 1, "APPLIED"],
      ["PROPOSED", true, cap, sets, "PROPOSED"],
    ]);
  });

  it("which sets, weights and targets the mandate in force leaves, as the RiskManager says", async () => {
    const { tierSets, agents } = await ask(
      z.object({
        tierSets: z.array(z.object({ index: z.int(), allowed: z.boolean(), approvedSlasher: z.string() })),
        agents: z.array(
          z.object({
            index: z.int(),
            weightBps: z.int(),
            links: z.array(z.object({ target: big, tierSet: z.object({ index: z.int() }) })),
          }),
        ),
      }),
      `{ tierSets(orderBy: index) { index allowed approvedSlasher }
         agents(orderBy: index) { index weightBps links { target tierSet { index } } } }`,
    );
    const { risk, terms } = stage.tier;
    assert.equal(tierSets.length, terms.sets.length);
    assert.deepEqual(
      tierSets.map(({ allowed }) => allowed),
      terms.sets.map((_, i) => i < terms.sets.length - 1),
    );
    const setSchema = z.object({ allowed: z.boolean(), approvedSlasher: z.string().toLowerCase() });
    for (const { index, ...set } of tierSets)
      assert.deepEqual(set, await fields(setSchema, risk, "set", index), `set ${index}`);
    assert.deepEqual(
      agents.map(({ weightBps }) => weightBps),
      [5_000, 0],
    );
    for (const { index, weightBps, links } of agents) {
      const agent = await fields(z.object({ weightBps: z.bigint(), links: z.bigint() }), risk, "agent", index);
      assert.equal(BigInt(weightBps), agent.weightBps);
      assert.equal(BigInt(links.length), agent.links);
      for (let j = 0; j < links.length; j++) {
        const [set, state] = z
          .tuple([z.bigint(), z.custom<{ target: bigint }>()])
          .parse([...list(await call(risk, "link", index, j))]);
        assert.equal(links.find(({ tierSet }) => tierSet.index === Number(set))?.target, state.target, `${index} ${j}`);
      }
    }
  });

  it("each job of a keeper, sent straight or in a batch, for its tier, at the gas and price of the receipt", async () => {
    const callSchema = z.object({
      tier: z.object({ id: z.string() }).nullable(),
      job: z.string(),
      success: z.boolean(),
      gasUsed: big,
      feeETH: big,
    });
    const { upkeeps, keepers, tiers, protocols } = await ask(
      z.object({
        upkeeps: z.array(
          z.object({ id: z.string(), batched: z.boolean(), gasUsed: big, feeETH: big, calls: z.array(callSchema) }),
        ),
        keepers: z.array(
          z.object({
            transactionCount: z.int(),
            callCount: z.int(),
            failedCallCount: z.int(),
            cumulativeGas: big,
            cumulativeFeeETH: big,
          }),
        ),
        tiers: z.array(z.object({ cumulativeUpkeepGas: big, cumulativeUpkeepFeeETH: big })),
        protocols: z.array(z.object({ cumulativeUpkeepGas: big, cumulativeUpkeepFeeETH: big })),
      }),
      `{ upkeeps(where: { keeper: "${keeper.address.toLowerCase()}" }, orderBy: block) {
           id batched gasUsed feeETH calls(orderBy: index) { tier { id } job success gasUsed feeETH } }
         keepers(where: { id: "${keeper.address.toLowerCase()}" }) {
           transactionCount callCount failedCallCount cumulativeGas cumulativeFeeETH }
         tiers { cumulativeUpkeepGas cumulativeUpkeepFeeETH } protocols { cumulativeUpkeepGas cumulativeUpkeepFeeETH } }`,
    );
    assert.deepEqual(
      upkeeps.map(({ id, batched, gasUsed, feeETH }) => ({ id, batched, gasUsed, feeETH })),
      receipts.map(({ hash, gasUsed, gasPrice }, i) => ({
        id: hash,
        batched: i >= 2,
        gasUsed,
        feeETH: gasUsed * gasPrice,
      })),
    );
    const calls = upkeeps.map((upkeep) => upkeep.calls);
    assert.deepEqual(
      calls.map((one) => one.map(({ job, success }) => (success ? job : `${job} failed`)).join(", ")),
      ["sync", "poke", "poke, poke failed, clearDeallocationQueue", "sync, clearDeallocationQueue"],
    );
    for (const one of calls.flat()) assert.equal(one.tier?.id, stage.tier.address.toLowerCase(), one.job);
    for (const { feeETH, calls } of upkeeps) {
      const gas = sum(calls.map((one) => one.gasUsed));
      for (const one of calls) assert.equal(one.feeETH, (feeETH * one.gasUsed) / gas);
    }
    const paid = sum(receipts.map(({ gasUsed, gasPrice }) => gasUsed * gasPrice));
    const used = sum(receipts.map(({ gasUsed }) => gasUsed));
    assert.deepEqual(keepers, [
      { transactionCount: 4, callCount: 6, failedCallCount: 1, cumulativeGas: used, cumulativeFeeETH: paid },
    ]);
    // others kept the tier too, when it was set up and where a mandate came into force
    const all = await ask(
      z.object({ upkeepCalls: z.array(callSchema), upkeeps: z.array(z.object({ gasUsed: big, feeETH: big })) }),
      "{ upkeepCalls(first: 1000) { tier { id } job success gasUsed feeETH } upkeeps(first: 1000) { gasUsed feeETH } }",
    );
    assert.ok(all.upkeepCalls.some(({ job }) => job === "execute"));
    assert.deepEqual(tiers, [
      {
        cumulativeUpkeepGas: sum(all.upkeepCalls.map((one) => one.gasUsed)),
        cumulativeUpkeepFeeETH: sum(all.upkeepCalls.map((one) => one.feeETH)),
      },
    ]);
    assert.deepEqual(protocols, [
      {
        cumulativeUpkeepGas: sum(all.upkeeps.map((one) => one.gasUsed)),
        cumulativeUpkeepFeeETH: sum(all.upkeeps.map((one) => one.feeETH)),
      },
    ]);
  });

  it("every event of the access manager and the beacons, and no other", async () => {
    const { deployment, world } = stage;
    const address = Object.entries(deployment.contracts)
      .filter(([name]) => name === "accessManager" || name.endsWith("Beacon"))
      .map(([, contract]) => contract.address);
    const logs = z
      .array(z.object({ transactionHash: z.string(), logIndex: z.string() }))
      .parse(await rpc(world.chain.url, "eth_getLogs", [{ address, fromBlock: "0x0" }]));
    const { governanceEvents } = await ask(
      z.object({ governanceEvents: z.array(z.object({ id: z.string() })) }),
      `{ governanceEvents(first: 1000, where: { contract_in: ${JSON.stringify(address.map((one) => one.toLowerCase()))} }) { id } }`,
    );
    const ids = logs.map((log) => `${log.transactionHash}${log.logIndex.slice(2).padStart(8, "0")}`);
    assert.ok(ids.length > 0);
    assert.deepEqual(governanceEvents.map(({ id }) => id).sort(), ids.sort());
  });
});

const sum = (list: readonly bigint[]): bigint => list.reduce((a, b) => a + b, 0n);
const list = (value: unknown): readonly unknown[] => z.custom<readonly unknown[]>().parse(value);

/** Sends a call and gives its receipt. */
async function sent(contract: Contract, fn: string, ...args: unknown[]): Promise<TransactionReceipt> {
  const receipt = await (await contract.getFunction(fn).send(...args)).wait();
  assert.ok(receipt);
  return receipt;
}
