// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IAllocationManager, OperatorSet} from "../../../contracts/interfaces/external/IEigenLayer.sol";
import {LocalAVS} from "../../../contracts/local/avs/LocalAVS.sol";
import {LocalAllocationManager} from "../../../contracts/local/eigenlayer/LocalAllocationManager.sol";
import {LocalModule} from "../../../contracts/local/eigenlayer/LocalModule.sol";
import {LocalEigenLayerBase} from "./LocalEigenLayerBase.t.sol";

/// Operator sets, membership, allocations and their delays.
contract LocalEigenLayerAllocationsTest is LocalEigenLayerBase {
    /// The deployer uses mainnet's delays.
    function test_delaysAreMainnets() public view {
        assertEq(dm.minWithdrawalDelayBlocks(), WITHDRAWAL_DELAY);
        assertEq(am.DEALLOCATION_DELAY(), DEALLOCATION_DELAY);
        assertEq(am.ALLOCATION_CONFIGURATION_DELAY(), CONFIGURATION_DELAY);
        assertEq(am.SLASHER_CONFIGURATION_DELAY(), CONFIGURATION_DELAY);
        assertEq(rc.activationDelay(), 7 days);
    }

    /// An operator that registered with delay 0 allocates at once, before it joins the set.
    function test_increaseIsInstant_evenBeforeJoining() public {
        _allocate(1, 0.3e18);
        IAllocationManager.Allocation memory a = am.getAllocation(operator, _set(1), strategy);
        assertEq(a.currentMagnitude, 0.3e18);
        assertEq(a.pendingDiff, 0);
        assertEq(a.effectBlock, 0);
        assertEq(am.getEncumberedMagnitude(operator, strategy), 0.3e18);
        assertEq(am.getAllocatableMagnitude(operator, strategy), 0.7e18);
    }

    /// A decrease that the set could slash takes effect at block + delay + 1 and stays encumbered until then.
    function test_decreaseTakesEffectAfterTheDelay_toTheBlock() public {
        _join(1);
        _allocate(1, 0.5e18);
        uint256 asked = block.number;
        vm.expectEmit(address(am));
        emit LocalAllocationManager.AllocationUpdated(
            operator, _set(1), strategy, 0.2e18, uint32(asked) + DEALLOCATION_DELAY + 1
        );
        _allocate(1, 0.2e18);

        vm.roll(asked + DEALLOCATION_DELAY);
        IAllocationManager.Allocation memory a = am.getAllocation(operator, _set(1), strategy);
        assertEq(a.currentMagnitude, 0.5e18);
        assertEq(a.pendingDiff, -0.3e18);
        assertEq(a.effectBlock, asked + DEALLOCATION_DELAY + 1);
        assertEq(am.getEncumberedMagnitude(operator, strategy), 0.5e18);

        vm.roll(asked + DEALLOCATION_DELAY + 1);
        a = am.getAllocation(operator, _set(1), strategy);
        assertEq(a.currentMagnitude, 0.2e18);
        assertEq(a.pendingDiff, 0);
        assertEq(a.effectBlock, 0);
        assertEq(am.getEncumberedMagnitude(operator, strategy), 0.2e18, "free without clearing");
    }

    /// While a decrease is pending the allocation cannot be changed again, in either direction; another set's can.
    function test_oneChangeAtATimePerSet() public {
        _join(1);
        _allocate(1, 0.5e18);
        _allocate(1, 0.2e18);
        vm.roll(block.number + DEALLOCATION_DELAY);
        _expectAllocateRevert(1, 0.4e18, LocalAllocationManager.ModificationAlreadyPending.selector);
        _expectAllocateRevert(1, 0, LocalAllocationManager.ModificationAlreadyPending.selector);
        _allocate(2, 0.4e18);
        vm.roll(block.number + 1);
        _allocate(1, 0.4e18);
        assertEq(_current(1), 0.4e18);
    }

    /// A decrease is instant where the set cannot slash: not joined, strategy not in the set, tail over.
    function test_decreaseIsInstantWhereTheSetCannotSlash() public {
        _allocate(1, 0.5e18);
        _allocate(1, 0.4e18);
        assertEq(_current(1), 0.4e18, "never joined");

        _join(1);
        avsRemovesStrategy(1);
        _allocate(1, 0.3e18);
        assertEq(_current(1), 0.3e18, "strategy is not in the set");

        avsAddsStrategy(1);
        _leave(1);
        vm.roll(block.number + DEALLOCATION_DELAY + 1);
        _allocate(1, 0.2e18);
        assertEq(_current(1), 0.2e18, "tail is over");
        assertEq(am.getEncumberedMagnitude(operator, strategy), 0.2e18);
    }

    /// In the tail after leaving, a decrease waits like a member's.
    function test_decreaseWaitsInTheTailAfterLeaving() public {
        _join(1);
        _allocate(1, 0.5e18);
        _leave(1);
        vm.roll(block.number + DEALLOCATION_DELAY);
        _allocate(1, 0);
        assertEq(_current(1), 0.5e18);
    }

    /// A strategy that a set removed and added again is slashable at once.
    function test_readdedStrategyIsSlashableAtOnce() public {
        _deposit(operator, 10e18);
        _join(1);
        _allocate(1, 0.5e18);
        avsRemovesStrategy(1);
        IAllocationManager.SlashingParams memory params = _slashing(1, 0.1e18);
        vm.prank(slasher1);
        vm.expectRevert(LocalAllocationManager.StrategyNotInOperatorSet.selector);
        am.slashOperator(address(avs), params);
        avsAddsStrategy(1);
        _slash(1, 0.1e18);
        assertEq(_current(1), 0.45e18);
    }

    /// No set can have what another has; the same magnitude again is refused.
    function test_magnitudesAreExclusive() public {
        _allocate(1, 0.6e18);
        _expectAllocateRevert(2, 0.4e18 + 1, LocalAllocationManager.InsufficientMagnitude.selector);
        _allocate(2, 0.4e18);
        _expectAllocateRevert(2, 0.4e18, LocalAllocationManager.SameMagnitude.selector);
        assertEq(am.getAllocatableMagnitude(operator, strategy), 0);
    }

    /// Magnitude that is being freed cannot be used before the delay is over, and then without clearing first.
    function test_freedMagnitudeIsUsableAfterTheDelay() public {
        _join(1);
        _allocate(1, 1e18);
        _allocate(1, 0.5e18);
        vm.roll(block.number + DEALLOCATION_DELAY);
        _expectAllocateRevert(2, 1, LocalAllocationManager.InsufficientMagnitude.selector);
        vm.roll(block.number + 1);
        _allocate(2, 0.5e18);
        assertEq(am.getEncumberedMagnitude(operator, strategy), 1e18);
    }

    /// Anybody clears as many ended decreases as he asks for; a set without anything left leaves the list.
    function test_clearingIsPermissionlessAndCounted() public {
        _join(1);
        _join(2);
        _allocate(1, 0.5e18);
        _allocate(2, 0.5e18);
        _allocate(1, 0);
        _allocate(2, 0);
        vm.roll(block.number + DEALLOCATION_DELAY + 1);
        assertEq(am.getAllocatedSets(operator).length, 2, "listed until cleared");

        _clear(1);
        OperatorSet[] memory sets = am.getAllocatedSets(operator);
        assertEq(sets.length, 1);
        assertEq(sets[0].id, 2);
        _clear(5);
        assertEq(am.getAllocatedSets(operator).length, 0);
        assertEq(am.getAllocatableMagnitude(operator, strategy), WAD);
    }

    /// A decrease whose delay is not over stays in the queue.
    function test_clearingLeavesWhatIsStillSlashable() public {
        _join(1);
        _allocate(1, 0.5e18);
        _allocate(1, 0);
        vm.roll(block.number + DEALLOCATION_DELAY);
        _clear(5);
        assertEq(am.getEncumberedMagnitude(operator, strategy), 0.5e18);
        assertEq(_current(1), 0.5e18);
    }

    /// A later allocation delay counts after the configuration delay, and makes increases wait.
    function test_laterAllocationDelayWaits() public {
        uint256 asked = block.number;
        vm.prank(operator);
        am.setAllocationDelay(operator, 7);
        vm.roll(asked + CONFIGURATION_DELAY);
        _expectDelay(0);
        vm.roll(asked + CONFIGURATION_DELAY + 1);
        _expectDelay(7);

        _allocate(1, 0.5e18);
        uint256 allocated = block.number;
        assertEq(am.getEncumberedMagnitude(operator, strategy), 0.5e18, "encumbered at once");
        vm.roll(allocated + 6);
        assertEq(_current(1), 0);
        assertEq(am.getAllocation(operator, _set(1), strategy).pendingDiff, 0.5e18);
        _expectAllocateRevert(1, 0, LocalAllocationManager.ModificationAlreadyPending.selector);
        vm.roll(allocated + 7);
        assertEq(_current(1), 0.5e18);
    }

    /// Who has never registered as an operator has no allocation delay and allocates nothing.
    function test_onlyOperatorsAllocate() public {
        (bool isSet,) = am.getAllocationDelay(outsider);
        assertFalse(isSet);
        IAllocationManager.AllocateParams[] memory params = _allocation(1, 1);
        vm.prank(outsider);
        vm.expectRevert(LocalAllocationManager.UninitializedAllocationDelay.selector);
        am.modifyAllocations(outsider, params);
        _expectAllocateRevert(3, 1, LocalAllocationManager.InvalidOperatorSet.selector);
    }

    /// A former member is slashable through block + delay, and rejoins only afterwards.
    function test_formerMemberIsSlashableThroughTheTail_toTheBlock() public {
        _join(1);
        assertTrue(am.isOperatorSlashable(operator, _set(1)));
        _leave(1);
        uint256 left = block.number;
        assertFalse(am.isMemberOfOperatorSet(operator, _set(1)));
        assertEq(am.getRegisteredSets(operator).length, 0);

        vm.roll(left + DEALLOCATION_DELAY);
        assertTrue(am.isOperatorSlashable(operator, _set(1)));
        vm.prank(operator);
        vm.expectRevert(LocalAllocationManager.AlreadyMemberOfSet.selector);
        am.registerForOperatorSets(operator, IAllocationManager.RegisterParams(address(avs), _ids(1), ""));

        vm.roll(left + DEALLOCATION_DELAY + 1);
        assertFalse(am.isOperatorSlashable(operator, _set(1)));
        _join(1);
        assertTrue(am.isMemberOfOperatorSet(operator, _set(1)));
    }

    /// An AVS throws an operator out; an outsider cannot.
    function test_theAvsMayThrowOut_anOutsiderMayNot() public {
        _join(1);
        IAllocationManager.DeregisterParams memory params =
            IAllocationManager.DeregisterParams(operator, address(avs), _ids(1));
        vm.prank(outsider);
        vm.expectRevert(LocalAllocationManager.InvalidCaller.selector);
        am.deregisterFromOperatorSets(params);
        avs.eject(operator, _ids(1));
        assertFalse(am.isMemberOfOperatorSet(operator, _set(1)));
        vm.prank(operator);
        vm.expectRevert(LocalAllocationManager.NotMemberOfSet.selector);
        am.deregisterFromOperatorSets(params);
    }

    /// A registrar that reverts keeps operators out, and keeps them in.
    function test_aRevertingRegistrarBlocksJoiningAndLeaving() public {
        avs.setBehaviour(LocalAVS.Behaviour.Refuse, LocalAVS.Behaviour.Refuse);
        vm.prank(operator);
        vm.expectRevert(abi.encodeWithSelector(LocalAVS.Refused.selector, operator));
        am.registerForOperatorSets(operator, IAllocationManager.RegisterParams(address(avs), _ids(1), ""));
        assertFalse(am.isMemberOfOperatorSet(operator, _set(1)));

        avs.setBehaviour(LocalAVS.Behaviour.Accept, LocalAVS.Behaviour.Refuse);
        _join(1);
        vm.prank(operator);
        vm.expectRevert(abi.encodeWithSelector(LocalAVS.Refused.selector, operator));
        am.deregisterFromOperatorSets(IAllocationManager.DeregisterParams(operator, address(avs), _ids(1)));
        assertTrue(am.isMemberOfOperatorSet(operator, _set(1)));

        _allocate(1, 0.1e18);
        _allocate(1, 0);
        assertLt(am.getAllocation(operator, _set(1), strategy).pendingDiff, 0, "allocations ask no registrar");
    }

    /// A registrar may slash inside its callback: while the operator joins, and while it leaves.
    function test_aRegistrarMaySlashInsideItsCallback() public {
        _deposit(operator, 100e18);
        avs.createSet(3, _list(strategy), address(avs));
        avs.setCallbackSlash(3, strategy, 0.5e18);
        avs.setBehaviour(LocalAVS.Behaviour.Slash, LocalAVS.Behaviour.Slash);
        _allocate(3, 0.4e18);
        _join(3);
        assertEq(_current(3), 0.2e18);
        _leave(3);
        assertEq(_current(3), 0.1e18);
        assertEq(am.getMaxMagnitude(operator, strategy), 0.7e18);
        assertEq(am.getSlashCount(_set(3)), 2);
    }

    /// The registrar is the AVS itself unless it names one that answers for it.
    function test_theRegistrarIsTheAvsByDefault() public {
        assertEq(am.getAVSRegistrar(address(avs)), address(avs));
        LocalAVS other = new LocalAVS(address(this), am, "other");
        vm.startPrank(address(avs));
        vm.expectRevert(LocalAllocationManager.InvalidAVSRegistrar.selector);
        am.setAVSRegistrar(address(avs), address(other));
        am.setAVSRegistrar(address(avs), address(avs));
        vm.stopPrank();
        vm.prank(outsider);
        vm.expectRevert(LocalModule.InvalidPermissions.selector);
        am.setAVSRegistrar(address(avs), address(avs));
    }

    /// Sets need metadata, a slasher and a free id; strategies are in a set once.
    function test_setsAreCreatedOnceWithASlasherByAnAvsWithMetadata() public {
        IAllocationManager.CreateSetParamsV2[] memory params = new IAllocationManager.CreateSetParamsV2[](1);
        params[0] = IAllocationManager.CreateSetParamsV2(7, _list(strategy), outsider);
        vm.startPrank(outsider);
        vm.expectRevert(LocalAllocationManager.NonexistentAVSMetadata.selector);
        am.createOperatorSets(outsider, params);
        am.updateAVSMetadataURI(outsider, "x");
        am.createOperatorSets(outsider, params);
        assertTrue(am.isOperatorSet(OperatorSet(outsider, 7)));
        assertEq(am.getSlasher(OperatorSet(outsider, 7)), outsider);
        assertEq(am.getOperatorSetCount(outsider), 1);
        vm.expectRevert(LocalAllocationManager.InvalidOperatorSet.selector);
        am.createOperatorSets(outsider, params);

        params[0] = IAllocationManager.CreateSetParamsV2(8, _list(strategy), address(0));
        vm.expectRevert(LocalAllocationManager.InputAddressZero.selector);
        am.createOperatorSets(outsider, params);
        vm.expectRevert(LocalAllocationManager.StrategyAlreadyInOperatorSet.selector);
        am.addStrategiesToOperatorSet(outsider, 7, _list(strategy));
        vm.expectRevert(LocalAllocationManager.StrategyNotInOperatorSet.selector);
        am.removeStrategiesFromOperatorSet(outsider, 7, _list(otherStrategy));
        vm.stopPrank();
    }

    /// One call lists all allocations in a strategy; one call lists one set's allocations of many operators.
    function test_batchReadsOfAllocations() public {
        _allocate(2, 0.1e18);
        _allocate(1, 0.3e18);
        (OperatorSet[] memory sets, IAllocationManager.Allocation[] memory allocations) =
            am.getStrategyAllocations(operator, strategy);
        assertEq(sets.length, 2);
        for (uint256 i; i < sets.length; ++i) {
            assertEq(allocations[i].currentMagnitude, _current(sets[i].id));
        }
        address[] memory operators = new address[](2);
        (operators[0], operators[1]) = (outsider, operator);
        allocations = am.getAllocations(operators, _set(1), strategy);
        assertEq(allocations[0].currentMagnitude, 0);
        assertEq(allocations[1].currentMagnitude, 0.3e18);
    }

    function avsRemovesStrategy(uint32 id) private {
        vm.prank(address(avs));
        am.removeStrategiesFromOperatorSet(address(avs), id, _list(strategy));
    }

    function avsAddsStrategy(uint32 id) private {
        vm.prank(address(avs));
        am.addStrategiesToOperatorSet(address(avs), id, _list(strategy));
    }

    function _clear(uint16 most) private {
        uint16[] memory counts = new uint16[](1);
        counts[0] = most;
        vm.prank(outsider);
        am.clearDeallocationQueue(operator, _list(strategy), counts);
    }

    function _expectDelay(uint32 expected) private view {
        (bool isSet, uint32 delay) = am.getAllocationDelay(operator);
        assertTrue(isSet);
        assertEq(delay, expected);
    }

    function _expectAllocateRevert(uint32 id, uint64 magnitude, bytes4 error) private {
        IAllocationManager.AllocateParams[] memory params = _allocation(id, magnitude);
        vm.prank(operator);
        vm.expectRevert(error);
        am.modifyAllocations(operator, params);
    }
}
