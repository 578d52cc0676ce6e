/**
 * docs/ROLES.md, from an AccessManager that was deployed on a local chain as everywhere else.
 *
 *   npm run roles              writes the page
 *   npm run roles -- --check   fails where the page is not what the chain says
 *   npm run roles -- --configure SYMBOL --rpc URL --out CALLS.json
 *                              the admin's calls that give a new tier's functions their roles, for npm run safe
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { getAddress, JsonRpcProvider, parseEther } from "ethers";
import { send } from "../deploy/eigenlayer.ts";
import { deployLocal, FIRST_USER_ACCOUNT } from "../deploy/local.ts";
import { openAgent, openTier } from "../deploy/protocol.ts";
import { interfaceOf, KINDS, ROLES, selectorsOf, TIER_PERMISSIONS } from "../deploy/roles.ts";
import { startChain } from "./chain.ts";
import { buildContracts } from "./lib/build.ts";
import { namesOf } from "./lib/names.ts";
import { rolesPage } from "./lib/roles-page.ts";
import { instances, readTable } from "./lib/surface.ts";
import { ROOT } from "./lib/tools.ts";

const FILE = join(ROOT, "docs", "ROLES.md");

async function generate(): Promise<string> {
  await buildContracts();
  const chain = await startChain();
  const provider = new JsonRpcProvider(chain.url, 31_337, { staticNetwork: true, cacheTimeout: -1 });
  try {
    const { protocol, signers, strategy, weth } = await deployLocal(provider, { eigenlayer: "local" });
    const seed = parseEther("1");
    await send(weth.connect(signers.curator) as typeof weth, "deposit", { value: seed });
    const tier = await openTier(protocol, signers, {
      name: "Roles",
      symbol: "ROLES",
      strategy,
      seed,
      mandateDelay: 45 * 86_400,
      params: {
        k: 1,
        marginBps: 1_000,
        haircutBps: 200,
        bufferBps: 100,
        instantFeeBps: 20,
        quarantineBps: 500,
        cap: parseEther("1"),
      },
    });
    const nodeOperator = await (await provider.getSigner(FIRST_USER_ACCOUNT)).getAddress();
    const { address } = await openAgent(protocol, signers.curator, tier.address, nodeOperator);
    // the delays that the deployment sets count from five days on
    await provider.send("hardhat_mine", [`0x${(6 * 7_200).toString(16)}`, "0xc"]);
    const { roles, rows } = await readTable(protocol.accessManager, await instances(protocol, tier, address));
    const names = new Map(Object.entries(protocol.roles).map(([name, account]) => [getAddress(account), name]));
    return rolesPage(roles, rows, names);
  } finally {
    provider.destroy();
    await chain.stop();
  }
}

const { values } = parseArgs({
  options: {
    check: { type: "boolean" },
    configure: { type: "string" },
    rpc: { type: "string" },
    out: { type: "string" },
    deployment: { type: "string" },
  },
});

/** Until these calls are made, only the admin may call the restricted functions of a new tier. */
async function configure(symbol: string): Promise<void> {
  const { rpc, out } = values;
  if (rpc === undefined || out === undefined) throw new Error("--configure needs --rpc URL and --out FILE.");
  await buildContracts();
  const fromHere = (file: string) => resolve(process.env.INIT_CWD ?? process.cwd(), file);
  const provider = new JsonRpcProvider(rpc);
  try {
    const names = await namesOf(provider, values.deployment && fromHere(values.deployment));
    const calls = KINDS.flatMap((kind) =>
      (TIER_PERMISSIONS[kind] ?? []).map(({ role, functions }) => {
        const target = names.resolve(kind === "tier" ? symbol : `${symbol}.${kind}`);
        const args = [target, selectorsOf(interfaceOf(kind), functions), String(ROLES[role])];
        return { to: names.resolve("accessManager"), function: "setTargetFunctionRole", args };
      }),
    );
    writeFileSync(fromHere(out), `${JSON.stringify(calls, null, 2)}\n`);
    console.log(`wrote ${calls.length} calls: npm run safe -- propose FILE --calls ${out} ...`);
  } finally {
    provider.destroy();
  }
}

if (values.configure !== undefined) {
  await configure(values.configure);
  process.exit(0);
}
const page = await generate();
if (!values.check) {
  writeFileSync(FILE, page);
  console.log(`Wrote ${FILE}.`);
} else if (readFileSync(FILE, "utf8") === page) {
  console.log("docs/ROLES.md is what the chain says.");
} else {
  console.error('docs/ROLES.md is not what the chain says: run "npm run roles" and commit the page.');
  process.exitCode = 1;
}
