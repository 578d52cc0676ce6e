// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {AutomationBase} from "@chainlink/contracts/src/v0.8/automation/AutomationBase.sol";
import {
    AutomationCompatibleInterface
} from "@chainlink/contracts/src/v0.8/automation/interfaces/AutomationCompatibleInterface.sol";
import {Vm} from "forge-std/Vm.sol";
import {Terms} from "../../../contracts/interfaces/IRiskManager.sol";
import {LocalAVS} from "../../../contracts/local/avs/LocalAVS.sol";
import {Upkeep} from "../../../contracts/periphery/upkeep/Upkeep.sol";
import {UpkeepCalls} from "../../../contracts/periphery/upkeep/UpkeepCalls.sol";
import {Registry} from "./Registry.sol";
import {UpkeepFixture} from "./UpkeepFixture.sol";

/// @notice The upkeep as Chainlink Automation calls it, through Chainlink's own interface: checks are simulated from the
/// zero address with the gas of mainnet's registry, and performed with that of an upkeep.
contract KeeperNetworksTest is UpkeepFixture {
    uint256 private constant ALL = type(uint256).max;

    Registry private registry;
    /// @dev What the upkeep is registered with.
    uint256 private performGas;

    function setUp() public override {
        super.setUp();
        registry = new Registry();
        performGas = registry.PERFORM_GAS();
    }

    function _checkData(uint256 jobs) private view returns (bytes memory) {
        return abi.encode(d.tier, jobs, performGas);
    }

    /// @dev Outside of a simulation nobody is the zero address.
    function _check(uint256 jobs) private returns (bool needed, bytes memory performData) {
        bytes memory data = abi.encodeCall(this.checkFromZero, (_checkData(jobs)));
        return abi.decode(abi.decode(_ask(address(this), data), (bytes)), (bool, bytes));
    }

    function checkFromZero(bytes calldata checkData) external returns (bytes memory) {
        vm.prank(address(0), address(0));
        (bool needed, bytes memory performData) =
            registry.check(AutomationCompatibleInterface(address(upkeep)), checkData);
        return abi.encode(needed, performData);
    }

    /// @dev One round of the network. Whether there was anything to do.
    function _round(uint256 jobs) private returns (bool needed) {
        bytes memory performData;
        (needed, performData) = _check(jobs);
        if (!needed) return false;
        vm.recordLogs();
        vm.prank(mallory);
        assertTrue(registry.perform(AutomationCompatibleInterface(address(upkeep)), performData, performGas));
        Vm.Log[] memory logs = vm.getRecordedLogs();
        uint256 done;
        for (uint256 i; i < logs.length; ++i) {
            if (logs[i].topics[0] != UpkeepCalls.Performed.selector) continue;
            (bool success,,) = abi.decode(logs[i].data, (bool, uint256, bytes));
            assertTrue(success, "what was found passes, with the gas that it was found to need");
            ++done;
        }
        assertEq(done, _steps(performData).length);
        _assertConserved(d);
    }

    function _rounds() private returns (uint256 count) {
        while (_round(ALL)) {
            ++count;
            assertLt(count, 12, "and comes to an end");
            _skip(1);
        }
    }

    function _steps(bytes memory performData) private pure returns (uint256[] memory steps) {
        (, steps) = abi.decode(performData, (address, uint256[]));
    }

    function _step(Upkeep.Job job, uint256 agent, uint256 item, uint256 amount) private pure returns (uint256) {
        return uint256(job) << 248 | agent << 240 | item << 232 | amount;
    }

    function _performData(uint256 step) private view returns (bytes memory) {
        uint256[] memory steps = new uint256[](1);
        steps[0] = step;
        return abi.encode(d.tier, steps);
    }

    // ------------------------------------------------------------------------------------------ the interface

    /// forge-config: default.fuzz.runs = 24
    /// @dev What is simulated and what is not, in Chainlink's own words.
    function testFuzz_OnlyWhoChainlinkLetsSimulateMayCheck(address origin, uint8 which) public {
        if (which < 64) origin = address(0);
        else if (which < 128) origin = 0x1111111111111111111111111111111111111111;
        bytes memory data = abi.encodeCall(AutomationCompatibleInterface.checkUpkeep, (_checkData(0)));
        SimulatedOnly real = new SimulatedOnly();
        vm.prank(origin, origin);
        (bool may, bytes memory refusal) = address(real).call(data);
        vm.prank(origin, origin);
        (bool success, bytes memory answer) = address(upkeep).call(data);
        assertEq(success, may);
        if (!may) assertEq(answer, refusal);
    }

    function test_ThereIsNothingToDoInAQuietTier() public {
        assertFalse(_round(ALL));
        _skip(1_000);
        assertFalse(_round(ALL));
    }

    function test_ATierThatNobodyTouchesForADayIsSynced() public {
        _skip(7_201);
        (bool needed, bytes memory performData) = _check(ALL);
        assertTrue(needed);
        assertEq(_steps(performData)[0] >> 248, uint256(Upkeep.Job.Sync));
        _rounds();
        (,, uint40 lastSync,,) = d.tier.status();
        assertGt(lastSync, block.timestamp - 60);
    }

    function test_ATierThatCannotBeReadNeedsNothing() public {
        _slash(d, 6, 1, 0.5e18);
        vm.mockCallRevert(
            address(strategy), abi.encodeWithSelector(strategy.sharesToUnderlyingView.selector), "no price"
        );
        (bool needed,) = _check(ALL);
        assertFalse(needed);
    }

    function test_OnlyTheJobsThatAreAskedForAreLookedAt() public {
        _slash(d, 6, 1, 0.5e18);
        (bool needed, bytes memory performData) = _check(1 << uint256(Upkeep.Job.Unwind));
        assertTrue(needed);
        assertEq(_steps(performData).length, 1);
        assertEq(_steps(performData)[0] >> 248, uint256(Upkeep.Job.Unwind));
        (needed,) = _check(1 << uint256(Upkeep.Job.Poke));
        assertFalse(needed);
    }

    function test_ATierOfAnotherFactoryIsRefused() public {
        bytes memory unknown = abi.encodeWithSelector(Upkeep.UnknownTier.selector, mallory);
        vm.expectRevert(unknown);
        upkeep.performUpkeep(abi.encode(mallory, new uint256[](1)));
        vm.prank(address(0), address(0));
        vm.expectRevert(unknown);
        upkeep.checkUpkeep(abi.encode(mallory, ALL, 5_000_000));
    }

    /// forge-config: default.fuzz.runs = 48
    /// @dev Perform data may come from anybody.
    function testFuzz_WhateverPerformDataSaysNothingIsDoneThatIsNotCalledFor(uint256 word) public {
        bytes32 before = keccak256(abi.encode(_observe().agents));
        try upkeep.performUpkeep(_performData(word)) {
            // syncs, pokes and clearing an empty queue are all that passes in a quiet tier
            uint256 job = word >> 248;
            assertTrue(
                job == uint256(Upkeep.Job.Sync) || job == uint256(Upkeep.Job.Poke) || job == uint256(Upkeep.Job.Clear)
                    || job == uint256(Upkeep.Job.FinaliseSenior) || job == uint256(Upkeep.Job.FinaliseJunior)
                    || job == uint256(Upkeep.Job.ClaimUnstaked)
            );
        } catch (bytes memory reason) {
            bytes4 error_ = bytes4(reason);
            assertTrue(
                error_ == UpkeepCalls.NothingDone.selector || error_ == Upkeep.UnknownJob.selector
                    || error_ == UpkeepCalls.InsufficientGas.selector
            );
        }
        assertEq(keccak256(abi.encode(_observe().agents)), before);
        _assertConserved(d);
    }

    function test_EveryJobIsAskedWithoutEffectInAQuietTier() public {
        for (uint256 job; job <= uint256(type(Upkeep.Job).max); ++job) {
            testFuzz_WhateverPerformDataSaysNothingIsDoneThatIsNotCalledFor(_step(Upkeep.Job(job), 1, 1, 1 ether));
        }
    }

    function test_MoreStepsThanThereCanBeAreRefused() public {
        vm.expectRevert(abi.encodeWithSelector(Upkeep.TooManySteps.selector, 17, 16));
        upkeep.performUpkeep(abi.encode(d.tier, new uint256[](17)));
    }

    // --------------------------------------------------------------------------------------------- protection

    function test_ASlashIsUnwoundByOneRound() public {
        _slash(d, 6, 1, 0.5e18);
        assertTrue(_round(ALL));
        assertTrue(d.risk.set(6).quarantined);
        assertEq(_allocation(1, 6).pendingDiff, -int128(int64(QUARTER / 2)));
        assertEq(_pulse().unwinding, 0);
        _rounds();
        assertFalse(_round(ALL));
    }

    function test_ManySlashesAreUnwoundHoweverLittleGasARoundHas() public {
        for (uint256 g; g < 16; g += 2) {
            _slash(d, g, g / 4, 0.3e18);
        }
        assertGt(_rounds(), 1);
        assertEq(_pulse().unwinding, 0);
        for (uint256 g; g < 16; g += 2) {
            assertLt(_allocation(g / 4, g).pendingDiff, 0, "on its way to zero");
        }
    }

    /// forge-config: default.fuzz.runs = 16
    function testFuzz_WhatIsFoundPassesWithinTheGasOfTheUpkeepHoweverLittleThatIs(uint256 gas) public {
        for (uint256 g; g < 16; g += 2) {
            _slash(d, g, g / 4, 0.3e18);
        }
        performGas = bound(gas, 2_500_000, 4_000_000);
        for (uint256 n; _round(ALL); ++n) {
            assertLt(n, 30);
        }
        assertEq(_pulse().unwinding, 0);
    }

    function test_ASlasherToComeIsSeenAndTheSetUnwoundInTheSameRound() public {
        d.avss[3].updateSlasher(1, mallory);
        assertTrue(_round(ALL));
        assertTrue(d.risk.set(3).unapproved);
        assertEq(_allocation(0, 3).pendingDiff, -int128(int64(QUARTER)));
    }

    function test_SetsAreLookedAtBeforeTheyAreStale() public {
        for (uint256 half; half < 12; ++half) {
            _rounds();
            assertGt(d.risk.freshUntil(), block.timestamp, "covered needs it at any time");
            _skip(3_600); // half a day
        }
    }

    function test_AnUncoveredTierIsDeleveraged() public {
        lido.report(-int256(address(lido).balance / 10));
        assertTrue(_pulse().deleverageNeeded);
        _rounds();
        assertFalse(_pulse().deleverageNeeded);
    }

    /// @dev It wants to see more gas than an upkeep of the registry may have: a keeper must do it.
    function test_WhatNeedsMoreGasThanAnUpkeepHasIsLeftOut() public {
        Terms memory t = _terms(d, 4, QUARTER, 2);
        t.agents[1].targets[2].magnitude = QUARTER / 2;
        d.mandate.tighten(t);
        d.allocator.deallocate(1, 2);
        d.risk.quarantine(d.risk.set(6).group);
        d.avss[6].setBehaviour(LocalAVS.Behaviour.Accept, LocalAVS.Behaviour.BurnAllGas);
        assertEq(_pulse().unwinding, 1);
        (bool needed,) = _check(1 << uint256(Upkeep.Job.Unwind));
        assertFalse(needed);
    }

    // ------------------------------------------------------------------------------------------------ routine

    /// @dev A tier's whole life with nobody but the network: money is restaked and allocated, people leave and are paid.
    function test_ATierLivesFromItsFirstDepositToItsLastExitByTheNetworkAlone() public {
        Deployment memory x = _createTier("Alone", 2);
        _equip(x, 4, 4, QUARTER, 2);
        _keep(x);
        _deposit(d.junior, bob, 100 ether);
        uint256 shares = _deposit(d.senior, alice, 200 ether);
        _rounds();
        assertLt(_idle(), 5 ether, "restaked but for the buffer");
        for (uint256 g; g < 16; ++g) {
            assertEq(_allocation(g / 4, g).currentMagnitude, QUARTER, "allocated");
        }

        uint256 id = _request(true, alice, shares);
        uint256 paid;
        for (uint256 day; day < 40 && paid == 0; ++day) {
            _skip(7_200);
            uint256 last = lidoQueue.getLastRequestId();
            if (last != 0) lidoQueue.finalize(last);
            _rounds();
            if (d.senior.claimableRedeemRequest(id, alice) == shares) {
                vm.prank(alice);
                paid = d.senior.redeem(shares, alice, alice);
            }
        }
        assertApproxEqAbs(paid, 200 ether, 0.01 ether);
        (uint256 open,) = d.module.requests();
        assertEq(open, 0);
    }

    function test_StakeThatNobodyWaitsForAnyMoreGoesBack() public {
        uint256 id = _request(true, alice, 100 ether);
        assertTrue(_round(ALL));
        uint256 exits;
        for (uint256 i; i < 4; ++i) {
            exits += d.risk.agent(i).exits;
        }
        assertGt(exits, 0, "unbonded");
        // somebody else brings the money meanwhile
        _skip(7_201);
        _deposit(d.junior, bob, 400 ether);
        _rounds();
        assertGt(d.senior.claimableRedeemRequest(id, alice), 99 ether);
        for (uint256 day; day < 16; ++day) {
            _skip(7_200);
            _rounds();
        }
        for (uint256 i; i < 4; ++i) {
            assertEq(d.risk.agent(i).exits, 0);
        }
        (uint256 loose,) = d.module.value();
        assertLt(loose, 1 ether, "back in stake");
    }

    function test_ATargetThatFallsIsFollowedAndTheQueueCleared() public {
        Terms memory t = _terms(d, 4, QUARTER, 2);
        t.agents[1].targets[2].magnitude = 0;
        d.mandate.tighten(t);
        _rounds();
        assertEq(_allocation(1, 6).pendingDiff, -int128(int64(QUARTER)));
        _skip(DELAY + 2);
        _rounds();
        assertEq(_link(1, 2).current, 0);
        assertEq(_allocation(1, 6).currentMagnitude, 0);
    }

    function test_ASeriesThatWasRetiredGetsASuccessor() public {
        for (uint256 g; g < 16; ++g) {
            _slash(d, g, g / 4, 1e18);
        }
        _rounds();
        assertTrue(d.tier.token(true) != address(0) && d.tier.token(false) != address(0));
        assertTrue(d.tier.token(false) != address(d.junior), "the old one lost everything");
    }
}

/// @dev Chainlink's own words about who may check: an upkeep that has nothing but them.
contract SimulatedOnly is AutomationBase {
    function checkUpkeep(bytes calldata) external view cannotExecute returns (bool, bytes memory) {
        return (false, "");
    }
}
