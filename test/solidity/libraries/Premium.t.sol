// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Test} from "forge-std/Test.sol";
import {Premium} from "../../../contracts/libraries/Premium.sol";

contract PremiumTest is Test {
    uint256 internal constant WAD = 1e18;

    function _base(uint256 x) internal pure returns (uint256) {
        return bound(x, Premium.MIN_RATE, Premium.MAX_RATE);
    }

    function test_CurveRunsFromAQuarterThroughOneToFour() public pure {
        assertEq(Premium.rate(0.04e18, 0), 0.01e18);
        assertEq(Premium.rate(0.04e18, Premium.TARGET), 0.04e18);
        assertEq(Premium.rate(0.04e18, WAD), 0.16e18);
        assertEq(Premium.rate(0.04e18, 1e27), 0.16e18);
        // half way up from the target: 1 + 3·0.5
        assertEq(Premium.rate(0.04e18, 0.95e18), 0.1e18);
        // half way down: 1 - 0.75·0.5
        assertEq(Premium.rate(0.04e18, 0.45e18), 0.025e18);
    }

    function testFuzz_ErrorStaysWithinOneAndNeverFalls(uint256 u, uint256 w) public pure {
        u = bound(u, 0, 1e27);
        w = bound(w, u, 1e27);
        int256 e = Premium.err(u);
        assertGe(e, -int256(WAD));
        assertLe(e, int256(WAD));
        assertLe(e, Premium.err(w));
    }

    function testFuzz_RateNeverFallsAsUtilisationRises(uint256 base, uint256 u, uint256 step) public pure {
        base = _base(base);
        u = bound(u, 0, 1.2e18);
        uint256 p = Premium.rate(base, u);
        assertLe(p, Premium.rate(base, u + bound(step, 0, 1e18)));
        assertGe(p, base / 4);
        assertLe(p, 4 * base);
    }

    function test_DueIsTheRateOnTheBackingInUse() public pure {
        // 4·4 % of J·S/B = 16 for a year at full use; a quarter's rate but nothing in use at U = 0
        assertEq(Premium.due(0.04e18, WAD, 20e18, 80e18, 100e18, 365 days), 2.56e18);
        assertEq(Premium.due(0.04e18, 0, 20e18, 80e18, 100e18, 365 days), 0);
        assertEq(Premium.due(0.04e18, 0.9e18, 20e18, 80e18, 100e18, 365 days), 0.576e18);
        assertEq(Premium.due(0.04e18, WAD, 0, 0, 0, 365 days), 0);
    }

    function testFuzz_DueIsRoundedDownByLessThanTwoWei(
        uint256 base,
        uint256 u,
        uint96 junior,
        uint96 senior,
        uint96 rest,
        uint32 dt
    ) public pure {
        base = _base(base);
        u = bound(u, 0, 1.1e18);
        uint256 total = uint256(junior) + senior + rest;
        vm.assume(total != 0);
        dt = dt % 365 days;
        uint256 got = Premium.due(base, u, junior, senior, total, dt);
        uint256 used = u < WAD ? u : WAD;
        // p·U/WAD first, so that the product fits 256 bits; both bounds allow for it
        uint256 share = Premium.rate(base, u) * used * dt / (WAD * 365 days);
        uint256 backing = uint256(junior) * senior / total;
        assertGe(got, backing * share / WAD);
        assertLe(got, (backing + 1) * (share + 1) / WAD + 1);
    }

    function testFuzz_BaseRateMovesTowardsItsTargetAndStaysInItsBounds(uint256 base, uint256 u, uint32 dt) public pure {
        base = _base(base);
        u = bound(u, 0, 1.1e18);
        uint256 adapted = Premium.adapt(base, u, 1 ether, 1 ether, dt);
        assertGe(adapted, Premium.MIN_RATE);
        assertLe(adapted, Premium.MAX_RATE);
        if (u >= Premium.TARGET) assertGe(adapted, base);
        else assertLe(adapted, base);
        if (u == Premium.TARGET || dt == 0) assertEq(adapted, base);
    }

    function testFuzz_AdaptionNeverFallsAsUtilisationOrBaseRises(
        uint256 base,
        uint256 u,
        uint256 du,
        uint256 more,
        uint32 dt
    ) public pure {
        base = _base(base);
        u = bound(u, 0, 1e18);
        uint256 adapted = Premium.adapt(base, u, 2 ether, 2 ether, dt);
        assertLe(adapted, Premium.adapt(base, u + bound(du, 0, 0.1e18), 2 ether, 2 ether, dt));
        assertLe(adapted, Premium.adapt(bound(more, base, Premium.MAX_RATE), u, 2 ether, 2 ether, dt));
    }

    function testFuzz_UpAndDownAreInverse(uint256 base, uint256 dt) public pure {
        base = bound(base, 0.01e18, 0.1e18);
        dt = bound(dt, 0, 8 days);
        uint256 up = Premium.adapt(base, WAD, 1 ether, 1 ether, dt);
        assertApproxEqAbs(Premium.adapt(up, 0, 1 ether, 1 ether, dt), base, 2);
    }

    function testFuzz_TwoStepsAreOne(uint256 base, uint256 u, uint256 first, uint256 second) public pure {
        base = bound(base, 0.01e18, 0.1e18);
        u = bound(u, 0, 1e18);
        first = bound(first, 0, 3.5 days);
        second = bound(second, 0, 3.5 days);
        uint256 twice = Premium.adapt(base, u, 1 ether, 1 ether, first);
        twice = Premium.adapt(twice, u, 1 ether, 1 ether, second);
        assertApproxEqAbs(twice, Premium.adapt(base, u, 1 ether, 1 ether, first + second), 3);
    }

    function testFuzz_OneStepCountsSevenDaysAtMost(uint256 base, uint256 u, uint32 dt) public pure {
        base = _base(base);
        u = bound(u, 0, 1e18);
        uint256 long = Premium.adapt(base, u, 1 ether, 1 ether, 7 days + uint256(dt));
        assertEq(long, Premium.adapt(base, u, 1 ether, 1 ether, 7 days));
    }

    function testFuzz_DustFreezesTheBaseRate(uint256 base, uint256 u, uint256 amount, uint32 dt) public pure {
        amount = bound(amount, 0, 1 ether - 1);
        u = bound(u, 0, 1e27);
        assertEq(Premium.adapt(base, u, amount, 100 ether, dt), base);
        assertEq(Premium.adapt(base, u, 100 ether, amount, dt), base);
    }

    /// @dev exp(70/365) to 30 digits, from the series in exact rationals: 1.211392389...; the largest step there is.
    function test_LargestStepIsTheExponential() public pure {
        uint256 adapted = Premium.adapt(0.1e18, WAD, 1 ether, 1 ether, 7 days);
        // (1 + x/n)^n from below and (1 - x/n)^-n from above, n = 2^20, by repeated squaring: an independent bracket
        uint256 one = 1e36;
        uint256 x = one * 70 / 365 >> 20;
        uint256 low = one + x;
        uint256 high = one * 1e18 / ((one - x) / 1e18);
        for (uint256 i; i < 20; ++i) {
            low = low * low / one;
            high = high * high / one;
        }
        assertGe(adapted + 1, 0.1e18 * low / one);
        assertLe(adapted, 0.1e18 * high / one);
        assertApproxEqRel(low, high, 1e11);
    }
}
