// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";

import {IAllocationManager, OperatorSet} from "../../../contracts/interfaces/external/IEigenLayer.sol";
import {LocalAVS} from "../../../contracts/local/avs/LocalAVS.sol";
import {LocalAllocationManager} from "../../../contracts/local/eigenlayer/LocalAllocationManager.sol";
import {AVSFixture} from "./AVSFixture.sol";

contract LocalAVSTest is AVSFixture {
    LocalAVS private avs;
    address private operator;
    address private slasher = makeAddr("slasher");

    function setUp() public {
        _deployEigenLayer();
        avs = new LocalAVS(address(this), allocationManager, "data availability");
        avs.createSet(1, _strategies(), address(avs));
        operator = _newOperator("operator");
    }

    function test_itsOwnerSlashesItsSets() public {
        _enter(1, 0.4e18);
        avs.slash(operator, 1, strategy, 0.5e18, "double signing");
        assertEq(allocationManager.getMaxMagnitude(operator, strategy), 0.8e18);
        vm.prank(slasher);
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, slasher));
        avs.slash(operator, 1, strategy, 0.5e18, "");
    }

    /// Three sets, three slashers: itself, a key, and another AVS. Each may slash its own set only.
    function test_setsMayHaveDifferentSlashers() public {
        LocalAVS other = new LocalAVS(address(this), allocationManager, "bridge");
        avs.createSet(2, _strategies(), slasher);
        avs.createSet(3, _strategies(), address(other));
        for (uint32 id = 1; id <= 3; ++id) {
            _enter(id, 0.1e18);
        }
        avs.slash(operator, 1, strategy, WAD, "");
        other.slashFor(address(avs), operator, 3, strategy, WAD, "");
        assertEq(allocationManager.getMaxMagnitude(operator, strategy), 0.8e18);
        vm.expectRevert(LocalAllocationManager.InvalidCaller.selector);
        avs.slash(operator, 2, strategy, WAD, "");
        vm.expectRevert(LocalAllocationManager.InvalidCaller.selector);
        other.slashFor(address(avs), operator, 1, strategy, WAD, "");
        vm.prank(slasher);
        allocationManager.slashOperator(address(avs), _slashing(2));
        assertEq(allocationManager.getMaxMagnitude(operator, strategy), 0.7e18);
    }

    /// A proposed slasher is seen at once and has power after the delay.
    function test_aNewSlasherHasPowerAfterTheDelay() public {
        _enter(1, 0.1e18);
        avs.updateSlasher(1, slasher);
        OperatorSet memory set = OperatorSet(address(avs), 1);
        (address pending, uint32 effectBlock) = allocationManager.getPendingSlasher(set);
        assertEq(pending, slasher);
        assertEq(allocationManager.getSlasher(set), address(avs));
        vm.roll(effectBlock - 1);
        assertEq(allocationManager.getSlasher(set), address(avs));
        vm.roll(effectBlock);
        assertEq(allocationManager.getSlasher(set), slasher);
        vm.expectRevert(LocalAllocationManager.InvalidCaller.selector);
        avs.slash(operator, 1, strategy, WAD, "");
    }

    function test_aRedistributingSetPaysItsRecipient() public {
        address recipient = makeAddr("recipient");
        avs.createRedistributingSet(7, _strategies(), address(avs), recipient);
        OperatorSet memory set = OperatorSet(address(avs), 7);
        assertTrue(allocationManager.isRedistributingOperatorSet(set));
        _enter(7, 0.5e18);
        uint256 slashId = avs.slash(operator, 7, strategy, WAD, "");
        strategyManager.clearBurnOrRedistributableShares(set, slashId);
        assertApproxEqAbs(lido.balanceOf(recipient), 50 ether, 1000);
    }

    function test_aRefusingRegistrarLetsNobodyInNorOut() public {
        avs.setBehaviour(LocalAVS.Behaviour.Refuse, LocalAVS.Behaviour.Accept);
        vm.expectRevert(abi.encodeWithSelector(LocalAVS.Refused.selector, operator));
        _register(operator, address(avs), 1, "");
        avs.setBehaviour(LocalAVS.Behaviour.Accept, LocalAVS.Behaviour.Refuse);
        _register(operator, address(avs), 1, "");
        vm.expectRevert(abi.encodeWithSelector(LocalAVS.Refused.selector, operator));
        _deregister(operator, address(avs), 1);
        assertTrue(allocationManager.isMemberOfOperatorSet(operator, OperatorSet(address(avs), 1)));
    }

    /// Burning all gas fails the call and leaves the caller its 1/64.
    function test_aRegistrarThatBurnsAllGasFailsTheCallOnly() public {
        _enter(1, 0);
        avs.setBehaviour(LocalAVS.Behaviour.Accept, LocalAVS.Behaviour.BurnAllGas);
        uint256 before = gasleft();
        vm.prank(operator);
        (bool left,) = address(allocationManager).call{gas: 2_000_000}(
            abi.encodeCall(
                IAllocationManager.deregisterFromOperatorSets,
                (IAllocationManager.DeregisterParams(operator, address(avs), _ids(1)))
            )
        );
        assertFalse(left);
        assertGt(before - gasleft(), 1_900_000);
        assertTrue(allocationManager.isMemberOfOperatorSet(operator, OperatorSet(address(avs), 1)));
    }

    /// A registrar may slash while the operator comes or leaves.
    function test_aRegistrarMaySlashInsideItsCallback() public {
        _enter(1, 0.3e18);
        avs.setCallbackSlash(1, strategy, WAD);
        avs.setBehaviour(LocalAVS.Behaviour.Accept, LocalAVS.Behaviour.Slash);
        _deregister(operator, address(avs), 1);
        assertEq(allocationManager.getMaxMagnitude(operator, strategy), 0.7e18);

        avs.createSet(2, _strategies(), address(avs));
        _allocate(operator, address(avs), 2, 0.2e18);
        avs.setCallbackSlash(2, strategy, WAD);
        avs.setBehaviour(LocalAVS.Behaviour.Slash, LocalAVS.Behaviour.Accept);
        _register(operator, address(avs), 2, "");
        assertEq(allocationManager.getMaxMagnitude(operator, strategy), 0.5e18);
    }

    /// A registrar may call anybody inside its callback; what came of it is kept.
    function test_aRegistrarMayCallOutInsideItsCallback() public {
        avs.setCallbackCall(address(this), abi.encodeCall(this.reached, (7)));
        avs.setBehaviour(LocalAVS.Behaviour.Call, LocalAVS.Behaviour.Call);
        _register(operator, address(avs), 1, "");
        assertTrue(avs.lastCallSucceeded());
        assertEq(avs.lastCallResult(), abi.encode(8));
        avs.setCallbackCall(
            address(avs), abi.encodeCall(avs.setBehaviour, (LocalAVS.Behaviour(0), LocalAVS.Behaviour(0)))
        );
        _deregister(operator, address(avs), 1);
        assertFalse(avs.lastCallSucceeded());
    }

    function test_itMayEjectAnOperator() public {
        _enter(1, 0);
        avs.eject(operator, _ids(1));
        assertFalse(allocationManager.isMemberOfOperatorSet(operator, OperatorSet(address(avs), 1)));
    }

    function test_onlyEigenLayerAsksTheRegistrar() public {
        vm.expectRevert(abi.encodeWithSelector(LocalAVS.OnlyAllocationManager.selector, address(this)));
        avs.registerOperator(operator, address(avs), _ids(1), "");
        vm.expectRevert(abi.encodeWithSelector(LocalAVS.OnlyAllocationManager.selector, address(this)));
        avs.deregisterOperator(operator, address(avs), _ids(1));
    }

    function reached(uint256 value) external pure returns (uint256) {
        return value + 1;
    }

    function _enter(uint32 setId, uint64 magnitude) private {
        _register(operator, address(avs), setId, "");
        if (magnitude > 0) _allocate(operator, address(avs), setId, magnitude);
    }

    function _slashing(uint32 setId) private view returns (IAllocationManager.SlashingParams memory params) {
        params.operator = operator;
        params.operatorSetId = setId;
        params.strategies = _strategies();
        params.wadsToSlash = new uint256[](1);
        params.wadsToSlash[0] = WAD;
    }
}
