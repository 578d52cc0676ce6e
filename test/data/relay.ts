/** An HTTP server in front of graph-node or a chain that can be made to hang or to break off, as networks do. */
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";

export interface Relay {
  readonly url: string;
  /** "hang" never answers; "break" cuts connections; a function says so for each body. */
  mode: "pass" | "hang" | "break" | ((body: string) => "pass" | "hang" | "break");
  /** Requests that came, and those whose sender went away before an answer. */
  readonly asked: number;
  readonly abandoned: number;
  close(): Promise<void>;
}

async function read(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts).toString();
}

export async function startRelay(target: string): Promise<Relay> {
  const seen = { asked: 0, abandoned: 0 };
  const server = createServer(async (request, response) => {
    seen.asked++;
    response.on("close", () => {
      if (!response.writableFinished) seen.abandoned++;
    });
    const body = await read(request).catch(() => "");
    const mode = typeof relay.mode === "function" ? relay.mode(body) : relay.mode;
    if (mode === "hang") return;
    if (mode === "break") return void response.destroy();
    try {
      const answer = await fetch(target, { method: "POST", headers: { "content-type": "application/json" }, body });
      response.writeHead(answer.status, { "content-type": "application/json" });
      response.end(Buffer.from(await answer.arrayBuffer()));
    } catch {
      response.destroy();
    }
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const relay: Relay = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    mode: "pass",
    get asked() {
      return seen.asked;
    },
    get abandoned() {
      return seen.abandoned;
    },
    close: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
  return relay;
}
