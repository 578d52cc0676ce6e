// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {
    IAllocationManager,
    IDelegationManager,
    IStrategy,
    IStrategyManager
} from "../../interfaces/external/IEigenLayer.sol";
import {IRiskManager, Observation, Params, Terms} from "../../interfaces/IRiskManager.sol";
import {ITier} from "../../interfaces/ITier.sol";
import {DataContract} from "../../libraries/DataContract.sol";
import {Delegate} from "../../libraries/Delegate.sol";
import {Exposure} from "../../libraries/Exposure.sol";
import {RiskStore} from "./RiskStore.sol";

/// @title What could be taken from a tier
/// @notice See {IRiskManager}. A sync that finds no slash asks EigenLayer for all magnitudes at once and takes the rest
/// from `totals`, which the last change has left; where more has happened, and for views that need every link,
/// {RiskWatch} does the rest, and {RiskConfigurator} the rare calls.
contract RiskManager is IRiskManager, RiskStore {
    /// @custom:oz-upgrades-unsafe-allow state-variable-immutable
    address private immutable CONFIGURATOR;
    /// @custom:oz-upgrades-unsafe-allow state-variable-immutable
    address private immutable WATCH;

    /// @custom:oz-upgrades-unsafe-allow constructor
    constructor(
        IAllocationManager allocations,
        IDelegationManager delegation,
        IStrategyManager strategies,
        address configurator,
        address watch
    ) RiskStore(allocations, delegation, strategies) {
        CONFIGURATOR = configurator;
        WATCH = watch;
    }

    // ------------------------------------------------------------------------- delegated to the configurator

    /// @custom:oz-upgrades-unsafe-allow delegatecall
    function _delegate() private {
        Delegate.forward(CONFIGURATOR);
    }

    /// @custom:oz-upgrades-unsafe-allow delegatecall
    function _watch() private {
        Delegate.forward(WATCH);
    }

    /// @custom:oz-upgrades-unsafe-allow delegatecall
    function _watchView() private view {
        Delegate.forwardView(WATCH);
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
    function refresh(uint256, bool entry) external returns (Observation memory) {
        Store storage $ = _store();
        if (msg.sender != address($.tier)) revert NotAuthorised(msg.sender);
        (bool known, Observation memory o) = _observeTotals($, entry);
        if (!known) _watch();
        return o;
    }

    // ------------------------------------------------------------------------------------- other managers

    /// @inheritdoc IRiskManager
    function recordStake(uint256 index) external onlyManagers {
        Store storage $ = _store();
        _agent($, index);
        _restake($, index);
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
        (bool known, Observation memory o) = _observeTotals(_store(), true);
        if (!known) _watchView();
        return o;
    }

    /// @inheritdoc IRiskManager
    function exposures(bool) external view returns (Exposures memory) {
        _watchView();
    }

    /// @inheritdoc IRiskManager
    function seniorLimit(uint256, uint256, uint256, uint256) external view returns (uint256) {
        _watchView();
    }

    /// @inheritdoc IRiskManager
    function seniorFits(uint256, uint256, uint256, uint256) external view returns (bool) {
        _watchView();
    }

    /// @inheritdoc IRiskManager
    function deployLimit(uint256, uint256, uint256, uint256) external view returns (uint256) {
        _watchView();
    }

    /// @inheritdoc IRiskManager
    function deployFits(uint256 index, uint256 cover, uint256 value, uint256 exposed, uint256 assets)
        external
        view
        returns (bool)
    {
        Store storage $ = _store();
        Agent storage a = _agent($, index);
        Snapshot memory s;
        (s.config, s.groups) = ($.config, $.groups);
        (s.sets, s.live, s.reach) = (_one(a.sets), _one(a.live), _one(1));
        (uint256[] memory e, uint256 extra) = _byGroup(s, s.live, s.reach, s.config.setCount);
        (uint256 most,) = Exposure.largest(e, s.config.k);
        most = Exposure.deployBound(exposed, most + extra, assets, value, s.config.marginBps, s.config.haircutBps);
        if (most <= Exposure.budget(cover)) return true;
        _watchView();
    }

    function _one(uint256 value) private pure returns (uint256[] memory list) {
        list = new uint256[](1);
        list[0] = value;
    }

    /// @inheritdoc IRiskManager
    function standings() public view returns (Standing[] memory list) {
        Store storage $ = _store();
        uint256 count = $.config.agentCount;
        list = new Standing[](count);
        address[] memory accounts = new address[](count);
        for (uint256 i; i < count; ++i) {
            accounts[i] = $.agents[i].account;
        }
        uint64[] memory magnitudes = ALLOCATIONS.getMaxMagnitudes(accounts, $.strategy);
        uint256 total;
        for (uint256 i; i < count; ++i) {
            Agent storage a = $.agents[i];
            uint256 stake = a.stake * uint256(magnitudes[i]) / WAD;
            list[i] = Standing(accounts[i], a.weightBps, a.exits, a.lastUnbond, stake);
            total += stake;
        }
        if (total == 0) return list;
        uint256 staked = $.strategy.sharesToUnderlyingView(total);
        for (uint256 i; i < count; ++i) {
            list[i].stake = list[i].stake * staked / total;
        }
    }

    /// @inheritdoc IRiskManager
    function stakes() external view returns (uint256[] memory values) {
        Standing[] memory list = standings();
        values = new uint256[](list.length);
        for (uint256 i; i < values.length; ++i) {
            values[i] = list[i].stake;
        }
    }

    /// @inheritdoc IRiskManager
    function stakeOf(uint256 index) external view returns (uint256) {
        Store storage $ = _store();
        Agent storage a = _agent($, index);
        IStrategy strategy_ = $.strategy;
        return
            strategy_.sharesToUnderlyingView(a.stake * uint256(ALLOCATIONS.getMaxMagnitude(a.account, strategy_)) / WAD);
    }

    /// @inheritdoc IRiskManager
    function params() external view returns (Params memory) {
        Config memory c = _store().config;
        return Params(c.k, c.marginBps, c.haircutBps, c.bufferBps, c.instantFeeBps, c.quarantineBps, c.cap);
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
    function agent(uint256 index) external view returns (AgentState memory x) {
        Store storage $ = _store();
        Agent storage a = _agent($, index);
        x = AgentState({
            account: a.account,
            nodeOperator: a.nodeOperator,
            weightBps: a.weightBps,
            links: a.links,
            exits: a.exits,
            lastUnbond: a.lastUnbond,
            stake: a.stake,
            magnitude: a.magnitude,
            quarantined: false
        });
        uint256 numbers = a.sets;
        uint256 quarantined = $.config.quarantined;
        for (uint256 word = a.live; word != 0; word >>= 32) {
            if (word & type(uint32).max != 0 && _bit(quarantined, numbers & 0xff)) x.quarantined = true;
            numbers >>= 8;
        }
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

    // ------------------------------------------------------------------------------------------- helpers

    /// @dev The observation through the stored totals, if nothing has happened that they do not know: no slash, no set to be
    /// looked at, no withdrawal that has come to its end, nothing recorded since. `entry`: with what a senior entry needs.
    function _observeTotals(Store storage $, bool entry) private view returns (bool known, Observation memory o) {
        if (!$.totalled || block.timestamp > $.freshUntil || block.number >= $.nextBlock) return (false, o);
        address roster = $.roster;
        if (roster != address(0)) {
            // an answer that is not the expected one, or none, is for {RiskWatch} to make sense of
            (bool answered, bytes memory magnitudes) = address(ALLOCATIONS).staticcall(DataContract.read(roster));
            if (!answered || keccak256(magnitudes) != $.magnitudes) return (false, o);
        }
        Totals memory t;
        (t.shares, t.exiting) = ($.totals.shares, $.totals.exiting);
        (t.exposed, t.weight) = ($.totals.exposed, $.totals.weight);
        if (entry) t.exposedAtTarget = $.totals.exposedAtTarget;
        return (true, _summary($, $.config, t, t.shares == 0 ? 0 : $.strategy.sharesToUnderlyingView(t.shares)));
    }
}
