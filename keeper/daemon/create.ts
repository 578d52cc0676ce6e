/** Puts the daemon together from a configuration and what was opened for it. */
import { getAddress, type InterfaceAbi } from "ethers";
import type { Deployment } from "../../deployments/index.ts";
import { incidentsIn } from "../chain/events.ts";
import { type Chain, RpcError } from "../chain/types.ts";
import type { Config } from "../config/schema.ts";
import { plan } from "../plan/plan.ts";
import { lensOf, readChain, readPulse, readTiers } from "../state/read.ts";
import { Explainer } from "../transactions/explain.ts";
import { tariffs } from "../transactions/fees.ts";
import type { Journal } from "../transactions/journal.ts";
import { JournaledSender, type Step } from "../transactions/sender.ts";
import type { Signer } from "../transactions/types.ts";
import { Claims } from "./claims.ts";
import { Daemon, type DaemonOptions } from "./daemon.ts";
import type { Log, Metrics, Views } from "./ports.ts";

export interface Parts {
  readonly config: Config;
  readonly chain: Chain;
  readonly deployment: Deployment;
  /** Needed unless the configuration asks for a dry run. */
  readonly signer?: Signer | undefined;
  readonly journal: Journal;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Wall clock in milliseconds. */
  readonly clock?: (() => number) | undefined;
  readonly random?: (() => number) | undefined;
  /** What a test puts between the daemon and one of its parts. */
  readonly wrap?: ((options: DaemonOptions) => DaemonOptions) | undefined;
  /** Called at each step of a transaction; tests kill the process there. */
  readonly at?: ((step: Step) => void | Promise<void>) | undefined;
}

export function createDaemon(parts: Parts): Daemon {
  const { config, chain, deployment, journal, log, clock } = parts;
  const upkeep = deployment.contracts.upkeep;
  if (upkeep === undefined)
    throw new Error(
      `The deployment on ${deployment.network} has no Upkeep: it is older than the keeper. Deploy what is missing (npm run deploy).`,
    );
  const { allocationManager, rewardsCoordinator } = deployment.external;
  const sender = new JournaledSender({
    chain,
    journal,
    signer: parts.signer,
    upkeep: upkeep.address,
    explainer: explainerOf(deployment),
    tariffs: tariffs(config.fees),
    agreement: config.agreement,
    dryRun: config.dry_run,
    now: clock ? () => Math.floor(clock() / 1_000) : undefined,
    at: parts.at,
    notify: ({ level, text, entry }) =>
      log[level]({ hash: entry?.hashes.at(-1), nonce: entry?.nonce, block: entry?.minedIn?.number }, text),
  });
  const claims =
    config.routine.claims === undefined ? undefined : new Claims(config.routine.claims, chain, rewardsCoordinator, log);
  const options: DaemonOptions = {
    config,
    chain,
    views: viewsOf(chain, deployment, config),
    plan,
    sender,
    memory: journal,
    log,
    metrics: parts.metrics,
    claims: claims ? (tiers, block) => claims.due(tiers, block) : undefined,
    incidents: (head) => incidentsIn(chain, head, allocationManager),
    ...(clock ? { clock } : {}),
    ...(parts.random ? { random: parts.random } : {}),
  };
  return new Daemon(parts.wrap ? parts.wrap(options) : options);
}

const explainers = new WeakMap<Deployment, Explainer>();

/** Reading all ABIs takes a while, and nothing of it changes. */
function explainerOf(deployment: Deployment): Explainer {
  const known = explainers.get(deployment);
  if (known) return known;
  const explainer = new Explainer(Object.values(deployment.abis) as InterfaceAbi[]);
  explainers.set(deployment, explainer);
  return explainer;
}

/** The lens, through as many RPCs as are asked for. */
export function viewsOf(chain: Chain, deployment: Deployment, config: Pick<Config, "tiers">): Views {
  const lens = lensOf(deployment);
  const through = (agreement: number): Pick<Chain, "call"> =>
    agreement > 1 ? { call: (request, at) => chain.agreedCall(request, at, agreement) } : chain;
  return {
    tiers: async () => {
      const all = await readTiers(chain, deployment);
      if (config.tiers.length === 0) return all;
      return config.tiers.map((address) => {
        const found = all.find((tier) => tier.address === getAddress(address));
        if (!found)
          throw new RpcError(
            `The factory does not know the tier ${address}: take it out of "tiers", or wait for its block.`,
          );
        return found;
      });
    },
    pulse: (tiers, block, agreement) => readPulse(through(agreement), lens, tiers, { hash: block.hash }),
    observe: (tiers, block, agreement) => readChain(through(agreement), lens, tiers, block),
  };
}
