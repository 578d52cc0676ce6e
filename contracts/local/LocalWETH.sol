// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

import {IWETH} from "../interfaces/external/ILido.sol";

/// @title Wrapped Ether for local chains
/// @notice Behaves as the WETH9 of mainnet where callers can tell: one wei is one wei, nobody owns it, an owner who
/// moves his own tokens with `transferFrom` needs no allowance, any unknown call is a deposit (a call of `permit` does
/// not revert and grants nothing), the supply is the ETH held, and unwrapping forwards only the 2,300 gas stipend. It
/// differs in one point: transfers to and from the zero address revert, as OpenZeppelin's ERC-20 does it.
contract LocalWETH is ERC20, IWETH {
    /// @notice ETH was wrapped.
    /// @param dst Who received the tokens.
    /// @param wad How much (wei).
    event Deposit(address indexed dst, uint256 wad);

    /// @notice ETH was unwrapped.
    /// @param src Whose tokens were burned and who received the ETH.
    /// @param wad How much (wei).
    event Withdrawal(address indexed src, uint256 wad);

    constructor() ERC20("Wrapped Ether", "WETH") {}

    /// @notice Wraps plain ETH transfers.
    receive() external payable {
        deposit();
    }

    /// @notice Wraps the ETH of any call that matches no function, as WETH9 does.
    fallback() external payable {
        deposit();
    }

    /// @inheritdoc IWETH
    function deposit() public payable {
        _mint(msg.sender, msg.value);
        emit Deposit(msg.sender, msg.value);
    }

    /// @inheritdoc IWETH
    /// @dev Reverts `ERC20InsufficientBalance`, or without data when the caller needs more than 2,300 gas to receive.
    function withdraw(uint256 amount) external {
        _burn(msg.sender, amount);
        emit Withdrawal(msg.sender, amount);
        payable(msg.sender).transfer(amount);
    }

    /// @notice Moves `amount` of `from` to `to`; the owner himself needs no allowance, and an unlimited one stays.
    /// @param from Whose tokens.
    /// @param to Who receives them.
    /// @param amount How many (wei).
    /// @return Always true; failures revert.
    function transferFrom(address from, address to, uint256 amount) public override(ERC20, IERC20) returns (bool) {
        if (from == msg.sender) {
            _transfer(from, to, amount);
            return true;
        }
        return super.transferFrom(from, to, amount);
    }

    /// @notice ETH held (wei); it exceeds the sum of balances if ETH was forced in.
    /// @return The balance of this contract.
    function totalSupply() public view override(ERC20, IERC20) returns (uint256) {
        return address(this).balance;
    }
}
