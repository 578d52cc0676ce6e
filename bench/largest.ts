/**
 * The largest sync there can be: eight agents with eight links and sixteen exits each, thirty-two sets that nobody has
 * poked for days, every exit over and not settled, every allocation slashed. It must fit into a transaction.
 */
import { type Contract, JsonRpcSigner, parseEther } from "ethers";
import * as z from "zod";
import { send } from "../deploy/eigenlayer.ts";
import { sendFor } from "../deploy/protocol.ts";
import {
  allocateAll,
  as,
  big,
  deployAll,
  depositEth,
  ETH,
  mine,
  openStandardTier,
  register,
  setTerms,
  type Terms,
  type Tier,
  user,
  WAD,
} from "../test/integration/world.ts";
import type { Meter } from "./meter.ts";
import { labelTier, SETS_PER_AGENT } from "./protocol.ts";
import type { BenchWorld } from "./world.ts";

const AGENTS = 8;
const LINKS = 8;
const EXITS = 16;
/** EIP-7825: what one transaction may use. */
const TRANSACTION_GAS = 2 ** 24;

export async function measureLargestSync(world: BenchWorld, meter: Meter): Promise<void> {
  const opened = await openStandardTier(world, { name: "Largest", agents: AGENTS, setsPerAgent: SETS_PER_AGENT });
  labelTier(meter, opened);
  const t = await linkFurther(world, opened);
  const [junior, senior] = [user(world, 0), user(world, 1)];
  await depositEth(world, junior, t.junior, 2_000n * ETH);
  const room = await big(t.senior, "maxDeposit", senior.address);
  await depositEth(world, senior, t.senior, room < 2_000n * ETH ? room : 2_000n * ETH);
  await deployAll(world, t);
  await allocateAll(world, t);
  await queueExits(world, t);
  await mine(world, world.local.eigenlayer.delays.withdrawal + 2);
  for (const [i, { targets }] of t.terms.agents.entries()) {
    for (const { set } of targets) {
      const service = t.services[set];
      const agent = t.agents[i];
      if (!service || !agent) throw new Error(`There is no set ${set} of agent ${i}.`);
      await send(service.contract, "slash", agent.address, service.set.id, world.local.strategy, WAD / 10n, "bench");
    }
  }
  await meter.measure(
    { operation: "largest sync there can be", agents: AGENTS, target: TRANSACTION_GAS },
    as(t.tier, user(world, 5)),
    "sync",
  );
}

/** Two agents share their eight sets, so that each agent has eight links in a tier of thirty-two sets. */
async function linkFurther(world: BenchWorld, t: Tier): Promise<Tier> {
  const magnitude = WAD / BigInt(LINKS);
  const terms: Terms = {
    ...t.terms,
    sets: t.services.map(({ set }) => setTerms(set)),
    agents: t.terms.agents.map((agent, i) => ({
      ...agent,
      targets: Array.from({ length: LINKS }, (_, j) => ({ set: Math.floor(i / 2) * LINKS + j, magnitude })),
    })),
  };
  await send(as(t.mandate, world.local.signers.curator), "tighten", terms);
  for (const [i, { targets }] of terms.agents.entries()) {
    for (const { set } of targets) {
      const service = t.services[set];
      if (service && Math.floor(set / SETS_PER_AGENT) !== i) await register(t, i, service.set);
    }
  }
  return { ...t, terms };
}

const queued = z.object({
  nonce: z.bigint(),
  startBlock: z.bigint(),
  scaledShares: z.custom<readonly bigint[]>().transform(([first]) => z.bigint().parse(first)),
});

/** In the stake manager's name: by its own rules these exits take a fortnight, one batch of an agent a day. */
async function queueExits(world: BenchWorld, t: Tier): Promise<void> {
  const { provider } = world;
  const stakes = String(t.stakes.target);
  await provider.send("hardhat_impersonateAccount", [stakes]);
  await provider.send("hardhat_setBalance", [stakes, `0x${parseEther("1000").toString(16)}`]);
  const manager = new JsonRpcSigner(provider, stakes);
  const delegation = world.local.eigenlayer.interfaces.delegationManager;
  const by = (contract: Contract) => as(contract, manager);
  for (const [i, { agent }] of t.agents.entries()) {
    for (let n = 0; n < EXITS; n++) {
      const receipt = await sendFor(by(agent), "queue", ETH / 10n);
      const log = receipt.logs
        .map((entry) => delegation.parseLog(entry))
        .find((parsed) => parsed?.name === "SlashingWithdrawalQueued");
      if (!log) throw new Error("EigenLayer queued nothing.");
      const { scaledShares, startBlock, nonce } = queued.parse(log.args.getValue("withdrawal").toObject());
      await send(by(t.risk), "recordExit", i, scaledShares, startBlock, nonce, false);
    }
    await send(by(t.risk), "recordStake", i);
  }
  await provider.send("hardhat_stopImpersonatingAccount", [stakes]);
}
