/**
 * `npm run questions`: plays the default story, indexes it, asks every question of `gateway/questions/` and writes
 * docs/QUESTIONS.md.
 *
 *   --running          asks beside a story that runs already (`npm start -- --keep`)
 *   --subgraph URL     ... and is indexed already (`npm run data`)
 *   --chain FILE, --deployment FILE   of a story that runs in another checkout
 */
import { spawn } from "node:child_process";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { parseArgs } from "node:util";
import { Contract, JsonRpcProvider } from "ethers";
import * as z from "zod";
import { loadDeployment } from "../deployments/index.ts";
import { DEFAULT_LIMITS } from "../gateway/config.ts";
import { type Answered, questionsPage } from "../gateway/page.ts";
import { questions } from "../gateway/questions.ts";
import { startGateway } from "../gateway/start.ts";
import { startStack } from "../stack/start.ts";
import { ROOT } from "./lib/tools.ts";

const CHAIN_FILE = join(ROOT, ".local", "chain.json");
const PAGE = join(ROOT, "docs", "QUESTIONS.md");
const STORY_TIMEOUT_MS = 20 * 60_000;
const SYNC_TIMEOUT_MS = 20 * 60_000;

const chainSchema = z.object({
  url: z.url(),
  contracts: z.record(z.string(), z.unknown()),
  tiers: z.record(z.string(), z.object({ tier: z.string(), agents: z.record(z.string(), z.string()) }).loose()),
  avss: z.record(z.string(), z.string()),
  accounts: z.record(z.string(), z.string()),
});
type ChainFile = z.output<typeof chainSchema>;

const answerSchema = z.object({
  data: z.record(z.string(), z.unknown()),
  errors: z.undefined().optional(),
});

const yieldSchema = z.object({
  tiers: z.array(
    z.object({
      name: z.string(),
      createdBlock: z.coerce.number(),
      lastSyncBlock: z.coerce.number(),
      seniorTranche: z.object({ rate: z.coerce.bigint() }),
    }),
  ),
});

const { values } = parseArgs({
  options: {
    running: { type: "boolean" },
    subgraph: { type: "string" },
    chain: { type: "string" },
    deployment: { type: "string" },
  },
});
const say = (line: string) => void process.stderr.write(`${line}\n`);

const story =
  values.running === true || values.chain !== undefined || values.subgraph !== undefined ? undefined : await play();
try {
  await write(chainSchema.parse(JSON.parse(readFileSync(values.chain ?? CHAIN_FILE, "utf8"))));
} finally {
  story?.kill("SIGINT");
}

/** Plays the story and leaves its chain running. */
async function play() {
  const begin = Date.now();
  say("The default story is played ...");
  const child = spawn(process.execPath, [join(ROOT, "scripts", "start.ts"), "--keep"], {
    cwd: ROOT,
    stdio: ["ignore", "ignore", "inherit"],
  });
  process.on("exit", () => child.kill("SIGKILL"));
  while ((statSync(CHAIN_FILE, { throwIfNoEntry: false })?.mtimeMs ?? 0) < begin) {
    if (child.exitCode !== null) throw new Error("The story has failed: npm start shows where.");
    if (Date.now() - begin > STORY_TIMEOUT_MS) throw new Error("The story takes too long: npm start shows where.");
    await setTimeout(500);
  }
  return child;
}

async function write(chain: ChainFile): Promise<void> {
  const deployment =
    values.deployment === undefined ? loadDeployment(31_337) : loadDeployment(31_337, values.deployment);
  const stack =
    values.subgraph === undefined ? await startStack({ rpcUrl: chain.url, deployment, log: say }) : undefined;
  try {
    await stack?.synced(undefined, SYNC_TIMEOUT_MS);
    const gateway = await startGateway({
      subgraphUrl: values.subgraph ?? stack?.graphqlUrl ?? "",
      statusUrl: stack?.statusUrl,
      rpcUrl: chain.url,
      deployment,
      port: 0,
      host: "127.0.0.1",
      limits: { ...DEFAULT_LIMITS, timeoutMs: 120_000 },
      maxLagBlocks: 20,
      pollMs: 1_000,
      logLevel: "silent",
    });
    try {
      const answers: Answered[] = [];
      for (const question of questions()) {
        const response = await fetch(`${gateway.url}/graphql`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ query: question.query }),
        });
        const body: unknown = await response.json();
        const parsed = answerSchema.safeParse(body);
        if (!parsed.success)
          throw new Error(`${question.name} was not answered: ${JSON.stringify(body).slice(0, 1_000)}`);
        const aside = question.name.endsWith("senior-yield") ? await plainSteth(chain, parsed.data.data) : undefined;
        answers.push({ ...question, data: parsed.data.data, aside });
      }
      const first = z
        .object({ tiers: z.array(z.object({ createdTimestamp: z.coerce.number() })).min(1) })
        .parse(answers.find(({ name }) => name.endsWith("senior-yield"))?.data).tiers[0];
      writeFileSync(PAGE, questionsPage(answers, { names: namesOf(chain), begin: first?.createdTimestamp ?? 0 }));
      say(`Written: ${PAGE}`);
    } finally {
      await gateway.close();
    }
  } finally {
    await stack?.close();
  }
}

function namesOf({ tiers, avss, accounts }: ChainFile): ReadonlyMap<string, string> {
  const entries = [
    ...Object.entries(tiers).flatMap(([tier, { tier: address, agents }]) => [
      [address, `${tier} (tier)`] as const,
      ...Object.entries(agents).map(([operator, agent]) => [agent, `${operator}'s agent in ${tier}`] as const),
    ]),
    ...Object.entries(avss).map(([name, address]) => [address, `${name} (AVS)`] as const),
    ...Object.entries(accounts).map(([name, address]) => [address, name] as const),
  ];
  return new Map(entries.map(([address, name]) => [address.toLowerCase(), name]));
}

/** The growth of stETH itself between a tier's first and last block, beside the senior's. */
async function plainSteth({ url, contracts }: ChainFile, data: unknown): Promise<string> {
  const steth = z.string().parse(contracts.steth);
  const provider = new JsonRpcProvider(url, 31_337, { staticNetwork: true });
  try {
    const face = ["function getPooledEthByShares(uint256) view returns (uint256)"];
    const rate = new Contract(steth, face, provider).getFunction("getPooledEthByShares");
    const percent = (after: bigint, before: bigint) =>
      `${(Number(((after - before) * 1_000_000n) / before) / 10_000).toFixed(2)} %`;
    const lines: string[] = [];
    for (const { name, createdBlock, lastSyncBlock, seniorTranche } of yieldSchema.parse(data).tiers) {
      const [before, after] = await Promise.all(
        [createdBlock, lastSyncBlock].map(async (blockTag) =>
          z.bigint().parse(await rate.staticCall(10n ** 18n, { blockTag })),
        ),
      );
      if (before === undefined || after === undefined) continue;
      lines.push(
        `${name}: the senior ${percent(seniorTranche.rate, 10n ** 18n)}, plain stETH ${percent(after, before)}`,
      );
    }
    return `Over the life of each tier: ${lines.join("; ")}.`;
  } finally {
    provider.destroy();
  }
}
