// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {LocalAVS} from "../../../contracts/local/avs/LocalAVS.sol";
import {Terms} from "../../../contracts/interfaces/IRiskManager.sol";
import {UpkeepCalls} from "../../../contracts/periphery/upkeep/UpkeepCalls.sol";
import {UpkeepFixture} from "./UpkeepFixture.sol";

/// @notice Several calls in one transaction, each tried on its own.
contract UpkeepTest is UpkeepFixture {
    Odd private odd;

    function setUp() public override {
        super.setUp();
        odd = new Odd();
    }

    /// @dev Two links of quarantined sets, with something between that fails.
    function _twoUnwinds(bytes memory between) private returns (UpkeepCalls.Call[] memory calls) {
        _slash(d, 6, 1, 0.5e18);
        _slash(d, 9, 2, 0.5e18);
        calls = new UpkeepCalls.Call[](3);
        calls[0] = _unwinding(1, 2);
        calls[1] = _call(address(odd), between);
        calls[2] = _unwinding(2, 1);
    }

    function test_ACallThatFailsDoesNotStopTheOthers() public {
        UpkeepCalls.Call[] memory calls = _twoUnwinds(abi.encodeCall(Odd.fail, (7)));
        bytes memory reason = abi.encodeWithSelector(Odd.No.selector, 7);
        vm.expectEmit(true, true, true, false, address(upkeep));
        emit UpkeepCalls.Performed(0, address(d.allocator), d.allocator.unwind.selector, true, 0, "");
        vm.expectEmit(true, true, true, false, address(upkeep));
        emit UpkeepCalls.Performed(1, address(odd), Odd.fail.selector, false, 0, reason);
        vm.prank(mallory);
        bool[] memory done = upkeep.perform(calls);
        assertTrue(done[0] && !done[1] && done[2]);
        assertEq(_allocation(1, 6).pendingDiff, -int128(int64(QUARTER / 2)));
        assertEq(_allocation(2, 9).pendingDiff, -int128(int64(QUARTER / 2)));
    }

    function test_ACallThatBurnsItsGasLeavesTheOthersWhatTheyAskFor() public {
        UpkeepCalls.Call[] memory calls = _twoUnwinds(abi.encodeCall(Odd.burn, ()));
        UpkeepCalls.Result[] memory r = _simulate(calls);
        for (uint256 i; i < 3; ++i) {
            calls[i].gas = r[i].gas;
        }
        bool[] memory done = upkeep.perform{gas: r[0].gas + r[2].gas + 500_000}(calls);
        assertTrue(done[0] && !done[1] && done[2]);
    }

    function test_WhereNoCallPassesTheWholeReverts() public {
        UpkeepCalls.Call[] memory calls = new UpkeepCalls.Call[](2);
        calls[0] = _call(address(odd), abi.encodeCall(Odd.fail, (1)));
        calls[1] = _unwinding(0, 0);
        vm.expectRevert(UpkeepCalls.NothingDone.selector);
        upkeep.perform(calls);
        vm.expectRevert(UpkeepCalls.NothingDone.selector);
        upkeep.perform(new UpkeepCalls.Call[](0));
    }

    function test_ATargetWithoutCodeFails() public {
        UpkeepCalls.Call[] memory calls = new UpkeepCalls.Call[](1);
        calls[0] = _call(mallory, "");
        assertFalse(_simulate(calls)[0].success);
        vm.expectRevert(UpkeepCalls.NothingDone.selector);
        upkeep.perform(calls);
    }

    /// @dev Rung three, where a registrar burns all that it is given: the allocator wants to see five million gas first.
    function _evacuation() private returns (UpkeepCalls.Call[] memory calls) {
        Terms memory t = _terms(d, 4, QUARTER, 2);
        t.agents[1].targets[2].magnitude = QUARTER / 2;
        d.mandate.tighten(t);
        d.allocator.deallocate(1, 2);
        d.risk.quarantine(d.risk.set(6).group);
        d.avss[6].setBehaviour(LocalAVS.Behaviour.Accept, LocalAVS.Behaviour.BurnAllGas);
        calls = new UpkeepCalls.Call[](2);
        calls[0] = _call(address(d.tier), abi.encodeCall(d.tier.sync, ()));
        calls[1] = _unwinding(1, 2);
    }

    function test_ASimulationSaysWhatACallHasToBeGivenAndNotOnlyWhatItUses() public {
        UpkeepCalls.Call[] memory calls = _evacuation();
        UpkeepCalls.Result[] memory r = _simulate(calls);
        assertTrue(r[0].success && r[1].success);
        assertLt(r[1].gasUsed, 3_000_000);
        assertGt(r[1].gas, 5_000_000, "the allocator looks how much it is left");
        (calls[0].gas, calls[1].gas) = (r[0].gas, r[1].gas);
        bool[] memory done = upkeep.perform(calls);
        assertTrue(done[0] && done[1]);
        assertEq(d.risk.agent(1).exits, 1, "evacuated");
    }

    /// forge-config: default.fuzz.runs = 48
    /// @dev Whoever sends a transaction chooses its gas: he must not be able to make a call fail by it and have the others
    /// done, nor to have the sender believe that it was tried.
    function testFuzz_StarvedGasCannotFakeAFailure(uint256 gas) public {
        UpkeepCalls.Call[] memory calls = _evacuation();
        UpkeepCalls.Result[] memory r = _simulate(calls);
        (calls[0].gas, calls[1].gas) = (r[0].gas, r[1].gas);
        gas = bound(gas, 30_000, 9_000_000);
        (bool success, bytes memory answer) = address(upkeep).call{gas: gas}(abi.encodeCall(upkeep.perform, (calls)));
        if (success) {
            bool[] memory done = abi.decode(answer, (bool[]));
            assertTrue(done[0] && done[1], "all or nothing");
        } else {
            assertTrue(answer.length == 0 || bytes4(answer) == UpkeepCalls.InsufficientGas.selector);
            assertEq(d.risk.agent(1).exits, 0);
        }
        assertTrue(success || gas < r[0].gas + r[1].gas + 300_000, "and with enough it passes");
    }

    function test_ASimulationTriesEachCallInTheStateThatThoseBeforeItLeave() public {
        _slash(d, 6, 1, 0.5e18);
        UpkeepCalls.Call[] memory calls = new UpkeepCalls.Call[](3);
        (calls[0], calls[1]) = (_unwinding(1, 2), _unwinding(1, 2));
        calls[2] = _call(address(odd), abi.encodeCall(Odd.fail, (9)));
        UpkeepCalls.Result[] memory r = _simulate(calls);
        assertTrue(r[0].success);
        assertFalse(r[1].success, "it is under way already");
        assertEq(r[1].answer, abi.encodeWithSignature("NothingToDo()"));
        assertEq(r[2].answer, abi.encodeWithSelector(Odd.No.selector, 9));
        assertEq(r[2].gas + r[2].gasUsed, 0);
        assertEq(_allocation(1, 6).pendingDiff, 0, "a simulation leaves nothing");
    }

    function test_AnAnswerWithoutEndIsCut() public {
        UpkeepCalls.Call[] memory calls = new UpkeepCalls.Call[](2);
        calls[0] = _call(address(odd), abi.encodeCall(Odd.talk, (1_000_000)));
        calls[1] = _call(address(d.tier), abi.encodeCall(d.tier.sync, ()));
        UpkeepCalls.Result[] memory r = _simulate(calls);
        assertFalse(r[0].success);
        assertEq(r[0].answer.length, 4_096);
        calls[1].gas = r[1].gas;
        bool[] memory done = upkeep.perform(calls);
        assertTrue(!done[0] && done[1]);
    }

    function test_AnAttemptLeavesNothingWhateverItDid() public {
        _slash(d, 6, 1, 0.5e18);
        UpkeepCalls.Call memory c = _unwinding(1, 2);
        try upkeep.attempt(c.target, 16_000_000, c.data) {
            fail();
        } catch (bytes memory answer) {
            assertEq(bytes4(answer), UpkeepCalls.Attempted.selector);
        }
        assertEq(_allocation(1, 6).pendingDiff, 0);
    }

    function test_ItHoldsNothingAndTakesNoMoney() public {
        vm.deal(address(this), 1 ether);
        (bool success,) = address(upkeep).call{value: 1}("");
        assertFalse(success);
    }
}

/// @dev What a call can meet.
contract Odd {
    error No(uint256 number);

    function fail(uint256 number) external pure {
        revert No(number);
    }

    function burn() external pure {
        assembly {
            invalid()
        }
    }

    function talk(uint256 length) external pure {
        assembly {
            revert(0, length)
        }
    }
}
