// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IRewardsCoordinator} from "../../interfaces/external/IEigenLayer.sol";
import {LocalEigenLayer} from "./LocalEigenLayer.sol";
import {LocalModule} from "./LocalModule.sol";

/// @title Local stand-in of EigenLayer's RewardsCoordinator
/// @notice Pays rewards from Merkle roots. Whoever wants to pay rewards transfers the tokens to this contract and has
/// the owner of the stand-in submit a root; the off-chain calculation and its inputs are not part of the stand-in.
/// @dev A root covers earners, each of whom has a root over his tokens with what he has earned since the beginning.
contract LocalRewardsCoordinator is LocalModule, IRewardsCoordinator {
    using SafeERC20 for IERC20;

    /// @dev Pause bit of claims.
    uint8 private constant PAUSED_PROCESS_CLAIM = 2;
    /// @dev Pause bit of roots.
    uint8 private constant PAUSED_SUBMIT_DISABLE_ROOTS = 3;
    /// @dev First byte of what an earner leaf hashes.
    uint8 private constant EARNER_LEAF_SALT = 0;
    /// @dev First byte of what a token leaf hashes.
    uint8 private constant TOKEN_LEAF_SALT = 1;

    DistributionRoot[] private _distributionRoots;

    /// @notice Seconds between a root and the first claim from it.
    uint32 public immutable activationDelay;

    /// @notice End of the period of the latest root (Unix seconds).
    uint32 public currRewardsCalculationEndTimestamp;

    /// @inheritdoc IRewardsCoordinator
    mapping(address earner => address claimer) public claimerFor;
    /// @inheritdoc IRewardsCoordinator
    mapping(address earner => mapping(IERC20 token => uint256)) public cumulativeClaimed;

    /// @notice A root was submitted.
    event DistributionRootSubmitted(
        uint32 indexed rootIndex,
        bytes32 indexed root,
        uint32 indexed rewardsCalculationEndTimestamp,
        uint32 activatedAt
    );
    /// @notice A root was disabled before it became active.
    event DistributionRootDisabled(uint32 indexed rootIndex);
    /// @notice `claimer` alone claims for `earner`.
    event ClaimerForSet(address indexed earner, address indexed oldClaimer, address indexed claimer);
    /// @notice Rewards were paid.
    event RewardsClaimed(
        bytes32 root,
        address indexed earner,
        address indexed claimer,
        address indexed recipient,
        IERC20 token,
        uint256 claimedAmount
    );

    /// @notice Neither the updater of roots nor the one who claims for the earner.
    error UnauthorizedCaller();
    /// @notice A root must cover a later period than the one before.
    error NewRootMustBeForNewCalculatedPeriod();
    /// @notice The period is not over.
    error RewardsEndTimestampNotElapsed();
    /// @notice No such root.
    error InvalidRootIndex();
    /// @notice The root to prove against is zero.
    error EmptyRoot();
    /// @notice The root has been disabled.
    error RootDisabled();
    /// @notice The root is active: too late to disable it.
    error RootAlreadyActivated();
    /// @notice The activation delay is not over.
    error RootNotActivated();
    /// @notice Arrays of different lengths.
    error InputArrayLengthMismatch();
    /// @notice A proof is not a whole number of hashes.
    error InvalidProofLength();
    /// @notice The index does not fit the depth of the earner tree.
    error InvalidEarnerLeafIndex();
    /// @notice The index does not fit the depth of the token tree.
    error InvalidTokenLeafIndex();
    /// @notice The proof does not lead to the root.
    error InvalidClaimProof();
    /// @notice Nothing earned since the last claim.
    error EarningsNotGreaterThanClaimed();

    modifier onlyUpdater() {
        if (msg.sender != rewardsUpdater()) revert UnauthorizedCaller();
        _;
    }

    /// @param book_ The address book.
    constructor(LocalEigenLayer book_) LocalModule(book_) {
        (,,,, activationDelay) = book_.delays();
    }

    /// @notice Submits the root of a finished period; only the updater.
    function submitRoot(bytes32 root, uint32 rewardsCalculationEndTimestamp)
        external
        whenNotPaused(PAUSED_SUBMIT_DISABLE_ROOTS)
        onlyUpdater
    {
        if (rewardsCalculationEndTimestamp <= currRewardsCalculationEndTimestamp) {
            revert NewRootMustBeForNewCalculatedPeriod();
        }
        if (rewardsCalculationEndTimestamp >= block.timestamp) revert RewardsEndTimestampNotElapsed();
        currRewardsCalculationEndTimestamp = rewardsCalculationEndTimestamp;
        uint32 activatedAt = uint32(block.timestamp) + activationDelay;
        uint32 index = uint32(_distributionRoots.length);
        _distributionRoots.push(DistributionRoot(root, rewardsCalculationEndTimestamp, activatedAt, false));
        emit DistributionRootSubmitted(index, root, rewardsCalculationEndTimestamp, activatedAt);
    }

    /// @notice Takes back a root that is not active yet; only the updater.
    function disableRoot(uint32 rootIndex) external whenNotPaused(PAUSED_SUBMIT_DISABLE_ROOTS) onlyUpdater {
        if (rootIndex >= _distributionRoots.length) revert InvalidRootIndex();
        DistributionRoot storage root = _distributionRoots[rootIndex];
        if (root.disabled) revert RootDisabled();
        if (block.timestamp >= root.activatedAt) revert RootAlreadyActivated();
        root.disabled = true;
        emit DistributionRootDisabled(rootIndex);
    }

    /// @inheritdoc IRewardsCoordinator
    function setClaimerFor(address claimer) external {
        emit ClaimerForSet(msg.sender, claimerFor[msg.sender], claimer);
        claimerFor[msg.sender] = claimer;
    }

    /// @inheritdoc IRewardsCoordinator
    function processClaim(RewardsMerkleClaim calldata claim, address recipient)
        external
        whenNotPaused(PAUSED_PROCESS_CLAIM)
    {
        DistributionRoot memory root = _check(claim);
        address earner = claim.earnerLeaf.earner;
        address claimer = claimerFor[earner];
        if (claimer == address(0)) claimer = earner;
        if (msg.sender != claimer) revert UnauthorizedCaller();
        for (uint256 i; i < claim.tokenLeaves.length; ++i) {
            TokenTreeMerkleLeaf calldata leaf = claim.tokenLeaves[i];
            uint256 claimed = cumulativeClaimed[earner][leaf.token];
            if (leaf.cumulativeEarnings <= claimed) revert EarningsNotGreaterThanClaimed();
            uint256 amount = leaf.cumulativeEarnings - claimed;
            cumulativeClaimed[earner][leaf.token] = leaf.cumulativeEarnings;
            leaf.token.safeTransfer(recipient, amount);
            emit RewardsClaimed(root.root, earner, claimer, recipient, leaf.token, amount);
        }
    }

    /// @inheritdoc IRewardsCoordinator
    function checkClaim(RewardsMerkleClaim calldata claim) external view returns (bool) {
        _check(claim);
        return true;
    }

    /// @inheritdoc IRewardsCoordinator
    function getDistributionRootsLength() external view returns (uint256) {
        return _distributionRoots.length;
    }

    /// @inheritdoc IRewardsCoordinator
    function getDistributionRootAtIndex(uint256 index) external view returns (DistributionRoot memory) {
        return _distributionRoots[index];
    }

    /// @notice The latest root that claims can be paid from; empty if there is none.
    function getCurrentClaimableDistributionRoot() external view returns (DistributionRoot memory root) {
        for (uint256 i = _distributionRoots.length; i > 0; --i) {
            root = _distributionRoots[i - 1];
            if (!root.disabled && block.timestamp >= root.activatedAt) return root;
        }
        delete root;
    }

    /// @notice Who submits roots: the owner of the stand-in.
    function rewardsUpdater() public view returns (address) {
        return book.owner();
    }

    /// @notice The hash of an earner leaf.
    function calculateEarnerLeafHash(EarnerTreeMerkleLeaf calldata leaf) public pure returns (bytes32) {
        return keccak256(abi.encodePacked(EARNER_LEAF_SALT, leaf.earner, leaf.earnerTokenRoot));
    }

    /// @notice The hash of a token leaf.
    function calculateTokenLeafHash(TokenTreeMerkleLeaf calldata leaf) public pure returns (bytes32) {
        return keccak256(abi.encodePacked(TOKEN_LEAF_SALT, leaf.token, leaf.cumulativeEarnings));
    }

    function _check(RewardsMerkleClaim calldata claim) private view returns (DistributionRoot memory root) {
        root = _distributionRoots[claim.rootIndex];
        if (root.disabled) revert RootDisabled();
        if (block.timestamp < root.activatedAt) revert RootNotActivated();
        uint256 n = claim.tokenIndices.length;
        if (n != claim.tokenTreeProofs.length || n != claim.tokenLeaves.length) revert InputArrayLengthMismatch();

        if (claim.earnerIndex >= _leaves(claim.earnerTreeProof)) revert InvalidEarnerLeafIndex();
        _verify(calculateEarnerLeafHash(claim.earnerLeaf), claim.earnerIndex, claim.earnerTreeProof, root.root);
        bytes32 tokenRoot = claim.earnerLeaf.earnerTokenRoot;
        for (uint256 i; i < n; ++i) {
            bytes calldata proof = claim.tokenTreeProofs[i];
            if (claim.tokenIndices[i] >= _leaves(proof)) revert InvalidTokenLeafIndex();
            _verify(calculateTokenLeafHash(claim.tokenLeaves[i]), claim.tokenIndices[i], proof, tokenRoot);
        }
    }

    /// @dev How many leaves a tree with this proof has; no index has more than 32 bits.
    function _leaves(bytes calldata proof) private pure returns (uint256) {
        if (proof.length % 32 != 0) revert InvalidProofLength();
        return 1 << (proof.length / 32);
    }

    /// @dev Climbs from a leaf to the root: bit i of the index tells on which side the sibling at height i stands.
    function _verify(bytes32 node, uint256 index, bytes calldata proof, bytes32 root) private pure {
        if (root == bytes32(0)) revert EmptyRoot();
        for (uint256 i; i < proof.length; i += 32) {
            bytes32 sibling = bytes32(proof[i:i + 32]);
            node = index & 1 == 0 ? keccak256(bytes.concat(node, sibling)) : keccak256(bytes.concat(sibling, node));
            index >>= 1;
        }
        if (node != root) revert InvalidClaimProof();
    }
}
