// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {Test} from "forge-std/Test.sol";

import {LocalLido} from "../../../contracts/local/lido/LocalLido.sol";

contract LocalLidoTest is Test {
    uint256 private constant SEED = 10 ether;

    LocalLido private lido;
    address private alice = makeAddr("alice");
    address private bob = makeAddr("bob");

    receive() external payable {}

    function setUp() public {
        vm.deal(address(this), 1e9 ether);
        vm.deal(alice, 1e6 ether);
        lido = new LocalLido{value: SEED}(address(this));
    }

    /// The seed makes the rate 1 and belongs to nobody.
    function test_seedDefinesTheRate() public {
        assertEq(lido.getTotalShares(), SEED);
        assertEq(lido.totalSupply(), SEED);
        assertEq(lido.sharesOf(lido.INITIAL_TOKEN_HOLDER()), SEED);
        assertEq(lido.getPooledEthByShares(1 ether), 1 ether);
        vm.expectRevert(abi.encodeWithSelector(LocalLido.SeedTooSmall.selector, 999, 1000));
        new LocalLido{value: 999}(address(this));
    }

    /// Staking at any rate credits floor(value * shares / pooled) shares, worth the value or up to two wei less.
    function testFuzz_submitCreditsSharesRoundedDown(uint256 value, int256 change) public {
        _setRate(change);
        value = bound(value, 1, 1e5 ether);
        uint256 shares = value * lido.getTotalShares() / lido.getTotalPooledEther();
        vm.prank(alice);
        assertEq(lido.submit{value: value}(bob), shares);
        assertEq(lido.sharesOf(alice), shares);
        assertLe(lido.balanceOf(alice), value);
        assertApproxEqAbs(lido.balanceOf(alice), value, 2);
    }

    /// A transfer moves whole shares: the receiver may get up to two wei less than was named, and never more.
    function testFuzz_transferMovesWholeShares(uint256 stake, uint256 amount, int256 change) public {
        stake = bound(stake, 1000, 1e5 ether);
        vm.prank(alice);
        lido.submit{value: stake}(address(0));
        _setRate(change);
        amount = bound(amount, 0, lido.balanceOf(alice));

        uint256 moved = amount * lido.getTotalShares() / lido.getTotalPooledEther();
        uint256 held = lido.sharesOf(alice);
        vm.prank(alice);
        lido.transfer(bob, amount);
        assertEq(lido.sharesOf(bob), moved);
        assertEq(lido.sharesOf(alice), held - moved);
        assertLe(lido.balanceOf(bob), amount);
        assertApproxEqAbs(lido.balanceOf(bob), amount, 2);
    }

    /// Whatever moves, the sum of all balances never exceeds the supply, and the supply is the ETH held.
    function testFuzz_balancesNeverExceedTheSupply(uint256[6] memory amounts, int256 change) public {
        for (uint256 i = 0; i < amounts.length; ++i) {
            vm.prank(alice);
            lido.submit{value: bound(amounts[i], 1, 1e4 ether)}(address(0));
            if (i == 2) _setRate(change);
            uint256 amount = bound(amounts[i], 0, lido.balanceOf(alice));
            vm.prank(alice);
            lido.transfer(bob, amount);
        }
        uint256 sum = lido.balanceOf(alice) + lido.balanceOf(bob) + lido.balanceOf(lido.INITIAL_TOKEN_HOLDER());
        assertLe(sum, lido.totalSupply());
        assertApproxEqAbs(sum, lido.totalSupply(), 3);
        assertEq(address(lido).balance, lido.totalSupply());
    }

    /// `transferShares` moves exactly and returns the value.
    function test_transferSharesIsExact() public {
        vm.prank(alice);
        lido.submit{value: 5 ether}(address(0));
        lido.report{value: 1 ether}(1 ether);
        vm.prank(alice);
        uint256 value = lido.transferShares(bob, 1 ether + 1);
        assertEq(lido.sharesOf(bob), 1 ether + 1);
        assertEq(value, lido.getPooledEthByShares(1 ether + 1));
        assertEq(lido.balanceOf(bob), value);
    }

    function test_transferRefusesMoreThanTheBalanceAndStuckReceivers() public {
        vm.startPrank(alice);
        lido.submit{value: 1 ether}(address(0));
        vm.expectRevert(
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientBalance.selector, alice, 1 ether, 1 ether + 1)
        );
        lido.transfer(bob, 1 ether + 1);
        vm.expectRevert(abi.encodeWithSelector(IERC20Errors.ERC20InvalidReceiver.selector, address(0)));
        lido.transfer(address(0), 1);
        vm.expectRevert(abi.encodeWithSelector(IERC20Errors.ERC20InvalidReceiver.selector, address(lido)));
        lido.transfer(address(lido), 1);
        vm.stopPrank();
    }

    function test_allowanceIsSpentAndAnUnlimitedOneStays() public {
        vm.startPrank(alice);
        lido.submit{value: 3 ether}(address(0));
        lido.approve(bob, 1 ether);
        vm.stopPrank();
        vm.startPrank(bob);
        lido.transferFrom(alice, bob, 0.4 ether);
        assertEq(lido.allowance(alice, bob), 0.6 ether);
        vm.expectRevert(
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, bob, 0.6 ether, 0.6 ether + 1)
        );
        lido.transferFrom(alice, bob, 0.6 ether + 1);
        vm.stopPrank();
        vm.prank(alice);
        lido.approve(bob, type(uint256).max);
        vm.prank(bob);
        lido.transferFrom(alice, bob, 1 ether);
        assertEq(lido.allowance(alice, bob), type(uint256).max);
    }

    /// Rewards and losses change every balance in proportion, and no shares.
    function test_reportRebasesEveryHolderAlike() public {
        vm.prank(alice);
        lido.submit{value: 30 ether}(address(0));
        lido.report{value: 4 ether}(4 ether);
        assertEq(lido.balanceOf(alice), 33 ether);
        assertEq(lido.sharesOf(alice), 30 ether);
        lido.report(-11 ether);
        assertEq(lido.balanceOf(alice), uint256(30 ether) * 33 / 40);
        assertEq(address(lido).balance, lido.totalSupply());
    }

    function test_reportNeedsItsEthAndItsOwner() public {
        vm.expectRevert(abi.encodeWithSelector(LocalLido.WrongReportValue.selector, 1, 2));
        lido.report{value: 1}(2);
        vm.expectRevert(abi.encodeWithSelector(LocalLido.WrongReportValue.selector, 1, 0));
        lido.report{value: 1}(-1);
        vm.expectRevert(abi.encodeWithSelector(LocalLido.LossTooLarge.selector, SEED, SEED));
        lido.report(-int256(SEED));
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, alice));
        lido.report(-1);
    }

    /// Without a limit anything may be staked; the limit passes, one wei more reverts, and blocks refill it to the top.
    function test_stakeLimitIsExactAndRefillsPerBlock() public {
        assertEq(lido.getCurrentStakeLimit(), type(uint256).max);
        lido.setStakingLimit(100 ether, 2 ether);
        assertEq(lido.getCurrentStakeLimit(), 100 ether);
        vm.startPrank(alice);
        vm.expectRevert(abi.encodeWithSelector(LocalLido.StakeLimitExceeded.selector, 100 ether + 1, 100 ether));
        lido.submit{value: 100 ether + 1}(address(0));
        lido.submit{value: 100 ether}(address(0));
        assertEq(lido.getCurrentStakeLimit(), 0);
        vm.expectRevert(abi.encodeWithSelector(LocalLido.StakeLimitExceeded.selector, 1, 0));
        lido.submit{value: 1}(address(0));
        vm.roll(block.number + 7);
        assertEq(lido.getCurrentStakeLimit(), 14 ether);
        lido.submit{value: 14 ether}(address(0));
        vm.roll(block.number + 1000);
        assertEq(lido.getCurrentStakeLimit(), 100 ether);
        vm.stopPrank();
        lido.removeStakingLimit();
        assertEq(lido.getCurrentStakeLimit(), type(uint256).max);
        vm.expectRevert(abi.encodeWithSelector(LocalLido.InvalidStakeLimit.selector, 0, 0));
        lido.setStakingLimit(0, 0);
        vm.expectRevert(abi.encodeWithSelector(LocalLido.InvalidStakeLimit.selector, 1, 2));
        lido.setStakingLimit(1, 2);
    }

    /// While paused the limit is 0, staking in either way reverts, and transfers go on.
    function test_pauseStopsStakingOnly() public {
        vm.prank(alice);
        lido.submit{value: 1 ether}(address(0));
        lido.pauseStaking();
        assertEq(lido.getCurrentStakeLimit(), 0);
        vm.startPrank(alice);
        vm.expectRevert(LocalLido.StakingIsPaused.selector);
        lido.submit{value: 1 ether}(address(0));
        vm.expectRevert(LocalLido.StakingIsPaused.selector);
        payable(address(lido)).transfer(0.1 ether);
        lido.transfer(bob, 1 ether);
        vm.stopPrank();
        lido.resumeStaking();
        vm.prank(alice);
        lido.submit{value: 1 ether}(address(0));
    }

    function test_plainEtherIsStakedAndNothingIsRefused() public {
        vm.startPrank(alice);
        (bool sent,) = address(lido).call{value: 2 ether}("");
        assertTrue(sent);
        assertEq(lido.balanceOf(alice), 2 ether);
        vm.expectRevert(LocalLido.ZeroDeposit.selector);
        lido.submit(address(0));
        vm.stopPrank();
    }

    function test_onlyTheQueueIsPaid() public {
        vm.expectRevert(abi.encodeWithSelector(LocalLido.OnlyWithdrawalQueue.selector, address(this)));
        lido.payWithdrawals(0, 0);
    }

    /// Sets a rate between 0.5 and 1.5 ETH a share, by rewards or a loss.
    function _setRate(int256 change) private {
        int256 half = int256(lido.getTotalPooledEther() / 2);
        change = bound(change, -half, half);
        lido.report{value: change > 0 ? uint256(change) : 0}(change);
    }
}
