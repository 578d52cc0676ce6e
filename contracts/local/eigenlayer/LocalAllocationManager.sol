// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {Checkpoints} from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";
import {DoubleEndedQueue} from "@openzeppelin/contracts/utils/structs/DoubleEndedQueue.sol";
import {EnumerableSet} from "@openzeppelin/contracts/utils/structs/EnumerableSet.sol";
import {IAVSRegistrar} from "../../avs/IAVSRegistrar.sol";
import {IAllocationManager, IStrategy, OperatorSet} from "../../interfaces/external/IEigenLayer.sol";
import {LocalDelegationManager} from "./LocalDelegationManager.sol";
import {LocalEigenLayer} from "./LocalEigenLayer.sol";
import {LocalModule} from "./LocalModule.sol";

/// @title Local stand-in of EigenLayer's AllocationManager
/// @notice Operator sets with their slashers, allocations of magnitude, and slashing (ELIP-002, ELIP-004, ELIP-006).
/// @dev Magnitudes are WAD. What is allocated to one set is out of reach of all others, and max magnitude falls by what
/// a slash takes; so an operator's sets can together take no more than what it allocated.
contract LocalAllocationManager is LocalModule, IAllocationManager {
    using Checkpoints for Checkpoints.Trace224;
    using DoubleEndedQueue for DoubleEndedQueue.Bytes32Deque;
    using EnumerableSet for EnumerableSet.AddressSet;
    using EnumerableSet for EnumerableSet.Bytes32Set;

    /// @dev A set's slasher, and the one who follows him from block `effect` on.
    struct SlasherState {
        address current;
        address next;
        uint32 effect;
    }

    /// @dev An operator's allocation delay, and the one that follows from block `effect` on.
    struct DelayState {
        uint32 current;
        uint32 next;
        uint32 effect;
        bool isSet;
    }

    struct Membership {
        bool registered;
        uint32 slashableUntil;
    }

    /// @dev Pause bit of changing allocations and clearing the queue.
    uint8 private constant PAUSED_MODIFY_ALLOCATIONS = 0;
    /// @dev Pause bit of slashing.
    uint8 private constant PAUSED_OPERATOR_SLASHING = 1;
    /// @dev Pause bit of joining and leaving sets.
    uint8 private constant PAUSED_REGISTRATION = 2;

    // Operator sets. A key is avs << 96 | id.
    mapping(address avs => bool) private _hasMetadata;
    mapping(address avs => address) private _registrar;
    mapping(address avs => uint256) private _setCount;
    mapping(bytes32 key => bool) private _exists;
    mapping(bytes32 key => EnumerableSet.AddressSet) private _strategies;
    mapping(bytes32 key => EnumerableSet.AddressSet) private _members;
    mapping(bytes32 key => SlasherState) private _slashers;
    mapping(bytes32 key => address) private _recipients;
    mapping(bytes32 key => uint256) private _slashCounts;

    // Operators.
    mapping(address operator => DelayState) private _allocationDelays;
    mapping(address operator => mapping(bytes32 key => Membership)) private _memberships;
    mapping(address operator => EnumerableSet.Bytes32Set) private _registeredSets;
    mapping(address operator => EnumerableSet.Bytes32Set) private _allocatedSets;
    mapping(address operator => mapping(bytes32 key => EnumerableSet.AddressSet)) private _allocatedStrategies;
    mapping(address operator => mapping(bytes32 key => mapping(IStrategy strategy => Allocation))) private _allocations;
    mapping(address operator => mapping(IStrategy strategy => uint64)) private _encumbered;
    /// @dev What slashes took of WAD, by block: nothing before the first.
    mapping(address operator => mapping(IStrategy strategy => Checkpoints.Trace224)) private _lost;
    /// @dev Sets with a pending decrease, in the order in which it ends.
    mapping(address operator => mapping(IStrategy strategy => DoubleEndedQueue.Bytes32Deque)) private _decreasing;

    /// @notice `avs` says where its description is.
    event AVSMetadataURIUpdated(address indexed avs, string metadataURI);
    /// @notice `registrar` is asked when operators join or leave sets of `avs`.
    event AVSRegistrarSet(address avs, address registrar);
    /// @notice The allocation delay of `operator` will be `delay` from block `effectBlock` on.
    event AllocationDelaySet(address operator, uint32 delay, uint32 effectBlock);
    /// @notice The allocation will be `magnitude` from block `effectBlock` on.
    event AllocationUpdated(
        address operator, OperatorSet operatorSet, IStrategy strategy, uint64 magnitude, uint32 effectBlock
    );
    /// @notice All that `operator` has allocated, pending decreases included.
    event EncumberedMagnitudeUpdated(address operator, IStrategy strategy, uint64 encumberedMagnitude);
    /// @notice A slash lowered the max magnitude.
    event MaxMagnitudeUpdated(address operator, IStrategy strategy, uint64 maxMagnitude);
    /// @notice The set exists.
    event OperatorSetCreated(OperatorSet operatorSet);
    /// @notice What slashes of the set take goes to `redistributionRecipient`.
    event RedistributionAddressSet(OperatorSet operatorSet, address redistributionRecipient);
    /// @notice The slasher of the set will be `slasher` from block `effectBlock` on.
    event SlasherUpdated(OperatorSet operatorSet, address slasher, uint32 effectBlock);
    /// @notice The set may slash allocations in `strategy`.
    event StrategyAddedToOperatorSet(OperatorSet operatorSet, IStrategy strategy);
    /// @notice The set may no longer slash allocations in `strategy`.
    event StrategyRemovedFromOperatorSet(OperatorSet operatorSet, IStrategy strategy);
    /// @notice `operator` joined the set.
    event OperatorAddedToOperatorSet(address indexed operator, OperatorSet operatorSet);
    /// @notice `operator` left the set; it stays slashable for the deallocation delay.
    event OperatorRemovedFromOperatorSet(address indexed operator, OperatorSet operatorSet);
    /// @notice `operator` was slashed.
    /// @param wadSlashed Per strategy, the part of all stake of the operator that the slash took (WAD).
    event OperatorSlashed(
        address operator, OperatorSet operatorSet, IStrategy[] strategies, uint256[] wadSlashed, string description
    );

    /// @notice The caller is not the slasher, or has no right.
    error InvalidCaller();
    /// @notice Not an operator.
    error InvalidOperator();
    /// @notice The set does not exist, or exists already.
    error InvalidOperatorSet();
    /// @notice The AVS has no metadata.
    error NonexistentAVSMetadata();
    /// @notice The registrar does not answer for this AVS.
    error InvalidAVSRegistrar();
    /// @notice Neither zero nor the burn address.
    error InvalidRedistributionRecipient();
    /// @notice A zero address.
    error InputAddressZero();
    /// @notice Arrays of different lengths.
    error InputArrayLengthMismatch();
    /// @notice The operator has no allocation delay.
    error UninitializedAllocationDelay();
    /// @notice A change of this allocation is pending.
    error ModificationAlreadyPending();
    /// @notice The allocation has that magnitude already.
    error SameMagnitude();
    /// @notice More than the operator has left.
    error InsufficientMagnitude();
    /// @notice A member already, or still slashable from the last time.
    error AlreadyMemberOfSet();
    /// @notice Not a member.
    error NotMemberOfSet();
    /// @notice The set cannot slash this operator now.
    error OperatorNotSlashable();
    /// @notice 0, or more than WAD.
    error InvalidWadToSlash();
    /// @notice Strategies must ascend without duplicates.
    error StrategiesMustBeInAscendingOrder();
    /// @notice In the set already.
    error StrategyAlreadyInOperatorSet();
    /// @notice Not in the set.
    error StrategyNotInOperatorSet();

    /// @param book_ The address book.
    constructor(LocalEigenLayer book_) LocalModule(book_) {}

    // ---------------------------------------------------------------- AVSs

    /// @inheritdoc IAllocationManager
    function updateAVSMetadataURI(address avs, string calldata metadataURI) external {
        _requireMayCallFor(avs);
        _hasMetadata[avs] = true;
        emit AVSMetadataURIUpdated(avs, metadataURI);
    }

    /// @inheritdoc IAllocationManager
    function setAVSRegistrar(address avs, address registrar) external {
        _requireMayCallFor(avs);
        if (!IAVSRegistrar(registrar).supportsAVS(avs)) revert InvalidAVSRegistrar();
        _registrar[avs] = registrar;
        emit AVSRegistrarSet(avs, getAVSRegistrar(avs));
    }

    /// @inheritdoc IAllocationManager
    /// @dev Errors: `NonexistentAVSMetadata`, `InvalidOperatorSet` when the id is taken, `InputAddressZero` without a
    /// slasher, `StrategyAlreadyInOperatorSet`.
    function createOperatorSets(address avs, CreateSetParamsV2[] calldata params) external {
        _requireMayCallFor(avs);
        for (uint256 i; i < params.length; ++i) {
            _create(avs, params[i], address(0));
        }
    }

    /// @notice Creates sets whose slashed funds go to recipients, which can never be changed.
    /// @dev Errors as `createOperatorSets`, and `InvalidRedistributionRecipient` for zero or the burn address.
    function createRedistributingOperatorSets(
        address avs,
        CreateSetParamsV2[] calldata params,
        address[] calldata redistributionRecipients
    ) external {
        _requireMayCallFor(avs);
        if (params.length != redistributionRecipients.length) revert InputArrayLengthMismatch();
        address burn = book.strategyManager().DEFAULT_BURN_ADDRESS();
        for (uint256 i; i < params.length; ++i) {
            address recipient = redistributionRecipients[i];
            if (recipient == address(0)) revert InputAddressZero();
            if (recipient == burn) revert InvalidRedistributionRecipient();
            _create(avs, params[i], recipient);
        }
    }

    /// @notice Lets a set slash allocations in more strategies, at once.
    function addStrategiesToOperatorSet(address avs, uint32 operatorSetId, IStrategy[] calldata strategies) external {
        _requireMayCallFor(avs);
        OperatorSet memory operatorSet = OperatorSet(avs, operatorSetId);
        bytes32 key = _requireSet(operatorSet);
        for (uint256 i; i < strategies.length; ++i) {
            _addStrategy(operatorSet, key, strategies[i]);
        }
    }

    /// @notice Takes strategies out of a set, at once.
    function removeStrategiesFromOperatorSet(address avs, uint32 operatorSetId, IStrategy[] calldata strategies)
        external
    {
        _requireMayCallFor(avs);
        OperatorSet memory operatorSet = OperatorSet(avs, operatorSetId);
        bytes32 key = _requireSet(operatorSet);
        for (uint256 i; i < strategies.length; ++i) {
            if (!_strategies[key].remove(address(strategies[i]))) revert StrategyNotInOperatorSet();
            emit StrategyRemovedFromOperatorSet(operatorSet, strategies[i]);
        }
    }

    /// @notice Announces the next slasher of a set, who takes over after the configuration delay. Another one replaces him
    /// and waits anew; the same one again changes nothing.
    function updateSlasher(OperatorSet calldata operatorSet, address slasher) external {
        _requireMayCallFor(operatorSet.avs);
        bytes32 key = _requireSet(operatorSet);
        if (slasher == address(0)) revert InputAddressZero();
        SlasherState storage state = _slashers[key];
        if (block.number < state.effect && state.next == slasher) return;
        state.current = getSlasher(operatorSet);
        state.next = slasher;
        state.effect = uint32(block.number) + SLASHER_CONFIGURATION_DELAY() + 1;
        emit SlasherUpdated(operatorSet, slasher, state.effect);
    }

    /// @inheritdoc IAllocationManager
    /// @dev A strategy of which nothing is allocated is skipped. Errors: `InvalidOperatorSet`, `InvalidCaller`,
    /// `OperatorNotSlashable`, `InputArrayLengthMismatch`, `StrategiesMustBeInAscendingOrder`, `InvalidWadToSlash`,
    /// `StrategyNotInOperatorSet`.
    function slashOperator(address avs, SlashingParams calldata params)
        external
        whenNotPaused(PAUSED_OPERATOR_SLASHING)
        returns (uint256 slashId, uint256[] memory shares)
    {
        OperatorSet memory operatorSet = OperatorSet(avs, params.operatorSetId);
        bytes32 key = _requireSet(operatorSet);
        if (!isOperatorSlashable(params.operator, operatorSet)) revert OperatorNotSlashable();
        if (msg.sender != getSlasher(operatorSet)) revert InvalidCaller();
        if (params.strategies.length != params.wadsToSlash.length) revert InputArrayLengthMismatch();

        slashId = ++_slashCounts[key];
        shares = new uint256[](params.strategies.length);
        uint256[] memory wadSlashed = new uint256[](params.strategies.length);
        for (uint256 i; i < params.strategies.length; ++i) {
            if (i > 0 && params.strategies[i] <= params.strategies[i - 1]) revert StrategiesMustBeInAscendingOrder();
            uint256 wad = params.wadsToSlash[i];
            if (wad == 0 || wad > WAD) revert InvalidWadToSlash();
            if (!_strategies[key].contains(address(params.strategies[i]))) revert StrategyNotInOperatorSet();
            (wadSlashed[i], shares[i]) = _slash(params.operator, operatorSet, slashId, params.strategies[i], wad);
        }
        emit OperatorSlashed(params.operator, operatorSet, params.strategies, wadSlashed, params.description);
    }

    // ---------------------------------------------------------------- operators

    /// @notice Sets how long increases of allocations wait; the operator or its appointee. The delay given at
    /// registration counts at once, a later one after the configuration delay.
    function setAllocationDelay(address operator, uint32 delay) external {
        LocalDelegationManager delegation = book.delegationManager();
        DelayState storage state = _allocationDelays[operator];
        if (msg.sender == address(delegation)) {
            (state.current, state.next, state.effect, state.isSet) = (delay, delay, uint32(block.number), true);
        } else {
            _requireMayCallFor(operator);
            if (!delegation.isOperator(operator)) revert InvalidOperator();
            (, state.current) = getAllocationDelay(operator);
            state.next = delay;
            state.effect = uint32(block.number) + ALLOCATION_CONFIGURATION_DELAY() + 1;
        }
        emit AllocationDelaySet(operator, delay, state.effect);
    }

    /// @inheritdoc IAllocationManager
    /// @dev An increase waits for the operator's allocation delay. A decrease that the set could slash today stays
    /// slashable and encumbered through the deallocation delay; any other is instant. Errors: `InvalidPermissions`,
    /// `UninitializedAllocationDelay`, `InputArrayLengthMismatch`, `InvalidOperatorSet`, `ModificationAlreadyPending`,
    /// `SameMagnitude`, `InsufficientMagnitude`.
    function modifyAllocations(address operator, AllocateParams[] calldata params)
        external
        whenNotPaused(PAUSED_MODIFY_ALLOCATIONS)
    {
        _requireMayCallFor(operator);
        (bool isSet, uint32 allocationDelay) = getAllocationDelay(operator);
        if (!isSet) revert UninitializedAllocationDelay();
        for (uint256 i; i < params.length; ++i) {
            AllocateParams calldata p = params[i];
            if (p.strategies.length != p.newMagnitudes.length) revert InputArrayLengthMismatch();
            bytes32 key = _requireSet(p.operatorSet);
            for (uint256 j; j < p.strategies.length; ++j) {
                _clearQueue(operator, p.strategies[j], type(uint16).max);
                _modify(operator, p.operatorSet, key, p.strategies[j], p.newMagnitudes[j], allocationDelay);
            }
        }
    }

    /// @inheritdoc IAllocationManager
    function clearDeallocationQueue(address operator, IStrategy[] calldata strategies, uint16[] calldata numToClear)
        external
        whenNotPaused(PAUSED_MODIFY_ALLOCATIONS)
    {
        if (strategies.length != numToClear.length) revert InputArrayLengthMismatch();
        for (uint256 i; i < strategies.length; ++i) {
            _clearQueue(operator, strategies[i], numToClear[i]);
        }
    }

    /// @inheritdoc IAllocationManager
    /// @dev The registrar may revert, or call back in. Errors: `InvalidPermissions`, `InvalidOperator`, `InvalidOperatorSet`,
    /// `AlreadyMemberOfSet`.
    function registerForOperatorSets(address operator, RegisterParams calldata params)
        external
        whenNotPaused(PAUSED_REGISTRATION)
    {
        _requireMayCallFor(operator);
        if (!book.delegationManager().isOperator(operator)) revert InvalidOperator();
        for (uint256 i; i < params.operatorSetIds.length; ++i) {
            OperatorSet memory operatorSet = OperatorSet(params.avs, params.operatorSetIds[i]);
            bytes32 key = _requireSet(operatorSet);
            if (isOperatorSlashable(operator, operatorSet)) revert AlreadyMemberOfSet();
            _registeredSets[operator].add(key);
            _members[key].add(operator);
            _memberships[operator][key].registered = true;
            emit OperatorAddedToOperatorSet(operator, operatorSet);
        }
        IAVSRegistrar(getAVSRegistrar(params.avs))
            .registerOperator(operator, params.avs, params.operatorSetIds, params.data);
    }

    /// @inheritdoc IAllocationManager
    /// @dev The operator, the AVS, or an appointee of either. Slashable through the deallocation delay. The registrar may
    /// revert, or call back in. Errors: `InvalidCaller`, `InvalidOperatorSet`, `NotMemberOfSet`.
    function deregisterFromOperatorSets(DeregisterParams calldata params) external whenNotPaused(PAUSED_REGISTRATION) {
        if (!_mayCallFor(params.operator) && !_mayCallFor(params.avs)) revert InvalidCaller();
        for (uint256 i; i < params.operatorSetIds.length; ++i) {
            OperatorSet memory operatorSet = OperatorSet(params.avs, params.operatorSetIds[i]);
            bytes32 key = _requireSet(operatorSet);
            if (!_registeredSets[params.operator].remove(key)) revert NotMemberOfSet();
            _members[key].remove(params.operator);
            _memberships[params.operator][key] =
                Membership({registered: false, slashableUntil: uint32(block.number) + DEALLOCATION_DELAY()});
            emit OperatorRemovedFromOperatorSet(params.operator, operatorSet);
        }
        IAVSRegistrar(getAVSRegistrar(params.avs))
            .deregisterOperator(params.operator, params.avs, params.operatorSetIds);
    }

    // ---------------------------------------------------------------- views: operators

    /// @inheritdoc IAllocationManager
    function getMaxMagnitudes(address[] calldata operators, IStrategy strategy)
        external
        view
        returns (uint64[] memory magnitudes)
    {
        magnitudes = new uint64[](operators.length);
        for (uint256 i; i < operators.length; ++i) {
            magnitudes[i] = getMaxMagnitude(operators[i], strategy);
        }
    }

    /// @notice Max magnitudes of one operator in several strategies.
    function getMaxMagnitudes(address operator, IStrategy[] calldata strategies)
        external
        view
        returns (uint64[] memory magnitudes)
    {
        magnitudes = new uint64[](strategies.length);
        for (uint256 i; i < strategies.length; ++i) {
            magnitudes[i] = getMaxMagnitude(operator, strategies[i]);
        }
    }

    /// @inheritdoc IAllocationManager
    function getMaxMagnitudesAtBlock(address operator, IStrategy[] calldata strategies, uint32 blockNumber)
        external
        view
        returns (uint64[] memory magnitudes)
    {
        magnitudes = new uint64[](strategies.length);
        for (uint256 i; i < strategies.length; ++i) {
            magnitudes[i] = uint64(WAD - _lost[operator][strategies[i]].upperLookupRecent(blockNumber));
        }
    }

    /// @inheritdoc IAllocationManager
    function getAllocation(address operator, OperatorSet calldata operatorSet, IStrategy strategy)
        external
        view
        returns (Allocation memory allocation)
    {
        (allocation,) = _live(operator, _key(operatorSet), strategy);
    }

    /// @notice Allocations of several operators to a set.
    function getAllocations(address[] calldata operators, OperatorSet calldata operatorSet, IStrategy strategy)
        external
        view
        returns (Allocation[] memory allocations)
    {
        allocations = new Allocation[](operators.length);
        for (uint256 i; i < operators.length; ++i) {
            (allocations[i],) = _live(operators[i], _key(operatorSet), strategy);
        }
    }

    /// @notice All sets to which an operator has allocated something, with its allocations in `strategy`.
    /// @dev A set that was slashed to nothing, with nothing pending, is not among them.
    function getStrategyAllocations(address operator, IStrategy strategy)
        external
        view
        returns (OperatorSet[] memory operatorSets, Allocation[] memory allocations)
    {
        operatorSets = getAllocatedSets(operator);
        allocations = new Allocation[](operatorSets.length);
        for (uint256 i; i < operatorSets.length; ++i) {
            (allocations[i],) = _live(operator, _key(operatorSets[i]), strategy);
        }
    }

    /// @notice Sets that the operator is a member of.
    function getRegisteredSets(address operator) external view returns (OperatorSet[] memory) {
        return _decode(_registeredSets[operator].values());
    }

    /// @notice Magnitude that an operator has left to allocate.
    function getAllocatableMagnitude(address operator, IStrategy strategy) external view returns (uint64) {
        return getMaxMagnitude(operator, strategy) - getEncumberedMagnitude(operator, strategy);
    }

    /// @inheritdoc IAllocationManager
    function isMemberOfOperatorSet(address operator, OperatorSet calldata operatorSet) external view returns (bool) {
        return _memberships[operator][_key(operatorSet)].registered;
    }

    // ---------------------------------------------------------------- views: operator sets

    /// @inheritdoc IAllocationManager
    function getPendingSlasher(OperatorSet calldata operatorSet) external view returns (address, uint32) {
        SlasherState storage state = _slashers[_key(operatorSet)];
        return block.number < state.effect ? (state.next, state.effect) : (address(0), 0);
    }

    /// @inheritdoc IAllocationManager
    function isRedistributingOperatorSet(OperatorSet calldata operatorSet) external view returns (bool) {
        return _recipients[_key(operatorSet)] != address(0);
    }

    /// @notice Who receives what slashes of the set take: its recipient, otherwise the burn address.
    function getRedistributionRecipient(OperatorSet calldata operatorSet) external view returns (address) {
        address recipient = _recipients[_key(operatorSet)];
        return recipient == address(0) ? book.strategyManager().DEFAULT_BURN_ADDRESS() : recipient;
    }

    /// @inheritdoc IAllocationManager
    function getSlashCount(OperatorSet calldata operatorSet) external view returns (uint256) {
        return _slashCounts[_key(operatorSet)];
    }

    /// @notice Whether the set exists.
    function isOperatorSet(OperatorSet calldata operatorSet) external view returns (bool) {
        return _exists[_key(operatorSet)];
    }

    /// @notice Number of sets of an AVS.
    function getOperatorSetCount(address avs) external view returns (uint256) {
        return _setCount[avs];
    }

    /// @notice Members of a set.
    function getMembers(OperatorSet calldata operatorSet) external view returns (address[] memory) {
        return _members[_key(operatorSet)].values();
    }

    /// @inheritdoc IAllocationManager
    function getStrategiesInOperatorSet(OperatorSet calldata operatorSet)
        external
        view
        returns (IStrategy[] memory strategies)
    {
        address[] memory values = _strategies[_key(operatorSet)].values();
        strategies = new IStrategy[](values.length);
        for (uint256 i; i < values.length; ++i) {
            strategies[i] = IStrategy(values[i]);
        }
    }

    // ---------------------------------------------------------------- public views

    /// @inheritdoc IAllocationManager
    function getMaxMagnitude(address operator, IStrategy strategy) public view returns (uint64) {
        return uint64(WAD - _lost[operator][strategy].latest());
    }

    /// @inheritdoc IAllocationManager
    function getEncumberedMagnitude(address operator, IStrategy strategy) public view returns (uint64 encumbered) {
        encumbered = _encumbered[operator][strategy];
        DoubleEndedQueue.Bytes32Deque storage queue = _decreasing[operator][strategy];
        uint256 n = queue.length();
        for (uint256 i; i < n; ++i) {
            bytes32 key = queue.at(i);
            if (block.number < _allocations[operator][key][strategy].effectBlock) break;
            (, uint64 freed) = _live(operator, key, strategy);
            encumbered -= freed;
        }
    }

    /// @notice Sets to which an operator has allocated something.
    function getAllocatedSets(address operator) public view returns (OperatorSet[] memory) {
        return _decode(_allocatedSets[operator].values());
    }

    /// @notice Whether the operator has an allocation delay, and how many blocks its increases wait.
    function getAllocationDelay(address operator) public view returns (bool isSet, uint32 delay) {
        DelayState storage state = _allocationDelays[operator];
        return (state.isSet, block.number < state.effect ? state.current : state.next);
    }

    /// @inheritdoc IAllocationManager
    function getAVSRegistrar(address avs) public view returns (address) {
        address registrar = _registrar[avs];
        return registrar == address(0) ? avs : registrar;
    }

    /// @inheritdoc IAllocationManager
    function getSlasher(OperatorSet memory operatorSet) public view returns (address) {
        SlasherState storage state = _slashers[_key(operatorSet)];
        return block.number < state.effect ? state.current : state.next;
    }

    /// @inheritdoc IAllocationManager
    /// @dev Members, and former ones through the deallocation delay.
    function isOperatorSlashable(address operator, OperatorSet memory operatorSet) public view returns (bool) {
        Membership memory membership = _memberships[operator][_key(operatorSet)];
        return membership.registered || block.number <= membership.slashableUntil;
    }

    /// @inheritdoc IAllocationManager
    // solhint-disable-next-line func-name-mixedcase
    function DEALLOCATION_DELAY() public view returns (uint32 blocks) {
        (, blocks,,,) = book.delays();
    }

    /// @notice Blocks before a changed allocation delay counts.
    // solhint-disable-next-line func-name-mixedcase
    function ALLOCATION_CONFIGURATION_DELAY() public view returns (uint32 blocks) {
        (,, blocks,,) = book.delays();
    }

    /// @notice Blocks before a new slasher counts.
    // solhint-disable-next-line func-name-mixedcase
    function SLASHER_CONFIGURATION_DELAY() public view returns (uint32 blocks) {
        (,,, blocks,) = book.delays();
    }

    // ---------------------------------------------------------------- internals

    function _create(address avs, CreateSetParamsV2 calldata params, address recipient) private {
        if (!_hasMetadata[avs]) revert NonexistentAVSMetadata();
        if (params.slasher == address(0)) revert InputAddressZero();
        OperatorSet memory operatorSet = OperatorSet(avs, params.operatorSetId);
        bytes32 key = _key(operatorSet);
        if (_exists[key]) revert InvalidOperatorSet();
        _exists[key] = true;
        ++_setCount[avs];
        emit OperatorSetCreated(operatorSet);
        if (recipient != address(0)) {
            _recipients[key] = recipient;
            emit RedistributionAddressSet(operatorSet, recipient);
        }
        for (uint256 i; i < params.strategies.length; ++i) {
            _addStrategy(operatorSet, key, params.strategies[i]);
        }
        _slashers[key] = SlasherState({current: params.slasher, next: params.slasher, effect: uint32(block.number)});
        emit SlasherUpdated(operatorSet, params.slasher, uint32(block.number));
    }

    function _addStrategy(OperatorSet memory operatorSet, bytes32 key, IStrategy strategy) private {
        if (!_strategies[key].add(address(strategy))) revert StrategyAlreadyInOperatorSet();
        emit StrategyAddedToOperatorSet(operatorSet, strategy);
    }

    function _modify(
        address operator,
        OperatorSet calldata operatorSet,
        bytes32 key,
        IStrategy strategy,
        uint64 newMagnitude,
        uint32 allocationDelay
    ) private {
        (Allocation memory a,) = _live(operator, key, strategy);
        if (a.effectBlock != 0) revert ModificationAlreadyPending();
        if (newMagnitude == a.currentMagnitude) revert SameMagnitude();

        uint32 wait;
        if (newMagnitude > a.currentMagnitude) {
            wait = allocationDelay;
            uint64 encumbered = _encumbered[operator][strategy] + (newMagnitude - a.currentMagnitude);
            if (encumbered > getMaxMagnitude(operator, strategy)) revert InsufficientMagnitude();
            _setEncumbered(operator, strategy, encumbered);
        } else if (_isSlashable(operator, operatorSet, key, strategy, a.currentMagnitude)) {
            wait = DEALLOCATION_DELAY() + 1;
            _decreasing[operator][strategy].pushBack(key);
        } else {
            _setEncumbered(operator, strategy, _encumbered[operator][strategy] - (a.currentMagnitude - newMagnitude));
        }

        uint32 effect = uint32(block.number) + wait;
        if (wait == 0) {
            a.currentMagnitude = newMagnitude;
        } else {
            a.pendingDiff = int128(uint128(newMagnitude)) - int128(uint128(a.currentMagnitude));
            a.effectBlock = effect;
        }
        _store(operator, key, strategy, a);
        emit AllocationUpdated(operator, operatorSet, strategy, newMagnitude, effect);
    }

    /// @dev Δ = ceil(current * wad / 1e18) leaves allocation, encumbered and max magnitude; a pending decrease shrinks
    /// by the same part, rounded up as well.
    function _slash(address operator, OperatorSet memory operatorSet, uint256 slashId, IStrategy strategy, uint256 wad)
        private
        returns (uint256 wadSlashed, uint256 shares)
    {
        uint64 delta = _slashAllocation(operator, operatorSet, strategy, wad);
        if (delta == 0) return (0, 0);
        uint64 before = getMaxMagnitude(operator, strategy);
        uint64 max = before - delta;
        wadSlashed = Math.mulDiv(delta, WAD, before);
        _lost[operator][strategy].push(uint32(block.number), uint224(WAD - max));
        emit MaxMagnitudeUpdated(operator, strategy, max);
        shares = book.delegationManager().slashOperatorShares(operator, operatorSet, slashId, strategy, before, max);
    }

    /// @dev The part of a slash that concerns the set alone.
    /// @return delta Magnitude taken; 0 when nothing is allocated.
    function _slashAllocation(address operator, OperatorSet memory operatorSet, IStrategy strategy, uint256 wad)
        private
        returns (uint64 delta)
    {
        (Allocation memory a, uint64 freed) = _live(operator, _key(operatorSet), strategy);
        if (a.currentMagnitude == 0) return 0;
        delta = uint64(_ceil(a.currentMagnitude, wad));
        a.currentMagnitude -= delta;
        if (a.pendingDiff < 0) {
            a.pendingDiff += int128(uint128(_ceil(uint128(-a.pendingDiff), wad)));
            emit AllocationUpdated(operator, operatorSet, strategy, _after(a), a.effectBlock);
        }
        _store(operator, _key(operatorSet), strategy, a);
        _setEncumbered(operator, strategy, _encumbered[operator][strategy] - freed - delta);
        emit AllocationUpdated(operator, operatorSet, strategy, a.currentMagnitude, uint32(block.number));
    }

    /// @dev Ends decreases whose delay is over, oldest first, at most `most` of them.
    function _clearQueue(address operator, IStrategy strategy, uint16 most) private {
        DoubleEndedQueue.Bytes32Deque storage queue = _decreasing[operator][strategy];
        for (uint256 i; i < most && !queue.empty(); ++i) {
            bytes32 key = queue.front();
            if (block.number < _allocations[operator][key][strategy].effectBlock) return;
            queue.popFront();
            (Allocation memory a, uint64 freed) = _live(operator, key, strategy);
            _store(operator, key, strategy, a);
            if (freed > 0) _setEncumbered(operator, strategy, _encumbered[operator][strategy] - freed);
        }
    }

    /// @dev Writes an allocation and keeps the lists of what is allocated.
    function _store(address operator, bytes32 key, IStrategy strategy, Allocation memory a) private {
        _allocations[operator][key][strategy] = a;
        EnumerableSet.AddressSet storage strategies = _allocatedStrategies[operator][key];
        if (a.currentMagnitude == 0 && a.pendingDiff == 0) {
            if (strategies.remove(address(strategy)) && strategies.length() == 0) _allocatedSets[operator].remove(key);
        } else if (strategies.add(address(strategy))) {
            _allocatedSets[operator].add(key);
        }
    }

    function _setEncumbered(address operator, IStrategy strategy, uint64 encumbered) private {
        if (encumbered == _encumbered[operator][strategy]) return; // a slash may leave a pending decrease nothing to free
        _encumbered[operator][strategy] = encumbered;
        emit EncumberedMagnitudeUpdated(operator, strategy, encumbered);
    }

    /// @dev The allocation as of this block: a change whose time has come is applied.
    /// @return a The allocation.
    /// @return freed What an applied decrease frees, still counted as encumbered until it is written.
    function _live(address operator, bytes32 key, IStrategy strategy)
        private
        view
        returns (Allocation memory a, uint64 freed)
    {
        a = _allocations[operator][key][strategy];
        if (a.effectBlock == 0 || block.number < a.effectBlock) return (a, 0);
        if (a.pendingDiff < 0) freed = uint64(uint128(-a.pendingDiff));
        a = Allocation({currentMagnitude: _after(a), pendingDiff: 0, effectBlock: 0});
    }

    function _isSlashable(
        address operator,
        OperatorSet calldata operatorSet,
        bytes32 key,
        IStrategy strategy,
        uint64 magnitude
    ) private view returns (bool) {
        return magnitude != 0 && _strategies[key].contains(address(strategy))
            && isOperatorSlashable(operator, operatorSet);
    }

    function _requireSet(OperatorSet memory operatorSet) private view returns (bytes32 key) {
        key = _key(operatorSet);
        if (!_exists[key]) revert InvalidOperatorSet();
    }

    function _decode(bytes32[] memory keys) private pure returns (OperatorSet[] memory operatorSets) {
        operatorSets = new OperatorSet[](keys.length);
        for (uint256 i; i < keys.length; ++i) {
            operatorSets[i] = OperatorSet(address(uint160(uint256(keys[i]) >> 96)), uint32(uint256(keys[i])));
        }
    }

    function _key(OperatorSet memory operatorSet) private pure returns (bytes32) {
        return bytes32((uint256(uint160(operatorSet.avs)) << 96) | operatorSet.id);
    }

    function _after(Allocation memory a) private pure returns (uint64) {
        return uint64(uint128(int128(uint128(a.currentMagnitude)) + a.pendingDiff));
    }

    function _ceil(uint256 magnitude, uint256 wad) private pure returns (uint256) {
        return Math.mulDiv(magnitude, wad, WAD, Math.Rounding.Ceil);
    }
}
