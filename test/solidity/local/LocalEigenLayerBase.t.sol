// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Test} from "forge-std/Test.sol";

import {
    IAllocationManager,
    IDelegationManager,
    IStrategy,
    OperatorSet
} from "../../../contracts/interfaces/external/IEigenLayer.sol";
import {LocalAVS} from "../../../contracts/local/avs/LocalAVS.sol";
import {LocalAllocationManager} from "../../../contracts/local/eigenlayer/LocalAllocationManager.sol";
import {LocalDelegationManager} from "../../../contracts/local/eigenlayer/LocalDelegationManager.sol";
import {LocalEigenLayer} from "../../../contracts/local/eigenlayer/LocalEigenLayer.sol";
import {LocalEigenLayerDeployer} from "../../../contracts/local/eigenlayer/LocalEigenLayerDeployer.sol";
import {LocalPermissionController} from "../../../contracts/local/eigenlayer/LocalPermissionController.sol";
import {LocalRewardsCoordinator} from "../../../contracts/local/eigenlayer/LocalRewardsCoordinator.sol";
import {LocalStrategyManager} from "../../../contracts/local/eigenlayer/LocalStrategyManager.sol";

contract StakeToken is ERC20("Stake", "STK") {
    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }
}

/// One operator that stakes for itself, one AVS with two sets and their own slashers, on a chain of 1,000,000 blocks.
abstract contract LocalEigenLayerBase is Test {
    uint256 internal constant WAD = 1e18;
    uint32 internal constant WITHDRAWAL_DELAY = 100_800;
    uint32 internal constant DEALLOCATION_DELAY = 100_800;
    uint32 internal constant CONFIGURATION_DELAY = 126_000;

    LocalEigenLayer internal core;
    LocalAllocationManager internal am;
    LocalDelegationManager internal dm;
    LocalStrategyManager internal sm;
    LocalPermissionController internal pc;
    LocalRewardsCoordinator internal rc;
    LocalAVS internal avs;
    StakeToken internal token;
    IStrategy internal strategy;
    IStrategy internal otherStrategy;

    address internal owner = makeAddr("owner");
    address internal operator = makeAddr("operator");
    address internal outsider = makeAddr("outsider");
    address internal slasher1 = makeAddr("slasher of set 1");
    address internal slasher2 = makeAddr("slasher of set 2");

    function setUp() public virtual {
        vm.roll(1_000_000);
        vm.warp(1_800_000_000);
        core = LocalEigenLayerDeployer.deploy(owner);
        am = core.allocationManager();
        dm = core.delegationManager();
        sm = core.strategyManager();
        pc = core.permissionController();
        rc = core.rewardsCoordinator();

        token = new StakeToken();
        strategy = core.strategyFactory().deployNewStrategy(token);
        do {
            otherStrategy = core.strategyFactory().deployNewStrategy(new StakeToken());
        } while (otherStrategy < strategy);

        avs = new LocalAVS(address(this), am, "test");
        IStrategy[] memory both = new IStrategy[](2);
        (both[0], both[1]) = (strategy, otherStrategy);
        avs.createSet(1, both, slasher1);
        avs.createSet(2, both, slasher2);

        _registerOperator(operator);
    }

    function _registerOperator(address who) internal {
        vm.prank(who);
        dm.registerAsOperator(who, 0, "");
    }

    function _deposit(address who, uint256 amount) internal returns (uint256 shares) {
        token.mint(who, amount);
        vm.startPrank(who);
        token.approve(address(sm), amount);
        shares = sm.depositIntoStrategy(strategy, token, amount);
        vm.stopPrank();
    }

    function _set(uint32 id) internal view returns (OperatorSet memory) {
        return OperatorSet(address(avs), id);
    }

    function _list(IStrategy one) internal pure returns (IStrategy[] memory list) {
        list = new IStrategy[](1);
        list[0] = one;
    }

    function _list(uint256 one) internal pure returns (uint256[] memory list) {
        list = new uint256[](1);
        list[0] = one;
    }

    function _ids(uint32 one) internal pure returns (uint32[] memory list) {
        list = new uint32[](1);
        list[0] = one;
    }

    function _allocation(uint32 id, uint64 magnitude)
        internal
        view
        returns (IAllocationManager.AllocateParams[] memory params)
    {
        uint64[] memory magnitudes = new uint64[](1);
        magnitudes[0] = magnitude;
        params = new IAllocationManager.AllocateParams[](1);
        params[0] = IAllocationManager.AllocateParams(_set(id), _list(strategy), magnitudes);
    }

    function _allocate(uint32 id, uint64 magnitude) internal {
        IAllocationManager.AllocateParams[] memory params = _allocation(id, magnitude);
        vm.prank(operator);
        am.modifyAllocations(operator, params);
    }

    function _join(uint32 id) internal {
        vm.prank(operator);
        am.registerForOperatorSets(operator, IAllocationManager.RegisterParams(address(avs), _ids(id), ""));
    }

    function _leave(uint32 id) internal {
        vm.prank(operator);
        am.deregisterFromOperatorSets(IAllocationManager.DeregisterParams(operator, address(avs), _ids(id)));
    }

    function _slashing(uint32 id, uint256 wad) internal view returns (IAllocationManager.SlashingParams memory) {
        return IAllocationManager.SlashingParams(operator, id, _list(strategy), _list(wad), "why");
    }

    function _slash(uint32 id, uint256 wad) internal returns (uint256 slashId, uint256 shares) {
        IAllocationManager.SlashingParams memory params = _slashing(id, wad);
        uint256[] memory taken;
        vm.prank(am.getSlasher(_set(id)));
        (slashId, taken) = am.slashOperator(address(avs), params);
        shares = taken[0];
    }

    /// Queues deposit shares of the operator and returns the withdrawal as the queue lists it.
    function _queue(uint256 depositShares) internal returns (IDelegationManager.Withdrawal memory withdrawal) {
        IDelegationManager.QueuedWithdrawalParams[] memory params = new IDelegationManager.QueuedWithdrawalParams[](1);
        params[0] = IDelegationManager.QueuedWithdrawalParams(_list(strategy), _list(depositShares), address(0));
        vm.prank(operator);
        bytes32 root = dm.queueWithdrawals(params)[0];
        (withdrawal,) = dm.getQueuedWithdrawal(root);
    }

    function _complete(IDelegationManager.Withdrawal memory withdrawal, bool asTokens) internal {
        IERC20[] memory tokens = new IERC20[](1);
        tokens[0] = token;
        vm.prank(withdrawal.withdrawer);
        dm.completeQueuedWithdrawal(withdrawal, tokens, asTokens);
    }

    function _withdrawable(address who) internal view returns (uint256) {
        (uint256[] memory withdrawable,) = dm.getWithdrawableShares(who, _list(strategy));
        return withdrawable[0];
    }

    function _current(uint32 id) internal view returns (uint64) {
        return am.getAllocation(operator, _set(id), strategy).currentMagnitude;
    }

    function _maxMagnitudeAt(uint256 blockNumber) internal view returns (uint64) {
        return am.getMaxMagnitudesAtBlock(operator, _list(strategy), uint32(blockNumber))[0];
    }
}
