/**
 * The keeper as its operator runs it: a process of its own with a configuration file, a key in its environment and a
 * journal, told about over its HTTP server. It can be killed with SIGKILL at any moment and started again.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type JsonRpcProvider, parseEther, Wallet } from "ethers";
import { stringify } from "yaml";
import * as z from "zod";
import type { Deployment } from "../../deployments/index.ts";

const KEEPER = fileURLToPath(new URL("../../scripts/keeper.ts", import.meta.url));
const KEY = "BULKHEAD_KEEPER_KEY";
/** As `operate/keeper.service` starts it. */
const FLAGS = ["--max-semi-space-size=2", "--max-old-space-size=192", "--disable-warning=ExperimentalWarning"];
const START_LIMIT = 30_000;
const LINES = 400;
/** Milliseconds for which the keeper may seem to wait before the next block comes. */
const PATIENCE = 500;

const statusSchema = z.object({
  head: z.object({ number: z.number(), hash: z.string() }).optional(),
  considered: z.number().optional(),
  routine: z.number().optional(),
  inFlight: z.number(),
  settled: z.boolean(),
  lastError: z.string().optional(),
});
const logSchema = z.object({
  level: z.string(),
  message: z.string(),
  block: z.number().optional(),
  err: z.unknown().optional(),
});
export type KeeperStatus = z.output<typeof statusSchema>;

export interface KeeperOptions {
  readonly provider: JsonRpcProvider;
  readonly rpc: readonly string[];
  readonly deployment: Deployment;
  /** Further keys of the configuration. */
  readonly config?: Readonly<Record<string, unknown>>;
}

export class KeeperProcess {
  readonly address: string;
  readonly folder: string;
  readonly #options: KeeperOptions;
  readonly #wallet = Wallet.createRandom();
  #child: ChildProcess | undefined;
  #url = "";
  #lines: string[] = [];
  #expected = false;

  private constructor(options: KeeperOptions, folder: string) {
    this.#options = options;
    this.folder = folder;
    this.address = this.#wallet.address;
  }

  static async open(options: KeeperOptions): Promise<KeeperProcess> {
    const folder = mkdtempSync(join(tmpdir(), "bulkhead-soak-"));
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "deployment.json"), JSON.stringify(options.deployment));
    const keeper = new KeeperProcess(options, folder);
    const balance = `0x${parseEther("10000").toString(16)}`;
    await options.provider.send("hardhat_setBalance", [keeper.address, balance]);
    return keeper;
  }

  /** Starts it, and waits until it answers. */
  async start(): Promise<void> {
    const port = await freePort();
    const config = {
      chain_id: 31_337,
      rpc: this.#options.rpc,
      deployment: "deployment.json",
      key: { env: KEY },
      journal: "keeper.db",
      chain: { poll_seconds: 0.05, timeout_seconds: 2, max_head_age_seconds: 0 },
      routine: { every_seconds: 0 },
      log: { level: "info", format: "json" },
      ...this.#options.config,
      http: { port },
    };
    const file = join(this.folder, "keeper.yaml");
    writeFileSync(file, stringify(config));
    const child = spawn(process.execPath, [...FLAGS, KEEPER, "run", "--config", file], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, INIT_CWD: this.folder, [KEY]: this.#wallet.privateKey },
    });
    this.#child = child;
    this.#expected = false;
    this.#url = `http://127.0.0.1:${port}`;
    for (const stream of [child.stdout, child.stderr])
      stream?.on("data", (chunk: Buffer) => {
        this.#lines = [...this.#lines, ...chunk.toString("utf8").split("\n").filter(Boolean)].slice(-LINES);
      });
    const begin = Date.now();
    while ((await this.status()) === undefined) {
      if (Date.now() - begin > START_LIMIT) throw new Error(`The keeper does not answer.\n${this.lastWords()}`);
      await sleep(20);
    }
  }

  /** Where it is; nothing while it does not answer. A keeper that has ended by itself is an error. */
  async status(): Promise<KeeperStatus | undefined> {
    const child = this.#child;
    if (!child || this.#expected) return undefined;
    if (child.exitCode !== null || child.signalCode !== null)
      throw new Error(`The keeper has ended (${child.exitCode ?? child.signalCode}).\n${this.lastWords()}`);
    try {
      const answer = await fetch(`${this.#url}/status`, { signal: AbortSignal.timeout(2_000) });
      return statusSchema.parse(await answer.json());
    } catch (error) {
      if (error instanceof z.ZodError) throw error;
      return undefined;
    }
  }

  /**
   * Waits until it has done at the chain's head all that there is to do. What it leaves for some blocks (after a lost race,
   * or until a transaction is replaced) needs blocks: where it waits, `advance` brings the next one.
   */
  async settle(limit = 60_000, advance?: () => Promise<unknown>): Promise<void> {
    const begin = Date.now();
    let waiting = Date.now();
    let last = -1;
    for (;;) {
      const status = await this.status();
      const height = await this.#options.provider.getBlockNumber();
      const looked = status?.head?.number === height && status.considered === height;
      if (status?.settled && looked && status.routine === height) return;
      if (!looked || height !== last) [waiting, last] = [Date.now(), height];
      else if (advance && Date.now() - waiting > (status.inFlight === 0 ? PATIENCE : 5 * PATIENCE)) await advance();
      if (Date.now() - begin > limit)
        throw new Error(
          `The keeper is not done ${limit / 1_000} s after block ${height}: ${JSON.stringify(status)}\n${this.lastWords()}`,
        );
      await sleep(30);
    }
  }

  /** Ends it in the middle of whatever it does. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (!child) return;
    this.#expected = true;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
  }

  /** Resident memory in bytes, where the system tells. */
  memory(): number | undefined {
    try {
      const pages = Number(readFileSync(`/proc/${this.#child?.pid}/statm`, "utf8").split(" ")[1]);
      return pages * 4_096;
    } catch {
      return undefined;
    }
  }

  /** The last lines it logged, for people. */
  lastWords(count = 40): string {
    return this.#lines.slice(-count).map(sentence).join("\n");
  }

  async close(): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** A line of the log without its fields; anything else as it is. */
function sentence(line: string): string {
  try {
    const { level, message, block, err } = logSchema.parse(JSON.parse(line));
    return `  ${level}${block === undefined ? "" : ` (block ${block})`}: ${message}${err === undefined ? "" : ` ${JSON.stringify(err)}`}`;
  } catch {
    return line;
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() =>
        typeof address === "object" && address ? resolve(address.port) : reject(new Error("no port")),
      );
    });
  });
}
