/** Puts the keeper's parts together, checking each as it goes. */
import { existsSync } from "node:fs";
import { dirname } from "node:path";
import * as z from "zod";
import { type Deployment, DeploymentFileError, loadDeployment } from "../deployments/index.ts";
import { Endpoint } from "./chain/endpoint.ts";
import { type PoolEvent, RpcPool } from "./chain/pool.ts";
import { type Chain, RpcError } from "./chain/types.ts";
import type { Config } from "./config/schema.ts";
import { hostOf } from "./config/secrets.ts";
import {
  allGood,
  type Check,
  checkAbi,
  checkCode,
  checkFunds,
  checkRpcs,
  checkTiers,
  failed,
  type Probe,
  passed,
  warned,
} from "./daemon/boot.ts";
import { viewsOf } from "./daemon/create.ts";
import type { Views } from "./daemon/ports.ts";
import { FUNCTIONS } from "./plan/calls.ts";
import { LENS } from "./state/read.ts";
import type { BlockRef, TierRef } from "./state/types.ts";
import { Journal, JournalError } from "./transactions/journal.ts";
import { KeyError, openSigner, SigningError } from "./transactions/signer.ts";
import type { Signer } from "./transactions/types.ts";
import { UPKEEP } from "./transactions/upkeep.ts";

export interface AssembleOptions {
  readonly environment?: NodeJS.ProcessEnv;
  /** Plans need no key. */
  readonly key: boolean;
  /** Whether the journal is kept open, only looked at, or left alone. */
  readonly journal: "open" | "look" | "none";
  readonly warn?: (text: string) => void;
  readonly onEvent?: (event: PoolEvent) => void;
}

/** What was found; a part is missing where its check failed. */
export interface Assembled {
  readonly checks: readonly Check[];
  readonly deployment?: Deployment | undefined;
  readonly chain?: RpcPool | undefined;
  readonly views?: Views | undefined;
  readonly tiers: readonly TierRef[];
  readonly signer?: Signer | undefined;
  readonly journal?: Journal | undefined;
  close(): Promise<void>;
}

export async function assemble(config: Config, options: AssembleOptions): Promise<Assembled> {
  const checks: Check[] = [];
  let chain: RpcPool | undefined;
  let views: Views | undefined;
  let tiers: readonly TierRef[] = [];
  let journal: Journal | undefined;
  // before anything else can fail: it takes the key out of the environment
  const key = options.key ? await openKey(config, options) : undefined;
  if (key) checks.push(key.check);
  const signer = key?.signer;

  const deployment = load(config);
  if (!deployment.found) checks.push(deployment.check);
  const rpcs = await checkRpcs(probesOf(config), config);
  checks.push(...rpcs.checks);
  try {
    if (deployment.found && allGood(rpcs.checks)) {
      chain = poolOf(config, options.onEvent);
      const [account, contracts] = await Promise.all([
        signer ? checkFunds(chain, signer.address, config) : undefined,
        checkContracts(chain, deployment.found, config),
      ]);
      checks.push(...contracts.checks, ...(account ? [account] : []));
      ({ views, tiers } = contracts);
    }
    if (deployment.found && options.journal !== "none" && (signer || config.dry_run)) {
      const opened = openJournal(config, options.journal, {
        chainId: config.chain_id,
        genesis: rpcs.genesis,
        account: signer?.address,
        deployment: deployment.found.contracts.factory?.address ?? "",
      });
      checks.push(opened.check);
      journal = opened.journal;
    }
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    checks.push(failed("RPC", error.message, "Look at rpc, and at the nodes; then start again."));
  }
  return {
    checks,
    deployment: deployment.found,
    chain,
    views,
    tiers,
    signer,
    journal,
    async close() {
      journal?.close();
      await chain?.close();
    },
  };
}

function probesOf({ rpc, chain }: Config): readonly Probe[] {
  const hosts = rpc.map(hostOf);
  return rpc.map((url, i) => {
    const host = hosts[i] ?? "";
    // two accounts at one provider look alike without their secrets
    const name = hosts.indexOf(host) === i ? host : `${host} (${i + 1})`;
    return new Endpoint({ url, name, timeoutMs: chain.timeout_seconds * 1_000 });
  });
}

const poolOf = (config: Config, onEvent: AssembleOptions["onEvent"]): RpcPool =>
  new RpcPool({
    urls: config.rpc,
    chainId: config.chain_id,
    timeoutSeconds: config.chain.timeout_seconds,
    maxHeadAgeSeconds: config.chain.max_head_age_seconds,
    ...(onEvent === undefined ? {} : { onEvent }),
  });

/** The id of the chain that an RPC is on. */
export async function chainIdOf(url: string, timeoutSeconds: number): Promise<number> {
  const endpoint = new Endpoint({ url, name: hostOf(url), timeoutMs: timeoutSeconds * 1_000 });
  return Number(await endpoint.request("eth_chainId", [], z.string().regex(/^0x[0-9a-f]{1,13}$/i)));
}

function load(config: Config): { found: Deployment } | { found: undefined; check: Check } {
  try {
    return { found: loadDeployment(config.chain_id, config.deployment) };
  } catch (error) {
    if (!(error instanceof DeploymentFileError)) throw error;
    const fix = "Look at chain_id; or name the deployment's file with deployment.";
    return { found: undefined, check: failed("deployment", error.message, fix) };
  }
}

/** Every function that the keeper calls, by the name of its contract. */
const functionsOf = (): Readonly<Record<string, readonly string[]>> => ({
  ...FUNCTIONS,
  UpkeepLens: LENS.fragments.map((fragment) => fragment.format("full")).filter((text) => text.startsWith("function")),
  Upkeep: UPKEEP.fragments.map((fragment) => fragment.format("full")).filter((text) => text.startsWith("function")),
});

async function checkContracts(
  chain: Chain,
  deployment: Deployment,
  config: Config,
): Promise<{ checks: readonly Check[]; views: Views | undefined; tiers: readonly TierRef[] }> {
  const head = await chain.header("latest");
  if (head === undefined) throw new RpcError("No RPC knows the latest block.");
  const block: BlockRef = { number: head.number, hash: head.hash, timestamp: head.timestamp };
  // each contract's code is looked at twice, and fetched once
  const codes = new Map<string, Promise<string>>();
  const reader: Pick<Chain, "call" | "code"> = {
    call: (request, at) => chain.call(request, at),
    code(address, at) {
      const known = codes.get(address) ?? chain.code(address, at);
      codes.set(address, known);
      return known;
    },
  };
  const code = await checkCode(reader, deployment, block);
  if (!code.ok) return { checks: [code], views: undefined, tiers: [] };
  const abi = await checkAbi(reader, deployment, functionsOf(), block);
  if (!abi.ok) return { checks: [code, abi], views: undefined, tiers: [] };
  const { check, tiers } = await checkTiers(viewsOf(chain, deployment, { tiers: [] }), block, config.tiers);
  return { checks: [code, abi, check], views: viewsOf(chain, deployment, config), tiers };
}

async function openKey(
  config: Config,
  { environment, warn }: AssembleOptions,
): Promise<{ readonly check: Check; readonly signer?: Signer | undefined }> {
  const name = "key";
  const warnings: string[] = [];
  try {
    const signer = await openSigner(config.key, {
      ...(environment === undefined ? {} : { environment }),
      warn: (text) => {
        warnings.push(text);
        warn?.(text);
      },
      timeoutMs: config.chain.timeout_seconds * 1_000,
    });
    if (signer === undefined) {
      const missing = "The configuration names no key.";
      const fix = "Add keystore, env, file or web3signer under key.";
      if (config.dry_run) return { check: passed(name, "None; a dry run needs none.") };
      return { check: failed(name, missing, `${fix} Or set dry_run: true.`) };
    }
    const [warning] = warnings;
    if (warning !== undefined) return { check: warned(name, `Signs as ${signer.address}.`, warning), signer };
    return { check: passed(name, `Signs as ${signer.address}.`), signer };
  } catch (error) {
    if (!(error instanceof KeyError || error instanceof SigningError)) throw error;
    return { check: (config.dry_run ? warned : failed)(name, error.message, "Look at key in the configuration.") };
  }
}

function openJournal(
  config: Config,
  how: "open" | "look",
  identity: Parameters<typeof Journal.open>[1],
): { readonly check: Check; readonly journal?: Journal } {
  const name = "journal";
  try {
    if (config.dry_run) {
      // a dry run sends nothing, so it has nothing to remember, and may run beside a keeper that does
      const journal = how === "open" ? { journal: Journal.open(":memory:", identity) } : {};
      return { check: passed(name, "In memory: a dry run leaves the file alone."), ...journal };
    }
    if (how === "look" && !existsSync(config.journal))
      return existsSync(dirname(config.journal))
        ? { check: passed(name, `${config.journal} will be begun.`) }
        : { check: failed(name, `There is no folder ${dirname(config.journal)}.`, "Create it, or correct journal.") };
    const journal = Journal.open(config.journal, identity);
    const check = passed(name, `${journal.file}; ${journal.open().length} transactions in flight.`);
    if (how === "open") return { check, journal };
    journal.close();
    return { check };
  } catch (error) {
    if (!(error instanceof JournalError)) throw error;
    return { check: failed(name, error.message, "A journal belongs to one keeper, account and chain: see journal.") };
  }
}
