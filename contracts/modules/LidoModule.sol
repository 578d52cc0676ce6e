// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {ILido, ILidoWithdrawalQueue, IWETH} from "../interfaces/external/ILido.sol";
import {IStakingModule} from "../interfaces/IStakingModule.sol";
import {ITier} from "../interfaces/ITier.sol";

/// @title Lido behind a tier
/// @notice See {IStakingModule}. stETH is counted in recorded shares, so donations are ignored until an agent's own
/// tokens arrive; values are at Lido's protocol rate. Reading never depends on Lido's pauses.
contract LidoModule is IStakingModule, Initializable {
    /// @custom:oz-upgrades-unsafe-allow state-variable-immutable
    ILido private immutable LIDO;
    /// @custom:oz-upgrades-unsafe-allow state-variable-immutable
    ILidoWithdrawalQueue private immutable QUEUE;
    /// @custom:oz-upgrades-unsafe-allow state-variable-immutable
    IWETH private immutable WETH;

    struct Request {
        uint128 amount;
        uint128 shares;
    }

    /// @custom:storage-location erc7201:bulkhead.storage.LidoModule
    struct Store {
        ITier tier;
        uint64 head;
        uint128 looseShares;
        uint128 queuedAmount;
        uint128 queuedShares;
        uint256[] ids;
        mapping(uint256 id => Request) requests;
    }

    // keccak256(abi.encode(uint256(keccak256("bulkhead.storage.LidoModule")) - 1)) & ~bytes32(uint256(0xff))
    bytes32 private constant STORE = 0xeeb8adb9d5353e100ce4493828ac84863d9116db225100ce0fdd2f258797f100;

    modifier onlyStakes() {
        if (msg.sender != _store().tier.parts().stakes) revert NotAuthorised(msg.sender);
        _;
    }

    /// @custom:oz-upgrades-unsafe-allow constructor
    constructor(ILido lido, ILidoWithdrawalQueue queue, IWETH weth) {
        LIDO = lido;
        QUEUE = queue;
        WETH = weth;
        _disableInitializers();
    }

    /// @notice Ties the module to its tier. Called once, by the factory.
    function initialize(ITier tier) external initializer {
        _store().tier = tier;
        LIDO.approve(address(QUEUE), type(uint256).max);
    }

    /// @dev Lido pays claims in ETH.
    receive() external payable {
        if (msg.sender != address(QUEUE)) revert NotAuthorised(msg.sender);
    }

    /// @inheritdoc IStakingModule
    function stake(address receiver) external payable returns (uint256 tokens) {
        if (msg.sender != address(_store().tier)) revert NotAuthorised(msg.sender);
        uint256 shares = LIDO.submit{value: msg.value}(address(0));
        tokens = LIDO.transferShares(receiver, shares);
        emit Staked(receiver, msg.value, tokens);
    }

    /// @inheritdoc IStakingModule
    function receiveTokens(address from) external onlyStakes returns (uint256 shares) {
        Store storage $ = _store();
        uint256 held = LIDO.sharesOf(address(this));
        shares = held - $.looseShares;
        $.looseShares = uint128(held);
        emit Received(from, shares);
    }

    /// @inheritdoc IStakingModule
    function release(address receiver, uint256 amount) external onlyStakes returns (uint256 tokens) {
        Store storage $ = _store();
        uint256 loose = LIDO.getPooledEthByShares($.looseShares);
        if (amount > loose) revert ExceedsLoose(amount, loose);
        uint256 shares = amount == loose ? $.looseShares : LIDO.getSharesByPooledEth(amount);
        $.looseShares -= uint128(shares);
        tokens = LIDO.transferShares(receiver, shares);
        emit Released(receiver, shares, tokens);
    }

    /// @inheritdoc IStakingModule
    function requestUnstake(uint256 amount, uint256 maxRequests) external onlyStakes returns (uint256 requested) {
        Store storage $ = _store();
        uint256 min = QUEUE.MIN_STETH_WITHDRAWAL_AMOUNT();
        uint256 max = QUEUE.MAX_STETH_WITHDRAWAL_AMOUNT();
        uint256 loose = LIDO.getPooledEthByShares($.looseShares);
        amount = Math.min(Math.max(amount, min), loose);
        if (amount < min) revert AmountTooSmall(amount, min);
        uint256[] memory amounts = _cut(amount, min, max, maxRequests);
        uint256 before = LIDO.sharesOf(address(this));
        uint256[] memory ids = QUEUE.requestWithdrawals(amounts, address(this));
        $.looseShares -= uint128(before - LIDO.sharesOf(address(this)));
        ILidoWithdrawalQueue.WithdrawalRequestStatus[] memory statuses = QUEUE.getWithdrawalStatus(ids);
        uint256 shares;
        for (uint256 i; i < ids.length; ++i) {
            $.ids.push(ids[i]);
            $.requests[ids[i]] = Request(uint128(statuses[i].amountOfStETH), uint128(statuses[i].amountOfShares));
            requested += statuses[i].amountOfStETH;
            shares += statuses[i].amountOfShares;
        }
        $.queuedAmount += uint128(requested);
        $.queuedShares += uint128(shares);
        emit UnstakeRequested(ids.length, requested);
    }

    /// @dev Pieces of `max`, and a last one that is at least `min` (what is smaller stays loose).
    function _cut(uint256 amount, uint256 min, uint256 max, uint256 most)
        private
        pure
        returns (uint256[] memory amounts)
    {
        uint256 count = amount / max;
        uint256 rest = amount % max;
        if (rest >= min) ++count;
        else rest = 0;
        uint256 pieces = Math.min(count, Math.max(most, 1));
        amounts = new uint256[](pieces);
        for (uint256 i; i < pieces; ++i) {
            amounts[i] = i + 1 == count && rest != 0 ? rest : max;
        }
    }

    /// @inheritdoc IStakingModule
    function claimUnstaked(uint256 maxRequests) external onlyStakes returns (uint256 assets) {
        Store storage $ = _store();
        (, uint256 ready) = requests();
        uint256 count = Math.min(ready, maxRequests);
        if (count == 0) return 0;
        uint256[] memory ids = new uint256[](count);
        for (uint256 i; i < count; ++i) {
            ids[i] = $.ids[$.head + i];
        }
        $.head += uint64(count);
        uint256[] memory hints = QUEUE.findCheckpointHints(ids, 1, QUEUE.getLastCheckpointIndex());
        uint256 before = address(this).balance;
        for (uint256 i; i < count; ++i) {
            (uint256[] memory one, uint256[] memory hint) = (new uint256[](1), new uint256[](1));
            (one[0], hint[0]) = (ids[i], hints[i]);
            Request memory r = $.requests[ids[i]];
            delete $.requests[ids[i]];
            $.queuedAmount -= r.amount;
            $.queuedShares -= r.shares;
            uint256 had = address(this).balance;
            QUEUE.claimWithdrawals(one, hint);
            emit UnstakeClaimed(ids[i], r.amount, address(this).balance - had);
        }
        assets = address(this).balance - before;
        WETH.deposit{value: assets}();
        WETH.transfer(address($.tier), assets);
        $.tier.creditUnstaked(assets);
    }

    /// @inheritdoc IStakingModule
    function value() external view returns (uint256 loose, uint256 unstaking) {
        Store storage $ = _store();
        uint256 shares = $.looseShares;
        if (shares != 0) loose = LIDO.getPooledEthByShares(shares);
        shares = $.queuedShares;
        if (shares != 0) unstaking = Math.min($.queuedAmount, LIDO.getPooledEthByShares(shares));
    }

    /// @inheritdoc IStakingModule
    function stakeLimit() external view returns (uint256) {
        return LIDO.getCurrentStakeLimit();
    }

    /// @inheritdoc IStakingModule
    function requests() public view returns (uint256 open, uint256 claimable) {
        Store storage $ = _store();
        uint256 length = $.ids.length;
        open = length - $.head;
        uint256 last = QUEUE.getLastFinalizedRequestId();
        // our ids ascend and are finalised in order
        uint256 low = $.head;
        uint256 high = length;
        while (low < high) {
            uint256 middle = (low + high) / 2;
            if ($.ids[middle] <= last) low = middle + 1;
            else high = middle;
        }
        claimable = low - $.head;
    }

    /// @inheritdoc IStakingModule
    function token() external view returns (IERC20) {
        return LIDO;
    }

    function _store() private pure returns (Store storage $) {
        bytes32 slot = STORE;
        assembly {
            $.slot := slot
        }
    }
}
