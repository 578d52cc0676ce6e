// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {IRiskManager} from "../interfaces/IRiskManager.sol";
import {ITier} from "../interfaces/ITier.sol";
import {Exposure} from "../libraries/Exposure.sol";
import {Waterfall} from "../libraries/Waterfall.sol";

/// @title Proof of solvency as one view
/// @notice What happens to a tier if slashers slash everything that is allocated to them, now. Lending markets, keepers
/// and the app read this; it holds nothing and trusts only the tier that it is asked about.
contract SolvencyLens {
    using Waterfall for Waterfall.Books;

    uint256 private constant GROUPS = 32;

    /// @notice The answer, in wei. `lossByGroup` is what each chosen group would take alone; `loss` what they take
    /// together, never more than is staked. `borne` says which bucket pays; `afterwards` are the books that remain.
    struct Solvency {
        uint256 value;
        uint256 loss;
        uint256[] lossByGroup;
        uint256 lossUnapproved;
        Waterfall.Borne borne;
        Waterfall.Books afterwards;
        uint256 seniorLossBps; // of the senior's book, rounded up
        uint256 juniorLossBps; // of the junior's book, rounded up
        bool covered; // U <= 1 with margin and haircut
        uint256 worst; // bit g: group g is one of the k largest
    }

    /// @notice Every slasher takes everything that he could take now. Reverts if EigenLayer cannot be read.
    function solvency(ITier tier) external view returns (Solvency memory) {
        return solvencyAgainst(tier, type(uint32).max, true);
    }

    /// @notice The k worst groups (and all unapproved sets) take everything: the case that cover is built for.
    function solvencyAgainstWorst(ITier tier) external view returns (Solvency memory) {
        IRiskManager.Exposures memory x = IRiskManager(tier.parts().risk).exposures(false);
        return solvencyAgainst(tier, x.worst, true);
    }

    /// @notice The groups of the bitmap `groups` (bit g: group g) take everything that they could take now, and with
    /// `unapproved` also every set whose slasher is not approved. Losses are rounded up.
    function solvencyAgainst(ITier tier, uint256 groups, bool unapproved) public view returns (Solvency memory s) {
        ITier.Preview memory p = tier.preview();
        IRiskManager.Exposures memory x = IRiskManager(tier.parts().risk).exposures(false);
        s.value = p.value;
        s.covered = p.utilisation <= 1e18;
        s.worst = x.worst;
        s.lossByGroup = new uint256[](GROUPS);
        uint256 sum;
        for (uint256 g; g < GROUPS; ++g) {
            if ((groups >> g) & 1 == 0) continue;
            s.lossByGroup[g] = Math.ceilDiv(x.current[g], Exposure.P);
            sum += x.current[g];
        }
        if (unapproved) {
            s.lossUnapproved = Math.ceilDiv(x.unapproved, Exposure.P);
            sum += x.unapproved;
        }
        s.loss = Math.min(Math.ceilDiv(sum, Exposure.P), p.observation.staked);
        s.afterwards = p.books;
        (uint256 senior, uint256 junior) = (p.books.senior, p.books.junior);
        s.borne = s.afterwards.lose(s.loss);
        s.seniorLossBps = senior == 0 ? 0 : Math.mulDiv(s.borne.senior, Exposure.Q, senior, Math.Rounding.Ceil);
        s.juniorLossBps = junior == 0 ? 0 : Math.mulDiv(s.borne.junior, Exposure.Q, junior, Math.Rounding.Ceil);
    }
}
