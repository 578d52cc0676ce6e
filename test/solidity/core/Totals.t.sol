// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Terms} from "../../../contracts/interfaces/IRiskManager.sol";
import {UnitFixture} from "./UnitFixture.sol";

/// @notice A sync takes what it can from stored totals. They must say what looking at every agent and link would.
contract TotalsTest is UnitFixture {
    /// @dev RiskManager's storage, and in it the slot that ends with the flag `totalled` (byte 29).
    uint256 private constant FLAGS = 0xa684a70c8675705138fad48c5390b36b0f4dc1fb9d32a1188f1516bdf93a7201;

    function setUp() public {
        _setUpTier(4, 4, QUARTER, 2);
        _fund();
    }

    function _totalled() private view returns (bool) {
        return uint256(vm.load(address(d.risk), bytes32(FLAGS))) >> 232 & 0xff == 1;
    }

    function _forget() private {
        uint256 word = uint256(vm.load(address(d.risk), bytes32(FLAGS)));
        vm.store(address(d.risk), bytes32(FLAGS), bytes32(word & ~(uint256(0xff) << 232)));
    }

    /// @dev The same observation with and without the totals, and the same sync.
    function _assertSame() private {
        assertTrue(_totalled(), "a call leaves totals");
        bytes memory seen = abi.encode(d.risk.observe());
        uint256 snapshot = vm.snapshotState();
        _forget();
        assertFalse(_totalled());
        assertEq(abi.encode(d.risk.observe()), seen, "the observation of a view");
        d.tier.sync();
        bytes32 slow = _state();
        assertTrue(vm.revertToStateAndDelete(snapshot), "snapshot");
        d.tier.sync();
        assertEq(_state(), slow, "the sync");
        _assertConserved(d);
    }

    function _state() private view returns (bytes32) {
        (uint256 u, uint256 rate,, uint40 unlockAt,) = d.tier.status();
        return keccak256(abi.encode(d.tier.books(), u, rate, unlockAt, d.risk.observe()));
    }

    /// @dev Something that moves stake, magnitude, price, links, sets or time.
    function _act(uint256 seed) private {
        uint256 agent = seed >> 8 & 3;
        uint256 group = seed >> 16 & 15;
        uint256 size = seed >> 32;
        uint256 kind = seed % 12;
        if (kind == 0) {
            _slash(d, group, group / 4, bound(size, 1, 0.2e18));
        } else if (kind == 1) {
            _report(bound(size, 1, 2_000 ether), size & 3 != 0);
        } else if (kind == 2) {
            _skip(bound(size, 1, 40_000));
        } else if (kind == 3) {
            _try(address(d.risk), abi.encodeCall(d.risk.poke, (group)));
        } else if (kind == 4) {
            _try(address(d.risk), abi.encodeCall(d.risk.quarantine, (uint8(group))));
        } else if (kind == 5) {
            _try(address(d.risk), abi.encodeCall(d.risk.merge, (uint8(group), uint8(size & 15))));
        } else if (kind == 6) {
            _try(address(d.allocator), abi.encodeCall(d.allocator.unwind, (agent, group & 3)));
        } else if (kind == 7) {
            _try(address(d.stakes), abi.encodeCall(d.stakes.complete, (agent, 0)));
        } else if (kind == 8) {
            _ask(bound(size, 1 ether, 50 ether));
        } else if (kind == 9) {
            _try(address(d.stakes), abi.encodeCall(d.stakes.unbond, ()));
        } else if (kind == 10) {
            _try(address(d.stakes), abi.encodeCall(d.stakes.deploy, (agent, d.stakes.deployLimit(agent))));
        } else {
            _deposit(d.junior, bob, 5 ether);
        }
    }

    function _report(uint256 assets, bool gain) private {
        if (gain) lido.report{value: assets}(int256(assets));
        else lido.report(-int256(assets));
    }

    function _ask(uint256 shares) private {
        if (d.senior.balanceOf(alice) > shares) _request(true, alice, shares);
    }

    /// @dev What the protocol refuses leaves everything as it was.
    function _try(address to, bytes memory data) private {
        (bool went,) = to.call(data);
        went;
    }

    /// SPEC 2.8, rule 7
    /// forge-config: default.fuzz.runs = 24
    function testFuzz_WithAndWithoutStoredTotalsASyncFindsTheSame(uint256 seed) public {
        for (uint256 i; i < 10; ++i) {
            _act(uint256(keccak256(abi.encode(seed, i))));
            if (d.tier.token(true) == address(0) || d.tier.token(false) == address(0)) return;
            d.tier.sync();
            _assertSame();
        }
    }

    function test_ASlashAStaleSetAndAnEndedWithdrawalAreSeenThroughTheTotals() public {
        _request(true, alice, 40 ether);
        d.stakes.unbond();
        (uint256 exiting, uint256 agent) = (d.risk.observe().queued, 0);
        while (d.risk.agent(agent).exits == 0) ++agent;
        assertGt(exiting, 0);
        uint256 exposed = d.risk.observe().exposed;
        _skip(DELAY + 1);
        // the sets of all agents were looked at, so nothing but the end of the withdrawal has changed
        assertTrue(block.timestamp > d.risk.freshUntil());
        d.tier.sync();
        assertTrue(d.risk.exit(agent, 0).settled);
        assertLt(d.risk.observe().exposed, exposed);
        _assertSame();
        uint256 staked = d.risk.observe().staked;
        _slash(d, 0, 0, 0.5e18);
        assertLt(d.risk.observe().staked, staked);
        assertEq(d.risk.observe().slashedAgents, 1);
        d.tier.sync();
        _assertSame();
    }

    function test_AMandateInForceIsInTheTotalsOfItsOwnCall() public {
        Terms memory t = _terms(d, 4, QUARTER, 3);
        t.params.marginBps = 1_500;
        d.mandate.tighten(t);
        _assertSame();
        assertEq(d.risk.observe().params.k, 3);
    }

    function test_ANewAgentIsAskedForItsMagnitudeFromItsFirstSyncOn() public {
        factory.createAgent(address(d.tier), address(this), "ipfs://agent");
        assertFalse(_totalled());
        d.tier.sync();
        _assertSame();
        _slash(d, 5, 1, 0.5e18);
        assertEq(d.risk.observe().slashedAgents, 2);
        d.risk.removeAgent(4);
        _assertSame();
        _slash(d, 0, 0, 0.5e18);
        assertEq(d.risk.observe().slashedAgents, 1);
    }
}
