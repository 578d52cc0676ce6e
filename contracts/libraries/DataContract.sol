// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title DataContract
/// @notice Keeps bytes as the code of a contract that can do nothing: reading it costs one cold account instead of a cold
/// slot for each 32 bytes. For what is read in each call and almost never changes.
library DataContract {
    /// @notice The contract could not be created: the data exceed 24,575 bytes, or gas ran out.
    /// @param length bytes to store.
    error NotCreated(uint256 length);

    /// @notice Creates a contract with `data` as its code, behind a STOP: whoever calls it gets nothing.
    /// @param data at most 24,575 bytes (EIP-170).
    /// @return at where they are now; they can neither change nor vanish.
    function write(bytes memory data) internal returns (address at) {
        // PUSH2 length, DUP1, PUSH1 10, PUSH0, CODECOPY, PUSH0, RETURN: returns what follows these ten bytes
        bytes memory code = abi.encodePacked(hex"61", uint16(data.length + 1), hex"80600a5f395ff3", hex"00", data);
        if (data.length < 24_576) {
            assembly ("memory-safe") {
                at := create(0, add(code, 32), mload(code))
            }
        }
        if (at == address(0)) revert NotCreated(data.length);
    }

    /// @notice The bytes that `write` stored.
    /// @param at a contract that `write` has created.
    /// @return data as they were given; empty where there is no contract.
    function read(address at) internal view returns (bytes memory data) {
        assembly ("memory-safe") {
            let size := extcodesize(at)
            if size { size := sub(size, 1) }
            data := mload(0x40)
            mstore(0x40, add(data, and(add(size, 63), not(31))))
            mstore(data, size)
            extcodecopy(at, add(data, 32), 1, size)
        }
    }
}
