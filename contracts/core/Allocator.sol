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

    /// @custom:oz-upgrades-unsafe-allow state-variable-immutable
    IAllocationManager private immutable ALLOCATIONS;
    /// @custom:oz-upgrades-unsafe-allow state-variable-immutable
    IStrategyManager private immutable STRATEGIES;

    /// @custom:storage-location erc7201:bulkhead.storage.Allocator
    struct Store {
        ITier tier;
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
        (uint256 at, IRiskManager.Link memory x) = $.risk.link(agent, link);
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
        (uint256 at, IRiskManager.Link memory x) = $.risk.link(agent, link);
        if (x.pending != 0) revert ChangePending(x.effectBlock);
        if (x.current <= x.target) revert NothingToDo();
        _set($, agent, link, at, $.risk.set(at).operatorSet, x.target, 1);
        $.tier.end(false);
    }

    /// @inheritdoc IAllocator
    function unwind(uint256 agent, uint256 link) external {
        Store storage $ = _store();
        $.tier.begin();
        $.risk.recordAllocation(agent, link); // a change that is over frees the first rung
        (uint256 at, IRiskManager.Link memory x) = $.risk.link(agent, link);
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
            $.risk.recordStake(agent);
            emit StakeEvacuated(agent, deposited - SHARES_LEFT);
        }
    }

    /// @inheritdoc IAllocator
    function deleverage(uint256 agent) external {
        Store storage $ = _store();
        $.tier.begin();
        (bool needed, uint256 ceiling, uint256[] memory exposed) = _ceiling($);
        if (!needed) revert Covered();
        bool cut;
        uint256 links = $.risk.agent(agent).links;
        for (uint256 j; j < links; ++j) {
            (uint256 at, IRiskManager.Link memory x) = $.risk.link(agent, j);
            if (x.current == 0 || x.pending != 0) continue;
            IRiskManager.SetState memory s = $.risk.set(at);
            uint256 target = x.current;
            if (s.quarantined) target = 0;
            else if (exposed[s.group] > ceiling) target = Math.mulDiv(x.current, ceiling, exposed[s.group]);
            if (target == x.current) continue;
            // a small cut would lock the set for the whole delay: at least a quarter, or all
            target = Math.min(target, uint256(x.current) * 3 / 4);
            _set($, agent, j, at, s.operatorSet, uint64(target), 3);
            cut = true;
        }
        if (!cut) revert NothingToDo();
        $.tier.end(false);
    }

    /// @inheritdoc IAllocator
    function deleverageNeeded() external view returns (bool needed, uint256 ceiling) {
        (needed, ceiling,) = _ceiling(_store());
    }

    /// @dev Triggers at U_fwd(b = 0) > 1, restores U_fwd(b) <= 1: the margin b is the hysteresis.
    function _ceiling(Store storage $) private view returns (bool needed, uint256 ceiling, uint256[] memory exposed) {
        Params memory p = $.risk.params();
        IRiskManager.Exposures memory x = $.risk.exposures(true);
        (uint256 cover, uint256 value) = IStakeManager($.tier.parts().stakes).forwardCover();
        exposed = x.current;
        if (Exposure.covered(x.largest, value, cover, 0, p.haircutBps)) return (false, 0, exposed);
        ceiling = Exposure.ceiling(
            exposed, p.k, Exposure.deleverageBudget(cover, value, x.unapproved, p.marginBps, p.haircutBps)
        );
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
