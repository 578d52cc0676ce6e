/** The daemon as a process: parts, log, metrics and health around the loop, and the end of it. */
import { parseEther } from "ethers";
import release from "../package.json" with { type: "json" };
import { assemble } from "./assemble.ts";
import type { RpcPool } from "./chain/pool.ts";
import type { Config } from "./config/schema.ts";
import { allGood, type Check, failed } from "./daemon/boot.ts";
import { createDaemon } from "./daemon/create.ts";
import type { Daemon } from "./daemon/daemon.ts";
import { liveness, readiness, type Vitals } from "./operate/health.ts";
import { createLog, type Log, type Output } from "./operate/log.ts";
import { Metrics } from "./operate/metrics.ts";
import { type HttpServer, serve } from "./operate/server.ts";
import type { Journal } from "./transactions/journal.ts";

export interface RunOptions {
  readonly environment: NodeJS.ProcessEnv;
  readonly out?: { write(text: string): unknown };
  /** Ends the keeper after its current turn; by default SIGINT and SIGTERM do. */
  readonly signal?: AbortSignal;
  /** Tells the checks that forbid to start. */
  readonly refuse: (checks: readonly Check[]) => void;
}

export async function run(config: Config, options: RunOptions): Promise<number> {
  const log = createLog({ ...config.log, ...(options.out ? { output: options.out as Output } : {}) });
  const stop = options.signal === undefined ? signals(log) : { signal: options.signal, release() {} };
  const found = await assemble(config, {
    environment: options.environment,
    key: true,
    journal: "open",
    onEvent: ({ kind, endpoint, detail }) => log.warn({ rpc: endpoint }, `RPC ${kind}: ${detail}`),
  });
  let http: HttpServer | undefined;
  try {
    const { chain, deployment, signer, journal } = found;
    const bad = found.checks.filter(({ ok, warning }) => !ok && !warning);
    for (const { name, detail, fix } of found.checks.filter(({ warning }) => warning))
      log.warn({ check: name, fix }, detail);
    if (!allGood(found.checks) || !chain || !deployment || !journal) {
      options.refuse(bad);
      return 1;
    }
    const metrics = new Metrics({
      chainId: config.chain_id,
      address: signer?.address,
      version: release.version,
      dryRun: config.dry_run,
      minBalance: parseEther(config.fees.min_balance_eth),
    });
    const daemon = createDaemon({ config, chain, deployment, signer, journal, log, metrics });
    try {
      http = await serve(config.http, sources(config, daemon, metrics, chain, journal));
    } catch (error) {
      const detail = error instanceof Error ? error.message : String(error);
      options.refuse([failed("http", detail, "Metrics and health are served there: see http in the configuration.")]);
      return 1;
    }
    log.info(
      {
        url: http.url,
        port: http.port,
        address: signer?.address,
        chainId: config.chain_id,
        network: deployment.network,
        dryRun: config.dry_run,
        tiers: found.tiers.map(({ name }) => name),
      },
      config.dry_run ? "The keeper watches, and sends nothing." : "The keeper is at work.",
    );
    await daemon.run(stop.signal);
    log.info({}, "The keeper stops: what is in flight is in the journal.");
    return 0;
  } catch (error) {
    // a fault of the program: it ends, whoever supervises it starts it again, and the journal knows where it was
    log.error({ error }, "The keeper fails, and ends.");
    return 1;
  } finally {
    stop.release();
    await http?.close();
    await found.close();
  }
}

function sources(
  config: Config,
  daemon: Daemon,
  metrics: Metrics,
  chain: RpcPool,
  journal: Journal,
): Parameters<typeof serve>[1] {
  const startedAt = Date.now() / 1_000;
  const vitals = (): Vitals => {
    const { turnedAt, seenAt, balance } = daemon.vitals();
    const { head } = daemon.status();
    return {
      now: Date.now() / 1_000,
      startedAt,
      lastStep: turnedAt,
      boot: [],
      head: head && seenAt !== undefined ? { seenAt, timestamp: head.timestamp } : undefined,
      journal: faultOf(journal),
      balance,
      minBalance: parseEther(config.fees.min_balance_eth),
      config,
    };
  };
  return {
    metrics() {
      metrics.rpcs(chain.status(), chain.counters);
      return metrics.text();
    },
    metricsType: metrics.contentType,
    live: () => liveness(vitals()),
    ready: () => readiness(vitals()),
    status: () => daemon.status(),
  };
}

function faultOf(journal: Journal): string | undefined {
  try {
    journal.assertWritable();
    return undefined;
  } catch (error) {
    return `it cannot be written: ${error instanceof Error ? error.message : error}`;
  }
}

/** A Ctrl-C reaches us twice where npm passes it on as well. */
const ECHO_MS = 1_000;

/** The first SIGINT or SIGTERM lets the current turn end; another one ends at once: the journal makes that safe. */
function signals(log: Log): { readonly signal: AbortSignal; release(): void } {
  const controller = new AbortController();
  let first = 0;
  const listener = (name: NodeJS.Signals) => {
    if (controller.signal.aborted) {
      if (Date.now() - first > ECHO_MS) process.exit(name === "SIGINT" ? 130 : 143);
      return;
    }
    first = Date.now();
    log.info({ signal: name }, "Asked to stop: ends its turn first.");
    controller.abort();
  };
  const names = ["SIGINT", "SIGTERM"] as const;
  for (const name of names) process.on(name, listener);
  return {
    signal: controller.signal,
    release: () => {
      for (const name of names) process.removeListener(name, listener);
    },
  };
}
