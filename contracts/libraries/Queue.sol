// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @title Queue
/// @notice The redemption queue of one tranche: first in, first out, paid in parts, and claimed to the wei.
/// @dev All requests lie one after the other on a line of cumulative shares: a request owns [start, end). Finalising x
/// shares moves one mark along that line and notes what has been paid so far in a checkpoint, whatever the number of
/// requests it passes. With A(s) the cumulative payment at s, interpolated between checkpoints and rounded down, the
/// holder of [s0, s1) is paid A(s1) - A(s0). These differences telescope: however a request is cut into claims, and
/// whoever claims first, the sum is the same to the wei and never exceeds what was finalised.
/// Shares and assets are in wei. Cumulative sums are held in 112 bits (a series is retired when a share is worth less
/// than a millionth of a wei; all ether there is would have to pass 40 times at that price to fill them).
/// Requests by id ascend in block and in end, checkpoints in shares and in assets, so both are found by search; a request
/// that is claimed completely is deleted, and reads as one of no shares. Source: SPEC section 3.
library Queue {
    using SafeCast for uint256;

    /// @notice One redemption request: it owns [end - unclaimed, end) of the line.
    /// @param controller who may claim it.
    /// @param next id of the controller's next request, 0 for his newest.
    /// @param checkpoint number of checkpoints when it was made: the search for those that pay it starts there.
    /// @param end one beyond its last share, on the line of cumulative shares.
    /// @param unclaimed shares not claimed yet.
    /// @param blockNumber block in which it was made.
    struct Request {
        address controller;
        uint48 next;
        uint48 checkpoint;
        uint112 end;
        uint104 unclaimed;
        uint40 blockNumber;
    }

    /// @notice State of the line after one finalisation, both cumulative.
    /// @param shares finalised so far.
    /// @param assets paid for them so far, in wei.
    struct Checkpoint {
        uint128 shares;
        uint128 assets;
    }

    /// @notice The requests of one controller, linked from the oldest that is not used up to the newest.
    /// @param head id of the oldest, 0 where there is none.
    /// @param tail id of the newest, 0 where there is none.
    /// @param credit assets, in wei, of shares that are burnt already: what the last share of an exact withdrawal was
    /// worth beyond the assets asked for.
    struct List {
        uint64 head;
        uint64 tail;
        uint128 credit;
    }

    /// @notice The queue. A request writes its first slot, a finalisation its second one.
    /// @param requested shares requested so far, cumulative.
    /// @param count number of requests; ids run from 1 to `count`.
    /// @param returned shares given back from a retired series; once not 0 nothing can be finalised any more.
    /// @param finalised shares finalised so far, cumulative.
    /// @param assets paid for them so far, in wei, cumulative.
    /// @param checkpointCount number of finalisations.
    /// @param requests by id.
    /// @param checkpoints one for each finalisation, numbered from 1; number 0 is the start of the line.
    /// @param lists the requests of each controller.
    struct State {
        uint112 requested;
        uint40 count;
        uint104 returned;
        uint112 finalised;
        uint112 assets;
        uint32 checkpointCount;
        mapping(uint256 id => Request) requests;
        mapping(uint256 number => Checkpoint) checkpoints;
        mapping(address controller => List) lists;
    }

    /// @dev Two checkpoints and their numbers; a piece of A where the numbers are neighbours.
    struct Span {
        uint256 low;
        uint256 high;
        uint256 fromShares;
        uint256 fromAssets;
        uint256 toShares;
        uint256 toAssets;
    }

    /// @notice Most requests that one claim or one view of a controller looks at.
    uint256 internal constant MAX_SCAN = 32;

    /// @dev Guesses after which a search only halves, so that no pattern of sizes makes it long.
    uint256 private constant MAX_GUESSES = 8;

    /// @notice A request or a finalisation of no shares.
    error ZeroShares();

    /// @notice More was to be finalised than is pending.
    /// @param shares asked for.
    /// @param pending shares that are pending.
    error ExceedsPending(uint256 shares, uint256 pending);

    /// @notice More was to be claimed than is claimable in the 32 oldest requests.
    /// @param requested shares or assets asked for.
    /// @param claimable shares or assets that can be claimed now.
    error ExceedsClaimable(uint256 requested, uint256 claimable);

    /// @notice The queue gives requests back (its series is retired) and finalises nothing any more.
    /// @param returned shares given back so far.
    error QueueClosed(uint256 returned);

    /// @notice There is no such request.
    /// @param id asked for.
    /// @param count number of requests; ids run from 1.
    error UnknownRequest(uint256 id, uint256 count);

    /// @notice Appends a request.
    /// @dev Reverts `ZeroShares`, `QueueClosed`, and OpenZeppelin's `SafeCastOverflowedUintDowncast` from 2^104 shares on
    /// (in one request).
    /// @param self the queue.
    /// @param controller who may claim it.
    /// @param shares in wei of the tranche token.
    /// @return id of the request, from 1.
    function push(State storage self, address controller, uint256 shares) internal returns (uint256 id) {
        if (shares == 0) revert ZeroShares();
        if (self.returned != 0) revert QueueClosed(self.returned);
        uint112 end = (self.requested + shares).toUint112();
        id = uint256(self.count) + 1;
        self.requested = end;
        self.count = id.toUint40();
        self.requests[id] = Request({
            controller: controller,
            next: 0,
            checkpoint: self.checkpointCount,
            end: end,
            unclaimed: shares.toUint104(),
            blockNumber: block.number.toUint40()
        });
        List storage list = self.lists[controller];
        uint256 tail = list.tail;
        if (tail == 0) list.head = uint64(id);
        else self.requests[tail].next = uint48(id);
        list.tail = uint64(id);
    }

    /// @notice Finalises the next shares of the line at one price.
    /// @dev Appends a checkpoint. `assets` may be 0: shares of a tranche that lost everything leave the queue all the
    /// same. Reverts `ZeroShares`, `QueueClosed`, `ExceedsPending`.
    /// @param self the queue.
    /// @param shares how many, in wei of the tranche token.
    /// @param assets what is paid for all of them together, in wei.
    function finalise(State storage self, uint256 shares, uint256 assets) internal {
        if (shares == 0) revert ZeroShares();
        if (self.returned != 0) revert QueueClosed(self.returned);
        uint256 pending = self.requested - self.finalised;
        if (shares > pending) revert ExceedsPending(shares, pending);
        uint112 finalised = uint112(self.finalised + shares);
        uint112 paid = (self.assets + assets).toUint112();
        uint256 number = uint256(self.checkpointCount) + 1;
        (self.finalised, self.assets, self.checkpointCount) = (finalised, paid, number.toUint32());
        self.checkpoints[number] = Checkpoint(finalised, paid);
    }

    /// @notice Shares that wait: requested, not finalised and not returned.
    /// @param self the queue.
    /// @return shares in wei of the tranche token.
    function pendingShares(State storage self) internal view returns (uint256 shares) {
        return self.requested - self.finalised - self.returned;
    }

    /// @notice Shares that were requested up to and including a block and are not finalised yet.
    /// @dev One request is read where all of them are that old; otherwise O(log n) of those that are younger, few where
    /// requests come evenly. Deleted requests read as block 0, and are finalised: where the search meets one, nothing
    /// before it waits.
    /// @param self the queue.
    /// @param blockNumber the last block that counts; for the current one later requests of the same block are not in yet.
    /// @return shares in wei of the tranche token; 0 once requests are given back.
    function maturedShares(State storage self, uint256 blockNumber) internal view returns (uint256 shares) {
        (uint256 requested, uint256 finalised) = (self.requested, self.finalised);
        if (self.returned != 0 || requested == finalised) return 0;
        uint256 high = self.count;
        uint256 made = self.requests[high].blockNumber;
        if (made <= blockNumber) return requested - finalised;
        return Math.saturatingSub(self.requests[_lastMatured(self, blockNumber, high, made)].end, finalised);
    }

    /// @dev The newest request that was made up to a block, 0 if there is none. Request `high` was made at a later one.
    function _lastMatured(State storage self, uint256 blockNumber, uint256 high, uint256 made)
        private
        view
        returns (uint256 low)
    {
        // back from the newest in growing steps to one that is old enough, then between the last two
        uint256 above = made - blockNumber;
        (uint256 blocks, uint256 ids) = (above, 1);
        for (uint256 step = 4;; step *= 4) {
            low = Math.saturatingSub(high, step);
            made = self.requests[low].blockNumber;
            if (made <= blockNumber) break;
            (blocks, ids) = (above - (made - blockNumber), step);
            (high, above) = (low, made - blockNumber);
        }
        // used-up requests do not tell when they were made: as the last step went
        uint256 below = made != 0 ? blockNumber - made : Math.saturatingSub(blocks * (high - low) / ids, above);
        (blocks, ids) = (0, 0); // from here on: guesses, and the way of the last one
        while (high - low > 1) {
            uint256 id = low + _step(high - low, below, above, blocks++);
            made = self.requests[id].blockNumber;
            if (made <= blockNumber) {
                if (ids == 1) above /= 2;
                (low, below, ids) = (id, made != 0 ? blockNumber - made : above, 1);
            } else {
                if (ids == 2) below /= 2;
                (high, above, ids) = (id, made - blockNumber, 2);
            }
        }
    }

    /// @notice A(s): what the first s shares of the line were paid together.
    /// @dev Linear between checkpoints, rounded down; A(0) = 0; never falls.
    /// @param self the queue.
    /// @param shares s, cumulative; beyond the finalised ones it counts as all of them.
    /// @return assets in wei, cumulative.
    function assetsAt(State storage self, uint256 shares) internal view returns (uint256 assets) {
        Span memory span;
        _end(self, span);
        return _assetsAt(self, span, shares);
    }

    /// @notice The part of a request that still waits.
    /// @dev A request cut by `returnUnfinalised` waits for nothing. Reverts `UnknownRequest`.
    /// @param self the queue.
    /// @param id of the request.
    /// @return shares in wei of the tranche token.
    function pendingOf(State storage self, uint256 id) internal view returns (uint256 shares) {
        Request memory request = _request(self, id);
        return Math.min(request.unclaimed, Math.saturatingSub(request.end, self.finalised));
    }

    /// @notice The part of a request that can be claimed.
    /// @dev Reverts `UnknownRequest`. Does not count the controller's credit.
    /// @param self the queue.
    /// @param id of the request.
    /// @return shares in wei of the tranche token.
    /// @return assets what they are paid, in wei.
    function claimableOf(State storage self, uint256 id) internal view returns (uint256 shares, uint256 assets) {
        Span memory span;
        return _take(self, span, _request(self, id), type(uint256).max, type(uint256).max);
    }

    /// @notice What a controller can claim now from his 32 oldest requests that are not used up.
    /// @param self the queue.
    /// @param controller whose.
    /// @return shares in wei of the tranche token.
    /// @return assets what they are paid, in wei, with his credit; `claimShares(shares)` pays exactly this.
    function claimable(State storage self, address controller) internal view returns (uint256 shares, uint256 assets) {
        List memory list = self.lists[controller];
        assets = list.credit;
        Span memory span;
        uint256 id = list.head;
        for (uint256 i; i < MAX_SCAN && id != 0; ++i) {
            Request memory request = self.requests[id];
            (uint256 some, uint256 worth) = _take(self, span, request, type(uint256).max, type(uint256).max);
            shares += some;
            assets += worth;
            id = request.next;
        }
    }

    /// @notice Claims exactly so many finalised shares, oldest first, from at most 32 requests, and all of the credit.
    /// @dev Pays Σ (A(s1) - A(s0)) over the parts taken, plus the controller's credit, which becomes 0.
    /// Reverts `ExceedsClaimable` where the 32 oldest requests do not hold as many finalised shares.
    /// @param self the queue.
    /// @param controller whose.
    /// @param shares in wei of the tranche token; 0 pays the credit alone.
    /// @return assets to be paid, in wei.
    function claimShares(State storage self, address controller, uint256 shares) internal returns (uint256 assets) {
        List memory list = self.lists[controller];
        (uint256 left, uint256 paid) = _claim(self, list, shares, type(uint256).max);
        if (left != 0) revert ExceedsClaimable(shares, shares - left);
        assets = paid + list.credit;
        list.credit = 0;
        self.lists[controller] = list;
    }

    /// @notice Claims exactly so many assets with as few shares as possible, oldest first, from at most 32 requests.
    /// @dev First out of the credit, then out of shares: the smallest s that pays at least the rest; what the last
    /// request has behind it goes along where that is worth 0 wei, so no dust stays. A(s) moves in steps
    /// (a share may be worth several wei), so these shares may be worth a little more than asked; the excess, less than
    /// the worth of one share, is not lost but becomes the controller's credit. So at any time
    /// paid + credit + A(end) - A(first unclaimed share) is constant for him.
    /// Reverts `ExceedsClaimable`.
    /// @param self the queue.
    /// @param controller whose.
    /// @param assets to be paid, in wei.
    /// @return shares that were used up, in wei of the tranche token; 0 where the credit alone pays.
    function claimAssets(State storage self, address controller, uint256 assets) internal returns (uint256 shares) {
        List memory list = self.lists[controller];
        uint256 credit = list.credit;
        if (assets > credit) {
            uint256 wanted = assets - credit;
            (uint256 left, uint256 paid) = _claim(self, list, type(uint256).max, wanted);
            if (paid < wanted) revert ExceedsClaimable(assets, paid + credit);
            credit += paid;
            shares = type(uint256).max - left;
        }
        list.credit = uint128(credit - assets);
        self.lists[controller] = list;
    }

    /// @notice Cuts a request of a retired series at what is finalised and gives the rest back.
    /// @dev From the first return on the queue is closed: `push` and `finalise` revert. The caller checks that the
    /// series is retired. A second call for the same request returns 0 shares. Reverts `UnknownRequest`.
    /// @param self the queue.
    /// @param id of the request.
    /// @return controller to whom the shares go; zero where the request is used up.
    /// @return shares in wei of the tranche token.
    function returnUnfinalised(State storage self, uint256 id) internal returns (address controller, uint256 shares) {
        shares = pendingOf(self, id);
        Request storage request = self.requests[id];
        controller = request.controller;
        request.end -= uint112(shares);
        request.unclaimed -= uint104(shares);
        self.returned += uint104(shares);
    }

    /// @dev Takes finalised shares from the oldest requests until `shares` are taken or `assets` are reached, whichever
    /// comes first. Returns what of `shares` was not taken, and what the taken ones pay. Moves the list's ends in memory.
    function _claim(State storage self, List memory list, uint256 shares, uint256 assets)
        private
        returns (uint256 left, uint256 paid)
    {
        left = shares;
        Span memory span;
        uint256 head = list.head;
        for (uint256 i; i < MAX_SCAN && head != 0 && left != 0 && paid < assets; ++i) {
            Request memory request = self.requests[head];
            (uint256 taken, uint256 worth) = _take(self, span, request, left, assets - paid);
            unchecked {
                (left, paid) = (left - taken, paid + worth); // at most `left`, and 112 bits
            }
            if (taken != request.unclaimed) {
                if (taken != 0) self.requests[head].unclaimed = uint104(request.unclaimed - taken);
                break;
            }
            delete self.requests[head];
            head = request.next;
        }
        list.head = uint64(head);
        if (head == 0) list.tail = 0;
    }

    /// @dev What to take from one request: at most `shares`, and no more than it needs to pay `assets`.
    function _take(State storage self, Span memory span, Request memory request, uint256 shares, uint256 assets)
        private
        view
        returns (uint256 taken, uint256 paid)
    {
        unchecked {
            // at most 112 bits each, and differences of what ascends
            uint256 end = request.end;
            uint256 start = end - request.unclaimed;
            uint256 finalised = self.finalised;
            if (end > finalised) end = finalised;
            if (start >= end) return (0, 0);
            if (end - start > shares) end = start + shares;
            if (span.high <= request.checkpoint) _begin(self, span, request.checkpoint);
            uint256 before = _assetsAt(self, span, start);
            paid = _assetsAt(self, span, end) - before;
            if (paid > assets) {
                _begin(self, span, request.checkpoint);
                (shares, assets) = _sharesFor(self, span, before + assets);
                // where the shares behind these are worth nothing they go along
                if (assets - before != paid) (end, paid) = (shares, assets - before);
            }
            taken = end - start;
        }
    }

    /// @dev Makes a span from a checkpoint to the end of the line. `number` is at most the number of checkpoints.
    function _begin(State storage self, Span memory span, uint256 number) private view {
        span.low = number;
        Checkpoint storage from = self.checkpoints[number];
        (span.fromShares, span.fromAssets) = number == 0 ? (0, 0) : (uint256(from.shares), uint256(from.assets));
        _end(self, span);
    }

    function _end(State storage self, Span memory span) private view {
        (span.high, span.toShares, span.toAssets) = (self.checkpointCount, self.finalised, self.assets);
    }

    /// @dev A(shares). The span must not begin beyond it; afterwards it holds the point, so that a point further on costs
    /// few reads.
    function _assetsAt(State storage self, Span memory span, uint256 shares) private view returns (uint256 assets) {
        if (shares > span.toShares) {
            (span.low, span.fromShares, span.fromAssets) = (span.high, span.toShares, span.toAssets);
            _end(self, span);
        }
        if (shares >= span.toShares) return span.toAssets;
        if (shares == span.fromShares) return span.fromAssets;
        if (span.high - span.low > 1) _narrow(self, span, shares, false);
        unchecked {
            // 112 × 112 bits
            uint256 rise = (span.toAssets - span.fromAssets) * (shares - span.fromShares);
            return span.fromAssets + rise / (span.toShares - span.fromShares);
        }
    }

    /// @dev The smallest s with A(s) >= assets, and A(s), for A(from) < assets <= A(to): the first checkpoint
    /// that reaches it bounds the piece, on which floor(a·(s - s0)/w) >= t is s - s0 >= ceil(t·w/a).
    function _sharesFor(State storage self, Span memory span, uint256 assets)
        private
        view
        returns (uint256 shares, uint256 worth)
    {
        _narrow(self, span, assets, true);
        (uint256 width, uint256 rise) = (span.toShares - span.fromShares, span.toAssets - span.fromAssets);
        shares = span.fromShares + Math.ceilDiv((assets - span.fromAssets) * width, rise);
        worth = _assetsAt(self, span, shares);
    }

    /// @dev Narrows a span until it is the piece that holds the target: `from` is below it and `to` is not. It may stay
    /// wider where it ends at the very share that was looked for.
    function _narrow(State storage self, Span memory span, uint256 target, bool byAssets) private view {
        unchecked {
            // differences of what ascends
            uint256 below = target - (byAssets ? span.fromAssets : span.fromShares);
            uint256 above = (byAssets ? span.toAssets : span.toShares) - target;
            uint256 guesses;
            uint256 way; // of the last guess: 1 up, 2 down
            while (span.high - span.low > 1) {
                uint256 number = span.low + _step(span.high - span.low, below, above, guesses++);
                (uint256 shares, uint256 assets) = (self.checkpoints[number].shares, self.checkpoints[number].assets);
                uint256 value = byAssets ? assets : shares;
                if (value < target) {
                    (span.low, span.fromShares, span.fromAssets) = (number, shares, assets);
                    if (way == 1) above /= 2;
                    (below, way) = (target - value, 1);
                } else {
                    (span.high, span.toShares, span.toAssets) = (number, shares, assets);
                    if (way == 2) below /= 2;
                    (above, way) = (value - target, 2);
                    if (above == 0 && !byAssets) break;
                }
            }
        }
    }

    /// @dev Where to look next between two ends `width` apart that are so much below and above what is looked for: regula
    /// falsi in the Illinois form. A straight line between the ends says where it should be, and an end that stays is
    /// believed half as much each time (its distance is halved by the caller). Few guesses where the row rises evenly;
    /// after eight it halves the width.
    function _step(uint256 width, uint256 below, uint256 above, uint256 guesses) private pure returns (uint256 step) {
        unchecked {
            if (guesses >= MAX_GUESSES) return width / 2;
            step = width * below / (below + above + 1); // 40 × 113 bits, and less than the width
            if (step == 0) step = 1;
        }
    }

    function _request(State storage self, uint256 id) private view returns (Request memory request) {
        if (id == 0 || id > self.count) revert UnknownRequest(id, self.count);
        return self.requests[id];
    }
}
