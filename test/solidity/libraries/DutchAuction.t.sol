// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Test} from "forge-std/Test.sol";
import {DutchAuction} from "../../../contracts/libraries/DutchAuction.sol";

/// @notice The price of a Dutch auction (SPEC section 11.4).
contract DutchAuctionTest is Test {
    uint256 private constant HALVING = DutchAuction.HALVING;

    function testFuzz_ThePriceNeverRisesAndNeverFallsBelowItsFloor(
        uint128 start,
        uint128 floor,
        uint40 elapsed,
        uint40 later
    ) public pure {
        floor = uint128(bound(floor, 1, type(uint128).max));
        later = uint40(bound(later, elapsed, type(uint40).max));
        uint256 first = DutchAuction.price(start, floor, elapsed);
        uint256 second = DutchAuction.price(start, floor, later);
        assertLe(second, first);
        assertGe(second, floor);
    }

    function testFuzz_ThePriceStartsAtItsStartAndHalves(uint128 start, uint8 halvings) public pure {
        assertEq(DutchAuction.price(start, 0, 0), start);
        assertEq(DutchAuction.price(start, 0, halvings * HALVING), uint256(start) >> halvings);
        assertEq(DutchAuction.price(start, 1, 300 * HALVING), 1);
    }

    /// Where a halving ends and the next one begins, the price goes on without a jump.
    function testFuzz_ThePriceFallsLessThanThreeInTenThousandABlock(uint128 start, uint40 elapsed) public pure {
        start = uint128(bound(start, 1e30, type(uint128).max));
        elapsed = uint40(bound(elapsed, 0, 30 * HALVING));
        uint256 now_ = DutchAuction.price(start, 1, elapsed);
        uint256 next = DutchAuction.price(start, 1, elapsed + 12);
        assertLe((now_ - next) * 10_000, now_ * 3);
    }

    function testFuzz_BuyingInPartsNeverCostsLess(uint128 price, uint96 first, uint96 second) public pure {
        uint256 whole = DutchAuction.cost(uint256(first) + second, price);
        uint256 parts = DutchAuction.cost(first, price) + DutchAuction.cost(second, price);
        assertGe(parts, whole);
        assertLe(parts, whole + 1);
    }

    function testFuzz_TheNextLotStartsAtTwiceTheAverageOfTheLastOrAtItsFloor(uint96 lot, uint128 price, uint128 floor)
        public
        pure
    {
        lot = uint96(bound(lot, 1e6, type(uint96).max));
        price = uint128(bound(price, 1e12, 1e30));
        uint256 next = DutchAuction.next(DutchAuction.cost(lot, price), lot, floor);
        if (floor >= 2 * uint256(price) + 2e12) assertEq(next, floor);
        else assertGe(next, 2 * uint256(price));
        // the cost is rounded up by a wei, which is 2e18 / lot of the price
        assertLe(next, (floor > 2 * uint256(price) ? floor : 2 * uint256(price)) + 2e18 / uint256(lot) + 1);
    }
}
