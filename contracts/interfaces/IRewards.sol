// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IRewardsCoordinator} from "./external/IEigenLayer.sol";

/// @title Types, events and errors of {IRewards}
interface IRewardsTypes {
    /// @notice How an agent's node operator is paid. Fees are basis points of AVS rewards.
    struct AgentPay {
        bool known;
        uint16 feeBps;
        uint16 pendingFeeBps; // waits until `feeFrom`, if that is not 0
        uint40 feeFrom;
        uint40 reviewedAt;
        bool withheld; // the guardian's word
        bool unwinding; // slashed, and one of its sets is in quarantine
        uint64 magnitude; // maxMagnitude (WAD) at the last review without fault
    }

    /// @notice What Rewards holds of a token, and its auction. Amounts are units of the token, prices wei of WETH for 1e18
    /// units.
    struct Stock {
        uint128 held; // not sold and not reserved for drops
        uint128 lot; // what is left of the lot on sale
        uint128 lotSize;
        uint128 lotProceeds; // wei
        uint128 startPrice;
        uint128 floor;
        uint128 pot; // reserved for drops
        uint40 startedAt;
        bool listed;
    }

    /// @notice A Merkle drop to the holders of a series.
    struct Drop {
        IERC20 token;
        address series;
        bytes32 root;
        uint128 funded;
        uint128 paid;
        uint40 expiry;
        bool closed;
    }

    /// @notice Rewards of an agent arrived: `amount` units of `token`, of which `operatorPart` is for the node operator,
    /// `protocolPart` for the protocol and the rest for the tier; for tokens that are sold, the parts are of what they
    /// will bring. `until` is the end of the rewarded period (Unix seconds).
    event Harvested(
        address indexed agent,
        IERC20 indexed token,
        address indexed nodeOperator,
        uint256 amount,
        uint256 operatorPart,
        uint256 protocolPart,
        uint32 until
    );
    /// @notice Tokens that nobody's claim brought were found, and are the tier's without a fee.
    event Absorbed(IERC20 indexed token, uint256 amount);
    /// @notice `amount` wei of WETH, or tokens of the staking module, went into the tier as a gain.
    event GainPaid(IERC20 indexed token, uint256 amount);
    /// @notice Somebody earned pay: `amount` units of `token` that he may claim.
    event Earned(address indexed account, IERC20 indexed token, uint256 amount);
    /// @notice Pay was claimed.
    event PayClaimed(address indexed account, IERC20 indexed token, address receiver, uint256 amount);

    /// @notice A lot is on sale from `startPrice` (wei for 1e18 units) on.
    event LotOpened(IERC20 indexed token, uint256 amount, uint256 startPrice);
    /// @notice Part of a lot was sold: `amount` units for `payment` wei.
    event Sold(IERC20 indexed token, address indexed buyer, address receiver, uint256 amount, uint256 payment);
    /// @notice A token may be sold.
    event TokenListed(IERC20 indexed token, uint256 startPrice, uint256 floor);
    /// @notice The floor of a token's price changed.
    event FloorChanged(IERC20 indexed token, uint256 floor);

    /// @notice A higher fee is announced; `agent` 0: the protocol's.
    event FeeProposed(address indexed agent, uint256 feeBps, uint40 from);
    /// @notice A fee is in force; `agent` 0: the protocol's.
    event FeeChanged(address indexed agent, uint256 feeBps);
    /// @notice An agent's operator is at fault from `since` on and earns nothing.
    event FaultFound(address indexed agent, uint40 since, bool withheld);
    /// @notice The fault is over.
    event FaultEnded(address indexed agent, uint40 at);
    /// @notice An agent's rewards are collected here, for this operator from now on.
    event OperatorRecorded(address indexed agent, address indexed nodeOperator);
    /// @notice The treasury is offered to somebody.
    event TreasuryOffered(address indexed to);
    /// @notice The protocol's part goes to another account.
    event TreasuryChanged(address indexed treasury);

    /// @notice `amount` units of a token were set aside for drops, after fees in kind.
    event ReservedForDrops(IERC20 indexed token, uint256 amount);
    /// @notice A drop can be claimed. `inputsHash` and `uri` say from which holdings the tree was computed.
    event DropPosted(
        uint256 indexed id,
        address indexed series,
        IERC20 indexed token,
        uint256 amount,
        bytes32 root,
        uint40 expiry,
        bytes32 inputsHash,
        string uri
    );
    /// @notice A holder's part of a drop was paid.
    event DropClaimed(uint256 indexed id, address indexed account, uint256 amount);
    /// @notice A drop is over; what nobody claimed is the tier's again.
    event DropClosed(uint256 indexed id, uint256 unclaimed);

    /// @notice The caller may not do this.
    error NotAuthorised(address caller);
    /// @notice The claim is for somebody who is no agent of this tier.
    error ForeignEarner(address earner);
    /// @notice A claim names a token twice, or more than 16.
    error InvalidLeaves(uint256 count);
    /// @notice No such agent.
    error UnknownAgent(address agent);
    /// @notice The fee is above its bound (bps).
    error FeeTooHigh(uint256 feeBps, uint256 most);
    /// @notice No higher fee waits, or it waits until `from` (0: none).
    error FeeNotDue(uint40 from);
    /// @notice The token is not sold here.
    error NotListed(IERC20 token);
    /// @notice The token is for sale already, or never is (WETH).
    error CannotList(IERC20 token);
    /// @notice A price is 0, or a floor above its start.
    error InvalidPrice(uint256 start, uint256 floor);
    /// @notice The guardian may only raise a floor.
    error FloorNotRaised(uint256 floor, uint256 current);
    /// @notice The price is above what the buyer wants to pay (wei).
    error PaymentTooHigh(uint256 payment, uint256 most);
    /// @notice Nothing to sell, to claim, to absorb or to reserve.
    error NothingThere();
    /// @notice More than there is.
    error ExceedsAvailable(uint256 amount, uint256 available);
    /// @notice Only what is not sold can be dropped.
    error TokenIsListed(IERC20 token);
    /// @notice The series is none of this tier.
    error UnknownSeries(address series);
    /// @notice No such drop.
    error UnknownDrop(uint256 id);
    /// @notice The drop is open until `expiry`.
    error DropOpen(uint40 expiry);
    /// @notice The drop is over.
    error DropOver(uint256 id);
    /// @notice Holders have at least this long to claim.
    error ExpiryTooEarly(uint40 expiry, uint256 earliest);
    /// @notice The account has claimed.
    error AlreadyClaimed(uint256 id, address account);
    /// @notice The proof does not lead to the root.
    error InvalidProof(uint256 id, address account, uint256 amount);
}

/// @title A tier's AVS rewards: collected, sold, shared out
/// @notice Its agents' claimer at EigenLayer's RewardsCoordinator. What comes as WETH or as the staking token goes into the
/// tier after fees; any other token is sold for WETH in a Dutch auction first, or, where it cannot be sold, given to
/// holders by Merkle drops. One for each tier: nothing here is shared with another tier (SPEC section 11).
interface IRewards is IRewardsTypes {
    // ---- anybody

    /// @notice Claims an agent's rewards with EigenLayer's proof. Anybody, for up to 16 tokens; a token that does not let
    /// itself be transferred is left out by leaving out its leaf.
    /// @dev Amounts are what arrives, by balance. Syncs the tier and reviews the agent first. Reverts: ForeignEarner,
    /// InvalidLeaves, and what RewardsCoordinator (root disabled, not active, claimed, wrong proof) and Tier (Locked)
    /// say.
    function harvest(IRewardsCoordinator.RewardsMerkleClaim calldata claim) external;

    /// @notice Takes tokens that were sent here without a claim: the tier's, without a fee. Anybody. Reverts NothingThere.
    function absorb(IERC20 token) external returns (uint256 amount);

    /// @notice Buys up to `amount` units of a token's lot at the price of now, for at most `maxPayment` wei of WETH
    /// (approved), rounded up; the tokens go to `receiver`. Anybody. Parts of a lot may be bought; one call sells from
    /// at most 32 batches. Reverts: NotListed, NothingThere, PaymentTooHigh, and what the token or the tier says.
    function buy(IERC20 token, uint256 amount, uint256 maxPayment, address receiver)
        external
        returns (uint256 sold, uint256 payment);

    /// @notice Pays the caller what he has earned of a token to `receiver`. Reverts NothingThere.
    function claimPay(IERC20 token, address receiver) external returns (uint256 amount);

    /// @notice Looks whether an agent's operator is at fault now. Anybody; a harvest does it too. A fault that is found
    /// counts from the last review on, so an honest operator has himself reviewed often.
    function review(address agent) external;

    /// @notice Puts an announced fee in force when its time has come; `agent` 0: the protocol's. Anybody.
    function applyFee(address agent) external;

    /// @notice Pays `account` its part of a drop. Anybody. Reverts: UnknownDrop, DropOver, AlreadyClaimed, InvalidProof,
    /// ExceedsAvailable.
    function claimDrop(uint256 id, address account, uint256 amount, bytes32[] calldata proof) external;

    /// @notice Ends a drop after its expiry: the rest is the tier's again. Anybody. Reverts DropOpen, DropOver.
    function closeDrop(uint256 id) external;

    // ---- agents, factory, treasury

    /// @notice Notes the caller's node operator: what is earned from now on is his. Only an agent of this tier.
    function recordOperator() external;

    /// @notice Adds an agent. Only the factory.
    function addAgent(address agent) external;

    /// @notice Offers the treasury to another account, which must accept. Only the treasury. Its pay so far stays its own.
    function offerTreasury(address to) external;

    /// @notice Takes the treasury over. Only whom it is offered to.
    function acceptTreasury() external;

    // ---- roles

    /// @notice Curator: the node operator's part of an agent's rewards (bps, at most 3,000). A lower one at once, a higher
    /// one after the mandate's delay, unless nobody holds a share of the tier.
    function setOperatorFee(address agent, uint16 feeBps) external;

    /// @notice Curator: the protocol's part of all rewards (bps, at most 2,000). As `setOperatorFee`.
    function setProtocolFee(uint16 feeBps) external;

    /// @notice Guardian: an agent's operator earns nothing from now on.
    function withholdPay(address agent) external;

    /// @notice Curator: ends `withholdPay`.
    function resumePay(address agent) external;

    /// @notice Curator: offers a token for sale, from `startPrice` down to `floor` (wei for 1e18 units).
    function listToken(IERC20 token, uint128 startPrice, uint128 floor) external;

    /// @notice Curator: changes the floor of a token's price. Nobody else can lower it.
    function setFloor(IERC20 token, uint128 floor) external;

    /// @notice Guardian: raises the floor of a token's price, so that nothing is sold below it.
    function raiseFloor(IERC20 token, uint128 floor) external;

    /// @notice Curator: sets up to `amount` units of a token that is not sold aside for drops; operators and protocol get
    /// their part in kind. At most 32 batches a call.
    function reserveForDrops(IERC20 token, uint256 amount) external returns (uint256 reserved);

    /// @notice Curator: opens a drop of `amount` reserved units to the holders of `series`; leaves are
    /// keccak256(keccak256(abi.encode(account, amount))), OpenZeppelin's standard tree. `inputsHash` and `uri` name the
    /// inputs from which anybody can compute the root again. Claims are open until `expiry`, at least 90 days.
    function postDrop(
        IERC20 token,
        address series,
        uint128 amount,
        bytes32 root,
        uint40 expiry,
        bytes32 inputsHash,
        string calldata uri
    ) external returns (uint256 id);

    // ---- views

    /// @notice The price of a token now (wei for 1e18 units, rounded up). Reverts NotListed.
    function priceOf(IERC20 token) external view returns (uint256);

    /// @notice What is held of a token, and its auction.
    function stock(IERC20 token) external view returns (Stock memory);

    /// @notice What `account` may claim of a token.
    function payOf(address account, IERC20 token) external view returns (uint256);

    /// @notice Units of a token that belong to somebody: pay, stock, drops.
    function recorded(IERC20 token) external view returns (uint256);

    /// @notice How an agent's operator is paid.
    function agentPay(address agent) external view returns (AgentPay memory);

    /// @notice Seconds until `time` (at most the last review) in which the agent's operator was at fault.
    function faultSeconds(address agent, uint48 time) external view returns (uint256);

    /// @notice The agent's node operator at `time` (Unix seconds).
    function operatorAt(address agent, uint48 time) external view returns (address);

    /// @notice The protocol's fee in force, and one that waits until `from` (0: none).
    function protocolFee() external view returns (uint16 feeBps, uint16 pendingFeeBps, uint40 from);

    /// @notice Who gets the protocol's part, and who may take that over.
    function treasury() external view returns (address current, address offered);

    /// @notice A drop. Reverts UnknownDrop.
    function drop(uint256 id) external view returns (Drop memory);

    /// @notice Number of drops.
    function dropCount() external view returns (uint256);

    /// @notice Whether `account` has claimed its part of a drop.
    function dropClaimed(uint256 id, address account) external view returns (bool);

    /// @notice The tier.
    function tier() external view returns (address);
}
