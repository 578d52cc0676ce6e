/** Every function of every contract, called by those who may not; and docs/ROLES.md, which says who may. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, beforeEach, describe, it } from "node:test";
import {
  Contract,
  type FunctionFragment,
  getAddress,
  type JsonRpcSigner,
  MaxUint256,
  type ParamType,
  ZeroHash,
} from "ethers";
import { accessOf, DELEGATES } from "../../deploy/access.ts";
import { send } from "../../deploy/eigenlayer.ts";
import { ROLES } from "../../deploy/roles.ts";
import { rolesPage } from "../../scripts/lib/roles-page.ts";
import {
  type Instance,
  instances,
  type RoleState,
  type Row,
  readTable,
  type Surface,
  surfaces,
} from "../../scripts/lib/surface.ts";
import { ROOT } from "../../scripts/lib/tools.ts";
import {
  as,
  big,
  books,
  call,
  checkpoint,
  conserved,
  ETH,
  errorName,
  exposures,
  finalise,
  fund,
  openStandardTier,
  passDays,
  request,
  startWorld,
  type Tier,
  total,
  user,
  utilisation,
  type World,
} from "./world.ts";

/** Errors that mean "not you"; whatever is permissionless may fail with any other. */
const AUTHORITY =
  /^(NotAuthorised|NotLockHolder|NotController|Ownable\w+|AccessManage[dr]Unauthorized\w*|AccessManagerNotScheduled)$/;

describe("roles", () => {
  let world: World;
  let tier: Tier;
  let reset: () => Promise<void>;
  let stranger: JsonRpcSigner;
  let alice: JsonRpcSigner;
  let bob: JsonRpcSigner;
  let deployed: ReadonlyMap<string, readonly Instance[]>;
  let roles: readonly RoleState[];
  let rows: readonly Row[];
  /** The upgrade of the tier's beacon that its upgrader has announced. */
  let announced: { readonly beacon: string; readonly data: string };

  before(async () => {
    world = await startWorld();
    [bob, alice, stranger] = [user(world, 0), user(world, 1), user(world, 2)];
    tier = await openStandardTier(world, { agents: 2, setsPerAgent: 8 });
    await fund(world, tier, bob, alice, 100n * ETH);
    await passDays(world, 6); // the delays that the deployment sets count from five days on
    const { protocol, signers } = world.local;
    const agents = tier.agents.map(({ address }) => address);
    deployed = await instances({ ...protocol.addresses }, [{ contracts: tier, agents }]);
    ({ roles, rows } = await readTable(protocol.accessManager, deployed));
    const beacon = protocol.addresses.beacons.tier;
    const upgrade = [protocol.addresses.implementations.tier];
    announced = { beacon, data: protocol.beacons.tier.interface.encodeFunctionData("upgradeTo", upgrade) };
    await send(as(protocol.accessManager, signers.upgrader), "schedule", announced.beacon, announced.data, 0);
    reset = await checkpoint(world);
  });
  beforeEach(() => reset());
  after(() => world?.close());

  /** Arguments that decode; where the check needs sensible ones, those. */
  function argumentsOf(contract: string, fragment: FunctionFragment): unknown[] {
    const upgrader = world.local.signers.upgrader.address;
    const sensible: Readonly<Record<string, readonly unknown[]>> = {
      "TrancheToken.requestRedeem": [ETH, alice.address, alice.address],
      "TrancheToken.transferFrom": [alice.address, stranger.address, 1n],
      "TrancheToken.permit": [alice.address, stranger.address, 1n, MaxUint256, 27, ZeroHash, ZeroHash],
      "TrancheToken.redeem": [1n, stranger.address, alice.address],
      "TrancheToken.redeemEth": [1n, stranger.address, alice.address],
      "TrancheToken.withdraw": [1n, stranger.address, alice.address],
      "AccessManager.schedule": [announced.beacon, announced.data, 0],
      "AccessManager.execute": [announced.beacon, announced.data],
      "AccessManager.cancel": [upgrader, announced.beacon, announced.data],
      "AccessManager.consumeScheduledOp": [upgrader, announced.data],
    };
    return [...(sensible[`${contract}.${fragment.name}`] ?? fragment.inputs.map(anyValue))];
  }

  function anyValue(type: ParamType): unknown {
    if (type.isArray()) return [];
    if (type.isTuple()) return type.components.map(anyValue);
    if (type.baseType === "address") return stranger.address;
    if (type.baseType === "bool") return false;
    if (type.baseType === "string") return "";
    if (type.baseType === "bytes") return "0x";
    const bytes = /^bytes(\d+)$/.exec(type.baseType);
    return bytes ? `0x${"00".repeat(Number(bytes[1]))}` : 0n;
  }

  /** The error of a simulated call; undefined where it passes. */
  async function failure(target: Contract, fragment: FunctionFragment, args: unknown[]): Promise<string | undefined> {
    try {
      await target.getFunction(fragment.format("sighash")).staticCall(...args);
      return undefined;
    } catch (caught) {
      return errorName(world, caught);
    }
  }

  /** Each function of each deployed contract. */
  async function walk(
    visit: (surface: Surface, fragment: FunctionFragment, address: string) => Promise<void>,
  ): Promise<number> {
    let visited = 0;
    for (const surface of surfaces())
      for (const { address } of deployed.get(surface.contract) ?? assert.fail(`${surface.contract} is not deployed.`))
        for (const fragment of surface.functions) {
          await visit(surface, fragment, address);
          visited++;
        }
    return visited;
  }

  it("a stranger, and whoever holds another role, is refused wherever the table does not say anybody", async () => {
    const { signers } = world.local;
    const people = [stranger, signers.admin, signers.curator, signers.guardian, signers.upgrader, signers.keeper];
    const visited = await walk(async ({ contract, face }, fragment, address) => {
      if (DELEGATES[contract] !== undefined) return;
      const access = accessOf(contract, fragment.name);
      const args = argumentsOf(contract, fragment);
      const where = `${contract}.${fragment.name} at ${address}`;
      const refusal = (who: JsonRpcSigner) => failure(new Contract(address, face, who), fragment, args);
      if (access.may === "anybody") {
        const name = await refusal(stranger);
        assert.ok(!name?.match(AUTHORITY), `${where}: said to be permissionless, and a stranger gets ${name}`);
      } else if (access.may === "only") {
        const refused = contract === "AccessManager" ? [stranger] : people; // there, roles may
        for (const who of refused) assert.equal(await refusal(who), access.error, `${where} by ${who.address}`);
      } else {
        const error = {
          UpgradeableBeacon: "OwnableUnauthorizedAccount",
          AccessManager: "AccessManagerUnauthorizedAccount",
        }[contract];
        const holders = roles.find((state) => state.role === access.role)?.holders.map(({ account }) => account);
        for (const who of people) {
          // a beacon belongs to the manager: not even the role may call it past him
          if (contract !== "UpgradeableBeacon" && holders?.includes(getAddress(who.address))) continue;
          assert.equal(await refusal(who), error ?? "AccessManagedUnauthorized", `${where} by ${who.address}`);
        }
      }
    });
    assert.ok(visited > 120, `${visited} functions were visited`);
  });

  it("who holds a role passes the check of its functions, with the delay of the table, and nobody else does", async () => {
    const manager = world.local.protocol.accessManager;
    const { signers } = world.local;
    const everybody = [...new Set(roles.flatMap(({ holders }) => holders.map(({ account }) => account)))];
    everybody.push(stranger.address, signers.keeper.address);
    let checked = 0;
    for (const row of rows) {
      if (row.access.may !== "role" || row.contract === "AccessManager") continue;
      for (const { address } of deployed.get(row.contract) ?? []) {
        const selector = surfaces()
          .find(({ contract }) => contract === row.contract)
          ?.face.getFunction(row.fn)?.selector;
        for (const who of everybody) {
          const holder = row.role?.holders.find(({ account }) => account === who);
          const [immediate, delay] = (await manager.getFunction("canCall")(who, address, selector)) as [
            boolean,
            bigint,
          ];
          const expected = holder ? [holder.delay === 0, holder.delay] : [false, 0];
          assert.deepEqual([immediate, Number(delay)], expected, `${row.contract}.${row.fn} by ${who}`);
          checked++;
        }
      }
    }
    assert.ok(checked > 100);
  });

  it("a contract that others delegate to can do nothing when it is called itself", async () => {
    let visited = 0;
    for (const { contract, face, functions } of surfaces()) {
      if (DELEGATES[contract] === undefined) continue;
      const [instance] = deployed.get(contract) ?? [];
      assert.ok(instance, `${contract} is not deployed`);
      for (const fragment of functions) {
        const args = argumentsOf(contract, fragment);
        const name = await failure(new Contract(instance.address, face, stranger), fragment, args);
        assert.notEqual(name, undefined, `${contract}.${fragment.name} passes when called itself`);
        visited++;
      }
    }
    assert.ok(visited >= 10);
  });

  it("a function that nobody thought of is found, with a sentence that says what to do", () => {
    assert.throws(() => accessOf("Tier", "drain"), /Tier\.drain changes state.*deploy\/access\.ts.*add it there/s);
  });

  it("docs/ROLES.md is what the chain says; npm run roles writes it", () => {
    const holders = Object.entries(world.local.protocol.roles);
    const names = new Map(holders.map(([name, account]) => [getAddress(account), name]));
    assert.equal(readFileSync(join(ROOT, "docs", "ROLES.md"), "utf8"), rolesPage(roles, rows, names));
  });

  it("the upgrader waits longest, longer than a riskier mandate and than the slowest ordinary exit", async () => {
    const delays = rows.map((row) => [row.delay ?? 0, row.access.may === "role" ? row.access.role : ""] as const);
    const upgrade = Math.max(...delays.filter(([, role]) => role === "upgrader").map(([delay]) => delay));
    for (const [delay, role] of delays) if (role !== "upgrader") assert.ok(delay < upgrade, `${role} waits ${delay} s`);
    assert.ok(upgrade > Number(await big(tier.mandate, "delay")));
    const blocks = (await tier.tier.getFunction("maturity")()) as [bigint, bigint];
    assert.ok(upgrade > 2 * Number(blocks[1]) * 12, "maturity, then EigenLayer's queue");
  });

  describe("the guardian", () => {
    /** What a holder counts on. */
    const state = async () => {
      await send(as(tier.tier, world.local.signers.keeper), "sync");
      const { largest, unapproved } = await exposures(tier);
      const b = await books(tier);
      const target = await Promise.all(tier.agents.map((_, agent) => big(tier.stakes, "deployLimit", agent)));
      return { largest, unapproved, cover: b.reserve + b.junior, value: total(b), u: await utilisation(tier), target };
    };

    it("has these calls and no other", async () => {
      const { protocol, signers } = world.local;
      const may: string[] = [];
      await walk(async ({ contract }, { name, selector }, address) => {
        if (contract === "AccessManager" || DELEGATES[contract] !== undefined) return;
        const canCall = protocol.accessManager.getFunction("canCall");
        const [immediate, delay] = (await canCall(signers.guardian, address, selector)) as [boolean, bigint];
        if (accessOf(contract, name).may === "role" && (immediate || delay > 0n)) may.push(`${contract}.${name}`);
      });
      assert.deepEqual([...new Set(may)].sort(), [
        "Mandate.cancel",
        "Rewards.raiseFloor",
        "Rewards.withholdPay",
        "RiskManager.quarantine",
        "Tier.pauseEntries",
      ]);
      const admin = await protocol.accessManager.getFunction("hasRole")(ROLES.admin, signers.guardian);
      assert.equal(admin[0], false);
      for (const { role } of roles) {
        const rank = await big(protocol.accessManager, "getRoleAdmin", ROLES[role]);
        assert.notEqual(rank, ROLES.guardian, `${role} is not his to give`);
      }
    });

    it("never raises L_k or U, never lowers cover, and holds back no exit, claim or sync", async () => {
      const { curator, guardian, keeper } = world.local.signers;
      const riskier = { ...tier.terms, params: { ...tier.terms.params, cap: 2n * tier.terms.params.cap } };
      await send(as(tier.mandate, curator), "propose", riskier);
      const before = await state();
      await send(as(tier.tier, guardian), "pauseEntries");
      await send(as(tier.mandate, guardian), "cancel");
      for (let group = 0; group < 32; group++) await send(as(tier.risk, guardian), "quarantine", group);
      const { accessManager } = world.local.protocol;
      const { upgrader } = world.local.signers;
      await send(as(accessManager, guardian), "cancel", upgrader.address, announced.beacon, announced.data);
      const now = await state();
      assert.ok(now.largest <= before.largest && now.unapproved <= before.unapproved, "L_k");
      assert.ok(now.u <= before.u, "U");
      assert.ok(now.cover >= before.cover && now.value >= before.value, "cover");
      assert.ok(
        now.target.every((limit) => limit === 0n),
        "nothing more is restaked behind a quarantined set",
      );
      assert.equal(await big(tier.senior, "maxDeposit", alice.address), 0n);

      await request(tier, tier.senior, alice, ETH / 2n);
      await request(tier, tier.junior, bob, ETH / 2n);
      await passDays(world, 2);
      await finalise(world, tier.senior);
      await send(as(tier.senior, alice), "redeem", ETH / 2n, alice.address, alice.address);
      for (const agent of tier.agents.keys())
        for (let link = 0; link < 8; link++) await send(as(tier.allocator, keeper), "unwind", agent, link);
      await passDays(world, 15);
      for (let set = 0; set < 16; set++) await send(as(tier.risk, keeper), "poke", set);
      assert.equal((await state()).largest, 0n, "what he quarantined is gone 14 days later");
      await conserved(world, tier);
    });

    it("cannot open what he closed, nor release what he quarantined", async () => {
      const { curator, guardian } = world.local.signers;
      await send(as(tier.tier, guardian), "pauseEntries");
      await send(as(tier.risk, guardian), "quarantine", 0);
      const open = failure(as(tier.tier, guardian), fragmentOf(tier.tier, "unpauseEntries"), []);
      assert.equal(await open, "AccessManagedUnauthorized");
      const released = { ...tier.terms, releases: 1 };
      for (const fn of ["propose", "tighten"]) {
        const refused = failure(as(tier.mandate, guardian), fragmentOf(tier.mandate, fn), [released]);
        assert.equal(await refused, "AccessManagedUnauthorized", fn);
      }
      assert.match(String(await call(as(tier.mandate, curator), "riskierIn", released)), /^0x72656c6561736573/);
    });
  });

  function fragmentOf(contract: Contract, name: string): FunctionFragment {
    const fragment = contract.interface.getFunction(name);
    assert.ok(fragment);
    return fragment;
  }
});
