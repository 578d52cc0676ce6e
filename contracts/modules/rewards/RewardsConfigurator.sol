// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {IMandate} from "../../interfaces/IMandate.sol";
import {ITier} from "../../interfaces/ITier.sol";
import {RewardsBooks} from "./RewardsBooks.sol";

/// @title The rare calls of Rewards: listing and floors, fees, treasury, drops
/// @notice Rewards delegates to it, so storage, tokens, caller and roles are those of Rewards; called itself it can do
/// nothing, because it is never initialised.
/// @custom:oz-upgrades-unsafe-allow missing-initializer
/// @dev A drop pays at most what it was funded with, whatever its tree says, so a wrong root harms only its own drop.
contract RewardsConfigurator is RewardsBooks {
    using SafeERC20 for IERC20;

    /// @dev Together a half: whoever bears the risk keeps at least the other half of what it earns.
    uint16 private constant MAX_OPERATOR_FEE = 3_000;
    uint16 private constant MAX_PROTOCOL_FEE = 2_000;
    /// @dev Long enough that a holder who looks in once a quarter misses nothing.
    uint40 private constant MIN_OPEN = 90 days;

    /// @custom:oz-upgrades-unsafe-allow constructor
    constructor(IERC20 weth) RewardsBooks(weth) {}

    // ------------------------------------------------------------------------------------------------ sale

    /// @notice See {IRewards}.
    function listToken(IERC20 token, uint128 startPrice, uint128 floor) external restricted nonReentrant {
        Stock storage s = _store().stock[token];
        if (s.listed || token == WETH) revert CannotList(token);
        if (floor == 0 || startPrice < floor) revert InvalidPrice(startPrice, floor);
        (s.listed, s.startPrice, s.floor) = (true, startPrice, floor);
        emit TokenListed(token, startPrice, floor);
        _openLot(token, s);
    }

    /// @notice See {IRewards}.
    function setFloor(IERC20 token, uint128 floor) external restricted nonReentrant {
        Stock storage s = _store().stock[token];
        if (!s.listed) revert NotListed(token);
        if (floor == 0) revert InvalidPrice(s.startPrice, floor);
        s.floor = floor;
        emit FloorChanged(token, floor);
    }

    /// @notice See {IRewards}.
    function raiseFloor(IERC20 token, uint128 floor) external restricted nonReentrant {
        Stock storage s = _store().stock[token];
        if (!s.listed) revert NotListed(token);
        if (floor <= s.floor) revert FloorNotRaised(floor, s.floor);
        s.floor = floor;
        emit FloorChanged(token, floor);
    }

    // ------------------------------------------------------------------------------------- fees and treasury

    /// @notice See {IRewards}.
    function setOperatorFee(address agent, uint16 feeBps) external restricted {
        Store storage $ = _store();
        AgentPay storage p = $.earners[agent].pay;
        if (!p.known) revert UnknownAgent(agent);
        uint40 from;
        (p.feeBps, p.pendingFeeBps, from) = _newFee($, agent, p.feeBps, feeBps, MAX_OPERATOR_FEE);
        p.feeFrom = from;
    }

    /// @notice See {IRewards}.
    function setProtocolFee(uint16 feeBps) external restricted {
        Store storage $ = _store();
        ($.feeBps, $.pendingFeeBps, $.feeFrom) = _newFee($, address(0), $.feeBps, feeBps, MAX_PROTOCOL_FEE);
    }

    /// @dev A lower fee counts at once; a higher one waits as a riskier mandate does, unless there is nobody to warn.
    function _newFee(Store storage $, address agent, uint16 current, uint16 feeBps, uint16 most)
        private
        returns (uint16, uint16, uint40 from)
    {
        if (feeBps > most) revert FeeTooHigh(feeBps, most);
        ITier t = $.tier;
        if (feeBps <= current || (t.shares(true).supply == 0 && t.shares(false).supply == 0)) {
            emit FeeChanged(agent, feeBps);
            return (feeBps, 0, 0);
        }
        from = uint40(block.timestamp) + IMandate(t.parts().mandate).delay();
        emit FeeProposed(agent, feeBps, from);
        return (current, feeBps, from);
    }

    /// @notice See {IRewards}.
    function applyFee(address agent) external {
        Store storage $ = _store();
        AgentPay storage p = $.earners[agent].pay;
        uint40 from = agent == address(0) ? $.feeFrom : p.feeFrom;
        if (from == 0 || block.timestamp < from) revert FeeNotDue(from);
        if (agent == address(0)) ($.feeBps, $.pendingFeeBps, $.feeFrom) = ($.pendingFeeBps, 0, 0);
        else (p.feeBps, p.pendingFeeBps, p.feeFrom) = (p.pendingFeeBps, 0, 0);
        emit FeeChanged(agent, agent == address(0) ? $.feeBps : p.feeBps);
    }

    /// @notice See {IRewards}.
    function offerTreasury(address to) external {
        Store storage $ = _store();
        if (msg.sender != $.treasury) revert NotAuthorised(msg.sender);
        $.offered = to;
        emit TreasuryOffered(to);
    }

    /// @notice See {IRewards}.
    function acceptTreasury() external {
        Store storage $ = _store();
        if (msg.sender != $.offered) revert NotAuthorised(msg.sender);
        ($.treasury, $.offered) = (msg.sender, address(0));
        emit TreasuryChanged(msg.sender);
    }

    // ----------------------------------------------------------------------------------------------- drops

    /// @notice See {IRewards}.
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

    /// @notice See {IRewards}.
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

    /// @notice See {IRewards}.
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

    /// @notice See {IRewards}.
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
        _openLot(d.token, $.stock[d.token]);
    }

    function _drop(Store storage $, uint256 id) private view returns (Drop storage) {
        if (id >= $.drops.length) revert UnknownDrop(id);
        return $.drops[id];
    }
}
