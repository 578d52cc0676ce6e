// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {IAllocationManager, IDelegationManager, IStrategyManager} from "../../interfaces/external/IEigenLayer.sol";
import {Observation} from "../../interfaces/IRiskManager.sol";
import {Attribution} from "../../libraries/Attribution.sol";
import {DataContract} from "../../libraries/DataContract.sol";
import {Exposure} from "../../libraries/Exposure.sol";
import {RiskStore} from "./RiskStore.sol";

/// @title What a sync does when something has happened: slashes, ended withdrawals, stale sets, changed caches
/// @notice RiskManager delegates its refresh here where its stored totals do not tell; storage and caller are RiskManager's.
/// Called itself it can do nothing, because no tier is stored here.
/// @custom:oz-upgrades-unsafe-allow missing-initializer
contract RiskWatch is RiskStore {
    /// @dev Shares whose price is asked for, once for all slashes of a sync.
    uint256 private constant PRICED = 1e27;

    /// @dev What booking the slashes of one sync goes by.
    struct Booking {
        uint256 lossId;
        uint256 groups;
        uint256 price; // wei of PRICED shares
        uint256[] taken; // shares, by group
    }

    /// @custom:oz-upgrades-unsafe-allow constructor
    constructor(IAllocationManager allocations, IDelegationManager delegation, IStrategyManager strategies)
        RiskStore(allocations, delegation, strategies)
    {}

    /// @notice See {IRiskManager}.
    function refresh(uint256 lossId, bool)
        external
        onlyPart(msg.sender == address(_store().tier))
        returns (Observation memory o)
    {
        Store storage $ = _store();
        // first: no snapshot has to ask again at which magnitude finished withdrawals pay
        _settleExits($, $.config.agentCount);
        Snapshot memory s = _snapshot($);
        uint256 changed = s.changed;
        // first the slashes, against the links as they were: looking at a set again overwrites them
        if (changed != 0) _book($, s, lossId);
        bool stale = s.stale;
        if (stale) _pokeStale($, changed);
        // quarantine and fresh links change the exposures
        if (stale || changed != 0) s = _snapshot($);
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
        Booking memory b = Booking(lossId, s.groups, 0, new uint256[](MAX_SETS));
        uint256[] memory allocatedShares = new uint256[](MAX_SETS);
        uint256 count = s.config.agentCount;
        b.price = $.strategy.sharesToUnderlyingView(PRICED);
        for (uint256 i; i < count; ++i) {
            uint256 base = _baseShares($, i);
            Agent storage a = $.agents[i];
            for (uint256 j; j < a.links; ++j) {
                allocatedShares[_byte(s.groups, _byte(a.sets, j))] += base * $.links[i][j].current / WAD;
            }
            if (_bit(s.changed, i)) _bookAgent($, b, i, s.magnitudes[i], base);
        }
        for (uint256 g; g < MAX_SETS; ++g) {
            if (b.taken[g] == 0) continue;
            Score storage score = $.scores[g];
            uint256 elapsed = Math.min(block.timestamp - score.at, SCORE_DECAY);
            uint256 fraction = allocatedShares[g] == 0 ? WAD : Math.min(WAD, b.taken[g] * WAD / allocatedShares[g]);
            uint256 value = uint256(score.value) * (SCORE_DECAY - elapsed) / SCORE_DECAY + fraction;
            score.value = uint128(value);
            score.at = uint40(block.timestamp);
            if (value * Exposure.Q > uint256(s.config.quarantineBps) * WAD) _quarantine($, uint8(g));
        }
        _packAll($);
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

    function _bookAgent(Store storage $, Booking memory b, uint256 index, uint64 magnitude, uint256 base) private {
        Agent storage a = $.agents[index];
        uint256 count = a.links;
        Attribution.Item[] memory items = new Attribution.Item[](count);
        for (uint256 j; j < count; ++j) {
            items[j] = _bookLink($, a, index, j);
        }
        (uint256[] memory taken, bool estimated) = Attribution.attribute(items, a.magnitude, magnitude, block.number);
        a.magnitude = magnitude;
        for (uint256 j; j < count; ++j) {
            if (taken[j] == 0) continue;
            _bookSlash(b, index, _byte(a.sets, j), taken[j], base * taken[j] / WAD, estimated);
        }
    }

    function _bookSlash(Booking memory b, uint256 index, uint256 at, uint256 taken, uint256 shares, bool estimated)
        private
    {
        uint256 group = _byte(b.groups, at);
        b.taken[group] += shares;
        emit SlashAttributed(b.lossId, index, at, uint8(group), taken, shares * b.price / PRICED, estimated);
    }

    /// @dev Brings one link up to date and says what it was and what it became.
    function _bookLink(Store storage $, Agent storage a, uint256 index, uint256 j)
        private
        returns (Attribution.Item memory item)
    {
        Link memory old = $.links[index][j];
        _relink($, index, j);
        Link memory now_ = $.links[index][j];
        item.before = old.current;
        item.pending = old.pending;
        item.effectBlock = old.effectBlock;
        item.slashed = now_.slashCount != old.slashCount;
        item.afterwards = now_.current;
        item.calmBeforeEffect = old.pending != 0 && block.number >= old.effectBlock
            && _magnitudeAt(a.account, $.strategy, old.effectBlock - 1) == a.magnitude;
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
}
