/**
 * What the keeper answers over HTTP: /metrics for Prometheus, /livez and /readyz for whoever supervises it, /status for
 * programs. It only reads; it has no secret to tell; and a slow or mischievous client costs it a socket for some seconds.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** Whether something is as it should be; `fault` says what is wrong and what to do. */
export interface Health {
  readonly name: string;
  readonly fault?: string | undefined;
}

export interface Sources {
  metrics(): Promise<string>;
  readonly metricsType: string;
  /** Does the loop turn? A process that is not alive should be restarted. */
  live(): readonly Health[];
  /** Can it do its work? A restart would not help. */
  ready(): readonly Health[];
  /** Anything that JSON can hold; bigints become digits. */
  status(): unknown;
}

export interface HttpServer {
  readonly host: string;
  /** The port that it got, where 0 was asked for. */
  readonly port: number;
  readonly url: string;
  close(): Promise<void>;
}

const SLOW = 5_000;
const CONNECTIONS = 64;

/** Listens; an address that is taken is an error that says so. */
export async function serve(at: { host: string; port: number }, sources: Sources): Promise<HttpServer> {
  const server = createServer(
    { maxHeaderSize: 8_192, requestTimeout: SLOW, headersTimeout: SLOW },
    (request, response) =>
      answer(request, response, sources).catch((error: unknown) => {
        // what went wrong inside is for the log and the metrics, not for whoever asks
        if (!response.headersSent) send(response, 500, "text/plain", "internal error\n");
        else response.destroy();
        server.emit("fault", error);
      }),
  );
  server.maxConnections = CONNECTIONS;
  server.keepAliveTimeout = SLOW;
  server.timeout = 2 * SLOW;
  server.maxRequestsPerSocket = 1_000;
  await listen(server, at);
  const { port } = server.address() as AddressInfo;
  const host = at.host.includes(":") ? `[${at.host}]` : at.host;
  return {
    host: at.host,
    port,
    url: `http://${host}:${port}`,
    close: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
}

function listen(server: Server, at: { host: string; port: number }): Promise<void> {
  return new Promise((done, failed) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      const where = `${at.host}:${at.port}`;
      if (error.code === "EADDRINUSE")
        failed(
          new Error(`${where} is taken: set http.port to a free one, or to 0 for any. Is another keeper running?`),
        );
      else if (error.code === "EACCES")
        failed(new Error(`${where} may not be used by this user: set http.port to one above 1023.`));
      else if (error.code === "EADDRNOTAVAIL" || error.code === "ENOTFOUND")
        failed(new Error(`${at.host} is no address of this machine: set http.host to one, such as 127.0.0.1.`));
      else failed(error);
    });
    server.listen(at.port, at.host, () => {
      // from now on a broken connection is its own problem
      server.removeAllListeners("error");
      server.on("error", () => {});
      done();
    });
  });
}

async function answer(request: IncomingMessage, response: ServerResponse, sources: Sources): Promise<void> {
  request.resume(); // a body is not read into memory
  if (request.method !== "GET" && request.method !== "HEAD") {
    response.setHeader("allow", "GET, HEAD");
    return send(response, 405, "text/plain", "Only GET is answered here.\n");
  }
  const path = (request.url ?? "/").split("?", 1)[0];
  switch (path) {
    case "/metrics":
      return send(response, 200, sources.metricsType, await sources.metrics());
    case "/livez":
      return verdict(response, sources.live());
    case "/readyz":
      return verdict(response, sources.ready());
    case "/status":
      return send(response, 200, "application/json", `${json(sources.status())}\n`);
    default:
      return send(response, 404, "text/plain", "There are /metrics, /livez, /readyz and /status.\n");
  }
}

function verdict(response: ServerResponse, checks: readonly Health[]): void {
  const wrong = checks.some((check) => check.fault !== undefined);
  const lines = checks.map((check) =>
    check.fault === undefined ? `ok    ${check.name}` : `FAULT ${check.name}: ${check.fault}`,
  );
  send(response, wrong ? 503 : 200, "text/plain", `${lines.join("\n")}\n`);
}

function send(response: ServerResponse, code: number, type: string, body: string): void {
  const bytes = Buffer.from(body);
  response.writeHead(code, {
    "content-type": type.includes("charset") ? type : `${type}; charset=utf-8`,
    "content-length": bytes.length,
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
  });
  if (response.req.method === "HEAD") response.end();
  else response.end(bytes);
}

const json = (value: unknown): string =>
  JSON.stringify(value, (_, one: unknown) => (typeof one === "bigint" ? one.toString() : one), 2);
