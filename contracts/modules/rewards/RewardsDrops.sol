// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {IRewards} from "../../interfaces/IRewards.sol";
import {ITier} from "../../interfaces/ITier.sol";
import {RewardsBooks} from "./RewardsBooks.sol";

/// @title Gives reward tokens that cannot be sold to the holders of a series
/// @dev A drop pays at most what it was funded with, whatever its tree says, so a wrong root harms only its own drop.
abstract contract RewardsDrops is RewardsBooks {
    using SafeERC20 for IERC20;

    /// @dev Long enough that a holder who looks in once a quarter misses nothing.
    uint40 private constant MIN_OPEN = 90 days;

    /// @inheritdoc IRewards
    function reserveForDrops(IERC20 token, uint256 amount) external restricted nonReentrant returns (uint256 reserved) {
        Store storage $ = _store();
        Stock storage s = $.stock[token];
        if (s.listed) revert TokenIsListed(token);
        amount = _reach($, token, amount);
        if (amount == 0) revert NothingThere();
        reserved = _take($, token, amount, token, amount);
        s.pot += uint128(reserved);
        $.recorded[token] += reserved;
        emit ReservedForDrops(token, reserved);
    }

    /// @inheritdoc IRewards
    function postDrop(
        IERC20 token,
        address series,
        uint128 amount,
        bytes32 root,
        uint40 expiry,
        bytes32 inputsHash,
        string calldata uri
    ) external restricted nonReentrant returns (uint256 id) {
        Store storage $ = _store();
        ITier t = $.tier;
        if (series != t.token(true) && series != t.token(false) && !t.retired(series).exists) {
            revert UnknownSeries(series);
        }
        uint256 earliest = block.timestamp + MIN_OPEN;
        if (expiry < earliest) revert ExpiryTooEarly(expiry, earliest);
        Stock storage s = $.stock[token];
        if (amount == 0) revert NothingThere();
        if (amount > s.pot) revert ExceedsAvailable(amount, s.pot);
        s.pot -= amount;
        id = $.drops.length;
        $.drops.push(Drop(token, series, root, amount, 0, expiry, false));
        emit DropPosted(id, series, token, amount, root, expiry, inputsHash, uri);
    }

    /// @inheritdoc IRewards
    function claimDrop(uint256 id, address account, uint256 amount, bytes32[] calldata proof) external nonReentrant {
        Store storage $ = _store();
        Drop storage d = _drop($, id);
        if (d.closed) revert DropOver(id);
        if ($.claimed[id][account]) revert AlreadyClaimed(id, account);
        bytes32 leaf = keccak256(bytes.concat(keccak256(abi.encode(account, amount))));
        if (!MerkleProof.verifyCalldata(proof, d.root, leaf)) revert InvalidProof(id, account, amount);
        if (amount > d.funded - d.paid) revert ExceedsAvailable(amount, d.funded - d.paid);
        $.claimed[id][account] = true;
        d.paid += uint128(amount);
        $.recorded[d.token] -= amount;
        emit DropClaimed(id, account, amount);
        d.token.safeTransfer(account, amount);
    }

    /// @inheritdoc IRewards
    function closeDrop(uint256 id) external nonReentrant {
        Store storage $ = _store();
        Drop storage d = _drop($, id);
        if (d.closed) revert DropOver(id);
        if (block.timestamp < d.expiry) revert DropOpen(d.expiry);
        d.closed = true;
        uint256 rest = d.funded - d.paid;
        $.recorded[d.token] -= rest;
        emit DropClosed(id, rest);
        // fees were taken when it was reserved
        _stockUp($, d.token, rest, address(0), 0, 0);
        _opened(d.token);
    }

    /// @dev Stock of a token has grown.
    function _opened(IERC20 token) internal virtual;

    /// @inheritdoc IRewards
    function drop(uint256 id) external view returns (Drop memory) {
        return _drop(_store(), id);
    }

    /// @inheritdoc IRewards
    function dropCount() external view returns (uint256) {
        return _store().drops.length;
    }

    /// @inheritdoc IRewards
    function dropClaimed(uint256 id, address account) external view returns (bool) {
        return _store().claimed[id][account];
    }

    function _drop(Store storage $, uint256 id) private view returns (Drop storage) {
        if (id >= $.drops.length) revert UnknownDrop(id);
        return $.drops[id];
    }
}
