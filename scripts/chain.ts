/**
 * A local chain for the scenario and the integration tests: one `hardhat node` process (EDR, chain id 31337).
 *
 * A real process behind real JSON-RPC, so that what we test is what a keeper or an app would meet; EDR, because it
 * mines 100,800 empty blocks (EigenLayer's delays) in milliseconds.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export interface ChainOptions {
  /** Port to listen on; by default the system picks a free one. */
  readonly port?: number;
  /** Copy the network behind this JSON-RPC address; its state is read as it is needed. */
  readonly fork?: string;
  /** Keep the node's own log of every call (slower); it is shown when the node fails. */
  readonly log?: boolean;
}

export interface Chain {
  readonly url: string;
  readonly port: number;
  /** Ends the process and waits until it is gone. Safe to call twice. */
  stop(): Promise<void>;
  /** The last lines the node printed. */
  output(): string;
}

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const HARDHAT = fileURLToPath(new URL("../node_modules/hardhat/dist/src/cli.js", import.meta.url));
const START_TIMEOUT_MS = 60_000;
const OUTPUT_LIMIT = 64 * 1024;
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

// Read by the child before anything else: when its stdin closes, the parent is gone (kill -9 included), so it goes too.
export const WATCHDOG = 'data:text/javascript,process.stdin.resume().on("close",()=>process.exit(0)).unref()';

const running = new Set<ChildProcess>();
let guarded = false;

export async function startChain(options: ChainOptions = {}): Promise<Chain> {
  guard();
  if (options.fork !== undefined) forget(options.fork);
  const args = ["--import", WATCHDOG, HARDHAT, "node", "--hostname", "127.0.0.1", "--port", String(options.port ?? 0)];
  if (options.fork !== undefined) args.push("--network", "fork", "--fork", options.fork);
  const child = spawn(process.execPath, args, {
    cwd: ROOT,
    detached: true, // a process group of its own: Ctrl-C reaches us first, and we can end all of it at once
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...process.env, HARDHAT_DISABLE_TELEMETRY_PROMPT: "true", NO_COLOR: "1", FORCE_COLOR: undefined },
  });
  running.add(child);

  let output = "";
  const exited = new Promise<void>((resolve) => {
    child.once("exit", () => {
      running.delete(child);
      resolve();
    });
    child.once("error", () => {
      running.delete(child);
      resolve();
    });
  });
  const stop = async () => {
    child.ref(); // undoes release(): from here on somebody waits for the end
    kill(child);
    await exited;
    if (options.fork !== undefined) forget(options.fork);
  };

  try {
    const port = await new Promise<number>((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`it did not start within ${START_TIMEOUT_MS / 1000} s`)),
        START_TIMEOUT_MS,
      );
      const take = (chunk: Buffer) => {
        output = (output + chunk.toString("utf8")).slice(-OUTPUT_LIMIT);
        const match = /Started HTTP and WebSocket JSON-RPC server at http:\/\/[^:]+:(\d+)\//.exec(output);
        if (match?.[1] === undefined) return;
        clearTimeout(timer);
        resolve(Number(match[1]));
      };
      child.stdout.on("data", take);
      child.stderr.on("data", take);
      child.once("error", (error) => {
        clearTimeout(timer);
        reject(error);
      });
      child.once("exit", (code, signal) => {
        clearTimeout(timer);
        reject(new Error(`it ended with ${signal ?? `exit code ${code}`}`));
      });
    });
    const url = `http://127.0.0.1:${port}`;
    if (!options.log) await rpc(url, "hardhat_setLoggingEnabled", [false]);
    const id = await rpc(url, "eth_chainId", []);
    if (id !== "0x7a69") throw new Error(`it answers with chain id ${String(id)} instead of 31337`);
    // the copied block itself is executed by rules that the node would have to know; a block of its own is not
    if (options.fork !== undefined) await rpc(url, "evm_mine", []);
    release(child);
    return { url, port, stop, output: () => output };
  } catch (error) {
    await stop();
    const hint = /EADDRINUSE|in use/i.test(output)
      ? `Port ${options.port} is taken: choose another, or leave the port out to get a free one.`
      : "Its last words are above; `npx hardhat node` shows the same.";
    throw new Error(`The local chain failed: ${error instanceof Error ? error.message : error}\n${output}\n${hint}`);
  }
}

/** One JSON-RPC call without a library, for the few calls that are about the node itself. */
export async function rpc(url: string, method: string, params: readonly unknown[]): Promise<unknown> {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }),
  });
  const answer = (await response.json()) as { result?: unknown; error?: { message: string } };
  if (answer.error) throw new Error(`${method}: ${answer.error.message}`);
  return answer.result;
}

function kill(child: ChildProcess): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  try {
    // SIGKILL on purpose: a local chain has nothing to save, and must not outlive us.
    if (process.platform === "win32") child.kill("SIGKILL");
    else process.kill(-child.pid, "SIGKILL");
  } catch {
    child.kill("SIGKILL"); // the group is gone already
  }
}

/**
 * EDR keeps what it read of a copied network on disk, by host, port and chain id: right for public networks, but the next
 * local chain on the same port is another one.
 */
function forget(url: string): void {
  const { hostname, port } = new URL(url);
  if (!["127.0.0.1", "localhost", "[::1]"].includes(hostname)) return;
  const folder = fileURLToPath(new URL("../cache/edr-fork-cache/rpc_cache", import.meta.url));
  for (const version of existsSync(folder) ? readdirSync(folder) : [])
    for (const host of readdirSync(join(folder, version)))
      if (host.endsWith(`_${port}`)) rmSync(join(folder, version, host), { recursive: true, force: true });
}

/** A running chain must not keep the caller's process alive: whoever is done may simply return. */
function release(child: ChildProcess): void {
  child.unref();
  for (const stream of child.stdio) (stream as { unref?: () => void } | null)?.unref?.();
}

function guard(): void {
  if (guarded) return;
  guarded = true;
  process.on("exit", () => {
    for (const child of running) kill(child);
  });
  for (const signal of SIGNALS) {
    const handler = () => {
      for (const child of running) kill(child);
      // Alone: do what the signal would have done without us. Otherwise the other listener decides.
      if (process.listenerCount(signal) === 1) {
        process.removeListener(signal, handler);
        process.kill(process.pid, signal);
      }
    };
    process.on(signal, handler);
  }
}
