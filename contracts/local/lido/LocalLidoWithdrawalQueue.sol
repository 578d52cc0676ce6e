// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Address} from "@openzeppelin/contracts/utils/Address.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {ILidoWithdrawalQueue} from "../../interfaces/external/ILido.sol";
import {LocalLido} from "./LocalLido.sol";

/// @title Lido's withdrawal queue for local chains
/// @notice Locks stETH, is finalised first in, first out by the local owner at the rate of that moment, and pays ETH
/// to the owner of a request. A request earns nothing while it waits and bears losses: it pays
/// min(requested, shares * rate at finalisation), as docs.lido.fi describes. Requests are no NFTs here: the owner given
/// at the start stays.
contract LocalLidoWithdrawalQueue is ILidoWithdrawalQueue, Ownable {
    using Address for address payable;
    using Math for uint256;
    using SafeERC20 for LocalLido;

    struct Request {
        uint128 amountOfStETH;
        uint128 amountOfShares;
        address owner;
        uint40 timestamp;
        bool claimed;
    }

    /// @dev Share rate of the requests from `fromRequestId` up to the next checkpoint.
    struct Checkpoint {
        uint256 fromRequestId;
        uint256 maxShareRate;
    }

    /// @inheritdoc ILidoWithdrawalQueue
    // solhint-disable-next-line const-name-snakecase
    uint256 public constant MIN_STETH_WITHDRAWAL_AMOUNT = 100;

    /// @inheritdoc ILidoWithdrawalQueue
    // solhint-disable-next-line const-name-snakecase
    uint256 public constant MAX_STETH_WITHDRAWAL_AMOUNT = 1000 ether;

    /// @notice Largest number of requests that one finalisation covers.
    uint256 public constant MAX_BATCH = 500;

    /// @dev Precision of a share rate: ETH wei for 1e27 shares.
    uint256 private constant RATE_PRECISION = 1e27;

    /// @notice The token that is locked here.
    LocalLido public immutable STETH;

    /// @notice Id of the newest request; ids start with 1.
    uint256 public getLastRequestId;

    /// @inheritdoc ILidoWithdrawalQueue
    uint256 public getLastFinalizedRequestId;

    /// @inheritdoc ILidoWithdrawalQueue
    uint256 public getLastCheckpointIndex;

    /// @notice Whether requests and finalisation revert; claims never do.
    bool public isPaused;

    mapping(uint256 id => Request) private _requests;
    mapping(uint256 index => Checkpoint) private _checkpoints;

    /// @notice stETH was locked.
    /// @param requestId Id.
    /// @param requestor Who locked it.
    /// @param owner Who may claim.
    /// @param amountOfStETH Amount (wei), the most that will be paid.
    /// @param amountOfShares Its shares.
    event WithdrawalRequested(
        uint256 indexed requestId,
        address indexed requestor,
        address indexed owner,
        uint256 amountOfStETH,
        uint256 amountOfShares
    );

    /// @notice Requests can be claimed now.
    /// @param from First id.
    /// @param to Last id.
    /// @param amountOfETHLocked ETH set aside for them (wei).
    /// @param sharesToBurn Their shares, burned.
    /// @param timestamp Time (seconds).
    event WithdrawalsFinalized(
        uint256 indexed from, uint256 indexed to, uint256 amountOfETHLocked, uint256 sharesToBurn, uint256 timestamp
    );

    /// @notice A request was paid.
    /// @param requestId Id.
    /// @param owner Owner of the request.
    /// @param receiver Who received the ETH.
    /// @param amountOfETH ETH paid (wei).
    event WithdrawalClaimed(
        uint256 indexed requestId, address indexed owner, address indexed receiver, uint256 amountOfETH
    );

    /// @notice The amount is below the minimum.
    /// @param amount Requested (wei).
    error RequestAmountTooSmall(uint256 amount);

    /// @notice The amount is above the maximum.
    /// @param amount Requested (wei).
    error RequestAmountTooLarge(uint256 amount);

    /// @notice There is no such request, or it cannot be finalised (again).
    /// @param id Id.
    error InvalidRequestId(uint256 id);

    /// @notice There are no such checkpoints.
    /// @param firstIndex First index.
    /// @param lastIndex Last index.
    error InvalidRequestIdRange(uint256 firstIndex, uint256 lastIndex);

    /// @notice Ids must not fall.
    error RequestIdsNotSorted();

    /// @notice Ids and hints differ in number.
    /// @param ids Number of ids.
    /// @param hints Number of hints.
    error ArraysLengthMismatch(uint256 ids, uint256 hints);

    /// @notice The request is unknown or not finalised.
    /// @param id Id.
    error RequestNotFoundOrNotFinalized(uint256 id);

    /// @notice The request was paid already.
    /// @param id Id.
    error RequestAlreadyClaimed(uint256 id);

    /// @notice Only the owner of a request is paid.
    /// @param sender Caller.
    /// @param owner Owner of the request.
    error NotOwner(address sender, address owner);

    /// @notice The checkpoint is not the one of the request.
    /// @param hint Index given.
    error InvalidHint(uint256 hint);

    /// @notice The queue is paused.
    error ResumedExpected();

    /// @notice Too many requests for one finalisation.
    /// @param requests Requests asked for.
    /// @param max Most that are allowed.
    error BatchTooLarge(uint256 requests, uint256 max);

    /// @notice Only stETH pays ETH in.
    /// @param sender Who sent.
    error OnlyStETH(address sender);

    /// @notice Deploys the queue; stETH does it.
    /// @param steth The token to lock.
    /// @param initialOwner Finalises and pauses.
    constructor(LocalLido steth, address initialOwner) Ownable(initialOwner) {
        STETH = steth;
    }

    /// @notice Takes the ETH of finalised requests; only from stETH.
    receive() external payable {
        if (msg.sender != address(STETH)) revert OnlyStETH(msg.sender);
    }

    /// @inheritdoc ILidoWithdrawalQueue
    /// @dev A zero owner means the caller, as in Lido. Needs an allowance of the sum. Reverts `ResumedExpected`,
    /// `RequestAmountTooSmall`, `RequestAmountTooLarge`.
    function requestWithdrawals(uint256[] calldata amounts, address owner) external returns (uint256[] memory ids) {
        if (isPaused) revert ResumedExpected();
        address beneficiary = owner == address(0) ? msg.sender : owner;
        ids = new uint256[](amounts.length);
        for (uint256 i = 0; i < amounts.length; ++i) {
            uint256 amount = amounts[i];
            if (amount < MIN_STETH_WITHDRAWAL_AMOUNT) revert RequestAmountTooSmall(amount);
            if (amount > MAX_STETH_WITHDRAWAL_AMOUNT) revert RequestAmountTooLarge(amount);
            uint256 shares = STETH.getSharesByPooledEth(amount);
            uint256 id = ++getLastRequestId;
            ids[i] = id;
            // Both fit: amounts are limited above, and shares are at most all shares, which ETH itself bounds.
            _requests[id] = Request(uint128(amount), uint128(shares), beneficiary, uint40(block.timestamp), false);
            emit WithdrawalRequested(id, msg.sender, beneficiary, amount, shares);
            STETH.safeTransferFrom(msg.sender, address(this), amount);
        }
    }

    /// @notice Makes all requests up to `lastRequestId` claimable at the present rate. Only the owner; local only.
    /// @dev Lido does this inside its oracle report. Every amount is min(requested, floor(shares * rate / 1e27)), and
    /// the rate is floored, so that the sum of all claims is exactly what is taken from stETH here. Reverts
    /// `ResumedExpected`, `InvalidRequestId`, `BatchTooLarge`.
    /// @param lastRequestId Last request to finalise.
    /// @return amount ETH set aside (wei).
    function finalize(uint256 lastRequestId) external onlyOwner returns (uint256 amount) {
        if (isPaused) revert ResumedExpected();
        uint256 first = getLastFinalizedRequestId + 1;
        if (lastRequestId < first || lastRequestId > getLastRequestId) revert InvalidRequestId(lastRequestId);
        if (lastRequestId - first >= MAX_BATCH) revert BatchTooLarge(lastRequestId - first + 1, MAX_BATCH);
        uint256 rate = STETH.getPooledEthByShares(RATE_PRECISION);
        uint256 shares;
        for (uint256 id = first; id <= lastRequestId; ++id) {
            shares += _requests[id].amountOfShares;
            amount += _payable(_requests[id], rate);
        }
        getLastFinalizedRequestId = lastRequestId;
        _checkpoints[++getLastCheckpointIndex] = Checkpoint(first, rate);
        emit WithdrawalsFinalized(first, lastRequestId, amount, shares, block.timestamp);
        STETH.payWithdrawals(shares, amount);
    }

    /// @notice Stops or allows requests and finalisation. Only the owner.
    /// @param paused Whether they stop.
    function setPaused(bool paused) external onlyOwner {
        isPaused = paused;
    }

    /// @inheritdoc ILidoWithdrawalQueue
    /// @dev Reverts `ArraysLengthMismatch`, `RequestNotFoundOrNotFinalized`, `RequestAlreadyClaimed`, `NotOwner`,
    /// `InvalidHint`, or when the caller cannot receive ETH.
    function claimWithdrawals(uint256[] calldata ids, uint256[] calldata hints) external {
        if (ids.length != hints.length) revert ArraysLengthMismatch(ids.length, hints.length);
        for (uint256 i = 0; i < ids.length; ++i) {
            _claim(ids[i], hints[i]);
        }
    }

    /// @notice ETH that each request would pay now (wei); 0 if it is not finalised or was paid.
    /// @dev Reverts `ArraysLengthMismatch`, `InvalidRequestId`, `InvalidHint`.
    /// @param ids Requests.
    /// @param hints Their checkpoints.
    /// @return amounts ETH of each (wei).
    function getClaimableEther(uint256[] calldata ids, uint256[] calldata hints)
        external
        view
        returns (uint256[] memory amounts)
    {
        if (ids.length != hints.length) revert ArraysLengthMismatch(ids.length, hints.length);
        amounts = new uint256[](ids.length);
        for (uint256 i = 0; i < ids.length; ++i) {
            Request storage request = _known(ids[i]);
            if (ids[i] > getLastFinalizedRequestId || request.claimed) continue;
            amounts[i] = _payable(request, _rateOf(ids[i], hints[i]));
        }
    }

    /// @inheritdoc ILidoWithdrawalQueue
    /// @dev A request that is not finalised, or whose checkpoint is outside the range, has the hint 0. Reverts
    /// `InvalidRequestIdRange`, `RequestIdsNotSorted`, `InvalidRequestId`.
    function findCheckpointHints(uint256[] calldata ids, uint256 firstIndex, uint256 lastIndex)
        external
        view
        returns (uint256[] memory hints)
    {
        if (firstIndex == 0 || lastIndex > getLastCheckpointIndex) {
            revert InvalidRequestIdRange(firstIndex, lastIndex);
        }
        hints = new uint256[](ids.length);
        uint256 previous;
        for (uint256 i = 0; i < ids.length; ++i) {
            if (ids[i] < previous) revert RequestIdsNotSorted();
            previous = ids[i];
            _known(previous);
            hints[i] = _findHint(previous, firstIndex, lastIndex);
            // Later ids cannot lie in earlier checkpoints.
            if (hints[i] != 0) firstIndex = hints[i];
        }
    }

    /// @inheritdoc ILidoWithdrawalQueue
    /// @dev Reverts `InvalidRequestId`.
    function getWithdrawalStatus(uint256[] calldata ids)
        external
        view
        returns (WithdrawalRequestStatus[] memory statuses)
    {
        statuses = new WithdrawalRequestStatus[](ids.length);
        for (uint256 i = 0; i < ids.length; ++i) {
            Request storage request = _known(ids[i]);
            statuses[i] = WithdrawalRequestStatus({
                amountOfStETH: request.amountOfStETH,
                amountOfShares: request.amountOfShares,
                owner: request.owner,
                timestamp: request.timestamp,
                isFinalized: ids[i] <= getLastFinalizedRequestId,
                isClaimed: request.claimed
            });
        }
    }

    function _claim(uint256 id, uint256 hint) private {
        if (id == 0 || id > getLastFinalizedRequestId) revert RequestNotFoundOrNotFinalized(id);
        Request storage request = _requests[id];
        if (request.claimed) revert RequestAlreadyClaimed(id);
        if (request.owner != msg.sender) revert NotOwner(msg.sender, request.owner);
        uint256 amount = _payable(request, _rateOf(id, hint));
        request.claimed = true;
        emit WithdrawalClaimed(id, msg.sender, msg.sender, amount);
        payable(msg.sender).sendValue(amount);
    }

    function _known(uint256 id) private view returns (Request storage) {
        if (id == 0 || id > getLastRequestId) revert InvalidRequestId(id);
        return _requests[id];
    }

    function _payable(Request storage request, uint256 rate) private view returns (uint256) {
        return Math.min(request.amountOfStETH, uint256(request.amountOfShares).mulDiv(rate, RATE_PRECISION));
    }

    function _rateOf(uint256 id, uint256 hint) private view returns (uint256) {
        uint256 last = getLastCheckpointIndex;
        if (hint == 0 || hint > last || _checkpoints[hint].fromRequestId > id) revert InvalidHint(hint);
        if (hint < last && _checkpoints[hint + 1].fromRequestId <= id) revert InvalidHint(hint);
        return _checkpoints[hint].maxShareRate;
    }

    function _findHint(uint256 id, uint256 low, uint256 high) private view returns (uint256) {
        uint256 last = getLastCheckpointIndex;
        if (id > getLastFinalizedRequestId || low > high || id < _checkpoints[low].fromRequestId) return 0;
        if (high < last && _checkpoints[high + 1].fromRequestId <= id) return 0;
        while (low < high) {
            uint256 middle = (low + high + 1) / 2;
            if (_checkpoints[middle].fromRequestId <= id) low = middle;
            else high = middle - 1;
        }
        return low;
    }
}
