/**
 * What others pay for the same, on the same chain, compiled with the same settings: a plain OpenZeppelin vault behind a
 * beacon, Symbiotic's own vault, and EigenLayer's calls without a protocol around them.
 */
import { AbiCoder, Contract, type JsonRpcSigner, MaxUint256, parseEther, zeroPadValue } from "ethers";
import { type Artifact, deployContract, hardhatArtifacts, send } from "../deploy/eigenlayer.ts";
import { compile, pick } from "../test/eigenlayer/compile.ts";
import { as, big, checkpoint, DAY, ETH, mine, openService, passDays, user, WAD } from "../test/integration/world.ts";
import type { Meter } from "./meter.ts";
import { SETS_PER_AGENT } from "./protocol.ts";
import type { BenchWorld } from "./world.ts";

const PLAIN = "plain ERC-4626";
const SYMBIOTIC = "Symbiotic";
const BARE = "bare EigenLayer";

const abi = AbiCoder.defaultAbiCoder();

/** Gives WETH to two people and lets the vault take it. */
async function fund(world: BenchWorld, vault: string): Promise<readonly [JsonRpcSigner, JsonRpcSigner]> {
  const people = [user(world, 7), user(world, 8)] as const;
  for (const who of people) {
    const weth = as(world.local.weth, who);
    await send(weth, "deposit", { value: 100n * ETH });
    await send(weth, "approve", vault, MaxUint256);
  }
  return people;
}

export async function measurePlainVault(world: BenchWorld, meter: Meter): Promise<void> {
  const { admin } = world.local.signers;
  const artifact = pick(compile("bench", ["bench/contracts/PlainVault.sol"]), "PlainVault");
  const implementation = await deployContract(admin, artifact);
  const beaconFile = "@openzeppelin/contracts/proxy/beacon/UpgradeableBeacon.sol";
  const beacon = await deployContract(admin, hardhatArtifacts("UpgradeableBeacon", beaconFile), implementation, admin);
  const proxyFile = "@openzeppelin/contracts/proxy/beacon/BeaconProxy.sol";
  const initialize = implementation.interface.encodeFunctionData("initialize", [world.local.weth.target]);
  const proxy = await deployContract(
    admin,
    pick(compile("bench-proxy", [proxyFile]), "BeaconProxy"),
    beacon,
    initialize,
  );
  const vault = new Contract(await proxy.getAddress(), artifact.abi, admin);
  const [holder, other] = await fund(world, String(vault.target));
  await send(as(vault, other), "deposit", 10n * ETH, other.address);

  const peer = as(vault, holder);
  const measure = (operation: string, fn: string, ...args: unknown[]) =>
    meter.measure({ operation: `${PLAIN}: ${operation}`, agents: 0 }, peer, fn, ...args);
  await measure("deposit, first", "deposit", ETH, holder.address);
  await measure("deposit, next", "deposit", ETH, holder.address);
  await measure("redeem", "redeem", ETH / 10n, holder.address, holder.address);
}

const SYMBIOTIC_FILES = {
  VaultFactory: "VaultFactory",
  DelegatorFactory: "DelegatorFactory",
  SlasherFactory: "SlasherFactory",
  NetworkRegistry: "NetworkRegistry",
  OperatorRegistry: "OperatorRegistry",
  NetworkMiddlewareService: "service/NetworkMiddlewareService",
  OptInService: "service/OptInService",
  VaultTokenized: "vault/VaultTokenized",
  NetworkRestakeDelegator: "delegator/NetworkRestakeDelegator",
  Slasher: "slasher/Slasher",
  VaultConfigurator: "VaultConfigurator",
} as const;
type SymbioticContract = keyof typeof SYMBIOTIC_FILES;

function symbioticArtifacts(): (name: SymbioticContract) => Artifact {
  const files = Object.values(SYMBIOTIC_FILES).map((file) => `@symbioticfi/core/src/contracts/${file}.sol`);
  const contracts = compile("bench-symbiotic", files, {
    remappings: ["@symbioticfi/core/:@openzeppelin/=@symbioticfi/core/node_modules/@openzeppelin/"],
    anyPragma: true,
  });
  return (name) => pick(contracts, name);
}

/** One vault with one network and one operator; its number of operators does not change what holders pay. */
export async function measureSymbiotic(world: BenchWorld, meter: Meter): Promise<void> {
  const artifacts = symbioticArtifacts();
  const { admin } = world.local.signers;
  const deploy = (name: SymbioticContract, ...args: unknown[]) => deployContract(admin, artifacts(name), ...args);
  const [vaults, delegators, slashers] = [
    await deploy("VaultFactory", admin),
    await deploy("DelegatorFactory", admin),
    await deploy("SlasherFactory", admin),
  ];
  const [networks, operators] = [await deploy("NetworkRegistry"), await deploy("OperatorRegistry")];
  const middlewares = await deploy("NetworkMiddlewareService", networks);
  const vaultOptIns = await deploy("OptInService", operators, vaults, "OperatorVaultOptInService");
  const networkOptIns = await deploy("OptInService", operators, networks, "OperatorNetworkOptInService");
  const vaultCode = await deploy("VaultTokenized", delegators, slashers, vaults);
  await send(vaults, "whitelist", vaultCode);
  const delegatorCode = await deploy(
    "NetworkRestakeDelegator",
    networks,
    vaults,
    vaultOptIns,
    networkOptIns,
    delegators,
    0,
  );
  await send(delegators, "whitelist", delegatorCode);
  await send(slashers, "whitelist", await deploy("Slasher", vaults, middlewares, slashers, 0));
  const configurator = await deploy("VaultConfigurator", vaults, delegators, slashers);

  const base = "(address,address,uint48,bool,bool,uint256,address,address,address,address,address)";
  const [who, nobody] = [admin.address, "0x0000000000000000000000000000000000000000"];
  const burner = "0x000000000000000000000000000000000000dEaD";
  const vaultBase = [world.local.weth.target, burner, 7 * DAY, false, false, 0, who, who, who, who, who];
  const parameters = {
    version: 1,
    owner: who,
    vaultParams: abi.encode([`tuple(${base},string,string)`], [[vaultBase, "Vault", "VAULT"]]),
    delegatorIndex: 0,
    delegatorParams: abi.encode(
      ["tuple(tuple(address,address,address),address[],address[])"],
      [[[who, nobody, who], [who], [who]]],
    ),
    withSlasher: true,
    slasherIndex: 0,
    slasherParams: abi.encode(["tuple(tuple(bool))"], [[[false]]]),
  };
  const created = await configurator.getFunction("create").staticCall(parameters);
  await send(configurator, "create", parameters);
  const at = (name: SymbioticContract, index: number) =>
    new Contract(String(created[index]), artifacts(name).abi, admin);
  const [vault, delegator, slasher] = [at("VaultTokenized", 0), at("NetworkRestakeDelegator", 1), at("Slasher", 2)];

  const [network, operator] = [user(world, 9), user(world, 10)];
  const subnetwork = zeroPadValue(network.address, 20) + "0".repeat(24);
  await send(as(networks, network), "registerNetwork");
  await send(as(operators, operator), "registerOperator");
  await send(as(middlewares, network), "setMiddleware", network.address);
  await send(as(vaultOptIns, operator), "optIn(address)", vault.target);
  await send(as(networkOptIns, operator), "optIn(address)", network.address);
  await send(as(delegator, network), "setMaxNetworkLimit", 0, MaxUint256 >> 1n);
  await send(delegator, "setNetworkLimit", subnetwork, 1_000n * ETH);
  await send(delegator, "setOperatorNetworkShares", subnetwork, operator.address, WAD);

  const [holder, other] = await fund(world, String(vault.target));
  const peer = as(vault, holder);
  const named = (operation: string) => ({ operation: `${SYMBIOTIC}: ${operation}`, agents: 0 });
  await send(as(vault, other), "deposit", other.address, 10n * ETH);
  await meter.measure(named("deposit, first"), peer, "deposit", holder.address, ETH);
  await meter.measure(named("deposit, next"), peer, "deposit", holder.address, ETH);
  await send(as(vault, other), "withdraw", other.address, ETH);
  await meter.measure(named("request, first"), peer, "withdraw", holder.address, ETH / 10n);
  await meter.measure(named("request, next"), peer, "withdraw", holder.address, ETH / 10n);
  const epoch = await big(vault, "currentEpoch");
  const capture = (await world.provider.getBlock("latest"))?.timestamp ?? 0;
  await mine(world, 10);
  await meter.measure(named("slash"), as(slasher, network), "slash", subnetwork, operator.address, ETH, capture, "0x");
  await passDays(world, 15);
  await meter.measure(named("claim"), peer, "claim", holder.address, epoch + 1n);
}

/** An operator that stakes for itself and works for as many sets as an agent. */
export async function measureBareEigenLayer(world: BenchWorld, meter: Meter): Promise<void> {
  const { weth, steth, strategy, core, signers } = world.local;
  const { outside } = signers;
  const artifact = pick(compile("bench-bare", ["bench/contracts/BareRestaker.sol"]), "BareRestaker");
  const restaker = await deployContract(
    outside,
    artifact,
    weth,
    steth,
    strategy,
    core.strategyManager,
    core.delegationManager,
    core.allocationManager,
  );
  const address = await restaker.getAddress();
  meter.label("bare restaker", address);
  const sets = [];
  for (let n = 0; n < SETS_PER_AGENT; n++) {
    const { set } = await openService(world);
    await send(restaker, "register", set.avs, set.id);
    sets.push({ avs: set.avs, id: set.id });
  }
  await send(as(weth, outside), "deposit", { value: 200n * ETH });
  await send(as(weth, outside), "transfer", address, 200n * ETH);
  const named = (operation: string) => ({ operation: `${BARE}: ${operation}`, agents: 0 });
  await meter.measure(named("unwrap, stake and deposit, first"), restaker, "deposit", 50n * ETH);
  const magnitude = WAD / BigInt(SETS_PER_AGENT);
  for (const set of sets) {
    const allocation = { operatorSet: set, strategies: [strategy], newMagnitudes: [magnitude] };
    await send(restaker, "allocate", [allocation]);
  }
  await mine(world, 10);
  const back = await checkpoint(world);
  await meter.measure(named("unwrap, stake and deposit"), restaker, "deposit", parseEther("6.4"));
  await send(as(steth, outside), "submit", "0x0000000000000000000000000000000000000000", { value: 10n * ETH });
  await send(as(steth, outside), "transfer", address, 10n * ETH);
  await meter.measure(named("deposit"), restaker, "depositTokens", parseEther("6.4"));
  await back();
  await meter.measure(named("queue a withdrawal, first"), restaker, "queue", 10n * ETH);
  await mine(world, 10);
  await meter.measure(named("queue a withdrawal, next"), restaker, "queue", 10n * ETH);
  await back();
  const zero = { operatorSet: sets[0], strategies: [strategy], newMagnitudes: [0] };
  await meter.measure(named("deallocate"), restaker, "allocate", [zero]);
  await back();
}
