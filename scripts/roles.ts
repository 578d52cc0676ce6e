/**
 * docs/ROLES.md, from an AccessManager that was deployed on a local chain as everywhere else.
 *
 *   npm run roles              writes the page
 *   npm run roles -- --check   fails where the page is not what the chain says
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { getAddress, JsonRpcProvider, parseEther } from "ethers";
import { send } from "../deploy/eigenlayer.ts";
import { deployLocal, FIRST_USER_ACCOUNT } from "../deploy/local.ts";
import { openAgent, openTier } from "../deploy/protocol.ts";
import { startChain } from "./chain.ts";
import { buildContracts } from "./lib/build.ts";
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

const { values } = parseArgs({ options: { check: { type: "boolean" } } });
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
