// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IRewards, IRewardsTypes} from "../../../contracts/interfaces/IRewards.sol";
import {IRewardsCoordinator} from "../../../contracts/interfaces/external/IEigenLayer.sol";
import {RewardsFixture} from "./RewardsFixture.sol";
import {HostileToken, SilentToken} from "./RewardTokens.sol";

/// @notice Reward tokens that charge fees, call back, return nothing or refuse harm nobody but themselves.
contract HostileTokensTest is RewardsFixture {
    HostileToken private bad;

    function setUp() public override {
        super.setUp();
        bad = new HostileToken();
        _equipBuyer(1_000 ether);
    }

    function _bad() private view returns (IERC20) {
        return IERC20(address(bad));
    }

    /// @dev Harvests 100 bad and puts them on sale for 0.01 ETH each.
    function _onSale() private {
        _harvest(0, _bad(), 100e18);
        rewards.listToken(_bad(), 0.01e18, 0.001e18);
    }

    function _assertTheOtherTokensWork() private {
        uint256 before = rewards.stock(token).held;
        _harvest(1, token, 10e18);
        assertEq(rewards.stock(token).held, before + 10e18);
        uint256 pay = _pay(address(this));
        _harvest(1, _weth(), 1 ether);
        assertEq(_pay(address(this)) - pay, 0.1 ether);
        _assertConserved(d);
    }

    function test_AFeeOnTransferIsNeverCountedAsHeld() public {
        bad.takeFee(300);
        _harvest(0, _bad(), 100e18);
        assertEq(rewards.stock(_bad()).held, 97e18);
        _assertHeld(_bad());
        rewards.listToken(_bad(), 0.01e18, 0.001e18);
        (uint256 sold, uint256 payment) = _buy(_bad(), 97e18);
        assertEq(sold, 97e18);
        assertEq(payment, 0.97 ether);
        assertEq(bad.balanceOf(buyer), 97e18 * 97 / 100);
        _assertTheOtherTokensWork();
    }

    function test_ATokenThatReturnsNothingIsSold() public {
        SilentToken silent = new SilentToken();
        IERC20 what = IERC20(address(silent));
        _harvest(0, what, 100e18);
        rewards.listToken(what, 0.01e18, 0.001e18);
        _buy(what, 60e18);
        assertEq(silent.balanceOf(buyer), 60e18);
        assertEq(rewards.recorded(what), 40e18);
        _assertHeld(what);
    }

    function test_ATokenThatRefusesBlocksOnlyItself() public {
        _onSale();
        bad.refuse(true);
        vm.prank(buyer);
        vm.expectRevert(HostileToken.TransfersOff.selector);
        rewards.buy(_bad(), 1e18, 1 ether, buyer);
        assertEq(weth.balanceOf(buyer), 1_000 ether, "the buyer keeps his money");
        _assertTheOtherTokensWork();
        bad.refuse(false);
        _buy(_bad(), 100e18);
    }

    /// One leaf that cannot be paid is left out of the claim; the others are paid.
    function test_ABadTokenInAClaimIsLeftOut() public {
        IERC20[] memory tokens = new IERC20[](2);
        uint256[] memory amounts = new uint256[](2);
        (tokens[0], tokens[1]) = (_bad(), _weth());
        (amounts[0], amounts[1]) = (5e18, 2 ether);
        bad.refuse(true);
        IRewardsCoordinator.RewardsMerkleClaim memory claim = _rewardAll(address(d.agents[0]), tokens, amounts);
        vm.expectRevert(HostileToken.TransfersOff.selector);
        rewards.harvest(claim);

        IRewardsCoordinator.RewardsMerkleClaim memory rest = claim;
        rest.tokenLeaves = new IRewardsCoordinator.TokenTreeMerkleLeaf[](1);
        rest.tokenLeaves[0] = IRewardsCoordinator.TokenTreeMerkleLeaf(_weth(), 2 ether);
        rest.tokenIndices = new uint32[](1);
        rest.tokenIndices[0] = 1;
        bytes memory proof = claim.tokenTreeProofs[1];
        rest.tokenTreeProofs = new bytes[](1);
        rest.tokenTreeProofs[0] = proof;
        rewards.harvest(rest);
        assertEq(_pay(address(this)), 0.2 ether);
    }

    function test_ATokenThatSaysFalseIsNotSold() public {
        _onSale();
        bad.lie(true);
        vm.prank(buyer);
        vm.expectRevert(abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, bad));
        rewards.buy(_bad(), 1e18, 1 ether, buyer);
        _assertTheOtherTokensWork();
    }

    function test_ABlacklistedBuyerNamesAnotherReceiver() public {
        _onSale();
        bad.blacklist(buyer);
        vm.startPrank(buyer);
        vm.expectRevert(abi.encodeWithSelector(HostileToken.Blacklisted.selector, buyer));
        rewards.buy(_bad(), 1e18, 1 ether, buyer);
        rewards.buy(_bad(), 1e18, 1 ether, alice);
        vm.stopPrank();
        assertEq(bad.balanceOf(alice), 1e18);
    }

    /// A token that blacklists Rewards itself cannot be harvested; everything else can.
    function test_ATokenThatBlacklistsRewardsBlocksOnlyItself() public {
        bad.blacklist(address(rewards));
        IRewardsCoordinator.RewardsMerkleClaim memory claim = _reward(address(d.agents[0]), _bad(), 1e18);
        vm.expectRevert(abi.encodeWithSelector(HostileToken.Blacklisted.selector, address(rewards)));
        rewards.harvest(claim);
        _assertTheOtherTokensWork();
    }

    function test_ACallBackIntoRewardsIsRefused() public {
        _onSale();
        bytes[4] memory calls = [
            abi.encodeCall(IRewards.buy, (_bad(), 1e18, 1 ether, address(bad))),
            abi.encodeCall(IRewards.absorb, (_bad())),
            abi.encodeCall(IRewards.claimPay, (_weth(), address(bad))),
            abi.encodeCall(IRewards.review, (address(d.agents[0])))
        ];
        for (uint256 i; i < calls.length; ++i) {
            bad.callBack(address(rewards), calls[i]);
            _buy(_bad(), 10e18);
            assertFalse(bad.reached());
            assertEq(bytes4(bad.answer()), ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector);
        }
        assertEq(rewards.stock(_bad()).held, 60e18);
        // while it is harvested, too
        bad.callBack(address(rewards), abi.encodeCall(IRewards.absorb, (_bad())));
        _harvest(1, _bad(), 5e18);
        assertFalse(bad.reached());
        assertEq(rewards.stock(_bad()).held, 65e18);
        _assertHeld(_bad());
        _assertConserved(d);
    }

    /// A call back into the tier meets books that are in order: it may sync, and changes nothing.
    function test_ACallBackIntoTheTierFindsBooksInOrder() public {
        _onSale();
        bad.callBack(address(d.tier), abi.encodeWithSignature("sync()"));
        (, uint256 payment) = _buy(_bad(), 100e18);
        assertTrue(bad.reached());
        assertEq(payment, 1 ether);
        assertEq(_pay(address(this)), 0.1 ether);
        _assertConserved(d);
    }

    /// A token that shrinks by itself is sold as far as it is there.
    function test_ATokenThatShrinksIsSoldAsFarAsItIsThere() public {
        _onSale();
        bad.destroy(address(rewards), 30e18);
        (uint256 sold, uint256 payment) = _buy(_bad(), 100e18);
        assertEq(sold, 70e18);
        assertEq(payment, 0.7 ether);
        _assertTheOtherTokensWork();
    }

    /// An amount beyond 128 bits is refused with its token alone.
    function test_AnAbsurdAmountBlocksOnlyItself() public {
        IRewardsCoordinator.RewardsMerkleClaim memory claim =
            _reward(address(d.agents[0]), _bad(), uint256(type(uint128).max) + 1);
        vm.expectRevert(
            abi.encodeWithSignature(
                "SafeCastOverflowedUintDowncast(uint8,uint256)", 128, uint256(type(uint128).max) + 1
            )
        );
        rewards.harvest(claim);
        _assertTheOtherTokensWork();
    }

    function test_SomebodyElsesPayIsNotClaimed() public {
        _harvest(0, _weth(), 1 ether);
        vm.prank(mallory);
        vm.expectRevert(IRewardsTypes.NothingThere.selector);
        rewards.claimPay(_weth(), mallory);
    }
}
