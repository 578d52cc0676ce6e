// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Terms} from "../../../contracts/interfaces/IRiskManager.sol";
import {ITier} from "../../../contracts/interfaces/ITier.sol";
import {RoleAcceptance} from "../../../contracts/periphery/RoleAcceptance.sol";
import {SolvencyLens} from "../../../contracts/periphery/SolvencyLens.sol";
import {UnitFixture} from "./UnitFixture.sol";

/// @notice What the lens says that a mandate will do is what it does (SPEC section 6.2).
contract OutlookTest is UnitFixture {
    uint64 private constant TARGET = 0.2e18;
    uint256 private constant P = 1e9;
    /// @dev Wei: the lens converts each agent's shares on its own, the tier all of them at once.
    uint256 private constant TOLERANCE = 50;

    function setUp() public {
        _setUpTier(4, 4, TARGET, 2);
        _deposit(d.junior, bob, 100 ether);
        _deposit(d.senior, alice, d.senior.maxDeposit(alice) / 2);
        _deployAll(d);
        for (uint256 i; i < 4; ++i) {
            d.allocator.allocate(i, 0, TARGET / 2);
            d.allocator.allocate(i, 1, TARGET / 4);
        }
    }

    function _current() private view returns (Terms memory) {
        return _terms(d, 4, TARGET, 2);
    }

    function _near(uint256 a, uint256 b, uint256 tolerance, string memory what) private pure {
        assertLe(a > b ? a - b : b - a, tolerance, what);
    }

    function _propose(Terms memory t) private returns (SolvencyLens.Outlook memory) {
        d.mandate.propose(t);
        _skip(45 days / BLOCK);
        d.tier.sync();
        return lens.outlook(d.tier, t);
    }

    /// @dev The standing after the terms are in force, against what was foreseen.
    function _compare(SolvencyLens.Outlook memory o) private view {
        ITier.Preview memory p = d.tier.preview();
        _near(p.observation.exposed, o.atOnce.exposed, TOLERANCE * P, "L_k");
        _near(p.utilisation, o.atOnce.utilisation, 1e9, "U");
        _near(d.senior.maxDeposit(alice), o.atOnce.seniorLimit, 1e6, "the senior's limit");
    }

    function test_TermsInForceChangeNothing() public view {
        SolvencyLens.Outlook memory o = lens.outlook(d.tier, _current());
        assertEq(o.riskierIn, bytes32(0));
        assertFalse(o.waits);
        assertTrue(o.covered);
        assertEq(o.inForce.exposed, d.tier.preview().observation.exposed);
        assertEq(o.inForce.utilisation, d.tier.preview().utilisation);
        assertEq(o.inForce.seniorLimit, d.senior.maxDeposit(alice));
        assertEq(o.inForce.juniorLimit, o.atOnce.juniorLimit);
        _compare(o);
        assertGt(o.atTargets.exposed, o.atOnce.exposed, "half of it is not allocated yet");
    }

    function test_AProposalIsSeenWithItsTimesAndItsEffectBeforeItHappens() public {
        Terms memory t = _current();
        t.params.k = 1;
        t.params.marginBps = 0;
        assertFalse(lens.outlook(d.tier, t).waits);
        d.mandate.propose(t);
        SolvencyLens.Outlook memory o = lens.outlook(d.tier, t);
        assertTrue(o.waits);
        assertEq(o.id, keccak256(abi.encode(t)));
        assertEq(o.eta, block.timestamp + 45 days);
        assertEq(o.expiry, o.eta + 30 days);
        assertEq(o.riskierIn, bytes32("k"));
        assertLt(o.atOnce.exposed, o.inForce.exposed);
        assertLt(o.atOnce.utilisation, o.inForce.utilisation);
        assertGt(o.atOnce.seniorLimit, o.inForce.seniorLimit);
        assertGt(o.atOnce.juniorLimit, o.inForce.juniorLimit);
        Terms memory other = _current();
        other.params.k = 1;
        assertFalse(lens.outlook(d.tier, other).waits, "other terms than those that wait");
    }

    /// forge-config: default.fuzz.runs = 32
    function testFuzz_WhatIsForeseenHappens(uint256 seed) public {
        Terms memory t = _current();
        t.params.k = uint8(bound(seed, 1, 4));
        t.params.marginBps = uint16(bound(seed >> 8, 0, 2_000));
        t.params.haircutBps = uint16(bound(seed >> 24, 0, 500));
        t.params.bufferBps = uint16(bound(seed >> 40, 0, 500));
        t.params.cap = uint88(bound(seed >> 56, 100 ether, 2_000_000 ether));
        for (uint256 i; i < 4; ++i) {
            t.agents[i].weightBps = uint16(bound(seed >> (72 + 16 * i), 0, 2_500));
            for (uint256 j; j < 4; ++j) {
                t.agents[i].targets[j].magnitude = uint64(bound(uint256(keccak256(abi.encode(seed, i, j))), 0, 0.25e18));
            }
        }
        SolvencyLens.Outlook memory o = _propose(t);
        if (!o.covered) {
            vm.expectPartialRevert(ITier.Uncovered.selector);
            d.mandate.execute(t);
            return;
        }
        d.mandate.execute(t);
        _compare(o);
        for (uint256 i; i < 4; ++i) {
            for (uint256 j; j < 4; ++j) {
                try d.allocator.allocate(i, j, t.agents[i].targets[j].magnitude) {} catch {}
            }
        }
        assertLe(d.tier.preview().observation.exposed, o.atTargets.exposed + TOLERANCE * P, "never more than foreseen");
    }

    function test_AllocationsGrowToWhatWasForeseen() public {
        SolvencyLens.Outlook memory o = lens.outlook(d.tier, _current());
        _allocateAll(d, 4, TARGET);
        d.tier.sync();
        _near(d.tier.preview().observation.exposed, o.atTargets.exposed, TOLERANCE * P, "L_k");
        _near(d.tier.preview().utilisation, o.atTargets.utilisation, 1e9, "U");
    }

    function test_GroupsThatTheTermsJoinAreForeseenAsOne() public {
        // a new set of the first service, slashed by the fifth: two groups become one
        d.avss[0].createSet(7, _list(), address(d.avss[4]));
        Terms memory t = _withSet(_current(), _set(address(d.avss[0]), 7, address(d.avss[4])));
        SolvencyLens.Outlook memory o = _propose(t);
        assertGt(o.atOnce.exposed, o.inForce.exposed);
        d.mandate.execute(t);
        assertEq(_group(0), _group(4));
        _compare(o);
    }

    function test_ASlasherThatTheTermsApproveNoLongerCountsOnTop() public {
        d.avss[1].updateSlasher(1, mallory);
        d.risk.poke(1);
        _skip(126_001);
        d.risk.poke(1);
        assertTrue(d.risk.set(1).unapproved);
        Terms memory t = _current();
        t.sets[1].slasher = mallory;
        SolvencyLens.Outlook memory o = _propose(t);
        assertLt(o.atOnce.exposed, o.inForce.exposed);
        d.mandate.execute(t);
        assertFalse(d.risk.set(1).unapproved);
        _compare(o);
    }

    function test_AQuarantinedSetIsNotForeseenToGrowUnlessTheTermsReleaseIt() public {
        d.risk.quarantine(2);
        Terms memory t = _current();
        uint256 held = lens.outlook(d.tier, t).atOnce.seniorLimit;
        t.releases = 4;
        SolvencyLens.Outlook memory o = _propose(t);
        assertLe(o.atOnce.seniorLimit, held);
        d.mandate.execute(t);
        _compare(o);
    }
}

/// @notice A role is not granted to an address that never answered.
contract RoleAcceptanceTest is UnitFixture {
    RoleAcceptance private _acceptance;

    function setUp() public {
        _acceptance = new RoleAcceptance();
    }

    function test_WhoNeverAnsweredHasNotAccepted() public {
        address manager = makeAddr("manager");
        vm.expectRevert(abi.encodeWithSelector(RoleAcceptance.NotAccepted.selector, manager, 1, alice));
        _acceptance.requireAccepted(manager, 1, alice);
        vm.prank(alice);
        _acceptance.accept(manager, 1);
        _acceptance.requireAccepted(manager, 1, alice);
        assertEq(_acceptance.acceptedAt(manager, 1, alice), block.timestamp);
    }

    function test_AnAnswerIsForOneRoleOfOneManagerByOneAccount() public {
        vm.prank(alice);
        _acceptance.accept(address(1), 1);
        assertEq(_acceptance.acceptedAt(address(1), 2, alice), 0);
        assertEq(_acceptance.acceptedAt(address(2), 1, alice), 0);
        assertEq(_acceptance.acceptedAt(address(1), 1, bob), 0);
    }

    function test_AWordTakenBackCountsNoLonger() public {
        vm.startPrank(alice);
        _acceptance.accept(address(1), 1);
        _acceptance.decline(address(1), 1);
        vm.expectRevert(abi.encodeWithSelector(RoleAcceptance.NotAccepted.selector, address(1), 1, alice));
        _acceptance.requireAccepted(address(1), 1, alice);
    }
}
