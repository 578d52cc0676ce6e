/** `npm start`: a chain, the protocol, a story, and the verdict. Exit codes: 0 all held, 1 something failed, 2 bad input. */
import { mkdirSync, writeFileSync } from "node:fs";
import { isAbsolute, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { JsonRpcProvider } from "ethers";
import { checkNetwork } from "../deploy/check.ts";
import { loadNetwork, type Network, NetworkError, networkFileOf } from "../deploy/network.ts";
import { saveDeployment } from "../deployments/index.ts";
import { type Chain, rpc, startChain } from "../scripts/chain.ts";
import { ROOT } from "../scripts/lib/tools.ts";
import { missingGraphNode } from "../stack/graph-node.ts";
import { untilSignal } from "../stack/signals.ts";
import { StackError } from "../stack/types.ts";
import { view } from "./books.ts";
import { ExpectationError } from "./expectations.ts";
import { Invariants } from "./invariants.ts";
import { Journal } from "./journal.ts";
import { deploymentOf, type Keeper, KeeperError, startKeeper } from "./keeper.ts";
import { forkComplaint, loadScenario, ScenarioFileError } from "./load.ts";
import { HELP, OptionError, type Options, readOptions } from "./options.ts";
import { Player, StoryError, verbOf } from "./player.ts";
import { dayOf, type Printer, printer, termsLine } from "./print.ts";
import type { Scenario, Step } from "./schema.ts";
import { printLosses, printPeople, printRewards, printVerdicts } from "./summary.ts";
import { buildForkedWorld, buildWorld, type World } from "./world.ts";

const ADDRESS_FILE = ".local/chain.json";

/** `build` compiles what is needed, once the command and the file are known to be right. */
export async function main(args: readonly string[], build: () => Promise<void>): Promise<number> {
  // whoever reads may stop reading (`| head`): then there is nobody to tell the rest to
  process.stdout.on("error", () => process.exit(1));
  const p = printer(process.stdout);
  let options: Options;
  let scenario: Scenario;
  let original: Original | undefined;
  try {
    options = readOptions(args);
    if (options.help) {
      p.line(HELP);
      return 0;
    }
    const missing = options.data ? missingGraphNode() : undefined;
    if (missing !== undefined) throw new StackError(missing);
    // npm starts scripts in the project's folder, so a name is meant as seen from where the command was typed
    const from = process.env.INIT_CWD ?? process.cwd();
    const given = options.scenario;
    const file = isAbsolute(given)
      ? given
      : args.some((one) => one.startsWith("--scenario"))
        ? resolve(from, given)
        : join(ROOT, given);
    scenario = loadScenario(file);
    original = options.fork === undefined ? undefined : await originalOf(options.fork, options.networkConfig, from);
    const complaint = original && forkComplaint(scenario);
    if (complaint !== undefined) throw new ScenarioFileError(`${file}: ${complaint}`);
  } catch (error) {
    const known = [OptionError, ScenarioFileError, NetworkError, StackError].some((kind) => error instanceof kind);
    if (!known) throw error;
    process.stderr.write(`${(error as Error).message}\n`);
    return 2;
  }

  await build();
  const begin = performance.now();
  const seconds = () => ((performance.now() - begin) / 1000).toFixed(1);
  const chain = await startChain({
    ...(options.port === undefined ? {} : { port: options.port }),
    ...(original === undefined ? {} : { fork: original.url }),
  });
  let keeper: Keeper | undefined;
  try {
    p.line(p.bold(scenario.title));
    if (scenario.about !== undefined) for (const line of wrap(scenario.about)) p.line(line);
    p.line();
    const log = (line: string) => p.line(p.dim(`  ${line} (${seconds()} s)`));
    let world: World;
    if (original) {
      log(`a copy of ${original.network.name} runs at ${chain.url}`);
      world = await buildForkedWorld(scenario, chain.url, original.network, original.file, log);
      log("Bulkhead is deployed on it");
    } else {
      log(`a local chain runs at ${chain.url}`);
      world = await buildWorld(scenario, chain.url, options.eigenlayer, log);
      log(
        `EigenLayer (${options.eigenlayer === "local" ? "stand-in" : "real bytecode"}), Lido and Bulkhead are deployed`,
      );
    }
    keeper = await startKeeper(world);
    log(`the keeper runs as a process of its own (npm run keeper), account ${keeper.address}`);
    const held = await tell(p, world, scenario, keeper);
    p.line();
    p.line(
      p.dim(
        `${world.chain.sent} transactions, ${dayOf(world.chain.head.time, world.birth.time)} of the story, ${seconds()} s`,
      ),
    );
    if (options.keep) await keep(p, world, chain, keeper, options.data);
    return held ? 0 : 1;
  } catch (error) {
    if (error instanceof KeeperError || error instanceof StackError) {
      process.stderr.write(`${error.message}\n`);
      return 1;
    }
    if (!(error instanceof NetworkError)) throw error;
    process.stderr.write(`${error.message}\n`);
    return 2;
  } finally {
    await keeper?.stop();
    await chain.stop();
  }
}

/** The network that a fork copies. */
interface Original {
  readonly url: string;
  readonly file: string;
  readonly network: Network;
}

async function originalOf(url: string, config: string | undefined, from: string): Promise<Original> {
  let chainId: number;
  try {
    chainId = Number(await rpc(url, "eth_chainId", []));
  } catch (error) {
    const cause = error instanceof Error ? (error.cause ?? error) : error;
    throw new OptionError(`The node after --fork does not answer: ${cause instanceof Error ? cause.message : cause}`);
  }
  const file = config === undefined ? networkFileOf(chainId) : resolve(from, config);
  if (file === undefined)
    throw new OptionError(`No file in deploy/networks/ is of chain ${chainId}: name one with --network-config.`);
  const network = loadNetwork(file);
  if (network.chainId !== chainId)
    throw new NetworkError(`The node after --fork is on chain ${chainId}; ${file} is of chain ${network.chainId}.`);
  const provider = new JsonRpcProvider(url, chainId, { staticNetwork: true });
  try {
    // who holds the roles there does not matter: here the copy's accounts do
    const differences = await checkNetwork(provider, { ...network, roles: {} });
    if (differences.length > 0)
      throw new NetworkError(
        `${network.name} is not as ${file} says:\n${differences.map((one) => `  ${one}`).join("\n")}`,
      );
  } finally {
    provider.destroy();
  }
  return { url, file, network };
}

/** Plays the whole story; true if everything held. */
async function tell(p: Printer, world: World, scenario: Scenario, keeper: Keeper): Promise<boolean> {
  const invariants = new Invariants();
  const journal = new Journal(world, invariants);
  const player = new Player(world, journal, invariants, p, await view(world), keeper);
  p.line();
  for (const one of player.now.tiers.values()) p.line(`  ${termsLine(p, one)}`);

  let told = true;
  story: for (const [i, chapter] of scenario.story.entries()) {
    p.line();
    const time = dayOf(world.chain.head.time, world.birth.time);
    p.line(`${p.bold(`${i + 1}. ${chapter.chapter}`)} ${p.dim(`(${time})`)}`);
    if (chapter.about !== undefined) for (const line of wrap(chapter.about)) p.line(`  ${line}`);
    for (const [j, step] of chapter.steps.entries()) {
      try {
        await player.play(step);
      } catch (error) {
        if (!(error instanceof ExpectationError || error instanceof StoryError)) throw error;
        p.line(`  ${p.red("✗")} ${error.message}`);
        p.line(p.red(`    in chapter "${chapter.chapter}", step ${j + 1} (${verbOf(step)}): the story ends here.`));
        player.showBooks();
        told = false;
        break story;
      }
      if (tabled(step, chapter.steps.slice(j + 1))) player.showBooks();
    }
    for (const tier of world.tiers.values()) await invariants.limits(world, tier, player.tierView(tier.name));
    player.show("all");
  }
  // unbooked gains and losses would be missing from the last account
  for (const tier of world.tiers.values()) {
    const { accounts, faces } = world;
    await journal.send({ from: accounts.keeper, to: tier.address, face: faces.tier, fn: "sync" }, { tier });
  }
  player.before = player.now;
  await player.look("the last sync", undefined);
  invariants.settle(journal, player.now);
  await invariants.fees(journal);

  p.line();
  printLosses(p, journal);
  p.line();
  printPeople(p, journal, player.now);
  printRewards(p, journal, await player.securities());
  p.line();
  const held = printVerdicts(p, invariants.verdicts());
  return told && held;
}

const QUIET = [
  "say",
  "show",
  "remember",
  "expect",
  "expect holder",
  "expect paid",
  "refused",
  "expect pay",
  "pay rewards",
  "sell rewards",
  "claim pay",
  "claim",
  "request exit",
  "greet",
];
const isQuiet = (step: Step): boolean => QUIET.includes(verbOf(step));

/** The books are shown where a run of steps of one kind has changed them; a chapter's end shows them anyway. */
function tabled(step: Step, rest: readonly Step[]): boolean {
  const [next] = rest;
  return next !== undefined && !isQuiet(step) && verbOf(next) !== verbOf(step) && !rest.every(isQuiet);
}

function wrap(text: string, columns = 110): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.trim().split(/\s+/)) {
    if (line.length + word.length + 1 > columns) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return line === "" ? lines : [...lines, line];
}

async function keep(p: Printer, world: World, chain: Chain, keeper: Keeper, withData: boolean): Promise<void> {
  await keeper.free();
  const book = {
    url: chain.url,
    chainId: 31_337,
    contracts: world.addresses,
    tiers: Object.fromEntries(
      [...world.tiers].map(([name, tier]) => [
        name,
        {
          tier: tier.address,
          risk: tier.risk,
          stakes: tier.stakes,
          allocator: tier.allocator,
          mandate: tier.mandate,
          module: tier.module,
          rewards: tier.rewards,
          agents: Object.fromEntries(tier.agents.map((agent) => [agent.operator, agent.address])),
        },
      ]),
    ),
    avss: Object.fromEntries([...world.avss].map(([name, avs]) => [name, avs.address])),
    accounts: {
      curator: world.accounts.curator,
      guardian: world.accounts.guardian,
      anybody: world.accounts.keeper,
      "Lido's oracle": world.accounts.outside,
      "the AVSs": world.accounts.avsOwner,
      ...Object.fromEntries(world.accounts.operators),
      ...Object.fromEntries(world.accounts.people),
    },
  };
  const record = await deploymentOf(world, chain.url);
  const deployment = saveDeployment(record);
  mkdirSync(join(ROOT, ".local"), { recursive: true });
  writeFileSync(join(ROOT, ADDRESS_FILE), `${JSON.stringify(book, null, 2)}\n`);
  p.line();
  p.line(p.bold(`The chain keeps running at ${chain.url}, and so does the keeper`));
  const print = (title: string, entries: Record<string, unknown>) => {
    p.line(`  ${title}`);
    for (const [name, value] of Object.entries(entries)) {
      if (typeof value === "string") p.line(`    ${name.padEnd(24)} ${value}`);
    }
  };
  print("contracts", book.contracts);
  for (const [name, tier] of Object.entries(book.tiers)) print(`tier ${name}`, tier);
  p.line("  the keeper");
  p.line(`    ${"account".padEnd(24)} ${keeper.address}`);
  p.line(`    ${"metrics, status".padEnd(24)} ${keeper.url}/metrics, ${keeper.url}/status`);
  p.line(`    ${"its files".padEnd(24)} ${keeper.folder}`);
  const keys = world.oracle ? ", and the usual test keys of a development chain" : "";
  print(`accounts (unlocked${keys})`, book.accounts);
  p.line(
    `  The same is in ${ADDRESS_FILE}; with ABIs and blocks, for programs, in ${relative(ROOT, deployment)}. Ctrl-C ends it.`,
  );
  if (!withData) return await untilSignal();
  // here, because a story that is only told needs none of it
  const { describeData, startData } = await import("../stack/data.ts");
  p.line();
  const ended = untilSignal();
  const data = await startData({ rpcUrl: chain.url, deployment: record, log: (line) => p.line(p.dim(`  ${line}`)) });
  p.line(p.bold("The data"));
  for (const line of describeData(data)) p.line(`  ${line}`);
  await ended;
  await data.close();
}

// Run as a script it takes the contracts as they are compiled; `npm start` compiles them first.
if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.exitCode = await main(process.argv.slice(2), async () => {});
}
