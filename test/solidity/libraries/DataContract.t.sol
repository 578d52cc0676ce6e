// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Test} from "forge-std/Test.sol";
import {DataContract} from "../../../contracts/libraries/DataContract.sol";

contract DataContractHarness {
    function write(bytes memory data) external returns (address) {
        return DataContract.write(data);
    }

    function read(address at) external view returns (bytes memory) {
        return DataContract.read(at);
    }
}

/// @notice What is stored as code is read back as it was given, and cannot be run.
contract DataContractTest is Test {
    DataContractHarness internal data = new DataContractHarness();

    function testFuzz_WhatWasWrittenIsRead(bytes memory given) public {
        assertEq(data.read(data.write(given)), given);
    }

    function test_TheLargestDataThatFitACodeAreKeptAndOneByteMoreIsRefused() public {
        bytes memory most = new bytes(24_575);
        (most[0], most[24_574]) = (0xff, 0x01);
        assertEq(data.read(data.write(most)), most);
        vm.expectRevert(abi.encodeWithSelector(DataContract.NotCreated.selector, 24_576));
        data.write(new bytes(24_576));
    }

    function test_WhereNoContractIsNothingIsRead() public view {
        assertEq(data.read(address(0xdead)).length, 0);
    }

    /// @dev 0x33ff would hand its balance to the caller and vanish.
    function test_CalledItDoesNothing() public {
        address at = data.write(hex"33ff");
        (bool went, bytes memory result) = at.call(hex"01020304");
        assertTrue(went);
        assertEq(result.length, 0);
        assertEq(data.read(at), hex"33ff");
    }
}
