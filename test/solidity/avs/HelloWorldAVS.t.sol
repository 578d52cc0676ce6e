// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

import {HelloWorldAVS} from "../../../contracts/avs/HelloWorldAVS.sol";
import {OperatorSet} from "../../../contracts/interfaces/external/IEigenLayer.sol";
import {LocalAllocationManager} from "../../../contracts/local/eigenlayer/LocalAllocationManager.sol";
import {AVSFixture} from "./AVSFixture.sol";

contract HelloWorldAVSTest is AVSFixture {
    uint32 private constant SET = 1;
    uint256 private constant WAD_PER_FAULT = 0.2e18;
    uint64 private constant MAGNITUDE = 0.5e18;
    uint256 private constant KEY = 0xA11CE;
    uint256 private constant OTHER_KEY = 0xB0B;
    uint256 private constant CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;

    HelloWorldAVS private avs;
    address private operator;
    address private stranger = makeAddr("stranger");

    function setUp() public {
        _deployEigenLayer();
        avs = new HelloWorldAVS(allocationManager, strategy, WAD_PER_FAULT);
        vm.prank(stranger);
        avs.open();
        operator = _newOperator("operator");
        _join(operator, KEY);
        _allocate(operator, address(avs), SET, MAGNITUDE);
    }

    // Opening

    /// The service is its own slasher; nobody else has a key to it.
    function test_onlyTheServiceItselfMaySlash() public {
        OperatorSet memory set = OperatorSet(address(avs), SET);
        assertEq(allocationManager.getSlasher(set), address(avs));
        (address pending,) = allocationManager.getPendingSlasher(set);
        assertEq(pending, address(0));
        assertFalse(allocationManager.isRedistributingOperatorSet(set));
        vm.expectRevert(HelloWorldAVS.AlreadyOpen.selector);
        avs.open();
    }

    function test_aFaultCostsSomethingAndAtMostAll() public {
        vm.expectRevert(abi.encodeWithSelector(HelloWorldAVS.InvalidWad.selector, 0));
        new HelloWorldAVS(allocationManager, strategy, 0);
        vm.expectRevert(abi.encodeWithSelector(HelloWorldAVS.InvalidWad.selector, WAD + 1));
        new HelloWorldAVS(allocationManager, strategy, WAD + 1);
    }

    // The proof

    /// A stranger brings a signed wrong greeting, and EigenLayer takes the fixed part of the allocation.
    function test_aProvenWrongGreetingSlashes() public {
        uint256 taskId = avs.createTask("Alice");
        bytes memory signature = _signGreeting(KEY, taskId, "Alice", "Hello, Mallory!");
        uint256 stake = _stakeOf(operator);

        vm.expectEmit(address(avs));
        emit HelloWorldAVS.MisbehaviourProven(
            taskId, operator, stranger, vm.addr(KEY), "Hello, Mallory!", WAD_PER_FAULT, 1
        );
        vm.prank(stranger);
        avs.proveMisbehaviour(operator, taskId, "Hello, Mallory!", signature);

        uint256 lost = uint256(MAGNITUDE) * WAD_PER_FAULT / WAD;
        assertEq(allocationManager.getMaxMagnitude(operator, strategy), WAD - lost);
        assertEq(
            allocationManager.getAllocation(operator, OperatorSet(address(avs), SET), strategy).currentMagnitude,
            MAGNITUDE - lost
        );
        assertEq(_stakeOf(operator), stake * (WAD - lost) / WAD);
        assertEq(allocationManager.getSlashCount(OperatorSet(address(avs), SET)), 1);
        assertTrue(avs.isProven(operator, taskId));
    }

    /// For every name: the right greeting is never a fault, and every other one is.
    function testFuzz_exactlyTheWrongGreetingsAreFaults(string memory name, string memory greeting) public {
        vm.assume(bytes(name).length > 0 && bytes(name).length <= 64);
        string memory right = string.concat("Hello, ", name, "!");
        uint256 taskId = avs.createTask(name);

        bytes memory signature = _signGreeting(KEY, taskId, name, right);
        vm.expectRevert(abi.encodeWithSelector(HelloWorldAVS.GreetingIsRight.selector, taskId));
        avs.proveMisbehaviour(operator, taskId, right, signature);

        vm.assume(keccak256(bytes(greeting)) != keccak256(bytes(right)));
        signature = _signGreeting(KEY, taskId, name, greeting);
        avs.proveMisbehaviour(operator, taskId, greeting, signature);
        assertLt(allocationManager.getMaxMagnitude(operator, strategy), WAD);
    }

    /// One task costs one slash, whatever else was signed for it; another task costs another.
    function test_aFaultIsProvenOncePerTask() public {
        uint256 first = avs.createTask("Alice");
        uint256 second = avs.createTask("Alice");
        _prove(KEY, first, "Alice", "Bye");
        bytes memory again = _signGreeting(KEY, first, "Alice", "Bye");
        vm.expectRevert(abi.encodeWithSelector(HelloWorldAVS.AlreadyProven.selector, operator, first));
        avs.proveMisbehaviour(operator, first, "Bye", again);
        again = _signGreeting(KEY, first, "Alice", "Ciao");
        vm.expectRevert(abi.encodeWithSelector(HelloWorldAVS.AlreadyProven.selector, operator, first));
        avs.proveMisbehaviour(operator, first, "Ciao", again);
        _prove(KEY, second, "Alice", "Bye");
        assertEq(allocationManager.getSlashCount(OperatorSet(address(avs), SET)), 2);
    }

    /// The second valid form of a signature (n - s) and other lengths are refused, even for a fault not yet proven.
    function test_malleatedSignaturesAreRefused() public {
        uint256 taskId = avs.createTask("Alice");
        (uint8 v, bytes32 r, bytes32 s) =
            vm.sign(KEY, _greetingDigest(address(avs), block.chainid, taskId, block.number, "Alice", "Bye"));
        bytes32 high = bytes32(CURVE_ORDER - uint256(s));
        vm.expectRevert(abi.encodeWithSelector(ECDSA.ECDSAInvalidSignatureS.selector, high));
        avs.proveMisbehaviour(operator, taskId, "Bye", abi.encodePacked(r, high, v == 27 ? uint8(28) : uint8(27)));
        vm.expectRevert(abi.encodeWithSelector(ECDSA.ECDSAInvalidSignatureLength.selector, 66));
        avs.proveMisbehaviour(operator, taskId, "Bye", abi.encodePacked(r, s, v, uint8(0)));
        vm.expectRevert(ECDSA.ECDSAInvalidSignature.selector);
        avs.proveMisbehaviour(operator, taskId, "Bye", abi.encodePacked(r, s, uint8(29)));
        avs.proveMisbehaviour(operator, taskId, "Bye", abi.encodePacked(r, s, v));
    }

    // What is no proof

    function test_signaturesForAnotherChainProveNothing() public {
        uint256 taskId = avs.createTask("Alice");
        bytes32 digest = _greetingDigest(address(avs), block.chainid + 1, taskId, block.number, "Alice", "Bye");
        _expectNoProof(operator, taskId, "Bye", _sign(KEY, digest));
    }

    function test_signaturesForAnotherServiceProveNothing() public {
        HelloWorldAVS other = new HelloWorldAVS(allocationManager, strategy, WAD_PER_FAULT);
        uint256 taskId = avs.createTask("Alice");
        assertEq(other.createTask("Alice"), taskId);
        bytes32 digest = other.greetingDigest(taskId, "Bye");
        _expectNoProof(operator, taskId, "Bye", _sign(KEY, digest));
    }

    /// Neither the wrong greeting of one operator slashes another, nor can anybody be slashed in his own name.
    function test_signaturesOfAnotherOperatorProveNothing() public {
        address other = _newOperator("other");
        _join(other, OTHER_KEY);
        _allocate(other, address(avs), SET, MAGNITUDE);
        uint256 taskId = avs.createTask("Alice");
        bytes memory signature = _signGreeting(KEY, taskId, "Alice", "Bye");
        _expectNoProof(other, taskId, "Bye", signature);
        avs.proveMisbehaviour(operator, taskId, "Bye", signature);
        assertEq(allocationManager.getMaxMagnitude(other, strategy), WAD);
        assertFalse(avs.isProven(other, taskId));
    }

    function test_signaturesOfUnregisteredKeysProveNothing() public {
        uint256 taskId = avs.createTask("Alice");
        bytes memory signature = _signGreeting(OTHER_KEY, taskId, "Alice", "Bye");
        _expectNoProof(operator, taskId, "Bye", signature);
        _expectNoProof(vm.addr(OTHER_KEY), taskId, "Bye", signature);
        _expectNoProof(address(0), taskId, "Bye", signature);
    }

    function test_thereIsNoProofForAnUnknownTask() public {
        bytes memory signature = _signGreeting(KEY, 1, "Alice", "Bye");
        vm.expectRevert(abi.encodeWithSelector(HelloWorldAVS.UnknownTask.selector, 1));
        avs.proveMisbehaviour(operator, 1, "Bye", signature);
        vm.expectRevert(abi.encodeWithSelector(HelloWorldAVS.UnknownTask.selector, 0));
        avs.proveMisbehaviour(operator, 0, "Bye", signature);
    }

    /// If a reorganisation puts another name, or the same name in another block, behind an id, an honest answer to the
    /// task that vanished is no fault.
    function test_answersToAReorganisedTaskProveNothing() public {
        bytes32 digest = _greetingDigest(address(avs), block.chainid, 1, block.number, "Alice", "Hello, Alice!");
        uint256 taskId = avs.createTask("Bob");
        _expectNoProof(operator, taskId, "Hello, Alice!", _sign(KEY, digest));

        digest = _greetingDigest(address(avs), block.chainid, 2, block.number - 1, "Carol", "Hi");
        taskId = avs.createTask("Carol");
        _expectNoProof(operator, taskId, "Hi", _sign(KEY, digest));
    }

    /// A greeting other than the signed one is not what the operator said.
    function testFuzz_aSignatureCoversItsGreetingOnly(string memory claimed) public {
        vm.assume(keccak256(bytes(claimed)) != keccak256("Hello, Alice!"));
        uint256 taskId = avs.createTask("Alice");
        _expectNoProof(operator, taskId, claimed, _signGreeting(KEY, taskId, "Alice", "Hello, Alice!"));
    }

    // Leaving

    /// An operator who leaves answers no more, but what he signed costs him for as long as EigenLayer lets it.
    function test_leavingDoesNotEscapeAProof() public {
        uint256 first = avs.createTask("Alice");
        uint256 second = avs.createTask("Bob");
        bytes memory signature = _signGreeting(KEY, second, "Bob", "Bye");
        _deregister(operator, address(avs), SET);
        assertEq(avs.signingKey(operator), address(0));
        uint256 left = block.number;

        bytes memory right = _signGreeting(KEY, first, "Alice", "Hello, Alice!");
        vm.expectRevert(abi.encodeWithSelector(HelloWorldAVS.KeyRetired.selector, vm.addr(KEY)));
        avs.respond(first, operator, "Hello, Alice!", right);

        bytes memory wrong = _signGreeting(KEY, first, "Alice", "Bye");
        vm.roll(left + DEALLOCATION_DELAY);
        avs.proveMisbehaviour(operator, first, "Bye", wrong);
        uint64 magnitude = allocationManager.getMaxMagnitude(operator, strategy);
        assertLt(magnitude, WAD);

        vm.roll(left + DEALLOCATION_DELAY + 1);
        vm.expectRevert(LocalAllocationManager.OperatorNotSlashable.selector);
        avs.proveMisbehaviour(operator, second, "Bye", signature);
        assertFalse(avs.isProven(operator, second), "a fault that could not be slashed stays unproven");
        assertEq(allocationManager.getMaxMagnitude(operator, strategy), magnitude);
    }

    /// Without anything at stake a proof is refused and kept for later, so that an accomplice cannot use it up.
    function test_aFaultIsNotUsedUpWhileNothingIsAtStake() public {
        address bare = _newOperator("bare");
        _join(bare, OTHER_KEY);
        uint256 taskId = avs.createTask("Alice");
        bytes memory signature = _signGreeting(OTHER_KEY, taskId, "Alice", "Bye");
        vm.expectRevert(abi.encodeWithSelector(HelloWorldAVS.NothingAtStake.selector, bare));
        avs.proveMisbehaviour(bare, taskId, "Bye", signature);
        _allocate(bare, address(avs), SET, 1e17);
        avs.proveMisbehaviour(bare, taskId, "Bye", signature);
        assertEq(allocationManager.getMaxMagnitude(bare, strategy), WAD - 1e17 * WAD_PER_FAULT / WAD);
    }

    // Keys

    function test_aKeyServesOneOperatorOnce() public {
        assertEq(avs.operatorOfKey(vm.addr(KEY)), operator);
        address other = _newOperator("other");
        bytes memory data = _keyData(KEY, other);
        vm.expectRevert(abi.encodeWithSelector(HelloWorldAVS.KeyAlreadyUsed.selector, vm.addr(KEY), operator));
        _register(other, address(avs), SET, data);

        _deregister(operator, address(avs), SET);
        vm.roll(block.number + DEALLOCATION_DELAY + 1);
        data = _keyData(KEY, operator);
        vm.expectRevert(abi.encodeWithSelector(HelloWorldAVS.KeyAlreadyUsed.selector, vm.addr(KEY), operator));
        _register(operator, address(avs), SET, data);
        _join(operator, OTHER_KEY);
        assertEq(avs.signingKey(operator), vm.addr(OTHER_KEY));
    }

    /// A key must say itself that it serves the operator; nobody can claim a foreign key, nor copy a registration.
    function test_aKeyProvesPossessionForItsOperator() public {
        address other = _newOperator("other");
        bytes32 digest = _keyDigest(operator);
        bytes memory data = abi.encode(vm.addr(OTHER_KEY), _sign(OTHER_KEY, digest));
        vm.expectPartialRevert(HelloWorldAVS.NoProofOfPossession.selector);
        _register(other, address(avs), SET, data);

        data = abi.encode(vm.addr(OTHER_KEY), _sign(0xDEAD, _keyDigest(other)));
        vm.expectRevert(
            abi.encodeWithSelector(HelloWorldAVS.NoProofOfPossession.selector, vm.addr(OTHER_KEY), vm.addr(0xDEAD))
        );
        _register(other, address(avs), SET, data);

        vm.expectRevert();
        _register(other, address(avs), SET, "");
    }

    function test_onlyEigenLayerAsksTheRegistrarAndOnlyForItself() public {
        bytes memory data = _keyData(OTHER_KEY, stranger);
        vm.startPrank(stranger);
        vm.expectRevert(abi.encodeWithSelector(HelloWorldAVS.OnlyAllocationManager.selector, stranger));
        avs.registerOperator(stranger, address(avs), _ids(SET), data);
        vm.expectRevert(abi.encodeWithSelector(HelloWorldAVS.OnlyAllocationManager.selector, stranger));
        avs.deregisterOperator(operator, address(avs), _ids(SET));
        vm.stopPrank();
        vm.startPrank(address(allocationManager));
        vm.expectRevert(abi.encodeWithSelector(HelloWorldAVS.ForeignAVS.selector, stranger));
        avs.registerOperator(stranger, stranger, _ids(SET), data);
        vm.expectRevert(HelloWorldAVS.WrongOperatorSets.selector);
        avs.registerOperator(stranger, address(avs), _ids(SET + 1), data);
        vm.stopPrank();
        assertTrue(avs.supportsAVS(address(avs)));
        assertFalse(avs.supportsAVS(stranger));
    }

    // The honest path

    function test_aRightGreetingIsRecordedOnce() public {
        uint256 taskId = avs.createTask("Alice");
        assertEq(avs.rightGreeting(taskId), "Hello, Alice!");
        bytes memory signature = _signGreeting(KEY, taskId, "Alice", "Hello, Alice!");
        vm.expectEmit(address(avs));
        emit HelloWorldAVS.Greeted(taskId, operator, vm.addr(KEY), "Hello, Alice!");
        vm.prank(stranger);
        avs.respond(taskId, operator, "Hello, Alice!", signature);
        assertTrue(avs.hasResponded(operator, taskId));
        vm.expectRevert(abi.encodeWithSelector(HelloWorldAVS.AlreadyResponded.selector, operator, taskId));
        avs.respond(taskId, operator, "Hello, Alice!", signature);
    }

    function test_aWrongGreetingIsNoAnswer() public {
        uint256 taskId = avs.createTask("Alice");
        bytes memory signature = _signGreeting(KEY, taskId, "Alice", "Hello, Alice");
        vm.expectRevert(abi.encodeWithSelector(HelloWorldAVS.WrongGreeting.selector, taskId));
        avs.respond(taskId, operator, "Hello, Alice", signature);
    }

    function test_tasksHaveNamesOfOneTo64Bytes() public {
        vm.expectRevert(abi.encodeWithSelector(HelloWorldAVS.InvalidNameLength.selector, 0));
        avs.createTask("");
        string memory longest = "0123456789012345678901234567890123456789012345678901234567890123";
        vm.expectEmit(address(avs));
        emit HelloWorldAVS.TaskCreated(1, stranger, longest);
        vm.prank(stranger);
        assertEq(avs.createTask(longest), 1);
        assertEq(avs.getTask(1).name, longest);
        assertEq(avs.getTask(1).blockNumber, block.number);
        vm.expectRevert(abi.encodeWithSelector(HelloWorldAVS.InvalidNameLength.selector, 65));
        avs.createTask(string.concat(longest, "4"));
    }

    // Helpers. The digests are written out once more here, as a signer outside the chain builds them.

    function _join(address who, uint256 key) private {
        _register(who, address(avs), SET, _keyData(key, who));
    }

    function _keyData(uint256 key, address who) private view returns (bytes memory) {
        return abi.encode(vm.addr(key), _sign(key, _keyDigest(who)));
    }

    function _prove(uint256 key, uint256 taskId, string memory name, string memory greeting) private {
        avs.proveMisbehaviour(operator, taskId, greeting, _signGreeting(key, taskId, name, greeting));
    }

    function _expectNoProof(address who, uint256 taskId, string memory greeting, bytes memory signature) private {
        vm.expectPartialRevert(HelloWorldAVS.NotSignedByOperator.selector);
        avs.proveMisbehaviour(who, taskId, greeting, signature);
    }

    function _signGreeting(uint256 key, uint256 taskId, string memory name, string memory greeting)
        private
        view
        returns (bytes memory)
    {
        return _sign(key, _greetingDigest(address(avs), block.chainid, taskId, block.number, name, greeting));
    }

    function _sign(uint256 key, bytes32 digest) private pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    function _greetingDigest(
        address verifier,
        uint256 chainId,
        uint256 taskId,
        uint256 taskBlock,
        string memory name,
        string memory greeting
    ) private pure returns (bytes32) {
        bytes32 typeHash = keccak256("Greeting(uint256 taskId,uint256 taskBlock,string name,string greeting)");
        bytes32 content =
            keccak256(abi.encode(typeHash, taskId, taskBlock, keccak256(bytes(name)), keccak256(bytes(greeting))));
        return keccak256(abi.encodePacked(hex"1901", _domain(verifier, chainId), content));
    }

    function _keyDigest(address who) private view returns (bytes32) {
        bytes32 content = keccak256(abi.encode(keccak256("SigningKey(address operator)"), who));
        return keccak256(abi.encodePacked(hex"1901", _domain(address(avs), block.chainid), content));
    }

    function _domain(address verifier, uint256 chainId) private pure returns (bytes32) {
        return keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("HelloWorldAVS"),
                keccak256("1"),
                chainId,
                verifier
            )
        );
    }
}
