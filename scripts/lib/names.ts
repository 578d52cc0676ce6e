/** Contracts by name, as `deployments/` has them, so that commands need no addresses. */
import { isAddress } from "ethers";
import { DeploymentFileError, deploymentFile, loadDeployment } from "../../deployments/index.ts";

export interface Names {
  /** The address itself, or that of a name: `factory`, `tierBeacon`, `weth`, `CAREFUL.mandate`. */
  resolve(nameOrAddress: string): string;
  /** The tier of a mandate, where it is known. */
  tierOf(mandate: string): string | undefined;
  readonly lens: string | undefined;
}

/** Without a file only addresses are understood. */
export function namesOf(chainId: number, file: string | undefined): Names {
  const names = new Map<string, string>();
  const tiers = new Map<string, string>();
  let why: string | undefined;
  try {
    const { contracts, external, tiers: opened } = loadDeployment(chainId, file ?? deploymentFile(chainId));
    for (const [name, { address }] of Object.entries(contracts)) names.set(name, address);
    for (const [name, address] of Object.entries(external)) if (address !== undefined) names.set(name, address);
    for (const tier of opened) {
      tiers.set(tier.mandate, tier.tier);
      names.set(tier.symbol, tier.tier);
      for (const [part, address] of Object.entries(tier))
        if (typeof address === "string" && isAddress(address)) names.set(`${tier.symbol}.${part}`, address);
    }
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
