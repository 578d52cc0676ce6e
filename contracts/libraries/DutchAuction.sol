// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title The price of a Dutch auction that halves again and again (SPEC section 11.4)
/// @notice Prices are wei of WETH for 1e18 units (wei) of the token, whatever its decimals.
library DutchAuction {
    uint256 internal constant WAD = 1e18;
    /// @notice Seconds in which the price falls to a half: in a block of 12 s it falls by less than 0.03 %.
    uint256 internal constant HALVING = 12 hours;
    /// @notice A lot starts at this multiple of the average price of the lot before it.
    uint256 internal constant START_FACTOR = 2;

    /// @notice The price `elapsed` seconds after the start: a half after each HALVING, linear in between, never below
    /// `floor`. Rounded up. Never rises with `elapsed`: inside a halving what is taken off grows, and its last price is
    /// still at least a half, where the next one begins.
    function price(uint256 start, uint256 floor, uint256 elapsed) internal pure returns (uint256) {
        uint256 halvings = elapsed / HALVING;
        uint256 base = halvings > 255 ? 0 : start >> halvings;
        return Math.max(floor, base - Math.mulDiv(base, elapsed % HALVING, 2 * HALVING));
    }

    /// @notice What `amount` units cost at `price_` (wei, rounded up: in favour of the seller).
    function cost(uint256 amount, uint256 price_) internal pure returns (uint256) {
        return Math.mulDiv(amount, price_, WAD, Math.Rounding.Ceil);
    }

    /// @notice Where the next lot starts: a multiple of the average price of the last one, at least its floor. Rounded
    /// down, and cut to 128 bits.
    function next(uint256 proceeds, uint256 amount, uint256 floor) internal pure returns (uint256) {
        uint256 start = Math.mulDiv(proceeds, START_FACTOR * WAD, amount);
        return Math.min(Math.max(start, floor), type(uint128).max);
    }
}
