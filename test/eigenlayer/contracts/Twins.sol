// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {
    IAllocationManager,
    IDelegationManager,
    IStrategy,
    IStrategyManager,
    OperatorSet
} from "../../../contracts/interfaces/external/IEigenLayer.sol";

// Contracts of the comparison of two EigenLayer deployments. For tests only.

/// @title An account that lives in two worlds
/// @notice Makes one call in each of two deployments, in the same block, and records both outcomes. Plays operators
/// (which are their own stakers) and AVSs.
contract Twin {
    event Outcome(bool firstOk, bytes first, bool secondOk, bytes second);

    /// @dev Anybody may call: there is nothing to protect on a test chain.
    function both(address first, bytes calldata firstData, address second, bytes calldata secondData) external {
        (bool firstOk, bytes memory firstResult) = first.call(firstData);
        (bool secondOk, bytes memory secondResult) = second.call(secondData);
        emit Outcome(firstOk, firstResult, secondOk, secondResult);
    }

    /// @dev Asked by setAVSRegistrar and on registration: a twin that plays an AVS is its own registrar.
    function supportsAVS(address) external pure returns (bool) {
        return true;
    }

    function registerOperator(address, address, uint32[] calldata, bytes calldata) external pure {}

    function deregisterOperator(address, address, uint32[] calldata) external pure {}
}

/// @title A token that anybody mints
contract FreeToken is ERC20 {
    constructor() ERC20("Free", "FREE") {}

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function burn(address from, uint256 amount) external {
        _burn(from, amount);
    }
}

/// @dev What Bulkhead's interface does not need, and the comparison looks at.
interface IMoreViews {
    function getEncumberedMagnitude(address operator, IStrategy strategy) external view returns (uint64);
    function getAllocatableMagnitude(address operator, IStrategy strategy) external view returns (uint64);
    function getSlashableSharesInQueue(address operator, IStrategy strategy) external view returns (uint256);
    function getAllocatedSets(address operator) external view returns (OperatorSet[] memory);
    function getRegisteredSets(address operator) external view returns (OperatorSet[] memory);
    function operatorShares(address operator, IStrategy strategy) external view returns (uint256);
}

/// @title Reads everything that the comparison compares, in one call per deployment
contract Lens {
    /// @notice Two views of the same deployment contradict each other.
    error Disagree(string what);

    struct Deployment {
        IDelegationManager delegationManager;
        IStrategyManager strategyManager;
        IAllocationManager allocationManager;
        IStrategy[] strategies;
    }

    struct SetView {
        uint256 slashCount;
        address slasher;
        address pendingSlasher;
        uint32 slasherEffectBlock;
    }

    struct PoolView {
        uint256 totalShares;
        uint256 balance;
        uint256 sharesToUnderlying;
        uint256 underlyingToShares;
    }

    struct MembershipView {
        bool member;
        bool slashable;
    }

    struct StakeView {
        uint256 depositShares;
        uint256 withdrawableShares;
        uint256 scalingFactor;
        uint256 operatorShares;
        uint256 slashableSharesInQueue;
        uint64 maxMagnitude;
        uint64 maxMagnitudeBefore;
        uint64 encumbered;
        uint64 allocatable;
        uint256 walletBalance;
        IAllocationManager.Allocation[] allocations;
    }

    struct WithdrawalView {
        address staker;
        address delegatedTo;
        address withdrawer;
        uint256 nonce;
        uint32 startBlock;
        uint256 strategyIndex;
        uint256 scaledShares;
        uint256 payout;
    }

    struct OperatorView {
        uint256 withdrawalsQueued;
        uint256 allocatedSets;
        uint256 registeredSets;
        MembershipView[] memberships;
        StakeView[] stakes;
        WithdrawalView[] queue;
    }

    struct View {
        SetView[] sets;
        PoolView[] pools;
        OperatorView[] operators;
    }

    /// @notice The state of `operators` in one deployment, of all sets and of all strategies; strategies appear as
    /// indices, because their addresses differ by nature.
    function look(Deployment calldata d, address[] calldata operators, OperatorSet[] calldata sets)
        external
        view
        returns (View memory v)
    {
        v.sets = new SetView[](sets.length);
        for (uint256 i; i < sets.length; ++i) {
            v.sets[i].slashCount = d.allocationManager.getSlashCount(sets[i]);
            v.sets[i].slasher = d.allocationManager.getSlasher(sets[i]);
            (v.sets[i].pendingSlasher, v.sets[i].slasherEffectBlock) = d.allocationManager.getPendingSlasher(sets[i]);
        }
        v.pools = new PoolView[](d.strategies.length);
        for (uint256 i; i < d.strategies.length; ++i) {
            v.pools[i].totalShares = d.strategies[i].totalShares();
            v.pools[i].balance = d.strategies[i].underlyingToken().balanceOf(address(d.strategies[i]));
            v.pools[i].sharesToUnderlying = d.strategies[i].sharesToUnderlyingView(1e18);
            v.pools[i].underlyingToShares = d.strategies[i].underlyingToSharesView(1e18);
        }
        v.operators = new OperatorView[](operators.length);
        for (uint256 i; i < operators.length; ++i) {
            v.operators[i] = _operator(d, operators[i], sets);
        }
    }

    function _operator(Deployment calldata d, address operator, OperatorSet[] calldata sets)
        private
        view
        returns (OperatorView memory v)
    {
        v.withdrawalsQueued = d.delegationManager.cumulativeWithdrawalsQueued(operator);
        v.allocatedSets = IMoreViews(address(d.allocationManager)).getAllocatedSets(operator).length;
        v.registeredSets = IMoreViews(address(d.allocationManager)).getRegisteredSets(operator).length;
        v.memberships = new MembershipView[](sets.length);
        for (uint256 i; i < sets.length; ++i) {
            v.memberships[i].member = d.allocationManager.isMemberOfOperatorSet(operator, sets[i]);
            v.memberships[i].slashable = d.allocationManager.isOperatorSlashable(operator, sets[i]);
        }
        v.stakes = new StakeView[](d.strategies.length);
        for (uint256 i; i < d.strategies.length; ++i) {
            v.stakes[i] = _stake(d, operator, d.strategies[i], sets);
        }
        v.queue = _queue(d, operator);
    }

    function _stake(Deployment calldata d, address operator, IStrategy strategy, OperatorSet[] calldata sets)
        private
        view
        returns (StakeView memory v)
    {
        IMoreViews allocations = IMoreViews(address(d.allocationManager));
        IMoreViews delegation = IMoreViews(address(d.delegationManager));
        IStrategy[] memory one = new IStrategy[](1);
        one[0] = strategy;
        (uint256[] memory withdrawable, uint256[] memory deposited) =
            d.delegationManager.getWithdrawableShares(operator, one);
        v.depositShares = deposited[0];
        require(
            d.strategyManager.stakerDepositShares(operator, strategy) == deposited[0],
            Disagree("deposit shares disagree")
        );
        v.withdrawableShares = withdrawable[0];
        v.scalingFactor = d.delegationManager.depositScalingFactor(operator, strategy);
        v.operatorShares = delegation.operatorShares(operator, strategy);
        v.slashableSharesInQueue = delegation.getSlashableSharesInQueue(operator, strategy);
        v.maxMagnitude = d.allocationManager.getMaxMagnitude(operator, strategy);
        v.maxMagnitudeBefore = d.allocationManager.getMaxMagnitudesAtBlock(operator, one, uint32(block.number - 1))[0];
        v.encumbered = allocations.getEncumberedMagnitude(operator, strategy);
        v.allocatable = allocations.getAllocatableMagnitude(operator, strategy);
        v.walletBalance = strategy.underlyingToken().balanceOf(operator);
        v.allocations = new IAllocationManager.Allocation[](sets.length);
        for (uint256 i; i < sets.length; ++i) {
            v.allocations[i] = d.allocationManager.getAllocation(operator, sets[i], strategy);
        }
    }

    function _queue(Deployment calldata d, address operator) private view returns (WithdrawalView[] memory queue) {
        (IDelegationManager.Withdrawal[] memory withdrawals, uint256[][] memory shares) =
            d.delegationManager.getQueuedWithdrawals(operator);
        bytes32[] memory roots = d.delegationManager.getQueuedWithdrawalRoots(operator);
        require(roots.length == withdrawals.length, Disagree("queue and roots disagree"));
        queue = new WithdrawalView[](withdrawals.length);
        for (uint256 i; i < withdrawals.length; ++i) {
            IDelegationManager.Withdrawal memory w = withdrawals[i];
            require(keccak256(abi.encode(w)) == roots[i], Disagree("root is not the hash of its withdrawal"));
            if (i == block.number % withdrawals.length) _requireSame(d, roots[i], shares[i][0]); // each in turn
            queue[i] = WithdrawalView({
                staker: w.staker,
                delegatedTo: w.delegatedTo,
                withdrawer: w.withdrawer,
                nonce: w.nonce,
                startBlock: w.startBlock,
                strategyIndex: _indexOf(d.strategies, w.strategies[0]),
                scaledShares: w.scaledShares[0],
                payout: shares[i][0]
            });
        }
    }

    /// @dev The single read must agree with the list.
    function _requireSame(Deployment calldata d, bytes32 root, uint256 payout) private view {
        (IDelegationManager.Withdrawal memory w, uint256[] memory shares) =
            d.delegationManager.getQueuedWithdrawal(root);
        require(keccak256(abi.encode(w)) == root, Disagree("queue and root disagree"));
        require(shares[0] == payout, Disagree("payouts disagree"));
    }

    function _indexOf(IStrategy[] calldata strategies, IStrategy strategy) private pure returns (uint256 i) {
        while (strategies[i] != strategy) ++i;
    }
}
