/** Contracts by name, so that commands need no addresses: from `deployments/`, and a tier's from the chain. */
import { Contract, getAddress, isAddress, type Provider } from "ethers";
import * as z from "zod";
import { hardhatArtifacts } from "../../deploy/eigenlayer.ts";
import { FACTORY } from "../../deploy/plan.ts";
import { attachTier } from "../../deploy/protocol.ts";
import { DeploymentFileError, deploymentFile, loadDeployment } from "../../deployments/index.ts";

export interface Names {
  /** The address itself, or that of a name: `factory`, `tierBeacon`, `weth`, `CAREFUL`, `CAREFUL.mandate`. */
  resolve(nameOrAddress: string): string;
  /** The tier of a mandate, where it is known. */
  tierOf(mandate: string): string | undefined;
  readonly lens: string | undefined;
}

/** Without a file only addresses are understood. */
export async function namesOf(provider: Provider, file: string | undefined): Promise<Names> {
  const chainId = Number((await provider.getNetwork()).chainId);
  const names = new Map<string, string>();
  const tiers = new Map<string, string>();
  let why: string | undefined;
  try {
    const { contracts, external } = loadDeployment(chainId, file ?? deploymentFile(chainId));
    for (const [name, { address }] of Object.entries(contracts)) names.set(name, address);
    for (const [name, address] of Object.entries(external)) if (address !== undefined) names.set(name, address);
    await nameTiers(provider, names, tiers);
  } catch (error) {
    if (!(error instanceof DeploymentFileError) || file !== undefined) throw error;
    why = error.message;
  }
  return {
    resolve(nameOrAddress) {
      if (isAddress(nameOrAddress)) return nameOrAddress;
      const address = names.get(nameOrAddress);
      if (address !== undefined) return address;
      const known = why ?? `There are: ${[...names.keys()].join(", ")}.`;
      throw new Error(`"${nameOrAddress}" is neither an address nor a name. ${known}`);
    },
    tierOf: (mandate) => tiers.get(mandate),
    lens: names.get("lens"),
  };
}

/** A value in which names are marked: "@factory", at any depth. */
export function resolveMarks(names: Names, value: unknown): unknown {
  if (typeof value === "string") return value.startsWith("@") ? names.resolve(value.slice(1)) : value;
  if (Array.isArray(value)) return value.map((one) => resolveMarks(names, one));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, resolveMarks(names, one)]));
}

const asked = (contract: Contract, fn: string, ...args: unknown[]) => contract.getFunction(fn).staticCall(...args);

/** SYMBOL is the tier; SYMBOL.senior, .junior, .risk, .mandate … its parts; SYMBOL.agent0 … its agents. */
async function nameTiers(provider: Provider, names: Map<string, string>, tiers: Map<string, string>): Promise<void> {
  const at = names.get("factory");
  if (at === undefined) return;
  const factory = new Contract(at, hardhatArtifacts(FACTORY.name, FACTORY.file).abi, provider);
  const count = z.bigint().parse(await asked(factory, "tierCount"));
  for (let i = 0n; i < count; i++) {
    const { address, ...parts } = await attachTier(z.string().parse(await asked(factory, "tierAt", i)), provider);
    const places = new Map<string, string>();
    for (const [part, contract] of Object.entries(parts)) places.set(part, await contract.getAddress());
    // a retired series leaves its tranche without a token until somebody opens the next
    const token = BigInt(places.get("senior") ?? 0n) !== 0n ? parts.senior : parts.junior;
    const symbol = z
      .string()
      .parse(await asked(token, "symbol"))
      .slice(2)
      .split("-")[0];
    names.set(`${symbol}`, address);
    for (const [part, where] of places) if (BigInt(where) !== 0n) names.set(`${symbol}.${part}`, where);
    tiers.set(places.get("mandate") ?? address, address);
    const agents = z.bigint().parse(await asked(parts.risk, "agentCount"));
    for (let agent = 0n; agent < agents; agent++) {
      const state = await asked(parts.risk, "agent", agent).catch(() => undefined); // a removed one's place is empty
      if (state !== undefined) names.set(`${symbol}.agent${agent}`, getAddress(state.account));
    }
  }
}
