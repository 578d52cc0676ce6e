// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {
    IAllocationManager,
    IPermissionController,
    IStrategy,
    OperatorSet
} from "../../../contracts/interfaces/external/IEigenLayer.sol";

// Bulkhead is written for EigenLayer v1.12; the bytecode that a package registry carries is release 1.4. These contracts
// stand between a proxy and its real implementation and add what came later, as far as that can be done honestly:
// everything that 1.4 knows is executed by the real code, in the proxy's storage and with the caller's identity.
// For tests only.

/// @dev What release 1.4 has and v1.12 no longer has, as far as the shims use it.
interface IReleaseFour {
    struct CreateSetParams {
        uint32 operatorSetId;
        IStrategy[] strategies;
    }

    function createOperatorSets(address avs, CreateSetParams[] calldata params) external;
    function burnShares(IStrategy strategy) external;
    function getBurnableShares(IStrategy strategy) external view returns (uint256);
    function isOperatorSet(OperatorSet calldata operatorSet) external view returns (bool);
}

/// @title Passes every unknown call to the real implementation
/// @dev Immutables of the implementation live in its code and stay right under delegatecall.
abstract contract Shim {
    /// @notice The real implementation.
    address public immutable REAL;

    constructor(address real) {
        REAL = real;
    }

    fallback() external {
        bytes memory result = _real(msg.data);
        assembly ("memory-safe") {
            return(add(result, 32), mload(result))
        }
    }

    /// @dev Runs `data` in the real code; its revert is passed on unchanged.
    function _real(bytes memory data) internal returns (bytes memory) {
        (bool ok, bytes memory result) = REAL.delegatecall(data);
        if (!ok) _revert(result);
        return result;
    }

    function _revert(bytes memory reason) internal pure {
        assembly ("memory-safe") {
            revert(add(reason, 32), mload(reason))
        }
    }
}

/// @title AllocationManager 1.4 with the slashers, slash ids and returns of v1.12
/// @notice Added: a slasher per operator set with its delayed change, `getSlashCount`, the return values of
/// `slashOperator`, an allocation delay that is effective at once when an operator registers. Not added:
/// redistribution, because 1.4 can only burn.
contract AllocationManagerShim is Shim {
    struct Slasher {
        address current;
        address pending;
        uint32 effectBlock;
    }

    /// @custom:storage-location erc7201:bulkhead.test.AllocationManagerShim
    struct State {
        mapping(bytes32 set => Slasher) slashers;
        mapping(bytes32 set => uint256) slashCount;
        mapping(bytes32 set => mapping(uint256 slashId => IStrategy[])) slashedStrategies;
        bytes32 slashing;
    }

    bytes32 private constant STATE =
        keccak256(abi.encode(uint256(keccak256("bulkhead.test.AllocationManagerShim")) - 1)) & ~bytes32(uint256(0xff));
    /// @dev Where release 1.4 keeps {uint32 delay; bool isSet; uint32 pendingDelay; uint32 effectBlock} of an operator,
    /// found by looking at the storage of the deployed bytecode.
    uint256 private constant ALLOCATION_DELAY_SLOT = 155;
    uint256 private constant EFFECT_BLOCK_OFFSET = 72;

    address public immutable DELEGATION_MANAGER;
    IReleaseFour public immutable STRATEGY_MANAGER;
    IPermissionController public immutable PERMISSION_CONTROLLER;
    uint32 public immutable SLASHER_CONFIGURATION_DELAY;

    event SlasherUpdated(OperatorSet operatorSet, address slasher, uint32 effectBlock);

    error InvalidCaller();
    error InvalidPermissions();
    error OperatorNotSlashable();
    error InvalidOperatorSet();
    error InputAddressZero();
    error SlasherNotSet();

    constructor(
        address real,
        address delegationManager,
        address strategyManager,
        address permissionController,
        uint32 slasherConfigurationDelay
    ) Shim(real) {
        DELEGATION_MANAGER = delegationManager;
        STRATEGY_MANAGER = IReleaseFour(strategyManager);
        PERMISSION_CONTROLLER = IPermissionController(permissionController);
        SLASHER_CONFIGURATION_DELAY = slasherConfigurationDelay;
    }

    /// @notice The delay of an operator that registers counts at once; a later change waits as it always did.
    function setAllocationDelay(address, uint32) external {
        _real(msg.data);
        if (msg.sender != DELEGATION_MANAGER) return; // only a registration comes from there
        (address operator,) = abi.decode(msg.data[4:], (address, uint32));
        bytes32 slot = keccak256(abi.encode(operator, ALLOCATION_DELAY_SLOT));
        assembly ("memory-safe") {
            let info := and(sload(slot), not(shl(EFFECT_BLOCK_OFFSET, 0xffffffff)))
            sstore(slot, or(info, shl(EFFECT_BLOCK_OFFSET, number())))
        }
    }

    /// @notice The form of v1.12: each set has its slasher from the start.
    function createOperatorSets(address avs, IAllocationManager.CreateSetParamsV2[] calldata params) external {
        IReleaseFour.CreateSetParams[] memory one = new IReleaseFour.CreateSetParams[](1);
        for (uint256 i; i < params.length; ++i) {
            require(params[i].slasher != address(0), InputAddressZero());
            one[0] = IReleaseFour.CreateSetParams(params[i].operatorSetId, params[i].strategies);
            _real(abi.encodeCall(IReleaseFour.createOperatorSets, (avs, one)));
            OperatorSet memory set = OperatorSet(avs, params[i].operatorSetId);
            _state().slashers[_key(set)].current = params[i].slasher;
            emit SlasherUpdated(set, params[i].slasher, uint32(block.number));
        }
    }

    /// @notice The AVS (or its appointee) names another slasher, who takes over after the delay.
    function updateSlasher(OperatorSet memory operatorSet, address slasher) external {
        bool allowed = PERMISSION_CONTROLLER.canCall(operatorSet.avs, msg.sender, address(this), msg.sig);
        require(allowed, InvalidPermissions());
        require(IReleaseFour(address(this)).isOperatorSet(operatorSet), InvalidOperatorSet());
        require(slasher != address(0), InputAddressZero());
        address current = getSlasher(operatorSet);
        require(current != address(0), SlasherNotSet());
        if (block.number < _state().slashers[_key(operatorSet)].effectBlock) {
            if (_state().slashers[_key(operatorSet)].pending == slasher) return; // announced already
        }
        uint32 effectBlock = uint32(block.number) + SLASHER_CONFIGURATION_DELAY + 1;
        _state().slashers[_key(operatorSet)] = Slasher(current, slasher, effectBlock);
        emit SlasherUpdated(operatorSet, slasher, effectBlock);
    }

    /// @notice Only the set's slasher slashes; returns the slash's id within the set and the shares it took.
    function slashOperator(address avs, IAllocationManager.SlashingParams memory params)
        external
        returns (uint256 slashId, uint256[] memory shares)
    {
        OperatorSet memory set = OperatorSet(avs, params.operatorSetId);
        require(IReleaseFour(address(this)).isOperatorSet(set), InvalidOperatorSet());
        require(IAllocationManager(address(this)).isOperatorSlashable(params.operator, set), OperatorNotSlashable());
        require(msg.sender == getSlasher(set), InvalidCaller());
        uint256 n = params.strategies.length;
        shares = new uint256[](n);
        uint64[] memory before = new uint64[](n);
        for (uint256 i; i < n; ++i) {
            shares[i] = STRATEGY_MANAGER.getBurnableShares(params.strategies[i]);
            before[i] = IAllocationManager(address(this)).getMaxMagnitude(params.operator, params.strategies[i]);
        }
        _state().slashing = keccak256(abi.encode(avs, msg.sender));
        _real(msg.data);
        _state().slashing = 0;
        bytes32 key = _key(set);
        slashId = ++_state().slashCount[key];
        IStrategy[] storage slashed = _state().slashedStrategies[key][slashId];
        for (uint256 i; i < n; ++i) {
            shares[i] = STRATEGY_MANAGER.getBurnableShares(params.strategies[i]) - shares[i];
            uint64 left = IAllocationManager(address(this)).getMaxMagnitude(params.operator, params.strategies[i]);
            if (left != before[i]) slashed.push(params.strategies[i]); // nothing was allocated in the others
        }
    }

    function getSlasher(OperatorSet memory operatorSet) public view returns (address) {
        Slasher storage s = _state().slashers[_key(operatorSet)];
        return s.effectBlock != 0 && block.number >= s.effectBlock ? s.pending : s.current;
    }

    function getPendingSlasher(OperatorSet memory operatorSet) external view returns (address, uint32) {
        Slasher storage s = _state().slashers[_key(operatorSet)];
        return block.number >= s.effectBlock ? (address(0), uint32(0)) : (s.pending, s.effectBlock);
    }

    function getSlashCount(OperatorSet memory operatorSet) external view returns (uint256) {
        return _state().slashCount[_key(operatorSet)];
    }

    /// @notice Always false: release 1.4 burns.
    function isRedistributingOperatorSet(OperatorSet calldata) external pure returns (bool) {
        return false;
    }

    /// @notice Whether `caller`, as slasher of a set of `avs`, is slashing right now (asked by PermissionControllerShim).
    function isSlashing(address avs, address caller) external view returns (bool) {
        return _state().slashing == keccak256(abi.encode(avs, caller));
    }

    /// @notice Strategies of a slash (asked by StrategyManagerShim).
    function slashedStrategies(OperatorSet memory operatorSet, uint256 slashId)
        external
        view
        returns (IStrategy[] memory)
    {
        return _state().slashedStrategies[_key(operatorSet)][slashId];
    }

    function _key(OperatorSet memory operatorSet) private pure returns (bytes32) {
        return keccak256(abi.encode(operatorSet));
    }

    function _state() private pure returns (State storage s) {
        bytes32 slot = STATE;
        assembly ("memory-safe") {
            s.slot := slot
        }
    }
}

/// @title PermissionController 1.4 that knows the slashers of AllocationManagerShim
/// @dev The real slashOperator asks whether the caller may act for the AVS; in v1.12 the slasher may, appointed or not.
contract PermissionControllerShim is Shim {
    AllocationManagerShim public immutable ALLOCATION_MANAGER;

    constructor(address real, address allocationManager) Shim(real) {
        ALLOCATION_MANAGER = AllocationManagerShim(payable(allocationManager));
    }

    function canCall(address account, address caller, address target, bytes4 selector) external returns (bool) {
        bool slashing = target == address(ALLOCATION_MANAGER) && selector == IAllocationManager.slashOperator.selector;
        if (slashing && ALLOCATION_MANAGER.isSlashing(account, caller)) return true;
        return abi.decode(_real(msg.data), (bool));
    }
}

/// @title StrategyManager 1.4 with the call of v1.12 that settles one slash
/// @dev Release 1.4 keeps what all slashes took in one pot per strategy: settling one slash burns the pots of its
/// strategies whole. The return value is what left each strategy, in tokens.
contract StrategyManagerShim is Shim {
    AllocationManagerShim public immutable ALLOCATION_MANAGER;

    constructor(address real, address allocationManager) Shim(real) {
        ALLOCATION_MANAGER = AllocationManagerShim(payable(allocationManager));
    }

    function clearBurnOrRedistributableShares(OperatorSet calldata operatorSet, uint256 slashId)
        external
        returns (uint256[] memory burned)
    {
        IStrategy[] memory strategies = ALLOCATION_MANAGER.slashedStrategies(operatorSet, slashId);
        burned = new uint256[](strategies.length);
        for (uint256 i; i < strategies.length; ++i) {
            IERC20 token = strategies[i].underlyingToken();
            uint256 balance = token.balanceOf(address(strategies[i]));
            _real(abi.encodeCall(IReleaseFour.burnShares, (strategies[i])));
            burned[i] = balance - token.balanceOf(address(strategies[i]));
        }
    }
}
