// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Checkpoints} from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";
import {IRestakingAgent} from "../interfaces/IRestakingAgent.sol";
import {IRewards} from "../interfaces/IRewards.sol";
import {IRiskManager} from "../interfaces/IRiskManager.sol";
import {IStakingModule} from "../interfaces/IStakingModule.sol";
import {ITier} from "../interfaces/ITier.sol";
import {IRewardsCoordinator} from "../interfaces/external/IEigenLayer.sol";
import {Delegate} from "../libraries/Delegate.sol";
import {DutchAuction} from "../libraries/DutchAuction.sol";
import {Exposure} from "../libraries/Exposure.sol";
import {RewardsBooks} from "./rewards/RewardsBooks.sol";

/// @title A tier's AVS rewards
/// @notice See {IRewards}.
/// @dev A lot on sale is all that was there when it opened; what comes later waits for the next one, so that nobody
/// prolongs a sale by adding to it. Nothing is credited before its WETH is here, and a token's own code runs last.
contract Rewards is IRewards, RewardsBooks {
    using Checkpoints for Checkpoints.Trace208;
    using SafeCast for uint256;
    using SafeERC20 for IERC20;

    /// @dev Tokens in one claim; a harvest compares them with each other.
    uint256 private constant MAX_LEAVES = 16;

    /// @dev A lot that brought less (wei) does not move the next start: whoever gives a few units and buys them dear could
    /// hold up the sales that follow.
    uint256 private constant TELLING_PROCEEDS = 0.1 ether;
    /// @dev A token that was never claimed is taken to have been earned in this time.
    uint256 private constant FIRST_PERIOD = 28 days;

    /// @custom:oz-upgrades-unsafe-allow state-variable-immutable
    IRewardsCoordinator private immutable COORDINATOR;
    /// @custom:oz-upgrades-unsafe-allow state-variable-immutable
    address private immutable FIRST_TREASURY;
    /// @custom:oz-upgrades-unsafe-allow state-variable-immutable
    address private immutable CONFIGURATOR;

    /// @custom:oz-upgrades-unsafe-allow constructor
    constructor(IRewardsCoordinator coordinator, IERC20 weth, address firstTreasury, address configurator)
        RewardsBooks(weth)
    {
        COORDINATOR = coordinator;
        FIRST_TREASURY = firstTreasury;
        CONFIGURATOR = configurator;
    }

    /// @notice Ties the module to its tier. Called once, by the factory.
    function initialize(address authority, ITier tier_) external initializer {
        __AccessManaged_init(authority);
        Store storage $ = _store();
        ($.tier, $.treasury) = (tier_, FIRST_TREASURY);
        $.stakingToken = IStakingModule(tier_.parts().stakingModule).token();
        emit TreasuryChanged(FIRST_TREASURY);
    }

    // --------------------------------------------------------------------------------------------- rewards

    /// @inheritdoc IRewards
    function harvest(IRewardsCoordinator.RewardsMerkleClaim calldata claim) external nonReentrant {
        Store storage $ = _store();
        address agent = claim.earnerLeaf.earner;
        if (!$.earners[agent].pay.known) revert ForeignEarner(agent);
        uint256 count = claim.tokenLeaves.length;
        uint256[] memory before = _balances(claim.tokenLeaves);
        $.tier.sync();
        _review($, agent);
        COORDINATOR.processClaim(claim, address(this));
        uint32 until = COORDINATOR.getDistributionRootAtIndex(claim.rootIndex).rewardsCalculationEndTimestamp;
        for (uint256 i; i < count; ++i) {
            IERC20 token = claim.tokenLeaves[i].token;
            _divide($, agent, token, Math.saturatingSub(token.balanceOf(address(this)), before[i]), until);
        }
    }

    /// @dev A token that is named twice would be counted twice.
    function _balances(IRewardsCoordinator.TokenTreeMerkleLeaf[] calldata leaves)
        private
        view
        returns (uint256[] memory before)
    {
        uint256 count = leaves.length;
        if (count == 0 || count > MAX_LEAVES) revert InvalidLeaves(count);
        before = new uint256[](count);
        for (uint256 i; i < count; ++i) {
            for (uint256 j; j < i; ++j) {
                if (leaves[j].token == leaves[i].token) revert InvalidLeaves(count);
            }
            before[i] = leaves[i].token.balanceOf(address(this));
        }
    }

    /// @dev Fees are parts of this reward alone, by the operator of the rewarded period and his faults in it.
    function _divide(Store storage $, address agent, IERC20 token, uint256 amount, uint32 until) private {
        (address payee, uint256 operatorShare) = _operatorShare($, agent, token, until);
        uint256 protocolShare = uint256($.feeBps) * WAD / Exposure.Q;
        uint256 operatorPart = Math.mulDiv(amount, operatorShare, WAD);
        uint256 protocolPart = Math.mulDiv(amount, protocolShare, WAD);
        emit Harvested(agent, token, payee, amount, operatorPart, protocolPart, until);
        if (token == WETH) {
            _gain($, amount - _share($, token, amount, payee, operatorShare, protocolShare));
        } else if (token == $.stakingToken) {
            // pay is in WETH, so the fees' tokens are sold
            uint256 fees = operatorPart + protocolPart;
            if (fees != 0) {
                operatorShare = Math.mulDiv(operatorPart, WAD, fees);
                _stockUp($, token, fees, payee, operatorShare, WAD - operatorShare);
                _openLot(token, $.stock[token]);
            }
            // it moves by shares, so a wei or two may not have come along
            _gainTokens($, Math.min(amount - fees, token.balanceOf(address(this))));
        } else {
            _stockUp($, token, amount, payee, operatorShare, protocolShare);
            _openLot(token, $.stock[token]);
        }
    }

    /// @dev Who is paid for the rewarded period, and which part (WAD): the fee, times the part of the period without
    /// fault. The period lies between the ends of the last root from which this token was claimed and of this one.
    function _operatorShare(Store storage $, address agent, IERC20 token, uint32 until)
        private
        returns (address payee, uint256 share)
    {
        Earner storage e = $.earners[agent];
        uint48 from = e.paidUntil[token];
        if (from == 0) from = _firstPeriod(e, until);
        if (until > from) e.paidUntil[token] = until;
        else from = until - 1; // an older root, as far as it pays anything: judged by its last second
        payee = _operatorAt(e, until);
        uint256 faulty = _faultSeconds(e, until) - _faultSeconds(e, from);
        uint256 fee = uint256(e.pay.feeBps) * WAD / Exposure.Q;
        share = Math.mulDiv(fee, (until - from) - faulty, until - from);
    }

    /// @dev Start of the period of a token's first reward: a while before its end, while the agent was there.
    function _firstPeriod(Earner storage e, uint32 until) private view returns (uint48) {
        return uint48(Math.max(e.operators.at(0)._key, Math.saturatingSub(until, FIRST_PERIOD)));
    }

    /// @inheritdoc IRewards
    function absorb(IERC20 token) external nonReentrant returns (uint256 amount) {
        Store storage $ = _store();
        amount = Math.saturatingSub(token.balanceOf(address(this)), $.recorded[token]);
        if (amount == 0) revert NothingThere();
        emit Absorbed(token, amount);
        if (token == WETH) {
            _gain($, amount);
        } else if (token == $.stakingToken) {
            _gainTokens($, amount);
        } else {
            _stockUp($, token, amount, address(0), 0, 0);
            _openLot(token, $.stock[token]);
        }
    }

    /// @inheritdoc IRewards
    function claimPay(IERC20 token, address receiver) external nonReentrant returns (uint256 amount) {
        Store storage $ = _store();
        amount = $.pay[msg.sender][token];
        if (amount == 0) revert NothingThere();
        delete $.pay[msg.sender][token];
        $.recorded[token] -= amount;
        emit PayClaimed(msg.sender, token, receiver, amount);
        token.safeTransfer(receiver, amount);
    }

    // -------------------------------------------------------------------------------------------- operators

    /// @inheritdoc IRewards
    function addAgent(address agent) external {
        Store storage $ = _store();
        if (msg.sender != $.tier.parts().factory) revert NotAuthorised(msg.sender);
        Earner storage e = $.earners[agent];
        (e.pay.known, e.pay.reviewedAt, e.pay.magnitude) = (true, uint40(block.timestamp), uint64(WAD));
        _recordOperator($, agent);
    }

    /// @inheritdoc IRewards
    function recordOperator() external {
        Store storage $ = _store();
        if (!$.earners[msg.sender].pay.known) revert NotAuthorised(msg.sender);
        _recordOperator($, msg.sender);
    }

    function _recordOperator(Store storage $, address agent) private {
        address nodeOperator = IRestakingAgent(agent).nodeOperator();
        $.earners[agent].operators.push(uint48(block.timestamp), uint160(nodeOperator));
        emit OperatorRecorded(agent, nodeOperator);
    }

    /// @inheritdoc IRewards
    function review(address agent) external nonReentrant {
        Store storage $ = _store();
        if (!$.earners[agent].pay.known) revert UnknownAgent(agent);
        $.tier.sync();
        _review($, agent);
    }

    /// @inheritdoc IRewards
    function withholdPay(address agent) external restricted nonReentrant {
        _setWithheld(agent, true);
    }

    /// @inheritdoc IRewards
    function resumePay(address agent) external restricted nonReentrant {
        _setWithheld(agent, false);
    }

    /// @dev The time before is judged first, so that the word counts from now on.
    function _setWithheld(address agent, bool withheld) private {
        Store storage $ = _store();
        AgentPay storage p = $.earners[agent].pay;
        if (!p.known) revert UnknownAgent(agent);
        $.tier.sync();
        _review($, agent);
        p.withheld = withheld;
        _review($, agent);
    }

    /// @dev Books the time since the last review as faulty if the agent is at fault now, or was then.
    function _review(Store storage $, address agent) private {
        Earner storage e = $.earners[agent];
        AgentPay storage p = e.pay;
        (bool found, bool lasts, uint64 magnitude) = _unwinding($, agent, p);
        uint40 now_ = uint40(block.timestamp);
        if (found || p.withheld) _beginFault(e, agent, p.reviewedAt);
        p.unwinding = lasts;
        if (!lasts) p.magnitude = magnitude;
        if (!lasts && !p.withheld) _endFault(e, agent, now_);
        p.reviewedAt = now_;
    }

    /// @dev `found`: it was slashed since its last review without fault, and one of its sets is in quarantine, or so it was
    /// at the last review. `lasts`: it still has an allocation there, which is being taken away.
    function _unwinding(Store storage $, address agent, AgentPay storage p)
        private
        view
        returns (bool found, bool lasts, uint64 magnitude)
    {
        IRiskManager risk = IRiskManager($.tier.parts().risk);
        try risk.agentIndex(agent) returns (uint256 index) {
            IRiskManager.AgentState memory a = risk.agent(index);
            magnitude = a.magnitude;
            if (!p.unwinding && magnitude >= p.magnitude) return (false, false, magnitude);
            for (uint256 j; j < a.links; ++j) {
                (uint256 set, IRiskManager.Link memory x) = risk.link(index, j);
                if (!risk.set(set).quarantined) continue;
                found = true;
                lasts = lasts || x.current != 0;
            }
            found = found || p.unwinding;
        } catch {
            return (p.unwinding, false, p.magnitude); // an agent that was removed has nothing left to unwind
        }
    }

    function _beginFault(Earner storage e, address agent, uint40 at) private {
        (uint256 sum,, bool faulty) = _latestFault(e);
        if (faulty) return;
        e.faults.push(at, _fault(sum, at, true));
        emit FaultFound(agent, at, e.pay.withheld);
    }

    function _endFault(Earner storage e, address agent, uint40 at) private {
        (uint256 sum, uint256 since, bool faulty) = _latestFault(e);
        if (!faulty) return;
        e.faults.push(at, _fault(sum + at - since, at, false));
        emit FaultEnded(agent, at);
    }

    function _latestFault(Earner storage e) private view returns (uint256 sum, uint256 since, bool faulty) {
        return _unpack(e.faults.latest());
    }

    function _faultSeconds(Earner storage e, uint48 time) private view returns (uint256 sum) {
        uint256 since;
        bool faulty;
        (sum, since, faulty) = _unpack(e.faults.upperLookup(time));
        if (faulty) sum += time - since;
    }

    function _fault(uint256 sum, uint256 since, bool faulty) private pure returns (uint208) {
        return uint208(sum << 64 | since << 8 | (faulty ? 1 : 0));
    }

    function _unpack(uint208 value) private pure returns (uint256 sum, uint256 since, bool faulty) {
        return (value >> 64, uint48(value >> 8), value & 1 == 1);
    }

    function _operatorAt(Earner storage e, uint48 time) private view returns (address) {
        uint208 value = e.operators.upperLookup(time);
        // a period that ended before the agent was there can be nobody else's
        return address(uint160(value == 0 ? e.operators.at(0)._value : value));
    }

    // ------------------------------------------------------------------------------------------------ sale

    /// @inheritdoc IRewards
    function buy(IERC20 token, uint256 amount, uint256 maxPayment, address receiver)
        external
        nonReentrant
        returns (uint256 sold, uint256 payment)
    {
        Store storage $ = _store();
        Stock storage s = $.stock[token];
        uint256 price = _price(token, s);
        // a token that takes from its holders may have left less than was counted
        sold = Math.min(Math.min(amount, s.lot), token.balanceOf(address(this)));
        sold = _reach($, token, sold);
        if (sold == 0) revert NothingThere();
        payment = DutchAuction.cost(sold, price);
        if (payment > maxPayment) revert PaymentTooHigh(payment, maxPayment);
        s.lot -= uint128(sold);
        s.lotProceeds = uint128(Math.min(uint256(s.lotProceeds) + payment, type(uint128).max));
        emit Sold(token, msg.sender, receiver, sold, payment);

        WETH.safeTransferFrom(msg.sender, address(this), payment);
        uint256 gain = _take($, token, sold, WETH, payment);
        if (s.lot == 0) {
            if (s.lotProceeds >= TELLING_PROCEEDS) {
                s.startPrice = uint128(DutchAuction.next(s.lotProceeds, s.lotSize, s.floor));
            }
            _openLot(token, s);
        }
        _gain($, gain);
        token.safeTransfer(receiver, sold);
    }

    // ------------------------------------------------------------------------------------------- rare calls

    /// @custom:oz-upgrades-unsafe-allow delegatecall
    function _delegate() private {
        Delegate.forward(CONFIGURATOR);
    }

    /// @inheritdoc IRewards
    function setOperatorFee(address, uint16) external {
        _delegate();
    }

    /// @inheritdoc IRewards
    function setProtocolFee(uint16) external {
        _delegate();
    }

    /// @inheritdoc IRewards
    function applyFee(address) external {
        _delegate();
    }

    /// @inheritdoc IRewards
    function offerTreasury(address) external {
        _delegate();
    }

    /// @inheritdoc IRewards
    function acceptTreasury() external {
        _delegate();
    }

    /// @inheritdoc IRewards
    function listToken(IERC20, uint128, uint128) external {
        _delegate();
    }

    /// @inheritdoc IRewards
    function setFloor(IERC20, uint128) external {
        _delegate();
    }

    /// @inheritdoc IRewards
    function raiseFloor(IERC20, uint128) external {
        _delegate();
    }

    /// @inheritdoc IRewards
    function reserveForDrops(IERC20, uint256) external returns (uint256) {
        _delegate();
    }

    /// @inheritdoc IRewards
    function postDrop(IERC20, address, uint128, bytes32, uint40, bytes32, string calldata) external returns (uint256) {
        _delegate();
    }

    /// @inheritdoc IRewards
    function claimDrop(uint256, address, uint256, bytes32[] calldata) external {
        _delegate();
    }

    /// @inheritdoc IRewards
    function closeDrop(uint256) external {
        _delegate();
    }

    // ------------------------------------------------------------------------------------------------ views

    /// @inheritdoc IRewards
    function priceOf(IERC20 token) external view returns (uint256) {
        return _price(token, _store().stock[token]);
    }

    /// @inheritdoc IRewards
    function stock(IERC20 token) external view returns (Stock memory) {
        return _store().stock[token];
    }

    /// @inheritdoc IRewards
    function drop(uint256 id) external view returns (Drop memory) {
        Store storage $ = _store();
        if (id >= $.drops.length) revert UnknownDrop(id);
        return $.drops[id];
    }

    /// @inheritdoc IRewards
    function dropCount() external view returns (uint256) {
        return _store().drops.length;
    }

    /// @inheritdoc IRewards
    function dropClaimed(uint256 id, address account) external view returns (bool) {
        return _store().claimed[id][account];
    }

    /// @inheritdoc IRewards
    function payOf(address account, IERC20 token) external view returns (uint256) {
        return _store().pay[account][token];
    }

    /// @inheritdoc IRewards
    function recorded(IERC20 token) external view returns (uint256) {
        return _store().recorded[token];
    }

    /// @inheritdoc IRewards
    function agentPay(address agent) external view returns (AgentPay memory) {
        return _store().earners[agent].pay;
    }

    /// @inheritdoc IRewards
    function faultSeconds(address agent, uint48 time) external view returns (uint256) {
        return _faultSeconds(_store().earners[agent], time);
    }

    /// @inheritdoc IRewards
    function operatorAt(address agent, uint48 time) external view returns (address) {
        Earner storage e = _store().earners[agent];
        if (!e.pay.known) revert UnknownAgent(agent);
        return _operatorAt(e, time);
    }

    /// @inheritdoc IRewards
    function protocolFee() external view returns (uint16, uint16, uint40) {
        Store storage $ = _store();
        return ($.feeBps, $.pendingFeeBps, $.feeFrom);
    }

    /// @inheritdoc IRewards
    function treasury() external view returns (address, address) {
        Store storage $ = _store();
        return ($.treasury, $.offered);
    }

    /// @inheritdoc IRewards
    function tier() external view returns (address) {
        return address(_store().tier);
    }

    function _price(IERC20 token, Stock storage s) private view returns (uint256) {
        if (!s.listed) revert NotListed(token);
        return DutchAuction.price(s.startPrice, s.floor, block.timestamp - s.startedAt);
    }
}
