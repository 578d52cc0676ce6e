// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title A service's own token, for local chains
/// @notice What an AVS pays with and has staked beside ETH (dual staking). Its owner mints.
contract LocalToken is ERC20, Ownable {
    /// @param initialOwner Who mints.
    /// @param name_ Name.
    /// @param symbol_ Symbol.
    constructor(address initialOwner, string memory name_, string memory symbol_)
        ERC20(name_, symbol_)
        Ownable(initialOwner)
    {}

    /// @notice Mints. Only the owner.
    /// @param to Who receives the tokens.
    /// @param amount Units (wei).
    function mint(address to, uint256 amount) external onlyOwner {
        _mint(to, amount);
    }
}
