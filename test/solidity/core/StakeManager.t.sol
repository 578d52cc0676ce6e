// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IAllocator} from "../../../contracts/interfaces/IAllocator.sol";
import {IStakeManager} from "../../../contracts/interfaces/IStakeManager.sol";
import {ITier} from "../../../contracts/interfaces/ITier.sol";
import {Terms} from "../../../contracts/interfaces/IRiskManager.sol";
import {LocalAVS} from "../../../contracts/local/avs/LocalAVS.sol";
import {UnitFixture} from "./UnitFixture.sol";

/// @notice Stake goes out to the wei that cover bears, and comes back only where it is needed.
contract StakeManagerTest is UnitFixture {
    function setUp() public {
        _setUpTier(4, 4, QUARTER, 2);
        lido.report{value: 12_345 ether + 67}(12_345 ether + 67); // a rate that does not divide evenly
    }

    function _now() private view returns (Terms memory) {
        return _terms(d, 4, QUARTER, 2);
    }

    /// @dev Junior and senior in, nothing restaked yet.
    function _enter() private {
        _deposit(d.junior, bob, 100 ether);
        _deposit(d.senior, alice, d.senior.maxDeposit(alice));
    }

    function _assertExact(uint256 agent) private {
        uint256 limit = d.stakes.deployLimit(agent);
        assertGt(limit, 0);
        vm.expectRevert(abi.encodeWithSelector(IStakeManager.ExceedsDeployLimit.selector, limit + 1, limit));
        d.stakes.deploy(agent, limit + 1);
        d.stakes.deploy(agent, limit);
        _assertConserved(d);
    }

    // --------------------------------------------------------------------------------------------- deploy

    function test_TheDeployLimitIsTheAgentsRoomBelowItsWeight() public {
        _enter();
        uint256 restaked = d.tier.preview().value * 99 / 100;
        assertApproxEqAbs(d.stakes.deployLimit(0), restaked / 4, 2);
        _assertExact(0);
        assertLe(d.stakes.deployLimit(0), 2, "its weight is used");
        _assertExact(1);
    }

    function test_TheDeployLimitLeavesTheBufferAndTheQueues() public {
        Terms memory t = _now();
        t.agents[0].weightBps = 10_000;
        for (uint256 i = 1; i < 4; ++i) {
            t.agents[i].weightBps = 0;
        }
        d.mandate.tighten(t); // nobody is in yet
        _enter();
        _request(true, alice, 50 ether);
        uint256 value = d.tier.preview().value;
        assertEq(d.stakes.deployLimit(0), _idle() - 50 ether - value / 100);
        _assertExact(0);
    }

    /// forge-config: default.fuzz.runs = 32
    function testFuzz_TheDeployLimitIsExactWhereCoverBinds(uint256 rate, uint64 more, uint8 part) public {
        rate = 1 + rate % 1_000_000 ether;
        lido.report{value: rate}(int256(rate));
        _deposit(d.junior, bob, 100 ether + more);
        _deposit(d.senior, alice, d.senior.maxDeposit(alice));
        _allocateAll(d, 4, QUARTER);
        _request(false, bob, 20 ether + uint256(part) * 0.2 ether); // queued junior covers nothing new
        for (uint256 i; i < 4; ++i) {
            if (d.stakes.deployLimit(i) == 0) continue;
            _assertExact(i);
        }
    }

    function test_LidosLimitIsALimit() public {
        _enter();
        lido.setStakingLimit(3 ether, 1);
        assertEq(d.stakes.deployLimit(0), 3 ether);
        _assertExact(0);
        assertEq(d.stakes.deployLimit(0), 0);
    }

    function test_WhileLidoIsPausedOnlyDeployingStops() public {
        _enter();
        d.stakes.deploy(0, 10 ether);
        lido.pauseStaking();
        assertEq(d.stakes.deployLimit(1), 0);
        vm.expectRevert(abi.encodeWithSelector(IStakeManager.ExceedsDeployLimit.selector, 1 ether, 0));
        d.stakes.deploy(1, 1 ether);
        d.tier.sync();
        _deposit(d.junior, bob, 1 ether);
        _request(true, alice, 1 ether);
        _skip(SENIOR_BLOCKS);
        (uint256 done,) = d.senior.finalise(type(uint256).max);
        assertEq(done, 1 ether);
        _assertConserved(d);
    }

    function test_NothingIsNotDeployed() public {
        _enter();
        uint256 limit = d.stakes.deployLimit(0);
        vm.expectRevert(abi.encodeWithSelector(IStakeManager.ExceedsDeployLimit.selector, 0, limit));
        d.stakes.deploy(0, 0);
    }

    function test_AnAgentThatWorksForAQuarantinedSetGetsNothing() public {
        _enter();
        d.allocator.allocate(0, 0, QUARTER);
        d.risk.quarantine(0);
        vm.expectRevert(abi.encodeWithSelector(IStakeManager.AgentUnfit.selector, 0, 1e18));
        d.stakes.deploy(0, 1 ether);
        assertEq(d.stakes.deployLimit(0), 0, "the limit says so");
        assertGt(d.stakes.deployLimit(1), 1 ether);
        d.stakes.deploy(1, 1 ether);
    }

    function test_AnAgentBelowATenthOfItsMagnitudeGetsNothing() public {
        _enter();
        d.stakes.deploy(0, 1 ether);
        _allocateAll(d, 4, QUARTER);
        for (uint256 g; g < 3; ++g) {
            _slash(d, g, 0, 1e18);
        }
        _slash(d, 3, 0, 0.61e18);
        d.tier.sync();
        assertEq(d.risk.agent(0).magnitude, 0.0975e18);
        vm.expectRevert(abi.encodeWithSelector(IStakeManager.AgentUnfit.selector, 0, 0.0975e18));
        d.stakes.deploy(0, 0.1 ether);
    }

    // --------------------------------------------------------------------------------------------- unbond

    function _funded() private {
        _enter();
        _deployAll(d);
        _allocateAll(d, 4, QUARTER);
    }

    function test_NothingIsUnboundWithoutNeed() public {
        _funded();
        assertEq(d.stakes.unbondNeed(), 0);
        vm.expectRevert(IStakeManager.NothingToUnbond.selector);
        d.stakes.unbond();
    }

    function test_UnbondingTakesFromTheAgentMostAboveItsWeight() public {
        _funded();
        Terms memory t = _now();
        t.agents[2].weightBps = 2_000;
        d.mandate.tighten(t);
        _request(true, alice, 30 ether);
        (uint256 agent, uint256 assets) = d.stakes.unbond();
        assertEq(agent, 2);
        assertApproxEqAbs(assets, 30 ether, 0.1 ether);
        assertEq(d.risk.agent(2).exits, 1);
        assertApproxEqAbs(d.stakes.unbondNeed(), assets * 5 / 100, 10, "95 % of what is in flight counts");
        _assertConserved(d);
    }

    function test_AnAgentQueuesOneBatchADay() public {
        _funded();
        _request(true, alice, 30 ether);
        (uint256 first,) = d.stakes.unbond();
        (uint256 second, uint256 assets) = d.stakes.unbond();
        assertTrue(first != second);
        assertGe(assets, 1 ether, "a batch is at least one ETH");
        _request(true, alice, 50 ether);
        d.stakes.unbond();
        _request(true, alice, 50 ether);
        d.stakes.unbond();
        _request(true, alice, 50 ether);
        vm.expectRevert(IStakeManager.NothingToUnbond.selector);
        d.stakes.unbond();
        vm.warp(block.timestamp + 1 days);
        d.stakes.unbond();
    }

    function test_AnAgentHasFifteenBatchesAndTheSixteenthBelongsToTheLadder() public {
        _funded();
        Terms memory t = _now();
        t.agents[0].weightBps = 0; // always most above its weight
        t.agents[0].targets[0].magnitude = 0.1e18;
        d.mandate.tighten(t);
        for (uint256 n; n < 15; ++n) {
            _request(true, alice, 3 ether);
            (uint256 agent,) = d.stakes.unbond();
            assertEq(agent, 0);
            vm.warp(block.timestamp + 1 days);
        }
        assertEq(d.risk.agent(0).exits, 15);
        _request(true, alice, 3 ether);
        (uint256 other,) = d.stakes.unbond();
        assertTrue(other != 0);
        // the ladder's: a pending change on a quarantined set whose registrar refuses
        d.allocator.deallocate(0, 0);
        d.risk.quarantine(0);
        d.avss[0].setBehaviour(LocalAVS.Behaviour.Accept, LocalAVS.Behaviour.Refuse);
        d.allocator.unwind(0, 0);
        assertEq(d.risk.agent(0).exits, 16);
        _assertConserved(d);
    }

    function test_AnAgentThatHasGivenEverythingDoesNotBlockTheOthers() public {
        _funded();
        Terms memory t = _now();
        t.agents[0].weightBps = 0;
        d.mandate.tighten(t);
        _request(true, alice, d.senior.balanceOf(alice));
        (uint256 agent,) = d.stakes.unbond();
        assertEq(agent, 0, "all that it has but its virtual shares");
        lido.report{value: 200_000 ether}(200_000 ether); // what is left is worth more than its number
        vm.warp(block.timestamp + 1 days);
        for (uint256 i; i < 3; ++i) {
            (agent,) = d.stakes.unbond();
            assertTrue(agent != 0);
        }
        vm.expectRevert(IStakeManager.NothingToUnbond.selector);
        d.stakes.unbond();
    }

    // ------------------------------------------------------------------------- complete, redeposit, redeploy

    function _unbound() private returns (uint256 agent) {
        _funded();
        _request(true, alice, 30 ether);
        (agent,) = d.stakes.unbond();
    }

    function test_AWithdrawalIsCompletedAfterTheDelayToTheBlock() public {
        uint256 agent = _unbound();
        uint256 ready = block.number + DELAY;
        vm.roll(ready);
        vm.expectRevert(abi.encodeWithSelector(IStakeManager.NotReady.selector, ready, ready));
        d.stakes.complete(agent, 0);
        vm.roll(ready + 1);
        vm.prank(mallory);
        d.stakes.complete(agent, 0);
        assertEq(d.risk.agent(agent).exits, 0);
        (uint256 loose,) = d.module.value();
        assertApproxEqAbs(loose, 30 ether, 0.1 ether);
        _assertConserved(d);
        vm.expectRevert(abi.encodeWithSelector(bytes4(keccak256("UnknownIndex(uint256)")), 0));
        d.stakes.complete(agent, 0);
    }

    function test_ANeededWithdrawalIsNotRedeposited() public {
        uint256 agent = _unbound();
        _skip(DELAY + 1);
        vm.expectPartialRevert(IStakeManager.Needed.selector);
        d.stakes.redeposit(agent, 0);
    }

    function test_AnUnneededWithdrawalGoesBackIntoShares() public {
        uint256 agent = _unbound();
        _deposit(d.junior, bob, 60 ether); // idle now serves the queue
        _skip(DELAY + 1);
        uint256 before = d.risk.stakes()[agent];
        d.stakes.redeposit(agent, 0);
        assertApproxEqAbs(d.risk.stakes()[agent], before + 30 ether, 0.1 ether);
        assertEq(d.risk.agent(agent).exits, 0);
        _assertConserved(d);
    }

    function test_ARedepositIsGated() public {
        uint256 agent = _unbound();
        _deposit(d.junior, bob, 60 ether);
        _request(false, bob, 150 ether);
        _skip(DELAY + 1);
        vm.expectPartialRevert(ITier.Uncovered.selector);
        d.stakes.redeposit(agent, 0);
    }

    function test_LooseTokensAreRedeployedWhereNoQueueNeedsThem() public {
        uint256 agent = _unbound();
        _skip(DELAY + 1);
        d.stakes.complete(agent, 0);
        (uint256 loose,) = d.module.value();
        uint256 room = 1 ether;
        vm.expectPartialRevert(IStakeManager.Needed.selector);
        d.stakes.redeploy(agent, room);
        _deposit(d.junior, bob, 60 ether);
        d.stakes.redeploy(agent, room);
        (uint256 left,) = d.module.value();
        assertApproxEqAbs(left, loose - room, 4);
        _assertConserved(d);
        vm.expectPartialRevert(IStakeManager.ExceedsDeployLimit.selector);
        d.stakes.redeploy(agent, 1_000 ether);
    }

    // ---------------------------------------------------------------------------------- slashes on the way

    function test_ASlashReachesTheQueueUntilTheLastBlockAndNoLonger() public {
        uint256 agent = _unbound();
        uint256 ready = block.number + DELAY;
        (,, uint256 queued,,) = d.stakes.liquidity();
        vm.roll(ready);
        _slash(d, agent * 4, agent, 0.4e18); // a tenth of the agent
        (,, uint256 now_,,) = d.stakes.liquidity();
        assertApproxEqRel(now_, queued * 9 / 10, 1e9);
        vm.roll(ready + 1);
        _slash(d, agent * 4 + 1, agent, 0.4e18);
        (,, uint256 afterwards,,) = d.stakes.liquidity();
        assertEq(afterwards, now_);
        d.tier.sync();
        _assertConserved(d);
        d.stakes.complete(agent, 0);
        (uint256 loose,) = d.module.value();
        assertApproxEqAbs(loose, now_, 5);
        _assertConserved(d);
    }

    function test_AnAgentThatLostEverythingPaysNothingAndRevertsNothing() public {
        uint256 agent = _unbound();
        for (uint256 j; j < 4; ++j) {
            _slash(d, agent * 4 + j, agent, 1e18);
        }
        d.tier.sync();
        assertEq(d.risk.agent(agent).magnitude, 0);
        _skip(DELAY + 1);
        d.stakes.complete(agent, 0);
        (uint256 loose,) = d.module.value();
        assertEq(loose, 0);
        assertEq(d.risk.agent(agent).exits, 0);
        _assertConserved(d);
        (uint256 other,) = d.stakes.unbond();
        assertTrue(other != agent, "it has nothing to give");
    }

    function test_ADeployToAnAgentThatLostEverythingIsRefused() public {
        _enter();
        d.stakes.deploy(0, 1 ether);
        _allocateAll(d, 4, QUARTER);
        for (uint256 j; j < 4; ++j) {
            _slash(d, j, 0, 1e18);
        }
        d.tier.sync();
        vm.expectRevert(abi.encodeWithSelector(IStakeManager.AgentUnfit.selector, 0, 0));
        d.stakes.deploy(0, 0.1 ether);
    }

    // --------------------------------------------------------------------------------------------- callers

    function test_WhatNeedsNothingIsNotUnstaked() public {
        _funded();
        vm.expectRevert(IStakeManager.NothingToUnstake.selector);
        d.stakes.requestUnstake(10);
    }

    function test_UnwoundStakeStaysOutOfDeploysUntilItsSetIsGone() public {
        _funded();
        d.risk.quarantine(0);
        d.allocator.unwind(0, 0);
        vm.expectRevert(IAllocator.NothingToDo.selector);
        d.allocator.unwind(0, 0);
        _deposit(d.junior, bob, 10 ether);
        vm.expectPartialRevert(IStakeManager.AgentUnfit.selector);
        d.stakes.deploy(0, 1 ether);
    }
}
