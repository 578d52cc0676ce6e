/** The local chain that `npm start -- --keep` has left running, with the record of what is deployed on it. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { type Deployment, LOCAL_CHAIN_ID, loadDeployment } from "../deployments/index.ts";
import { rpc } from "../scripts/chain.ts";
import { ROOT } from "../scripts/lib/tools.ts";
import { StackError } from "./types.ts";

export const CHAIN_FILE = join(ROOT, ".local", "chain.json");
const START = 'Start one with "npm start -- --keep", leave it running, and try again in another terminal.';

export interface LocalChain {
  readonly rpcUrl: string;
  readonly deployment: Deployment;
}

/** The chain, after it has answered and the record has turned out to be of it; otherwise an error that says what to do. */
export async function chainOf(file: string = CHAIN_FILE, record?: string): Promise<LocalChain> {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch {
    throw new StackError(`There is no local chain (${file} is missing). ${START}`);
  }
  const parsed = z.object({ url: z.url() }).safeParse(parseJson(text));
  if (!parsed.success) throw new StackError(`${file} does not say where the chain is. ${START}`);
  const { url } = parsed.data;
  let chainId: unknown;
  try {
    chainId = await rpc(url, "eth_chainId", []);
  } catch {
    throw new StackError(`The chain that ${file} names does not answer any more (${url}). ${START}`);
  }
  if (Number(chainId) !== LOCAL_CHAIN_ID)
    throw new StackError(`${url}, which ${file} names, is chain ${Number(chainId)} now, not a local one. ${START}`);
  const deployment = loadDeployment(LOCAL_CHAIN_ID, record);
  // local addresses are the same every time, blocks are not: so each contract must be there at its block, and none before
  const codeAt = async (address: string, block: number) => {
    try {
      return (await rpc(url, "eth_getCode", [address, `0x${block.toString(16)}`])) !== "0x";
    } catch {
      return false; // there is no such block
    }
  };
  for (const [name, { address, block }] of Object.entries(deployment.contracts)) {
    if (!(await codeAt(address, block)) || (block > 0 && (await codeAt(address, block - 1))))
      throw new StackError(
        `The record of the local deployment is of another chain than the one at ${url}: ${name} (${address}) was not created there in block ${block}. ${START}`,
      );
  }
  return { rpcUrl: url, deployment };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
