// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Test} from "forge-std/Test.sol";
import {Queue} from "../../../contracts/libraries/Queue.sol";
import {MathHarness} from "../harness/MathHarness.sol";

/// @dev The queue against a model that keeps every single share: its request, whether it was claimed, and the cumulative
/// payment before it.
contract QueueTest is Test {
    MathHarness internal queue;

    address internal constant ANN = address(0xA);
    address internal constant BOB = address(0xB);

    struct Share {
        address owner;
        uint256 id;
        bool claimed;
    }

    Share[] internal shares;
    uint256[] internal paidBefore; // A(0) .. A(finalised)
    mapping(address => uint256) internal credit;
    mapping(uint256 => uint256) internal requestedAtBlock;
    uint256 internal requests;

    function setUp() public {
        queue = new MathHarness();
        paidBefore.push(0);
    }

    // model

    function _finalised() internal view returns (uint256) {
        return paidBefore.length - 1;
    }

    function _worth(uint256 share) internal view returns (uint256) {
        return paidBefore[share + 1] - paidBefore[share];
    }

    function _push(address who, uint256 amount) internal {
        ++requests;
        assertEq(queue.push(who, amount), requests);
        for (uint256 i; i < amount; ++i) {
            shares.push(Share(who, requests, false));
        }
        requestedAtBlock[block.number] = shares.length;
    }

    function _finalise(uint256 amount, uint256 assets) internal {
        queue.finalise(amount, assets);
        uint256 from = paidBefore[_finalised()];
        for (uint256 i = 1; i <= amount; ++i) {
            paidBefore.push(from + assets * i / amount);
        }
    }

    function _claimable(address who) internal view returns (uint256 count, uint256 assets) {
        assets = credit[who];
        for (uint256 i; i < _finalised(); ++i) {
            if (shares[i].owner != who || shares[i].claimed) continue;
            ++count;
            assets += _worth(i);
        }
    }

    function _claimShares(address who, uint256 amount) internal returns (uint256 assets) {
        assets = credit[who];
        credit[who] = 0;
        for (uint256 i; i < _finalised() && amount != 0; ++i) {
            if (shares[i].owner != who || shares[i].claimed) continue;
            shares[i].claimed = true;
            --amount;
            assets += _worth(i);
        }
        assertEq(amount, 0);
    }

    function _claimAssets(address who, uint256 assets) internal returns (uint256 count) {
        uint256 has = credit[who];
        uint256 id;
        for (uint256 i; i < _finalised(); ++i) {
            if (shares[i].owner != who || shares[i].claimed) continue;
            if (has >= assets) {
                // what the last request has behind it goes along where that is worth nothing
                if (shares[i].id != id || !_worthless(i)) break;
            }
            shares[i].claimed = true;
            id = shares[i].id;
            has += _worth(i);
            ++count;
        }
        credit[who] = has - assets;
    }

    function _worthless(uint256 from) internal view returns (bool) {
        uint256 id = shares[from].id;
        for (uint256 i = from; i < _finalised() && shares[i].id == id; ++i) {
            if (_worth(i) != 0) return false;
        }
        return true;
    }

    // properties

    /// @dev Prices from nothing to several wei a share, requests of several people in the same and in different blocks,
    /// claims of shares and of assets in between; every result is compared, and after every fourth step every view.
    function testFuzz_QueueDoesWhatAModelOfEveryShareDoes(uint256 seed) public {
        address[3] memory people = [ANN, BOB, address(0xC)];
        uint256 paid;
        for (uint256 step; step < 16; ++step) {
            uint256 word = uint256(keccak256(abi.encode(seed, step)));
            address who = people[word % 3];
            uint256 act = (word >> 16) % 10;
            uint256 amount = (word >> 32) % 60;
            if (act < 3) {
                _push(who, amount + 1);
            } else if (act < 6 && shares.length > _finalised()) {
                uint256 pending = shares.length - _finalised();
                _finalise(1 + amount % pending, (word >> 64) % 4 == 0 ? 0 : (word >> 72) % 200);
            } else if (act == 6) {
                vm.roll(block.number + 1 + amount % 3);
            } else {
                (uint256 count, uint256 assets) = _claimable(who);
                if (act < 8) {
                    amount = amount % (count + 1);
                    uint256 got = queue.claimShares(who, amount);
                    assertEq(got, _claimShares(who, amount));
                    paid += got;
                } else {
                    amount = (word >> 100) % (assets + 1);
                    assertEq(queue.claimAssets(who, amount), _claimAssets(who, amount));
                    paid += amount;
                }
            }
            if (step % 4 == 3) _compare(people);
        }
        // everything left is claimed: paid is exactly what was finalised, but for what nobody asked for yet
        for (uint256 i; i < 3; ++i) {
            (uint256 count, uint256 assets) = queue.claimable(people[i]);
            assertEq(queue.claimShares(people[i], count), assets);
            paid += assets;
            (count, assets) = queue.claimable(people[i]);
            assertEq(count + assets, 0);
        }
        (,, uint256 total) = queue.cumulative();
        assertLe(paid, total);
        assertEq(paid, paidBefore[_finalised()]);
    }

    function _compare(address[3] memory people) internal view {
        assertEq(queue.pendingShares(), shares.length - _finalised());
        for (uint256 i; i < 3; ++i) {
            (uint256 count, uint256 assets) = queue.claimable(people[i]);
            (uint256 wantCount, uint256 wantAssets) = _claimable(people[i]);
            assertEq(count, wantCount);
            assertEq(assets, wantAssets);
            assertEq(queue.creditOf(people[i]), credit[people[i]]);
        }
        for (uint256 s; s <= _finalised(); s += 7) {
            assertEq(queue.assetsAt(s), paidBefore[s]);
        }
        uint256 known;
        for (uint256 at; at <= block.number; ++at) {
            if (requestedAtBlock[at] != 0) known = requestedAtBlock[at];
            assertEq(queue.maturedShares(at), known > _finalised() ? known - _finalised() : 0);
        }
        uint256[] memory waiting = new uint256[](requests + 1);
        uint256[] memory ready = new uint256[](requests + 1);
        uint256[] memory worth = new uint256[](requests + 1);
        for (uint256 i; i < shares.length; ++i) {
            if (i >= _finalised()) {
                ++waiting[shares[i].id];
            } else if (!shares[i].claimed) {
                ++ready[shares[i].id];
                worth[shares[i].id] += _worth(i);
            }
        }
        for (uint256 id = 1; id <= requests; ++id) {
            assertEq(queue.pendingOf(id), waiting[id]);
            (uint256 count, uint256 assets) = queue.claimableOf(id);
            assertEq(count, ready[id]);
            assertEq(assets, worth[id]);
        }
    }

    function testFuzz_ClaimsTelescopeHoweverTheyAreCut(uint96 size, uint96 worth, uint256 seed) public {
        uint256 total = uint256(size) + 1;
        queue.push(ANN, total);
        queue.finalise(total, worth);
        uint256 left = total;
        uint256 paid;
        for (uint256 i; left != 0 && i < 12; ++i) {
            uint256 part = i == 11 ? left : 1 + uint256(keccak256(abi.encode(seed, i))) % left;
            paid += queue.claimShares(ANN, part);
            left -= part;
        }
        assertEq(paid, worth);
    }

    function testFuzz_ExactWithdrawalsPayExactlyAndLeaveTheRestClaimable(uint96 size, uint96 worth, uint256 seed)
        public
    {
        uint256 total = uint256(size) + 1;
        queue.push(ANN, total);
        queue.finalise(total, worth);
        uint256 used;
        uint256 paid;
        for (uint256 i; i < 6; ++i) {
            uint256 part = uint256(keccak256(abi.encode(seed, i))) % (worth - paid + 1);
            used += queue.claimAssets(ANN, part);
            paid += part;
            (uint256 count, uint256 assets) = queue.claimable(ANN);
            assertEq(count, total - used);
            assertEq(assets, worth - paid);
            // one share fewer would not have paid
            if (used != 0 && queue.creditOf(ANN) == 0 && count != 0) assertLt(queue.assetsAt(used - 1), paid);
        }
        queue.claimAssets(ANN, worth - paid);
        (uint256 rest,) = queue.claimable(ANN);
        assertEq(worth == 0 || rest == 0, true);
    }

    function test_AnExactWithdrawalOfLessThanAShareIsWorthKeepsTheDifferenceAsCredit() public {
        queue.push(ANN, 2);
        queue.finalise(2, 20);
        assertEq(queue.claimAssets(ANN, 3), 1);
        assertEq(queue.creditOf(ANN), 7);
        assertEq(queue.claimAssets(ANN, 7), 0);
        assertEq(queue.claimShares(ANN, 1), 10);
    }

    function test_OneRequestMayBePaidAtSeveralPrices() public {
        queue.push(ANN, 100);
        queue.finalise(40, 40);
        queue.finalise(40, 20);
        queue.finalise(20, 0);
        assertEq(queue.claimShares(ANN, 60), 50);
        assertEq(queue.claimShares(ANN, 40), 10);
    }

    function test_AClaimLooksAt32RequestsAndTheNextOneGoesOn() public {
        for (uint256 i; i < 40; ++i) {
            queue.push(ANN, 10);
        }
        queue.finalise(400, 400);
        (uint256 count, uint256 assets) = queue.claimable(ANN);
        assertEq(count, 320);
        assertEq(assets, 320);
        vm.expectRevert(abi.encodeWithSelector(Queue.ExceedsClaimable.selector, 321, 320));
        queue.claimShares(ANN, 321);
        vm.expectRevert(abi.encodeWithSelector(Queue.ExceedsClaimable.selector, 321, 320));
        queue.claimAssets(ANN, 321);
        assertEq(queue.claimShares(ANN, 320), 320);
        assertEq(queue.claimAssets(ANN, 80), 80);
    }

    function test_ClaimsAreInOrderOfRequestsAndNobodysClaimTouchesAnothers() public {
        queue.push(ANN, 10);
        queue.push(BOB, 10);
        queue.push(ANN, 10);
        queue.finalise(25, 250);
        assertEq(queue.claimShares(ANN, 12), 120);
        (uint256 mine,) = queue.claimable(ANN);
        (uint256 his,) = queue.claimable(BOB);
        assertEq(mine, 3);
        assertEq(his, 10);
        assertEq(queue.pendingOf(3), 5);
    }

    function test_BadInputIsRefusedWithNumbers() public {
        vm.expectRevert(Queue.ZeroShares.selector);
        queue.push(ANN, 0);
        queue.push(ANN, 5);
        vm.expectRevert(Queue.ZeroShares.selector);
        queue.finalise(0, 1);
        vm.expectRevert(abi.encodeWithSelector(Queue.ExceedsPending.selector, 6, 5));
        queue.finalise(6, 1);
        vm.expectRevert(abi.encodeWithSelector(Queue.ExceedsClaimable.selector, 1, 0));
        queue.claimShares(ANN, 1);
        vm.expectRevert(abi.encodeWithSelector(Queue.ExceedsClaimable.selector, 1, 0));
        queue.claimAssets(ANN, 1);
        vm.expectRevert(abi.encodeWithSelector(Queue.UnknownRequest.selector, 2, 1));
        queue.pendingOf(2);
        vm.expectRevert(abi.encodeWithSelector(Queue.UnknownRequest.selector, 0, 1));
        queue.returnUnfinalised(0);
    }

    function testFuzz_ClaimingMoreThanThereIsNamesWhatThereIs(uint256 much) public {
        queue.push(ANN, 10);
        queue.finalise(10, 15);
        uint256 shares_ = bound(much, 11, type(uint256).max);
        vm.expectRevert(abi.encodeWithSelector(Queue.ExceedsClaimable.selector, shares_, 10));
        queue.claimShares(ANN, shares_);
        uint256 assets = bound(much, 16, type(uint256).max);
        vm.expectRevert(abi.encodeWithSelector(Queue.ExceedsClaimable.selector, assets, 15));
        queue.claimAssets(ANN, assets);
    }

    function test_ARetiredSeriesGivesBackWhatIsNotFinalisedAndKeepsTheRestClaimable() public {
        queue.push(ANN, 10);
        queue.push(BOB, 10);
        queue.push(ANN, 10);
        queue.finalise(15, 30);
        queue.claimShares(ANN, 4);
        _returned(1, ANN, 0);
        _returned(3, ANN, 10);
        _returned(2, BOB, 5);
        _returned(2, BOB, 0);
        assertEq(queue.pendingShares(), 0);
        assertEq(queue.maturedShares(block.number), 0);
        assertEq(queue.claimShares(ANN, 6), 12);
        assertEq(queue.claimAssets(BOB, 10), 5);
        vm.expectRevert(abi.encodeWithSelector(Queue.QueueClosed.selector, 15));
        queue.finalise(1, 1);
        vm.expectRevert(abi.encodeWithSelector(Queue.QueueClosed.selector, 15));
        queue.push(ANN, 1);
    }

    function _returned(uint256 id, address want, uint256 count) internal {
        (address to, uint256 amount) = queue.returnUnfinalised(id);
        assertEq(to, want);
        assertEq(amount, count);
    }

    // searches

    /// @dev Sizes from one share to many, prices from nothing to a lot, claims by shares and by assets while it goes on.
    /// forge-config: default.fuzz.runs = 16
    function testFuzz_ManyFinalisationsPayWhatTheModelSays(uint256 seed) public {
        address[3] memory people = [ANN, BOB, address(0xC)];
        for (uint256 step; step < 90; ++step) {
            uint256 word = uint256(keccak256(abi.encode(seed, step)));
            if (step % 9 == 0) _push(people[(word >> 8) % 3], 30 + (word >> 16) % 60);
            uint256 pending = shares.length - _finalised();
            uint256 size = (word >> 32) % 8 == 0 ? (word >> 40) % 40 : (word >> 40) % 3;
            if (pending != 0) {
                _finalise(1 + size % pending, (word >> 64) % 3 == 0 ? 0 : (word >> 72) % (20 * size + 2));
            }
            if (word % 5 != 0) continue;
            address who = people[(word >> 80) % 3];
            (uint256 count, uint256 assets) = _claimable(who);
            (uint256 has, uint256 worth) = queue.claimable(who);
            assertEq(has, count);
            assertEq(worth, assets);
            uint256 part = (word >> 96) % (word % 2 == 0 ? count + 1 : assets + 1);
            if (word % 2 == 0) assertEq(queue.claimShares(who, part), _claimShares(who, part));
            else assertEq(queue.claimAssets(who, part), _claimAssets(who, part));
        }
        _compare(people);
        for (uint256 s; s <= _finalised(); ++s) {
            assertEq(queue.assetsAt(s), paidBefore[s]);
        }
    }

    /// @dev Claimed requests are deleted wherever they are in the queue, and the search must not be misled by the holes.
    /// forge-config: default.fuzz.runs = 32
    function testFuzz_WhatHasMaturedIsFoundAmongRequestsThatAreUsedUp(uint256 seed) public {
        address[3] memory people = [ANN, BOB, address(0xC)];
        for (uint256 step; step < 60; ++step) {
            uint256 word = uint256(keccak256(abi.encode(seed, step)));
            vm.roll(block.number + (word % 4 == 0 ? (word >> 8) % 40 : word % 2));
            _push(people[(word >> 16) % 3], 1 + (word >> 24) % 3);
            if ((word >> 32) % 3 == 0 && shares.length > _finalised()) {
                _finalise(1 + (word >> 40) % (shares.length - _finalised()), 50);
            }
            if ((word >> 48) % 3 != 0) continue;
            (uint256 count,) = queue.claimable(people[(word >> 56) % 3]);
            queue.claimShares(people[(word >> 56) % 3], count);
        }
        uint256 known;
        for (uint256 at; at <= block.number + 1; ++at) {
            if (requestedAtBlock[at] != 0) known = requestedAtBlock[at];
            assertEq(queue.maturedShares(at), known > _finalised() ? known - _finalised() : 0);
        }
    }

    uint256 private constant MANY = 1_000;

    /// @dev Different slots that were read since `vm.record`: what a transaction pays for.
    function _slotsRead() private returns (uint256 count) {
        (bytes32[] memory slots,) = vm.accesses(address(queue));
        for (uint256 i; i < slots.length; ++i) {
            uint256 k;
            while (slots[k] != slots[i]) ++k;
            if (k == i) ++count;
        }
    }

    /// @dev Slots that a claim of all that is claimable reads, those that it reads to write them included.
    function _readsOfAClaim(address who) private returns (uint256 reads) {
        (uint256 count,) = queue.claimable(who);
        vm.record();
        queue.claimShares(who, count);
        return _slotsRead();
    }

    function _finaliseMany(uint256 count, uint256 size) private {
        for (uint256 i; i < count; ++i) {
            queue.finalise(size, size + i % 2);
        }
    }

    function _aClaimAfterOneFinalisation() private returns (uint256 reads) {
        queue.push(ANN, 1e18);
        queue.finalise(1e18, 1e18);
        return _readsOfAClaim(ANN);
    }

    function test_AClaimReadsNoMoreHoweverManyFinalisationsWereBeforeItsRequest() public {
        uint256 one = _aClaimAfterOneFinalisation();
        queue.push(BOB, 1e18);
        _finaliseMany(MANY, 1e18 / MANY);
        queue.push(ANN, 1e18);
        queue.finalise(1e18, 1e18);
        assertLe(_readsOfAClaim(ANN), one + 1, "the checkpoint that it starts at");
    }

    function test_AClaimReadsThreeSlotsMoreHoweverManyFinalisationsCameAfterItsPayment() public {
        uint256 one = _aClaimAfterOneFinalisation();
        queue.push(BOB, 0.3e18);
        queue.push(ANN, 0.4e18);
        queue.push(BOB, 2_000e18);
        _finaliseMany(MANY, 1e18);
        assertLe(_readsOfAClaim(ANN), one + 3, "start, and both ends of the piece");
    }

    function test_AClaimReadsThreeSlotsMoreHoweverManyEvenFinalisationsWereBetweenItsRequestAndItsPayment() public {
        uint256 one = _aClaimAfterOneFinalisation();
        queue.push(BOB, 999.3e18);
        queue.push(ANN, 0.4e18);
        queue.push(BOB, 1_000e18);
        _finaliseMany(MANY, 1e18);
        assertLe(_readsOfAClaim(ANN), one + 3);
        _finaliseMany(MANY / 2, 1e18);
        queue.push(ANN, 1e18);
        queue.finalise(queue.pendingShares(), 7e18);
        assertLe(_readsOfAClaim(ANN), one + 3, "nor did the claim before it make this one dearer");
    }

    /// @dev Sizes that grow by a hundredth each time, where a straight line between two checkpoints says little.
    function test_NoPatternOfFinalisationsMakesASearchLong() public {
        uint256 one = _aClaimAfterOneFinalisation();
        queue.push(BOB, 200_000e18);
        queue.push(ANN, 10e18);
        queue.push(BOB, 2_000_000e18);
        uint256 size = 1e18;
        for (uint256 i; i < MANY; ++i) {
            queue.finalise(size, size);
            size = size * 101 / 100;
        }
        // two points, for each eight guesses and then halves of at most 1,000
        assertLe(_readsOfAClaim(ANN), one + 2 * (8 + 10 + 1));
    }

    /// @dev Slots that a look for what has matured reads.
    function _readsOfMaturity(uint256 blockNumber, uint256 want) private returns (uint256 reads) {
        vm.record();
        assertEq(queue.maturedShares(blockNumber), want);
        return _slotsRead();
    }

    function test_MaturityOfAThousandRequestsIsReadAsThatOfOne() public {
        uint256 first = block.number;
        queue.push(ANN, 1);
        uint256 one = _readsOfMaturity(first, 1);
        for (uint256 i = 1; i < MANY; ++i) {
            vm.roll(first + 7 * i);
            queue.push(i % 2 == 0 ? ANN : BOB, 1);
        }
        assertEq(_readsOfMaturity(block.number, MANY), one, "all of them");
        // of 1,000 that came evenly, 1 to 997 are too young: five steps back at most, then nearly straight to it
        for (uint256 young = 1; young < MANY; young += 83) {
            assertLe(_readsOfMaturity(first + 7 * (MANY - 1 - young), MANY - young), one + 8);
        }
        queue.finalise(MANY / 2, MANY);
        for (uint256 i; i < MANY / 2; i += 50) {
            queue.claimShares(ANN, 25);
            queue.claimShares(BOB, 25);
        }
        for (uint256 young = 1; young < MANY / 2; young += 43) {
            assertLe(
                _readsOfMaturity(first + 7 * (MANY - 1 - young), MANY / 2 - young), one + 8, "half of them used up"
            );
        }
    }
}
