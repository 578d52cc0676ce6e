// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {
    AccessManagedUpgradeable
} from "@openzeppelin/contracts-upgradeable/access/manager/AccessManagedUpgradeable.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Checkpoints} from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";
import {IRewardsTypes} from "../../interfaces/IRewards.sol";
import {IStakeManager} from "../../interfaces/IStakeManager.sol";
import {ITier} from "../../interfaces/ITier.sol";

/// @title What Rewards holds, and for whom
/// @dev Every token is counted by what arrives and leaves here. Batches are sold first in, first out: each keeps who
/// earns which part of it, as it was when the rewards came in.
abstract contract RewardsBooks is IRewardsTypes, AccessManagedUpgradeable, ReentrancyGuardTransient {
    using SafeCast for uint256;
    using SafeERC20 for IERC20;

    uint256 internal constant WAD = 1e18;
    /// @dev Batches that one sale may reach into.
    uint256 internal constant MAX_BATCHES = 32;

    /// @dev Tokens that came in together; `operatorShare` and `protocolShare` are WAD parts of what they bring.
    struct Batch {
        uint128 left;
        uint64 operatorShare;
        uint64 protocolShare;
        address payee;
    }

    /// @dev An agent, with its operators by time and its faults: each checkpoint holds the seconds of fault until its
    /// time, that time, and whether a fault began there.
    struct Earner {
        AgentPay pay;
        Checkpoints.Trace208 operators;
        Checkpoints.Trace208 faults;
        mapping(IERC20 token => uint32) paidUntil;
    }

    /// @custom:storage-location erc7201:bulkhead.storage.Rewards
    struct Store {
        ITier tier;
        uint16 feeBps;
        uint16 pendingFeeBps;
        uint40 feeFrom;
        IERC20 stakingToken;
        address treasury;
        address offered;
        mapping(IERC20 token => uint256) recorded;
        mapping(address account => mapping(IERC20 token => uint256)) pay;
        mapping(IERC20 token => Stock) stock;
        mapping(IERC20 token => Batch[]) batches;
        mapping(IERC20 token => uint256) head;
        mapping(address agent => Earner) earners;
        Drop[] drops;
        mapping(uint256 id => mapping(address account => bool)) claimed;
    }

    // keccak256(abi.encode(uint256(keccak256("bulkhead.storage.Rewards")) - 1)) & ~bytes32(uint256(0xff))
    bytes32 private constant STORE = 0x8b05f9b246e2248ca97ffcdd2528afe10dfc478dfe3fcbd90b5c80d198e58400;

    /// @custom:oz-upgrades-unsafe-allow state-variable-immutable
    IERC20 internal immutable WETH;

    /// @custom:oz-upgrades-unsafe-allow constructor
    constructor(IERC20 weth) {
        WETH = weth;
        _disableInitializers();
    }

    /// @dev Adds a batch; rewards of the same operator at the same terms join the last one.
    function _stockUp(
        Store storage $,
        IERC20 token,
        uint256 amount,
        address payee,
        uint256 operatorShare,
        uint256 protocolShare
    ) internal {
        if (amount == 0) return;
        Batch[] storage list = $.batches[token];
        uint256 count = list.length;
        bool joins;
        if (count > $.head[token]) {
            Batch storage last = list[count - 1];
            joins = last.payee == payee && last.operatorShare == operatorShare && last.protocolShare == protocolShare;
            if (joins) last.left += amount.toUint128();
        }
        if (!joins) list.push(Batch(amount.toUint128(), uint64(operatorShare), uint64(protocolShare), payee));
        $.stock[token].held += uint128(amount);
        $.recorded[token] += amount;
    }

    /// @dev How much of up to `most` units lies in the batches that one call may reach into.
    function _reach(Store storage $, IERC20 token, uint256 most) internal view returns (uint256 sum) {
        Batch[] storage list = $.batches[token];
        uint256 from = $.head[token];
        uint256 to = Math.min(list.length, from + MAX_BATCHES);
        for (uint256 i = from; i < to && sum < most; ++i) {
            sum += list[i].left;
        }
        return Math.min(sum, most);
    }

    /// @dev Takes `amount` units (within reach) out of the oldest batches and shares `proceeds` of `currency` among those
    /// who earned them, in proportion to units; returns the tier's part. What rounding leaves is the tier's.
    function _take(Store storage $, IERC20 token, uint256 amount, IERC20 currency, uint256 proceeds)
        internal
        returns (uint256 rest)
    {
        rest = proceeds;
        $.stock[token].held -= uint128(amount);
        $.recorded[token] -= amount;
        Batch[] storage list = $.batches[token];
        uint256 at = $.head[token];
        uint256 taken;
        uint256 shared;
        while (taken < amount) {
            Batch storage b = list[at];
            uint256 part = Math.min(b.left, amount - taken);
            taken += part;
            uint256 upTo = Math.mulDiv(proceeds, taken, amount);
            rest -= _share($, currency, upTo - shared, b.payee, b.operatorShare, b.protocolShare);
            shared = upTo;
            b.left -= uint128(part);
            if (b.left == 0) {
                delete list[at];
                ++at;
            }
        }
        $.head[token] = at;
    }

    /// @dev Credits pay out of `amount` (each part rounded down) and returns what was credited.
    function _share(
        Store storage $,
        IERC20 currency,
        uint256 amount,
        address payee,
        uint256 operatorShare,
        uint256 protocolShare
    ) internal returns (uint256 credited) {
        uint256 operatorPart = Math.mulDiv(amount, operatorShare, WAD);
        uint256 protocolPart = Math.mulDiv(amount, protocolShare, WAD);
        _credit($, payee, currency, operatorPart);
        _credit($, $.treasury, currency, protocolPart);
        return operatorPart + protocolPart;
    }

    function _credit(Store storage $, address account, IERC20 currency, uint256 amount) private {
        if (amount == 0) return;
        $.pay[account][currency] += amount;
        $.recorded[currency] += amount;
        emit Earned(account, currency, amount);
    }

    /// @dev WETH that is here becomes a gain of the tier: it enters G and vests.
    function _gain(Store storage $, uint256 assets) internal {
        if (assets == 0) return;
        emit GainPaid(WETH, assets);
        WETH.forceApprove(address($.tier), assets);
        $.tier.addGains(assets);
    }

    /// @dev Staking tokens become loose tokens of the staking module, which the tier's next sync finds as a gain.
    function _gainTokens(Store storage $, uint256 amount) internal {
        if (amount == 0) return;
        emit GainPaid($.stakingToken, amount);
        ITier.Parts memory p = $.tier.parts();
        $.stakingToken.safeTransfer(p.stakingModule, amount);
        IStakeManager(p.stakes).creditLoose();
    }

    /// @dev Opens a lot of all that is held, if the token is for sale, none is open and there is anything.
    function _openLot(IERC20 token, Stock storage s) internal {
        if (!s.listed || s.lot != 0 || s.held == 0) return;
        (s.lot, s.lotSize, s.lotProceeds) = (s.held, s.held, 0);
        s.startedAt = uint40(block.timestamp);
        emit LotOpened(token, s.lot, s.startPrice);
    }

    function _store() internal pure returns (Store storage $) {
        bytes32 slot = STORE;
        assembly {
            $.slot := slot
        }
    }
}
