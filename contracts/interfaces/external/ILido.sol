// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @title Minimal interfaces of Lido
/// @notice Only what Bulkhead calls; see docs.lido.fi (contracts Lido and WithdrawalQueueERC721).

/// @notice stETH: a rebasing token whose balances are shares times a rate.
interface ILido is IERC20 {
    /// @notice Stakes the sent ETH and credits shares to the caller; reverts while paused or beyond the stake limit.
    function submit(address referral) external payable returns (uint256 shares);

    /// @notice How much may be staked now; 0 while staking is paused, 2^256-1 without a limit.
    function getCurrentStakeLimit() external view returns (uint256);

    /// @notice Shares of an account.
    function sharesOf(address account) external view returns (uint256);

    /// @notice ETH (wei, rounded down) behind shares.
    function getPooledEthByShares(uint256 shares) external view returns (uint256);

    /// @notice Shares (rounded down) for an amount of ETH.
    function getSharesByPooledEth(uint256 amount) external view returns (uint256);

    /// @notice Moves shares exactly; returns their value.
    function transferShares(address recipient, uint256 shares) external returns (uint256 amount);
}

/// @notice Lido's withdrawal queue.
interface ILidoWithdrawalQueue {
    struct WithdrawalRequestStatus {
        uint256 amountOfStETH;
        uint256 amountOfShares;
        address owner;
        uint256 timestamp;
        bool isFinalized;
        bool isClaimed;
    }

    /// @notice Locks stETH and opens one request per amount; each amount within the queue's limits.
    function requestWithdrawals(uint256[] calldata amounts, address owner) external returns (uint256[] memory ids);

    /// @notice Pays finalised requests of the caller to the caller.
    function claimWithdrawals(uint256[] calldata ids, uint256[] calldata hints) external;

    /// @notice Hints for `claimWithdrawals`; ids ascending.
    function findCheckpointHints(uint256[] calldata ids, uint256 firstIndex, uint256 lastIndex)
        external
        view
        returns (uint256[] memory hints);

    /// @notice Index of the last checkpoint.
    function getLastCheckpointIndex() external view returns (uint256);

    /// @notice Status of requests.
    function getWithdrawalStatus(uint256[] calldata ids)
        external
        view
        returns (WithdrawalRequestStatus[] memory statuses);

    /// @notice Id of the last finalised request.
    function getLastFinalizedRequestId() external view returns (uint256);

    /// @notice Smallest amount of a request (wei of stETH).
    // solhint-disable-next-line func-name-mixedcase
    function MIN_STETH_WITHDRAWAL_AMOUNT() external view returns (uint256);

    /// @notice Largest amount of a request (wei of stETH).
    // solhint-disable-next-line func-name-mixedcase
    function MAX_STETH_WITHDRAWAL_AMOUNT() external view returns (uint256);
}

/// @notice WETH9.
interface IWETH is IERC20 {
    /// @notice Wraps the sent ETH.
    function deposit() external payable;

    /// @notice Unwraps to the caller.
    function withdraw(uint256 amount) external;
}
