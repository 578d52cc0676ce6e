// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {
    IAllocationManager,
    IDelegationManager,
    IStrategy,
    IStrategyManager
} from "../../interfaces/external/IEigenLayer.sol";
import {AgentTerms, Params, SetTerms, Terms} from "../../interfaces/IRiskManager.sol";
import {IRestakingAgent} from "../../interfaces/IRestakingAgent.sol";
import {ITier} from "../../interfaces/ITier.sol";
import {Exposure} from "../../libraries/Exposure.sol";
import {RiskStore} from "./RiskStore.sol";

/// @title The rare calls of RiskManager: mandates, agents, slashers, groups, quarantine
/// @notice RiskManager delegates to it, so storage, caller and roles are RiskManager's; called itself it can do nothing,
/// because it is never initialised.
contract RiskConfigurator is RiskStore {
    /// @dev What unbonding leaves behind at an agent; its removal books these few wei as a loss.
    uint256 private constant DUST_SHARES = 1_000;

    /// @custom:oz-upgrades-unsafe-allow constructor
    constructor(IAllocationManager allocations, IDelegationManager delegation, IStrategyManager strategies)
        RiskStore(allocations, delegation, strategies)
    {}

    /// @notice Ties the manager to its tier. Called once, by the factory.
    function initialize(address authority, ITier tier, IStrategy strategy_, Params calldata initial)
        external
        initializer
    {
        __AccessManaged_init(authority);
        Store storage $ = _store();
        $.tier = tier;
        $.strategy = strategy_;
        ITier.Parts memory parts = tier.parts();
        ($.stakes, $.allocator) = (parts.stakes, parts.allocator);
        $.freshUntil = type(uint40).max;
        _setParams($, initial);
    }

    /// @notice See {IRiskManager}.
    function apply_(Terms calldata terms) external onlyPart(msg.sender == _store().tier.parts().mandate) {
        Store storage $ = _store();
        $.totalled = false;
        _setParams($, terms.params);
        uint256 count = terms.sets.length;
        if (count > MAX_SETS) revert TooMany(MAX_SETS);
        for (uint256 i; i < $.config.setCount; ++i) {
            $.sets[i].allowed = false;
        }
        uint256[] memory indexes = new uint256[](count);
        for (uint256 i; i < count; ++i) {
            indexes[i] = _applySet($, terms.sets[i]);
        }
        _release($, terms.releases);

        for (uint256 i; i < $.config.agentCount; ++i) {
            $.agents[i].weightBps = 0;
            for (uint256 j; j < $.agents[i].links; ++j) {
                $.links[i][j].target = 0;
            }
        }
        uint256 weights;
        for (uint256 i; i < terms.agents.length; ++i) {
            weights += terms.agents[i].weightBps;
            _applyAgent($, terms.agents[i], indexes);
        }
        if (weights > Exposure.Q) revert InvalidTerms();
        _packAll($);
        _updateFreshness($);
        _updateVeto($);
    }

    /// @dev A set that was dropped may still slash until it is deallocated, so its window still counts.
    function _updateVeto(Store storage $) private {
        uint32 longest;
        uint256 map = _allocatedSets($);
        for (uint256 i; i < $.config.setCount; ++i) {
            Set storage x = $.sets[i];
            if ((x.allowed || _bit(map, i)) && x.vetoBlocks > longest) longest = x.vetoBlocks;
        }
        $.vetoBlocks = longest;
    }

    /// @notice See {IRiskManager}.
    function poke(uint256 index) external {
        Store storage $ = _store();
        if (index >= $.config.setCount) revert UnknownIndex(index);
        $.tier.begin();
        _look($, index);
        for (uint256 i; i < $.config.agentCount; ++i) {
            for (uint256 j; j < $.agents[i].links; ++j) {
                if (_byte($.agents[i].sets, j) == index) _relink($, i, j);
            }
        }
        _packAll($);
        _updateFreshness($);
        $.tier.end(false);
    }

    /// @notice See {IRiskManager}.
    function recordExit(uint256 index, uint128 scaled, uint32 startBlock, uint24 nonce, bool tokensOnly)
        external
        onlyManagers
    {
        Store storage $ = _store();
        Agent storage a = _agent($, index);
        uint256 n = a.exits;
        if (n == MAX_EXITS) revert TooMany(MAX_EXITS);
        $.exits[index][n] = Exit(scaled, startBlock, 0, nonce, false, tokensOnly);
        a.exits = uint8(n + 1);
        if (!tokensOnly) a.lastUnbond = uint40(block.timestamp);
        _restake($, index);
        emit ExitQueued(index, scaled, startBlock, nonce, tokensOnly);
    }

    /// @notice See {IRiskManager}.
    function removeExit(uint256 index, uint256 at) external onlyManagers {
        Store storage $ = _store();
        Agent storage a = _agent($, index);
        uint256 last = a.exits;
        if (at >= last) revert UnknownIndex(at);
        --last;
        emit ExitRemoved(index, $.exits[index][at].nonce);
        $.exits[index][at] = $.exits[index][last];
        delete $.exits[index][last];
        a.exits = uint8(last);
        _restake($, index);
    }

    /// @notice See {IRiskManager}.
    function quarantine(uint8 group) external restricted {
        Store storage $ = _store();
        $.tier.begin();
        _quarantine($, group);
        _packAll($);
        $.tier.end(false);
    }

    /// @notice See {IRiskManager}.
    function merge(uint8 group, uint8 other) external restricted {
        Store storage $ = _store();
        $.tier.begin();
        _merge($, group, other);
        _packAll($);
        $.tier.end(false);
    }

    /// @notice See {IRiskManager}.
    function addAgent(address account, address nodeOperator)
        external
        onlyPart(msg.sender == _store().tier.parts().factory)
        returns (uint256 index)
    {
        Store storage $ = _store();
        uint256 count = $.config.agentCount;
        for (; index < count; ++index) {
            if ($.agents[index].account == address(0)) break;
        }
        if (index == MAX_AGENTS) revert TooMany(MAX_AGENTS);
        if (index == count) $.config.agentCount = uint8(count + 1);
        Agent storage a = $.agents[index];
        a.account = account;
        a.nodeOperator = nodeOperator;
        a.magnitude = ALLOCATIONS.getMaxMagnitude(account, $.strategy);
        $.agentIndexes[account] = index + 1;
        delete $.roster;
        $.totalled = false;
        emit AgentAdded(index, account, nodeOperator);
    }

    /// @notice See {IRiskManager}.
    function recordNodeOperator() external {
        Store storage $ = _store();
        uint256 index = _index(msg.sender);
        address nodeOperator = IRestakingAgent(msg.sender).nodeOperator();
        $.agents[index].nodeOperator = nodeOperator;
        emit NodeOperatorRecorded(index, nodeOperator);
    }

    /// @notice See {IRiskManager}.
    function removeAgent(uint256 index) external restricted {
        Store storage $ = _store();
        $.tier.begin();
        Agent storage a = _agent($, index);
        uint256 deposited = STRATEGIES.stakerDepositShares(a.account, $.strategy);
        // shares of an agent that was slashed entirely stay at EigenLayer and are worth nothing
        if ((deposited > DUST_SHARES && a.magnitude != 0) || a.exits != 0 || a.live != 0) revert AgentInUse(index);
        for (uint256 j; j < a.links; ++j) {
            delete $.links[index][j];
        }
        delete $.agentIndexes[a.account];
        emit AgentRemoved(index, a.account);
        delete $.agents[index];
        delete $.roster;
        $.totalled = false;
        $.tier.end(false);
    }

    function _release(Store storage $, uint32 releases) private {
        uint32 map = $.config.quarantined & releases & ~$.config.unapproved;
        for (uint256 i; i < $.config.setCount; ++i) {
            if (!_bit(map, i)) continue;
            delete $.scores[_byte($.groups, i)];
            emit QuarantineChanged(i, false);
        }
        $.config.quarantined &= ~map;
    }

    function _merge(Store storage $, uint256 group, uint256 other) private {
        if (group == other) return;
        (uint256 to, uint256 from) = group < other ? (group, other) : (other, group);
        uint256 groups = $.groups;
        bool bad;
        for (uint256 i; i < $.config.setCount; ++i) {
            uint256 own = _byte(groups, i);
            if (own != from && own != to) continue;
            bad = bad || _bit($.config.quarantined, i);
            if (own == to) continue;
            groups = (groups & ~(uint256(0xff) << (8 * i))) | (to << (8 * i));
            emit GroupChanged(i, uint8(to));
        }
        $.groups = groups;
        // what one of them has done, the other one has done
        if ($.scores[from].value > $.scores[to].value) $.scores[to] = $.scores[from];
        if (bad) _quarantine($, uint8(to));
    }

    function _setParams(Store storage $, Params calldata p) private {
        if (
            p.k == 0 || p.k > MAX_SETS || p.bufferBps > 500 || p.instantFeeBps < 10 || p.instantFeeBps > 30
                || p.quarantineBps > Exposure.Q || p.marginBps > MAX_MARGIN || p.haircutBps > MAX_HAIRCUT
        ) revert InvalidTerms();
        Config storage c = $.config;
        c.k = p.k;
        c.marginBps = p.marginBps;
        c.haircutBps = p.haircutBps;
        c.bufferBps = p.bufferBps;
        c.instantFeeBps = p.instantFeeBps;
        c.quarantineBps = p.quarantineBps;
        c.cap = p.cap;
        emit ParamsChanged(p);
    }

    function _applySet(Store storage $, SetTerms calldata t) private returns (uint256 index) {
        bytes32 key = _key(t.operatorSet.avs, t.operatorSet.id);
        uint256 plusOne = $.setIndexes[key];
        bool fresh = plusOne == 0;
        if (fresh) {
            index = $.config.setCount;
            if (index == MAX_SETS) revert TooMany(MAX_SETS);
            $.config.setCount = uint8(index + 1);
            $.setIndexes[key] = index + 1;
            $.groups |= index << (8 * index);
            $.sets[index].operatorSet = t.operatorSet;
            emit SetAdded(index, t.operatorSet.avs, t.operatorSet.id, t.category, t.slasher);
        } else {
            index = plusOne - 1;
        }
        if (t.vetoBlocks > MAX_VETO) revert InvalidTerms();
        Set storage x = $.sets[index];
        x.category = t.category;
        x.allowed = true;
        x.redistributing = t.redistributing;
        x.vetoBlocks = t.vetoBlocks;
        x.approved = t.slasher;
        (x.seen, x.pending,) = _slashers(x);
        x.seenAt = uint40(block.timestamp);
        // Equality is with what the chain says, so a set without a slasher can never be approved.
        if (t.slasher == address(0) || x.seen != t.slasher || (x.pending != address(0) && x.pending != t.slasher)) {
            revert SlasherNotApproved(t.operatorSet.avs, t.operatorSet.id, x.seen, x.pending);
        }
        if (!t.redistributing && ALLOCATIONS.isRedistributingOperatorSet(t.operatorSet)) {
            revert Redistributing(t.operatorSet.avs, t.operatorSet.id);
        }
        $.config.unapproved &= ~uint32(1 << index);
        for (uint256 i; i < $.config.setCount; ++i) {
            Set storage y = $.sets[i];
            if (y.operatorSet.avs == t.operatorSet.avs || y.approved == t.slasher) {
                _merge($, _byte($.groups, index), _byte($.groups, i));
            }
        }
    }

    function _applyAgent(Store storage $, AgentTerms calldata t, uint256[] memory indexes) private {
        uint256 index = _index(t.agent);
        Agent storage a = $.agents[index];
        a.weightBps = t.weightBps;
        emit WeightChanged(index, t.weightBps);
        uint256 sum;
        for (uint256 n; n < t.targets.length; ++n) {
            uint256 at = indexes[t.targets[n].set];
            uint64 magnitude = t.targets[n].magnitude;
            sum += magnitude;
            $.links[index][_linkOf($, index, at)].target = magnitude;
            emit TargetChanged(index, at, magnitude);
        }
        if (sum > WAD) revert InvalidTerms();
    }

    /// @dev The agent's link to a set, a new one, or one that nothing uses any more.
    function _linkOf(Store storage $, uint256 index, uint256 at) private returns (uint256 j) {
        Agent storage a = $.agents[index];
        uint256 count = a.links;
        uint256 free = type(uint256).max;
        for (; j < count; ++j) {
            if (_byte(a.sets, j) == at) return j;
            Link storage x = $.links[index][j];
            if (x.current == 0 && x.pending == 0 && x.target == 0) free = j;
        }
        if (count < MAX_LINKS) a.links = uint8(count + 1);
        else if (free == type(uint256).max) revert TooMany(MAX_LINKS);
        else j = free;
        a.sets = uint64((a.sets & ~(uint256(0xff) << (8 * j))) | (at << (8 * j)));
        // an allocation may exist already: the agent's, made under an earlier mandate
        $.links[index][j] = _read($, index, j);
    }
}
