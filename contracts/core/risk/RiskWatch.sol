// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {IAllocationManager, IDelegationManager, IStrategyManager} from "../../interfaces/external/IEigenLayer.sol";
import {Observation} from "../../interfaces/IRiskManager.sol";
import {Attribution} from "../../libraries/Attribution.sol";
import {DataContract} from "../../libraries/DataContract.sol";
import {Exposure} from "../../libraries/Exposure.sol";
import {RiskStore} from "./RiskStore.sol";

/// @title Looks at every agent and link: a sync when something has happened, and the views that need all of them
/// @notice What happens is slashes, ended withdrawals, stale sets, changed caches. RiskManager delegates its refresh here
/// where its stored totals do not tell, and its views of exposures and limits, which foresee what that refresh will find
/// and decide. Storage and caller are RiskManager's. Called itself it can do nothing, because no tier is stored here.
/// @custom:oz-upgrades-unsafe-allow missing-initializer
contract RiskWatch is RiskStore {
    /// @dev Shares whose price is asked for, once for all slashes of a sync.
    uint256 private constant PRICED = 1e27;
    /// @dev Below a tenth of its magnitude an agent gets no new stake (SPEC section 10, 9).
    uint256 private constant MIN_MAGNITUDE = 1e17;

    /// @dev What the record of a slash goes by.
    struct Booking {
        uint256 lossId;
        uint256 groups;
        uint256 price; // wei of PRICED shares
    }

    /// @dev What the slashes that nobody has booked yet come to.
    struct Verdict {
        // by agent; of links, of slashed agents only
        uint256[] bases; // shares before the slashes that a slash would have reached
        Link[][] links; // as EigenLayer has them now
        uint256[][] taken; // magnitude
        bool[] estimated;
        // by group
        uint256[] scores;
        uint256 slashed; // bitmap
        uint256 condemned; // bitmap: with a score above the threshold
    }

    /// @custom:oz-upgrades-unsafe-allow constructor
    constructor(IAllocationManager allocations, IDelegationManager delegation, IStrategyManager strategies)
        RiskStore(allocations, delegation, strategies)
    {}

    // --------------------------------------------------------------------------------------------- refresh

    /// @notice See {IRiskManager}.
    function refresh(uint256 lossId, bool)
        external
        onlyPart(msg.sender == address(_store().tier))
        returns (Observation memory o)
    {
        Store storage $ = _store();
        // first: no snapshot has to ask again at which magnitude finished withdrawals pay
        _settleExits($, $.config.agentCount);
        Snapshot memory s = _survey($);
        uint256 changed = s.changed;
        // first the slashes, against the links as they were: looking at a set again overwrites them
        if (changed != 0) _book($, s, lossId);
        if (s.stale) _pokeStale($, changed);
        // what is stored is EigenLayer's from here on
        (s.config, s.changed, s.stale) = ($.config, 0, false);
        _measure($, s);
        Totals memory t = _total($, s);
        $.totals = t;
        ($.totalled, $.nextBlock) = (true, uint32(s.nextBlock));
        _rememberMagnitudes($, s);
        o = _summary($, s.config, t, s.staked);
        o.slashedAgents = changed;
    }

    /// @dev Writes down what to ask EigenLayer, and the answer while nobody is slashed.
    function _rememberMagnitudes(Store storage $, Snapshot memory s) private {
        uint256 count;
        for (uint256 i; i < s.accounts.length; ++i) {
            if (s.accounts[i] != address(0)) ++count;
        }
        if (count == 0) return;
        (address[] memory accounts, uint64[] memory magnitudes) = (new address[](count), new uint64[](count));
        uint256 at;
        for (uint256 i; i < s.accounts.length; ++i) {
            if (s.accounts[i] != address(0)) (accounts[at], magnitudes[at++]) = (s.accounts[i], s.magnitudes[i]);
        }
        $.magnitudes = keccak256(abi.encode(magnitudes));
        if ($.roster != address(0)) return;
        $.roster =
            DataContract.write(abi.encodeWithSignature("getMaxMagnitudes(address[],address)", accounts, $.strategy));
    }

    /// @dev Attributes what slashes took and brings the caches up to date. The waterfall does not need attribution.
    function _book(Store storage $, Snapshot memory s, uint256 lossId) private {
        Verdict memory v = _verdict($, s);
        Booking memory b = Booking(lossId, s.groups, $.strategy.sharesToUnderlyingView(PRICED));
        for (uint256 i; i < v.bases.length; ++i) {
            if (_bit(s.changed, i)) _bookAgent($, s, v, b, i);
        }
        for (uint256 g; g < MAX_SETS; ++g) {
            if (!_bit(v.slashed, g)) continue;
            $.scores[g] = Score(uint128(v.scores[g]), uint40(block.timestamp));
            if (_bit(v.condemned, g)) _quarantine($, uint8(g));
        }
        _packAll($);
    }

    function _bookAgent(Store storage $, Snapshot memory s, Verdict memory v, Booking memory b, uint256 index) private {
        Agent storage a = $.agents[index];
        (Link[] memory links, uint256[] memory taken) = (v.links[index], v.taken[index]);
        for (uint256 j; j < links.length; ++j) {
            _record($, index, j, links[j]);
        }
        a.magnitude = s.magnitudes[index];
        for (uint256 j; j < links.length; ++j) {
            if (taken[j] == 0) continue;
            _emitSlash(b, index, _byte(a.sets, j), taken[j], v.bases[index] * taken[j] / WAD, v.estimated[index]);
        }
    }

    function _emitSlash(Booking memory b, uint256 index, uint256 at, uint256 taken, uint256 shares, bool estimated)
        private
    {
        uint256 value = shares * b.price / PRICED;
        emit SlashAttributed(b.lossId, index, at, uint8(_byte(b.groups, at)), taken, value, estimated);
    }

    /// @dev Writes down the magnitude at which finished withdrawals pay, once.
    function _settleExits(Store storage $, uint256 count) private {
        for (uint256 i; i < count; ++i) {
            uint256 n = $.agents[i].exits;
            for (uint256 q; q < n; ++q) {
                Exit memory x = $.exits[i][q];
                if (x.settled || block.number <= uint256(x.startBlock) + WITHDRAWAL_DELAY) continue;
                x.magnitude = uint64(_magnitudeAt($.agents[i].account, $.strategy, x.startBlock + WITHDRAWAL_DELAY));
                x.settled = true;
                $.exits[i][q] = x;
            }
        }
    }

    /// @dev Looks at every stale set again, at the allocations to it, and at decreases that have taken effect; `booked`
    /// agents' links were read a moment ago.
    function _pokeStale(Store storage $, uint256 booked) private {
        uint256 count = $.config.setCount;
        uint256 map = _allocatedSets($);
        for (uint256 i; i < count; ++i) {
            if (!_bit(map, i)) continue;
            if (block.timestamp <= uint256($.sets[i].seenAt) + FRESHNESS) map &= ~(1 << i);
            else _look($, i);
        }
        count = $.config.agentCount;
        for (uint256 i; i < count; ++i) {
            Agent storage a = $.agents[i];
            uint256 links = _bit(booked, i) ? 0 : a.links;
            for (uint256 j; j < links; ++j) {
                Link storage x = $.links[i][j];
                bool over = x.pending != 0 && block.number >= x.effectBlock;
                if (over || _bit(map, _byte(a.sets, j))) _relink($, i, j);
            }
        }
        _packAll($);
        _updateFreshness($);
    }

    // --------------------------------------------------------------------------------------------- views

    /// @notice See {IRiskManager}.
    function observe() external view returns (Observation memory o) {
        Store storage $ = _store();
        Snapshot memory s = _foresee($);
        o = _summary($, s.config, _total($, s), s.staked);
        o.slashedAgents = s.changed;
    }

    /// @notice See {IRiskManager}.
    function exposures(bool forward) external view returns (Exposures memory x) {
        Store storage $ = _store();
        Snapshot memory s = _foresee($);
        if (forward) {
            uint256[] memory settled = new uint256[](s.accounts.length);
            for (uint256 i; i < s.accounts.length; ++i) {
                (s.live[i], settled[i]) = _forwardWords($, i, s.magnitudes[i]);
            }
            (x.settled,) = _byGroup(s, settled, s.reach, MAX_SETS);
            _inWei(s, x.settled);
        }
        (x.current, x.unapproved) = _byGroup(s, s.live, s.reach, MAX_SETS);
        (x.largest, x.worst) = Exposure.largest(x.current, s.config.k);
        (x.largest, x.unapproved) = (_inWei(s, x.largest + x.unapproved), _inWei(s, x.unapproved));
        _inWei(s, x.current);
    }

    /// @notice See {IRiskManager}.
    function seniorLimit(uint256 cover, uint256 value, uint256 idleToDeploy, uint256 room)
        external
        view
        returns (uint256)
    {
        Store storage $ = _store();
        Snapshot memory s = _foresee($);
        return Exposure.limit(_seniorLine($, s, value, idleToDeploy), s.config.k, Exposure.budget(cover), room);
    }

    /// @notice See {IRiskManager}.
    function seniorFits(uint256 cover, uint256 value, uint256 idleToDeploy, uint256 assets)
        external
        view
        returns (bool)
    {
        Store storage $ = _store();
        Snapshot memory s = _foresee($);
        return Exposure.demand(_seniorLine($, s, value, idleToDeploy), s.config.k, assets) <= Exposure.budget(cover);
    }

    /// @notice See {IRiskManager}.
    function deployLimit(uint256 index, uint256 cover, uint256 value, uint256 room) external view returns (uint256) {
        Store storage $ = _store();
        _agent($, index);
        Snapshot memory s = _foresee($);
        if (!_mayGrow(s, index)) return 0;
        return Exposure.limit(_deployLine(s, index, value), s.config.k, Exposure.budget(cover), room);
    }

    /// @notice See {IRiskManager}. The inequality itself: the bound that decides most calls is RiskManager's.
    function deployFits(uint256 index, uint256 cover, uint256 value, uint256, uint256 assets)
        external
        view
        returns (bool)
    {
        Store storage $ = _store();
        _agent($, index);
        Snapshot memory s = _foresee($);
        return Exposure.demand(_deployLine(s, index, value), s.config.k, assets) <= Exposure.budget(cover);
    }

    /// @dev Whether the agent will take new stake once what is foreseen is stored (SPEC section 4.7).
    function _mayGrow(Snapshot memory s, uint256 index) private pure returns (bool) {
        if (s.magnitudes[index] < MIN_MAGNITUDE) return false;
        uint256 numbers = s.sets[index];
        for (uint256 word = s.live[index]; word != 0; word >>= 32) {
            if (word & type(uint32).max != 0 && _bit(s.config.quarantined, numbers & 0xff)) return false;
            numbers >>= 8;
        }
        return true;
    }

    function _seniorLine(Store storage $, Snapshot memory s, uint256 value, uint256 idleToDeploy)
        private
        view
        returns (Exposure.Line memory)
    {
        uint256 count = s.config.setCount;
        (uint256[] memory e, uint256 extra) = _byGroup(s, s.star, s.reach, count);
        (uint256[] memory rho, uint256 extraRho) = _byGroup(s, s.star, _weights($, s), count);
        (uint256 margin, uint256 haircut) = (s.config.marginBps, s.config.haircutBps);
        return Exposure.seniorLine(_inWei(s, e), rho, _inWei(s, extra), extraRho, idleToDeploy, value, margin, haircut);
    }

    function _deployLine(Snapshot memory s, uint256 index, uint256 value) private pure returns (Exposure.Line memory) {
        uint256 count = s.config.setCount;
        (uint256[] memory level, uint256 extra) = _byGroup(s, s.live, s.reach, count);
        uint256[] memory one = new uint256[](s.accounts.length);
        one[index] = 1;
        (uint256[] memory slope, uint256 extraSlope) = _byGroup(s, s.live, one, count);
        (uint256 margin, uint256 haircut) = (s.config.marginBps, s.config.haircutBps);
        return Exposure.deployLine(_inWei(s, level), slope, _inWei(s, extra), extraSlope, value, margin, haircut);
    }

    /// @dev What an agent's allocations come to once pending decreases are done: of all links, and of the pending ones.
    function _forwardWords(Store storage $, uint256 index, uint256 m)
        private
        view
        returns (uint256 word, uint256 settled)
    {
        Agent storage a = $.agents[index];
        bool slashed = m != a.magnitude;
        for (uint256 j; j < a.links; ++j) {
            Link memory x = $.links[index][j];
            if (slashed || (x.pending != 0 && block.number >= x.effectBlock)) x = _read($, index, j);
            uint256 e = Exposure.fraction(x.current - x.pending, m) << (32 * j);
            word |= e;
            if (x.pending != 0) settled |= e;
        }
    }

    // ----------------------------------------------------------------------------------------- observing

    /// @dev What has changed at EigenLayer, beside the configuration as it is stored.
    function _survey(Store storage $) private view returns (Snapshot memory s) {
        s.config = $.config;
        s.groups = $.groups;
        s.stale = block.timestamp > $.freshUntil;
        uint256 count = s.config.agentCount;
        s.accounts = new address[](count);
        if (count == 0) return s;
        for (uint256 i; i < count; ++i) {
            s.accounts[i] = $.agents[i].account;
        }
        s.magnitudes = ALLOCATIONS.getMaxMagnitudes(s.accounts, $.strategy);
        for (uint256 i; i < count; ++i) {
            if (s.accounts[i] != address(0) && s.magnitudes[i] != $.agents[i].magnitude) s.changed |= 1 << i;
        }
    }

    /// @dev EigenLayer now, with the quarantine that a refresh now would decide: in the same order, first the slashes.
    function _foresee(Store storage $) private view returns (Snapshot memory s) {
        s = _survey($);
        if (s.changed != 0) {
            uint256 condemned = _verdict($, s).condemned;
            for (uint256 i; i < s.config.setCount; ++i) {
                if (_bit(condemned, _byte(s.groups, i))) s.config.quarantined |= uint32(1 << i);
            }
        }
        if (s.stale) s.config.unapproved = _unapprovedNow($, s.config);
        s.config.quarantined |= s.config.unapproved;
        _measure($, s);
    }

    /// @dev Stake, queued stake and allocations of all agents. Slashed agents' allocations, and all where sets are stale,
    /// are read afresh; everybody else's cache equals EigenLayer's.
    function _measure(Store storage $, Snapshot memory s) private view {
        uint256 count = s.accounts.length;
        s.nextBlock = type(uint32).max;
        s.reach = new uint256[](count);
        s.live = new uint256[](count);
        s.star = new uint256[](count);
        s.sets = new uint256[](count);
        bool packed = s.config.quarantined == $.config.quarantined;
        for (uint256 i; i < count; ++i) {
            if (s.accounts[i] == address(0)) continue;
            _measureLinks($, s, i, packed);
            _measureStake($, s, i);
        }
        // One conversion for all agents: the strategy's price is linear.
        if (s.shares != 0) s.staked = $.strategy.sharesToUnderlyingView(s.shares);
    }

    /// @dev `packed`: whether the stored exposure words go by the same quarantine.
    function _measureLinks(Store storage $, Snapshot memory s, uint256 i, bool packed) private view {
        Agent storage a = $.agents[i];
        s.sets[i] = a.sets;
        bool fresh = s.stale || _bit(s.changed, i);
        if (packed && !fresh) (s.live[i], s.star[i]) = (a.live, a.star);
        else (s.live[i], s.star[i]) = _words($, i, s.magnitudes[i], fresh, s.config.quarantined);
    }

    function _measureStake(Store storage $, Snapshot memory s, uint256 i) private view {
        Agent storage a = $.agents[i];
        uint256 m = s.magnitudes[i];
        uint256 exits = a.exits;
        uint256 reachable = uint256(a.stake) * m / WAD;
        uint256 all = reachable;
        for (uint256 q; q < exits; ++q) {
            Exit memory x = $.exits[i][q];
            uint256 end = uint256(x.startBlock) + WITHDRAWAL_DELAY;
            uint256 part;
            if (block.number <= end) {
                part = uint256(x.scaled) * m / WAD;
                reachable += part;
                if (end < s.nextBlock) s.nextBlock = end + 1;
            } else {
                part = x.settled ? x.magnitude : _magnitudeAt(s.accounts[i], $.strategy, uint32(end));
                part = uint256(x.scaled) * part / WAD;
            }
            all += part;
            s.exiting += part;
        }
        s.shares += all;
        s.reach[i] = reachable + 2 * (1 + exits);
    }

    /// @dev What `_pokeStale` would find.
    function _unapprovedNow(Store storage $, Config memory config) private view returns (uint32 map) {
        map = config.unapproved;
        uint256 allocated = _allocatedSets($);
        for (uint256 i; i < config.setCount; ++i) {
            Set storage x = $.sets[i];
            if (!_bit(allocated, i) || block.timestamp <= uint256(x.seenAt) + FRESHNESS) continue;
            (,, bool bad) = _slashers(x);
            uint32 bit = uint32(1 << i);
            map = bad ? map | bit : map & ~bit;
        }
    }

    /// @dev Attribution and scores of the slashes that the survey found, against the caches as they were. One function for
    /// the refresh and for the views, so they cannot differ.
    function _verdict(Store storage $, Snapshot memory s) private view returns (Verdict memory v) {
        uint256 count = s.config.agentCount;
        (v.bases, v.links) = (new uint256[](count), new Link[][](count));
        (v.taken, v.estimated, v.scores) = (new uint256[][](count), new bool[](count), new uint256[](MAX_SETS));
        uint256[] memory allocated = new uint256[](MAX_SETS);
        uint256[] memory taken = new uint256[](MAX_SETS);
        for (uint256 i; i < count; ++i) {
            Agent storage a = $.agents[i];
            uint256 base = _baseShares($, i);
            bool slashed = _bit(s.changed, i);
            v.bases[i] = base;
            if (slashed) _attribute($, s, v, i);
            for (uint256 j; j < a.links; ++j) {
                uint256 group = _byte(s.groups, _byte(a.sets, j));
                allocated[group] += base * $.links[i][j].current / WAD;
                if (slashed) taken[group] += base * v.taken[i][j] / WAD;
            }
        }
        for (uint256 g; g < MAX_SETS; ++g) {
            if (taken[g] == 0) continue;
            Score storage score = $.scores[g];
            uint256 elapsed = Math.min(block.timestamp - score.at, SCORE_DECAY);
            uint256 fraction = allocated[g] == 0 ? WAD : Math.min(WAD, taken[g] * WAD / allocated[g]);
            uint256 value = uint256(score.value) * (SCORE_DECAY - elapsed) / SCORE_DECAY + fraction;
            v.scores[g] = value;
            v.slashed |= 1 << g;
            if (value * Exposure.Q > uint256(s.config.quarantineBps) * WAD) v.condemned |= 1 << g;
        }
    }

    /// @dev Shares of an agent before slashing that a slash now would reach.
    function _baseShares(Store storage $, uint256 index) private view returns (uint256 base) {
        Agent storage a = $.agents[index];
        base = a.stake;
        for (uint256 q; q < a.exits; ++q) {
            Exit storage x = $.exits[index][q];
            if (block.number <= uint256(x.startBlock) + WITHDRAWAL_DELAY) base += x.scaled;
        }
    }

    /// @dev An agent's links as EigenLayer has them, and what each of them lost.
    function _attribute(Store storage $, Snapshot memory s, Verdict memory v, uint256 index) private view {
        Agent storage a = $.agents[index];
        uint256 count = a.links;
        Link[] memory links = new Link[](count);
        Attribution.Item[] memory items = new Attribution.Item[](count);
        for (uint256 j; j < count; ++j) {
            (Link memory old, Link memory now_) = ($.links[index][j], _read($, index, j));
            links[j] = now_;
            Attribution.Item memory item = items[j];
            item.before = old.current;
            item.pending = old.pending;
            item.effectBlock = old.effectBlock;
            item.slashed = now_.slashCount != old.slashCount;
            item.afterwards = now_.current;
            item.calmBeforeEffect = old.pending != 0 && block.number >= old.effectBlock
                && _magnitudeAt(a.account, $.strategy, old.effectBlock - 1) == a.magnitude;
        }
        v.links[index] = links;
        (v.taken[index], v.estimated[index]) =
            Attribution.attribute(items, a.magnitude, s.magnitudes[index], block.number);
    }

    // ------------------------------------------------------------------------------------------- totals

    /// @dev What follows from a snapshot for all agents together.
    function _total(Store storage $, Snapshot memory s) private view returns (Totals memory t) {
        (uint256 count, uint256 k) = (s.config.setCount, s.config.k);
        (t.shares, t.exiting) = (uint128(s.shares), uint128(s.exiting));
        // One look at the groups for two sums: exposures of 1e38 shares at most need 160 bits, so weights fit above 208.
        uint256[] memory amounts = _weights($, s);
        for (uint256 i; i < amounts.length; ++i) {
            amounts[i] = amounts[i] << 208 | s.reach[i];
        }
        (uint256[] memory sums, uint256 extra) = _byGroup(s, s.star, amounts, count);
        uint256[] memory weights = new uint256[](count);
        for (uint256 g; g < count; ++g) {
            (weights[g], sums[g]) = (sums[g] >> 208, uint208(sums[g]));
        }
        t.weight = uint48(_largest(weights, k) + (extra >> 208));
        t.exposedAtTarget = _largest(sums, k) + uint208(extra);
        if (keccak256(abi.encode(s.live)) == keccak256(abi.encode(s.star))) {
            t.exposed = uint208(t.exposedAtTarget);
        } else {
            (sums, extra) = _byGroup(s, s.live, s.reach, count);
            t.exposed = uint208(_largest(sums, k) + extra);
        }
    }

    function _largest(uint256[] memory sums, uint256 k) private pure returns (uint256 sum) {
        (sum,) = Exposure.largest(sums, k);
    }

    function _inWei(Snapshot memory s, uint256 exposure) private pure returns (uint256) {
        return _inWei(s.shares, s.staked, exposure);
    }

    function _inWei(Snapshot memory s, uint256[] memory amounts) private pure returns (uint256[] memory) {
        for (uint256 i; i < amounts.length; ++i) {
            amounts[i] = _inWei(s, amounts[i]);
        }
        return amounts;
    }

    function _weights(Store storage $, Snapshot memory s) private view returns (uint256[] memory weights) {
        weights = new uint256[](s.accounts.length);
        for (uint256 i; i < weights.length; ++i) {
            weights[i] = $.agents[i].weightBps;
        }
    }
}
