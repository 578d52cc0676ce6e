// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IStrategy, OperatorSet} from "./external/IEigenLayer.sol";

/// @notice The mandate's numbers in force.
struct Params {
    uint8 k; // slasher groups that may misbehave together
    uint16 marginBps; // b
    uint16 haircutBps; // h, for the staking token itself
    uint16 bufferBps; // idle kept for instant exits, <= 5 %
    uint16 instantFeeBps; // 10 to 30
    uint16 quarantineBps; // part of a group's exposure whose slashing quarantines it
    uint88 cap; // largest V (wei)
}

/// @notice What the tier has at EigenLayer now, and what could be taken from it.
struct Observation {
    uint256 staked; // wei, all agents, their withdrawal queues included
    uint256 queued; // wei of that in EigenLayer's withdrawal queue
    uint256 exposed; // L_k in wei·1e9: the k largest groups and all unapproved sets
    uint256 exposedAtTarget; // wei·1e9, as `exposed`, with the larger of now and target for sets not quarantined
    uint256 weightAtTarget; // bps·1e9: the k largest rho and all unapproved sets
    uint256 exitBlocks; // EigenLayer's withdrawal delay and the longest veto window
    uint256 slashedAgents; // bit i: agent i was slashed since the last sync
    Params params;
}

/// @notice A mandate: all that a tier may do.
struct Terms {
    Params params;
    uint32 releases; // bit s: operator set s leaves quarantine
    SetTerms[] sets;
    AgentTerms[] agents;
}

/// @notice An operator set that the tier may allocate to.
struct SetTerms {
    OperatorSet operatorSet;
    uint8 category; // 1 data availability, 2 oracle, 3 bridge, 4 coprocessor, 5 proof of location, 0 other
    address slasher; // the slasher that the curator has approved
    bool redistributing; // explicit word for sets that pay slashed funds to somebody
    uint32 vetoBlocks; // longest veto window of the slasher; lengthens the junior's exit
}

/// @notice Part of one agent: its weight and its target magnitudes.
struct AgentTerms {
    address agent;
    uint16 weightBps; // of the tier's value
    Target[] targets;
}

/// @notice Target magnitude (WAD) of an agent in `sets[set]` of the same Terms.
struct Target {
    uint8 set;
    uint64 magnitude;
}

/// @title Types, events and errors of {IRiskManager}
interface IRiskTypes {
    /// @notice An agent as cached.
    struct AgentState {
        address account;
        address nodeOperator;
        uint16 weightBps;
        uint8 links;
        uint8 exits;
        uint40 lastUnbond;
        uint128 stake; // deposit shares times scaling factor, before slashing
        uint64 magnitude; // maxMagnitude when last seen (WAD)
        bool quarantined; // has an allocation to a quarantined set
    }

    /// @notice What unbonding goes by. `stake` is worth that much without the withdrawal queue (wei, rounded down): the agent's
    /// part of one conversion for all, so up to a wei below `stakeOf`.
    struct Standing {
        address account;
        uint16 weightBps;
        uint8 exits;
        uint40 lastUnbond;
        uint256 stake;
    }

    /// @notice Allocation of one agent to one operator set as EigenLayer last confirmed it.
    struct Link {
        uint64 current; // WAD
        uint64 pending; // size of a pending decrease (WAD)
        uint32 effectBlock;
        uint32 slashCount;
        uint64 target; // the mandate's
    }

    /// @notice One queued withdrawal of an agent.
    struct Exit {
        uint128 scaled; // scaled shares
        uint32 startBlock;
        uint64 magnitude; // maxMagnitude at startBlock + delay, once `settled`
        uint24 nonce;
        bool settled;
        bool tokensOnly; // started by the unwind ladder: may not go back into shares
    }

    /// @notice An operator set as cached.
    struct SetState {
        OperatorSet operatorSet;
        uint8 category;
        uint8 group;
        bool allowed; // in the mandate
        bool redistributing;
        bool unapproved;
        bool quarantined;
        uint32 vetoBlocks;
        address approvedSlasher;
        address seenSlasher;
        address pendingSlasher;
        uint40 seenAt;
    }

    /// @notice What each slasher group could take. Arrays are indexed by group (32 entries).
    struct Exposures {
        uint256[] current; // E_a, wei·1e9
        uint256 unapproved; // wei·1e9, on top of the k largest
        uint256 largest; // sum of the k largest plus unapproved = L_k
        uint256 worst; // bit a: group a is one of the k largest
        uint256[] settled; // forward only: the part of `current` in sets with a pending decrease, wei·1e9
    }

    /// @notice A slash was found and attributed: `taken` magnitude (WAD) of the agent, worth `value` wei then.
    event SlashAttributed(
        uint256 indexed lossId,
        uint256 indexed agent,
        uint256 indexed set,
        uint8 group,
        uint256 taken,
        uint256 value,
        bool estimated
    );
    /// @notice A set was looked at again.
    event SetPoked(uint256 indexed set, address slasher, address pendingSlasher, bool unapproved);
    /// @notice A set was quarantined (or released by a mandate).
    event QuarantineChanged(uint256 indexed set, bool quarantined);
    /// @notice A set joined a group.
    event GroupChanged(uint256 indexed set, uint8 group);
    /// @notice An operator set is known to the tier.
    event SetAdded(uint256 indexed set, address indexed avs, uint32 id, uint8 category, address slasher);
    /// @notice An allocation was read from EigenLayer and stored.
    event AllocationRecorded(
        uint256 indexed agent, uint256 indexed set, uint64 current, uint64 pending, uint32 effectBlock
    );
    /// @notice An agent's stake was read from EigenLayer and stored.
    event StakeRecorded(uint256 indexed agent, uint128 stake);
    /// @notice A withdrawal of an agent was queued.
    event ExitQueued(uint256 indexed agent, uint128 scaled, uint32 startBlock, uint24 nonce, bool tokensOnly);
    /// @notice A withdrawal of an agent left the queue.
    event ExitRemoved(uint256 indexed agent, uint24 nonce);
    /// @notice An agent joined the tier.
    event AgentAdded(uint256 indexed agent, address account, address nodeOperator);
    /// @notice An agent has another node operator.
    event NodeOperatorRecorded(uint256 indexed agent, address nodeOperator);
    /// @notice An agent that had nothing left the tier.
    event AgentRemoved(uint256 indexed agent, address account);
    /// @notice The mandate's numbers changed.
    event ParamsChanged(Params params);
    /// @notice A mandate set an agent's weight (bps of what is restaked).
    event WeightChanged(uint256 indexed agent, uint16 weightBps);
    /// @notice A mandate set the target magnitude (WAD) of an agent in a set.
    event TargetChanged(uint256 indexed agent, uint256 indexed set, uint64 magnitude);

    /// @notice The caller may not do this.
    error NotAuthorised(address caller);
    /// @notice No such agent, set, link or exit.
    error UnknownIndex(uint256 index);
    /// @notice A bound is reached: agents 8, links 8 per agent, sets 32, exits 16 per agent.
    error TooMany(uint256 bound);
    /// @notice The set has no slasher, another one than approved, or one to come that is not approved.
    error SlasherNotApproved(address avs, uint32 id, address seen, address pending);
    /// @notice The set redistributes and the mandate does not say that it may.
    error Redistributing(address avs, uint32 id);
    /// @notice An agent that still has stake, exits or allocations cannot be removed.
    error AgentInUse(uint256 agent);
    /// @notice The mandate's numbers are out of bounds.
    error InvalidTerms();
}

/// @title What could be taken from a tier
/// @notice Keeps the tier's view of EigenLayer: agents with their stake and withdrawal queue, operator sets with their
/// slashers and groups, allocations as EigenLayer last confirmed them. It detects slashes, attributes them, and answers
/// how much each slasher group could take: E_a = sum over agents of A_i·e_ia (SPEC section 4). Only the tier's managers
/// write to it.
interface IRiskManager is IRiskTypes {
    // ---- Tier
    /// @notice Reads EigenLayer, books slashes in the caches (as loss `lossId`), pokes what is older than three days. Only
    /// Tier. Without `entry`, `exposedAtTarget` may be left out (0).
    function refresh(uint256 lossId, bool entry) external returns (Observation memory);

    // ---- Mandate
    /// @notice Puts terms in force. Only Mandate, lock held.
    function apply_(Terms calldata terms) external;

    // ---- StakeManager and Allocator, lock held
    /// @notice Re-reads an agent's deposit shares and scaling factor.
    function recordStake(uint256 agent) external;

    /// @notice Notes a queued withdrawal (an unbonding batch unless `tokensOnly`) and re-reads the agent's stake.
    function recordExit(uint256 agent, uint128 scaled, uint32 startBlock, uint24 nonce, bool tokensOnly) external;

    /// @notice Forgets a completed withdrawal and re-reads the agent's stake.
    function removeExit(uint256 agent, uint256 exit) external;

    /// @notice Re-reads one allocation.
    function recordAllocation(uint256 agent, uint256 link) external;

    // ---- anybody
    /// @notice Looks at a set's slashers again and at allocations to it. Anybody.
    function poke(uint256 set) external;

    // ---- roles
    /// @notice Guardian: quarantines all sets of a group.
    function quarantine(uint8 group) external;

    /// @notice Curator: joins two groups for good.
    function merge(uint8 group, uint8 other) external;

    /// @notice Factory: adds an agent.
    function addAgent(address account, address nodeOperator) external returns (uint256 agent);

    /// @notice An agent: notes its own node operator of now. Reverts NotAuthorised for anybody else.
    function recordNodeOperator() external;

    /// @notice Curator: removes an agent that has nothing.
    function removeAgent(uint256 agent) external;

    // ---- views
    /// @notice What `refresh` would return now.
    function observe() external view returns (Observation memory);

    /// @notice What each group could take now; `forward` counts pending decreases as done.
    function exposures(bool forward) external view returns (Exposures memory);

    /// @notice Largest senior deposit that cover allows: room, or less (wei), with the quarantine that a sync now would
    /// decide. SPEC section 4.
    function seniorLimit(uint256 cover, uint256 value, uint256 idleToDeploy, uint256 room)
        external
        view
        returns (uint256);

    /// @notice Whether a senior deposit of `assets` is covered; the same integers as `seniorLimit`.
    function seniorFits(uint256 cover, uint256 value, uint256 idleToDeploy, uint256 assets) external view returns (bool);

    /// @notice Largest amount (wei) that cover allows to restake with an agent, at most `room`, with the quarantine that a
    /// sync now would decide; 0 for an agent that is unfit then.
    function deployLimit(uint256 agent, uint256 cover, uint256 value, uint256 room) external view returns (uint256);

    /// @notice Whether restaking `assets` with an agent is covered; the same integers as `deployLimit`. `exposed` is L_k as
    /// observed now (wei·1e9).
    function deployFits(uint256 agent, uint256 cover, uint256 value, uint256 exposed, uint256 assets)
        external
        view
        returns (bool);

    /// @notice What unbonding goes by, of each agent.
    function standings() external view returns (Standing[] memory);

    /// @notice The stakes of `standings` alone (wei).
    function stakes() external view returns (uint256[] memory);

    /// @notice Value (wei, rounded down) of one agent's stake without its withdrawal queue. Reverts UnknownIndex.
    function stakeOf(uint256 agent) external view returns (uint256);

    /// @notice The mandate's numbers in force.
    function params() external view returns (Params memory);

    /// @notice Number of agent positions, those of removed agents included.
    function agentCount() external view returns (uint256);

    /// @notice Number of operator sets that the tier has ever known.
    function setCount() external view returns (uint256);

    /// @notice An agent as cached. Reverts UnknownIndex.
    function agent(uint256 index) external view returns (AgentState memory);

    /// @notice Position of an agent. Reverts NotAuthorised if `account` is none of this tier.
    function agentIndex(address account) external view returns (uint256);

    /// @notice An allocation as cached, with the position of its set. Reverts UnknownIndex.
    function link(uint256 agent, uint256 index) external view returns (uint256 set, Link memory);

    /// @notice A queued withdrawal. Positions change when another one is removed. Reverts UnknownIndex.
    function exit(uint256 agent, uint256 index) external view returns (Exit memory);

    /// @notice An operator set as cached. Reverts UnknownIndex.
    function set(uint256 index) external view returns (SetState memory);

    /// @notice Position of an operator set, if the tier knows it.
    function setIndex(address avs, uint32 id) external view returns (bool known, uint256 index);

    /// @notice EigenLayer's strategy that all agents use.
    function strategy() external view returns (IStrategy);

    /// @notice EigenLayer's withdrawal delay (blocks).
    function withdrawalDelay() external view returns (uint32);

    /// @notice Longest veto window of a set in the mandate (blocks).
    function vetoBlocks() external view returns (uint32);

    /// @notice Time until which every allocated set counts as looked at.
    function freshUntil() external view returns (uint40);
}
