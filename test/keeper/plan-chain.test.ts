/** The plan on the real contracts: read, plan, perform, until there is nothing left to do. */
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import { type Contract, isError, type TransactionReceipt } from "ethers";
import * as z from "zod";
import { send } from "../../deploy/eigenlayer.ts";
import { sendFor } from "../../deploy/protocol.ts";
import { CallReverted } from "../../keeper/chain/types.ts";
import { configSchema } from "../../keeper/config/schema.ts";
import { plan } from "../../keeper/plan/plan.ts";
import { printPlan } from "../../keeper/plan/text.ts";
import type { Action, KeeperState, Plan } from "../../keeper/plan/types.ts";
import { type Reader, readChain, readPulse, readTiers } from "../../keeper/state/read.ts";
import type { TierRef, TierState } from "../../keeper/state/types.ts";
import {
  address,
  as,
  big,
  checkpoint,
  conserved,
  depositEth,
  ETH,
  errorName,
  mine,
  openStandardTier,
  passDays,
  request,
  slash,
  startWorld,
  type Tier,
  user,
  type World,
} from "../integration/world.ts";

const CONFIG = configSchema.parse({ chain_id: 31_337, rpc: ["http://127.0.0.1:8545"] });
const GAS = 16_000_000n;
const PERFORMED = z.object({ index: z.bigint(), success: z.boolean() });

interface Round {
  readonly done: readonly string[];
  readonly refused: readonly string[];
}

describe("The plan, on the contracts", () => {
  let world: World;
  let tier: Tier;
  let ref: TierRef;
  let reset: () => Promise<void>;

  const reader: Reader = {
    async call({ to, data }, at) {
      const block = typeof at === "string" ? at : { blockHash: at.hash };
      const answer: unknown = await world.provider.send("eth_call", [{ to, data }, block]).catch((error: unknown) => {
        const found = /"?data"?: ?"(0x[0-9a-f]*)"/.exec(JSON.stringify(error))?.[1];
        throw found === undefined ? error : new CallReverted(found);
      });
      return z.string().parse(answer);
    },
  };

  before(async () => {
    world = await startWorld();
    tier = await openStandardTier(world, { agents: 3, setsPerAgent: 2 });
    const lens = { upkeepLens: { address: world.local.protocol.addresses.upkeepLens, block: 0, abi: "" } };
    [ref = assert.fail()] = await readTiers(reader, { network: "local", contracts: lens });
    await depositEth(world, user(world, 0), tier.junior, 120n * ETH);
    const room = await big(tier.senior, "maxDeposit", user(world, 1).address);
    await depositEth(world, user(world, 1), tier.senior, room < 200n * ETH ? room : 200n * ETH);
    reset = await checkpoint(world);
  });
  beforeEach(() => reset());
  after(() => world?.close());

  const observed = async (): Promise<KeeperState> => {
    const block = (await world.provider.getBlock("latest")) ?? assert.fail();
    const at = { number: block.number, hash: block.hash ?? "", timestamp: block.timestamp };
    const chain = await readChain(reader, world.local.protocol.addresses.upkeepLens, [ref], at);
    return { head: chain, final: chain, claims: [], remembered: [] };
  };
  const stateNow = async (): Promise<TierState> => (await observed()).head.tiers[0] ?? assert.fail();
  const planNow = async (): Promise<Plan> => plan(await observed(), CONFIG);
  const pulse = async () =>
    (await readPulse(reader, world.local.protocol.addresses.upkeepLens, [ref], "latest"))[0] ?? assert.fail();
  const named = (actions: readonly Action[]) => actions.map(({ job, subject }) => `${job} ${subject}`);

  /** One transaction for each urgency, as the keeper sends them: what one of them refuses does not stop the others. */
  async function perform(actions: readonly Action[]): Promise<Round> {
    const upkeep = as(world.local.protocol.upkeep, world.local.signers.keeper);
    const done: string[] = [];
    const refused: string[] = [];
    for (const urgency of ["protection", "routine"] as const) {
      const own = actions.filter((one) => one.urgency === urgency);
      if (own.length === 0) continue;
      const calls = own.map(({ call }) => ({ target: call.target, gas: 0, data: call.data }));
      const results = z
        .array(z.tuple([z.boolean(), z.unknown(), z.string()]).rest(z.unknown()))
        .parse(
          (await upkeep.getFunction("simulate").staticCall(calls, { gasLimit: GAS })).map((one: unknown[]) => [...one]),
        );
      const kept = own.filter((_, i) => results[i]?.[0]);
      for (const [i, action] of own.entries()) {
        const [success, , answer] = results[i] ?? assert.fail();
        if (!success)
          refused.push(`${action.job} ${action.subject}: ${world.errors.parseError(answer)?.name ?? answer}`);
      }
      if (kept.length === 0) continue;
      const receipt = await performed(upkeep, kept);
      for (const log of receipt.logs) {
        const event = upkeep.interface.parseLog(log);
        if (event?.name !== "Performed") continue;
        const { index, success } = PERFORMED.parse(event.args.toObject());
        const action = kept[Number(index)] ?? assert.fail();
        (success ? done : refused).push(`${action.job} ${action.subject}`);
      }
    }
    return { done, refused };
  }

  async function performed(upkeep: Contract, actions: readonly Action[]): Promise<TransactionReceipt> {
    const calls = actions.map(({ call }) => ({ target: call.target, gas: 0, data: call.data }));
    try {
      return await sendFor(upkeep, "perform", calls, { gasLimit: GAS });
    } catch (error) {
      if (isError(error, "CALL_EXCEPTION")) assert.fail(`perform reverts with ${errorName(world, error)}`);
      throw error;
    }
  }

  /** Until the plan is empty. */
  async function settle(most = 4): Promise<readonly Round[]> {
    const rounds: Round[] = [];
    for (;;) {
      const state = await observed();
      const made = plan(state, CONFIG);
      if (made.actions.length === 0) return rounds;
      if (rounds.length === most) assert.fail(`Still something to do after ${most} rounds:\n${printPlan(made, state)}`);
      rounds.push(await perform(made.actions));
      await conserved(world, tier);
    }
  }

  it("puts deposits to work: all stake, all magnitude, nothing refused, and then nothing is left to do", async () => {
    const rounds = await settle();
    assert.deepEqual(
      rounds.flatMap(({ refused }) => refused),
      [],
    );
    assert.ok(rounds.length <= 2, `${rounds.length} rounds`);
    const s = await stateNow();
    assert.ok(s.deployable < ETH, `${s.deployable} wei stay idle`);
    for (const { links } of s.agents) for (const { current, target } of links) assert.equal(current, target);
    assert.ok(s.utilisation <= ETH);
  });

  it("settles after every set has slashed and all junior wants to leave; only what a repair made needless is refused", async () => {
    await settle();
    // junior that wants to leave carries no new risk
    await request(tier, tier.junior, user(world, 0), await big(tier.junior, "balanceOf", user(world, 0).address));
    for (const [group] of tier.services.entries()) await slash(world, tier, group, ETH / 50n);
    const rounds = await settle();
    assert.deepEqual(
      rounds.flatMap(({ refused }) => refused).filter((one) => !one.endsWith("Covered")),
      [],
    );
  });

  it("plans a slash of the head block without a sync before it, and unwinds in one transaction", async () => {
    await settle();
    await slash(world, tier, 0, ETH / 2n);
    assert.notEqual((await pulse()).unwinding, 0);
    const state = await observed();
    const made = plan(state, CONFIG);
    const urgent = made.actions.filter(({ urgency }) => urgency === "protection");
    assert.deepEqual(named(urgent).slice(0, 2), ["sync tier", "unwind agent 0, set 0"]);
    assert.match(printPlan(made, state), /agent 0 was slashed/);
    const round = await perform(urgent);
    assert.deepEqual(round.refused, []);
    assert.equal((await pulse()).unwinding, 0);
    assert.equal((await pulse()).deleverageNeeded, false);
    await settle();
    await passDays(world, 15);
    await settle();
    const s = await stateNow();
    assert.equal(s.agents[0]?.links[0]?.current, 0n);
  });

  it("looks at a changed slasher and unwinds its set in the same transaction", async () => {
    await settle();
    const { contract, set } = tier.services[2] ?? assert.fail();
    await send(contract, "updateSlasher", set.id, user(world, 9).address);
    assert.equal((await pulse()).changedSets, 1n << 2n);
    const made = await planNow();
    assert.deepEqual(named(made.actions).slice(0, 2), ["poke set 2", "unwind agent 1, set 2"]);
    const { refused } = await perform(made.actions);
    assert.deepEqual(refused, []);
    assert.equal((await pulse()).changedSets, 0n);
    await settle();
  });

  it("pays everybody who leaves, through EigenLayer's queue and Lido's, and settles each time", async () => {
    await settle();
    const shares = await big(tier.senior, "balanceOf", user(world, 1).address);
    const id = await request(tier, tier.senior, user(world, 1), shares / 2n);
    const refused: string[] = [];
    for (const days of [1, 1, 13, 1, 1, 2, 2]) {
      for (const round of await settle()) refused.push(...round.refused);
      await passDays(world, days);
      const { lidoQueue } = world.local;
      const last = await big(lidoQueue, "getLastRequestId");
      if (last > (await big(lidoQueue, "getLastFinalizedRequestId"))) await send(lidoQueue, "finalize", last);
    }
    await settle();
    assert.equal(await big(tier.senior, "pendingRedeemRequest", id, user(world, 1).address), 0n);
    assert.deepEqual(refused, []);
    assert.equal(await address(tier.tier, "token", true), await tier.senior.getAddress());
  });

  it("lets a tier alone whose decrease is over, once it has been looked at", async () => {
    await settle();
    await slash(world, tier, 1, ETH);
    await settle();
    await passDays(world, 14);
    await mine(world, 2);
    const rounds = await settle();
    assert.ok(rounds.length <= 3);
  });
});
