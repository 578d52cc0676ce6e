// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

// solhint-disable no-console

import {TrancheToken} from "../../../contracts/core/TrancheToken.sol";
import {IDelegationManager, OperatorSet} from "../../../contracts/interfaces/external/IEigenLayer.sol";
import {Target, Terms} from "../../../contracts/interfaces/IRiskManager.sol";
import {ITier} from "../../../contracts/interfaces/ITier.sol";
import {ITrancheToken} from "../../../contracts/interfaces/ITrancheToken.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {Queue} from "../../../contracts/libraries/Queue.sol";
import {UnitFixture} from "./UnitFixture.sol";
import {console} from "forge-std/console.sol";

/// @notice The token is a vault by ERC-4626 on the way in and by ERC-7540 on the way out.
contract TrancheTokenTest is UnitFixture {
    function setUp() public {
        _setUpTier(4, 4, QUARTER, 2);
    }

    function _token(bool senior) private view returns (TrancheToken) {
        return senior ? d.senior : d.junior;
    }

    /// @dev Rates that are neither one nor round, half a slash behind us, gains on their way.
    function _crooked(uint256 seed) private {
        _fund();
        _deposit(d.junior, bob, 100 ether);
        lido.report{value: 30_000 ether}(30_000 ether);
        d.tier.sync();
        _skip(1_000 + seed % 10_000);
        _slash(d, 0, 0, 0.01e18 + seed % 0.2e18);
        _skip(seed % 1_000);
    }

    // --------------------------------------------------------------------------------------------- ERC-4626

    /// forge-config: default.fuzz.runs = 32
    function testFuzz_PreviewsEqualResults(uint256 seed, bool senior, uint64 amount) public {
        _crooked(seed);
        TrancheToken token = _token(senior);
        uint256 assets = uint256(amount) % (token.maxDeposit(alice) / 3) + 1 gwei;
        weth.approve(address(token), type(uint256).max);

        uint256 shares = token.previewDeposit(assets);
        assertEq(shares, token.convertToShares(assets));
        assertEq(token.deposit(assets, mallory), shares);
        assertEq(token.balanceOf(mallory), shares);
        _assertConserved(d);

        uint256 before = weth.balanceOf(address(this));
        uint256 cost = token.previewMint(shares);
        assertEq(token.mint(shares, mallory), cost);
        assertEq(before - weth.balanceOf(address(this)), cost);
        assertGe(cost, token.convertToAssets(shares), "rounded against who enters");
        _assertConserved(d);
    }

    /// forge-config: default.fuzz.runs = 16
    function testFuzz_MaxDepositAndMaxMintPassAndOneMoreReverts(uint256 seed, bool senior) public {
        _crooked(seed);
        d.tier.sync();
        TrancheToken token = _token(senior);
        uint256 most = token.maxDeposit(alice);
        weth.deposit{value: most + 1}();
        weth.approve(address(token), type(uint256).max);
        vm.expectRevert(abi.encodeWithSelector(ITier.ExceedsDepositLimit.selector, most + 1, most));
        token.deposit(most + 1, alice);
        uint256 state = vm.snapshotState();
        token.mint(token.maxMint(alice), alice);
        vm.revertToState(state);
        token.deposit(most, alice);
    }

    function test_TheTokenIsItsOwnVaultOfWeth() public view {
        assertEq(d.senior.share(), address(d.senior));
        assertEq(d.senior.asset(), address(weth));
        assertEq(d.senior.tier(), address(d.tier));
        assertEq(d.senior.decimals(), 18);
        assertTrue(d.senior.senior());
        assertFalse(d.junior.senior());
        assertEq(d.senior.name(), "Bulkhead Careful Senior");
        assertEq(d.junior.symbol(), "bjCareful");
    }

    function test_PreviewsOfExitsRevertAsErc7540Says() public {
        vm.expectRevert(ITrancheToken.NoPreview.selector);
        d.senior.previewRedeem(1);
        vm.expectRevert(ITrancheToken.NoPreview.selector);
        d.senior.previewWithdraw(1);
    }

    function test_InterfaceIdsAreTheStandardsOwn() public view {
        bytes4 operators = TrancheToken.setOperator.selector ^ TrancheToken.isOperator.selector;
        bytes4 redemptions = TrancheToken.requestRedeem.selector ^ TrancheToken.pendingRedeemRequest.selector
            ^ TrancheToken.claimableRedeemRequest.selector;
        bytes4 vault = TrancheToken.asset.selector ^ TrancheToken.convertToAssets.selector
            ^ TrancheToken.convertToShares.selector ^ TrancheToken.totalAssets.selector ^ TrancheToken.deposit.selector
            ^ TrancheToken.maxDeposit.selector ^ TrancheToken.maxMint.selector ^ TrancheToken.maxRedeem.selector
            ^ TrancheToken.maxWithdraw.selector ^ TrancheToken.mint.selector ^ TrancheToken.previewDeposit.selector
            ^ TrancheToken.previewMint.selector ^ TrancheToken.previewRedeem.selector
            ^ TrancheToken.previewWithdraw.selector ^ TrancheToken.redeem.selector ^ TrancheToken.share.selector
            ^ TrancheToken.withdraw.selector;
        assertTrue(d.senior.supportsInterface(operators));
        assertTrue(d.senior.supportsInterface(redemptions));
        assertTrue(d.senior.supportsInterface(vault));
        assertTrue(d.senior.supportsInterface(0x01ffc9a7));
        assertFalse(d.senior.supportsInterface(0xffffffff));
        assertFalse(d.senior.supportsInterface(0xce3bbe50), "deposits are not requested");
    }

    function test_APermitIsAnAllowanceBySignatureOnce() public {
        (address owner, uint256 key) = makeAddrAndKey("owner");
        _deposit(d.junior, bob, 100 ether);
        _deposit(d.senior, owner, 10 ether);
        bytes32 digest = keccak256(
            abi.encodePacked(
                "\x19\x01",
                d.senior.DOMAIN_SEPARATOR(),
                keccak256(
                    abi.encode(
                        keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"),
                        owner,
                        mallory,
                        3 ether,
                        0,
                        block.timestamp
                    )
                )
            )
        );
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        d.senior.permit(owner, mallory, 3 ether, block.timestamp, v, r, s);
        assertEq(d.senior.allowance(owner, mallory), 3 ether);
        vm.expectRevert();
        d.senior.permit(owner, mallory, 3 ether, block.timestamp, v, r, s);
        vm.prank(mallory);
        d.senior.requestRedeem(3 ether, owner, owner);
        assertEq(d.senior.allowance(owner, mallory), 0);
    }

    // --------------------------------------------------------------------------------------------- ERC-7540

    function test_RequestsAreNumberedFromOneAndLieWithTheToken() public {
        _fund();
        assertEq(_request(true, alice, 1 ether), 1);
        assertEq(_request(true, alice, 2 ether), 2);
        assertEq(_request(false, bob, 3 ether), 1);
        assertEq(d.senior.balanceOf(address(d.senior)), 3 ether);
        assertEq(d.senior.pendingRedeemRequest(1, alice), 1 ether);
        assertEq(d.senior.pendingRedeemRequest(1, bob), 0);
        assertEq(d.senior.claimableRedeemRequest(1, alice), 0);
        assertEq(d.senior.queuedShares(), 3 ether);
        assertEq(d.tier.shares(true).queued, 3 ether);
    }

    function test_AnOperatorRequestsAndClaimsForHisController() public {
        _fund();
        vm.prank(alice);
        assertTrue(d.senior.setOperator(mallory, true));
        assertTrue(d.senior.isOperator(alice, mallory));
        vm.prank(mallory);
        d.senior.requestRedeem(2 ether, alice, alice);
        assertEq(d.senior.allowance(alice, mallory), 0, "an operator needs no allowance");
        _skip(SENIOR_BLOCKS);
        d.senior.finalise(type(uint256).max);
        vm.prank(mallory);
        d.senior.redeem(1 ether, bob, alice);
        assertEq(weth.balanceOf(bob), 1 ether);
        vm.prank(alice);
        d.senior.setOperator(mallory, false);
        vm.prank(mallory);
        vm.expectRevert(abi.encodeWithSelector(ITrancheToken.NotController.selector, mallory, alice));
        d.senior.redeem(1 ether, mallory, alice);
    }

    function test_NothingIsFinalisedInTheBlockOfItsRequestAndASeniorRequestMaturesAfter7200Blocks() public {
        _fund();
        _request(true, alice, 1 ether);
        assertEq(d.tier.finalisable(true), 0);
        _skip(SENIOR_BLOCKS - 1);
        assertEq(d.tier.finalisable(true), 0);
        vm.expectRevert(abi.encodeWithSelector(ITier.ExceedsFinalisable.selector, 1, 0));
        d.senior.finalise(1);
        _skip(1);
        assertEq(d.tier.finalisable(true), 1 ether);
        vm.prank(mallory);
        d.senior.finalise(type(uint256).max);
        assertEq(d.senior.claimableRedeemRequest(1, alice), 1 ether);
    }

    function test_AnUncoveredTiersSeniorMaturesAsItsJuniorDoes() public {
        _fund();
        _request(true, alice, 1 ether);
        for (uint256 g; g < 2; ++g) {
            _slash(d, g, 0, 1e18);
        }
        _skip(DELAY + MARGIN_BLOCKS - 1);
        assertGt(_exposures().largest + d.tier.preview().value * 2e7, _cover() * 1e9, "U(b = 0) > 1");
        assertEq(d.tier.finalisable(true), 0);
        _skip(1);
        assertEq(d.tier.finalisable(true), 1 ether);
    }

    function _cover() private view returns (uint256) {
        return d.tier.preview().books.reserve + d.tier.preview().books.junior;
    }

    function test_AJuniorRequestMaturesAfterTheDelayTheMarginAndTheVetoWindow() public {
        Terms memory t = _terms(d, 4, QUARTER, 2);
        t.sets[3].vetoBlocks = 1_000;
        d.mandate.tighten(t);
        _deposit(d.junior, bob, 10 ether);
        _request(false, bob, 1 ether);
        _skip(DELAY + MARGIN_BLOCKS + 999);
        assertEq(d.tier.finalisable(false), 0);
        _skip(1);
        assertEq(d.tier.finalisable(false), 1 ether);
        d.junior.finalise(type(uint256).max);
        vm.prank(bob);
        assertEq(d.junior.redeem(1 ether, bob, bob), 1 ether);
    }

    function test_ADroppedSetsVetoWindowCountsWhileItIsAllocated() public {
        Terms memory t = _terms(d, 4, QUARTER, 2);
        t.sets[15].vetoBlocks = 1_000;
        d.mandate.tighten(t);
        _fund();
        t = _fewerTargets(_terms(d, 4, QUARTER, 2), 3, 3);
        assembly ("memory-safe") {
            mstore(mload(add(t, 0x40)), 15)
        }
        d.mandate.tighten(t);
        (, uint256 wait) = d.tier.maturity();
        assertEq(wait, DELAY + MARGIN_BLOCKS + 1_000);
    }

    function test_JuniorIsPaidOnlyFromIdleBeyondTheQueuedSenior() public {
        _deposit(d.junior, bob, 100 ether);
        _deposit(d.senior, alice, 50 ether);
        _deployAll(d);
        uint256 idle = _idle();
        uint256 queued = idle - 0.5 ether;
        _request(true, alice, queued);
        _request(false, bob, 10 ether);
        _skip(DELAY + MARGIN_BLOCKS);
        assertEq(d.tier.finalisable(false), 0.5 ether);
        vm.expectRevert(abi.encodeWithSelector(ITier.ExceedsFinalisable.selector, 0.5 ether + 1, 0.5 ether));
        d.junior.finalise(0.5 ether + 1);
        d.junior.finalise(0.5 ether);
        assertEq(d.tier.finalisable(false), 0);
        d.senior.finalise(type(uint256).max);
        assertEq(d.senior.maxRedeem(alice), queued);
        assertEq(_idle(), 0);
        _assertConserved(d);
    }

    function test_JuniorLeavesToTheWeiThatCoverCanSpare() public {
        _fund();
        _deposit(d.junior, bob, 50 ether);
        _request(false, bob, 100 ether);
        _skip(DELAY + MARGIN_BLOCKS);
        d.tier.sync();
        uint256 most = d.tier.finalisable(false);
        assertGt(most, 1 ether);
        assertLt(most, 100 ether);
        vm.expectRevert(abi.encodeWithSelector(ITier.ExceedsFinalisable.selector, most + 1, most));
        d.junior.finalise(most + 1);
        d.junior.finalise(most);
        assertLe(_utilisation(), 1e18);
        assertLe(d.tier.finalisable(false), 1);
        _assertConserved(d);
    }

    function test_QueuedSharesEarnAndBearLossesUntilTheyAreFinalised() public {
        _fund();
        _request(false, bob, 50 ether);
        uint256 rate = d.junior.collateralRate();
        _slash(d, 0, 0, 1e18);
        assertLt(d.junior.collateralRate(), rate);
        _skip(DELAY + MARGIN_BLOCKS);
        _deposit(d.junior, mallory, 100 ether);
        rate = d.junior.collateralRate();
        (uint256 done, uint256 assets) = d.junior.finalise(type(uint256).max);
        assertEq(done, 50 ether);
        assertApproxEqAbs(assets, 50 * rate, 50);
        assertLt(assets, 50 ether);
    }

    function test_TenRequestsAreClaimedInOneCallOldestFirst() public {
        _fund();
        for (uint256 i; i < 10; ++i) {
            _request(true, alice, 0.1 ether + i);
            _skip(1);
        }
        _skip(SENIOR_BLOCKS);
        d.senior.finalise(type(uint256).max);
        assertEq(d.senior.maxRedeem(alice), 1 ether + 45);
        vm.prank(alice);
        assertEq(d.senior.redeemEth(1 ether + 45, mallory, alice), 1 ether + 45);
        assertEq(mallory.balance, 1 ether + 45);
        for (uint256 id = 1; id <= 10; ++id) {
            assertEq(d.senior.claimableRedeemRequest(id, alice), 0);
        }
    }

    function test_ALastHolderMayLeaveCompletely() public {
        _deposit(d.junior, bob, 10 ether);
        _request(false, bob, 10 ether);
        _skip(DELAY + MARGIN_BLOCKS);
        d.junior.finalise(type(uint256).max);
        assertEq(d.junior.totalSupply(), 0);
        assertEq(d.junior.collateralRate(), 1e18);
        vm.prank(bob);
        assertEq(d.junior.redeem(10 ether, bob, bob), 10 ether);
        _assertConserved(d);
        assertEq(_deposit(d.junior, alice, 1 ether), 1 ether);
    }

    function test_ARequestThatIsClaimedCompletelyReadsAsNothingAndUnknownOnesAreRefused() public {
        _fund();
        _request(true, alice, 2 ether);
        uint256 made = block.number;
        _request(true, alice, 1 ether);
        _skip(SENIOR_BLOCKS);
        d.senior.finalise(2.5 ether);
        (address controller, uint256 at, uint256 pending, uint256 claimable, uint256 assets) = d.senior.request(2);
        assertEq(controller, alice);
        assertEq(at, made);
        assertEq(pending, 0.5 ether);
        assertEq(claimable, 0.5 ether);
        assertEq(assets, d.senior.maxWithdraw(alice) - d.senior.convertToAssets(2 ether));
        vm.prank(alice);
        d.senior.redeem(2.25 ether, alice, alice);
        assertEq(d.senior.claimableRedeemRequest(2, alice), 0.25 ether);
        (controller, at, pending, claimable, assets) = d.senior.request(1);
        assertEq(controller, address(0));
        assertEq(at + pending + claimable + assets, 0);
        assertEq(d.senior.pendingRedeemRequest(1, alice), 0);
        assertEq(d.senior.claimableRedeemRequest(1, alice), 0);
        (uint256 requested, uint256 finalised, uint256 cumulative) = d.senior.queueTotals();
        assertEq(requested, 3 ether);
        assertEq(finalised, 2.5 ether);
        assertEq(cumulative, d.senior.maxWithdraw(alice) + weth.balanceOf(alice));
        vm.expectRevert(abi.encodeWithSelector(Queue.UnknownRequest.selector, 3, 2));
        d.senior.request(3);
    }

    // -------------------------------------------------------------------------------------- instant redeem

    function test_AnInstantExitPaysFromIdleLessAFeeThatBecomesAGain() public {
        _fund();
        uint256 gains = d.tier.books().gains;
        uint256 rate = d.senior.collateralRate();
        vm.prank(alice);
        uint256 paid = d.senior.instantRedeem(1 ether, 0.998 ether, mallory, true);
        assertEq(paid, 0.998 ether, "20 bps");
        assertEq(mallory.balance, paid);
        assertEq(d.tier.books().gains, gains + 0.002 ether);
        assertEq(d.senior.collateralRate(), rate);
        _assertConserved(d);
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(ITrancheToken.Slippage.selector, 0.998 ether, 0.998 ether + 1));
        d.senior.instantRedeem(1 ether, 0.998 ether + 1, mallory, true);
    }

    /// SPEC 3.7: of idle only what the queued senior shares do not need, and that to the share.
    /// forge-config: default.fuzz.runs = 24
    function testFuzz_TheInstantLimitPassesAndOneShareMoreReverts(uint256 seed, uint64 queued) public {
        _crooked(seed);
        d.tier.sync();
        if (queued % 4 != 0) _request(true, alice, 0.01 ether + uint256(queued) % (d.senior.balanceOf(alice) / 4));
        uint256 most = d.senior.maxInstantRedeem();
        assertGt(most, 1 ether);
        assertLt(most, d.senior.balanceOf(alice));
        uint256 state = vm.snapshotState();
        vm.prank(alice);
        vm.expectPartialRevert(ITier.InsufficientIdle.selector);
        d.senior.instantRedeem(most + 1, 0, alice, false);
        vm.revertToState(state);
        uint256 idle = _idle();
        uint256 waiting = _queuedValue();
        vm.prank(alice);
        uint256 paid = d.senior.instantRedeem(most, 0, alice, false);
        assertEq(idle - paid, _idle());
        assertApproxEqAbs(idle - paid, waiting, 2, "all that the queue does not need is gone");
        assertGe(idle - paid, waiting);
        _assertConserved(d);
    }

    function _queuedValue() private view returns (uint256) {
        return Math.ceilDiv(d.senior.queuedShares() * d.tier.books().senior, d.senior.totalSupply());
    }

    function test_TheInstantLimitIsAllThatIsHeldWhereIdleIsEnough() public {
        _deposit(d.junior, bob, 100 ether);
        _deposit(d.senior, alice, 10 ether);
        _request(true, alice, 4 ether);
        assertEq(d.senior.maxInstantRedeem(), 6 ether);
        vm.prank(alice);
        d.senior.instantRedeem(6 ether, 0, alice, false);
        assertEq(d.senior.maxInstantRedeem(), 0);
    }

    function test_AnInstantExitLeavesWhatTheQueueNeedsAndASharePendingClosesNothing() public {
        _deposit(d.junior, bob, 100 ether);
        _deposit(d.senior, alice, 50 ether);
        _deployAll(d);
        vm.prank(alice);
        d.senior.transfer(mallory, 1);
        _request(true, mallory, 1);
        assertGt(d.senior.maxInstantRedeem(), 0, "one share closes the instant exit for everybody");
        uint256 wait = _idle() - 0.1 ether;
        _request(true, alice, wait);
        uint256 most = d.senior.maxInstantRedeem();
        vm.prank(alice);
        d.senior.instantRedeem(most, 0, alice, false);
        assertGe(_idle(), _queuedValue());
        vm.prank(alice);
        vm.expectPartialRevert(ITier.InsufficientIdle.selector);
        d.senior.instantRedeem(0.01 ether, 0, alice, false);
        _skip(SENIOR_BLOCKS);
        d.senior.finalise(type(uint256).max);
        // the fee has begun to vest, so what they earned since may still be on its way
        assertApproxEqAbs(d.senior.maxWithdraw(alice), wait, 2, "those who waited are paid what they were worth");
        assertApproxEqRel(d.senior.maxRedeem(alice), wait, 1e12);
        _assertConserved(d);
    }

    function test_InstantExitsAreClosedWhileUncoveredAndForJuniors() public {
        _fund();
        assertEq(d.junior.maxInstantRedeem(), 0);
        vm.prank(bob);
        vm.expectRevert(ITier.InstantExitClosed.selector);
        d.junior.instantRedeem(1 ether, 0, bob, true);

        _slash(d, 0, 0, 0.5e18);
        assertEq(d.senior.maxInstantRedeem(), 0);
        vm.prank(alice);
        vm.expectRevert(ITier.InstantExitClosed.selector);
        d.senior.instantRedeem(1 ether, 0, alice, true);
    }

    // ------------------------------------------------------------------------------------------------ rate

    function test_TheCollateralRateKnowsASlashBeforeAnybodySyncs() public {
        _fund();
        uint256 rate = d.junior.collateralRate();
        _slash(d, 0, 0, 1e18);
        uint256 fallen = d.junior.collateralRate();
        assertLt(fallen, rate);
        assertEq(fallen, d.junior.convertToAssets(1e18));
        d.tier.sync();
        assertEq(d.junior.collateralRate(), fallen);
        assertEq(d.junior.totalAssets(), d.tier.books().junior);
    }

    function test_AGainMovesTheRateOnlyAsItVests() public {
        _fund();
        uint256 rate = d.senior.collateralRate();
        lido.report{value: 10_000 ether}(10_000 ether);
        assertEq(d.senior.collateralRate(), rate);
        d.tier.sync();
        assertEq(d.senior.collateralRate(), rate);
        _skip(3 days / BLOCK / 2);
        uint256 half = d.senior.collateralRate();
        assertGt(half, rate);
        _skip(3 days / BLOCK / 2 + 1);
        uint256 full = d.senior.collateralRate();
        assertApproxEqRel(full - rate, 2 * (half - rate), 0.02e18);
        d.tier.sync();
        _skip(3 days / BLOCK);
        assertEq(d.senior.collateralRate(), full);
    }
}

/// @notice What the largest tier's preview costs, measured cold: 8 agents with 8 sets and 16 exits each, all exits over
/// and not settled, all agents slashed, all 32 sets stale.
contract PreviewGasTest is UnitFixture {
    uint256 private constant PREVIEW_GAS = 12_000_000;
    /// @dev What a transaction may use since EIP-7825.
    uint256 private constant TRANSACTION_GAS = 1 << 24;

    function setUp() public {
        _deployProtocol();
        Deployment memory x = _createTier("Full", 2);
        _equip(x, 8, 4, 0.125e18, 2);
        _keep(x);
        Terms memory t = _terms(d, 4, 0.125e18, 2);
        for (uint256 i; i < 8; ++i) {
            t.agents[i].targets = new Target[](8);
            for (uint256 j; j < 8; ++j) {
                uint256 s = (i / 2) * 8 + j;
                t.agents[i].targets[j] = Target(uint8(s), 0.125e18);
                if (s / 4 != i) d.agents[i].register(OperatorSet(address(d.avss[s]), 1), "");
            }
        }
        d.mandate.tighten(t);
        _deposit(d.junior, bob, 2_000 ether);
        _deposit(d.senior, alice, 2_000 ether);
        _deployAll(d);
        _allocateAll(d, 8, 0.125e18);
        for (uint256 i; i < 8; ++i) {
            for (uint256 n; n < 16; ++n) {
                vm.prank(address(d.stakes));
                IDelegationManager.Withdrawal memory w = d.agents[i].queue(0.1 ether);
                vm.prank(address(d.stakes));
                d.risk.recordExit(i, uint128(w.scaledShares[0]), w.startBlock, uint24(w.nonce), false);
            }
            vm.prank(address(d.stakes));
            d.risk.recordStake(i);
        }
        _skip(DELAY + 1);
        for (uint256 s; s < 32; ++s) {
            _slash(d, s, (s / 8) * 2, 0.1e18);
            _slash(d, s, (s / 8) * 2 + 1, 0.1e18);
        }
    }

    function test_TheLargestPreviewFitsIntoItsGasWithAThirdToSpare() public view {
        uint256 used = gasleft();
        d.tier.previewAssets(true);
        used -= gasleft();
        console.log("largest preview, gas:", used);
        assertLt(used, PREVIEW_GAS * 2 / 3);
        ITier.Preview memory p = d.tier.preview();
        assertEq(p.observation.slashedAgents, 0xff);
        assertGt(p.borne.reserve, 0);
    }

    function test_TheLargestSyncFitsIntoTwoThirdsOfATransaction() public {
        uint256 used = gasleft();
        d.tier.sync();
        used -= gasleft();
        console.log("largest sync, gas:", used);
        assertLt(used, TRANSACTION_GAS * 2 / 3);
        _assertConserved(d);
    }

    function test_AnUnwindThatFindsTheLargestSlashFitsIntoATransaction() public {
        uint256 used = gasleft();
        d.allocator.unwind(0, 0);
        used -= gasleft();
        console.log("unwind that finds the largest slash, gas:", used);
        assertLt(used, TRANSACTION_GAS);
    }

    function test_TheLargestRateIsAnswered() public view {
        uint256 rate = d.senior.collateralRate();
        assertGt(rate, 0);
        assertLe(d.junior.collateralRate(), rate);
    }
}
