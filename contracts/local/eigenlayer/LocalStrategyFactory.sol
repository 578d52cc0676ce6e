// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IStrategy, IStrategyFactory} from "../../interfaces/external/IEigenLayer.sol";
import {LocalEigenLayer} from "./LocalEigenLayer.sol";
import {LocalModule} from "./LocalModule.sol";
import {LocalStrategy} from "./LocalStrategy.sol";

/// @title Local stand-in of EigenLayer's StrategyFactory
contract LocalStrategyFactory is LocalModule, IStrategyFactory {
    /// @dev Pause bit of `deployNewStrategy`.
    uint8 private constant PAUSED_NEW_STRATEGIES = 0;

    /// @inheritdoc IStrategyFactory
    mapping(IERC20 token => IStrategy) public deployedStrategies;

    /// @notice `strategy` holds `token` from now on.
    event StrategySetForToken(IERC20 token, IStrategy strategy);

    /// @notice The token has a strategy already.
    error StrategyAlreadyExists();

    /// @param book_ The address book.
    constructor(LocalEigenLayer book_) LocalModule(book_) {}

    /// @inheritdoc IStrategyFactory
    /// @dev Reverts with `StrategyAlreadyExists`.
    function deployNewStrategy(IERC20 token)
        external
        whenNotPaused(PAUSED_NEW_STRATEGIES)
        returns (IStrategy strategy)
    {
        if (address(deployedStrategies[token]) != address(0)) {
            revert StrategyAlreadyExists();
        }
        strategy = new LocalStrategy(book, token);
        deployedStrategies[token] = strategy;
        emit StrategySetForToken(token, strategy);
        IStrategy[] memory strategies = new IStrategy[](1);
        strategies[0] = strategy;
        book.strategyManager().addStrategiesToDepositWhitelist(strategies);
    }
}
