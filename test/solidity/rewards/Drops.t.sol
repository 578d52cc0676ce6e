// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IRewardsTypes} from "../../../contracts/interfaces/IRewards.sol";
import {RewardsFixture} from "./RewardsFixture.sol";

/// @notice Tokens that cannot be sold are given to holders by Merkle drops (SPEC section 11.5).
contract DropsTest is RewardsFixture {
    uint256 private constant ALICE = 60e18;
    uint256 private constant BOB = 25e18;
    bytes32 private constant INPUTS = keccak256("the holdings from which the tree was computed");

    function _leaf(address account, uint256 amount) private pure returns (bytes32) {
        return keccak256(bytes.concat(keccak256(abi.encode(account, amount))));
    }

    /// @dev OpenZeppelin's tree of two leaves: pairs are hashed in order.
    function _root() private view returns (bytes32) {
        (bytes32 a, bytes32 b) = (_leaf(alice, ALICE), _leaf(bob, BOB));
        return a < b ? keccak256(bytes.concat(a, b)) : keccak256(bytes.concat(b, a));
    }

    function _proof(bytes32 other) private pure returns (bytes32[] memory proof) {
        proof = new bytes32[](1);
        proof[0] = other;
    }

    function _expiry() private view returns (uint40) {
        return uint40(block.timestamp + 90 days);
    }

    /// @dev 100 tokens come in; 85 are left after fees in kind, and are dropped.
    function _posted() private returns (uint256 id) {
        _harvest(0, token, 100e18);
        assertEq(rewards.reserveForDrops(token, type(uint256).max), 85e18);
        return rewards.postDrop(token, address(d.senior), 85e18, _root(), _expiry(), INPUTS, "ipfs://holdings");
    }

    function test_FeesOfADropAreInKind() public {
        _posted();
        assertEq(rewards.payOf(address(this), token), 10e18);
        assertEq(rewards.payOf(treasury, token), 5e18);
        assertEq(rewards.recorded(token), 100e18);
        rewards.claimPay(token, alice);
        assertEq(token.balanceOf(alice), 10e18);
        _assertHeld(token);
    }

    function test_EachHolderIsPaidOnceAndAnybodyMayClaimForHim() public {
        uint256 id = _posted();
        vm.startPrank(mallory);
        rewards.claimDrop(id, alice, ALICE, _proof(_leaf(bob, BOB)));
        assertEq(token.balanceOf(alice), ALICE);
        assertTrue(rewards.dropClaimed(id, alice));
        vm.expectRevert(abi.encodeWithSelector(IRewardsTypes.AlreadyClaimed.selector, id, alice));
        rewards.claimDrop(id, alice, ALICE, _proof(_leaf(bob, BOB)));
        rewards.claimDrop(id, bob, BOB, _proof(_leaf(alice, ALICE)));
        assertEq(token.balanceOf(bob), BOB);
        vm.stopPrank();
        assertEq(rewards.recorded(token), 15e18, "the pay in kind");
    }

    function test_WhatTheTreeDoesNotSayIsRefused() public {
        uint256 id = _posted();
        vm.expectRevert(abi.encodeWithSelector(IRewardsTypes.InvalidProof.selector, id, alice, ALICE + 1));
        rewards.claimDrop(id, alice, ALICE + 1, _proof(_leaf(bob, BOB)));
        vm.expectRevert(abi.encodeWithSelector(IRewardsTypes.InvalidProof.selector, id, mallory, ALICE));
        rewards.claimDrop(id, mallory, ALICE, _proof(_leaf(bob, BOB)));
        vm.expectRevert(abi.encodeWithSelector(IRewardsTypes.UnknownDrop.selector, 7));
        rewards.claimDrop(7, alice, ALICE, _proof(_leaf(bob, BOB)));
    }

    /// A tree that promises more than the drop has cannot reach another drop, or anybody's pay.
    function test_ADropPaysNoMoreThanItWasFundedWith() public {
        _harvest(0, token, 100e18);
        rewards.reserveForDrops(token, type(uint256).max);
        uint256 id = rewards.postDrop(token, address(d.senior), 70e18, _root(), _expiry(), INPUTS, "");
        rewards.postDrop(token, address(d.junior), 15e18, _root(), _expiry(), INPUTS, "");
        rewards.claimDrop(id, alice, ALICE, _proof(_leaf(bob, BOB)));
        vm.expectRevert(abi.encodeWithSelector(IRewardsTypes.ExceedsAvailable.selector, BOB, 10e18));
        rewards.claimDrop(id, bob, BOB, _proof(_leaf(alice, ALICE)));
        assertEq(rewards.dropCount(), 2);
        assertEq(rewards.drop(0).paid, ALICE);
    }

    /// What nobody claims is the tier's again: stock without a fee, to be dropped again or sold.
    function test_AfterItsExpiryTheRestIsStockAgain() public {
        uint256 id = _posted();
        rewards.claimDrop(id, bob, BOB, _proof(_leaf(alice, ALICE)));
        uint40 expiry = rewards.drop(id).expiry;
        vm.expectRevert(abi.encodeWithSelector(IRewardsTypes.DropOpen.selector, expiry));
        rewards.closeDrop(id);
        vm.warp(expiry);
        vm.prank(mallory);
        rewards.closeDrop(id);
        assertEq(rewards.stock(token).held, ALICE);
        vm.expectRevert(abi.encodeWithSelector(IRewardsTypes.DropOver.selector, id));
        rewards.closeDrop(id);
        vm.expectRevert(abi.encodeWithSelector(IRewardsTypes.DropOver.selector, id));
        rewards.claimDrop(id, alice, ALICE, _proof(_leaf(bob, BOB)));
        uint256 pay = rewards.payOf(address(this), token);
        assertEq(rewards.reserveForDrops(token, type(uint256).max), ALICE);
        assertEq(rewards.payOf(address(this), token), pay, "fees were taken once");
        _assertHeld(token);
    }

    function test_WhatIsForSaleIsNotDropped() public {
        _harvest(0, token, 100e18);
        rewards.listToken(token, 1e15, 1e14);
        vm.expectRevert(abi.encodeWithSelector(IRewardsTypes.TokenIsListed.selector, token));
        rewards.reserveForDrops(token, 1);
    }

    function test_ADropNeedsTokensASeriesOfTheTierAndTime() public {
        vm.expectRevert(IRewardsTypes.NothingThere.selector);
        rewards.reserveForDrops(token, 1);
        _harvest(0, token, 100e18);
        rewards.reserveForDrops(token, type(uint256).max);
        bytes32 root = _root();
        uint40 expiry = _expiry();
        address series = address(d.junior);
        vm.expectRevert(abi.encodeWithSelector(IRewardsTypes.ExceedsAvailable.selector, 86e18, 85e18));
        rewards.postDrop(token, series, 86e18, root, expiry, INPUTS, "");
        vm.expectRevert(abi.encodeWithSelector(IRewardsTypes.UnknownSeries.selector, address(token)));
        rewards.postDrop(token, address(token), 85e18, root, expiry, INPUTS, "");
        vm.expectRevert(abi.encodeWithSelector(IRewardsTypes.ExpiryTooEarly.selector, expiry - 1, expiry));
        rewards.postDrop(token, series, 85e18, root, expiry - 1, INPUTS, "");
        vm.expectRevert(IRewardsTypes.NothingThere.selector);
        rewards.postDrop(token, series, 0, root, expiry, INPUTS, "");
        vm.startPrank(mallory);
        vm.expectRevert(_unauthorised(mallory));
        rewards.postDrop(token, series, 85e18, root, expiry, INPUTS, "");
        vm.expectRevert(_unauthorised(mallory));
        rewards.reserveForDrops(token, 1);
        vm.stopPrank();
    }
}
