// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

import {IDelegationManager, IStrategy} from "../../../contracts/interfaces/external/IEigenLayer.sol";
import {LocalAllocationManager} from "../../../contracts/local/eigenlayer/LocalAllocationManager.sol";
import {LocalDelegationManager} from "../../../contracts/local/eigenlayer/LocalDelegationManager.sol";
import {LocalModule} from "../../../contracts/local/eigenlayer/LocalModule.sol";
import {LocalPermissionController} from "../../../contracts/local/eigenlayer/LocalPermissionController.sol";
import {LocalStrategy} from "../../../contracts/local/eigenlayer/LocalStrategy.sol";
import {LocalStrategyFactory} from "../../../contracts/local/eigenlayer/LocalStrategyFactory.sol";
import {LocalStrategyManager} from "../../../contracts/local/eigenlayer/LocalStrategyManager.sol";
import {LocalEigenLayer} from "../../../contracts/local/eigenlayer/LocalEigenLayer.sol";
import {LocalLido} from "../../../contracts/local/lido/LocalLido.sol";
import {LocalEigenLayerBase} from "./LocalEigenLayerBase.t.sol";

/// Deposits, the scaling of shares, delegation, the withdrawal queue, and who may do what.
contract LocalEigenLayerStakeTest is LocalEigenLayerBase {
    address private staker = makeAddr("staker");

    // ---------------------------------------------------------------- strategies

    /// A share is worth (balance + 1000) / (shares + 1000), so a donation raises the price and buys nobody's deposit.
    function testFuzz_sharesArePricedByBalanceWithVirtualThousand(uint256 first, uint256 gift, uint256 second) public {
        first = bound(first, 1, 1e24);
        gift = bound(gift, 0, 1e24);
        second = bound(second, 1e18, 1e24);
        assertEq(_deposit(operator, first), first, "the first price is 1");
        token.mint(address(strategy), gift);
        assertEq(strategy.sharesToUnderlyingView(WAD), WAD * (first + gift + 1000) / (first + 1000));

        uint256 expected = second * (first + 1000) / (first + gift + 1000);
        if (expected == 0) return;
        assertEq(strategy.underlyingToSharesView(second), expected);
        assertEq(_deposit(staker, second), expected);
        LocalStrategy held = LocalStrategy(address(strategy));
        assertLe(held.userUnderlyingView(staker), second);
        assertGe(
            held.userUnderlyingView(staker), second - (first + gift + second + 1000) / (first + 1000) - 1, "one share"
        );
    }

    /// A deposit worth less than a share is refused, as are a foreign token and a strategy that is not whitelisted.
    function test_badDepositsAreRefused() public {
        _deposit(operator, 1);
        token.mint(address(strategy), 1e18);
        token.mint(staker, 1e18);
        vm.startPrank(staker);
        token.approve(address(sm), 1e18);
        vm.expectRevert(LocalStrategy.NewSharesZero.selector);
        sm.depositIntoStrategy(strategy, token, 1e12);
        vm.expectRevert(LocalStrategy.OnlyUnderlyingToken.selector);
        sm.depositIntoStrategy(otherStrategy, token, 1e18);
        LocalStrategy stray = new LocalStrategy(core, token);
        vm.expectRevert(LocalStrategyManager.StrategyNotWhitelisted.selector);
        sm.depositIntoStrategy(stray, token, 1e18);
        vm.expectRevert(LocalStrategy.OnlyStrategyManager.selector);
        LocalStrategy(address(strategy)).withdraw(staker, token, 1);
        vm.stopPrank();
    }

    /// The factory makes one strategy per token, for anybody.
    function test_oneStrategyPerToken() public {
        assertEq(address(core.strategyFactory().deployedStrategies(token)), address(strategy));
        assertTrue(sm.strategyIsWhitelistedForDeposit(strategy));
        LocalStrategyFactory factory = core.strategyFactory();
        vm.prank(outsider);
        vm.expectRevert(LocalStrategyFactory.StrategyAlreadyExists.selector);
        factory.deployNewStrategy(token);
        vm.prank(outsider);
        vm.expectRevert(LocalStrategyManager.OnlyStrategyWhitelister.selector);
        sm.addStrategiesToDepositWhitelist(_list(strategy));
    }

    /// stETH brings a wei or two less than it was told; shares are counted by the nominal amount, and a rebase moves
    /// the value of all of them.
    function testFuzz_stethRoundsAndRebases(uint96 reward, uint96 amount) public {
        LocalLido lido = new LocalLido{value: 10 ether}(address(this));
        reward = uint96(bound(reward, 1, 10 ether));
        amount = uint96(bound(amount, 1 ether, 1000 ether));
        lido.report{value: reward}(int256(uint256(reward)));
        IStrategy steth = core.strategyFactory().deployNewStrategy(lido);
        vm.deal(operator, 2000 ether);
        vm.startPrank(operator);
        lido.submit{value: 2000 ether}(address(0));
        lido.approve(address(sm), type(uint256).max);
        sm.depositIntoStrategy(steth, lido, amount);
        uint256 shares = steth.totalShares();
        uint256 before = lido.balanceOf(address(steth));
        uint256 got = sm.depositIntoStrategy(steth, lido, amount);
        vm.stopPrank();
        uint256 arrived = lido.balanceOf(address(steth)) - before;
        assertApproxEqAbs(arrived, amount, 2);
        assertEq(got, uint256(amount) * (shares + 1000) / (before + arrived + 1000 - amount));

        uint256 value = steth.sharesToUnderlyingView(WAD);
        lido.report{value: 1 ether}(1 ether);
        assertGt(steth.sharesToUnderlyingView(WAD), value);
    }

    // ---------------------------------------------------------------- scaling

    /// k' = (a + d) / ((s + d) * m): a deposit after a slash keeps the value of both, but for a few wei.
    function testFuzz_depositAfterASlashKeepsTheValueOfBoth(uint256 s, uint256 d, uint64 magnitude, uint256 wad)
        public
    {
        s = bound(s, 1e9, 1e24);
        d = bound(d, 1e9, 1e24);
        magnitude = uint64(bound(magnitude, 1, 0.9e18));
        wad = bound(wad, 1, WAD);
        _deposit(operator, s);
        _join(1);
        _allocate(1, magnitude);
        _slash(1, wad);
        uint256 a = _withdrawable(operator);
        uint256 m = am.getMaxMagnitude(operator, strategy);

        uint256 got = _deposit(operator, d);
        assertEq(dm.depositScalingFactor(operator, strategy), (a + got) * WAD / (s + got) * WAD / m);
        assertLe(_withdrawable(operator), a + got, "nothing is won");
        assertGe(_withdrawable(operator) + 2 * (s + got) / WAD + 2, a + got, "next to nothing is lost");
    }

    /// The first deposit after a slash counts in full: k = 1/m.
    function test_firstDepositAfterASlashCountsInFull() public {
        _join(1);
        _allocate(1, 1e18);
        _slash(1, 0.5e18);
        _deposit(operator, 10e18);
        assertEq(dm.depositScalingFactor(operator, strategy), 2e18);
        assertEq(_withdrawable(operator), 10e18);
    }

    /// k starts again at 1 when the last deposit share is queued, not before.
    function test_scalingStartsAgainWhenNothingIsLeft() public {
        _join(1);
        _allocate(1, 0.5e18);
        _deposit(operator, 10e18);
        _slash(1, 0.5e18);
        _deposit(operator, 10e18);
        uint256 k = dm.depositScalingFactor(operator, strategy);
        assertGt(k, WAD);
        _queue(20e18 - 1);
        assertEq(dm.depositScalingFactor(operator, strategy), k);
        _queue(1);
        assertEq(dm.depositScalingFactor(operator, strategy), WAD);
    }

    /// What convertToDepositShares says, queued, is worth what was asked or a few wei less, and no more.
    function testFuzz_conversionQueuesWhatWasAsked_orSlightlyLess(uint256 wad, uint256 ask) public {
        wad = bound(wad, 1, 0.999e18);
        _deposit(operator, 50e18);
        _join(1);
        _allocate(1, 1e18);
        _slash(1, wad);
        _deposit(operator, 50e18);
        ask = bound(ask, 1e6, _withdrawable(operator));
        uint256 k = dm.depositScalingFactor(operator, strategy);
        uint256[] memory shares = dm.convertToDepositShares(operator, _list(strategy), _list(ask));
        IDelegationManager.Withdrawal memory w = _queue(shares[0]);
        (, uint256[] memory worth) = dm.getQueuedWithdrawal(dm.calculateWithdrawalRoot(w));
        assertLe(worth[0], ask);
        // The first division loses less than a unit, which is worth k; the second less than one, which is worth k * m.
        assertGe(worth[0] + k / WAD + k * am.getMaxMagnitude(operator, strategy) / WAD / WAD + 4, ask);
    }

    // ---------------------------------------------------------------- queue

    /// Completion needs a block after startBlock + delay.
    function test_completionNeedsABlockAfterTheDelay() public {
        _deposit(operator, 10e18);
        IDelegationManager.Withdrawal memory w = _queue(4e18);
        assertEq(w.startBlock, block.number);
        vm.roll(uint256(w.startBlock) + WITHDRAWAL_DELAY);
        _expectCompleteRevert(w, operator, LocalDelegationManager.WithdrawalDelayNotElapsed.selector);
        vm.roll(uint256(w.startBlock) + WITHDRAWAL_DELAY + 1);
        _complete(w, true);
        assertEq(token.balanceOf(operator), 4e18);
        _expectCompleteRevert(w, operator, LocalDelegationManager.WithdrawalNotQueued.selector);
    }

    /// A slash in block startBlock + delay still takes from the queue, one block later none does.
    function test_slashesReachTheQueueThroughTheLastBlockOfTheDelay() public {
        _deposit(operator, 10e18);
        _join(1);
        _allocate(1, 0.8e18);
        IDelegationManager.Withdrawal memory w = _queue(10e18);
        bytes32 root = dm.calculateWithdrawalRoot(w);

        vm.roll(uint256(w.startBlock) + WITHDRAWAL_DELAY);
        assertEq(dm.getSlashableSharesInQueue(operator, strategy), 10e18);
        (, uint256 taken) = _slash(1, 0.25e18);
        assertEq(taken, 2e18);
        (, uint256[] memory worth) = dm.getQueuedWithdrawal(root);
        assertEq(worth[0], 8e18);

        vm.roll(uint256(w.startBlock) + WITHDRAWAL_DELAY + 1);
        assertEq(dm.getSlashableSharesInQueue(operator, strategy), 0);
        (, taken) = _slash(1, 0.5e18);
        assertEq(taken, 0);
        (, worth) = dm.getQueuedWithdrawal(root);
        assertEq(worth[0], 8e18);
        _complete(w, true);
        assertEq(token.balanceOf(operator), 8e18);
    }

    /// The payout is scaledShares times the magnitude at the end of the delay, whatever happened before and after.
    function testFuzz_payoutIsScaledSharesTimesTheMagnitudeAtTheEnd(uint256 wad1, uint256 wad2, uint256 wad3) public {
        wad1 = bound(wad1, 1, 0.99e18);
        wad2 = bound(wad2, 1, 0.99e18);
        wad3 = bound(wad3, 1, 0.99e18);
        _deposit(operator, 10e18);
        _join(1);
        _allocate(1, 0.9e18);
        _slash(1, wad1);
        _deposit(operator, 5e18);
        uint256 k = dm.depositScalingFactor(operator, strategy);
        IDelegationManager.Withdrawal memory w = _queue(7e18);
        assertEq(w.scaledShares[0], 7e18 * k / WAD);
        vm.roll(block.number + 1000);
        _slash(1, wad2);
        uint256 m = am.getMaxMagnitude(operator, strategy);
        vm.roll(uint256(w.startBlock) + WITHDRAWAL_DELAY + 1);
        _slash(1, wad3);
        uint256 expected = strategy.sharesToUnderlyingView(w.scaledShares[0] * m / WAD);
        _complete(w, true);
        assertEq(token.balanceOf(operator), expected);
    }

    /// The queue lists every withdrawal with what it would pay, in both ways, until it is completed.
    function test_theQueueCanBeEnumerated() public {
        _deposit(operator, 10e18);
        IDelegationManager.Withdrawal memory first = _queue(1e18);
        IDelegationManager.Withdrawal memory second = _queue(2e18);
        assertEq(first.nonce, 0);
        assertEq(second.nonce, 1);
        assertEq(dm.cumulativeWithdrawalsQueued(operator), 2);
        assertEq(first.withdrawer, operator);
        assertEq(first.delegatedTo, operator);
        (IDelegationManager.Withdrawal[] memory all, uint256[][] memory worth) = dm.getQueuedWithdrawals(operator);
        assertEq(all.length, 2);
        assertEq(worth[0][0] + worth[1][0], 3e18);
        bytes32[] memory roots = dm.getQueuedWithdrawalRoots(operator);
        assertEq(roots.length, 2);
        for (uint256 i; i < 2; ++i) {
            assertEq(roots[i], keccak256(abi.encode(all[i])));
            assertTrue(dm.pendingWithdrawals(roots[i]));
        }
        vm.roll(block.number + WITHDRAWAL_DELAY + 1);
        _complete(first, true);
        assertEq(dm.getQueuedWithdrawalRoots(operator).length, 1);
        (IDelegationManager.Withdrawal memory gone,) = dm.getQueuedWithdrawal(dm.calculateWithdrawalRoot(first));
        assertEq(gone.staker, address(0));
    }

    /// A withdrawal completed as shares is stake again, at its value.
    function test_completedAsSharesItIsStakeAgain() public {
        _deposit(operator, 10e18);
        _join(1);
        _allocate(1, 0.5e18);
        IDelegationManager.Withdrawal memory w = _queue(6e18);
        assertEq(dm.operatorShares(operator, strategy), 4e18);
        _slash(1, 0.2e18);
        vm.roll(block.number + WITHDRAWAL_DELAY + 1);
        _complete(w, false);
        assertApproxEqAbs(_withdrawable(operator), 9e18, 20);
        assertEq(dm.operatorShares(operator, strategy), 9e18);
        assertEq(token.balanceOf(operator), 0);
    }

    /// Nobody else completes or queues for the staker, nothing and more than there is cannot be queued.
    function test_badQueueCallsAreRefused() public {
        _deposit(operator, 10e18);
        IDelegationManager.Withdrawal memory w = _queue(1e18);
        vm.roll(block.number + WITHDRAWAL_DELAY + 1);
        _expectCompleteRevert(w, outsider, LocalDelegationManager.WithdrawerNotCaller.selector);
        w.scaledShares[0] += 1;
        _expectCompleteRevert(w, operator, LocalDelegationManager.WithdrawalNotQueued.selector);

        IDelegationManager.QueuedWithdrawalParams[] memory params = new IDelegationManager.QueuedWithdrawalParams[](1);
        params[0] = IDelegationManager.QueuedWithdrawalParams(_list(strategy), _list(0), operator);
        _expectQueueRevert(params, LocalStrategyManager.SharesAmountZero.selector);
        params[0].depositShares[0] = 9e18 + 1;
        vm.prank(operator);
        vm.expectRevert();
        dm.queueWithdrawals(params);
        params[0].depositShares = new uint256[](2);
        _expectQueueRevert(params, LocalDelegationManager.InputArrayLengthMismatch.selector);
        params[0] = IDelegationManager.QueuedWithdrawalParams(new IStrategy[](0), new uint256[](0), operator);
        _expectQueueRevert(params, LocalDelegationManager.InputArrayLengthZero.selector);
    }

    /// Deposits, queueing, completing and delegating have pause bits of their own.
    function test_pauseBitsOfStake() public {
        _deposit(operator, 10e18);
        IDelegationManager.Withdrawal memory w = _queue(1e18);
        vm.roll(block.number + WITHDRAWAL_DELAY + 1);
        vm.startPrank(owner);
        sm.pause(1 << 0);
        dm.pause((1 << 0) | (1 << 1) | (1 << 2));
        vm.stopPrank();

        vm.prank(operator);
        vm.expectRevert(LocalModule.CurrentlyPaused.selector);
        sm.depositIntoStrategy(strategy, token, 1);
        IDelegationManager.QueuedWithdrawalParams[] memory params = new IDelegationManager.QueuedWithdrawalParams[](1);
        params[0] = IDelegationManager.QueuedWithdrawalParams(_list(strategy), _list(1), operator);
        _expectQueueRevert(params, LocalModule.CurrentlyPaused.selector);
        _expectCompleteRevert(w, operator, LocalModule.CurrentlyPaused.selector);
        vm.prank(staker);
        vm.expectRevert(LocalModule.CurrentlyPaused.selector);
        dm.registerAsOperator(staker, 0, "");

        vm.startPrank(owner);
        sm.unpause(0);
        dm.unpause(1 << 0);
        vm.stopPrank();
        _queue(1);
        _complete(w, true);
        _deposit(operator, 1e18);
    }

    // ---------------------------------------------------------------- delegation and rights

    /// An operator delegates to itself for good; whoever delegates cannot become one.
    function test_anOperatorDelegatesToItselfForGood() public {
        assertTrue(dm.isOperator(operator));
        assertEq(dm.delegatedTo(operator), operator);
        assertEq(dm.delegationApprover(operator), operator);
        vm.startPrank(operator);
        vm.expectRevert(LocalDelegationManager.ActivelyDelegated.selector);
        dm.registerAsOperator(operator, 0, "");
        vm.expectRevert(LocalDelegationManager.OperatorsCannotUndelegate.selector);
        dm.undelegate(operator);
        vm.stopPrank();
    }

    /// Nobody else delegates to an operator that is its own approver.
    function test_anOutsiderCannotDelegateToAnOperatorThatApprovesItself() public {
        LocalDelegationManager.SignatureWithExpiry memory none =
            LocalDelegationManager.SignatureWithExpiry("", type(uint256).max);
        vm.prank(staker);
        vm.expectRevert(LocalDelegationManager.InvalidSignature.selector);
        dm.delegateTo(operator, none, bytes32(0));
        vm.prank(staker);
        vm.expectRevert(LocalDelegationManager.OperatorNotRegistered.selector);
        dm.delegateTo(outsider, none, bytes32(0));
    }

    /// A staker of an open operator shares its losses, is thrown out by it, and leaves through the queue.
    function test_aStakerDelegatesAndIsThrownOut() public {
        address open = makeAddr("open operator");
        vm.prank(open);
        dm.registerAsOperator(address(0), 0, "");
        _deposit(staker, 10e18);
        vm.prank(staker);
        dm.delegateTo(open, LocalDelegationManager.SignatureWithExpiry("", 0), bytes32(0));
        assertEq(dm.operatorShares(open, strategy), 10e18);

        vm.prank(outsider);
        vm.expectRevert(LocalDelegationManager.CallerCannotUndelegate.selector);
        dm.undelegate(staker);
        vm.expectEmit(address(dm));
        emit LocalDelegationManager.StakerForceUndelegated(staker, open);
        vm.prank(open);
        bytes32[] memory roots = dm.undelegate(staker);
        assertEq(roots.length, 1);
        assertEq(dm.delegatedTo(staker), address(0));
        assertEq(dm.operatorShares(open, strategy), 0);
        (IDelegationManager.Withdrawal memory w,) = dm.getQueuedWithdrawal(roots[0]);
        vm.roll(block.number + WITHDRAWAL_DELAY + 1);
        _complete(w, true);
        assertEq(token.balanceOf(staker), 10e18);
        vm.prank(staker);
        vm.expectRevert(LocalDelegationManager.NotActivelyDelegated.selector);
        dm.undelegate(staker);
    }

    /// An appointee has one selector of one target; the account gives it and takes it.
    function test_appointeesHaveOneSelectorOfOneTarget() public {
        bytes4 selector = LocalAllocationManager.setAllocationDelay.selector;
        vm.prank(outsider);
        vm.expectRevert(LocalModule.InvalidPermissions.selector);
        am.setAllocationDelay(operator, 1);

        vm.prank(outsider);
        vm.expectRevert(LocalPermissionController.NotAdmin.selector);
        pc.setAppointee(operator, outsider, address(am), selector);
        vm.startPrank(operator);
        pc.setAppointee(operator, outsider, address(am), selector);
        vm.expectRevert(LocalPermissionController.AppointeeAlreadySet.selector);
        pc.setAppointee(operator, outsider, address(am), selector);
        vm.stopPrank();
        assertTrue(pc.canCall(operator, outsider, address(am), selector));
        assertTrue(pc.canCall(operator, operator, address(dm), bytes4(0)), "the account itself may everything");
        assertFalse(pc.canCall(operator, outsider, address(dm), selector));
        assertFalse(pc.canCall(operator, outsider, address(am), LocalAllocationManager.modifyAllocations.selector));
        assertFalse(pc.canCall(staker, outsider, address(am), selector));
        vm.prank(outsider);
        am.setAllocationDelay(operator, 1);

        vm.startPrank(operator);
        pc.removeAppointee(operator, outsider, address(am), selector);
        vm.expectRevert(LocalPermissionController.AppointeeNotSet.selector);
        pc.removeAppointee(operator, outsider, address(am), selector);
        vm.stopPrank();
        assertFalse(pc.canCall(operator, outsider, address(am), selector));
    }

    /// An appointee publishes metadata for the operator; an outsider allocates nothing for it.
    function test_rightsAreCheckedWhereTheyCount() public {
        vm.prank(outsider);
        vm.expectRevert(LocalModule.InvalidPermissions.selector);
        dm.updateOperatorMetadataURI(operator, "ipfs://x");
        vm.prank(operator);
        pc.setAppointee(operator, outsider, address(dm), LocalDelegationManager.updateOperatorMetadataURI.selector);
        vm.expectEmit(address(dm));
        emit LocalDelegationManager.OperatorMetadataURIUpdated(operator, "ipfs://x");
        vm.prank(outsider);
        dm.updateOperatorMetadataURI(operator, "ipfs://x");

        vm.prank(outsider);
        vm.expectRevert(LocalModule.InvalidPermissions.selector);
        am.modifyAllocations(operator, _noAllocations());
    }

    /// The contracts obey only each other.
    function test_internalCallsAreForEachOtherOnly() public {
        LocalStrategyFactory factory = core.strategyFactory();
        vm.startPrank(outsider);
        vm.expectRevert(LocalStrategyManager.OnlyDelegationManager.selector);
        sm.addShares(outsider, strategy, 1);
        vm.expectRevert(LocalStrategyManager.OnlyDelegationManager.selector);
        sm.removeDepositShares(operator, strategy, 1);
        vm.expectRevert(LocalStrategyManager.OnlyDelegationManager.selector);
        sm.withdrawSharesAsTokens(outsider, strategy, token, 1);
        vm.expectRevert(LocalStrategyManager.OnlyDelegationManager.selector);
        sm.increaseBurnOrRedistributableShares(_set(1), 1, strategy, 1);
        vm.expectRevert(LocalDelegationManager.OnlyStrategyManagerOrEigenPodManager.selector);
        dm.increaseDelegatedShares(outsider, strategy, 0, 1);
        vm.expectRevert(LocalDelegationManager.OnlyAllocationManager.selector);
        dm.slashOperatorShares(operator, _set(1), 1, strategy, 2, 1);
        vm.expectRevert(LocalEigenLayer.CannotFill.selector);
        core.fill(am, dm, sm, factory, pc, rc);
        vm.stopPrank();
        vm.expectRevert(LocalEigenLayer.CannotFill.selector);
        core.fill(am, dm, sm, factory, pc, rc);
    }

    function _noAllocations() private pure returns (LocalAllocationManager.AllocateParams[] memory) {
        return new LocalAllocationManager.AllocateParams[](0);
    }

    function _expectCompleteRevert(IDelegationManager.Withdrawal memory w, address who, bytes4 error) private {
        IERC20[] memory tokens = new IERC20[](1);
        tokens[0] = token;
        vm.prank(who);
        vm.expectRevert(error);
        dm.completeQueuedWithdrawal(w, tokens, true);
    }

    function _expectQueueRevert(IDelegationManager.QueuedWithdrawalParams[] memory params, bytes4 error) private {
        vm.prank(operator);
        vm.expectRevert(error);
        dm.queueWithdrawals(params);
    }
}
