// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title Delegate
/// @notice Hands a call on to another contract that works on the caller's storage: how a contract that would be larger
/// than EIP-170 allows keeps its rare calls elsewhere.
library Delegate {
    /// @notice Repeats the whole call at `to` by delegatecall, and ends it with whatever comes back.
    /// @param to a contract with the same storage layout; it sees the same caller, value and calldata.
    function forward(address to) internal {
        assembly ("memory-safe") {
            let data := mload(0x40)
            calldatacopy(data, 0, calldatasize())
            let ok := delegatecall(gas(), to, data, calldatasize(), 0, 0)
            returndatacopy(data, 0, returndatasize())
            if iszero(ok) { revert(data, returndatasize()) }
            return(data, returndatasize())
        }
    }
}
