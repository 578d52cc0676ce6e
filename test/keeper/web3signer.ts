/**
 * A stand-in for web3signer's eth1 mode: the two JSON-RPC methods that the keeper uses, with web3signer's parameters and
 * error codes, and real signatures. It can be told to misbehave.
 */
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Transaction, type Wallet } from "ethers";
import * as z from "zod";

const request = z.object({ id: z.number(), method: z.string(), params: z.array(z.unknown()) });
const quantity = z.string().regex(/^0x(0|[1-9a-f][0-9a-f]*)$/);
const parameters = z.object({
  from: z.string(),
  to: z.string(),
  gas: quantity,
  nonce: quantity,
  value: quantity,
  data: z.string(),
  maxFeePerGas: quantity,
  maxPriorityFeePerGas: quantity,
});
type Parameters = z.output<typeof parameters>;

export interface Web3SignerStandIn {
  readonly url: string;
  /** As `--chain-id`: what it signs for, whatever the request says. */
  chainId: number;
  /** Signs something else than it was asked for. */
  change: ((asked: Parameters) => Parameters) | undefined;
  /** Signs with another key. */
  instead: Wallet | undefined;
  /** Answers this, and no JSON-RPC. */
  say: ((response: ServerResponse) => void) | undefined;
  close(): Promise<void>;
}

export async function startWeb3Signer(wallet: Wallet, chainId: number): Promise<Web3SignerStandIn> {
  const server = createServer((incoming, response) => {
    const chunks: Buffer[] = [];
    incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
    incoming.on("end", () => {
      if (standIn.say !== undefined) return standIn.say(response);
      const { id, method, params } = request.parse(JSON.parse(Buffer.concat(chunks).toString("utf8")));
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify({ jsonrpc: "2.0", id, ...answer(method, params) }));
    });
  });
  const answer = (method: string, params: readonly unknown[]) => {
    if (method === "eth_accounts") return { result: [wallet.address.toLowerCase()] };
    if (method !== "eth_signTransaction") return { error: { code: -32_601, message: "Method not found" } };
    const asked = parameters.parse(params[0]);
    if (asked.from.toLowerCase() !== wallet.address.toLowerCase())
      return { error: { code: -32_000, message: "Signing from is not an unlocked account" } };
    const { to, gas, nonce, value, data, maxFeePerGas, maxPriorityFeePerGas } = standIn.change?.(asked) ?? asked;
    const transaction = Transaction.from({
      type: 2,
      chainId: standIn.chainId,
      to,
      gasLimit: gas,
      nonce: Number(nonce),
      value,
      data,
      maxFeePerGas,
      maxPriorityFeePerGas,
    });
    transaction.signature = (standIn.instead ?? wallet).signingKey.sign(transaction.unsignedHash);
    return { result: transaction.serialized };
  };
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const standIn: Web3SignerStandIn = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    chainId,
    change: undefined,
    instead: undefined,
    say: undefined,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
  return standIn;
}
