// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {BeaconProxy} from "@openzeppelin/contracts/proxy/beacon/BeaconProxy.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Strings} from "@openzeppelin/contracts/utils/Strings.sol";
import {IWETH} from "../interfaces/external/ILido.sol";
import {IRiskManager} from "../interfaces/IRiskManager.sol";
import {IStakingModule} from "../interfaces/IStakingModule.sol";
import {IRestakingAgent} from "../interfaces/IRestakingAgent.sol";
import {ITier} from "../interfaces/ITier.sol";
import {ITierFactory} from "../interfaces/ITierFactory.sol";
import {Allocator} from "./Allocator.sol";
import {LidoModule} from "../modules/LidoModule.sol";
import {Rewards} from "../modules/Rewards.sol";
import {Mandate} from "./Mandate.sol";
import {RestakingAgent} from "./RestakingAgent.sol";
import {RiskManager} from "./risk/RiskManager.sol";
import {StakeManager} from "./StakeManager.sol";
import {Tier} from "./Tier.sol";
import {TrancheToken} from "./TrancheToken.sol";

/// @title Opens tiers, agents and series
/// @notice See {ITierFactory}. A tier shares its beacons and its roles with the others, and nothing else.
contract TierFactory is ITierFactory, AccessManaged {
    using SafeERC20 for IWETH;

    IWETH private immutable WETH;
    Beacons private _beacons;
    address[] private _tiers;
    mapping(address tier => TierConfig) private _configs;
    mapping(address tier => mapping(bool senior => uint64)) private _series;
    mapping(address tier => address) private _rewards;

    constructor(address authority, IWETH weth, Beacons memory beacons_) AccessManaged(authority) {
        WETH = weth;
        _beacons = beacons_;
    }

    /// @inheritdoc ITierFactory
    function createTier(TierConfig calldata config) external restricted returns (address tier) {
        tier = _proxy(_beacons.tier);
        ITier.Parts memory p = ITier.Parts({
            risk: _proxy(_beacons.risk),
            stakes: _proxy(_beacons.stakes),
            allocator: _proxy(_beacons.allocator),
            mandate: _proxy(_beacons.mandate),
            stakingModule: _proxy(_beacons.module),
            factory: address(this)
        });
        address token = address(IStakingModule(p.stakingModule).token());
        if (address(config.strategy.underlyingToken()) != token) revert WrongStrategy(address(config.strategy), token);
        _tiers.push(tier);
        _configs[tier] = config;
        (address senior, address junior) = (_proxy(_beacons.token), _proxy(_beacons.token));

        WETH.safeTransferFrom(msg.sender, tier, config.seed);
        Tier(payable(tier)).initialize(authority(), p, senior, junior, config.seed);
        RiskManager(p.risk).initialize(authority(), ITier(tier), config.strategy, config.params);
        StakeManager(p.stakes).initialize(ITier(tier), IRiskManager(p.risk), IStakingModule(p.stakingModule));
        Allocator(p.allocator).initialize(ITier(tier), IRiskManager(p.risk));
        Mandate(p.mandate).initialize(authority(), ITier(tier), IRiskManager(p.risk), config.mandateDelay);
        LidoModule(payable(p.stakingModule)).initialize(ITier(tier));
        address rewards = _proxy(_beacons.rewards);
        _rewards[tier] = rewards;
        Rewards(rewards).initialize(authority(), ITier(tier));
        emit RewardsCreated(tier, rewards);
        _name(tier, senior, true);
        _name(tier, junior, false);
        emit TierCreated(tier, config.name, senior, junior, p.risk, p.stakes, p.allocator, p.mandate, p.stakingModule);
    }

    /// @inheritdoc ITierFactory
    function createAgent(address tier, address nodeOperator, string calldata metadataURI)
        external
        restricted
        returns (address agent)
    {
        if (!isTier(tier)) revert UnknownTier(tier);
        IRiskManager risk = IRiskManager(ITier(tier).parts().risk);
        agent = _proxy(_beacons.agent);
        address rewards = _rewards[tier];
        RestakingAgent(agent).initialize(tier, nodeOperator, _configs[tier].strategy, metadataURI, rewards);
        Rewards(rewards).addAgent(agent);
        emit AgentCreated(tier, agent, nodeOperator, risk.addAgent(agent, nodeOperator));
    }

    /// @inheritdoc ITierFactory
    function nominateNodeOperator(address agent, address nominee) external restricted {
        address tier = IRestakingAgent(agent).tier();
        if (!isTier(tier)) revert UnknownTier(tier);
        IRestakingAgent(agent).nominate(nominee);
    }

    /// @inheritdoc ITierFactory
    function openSeries(address tier, bool senior) external returns (address token) {
        if (!isTier(tier)) revert UnknownTier(tier);
        token = _proxy(_beacons.token);
        ITier(tier).adoptSeries(senior, token);
        _name(tier, token, senior);
    }

    function _name(address tier, address token, bool senior) private {
        uint64 series = ++_series[tier][senior];
        string memory number = series == 1 ? "" : string.concat("-", Strings.toString(series));
        TierConfig storage c = _configs[tier];
        TrancheToken(token)
            .initialize(
                ITier(tier),
                senior,
                series,
                string.concat("Bulkhead ", c.name, senior ? " Senior" : " Junior", number),
                string.concat(senior ? "bs" : "bj", c.symbol, number)
            );
        emit SeriesCreated(tier, token, senior, series);
    }

    function _proxy(address beacon) private returns (address) {
        return address(new BeaconProxy(beacon, ""));
    }

    /// @inheritdoc ITierFactory
    function tierCount() external view returns (uint256) {
        return _tiers.length;
    }

    /// @inheritdoc ITierFactory
    function tierAt(uint256 index) external view returns (address) {
        return _tiers[index];
    }

    /// @inheritdoc ITierFactory
    function isTier(address tier) public view returns (bool) {
        return address(_configs[tier].strategy) != address(0);
    }

    /// @inheritdoc ITierFactory
    function rewardsOf(address tier) external view returns (address) {
        return _rewards[tier];
    }

    /// @inheritdoc ITierFactory
    function beacons() external view returns (Beacons memory) {
        return _beacons;
    }
}
