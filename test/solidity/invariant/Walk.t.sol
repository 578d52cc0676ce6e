// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Test} from "forge-std/Test.sol";
import {console} from "forge-std/console.sol";
import {BulkheadWorld} from "./BulkheadWorld.sol";

contract WalkTest is Test {
    string[39] private KINDS = ["ub8ub", "ubu", "uuuu", "uub8u", "b8u", "uu8uu", "uub", "u", "u", "u", "u", "bu", "buuu", "", "8u", "bu", "", "8", "8u", "uu8u", "uu8", "uu", "8u", "u8u", "uub", "", "uu", "uu", "u", "u", "uumb", "uu", "uu", "u", "u", "uu", "8uu", "8bu", "8b"];

    function _args(bytes memory kinds, bytes32 r) private pure returns (bytes memory args) {
        for (uint256 n; n < kinds.length; ++n) {
            uint256 x = uint256(keccak256(abi.encode(r, n)));
            if (kinds[n] == "b") x &= 1;
            if (kinds[n] == "8") x &= 0xff;
            if (kinds[n] == "m") x &= type(uint64).max;
            args = abi.encodePacked(args, x);
        }
    }
    function test_Walk() public {
        uint256 seed = vm.envOr("WALK_SEED", uint256(1));
        uint256 steps = vm.envOr("WALK_STEPS", uint256(60));
        uint256 lives = vm.envOr("WALK_LIVES", uint256(1));
        BulkheadWorld world = new BulkheadWorld();
        world.build();
        uint256 snapshot = vm.snapshotState();
        for (uint256 life; life < lives; ++life) {
            require(vm.revertToState(snapshot));
            bytes4[] memory calls = world.calls();
            for (uint256 i; i < steps; ++i) {
                bytes32 r = keccak256(abi.encode(seed, life, i));
                bytes4 selector = calls[uint256(r) % calls.length];
                bytes memory args = _args(bytes(KINDS[uint256(r) % calls.length]), r);
                (bool went, bytes memory result) = address(world).call(abi.encodePacked(selector, args));
                if (!went) {
                    console.log("life, step", life, i);
                    console.logBytes(abi.encodePacked(selector, args));
                    assembly {
                        revert(add(result, 32), mload(result))
                    }
                }
            }
            for (uint256 n;; ++n) {
                (bytes32 name, uint256 went, uint256 refused) = world.tally(n);
                if (name == 0) break;
                console.log(string(abi.encodePacked("= ", name)), went, refused);
            }
        }
    }
}
