// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IWETH} from "../interfaces/external/ILido.sol";
import {IRiskManager, Observation} from "../interfaces/IRiskManager.sol";
import {ITier} from "../interfaces/ITier.sol";
import {ITrancheToken} from "../interfaces/ITrancheToken.sol";
import {Delegate} from "../libraries/Delegate.sol";
import {Exposure} from "../libraries/Exposure.sol";
import {Waterfall} from "../libraries/Waterfall.sol";
import {TierBooks} from "./tier/TierBooks.sol";

/// @title A tier's books
/// @notice See {ITier}. Every mutating call: take the lock, sync, operate, check the gate where gated, store U, release.
contract Tier is ITier, TierBooks {
    using SafeCast for uint256;
    using Waterfall for Waterfall.Books;

    uint256 private constant FIRST_DEPOSIT = 0.01 ether;
    /// @dev Shares that an entry buys at least: rounding then costs it a millionth at most, and nobody who holds all of a
    /// tranche can drive the price of a share up by the rounding of his own entries.
    uint256 private constant MIN_SHARES = 1e6;

    /// @custom:oz-upgrades-unsafe-allow state-variable-immutable
    uint32 private immutable SENIOR_EXIT_BLOCKS;
    /// @custom:oz-upgrades-unsafe-allow state-variable-immutable
    uint32 private immutable EXIT_MARGIN_BLOCKS;
    /// @custom:oz-upgrades-unsafe-allow state-variable-immutable
    address private immutable RESERVE;

    /// @custom:oz-upgrades-unsafe-allow constructor
    constructor(IWETH weth, uint32 seniorExitBlocks, uint32 exitMarginBlocks, address reserve) TierBooks(weth) {
        SENIOR_EXIT_BLOCKS = seniorExitBlocks;
        EXIT_MARGIN_BLOCKS = exitMarginBlocks;
        RESERVE = reserve;
    }

    /// @dev WETH unwraps to here.
    receive() external payable {
        if (msg.sender != address(WETH)) revert NotAuthorised(msg.sender);
    }

    // ------------------------------------------------------------------------------ delegated to TierReserve

    /// @custom:oz-upgrades-unsafe-allow delegatecall
    function _delegate() private {
        Delegate.forward(RESERVE);
    }

    /// @notice Sets the tier up. Called once, by the factory, which has sent the seed (wei of WETH) here.
    /// @custom:oz-upgrades-unsafe-allow missing-initializer-call
    function initialize(address, Parts calldata, address, address, uint96) external {
        _delegate();
    }

    /// @inheritdoc ITier
    function topUpReserve(uint256) external {
        _delegate();
    }

    /// @inheritdoc ITier
    function addGains(uint256) external {
        _delegate();
    }

    /// @inheritdoc ITier
    function skimReserve(uint256, address) external {
        _delegate();
    }

    /// @inheritdoc ITier
    function recover(uint256) external {
        _delegate();
    }

    /// @inheritdoc ITier
    function writeOff() external {
        _delegate();
    }

    /// @inheritdoc ITier
    function pauseEntries() external {
        _delegate();
    }

    /// @inheritdoc ITier
    function unpauseEntries() external {
        _delegate();
    }

    /// @inheritdoc ITier
    function adoptSeries(bool, address) external {
        _delegate();
    }

    /// @inheritdoc ITier
    function payPot(uint256, address, bool) external returns (uint256) {
        _delegate();
    }

    // ---------------------------------------------------------------------------------------- lock and sync

    /// @inheritdoc ITier
    function locked() public view returns (bool) {
        return _holder() != address(0);
    }

    /// @inheritdoc ITier
    function begin() external returns (Preview memory p) {
        Store storage $ = _store();
        bool stakes = msg.sender == $.stakes;
        if (!stakes && msg.sender != $.allocator && msg.sender != $.mandate && msg.sender != address($.risk)) {
            revert NotAuthorised(msg.sender);
        }
        _lock(msg.sender);
        p = _sync($, false, false);
        _commit($, p);
        if (stakes) _demand($, p);
    }

    /// @inheritdoc ITier
    function end(bool gated) external {
        if (_holder() != msg.sender) revert NotLockHolder(msg.sender);
        Store storage $ = _store();
        Preview memory p = _sync($, msg.sender == $.stakes, false);
        if (gated) _gate(p, _deployableCover($, p.books));
        _commit($, p);
        _unlock();
    }

    /// @inheritdoc ITier
    function sync() external locks {
        Store storage $ = _store();
        _commit($, _sync($, false, false));
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
        Preview memory p = _sync($, false, msg.sender == $.seniorToken);
        bool isSenior = _live($, msg.sender); // after the sync, which may have retired the very token that calls
        (assets, shares_) = (amount, amount);
        Shares storage s = isSenior ? $.seniorShares : $.juniorShares;
        uint256 supply = s.supply;
        uint256 book = isSenior ? p.books.senior : p.books.junior;
        if (supply != 0) {
            if (isShares) assets = Math.mulDiv(amount, book, supply, Math.Rounding.Ceil);
            else shares_ = Math.mulDiv(amount, supply, book);
        }
        if (shares_ < MIN_SHARES) revert ZeroAmount();
        if (!_open($, p, isSenior)) revert EntriesClosed();
        uint256 room = Math.saturatingSub(p.observation.params.cap, p.value);
        if (isSenior) _demand($, p);
        if (assets > room || (isSenior && !_seniorFits($, p, assets))) {
            revert ExceedsDepositLimit(assets, _depositLimit($, p, isSenior, room));
        }
        if (supply == 0 && assets < FIRST_DEPOSIT) revert DepositTooSmall(assets, FIRST_DEPOSIT);
        s.supply = (supply + shares_).toUint128();
        if (isSenior) p.books.senior = book + assets;
        else p.books.junior = book + assets;
        p.idle += assets;
        _commit($, p);
    }

    function _open(Store storage $, Preview memory p, bool isSenior) private view returns (bool) {
        if ($.entriesPaused || p.deficit.closesAt != 0) return false;
        // the rounding of restaking falls on the reserve before any yield has come: a thousandth of the seed is let pass
        uint256 seed_ = $.seed;
        return !isSenior || p.books.reserve >= seed_ - seed_ / 1_000;
    }

    /// @dev Mostly a bound that needs nothing more from EigenLayer decides; near the limit, the limit's own integers do.
    function _seniorFits(Store storage $, Preview memory p, uint256 assets) private view returns (bool) {
        Observation memory o = p.observation;
        uint256 cover = p.books.reserve + p.books.junior - p.queuedJunior;
        uint256 most = Exposure.seniorBound(
            o.exposedAtTarget, o.weightAtTarget, p.deployable, assets, p.value, o.params.marginBps, o.params.haircutBps
        );
        return most <= Exposure.budget(cover) || $.risk.seniorFits(cover, p.value, p.deployable, assets);
    }

    function _depositLimit(Store storage $, Preview memory p, bool isSenior, uint256 room)
        private
        view
        returns (uint256)
    {
        if (!isSenior || room == 0) return room;
        return $.risk.seniorLimit(p.books.reserve + p.books.junior - p.queuedJunior, p.value, p.deployable, room);
    }

    // ----------------------------------------------------------------------------------------------- exits

    /// @inheritdoc ITier
    function requested(uint256 shares_) external unlocked returns (bool live, uint256 value) {
        Store storage $ = _store();
        bool isSenior = msg.sender == $.seniorToken;
        if (!isSenior && msg.sender != $.juniorToken) {
            if ($.retired[msg.sender].exists) return (false, 0);
            revert NotAuthorised(msg.sender);
        }
        Shares storage s = isSenior ? $.seniorShares : $.juniorShares;
        s.queued += shares_.toUint128();
        return (true, Math.mulDiv(shares_, isSenior ? $.senior : $.junior, s.supply));
    }

    /// @inheritdoc ITier
    function finalise(uint256 shares_) external locks returns (uint256 done, uint256 assets) {
        Store storage $ = _store();
        bool isSenior = _live($, msg.sender);
        Preview memory p = _sync($, false, false);
        if (!(isSenior ? p.seniorRetires : p.juniorRetires)) {
            uint256 most = _finalisable($, p, isSenior);
            done = shares_ == type(uint256).max ? most : shares_;
            if (done > most) revert ExceedsFinalisable(done, most);
            if (done != 0) {
                assets = _leave($, p, isSenior, done, true);
                p.idle -= assets;
                $.reserved += uint88(assets);
                if (!isSenior) _gate(p, p.books.reserve + p.books.junior);
            }
        }
        _commit($, p);
    }

    /// @dev Takes shares and their assets (rounded down) out of a tranche's book, and a part of an open Deficit.
    function _leave(Store storage $, Preview memory p, bool isSenior, uint256 shares_, bool queued)
        private
        returns (uint256 assets)
    {
        Shares storage s = isSenior ? $.seniorShares : $.juniorShares;
        Shares memory own = s;
        uint256 book = isSenior ? p.books.senior : p.books.junior;
        assets = Math.mulDiv(shares_, book, own.supply);
        uint256 rest = book - assets;
        if (own.supply == shares_) {
            p.books.reserve += rest;
            rest = 0;
        }
        if (isSenior) p.books.senior = rest;
        else p.books.junior = rest;
        if (isSenior && p.deficit.closesAt != 0) {
            $.deficit.outstanding -= uint128(Math.mulDiv(p.deficit.outstanding, shares_, own.supply));
        }
        own.supply = uint128(own.supply - shares_);
        if (queued) own.queued -= uint128(shares_);
        (s.supply, s.queued) = (own.supply, own.queued);
    }

    /// @inheritdoc ITier
    function redeemInstantly(uint256 shares_, address receiver, bool asEth) external locks returns (uint256 assets) {
        Store storage $ = _store();
        if (!_live($, msg.sender)) revert InstantExitClosed();
        Preview memory p = _sync($, false, false);
        if (shares_ == 0 || !_instantOpen(p)) revert InstantExitClosed();
        uint256 free = Math.saturatingSub(p.idle, _queued($.seniorShares, p.books.senior));
        uint256 gross = _leave($, p, true, shares_, false);
        uint256 fee = Math.mulDiv(gross, p.observation.params.instantFeeBps, Exposure.Q, Math.Rounding.Ceil);
        assets = gross - fee;
        if (assets == 0) revert ZeroAmount();
        if (assets > free) revert InsufficientIdle(assets, free);
        p.idle -= assets;
        p.unlockAt = uint40(p.books.gain(fee, p.unlockAt, block.timestamp));
        _commit($, p);
        emit InstantlyRedeemed(msg.sender, shares_, assets, fee);
        _pay(receiver, assets, asEth);
    }

    function _instantOpen(Preview memory p) private pure returns (bool) {
        return p.deficit.closesAt == 0 && _utilisation(p, p.books.reserve + p.books.junior) <= WAD;
    }

    /// @inheritdoc ITier
    function pay(address receiver, uint256 assets, bool asEth) external unlocked {
        Store storage $ = _store();
        if (msg.sender != $.seniorToken && msg.sender != $.juniorToken && !$.retired[msg.sender].exists) {
            revert NotAuthorised(msg.sender);
        }
        $.reserved -= assets.toUint88();
        _pay(receiver, assets, asEth);
    }

    // --------------------------------------------------------------------------------- the tier's managers

    /// @inheritdoc ITier
    function stake(uint256 assets, address agent) external holdsLock(_store().stakes) returns (uint256 tokens) {
        Store storage $ = _store();
        if (assets > $.idle) revert InsufficientIdle(assets, $.idle);
        $.idle -= uint88(assets);
        WETH.withdraw(assets);
        tokens = $.module.stake{value: assets}(agent);
    }

    /// @inheritdoc ITier
    function creditUnstaked(uint256 assets) external holdsLock(address(_store().module)) {
        _store().idle += assets.toUint88();
    }

    // ----------------------------------------------------------------------------------------------- views

    /// @inheritdoc ITier
    function preview() external view returns (Preview memory) {
        return _preview(_store());
    }

    function _preview(Store storage $) private view returns (Preview memory p) {
        p.observation = $.risk.observe();
        _simulate($, p, false);
        p.utilisation = _utilisation(p, p.books.reserve + p.books.junior);
        _demand($, p);
    }

    /// @inheritdoc ITier
    function previewAssets(bool isSenior) external view returns (uint256) {
        Store storage $ = _store();
        Preview memory p;
        p.observation = $.risk.observe();
        _simulate($, p, false);
        return isSenior ? p.books.senior : p.books.junior;
    }

    /// @inheritdoc ITier
    function maxDeposit(bool isSenior) external view returns (uint256) {
        Store storage $ = _store();
        if (_tokenOf($, isSenior) == address(0) || locked()) return 0;
        Preview memory p = _preview($);
        if (isSenior ? p.seniorRetires : p.juniorRetires) return 0;
        if (!_open($, p, isSenior)) return 0;
        return _depositLimit($, p, isSenior, Math.saturatingSub(p.observation.params.cap, p.value));
    }

    /// @inheritdoc ITier
    function finalisable(bool isSenior) external view returns (uint256) {
        Store storage $ = _store();
        if (_tokenOf($, isSenior) == address(0) || locked()) return 0;
        Preview memory p = _preview($);
        if (isSenior ? p.seniorRetires : p.juniorRetires) return 0;
        return _finalisable($, p, isSenior);
    }

    /// @inheritdoc ITier
    function books() external view returns (Waterfall.Books memory) {
        return _books(_store());
    }

    /// @inheritdoc ITier
    function cash() external view returns (uint256 idle, uint256 reserved) {
        return (_store().idle, _store().reserved);
    }

    /// @inheritdoc ITier
    function status()
        external
        view
        returns (uint256 utilisation, uint256 baseRate, uint40 lastSync, uint40 unlockAt, bool entriesPaused)
    {
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
    function maturity() external view returns (uint256 seniorBlocks, uint256 juniorBlocks) {
        IRiskManager risk = _store().risk;
        return (SENIOR_EXIT_BLOCKS, uint256(risk.withdrawalDelay()) + EXIT_MARGIN_BLOCKS + risk.vetoBlocks());
    }

    // --------------------------------------------------------------------------------------------- helpers

    function _finalisable(Store storage $, Preview memory p, bool isSenior) private view returns (uint256) {
        Shares memory s = isSenior ? $.seniorShares : $.juniorShares;
        if (s.queued == 0) return 0;
        Observation memory o = p.observation;
        uint256 cover = p.books.reserve + p.books.junior;
        uint256 free = p.idle;
        uint256 wait = o.exitBlocks + EXIT_MARGIN_BLOCKS;
        if (isSenior) {
            if (p.deficit.closesAt == 0 && Exposure.covered(o.exposed, p.value, cover, 0, o.params.haircutBps)) {
                wait = SENIOR_EXIT_BLOCKS;
            }
        } else {
            free = Math.saturatingSub(free, _queued($.seniorShares, p.books.senior));
            free = Math.min(
                free, Exposure.juniorLimit(o.exposed, p.value, cover, o.params.marginBps, o.params.haircutBps)
            );
        }
        uint256 matured = _matured(_tokenOf($, isSenior), wait);
        return Math.min(matured, _toShares(free, isSenior ? p.books.senior : p.books.junior, s.supply));
    }

    function _toShares(uint256 assets, uint256 book, uint256 supply) private pure returns (uint256) {
        return book == 0 ? supply : Math.mulDiv(assets, supply, book);
    }

    function _matured(address token_, uint256 wait) private view returns (uint256) {
        return block.number <= wait ? 0 : ITrancheToken(token_).maturedShares(block.number - wait);
    }

    /// @dev What queues and buffer claim, and the idle that they leave.
    function _demand(Store storage $, Preview memory p) private view {
        Shares memory j = $.juniorShares;
        p.queuedSenior = _queued($.seniorShares, p.books.senior);
        uint256 demand = p.queuedSenior + p.value * p.observation.params.bufferBps / Exposure.Q;
        if (j.queued != 0) {
            p.queuedJunior = _queued(j, p.books.junior);
            uint256 matured = _matured($.juniorToken, p.observation.exitBlocks + EXIT_MARGIN_BLOCKS);
            p.maturedJunior = Math.mulDiv(matured, p.books.junior, j.supply, Math.Rounding.Ceil);
            demand += p.maturedJunior;
        }
        p.deployable = Math.saturatingSub(p.idle, demand);
    }
}
