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
/// reserve's contract, and both work on this storage.
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

    /// @custom:storage-location erc7201:bulkhead.storage.Tier
    struct Store {
        uint128 reserve;
        uint128 junior;
        uint128 senior;
        uint128 gains;
        uint40 lastSync;
        uint40 unlockAt;
        uint64 baseRate;
        uint96 utilisation;
        bool entriesPaused;
        uint128 idle;
        ITier.Shares seniorShares;
        ITier.Shares juniorShares;
        address seniorToken;
        uint96 reserved; // beside the token, which every claim reads
        address juniorToken;
        IRiskManager risk;
        IStakingModule module;
        address stakes;
        address allocator;
        address mandate;
        address factory;
        uint96 seed;
        ITier.Deficit deficit;
        uint256 losses;
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

    function _sync(Store storage $) internal returns (Observation memory) {
        uint256 lossId = $.losses + 1;
        ITier.Preview memory p = _simulate($, $.risk.refresh(lossId));
        ($.reserve, $.junior) = (uint128(p.books.reserve), uint128(p.books.junior));
        ($.senior, $.gains) = (uint128(p.books.senior), uint128(p.books.gains));
        ($.lastSync, $.unlockAt, $.baseRate) = (uint40(block.timestamp), p.unlockAt, uint64(p.baseRate));

        uint256 lost;
        unchecked {
            lost = p.borne.gains + p.borne.reserve + p.borne.junior + p.borne.senior; // at most what was in the books
        }
        if (lost != 0 || p.observation.slashedAgents != 0) {
            $.losses = lossId;
            emit ITier.LossBooked(
                lossId,
                p.observation.slashedAgents != 0,
                lost,
                p.borne.gains,
                p.borne.reserve,
                p.borne.junior,
                p.borne.senior
            );
        }
        _storeDeficit($, p.deficit);
        if (p.seniorRetires) _retire($, true);
        if (p.juniorRetires) _retire($, false);
        emit ITier.Synced(
            p.books.reserve,
            p.books.junior,
            p.books.senior,
            p.books.gains,
            p.vested,
            p.premium,
            p.gained,
            p.baseRate,
            p.unlockAt
        );
        return p.observation;
    }

    function _storeDeficit(Store storage $, ITier.Deficit memory d) internal {
        ITier.Deficit memory old = $.deficit;
        if (d.closesAt == old.closesAt && d.outstanding == old.outstanding) return;
        $.deficit = d;
        if (d.closesAt == 0) emit ITier.DeficitClosed(old.outstanding);
        else emit ITier.DeficitOpened(d.outstanding, d.juniorLoss, d.juniorToken, d.closesAt);
    }

    function _retire(Store storage $, bool isSenior) internal {
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
    function _simulate(Store storage $, Observation memory o) internal view returns (ITier.Preview memory p) {
        p.observation = o;
        p.books = _books($);
        p.deficit = $.deficit;
        (p.loose, p.unstaking) = $.module.value();
        p.value = uint256($.idle) + p.loose + p.unstaking + o.staked;
        uint256 dt = block.timestamp - $.lastSync;
        uint256 u = $.utilisation;
        (uint256 j0, uint256 s0) = (p.books.junior, p.books.senior);

        // 1. gains vest, and the premium for the interval is paid out of the senior's yield
        bool open = p.deficit.closesAt != 0;
        p.vested = Waterfall.vested(p.books.gains, $.lastSync, $.unlockAt, block.timestamp);
        uint256 due;
        unchecked {
            // For as long as gains vested: a premium that ran on would let the senior's rate sink until the next sync.
            // Where all had vested before the last sync the difference wraps, and nothing vests to pay anything from.
            due = Math.min(dt, uint256($.unlockAt) - $.lastSync);
        }
        due = Premium.due($.baseRate, u, j0, s0, p.books.reserve + j0 + s0, due);
        p.premium = p.books.distribute(p.vested, due, open);
        p.baseRate = Premium.adapt($.baseRate, u, j0, s0, dt);
        if (open && block.timestamp >= p.deficit.closesAt) delete p.deficit;

        // 2. what the chain says against what the books say
        uint256 booked = p.books.total();
        p.unlockAt = $.unlockAt;
        if (p.value > booked) {
            p.gained = p.value - booked;
            p.unlockAt = uint40(p.books.gain(p.gained, $.unlockAt, block.timestamp));
        } else if (p.value < booked) {
            uint256 seniorBefore = p.books.senior;
            p.borne = p.books.lose(booked - p.value);
            _growDeficit($, p, seniorBefore);
        }

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
        p.utilisation = _utilisation(o, p.books, p.books.reserve + p.books.junior);
    }

    function _dead(uint256 book, uint256 supply) internal pure returns (bool) {
        return supply != 0 && book * RETIREMENT < supply;
    }

    function _growDeficit(Store storage $, ITier.Preview memory p, uint256 seniorBefore) internal view {
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

    function _storeUtilisation(Store storage $, Observation memory o) internal {
        Waterfall.Books memory b = _books($);
        uint256 u = _utilisation(o, b, b.reserve + b.junior);
        $.utilisation = uint96(u);
        emit ITier.UtilisationChanged(u, b.total(), o.exposed);
    }

    /// @dev U (WAD, rounded up) of books with some cover.
    function _utilisation(Observation memory o, Waterfall.Books memory b, uint256 cover)
        internal
        pure
        returns (uint256)
    {
        return Exposure.utilisation(o.exposed, b.total(), cover, o.params.marginBps, o.params.haircutBps);
    }

    function _juniorLimit(Observation memory o, Waterfall.Books memory b) internal pure returns (uint256) {
        uint256 cover = b.reserve + b.junior;
        return Exposure.juniorLimit(o.exposed, b.total(), cover, o.params.marginBps, o.params.haircutBps);
    }

    function _gate(Store storage $, Observation memory o, uint256 cover) internal view {
        uint256 u = _utilisation(o, _books($), cover);
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

    function _queuedJunior(Store storage $, uint256 book) internal view returns (uint256) {
        ITier.Shares memory s = $.juniorShares;
        return s.queued == 0 ? 0 : Math.mulDiv(s.queued, book, s.supply, Math.Rounding.Ceil);
    }

    function _deployableCover(Store storage $) internal view returns (uint256) {
        return uint256($.reserve) + $.junior - _queuedJunior($, $.junior);
    }

    function _tranche(Store storage $, bool isSenior) internal view returns (uint256 book, uint256 supply) {
        return isSenior ? ($.senior, $.seniorShares.supply) : ($.junior, $.juniorShares.supply);
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
