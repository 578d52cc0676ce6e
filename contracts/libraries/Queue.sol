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
/// Shares and assets are in wei. Cumulative sums are held in 128 bits. Source: specification, section "Life of a tier".
library Queue {
    using SafeCast for uint256;

    /// @notice One redemption request.
    /// @param controller who may claim it.
    /// @param blockNumber block in which it was made.
    /// @param start first share not yet claimed, on the line of cumulative shares.
    /// @param end one beyond its last share.
    struct Request {
        address controller;
        uint48 blockNumber;
        uint128 start;
        uint128 end;
    }

    /// @notice State of the line after one finalisation, both cumulative.
    /// @param shares finalised so far.
    /// @param assets paid for them so far, in wei.
    struct Checkpoint {
        uint128 shares;
        uint128 assets;
    }

    /// @notice State of the line at the end of a block in which something was requested.
    /// @param blockNumber the block.
    /// @param shares requested so far.
    struct Trace {
        uint48 blockNumber;
        uint128 shares;
    }

    /// @notice The requests of one controller.
    /// @param head index in `ids` of the first request that is not used up.
    /// @param credit assets, in wei, of shares that are burnt already: what the last share of an exact withdrawal was
    /// worth beyond the assets asked for.
    /// @param ids his requests, oldest first.
    struct List {
        uint64 head;
        uint128 credit;
        uint64[] ids;
    }

    /// @notice The queue.
    /// @param requested shares requested so far, cumulative.
    /// @param finalised shares finalised so far, cumulative.
    /// @param assets paid for them so far, in wei, cumulative.
    /// @param returned shares given back from a retired series; once not 0 nothing can be finalised any more.
    /// @param count number of requests; ids run from 1 to `count`.
    /// @param requests by id.
    /// @param checkpoints one for each finalisation.
    /// @param trace one for each block with a request.
    /// @param byController the requests of each controller.
    struct State {
        uint128 requested;
        uint128 finalised;
        uint128 assets;
        uint128 returned;
        uint64 count;
        mapping(uint256 id => Request) requests;
        Checkpoint[] checkpoints;
        Trace[] trace;
        mapping(address controller => List) byController;
    }

    /// @notice Most requests that one claim or one view of a controller looks at.
    uint256 internal constant MAX_SCAN = 32;

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
    /// @dev Requests of the same block share one trace entry. Reverts `ZeroShares`, `QueueClosed`.
    /// @param self the queue.
    /// @param controller who may claim it.
    /// @param shares in wei of the tranche token.
    /// @return id of the request, from 1.
    function push(State storage self, address controller, uint256 shares) internal returns (uint256 id) {
        if (shares == 0) revert ZeroShares();
        if (self.returned != 0) revert QueueClosed(self.returned);
        uint128 start = self.requested;
        uint128 end = (uint256(start) + shares).toUint128();
        uint48 blockNumber = block.number.toUint48();
        self.requested = end;
        id = ++self.count;
        self.requests[id] = Request(controller, blockNumber, start, end);
        self.byController[controller].ids.push(uint64(id));
        uint256 n = self.trace.length;
        if (n != 0 && self.trace[n - 1].blockNumber == blockNumber) self.trace[n - 1].shares = end;
        else self.trace.push(Trace(blockNumber, end));
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
        uint128 finalised = uint128(self.finalised + shares);
        uint128 paid = (self.assets + assets).toUint128();
        self.finalised = finalised;
        self.assets = paid;
        self.checkpoints.push(Checkpoint(finalised, paid));
    }

    /// @notice Shares that wait: requested, not finalised and not returned.
    /// @param self the queue.
    /// @return shares in wei of the tranche token.
    function pendingShares(State storage self) internal view returns (uint256 shares) {
        return self.requested - self.finalised - self.returned;
    }

    /// @notice Cumulative shares requested up to and including a block.
    /// @dev Binary search, O(log n).
    /// @param self the queue.
    /// @param blockNumber the block; for the current one later requests of the same block are not in yet.
    /// @return shares in wei of the tranche token.
    function requestedAt(State storage self, uint256 blockNumber) internal view returns (uint256 shares) {
        uint256 low;
        uint256 high = self.trace.length;
        while (low < high) {
            uint256 mid = (low + high) / 2;
            if (self.trace[mid].blockNumber > blockNumber) high = mid;
            else low = mid + 1;
        }
        return low == 0 ? 0 : self.trace[low - 1].shares;
    }

    /// @notice Shares that were requested up to and including a block and are not finalised yet.
    /// @param self the queue.
    /// @param blockNumber the last block that counts.
    /// @return shares in wei of the tranche token; 0 once requests are given back.
    function maturedShares(State storage self, uint256 blockNumber) internal view returns (uint256 shares) {
        if (self.returned != 0) return 0;
        return Math.saturatingSub(requestedAt(self, blockNumber), self.finalised);
    }

    /// @notice A(s): what the first s shares of the line were paid together.
    /// @dev Linear between checkpoints, rounded down; A(0) = 0; never falls. O(log n).
    /// @param self the queue.
    /// @param shares s, cumulative; beyond the finalised ones it counts as all of them.
    /// @return assets in wei, cumulative.
    function assetsAt(State storage self, uint256 shares) internal view returns (uint256 assets) {
        (assets,) = _assetsAt(self, shares, 0);
    }

    /// @notice The part of a request that still waits.
    /// @dev A request cut by `returnUnfinalised` waits for nothing. Reverts `UnknownRequest`.
    /// @param self the queue.
    /// @param id of the request.
    /// @return shares in wei of the tranche token.
    function pendingOf(State storage self, uint256 id) internal view returns (uint256 shares) {
        Request storage request = _request(self, id);
        uint256 from = Math.max(request.start, self.finalised);
        return Math.saturatingSub(request.end, from);
    }

    /// @notice The part of a request that can be claimed.
    /// @dev Reverts `UnknownRequest`. Does not count the controller's credit.
    /// @param self the queue.
    /// @param id of the request.
    /// @return shares in wei of the tranche token.
    /// @return assets what they are paid, in wei.
    function claimableOf(State storage self, uint256 id) internal view returns (uint256 shares, uint256 assets) {
        Request storage request = _request(self, id);
        uint256 start = request.start;
        uint256 end = Math.min(request.end, self.finalised);
        if (end <= start) return (0, 0);
        return (end - start, assetsAt(self, end) - assetsAt(self, start));
    }

    /// @notice What a controller can claim now from his 32 oldest requests that are not used up.
    /// @param self the queue.
    /// @param controller whose.
    /// @return shares in wei of the tranche token.
    /// @return assets what they are paid, in wei, with his credit; `claimShares(shares)` pays exactly this.
    function claimable(State storage self, address controller) internal view returns (uint256 shares, uint256 assets) {
        List storage list = self.byController[controller];
        assets = list.credit;
        uint256 last = Math.min(list.ids.length, uint256(list.head) + MAX_SCAN);
        uint256 hint;
        for (uint256 i = list.head; i < last; ++i) {
            Request storage request = self.requests[list.ids[i]];
            uint256 start = request.start;
            uint256 end = Math.min(request.end, self.finalised);
            // a request that is used up or cut to nothing has none of its own; nothing behind the mark is finalised
            if (start >= end) continue;
            uint256 before;
            uint256 upTo;
            (before, hint) = _assetsAt(self, start, hint);
            (upTo, hint) = _assetsAt(self, end, hint);
            shares += end - start;
            assets += upTo - before;
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
        List storage list = self.byController[controller];
        (uint256 left, uint256 paid) = _claim(self, list, shares, type(uint256).max);
        if (left != 0) revert ExceedsClaimable(shares, shares - left);
        assets = paid + list.credit;
        list.credit = 0;
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
        List storage list = self.byController[controller];
        uint256 credit = list.credit;
        if (assets <= credit) {
            list.credit = uint128(credit - assets);
            return 0;
        }
        uint256 wanted = assets - credit;
        (uint256 left, uint256 paid) = _claim(self, list, type(uint256).max, wanted);
        if (paid < wanted) revert ExceedsClaimable(assets, paid + credit);
        list.credit = uint128(paid - wanted);
        return type(uint256).max - left;
    }

    /// @notice Cuts a request of a retired series at what is finalised and gives the rest back.
    /// @dev From the first return on the queue is closed: `push` and `finalise` revert. The caller checks that the
    /// series is retired. A second call for the same request returns 0 shares. Reverts `UnknownRequest`.
    /// @param self the queue.
    /// @param id of the request.
    /// @return controller to whom the shares go.
    /// @return shares in wei of the tranche token.
    function returnUnfinalised(State storage self, uint256 id) internal returns (address controller, uint256 shares) {
        shares = pendingOf(self, id);
        Request storage request = self.requests[id];
        controller = request.controller;
        request.end -= uint128(shares);
        self.returned += uint128(shares);
    }

    /// @dev Takes finalised shares from the oldest requests until `shares` are taken or `assets` are reached, whichever
    /// comes first. Returns what of `shares` was not taken, and what the taken ones pay.
    function _claim(State storage self, List storage list, uint256 shares, uint256 assets)
        private
        returns (uint256 left, uint256 paid)
    {
        left = shares;
        uint256 head = list.head;
        uint256 last = Math.min(list.ids.length, head + MAX_SCAN);
        uint256 hint;
        while (head < last && left != 0 && paid < assets) {
            Request storage request = self.requests[list.ids[head]];
            uint256 start = request.start;
            uint256 end = request.end;
            if (start != end) {
                uint256 worth;
                (start, worth, hint) = _take(self, request, left, assets - paid, hint);
                left -= start;
                paid += worth;
                if (request.start != end) break;
            }
            ++head;
        }
        list.head = uint64(head);
    }

    /// @dev Takes finalised shares from one request: at most `shares`, and no more than it needs to pay `assets`.
    function _take(State storage self, Request storage request, uint256 shares, uint256 assets, uint256 hint)
        private
        returns (uint256 taken, uint256 paid, uint256 newHint)
    {
        uint256 start = request.start;
        uint256 end = Math.min(request.end, self.finalised);
        if (start >= end) return (0, 0, hint);
        if (end - start > shares) end = start + shares;
        uint256 before;
        (before, newHint) = _assetsAt(self, start, hint);
        (paid, newHint) = _assetsAt(self, end, newHint);
        paid -= before;
        if (paid > assets) {
            uint256 to = _sharesFor(self, before + assets);
            uint256 worth = assetsAt(self, to) - before;
            // where the shares behind `to` are worth nothing they go along
            if (worth != paid) (end, paid) = (to, worth);
        }
        request.start = uint128(end);
        taken = end - start;
    }

    /// @dev A(shares) and the index of the checkpoint that it was found with. `from` must be 0 or an index that an
    /// earlier call returned for fewer or as many shares.
    function _assetsAt(State storage self, uint256 shares, uint256 from)
        private
        view
        returns (uint256 assets, uint256 index)
    {
        if (shares == 0) return (0, from);
        uint256 n = self.checkpoints.length;
        (uint256 low, uint256 high) = (from, n);
        while (low < high) {
            uint256 mid = (low + high) / 2;
            if (self.checkpoints[mid].shares < shares) low = mid + 1;
            else high = mid;
        }
        if (low == n) return (self.assets, from);
        Checkpoint memory next = self.checkpoints[low];
        if (next.shares == shares) return (next.assets, low);
        Checkpoint memory last = low == 0 ? Checkpoint(0, 0) : self.checkpoints[low - 1];
        // 128 × 128 bits: no overflow
        assets = last.assets + uint256(next.assets - last.assets) * (shares - last.shares)
            / uint256(next.shares - last.shares);
        return (assets, low);
    }

    /// @dev The smallest s with A(s) >= assets, for 0 < assets <= A(finalised): the first checkpoint that reaches it
    /// bounds the piece, on which floor(a·(s - s0)/w) >= t is s - s0 >= ceil(t·w/a).
    function _sharesFor(State storage self, uint256 assets) private view returns (uint256 shares) {
        (uint256 low, uint256 high) = (0, self.checkpoints.length);
        while (low < high) {
            uint256 mid = (low + high) / 2;
            if (self.checkpoints[mid].assets < assets) low = mid + 1;
            else high = mid;
        }
        Checkpoint memory next = self.checkpoints[low];
        Checkpoint memory last = low == 0 ? Checkpoint(0, 0) : self.checkpoints[low - 1];
        return last.shares
            + Math.ceilDiv((assets - last.assets) * uint256(next.shares - last.shares), next.assets - last.assets);
    }

    function _request(State storage self, uint256 id) private view returns (Request storage request) {
        if (id == 0 || id > self.count) revert UnknownRequest(id, self.count);
        return self.requests[id];
    }
}
