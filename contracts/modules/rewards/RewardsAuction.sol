// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {IRewards} from "../../interfaces/IRewards.sol";
import {DutchAuction} from "../../libraries/DutchAuction.sol";
import {RewardsBooks} from "./RewardsBooks.sol";

/// @title Sells reward tokens for WETH
/// @dev A lot is all that was there when it opened; what comes later waits for the next one, so that nobody prolongs a
/// sale by adding to it. Nothing is credited before its WETH is here, and the token's own code runs last.
abstract contract RewardsAuction is RewardsBooks {
    using SafeERC20 for IERC20;

    /// @inheritdoc IRewards
    function buy(IERC20 token, uint256 amount, uint256 maxPayment, address receiver)
        external
        nonReentrant
        returns (uint256 sold, uint256 payment)
    {
        Store storage $ = _store();
        Stock storage s = $.stock[token];
        uint256 price = _price(token, s);
        // a token that takes from its holders may have left less than was counted
        sold = Math.min(Math.min(amount, s.lot), token.balanceOf(address(this)));
        sold = _reach($, token, sold);
        if (sold == 0) revert NothingThere();
        payment = DutchAuction.cost(sold, price);
        if (payment > maxPayment) revert PaymentTooHigh(payment, maxPayment);
        s.lot -= uint128(sold);
        s.lotProceeds = uint128(Math.min(uint256(s.lotProceeds) + payment, type(uint128).max));
        emit Sold(token, msg.sender, receiver, sold, payment);

        WETH.safeTransferFrom(msg.sender, address(this), payment);
        uint256 gain = _take($, token, sold, WETH, payment);
        if (s.lot == 0) {
            s.startPrice = uint128(DutchAuction.next(s.lotProceeds, s.lotSize, s.floor));
            _openLot(token, s);
        }
        _gain($, gain);
        token.safeTransfer(receiver, sold);
    }

    /// @inheritdoc IRewards
    function listToken(IERC20 token, uint128 startPrice, uint128 floor) external restricted nonReentrant {
        Stock storage s = _store().stock[token];
        if (s.listed || token == WETH) revert CannotList(token);
        if (floor == 0 || startPrice < floor) revert InvalidPrice(startPrice, floor);
        (s.listed, s.startPrice, s.floor) = (true, startPrice, floor);
        emit TokenListed(token, startPrice, floor);
        _openLot(token, s);
    }

    /// @inheritdoc IRewards
    function setFloor(IERC20 token, uint128 floor) external restricted nonReentrant {
        Stock storage s = _store().stock[token];
        if (!s.listed) revert NotListed(token);
        if (floor == 0) revert InvalidPrice(s.startPrice, floor);
        s.floor = floor;
        emit FloorChanged(token, floor);
    }

    /// @inheritdoc IRewards
    function raiseFloor(IERC20 token, uint128 floor) external restricted nonReentrant {
        Stock storage s = _store().stock[token];
        if (!s.listed) revert NotListed(token);
        if (floor <= s.floor) revert FloorNotRaised(floor, s.floor);
        s.floor = floor;
        emit FloorChanged(token, floor);
    }

    /// @inheritdoc IRewards
    function priceOf(IERC20 token) external view returns (uint256) {
        return _price(token, _store().stock[token]);
    }

    /// @inheritdoc IRewards
    function stock(IERC20 token) external view returns (Stock memory) {
        return _store().stock[token];
    }

    /// @dev Opens a lot of all that is held, if the token is for sale, none is open and there is anything.
    function _openLot(IERC20 token, Stock storage s) internal {
        if (!s.listed || s.lot != 0 || s.held == 0) return;
        (s.lot, s.lotSize, s.lotProceeds) = (s.held, s.held, 0);
        s.startedAt = uint40(block.timestamp);
        emit LotOpened(token, s.lot, s.startPrice);
    }

    function _price(IERC20 token, Stock storage s) private view returns (uint256) {
        if (!s.listed) revert NotListed(token);
        return DutchAuction.price(s.startPrice, s.floor, block.timestamp - s.startedAt);
    }
}
