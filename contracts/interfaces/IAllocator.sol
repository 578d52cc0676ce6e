// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {OperatorSet} from "./external/IEigenLayer.sol";

/// @title Moves magnitude: allocation to targets, the unwind ladder, deleverage
/// @notice Everything here may be called by anybody: the caller names an agent and a set, never an amount that the
/// mandate or the books do not give. Whatever adds exposure is gated; whatever removes it never is (SPEC section 5).
interface IAllocator {
    /// @notice An allocation was set to `magnitude` (WAD), for a reason: 1 target, 2 unwind, 3 deleverage.
    event Allocated(uint256 indexed agent, uint256 indexed set, uint64 magnitude, uint8 reason);
    /// @notice Rung two of the ladder: the agent left the set.
    event Deregistered(uint256 indexed agent, uint256 indexed set);
    /// @notice Rung three: the AVS's registrar would not let the agent go, so all of its stake was queued.
    event StakeEvacuated(uint256 indexed agent, uint256 depositShares);

    /// @notice The caller may not do this.
    error NotAuthorised(address caller);
    /// @notice The set is not in the mandate, quarantined, or its slasher not approved.
    error SetClosed(address avs, uint32 id);
    /// @notice A change of this allocation is pending until `effectBlock`.
    error ChangePending(uint32 effectBlock);
    /// @notice The magnitude must lie above the current and not above the target one (WAD).
    error InvalidMagnitude(uint64 magnitude, uint64 current, uint64 target);
    /// @notice There is nothing to do for this agent and set.
    error NothingToDo();
    /// @notice The tier is covered: there is nothing to deleverage.
    error Covered();
    /// @notice Too little gas to tell a reverting registrar from a starved one.
    error InsufficientGas(uint256 available, uint256 needed);

    /// @notice Raises an allocation towards its target; gated. Anybody.
    function allocate(uint256 agent, uint256 link, uint64 magnitude) external;

    /// @notice Lowers an allocation that is above its target to the target. Anybody.
    function deallocate(uint256 agent, uint256 link) external;

    /// @notice The unwind ladder for a quarantined set: deallocate; if a change is pending, deregister; if the AVS's
    /// registrar reverts, queue the agent's whole stake. Anybody.
    function unwind(uint256 agent, uint256 link) external;

    /// @notice Cuts an agent's allocations until the tier is covered again, by what U_fwd asks for. Anybody.
    function deleverage(uint256 agent) external;

    /// @notice An agent asks to register for a set: takes the lock. Only agents of the tier.
    function beginRegistration(OperatorSet calldata operatorSet) external;

    /// @notice Releases it. Only agents of the tier.
    function endRegistration() external;

    /// @notice Whether deleveraging is called for now, with what each group may keep (wei·1e9).
    function deleverageNeeded() external view returns (bool needed, uint256 ceiling);
}
