// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IWETH} from "../../interfaces/external/ILido.sol";
import {IRiskManager} from "../../interfaces/IRiskManager.sol";
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
        ($.seed, $.reserve, $.idle) = (seed_, uint88(seed_), uint88(seed_));
        ($.lastSync, $.unlockAt) = (uint40(block.timestamp), uint40(block.timestamp));
        $.baseRate = uint64(Premium.START_RATE);
        emit ITier.ReserveToppedUp(p.factory, seed_);
        emit ITier.SeriesOpened(seniorToken, true);
        emit ITier.SeriesOpened(juniorToken, false);
    }

    /// @notice See {ITier}.
    function topUpReserve(uint256 assets) external locks {
        Store storage $ = _store();
        ITier.Preview memory p = _sync($, false, false);
        WETH.safeTransferFrom(msg.sender, address(this), assets);
        p.books.reserve += assets.toUint88();
        p.idle += assets;
        _commit($, p);
        emit ITier.ReserveToppedUp(msg.sender, assets);
    }

    /// @notice See {ITier}.
    function addGains(uint256 assets) external locks {
        if (assets == 0) revert ITier.ZeroAmount();
        Store storage $ = _store();
        ITier.Preview memory p = _sync($, false, false);
        WETH.safeTransferFrom(msg.sender, address(this), assets);
        p.unlockAt = uint40(p.books.gain(assets.toUint88(), p.unlockAt, block.timestamp));
        p.idle += assets;
        _commit($, p);
        emit ITier.GainsAdded(msg.sender, assets);
    }

    /// @notice See {ITier}.
    function skimReserve(uint256 assets, address receiver) external restricted locks {
        Store storage $ = _store();
        ITier.Preview memory p = _sync($, false, false);
        if (p.books.reserve < assets + $.seed) revert ITier.ReserveBelowSeed(p.books.reserve, $.seed);
        if (assets > p.idle) revert ITier.InsufficientIdle(assets, p.idle);
        p.books.reserve -= assets;
        p.idle -= assets;
        _gate(p, _deployableCover($, p.books));
        _commit($, p);
        emit ITier.ReserveSkimmed(receiver, assets);
        WETH.safeTransfer(receiver, assets);
    }

    /// @notice See {ITier}.
    function recover(uint256 assets) external locks {
        Store storage $ = _store();
        ITier.Preview memory p = _sync($, false, false);
        ITier.Deficit memory d = p.deficit;
        if (d.closesAt == 0) revert ITier.NoDeficit();
        if (assets == 0) revert ITier.ZeroAmount();
        WETH.safeTransferFrom(msg.sender, address(this), assets);
        uint256 toSenior = Math.min(assets, d.outstanding);
        uint256 toJunior = Math.min(assets - toSenior, d.juniorLoss);
        uint256 toReserve = assets - toSenior - toJunior;
        uint256 toPots = _credit($, p, d.seniorToken, toSenior) + _credit($, p, d.juniorToken, toJunior);
        $.reserved += toPots.toUint88();
        p.idle += (assets - toPots).toUint88();
        p.books.reserve += toReserve;
        d.outstanding -= uint128(toSenior);
        d.juniorLoss -= uint128(toJunior);
        if (d.outstanding == 0 && d.juniorLoss == 0) {
            delete d;
            emit ITier.DeficitClosed(0);
        }
        ($.deficit, $.deficitCloses) = (d, d.closesAt);
        _commit($, p);
        emit ITier.Recovered(msg.sender, toSenior, toJunior, toReserve);
    }

    /// @dev Gives recovered assets to the series that lost them: its book while it lives, its pot afterwards.
    function _credit(Store storage $, ITier.Preview memory p, address token_, uint256 assets)
        private
        returns (uint256 toPot)
    {
        if (assets == 0) return 0;
        if ($.retired[token_].exists) {
            $.retired[token_].pot += uint128(assets);
            return assets;
        }
        if (token_ == $.seniorToken) p.books.senior += assets;
        else p.books.junior += assets;
    }

    /// @notice See {ITier}.
    function writeOff() external restricted locks {
        Store storage $ = _store();
        ITier.Preview memory p = _sync($, false, false);
        if (p.deficit.closesAt == 0) revert ITier.NoDeficit();
        delete $.deficit;
        delete $.deficitCloses;
        emit ITier.DeficitClosed(p.deficit.outstanding);
        _commit($, p);
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
        uint40 closesAt = $.deficitCloses;
        if (closesAt != 0 && block.timestamp < closesAt) revert ITier.DeficitStillOpen(closesAt);
        assets = Math.mulDiv(r.pot, shares_, r.supply);
        $.retired[msg.sender].pot = uint128(r.pot - assets);
        $.retired[msg.sender].supply = uint128(r.supply - shares_);
        $.reserved -= uint88(assets);
        _pay(receiver, assets, asEth);
    }
}
