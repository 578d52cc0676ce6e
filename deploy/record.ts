/** Puts together what `deployments/` holds, and the input that block explorers verify source code with. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Contract, Interface, type Provider } from "ethers";
import { type Deployment, LOCAL_CHAIN_ID } from "../deployments/index.ts";
import { buildInfoOf, fullArtifact } from "./artifacts.ts";
import { logsOf } from "./logs.ts";
import { FACTORY, type Inputs, type Plan, planOf, resolveArgument } from "./plan.ts";
import { attachTier, type Protocol } from "./protocol.ts";
import { IMPLEMENTATIONS, KINDS } from "./roles.ts";

export interface RecordOptions {
  readonly network: string;
  readonly chainId: number;
  readonly inputs: Inputs;
  readonly strategy: string;
  readonly plan: Plan;
  readonly addressOf: (id: string) => string;
  readonly provider: Provider;
  /** Block of a contract's creation. */
  readonly blockOf: (address: string) => number | undefined;
}

/** The record of what `deployProtocol` has just put on a local chain; its tiers are those that exist now. */
export async function localRecordOf(protocol: Protocol, strategy: string, provider: Provider): Promise<Deployment> {
  const { inputs, addressOf, creations } = protocol;
  const blocks = new Map<string, number>();
  for (const [id, hash] of creations) {
    const receipt = await provider.getTransactionReceipt(hash);
    if (receipt) blocks.set(addressOf(id), receipt.blockNumber);
  }
  return recordOf({
    network: "local",
    chainId: LOCAL_CHAIN_ID,
    strategy,
    inputs,
    plan: planOf(inputs),
    addressOf,
    provider,
    blockOf: (address) => blocks.get(address),
  });
}

export async function recordOf(options: RecordOptions): Promise<Deployment> {
  const { plan, inputs, addressOf, blockOf, provider } = options;
  const sources = [...plan.contracts.map(({ source }) => source), ...KINDS.map((kind) => IMPLEMENTATIONS[kind])];
  const abis = Object.fromEntries(sources.map((source) => [source.name, fullArtifact(source).abi]));
  const contracts = Object.fromEntries(
    plan.contracts.map(({ id, source }) => {
      const address = addressOf(id);
      const block = blockOf(address);
      if (block === undefined) throw new Error(`The block in which ${id} (${address}) was created is not known.`);
      return [id, { address, block, abi: source.name }];
    }),
  );
  const startBlock = Math.min(...Object.values(contracts).map(({ block }) => block));
  return {
    network: options.network,
    chainId: options.chainId,
    startBlock,
    deployer: inputs.deployer,
    contracts,
    external: {
      ...inputs.eigenlayer,
      ...(inputs.keyRegistrar === undefined ? {} : { keyRegistrar: inputs.keyRegistrar }),
      strategy: options.strategy,
      steth: inputs.lido.steth,
      lidoQueue: inputs.lido.queue,
      weth: inputs.weth,
    },
    tiers: await tiersOf(provider, addressOf("factory"), startBlock),
    abis,
  };
}

async function tiersOf(provider: Provider, factoryAddress: string, fromBlock: number): Promise<Deployment["tiers"]> {
  const factory = new Contract(factoryAddress, fullArtifact(FACTORY).abi, provider);
  const tiers: Deployment["tiers"] = [];
  for (const log of await logsOf(factory, "TierCreated", fromBlock)) {
    const event = factory.interface.parseLog({ topics: [...log.topics], data: log.data });
    const address = String(event?.args.getValue("tier"));
    const parts = await attachTier(address, provider);
    const symbol = String(await parts.senior.getFunction("symbol")());
    const at = (contract: Contract) => contract.getAddress();
    tiers.push({
      name: String(event?.args.getValue("name")),
      symbol: symbol.slice(2),
      block: log.blockNumber,
      tier: address,
      senior: await at(parts.senior),
      junior: await at(parts.junior),
      risk: await at(parts.risk),
      stakes: await at(parts.stakes),
      allocator: await at(parts.allocator),
      mandate: await at(parts.mandate),
      module: await at(parts.module),
      rewards: await at(parts.rewards),
    });
  }
  return tiers;
}

/**
 * For each contract one folder entry: the compiler's standard JSON input, and beside it what an explorer asks for. The
 * input is the compiler's own, so compiling it gives the deployed code.
 */
export function writeVerification(folder: string, plan: Plan, addressOf: (id: string) => string): readonly string[] {
  mkdirSync(folder, { recursive: true });
  const written: string[] = [];
  const inputs = new Map<string, string>();
  for (const { id, source, args } of plan.contracts) {
    const artifact = fullArtifact(source);
    const info = buildInfoOf(artifact.buildInfoId);
    let input = inputs.get(artifact.buildInfoId);
    if (input === undefined) {
      input = `input-${inputs.size + 1}.json`;
      inputs.set(artifact.buildInfoId, input);
      writeFileSync(join(folder, input), JSON.stringify(info.input));
    }
    const resolved = args.map((argument) => resolveArgument(argument, addressOf));
    const encoded = Interface.from(artifact.abi).encodeDeploy(resolved);
    const entry = {
      address: addressOf(id),
      contract: `${artifact.inputSourceName}:${artifact.contractName}`,
      compiler: `v${info.solcLongVersion}`,
      standardJsonInput: input,
      constructorArguments: encoded.slice(2),
      constructorValues: resolved,
    };
    const file = join(folder, `${id}.json`);
    writeFileSync(
      file,
      `${JSON.stringify(entry, (_, value) => (typeof value === "bigint" ? String(value) : value), 2)}\n`,
    );
    written.push(file);
  }
  return written;
}
