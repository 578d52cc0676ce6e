// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {
    AccessManagedUpgradeable
} from "@openzeppelin/contracts-upgradeable/access/manager/AccessManagedUpgradeable.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Address} from "@openzeppelin/contracts/utils/Address.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IWETH} from "../interfaces/external/ILido.sol";
import {IRiskManager, Observation} from "../interfaces/IRiskManager.sol";
import {IStakingModule} from "../interfaces/IStakingModule.sol";
import {ITier} from "../interfaces/ITier.sol";
import {ITrancheToken} from "../interfaces/ITrancheToken.sol";
import {Exposure} from "../libraries/Exposure.sol";
import {Premium} from "../libraries/Premium.sol";
import {Waterfall} from "../libraries/Waterfall.sol";

/// @title A tier's books
/// @notice See {ITier}. Every mutating call: take the lock, sync, operate, check the gate where gated, store U, release.
contract Tier is ITier, AccessManagedUpgradeable {
    using SafeCast for uint256;
    using SafeERC20 for IWETH;
    using Waterfall for Waterfall.Books;

    uint256 private constant WAD = 1e18;
    uint256 private constant FIRST_DEPOSIT = 0.01 ether;
    /// @dev Shares that an entry buys at least: rounding then costs it a millionth at most, and nobody who holds all of a
    /// tranche can drive the price of a share up by the rounding of his own entries.
    uint256 private constant MIN_SHARES = 1e6;
    uint256 private constant MIN_SEED = 0.01 ether;
    /// @dev A series is retired when its book is below a millionth of its supply: rates stay meaningful above that.
    uint256 private constant RETIREMENT = 1e6;
    uint256 private constant DEFICIT_BPS = 1;
    uint40 private constant DEFICIT_TERM = 14 days;
    uint40 private constant DEFICIT_MAX_TERM = 28 days;

    /// @custom:oz-upgrades-unsafe-allow state-variable-immutable
    IWETH private immutable WETH;
    /// @custom:oz-upgrades-unsafe-allow state-variable-immutable
    uint32 private immutable SENIOR_EXIT_BLOCKS;
    /// @custom:oz-upgrades-unsafe-allow state-variable-immutable
    uint32 private immutable EXIT_MARGIN_BLOCKS;

    /// @custom:storage-location erc7201:bulkhead.storage.Tier
    struct Store {
        uint128 reserve;
        uint128 junior;
        uint128 senior;
        uint128 gains;
        uint128 idle;
        uint128 reserved;
        uint40 lastSync;
        uint40 unlockAt;
        uint64 baseRate;
        uint96 utilisation;
        bool entriesPaused;
        Shares seniorShares;
        Shares juniorShares;
        address seniorToken;
        address juniorToken;
        IRiskManager risk;
        IStakingModule module;
        address stakes;
        address allocator;
        address mandate;
        address factory;
        uint96 seed;
        Deficit deficit;
        uint256 losses;
        mapping(address token => Retired) retired;
    }

    // keccak256(abi.encode(uint256(keccak256("bulkhead.storage.Tier")) - 1)) & ~bytes32(uint256(0xff))
    bytes32 private constant STORE = 0xa29ce2f5d7f93f35f7e35e58dcbf30f632757c18b279b5aae06ecc7b36241100;

    /// @dev The transient lock: zero, or the address that holds it.
    bytes32 private constant LOCK = 0xf9230520d26b579cbdf8231ee41f017024927bb345f59c218604172020c87d00;

    /// @custom:oz-upgrades-unsafe-allow constructor
    constructor(IWETH weth, uint32 seniorExitBlocks, uint32 exitMarginBlocks) {
        WETH = weth;
        SENIOR_EXIT_BLOCKS = seniorExitBlocks;
        EXIT_MARGIN_BLOCKS = exitMarginBlocks;
        _disableInitializers();
    }

    /// @notice Sets the tier up. Called once, by the factory, which has sent `seed_` wei of WETH here.
    function initialize(address authority, Parts calldata p, address seniorToken, address juniorToken, uint96 seed_)
        external
        initializer
    {
        __AccessManaged_init(authority);
        if (seed_ < MIN_SEED || WETH.balanceOf(address(this)) < seed_) revert InvalidSetup();
        Store storage $ = _store();
        $.risk = IRiskManager(p.risk);
        $.module = IStakingModule(p.stakingModule);
        ($.stakes, $.allocator, $.mandate, $.factory) = (p.stakes, p.allocator, p.mandate, p.factory);
        ($.seniorToken, $.juniorToken) = (seniorToken, juniorToken);
        ($.seed, $.reserve, $.idle) = (seed_, seed_, seed_);
        ($.lastSync, $.unlockAt) = (uint40(block.timestamp), uint40(block.timestamp));
        $.baseRate = uint64(Premium.START_RATE);
        emit ReserveToppedUp(p.factory, seed_);
        emit SeriesOpened(seniorToken, true);
        emit SeriesOpened(juniorToken, false);
    }

    /// @dev WETH unwraps to here.
    receive() external payable {
        if (msg.sender != address(WETH)) revert NotAuthorised(msg.sender);
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
        if (locked()) revert Locked();
        _;
    }

    modifier holdsLock(address caller) {
        if (msg.sender != caller) revert NotAuthorised(msg.sender);
        if (_holder() == address(0)) revert NotLockHolder(msg.sender);
        _;
    }

    function _holder() private view returns (address holder) {
        bytes32 slot = LOCK;
        assembly {
            holder := tload(slot)
        }
    }

    function _lock(address holder) private {
        if (_holder() != address(0)) revert Locked();
        bytes32 slot = LOCK;
        assembly {
            tstore(slot, holder)
        }
    }

    function _unlock() private {
        bytes32 slot = LOCK;
        assembly {
            tstore(slot, 0)
        }
    }

    /// @inheritdoc ITier
    function locked() public view returns (bool) {
        return _holder() != address(0);
    }

    /// @inheritdoc ITier
    function begin() external {
        Store storage $ = _store();
        if (
            msg.sender != $.stakes && msg.sender != $.allocator && msg.sender != $.mandate
                && msg.sender != address($.risk)
        ) revert NotAuthorised(msg.sender);
        _lock(msg.sender);
        _sync($);
    }

    /// @inheritdoc ITier
    function end(bool gated) external {
        if (_holder() != msg.sender) revert NotLockHolder(msg.sender);
        Store storage $ = _store();
        Observation memory o = _sync($);
        if (gated) _gate($, o, _deployableCover($));
        _storeUtilisation($, o);
        _unlock();
    }

    // ------------------------------------------------------------------------------------------------ sync

    /// @inheritdoc ITier
    function sync() external locks {
        Store storage $ = _store();
        _storeUtilisation($, _sync($));
    }

    function _sync(Store storage $) private returns (Observation memory) {
        uint256 lossId = $.losses + 1;
        Preview memory p = _simulate($, $.risk.refresh(lossId));
        ($.reserve, $.junior) = (uint128(p.books.reserve), uint128(p.books.junior));
        ($.senior, $.gains) = (uint128(p.books.senior), uint128(p.books.gains));
        ($.lastSync, $.unlockAt, $.baseRate) = (uint40(block.timestamp), p.unlockAt, uint64(p.baseRate));

        uint256 lost;
        unchecked {
            lost = p.borne.gains + p.borne.reserve + p.borne.junior + p.borne.senior; // at most what was in the books
        }
        if (lost != 0 || p.observation.slashedAgents != 0) {
            $.losses = lossId;
            emit LossBooked(
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
        emit Synced(
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

    function _storeDeficit(Store storage $, Deficit memory d) private {
        Deficit memory old = $.deficit;
        if (d.closesAt == old.closesAt && d.outstanding == old.outstanding) return;
        $.deficit = d;
        if (d.closesAt == 0) emit DeficitClosed(old.outstanding);
        else emit DeficitOpened(d.outstanding, d.juniorLoss, d.juniorToken, d.closesAt);
    }

    function _retire(Store storage $, bool isSenior) private {
        (address token_, Shares memory s) = isSenior ? ($.seniorToken, $.seniorShares) : ($.juniorToken, $.juniorShares);
        $.retired[token_] = Retired({supply: s.supply, pot: 0, exists: true});
        if (isSenior) {
            delete $.seniorToken;
            delete $.seniorShares;
        } else {
            delete $.juniorToken;
            delete $.juniorShares;
        }
        emit SeriesRetired(token_, isSenior, s.supply);
    }

    /// @dev The one function behind sync, previews, limits and oracles (SPEC section 2).
    function _simulate(Store storage $, Observation memory o) private view returns (Preview memory p) {
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

    function _dead(uint256 book, uint256 supply) private pure returns (bool) {
        return supply != 0 && book * RETIREMENT < supply;
    }

    function _growDeficit(Store storage $, Preview memory p, uint256 seniorBefore) private view {
        uint256 lost = p.borne.senior;
        if (lost == 0) return;
        Deficit memory d = p.deficit;
        if (d.closesAt == 0) {
            if (lost * Exposure.Q < seniorBefore * DEFICIT_BPS) return;
            d.openedAt = uint40(block.timestamp);
            (d.seniorToken, d.juniorToken) = ($.seniorToken, $.juniorToken);
        }
        d.outstanding += uint128(lost);
        d.juniorLoss += uint128(p.borne.junior);
        d.closesAt = uint40(Math.min(block.timestamp + DEFICIT_TERM, d.openedAt + DEFICIT_MAX_TERM));
    }

    function _storeUtilisation(Store storage $, Observation memory o) private {
        Waterfall.Books memory b = _books($);
        uint256 u = _utilisation(o, b, b.reserve + b.junior);
        $.utilisation = uint96(u);
        emit UtilisationChanged(u, b.total(), o.exposed);
    }

    /// @dev U (WAD, rounded up) of books with some cover.
    function _utilisation(Observation memory o, Waterfall.Books memory b, uint256 cover)
        private
        pure
        returns (uint256)
    {
        return Exposure.utilisation(o.exposed, b.total(), cover, o.params.marginBps, o.params.haircutBps);
    }

    function _juniorLimit(Observation memory o, Waterfall.Books memory b) private pure returns (uint256) {
        uint256 cover = b.reserve + b.junior;
        return Exposure.juniorLimit(o.exposed, b.total(), cover, o.params.marginBps, o.params.haircutBps);
    }

    function _gate(Store storage $, Observation memory o, uint256 cover) private view {
        uint256 u = _utilisation(o, _books($), cover);
        if (u > WAD) revert Uncovered(u);
    }

    // --------------------------------------------------------------------------------------------- entries

    /// @inheritdoc ITier
    function deposit(uint256 assets) external returns (uint256 shares_) {
        (, shares_) = _enter(assets, false);
    }

    /// @inheritdoc ITier
    function mint(uint256 shares_) external returns (uint256 assets) {
        (assets,) = _enter(shares_, true);
    }

    function _enter(uint256 amount, bool isShares) private locks returns (uint256 assets, uint256 shares_) {
        Store storage $ = _store();
        Observation memory o = _sync($);
        bool isSenior = _live($, msg.sender); // after the sync, which may have retired the very token that calls
        (assets, shares_) = (amount, amount);
        (uint256 book, uint256 supply) = _tranche($, isSenior);
        if (supply != 0) {
            if (isShares) assets = Math.mulDiv(amount, book, supply, Math.Rounding.Ceil);
            else shares_ = Math.mulDiv(amount, supply, book);
        }
        if (shares_ < MIN_SHARES) revert ZeroAmount();
        Waterfall.Books memory b = _books($);
        uint256 value = b.total();
        if (!_open($, isSenior, b.reserve, $.deficit)) revert EntriesClosed();
        uint256 room = Math.saturatingSub(o.params.cap, value);
        bool fits = assets <= room;
        if (fits && isSenior) {
            fits = $.risk.seniorFits(_deployableCover($), value, _deployable($, o, b), assets);
        }
        if (!fits) revert ExceedsDepositLimit(assets, _depositLimit($, o, b, isSenior, room));
        Shares storage s = isSenior ? $.seniorShares : $.juniorShares;
        if (supply == 0 && assets < FIRST_DEPOSIT) revert DepositTooSmall(assets, FIRST_DEPOSIT);
        s.supply += shares_.toUint128();
        if (isSenior) $.senior += uint128(assets);
        else $.junior += uint128(assets);
        $.idle += uint128(assets);
        _storeUtilisation($, o);
    }

    function _open(Store storage $, bool isSenior, uint256 reserve, Deficit memory d) private view returns (bool) {
        // the rounding of restaking falls on the reserve before any yield has come: a thousandth of the seed is let pass
        return !$.entriesPaused && d.closesAt == 0 && (!isSenior || reserve >= $.seed - $.seed / 1_000);
    }

    function _depositLimit(Store storage $, Observation memory o, Waterfall.Books memory b, bool isSenior, uint256 room)
        private
        view
        returns (uint256)
    {
        if (!isSenior || room == 0) return room;
        uint256 cover = b.reserve + b.junior - _queuedJunior($, b.junior);
        return $.risk.seniorLimit(cover, b.total(), _deployable($, o, b), room);
    }

    // ----------------------------------------------------------------------------------------------- exits

    /// @inheritdoc ITier
    function requested(uint256 shares_) external unlocked {
        Store storage $ = _store();
        Shares storage s = _live($, msg.sender) ? $.seniorShares : $.juniorShares;
        s.queued += shares_.toUint128();
    }

    /// @inheritdoc ITier
    function finalise(uint256 shares_) external locks returns (uint256 done, uint256 assets) {
        Store storage $ = _store();
        bool isSenior = _live($, msg.sender);
        Observation memory o = _sync($);
        if (_tokenOf($, isSenior) == msg.sender) {
            uint256 most = _finalisable($, o, _books($), isSenior, $.deficit);
            done = shares_ == type(uint256).max ? most : shares_;
            if (done > most) revert ExceedsFinalisable(done, most);
            if (done != 0) {
                assets = _leave($, isSenior, done, true);
                $.idle -= uint128(assets);
                $.reserved += uint128(assets);
                if (!isSenior) _gate($, o, uint256($.reserve) + $.junior);
            }
        }
        _storeUtilisation($, o);
    }

    /// @dev Takes shares and their assets (rounded down) out of a tranche's book, and a part of an open Deficit.
    function _leave(Store storage $, bool isSenior, uint256 shares_, bool queued) private returns (uint256 assets) {
        (uint256 book, uint256 supply) = _tranche($, isSenior);
        assets = Math.mulDiv(shares_, book, supply);
        Shares storage s = isSenior ? $.seniorShares : $.juniorShares;
        s.supply = uint128(supply - shares_);
        if (queued) s.queued -= uint128(shares_);
        uint256 rest = book - assets;
        if (supply == shares_ && rest != 0) {
            $.reserve += uint128(rest);
            rest = 0;
        }
        if (isSenior) $.senior = uint128(rest);
        else $.junior = uint128(rest);
        if (isSenior && $.deficit.closesAt != 0) {
            $.deficit.outstanding -= uint128(Math.mulDiv($.deficit.outstanding, shares_, supply));
        }
    }

    /// @inheritdoc ITier
    function redeemInstantly(uint256 shares_, address receiver, bool asEth) external locks returns (uint256 assets) {
        Store storage $ = _store();
        if (!_live($, msg.sender)) revert InstantExitClosed();
        Observation memory o = _sync($);
        if (!_instantOpen($, o) || shares_ == 0) revert InstantExitClosed();
        uint256 gross = _leave($, true, shares_, false);
        uint256 fee = Math.mulDiv(gross, o.params.instantFeeBps, Exposure.Q, Math.Rounding.Ceil);
        assets = gross - fee;
        if (assets == 0) revert ZeroAmount();
        if (assets > $.idle) revert InsufficientIdle(assets, $.idle);
        $.idle -= uint128(assets);
        Waterfall.Books memory b = _books($);
        $.unlockAt = uint40(b.gain(fee, $.unlockAt, block.timestamp));
        $.gains = uint128(b.gains);
        _storeUtilisation($, o);
        emit InstantlyRedeemed(msg.sender, shares_, assets, fee);
        _pay(receiver, assets, asEth);
    }

    function _instantOpen(Store storage $, Observation memory o) private view returns (bool) {
        Waterfall.Books memory b = _books($);
        return $.seniorShares.queued == 0 && $.deficit.closesAt == 0 && _utilisation(o, b, b.reserve + b.junior) <= WAD;
    }

    /// @inheritdoc ITier
    function pay(address receiver, uint256 assets, bool asEth) external unlocked {
        Store storage $ = _store();
        if (!$.retired[msg.sender].exists) _live($, msg.sender);
        $.reserved -= uint128(assets);
        _pay(receiver, assets, asEth);
    }

    /// @inheritdoc ITier
    function payPot(uint256 shares_, address receiver, bool asEth) external unlocked returns (uint256 assets) {
        Store storage $ = _store();
        Retired memory r = $.retired[msg.sender];
        if (!r.exists) revert NotAuthorised(msg.sender);
        uint40 closesAt = $.deficit.closesAt;
        if (closesAt != 0 && block.timestamp < closesAt) revert DeficitStillOpen(closesAt);
        assets = Math.mulDiv(r.pot, shares_, r.supply);
        $.retired[msg.sender].pot = uint128(r.pot - assets);
        $.retired[msg.sender].supply = uint128(r.supply - shares_);
        $.reserved -= uint128(assets);
        _pay(receiver, assets, asEth);
    }

    function _pay(address receiver, uint256 assets, bool asEth) private {
        emit Paid(msg.sender, receiver, assets, asEth);
        if (assets == 0) return;
        if (asEth) {
            WETH.withdraw(assets);
            Address.sendValue(payable(receiver), assets);
        } else {
            WETH.safeTransfer(receiver, assets);
        }
    }

    // --------------------------------------------------------------------------------- reserve and Deficit

    /// @inheritdoc ITier
    function topUpReserve(uint256 assets) external locks {
        Store storage $ = _store();
        Observation memory o = _sync($);
        WETH.safeTransferFrom(msg.sender, address(this), assets);
        $.reserve += assets.toUint128();
        $.idle += uint128(assets);
        _storeUtilisation($, o);
        emit ReserveToppedUp(msg.sender, assets);
    }

    /// @inheritdoc ITier
    function skimReserve(uint256 assets, address receiver) external restricted locks {
        Store storage $ = _store();
        Observation memory o = _sync($);
        if ($.reserve < assets + $.seed) revert ReserveBelowSeed($.reserve, $.seed);
        if (assets > $.idle) revert InsufficientIdle(assets, $.idle);
        $.reserve -= uint128(assets);
        $.idle -= uint128(assets);
        _gate($, o, _deployableCover($));
        _storeUtilisation($, o);
        emit ReserveSkimmed(receiver, assets);
        WETH.safeTransfer(receiver, assets);
    }

    /// @inheritdoc ITier
    function recover(uint256 assets) external locks {
        Store storage $ = _store();
        Observation memory o = _sync($);
        Deficit memory d = $.deficit;
        if (d.closesAt == 0) revert NoDeficit();
        if (assets == 0) revert ZeroAmount();
        WETH.safeTransferFrom(msg.sender, address(this), assets);
        uint256 toSenior = Math.min(assets, d.outstanding);
        uint256 toJunior = Math.min(assets - toSenior, d.juniorLoss);
        uint256 toReserve = assets - toSenior - toJunior;
        uint256 toPots = _credit($, d.seniorToken, toSenior) + _credit($, d.juniorToken, toJunior);
        $.reserved += uint128(toPots);
        $.idle += uint128(assets - toPots);
        $.reserve += uint128(toReserve);
        d.outstanding -= uint128(toSenior);
        d.juniorLoss -= uint128(toJunior);
        if (d.outstanding == 0 && d.juniorLoss == 0) {
            delete d;
            emit DeficitClosed(0);
        }
        $.deficit = d;
        _storeUtilisation($, o);
        emit Recovered(msg.sender, toSenior, toJunior, toReserve);
    }

    /// @dev Gives recovered assets to the series that lost them: its book while it lives, its pot afterwards.
    function _credit(Store storage $, address token_, uint256 assets) private returns (uint256 toPot) {
        if (assets == 0) return 0;
        if ($.retired[token_].exists) {
            $.retired[token_].pot += uint128(assets);
            return assets;
        }
        if (token_ == $.seniorToken) $.senior += uint128(assets);
        else $.junior += uint128(assets);
    }

    /// @inheritdoc ITier
    function writeOff() external restricted locks {
        Store storage $ = _store();
        Observation memory o = _sync($);
        Deficit memory d = $.deficit;
        if (d.closesAt == 0) revert NoDeficit();
        delete $.deficit;
        emit DeficitClosed(d.outstanding);
        _storeUtilisation($, o);
    }

    // --------------------------------------------------------------------------------- roles and managers

    /// @inheritdoc ITier
    function pauseEntries() external restricted {
        _store().entriesPaused = true;
        emit EntriesPaused(true);
    }

    /// @inheritdoc ITier
    function unpauseEntries() external restricted {
        _store().entriesPaused = false;
        emit EntriesPaused(false);
    }

    /// @inheritdoc ITier
    function adoptSeries(bool isSenior, address token_) external {
        Store storage $ = _store();
        if (msg.sender != $.factory) revert NotAuthorised(msg.sender);
        address current = _tokenOf($, isSenior);
        if (current != address(0)) revert SeriesLive(current);
        if (isSenior) $.seniorToken = token_;
        else $.juniorToken = token_;
        emit SeriesOpened(token_, isSenior);
    }

    /// @inheritdoc ITier
    function stake(uint256 assets, address agent) external holdsLock(_store().stakes) returns (uint256 tokens) {
        Store storage $ = _store();
        if (assets > $.idle) revert InsufficientIdle(assets, $.idle);
        $.idle -= uint128(assets);
        WETH.withdraw(assets);
        tokens = $.module.stake{value: assets}(agent);
    }

    /// @inheritdoc ITier
    function creditUnstaked(uint256 assets) external holdsLock(address(_store().module)) {
        _store().idle += assets.toUint128();
    }

    // ----------------------------------------------------------------------------------------------- views

    /// @inheritdoc ITier
    function preview() public view returns (Preview memory) {
        Store storage $ = _store();
        return _simulate($, $.risk.observe());
    }

    /// @inheritdoc ITier
    function previewAssets(bool isSenior) external view returns (uint256) {
        Waterfall.Books memory b = preview().books;
        return isSenior ? b.senior : b.junior;
    }

    /// @inheritdoc ITier
    function maxDeposit(bool isSenior) external view returns (uint256) {
        Store storage $ = _store();
        if (_tokenOf($, isSenior) == address(0) || locked()) return 0;
        Preview memory p = preview();
        if (isSenior ? p.seniorRetires : p.juniorRetires) return 0;
        if (!_open($, isSenior, p.books.reserve, p.deficit)) return 0;
        uint256 room = Math.saturatingSub(p.observation.params.cap, p.value);
        return _depositLimit($, p.observation, p.books, isSenior, room);
    }

    /// @inheritdoc ITier
    function finalisable(bool isSenior) external view returns (uint256) {
        Store storage $ = _store();
        if (_tokenOf($, isSenior) == address(0) || locked()) return 0;
        Preview memory p = preview();
        if (isSenior ? p.seniorRetires : p.juniorRetires) return 0;
        return _finalisable($, p.observation, p.books, isSenior, p.deficit);
    }

    /// @inheritdoc ITier
    function books() external view returns (Waterfall.Books memory) {
        return _books(_store());
    }

    /// @inheritdoc ITier
    function cash() external view returns (uint256, uint256) {
        return (_store().idle, _store().reserved);
    }

    /// @inheritdoc ITier
    function status() external view returns (uint256, uint256, uint40, uint40, bool) {
        Store storage $ = _store();
        return ($.utilisation, $.baseRate, $.lastSync, $.unlockAt, $.entriesPaused);
    }

    /// @inheritdoc ITier
    function token(bool isSenior) external view returns (address) {
        return _tokenOf(_store(), isSenior);
    }

    /// @inheritdoc ITier
    function shares(bool isSenior) external view returns (Shares memory) {
        return isSenior ? _store().seniorShares : _store().juniorShares;
    }

    /// @inheritdoc ITier
    function deficit() external view returns (Deficit memory) {
        return _store().deficit;
    }

    /// @inheritdoc ITier
    function retired(address token_) external view returns (Retired memory) {
        return _store().retired[token_];
    }

    /// @inheritdoc ITier
    function parts() external view returns (Parts memory) {
        Store storage $ = _store();
        return Parts(address($.risk), $.stakes, $.allocator, $.mandate, address($.module), $.factory);
    }

    /// @inheritdoc ITier
    function seed() external view returns (uint256) {
        return _store().seed;
    }

    /// @inheritdoc ITier
    function asset() external view returns (address) {
        return address(WETH);
    }

    /// @inheritdoc ITier
    function maturity() public view returns (uint256 seniorBlocks, uint256 juniorBlocks) {
        IRiskManager risk = _store().risk;
        return (SENIOR_EXIT_BLOCKS, uint256(risk.withdrawalDelay()) + EXIT_MARGIN_BLOCKS + risk.vetoBlocks());
    }

    // --------------------------------------------------------------------------------------------- helpers

    function _finalisable(
        Store storage $,
        Observation memory o,
        Waterfall.Books memory b,
        bool isSenior,
        Deficit memory d
    ) private view returns (uint256) {
        Shares memory s = isSenior ? $.seniorShares : $.juniorShares;
        if (s.queued == 0) return 0;
        (uint256 early, uint256 late) = maturity();
        uint256 free = $.idle;
        uint256 wait = late;
        if (isSenior) {
            uint256 value = b.total();
            if (d.closesAt == 0 && Exposure.covered(o.exposed, value, b.reserve + b.junior, 0, o.params.haircutBps)) {
                wait = early;
            }
        } else {
            free = Math.min(Math.saturatingSub(free, _queuedSenior($, b.senior)), _juniorLimit(o, b));
        }
        if (block.number <= wait) return 0;
        uint256 matured = ITrancheToken(isSenior ? $.seniorToken : $.juniorToken).maturedShares(block.number - wait);
        return Math.min(matured, _toShares(free, isSenior ? b.senior : b.junior, s.supply));
    }

    function _toShares(uint256 assets, uint256 book, uint256 supply) private pure returns (uint256) {
        return book == 0 ? supply : Math.mulDiv(assets, supply, book);
    }

    function _maturedJunior(Store storage $) private view returns (uint256) {
        (, uint256 wait) = maturity();
        return block.number <= wait ? 0 : ITrancheToken($.juniorToken).maturedShares(block.number - wait);
    }

    function _queuedSenior(Store storage $, uint256 book) private view returns (uint256) {
        Shares memory s = $.seniorShares;
        return s.queued == 0 ? 0 : Math.mulDiv(s.queued, book, s.supply, Math.Rounding.Ceil);
    }

    function _queuedJunior(Store storage $, uint256 book) private view returns (uint256) {
        Shares memory s = $.juniorShares;
        return s.queued == 0 ? 0 : Math.mulDiv(s.queued, book, s.supply, Math.Rounding.Ceil);
    }

    function _buffer(Observation memory o, Waterfall.Books memory b) private pure returns (uint256) {
        return b.total() * o.params.bufferBps / Exposure.Q;
    }

    /// @dev Idle that no queue and no buffer claims.
    function _deployable(Store storage $, Observation memory o, Waterfall.Books memory b)
        private
        view
        returns (uint256)
    {
        uint256 demand = _queuedSenior($, b.senior) + _buffer(o, b);
        Shares memory s = $.juniorShares;
        if (s.queued != 0 && s.supply != 0) {
            demand += Math.mulDiv(_maturedJunior($), b.junior, s.supply, Math.Rounding.Ceil);
        }
        return Math.saturatingSub($.idle, demand);
    }

    function _deployableCover(Store storage $) private view returns (uint256) {
        return uint256($.reserve) + $.junior - _queuedJunior($, $.junior);
    }

    function _tranche(Store storage $, bool isSenior) private view returns (uint256 book, uint256 supply) {
        return isSenior ? ($.senior, $.seniorShares.supply) : ($.junior, $.juniorShares.supply);
    }

    function _books(Store storage $) private view returns (Waterfall.Books memory) {
        return Waterfall.Books({reserve: $.reserve, junior: $.junior, senior: $.senior, gains: $.gains});
    }

    function _tokenOf(Store storage $, bool isSenior) private view returns (address) {
        return isSenior ? $.seniorToken : $.juniorToken;
    }

    /// @dev Which tranche the caller is the live token of; reverts if none.
    function _live(Store storage $, address caller) private view returns (bool isSenior) {
        if (caller == $.seniorToken) return true;
        if (caller == $.juniorToken) return false;
        revert NotAuthorised(caller);
    }

    function _store() private pure returns (Store storage $) {
        bytes32 slot = STORE;
        assembly {
            $.slot := slot
        }
    }
}
