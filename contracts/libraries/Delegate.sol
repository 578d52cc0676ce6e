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

    /// @notice As `forward`, for views. Whoever calls a view does so by a static call, in which nobody can write, whoever's
    /// code runs; the compiler does not see that, so the function is called under another type.
    /// @param to a contract with the same storage layout; it sees the same caller and calldata.
    function forwardView(address to) internal view {
        function(address) internal writing = forward;
        function(address) internal view reading;
        assembly ("memory-safe") {
            reading := writing
        }
        reading(to);
        // never reached, as `forward` ends the call: what the compiler cannot know of a function under another type
        assembly ("memory-safe") {
            invalid()
        }
    }
}
