/**
 * The file that owners pass around: one Safe transaction, the calls that it consists of, and the signatures so far. It is
 * checked as a whole each time it is read, so it may travel by any channel.
 */
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { getAddress, isHexString } from "ethers";
import * as z from "zod";
import { bundle, type Call, hashOf, type SafeTx, signerOf } from "./transaction.ts";

const address = z.string().refine((text) => {
  try {
    return getAddress(text) === text;
  } catch {
    return false;
  }
}, "is not a checksummed address");
const hex = z.string().refine((text) => isHexString(text) && text.length % 2 === 0, "is not hexadecimal");
const amount = z.string().regex(/^\d+$/, "is not a whole number").transform(BigInt);

const schema = z.strictObject({
  format: z.literal("bulkhead-safe-1"),
  chainId: amount,
  safe: address,
  nonce: amount,
  multiSend: address,
  /** For people; not signed. */
  about: z.string(),
  calls: z.array(z.strictObject({ to: address, value: amount, data: hex })).min(1),
  hash: hex,
  signatures: z.record(address, hex),
});

export interface Proposal {
  readonly chainId: bigint;
  readonly safe: string;
  readonly nonce: bigint;
  readonly multiSend: string;
  readonly about: string;
  readonly calls: readonly Call[];
  /** By owner. */
  readonly signatures: ReadonlyMap<string, string>;
}

export const transactionOf = ({ calls, multiSend, nonce }: Proposal): SafeTx => bundle(calls, multiSend, nonce);
export const proposalHash = (proposal: Proposal): string => hashOf(proposal, transactionOf(proposal));

export function formatProposal(proposal: Proposal): string {
  const plain = {
    format: "bulkhead-safe-1",
    chainId: String(proposal.chainId),
    safe: proposal.safe,
    nonce: String(proposal.nonce),
    multiSend: proposal.multiSend,
    about: proposal.about,
    calls: proposal.calls.map(({ to, value, data }) => ({ to, value: String(value), data })),
    hash: proposalHash(proposal),
    signatures: Object.fromEntries(proposal.signatures),
  };
  return `${JSON.stringify(plain, null, 2)}\n`;
}

export function parseProposal(text: string): Proposal {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new Error("The file is not JSON: it was cut or edited. Ask for it again.");
  }
  const parsed = schema.safeParse(json);
  if (!parsed.success) throw new Error(`The file is not a proposal:\n${z.prettifyError(parsed.error)}`);
  const { format: _, hash, signatures, ...rest } = parsed.data;
  const proposal: Proposal = { ...rest, signatures: new Map(Object.entries(signatures)) };
  const actual = proposalHash(proposal);
  if (actual !== hash)
    throw new Error(
      `The file was changed: what it proposes hashes to ${actual}, and it says ${hash}. Ask the proposer for it again, and compare the hash with him by another channel.`,
    );
  for (const [owner, signature] of proposal.signatures) {
    const signer = signerOf(proposal, transactionOf(proposal), signature);
    if (signer !== owner)
      throw new Error(
        `The file was changed: the signature under ${owner} is not his signature of this transaction. Ask him to sign again.`,
      );
  }
  return proposal;
}

export const readProposal = (file: string): Proposal => parseProposal(readFileSync(file, "utf8"));

/** Whole or not at all: a crash leaves the old file. */
export function writeProposal(file: string, proposal: Proposal): void {
  writeFileSync(`${file}.part`, formatProposal(proposal));
  renameSync(`${file}.part`, file);
}

/** With one more signature; refuses one that is not of this transaction. */
export function withSignature(
  proposal: Proposal,
  signature: string,
): { readonly proposal: Proposal; readonly owner: string } {
  const owner = signerOf(proposal, transactionOf(proposal), signature);
  return { proposal: { ...proposal, signatures: new Map([...proposal.signatures, [owner, signature]]) }, owner };
}
