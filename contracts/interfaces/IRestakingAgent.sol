// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IDelegationManager, OperatorSet} from "./external/IEigenLayer.sol";

/// @title An operator of EigenLayer that is the staker of its own stake
/// @notice One per tier and node operator. Its stake and its allocations move only as the tier's managers say; the node
/// operator runs the software and holds the keys, and can neither allocate nor withdraw nor leave with anything.
interface IRestakingAgent {
    /// @notice The agent registered for an operator set through its node operator.
    event Registered(address indexed avs, uint32 id);
    /// @notice The agent has a node operator.
    event NodeOperatorNamed(address indexed nodeOperator);
    /// @notice The curator wants `nominee` (zero: nobody) to run the agent; he must accept.
    event NodeOperatorNominated(address indexed nominee);
    /// @notice Tokens that lay with the agent went to the tier's Rewards.
    event Swept(IERC20 indexed token, uint256 amount);

    /// @notice The caller may not do this.
    error NotAuthorised(address caller);
    /// @notice The staking token is stake, and never swept.
    error StakingTokenStays();

    /// @notice Deposits `tokens` (wei) of the staking token that the agent has just received; what somebody else sent it
    /// stays out, as it would be exposure that no limit has seen. Only StakeManager.
    function deposit(uint256 tokens) external returns (uint256 depositShares);

    /// @notice Queues deposit shares for withdrawal and returns what EigenLayer recorded. Only StakeManager, Allocator.
    function queue(uint256 depositShares) external returns (IDelegationManager.Withdrawal memory);

    /// @notice Completes a withdrawal, in tokens to `receiver` or back into shares. Only StakeManager.
    function complete(uint24 nonce, uint32 startBlock, uint128 scaledShares, bool asTokens, address receiver) external;

    /// @notice Sets the allocation to one set (WAD). Only Allocator.
    function allocate(OperatorSet calldata operatorSet, uint64 magnitude) external;

    /// @notice Deregisters from one set. Only Allocator.
    function deregister(OperatorSet calldata operatorSet) external;

    /// @notice Node operator: registers for a set of the mandate that is not quarantined; `data` goes to the AVS.
    function register(OperatorSet calldata operatorSet, bytes calldata data) external;

    /// @notice Offers the agent to another node operator; zero takes the offer back. Only the factory, for the curator.
    function nominate(address nominee) external;

    /// @notice The nominee takes the agent over: the old operator's rights at EigenLayer end, his begin. What was earned
    /// until now stays the old one's. Signing keys stay registered until the new operator changes them.
    function acceptNomination() external;

    /// @notice Sends what lies here of a token (an airdrop) to the tier's Rewards. Anybody. Reverts StakingTokenStays.
    function sweep(IERC20 token) external returns (uint256 amount);

    /// @notice To whom the agent is offered.
    function nominee() external view returns (address);

    /// @notice The tier's Rewards, which claims for the agent.
    function rewards() external view returns (address);

    /// @notice Who runs the agent's software.
    function nodeOperator() external view returns (address);

    /// @notice The tier.
    function tier() external view returns (address);
}
