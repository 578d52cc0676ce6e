/**
 * What RPCs answer: schemas of the answers that the keeper reads, and what their errors mean. Clients agree on neither
 * codes nor shapes of errors, so both are told by what geth, Erigon, Nethermind, Besu, Reth, OpenEthereum, Hardhat and
 * Ganache say.
 */
import { AbiCoder, concat, isHexString } from "ethers";
import * as z from "zod";
import type { REFUSALS } from "./types.ts";

const quantity = z.string().regex(/^0x[0-9a-f]{1,64}$/i, "a number in hex");
export const bigSchema = quantity.transform((text) => BigInt(text));
export const numberSchema = quantity.transform((text, context) => {
  const number = Number(text);
  if (Number.isSafeInteger(number)) return number;
  context.addIssue({ code: "custom", message: "a number below 2^53" });
  return z.NEVER;
});
export const bytesSchema = z
  .string()
  .regex(/^0x([0-9a-f]{2})*$/i, "whole bytes in hex")
  .transform((text) => text.toLowerCase());
const sized = (bytes: number) =>
  bytesSchema.refine((text) => text.length === 2 + 2 * bytes, { message: `${bytes} bytes in hex` });
export const hashSchema = sized(32);
export const addressSchema = sized(20);

export const headerSchema = z
  .object({
    number: numberSchema,
    hash: hashSchema,
    parentHash: hashSchema,
    timestamp: numberSchema,
    baseFeePerGas: bigSchema.nullish(),
    gasLimit: bigSchema,
    logsBloom: sized(256),
  })
  .transform(({ baseFeePerGas, ...rest }) => ({ ...rest, baseFee: baseFeePerGas ?? 0n }));

export const logSchema = z.object({
  address: addressSchema,
  topics: z.array(hashSchema),
  data: bytesSchema,
  blockHash: hashSchema.nullish(),
});

export const receiptSchema = z.object({
  transactionHash: hashSchema,
  blockNumber: numberSchema,
  blockHash: hashSchema,
  status: numberSchema,
  gasUsed: bigSchema,
  effectiveGasPrice: bigSchema,
  logs: z.array(logSchema),
});

export const feeHistorySchema = z.object({
  baseFeePerGas: z.array(bigSchema).min(1),
  gasUsedRatio: z.array(z.number().nullable()),
  reward: z.array(z.tuple([bigSchema, bigSchema, bigSchema])).nullish(),
});

export interface JsonRpcError {
  readonly code: number;
  readonly message: string;
  readonly data?: unknown;
}

const REVERTED = /revert/i;
/** The machine stopped for a reason that is in the code that it ran: every RPC would say the same. */
const STOPPED =
  /invalid opcode|bad instruction|invalid jump|bad jump|stack (under|over)flow|stackunderflow|write protection|static state change|VM execution error|opcode 0x[0-9a-f]+ not defined|InvalidFEOpcode|OpcodeNotFound|return data out of bounds/i;

/** The data of a contract's revert ("0x" if it has none), or undefined where the error is not a contract's. */
export function revertData(error: JsonRpcError): string | undefined {
  const contract =
    error.code === 3 || error.code === -32015 || REVERTED.test(error.message) || STOPPED.test(error.message);
  if (!contract) {
    // Ganache and old Hardhat say it one level deeper
    const inner = z.looseObject({ message: z.string(), data: z.unknown().optional() }).safeParse(error.data).data;
    return inner && REVERTED.test(inner.message) ? (dataIn(inner.data) ?? "0x") : undefined;
  }
  return dataIn(error.data) ?? dataInMessage(error.message) ?? "0x";
}

function dataIn(data: unknown, depth = 0): string | undefined {
  if (typeof data === "string") {
    if (isHexString(data)) return data.length % 2 === 0 ? data.toLowerCase() : undefined;
    const prefixed = /^Reverted (0x[0-9a-f]*)$/i.exec(data)?.[1]; // OpenEthereum, Nethermind
    if (prefixed !== undefined)
      return isHexString(prefixed) && prefixed.length % 2 === 0 ? prefixed.toLowerCase() : "0x";
    const reason = /^revert: ([\s\S]+)$/.exec(data)?.[1]; // Nethermind, which has decoded it already
    if (reason !== undefined) return concat(["0x08c379a0", AbiCoder.defaultAbiCoder().encode(["string"], [reason])]);
    return undefined;
  }
  if (data === null || typeof data !== "object" || depth > 3) return undefined;
  const fields = data as Record<string, unknown>;
  // Hardhat, Ganache, wallets in between
  for (const key of ["data", "result", "return", "originalError", "error"]) {
    const found = dataIn(fields[key], depth + 1);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Some gateways drop `data` and leave it in the message. */
function dataInMessage(message: string): string | undefined {
  const found = /(?:return data: |Reverted |reverted:? )(0x[0-9a-f]*)/i.exec(message)?.[1];
  return found !== undefined && found.length % 2 === 0 ? found.toLowerCase() : undefined;
}

const MISSING =
  /header not found|unknown block|block (is )?not found|block.* (could|can) ?not be found|could not find block|hash is not currently canonical|not canonical|header for hash not found|missing trie node|invalid block tag|blockHash cannot be found|state (is )?not available|historical state|pruned|no state|resource not found|block .* not (yet )?available|unfinalized|genesis is not traceable|one of the blocks specified in filter.*cannot be found/i;
const LIMITED =
  /rate.?limit|too many requests|request limit|limit exceeded|compute units|throughput|quota|daily request/i;

/** What a JSON-RPC error that is not a contract's says about the RPC. */
export function errorKind(error: JsonRpcError): "missing" | "limited" | "refused" {
  if (error.code === -32001 || MISSING.test(error.message)) return "missing";
  if (error.code === -32005 || error.code === 429 || LIMITED.test(error.message)) return "limited";
  return "refused";
}

const KNOWN =
  /already known|known transaction|already imported|alreadyknown|existing tx with same hash|already exists|already in (the )?(mem)?pool/i;
const REASONS: readonly (readonly [(typeof REFUSALS)[number], RegExp])[] = [
  [
    "nonce too low",
    /nonce.*(too low|already|has been used|below)|oldnonce|invalid nonce.*expected|INVALID_NONCE.*low/i,
  ],
  [
    "insufficient funds",
    /insufficient (funds|balance)|(doesn't|does not) have enough (funds|balance)|upfront (gas )?cost|insufficientfunds|exceeds (account )?balance|overshot/i,
  ],
  [
    "underpriced",
    /underpriced|fee ?too ?low|feetoolow|replacementnotallowed|replacement not allowed|gas price.*(too low|below)|max ?fee ?per ?gas.*(less than|too low|below)|less than block base fee|tip.*below|min gas price|could not replace/i,
  ],
];

/** Whether an RPC's refusal of a transaction says that it has it already. */
export const alreadyKnown = (message: string): boolean => KNOWN.test(message);

/** Why an RPC refuses a transaction. */
export function refusalReason(message: string): (typeof REFUSALS)[number] {
  return REASONS.find(([, pattern]) => pattern.test(message))?.[0] ?? "other";
}
