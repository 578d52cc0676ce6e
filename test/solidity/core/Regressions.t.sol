// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ProtocolFixture} from "./ProtocolFixture.sol";

/// @title Faults that the invariants found
/// @notice Each with the smallest life that shows it.
contract RegressionsTest is ProtocolFixture {
    Deployment private d;
    address private alice = makeAddr("alice");
    address private bob = makeAddr("bob");

    function setUp() public {
        _deployProtocol();
        Deployment memory x = _createTier("Careful", 2);
        _equip(x, 4, 4, 0.25e18, 2);
        (d.tier, d.senior, d.junior, d.risk) = (x.tier, x.senior, x.junior, x.risk);
        (d.stakes, d.allocator, d.mandate, d.module) = (x.stakes, x.allocator, x.mandate, x.module);
        for (uint256 i; i < x.agents.length; ++i) {
            d.agents.push(x.agents[i]);
        }
        for (uint256 i; i < x.avss.length; ++i) {
            d.avss.push(x.avss[i]);
        }
    }

    /// @dev Staking tokens sent to an agent were restaked with the next deployment, beyond the limit, which then reverted.
    function test_ADonationToAnAgentDoesNotBlockADeploymentAtTheLimit() public {
        _deposit(d.junior, bob, 100 ether);
        _deposit(d.senior, alice, d.senior.maxDeposit(alice));
        for (uint256 i; i < 4; ++i) {
            d.stakes.deploy(i, 20 ether);
        }
        _allocateAll(d, 4, 0.25e18);
        vm.prank(bob);
        d.junior.requestRedeem(50 ether, bob, bob);
        lido.transferShares(address(d.agents[0]), lido.submit{value: 1 ether}(address(0)));
        d.stakes.deploy(0, d.stakes.deployLimit(0));
    }

    /// @dev The whole deployment limit left U a wei above 1: restaking rounds, and the rounding fell on the cover.
    function test_ADeploymentLimitGivenByCoverPassesTheGate() public {
        lido.report{value: 123_456.789012345678901234 ether}(123_456.789012345678901234 ether); // a rate that rounds
        _deposit(d.junior, bob, 100 ether);
        _deposit(d.senior, alice, d.senior.maxDeposit(alice));
        for (uint256 i; i < 4; ++i) {
            d.stakes.deploy(i, 20 ether);
        }
        _allocateAll(d, 4, 0.25e18);
        for (uint256 i; i < 20; ++i) {
            uint256 snapshot = vm.snapshotState();
            vm.prank(bob);
            d.junior.requestRedeem(50 ether + i * 0.123456789012345678 ether, bob, bob);
            uint256 limit = d.stakes.deployLimit(0);
            assertGt(limit, 1 ether);
            assertLt(limit, 60 ether, "cover and not the weight is the limit");
            d.stakes.deploy(0, limit);
            vm.revertToState(snapshot);
        }
    }
}
