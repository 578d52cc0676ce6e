// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title Several calls in one transaction, each tried on its own
/// @notice What {Upkeep} does with calls, wherever they come from. Anybody may use it for any call: it holds nothing and
/// has no right anywhere, so being called by it means nothing.
abstract contract UpkeepCalls {
    /// @notice A call, and the least gas that it must be given: what `simulate` says, and some more for what changes
    /// meanwhile. 0 asks for none.
    struct Call {
        address target;
        uint256 gas;
        bytes data;
    }

    /// @notice What a call would do. `gasUsed` is what it used; `gas`, more than that, what it has to be given to pass:
    /// calls keep a 64th back from those that they make, and some look how much they are left. Both are 0 where it
    /// fails. `answer` is what it returned, or its revert data; at most 4,096 bytes.
    struct Result {
        bool success;
        uint256 gasUsed;
        bytes answer;
        uint256 gas;
    }

    /// @notice Call `index` was tried: whether it passed, the gas that it used, and its revert data (at most 512 bytes)
    /// where it failed.
    event Performed(
        uint256 indexed index,
        address indexed target,
        bytes4 indexed selector,
        bool success,
        uint256 gasUsed,
        bytes failure
    );

    /// @dev Gas of a call's surroundings: the cold account, its event, the loop.
    uint256 private constant OVERHEAD = 25_000;
    /// @dev Most gas of a transaction (EIP-7825): what needs more can never be sent.
    uint256 private constant TRANSACTION_GAS = 16_777_216;
    uint256 private constant MAX_ANSWER = 4_096;
    uint256 private constant MAX_FAILURE = 512;
    /// @dev Below this nothing is tried any more in a simulation.
    uint256 private constant LEAST_GAS = 200_000;

    /// @notice Call `index` and those after it must be given `needed` gas, and fewer are left: nothing is done, because
    /// nobody could tell a call that fails from one that was starved.
    error InsufficientGas(uint256 index, uint256 available, uint256 needed);
    /// @notice No call passed.
    error NothingDone();
    /// @notice How a call went that was tried and undone.
    error Attempted(bool success, uint256 gasUsed, bytes answer);

    /// @notice Tries the calls in order; one that fails does not stop the others, nor can it take the gas that those after
    /// it ask for. Anybody. A target without code fails.
    /// @dev Reverts NothingDone if no call passes, InsufficientGas as soon as a call could not be given what it asks for.
    /// @return done which of them passed.
    function perform(Call[] calldata calls) external returns (bool[] memory done) {
        return _perform(calls);
    }

    /// @notice What `perform` would do with these calls now, and the gas that each would need; what they ask for does not
    /// count. Anybody, by `eth_call`: as a transaction it would do the calls. Never reverts.
    function simulate(Call[] calldata calls) external returns (Result[] memory results) {
        results = new Result[](calls.length);
        for (uint256 i; i < calls.length; ++i) {
            results[i] = _measure(calls[i], TRANSACTION_GAS);
        }
    }

    /// @notice Makes a call with at most `gas` gas and takes it back: always reverts, with Attempted. Anybody.
    function attempt(address target, uint256 gas, bytes calldata data) external {
        uint256 before = gasleft();
        (bool success, bytes memory answer) = _try(target, gas, data, MAX_ANSWER);
        revert Attempted(success, before - gasleft(), answer);
    }

    function _perform(Call[] memory calls) internal returns (bool[] memory done) {
        done = new bool[](calls.length);
        uint256 needed;
        for (uint256 i; i < calls.length; ++i) {
            needed += _needed(calls[i].gas);
        }
        bool any;
        for (uint256 i; i < calls.length; ++i) {
            Call memory c = calls[i];
            uint256 available = gasleft();
            if (available < needed) revert InsufficientGas(i, available, needed);
            needed -= _needed(c.gas);
            // all but what the calls after it ask for; where that is more than 63/64, EVM gives those: enough, see _needed
            (bool success, bytes memory answer) = _try(c.target, available - needed - OVERHEAD / 2, c.data, MAX_FAILURE);
            uint256 used = available - gasleft();
            done[i] = success;
            any = any || success;
            emit Performed(i, c.target, bytes4(c.data), success, used, success ? bytes("") : answer);
        }
        if (!any) revert NothingDone();
    }

    /// @dev First in a way that leaves nothing behind, to see what it uses; then for good, with as little gas as it takes:
    /// the next call is measured in the state that this one leaves.
    function _measure(Call memory c, uint256 most) internal returns (Result memory r) {
        uint256 available = gasleft();
        if (available < LEAST_GAS) {
            r.answer = abi.encodeWithSelector(InsufficientGas.selector, 0, available, LEAST_GAS);
            return r;
        }
        most = Math.min(most, available - available / 16);
        uint256 used;
        (r.success, used, r.answer) = _attempt(c.target, most, c.data);
        if (!r.success) return r;
        uint256 gas = used + used / 8 + OVERHEAD;
        while (true) {
            gas = Math.min(gas, most);
            available = gasleft();
            (r.success, r.answer) = _try(c.target, gas, c.data, MAX_ANSWER);
            if (r.success) {
                (r.gasUsed, r.gas) = (available - gasleft(), gas);
                return r;
            }
            if (gas == most) return r;
            gas += gas / 2;
        }
    }

    /// @dev Gas that must be left so that a call gets `gas` of it: a 64th stays behind.
    function _needed(uint256 gas) internal pure returns (uint256) {
        return gas + gas / 63 + OVERHEAD;
    }

    function _attempt(address target, uint256 gas, bytes memory data)
        private
        returns (bool success, uint256 used, bytes memory answer)
    {
        try this.attempt(target, gas, data) {}
        catch (bytes memory undone) {
            // without these words it had not even the gas to say so
            if (undone.length < 4 || bytes4(undone) != Attempted.selector) return (false, 0, undone);
            assembly {
                let length := sub(mload(undone), 4)
                undone := add(undone, 4)
                mstore(undone, length)
            }
            return abi.decode(undone, (bool, uint256, bytes));
        }
    }

    /// @dev A call that copies no more than `limit` bytes of what comes back.
    function _try(address target, uint256 gas_, bytes memory data, uint256 limit)
        private
        returns (bool success, bytes memory answer)
    {
        if (target.code.length == 0) return (false, "");
        assembly {
            success := call(gas_, target, 0, add(data, 0x20), mload(data), 0, 0)
            let length := returndatasize()
            if gt(length, limit) { length := limit }
            answer := mload(0x40)
            mstore(answer, length)
            returndatacopy(add(answer, 0x20), 0, length)
            mstore(0x40, and(add(add(answer, length), 0x3f), not(0x1f)))
        }
    }
}
