// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {IAllocator} from "../../interfaces/IAllocator.sol";
import {IMandate} from "../../interfaces/IMandate.sol";
import {IRewards} from "../../interfaces/IRewards.sol";
import {IRiskManager, IRiskTypes, Params} from "../../interfaces/IRiskManager.sol";
import {IStakeManager} from "../../interfaces/IStakeManager.sol";
import {IStakingModule} from "../../interfaces/IStakingModule.sol";
import {ITier} from "../../interfaces/ITier.sol";
import {ITierFactory} from "../../interfaces/ITierFactory.sol";
import {IAllocationManager, IStrategy, OperatorSet} from "../../interfaces/external/IEigenLayer.sol";
import {Waterfall} from "../../libraries/Waterfall.sol";

/// @title What a keeper has to know of a tier, in one call
/// @notice `pulse` and `observe` sync the tier first and read it then, so an `eth_call` sees books, quarantines and
/// allocations as a sync now would leave them: what a slash of the latest block calls for can be planned and sent at
/// once. They are meant for `eth_call` and never need to be sent; a transaction of them does no more than `Tier.sync`,
/// which anybody may call. The lens holds nothing and has no right.
/// @dev Amounts are wei, magnitudes and U WAD, exposures wei·1e9, weights basis points, times Unix seconds. A tier that
/// cannot be synced or read (EigenLayer or the staking protocol does not answer) is `readable` = false with the revert
/// data in `failure`, and then nothing else of it means anything.
contract UpkeepLens {
    /// @notice A tier's contracts. `name` is the name of its first live token: "Bulkhead Careful Senior".
    struct TierRef {
        address tier;
        string name;
        address risk;
        address stakes;
        address allocator;
        address mandate;
        address module;
        address rewards;
        address factory;
        address allocationManager; // EigenLayer's
        address strategy; // that all agents use
    }

    /// @notice Whether a tier needs protection, and its health.
    struct Pulse {
        address tier;
        bool readable;
        bytes failure;
        uint256 slashedAgents; // bit i: agent i was slashed, and no sync has booked it yet
        uint256 unwinding; // links of quarantined sets of which `Allocator.unwind` could take more
        bool deleverageNeeded; // and something is left to cut
        uint256 changedSets; // bit s: the tier is exposed to set s, whose slashers are not those that it last saw
        bytes32 surroundings; // of registrars and strategies of the sets that the tier is exposed to
        uint256 freshUntil; // as stored: before the lens's sync
        uint256 lastSync; // as stored: before the lens's sync
        uint256 utilisation;
        uint256 exposed; // L_k
        uint256 cover; // R + J
        uint256 value; // V
    }

    /// @notice The open Deficit: wei outstanding to the senior, and when it closes (0: none is open).
    struct DeficitState {
        uint256 outstanding;
        uint256 closesAt;
    }

    /// @notice The staking protocol's exit queue.
    struct UnstakeRequests {
        uint256 open;
        uint256 claimable;
    }

    /// @notice A riskier mandate that waits (id 0: none).
    struct MandatePending {
        bytes32 id;
        uint256 eta;
        uint256 expiry;
    }

    /// @notice A tranche's live series (token 0: none), in shares.
    struct TrancheState {
        address token;
        uint256 supply;
        uint256 queued;
        uint256 finalisable;
    }

    /// @notice An allocation, as the tier has it: a decrease that has taken effect at `effectBlock` stays pending here until
    /// the tier looks again.
    struct LinkState {
        uint256 index;
        uint256 set;
        uint256 current;
        uint256 pending;
        uint256 effectBlock;
        uint256 target;
        bool member; // of the operator set at EigenLayer
    }

    /// @notice A queued withdrawal.
    struct ExitState {
        uint256 index;
        uint256 scaled;
        uint256 startBlock;
        uint256 nonce;
        bool tokensOnly;
    }

    /// @notice An agent; positions of removed ones are left out.
    struct AgentState {
        uint256 index;
        address account;
        address nodeOperator;
        uint256 weightBps;
        uint256 lastUnbond;
        uint256 magnitude;
        bool quarantined;
        uint256 stake; // without its withdrawal queue, wei
        uint256 deployLimit;
        uint256 encumbered; // magnitude that EigenLayer counts as allocated
        uint256 reviewedAt;
        LinkState[] links;
        ExitState[] exits;
    }

    /// @notice An operator set, as the tier last saw it and as EigenLayer says.
    struct SetState {
        uint256 index;
        address avs;
        uint256 id;
        uint256 category;
        uint256 group;
        bool allowed;
        bool unapproved;
        bool quarantined;
        address approvedSlasher;
        address seenSlasher;
        address seenPendingSlasher;
        uint256 seenAt;
        address slasher;
        address pendingSlasher;
        uint256 pendingSlasherBlock;
        address registrar;
        IStrategy[] strategies; // empty where reading them takes more than a million gas
    }

    /// @notice All that planning needs of a tier.
    struct State {
        address tier;
        bool readable;
        bytes failure;
        uint256 slashedAgents; // bit i: agent i was slashed, and no sync has booked it yet
        Waterfall.Books books;
        uint256 value; // V
        uint256 utilisation; // U
        uint256 exposed; // L_k
        uint256 deployableCover; // c_dep
        Params params;
        DeficitState deficit;
        uint256 lastSync; // as stored: before the lens's sync
        uint256 unlockAt;
        bool entriesPaused;
        uint256 freshUntil; // as stored: before the lens's sync
        uint256 reserved;
        uint256 deployable; // idle that no queue and no buffer claims
        uint256 stakeLimit; // what the staking protocol takes now
        uint256 wanted; // what queues and buffer ask for
        uint256 idle;
        uint256 queued; // in EigenLayer's withdrawal queue
        uint256 loose;
        uint256 unstaking;
        uint256 unbondNeed;
        UnstakeRequests unstakeRequests;
        bool deleverageNeeded;
        uint256 ceiling; // what each group may keep, where deleveraging is called for
        uint256[] groups; // E_a
        uint256 unapproved;
        uint256 worst; // bit a: group a is one of the k largest
        uint256 withdrawalDelay; // blocks
        uint256 vetoBlocks;
        MandatePending mandatePending;
        TrancheState senior;
        TrancheState junior;
        AgentState[] agents;
        SetState[] sets;
    }

    /// @dev What is read before the sync, because the sync changes it.
    struct Before {
        uint256 slashedAgents;
        uint256 freshUntil;
        uint256 lastSync;
    }

    /// @notice Gas that a tier must get at least, so that what cannot be read is told from what was starved.
    uint256 public constant LEAST_GAS = 12_000_000;

    /// @dev What an AVS gets to say which strategies its set has: some hundred. It must not keep the lens from answering.
    uint256 private constant STRATEGIES_GAS = 1_000_000;
    /// @dev An agent with less (wei, before slashing) has nothing left to evacuate but what withdrawals leave behind.
    uint256 private constant DUST = 1e6;

    ITierFactory private immutable FACTORY;
    IAllocationManager private immutable ALLOCATIONS;

    /// @notice Fewer than `needed` gas are left, so that nothing could be concluded from a failure: raise the call's gas, or
    /// ask for fewer tiers.
    error InsufficientGas(uint256 available, uint256 needed);

    /// @param factory of the tiers.
    /// @param allocations EigenLayer's AllocationManager.
    constructor(ITierFactory factory, IAllocationManager allocations) {
        (FACTORY, ALLOCATIONS) = (factory, allocations);
    }

    // ---------------------------------------------------------------------------------------------- which tiers

    /// @notice The tiers that the factory knows, from position `from` on and at most `most`, and how many there are.
    /// Anybody.
    function tiers(uint256 from, uint256 most) external view returns (TierRef[] memory list, uint256 count) {
        count = FACTORY.tierCount();
        uint256 length = from >= count ? 0 : count - from;
        if (length > most) length = most;
        list = new TierRef[](length);
        for (uint256 i; i < length; ++i) {
            ITier tier = ITier(FACTORY.tierAt(from + i));
            ITier.Parts memory p = tier.parts();
            address token = tier.token(true);
            if (token == address(0)) token = tier.token(false);
            list[i] = TierRef({
                tier: address(tier),
                name: token == address(0) ? "" : IERC20Metadata(token).name(),
                risk: p.risk,
                stakes: p.stakes,
                allocator: p.allocator,
                mandate: p.mandate,
                module: p.stakingModule,
                rewards: FACTORY.rewardsOf(address(tier)),
                factory: address(FACTORY),
                allocationManager: address(ALLOCATIONS),
                strategy: address(IRiskManager(p.risk).strategy())
            });
        }
    }

    // ------------------------------------------------------------------------------------------------- pulse

    /// @notice The pulse of each of the tiers after a sync; a million gas or two for each, some more right after a slash.
    /// Anybody, by `eth_call`. Reverts InsufficientGas.
    function pulse(ITier[] calldata list) external returns (Pulse[] memory pulses) {
        pulses = new Pulse[](list.length);
        for (uint256 i; i < list.length; ++i) {
            _requireGas();
            try this.pulseOf(list[i]) returns (Pulse memory p) {
                pulses[i] = p;
            } catch (bytes memory failure) {
                pulses[i].tier = address(list[i]);
                pulses[i].failure = failure;
            }
        }
    }

    /// @notice The same of one tier; reverts where it cannot be read. Anybody.
    function pulseOf(ITier tier) external returns (Pulse memory p) {
        IRiskManager risk = IRiskManager(tier.parts().risk);
        Before memory b = _sync(tier, risk);
        (p.tier, p.readable) = (address(tier), true);
        (p.slashedAgents, p.freshUntil, p.lastSync) = (b.slashedAgents, b.freshUntil, b.lastSync);
        ITier.Preview memory v = tier.preview();
        (p.utilisation, p.exposed, p.value) = (v.utilisation, v.observation.exposed, v.value);
        p.cover = v.books.reserve + v.books.junior;
        (uint256 exposedSets, bool cuttable) = _links(p, risk);
        if (cuttable) (p.deleverageNeeded,) = IAllocator(tier.parts().allocator).deleverageNeeded();
        for (uint256 i; exposedSets >> i != 0; ++i) {
            if ((exposedSets >> i) & 1 == 0) continue;
            IRiskTypes.SetState memory s = risk.set(i);
            (address pending,) = ALLOCATIONS.getPendingSlasher(s.operatorSet);
            if (ALLOCATIONS.getSlasher(s.operatorSet) != s.seenSlasher || pending != s.pendingSlasher) {
                p.changedSets |= 1 << i;
            }
            address registrar = ALLOCATIONS.getAVSRegistrar(s.operatorSet.avs);
            p.surroundings = keccak256(abi.encode(p.surroundings, i, registrar, _strategies(s.operatorSet)));
        }
    }

    /// @dev Counts what can be unwound. `exposedSets`: the sets that an agent is allocated to or meant to be.
    function _links(Pulse memory p, IRiskManager risk) private view returns (uint256 exposedSets, bool cuttable) {
        uint256 quarantined = _quarantined(risk);
        uint256 count = risk.agentCount();
        for (uint256 i; i < count; ++i) {
            (bool present, IRiskTypes.AgentState memory a) = _agent(risk, i);
            for (uint256 j; present && j < a.links; ++j) {
                (uint256 set, IRiskTypes.Link memory x) = _link(risk, i, j);
                if (x.current != 0 || x.target != 0) exposedSets |= 1 << set;
                if (x.current != 0 && x.pending == 0) cuttable = true;
                if ((quarantined >> set) & 1 == 1 && _unwinds(risk, a, set, x)) ++p.unwinding;
            }
        }
    }

    /// @dev Whether a rung of the ladder is open: nothing is pending, or the agent is a member and has something to lose.
    function _unwinds(IRiskManager risk, IRiskTypes.AgentState memory a, uint256 set, IRiskTypes.Link memory x)
        private
        view
        returns (bool)
    {
        if (x.current == x.pending) return false;
        if (x.pending == 0) return true;
        return a.stake > DUST && ALLOCATIONS.isMemberOfOperatorSet(a.account, risk.set(set).operatorSet);
    }

    function _quarantined(IRiskManager risk) private view returns (uint256 map) {
        uint256 count = risk.setCount();
        for (uint256 i; i < count; ++i) {
            if (risk.set(i).quarantined) map |= 1 << i;
        }
    }

    // ----------------------------------------------------------------------------------------------- observe

    /// @notice A tier's whole state after a sync. Anybody, by `eth_call`. Reverts InsufficientGas.
    function observe(ITier tier) external returns (State memory s) {
        _requireGas();
        try this.stateOf(tier) returns (State memory state) {
            return state;
        } catch (bytes memory failure) {
            s.tier = address(tier);
            s.failure = failure;
        }
    }

    /// @notice The same; reverts where it cannot be read. Anybody.
    function stateOf(ITier tier) external returns (State memory s) {
        ITier.Parts memory parts = tier.parts();
        IRiskManager risk = IRiskManager(parts.risk);
        Before memory b = _sync(tier, risk);
        (s.tier, s.readable) = (address(tier), true);
        (s.slashedAgents, s.freshUntil, s.lastSync) = (b.slashedAgents, b.freshUntil, b.lastSync);
        _books(s, tier);
        _money(s, tier, parts);
        _exposure(s, parts);
        (s.senior, s.junior) = (_tranche(tier, true), _tranche(tier, false));
        s.agents = _agents(tier, parts);
        s.sets = _sets(risk);
    }

    function _books(State memory s, ITier tier) private view {
        ITier.Preview memory v = tier.preview();
        s.books = v.books;
        (s.value, s.utilisation, s.exposed) = (v.value, v.utilisation, v.observation.exposed);
        s.deployableCover = v.books.reserve + v.books.junior - v.queuedJunior;
        s.params = v.observation.params;
        s.deficit = DeficitState(v.deficit.outstanding, v.deficit.closesAt);
        s.unlockAt = v.unlockAt;
        s.deployable = v.deployable;
        (,,,, s.entriesPaused) = tier.status();
        (, s.reserved) = tier.cash();
    }

    function _money(State memory s, ITier tier, ITier.Parts memory parts) private view {
        IStakeManager stakes = IStakeManager(parts.stakes);
        IStakingModule module = IStakingModule(parts.stakingModule);
        s.stakeLimit = module.stakeLimit();
        (s.wanted, s.idle, s.queued, s.loose, s.unstaking) = stakes.liquidity();
        s.unbondNeed = stakes.unbondNeed();
        (s.unstakeRequests.open, s.unstakeRequests.claimable) = module.requests();
        IMandate mandate = IMandate(tier.parts().mandate);
        if (mandate.riskierPending()) {
            (bytes32 id, uint40 eta, uint40 expiry) = mandate.pending();
            s.mandatePending = MandatePending(id, eta, expiry);
        }
    }

    function _exposure(State memory s, ITier.Parts memory parts) private view {
        IRiskManager risk = IRiskManager(parts.risk);
        IRiskTypes.Exposures memory x = risk.exposures(false);
        (s.groups, s.unapproved, s.worst) = (x.current, x.unapproved, x.worst);
        (s.deleverageNeeded, s.ceiling) = IAllocator(parts.allocator).deleverageNeeded();
        (s.withdrawalDelay, s.vetoBlocks) = (risk.withdrawalDelay(), risk.vetoBlocks());
    }

    function _tranche(ITier tier, bool senior) private view returns (TrancheState memory t) {
        t.token = tier.token(senior);
        ITier.Shares memory s = tier.shares(senior);
        (t.supply, t.queued) = (s.supply, s.queued);
        if (s.queued != 0) t.finalisable = tier.finalisable(senior);
    }

    function _agents(ITier tier, ITier.Parts memory parts) private view returns (AgentState[] memory list) {
        IRiskManager risk = IRiskManager(parts.risk);
        uint256 positions = risk.agentCount();
        list = new AgentState[](positions);
        uint256 count;
        for (uint256 i; i < positions; ++i) {
            (bool present, IRiskTypes.AgentState memory a) = _agent(risk, i);
            if (!present) continue;
            AgentState memory x = list[count++];
            (x.index, x.account, x.nodeOperator) = (i, a.account, a.nodeOperator);
            (x.weightBps, x.lastUnbond, x.magnitude, x.quarantined) =
            (a.weightBps, a.lastUnbond, a.magnitude, a.quarantined);
            x.stake = risk.stakeOf(i);
            x.deployLimit = IStakeManager(parts.stakes).deployLimit(i);
            x.encumbered = ALLOCATIONS.getEncumberedMagnitude(a.account, risk.strategy());
            x.reviewedAt = IRewards(FACTORY.rewardsOf(address(tier))).agentPay(a.account).reviewedAt;
            x.links = _linksOf(risk, i, a);
            x.exits = _exitsOf(risk, i, a.exits);
        }
        assembly {
            mstore(list, count)
        }
    }

    function _linksOf(IRiskManager risk, uint256 index, IRiskTypes.AgentState memory a)
        private
        view
        returns (LinkState[] memory list)
    {
        list = new LinkState[](a.links);
        for (uint256 j; j < list.length; ++j) {
            (uint256 set, IRiskTypes.Link memory x) = risk.link(index, j);
            list[j] = LinkState({
                index: j,
                set: set,
                current: x.current,
                pending: x.pending,
                effectBlock: x.effectBlock,
                target: x.target,
                member: ALLOCATIONS.isMemberOfOperatorSet(a.account, risk.set(set).operatorSet)
            });
        }
    }

    function _exitsOf(IRiskManager risk, uint256 index, uint256 count) private view returns (ExitState[] memory list) {
        list = new ExitState[](count);
        for (uint256 q; q < count; ++q) {
            IRiskTypes.Exit memory x = risk.exit(index, q);
            list[q] = ExitState(q, x.scaled, x.startBlock, x.nonce, x.tokensOnly);
        }
    }

    function _sets(IRiskManager risk) private view returns (SetState[] memory list) {
        list = new SetState[](risk.setCount());
        for (uint256 i; i < list.length; ++i) {
            SetState memory x = list[i];
            IRiskTypes.SetState memory s = risk.set(i);
            (x.index, x.avs, x.id) = (i, s.operatorSet.avs, s.operatorSet.id);
            (x.category, x.group, x.allowed) = (s.category, s.group, s.allowed);
            (x.unapproved, x.quarantined) = (s.unapproved, s.quarantined);
            (x.approvedSlasher, x.seenSlasher) = (s.approvedSlasher, s.seenSlasher);
            (x.seenPendingSlasher, x.seenAt) = (s.pendingSlasher, s.seenAt);
            x.slasher = ALLOCATIONS.getSlasher(s.operatorSet);
            (x.pendingSlasher, x.pendingSlasherBlock) = ALLOCATIONS.getPendingSlasher(s.operatorSet);
            x.registrar = ALLOCATIONS.getAVSRegistrar(s.operatorSet.avs);
            x.strategies = _strategies(s.operatorSet);
        }
    }

    // ----------------------------------------------------------------------------------------------- helpers

    function _sync(ITier tier, IRiskManager risk) private returns (Before memory b) {
        b.slashedAgents = risk.observe().slashedAgents;
        b.freshUntil = risk.freshUntil();
        (,, b.lastSync,,) = tier.status();
        tier.sync();
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

    /// @dev A link, with a decrease that has taken effect counted as done, as the next call that uses it will.
    function _link(IRiskManager risk, uint256 agent, uint256 index)
        private
        view
        returns (uint256 set, IRiskTypes.Link memory x)
    {
        (set, x) = risk.link(agent, index);
        if (x.pending == 0 || block.number < x.effectBlock) return (set, x);
        x.current -= x.pending;
        (x.pending, x.effectBlock) = (0, 0);
    }

    function _strategies(OperatorSet memory operatorSet) private view returns (IStrategy[] memory) {
        try ALLOCATIONS.getStrategiesInOperatorSet{gas: STRATEGIES_GAS}(operatorSet) returns (IStrategy[] memory list) {
            return list;
        } catch {
            return new IStrategy[](0);
        }
    }

    function _requireGas() private view {
        if (gasleft() < LEAST_GAS) revert InsufficientGas(gasleft(), LEAST_GAS);
    }
}
