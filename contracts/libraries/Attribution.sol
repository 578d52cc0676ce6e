// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title Attribution
/// @notice Which operator set took how much of an agent's magnitude when a slash is found.
/// @dev EigenLayer says by how much the agent's maximum magnitude fell in all; what each set took has to be inferred
/// from the magnitudes seen before and now, because a pending decrease may have completed in between and shrinks with a
/// slash as well. The books never depend on this: it names the culprit for the record and for the quarantine.
/// Source: specification, section "Detection and attribution".
library Attribution {
    /// @notice What is known of one (agent, set).
    /// @param before current magnitude when it was last recorded.
    /// @param pending size of the decrease that was pending then; 0 for none.
    /// @param effectBlock block from which that decrease counts.
    /// @param slashed whether the set's slash count has changed since. It counts slashes of all operators of the set.
    /// @param afterwards current magnitude now.
    /// @param calmBeforeEffect whether the agent's maximum magnitude at block effectBlock - 1 was still the recorded
    /// one, so that any slash came after the decrease. Read only where a decrease was pending and has completed.
    struct Item {
        uint64 before;
        uint64 pending;
        uint32 effectBlock;
        bool slashed;
        uint64 afterwards;
        bool calmBeforeEffect;
    }

    /// @notice Splits the fall of an agent's maximum magnitude among its sets.
    /// @dev Exact for a set without a completed decrease (before - afterwards) and for one slashed only after its
    /// decrease (before - pending - afterwards). Any other slashed set is ambiguous; together they took the rest. One
    /// alone took exactly that; several share it in proportion to `before`, and the result is an estimate.
    /// Should the figures contradict each other (the exact parts exceed the fall, or do not reach it and nothing is
    /// ambiguous) the fall is shared in proportion to the exact parts, or the rest of it to `before`, and is an estimate
    /// too. Shares are differences of one floored cumulative sum, so they add up. Differences below 0 count as 0, and
    /// with magnitudes of 64 bits, as EigenLayer's are, nothing reverts.
    /// @param items the agent's sets.
    /// @param maxBefore recorded maximum magnitude.
    /// @param maxAfter maximum magnitude now.
    /// @param blockNumber the block of the reading.
    /// @return taken magnitude by item. Sums exactly to maxBefore - maxAfter (0 if it rose) where any item is slashed,
    /// else all 0.
    /// @return estimated whether the split, or the fall itself, is not fully explained by the figures.
    function attribute(Item[] memory items, uint256 maxBefore, uint256 maxAfter, uint256 blockNumber)
        internal
        pure
        returns (uint256[] memory taken, bool estimated)
    {
        uint256 n = items.length;
        taken = new uint256[](n);
        uint256 fall = _sub(maxBefore, maxAfter);
        bool[] memory open = new bool[](n);
        uint256 opened;
        uint256 slashed;
        uint256 exact;
        for (uint256 i; i < n; ++i) {
            Item memory item = items[i];
            if (!item.slashed) continue;
            ++slashed;
            if (item.pending == 0 || blockNumber < item.effectBlock) {
                taken[i] = _sub(item.before, item.afterwards);
            } else if (item.calmBeforeEffect) {
                taken[i] = _sub(_sub(item.before, item.pending), item.afterwards);
            } else {
                open[i] = true;
                ++opened;
            }
            exact += taken[i];
        }
        if (slashed == 0) return (taken, fall != 0);
        if (exact > fall) {
            _share(taken, taken, fall, exact);
            return (taken, true);
        }
        uint256 rest = fall - exact;
        if (rest == 0) return (taken, false);
        // who shares the rest: the ambiguous sets, or every slashed one if nothing is ambiguous
        uint256[] memory weight = new uint256[](n);
        uint256 sum;
        for (uint256 i; i < n; ++i) {
            if (!items[i].slashed || (opened != 0 && !open[i])) continue;
            weight[i] = items[i].before;
            sum += weight[i];
        }
        if (sum == 0) {
            // nothing was recorded in any of them: equal parts
            for (uint256 i; i < n; ++i) {
                if (!items[i].slashed || (opened != 0 && !open[i])) continue;
                weight[i] = 1;
                ++sum;
            }
        }
        uint256[] memory part = new uint256[](n);
        _share(part, weight, rest, sum);
        for (uint256 i; i < n; ++i) {
            taken[i] += part[i];
        }
        return (taken, opened != 1);
    }

    /// @dev Fills `part` with amount·weight/sum; floors the cumulative sum, so the parts add up to `amount` exactly.
    /// `part` and `weight` may be the same array.
    function _share(uint256[] memory part, uint256[] memory weight, uint256 amount, uint256 sum) private pure {
        uint256 cumulative;
        uint256 given;
        for (uint256 i; i < part.length; ++i) {
            cumulative += weight[i];
            uint256 upTo = amount * cumulative / sum;
            part[i] = upTo - given;
            given = upTo;
        }
    }

    function _sub(uint256 a, uint256 b) private pure returns (uint256) {
        return a > b ? a - b : 0;
    }
}
