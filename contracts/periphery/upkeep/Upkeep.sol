// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {IAllocator} from "../../interfaces/IAllocator.sol";
import {IRiskManager, IRiskTypes, Observation} from "../../interfaces/IRiskManager.sol";
import {IStakeManager} from "../../interfaces/IStakeManager.sol";
import {IStakingModule} from "../../interfaces/IStakingModule.sol";
import {ITier} from "../../interfaces/ITier.sol";
import {ITierFactory} from "../../interfaces/ITierFactory.sol";
import {ITrancheToken} from "../../interfaces/ITrancheToken.sol";
import {IAllocationManager, IStrategy} from "../../interfaces/external/IEigenLayer.sol";
import {UpkeepCalls} from "./UpkeepCalls.sol";

/// @title A keeper's work, several calls at a time, and the same for keeper networks
/// @notice Everything that a keeper does may be done by anybody, so this contract holds nothing and has no right; whoever
/// calls it could make the same calls himself. It adds three things: calls that are tried one by one, so that one that
/// fails does not stop the others; what a sequence of calls would do and need (`simulate`); and the interface by which
/// Chainlink Automation and networks like it call (`checkUpkeep`, `performUpkeep`), where the contract itself finds the
/// work of a tier.
contract Upkeep is UpkeepCalls {
    // ------------------------------------------------------------------------------------------ keeper networks

    /// @notice The jobs, in the order in which they are tried. Bit `n` of `checkData`'s bitmap asks for job `n`.
    enum Job {
        Sync, // a slash is not booked, sets are stale, or nobody has synced for a day
        Poke, // a set's slashers are not those last seen, or it is stale within 12 hours
        Unwind,
        Deleverage,
        Clear, // EigenLayer's deallocation queue of an agent, and the tier's view of it
        Complete,
        Redeposit,
        ClaimUnstaked,
        FinaliseSenior,
        FinaliseJunior,
        RequestUnstake,
        Unbond,
        Deallocate,
        Deploy,
        Redeploy,
        Allocate,
        OpenSeries
    }

    /// @dev A job as it is handed on: one word each, so that many fit into the few kilobytes that networks carry.
    struct Step {
        Job job;
        uint256 agent; // or the set, or 1 for the senior tranche
        uint256 item; // the agent's link or exit, or a number of requests
        uint256 amount; // wei, or a magnitude
        uint256 gas;
    }

    /// @dev What a check works with. A tier's parts, what it may still spend, and the steps so far.
    struct Check {
        ITier tier;
        IRiskManager risk;
        IStakeManager stakes;
        IAllocator allocator;
        uint256 jobs;
        uint256 budget;
        uint256 extra; // gas that the first step needs beyond what it was tried with
        uint256 count;
        uint256[] steps;
    }

    /// @notice Most calls of one upkeep.
    uint256 public constant MAX_STEPS = 16;

    /// @dev Bounds of the protocol, and what is worth a transaction to a network that does not weigh costs.
    uint256 private constant MAX_REQUESTS = 16;
    uint256 private constant MIN_MOVE = 1 ether;
    uint256 private constant MIN_EXIT = 0.01 ether;
    uint64 private constant BAND = 0.01e18;
    uint256 private constant FRESHNESS = 3 days;
    uint256 private constant POKE_BEFORE = 12 hours;
    uint256 private constant SYNC_EVERY = 1 days;
    /// @dev What a step may need more when it is performed than when it was tried: the check has warmed storage.
    uint256 private constant COLD_GAS = 150_000;
    uint256 private constant FIRST_COLD_GAS = 300_000;
    /// @dev What `performUpkeep` itself uses for each step, and once.
    uint256 private constant STEP_GAS = 30_000;
    uint256 private constant BASE_GAS = 60_000;
    /// @dev A check with less gas left ends with what it has found.
    uint256 private constant CHECK_GAS = 2_500_000;
    /// @dev Who asks in a simulation of Chainlink's registry: the zero address, or this one.
    address private constant SIMULATION = 0x1111111111111111111111111111111111111111;

    ITierFactory private immutable FACTORY;
    IAllocationManager private immutable ALLOCATIONS;

    /// @notice `checkUpkeep` tries the jobs for real, so it can only be simulated, from the zero address.
    error OnlySimulatedBackend();
    /// @notice The tier is not of the factory.
    error UnknownTier(address tier);
    /// @notice There is no such job.
    error UnknownJob(uint256 job);
    /// @notice More than `most` steps.
    error TooManySteps(uint256 steps, uint256 most);

    /// @param factory of the tiers.
    /// @param allocations EigenLayer's AllocationManager.
    constructor(ITierFactory factory, IAllocationManager allocations) {
        (FACTORY, ALLOCATIONS) = (factory, allocations);
    }

    /// @notice Chainlink Automation: whether a tier needs anything, and what. Only in a simulation.
    /// @dev `checkData` is abi.encode(tier, jobs, performGas): the bitmap of jobs (type(uint256).max: all), and the gas limit
    /// that the upkeep is registered with. It tries each job for real, as `performUpkeep` would: what it returns passes in
    /// this state, within that gas. With little gas it finds less: 10 million are enough for all but the largest tiers.
    /// Reverts OnlySimulatedBackend, UnknownTier. A tier that cannot be read needs nothing.
    /// @return upkeepNeeded whether there is anything to do.
    /// @return performData for `performUpkeep`: abi.encode(tier, steps).
    function checkUpkeep(bytes calldata checkData) external returns (bool upkeepNeeded, bytes memory performData) {
        // solhint-disable-next-line avoid-tx-origin
        if (tx.origin != address(0) && tx.origin != SIMULATION) revert OnlySimulatedBackend();
        Check memory c;
        uint256 performGas;
        (c.tier, c.jobs, performGas) = abi.decode(checkData, (ITier, uint256, uint256));
        _requireTier(address(c.tier));
        c.steps = new uint256[](MAX_STEPS);
        c.budget = Math.saturatingSub(performGas, BASE_GAS + FIRST_COLD_GAS);
        _find(c);
        uint256[] memory steps = c.steps;
        uint256 count = c.count;
        assembly {
            mstore(steps, count)
        }
        return (count != 0, abi.encode(c.tier, steps));
    }

    /// @notice Chainlink Automation: does what `checkUpkeep` has found. Anybody.
    /// @dev `performData` is not trusted and needs not be: a step is a job of the tier's own contracts, which anybody may
    /// have done and which checks for itself whether it is called for. Reverts UnknownTier, UnknownJob, TooManySteps, InsufficientGas
    /// where a step would get less gas than it was found to need, NothingDone where no step passes.
    function performUpkeep(bytes calldata performData) external {
        (ITier tier, uint256[] memory steps) = abi.decode(performData, (ITier, uint256[]));
        _requireTier(address(tier));
        if (steps.length > MAX_STEPS) revert TooManySteps(steps.length, MAX_STEPS);
        Call[] memory calls = new Call[](steps.length);
        for (uint256 i; i < steps.length; ++i) {
            calls[i] = _callOf(tier, _unpack(steps[i]));
        }
        _perform(calls);
    }

    function _requireTier(address tier) private view {
        if (!FACTORY.isTier(tier)) revert UnknownTier(tier);
    }

    // --------------------------------------------------------------------------------------------- finding work

    function _find(Check memory c) private {
        ITier.Parts memory p = c.tier.parts();
        (c.risk, c.stakes, c.allocator) = (IRiskManager(p.risk), IStakeManager(p.stakes), IAllocator(p.allocator));
        uint256 clearable = _clearable(c);
        c.extra = FIRST_COLD_GAS;
        bool synced = _syncIsDue(c) && _add(c, Job.Sync, 0, 0, 0);
        // the views below are those of a synced tier
        uint256 used = gasleft();
        try c.tier.sync() {
            used -= gasleft();
        } catch {
            c.count = 0;
            return;
        }
        if (!synced) {
            // where no step does it, the first one pays for what this sync has found
            c.extra += used + used / 4;
            c.budget = Math.saturatingSub(c.budget, used + used / 4);
        }
        _findPokes(c);
        _findUnwinds(c);
        _findCuts(c);
        for (uint256 i; clearable >> i != 0; ++i) {
            if ((clearable >> i) & 1 == 1) _add(c, Job.Clear, i, 0, 0);
        }
        _findWithdrawals(c);
        _findMoneyOut(c, IStakingModule(p.stakingModule));
        _findTargets(c, false);
        _findMoneyIn(c);
        _findTargets(c, true);
        if (c.tier.token(true) == address(0)) _add(c, Job.OpenSeries, 1, 0, 0);
        if (c.tier.token(false) == address(0)) _add(c, Job.OpenSeries, 0, 0, 0);
    }

    /// @dev Does a job for good, if it is asked for and passes within the budget, and notes it.
    function _add(Check memory c, Job job, uint256 agent, uint256 item, uint256 amount) private returns (bool) {
        if ((c.jobs >> uint256(job)) & 1 == 0 || _isFull(c)) return false;
        uint256 most = Math.saturatingSub(c.budget, STEP_GAS + _needed(COLD_GAS)) * 3 / 4;
        Step memory s = Step(job, agent, item, amount, 0);
        Result memory r = _measure(_callOf(c.tier, s), most);
        if (!r.success) return false;
        s.gas = r.gas + r.gas / 4 + COLD_GAS;
        c.budget -= STEP_GAS + _needed(s.gas);
        if (c.count == 0) s.gas += c.extra;
        c.steps[c.count++] = _pack(s);
        return true;
    }

    function _isFull(Check memory c) private view returns (bool) {
        return c.count == MAX_STEPS || gasleft() < CHECK_GAS;
    }

    function _syncIsDue(Check memory c) private view returns (bool) {
        (,, uint40 lastSync,,) = c.tier.status();
        if (block.timestamp > c.risk.freshUntil() || block.timestamp >= lastSync + SYNC_EVERY) return true;
        try c.risk.observe() returns (Observation memory o) {
            return o.slashedAgents != 0;
        } catch {
            return false; // nor will the sync pass
        }
    }

    /// @dev Agents with a decrease that has taken effect and that nobody has looked at.
    function _clearable(Check memory c) private view returns (uint256 map) {
        uint256 count = c.risk.agentCount();
        for (uint256 i; i < count; ++i) {
            (bool present, IRiskTypes.AgentState memory a) = _agent(c.risk, i);
            for (uint256 j; present && j < a.links; ++j) {
                (, IRiskTypes.Link memory x) = c.risk.link(i, j);
                if (_over(x)) map |= 1 << i;
            }
        }
    }

    /// @dev Sets that the tier is exposed to and whose slashers changed, that are nearly stale, or to which a decrease
    /// has taken effect.
    function _findPokes(Check memory c) private {
        (uint256 exposed, uint256 over) = _exposedSets(c);
        for (uint256 i; exposed >> i != 0 && !_isFull(c); ++i) {
            if ((exposed >> i) & 1 == 0) continue;
            IRiskTypes.SetState memory s = c.risk.set(i);
            bool due = (over >> i) & 1 == 1 || block.timestamp + POKE_BEFORE > s.seenAt + FRESHNESS;
            if (!due) {
                (address pending,) = ALLOCATIONS.getPendingSlasher(s.operatorSet);
                due = pending != s.pendingSlasher || ALLOCATIONS.getSlasher(s.operatorSet) != s.seenSlasher;
            }
            if (due) _add(c, Job.Poke, i, 0, 0);
        }
    }

    function _exposedSets(Check memory c) private view returns (uint256 exposed, uint256 over) {
        uint256 count = c.risk.agentCount();
        for (uint256 i; i < count; ++i) {
            (bool present, IRiskTypes.AgentState memory a) = _agent(c.risk, i);
            for (uint256 j; present && j < a.links; ++j) {
                (uint256 set, IRiskTypes.Link memory x) = c.risk.link(i, j);
                if (x.current != 0 || x.target != 0) exposed |= 1 << set;
                if (_over(x)) over |= 1 << set;
            }
        }
    }

    function _findUnwinds(Check memory c) private {
        uint256 count = c.risk.agentCount();
        for (uint256 i; i < count && !_isFull(c); ++i) {
            (bool present, IRiskTypes.AgentState memory a) = _agent(c.risk, i);
            for (uint256 j; present && j < a.links; ++j) {
                (uint256 set, IRiskTypes.Link memory x) = c.risk.link(i, j);
                if (x.current == x.pending) continue;
                IRiskTypes.SetState memory s = c.risk.set(set);
                if (!s.quarantined) continue;
                // whoever has left and waits can do no more
                bool waits = x.pending != 0 && block.number < x.effectBlock;
                if (waits && !ALLOCATIONS.isMemberOfOperatorSet(a.account, s.operatorSet)) continue;
                _add(c, Job.Unwind, i, j, 0);
            }
        }
    }

    function _findCuts(Check memory c) private {
        if (_isFull(c)) return;
        (bool needed,) = c.allocator.deleverageNeeded();
        uint256 count = c.risk.agentCount();
        for (uint256 i; needed && i < count && !_isFull(c); ++i) {
            if (_add(c, Job.Deleverage, i, 0, 0)) (needed,) = c.allocator.deleverageNeeded();
        }
    }

    /// @dev Back into shares where no queue needs it. From the last one down: a removal moves the last into the gap.
    function _findWithdrawals(Check memory c) private {
        uint256 delay = c.risk.withdrawalDelay();
        uint256 count = c.risk.agentCount();
        for (uint256 i; i < count && !_isFull(c); ++i) {
            (bool present, IRiskTypes.AgentState memory a) = _agent(c.risk, i);
            for (uint256 q = present ? a.exits : 0; q != 0;) {
                --q;
                IRiskTypes.Exit memory x = c.risk.exit(i, q);
                if (block.number <= x.startBlock + delay) continue;
                if (x.tokensOnly || !_add(c, Job.Redeposit, i, q, 0)) _add(c, Job.Complete, i, q, 0);
            }
        }
    }

    function _findMoneyOut(Check memory c, IStakingModule module) private {
        if (_isFull(c)) return;
        (, uint256 claimable) = module.requests();
        if (claimable != 0) _add(c, Job.ClaimUnstaked, 0, Math.min(claimable, MAX_REQUESTS), 0);
        if (_worthFinalising(c.tier, true)) _add(c, Job.FinaliseSenior, 0, 0, 0);
        if (_worthFinalising(c.tier, false)) _add(c, Job.FinaliseJunior, 0, 0, 0);
        (uint256 wanted, uint256 idle,, uint256 loose, uint256 unstaking) = c.stakes.liquidity();
        uint256 amount = Math.min(Math.saturatingSub(wanted, idle + unstaking), loose);
        if (amount >= MIN_EXIT) _add(c, Job.RequestUnstake, 0, MAX_REQUESTS, 0);
        bool waiting = c.tier.shares(true).queued != 0 || c.tier.shares(false).queued != 0;
        // a day's batch takes an ether at least, so a smaller need waits unless somebody waits for it
        if (c.stakes.unbondNeed() >= (waiting ? MIN_EXIT : MIN_MOVE)) _add(c, Job.Unbond, 0, 0, 0);
    }

    function _worthFinalising(ITier tier, bool senior) private view returns (bool) {
        ITier.Shares memory s = tier.shares(senior);
        if (s.queued == 0) return false;
        uint256 shares = tier.finalisable(senior);
        if (shares == 0 || shares == s.queued) return shares != 0;
        return Math.mulDiv(shares, tier.previewAssets(senior), s.supply) >= MIN_EXIT;
    }

    function _findMoneyIn(Check memory c) private {
        uint256 count = c.risk.agentCount();
        for (uint256 i; i < count && !_isFull(c); ++i) {
            (bool present, IRiskTypes.AgentState memory a) = _agent(c.risk, i);
            if (!present || a.weightBps == 0) continue;
            uint256 limit = c.stakes.deployLimit(i);
            limit -= limit / 1_000; // what is earned until it is mined moves the limit
            if (limit >= MIN_MOVE) _add(c, Job.Deploy, i, 0, limit);
            limit = _spareLoose(c, i, a.weightBps);
            if (limit < MIN_MOVE || _add(c, Job.Redeploy, i, 0, limit)) continue;
            if (limit / 2 >= MIN_MOVE) _add(c, Job.Redeploy, i, 0, limit / 2);
        }
    }

    /// @dev Loose tokens that no queue will ask for, as far as an agent is below its weight.
    function _spareLoose(Check memory c, uint256 index, uint256 weightBps) private view returns (uint256) {
        (uint256 wanted, uint256 idle,, uint256 loose, uint256 unstaking) = c.stakes.liquidity();
        uint256 spare = Math.saturatingSub(loose, Math.saturatingSub(wanted, idle + unstaking));
        if (spare == 0) return 0;
        (,, uint256 value) = c.stakes.deployRoom();
        value -= value * c.risk.params().bufferBps / 10_000;
        uint256 room = Math.saturatingSub(value * weightBps / 10_000, c.risk.stakeOf(index));
        return Math.min(spare, room - room / 1_000);
    }

    /// @dev Allocations that are further from their targets than the band; upwards as far as the gate lets them.
    function _findTargets(Check memory c, bool up) private {
        uint256 count = c.risk.agentCount();
        for (uint256 i; i < count && !_isFull(c); ++i) {
            (bool present, IRiskTypes.AgentState memory a) = _agent(c.risk, i);
            for (uint256 j; present && j < a.links; ++j) {
                (uint256 set, IRiskTypes.Link memory x) = c.risk.link(i, j);
                if (x.pending != 0 && !_over(x)) continue;
                uint64 current = x.current - x.pending;
                if (up) {
                    _raise(c, a, i, j, set, current, x.target);
                } else if (current > x.target + BAND || (x.target == 0 && current != 0)) {
                    _add(c, Job.Deallocate, i, j, 0);
                }
            }
        }
    }

    function _raise(
        Check memory c,
        IRiskTypes.AgentState memory a,
        uint256 index,
        uint256 link,
        uint256 set,
        uint64 current,
        uint64 target
    ) private {
        if (target <= current) return;
        IRiskTypes.SetState memory s = c.risk.set(set);
        if (!s.allowed || s.quarantined || s.unapproved) return;
        uint256 free = Math.saturatingSub(a.magnitude, ALLOCATIONS.getEncumberedMagnitude(a.account, c.risk.strategy()));
        for (uint256 step = Math.min(target - current, free); step >= BAND; step /= 2) {
            if (_add(c, Job.Allocate, index, link, current + step)) return;
        }
    }

    function _over(IRiskTypes.Link memory x) private view returns (bool) {
        return x.pending != 0 && block.number >= x.effectBlock;
    }

    /// @dev The position of a removed agent is empty.
    function _agent(IRiskManager risk, uint256 index)
        private
        view
        returns (bool present, IRiskTypes.AgentState memory a)
    {
        try risk.agent(index) returns (IRiskTypes.AgentState memory found) {
            return (true, found);
        } catch {}
    }

    // ---------------------------------------------------------------------------------------------------- steps

    function _pack(Step memory s) private pure returns (uint256) {
        return uint256(s.job) << 248 | s.agent << 240 | s.item << 232 | s.gas << 200 | s.amount;
    }

    function _unpack(uint256 word) private pure returns (Step memory s) {
        uint256 job = word >> 248;
        if (job > uint256(type(Job).max)) revert UnknownJob(job);
        s.job = Job(job);
        (s.agent, s.item, s.gas) = (uint8(word >> 240), uint8(word >> 232), uint32(word >> 200));
        s.amount = uint128(word);
    }

    /// @dev The call of a step: whatever a step says, it is one of these functions of the tier's own contracts.
    function _callOf(ITier tier, Step memory s) private view returns (Call memory) {
        ITier.Parts memory p = tier.parts();
        (address target, bytes memory data) = (p.stakes, bytes(""));
        if (s.job == Job.Sync) {
            (target, data) = (address(tier), abi.encodeCall(ITier.sync, ()));
        } else if (s.job == Job.Poke) {
            (target, data) = (p.risk, abi.encodeCall(IRiskManager.poke, (s.agent)));
        } else if (s.job == Job.Clear) {
            (target, data) = _clearing(IRiskManager(p.risk), s.agent);
        } else if (s.job == Job.FinaliseSenior) {
            (target, data) = _finalising(tier, true);
        } else if (s.job == Job.FinaliseJunior) {
            (target, data) = _finalising(tier, false);
        } else if (s.job == Job.OpenSeries) {
            (target, data) = (address(FACTORY), abi.encodeCall(ITierFactory.openSeries, (address(tier), s.agent == 1)));
        } else if (s.job == Job.Complete) {
            data = abi.encodeCall(IStakeManager.complete, (s.agent, s.item));
        } else if (s.job == Job.Redeposit) {
            data = abi.encodeCall(IStakeManager.redeposit, (s.agent, s.item));
        } else if (s.job == Job.ClaimUnstaked) {
            data = abi.encodeCall(IStakeManager.claimUnstaked, (s.item));
        } else if (s.job == Job.RequestUnstake) {
            data = abi.encodeCall(IStakeManager.requestUnstake, (s.item));
        } else if (s.job == Job.Unbond) {
            data = abi.encodeCall(IStakeManager.unbond, ());
        } else if (s.job == Job.Deploy) {
            data = abi.encodeCall(IStakeManager.deploy, (s.agent, s.amount));
        } else if (s.job == Job.Redeploy) {
            data = abi.encodeCall(IStakeManager.redeploy, (s.agent, s.amount));
        } else {
            (target, data) = (p.allocator, _allocating(s));
        }
        return Call(target, s.gas, data);
    }

    function _allocating(Step memory s) private pure returns (bytes memory) {
        if (s.job == Job.Unwind) return abi.encodeCall(IAllocator.unwind, (s.agent, s.item));
        if (s.job == Job.Deleverage) return abi.encodeCall(IAllocator.deleverage, (s.agent));
        if (s.job == Job.Deallocate) return abi.encodeCall(IAllocator.deallocate, (s.agent, s.item));
        return abi.encodeCall(IAllocator.allocate, (s.agent, s.item, uint64(s.amount)));
    }

    /// @dev A tranche without a token has no queue: the zero address has no code, so the step fails.
    function _finalising(ITier tier, bool senior) private view returns (address, bytes memory) {
        return (tier.token(senior), abi.encodeCall(ITrancheToken.finalise, (type(uint256).max)));
    }

    function _clearing(IRiskManager risk, uint256 agent) private view returns (address, bytes memory) {
        IStrategy[] memory strategies = new IStrategy[](1);
        uint16[] memory most = new uint16[](1);
        (strategies[0], most[0]) = (risk.strategy(), type(uint16).max);
        (bool present, IRiskTypes.AgentState memory a) = _agent(risk, agent);
        if (!present) return (address(0), "");
        return (
            address(ALLOCATIONS),
            abi.encodeCall(IAllocationManager.clearDeallocationQueue, (a.account, strategies, most))
        );
    }
}
