// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {TrancheToken} from "../../../contracts/core/TrancheToken.sol";
import {ProtocolFixture} from "./ProtocolFixture.sol";

/// @dev Holds senior shares, claims them in ETH and looks at the junior's rate while it is paid.
contract Borrower {
    TrancheToken internal senior;
    TrancheToken internal junior;
    uint256 public rateSeen;

    constructor(TrancheToken senior_, TrancheToken junior_) {
        (senior, junior) = (senior_, junior_);
    }

    function request(uint256 shares) external {
        senior.requestRedeem(shares, address(this), address(this));
    }

    function claim(uint256 shares) external {
        senior.redeemEth(shares, address(this), address(this));
    }

    receive() external payable {
        rateSeen = junior.collateralRate();
    }
}

/// @notice Ways to somebody else's money that were tried, by name.
contract AttackTest is ProtocolFixture {
    Deployment internal d;
    address internal alice = makeAddr("alice");
    address internal bob = makeAddr("bob");
    address internal mallory = makeAddr("mallory");

    function setUp() public {
        _deployProtocol();
    }

    function _open(uint256 agents) private {
        Deployment memory x = _createTier("Careful", 2);
        _equip(x, agents, 4, 0.25e18, 2);
        (d.tier, d.senior, d.junior, d.risk, d.stakes) = (x.tier, x.senior, x.junior, x.risk, x.stakes);
        (d.allocator, d.mandate, d.module) = (x.allocator, x.mandate, x.module);
        d.agents = x.agents;
        d.avss = x.avss;
    }

    function _fund() private {
        _deposit(d.junior, bob, 100 ether);
        _deposit(d.senior, alice, 400 ether);
        _deployAll(d);
        _allocateAll(d, 4, 0.25e18);
    }

    /// @dev A claim does not sync, so a rate that stood still during a claim would be one from before the slash: a
    /// lending market would lend against money that is gone.
    function test_AClaimDoesNotShowAMarketTheRateFromBeforeASlash() public {
        _open(4);
        _fund();
        Borrower borrower = new Borrower(d.senior, d.junior);
        vm.prank(alice);
        assertTrue(d.senior.transfer(address(borrower), 1 ether));
        borrower.request(1 ether);
        _skip(SENIOR_BLOCKS + 1);
        d.senior.finalise(type(uint256).max);

        uint256 before = d.junior.collateralRate();
        _slash(d, 0, 0, 1e18);
        uint256 afterwards = d.junior.collateralRate();
        assertLt(afterwards, before);
        borrower.claim(1);
        assertEq(borrower.rateSeen(), afterwards);
    }

    /// @dev The only holder of a tranche gains by every rounding of his own entries. With one share left, each entry that
    /// buys one share for nearly two makes shares half as dear again, unless entries that buy a handful of shares revert.
    function test_TheOnlyHolderCannotMakeAShareSoDearThatRoundingRobsTheNext() public {
        _open(4);
        vm.deal(mallory, 10 ether);
        vm.startPrank(mallory);
        weth.deposit{value: 10 ether}();
        weth.approve(address(d.senior), type(uint256).max);
        d.senior.deposit(0.02 ether, mallory);
        d.senior.instantRedeem(0.01 ether, 0, mallory, false); // its fee is a gain, which makes the rate uneven
        _skip(10);
        d.tier.sync();
        d.senior.instantRedeem(d.senior.balanceOf(mallory) - 1, 0, mallory, false);
        for (uint256 i; i < 150; ++i) {
            uint256 price = d.tier.books().senior;
            if (price > 0.4 ether) break;
            try d.senior.deposit(2 * price - 1, mallory) {
                d.senior.instantRedeem(1, 0, mallory, false);
            } catch {
                break;
            }
        }
        vm.stopPrank();
        uint256 shares = _deposit(d.senior, alice, 0.79 ether);
        assertGe(d.senior.convertToAssets(shares), 0.79 ether - 0.79 ether / 1e6);
    }

    /// @dev Eight agents, 32 sets, 15 withdrawals an agent, all finished, nothing looked at for two weeks, every agent
    /// slashed by every set. A transaction may use 2^24 gas (EIP-7825). With cold storage (`forge test --isolate`) it is
    /// 10.8 million.
    function test_TheLargestSyncFitsIntoATransaction() public {
        _open(8);
        _deposit(d.junior, bob, 1_000 ether);
        _deposit(d.senior, alice, 3_000 ether);
        _deployAll(d);
        _allocateAll(d, 4, 0.25e18);
        for (uint256 day; day < 15; ++day) {
            for (uint256 i; i < 8; ++i) {
                uint256 need = d.stakes.unbondNeed();
                if (need == 0) {
                    (uint256 wanted, uint256 idle, uint256 queued, uint256 loose, uint256 unstaking) =
                        d.stakes.liquidity();
                    uint256 there = idle + (queued + loose + unstaking) * 95 / 100;
                    vm.prank(alice);
                    d.senior.requestRedeem(there - wanted + 0.02 ether, alice, alice);
                }
                d.stakes.unbond();
            }
            _skip(7_200);
        }
        uint256 exits;
        for (uint256 i; i < 8; ++i) {
            exits += d.risk.agent(i).exits;
        }
        assertEq(exits, 120);
        _skip(100_801);
        for (uint256 g; g < 32; ++g) {
            _slash(d, g, g / 4, 0.1e18);
        }
        uint256 left = gasleft();
        d.tier.preview();
        emit log_named_uint("preview", left - gasleft());
        left = gasleft();
        d.tier.sync();
        uint256 used = left - gasleft();
        emit log_named_uint("sync", used);
        assertLt(used, 1 << 24);
    }
}
