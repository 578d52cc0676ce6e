// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {
    AccessManagedUpgradeable
} from "@openzeppelin/contracts-upgradeable/access/manager/AccessManagedUpgradeable.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Address} from "@openzeppelin/contracts/utils/Address.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {IWETH} from "../../interfaces/external/ILido.sol";
import {IRiskManager, Observation} from "../../interfaces/IRiskManager.sol";
import {IStakingModule} from "../../interfaces/IStakingModule.sol";
import {ITier} from "../../interfaces/ITier.sol";
import {Exposure} from "../../libraries/Exposure.sol";
import {Premium} from "../../libraries/Premium.sol";
import {Waterfall} from "../../libraries/Waterfall.sol";

/// @title What Tier and TierReserve share
/// @notice The books, the lock and the sync. One contract would be too large: the tier delegates its rare calls to the
/// reserve's contract, and both work on this storage. A call syncs in memory, changes that, and commits it once.
abstract contract TierBooks is AccessManagedUpgradeable {
    using SafeERC20 for IWETH;
    using Waterfall for Waterfall.Books;

    uint256 internal constant WAD = 1e18;
    /// @dev A series is retired when its book is below a millionth of its supply: rates stay meaningful above that.
    uint256 private constant RETIREMENT = 1e6;
    uint256 private constant DEFICIT_BPS = 1;
    uint40 private constant DEFICIT_TERM = 14 days;
    uint40 private constant DEFICIT_MAX_TERM = 28 days;

    /// @custom:oz-upgrades-unsafe-allow state-variable-immutable
    IWETH internal immutable WETH;

    /// @dev Packed so that a sync writes three slots. 88 bits of wei are more than all ETH.
    /// @custom:storage-location erc7201:bulkhead.storage.Tier
    struct Store {
        // slot 0
        uint88 reserve;
        uint88 junior;
        uint40 lastSync;
        uint40 unlockAt;
        // slot 1
        uint88 senior;
        uint88 gains;
        uint64 baseRate;
        bool entriesPaused;
        bool moduleHolds; // whether the staking module has anything, which only calls of StakeManager change
        // slot 2
        uint88 idle;
        uint96 utilisation;
        uint40 deficitCloses; // `deficit.closesAt`: 0 spares reading the rest
        uint32 losses;
        // slots 3 to 7
        ITier.Shares seniorShares;
        ITier.Shares juniorShares;
        IRiskManager risk;
        uint96 seed;
        address seniorToken;
        uint88 reserved; // beside the token, which every claim reads
        address juniorToken;
        // rarely read
        IStakingModule module;
        address stakes;
        address allocator;
        address mandate;
        address factory;
        ITier.Deficit deficit;
        mapping(address token => ITier.Retired) retired;
    }

    // keccak256(abi.encode(uint256(keccak256("bulkhead.storage.Tier")) - 1)) & ~bytes32(uint256(0xff))
    bytes32 internal constant STORE = 0xa29ce2f5d7f93f35f7e35e58dcbf30f632757c18b279b5aae06ecc7b36241100;

    /// @dev The transient lock: zero, or the address that holds it.
    bytes32 private constant LOCK = 0xf9230520d26b579cbdf8231ee41f017024927bb345f59c218604172020c87d00;

    /// @custom:oz-upgrades-unsafe-allow constructor
    constructor(IWETH weth) {
        WETH = weth;
        _disableInitializers();
    }

    // ------------------------------------------------------------------------------------------------ lock

    modifier locks() {
        _lock(address(this));
        _;
        _unlock();
    }

    /// @dev For requests and payments, which move no book. Payments come last and do not sync: if they held the lock,
    /// whoever is called by a payment would be shown the rates from before a slash.
    modifier unlocked() {
        if (_holder() != address(0)) revert ITier.Locked();
        _;
    }

    modifier holdsLock(address caller) {
        if (msg.sender != caller) revert ITier.NotAuthorised(msg.sender);
        if (_holder() == address(0)) revert ITier.NotLockHolder(msg.sender);
        _;
    }

    function _holder() internal view returns (address holder) {
        bytes32 slot = LOCK;
        assembly {
            holder := tload(slot)
        }
    }

    function _lock(address holder) internal {
        if (_holder() != address(0)) revert ITier.Locked();
        bytes32 slot = LOCK;
        assembly {
            tstore(slot, holder)
        }
    }

    function _unlock() internal {
        bytes32 slot = LOCK;
        assembly {
            tstore(slot, 0)
        }
    }

    // ------------------------------------------------------------------------------------------------ sync

    /// @dev Syncs in memory; stores what a loss changes besides the books. `asks`: look into the staking module even if it
    /// held nothing so far. `entry`: look at what a senior entry needs.
    function _sync(Store storage $, bool asks, bool entry) internal returns (ITier.Preview memory p) {
        uint256 lossId = uint256($.losses) + 1;
        p.observation = $.risk.refresh(lossId, entry);
        _simulate($, p, asks);
        uint256 lost;
        unchecked {
            lost = p.borne.gains + p.borne.reserve + p.borne.junior + p.borne.senior; // at most what was in the books
        }
        if (lost != 0 || p.observation.slashedAgents != 0) {
            $.losses = uint32(lossId);
            emit ITier.LossBooked(
                lossId,
                p.observation.slashedAgents != 0,
                lost,
                p.borne.gains,
                p.borne.reserve,
                p.borne.junior,
                p.borne.senior
            );
            if (p.seniorRetires) _retire($, true);
            if (p.juniorRetires) _retire($, false);
        }
        if ($.deficitCloses != 0 || p.deficit.closesAt != 0) _storeDeficit($, p.deficit);
    }

    /// @dev Stores the books and U at the end of a call, once.
    function _commit(Store storage $, ITier.Preview memory p) internal {
        Waterfall.Books memory b = p.books;
        uint256 u = _utilisation(p, b.reserve + b.junior);
        p.utilisation = u;
        ($.reserve, $.junior) = (uint88(b.reserve), uint88(b.junior));
        ($.lastSync, $.unlockAt) = (uint40(block.timestamp), p.unlockAt);
        ($.senior, $.gains, $.baseRate) = (uint88(b.senior), uint88(b.gains), uint64(p.baseRate));
        $.moduleHolds = p.loose | p.unstaking != 0;
        ($.idle, $.utilisation) = (uint88(p.idle), uint96(u));
        emit ITier.Synced(
            b.reserve,
            b.junior,
            b.senior,
            b.gains,
            p.vested,
            p.premium,
            p.gained,
            p.baseRate,
            p.unlockAt,
            u,
            p.observation.exposed
        );
    }

    function _storeDeficit(Store storage $, ITier.Deficit memory d) internal {
        ITier.Deficit memory old = $.deficit;
        if (d.closesAt == old.closesAt && d.outstanding == old.outstanding) return;
        ($.deficit, $.deficitCloses) = (d, d.closesAt);
        bool over = old.closesAt != 0 && block.timestamp >= old.closesAt;
        if (over || d.closesAt == 0) emit ITier.DeficitClosed(old.outstanding);
        if (d.closesAt != 0) emit ITier.DeficitOpened(d.outstanding, d.juniorLoss, d.juniorToken, d.closesAt);
    }

    function _retire(Store storage $, bool isSenior) private {
        (address token_, ITier.Shares memory s) =
            isSenior ? ($.seniorToken, $.seniorShares) : ($.juniorToken, $.juniorShares);
        $.retired[token_] = ITier.Retired({supply: s.supply, pot: 0, exists: true});
        if (isSenior) {
            delete $.seniorToken;
            delete $.seniorShares;
        } else {
            delete $.juniorToken;
            delete $.juniorShares;
        }
        emit ITier.SeriesRetired(token_, isSenior, s.supply);
    }

    /// @dev The one function behind sync, previews, limits and oracles (SPEC section 2).
    /// `p` has the observation, the rest is found here.
    function _simulate(Store storage $, ITier.Preview memory p, bool asks) internal view {
        (p.books.reserve, p.books.junior) = ($.reserve, $.junior);
        (p.books.senior, p.books.gains) = ($.senior, $.gains);
        if ($.deficitCloses != 0) p.deficit = $.deficit;
        p.idle = $.idle;
        if (asks || $.moduleHolds) (p.loose, p.unstaking) = $.module.value();
        p.value = p.idle + p.loose + p.unstaking + p.observation.staked;
        uint256 dt = block.timestamp - $.lastSync;
        uint256 u = $.utilisation;
        (uint256 j0, uint256 s0) = (p.books.junior, p.books.senior);
        p.unlockAt = $.unlockAt;

        // 1. gains vest, and the premium for the interval is paid out of the senior's yield
        bool open = p.deficit.closesAt != 0;
        if (p.books.gains != 0) {
            p.vested = Waterfall.vested(p.books.gains, $.lastSync, p.unlockAt, block.timestamp);
            uint256 due;
            unchecked {
                // For as long as gains vested: a premium that ran on would let the senior's rate sink until the next sync.
                // Where all had vested before the last sync the difference wraps, and nothing vests to pay anything from.
                due = Math.min(dt, uint256(p.unlockAt) - $.lastSync);
            }
            due = Premium.due($.baseRate, u, j0, s0, p.books.reserve + j0 + s0, due);
            p.premium = p.books.distribute(p.vested, due, open);
        }
        p.baseRate = Premium.adapt($.baseRate, u, j0, s0, dt);
        if (open && block.timestamp >= p.deficit.closesAt) delete p.deficit;

        // 2. what the chain says against what the books say
        uint256 booked = p.books.total();
        if (p.value > booked) {
            p.gained = p.value - booked;
            p.unlockAt = uint40(p.books.gain(p.gained, p.unlockAt, block.timestamp));
        } else if (p.value < booked) {
            uint256 seniorBefore = p.books.senior;
            p.borne = p.books.lose(booked - p.value);
            _growDeficit($, p, seniorBefore);
            // 3. a series that lost (nearly) everything is retired; what is left of it strengthens the reserve
            if (_dead(p.books.senior, $.seniorShares.supply)) {
                p.seniorRetires = true;
                p.books.reserve += p.books.senior;
                p.books.senior = 0;
            }
            if (_dead(p.books.junior, $.juniorShares.supply)) {
                p.juniorRetires = true;
                p.books.reserve += p.books.junior;
                p.books.junior = 0;
            }
        }
    }

    function _dead(uint256 book, uint256 supply) private pure returns (bool) {
        return supply != 0 && book * RETIREMENT < supply;
    }

    function _growDeficit(Store storage $, ITier.Preview memory p, uint256 seniorBefore) private view {
        uint256 lost = p.borne.senior;
        if (lost == 0) return;
        ITier.Deficit memory d = p.deficit;
        if (d.closesAt == 0) {
            if (lost * Exposure.Q < seniorBefore * DEFICIT_BPS) return;
            d.openedAt = uint40(block.timestamp);
            (d.seniorToken, d.juniorToken) = ($.seniorToken, $.juniorToken);
        }
        d.outstanding += uint128(lost);
        d.juniorLoss += uint128(p.borne.junior);
        d.closesAt = uint40(Math.min(block.timestamp + DEFICIT_TERM, d.openedAt + DEFICIT_MAX_TERM));
    }

    /// @dev U (WAD, rounded up) with some cover.
    function _utilisation(ITier.Preview memory p, uint256 cover) internal pure returns (uint256) {
        Observation memory o = p.observation;
        return Exposure.utilisation(o.exposed, p.books.total(), cover, o.params.marginBps, o.params.haircutBps);
    }

    function _gate(ITier.Preview memory p, uint256 cover) internal pure {
        uint256 u = _utilisation(p, cover);
        if (u > WAD) revert ITier.Uncovered(u);
    }

    // --------------------------------------------------------------------------------------------- helpers

    function _pay(address receiver, uint256 assets, bool asEth) internal {
        if (assets == 0) return;
        if (asEth) {
            WETH.withdraw(assets);
            Address.sendValue(payable(receiver), assets);
        } else {
            WETH.safeTransfer(receiver, assets);
        }
    }

    /// @dev c_dep: cover that new exposure may rely on.
    function _deployableCover(Store storage $, Waterfall.Books memory b) internal view returns (uint256) {
        return b.reserve + b.junior - _queued($.juniorShares, b.junior);
    }

    /// @dev Value of a tranche's queued shares, rounded up.
    function _queued(ITier.Shares memory s, uint256 book) internal pure returns (uint256) {
        return s.queued == 0 ? 0 : Math.mulDiv(s.queued, book, s.supply, Math.Rounding.Ceil);
    }

    function _books(Store storage $) internal view returns (Waterfall.Books memory) {
        return Waterfall.Books({reserve: $.reserve, junior: $.junior, senior: $.senior, gains: $.gains});
    }

    function _tokenOf(Store storage $, bool isSenior) internal view returns (address) {
        return isSenior ? $.seniorToken : $.juniorToken;
    }

    /// @dev Which tranche the caller is the live token of; reverts if none.
    function _live(Store storage $, address caller) internal view returns (bool isSenior) {
        if (caller == $.seniorToken) return true;
        if (caller == $.juniorToken) return false;
        revert ITier.NotAuthorised(caller);
    }

    function _store() internal pure returns (Store storage $) {
        bytes32 slot = STORE;
        assembly {
            $.slot := slot
        }
    }
}
