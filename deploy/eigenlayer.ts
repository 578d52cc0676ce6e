/**
 * One face for every EigenLayer that Bulkhead is run against: our stand-in (`local`), or the real bytecode (`real`,
 * deployed by `test/eigenlayer/deploy.ts`). Scenario and integration tests see only what is declared here.
 */
import { readFileSync } from "node:fs";
import { type Contract, ContractFactory, Interface, type InterfaceAbi, type Provider, type Signer } from "ethers";
import * as z from "zod";

export type EigenLayerKind = "local" | "real";

/** The contracts that Bulkhead, its keeper and its subgraph talk to. */
export interface EigenLayerAddresses {
  readonly delegationManager: string;
  readonly strategyManager: string;
  readonly allocationManager: string;
  readonly strategyFactory: string;
  readonly permissionController: string;
  readonly rewardsCoordinator: string;
}

export type EigenLayerContract = keyof EigenLayerAddresses;

/** In blocks. */
export interface EigenLayerDelays {
  readonly withdrawal: number;
  readonly deallocation: number;
  /** Of changes of allocation delays and of slashers. */
  readonly configuration: number;
}

export interface EigenLayerDeployment {
  readonly kind: EigenLayerKind;
  readonly addresses: EigenLayerAddresses;
  readonly delays: EigenLayerDelays;
  /** Everything callable, with events and errors; for `real` this includes what the shims add. */
  readonly interfaces: Readonly<Record<EigenLayerContract, Interface>>;
}

export interface Artifact {
  readonly abi: InterfaceAbi;
  readonly bytecode: string;
}

/** Seconds between a rewards root and its first claim. */
export const REWARDS_ACTIVATION = 7 * 86_400;

/** Mainnet's delays at 12 s a block: 14 days, 14 days, 17.5 days. */
export const MAINNET_DELAYS: EigenLayerDelays = {
  withdrawal: 100_800,
  deallocation: 100_800,
  configuration: 126_000,
};

/** Deploys one contract and waits for it. */
export async function deployContract(signer: Signer, artifact: Artifact, ...args: unknown[]): Promise<Contract> {
  const factory = new ContractFactory(artifact.abi, artifact.bytecode, signer);
  const contract = await factory.deploy(...args);
  await contract.waitForDeployment();
  return contract as Contract;
}

/** Sends a transaction to a function (name, or full signature where overloaded) and waits for it. */
export async function send(contract: Contract, fn: string, ...args: unknown[]): Promise<void> {
  const transaction = await contract.getFunction(fn).send(...args);
  await transaction.wait();
}

/** Finds the ABI and creation bytecode of a contract of this project. */
export type ArtifactSource = (name: string, file: string) => Artifact;

const artifactFile = z.object({
  abi: z.array(z.looseObject({ type: z.string() })),
  bytecode: z.string().regex(/^0x([0-9a-f]{2})+$/),
});

/** What Hardhat compiled; `file` is the source's path from the project's root. */
export const hardhatArtifacts: ArtifactSource = (name, file) => {
  const url = new URL(`../artifacts/${file}/${name}.json`, import.meta.url);
  let text: string;
  try {
    text = readFileSync(url, "utf8");
  } catch {
    throw new Error(`${name} is not compiled (${file}): run "npm run build".`);
  }
  return artifactFile.parse(JSON.parse(text));
};

export interface EigenLayerOptions {
  readonly delays?: EigenLayerDelays;
  readonly log?: (line: string) => void;
}

/** `BULKHEAD_EIGENLAYER=real` runs tests and scenario on the real bytecode. */
export function chosenEigenLayer(environment: NodeJS.ProcessEnv = process.env): EigenLayerKind {
  return z.enum(["local", "real"]).default("local").parse(environment.BULKHEAD_EIGENLAYER);
}

/** Deploys the stand-in, or the real bytecode (which needs cargo once, and is only loaded then). */
export async function deployEigenLayer(
  signer: Signer,
  kind: EigenLayerKind = chosenEigenLayer(),
  options: EigenLayerOptions = {},
): Promise<EigenLayerDeployment> {
  if (kind === "local") return deployLocalEigenLayer(signer, options);
  const { deployRealEigenLayer } = await import("../test/eigenlayer/deploy.ts");
  return deployRealEigenLayer(signer, options);
}

export const LOCAL_EIGENLAYER = "contracts/local/eigenlayer";

export interface LocalOptions {
  readonly delays?: EigenLayerDelays;
  readonly artifacts?: ArtifactSource;
}

/** Deploys the stand-in; the signer may pause, whitelist strategies and submit rewards roots. */
export async function deployLocalEigenLayer(signer: Signer, options: LocalOptions = {}): Promise<EigenLayerDeployment> {
  const delays = options.delays ?? MAINNET_DELAYS;
  const artifacts = options.artifacts ?? hardhatArtifacts;
  const read = (name: string) => artifacts(name, `${LOCAL_EIGENLAYER}/${name}.sol`);
  if (!signer.provider) throw new Error("The signer of a deployment needs a provider.");

  const book = await deployContract(signer, read("LocalEigenLayer"), await signer.getAddress(), {
    withdrawal: delays.withdrawal,
    deallocation: delays.deallocation,
    allocationConfiguration: delays.configuration,
    slasherConfiguration: delays.configuration,
    rewardsActivation: REWARDS_ACTIVATION,
  });
  const deploy = async (name: string, ...args: unknown[]): Promise<[string, Interface]> => {
    const artifact = read(name);
    const contract = await deployContract(signer, artifact, ...args);
    return [await contract.getAddress(), Interface.from(artifact.abi)];
  };
  const [allocationManager, allocationInterface] = await deploy("LocalAllocationManager", book);
  const [delegationManager, delegationInterface] = await deploy("LocalDelegationManager", book);
  const [strategyManager, strategyInterface] = await deploy("LocalStrategyManager", book);
  const [strategyFactory, factoryInterface] = await deploy("LocalStrategyFactory", book);
  const [permissionController, permissionInterface] = await deploy("LocalPermissionController");
  const [rewardsCoordinator, rewardsInterface] = await deploy("LocalRewardsCoordinator", book);
  await send(
    book,
    "fill",
    allocationManager,
    delegationManager,
    strategyManager,
    strategyFactory,
    permissionController,
    rewardsCoordinator,
  );
  await minePast(signer.provider, delays.withdrawal + 1);
  return {
    kind: "local",
    delays,
    addresses: {
      delegationManager,
      strategyManager,
      allocationManager,
      strategyFactory,
      permissionController,
      rewardsCoordinator,
    },
    interfaces: {
      delegationManager: delegationInterface,
      strategyManager: strategyInterface,
      allocationManager: allocationInterface,
      strategyFactory: factoryInterface,
      permissionController: permissionInterface,
      rewardsCoordinator: rewardsInterface,
    },
  };
}

/**
 * EigenLayer looks back by the withdrawal delay to find slashable shares in the queue; on a chain younger than that
 * the look-back underflows and slashing reverts. So a young local chain is mined past it.
 */
export async function minePast(provider: Provider & Partial<RpcProvider>, block: number): Promise<void> {
  const now = await provider.getBlockNumber();
  if (now >= block) return;
  if (!provider.send) throw new Error(`The chain is at block ${now}: wait for block ${block} before slashing anybody.`);
  await provider.send("hardhat_mine", [`0x${(block - now).toString(16)}`]);
}

interface RpcProvider {
  send(method: string, params: unknown[]): Promise<unknown>;
}

/** The interface of several ABIs together; what they share appears once. */
export function mergeInterfaces(...parts: InterfaceAbi[]): Interface {
  const seen = new Map<string, unknown>();
  for (const part of parts)
    for (const fragment of Interface.from(part).fragments)
      if (fragment.type !== "constructor" && fragment.type !== "fallback")
        seen.set(`${fragment.type} ${fragment.format("sighash")}`, fragment);
  return Interface.from([...seen.values()] as InterfaceAbi);
}
