// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IPermissionController} from "../../interfaces/external/IEigenLayer.sol";

/// @title Local stand-in of EigenLayer's PermissionController (ELIP-003)
/// @notice Every account is its own and only admin; other admins are not part of the stand-in. An appointee has the
/// right to call one selector of one target.
contract LocalPermissionController is IPermissionController {
    mapping(address account => mapping(bytes32 right => bool)) private _appointed;

    /// @notice `appointee` may call `selector` of `target` for `account`.
    event AppointeeSet(address indexed account, address indexed appointee, address target, bytes4 selector);
    /// @notice That right was taken back.
    event AppointeeRemoved(address indexed account, address indexed appointee, address target, bytes4 selector);

    /// @notice The caller is not the account itself.
    error NotAdmin();
    /// @notice The appointee has the right already.
    error AppointeeAlreadySet();
    /// @notice The appointee does not have the right.
    error AppointeeNotSet();

    /// @inheritdoc IPermissionController
    function setAppointee(address account, address appointee, address target, bytes4 selector) external {
        _change(account, appointee, target, selector, true);
        emit AppointeeSet(account, appointee, target, selector);
    }

    /// @inheritdoc IPermissionController
    function removeAppointee(address account, address appointee, address target, bytes4 selector) external {
        _change(account, appointee, target, selector, false);
        emit AppointeeRemoved(account, appointee, target, selector);
    }

    /// @inheritdoc IPermissionController
    function canCall(address account, address caller, address target, bytes4 selector) external view returns (bool) {
        return isAdmin(account, caller) || _appointed[account][_right(caller, target, selector)];
    }

    /// @notice Whether `caller` may give and take the rights of `account`.
    function isAdmin(address account, address caller) public pure returns (bool) {
        return account == caller;
    }

    function _change(address account, address appointee, address target, bytes4 selector, bool wanted) private {
        if (!isAdmin(account, msg.sender)) revert NotAdmin();
        bytes32 right = _right(appointee, target, selector);
        if (_appointed[account][right] == wanted) {
            if (wanted) revert AppointeeAlreadySet();
            revert AppointeeNotSet();
        }
        _appointed[account][right] = wanted;
    }

    function _right(address appointee, address target, bytes4 selector) private pure returns (bytes32) {
        return keccak256(abi.encode(appointee, target, selector));
    }
}
