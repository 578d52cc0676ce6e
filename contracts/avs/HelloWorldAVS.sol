// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";

import {IAllocationManager, IStrategy, OperatorSet} from "../interfaces/external/IEigenLayer.sol";
import {IAVSRegistrar} from "./IAVSRegistrar.sol";

/// @title Hello World AVS
/// @notice The smallest service on EigenLayer whose slashing needs no trust. Anybody posts a name; operators sign the
/// greeting "Hello, <name>!". A signature over any other greeting for a posted name is a fault that everybody can
/// prove here, and the proof itself slashes the operator through EigenLayer: this contract is the slasher of its only
/// operator set. There is no owner, no vote and no upgrade.
/// @dev Why a proof is a proof: a greeting is signed (EIP-712) together with the question it answers (task id, block and
/// name) for this contract on this chain, by a key that proved possession and chose its operator at registration. So a
/// signature made elsewhere, for another operator, or for a task that a reorganisation replaced, says nothing here, and
/// an honest answer can never become wrong. A key belongs to its operator for ever: leaving the set retires the key for
/// new answers, but what it signed stays provable for as long as EigenLayer keeps the operator slashable.
contract HelloWorldAVS is IAVSRegistrar, EIP712 {
    /// @notice A question: the name to greet.
    /// @param name The name.
    /// @param blockNumber Block in which it was posted.
    struct Task {
        string name;
        uint64 blockNumber;
    }

    /// @notice The only operator set.
    uint32 public constant OPERATOR_SET_ID = 1;

    /// @notice Longest name (bytes).
    uint256 public constant MAX_NAME_LENGTH = 64;

    /// @notice EIP-712 type of an answer.
    bytes32 public constant GREETING_TYPEHASH =
        keccak256("Greeting(uint256 taskId,uint256 taskBlock,string name,string greeting)");

    /// @notice EIP-712 type by which a key accepts its operator.
    bytes32 public constant SIGNING_KEY_TYPEHASH = keccak256("SigningKey(address operator)");

    uint256 private constant WAD = 1e18;

    /// @notice EigenLayer's AllocationManager.
    IAllocationManager public immutable ALLOCATION_MANAGER;

    /// @notice The strategy whose stake secures the service.
    IStrategy public immutable STRATEGY;

    /// @notice Part of what an operator has allocated here that one fault costs (WAD, 1e18 = all).
    uint256 public immutable WAD_PER_FAULT;

    /// @notice Whether `open` was called.
    bool public isOpen;

    /// @notice How many tasks there are; ids are 1 to this.
    uint256 public taskCount;

    /// @notice The operator that a key belongs to, also after he left; zero for an unknown key.
    mapping(address key => address operator) public operatorOfKey;

    /// @notice The key with which an operator answers now; zero if he is not registered.
    mapping(address operator => address key) public signingKey;

    /// @notice Whether an operator's right answer to a task is recorded.
    mapping(address operator => mapping(uint256 taskId => bool)) public hasResponded;

    /// @notice Whether an operator was slashed for a task; one task costs an operator one slash at most.
    mapping(address operator => mapping(uint256 taskId => bool)) public isProven;

    mapping(uint256 taskId => Task) private _tasks;

    /// @notice The operator set exists now.
    event Opened();

    /// @notice A name is to be greeted.
    /// @param taskId Id.
    /// @param requester Who asks.
    /// @param name The name.
    event TaskCreated(uint256 indexed taskId, address indexed requester, string name);

    /// @notice An operator greeted rightly.
    /// @param taskId Id.
    /// @param operator The operator.
    /// @param key The key that signed.
    /// @param greeting The greeting.
    event Greeted(uint256 indexed taskId, address indexed operator, address indexed key, string greeting);

    /// @notice A wrong greeting was proven and slashed.
    /// @param taskId Id.
    /// @param operator The operator.
    /// @param reporter Who proved it; he gets nothing for it.
    /// @param key The key that signed.
    /// @param greeting What was signed.
    /// @param wad Part of the allocation that was slashed (WAD).
    /// @param slashId EigenLayer's id of the slash in this set.
    event MisbehaviourProven(
        uint256 indexed taskId,
        address indexed operator,
        address indexed reporter,
        address key,
        string greeting,
        uint256 wad,
        uint256 slashId
    );

    /// @notice A key was bound to an operator.
    /// @param operator The operator.
    /// @param key The key.
    event SigningKeyRegistered(address indexed operator, address indexed key);

    /// @notice A key answers no more, because its operator left.
    /// @param operator The operator.
    /// @param key The key.
    event SigningKeyRetired(address indexed operator, address indexed key);

    /// @notice The part to slash must be above 0 and at most all.
    /// @param wad Given (WAD).
    error InvalidWad(uint256 wad);

    /// @notice The set exists already.
    error AlreadyOpen();

    /// @notice Only EigenLayer's AllocationManager asks the registrar.
    /// @param caller Who called.
    error OnlyAllocationManager(address caller);

    /// @notice This registrar serves itself only.
    /// @param avs The AVS named.
    error ForeignAVS(address avs);

    /// @notice An operator registers for `OPERATOR_SET_ID` and nothing else.
    error WrongOperatorSets();

    /// @notice A key serves one operator once.
    /// @param key The key.
    /// @param operator Whose it is.
    error KeyAlreadyUsed(address key, address operator);

    /// @notice The signature is not the one of the named key over its operator.
    /// @param key The key named.
    /// @param signer Who signed.
    error NoProofOfPossession(address key, address signer);

    /// @notice A name has 1 to `MAX_NAME_LENGTH` bytes.
    /// @param length Bytes given.
    error InvalidNameLength(uint256 length);

    /// @notice There is no such task.
    /// @param taskId Id.
    error UnknownTask(uint256 taskId);

    /// @notice No key of the operator made the signature over this greeting, task, contract and chain.
    /// @param operator The operator named.
    /// @param signer Who signed.
    error NotSignedByOperator(address operator, address signer);

    /// @notice The key was retired when its operator left.
    /// @param key The key.
    error KeyRetired(address key);

    /// @notice The greeting is not the right one.
    /// @param taskId Id.
    error WrongGreeting(uint256 taskId);

    /// @notice The greeting is right, so there is nothing to prove.
    /// @param taskId Id.
    error GreetingIsRight(uint256 taskId);

    /// @notice The answer is recorded already.
    /// @param operator The operator.
    /// @param taskId Id.
    error AlreadyResponded(address operator, uint256 taskId);

    /// @notice The fault was proven before.
    /// @param operator The operator.
    /// @param taskId Id.
    error AlreadyProven(address operator, uint256 taskId);

    /// @notice The operator has nothing at stake here now; the fault stays provable for later.
    /// @param operator The operator.
    error NothingAtStake(address operator);

    /// @notice Deploys the service; `open` must follow.
    /// @param allocationManager EigenLayer's AllocationManager.
    /// @param strategy The strategy whose stake secures the service.
    /// @param wadPerFault Part of an operator's allocation that one fault costs (WAD). Reverts `InvalidWad`.
    constructor(IAllocationManager allocationManager, IStrategy strategy, uint256 wadPerFault)
        EIP712("HelloWorldAVS", "1")
    {
        if (wadPerFault == 0 || wadPerFault > WAD) revert InvalidWad(wadPerFault);
        ALLOCATION_MANAGER = allocationManager;
        STRATEGY = strategy;
        WAD_PER_FAULT = wadPerFault;
    }

    /// @notice Makes this contract known to EigenLayer as an AVS, its own registrar, and the slasher of its set.
    /// @dev Anybody, once: there is nothing to choose. Not part of the constructor because EigenLayer calls the registrar
    /// back when it is set. Reverts `AlreadyOpen`.
    function open() external {
        if (isOpen) revert AlreadyOpen();
        isOpen = true;
        emit Opened();

        IStrategy[] memory strategies = new IStrategy[](1);
        strategies[0] = STRATEGY;
        IAllocationManager.CreateSetParamsV2[] memory sets = new IAllocationManager.CreateSetParamsV2[](1);
        sets[0] = IAllocationManager.CreateSetParamsV2(OPERATOR_SET_ID, strategies, address(this));
        ALLOCATION_MANAGER.updateAVSMetadataURI(address(this), "data:application/json,{\"name\":\"Hello World\"}");
        ALLOCATION_MANAGER.setAVSRegistrar(address(this), address(this));
        ALLOCATION_MANAGER.createOperatorSets(address(this), sets);
    }

    /// @notice Posts a name to be greeted. Anybody.
    /// @dev Reverts `InvalidNameLength`.
    /// @param name The name, 1 to 64 bytes.
    /// @return taskId Id of the task.
    function createTask(string calldata name) external returns (uint256 taskId) {
        uint256 length = bytes(name).length;
        if (length == 0 || length > MAX_NAME_LENGTH) revert InvalidNameLength(length);
        taskId = ++taskCount;
        _tasks[taskId] = Task(name, uint64(block.number));
        emit TaskCreated(taskId, msg.sender, name);
    }

    /// @notice Records a right greeting. Anybody may bring the signature.
    /// @dev Reverts `UnknownTask`, `NotSignedByOperator`, `KeyRetired`, `WrongGreeting`, `AlreadyResponded`, or one of
    /// OpenZeppelin's ECDSA errors for a malformed (also a high-s) signature.
    /// @param taskId Id of the task.
    /// @param operator The operator who greets.
    /// @param greeting The greeting.
    /// @param signature 65 bytes (r, s, v) of the operator's key over `greetingDigest`.
    function respond(uint256 taskId, address operator, string calldata greeting, bytes calldata signature) external {
        address key = _signerOf(operator, taskId, greeting, signature);
        if (signingKey[operator] != key) revert KeyRetired(key);
        if (!_isRight(taskId, greeting)) revert WrongGreeting(taskId);
        if (hasResponded[operator][taskId]) revert AlreadyResponded(operator, taskId);
        hasResponded[operator][taskId] = true;
        emit Greeted(taskId, operator, key, greeting);
    }

    /// @notice Proves that an operator signed a wrong greeting, and slashes him for it. Anybody, without reward.
    /// @dev Keys of operators who left count too: EigenLayer decides how long they stay slashable, and reverts
    /// afterwards. Reverts `UnknownTask`, `NotSignedByOperator`, `GreetingIsRight`, `AlreadyProven`, `NothingAtStake`,
    /// one of OpenZeppelin's ECDSA errors, or as EigenLayer's `slashOperator` does; then the fault stays unproven.
    /// @param operator The operator who signed.
    /// @param taskId Id of the task.
    /// @param greeting What he signed.
    /// @param signature His signature, 65 bytes (r, s, v) over `greetingDigest`.
    /// @return slashId EigenLayer's id of the slash in this set.
    function proveMisbehaviour(address operator, uint256 taskId, string calldata greeting, bytes calldata signature)
        external
        returns (uint256 slashId)
    {
        address key = _signerOf(operator, taskId, greeting, signature);
        if (_isRight(taskId, greeting)) revert GreetingIsRight(taskId);
        if (isProven[operator][taskId]) revert AlreadyProven(operator, taskId);
        // Otherwise an accomplice could use a fault up at a moment when it costs nothing.
        uint64 magnitude =
            ALLOCATION_MANAGER.getAllocation(operator, OperatorSet(address(this), OPERATOR_SET_ID), STRATEGY)
        .currentMagnitude;
        if (magnitude == 0) revert NothingAtStake(operator);
        isProven[operator][taskId] = true;

        IAllocationManager.SlashingParams memory params;
        params.operator = operator;
        params.operatorSetId = OPERATOR_SET_ID;
        params.strategies = new IStrategy[](1);
        params.strategies[0] = STRATEGY;
        params.wadsToSlash = new uint256[](1);
        params.wadsToSlash[0] = WAD_PER_FAULT;
        params.description = "Hello World: signed a wrong greeting";
        (slashId,) = ALLOCATION_MANAGER.slashOperator(address(this), params);
        emit MisbehaviourProven(taskId, operator, msg.sender, key, greeting, WAD_PER_FAULT, slashId);
    }

    /// @inheritdoc IAVSRegistrar
    /// @dev Only EigenLayer's AllocationManager, which checked that the operator agrees. `data` is abi.encode(address
    /// key, bytes signature), the signature being the key's over `keyDigest(operator)`. Reverts `OnlyAllocationManager`,
    /// `ForeignAVS`, `WrongOperatorSets`, `KeyAlreadyUsed`, `NoProofOfPossession`, or one of OpenZeppelin's ECDSA errors.
    function registerOperator(address operator, address avs, uint32[] calldata operatorSetIds, bytes calldata data)
        external
    {
        _checkCallback(avs, operatorSetIds);
        (address key, bytes memory signature) = abi.decode(data, (address, bytes));
        if (operatorOfKey[key] != address(0)) revert KeyAlreadyUsed(key, operatorOfKey[key]);
        address signer = ECDSA.recover(keyDigest(operator), signature);
        if (signer != key) revert NoProofOfPossession(key, signer);
        operatorOfKey[key] = operator;
        signingKey[operator] = key;
        emit SigningKeyRegistered(operator, key);
    }

    /// @inheritdoc IAVSRegistrar
    /// @dev Only EigenLayer's AllocationManager. Never keeps an operator in. Reverts `OnlyAllocationManager`,
    /// `ForeignAVS`, `WrongOperatorSets`.
    function deregisterOperator(address operator, address avs, uint32[] calldata operatorSetIds) external {
        _checkCallback(avs, operatorSetIds);
        address key = signingKey[operator];
        delete signingKey[operator];
        emit SigningKeyRetired(operator, key);
    }

    /// @inheritdoc IAVSRegistrar
    function supportsAVS(address avs) external view returns (bool) {
        return avs == address(this);
    }

    /// @notice A task.
    /// @dev Reverts `UnknownTask`.
    /// @param taskId Id.
    /// @return The task.
    function getTask(uint256 taskId) external view returns (Task memory) {
        return _task(taskId);
    }

    /// @notice The right answer to a task.
    /// @dev Reverts `UnknownTask`.
    /// @param taskId Id.
    /// @return The greeting.
    function rightGreeting(uint256 taskId) public view returns (string memory) {
        return string.concat("Hello, ", _task(taskId).name, "!");
    }

    /// @notice What a key signs to greet: EIP-712, domain {HelloWorldAVS, 1, chain, this contract}.
    /// @dev Reverts `UnknownTask`.
    /// @param taskId Id of the task.
    /// @param greeting Any greeting.
    /// @return The digest.
    function greetingDigest(uint256 taskId, string calldata greeting) public view returns (bytes32) {
        Task storage task = _task(taskId);
        return _hashTypedDataV4(
            keccak256(
                abi.encode(
                    GREETING_TYPEHASH,
                    taskId,
                    uint256(task.blockNumber),
                    keccak256(bytes(task.name)),
                    keccak256(bytes(greeting))
                )
            )
        );
    }

    /// @notice What a key signs to serve an operator: EIP-712, the same domain.
    /// @param operator The operator.
    /// @return The digest.
    function keyDigest(address operator) public view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(SIGNING_KEY_TYPEHASH, operator)));
    }

    function _checkCallback(address avs, uint32[] calldata operatorSetIds) private view {
        if (msg.sender != address(ALLOCATION_MANAGER)) revert OnlyAllocationManager(msg.sender);
        if (avs != address(this)) revert ForeignAVS(avs);
        if (operatorSetIds.length != 1 || operatorSetIds[0] != OPERATOR_SET_ID) revert WrongOperatorSets();
    }

    function _task(uint256 taskId) private view returns (Task storage) {
        if (taskId == 0 || taskId > taskCount) revert UnknownTask(taskId);
        return _tasks[taskId];
    }

    function _isRight(uint256 taskId, string calldata greeting) private view returns (bool) {
        return keccak256(bytes(greeting)) == keccak256(bytes(rightGreeting(taskId)));
    }

    /// @dev The key that signed, if it is or was the operator's; the recovered signer is never zero.
    function _signerOf(address operator, uint256 taskId, string calldata greeting, bytes calldata signature)
        private
        view
        returns (address key)
    {
        key = ECDSA.recover(greetingDigest(taskId, greeting), signature);
        // An unknown key belongs to the zero address, which is no operator.
        if (operator == address(0) || operatorOfKey[key] != operator) revert NotSignedByOperator(operator, key);
    }
}
