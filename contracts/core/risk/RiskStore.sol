// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {
    AccessManagedUpgradeable
} from "@openzeppelin/contracts-upgradeable/access/manager/AccessManagedUpgradeable.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {
    IAllocationManager,
    IDelegationManager,
    IStrategy,
    IStrategyManager,
    OperatorSet
} from "../../interfaces/external/IEigenLayer.sol";
import {IRiskTypes, Observation, Params} from "../../interfaces/IRiskManager.sol";
import {ITier} from "../../interfaces/ITier.sol";
import {Exposure} from "../../libraries/Exposure.sol";

/// @title What RiskManager and RiskConfigurator share
/// @notice The tier's view of EigenLayer and the few functions that write it. One contract would be too large: the
/// manager delegates its rare calls to the configurator, and both work on this storage.
abstract contract RiskStore is IRiskTypes, AccessManagedUpgradeable {
    uint256 internal constant WAD = 1e18;
    uint256 internal constant MAX_AGENTS = 8;
    uint256 internal constant MAX_LINKS = 8;
    uint256 internal constant MAX_SETS = 32;
    uint256 internal constant MAX_EXITS = 16;
    uint256 internal constant MAX_MARGIN = 5_000;
    /// @dev Beyond any loss that a large liquid staking token has had; a larger haircut would hold the junior for good.
    uint256 internal constant MAX_HAIRCUT = 1_000;
    /// @dev 14 days: a longer veto window would hold the junior for longer than a riskier mandate waits.
    uint256 internal constant MAX_VETO = 100_800;
    /// @dev A slasher change has power after 17.5 days and a deallocation needs 14: three days keep us ahead.
    uint40 internal constant FRESHNESS = 3 days;
    /// @dev A group's quarantine score decays to nothing over this time.
    uint256 internal constant SCORE_DECAY = 30 days;

    /// @custom:oz-upgrades-unsafe-allow state-variable-immutable
    IAllocationManager internal immutable ALLOCATIONS;
    /// @custom:oz-upgrades-unsafe-allow state-variable-immutable
    IDelegationManager internal immutable DELEGATION;
    /// @custom:oz-upgrades-unsafe-allow state-variable-immutable
    IStrategyManager internal immutable STRATEGIES;
    /// @custom:oz-upgrades-unsafe-allow state-variable-immutable
    uint32 internal immutable WITHDRAWAL_DELAY;

    /// @dev One slot. `unapproved` and `quarantined` are bitmaps over sets.
    struct Config {
        uint8 k;
        uint16 marginBps;
        uint16 haircutBps;
        uint16 bufferBps;
        uint16 instantFeeBps;
        uint16 quarantineBps;
        uint88 cap;
        uint8 agentCount;
        uint8 setCount;
        uint32 unapproved;
        uint32 quarantined;
    }

    struct Agent {
        // slot 0
        address account;
        uint64 magnitude;
        uint16 weightBps;
        uint8 links;
        uint8 exits;
        // slot 1
        uint128 stake;
        uint64 sets; // 8 x uint8: set of each link
        uint40 lastUnbond;
        // slots 2 and 3: 8 x uint32, fractions e of the agent in 1e-9, live and max(live, target)
        uint256 live;
        uint256 star;
        // slot 4
        address nodeOperator;
    }

    /// @dev What a sync needs of all agents together, in strategy shares: it changes only when something is recorded, so a
    /// sync that finds nothing new only multiplies it by the price.
    struct Totals {
        // slot 0
        uint128 shares; // all
        uint128 exiting; // in EigenLayer's withdrawal queue
        // slot 1
        uint208 exposed; // shares·P: the k largest groups and all unapproved sets
        uint48 weight; // P·Q: the k largest rho and all unapproved sets
        // slot 2
        uint256 exposedAtTarget; // as `exposed`, at max(now, target)
    }

    /// @dev EigenLayer as it is now beside the caches as they were.
    struct Snapshot {
        Config config;
        uint256 groups;
        address[] accounts;
        uint64[] magnitudes;
        uint256[] reach; // A_i: shares that a slash could reach, and 2 for the agent and for each queue entry
        uint256[] live;
        uint256[] star;
        uint256[] sets;
        uint256 shares;
        uint256 exiting;
        uint256 staked; // wei
        uint256 changed; // bitmap of agents
        uint256 nextBlock; // when the next withdrawal leaves the reach of slashes
        bool stale;
    }

    struct Set {
        OperatorSet operatorSet;
        uint8 category;
        bool allowed;
        bool redistributing;
        uint32 vetoBlocks;
        address approved;
        uint40 seenAt;
        address seen;
        address pending;
    }

    struct Score {
        uint128 value; // WAD
        uint40 at;
    }

    /// @custom:storage-location erc7201:bulkhead.storage.RiskManager
    struct Store {
        Config config;
        ITier tier;
        uint40 freshUntil;
        uint32 vetoBlocks;
        bool totalled; // whether the fields from `nextBlock` to `totals` are those of the caches
        IStrategy strategy;
        uint32 nextBlock; // the first block at which a withdrawal must be settled
        address roster; // DataContract: the call that asks EigenLayer for the magnitudes of all agents; none without agents
        // hash of the answer while nobody is slashed: whole, because a slasher chooses magnitudes and could find two of
        // the same shorter hash
        bytes32 magnitudes;
        Totals totals;
        Agent[MAX_AGENTS] agents;
        uint256 groups; // 32 x uint8: group of each set
        address stakes;
        address allocator;
        mapping(uint256 agent => mapping(uint256 link => Link)) links;
        mapping(uint256 agent => mapping(uint256 exit => Exit)) exits;
        mapping(uint256 set => Set) sets;
        mapping(uint256 group => Score) scores;
        mapping(bytes32 key => uint256 indexPlusOne) setIndexes;
        mapping(address account => uint256 indexPlusOne) agentIndexes;
    }

    // keccak256(abi.encode(uint256(keccak256("bulkhead.storage.RiskManager")) - 1)) & ~bytes32(uint256(0xff))
    bytes32 internal constant STORE = 0xa684a70c8675705138fad48c5390b36b0f4dc1fb9d32a1188f1516bdf93a7200;

    /// @custom:oz-upgrades-unsafe-allow constructor
    constructor(IAllocationManager allocations, IDelegationManager delegation, IStrategyManager strategies) {
        ALLOCATIONS = allocations;
        DELEGATION = delegation;
        STRATEGIES = strategies;
        WITHDRAWAL_DELAY = delegation.minWithdrawalDelayBlocks();
        _disableInitializers();
    }

    modifier onlyPart(bool allowed) {
        if (!allowed) revert NotAuthorised(msg.sender);
        _;
    }

    modifier onlyManagers() {
        Store storage $ = _store();
        if (msg.sender != $.stakes && msg.sender != $.allocator) revert NotAuthorised(msg.sender);
        _;
    }

    /// @dev Both exposure words of an agent at magnitude `m`, from EigenLayer (`fresh`) or from the stored links; sets of
    /// the bitmap `held` are not allocated anew, whatever their target.
    function _words(Store storage $, uint256 index, uint256 m, bool fresh, uint256 held)
        internal
        view
        returns (uint256 live, uint256 star)
    {
        uint256 count = $.agents[index].links;
        for (uint256 j; j < count; ++j) {
            Link memory x = fresh ? _read($, index, j) : $.links[index][j];
            uint256 e = Exposure.fraction(x.current, m);
            live |= e << (32 * j);
            if (!_bit(held, _byte($.agents[index].sets, j))) {
                e = Math.max(e, Exposure.fraction(Math.min(x.target, m), m));
            }
            star |= e << (32 * j);
        }
    }

    function _read(Store storage $, uint256 index, uint256 j) internal view returns (Link memory x) {
        OperatorSet memory operatorSet = $.sets[_byte($.agents[index].sets, j)].operatorSet;
        IAllocationManager.Allocation memory a =
            ALLOCATIONS.getAllocation($.agents[index].account, operatorSet, $.strategy);
        x = $.links[index][j];
        x.current = a.currentMagnitude;
        x.pending = a.pendingDiff < 0 ? uint64(uint128(-a.pendingDiff)) : 0;
        x.effectBlock = a.effectBlock;
        x.slashCount = uint32(ALLOCATIONS.getSlashCount(operatorSet));
    }

    function _relink(Store storage $, uint256 index, uint256 j) internal {
        _record($, index, j, _read($, index, j));
    }

    function _record(Store storage $, uint256 index, uint256 j, Link memory x) internal {
        $.links[index][j] = x;
        emit AllocationRecorded(index, _byte($.agents[index].sets, j), x.current, x.pending, x.effectBlock);
    }

    /// @dev Writes both exposure words of an agent from its stored links.
    function _packAgent(Store storage $, uint256 index) internal {
        $.totalled = false;
        Agent storage a = $.agents[index];
        (a.live, a.star) = _words($, index, a.magnitude, false, $.config.quarantined | $.config.unapproved);
    }

    function _packAll(Store storage $) internal {
        $.totalled = false;
        uint256 count = $.config.agentCount;
        for (uint256 i; i < count; ++i) {
            _packAgent($, i);
        }
    }

    function _slashers(Set storage x) internal view returns (address seen, address pending, bool bad) {
        seen = ALLOCATIONS.getSlasher(x.operatorSet);
        (pending,) = ALLOCATIONS.getPendingSlasher(x.operatorSet);
        bad = seen != x.approved || (pending != address(0) && pending != x.approved);
    }

    /// @dev Reads a set's slashers. What is unapproved is quarantined; the caller packs the agents afterwards.
    function _look(Store storage $, uint256 index) internal {
        Set storage x = $.sets[index];
        bool bad;
        (x.seen, x.pending, bad) = _slashers(x);
        x.seenAt = uint40(block.timestamp);
        uint32 bit = uint32(1 << index);
        if (bad) {
            $.config.unapproved |= bit;
            if ($.config.quarantined & bit == 0) {
                $.config.quarantined |= bit;
                emit QuarantineChanged(index, true);
            }
        } else {
            $.config.unapproved &= ~bit;
        }
        emit SetPoked(index, x.seen, x.pending, bad);
    }

    /// @dev Bitmap of the sets that an agent is allocated to, or is meant to be.
    function _allocatedSets(Store storage $) internal view returns (uint256 map) {
        uint256 count = $.config.agentCount;
        for (uint256 i; i < count; ++i) {
            Agent storage a = $.agents[i];
            uint256 numbers = a.sets;
            for (uint256 words = a.live | a.star; words != 0; words >>= 32) {
                if (words & type(uint32).max != 0) map |= 1 << (numbers & 0xff);
                numbers >>= 8;
            }
        }
    }

    function _updateFreshness(Store storage $) internal {
        uint40 until = type(uint40).max;
        uint256 map = _allocatedSets($);
        for (uint256 i; map != 0; map >>= 1) {
            if (map & 1 != 0) {
                uint40 at = $.sets[i].seenAt + FRESHNESS;
                if (at < until) until = at;
            }
            ++i;
        }
        $.freshUntil = until;
    }

    /// @dev Quarantines all sets of a group; the caller packs the agents afterwards.
    function _quarantine(Store storage $, uint8 group) internal {
        uint32 map = $.config.quarantined;
        for (uint256 i; i < $.config.setCount; ++i) {
            if (_byte($.groups, i) != group || _bit(map, i)) continue;
            map |= uint32(1 << i);
            emit QuarantineChanged(i, true);
        }
        $.config.quarantined = map;
    }

    // ----------------------------------------------------------------------------------------- observing

    /// @dev The one summary of both ways to it: through the stored totals and through a snapshot.
    function _summary(Store storage $, Config memory c, Totals memory t, uint256 staked)
        internal
        view
        returns (Observation memory o)
    {
        o.staked = staked;
        if (t.exiting != 0) o.queued = t.exiting * staked / t.shares;
        o.exposed = _inWei(t.shares, staked, t.exposed);
        o.exposedAtTarget = _inWei(t.shares, staked, t.exposedAtTarget);
        o.weightAtTarget = t.weight;
        o.exitBlocks = uint256(WITHDRAWAL_DELAY) + $.vetoBlocks;
        o.params = Params(c.k, c.marginBps, c.haircutBps, c.bufferBps, c.instantFeeBps, c.quarantineBps, c.cap);
    }

    /// @dev Sum over agents of `amounts`·e by group; unapproved sets apart. `words` holds 8 x uint32 an agent.
    function _byGroup(Snapshot memory s, uint256[] memory words, uint256[] memory amounts, uint256 size)
        internal
        pure
        returns (uint256[] memory sums, uint256 extra)
    {
        sums = new uint256[](size);
        uint256 unapproved = s.config.unapproved;
        uint256 groups = s.groups;
        for (uint256 i; i < words.length; ++i) {
            uint256 word = words[i];
            uint256 numbers = s.sets[i];
            uint256 amount = amounts[i];
            if (amount == 0) continue;
            unchecked {
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
    }

    /// @dev Shares·P in wei·P at the price that all shares together have, rounded up. Where there are none, what is counted
    /// is the padding alone: a wei a share.
    function _inWei(uint256 shares, uint256 staked, uint256 exposure) internal pure returns (uint256) {
        if (shares == 0) return exposure;
        unchecked {
            // at most 1e38 shares, twice P and the wei that there are: far below 2^256
            return (exposure * staked + shares - 1) / shares;
        }
    }

    /// @dev Reads an agent's deposit shares and scaling factor.
    function _restake(Store storage $, uint256 index) internal {
        Agent storage a = $.agents[index];
        uint256 deposited = STRATEGIES.stakerDepositShares(a.account, $.strategy);
        uint128 stake = uint128(deposited * DELEGATION.depositScalingFactor(a.account, $.strategy) / WAD);
        a.stake = stake;
        $.totalled = false;
        emit StakeRecorded(index, stake);
    }

    function _magnitudeAt(address account, IStrategy strategy_, uint32 blockNumber) internal view returns (uint256) {
        IStrategy[] memory list = new IStrategy[](1);
        list[0] = strategy_;
        return ALLOCATIONS.getMaxMagnitudesAtBlock(account, list, blockNumber)[0];
    }

    function _index(address account) internal view returns (uint256) {
        uint256 plusOne = _store().agentIndexes[account];
        if (plusOne == 0) revert NotAuthorised(account);
        return plusOne - 1;
    }

    function _agent(Store storage $, uint256 index) internal view returns (Agent storage a) {
        a = $.agents[index];
        if (a.account == address(0)) revert UnknownIndex(index);
    }

    function _byte(uint256 word, uint256 at) internal pure returns (uint256) {
        return (word >> (8 * at)) & 0xff;
    }

    function _word(uint256 word, uint256 at) internal pure returns (uint256) {
        return (word >> (32 * at)) & type(uint32).max;
    }

    function _bit(uint256 map, uint256 at) internal pure returns (bool) {
        return (map >> at) & 1 == 1;
    }

    function _key(address avs, uint32 id) internal pure returns (bytes32) {
        return bytes32((uint256(uint160(avs)) << 32) | id);
    }

    function _store() internal pure returns (Store storage $) {
        bytes32 slot = STORE;
        assembly {
            $.slot := slot
        }
    }
}
