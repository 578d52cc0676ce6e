// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IAllocationManager, IStrategy, OperatorSet} from "../../../contracts/interfaces/external/IEigenLayer.sol";
import {ITier} from "../../../contracts/interfaces/ITier.sol";
import {Upkeep} from "../../../contracts/periphery/upkeep/Upkeep.sol";
import {UpkeepCalls} from "../../../contracts/periphery/upkeep/UpkeepCalls.sol";
import {UpkeepLens} from "../../../contracts/periphery/upkeep/UpkeepLens.sol";
import {UnitFixture} from "../core/UnitFixture.sol";

/// @notice A funded tier of four agents with four sets each, and the keeper's contracts.
abstract contract UpkeepFixture is UnitFixture {
    UpkeepLens internal eye;
    Upkeep internal upkeep;

    error Answered();

    function setUp() public virtual {
        _setUpTier(4, 4, QUARTER, 2);
        _fund();
        eye = new UpkeepLens(factory, allocations);
        upkeep = new Upkeep(factory, allocations);
    }

    /// @dev As `eth_call` does: answers, and leaves nothing.
    function _ask(address target, bytes memory data) internal returns (bytes memory) {
        try this.answerAndRevert(target, data) {}
        catch (bytes memory answer) {
            (bool success, bytes memory what) = abi.decode(answer, (bool, bytes));
            if (success) return what;
            assembly {
                revert(add(what, 0x20), mload(what))
            }
        }
        revert Answered();
    }

    function answerAndRevert(address target, bytes calldata data) external {
        (bool success, bytes memory what) = target.call(data);
        bytes memory answer = abi.encode(success, what);
        assembly {
            revert(add(answer, 0x20), mload(answer))
        }
    }

    function _pulse() internal returns (UpkeepLens.Pulse memory) {
        ITier[] memory list = new ITier[](1);
        list[0] = d.tier;
        return abi.decode(_ask(address(eye), abi.encodeCall(eye.pulse, (list))), (UpkeepLens.Pulse[]))[0];
    }

    function _observe() internal returns (UpkeepLens.State memory) {
        return abi.decode(_ask(address(eye), abi.encodeCall(eye.observe, (d.tier))), (UpkeepLens.State));
    }

    function _call(address target, bytes memory data) internal pure returns (UpkeepCalls.Call memory) {
        return UpkeepCalls.Call(target, 0, data);
    }

    function _unwinding(uint256 agent, uint256 link) internal view returns (UpkeepCalls.Call memory) {
        return _call(address(d.allocator), abi.encodeCall(d.allocator.unwind, (agent, link)));
    }

    function _simulate(UpkeepCalls.Call[] memory calls) internal returns (UpkeepCalls.Result[] memory) {
        return abi.decode(_ask(address(upkeep), abi.encodeCall(upkeep.simulate, (calls))), (UpkeepCalls.Result[]));
    }

    /// @dev What EigenLayer says of an agent's allocation.
    function _allocation(uint256 agent, uint256 set) internal view returns (IAllocationManager.Allocation memory) {
        return allocations.getAllocation(address(d.agents[agent]), OperatorSet(address(d.avss[set]), 1), strategy);
    }

    function _strategies(uint256 count) internal pure returns (IStrategy[] memory list) {
        list = new IStrategy[](count);
        for (uint256 i; i < count; ++i) {
            list[i] = IStrategy(address(uint160(0x1000 + i)));
        }
    }
}
