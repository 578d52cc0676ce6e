// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IRewardsCoordinator} from "../../../contracts/interfaces/external/IEigenLayer.sol";
import {LocalRewardsCoordinator} from "../../../contracts/local/eigenlayer/LocalRewardsCoordinator.sol";
import {Rewards} from "../../../contracts/modules/Rewards.sol";
import {UnitFixture} from "../core/UnitFixture.sol";
import {RewardToken} from "./RewardTokens.sol";

/// @notice One tier of two agents whose AVSs pay. Agents earn 10 % for their operator (this contract) and 5 % for the
/// protocol; the treasury has no code, so what it earns is counted only.
abstract contract RewardsFixture is UnitFixture {
    uint16 internal constant OPERATOR_FEE = 1_000;
    uint16 internal constant PROTOCOL_FEE = 500;
    uint256 internal constant ACTIVATION = 7 days / BLOCK;

    Rewards internal rewards;
    LocalRewardsCoordinator internal coordinator;
    RewardToken internal token;
    address internal buyer = makeAddr("buyer");
    mapping(address earner => mapping(IERC20 => uint256)) internal earned;

    function setUp() public virtual {
        _setUpTier(2, 4, QUARTER, 1);
        rewards = Rewards(factory.rewardsOf(address(d.tier)));
        coordinator = eigen.rewardsCoordinator();
        token = new RewardToken();
        rewards.setProtocolFee(PROTOCOL_FEE);
        for (uint256 i; i < 2; ++i) {
            rewards.setOperatorFee(address(d.agents[i]), OPERATOR_FEE);
        }
        _fund();
        _skip(3 days / BLOCK);
        d.tier.sync();
    }

    // ---- AVSs pay, EigenLayer publishes

    /// @dev An AVS pays an agent; its claim is open when this returns, a week later.
    function _reward(address earner, IERC20 what, uint256 amount)
        internal
        returns (IRewardsCoordinator.RewardsMerkleClaim memory claim)
    {
        IERC20[] memory tokens = new IERC20[](1);
        uint256[] memory amounts = new uint256[](1);
        (tokens[0], amounts[0]) = (what, amount);
        return _rewardAll(earner, tokens, amounts);
    }

    function _rewardAll(address earner, IERC20[] memory tokens, uint256[] memory amounts)
        internal
        returns (IRewardsCoordinator.RewardsMerkleClaim memory claim)
    {
        claim = _publish(earner, tokens, amounts);
        _skip(ACTIVATION);
    }

    /// @dev Pays into the coordinator and submits a root of a period that ends now.
    function _publish(address earner, IERC20[] memory tokens, uint256[] memory amounts)
        internal
        returns (IRewardsCoordinator.RewardsMerkleClaim memory claim)
    {
        claim.tokenLeaves = new IRewardsCoordinator.TokenTreeMerkleLeaf[](tokens.length);
        claim.tokenIndices = new uint32[](tokens.length);
        bytes32[] memory leaves = new bytes32[](tokens.length);
        for (uint256 i; i < tokens.length; ++i) {
            _payIn(tokens[i], amounts[i]);
            earned[earner][tokens[i]] += amounts[i];
            claim.tokenLeaves[i] = IRewardsCoordinator.TokenTreeMerkleLeaf(tokens[i], earned[earner][tokens[i]]);
            claim.tokenIndices[i] = uint32(i);
            leaves[i] = keccak256(abi.encodePacked(uint8(1), address(tokens[i]), earned[earner][tokens[i]]));
        }
        bytes32 root;
        (root, claim.tokenTreeProofs) = _tree(leaves);
        claim.earnerLeaf = IRewardsCoordinator.EarnerTreeMerkleLeaf(earner, root);
        claim.rootIndex = uint32(coordinator.getDistributionRootsLength());
        claim.earnerIndex = 1;
        bytes32 other = keccak256("another earner");
        claim.earnerTreeProof = abi.encodePacked(other);
        bytes32 leaf = keccak256(abi.encodePacked(uint8(0), earner, root));
        coordinator.submitRoot(keccak256(bytes.concat(other, leaf)), uint32(block.timestamp - 1));
    }

    /// @dev A complete binary tree over the leaves, filled up to a power of two; proofs from the leaf upwards.
    function _tree(bytes32[] memory leaves) private pure returns (bytes32 root, bytes[] memory proofs) {
        uint256 width = 1;
        while (width < leaves.length) width *= 2;
        bytes32[] memory level = new bytes32[](width);
        for (uint256 i; i < width; ++i) {
            level[i] = i < leaves.length ? leaves[i] : keccak256("filler");
        }
        proofs = new bytes[](leaves.length);
        for (uint256 height; width > 1; ++height) {
            for (uint256 i; i < leaves.length; ++i) {
                proofs[i] = bytes.concat(proofs[i], level[(i >> height) ^ 1]);
            }
            width /= 2;
            for (uint256 i; i < width; ++i) {
                level[i] = keccak256(bytes.concat(level[2 * i], level[2 * i + 1]));
            }
        }
        root = level[0];
    }

    function _payIn(IERC20 what, uint256 amount) private {
        if (address(what) == address(weth)) {
            vm.deal(address(this), address(this).balance + amount);
            weth.deposit{value: amount}();
            weth.transfer(address(coordinator), amount);
        } else if (address(what) == address(lido)) {
            vm.deal(address(this), address(this).balance + amount);
            lido.submit{value: amount}(address(0));
            lido.transfer(address(coordinator), amount);
        } else {
            RewardToken(address(what)).mint(address(coordinator), amount);
        }
    }

    /// @dev Pays an agent and harvests at once.
    function _harvest(uint256 agent, IERC20 what, uint256 amount) internal {
        rewards.harvest(_reward(address(d.agents[agent]), what, amount));
    }

    // ---- the buyer

    /// @dev Gives the buyer WETH, and Rewards his leave to take it.
    function _equipBuyer(uint256 wealth) internal {
        vm.deal(buyer, wealth);
        vm.startPrank(buyer);
        weth.deposit{value: wealth}();
        weth.approve(address(rewards), type(uint256).max);
        vm.stopPrank();
    }

    function _buy(IERC20 what, uint256 amount) internal returns (uint256 sold, uint256 payment) {
        vm.prank(buyer);
        return rewards.buy(what, amount, type(uint256).max, buyer);
    }

    // ---- what the books say

    function _gains() internal view returns (uint256) {
        return d.tier.books().gains;
    }

    function _pay(address who) internal view returns (uint256) {
        return rewards.payOf(who, IERC20(address(weth)));
    }

    function _weth() internal view returns (IERC20) {
        return IERC20(address(weth));
    }

    function _steth() internal view returns (IERC20) {
        return IERC20(address(lido));
    }

    /// @dev What is recorded is there, for every token that behaves.
    function _assertHeld(IERC20 what) internal view {
        assertGe(what.balanceOf(address(rewards)), rewards.recorded(what), "recorded tokens are there");
    }
}
