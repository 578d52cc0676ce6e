// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

// solhint-disable no-console, gas-custom-errors

import {Test} from "forge-std/Test.sol";
import {console} from "forge-std/console.sol";
import {BulkheadWorld} from "./BulkheadWorld.sol";

/// @title Random lives of a tier, from a seed
/// @notice The same world, the same calls and the same invariants as in InvariantsTest, many times faster, and it counts:
/// what was called, how often it went through and how often it was refused. One invariant is put to the test after each
/// step. For long runs: WALK_LIVES=200 WALK_STEPS=150 WALK_SEED=7 FOUNDRY_GAS_LIMIT=9000000000000000, with
/// `forge test --match-test test_RandomLives -vv`. A life that fails says where.
contract WalkTest is Test {
    function test_RandomLivesAreForetoldToTheWei() public {
        uint256 seed = vm.envOr("WALK_SEED", uint256(1));
        uint256 steps = vm.envOr("WALK_STEPS", uint256(60));
        uint256 lives = vm.envOr("WALK_LIVES", uint256(2));
        BulkheadWorld world = new BulkheadWorld();
        world.build();
        uint256 start = vm.snapshotState();
        for (uint256 life = vm.envOr("WALK_FIRST", uint256(0)); life < lives; ++life) {
            _live(world, seed, life, steps);
            _tell(world);
            require(vm.revertToState(start), "snapshot");
        }
    }

    function _live(BulkheadWorld world, uint256 seed, uint256 life, uint256 steps) private {
        bytes4[] memory questions = world.questions();
        for (uint256 i; i < steps; ++i) {
            bytes32 r = keccak256(abi.encode(seed, life, i));
            _call(world, abi.encodeCall(world.act, (r)), life, i);
            _call(world, abi.encodePacked(questions[uint256(r >> 128) % questions.length]), life, i);
        }
    }

    function _call(BulkheadWorld world, bytes memory data, uint256 life, uint256 step) private {
        (bool went, bytes memory result) = address(world).call(data);
        if (went) return;
        console.log("life, step", life, step);
        console.logBytes(data);
        assembly ("memory-safe") {
            revert(add(result, 32), mload(result))
        }
    }

    function _tell(BulkheadWorld world) private view {
        for (uint256 n;; ++n) {
            (bytes32 name, uint256 went, uint256 refused) = world.tally(n);
            if (name == 0) break;
            console.log(string(abi.encodePacked("= ", name)), went, refused);
        }
    }
}
