/** docs/RUNBOOK.md, rehearsed: what it tells people to type, and that it leads where it says. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, describe, it } from "node:test";
import type { JsonRpcSigner } from "ethers";
import * as z from "zod";
import { send } from "../../deploy/eigenlayer.ts";
import { beaconId } from "../../deploy/plan.ts";
import { KINDS, ROLES } from "../../deploy/roles.ts";
import { type Deployment, saveDeployment } from "../../deployments/index.ts";
import { Book } from "../../safe/book.ts";
import { callsSchema } from "../../safe/commands.ts";
import { ROOT } from "../../scripts/lib/tools.ts";
import {
  allocateAll,
  as,
  big,
  books,
  bringBack,
  call,
  cash,
  checkpoint,
  conserved,
  DAY,
  deployAll,
  depositEth,
  ETH,
  exposures,
  finalise,
  fund,
  now,
  openStandardTier,
  passDays,
  rate,
  request,
  reverts,
  setState,
  slash,
  startWorld,
  type Terms,
  type Tier,
  user,
  WAD,
  type World,
} from "./world.ts";

/** Account 4 of Hardhat's well-known mnemonic, the keeper of local deployments. */
const KEEPER_KEY = "0x47e179ec197488593b187f80a00eb0da91f1b9d0b13f8733639f19c30a34926a";
const SYMBOL = "CAREFUL";

describe("the runbook", () => {
  let world: World;
  let tier: Tier;
  let reset: () => Promise<void>;
  let [bob, alice, carol]: JsonRpcSigner[] = [];
  let folder: string;
  let file: string;

  before(async () => {
    world = await startWorld();
    [bob, alice, carol] = [user(world, 0), user(world, 1), user(world, 2)];
    tier = await openStandardTier(world, { agents: 2, setsPerAgent: 8 });
    await fund(world, tier, user(world, 0), user(world, 1), 100n * ETH);
    folder = mkdtempSync(join(tmpdir(), "bulkhead-runbook-"));
    file = saveDeployment(deployment(), join(folder, "31337.json"));
    reset = await checkpoint(world);
  });
  beforeEach(() => reset());
  after(async () => {
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
    await world?.close();
  });

  const who = (signer: JsonRpcSigner | undefined): JsonRpcSigner => signer ?? assert.fail("nobody");

  /** As much of a deployment's file as the commands read. */
  function deployment(): Deployment {
    const { addresses } = world.local.protocol;
    const places = new Map<string, string>();
    for (const [id, address] of Object.entries(addresses)) if (typeof address === "string") places.set(id, address);
    for (const kind of KINDS) places.set(beaconId(kind), addresses.beacons[kind]);
    const contracts = Object.fromEntries([...places].map(([id, address]) => [id, { address, block: 1, abi: "X" }]));
    const { eigenlayer, strategy } = world.local;
    const { steth, lidoQueue, weth } = addresses;
    return {
      network: "test",
      chainId: 31_337,
      startBlock: 1,
      deployer: world.local.signers.admin.address,
      contracts,
      external: { ...eigenlayer.addresses, strategy, steth, lidoQueue, weth },
      tiers: [],
      abis: { X: [] },
    };
  }

  function run(script: string, ...args: string[]): string {
    const options = ["--rpc", world.chain.url, "--deployment", file];
    const done = spawnSync(process.execPath, [join(ROOT, "scripts", script), ...args, ...options], {
      encoding: "utf8",
      env: {
        PATH: process.env.PATH ?? "",
        SAFE_KEY: KEEPER_KEY,
        NODE_OPTIONS: "--disable-warning=ExperimentalWarning",
      },
    });
    return `${done.stdout}${done.stderr}${done.status === 0 ? "" : `exit ${done.status}`}`;
  }

  /** A keeper's weeks, where the queues need them. */
  async function bringNeeded(): Promise<void> {
    if ((await big(tier.stakes, "unbondNeed")) > 0n) await bringBack(world, tier);
  }

  it("wind-down: everybody gets out, the last junior too while a senior stays, and the reserve remains", async () => {
    const { curator, keeper } = world.local.signers;
    const half = (await big(tier.senior, "balanceOf", who(alice).address)) / 2n;
    await send(as(tier.senior, who(alice)), "transfer", who(carol).address, half);
    const [seniorRate, juniorRate] = [await rate(tier.senior), await rate(tier.junior)];

    // 1 nothing new: at once
    const nothing: Terms = { params: { ...tier.terms.params, cap: 0n }, releases: 0, sets: [], agents: [] };
    await send(as(tier.mandate, curator), "tighten", nothing);
    for (const token of [tier.senior, tier.junior])
      assert.equal(await big(token, "maxDeposit", who(bob).address), 0n, "nobody enters any more");
    // 2 no cover is needed once nothing can be slashed: proposed now, in force in 45 days
    const free: Terms = { ...nothing, params: { ...nothing.params, marginBps: 0, haircutBps: 0 } };
    await send(as(tier.mandate, curator), "propose", free);
    // 3 allocations down; 14 days later nobody can slash
    for (const agent of tier.agents.keys())
      for (let link = 0; link < 8; link++) await send(as(tier.allocator, keeper), "deallocate", agent, link);

    // 4 people ask; carol does not
    const shares = async (token: typeof tier.senior, of: JsonRpcSigner) => big(token, "balanceOf", of.address);
    await request(tier, tier.senior, who(alice), await shares(tier.senior, who(alice)));
    await request(tier, tier.junior, who(bob), await shares(tier.junior, who(bob)));
    await bringBack(world, tier);
    for (let set = 0; set < tier.services.length; set++) await send(as(tier.risk, keeper), "poke", set);
    assert.equal((await exposures(tier)).largest, 0n, "nobody can slash");
    await finalise(world, tier.senior);
    assert.equal(
      await big(tier.senior, "maxRedeem", who(alice).address),
      await big(tier.senior, "maxRedeem", who(alice).address),
    );
    assert.equal(await big(tier.senior, "queuedShares"), 0n);
    await bringNeeded();
    await finalise(world, tier.junior);
    const held = await big(tier.junior, "queuedShares");
    assert.ok(held > 0n && held < 10n * ETH, `the haircut on carol's money holds ${held} wei of the junior`);
    await conserved(world, tier);

    // 5 the second mandate lets the rest go
    const [, eta] = (await call(tier.mandate, "pending")) as readonly [string, bigint, bigint];
    const left = Number(eta) - (await now(world));
    if (left > 0) await passDays(world, Math.ceil(left / DAY));
    await send(as(tier.mandate, keeper), "execute", free);
    await bringNeeded();
    await finalise(world, tier.junior);
    assert.equal(await big(tier.junior, "queuedShares"), 0n, "the last junior left before the last senior");
    assert.ok((await rate(tier.senior)) >= seniorRate);

    // 6 carol, whenever she likes
    await passDays(world, 30);
    await request(tier, tier.senior, who(carol), await shares(tier.senior, who(carol)));
    await bringBack(world, tier);
    await finalise(world, tier.senior);
    for (const [token, holder, before] of [
      [tier.senior, who(alice), seniorRate],
      [tier.junior, who(bob), juniorRate],
      [tier.senior, who(carol), seniorRate],
    ] as const) {
      const claim = await big(token, "maxRedeem", holder.address);
      const paid = await big(world.local.weth, "balanceOf", holder.address);
      await send(as(token, holder), "redeem", claim, holder.address, holder.address);
      const got = (await big(world.local.weth, "balanceOf", holder.address)) - paid;
      assert.ok(got >= (claim * before) / WAD - 1n, `paid ${got} for ${claim} shares`);
    }

    // 7 what remains is the reserve
    for (const token of [tier.senior, tier.junior]) assert.equal(await big(token, "totalSupply"), 0n);
    const { reserve, junior, senior, gains } = await books(tier);
    assert.deepEqual([junior, senior, gains, (await cash(tier)).reserved], [0n, 0n, 0n, 0n]);
    const seed = await big(tier.tier, "seed");
    assert.ok(reserve <= seed && seed - reserve < 1_000n, `the reserve lost ${seed - reserve} wei to rounding`);
    for (const agent of tier.agents.keys()) await send(as(tier.risk, curator), "removeAgent", agent);
    await conserved(world, tier);
  });

  it("launch: a cap that grows is announced on the first day and holds until its day, whatever is deposited", async () => {
    const { curator, keeper } = world.local.signers;
    const { value } = (await call(tier.tier, "preview")) as { value: bigint };
    const first: Terms = { ...tier.terms, params: { ...tier.terms.params, cap: value + 10n * ETH } };
    await send(as(tier.mandate, curator), "tighten", first);
    const second: Terms = { ...tier.terms, params: { ...tier.terms.params, cap: 2n * (value + 10n * ETH) } };
    await send(as(tier.mandate, curator), "propose", second);
    await depositEth(world, who(carol), tier.junior, 10n * ETH);
    await reverts(world, "ExceedsDepositLimit", depositEth(world, who(carol), tier.junior, ETH));
    await passDays(world, 45);
    await send(as(tier.mandate, keeper), "execute", second);
    await depositEth(world, who(carol), tier.junior, ETH);
    await deployAll(world, tier);
    await conserved(world, tier);
  });

  it("incident, a slash: what happened is read, the group is quarantined and unwound by hand", async () => {
    const { guardian } = world.local.signers;
    // small enough that nothing quarantines it by itself
    await slash(world, tier, 3, WAD / 50n);
    const before = await books(tier);
    const out = run(
      "call.ts",
      `${SYMBOL} sync`,
      `${SYMBOL} books`,
      `${SYMBOL}.risk set 3`,
      `${SYMBOL}.risk exposures false`,
    );
    assert.match(out, /CAREFUL sync: 0x[0-9a-f]{64}/);
    assert.match(out, /"quarantined": false/);
    assert.ok((await books(tier)).junior < before.junior || (await books(tier)).reserve < before.reserve);
    const early = run("call.ts", `${SYMBOL}.allocator unwind 0 3`);
    assert.match(early, /fails with \w+.*Not sent, and nothing after it\.\nexit 1/);
    await send(as(tier.risk, guardian), "quarantine", 3);
    assert.equal((await setState(tier, 3)).quarantined, true);
    assert.match(run("call.ts", `${SYMBOL}.allocator unwind 0 3`), /unwind 0 3: 0x/);
    await passDays(world, 15);
    run("call.ts", `${SYMBOL}.risk poke 3`);
    assert.equal((await exposures(tier)).current[3], 0n);
    const { needed } = (await call(tier.allocator, "deleverageNeeded")) as { needed: boolean };
    assert.equal(needed, false);
    await conserved(world, tier);
  });

  it("the terms in force are read from the chain as Mandate takes them", async () => {
    const { curator } = world.local.signers;
    const out = join(folder, "terms.json");
    run("call.ts", "--terms", SYMBOL, "--out", out);
    const terms = JSON.parse(readFileSync(out, "utf8"));
    const id = await call(tier.mandate, "current");
    assert.equal(terms.sets.length, 16);
    terms.params.cap = String(1_000n * ETH);
    await send(as(tier.mandate, curator), "tighten", terms);
    assert.notEqual(await call(tier.mandate, "current"), id);
    const calls = join(folder, "calls.json");
    writeFileSync(calls, JSON.stringify([{ to: `${SYMBOL}.mandate`, function: "propose", args: [terms] }]));
    assert.equal(callsSchema.parse(JSON.parse(readFileSync(calls, "utf8"))).length, 1);
  });

  it("every command on the page exists, and every function that it names takes what is given to it", () => {
    const text = readFileSync(join(ROOT, "docs", "RUNBOOK.md"), "utf8");
    const scripts = z
      .object({ scripts: z.record(z.string(), z.string()) })
      .parse(JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"))).scripts;
    for (const [, name] of text.matchAll(/npm run (\w+)/g)) assert.ok(name && name in scripts, `npm run ${name}`);
    const book = new Book({ views: true });
    let checked = 0;
    const target = /(?:CAREFUL(?:\.\w+)?|factory|weth|accessManager|acceptance|tierBeacon)/.source;
    for (const [, fn = "", given = ""] of text.matchAll(
      new RegExp(`["\`]${target} (\\w+)(?:\\(\\))?((?: [^\`"]*)?)["\`]`, "g"),
    )) {
      const args = given.split(" ").filter((one) => one !== "");
      const counts = book.arities(fn);
      // a name alone, in a sentence, leaves the arguments to the reader
      assert.ok(counts.length > 0 && (args.length === 0 || counts.includes(args.length)), `${fn}${given}`);
      checked++;
    }
    assert.ok(checked > 30, `${checked} calls were checked`);
  });

  it("the roles of a deployment are read from its chain: who holds them now, and what does not fit", async () => {
    const { accessManager } = world.local.protocol;
    const { admin, guardian } = world.local.signers;
    await send(as(accessManager, admin), "grantRole", ROLES.guardian, who(carol).address, 0);
    const page = run("roles.ts");
    assert.match(page, new RegExp(`\\| guardian \\| 2 \\| ${guardian.address}, ${who(carol).address} \\|`));
    assert.match(page, /\| UpgradeableBeacon \| `upgradeTo` \| \*\*upgrader\*\* \| 60 days \|/);
    const selector = tier.tier.interface.getFunction("skimReserve")?.selector;
    await send(as(accessManager, admin), "setTargetFunctionRole", tier.address, [selector], ROLES.guardian);
    assert.match(run("roles.ts"), /Tier\.skimReserve at 0x\w+ needs role 2, and deploy\/access\.ts says curator/);
  });

  it("a stolen upgrader's key: the guardian calls its upgrade off, the admin takes the role, and nothing can follow", async () => {
    const { protocol, signers } = world.local;
    const beacon = protocol.addresses.beacons.tier;
    const evil = protocol.beacons.tier.interface.encodeFunctionData("upgradeTo", [
      protocol.addresses.implementations.risk,
    ]);
    const upgrader = as(protocol.accessManager, signers.upgrader);
    await send(upgrader, "schedule", beacon, evil, 0);
    await send(as(protocol.accessManager, signers.guardian), "cancel", signers.upgrader.address, beacon, evil);
    await send(as(protocol.accessManager, signers.admin), "revokeRole", 3n, signers.upgrader.address);
    await reverts(world, "AccessManagerUnauthorizedCall", send(upgrader, "schedule", beacon, evil, 0));
    await passDays(world, 61);
    await reverts(world, "AccessManagerUnauthorizedCall", send(upgrader, "execute", beacon, evil));
  });

  it("every key stolen, the admin's too: whoever asks to leave at once is paid before anything worse can happen", async () => {
    const { protocol, signers } = world.local;
    await passDays(world, 6); // as on a network: the delays of a deployment count from five days on
    const seniorRate = await rate(tier.senior);
    const started = await now(world);
    const manager = as(protocol.accessManager, signers.admin);
    const evil = protocol.beacons.tier.interface.encodeFunctionData("upgradeTo", [
      protocol.addresses.implementations.risk,
    ]);
    await send(as(protocol.accessManager, signers.upgrader), "schedule", protocol.addresses.beacons.tier, evil, 0);
    await send(manager, "revokeRole", 2n, signers.guardian.address);
    for (const role of [1n, 2n, 3n, 4n]) await send(manager, "grantRole", role, signers.admin.address, 0);
    const { params } = tier.terms;
    const riskiest: Terms = { ...tier.terms, params: { ...params, k: 1, marginBps: 0, haircutBps: 0 } };
    await send(as(tier.mandate, signers.admin), "propose", riskiest);
    await send(as(tier.tier, signers.admin), "pauseEntries");
    for (let group = 0; group < 16; group++) await send(as(tier.risk, signers.admin), "quarantine", group);
    for (const target of [tier.address, tier.risk, tier.mandate]) await send(manager, "setTargetClosed", target, true);

    const shares = await big(tier.senior, "balanceOf", who(alice).address);
    await request(tier, tier.senior, who(alice), shares);
    await bringBack(world, tier);
    await finalise(world, tier.senior);
    const before = await world.provider.getBalance(who(carol).address);
    await send(as(tier.senior, who(alice)), "redeemEth", shares, who(carol).address, who(alice).address);
    const paid = (await world.provider.getBalance(who(carol).address)) - before;
    assert.ok(paid >= (shares * seniorRate) / WAD - 1n);
    const days = ((await now(world)) - started) / DAY;
    assert.ok(days < 45, `paid after ${days} days`);
    const grab = send(manager, "execute", protocol.addresses.beacons.tier, evil);
    await reverts(world, "AccessManagerUnauthorizedCall", grab);
    await conserved(world, tier);
  });

  it("after a pause of EigenLayer's allocations, what was quarantined meanwhile is unwound as soon as it ends", async () => {
    const { guardian, keeper } = world.local.signers;
    const { allocationManager } = world.local.core;
    await send(allocationManager, "pause", 1n);
    await send(as(tier.risk, guardian), "quarantine", 0);
    assert.match(run("call.ts", "--dry-run", `${SYMBOL}.allocator unwind 0 0`), /fails with \w+.*Not sent/);
    await send(allocationManager, "unpause", 0n);
    assert.match(run("call.ts", "--dry-run", `${SYMBOL}.allocator unwind 0 0`), /passes/);
    await send(as(tier.allocator, keeper), "unwind", 0, 0);
    await allocateAll(world, { ...tier, terms: { ...tier.terms, agents: [] } });
    await conserved(world, tier);
  });
});
