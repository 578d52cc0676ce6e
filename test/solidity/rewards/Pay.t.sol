// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IRestakingAgent} from "../../../contracts/interfaces/IRestakingAgent.sol";
import {IRewardsTypes} from "../../../contracts/interfaces/IRewards.sol";
import {
    IAllocationManager,
    IRewardsCoordinator,
    OperatorSet
} from "../../../contracts/interfaces/external/IEigenLayer.sol";
import {RewardsFixture} from "./RewardsFixture.sol";

/// @notice What node operators and the protocol are paid, and when they are not (SPEC sections 11.2 and 11.3).
contract PayTest is RewardsFixture {
    address private agent;
    address private successor = makeAddr("successor");

    function setUp() public override {
        super.setUp();
        agent = address(d.agents[0]);
    }

    // ---- fees

    function test_AHigherFeeWaitsAsARiskierMandateDoes() public {
        rewards.setOperatorFee(agent, 2_000);
        rewards.setProtocolFee(600);
        uint40 from = uint40(block.timestamp + 45 days);
        assertEq(rewards.agentPay(agent).feeBps, OPERATOR_FEE);
        assertEq(rewards.agentPay(agent).feeFrom, from);
        vm.warp(from - 1);
        vm.expectRevert(abi.encodeWithSelector(IRewardsTypes.FeeNotDue.selector, from));
        rewards.applyFee(agent);
        vm.expectRevert(abi.encodeWithSelector(IRewardsTypes.FeeNotDue.selector, from));
        rewards.applyFee(address(0));
        vm.warp(from);
        vm.startPrank(mallory); // anybody
        rewards.applyFee(agent);
        rewards.applyFee(address(0));
        vm.expectRevert(abi.encodeWithSelector(IRewardsTypes.FeeNotDue.selector, 0));
        rewards.applyFee(agent);
        vm.stopPrank();
        assertEq(rewards.agentPay(agent).feeBps, 2_000);
        (uint16 fee,,) = rewards.protocolFee();
        assertEq(fee, 600);
    }

    function test_ALowerFeeCountsAtOnceAndCallsOffAHigherOne() public {
        rewards.setOperatorFee(agent, 2_000);
        rewards.setOperatorFee(agent, 900);
        assertEq(rewards.agentPay(agent).feeBps, 900);
        vm.warp(block.timestamp + 60 days);
        vm.expectRevert(abi.encodeWithSelector(IRewardsTypes.FeeNotDue.selector, 0));
        rewards.applyFee(agent);
    }

    function test_FeesAreBounded() public {
        vm.expectRevert(abi.encodeWithSelector(IRewardsTypes.FeeTooHigh.selector, 3_001, 3_000));
        rewards.setOperatorFee(agent, 3_001);
        vm.expectRevert(abi.encodeWithSelector(IRewardsTypes.FeeTooHigh.selector, 2_001, 2_000));
        rewards.setProtocolFee(2_001);
        vm.expectRevert(abi.encodeWithSelector(IRewardsTypes.UnknownAgent.selector, mallory));
        rewards.setOperatorFee(mallory, 0);
    }

    function test_OnlyTheCuratorSetsFeesAndOnlyTheGuardianWithholds() public {
        vm.startPrank(mallory);
        vm.expectRevert(_unauthorised(mallory));
        rewards.setOperatorFee(agent, 0);
        vm.expectRevert(_unauthorised(mallory));
        rewards.setProtocolFee(0);
        vm.expectRevert(_unauthorised(mallory));
        rewards.withholdPay(agent);
        vm.expectRevert(_unauthorised(mallory));
        rewards.resumePay(agent);
        vm.expectRevert(abi.encodeWithSelector(IRewardsTypes.NotAuthorised.selector, mallory));
        rewards.addAgent(mallory);
        vm.expectRevert(abi.encodeWithSelector(IRewardsTypes.NotAuthorised.selector, mallory));
        rewards.recordOperator();
        vm.stopPrank();
    }

    function test_PayIsPulledToAnyReceiver() public {
        _harvest(0, _weth(), 10 ether);
        assertEq(rewards.claimPay(_weth(), alice), 1 ether);
        assertEq(weth.balanceOf(alice), 1 ether);
        assertEq(_pay(address(this)), 0);
        vm.expectRevert(IRewardsTypes.NothingThere.selector);
        rewards.claimPay(_weth(), alice);
        vm.prank(treasury);
        assertEq(rewards.claimPay(_weth(), treasury), 0.5 ether);
        assertEq(rewards.recorded(_weth()), 0);
    }

    function test_TheTreasuryMovesInTwoSteps() public {
        _harvest(0, _weth(), 10 ether);
        vm.prank(mallory);
        vm.expectRevert(abi.encodeWithSelector(IRewardsTypes.NotAuthorised.selector, mallory));
        rewards.offerTreasury(mallory);
        vm.prank(treasury);
        rewards.offerTreasury(bob);
        vm.prank(mallory);
        vm.expectRevert(abi.encodeWithSelector(IRewardsTypes.NotAuthorised.selector, mallory));
        rewards.acceptTreasury();
        vm.prank(bob);
        rewards.acceptTreasury();
        (address current, address offered) = rewards.treasury();
        assertEq(current, bob);
        assertEq(offered, address(0));
        _harvest(0, _weth(), 10 ether);
        assertEq(_pay(treasury), 0.5 ether, "what it earned stays its own");
        assertEq(_pay(bob), 0.5 ether);
    }

    // ---- faults

    /// @dev Half of what agent 0 has allocated to its first set is taken; the group is quarantined and unwound.
    function _slashAndUnwind() private returns (uint256 from) {
        rewards.review(agent);
        from = block.timestamp;
        _slash(d, 0, 0, 0.5e18);
        _skip(1);
        rewards.review(agent);
        assertTrue(rewards.agentPay(agent).unwinding);
        d.allocator.unwind(0, 0);
    }

    function _unwound() private returns (uint256 until) {
        _skip(DELAY + 1);
        d.risk.poke(0);
        assertEq(_link(0, 0).current, 0);
        rewards.review(agent);
        assertFalse(rewards.agentPay(agent).unwinding);
        return block.timestamp;
    }

    function test_WhoIsUnwoundForHisOwnFaultEarnsNothingAndTheTierGetsIt() public {
        _harvest(0, _weth(), 1 ether);
        uint256 paid = _pay(address(this));
        _slashAndUnwind();
        _skip(7_200);
        _harvest(0, _weth(), 1 ether); // a period that began before the slash: part of it is paid
        uint256 part = _pay(address(this)) - paid;
        assertGt(part, 0);
        assertLt(part, 0.1 ether);

        paid = _pay(address(this));
        IRewardsCoordinator.RewardsMerkleClaim memory claim = _reward(agent, _weth(), 10 ether);
        d.tier.sync();
        uint256 value = d.tier.preview().value;
        rewards.harvest(claim);
        assertEq(_pay(address(this)), paid, "wholly within the fault");
        assertEq(d.tier.preview().value - value, 9.5 ether, "the tier gets his part");
        _assertConserved(d);
    }

    function test_PayIsInProportionToThePartOfThePeriodWithoutFault() public {
        _harvest(0, _weth(), 1 ether);
        uint256 paid = _pay(address(this));
        (uint256 since,) = _periodOf(0);
        uint256 from = _slashAndUnwind();
        uint256 until = _unwound();
        _skip(7 * 7_200);
        IRewardsCoordinator.RewardsMerkleClaim memory claim = _reward(agent, _weth(), 10 ether);
        (, uint256 end) = _periodOf(1);
        rewards.harvest(claim);
        uint256 period = end - since;
        assertEq(rewards.faultSeconds(agent, uint48(end)), until - from);
        assertApproxEqAbs(_pay(address(this)) - paid, 1 ether * (period - (until - from)) / period, 10);
        assertEq(_pay(treasury), 11 ether / 20);

        // what comes after is paid in full again
        paid = _pay(address(this));
        _harvest(0, _weth(), 1 ether);
        assertEq(_pay(address(this)) - paid, 0.1 ether);
    }

    /// @dev Ends of the period that root `index` rewards, from the root before it on.
    function _periodOf(uint256 index) private view returns (uint256 from, uint256 until) {
        if (index != 0) from = coordinator.getDistributionRootAtIndex(index - 1).rewardsCalculationEndTimestamp;
        until = coordinator.getDistributionRootAtIndex(index).rewardsCalculationEndTimestamp;
        if (index == 0) from = until;
    }

    /// A token that is paid for the first time during a fault is not spread over all of the agent's life.
    function test_AFirstRewardInATokenBelongsToTheLast28Days() public {
        _skip(200 * 7_200);
        rewards.withholdPay(agent);
        _skip(14 * 7_200);
        IRewardsCoordinator.RewardsMerkleClaim memory claim = _reward(agent, _weth(), 28 ether);
        rewards.harvest(claim);
        // half of the 28 days, less the second by which the period ends before its root
        assertApproxEqRel(_pay(address(this)), 1.4 ether, 1e13);
        assertEq(_pay(treasury), 1.4 ether);
    }

    function test_AFaultCountsFromTheLastReviewOn() public {
        rewards.review(agent);
        uint256 last = block.timestamp;
        _skip(5 * 7_200);
        _slash(d, 0, 0, 0.5e18);
        _skip(7_200);
        vm.expectEmit(address(rewards));
        emit IRewardsTypes.FaultFound(agent, uint40(last), false);
        rewards.review(agent);
        assertEq(rewards.faultSeconds(agent, uint48(block.timestamp)), block.timestamp - last);
        assertEq(rewards.faultSeconds(agent, uint48(last)), 0);
    }

    function test_AFaultThatIsOverBeforeAnybodyLooksIsStillFound() public {
        rewards.review(agent);
        uint256 last = block.timestamp;
        _slash(d, 0, 0, 1e18); // all of it: there is nothing left to unwind
        _skip(7_200);
        rewards.review(agent);
        uint256 found = block.timestamp;
        assertEq(rewards.faultSeconds(agent, uint48(found)), found - last);
        _skip(7_200);
        rewards.review(agent);
        assertEq(rewards.faultSeconds(agent, uint48(block.timestamp)), found - last, "it ended there");
    }

    function test_ASlashThatQuarantinesNobodyIsNoFault() public {
        _slash(d, 0, 0, 0.01e18); // below the mandate's threshold of 5 %
        _skip(1);
        rewards.review(agent);
        assertFalse(rewards.agentPay(agent).unwinding);
        _harvest(0, _weth(), 1 ether);
        assertEq(_pay(address(this)), 0.1 ether);
    }

    /// A quarantine names a slasher, not an operator: who was not slashed is paid.
    function test_AnotherAgentsSlashAndAQuarantineByWordCostNobodyElseHisPay() public {
        _slashAndUnwind();
        d.risk.quarantine(_group(4)); // the guardian suspects a set of agent 1
        _skip(1);
        _harvest(1, _weth(), 1 ether);
        assertEq(rewards.faultSeconds(address(d.agents[1]), uint48(block.timestamp)), 0);
        assertEq(_pay(address(this)), 0.1 ether);
    }

    function test_TheGuardianWithholdsFromNowOnAndTheCuratorResumes() public {
        _harvest(0, _weth(), 1 ether);
        uint256 paid = _pay(address(this));
        uint256 from = block.timestamp;
        rewards.withholdPay(agent);
        assertEq(rewards.faultSeconds(agent, uint48(from)), 0);
        _skip(3 * 7_200);
        rewards.resumePay(agent);
        assertEq(rewards.faultSeconds(agent, uint48(block.timestamp)), 3 days);
        _skip(7_200);
        rewards.review(agent);
        assertEq(rewards.faultSeconds(agent, uint48(block.timestamp)), 3 days);
        _harvest(0, _weth(), 1 ether);
        assertLt(_pay(address(this)) - paid, 0.1 ether);
        vm.expectRevert(abi.encodeWithSelector(IRewardsTypes.UnknownAgent.selector, mallory));
        rewards.withholdPay(mallory);
    }

    /// Fault time is what lies in its intervals, whatever is asked in which order.
    /// forge-config: default.fuzz.runs = 48
    function testFuzz_FaultSecondsAreTheSumOfTheFaults(uint32[6] memory gaps) public {
        uint256 sum;
        uint256[7] memory sums;
        uint256[7] memory times;
        times[0] = block.timestamp;
        for (uint256 i; i < 6; ++i) {
            if (i % 2 == 0) rewards.withholdPay(agent);
            else rewards.resumePay(agent);
            uint256 gap = bound(gaps[i], 1, 40 days);
            vm.warp(block.timestamp + gap);
            if (i % 2 == 0) sum += gap;
            (times[i + 1], sums[i + 1]) = (block.timestamp, sum);
        }
        rewards.review(agent);
        for (uint256 i; i < 7; ++i) {
            assertEq(rewards.faultSeconds(agent, uint48(times[i])), sums[i]);
        }
    }

    // ---- another node operator

    function _replace() private {
        factory.nominateNodeOperator(agent, successor);
        vm.prank(successor);
        d.agents[0].acceptNomination();
    }

    function test_ANodeOperatorIsReplacedInTwoStepsAndHisRightsMove() public {
        _replace();
        assertEq(d.agents[0].nodeOperator(), successor);
        assertEq(d.agents[0].nominee(), address(0));
        assertEq(d.risk.agent(0).nodeOperator, successor);
        uint32[] memory ids = new uint32[](1);
        ids[0] = 1;
        IAllocationManager.DeregisterParams memory leave =
            IAllocationManager.DeregisterParams(agent, address(d.avss[0]), ids);
        vm.expectRevert();
        allocations.deregisterFromOperatorSets(leave);
        vm.prank(successor);
        allocations.deregisterFromOperatorSets(leave);
        vm.expectRevert(abi.encodeWithSelector(IRestakingAgent.NotAuthorised.selector, address(this)));
        d.agents[0].register(OperatorSet(address(d.avss[0]), 1), "");
    }

    function test_NobodyElseReplacesANodeOperator() public {
        vm.prank(mallory);
        vm.expectRevert(_unauthorised(mallory));
        factory.nominateNodeOperator(agent, mallory);
        vm.expectRevert(abi.encodeWithSelector(IRestakingAgent.NotAuthorised.selector, address(this)));
        d.agents[0].nominate(successor);
        factory.nominateNodeOperator(agent, successor);
        vm.prank(mallory);
        vm.expectRevert(abi.encodeWithSelector(IRestakingAgent.NotAuthorised.selector, mallory));
        d.agents[0].acceptNomination();
        factory.nominateNodeOperator(agent, address(0)); // taken back
        vm.prank(successor);
        vm.expectRevert(abi.encodeWithSelector(IRestakingAgent.NotAuthorised.selector, successor));
        d.agents[0].acceptNomination();
        vm.prank(mallory);
        vm.expectRevert();
        d.risk.recordNodeOperator();
    }

    /// What was earned before stays the old one's: his pay, his part of unsold tokens, and rewards that come in later.
    function test_WhatWasEarnedBeforeStaysTheOldOnes() public {
        _harvest(0, _weth(), 1 ether);
        _harvest(0, token, 100e18);
        IRewardsCoordinator.RewardsMerkleClaim memory late = _reward(agent, _weth(), 3 ether);
        _replace();
        assertEq(rewards.operatorAt(agent, uint48(block.timestamp - 1)), address(this));
        assertEq(rewards.operatorAt(agent, uint48(block.timestamp)), successor);
        rewards.harvest(late);
        assertEq(_pay(address(this)), 0.4 ether);
        rewards.listToken(token, 0.01e18, 0.001e18);
        _equipBuyer(1 ether);
        _buy(token, 100e18);
        assertEq(_pay(address(this)), 0.5 ether);
        assertEq(_pay(successor), 0);
        _skip(1);
        _harvest(0, _weth(), 1 ether);
        assertEq(_pay(successor), 0.1 ether);
    }
}
