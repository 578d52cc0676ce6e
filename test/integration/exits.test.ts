/** Entries and exits: what a staker puts in, and how it comes back. */
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import { Signature, Wallet, ZeroHash } from "ethers";
import { send } from "../../deploy/eigenlayer.ts";
import { sendFor } from "../../deploy/protocol.ts";
import {
  as,
  BLOCKS_A_DAY,
  big,
  books,
  bringBack,
  call,
  cash,
  checkpoint,
  conserved,
  deadline,
  deployAll,
  depositEth,
  ETH,
  eventValue,
  finalise,
  fund,
  mine,
  now,
  openStandardTier,
  passDays,
  rate,
  request,
  reverts,
  setState,
  startWorld,
  type Tier,
  user,
  utilisation,
  WAD,
  type World,
} from "./world.ts";

const NO_PERMIT = { deadline: 0, v: 0, r: ZeroHash, s: ZeroHash };

describe("entries and exits", () => {
  let world: World;
  let tier: Tier;
  let reset: () => Promise<void>;

  before(async () => {
    world = await startWorld();
    tier = await openStandardTier(world, { agents: 2, setsPerAgent: 8 });
    reset = await checkpoint(world);
  });
  after(() => world?.close());

  // first, because going back to the empty tier forgets the funded one
  describe("of a tier whose stake is at work", () => {
    let again: () => Promise<void>;

    before(async () => {
      await reset();
      await fund(world, tier, user(world, 0), user(world, 1), 100n * ETH);
      again = await checkpoint(world);
    });
    beforeEach(() => again());

    it("a full exit goes through EigenLayer's queue and Lido's queue and pays ETH to a stranger's address", async () => {
      const [_bob, alice] = [user(world, 0), user(world, 1)];
      const shares = await big(tier.senior, "balanceOf", alice.address);
      const value = await big(tier.senior, "convertToAssets", shares);
      await request(tier, tier.senior, alice, shares);
      await bringBack(world, tier);
      await conserved(world, tier);
      await finalise(world, tier.senior);
      assert.equal(await big(tier.senior, "maxRedeem", alice.address), shares);
      const stranger = Wallet.createRandom().address;
      await send(as(tier.senior, alice), "redeemEth", shares, stranger, alice.address);
      const paid = await world.provider.getBalance(stranger);
      // no rewards, no slash: what is missing is rounding of stETH, borne by the reserve
      assert.equal(paid, value);
      assert.equal((await cash(tier)).reserved, 0n);
      assert.equal(await big(tier.senior, "totalSupply"), 0n);
      await conserved(world, tier);
    });

    it("Lido's rewards reach the holders over three days, and a deposit made at the report gets none of them at once", async () => {
      const [_bob, _alice, eve] = [user(world, 0), user(world, 1), user(world, 2)];
      const seniorRate = await rate(tier.senior);
      const { steth } = world.local;
      const pooled = await big(steth, "getTotalPooledEther");
      const reward = pooled / 10_000n;
      await send(steth, "report", reward, { value: reward });
      await send(tier.tier, "sync");
      const { gains } = await books(tier);
      assert.ok(gains > 0n, "the report is a gain");
      assert.equal(await rate(tier.senior), seniorRate, "nothing of it is in the rate yet");
      await depositEth(world, eve, tier.junior, 10n * ETH);
      await passDays(world, 4);
      await send(tier.tier, "sync");
      assert.equal((await books(tier)).gains, 0n);
      assert.ok((await rate(tier.senior)) > seniorRate);
      await conserved(world, tier);
    });

    it("nothing that is loose at Lido is lost when Lido pauses: the books stand, and it goes on afterwards", async () => {
      const [bob, alice] = [user(world, 0), user(world, 1)];
      const shares = await big(tier.senior, "balanceOf", alice.address);
      await request(tier, tier.senior, alice, shares / 2n);
      const { steth } = world.local;
      await send(steth, "pauseStaking");
      await depositEth(world, bob, tier.junior, 10n * ETH);
      assert.equal(await big(tier.stakes, "deployLimit", 0), 0n, "nothing can be staked");
      await conserved(world, tier);
      await send(steth, "resumeStaking");
      await bringBack(world, tier);
      await finalise(world, tier.senior);
      assert.equal(await big(tier.senior, "maxRedeem", alice.address), shares / 2n);
    });

    it("when everybody has left, the last after 63 days, the reserve's seed is there and nothing else, less the wei of rounding", async () => {
      const [bob, alice] = [user(world, 0), user(world, 1)];
      for (const [token, who] of [
        [tier.senior, alice],
        [tier.junior, bob],
      ] as const)
        await request(tier, token, who, await big(token, "balanceOf", who.address));
      await bringBack(world, tier);
      await finalise(world, tier.senior);
      // cover that the last stake needs leaves as that stake does; what is overdue is brought back whatever it needs
      const asked = await now(world);
      for (let round = 0; round < 6 && (await big(tier.junior, "queuedShares")) > 0n; round++) {
        await bringBack(world, tier);
        await finalise(world, tier.junior);
      }
      const days = ((await now(world)) - asked) / 86_400;
      assert.ok(
        days <= 66,
        `the last junior left after ${days} days; 63 are promised, and Lido takes two or three here`,
      );
      for (const [token, who] of [
        [tier.senior, alice],
        [tier.junior, bob],
      ] as const) {
        await send(as(token, who), "redeem", await big(token, "maxRedeem", who.address), who.address, who.address);
        assert.equal(await big(token, "totalSupply"), 0n);
      }
      const { reserve, junior, senior, gains } = await books(tier);
      assert.deepEqual([junior, senior, gains], [0n, 0n, 0n]);
      const seed = await big(tier.tier, "seed");
      assert.ok(reserve <= seed && seed - reserve < 1_000n, `the reserve lost ${seed - reserve} wei to rounding`);
      assert.equal(await big(world.local.weth, "balanceOf", bob.address), 100n * ETH);
      await conserved(world, tier);
    });

    it("stake on its way out goes back to work when newcomers have paid those who leave, and not before", async () => {
      const [_bob, alice, carol] = [user(world, 0), user(world, 1), user(world, 2)];
      const stakes = as(tier.stakes, world.local.signers.keeper);
      const shares = (await big(tier.senior, "balanceOf", alice.address)) / 10n;
      await request(tier, tier.senior, alice, shares);
      const agent = (await call(stakes, "unbond")) as readonly [bigint, bigint];
      await send(stakes, "unbond");
      await passDays(world, 14);
      await mine(world, 2);
      await reverts(world, "Needed", send(stakes, "redeposit", agent[0], 0));
      await depositEth(world, carol, tier.junior, shares);
      await finalise(world, tier.senior);
      assert.equal(await big(tier.senior, "maxRedeem", alice.address), shares);
      await send(stakes, "redeposit", agent[0], 0);
      await conserved(world, tier);
      assert.ok((await utilisation(tier)) <= WAD, "it is gated as every new exposure is");
    });

    it("loose stETH that nobody waits for any more is restaked without passing through Lido again", async () => {
      const [_bob, alice, carol] = [user(world, 0), user(world, 1), user(world, 2)];
      const stakes = as(tier.stakes, world.local.signers.keeper);
      const shares = (await big(tier.senior, "balanceOf", alice.address)) / 10n;
      await request(tier, tier.senior, alice, shares);
      const [agent] = (await call(stakes, "unbond")) as readonly [bigint, bigint];
      await send(stakes, "unbond");
      await passDays(world, 14);
      await mine(world, 2);
      await send(stakes, "complete", agent, 0);
      await depositEth(world, carol, tier.junior, shares + shares / 10n);
      await finalise(world, tier.senior);
      const [loose] = (await call(tier.module, "value")) as readonly [bigint, bigint];
      assert.ok(loose > shares / 2n);
      await reverts(world, "NothingToUnstake", send(stakes, "requestUnstake", 10));
      await send(stakes, "redeploy", agent, loose / 2n);
      await conserved(world, tier);
    });

    it("a loss of Lido itself up to the haircut is the junior's and no slasher's: nothing is quarantined", async () => {
      const [_bob, _alice] = [user(world, 0), user(world, 1)];
      const [seniorRate, before] = [await rate(tier.senior), await books(tier)];
      const { steth } = world.local;
      await send(steth, "report", -(((await big(steth, "getTotalPooledEther")) * 19n) / 1_000n));
      const receipt = await sendFor(tier.tier, "sync");
      assert.equal(eventValue(tier.tier.interface, receipt, "LossBooked", "slashed"), "false");
      assert.equal(await rate(tier.senior), seniorRate);
      assert.ok((await books(tier)).junior < before.junior);
      for (let set = 0; set < tier.services.length; set++) assert.equal((await setState(tier, set)).quarantined, false);
      await conserved(world, tier);
    });

    it("gifts move no rate at once: WETH sent to the tier is not counted, stETH sent to the strategy vests over days", async () => {
      const [_bob, _alice, carol] = [user(world, 0), user(world, 1), user(world, 2)];
      const before = await Promise.all([rate(tier.senior), rate(tier.junior), books(tier)]);
      await send(as(world.local.weth, carol), "deposit", { value: 10n * ETH });
      await send(as(world.local.weth, carol), "transfer", tier.address, 10n * ETH);
      await send(tier.tier, "sync");
      assert.deepEqual(await Promise.all([rate(tier.senior), rate(tier.junior), books(tier)]), before);
      const steth = as(world.local.steth, carol);
      await send(steth, "submit", carol.address, { value: 10n * ETH });
      await send(steth, "transfer", world.local.strategy, 10n * ETH);
      await send(tier.tier, "sync");
      assert.deepEqual(await Promise.all([rate(tier.senior), rate(tier.junior)]), before.slice(0, 2));
      const { gains } = await books(tier);
      assert.ok(gains > 9n * ETH);
      await conserved(world, tier);
    });
  });

  describe("of a tier that just opened", () => {
    beforeEach(() => reset());

    it("ETH goes in through the router at one to one, never for less than the least result or after the deadline", async () => {
      const who = user(world, 0);
      const router = as(world.local.protocol.router, who);
      const late = await deadline(world);
      await reverts(
        world,
        "Expired",
        send(router, "depositEth", tier.junior, 0, who.address, late - 7_200, { value: ETH }),
      );
      await reverts(
        world,
        "Slippage",
        send(router, "depositEth", tier.junior, ETH + 1n, who.address, late, { value: ETH }),
      );
      await send(router, "depositEth", tier.junior, ETH, who.address, late, { value: ETH });
      assert.equal(await big(tier.junior, "balanceOf", who.address), ETH);
      assert.equal((await books(tier)).junior, ETH);
      await conserved(world, tier);
    });

    it("WETH goes in through the token itself, an ERC-4626 vault, as much as maxDeposit says and not one wei more", async () => {
      const [bob, alice] = [user(world, 0), user(world, 1)];
      await depositEth(world, bob, tier.junior, 100n * ETH);
      const limit = await big(tier.senior, "maxDeposit", alice.address);
      assert.ok(limit > 100n * ETH, "a hundred ETH of cover carries more than a hundred ETH");
      const weth = as(world.local.weth, alice);
      await send(weth, "deposit", { value: limit + 1n });
      await send(weth, "approve", tier.senior, limit + 1n);
      const vault = as(tier.senior, alice);
      await reverts(world, "ExceedsDepositLimit", send(vault, "deposit", limit + 1n, alice.address));
      await send(vault, "deposit", limit, alice.address);
      assert.equal(await big(tier.senior, "balanceOf", alice.address), limit);
      await conserved(world, tier);
    });

    it("a permit queues an exit through the router without an approval before it, also when somebody used the permit first", async () => {
      // a wallet that signs typed data itself, as a person's does
      const wallet = new Wallet(`0x${"a1".repeat(32)}`, world.provider);
      await send(world.local.weth, "deposit", { value: ETH });
      await (await user(world, 0).sendTransaction({ to: wallet.address, value: 10n * ETH })).wait();
      const router = world.local.protocol.router.connect(wallet) as typeof world.local.protocol.router;
      await send(router, "depositEth", tier.junior, 0, wallet.address, await deadline(world), { value: 5n * ETH });
      const token = await tier.junior.getAddress();
      const { chainId } = await world.provider.getNetwork();
      const until = await deadline(world);
      const signature = Signature.from(
        await wallet.signTypedData(
          { name: await tier.junior.getFunction("name")(), version: "1", chainId, verifyingContract: token },
          {
            Permit: [
              { name: "owner", type: "address" },
              { name: "spender", type: "address" },
              { name: "value", type: "uint256" },
              { name: "nonce", type: "uint256" },
              { name: "deadline", type: "uint256" },
            ],
          },
          {
            owner: wallet.address,
            spender: world.local.protocol.addresses.router,
            value: 2n * ETH,
            nonce: 0,
            deadline: until,
          },
        ),
      );
      const permit = { deadline: until, v: signature.v, r: signature.r, s: signature.s };
      await reverts(
        world,
        "ERC20InsufficientAllowance",
        send(router, "requestRedeem", tier.junior, 2n * ETH, until, NO_PERMIT),
      );
      const thief = as(tier.junior, user(world, 2));
      const args = [wallet.address, world.local.protocol.addresses.router, 2n * ETH, until] as const;
      await send(thief, "permit", ...args, signature.v, signature.r, signature.s);
      await send(router, "requestRedeem", tier.junior, 2n * ETH, until, permit);
      assert.equal(await big(tier.junior, "pendingRedeemRequest", 1, wallet.address), 2n * ETH);
      assert.equal(await big(tier.junior, "balanceOf", wallet.address), 3n * ETH);
    });

    it("an instant exit pays from idle at once, less a fee that stays with those who stay", async () => {
      const [bob, alice, carol] = [user(world, 0), user(world, 1), user(world, 2)];
      await depositEth(world, bob, tier.junior, 100n * ETH);
      await depositEth(world, alice, tier.senior, 50n * ETH);
      const router = as(world.local.protocol.router, alice);
      await send(as(tier.senior, alice), "approve", router, 10n * ETH);
      const before = await world.provider.getBalance(carol.address);
      const until = await deadline(world);
      const net = 10n * ETH - (10n * ETH * 20n) / 10_000n;
      await reverts(
        world,
        "Slippage",
        send(router, "instantRedeem", tier.senior, 10n * ETH, net + 1n, carol.address, true, until, NO_PERMIT),
      );
      await send(router, "instantRedeem", tier.senior, 10n * ETH, net, carol.address, true, until, NO_PERMIT);
      assert.equal((await world.provider.getBalance(carol.address)) - before, net);
      assert.equal((await books(tier)).gains, 10n * ETH - net);
      await conserved(world, tier);
      await passDays(world, 4);
      assert.ok((await rate(tier.senior)) > ETH, "the fee vests to those who stay");
    });

    it("an instant exit never takes what others in the queue wait for", async () => {
      const [bob, alice, carol] = [user(world, 0), user(world, 1), user(world, 2)];
      await depositEth(world, bob, tier.junior, 100n * ETH);
      await depositEth(world, alice, tier.senior, 50n * ETH);
      await depositEth(world, carol, tier.senior, 50n * ETH);
      await deployAll(world, tier);
      const { idle } = await cash(tier);
      const waiting = idle - ETH;
      await request(tier, tier.senior, alice, waiting);
      const most = await big(tier.senior, "maxInstantRedeem");
      assert.ok(most > ETH && most < 2n * ETH, `an ETH and its fee, not ${most}`);
      const instant = (shares: bigint) =>
        send(as(tier.senior, carol), "instantRedeem", shares, 0, carol.address, false);
      await reverts(world, "InsufficientIdle", instant(most + 1n));
      await instant(most);
      assert.equal(await big(tier.senior, "maxInstantRedeem"), 0n);
      await passDays(world, 1);
      await finalise(world, tier.senior);
      assert.ok(
        (await big(tier.senior, "maxWithdraw", alice.address)) >= waiting - 1n,
        "she is paid what she waited for",
      );
      await conserved(world, tier);
    });

    it("an exit is not paid before it has matured, and not in the block of its request", async () => {
      const [bob, alice] = [user(world, 0), user(world, 1)];
      await depositEth(world, bob, tier.junior, 100n * ETH);
      await depositEth(world, alice, tier.senior, 50n * ETH);
      await request(tier, tier.senior, alice, ETH);
      await request(tier, tier.junior, bob, ETH);
      await mine(world, BLOCKS_A_DAY - 3); // the junior's request and this transaction are the other two
      await finalise(world, tier.senior);
      assert.equal(await big(tier.senior, "maxRedeem", alice.address), 0n);
      await finalise(world, tier.senior);
      assert.equal(await big(tier.senior, "maxRedeem", alice.address), ETH);
      await passDays(world, 14);
      await finalise(world, tier.junior);
      assert.equal(await big(tier.junior, "maxRedeem", bob.address), ETH, "14 days of EigenLayer and a day of margin");
      await conserved(world, tier);
    });

    it("claims of many requests pay to the wei what they pay one by one, whoever finalises", async () => {
      const [bob, alice, carol] = [user(world, 0), user(world, 1), user(world, 2)];
      await depositEth(world, bob, tier.junior, 100n * ETH);
      await depositEth(world, alice, tier.senior, 30n * ETH + 7n);
      await depositEth(world, carol, tier.senior, 10n * ETH);
      for (let i = 0; i < 5; i++) await request(tier, tier.senior, alice, 3n * ETH + BigInt(i));
      await passDays(world, 2);
      await finalise(world, tier.senior);
      const shares = await big(tier.senior, "maxRedeem", alice.address);
      const assets = await big(tier.senior, "maxWithdraw", alice.address);
      assert.equal(shares, 15n * ETH + 10n);
      await send(as(tier.senior, alice), "redeem", shares / 3n, alice.address, alice.address);
      await send(as(tier.senior, alice), "redeem", shares - shares / 3n, alice.address, alice.address);
      assert.equal(await big(world.local.weth, "balanceOf", alice.address), assets);
      assert.equal((await cash(tier)).reserved, 0n);
    });

    it("only the controller and his operators claim, to whichever address they name", async () => {
      const [bob, alice, carol] = [user(world, 0), user(world, 1), user(world, 2)];
      await depositEth(world, bob, tier.junior, 100n * ETH);
      await depositEth(world, alice, tier.senior, 50n * ETH);
      await request(tier, tier.senior, alice, 10n * ETH);
      await passDays(world, 2);
      await finalise(world, tier.senior);
      const claim = () => send(as(tier.senior, carol), "redeem", ETH, carol.address, alice.address);
      await reverts(world, "NotController", claim());
      await send(as(tier.senior, alice), "setOperator", carol.address, true);
      await claim();
      assert.equal(await big(world.local.weth, "balanceOf", carol.address), ETH);
      await send(as(tier.senior, alice), "setOperator", carol.address, false);
      await reverts(world, "NotController", claim());
      await reverts(
        world,
        "NotController",
        send(as(tier.senior, alice), "requestRedeem", ETH, carol.address, alice.address).then(() =>
          send(as(tier.senior, bob), "requestRedeem", ETH, carol.address, alice.address),
        ),
      );
    });

    it("the tests run on the EigenLayer that was asked for", () => {
      assert.equal(world.local.eigenlayer.kind, process.env.BULKHEAD_EIGENLAYER ?? "local");
    });
  });
});
