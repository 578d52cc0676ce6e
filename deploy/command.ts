/**
 * `npm run deploy`. Exit codes: 0 done, 1 the chain is not as expected or the deployment stopped, 2 the command or the
 * configuration is wrong.
 */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { ExecutionEventListener } from "@nomicfoundation/ignition-core";
import { formatEther, formatUnits, isAddress, JsonRpcProvider } from "ethers";
import { stringify } from "yaml";
import * as z from "zod";
import {
  DeploymentFileError,
  deploymentFile,
  LOCAL_CHAIN_ID,
  loadDeployment,
  saveDeployment,
} from "../deployments/index.ts";
import { type Account, AccountError, KEY_VARIABLE, keyAccount, nodeAccount, openKey, rpcProvider } from "./account.ts";
import { audit } from "./audit.ts";
import { checkNetwork, listedStrategy } from "./check.ts";
import { DeploymentFailed, deploymentTransactions, run } from "./ignition.ts";
import { deployOutside, localNetwork } from "./local.ts";
import {
  type CompleteNetwork,
  complete,
  inputsFor,
  loadNetwork,
  NETWORKS,
  NetworkError,
  networkFile,
} from "./network.ts";
import { handsOver, planOf } from "./plan.ts";
import { recordOf, writeVerification } from "./record.ts";
import { gasOf, report, stepsOf } from "./report.ts";
import { openCalls } from "./tiers.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const RPC_VARIABLE = "RPC_URL";

class UsageError extends Error {
  override readonly name = "UsageError";
}

const HELP = `Bulkhead: check a network, review a deployment, deploy, and verify what is deployed.

  npm run deploy -- --network NAME --rpc URL --dry-run     compare the chain with the configuration, and print every
                                                           transaction, role and parameter; sends nothing
  npm run deploy -- --network NAME --rpc URL --yes         deploy; run the same command again to go on after a stop
  npm run deploy -- --network NAME --rpc URL --verify      compare what is deployed with this checkout; sends nothing

  --network NAME           ${NETWORKS.join(", ")}: deploy/networks/NAME.yaml; or local: a development chain, on which
                           stand-ins for EigenLayer, Lido and WETH are deployed first
  --network-config FILE    another configuration
  --rpc URL                the node; or ${RPC_VARIABLE}
  --keystore FILE          the deployer's key, encrypted; the password from --password-file FILE or
                           DEPLOYER_KEYSTORE_PASSWORD
  ${KEY_VARIABLE}     in the environment: the deployer's key, where there is no keystore
  --from ADDRESS           for --dry-run, where there is no key; on chain ${LOCAL_CHAIN_ID} an account of the node
  --journal FOLDER         where progress is written down (by default deployments/journal/CHAIN)
  --record FILE            where addresses, blocks and ABIs go (by default deployments/CHAIN.json)
  --new                    begin anew, in a fresh journal, although one was begun; what it deployed stays unused
  --yes                    needed to send anything to a public network

Keys are never taken from the command line, which others can read. See docs/DEPLOYMENT.md.`;

const FLAGS = {
  help: { type: "boolean", short: "h" },
  network: { type: "string" },
  "network-config": { type: "string" },
  rpc: { type: "string" },
  keystore: { type: "string" },
  "password-file": { type: "string" },
  from: { type: "string" },
  journal: { type: "string" },
  record: { type: "string" },
  new: { type: "boolean" },
  "dry-run": { type: "boolean" },
  verify: { type: "boolean" },
  yes: { type: "boolean" },
} as const;

function readArguments(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: FLAGS, allowPositionals: false }).values;
  } catch (error) {
    const [first] = (error instanceof Error ? error.message : String(error)).split("\n");
    throw new UsageError(`${first ?? "The options are wrong"}. See npm run deploy -- --help`);
  }
}
type Values = ReturnType<typeof readArguments>;

export async function main(
  args: readonly string[],
  build: () => Promise<void>,
  environment: NodeJS.ProcessEnv = process.env,
): Promise<number> {
  try {
    const values = readArguments(args);
    if (values.help || args.length === 0) {
      print(HELP);
      return 0;
    }
    return await work(values, build, environment);
  } catch (error) {
    const ours = [UsageError, NetworkError, AccountError, DeploymentFileError].some((kind) => error instanceof kind);
    if (!ours && !(error instanceof DeploymentFailed)) throw error;
    process.stderr.write(`${(error as Error).message}\n`);
    return ours ? 2 : 1;
  }
}

const print = (line: string) => process.stdout.write(`${line}\n`);
// npm starts scripts in the project's folder, so a name is meant as seen from where the command was typed
const fromHere = (file: string) => resolve(process.env.INIT_CWD ?? process.cwd(), file);

async function work(values: Values, build: () => Promise<void>, environment: NodeJS.ProcessEnv): Promise<number> {
  const url = values.rpc ?? environment[RPC_VARIABLE];
  if (url === undefined || !URL.canParse(url))
    throw new UsageError(`Name the node with --rpc URL, or in ${RPC_VARIABLE}.`);
  if (values.from !== undefined && !isAddress(values.from))
    throw new UsageError(`--from ${values.from} is no address.`);
  if ((values.network === undefined) === (values["network-config"] === undefined))
    throw new UsageError("Name either --network or --network-config.");
  // asked without ethers, which would try a dead node for ever
  const chainId = Number(await rpcProvider(url).request({ method: "eth_chainId" }));
  const provider = new JsonRpcProvider(url, chainId, { staticNetwork: true, cacheTimeout: -1, batchMaxCount: 1 });
  try {
    await build();
    return await onChain(values, provider, url, chainId, environment);
  } finally {
    provider.destroy();
  }
}

const block = z.object({ hash: z.string() });

async function onChain(
  values: Values,
  provider: JsonRpcProvider,
  url: string,
  chainId: number,
  environment: NodeJS.ProcessEnv,
): Promise<number> {
  const genesis = block.parse(await provider.send("eth_getBlockByNumber", ["0x0", false])).hash;
  // development chains share one id, so each is known by its first block
  const place = chainId === LOCAL_CHAIN_ID ? `${chainId}-${genesis.slice(2, 10)}` : String(chainId);
  const home = chainId === LOCAL_CHAIN_ID ? join(ROOT, ".local") : join(ROOT, "deployments");

  const file =
    values["network-config"] !== undefined
      ? fromHere(values["network-config"])
      : values.network === "local"
        ? join(ROOT, ".local", "networks", `${place}.yaml`)
        : networkFile(values.network ?? "");
  if (values.network === "local" && !existsSync(file)) {
    if (chainId !== LOCAL_CHAIN_ID)
      throw new UsageError(
        `The node is on chain ${chainId}; --network local is for development chains (${LOCAL_CHAIN_ID}).`,
      );
    print("Deploying stand-ins for EigenLayer, Lido and WETH ...");
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, stringify(await localNetwork(await deployOutside(provider))));
  }
  const open = loadNetwork(file);

  const differences = await checkNetwork(provider, open);
  if (differences.length > 0) {
    process.stderr.write(`The chain is not as ${file} says:\n${differences.map((one) => `  ${one}\n`).join("")}`);
    return 1;
  }
  print(`${open.name} is as ${file} says.`);
  if (open.eigenlayer.strategy === undefined) {
    const listed = await listedStrategy(provider, open);
    print(
      `StrategyFactory.deployedStrategies(stETH) answers ${listed ?? "none: anybody may call deployNewStrategy(stETH)"}.`,
    );
  }
  const network = complete(open, file);

  const recordFile = values.record === undefined ? deploymentFile(network.chainId) : fromHere(values.record);
  const recorded = values.verify && existsSync(recordFile) ? loadDeployment(network.chainId, recordFile) : undefined;
  const account = recorded
    ? nodeAccount(url, recorded.deployer)
    : await accountOf(values, provider, url, chainId, environment);
  const inputs = inputsFor(network, account.address);
  const plan = planOf(inputs);
  let journal = values.journal === undefined ? join(home, "journal", place) : fromHere(values.journal);
  if (values.new)
    journal = `${journal}-${new Date()
      .toISOString()
      .replaceAll(/[^0-9]/g, "")
      .slice(0, 14)}`;

  if (values["dry-run"]) {
    for (const line of report(plan, inputs, network, await provider.getTransactionCount(account.address))) print(line);
    const { maxFeePerGas, gasPrice } = await provider.getFeeData();
    const price = maxFeePerGas ?? gasPrice ?? 0n;
    print(`\nAbout ${gasOf(plan)} gas; at ${formatUnits(price, "gwei")} gwei ${formatEther(gasOf(plan) * price)} ETH.`);
    print("Nothing was sent.");
    return 0;
  }
  const finish = (addressOf: (id: string) => string, blockOf: (address: string) => number | undefined) =>
    verify({
      provider,
      network,
      inputs,
      plan,
      addressOf,
      blockOf,
      file: recordFile,
      // beside the journal, wherever that is
      verification: join(dirname(dirname(journal)), "verification", basename(journal)),
    });
  if (recorded) {
    const blocks = new Map(Object.values(recorded.contracts).map((one) => [one.address, one.block]));
    const addressOf = (id: string) => {
      const address = recorded.contracts[id]?.address;
      if (address === undefined) throw new DeploymentFailed(`${recordFile} has no ${id}, which this checkout deploys.`);
      return address;
    };
    return finish(addressOf, (address) => blocks.get(address));
  }
  if (values.verify) {
    if (!existsSync(journal)) throw new UsageError(`There is no journal ${journal}: nothing was deployed from here.`);
  } else if (chainId !== LOCAL_CHAIN_ID && !values.yes) {
    throw new UsageError("Look at --dry-run first; then send with --yes.");
  } else if ((await provider.getBalance(account.address)) === 0n) {
    throw new DeploymentFailed(
      `The deployer ${account.address} has no ETH on ${network.name}: send it some and run again.`,
    );
  }

  const total = stepsOf(plan).length;
  print(`${total} transactions from ${account.address}; progress is kept in ${journal}`);
  const addresses = await run({
    plan,
    provider: values.verify ? readOnly(account) : account.provider,
    deployer: account.address,
    journal,
    confirmations: network.confirmations,
    polling: chainId === LOCAL_CHAIN_ID ? 20 : 3_000,
    listener: progress(total),
    log: print,
  });
  const addressOf = (id: string) => {
    const address = addresses.get(id);
    if (address === undefined) throw new DeploymentFailed(`The journal has no ${id}: it is of another plan.`);
    return address;
  };
  const hashes = await deploymentTransactions(journal);
  const blocks = new Map<string, number>();
  for (const [address, hash] of hashes) {
    const receipt = await provider.getTransactionReceipt(hash);
    if (receipt) blocks.set(address, receipt.blockNumber);
  }
  return finish(addressOf, (address) => blocks.get(address.toLowerCase()));
}

async function accountOf(
  values: Values,
  provider: JsonRpcProvider,
  url: string,
  chainId: number,
  environment: NodeJS.ProcessEnv,
): Promise<Account> {
  const { keystore, "password-file": passwordFile, from } = values;
  const wallet = await openKey(
    {
      ...(keystore === undefined ? {} : { keystore: fromHere(keystore) }),
      ...(passwordFile === undefined ? {} : { passwordFile: fromHere(passwordFile) }),
    },
    environment,
  );
  if (wallet) return keyAccount(url, wallet, BigInt(chainId));
  const sends = !values["dry-run"] && !values.verify;
  if (from !== undefined && (chainId === LOCAL_CHAIN_ID || !sends)) return nodeAccount(url, from);
  if (chainId === LOCAL_CHAIN_ID) {
    const accounts = z.array(z.string()).parse(await provider.send("eth_accounts", []));
    // the last one: the first ones play the roles
    const last = accounts.at(-1);
    if (last !== undefined) return nodeAccount(url, last);
  }
  throw new UsageError(
    sends
      ? `Nobody pays for the deployment: name a key with --keystore FILE, or set ${KEY_VARIABLE}.`
      : "Whose deployment is it? Name the deployer with --from ADDRESS, or its key.",
  );
}

/** For `--verify`: a journal that is whole needs no transaction, and one that is not must not get any. */
function readOnly(account: Account): Account["provider"] {
  return {
    request(call) {
      if (call.method.startsWith("eth_send"))
        throw new DeploymentFailed("The deployment is not complete: run again without --verify.");
      return account.provider.request(call);
    },
  };
}

const finished = z.object({ futureId: z.string(), result: z.object({ type: z.string() }) });

/** Says which step is done; Ignition has an event for everything, and these are enough. */
function progress(total: number): ExecutionEventListener {
  let done = 0;
  const ignore = async () => {};
  const complete = async (event: unknown) => {
    const { futureId, result } = finished.parse(event);
    done++;
    print(
      `  ${String(done).padStart(3)}/${total}  ${futureId.replace(/^.*#/, "")}${result.type === "SUCCESS" ? "" : `: ${result.type}`}`,
    );
  };
  return new Proxy({} as ExecutionEventListener, {
    get: (_, name) => (String(name).endsWith("ExecutionStateComplete") ? complete : ignore),
  });
}

interface Finished {
  readonly provider: JsonRpcProvider;
  readonly network: CompleteNetwork;
  readonly inputs: ReturnType<typeof inputsFor>;
  readonly plan: ReturnType<typeof planOf>;
  readonly addressOf: (id: string) => string;
  readonly blockOf: (address: string) => number | undefined;
  readonly file: string;
  readonly verification: string;
}

async function verify(finished: Finished): Promise<number> {
  const { provider, network, inputs, plan, addressOf, blockOf } = finished;
  const record = await recordOf({
    network: network.name,
    chainId: network.chainId,
    strategy: network.eigenlayer.strategy,
    inputs,
    plan,
    addressOf,
    blockOf,
    provider,
  });
  const fromBlock = record.startBlock;
  const differences = await audit({ provider, plan, addressOf, deployer: inputs.deployer, fromBlock });
  for (const [name, calls] of await openCalls(provider, record, network.tiers, differences)) {
    const file = join(
      dirname(dirname(finished.verification)),
      "calls",
      basename(finished.verification),
      `${name}.json`,
    );
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, `${JSON.stringify(calls, null, 2)}\n`);
    print(`Still to be called, with npm run safe -- propose FILE --calls ${file}`);
  }
  if (differences.length > 0) {
    process.stderr.write(
      `What is deployed is not what was planned:\n${differences.map((one) => `  ${one}\n`).join("")}`,
    );
    return 1;
  }
  const rights = handsOver(inputs) ? "the deployer has no rights left" : "the deployer is the admin";
  print(`Verified on the chain: code, immutables, beacons, roles; ${rights}.`);
  print(`Addresses, blocks and ABIs: ${saveDeployment(record, finished.file)}`);
  const { length } = writeVerification(finished.verification, plan, addressOf);
  print(`Input for source verification: ${length} contracts in ${finished.verification}`);
  return 0;
}
