// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {TierReserve} from "../../../contracts/core/tier/TierReserve.sol";
import {ITier} from "../../../contracts/interfaces/ITier.sol";
import {IWETH} from "../../../contracts/interfaces/external/ILido.sol";
import {Waterfall} from "../../../contracts/libraries/Waterfall.sol";
import {UnitFixture} from "./UnitFixture.sol";

/// @notice Money given to those who hold: a gain like any other (SPEC 2.4).
contract GainsTest is UnitFixture {
    address internal giver = makeAddr("giver");

    function setUp() public {
        _setUpTier(4, 4, QUARTER, 2);
        vm.deal(giver, 100 ether);
        vm.startPrank(giver);
        weth.deposit{value: 100 ether}();
        weth.approve(address(d.tier), 100 ether);
        vm.stopPrank();
    }

    function _give(uint256 assets) private {
        vm.prank(giver);
        d.tier.addGains(assets);
    }

    function test_AGiftMovesNoRateWhenItComesAndHasVestedAfterThreeDays() public {
        _fund();
        (uint256 senior, uint256 junior) = (d.senior.collateralRate(), d.junior.collateralRate());
        Waterfall.Books memory before = d.tier.books();
        uint256 idle = _idle();
        vm.expectEmit(true, false, false, true, address(d.tier));
        emit ITier.GainsAdded(giver, 3 ether);
        _give(3 ether);
        assertEq(d.senior.collateralRate(), senior);
        assertEq(d.junior.collateralRate(), junior);
        assertEq(d.tier.books().gains, before.gains + 3 ether);
        assertEq(_idle(), idle + 3 ether);
        assertEq(weth.balanceOf(giver), 97 ether);
        _assertConserved(d);

        vm.warp(block.timestamp + 1.5 days);
        d.tier.sync();
        uint256 half = d.tier.books().gains;
        assertApproxEqAbs(half, 1.5 ether, 0.01 ether);
        assertGt(d.senior.collateralRate(), senior);
        assertGt(d.junior.collateralRate(), junior);
        vm.warp(block.timestamp + 1.5 days + 1);
        d.tier.sync();
        assertEq(d.tier.books().gains, 0);
        _assertConserved(d);
    }

    /// SPEC rule 4
    function test_WhoEntersJustBeforeAGiftGetsOnlyWhatVestsWhileHeStays() public {
        _fund();
        _deposit(d.junior, mallory, 50 ether);
        uint256 value = d.junior.convertToAssets(d.junior.balanceOf(mallory));
        _give(10 ether);
        assertEq(d.junior.convertToAssets(d.junior.balanceOf(mallory)), value);
    }

    function test_AGiftOfNothingIsRefused() public {
        vm.expectRevert(ITier.ZeroAmount.selector);
        _give(0);
    }

    function test_NothingIsBookedThatDidNotArrive() public {
        _fund();
        Waterfall.Books memory before = d.tier.books();
        vm.prank(giver);
        vm.expectRevert();
        d.tier.addGains(100 ether + 1); // more than was approved
        assertEq(abi.encode(d.tier.books()), abi.encode(before));
    }

    function test_AGiftIsTakenWhileEntriesArePaused() public {
        _fund();
        d.tier.pauseEntries();
        _give(1 ether);
        assertEq(d.tier.books().gains, 1 ether);
        _assertConserved(d);
    }

    function test_AGiftInADeficitIsAGainAndRepaysNothing() public {
        _fund();
        for (uint256 g; g < 4; ++g) {
            _slash(d, g, 0, 1e18);
        }
        d.tier.sync();
        ITier.Deficit memory open = d.tier.deficit();
        assertGt(open.outstanding, 0);
        uint256 gains = d.tier.books().gains;
        _give(1 ether);
        assertEq(d.tier.books().gains, gains + 1 ether);
        assertEq(d.tier.deficit().outstanding, open.outstanding);
        _assertConserved(d);
    }

    function test_WhereNobodyHoldsTheGiftVestsIntoTheReserve() public {
        _give(1 ether);
        vm.warp(block.timestamp + 4 days);
        d.tier.sync();
        assertEq(d.tier.books().reserve, 2 ether);
    }

    /// SPEC rule 1
    function testFuzz_AnyGiftAtAnyTimeIsConserved(uint96 first, uint96 second, uint24 wait) public {
        _deposit(d.junior, bob, 10 ether);
        _deposit(d.senior, alice, 10 ether);
        _give(bound(first, 1, 40 ether));
        _skip(bound(wait, 0, 40_000));
        _give(bound(second, 1, 40 ether));
        _assertConserved(d);
        (,,, uint40 unlockAt,) = d.tier.status();
        assertLe(unlockAt, block.timestamp + 3 days);
    }

    function test_TheReservesContractCanDoNothingItself() public {
        TierReserve reserve = new TierReserve(IWETH(address(weth)));
        ITier.Parts memory p = d.tier.parts();
        vm.expectRevert(abi.encodeWithSignature("InvalidInitialization()"));
        reserve.initialize(address(this), p, address(d.senior), address(d.junior), 1 ether);
        vm.expectRevert();
        reserve.addGains(1 ether);
        vm.expectRevert();
        reserve.skimReserve(1, address(this));
        vm.expectRevert(abi.encodeWithSelector(ITier.NotAuthorised.selector, address(this)));
        reserve.adoptSeries(true, address(this));
    }
}
