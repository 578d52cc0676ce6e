/**
 * `npm run keeper`. Exit codes: 0 done, 1 something failed, 2 the command or the configuration is wrong.
 */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { DeploymentFileError } from "../deployments/index.ts";
import { assemble, chainIdOf } from "./assemble.ts";
import { RpcError } from "./chain/types.ts";
import { ConfigError, loadConfig } from "./config/file.ts";
import { printConfig } from "./config/print.ts";
import { type Config, configSchema } from "./config/schema.ts";
import { withoutKeys } from "./config/secrets.ts";
import { allGood, type Check, checkHttp } from "./daemon/boot.ts";
import { Claims } from "./daemon/claims.ts";
import { silent } from "./operate/log.ts";
import { HELP, OptionError, type Options, readOptions } from "./options.ts";
import { plan } from "./plan/plan.ts";
import { printPlan } from "./plan/text.ts";
import type { KeeperState, Plan } from "./plan/types.ts";
import { run } from "./run.ts";
import { takeSecrets } from "./transactions/signer.ts";

/** Where it prints, what it reads, and what stops it; by default the process's own. */
export interface Surroundings {
  readonly out?: { write(text: string): unknown };
  readonly err?: { write(text: string): unknown };
  readonly environment?: NodeJS.ProcessEnv;
  readonly signal?: AbortSignal;
}

/** A failure that was told already. */
class Failed extends Error {}

export async function main(args: readonly string[], surroundings: Surroundings = {}): Promise<number> {
  const { out = process.stdout, err = process.stderr, environment = process.env } = surroundings;
  const print = (text: string) => void out.write(`${text}\n`);
  const complain = (text: string) => void err.write(`${withoutKeys(text)}\n`);
  try {
    const options = readOptions(args);
    // whoever reads may stop reading (`| head`); a daemon goes on without being heard
    if (out === process.stdout)
      process.stdout.on("error", () => (options.command === "run" ? undefined : process.exit(1)));
    if (options.help) {
      print(HELP);
      return 0;
    }
    if (options.command === "config") {
      out.write(printConfig());
      return 0;
    }
    const config = await configOf(options, environment);
    switch (options.command) {
      case "check":
        return await check(config, options, environment, print);
      case "plan":
        return await showPlan(config, options, environment, print, complain);
      case "run":
        return await run(config, { environment, ...surroundings, refuse: (checks) => complain(sayChecks(checks)) });
    }
  } catch (error) {
    if (error instanceof Failed) return 1;
    const wrong = [OptionError, ConfigError, DeploymentFileError].some((kind) => error instanceof kind);
    if (wrong || error instanceof RpcError) complain((error as Error).message);
    else complain(error instanceof Error ? (error.stack ?? error.message) : String(error));
    return wrong ? 2 : 1;
  }
}

/** npm starts scripts in the project's folder, so a name is meant as seen from where the command was typed. */
const fromHere = (file: string, environment: NodeJS.ProcessEnv): string =>
  resolve(environment.INIT_CWD ?? process.cwd(), file);

async function configOf(options: Options, environment: NodeJS.ProcessEnv): Promise<Config> {
  const { rpc, dryRun } = options;
  const deployment = options.deployment === undefined ? {} : { deployment: fromHere(options.deployment, environment) };
  const [first] = rpc;
  if (options.command === "plan" && options.config === undefined && first !== undefined) {
    const { timeout_seconds: timeout } = configSchema.shape.chain.parse(undefined);
    const chainId = await chainIdOf(first, timeout);
    // a chain of development has a clock of its own
    const chain = chainId === 31_337 ? { chain: { max_head_age_seconds: 0 } } : {};
    return configSchema.parse({ rpc: [...rpc], chain_id: chainId, ...chain, ...deployment });
  }
  const config = loadConfig(fileOf(options, environment));
  return {
    ...config,
    ...deployment,
    ...(rpc.length === 0 ? {} : { rpc: [...new Set(rpc)] }),
    dry_run: config.dry_run || dryRun,
  };
}

function fileOf({ config, command }: Options, environment: NodeJS.ProcessEnv): string {
  if (config !== undefined) return fromHere(config, environment);
  const files = ["keeper.yaml", "keeper.yml", "keeper.toml"].map((name) => fromHere(name, environment));
  const found = files.filter((file) => existsSync(file));
  const [first, second] = found;
  if (second !== undefined)
    throw new OptionError(`There are ${found.join(" and ")}: name the one that is meant with --config.`);
  if (first === undefined && command === "plan")
    throw new OptionError("Which chain? Add --rpc URL, or --config FILE. See npm run keeper -- --help");
  return first ?? files[0] ?? "";
}

// ------------------------------------------------------------------------------------------------------------ check

async function check(
  config: Config,
  { json }: Options,
  environment: NodeJS.ProcessEnv,
  print: (text: string) => void,
): Promise<number> {
  const found = await assemble(config, { environment, key: true, journal: "look" });
  await found.close();
  const checks = [...found.checks, await checkHttp(config.http)];
  const good = allGood(checks);
  if (json) print(JSON.stringify({ ok: good, checks }, null, 2));
  else {
    print(sayChecks(checks));
    const bad = checks.filter(({ ok, warning }) => !ok && !warning).length;
    print(good ? "\nThe keeper can start." : `\n${bad} of ${checks.length} checks failed: it would not start.`);
  }
  return good ? 0 : 1;
}

export function sayChecks(checks: readonly Check[]): string {
  return checks
    .flatMap(({ name, ok, warning, detail, fix }) => [
      `${ok ? "ok  " : warning ? "warn" : "FAIL"}  ${name}: ${detail}`,
      ...(fix === undefined ? [] : [`      ${fix}`]),
    ])
    .join("\n");
}

// ------------------------------------------------------------------------------------------------------------- plan

async function showPlan(
  config: Config,
  { json }: Options,
  environment: NodeJS.ProcessEnv,
  print: (text: string) => void,
  complain: (text: string) => void,
): Promise<number> {
  takeSecrets(config.key, environment);
  const found = await assemble(config, { environment, key: false, journal: "none" });
  try {
    const bad = found.checks.filter(({ ok }) => !ok);
    if (bad.length > 0) complain(sayChecks(bad));
    const { chain, views, deployment, tiers } = found;
    if (!allGood(found.checks) || !chain || !views || !deployment) throw new Failed();
    const [head, final] = await Promise.all([chain.header("latest"), chain.header("finalized").catch(() => undefined)]);
    if (head === undefined) throw new RpcError("No RPC knows the latest block.");
    const [now, settled] = await Promise.all([
      views.observe(tiers, head, 1),
      final === undefined ? undefined : views.observe(tiers, final, 1),
    ]);
    const claims =
      config.routine.claims === undefined || settled === undefined
        ? []
        : await new Claims(config.routine.claims, chain, deployment.external.rewardsCoordinator, silent).due(
            settled.tiers,
            settled.block,
          );
    const state: KeeperState = { head: now, final: settled, claims, remembered: [] };
    const made = plan(state, config);
    print(json ? planJson(made, state) : printPlan(made, state).trimEnd());
    return 0;
  } finally {
    await found.close();
  }
}

const planJson = ({ actions, withheld }: Plan, { head, final }: KeeperState): string =>
  JSON.stringify(
    { head: head.block, final: final?.block ?? null, tiers: head.tiers, actions, withheld },
    (_, value) => (typeof value === "bigint" ? value.toString() : value),
    2,
  );
