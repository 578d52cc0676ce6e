// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {TrancheToken} from "../../../contracts/core/TrancheToken.sol";
import {OperatorSet} from "../../../contracts/interfaces/external/IEigenLayer.sol";
import {IRiskTypes, Terms} from "../../../contracts/interfaces/IRiskManager.sol";
import {ITier} from "../../../contracts/interfaces/ITier.sol";
import {ITrancheToken} from "../../../contracts/interfaces/ITrancheToken.sol";
import {Queue} from "../../../contracts/libraries/Queue.sol";
import {Waterfall} from "../../../contracts/libraries/Waterfall.sol";
import {LocalAVS} from "../../../contracts/local/avs/LocalAVS.sol";
import {Router} from "../../../contracts/periphery/Router.sol";
import {ProtocolFixture} from "./ProtocolFixture.sol";
import {Vm} from "forge-std/Vm.sol";

/// @dev Tries to come back in while it is paid, and looks at the rates meanwhile.
contract Reentrant {
    TrancheToken internal token;
    bytes internal attack;
    address internal target;
    bool public reentered;
    bytes public reason;
    uint256 public rateSeen;

    function arm(TrancheToken token_, address target_, bytes calldata attack_) external {
        (token, target, attack) = (token_, target_, attack_);
    }

    function redeemInstantly(uint256 shares) external {
        token.instantRedeem(shares, 0, address(this), true);
    }

    receive() external payable {
        rateSeen = token.collateralRate();
        (reentered, reason) = target.call(attack);
    }
}

/// @notice The worst input and the worst caller, by name.
contract BadInputTest is ProtocolFixture {
    Deployment internal d;
    address internal alice = makeAddr("alice");
    address internal bob = makeAddr("bob");
    address internal mallory = makeAddr("mallory");

    function setUp() public {
        _deployProtocol();
        _keep(_createTier("Careful", 2));
        Deployment memory x = d;
        _equip(x, 4, 4, 0.25e18, 2);
        d.agents = x.agents;
        d.avss = x.avss;
    }

    function _keep(Deployment memory x) private {
        (d.tier, d.senior, d.junior, d.risk, d.stakes) = (x.tier, x.senior, x.junior, x.risk, x.stakes);
        (d.allocator, d.mandate, d.module) = (x.allocator, x.mandate, x.module);
    }

    function _funded() private {
        _deposit(d.junior, bob, 100 ether);
        _deposit(d.senior, alice, 400 ether);
        _deployAll(d);
        _allocateAll(d, 4, 0.25e18);
        _assertConserved(d);
    }

    // ------------------------------------------------------------------------------------ amounts

    function test_ZeroAndDustDepositsRevert() public {
        vm.expectRevert(ITier.ZeroAmount.selector);
        router.depositEth(d.junior, 0, bob, block.timestamp);
        vm.deal(bob, 1 ether);
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(ITier.DepositTooSmall.selector, 0.01 ether - 1, 0.01 ether));
        router.depositEth{value: 0.01 ether - 1}(d.junior, 0, bob, block.timestamp);
    }

    function test_AWeiThatBuysNoShareReverts() public {
        _funded();
        lido.report{value: 50_000 ether}(50_000 ether); // rates rise above one
        _skip(7_200 * 4);
        d.tier.sync();
        _skip(7_200 * 4);
        d.tier.sync();
        assertGt(d.junior.collateralRate(), 1e18);
        vm.deal(bob, 1);
        vm.prank(bob);
        vm.expectRevert(ITier.ZeroAmount.selector);
        router.depositEth{value: 1}(d.junior, 0, bob, block.timestamp);
    }

    function test_ARequestOfDustRevertsUnlessItIsTheWholeBalance() public {
        _funded();
        vm.startPrank(alice);
        vm.expectRevert(abi.encodeWithSelector(ITrancheToken.RequestTooSmall.selector, 0, 0.01 ether));
        d.senior.requestRedeem(0, alice, alice);
        vm.expectRevert(abi.encodeWithSelector(ITrancheToken.RequestTooSmall.selector, 1, 0.01 ether));
        d.senior.requestRedeem(1, alice, alice);
        d.senior.transfer(mallory, 1);
        vm.stopPrank();
        vm.prank(mallory);
        assertEq(d.senior.requestRedeem(1, mallory, mallory), 1);
    }

    function test_TheFirstDepositorCannotInflateTheRateByDonations() public {
        _deposit(d.junior, mallory, 0.01 ether);
        weth.deposit{value: 100 ether}();
        weth.transfer(address(d.tier), 100 ether);
        lido.submit{value: 100 ether}(address(0));
        lido.transfer(address(d.module), 50 ether);
        (bool ok,) = address(d.tier).call{value: 1 ether}("");
        assertFalse(ok, "ETH from a stranger is refused");
        d.tier.sync();
        _skip(7_200 * 4);
        d.tier.sync();
        assertEq(d.junior.collateralRate(), 1e18);
        assertEq(_deposit(d.junior, bob, 1 ether), 1 ether);
        _assertConserved(d);
    }

    function test_ADonationToAnAgentOrToTheStrategyVestsAsAGainAndPaysNobodyAtOnce() public {
        _funded();
        uint256 seniorBefore = d.senior.totalAssets();
        uint256 juniorBefore = d.junior.totalAssets();
        lido.submit{value: 10 ether}(address(0));
        lido.transfer(address(strategy), 5 ether);
        d.tier.sync();
        assertEq(d.senior.totalAssets(), seniorBefore);
        assertEq(d.junior.totalAssets(), juniorBefore);
        assertGt(d.tier.books().gains, 4.9 ether);
        _assertConserved(d);
    }

    // ------------------------------------------------------------------------------------ callers

    function test_AReceiverCannotComeBackInAndSeesTheStoredRate() public {
        _deposit(d.junior, bob, 100 ether);
        Reentrant thief = new Reentrant();
        _deposit(d.senior, address(thief), 10 ether);
        uint256 rate = d.senior.collateralRate();
        thief.arm(d.senior, address(d.tier), abi.encodeCall(ITier.sync, ()));
        thief.redeemInstantly(1 ether);
        assertFalse(thief.reentered());
        assertEq(bytes4(thief.reason()), ITier.Locked.selector);
        assertGe(thief.rateSeen(), rate);
        thief.arm(
            d.senior,
            address(d.senior),
            abi.encodeCall(TrancheToken.requestRedeem, (1 ether, address(thief), address(thief)))
        );
        thief.redeemInstantly(1 ether);
        assertFalse(thief.reentered());
        assertFalse(d.tier.locked(), "the lock is free again");
    }

    function test_StrangersCannotTouchTheBooks() public {
        _funded();
        vm.startPrank(mallory);
        bytes memory denied = abi.encodeWithSelector(ITier.NotAuthorised.selector, mallory);
        vm.expectRevert(denied);
        d.tier.deposit(1 ether);
        vm.expectRevert(denied);
        d.tier.mint(1 ether);
        vm.expectRevert(denied);
        d.tier.requested(1 ether);
        vm.expectRevert(denied);
        d.tier.finalise(1 ether);
        vm.expectRevert(denied);
        d.tier.redeemInstantly(1 ether, mallory, true);
        vm.expectRevert(denied);
        d.tier.pay(mallory, 1 ether, true);
        vm.expectRevert(denied);
        d.tier.payPot(1 ether, mallory, true);
        vm.expectRevert(denied);
        d.tier.begin();
        vm.expectRevert(abi.encodeWithSelector(ITier.NotLockHolder.selector, mallory));
        d.tier.end(false);
        vm.expectRevert(denied);
        d.tier.stake(1 ether, mallory);
        vm.expectRevert(denied);
        d.tier.creditUnstaked(1 ether);
        vm.expectRevert(denied);
        d.tier.adoptSeries(true, mallory);
        vm.stopPrank();
    }

    function test_StrangersCannotTouchTheRiskManagerTheAgentsOrTheModule() public {
        _funded();
        vm.startPrank(mallory);
        bytes memory denied = abi.encodeWithSignature("NotAuthorised(address)", mallory);
        vm.expectRevert(denied);
        d.risk.refresh(1, false);
        Terms memory terms;
        vm.expectRevert(denied);
        d.risk.apply_(terms);
        vm.expectRevert(denied);
        d.risk.recordStake(0);
        vm.expectRevert(denied);
        d.risk.recordExit(0, 1, 1, 1, false);
        vm.expectRevert(denied);
        d.risk.removeExit(0, 0);
        vm.expectRevert(denied);
        d.risk.recordAllocation(0, 0);
        vm.expectRevert(denied);
        d.risk.addAgent(mallory, mallory);
        vm.expectRevert(denied);
        d.agents[0].deposit(1);
        vm.expectRevert(denied);
        d.agents[0].queue(1);
        vm.expectRevert(denied);
        d.agents[0].complete(0, 0, 0, true, mallory);
        vm.expectRevert(denied);
        d.agents[0].allocate(OperatorSet(address(d.avss[0]), 1), 0);
        vm.expectRevert(denied);
        d.agents[0].deregister(OperatorSet(address(d.avss[0]), 1));
        vm.expectRevert(denied);
        d.agents[0].register(OperatorSet(address(d.avss[0]), 1), "");
        vm.expectRevert(denied);
        d.module.stake(mallory);
        vm.expectRevert(denied);
        d.module.release(mallory, 1);
        vm.expectRevert(denied);
        d.module.receiveTokens(mallory);
        vm.expectRevert(denied);
        d.allocator.beginRegistration(OperatorSet(address(d.avss[0]), 1));
        vm.expectRevert(denied);
        d.allocator.endRegistration();
        vm.stopPrank();
    }

    function test_ARequestForSomebodyElseNeedsHisWord() public {
        _funded();
        vm.prank(mallory);
        vm.expectRevert(abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, mallory, 0, 1 ether));
        d.senior.requestRedeem(1 ether, mallory, alice);

        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(ITrancheToken.NotController.selector, alice, bob));
        d.senior.requestRedeem(1 ether, bob, alice);

        vm.prank(bob);
        d.senior.setOperator(alice, true);
        vm.prank(alice);
        uint256 id = d.senior.requestRedeem(1 ether, bob, alice);
        assertEq(d.senior.pendingRedeemRequest(id, bob), 1 ether);
        assertEq(d.senior.pendingRedeemRequest(id, alice), 0);
    }

    function test_ClaimsTwiceAndOutOfOrderPayOnce() public {
        _deposit(d.junior, bob, 100 ether);
        _deposit(d.senior, alice, 100 ether);
        vm.startPrank(alice);
        uint256 first = d.senior.requestRedeem(10 ether, alice, alice);
        uint256 second = d.senior.requestRedeem(20 ether, alice, alice);
        vm.stopPrank();
        vm.expectRevert(abi.encodeWithSelector(ITier.ExceedsFinalisable.selector, 1, 0));
        d.senior.finalise(1);
        _skip(SENIOR_BLOCKS);
        d.senior.finalise(15 ether);
        assertEq(d.senior.claimableRedeemRequest(first, alice), 10 ether);
        assertEq(d.senior.claimableRedeemRequest(second, alice), 5 ether);

        vm.startPrank(alice);
        vm.expectRevert(abi.encodeWithSelector(Queue.ExceedsClaimable.selector, 15 ether + 1, 15 ether));
        d.senior.redeem(15 ether + 1, alice, alice);
        assertEq(d.senior.redeem(12 ether, alice, alice), 12 ether);
        vm.expectRevert(abi.encodeWithSelector(Queue.ExceedsClaimable.selector, 12 ether, 3 ether));
        d.senior.redeem(12 ether, alice, alice);
        assertEq(d.senior.withdraw(3 ether, alice, alice), 3 ether);
        vm.stopPrank();
        vm.prank(mallory);
        vm.expectRevert(abi.encodeWithSelector(ITrancheToken.NotController.selector, mallory, alice));
        d.senior.redeem(1, mallory, alice);
        assertEq(weth.balanceOf(alice), 15 ether);
        (, uint256 reserved) = d.tier.cash();
        assertEq(reserved, 0);
        _assertConserved(d);
    }

    function test_TheRouterRefusesExpiredSlippedAndForeign() public {
        _deposit(d.junior, bob, 100 ether);
        vm.deal(alice, 10 ether);
        vm.startPrank(alice);
        vm.expectRevert(abi.encodeWithSelector(Router.Expired.selector, block.timestamp - 1, block.timestamp));
        router.depositEth{value: 1 ether}(d.senior, 0, alice, block.timestamp - 1);
        vm.expectRevert(abi.encodeWithSelector(Router.Slippage.selector, 1 ether, 1 ether + 1));
        router.depositEth{value: 1 ether}(d.senior, 1 ether + 1, alice, block.timestamp);
        vm.stopPrank();
        TrancheToken foreign = new TrancheToken();
        vm.expectRevert();
        router.depositEth{value: 1 ether}(foreign, 0, alice, block.timestamp);
        assertEq(weth.balanceOf(address(router)), 0);
    }

    // ------------------------------------------------------------------------------------ AVSs

    function test_ARegistrarThatSlashesInsideItsCallbackIsBookedAtOnce() public {
        _funded();
        LocalAVS avs = d.avss[0];
        uint256 juniorBefore = d.junior.totalAssets();
        uint256 seniorBefore = d.senior.totalAssets();
        uint32[] memory ids = new uint32[](1);
        ids[0] = 1;
        avs.eject(address(d.agents[0]), ids);
        _skip(100_802);
        avs.setCallbackSlash(1, strategy, 1e18);
        avs.setBehaviour(LocalAVS.Behaviour(3), LocalAVS.Behaviour(0));
        d.agents[0].register(OperatorSet(address(avs), 1), "");
        assertFalse(d.tier.locked());
        assertEq(d.senior.totalAssets(), seniorBefore);
        assertLt(d.junior.totalAssets(), juniorBefore);
        Waterfall.Books memory b = d.tier.books();
        assertEq(b.junior, d.junior.totalAssets(), "already in the stored books");
        _assertConserved(d);
    }

    function test_ARegistrarCannotEnterTheTierFromItsCallback() public {
        _funded();
        LocalAVS avs = d.avss[1];
        uint32[] memory ids = new uint32[](1);
        ids[0] = 1;
        avs.eject(address(d.agents[0]), ids);
        _skip(100_802);
        avs.setCallbackCall(address(d.tier), abi.encodeCall(ITier.sync, ()));
        avs.setBehaviour(LocalAVS.Behaviour(4), LocalAVS.Behaviour(0));
        d.agents[0].register(OperatorSet(address(avs), 1), "");
        assertFalse(avs.lastCallSucceeded());
        assertEq(bytes4(avs.lastCallResult()), ITier.Locked.selector);
    }

    function test_AOneWeiSlashIsSeenAndAttributed() public {
        _funded();
        uint256 before = d.risk.agent(0).magnitude;
        _slash(d, 3, 0, 1);
        vm.recordLogs();
        d.tier.sync();
        Vm.Log[] memory logs = vm.getRecordedLogs();
        bool seen;
        for (uint256 i; i < logs.length; ++i) {
            if (logs[i].topics[0] != IRiskTypes.SlashAttributed.selector) continue;
            seen = true;
            assertEq(uint256(logs[i].topics[2]), 0, "agent");
            assertEq(uint256(logs[i].topics[3]), 3, "set");
            (, uint256 taken,, bool estimated) = abi.decode(logs[i].data, (uint8, uint256, uint256, bool));
            assertEq(taken, 1);
            assertFalse(estimated);
        }
        assertTrue(seen);
        assertEq(d.risk.agent(0).magnitude, before - 1);
        _assertConserved(d);
    }

    function test_AFullSlashOfEveryAgentRetiresBothSeriesAndNothingReverts() public {
        _funded();
        for (uint256 g; g < d.avss.length; ++g) {
            _slash(d, g, g / 4, 1e18);
        }
        assertLe(d.senior.collateralRate(), 0.05e18);
        d.tier.sync();
        _assertConserved(d);
        // the senior's idle part survives, the junior is gone
        assertEq(d.tier.token(false), address(0));
        assertEq(d.junior.collateralRate(), 0);
        assertEq(d.junior.maxDeposit(bob), 0);
        assertEq(d.senior.maxDeposit(bob), 0);
        vm.prank(bob);
        d.junior.transfer(alice, 1 ether);
        vm.prank(alice);
        d.senior.requestRedeem(1 ether, alice, alice);
        assertTrue(d.tier.deficit().closesAt != 0);
        _skip(200_000);
        d.senior.finalise(type(uint256).max);
        _assertConserved(d);
        address next = factory.openSeries(address(d.tier), false);
        assertEq(d.tier.token(false), next);
        vm.expectRevert(abi.encodeWithSelector(ITier.SeriesLive.selector, next));
        factory.openSeries(address(d.tier), false);
    }

    function test_ARebaseDownIsALossWithoutACulprit() public {
        _funded();
        uint256 seniorBefore = d.senior.totalAssets();
        lido.report(-20_000 ether); // 2 %
        d.tier.sync();
        assertEq(d.senior.totalAssets(), seniorBefore);
        assertLt(d.junior.collateralRate(), 1e18);
        for (uint256 s; s < d.avss.length; ++s) {
            assertFalse(d.risk.set(s).quarantined);
        }
        _assertConserved(d);
    }

    // ------------------------------------------------------------------------------------ pauses and views

    function test_ClaimsPayWhileEigenLayerCannotBeReadAndRatesFallBack() public {
        _deposit(d.junior, bob, 100 ether);
        _deposit(d.senior, alice, 100 ether);
        vm.prank(alice);
        d.senior.requestRedeem(10 ether, alice, alice);
        _skip(SENIOR_BLOCKS);
        d.senior.finalise(type(uint256).max);
        _deployAll(d);
        uint256 rate = d.senior.collateralRate();
        vm.mockCallRevert(
            address(allocations), abi.encodeWithSignature("getMaxMagnitudes(address[],address)"), "unreadable"
        );
        vm.expectRevert("unreadable");
        d.tier.sync();
        assertEq(d.senior.collateralRate(), rate);
        vm.prank(alice);
        assertEq(d.senior.redeem(10 ether, alice, alice), 10 ether);
        vm.expectRevert("unreadable");
        d.senior.deposit(1 ether, alice);
    }

    function test_AViewStarvedOfGasRevertsInsteadOfAnsweringStale() public {
        _funded();
        uint256 rate = d.senior.collateralRate();
        _slash(d, 0, 0, 1e18);
        lido.report(-250_000 ether); // a quarter: beyond all cover
        uint256 needed = gasleft();
        uint256 fallen = d.senior.collateralRate();
        needed -= gasleft();
        assertLt(fallen, rate);
        // from far too little to plenty: an answer is the right one, or there is none
        uint256 answers;
        for (uint256 i = 1; i <= 40; ++i) {
            try d.senior.collateralRate{gas: needed * i / 10}() returns (uint256 seen) {
                assertEq(seen, fallen);
                ++answers;
            } catch {}
        }
        assertGt(answers, 0);
        assertLt(answers, 40);
    }

    function test_EntriesCloseByTheGuardiansWordAndExitsStayOpen() public {
        _funded();
        d.tier.pauseEntries();
        assertEq(d.senior.maxDeposit(alice), 0);
        assertEq(d.junior.maxDeposit(alice), 0);
        vm.deal(alice, 1 ether);
        vm.prank(alice);
        vm.expectRevert(ITier.EntriesClosed.selector);
        router.depositEth{value: 1 ether}(d.senior, 0, alice, block.timestamp);
        vm.prank(alice);
        d.senior.requestRedeem(1 ether, alice, alice);
        _skip(SENIOR_BLOCKS);
        (uint256 done,) = d.senior.finalise(type(uint256).max);
        assertEq(done, 1 ether);
    }

    function test_AllocationsPausedAtEigenLayerStopAllocatingAndNothingElse() public {
        _funded();
        eigen.allocationManager().pause(1);
        vm.expectRevert();
        d.allocator.allocate(0, 0, 0.25e18);
        d.tier.sync();
        vm.prank(alice);
        d.senior.requestRedeem(1 ether, alice, alice);
        _slash(d, 0, 0, 0.5e18);
        d.tier.sync();
        _assertConserved(d);
    }
}
