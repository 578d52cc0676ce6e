// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @title Minimal interfaces of EigenLayer core
/// @notice Only what Bulkhead calls, with the ABI of release v1.12.0. Written from the published facts (ELIP-002,
/// ELIP-003, ELIP-004, ELIP-006); EigenLayer's own interfaces are not used. Magnitudes are WAD (1e18 = all of an
/// operator's stake in a strategy), delays and effect blocks are block numbers.

/// @notice An operator set: a group of operators that one AVS defines and one slasher may slash.
struct OperatorSet {
    address avs;
    uint32 id;
}

/// @notice A strategy holds one token for all stakers.
interface IStrategy {
    /// @notice The token that the strategy holds.
    function underlyingToken() external view returns (IERC20);

    /// @notice Tokens (wei, rounded down) that `shares` are worth.
    function sharesToUnderlyingView(uint256 shares) external view returns (uint256);

    /// @notice Shares (rounded down) that `amount` tokens would buy.
    function underlyingToSharesView(uint256 amount) external view returns (uint256);

    /// @notice All shares outstanding.
    function totalShares() external view returns (uint256);
}

/// @notice Deploys one strategy per token, whitelisted at once; permissionless.
interface IStrategyFactory {
    /// @notice Deploys the strategy of `token`; reverts if there is one.
    function deployNewStrategy(IERC20 token) external returns (IStrategy);

    /// @notice The strategy of `token`, or zero.
    function deployedStrategies(IERC20 token) external view returns (IStrategy);
}

/// @notice Takes deposits and pays out.
interface IStrategyManager {
    /// @notice Moves `amount` of `token` from the caller into `strategy` and credits deposit shares to him.
    function depositIntoStrategy(IStrategy strategy, IERC20 token, uint256 amount)
        external
        returns (uint256 depositShares);

    /// @notice Deposit shares of a staker (before scaling and slashing).
    function stakerDepositShares(address staker, IStrategy strategy) external view returns (uint256);

    /// @notice Burns or pays to the redistribution recipient what the slash `slashId` took; permissionless.
    function clearBurnOrRedistributableShares(OperatorSet calldata operatorSet, uint256 slashId)
        external
        returns (uint256[] memory);
}

/// @notice Delegation and the withdrawal queue.
interface IDelegationManager {
    struct QueuedWithdrawalParams {
        IStrategy[] strategies;
        uint256[] depositShares;
        address deprecatedWithdrawer;
    }

    struct Withdrawal {
        address staker;
        address delegatedTo;
        address withdrawer;
        uint256 nonce;
        uint32 startBlock;
        IStrategy[] strategies;
        uint256[] scaledShares;
    }

    /// @notice The caller becomes an operator, delegated to itself.
    function registerAsOperator(address initDelegationApprover, uint32 allocationDelay, string calldata metadataURI)
        external;

    /// @notice Queues the caller's own withdrawals; one root each.
    function queueWithdrawals(QueuedWithdrawalParams[] calldata params) external returns (bytes32[] memory roots);

    /// @notice Completes a withdrawal of the caller after its delay, in tokens or back into shares.
    function completeQueuedWithdrawal(Withdrawal calldata withdrawal, IERC20[] calldata tokens, bool receiveAsTokens)
        external;

    /// @notice The withdrawal behind a root, with the shares it would pay now.
    function getQueuedWithdrawal(bytes32 root)
        external
        view
        returns (Withdrawal memory withdrawal, uint256[] memory shares);

    /// @notice All queued withdrawals of a staker, with the shares they would pay now.
    function getQueuedWithdrawals(address staker)
        external
        view
        returns (Withdrawal[] memory withdrawals, uint256[][] memory shares);

    /// @notice Roots of all queued withdrawals of a staker.
    function getQueuedWithdrawalRoots(address staker) external view returns (bytes32[] memory);

    /// @notice Withdrawable and deposit shares of a staker.
    function getWithdrawableShares(address staker, IStrategy[] calldata strategies)
        external
        view
        returns (uint256[] memory withdrawableShares, uint256[] memory depositShares);

    /// @notice Deposit shares that correspond to withdrawable ones (rounded down); divides by zero after a full slash.
    function convertToDepositShares(
        address staker,
        IStrategy[] calldata strategies,
        uint256[] calldata withdrawableShares
    ) external view returns (uint256[] memory);

    /// @notice Deposit scaling factor k (WAD).
    function depositScalingFactor(address staker, IStrategy strategy) external view returns (uint256);

    /// @notice Withdrawals queued by a staker so far, which is the nonce of his next one.
    function cumulativeWithdrawalsQueued(address staker) external view returns (uint256);

    /// @notice Blocks between queueing and completion.
    function minWithdrawalDelayBlocks() external view returns (uint32);

    /// @notice The operator a staker is delegated to.
    function delegatedTo(address staker) external view returns (address);
}

/// @notice Operator sets, allocations and slashing.
interface IAllocationManager {
    struct Allocation {
        uint64 currentMagnitude;
        int128 pendingDiff;
        uint32 effectBlock;
    }

    struct AllocateParams {
        OperatorSet operatorSet;
        IStrategy[] strategies;
        uint64[] newMagnitudes;
    }

    struct RegisterParams {
        address avs;
        uint32[] operatorSetIds;
        bytes data;
    }

    struct DeregisterParams {
        address operator;
        address avs;
        uint32[] operatorSetIds;
    }

    struct CreateSetParamsV2 {
        uint32 operatorSetId;
        IStrategy[] strategies;
        address slasher;
    }

    struct SlashingParams {
        address operator;
        uint32 operatorSetId;
        IStrategy[] strategies;
        uint256[] wadsToSlash;
        string description;
    }

    /// @notice Sets the operator's allocations; decreases wait for the deallocation delay while slashable.
    function modifyAllocations(address operator, AllocateParams[] calldata params) external;

    /// @notice Registers the operator; calls the AVS's registrar.
    function registerForOperatorSets(address operator, RegisterParams calldata params) external;

    /// @notice Deregisters the operator; calls the AVS's registrar, which may revert.
    function deregisterFromOperatorSets(DeregisterParams calldata params) external;

    /// @notice Slashes an operator of a set; only the set's slasher.
    function slashOperator(address avs, SlashingParams calldata params)
        external
        returns (uint256 slashId, uint256[] memory shares);

    /// @notice Frees the magnitude of deallocations whose delay is over; permissionless.
    function clearDeallocationQueue(address operator, IStrategy[] calldata strategies, uint16[] calldata numToClear)
        external;

    /// @notice Creates operator sets of the calling AVS.
    function createOperatorSets(address avs, CreateSetParamsV2[] calldata params) external;

    /// @notice An AVS must have metadata before it creates sets.
    function updateAVSMetadataURI(address avs, string calldata metadataURI) external;

    /// @notice Sets the contract that is asked on registration and deregistration.
    function setAVSRegistrar(address avs, address registrar) external;

    /// @notice Largest magnitude that an operator could still have allocated; falls with each slash.
    function getMaxMagnitude(address operator, IStrategy strategy) external view returns (uint64);

    /// @notice The same for several operators.
    function getMaxMagnitudes(address[] calldata operators, IStrategy strategy) external view returns (uint64[] memory);

    /// @notice Max magnitudes at the end of `blockNumber`; the latest for a block to come.
    function getMaxMagnitudesAtBlock(address operator, IStrategy[] calldata strategies, uint32 blockNumber)
        external
        view
        returns (uint64[] memory);

    /// @notice Current allocation of an operator to a set, with its pending change.
    function getAllocation(address operator, OperatorSet calldata operatorSet, IStrategy strategy)
        external
        view
        returns (Allocation memory);

    /// @notice Who may slash the set now (zero: nobody yet).
    function getSlasher(OperatorSet calldata operatorSet) external view returns (address);

    /// @notice The slasher to come and its block; zeros if none.
    function getPendingSlasher(OperatorSet calldata operatorSet) external view returns (address, uint32);

    /// @notice Whether slashed funds of the set go to a recipient instead of being burned.
    function isRedistributingOperatorSet(OperatorSet calldata operatorSet) external view returns (bool);

    /// @notice How many slashes the set has made.
    function getSlashCount(OperatorSet calldata operatorSet) external view returns (uint256);

    /// @notice Whether the set could slash the operator now.
    function isOperatorSlashable(address operator, OperatorSet calldata operatorSet) external view returns (bool);

    /// @notice Whether the operator is a member of the set.
    function isMemberOfOperatorSet(address operator, OperatorSet calldata operatorSet) external view returns (bool);

    /// @notice Strategies of which a set may slash allocations. The AVS chooses how many.
    function getStrategiesInOperatorSet(OperatorSet calldata operatorSet) external view returns (IStrategy[] memory);

    /// @notice The contract that is asked when operators join or leave sets of `avs`; the AVS itself by default.
    function getAVSRegistrar(address avs) external view returns (address);

    /// @notice Magnitude that an operator has allocated, pending decreases included as long as they are slashable.
    function getEncumberedMagnitude(address operator, IStrategy strategy) external view returns (uint64);

    /// @notice Blocks for which a deallocated magnitude stays slashable.
    // solhint-disable-next-line func-name-mixedcase
    function DEALLOCATION_DELAY() external view returns (uint32);
}

/// @notice Who may call EigenLayer for whom.
interface IPermissionController {
    /// @notice `appointee` may call `selector` of `target` for `account`.
    function setAppointee(address account, address appointee, address target, bytes4 selector) external;

    /// @notice Takes that right back.
    function removeAppointee(address account, address appointee, address target, bytes4 selector) external;

    /// @notice Whether `caller` may call.
    function canCall(address account, address caller, address target, bytes4 selector) external returns (bool);
}

/// @notice Pays rewards from Merkle roots; amounts are cumulative, so each claim pays the difference to the last one.
interface IRewardsCoordinator {
    struct DistributionRoot {
        bytes32 root;
        uint32 rewardsCalculationEndTimestamp;
        uint32 activatedAt;
        bool disabled;
    }

    struct EarnerTreeMerkleLeaf {
        address earner;
        bytes32 earnerTokenRoot;
    }

    struct TokenTreeMerkleLeaf {
        IERC20 token;
        uint256 cumulativeEarnings;
    }

    struct RewardsMerkleClaim {
        uint32 rootIndex;
        uint32 earnerIndex;
        bytes earnerTreeProof;
        EarnerTreeMerkleLeaf earnerLeaf;
        uint32[] tokenIndices;
        bytes[] tokenTreeProofs;
        TokenTreeMerkleLeaf[] tokenLeaves;
    }

    /// @notice Lets `claimer` alone claim for the caller; zero: the caller itself.
    function setClaimerFor(address claimer) external;

    /// @notice Pays what the claim proves to `recipient`; only the earner or its claimer.
    function processClaim(RewardsMerkleClaim calldata claim, address recipient) external;

    /// @notice True, or reverts with the reason.
    function checkClaim(RewardsMerkleClaim calldata claim) external view returns (bool);

    /// @notice Who claims for `earner`; zero: the earner itself.
    function claimerFor(address earner) external view returns (address);

    /// @notice What `earner` has been paid of `token` so far.
    function cumulativeClaimed(address earner, IERC20 token) external view returns (uint256);

    /// @notice Number of roots.
    function getDistributionRootsLength() external view returns (uint256);

    /// @notice A root by its index.
    function getDistributionRootAtIndex(uint256 index) external view returns (DistributionRoot memory);
}
