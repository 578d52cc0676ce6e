// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IWETH} from "../interfaces/external/ILido.sol";
import {ITierFactory} from "../interfaces/ITierFactory.sol";
import {ITier} from "../interfaces/ITier.sol";
import {ITrancheToken} from "../interfaces/ITrancheToken.sol";

/// @title Entries and exits with native ETH, a least result and a deadline
/// @notice Holds nothing between calls and has no owner; only tokens of the factory's tiers are served, so a foreign
/// contract never gets an approval. A permit that was already used is no reason to fail: the allowance decides.
contract Router {
    using SafeERC20 for IERC20;

    /// @notice An EIP-2612 signature of the caller over the tranche token for the router.
    struct Permit {
        uint256 deadline;
        uint8 v;
        bytes32 r;
        bytes32 s;
    }

    /// @notice The deadline (seconds) has passed.
    error Expired(uint256 deadline, uint256 time);
    /// @notice Less than the caller asked for at least.
    error Slippage(uint256 got, uint256 wanted);
    /// @notice Not a tranche token of this factory's tiers.
    error UnknownToken(address token);

    ITierFactory private immutable FACTORY;
    IWETH private immutable WETH;

    constructor(ITierFactory factory, IWETH weth) {
        FACTORY = factory;
        WETH = weth;
    }

    modifier checks(ITrancheToken token, uint256 deadline) {
        if (block.timestamp > deadline) revert Expired(deadline, block.timestamp);
        address tier = token.tier();
        if (!FACTORY.isTier(tier) || ITier(tier).token(token.senior()) != address(token)) {
            revert UnknownToken(address(token));
        }
        _;
    }

    /// @notice Deposits the sent ETH for `receiver`; at least `minShares` or it reverts Slippage.
    function depositEth(ITrancheToken token, uint256 minShares, address receiver, uint256 deadline)
        external
        payable
        checks(token, deadline)
        returns (uint256 shares)
    {
        WETH.deposit{value: msg.value}();
        shares = _deposit(token, msg.value, minShares, receiver);
    }

    /// @notice Deposits `assets` of the caller's WETH (approved to the router); as `depositEth` otherwise.
    function deposit(ITrancheToken token, uint256 assets, uint256 minShares, address receiver, uint256 deadline)
        external
        checks(token, deadline)
        returns (uint256 shares)
    {
        IERC20(WETH).safeTransferFrom(msg.sender, address(this), assets);
        shares = _deposit(token, assets, minShares, receiver);
    }

    function _deposit(ITrancheToken token, uint256 assets, uint256 minShares, address receiver)
        private
        returns (uint256 shares)
    {
        IERC20(WETH).forceApprove(address(token), assets);
        shares = token.deposit(assets, receiver);
        if (shares < minShares) revert Slippage(shares, minShares);
    }

    /// @notice Redeems the caller's senior shares (approved or permitted to the router) at once from idle, for at least
    /// `minAssets`, in WETH or ETH.
    function instantRedeem(
        ITrancheToken token,
        uint256 shares,
        uint256 minAssets,
        address receiver,
        bool asEth,
        uint256 deadline,
        Permit calldata permit
    ) external checks(token, deadline) returns (uint256 assets) {
        _permit(token, shares, permit);
        IERC20(token).safeTransferFrom(msg.sender, address(this), shares);
        assets = token.instantRedeem(shares, minAssets, receiver, asEth);
    }

    /// @notice Queues the caller's shares for redemption with a permit instead of an approval.
    function requestRedeem(ITrancheToken token, uint256 shares, uint256 deadline, Permit calldata permit)
        external
        checks(token, deadline)
        returns (uint256 requestId)
    {
        _permit(token, shares, permit);
        requestId = token.requestRedeem(shares, msg.sender, msg.sender);
    }

    /// @dev A zero `v` means that there is no permit. A front-run permit has set the same allowance, so a failure of the
    /// call itself decides nothing: the transfer does.
    function _permit(ITrancheToken token, uint256 shares, Permit calldata p) private {
        if (p.v == 0) return;
        try IERC20Permit(address(token)).permit(msg.sender, address(this), shares, p.deadline, p.v, p.r, p.s) {}
            catch {}
    }
}
