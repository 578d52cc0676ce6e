// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {Test} from "forge-std/Test.sol";

import {LocalWETH} from "../../../contracts/local/LocalWETH.sol";

contract LocalWETHTest is Test {
    LocalWETH private weth;
    address private alice = makeAddr("alice");
    uint256 private received;
    bool private greedy;

    /// Two storage writes need more than the stipend of a plain transfer.
    receive() external payable {
        if (greedy) received += msg.value;
    }

    function setUp() public {
        weth = new LocalWETH();
        vm.deal(address(this), 100 ether);
    }

    function testFuzz_wrapsAndUnwrapsOneForOne(uint256 amount, uint256 back) public {
        amount = bound(amount, 0, 100 ether);
        back = bound(back, 0, amount);
        weth.deposit{value: amount}();
        assertEq(weth.balanceOf(address(this)), amount);
        weth.withdraw(back);
        assertEq(weth.balanceOf(address(this)), amount - back);
        assertEq(weth.totalSupply(), amount - back);
        assertEq(address(this).balance, 100 ether - amount + back);
        vm.expectRevert(
            abi.encodeWithSelector(
                IERC20Errors.ERC20InsufficientBalance.selector, address(this), amount - back, amount - back + 1
            )
        );
        weth.withdraw(amount - back + 1);
    }

    function test_plainEtherAndUnknownCallsAreDeposits() public {
        (bool sent,) = address(weth).call{value: 1 ether}("");
        assertTrue(sent);
        IERC20Permit(address(weth)).permit(address(this), alice, 1, block.timestamp, 0, 0, 0);
        assertEq(weth.balanceOf(address(this)), 1 ether);
        assertEq(weth.allowance(address(this), alice), 0);
    }

    function test_ownerMovesHisTokensWithoutAnAllowanceAndOthersDoNot() public {
        weth.deposit{value: 2 ether}();
        weth.transferFrom(address(this), alice, 1 ether);
        assertEq(weth.balanceOf(alice), 1 ether);
        vm.expectRevert(
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, address(this), 0, 1 ether)
        );
        weth.transferFrom(alice, address(this), 1 ether);
    }

    /// As on mainnet, a receiver that does more than take the ETH cannot unwrap.
    function test_unwrappingForwardsTheStipendOnly() public {
        weth.deposit{value: 1 ether}();
        greedy = true;
        vm.expectRevert();
        weth.withdraw(1 ether);
        greedy = false;
        weth.withdraw(1 ether);
    }
}
