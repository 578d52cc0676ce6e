// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IRewards, IRewardsTypes} from "../../../contracts/interfaces/IRewards.sol";
import {ITier} from "../../../contracts/interfaces/ITier.sol";
import {IRewardsCoordinator, OperatorSet} from "../../../contracts/interfaces/external/IEigenLayer.sol";
import {Waterfall} from "../../../contracts/libraries/Waterfall.sol";
import {LocalAVS} from "../../../contracts/local/avs/LocalAVS.sol";
import {LocalModule} from "../../../contracts/local/eigenlayer/LocalModule.sol";
import {LocalRewardsCoordinator} from "../../../contracts/local/eigenlayer/LocalRewardsCoordinator.sol";
import {Rewards} from "../../../contracts/modules/Rewards.sol";
import {RewardsFixture} from "./RewardsFixture.sol";

/// @notice AVS rewards on their way from EigenLayer into the tier (SPEC section 11.1 to 11.3).
contract HarvestTest is RewardsFixture {
    // ---- what comes in

    function test_WethIsAGainAfterFeesAndVestsOverThreeDays() public {
        IRewardsCoordinator.RewardsMerkleClaim memory claim = _reward(address(d.agents[0]), _weth(), 10 ether);
        d.tier.sync();
        uint256 before = _gains();
        (uint256 senior, uint256 junior) = (d.senior.collateralRate(), d.junior.collateralRate());
        vm.prank(mallory); // anybody
        rewards.harvest(claim);
        assertEq(_pay(address(this)), 1 ether, "operator");
        assertEq(_pay(treasury), 0.5 ether, "protocol");
        assertEq(_gains() - before, 8.5 ether, "tier");
        // nobody's rate jumps
        assertEq(d.senior.collateralRate(), senior);
        assertEq(d.junior.collateralRate(), junior);
        _assertConserved(d);
        _assertHeld(_weth());

        _skip(3 days / BLOCK + 1);
        d.tier.sync();
        assertEq(_gains(), 0, "all has vested");
        assertGt(d.senior.collateralRate(), senior);
        assertGt(d.junior.collateralRate(), junior);
        _assertConserved(d);
    }

    function test_TheStakingTokenGoesInDirectlyAndItsFeesAreSold() public {
        IRewardsCoordinator.RewardsMerkleClaim memory claim = _reward(address(d.agents[0]), _steth(), 10 ether);
        d.tier.sync();
        uint256 before = _gains();
        (uint256 looseBefore,) = d.module.value();
        uint256 rate = d.senior.collateralRate();
        rewards.harvest(claim);
        (uint256 loose,) = d.module.value();
        assertApproxEqAbs(loose - looseBefore, 8.5 ether, 4, "loose tokens of the staking module");
        assertApproxEqAbs(_gains() - before, 8.5 ether, 4, "a gain that vests");
        assertEq(d.senior.collateralRate(), rate);
        assertApproxEqAbs(rewards.stock(_steth()).held, 1.5 ether, 4, "fees wait to be sold");
        _assertConserved(d);

        // two thirds of the fees are the operator's
        rewards.listToken(_steth(), 1e18, 0.9e18);
        _equipBuyer(2 ether);
        (uint256 sold, uint256 payment) = _buy(_steth(), 1 ether);
        assertEq(sold, 1 ether);
        assertApproxEqAbs(_pay(address(this)), payment * 2 / 3, 10);
        assertApproxEqAbs(_pay(treasury), payment / 3, 10);
        assertEq(_pay(address(this)) + _pay(treasury), payment, "to the wei");
        _assertConserved(d);
    }

    function test_AnyOtherTokenIsStockUntilItIsSold() public {
        d.tier.sync();
        uint256 value = d.tier.preview().value;
        uint256 fed = lido.getPooledEthByShares(1e27);
        _harvest(0, token, 1_000e18);
        assertEq(lido.getPooledEthByShares(1e27), fed, "no staking rewards came in the meantime");
        assertEq(rewards.stock(token).held, 1_000e18);
        assertEq(rewards.recorded(token), 1_000e18);
        // nothing is credited before its WETH is here
        assertEq(d.tier.preview().value, value);
        assertEq(_pay(address(this)), 0);
        _assertHeld(token);
    }

    function test_EveryTokenOfAClaimIsCountedOnce() public {
        (IERC20[] memory tokens, uint256[] memory amounts) = _three();
        rewards.harvest(_rewardAll(address(d.agents[1]), tokens, amounts));
        assertEq(rewards.stock(token).held, 7e18);
        assertEq(_pay(address(this)), 0.2 ether);
        _assertConserved(d);
    }

    function test_ATokenNamedTwiceIsRefused() public {
        (IERC20[] memory tokens, uint256[] memory amounts) = _three();
        tokens[2] = tokens[0];
        IRewardsCoordinator.RewardsMerkleClaim memory claim = _rewardAll(address(d.agents[1]), tokens, amounts);
        vm.expectRevert(abi.encodeWithSelector(IRewardsTypes.InvalidLeaves.selector, 3));
        rewards.harvest(claim);
        claim.tokenLeaves = new IRewardsCoordinator.TokenTreeMerkleLeaf[](0);
        vm.expectRevert(abi.encodeWithSelector(IRewardsTypes.InvalidLeaves.selector, 0));
        rewards.harvest(claim);
        claim.tokenLeaves = new IRewardsCoordinator.TokenTreeMerkleLeaf[](17);
        vm.expectRevert(abi.encodeWithSelector(IRewardsTypes.InvalidLeaves.selector, 17));
        rewards.harvest(claim);
    }

    function _three() private view returns (IERC20[] memory tokens, uint256[] memory amounts) {
        tokens = new IERC20[](3);
        (tokens[0], tokens[1], tokens[2]) = (_weth(), token, _steth());
        amounts = new uint256[](3);
        (amounts[0], amounts[1], amounts[2]) = (2 ether, 7e18, 3 ether);
    }

    // ---- what is refused

    function test_AForeignEarnerIsRefusedByName() public {
        IRewardsCoordinator.RewardsMerkleClaim memory claim = _reward(mallory, _weth(), 1 ether);
        vm.prank(mallory);
        coordinator.setClaimerFor(address(rewards));
        vm.expectRevert(abi.encodeWithSelector(IRewardsTypes.ForeignEarner.selector, mallory));
        rewards.harvest(claim);
    }

    function test_OnlyTheTiersRewardsClaimForAnAgent() public {
        address agent = address(d.agents[0]);
        assertEq(coordinator.claimerFor(agent), address(rewards));
        IRewardsCoordinator.RewardsMerkleClaim memory claim = _reward(agent, _weth(), 1 ether);
        vm.expectRevert(LocalRewardsCoordinator.UnauthorizedCaller.selector);
        coordinator.processClaim(claim, mallory);
    }

    function test_NothingIsHarvestedTwice() public {
        IRewardsCoordinator.RewardsMerkleClaim memory claim = _reward(address(d.agents[0]), _weth(), 1 ether);
        rewards.harvest(claim);
        uint256 paid = _pay(address(this));
        vm.expectRevert(LocalRewardsCoordinator.EarningsNotGreaterThanClaimed.selector);
        rewards.harvest(claim);
        assertEq(_pay(address(this)), paid);
        // amounts are cumulative: the next root pays the difference
        _harvest(0, _weth(), 3 ether);
        assertEq(_pay(address(this)), paid + 0.3 ether);
    }

    function test_ADisabledRootPaysNothing() public {
        IERC20[] memory tokens = new IERC20[](1);
        uint256[] memory amounts = new uint256[](1);
        (tokens[0], amounts[0]) = (_weth(), 1 ether);
        IRewardsCoordinator.RewardsMerkleClaim memory claim = _publish(address(d.agents[0]), tokens, amounts);
        vm.expectRevert(LocalRewardsCoordinator.RootNotActivated.selector);
        rewards.harvest(claim);
        coordinator.disableRoot(claim.rootIndex);
        _skip(ACTIVATION);
        vm.expectRevert(LocalRewardsCoordinator.RootDisabled.selector);
        rewards.harvest(claim);
        assertEq(_pay(address(this)), 0);
    }

    function test_APauseOfClaimsAtEigenLayerOnlyDelays() public {
        IRewardsCoordinator.RewardsMerkleClaim memory claim = _reward(address(d.agents[0]), _weth(), 1 ether);
        coordinator.pause(1 << 2);
        vm.expectRevert(LocalModule.CurrentlyPaused.selector);
        rewards.harvest(claim);
        coordinator.unpause(0);
        rewards.harvest(claim);
        assertEq(_pay(address(this)), 0.1 ether);
    }

    /// An AVS that calls from its registrar's callback meets the tier's lock.
    function test_WhileTheTierIsLockedNothingIsHarvested() public {
        LocalAVS avs = d.avss[0];
        uint32[] memory ids = new uint32[](1);
        ids[0] = 1;
        avs.eject(address(d.agents[0]), ids);
        _skip(DELAY + 1);
        IRewardsCoordinator.RewardsMerkleClaim memory claim = _reward(address(d.agents[0]), _weth(), 1 ether);
        avs.setBehaviour(LocalAVS.Behaviour.Call, LocalAVS.Behaviour.Accept);
        avs.setCallbackCall(address(rewards), abi.encodeCall(IRewards.harvest, (claim)));
        d.agents[0].register(OperatorSet(address(avs), 1), "");
        assertFalse(avs.lastCallSucceeded());
        assertEq(bytes4(avs.lastCallResult()), ITier.Locked.selector);
        rewards.harvest(claim);
        _assertConserved(d);
    }

    // ---- whatever state the tier is in

    function test_RewardsComeInWhileEntriesArePaused() public {
        d.tier.pauseEntries();
        _harvest(0, _weth(), 1 ether);
        assertEq(_pay(address(this)), 0.1 ether);
        _assertConserved(d);
    }

    /// During a Deficit rewards are gains of those who stay; they repay nobody's loss.
    function test_RewardsDuringADeficitAreGains() public {
        for (uint256 g; g < 8; ++g) {
            _slash(d, g, g / 4, 1e18);
        }
        d.tier.sync();
        ITier.Deficit memory open = d.tier.deficit();
        assertGt(open.closesAt, 0);
        IRewardsCoordinator.RewardsMerkleClaim memory claim = _reward(address(d.agents[0]), _weth(), 10 ether);
        d.tier.sync();
        Waterfall.Books memory before = d.tier.books();
        rewards.harvest(claim);
        Waterfall.Books memory b = d.tier.books();
        assertEq(b.senior, before.senior);
        assertGe(b.gains - before.gains, 8.5 ether);
        assertEq(d.tier.deficit().outstanding, open.outstanding);
        _assertConserved(d);
    }

    /// An agent that left the tier still has its last weeks' rewards to come.
    function test_RewardsOfARemovedAgentAreStillCollected() public {
        address late = factory.createAgent(address(d.tier), address(this), "");
        d.risk.removeAgent(d.risk.agentIndex(late));
        rewards.harvest(_reward(late, _weth(), 1 ether));
        assertEq(_pay(address(this)), 0, "its fee was never raised above 0");
        _assertConserved(d);
    }

    /// SPEC rule 12.
    function test_OneTiersRewardsNeverReachAnother() public {
        Deployment memory other = _createTier("Bold", 1);
        Rewards foreign = Rewards(factory.rewardsOf(address(other.tier)));
        assertTrue(address(foreign) != address(rewards));
        IRewardsCoordinator.RewardsMerkleClaim memory claim = _reward(address(d.agents[0]), _weth(), 1 ether);
        address agent = address(d.agents[0]);
        vm.expectRevert(abi.encodeWithSelector(IRewardsTypes.ForeignEarner.selector, agent));
        foreign.harvest(claim);
        uint256 value = other.tier.preview().value;
        rewards.harvest(claim);
        assertEq(other.tier.preview().value, value);
    }

    // ---- fees

    /// Fees are parts of the reward and of nothing else, and the parts add up to it.
    /// forge-config: default.fuzz.runs = 48
    function testFuzz_TheSplitAddsUpToTheWei(uint256 amount, uint16 operatorFee, uint16 protocolFee) public {
        amount = bound(amount, 1, 1_000 ether);
        operatorFee = uint16(bound(operatorFee, 0, OPERATOR_FEE));
        protocolFee = uint16(bound(protocolFee, 0, PROTOCOL_FEE));
        rewards.setOperatorFee(address(d.agents[0]), operatorFee);
        rewards.setProtocolFee(protocolFee);
        IRewardsCoordinator.RewardsMerkleClaim memory claim = _reward(address(d.agents[0]), _weth(), amount);
        d.tier.sync();
        uint256 value = d.tier.preview().value;
        rewards.harvest(claim);
        uint256 gain = d.tier.preview().value - value;
        assertEq(_pay(address(this)), amount * operatorFee / 10_000);
        assertEq(_pay(treasury), amount * protocolFee / 10_000);
        assertEq(gain + _pay(address(this)) + _pay(treasury), amount);
        assertEq(weth.balanceOf(address(rewards)), rewards.recorded(_weth()));
    }

    /// Staking yield is never charged.
    function test_StakingYieldPaysNoFee() public {
        lido.report{value: 1_000 ether}(1_000 ether);
        d.tier.sync();
        assertGt(_gains(), 0);
        assertEq(_pay(address(this)) + _pay(treasury), 0);
        assertEq(rewards.recorded(_weth()), 0);
    }

    /// A gift is no reward of an AVS.
    function test_WhatIsSentWithoutAClaimIsTheTiersWithoutAFee() public {
        d.tier.sync();
        uint256 before = _gains();
        weth.transfer(address(rewards), 1 ether);
        vm.prank(mallory);
        assertEq(rewards.absorb(_weth()), 1 ether);
        assertEq(_gains() - before, 1 ether);
        lido.submit{value: 2 ether}(address(0));
        lido.transfer(address(rewards), 1 ether);
        rewards.absorb(_steth());
        assertApproxEqAbs(_gains() - before, 2 ether, 4);
        token.mint(address(d.agents[0]), 5e18); // an airdrop to an agent
        assertEq(d.agents[0].sweep(token), 5e18);
        rewards.absorb(token);
        assertEq(rewards.stock(token).held, 5e18);
        assertEq(_pay(address(this)) + _pay(treasury), 0);
        vm.expectRevert(IRewardsTypes.NothingThere.selector);
        rewards.absorb(token);
        _assertConserved(d);
    }

    function test_AnAgentsStakingTokenIsNotSwept() public {
        vm.expectRevert(abi.encodeWithSignature("StakingTokenStays()"));
        d.agents[0].sweep(_steth());
    }
}
