// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

// solhint-disable gas-custom-errors

import {OperatorSet} from "../../../contracts/interfaces/external/IEigenLayer.sol";
import {IRiskManager} from "../../../contracts/interfaces/IRiskManager.sol";
import {ITier} from "../../../contracts/interfaces/ITier.sol";
import {TrancheToken} from "../../../contracts/core/TrancheToken.sol";
import {Waterfall} from "../../../contracts/libraries/Waterfall.sol";
import {BulkheadHandler} from "./BulkheadHandler.sol";

/// @notice The twelve invariants, each as a question put to the chain as it stands. What would change it is tried on a
/// snapshot.
contract BulkheadWorld is BulkheadHandler {
    /// @dev Types of the arguments of `calls()`: u uint256, b bool, 8 uint8, m uint64.
    string[40] private _kinds = [
        "ub8ub",
        "ubu",
        "uuuu",
        "uub8u",
        "b8u",
        "uu8uu",
        "uub",
        "u",
        "u",
        "u",
        "u",
        "bu",
        "buuu",
        "",
        "8u",
        "bu",
        "",
        "8",
        "8u",
        "uu8u",
        "uu8",
        "uu",
        "8u",
        "u8u",
        "uub",
        "",
        "uu",
        "uu",
        "u",
        "u",
        "uumb",
        "uu",
        "uu",
        "u",
        "u",
        "uu",
        "8uu",
        "8bu",
        "8b",
        "u"
    ];

    /// @notice One of `calls()` with arguments, all from one random word; reverts with what it reverts with.
    function act(bytes32 r) external {
        bytes4[] memory list = this.calls();
        uint256 n = uint256(r) % list.length;
        (bool went, bytes memory result) = address(this).call(abi.encodePacked(list[n], _args(bytes(_kinds[n]), r)));
        if (went) return;
        assembly ("memory-safe") {
            revert(add(result, 32), mload(result))
        }
    }

    function _args(bytes memory kinds, bytes32 r) private pure returns (bytes memory args) {
        for (uint256 n; n < kinds.length; ++n) {
            uint256 x = uint256(keccak256(abi.encode(r, n)));
            if (kinds[n] == "b") x &= 1;
            if (kinds[n] == "8") x &= 0xff;
            if (kinds[n] == "m") x &= type(uint64).max;
            args = abi.encodePacked(args, x);
        }
    }

    modifier tried() {
        uint256 snapshot = vm.snapshotState();
        _;
        require(vm.revertToStateAndDelete(snapshot), "snapshot");
    }

    function calls() external pure returns (bytes4[] memory list) {
        list = new bytes4[](40);
        list[0] = this.deposit.selector;
        list[1] = this.mint.selector;
        list[2] = this.transfer.selector;
        list[3] = this.requestRedeem.selector;
        list[4] = this.finalise.selector;
        list[5] = this.claim.selector;
        list[6] = this.instantRedeem.selector;
        list[7] = this.topUpReserve.selector;
        list[8] = this.skimReserve.selector;
        list[9] = this.recover.selector;
        list[10] = this.writeOff.selector;
        list[11] = this.pauseEntries.selector;
        list[12] = this.series_.selector;
        list[13] = this.sync.selector;
        list[14] = this.pass.selector;
        list[15] = this.lidoReport.selector;
        list[16] = this.lidoFinalise.selector;
        list[17] = this.lidoLimit.selector;
        list[18] = this.donate.selector;
        list[19] = this.slash.selector;
        list[20] = this.membership.selector;
        list[21] = this.swapSlasher.selector;
        list[22] = this.otherTier.selector;
        list[23] = this.deploy.selector;
        list[24] = this.redeploy.selector;
        list[25] = this.unbond.selector;
        list[26] = this.complete.selector;
        list[27] = this.redeposit.selector;
        list[28] = this.requestUnstake.selector;
        list[29] = this.claimUnstaked.selector;
        list[30] = this.allocate.selector;
        list[31] = this.deallocate.selector;
        list[32] = this.unwind.selector;
        list[33] = this.deleverage.selector;
        list[34] = this.poke.selector;
        list[35] = this.quarantine.selector;
        list[36] = this.tighten.selector;
        list[37] = this.catastrophe.selector;
        list[38] = this.keeper.selector;
        list[39] = this.addGains.selector;
    }

    function questions() external pure returns (bytes4[] memory list) {
        list = new bytes4[](12);
        list[0] = this.conservation.selector;
        list[1] = this.headline.selector;
        list[2] = this.juniorFirst.selector;
        list[3] = this.noFreeLunch.selector;
        list[4] = this.noDodging.selector;
        list[5] = this.exitsWork.selector;
        list[6] = this.exposureRecorded.selector;
        list[7] = this.claimsAreReserved.selector;
        list[8] = this.ratesHold.selector;
        list[9] = this.gated.selector;
        list[10] = this.limits.selector;
        list[11] = this.isolation.selector;
    }

    /// @notice What was called, how often it went through and how often it was refused, as foretold.
    function tally(uint256 n) external view returns (bytes32 name, uint256 went, uint256 refused_) {
        if (n < _names.length) (name, went, refused_) = (_names[n], passed[_names[n]], refused[_names[n]]);
    }

    /// @notice 1: R + J + S + G is V, and V is every asset once, as EigenLayer and Lido count them.
    function conservation() external {
        compare();
        ITier.Preview memory p = d.tier.preview();
        assertEq(p.value, _worth(), "1: V");
        assertEq(p.books.reserve + p.books.junior + p.books.senior + p.books.gains, p.value, "1: R + J + S + G = V");
        (Ledger memory l, Sight memory s) = _begin();
        assertEq(p.books.senior, l.senior, "1: preview of S");
        assertEq(p.books.junior, l.junior, "1: preview of J");
        assertEq(p.observation.exposed, _worst(s, Which.Live), "1: preview of L");
        assertEq(p.observation.queued, s.exiting, "1: preview of the withdrawal queue");
    }

    /// @notice 2: from a covered block on, the k worst groups and all unapproved sets slash all they can and Lido loses
    /// h: the senior does not lose a wei.
    function headline() external tried {
        d.tier.sync();
        (uint256 use,,,,) = d.tier.status();
        if (use > ONE) return;
        Sight memory s = _look(ledger.idle);
        uint256 worst = d.risk.exposures(false).worst;
        uint256 senior = d.tier.books().senior;
        uint256 rate = d.tier.token(true) == address(0) ? 0 : TrancheToken(d.tier.token(true)).collateralRate();
        bool lstFirst = block.number % 2 == 0;
        if (lstFirst) _lidoLoses(s.p.haircutBps);
        for (uint256 i; i < d.agents.length; ++i) {
            for (uint256 j; j < SLOTS; ++j) {
                Link memory x = s.links[i * SLOTS + j];
                if (!x.used) continue;
                if (!s.unapproved[x.set] && (worst >> s.group[x.set]) & 1 == 0) continue;
                _slashNow(address(d.agents[i]), d.risk.set(x.set).operatorSet.avs, 1e18);
            }
        }
        if (!lstFirst) _lidoLoses(s.p.haircutBps);
        d.tier.sync();
        assertGe(d.tier.books().senior, senior, "2: the senior lost");
        if (rate == 0) return;
        assertGe(TrancheToken(d.tier.token(true)).collateralRate(), rate, "2: the senior rate fell");
    }

    function _lidoLoses(uint256 bps) private {
        uint256 loss = lido.getTotalPooledEther() * bps / BIPS;
        if (loss != 0) lido.report(-int256(loss));
    }

    function _slashAll() private {
        for (uint256 i; i < d.agents.length; ++i) {
            for (uint256 g; g < d.avss.length; ++g) {
                _slashNow(address(d.agents[i]), address(d.avss[g]), 1e18);
            }
        }
    }

    /// @notice 3: everybody slashes everything; the senior loses only where nothing else is left.
    function juniorFirst() external tried {
        d.tier.sync();
        Waterfall.Books memory a = d.tier.books();
        _slashAll();
        ITier.Preview memory p = d.tier.preview();
        d.tier.sync();
        Waterfall.Books memory b = d.tier.books();
        if (p.borne.senior != 0) {
            assertEq(b.gains, 0, "3: gains are left");
            assertEq(b.junior, 0, "3: junior is left");
            assertEq(p.borne.junior + p.borne.reserve + p.borne.gains, a.gains + a.reserve + a.junior, "3: order");
        } else {
            assertEq(b.senior, a.senior, "3: the senior lost");
        }
        if (p.borne.junior != 0) assertEq(p.borne.reserve, a.reserve, "3: reserve before junior");
    }

    /// @notice 4: in and out again, at once or through the queue, never pays more than it took.
    function noFreeLunch() external {
        _roundTrip(true);
        _roundTrip(false);
    }

    function _roundTrip(bool senior) private tried {
        d.tier.sync();
        TrancheToken token = TrancheToken(d.tier.token(senior));
        if (address(token) == address(0)) return;
        uint256 assets = _min(token.maxDeposit(address(0)), 3 ether + block.number % 1000);
        if (assets < 0.1 ether) return;
        address who = makeAddr("visitor");
        uint256 shares = _deposit(token, who, assets);
        vm.startPrank(who);
        if (senior && token.maxInstantRedeem() >= shares && block.number % 2 == 0) {
            assertLt(token.instantRedeem(shares, 0, who, false), assets, "4: an instant round trip pays");
            vm.stopPrank();
            return;
        }
        uint256 before = d.tier.books().gains;
        token.requestRedeem(shares, who, who);
        vm.stopPrank();
        if (before != 0) return;
        _skip(WITHDRAWAL_BLOCKS + MARGIN_BLOCKS);
        uint256 first = d.tier.books().reserve;
        token.finalise(type(uint256).max);
        uint256 claimable = token.maxRedeem(who);
        if (claimable == 0 || d.tier.books().reserve > first) return;
        vm.prank(who);
        uint256 paid = token.redeem(claimable, who, who);
        if (claimable == shares) assertLe(paid, assets, "4: a round trip through the queue pays");
    }

    /// @notice 5: who stands in the junior queue when a slash comes leaves at the rate after it, however late it is booked.
    function noDodging() external tried {
        d.tier.sync();
        TrancheToken token = TrancheToken(d.tier.token(false));
        if (address(token) == address(0)) return;
        address who = people[block.number % people.length];
        uint256 all = token.balanceOf(who);
        if (all != 0) {
            vm.prank(who);
            token.requestRedeem(all, who, who);
        }
        if (token.queuedShares() == 0) return;
        uint256 supply = token.totalSupply();
        // the request is made, the slash comes before its maturity
        _skip(WITHDRAWAL_BLOCKS);
        d.tier.sync();
        Waterfall.Books memory a = d.tier.books();
        for (uint256 j; j < 3; ++j) {
            _slashNow(address(d.agents[block.number % 2]), address(d.avss[j]), 0.9e18);
        }
        uint256 junior = d.tier.preview().books.junior;
        _skip(MARGIN_BLOCKS);
        lido.report(-1); // no time for a gain: the books may only have fallen
        ITier.Preview memory p = d.tier.preview();
        if (p.juniorRetires) return;
        (uint256 done, uint256 assets) = token.finalise(type(uint256).max);
        assertLe(p.books.junior, junior + a.gains + a.senior, "5: the junior gained more than there was");
        if (done == 0) return;
        assertEq(assets, done * p.books.junior / supply, "5: a queued share left at another rate");
    }

    /// @notice 6: everything that can be slashed is slashed, and exits, transfers and rates still work.
    function exitsWork() external tried {
        _slashAll();
        if (block.number % 3 == 0) _lidoLoses(5_000);
        for (uint256 n; n < series.length; ++n) {
            TrancheToken token = TrancheToken(series[n]);
            token.collateralRate();
            token.totalAssets();
            token.convertToAssets(1 ether);
            token.convertToShares(1 ether);
            token.maxDeposit(address(0));
            token.maxInstantRedeem();
        }
        d.tier.sync();
        _exitBoth();
        _skip(WITHDRAWAL_BLOCKS + MARGIN_BLOCKS + 1);
        for (uint256 n; n < series.length; ++n) {
            TrancheToken token = TrancheToken(series[n]);
            token.collateralRate();
            if (!lines[address(token)].retired && d.tier.token(token.senior()) == address(token)) {
                token.finalise(type(uint256).max);
            }
            for (uint256 i; i < people.length; ++i) {
                uint256 shares = token.maxRedeem(people[i]);
                if (shares == 0) continue;
                vm.prank(people[i]);
                token.redeemEth(shares, sink, people[i]);
            }
        }
    }

    function _exitBoth() private {
        for (uint256 n; n < 2; ++n) {
            TrancheToken token = TrancheToken(d.tier.token(n == 0));
            if (address(token) == address(0)) continue;
            token.finalise(type(uint256).max);
            for (uint256 i; i < people.length; ++i) {
                uint256 shares = token.balanceOf(people[i]);
                if (shares == 0) continue;
                vm.startPrank(people[i]);
                token.transfer(sink, 1);
                if (shares > 1) token.requestRedeem(shares - 1, people[i], people[i]);
                vm.stopPrank();
            }
        }
    }

    /// @notice 7: what RiskManager counts for a group is at least what AllocationManager would let it take.
    function exposureRecorded() external {
        Sight memory s = _look(ledger.idle);
        uint256[] memory real = new uint256[](GROUPS);
        uint256 unapproved;
        for (uint256 g; g < d.avss.length; ++g) {
            OperatorSet memory set = OperatorSet(address(d.avss[g]), 1);
            (, uint256 at) = d.risk.setIndex(set.avs, 1);
            for (uint256 i; i < d.agents.length; ++i) {
                if (s.max[i] == 0 || !allocations.isOperatorSlashable(address(d.agents[i]), set)) continue;
                uint256 current = allocations.getAllocation(address(d.agents[i]), set, strategy).currentMagnitude;
                uint256 take = (s.reach[i] - 2 * (1 + s.exits[i])) * current * PARTS / s.max[i];
                if (s.unapproved[at]) unapproved += take;
                else real[s.group[at]] += take;
            }
        }
        IRiskManager.Exposures memory x = d.risk.exposures(false);
        for (uint256 g; g < GROUPS; ++g) {
            // while a poke is due a view may count a set as unapproved that is stored as approved: then it is on top
            assertGe(x.current[g] + x.unapproved, _priced(s, real[g]), "7: a group could take more than is recorded");
        }
        assertGe(x.unapproved, _priced(s, unapproved), "7: unapproved sets could take more than is recorded");
        // the groups are rounded up one by one, their sum as one
        uint256 sum = _top(x.current, s.p.k) + x.unapproved;
        assertTrue(x.largest <= sum && x.largest + s.p.k + 1 >= sum, "7: L_k");
    }

    /// @notice 8: what was finalised and not paid, and the pots, are set aside to the wei.
    function claimsAreReserved() external view {
        uint256 owed;
        for (uint256 n; n < series.length; ++n) {
            Line storage q = lines[series[n]];
            owed += q.assets - q.paid + q.pot;
            uint256 claimable;
            for (uint256 i; i < people.length; ++i) {
                claimable += TrancheToken(series[n]).maxWithdraw(people[i]);
                assertEq(TrancheToken(series[n]).balanceOf(people[i]), q.held[people[i]], "8: shares of a holder");
            }
            assertLe(claimable, q.assets - q.paid, "8: more is claimable than was finalised");
            assertEq(TrancheToken(series[n]).balanceOf(series[n]), q.held[series[n]], "8: shares in escrow");
        }
        (uint256 idle, uint256 reserved) = d.tier.cash();
        assertEq(owed, reserved, "8: reserved");
        assertGe(weth.balanceOf(address(d.tier)), idle + reserved, "8: WETH");
    }

    /// @notice 9: days pass and nobody loses: no rate falls. (Between calls the model watches every step.)
    function ratesHold() external tried {
        d.tier.sync();
        (uint256 senior, uint256 junior) = (_rate(true), _rate(false));
        for (uint256 n; n < 3; ++n) {
            _skip(n == 0 ? 1 : n == 1 ? 3_000 : 30_000);
            d.tier.sync();
            assertGe(_rate(true), senior, "9: the senior rate fell");
            assertGe(_rate(false), junior, "9: the junior rate fell");
            (senior, junior) = (_rate(true), _rate(false));
        }
    }

    function _rate(bool senior) private view returns (uint256) {
        address token = d.tier.token(senior);
        return token == address(0) ? 0 : TrancheToken(token).collateralRate();
    }

    /// @notice 10: whatever the gate lets through leaves the tier covered. (Between calls the model watches every step.)
    function gated() external {
        for (uint256 i; i < d.agents.length; ++i) {
            _tryGated(address(d.stakes), abi.encodeCall(d.stakes.deploy, (i, d.stakes.deployLimit(i))));
            for (uint256 j; j < 3; ++j) {
                (, IRiskManager.Link memory x) = d.risk.link(i, j);
                _tryGated(address(d.allocator), abi.encodeCall(d.allocator.allocate, (i, j, x.target)));
            }
        }
        if (d.tier.token(false) == address(0)) return;
        _tryGated(d.tier.token(false), abi.encodeCall(TrancheToken.finalise, (type(uint256).max)));
    }

    function _tryGated(address to, bytes memory data) private tried {
        d.tier.sync();
        (bool went, bytes memory result) = to.call(data);
        (uint256 use,,,,) = d.tier.status();
        if (went && keccak256(result) != keccak256(abi.encode(0, 0))) assertLe(use, ONE, "10: U > 1 after the gate");
    }

    /// @notice 11: the limits pass, and one more does not: deposits, finalisation, deployment; on the chain itself.
    function limits() external {
        for (uint256 i; i < d.agents.length; ++i) {
            uint256 limit = d.stakes.deployLimit(i);
            _expect(sink, address(d.stakes), abi.encodeCall(d.stakes.deploy, (i, limit + 1)), false);
            if (limit < 1 gwei || !_fit(_look(ledger.idle), i)) continue;
            _expect(sink, address(d.stakes), abi.encodeCall(d.stakes.deploy, (i, limit)), true);
        }
        for (uint256 n; n < 2; ++n) {
            bool senior = n == 0;
            TrancheToken token = TrancheToken(d.tier.token(senior));
            if (address(token) == address(0)) continue;
            uint256 limit = token.maxDeposit(address(0));
            _tryDeposit(token, limit + 1, false);
            if (limit >= 0.01 ether) _tryDeposit(token, limit, true);
            ITier.Preview memory p = d.tier.preview();
            if (senior ? p.seniorRetires : p.juniorRetires) continue; // its queue is given back, not paid
            limit = d.tier.finalisable(senior);
            _expect(sink, address(token), abi.encodeCall(token.finalise, (limit + 1)), false);
            _expect(sink, address(token), abi.encodeCall(token.finalise, (limit)), true);
        }
    }

    function _tryDeposit(TrancheToken token, uint256 assets, bool should) private tried {
        weth.deposit{value: assets}();
        weth.approve(address(token), assets);
        (bool went,) = address(token).call(abi.encodeCall(token.deposit, (assets, address(this))));
        assertEq(went, should, "11: deposit limit");
    }

    function _expect(address who, address to, bytes memory data, bool should) private tried {
        (bool went,) = _as(who, to, data);
        assertEq(went, should, "11: a limit is not exact");
    }

    /// @notice 12: the worst happens to tier A, and is booked; tier B's books and worth stay. And the other way round.
    function isolation() external tried {
        bytes32 books = _booksOf(other);
        uint256 worth = _worthOfOther();
        _slashAll();
        d.tier.sync();
        assertEq(_booksOf(other), books, "12: the other tier's books changed");
        assertApproxEqAbs(_worthOfOther(), worth, 1_000, "12: the other tier's assets moved");
        books = _booksOf(d);
        worth = _worth();
        _slashNow(address(other.agents[0]), address(other.avss[0]), 1e18);
        _slashNow(address(other.agents[0]), address(other.avss[1]), 1e18);
        other.tier.sync();
        assertEq(_booksOf(d), books, "12: this tier's books changed");
        assertApproxEqAbs(_worth(), worth, 1_000, "12: this tier's assets moved");
    }
}
