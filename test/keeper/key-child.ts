/**
 * A process that opens a key and then fails in every way that prints something: what it leaves behind is searched for the
 * key by keys.test.ts. Arguments: the key's configuration as JSON.
 */
import { inspect } from "node:util";
import pino from "pino";
import * as z from "zod";
import { configSchema } from "../../keeper/config/schema.ts";
import { openSigner } from "../../keeper/transactions/signer.ts";

const [configuration = "{}", end = "throw", folder = "."] = process.argv.slice(2);
const { key } = configSchema.parse({ rpc: ["http://127.0.0.1:1"], key: z.unknown().parse(JSON.parse(configuration)) });

process.report.directory = folder;
process.report.reportOnUncaughtException = true;

const signer = await openSigner(key, { warn: (text) => process.stderr.write(`${text}\n`) });
if (signer === undefined) throw new Error("There is no key.");

const raw = await signer.sign({
  chainId: 1,
  nonce: 0,
  to: signer.address,
  data: "0x",
  value: 0n,
  gasLimit: 21_000n,
  maxFeePerGas: 1n,
  maxPriorityFeePerGas: 1n,
});
const log = pino({ level: "trace" });
log.info({ signer, key, raw }, "opened");
log.error(Object.assign(new Error("with the signer"), { signer, environment: process.env }));
process.stdout.write(`${JSON.stringify({ signer, key, environment: process.env })}\n`);
process.stdout.write(
  `${inspect({ signer, key }, { showHidden: true, depth: Number.POSITIVE_INFINITY, getters: true })}\n`,
);
process.stdout.write(`${JSON.stringify(process.report.getReport())}\n`);
process.stdout.write(`signed by ${signer.address}\n`);

if (end === "sign")
  // not a transaction: the library complains, with what it was given
  await signer.sign({
    chainId: 1,
    nonce: -1,
    to: "nobody",
    data: "0x",
    value: 0n,
    gasLimit: 0n,
    maxFeePerGas: 0n,
    maxPriorityFeePerGas: 0n,
  });
if (end === "reject") void Promise.reject(Object.assign(new Error("rejected"), { signer }));
else throw Object.assign(new TypeError("uncaught"), { signer });
