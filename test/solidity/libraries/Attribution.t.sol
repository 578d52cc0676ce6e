// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Test} from "forge-std/Test.sol";
import {Attribution} from "../../../contracts/libraries/Attribution.sol";
import {MathHarness} from "../harness/MathHarness.sol";

/// @dev A model of one agent at EigenLayer: magnitudes, pending decreases and slashes, block by block, which knows what
/// each set really took; and the same reading of it that a tier makes.
contract AttributionTest is Test {
    uint64 internal constant FULL = 1e18;

    MathHarness internal math = new MathHarness();

    struct Set {
        uint256 cur;
        uint256 pending;
        uint256 effectBlock;
        uint256 took;
        bool counted;
    }

    struct World {
        Attribution.Item[] items;
        Set[] sets;
        uint256 maxBefore;
        uint256 maxAfter;
        uint256 blockNumber;
    }

    function _word(uint256 seed, uint256 salt) internal pure returns (uint256) {
        return uint256(keccak256(abi.encode(seed, salt)));
    }

    function _sum(uint256[] memory values) internal pure returns (uint256 sum) {
        for (uint256 i; i < values.length; ++i) {
            sum += values[i];
        }
    }

    function _pass(Set memory set, uint256 blockNumber) internal pure {
        if (set.pending != 0 && blockNumber >= set.effectBlock) {
            set.cur -= set.pending;
            set.pending = 0;
        }
    }

    function _slash(Set memory set, uint256 wad) internal pure returns (uint256 lost) {
        lost = (set.cur * wad + 1e18 - 1) / 1e18;
        set.pending -= (set.pending * wad + 1e18 - 1) / 1e18;
        set.cur -= lost;
        set.took += lost;
    }

    /// @dev Up to eight sets; up to three slashes of ours and one of another operator in a window of 100 blocks, some
    /// decreases taking effect in it and some after it.
    function _world(uint256 seed) internal pure returns (World memory w) {
        uint256 n = 1 + _word(seed, 0) % 8;
        w.sets = new Set[](n);
        w.items = new Attribution.Item[](n);
        w.maxBefore = FULL - _word(seed, 1) % 3 * 1e17;
        w.blockNumber = 1100;
        for (uint256 i; i < n; ++i) {
            Set memory set = w.sets[i];
            set.cur = _word(seed, 100 + i) % (w.maxBefore / n);
            if (_word(seed, 200 + i) % 3 != 0) {
                set.pending = _word(seed, 300 + i) % 4 == 0 ? set.cur : _word(seed, 400 + i) % (set.cur + 1);
                set.effectBlock = 1001 + _word(seed, 500 + i) % 150;
            }
            w.items[i].before = uint64(set.cur);
            w.items[i].pending = uint64(set.pending);
            w.items[i].effectBlock = uint32(set.effectBlock);
            w.items[i].calmBeforeEffect = true;
        }
        uint256 max = w.maxBefore;
        for (uint256 at = 1001; at <= w.blockNumber; ++at) {
            for (uint256 i; i < n; ++i) {
                // what getMaxMagnitudesAtBlock(effectBlock - 1) will say
                if (w.sets[i].effectBlock == at) w.items[i].calmBeforeEffect = max == w.maxBefore;
                _pass(w.sets[i], at);
            }
            for (uint256 s; s < 1 + seed % 3; ++s) {
                if (1001 + _word(seed, 600 + s) % 100 != at) continue;
                Set memory set = w.sets[_word(seed, 700 + s) % n];
                max -= _slash(set, 1 + _word(seed, 800 + s) % (_word(seed, 900 + s) % 2 == 0 ? 1e18 : 10));
                set.counted = true;
            }
        }
        // another operator of the same set was slashed: the set's count changed, our magnitude did not
        if (_word(seed, 2) % 3 == 0) w.sets[_word(seed, 3) % n].counted = true;
        for (uint256 i; i < n; ++i) {
            w.items[i].slashed = w.sets[i].counted;
            w.items[i].afterwards = uint64(w.sets[i].cur);
        }
        w.maxAfter = max;
    }

    function testFuzz_WhatIsNotCalledAnEstimateIsTheTruth(uint256 seed) public pure {
        World memory w = _world(seed);
        (uint256[] memory taken, bool estimated) =
            Attribution.attribute(w.items, w.maxBefore, w.maxAfter, w.blockNumber);
        assertEq(_sum(taken), w.maxBefore - w.maxAfter);
        if (estimated) return;
        for (uint256 i; i < taken.length; ++i) {
            assertEq(taken[i], w.sets[i].took);
        }
    }

    function testFuzz_OneCulpritIsAlwaysNamedExactly(uint256 seed, uint256 wad) public pure {
        World memory w = _world(seed);
        // the same agent, but only one set was slashed, whenever that was
        uint256 culprit = _word(seed, 4) % w.items.length;
        Attribution.Item[] memory items = w.items;
        for (uint256 i; i < items.length; ++i) {
            items[i].slashed = i == culprit;
        }
        uint256 fall = bound(wad, 0, items[culprit].before);
        items[culprit].calmBeforeEffect = false;
        items[culprit].effectBlock = 1050;
        if (items[culprit].pending == 0) items[culprit].pending = 1;
        (uint256[] memory taken, bool estimated) =
            Attribution.attribute(items, w.maxBefore, w.maxBefore - fall, w.blockNumber);
        assertEq(taken[culprit], fall);
        assertEq(_sum(taken), fall);
        assertFalse(estimated);
    }

    function testFuzz_NothingSlashedNothingTaken(uint256 seed) public pure {
        World memory w = _world(seed);
        for (uint256 i; i < w.items.length; ++i) {
            w.items[i].slashed = false;
        }
        (uint256[] memory taken,) = Attribution.attribute(w.items, w.maxBefore, w.maxAfter, w.blockNumber);
        assertEq(_sum(taken), 0);
    }

    /// @dev Whatever it is told, in the range of EigenLayer's types.
    function testFuzz_NeverRevertsAndAlwaysSums(
        Attribution.Item[] memory items,
        uint64 maxBefore,
        uint64 maxAfter,
        uint256 blockNumber
    ) public view {
        (uint256[] memory taken, bool estimated) = math.attribute(items, maxBefore, maxAfter, blockNumber);
        uint256 fall = maxBefore > maxAfter ? maxBefore - maxAfter : 0;
        bool any;
        for (uint256 i; i < items.length; ++i) {
            if (items[i].slashed) any = true;
            else assertEq(taken[i], 0);
        }
        assertEq(_sum(taken), any ? fall : 0);
        if (!any) assertEq(estimated, fall != 0);
    }

    function test_SeveralAmbiguousShareTheRestByWhatTheyHeldAndItIsCalledAnEstimate() public pure {
        Attribution.Item[] memory items = new Attribution.Item[](3);
        items[0] = Attribution.Item(3e17, 1e17, 50, true, 1e17, false);
        items[1] = Attribution.Item(1e17, 1e17, 60, true, 0, false);
        items[2] = Attribution.Item(2e17, 0, 0, true, 1e17, false);
        (uint256[] memory taken, bool estimated) = Attribution.attribute(items, 1e18, 0.7e18, 100);
        assertEq(taken[2], 1e17);
        assertEq(taken[0], 1.5e17);
        assertEq(taken[1], 0.5e17);
        assertTrue(estimated);
    }

    /// @dev Recorded 4e17 with 1e17 on its way out; a slash then took 1e17 of what was there.
    function test_ADecreaseCountsFromItsEffectBlockOn() public pure {
        Attribution.Item[] memory items = new Attribution.Item[](2);
        items[0] = Attribution.Item(4e17, 1e17, 100, true, 3e17, true);
        items[1] = Attribution.Item(4e17, 0, 0, true, 4e17, true);
        (uint256[] memory taken, bool estimated) = Attribution.attribute(items, 1e18, 0.9e18, 99);
        assertEq(taken[0], 1e17);
        assertFalse(estimated);
        items[0].afterwards = 2e17;
        (taken, estimated) = Attribution.attribute(items, 1e18, 0.9e18, 100);
        assertEq(taken[0], 1e17);
        assertFalse(estimated);
    }
}
