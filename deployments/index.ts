/**
 * Where Bulkhead is deployed: addresses, deployment blocks and ABIs, one generated file a network, for keeper, subgraph,
 * app and integrators. Public networks are `deployments/CHAINID.json`, written by `npm run deploy`; local chains write
 * theirs to `.local/deployments/`, which git does not see.
 */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { getAddress, isAddress } from "ethers";
import * as z from "zod";

const address = z
  .string()
  .refine((text) => isAddress(text), "not an address")
  .transform((text) => getAddress(text));
const block = z.int().nonnegative();
const abi = z.array(z.looseObject({ type: z.string() }));

const contractSchema = z.strictObject({
  address,
  /** The block of its creation: nothing of it is older. */
  block,
  /** Its ABI is `abis[abi]`. */
  abi: z.string(),
});

const tierSchema = z.strictObject({
  name: z.string(),
  symbol: z.string(),
  block,
  tier: address,
  senior: address,
  junior: address,
  risk: address,
  stakes: address,
  allocator: address,
  mandate: address,
  module: address,
  rewards: address,
});

export const deploymentSchema = z
  .strictObject({
    network: z.string(),
    chainId: z.int().positive(),
    /** Index from here: the oldest block of all contracts. */
    startBlock: block,
    deployer: address,
    /** By their names in the plan; beacons are `…Beacon`, what they point at `…Implementation`. */
    contracts: z.record(z.string(), contractSchema),
    /** What Bulkhead stands on. */
    external: z.strictObject({
      delegationManager: address,
      strategyManager: address,
      allocationManager: address,
      strategyFactory: address,
      permissionController: address,
      rewardsCoordinator: address,
      keyRegistrar: address.optional(),
      strategy: address,
      steth: address,
      lidoQueue: address,
      weth: address,
    }),
    /** Tiers that were opened when the file was written; later ones are the factory's TierCreated events. */
    tiers: z.array(tierSchema),
    /** By contract name, those behind beacons included. */
    abis: z.record(z.string(), abi),
  })
  .check((context) => {
    for (const [id, { abi: name }] of Object.entries(context.value.contracts)) {
      if (!(name in context.value.abis))
        context.issues.push({ code: "custom", input: name, path: ["contracts", id, "abi"], message: "no such ABI" });
    }
  });

export type Deployment = z.output<typeof deploymentSchema>;

export class DeploymentFileError extends Error {
  override readonly name = "DeploymentFileError";
}

/** Chains of development; theirs are not committed. */
export const LOCAL_CHAIN_ID = 31_337;

export const deploymentFile = (chainId: number): string =>
  fileURLToPath(
    new URL(chainId === LOCAL_CHAIN_ID ? `../.local/deployments/${chainId}.json` : `${chainId}.json`, import.meta.url),
  );

/** The deployment on a chain; an error that says how to get one where there is none. */
export function loadDeployment(chainId: number, file: string = deploymentFile(chainId)): Deployment {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch {
    const how =
      chainId === LOCAL_CHAIN_ID
        ? 'Start a local chain with "npm start -- --keep".'
        : "It is not deployed there, or this checkout is older than the deployment.";
    throw new DeploymentFileError(`There is no deployment of Bulkhead on chain ${chainId} (${file}). ${how}`);
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new DeploymentFileError(`${file} is no JSON: write it again with npm run deploy.`);
  }
  const parsed = deploymentSchema.safeParse(json);
  if (!parsed.success)
    throw new DeploymentFileError(`${file} is not as it should be:\n${z.prettifyError(parsed.error)}`);
  if (parsed.data.chainId !== chainId)
    throw new DeploymentFileError(`${file} is of chain ${parsed.data.chainId}, not of chain ${chainId}.`);
  return parsed.data;
}

/** Writes the whole file or none of it. */
export function saveDeployment(deployment: Deployment, file: string = deploymentFile(deployment.chainId)): string {
  const text = `${JSON.stringify(deploymentSchema.parse(deployment), null, 2)}\n`;
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(`${file}.tmp`, text);
  renameSync(`${file}.tmp`, file);
  return file;
}
