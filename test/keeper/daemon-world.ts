/**
 * What the daemon's tests share: the world of the integration tests with a funded tier, sick RPCs in front of it, and
 * keepers that are as the command starts them, but turn when the test says so.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type HDNodeWallet, parseEther, Wallet } from "ethers";
import * as z from "zod";
import { type Deployment, saveDeployment } from "../../deployments/index.ts";
import { RpcPool } from "../../keeper/chain/pool.ts";
import { type Config, configSchema } from "../../keeper/config/schema.ts";
import { createDaemon } from "../../keeper/daemon/create.ts";
import type { Daemon, DaemonOptions } from "../../keeper/daemon/daemon.ts";
import { createLog } from "../../keeper/operate/log.ts";
import { Metrics } from "../../keeper/operate/metrics.ts";
import { deploymentOf } from "../../keeper/soak/stage.ts";
import { Journal } from "../../keeper/transactions/journal.ts";
import { openSigner } from "../../keeper/transactions/signer.ts";
import { depositEth, fund, openStandardTier, startWorld, type Tier, user, type World } from "../integration/world.ts";

export interface Stage {
  readonly world: World;
  readonly tier: Tier;
  readonly deployment: Deployment;
  close(): Promise<void>;
}

/**
 * Two agents with four services each, of which two may misbehave together; funded, restaked and allocated, with so much
 * junior to spare that a slash of a part leaves it covered.
 */
export async function openStage(): Promise<Stage> {
  const world = await startWorld();
  const tier = await openStandardTier(world, { agents: 2, setsPerAgent: 4, params: { k: 2 } });
  await fund(world, tier, user(world, 0), user(world, 1), parseEther("100"));
  await depositEth(world, user(world, 0), tier.junior, parseEther("60"));
  return { world, tier, deployment: await deploymentOf(world), close: () => world.close() };
}

const lineSchema = z.looseObject({ level: z.string(), message: z.string() });
export type Line = z.infer<typeof lineSchema>;

export interface Keeper {
  readonly daemon: Daemon;
  readonly wallet: HDNodeWallet | Wallet;
  readonly journal: Journal;
  readonly metrics: Metrics;
  readonly lines: readonly Line[];
  /** Whether a line was logged since the last `forget`. */
  said(words: RegExp, level?: string): boolean;
  forget(): void;
  /** Turns until it is settled at the head; fails after `limit` turns. */
  settle(limit?: number): Promise<void>;
  close(): Promise<void>;
}

export interface KeeperOptions {
  readonly urls: readonly string[];
  readonly wallet?: HDNodeWallet | Wallet;
  readonly balance?: string;
  /** Over the defaults of a test: answers within 2 s, no limit of age, routine at each final block. */
  readonly config?: Partial<z.input<typeof configSchema>>;
  readonly folder?: string;
  readonly random?: () => number;
  /** What a test puts between the daemon and one of its parts. */
  readonly wrap?: (options: DaemonOptions) => DaemonOptions;
}

export async function openKeeper(stage: Stage, options: KeeperOptions): Promise<Keeper> {
  const wallet = options.wallet ?? Wallet.createRandom();
  const folder = options.folder ?? mkdtempSync(join(tmpdir(), "bulkhead-daemon-"));
  const config: Config = configSchema.parse({
    chain_id: 31_337,
    rpc: [...options.urls],
    routine: { every_seconds: 0 },
    ...options.config,
    chain: { poll_seconds: 0.05, timeout_seconds: 1, max_head_age_seconds: 0, ...options.config?.chain },
  });
  if (options.balance !== "") {
    const balance = parseEther(options.balance ?? "100");
    await stage.world.provider.send("hardhat_setBalance", [wallet.address, `0x${balance.toString(16)}`]);
  }
  const lines: Line[] = [];
  const log = createLog({
    level: "debug",
    format: "json",
    output: { write: (line) => lines.push(lineSchema.parse(JSON.parse(line))) },
  });
  const metrics = new Metrics({ chainId: 31_337, address: wallet.address, processMetrics: false });
  const chain = new RpcPool({
    urls: config.rpc,
    chainId: config.chain_id,
    timeoutSeconds: config.chain.timeout_seconds,
    maxHeadAgeSeconds: config.chain.max_head_age_seconds,
  });
  const factory = stage.deployment.contracts.factory;
  assert.ok(factory);
  const journal = Journal.open(join(folder, "keeper.db"), {
    chainId: 31_337,
    account: wallet.address,
    deployment: factory.address,
  });
  const daemon = createDaemon({
    config,
    chain,
    deployment: stage.deployment,
    signer: await openSigner({ env: "KEY" }, { environment: { KEY: wallet.privateKey } }),
    journal,
    log,
    metrics,
    random: options.random,
    wrap: options.wrap,
  });
  return {
    daemon,
    wallet,
    journal,
    metrics,
    lines,
    said: (words, level) =>
      lines.some((one) => words.test(one.message) && (level === undefined || one.level === level)),
    forget: () => lines.splice(0),
    settle: async (limit = 40) => {
      for (let turn = 0; turn < limit; turn++) {
        await daemon.step();
        const { settled, head, considered } = daemon.status();
        if (
          settled &&
          head &&
          considered === head.number &&
          head.number === (await stage.world.provider.getBlockNumber())
        )
          return;
      }
      assert.fail(
        `not settled after ${limit} turns: ${JSON.stringify(daemon.status())}\n${lines.map((one) => one.message).join("\n")}`,
      );
    },
    close: async () => {
      journal.close();
      if (options.folder === undefined) rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Waits until it is so; fails after half a minute. */
export async function until(what: string, so: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + 30_000;
  while (!(await so())) {
    assert.ok(Date.now() < end, `not within 30 s: ${what}`);
    await setTimeout(50);
  }
}

export interface KeeperProcess {
  /** Waits until it says that nothing is left to do at this block. */
  settled(block: number): Promise<void>;
  /** SIGTERM; gives the exit code. */
  stop(): Promise<number | null>;
  /** SIGKILL. */
  kill(): Promise<void>;
  /** All that it has printed. */
  output(): string;
}

const statusSchema = z.object({ considered: z.number().optional(), settled: z.boolean() });
const readySchema = z.object({ url: z.url() });

/** The keeper as its operator starts it. */
export async function startKeeperProcess(
  stage: Stage,
  { folder, wallet, url }: { readonly folder: string; readonly wallet: HDNodeWallet | Wallet; readonly url: string },
): Promise<KeeperProcess> {
  const file = (name: string, content: string): string => {
    writeFileSync(join(folder, name), content, { mode: 0o600 });
    return name;
  };
  const deployment = saveDeployment(stage.deployment, join(folder, "deployment.json"));
  const config = {
    chain_id: 31_337,
    rpc: [url],
    deployment,
    key: { file: file("key", wallet.privateKey) },
    journal: "keeper.db",
    chain: { poll_seconds: 0.1, max_head_age_seconds: 0 },
    routine: { every_seconds: 0 },
    http: { port: 0 },
    log: { format: "json" },
  };
  file("keeper.yaml", JSON.stringify(config)); // JSON is YAML
  const script = fileURLToPath(new URL("../../scripts/keeper.ts", import.meta.url));
  const args = ["--disable-warning=ExperimentalWarning", script, "run", "--config", join(folder, "keeper.yaml")];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  let at: string | undefined;
  child.stderr.on("data", (chunk: Buffer) => {
    output += chunk.toString();
  });
  createInterface(child.stdout).on("line", (line) => {
    output += `${line}\n`;
    at ??= readySchema.safeParse(JSON.parse(line)).data?.url;
  });
  const ended = new Promise<number | null>((resolve) => child.once("exit", (code) => resolve(code)));
  await until("it has started", async () => {
    assert.equal(child.exitCode, null, output);
    return at !== undefined;
  });
  return {
    settled: (block) =>
      until(`it is settled at ${block}`, async () => {
        const { considered, settled } = statusSchema.parse(await (await fetch(`${at}/status`)).json());
        return settled && (considered ?? 0) >= block;
      }),
    stop: () => {
      child.kill("SIGTERM");
      return ended;
    },
    kill: async () => {
      child.kill("SIGKILL");
      await ended;
    },
    output: () => output,
  };
}
