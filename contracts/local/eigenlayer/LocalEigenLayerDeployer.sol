// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {LocalAllocationManager} from "./LocalAllocationManager.sol";
import {LocalDelegationManager} from "./LocalDelegationManager.sol";
import {LocalEigenLayer} from "./LocalEigenLayer.sol";
import {LocalPermissionController} from "./LocalPermissionController.sol";
import {LocalRewardsCoordinator} from "./LocalRewardsCoordinator.sol";
import {LocalStrategyFactory} from "./LocalStrategyFactory.sol";
import {LocalStrategyManager} from "./LocalStrategyManager.sol";

/// @title Deploys the whole stand-in from a Solidity test
/// @dev The functions are internal: the code of all seven contracts lands in the caller, which suits a test only.
library LocalEigenLayerDeployer {
    /// @notice Deploys everything with mainnet's delays.
    /// @param owner May pause, whitelist strategies and submit rewards roots.
    function deploy(address owner) internal returns (LocalEigenLayer book) {
        return deploy(owner, mainnetDelays());
    }

    /// @notice Deploys everything.
    /// @param owner May pause, whitelist strategies and submit rewards roots.
    /// @param delays Waiting times.
    function deploy(address owner, LocalEigenLayer.Delays memory delays) internal returns (LocalEigenLayer book) {
        book = new LocalEigenLayer(owner, delays);
        book.fill(
            new LocalAllocationManager(book),
            new LocalDelegationManager(book),
            new LocalStrategyManager(book),
            new LocalStrategyFactory(book),
            new LocalPermissionController(),
            new LocalRewardsCoordinator(book)
        );
    }

    /// @notice The delays of Ethereum mainnet: 14 and 17.5 days of 12-second blocks, 7 days for rewards.
    function mainnetDelays() internal pure returns (LocalEigenLayer.Delays memory) {
        return LocalEigenLayer.Delays({
            withdrawal: 100_800,
            deallocation: 100_800,
            allocationConfiguration: 126_000,
            slasherConfiguration: 126_000,
            rewardsActivation: 7 days
        });
    }
}
