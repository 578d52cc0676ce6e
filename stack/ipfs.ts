/**
 * A stand-in for IPFS, and nothing else: graph-node's development mode reads the subgraph from its folder, but does not
 * start before an IPFS server has answered. This one answers every request with its version and keeps nothing. A
 * subgraph that is deployed for others needs a real one (stack/compose.yaml has it).
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

export interface IpfsStandIn {
  readonly url: string;
  close(): Promise<void>;
}

export async function startIpfsStandIn(): Promise<IpfsStandIn> {
  const server = createServer((request, response) => {
    request.resume().once("end", () => {
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify({ Version: "0.0.0-stand-in" }));
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  server.unref();
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
