/**
 * docs/ROLES.md, from an AccessManager that was deployed on a local chain as everywhere else.
 *
 *   npm run roles              writes the page
 *   npm run roles -- --check   fails where the page is not what the chain says
 *   npm run roles -- --rpc URL [--deployment FILE]
 *                              prints the page of a deployment, with its own holders and delays
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { Contract, getAddress, JsonRpcProvider, parseEther } from "ethers";
import { hardhatArtifacts, send } from "../deploy/eigenlayer.ts";
import { deployLocal, FIRST_USER_ACCOUNT } from "../deploy/local.ts";
import { ACCESS_MANAGER, beaconId, FACTORY, type Source } from "../deploy/plan.ts";
import { attachTier, openAgent, openTier } from "../deploy/protocol.ts";
import { KINDS, type Kind } from "../deploy/roles.ts";
import { loadDeployment } from "../deployments/index.ts";
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
    const deployed = await instances({ ...protocol.addresses }, [{ contracts: tier, agents: [address] }]);
    const { roles, rows } = await readTable(protocol.accessManager, deployed);
    const names = new Map(Object.entries(protocol.roles).map(([name, account]) => [getAddress(account), name]));
    return rolesPage(roles, rows, names);
  } finally {
    provider.destroy();
    await chain.stop();
  }
}

/** The page of what is deployed somewhere. */
async function ofDeployment(url: string, file: string | undefined): Promise<string> {
  await buildContracts();
  const provider = new JsonRpcProvider(url);
  try {
    const chainId = Number((await provider.getNetwork()).chainId);
    const { contracts, startBlock } = loadDeployment(chainId, file);
    const at = (id: string) => contracts[id]?.address ?? fail(`The deployment's file has no ${id}.`);
    const singles = Object.fromEntries(Object.entries(contracts).map(([id, { address }]) => [id, address]));
    const beacons = Object.fromEntries(KINDS.map((kind) => [kind, at(beaconId(kind))])) as Record<Kind, string>;
    const connect = (id: string, { name, file: source }: Source) =>
      new Contract(at(id), hardhatArtifacts(name, source).abi, provider);
    const [manager, factory] = [connect("accessManager", ACCESS_MANAGER), connect("factory", FACTORY)];
    const tiers = [];
    for (let i = 0; i < Number(await factory.getFunction("tierCount")()); i++) {
      const tier = await attachTier(String(await factory.getFunction("tierAt")(i)), provider);
      const agents: string[] = [];
      for (let n = 0; n < Number(await tier.risk.getFunction("agentCount")()); n++) {
        const state = await tier.risk
          .getFunction("agent")(n)
          .catch(() => undefined); // a removed one's place is empty
        if (state !== undefined) agents.push(String(state.account));
      }
      tiers.push({ contracts: tier, agents });
    }
    const { roles, rows } = await readTable(manager, await instances({ ...singles, beacons }, tiers), startBlock);
    return rolesPage(roles, rows, new Map());
  } finally {
    provider.destroy();
  }
}

function fail(message: string): never {
  throw new Error(message);
}

const { values } = parseArgs({
  options: { check: { type: "boolean" }, rpc: { type: "string" }, deployment: { type: "string" } },
});
if (values.rpc !== undefined) {
  const file = values.deployment && resolve(process.env.INIT_CWD ?? process.cwd(), values.deployment);
  process.stdout.write(await ofDeployment(values.rpc, file));
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
