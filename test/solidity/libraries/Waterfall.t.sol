// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Test} from "forge-std/Test.sol";
import {Waterfall} from "../../../contracts/libraries/Waterfall.sol";
import {MathHarness} from "../harness/MathHarness.sol";

contract WaterfallTest is Test {
    using Waterfall for Waterfall.Books;

    MathHarness internal math = new MathHarness();

    /// @dev Any books within the domain, with empty buckets often enough to matter.
    function _books(uint256 seed) internal pure returns (Waterfall.Books memory b) {
        b.reserve = _amount(seed, 1);
        b.junior = _amount(seed, 2);
        b.senior = _amount(seed, 3);
        b.gains = _amount(seed, 4);
    }

    function _amount(uint256 seed, uint256 salt) internal pure returns (uint256) {
        uint256 word = uint256(keccak256(abi.encode(seed, salt)));
        if (word % 5 == 0) return 0;
        return (word >> 8) % (2 ** (1 + (word >> 200) % 118));
    }

    function _copy(Waterfall.Books memory b) internal pure returns (Waterfall.Books memory) {
        return Waterfall.Books(b.reserve, b.junior, b.senior, b.gains);
    }

    // lose

    function testFuzz_LossIsTakenExactlyOnce(uint256 seed, uint256 amount) public pure {
        Waterfall.Books memory b = _books(seed);
        uint256 before = b.total();
        Waterfall.Borne memory borne = b.lose(amount);
        assertEq(borne.gains + borne.reserve + borne.junior + borne.senior + borne.uncovered, amount);
        assertEq(before - b.total(), amount - borne.uncovered);
    }

    function testFuzz_LossFallsOnGainsReserveJuniorSeniorInThisOrder(uint256 seed, uint256 part) public pure {
        Waterfall.Books memory b = _books(seed);
        Waterfall.Books memory was = _copy(b);
        uint256 amount = bound(part, 0, b.total() + 10);
        Waterfall.Borne memory borne = b.lose(amount);
        if (b.gains != 0) assertEq(borne.reserve, 0);
        if (b.reserve != 0) assertEq(borne.junior, 0);
        if (b.junior != 0) assertEq(borne.senior, 0);
        if (b.senior != 0) assertEq(borne.uncovered, 0);
        assertEq(was.gains - b.gains, borne.gains);
        assertEq(was.reserve - b.reserve, borne.reserve);
        assertEq(was.junior - b.junior, borne.junior);
        assertEq(was.senior - b.senior, borne.senior);
    }

    function testFuzz_SeniorIsUntouchedWhileTheOthersCoverTheLoss(uint256 seed, uint256 part) public pure {
        Waterfall.Books memory b = _books(seed);
        uint256 senior = b.senior;
        b.lose(bound(part, 0, b.gains + b.reserve + b.junior));
        assertEq(b.senior, senior);
    }

    function testFuzz_TwoLossesAreOne(uint256 seed, uint128 first, uint128 second) public pure {
        Waterfall.Books memory apart = _books(seed);
        Waterfall.Books memory together = _copy(apart);
        apart.lose(first);
        apart.lose(second);
        together.lose(uint256(first) + second);
        assertEq(abi.encode(apart), abi.encode(together));
    }

    // distribute

    function testFuzz_DistributionKeepsTheTotalAndNobodyLoses(uint256 seed, uint256 part, uint256 due, bool deficit)
        public
        pure
    {
        Waterfall.Books memory b = _books(seed);
        Waterfall.Books memory was = _copy(b);
        uint256 amount = bound(part, 0, b.gains);
        b.distribute(amount, due, deficit);
        assertEq(b.total(), was.total());
        assertEq(b.gains, was.gains - amount);
        assertGe(b.reserve, was.reserve);
        assertGe(b.junior, was.junior);
        assertGe(b.senior, was.senior);
    }

    function testFuzz_PremiumIsAtMostHalfOfTheSeniorsYield(uint256 seed, uint256 part, uint256 due) public pure {
        Waterfall.Books memory b = _books(seed);
        Waterfall.Books memory was = _copy(b);
        uint256 premium = b.distribute(bound(part, 0, b.gains), due, false);
        assertLe(premium, due);
        assertLe(premium, b.senior - was.senior);
    }

    function testFuzz_SharesArePerValueUpToRounding(uint256 seed, uint256 part) public pure {
        Waterfall.Books memory b = _books(seed);
        Waterfall.Books memory was = _copy(b);
        uint256 amount = bound(part, 0, b.gains);
        b.distribute(amount, 0, false);
        uint256 owned = was.reserve + was.junior + was.senior;
        if (owned == 0) {
            assertEq(b.reserve, amount);
            return;
        }
        // rounded down for reserve and senior; the junior has the dust of both, the reserve where there is no junior
        assertEq(b.senior - was.senior, amount * was.senior / owned);
        if (was.junior != 0) assertEq(b.reserve - was.reserve, amount * was.reserve / owned);
        else assertEq(b.junior, 0);
        if (was.junior != 0) assertLe(b.junior - was.junior, amount * was.junior / owned + 2);
    }

    function testFuzz_OpenDeficitPaysNoPremium(uint256 seed, uint256 part, uint256 due) public pure {
        Waterfall.Books memory b = _books(seed);
        assertEq(b.distribute(bound(part, 0, b.gains), due, true), 0);
    }

    function testFuzz_NoJuniorNoPremium(uint256 seed, uint256 part, uint256 due) public pure {
        Waterfall.Books memory b = _books(seed);
        b.junior = 0;
        assertEq(b.distribute(bound(part, 0, b.gains), due, false), 0);
        assertEq(b.junior, 0);
    }

    function testFuzz_DuePremiumIsPaidWhereTheYieldBearsIt(uint256 due) public pure {
        Waterfall.Books memory b = Waterfall.Books({reserve: 0, junior: 20e18, senior: 80e18, gains: 1e18});
        due = bound(due, 0, 0.4e18);
        assertEq(b.distribute(1e18, due, false), due);
        assertEq(b.junior, 20.2e18 + due);
        assertEq(b.senior, 80.8e18 - due);
    }

    function test_MoreThanTheGainsIsRefusedWithNumbers() public {
        Waterfall.Books memory b = Waterfall.Books(1, 2, 3, 4);
        vm.expectRevert(abi.encodeWithSelector(Waterfall.InsufficientGains.selector, 4, 5));
        math.distribute(b, 5, 0, false);
    }

    // gain and vested

    function testFuzz_GainOnlyEntersTheGains(uint256 seed, uint256 amount, uint32 unlockAt, uint32 time) public pure {
        Waterfall.Books memory b = _books(seed);
        Waterfall.Books memory was = _copy(b);
        amount = bound(amount, 0, 2 ** 119);
        b.gain(amount, unlockAt, time);
        assertEq(b.gains, was.gains + amount);
        was.gains = b.gains;
        assertEq(abi.encode(b), abi.encode(was));
    }

    function testFuzz_GainNeverHastensWhatVestsAlreadyAndNeverExceedsThreeDays(
        uint256 seed,
        uint256 amount,
        uint256 left
    ) public pure {
        Waterfall.Books memory b = _books(seed);
        uint256 time = 1_800_000_000;
        uint256 unlockAt = time + bound(left, 0, Waterfall.VESTING);
        amount = bound(amount, 1, 2 ** 119);
        uint256 newUnlockAt = b.gain(amount, unlockAt, time);
        if (b.gains != amount) assertGe(newUnlockAt, unlockAt);
        assertLe(newUnlockAt, time + Waterfall.VESTING);
        assertGt(newUnlockAt, time);
    }

    function testFuzz_TheNewEndIsTheWeightedMeanRoundedUp(uint256 seed, uint256 amount, uint256 left) public pure {
        Waterfall.Books memory b = _books(seed);
        left = bound(left, 0, Waterfall.VESTING);
        amount = bound(amount, 1, 2 ** 119);
        uint256 weighted = b.gains * left + amount * Waterfall.VESTING;
        uint256 after_ = b.gains + amount;
        uint256 span = b.gain(amount, 1000 + left, 1000) - 1000;
        assertGe(span * after_, weighted);
        assertLt((span - 1) * after_, weighted);
    }

    function test_FirstGainVestsOverThreeDays() public pure {
        Waterfall.Books memory b;
        assertEq(b.gain(1 ether, 0, 1000), 1000 + 3 days);
    }

    function testFuzz_DustMovesTheEndByASecondAtMost(uint256 left) public pure {
        Waterfall.Books memory b = Waterfall.Books(0, 0, 0, 1 ether);
        uint256 unlockAt = 1000 + bound(left, 1, Waterfall.VESTING);
        assertLe(b.gain(1, unlockAt, 1000), unlockAt + 1);
    }

    function testFuzz_NoGainChangesNothing(uint256 seed, uint256 unlockAt, uint256 time) public pure {
        Waterfall.Books memory b = _books(seed);
        bytes32 was = keccak256(abi.encode(b));
        assertEq(b.gain(0, unlockAt, time), unlockAt);
        assertEq(keccak256(abi.encode(b)), was);
    }

    function testFuzz_VestedStaysWithinTheGainsAndEndsAtAll(uint256 gains, uint32 start, uint32 span, uint32 passed)
        public
        pure
    {
        gains = bound(gains, 0, 2 ** 120);
        uint256 unlockAt = uint256(start) + span;
        uint256 amount = Waterfall.vested(gains, start, unlockAt, uint256(start) + passed);
        assertLe(amount, gains);
        if (passed >= span) assertEq(amount, gains);
        else if (passed == 0) assertEq(amount, 0);
    }

    function testFuzz_SyncingMoreOftenNeverVestsEarlier(uint256 gains, uint256 span, uint256 first, uint256 second)
        public
        pure
    {
        gains = bound(gains, 0, 2 ** 120);
        span = bound(span, 2, Waterfall.VESTING);
        first = bound(first, 0, span - 1);
        second = bound(second, first, span);
        uint256 early = Waterfall.vested(gains, 0, span, first);
        uint256 twice = early + Waterfall.vested(gains - early, first, span, second);
        assertLe(twice, Waterfall.vested(gains, 0, span, second));
        if (second == span) assertEq(twice, gains);
    }
}
