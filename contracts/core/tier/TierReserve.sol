// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IWETH} from "../../interfaces/external/ILido.sol";
import {IRiskManager, Observation} from "../../interfaces/IRiskManager.sol";
import {IStakingModule} from "../../interfaces/IStakingModule.sol";
import {ITier} from "../../interfaces/ITier.sol";
import {Premium} from "../../libraries/Premium.sol";
import {Waterfall} from "../../libraries/Waterfall.sol";
import {TierBooks} from "./TierBooks.sol";

/// @title The rare calls of Tier: reserve, gifts, compensation, series and pots, pause
/// @notice Tier delegates to it, so storage, money, caller and roles are the tier's; called itself it can do nothing,
/// because it is never initialised.
contract TierReserve is TierBooks {
    using SafeCast for uint256;
    using SafeERC20 for IWETH;
    using Waterfall for Waterfall.Books;

    uint256 private constant MIN_SEED = 0.01 ether;

    /// @custom:oz-upgrades-unsafe-allow constructor
    constructor(IWETH weth) TierBooks(weth) {}

    /// @notice Sets the tier up. Called once, by the factory, which has sent `seed_` wei of WETH here.
    function initialize(
        address authority,
        ITier.Parts calldata p,
        address seniorToken,
        address juniorToken,
        uint96 seed_
    ) external initializer {
        __AccessManaged_init(authority);
        if (seed_ < MIN_SEED || WETH.balanceOf(address(this)) < seed_) revert ITier.InvalidSetup();
        Store storage $ = _store();
        $.risk = IRiskManager(p.risk);
        $.module = IStakingModule(p.stakingModule);
        ($.stakes, $.allocator, $.mandate, $.factory) = (p.stakes, p.allocator, p.mandate, p.factory);
        ($.seniorToken, $.juniorToken) = (seniorToken, juniorToken);
        ($.seed, $.reserve, $.idle) = (seed_, seed_, seed_);
        ($.lastSync, $.unlockAt) = (uint40(block.timestamp), uint40(block.timestamp));
        $.baseRate = uint64(Premium.START_RATE);
        emit ITier.ReserveToppedUp(p.factory, seed_);
        emit ITier.SeriesOpened(seniorToken, true);
        emit ITier.SeriesOpened(juniorToken, false);
    }

    /// @dev WETH unwraps to here.

    /// @notice See {ITier}.
    function topUpReserve(uint256 assets) external locks {
        Store storage $ = _store();
        Observation memory o = _sync($);
        WETH.safeTransferFrom(msg.sender, address(this), assets);
        $.reserve += assets.toUint128();
        $.idle += uint128(assets);
        _storeUtilisation($, o);
        emit ITier.ReserveToppedUp(msg.sender, assets);
    }

    /// @notice See {ITier}.    /// @notice See {ITier}.
    function addGains(uint256 assets) external locks {
        if (assets == 0) revert ITier.ZeroAmount();
        Store storage $ = _store();
        Observation memory o = _sync($);
        WETH.safeTransferFrom(msg.sender, address(this), assets);
        $.idle += assets.toUint128();
        Waterfall.Books memory b = _books($);
        $.unlockAt = uint40(b.gain(assets, $.unlockAt, block.timestamp));
        $.gains = uint128(b.gains);
        _storeUtilisation($, o);
        emit ITier.GainsAdded(msg.sender, assets);
    }

    /// @notice See {ITier}.
    function skimReserve(uint256 assets, address receiver) external restricted locks {
        Store storage $ = _store();
        Observation memory o = _sync($);
        if ($.reserve < assets + $.seed) revert ITier.ReserveBelowSeed($.reserve, $.seed);
        if (assets > $.idle) revert ITier.InsufficientIdle(assets, $.idle);
        $.reserve -= uint128(assets);
        $.idle -= uint128(assets);
        _gate($, o, _deployableCover($));
        _storeUtilisation($, o);
        emit ITier.ReserveSkimmed(receiver, assets);
        WETH.safeTransfer(receiver, assets);
    }

    /// @notice See {ITier}.
    function recover(uint256 assets) external locks {
        Store storage $ = _store();
        Observation memory o = _sync($);
        ITier.Deficit memory d = $.deficit;
        if (d.closesAt == 0) revert ITier.NoDeficit();
        if (assets == 0) revert ITier.ZeroAmount();
        WETH.safeTransferFrom(msg.sender, address(this), assets);
        uint256 toSenior = Math.min(assets, d.outstanding);
        uint256 toJunior = Math.min(assets - toSenior, d.juniorLoss);
        uint256 toReserve = assets - toSenior - toJunior;
        uint256 toPots = _credit($, d.seniorToken, toSenior) + _credit($, d.juniorToken, toJunior);
        $.reserved += uint96(toPots);
        $.idle += uint128(assets - toPots);
        $.reserve += uint128(toReserve);
        d.outstanding -= uint128(toSenior);
        d.juniorLoss -= uint128(toJunior);
        if (d.outstanding == 0 && d.juniorLoss == 0) {
            delete d;
            emit ITier.DeficitClosed(0);
        }
        $.deficit = d;
        _storeUtilisation($, o);
        emit ITier.Recovered(msg.sender, toSenior, toJunior, toReserve);
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

    /// @notice See {ITier}.
    function writeOff() external restricted locks {
        Store storage $ = _store();
        Observation memory o = _sync($);
        ITier.Deficit memory d = $.deficit;
        if (d.closesAt == 0) revert ITier.NoDeficit();
        delete $.deficit;
        emit ITier.DeficitClosed(d.outstanding);
        _storeUtilisation($, o);
    }

    /// @notice See {ITier}.
    function pauseEntries() external restricted {
        _store().entriesPaused = true;
        emit ITier.EntriesPaused(true);
    }

    /// @notice See {ITier}.
    function unpauseEntries() external restricted {
        _store().entriesPaused = false;
        emit ITier.EntriesPaused(false);
    }

    /// @notice See {ITier}.
    function adoptSeries(bool isSenior, address token_) external {
        Store storage $ = _store();
        if (msg.sender != $.factory) revert ITier.NotAuthorised(msg.sender);
        address current = _tokenOf($, isSenior);
        if (current != address(0)) revert ITier.SeriesLive(current);
        if (isSenior) $.seniorToken = token_;
        else $.juniorToken = token_;
        emit ITier.SeriesOpened(token_, isSenior);
    }

    /// @notice See {ITier}.
    function payPot(uint256 shares_, address receiver, bool asEth) external unlocked returns (uint256 assets) {
        Store storage $ = _store();
        ITier.Retired memory r = $.retired[msg.sender];
        if (!r.exists) revert ITier.NotAuthorised(msg.sender);
        uint40 closesAt = $.deficit.closesAt;
        if (closesAt != 0 && block.timestamp < closesAt) revert ITier.DeficitStillOpen(closesAt);
        assets = Math.mulDiv(r.pot, shares_, r.supply);
        $.retired[msg.sender].pot = uint128(r.pot - assets);
        $.retired[msg.sender].supply = uint128(r.supply - shares_);
        $.reserved -= uint96(assets);
        _pay(receiver, assets, asEth);
    }
}
