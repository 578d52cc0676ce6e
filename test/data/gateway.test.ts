/**
 * The gateway through HTTP, on a real graph-node beside a real chain: what only the chain knows, all of one answer of one
 * block, what-if against the slash that then happens, forecasts against what then happens, subscriptions, and what is
 * answered while a part is down.
 */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Contract } from "ethers";
import * as z from "zod";
import { send } from "../../deploy/eigenlayer.ts";
import type { Deployment } from "../../deployments/index.ts";
import { DEFAULT_LIMITS } from "../../gateway/config.ts";
import { type ForecastInput, forecast, UNSTAKE_BLOCKS } from "../../gateway/live/forecast.ts";
import { accrued } from "../../gateway/live/positions.ts";
import { startGateway } from "../../gateway/start.ts";
import type { Gateway, GatewayOptions } from "../../gateway/types.ts";
import { missingGraphNode } from "../../stack/graph-node.ts";
import { startStack } from "../../stack/start.ts";
import type { Stack } from "../../stack/types.ts";
import {
  as,
  big,
  books,
  call,
  cash,
  completeAll,
  depositEth,
  ETH,
  finalise,
  mine,
  rate,
  request,
  slash,
  type Tier,
  throughLido,
  total,
  user,
  WAD,
  type World,
} from "../integration/world.ts";
import { openStage } from "../keeper/daemon-world.ts";
import { mark } from "../keeper/reorg.ts";

const block = z.object({ number: z.number(), hash: z.string(), timestamp: z.number() });
const answerSchema = z.object({
  data: z.custom<Record<string, unknown>>().nullish(),
  errors: z
    .array(
      z.looseObject({
        message: z.string(),
        path: z.array(z.union([z.string(), z.number()])).optional(),
        extensions: z.looseObject({ code: z.string().optional() }).optional(),
      }),
    )
    .optional(),
  extensions: z
    .object({
      bulkhead: z.object({
        subgraph: block.extend({ hasIndexingErrors: z.boolean() }).nullable(),
        chain: block.nullable(),
        lagBlocks: z.number().nullable(),
        consistent: z.boolean(),
        notes: z.array(z.string()),
      }),
    })
    .optional(),
});
type Answer = z.output<typeof answerSchema>;

/** A JSON-RPC address that can be cut off. */
async function startSwitch(target: string) {
  let on = true;
  const server = createServer((incoming, outgoing) => {
    void (async () => {
      const parts: Buffer[] = [];
      for await (const part of incoming) parts.push(part as Buffer);
      if (!on) return void outgoing.destroy();
      const headers = { "content-type": "application/json" };
      const answer = await fetch(target, { method: "POST", headers, body: Buffer.concat(parts) });
      outgoing.writeHead(answer.status, headers);
      outgoing.end(Buffer.from(await answer.arrayBuffer()));
    })().catch(() => outgoing.destroy());
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    set: (value: boolean) => {
      on = value;
    },
    close: () =>
      new Promise<void>((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
}

const get = (value: unknown, ...path: readonly (string | number)[]): unknown =>
  path.reduce<unknown>((inner, key) => (inner as Record<string | number, unknown> | null | undefined)?.[key], value);
const amount = (value: unknown, ...path: readonly (string | number)[]): bigint =>
  BigInt(z.string().parse(get(value, ...path)));

describe("a forecast", () => {
  const E = 10n ** 18n;
  const base: ForecastInput = {
    block: 1_000_000,
    timestamp: 1_700_000_000,
    senior: false,
    retired: false,
    request: { block: 999_000, queueEnd: 30n * E, pending: 10n * E },
    finalisedShares: 5n * E,
    book: 200n * E,
    supply: 100n * E,
    finalisable: 0n,
    maturity: 100_900,
    slow: false,
    seniorQueued: 0n,
    juniorLimit: 1_000n * E,
    idle: 0n,
    sources: [],
    staked: 1_000n * E,
    withdrawalDelay: 100_800,
  };

  it("needs the money for everything before it in the queue, and for senior requests before a junior one", () => {
    // 25 of 100 shares up to its end, of a book of 200
    assert.equal(forecast(base).missing, 50n * E);
    assert.equal(forecast(base).sharesAhead, 15n * E);
    assert.equal(forecast({ ...base, seniorQueued: 7n * E }).missing, 57n * E);
    assert.equal(forecast({ ...base, senior: true, seniorQueued: 7n * E }).missing, 50n * E);
  });

  it("is READY with the last wei at hand, and waits for money with one wei less", () => {
    const mature = { ...base, request: { ...base.request, block: 1_000_001 - base.maturity }, idle: 50n * E };
    assert.equal(forecast(mature).status, "READY");
    assert.equal(forecast(mature).earliestBlock, 1_000_001);
    assert.equal(forecast({ ...mature, idle: mature.idle - 1n }).status, "WAITING_FOR_MONEY");
    const younger = { ...mature, request: { ...mature.request, block: mature.request.block + 1 } };
    assert.equal(forecast(younger).status, "MATURING");
    assert.equal(forecast(younger).earliestBlock, 1_000_002);
  });

  it("counts withdrawals in the order in which they come, and the staking protocol's queue only as likely", () => {
    const waiting = {
      ...base,
      request: { ...base.request, block: 1 },
      idle: 10n * E,
      sources: [
        { amount: 30n * E, block: 1_050_000, unstakes: true },
        { amount: 15n * E, block: 1_020_000, unstakes: true },
      ],
    };
    assert.equal(forecast(waiting).earliestBlock, 1_050_000);
    assert.equal(forecast(waiting).likelyBlock, 1_050_000 + UNSTAKE_BLOCKS);
    assert.equal(forecast({ ...waiting, idle: 35n * E }).earliestBlock, 1_020_000);
    // what can be fetched is not at hand before somebody has fetched it
    const arrived = { ...waiting, sources: waiting.sources.map((source) => ({ ...source, block: 1 })) };
    assert.equal(forecast(arrived).status, "WAITING_FOR_MONEY");
  });

  it("lets a withdrawal that has to begin begin now for a senior request, and at maturity for a junior one", () => {
    assert.equal(forecast({ ...base, senior: true }).earliestBlock, 1_000_001 + 100_801);
    assert.equal(forecast(base).earliestBlock, 999_000 + 100_900 + 100_801);
  });

  it("has no block while junior money is bound by what it covers, or nothing would pay it", () => {
    const bound = forecast({ ...base, idle: 100n * E, juniorLimit: 50n * E - 1n });
    assert.equal(bound.status, "WAITING_FOR_COVER");
    assert.equal(bound.earliestBlock, null);
    assert.notEqual(forecast({ ...base, idle: 100n * E, juniorLimit: 50n * E }).status, "WAITING_FOR_COVER");
    assert.equal(forecast({ ...base, staked: 50n * E - 1n }).status, "UNKNOWN");
  });

  it("of a request that waits for nothing is SETTLED, and of a retired series is not made", () => {
    assert.equal(forecast({ ...base, request: { ...base.request, pending: 0n } }).status, "SETTLED");
    assert.equal(forecast({ ...base, retired: true }).status, "UNKNOWN");
  });
});

describe("the gateway", { skip: missingGraphNode() ?? false, timeout: 600_000 }, () => {
  let world: World;
  let tier: Tier;
  let deployment: Deployment;
  let stack: Stack;
  let forNode: Awaited<ReturnType<typeof startSwitch>>;
  let rpc: Awaited<ReturnType<typeof startSwitch>>;
  let gateway: Gateway;
  let id: string;

  const options = (changes: Partial<GatewayOptions> = {}): GatewayOptions => ({
    subgraphUrl: stack.graphqlUrl,
    statusUrl: stack.statusUrl,
    rpcUrl: rpc.url,
    deployment,
    port: 0,
    host: "127.0.0.1",
    limits: { ...DEFAULT_LIMITS, requests: 1_000_000, timeoutMs: 10_000 },
    maxLagBlocks: 3,
    pollMs: 50,
    logLevel: "silent",
    ...changes,
  });

  const ask = async (
    query: string,
    variables: Record<string, unknown> = {},
    of: Gateway = gateway,
  ): Promise<Answer> => {
    const response = await fetch(`${of.url}/graphql`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ query, variables }),
    });
    return answerSchema.parse(await response.json());
  };
  /** An answer without errors. */
  const good = async (query: string, variables: Record<string, unknown> = {}): Promise<Answer> => {
    const answer = await ask(query, variables);
    assert.equal(answer.errors, undefined, JSON.stringify(answer.errors));
    return answer;
  };
  const height = () => world.provider.getBlockNumber();
  /** Takes the chain back to a mark, by a branch that is longer: graph-node believes no other. */
  const takeBack = async (back: Awaited<ReturnType<typeof mark>>, marked: number, first?: () => Promise<void>) => {
    const blocks = (await height()) - marked + 1;
    await back({ blocks, ...(first === undefined ? {} : { before: first }) });
    await stack.synced();
  };
  const provenance = ({ extensions }: Answer) => {
    assert.ok(extensions);
    return extensions.bulkhead;
  };
  const until = async (what: string, done: () => Promise<boolean>, seconds = 90): Promise<void> => {
    for (const end = Date.now() + seconds * 1_000; Date.now() < end; await sleep(50)) if (await done()) return;
    assert.fail(`It did not come to pass within ${seconds} s: ${what}.`);
  };

  before(async () => {
    ({ world, tier, deployment } = await openStage());
    id = tier.address.toLowerCase();
    rpc = await startSwitch(world.chain.url);
    forNode = await startSwitch(world.chain.url);
    stack = await startStack({ rpcUrl: forNode.url, deployment });
    await stack.synced();
    gateway = await startGateway(options());
    await until("the schema is there", async () => (await ask("{ tiers { id } }")).errors === undefined);
  });
  after(async () => {
    await gateway?.close();
    await stack?.close();
    await forNode?.close();
    await rpc?.close();
    await world?.close();
  });

  describe("live fields", () => {
    it("are what the contracts say at that block, and the subgraph's part is of the same block", async () => {
      await send(tier.tier, "sync");
      await stack.synced();
      const answer = await good(
        `query ($id: ID!) { _meta { block { hash } } tier(id: $id) { senior live { block { hash } senior junior reserve
        totalValueLockedETH utilisation seniorRate juniorRate seniorMaxDeposit juniorMaxDeposit idle premiumRate
        seniorFinalisable } seniorTranche { series { maxInstantRedeem } } } }`,
        { id },
      );
      const head = await world.provider.getBlock("latest");
      const { subgraph, chain, consistent, lagBlocks } = provenance(answer);
      assert.deepEqual([subgraph?.hash, chain?.hash, consistent, lagBlocks], [head?.hash, head?.hash, true, 0]);
      assert.equal(get(answer, "data", "_meta", "block", "hash"), head?.hash);
      const seen = get(answer, "data", "tier", "live");
      assert.equal(get(seen, "block", "hash"), head?.hash);
      const stored = await books(tier);
      assert.equal(amount(seen, "senior"), stored.senior);
      assert.equal(amount(seen, "junior"), stored.junior);
      assert.equal(amount(seen, "totalValueLockedETH"), total(stored));
      assert.equal(amount(seen, "seniorRate"), await rate(tier.senior));
      assert.equal(amount(seen, "juniorRate"), await rate(tier.junior));
      assert.equal(amount(seen, "seniorMaxDeposit"), await big(tier.tier, "maxDeposit", true));
      assert.equal(amount(seen, "idle"), (await cash(tier)).idle);
      assert.equal(amount(answer, "data", "tier", "senior"), stored.senior);
      assert.equal(
        amount(answer, "data", "tier", "seniorTranche", "series", "maxInstantRedeem"),
        await big(tier.senior, "maxInstantRedeem"),
      );
    });

    it("name the worst groups, and what links, agents and AVSs could take adds up to what the groups could", async () => {
      const answer = await good(
        `query ($id: ID!) { tier(id: $id) { k live { exposed worst { number canTake exposure group { number } sets { avs } }
        groups { canTake } avss { id atStake } agents { atStake agent { links { atStake } } } } } }`,
        { id },
      );
      const seen = get(answer, "data", "tier", "live");
      const worst = z.array(z.looseObject({ exposure: z.string().transform(BigInt) })).parse(get(seen, "worst"));
      assert.equal(worst.length, get(answer, "data", "tier", "k"));
      assert.equal(
        worst.reduce((sum, { exposure }) => sum + exposure, 0n),
        amount(seen, "exposed"),
      );
      assert.equal(get(seen, "worst", 0, "group", "number"), get(seen, "worst", 0, "number"));
      const sumOf = (list: unknown, key: string) =>
        z
          .array(z.looseObject({ [key]: z.string() }))
          .parse(list)
          .reduce((sum, one) => sum + BigInt(one[key] as string), 0n);
      const groups = sumOf(get(seen, "groups"), "canTake");
      // each service has a group and an AVS of its own; each rounds up
      const near = (a: bigint) => assert.ok(a >= groups - 16n && a <= groups + 16n, `${a} and ${groups}`);
      near(sumOf(get(seen, "avss"), "atStake"));
      const agents = z.array(z.object({ agent: z.object({ links: z.array(z.unknown()) }) })).parse(get(seen, "agents"));
      near(agents.reduce((sum, { agent }) => sum + sumOf(agent.links, "atStake"), 0n));
    });

    it("all of an answer is of one block while blocks are being mined", async () => {
      let mining = true;
      const miner = (async () => {
        while (mining) {
          await send(tier.tier, "sync");
          await depositEth(world, user(world, 0), tier.junior, ETH / 10n);
        }
      })();
      try {
        const seen = new Set<number>();
        for (let i = 0; i < 15; i++) {
          const answer = await good(
            `query ($id: ID!) { _meta { block { hash number } } tier(id: $id) { lastSyncBlock junior
            live { block { hash number } junior } } syncs(first: 1, orderBy: block, orderDirection: desc) { block juniorAfter } }`,
            { id },
          );
          const { subgraph, chain, consistent } = provenance(answer);
          assert.ok(consistent);
          assert.equal(subgraph?.hash, chain?.hash);
          assert.equal(get(answer, "data", "_meta", "block", "hash"), subgraph?.hash);
          assert.equal(get(answer, "data", "tier", "live", "block", "hash"), subgraph?.hash);
          // nothing vests here, so what was stored last is what is there
          assert.equal(amount(answer, "data", "tier", "live", "junior"), amount(answer, "data", "tier", "junior"));
          assert.equal(amount(answer, "data", "syncs", 0, "juniorAfter"), amount(answer, "data", "tier", "junior"));
          seen.add(subgraph?.number ?? 0);
          const plain = await good("{ _meta { block { hash } } tiers { id } }");
          assert.equal(get(plain, "data", "_meta", "block", "hash"), provenance(plain).subgraph?.hash);
        }
        assert.ok(seen.size > 1, "no block was mined meanwhile");
      } finally {
        mining = false;
        await miner;
      }
    });

    it("are of the block that the root field names; an answer of two blocks says so", async () => {
      await stack.synced();
      const { subgraph } = provenance(await good("{ tiers { id } }"));
      const older = (subgraph?.number ?? 0) - 2;
      const one = await good("query ($n: Int!) { tiers(block: { number: $n }) { live { block { number } } } }", {
        n: older,
      });
      assert.equal(get(one, "data", "tiers", 0, "live", "block", "number"), older);
      assert.deepEqual([provenance(one).subgraph?.number, provenance(one).consistent], [older, true]);
      const two = await good(
        "query ($n: Int!) { then: tiers(block: { number: $n }) { live { block { number } } } now: tiers { live { block { number } } } }",
        { n: older },
      );
      assert.equal(get(two, "data", "now", 0, "live", "block", "number"), subgraph?.number);
      assert.equal(get(two, "data", "then", 0, "live", "block", "number"), older);
      assert.equal(provenance(two).consistent, false);
      assert.match(provenance(two).notes.join(), /of that block/);
    });

    it("a block of the future, an unindexed one and an unknown hash are refused with the blocks that there are", async () => {
      const future = await ask("{ tiers(block: { number: 2000000000 }) { id } }");
      assert.equal(future.errors?.[0]?.extensions?.code, "BLOCK_NOT_INDEXED");
      assert.match(
        future.errors?.[0]?.message ?? "",
        new RegExp(`newest block is ${provenance(future).subgraph?.number}`),
      );
      const early = await ask("{ tiers(block: { number: 1 }) { id live { utilisation } } }");
      assert.equal(early.errors?.[0]?.extensions?.code, "BLOCK_PRUNED");
      const unknown = await ask(`{ tiers(block: { hash: "0x${"ab".repeat(32)}" }) { id } }`);
      assert.equal(unknown.errors?.[0]?.extensions?.code, "BLOCK_UNKNOWN");
    });

    it("positions are brought up to the block: value by the rate of now, ETH-seconds by the seconds since", async () => {
      await mine(world, 300);
      await stack.synced();
      const alice = user(world, 1).address.toLowerCase();
      const positionId = `${(await tier.senior.getAddress()).toLowerCase()}${alice.slice(2)}`;
      const answer = await good(
        "query ($id: ID!, $who: ID!) { position(id: $id) { ethSeconds timestamp now { value ethSeconds block { timestamp } } } account(id: $who) { now { value ethSeconds } } }",
        { id: positionId, who: alice },
      );
      const position = get(answer, "data", "position");
      const shares = await big(tier.senior, "balanceOf", alice);
      const worth = await big(tier.senior, "convertToAssets", shares);
      assert.equal(amount(position, "now", "value"), worth);
      assert.equal(amount(answer, "data", "account", "now", "value"), worth);
      assert.equal(amount(answer, "data", "account", "now", "ethSeconds"), amount(position, "now", "ethSeconds"));
      const seconds = amount(position, "now", "block", "timestamp") - amount(position, "timestamp");
      const earned = amount(position, "now", "ethSeconds") - amount(position, "ethSeconds");
      // the rate has not moved since: no rewards, no losses
      const off = earned - worth * seconds;
      assert.ok(off <= 0n && off > -2n * seconds, `${earned} for ${seconds} seconds of ${worth}`);
    });
  });

  describe("what-if", () => {
    it("is the slash of exactly these groups, to the wei that it promises, and names who loses how much", async () => {
      await send(tier.tier, "sync");
      await stack.synced();
      const [back, marked] = [await mark(world.chain.url), await height()];
      const answer = await good(
        `query ($id: ID!) { tier(id: $id) { live { block { number } } solvency(groups: [0, 5], unapproved: false) { loss
        gainsLoss reserveLoss juniorLoss seniorLoss seniorAfter byGroup { number loss } holdersAtRisk { account senior shares loss position { id } } } } }`,
        { id },
      );
      const told = get(answer, "data", "tier", "solvency");
      const before = await books(tier);
      await slash(world, tier, 0, WAD);
      await slash(world, tier, 5, WAD);
      await send(tier.tier, "sync");
      const after = await books(tier);
      const lost = total(before) - total(after);
      // two wei for each agent and one for each queued withdrawal; the sum's own rounding
      const bound = 2n * BigInt(tier.agents.length) + 1n;
      const near = (predicted: bigint, real: bigint, what: string) =>
        assert.ok(predicted >= real && predicted - real <= bound, `${what}: ${predicted} was foreseen, ${real} came`);
      assert.ok(lost > ETH);
      near(amount(told, "loss"), lost, "loss");
      near(amount(told, "juniorLoss"), before.junior - after.junior, "junior");
      assert.equal(amount(told, "reserveLoss"), before.reserve - after.reserve);
      assert.equal(amount(told, "seniorAfter"), after.senior);
      assert.deepEqual(
        z
          .array(z.looseObject({ number: z.number() }))
          .parse(get(told, "byGroup"))
          .map(({ number }) => number),
        [0, 5],
      );
      const holders = z
        .array(z.looseObject({ account: z.string(), senior: z.boolean(), loss: z.string().transform(BigInt) }))
        .parse(get(told, "holdersAtRisk"));
      assert.deepEqual(
        holders.map(({ account, senior }) => [account, senior]),
        [[user(world, 0).address.toLowerCase(), false]],
      );
      const [bob] = holders;
      assert.ok(bob && bob.loss > 0n && bob.loss <= amount(told, "juniorLoss"));
      await stack.synced();
      // what the subgraph books for him when it has happened
      const positionId = `${(await tier.junior.getAddress()).toLowerCase()}${user(world, 0).address.toLowerCase().slice(2)}`;
      const then = await good("query ($id: ID!) { position(id: $id) { now { lossesBorne } } }", { id: positionId });
      const borne = amount(then, "data", "position", "now", "lossesBorne");
      assert.ok(bob.loss >= borne && bob.loss - borne <= bound, `${bob.loss} was foreseen, ${borne} booked`);
      await takeBack(back, marked);
    });

    it("by AVS and by operator set asks for that one's groups in every tier that knows it", async () => {
      const avs = tier.services[3]?.set.avs.toLowerCase();
      const answer = await good(
        "query ($avs: ID!, $id: ID!) { avs(id: $avs) { whatIf { tierId loss byGroup { number } } operatorSets(first: 1) { whatIf { loss } } } tier(id: $id) { solvency(groups: [3], unapproved: false) { loss } } }",
        { avs, id },
      );
      const [first, ...others] = z
        .array(z.looseObject({ tierId: z.string(), loss: z.string() }))
        .parse(get(answer, "data", "avs", "whatIf"));
      assert.equal(others.length, 0);
      assert.equal(first?.tierId, id);
      assert.equal(first?.loss, get(answer, "data", "tier", "solvency", "loss"));
      assert.equal(first?.loss, get(answer, "data", "avs", "operatorSets", 0, "whatIf", 0, "loss"));
    });

    it("of a group that the tier does not have is refused with those that it has, and loses no other field", async () => {
      const answer = await ask("query ($id: ID!) { tier(id: $id) { name solvency(groups: [0, 31]) { loss } } }", {
        id,
      });
      assert.equal(answer.errors?.[0]?.extensions?.code, "BAD_USER_INPUT");
      assert.match(answer.errors?.[0]?.message ?? "", /no slasher group 31: it has 0, 1, 2, 3, 4, 5, 6, 7\./);
      assert.equal(get(answer, "data", "tier", "name"), "Careful");
    });
  });

  describe("forecasts come true", () => {
    const told = async (token: Contract, requestId: bigint): Promise<unknown> => {
      await stack.synced();
      const requestEntity = `${(await token.getAddress()).toLowerCase()}${requestId.toString(16).padStart(8, "0")}`;
      const answer = await good(
        "query ($id: ID!) { redeemRequest(id: $id) { forecast { status pendingShares readyShares value matureBlock earliestBlock likelyBlock missing reasons } } }",
        { id: requestEntity },
      );
      return get(answer, "data", "redeemRequest", "forecast");
    };
    /** Mines until the next transaction is in this block. */
    const goTo = async (next: number) => mine(world, next - 1 - (await height()));
    const keeperFinalises = async (token: Contract) => {
      await finalise(world, token);
      return big(token, "queuedShares");
    };

    it("a small senior request with money at hand: in the very block that was told, and not one before", async () => {
      const alice = user(world, 1);
      const { idle } = await cash(tier);
      const shares = await big(tier.senior, "convertToShares", idle / 2n);
      const requestId = await request(tier, tier.senior, alice, shares);
      const forecasted = await told(tier.senior, requestId);
      assert.equal(get(forecasted, "status"), "MATURING");
      const at = z.number().parse(get(forecasted, "earliestBlock"));
      assert.equal(at - (await height()), 7_200);
      await goTo(at - 1);
      assert.equal(await keeperFinalises(tier.senior), shares, "a block too early");
      assert.equal(get(await told(tier.senior, requestId), "status"), "READY");
      assert.equal(await keeperFinalises(tier.senior), 0n, "in the block that was told");
      assert.equal(await height(), at);
      assert.equal(get(await told(tier.senior, requestId), "status"), "SETTLED");
    });

    it("a senior request beyond what is at hand: not before the withdrawal that it needs, and then with its last wei", async () => {
      const alice = user(world, 1);
      const shares = (await big(tier.senior, "balanceOf", alice.address)) / 2n;
      const requestId = await request(tier, tier.senior, alice, shares);
      const first = await told(tier.senior, requestId);
      assert.equal(get(first, "status"), "WAITING_FOR_MONEY");
      const missing = amount(first, "missing");
      assert.ok(missing > ETH);
      const stakes = as(tier.stakes, world.local.signers.keeper);
      // one keeper's transaction an agent
      for (const _ of tier.agents) await send(stakes, "unbond").catch(() => undefined);
      const second = await told(tier.senior, requestId);
      const at = z.number().parse(get(second, "earliestBlock"));
      const delay = Number(await big(tier.risk, "withdrawalDelay"));
      assert.ok(at >= z.number().parse(get(first, "earliestBlock")));
      assert.ok(at - (await height()) <= delay + 1);
      await goTo(at);
      await assert.rejects(call(stakes, "complete", 0, 0), "the withdrawal was ready before it was told");
      assert.equal(get(await told(tier.senior, requestId), "status"), "WAITING_FOR_MONEY");
      await mine(world, 1);
      await completeAll(world, tier);
      await throughLido(world, tier);
      const last = await told(tier.senior, requestId);
      assert.equal(get(last, "status"), "READY");
      assert.equal(amount(last, "missing"), 0n);
      assert.equal(await keeperFinalises(tier.senior), 0n);
    });

    it("junior money that covers what slashers could take waits for cover, and does not leave when it is mature", async () => {
      const bob = user(world, 0);
      const shares = await big(tier.junior, "balanceOf", bob.address);
      const requestId = await request(tier, tier.junior, bob, shares);
      const bound = await told(tier.junior, requestId);
      assert.equal(get(bound, "status"), "WAITING_FOR_COVER");
      assert.equal(get(bound, "earliestBlock"), null);
      assert.match(z.array(z.string()).parse(get(bound, "reasons")).join(), /covers what slashers could take/);
      const mature = z.number().parse(get(bound, "matureBlock"));
      await goTo(mature);
      assert.ok((await keeperFinalises(tier.junior)) > 0n, "all of it left although it is bound");
    });
  });

  describe("subscriptions", () => {
    /** Events of a subscription, as they come. */
    async function subscribe(query: string, variables: Record<string, unknown> = {}) {
      const stop = new AbortController();
      const response = await fetch(`${gateway.url}/graphql`, {
        method: "POST",
        headers: { "content-type": "application/json", accept: "text/event-stream" },
        body: JSON.stringify({ query, variables }),
        signal: stop.signal,
      });
      const events: Answer[] = [];
      const done = (async () => {
        let text = "";
        const decoder = new TextDecoder();
        for await (const chunk of response.body ?? []) {
          text += decoder.decode(chunk as Uint8Array, { stream: true });
          for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
            const data = /^data: (.*)$/m.exec(text.slice(0, end))?.[1];
            text = text.slice(end + 2);
            if (data) events.push(answerSchema.parse(JSON.parse(data)));
          }
        }
      })().catch(() => {});
      await sleep(200); // the gateway's first look
      return {
        events,
        close: async () => {
          stop.abort();
          await done;
        },
      };
    }

    it("tell each sync once and in order, each with the block that it was answered from", async () => {
      await stack.synced();
      const feed = await subscribe(
        "subscription ($id: ID) { synced(tier: $id) { id block tier { id live { block { hash } } } } }",
        { id },
      );
      const before = await height();
      for (let i = 0; i < 12; i++) {
        await send(tier.tier, "sync");
        if (i % 4 === 0) await sleep(120);
      }
      await stack.synced();
      await until("all syncs were told", async () => feed.events.length >= 12);
      await sleep(300);
      await feed.close();
      const blocks = feed.events.map((event) => amount(event, "data", "synced", "block"));
      assert.deepEqual(
        blocks,
        Array.from({ length: 12 }, (_, i) => BigInt(before + 1 + i)),
      );
      assert.equal(new Set(feed.events.map((event) => get(event, "data", "synced", "id"))).size, 12);
      for (const event of feed.events)
        assert.equal(get(event, "data", "synced", "tier", "live", "block", "hash"), provenance(event).subgraph?.hash);
    });

    it("tell a loss, and U above a bound", async () => {
      const [back, marked] = [await mark(world.chain.url), await height()];
      await stack.synced();
      const losses = await subscribe("subscription { lossBooked { amount slashed tier { id } } }");
      const high = await subscribe("subscription { utilisation { utilisation above tier { name } } }");
      await slash(world, tier, 1, WAD / 2n);
      const before = total(await books(tier));
      await send(tier.tier, "sync");
      const lost = before - total(await books(tier));
      await until("the loss and U were told", async () => losses.events.length > 0 && high.events.length > 0);
      await Promise.all([losses.close(), high.close()]);
      assert.equal(losses.events.length, 1);
      assert.equal(amount(losses.events[0], "data", "lossBooked", "amount"), lost);
      assert.equal(get(losses.events[0], "data", "lossBooked", "slashed"), true);
      assert.equal(get(high.events.at(-1), "data", "utilisation", "tier", "name"), "Careful");
      await takeBack(back, marked);
    });

    it("announce a reorganisation with the block from which events are void, and tell the new ones", async () => {
      await stack.synced();
      const back = await mark(world.chain.url);
      const fork = await height();
      const syncs = await subscribe("subscription { synced { block } }");
      const reorgs = await subscribe("subscription { reorganised { fromBlock head { number hash } } }");
      await send(tier.tier, "sync");
      await send(tier.tier, "sync");
      await until("the first branch was told", async () => syncs.events.length === 2);
      await takeBack(back, fork, async () => {
        await send(tier.tier, "sync");
      });
      await until("the reorganisation was told", async () => reorgs.events.length === 1);
      await until("the new branch was told", async () => syncs.events.length === 3);
      await sleep(300);
      await Promise.all([syncs.close(), reorgs.close()]);
      assert.equal(reorgs.events.length, 1);
      assert.equal(syncs.events.length, 3);
      const from = z.number().parse(get(reorgs.events[0], "data", "reorganised", "fromBlock"));
      // at most what was told of the old branch is void, and nothing of it is left standing
      assert.ok(from <= fork + 1, `${from} leaves an event of block ${fork + 1} standing`);
      assert.equal(amount(syncs.events[2], "data", "synced", "block"), BigInt(fork + 1));
    });

    it("of a tier that does not exist are refused", async () => {
      const feed = await subscribe(`subscription { synced(tier: "0x${"11".repeat(20)}") { id } }`);
      await until("an error came", async () => feed.events.length > 0);
      await feed.close();
      assert.equal(feed.events[0]?.errors?.[0]?.extensions?.code, "BAD_USER_INPUT");
    });
  });

  describe("while a part is down", () => {
    it("a chain that does not answer takes the live fields only, says so, and they come back by themselves", async () => {
      await stack.synced();
      rpc.set(false);
      try {
        const question = () => ask("query ($id: ID!) { tier(id: $id) { name senior live { utilisation } } }", { id });
        let answer = await question();
        // a head that was seen some seconds ago is still taken for the chain's
        await until("the chain is missed", async () => {
          answer = await question();
          return provenance(answer).lagBlocks === null;
        });
        assert.equal(get(answer, "data", "tier", "live"), null);
        assert.equal(get(answer, "data", "tier", "name"), "Careful");
        assert.equal(answer.errors?.length, 1);
        assert.deepEqual(answer.errors?.[0]?.path, ["tier", "live"]);
        assert.equal(answer.errors?.[0]?.extensions?.code, "CHAIN_UNAVAILABLE");
        assert.match(answer.errors?.[0]?.message ?? "", /Ask again later/);
        assert.match(provenance(answer).notes.join(), /RPC does not answer/);
      } finally {
        rpc.set(true);
      }
      await until("live fields are back", async () => {
        const answer = await ask("query ($id: ID!) { tier(id: $id) { live { utilisation } } }", { id });
        return answer.errors === undefined && provenance(answer).lagBlocks !== null;
      });
    });

    it("a subgraph that is behind says by how much in every answer, whatever it asks for", async () => {
      await stack.synced();
      const { subgraph } = provenance(await good("{ tiers { id } }"));
      forNode.set(false);
      try {
        for (let i = 0; i < 5; i++) await send(tier.tier, "sync");
        await until("the lag is told", async () => provenance(await good("{ tiers { id } }")).lagBlocks === 5);
        for (const query of [
          "{ tiers { id } }",
          "{ tiers { live { utilisation } } }",
          "{ gatewayStatus { lagBlocks } }",
        ]) {
          const answer = await good(query);
          assert.equal(provenance(answer).subgraph?.number, subgraph?.number);
          assert.match(provenance(answer).notes.join(), /5 blocks behind/);
        }
        // and both parts are still of one block
        assert.ok(provenance(await good("{ tiers { live { utilisation } } }")).consistent);
      } finally {
        forNode.set(true);
      }
      await stack.synced();
    });

    it("a graph-node that is down is an error that says so; a gateway that starts meanwhile answers, and both recover", async () => {
      await stack.killGraphNode();
      const other = await startGateway(options());
      try {
        for (const one of [gateway, other]) {
          const answer = await ask("{ tiers { id } }", {}, one);
          assert.equal(answer.errors?.[0]?.extensions?.code, "SUBGRAPH_UNAVAILABLE", JSON.stringify(answer));
          assert.match(answer.errors?.[0]?.message ?? "", /ask again later/i);
        }
        const status = await ask("{ gatewayStatus { subgraph { number } chain { number } notes } }");
        assert.equal(get(status, "data", "gatewayStatus", "subgraph"), null);
        assert.equal(get(status, "data", "gatewayStatus", "chain", "number"), await world.provider.getBlockNumber());
        await stack.startGraphNode();
        await stack.synced();
        for (const one of [gateway, other])
          await until(
            "it answers again",
            async () => (await ask("{ tiers { id live { utilisation } } }", {}, one)).errors === undefined,
          );
      } finally {
        await other.close();
      }
    });
  });

  it("losses and ETH-seconds go on by the mapping's integers: nothing is lost between two events", () => {
    const position = {
      balance: 3n * WAD,
      queuedShares: WAD,
      costBasis: 0n,
      lossesBorne: 10n,
      ethSeconds: 1_000n,
      lossIndex: 0n,
      ethSecondsIndex: 5n * 10n ** 27n,
      tier: { id: "0x" },
      series: {
        id: "0x",
        senior: true,
        supply: 8n * WAD,
        retired: false,
        lossPerShare: 10n ** 27n / 2n,
        ethSecondsPerShare: 6n * 10n ** 27n,
        accruedUntil: 100n,
        tranche: { assets: 16n * WAD },
      },
    };
    // half a wei a share; one wei-second a share before, and two a second since
    assert.deepEqual(accrued(position, 110), { lossesBorne: 10n + 2n * WAD, ethSeconds: 1_000n + 4n * WAD * 21n });
    const retired = { ...position, series: { ...position.series, retired: true } };
    assert.equal(accrued(retired, 110).ethSeconds, 1_000n + 4n * WAD);
  });
});
