// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ERC4626Upgradeable} from "@openzeppelin/contracts-upgradeable/token/ERC20/extensions/ERC4626Upgradeable.sol";
import {PausableUpgradeable} from "@openzeppelin/contracts-upgradeable/utils/PausableUpgradeable.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ReentrancyGuard} from "@openzeppelin/contracts/utils/ReentrancyGuard.sol";

/// @title A vault that only holds its tokens, measured beside a tier and never shipped
/// @notice OpenZeppelin's ERC-4626 with the least that a vault behind a beacon has: a guard and a pause.
contract PlainVault is ERC4626Upgradeable, PausableUpgradeable, ReentrancyGuard {
    constructor() {
        _disableInitializers();
    }

    /// @notice Opens the vault. Called once.
    function initialize(IERC20 asset_) external initializer {
        __ERC20_init("Plain vault", "PLAIN");
        __ERC4626_init(asset_);
    }

    /// @inheritdoc ERC4626Upgradeable
    function deposit(uint256 assets, address receiver) public override nonReentrant whenNotPaused returns (uint256) {
        return super.deposit(assets, receiver);
    }

    /// @inheritdoc ERC4626Upgradeable
    function redeem(uint256 shares, address receiver, address owner) public override nonReentrant returns (uint256) {
        return super.redeem(shares, receiver, owner);
    }
}
