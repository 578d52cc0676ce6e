/** AVS rewards from EigenLayer's roots to operators, holders and buyers; with EigenLayer's real bytecode too. */
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import { type Contract, EventLog, type JsonRpcSigner, MaxUint256 } from "ethers";
import * as z from "zod";
import { deployContract, hardhatArtifacts, send } from "../../deploy/eigenlayer.ts";
import type { HoldingEvent } from "../../drops/holdings.ts";
import { dropOf } from "../../drops/tree.ts";
import { type Claim, rewardsTree } from "../../scenario/rewards-tree.ts";
import {
  address,
  as,
  big,
  books,
  call,
  checkpoint,
  conserved,
  DAY,
  ETH,
  fields,
  fund,
  now,
  openStandardTier,
  passDays,
  rate,
  reverts,
  startWorld,
  type Tier,
  user,
  type World,
} from "./world.ts";

describe("rewards", () => {
  let world: World;
  let tier: Tier;
  let weth: string;
  let rewards: Contract;
  let token: Contract;
  let operator: JsonRpcSigner;
  let treasury: JsonRpcSigner;
  let [bob, alice, stranger]: JsonRpcSigner[] = [];
  let reset: () => Promise<void>;
  /** earner → token → all that was ever earned. */
  const earned = new Map<string, Map<string, bigint>>();

  const who = (signer: JsonRpcSigner | undefined): JsonRpcSigner => {
    if (!signer) throw new Error("The world has not started.");
    return signer;
  };
  const agent = (index: number) => {
    const found = tier.agents[index];
    assert.ok(found);
    return found;
  };

  before(async () => {
    world = await startWorld();
    [bob, alice, stranger] = [user(world, 0), user(world, 1), user(world, 2)];
    const { signers } = world.local;
    tier = await openStandardTier(world, { agents: 2, setsPerAgent: 4 });
    rewards = tier.rewards;
    weth = await world.local.weth.getAddress();
    ({ operator } = agent(0));
    ({ treasury } = signers);
    await send(as(rewards, signers.curator), "setProtocolFee", 500);
    for (const { address: account } of tier.agents)
      await send(as(rewards, signers.curator), "setOperatorFee", account, 1_000);
    await fund(world, tier, who(bob), who(alice), 100n * ETH);
    token = await deployContract(
      signers.outside,
      hardhatArtifacts("LocalToken", "contracts/local/LocalToken.sol"),
      signers.outside.address,
      "Tide",
      "TIDE",
    );
    await passDays(world, 4);
    await send(tier.tier, "sync");
    reset = await checkpoint(world);
  });
  beforeEach(() => {
    earned.clear();
    return reset();
  });
  after(() => world?.close());

  /** AVSs pay an earner; the root is submitted, and its claim is returned. */
  async function pay(earner: string, what: string, amount: bigint): Promise<Claim> {
    const { core, signers } = world.local;
    const coordinator = core.rewardsCoordinator;
    const to = await coordinator.getAddress();
    if (what === weth) {
      await send(as(world.local.weth, signers.outside), "deposit", { value: amount });
      await send(as(world.local.weth, signers.outside), "transfer", to, amount);
    } else {
      await send(token, "mint", to, amount);
    }
    const tokens = earned.get(earner) ?? new Map<string, bigint>();
    tokens.set(what, (tokens.get(what) ?? 0n) + amount);
    earned.set(earner, tokens);
    const tree = rewardsTree(
      new Map(
        [...earned].map(([key, value]) => [key, [...value].map(([t, cumulative]) => ({ token: t, cumulative }))]),
      ),
    );
    const index = Number(await big(coordinator, "getDistributionRootsLength"));
    await send(coordinator, "submitRoot", tree.root, (await now(world)) - 1);
    return tree.claim(earner, index, [what]);
  }

  const payOf = (account: JsonRpcSigner, what = weth) => big(rewards, "payOf", account.address, what);

  it("anybody harvests an agent's WETH with EigenLayer's proof: pay for operator and protocol, the rest a gain that vests", async () => {
    const claim = await pay(agent(0).address, weth, 10n * ETH);
    await reverts(world, "RootNotActivated", send(as(rewards, who(stranger)), "harvest", claim));
    await passDays(world, 7);
    await send(tier.tier, "sync");
    const [before, senior] = [(await books(tier)).gains, await rate(tier.senior)];
    await send(as(rewards, who(stranger)), "harvest", claim);
    assert.equal(await payOf(operator), ETH);
    assert.equal(await payOf(treasury), ETH / 2n);
    const { gains } = await books(tier);
    // a second or two of vesting lies between the two syncs
    assert.ok(gains - before > (84n * ETH) / 10n && gains - before <= (85n * ETH) / 10n, `gained ${gains - before}`);
    const jump = (await rate(tier.senior)) - senior;
    assert.ok(jump >= 0n && jump * 1_000_000n < senior, `the rate moved by ${jump}`);
    await conserved(world, tier);

    await reverts(world, "EarningsNotGreaterThanClaimed", send(rewards, "harvest", claim));
    await send(as(rewards, operator), "claimPay", weth, operator.address);
    assert.equal(await payOf(operator), 0n);
    await passDays(world, 3);
    await send(tier.tier, "sync");
    assert.ok((await rate(tier.senior)) > senior);
    await conserved(world, tier);
  });

  it("amounts are cumulative: two roots pay each part once, whichever is harvested", async () => {
    await pay(agent(0).address, weth, 2n * ETH);
    const later = await pay(agent(0).address, weth, 3n * ETH);
    await passDays(world, 7);
    await send(rewards, "harvest", later);
    assert.equal(await payOf(operator), ETH / 2n);
  });

  it("refuses a foreign earner, a disabled root, and a claim by anybody but the tier's Rewards", async () => {
    const { core } = world.local;
    const foreign = await pay(who(stranger).address, weth, ETH);
    const claim = await pay(agent(0).address, weth, ETH);
    await send(core.rewardsCoordinator, "disableRoot", foreign.rootIndex);
    await passDays(world, 7);
    await send(as(core.rewardsCoordinator, who(stranger)), "setClaimerFor", await rewards.getAddress());
    await reverts(world, "ForeignEarner", send(rewards, "harvest", foreign));
    await reverts(
      world,
      "UnauthorizedCaller",
      send(as(core.rewardsCoordinator, operator), "processClaim", claim, operator.address),
    );
    const disabled = { ...claim, rootIndex: foreign.rootIndex };
    await reverts(world, "RootDisabled", send(rewards, "harvest", disabled));
    await send(rewards, "harvest", claim);
  });

  it("sells another token in a Dutch auction, and books what it brings when it is there", async () => {
    const { curator } = world.local.signers;
    const what = await token.getAddress();
    const claim = await pay(agent(1).address, what, 1_000n * ETH);
    await passDays(world, 7);
    await send(rewards, "harvest", claim);
    const price = ETH / 500n;
    await send(as(rewards, curator), "listToken", what, 2n * price, price / 4n);
    await passDays(world, 0.5);
    const buyer = who(stranger);
    await send(as(world.local.weth, buyer), "deposit", { value: 3n * ETH });
    await send(as(world.local.weth, buyer), "approve", await rewards.getAddress(), MaxUint256);
    await send(as(rewards, buyer), "buy", what, 1_000n * ETH, 1_000n * price, buyer.address);
    assert.equal(await big(token, "balanceOf", buyer.address), 1_000n * ETH);
    const paid = 3n * ETH - (await big(world.local.weth, "balanceOf", buyer.address));
    assert.ok(paid <= 2n * ETH && paid > (199n * ETH) / 100n, `paid ${paid}`);
    assert.equal(await payOf(operator), paid / 10n);
    await conserved(world, tier);
  });

  it("drops a token that cannot be sold to holders, by a tree that anybody can compute from the chain's events", async () => {
    const { curator } = world.local.signers;
    const what = await token.getAddress();
    const claim = await pay(agent(0).address, what, 1_000n * ETH);
    await send(as(tier.senior, who(alice)), "transfer", who(bob).address, 10n * ETH);
    await passDays(world, 7);
    await send(as(tier.senior, who(bob)), "requestRedeem", 4n * ETH, who(bob).address, who(bob).address);
    await passDays(world, 1);
    await send(rewards, "harvest", claim);
    await send(as(rewards, curator), "reserveForDrops", what, MaxUint256);
    const { pot } = await fields(z.object({ pot: z.bigint() }), rewards, "stock", what);
    assert.equal(pot, 850n * ETH);

    const series = await tier.senior.getAddress();
    const until = await now(world);
    const inputs = { series, from: until - 20 * DAY, until, amount: pot, events: await holdingEvents(tier.senior) };
    const drop = dropOf(inputs);
    const expiry = until + 100 * DAY;
    const post = as(rewards, curator);
    await send(post, "postDrop", what, series, pot, drop.root, expiry, drop.inputsHash, "ipfs://holdings");
    assert.deepEqual(drop.parts.map(({ account }) => account).sort(), [who(alice).address, who(bob).address].sort());
    for (const { account, amount, proof } of drop.parts) {
      await send(as(rewards, who(stranger)), "claimDrop", 0, account, amount, proof);
      assert.equal(await big(token, "balanceOf", account), amount);
      await reverts(world, "AlreadyClaimed", send(rewards, "claimDrop", 0, account, amount, proof));
    }
    // bob's queued shares counted: he held as much before the request as after it
    const [a, b] = drop.parts.toSorted((x) => (x.account === who(alice).address ? -1 : 1));
    assert.ok(a && b && a.amount > b.amount);
    await passDays(world, 100);
    await send(rewards, "closeDrop", 0);
    const { held } = await fields(z.object({ held: z.bigint() }), rewards, "stock", what);
    assert.equal(held, pot - drop.total, "rounding");
  });

  it("another node operator takes an agent over in two steps, and the old one keeps what he has earned", async () => {
    const { core, protocol, signers } = world.local;
    const successor = user(world, 5);
    const { agent: contract, address: account } = agent(0);
    const claim = await pay(account, weth, 10n * ETH);
    await passDays(world, 7);
    await send(as(protocol.factory, signers.curator), "nominateNodeOperator", account, successor.address);
    await reverts(world, "NotAuthorised", send(as(contract, who(stranger)), "acceptNomination"));
    await send(as(contract, successor), "acceptNomination");
    assert.equal(await address(contract, "nodeOperator"), successor.address);
    await send(rewards, "harvest", claim);
    assert.equal(await payOf(operator), ETH, "the period was his");
    assert.equal(await payOf(successor), 0n);

    const dm = core.delegationManager;
    const metadata = dm.interface.getFunction("updateOperatorMetadataURI")?.selector;
    const target = await dm.getAddress();
    const may = (signer: JsonRpcSigner) =>
      call(core.permissionController, "canCall", account, signer.address, target, metadata);
    assert.equal(await may(successor), true);
    assert.equal(await may(operator), false);
    await send(as(dm, successor), "updateOperatorMetadataURI", account, "ipfs://new");
  });

  /** What the subgraph will have, read from a node. */
  async function holdingEvents(series: Contract): Promise<HoldingEvent[]> {
    const logs = (await series.queryFilter("*", 0)).filter((log) => log instanceof EventLog);
    const times = new Map<number, number>();
    const events: HoldingEvent[] = [];
    for (const log of logs) {
      const time = times.get(log.blockNumber) ?? (await log.getBlock()).timestamp;
      times.set(log.blockNumber, time);
      const text = (key: string) => z.string().parse(log.args.getValue(key));
      const wei = (key: string) => z.bigint().parse(log.args.getValue(key));
      if (log.eventName === "Transfer")
        events.push({ kind: "transfer", time, from: text("from"), to: text("to"), shares: wei("value") });
      if (log.eventName === "RedeemRequest")
        events.push({
          kind: "request",
          time,
          requestId: wei("requestId"),
          controller: text("controller"),
          shares: wei("shares"),
        });
      if (log.eventName === "Finalised") events.push({ kind: "finalised", time, shares: wei("shares") });
      if (log.eventName === "RequestReturned")
        events.push({ kind: "returned", time, requestId: wei("requestId"), shares: wei("shares") });
    }
    return events;
  }
});
