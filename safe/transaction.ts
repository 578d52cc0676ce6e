/** A transaction of a Safe: what its owners sign, and how several calls become one. Pure. */
import {
  AbiCoder,
  concat,
  dataSlice,
  getAddress,
  Interface,
  recoverAddress,
  Signature,
  solidityPacked,
  type TypedDataDomain,
  TypedDataEncoder,
  ZeroAddress,
} from "ethers";

export interface Call {
  readonly to: string;
  /** Wei. */
  readonly value: bigint;
  readonly data: string;
}

export interface SafeTx extends Call {
  /** 1 is a delegatecall: only to MultiSendCallOnly, which allows nothing but calls. */
  readonly operation: 0 | 1;
  readonly nonce: bigint;
}

/** Which Safe on which chain. */
export interface SafeId {
  readonly chainId: bigint;
  readonly safe: string;
}

/** Nobody is refunded for gas, so an inner failure reverts the whole transaction and its number stays free. */
const NO_REFUND = { safeTxGas: 0n, baseGas: 0n, gasPrice: 0n, gasToken: ZeroAddress, refundReceiver: ZeroAddress };

export const SAFE_TX_TYPES = {
  SafeTx: [
    { name: "to", type: "address" },
    { name: "value", type: "uint256" },
    { name: "data", type: "bytes" },
    { name: "operation", type: "uint8" },
    { name: "safeTxGas", type: "uint256" },
    { name: "baseGas", type: "uint256" },
    { name: "gasPrice", type: "uint256" },
    { name: "gasToken", type: "address" },
    { name: "refundReceiver", type: "address" },
    { name: "nonce", type: "uint256" },
  ],
};

export const domainOf = ({ chainId, safe }: SafeId): TypedDataDomain => ({ chainId, verifyingContract: safe });
export const messageOf = (tx: SafeTx) => ({ ...tx, ...NO_REFUND });

/** What the owners sign (EIP-712). */
export const hashOf = (id: SafeId, tx: SafeTx): string =>
  TypedDataEncoder.hash(domainOf(id), SAFE_TX_TYPES, messageOf(tx));

export const MULTI_SEND = new Interface(["function multiSend(bytes transactions) payable"]);

/** One call as it is; several through MultiSendCallOnly, all or none. */
export function bundle(calls: readonly Call[], multiSend: string, nonce: bigint): SafeTx {
  const [only] = calls;
  if (only === undefined) throw new Error("There is no call: name one with --call, or a file of calls.");
  for (const { to } of calls)
    if (getAddress(to) === ZeroAddress) throw new Error("A call to address 0 does nothing: name a contract.");
  if (calls.length === 1) return { ...only, operation: 0, nonce };
  const packed = calls.map(({ to, value, data }) =>
    solidityPacked(["uint8", "address", "uint256", "uint256", "bytes"], [0, to, value, (data.length - 2) / 2, data]),
  );
  const data = MULTI_SEND.encodeFunctionData("multiSend", [concat(packed)]);
  return { to: getAddress(multiSend), value: 0n, data, operation: 1, nonce };
}

/** The owner who made a signature, EIP-712 only. */
export function signerOf(id: SafeId, tx: SafeTx, signature: string): string {
  try {
    return recoverAddress(hashOf(id, tx), signature);
  } catch {
    throw new Error("This is not a signature: it should be 65 bytes in hexadecimal.");
  }
}

/** Signatures as the Safe wants them: one after another, by ascending owner. */
export const joinSignatures = (signatures: ReadonlyMap<string, string>): string =>
  concat(
    [...signatures]
      .sort(([a], [b]) => (a.toLowerCase() < b.toLowerCase() ? -1 : 1))
      .map(([, signature]) => Signature.from(signature).serialized),
  );

/** What `simulateAndRevert` reverted with. */
export function readSimulation(data: string): { readonly ok: boolean; readonly returned: string } {
  const [ok, size] = AbiCoder.defaultAbiCoder().decode(["bool", "uint256"], dataSlice(data, 0, 64));
  return { ok: Boolean(ok), returned: dataSlice(data, 64, 64 + Number(size)) };
}
