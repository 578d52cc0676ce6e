// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Test} from "forge-std/Test.sol";

import {ILidoWithdrawalQueue} from "../../../contracts/interfaces/external/ILido.sol";
import {LocalLido} from "../../../contracts/local/lido/LocalLido.sol";
import {LocalLidoWithdrawalQueue} from "../../../contracts/local/lido/LocalLidoWithdrawalQueue.sol";

contract LocalLidoWithdrawalQueueTest is Test {
    LocalLido private lido;
    LocalLidoWithdrawalQueue private queue;
    address private alice = makeAddr("alice");
    address private bob = makeAddr("bob");

    function setUp() public {
        vm.deal(address(this), 1e9 ether);
        vm.deal(alice, 1e6 ether);
        lido = new LocalLido{value: 10 ether}(address(this));
        queue = lido.withdrawalQueue();
        vm.startPrank(alice);
        lido.submit{value: 10_000 ether}(address(0));
        lido.approve(address(queue), type(uint256).max);
        vm.stopPrank();
    }

    function test_amountsAreBoundedPerRequest() public {
        assertEq(queue.MIN_STETH_WITHDRAWAL_AMOUNT(), 100);
        assertEq(queue.MAX_STETH_WITHDRAWAL_AMOUNT(), 1000 ether);
        vm.startPrank(alice);
        vm.expectRevert(abi.encodeWithSelector(LocalLidoWithdrawalQueue.RequestAmountTooSmall.selector, 99));
        queue.requestWithdrawals(_one(99), alice);
        vm.expectRevert(abi.encodeWithSelector(LocalLidoWithdrawalQueue.RequestAmountTooLarge.selector, 1000 ether + 1));
        queue.requestWithdrawals(_one(1000 ether + 1), alice);
        queue.requestWithdrawals(_one(100), alice);
        queue.requestWithdrawals(_one(1000 ether), alice);
        vm.stopPrank();
        assertEq(queue.getLastRequestId(), 2);
    }

    /// A request locks the shares, and its status says so; a zero owner is the caller.
    function test_requestLocksStETHForItsOwner() public {
        uint256 before = lido.balanceOf(alice);
        uint256 id = _request(7 ether, bob);
        assertEq(lido.balanceOf(alice), before - 7 ether);
        assertEq(lido.balanceOf(address(queue)), 7 ether);
        ILidoWithdrawalQueue.WithdrawalRequestStatus memory status = queue.getWithdrawalStatus(_one(id))[0];
        assertEq(status.amountOfStETH, 7 ether);
        assertEq(status.amountOfShares, 7 ether);
        assertEq(status.owner, bob);
        assertEq(status.timestamp, block.timestamp);
        assertFalse(status.isFinalized);
        assertFalse(status.isClaimed);
        assertEq(queue.getWithdrawalStatus(_one(_request(1 ether, address(0))))[0].owner, alice);
        vm.expectRevert(abi.encodeWithSelector(LocalLidoWithdrawalQueue.InvalidRequestId.selector, 3));
        queue.getWithdrawalStatus(_one(3));
    }

    /// What the LST earns while a request waits is not the request's: it pays what was asked, to the wei.
    function test_rewardsWhileWaitingAreNotPaid() public {
        uint256 id = _request(100 ether, bob);
        lido.report{value: 500 ether}(500 ether);
        uint256 rate = lido.getPooledEthByShares(1e27);
        queue.finalize(id);
        assertEq(_claim(bob, id), 100 ether);
        assertGt(lido.getPooledEthByShares(1e27), rate, "the surplus goes to those who stay");
    }

    /// A loss before finalisation is borne: shares times the rate. One after it is not.
    function test_lossBeforeFinalisationIsBorneAndLaterOnesAreNot() public {
        uint256 first = _request(100 ether, bob);
        lido.report(-1001 ether);
        queue.finalize(first);
        lido.report(-1001 ether);
        assertEq(_claim(bob, first), 90 ether);
    }

    /// Any mix of requests and rates: each pays min(requested, shares * rate), all claims together are what was set
    /// aside, nothing is left in the queue, and finalising never lowers the rate of those who stay.
    function testFuzz_claimsTelescopeToWhatWasSetAside(uint256[8] memory amounts, int256[4] memory changes) public {
        uint256 setAside;
        uint256 expected;
        for (uint256 i = 0; i < amounts.length; ++i) {
            uint256 amount = bound(amounts[i], 100, 1000 ether);
            uint256 shares = amount * lido.getTotalShares() / lido.getTotalPooledEther();
            _request(amount, bob);
            if (i % 2 == 0) continue;
            // Two requests with one rate between them, then a rebase, then finalisation of one or of both.
            int256 tenth = int256(lido.getTotalPooledEther() / 10);
            int256 change = bound(changes[i / 2], -tenth, tenth);
            lido.report{value: change > 0 ? uint256(change) : 0}(change);
            uint256 pooled = lido.getTotalPooledEther();
            uint256 total = lido.getTotalShares();
            uint256 upTo = uint256(change) % 2 == 0 ? i + 1 : i;
            for (uint256 id = queue.getLastFinalizedRequestId() + 1; id <= upTo; ++id) {
                ILidoWithdrawalQueue.WithdrawalRequestStatus memory status = queue.getWithdrawalStatus(_one(id))[0];
                uint256 worth = status.amountOfShares * (uint256(1e27) * pooled / total) / 1e27;
                expected += worth < status.amountOfStETH ? worth : status.amountOfStETH;
            }
            assertEq(queue.getWithdrawalStatus(_one(i + 1))[0].amountOfShares, shares);
            uint256 paid = queue.finalize(upTo);
            setAside += paid;
            assertEq(lido.getTotalPooledEther(), pooled - paid, "stETH gives up what it pays, no more and no less");
            assertEq(address(lido).balance, lido.getTotalPooledEther());
            assertGe(lido.getTotalPooledEther() * total, pooled * lido.getTotalShares());
        }
        assertEq(setAside, expected);
        assertEq(address(queue).balance, setAside);
        uint256 last = queue.getLastFinalizedRequestId();
        // In reverse order: claims do not depend on one another.
        for (uint256 id = last; id > 0; --id) {
            _claim(bob, id);
        }
        assertEq(bob.balance, setAside);
        assertEq(address(queue).balance, 0);
    }

    /// Several finalisations make several checkpoints; each request finds its own, and no other hint is accepted.
    function test_hintsNameTheCheckpointOfARequest() public {
        for (uint256 i = 0; i < 6; ++i) {
            _request(10 ether, bob);
        }
        queue.finalize(2);
        lido.report(-100 ether);
        queue.finalize(3);
        lido.report(-100 ether);
        queue.finalize(5);
        assertEq(queue.getLastCheckpointIndex(), 3);
        assertEq(queue.getLastFinalizedRequestId(), 5);

        uint256[] memory ids = new uint256[](6);
        for (uint256 i = 0; i < 6; ++i) {
            ids[i] = i + 1;
        }
        uint256[] memory hints = queue.findCheckpointHints(ids, 1, 3);
        uint8[6] memory right = [1, 1, 2, 3, 3, 0];
        for (uint256 i = 0; i < 6; ++i) {
            assertEq(hints[i], right[i]);
        }
        // Outside a searched range there is no hint.
        assertEq(queue.findCheckpointHints(_one(4), 1, 2)[0], 0);
        assertEq(queue.findCheckpointHints(_one(1), 2, 3)[0], 0);

        uint256[] memory claimable = queue.getClaimableEther(ids, hints);
        assertEq(claimable[0], 10 ether);
        assertLt(claimable[2], claimable[1]);
        assertLt(claimable[3], claimable[2]);
        assertEq(claimable[5], 0);
        for (uint256 id = 1; id <= 5; ++id) {
            for (uint256 hint = 0; hint <= 4; ++hint) {
                if (hint == right[id - 1]) continue;
                vm.prank(bob);
                vm.expectRevert(abi.encodeWithSelector(LocalLidoWithdrawalQueue.InvalidHint.selector, hint));
                queue.claimWithdrawals(_one(id), _one(hint));
            }
        }
    }

    /// With any number of checkpoints the search finds the only hint that a claim accepts.
    function testFuzz_foundHintsAreAccepted(uint256 seed) public {
        for (uint256 i = 0; i < 20; ++i) {
            _request(1 ether, bob);
        }
        uint256 last;
        while (last < 20) {
            last += 1 + seed % 4;
            seed = uint256(keccak256(abi.encode(seed)));
            queue.finalize(last > 20 ? 20 : last);
        }
        uint256[] memory ids = new uint256[](20);
        for (uint256 i = 0; i < 20; ++i) {
            ids[i] = i + 1;
        }
        uint256[] memory hints = queue.findCheckpointHints(ids, 1, queue.getLastCheckpointIndex());
        vm.prank(bob);
        queue.claimWithdrawals(ids, hints);
        assertApproxEqAbs(bob.balance, 20 ether, 20);
    }

    function test_hintSearchRefusesBadInput() public {
        _request(1 ether, bob);
        _request(1 ether, bob);
        queue.finalize(2);
        vm.expectRevert(abi.encodeWithSelector(LocalLidoWithdrawalQueue.InvalidRequestIdRange.selector, 0, 1));
        queue.findCheckpointHints(_one(1), 0, 1);
        vm.expectRevert(abi.encodeWithSelector(LocalLidoWithdrawalQueue.InvalidRequestIdRange.selector, 1, 2));
        queue.findCheckpointHints(_one(1), 1, 2);
        vm.expectRevert(abi.encodeWithSelector(LocalLidoWithdrawalQueue.InvalidRequestId.selector, 3));
        queue.findCheckpointHints(_one(3), 1, 1);
        uint256[] memory falling = new uint256[](2);
        (falling[0], falling[1]) = (2, 1);
        vm.expectRevert(LocalLidoWithdrawalQueue.RequestIdsNotSorted.selector);
        queue.findCheckpointHints(falling, 1, 1);
    }

    function test_claimsAreRefusedToOthersTwiceAndBeforeFinalisation() public {
        uint256 id = _request(1 ether, bob);
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(LocalLidoWithdrawalQueue.RequestNotFoundOrNotFinalized.selector, id));
        queue.claimWithdrawals(_one(id), _one(1));
        queue.finalize(id);
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(LocalLidoWithdrawalQueue.NotOwner.selector, alice, bob));
        queue.claimWithdrawals(_one(id), _one(1));
        assertEq(_claim(bob, id), 1 ether);
        assertTrue(queue.getWithdrawalStatus(_one(id))[0].isClaimed);
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(LocalLidoWithdrawalQueue.RequestAlreadyClaimed.selector, id));
        queue.claimWithdrawals(_one(id), _one(1));
        vm.expectRevert(abi.encodeWithSelector(LocalLidoWithdrawalQueue.ArraysLengthMismatch.selector, 1, 0));
        queue.claimWithdrawals(_one(id), new uint256[](0));
    }

    function test_finalisationIsTheOwnersAndGoesForward() public {
        uint256 id = _request(1 ether, bob);
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, alice));
        queue.finalize(id);
        vm.expectRevert(abi.encodeWithSelector(LocalLidoWithdrawalQueue.InvalidRequestId.selector, id + 1));
        queue.finalize(id + 1);
        queue.finalize(id);
        vm.expectRevert(abi.encodeWithSelector(LocalLidoWithdrawalQueue.InvalidRequestId.selector, id));
        queue.finalize(id);
    }

    /// Paused: no requests, no finalisation; what was finalised is still paid.
    function test_pauseNeverStopsClaims() public {
        uint256 first = _request(1 ether, bob);
        uint256 second = _request(1 ether, bob);
        queue.finalize(first);
        queue.setPaused(true);
        vm.prank(alice);
        vm.expectRevert(LocalLidoWithdrawalQueue.ResumedExpected.selector);
        queue.requestWithdrawals(_one(1 ether), bob);
        vm.expectRevert(LocalLidoWithdrawalQueue.ResumedExpected.selector);
        queue.finalize(second);
        assertEq(_claim(bob, first), 1 ether);
        queue.setPaused(false);
        queue.finalize(second);
    }

    function test_etherOfStrangersIsRefused() public {
        (bool sent, bytes memory reason) = address(queue).call{value: 1}("");
        assertFalse(sent);
        assertEq(reason, abi.encodeWithSelector(LocalLidoWithdrawalQueue.OnlyStETH.selector, address(this)));
    }

    function _request(uint256 amount, address owner) private returns (uint256) {
        vm.prank(alice);
        return queue.requestWithdrawals(_one(amount), owner)[0];
    }

    function _claim(address owner, uint256 id) private returns (uint256) {
        uint256 before = owner.balance;
        uint256[] memory hints = queue.findCheckpointHints(_one(id), 1, queue.getLastCheckpointIndex());
        vm.prank(owner);
        queue.claimWithdrawals(_one(id), hints);
        return owner.balance - before;
    }

    function _one(uint256 value) private pure returns (uint256[] memory list) {
        list = new uint256[](1);
        list[0] = value;
    }
}
