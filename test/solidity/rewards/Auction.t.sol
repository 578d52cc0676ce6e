// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IRewardsTypes} from "../../../contracts/interfaces/IRewards.sol";
import {ITier} from "../../../contracts/interfaces/ITier.sol";
import {DutchAuction} from "../../../contracts/libraries/DutchAuction.sol";
import {RewardsFixture} from "./RewardsFixture.sol";
import {RewardToken} from "./RewardTokens.sol";

/// @notice Tokens are sold for WETH in Dutch auctions (SPEC section 11.4).
contract AuctionTest is RewardsFixture {
    /// 0.002 ETH for a token to begin with, never below 0.0001.
    uint128 private constant START = 0.002e18;
    uint128 private constant FLOOR = 0.0001e18;

    function setUp() public override {
        super.setUp();
        _equipBuyer(10_000 ether);
    }

    function _onSale(uint256 amount) private {
        _harvest(0, token, amount);
        rewards.listToken(token, START, FLOOR);
    }

    function test_AnybodyBuysALotAndTheTierGainsAfterFees() public {
        _onSale(1_000e18);
        d.tier.sync();
        uint256 before = _gains();
        uint256 rate = d.senior.collateralRate();
        (uint256 sold, uint256 payment) = _buy(token, type(uint256).max);
        assertEq(sold, 1_000e18);
        assertEq(payment, 2 ether);
        assertEq(token.balanceOf(buyer), 1_000e18);
        assertEq(_pay(address(this)), 0.2 ether);
        assertEq(_pay(treasury), 0.1 ether);
        assertEq(_gains() - before, 1.7 ether);
        assertEq(d.senior.collateralRate(), rate, "it vests");
        assertEq(rewards.recorded(token), 0);
        _assertConserved(d);
        _assertHeld(_weth());
    }

    function test_ThePriceFallsToTheFloorAndStaysThere() public {
        _onSale(1_000e18);
        assertEq(rewards.priceOf(token), START);
        vm.warp(block.timestamp + 12 hours);
        assertEq(rewards.priceOf(token), START / 2);
        vm.warp(block.timestamp + 30 days);
        assertEq(rewards.priceOf(token), FLOOR);
        (, uint256 payment) = _buy(token, 1_000e18);
        assertEq(payment, 0.1 ether);
    }

    function test_PartsOfALotMayBeBoughtAndThePriceGoesOnFalling() public {
        _onSale(1_000e18);
        uint256 at = block.timestamp;
        _buy(token, 400e18);
        assertEq(rewards.stock(token).lot, 600e18);
        vm.warp(at + 6 hours);
        assertEq(rewards.priceOf(token), START * 3 / 4);
        (uint256 sold,) = _buy(token, 10_000e18);
        assertEq(sold, 600e18);
    }

    /// What comes during a sale waits for the next lot, which starts at twice what the last one brought on average.
    function test_TheNextLotStartsFromWhatTheLastOneBrought() public {
        _onSale(1_000e18);
        _buy(token, 500e18); // 0.002
        vm.warp(block.timestamp + 12 hours);
        _harvest(1, token, 300e18); // a week later: the price is at the floor
        assertEq(rewards.stock(token).lot, 500e18, "the lot on sale did not grow");
        assertEq(rewards.priceOf(token), FLOOR);
        _buy(token, 500e18); // 0.0001
        assertEq(rewards.stock(token).lot, 300e18, "the next lot is open");
        assertEq(rewards.priceOf(token), 2 * (START + FLOOR) / 2);
        _buy(token, 300e18);
        assertEq(rewards.stock(token).lot, 0);
        vm.prank(buyer);
        vm.expectRevert(IRewardsTypes.NothingThere.selector);
        rewards.buy(token, 1, 1 ether, buyer);
    }

    /// A buyer of a wei at the floor cannot make the next lot cheap: the average counts.
    function test_ADustPurchaseDoesNotSetTheNextPrice() public {
        _onSale(1_000e18);
        _buy(token, 1_000e18 - 1);
        vm.warp(block.timestamp + 30 days);
        _buy(token, 1);
        _harvest(0, token, 1e18);
        assertApproxEqAbs(rewards.stock(token).startPrice, 2 * START, 1);
    }

    /// Whoever gives a few units and buys them dear would hold up the next sale by half a day for each doubling.
    function test_ALotOfDustDoesNotMoveTheNextPrice() public {
        _onSale(1_000e18);
        _buy(token, 1_000e18);
        for (uint256 i; i < 10; ++i) {
            token.mint(address(rewards), 1);
            vm.prank(mallory);
            rewards.absorb(token);
            _buy(token, 1);
        }
        assertEq(rewards.stock(token).startPrice, 2 * START);
        _harvest(0, token, 100e18);
        assertEq(rewards.priceOf(token), 2 * START);
    }

    function test_ABuyerIsProtectedFromAPriceThatHeDidNotSee() public {
        _onSale(1_000e18);
        vm.prank(buyer);
        vm.expectRevert(abi.encodeWithSelector(IRewardsTypes.PaymentTooHigh.selector, 2 ether, 2 ether - 1));
        rewards.buy(token, 1_000e18, 2 ether - 1, buyer);
    }

    function test_WhoDoesNotPayGetsNothing() public {
        _onSale(1_000e18);
        vm.prank(mallory);
        vm.expectRevert();
        rewards.buy(token, 1_000e18, type(uint256).max, mallory);
        assertEq(token.balanceOf(mallory), 0);
        assertEq(rewards.stock(token).held, 1_000e18);
    }

    /// Each agent's operator is paid for what his agent earned, at his fee, whoever's tokens are sold first.
    function test_EachOperatorIsPaidForWhatHisAgentEarned() public {
        address other = makeAddr("other operator");
        factory.nominateNodeOperator(address(d.agents[1]), other);
        vm.prank(other);
        d.agents[1].acceptNomination();
        rewards.setOperatorFee(address(d.agents[1]), 500);
        _skip(1);
        _harvest(0, token, 600e18); // 10 %
        _harvest(1, token, 400e18); // 5 %
        rewards.listToken(token, START, FLOOR);
        (, uint256 payment) = _buy(token, 700e18); // all of the first, a quarter of the second
        assertEq(payment, 1.4 ether);
        assertEq(_pay(address(this)), 0.12 ether);
        assertEq(_pay(other), 0.01 ether);
        assertEq(_pay(treasury), 0.07 ether);
        _buy(token, 300e18);
        assertEq(_pay(other), 0.04 ether);
        _assertConserved(d);
    }

    /// forge-config: default.fuzz.runs = 48
    function testFuzz_ProceedsAreSharedToTheWei(uint96 first, uint96 second, uint96 bought, uint40 later) public {
        first = uint96(bound(first, 1, 1e27));
        second = uint96(bound(second, 1, 1e27));
        rewards.setOperatorFee(address(d.agents[1]), 333);
        _harvest(0, token, first);
        _harvest(1, token, second);
        rewards.listToken(token, START, FLOOR);
        vm.warp(block.timestamp + bound(later, 0, 10 days));
        d.tier.sync();
        uint256 value = d.tier.preview().value;
        bought = uint96(bound(bought, 1, uint256(first) + second));
        _equipBuyer(DutchAuction.cost(bought, START));
        (uint256 sold, uint256 payment) = _buy(token, bought);
        assertEq(sold, bought);
        uint256 gain = d.tier.preview().value - value;
        assertEq(gain + _pay(address(this)) + _pay(treasury), payment);
        assertEq(rewards.stock(token).held, uint256(first) + second - bought);
        assertEq(token.balanceOf(address(rewards)), rewards.recorded(token));
        assertEq(weth.balanceOf(address(rewards)), rewards.recorded(_weth()));
    }

    /// Many small rewards cannot make a sale too expensive: one call reaches into 32 of them.
    function test_OneSaleReachesInto32Batches() public {
        for (uint256 i; i < 40; ++i) {
            rewards.setOperatorFee(address(d.agents[0]), uint16(1_000 - i)); // other terms, another batch
            token.mint(address(coordinator), 1e18);
            _harvest(0, token, 1e18);
        }
        rewards.listToken(token, START, FLOOR);
        (uint256 sold,) = _buy(token, 40e18);
        assertEq(sold, 32e18);
        (sold,) = _buy(token, 40e18);
        assertEq(sold, 8e18);
        assertEq(rewards.stock(token).held, 0);
    }

    function test_ARefusalOfTheTierStopsASaleAndLosesNothing() public {
        _onSale(1_000e18);
        vm.mockCallRevert(address(d.tier), abi.encodeWithSelector(ITier.addGains.selector), "unreadable");
        vm.prank(buyer);
        vm.expectRevert("unreadable");
        rewards.buy(token, 1_000e18, type(uint256).max, buyer);
        vm.clearMockedCalls();
        _buy(token, 1_000e18);
    }

    // ---- roles

    function test_OnlyTheCuratorListsAndLowersAndTheGuardianOnlyRaises() public {
        _harvest(0, token, 1e18);
        vm.startPrank(mallory);
        vm.expectRevert(_unauthorised(mallory));
        rewards.listToken(token, START, FLOOR);
        vm.expectRevert(_unauthorised(mallory));
        rewards.setFloor(token, 1);
        vm.expectRevert(_unauthorised(mallory));
        rewards.raiseFloor(token, type(uint128).max);
        vm.stopPrank();
        vm.expectRevert(abi.encodeWithSelector(IRewardsTypes.NotListed.selector, token));
        rewards.setFloor(token, 1);
        vm.expectRevert(abi.encodeWithSelector(IRewardsTypes.NotListed.selector, token));
        rewards.priceOf(token);
        rewards.listToken(token, START, FLOOR);
        vm.expectRevert(abi.encodeWithSelector(IRewardsTypes.FloorNotRaised.selector, FLOOR, FLOOR));
        rewards.raiseFloor(token, FLOOR);
        rewards.raiseFloor(token, 2 * START);
        assertEq(rewards.priceOf(token), 2 * START);
        rewards.setFloor(token, FLOOR);
        assertEq(rewards.priceOf(token), START);
    }

    function test_SensibleTokensAndPricesOnly() public {
        vm.expectRevert(abi.encodeWithSelector(IRewardsTypes.CannotList.selector, address(weth)));
        rewards.listToken(_weth(), 1, 1);
        vm.expectRevert(abi.encodeWithSelector(IRewardsTypes.InvalidPrice.selector, 1, 0));
        rewards.listToken(token, 1, 0);
        vm.expectRevert(abi.encodeWithSelector(IRewardsTypes.InvalidPrice.selector, 1, 2));
        rewards.listToken(token, 1, 2);
        rewards.listToken(token, START, FLOOR);
        vm.expectRevert(abi.encodeWithSelector(IRewardsTypes.CannotList.selector, token));
        rewards.listToken(token, START, FLOOR);
        vm.expectRevert(abi.encodeWithSelector(IRewardsTypes.InvalidPrice.selector, START, 0));
        rewards.setFloor(token, 0);
    }

    /// A token of 6 decimals is priced for 1e18 of its units too.
    function test_DecimalsDoNotMatter() public {
        RewardToken dollar = new RewardToken();
        _harvest(0, dollar, 5_000e6);
        rewards.listToken(dollar, 0.0004e18 * 1e12, 0.0002e18 * 1e12);
        (, uint256 payment) = _buy(IERC20(address(dollar)), 5_000e6);
        assertEq(payment, 2 ether);
    }
}
