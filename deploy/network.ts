/** The configuration of a network: one YAML file each in `deploy/networks/`, read here and nowhere else. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { getAddress, isAddress, parseEther, ZeroAddress } from "ethers";
import { parse } from "yaml";
import * as z from "zod";
import { DEFAULT_TIMINGS, type Inputs } from "./plan.ts";
import { DEFAULT_ROLE_DELAYS, type RoleHolders } from "./roles.ts";

export class NetworkError extends Error {
  override readonly name = "NetworkError";
}

const address = z
  .string("Write an address in quotes: YAML takes 0x… for a number.")
  .refine((text) => isAddress(text), "This is no address: 0x and 40 hex digits with the right capitals.")
  .transform((text) => getAddress(text))
  .refine((text) => text !== ZeroAddress, "The zero address holds nothing.");
const blocks = z.int().positive();
const seconds = z.int().nonnegative();
const version = z.string().regex(/^\d+\.\d+\.\d+$/, 'Write a version as "1.9.0".');

const ether = z
  .string("Write an amount of ETH in quotes.")
  .regex(/^\d+(\.\d{1,18})?$/, 'Write an amount of ETH, such as "0.5".')
  .transform((text) => parseEther(text));
const bps = z.int().min(0).max(10_000);

const tierSchema = z.strictObject({
  name: z.string().min(1),
  symbol: z.string().regex(/^[A-Z][A-Z0-9]{1,7}$/, "Write 2 to 8 capital letters or digits."),
  /** ETH that the curator gives to the reserve for good. */
  seed: ether.refine((wei) => wei >= 10n ** 16n, "The seed is at least 0.01 ETH."),
  /** Seconds that a riskier mandate waits. */
  mandateDelay: z.int().min(45 * 86_400, "A riskier mandate waits at least 45 days."),
  params: z.strictObject({
    k: z.int().min(1).max(32),
    marginBps: bps,
    haircutBps: bps,
    bufferBps: bps.max(500),
    instantFeeBps: bps.min(10).max(30),
    quarantineBps: bps,
    /** In ETH. */
    cap: ether,
  }),
});
export type ConfiguredTier = z.output<typeof tierSchema>;

const networkSchema = z.strictObject({
  name: z.string().regex(/^[a-z][a-z0-9-]*$/),
  chainId: z.int().positive(),
  /** Blocks that a transaction must be deep before the next step relies on it. */
  confirmations: blocks,
  /** Addresses whose part is played by a key instead of a contract are refused where this is false. */
  rolesMayBeKeys: z.boolean().default(false),
  eigenlayer: z.strictObject({
    delegationManager: address,
    strategyManager: address,
    allocationManager: address,
    strategyFactory: address,
    permissionController: address,
    rewardsCoordinator: address,
    /** Left out where node operators register no keys there. */
    keyRegistrar: address.optional(),
    /** EigenLayer's own register of its release, where it is known. */
    protocolRegistry: address.optional(),
    /** EigenLayer's strategy of stETH. */
    strategy: address.optional(),
    /** What DelegationManager, StrategyManager and the register answer to version(). */
    version: z.strictObject({ atLeast: version, below: version }),
    /** In blocks. */
    delays: z.strictObject({ withdrawal: blocks, deallocation: blocks, configuration: blocks }),
  }),
  lido: z.strictObject({ steth: address, queue: address }),
  weth: address.optional(),
  /** Gets the protocol's part of AVS rewards, and can hand that on; the admin where it is left out. */
  treasury: address.optional(),
  roles: z
    .strictObject({
      admin: address.optional(),
      curator: address.optional(),
      guardian: address.optional(),
      upgrader: address.optional(),
    })
    .default({}),
  roleDelays: z.strictObject({ curator: seconds, guardian: seconds, upgrader: seconds }).default(DEFAULT_ROLE_DELAYS),
  timings: z
    .strictObject({ seniorExitBlocks: blocks, exitMarginBlocks: blocks, overdueBlocks: blocks })
    .default(DEFAULT_TIMINGS),
  /** The first tiers; their calls are written down for the curator and the admin. */
  tiers: z.array(tierSchema).default([]),
});

export type Network = z.output<typeof networkSchema>;

export const NETWORKS = ["mainnet", "hoodi"] as const;

export const networkFile = (name: string): string => fileURLToPath(new URL(`networks/${name}.yaml`, import.meta.url));

/** The configuration of a public network by its chain id; undefined where there is none. */
export function networkFileOf(chainId: number): string | undefined {
  return NETWORKS.map(networkFile).find((file) => loadNetwork(file).chainId === chainId);
}

export function loadNetwork(file: string): Network {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch {
    throw new NetworkError(
      `There is no network configuration ${file}. Those of public networks are in deploy/networks/.`,
    );
  }
  return readNetwork(text, file);
}

export function readNetwork(text: string, file: string): Network {
  let value: unknown;
  try {
    value = parse(text);
  } catch (error) {
    throw new NetworkError(`${file} is not YAML: ${error instanceof Error ? error.message : error}`);
  }
  const parsed = networkSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const lines = parsed.error.issues.map((issue) => {
    const place = issue.path.join(".");
    const missing = issue.code === "invalid_type" && issue.input === undefined && place !== "";
    return missing ? `${file}: ${place} is missing.` : `${file}: ${place === "" ? "" : `${place}: `}${issue.message}`;
  });
  throw new NetworkError(lines.join("\n"));
}

/** A configuration in which nothing is left open. */
export interface CompleteNetwork extends Network {
  readonly eigenlayer: Network["eigenlayer"] & { readonly strategy: string };
  readonly weth: string;
  readonly roles: RoleHolders;
}

/** The same network, if its file leaves nothing open; an error that names all that is missing otherwise. */
export function complete(network: Network, file: string): CompleteNetwork {
  const { roles, eigenlayer, weth } = network;
  const missing: string[] = [];
  if (weth === undefined) missing.push("weth: the address of WETH");
  if (eigenlayer.strategy === undefined) {
    missing.push(
      "eigenlayer.strategy: EigenLayer's strategy of stETH (StrategyFactory.deployedStrategies(stETH) answers it, and anybody may create it with deployNewStrategy(stETH))",
    );
  }
  for (const role of ["admin", "curator", "guardian", "upgrader"] as const)
    if (roles[role] === undefined) missing.push(`roles.${role}: who holds the role (on a public network a Safe)`);
  const { admin, curator, guardian, upgrader } = roles;
  const { strategy } = eigenlayer;
  if (!weth || !strategy || !admin || !curator || !guardian || !upgrader) {
    throw new NetworkError(
      `${file} leaves open:\n${missing.map((line) => `  ${line}`).join("\n")}\nWrite it there and run again.`,
    );
  }
  return { ...network, weth, eigenlayer: { ...eigenlayer, strategy }, roles: { admin, curator, guardian, upgrader } };
}

/** What the plan needs. */
export function inputsFor(network: CompleteNetwork, deployer: string): Inputs {
  const { eigenlayer } = network;
  return {
    deployer,
    eigenlayer: {
      delegationManager: eigenlayer.delegationManager,
      strategyManager: eigenlayer.strategyManager,
      allocationManager: eigenlayer.allocationManager,
      strategyFactory: eigenlayer.strategyFactory,
      permissionController: eigenlayer.permissionController,
      rewardsCoordinator: eigenlayer.rewardsCoordinator,
    },
    ...(eigenlayer.keyRegistrar === undefined ? {} : { keyRegistrar: eigenlayer.keyRegistrar }),
    lido: network.lido,
    weth: network.weth,
    ...(network.treasury === undefined ? {} : { treasury: network.treasury }),
    roles: network.roles,
    roleDelays: network.roleDelays,
    timings: network.timings,
  };
}
