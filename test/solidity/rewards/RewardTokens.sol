// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @notice A reward token as it should be.
contract RewardToken is ERC20("Reward", "RWD") {
    /// @notice Anybody mints.
    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }
}

/// @notice A token with every vice that holders meet, each switched on by itself.
contract HostileToken is ERC20("Hostile", "HOST") {
    uint256 public feeBps;
    bool public refuses;
    bool public lies;
    mapping(address => bool) public blacklisted;
    address public target;
    bytes public data;
    bool public reached;
    bytes public answer;

    error Blacklisted(address account);
    error TransfersOff();

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function takeFee(uint256 bps) external {
        feeBps = bps;
    }

    function refuse(bool on) external {
        refuses = on;
    }

    /// @dev Says false and moves nothing.
    function lie(bool on) external {
        lies = on;
    }

    function blacklist(address account) external {
        blacklisted[account] = true;
    }

    /// @dev As an ERC-777 hook: calls somebody in the middle of a transfer, and keeps the answer.
    function callBack(address target_, bytes calldata data_) external {
        (target, data) = (target_, data_);
    }

    function destroy(address account, uint256 amount) external {
        _burn(account, amount);
    }

    function transfer(address to, uint256 amount) public override returns (bool) {
        if (lies) return false;
        return super.transfer(to, amount);
    }

    function _update(address from, address to, uint256 amount) internal override {
        if (from != address(0) && to != address(0)) {
            if (refuses) revert TransfersOff();
            if (blacklisted[to]) revert Blacklisted(to);
            uint256 fee = amount * feeBps / 10_000;
            if (fee != 0) super._update(from, address(0), fee);
            amount -= fee;
            if (target != address(0)) (reached, answer) = target.call(data);
        }
        super._update(from, to, amount);
    }
}

/// @notice Moves tokens and returns nothing, as some old tokens do.
contract SilentToken {
    mapping(address => uint256) public balanceOf;

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
    }

    function transfer(address to, uint256 amount) external {
        balanceOf[msg.sender] -= amount;
        balanceOf[to] += amount;
    }
}
