// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title Waterfall
/// @notice The books of one tier and the two rules that move money between them: gains vest slowly and are shared pro
/// rata, losses fall at once on the unvested gains, the reserve, the junior and last the senior tranche.
/// @dev Pure functions over a memory struct. Every amount is in wei of ETH. Amounts up to 2^120 wei are in the domain:
/// within it nothing overflows, so a loss of any size is booked without a revert.
/// Each function keeps `reserve + junior + senior + gains` exactly: it only changes it by the amount it is told to add
/// (`gain`) or to take away (`lose`). Source: specification, section "Books".
library Waterfall {
    /// @notice What a tier owns, split by who owns it. The sum is the value of the tier, V.
    /// @param reserve R, owned by nobody: the seed and what was topped up.
    /// @param junior J, owned by the junior tranche, first to lose after the reserve.
    /// @param senior S, owned by the senior tranche, last to lose.
    /// @param gains G, gains that have not vested yet. No tranche's rate counts them; a loss takes them first.
    struct Books {
        uint256 reserve;
        uint256 junior;
        uint256 senior;
        uint256 gains;
    }

    /// @notice How one loss fell. The five fields sum to the loss.
    /// @param gains taken from the unvested gains.
    /// @param reserve taken from the reserve.
    /// @param junior taken from the junior tranche.
    /// @param senior taken from the senior tranche: not zero only where the three others are used up.
    /// @param uncovered what is left when all books are empty.
    struct Borne {
        uint256 gains;
        uint256 reserve;
        uint256 junior;
        uint256 senior;
        uint256 uncovered;
    }

    /// @notice Time over which a gain vests, in seconds.
    uint256 internal constant VESTING = 3 days;

    /// @notice The largest part of the senior's own yield that the premium may take, in WAD.
    uint256 internal constant THETA_MAX = 0.5e18;

    uint256 private constant WAD = 1e18;

    /// @notice More gains were to be distributed than the books hold.
    /// @param gains unvested gains in the books, in wei.
    /// @param amount what should have been taken out of them, in wei.
    error InsufficientGains(uint256 gains, uint256 amount);

    /// @notice Value of the tier as its books say, V = R + J + S + G.
    /// @param b the books, in wei.
    /// @return sum in wei, exact.
    function total(Books memory b) internal pure returns (uint256 sum) {
        return b.reserve + b.junior + b.senior + b.gains;
    }

    /// @notice How much of the unvested gains has vested since the last sync.
    /// @dev Linear from `lastSync` to `unlockAt`, rounded down: a gain never vests early. From `unlockAt` on everything
    /// has vested, dust included.
    /// @param gains G, in wei.
    /// @param lastSync time of the last sync, in seconds.
    /// @param unlockAt time at which all of G has vested, in seconds.
    /// @param time now, in seconds.
    /// @return amount in wei, at most `gains`; 0 where no time has passed before `unlockAt`.
    function vested(uint256 gains, uint256 lastSync, uint256 unlockAt, uint256 time)
        internal
        pure
        returns (uint256 amount)
    {
        if (time >= unlockAt) return gains;
        if (time <= lastSync) return 0;
        return gains * (time - lastSync) / (unlockAt - lastSync);
    }

    /// @notice Moves vested gains to their owners, pro rata, and pays the junior its premium out of the senior's share.
    /// @dev With B = R + J + S: the reserve gets floor(v·R/B), the senior floor(v·S/B) less the premium, the junior the
    /// rest with all rounding dust. Without a junior the rest goes to the reserve; without any owner all of it does.
    /// The premium is at most `THETA_MAX` of the senior's share (rounded down), so it never comes out of principal;
    /// it is 0 while a Deficit is open. What is not paid is not owed later.
    /// @param b the books; `gains` falls by `amount`, the others rise by the same sum.
    /// @param amount v, vested gains to distribute, in wei.
    /// @param due premium earned over the interval, in wei, from `Premium.due`.
    /// @param deficitOpen whether a loss of the senior is still to be made good.
    /// @return premium what the senior paid to the junior, in wei.
    function distribute(Books memory b, uint256 amount, uint256 due, bool deficitOpen)
        internal
        pure
        returns (uint256 premium)
    {
        if (amount > b.gains) revert InsufficientGains(b.gains, amount);
        b.gains -= amount;
        uint256 owned = b.reserve + b.junior + b.senior;
        if (owned == 0) {
            b.reserve += amount;
            return 0;
        }
        uint256 toReserve = amount * b.reserve / owned;
        uint256 toSenior = amount * b.senior / owned;
        uint256 rest = amount - toReserve - toSenior;
        b.reserve += toReserve;
        if (b.junior == 0) {
            b.senior += toSenior;
            b.reserve += rest;
            return 0;
        }
        if (!deficitOpen) {
            uint256 most = toSenior * THETA_MAX / WAD;
            premium = due < most ? due : most;
        }
        b.senior += toSenior - premium;
        b.junior += rest + premium;
    }

    /// @notice Books a gain: all of it is unvested, and the end of vesting moves.
    /// @dev The new end is the mean of the two remaining times, weighted by amount and rounded up to a second:
    /// now + ceil((G·rem + D·VESTING) / (G + D)). So a gain that is large against G vests over three days, and dust
    /// sent to the tier moves the end of all other gains by at most a second. Never more than `VESTING` from now if
    /// `unlockAt` was not.
    /// @param b the books; `gains` rises by `amount`.
    /// @param amount D, in wei; 0 changes nothing.
    /// @param unlockAt end of vesting so far, in seconds.
    /// @param time now, in seconds.
    /// @return newUnlockAt end of vesting from now on, in seconds; later than now where `amount` > 0.
    function gain(Books memory b, uint256 amount, uint256 unlockAt, uint256 time)
        internal
        pure
        returns (uint256 newUnlockAt)
    {
        if (amount == 0) return unlockAt;
        uint256 remaining = unlockAt > time ? unlockAt - time : 0;
        uint256 after_ = b.gains + amount;
        newUnlockAt = time + (b.gains * remaining + amount * VESTING + after_ - 1) / after_;
        b.gains = after_;
    }

    /// @notice Books a loss: unvested gains, reserve, junior, senior, in this order, each down to zero before the next.
    /// @dev Never reverts: what exceeds all books is returned as `uncovered`.
    /// @param b the books; they fall by `amount` less `uncovered`.
    /// @param amount the loss, in wei.
    /// @return borne who bore how much, in wei; the fields sum to `amount`.
    function lose(Books memory b, uint256 amount) internal pure returns (Borne memory borne) {
        (b.gains, borne.gains, amount) = _take(b.gains, amount);
        (b.reserve, borne.reserve, amount) = _take(b.reserve, amount);
        (b.junior, borne.junior, amount) = _take(b.junior, amount);
        (b.senior, borne.senior, borne.uncovered) = _take(b.senior, amount);
    }

    /// @dev Takes what it can of `loss` out of `bucket`.
    function _take(uint256 bucket, uint256 loss) private pure returns (uint256 left, uint256 taken, uint256 rest) {
        taken = loss < bucket ? loss : bucket;
        unchecked {
            left = bucket - taken;
            rest = loss - taken;
        }
    }
}
