// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {Checkpoints} from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";
import {EnumerableSet} from "@openzeppelin/contracts/utils/structs/EnumerableSet.sol";
import {IDelegationManager, IStrategy, OperatorSet} from "../../interfaces/external/IEigenLayer.sol";
import {LocalEigenLayer} from "./LocalEigenLayer.sol";
import {LocalModule} from "./LocalModule.sol";
import {LocalStrategyManager} from "./LocalStrategyManager.sol";

/// @title Local stand-in of EigenLayer's DelegationManager
/// @notice Operators, delegation, the share accounting of slashing (ELIP-002) and the withdrawal queue.
/// @dev With s deposit shares, k the deposit scaling factor and m the operator's max magnitude (both WAD), a staker may
/// withdraw a = s * k * m, every multiplication rounded down. A deposit of d sets k to (a + d) / (s + d) / m, every
/// division rounded down; k is WAD whenever s is 0.
contract LocalDelegationManager is LocalModule, ReentrancyGuardTransient, IDelegationManager {
    using Checkpoints for Checkpoints.Trace224;
    using EnumerableSet for EnumerableSet.Bytes32Set;

    /// @notice A signature with its last second; the stand-in accepts none.
    struct SignatureWithExpiry {
        bytes signature;
        uint256 expiry;
    }

    /// @dev Pause bit of registering and delegating.
    uint8 private constant PAUSED_NEW_DELEGATION = 0;
    /// @dev Pause bit of queueing withdrawals.
    uint8 private constant PAUSED_ENTER_WITHDRAWAL_QUEUE = 1;
    /// @dev Pause bit of completing withdrawals.
    uint8 private constant PAUSED_EXIT_WITHDRAWAL_QUEUE = 2;

    /// @inheritdoc IDelegationManager
    mapping(address staker => address operator) public delegatedTo;
    /// @notice Who must agree to a delegation to the operator; zero: nobody.
    mapping(address operator => address) public delegationApprover;
    /// @notice Shares of an operator that can be slashed, without those in the withdrawal queue.
    mapping(address operator => mapping(IStrategy strategy => uint256)) public operatorShares;
    /// @inheritdoc IDelegationManager
    mapping(address staker => uint256) public cumulativeWithdrawalsQueued;
    /// @notice Whether a withdrawal is queued.
    mapping(bytes32 root => bool) public pendingWithdrawals;

    mapping(address staker => mapping(IStrategy strategy => uint256)) private _scaling;
    mapping(address staker => EnumerableSet.Bytes32Set) private _roots;
    mapping(bytes32 root => Withdrawal) private _withdrawals;
    /// @dev Scaled shares that stakers of an operator have ever queued, by block.
    mapping(address operator => mapping(IStrategy strategy => Checkpoints.Trace224)) private _queuedEver;

    /// @notice `operator` registered.
    event OperatorRegistered(address indexed operator, address delegationApprover);
    /// @notice `newDelegationApprover` must agree to delegations to `operator`.
    event DelegationApproverUpdated(address indexed operator, address newDelegationApprover);
    /// @notice `operator` says where its description is.
    event OperatorMetadataURIUpdated(address indexed operator, string metadataURI);
    /// @notice `staker` delegates to `operator`.
    event StakerDelegated(address indexed staker, address indexed operator);
    /// @notice `staker` no longer delegates to `operator`.
    event StakerUndelegated(address indexed staker, address indexed operator);
    /// @notice It was the operator who ended the delegation.
    event StakerForceUndelegated(address indexed staker, address indexed operator);
    /// @notice `operator` has more shares.
    event OperatorSharesIncreased(address indexed operator, address staker, IStrategy strategy, uint256 shares);
    /// @notice `operator` has fewer shares; `staker` is zero for a slash.
    event OperatorSharesDecreased(address indexed operator, address staker, IStrategy strategy, uint256 shares);
    /// @notice A slash took shares of `operator`, those in the withdrawal queue included.
    event OperatorSharesSlashed(address indexed operator, IStrategy strategy, uint256 totalSlashedShares);
    /// @notice The factor k of `staker` changed.
    event DepositScalingFactorUpdated(address staker, IStrategy strategy, uint256 newDepositScalingFactor);
    /// @notice A withdrawal was queued.
    /// @param withdrawalRoot Hash of `withdrawal`.
    /// @param withdrawal What is needed to complete it.
    /// @param sharesToWithdraw What it would pay if nothing is slashed until then.
    event SlashingWithdrawalQueued(bytes32 withdrawalRoot, Withdrawal withdrawal, uint256[] sharesToWithdraw);
    /// @notice A withdrawal was completed.
    event SlashingWithdrawalCompleted(bytes32 withdrawalRoot);

    /// @notice The account delegates already.
    error ActivelyDelegated();
    /// @notice The account does not delegate.
    error NotActivelyDelegated();
    /// @notice Not an operator.
    error OperatorNotRegistered();
    /// @notice An operator delegates to itself for good.
    error OperatorsCannotUndelegate();
    /// @notice Neither the staker nor its operator.
    error CallerCannotUndelegate();
    /// @notice The approver's signature is missing or wrong.
    error InvalidSignature();
    /// @notice The operator has lost everything in the strategy.
    error FullySlashed();
    /// @notice The factor k would be 0.
    error InvalidDepositScalingFactor();
    /// @notice Arrays of different lengths.
    error InputArrayLengthMismatch();
    /// @notice An empty array.
    error InputArrayLengthZero();
    /// @notice Only the withdrawer completes.
    error WithdrawerNotCaller();
    /// @notice No such withdrawal in the queue.
    error WithdrawalNotQueued();
    /// @notice The delay is not over.
    error WithdrawalDelayNotElapsed();
    /// @notice Only the strategy manager.
    error OnlyStrategyManagerOrEigenPodManager();
    /// @notice Only the allocation manager.
    error OnlyAllocationManager();

    /// @param book_ The address book.
    constructor(LocalEigenLayer book_) LocalModule(book_) {}

    /// @inheritdoc IDelegationManager
    /// @dev `allocationDelay` counts at once. Errors: `ActivelyDelegated`.
    function registerAsOperator(address initDelegationApprover, uint32 allocationDelay, string calldata metadataURI)
        external
        nonReentrant
    {
        if (delegatedTo[msg.sender] != address(0)) revert ActivelyDelegated();
        book.allocationManager().setAllocationDelay(msg.sender, allocationDelay);
        delegationApprover[msg.sender] = initDelegationApprover;
        emit DelegationApproverUpdated(msg.sender, initDelegationApprover);
        _delegate(msg.sender, msg.sender);
        emit OperatorRegistered(msg.sender, initDelegationApprover);
        emit OperatorMetadataURIUpdated(msg.sender, metadataURI);
    }

    /// @notice Says where the description of `operator` is; the operator or its appointee.
    function updateOperatorMetadataURI(address operator, string calldata metadataURI) external {
        _requireMayCallFor(operator);
        if (!isOperator(operator)) revert OperatorNotRegistered();
        emit OperatorMetadataURIUpdated(operator, metadataURI);
    }

    /// @notice Delegates all stake of the caller to `operator`.
    /// @dev The stand-in verifies no signatures: whoever is not the approver is refused with `InvalidSignature`.
    function delegateTo(address operator, SignatureWithExpiry calldata, bytes32) external nonReentrant {
        if (delegatedTo[msg.sender] != address(0)) revert ActivelyDelegated();
        if (!isOperator(operator)) revert OperatorNotRegistered();
        address approver = delegationApprover[operator];
        if (approver != address(0) && msg.sender != approver) revert InvalidSignature();
        _delegate(msg.sender, operator);
    }

    /// @notice Ends the delegation of `staker` and queues all his stake, one withdrawal per strategy; the staker, his
    /// operator or that one's approver or appointee.
    function undelegate(address staker) external nonReentrant returns (bytes32[] memory roots) {
        address operator = delegatedTo[staker];
        if (operator == address(0)) revert NotActivelyDelegated();
        if (isOperator(staker)) revert OperatorsCannotUndelegate();
        if (msg.sender != staker) {
            if (msg.sender != delegationApprover[operator] && !_mayCallFor(operator)) revert CallerCannotUndelegate();
            emit StakerForceUndelegated(staker, operator);
        }
        _requireNotPaused(PAUSED_ENTER_WITHDRAWAL_QUEUE);
        delegatedTo[staker] = address(0);
        emit StakerUndelegated(staker, operator);

        (IStrategy[] memory strategies, uint256[] memory shares) = book.strategyManager().getDeposits(staker);
        roots = new bytes32[](strategies.length);
        for (uint256 i; i < strategies.length; ++i) {
            IStrategy[] memory one = new IStrategy[](1);
            uint256[] memory amount = new uint256[](1);
            (one[0], amount[0]) = (strategies[i], shares[i]);
            roots[i] = _queue(staker, operator, one, amount);
        }
    }

    /// @inheritdoc IDelegationManager
    /// @dev `deprecatedWithdrawer` is ignored: the caller is the withdrawer.
    function queueWithdrawals(QueuedWithdrawalParams[] calldata params)
        external
        whenNotPaused(PAUSED_ENTER_WITHDRAWAL_QUEUE)
        nonReentrant
        returns (bytes32[] memory roots)
    {
        roots = new bytes32[](params.length);
        address operator = delegatedTo[msg.sender];
        for (uint256 i; i < params.length; ++i) {
            if (params[i].strategies.length != params[i].depositShares.length) revert InputArrayLengthMismatch();
            roots[i] = _queue(msg.sender, operator, params[i].strategies, params[i].depositShares);
        }
    }

    /// @inheritdoc IDelegationManager
    /// @dev Pays at the max magnitude that the operator had at the end of block startBlock + delay, so that slashes
    /// after it do not matter. A strategy with nothing left pays nothing and does not revert.
    function completeQueuedWithdrawal(Withdrawal calldata withdrawal, IERC20[] calldata tokens, bool receiveAsTokens)
        external
        whenNotPaused(PAUSED_EXIT_WITHDRAWAL_QUEUE)
        nonReentrant
    {
        if (tokens.length != withdrawal.strategies.length) revert InputArrayLengthMismatch();
        if (msg.sender != withdrawal.withdrawer) revert WithdrawerNotCaller();
        bytes32 root = calculateWithdrawalRoot(withdrawal);
        if (!pendingWithdrawals[root]) revert WithdrawalNotQueued();
        if (block.number <= uint256(withdrawal.startBlock) + minWithdrawalDelayBlocks()) {
            revert WithdrawalDelayNotElapsed();
        }
        uint256[] memory shares = _payable(withdrawal);

        delete pendingWithdrawals[root];
        delete _withdrawals[root];
        _roots[withdrawal.staker].remove(root);
        emit SlashingWithdrawalCompleted(root);

        LocalStrategyManager manager = book.strategyManager();
        for (uint256 i; i < shares.length; ++i) {
            if (shares[i] == 0) continue;
            if (receiveAsTokens) {
                manager.withdrawSharesAsTokens(withdrawal.staker, withdrawal.strategies[i], tokens[i], shares[i]);
            } else {
                (uint256 previous, uint256 added) =
                    manager.addShares(withdrawal.staker, withdrawal.strategies[i], shares[i]);
                _increase(withdrawal.staker, withdrawal.strategies[i], previous, added);
            }
        }
    }

    /// @notice Follows a deposit of `staker`; only the strategy manager.
    /// @param previous Deposit shares before it.
    /// @param added Deposit shares that it brought.
    function increaseDelegatedShares(address staker, IStrategy strategy, uint256 previous, uint256 added) external {
        if (msg.sender != address(book.strategyManager())) revert OnlyStrategyManagerOrEigenPodManager();
        _increase(staker, strategy, previous, added);
    }

    /// @notice Takes the slashed part of an operator's shares, queue included; only the allocation manager.
    /// @param previousMax Max magnitude before the slash.
    /// @param newMax Max magnitude after it.
    /// @return total Shares taken.
    function slashOperatorShares(
        address operator,
        OperatorSet calldata operatorSet,
        uint256 slashId,
        IStrategy strategy,
        uint64 previousMax,
        uint64 newMax
    ) external nonReentrant returns (uint256 total) {
        if (msg.sender != address(book.allocationManager())) revert OnlyAllocationManager();
        uint256 before = operatorShares[operator][strategy];
        uint256 slashed = before - Math.mulDiv(before, newMax, previousMax, Math.Rounding.Ceil);
        operatorShares[operator][strategy] = before - slashed;
        emit OperatorSharesDecreased(operator, address(0), strategy, slashed);

        total = slashed + _wadMul(_scaledInQueue(operator, strategy), previousMax - newMax);
        emit OperatorSharesSlashed(operator, strategy, total);
        book.strategyManager().increaseBurnOrRedistributableShares(operatorSet, slashId, strategy, total);
    }

    /// @inheritdoc IDelegationManager
    function getQueuedWithdrawal(bytes32 root)
        external
        view
        returns (Withdrawal memory withdrawal, uint256[] memory shares)
    {
        withdrawal = _withdrawals[root];
        shares = _payable(withdrawal);
    }

    /// @inheritdoc IDelegationManager
    function getQueuedWithdrawals(address staker)
        external
        view
        returns (Withdrawal[] memory withdrawals, uint256[][] memory shares)
    {
        bytes32[] memory roots = _roots[staker].values();
        withdrawals = new Withdrawal[](roots.length);
        shares = new uint256[][](roots.length);
        for (uint256 i; i < roots.length; ++i) {
            withdrawals[i] = _withdrawals[roots[i]];
            shares[i] = _payable(withdrawals[i]);
        }
    }

    /// @inheritdoc IDelegationManager
    function getQueuedWithdrawalRoots(address staker) external view returns (bytes32[] memory) {
        return _roots[staker].values();
    }

    /// @notice The withdrawal behind a root, empty when it is not queued.
    function queuedWithdrawals(bytes32 root) external view returns (Withdrawal memory) {
        return _withdrawals[root];
    }

    /// @inheritdoc IDelegationManager
    function getWithdrawableShares(address staker, IStrategy[] calldata strategies)
        external
        view
        returns (uint256[] memory withdrawableShares, uint256[] memory depositShares)
    {
        withdrawableShares = new uint256[](strategies.length);
        depositShares = new uint256[](strategies.length);
        LocalStrategyManager manager = book.strategyManager();
        for (uint256 i; i < strategies.length; ++i) {
            uint256 shares = manager.stakerDepositShares(staker, strategies[i]);
            depositShares[i] = shares;
            withdrawableShares[i] = _withdrawable(
                shares, depositScalingFactor(staker, strategies[i]), _magnitude(delegatedTo[staker], strategies[i])
            );
        }
    }

    /// @inheritdoc IDelegationManager
    function convertToDepositShares(
        address staker,
        IStrategy[] calldata strategies,
        uint256[] calldata withdrawableShares
    ) external view returns (uint256[] memory depositShares) {
        depositShares = new uint256[](strategies.length);
        for (uint256 i; i < strategies.length; ++i) {
            depositShares[i] = _wadDiv(
                _wadDiv(withdrawableShares[i], depositScalingFactor(staker, strategies[i])),
                _magnitude(delegatedTo[staker], strategies[i])
            );
        }
    }

    /// @notice Shares in the withdrawal queue that a slash of `operator` could still take from.
    /// @dev Reverts with an underflow on a chain of fewer blocks than the withdrawal delay, as mainnet's code does; so
    /// does every slash.
    function getSlashableSharesInQueue(address operator, IStrategy strategy) external view returns (uint256) {
        return _wadMul(_scaledInQueue(operator, strategy), _magnitude(operator, strategy));
    }

    /// @notice Shares of an operator in several strategies.
    function getOperatorShares(address operator, IStrategy[] calldata strategies)
        external
        view
        returns (uint256[] memory shares)
    {
        shares = new uint256[](strategies.length);
        for (uint256 i; i < strategies.length; ++i) {
            shares[i] = operatorShares[operator][strategies[i]];
        }
    }

    /// @notice Whether `staker` delegates to anybody.
    function isDelegated(address staker) external view returns (bool) {
        return delegatedTo[staker] != address(0);
    }

    /// @notice Whether `operator` has registered.
    function isOperator(address operator) public view returns (bool) {
        return operator != address(0) && delegatedTo[operator] == operator;
    }

    /// @inheritdoc IDelegationManager
    function depositScalingFactor(address staker, IStrategy strategy) public view returns (uint256) {
        uint256 stored = _scaling[staker][strategy];
        return stored == 0 ? WAD : stored;
    }

    /// @notice The release that the stand-in follows.
    function version() external pure returns (string memory) {
        return "1.12.0";
    }

    /// @notice Takes the deposits.
    function strategyManager() external view returns (address) {
        return address(book.strategyManager());
    }

    /// @notice Keeps the allocations.
    function allocationManager() external view returns (address) {
        return address(book.allocationManager());
    }

    /// @inheritdoc IDelegationManager
    function minWithdrawalDelayBlocks() public view returns (uint32 blocks) {
        (blocks,,,,) = book.delays();
    }

    /// @notice The key of a withdrawal: the hash of its ABI encoding.
    function calculateWithdrawalRoot(Withdrawal memory withdrawal) public pure returns (bytes32) {
        return keccak256(abi.encode(withdrawal));
    }

    function _delegate(address staker, address operator) private whenNotPaused(PAUSED_NEW_DELEGATION) {
        (IStrategy[] memory strategies, uint256[] memory shares) = book.strategyManager().getDeposits(staker);
        uint256[] memory withdrawable = new uint256[](strategies.length);
        for (uint256 i; i < strategies.length; ++i) {
            withdrawable[i] = _wadMul(shares[i], depositScalingFactor(staker, strategies[i]));
        }
        delegatedTo[staker] = operator;
        emit StakerDelegated(staker, operator);
        for (uint256 i; i < strategies.length; ++i) {
            // As if all of it had been deposited just now: k becomes 1/m, and the stake keeps its value.
            _increase(staker, strategies[i], 0, withdrawable[i]);
        }
    }

    function _increase(address staker, IStrategy strategy, uint256 previous, uint256 added) private {
        address operator = delegatedTo[staker];
        uint256 m = _magnitude(operator, strategy);
        if (m == 0) revert FullySlashed();

        uint256 factor;
        if (previous == 0) {
            factor = _wadDiv(WAD, m);
        } else {
            uint256 held = _withdrawable(previous, depositScalingFactor(staker, strategy), m);
            factor = _wadDiv(_wadDiv(held + added, previous + added), m);
        }
        if (factor == 0) revert InvalidDepositScalingFactor();
        _scaling[staker][strategy] = factor;
        emit DepositScalingFactorUpdated(staker, strategy, factor);

        if (operator == address(0)) return;
        operatorShares[operator][strategy] += added;
        emit OperatorSharesIncreased(operator, staker, strategy, added);
    }

    /// @dev Takes the shares out of the staker's deposits and the operator's stake, and remembers them scaled by k.
    function _queue(address staker, address operator, IStrategy[] memory strategies, uint256[] memory depositShares)
        private
        returns (bytes32 root)
    {
        if (strategies.length == 0) revert InputArrayLengthZero();
        uint256[] memory scaled = new uint256[](strategies.length);
        uint256[] memory withdrawable = new uint256[](strategies.length);
        for (uint256 i; i < strategies.length; ++i) {
            IStrategy strategy = strategies[i];
            scaled[i] = _wadMul(depositShares[i], depositScalingFactor(staker, strategy));
            withdrawable[i] = _wadMul(scaled[i], _magnitude(operator, strategy));
            if (operator != address(0)) {
                operatorShares[operator][strategy] -= withdrawable[i];
                emit OperatorSharesDecreased(operator, staker, strategy, withdrawable[i]);
                Checkpoints.Trace224 storage ever = _queuedEver[operator][strategy];
                ever.push(uint32(block.number), uint224(ever.latest() + scaled[i]));
            }
            if (book.strategyManager().removeDepositShares(staker, strategy, depositShares[i]) == 0) {
                delete _scaling[staker][strategy];
                emit DepositScalingFactorUpdated(staker, strategy, WAD);
            }
        }

        Withdrawal memory withdrawal = Withdrawal({
            staker: staker,
            delegatedTo: operator,
            withdrawer: staker,
            nonce: cumulativeWithdrawalsQueued[staker]++,
            startBlock: uint32(block.number),
            strategies: strategies,
            scaledShares: scaled
        });
        root = calculateWithdrawalRoot(withdrawal);
        pendingWithdrawals[root] = true;
        _withdrawals[root] = withdrawal;
        _roots[staker].add(root);
        emit SlashingWithdrawalQueued(root, withdrawal, withdrawable);
    }

    /// @dev What a withdrawal would pay: at the magnitude of its last slashable block, or today's if that is to come.
    function _payable(Withdrawal memory withdrawal) private view returns (uint256[] memory shares) {
        shares = new uint256[](withdrawal.strategies.length);
        uint64[] memory magnitudes;
        if (withdrawal.delegatedTo != address(0)) {
            magnitudes = book.allocationManager()
                .getMaxMagnitudesAtBlock(
                    withdrawal.delegatedTo, withdrawal.strategies, withdrawal.startBlock + minWithdrawalDelayBlocks()
                );
        }
        for (uint256 i; i < shares.length; ++i) {
            shares[i] = withdrawal.delegatedTo == address(0)
                ? withdrawal.scaledShares[i]
                : _wadMul(withdrawal.scaledShares[i], magnitudes[i]);
        }
    }

    /// @dev Scaled shares queued in the last `delay` blocks and in this one.
    function _scaledInQueue(address operator, IStrategy strategy) private view returns (uint256) {
        Checkpoints.Trace224 storage ever = _queuedEver[operator][strategy];
        return ever.latest() - ever.upperLookupRecent(uint32(block.number) - minWithdrawalDelayBlocks() - 1);
    }

    /// @dev Max magnitude of the operator, WAD for nobody.
    function _magnitude(address operator, IStrategy strategy) private view returns (uint256) {
        return operator == address(0) ? WAD : book.allocationManager().getMaxMagnitude(operator, strategy);
    }

    function _withdrawable(uint256 depositShares, uint256 factor, uint256 m) private pure returns (uint256) {
        return _wadMul(_wadMul(depositShares, factor), m);
    }

    function _wadMul(uint256 a, uint256 b) private pure returns (uint256) {
        return Math.mulDiv(a, b, WAD);
    }

    function _wadDiv(uint256 a, uint256 b) private pure returns (uint256) {
        return Math.mulDiv(a, WAD, b);
    }
}
