// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {AccessManager} from "@openzeppelin/contracts/access/manager/AccessManager.sol";
import {UpgradeableBeacon} from "@openzeppelin/contracts/proxy/beacon/UpgradeableBeacon.sol";
import {Test} from "forge-std/Test.sol";
import {Allocator} from "../../../contracts/core/Allocator.sol";
import {Mandate} from "../../../contracts/core/Mandate.sol";
import {RestakingAgent} from "../../../contracts/core/RestakingAgent.sol";
import {StakeManager} from "../../../contracts/core/StakeManager.sol";
import {Tier} from "../../../contracts/core/Tier.sol";
import {TierFactory} from "../../../contracts/core/TierFactory.sol";
import {TrancheToken} from "../../../contracts/core/TrancheToken.sol";
import {RiskConfigurator} from "../../../contracts/core/risk/RiskConfigurator.sol";
import {RiskManager} from "../../../contracts/core/risk/RiskManager.sol";
import {RiskWatch} from "../../../contracts/core/risk/RiskWatch.sol";
import {TierReserve} from "../../../contracts/core/tier/TierReserve.sol";
import {IAllocationManager, IStrategy, OperatorSet} from "../../../contracts/interfaces/external/IEigenLayer.sol";
import {ILido, ILidoWithdrawalQueue, IWETH} from "../../../contracts/interfaces/external/ILido.sol";
import {AgentTerms, Params, SetTerms, Target, Terms} from "../../../contracts/interfaces/IRiskManager.sol";
import {ITier} from "../../../contracts/interfaces/ITier.sol";
import {ITierFactory} from "../../../contracts/interfaces/ITierFactory.sol";
import {Waterfall} from "../../../contracts/libraries/Waterfall.sol";
import {LocalAVS} from "../../../contracts/local/avs/LocalAVS.sol";
import {LocalEigenLayer} from "../../../contracts/local/eigenlayer/LocalEigenLayer.sol";
import {LocalEigenLayerDeployer} from "../../../contracts/local/eigenlayer/LocalEigenLayerDeployer.sol";
import {LocalLido} from "../../../contracts/local/lido/LocalLido.sol";
import {LocalLidoWithdrawalQueue} from "../../../contracts/local/lido/LocalLidoWithdrawalQueue.sol";
import {LocalWETH} from "../../../contracts/local/LocalWETH.sol";
import {LidoModule} from "../../../contracts/modules/LidoModule.sol";
import {Rewards} from "../../../contracts/modules/Rewards.sol";
import {RewardsConfigurator} from "../../../contracts/modules/rewards/RewardsConfigurator.sol";
import {Router} from "../../../contracts/periphery/Router.sol";
import {SolvencyLens} from "../../../contracts/periphery/SolvencyLens.sol";

/// @notice The whole protocol on the local EigenLayer and Lido, with mainnet's delays. The test contract holds every role
/// and owns every AVS.
abstract contract ProtocolFixture is Test {
    uint32 internal constant SENIOR_BLOCKS = 7_200;
    uint32 internal constant MARGIN_BLOCKS = 7_200;
    uint32 internal constant OVERDUE_BLOCKS = 216_000;
    uint256 internal constant BLOCK = 12;

    LocalEigenLayer internal eigen;
    LocalWETH internal weth;
    LocalLido internal lido;
    LocalLidoWithdrawalQueue internal lidoQueue;
    IStrategy internal strategy;
    IAllocationManager internal allocations;
    AccessManager internal access;
    TierFactory internal factory;
    Router internal router;
    SolvencyLens internal lens;
    address internal treasury = makeAddr("treasury");

    /// @dev One tier with all of its contracts.
    struct Deployment {
        Tier tier;
        TrancheToken senior;
        TrancheToken junior;
        RiskManager risk;
        StakeManager stakes;
        Allocator allocator;
        Mandate mandate;
        LidoModule module;
        RestakingAgent[] agents;
        LocalAVS[] avss; // one a group
    }

    receive() external payable {}

    function _deployProtocol() internal {
        vm.roll(200_000);
        vm.warp(1_800_000_000);
        weth = new LocalWETH();
        eigen = LocalEigenLayerDeployer.deploy(address(this));
        vm.deal(address(this), 10_000_000 ether);
        lido = new LocalLido{value: 1_000_000 ether}(address(this));
        lidoQueue = lido.withdrawalQueue();
        strategy = eigen.strategyFactory().deployNewStrategy(lido);
        allocations = IAllocationManager(address(eigen.allocationManager()));
        access = new AccessManager(address(this));
        RiskConfigurator configurator =
            new RiskConfigurator(allocations, eigen.delegationManager(), eigen.strategyManager());
        RiskWatch watch = new RiskWatch(allocations, eigen.delegationManager(), eigen.strategyManager());
        address reserve = address(new TierReserve(IWETH(address(weth))));
        ITierFactory.Beacons memory b = ITierFactory.Beacons({
            tier: _beacon(address(new Tier(IWETH(address(weth)), SENIOR_BLOCKS, MARGIN_BLOCKS, reserve))),
            risk: _beacon(
                address(
                    new RiskManager(
                        allocations,
                        eigen.delegationManager(),
                        eigen.strategyManager(),
                        address(configurator),
                        address(watch)
                    )
                )
            ),
            stakes: _beacon(
                address(new StakeManager(eigen.delegationManager(), eigen.strategyManager(), OVERDUE_BLOCKS))
            ),
            allocator: _beacon(address(new Allocator(allocations, eigen.strategyManager()))),
            mandate: _beacon(address(new Mandate())),
            token: _beacon(address(new TrancheToken())),
            agent: _beacon(
                address(
                    new RestakingAgent(
                        allocations,
                        eigen.delegationManager(),
                        eigen.strategyManager(),
                        eigen.permissionController(),
                        eigen.rewardsCoordinator(),
                        address(0)
                    )
                )
            ),
            module: _beacon(
                address(
                    new LidoModule(ILido(address(lido)), ILidoWithdrawalQueue(address(lidoQueue)), IWETH(address(weth)))
                )
            ),
            rewards: _beacon(
                address(new Rewards(eigen.rewardsCoordinator(), weth, treasury, address(new RewardsConfigurator(weth))))
            )
        });
        factory = new TierFactory(address(access), IWETH(address(weth)), b);
        router = new Router(factory, IWETH(address(weth)));
        lens = new SolvencyLens();
        weth.deposit{value: 1_000 ether}();
        weth.approve(address(factory), type(uint256).max);
    }

    function _beacon(address implementation) private returns (address) {
        return address(new UpgradeableBeacon(implementation, address(this)));
    }

    function _params(uint8 k) internal pure returns (Params memory) {
        return Params({
            k: k,
            marginBps: 1_000,
            haircutBps: 200,
            bufferBps: 100,
            instantFeeBps: 20,
            quarantineBps: 500,
            cap: 1_000_000 ether
        });
    }

    function _createTier(string memory name, uint8 k) internal returns (Deployment memory d) {
        d.tier = Tier(
            payable(factory.createTier(
                    ITierFactory.TierConfig({
                        name: name,
                        symbol: name,
                        strategy: strategy,
                        seed: 1 ether,
                        mandateDelay: 45 days,
                        params: _params(k)
                    })
                ))
        );
        d.senior = TrancheToken(d.tier.token(true));
        d.junior = TrancheToken(d.tier.token(false));
        ITier.Parts memory p = d.tier.parts();
        d.risk = RiskManager(p.risk);
        d.stakes = StakeManager(p.stakes);
        d.allocator = Allocator(p.allocator);
        d.mandate = Mandate(p.mandate);
        d.module = LidoModule(payable(p.stakingModule));
    }

    /// @dev `agents` agents; each agent has `setsPerAgent` sets of its own, every set another AVS, so that there are
    /// agents x setsPerAgent groups; each target is `magnitude` of the agent; equal weights that leave nothing over.
    function _equip(Deployment memory d, uint256 agents, uint256 setsPerAgent, uint64 magnitude, uint8 k) internal {
        d.agents = new RestakingAgent[](agents);
        d.avss = new LocalAVS[](agents * setsPerAgent);
        for (uint256 i; i < agents; ++i) {
            d.agents[i] = RestakingAgent(factory.createAgent(address(d.tier), address(this), "ipfs://agent"));
        }
        IStrategy[] memory list = new IStrategy[](1);
        list[0] = strategy;
        for (uint256 g; g < d.avss.length; ++g) {
            d.avss[g] = new LocalAVS(address(this), allocations, "oracle");
            d.avss[g].createSet(1, list, address(d.avss[g]));
        }
        d.mandate.tighten(_terms(d, setsPerAgent, magnitude, k));
        for (uint256 g; g < d.avss.length; ++g) {
            d.agents[g / setsPerAgent].register(OperatorSet(address(d.avss[g]), 1), "");
        }
    }

    function _terms(Deployment memory d, uint256 setsPerAgent, uint64 magnitude, uint8 k)
        internal
        pure
        returns (Terms memory t)
    {
        t.params = _params(k);
        t.sets = new SetTerms[](d.avss.length);
        for (uint256 g; g < d.avss.length; ++g) {
            t.sets[g] = SetTerms({
                operatorSet: OperatorSet(address(d.avss[g]), 1),
                category: 2,
                slasher: address(d.avss[g]),
                redistributing: false,
                vetoBlocks: 0
            });
        }
        t.agents = new AgentTerms[](d.agents.length);
        for (uint256 i; i < d.agents.length; ++i) {
            Target[] memory targets = new Target[](setsPerAgent);
            for (uint256 j; j < setsPerAgent; ++j) {
                targets[j] = Target(uint8(i * setsPerAgent + j), magnitude);
            }
            t.agents[i] = AgentTerms({
                agent: address(d.agents[i]), weightBps: uint16(10_000 / d.agents.length), targets: targets
            });
        }
    }

    function _allocateAll(Deployment memory d, uint256 setsPerAgent, uint64 magnitude) internal {
        for (uint256 i; i < d.agents.length; ++i) {
            for (uint256 j; j < setsPerAgent; ++j) {
                d.allocator.allocate(i, j, magnitude);
            }
        }
    }

    function _deployAll(Deployment memory d) internal {
        for (uint256 i; i < d.agents.length; ++i) {
            uint256 limit = d.stakes.deployLimit(i);
            if (limit != 0) d.stakes.deploy(i, limit);
        }
    }

    function _deposit(TrancheToken token, address who, uint256 assets) internal returns (uint256 shares) {
        vm.deal(who, assets);
        vm.startPrank(who);
        shares = router.depositEth{value: assets}(token, 0, who, block.timestamp);
        vm.stopPrank();
    }

    function _skip(uint256 blocks) internal {
        vm.roll(block.number + blocks);
        vm.warp(block.timestamp + blocks * BLOCK);
    }

    function _slash(Deployment memory d, uint256 group, uint256 agent, uint256 wad) internal {
        d.avss[group].slash(address(d.agents[agent]), 1, strategy, wad, "test");
    }

    /// @dev SPEC rule 1, on the chain as it stands: what is stored adds up to what is owned.
    function _assertConserved(Deployment memory d) internal view {
        Waterfall.Books memory b = d.tier.books();
        ITier.Preview memory p = d.tier.preview();
        assertEq(b.reserve + b.junior + b.senior + b.gains, p.value, "R + J + S + G = V");
        (uint256 idle, uint256 reserved) = d.tier.cash();
        assertGe(weth.balanceOf(address(d.tier)), idle + reserved, "recorded cash is there");
    }
}
