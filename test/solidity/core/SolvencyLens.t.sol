// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ITier} from "../../../contracts/interfaces/ITier.sol";
import {Waterfall} from "../../../contracts/libraries/Waterfall.sol";
import {SolvencyLens} from "../../../contracts/periphery/SolvencyLens.sol";
import {UnitFixture} from "./UnitFixture.sol";

/// @notice What the lens says would happen is what happens; and the headline: while at most k groups slash, however
/// much, a senior share loses nothing.
contract SolvencyLensTest is UnitFixture {
    function setUp() public {
        _setUpTier(4, 4, QUARTER, 2);
    }

    function _random(uint256 seed, uint256 n) private pure returns (uint256) {
        return uint256(keccak256(abi.encode(seed, n)));
    }

    function _slashGroups(uint256 groups) private {
        for (uint256 g; g < 16; ++g) {
            if ((groups >> g) & 1 == 1) _slash(d, g, g / 4, 1e18);
        }
    }

    function _assertNear(uint256 seen, uint256 predicted, uint256 tolerance, string memory what) private pure {
        assertLe(seen > predicted ? seen - predicted : predicted - seen, tolerance, what);
    }

    /// @dev Slashes for real what the lens was asked about, and compares every bucket.
    function _compare(uint256 groups, uint256 tolerance) private {
        SolvencyLens.Solvency memory s = lens.solvencyAgainst(d.tier, groups, false);
        uint256 value = d.tier.preview().value;
        assertEq(s.value, value);
        _slashGroups(groups);
        ITier.Preview memory p = d.tier.preview();
        uint256 lost = value - p.value;
        assertLe(lost, s.loss, "never more than predicted");
        assertLe(s.loss - lost, tolerance, "and hardly less");
        d.tier.sync();
        Waterfall.Books memory b = d.tier.books();
        assertGe(b.senior, s.afterwards.senior);
        assertLe(b.senior - s.afterwards.senior, tolerance, "senior");
        // a junior book that is gone retires: what is left of it goes to the reserve
        _assertNear(
            b.junior + b.reserve + b.gains,
            s.afterwards.junior + s.afterwards.reserve + s.afterwards.gains,
            tolerance,
            "all others"
        );
    }

    /// forge-config: default.fuzz.runs = 48
    function testFuzz_AnyGroupsTakeWhatTheLensSays(uint16 groups) public {
        _fund();
        _compare(groups, 20); // four agents, a few wei each
    }

    /// forge-config: default.fuzz.runs = 48
    function testFuzz_AnyGroupsTakeWhatTheLensSaysOfACrookedTier(uint16 groups, uint256 seed) public {
        lido.report{value: 1 ether + seed % 50_000 ether}(int256(1 ether + seed % 50_000 ether));
        _fund();
        _request(true, alice, 20 ether + seed % 20 ether);
        d.stakes.unbond();
        if (seed % 2 == 0) _slash(d, seed % 4, 0, 1 + _random(seed, 1) % 0.9e18);
        if (seed % 3 == 0) _slash(d, 4 + seed % 4, 1, 1 + _random(seed, 2) % 0.9e18);
        _skip(seed % 20_000);
        d.tier.sync();
        // fractions of an agent are counted in 1e-9, rounded up
        _compare(groups, d.tier.preview().observation.staked / 1e8);
    }

    function test_TheLensCountsWhatRoundingAddsToALoss() public {
        testFuzz_AnyGroupsTakeWhatTheLensSaysOfACrookedTier(
            1, 518843064123240625252993138299952808656230431328185633332353
        );
    }

    function test_TheLensNamesTheWorstGroupsAndTheirLossIsCovered() public {
        _fund();
        SolvencyLens.Solvency memory s = lens.solvencyAgainstWorst(d.tier);
        assertTrue(s.covered);
        assertEq(s.seniorLossBps, 0);
        assertEq(s.borne.senior, 0);
        assertGt(s.juniorLossBps, 0);
        uint256 named;
        for (uint256 g; g < 32; ++g) {
            if ((s.worst >> g) & 1 == 1) ++named;
        }
        assertEq(named, 2);
        _compare(s.worst, 20);
    }

    function test_TheLensTakesEverythingWithoutOverflowing() public {
        _fund();
        SolvencyLens.Solvency memory s = lens.solvency(d.tier);
        uint256 staked = d.tier.preview().observation.staked;
        assertEq(s.loss, staked, "never more than is staked");
        assertGt(s.seniorLossBps, 0);
        assertEq(s.juniorLossBps, 10_000);
        _compare(0xffff, 20);
    }

    function test_UnapprovedSetsAreAskedAboutApart() public {
        _fund();
        uint256 alone = lens.solvencyAgainst(d.tier, 1 << 2, false).loss;
        d.avss[2].updateSlasher(1, mallory);
        d.risk.poke(2);
        SolvencyLens.Solvency memory s = lens.solvencyAgainst(d.tier, 0, true);
        assertEq(s.loss, alone);
        assertEq(s.lossUnapproved, alone);
        assertFalse(s.covered);
        assertEq(lens.solvencyAgainst(d.tier, type(uint32).max, false).lossByGroup[2], 0);
    }

    // ------------------------------------------------------------------------------------------- headline

    /// forge-config: default.fuzz.runs = 64
    function testFuzz_WhileTwoGroupsSlashASeniorLosesNothing(uint256 seed) public {
        _live(seed);
        assertLe(d.tier.preview().utilisation, 1e18, "a covered block");
        uint256 senior = d.tier.preview().books.senior;
        uint256 first = _random(seed, 10) % 16;
        uint256 second = (first + 1 + _random(seed, 11) % 15) % 16;
        for (uint256 n = 20; n < 24; ++n) {
            uint256 g = n % 2 == 0 ? first : second;
            // a third of all slashes take everything
            uint256 wad = _random(seed, n) % 3 == 0 ? 1e18 : 1 + _random(seed, n + 10) % 1e18;
            _slash(d, g, g / 4, wad);
            if (_random(seed, n + 20) % 2 == 0) {
                d.tier.sync();
                _assertConserved(d);
            }
        }
        d.tier.sync();
        assertEq(d.tier.books().senior, senior, "unmoved to the wei");
        assertEq(d.tier.deficit().closesAt, 0);
        _assertConserved(d);
    }

    /// forge-config: default.fuzz.runs = 64
    function testFuzz_WhileTwoGroupsSlashAndLidoLosesItsHaircutTheSeniorRateDoesNotFall(uint256 seed) public {
        _live(seed);
        uint256 rate = d.senior.collateralRate();
        uint256 first = _random(seed, 10) % 16;
        uint256 second = (first + 1 + _random(seed, 11) % 15) % 16;
        _slash(d, first, first / 4, 1e18);
        _skip(_random(seed, 12) % 20_000);
        lido.report(-int256(lido.getTotalPooledEther() * (_random(seed, 13) % 201) / 10_000));
        if (_random(seed, 14) % 2 == 0) d.tier.sync();
        _skip(_random(seed, 15) % 1_600);
        _slash(d, second, second / 4, 1 + _random(seed, 16) % 1e18);
        d.tier.sync();
        assertGe(d.senior.collateralRate(), rate);
        _assertConserved(d);
    }

    /// @dev A tier at a random point of its life, at most covered to the limit.
    function _live(uint256 seed) private {
        uint256 earned = 1 + _random(seed, 0) % 100_000 ether;
        lido.report{value: earned}(int256(earned));
        _deposit(d.junior, bob, 1 ether + _random(seed, 1) % 500 ether);
        uint256 most = d.senior.maxDeposit(alice);
        _deposit(d.senior, alice, _random(seed, 2) % 2 == 0 ? most : 0.01 ether + _random(seed, 3) % most);
        for (uint256 i; i < 4; ++i) {
            uint256 limit = d.stakes.deployLimit(i);
            if (limit > 1 ether) d.stakes.deploy(i, limit - _random(seed, 4 + i) % (limit / 4));
        }
        _allocateAll(d, 4, QUARTER);
        uint256 shares = d.senior.balanceOf(alice);
        if (_random(seed, 8) % 2 == 0 && shares > 10 ether) {
            _request(true, alice, shares / 4);
            if (d.stakes.unbondNeed() != 0) d.stakes.unbond();
        }
        _skip(_random(seed, 9) % 21_600);
    }
}
