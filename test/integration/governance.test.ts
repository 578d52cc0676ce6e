/** What those with roles can do, when, and what nobody can do. */
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, beforeEach, describe, it } from "node:test";
import { AbiCoder, encodeBytes32String, getAddress, type JsonRpcSigner, keccak256, toBeHex, toUtf8Bytes } from "ethers";
import { deployContract, hardhatArtifacts, send } from "../../deploy/eigenlayer.ts";
import { deployProtocol } from "../../deploy/protocol.ts";
import { FACTORY_PERMISSIONS, IMPLEMENTATIONS, KINDS, ROLES, TIER_PERMISSIONS } from "../../deploy/roles.ts";
import { ROOT } from "../../scripts/lib/tools.ts";
import {
  address,
  agentState,
  as,
  big,
  books,
  bringBack,
  call,
  cash,
  checkpoint,
  conserved,
  depositEth,
  ETH,
  exposures,
  finalise,
  fund,
  openService,
  openStandardTier,
  passDays,
  rate,
  request,
  reverts,
  setState,
  setTerms,
  slash,
  startWorld,
  type Terms,
  type Tier,
  user,
  WAD,
  type World,
} from "./world.ts";

describe("governance", () => {
  let world: World;
  let tier: Tier;
  let reset: () => Promise<void>;
  let bob: JsonRpcSigner;
  let alice: JsonRpcSigner;
  let stranger: JsonRpcSigner;

  before(async () => {
    world = await startWorld();
    [bob, alice, stranger] = [user(world, 0), user(world, 1), user(world, 2)];
    tier = await openStandardTier(world, { agents: 2, setsPerAgent: 8 });
    await fund(world, tier, bob, alice, 100n * ETH);
    reset = await checkpoint(world);
  });
  beforeEach(() => reset());
  after(() => world?.close());

  const mandateAs = (signer: JsonRpcSigner) => as(tier.mandate, signer);
  const withCap = (cap: bigint): Terms => ({ ...tier.terms, params: { ...tier.terms.params, cap } });

  describe("mandates", () => {
    it("a riskier mandate waits 45 days, may then be put in force by anybody, and lapses a month later", async () => {
      const { curator } = world.local.signers;
      const riskier = withCap(2n * tier.terms.params.cap);
      assert.equal(await call(tier.mandate, "riskierIn", riskier), encodeBytes32String("cap"));
      await reverts(world, "Riskier", send(mandateAs(curator), "tighten", riskier));
      await reverts(world, "AccessManagedUnauthorized", send(mandateAs(stranger), "propose", riskier));
      await send(mandateAs(curator), "propose", riskier);
      await passDays(world, 44);
      await reverts(world, "NotExecutable", send(mandateAs(stranger), "execute", riskier));
      await reverts(world, "NotProposed", send(mandateAs(stranger), "execute", withCap(tier.terms.params.cap + 1n)));
      await passDays(world, 1);
      await send(mandateAs(stranger), "execute", riskier);
      assert.ok((await big(tier.junior, "maxDeposit", bob.address)) > tier.terms.params.cap);
      await conserved(world, tier);

      await reset();
      await send(mandateAs(curator), "propose", riskier);
      await passDays(world, 76);
      await reverts(world, "NotExecutable", send(mandateAs(stranger), "execute", riskier));
    });

    it("a safer mandate is in force at once, and nothing in it may be riskier", async () => {
      const { curator } = world.local.signers;
      const { params } = tier.terms;
      const safer: Terms = { ...withCap(1_000n * ETH), sets: tier.terms.sets };
      await send(mandateAs(curator), "tighten", { ...safer, params: { ...safer.params, k: params.k + 1 } });
      assert.ok((await big(tier.junior, "maxDeposit", bob.address)) < 1_000n * ETH);
      await reverts(world, "Riskier", send(mandateAs(curator), "tighten", safer));
      await reset();
      assert.equal(await call(tier.mandate, "riskierIn", tier.terms), encodeBytes32String(""));
      const service = await openService(world);
      const added: Terms = { ...tier.terms, sets: [...tier.terms.sets, setTerms(service.set)] };
      assert.equal(await call(tier.mandate, "riskierIn", added), encodeBytes32String("set"));
    });

    it("a riskier mandate does not come into force while the tier is not covered", async () => {
      const { curator } = world.local.signers;
      const riskier = withCap(2n * tier.terms.params.cap);
      await send(mandateAs(curator), "propose", riskier);
      await passDays(world, 46);
      await slash(world, tier, 0, WAD);
      await slash(world, tier, 9, WAD);
      await reverts(world, "Uncovered", send(mandateAs(stranger), "execute", riskier));
    });

    it("guardian and curator may withdraw a proposal, nobody else", async () => {
      const { curator, guardian, upgrader } = world.local.signers;
      const riskier = withCap(2n * tier.terms.params.cap);
      for (const signer of [guardian, curator]) {
        await send(mandateAs(curator), "propose", riskier);
        for (const other of [stranger, upgrader])
          await reverts(world, "AccessManagedUnauthorized", send(mandateAs(other), "cancel"));
        await send(mandateAs(signer), "cancel");
        await reverts(world, "NotProposed", send(mandateAs(stranger), "execute", riskier));
      }
    });

    it("while a riskier mandate waits, a matured junior exit counts as overdue, so that it can be met in time", async () => {
      const { curator, guardian } = world.local.signers;
      await request(tier, tier.junior, bob, 50n * ETH);
      await passDays(world, 16);
      assert.equal(await big(tier.stakes, "overdueShares"), 0n);
      await send(mandateAs(curator), "propose", withCap(2n * tier.terms.params.cap));
      assert.equal(await big(tier.stakes, "overdueShares"), 50n * ETH);
      await send(mandateAs(guardian), "cancel");
      assert.equal(await big(tier.stakes, "overdueShares"), 0n);
      await passDays(world, 30);
      assert.equal(await big(tier.stakes, "overdueShares"), 50n * ETH, "a month beyond maturity it is overdue anyway");
    });

    it("a set whose slasher is not the approved one never gets into a mandate", async () => {
      const { curator } = world.local.signers;
      const service = await openService(world);
      const foreign: Terms = { ...tier.terms, sets: [...tier.terms.sets, setTerms(service.set, stranger.address)] };
      await send(mandateAs(curator), "propose", foreign);
      await passDays(world, 46);
      await reverts(world, "SlasherNotApproved", send(mandateAs(stranger), "execute", foreign));
    });

    it("a quarantined set comes back only by a mandate that waited", async () => {
      const { curator, guardian, keeper } = world.local.signers;
      await send(as(tier.risk, guardian), "quarantine", 3);
      assert.equal((await setState(tier, 3)).quarantined, true);
      const released: Terms = { ...tier.terms, releases: 1 << 3 };
      await reverts(world, "Riskier", send(mandateAs(curator), "tighten", released));
      await send(mandateAs(curator), "propose", released);
      await send(as(tier.allocator, keeper), "unwind", 0, 3);
      await passDays(world, 46);
      await send(mandateAs(stranger), "execute", released);
      assert.equal((await setState(tier, 3)).quarantined, false);
      await send(as(tier.allocator, keeper), "allocate", 0, 3, WAD / 8n - 1n);
      await conserved(world, tier);
    });
  });

  describe("roles", () => {
    it("each function that is restricted belongs to one role, and a stranger has none", async () => {
      const { accessManager } = world.local.protocol;
      const targets = { tier: tier.tier, risk: tier.risk, mandate: tier.mandate } as const;
      for (const kind of ["tier", "risk", "mandate"] as const)
        for (const { role, functions } of TIER_PERMISSIONS[kind] ?? [])
          for (const name of functions) {
            const selector = targets[kind].interface.getFunction(name)?.selector;
            const target = await targets[kind].getAddress();
            const holder = world.local.signers[role === "canceller" ? "curator" : role];
            const allowed = await accessManager.getFunction("canCall")(holder, target, selector);
            const refused = await accessManager.getFunction("canCall")(stranger, target, selector);
            assert.deepEqual([allowed[0], refused[0]], [true, false], `${kind}.${name}`);
          }
      await reverts(
        world,
        "AccessManagedUnauthorized",
        send(as(world.local.protocol.factory, stranger), "createAgent", tier.address, stranger.address, ""),
      );
    });

    it("no restricted function was forgotten in the list of roles", () => {
      const listed = Object.values(TIER_PERMISSIONS).flatMap((permissions) =>
        permissions.flatMap(({ functions }) => functions),
      );
      listed.push(...FACTORY_PERMISSIONS.flatMap(({ functions }) => functions));
      const restricted = new Set<string>();
      for (const file of globSync("contracts/{core,modules,periphery}/**/*.sol", { cwd: ROOT })) {
        const source = readFileSync(join(ROOT, file), "utf8");
        for (const [, name] of source.matchAll(/function (\w+)\([^)]*\)[^{;]*\brestricted\b/g))
          restricted.add(name ?? "");
      }
      assert.ok(restricted.size > 10);
      assert.deepEqual([...restricted].sort(), listed.sort());
    });

    it("whoever deploys for another admin keeps no right", async () => {
      const { eigenlayer, protocol, signers } = world.local;
      const other = await deployProtocol({
        signer: signers.admin,
        eigenlayer: eigenlayer.addresses,
        lido: { steth: protocol.addresses.steth, queue: protocol.addresses.lidoQueue },
        weth: protocol.addresses.weth,
        roles: { ...protocol.roles, admin: stranger.address },
      });
      const hasRole = async (who: string) => (await other.accessManager.getFunction("hasRole")(0n, who))[0];
      assert.deepEqual([await hasRole(signers.admin.address), await hasRole(stranger.address)], [false, true]);
    });

    it("the guardian closes entries at once; exits, claims and syncs go on; only the curator opens them again", async () => {
      const { curator, guardian } = world.local.signers;
      await depositEth(world, bob, tier.junior, 20n * ETH);
      await reverts(world, "AccessManagedUnauthorized", send(as(tier.tier, stranger), "pauseEntries"));
      await send(as(tier.tier, guardian), "pauseEntries");
      assert.equal(await big(tier.junior, "maxDeposit", bob.address), 0n);
      await reverts(world, "EntriesClosed", depositEth(world, bob, tier.junior, ETH));
      await request(tier, tier.senior, alice, 5n * ETH);
      await passDays(world, 2);
      await finalise(world, tier.senior);
      await send(as(tier.senior, alice), "redeem", 5n * ETH, alice.address, alice.address);
      await reverts(world, "AccessManagedUnauthorized", send(as(tier.tier, guardian), "unpauseEntries"));
      await send(as(tier.tier, curator), "unpauseEntries");
      await depositEth(world, bob, tier.junior, ETH);
    });

    it("the curator takes of the reserve what lies above the seed and cover can spare, and no more", async () => {
      const { curator } = world.local.signers;
      const seed = await big(tier.tier, "seed");
      const skim = (assets: bigint) => send(as(tier.tier, curator), "skimReserve", assets, curator.address);
      const donor = as(world.local.weth, stranger);
      await send(donor, "deposit", { value: 5n * ETH });
      await send(donor, "approve", tier.address, 5n * ETH);
      await send(as(tier.tier, stranger), "topUpReserve", 5n * ETH);
      const { reserve } = await books(tier);
      await reverts(world, "ReserveBelowSeed", skim(reserve - seed + 1n));
      await skim(4n * ETH);
      assert.equal((await books(tier)).reserve, reserve - 4n * ETH);
      await reverts(
        world,
        "AccessManagedUnauthorized",
        send(as(tier.tier, stranger), "skimReserve", 1n, stranger.address),
      );
      await conserved(world, tier);
    });

    it("a node operator runs an agent and moves nothing of it", async () => {
      const agent = tier.agents[0];
      const service = tier.services[0];
      assert.ok(agent && service);
      const { allocationManager, delegationManager } = world.local.core;
      const allocate = [{ operatorSet: service.set, strategies: [world.local.strategy], newMagnitudes: [1n] }];
      await assert.rejects(send(as(allocationManager, agent.operator), "modifyAllocations", agent.address, allocate));
      await assert.rejects(send(as(delegationManager, agent.operator), "undelegate", agent.address));
      await reverts(world, "NotAuthorised", send(as(agent.agent, agent.operator), "queue", ETH));
      await reverts(world, "NotAuthorised", send(as(agent.agent, stranger), "register", service.set, "0x"));
      const before = await exposures(tier);
      const leave = { operator: agent.address, avs: service.set.avs, operatorSetIds: [service.set.id] };
      await send(as(allocationManager, agent.operator), "deregisterFromOperatorSets", leave);
      await send(tier.tier, "sync");
      assert.deepEqual(await exposures(tier), before, "what is allocated counts until it is really deallocated");
      await reverts(
        world,
        "SetClosed",
        send(as(agent.agent, agent.operator), "register", { ...service.set, id: 9 }, "0x"),
      );
    });

    it("an agent that gave everything back may be removed, and not before", async () => {
      const { curator, keeper } = world.local.signers;
      await reverts(world, "AgentInUse", send(as(tier.risk, curator), "removeAgent", 0));
      const agents = tier.terms.agents.map((terms, n) => (n === 0 ? { ...terms, weightBps: 0, targets: [] } : terms));
      await send(mandateAs(curator), "tighten", { ...tier.terms, agents });
      for (let link = 0; link < 8; link++) await send(as(tier.allocator, keeper), "deallocate", 0, link);
      const shares = await big(tier.senior, "balanceOf", alice.address);
      await request(tier, tier.senior, alice, (shares * 3n) / 4n);
      await bringBack(world, tier);
      for (let set = 0; set < 8; set++) await send(as(tier.risk, keeper), "poke", set);
      const { exits } = await agentState(tier, 0);
      assert.equal(exits, 0n);
      await send(as(tier.risk, curator), "removeAgent", 0);
      await conserved(world, tier);
      await finalise(world, tier.senior);
      await conserved(world, tier);
    });
  });

  describe("upgrades", () => {
    /** The same books with an exit of half a day. */
    async function announceUpgrade(): Promise<{
      readonly implementation: string;
      readonly call: readonly [string, string];
    }> {
      const { protocol, signers } = world.local;
      const artifact = hardhatArtifacts(IMPLEMENTATIONS.tier.name, IMPLEMENTATIONS.tier.file);
      const next = await deployContract(
        signers.upgrader,
        artifact,
        protocol.addresses.weth,
        3_600,
        7_200,
        protocol.addresses.reserve,
      );
      const implementation = await next.getAddress();
      const data = protocol.beacons.tier.interface.encodeFunctionData("upgradeTo", [implementation]);
      const target = protocol.addresses.beacons.tier;
      const manager = as(protocol.accessManager, signers.upgrader);
      await reverts(world, "AccessManagerNotScheduled", send(manager, "execute", target, data));
      await send(manager, "schedule", target, data, 0);
      return { implementation, call: [target, data] };
    }

    it("an upgrade is announced 60 days ahead, keeps every book, share and request, and then applies to all tiers", async () => {
      const { protocol, signers } = world.local;
      const manager = as(protocol.accessManager, signers.upgrader);
      const { implementation, call: upgrade } = await announceUpgrade();
      await passDays(world, 59);
      await reverts(world, "AccessManagerNotReady", send(manager, "execute", ...upgrade));
      await request(tier, tier.senior, alice, 5n * ETH);
      await send(tier.tier, "sync");
      await passDays(world, 1);
      const state = async () => [
        await books(tier),
        await cash(tier),
        await rate(tier.senior),
        await rate(tier.junior),
        String(await call(tier.tier, "parts")),
        String(await call(tier.tier, "shares", true)),
        await big(tier.senior, "queuedShares"),
      ];
      const before = await state();
      assert.equal((await (tier.tier.getFunction("maturity")() as Promise<bigint[]>))[0], 7_200n);
      await send(manager, "execute", ...upgrade);
      assert.equal(await address(protocol.beacons.tier, "implementation"), getAddress(implementation));
      assert.deepEqual(await state(), before);
      assert.equal((await (tier.tier.getFunction("maturity")() as Promise<bigint[]>))[0], 3_600n);
      await conserved(world, tier);
      await depositEth(world, bob, tier.junior, ETH);
      await conserved(world, tier);
    });

    it("the guardian calls an announced upgrade off, and nobody upgrades past the manager", async () => {
      const { protocol, signers } = world.local;
      const { implementation, call: upgrade } = await announceUpgrade();
      await reverts(
        world,
        "OwnableUnauthorizedAccount",
        send(as(protocol.beacons.tier, signers.upgrader), "upgradeTo", implementation),
      );
      const manager = as(protocol.accessManager, signers.guardian);
      await reverts(
        world,
        "AccessManagerUnauthorizedCancel",
        send(as(protocol.accessManager, stranger), "cancel", signers.upgrader.address, ...upgrade),
      );
      await send(manager, "cancel", signers.upgrader.address, ...upgrade);
      await passDays(world, 61);
      await reverts(
        world,
        "AccessManagerNotScheduled",
        send(as(protocol.accessManager, signers.upgrader), "execute", ...upgrade),
      );
    });

    it("not even the admin upgrades faster than an announced upgrade takes, once five days have passed", async () => {
      const { protocol, signers } = world.local;
      await passDays(world, 6);
      const { call: upgrade } = await announceUpgrade();
      const manager = as(protocol.accessManager, signers.admin);
      const beacon = protocol.addresses.beacons.tier;
      const selector = protocol.beacons.tier.interface.getFunction("upgradeTo")?.selector;
      const takeOver = protocol.beacons.tier.interface.encodeFunctionData("transferOwnership", [signers.admin.address]);
      await reverts(world, "AccessManagerUnauthorizedCall", send(manager, "execute", ...upgrade));
      await reverts(world, "AccessManagerUnauthorizedCall", send(manager, "execute", beacon, takeOver));
      const grab = ["setTargetFunctionRole", beacon, [selector], ROLES.admin] as const;
      await reverts(world, "AccessManagerNotScheduled", send(manager, ...grab));
      await send(manager, "setTargetAdminDelay", beacon, 0);
      await send(manager, "setGrantDelay", ROLES.upgrader, 0);
      await send(manager, "grantRole", ROLES.upgrader, signers.admin.address, 0);
      await send(manager, "grantRole", ROLES.upgrader, signers.upgrader.address, 0);
      await passDays(world, 54);
      await reverts(world, "AccessManagerUnauthorizedCall", send(manager, "execute", ...upgrade));
      await reverts(world, "AccessManagerNotScheduled", send(manager, ...grab));
      const upgrader = as(protocol.accessManager, signers.upgrader);
      await reverts(world, "AccessManagerNotReady", send(upgrader, "execute", ...upgrade));
    });

    it("no implementation can be initialised by itself", async () => {
      for (const kind of KINDS) {
        const { name } = IMPLEMENTATIONS[kind];
        const target = world.local.protocol.addresses.implementations[kind];
        const code = await world.provider.getStorage(
          target,
          "0xf0c57e16840df040f15088dc2f81fe391c3923bec73e23a9662efc9c229c6a00", // ERC-7201: openzeppelin.storage.Initializable
        );
        assert.equal(BigInt(code), 2n ** 64n - 1n, name);
      }
    });

    it("every upgradeable contract keeps its state where ERC-7201 puts its namespace", () => {
      const files = [
        ...KINDS.map((kind) => IMPLEMENTATIONS[kind].file),
        "contracts/core/risk/RiskStore.sol",
        "contracts/core/tier/TierBooks.sol",
        "contracts/modules/rewards/RewardsBooks.sol",
      ];
      let found = 0;
      for (const file of files) {
        const source = readFileSync(new URL(`../../${file}`, import.meta.url), "utf8");
        const namespace = /@custom:storage-location erc7201:([\w.]+)/.exec(source)?.[1];
        const slot = /STORE = (0x[0-9a-f]{64})/.exec(source)?.[1];
        if (namespace === undefined) continue;
        const inner = BigInt(keccak256(toUtf8Bytes(namespace))) - 1n;
        const hash = BigInt(keccak256(AbiCoder.defaultAbiCoder().encode(["uint256"], [inner])));
        assert.equal(slot, toBeHex(hash & ~0xffn, 32), `${file}: ${namespace}`);
        found++;
      }
      assert.equal(found, KINDS.length, "each kind has its own");
    });
  });
});
