/**
 * The story's keeper: the daemon of `npm run keeper` in a process of its own, with a real configuration, a key in a file
 * and a journal, as an operator runs it. What it did is read from the chain.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { JsonRpcProvider, Wallet } from "ethers";
import { stringify } from "yaml";
import * as z from "zod";
import { localRecordOf } from "../deploy/record.ts";
import { type Deployment, saveDeployment } from "../deployments/index.ts";
import { WATCHDOG } from "../scripts/chain.ts";
import { ROOT } from "../scripts/lib/tools.ts";
import { startGate } from "./gate.ts";
import type { Claim } from "./rewards-tree.ts";
import type { World } from "./world.ts";

const status = z.object({
  considered: z.number().optional(),
  routine: z.number().optional(),
  settled: z.boolean(),
  lastError: z.string().optional(),
});

export class KeeperError extends Error {
  override readonly name = "KeeperError";
}

export interface Keeper {
  readonly address: string;
  /** Where it serves /metrics, /status, /livez and /readyz. */
  readonly url: string;
  /** Its files: keeper.yaml, keeper.key, keeper.db, claims/. */
  readonly folder: string;
  /** Lets it act until it finds nothing more to do; returns the block before and the block after its turn. */
  turn(): Promise<{ readonly from: number; readonly to: number }>;
  /** Puts a claim of EigenLayer's rewards where it looks for them. */
  publish(name: string, claim: Claim): void;
  /** From now on it acts whenever it sees a reason, at an operator's pace. */
  free(): Promise<void>;
  stop(): Promise<void>;
}

const START_TIMEOUT = 60_000;
const TURN_TIMEOUT = 120_000;
const LOOK_EVERY = 50;
const FUNDS = "0x56bc75e2d63100000"; // 100 ETH
const TAIL = 12;

export async function startKeeper(world: World): Promise<Keeper> {
  const { chain } = world;
  const folder = mkdtempSync(join(tmpdir(), "bulkhead-keeper-"));
  const file = (name: string) => join(folder, name);
  const wallet = Wallet.createRandom();
  await chain.rpc("hardhat_setBalance", [wallet.address, FUNDS]);
  writeFileSync(file("keeper.key"), `${wallet.privateKey}\n`, { mode: 0o600 });
  saveDeployment(await deploymentOf(world, chain.url), file("deployment.json"));
  mkdirSync(file("claims"));
  const gate = await startGate(chain.url);
  const configure = (pollSeconds: number): void => {
    const config = {
      chain_id: 31_337,
      rpc: [gate.url],
      deployment: file("deployment.json"),
      key: { file: file("keeper.key") },
      journal: file("keeper.db"),
      // a closed gate is no RPC that hangs, and the chain's clock is the story's
      chain: { poll_seconds: pollSeconds, timeout_seconds: 600, max_head_age_seconds: 0 },
      // its turns come every day or two: what may wait three days is done in every second turn
      routine: { every_seconds: 0, sync_every_hours: 48, poke_before_hours: 36, claims: file("claims") },
      // on a copy of a network gas costs what it cost there
      fees: { protection: { max_fee_gwei: 1000 }, routine: { max_fee_gwei: 1000 } },
      http: { host: "127.0.0.1", port: 0 },
      log: { level: "info", format: "json" },
    };
    writeFileSync(file("keeper.yaml"), stringify(config));
  };
  configure(0.05);
  gate.open();
  let daemon: Daemon;
  try {
    daemon = await startDaemon(file("keeper.yaml"));
    await gate.close();
  } catch (error) {
    await gate.stop();
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }

  const settle = async (): Promise<number> => {
    const deadline = Date.now() + TURN_TIMEOUT;
    let last: z.output<typeof status> | undefined;
    while (Date.now() < deadline) {
      last = status.parse(await daemon.ask("/status"));
      if (last.settled && last.considered === last.routine) {
        await chain.locate();
        if (last.considered === chain.head.block) return chain.head.block;
      }
      await new Promise((done) => setTimeout(done, LOOK_EVERY));
    }
    const where = `head ${chain.head.block}, ${JSON.stringify(last)}`;
    throw new KeeperError(`The keeper does not come to rest in ${TURN_TIMEOUT / 1000} s (${where}).\n${daemon.tail()}`);
  };

  return {
    address: wallet.address,
    get url() {
      return daemon.url;
    },
    folder,
    turn: async () => {
      await chain.locate();
      const from = chain.head.block;
      gate.open();
      try {
        const to = await settle();
        return { from, to };
      } finally {
        await gate.close();
      }
    },
    publish: (name, claim) =>
      writeFileSync(
        join(folder, "claims", `${name}.json`),
        JSON.stringify(claim, (_, value) => (typeof value === "bigint" ? value.toString() : value), 2),
      ),
    free: async () => {
      configure(1);
      gate.open();
      await daemon.stop();
      daemon = await startDaemon(file("keeper.yaml"));
    },
    stop: async () => {
      gate.open();
      await daemon.stop();
      await gate.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

interface Daemon {
  readonly url: string;
  ask(path: string): Promise<unknown>;
  /** The last lines of its log. */
  tail(): string;
  stop(): Promise<void>;
}

async function startDaemon(config: string): Promise<Daemon> {
  const words = ["--disable-warning=ExperimentalWarning", "--import", WATCHDOG, join(ROOT, "scripts/keeper.ts")];
  const child = spawn(process.execPath, [...words, "run", "--config", config], {
    cwd: ROOT,
    stdio: ["pipe", "pipe", "pipe"], // with us goes its stdin, and with that the keeper: it would have no chain
  });
  const lines: string[] = [];
  const tail = () => lines.map((line) => `    ${line}`).join("\n");
  const gone = new Promise<void>((done) => child.once("close", () => done()));
  const url = await new Promise<string>((done, failed) => {
    const timer = setTimeout(() => {
      child.kill("SIGKILL");
      failed(new KeeperError(`The keeper did not start within ${START_TIMEOUT / 1000} s.\n${tail()}`));
    }, START_TIMEOUT);
    for (const stream of [child.stdout, child.stderr])
      createInterface({ input: stream }).on("line", (line) => {
        lines.push(line);
        if (lines.length > TAIL) lines.shift();
        const found = /"url":"(http:\/\/127\.0\.0\.1:\d+)/.exec(line)?.[1];
        if (found === undefined) return;
        clearTimeout(timer);
        done(found);
      });
    child.once("error", failed);
    child.once("close", (code, signal) => {
      clearTimeout(timer);
      failed(new KeeperError(`The keeper ended with ${signal ?? `exit code ${code}`}.\n${tail()}`));
    });
  });
  return {
    url,
    tail,
    ask: async (path) => {
      if (child.exitCode !== null || child.signalCode !== null)
        throw new KeeperError(`The keeper has ended (${child.signalCode ?? child.exitCode}).\n${tail()}`);
      return (await fetch(url + path)).json();
    },
    stop: async () => {
      await endOf(child, gone);
    },
  };
}

async function endOf(child: ChildProcess, gone: Promise<void>): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), 10_000);
  await gone;
  clearTimeout(timer);
}

/** What is deployed, as programs read it. */
export async function deploymentOf(world: World, url: string): Promise<Deployment> {
  const provider = new JsonRpcProvider(url, undefined, { staticNetwork: true, cacheTimeout: -1 });
  try {
    return await localRecordOf(world.protocol, world.addresses.strategy, provider);
  } finally {
    provider.destroy();
  }
}
