/**
 * The first tiers of a network, as its configuration has them. Opening a tier is the curator's right, and giving its
 * functions to their roles the admin's, so a deployment only writes the calls down, as `npm run safe` reads them.
 */
import { Contract, type Provider } from "ethers";
import type { Deployment } from "../deployments/index.ts";
import type { ConfiguredTier } from "./network.ts";
import { attachTier, type TierContracts } from "./protocol.ts";
import { KINDS, ROLES, selectorsOf, TIER_PERMISSIONS } from "./roles.ts";

/** One call of a role's holder. */
export interface RoleCall {
  readonly to: string;
  readonly function: string;
  readonly args: readonly unknown[];
}

/** For the curator, who pays the seed in WETH. */
export function openingCalls(
  tier: ConfiguredTier,
  at: { weth: string; factory: string; strategy: string },
): RoleCall[] {
  const { name, symbol, seed, mandateDelay, params } = tier;
  const text = (value: bigint | number) => String(value);
  const config = {
    name,
    symbol,
    strategy: at.strategy,
    seed: text(seed),
    mandateDelay: text(mandateDelay),
    params: Object.fromEntries(Object.entries(params).map(([key, value]) => [key, text(value)])),
  };
  return [
    { to: at.weth, function: "approve", args: [at.factory, text(seed)] },
    { to: at.factory, function: "createTier", args: [config] },
  ];
}

/** For the admin: until then only he may call the tier's restricted functions. */
export async function permitCalls(manager: string, tier: TierContracts): Promise<RoleCall[]> {
  const calls: RoleCall[] = [];
  for (const kind of KINDS) {
    const target = new Map<string, unknown>(Object.entries(tier)).get(kind);
    if (!(target instanceof Contract)) continue;
    for (const { role, functions } of TIER_PERMISSIONS[kind] ?? []) {
      const args = [await target.getAddress(), selectorsOf(target.interface, functions), String(ROLES[role])];
      calls.push({ to: manager, function: "setTargetFunctionRole", args });
    }
  }
  return calls;
}

/** What the holders of roles still have to call, by the name of the file it is written to. */
export async function openCalls(
  provider: Provider,
  deployment: Deployment,
  tiers: readonly ConfiguredTier[],
  missing: readonly string[],
): Promise<ReadonlyMap<string, readonly RoleCall[]>> {
  const { contracts, external } = deployment;
  const at = (id: string) => {
    const entry = contracts[id];
    if (!entry) throw new Error(`The deployment has no ${id}.`);
    return entry.address;
  };
  const files = new Map<string, readonly RoleCall[]>();
  for (const tier of tiers) {
    const place = { weth: external.weth, factory: at("factory"), strategy: external.strategy };
    if (!deployment.tiers.some(({ symbol }) => symbol === tier.symbol))
      files.set(`curator-opens-${tier.symbol}`, openingCalls(tier, place));
  }
  for (const { tier, symbol } of deployment.tiers) {
    const contracts = await attachTier(tier, provider);
    const calls = await permitCalls(at("accessManager"), contracts);
    const lacking = calls.filter(({ args: [target] }) => missing.some((line) => line.includes(String(target))));
    if (lacking.length > 0) files.set(`admin-permits-${symbol}`, lacking);
  }
  return files;
}
