// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {
    IAllocationManager,
    IDelegationManager,
    IStrategyManager,
    OperatorSet
} from "../interfaces/external/IEigenLayer.sol";
import {IAllocator} from "../interfaces/IAllocator.sol";
import {IRestakingAgent} from "../interfaces/IRestakingAgent.sol";
import {IRiskManager, Params} from "../interfaces/IRiskManager.sol";
import {IStakeManager} from "../interfaces/IStakeManager.sol";
import {ITier} from "../interfaces/ITier.sol";
import {Exposure} from "../libraries/Exposure.sol";

/// @title Moves magnitude
/// @notice See {IAllocator}.
contract Allocator is IAllocator, Initializable {
    /// @dev What a registrar gets to let an agent go.
    uint256 private constant DEREGISTER_GAS = 1_000_000;
    /// @dev What must remain afterwards to queue the stake and to sync.
    uint256 private constant EVACUATE_GAS = 4_000_000;
    /// @dev Virtual shares of a strategy, left behind so that a last withdrawal never asks for more than it holds.
    uint256 private constant SHARES_LEFT = 1_000;

    uint256 private constant MAX_LINKS = 8;
    /// @dev How long deleveraging that has begun may go on towards U_fwd(b) <= 1.
    uint256 private constant REPAIR = 1 days;

    /// @custom:oz-upgrades-unsafe-allow state-variable-immutable
    IAllocationManager private immutable ALLOCATIONS;
    /// @custom:oz-upgrades-unsafe-allow state-variable-immutable
    IStrategyManager private immutable STRATEGIES;

    /// @custom:storage-location erc7201:bulkhead.storage.Allocator
    struct Store {
        ITier tier;
        uint40 repairUntil;
        IRiskManager risk;
    }

    // keccak256(abi.encode(uint256(keccak256("bulkhead.storage.Allocator")) - 1)) & ~bytes32(uint256(0xff))
    bytes32 private constant STORE = 0x70d8b6fea380e41f8a89bd7fc0e403d1c8d983dc249bbe9fc9a004fa6844f600;

    /// @custom:oz-upgrades-unsafe-allow constructor
    constructor(IAllocationManager allocations, IStrategyManager strategies) {
        ALLOCATIONS = allocations;
        STRATEGIES = strategies;
        _disableInitializers();
    }

    /// @notice Ties the allocator to its tier. Called once, by the factory.
    function initialize(ITier tier, IRiskManager risk) external initializer {
        Store storage $ = _store();
        ($.tier, $.risk) = (tier, risk);
    }

    /// @inheritdoc IAllocator
    function allocate(uint256 agent, uint256 link, uint64 magnitude) external {
        Store storage $ = _store();
        $.tier.begin();
        (uint256 at, IRiskManager.Link memory x) = _link($, agent, link);
        IRiskManager.SetState memory s = _openSet($, at);
        if (x.pending != 0) revert ChangePending(x.effectBlock);
        if (magnitude <= x.current || magnitude > x.target) revert InvalidMagnitude(magnitude, x.current, x.target);
        _set($, agent, link, at, s.operatorSet, magnitude, 1);
        $.tier.end(true);
    }

    /// @inheritdoc IAllocator
    function deallocate(uint256 agent, uint256 link) external {
        Store storage $ = _store();
        $.tier.begin();
        (uint256 at, IRiskManager.Link memory x) = _link($, agent, link);
        if (x.pending != 0) revert ChangePending(x.effectBlock);
        if (x.current <= x.target) revert NothingToDo();
        _set($, agent, link, at, $.risk.set(at).operatorSet, x.target, 1);
        $.tier.end(false);
    }

    /// @inheritdoc IAllocator
    function unwind(uint256 agent, uint256 link) external {
        Store storage $ = _store();
        $.tier.begin();
        (uint256 at, IRiskManager.Link memory x) = _link($, agent, link); // a change that is over frees the first rung
        IRiskManager.SetState memory s = $.risk.set(at);
        if (!s.quarantined || x.current == x.pending) revert NothingToDo();
        if (x.pending == 0 || block.number >= x.effectBlock) {
            _set($, agent, link, at, s.operatorSet, 0, 2);
        } else {
            _leave($, agent, at, s.operatorSet);
        }
        $.tier.end(false);
    }

    /// @dev Rungs two and three. What is pending is not the whole allocation, and it can be neither stopped nor enlarged.
    function _leave(Store storage $, uint256 agent, uint256 at, OperatorSet memory operatorSet) private {
        IRestakingAgent account = IRestakingAgent($.risk.agent(agent).account);
        if (!ALLOCATIONS.isMemberOfOperatorSet(address(account), operatorSet)) revert NothingToDo();
        uint256 needed = DEREGISTER_GAS + DEREGISTER_GAS / 32 + EVACUATE_GAS;
        if (gasleft() < needed) revert InsufficientGas(gasleft(), needed);
        try account.deregister{gas: DEREGISTER_GAS}(operatorSet) {
            emit Deregistered(agent, at);
        } catch {
            uint256 deposited = STRATEGIES.stakerDepositShares(address(account), $.risk.strategy());
            if (deposited <= SHARES_LEFT) revert NothingToDo();
            IDelegationManager.Withdrawal memory w = account.queue(deposited - SHARES_LEFT);
            $.risk.recordExit(agent, uint128(w.scaledShares[0]), w.startBlock, uint24(w.nonce), true);
            emit StakeEvacuated(agent, deposited - SHARES_LEFT);
        }
    }

    /// @inheritdoc IAllocator
    function deleverage(uint256 agent) external {
        Store storage $ = _store();
        $.tier.begin();
        (bool needed, uint256 ceiling, IRiskManager.Exposures memory x) = _ceiling($);
        if (!needed) revert Covered();
        // a repair that needs several agents is finished, though the first of them brings U_fwd below its trigger
        $.repairUntil = uint40(block.timestamp + REPAIR);
        if (!_cut($, agent, ceiling, x)) revert NothingToDo();
        $.tier.end(false);
    }

    function _cut(Store storage $, uint256 agent, uint256 ceiling, IRiskManager.Exposures memory x)
        private
        returns (bool cut)
    {
        IRiskManager.AgentState memory a = $.risk.agent(agent);
        uint256[] memory held = _held($, agent, a.links, x.current.length);
        for (uint256 j; j < a.links; ++j) {
            (uint256 at, IRiskManager.Link memory l) = $.risk.link(agent, j);
            if (l.current == 0 || l.pending != 0) continue;
            IRiskManager.SetState memory s = $.risk.set(at);
            uint64 target = s.quarantined ? 0 : _target(x, s.group, l.current, held[s.group], a.magnitude, ceiling);
            if (target == l.current) continue;
            _set($, agent, j, at, s.operatorSet, target, 3);
            cut = true;
        }
    }

    function _target(
        IRiskManager.Exposures memory x,
        uint256 group,
        uint256 current,
        uint256 held,
        uint256 magnitude,
        uint256 ceiling
    ) private pure returns (uint64) {
        uint256 settled = x.settled[group];
        return uint64(Exposure.target(current, held, magnitude, x.current[group] - settled, settled, ceiling));
    }

    /// @dev What an agent has in each group that a cut can still reach.
    function _held(Store storage $, uint256 agent, uint256 links, uint256 groups)
        private
        returns (uint256[] memory held)
    {
        held = new uint256[](groups);
        for (uint256 j; j < links; ++j) {
            (uint256 at, IRiskManager.Link memory l) = _link($, agent, j);
            if (l.pending == 0) held[$.risk.set(at).group] += l.current;
        }
    }

    /// @inheritdoc IAllocator
    function deleverageNeeded() external view returns (bool needed, uint256 ceiling) {
        (needed, ceiling,) = _ceiling(_store());
    }

    /// @dev Triggers at U_fwd(b = 0) > 1, restores U_fwd(b) <= 1: the margin b is the hysteresis.
    function _ceiling(Store storage $)
        private
        view
        returns (bool needed, uint256 ceiling, IRiskManager.Exposures memory x)
    {
        Params memory p = $.risk.params();
        x = $.risk.exposures(true);
        (uint256 cover, uint256 value) = IStakeManager($.tier.parts().stakes).forwardCover();
        uint256 margin = block.timestamp <= $.repairUntil ? p.marginBps : 0;
        if (Exposure.covered(x.largest, value, cover, margin, p.haircutBps)) return (false, 0, x);
        ceiling = Exposure.ceiling(
            x.current, p.k, Exposure.deleverageBudget(cover, value, x.unapproved, p.marginBps, p.haircutBps)
        );
        // an agent's exposure is rounded up set by set, a billionth of its stake each time
        ceiling = Math.saturatingSub(ceiling, MAX_LINKS * value);
        needed = true;
    }

    /// @inheritdoc IAllocator
    function beginRegistration(OperatorSet calldata operatorSet) external {
        Store storage $ = _store();
        $.risk.agentIndex(msg.sender);
        $.tier.begin();
        (bool known, uint256 at) = $.risk.setIndex(operatorSet.avs, operatorSet.id);
        if (!known) revert SetClosed(operatorSet.avs, operatorSet.id);
        _openSet($, at);
    }

    /// @inheritdoc IAllocator
    function endRegistration() external {
        Store storage $ = _store();
        $.risk.agentIndex(msg.sender);
        $.tier.end(false);
    }

    /// @dev A link; a decrease that has taken effect since it was last looked at is pending no longer.
    function _link(Store storage $, uint256 agent, uint256 link)
        private
        returns (uint256 at, IRiskManager.Link memory x)
    {
        (at, x) = $.risk.link(agent, link);
        if (x.pending == 0 || block.number < x.effectBlock) return (at, x);
        $.risk.recordAllocation(agent, link);
        return $.risk.link(agent, link);
    }

    function _openSet(Store storage $, uint256 at) private view returns (IRiskManager.SetState memory s) {
        s = $.risk.set(at);
        if (!s.allowed || s.quarantined || s.unapproved) revert SetClosed(s.operatorSet.avs, s.operatorSet.id);
    }

    function _set(
        Store storage $,
        uint256 agent,
        uint256 link,
        uint256 at,
        OperatorSet memory operatorSet,
        uint64 magnitude,
        uint8 reason
    ) private {
        IRestakingAgent($.risk.agent(agent).account).allocate(operatorSet, magnitude);
        $.risk.recordAllocation(agent, link);
        emit Allocated(agent, at, magnitude, reason);
    }

    function _store() private pure returns (Store storage $) {
        bytes32 slot = STORE;
        assembly {
            $.slot := slot
        }
    }
}
