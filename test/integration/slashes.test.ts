/** What slashers can do to a tier, what they cannot, and how it recovers. */
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import { type JsonRpcSigner, Wallet, ZeroAddress } from "ethers";
import { send } from "../../deploy/eigenlayer.ts";
import { attachTier, sendFor, type TierContracts } from "../../deploy/protocol.ts";
import {
  as,
  big,
  books,
  bringBack,
  cash,
  checkpoint,
  conserved,
  deficitOf,
  depositEth,
  ETH,
  eventValue,
  exposures,
  finalise,
  fund,
  mine,
  openStandardTier,
  passDays,
  rate,
  request,
  reverts,
  type Service,
  setState,
  slash,
  startWorld,
  type Tier,
  total,
  user,
  utilisation,
  WAD,
  type World,
  worth,
} from "./world.ts";

const sync = (t: TierContracts) => send(t.tier, "sync");

describe("slashes", () => {
  let world: World;
  let tier: Tier;
  let reset: () => Promise<void>;
  let [bob, alice, carol]: JsonRpcSigner[] = [];

  const who = (signer: JsonRpcSigner | undefined): JsonRpcSigner => {
    if (!signer) throw new Error("The world has not started.");
    return signer;
  };

  /** Gives `signer` WETH and lets the tier take it. */
  const giveWeth = async (signer: JsonRpcSigner, assets: bigint) => {
    await send(as(world.local.weth, signer), "deposit", { value: assets });
    await send(as(world.local.weth, signer), "approve", tier.address, assets);
  };

  before(async () => {
    world = await startWorld();
    [bob, alice, carol] = [user(world, 0), user(world, 1), user(world, 2)];
    tier = await openStandardTier(world, { agents: 2, setsPerAgent: 8, params: { k: 2 } });
    await fund(world, tier, bob, alice, 100n * ETH);
    reset = await checkpoint(world);
  });
  beforeEach(() => reset());
  after(() => world?.close());

  it("k slashers who take all they can do not move the senior rate by one wei; junior and reserve pay", async () => {
    const [before, seniorRate] = [await books(tier), await rate(tier.senior)];
    assert.ok((await utilisation(tier)) <= WAD, "covered before");
    const { largest } = await exposures(tier);
    await slash(world, tier, 0, WAD);
    await slash(world, tier, 9, WAD);
    assert.equal(await rate(tier.senior), seniorRate, "already in the view, before anybody syncs");
    await sync(tier);
    assert.equal(await rate(tier.senior), seniorRate);
    const then = await books(tier);
    assert.equal(then.senior, before.senior);
    const lost = total(before) - total(then);
    assert.ok(lost > 0n && lost * 1_000_000_000n <= largest, "no more than L_k said");
    assert.equal(then.reserve, 0n, "the reserve first");
    assert.equal(before.junior - then.junior, lost - before.reserve, "then the junior");
    await conserved(world, tier);
  });

  it("a slash beyond the cover opens a Deficit, which a refund fills to the wei: senior first, then the junior's pot", async () => {
    const before = await books(tier);
    const seniorRate = await rate(tier.senior);
    for (const group of [0, 1, 2, 8, 9]) await slash(world, tier, group, WAD);
    await sync(tier);
    const then = await books(tier);
    assert.deepEqual([then.reserve, then.junior], [0n, 0n]);
    const lost = before.senior - then.senior;
    assert.ok(lost > 0n);
    const opened = await deficitOf(tier);
    assert.equal(opened.outstanding, lost);
    assert.equal(opened.juniorLoss, before.junior);
    await reverts(world, "EntriesClosed", depositEth(world, who(carol), tier.senior, ETH));
    await conserved(world, tier);

    const spare = 3n * ETH;
    await giveWeth(who(carol), lost + before.junior + spare);
    const payer = as(tier.tier, who(carol));
    await send(payer, "recover", lost / 2n);
    assert.equal((await books(tier)).senior, then.senior + lost / 2n, "at once, not through the vesting gains");
    await conserved(world, tier);
    await send(payer, "recover", lost - lost / 2n + before.junior + spare);
    assert.equal(await rate(tier.senior), seniorRate);
    assert.equal((await deficitOf(tier)).closesAt, 0n);
    assert.equal((await books(tier)).reserve, spare);
    const balance = await big(tier.junior, "balanceOf", who(bob).address);
    await send(as(tier.junior, who(bob)), "redeemRetired", balance, who(bob).address, false);
    assert.equal(await big(world.local.weth, "balanceOf", who(bob).address), before.junior);
    assert.equal((await cash(tier)).reserved, 0n);
    await conserved(world, tier);
  });

  it("the curator may write a Deficit off; then a new junior series opens and entries with it", async () => {
    for (const group of [0, 1, 2, 8, 9]) await slash(world, tier, group, WAD);
    await sync(tier);
    const { curator, keeper } = world.local.signers;
    await reverts(world, "AccessManagedUnauthorized", send(as(tier.tier, keeper), "writeOff"));
    await send(as(tier.tier, curator), "writeOff");
    assert.equal((await deficitOf(tier)).closesAt, 0n);
    await giveWeth(who(carol), 2n * ETH);
    await reverts(world, "NoDeficit", send(as(tier.tier, who(carol)), "recover", ETH));
    await send(as(world.local.protocol.factory, who(carol)), "openSeries", tier.address, false);
    await send(as(tier.tier, who(carol)), "topUpReserve", 2n * ETH);
    const fresh = await attachTier(tier.address, who(carol));
    assert.notEqual(await fresh.junior.getAddress(), await tier.junior.getAddress());
    await depositEth(world, who(carol), fresh.junior, 5n * ETH);
    assert.equal(await rate(fresh.junior), ETH, "new money owes nothing to the old loss");
    await conserved(world, tier);
  });

  it("whoever leaves during a Deficit leaves his part of the refund behind, and nobody else's", async () => {
    await depositEth(world, who(bob), tier.junior, 30n * ETH); // stays idle: money to leave with
    const asked = 10n * ETH;
    await request(tier, tier.senior, who(alice), asked);
    await passDays(world, 13);
    for (const group of [0, 1, 2, 8, 9]) await slash(world, tier, group, WAD);
    await sync(tier);
    const opened = await deficitOf(tier);
    const supply = await big(tier.senior, "totalSupply");
    const { senior } = await books(tier);
    await passDays(world, 1);
    await finalise(world, tier.senior);
    assert.equal(await big(tier.senior, "maxRedeem", who(alice).address), 0n, "no early exit while a Deficit is open");
    await passDays(world, 1);
    await finalise(world, tier.senior);
    assert.equal(await big(tier.senior, "maxRedeem", who(alice).address), asked, "exits stay open");
    assert.equal(await big(tier.senior, "maxWithdraw", who(alice).address), (senior * asked) / supply);
    const left = await deficitOf(tier);
    assert.equal(left.outstanding, opened.outstanding - (opened.outstanding * asked) / supply);
    await giveWeth(who(carol), left.outstanding);
    await send(as(tier.tier, who(carol)), "recover", left.outstanding);
    const stayers = await books(tier);
    const whole = senior + opened.outstanding;
    const rounding = stayers.senior - (whole * (supply - asked)) / supply;
    assert.ok(rounding >= 0n && rounding <= 2n, "those who stayed have all of their part back");
    await conserved(world, tier);
  });

  it("a junior who asked to leave before the slash bears it as everybody else does", async () => {
    await depositEth(world, who(carol), tier.junior, 10n * ETH);
    const shares = 10n * ETH;
    await request(tier, tier.junior, who(carol), shares);
    await passDays(world, 13);
    await slash(world, tier, 0, WAD / 2n);
    await sync(tier);
    const stayers = await worth(tier.junior, shares);
    assert.ok(stayers < shares, "there was a loss");
    await passDays(world, 3);
    await send(tier.tier, "sync");
    // cover may hold the exit back; the junior's own capital does not
    await depositEth(world, who(bob), tier.junior, 100n * ETH);
    await finalise(world, tier.junior);
    const claimable = await big(tier.junior, "maxRedeem", who(carol).address);
    assert.ok(claimable > 0n, "some of it is finalised");
    const assets = await big(tier.junior, "maxWithdraw", who(carol).address);
    assert.ok(assets <= (await worth(tier.junior, claimable)) + 1n);
    assert.ok(assets < claimable, "he bore the loss");
    await conserved(world, tier);
  });

  it("after a slash its set is quarantined and unwound, and the tier sheds exposure until it is covered again", async () => {
    const { keeper } = world.local.signers;
    const [allocator, stakes] = [as(tier.allocator, keeper), as(tier.stakes, keeper)];
    await slash(world, tier, 0, (WAD * 6n) / 10n);
    await slash(world, tier, 9, WAD);
    await sync(tier);
    assert.ok((await utilisation(tier)) > WAD, "uncovered after the slash");
    assert.equal((await setState(tier, 0)).quarantined, true);
    assert.equal((await setState(tier, 1)).quarantined, false);
    await reverts(world, "SetClosed", send(allocator, "allocate", 0, 0, WAD / 8n));
    assert.equal(await big(stakes, "deployLimit", 0), 0n);
    await reverts(world, "AgentUnfit", send(stakes, "deploy", 0, ETH));
    await send(allocator, "unwind", 0, 0);
    for (const index of [0, 1]) await send(allocator, "deleverage", index);
    const { needed } = (await allocator.getFunction("deleverageNeeded")()).toObject() as { needed: boolean };
    assert.equal(needed, false, "what is allocated ahead is covered");
    assert.ok((await utilisation(tier)) > WAD, "slashable until EigenLayer's delay is over");
    await passDays(world, 14);
    await mine(world, 2);
    await sync(tier);
    assert.ok((await utilisation(tier)) <= WAD, "covered again after 14 days");
    assert.equal((await exposures(tier)).current[0], 0n);
    await conserved(world, tier);
  });

  it("a slash that nobody looked at for days is still attributed to the set that made it", async () => {
    await passDays(world, 5);
    await slash(world, tier, 3, WAD / 2n);
    const receipt = await sendFor(tier.tier, "sync");
    assert.equal(eventValue(tier.risk.interface, receipt, "SlashAttributed", "set"), "3");
    assert.equal((await setState(tier, 3)).quarantined, true);
    assert.equal((await setState(tier, 4)).quarantined, false);
  });

  it("stake that waits in EigenLayer's queue is slashed until its delay is over and not afterwards", async () => {
    const { keeper } = world.local.signers;
    const shares = (await big(tier.senior, "balanceOf", who(alice).address)) / 5n;
    await request(tier, tier.senior, who(alice), shares);
    await send(as(tier.stakes, keeper), "unbond");
    const before = await books(tier);
    await passDays(world, 13);
    await slash(world, tier, 0, WAD / 2n);
    await slash(world, tier, 8, WAD / 2n);
    await sync(tier);
    const then = await books(tier);
    assert.equal(then.senior, before.senior);
    assert.ok(then.junior < before.junior);
    await passDays(world, 2);
    await sync(tier);
    const settled = await books(tier);
    await slash(world, tier, 1, WAD / 2n);
    await sync(tier);
    const last = await books(tier);
    assert.equal(last.senior, settled.senior);
    await bringBack(world, tier);
    await finalise(world, tier.senior);
    assert.equal(await big(tier.senior, "maxWithdraw", who(alice).address), (before.senior * shares) / (shares * 5n));
    await conserved(world, tier);
  });

  it("a slasher that is about to change makes its set unapproved: counted on top, quarantined, gone before he has power", async () => {
    const { keeper } = world.local.signers;
    const mallory = user(world, 5);
    const service = tier.services[3] as Service;
    await send(service.contract, "updateSlasher", 1, mallory.address);
    const { largest } = await exposures(tier);
    await send(as(tier.risk, keeper), "poke", 3);
    const state = await setState(tier, 3);
    assert.deepEqual([state.unapproved, state.quarantined], [true, true]);
    const then = await exposures(tier);
    assert.ok(then.unapproved > 0n);
    assert.equal(then.largest, largest + then.unapproved, "on top of the k largest");
    await send(as(tier.allocator, keeper), "unwind", 0, 3);
    await passDays(world, 18);
    await reverts(
      world,
      "InvalidCaller",
      send(service.contract, "slash", tier.agents[0]?.address, 1, world.local.strategy, WAD, ""),
    );
    const before = await books(tier);
    await slashAs(mallory, service.set.avs, 1, tier.agents[0]?.address ?? ZeroAddress);
    await sync(tier);
    const afterwards = await books(tier);
    assert.equal(total(afterwards), total(before), "there was nothing left to take");
  });

  it("a changed slasher is found without a poke by whoever comes more than three days later", async () => {
    const service = tier.services[3] as Service;
    await send(service.contract, "updateSlasher", 1, user(world, 5).address);
    await depositEth(world, who(bob), tier.junior, ETH);
    assert.equal((await setState(tier, 3)).unapproved, false, "nobody looked yet");
    await passDays(world, 4);
    await depositEth(world, who(bob), tier.junior, ETH);
    assert.equal((await setState(tier, 3)).unapproved, true);
  });

  it("while EigenLayer is paused books, exits and claims go on, and work resumes afterwards", async () => {
    const { keeper } = world.local.signers;
    const { allocationManager, delegationManager, strategyManager } = world.local.core;
    const shares = await big(tier.senior, "balanceOf", who(alice).address);
    await send(allocationManager, "pause", 1n);
    await send(delegationManager, "pause", 6n);
    await send(strategyManager, "pause", 1n);
    await depositEth(world, who(bob), tier.junior, 20n * ETH);
    await reverts(world, "CurrentlyPaused", send(as(tier.stakes, keeper), "deploy", 0, ETH));
    await slash(world, tier, 0, WAD / 2n);
    await sync(tier);
    await conserved(world, tier);
    await reverts(world, "CurrentlyPaused", send(as(tier.allocator, keeper), "unwind", 0, 0));
    await request(tier, tier.senior, who(alice), 40n * ETH);
    await reverts(world, "CurrentlyPaused", send(as(tier.stakes, keeper), "unbond"));
    await passDays(world, 16);
    await finalise(world, tier.senior);
    const paid = await big(tier.senior, "maxRedeem", who(alice).address);
    assert.ok(paid > 20n * ETH && paid < 40n * ETH, "idle serves the first in the queue");
    await send(as(tier.senior, who(alice)), "redeemEth", paid, who(alice).address, who(alice).address);
    await send(allocationManager, "unpause", 0n);
    await send(delegationManager, "unpause", 0n);
    await send(strategyManager, "unpause", 0n);
    await send(as(tier.allocator, keeper), "unwind", 0, 0);
    await request(tier, tier.senior, who(alice), shares - 40n * ETH);
    await bringBack(world, tier);
    await finalise(world, tier.senior);
    await conserved(world, tier);
  });

  it("where EigenLayer cannot be read at all nothing is booked: claims pay, rates stand, entries are closed", async () => {
    await depositEth(world, who(bob), tier.junior, 50n * ETH);
    await request(tier, tier.senior, who(alice), 5n * ETH);
    await passDays(world, 2);
    await finalise(world, tier.senior);
    const claimable = await big(tier.senior, "maxWithdraw", who(alice).address);
    const seniorRate = await rate(tier.senior);
    const before = await books(tier);
    const target = world.local.eigenlayer.addresses.allocationManager;
    await world.provider.send("hardhat_setCode", [target, "0xfe"]);
    assert.equal(await rate(tier.senior), seniorRate);
    assert.equal(await big(tier.senior, "maxDeposit", who(alice).address), 0n, "ERC-4626: maxDeposit never reverts");
    await assert.rejects(sync(tier));
    await assert.rejects(depositEth(world, who(bob), tier.junior, ETH));
    const stranger = Wallet.createRandom().address;
    await send(as(tier.senior, who(alice)), "redeemEth", 5n * ETH, stranger, who(alice).address);
    assert.equal(await world.provider.getBalance(stranger), claimable);
    assert.deepEqual(await books(tier), before);
  });

  it("another tier does not notice: not one wei of its books moves", async () => {
    const other = await openStandardTier(world, { name: "Bold", agents: 1, setsPerAgent: 4, params: { k: 1 } });
    await fund(world, other, user(world, 3), user(world, 4), 20n * ETH);
    await sync(other);
    const before = await books(other);
    for (const group of [0, 1, 2, 8, 9]) await slash(world, tier, group, WAD);
    await sync(tier);
    await sync(other);
    assert.deepEqual(await books(other), before);
    await conserved(world, other);
  });

  async function slashAs(slasher: JsonRpcSigner, avs: string, setId: number, operator: string): Promise<void> {
    const allocations = as(world.local.core.allocationManager, slasher);
    await send(allocations, "slashOperator", avs, {
      operator,
      operatorSetId: setId,
      strategies: [world.local.strategy],
      wadsToSlash: [WAD],
      description: "test",
    });
  }
});
