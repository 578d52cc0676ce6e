// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {OperatorSet} from "../../../contracts/interfaces/external/IEigenLayer.sol";
import {IMandate} from "../../../contracts/interfaces/IMandate.sol";
import {IRiskTypes, Params, Target, Terms} from "../../../contracts/interfaces/IRiskManager.sol";
import {ITier} from "../../../contracts/interfaces/ITier.sol";
import {LocalAVS} from "../../../contracts/local/avs/LocalAVS.sol";
import {UnitFixture} from "./UnitFixture.sol";

/// @notice Riskier terms wait and need cover; safer ones apply at once; nothing else is accepted.
contract MandateTest is UnitFixture {
    function setUp() public {
        _setUpTier(4, 4, QUARTER, 2);
    }

    function _now() private view returns (Terms memory) {
        return _terms(d, 4, QUARTER, 2);
    }

    function _enter() private {
        _deposit(d.junior, bob, 100 ether);
    }

    function _assertRiskier(Terms memory t, bytes32 respect) private {
        assertEq(d.mandate.riskierIn(t), respect);
        vm.expectRevert(abi.encodeWithSelector(IMandate.Riskier.selector, respect));
        d.mandate.tighten(t);
    }

    // --------------------------------------------------------------------------------------- respects by name

    function test_TheTermsInForceAreNotRiskier() public {
        _enter();
        assertEq(d.mandate.riskierIn(_now()), bytes32(0));
        d.mandate.tighten(_now());
        assertEq(d.mandate.current(), keccak256(abi.encode(_now())));
    }

    function test_FewerGroupsAreRiskier() public {
        _enter();
        Terms memory t = _now();
        t.params.k = 1;
        _assertRiskier(t, "k");
    }

    function test_ASmallerMarginIsRiskier() public {
        _enter();
        Terms memory t = _now();
        t.params.marginBps -= 1;
        _assertRiskier(t, "marginBps");
    }

    function test_ASmallerHaircutIsRiskier() public {
        _enter();
        Terms memory t = _now();
        t.params.haircutBps -= 1;
        _assertRiskier(t, "haircutBps");
    }

    function test_ALargerCapIsRiskier() public {
        _enter();
        Terms memory t = _now();
        t.params.cap += 1;
        _assertRiskier(t, "cap");
    }

    function test_ASmallerBufferIsRiskier() public {
        _enter();
        Terms memory t = _now();
        t.params.bufferBps -= 1;
        _assertRiskier(t, "bufferBps");
    }

    function test_AnyOtherInstantFeeIsRiskier() public {
        _enter();
        Terms memory t = _now();
        t.params.instantFeeBps = 19;
        _assertRiskier(t, "instantFeeBps");
        t.params.instantFeeBps = 21;
        _assertRiskier(t, "instantFeeBps");
    }

    function test_ALaterQuarantineIsRiskier() public {
        _enter();
        Terms memory t = _now();
        t.params.quarantineBps += 1;
        _assertRiskier(t, "quarantineBps");
    }

    function test_AReleaseFromQuarantineIsRiskier() public {
        _enter();
        Terms memory t = _now();
        t.releases = 1 << 3;
        _assertRiskier(t, "releases");
    }

    function test_ANewSetIsRiskier() public {
        _enter();
        LocalAVS avs = _newAvs(address(0), 1);
        _assertRiskier(_withSet(_now(), _set(address(avs), 1, address(avs))), "set");
    }

    function test_ASetThatWasDroppedIsANewOne() public {
        _enter();
        Terms memory all = _now();
        Terms memory fewer = _fewerTargets(_now(), 3, 3);
        assembly ("memory-safe") {
            mstore(mload(add(fewer, 0x40)), 15) // the last set goes
        }
        d.mandate.tighten(fewer);
        assertFalse(d.risk.set(15).allowed);
        _assertRiskier(all, "set");
    }

    function test_AnotherSlasherIsRiskier() public {
        _enter();
        Terms memory t = _now();
        t.sets[0].slasher = mallory;
        _assertRiskier(t, "slasher");
    }

    function test_TheWordForRedistributionIsRiskier() public {
        _enter();
        Terms memory t = _now();
        t.sets[0].redistributing = true;
        _assertRiskier(t, "redistributing");
    }

    function test_AShorterVetoWindowIsRiskierAndALongerOneLengthensTheJuniorsExit() public {
        _enter();
        Terms memory t = _now();
        t.sets[0].vetoBlocks = 100;
        d.mandate.tighten(t);
        (uint256 seniorBlocks, uint256 juniorBlocks) = d.tier.maturity();
        assertEq(seniorBlocks, SENIOR_BLOCKS);
        assertEq(juniorBlocks, DELAY + MARGIN_BLOCKS + 100);
        t.sets[0].vetoBlocks = 99;
        _assertRiskier(t, "vetoBlocks");
    }

    function test_AnotherCategoryIsRiskier() public {
        _enter();
        Terms memory t = _now();
        t.sets[0].category = 3;
        _assertRiskier(t, "category");
    }

    function test_ALargerWeightIsRiskier() public {
        _enter();
        Terms memory t = _now();
        t.agents[1].weightBps += 1;
        _assertRiskier(t, "weightBps");
    }

    function test_ALargerTargetIsRiskier() public {
        _enter();
        Terms memory t = _now();
        t.agents[1].targets[0].magnitude += 1;
        _assertRiskier(t, "target");
    }

    function test_ATargetInAnotherAgentsSetIsRiskier() public {
        _enter();
        Terms memory t = _now();
        t.agents[1].targets[0].set = 0; // agent 0's
        _assertRiskier(t, "target");
    }

    // --------------------------------------------------------------------------------------------- safer

    function test_SaferTermsApplyAtOnce() public {
        _enter();
        Terms memory t = _now();
        t.params = Params(3, 1_001, 201, 101, 20, 499, 900_000 ether);
        t.agents[0].weightBps = 2_000;
        t.agents[0].targets[0].magnitude = 0.2e18;
        t = _fewerTargets(t, 3, 3);
        assertEq(d.mandate.riskierIn(t), bytes32(0));
        d.mandate.tighten(t);
        assertEq(keccak256(abi.encode(d.risk.params())), keccak256(abi.encode(t.params)));
        assertEq(d.risk.agent(0).weightBps, 2_000);
        assertEq(_link(0, 0).target, 0.2e18);
        assertEq(_link(3, 3).target, 0);
        assertEq(d.mandate.current(), keccak256(abi.encode(t)));
        _assertConserved(d);
    }

    function test_SaferTermsApplyWhileUncovered() public {
        _fund();
        for (uint256 g; g < 4; ++g) {
            _slash(d, g, 0, 0.5e18);
        }
        d.tier.sync();
        assertGt(_utilisation(), 1e18);
        Terms memory t = _now();
        t.params.marginBps = 1_100;
        d.mandate.tighten(t);
        assertEq(d.risk.params().marginBps, 1_100);
    }

    // -------------------------------------------------------------------------------------------- waiting

    function test_RiskierTermsWaitFortyFiveDays() public {
        _enter();
        Terms memory t = _now();
        t.params.k = 1;
        bytes32 id = d.mandate.propose(t);
        (bytes32 waiting, uint40 eta, uint40 expiry) = d.mandate.pending();
        assertEq(waiting, id);
        assertEq(eta, block.timestamp + 45 days);
        assertEq(expiry, eta + 30 days);
        assertTrue(d.mandate.riskierPending());

        bytes memory early = abi.encodeWithSelector(IMandate.NotExecutable.selector, eta, expiry);
        vm.expectRevert(early);
        d.mandate.execute(t);
        vm.warp(eta - 1);
        vm.expectRevert(early);
        d.mandate.execute(t);
        vm.warp(eta);
        vm.prank(mallory); // anybody
        d.mandate.execute(t);
        assertEq(d.risk.params().k, 1);
        assertEq(d.mandate.current(), id);
        assertFalse(d.mandate.riskierPending());
        vm.expectRevert(abi.encodeWithSelector(IMandate.NotProposed.selector, id));
        d.mandate.execute(t);
    }

    function test_OnlyTheProposedTermsCanBeExecuted() public {
        _enter();
        Terms memory t = _now();
        t.params.k = 1;
        d.mandate.propose(t);
        vm.warp(block.timestamp + 45 days);
        t.params.marginBps = 0;
        vm.expectRevert(abi.encodeWithSelector(IMandate.NotProposed.selector, keccak256(abi.encode(t))));
        d.mandate.execute(t);
    }

    function test_AProposalExpires() public {
        _enter();
        Terms memory t = _now();
        t.params.k = 1;
        d.mandate.propose(t);
        (, uint40 eta, uint40 expiry) = d.mandate.pending();
        vm.warp(uint256(expiry) + 1);
        assertFalse(d.mandate.riskierPending());
        vm.expectRevert(abi.encodeWithSelector(IMandate.NotExecutable.selector, eta, expiry));
        d.mandate.execute(t);
        d.mandate.propose(t); // in its place
        assertTrue(d.mandate.riskierPending());
    }

    function test_AProposalHoldsUntilItsLastSecond() public {
        _enter();
        Terms memory t = _now();
        t.params.k = 1;
        d.mandate.propose(t);
        (,, uint40 expiry) = d.mandate.pending();
        vm.warp(expiry);
        d.mandate.execute(t);
        assertEq(d.risk.params().k, 1);
    }

    function test_OneProposalWaitsAtATimeAndCanBeCancelled() public {
        _enter();
        Terms memory t = _now();
        t.params.k = 1;
        bytes32 id = d.mandate.propose(t);
        vm.expectRevert(abi.encodeWithSelector(IMandate.ProposalPending.selector, id));
        d.mandate.propose(t);
        d.mandate.cancel();
        assertFalse(d.mandate.riskierPending());
        vm.warp(block.timestamp + 45 days);
        vm.expectRevert(abi.encodeWithSelector(IMandate.NotProposed.selector, id));
        d.mandate.execute(t);
        vm.expectRevert(abi.encodeWithSelector(IMandate.NotProposed.selector, bytes32(0)));
        d.mandate.cancel();
        d.mandate.propose(t);
    }

    function test_AProposalOfAnEmptyTierWaitsOnceSomebodyHasEntered() public {
        Terms memory t = _now();
        t.params.k = 1;
        d.mandate.propose(t);
        (, uint40 eta, uint40 expiry) = d.mandate.pending();
        _enter();
        vm.expectRevert(abi.encodeWithSelector(IMandate.NotExecutable.selector, eta, expiry));
        d.mandate.execute(t);
        vm.warp(eta);
        d.mandate.execute(t);
        assertEq(d.risk.params().k, 1);
    }

    function test_AnEmptyTierWaitsForNobody() public {
        Terms memory t = _now();
        t.params.k = 1;
        d.mandate.propose(t);
        d.mandate.execute(t);
        assertEq(d.risk.params().k, 1);
        t.params.marginBps = 500;
        d.mandate.tighten(t);
        assertEq(d.risk.params().marginBps, 500);
    }

    function test_RiskierTermsApplyOnlyToACoveredTier() public {
        _fund();
        Terms memory t = _now();
        t.params.k = 4; // safer, and more than there is cover for
        t.params.quarantineBps = 600; // riskier
        d.mandate.propose(t);
        _skip(45 days / BLOCK);
        (bool ok, bytes memory why) = address(d.mandate).call(abi.encodeCall(IMandate.execute, (t)));
        assertFalse(ok);
        assertEq(bytes4(why), ITier.Uncovered.selector);
        assertEq(d.risk.params().k, 2, "nothing was applied");
        assertTrue(d.mandate.riskierPending(), "and the proposal still waits");
        _deposit(d.junior, bob, 200 ether);
        d.mandate.execute(t);
        assertEq(d.risk.params().k, 4);
        assertLe(_utilisation(), 1e18);
    }

    function test_OnlyTheCuratorProposesTightensAndCancels() public {
        Terms memory t = _now();
        vm.startPrank(mallory);
        vm.expectRevert(_unauthorised(mallory));
        d.mandate.propose(t);
        vm.expectRevert(_unauthorised(mallory));
        d.mandate.tighten(t);
        vm.expectRevert(_unauthorised(mallory));
        d.mandate.cancel();
    }

    // ------------------------------------------------------------------------------------------ set checks

    function _assertSetRefused(Terms memory t, OperatorSet memory s, address seen, address coming) private {
        vm.expectRevert(abi.encodeWithSelector(IRiskTypes.SlasherNotApproved.selector, s.avs, s.id, seen, coming));
        d.mandate.tighten(t); // an empty tier waits for nothing, but checks
    }

    function test_ASetWithoutASlasherIsRefused() public {
        OperatorSet memory s = OperatorSet(address(d.avss[0]), 1);
        vm.mockCall(address(allocations), abi.encodeWithSelector(allocations.getSlasher.selector, s), abi.encode(0));
        Terms memory t = _now();
        t.sets[0].slasher = address(0); // even where the curator says so
        _assertSetRefused(t, s, address(0), address(0));
        vm.clearMockedCalls();
    }

    function test_ASetWhoseSlasherIsAnotherOneIsRefused() public {
        Terms memory t = _now();
        t.sets[2].slasher = mallory;
        _assertSetRefused(t, t.sets[2].operatorSet, address(d.avss[2]), address(0));
    }

    function test_ASetWithAForeignSlasherToComeIsRefused() public {
        d.avss[2].updateSlasher(1, mallory);
        Terms memory t = _now();
        _assertSetRefused(t, t.sets[2].operatorSet, address(d.avss[2]), mallory);
        d.avss[2].updateSlasher(1, address(d.avss[2])); // the approved one to come is none to fear
        d.mandate.tighten(t);
    }

    function test_ASetWhoseSlasherChangedWhileTheTermsWaitedIsRefused() public {
        _enter();
        Terms memory t = _now();
        t.params.k = 1;
        d.mandate.propose(t);
        d.avss[5].updateSlasher(1, mallory);
        _skip(45 days / BLOCK);
        vm.expectRevert(
            abi.encodeWithSelector(IRiskTypes.SlasherNotApproved.selector, address(d.avss[5]), 1, mallory, address(0))
        );
        d.mandate.execute(t);
    }

    function test_ARedistributingSetNeedsTheWord() public {
        LocalAVS avs = new LocalAVS(address(this), allocations, "insurance");
        avs.createRedistributingSet(1, _list(), address(avs), mallory);
        Terms memory t = _withSet(_now(), _set(address(avs), 1, address(avs)));
        vm.expectRevert(abi.encodeWithSelector(IRiskTypes.Redistributing.selector, address(avs), 1));
        d.mandate.tighten(t);
        t.sets[16].redistributing = true;
        d.mandate.tighten(t);
        assertTrue(d.risk.set(16).redistributing);
    }

    // --------------------------------------------------------------------------------------------- bounds

    function _assertInvalid(Terms memory t) private {
        vm.expectRevert(IRiskTypes.InvalidTerms.selector);
        d.mandate.tighten(t);
    }

    function test_NumbersOutOfBoundsAreRefused() public {
        Terms memory t = _now();
        t.params.k = 0;
        _assertInvalid(t);
        t.params.k = 33;
        _assertInvalid(t);
        t.params = _params(2);
        t.params.bufferBps = 501;
        _assertInvalid(t);
        t.params = _params(2);
        t.params.instantFeeBps = 9;
        _assertInvalid(t);
        t.params.instantFeeBps = 31;
        _assertInvalid(t);
        t.params = _params(2);
        t.params.quarantineBps = 10_001;
        _assertInvalid(t);
        t.params = _params(2);
        t.params.marginBps = 5_001;
        _assertInvalid(t);
        t.params = _params(2);
        t.params.haircutBps = 1_001;
        _assertInvalid(t);
        t.params = _params(2);
        t.sets[0].vetoBlocks = 100_801; // a longer window would hold the junior too long
        _assertInvalid(t);
        t.sets[0].vetoBlocks = 100_800;
        t.params = Params(32, 5_000, 1_000, 500, 30, 10_000, 1);
        d.mandate.tighten(t);
    }

    function test_WeightsBeyondOneAndTargetsBeyondOneAreRefused() public {
        Terms memory t = _now();
        t.agents[0].weightBps = 2_501;
        _assertInvalid(t);
        t = _now();
        t.agents[0].targets[0].magnitude += 1;
        _assertInvalid(t);
    }

    function test_TermsForAStrangersAgentAreRefused() public {
        Terms memory t = _now();
        t.agents[0].agent = mallory;
        vm.expectRevert(abi.encodeWithSelector(IRiskTypes.NotAuthorised.selector, mallory));
        d.mandate.tighten(t);
    }

    function test_AnAgentThatIsNotNamedHasNoWeightAndNoTargets() public {
        _enter();
        Terms memory t = _now();
        assembly ("memory-safe") {
            mstore(mload(add(t, 0x60)), 3) // agent 3 goes
        }
        d.mandate.tighten(t);
        assertEq(d.risk.agent(3).weightBps, 0);
        assertEq(_link(3, 0).target, 0);
        Target[] memory targets = t.agents[2].targets;
        assertEq(_link(2, 0).target, targets[0].magnitude);
    }
}
