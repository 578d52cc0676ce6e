// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {IStrategy} from "../../interfaces/external/IEigenLayer.sol";
import {LocalEigenLayer} from "./LocalEigenLayer.sol";

/// @title Local stand-in of an EigenLayer strategy
/// @notice Holds one token for all stakers. A share is worth (balance + 1000) / (totalShares + 1000) tokens; the balance
/// is the token's own word, so donations and rebases move the price.
contract LocalStrategy is IStrategy {
    using SafeERC20 for IERC20;

    /// @dev Virtual shares and tokens against inflation by the first depositor.
    uint256 private constant VIRTUAL = 1e3;
    /// @dev No more shares than this.
    uint256 private constant MAX_TOTAL_SHARES = 1e38 - 1;

    LocalEigenLayer private immutable _book;

    /// @inheritdoc IStrategy
    IERC20 public immutable underlyingToken;

    /// @inheritdoc IStrategy
    uint256 public totalShares;

    /// @notice Only the strategy manager moves funds.
    error OnlyStrategyManager();
    /// @notice Not the token of this strategy.
    error OnlyUnderlyingToken();
    /// @notice The deposit is worth less than one share.
    error NewSharesZero();
    /// @notice More shares than the limit of 1e38 - 1.
    error TotalSharesExceedsMax();
    /// @notice More shares to withdraw than there are.
    error WithdrawalAmountExceedsTotalDeposits();

    modifier onlyStrategyManager() {
        if (msg.sender != address(_book.strategyManager())) revert OnlyStrategyManager();
        _;
    }

    /// @param book The address book.
    /// @param token The token that the strategy holds.
    constructor(LocalEigenLayer book, IERC20 token) {
        _book = book;
        underlyingToken = token;
    }

    /// @notice Counts shares for `amount` tokens that have just arrived; only the strategy manager.
    /// @dev The price before the deposit is the balance less the nominal `amount`, even where a rebasing token brought
    /// a wei less.
    /// @return newShares Rounded down; reverts with `NewSharesZero` at 0.
    function deposit(IERC20 token, uint256 amount) external onlyStrategyManager returns (uint256 newShares) {
        if (token != underlyingToken) revert OnlyUnderlyingToken();
        uint256 supply = totalShares;
        newShares = Math.mulDiv(amount, supply + VIRTUAL, _virtualBalance() - amount);
        if (newShares == 0) revert NewSharesZero();
        totalShares = supply + newShares;
        if (totalShares > MAX_TOTAL_SHARES) revert TotalSharesExceedsMax();
    }

    /// @notice Pays `amountShares` out to `recipient`; only the strategy manager.
    /// @return amount Tokens (rounded down).
    function withdraw(address recipient, IERC20 token, uint256 amountShares)
        external
        onlyStrategyManager
        returns (uint256 amount)
    {
        if (token != underlyingToken) revert OnlyUnderlyingToken();
        uint256 supply = totalShares;
        if (amountShares > supply) revert WithdrawalAmountExceedsTotalDeposits();
        amount = sharesToUnderlyingView(amountShares);
        totalShares = supply - amountShares;
        underlyingToken.safeTransfer(recipient, amount);
    }

    /// @inheritdoc IStrategy
    function underlyingToSharesView(uint256 amount) external view returns (uint256) {
        return Math.mulDiv(amount, totalShares + VIRTUAL, _virtualBalance());
    }

    /// @notice Tokens (rounded down) behind the deposit shares of `user`, before slashing.
    function userUnderlyingView(address user) external view returns (uint256) {
        return sharesToUnderlyingView(shares(user));
    }

    /// @notice Deposit shares of `user`, before slashing.
    function shares(address user) public view returns (uint256) {
        return _book.strategyManager().stakerDepositShares(user, this);
    }

    /// @inheritdoc IStrategy
    function sharesToUnderlyingView(uint256 amountShares) public view returns (uint256) {
        return Math.mulDiv(amountShares, _virtualBalance(), totalShares + VIRTUAL);
    }

    function _virtualBalance() private view returns (uint256) {
        return underlyingToken.balanceOf(address(this)) + VIRTUAL;
    }
}
