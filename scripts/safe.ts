/** `npm run safe`: proposes, simulates, signs and executes calls of a role that a Safe holds. docs/RUNBOOK.md shows how. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { JsonRpcProvider } from "ethers";
import * as z from "zod";
import { Book } from "../safe/book.ts";
import { MULTI_SEND_ADDRESS } from "../safe/chain.ts";
import {
  addSignature,
  type CallSpec,
  callsSchema,
  parseCall,
  propose,
  rehearse,
  send,
  show,
  sign,
  type View,
} from "../safe/commands.ts";
import { readKey } from "../safe/keys.ts";
import { readProposal, writeProposal } from "../safe/proposal.ts";
import { buildContracts } from "./lib/build.ts";
import { type Names, namesOf, resolveMarks } from "./lib/names.ts";

const HELP = `npm run safe -- COMMAND FILE [options]

  propose FILE    writes a proposal: --rpc URL --safe ADDRESS, and calls:
                  --call "ADDRESS FUNCTION ARGUMENT..." (may be repeated), or --calls FILE (JSON:
                  [{"to", "function", "args", "value", "via", "of"}])
                  [--via auto|direct|schedule|execute|cancel] [--of ADDRESS] [--about TEXT] [--multisend ADDRESS]
  show FILE       what it does, in words; needs no chain
  simulate FILE   runs it on the chain as it is now: --rpc URL
  sign FILE       adds a signature: [--rpc URL] [--keystore FILE] (or the key in SAFE_KEY); needs no chain
  add FILE SIGNATURE   adds one that was made elsewhere (EIP-712): --rpc URL
  execute FILE    sends it, once enough owners have signed: --rpc URL [--keystore FILE] (or SAFE_KEY); anybody may pay

A call that needs a role with a delay is announced first (AccessManager.schedule); propose the same call again when the
delay is over, and it is executed. An ADDRESS may be a name of deployments/CHAIN.json (or of --deployment FILE): factory,
accessManager, tierBeacon, weth, and SYMBOL, SYMBOL.mandate, SYMBOL.risk ... of a tier; in arguments @factory. A keystore's password is asked for, or read from SAFE_PASSWORD.`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rpc: { type: "string" },
    safe: { type: "string" },
    call: { type: "string", multiple: true },
    calls: { type: "string" },
    via: { type: "string" },
    of: { type: "string" },
    about: { type: "string", default: "" },
    multisend: { type: "string", default: MULTI_SEND_ADDRESS },
    keystore: { type: "string" },
    deployment: { type: "string" },
    help: { type: "boolean" },
  },
});

function need(value: string | undefined, name: string): string {
  if (value === undefined) throw new Error(`${name} is missing. npm run safe -- --help`);
  return value;
}

// npm starts scripts in the project's folder; a file is meant as seen from where the command was typed
const fromHere = (file: string) => resolve(process.env.INIT_CWD ?? process.cwd(), file);

/** Names become addresses, in the arguments where they are marked: @factory. */
function specs(names: Names): CallSpec[] {
  return readCalls().map((spec) => {
    const of = spec.of ?? values.of;
    const named = { ...spec, to: names.resolve(spec.to), args: spec.args.map((one) => resolveMarks(names, one)) };
    return of === undefined ? named : { ...named, of: names.resolve(of) };
  });
}

function readCalls(): CallSpec[] {
  const via = z.enum(["auto", "direct", "schedule", "execute", "cancel"]).default("auto").parse(values.via);
  if (values.calls !== undefined) {
    const parsed = callsSchema.safeParse(JSON.parse(readFileSync(fromHere(values.calls), "utf8")));
    if (!parsed.success) throw new Error(`${values.calls} is not a list of calls:\n${z.prettifyError(parsed.error)}`);
    return parsed.data;
  }
  return (values.call ?? []).map((text) => parseCall(text, via));
}

async function main(): Promise<void> {
  const [command, file, signature] = positionals;
  if (values.help || command === undefined) {
    console.log(HELP);
    return;
  }
  const path = fromHere(need(file, "FILE"));
  await buildContracts();
  const book = new Book();
  const say = (lines: readonly string[]) => {
    for (const line of lines) console.log(line);
  };
  const provider = values.rpc === undefined ? undefined : new JsonRpcProvider(values.rpc);
  const chain = () => provider ?? (need(undefined, "--rpc URL") as never);
  const keystore = values.keystore && fromHere(values.keystore);
  const known = () => namesOf(chain(), values.deployment && fromHere(values.deployment));
  try {
    switch (command) {
      case "propose": {
        const names = await known();
        const options = { safe: need(values.safe, "--safe ADDRESS"), multiSend: values.multisend, about: values.about };
        const { result, lines } = await propose(chain(), book, specs(names), options);
        const rehearsal = await rehearse(chain(), book, result, viewOf(names));
        say([...show(book, result), ...lines, ...rehearsal.lines]);
        if (!rehearsal.result) throw new Error("Nothing was written: it would fail.");
        writeProposal(path, result);
        say([`wrote ${path}`]);
        return;
      }
      case "show":
        say(show(book, readProposal(path)));
        return;
      case "simulate": {
        const proposal = readProposal(path);
        const { result, lines } = await rehearse(chain(), book, proposal, viewOf(await known()));
        say([...show(book, proposal), ...lines]);
        if (!result) process.exitCode = 1;
        return;
      }
      case "sign": {
        const proposal = readProposal(path);
        say(show(book, proposal));
        const { result, lines } = await sign(await readKey(keystore), proposal, provider);
        writeProposal(path, result);
        say(lines);
        return;
      }
      case "add": {
        const { result, lines } = await addSignature(readProposal(path), need(signature, "SIGNATURE"), chain());
        writeProposal(path, result);
        say(lines);
        return;
      }
      case "execute": {
        const proposal = readProposal(path);
        say(show(book, proposal));
        const sender = (await readKey(keystore)).connect(chain());
        say((await send(sender, book, proposal)).lines);
        return;
      }
      default:
        throw new Error(`There is no command "${command}".\n${HELP}`);
    }
  } finally {
    provider?.destroy();
  }
}

/** Where the effect of a mandate can be asked for: of tiers that the deployment's file names. */
function viewOf({ lens, tierOf }: Names): (mandate: string) => View | undefined {
  return (mandate) => {
    const tier = tierOf(mandate);
    return tier === undefined || lens === undefined ? undefined : { tier, lens };
  };
}

try {
  await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
