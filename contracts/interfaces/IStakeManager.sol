// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title Moves stake: idle to agents and back
/// @notice Everything here may be called by anybody. Whatever puts stake at risk is gated and held to a limit that is
/// exact to the wei; whatever brings it back happens only where the queues or the buffer ask for it (SPEC section 5).
interface IStakeManager {
    /// @notice Idle ETH (or loose tokens) was restaked with an agent.
    event Deployed(uint256 indexed agent, uint256 assets, uint256 tokens, bool fromIdle);
    /// @notice Part of an agent's stake was queued at EigenLayer, worth `assets` wei then.
    event Unbonded(uint256 indexed agent, uint256 assets, uint256 scaledShares, uint24 nonce);
    /// @notice A withdrawal was completed: in tokens, or back into shares.
    event WithdrawalCompleted(uint256 indexed agent, uint24 nonce, bool asTokens);

    /// @notice More than may be restaked with this agent now (wei).
    error ExceedsDeployLimit(uint256 assets, uint256 limit);
    /// @notice The agent has lost so much that scaling factors would round badly, or works for a quarantined set.
    error AgentUnfit(uint256 agent, uint64 magnitude);
    /// @notice The queues and the buffer need nothing (more), or no agent can give anything now.
    error NothingToUnbond();
    /// @notice EigenLayer's delay is not over.
    error NotReady(uint256 block_, uint256 readyAfter);
    /// @notice The stake is needed by the queues, or the ladder has queued it for good.
    error Needed(uint256 need);
    /// @notice Nothing is loose, or nothing of it is needed.
    error NothingToUnstake();

    /// @notice Stakes `assets` wei of idle and restakes it with `agent`; at most `deployLimit`. Anybody; gated.
    function deploy(uint256 agent, uint256 assets) external;

    /// @notice Restakes `assets` wei of loose staking tokens with `agent`, where no queue needs them. Anybody; gated.
    function redeploy(uint256 agent, uint256 assets) external;

    /// @notice Queues stake of the agent that is most above its weight, for what the queues and the buffer need:
    /// at least 1 ETH, one batch per agent and day, at most 15 open. Anybody.
    function unbond() external returns (uint256 agent, uint256 assets);

    /// @notice Completes a withdrawal in tokens. Anybody, after EigenLayer's delay.
    function complete(uint256 agent, uint256 exit) external;

    /// @notice Completes a withdrawal back into shares where no queue needs it. Anybody, after the delay; gated.
    function redeposit(uint256 agent, uint256 exit) external;

    /// @notice Puts loose tokens into the staking protocol's exit queue, as far as the queues and the buffer need it.
    /// Anybody.
    function requestUnstake(uint256 maxRequests) external returns (uint256 assets);

    /// @notice Claims what the staking protocol has paid out. Anybody.
    function claimUnstaked(uint256 maxRequests) external returns (uint256 assets);

    /// @notice Counts staking tokens that were sent to the staking module (rewards, gifts) as loose: a gain, which vests.
    /// Returns their shares. Anybody.
    function creditLoose() external returns (uint256 shares);

    /// @notice Largest amount (wei) that `deploy` takes for this agent now; it passes and one wei more reverts. 0 for an
    /// agent that is unfit.
    function deployLimit(uint256 agent) external view returns (uint256);

    /// @notice Wei that should still be queued at EigenLayer: the queues and the buffer less idle and 95 % of in flight.
    function unbondNeed() external view returns (uint256);

    /// @notice What the queues and the buffer ask for, and where it could come from, after a sync (wei): idle,
    /// EigenLayer's withdrawal queue, loose tokens, and the staking protocol's exit queue.
    function liquidity()
        external
        view
        returns (uint256 wanted, uint256 idle, uint256 queued, uint256 loose, uint256 unstaking);

    /// @notice What new exposure may rely on, after a sync: idle that no queue and no buffer claims, cover R + J less
    /// queued junior (rounded up), and V. All wei.
    function deployRoom() external view returns (uint256 idle, uint256 cover, uint256 value);

    /// @notice What deleveraging restores U_fwd with, after a sync: R + J less overdue junior (rounded up), and V (wei).
    function forwardCover() external view returns (uint256 cover, uint256 value);

    /// @notice Junior shares whose exit is overdue: a month beyond maturity, or mature while a riskier mandate waits.
    function overdueShares() external view returns (uint256);
}
