/** `npm run handover`: moves a role in two steps. docs/ROLES.md says why, docs/RUNBOOK.md when. */
import { writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { Contract, JsonRpcProvider } from "ethers";
import * as z from "zod";
import { hardhatArtifacts } from "../deploy/eigenlayer.ts";
import { PERIPHERY } from "../deploy/plan.ts";
import { ROLES } from "../deploy/roles.ts";
import { MOVABLE, nextStep } from "../safe/handover.ts";
import { readKey } from "../safe/keys.ts";
import { buildContracts } from "./lib/build.ts";
import { namesOf } from "./lib/names.ts";

const HELP = `npm run handover -- accept  --role ROLE --rpc URL [--keystore FILE] (or SAFE_KEY)
npm run handover -- prepare CALLS.json --role ROLE --from ADDRESS --to ADDRESS --rpc URL

ROLE is ${MOVABLE.join(", ")}.
  accept    the new holder says, from his own account, that he would take the role. A Safe does it with
            npm run safe -- propose FILE --call "acceptance accept ACCESSMANAGER NUMBER"
  prepare   writes the admin's next calls, for npm run safe -- propose FILE --calls CALLS.json; run it again after each
            step until nothing is left to do
Contracts come from deployments/CHAIN.json, from --deployment FILE, or from --manager ADDRESS --acceptance ADDRESS.`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    role: { type: "string" },
    from: { type: "string" },
    to: { type: "string" },
    rpc: { type: "string" },
    keystore: { type: "string" },
    manager: { type: "string", default: "accessManager" },
    acceptance: { type: "string", default: "acceptance" },
    deployment: { type: "string" },
    help: { type: "boolean" },
  },
});

function need(value: string | undefined, name: string): string {
  if (value === undefined) throw new Error(`${name} is missing. npm run handover -- --help`);
  return value;
}

// npm starts scripts in the project's folder; a file is meant as seen from where the command was typed
const fromHere = (file: string) => resolve(process.env.INIT_CWD ?? process.cwd(), file);

async function main(): Promise<void> {
  const [command, file] = positionals;
  if (values.help || command === undefined) {
    console.log(HELP);
    return;
  }
  const role = z.enum(["admin", "curator", "guardian", "upgrader"]).safeParse(values.role).data;
  if (role === undefined) throw new Error(`--role must be one of ${MOVABLE.join(", ")}.`);
  await buildContracts();
  const provider = new JsonRpcProvider(need(values.rpc, "--rpc URL"));
  try {
    const names = await namesOf(provider, values.deployment && fromHere(values.deployment));
    const accessManager = names.resolve(values.manager);
    const acceptance = names.resolve(values.acceptance);
    if (command === "accept") {
      const wallet = (await readKey(values.keystore && fromHere(values.keystore))).connect(provider);
      const { name, file: source } = PERIPHERY.acceptance;
      const contract = new Contract(acceptance, hardhatArtifacts(name, source).abi, wallet);
      const sent = await contract.getFunction("accept").send(accessManager, ROLES[role]);
      await sent.wait();
      console.log(`${wallet.address} accepted ${role} in ${sent.hash}`);
      return;
    }
    if (command !== "prepare") throw new Error(`There is no command "${command}".\n${HELP}`);
    const [from, to] = [need(values.from, "--from ADDRESS"), need(values.to, "--to ADDRESS")];
    const path = fromHere(need(file, "CALLS.json"));
    const { calls, lines } = await nextStep(provider, { role, from, to, accessManager, acceptance });
    for (const line of lines) console.log(line);
    if (calls.length === 0) return;
    writeFileSync(path, `${JSON.stringify(calls, null, 2)}\n`);
    console.log(`wrote ${path}: npm run safe -- propose FILE --calls ${path} ...`);
  } finally {
    provider.destroy();
  }
}

try {
  await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
