// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC4626} from "@openzeppelin/contracts/interfaces/IERC4626.sol";

/// @title One series of a tranche: ERC-20 with permit, ERC-4626 entry, ERC-7540 exit
/// @notice The token is its own vault (`share() == address(this)`), the asset is WETH, the money lies with the tier.
/// Exits are requested, mature, are finalised first in first out, and are then claimed; queued shares earn and bear
/// losses until they are finalised.
interface ITrancheToken is IERC4626 {
    /// @notice ERC-7540: a redemption was requested.
    event RedeemRequest(
        address indexed controller, address indexed owner, uint256 indexed requestId, address sender, uint256 shares
    );
    /// @notice ERC-7540: an operator of a controller was set or removed.
    event OperatorSet(address indexed controller, address indexed operator, bool approved);
    /// @notice Queued shares were finalised: `shares` burned for `assets` set aside.
    event Finalised(uint256 shares, uint256 assets, uint256 cumulativeShares, uint256 cumulativeAssets);
    /// @notice An unfinalised request of a retired series went back to its controller.
    event RequestReturned(uint256 indexed requestId, address indexed controller, uint256 shares);
    /// @notice A holder of a retired series was paid from its pot.
    event PotPaid(address indexed holder, address indexed receiver, uint256 shares, uint256 assets);

    /// @notice ERC-7540 flows have no preview.
    error NoPreview();
    /// @notice The caller is neither the controller (or owner) nor his operator.
    error NotController(address caller, address controller);
    /// @notice Below the smallest request: 0.01 ETH worth of shares unless it is the whole balance.
    error RequestTooSmall(uint256 shares, uint256 minimum);
    /// @notice Fewer shares or assets than the caller asked for at least.
    error Slippage(uint256 got, uint256 wanted);
    /// @notice More than can be claimed.
    error ExceedsClaimable(uint256 requested, uint256 claimable);
    /// @notice The series is (or is not) retired.
    error SeriesRetired(bool retired);
    /// @notice The caller is not the tier or the router.
    error NotAuthorised(address caller);

    /// @notice A preview failed and the caller sent less gas than a preview may use, so nothing can be concluded.
    error InsufficientGas(uint256 available, uint256 needed);

    /// @notice ERC-7575: the share token.
    function share() external view returns (address);

    /// @notice ERC-7540: sets or removes an operator of the caller.
    function setOperator(address operator, bool approved) external returns (bool);

    /// @notice ERC-7540: whether `operator` acts for `controller`.
    function isOperator(address controller, address operator) external view returns (bool);

    /// @notice ERC-7540: queues `shares` of `owner` for `controller`. The caller is the owner, his operator, or spends an
    /// allowance; the controller is the caller or the owner, or has made the caller or the owner his operator. Returns the id of the request (1, 2, …).
    function requestRedeem(uint256 shares, address controller, address owner) external returns (uint256 requestId);

    /// @notice ERC-7540: shares of a request not finalised yet. Zero unless `controller` is its controller.
    function pendingRedeemRequest(uint256 requestId, address controller) external view returns (uint256 shares);

    /// @notice ERC-7540: shares of a request finalised and not claimed.
    function claimableRedeemRequest(uint256 requestId, address controller) external view returns (uint256 shares);

    /// @notice Finalises up to `shares` of the queue; type(uint256).max for all that can be. Anybody.
    function finalise(uint256 shares) external returns (uint256 finalised, uint256 assets);

    /// @notice As `redeem`, paid in ETH.
    function redeemEth(uint256 shares, address receiver, address controller) external returns (uint256 assets);

    /// @notice Senior only: redeems the caller's shares at once, less the fee, for at least `minAssets`, from idle money
    /// that the queued senior shares do not need.
    function instantRedeem(uint256 shares, uint256 minAssets, address receiver, bool asEth)
        external
        returns (uint256 assets);

    /// @notice After retirement: gives the unfinalised part of a request back to its controller. Anybody. Does nothing
    /// where there is none.
    function returnRequest(uint256 requestId) external returns (uint256 shares);

    /// @notice After retirement and the end of the Deficit: burns the caller's shares for their part of the pot.
    function redeemRetired(uint256 shares, address receiver, bool asEth) external returns (uint256 assets);

    /// @notice Assets (wei, rounded down) of 1e18 shares after a sync; the last stored rate while the tier's lock is held
    /// or where EigenLayer cannot be read. One to one while there are no shares. Reverts only InsufficientGas.
    function collateralRate() external view returns (uint256);

    /// @notice Largest number of senior shares that `instantRedeem` would serve now, whoever holds them: it passes, and
    /// one share more reverts. 0 for a junior token.
    function maxInstantRedeem() external view returns (uint256);

    /// @notice Shares queued by `blockNumber` and not finalised.
    function maturedShares(uint256 blockNumber) external view returns (uint256);

    /// @notice Shares queued and not finalised.
    function queuedShares() external view returns (uint256);

    /// @notice Cumulative shares ever requested and finalised, and assets set aside for them.
    function queueTotals() external view returns (uint256 requested, uint256 finalised, uint256 assets);

    /// @notice A request: its controller, block, and shares that are pending and claimable with the assets of these. All
    /// zero once it is claimed completely. Reverts UnknownRequest for ids that were never given.
    function request(uint256 requestId)
        external
        view
        returns (address controller, uint256 blockNumber, uint256 pending, uint256 claimable, uint256 assets);

    /// @notice The tier.
    function tier() external view returns (address);

    /// @notice Whether this is a series of the senior tranche.
    function senior() external view returns (bool);

    /// @notice Number of the series, from 1.
    function series() external view returns (uint256);
}
