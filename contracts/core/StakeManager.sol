// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {IDelegationManager, IStrategy, IStrategyManager} from "../interfaces/external/IEigenLayer.sol";
import {IRestakingAgent} from "../interfaces/IRestakingAgent.sol";
import {IRiskManager, Params} from "../interfaces/IRiskManager.sol";
import {IMandate} from "../interfaces/IMandate.sol";
import {IStakeManager} from "../interfaces/IStakeManager.sol";
import {IStakingModule} from "../interfaces/IStakingModule.sol";
import {ITier} from "../interfaces/ITier.sol";
import {ITrancheToken} from "../interfaces/ITrancheToken.sol";
import {Exposure} from "../libraries/Exposure.sol";

/// @title Moves stake
/// @notice See {IStakeManager}.
contract StakeManager is IStakeManager, Initializable {
    /// @dev Below a tenth, EigenLayer's scaling factors lose too much to rounding.
    uint64 private constant MIN_MAGNITUDE = 0.1e18;
    uint256 private constant MIN_BATCH = 1 ether;
    uint256 private constant BATCH_INTERVAL = 1 days;
    /// @dev The sixteenth belongs to the unwind ladder.
    uint256 private constant MAX_BATCHES = 15;
    uint256 private constant SHARES_LEFT = 1_000;
    /// @dev In-flight stake counts for 95 %: slashes and rounding may still take from it.
    uint256 private constant IN_FLIGHT_BPS = 9_500;

    uint256 private constant ROUNDING = 1_000;
    uint256 private constant ROUNDING_PART = 1e16;

    /// @custom:oz-upgrades-unsafe-allow state-variable-immutable
    IDelegationManager private immutable DELEGATION;
    /// @custom:oz-upgrades-unsafe-allow state-variable-immutable
    IStrategyManager private immutable STRATEGIES;
    /// @custom:oz-upgrades-unsafe-allow state-variable-immutable
    uint32 private immutable OVERDUE_BLOCKS;

    /// @custom:storage-location erc7201:bulkhead.storage.StakeManager
    struct Store {
        ITier tier;
        IRiskManager risk;
        IStakingModule module;
    }

    // keccak256(abi.encode(uint256(keccak256("bulkhead.storage.StakeManager")) - 1)) & ~bytes32(uint256(0xff))
    bytes32 private constant STORE = 0x13da3a8d0b1b3f051530b4bc2337c46e0d3cde8d671f7582923e0cca18259100;

    /// @custom:oz-upgrades-unsafe-allow constructor
    constructor(IDelegationManager delegation, IStrategyManager strategies, uint32 overdueBlocks) {
        OVERDUE_BLOCKS = overdueBlocks;
        DELEGATION = delegation;
        STRATEGIES = strategies;
        _disableInitializers();
    }

    /// @notice Ties the manager to its tier. Called once, by the factory.
    function initialize(ITier tier, IRiskManager risk, IStakingModule module) external initializer {
        Store storage $ = _store();
        ($.tier, $.risk, $.module) = (tier, risk, module);
    }

    /// @inheritdoc IStakeManager
    function deploy(uint256 agent, uint256 assets) external {
        Store storage $ = _store();
        ITier.Preview memory p = $.tier.begin();
        IRiskManager.AgentState memory a = _fit($, agent);
        _requireRoom($, agent, a.weightBps, p, Math.min(p.deployable, $.module.stakeLimit()), assets);
        uint256 tokens = $.tier.stake(assets, a.account);
        IRestakingAgent(a.account).deposit(tokens);
        $.risk.recordStake(agent);
        $.tier.end(true);
        emit Deployed(agent, assets, tokens, true);
    }

    /// @inheritdoc IStakeManager
    function redeploy(uint256 agent, uint256 assets) external {
        Store storage $ = _store();
        ITier.Preview memory p = $.tier.begin();
        IRiskManager.AgentState memory a = $.risk.agent(agent);
        _requireRoom($, agent, a.weightBps, p, type(uint256).max, assets);
        if (_unfit(a)) revert AgentUnfit(agent, a.magnitude);
        uint256 tokens = $.module.release(a.account, assets);
        IRestakingAgent(a.account).deposit(tokens);
        $.risk.recordStake(agent);
        _requireUnneeded();
        $.tier.end(true);
        emit Deployed(agent, assets, tokens, false);
    }

    /// @inheritdoc IStakeManager
    function unbond() external returns (uint256 agent, uint256 assets) {
        Store storage $ = _store();
        ITier.Preview memory p = $.tier.begin();
        uint256 need = _unbondNeed($, p);
        address account;
        if (need != 0) (agent, account, assets) = _mostAbove($, p.value);
        if (assets == 0) revert NothingToUnbond();
        assets = Math.min(Math.max(need, MIN_BATCH), assets);
        IDelegationManager.Withdrawal memory w = IRestakingAgent(account).queue(_depositShares($, account, assets));
        uint24 nonce = uint24(w.nonce);
        $.risk.recordExit(agent, uint128(w.scaledShares[0]), w.startBlock, nonce, false);
        $.tier.end(false);
        emit Unbonded(agent, assets, w.scaledShares[0], nonce);
    }

    /// @inheritdoc IStakeManager
    function complete(uint256 agent, uint256 exit) external {
        Store storage $ = _store();
        $.tier.begin();
        (IRiskManager.Exit memory x, address account) = _ready($, agent, exit);
        IRestakingAgent(account).complete(x.nonce, x.startBlock, x.scaled, true, address($.module));
        $.module.receiveTokens(account);
        $.risk.removeExit(agent, exit);
        $.tier.end(false);
        emit WithdrawalCompleted(agent, x.nonce, true);
    }

    /// @inheritdoc IStakeManager
    function redeposit(uint256 agent, uint256 exit) external {
        Store storage $ = _store();
        $.tier.begin();
        (IRiskManager.Exit memory x, address account) = _ready($, agent, exit);
        if (x.tokensOnly) revert Needed(0);
        _fit($, agent);
        IRestakingAgent(account).complete(x.nonce, x.startBlock, x.scaled, false, address(0));
        $.risk.removeExit(agent, exit);
        _requireUnneeded();
        $.tier.end(true);
        emit WithdrawalCompleted(agent, x.nonce, false);
    }

    /// @inheritdoc IStakeManager
    function requestUnstake(uint256 maxRequests) external returns (uint256 assets) {
        Store storage $ = _store();
        ITier.Preview memory p = $.tier.begin();
        uint256 need = Math.saturatingSub(_wanted($, p), p.idle + p.unstaking);
        if (need == 0 || p.loose == 0) revert NothingToUnstake();
        assets = $.module.requestUnstake(Math.min(need, p.loose), maxRequests);
        $.tier.end(false);
    }

    /// @inheritdoc IStakeManager
    function claimUnstaked(uint256 maxRequests) external returns (uint256 assets) {
        Store storage $ = _store();
        $.tier.begin();
        assets = $.module.claimUnstaked(maxRequests);
        $.tier.end(false);
    }

    /// @inheritdoc IStakeManager
    function creditLoose() external returns (uint256 shares) {
        Store storage $ = _store();
        $.tier.begin();
        shares = $.module.receiveTokens(msg.sender);
        $.tier.end(false);
    }

    /// @inheritdoc IStakeManager
    function deployLimit(uint256 agent) external view returns (uint256) {
        Store storage $ = _store();
        ITier.Preview memory p = $.tier.preview();
        return _limit($, agent, $.risk.agent(agent).weightBps, p, Math.min(p.deployable, $.module.stakeLimit()));
    }

    /// @inheritdoc IStakeManager
    function unbondNeed() public view returns (uint256) {
        Store storage $ = _store();
        return _unbondNeed($, $.tier.preview());
    }

    /// @inheritdoc IStakeManager
    function liquidity()
        external
        view
        returns (uint256 wanted, uint256 idle, uint256 queued, uint256 loose, uint256 unstaking)
    {
        Store storage $ = _store();
        ITier.Preview memory p = $.tier.preview();
        return (_wanted($, p), p.idle, p.observation.queued, p.loose, p.unstaking);
    }

    /// @inheritdoc IStakeManager
    function deployRoom() external view returns (uint256 idle, uint256 cover, uint256 value) {
        ITier.Preview memory p = _store().tier.preview();
        return (p.deployable, _cover(p), p.value);
    }

    /// @inheritdoc IStakeManager
    function forwardCover() external view returns (uint256 cover, uint256 value) {
        Store storage $ = _store();
        ITier.Preview memory p = $.tier.preview();
        return (p.books.reserve + p.books.junior - _overdue($, p), p.value);
    }

    /// @inheritdoc IStakeManager
    function overdueShares() public view returns (uint256) {
        ITier tier = _store().tier;
        if (tier.shares(false).queued == 0) return 0;
        (, uint256 wait) = tier.maturity();
        if (!IMandate(tier.parts().mandate).riskierPending()) wait += OVERDUE_BLOCKS;
        return block.number <= wait ? 0 : ITrancheToken(tier.token(false)).maturedShares(block.number - wait);
    }

    /// @dev Value of overdue junior shares, rounded up.
    function _overdue(Store storage $, ITier.Preview memory p) private view returns (uint256) {
        uint256 shares = p.maturedJunior == 0 ? 0 : overdueShares(); // what is overdue is mature
        return shares == 0 ? 0 : Math.mulDiv(shares, p.books.junior, $.tier.shares(false).supply, Math.Rounding.Ceil);
    }

    /// @dev c_dep.
    function _cover(ITier.Preview memory p) private pure returns (uint256) {
        return p.books.reserve + p.books.junior - p.queuedJunior;
    }

    function _unbondNeed(Store storage $, ITier.Preview memory p) private view returns (uint256) {
        uint256 inFlight = (p.observation.queued + p.loose + p.unstaking) * IN_FLIGHT_BPS / Exposure.Q;
        return Math.saturatingSub(_wanted($, p), p.idle + inFlight);
    }

    /// @dev What the queues and the buffer ask for.
    function _wanted(Store storage $, ITier.Preview memory p) private view returns (uint256 wanted) {
        Params memory q = p.observation.params;
        wanted = p.queuedSenior + p.value * q.bufferBps / Exposure.Q;
        if (p.queuedJunior == 0 || p.juniorRetires) return wanted;
        uint256 cover = p.books.reserve + p.books.junior;
        uint256 room = Exposure.juniorLimit(p.observation.exposed, p.value, cover, q.marginBps, q.haircutBps);
        wanted += Math.max(Math.min(room, p.maturedJunior), _overdue($, p));
    }

    /// @dev What an agent of this weight may still take, of `most`.
    function _room(Store storage $, uint256 agent, uint256 weightBps, ITier.Preview memory p, uint256 most)
        private
        view
        returns (uint256)
    {
        // weights are of what is restaked: an agent that took a share of the buffer too would be too large
        uint256 restaked = p.value - p.value * p.observation.params.bufferBps / Exposure.Q;
        return Math.min(most, Math.saturatingSub(weightBps * restaked / Exposure.Q, $.risk.stakeOf(agent)));
    }

    /// @dev Staking and depositing round against the tier (Lido by wei, EigenLayer's scaling factor by 1e-17 of the stake),
    /// and so does the value of every other agent: cover gives way by more than that, or the limit itself would fail.
    function _firmCover(ITier.Preview memory p) private pure returns (uint256) {
        return Math.saturatingSub(_cover(p), ROUNDING + p.value / ROUNDING_PART);
    }

    function _limit(Store storage $, uint256 agent, uint256 weightBps, ITier.Preview memory p, uint256 most)
        private
        view
        returns (uint256)
    {
        uint256 room = _room($, agent, weightBps, p, most);
        return room == 0 ? 0 : $.risk.deployLimit(agent, _firmCover(p), p.value, room);
    }

    function _requireRoom(
        Store storage $,
        uint256 agent,
        uint256 weightBps,
        ITier.Preview memory p,
        uint256 most,
        uint256 assets
    ) private view {
        bool fits = assets != 0 && assets <= _room($, agent, weightBps, p, most);
        if (fits) fits = $.risk.deployFits(agent, _firmCover(p), p.value, p.observation.exposed, assets);
        if (!fits) revert ExceedsDeployLimit(assets, _limit($, agent, weightBps, p, most));
    }

    function _fit(Store storage $, uint256 agent) private view returns (IRiskManager.AgentState memory a) {
        a = $.risk.agent(agent);
        if (_unfit(a)) revert AgentUnfit(agent, a.magnitude);
    }

    function _unfit(IRiskManager.AgentState memory a) private pure returns (bool) {
        return a.magnitude < MIN_MAGNITUDE || a.quarantined;
    }

    function _ready(Store storage $, uint256 agent, uint256 exit)
        private
        view
        returns (IRiskManager.Exit memory x, address account)
    {
        x = $.risk.exit(agent, exit);
        uint256 readyAfter = uint256(x.startBlock) + $.risk.withdrawalDelay();
        if (block.number <= readyAfter) revert NotReady(block.number, readyAfter);
        account = $.risk.agent(agent).account;
    }

    function _requireUnneeded() private view {
        uint256 need = unbondNeed();
        if (need != 0) revert Needed(need);
    }

    /// @dev The agent most above its weight among those that may queue a batch now, and what it can give (wei).
    function _mostAbove(Store storage $, uint256 value)
        private
        view
        returns (uint256 agent, address account, uint256 available)
    {
        IRiskManager.Standing[] memory list = $.risk.standings();
        IStrategy strategy = $.risk.strategy();
        // once as a rule: an agent with nothing but the shares that stay behind is seldom above all others
        for (uint256 round; round < list.length; ++round) {
            int256 most = type(int256).min;
            for (uint256 i; i < list.length; ++i) {
                IRiskManager.Standing memory a = list[i];
                if (a.stake == 0 || a.exits >= MAX_BATCHES || block.timestamp < a.lastUnbond + BATCH_INTERVAL) {
                    continue;
                }
                int256 above = int256(a.stake * Exposure.Q) - int256(uint256(a.weightBps) * value);
                if (above > most) (most, agent) = (above, i);
            }
            if (most == type(int256).min) return (0, address(0), 0);
            (account, available) = (list[agent].account, list[agent].stake);
            if (STRATEGIES.stakerDepositShares(account, strategy) > SHARES_LEFT) return (agent, account, available);
            (list[agent].stake, available) = (0, 0);
        }
    }

    /// @dev EigenLayer's own conversion, cut to what is there less the strategy's virtual shares.
    function _depositShares(Store storage $, address account, uint256 assets) private view returns (uint256) {
        IStrategy strategy = $.risk.strategy();
        IStrategy[] memory list = new IStrategy[](1);
        list[0] = strategy;
        uint256[] memory amounts = new uint256[](1);
        amounts[0] = strategy.underlyingToSharesView(assets);
        uint256 wanted = DELEGATION.convertToDepositShares(account, list, amounts)[0];
        uint256 deposited = STRATEGIES.stakerDepositShares(account, strategy);
        return Math.min(wanted, Math.saturatingSub(deposited, SHARES_LEFT));
    }

    function _store() private pure returns (Store storage $) {
        bytes32 slot = STORE;
        assembly {
            $.slot := slot
        }
    }
}
