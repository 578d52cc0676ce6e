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

    /// @inheritdoc ITier
    function sync() external locks {
        Store storage $ = _store();
        _storeUtilisation($, _sync($));
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
    function requested(uint256 shares_) external unlocked returns (bool live, uint256 value) {
        Store storage $ = _store();
        bool isSenior = msg.sender == $.seniorToken;
        if (!isSenior && msg.sender != $.juniorToken) {
            if ($.retired[msg.sender].exists) return (false, 0);
            revert NotAuthorised(msg.sender);
        }
        (uint256 book, uint256 supply) = _tranche($, isSenior);
        (isSenior ? $.seniorShares : $.juniorShares).queued += shares_.toUint128();
        return (true, Math.mulDiv(shares_, book, supply));
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
                $.reserved += uint96(assets);
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
        uint256 free = Math.saturatingSub($.idle, _queuedSenior($, $.senior));
        uint256 gross = _leave($, true, shares_, false);
        uint256 fee = Math.mulDiv(gross, o.params.instantFeeBps, Exposure.Q, Math.Rounding.Ceil);
        assets = gross - fee;
        if (assets == 0) revert ZeroAmount();
        if (assets > free) revert InsufficientIdle(assets, free);
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
        return $.deficit.closesAt == 0 && _utilisation(o, b, b.reserve + b.junior) <= WAD;
    }

    /// @inheritdoc ITier
    function pay(address receiver, uint256 assets, bool asEth) external unlocked {
        Store storage $ = _store();
        if (msg.sender != $.seniorToken && msg.sender != $.juniorToken && !$.retired[msg.sender].exists) {
            revert NotAuthorised(msg.sender);
        }
        $.reserved -= uint96(assets);
        _pay(receiver, assets, asEth);
    }

    // --------------------------------------------------------------------------------- the tier's managers

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
}
