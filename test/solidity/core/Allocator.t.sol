// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IAllocator} from "../../../contracts/interfaces/IAllocator.sol";
import {OperatorSet} from "../../../contracts/interfaces/external/IEigenLayer.sol";
import {IRiskManager, IRiskTypes, Target, Terms} from "../../../contracts/interfaces/IRiskManager.sol";
import {IStakeManager} from "../../../contracts/interfaces/IStakeManager.sol";
import {ITier} from "../../../contracts/interfaces/ITier.sol";
import {LocalAVS} from "../../../contracts/local/avs/LocalAVS.sol";
import {UnitFixture} from "./UnitFixture.sol";

/// @notice Allocation, the unwind ladder, deleverage.
contract AllocatorTest is UnitFixture {
    function setUp() public {
        _setUpTier(4, 4, QUARTER, 2);
    }

    function _now() private view returns (Terms memory) {
        return _terms(d, 4, QUARTER, 2);
    }

    function _onChain(uint256 agent, uint256 set) private view returns (uint64 current, int128 pending) {
        OperatorSet memory s = d.risk.set(set).operatorSet;
        return (
            allocations.getAllocation(address(_account(agent)), s, strategy).currentMagnitude,
            allocations.getAllocation(address(_account(agent)), s, strategy).pendingDiff
        );
    }

    // ------------------------------------------------------------------------------------------- allocate

    function test_AnAllocationRisesTowardsItsTargetAndNotBeyond() public {
        d.allocator.allocate(0, 0, 0.1e18);
        vm.prank(mallory); // anybody
        d.allocator.allocate(0, 0, QUARTER);
        (uint64 current,) = _onChain(0, 0);
        assertEq(current, QUARTER);
        assertEq(_link(0, 0).current, QUARTER);
        vm.expectRevert(abi.encodeWithSelector(IAllocator.InvalidMagnitude.selector, QUARTER, QUARTER, QUARTER));
        d.allocator.allocate(0, 0, QUARTER);
        vm.expectRevert(abi.encodeWithSelector(IAllocator.InvalidMagnitude.selector, QUARTER + 1, 0, QUARTER));
        d.allocator.allocate(0, 1, QUARTER + 1);
        vm.expectRevert(abi.encodeWithSelector(IAllocator.InvalidMagnitude.selector, 0.1e18, QUARTER, QUARTER));
        d.allocator.allocate(0, 0, 0.1e18);
        vm.expectRevert(abi.encodeWithSelector(IRiskTypes.UnknownIndex.selector, 4));
        d.allocator.allocate(0, 4, 1);
        vm.expectRevert(abi.encodeWithSelector(IRiskTypes.UnknownIndex.selector, 4));
        d.allocator.allocate(4, 0, 1);
    }

    function test_WhatCoverDoesNotBearIsNotAllocated() public {
        _deposit(d.junior, bob, 100 ether);
        _deposit(d.senior, alice, d.senior.maxDeposit(alice));
        _deployAll(d);
        _request(false, bob, 99 ether); // queued junior is no cover for anything new
        vm.expectPartialRevert(ITier.Uncovered.selector);
        d.allocator.allocate(0, 0, QUARTER);
        (uint64 current,) = _onChain(0, 0);
        assertEq(current, 0);
    }

    function test_QuarantinedSetsAreClosed() public {
        d.risk.quarantine(0);
        vm.expectRevert(abi.encodeWithSelector(IAllocator.SetClosed.selector, address(d.avss[0]), 1));
        d.allocator.allocate(0, 0, QUARTER);
    }

    function test_SetsWithAnotherSlasherAreClosed() public {
        d.avss[0].updateSlasher(1, mallory);
        d.risk.poke(0);
        vm.expectRevert(abi.encodeWithSelector(IAllocator.SetClosed.selector, address(d.avss[0]), 1));
        d.allocator.allocate(0, 0, QUARTER);
    }

    function test_SetsWithAnotherSlasherAreClosedEvenIfNobodyHasPokedForThreeDays() public {
        d.avss[0].updateSlasher(1, mallory);
        _skip(3 days / BLOCK + 1);
        vm.expectRevert(abi.encodeWithSelector(IAllocator.SetClosed.selector, address(d.avss[0]), 1));
        d.allocator.allocate(0, 0, QUARTER);
    }

    function test_SetsOutsideTheMandateAreClosed() public {
        Terms memory t = _fewerTargets(_now(), 3, 3);
        assembly ("memory-safe") {
            mstore(mload(add(t, 0x40)), 15)
        }
        d.mandate.tighten(t);
        vm.expectRevert(abi.encodeWithSelector(IAllocator.SetClosed.selector, address(d.avss[15]), 1));
        d.allocator.allocate(3, 3, 1);
    }

    // ----------------------------------------------------------------------------------------- deallocate

    function _lowerTargets(uint64 to) private {
        d.mandate.tighten(_terms(d, 4, to, 2));
    }

    function test_AnAllocationAboveItsTargetIsLoweredToItAndCountsUntilItIsReallyGone() public {
        _fund();
        vm.expectRevert(IAllocator.NothingToDo.selector);
        d.allocator.deallocate(0, 0);
        uint256 exposed = _exposures().current[0];
        _lowerTargets(0.1e18);
        vm.prank(mallory);
        d.allocator.deallocate(0, 0);
        IRiskTypes.Link memory x = _link(0, 0);
        assertEq(x.current, QUARTER);
        assertEq(x.pending, 0.15e18);
        assertEq(x.effectBlock, block.number + DELAY + 1);
        assertEq(_exposures().current[0], exposed);
        assertLt(d.risk.exposures(true).current[0], exposed);
        bytes memory waiting = abi.encodeWithSelector(IAllocator.ChangePending.selector, x.effectBlock);
        vm.expectRevert(waiting);
        d.allocator.deallocate(0, 0);
        vm.expectRevert(waiting);
        d.allocator.allocate(0, 0, QUARTER);
        vm.roll(x.effectBlock);
        d.risk.poke(0);
        assertEq(_link(0, 0).current, 0.1e18);
        assertLt(_exposures().current[0], exposed);
    }

    function test_AFinishedDecreaseIsNoObstacleToTheNextOne() public {
        _fund();
        _lowerTargets(0.2e18);
        d.allocator.deallocate(0, 0);
        _lowerTargets(0.1e18);
        vm.roll(_link(0, 0).effectBlock); // no time has passed for the three-day look
        d.allocator.deallocate(0, 0);
        assertEq(_link(0, 0).current, 0.2e18);
        assertEq(_link(0, 0).pending, 0.1e18);
    }

    // --------------------------------------------------------------------------------------- unwind ladder

    function test_OnlyQuarantinedSetsAreUnwound() public {
        _fund();
        vm.expectRevert(IAllocator.NothingToDo.selector);
        d.allocator.unwind(0, 0);
    }

    function test_RungOneDeallocatesEverything() public {
        _fund();
        d.risk.quarantine(0);
        vm.prank(mallory);
        d.allocator.unwind(0, 0);
        (uint64 current, int128 pending) = _onChain(0, 0);
        assertEq(current, QUARTER);
        assertEq(pending, -int128(int64(uint64(QUARTER))));
        vm.expectRevert(IAllocator.NothingToDo.selector);
        d.allocator.unwind(0, 0);
        vm.roll(_link(0, 0).effectBlock);
        d.risk.poke(0);
        assertEq(_exposures().current[0], 0);
    }

    /// @dev A decrease to 0.1 is pending when the set's group is quarantined.
    function _pendingAndQuarantined() private {
        _fund();
        _lowerTargets(0.1e18);
        d.allocator.deallocate(0, 0);
        d.risk.quarantine(0);
    }

    function _isMember() private view returns (bool) {
        return allocations.isMemberOfOperatorSet(address(_account(0)), d.risk.set(0).operatorSet);
    }

    function test_RungTwoDeregistersWhileAChangeIsPendingAndRungOneFinishes() public {
        _pendingAndQuarantined();
        vm.expectEmit(address(d.allocator));
        emit IAllocator.Deregistered(0, 0);
        d.allocator.unwind(0, 0);
        assertFalse(_isMember());
        vm.expectRevert(IAllocator.NothingToDo.selector); // it has left already
        d.allocator.unwind(0, 0);
        assertGt(_exposures().current[0], 0, "slashable for fourteen days");
        vm.roll(_link(0, 0).effectBlock);
        d.allocator.unwind(0, 0);
        (uint64 current, int128 pending) = _onChain(0, 0);
        assertEq(current, 0, "no longer slashable: gone at once");
        assertEq(pending, 0);
        assertEq(_exposures().current[0], 0);
    }

    function _assertEvacuates() private {
        uint256 staked = d.risk.stakes()[0];
        vm.expectEmit(true, false, false, false, address(d.allocator));
        emit IAllocator.StakeEvacuated(0, 0);
        d.allocator.unwind(0, 0);
        assertTrue(_isMember());
        assertLe(d.risk.stakes()[0], 1_001, "only EigenLayer's virtual shares stay");
        assertEq(d.risk.agent(0).exits, 1);
        assertTrue(d.risk.exit(0, 0).tokensOnly);
        assertGt(_exposures().current[0], 0, "slashable in the queue");
        _assertConserved(d);
        vm.expectRevert(IAllocator.NothingToDo.selector);
        d.allocator.unwind(0, 0);
        _skip(DELAY + 1);
        vm.expectRevert(abi.encodeWithSelector(IStakeManager.Needed.selector, 0));
        d.stakes.redeposit(0, 0); // never back into shares
        d.stakes.complete(0, 0);
        (uint256 loose,) = d.module.value();
        assertApproxEqAbs(loose, staked, 1_010);
        _assertConserved(d);
    }

    function test_RungThreeQueuesTheWholeStakeWhereTheRegistrarReverts() public {
        _pendingAndQuarantined();
        d.avss[0].setBehaviour(LocalAVS.Behaviour.Accept, LocalAVS.Behaviour.Refuse);
        _assertEvacuates();
    }

    function test_RungThreeQueuesTheWholeStakeWhereTheRegistrarBurnsAllGas() public {
        _pendingAndQuarantined();
        d.avss[0].setBehaviour(LocalAVS.Behaviour.Accept, LocalAVS.Behaviour.BurnAllGas);
        _assertEvacuates();
    }

    function test_RungTwoBooksWhatTheRegistrarSlashesMeanwhile() public {
        _pendingAndQuarantined();
        d.avss[0].setCallbackSlash(1, strategy, 1e18);
        d.avss[0].setBehaviour(LocalAVS.Behaviour.Accept, LocalAVS.Behaviour.Slash);
        uint256 senior = d.senior.totalAssets();
        uint256 junior = d.tier.books().junior;
        d.allocator.unwind(0, 0);
        assertLt(d.tier.books().junior, junior);
        assertEq(d.senior.totalAssets(), senior);
        assertEq(d.risk.agent(0).magnitude, 0.75e18);
        _assertConserved(d);
    }

    function test_TooLittleGasNeverEvacuatesAnAgentOfAnHonestRegistrar() public {
        _pendingAndQuarantined();
        uint256 outcomes;
        for (uint256 gas_ = 500_000; gas_ <= 12_000_000; gas_ += 250_000) {
            uint256 state = vm.snapshotState();
            (bool ok, bytes memory why) =
                address(d.allocator).call{gas: gas_}(abi.encodeCall(IAllocator.unwind, (0, 0)));
            assertEq(d.risk.agent(0).exits, 0, "evacuated");
            if (ok) outcomes |= 1;
            else if (why.length >= 4 && bytes4(why) == IAllocator.InsufficientGas.selector) outcomes |= 2;
            vm.revertToState(state);
        }
        assertEq(outcomes, 3, "refused below, left above");
    }

    // ----------------------------------------------------------------------------------------- deleverage

    /// @dev All four agents work for the same four groups, as much as `U` = 1 allows.
    function _shared() private {
        _deployProtocol();
        Deployment memory x = _createTier("Shared", 1);
        _equip(x, 4, 1, QUARTER, 1);
        _keep(x);
        Terms memory t = _terms(d, 1, QUARTER, 1);
        for (uint256 i; i < 4; ++i) {
            t.agents[i].targets = new Target[](4);
            for (uint8 s; s < 4; ++s) {
                t.agents[i].targets[s] = Target(s, QUARTER);
                if (s != i) d.agents[i].register(OperatorSet(address(d.avss[s]), 1), "");
            }
        }
        d.mandate.tighten(t);
        _deposit(d.junior, bob, 100 ether);
        _deposit(d.senior, alice, d.senior.maxDeposit(alice));
        _deployAll(d);
        for (uint256 i; i < 4; ++i) {
            for (uint256 j; j < 4; ++j) {
                d.allocator.allocate(i, j, QUARTER);
            }
        }
    }

    /// @dev U_fwd with margin `b`, over the whole tier (WAD).
    function _forward(uint256 b) private view returns (uint256) {
        IRiskManager.Exposures memory x = d.risk.exposures(true);
        (uint256 cover, uint256 value) = d.stakes.forwardCover();
        return (10_000 + b) * (x.largest * 1e4 + 200 * value * 1e9) * 1e10 / (cover * 1e9);
    }

    function test_ACoveredTierIsNotDeleveraged() public {
        _fund();
        (bool needed,) = d.allocator.deleverageNeeded();
        assertFalse(needed);
        vm.expectRevert(IAllocator.Covered.selector);
        d.allocator.deleverage(0);
    }

    function test_DeleverageStartsAboveOneWithoutTheMargin() public {
        _shared();
        // between 1 and 1 + b it waits
        _slash(d, 0, 0, 0.15e18);
        d.tier.sync();
        assertGt(_utilisation(), 1e18);
        assertLe(_forward(0), 1e18);
        vm.expectRevert(IAllocator.Covered.selector);
        d.allocator.deleverage(1);
        _slash(d, 0, 0, 0.5e18);
        _slash(d, 0, 1, 0.5e18);
        d.tier.sync();
        assertGt(_forward(0), 1e18);
        vm.prank(mallory);
        d.allocator.deleverage(1);
    }

    function test_DeleveragingEveryAgentRestoresCoverWithItsMargin() public {
        _shared();
        _slash(d, 0, 0, 1e18);
        _slash(d, 0, 1, 1e18);
        d.tier.sync();
        assertGt(_forward(0), 1e18);
        for (uint256 i; i < 4; ++i) {
            (bool needed,) = d.allocator.deleverageNeeded();
            if (needed) d.allocator.deleverage(i);
            _assertConserved(d);
        }
        assertLe(_forward(1_000), 1e18);
        _skip(DELAY + 2);
        d.tier.sync();
        for (uint256 s; s < 4; ++s) {
            d.risk.poke(s);
        }
        assertLe(_utilisation(), 1e18);
    }

    function test_ACutIsAtLeastAQuarterOrAllAndARepairOfAnUncoveredTierPasses() public {
        _shared();
        _slash(d, 0, 0, 1e18);
        d.tier.sync();
        (bool needed, uint256 ceiling) = d.allocator.deleverageNeeded();
        assertTrue(needed);
        uint256[] memory exposed = d.risk.exposures(true).current;
        d.allocator.deleverage(1);
        assertGt(_utilisation(), 1e18, "still uncovered, and allowed");
        uint256 cuts;
        for (uint256 j; j < 4; ++j) {
            (uint256 at, IRiskTypes.Link memory x) = d.risk.link(1, j);
            if (exposed[at] <= ceiling && !d.risk.set(at).quarantined) {
                assertEq(x.pending, 0);
                continue;
            }
            ++cuts;
            assertGe(uint256(x.pending) * 4, x.current);
            if (d.risk.set(at).quarantined) assertEq(x.pending, x.current);
        }
        assertGt(cuts, 1);
        vm.expectRevert(IAllocator.NothingToDo.selector);
        d.allocator.deleverage(1);
    }

    function test_OverdueJuniorIsNoCoverForWhatStays() public {
        _fund();
        _request(false, bob, 60 ether);
        (bool needed,) = d.allocator.deleverageNeeded();
        assertFalse(needed, "queued junior still covers");
        _skip(DELAY + MARGIN_BLOCKS + OVERDUE_BLOCKS + 1);
        assertEq(d.stakes.overdueShares(), 60 ether);
        (needed,) = d.allocator.deleverageNeeded();
        assertTrue(needed);
        d.allocator.deleverage(0);
    }

    function test_MatureJuniorIsOverdueWhileARiskierMandateWaits() public {
        _fund();
        _request(false, bob, 60 ether);
        _skip(DELAY + MARGIN_BLOCKS + 1);
        assertEq(d.stakes.overdueShares(), 0);
        Terms memory t = _now();
        t.params.k = 1;
        d.mandate.propose(t);
        assertEq(d.stakes.overdueShares(), 60 ether);
        d.mandate.cancel();
        assertEq(d.stakes.overdueShares(), 0);
    }

    function test_OnlyAgentsOpenARegistration() public {
        vm.prank(mallory);
        vm.expectRevert(abi.encodeWithSignature("NotAuthorised(address)", mallory));
        d.allocator.beginRegistration(OperatorSet(address(d.avss[0]), 1));
    }
}
