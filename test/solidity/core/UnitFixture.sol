// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IRiskManager, IRiskTypes, SetTerms, Target, Terms} from "../../../contracts/interfaces/IRiskManager.sol";
import {IStrategy, OperatorSet} from "../../../contracts/interfaces/external/IEigenLayer.sol";
import {RestakingAgent} from "../../../contracts/core/RestakingAgent.sol";
import {LocalAVS} from "../../../contracts/local/avs/LocalAVS.sol";
import {ProtocolFixture} from "./ProtocolFixture.sol";
import {Vm} from "forge-std/Vm.sol";

/// @notice One tier and the small helpers that the unit tests of the core share.
abstract contract UnitFixture is ProtocolFixture {
    uint32 internal constant DELAY = 100_800;
    uint64 internal constant QUARTER = 0.25e18;

    Deployment internal d;
    address internal alice = makeAddr("alice");
    address internal bob = makeAddr("bob");
    address internal mallory = makeAddr("mallory");

    /// @dev A tier whose agents have sets of their own, every set a group.
    function _setUpTier(uint256 agents, uint256 setsPerAgent, uint64 magnitude, uint8 k) internal {
        _deployProtocol();
        Deployment memory x = _createTier("Careful", k);
        _equip(x, agents, setsPerAgent, magnitude, k);
        _keep(x);
    }

    function _keep(Deployment memory x) internal {
        (d.tier, d.senior, d.junior, d.risk, d.stakes) = (x.tier, x.senior, x.junior, x.risk, x.stakes);
        (d.allocator, d.mandate, d.module, d.agents, d.avss) = (x.allocator, x.mandate, x.module, x.agents, x.avss);
    }

    /// @dev 100 ETH of junior, as much senior as it covers, restaked and allocated to four sets an agent.
    function _fund() internal {
        _deposit(d.junior, bob, 100 ether);
        _deposit(d.senior, alice, d.senior.maxDeposit(alice));
        _deployAll(d);
        _allocateAll(d, 4, QUARTER);
        _assertConserved(d);
    }

    function _newAvs(address slasher, uint32 id) internal returns (LocalAVS avs) {
        avs = new LocalAVS(address(this), allocations, "bridge");
        avs.createSet(id, _list(), slasher == address(0) ? address(avs) : slasher);
    }

    function _list() internal view returns (IStrategy[] memory list) {
        list = new IStrategy[](1);
        list[0] = strategy;
    }

    function _set(address avs, uint32 id, address slasher) internal pure returns (SetTerms memory) {
        return SetTerms(OperatorSet(avs, id), 2, slasher, false, 0);
    }

    function _withSet(Terms memory t, SetTerms memory more) internal pure returns (Terms memory) {
        SetTerms[] memory sets = new SetTerms[](t.sets.length + 1);
        for (uint256 i; i < t.sets.length; ++i) {
            sets[i] = t.sets[i];
        }
        sets[t.sets.length] = more;
        t.sets = sets;
        return t;
    }

    /// @dev Cuts an agent's targets to the first `count`.
    function _fewerTargets(Terms memory t, uint256 agent, uint256 count) internal pure returns (Terms memory) {
        Target[] memory targets = new Target[](count);
        for (uint256 i; i < count; ++i) {
            targets[i] = t.agents[agent].targets[i];
        }
        t.agents[agent].targets = targets;
        return t;
    }

    /// @dev Proposes, waits, executes; everybody's sets are looked at again by the final sync.
    function _putInForce(Terms memory t) internal {
        d.mandate.propose(t);
        _skip(45 days / BLOCK);
        d.mandate.execute(t);
    }

    function _request(bool senior, address who, uint256 shares) internal returns (uint256 id) {
        vm.prank(who);
        return (senior ? d.senior : d.junior).requestRedeem(shares, who, who);
    }

    function _utilisation() internal view returns (uint256 u) {
        (u,,,,) = d.tier.status();
    }

    function _idle() internal view returns (uint256 idle) {
        (idle,) = d.tier.cash();
    }

    function _group(uint256 set) internal view returns (uint8) {
        return d.risk.set(set).group;
    }

    function _link(uint256 agent, uint256 at) internal view returns (IRiskTypes.Link memory x) {
        (, x) = d.risk.link(agent, at);
    }

    function _unauthorised(address who) internal pure returns (bytes memory) {
        return abi.encodeWithSignature("AccessManagedUnauthorized(address)", who);
    }

    /// @dev What the sync's SlashAttributed events say of one set.
    function _attributed(Vm.Log[] memory logs, uint256 set)
        internal
        pure
        returns (uint256 taken, uint256 value, bool estimated)
    {
        for (uint256 i; i < logs.length; ++i) {
            if (logs[i].topics[0] != IRiskTypes.SlashAttributed.selector) continue;
            if (uint256(logs[i].topics[3]) != set) continue;
            (, uint256 t, uint256 v, bool e) = abi.decode(logs[i].data, (uint8, uint256, uint256, bool));
            taken += t;
            value += v;
            estimated = estimated || e;
        }
    }

    function _syncLogs() internal returns (Vm.Log[] memory) {
        vm.recordLogs();
        d.tier.sync();
        return vm.getRecordedLogs();
    }

    function _account(uint256 agent) internal view returns (RestakingAgent) {
        return RestakingAgent(d.risk.agent(agent).account);
    }

    function _exposures() internal view returns (IRiskManager.Exposures memory) {
        return d.risk.exposures(false);
    }
}
