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
import {IRiskTypes} from "../../interfaces/IRiskManager.sol";
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
        uint16 weightBps;
        uint8 links;
        uint8 exits;
        uint40 lastUnbond;
        // slot 1
        uint128 stake;
        uint64 magnitude;
        uint64 sets; // 8 x uint8: set of each link
        // slots 2 and 3: 8 x uint32, fractions e of the agent in 1e-9, live and max(live, target)
        uint256 live;
        uint256 star;
        // slot 4
        address nodeOperator;
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
        uint256 groups; // 32 x uint8: group of each set
        ITier tier;
        uint40 freshUntil;
        uint32 vetoBlocks;
        IStrategy strategy;
        mapping(uint256 agent => Agent) agents;
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
        ITier.Parts memory p = _store().tier.parts();
        if (msg.sender != p.stakes && msg.sender != p.allocator) revert NotAuthorised(msg.sender);
        _;
    }

    /// @dev Both exposure words of an agent at magnitude `m`, from EigenLayer (`fresh`) or from the stored links.
    function _words(Store storage $, uint256 index, uint256 m, bool fresh)
        internal
        view
        returns (uint256 live, uint256 star)
    {
        uint256 count = $.agents[index].links;
        for (uint256 j; j < count; ++j) {
            Link memory x = fresh ? _read($, index, j) : $.links[index][j];
            uint256 e = Exposure.fraction(x.current, m);
            live |= e << (32 * j);
            if (!_bit($.config.quarantined | $.config.unapproved, _byte($.agents[index].sets, j))) {
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
        Link memory x = _read($, index, j);
        $.links[index][j] = x;
        emit AllocationRecorded(index, _byte($.agents[index].sets, j), x.current, x.pending, x.effectBlock);
    }

    /// @dev Writes both exposure words of an agent from its stored links.
    function _packAgent(Store storage $, uint256 index) internal {
        Agent storage a = $.agents[index];
        (a.live, a.star) = _words($, index, a.magnitude, false);
    }

    function _packAll(Store storage $) internal {
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
