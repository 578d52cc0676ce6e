// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title Makes one call many times, so that ten thousand of them take seconds; never shipped
contract Repeater {
    /// @notice A call failed.
    error CallFailed(uint256 done);

    /// @notice Calls `target` with `data`, `times` times. Anybody may; reverts CallFailed where one call does.
    function repeat(address target, bytes calldata data, uint256 times) external {
        for (uint256 i; i < times; ++i) {
            (bool ok,) = target.call(data);
            if (!ok) revert CallFailed(i);
        }
    }
}
