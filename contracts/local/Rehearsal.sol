// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title What calls would change, for `npm run safe`
/// @notice Never deployed: a simulation (eth_call) puts this code in the place of a Safe's, so that the calls come from the
/// Safe's address, and compares what views answer before and after them.
contract Rehearsal {
    /// @notice A call to make. `value` in wei.
    struct Call {
        address to;
        uint256 value;
        bytes data;
    }

    /// @notice A view to ask before and after the calls.
    struct Question {
        address to;
        bytes data;
    }

    /// @dev Views that scan a tier need millions; one that loops must not use up the simulation.
    uint256 private constant VIEW_GAS = 5_000_000;

    receive() external payable {}

    /// @notice Anybody, in a simulation: asks, makes the calls, asks again. An answer that reverts is empty; a call that
    /// reverts ends everything with its reason.
    function rehearse(Call[] calldata calls, Question[] calldata questions)
        external
        returns (bytes[] memory before, bytes[] memory afterwards)
    {
        before = _ask(questions);
        for (uint256 i; i < calls.length; ++i) {
            (bool ok, bytes memory result) = calls[i].to.call{value: calls[i].value}(calls[i].data);
            if (!ok) {
                assembly ("memory-safe") {
                    revert(add(result, 32), mload(result))
                }
            }
        }
        afterwards = _ask(questions);
    }

    function _ask(Question[] calldata questions) private view returns (bytes[] memory answers) {
        answers = new bytes[](questions.length);
        for (uint256 i; i < questions.length; ++i) {
            (bool ok, bytes memory result) = questions[i].to.staticcall{gas: VIEW_GAS}(questions[i].data);
            if (ok) answers[i] = result;
        }
    }
}
