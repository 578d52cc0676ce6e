// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IStakeManager} from "../../../contracts/interfaces/IStakeManager.sol";
import {ITier} from "../../../contracts/interfaces/ITier.sol";
import {UnitFixture} from "./UnitFixture.sol";

/// @notice The way back through Lido: only what is needed, in Lido's sizes, and trued up when it is paid.
contract LidoModuleTest is UnitFixture {
    function setUp() public {
        _setUpTier(4, 4, QUARTER, 2);
        lido.report{value: 12_345 ether + 67}(12_345 ether + 67);
    }

    /// @dev `wanted` wei of senior shares are queued and as much stake is loose; junior `junior`.
    function _loose(uint256 junior, uint256 wanted) private {
        _deposit(d.junior, bob, junior);
        _deposit(d.senior, alice, d.senior.maxDeposit(alice));
        _deployAll(d);
        _request(true, alice, wanted);
        for (uint256 i; i < 4 && d.stakes.unbondNeed() != 0; ++i) {
            d.stakes.unbond();
        }
        _skip(DELAY + 1);
        for (uint256 i; i < 4; ++i) {
            if (d.risk.agent(i).exits != 0) d.stakes.complete(i, 0);
        }
    }

    function _need() private view returns (uint256) {
        (uint256 wanted, uint256 idle,,, uint256 unstaking) = d.stakes.liquidity();
        return wanted > idle + unstaking ? wanted - idle - unstaking : 0;
    }

    function test_OnlyWhatIsNeededIsRequested() public {
        _loose(100 ether, 30 ether);
        _deposit(d.junior, bob, 20 ether);
        (uint256 loose,) = d.module.value();
        uint256 need = _need();
        assertLt(need, loose);
        uint256 asked = d.stakes.requestUnstake(10);
        assertEq(asked, need);
        (uint256 open, uint256 claimable) = d.module.requests();
        assertEq(open, 1);
        assertEq(claimable, 0);
        _assertConserved(d);
        assertLe(_need(), 2, "Lido's rounding");
        _deposit(d.junior, bob, 0.01 ether);
        vm.expectRevert(IStakeManager.NothingToUnstake.selector);
        d.stakes.requestUnstake(10);
    }

    function test_RequestsAreCutToLidosSizes() public {
        _loose(1_000 ether, 2_500 ether);
        (uint256 loose,) = d.module.value();
        assertGt(loose, 2_400 ether);
        uint256 asked = d.stakes.requestUnstake(1);
        assertEq(asked, 1_000 ether, "one request takes a thousand at most");
        d.stakes.requestUnstake(100);
        (uint256 open,) = d.module.requests();
        assertEq(open, 3);
        _assertConserved(d);
    }

    function test_AClaimPaysWhatWasAskedAtTheEarliestWhenLidoHasPaid() public {
        _loose(100 ether, 30 ether);
        uint256 asked = d.stakes.requestUnstake(10);
        uint256 idle = _idle();
        assertEq(d.stakes.claimUnstaked(10), 0, "not finalised: nothing, and no revert");
        lidoQueue.finalize(lidoQueue.getLastRequestId());
        (, uint256 claimable) = d.module.requests();
        assertEq(claimable, 1);
        vm.prank(mallory);
        uint256 paid = d.stakes.claimUnstaked(10);
        assertApproxEqAbs(paid, asked, 2);
        assertEq(_idle(), idle + paid);
        (, uint256 unstaking) = d.module.value();
        assertEq(unstaking, 0);
        _assertConserved(d);
        assertEq(d.stakes.claimUnstaked(10), 0);
    }

    function test_ALossOfLidoInTheExitQueueIsBookedWhenItHappensAndAGainIsNotOurs() public {
        _loose(100 ether, 30 ether);
        uint256 before = d.stakes.requestUnstake(10);
        lido.report{value: 50_000 ether}(50_000 ether);
        (, uint256 unstaking) = d.module.value();
        assertLe(unstaking, before, "at most what was asked for");
        assertGe(unstaking, before - 1);
        lido.report(-100_000 ether);
        (, unstaking) = d.module.value();
        assertLt(unstaking, before);
        d.tier.sync();
        _assertConserved(d);
        lidoQueue.finalize(lidoQueue.getLastRequestId());
        uint256 idle = _idle();
        uint256 paid = d.stakes.claimUnstaked(10);
        assertApproxEqAbs(paid, unstaking, 2);
        assertEq(_idle(), idle + paid);
        _assertConserved(d);
    }

    function test_ARequestFinalisedBeforeALossPaysInFullAndTheDifferenceIsAGain() public {
        _loose(100 ether, 30 ether);
        uint256 asked = d.stakes.requestUnstake(10);
        lidoQueue.finalize(lidoQueue.getLastRequestId());
        lido.report(-20_000 ether);
        d.tier.sync();
        uint256 gains = d.tier.books().gains;
        (, uint256 unstaking) = d.module.value();
        uint256 paid = d.stakes.claimUnstaked(10);
        assertApproxEqAbs(paid, asked, 2);
        assertApproxEqAbs(d.tier.books().gains, gains + paid - unstaking, 2);
        _assertConserved(d);
    }

    function test_ClaimsAreBoundedByTheCaller() public {
        _loose(1_000 ether, 2_500 ether);
        d.stakes.requestUnstake(100);
        lidoQueue.finalize(lidoQueue.getLastRequestId());
        (uint256 open,) = d.module.requests();
        d.stakes.claimUnstaked(1);
        (uint256 left,) = d.module.requests();
        assertEq(left, open - 1);
        d.stakes.claimUnstaked(100);
        (left,) = d.module.requests();
        assertEq(left, 0);
        _assertConserved(d);
    }

    function test_LidosPausesDoNotStopTheBooks() public {
        _loose(100 ether, 30 ether);
        lidoQueue.setPaused(true);
        vm.expectRevert();
        d.stakes.requestUnstake(10);
        d.tier.sync();
        _assertConserved(d);
        lidoQueue.setPaused(false);
        d.stakes.requestUnstake(10);
    }

    function test_DonatedTokensAreNoValueUntilAnAgentsOwnArrive() public {
        _loose(100 ether, 30 ether);
        uint256 value = d.tier.preview().value;
        lido.submit{value: 5 ether}(address(0));
        lido.transfer(address(d.module), 5 ether);
        assertEq(d.tier.preview().value, value);
        d.tier.sync();
        assertEq(d.tier.preview().gained, 0);
    }

    function test_EthFromStrangersIsRefused() public {
        vm.deal(mallory, 1 ether);
        vm.prank(mallory);
        (bool ok,) = address(d.module).call{value: 1 ether}("");
        assertFalse(ok);
    }

    function test_OnlyTheTiersOwnPartsMoveTokens() public {
        bytes memory denied = abi.encodeWithSignature("NotAuthorised(address)", mallory);
        vm.startPrank(mallory);
        vm.expectRevert(denied);
        d.module.requestUnstake(1, 1);
        vm.expectRevert(denied);
        d.module.claimUnstaked(1);
        vm.expectRevert(denied);
        d.module.release(mallory, 1);
        vm.expectRevert(abi.encodeWithSelector(ITier.NotAuthorised.selector, mallory));
        d.tier.creditUnstaked(1);
    }
}
