// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ITier} from "../../../contracts/interfaces/ITier.sol";
import {ProtocolFixture} from "./ProtocolFixture.sol";

/// @notice One tier through its life: entry, restaking, a slash inside and beyond cover, exit.
contract LifecycleTest is ProtocolFixture {
    Deployment internal d;
    address internal alice = makeAddr("alice");
    address internal bob = makeAddr("bob");

    function setUp() public {
        _deployProtocol();
        Deployment memory x = _createTier("Careful", 2);
        _equip(x, 4, 4, 0.25e18, 2);
        d.tier = x.tier;
        d.senior = x.senior;
        d.junior = x.junior;
        d.risk = x.risk;
        d.stakes = x.stakes;
        d.allocator = x.allocator;
        d.mandate = x.mandate;
        d.module = x.module;
        for (uint256 i; i < x.agents.length; ++i) {
            d.agents.push(x.agents[i]);
        }
        for (uint256 i; i < x.avss.length; ++i) {
            d.avss.push(x.avss[i]);
        }
    }

    function _funded() internal returns (uint256 seniorDeposit) {
        _deposit(d.junior, bob, 100 ether);
        seniorDeposit = d.senior.maxDeposit(alice);
        _deposit(d.senior, alice, seniorDeposit);
        _deployAll(d);
        _allocateAll(d, 4, 0.25e18);
        _deployAll(d);
    }

    function test_SeniorLimitPassesAndOneWeiMoreReverts() public {
        _deposit(d.junior, bob, 100 ether);
        uint256 limit = d.senior.maxDeposit(alice);
        assertGt(limit, 100 ether);
        vm.deal(alice, limit + 1);
        vm.startPrank(alice);
        vm.expectRevert(abi.encodeWithSelector(ITier.ExceedsDepositLimit.selector, limit + 1, limit));
        router.depositEth{value: limit + 1}(d.senior, 0, alice, block.timestamp);
        router.depositEth{value: limit}(d.senior, 0, alice, block.timestamp);
        vm.stopPrank();
    }

    function test_ATierFillsIsRestakedAndCovered() public {
        _funded();
        _assertConserved(d);
        (uint256 u,,,,) = d.tier.status();
        assertLe(u, 1e18);
    }

    function test_ASlashInsideTheCoverLeavesTheSeniorUnmovedToTheWei() public {
        _funded();
        uint256 rate = d.senior.collateralRate();
        uint256 assets = d.senior.totalAssets();
        _slash(d, 0, 0, 1e18);
        _slash(d, 5, 1, 1e18);
        assertEq(d.senior.totalAssets(), assets);
        d.tier.sync();
        assertEq(d.senior.collateralRate(), rate);
        assertEq(d.senior.totalAssets(), assets);
        _assertConserved(d);
    }

    function test_FullExitThroughBothQueues() public {
        _funded();
        uint256 shares = d.senior.balanceOf(alice);
        vm.prank(alice);
        uint256 id = d.senior.requestRedeem(shares / 2, alice, alice);
        assertEq(id, 1);
        for (uint256 i; i < 4; ++i) {
            if (d.stakes.unbondNeed() == 0) break;
            d.stakes.unbond();
            _assertConserved(d);
        }
        _skip(100_801);
        d.tier.sync();
        for (uint256 i; i < 4; ++i) {
            if (d.risk.agent(i).exits != 0) d.stakes.complete(i, 0);
            _assertConserved(d);
        }
        d.stakes.requestUnstake(100);
        _assertConserved(d);
        (uint256 open,) = d.module.requests();
        assertGt(open, 0);
        lidoQueue.finalize(lidoQueue.getLastRequestId());
        d.stakes.claimUnstaked(100);
        _assertConserved(d);
        d.senior.finalise(type(uint256).max);
        _assertConserved(d);
        assertGe(d.senior.maxRedeem(alice), shares / 2 - 1);
        uint256 claim = d.senior.maxRedeem(alice);
        address carol = makeAddr("carol");
        vm.prank(alice);
        uint256 paid = d.senior.redeemEth(claim, carol, alice);
        assertEq(carol.balance, paid);
    }
}
