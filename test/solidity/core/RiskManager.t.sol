// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {RestakingAgent} from "../../../contracts/core/RestakingAgent.sol";
import {OperatorSet} from "../../../contracts/interfaces/external/IEigenLayer.sol";
import {IRiskManager, IRiskTypes, Observation, Target, Terms} from "../../../contracts/interfaces/IRiskManager.sol";
import {LocalAVS} from "../../../contracts/local/avs/LocalAVS.sol";
import {UnitFixture} from "./UnitFixture.sol";
import {Vm} from "forge-std/Vm.sol";

/// @notice Groups, slashers, quarantine and attribution: who could take what, and who took it.
contract RiskManagerTest is UnitFixture {
    uint256 private constant THREE_DAYS = 3 days / BLOCK;

    function setUp() public {
        _setUpTier(4, 4, QUARTER, 2);
    }

    function _now() private view returns (Terms memory) {
        return _terms(d, 4, QUARTER, 2);
    }

    // --------------------------------------------------------------------------------------------- groups

    function test_EverySetIsAGroupUntilSomethingJoinsThem() public view {
        for (uint256 s; s < 16; ++s) {
            assertEq(_group(s), s);
        }
    }

    function test_SetsOfOneSlasherAreOneGroup() public {
        LocalAVS avs = _newAvs(address(d.avss[5]), 1);
        d.mandate.tighten(_withSet(_now(), _set(address(avs), 1, address(d.avss[5]))));
        assertEq(_group(16), 5);
    }

    function test_SetsOfOneAvsAreOneGroupWhoeverSlashes() public {
        d.avss[7].createSet(2, _list(), mallory);
        d.mandate.tighten(_withSet(_now(), _set(address(d.avss[7]), 2, mallory)));
        assertEq(_group(16), 7);
    }

    function test_AnAvsWithThreeSlashersJoinsAllTheirSets() public {
        // one AVS, three sets, slashed by itself and by the slashers of sets 3 and 9
        LocalAVS avs = _newAvs(address(0), 1);
        avs.createSet(2, _list(), address(d.avss[3]));
        avs.createSet(3, _list(), address(d.avss[9]));
        Terms memory t = _withSet(_now(), _set(address(avs), 1, address(avs)));
        t = _withSet(t, _set(address(avs), 2, address(d.avss[3])));
        t = _withSet(t, _set(address(avs), 3, address(d.avss[9])));
        d.mandate.tighten(t);
        for (uint256 s = 16; s < 19; ++s) {
            assertEq(_group(s), 3);
        }
        assertEq(_group(9), 3, "joined through the new AVS");
        assertEq(_group(8), 8, "nobody else is");
    }

    function test_TheCuratorMergesGroupsForGoodAndTheirExposureAddsUp() public {
        _fund();
        uint256[] memory before = _exposures().current;
        d.risk.merge(6, 1);
        IRiskManager.Exposures memory x = _exposures();
        assertEq(_group(6), 1);
        assertEq(x.current[1], before[1] + before[6]);
        assertEq(x.current[6], 0);
        assertGt(_utilisation(), 1e18, "two groups are three now");
        d.risk.merge(1, 6); // nothing left to join
        d.mandate.tighten(_now());
        assertEq(_group(6), 1, "a mandate does not split them");
        vm.prank(mallory);
        vm.expectRevert(_unauthorised(mallory));
        d.risk.merge(2, 3);
    }

    function test_AGroupThatJoinsAQuarantinedOneIsQuarantinedWithIt() public {
        _deposit(d.junior, bob, 100 ether);
        for (uint8 g; g < 14; ++g) {
            d.risk.quarantine(g);
        }
        uint256 room = d.senior.maxDeposit(alice);
        d.risk.merge(14, 0);
        assertTrue(d.risk.set(14).quarantined);
        assertFalse(d.risk.set(15).quarantined);
        assertGt(d.senior.maxDeposit(alice), room, "its target needs no cover any more");
    }

    function test_AGroupStaysOneWhenItsSetsGetOtherSlashers() public {
        LocalAVS avs = _newAvs(address(d.avss[5]), 1);
        d.mandate.tighten(_withSet(_now(), _set(address(avs), 1, address(d.avss[5]))));
        avs.updateSlasher(1, address(avs));
        _skip(126_001);
        d.mandate.tighten(_withSet(_now(), _set(address(avs), 1, address(avs))));
        assertEq(d.risk.set(16).approvedSlasher, address(avs));
        assertEq(_group(16), 5);
    }

    // -------------------------------------------------------------------------------------------- slashers

    function test_APokeFindsASlasherToCome() public {
        _fund();
        IRiskManager.Exposures memory before = _exposures();
        d.avss[2].updateSlasher(1, mallory);
        vm.prank(alice); // anybody
        d.risk.poke(2);
        IRiskTypes.SetState memory s = d.risk.set(2);
        assertTrue(s.unapproved);
        assertTrue(s.quarantined);
        assertEq(s.pendingSlasher, mallory);
        IRiskManager.Exposures memory x = _exposures();
        assertEq(x.unapproved, before.current[2]);
        assertEq(x.current[2], 0, "counted once");
        assertEq(x.largest, before.largest + before.current[2], "on top of the k largest");
        assertGt(_utilisation(), 1e18);
    }

    function test_ASlasherThatTookOverStaysUnapprovedUntilTheCuratorApproves() public {
        _fund();
        d.avss[2].updateSlasher(1, mallory);
        _skip(126_001);
        d.risk.poke(2);
        assertEq(d.risk.set(2).seenSlasher, mallory);
        assertTrue(d.risk.set(2).unapproved);
        d.avss[2].updateSlasher(1, address(d.avss[2])); // back again: two changes, neither approved meanwhile
        _skip(126_001);
        d.risk.poke(2);
        assertFalse(d.risk.set(2).unapproved, "the approved one slashes again");
        assertTrue(d.risk.set(2).quarantined, "and the set stays in quarantine");
    }

    function test_SetsNotSeenForThreeDaysArePokedByAnySync() public {
        _fund();
        uint40 seen = d.risk.set(2).seenAt;
        assertEq(d.risk.freshUntil(), seen + 3 days);
        d.avss[2].updateSlasher(1, mallory);
        vm.warp(seen + 3 days);
        d.tier.sync();
        assertFalse(d.risk.set(2).unapproved, "fresh to the last second");
        vm.warp(seen + 3 days + 1);
        d.tier.sync();
        assertTrue(d.risk.set(2).unapproved);
        for (uint256 s; s < 16; ++s) {
            assertEq(d.risk.set(s).seenAt, block.timestamp);
        }
    }

    function test_ViewsSeeTheSlashersOfStaleSetsBeforeAnySync() public {
        _fund();
        d.avss[2].updateSlasher(1, mallory);
        uint256 largest = _exposures().largest;
        _skip(THREE_DAYS + 1);
        assertFalse(d.risk.set(2).unapproved, "nobody has poked");
        IRiskManager.Exposures memory x = _exposures();
        assertGt(x.unapproved, 0);
        assertGt(x.largest, largest);
        Observation memory o = d.risk.observe();
        assertEq(o.exposed, x.largest);
        uint256 seen = d.tier.preview().utilisation;
        assertGt(seen, 1e18);
        assertEq(d.senior.maxDeposit(alice), 0);
        d.tier.sync();
        assertEq(_utilisation(), seen, "and the sync finds the same");
    }

    function test_ASetThatNothingIsAllocatedToIsNotPoked() public {
        uint40 seen = d.risk.set(2).seenAt;
        Terms memory t = _now();
        for (uint256 i; i < 4; ++i) {
            t = _fewerTargets(t, i, 0);
        }
        d.mandate.tighten(t);
        _skip(THREE_DAYS + 1);
        d.tier.sync();
        assertEq(d.risk.set(2).seenAt, seen);
        assertEq(d.risk.freshUntil(), type(uint40).max);
    }

    function test_OnlyKnownSetsArePoked() public {
        vm.expectRevert(abi.encodeWithSelector(IRiskTypes.UnknownIndex.selector, 16));
        d.risk.poke(16);
    }

    // ------------------------------------------------------------------------------------------ quarantine

    function _slashAndSync(uint256 wad) private returns (bool) {
        _slash(d, 0, 0, wad);
        d.tier.sync();
        return d.risk.set(0).quarantined;
    }

    function test_ASlashAboveTheThresholdQuarantinesItsGroup() public {
        _fund();
        assertFalse(_slashAndSync(0.05e18), "exactly five per cent");
        _skip(30 days / BLOCK);
        assertTrue(_slashAndSync(0.0501e18));
        assertFalse(d.risk.set(1).quarantined, "nobody else");
    }

    function test_SmallSlashesAddUp() public {
        _fund();
        assertFalse(_slashAndSync(0.03e18));
        assertTrue(_slashAndSync(0.03e18));
    }

    function test_SmallSlashesAreForgottenWithinThirtyDays() public {
        _fund();
        assertFalse(_slashAndSync(0.04e18));
        vm.warp(block.timestamp + 15 days); // half of it
        assertFalse(_slashAndSync(0.029e18));
        vm.warp(block.timestamp + 30 days); // all of it
        assertFalse(_slashAndSync(0.05e18));
        vm.warp(block.timestamp + 15 days);
        assertTrue(_slashAndSync(0.0251e18));
    }

    function test_ASlashOfOneSetQuarantinesAllSetsOfItsGroup() public {
        _fund();
        d.risk.merge(0, 9);
        // the group's exposure is two agents' now: half of one set is a quarter of the group
        assertTrue(_slashAndSync(0.5e18));
        assertTrue(d.risk.set(9).quarantined);
    }

    function test_AStaleTierQuarantinesAndAttributesASlashAsAFreshOneDoes() public {
        _fund();
        _skip(THREE_DAYS + 1);
        _slash(d, 0, 0, 0.5e18);
        Vm.Log[] memory logs = _syncLogs();
        (uint256 taken,, bool estimated) = _attributed(logs, 0);
        assertEq(taken, 0.125e18);
        assertFalse(estimated);
        assertTrue(d.risk.set(0).quarantined);
    }

    function test_TheGuardianQuarantinesAGroup() public {
        _fund();
        d.risk.merge(3, 4);
        d.risk.quarantine(3);
        assertTrue(d.risk.set(3).quarantined);
        assertTrue(d.risk.set(4).quarantined);
        assertFalse(d.risk.set(5).quarantined);
        vm.prank(mallory);
        vm.expectRevert(_unauthorised(mallory));
        d.risk.quarantine(5);
    }

    function test_ARiskierMandateReleasesFromQuarantine() public {
        _fund();
        assertTrue(_slashAndSync(0.06e18));
        _deposit(d.junior, bob, 50 ether); // cover for it
        Terms memory t = _now();
        t.releases = 1;
        _putInForce(t);
        assertFalse(d.risk.set(0).quarantined);
        assertFalse(_slashAndSync(0.049e18), "with a clean score");
    }

    function test_AnUnapprovedSetIsNotReleased() public {
        _fund();
        d.avss[0].updateSlasher(1, mallory);
        d.risk.poke(0);
        Terms memory t = _now();
        t.releases = 1;
        d.mandate.propose(t);
        _skip(45 days / BLOCK);
        vm.expectRevert(
            abi.encodeWithSelector(IRiskTypes.SlasherNotApproved.selector, address(d.avss[0]), 1, mallory, address(0))
        );
        d.mandate.execute(t);
        assertTrue(d.risk.set(0).quarantined);
    }

    function test_AQuarantinedSetsTargetIsNoRoomForSeniors() public {
        _deposit(d.junior, bob, 100 ether);
        uint256 before = d.senior.maxDeposit(alice);
        for (uint8 g; g < 15; ++g) {
            d.risk.quarantine(g);
        }
        assertGt(d.senior.maxDeposit(alice), before, "what will not be allocated needs no cover");
    }

    // ------------------------------------------------------------------------------------------- foresight

    /// @dev Sets 0 and 9 are the largest group, half of the targets is allocated, and there is idle money to deploy.
    function _fundHalf() private {
        _deposit(d.junior, bob, 100 ether);
        d.risk.merge(0, 9);
        _deposit(d.senior, alice, d.senior.maxDeposit(alice) / 4);
        _deployAll(d);
        _allocateAll(d, 4, QUARTER / 2);
        _deposit(d.senior, alice, d.senior.maxDeposit(alice) / 4);
        // what slashes take first, or the first of them would close the senior until the reserve is full again
        vm.deal(address(this), 20 ether);
        weth.deposit{value: 20 ether}();
        weth.approve(address(d.tier), 20 ether);
        d.tier.addGains(20 ether);
    }

    function _enters(uint256 assets) private returns (bool went) {
        vm.deal(alice, assets);
        vm.startPrank(alice);
        weth.deposit{value: assets}();
        weth.approve(address(d.senior), assets);
        (went,) = address(d.senior).call(abi.encodeCall(d.senior.deposit, (assets, alice)));
        vm.stopPrank();
    }

    function _deploys(uint256 agent, uint256 assets) private returns (bool went) {
        (went,) = address(d.stakes).call(abi.encodeCall(d.stakes.deploy, (agent, assets)));
    }

    /// @dev The limit of a view before any sync: one wei more reverts, and it passes.
    function _assertExactDeposit() private {
        uint256 limit = d.senior.maxDeposit(alice);
        assertGt(limit, 1 ether);
        assertFalse(_enters(limit + 1), "one wei more");
        assertTrue(_enters(limit), "the limit");
    }

    function _assertExactDeploy(uint256 agent) private {
        uint256 limit = d.stakes.deployLimit(agent);
        assertGt(limit, 1 ether);
        assertFalse(_deploys(agent, limit + 1), "one wei more");
        assertTrue(_deploys(agent, limit), "the limit");
    }

    /// SPEC rule 11
    function test_AViewForeseesTheQuarantineOfASlashThatNobodyHasBooked() public {
        _fundHalf();
        uint256 before = d.senior.maxDeposit(alice);
        _slash(d, 0, 0, 0.2e18);
        assertFalse(d.risk.set(0).quarantined, "nobody has booked it");
        assertGt(d.senior.maxDeposit(alice), before, "two targets less to cover");
        _assertExactDeposit();
        assertTrue(d.risk.set(0).quarantined);
        assertTrue(d.risk.set(9).quarantined);
    }

    /// SPEC rule 11
    function test_AViewForeseesTheQuarantineOfStaleSetsWithASlasherToCome() public {
        _fundHalf();
        d.avss[0].updateSlasher(1, mallory);
        _skip(THREE_DAYS + 1);
        assertFalse(d.risk.set(0).unapproved, "nobody has poked");
        _assertExactDeposit();
        assertTrue(d.risk.set(0).quarantined);
    }

    /// SPEC rule 11
    /// forge-config: default.fuzz.runs = 24
    function testFuzz_LimitsOfAViewAreExactWhateverTheNextSyncQuarantines(uint256 seed) public {
        _fundHalf();
        for (uint256 i; i < 3; ++i) {
            uint256 part = seed >> (64 * i);
            if (part & 3 != 0) _slash(d, part >> 8 & 15, (part >> 8 & 15) / 4, bound(part >> 16 & 0xffff, 1, 0.3e18));
            if (part & 12 == 0) d.avss[part >> 32 & 15].updateSlasher(1, mallory);
            if (part & 48 == 0) _skip(part >> 40 & 0xffff);
        }
        uint256 agent = seed >> 250 & 3;
        uint256 limit = d.stakes.deployLimit(agent);
        assertFalse(_deploys(agent, limit + 1), "one wei more to restake");
        uint256 snapshot = vm.snapshotState();
        if (limit != 0) assertTrue(_deploys(agent, limit), "the limit to restake");
        assertTrue(vm.revertToStateAndDelete(snapshot));
        limit = d.senior.maxDeposit(alice);
        assertFalse(_enters(limit + 1), "one wei more to deposit");
        if (limit >= 0.01 ether) assertTrue(_enters(limit), "the limit to deposit");
    }

    /// SPEC rule 11
    function test_AnAgentThatTheNextSyncWillFindUnfitHasNoDeployLimit() public {
        _fundHalf();
        assertGt(d.stakes.deployLimit(0), 0);
        _slash(d, 0, 0, 0.2e18);
        assertEq(d.stakes.deployLimit(0), 0);
        assertFalse(_deploys(0, 1 ether));
        _assertExactDeploy(1);
    }

    /// SPEC rule 11
    function test_AnAgentThatTheNextSyncWillFindFitAgainHasADeployLimit() public {
        _fundHalf();
        d.risk.quarantine(1);
        d.allocator.unwind(0, 1);
        assertEq(d.stakes.deployLimit(0), 0);
        _skip(DELAY + 1);
        assertTrue(d.risk.agent(0).quarantined, "nobody has looked");
        _assertExactDeploy(0);
    }

    // ----------------------------------------------------------------------------------------- attribution

    /// @dev Agent 0's set 0 goes from 0.25 to 0.1: 0.15 is pending.
    function _startDecrease() private returns (uint32 effect) {
        Terms memory t = _now();
        t.agents[0].targets[0].magnitude = 0.1e18;
        t.agents[0].targets[1].magnitude = 0.1e18;
        d.mandate.tighten(t);
        d.allocator.deallocate(0, 0);
        effect = _link(0, 0).effectBlock;
        assertEq(_link(0, 0).pending, 0.15e18);
    }

    function test_ASlashWithoutAPendingChangeIsExactWithItsValue() public {
        _fund();
        uint256 staked = d.risk.stakes()[0];
        _slash(d, 0, 0, 0.5e18);
        (uint256 taken, uint256 value, bool estimated) = _attributed(_syncLogs(), 0);
        assertEq(taken, 0.125e18);
        assertApproxEqAbs(value, staked / 8, 2);
        assertFalse(estimated);
    }

    function test_ASlashDuringAPendingDecreaseIsExact() public {
        _fund();
        _startDecrease();
        _slash(d, 0, 0, 0.5e18);
        (uint256 taken,, bool estimated) = _attributed(_syncLogs(), 0);
        assertEq(taken, 0.125e18, "half of all, the leaving part too");
        assertFalse(estimated);
        assertEq(_link(0, 0).pending, 0.075e18);
    }

    function test_ASlashAfterACompletedDecreaseIsExact() public {
        _fund();
        uint32 effect = _startDecrease();
        vm.roll(effect + 1);
        _slash(d, 0, 0, 0.5e18);
        (uint256 taken,, bool estimated) = _attributed(_syncLogs(), 0);
        assertEq(taken, 0.05e18);
        assertFalse(estimated);
        assertEq(_link(0, 0).current, 0.05e18);
        assertEq(_link(0, 0).pending, 0);
    }

    function test_ASlashBeforeADecreaseThatIsOverByNowIsExactWhereItIsTheOnlyOne() public {
        _fund();
        uint32 effect = _startDecrease();
        vm.roll(effect - 1);
        _slash(d, 0, 0, 0.5e18);
        vm.roll(effect + 1);
        (uint256 taken,, bool estimated) = _attributed(_syncLogs(), 0);
        assertEq(taken, 0.125e18);
        assertFalse(estimated);
    }

    function test_TwoAmbiguousSetsAreEstimatedAndAddUpToTheFall() public {
        _fund();
        uint32 effect = _startDecrease();
        d.allocator.deallocate(0, 1);
        vm.roll(effect - 1);
        _slash(d, 0, 0, 0.5e18);
        _slash(d, 1, 0, 0.1e18);
        vm.roll(effect + 1);
        Vm.Log[] memory logs = _syncLogs();
        (uint256 first,, bool estimatedFirst) = _attributed(logs, 0);
        (uint256 second,, bool estimatedSecond) = _attributed(logs, 1);
        assertTrue(estimatedFirst && estimatedSecond);
        assertEq(first + second, 0.15e18);
        assertEq(first, second, "equal allocations, equal parts");
    }

    function test_AFullySlashedSetIsAttributedThoughEigenLayerForgetsIt() public {
        _fund();
        _slash(d, 3, 0, 1e18);
        (uint256 taken,, bool estimated) = _attributed(_syncLogs(), 3);
        assertEq(taken, QUARTER);
        assertFalse(estimated);
        assertEq(_link(0, 3).current, 0);
        assertEq(_exposures().current[3], 0);
    }

    /// forge-config: default.fuzz.runs = 32
    function testFuzz_AttributionAddsUpToTheFall(uint256 seed) public {
        _fund();
        uint256 wanted;
        for (uint256 j; j < 4; ++j) {
            uint256 wad = uint256(keccak256(abi.encode(seed, j))) % 1e18;
            if (wad == 0) continue;
            _slash(d, j, 0, wad);
            wanted += (QUARTER * wad + 1e18 - 1) / 1e18;
        }
        Vm.Log[] memory logs = _syncLogs();
        uint256 sum;
        for (uint256 j; j < 4; ++j) {
            (uint256 taken,, bool estimated) = _attributed(logs, j);
            sum += taken;
            assertFalse(estimated);
        }
        assertEq(sum, wanted);
        assertEq(d.risk.agent(0).magnitude, 1e18 - wanted);
    }

    // ------------------------------------------------------------------------------------ agents and bounds

    function test_AnAgentWithNothingIsRemovedAndItsPlaceGoesToTheNext() public {
        d.risk.removeAgent(1);
        vm.expectRevert(abi.encodeWithSelector(IRiskTypes.UnknownIndex.selector, 1));
        d.risk.agent(1);
        d.tier.sync();
        address next = factory.createAgent(address(d.tier), address(this), "ipfs://next");
        assertEq(d.risk.agentIndex(next), 1);
        assertEq(d.risk.agentCount(), 4);
        vm.prank(mallory);
        vm.expectRevert(_unauthorised(mallory));
        d.risk.removeAgent(1);
    }

    function test_AnAgentWithStakeOrAllocationsIsNotRemoved() public {
        d.allocator.allocate(1, 0, QUARTER);
        vm.expectRevert(abi.encodeWithSelector(IRiskTypes.AgentInUse.selector, 1));
        d.risk.removeAgent(1);
        _deposit(d.junior, bob, 100 ether);
        d.stakes.deploy(2, 1 ether);
        vm.expectRevert(abi.encodeWithSelector(IRiskTypes.AgentInUse.selector, 2));
        d.risk.removeAgent(2);
    }

    function test_AnAgentThatGaveEverythingBackIsRemoved() public {
        _deposit(d.junior, bob, 100 ether);
        d.stakes.deploy(0, 20 ether);
        Terms memory t = _now();
        t.agents[0].weightBps = 0;
        t = _fewerTargets(t, 0, 0);
        d.mandate.tighten(t);
        _request(false, bob, d.junior.balanceOf(bob));
        _skip(DELAY + MARGIN_BLOCKS + OVERDUE_BLOCKS + 1);
        d.stakes.unbond();
        vm.expectRevert(abi.encodeWithSelector(IRiskTypes.AgentInUse.selector, 0));
        d.risk.removeAgent(0);
        _skip(DELAY + 1);
        d.stakes.complete(0, 0);
        d.risk.removeAgent(0);
        d.tier.sync();
        _assertConserved(d);
    }

    function test_ATierHasEightAgents() public {
        for (uint256 i = 4; i < 8; ++i) {
            factory.createAgent(address(d.tier), address(this), "ipfs://agent");
        }
        vm.expectRevert(abi.encodeWithSelector(IRiskTypes.TooMany.selector, 8));
        factory.createAgent(address(d.tier), address(this), "ipfs://agent");
        assertEq(d.risk.agentCount(), 8);
    }

    function test_ATierHasThirtyTwoSets() public {
        LocalAVS avs = _newAvs(address(0), 1);
        Terms memory t = _withSet(_now(), _set(address(avs), 1, address(avs)));
        for (uint32 id = 2; id <= 16; ++id) {
            avs.createSet(id, _list(), address(avs));
            t = _withSet(t, _set(address(avs), id, address(avs)));
        }
        d.mandate.tighten(t);
        assertEq(d.risk.setCount(), 32);
        // a set is never forgotten, so another one in place of a dropped one is the thirty-third
        avs.createSet(17, _list(), address(avs));
        t.sets[31] = _set(address(avs), 17, address(avs));
        vm.expectRevert(abi.encodeWithSelector(IRiskTypes.TooMany.selector, 32));
        d.mandate.tighten(t);
    }

    function _targets(Terms memory t, uint256 agent, uint256 from, uint256 count, uint64 magnitude)
        private
        pure
        returns (Terms memory)
    {
        t.agents[agent].targets = new Target[](count);
        for (uint256 i; i < count; ++i) {
            t.agents[agent].targets[i] = Target(uint8(from + i), magnitude);
        }
        return t;
    }

    function test_AnAgentHasEightLinksAndEmptyOnesAreUsedAgain() public {
        d.mandate.tighten(_targets(_now(), 0, 0, 8, 0.1e18));
        assertEq(d.risk.agent(0).links, 8);
        d.allocator.allocate(0, 7, 0.1e18);
        Terms memory nine = _targets(_now(), 0, 0, 9, 0.1e18);
        vm.expectRevert(abi.encodeWithSelector(IRiskTypes.TooMany.selector, 8));
        d.mandate.tighten(nine);
        // sets 8 to 14 take the places of 0 to 6; 7 is still allocated
        d.mandate.tighten(_targets(_now(), 0, 8, 7, 0.1e18));
        assertEq(d.risk.agent(0).links, 8);
        (uint256 at, IRiskTypes.Link memory x) = d.risk.link(0, 7);
        assertEq(at, 7);
        assertEq(x.current, 0.1e18);
        assertEq(x.target, 0);
        uint256 seen;
        for (uint256 j; j < 7; ++j) {
            (at, x) = d.risk.link(0, j);
            assertEq(x.target, 0.1e18);
            seen |= 1 << at;
        }
        assertEq(seen, 0x7f00);
        d.allocator.allocate(0, 0, 0.1e18);
        (at,) = d.risk.link(0, 0);
        OperatorSet memory s = d.risk.set(at).operatorSet;
        assertEq(allocations.getAllocation(address(_account(0)), s, strategy).currentMagnitude, 0.1e18);
    }

    function test_ALinkKeepsItsAllocationUnderTheNextMandate() public {
        d.mandate.tighten(_targets(_now(), 1, 4, 4, 0.2e18));
        d.allocator.allocate(1, 0, 0.2e18);
        d.mandate.tighten(_targets(_now(), 1, 4, 4, 0.2e18));
        assertEq(_link(1, 0).current, 0.2e18);
    }

    function test_TheNodeOperatorRegistersOnlyForOpenSetsOfTheMandate() public {
        RestakingAgent agent = _account(0);
        LocalAVS avs = _newAvs(address(0), 1);
        vm.expectRevert(abi.encodeWithSignature("SetClosed(address,uint32)", address(avs), 1));
        agent.register(OperatorSet(address(avs), 1), "");
        d.risk.quarantine(4);
        vm.expectRevert(abi.encodeWithSignature("SetClosed(address,uint32)", address(d.avss[4]), 1));
        agent.register(OperatorSet(address(d.avss[4]), 1), "");
        agent.register(OperatorSet(address(d.avss[5]), 1), "");
        assertFalse(d.tier.locked());
        vm.prank(mallory);
        vm.expectRevert(abi.encodeWithSignature("NotAuthorised(address)", mallory));
        agent.register(OperatorSet(address(d.avss[6]), 1), "");
    }
}
