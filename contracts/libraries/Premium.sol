// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title Premium
/// @notice What the senior tranche pays the junior tranche for its protection: a rate that follows how much of the cover
/// is in use.
/// @dev Two parts, in the shape of an adaptive interest-rate curve. The curve answers at once: at the target
/// utilisation it charges the base rate, at full use four times as much, at none a quarter. The base rate adapts: while
/// utilisation is above the target it grows exponentially, below it shrinks, at most by a factor exp(±10) a year.
/// Rates are per year in WAD, utilisation U in WAD (1e18: all cover is in use; up to 1e27 where cover is missing).
/// Amounts up to 2^120 wei are in the domain. Source: specification, section "Books"; the shape is that of Morpho's
/// published AdaptiveCurveIRM.
library Premium {
    /// @notice Base rate of a new tier, per year in WAD.
    uint256 internal constant START_RATE = 0.04e18;

    /// @notice Smallest base rate, per year in WAD.
    uint256 internal constant MIN_RATE = 0.005e18;

    /// @notice Largest base rate, per year in WAD.
    uint256 internal constant MAX_RATE = 0.2e18;

    /// @notice C: the curve runs from 1/C (nothing in use) through 1 (target) to C (all in use).
    uint256 internal constant STEEPNESS = 4;

    /// @notice The utilisation at which the base rate rests, in WAD.
    uint256 internal constant TARGET = 0.9e18;

    /// @notice Speed of adaption: the exponent per year at the largest error.
    uint256 internal constant SPEED = 10;

    /// @notice The longest time that one step of adaption counts, in seconds.
    uint256 internal constant MAX_STEP = 7 days;

    /// @notice A tranche smaller than this, in wei, freezes the base rate: nobody moves a market with dust.
    uint256 internal constant FREEZE_BELOW = 1 ether;

    uint256 private constant WAD = 1e18;
    uint256 private constant RAY = 1e27;
    uint256 private constant YEAR = 365 days;

    /// @notice Distance of the utilisation from its target, scaled to [-1, 1].
    /// @dev (Uc - 0.9) / 0.1 above the target (exact), (Uc - 0.9) / 0.9 at or below it (rounded towards zero),
    /// Uc = min(U, 1). Never falls when `u` rises.
    /// @param u utilisation, in WAD.
    /// @return error_ in WAD, signed.
    function err(uint256 u) internal pure returns (int256 error_) {
        if (u > WAD) u = WAD;
        if (u > TARGET) return int256((u - TARGET) * WAD / (WAD - TARGET));
        return -int256((TARGET - u) * WAD / TARGET);
    }

    /// @notice The premium rate that rules at a utilisation: p = base · curve(err).
    /// @dev curve = 1 + (C - 1)·err for err >= 0, else 1 + (1 - 1/C)·err. Rounded down, at most 1 wei below the exact
    /// value of the given error. Never falls when `u` or `base` rises.
    /// @param base the base rate rT, per year in WAD.
    /// @param u utilisation, in WAD.
    /// @return p per year in WAD, between base/4 and 4·base.
    function rate(uint256 base, uint256 u) internal pure returns (uint256 p) {
        int256 e = err(u);
        if (e >= 0) return base * (WAD + (STEEPNESS - 1) * uint256(e)) / WAD;
        // (1 - |e|·(C - 1)/C) with one division for both roundings
        return base * (STEEPNESS * WAD - (STEEPNESS - 1) * uint256(-e)) / (STEEPNESS * WAD);
    }

    /// @notice The premium earned over an interval: p·min(U,1)·J·S/B·dt/YEAR.
    /// @dev J·S/B is the junior money that stands behind the senior, min(U,1) the part of it that is needed. The U at
    /// the start of the interval rules it, so a move just before a sync gains nothing. Rounded down twice (J·S/B, then
    /// the product): short of the exact value by less than 1 wei plus p·dt/YEAR wei.
    /// @param base the base rate rT, per year in WAD.
    /// @param u utilisation at the start of the interval, in WAD.
    /// @param junior J, in wei.
    /// @param senior S, in wei.
    /// @param total B = R + J + S, in wei; not below `junior` and `senior`.
    /// @param dt length of the interval, in seconds.
    /// @return amount in wei; 0 where B is 0.
    function due(uint256 base, uint256 u, uint256 junior, uint256 senior, uint256 total, uint256 dt)
        internal
        pure
        returns (uint256 amount)
    {
        if (total == 0) return 0;
        uint256 used = u < WAD ? u : WAD;
        uint256 backing = Math.mulDiv(junior, senior, total);
        return Math.mulDiv(backing, rate(base, u) * used * dt, WAD * WAD * YEAR);
    }

    /// @notice The base rate after an interval: clamp(rT·exp(10/year·err·min(dt, 7 days))).
    /// @dev Unchanged while either tranche is below `FREEZE_BELOW`. The exponential is within 3e-26 of the exact one
    /// (see `_exp`), the exponent within 1e-27, so the rate is at most 1 wei below the exact value, and never above it
    /// by more than 1 wei either. Never falls when `u` or `base` rises.
    /// @param base the base rate rT so far, per year in WAD.
    /// @param u utilisation at the start of the interval, in WAD.
    /// @param junior J, in wei.
    /// @param senior S, in wei.
    /// @param dt length of the interval, in seconds.
    /// @return newBase per year in WAD, within [MIN_RATE, MAX_RATE] unless frozen.
    function adapt(uint256 base, uint256 u, uint256 junior, uint256 senior, uint256 dt)
        internal
        pure
        returns (uint256 newBase)
    {
        if (junior < FREEZE_BELOW || senior < FREEZE_BELOW) return base;
        if (dt > MAX_STEP) dt = MAX_STEP;
        int256 e = err(u);
        uint256 factor = _exp(SPEED * uint256(e < 0 ? -e : e) * dt * (RAY / WAD) / YEAR);
        newBase = e < 0 ? base * RAY / factor : base * factor / RAY;
        if (newBase < MIN_RATE) return MIN_RATE;
        if (newBase > MAX_RATE) return MAX_RATE;
    }

    /// @dev exp(x) for x in [0, 0.2], both in RAY, as the Taylor series summed until a term is 0 (at most 19 terms).
    /// Every term is a product of non-falling, non-negative integers rounded down, so the sum never falls when x rises.
    /// Error: each of the 18 roundings loses less than 1e-27, and what is lost in a term shrinks by x/n in the next, so
    /// together less than 18/(1 - 0.2)·1e-27 < 2.3e-26; the terms left out sum to less than 2e-27. The result lies in
    /// (exp(x) - 3e-26, exp(x)]. For a negative exponent callers divide by exp(|x|): a negative series would alternate
    /// and could lose monotony.
    function _exp(uint256 x) private pure returns (uint256 sum) {
        uint256 term = RAY;
        unchecked {
            // no term is above RAY, so nothing comes near 2^256
            for (uint256 n = 1; term != 0; ++n) {
                sum += term;
                term = term * x / (n * RAY);
            }
        }
    }
}
