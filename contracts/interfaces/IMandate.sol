// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Terms} from "./IRiskManager.sol";

/// @title What a tier may do, and how that changes
/// @notice A mandate is one document ({Terms}): numbers, operator sets, weights and target magnitudes. Terms that are in
/// no respect riskier than those in force apply at once; others are proposed, wait longer than an exit takes, and apply
/// only if the tier is covered under them. While a tier has no holders there is nobody to warn, and nothing waits.
interface IMandate {
    /// @notice A riskier mandate was proposed; it may be executed from `eta` until `expiry` (seconds).
    event MandateProposed(bytes32 indexed id, Terms terms, uint40 eta, uint40 expiry);
    /// @notice A proposal was withdrawn.
    event MandateCancelled(bytes32 indexed id);
    /// @notice A mandate is in force.
    event MandateApplied(bytes32 indexed id, Terms terms, bool riskier);

    /// @notice Initialisation with unusable values.
    error InvalidSetup();
    /// @notice Another proposal waits.
    error ProposalPending(bytes32 id);
    /// @notice These terms are not the ones that wait.
    error NotProposed(bytes32 id);
    /// @notice The proposal waits until `eta`, or expired at `expiry`.
    error NotExecutable(uint40 eta, uint40 expiry);
    /// @notice The terms are riskier than those in force in the named respect, so they must be proposed.
    error Riskier(bytes32 respect);

    /// @notice Curator: proposes riskier terms.
    function propose(Terms calldata terms) external returns (bytes32 id);

    /// @notice Anybody: puts proposed terms in force after their delay, if the tier is covered under them.
    function execute(Terms calldata terms) external;

    /// @notice Curator: puts terms in force at once that are in no respect riskier. Reverts Riskier.
    function tighten(Terms calldata terms) external;

    /// @notice Guardian or curator: withdraws the proposal.
    function cancel() external;

    /// @notice In which respect `terms` are riskier than those in force; zero if in none.
    function riskierIn(Terms calldata terms) external view returns (bytes32 respect);

    /// @notice Whether a riskier mandate waits (and has not expired).
    function riskierPending() external view returns (bool);

    /// @notice The proposal that waits: its id and times.
    function pending() external view returns (bytes32 id, uint40 eta, uint40 expiry);

    /// @notice Id (hash) of the terms in force; zero before the first.
    function current() external view returns (bytes32 id);

    /// @notice Seconds that riskier terms wait.
    function delay() external view returns (uint40);
}
