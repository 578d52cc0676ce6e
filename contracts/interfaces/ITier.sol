// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Waterfall} from "../libraries/Waterfall.sol";
import {Observation} from "./IRiskManager.sol";

/// @title A tier: its books, its money, its entries and exits
/// @notice A tier owns reserve R, junior J, senior S and unvested gains G, all in wei of ETH, and after every call
/// R + J + S + G equals the value V of everything that it owns (SPEC rule 1). It is the only contract of the tier that
/// holds WETH. Every mutating entry of the tier's contracts takes the one transient lock that lives here.
interface ITier {
    /// @notice Shares of one tranche, mirrored from its token so that the gate needs no further call.
    struct Shares {
        uint128 supply;
        uint128 queued;
    }

    /// @notice A loss that reached the senior and has not been made good (SPEC section 7). `outstanding` and
    /// `juniorLoss` are wei still to be recovered for each; open while `closesAt` is not 0.
    struct Deficit {
        uint128 outstanding;
        uint128 juniorLoss;
        address seniorToken;
        uint40 openedAt;
        uint40 closesAt;
        address juniorToken;
    }

    /// @notice A retired series: what is left to pay to whoever holds its shares.
    struct Retired {
        uint128 supply;
        uint128 pot;
        bool exists;
    }

    /// @notice The state that a sync would store now; the same function serves sync, previews, limits and oracles.
    struct Preview {
        Waterfall.Books books; // after the sync, wei
        Waterfall.Borne borne; // how a loss of this sync falls, wei
        Deficit deficit;
        Observation observation;
        uint256 value; // V, wei
        uint256 loose; // tokens of the staking module not restaked, wei
        uint256 unstaking; // wei in the staking protocol's exit queue
        uint256 utilisation; // U, WAD, rounded up
        uint256 baseRate; // rT, WAD per year
        uint256 vested; // gains vested by this sync, wei
        uint256 premium; // moved from senior to junior, wei
        uint256 gained; // newly found gain, wei
        uint40 unlockAt;
        bool seniorRetires;
        bool juniorRetires;
        uint256 idle; // WETH at hand, wei
        uint256 queuedSenior; // value of queued senior shares, wei, rounded up
        uint256 queuedJunior; // value of queued junior shares, wei, rounded up
        uint256 maturedJunior; // value of those that are mature, wei, rounded up
        uint256 deployable; // idle that no queue and no buffer claims, wei
    }

    /// @notice The contracts of this tier.
    struct Parts {
        address risk;
        address stakes;
        address allocator;
        address mandate;
        address stakingModule;
        address factory;
    }

    /// @notice The books at the end of a call. In it `vested` left G, `premium` of that went from senior yield to junior,
    /// and `gained` entered G; LossBooked says what a loss took, and the call's own event what came in or went out (all
    /// wei). `utilisation` is U (WAD), `baseRate` WAD a year, `exposed` L_k (wei·1e9). Calls of the managers emit it twice:
    /// when they take the lock and when they release it.
    event Synced(
        uint256 reserve,
        uint256 junior,
        uint256 senior,
        uint256 gains,
        uint256 vested,
        uint256 premium,
        uint256 gained,
        uint256 baseRate,
        uint40 unlockAt,
        uint256 utilisation,
        uint256 exposed
    );
    /// @notice A loss was booked and borne in this order (wei); `slashed` tells whether EigenLayer slashed, else it is
    /// rounding or the staking token's own loss. `lossId` links it to RiskManager's SlashAttributed events.
    event LossBooked(
        uint256 indexed lossId,
        bool slashed,
        uint256 amount,
        uint256 gains,
        uint256 reserve,
        uint256 junior,
        uint256 senior
    );
    /// @notice A senior holder left at once from idle; `fee` went into G.
    event InstantlyRedeemed(address indexed token, uint256 shares, uint256 assets, uint256 fee);
    /// @notice Somebody gave `assets` wei to all who hold: they entered G and vest like any gain.
    event GainsAdded(address indexed from, uint256 assets);
    /// @notice The reserve grew by a gift.
    event ReserveToppedUp(address indexed from, uint256 assets);
    /// @notice The curator took from the reserve what lies above the seed.
    event ReserveSkimmed(address indexed to, uint256 assets);
    /// @notice A Deficit opened or grew.
    event DeficitOpened(uint256 outstanding, uint256 juniorLoss, address juniorToken, uint40 closesAt);
    /// @notice A Deficit closed: `recovered` in full, or by time or by the curator with `writtenOff` wei left.
    event DeficitClosed(uint256 writtenOff);
    /// @notice Compensation arrived: what the senior got, what the junior series' pot got, what the reserve got.
    event Recovered(address indexed from, uint256 senior, uint256 junior, uint256 reserve);
    /// @notice A series lost (nearly) everything and is retired; what was left of its book went to the reserve.
    event SeriesRetired(address indexed token, bool senior, uint256 supply);
    /// @notice A new series of a tranche is open.
    event SeriesOpened(address indexed token, bool senior);
    /// @notice Entries were paused or opened again by the guardian.
    event EntriesPaused(bool paused);

    /// @notice The lock is held: another call of this tier is under way.
    error Locked();
    /// @notice Only the holder of the lock may do this.
    error NotLockHolder(address caller);
    /// @notice The caller is not the contract of this tier that may do this.
    error NotAuthorised(address caller);
    /// @notice Initialisation with unusable values.
    error InvalidSetup();
    /// @notice The tranche takes no deposits now: paused, a Deficit is open, or the reserve is below its seed.
    error EntriesClosed();
    /// @notice More than the tranche takes now (wei).
    error ExceedsDepositLimit(uint256 assets, uint256 limit);
    /// @notice Below the smallest first deposit (wei).
    error DepositTooSmall(uint256 assets, uint256 minimum);
    /// @notice The amount is so small that it is worth nothing, or buys less than a million shares (1e-12 of a token).
    error ZeroAmount();
    /// @notice More shares than can be finalised now.
    error ExceedsFinalisable(uint256 shares, uint256 finalisable);
    /// @notice Instant exits are closed: not senior, not covered, a Deficit is open, or no shares.
    error InstantExitClosed();
    /// @notice Less idle than asked for (wei).
    error InsufficientIdle(uint256 needed, uint256 idle);
    /// @notice The operation would leave the tier uncovered: its U (WAD) with deployable cover would be above 1.
    error Uncovered(uint256 utilisation);
    /// @notice Only what lies above the seed may be skimmed (wei).
    error ReserveBelowSeed(uint256 reserve, uint256 seed);
    /// @notice No Deficit is open.
    error NoDeficit();
    /// @notice The pot of a retired series pays when its Deficit has closed.
    error DeficitStillOpen(uint40 closesAt);
    /// @notice The tranche has a live series.
    error SeriesLive(address token);

    // ---- the tranche tokens

    /// @notice Books a deposit of exactly `assets` wei; the calling token moves the WETH here and mints.
    /// @dev Only a live tranche token. Shares are rounded down. Reverts: Locked, EntriesClosed, ExceedsDepositLimit,
    /// DepositTooSmall, ZeroAmount.
    function deposit(uint256 assets) external returns (uint256 shares);

    /// @notice Books a deposit for exactly `shares`; assets are rounded up. As `deposit` otherwise.
    function mint(uint256 shares) external returns (uint256 assets);

    /// @notice Notes that `shares` of the calling token were queued. They stay in the books until finalised. Returns
    /// what they are worth at the last stored rate (wei, rounded down); the token of a retired series gets `live` =
    /// false, and nothing is noted.
    /// @dev Only a token of this tier. Does not sync: a request changes no book. Reverts Locked, NotAuthorised.
    function requested(uint256 shares) external returns (bool live, uint256 value);

    /// @notice Finalises up to `shares` of the calling token's queue (type(uint256).max: all that can be) and sets
    /// their assets aside, rounded down; the token burns them. Reverts ExceedsFinalisable when asked for more.
    /// @dev Only a live tranche token.
    function finalise(uint256 shares) external returns (uint256 finalised, uint256 assets);

    /// @notice Redeems senior `shares` at once, less a fee (rounded up) that goes into G, and pays. Idle less the value
    /// of the queued senior shares (rounded up) must hold the payment: those who wait are provided for first.
    /// @dev Only the live senior token. Reverts InstantExitClosed, InsufficientIdle, ZeroAmount.
    function redeemInstantly(uint256 shares, address receiver, bool asEth) external returns (uint256 assets);

    /// @notice Pays `assets` of the calling token's finalised redemptions; never syncs, so it works while EigenLayer
    /// cannot be read. Only a token of this tier, retired ones included. Refused while the lock is held, but does not
    /// hold it: whoever is called by the payment sees rates as they are now.
    function pay(address receiver, uint256 assets, bool asEth) external;

    /// @notice Pays a retired series' holder his part of its pot for `shares` that the token burns.
    function payPot(uint256 shares, address receiver, bool asEth) external returns (uint256 assets);

    // ---- anybody

    /// @notice Brings the books up to date: vests gains, pays the premium, books gains and losses. Anybody.
    function sync() external;

    /// @notice Gives `assets` WETH (approved) to the reserve. Anybody.
    function topUpReserve(uint256 assets) external;

    /// @notice Gives `assets` WETH (approved) to all who hold shares and to the reserve: they enter G and vest over three
    /// days like any gain (SPEC 2.4), so no rate jumps. Anybody, at any time, paused or in a Deficit too. Reverts ZeroAmount
    /// for 0, and Locked.
    function addGains(uint256 assets) external;

    /// @notice Pays compensation for an open Deficit: to the senior up to what it lost, then to the junior series that
    /// lost with it, then to the reserve; directly, not through G. Anybody. Reverts NoDeficit.
    function recover(uint256 assets) external;

    // ---- roles

    /// @notice Guardian: closes entries. Exits stay open.
    function pauseEntries() external;

    /// @notice Curator: opens entries again.
    function unpauseEntries() external;

    /// @notice Curator: gives up on an open Deficit; money that comes later is a gain.
    function writeOff() external;

    /// @notice Curator: takes `assets` of the reserve above the seed; gated.
    function skimReserve(uint256 assets, address receiver) external;

    /// @notice Factory: adopts the next series of a retired tranche.
    function adoptSeries(bool senior, address token) external;

    // ---- the tier's own managers

    /// @notice Takes the lock, syncs, and hands over what the sync found (`utilisation` of its end; what queues claim only
    /// to StakeManager). Only the tier's managers.
    function begin() external returns (Preview memory);

    /// @notice Syncs, checks the gate if `gated` (with deployable cover c_dep), stores U and releases the lock.
    function end(bool gated) external;

    /// @notice Stakes `assets` of idle for an agent; the staking token goes to it. Only StakeManager, lock held.
    function stake(uint256 assets, address agent) external returns (uint256 tokens);

    /// @notice Credits WETH that the staking module has just sent here to idle. Only the module, lock held.
    function creditUnstaked(uint256 assets) external;

    // ---- views

    /// @notice What a sync would store now. Reverts if EigenLayer or the staking protocol cannot be read.
    function preview() external view returns (Preview memory);

    /// @notice The tranche's book after a sync (wei); reverts where a preview does.
    function previewAssets(bool senior) external view returns (uint256);

    /// @notice Largest deposit (wei) that the tranche takes now: it passes and one wei more reverts.
    function maxDeposit(bool senior) external view returns (uint256);

    /// @notice Shares of the tranche that can be finalised now.
    function finalisable(bool senior) external view returns (uint256);

    /// @notice R, J, S, G as stored at the last sync (wei).
    function books() external view returns (Waterfall.Books memory);

    /// @notice WETH as recorded: free, and set aside for finalised claims and pots (wei).
    function cash() external view returns (uint256 idle, uint256 reserved);

    /// @notice U (WAD) after the last call, premium base rate (WAD a year), times of last sync and of full vesting.
    function status()
        external
        view
        returns (uint256 utilisation, uint256 baseRate, uint40 lastSync, uint40 unlockAt, bool entriesPaused);

    /// @notice Live token of a tranche (zero while a retired series has no successor).
    function token(bool senior) external view returns (address);

    /// @notice Supply and queued shares of the live series.
    function shares(bool senior) external view returns (Shares memory);

    /// @notice The Deficit as stored.
    function deficit() external view returns (Deficit memory);

    /// @notice Supply and pot of a retired series.
    function retired(address token) external view returns (Retired memory);

    /// @notice The tier's contracts.
    function parts() external view returns (Parts memory);

    /// @notice Reserve that can never be withdrawn (wei).
    function seed() external view returns (uint256);

    /// @notice Whether the lock is held.
    function locked() external view returns (bool);

    /// @notice WETH.
    function asset() external view returns (address);

    /// @notice Blocks after which a request matures: senior while covered, and otherwise (and junior always).
    function maturity() external view returns (uint256 seniorBlocks, uint256 juniorBlocks);
}
