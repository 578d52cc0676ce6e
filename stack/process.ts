/** Native programs as parts of the stack: started, watched, started again when they die, and never left behind. */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync, writeSync } from "node:fs";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";
import { StackError } from "./types.ts";

const LAST_WORDS = 8 * 1024;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 30_000;
/** Who has run so long before he died is started again without a longer pause. */
const STEADY_MS = 60_000;

/** Free ports of this machine; nobody else gets one of them in the same call. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<ReturnType<typeof createServer>>((resolve, reject) => {
          const server = createServer();
          server.once("error", reject);
          server.listen(0, "127.0.0.1", () => resolve(server));
        }),
    ),
  );
  return Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((resolve) => {
          const address = server.address();
          server.close(() => resolve(address !== null && typeof address === "object" ? address.port : 0));
        }),
    ),
  );
}

/** Kills processes and removes folders when this process is gone, however it went. */
export interface Guardian {
  watch(pid: number): void;
  forget(pid: number): void;
  folder(path: string): void;
  /** Ends it; what is still watched dies, and the folders go. */
  close(): Promise<void>;
}

export function startGuardian(): Guardian {
  const child = spawn(process.execPath, [fileURLToPath(new URL("guardian.ts", import.meta.url))], {
    detached: true, // Ctrl-C in the terminal must not reach it before it has done its work
    stdio: ["pipe", "ignore", "ignore"],
    env: { ...process.env, NODE_OPTIONS: "", NODE_NO_WARNINGS: "1" },
  });
  const exited = new Promise<void>((resolve) => {
    child.once("exit", () => resolve());
    child.once("error", () => resolve());
  });
  child.unref();
  child.stdin.on("error", () => {}); // it was killed: then nobody watches, and the children end with close()
  (child.stdin as { unref?: () => void }).unref?.();
  const say = (line: string) => child.stdin.write(`${line}\n`);
  return {
    watch: (pid) => say(`watch ${pid}`),
    forget: (pid) => say(`forget ${pid}`),
    folder: (path) => say(`folder ${path}`),
    close: async () => {
      child.ref();
      child.stdin.end();
      await exited;
    },
  };
}

export interface ServiceOptions {
  /** As people call it: "graph-node". */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** Another user than ours (Postgres refuses to run as root). */
  readonly user?: { readonly uid: number; readonly gid: number } | undefined;
  /** What it prints is appended here. */
  readonly logFile: string;
  /** Resolves when it can be used. `printed` is what this run has said so far; asked again until it is true. */
  readonly ready: (printed: string) => Promise<boolean> | boolean;
  readonly readyTimeoutMs: number;
  readonly guardian: Guardian;
  readonly log: (line: string) => void;
}

export interface Service {
  /** Starts it and waits until it can be used. */
  start(): Promise<void>;
  /** SIGKILL, as a crash would; it stays down until start(). */
  kill(): Promise<void>;
  readonly pid: number | undefined;
}

/** A program that is started again by itself, with growing pauses, when it dies without having been told to. */
export function service(options: ServiceOptions): Service {
  const { name, guardian, log } = options;
  let child: ChildProcess | undefined;
  let exited: Promise<void> = Promise.resolve();
  let wanted = false;
  let pause = FIRST_PAUSE_MS;
  let timer: NodeJS.Timeout | undefined;

  const launch = async (): Promise<void> => {
    const began = Date.now();
    let printed = "";
    let ended: string | undefined;
    let isReady = false;
    const file = openSync(options.logFile, "a");
    const one = spawn(options.command, options.args, {
      cwd: options.cwd,
      env: options.env,
      ...options.user,
      detached: true, // Ctrl-C reaches us first
      stdio: ["ignore", "pipe", "pipe"],
    });
    child = one;
    if (one.pid !== undefined) guardian.watch(one.pid);
    const take = (chunk: Buffer) => {
      writeSync(file, chunk);
      if (printed.length < LAST_WORDS || !isReady) printed += chunk.toString("utf8");
      else printed = (printed + chunk.toString("utf8")).slice(-LAST_WORDS);
    };
    one.stdout.on("data", take);
    one.stderr.on("data", take);
    exited = new Promise<void>((resolve) => {
      const end = (how: string) => {
        if (ended !== undefined) return;
        ended = how;
        if (one.pid !== undefined) guardian.forget(one.pid);
        closeSync(file);
        if (child === one) child = undefined;
        resolve();
        if (isReady && wanted) again(how, began);
      };
      one.once("error", (error) => end(error.message));
      one.once("close", (code, signal) => end(signal ?? `exit code ${code}`));
    });
    const fail = (problem: string) =>
      new StackError(`${name} ${problem}. Its last words (all of them are in ${options.logFile}):\n${tail(printed)}`);
    while (!isReady) {
      if (ended !== undefined) throw fail(`ended with ${ended} before it could be used`);
      if (Date.now() - began > options.readyTimeoutMs) {
        kill(one);
        await exited;
        throw fail(`could not be used within ${options.readyTimeoutMs / 1000} s`);
      }
      if (await options.ready(printed)) isReady = true;
      else await sleep(50);
    }
    // whoever is done with the stack may simply end: it must not keep the process alive
    one.unref();
    for (const stream of [one.stdout, one.stderr]) (stream as { unref?: () => void }).unref?.();
  };

  const again = (how: string, began: number) => {
    if (Date.now() - began > STEADY_MS) pause = FIRST_PAUSE_MS;
    log(`${name} has ended (${how}); it is started again in ${pause / 1000} s. Its log: ${options.logFile}`);
    timer = setTimeout(() => {
      launch().then(
        () => log(`${name} is back`),
        (error: unknown) => {
          log(error instanceof Error ? error.message : String(error));
          if (wanted) again("it did not start", Date.now());
        },
      );
    }, pause);
    timer.unref();
    pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
  };

  return {
    async start() {
      if (child !== undefined) return;
      clearTimeout(timer);
      wanted = true;
      await launch();
    },
    async kill() {
      wanted = false;
      clearTimeout(timer);
      if (child === undefined) return;
      child.ref();
      kill(child);
      await exited;
    },
    get pid() {
      return child?.pid;
    },
  };
}

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const tail = (text: string): string => text.trimEnd().split("\n").slice(-15).join("\n");

function kill(child: ChildProcess): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGKILL"); // graph-node ignores SIGTERM, and neither has anything to save that the chain does not have
}
