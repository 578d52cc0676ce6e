// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {LocalEigenLayer} from "./LocalEigenLayer.sol";

/// @title What the contracts of the stand-in have in common: the address book, pausing, rights
abstract contract LocalModule {
    /// @dev 1e18: all of an operator's stake in a strategy.
    uint256 internal constant WAD = 1e18;

    /// @notice Where the other contracts and the delays are written down.
    LocalEigenLayer public immutable book;

    uint256 private _pausedBits;

    /// @notice `account` paused more functions.
    /// @param account The owner of the stand-in.
    /// @param newPausedStatus All bits that are paused now.
    event Paused(address indexed account, uint256 newPausedStatus);

    /// @notice `account` released functions.
    /// @param account The owner of the stand-in.
    /// @param newPausedStatus All bits that are still paused.
    event Unpaused(address indexed account, uint256 newPausedStatus);

    /// @notice The function is paused.
    error CurrentlyPaused();
    /// @notice Only the owner of the stand-in pauses.
    error OnlyPauser();
    /// @notice Only the owner of the stand-in releases.
    error OnlyUnpauser();
    /// @notice `pause` only adds bits, `unpause` only removes them.
    error InvalidNewPausedStatus();
    /// @notice Neither the account itself nor its appointee for this function.
    error InvalidPermissions();

    /// @dev Reverts with `CurrentlyPaused` while the bit is set.
    modifier whenNotPaused(uint8 bit) {
        _requireNotPaused(bit);
        _;
    }

    /// @param book_ The address book.
    constructor(LocalEigenLayer book_) {
        book = book_;
    }

    /// @notice Sets the paused bits; only the owner, and no bit may be released by it.
    function pause(uint256 newPausedStatus) external {
        if (msg.sender != book.owner()) revert OnlyPauser();
        if (_pausedBits & newPausedStatus != _pausedBits) revert InvalidNewPausedStatus();
        _pausedBits = newPausedStatus;
        emit Paused(msg.sender, newPausedStatus);
    }

    /// @notice Sets the paused bits; only the owner, and no bit may be added by it.
    function unpause(uint256 newPausedStatus) external {
        if (msg.sender != book.owner()) revert OnlyUnpauser();
        if (_pausedBits & newPausedStatus != newPausedStatus) revert InvalidNewPausedStatus();
        _pausedBits = newPausedStatus;
        emit Unpaused(msg.sender, newPausedStatus);
    }

    /// @notice All paused bits.
    function paused() external view returns (uint256) {
        return _pausedBits;
    }

    /// @notice Whether the function behind `index` is paused.
    function paused(uint8 index) public view returns (bool) {
        return _pausedBits & (1 << index) != 0;
    }

    /// @dev Reverts with `CurrentlyPaused` while the bit is set.
    function _requireNotPaused(uint8 bit) internal view {
        if (paused(bit)) revert CurrentlyPaused();
    }

    /// @dev Whether the caller may use the called function for `account`.
    function _mayCallFor(address account) internal view returns (bool) {
        return book.permissionController().canCall(account, msg.sender, address(this), msg.sig);
    }

    /// @dev Reverts with `InvalidPermissions` unless the caller may use the called function for `account`.
    function _requireMayCallFor(address account) internal view {
        if (!_mayCallFor(account)) revert InvalidPermissions();
    }
}
