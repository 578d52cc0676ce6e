// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {TrancheToken} from "../../../contracts/core/TrancheToken.sol";
import {ITier} from "../../../contracts/interfaces/ITier.sol";
import {ITrancheToken} from "../../../contracts/interfaces/ITrancheToken.sol";
import {Terms} from "../../../contracts/interfaces/IRiskManager.sol";
import {Waterfall} from "../../../contracts/libraries/Waterfall.sol";
import {UnitFixture} from "./UnitFixture.sol";

/// @notice A loss that reached the senior: who may still be made good, how long, and in which order.
contract DeficitTest is UnitFixture {
    function setUp() public {
        _setUpTier(4, 4, QUARTER, 2);
        weth.approve(address(d.tier), type(uint256).max);
    }

    /// @dev Four groups take all: more than junior and reserve bear.
    function _hurt() private {
        for (uint256 g; g < 4; ++g) {
            _slash(d, g, 0, 1e18);
        }
        d.tier.sync();
        assertTrue(_open());
        _assertConserved(d);
    }

    function _deficit() private view returns (ITier.Deficit memory) {
        return d.tier.deficit();
    }

    function _open() private view returns (bool) {
        return d.tier.deficit().closesAt != 0;
    }

    // --------------------------------------------------------------------------------------- open and grow

    function test_ALossThatTheJuniorBearsOpensNothing() public {
        _fund();
        _slash(d, 0, 0, 1e18);
        _slash(d, 1, 0, 1e18);
        d.tier.sync();
        assertFalse(_open());
        assertTrue(d.tier.token(false) != address(0));
    }

    function test_ALossOfTheSeniorOpensADeficitOfExactlyWhatWasLost() public {
        _fund();
        Waterfall.Books memory before = d.tier.books();
        _hurt();
        ITier.Deficit memory x = _deficit();
        assertEq(x.outstanding, before.senior - d.tier.books().senior);
        assertEq(x.juniorLoss, before.junior);
        assertEq(x.seniorToken, address(d.senior));
        assertEq(x.juniorToken, address(d.junior));
        assertEq(x.openedAt, block.timestamp);
        assertEq(x.closesAt, block.timestamp + 14 days);
        assertEq(d.tier.books().junior, 0);
        assertEq(d.tier.books().reserve, 0);
    }

    function test_BelowABasisPointOfTheSeniorNothingOpensAndFromThereOnItDoes() public {
        _fund();
        _hurt();
        d.tier.writeOff();
        // junior and reserve are gone: everything is the senior's now
        uint256 senior = d.tier.books().senior;
        uint256 group = _exposures().current[4] / 1e9;
        uint256 below = senior * 1e18 / 10_000 * 99 / 100 / group;
        _slash(d, 4, 1, below);
        d.tier.sync();
        assertLt(d.tier.books().senior, senior);
        assertFalse(_open());
        senior = d.tier.books().senior;
        _slash(d, 5, 1, below * 102 / 99);
        d.tier.sync();
        assertTrue(_open());
        assertEq(_deficit().outstanding, senior - d.tier.books().senior);
    }

    function test_MoreLossExtendsItToTwentyEightDaysAtMost() public {
        _fund();
        _hurt();
        uint256 opened = block.timestamp;
        uint256 outstanding = _deficit().outstanding;
        vm.warp(opened + 10 days);
        _slash(d, 4, 1, 1e18);
        d.tier.sync();
        assertEq(_deficit().closesAt, opened + 24 days);
        assertGt(_deficit().outstanding, outstanding);
        assertEq(_deficit().openedAt, opened);
        vm.warp(opened + 20 days);
        _slash(d, 5, 1, 1e18);
        d.tier.sync();
        assertEq(_deficit().closesAt, opened + 28 days);
    }

    function test_EntriesAreClosedWhileItIsOpen() public {
        _fund();
        _hurt();
        assertEq(d.senior.maxDeposit(alice), 0);
        weth.approve(address(d.senior), 1 ether);
        vm.expectRevert(ITier.EntriesClosed.selector);
        d.senior.deposit(1 ether, alice);
        TrancheToken next = TrancheToken(factory.openSeries(address(d.tier), false));
        weth.approve(address(next), 1 ether);
        assertEq(next.maxDeposit(bob), 0);
        vm.expectRevert(ITier.EntriesClosed.selector);
        next.deposit(1 ether, bob);
    }

    function test_InstantExitsAreClosedAndOrdinaryOnesOpen() public {
        _fund();
        _hurt();
        assertEq(d.senior.maxInstantRedeem(), 0);
        vm.prank(alice);
        vm.expectRevert(ITier.InstantExitClosed.selector);
        d.senior.instantRedeem(1 ether, 0, alice, true);
        _request(true, alice, 1 ether);
        vm.prank(alice);
        assertTrue(d.senior.transfer(bob, 1 ether));
    }

    function test_YieldDuringADeficitIsTheSeniorsWithoutAPremium() public {
        _fund();
        _hurt();
        lido.report{value: 10_000 ether}(10_000 ether);
        d.tier.sync();
        uint256 gains = d.tier.books().gains;
        uint256 senior = d.tier.books().senior;
        _skip(3 days / BLOCK + 1);
        assertEq(d.tier.preview().premium, 0);
        d.tier.sync();
        assertEq(d.tier.books().senior, senior + gains);
    }

    function test_AnExitTakesItsPartOfTheDeficitAlong() public {
        _fund();
        uint256 supply = d.senior.totalSupply();
        _request(true, alice, 4 ether);
        _skip(DELAY + MARGIN_BLOCKS); // while a Deficit is open seniors mature as juniors do
        _hurt();
        uint256 outstanding = _deficit().outstanding;
        (uint256 done, uint256 assets) = d.senior.finalise(type(uint256).max);
        assertEq(done, 4 ether);
        assertLt(assets, 4 ether);
        assertEq(_deficit().outstanding, outstanding - outstanding * 4 ether / supply);
    }

    // ------------------------------------------------------------------------------------------- recover

    function test_RecoveryPaysTheSeniorFirstThenTheJuniorsPotThenTheReserve() public {
        _fund();
        _hurt();
        ITier.Deficit memory x = _deficit();
        uint256 senior = d.tier.books().senior;
        uint256 half = x.outstanding / 2;
        d.tier.recover(half);
        assertEq(d.tier.books().senior, senior + half, "directly, not through G");
        assertEq(_deficit().outstanding, x.outstanding - half);
        assertEq(_deficit().juniorLoss, x.juniorLoss);
        _assertConserved(d);

        d.tier.recover(x.outstanding - half + 7 ether);
        assertEq(_deficit().outstanding, 0);
        assertEq(_deficit().juniorLoss, x.juniorLoss - 7 ether);
        assertTrue(_open(), "the junior is not whole");
        (, uint256 reserved) = d.tier.cash();
        assertEq(reserved, 7 ether);
        assertEq(d.tier.retired(address(d.junior)).pot, 7 ether);
        assertEq(d.tier.books().senior, senior + x.outstanding);

        vm.expectEmit(address(d.tier));
        emit ITier.DeficitClosed(0);
        d.tier.recover(x.juniorLoss - 7 ether + 3 ether);
        assertFalse(_open());
        assertEq(d.tier.books().reserve, 3 ether);
        assertEq(d.tier.retired(address(d.junior)).pot, x.juniorLoss);
        _assertConserved(d);
        vm.expectRevert(ITier.NoDeficit.selector);
        d.tier.recover(1 ether);
    }

    function test_AfterFullRecoveryTheSeniorRateIsBackToTheWeiForWhoStayed() public {
        _fund();
        uint256 rate = d.senior.collateralRate();
        _hurt();
        assertLt(d.senior.collateralRate(), rate);
        d.tier.recover(_deficit().outstanding);
        assertEq(d.senior.collateralRate(), rate);
    }

    function test_NothingIsRecoveredWithoutADeficitOrMoney() public {
        _fund();
        vm.expectRevert(ITier.NoDeficit.selector);
        d.tier.recover(1 ether);
        _hurt();
        vm.expectRevert(ITier.ZeroAmount.selector);
        d.tier.recover(0);
    }

    function test_ItExpires() public {
        _fund();
        _hurt();
        ITier.Deficit memory x = _deficit();
        vm.warp(x.closesAt - 1);
        d.tier.sync();
        assertTrue(_open());
        vm.warp(x.closesAt);
        vm.expectRevert(ITier.NoDeficit.selector);
        d.tier.recover(1 ether);
        vm.expectEmit(address(d.tier));
        emit ITier.DeficitClosed(x.outstanding);
        d.tier.sync();
        assertFalse(_open());
    }

    function test_TheCuratorWritesItOffAndLaterMoneyIsAGain() public {
        _fund();
        _hurt();
        vm.prank(mallory);
        vm.expectRevert(_unauthorised(mallory));
        d.tier.writeOff();
        d.tier.writeOff();
        assertFalse(_open());
        vm.expectRevert(ITier.NoDeficit.selector);
        d.tier.writeOff();
        Waterfall.Books memory before = d.tier.books();
        lido.submit{value: 2 ether}(address(0));
        lido.transfer(address(strategy), 1 ether); // somebody pays back, late
        uint256 gained = d.tier.preview().gained;
        assertGt(gained, 0.5 ether);
        d.tier.sync();
        assertEq(d.tier.books().gains, before.gains + gained);
        assertEq(d.tier.books().senior, before.senior);
    }

    /// Also where one sync finds both the end of the old one and the new loss: each has its event.
    function test_ANewLossAfterwardsIsANewDeficit() public {
        _fund();
        _hurt();
        ITier.Deficit memory old = _deficit();
        vm.warp(old.closesAt + 5 days);
        _slash(d, 4, 1, 1e18);
        uint256 senior = d.tier.books().senior;
        vm.expectEmit(address(d.tier));
        emit ITier.DeficitClosed(old.outstanding);
        d.tier.sync();
        assertEq(_deficit().openedAt, block.timestamp);
        assertEq(_deficit().outstanding, senior - d.tier.books().senior);
        assertEq(_deficit().juniorLoss, 0);
    }

    // ---------------------------------------------------------------------------------------------- pots

    function test_APotPaysPerShareAndOnlyAfterTheDeficitIsClosed() public {
        _fund();
        vm.prank(bob);
        d.junior.transfer(mallory, 25 ether);
        _hurt();
        ITier.Deficit memory x = _deficit();
        d.tier.recover(uint256(x.outstanding) + 10 ether + 1);
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(ITier.DeficitStillOpen.selector, x.closesAt));
        d.junior.redeemRetired(1 ether, bob, false);
        vm.warp(x.closesAt); // no sync is needed
        vm.prank(mallory);
        assertEq(d.junior.redeemRetired(25 ether, mallory, false), 2.5 ether);
        assertEq(weth.balanceOf(mallory), 2.5 ether);
        vm.prank(bob);
        assertEq(d.junior.redeemRetired(75 ether, alice, true), 7.5 ether + 1);
        assertEq(alice.balance, 7.5 ether + 1);
        (, uint256 reserved) = d.tier.cash();
        assertEq(reserved, 0);
        assertEq(d.junior.totalSupply(), 0);
        vm.prank(bob);
        vm.expectRevert();
        d.junior.redeemRetired(1, bob, false);
    }

    function test_ASeniorThatLostEverythingHasAPotToo() public {
        Terms memory t = _terms(d, 4, QUARTER, 2);
        t.params.bufferBps = 0;
        d.mandate.tighten(t);
        _deposit(d.junior, bob, 100 ether);
        _deposit(d.senior, alice, d.senior.maxDeposit(alice));
        _deployAll(d);
        _allocateAll(d, 4, QUARTER);
        for (uint256 g; g < 16; ++g) {
            _slash(d, g, g / 4, 1e18);
        }
        d.tier.sync();
        assertEq(d.tier.token(true), address(0));
        assertEq(d.tier.token(false), address(0));
        assertEq(d.senior.collateralRate(), 0);
        _assertConserved(d);
        ITier.Deficit memory x = _deficit();
        d.tier.recover(x.outstanding);
        assertEq(d.tier.retired(address(d.senior)).pot, x.outstanding);
        _assertConserved(d);
        vm.warp(x.closesAt);
        uint256 shares = d.senior.balanceOf(alice);
        vm.prank(alice);
        assertEq(d.senior.redeemRetired(shares, alice, false), x.outstanding);
        TrancheToken next = TrancheToken(factory.openSeries(address(d.tier), true));
        assertEq(next.series(), 2);
        assertEq(next.collateralRate(), 1e18);
    }

    // ----------------------------------------------------------------------------------------- retirement

    function test_RetirementReturnsUnfinalisedRequestsAndKeepsFinalisedClaims() public {
        _fund();
        _deposit(d.junior, bob, 30 ether);
        _request(false, bob, 10 ether);
        _skip(DELAY + MARGIN_BLOCKS);
        (uint256 done, uint256 assets) = d.junior.finalise(4 ether);
        assertEq(done, 4 ether);
        _request(false, bob, 20 ether);
        vm.expectRevert(abi.encodeWithSelector(ITrancheToken.SeriesRetired.selector, false));
        d.junior.returnRequest(1);
        _hurt();
        assertEq(d.tier.token(false), address(0));
        assertEq(d.junior.totalAssets(), 0);

        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(ITrancheToken.SeriesRetired.selector, true));
        d.junior.requestRedeem(1 ether, bob, bob);
        uint256 held = d.junior.balanceOf(bob);
        vm.prank(mallory); // anybody
        assertEq(d.junior.returnRequest(1), 6 ether);
        d.junior.returnRequest(2);
        assertEq(d.junior.balanceOf(bob), held + 26 ether);
        assertEq(d.junior.pendingRedeemRequest(2, bob), 0);

        assertEq(d.junior.maxWithdraw(bob), assets);
        vm.prank(bob);
        assertEq(d.junior.redeem(4 ether, bob, bob), assets);
        assertEq(d.tier.retired(address(d.junior)).supply, d.junior.totalSupply());
        assertEq(d.junior.returnRequest(1), 0, "a request that is used up has nothing to give back");
        assertEq(d.junior.returnRequest(2), 0, "nor has one that was returned");
    }

    function test_TheNextSeriesStartsAtOneToOneWithoutThePast() public {
        _fund();
        _hurt();
        vm.warp(_deficit().closesAt);
        d.tier.topUpReserve(1 ether);
        TrancheToken next = TrancheToken(factory.openSeries(address(d.tier), false));
        assertEq(next.series(), 2);
        assertEq(next.symbol(), "bjCareful-2");
        uint256 rate = d.senior.collateralRate();
        assertEq(_deposit(next, mallory, 50 ether), 50 ether);
        assertEq(next.collateralRate(), 1e18);
        assertEq(d.senior.collateralRate(), rate);
        assertEq(d.junior.collateralRate(), 0);
        _assertConserved(d);
    }
}
