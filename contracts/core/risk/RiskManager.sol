// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {
    IAllocationManager,
    IDelegationManager,
    IStrategy,
    IStrategyManager
} from "../../interfaces/external/IEigenLayer.sol";
import {IRiskManager, Observation, Params, Terms} from "../../interfaces/IRiskManager.sol";
import {ITier} from "../../interfaces/ITier.sol";
import {Attribution} from "../../libraries/Attribution.sol";
import {Delegate} from "../../libraries/Delegate.sol";
import {Exposure} from "../../libraries/Exposure.sol";
import {RiskStore} from "./RiskStore.sol";

/// @title What could be taken from a tier
/// @notice See {IRiskManager}. Caches are packed so that a sync costs four slots an agent: account and counters, stake
/// with magnitude and set numbers, eight exposures, eight exposures at target.
contract RiskManager is IRiskManager, RiskStore {
    /// @dev EigenLayer as it is now beside the caches as they were.
    struct Snapshot {
        Config config;
        uint256 groups;
        address[] accounts;
        uint64[] magnitudes;
        uint256[] slashable; // A_i, wei
        uint256[] live;
        uint256[] star;
        uint256[] sets;
        uint256 staked;
        uint256 queued;
        uint256 changed; // bitmap of agents
        bool stale;
        uint256 price; // wei of 1e27 shares
        uint256[] taken; // shares, by group
    }

    /// @dev Shares whose price is asked for, once for all slashes of a sync.
    uint256 private constant PRICED = 1e27;

    /// @custom:oz-upgrades-unsafe-allow state-variable-immutable
    address private immutable CONFIGURATOR;

    /// @custom:oz-upgrades-unsafe-allow constructor
    constructor(
        IAllocationManager allocations,
        IDelegationManager delegation,
        IStrategyManager strategies,
        address configurator
    ) RiskStore(allocations, delegation, strategies) {
        CONFIGURATOR = configurator;
    }

    // ------------------------------------------------------------------------- delegated to the configurator

    /// @custom:oz-upgrades-unsafe-allow delegatecall
    function _delegate() private {
        Delegate.forward(CONFIGURATOR);
    }

    /// @notice Ties the manager to its tier. Called once, by the factory.
    /// @custom:oz-upgrades-unsafe-allow missing-initializer-call
    function initialize(address, ITier, IStrategy, Params calldata) external {
        _delegate();
    }

    /// @inheritdoc IRiskManager
    function apply_(Terms calldata) external {
        _delegate();
    }

    /// @inheritdoc IRiskManager
    function poke(uint256) external {
        _delegate();
    }

    /// @inheritdoc IRiskManager
    function recordExit(uint256, uint128, uint32, uint24, bool) external {
        _delegate();
    }

    /// @inheritdoc IRiskManager
    function removeExit(uint256, uint256) external {
        _delegate();
    }

    /// @inheritdoc IRiskManager
    function recordUnbond(uint256) external {
        _delegate();
    }

    /// @inheritdoc IRiskManager
    function quarantine(uint8) external {
        _delegate();
    }

    /// @inheritdoc IRiskManager
    function merge(uint8, uint8) external {
        _delegate();
    }

    /// @inheritdoc IRiskManager
    function addAgent(address, address) external returns (uint256) {
        _delegate();
    }

    /// @inheritdoc IRiskManager
    function recordNodeOperator() external {
        _delegate();
    }

    /// @inheritdoc IRiskManager
    function removeAgent(uint256) external {
        _delegate();
    }

    // ------------------------------------------------------------------------------------------------ Tier

    /// @inheritdoc IRiskManager
    function refresh(uint256 lossId)
        external
        onlyPart(msg.sender == address(_store().tier))
        returns (Observation memory)
    {
        Store storage $ = _store();
        // first: neither snapshot has to ask again at which magnitude finished withdrawals pay
        _settleExits($, $.config.agentCount);
        Snapshot memory s = _snapshot($);
        uint256 changed = s.changed;
        // first the slashes, against the links as they were: looking at a set again overwrites them
        if (changed != 0) _book($, s, lossId);
        bool stale = s.stale;
        if (stale) _pokeStale($, changed);
        if (stale || changed != 0) {
            // quarantine and fresh links change the exposures
            s = _snapshot($);
            s.changed = changed;
        }
        return _summary(s);
    }

    // ------------------------------------------------------------------------------------- other managers

    /// @inheritdoc IRiskManager
    function recordStake(uint256 index) external onlyManagers {
        Store storage $ = _store();
        Agent storage a = _agent($, index);
        uint256 deposited = STRATEGIES.stakerDepositShares(a.account, $.strategy);
        uint128 stake = uint128(deposited * DELEGATION.depositScalingFactor(a.account, $.strategy) / WAD);
        a.stake = stake;
        emit StakeRecorded(index, stake);
    }

    /// @inheritdoc IRiskManager
    function recordAllocation(uint256 index, uint256 at) external onlyManagers {
        Store storage $ = _store();
        _relink($, index, at);
        _packAgent($, index);
        _updateFreshness($);
    }

    // --------------------------------------------------------------------------------------------- views

    /// @inheritdoc IRiskManager
    function observe() external view returns (Observation memory) {
        return _summary(_snapshot(_store()));
    }

    /// @inheritdoc IRiskManager
    function exposures(bool forward) external view returns (Exposures memory x) {
        Store storage $ = _store();
        Snapshot memory s = _snapshot($);
        if (forward) {
            uint256[] memory settled = new uint256[](s.accounts.length);
            for (uint256 i; i < s.accounts.length; ++i) {
                (s.live[i], settled[i]) = _forwardWords($, i, s.magnitudes[i]);
            }
            (x.settled,) = _byGroup(s, settled, s.slashable);
        }
        (x.current, x.unapproved) = _byGroup(s, s.live, s.slashable);
        (x.largest, x.worst) = Exposure.largest(x.current, s.config.k);
        x.largest += x.unapproved;
    }

    /// @inheritdoc IRiskManager
    function seniorLimit(uint256 cover, uint256 value, uint256 idleToDeploy, uint256 room)
        external
        view
        returns (uint256)
    {
        Snapshot memory s = _snapshot(_store());
        return Exposure.limit(_seniorLine(s, value, idleToDeploy), s.config.k, Exposure.budget(cover), room);
    }

    /// @inheritdoc IRiskManager
    function seniorFits(uint256 cover, uint256 value, uint256 idleToDeploy, uint256 assets)
        external
        view
        returns (bool)
    {
        Snapshot memory s = _snapshot(_store());
        return Exposure.demand(_seniorLine(s, value, idleToDeploy), s.config.k, assets) <= Exposure.budget(cover);
    }

    /// @inheritdoc IRiskManager
    function deployLimit(uint256 index, uint256 cover, uint256 value, uint256 room) external view returns (uint256) {
        Store storage $ = _store();
        _agent($, index);
        Snapshot memory s = _snapshot($);
        (uint256[] memory level, uint256 extra) = _byGroup(s, s.live, s.slashable);
        uint256[] memory one = new uint256[](s.accounts.length);
        one[index] = 1;
        (uint256[] memory slope, uint256 extraSlope) = _byGroup(s, s.live, one);
        return Exposure.limit(
            Exposure.deployLine(level, slope, extra, extraSlope, value, s.config.marginBps, s.config.haircutBps),
            s.config.k,
            Exposure.budget(cover),
            room
        );
    }

    /// @inheritdoc IRiskManager
    function stakes() external view returns (uint256[] memory values) {
        Store storage $ = _store();
        uint256 count = $.config.agentCount;
        values = new uint256[](count);
        for (uint256 i; i < count; ++i) {
            Agent storage a = $.agents[i];
            if (a.stake != 0) {
                values[i] = $.strategy
                    .sharesToUnderlyingView(a.stake * uint256(ALLOCATIONS.getMaxMagnitude(a.account, $.strategy)) / WAD);
            }
        }
    }

    /// @inheritdoc IRiskManager
    function params() external view returns (Params memory) {
        return _params(_store().config);
    }

    /// @inheritdoc IRiskManager
    function agentCount() external view returns (uint256) {
        return _store().config.agentCount;
    }

    /// @inheritdoc IRiskManager
    function setCount() external view returns (uint256) {
        return _store().config.setCount;
    }

    /// @inheritdoc IRiskManager
    function agent(uint256 index) external view returns (AgentState memory) {
        Agent storage a = _agent(_store(), index);
        return AgentState({
            account: a.account,
            nodeOperator: a.nodeOperator,
            weightBps: a.weightBps,
            links: a.links,
            exits: a.exits,
            lastUnbond: a.lastUnbond,
            stake: a.stake,
            magnitude: a.magnitude
        });
    }

    /// @inheritdoc IRiskManager
    function agentIndex(address account) external view returns (uint256) {
        return _index(account);
    }

    /// @inheritdoc IRiskManager
    function link(uint256 index, uint256 at) external view returns (uint256, Link memory) {
        Store storage $ = _store();
        Agent storage a = _agent($, index);
        if (at >= a.links) revert UnknownIndex(at);
        return (_byte(a.sets, at), $.links[index][at]);
    }

    /// @inheritdoc IRiskManager
    function exit(uint256 index, uint256 at) external view returns (Exit memory) {
        Store storage $ = _store();
        if (at >= _agent($, index).exits) revert UnknownIndex(at);
        return $.exits[index][at];
    }

    /// @inheritdoc IRiskManager
    function set(uint256 index) external view returns (SetState memory) {
        Store storage $ = _store();
        if (index >= $.config.setCount) revert UnknownIndex(index);
        Set storage x = $.sets[index];
        return SetState({
            operatorSet: x.operatorSet,
            category: x.category,
            group: uint8(_byte($.groups, index)),
            allowed: x.allowed,
            redistributing: x.redistributing,
            unapproved: _bit($.config.unapproved, index),
            quarantined: _bit($.config.quarantined, index),
            vetoBlocks: x.vetoBlocks,
            approvedSlasher: x.approved,
            seenSlasher: x.seen,
            pendingSlasher: x.pending,
            seenAt: x.seenAt
        });
    }

    /// @inheritdoc IRiskManager
    function setIndex(address avs, uint32 id) external view returns (bool known, uint256 index) {
        uint256 plusOne = _store().setIndexes[_key(avs, id)];
        return plusOne == 0 ? (false, 0) : (true, plusOne - 1);
    }

    /// @inheritdoc IRiskManager
    function strategy() external view returns (IStrategy) {
        return _store().strategy;
    }

    /// @inheritdoc IRiskManager
    function withdrawalDelay() external view returns (uint32) {
        return WITHDRAWAL_DELAY;
    }

    /// @inheritdoc IRiskManager
    function vetoBlocks() external view returns (uint32) {
        return _store().vetoBlocks;
    }

    /// @inheritdoc IRiskManager
    function freshUntil() external view returns (uint40) {
        return _store().freshUntil;
    }

    // ----------------------------------------------------------------------------------------- observing

    /// @dev EigenLayer now. Slashed agents' allocations are read afresh; everybody else's cache equals EigenLayer's.
    function _snapshot(Store storage $) private view returns (Snapshot memory s) {
        Config memory config = $.config;
        s.config = config;
        s.groups = $.groups;
        s.stale = block.timestamp > $.freshUntil;
        if (s.stale) s.config.unapproved = _unapprovedNow($, config);
        uint256 count = config.agentCount;
        s.accounts = new address[](count);
        s.slashable = new uint256[](count);
        s.live = new uint256[](count);
        s.star = new uint256[](count);
        s.sets = new uint256[](count);
        uint256[] memory slots = new uint256[](count);
        for (uint256 i; i < count; ++i) {
            s.accounts[i] = $.agents[i].account;
            slots[i] = $.agents[i].exits;
        }
        if (count == 0) return s;
        IStrategy strategy_ = $.strategy;
        s.magnitudes = ALLOCATIONS.getMaxMagnitudes(s.accounts, strategy_);

        uint256 total;
        uint256 queued;
        for (uint256 i; i < count; ++i) {
            (uint256 all, uint256 exiting) = _snapshotAgent($, s, i, slots[i]);
            total += all;
            queued += exiting;
        }
        if (total != 0) {
            // One conversion for all agents: the strategy's price is linear, and each part is rounded up beside it.
            s.staked = strategy_.sharesToUnderlyingView(total);
            s.queued = Math.mulDiv(queued, s.staked, total);
        }
        for (uint256 i; i < count; ++i) {
            uint256 value = total == 0 ? 0 : Math.mulDiv(s.slashable[i], s.staked, total, Math.Rounding.Ceil);
            s.slashable[i] = value + 2 * (1 + slots[i]);
        }
    }

    /// @dev Leaves in `slashable` the shares that a slash could reach; returns all shares and those in the queue.
    function _snapshotAgent(Store storage $, Snapshot memory s, uint256 i, uint256 slots)
        private
        view
        returns (uint256 all, uint256 exiting)
    {
        Agent storage a = $.agents[i];
        uint256 m = s.magnitudes[i];
        uint256 reachable = uint256(a.stake) * m / WAD;
        all = reachable;
        s.sets[i] = a.sets;
        if (s.accounts[i] != address(0) && m != a.magnitude) s.changed |= 1 << i;
        // a stale view reads what the refresh that a call does first will find
        if (_bit(s.changed, i) || s.stale) (s.live[i], s.star[i]) = _words($, i, m, true);
        else (s.live[i], s.star[i]) = (a.live, a.star);
        for (uint256 q; q < slots; ++q) {
            Exit memory x = $.exits[i][q];
            uint256 part;
            if (block.number <= uint256(x.startBlock) + WITHDRAWAL_DELAY) {
                part = uint256(x.scaled) * m / WAD;
                reachable += part;
            } else {
                part =
                    x.settled ? x.magnitude : _magnitudeAt(s.accounts[i], $.strategy, x.startBlock + WITHDRAWAL_DELAY);
                part = uint256(x.scaled) * part / WAD;
            }
            all += part;
            exiting += part;
        }
        s.slashable[i] = reachable;
    }

    function _summary(Snapshot memory s) private pure returns (Observation memory o) {
        (uint256[] memory e, uint256 extra) = _byGroup(s, s.live, s.slashable);
        (o.exposed,) = Exposure.largest(e, s.config.k);
        o.exposed += extra;
        o.staked = s.staked;
        o.queued = s.queued;
        o.slashedAgents = s.changed;
        o.params = _params(s.config);
    }

    /// @dev Sum over agents of `amounts`·e by group; unapproved sets apart. `words` holds 8 x uint32 an agent.
    function _byGroup(Snapshot memory s, uint256[] memory words, uint256[] memory amounts)
        private
        pure
        returns (uint256[] memory sums, uint256 extra)
    {
        sums = new uint256[](MAX_SETS);
        uint256 unapproved = s.config.unapproved;
        uint256 groups = s.groups;
        for (uint256 i; i < words.length; ++i) {
            uint256 word = words[i];
            uint256 numbers = s.sets[i];
            uint256 amount = amounts[i];
            if (amount == 0) continue;
            for (; word != 0; word >>= 32) {
                uint256 e = word & type(uint32).max;
                if (e != 0) {
                    uint256 at = numbers & 0xff;
                    if (_bit(unapproved, at)) extra += amount * e;
                    else sums[_byte(groups, at)] += amount * e;
                }
                numbers >>= 8;
            }
        }
    }

    function _seniorLine(Snapshot memory s, uint256 value, uint256 idleToDeploy)
        private
        view
        returns (Exposure.Line memory)
    {
        (uint256[] memory e, uint256 extra) = _byGroup(s, s.star, s.slashable);
        (uint256[] memory rho, uint256 extraRho) = _byGroup(s, s.star, _weights(s.accounts.length));
        (uint256 margin, uint256 haircut) = (s.config.marginBps, s.config.haircutBps);
        return Exposure.seniorLine(e, rho, extra, extraRho, idleToDeploy, value, margin, haircut);
    }

    function _weights(uint256 count) private view returns (uint256[] memory weights) {
        weights = new uint256[](count);
        for (uint256 i; i < count; ++i) {
            weights[i] = _store().agents[i].weightBps;
        }
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

    /// @dev Attributes what slashes took and brings the caches up to date. The waterfall does not need attribution.
    function _book(Store storage $, Snapshot memory s, uint256 lossId) private {
        s.taken = new uint256[](MAX_SETS);
        uint256[] memory allocatedShares = new uint256[](MAX_SETS);
        uint256 count = s.config.agentCount;
        s.price = $.strategy.sharesToUnderlyingView(PRICED);
        for (uint256 i; i < count; ++i) {
            uint256 base = _baseShares($, i);
            Agent storage a = $.agents[i];
            for (uint256 j; j < a.links; ++j) {
                allocatedShares[_byte(s.groups, _byte(a.sets, j))] += base * $.links[i][j].current / WAD;
            }
            if (_bit(s.changed, i)) _bookAgent($, s, i, base, lossId);
        }
        for (uint256 g; g < MAX_SETS; ++g) {
            if (s.taken[g] == 0) continue;
            Score storage score = $.scores[g];
            uint256 elapsed = Math.min(block.timestamp - score.at, SCORE_DECAY);
            uint256 fraction = allocatedShares[g] == 0 ? WAD : Math.min(WAD, s.taken[g] * WAD / allocatedShares[g]);
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

    function _bookAgent(Store storage $, Snapshot memory s, uint256 index, uint256 base, uint256 lossId) private {
        Agent storage a = $.agents[index];
        uint256 count = a.links;
        Attribution.Item[] memory items = new Attribution.Item[](count);
        for (uint256 j; j < count; ++j) {
            items[j] = _bookLink($, a, index, j);
        }
        (uint256[] memory taken, bool estimated) =
            Attribution.attribute(items, a.magnitude, s.magnitudes[index], block.number);
        a.magnitude = s.magnitudes[index];
        for (uint256 j; j < count; ++j) {
            if (taken[j] == 0) continue;
            _bookSlash(s, lossId, index, _byte(a.sets, j), taken[j], base * taken[j] / WAD, estimated);
        }
    }

    function _bookSlash(
        Snapshot memory s,
        uint256 lossId,
        uint256 index,
        uint256 at,
        uint256 taken,
        uint256 shares,
        bool estimated
    ) private {
        uint256 group = _byte(s.groups, at);
        s.taken[group] += shares;
        uint256 value = shares * s.price / PRICED;
        emit SlashAttributed(lossId, index, at, uint8(group), taken, value, estimated);
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

    function _magnitudeAt(address account, IStrategy strategy_, uint32 blockNumber) private view returns (uint256) {
        IStrategy[] memory list = new IStrategy[](1);
        list[0] = strategy_;
        return ALLOCATIONS.getMaxMagnitudesAtBlock(account, list, blockNumber)[0];
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

    /// @dev What `_pokeStale` would find, for views.
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

    function _params(Config memory c) private pure returns (Params memory) {
        return Params(c.k, c.marginBps, c.haircutBps, c.bufferBps, c.instantFeeBps, c.quarantineBps, c.cap);
    }
}
