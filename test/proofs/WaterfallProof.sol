// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Waterfall} from "../../contracts/libraries/Waterfall.sol";

/// @title WaterfallProof
/// @notice Properties of a loss, proven for every input by symbolic execution: each `check_` function holds for all
/// values of its arguments or halmos prints a counterexample. One property per function keeps the solver quick.
/// @dev Run: `FOUNDRY_SRC=contracts/libraries FOUNDRY_TEST=test/proofs FOUNDRY_CACHE_PATH=cache/proofs
/// FOUNDRY_OUT=cache/proofs/out halmos --forge-build-out cache/proofs/out --contract WaterfallProof --function check_`.
/// Books and losses are arbitrary 256-bit numbers unless their type is narrower.
contract WaterfallProof {
    using Waterfall for Waterfall.Books;

    function _books(uint256 reserve, uint256 junior, uint256 senior, uint256 gains)
        private
        pure
        returns (Waterfall.Books memory)
    {
        return Waterfall.Books({reserve: reserve, junior: junior, senior: senior, gains: gains});
    }

    /// @notice What the buckets bear and what nobody bears is the loss, in 256-bit arithmetic.
    function check_lossIsBorneExactlyOnce(uint256 r, uint256 j, uint256 s, uint256 g, uint256 loss) public pure {
        Waterfall.Borne memory borne = _books(r, j, s, g).lose(loss);
        unchecked {
            assert(borne.gains + borne.reserve + borne.junior + borne.senior + borne.uncovered == loss);
        }
    }

    /// @notice Every bucket falls by what it bears.
    function check_everyBucketFallsByWhatItBears(uint256 r, uint256 j, uint256 s, uint256 g, uint256 loss) public pure {
        Waterfall.Books memory b = _books(r, j, s, g);
        Waterfall.Borne memory borne = b.lose(loss);
        unchecked {
            assert(b.gains + borne.gains == g && b.reserve + borne.reserve == r);
            assert(b.junior + borne.junior == j && b.senior + borne.senior == s);
        }
    }

    /// @notice No bucket bears more than it holds.
    function check_noBucketBearsMoreThanItHolds(uint256 r, uint256 j, uint256 s, uint256 g, uint256 loss) public pure {
        Waterfall.Borne memory borne = _books(r, j, s, g).lose(loss);
        assert(borne.gains <= g && borne.reserve <= r && borne.junior <= j && borne.senior <= s);
    }

    /// @notice Invariant 3: the senior loses only when gains, reserve and junior are empty.
    function check_seniorLosesLast(uint256 r, uint256 j, uint256 s, uint256 g, uint256 loss) public pure {
        Waterfall.Books memory b = _books(r, j, s, g);
        Waterfall.Borne memory borne = b.lose(loss);
        assert(borne.senior == 0 || (b.gains == 0 && b.reserve == 0 && b.junior == 0));
    }

    /// @notice The junior loses only when gains and reserve are empty, the reserve only when the gains are.
    function check_juniorLosesAfterTheReserve(uint256 r, uint256 j, uint256 s, uint256 g, uint256 loss) public pure {
        Waterfall.Books memory b = _books(r, j, s, g);
        Waterfall.Borne memory borne = b.lose(loss);
        assert(borne.junior == 0 || (b.gains == 0 && b.reserve == 0));
        assert(borne.reserve == 0 || b.gains == 0);
    }

    /// @notice Something is left uncovered only when every book is empty.
    function check_uncoveredOnlyWhenAllIsGone(uint256 r, uint256 j, uint256 s, uint256 g, uint256 loss) public pure {
        Waterfall.Books memory b = _books(r, j, s, g);
        Waterfall.Borne memory borne = b.lose(loss);
        assert(borne.uncovered == 0 || (b.gains == 0 && b.reserve == 0 && b.junior == 0 && b.senior == 0));
    }

    /// @notice From the end of vesting on all gains have vested; before the next second none has.
    function check_allHasVestedAtTheEnd(uint256 gains, uint256 start, uint256 end, uint256 time) public pure {
        uint256 amount = Waterfall.vested(gains, start, end, time >= end ? time : start);
        assert(amount == (time >= end || start >= end ? gains : 0));
    }

    /// @notice A gain enters the unvested gains and nothing else.
    function check_gainEntersTheGainsOnly(uint256 r, uint256 j, uint256 s, uint64 g, uint64 amount, uint32 at)
        public
        pure
    {
        Waterfall.Books memory b = _books(r, j, s, g);
        b.gain(amount, at, 1);
        assert(b.gains == uint256(g) + amount);
        assert(b.reserve == r && b.junior == j && b.senior == s);
    }

    /// @notice Sharing gains changes no total, whatever the premium due.
    function check_distributionKeepsTheTotal(uint120 r, uint120 j, uint120 s, uint120 g, uint120 v, uint256 due)
        public
        pure
    {
        if (v > g) return;
        Waterfall.Books memory b = _books(r, j, s, g);
        uint256 before = b.total();
        b.distribute(v, due, false);
        assert(b.total() == before);
    }

    /// @notice While a Deficit is open the junior is paid no premium.
    function check_noPremiumInADeficit(uint120 r, uint120 j, uint120 s, uint120 g, uint120 v, uint256 due) public pure {
        if (v > g) return;
        assert(_books(r, j, s, g).distribute(v, due, true) == 0);
    }
}
