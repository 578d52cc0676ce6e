/** A role moves only to an account that has shown that it can act. */
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import { Wallet } from "ethers";
import { deployContract, hardhatArtifacts, send } from "../../deploy/eigenlayer.ts";
import { ROLES, type Role } from "../../deploy/roles.ts";
import { Book } from "../../safe/book.ts";
import { type CallSpec, callSchema, send as execute, propose, rehearse, sign } from "../../safe/commands.ts";
import { type HandoverOptions, nextStep } from "../../safe/handover.ts";
import { deploySafe, type TestSafe } from "./safes.ts";
import { as, call, checkpoint, DAY, passDays, startWorld, user, type World } from "./world.ts";

describe("handing a role on", () => {
  let world: World;
  let admin: TestSafe;
  let next: TestSafe;
  let book: Book;
  let reset: () => Promise<void>;

  before(async () => {
    world = await startWorld();
    admin = await deploySafe(world);
    next = await deploySafe(world);
    book = new Book();
    await send(as(world.local.protocol.accessManager, world.local.signers.admin), "grantRole", 0n, admin.address, 0);
    await passDays(world, 6);
    reset = await checkpoint(world);
  });
  beforeEach(() => reset());
  after(() => world?.close());

  async function through(safe: TestSafe, calls: readonly CallSpec[]): Promise<void> {
    const options = { safe: safe.address, multiSend: safe.multiSend, about: "" };
    let { result } = await propose(world.provider, book, calls, options);
    for (const owner of safe.owners.slice(1)) ({ result } = await sign(owner, result, world.provider));
    await execute(safe.owners[0].connect(world.provider), book, result);
  }
  const step = (role: Role, from: string, to: string) => {
    const { accessManager, acceptance } = world.local.protocol.addresses;
    const options: HandoverOptions = { role, from, to, accessManager, acceptance };
    return nextStep(world.provider, options);
  };
  const accept = (role: Role) => {
    const { accessManager, acceptance } = world.local.protocol.addresses;
    const spec = { to: acceptance, function: "accept", args: [accessManager, String(ROLES[role])] };
    return through(next, [callSchema.parse(spec)]);
  };
  const has = async (role: Role, who: string): Promise<boolean> => {
    const answer = (await call(world.local.protocol.accessManager, "hasRole", ROLES[role], who)) as [boolean];
    return answer[0];
  };

  it("refuses an address that never accepted, and so every typo", async () => {
    const { guardian } = world.local.signers;
    const typo = Wallet.createRandom().address;
    await assert.rejects(step("guardian", guardian.address, typo), /has not accepted the role: let it call/);
    await assert.rejects(step("guardian", guardian.address, guardian.address), /to itself/);
    const { accessManager } = world.local.protocol.addresses;
    await assert.rejects(step("guardian", guardian.address, accessManager), /cannot act: a role would be lost there/);
  });

  it("the batch itself reverts where nobody accepted, whoever wrote it", async () => {
    const { guardian } = world.local.signers;
    await accept("guardian");
    const { calls } = await step("guardian", guardian.address, next.address);
    const typo = Wallet.createRandom().address;
    const misdirected = calls.map((one) => ({
      ...one,
      args: one.args.map((argument) => (argument === next.address ? typo : argument)),
    }));
    const options = { safe: admin.address, multiSend: admin.multiSend, about: "" };
    const { result } = await propose(world.provider, book, misdirected, options);
    const { lines } = await rehearse(world.provider, book, result);
    assert.match(lines.join("\n"), /call 1 fails; it fails with NotAccepted/);
  });

  it("moves guardian and curator in one batch, with their right to cancel proposals", async () => {
    for (const role of ["guardian", "curator"] as const) {
      const old = world.local.signers[role];
      await accept(role);
      await through(admin, (await step(role, old.address, next.address)).calls);
      assert.deepEqual([await has(role, next.address), await has(role, old.address)], [true, false], role);
      assert.deepEqual([await has("canceller", next.address), await has("canceller", old.address)], [true, false]);
      const done = await step(role, old.address, next.address);
      assert.deepEqual([done.calls, done.lines], [[], ["nothing is left to do: the role is where it shall be"]]);
    }
  });

  it("moves the upgrader's role over 60 days, and leaves it with the old holder until the grant counts", async () => {
    const { upgrader } = world.local.signers;
    await accept("upgrader");
    const first = await step("upgrader", upgrader.address, next.address);
    assert.equal(first.calls.length, 2, "accepted, granted; not revoked");
    await through(admin, first.calls);
    assert.deepEqual([await has("upgrader", next.address), await has("upgrader", upgrader.address)], [false, true]);
    await passDays(world, 59);
    const waiting = await step("upgrader", upgrader.address, next.address);
    assert.deepEqual(waiting.calls, []);
    assert.match(waiting.lines.join("\n"), /the grant of upgrader counts from .*\n.*keeps the role until then/);
    await passDays(world, 1);
    await through(admin, (await step("upgrader", upgrader.address, next.address)).calls);
    assert.deepEqual([await has("upgrader", next.address), await has("upgrader", upgrader.address)], [true, false]);
    const answer = await call(world.local.protocol.accessManager, "hasRole", ROLES.upgrader, next.address);
    assert.equal((answer as [boolean, bigint])[1], BigInt(60 * DAY), "with the same delay as before");
  });

  it("moves the admin's role, whose old holder takes himself out last", async () => {
    const { accessManager } = world.local.protocol;
    await send(as(accessManager, world.local.signers.admin), "renounceRole", 0n, world.local.signers.admin.address);
    await accept("admin");
    await through(admin, (await step("admin", admin.address, next.address)).calls);
    assert.deepEqual([await has("admin", next.address), await has("admin", admin.address)], [true, false]);
  });

  it("hands nothing on that is not there", async () => {
    await accept("curator");
    await assert.rejects(step("curator", user(world, 0).address, next.address), /does not hold the role curator/);
  });

  it("an acceptance for another manager or another role does not count", async () => {
    const { guardian } = world.local.signers;
    await accept("curator");
    await assert.rejects(step("guardian", guardian.address, next.address), /has not accepted/);
    const artifact = hardhatArtifacts("RoleAcceptance", "contracts/periphery/RoleAcceptance.sol");
    const other = await deployContract(world.local.signers.admin, artifact);
    const { accessManager } = world.local.protocol.addresses;
    const elsewhere = { role: "curator", from: world.local.signers.curator.address, to: next.address } as const;
    const acceptance = await other.getAddress();
    await assert.rejects(nextStep(world.provider, { ...elsewhere, accessManager, acceptance }), /has not accepted/);
  });
});
