// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title Exposure
/// @notice What slasher groups can take, what covers it, and how much room is left.
/// @dev The gate is one inequality over integers, without a division, so that a limit and the gate agree to the wei:
///
///     need = (Q+b)·(L·Q² + h·V·P·Q)  <=  c·Q³·P = budget
///
/// which is (1+b)·(L + h·V) <= c, with L in wei·P, the margin b and the haircut h in basis points (Q = 1e4) and
/// fractions of a stake in parts per billion (P = 1e9). Values V, c and amounts up to 2^120 wei, exposures and their
/// sums up to 2^150 wei·P (all of such a V) and b, h up to Q are in the domain: nothing overflows there.
/// Source: specification, section "Exposure, gate and limits".
library Exposure {
    /// @notice Denominator of a fraction of an agent's stake.
    uint256 internal constant P = 1e9;

    /// @notice Denominator of basis points.
    uint256 internal constant Q = 1e4;

    /// @notice Utilisation where something needs cover and there is none, and the largest one ever returned, in WAD.
    uint256 internal constant U_MAX = 1e27;

    /// @notice Most slasher groups of a tier.
    uint256 internal constant MAX_GROUPS = 32;

    uint256 private constant WAD = 1e18;
    uint256 private constant MAX_AMOUNT = 1 << 120;

    /// @notice What the gate needs as a function of an amount D: baseLevel + baseSlope·D + Σ of the k largest
    /// (level[a] + slope[a]·D). Convex and piecewise linear, in the unit of `budget`.
    /// @param level of each group at D = 0.
    /// @param slope of each group, per wei of D.
    /// @param baseLevel what counts on top of the k largest at D = 0.
    /// @param baseSlope the same, per wei of D.
    struct Line {
        uint256[] level;
        uint256[] slope;
        uint256 baseLevel;
        uint256 baseSlope;
    }

    /// @notice More groups than a tier may have.
    /// @param count groups given.
    /// @param most groups allowed.
    error TooManyGroups(uint256 count, uint256 most);

    /// @notice Two lists that describe the same groups differ in length.
    /// @param left length of the first list.
    /// @param right length of the second list.
    error LengthMismatch(uint256 left, uint256 right);

    /// @notice Fraction of an agent's stake that is allocated: ceil(magnitude·P / maxMagnitude).
    /// @dev Rounded up: an exposure is never counted too low.
    /// @param magnitude allocated magnitude (sum over the sets of a group).
    /// @param maxMagnitude the agent's maximum magnitude.
    /// @return parts in parts of P; 0 where `maxMagnitude` is 0, as nothing is left to take.
    function fraction(uint256 magnitude, uint256 maxMagnitude) internal pure returns (uint256 parts) {
        if (maxMagnitude == 0) return 0;
        return (magnitude * P + maxMagnitude - 1) / maxMagnitude;
    }

    /// @notice Sum of the k largest of at most 32 values.
    /// @dev k rounds of selection, O(n·k). Of equal values the one with the lower index is taken. Exactly min(k, n)
    /// values are taken, zeros included.
    /// @param values any unit.
    /// @param k how many.
    /// @return sum in the unit of `values`, exact.
    /// @return mask bit i is set where values[i] was taken.
    function largest(uint256[] memory values, uint256 k) internal pure returns (uint256 sum, uint256 mask) {
        uint256 n = values.length;
        if (n > MAX_GROUPS) revert TooManyGroups(n, MAX_GROUPS);
        if (k >= n) {
            for (uint256 i; i < n; ++i) {
                sum += values[i];
            }
            return (sum, (1 << n) - 1);
        }
        for (uint256 round; round < k; ++round) {
            uint256 best = n;
            uint256 most;
            for (uint256 i; i < n; ++i) {
                if (mask >> i & 1 == 0 && (best == n || values[i] > most)) {
                    best = i;
                    most = values[i];
                }
            }
            sum += most;
            mask |= 1 << best;
        }
    }

    /// @notice Left side of the gate: (Q+b)·(L·Q² + h·V·P·Q).
    /// @param exposed L_k: the k largest exposures and all unapproved sets, in wei·P.
    /// @param v V, value of the tier, in wei.
    /// @param b margin, in basis points.
    /// @param h haircut of the staking token itself, in basis points.
    /// @return units in wei·P·Q³, exact.
    function need(uint256 exposed, uint256 v, uint256 b, uint256 h) internal pure returns (uint256 units) {
        return (Q + b) * (exposed * Q * Q + h * v * P * Q);
    }

    /// @notice Right side of the gate: c·Q³·P.
    /// @param cover c = R + J, or less of it, in wei.
    /// @return units in wei·P·Q³, exact.
    function budget(uint256 cover) internal pure returns (uint256 units) {
        return cover * Q * Q * Q * P;
    }

    /// @notice Utilisation of the cover: U = (1+b)·(L + h·V) / c.
    /// @dev Rounded up, so that U <= 1e18 exactly where `covered` is true.
    /// @param exposed L_k, in wei·P.
    /// @param v V, in wei.
    /// @param cover c, in wei.
    /// @param b margin, in basis points.
    /// @param h haircut, in basis points.
    /// @return u in WAD, at most `U_MAX`, which is also the value where cover is 0 and something needs it.
    function utilisation(uint256 exposed, uint256 v, uint256 cover, uint256 b, uint256 h)
        internal
        pure
        returns (uint256 u)
    {
        uint256 needed = need(exposed, v, b, h);
        if (needed == 0) return 0;
        if (cover == 0) return U_MAX;
        uint256 available = budget(cover);
        u = (needed * WAD + available - 1) / available;
        if (u > U_MAX) u = U_MAX;
    }

    /// @notice The gate: whether the cover bears the k largest groups, with margin and haircut.
    /// @param exposed L_k, in wei·P.
    /// @param v V, in wei.
    /// @param cover c, in wei.
    /// @param b margin, in basis points.
    /// @param h haircut, in basis points.
    /// @return whether need <= budget.
    function covered(uint256 exposed, uint256 v, uint256 cover, uint256 b, uint256 h) internal pure returns (bool) {
        return need(exposed, v, b, h) <= budget(cover);
    }

    /// @notice What the gate would need after an amount `d`.
    /// @param line see `Line`.
    /// @param k how many groups may misbehave at once.
    /// @param d amount, in wei.
    /// @return units in the unit of `budget`, exact.
    function demand(Line memory line, uint256 k, uint256 d) internal pure returns (uint256 units) {
        (units,) = largest(_at(line, d), k);
        units += line.baseLevel + line.baseSlope * d;
    }

    /// @notice The largest amount that passes the gate: the largest d <= cap with demand(d) <= available.
    /// @dev Newton from above. The demand is the maximum over all sets K of k groups of a line l_K, hence convex. At a
    /// D that fails, take the K that is worst there and go to the largest D' with l_K(D') <= available: l_K never
    /// exceeds the demand, so nothing between D' and D passes, and D' + 1 fails. Where D passes it is the answer. Each
    /// step lands on a line of strictly smaller slope (equal slopes would be the same line, which passes at D'), so it
    /// ends. Seen on 32 groups: 2 to 4 steps as a rule, 6 at most on random sizes, 30 on slopes chosen against it.
    /// The worst groups at d = 0 alone would give too much room where others have more weight.
    /// @param line see `Line`; at most 32 groups.
    /// @param k how many groups may misbehave at once.
    /// @param available budget of the cover, in wei·P·Q³.
    /// @param cap upper bound of the answer, in wei; above 2^120 it counts as 2^120.
    /// @return d in wei, exact: d passes, and d + 1 fails unless d == cap; 0 where not even 0 passes.
    function limit(Line memory line, uint256 k, uint256 available, uint256 cap) internal pure returns (uint256 d) {
        d = cap < MAX_AMOUNT ? cap : MAX_AMOUNT;
        while (true) {
            (uint256 top, uint256 mask) = largest(_at(line, d), k);
            if (top + line.baseLevel + line.baseSlope * d <= available) return d;
            uint256 level = line.baseLevel;
            uint256 slope = line.baseSlope;
            for (uint256 i; i < line.level.length; ++i) {
                if (mask >> i & 1 == 1) {
                    level += line.level[i];
                    slope += line.slope[i];
                }
            }
            // covers slope == 0 too: a flat line that fails at d has level > available
            if (level > available) return 0;
            d = (available - level) / slope;
        }
    }

    /// @notice The line of the senior deposit limit: what the gate needs once a deposit of D, and the idle money before
    /// it, are deployed by the target weights.
    /// @dev E_a + ρ_a·(I+D) for each group, h on V + D. Compare with `budget` of the deployable cover.
    /// @param exposure E_a by group, in wei·P.
    /// @param rho Σ over agents of weight (basis points) · fraction (P), by group, in P·Q.
    /// @param extraExposure E of all unapproved sets together, in wei·P.
    /// @param extraRho ρ of all unapproved sets together, in P·Q.
    /// @param idleToDeploy I, in wei.
    /// @param v V before the deposit, in wei.
    /// @param b margin, in basis points.
    /// @param h haircut, in basis points.
    /// @return line in wei·P·Q³.
    function seniorLine(
        uint256[] memory exposure,
        uint256[] memory rho,
        uint256 extraExposure,
        uint256 extraRho,
        uint256 idleToDeploy,
        uint256 v,
        uint256 b,
        uint256 h
    ) internal pure returns (Line memory line) {
        uint256 n = exposure.length;
        if (rho.length != n) revert LengthMismatch(n, rho.length);
        line.level = new uint256[](n);
        line.slope = new uint256[](n);
        uint256 scale = (Q + b) * Q;
        for (uint256 i; i < n; ++i) {
            line.level[i] = scale * (exposure[i] * Q + rho[i] * idleToDeploy);
            line.slope[i] = scale * rho[i];
        }
        line.baseLevel = scale * (extraExposure * Q + extraRho * idleToDeploy + h * v * P);
        line.baseSlope = scale * (extraRho + h * P);
    }

    /// @notice An upper bound of what the gate needs after a senior deposit, from sums that need no look at the groups.
    /// @dev The k largest of E_a·Q + ρ_a·(I+D) sum to at most the k largest E_a times Q and the k largest ρ_a times (I+D).
    /// Where this bound fits, the demand of `seniorLine` does; where it does not, only the line can tell.
    /// @param exposed sum of the k largest exposures and of all unapproved sets, in wei·P. It may have been rounded up as
    /// one sum: 33 wei·P are added for the groups that the line rounds one by one.
    /// @param rho sum of the k largest ρ_a and of all unapproved sets, in P·Q.
    /// @param idleToDeploy I, in wei.
    /// @param d the deposit, in wei.
    /// @param v V before the deposit, in wei.
    /// @param b margin, in basis points.
    /// @param h haircut, in basis points.
    /// @return units in wei·P·Q³; compare with `budget` of the deployable cover.
    function seniorBound(uint256 exposed, uint256 rho, uint256 idleToDeploy, uint256 d, uint256 v, uint256 b, uint256 h)
        internal
        pure
        returns (uint256 units)
    {
        return (Q + b) * Q * ((exposed + MAX_GROUPS + 1) * Q + rho * (idleToDeploy + d) + h * (v + d) * P);
    }

    /// @notice An upper bound of what the gate needs once `d` of the idle money goes to one agent, as `seniorBound`.
    /// @dev The k largest of E_a + e_a·D sum to at most the k largest E_a and the k largest e_a times D.
    /// @param exposed L_k, in wei·P; 33 wei·P are added for the groups that the line rounds one by one.
    /// @param e sum of the k largest fractions of the agent's stake by group, and of all its unapproved sets, in P.
    /// @param d the amount, in wei.
    /// @param v V, in wei.
    /// @param b margin, in basis points.
    /// @param h haircut, in basis points.
    /// @return units in wei·P·Q³; compare with `budget` of the deployable cover.
    function deployBound(uint256 exposed, uint256 e, uint256 d, uint256 v, uint256 b, uint256 h)
        internal
        pure
        returns (uint256 units)
    {
        return (Q + b) * Q * ((exposed + MAX_GROUPS + 1 + e * d) * Q + h * v * P);
    }

    /// @notice The line of the deployment limit: what the gate needs once D of the idle money goes to one agent.
    /// @dev E_a + e_ia·D for each group; V does not change. Compare with `budget` of the deployable cover.
    /// @param exposure E_a by group, in wei·P.
    /// @param e fraction of the agent's stake that is allocated to the group, by group, in P.
    /// @param extraExposure E of all unapproved sets together, in wei·P.
    /// @param extraE fraction of the agent's stake that is allocated to unapproved sets, in P.
    /// @param v V, in wei.
    /// @param b margin, in basis points.
    /// @param h haircut, in basis points.
    /// @return line in wei·P·Q³.
    function deployLine(
        uint256[] memory exposure,
        uint256[] memory e,
        uint256 extraExposure,
        uint256 extraE,
        uint256 v,
        uint256 b,
        uint256 h
    ) internal pure returns (Line memory line) {
        uint256 n = exposure.length;
        if (e.length != n) revert LengthMismatch(n, e.length);
        line.level = new uint256[](n);
        line.slope = new uint256[](n);
        uint256 scale = (Q + b) * Q * Q;
        for (uint256 i; i < n; ++i) {
            line.level[i] = scale * exposure[i];
            line.slope[i] = scale * e[i];
        }
        line.baseLevel = scale * extraExposure + (Q + b) * Q * (h * v * P);
        line.baseSlope = scale * extraE;
    }

    /// @notice How much junior money may leave: the largest x after which the gate still holds.
    /// @dev x takes cover and value alike: (Q+b)·(L·Q² + h·(V-x)·P·Q) <= (c-x)·Q³·P, solved for x and rounded down.
    /// Requires (Q+b)·h < Q²: otherwise value would need more cover than it is worth. Where that does not hold the
    /// answer is 0, not a revert, as exits never revert.
    /// @param exposed L_k, in wei·P.
    /// @param v V, in wei.
    /// @param cover c, in wei.
    /// @param b margin, in basis points.
    /// @param h haircut, in basis points.
    /// @return x in wei, exact: x passes, x + 1 fails; 0 where the gate does not hold now. At most `cover` if
    /// `cover` <= `v`. Not limited by J, idle money or maturity: that is the caller's.
    function juniorLimit(uint256 exposed, uint256 v, uint256 cover, uint256 b, uint256 h)
        internal
        pure
        returns (uint256 x)
    {
        uint256 needed = need(exposed, v, b, h);
        uint256 available = budget(cover);
        if (needed >= available || (Q + b) * h >= Q * Q) return 0;
        return (available - needed) / (P * Q * (Q * Q - (Q + b) * h));
    }

    /// @notice The exposure to which deleveraging cuts every larger group: the largest l such that, with every group
    /// capped at l, the k largest sum to at most `budget_`.
    /// @dev With E descending and E = 0 beyond the last: the first j in 1..k with l = floor((B - Σ_{j<i<=k} E_i) / j)
    /// >= E_{j+1}; none: l = floor(B/k). For that j the groups 1..j are cut to l, the groups j+1..k fit below it, and
    /// j·l + Σ_{j<i<=k} E_i <= B. It is the largest: where a cut is needed l < E_j (for j = 1 because the sum exceeds B;
    /// after a failed j, l_{j+1} <= (j·E_{j+1} + E_{j+1})/(j+1) and the failed l was smaller), so l + 1 adds j wei·P, more
    /// than the floor left over. Where no cut is needed l >= E_1. Where k + 1 groups exceed B/k, any k of them count.
    /// @param exposure E_a by group, in wei·P, in any order; not changed.
    /// @param k how many groups may misbehave at once.
    /// @param budget_ what the k largest may sum to, in wei·P, from `deleverageBudget`.
    /// @return ceiling_ in wei·P; 0 where `budget_` is 0; the largest exposure where k is 0 (nothing counts).
    function ceiling(uint256[] memory exposure, uint256 k, uint256 budget_) internal pure returns (uint256 ceiling_) {
        if (budget_ == 0) return 0;
        uint256[] memory sorted = _descending(exposure);
        uint256 n = sorted.length;
        if (n == 0) return budget_;
        if (k == 0) return sorted[0];
        if (k > n) k = n;
        uint256 others;
        for (uint256 i = 1; i < k; ++i) {
            others += sorted[i];
        }
        for (uint256 j = 1; j <= k; ++j) {
            if (others <= budget_) {
                ceiling_ = (budget_ - others) / j;
                if (ceiling_ >= (j < n ? sorted[j] : 0)) return ceiling_;
            }
            if (j < k) others -= sorted[j];
        }
        return budget_ / k;
    }

    /// @notice The magnitude to which deleveraging cuts one set of an agent, so that its group meets the ceiling.
    /// @dev A set with a pending change cannot be cut again until it is through, so the exposure of a group, with pending
    /// decreases counted as done, has a settled part F (sets with a pending change, of all agents) and a movable part C
    /// (all others). What may stay of C is l - F. Each agent's movable fraction e shrinks in that proportion:
    /// e' = floor(e·(l - F)/C), and its magnitude to floor(e'·max/P), shared among its sets in the group. Then
    /// ceil(magnitude·P/max) <= e' for each agent, so the agents' new exposures sum to at most l - F, and however many
    /// calls it takes, in whatever order of agents, the group ends at or below l: a cut moves from C to F, and the
    /// proportion for the agents that follow is unchanged. (A proportion of l/E alone would leave the group above l after
    /// the first of two agents had been cut; floor(cur·l/E) alone would leave it above l by the rounding of e.)
    /// A cut is at least a quarter: it locks the set for the whole deallocation delay.
    /// @param cur the set's current magnitude; the set has no pending change.
    /// @param held sum of the current magnitudes of the agent's sets in this group that have no pending change.
    /// @param maxMagnitude the agent's maximum magnitude.
    /// @param movable C: Σ over agents of A_i·fraction(held_i, max_i), in wei·P.
    /// @param settled F: Σ over agents of A_i·fraction(what pending sets will have left, max_i), in wei·P.
    /// @param ceiling_ l, in wei·P, from `ceiling` over the sums F + C of all groups.
    /// @return magnitude to set; `cur` where the group is within the ceiling.
    function target(uint256 cur, uint256 held, uint256 maxMagnitude, uint256 movable, uint256 settled, uint256 ceiling_)
        internal
        pure
        returns (uint256 magnitude)
    {
        if (movable + settled <= ceiling_) return cur;
        if (held == 0 || movable == 0) return 0;
        uint256 room = ceiling_ > settled ? ceiling_ - settled : 0;
        uint256 parts = fraction(held, maxMagnitude) * room / movable;
        magnitude = cur * (parts * maxMagnitude / P) / held;
        uint256 most = cur * 3 / 4;
        if (magnitude > most) magnitude = most;
    }

    /// @notice What the k largest groups may sum to under the gate: c/(1+b) - h·V - unapproved.
    /// @dev floor(c·P·Q/(Q+b)) - ceil(h·V·P/Q) - extraExposure, 0 where negative. Multiplying back: a sum within it
    /// passes `covered` (with the unapproved sets added), as both roundings go down.
    /// @param cover c, in wei.
    /// @param v V, in wei.
    /// @param extraExposure E of all unapproved sets together, in wei·P.
    /// @param b margin, in basis points.
    /// @param h haircut, in basis points.
    /// @return exposed in wei·P.
    function deleverageBudget(uint256 cover, uint256 v, uint256 extraExposure, uint256 b, uint256 h)
        internal
        pure
        returns (uint256 exposed)
    {
        uint256 most = cover * P * Q / (Q + b);
        uint256 taken = (h * v * P + Q - 1) / Q + extraExposure;
        return most > taken ? most - taken : 0;
    }

    /// @dev What each group needs at d.
    function _at(Line memory line, uint256 d) private pure returns (uint256[] memory values) {
        uint256 n = line.level.length;
        values = new uint256[](n);
        for (uint256 i; i < n; ++i) {
            values[i] = line.level[i] + line.slope[i] * d;
        }
    }

    /// @dev A sorted copy, by insertion: at most 32 values.
    function _descending(uint256[] memory values) private pure returns (uint256[] memory sorted) {
        uint256 n = values.length;
        if (n > MAX_GROUPS) revert TooManyGroups(n, MAX_GROUPS);
        sorted = new uint256[](n);
        for (uint256 i; i < n; ++i) {
            uint256 value = values[i];
            uint256 j = i;
            for (; j > 0 && sorted[j - 1] < value; --j) {
                sorted[j] = sorted[j - 1];
            }
            sorted[j] = value;
        }
    }
}
