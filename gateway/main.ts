/**
 * `npm run gateway`: the gateway as a service. Exit codes: 0 ended in order, 1 something failed, 2 the command or the
 * configuration is wrong.
 */
import { DeploymentFileError } from "../deployments/index.ts";
import { ConfigError, HELP, readConfig } from "./config.ts";
import { PersistedError } from "./edge/persisted.ts";
import { startGateway } from "./start.ts";

/** Where it prints, what it reads, and what stops it; by default the process's own. */
export interface Surroundings {
  readonly out?: { write(text: string): unknown };
  readonly err?: { write(text: string): unknown };
  readonly environment?: NodeJS.ProcessEnv;
  readonly signal?: AbortSignal;
}

export async function main(args: readonly string[], surroundings: Surroundings = {}): Promise<number> {
  const { out = process.stdout, err = process.stderr, environment = process.env } = surroundings;
  try {
    const config = readConfig(args, environment);
    if (config.help) {
      out.write(HELP);
      return 0;
    }
    const stopped = stop(surroundings.signal);
    const gateway = await startGateway(config.options);
    out.write(`GraphQL and GraphiQL: ${gateway.url}/graphql\n`);
    await stopped;
    await gateway.close();
    return 0;
  } catch (error) {
    const wrong = [ConfigError, DeploymentFileError, PersistedError].some((kind) => error instanceof kind);
    err.write(`${wrong ? (error as Error).message : (taken(error) ?? (error as Error).stack ?? String(error))}\n`);
    return wrong ? 2 : 1;
  }
}

/** What an address that cannot be listened at means. */
function taken(error: unknown): string | undefined {
  const { syscall, code, message } = error as NodeJS.ErrnoException;
  if (syscall !== "listen") return undefined;
  if (code === "EADDRINUSE") return `${message}: choose a free --port (0 for any). Is another gateway running?`;
  if (code === "EACCES") return `${message}: choose a --port above 1023.`;
  return `${message}: --host has to be an address of this machine, such as 127.0.0.1.`;
}

/** Resolves with the first signal; a second one does not wait for anything. */
function stop(signal: AbortSignal | undefined): Promise<void> {
  return new Promise((done) => {
    if (signal !== undefined) {
      if (signal.aborted) done();
      else signal.addEventListener("abort", () => done(), { once: true });
      return;
    }
    let asked = false;
    for (const name of ["SIGINT", "SIGTERM"] as const) {
      process.on(name, () => {
        if (asked) process.exit(1);
        asked = true;
        done();
      });
    }
  });
}
