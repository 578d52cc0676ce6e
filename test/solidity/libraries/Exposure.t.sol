// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Test} from "forge-std/Test.sol";
import {Exposure} from "../../../contracts/libraries/Exposure.sol";
import {MathHarness} from "../harness/MathHarness.sol";

contract ExposureTest is Test {
    uint256 internal constant P = 1e9;
    uint256 internal constant Q = 1e4;

    MathHarness internal math = new MathHarness();

    function _word(uint256 seed, uint256 salt) internal pure returns (uint256) {
        return uint256(keccak256(abi.encode(seed, salt)));
    }

    /// @dev Between 0 and `most` values, of all sizes up to `limit_`, with zeros and repetitions.
    function _values(uint256 seed, uint256 most, uint256 limit_) internal pure returns (uint256[] memory values) {
        values = new uint256[](_word(seed, 0) % (most + 1));
        for (uint256 i; i < values.length; ++i) {
            uint256 word = _word(seed, i + 1);
            if (word % 7 == 0) continue;
            if (word % 7 == 1 && i > 0) values[i] = values[i - 1];
            else values[i] = (word >> 8) % ((limit_ >> (word >> 240) % 8) + 1) + 1;
        }
    }

    function _same(uint256 length, uint256 value) internal pure returns (uint256[] memory values) {
        values = new uint256[](length);
        for (uint256 i; i < length; ++i) {
            values[i] = value;
        }
    }

    // golden example

    function test_SixGroupsOf14AndAQuarterNeed3Point36TimesTheCoverAndFail() public pure {
        (uint256 exposed,) = Exposure.largest(_same(6, 14.25e18 * P), 2);
        uint256 u = Exposure.utilisation(exposed, 100e18, 10e18, 1000, 200);
        assertEq((u + 0.005e18) / 0.01e18, 336);
        assertFalse(Exposure.covered(exposed, 100e18, 10e18, 1000, 200));
    }

    function test_SixteenGroupsOf6AndAQuarterAreCoveredBy17() public pure {
        (uint256 exposed,) = Exposure.largest(_same(16, 6.25e18 * P), 2);
        assertTrue(Exposure.covered(exposed, 100e18, 17e18, 1000, 200));
        assertFalse(Exposure.covered(exposed, 100e18, 15e18, 1000, 200));
    }

    // fraction

    function testFuzz_FractionIsRoundedUp(uint64 magnitude, uint64 maxMagnitude) public pure {
        uint256 parts = Exposure.fraction(magnitude, maxMagnitude);
        if (maxMagnitude == 0) {
            assertEq(parts, 0);
            return;
        }
        assertGe(parts * maxMagnitude, uint256(magnitude) * P);
        if (parts != 0) assertLt((parts - 1) * maxMagnitude, uint256(magnitude) * P);
    }

    // largest

    function testFuzz_LargestIsTheSumOfTheFirstKOfTheSorted(uint256 seed, uint256 k) public pure {
        uint256[] memory values = _values(seed, 32, 2 ** 150);
        k = bound(k, 0, 34);
        (uint256 sum, uint256 mask) = Exposure.largest(values, k);
        uint256 n = values.length;
        uint256 want;
        uint256 wantMask;
        // i is taken where fewer than k values come before it in the order (value descending, index ascending)
        for (uint256 i; i < n; ++i) {
            uint256 ahead;
            for (uint256 j; j < n; ++j) {
                if (values[j] > values[i] || (values[j] == values[i] && j < i)) ++ahead;
            }
            if (ahead < k) {
                want += values[i];
                wantMask |= 1 << i;
            }
        }
        assertEq(sum, want);
        assertEq(mask, wantMask);
    }

    function test_MoreThan32GroupsAreRefusedWithNumbers() public {
        uint256[] memory values = _same(33, 1);
        vm.expectRevert(abi.encodeWithSelector(Exposure.TooManyGroups.selector, 33, 32));
        math.largest(values, 1);
        vm.expectRevert(abi.encodeWithSelector(Exposure.TooManyGroups.selector, 33, 32));
        math.ceiling(values, 1, 1);
    }

    function test_ListsOfDifferentLengthAreRefusedWithNumbers() public {
        vm.expectRevert(abi.encodeWithSelector(Exposure.LengthMismatch.selector, 2, 3));
        math.seniorLine(_same(2, 1), _same(3, 1), 0, 0, 0, 0, 0, 0);
        vm.expectRevert(abi.encodeWithSelector(Exposure.LengthMismatch.selector, 3, 2));
        math.deployLine(_same(3, 1), _same(2, 1), 0, 0, 0, 0, 0);
    }

    // gate

    function testFuzz_UtilisationIsAtMostOneExactlyWhereCovered(
        uint256 exposed,
        uint256 v,
        uint256 cover,
        uint256 b,
        uint256 h
    ) public pure {
        v = bound(v, 0, 2 ** 120);
        exposed = bound(exposed, 0, 2 ** 150);
        b = bound(b, 0, Q);
        h = bound(h, 0, Q);
        cover = bound(cover, 0, 2 ** 120);
        assertEq(Exposure.utilisation(exposed, v, cover, b, h) <= 1e18, Exposure.covered(exposed, v, cover, b, h));
        // and at the edge: the smallest cover that passes, and one wei less
        uint256 enough = (Exposure.need(exposed, v, b, h) + Q ** 3 * P - 1) / (Q ** 3 * P);
        assertLe(Exposure.utilisation(exposed, v, enough, b, h), 1e18);
        if (enough != 0) assertGt(Exposure.utilisation(exposed, v, enough - 1, b, h), 1e18);
    }

    function testFuzz_WithoutCoverUtilisationIsTheLargestOrZero(uint256 exposed, uint256 v, uint256 b) public pure {
        exposed = bound(exposed, 0, 2 ** 150);
        v = bound(v, 0, 2 ** 120);
        b = bound(b, 0, Q);
        assertEq(Exposure.utilisation(0, v, 0, b, 0), 0);
        assertEq(Exposure.utilisation(exposed + 1, v, 0, b, 0), Exposure.U_MAX);
        assertLe(Exposure.utilisation(exposed, v, 1, b, 200), Exposure.U_MAX);
    }

    // limits

    function testFuzz_LimitPassesAndOneMoreFails(uint256 seed, uint256 k, uint256 cover, uint256 cap) public pure {
        Exposure.Line memory line = _line(seed);
        k = bound(k, 1, 8);
        cap = bound(cap, 0, 2 ** 100);
        uint256 available = Exposure.budget(bound(cover, 0, 2 ** 90));
        uint256 d = Exposure.limit(line, k, available, cap);
        assertLe(d, cap);
        if (Exposure.demand(line, k, 0) > available) {
            assertEq(d, 0);
            return;
        }
        assertLe(Exposure.demand(line, k, d), available);
        if (d != cap) assertGt(Exposure.demand(line, k, d + 1), available);
    }

    /// @dev Lines that cross often, near a budget that lies inside the crossings.
    function testFuzz_LimitIsExactWhereLinesCross(uint256 seed, uint256 k, uint256 at) public pure {
        Exposure.Line memory line = _crossing(seed);
        k = bound(k, 1, 8);
        uint256 available = Exposure.demand(line, k, bound(at, 0, 2 ** 20)) + _word(seed, 99) % 1000;
        uint256 d = Exposure.limit(line, k, available, 2 ** 110);
        assertLe(Exposure.demand(line, k, d), available);
        assertGt(Exposure.demand(line, k, d + 1), available);
    }

    function testFuzz_LimitEqualsTheLargestFoundByCounting(uint256 seed, uint256 k, uint256 available) public pure {
        Exposure.Line memory line;
        line.level = _values(seed, 6, 64);
        uint256 n = line.level.length;
        line.slope = new uint256[](n);
        for (uint256 i; i < n; ++i) {
            line.slope[i] = _word(seed, i + 50) % 9;
        }
        line.baseLevel = _word(seed, 40) % 16;
        line.baseSlope = _word(seed, 41) % 4;
        k = bound(k, 1, 4);
        available = bound(available, 0, 400);
        uint256 counted;
        for (uint256 d; d <= 128; ++d) {
            if (Exposure.demand(line, k, d) <= available) counted = d;
        }
        assertEq(Exposure.limit(line, k, available, 128), counted);
    }

    function test_FlatLineThatPassesGivesTheCapAndOneThatFailsGivesNothing() public pure {
        Exposure.Line memory line;
        line.level = _same(3, 10);
        line.slope = _same(3, 0);
        assertEq(Exposure.limit(line, 2, 20, 7), 7);
        assertEq(Exposure.limit(line, 2, 19, 7), 0);
    }

    function test_UnboundedCapDoesNotOverflow() public pure {
        uint256[] memory none = new uint256[](0);
        Exposure.Line memory line = Exposure.seniorLine(none, none, 0, 0, 0, 0, 1000, 200);
        uint256 d = Exposure.limit(line, 2, Exposure.budget(10e18), type(uint256).max);
        assertLe(Exposure.demand(line, 2, d), Exposure.budget(10e18));
        assertGt(Exposure.demand(line, 2, d + 1), Exposure.budget(10e18));
        assertEq(Exposure.limit(Exposure.seniorLine(none, none, 0, 0, 0, 0, 0, 0), 2, 0, type(uint256).max), 1 << 120);
    }

    /// @dev The worst two at D = 0 hold little weight, the next two all of it: their room alone would be too large.
    function test_TheWorstGroupsAtZeroAreNotTheWorstAtTheLimit() public pure {
        uint256[] memory exposure = new uint256[](4);
        uint256[] memory rho = new uint256[](4);
        (exposure[0], exposure[1], exposure[2], exposure[3]) = (2e18 * P, 2e18 * P, 1e18 * P, 1e18 * P);
        (rho[2], rho[3]) = (P * Q / 2, P * Q / 2);
        Exposure.Line memory line = Exposure.seniorLine(exposure, rho, 0, 0, 0, 10e18, 0, 0);
        uint256 d = Exposure.limit(line, 2, Exposure.budget(5e18), 1000e18);
        // E3 + E4 = 2 + D <= 5
        assertEq(d, 3e18);
    }

    function testFuzz_SeniorLineIsTheGateAfterVirtualDeployment(uint256 seed, uint256 d, uint256 idle) public pure {
        uint256[] memory exposure = _values(seed, 32, 2 ** 120);
        uint256 n = exposure.length;
        // fractions in P, weights all Q: then every product divides by Q and the gate can be asked directly
        uint256[] memory e = new uint256[](n);
        uint256[] memory rho = new uint256[](n);
        uint256[] memory after_ = new uint256[](n);
        d = bound(d, 0, 2 ** 90);
        idle = bound(idle, 0, 2 ** 90);
        for (uint256 i; i < n; ++i) {
            e[i] = _word(seed, i + 60) % (P + 1);
            rho[i] = e[i] * Q;
            after_[i] = exposure[i] + e[i] * (idle + d);
        }
        uint256 k = 1 + seed % 8;
        uint256 v = _word(seed, 61) % 2 ** 90;
        Exposure.Line memory line = Exposure.seniorLine(exposure, rho, 12345 * P, 77 * Q, idle, v, 1000, 200);
        (uint256 top,) = Exposure.largest(after_, k);
        assertEq(Exposure.demand(line, k, d), Exposure.need(top + 12345 * P + 77 * (idle + d), v + d, 1000, 200));
    }

    function testFuzz_DeployLineIsTheGateAfterDeployment(uint256 seed, uint256 d) public pure {
        uint256[] memory exposure = _values(seed, 32, 2 ** 120);
        uint256 n = exposure.length;
        uint256[] memory e = new uint256[](n);
        uint256[] memory after_ = new uint256[](n);
        d = bound(d, 0, 2 ** 90);
        for (uint256 i; i < n; ++i) {
            e[i] = _word(seed, i + 60) % (P + 1);
            after_[i] = exposure[i] + e[i] * d;
        }
        uint256 k = 1 + seed % 8;
        uint256 v = _word(seed, 61) % 2 ** 90;
        Exposure.Line memory line = Exposure.deployLine(exposure, e, 999 * P, 55, v, 500, 100);
        (uint256 top,) = Exposure.largest(after_, k);
        assertEq(Exposure.demand(line, k, d), Exposure.need(top + 999 * P + 55 * d, v, 500, 100));
    }

    /// SPEC 4.5: what the bound lets pass, the inequality of the limit lets pass
    function testFuzz_TheSeniorBoundIsNeverBelowTheDemand(uint256 seed, uint256 d, uint256 idle) public pure {
        uint256[] memory exposure = _values(seed, 32, 2 ** 120);
        uint256[] memory rho = new uint256[](exposure.length);
        for (uint256 i; i < rho.length; ++i) {
            rho[i] = _word(seed, i + 60) % (P * Q);
        }
        (d, idle) = (bound(d, 0, 2 ** 90), bound(idle, 0, 2 ** 90));
        (uint256 extra, uint256 extraRho, uint256 v) =
            (_word(seed, 50) % 2 ** 100, _word(seed, 51) % (P * Q), _word(seed, 52) % 2 ** 90);
        uint256 k = 1 + seed % 8;
        Exposure.Line memory line = Exposure.seniorLine(exposure, rho, extra, extraRho, idle, v, 1000, 200);
        (uint256 most,) = Exposure.largest(exposure, k);
        (uint256 mostRho,) = Exposure.largest(rho, k);
        // as one sum, which may have been rounded up once where the line's groups were rounded up each
        most = most + extra > k ? most + extra - k : 0;
        assertGe(Exposure.seniorBound(most, mostRho + extraRho, idle, d, v, 1000, 200), Exposure.demand(line, k, d));
    }

    /// SPEC 4.7
    function testFuzz_TheDeployBoundIsNeverBelowTheDemand(uint256 seed, uint256 d) public pure {
        uint256[] memory exposure = _values(seed, 32, 2 ** 120);
        uint256[] memory e = new uint256[](exposure.length);
        for (uint256 i; i < e.length; ++i) {
            e[i] = _word(seed, i + 60) % (P + 1);
        }
        d = bound(d, 0, 2 ** 90);
        (uint256 extra, uint256 extraE, uint256 v) =
            (_word(seed, 50) % 2 ** 100, _word(seed, 51) % P, _word(seed, 52) % 2 ** 90);
        uint256 k = 1 + seed % 8;
        Exposure.Line memory line = Exposure.deployLine(exposure, e, extra, extraE, v, 1000, 200);
        (uint256 most,) = Exposure.largest(exposure, k);
        (uint256 mostE,) = Exposure.largest(e, k);
        most = most + extra > k ? most + extra - k : 0;
        assertGe(Exposure.deployBound(most, mostE + extraE, d, v, 1000, 200), Exposure.demand(line, k, d));
    }

    function testFuzz_JuniorLimitPassesAndOneMoreFails(uint256 exposed, uint256 v, uint256 cover, uint256 b, uint256 h)
        public
        pure
    {
        v = bound(v, 1, 2 ** 100);
        cover = bound(cover, 0, v);
        exposed = bound(exposed, 0, v * P / (1 + exposed % 16));
        b = bound(b, 0, Q);
        h = bound(h, 0, 4999);
        uint256 x = Exposure.juniorLimit(exposed, v, cover, b, h);
        assertLe(x, cover);
        if (!Exposure.covered(exposed, v, cover, b, h)) {
            assertEq(x, 0);
            return;
        }
        assertTrue(Exposure.covered(exposed, v - x, cover - x, b, h));
        if (x < cover) assertFalse(Exposure.covered(exposed, v - x - 1, cover - x - 1, b, h));
    }

    function testFuzz_JuniorLimitNeverReverts(uint256 exposed, uint256 v, uint256 cover, uint256 b, uint256 h)
        public
        pure
    {
        Exposure.juniorLimit(
            bound(exposed, 0, 2 ** 150),
            bound(v, 0, 2 ** 120),
            bound(cover, 0, 2 ** 120),
            bound(b, 0, Q),
            bound(h, 0, Q)
        );
    }

    // deleverage

    function _capped(uint256[] memory exposure, uint256 k, uint256 l) internal pure returns (uint256 sum) {
        uint256[] memory cut = new uint256[](exposure.length);
        for (uint256 i; i < cut.length; ++i) {
            cut[i] = exposure[i] < l ? exposure[i] : l;
        }
        (sum,) = Exposure.largest(cut, k);
    }

    function testFuzz_CeilingIsTheLargestThatFitsTheBudget(uint256 seed, uint256 k, uint256 budget_) public pure {
        uint256[] memory exposure = _values(seed, 32, 2 ** 140);
        k = bound(k, 1, 8);
        budget_ = bound(budget_, 0, 2 ** (1 + seed % 142));
        uint256 l = Exposure.ceiling(exposure, k, budget_);
        assertLe(_capped(exposure, k, l), budget_);
        (uint256 top,) = Exposure.largest(exposure, k);
        if (budget_ == 0) assertEq(l, 0);
        // where something has to be cut, one more does not fit; where nothing has to, nothing is
        else if (top > budget_) assertGt(_capped(exposure, k, l + 1), budget_);
        else assertEq(_capped(exposure, exposure.length, l), _capped(exposure, exposure.length, type(uint256).max));
    }

    function testFuzz_CeilingEqualsTheLargestFoundByCounting(uint256 seed, uint256 k, uint256 budget_) public pure {
        uint256[] memory exposure = _values(seed, 6, 40);
        k = bound(k, 1, 7);
        (uint256 top,) = Exposure.largest(exposure, k);
        if (top == 0) return;
        budget_ = bound(budget_, 0, top - 1);
        uint256 counted;
        while (_capped(exposure, k, counted + 1) <= budget_) ++counted;
        assertEq(Exposure.ceiling(exposure, k, budget_), counted);
    }

    function testFuzz_CutToTheCeilingTheTierIsCovered(uint256 seed, uint256 k, uint256 cover, uint256 b, uint256 h)
        public
        pure
    {
        uint256[] memory exposure = _values(seed, 32, 2 ** 110);
        k = bound(k, 1, 8);
        cover = bound(cover, 0, 2 ** 90);
        b = bound(b, 0, Q);
        h = bound(h, 0, Q);
        uint256 v = cover + _word(seed, 70) % 2 ** 90;
        uint256 extra = _word(seed, 71) % 2 ** 100;
        uint256 budget_ = Exposure.deleverageBudget(cover, v, extra, b, h);
        uint256 exposed = _capped(exposure, k, Exposure.ceiling(exposure, k, budget_)) + extra;
        if (budget_ != 0) assertTrue(Exposure.covered(exposed, v, cover, b, h));
    }

    function testFuzz_DeleverageBudgetIsTheLargestWithinTheRoundingOfTwoWeiTimesP(
        uint256 cover,
        uint256 v,
        uint256 b,
        uint256 h
    ) public pure {
        cover = bound(cover, 0, 2 ** 120);
        v = bound(v, 0, 2 ** 120);
        b = bound(b, 0, Q);
        h = bound(h, 0, Q);
        uint256 budget_ = Exposure.deleverageBudget(cover, v, 0, b, h);
        if (budget_ != 0) assertTrue(Exposure.covered(budget_, v, cover, b, h));
        assertFalse(Exposure.covered(budget_ + 2, v, cover, b, h));
    }

    /// @dev Agents with two sets in each group; some sets have a decrease pending from before.
    struct Fleet {
        uint256[4] stake;
        uint256[4] maxMagnitude;
        uint256[5][4][2] cur;
        uint256[5][4][2] later;
        bool[5][4][2] pending;
    }

    function _fleet(uint256 seed) internal pure returns (Fleet memory f) {
        for (uint256 i; i < 4; ++i) {
            f.stake[i] = _word(seed, i) % 1000e18;
            f.maxMagnitude[i] = 1e18 - _word(seed, 10 + i) % 5e17;
            for (uint256 g; g < 5; ++g) {
                for (uint256 s; s < 2; ++s) {
                    uint256 word = _word(seed, 100 + i * 10 + g * 2 + s);
                    f.cur[s][i][g] = word % (f.maxMagnitude[i] / 10);
                    f.later[s][i][g] = f.cur[s][i][g];
                    if (word >> 200 == 0 || (word >> 200) % 7 == 0) {
                        f.pending[s][i][g] = true;
                        f.later[s][i][g] = (word >> 100) % (f.cur[s][i][g] + 1);
                    }
                }
            }
        }
    }

    /// @dev What stays movable in an agent's group, what is settled, and both together as the gate counts them.
    function _parts(Fleet memory f, uint256 i, uint256 g)
        internal
        pure
        returns (uint256 held, uint256 movable, uint256 settled, uint256 exposed)
    {
        uint256 left;
        for (uint256 s; s < 2; ++s) {
            if (f.pending[s][i][g]) left += f.later[s][i][g];
            else held += f.cur[s][i][g];
        }
        movable = f.stake[i] * Exposure.fraction(held, f.maxMagnitude[i]);
        settled = f.stake[i] * Exposure.fraction(left, f.maxMagnitude[i]);
        exposed = f.stake[i] * Exposure.fraction(held + left, f.maxMagnitude[i]);
    }

    function _group(Fleet memory f, uint256 g)
        internal
        pure
        returns (uint256 movable, uint256 settled, uint256 exposed)
    {
        for (uint256 i; i < 4; ++i) {
            (, uint256 m, uint256 s, uint256 e) = _parts(f, i, g);
            movable += m;
            settled += s;
            exposed += e;
        }
    }

    function _ceiling(Fleet memory f, uint256 k, uint256 budget_) internal pure returns (uint256) {
        uint256[] memory sums = new uint256[](5);
        for (uint256 g; g < 5; ++g) {
            (uint256 movable, uint256 settled,) = _group(f, g);
            sums[g] = movable + settled;
        }
        return Exposure.ceiling(sums, k, budget_);
    }

    function _deleverage(Fleet memory f, uint256 i, uint256 k, uint256 budget_) internal pure {
        uint256 l = _ceiling(f, k, budget_);
        for (uint256 g; g < 5; ++g) {
            (uint256 movable, uint256 settled,) = _group(f, g);
            if (movable + settled <= l) continue;
            (uint256 held,,,) = _parts(f, i, g);
            for (uint256 s; s < 2; ++s) {
                if (f.pending[s][i][g] || f.cur[s][i][g] == 0) continue;
                f.later[s][i][g] = Exposure.target(f.cur[s][i][g], held, f.maxMagnitude[i], movable, settled, l);
                assertLe(f.later[s][i][g] * 4, f.cur[s][i][g] * 3);
            }
            for (uint256 s; s < 2; ++s) {
                if (f.later[s][i][g] < f.cur[s][i][g]) f.pending[s][i][g] = true;
            }
        }
    }

    function testFuzz_CuttingAgentByAgentInAnyOrderMeetsTheBudget(uint256 seed, uint256 k, uint256 part) public pure {
        Fleet memory f = _fleet(seed);
        k = bound(k, 1, 4);
        uint256 budget_;
        {
            uint256[] memory before = new uint256[](5);
            for (uint256 g; g < 5; ++g) {
                (uint256 movable, uint256 settled,) = _group(f, g);
                before[g] = movable + settled;
            }
            (budget_,) = Exposure.largest(before, k);
            budget_ = bound(part, 0, budget_);
        }
        uint256 l = _ceiling(f, k, budget_);
        bool possible = true;
        for (uint256 g; g < 5; ++g) {
            (, uint256 settled,) = _group(f, g);
            if (settled > l) possible = false;
        }
        uint256 first = _word(seed, 7) % 4;
        for (uint256 i; i < 4; ++i) {
            _deleverage(f, (i * (1 + 2 * (seed % 2)) + first) % 4, k, budget_);
        }
        uint256[] memory after_ = new uint256[](5);
        for (uint256 g; g < 5; ++g) {
            (,, after_[g]) = _group(f, g);
        }
        (uint256 top,) = Exposure.largest(after_, k);
        if (possible) assertLe(top, budget_);
    }

    function test_TwoAgentsOfOneGroupAreCutInTheSameProportion() public pure {
        // 1 + 1 down to 1: half of the first, and then half of the second, not two thirds
        uint256 first = Exposure.target(5e17, 5e17, 1e18, 2e27, 0, 1e27);
        assertEq(first, 2.5e17);
        assertEq(Exposure.target(5e17, 5e17, 1e18, 1e27, 0.5e27, 1e27), first);
    }

    function test_ACutIsAtLeastAQuarterAndNothingWithinTheCeilingIsCut() public pure {
        assertEq(Exposure.target(5e17, 5e17, 1e18, 100, 0, 99), 3.75e17);
        assertEq(Exposure.target(5e17, 5e17, 1e18, 100, 0, 100), 5e17);
        assertEq(Exposure.target(5e17, 5e17, 1e18, 100, 30, 20), 0);
    }

    // gas: the dearest limit there is must stay far below a block

    function testFuzz_LimitOf32GroupsIsAffordable(uint256 seed, uint256 at) public view {
        Exposure.Line memory line = _crossing(seed);
        uint256 available = Exposure.demand(line, 4, bound(at, 0, 2 ** 20));
        uint256 left = gasleft();
        Exposure.limit(line, 4, available, 2 ** 110);
        assertLt(left - gasleft(), 1_500_000);
    }

    /// @dev Slopes and levels in geometric progression: the most steps that were found, about 30.
    function test_LimitOfTheSlowestShapeFoundIsAffordable() public view {
        Exposure.Line memory line;
        line.level = new uint256[](32);
        line.slope = new uint256[](32);
        for (uint256 i; i < 32; ++i) {
            line.slope[i] = 1 << (3 * i);
            line.level[i] = (1 << 200) - (1 << (6 * i));
        }
        uint256 available = Exposure.demand(line, 4, 3);
        uint256 left = gasleft();
        uint256 d = Exposure.limit(line, 4, available, 2 ** 110);
        assertLt(left - gasleft(), 2_000_000);
        assertEq(d, 3);
    }

    function _line(uint256 seed) internal pure returns (Exposure.Line memory) {
        uint256[] memory exposure = _values(seed, 32, 2 ** 115);
        uint256[] memory rho = new uint256[](exposure.length);
        for (uint256 i; i < rho.length; ++i) {
            rho[i] = _word(seed, 200 + i) % 3 == 0 ? 0 : _word(seed, 300 + i) % (P * Q / 4);
        }
        return Exposure.seniorLine(
            exposure,
            rho,
            _word(seed, 400) % 3 == 0 ? _word(seed, 401) % 2 ** 110 : 0,
            _word(seed, 402) % 3 == 0 ? _word(seed, 403) % (P * Q / 8) : 0,
            _word(seed, 404) % 2 ** 80,
            _word(seed, 405) % 2 ** 90,
            _word(seed, 406) % (Q / 2),
            _word(seed, 407) % 1000
        );
    }

    /// @dev 32 lines tangent to a parabola: every one of them is among the largest somewhere in 0..2^20.
    function _crossing(uint256 seed) internal pure returns (Exposure.Line memory line) {
        line.level = new uint256[](32);
        line.slope = new uint256[](32);
        for (uint256 i; i < 32; ++i) {
            uint256 x = (i << 15) + _word(seed, i) % 2 ** 15;
            line.slope[i] = 2 * x;
            line.level[i] = 2 ** 42 - x * x;
        }
        line.baseSlope = _word(seed, 33) % 3;
    }
}
