// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title The second step of handing a role on
/// @notice AccessManager grants a role to any address, a mistyped one included. Whoever shall get a role says so here
/// first, from that very account, and the batch that grants it calls `requireAccepted` before: it reverts as a whole where
/// nobody answered. The contract holds no right and no money, and anybody may accept anything: only the grant counts.
contract RoleAcceptance {
    mapping(address manager => mapping(uint64 role => mapping(address account => uint256 time))) private _acceptedAt;

    /// @notice `account` can act and would take `role` of `manager`.
    event RoleAccepted(address indexed manager, uint64 indexed role, address indexed account);
    /// @notice `account` takes its word back.
    event RoleDeclined(address indexed manager, uint64 indexed role, address indexed account);

    /// @notice `account` never accepted the role, or declined it since.
    error NotAccepted(address manager, uint64 role, address account);

    /// @notice Anybody, for himself: he would take `role` of the AccessManager `manager`.
    function accept(address manager, uint64 role) external {
        _acceptedAt[manager][role][msg.sender] = block.timestamp;
        emit RoleAccepted(manager, role, msg.sender);
    }

    /// @notice Anybody, for himself: takes his word back. A role that was granted meanwhile stays granted.
    function decline(address manager, uint64 role) external {
        delete _acceptedAt[manager][role][msg.sender];
        emit RoleDeclined(manager, role, msg.sender);
    }

    /// @notice Time (seconds) at which `account` last accepted `role` of `manager`; zero if it did not.
    function acceptedAt(address manager, uint64 role, address account) public view returns (uint256) {
        return _acceptedAt[manager][role][account];
    }

    /// @notice Reverts NotAccepted unless `account` has accepted `role` of `manager`.
    function requireAccepted(address manager, uint64 role, address account) external view {
        if (acceptedAt(manager, role, account) == 0) revert NotAccepted(manager, role, account);
    }
}
