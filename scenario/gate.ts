/**
 * The door between keeper and chain. A story is told in turns: while its people act the door is closed, and what the
 * keeper asks waits; then it is opened, and the keeper has its turn. So a story is the same each time that it is told,
 * though the keeper is a process of its own that knows nothing of stories.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface Gate {
  /** What the keeper takes for the chain. */
  readonly url: string;
  open(): void;
  /** Resolves when nothing that passed is on its way any more. */
  close(): Promise<void>;
  stop(): Promise<void>;
}

export async function startGate(chain: string): Promise<Gate> {
  let isOpen = false;
  let passing = 0;
  let waiting: (() => void)[] = [];
  const leaving: (() => void)[] = [];
  const release = () => {
    const list = waiting;
    waiting = [];
    for (const pass of list) pass();
  };
  const forward = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    while (!isOpen) await new Promise<void>((pass) => waiting.push(pass));
    if (response.destroyed) return;
    passing++;
    try {
      const headers = { "content-type": "application/json" };
      const answer = await fetch(chain, { method: "POST", headers, body: Buffer.concat(chunks) });
      const body = Buffer.from(await answer.arrayBuffer());
      response.writeHead(answer.status, { ...headers, "content-length": body.length }).end(body);
    } finally {
      passing--;
      if (passing === 0) for (const left of leaving.splice(0)) left();
    }
  };
  const server = createServer((request, response) => {
    // the chain is gone or the keeper is: either way there is nobody to answer
    forward(request, response).catch(() => response.destroy());
  });
  server.keepAliveTimeout = 600_000;
  await new Promise<void>((done, failed) => {
    server.once("error", failed);
    server.listen(0, "127.0.0.1", done);
  });
  server.unref();
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    open: () => {
      isOpen = true;
      release();
    },
    close: async () => {
      isOpen = false;
      if (passing > 0) await new Promise<void>((left) => leaving.push(left));
    },
    stop: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
}
