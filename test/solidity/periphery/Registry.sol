// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {AutomationBase} from "@chainlink/contracts/src/v0.8/automation/AutomationBase.sol";
import {
    AutomationCompatibleInterface
} from "@chainlink/contracts/src/v0.8/automation/interfaces/AutomationCompatibleInterface.sol";

/// @notice What a registry of Chainlink Automation does with an upkeep: it checks in a simulation, with Chainlink's own
/// words about who may, and performs with exactly the gas that the upkeep is registered with.
contract Registry is AutomationBase {
    /// @dev The limits of Ethereum mainnet's registry.
    uint256 public constant CHECK_GAS = 10_000_000;
    uint256 public constant PERFORM_GAS = 5_000_000;
    uint256 public constant MAX_PERFORM_DATA = 2_000;

    error CheckFailed(bytes reason);
    error PerformDataTooLong(uint256 length);
    error TooLittleGas(uint256 available);

    function check(AutomationCompatibleInterface upkeep, bytes calldata checkData)
        external
        cannotExecute
        returns (bool needed, bytes memory performData)
    {
        try upkeep.checkUpkeep{gas: CHECK_GAS}(checkData) returns (bool needed_, bytes memory performData_) {
            (needed, performData) = (needed_, performData_);
        } catch (bytes memory reason) {
            revert CheckFailed(reason);
        }
        if (performData.length > MAX_PERFORM_DATA) revert PerformDataTooLong(performData.length);
    }

    function perform(AutomationCompatibleInterface upkeep, bytes calldata performData, uint256 gas)
        external
        returns (bool success)
    {
        if (gasleft() < gas + gas / 32) revert TooLittleGas(gasleft());
        (success,) = address(upkeep).call{gas: gas}(abi.encodeCall(upkeep.performUpkeep, (performData)));
    }
}
