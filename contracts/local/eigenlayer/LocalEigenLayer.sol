// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {LocalAllocationManager} from "./LocalAllocationManager.sol";
import {LocalDelegationManager} from "./LocalDelegationManager.sol";
import {LocalPermissionController} from "./LocalPermissionController.sol";
import {LocalRewardsCoordinator} from "./LocalRewardsCoordinator.sol";
import {LocalStrategyFactory} from "./LocalStrategyFactory.sol";
import {LocalStrategyManager} from "./LocalStrategyManager.sol";

/// @title Address book of the local EigenLayer stand-in
/// @notice The stand-in lets Bulkhead run on a bare local chain, without EigenLayer's own code. It follows the published
/// behaviour (ELIP-002, ELIP-004, ELIP-006 and the documentation of release v1.12.0) for whatever Bulkhead calls or
/// indexes, and has nothing else: no EigenPods, no beacon chain ETH, no signatures, no upgrades.
/// @dev Deploy this first, then one contract of each kind with this address as its only argument, then call `fill`.
contract LocalEigenLayer {
    /// @notice Waiting times of the core.
    /// @param withdrawal Blocks between queueing and completing a withdrawal (mainnet: 100,800).
    /// @param deallocation Blocks for which freed magnitude and former members stay slashable (mainnet: 100,800).
    /// @param allocationConfiguration Blocks before a changed allocation delay counts (mainnet: 126,000).
    /// @param slasherConfiguration Blocks before a new slasher counts (mainnet: 126,000).
    /// @param rewardsActivation Seconds before a rewards root can be claimed from (mainnet: 604,800).
    struct Delays {
        uint32 withdrawal;
        uint32 deallocation;
        uint32 allocationConfiguration;
        uint32 slasherConfiguration;
        uint32 rewardsActivation;
    }

    /// @notice May pause, whitelist strategies and submit rewards roots.
    address public immutable owner;

    address private immutable _deployer;

    /// @notice Waiting times, fixed at deployment.
    Delays public delays;

    /// @notice Operator sets, allocations and slashing.
    LocalAllocationManager public allocationManager;
    /// @notice Delegation and the withdrawal queue.
    LocalDelegationManager public delegationManager;
    /// @notice Deposits and slashed funds.
    LocalStrategyManager public strategyManager;
    /// @notice Deploys strategies.
    LocalStrategyFactory public strategyFactory;
    /// @notice Who may call for whom.
    LocalPermissionController public permissionController;
    /// @notice Rewards roots and claims.
    LocalRewardsCoordinator public rewardsCoordinator;

    /// @notice The book has been filled, or the caller did not deploy it.
    error CannotFill();

    /// @param owner_ May pause, whitelist strategies and submit rewards roots.
    /// @param delays_ Waiting times.
    constructor(address owner_, Delays memory delays_) {
        owner = owner_;
        _deployer = msg.sender;
        delays = delays_;
    }

    /// @notice Enters the addresses, once; only the deployer of the book. Reverts with `CannotFill` otherwise.
    function fill(
        LocalAllocationManager allocationManager_,
        LocalDelegationManager delegationManager_,
        LocalStrategyManager strategyManager_,
        LocalStrategyFactory strategyFactory_,
        LocalPermissionController permissionController_,
        LocalRewardsCoordinator rewardsCoordinator_
    ) external {
        if (msg.sender != _deployer || address(allocationManager) != address(0)) revert CannotFill();
        allocationManager = allocationManager_;
        delegationManager = delegationManager_;
        strategyManager = strategyManager_;
        strategyFactory = strategyFactory_;
        permissionController = permissionController_;
        rewardsCoordinator = rewardsCoordinator_;
    }
}
