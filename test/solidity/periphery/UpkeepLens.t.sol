// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IAllocationManager, IStrategy, OperatorSet} from "../../../contracts/interfaces/external/IEigenLayer.sol";
import {Terms} from "../../../contracts/interfaces/IRiskManager.sol";
import {ITier} from "../../../contracts/interfaces/ITier.sol";
import {Waterfall} from "../../../contracts/libraries/Waterfall.sol";
import {LocalAllocationManager} from "../../../contracts/local/eigenlayer/LocalAllocationManager.sol";
import {UpkeepLens} from "../../../contracts/periphery/upkeep/UpkeepLens.sol";
import {UpkeepFixture} from "./UpkeepFixture.sol";

/// @notice What a keeper is shown.
contract UpkeepLensTest is UpkeepFixture {
    function _assertSame(Waterfall.Books memory a, Waterfall.Books memory b) private pure {
        assertEq(keccak256(abi.encode(a)), keccak256(abi.encode(b)), "books");
    }

    function test_AQuietTierNeedsNothing() public {
        UpkeepLens.Pulse memory p = _pulse();
        assertTrue(p.readable);
        assertEq(p.slashedAgents, 0);
        assertEq(p.unwinding, 0);
        assertEq(p.changedSets, 0);
        assertFalse(p.deleverageNeeded);
        Waterfall.Books memory b = d.tier.books();
        assertEq(p.cover, b.reserve + b.junior);
        assertEq(p.value, d.tier.preview().value);
        assertEq(p.utilisation, _utilisation());
    }

    function test_ASlashOfThisBlockIsSeenWithoutASyncTransaction() public {
        UpkeepLens.State memory before = _observe();
        _slash(d, 6, 1, 0.5e18);
        UpkeepLens.Pulse memory p = _pulse();
        assertEq(p.slashedAgents, 1 << 1);
        assertEq(p.unwinding, 1);
        UpkeepLens.State memory s = _observe();
        assertEq(s.slashedAgents, 1 << 1);
        assertTrue(s.sets[6].quarantined, "quarantined by the lens's sync");
        assertTrue(s.agents[1].quarantined);
        assertEq(s.agents[1].links[2].set, 6);
        assertEq(s.agents[1].links[2].current, QUARTER / 2);
        assertEq(s.agents[1].magnitude, 1e18 - QUARTER / 2);
        assertLt(s.books.junior, before.books.junior);
        assertEq(s.books.senior, before.books.senior);

        assertFalse(d.risk.set(6).quarantined, "and nothing of it is stored");
        d.tier.sync();
        _assertSame(s.books, d.tier.books());
        UpkeepLens.State memory booked = _observe();
        assertEq(booked.slashedAgents, 0);
        assertEq(keccak256(abi.encode(booked.agents, booked.sets)), keccak256(abi.encode(s.agents, s.sets)));
    }

    function test_AsATransactionItDoesWhatASyncDoesAndNoMore() public {
        _slash(d, 6, 1, 0.5e18);
        uint256 state = vm.snapshotState();
        d.tier.sync();
        UpkeepLens.State memory synced = _observe();
        vm.revertToState(state);
        ITier[] memory list = new ITier[](1);
        list[0] = d.tier;
        vm.prank(mallory);
        eye.pulse(list);
        assertEq(keccak256(abi.encode(_observe())), keccak256(abi.encode(synced)));
        assertEq(_allocation(1, 6).pendingDiff, 0, "nothing was unwound");
        _assertConserved(d);
    }

    function test_WhatTheTierLastStoredIsToldFromWhatALookNowWouldFind() public {
        uint40 fresh = d.risk.freshUntil();
        (,, uint40 lastSync,,) = d.tier.status();
        _skip(4 days / BLOCK);
        UpkeepLens.Pulse memory p = _pulse();
        assertEq(p.freshUntil, fresh, "stale");
        assertEq(p.lastSync, lastSync);
        UpkeepLens.State memory s = _observe();
        assertEq(s.freshUntil, fresh);
        assertEq(s.sets[0].seenAt, block.timestamp, "the sync looks at stale sets");
    }

    function test_AChangedSlasherIsAReasonToPokeOnlyWhereTheTierIsExposed() public {
        d.avss[3].updateSlasher(1, mallory);
        assertEq(_pulse().changedSets, 1 << 3);
        UpkeepLens.State memory s = _observe();
        assertEq(s.sets[3].pendingSlasher, mallory);
        assertEq(s.sets[3].seenPendingSlasher, address(0));
        d.risk.poke(3);
        assertEq(_pulse().changedSets, 0);
        assertEq(_pulse().unwinding, 1, "it is quarantined now");
    }

    function test_SurroundingsAreRegistrarsAndStrategiesOfTheSetsThatTheTierIsExposedTo() public {
        bytes32 before = _pulse().surroundings;
        _skip(100);
        assertEq(_pulse().surroundings, before);
        uint256 state = vm.snapshotState();
        vm.prank(address(d.avss[3]));
        LocalAllocationManager(address(allocations)).addStrategiesToOperatorSet(address(d.avss[3]), 1, _strategies(1));
        assertNotEq(_pulse().surroundings, before);
        assertEq(_observe().sets[3].strategies.length, 2);
        vm.revertToState(state);
        address registrar = address(new Welcoming());
        vm.prank(address(d.avss[3]));
        allocations.setAVSRegistrar(address(d.avss[3]), registrar);
        assertNotEq(_pulse().surroundings, before);
        assertNotEq(_observe().sets[3].registrar, address(d.avss[3]));
    }

    function test_AnAVSWithVeryManyStrategiesDoesNotKeepTheLensFromAnswering() public {
        bytes32 before = _pulse().surroundings;
        address endless = address(new Endless(allocations, address(d.avss[3])));
        eye = new UpkeepLens(factory, IAllocationManager(endless));
        UpkeepLens.Pulse memory p = _pulse();
        assertTrue(p.readable);
        assertNotEq(p.surroundings, before);
        UpkeepLens.State memory s = _observe();
        assertEq(s.sets[3].strategies.length, 0);
        assertEq(s.sets[4].strategies.length, 1);
    }

    function test_ATierThatCannotBeReadSaysWhyAndHidesNoOther() public {
        Deployment memory other = _createTier("Other", 1);
        vm.mockCallRevert(
            address(strategy), abi.encodeWithSelector(strategy.sharesToUnderlyingView.selector), "no price"
        );
        ITier[] memory list = new ITier[](2);
        (list[0], list[1]) = (d.tier, other.tier);
        UpkeepLens.Pulse[] memory p =
            abi.decode(_ask(address(eye), abi.encodeCall(eye.pulse, (list))), (UpkeepLens.Pulse[]));
        assertFalse(p[0].readable);
        assertEq(p[0].failure, "no price");
        assertEq(p[0].tier, address(d.tier));
        assertTrue(p[1].readable);
        UpkeepLens.State memory s = _observe();
        assertFalse(s.readable);
        assertEq(s.failure, "no price");
        assertEq(s.agents.length, 0);
    }

    /// forge-config: default.fuzz.runs = 48
    /// @dev A tier that is not read for want of gas would look like one that cannot be read.
    function testFuzz_WithTooLittleGasTheLensRevertsAndCallsNoTierUnreadable(uint256 gas) public {
        _slash(d, 6, 1, 0.5e18);
        gas = bound(gas, 30_000, 14_000_000);
        ITier[] memory list = new ITier[](1);
        list[0] = d.tier;
        (bool success, bytes memory answer) = address(eye).call{gas: gas}(abi.encodeCall(eye.pulse, (list)));
        if (success) assertTrue(abi.decode(answer, (UpkeepLens.Pulse[]))[0].readable);
        else assertTrue(answer.length == 0 || bytes4(answer) == UpkeepLens.InsufficientGas.selector);
        if (gas < eye.LEAST_GAS()) assertFalse(success);
        if (gas > eye.LEAST_GAS() + 100_000) assertTrue(success, "and with enough it answers");
    }

    function test_OnlyWhatTheLadderCanStillTakeCountsAsUnwinding() public {
        _slash(d, 6, 1, 0.5e18);
        d.allocator.unwind(1, 2);
        assertEq(_pulse().unwinding, 0, "on its way to zero");

        // a target that falls is pending for less than the whole when the set is quarantined
        _slash(d, 9, 2, 0.01e18);
        d.mandate.tighten(_lowered(9));
        d.allocator.deallocate(2, 1);
        d.risk.quarantine(d.risk.set(9).group);
        assertEq(_pulse().unwinding, 1, "by leaving the set");
        d.allocator.unwind(2, 1);
        assertEq(_pulse().unwinding, 0, "it has left, and can only wait");
    }

    function _lowered(uint256 set) private view returns (Terms memory t) {
        t = _terms(d, 4, QUARTER, 2);
        t.agents[set / 4].targets[set % 4].magnitude = QUARTER / 2;
    }

    function test_DeleveragingIsCalledForOnlyWhileSomethingIsLeftToCut() public {
        lido.report(-int256(address(lido).balance / 10));
        UpkeepLens.Pulse memory p = _pulse();
        assertTrue(p.deleverageNeeded);
        assertGt(p.utilisation, 1e18);
        for (uint256 i; i < 4; ++i) {
            try d.allocator.deleverage(i) {} catch {}
        }
        d.risk.quarantine(0);
        for (uint256 i; i < 4; ++i) {
            for (uint256 j; j < 4; ++j) {
                if (_link(i, j).pending == 0) d.risk.quarantine(d.risk.set(i * 4 + j).group);
                try d.allocator.unwind(i, j) {} catch {}
            }
        }
        p = _pulse();
        assertFalse(p.deleverageNeeded, "everything is on its way out");
    }
}

/// @dev A registrar that welcomes everybody.
contract Welcoming {
    function supportsAVS(address) external pure returns (bool) {
        return true;
    }
}

/// @dev EigenLayer, but for an AVS whose sets have so many strategies that nobody has the gas to read them.
contract Endless {
    IAllocationManager private immutable ALLOCATIONS;
    address private immutable AVS;

    constructor(IAllocationManager allocations, address avs) {
        (ALLOCATIONS, AVS) = (allocations, avs);
    }

    function getStrategiesInOperatorSet(OperatorSet calldata operatorSet) external view returns (IStrategy[] memory) {
        while (operatorSet.avs == AVS) {}
        return ALLOCATIONS.getStrategiesInOperatorSet(operatorSet);
    }

    fallback() external {
        (bool success, bytes memory answer) = address(ALLOCATIONS).call(msg.data);
        assembly {
            if iszero(success) { revert(add(answer, 0x20), mload(answer)) }
            return(add(answer, 0x20), mload(answer))
        }
    }
}
