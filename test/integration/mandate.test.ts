/** The curator's calculation beside a tier that is deployed: what it reads, and that the chain agrees with what it says. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { after, before, beforeEach, describe, it } from "node:test";
import { decodeBytes32String, Interface, type JsonRpcSigner, type ParamType } from "ethers";
import * as z from "zod";
import { interfaceOf, type Kind } from "../../deploy/roles.ts";
import { ChainError, type DeployedTier, readTier, VIEWS } from "../../economics/chain.ts";
import { loadMandates } from "../../economics/file.ts";
import {
  compare,
  DEFAULTS,
  deployed,
  type MandateTerms,
  neededCover,
  recoveries,
  type Size,
  seniorRoom,
  slasherGroups,
  utilisationOf,
} from "../../economics/index.ts";
import { main } from "../../economics/run.ts";
import { Plan, SimulatedTier } from "../../economics/tier.ts";
import {
  as,
  big,
  books,
  call,
  checkpoint,
  deployAll,
  depositEth,
  ETH,
  exposures,
  fund,
  mine,
  openService,
  openStandardTier,
  passDays,
  setTerms,
  slash,
  startWorld,
  type Terms,
  type Tier,
  user,
  utilisation,
  WAD,
  type World,
} from "./world.ts";

const folder = mkdtempSync(join(tmpdir(), "mandate-"));
after(() => rmSync(folder, { recursive: true }));

/** Equal but for wei: the chain rounds each agent's deposit, and stETH by 1-2 wei. */
function near(actual: bigint, expected: bigint, what: string): void {
  const error = actual > expected ? actual - expected : expected - actual;
  assert.ok(error <= expected / 10n ** 9n + 100n, `${what}: ${actual} is not about ${expected}`);
}

/** Within a millionth of the whole: the chain's days are some seconds longer. */
function close(actual: bigint, expected: bigint, whole: bigint, what: string): void {
  const error = actual > expected ? actual - expected : expected - actual;
  assert.ok(error <= whole / 1_000_000n, `${what}: ${actual} is not about ${expected}`);
}

/** Types and the names inside structs; how a whole result is called does not matter. */
const shape = (value: ParamType) => [value.format("sighash"), value.components?.map((one) => one.format("full"))];

describe("the curator's calculation of a deployed tier", () => {
  let world: World;
  let tier: Tier;
  let reset: () => Promise<void>;
  let bob: JsonRpcSigner;

  before(async () => {
    world = await startWorld();
    bob = user(world, 0);
    tier = await openStandardTier(world, { agents: 2, setsPerAgent: 8 });
    await fund(world, tier, bob, user(world, 1), 100n * ETH);
    reset = await checkpoint(world);
  });
  beforeEach(() => reset());
  after(() => world?.close());

  const read = (): Promise<DeployedTier> => readTier(world.chain.url, tier.address);
  const sizeOf = ({ books: b }: DeployedTier): Size => ({
    value: b.value,
    senior: b.senior,
    junior: b.junior,
    reserve: b.reserve,
  });

  async function command(...args: string[]): Promise<{ code: number; out: string }> {
    const [out, err] = [new PassThrough(), new PassThrough()];
    const printed = out.toArray();
    err.resume();
    const code = await main(args, { out: out as unknown as NodeJS.WriteStream, err });
    out.end();
    return { code, out: (await printed).join("") };
  }

  it("calls views that the contracts have, with these results", () => {
    const kinds: Record<keyof typeof VIEWS, Kind> = { tier: "tier", risk: "risk", mandate: "mandate" };
    for (const [name, views] of Object.entries(VIEWS)) {
      const face = interfaceOf(kinds[name as keyof typeof VIEWS]);
      new Interface(views).forEachFunction((view) => {
        const own = face.getFunction(view.name);
        assert.equal(own?.format("sighash"), view.format("sighash"));
        assert.deepEqual(own?.outputs.map(shape), view.outputs.map(shape));
      });
    }
  });

  it("reads the mandate in force and the books of now", async () => {
    const { terms, books: now, closedSets } = await read();
    assert.equal(terms.k, 2);
    assert.equal(terms.margin, 1_000n);
    assert.equal(terms.seed, ETH);
    assert.equal(terms.delay, 45 * 86_400);
    assert.equal(terms.sets.length, 16);
    assert.equal(slasherGroups(terms).length, 16);
    assert.deepEqual(
      terms.agents.map(({ name, weight, targets }) => [name, weight, targets.length]),
      tier.agents.map(({ address }) => [address.toLowerCase(), 5_000n, 8]),
    );
    const stored = await books(tier);
    assert.equal(now.senior, stored.senior);
    assert.equal(now.junior, stored.junior);
    assert.equal(now.utilisation, await utilisation(tier));
    assert.deepEqual(closedSets, []);
  });

  it("finds the exposure and the utilisation that the chain has once everything is restaked", async () => {
    const { terms, books: now } = await read();
    near((await exposures(tier)).largest, deployed(terms, now.value).largest, "L_k");
    near(now.utilisation, (neededCover(terms, now.value) * WAD) / (now.reserve + now.junior), "U");
  });

  it("finds the room for seniors that the chain grants", async () => {
    await depositEth(world, bob, tier.junior, 40n * ETH);
    await deployAll(world, tier);
    const now = await read();
    const room = await big(tier.tier, "maxDeposit", true);
    assert.ok(room > 100n * ETH);
    const error = Number(seniorRoom(now.terms, sizeOf(now)) - room) / Number(room);
    assert.ok(Math.abs(error) < 1e-6, `${error}`);
  });

  it("says riskier where the chain says so, and in the same respect", async () => {
    const now = (await read()).terms;
    const chain = async (terms: Terms) =>
      decodeBytes32String(z.string().parse(await call(tier.mandate, "riskierIn", terms)));
    const [first, second] = tier.terms.agents;
    const [agent, other] = now.agents;
    assert.ok(first && second && agent && other);
    const params = (more: Partial<Terms["params"]>): Terms => ({
      ...tier.terms,
      params: { ...tier.terms.params, ...more },
    });
    const fresh = await openService(world);
    const half = <T extends { magnitude: bigint }>(list: readonly T[]) =>
      list.map((one) => ({ ...one, magnitude: one.magnitude / 2n }));
    const cases: [string, Terms, MandateTerms][] = [
      ["k", params({ k: 1 }), { ...now, k: 1 }],
      ["", params({ k: 3 }), { ...now, k: 3 }],
      ["marginBps", params({ marginBps: 999 }), { ...now, margin: 999n }],
      ["haircutBps", params({ haircutBps: 0 }), { ...now, haircut: 0n }],
      ["cap", params({ cap: tier.terms.params.cap + 1n }), { ...now, cap: now.cap + 1n }],
      ["", params({ cap: tier.terms.params.cap - 1n }), { ...now, cap: now.cap - 1n }],
      ["bufferBps", params({ bufferBps: 99 }), { ...now, buffer: 99n }],
      ["instantFeeBps", params({ instantFeeBps: 21 }), { ...now, instantFee: 21n }],
      ["quarantineBps", params({ quarantineBps: 501 }), { ...now, quarantine: 501n }],
      [
        "set",
        { ...tier.terms, sets: [...tier.terms.sets, setTerms(fresh.set)] },
        { ...now, sets: [...now.sets, { name: `${fresh.set.avs.toLowerCase()}/1` }] },
      ],
      [
        "weightBps",
        {
          ...tier.terms,
          agents: [
            { ...first, weightBps: 5_001 },
            { ...second, weightBps: 4_999 },
          ],
        },
        {
          ...now,
          agents: [
            { ...agent, weight: 5_001n },
            { ...other, weight: 4_999n },
          ],
        },
      ],
      [
        "",
        { ...tier.terms, agents: [{ ...first, targets: half(first.targets) }, second] },
        { ...now, agents: [{ ...agent, targets: half(agent.targets) }, other] },
      ],
    ];
    for (const [respect, terms, proposed] of cases) {
      assert.equal(await chain(terms), respect);
      const riskier = compare(now, proposed).filter((one) => one.riskier);
      assert.equal(riskier.length, respect === "" ? 0 : 1, `${respect}: ${JSON.stringify(riskier)}`);
      assert.ok(compare(now, proposed).length > 0);
    }
  });

  it("foresees who pays for a group's slash, how far U rises, and that 14 days repair it", async () => {
    const now = await read();
    const before = await books(tier);
    const [foreseen] = recoveries(
      now.terms,
      sizeOf(now),
      { ...DEFAULTS.market, stakingYield: 0n, avsRewards: 0n },
      now.baseRate,
    );
    assert.ok(foreseen);
    await slash(world, tier, 0, WAD);
    await send(tier, "sync");
    const stored = await books(tier);
    near(before.junior - stored.junior + (before.reserve - stored.reserve), foreseen.loss, "the loss");
    near(before.junior - stored.junior, foreseen.junior, "the junior's part");
    assert.equal(stored.senior, before.senior);
    near(await utilisation(tier), foreseen.utilisation, "U");

    assert.equal(foreseen.exposedDays, 14);
    const allocator = as(tier.allocator, world.local.signers.keeper);
    for (const agent of tier.agents.keys()) await (await allocator.getFunction("deleverage").send(agent)).wait();
    await passDays(world, 13);
    await pokeAll();
    assert.ok((await utilisation(tier)) > WAD);
    await passDays(world, 1);
    await mine(world, 2);
    await pokeAll();
    assert.ok((await utilisation(tier)) <= WAD);
  });

  it("lives through a month of rewards with a slash in it as the chain does", async () => {
    const { steth } = world.local;
    const stakingYield = (365n * WAD) / 10_000n; // a hundredth of a per cent a day
    const now = await read();
    const market = { ...DEFAULTS.market, stakingYield, avsRewards: 0n };
    const plan = new Plan(now.terms, sizeOf(now), market, now.baseRate, {});
    const simulated = SimulatedTier.full(plan, sizeOf(now));
    const supply = { senior: now.books.senior, junior: now.books.junior };
    const allocator = as(tier.allocator, world.local.signers.keeper);
    for (let day = 1; day <= 30; day++) {
      await passDays(world, 1);
      const pooled = await big(steth, "getTotalPooledEther");
      await (await steth.getFunction("report").send(pooled / 10_000n, { value: pooled / 10_000n })).wait();
      const slashed = day === 8;
      if (slashed) await slash(world, tier, 3, (WAD * 7n) / 10n);
      await send(tier, "sync");
      simulated.advance(slashed ? [{ set: 3, part: (WAD * 7n) / 10n }] : []);
      if (slashed) {
        await (await allocator.getFunction("unwind").send(0, 3)).wait();
        for (const agent of tier.agents.keys()) await (await allocator.getFunction("deleverage").send(agent)).wait();
      }
      if (day === 23) await pokeAll(); // what has been deallocated counts until somebody looks
      if (day % 5 !== 0 && !slashed) continue;
      const stored = await books(tier);
      const context = `on day ${day}`;
      close(stored.senior, simulated.books.senior, supply.senior, `S ${context}`);
      close(stored.junior, simulated.books.junior, supply.junior, `J ${context}`);
      close(await utilisation(tier), simulated.utilisation, WAD, `U ${context}`);
    }
  });

  async function send(t: Tier, fn: string, ...args: unknown[]): Promise<void> {
    await (
      await as(t.tier, world.local.signers.keeper)
        .getFunction(fn)
        .send(...args)
    ).wait();
  }

  async function pokeAll(): Promise<void> {
    const risk = as(tier.risk, world.local.signers.keeper);
    for (const set of tier.services.keys()) await (await risk.getFunction("poke").send(set)).wait();
  }

  it("finds the utilisation that the lens foresees for a proposal", async () => {
    const { terms, ...rest } = await read();
    const outlook = z.custom<{ toObject(deep: boolean): unknown }>().transform((value) => value.toObject(true));
    const standing = z.object({ atTargets: z.object({ utilisation: z.bigint() }) });
    for (const [params, proposed] of [
      [{ k: 3 }, { k: 3 }],
      [{ k: 1 }, { k: 1 }],
      [
        { marginBps: 2_500, haircutBps: 500 },
        { margin: 2_500n, haircut: 500n },
      ],
    ] as const) {
      const draft: Terms = { ...tier.terms, params: { ...tier.terms.params, ...params } };
      const answer = await call(world.local.protocol.lens, "outlook", tier.address, draft);
      const { atTargets } = standing.parse(outlook.parse(answer));
      const size = sizeOf({ terms, ...rest });
      near(atTargets.utilisation, utilisationOf({ ...terms, ...proposed }, size), JSON.stringify(params));
    }
  });

  it("writes the mandate in force as a file that says the same, and compares a proposal with it", async () => {
    const file = join(folder, "now.yaml");
    const chain = ["--rpc", world.chain.url, "--tier", tier.address];
    const first = await command(...chain, "--paths", "0", "--save", file);
    assert.match(first.out, /On the chain, at block \d+/);
    assert.ok(first.out.split("\n").every((line) => line.length <= 100));
    const [saved] = loadMandates(file).tiers;
    assert.ok(saved);
    assert.deepEqual(compare((await read()).terms, saved), []);
    const second = await command(file, ...chain, "--paths", "0");
    assert.match(second.out, /The terms are the same/);
    assert.match(second.out, /U of today's books, at the targets/);
  });

  it("says that an address is no tier", async () => {
    const token = await tier.junior.getAddress();
    await assert.rejects(readTier(world.chain.url, token), (error) => {
      assert.ok(error instanceof ChainError);
      assert.match(error.message, /does not answer as a tier does/);
      return true;
    });
    await assert.rejects(readTier(world.chain.url, `0x${"12".repeat(20)}`), /There is no contract at/);
  });
});
