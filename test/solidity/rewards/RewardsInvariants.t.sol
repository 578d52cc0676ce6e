// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Test} from "forge-std/Test.sol";
import {IRewardsTypes} from "../../../contracts/interfaces/IRewards.sol";
import {RewardsFixture} from "./RewardsFixture.sol";
import {RewardToken} from "./RewardTokens.sol";

/// @notice A tier whose AVSs pay in four ways: WETH, the staking token, a token that is sold and one that is dropped.
/// One random word is one event; what it should have done with WETH is counted beside the contract.
contract RewardsWorld is RewardsFixture {
    RewardToken private points;
    /// @dev WETH that came into Rewards, that went on into the tier, and that was claimed.
    uint256 private cameIn;
    uint256 private wentOn;
    uint256 private claimed;
    /// @dev Units of each drop's tree that alice and bob have been paid.
    uint256 private drops;

    function build() external {
        super.setUp();
        points = new RewardToken();
        rewards.listToken(token, 0.002e18, 0.0001e18);
        rewards.listToken(_steth(), 1e18, 0.9e18);
        _equipBuyer(1_000_000 ether);
    }

    function act(bytes32 random) external {
        uint256 r = uint256(random);
        uint256 what = r % 12;
        r = uint256(keccak256(abi.encode(r)));
        if (what < 4) _harvestSome(r);
        else if (what < 6) _buySome(r);
        else if (what == 6) _skip(r % (3 * 7_200) + 1);
        else if (what == 7) _claimSome(r);
        else if (what == 8) _give(r);
        else if (what == 9) _judge(r);
        else if (what == 10) _dropSome(r);
        else _slashSome(r);
        this.check();
    }

    function _some(uint256 r) private view returns (IERC20) {
        IERC20[4] memory all = [_weth(), _steth(), IERC20(address(token)), IERC20(address(points))];
        return all[r % 4];
    }

    function _harvestSome(uint256 r) private {
        IERC20 what = _some(r);
        uint256 amount = (r >> 8) % (r % 3 == 0 ? 100 : 20 ether) + 1;
        uint256 idle = _idle();
        _harvest((r >> 4) % 2, what, amount);
        if (what == _weth()) (cameIn, wentOn) = (cameIn + amount, wentOn + _idle() - idle);
    }

    function _buySome(uint256 r) private {
        IERC20 what = r % 2 == 0 ? IERC20(address(token)) : _steth();
        uint256 lot = rewards.stock(what).lot;
        if (lot < 100) return; // stETH's wei may be missing
        uint256 idle = _idle();
        uint256 floor = rewards.stock(what).floor;
        (uint256 sold, uint256 payment) = _buy(what, r % 3 == 0 ? lot : (r >> 8) % lot + 1);
        assertTrue(payment * 1e18 >= sold * floor, "below the floor");
        (cameIn, wentOn) = (cameIn + payment, wentOn + _idle() - idle);
    }

    function _claimSome(uint256 r) private {
        IERC20 what = _some(r);
        address who = (r >> 8) % 2 == 0 ? address(this) : treasury;
        uint256 due = rewards.payOf(who, what);
        if (due == 0) return;
        vm.prank(who);
        assertTrue(rewards.claimPay(what, bob) == due, "all that is due");
        if (what == _weth()) claimed += due;
    }

    function _give(uint256 r) private {
        uint256 amount = (r >> 8) % 1 ether + 10;
        uint256 idle = _idle();
        if (r % 2 == 0) {
            weth.transfer(address(rewards), amount);
            rewards.absorb(_weth());
            (cameIn, wentOn) = (cameIn + amount, wentOn + _idle() - idle);
            assertTrue(_idle() - idle == amount, "a gift pays no fee");
        } else {
            points.mint(address(rewards), amount);
            rewards.absorb(points);
        }
    }

    function _judge(uint256 r) private {
        address agent = address(d.agents[r % 2]);
        if (r % 5 == 0) rewards.withholdPay(agent);
        else if (r % 5 == 1) rewards.resumePay(agent);
        else if (r % 5 == 2) rewards.setOperatorFee(agent, uint16((r >> 8) % (rewards.agentPay(agent).feeBps + 1)));
        else rewards.review(agent);
    }

    function _dropSome(uint256 r) private {
        if (rewards.stock(points).held == 0) return;
        rewards.reserveForDrops(points, r % 2 == 0 ? type(uint256).max : (r >> 8) % rewards.stock(points).held + 1);
        uint256 pot = rewards.stock(points).pot;
        if (pot == 0) return;
        uint128 amount = uint128((r >> 16) % pot + 1);
        bytes32 leaf = keccak256(bytes.concat(keccak256(abi.encode(alice, uint256(amount)))));
        uint256 id = rewards.postDrop(points, address(d.senior), amount, leaf, uint40(block.timestamp + 90 days), 0, "");
        ++drops;
        if (r % 3 != 0) rewards.claimDrop(id, alice, amount, new bytes32[](0));
        if (r % 5 == 0) {
            _skip(91 * 7_200);
            rewards.closeDrop(id);
        }
    }

    function _slashSome(uint256 r) private {
        uint256 group = r % 8;
        if (_link(group / 4, group % 4).current == 0) return;
        _slash(d, group, group / 4, (r >> 8) % 0.1e18 + 1);
        rewards.review(address(d.agents[group / 4]));
    }

    /// @dev Everything that must hold, whatever happened.
    function check() external {
        // what is recorded is there; stETH moves by shares, and leaves a wei or two behind
        assertTrue(_weth().balanceOf(address(rewards)) == rewards.recorded(_weth()), "WETH");
        assertTrue(token.balanceOf(address(rewards)) == rewards.recorded(token), "token");
        assertTrue(points.balanceOf(address(rewards)) == rewards.recorded(points), "points");
        assertTrue(_steth().balanceOf(address(rewards)) + 1_000 >= rewards.recorded(_steth()), "stETH");
        // every wei of WETH went into the tier, or is somebody's pay, claimed or not
        uint256 pay = _pay(address(this)) + _pay(treasury);
        assertTrue(cameIn == wentOn + claimed + pay, "WETH came from or went nowhere");
        assertTrue(rewards.recorded(_weth()) == pay, "pay");
        // every unit of points is stock, pot, a drop's or pay
        IRewardsTypes.Stock memory s = rewards.stock(points);
        uint256 sum = uint256(s.held) + s.pot + rewards.payOf(address(this), points) + rewards.payOf(treasury, points);
        for (uint256 id; id < drops; ++id) {
            IRewardsTypes.Drop memory x = rewards.drop(id);
            if (!x.closed) sum += x.funded - x.paid;
        }
        assertTrue(sum == rewards.recorded(points), "points are somebody's");
        // a lot is part of what is held, and has a price between its floor and its start
        s = rewards.stock(token);
        assertTrue(s.lot <= s.held && s.held == 0 == (s.lot == 0), "lot");
        uint256 price = rewards.priceOf(token);
        assertTrue(price >= s.floor && price <= s.startPrice, "price");
        d.tier.sync();
        _assertConserved(d);
    }
}

/// @dev All that the fuzzer calls.
contract RewardsDriver {
    RewardsWorld private immutable WORLD;

    constructor(RewardsWorld world) {
        WORLD = world;
    }

    function step(bytes32 random) external {
        WORLD.act(keccak256(abi.encode(random)));
    }
}

/// @notice SPEC rule 13 and what section 11 promises, in random lives.
contract RewardsInvariantsTest is Test {
    RewardsWorld private world;

    function setUp() public {
        world = new RewardsWorld();
        world.build();
        targetContract(address(new RewardsDriver(world)));
    }

    /// Fees come out of AVS rewards only, everything else is the tier's, and nothing is anybody's twice.
    function invariant_13_EveryUnitIsAccountedFor() public {
        world.check();
    }
}
