// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IRewardsCoordinator} from "../../../contracts/interfaces/external/IEigenLayer.sol";
import {LocalModule} from "../../../contracts/local/eigenlayer/LocalModule.sol";
import {LocalRewardsCoordinator} from "../../../contracts/local/eigenlayer/LocalRewardsCoordinator.sol";
import {LocalEigenLayerBase, StakeToken} from "./LocalEigenLayerBase.t.sol";

/// Rewards roots and claims. The tree of these tests has two earners, and the operator has two tokens.
contract LocalEigenLayerRewardsTest is LocalEigenLayerBase {
    StakeToken private second;
    address private recipient = makeAddr("recipient");
    bytes32 private constant OTHER_EARNER = keccak256("the other earner's leaf");

    function setUp() public override {
        super.setUp();
        second = new StakeToken();
        token.mint(address(rc), 100e18);
        second.mint(address(rc), 100e18);
    }

    /// A claim pays every token's difference to the last claim, to any recipient.
    function test_aClaimPaysTheDifferenceToTheLastOne() public {
        IRewardsCoordinator.RewardsMerkleClaim memory claim = _submitted(10e18, 4e18);
        assertTrue(rc.checkClaim(claim));
        vm.expectEmit(address(rc));
        emit LocalRewardsCoordinator.RewardsClaimed(
            rc.getDistributionRootAtIndex(0).root, operator, operator, recipient, token, 10e18
        );
        _claim(operator, claim);
        assertEq(token.balanceOf(recipient), 10e18);
        assertEq(second.balanceOf(recipient), 4e18);
        assertEq(rc.cumulativeClaimed(operator, token), 10e18);

        claim = _submitted(25e18, 5e18);
        _claim(operator, claim);
        assertEq(token.balanceOf(recipient), 25e18);
        assertEq(second.balanceOf(recipient), 5e18);
        assertEq(rc.getDistributionRootsLength(), 2);
    }

    /// The same claim a second time pays nothing, and says so.
    function test_nothingIsPaidTwice() public {
        IRewardsCoordinator.RewardsMerkleClaim memory claim = _submitted(10e18, 4e18);
        _claim(operator, claim);
        _expectClaimRevert(operator, claim, LocalRewardsCoordinator.EarningsNotGreaterThanClaimed.selector);
        assertEq(token.balanceOf(recipient), 10e18);
    }

    /// Only the earner claims, or the one it named and then only he.
    function test_onlyTheEarnerOrItsClaimerClaims() public {
        IRewardsCoordinator.RewardsMerkleClaim memory claim = _submitted(10e18, 4e18);
        _expectClaimRevert(outsider, claim, LocalRewardsCoordinator.UnauthorizedCaller.selector);
        vm.expectEmit(address(rc));
        emit LocalRewardsCoordinator.ClaimerForSet(operator, address(0), outsider);
        vm.prank(operator);
        rc.setClaimerFor(outsider);
        _expectClaimRevert(operator, claim, LocalRewardsCoordinator.UnauthorizedCaller.selector);
        _claim(outsider, claim);
        assertEq(token.balanceOf(recipient), 10e18);
    }

    /// A root pays from its activation on, to the second.
    function test_aRootPaysAfterTheActivationDelay() public {
        (bytes32 root, IRewardsCoordinator.RewardsMerkleClaim memory claim) = _tree(1e18, 1e18);
        _submit(root);
        uint256 active = block.timestamp + 7 days;
        vm.warp(active - 1);
        assertEq(rc.getCurrentClaimableDistributionRoot().root, bytes32(0));
        _expectClaimRevert(operator, claim, LocalRewardsCoordinator.RootNotActivated.selector);
        vm.warp(active);
        assertEq(rc.getCurrentClaimableDistributionRoot().root, root);
        _claim(operator, claim);
    }

    /// A root can be taken back until it is active, and never pays then.
    function test_aRootCanBeTakenBackUntilItIsActive() public {
        (bytes32 root, IRewardsCoordinator.RewardsMerkleClaim memory claim) = _tree(1e18, 1e18);
        _submit(root);
        vm.prank(outsider);
        vm.expectRevert(LocalRewardsCoordinator.UnauthorizedCaller.selector);
        rc.disableRoot(0);
        vm.startPrank(owner);
        vm.expectRevert(LocalRewardsCoordinator.InvalidRootIndex.selector);
        rc.disableRoot(1);
        rc.disableRoot(0);
        vm.expectRevert(LocalRewardsCoordinator.RootDisabled.selector);
        rc.disableRoot(0);
        vm.stopPrank();
        vm.warp(block.timestamp + 7 days);
        _expectClaimRevert(operator, claim, LocalRewardsCoordinator.RootDisabled.selector);

        claim = _submitted(1e18, 1e18);
        vm.prank(owner);
        vm.expectRevert(LocalRewardsCoordinator.RootAlreadyActivated.selector);
        rc.disableRoot(1);
    }

    /// Only the updater submits, for a finished period later than the last one.
    function test_rootsComeFromTheUpdaterInOrder() public {
        vm.prank(outsider);
        vm.expectRevert(LocalRewardsCoordinator.UnauthorizedCaller.selector);
        rc.submitRoot(bytes32(uint256(1)), 1);
        vm.startPrank(owner);
        vm.expectRevert(LocalRewardsCoordinator.RewardsEndTimestampNotElapsed.selector);
        rc.submitRoot(bytes32(uint256(1)), uint32(block.timestamp));
        rc.submitRoot(bytes32(uint256(1)), uint32(block.timestamp - 1));
        vm.expectRevert(LocalRewardsCoordinator.NewRootMustBeForNewCalculatedPeriod.selector);
        rc.submitRoot(bytes32(uint256(1)), uint32(block.timestamp - 1));
        vm.stopPrank();
    }

    /// An empty root lets nobody claim.
    function test_anEmptyRootPaysNobody() public {
        (, IRewardsCoordinator.RewardsMerkleClaim memory claim) = _tree(1e18, 1e18);
        _submit(bytes32(0));
        vm.warp(block.timestamp + 7 days);
        _expectClaimRevert(operator, claim, LocalRewardsCoordinator.EmptyRoot.selector);
    }

    /// Forged amounts, earners, positions and proofs are refused.
    function test_forgedClaimsAreRefused() public {
        IRewardsCoordinator.RewardsMerkleClaim memory claim = _submitted(10e18, 4e18);
        bytes4 wrong = LocalRewardsCoordinator.InvalidClaimProof.selector;

        claim.tokenLeaves[0].cumulativeEarnings += 1;
        _expectClaimRevert(operator, claim, wrong);
        claim.tokenLeaves[0].cumulativeEarnings -= 1;

        claim.earnerLeaf.earner = outsider;
        _expectClaimRevert(outsider, claim, wrong);
        claim.earnerLeaf.earner = operator;

        claim.earnerIndex = 0;
        _expectClaimRevert(operator, claim, wrong);
        claim.earnerIndex = 3;
        _expectClaimRevert(operator, claim, LocalRewardsCoordinator.InvalidEarnerLeafIndex.selector);
        claim.earnerIndex = 1;

        claim.tokenIndices[1] = 2;
        _expectClaimRevert(operator, claim, LocalRewardsCoordinator.InvalidTokenLeafIndex.selector);
        claim.tokenIndices[1] = 1;

        bytes memory proof = claim.earnerTreeProof;
        claim.earnerTreeProof = bytes.concat(proof, hex"00");
        _expectClaimRevert(operator, claim, LocalRewardsCoordinator.InvalidProofLength.selector);
        claim.earnerTreeProof = proof;

        claim.tokenIndices = new uint32[](1);
        _expectClaimRevert(operator, claim, LocalRewardsCoordinator.InputArrayLengthMismatch.selector);
        claim.tokenIndices = new uint32[](2);
        claim.tokenIndices[1] = 1;
        claim.rootIndex = 1;
        vm.prank(operator);
        vm.expectRevert(abi.encodeWithSignature("Panic(uint256)", 0x32));
        rc.processClaim(claim, recipient);
        claim.rootIndex = 0;
        _claim(operator, claim);
    }

    /// Pause bit 2 stops claims, bit 3 stops roots.
    function test_pauseBitsOfRewards() public {
        IRewardsCoordinator.RewardsMerkleClaim memory claim = _submitted(1e18, 1e18);
        vm.startPrank(owner);
        rc.pause((1 << 2) | (1 << 3));
        vm.expectRevert(LocalModule.CurrentlyPaused.selector);
        rc.submitRoot(bytes32(uint256(1)), uint32(block.timestamp - 1));
        vm.expectRevert(LocalModule.CurrentlyPaused.selector);
        rc.disableRoot(0);
        vm.stopPrank();
        _expectClaimRevert(operator, claim, LocalModule.CurrentlyPaused.selector);
    }

    /// Builds the operator's claim at index 1 of the earner tree, with both of his tokens.
    function _tree(uint256 ofFirst, uint256 ofSecond)
        private
        view
        returns (bytes32 root, IRewardsCoordinator.RewardsMerkleClaim memory claim)
    {
        claim.tokenLeaves = new IRewardsCoordinator.TokenTreeMerkleLeaf[](2);
        claim.tokenLeaves[0] = IRewardsCoordinator.TokenTreeMerkleLeaf(token, ofFirst);
        claim.tokenLeaves[1] = IRewardsCoordinator.TokenTreeMerkleLeaf(second, ofSecond);
        bytes32 first = keccak256(abi.encodePacked(uint8(1), address(token), ofFirst));
        bytes32 last = keccak256(abi.encodePacked(uint8(1), address(second), ofSecond));
        claim.tokenIndices = new uint32[](2);
        claim.tokenIndices[1] = 1;
        claim.tokenTreeProofs = new bytes[](2);
        claim.tokenTreeProofs[0] = abi.encodePacked(last);
        claim.tokenTreeProofs[1] = abi.encodePacked(first);

        claim.earnerLeaf = IRewardsCoordinator.EarnerTreeMerkleLeaf(operator, keccak256(bytes.concat(first, last)));
        claim.earnerIndex = 1;
        claim.earnerTreeProof = abi.encodePacked(OTHER_EARNER);
        bytes32 leaf = keccak256(abi.encodePacked(uint8(0), operator, claim.earnerLeaf.earnerTokenRoot));
        root = keccak256(bytes.concat(OTHER_EARNER, leaf));
        claim.rootIndex = uint32(rc.getDistributionRootsLength());
    }

    function _submit(bytes32 root) private {
        vm.prank(owner);
        rc.submitRoot(root, uint32(block.timestamp - 1));
    }

    function _submitted(uint256 ofFirst, uint256 ofSecond)
        private
        returns (IRewardsCoordinator.RewardsMerkleClaim memory claim)
    {
        bytes32 root;
        (root, claim) = _tree(ofFirst, ofSecond);
        _submit(root);
        vm.warp(block.timestamp + 7 days);
    }

    function _claim(address who, IRewardsCoordinator.RewardsMerkleClaim memory claim) private {
        vm.prank(who);
        rc.processClaim(claim, recipient);
    }

    function _expectClaimRevert(address who, IRewardsCoordinator.RewardsMerkleClaim memory claim, bytes4 error)
        private
    {
        vm.prank(who);
        vm.expectRevert(error);
        rc.processClaim(claim, recipient);
    }
}
