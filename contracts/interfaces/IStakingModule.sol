// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @title A staking protocol behind a tier
/// @notice Turns ETH into the token that the tier's strategy takes, and back through the protocol's exit queue. It
/// holds tokens only on their way: loose ones that came out of EigenLayer, and those in the exit queue. All values are
/// wei of ETH at the protocol's own rate, never a market price.
interface IStakingModule {
    /// @notice ETH was staked for `receiver`.
    event Staked(address indexed receiver, uint256 assets, uint256 tokens);
    /// @notice Tokens came back from an agent (recorded shares).
    event Received(address indexed from, uint256 shares);
    /// @notice Loose tokens went to `receiver` to be restaked.
    event Released(address indexed receiver, uint256 shares, uint256 tokens);
    /// @notice Tokens entered the exit queue: `requests` requests for `assets` wei.
    event UnstakeRequested(uint256 requests, uint256 assets);
    /// @notice A request was paid: `asked` wei, `assets` received.
    event UnstakeClaimed(uint256 indexed requestId, uint256 asked, uint256 assets);

    /// @notice Only the tier or its StakeManager.
    error NotAuthorised(address caller);
    /// @notice The amount is below what the staking protocol takes (wei).
    error AmountTooSmall(uint256 amount, uint256 minimum);
    /// @notice More than is loose (wei).
    error ExceedsLoose(uint256 amount, uint256 loose);

    /// @notice Stakes the sent ETH; the tokens go to `receiver`. Only Tier. Reverts while the protocol is paused.
    function stake(address receiver) external payable returns (uint256 tokens);

    /// @notice Records tokens that an agent has sent here: all shares above the recorded ones. Only StakeManager.
    function receiveTokens(address from) external returns (uint256 shares);

    /// @notice Sends up to `amount` wei of loose tokens to `receiver`. Only StakeManager.
    function release(address receiver, uint256 amount) external returns (uint256 tokens);

    /// @notice Puts up to `amount` wei of loose tokens into the exit queue, in at most `maxRequests` requests cut to the
    /// protocol's size. Only StakeManager.
    function requestUnstake(uint256 amount, uint256 maxRequests) external returns (uint256 requested);

    /// @notice Claims up to `maxRequests` finalised requests, oldest first, and sends the WETH to the tier.
    /// Only StakeManager.
    function claimUnstaked(uint256 maxRequests) external returns (uint256 assets);

    /// @notice Wei of tokens not in the exit queue, and wei in it (the smaller of what was asked for and what the shares
    /// are worth), rounded down. They rise from 0 only in a call of StakeManager: until then the tier does not ask.
    function value() external view returns (uint256 loose, uint256 unstaking);

    /// @notice What the protocol takes now (wei); 0 while it is paused.
    function stakeLimit() external view returns (uint256);

    /// @notice Requests in the exit queue, and how many of them could be claimed now.
    function requests() external view returns (uint256 open, uint256 claimable);

    /// @notice The token that the strategy takes.
    function token() external view returns (IERC20);
}
