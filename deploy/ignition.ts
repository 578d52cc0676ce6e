/**
 * Carries a plan out with Hardhat Ignition. Its journal makes a deployment resumable: whatever happened to the process,
 * the next run reads from the journal and the chain what is done, and does the rest.
 */
import {
  type ArgumentType,
  type Artifact,
  type ArtifactResolver,
  type BuildInfo,
  buildModule,
  type ContractFuture,
  DeploymentResultType,
  deploy,
  type EIP1193Provider,
  type ExecutionEventListener,
  type Future,
  type IgnitionModule,
  type IgnitionModuleResult,
  listTransactions,
  type NamedArtifactContractDeploymentFuture,
  trackTransaction,
  wipe,
} from "@nomicfoundation/ignition-core";
import * as z from "zod";
import { buildInfoOf, fullArtifact } from "./artifacts.ts";
import { type Argument, HAND_OVER, isReference, type Plan, type Source } from "./plan.ts";

export type ProtocolModule = IgnitionModule<string, string, IgnitionModuleResult<string>>;

export const MODULE = "Bulkhead";
const futureId = (id: string): string => `${MODULE}#${id}`;

/** The plan as an Ignition module; futures keep the plan's ids. */
export function moduleOf(plan: Plan): ProtocolModule {
  return buildModule(MODULE, (m) => {
    const futures = new Map<string, NamedArtifactContractDeploymentFuture<string>>();
    const at = (id: string): NamedArtifactContractDeploymentFuture<string> => {
      const future = futures.get(id);
      if (!future) throw new Error(`The plan uses ${id} before it is deployed: correct deploy/plan.ts.`);
      return future;
    };
    const argument = (value: Argument): ArgumentType => {
      if (typeof value !== "object") return value;
      if (Array.isArray(value)) return value.map(argument);
      if (isReference(value)) return at(value.ref);
      return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, argument(one)]));
    };
    for (const { id, source, args } of plan.contracts)
      futures.set(id, m.contract(`${source.file}:${source.name}`, args.map(argument), { id }));
    const done: Future[] = [...futures.values()];
    for (const { id, fn, args } of plan.calls) {
      // the hand-over waits for all that needs the deployer's rights, and giving them up for the hand-over
      const after = HAND_OVER.includes(id) ? [...done] : [];
      done.push(m.call(at("accessManager"), fn, args.map(argument), { id, after }));
    }
    return Object.fromEntries<ContractFuture<string>>(futures);
  });
}

// ---------------------------------------------------------------------------------------------------- artifacts

/** Hardhat's artifacts, as Ignition and verification want them; names are written `file:Name`. */
export const hardhatResolver: ArtifactResolver = {
  async loadArtifact(name: string): Promise<Artifact> {
    return fullArtifact(sourceOf(name));
  },
  async getBuildInfo(name: string): Promise<BuildInfo | undefined> {
    const { buildInfoId } = fullArtifact(sourceOf(name));
    return buildInfoId === undefined ? undefined : buildInfoOf(buildInfoId);
  },
};

function sourceOf(qualified: string): Source {
  const [file = "", name = ""] = qualified.split(":");
  return { file, name };
}

// ------------------------------------------------------------------------------------------------------ running

export interface RunOptions {
  readonly plan: Plan;
  readonly provider: EIP1193Provider;
  readonly deployer: string;
  /** Where the journal is kept; without it nothing can be resumed. */
  readonly journal?: string;
  readonly confirmations: number;
  /** Milliseconds between two looks for a new block. */
  readonly polling: number;
  readonly listener?: ExecutionEventListener;
  readonly log: (line: string) => void;
}

/** A deployment that did not go through; the message says what to do. */
export class DeploymentFailed extends Error {
  override readonly name = "DeploymentFailed";
}

/** Deploys what is missing; returns the addresses under the plan's ids. */
export async function run(options: RunOptions): Promise<ReadonlyMap<string, string>> {
  const { plan, provider, deployer, journal } = options;
  // every repair settles one transaction, and a process dies in the middle of one at most
  for (let repairs = 0; ; repairs++) {
    try {
      const result = await deploy({
        ignitionModule: moduleOf(plan),
        artifactResolver: hardhatResolver,
        provider,
        accounts: [deployer],
        deploymentParameters: {},
        config: {
          blockPollingInterval: options.polling,
          requiredConfirmations: options.confirmations,
          retryInterval: options.polling,
        },
        ...(journal === undefined ? {} : { deploymentDir: journal }),
        ...(options.listener ? { executionEventListener: options.listener } : {}),
      });
      if (result.type !== DeploymentResultType.SUCCESSFUL_DEPLOYMENT) throw new DeploymentFailed(explain(result));
      return new Map(
        Object.values(result.contracts).map(({ id, address }) => [id.slice(futureId("").length), address]),
      );
    } catch (error) {
      if (journal === undefined || repairs > 2) throw error;
      const repaired = await repair(error, options, journal);
      if (repaired === undefined) throw error;
      options.log(repaired);
    }
  }
}

function explain(result: Exclude<Awaited<ReturnType<typeof deploy>>, { type: "SUCCESSFUL_DEPLOYMENT" }>): string {
  const parts: string[] = [];
  if ("errors" in result)
    for (const [id, errors] of Object.entries(result.errors)) parts.push(...errors.map((error) => `${id}: ${error}`));
  else {
    for (const { futureId: id, error } of result.failed) parts.push(`${id} failed: ${error}`);
    for (const { futureId: id } of result.timedOut) parts.push(`${id} is not mined yet: run the same command again.`);
    for (const { futureId: id, reason } of result.held) parts.push(`${id} is held: ${reason}`);
  }
  const advice =
    result.type === DeploymentResultType.RECONCILIATION_ERROR
      ? "\nThe journal is of another plan. Deploy with the commit and the configuration that it was begun with, or give up what is deployed with --new."
      : "";
  return `The deployment stopped.\n${parts.map((part) => `  ${part}`).join("\n")}${advice}`;
}

const lostTransaction = z.object({
  messageArguments: z.object({ futureId: z.string(), nonce: z.int(), sender: z.string() }),
});

/**
 * A process that is killed between deciding on a nonce and writing the transaction's hash down leaves a journal that
 * Ignition will not read on, because the transaction may be on the chain or not. We look: where it is, its hash goes
 * into the journal; where it is not, the step is forgotten and done again.
 */
async function repair(error: unknown, options: RunOptions, journal: string): Promise<string | undefined> {
  const lost = lostTransaction.safeParse(error);
  if (!lost.success || !String((error as Error).message).includes("nonce")) return undefined;
  const { futureId: id, nonce, sender } = lost.data.messageArguments;
  const { provider } = options;
  const count = async (tag: string) =>
    Number(await provider.request({ method: "eth_getTransactionCount", params: [sender, tag] }));
  for (let waited = 0; (await count("latest")) <= nonce && (await count("pending")) > nonce; waited++) {
    if (waited === 0) options.log(`Waiting for transaction ${nonce} of ${sender}, which is sent and not mined ...`);
    await new Promise((done) => setTimeout(done, options.polling));
  }
  if ((await count("latest")) <= nonce) {
    await wipe(journal, hardhatResolver, id);
    return `${id} had not been sent when the last run ended: it is sent now.`;
  }
  const hash = await transactionOf(provider, sender, nonce);
  const remark = await trackTransaction(journal, hash, provider, 1);
  return remark ?? `${id} had been sent when the last run ended (${hash}): it is not sent again.`;
}

const block = z.object({
  number: z.string(),
  transactions: z.array(z.object({ hash: z.string(), from: z.string(), nonce: z.string() })),
});

/** Finds a mined transaction by sender and nonce: the first block after which the sender's count exceeds the nonce. */
async function transactionOf(provider: EIP1193Provider, sender: string, nonce: number): Promise<string> {
  const at = (number: number) => `0x${number.toString(16)}`;
  const used = async (number: number) =>
    Number(await provider.request({ method: "eth_getTransactionCount", params: [sender, at(number)] })) > nonce;
  let high = Number(await provider.request({ method: "eth_blockNumber", params: [] }));
  // backwards in growing steps, because nodes that keep little history know the last blocks only
  let step = 1;
  let low = high - step;
  while (low > 0 && (await used(low))) {
    high = low;
    step *= 2;
    low = Math.max(0, low - step);
  }
  while (high - low > 1) {
    const middle = Math.floor((high + low) / 2);
    if (await used(middle)) high = middle;
    else low = middle;
  }
  const found = block.parse(await provider.request({ method: "eth_getBlockByNumber", params: [at(high), true] }));
  const same = (one: string) => one.toLowerCase() === sender.toLowerCase();
  const transaction = found.transactions.find(({ from, nonce: used }) => same(from) && Number(used) === nonce);
  if (!transaction) throw new DeploymentFailed(`Transaction ${nonce} of ${sender} is not in block ${high}.`);
  return transaction.hash;
}

/** Transactions of a journal that deployed something: address → hash. */
export async function deploymentTransactions(journal: string): Promise<ReadonlyMap<string, string>> {
  const all = await listTransactions(journal, hardhatResolver);
  return new Map(
    all.flatMap(({ address, txHash, status }) =>
      address !== undefined && status === "SUCCESS" ? [[address.toLowerCase(), txHash] as const] : [],
    ),
  );
}
