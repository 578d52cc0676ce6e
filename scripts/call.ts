/**
 * `npm run call`: reads of the protocol, and calls that need no Safe: what anybody may do, and what an account with a role
 * of its own may. docs/RUNBOOK.md uses it until the keeper does the work.
 */
import { writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { Contract, EventLog, getAddress, Interface, JsonRpcProvider, type Result } from "ethers";
import * as z from "zod";
import { hardhatArtifacts } from "../deploy/eigenlayer.ts";
import { Book, plain } from "../safe/book.ts";
import { revertReason } from "../safe/chain.ts";
import { parseCall } from "../safe/commands.ts";
import { readKey } from "../safe/keys.ts";
import { buildContracts } from "./lib/build.ts";
import { namesOf, resolveMarks } from "./lib/names.ts";

const HELP = `npm run call -- --rpc URL "ADDRESS FUNCTION ARGUMENT..." ["..." ...]

Reads, or simulates and sends, one after the other; stops at the first that would fail. To send: --keystore FILE (password
asked for, or in SAFE_PASSWORD), or the key in SAFE_KEY; --dry-run sends nothing. ADDRESS and arguments marked @ may be
names of deployments/CHAIN.json (or of --deployment FILE): "CAREFUL sync", "CAREFUL.allocator unwind 0 3".

npm run call -- --rpc URL --terms SYMBOL [--out FILE]   the terms in force, as the functions of Mandate take them`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rpc: { type: "string" },
    keystore: { type: "string" },
    deployment: { type: "string" },
    terms: { type: "string" },
    out: { type: "string" },
    "dry-run": { type: "boolean" },
    help: { type: "boolean" },
  },
});

// npm starts scripts in the project's folder; a file is meant as seen from where the command was typed
const fromHere = (file: string) => resolve(process.env.INIT_CWD ?? process.cwd(), file);
const words = (value: unknown) => (typeof value === "object" ? JSON.stringify(value, null, 2) : String(value));

async function main(): Promise<void> {
  if (values.help || (positionals.length === 0 && values.terms === undefined)) {
    console.log(HELP);
    return;
  }
  if (values.rpc === undefined) throw new Error("--rpc URL is missing. npm run call -- --help");
  await buildContracts();
  const provider = new JsonRpcProvider(values.rpc);
  try {
    const names = await namesOf(provider, values.deployment && fromHere(values.deployment));
    if (values.terms !== undefined) {
      const text = words(await termsInForce(provider, names.resolve(`${values.terms}.mandate`)));
      if (values.out === undefined) console.log(text);
      else writeFileSync(fromHere(values.out), `${text}\n`);
      return;
    }
    const book = new Book({ views: true });
    for (const text of positionals) {
      const spec = parseCall(text);
      const to = getAddress(names.resolve(spec.to));
      const data = book.encode(
        spec.function ?? "",
        spec.args.map((one) => resolveMarks(names, one)),
      );
      const fragment = book.find(data)?.fragment;
      if (fragment !== undefined && ["view", "pure"].includes(fragment.stateMutability)) {
        const answer = await provider.call({ to, data }).catch((error: unknown) => fail(book, text, error));
        const result: Result = new Interface([fragment]).decodeFunctionResult(fragment, answer);
        console.log(`${text}: ${words(plain(result.length === 1 ? result[0] : result))}`);
        continue;
      }
      const sender = (await readKey(values.keystore && fromHere(values.keystore))).connect(provider);
      const transaction = { from: sender.address, to, data };
      await provider.call(transaction).catch((error: unknown) => fail(book, text, error));
      if (values["dry-run"]) {
        console.log(`${text}: passes`);
        continue;
      }
      const sent = await sender.sendTransaction(transaction);
      await sent.wait();
      console.log(`${text}: ${sent.hash}`);
    }
  } finally {
    provider.destroy();
  }
}

function fail(book: Book, text: string, error: unknown): never {
  throw new Error(`${text}: ${book.reason(revertReason(error))}. Not sent, and nothing after it.`);
}

/** From the last MandateApplied event, whose hash the mandate still names. */
async function termsInForce(provider: JsonRpcProvider, mandate: string): Promise<unknown> {
  const contract = new Contract(mandate, hardhatArtifacts("Mandate", "contracts/core/Mandate.sol").abi, provider);
  const id = z.string().parse(await contract.getFunction("current")());
  const log = (await contract.queryFilter("MandateApplied", 0)).at(-1);
  if (!(log instanceof EventLog) || log.args.getValue("id") !== id)
    throw new Error("The node does not have the event of the terms in force: ask one with the whole history.");
  return plain(log.args.getValue("terms"));
}

try {
  await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
