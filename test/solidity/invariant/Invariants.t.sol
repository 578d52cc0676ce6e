// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Test} from "forge-std/Test.sol";
import {BulkheadWorld} from "./BulkheadWorld.sol";

/// @dev All that the fuzzer calls: one random word is one event in the life of the tier.
contract Driver {
    BulkheadWorld private immutable WORLD;

    constructor(BulkheadWorld world) {
        WORLD = world;
    }

    function step(bytes32 random) external {
        WORLD.act(keccak256(abi.encode(random)));
    }
}

/// @title The twelve invariants of the specification
/// @notice Random lives of a tier on the local EigenLayer and Lido. Every step is foretold by a model (see GhostModel):
/// books to the wei, and which calls must revert. On top of that each invariant is put to the test as it is stated,
/// many of them by trying the worst on a snapshot. Long runs: FOUNDRY_INVARIANT_RUNS=256 FOUNDRY_INVARIANT_DEPTH=200
/// with `forge test --match-path 'test/solidity/invariant/*'`.
contract InvariantsTest is Test {
    BulkheadWorld internal world;

    function setUp() public {
        world = new BulkheadWorld();
        world.build();
        targetContract(address(new Driver(world)));
    }

    function invariant_01_Conservation() public {
        world.conservation();
    }

    function invariant_02_KSlashersCannotTouchTheSenior() public {
        world.headline();
    }

    function invariant_03_JuniorFirst() public {
        world.juniorFirst();
    }

    function invariant_04_NoFreeLunch() public {
        world.noFreeLunch();
    }

    function invariant_05_NoDodging() public {
        world.noDodging();
    }

    function invariant_06_ExitsNeverRevertFromInsolvency() public {
        world.exitsWork();
    }

    function invariant_07_RecordedExposureIsNeverTooLow() public {
        world.exposureRecorded();
    }

    function invariant_08_ClaimableIsReserved() public view {
        world.claimsAreReserved();
    }

    function invariant_09_WithoutLossNoRateFalls() public {
        world.ratesHold();
    }

    function invariant_10_GatedOperationsLeaveCover() public {
        world.gated();
    }

    function invariant_11_LimitsAreExact() public {
        world.limits();
    }

    function invariant_12_TiersAreIsolated() public {
        world.isolation();
    }
}
