// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Test} from "forge-std/Test.sol";

import {
    IAllocationManager,
    IDelegationManager,
    IStrategy,
    IStrategyManager,
    OperatorSet
} from "../../../contracts/interfaces/external/IEigenLayer.sol";
import {LocalEigenLayer} from "../../../contracts/local/eigenlayer/LocalEigenLayer.sol";
import {LocalEigenLayerDeployer} from "../../../contracts/local/eigenlayer/LocalEigenLayerDeployer.sol";
import {LocalLido} from "../../../contracts/local/lido/LocalLido.sol";

/// EigenLayer's stand-in with mainnet's delays, stETH and its strategy, and operators with 100 stETH of their own.
abstract contract AVSFixture is Test {
    uint256 internal constant WAD = 1e18;
    uint32 internal constant DEALLOCATION_DELAY = 100_800;
    uint32 internal constant SLASHER_DELAY = 126_000;

    IAllocationManager internal allocationManager;
    IDelegationManager internal delegationManager;
    IStrategyManager internal strategyManager;
    IStrategy internal strategy;
    LocalLido internal lido;

    function _deployEigenLayer() internal {
        vm.roll(1_000_000);
        LocalEigenLayer book = LocalEigenLayerDeployer.deploy(address(this));
        allocationManager = IAllocationManager(address(book.allocationManager()));
        delegationManager = IDelegationManager(address(book.delegationManager()));
        strategyManager = IStrategyManager(address(book.strategyManager()));
        vm.deal(address(this), 1000 ether);
        lido = new LocalLido{value: 1 ether}(address(this));
        strategy = IStrategy(address(book.strategyFactory().deployNewStrategy(IERC20(address(lido)))));
    }

    function _newOperator(string memory label) internal returns (address operator) {
        operator = makeAddr(label);
        vm.deal(operator, 100 ether);
        vm.startPrank(operator);
        delegationManager.registerAsOperator(operator, 0, "");
        lido.submit{value: 100 ether}(address(0));
        lido.approve(address(strategyManager), type(uint256).max);
        strategyManager.depositIntoStrategy(strategy, lido, 100 ether);
        vm.stopPrank();
        // The allocation delay of zero counts from the next block on.
        vm.roll(vm.getBlockNumber() + 1);
    }

    function _register(address operator, address avs, uint32 setId, bytes memory data) internal {
        vm.prank(operator);
        allocationManager.registerForOperatorSets(operator, IAllocationManager.RegisterParams(avs, _ids(setId), data));
    }

    function _deregister(address operator, address avs, uint32 setId) internal {
        vm.prank(operator);
        allocationManager.deregisterFromOperatorSets(IAllocationManager.DeregisterParams(operator, avs, _ids(setId)));
    }

    function _allocate(address operator, address avs, uint32 setId, uint64 magnitude) internal {
        IAllocationManager.AllocateParams[] memory params = new IAllocationManager.AllocateParams[](1);
        params[0].operatorSet = OperatorSet(avs, setId);
        params[0].strategies = _strategies();
        params[0].newMagnitudes = new uint64[](1);
        params[0].newMagnitudes[0] = magnitude;
        vm.prank(operator);
        allocationManager.modifyAllocations(operator, params);
    }

    /// What an operator could still withdraw of his own stake (shares of the strategy).
    function _stakeOf(address operator) internal view returns (uint256) {
        (uint256[] memory withdrawable,) = delegationManager.getWithdrawableShares(operator, _strategies());
        return withdrawable[0];
    }

    function _strategies() internal view returns (IStrategy[] memory list) {
        list = new IStrategy[](1);
        list[0] = strategy;
    }

    function _ids(uint32 id) internal pure returns (uint32[] memory list) {
        list = new uint32[](1);
        list[0] = id;
    }
}
