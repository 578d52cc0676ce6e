// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ERC20Upgradeable} from "@openzeppelin/contracts-upgradeable/token/ERC20/ERC20Upgradeable.sol";
import {
    ERC20PermitUpgradeable
} from "@openzeppelin/contracts-upgradeable/token/ERC20/extensions/ERC20PermitUpgradeable.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {ITier} from "../interfaces/ITier.sol";
import {ITrancheToken} from "../interfaces/ITrancheToken.sol";
import {Queue} from "../libraries/Queue.sol";
import {Waterfall} from "../libraries/Waterfall.sol";

/// @title One series of a tranche
/// @notice See {ITrancheToken}. Escrowed shares lie with the token itself until they are finalised and burned.
contract TrancheToken is ITrancheToken, ERC20PermitUpgradeable, IERC165 {
    using Queue for Queue.State;
    using SafeERC20 for IERC20;

    uint256 private constant MIN_REQUEST = 0.01 ether;
    uint256 private constant BPS = 10_000;
    /// @dev What the largest preview may use: 8 agents with 16 exits and 8 sets each, all slashed, all sets stale.
    uint256 private constant PREVIEW_GAS = 12_000_000;

    /// @custom:storage-location erc7201:bulkhead.storage.TrancheToken
    struct Store {
        ITier tier;
        bool senior;
        uint64 series;
        IERC20 asset;
        Queue.State queue;
        mapping(address controller => mapping(address operator => bool)) operators;
    }

    // keccak256(abi.encode(uint256(keccak256("bulkhead.storage.TrancheToken")) - 1)) & ~bytes32(uint256(0xff))
    bytes32 private constant STORE = 0xf0e2610587f86f438638f47485172eab8dfd0c3ede60bc6a65b4962191ef3300;

    /// @custom:oz-upgrades-unsafe-allow constructor
    constructor() {
        _disableInitializers();
    }

    /// @notice Opens the series. Called once, by the factory.
    function initialize(ITier tier_, bool senior_, uint64 series_, string calldata name_, string calldata symbol_)
        external
        initializer
    {
        __ERC20_init(name_, symbol_);
        __ERC20Permit_init(name_);
        Store storage $ = _store();
        ($.tier, $.senior, $.series) = (tier_, senior_, series_);
        $.asset = IERC20(tier_.asset());
    }

    // --------------------------------------------------------------------------------------------- ERC-4626

    /// @notice Deposits exactly `assets` WETH of the caller for `receiver`; shares rounded down.
    function deposit(uint256 assets, address receiver) external returns (uint256 shares) {
        shares = _store().tier.deposit(assets);
        _enter(assets, shares, receiver);
    }

    /// @notice Mints exactly `shares` for `receiver`; the caller's WETH is rounded up.
    function mint(uint256 shares, address receiver) external returns (uint256 assets) {
        assets = _store().tier.mint(shares);
        _enter(assets, shares, receiver);
    }

    function _enter(uint256 assets, uint256 shares, address receiver) private {
        Store storage $ = _store();
        $.asset.safeTransferFrom(msg.sender, address($.tier), assets);
        _mint(receiver, shares);
        emit Deposit(msg.sender, receiver, assets, shares);
    }

    /// @notice Claims exactly `assets` of the controller's finalised requests, oldest first, in WETH. Never syncs.
    function withdraw(uint256 assets, address receiver, address controller) external returns (uint256 shares) {
        _onlyFor(controller);
        shares = _store().queue.claimAssets(controller, assets);
        emit Withdraw(msg.sender, receiver, controller, assets, shares);
        _store().tier.pay(receiver, assets, false);
    }

    /// @notice Claims exactly `shares` of the controller's finalised requests, oldest first, in WETH. Never syncs.
    function redeem(uint256 shares, address receiver, address controller) external returns (uint256 assets) {
        return _claim(shares, receiver, controller, false);
    }

    /// @inheritdoc ITrancheToken
    function redeemEth(uint256 shares, address receiver, address controller) external returns (uint256 assets) {
        return _claim(shares, receiver, controller, true);
    }

    function _claim(uint256 shares, address receiver, address controller, bool asEth) private returns (uint256 assets) {
        _onlyFor(controller);
        assets = _store().queue.claimShares(controller, shares);
        emit Withdraw(msg.sender, receiver, controller, assets, shares);
        _store().tier.pay(receiver, assets, asEth);
    }

    /// @notice WETH.
    function asset() external view returns (address) {
        return address(_store().asset);
    }

    /// @notice Assets in the tranche's book after a sync (wei), unvested gains left out; as last stored while the tier's
    /// lock is held or where EigenLayer cannot be read; zero once retired. Reverts only InsufficientGas.
    function totalAssets() public view returns (uint256) {
        Store storage $ = _store();
        if (!_isLive()) return 0;
        if ($.tier.locked()) return _storedAssets();
        uint256 available = gasleft() / 64 * 63;
        try $.tier.previewAssets{gas: Math.min(available, PREVIEW_GAS)}($.senior) returns (uint256 assets) {
            return assets;
        } catch {
            // with less gas than a preview may use, the failure says nothing about EigenLayer
            if (available < PREVIEW_GAS) revert InsufficientGas(available, PREVIEW_GAS);
            return _storedAssets();
        }
    }

    function _storedAssets() private view returns (uint256) {
        Waterfall.Books memory b = _store().tier.books();
        return _store().senior ? b.senior : b.junior;
    }

    /// @notice Shares for `assets`, rounded down; one to one while there are none.
    function convertToShares(uint256 assets) public view returns (uint256) {
        return _toShares(assets, Math.Rounding.Floor);
    }

    /// @notice Assets for `shares`, rounded down.
    function convertToAssets(uint256 shares) public view returns (uint256) {
        return _toAssets(shares, Math.Rounding.Floor);
    }

    /// @notice Shares that `deposit` would mint now.
    function previewDeposit(uint256 assets) external view returns (uint256) {
        return _toShares(assets, Math.Rounding.Floor);
    }

    /// @notice Assets that `mint` would take now.
    function previewMint(uint256 shares) external view returns (uint256) {
        return _toAssets(shares, Math.Rounding.Ceil);
    }

    /// @notice Reverts: exits are requested (ERC-7540).
    function previewWithdraw(uint256) external pure returns (uint256) {
        revert NoPreview();
    }

    /// @notice Reverts: exits are requested (ERC-7540).
    function previewRedeem(uint256) external pure returns (uint256) {
        revert NoPreview();
    }

    /// @notice Largest deposit (wei) that passes now; one wei more reverts. Zero where EigenLayer cannot be read.
    function maxDeposit(address) public view returns (uint256) {
        Store storage $ = _store();
        if (!_isLive()) return 0;
        // ERC-4626: must not revert
        try $.tier.maxDeposit($.senior) returns (uint256 assets) {
            return assets;
        } catch {
            return 0;
        }
    }

    /// @notice Largest number of shares that `mint` takes now.
    function maxMint(address) external view returns (uint256) {
        return convertToShares(maxDeposit(address(0)));
    }

    /// @notice Assets that `controller` can claim now (his 32 oldest open requests).
    function maxWithdraw(address controller) external view returns (uint256 assets) {
        (, assets) = _store().queue.claimable(controller);
    }

    /// @notice Shares that `controller` can claim now (his 32 oldest open requests).
    function maxRedeem(address controller) external view returns (uint256 shares) {
        (shares,) = _store().queue.claimable(controller);
    }

    // --------------------------------------------------------------------------------------------- ERC-7540

    /// @inheritdoc ITrancheToken
    function setOperator(address operator, bool approved) external returns (bool) {
        _store().operators[msg.sender][operator] = approved;
        emit OperatorSet(msg.sender, operator, approved);
        return true;
    }

    /// @inheritdoc ITrancheToken
    function isOperator(address controller, address operator) public view returns (bool) {
        return _store().operators[controller][operator];
    }

    /// @inheritdoc ITrancheToken
    function requestRedeem(uint256 shares, address controller, address owner) external returns (uint256 requestId) {
        Store storage $ = _store();
        // nobody may clutter a stranger's list of requests
        if (
            controller != msg.sender && controller != owner && !isOperator(controller, msg.sender)
                && !isOperator(controller, owner)
        ) revert NotController(msg.sender, controller);
        if (shares == 0) revert RequestTooSmall(shares, MIN_REQUEST);
        if (owner != msg.sender && !isOperator(owner, msg.sender)) _spendAllowance(owner, msg.sender, shares);
        bool all = shares == balanceOf(owner);
        _transfer(owner, address(this), shares);
        requestId = $.queue.push(controller, shares);
        (bool live, uint256 value) = $.tier.requested(shares);
        if (!live) revert SeriesRetired(true);
        if (!all && value < MIN_REQUEST) revert RequestTooSmall(shares, MIN_REQUEST);
        emit RedeemRequest(controller, owner, requestId, msg.sender, shares);
    }

    /// @inheritdoc ITrancheToken
    function pendingRedeemRequest(uint256 requestId, address controller) external view returns (uint256) {
        Queue.State storage queue = _store().queue;
        return queue.requests[requestId].controller == controller ? queue.pendingOf(requestId) : 0;
    }

    /// @inheritdoc ITrancheToken
    function claimableRedeemRequest(uint256 requestId, address controller) external view returns (uint256 shares) {
        Queue.State storage queue = _store().queue;
        if (queue.requests[requestId].controller == controller) (shares,) = queue.claimableOf(requestId);
    }

    /// @inheritdoc ITrancheToken
    function finalise(uint256 shares) external returns (uint256 finalised, uint256 assets) {
        Store storage $ = _store();
        (finalised, assets) = $.tier.finalise(shares);
        if (finalised == 0) return (0, 0);
        $.queue.finalise(finalised, assets);
        _burn(address(this), finalised);
        emit Finalised(finalised, assets, $.queue.finalised, $.queue.assets);
    }

    /// @inheritdoc ITrancheToken
    function instantRedeem(uint256 shares, uint256 minAssets, address receiver, bool asEth)
        external
        returns (uint256 assets)
    {
        _burn(msg.sender, shares);
        assets = _store().tier.redeemInstantly(shares, receiver, asEth);
        if (assets < minAssets) revert Slippage(assets, minAssets);
        emit Withdraw(msg.sender, receiver, msg.sender, assets, shares);
    }

    // ------------------------------------------------------------------------------------------- retirement

    /// @inheritdoc ITrancheToken
    function returnRequest(uint256 requestId) external returns (uint256 shares) {
        if (_isLive()) revert SeriesRetired(false);
        address controller;
        (controller, shares) = _store().queue.returnUnfinalised(requestId);
        if (shares == 0) return 0; // used up, or returned before
        _transfer(address(this), controller, shares);
        emit RequestReturned(requestId, controller, shares);
    }

    /// @inheritdoc ITrancheToken
    function redeemRetired(uint256 shares, address receiver, bool asEth) external returns (uint256 assets) {
        if (_isLive()) revert SeriesRetired(false);
        _burn(msg.sender, shares);
        assets = _store().tier.payPot(shares, receiver, asEth);
        emit PotPaid(msg.sender, receiver, shares, assets);
    }

    // ------------------------------------------------------------------------------------------------ views

    /// @inheritdoc ITrancheToken
    function collateralRate() external view returns (uint256) {
        return _toAssets(1e18, Math.Rounding.Floor);
    }

    /// @inheritdoc ITrancheToken
    function maxInstantRedeem() external view returns (uint256) {
        Store storage $ = _store();
        if (!$.senior || !_isLive() || $.tier.locked()) return 0;
        ITier.Preview memory p = $.tier.preview();
        uint256 book = p.books.senior;
        if (p.utilisation > 1e18 || p.deficit.closesAt != 0 || p.seniorRetires || book == 0) return 0;
        uint256 supply = totalSupply();
        uint256 queued = $.queue.pendingShares();
        (uint256 idle,) = $.tier.cash();
        // those who wait are provided for first
        uint256 free = Math.saturatingSub(idle, Math.mulDiv(queued, book, supply, Math.Rounding.Ceil));
        uint256 kept = BPS - p.observation.params.instantFeeBps;
        uint256 shares = Math.min(_most(_most(free, kept, BPS), book, supply), supply - queued);
        // what pays nothing is refused
        return Math.mulDiv(shares, book, supply) * kept / BPS == 0 ? 0 : shares;
    }

    /// @dev The largest y with floor(y·n/d) <= x.
    function _most(uint256 x, uint256 n, uint256 d) private pure returns (uint256) {
        return Math.mulDiv(x + 1, d, n, Math.Rounding.Ceil) - 1;
    }

    /// @inheritdoc ITrancheToken
    function maturedShares(uint256 blockNumber) external view returns (uint256) {
        return _store().queue.maturedShares(blockNumber);
    }

    /// @inheritdoc ITrancheToken
    function queuedShares() external view returns (uint256) {
        return _store().queue.pendingShares();
    }

    /// @inheritdoc ITrancheToken
    function queueTotals() external view returns (uint256 requested, uint256 finalised, uint256 assets) {
        Queue.State storage queue = _store().queue;
        return (queue.requested, queue.finalised, queue.assets);
    }

    /// @inheritdoc ITrancheToken
    function request(uint256 requestId)
        external
        view
        returns (address controller, uint256 blockNumber, uint256 pending, uint256 claimable, uint256 assets)
    {
        Queue.State storage queue = _store().queue;
        Queue.Request storage r = queue.requests[requestId];
        (controller, blockNumber) = (r.controller, r.blockNumber);
        pending = queue.pendingOf(requestId);
        (claimable, assets) = queue.claimableOf(requestId);
    }

    /// @inheritdoc ITrancheToken
    function share() external view returns (address) {
        return address(this);
    }

    /// @inheritdoc ITrancheToken
    function tier() external view returns (address) {
        return address(_store().tier);
    }

    /// @inheritdoc ITrancheToken
    function senior() external view returns (bool) {
        return _store().senior;
    }

    /// @inheritdoc ITrancheToken
    function series() external view returns (uint256) {
        return _store().series;
    }

    /// @notice ERC-165: ERC-7575 share (0x2f0a18c5), ERC-7540 operators (0xe3bc4e65) and redemptions (0x620ee8e4).
    function supportsInterface(bytes4 id) external pure returns (bool) {
        return id == 0x2f0a18c5 || id == 0xe3bc4e65 || id == 0x620ee8e4 || id == type(IERC165).interfaceId;
    }

    /// @notice 18, like WETH.
    function decimals() public pure override(ERC20Upgradeable, IERC20Metadata) returns (uint8) {
        return 18;
    }

    // ---------------------------------------------------------------------------------------------- helpers

    function _isLive() private view returns (bool) {
        Store storage $ = _store();
        return $.tier.token($.senior) == address(this);
    }

    function _onlyFor(address controller) private view {
        if (controller != msg.sender && !isOperator(controller, msg.sender)) {
            revert NotController(msg.sender, controller);
        }
    }

    function _toShares(uint256 assets, Math.Rounding rounding) private view returns (uint256) {
        uint256 supply = totalSupply();
        return supply == 0 ? assets : _divide(assets, supply, totalAssets(), rounding);
    }

    function _toAssets(uint256 shares, Math.Rounding rounding) private view returns (uint256) {
        uint256 supply = totalSupply();
        return supply == 0 ? shares : _divide(shares, totalAssets(), supply, rounding);
    }

    /// @dev No arithmetic divides by a dead tranche.
    function _divide(uint256 x, uint256 y, uint256 by, Math.Rounding rounding) private pure returns (uint256) {
        return by == 0 ? 0 : Math.mulDiv(x, y, by, rounding);
    }

    function _store() private pure returns (Store storage $) {
        bytes32 slot = STORE;
        assembly {
            $.slot := slot
        }
    }
}
