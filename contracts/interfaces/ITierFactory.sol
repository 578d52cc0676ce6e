// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IStrategy} from "./external/IEigenLayer.sol";
import {Params} from "./IRiskManager.sol";

/// @title Opens tiers, agents and series
interface ITierFactory {
    /// @notice One beacon for each kind of contract; an upgrade reaches all tiers at once.
    struct Beacons {
        address tier;
        address risk;
        address stakes;
        address allocator;
        address mandate;
        address token;
        address agent;
        address module;
        address rewards;
    }

    /// @notice What a tier starts with.
    struct TierConfig {
        string name; // "Careful"
        string symbol; // "CARE"
        IStrategy strategy; // EigenLayer's strategy of the staking module's token
        uint96 seed; // wei of WETH taken from the caller, never withdrawable; at least 0.01 ETH
        uint40 mandateDelay; // seconds, at least 45 days
        Params params;
    }

    /// @notice A tier was opened.
    event TierCreated(
        address indexed tier,
        string name,
        address senior,
        address junior,
        address risk,
        address stakes,
        address allocator,
        address mandate,
        address module
    );
    /// @notice The contract that collects a tier's AVS rewards.
    event RewardsCreated(address indexed tier, address rewards);
    /// @notice An agent was opened for a tier.
    event AgentCreated(address indexed tier, address indexed agent, address indexed nodeOperator, uint256 index);
    /// @notice A series of a tranche was opened.
    event SeriesCreated(address indexed tier, address indexed token, bool senior, uint64 series);

    /// @notice The tier is not of this factory.
    error UnknownTier(address tier);
    /// @notice The strategy does not take the staking module's token.
    error WrongStrategy(address strategy, address token);

    /// @notice Curator: opens a tier with its first two series.
    function createTier(TierConfig calldata config) external returns (address tier);

    /// @notice Curator: opens an agent of `tier` for a node operator and registers it at EigenLayer.
    function createAgent(address tier, address nodeOperator, string calldata metadataURI)
        external
        returns (address agent);

    /// @notice Curator: offers an agent to another node operator (zero: takes the offer back), who must accept at the agent.
    function nominateNodeOperator(address agent, address nominee) external;

    /// @notice Anybody: opens the next series of a tranche whose last one was retired.
    function openSeries(address tier, bool senior) external returns (address token);

    /// @notice How many tiers this factory has opened.
    function tierCount() external view returns (uint256);

    /// @notice The tier opened at position `index`, from 0.
    function tierAt(uint256 index) external view returns (address);

    /// @notice Whether this factory has opened `tier`.
    function isTier(address tier) external view returns (bool);

    /// @notice The contract that collects the AVS rewards of `tier`; zero if it is none of this factory.
    function rewardsOf(address tier) external view returns (address);

    /// @notice The beacons.
    function beacons() external view returns (Beacons memory);
}
