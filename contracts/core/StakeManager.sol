// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {IDelegationManager, IStrategy, IStrategyManager} from "../interfaces/external/IEigenLayer.sol";
import {IRestakingAgent} from "../interfaces/IRestakingAgent.sol";
import {IRiskManager} from "../interfaces/IRiskManager.sol";
import {IMandate} from "../interfaces/IMandate.sol";
import {IStakeManager} from "../interfaces/IStakeManager.sol";
import {IStakingModule} from "../interfaces/IStakingModule.sol";
import {ITier} from "../interfaces/ITier.sol";
import {ITrancheToken} from "../interfaces/ITrancheToken.sol";
import {Exposure} from "../libraries/Exposure.sol";
import {Waterfall} from "../libraries/Waterfall.sol";

/// @title Moves stake
/// @notice See {IStakeManager}.
contract StakeManager is IStakeManager, Initializable {
    using Waterfall for Waterfall.Books;

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
        $.tier.begin();
        address account = _fit($, agent);
        uint256 limit = deployLimit(agent);
        if (assets == 0 || assets > limit) revert ExceedsDeployLimit(assets, limit);
        uint256 tokens = $.tier.stake(assets, account);
        IRestakingAgent(account).deposit(tokens);
        $.risk.recordStake(agent);
        $.tier.end(true);
        emit Deployed(agent, assets, tokens, true);
    }

    /// @inheritdoc IStakeManager
    function redeploy(uint256 agent, uint256 assets) external {
        Store storage $ = _store();
        $.tier.begin();
        (, uint256 cover, uint256 value) = deployRoom();
        uint256 limit = _limit($, agent, type(uint256).max, cover, value);
        if (assets == 0 || assets > limit) revert ExceedsDeployLimit(assets, limit);
        address account = _fit($, agent);
        uint256 tokens = $.module.release(account, assets);
        IRestakingAgent(account).deposit(tokens);
        $.risk.recordStake(agent);
        _requireUnneeded();
        $.tier.end(true);
        emit Deployed(agent, assets, tokens, false);
    }

    /// @inheritdoc IStakeManager
    function unbond() external returns (uint256 agent, uint256 assets) {
        Store storage $ = _store();
        $.tier.begin();
        uint256 need = unbondNeed();
        uint256 available;
        if (need != 0) (agent, available) = _mostAbove($);
        if (available == 0) revert NothingToUnbond();
        assets = Math.min(Math.max(need, MIN_BATCH), available);
        IRestakingAgent account = IRestakingAgent($.risk.agent(agent).account);
        IDelegationManager.Withdrawal memory w = account.queue(_depositShares($, address(account), assets));
        uint24 nonce = uint24(w.nonce);
        $.risk.recordExit(agent, uint128(w.scaledShares[0]), w.startBlock, nonce, false);
        $.risk.recordStake(agent);
        $.risk.recordUnbond(agent);
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
        $.risk.recordStake(agent);
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
        $.risk.recordStake(agent);
        _requireUnneeded();
        $.tier.end(true);
        emit WithdrawalCompleted(agent, x.nonce, false);
    }

    /// @inheritdoc IStakeManager
    function requestUnstake(uint256 maxRequests) external returns (uint256 assets) {
        Store storage $ = _store();
        $.tier.begin();
        (uint256 wanted, uint256 idle,, uint256 loose, uint256 unstaking) = liquidity();
        uint256 need = Math.saturatingSub(wanted, idle + unstaking);
        if (need == 0 || loose == 0) revert NothingToUnstake();
        assets = $.module.requestUnstake(Math.min(need, loose), maxRequests);
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
    function deployLimit(uint256 agent) public view returns (uint256) {
        Store storage $ = _store();
        if (_unfit($, agent, $.risk.agent(agent))) return 0;
        (uint256 idle, uint256 cover, uint256 value) = deployRoom();
        return _limit($, agent, Math.min(idle, $.module.stakeLimit()), cover, value);
    }

    /// @inheritdoc IStakeManager
    function unbondNeed() public view returns (uint256) {
        (uint256 wanted, uint256 idle, uint256 queued, uint256 loose, uint256 unstaking) = liquidity();
        uint256 inFlight = (queued + loose + unstaking) * IN_FLIGHT_BPS / Exposure.Q;
        return Math.saturatingSub(wanted, idle + inFlight);
    }

    /// @inheritdoc IStakeManager
    function liquidity()
        public
        view
        returns (uint256 wanted, uint256 idle, uint256 queued, uint256 loose, uint256 unstaking)
    {
        ITier tier = _store().tier;
        ITier.Preview memory p = tier.preview();
        (idle,) = tier.cash();
        (queued, loose, unstaking) = (p.observation.queued, p.loose, p.unstaking);
        wanted = _assets(tier.shares(true), tier.shares(true).queued, p.books.senior) + p.books.total()
            * p.observation.params.bufferBps / Exposure.Q;
        ITier.Shares memory junior = tier.shares(false);
        if (junior.queued == 0 || p.juniorRetires) return (wanted, idle, queued, loose, unstaking);
        uint256 cover = p.books.reserve + p.books.junior;
        (uint256 margin, uint256 haircut) = (p.observation.params.marginBps, p.observation.params.haircutBps);
        uint256 room = Exposure.juniorLimit(p.observation.exposed, p.value, cover, margin, haircut);
        (, uint256 wait) = tier.maturity();
        uint256 due = Math.min(room, _assets(junior, _matured(tier, wait), p.books.junior));
        wanted += Math.max(due, _assets(junior, overdueShares(), p.books.junior));
    }

    /// @inheritdoc IStakeManager
    function deployRoom() public view returns (uint256 idle, uint256 cover, uint256 value) {
        ITier tier = _store().tier;
        ITier.Preview memory p = tier.preview();
        (ITier.Shares memory senior, ITier.Shares memory junior) = (tier.shares(true), tier.shares(false));
        (idle,) = tier.cash();
        value = p.value;
        cover = p.books.reserve + p.books.junior - _assets(junior, junior.queued, p.books.junior);
        uint256 claimed =
            _assets(senior, senior.queued, p.books.senior) + value * p.observation.params.bufferBps / Exposure.Q;
        if (junior.queued != 0) {
            (, uint256 wait) = tier.maturity();
            claimed += _assets(junior, _matured(tier, wait), p.books.junior);
        }
        idle = Math.saturatingSub(idle, claimed);
    }

    /// @inheritdoc IStakeManager
    function forwardCover() external view returns (uint256 cover, uint256 value) {
        ITier tier = _store().tier;
        ITier.Preview memory p = tier.preview();
        cover = p.books.reserve + p.books.junior - _assets(tier.shares(false), overdueShares(), p.books.junior);
        value = p.value;
    }

    /// @inheritdoc IStakeManager
    function overdueShares() public view returns (uint256) {
        ITier tier = _store().tier;
        if (tier.shares(false).queued == 0) return 0;
        (, uint256 wait) = tier.maturity();
        if (!IMandate(tier.parts().mandate).riskierPending()) wait += OVERDUE_BLOCKS;
        return _matured(tier, wait);
    }

    function _matured(ITier tier, uint256 wait) private view returns (uint256) {
        return block.number <= wait ? 0 : ITrancheToken(tier.token(false)).maturedShares(block.number - wait);
    }

    /// @dev Value of shares, rounded up.
    function _assets(ITier.Shares memory s, uint256 shares, uint256 book) private pure returns (uint256) {
        return shares == 0 ? 0 : Math.mulDiv(shares, book, s.supply, Math.Rounding.Ceil);
    }

    /// @dev The agent's room below its weight, cut to what cover allows.
    function _limit(Store storage $, uint256 agent, uint256 room, uint256 cover, uint256 value)
        private
        view
        returns (uint256)
    {
        // weights are of what is restaked: an agent that took a share of the buffer too would be too large
        uint256 restaked = value - value * $.risk.params().bufferBps / Exposure.Q;
        uint256 share = uint256($.risk.agent(agent).weightBps) * restaked / Exposure.Q;
        room = Math.min(room, Math.saturatingSub(share, $.risk.stakes()[agent]));
        // Staking and depositing round against the tier (Lido by wei, EigenLayer's scaling factor by 1e-17 of the stake),
        // and so does the value of every other agent: cover gives way by more than that, or the limit itself would fail.
        cover = Math.saturatingSub(cover, ROUNDING + value / ROUNDING_PART);
        return room == 0 ? 0 : $.risk.deployLimit(agent, cover, value, room);
    }

    function _fit(Store storage $, uint256 agent) private view returns (address) {
        IRiskManager.AgentState memory a = $.risk.agent(agent);
        if (_unfit($, agent, a)) revert AgentUnfit(agent, a.magnitude);
        return a.account;
    }

    function _unfit(Store storage $, uint256 agent, IRiskManager.AgentState memory a)
        private
        view
        returns (bool unfit)
    {
        unfit = a.magnitude < MIN_MAGNITUDE;
        for (uint256 j; j < a.links && !unfit; ++j) {
            (uint256 at, IRiskManager.Link memory x) = $.risk.link(agent, j);
            unfit = x.current != 0 && $.risk.set(at).quarantined;
        }
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
    function _mostAbove(Store storage $) private view returns (uint256 agent, uint256 available) {
        (,, uint256 value) = deployRoom();
        uint256[] memory stakes = $.risk.stakes();
        int256 most = type(int256).min;
        for (uint256 i; i < stakes.length; ++i) {
            if (stakes[i] == 0) continue;
            IRiskManager.AgentState memory a = $.risk.agent(i);
            if (STRATEGIES.stakerDepositShares(a.account, $.risk.strategy()) <= SHARES_LEFT) continue;
            if (a.exits >= MAX_BATCHES || block.timestamp < a.lastUnbond + BATCH_INTERVAL) continue;
            int256 above = int256(stakes[i] * Exposure.Q) - int256(uint256(a.weightBps) * value);
            if (above > most) (most, agent, available) = (above, i, stakes[i]);
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
