// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {
    IAllocationManager,
    IDelegationManager,
    IStrategy,
    IStrategyManager
} from "../../contracts/interfaces/external/IEigenLayer.sol";
import {ILido, IWETH} from "../../contracts/interfaces/external/ILido.sol";

/// @title The calls of Lido and EigenLayer without a protocol around them, measured beside an agent and never shipped
/// @notice Operator and staker in one, as an agent is. Anybody may call it: it only lives on a local chain.
contract BareRestaker {
    IWETH private immutable WETH;
    ILido private immutable LIDO;
    IStrategy private immutable STRATEGY;
    IStrategyManager private immutable STRATEGIES;
    IDelegationManager private immutable DELEGATION;
    IAllocationManager private immutable ALLOCATIONS;

    constructor(
        IWETH weth,
        ILido lido,
        IStrategy strategy,
        IStrategyManager strategies,
        IDelegationManager delegation,
        IAllocationManager allocations
    ) {
        (WETH, LIDO, STRATEGY, STRATEGIES) = (weth, lido, strategy, strategies);
        (DELEGATION, ALLOCATIONS) = (delegation, allocations);
        delegation.registerAsOperator(address(this), 0, "");
        IERC20(address(lido)).approve(address(strategies), type(uint256).max);
    }

    receive() external payable {}

    /// @notice Unwraps `assets` of WETH held here, stakes them with Lido and deposits what comes into the strategy.
    function deposit(uint256 assets) external {
        WETH.withdraw(assets);
        LIDO.submit{value: assets}(address(0));
        STRATEGIES.depositIntoStrategy(STRATEGY, IERC20(address(LIDO)), IERC20(address(LIDO)).balanceOf(address(this)));
    }

    /// @notice Deposits `tokens` of stETH held here into the strategy.
    function depositTokens(uint256 tokens) external {
        STRATEGIES.depositIntoStrategy(STRATEGY, IERC20(address(LIDO)), tokens);
    }

    /// @notice Queues a withdrawal of so many deposit shares.
    function queue(uint256 depositShares) external {
        IDelegationManager.QueuedWithdrawalParams[] memory params = new IDelegationManager.QueuedWithdrawalParams[](1);
        params[0].strategies = new IStrategy[](1);
        params[0].strategies[0] = STRATEGY;
        params[0].depositShares = new uint256[](1);
        params[0].depositShares[0] = depositShares;
        DELEGATION.queueWithdrawals(params);
    }

    /// @notice Registers for one operator set.
    function register(address avs, uint32 id) external {
        uint32[] memory ids = new uint32[](1);
        ids[0] = id;
        ALLOCATIONS.registerForOperatorSets(
            address(this), IAllocationManager.RegisterParams({avs: avs, operatorSetIds: ids, data: ""})
        );
    }

    /// @notice Sets the allocation to one operator set.
    function allocate(IAllocationManager.AllocateParams[] calldata params) external {
        ALLOCATIONS.modifyAllocations(address(this), params);
    }
}
