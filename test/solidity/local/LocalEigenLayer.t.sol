// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;
import {Test} from "forge-std/Test.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {LocalEigenLayer} from "../../../contracts/local/eigenlayer/LocalEigenLayer.sol";
import {LocalEigenLayerDeployer} from "../../../contracts/local/eigenlayer/LocalEigenLayerDeployer.sol";

contract LocalEigenLayerTest is Test {
    function test_deploys() public {
        LocalEigenLayer el = LocalEigenLayerDeployer.deploy(address(this));
        assertEq(el.delegationManager().minWithdrawalDelayBlocks(), 100_800);
        assertEq(el.allocationManager().DEALLOCATION_DELAY(), 100_800);
        assertEq(el.allocationManager().SLASHER_CONFIGURATION_DELAY(), 126_000);
        assertEq(el.rewardsCoordinator().activationDelay(), 7 days);
    }
}
