// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {
    IAllocationManager,
    IDelegationManager,
    IStrategy,
    OperatorSet
} from "../../../contracts/interfaces/external/IEigenLayer.sol";
import {LocalAllocationManager} from "../../../contracts/local/eigenlayer/LocalAllocationManager.sol";
import {LocalDelegationManager} from "../../../contracts/local/eigenlayer/LocalDelegationManager.sol";
import {LocalEigenLayerBase} from "./LocalEigenLayerBase.t.sol";

/// What a slash takes, from whom, who may do it, and where it goes.
contract LocalEigenLayerSlashingTest is LocalEigenLayerBase {
    address private burn;

    function setUp() public override {
        super.setUp();
        burn = sm.DEFAULT_BURN_ADDRESS();
        _deposit(operator, 100e18);
    }

    /// Δ = ceil(current * wad / 1e18) leaves the allocation, encumbered and max magnitude alike.
    function testFuzz_deltaIsRoundedUpAndLeavesAllThree(uint64 magnitude, uint256 wad) public {
        magnitude = uint64(bound(magnitude, 1, WAD));
        wad = bound(wad, 1, WAD);
        _join(1);
        _allocate(1, magnitude);
        uint256 delta = Math.ceilDiv(uint256(magnitude) * wad, WAD);
        _slash(1, wad);
        assertEq(_current(1), magnitude - delta);
        assertEq(am.getEncumberedMagnitude(operator, strategy), magnitude - delta);
        assertEq(am.getMaxMagnitude(operator, strategy), WAD - delta);
        assertGt(delta, 0, "even one wei of one wei is taken");
    }

    /// The event tells the fraction of all stake that was taken, rounded down: Δ / max magnitude before.
    function testFuzz_theEventCarriesTheFractionOfAllStake(uint64 first, uint256 wad1, uint256 wad2) public {
        first = uint64(bound(first, 1, WAD - 1));
        wad1 = bound(wad1, 1, WAD);
        wad2 = bound(wad2, 1, WAD);
        _join(1);
        _join(2);
        _allocate(1, first);
        _allocate(2, uint64(WAD - first));
        _slash(1, wad1);

        uint256 before = am.getMaxMagnitude(operator, strategy);
        uint256 delta = Math.ceilDiv(uint256(_current(2)) * wad2, WAD);
        vm.expectEmit(address(am));
        emit LocalAllocationManager.OperatorSlashed(
            operator, _set(2), _list(strategy), _list(delta * WAD / before), "why"
        );
        _slash(2, wad2);
    }

    /// A staker loses the part of all stake that his operator lost, the queue included, to a few wei.
    function testFuzz_stakersLoseWhatTheOperatorLost(uint64 magnitude, uint256 wad, uint256 queued) public {
        magnitude = uint64(bound(magnitude, 1, WAD));
        wad = bound(wad, 1, WAD);
        queued = bound(queued, 1, 100e18 - 1);
        _join(1);
        _allocate(1, magnitude);
        bytes32 root = dm.calculateWithdrawalRoot(_queue(queued));
        (, uint256 taken) = _slash(1, wad);

        uint256 left = am.getMaxMagnitude(operator, strategy);
        (, uint256[] memory inQueue) = dm.getQueuedWithdrawal(root);
        assertEq(_withdrawable(operator), (100e18 - queued) * left / WAD);
        assertEq(inQueue[0], queued * left / WAD);
        assertApproxEqAbs(taken, 100e18 * (WAD - left) / WAD, 2, "what is burned is what was lost");
        assertLe(taken + _withdrawable(operator) + inQueue[0], 100e18, "and never more");
        assertEq(dm.getSlashableSharesInQueue(operator, strategy), inQueue[0]);
    }

    /// Two sets can together take no more than the sum of what is allocated to them.
    function testFuzz_jointLossesAdd(uint64 a, uint64 b, bool reversed) public {
        a = uint64(bound(a, 1, WAD - 1));
        b = uint64(bound(b, 1, WAD - a));
        _join(1);
        _join(2);
        _allocate(1, a);
        _allocate(2, b);
        _slash(reversed ? 2 : 1, WAD);
        _slash(reversed ? 1 : 2, WAD);
        assertEq(am.getMaxMagnitude(operator, strategy), WAD - a - b);
        assertEq(_withdrawable(operator), 100e18 * (WAD - a - b) / WAD);
    }

    /// A slash shrinks a pending decrease by the same part and tells both in order: what will be, what is.
    function test_aSlashShrinksAPendingDecrease_andEmitsTwice() public {
        _join(1);
        _allocate(1, 0.5e18);
        _allocate(1, 0.2e18);
        uint32 effect = am.getAllocation(operator, _set(1), strategy).effectBlock;

        vm.expectEmit(address(am));
        emit LocalAllocationManager.AllocationUpdated(operator, _set(1), strategy, 0.15e18, effect);
        vm.expectEmit(address(am));
        emit LocalAllocationManager.AllocationUpdated(operator, _set(1), strategy, 0.375e18, uint32(block.number));
        _slash(1, 0.25e18);

        IAllocationManager.Allocation memory a = am.getAllocation(operator, _set(1), strategy);
        assertEq(a.currentMagnitude, 0.375e18);
        assertEq(a.pendingDiff, -0.225e18);
        assertEq(a.effectBlock, effect);
        vm.roll(effect);
        assertEq(_current(1), 0.15e18);
        assertEq(am.getEncumberedMagnitude(operator, strategy), 0.15e18);
    }

    /// What is being freed stays slashable through the delay; a block later only the rest is.
    function test_pendingDeallocationIsSlashableThroughTheDelay_toTheBlock() public {
        _join(1);
        _allocate(1, 0.5e18);
        _allocate(1, 0.1e18);
        uint256 asked = block.number;
        uint256 snapshot = vm.snapshotState();
        vm.roll(asked + DEALLOCATION_DELAY);
        _slash(1, WAD);
        assertEq(am.getMaxMagnitude(operator, strategy), 0.5e18);
        vm.revertToState(snapshot);
        vm.roll(asked + DEALLOCATION_DELAY + 1);
        _slash(1, WAD);
        assertEq(am.getMaxMagnitude(operator, strategy), 0.9e18);
        assertEq(am.getEncumberedMagnitude(operator, strategy), 0);
    }

    /// A former member is slashed through the tail, and no more after it.
    function test_formerMembersAreSlashedInTheTail() public {
        _join(1);
        _allocate(1, 0.5e18);
        _leave(1);
        uint256 left = block.number;
        vm.roll(left + DEALLOCATION_DELAY);
        _slash(1, 0.1e18);
        assertEq(_current(1), 0.45e18);
        vm.roll(left + DEALLOCATION_DELAY + 1);
        _expectSlashRevert(slasher1, 1, 0.1e18, LocalAllocationManager.OperatorNotSlashable.selector);
    }

    /// Nothing is slashable before the operator joins, although magnitude may be allocated.
    function test_nothingIsSlashableBeforeJoining() public {
        _allocate(1, 0.5e18);
        _expectSlashRevert(slasher1, 1, 0.1e18, LocalAllocationManager.OperatorNotSlashable.selector);
    }

    /// Only the slasher of the set slashes: not the AVS, not another set's slasher, not the operator.
    function test_onlyTheSlasherSlashes() public {
        _join(1);
        _allocate(1, 0.5e18);
        _expectSlashRevert(address(avs), 1, 0.1e18, LocalAllocationManager.InvalidCaller.selector);
        _expectSlashRevert(slasher2, 1, 0.1e18, LocalAllocationManager.InvalidCaller.selector);
        _expectSlashRevert(operator, 1, 0.1e18, LocalAllocationManager.InvalidCaller.selector);
    }

    /// A new slasher is announced at once and slashes after the configuration delay; until then the old one does.
    function test_slasherSwapTakesTheConfigurationDelay_toTheBlock() public {
        _join(1);
        _allocate(1, 0.5e18);
        uint32 effect = uint32(block.number) + CONFIGURATION_DELAY + 1;
        vm.expectEmit(address(am));
        emit LocalAllocationManager.SlasherUpdated(_set(1), outsider, effect);
        avs.updateSlasher(1, outsider);
        (address pending, uint32 at) = am.getPendingSlasher(_set(1));
        assertEq(pending, outsider);
        assertEq(at, effect);

        vm.roll(effect - 1);
        assertEq(am.getSlasher(_set(1)), slasher1);
        _expectSlashRevert(outsider, 1, 0.1e18, LocalAllocationManager.InvalidCaller.selector);

        vm.roll(effect);
        assertEq(am.getSlasher(_set(1)), outsider);
        (pending, at) = am.getPendingSlasher(_set(1));
        assertEq(pending, address(0));
        assertEq(at, 0);
        _expectSlashRevert(slasher1, 1, 0.1e18, LocalAllocationManager.InvalidCaller.selector);
        _slash(1, 0.1e18);
    }

    /// Another announcement replaces the first and waits anew, the same one again changes nothing; only the AVS
    /// announces, and never nobody.
    function test_aSlasherSwapCanBeReplaced() public {
        avs.updateSlasher(1, outsider);
        (, uint32 at) = am.getPendingSlasher(_set(1));
        vm.roll(block.number + CONFIGURATION_DELAY);
        avs.updateSlasher(1, outsider);
        (, uint32 again) = am.getPendingSlasher(_set(1));
        assertEq(again, at);
        avs.updateSlasher(1, slasher2);
        vm.roll(block.number + CONFIGURATION_DELAY);
        assertEq(am.getSlasher(_set(1)), slasher1);
        vm.roll(block.number + 1);
        assertEq(am.getSlasher(_set(1)), slasher2);

        vm.expectRevert(LocalAllocationManager.InputAddressZero.selector);
        avs.updateSlasher(1, address(0));
        vm.prank(slasher2);
        vm.expectRevert();
        am.updateSlasher(_set(1), outsider);
    }

    /// Parts of 0 or above one, and strategies that do not ascend or do not belong, are refused.
    function test_malformedSlashesAreRefused() public {
        _join(1);
        _allocate(1, 0.5e18);
        _expectSlashRevert(slasher1, 1, 0, LocalAllocationManager.InvalidWadToSlash.selector);
        _expectSlashRevert(slasher1, 1, WAD + 1, LocalAllocationManager.InvalidWadToSlash.selector);
        _expectSlashRevert(slasher1, 9, 1, LocalAllocationManager.InvalidOperatorSet.selector);

        IAllocationManager.SlashingParams memory params = _slashing(1, 1);
        params.strategies = new IStrategy[](2);
        (params.strategies[0], params.strategies[1]) = (otherStrategy, strategy);
        _expectSlashRevert(params, LocalAllocationManager.InputArrayLengthMismatch.selector);
        params.wadsToSlash = new uint256[](2);
        (params.wadsToSlash[0], params.wadsToSlash[1]) = (1, 1);
        _expectSlashRevert(params, LocalAllocationManager.StrategiesMustBeInAscendingOrder.selector);
        params.strategies[0] = strategy;
        _expectSlashRevert(params, LocalAllocationManager.StrategiesMustBeInAscendingOrder.selector);
    }

    /// One slash takes from several strategies; one of which nothing is allocated is skipped, not refused.
    function test_aStrategyWithoutAllocationIsSkipped() public {
        _join(1);
        _allocate(1, 0.5e18);
        IAllocationManager.SlashingParams memory params = _slashing(1, WAD);
        params.strategies = new IStrategy[](2);
        (params.strategies[0], params.strategies[1]) = (strategy, otherStrategy);
        params.wadsToSlash = new uint256[](2);
        (params.wadsToSlash[0], params.wadsToSlash[1]) = (0.2e18, WAD);
        vm.prank(slasher1);
        (, uint256[] memory taken) = am.slashOperator(address(avs), params);
        assertEq(taken[0], 10e18);
        assertEq(taken[1], 0);
        assertEq(am.getMaxMagnitude(operator, otherStrategy), WAD);
    }

    /// After a full slash the set is gone from the lists, deposits are refused, conversion divides by zero, and
    /// queueing, completing and slashing again still work.
    function test_fullSlash() public {
        _join(1);
        _allocate(1, 1e18);
        IDelegationManager.Withdrawal memory queued = _queue(10e18);
        (, uint256 taken) = _slash(1, WAD);
        assertEq(taken, 100e18);
        assertEq(am.getMaxMagnitude(operator, strategy), 0);
        assertEq(_withdrawable(operator), 0);
        assertEq(am.getAllocatedSets(operator).length, 0);
        (OperatorSet[] memory sets,) = am.getStrategyAllocations(operator, strategy);
        assertEq(sets.length, 0, "the culprit is not listed");

        token.mint(operator, 1e18);
        vm.startPrank(operator);
        token.approve(address(sm), 1e18);
        vm.expectRevert(LocalDelegationManager.FullySlashed.selector);
        sm.depositIntoStrategy(strategy, token, 1e18);
        vm.stopPrank();
        vm.expectRevert();
        dm.convertToDepositShares(operator, _list(strategy), _list(1));

        IDelegationManager.Withdrawal memory rest = _queue(90e18);
        (uint256 slashId, uint256 again) = _slash(1, WAD);
        assertEq(slashId, 2);
        assertEq(again, 0);

        vm.roll(block.number + WITHDRAWAL_DELAY + 1);
        uint256 balance = token.balanceOf(operator);
        _complete(queued, true);
        assertEq(token.balanceOf(operator), balance, "pays nothing, does not revert");
        _complete(rest, false);
        assertEq(sm.stakerDepositShares(operator, strategy), 0, "nor as shares");
    }

    /// A full slash of a set with a pending decrease leaves nothing pending.
    function test_fullSlashOfASetWithAPendingDecrease() public {
        _join(1);
        _allocate(1, 0.5e18);
        _allocate(1, 0.2e18);
        _slash(1, WAD);
        IAllocationManager.Allocation memory a = am.getAllocation(operator, _set(1), strategy);
        assertEq(a.currentMagnitude, 0);
        assertEq(a.pendingDiff, 0);
        assertEq(am.getAllocatedSets(operator).length, 0);
        vm.roll(block.number + DEALLOCATION_DELAY + 1);
        _allocate(1, 0.5e18);
        assertEq(am.getAllocatableMagnitude(operator, strategy), 0);
    }

    /// Checkpoints: a slash counts in its own block, not in the one before; a block to come shows the latest value.
    function test_maxMagnitudeOfEveryBlockIsKept() public {
        _join(1);
        _allocate(1, 0.5e18);
        uint256 first = block.number + 10;
        vm.roll(first);
        _slash(1, 0.1e18);
        _slash(1, 0.1e18);
        uint64 afterFirst = am.getMaxMagnitude(operator, strategy);
        uint256 second = first + 100;
        vm.roll(second);
        _slash(1, 0.5e18);
        uint64 afterSecond = am.getMaxMagnitude(operator, strategy);

        vm.roll(second + 50);
        assertEq(_maxMagnitudeAt(0), WAD);
        assertEq(_maxMagnitudeAt(first - 1), WAD);
        assertEq(_maxMagnitudeAt(first), afterFirst, "the last of the block");
        assertEq(_maxMagnitudeAt(second - 1), afterFirst);
        assertEq(_maxMagnitudeAt(second), afterSecond);
        assertEq(_maxMagnitudeAt(second + 1_000), afterSecond, "a block to come");
        assertLt(afterSecond, afterFirst);
    }

    /// One call reads the max magnitudes of many operators, another those of one operator in many strategies.
    function test_batchReadsOfMaxMagnitude() public {
        _join(1);
        _allocate(1, 0.5e18);
        _slash(1, 0.1e18);
        address[] memory operators = new address[](2);
        (operators[0], operators[1]) = (outsider, operator);
        uint64[] memory ofMany = am.getMaxMagnitudes(operators, strategy);
        assertEq(ofMany[0], WAD);
        assertEq(ofMany[1], 0.95e18);
        IStrategy[] memory strategies = new IStrategy[](2);
        (strategies[0], strategies[1]) = (otherStrategy, strategy);
        uint64[] memory inMany = am.getMaxMagnitudes(operator, strategies);
        assertEq(inMany[0], WAD);
        assertEq(inMany[1], 0.95e18);
    }

    /// Each set numbers its own slashes from 1.
    function test_slashesAreNumberedPerSet() public {
        _join(1);
        _join(2);
        _allocate(1, 0.2e18);
        _allocate(2, 0.2e18);
        (uint256 id,) = _slash(1, 1);
        assertEq(id, 1);
        (id,) = _slash(1, 1);
        assertEq(id, 2);
        (id,) = _slash(2, 1);
        assertEq(id, 1);
        assertEq(am.getSlashCount(_set(1)), 2);
        assertEq(am.getSlashCount(_set(2)), 1);
    }

    /// Anybody burns what a slash took, in the same block, once.
    function test_anybodyBurnsAtOnce_once() public {
        _join(1);
        _allocate(1, 0.5e18);
        (uint256 id, uint256 taken) = _slash(1, 0.1e18);
        assertEq(sm.getBurnOrRedistributableShares(_set(1), id, strategy), taken);
        uint256 worth = strategy.sharesToUnderlyingView(taken);
        vm.prank(outsider);
        uint256[] memory amounts = sm.clearBurnOrRedistributableShares(_set(1), id);
        assertEq(amounts[0], worth);
        assertEq(token.balanceOf(burn), worth);
        assertEq(strategy.totalShares(), 100e18 - taken);
        assertEq(sm.clearBurnOrRedistributableShares(_set(1), id).length, 0);
        assertEq(sm.clearBurnOrRedistributableSharesByStrategy(_set(1), id, strategy), 0);
        assertEq(token.balanceOf(burn), worth);
    }

    /// A redistributing set pays its recipient, in the same block.
    function test_aRedistributingSetPaysItsRecipient() public {
        address recipient = makeAddr("recipient");
        vm.expectEmit(address(am));
        emit LocalAllocationManager.RedistributionAddressSet(_set(3), recipient);
        avs.createRedistributingSet(3, _list(strategy), slasher1, recipient);
        assertTrue(am.isRedistributingOperatorSet(_set(3)));
        assertFalse(am.isRedistributingOperatorSet(_set(1)));
        assertEq(am.getRedistributionRecipient(_set(1)), burn);

        _join(3);
        _allocate(3, 0.5e18);
        (uint256 id, uint256 taken) = _slash(3, 0.5e18);
        sm.clearBurnOrRedistributableSharesByStrategy(_set(3), id, strategy);
        assertEq(token.balanceOf(recipient), taken);
        assertEq(token.balanceOf(burn), 0);

        vm.expectRevert(LocalAllocationManager.InvalidRedistributionRecipient.selector);
        avs.createRedistributingSet(4, _list(strategy), slasher1, burn);
        vm.expectRevert(LocalAllocationManager.InputAddressZero.selector);
        avs.createRedistributingSet(4, _list(strategy), slasher1, address(0));
    }

    /// Pause bit 0 stops allocations and clearing but no slash; bit 1 stops slashing alone; bit 2 joining and leaving.
    function test_pauseBitsOfTheAllocationManager() public {
        _join(1);
        _allocate(1, 0.5e18);
        _pause(1 << 0);
        IAllocationManager.AllocateParams[] memory params = _allocation(1, 0);
        vm.startPrank(operator);
        vm.expectRevert(abi.encodeWithSignature("CurrentlyPaused()"));
        am.modifyAllocations(operator, params);
        vm.expectRevert(abi.encodeWithSignature("CurrentlyPaused()"));
        am.clearDeallocationQueue(operator, new IStrategy[](0), new uint16[](0));
        vm.stopPrank();
        _slash(1, 0.1e18);

        _pause(1 << 1);
        _expectSlashRevert(slasher1, 1, 0.1e18, bytes4(keccak256("CurrentlyPaused()")));
        _allocate(1, 0.4e18);

        _pause(1 << 2);
        vm.startPrank(operator);
        vm.expectRevert(abi.encodeWithSignature("CurrentlyPaused()"));
        am.registerForOperatorSets(operator, IAllocationManager.RegisterParams(address(avs), _ids(2), ""));
        vm.expectRevert(abi.encodeWithSignature("CurrentlyPaused()"));
        am.deregisterFromOperatorSets(IAllocationManager.DeregisterParams(operator, address(avs), _ids(1)));
        vm.stopPrank();
    }

    /// Only the owner pauses, `pause` only adds bits and `unpause` only removes them.
    function test_onlyTheOwnerPauses() public {
        vm.startPrank(outsider);
        vm.expectRevert(abi.encodeWithSignature("OnlyPauser()"));
        am.pause(1);
        vm.expectRevert(abi.encodeWithSignature("OnlyUnpauser()"));
        am.unpause(0);
        vm.stopPrank();
        vm.startPrank(owner);
        am.pause(3);
        vm.expectRevert(abi.encodeWithSignature("InvalidNewPausedStatus()"));
        am.pause(1);
        vm.expectRevert(abi.encodeWithSignature("InvalidNewPausedStatus()"));
        am.unpause(4);
        am.unpause(2);
        vm.stopPrank();
        assertEq(am.paused(), 2);
        assertFalse(am.paused(0));
        assertTrue(am.paused(1));
    }

    /// On a chain younger than the withdrawal delay every slash underflows, as in the real one.
    function test_noSlashOnAChainYoungerThanTheWithdrawalDelay() public {
        vm.roll(WITHDRAWAL_DELAY);
        _join(1);
        _allocate(1, 0.5e18);
        _expectSlashRevert(_slashing(1, 0.1e18), abi.encodeWithSignature("Panic(uint256)", 0x11));
        vm.roll(WITHDRAWAL_DELAY + 1);
        _slash(1, 0.1e18);
    }

    function _pause(uint256 bits) private {
        vm.startPrank(owner);
        am.unpause(0);
        am.pause(bits);
        vm.stopPrank();
    }

    function _expectSlashRevert(address who, uint32 id, uint256 wad, bytes4 error) private {
        IAllocationManager.SlashingParams memory params = _slashing(id, wad);
        vm.prank(who);
        vm.expectRevert(error);
        am.slashOperator(address(avs), params);
    }

    function _expectSlashRevert(IAllocationManager.SlashingParams memory params, bytes4 error) private {
        _expectSlashRevert(params, abi.encodePacked(error));
    }

    function _expectSlashRevert(IAllocationManager.SlashingParams memory params, bytes memory error) private {
        vm.prank(slasher1);
        vm.expectRevert(error);
        am.slashOperator(address(avs), params);
    }
}
