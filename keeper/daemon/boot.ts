/**
 * What must be true before a keeper starts. Each check is one sentence of what was found, and one of what to do if it is not
 * as it should be. `run` stops at the first failures; `check` prints all of it.
 */
import { createServer } from "node:net";
import { FunctionFragment, formatEther, getAddress, Interface, parseEther, toQuantity } from "ethers";
import * as z from "zod";
import type { At, Chain } from "../chain/types.ts";
import type { Config } from "../config/schema.ts";
import type { BlockRef, TierRef } from "../state/types.ts";
import type { Views } from "./ports.ts";

export interface Check {
  readonly name: string;
  readonly ok: boolean;
  /** Not as it should be, and yet no reason to refuse. */
  readonly warning?: boolean;
  readonly detail: string;
  /** What to do. */
  readonly fix?: string;
}

export const passed = (name: string, detail: string): Check => ({ name, ok: true, detail });
export const failed = (name: string, detail: string, fix: string): Check => ({ name, ok: false, detail, fix });
export const warned = (name: string, detail: string, fix: string): Check => ({
  name,
  ok: false,
  warning: true,
  detail,
  fix,
});

/** Whether a keeper may start. */
export const allGood = (checks: readonly Check[]): boolean => checks.every(({ ok, warning }) => ok || warning === true);

const sentenceOf = (error: unknown): string => {
  const text = error instanceof Error ? error.message : String(error);
  return /[.!?]$/.test(text) ? text : `${text}.`;
};

// ------------------------------------------------------------------------------------------------------------- RPCs

/** One RPC, asked directly; `Endpoint` is one. */
export interface Probe {
  readonly name: string;
  request<T>(method: string, params: readonly unknown[], schema: z.ZodType<T>): Promise<T>;
}

const quantity = z
  .string()
  .regex(/^0x[0-9a-f]{1,16}$/i)
  .transform(Number);
const blockSchema = z.looseObject({
  number: quantity,
  hash: z.string().regex(/^0x[0-9a-f]{64}$/i),
  timestamp: quantity,
});
type Block = z.output<typeof blockSchema>;

interface Seen {
  readonly probe: Probe;
  readonly head: Block;
  readonly final: Block | undefined;
  readonly genesis: string | undefined;
}

/** How far a clock may be ahead of ours before it is told. */
const SKEW = 30;

/**
 * Asks each RPC where it is. A wrong chain refuses, and so do RPCs that contradict each other; one that does not answer or
 * is behind is only told, as long as another is well.
 */
export async function checkRpcs(
  probes: readonly Probe[],
  config: Pick<Config, "chain_id" | "agreement"> & { readonly chain: Config["chain"] },
  now: number = Date.now() / 1_000,
): Promise<{ readonly checks: readonly Check[]; readonly genesis: string | undefined }> {
  const results = await Promise.all(probes.map((probe) => checkRpc(probe, config, now)));
  const seen = results.flatMap((one) => (one.seen === undefined ? [] : [one.seen]));
  const checks = results.map(({ check }) => (check.ok || seen.length === 0 ? { ...check, ...hard(check) } : check));
  if (seen.length > 1) checks.push(await checkAgreement(seen));
  if (seen.length < Math.min(config.agreement, probes.length) && seen.length > 0)
    checks.push(
      warned(
        "agreement",
        `Only ${seen.length} of the ${Math.min(config.agreement, probes.length)} RPCs that should agree are well.`,
        "Mend the others, or add one: until then protection acts on what the rest say.",
      ),
    );
  return { checks, genesis: seen[0]?.genesis };
}

/** Where no RPC is well, a warning is a failure. */
const hard = (check: Check): Partial<Check> => (check.warning ? { warning: false } : {});

async function checkRpc(
  probe: Probe,
  { chain_id: chainId, chain }: Pick<Config, "chain_id"> & { readonly chain: Config["chain"] },
  now: number,
): Promise<{ readonly check: Check; readonly seen?: Seen }> {
  const name = `RPC ${probe.name}`;
  let id: number;
  let head: Block | null;
  try {
    [id, head] = await Promise.all([
      probe.request("eth_chainId", [], quantity),
      probe.request("eth_getBlockByNumber", ["latest", false], blockSchema.nullable()),
    ]);
  } catch (error) {
    return {
      check: warned(name, `It does not answer as it should: ${sentenceOf(error)}`, "Look at rpc, and at the node."),
    };
  }
  if (id !== chainId)
    return {
      check: failed(name, `It is on chain ${id}, not on ${chainId}.`, `Correct rpc, or set chain_id: ${id}.`),
    };
  if (head === null || (head.number === 0 && chainId === 1))
    return { check: warned(name, "It has no blocks yet.", "Wait until the node is synchronised.") };
  const age = Math.round(now - head.timestamp);
  const limit = chain.max_head_age_seconds;
  if (limit > 0 && age > limit)
    return {
      check: warned(
        name,
        `Its last block, ${head.number}, is ${age} s old; ${limit} s are allowed.`,
        "Wait until the node is synchronised; look at this machine's clock; chain.max_head_age_seconds is the limit.",
      ),
    };
  if (limit > 0 && age < -SKEW)
    return {
      check: warned(
        name,
        `Its last block, ${head.number}, is ${-age} s in the future of this machine's clock.`,
        "Set this machine's clock (NTP).",
      ),
    };
  const [final, genesis] = await Promise.all([
    probe.request("eth_getBlockByNumber", ["finalized", false], blockSchema.nullable()).catch(() => null),
    probe.request("eth_getBlockByNumber", ["0x0", false], blockSchema.nullable()).catch(() => null),
  ]);
  const seen: Seen = { probe, head, final: final ?? undefined, genesis: genesis?.hash };
  if (final === null)
    return { check: warned(name, "It knows no final block, which routine waits for.", "Use a node that does."), seen };
  const old = limit > 0 ? `, ${age} s old` : "";
  return { check: passed(name, `Block ${head.number}${old}; final ${final.number}.`), seen };
}

/** Whether the RPCs have the same block at a height that all of them have, which does not change any more. */
async function checkAgreement(seen: readonly Seen[]): Promise<Check> {
  const height = Math.min(...seen.map(({ head, final }) => (final ?? head).number));
  const answers = await Promise.all(
    seen.map(async ({ probe }) => {
      const block = await probe
        .request("eth_getBlockByNumber", [toQuantity(height), false], blockSchema.nullable())
        .catch(() => null);
      return { name: probe.name, block };
    }),
  );
  const liar = answers.find(({ block }) => block !== null && block.number !== height);
  if (liar?.block)
    return failed(
      "RPCs agree",
      `${liar.name} answers block ${liar.block.number} when it is asked for ${height}.`,
      "Take it out of rpc.",
    );
  const hashes = new Map<string, string[]>();
  for (const { name, block } of answers)
    if (block !== null) hashes.set(block.hash, [...(hashes.get(block.hash) ?? []), name]);
  if (hashes.size > 1) {
    const sides = [...hashes].map(
      ([hash, names]) => `${names.join(" and ")} ${names.length > 1 ? "say" : "says"} ${hash}`,
    );
    return failed(
      "RPCs agree",
      `They have different blocks ${height}: ${sides.join("; ")}.`,
      "One of them lies or follows another fork: compare with a block explorer, and take it out of rpc.",
    );
  }
  return passed("RPCs agree", `All have the same block ${height}.`);
}

// ------------------------------------------------------------------------------------------------------- deployment

/** What of a deployment's file is looked at here. */
export interface Deployed {
  readonly network: string;
  readonly chainId: number;
  readonly contracts: Readonly<Record<string, { readonly address: string; readonly abi: string }>>;
  readonly external: Readonly<Record<string, string | undefined>>;
  readonly abis: Readonly<Record<string, readonly unknown[]>>;
}

/** Every function that the keeper calls, as ethers writes it, by the name of the contract's ABI. */
export type Functions = Readonly<Record<string, readonly string[]>>;

export const NEEDED = ["factory", "upkeep", "upkeepLens"] as const;

/** Whether there is code where the deployment's file says. */
export async function checkCode(chain: Pick<Chain, "code">, deployed: Deployed, at: At): Promise<Check> {
  const name = "deployment";
  const missing = NEEDED.filter((id) => deployed.contracts[id] === undefined);
  if (missing.length > 0)
    return failed(
      name,
      `The deployment on ${deployed.network} has no ${missing.join(" and no ")}.`,
      "It is older than this keeper: write its file again with npm run deploy, or use the release that wrote it.",
    );
  const places = [
    ...Object.entries(deployed.contracts).map(([id, { address }]) => ({ id, address })),
    ...Object.entries(deployed.external).flatMap(([id, address]) => (address === undefined ? [] : [{ id, address }])),
  ];
  const codes = await Promise.all(places.map(async (one) => ({ ...one, code: await chain.code(one.address, at) })));
  const empty = codes.filter(({ code }) => code === "0x");
  if (empty.length > 0) {
    const list = empty.slice(0, 3).map(({ id, address }) => `${id} (${address})`);
    return failed(
      name,
      `There is no code at ${empty.length} of ${places.length} addresses: ${list.join(", ")}${empty.length > 3 ? ", …" : ""}.`,
      deployed.chainId === 31_337
        ? "The local chain was started anew, or the file is of another one: name its file with deployment."
        : "Look at chain_id, rpc and deployment: the file is of another chain.",
    );
  }
  return passed(name, `${places.length} contracts on ${deployed.network} (chain ${deployed.chainId}).`);
}

/** A function's selector as it stands in code: the compiler leaves leading zeros out. */
const inCode = (selector: string): string => selector.slice(2).replace(/^(00)+/, "");

const signature = (fragment: FunctionFragment): string =>
  `${fragment.format("sighash")} → (${fragment.outputs.map((output) => output.format("sighash")).join(",")})`;

/** Functions of the keeper that a deployment's ABIs do not have, or have with other results. Pure. */
export function abiDifferences(functions: Functions, deployed: Deployed): readonly string[] {
  const differences: string[] = [];
  for (const [contract, fragments] of Object.entries(functions)) {
    const abi = deployed.abis[contract];
    if (abi === undefined) continue; // not ours: EigenLayer's are checked by what they answer
    const theirs = Interface.from(abi as ConstructorParameters<typeof Interface>[0]);
    for (const text of fragments) {
      const ours = FunctionFragment.from(text);
      const found = theirs.getFunction(ours.selector);
      if (found === null) differences.push(`${contract} has no ${ours.format("sighash")}`);
      // results that nobody reads need not be known
      else if (ours.outputs.length > 0 && signature(found) !== signature(ours))
        differences.push(`${contract} has ${signature(found)} where the keeper knows ${signature(ours)}`);
    }
  }
  return differences;
}

const beaconFace = new Interface(["function implementation() view returns (address)"]);

/** Whether the keeper and what is deployed speak of the same functions: by the file's ABIs, and by the code itself. */
export async function checkAbi(
  chain: Pick<Chain, "call" | "code">,
  deployed: Deployed,
  functions: Functions,
  at: At,
): Promise<Check> {
  const name = "ABI";
  const differences = [...abiDifferences(functions, deployed)];
  const count = Object.values(functions).flat().length;
  for (const [contract, fragments] of Object.entries(functions)) {
    for (const { id, address } of await codeOf(chain, deployed, contract, at)) {
      const code = await chain.code(address, at);
      for (const text of fragments) {
        const fragment = FunctionFragment.from(text);
        if (!code.includes(inCode(fragment.selector)))
          differences.push(`the code of ${id} (${address}) has no ${fragment.format("sighash")}`);
      }
    }
  }
  if (differences.length === 0) return passed(name, `${count} functions are as the keeper knows them.`);
  const more = differences.length > 3 ? `; and ${differences.length - 3} more` : "";
  return failed(
    name,
    `What is deployed is not what this keeper knows: ${differences.slice(0, 3).join("; ")}${more}.`,
    "Use the keeper of the release that is deployed; after an upgrade of the contracts, the newest.",
  );
}

/** Where the code of a contract is: behind its beacon, if it has one (an upgrade is newer than the file). */
async function codeOf(
  chain: Pick<Chain, "call">,
  deployed: Deployed,
  contract: string,
  at: At,
): Promise<readonly { readonly id: string; readonly address: string }[]> {
  const found: { id: string; address: string }[] = [];
  for (const [id, { address, abi }] of Object.entries(deployed.contracts)) {
    if (abi !== contract) continue;
    const beacon = id.endsWith("Implementation")
      ? deployed.contracts[id.replace(/Implementation$/, "Beacon")]
      : undefined;
    if (beacon === undefined) {
      found.push({ id, address });
      continue;
    }
    const answer = await chain.call({ to: beacon.address, data: beaconFace.encodeFunctionData("implementation") }, at);
    const [current] = beaconFace.decodeFunctionResult("implementation", answer);
    found.push({ id, address: getAddress(z.string().parse(current)) });
  }
  return found;
}

/** Whether the tiers can be read at all, and the factory knows those that are wanted (all, where none is named). */
export async function checkTiers(
  views: Views,
  block: BlockRef,
  wanted: readonly string[],
): Promise<{ readonly check: Check; readonly tiers: readonly TierRef[] }> {
  const name = "tiers";
  let tiers: readonly TierRef[] = [];
  try {
    const known = await views.tiers();
    const strange = wanted.filter((address) => !known.some((tier) => tier.address === address));
    if (strange.length > 0)
      return {
        check: failed(name, `${strange.join(", ")} is no tier of this deployment.`, "Correct tiers, or leave it out."),
        tiers,
      };
    tiers = wanted.length === 0 ? known : known.filter(({ address }) => wanted.includes(address));
    if (tiers.length === 0)
      return { check: warned(name, "There is no tier yet.", "Nothing to do until one is opened."), tiers };
    const pulses = await views.pulse(tiers, block, 1);
    const state = await views.observe(tiers, block, 1);
    const unreadable = pulses.filter(({ readable }) => !readable);
    const names = state.tiers.map((tier) => tier.name).join(", ");
    if (unreadable.length > 0)
      return {
        check: warned(
          name,
          `${unreadable.map(({ address }) => nameOf(tiers, address)).join(", ")} cannot be read now.`,
          "EigenLayer or the staking protocol is paused or broken: the keeper waits until it is not.",
        ),
        tiers,
      };
    return { check: passed(name, `${state.tiers.length} can be read: ${names}.`), tiers };
  } catch (error) {
    return {
      check: failed(
        name,
        `The lens does not answer as this keeper knows it: ${sentenceOf(error)}`,
        "If the RPC is well, keeper and deployment are of different releases: use the keeper of the one that is deployed.",
      ),
      tiers,
    };
  }
}

const nameOf = (tiers: readonly TierRef[], address: string): string =>
  tiers.find((tier) => tier.address === address)?.name ?? address;

// ------------------------------------------------------------------------------------------------------------- http

/** Whether metrics and health can be served where the configuration says. */
export async function checkHttp({ host, port }: Config["http"]): Promise<Check> {
  const name = "http";
  const server = createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(port, host, resolve);
    });
    return passed(name, port === 0 ? `A free port of ${host}.` : `${host}:${port} is free.`);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "EADDRINUSE")
      return failed(
        name,
        `${host}:${port} is taken.`,
        "Is a keeper running already? Else set http.port to another one.",
      );
    return failed(
      name,
      `${host}:${port} cannot be used (${code}).`,
      "Set http.host and http.port to what is this machine's.",
    );
  } finally {
    server.close();
  }
}

// ---------------------------------------------------------------------------------------------------------- account

/** Whether the account can pay; where nothing is sent it is only told. */
export async function checkFunds(
  chain: Pick<Chain, "balance">,
  address: string,
  config: Pick<Config, "dry_run"> & { readonly fees: Config["fees"] },
): Promise<Check> {
  const name = "funds";
  const balance = await chain.balance(address, "latest");
  const least = parseEther(config.fees.min_balance_eth);
  const send = `Send ETH to ${address}: ${config.fees.min_balance_eth} ETH (fees.min_balance_eth) or more.`;
  if (balance === 0n) return (config.dry_run ? warned : failed)(name, `${address} has no ETH.`, send);
  if (balance < least)
    return warned(
      name,
      `${address} has ${formatEther(balance)} ETH, less than ${config.fees.min_balance_eth}: it is kept for protection.`,
      send,
    );
  return passed(name, `${address} has ${formatEther(balance)} ETH.`);
}
