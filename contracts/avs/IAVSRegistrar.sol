// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title What EigenLayer asks of an AVS when operators come and go
/// @notice Written from the published ABI of release v1.12.0.
interface IAVSRegistrar {
    /// @notice An operator registers for sets of the AVS; a revert refuses him.
    /// @param operator The operator.
    /// @param avs The AVS of the sets.
    /// @param operatorSetIds The sets.
    /// @param data What the operator sends along.
    function registerOperator(address operator, address avs, uint32[] calldata operatorSetIds, bytes calldata data)
        external;

    /// @notice An operator leaves sets of the AVS; a revert keeps him in.
    /// @param operator The operator.
    /// @param avs The AVS of the sets.
    /// @param operatorSetIds The sets.
    function deregisterOperator(address operator, address avs, uint32[] calldata operatorSetIds) external;

    /// @notice Whether this registrar serves an AVS.
    /// @param avs The AVS.
    /// @return Whether it does.
    function supportsAVS(address avs) external view returns (bool);
}
