/** Services that slash from inside their callbacks, hold agents back, share slashers, and one that needs a proof. */
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import { AbiCoder, type Contract, type JsonRpcSigner, SigningKey, Wallet, ZeroAddress } from "ethers";
import { deployContract, hardhatArtifacts, send } from "../../deploy/eigenlayer.ts";
import { sendFor, type TierContracts } from "../../deploy/protocol.ts";
import {
  agentState,
  as,
  books,
  checkpoint,
  conserved,
  ETH,
  eventValue,
  exposures,
  fund,
  mine,
  openAVS,
  openService,
  openWorkingTier,
  passDays,
  rate,
  register,
  reverts,
  type Service,
  setState,
  startWorld,
  user,
  WAD,
  type WorkingTier,
  type World,
} from "./world.ts";

const ACCEPT = 0;
const REFUSE = 1;
const BURN_ALL_GAS = 2;
const SLASH = 3;

const sync = (t: TierContracts) => send(t.tier, "sync");

describe("services that are up to something", () => {
  let world: World;
  let [bob, alice, carol]: JsonRpcSigner[] = [];
  const who = (signer: JsonRpcSigner | undefined): JsonRpcSigner => {
    if (!signer) throw new Error("The world has not started.");
    return signer;
  };

  let tricky: WorkingTier;
  let many: Contract;
  let avs: string;
  let again: () => Promise<void>;

  before(async () => {
    world = await startWorld();
    [bob, alice, carol] = [user(world, 0), user(world, 1), user(world, 2)];
    many = await openAVS(world, "bridge");
    avs = await many.getAddress();
    const slashers = [avs, user(world, 6).address, user(world, 7).address];
    for (const [n, slasher] of slashers.entries())
      await send(many, "createSet", n + 1, [world.local.strategy], slasher);
    const others: Service[] = [];
    for (let n = 0; n < 5; n++) others.push(await openService(world));
    const work = (from: number, to: number) => others.slice(from, to).map(({ set }) => ({ set, magnitude: WAD / 4n }));
    const three = slashers.map((slasher, n) => ({ set: { avs, id: n + 1 }, slasher, magnitude: WAD / 5n }));
    tricky = await openWorkingTier(world, "Tricky", { k: 1 }, [[...three, ...work(0, 1)], work(1, 5)]);
    for (const id of [1, 3]) await register(tricky, 0, { avs, id });
    for (const [n, { set }] of others.entries()) await register(tricky, n === 0 ? 0 : 1, set);
    await fund(world, tricky, who(bob), who(alice), 100n * ETH);
    again = await checkpoint(world);
  });
  beforeEach(() => again());
  after(() => world?.close());

  it("an AVS with three slashers is one group: all three together stay within the cover", async () => {
    await register(tricky, 0, { avs, id: 2 });
    const groups = await Promise.all([0, 1, 2].map(async (n) => (await setState(tricky, n)).group));
    assert.equal(new Set(groups).size, 1);
    const { current, largest } = await exposures(tricky);
    assert.equal(current[Number(groups[0])], largest, "and it is the largest");
    const [seniorRate, before] = [await rate(tricky.senior), await books(tricky)];
    const agent = tricky.agents[0]?.address ?? ZeroAddress;
    await send(many, "slash", agent, 1, world.local.strategy, WAD, "one");
    await slashAs(user(world, 6), avs, 2, agent);
    await slashAs(user(world, 7), avs, 3, agent);
    await sync(tricky);
    assert.equal(await rate(tricky.senior), seniorRate);
    assert.ok((await books(tricky)).junior < before.junior);
    await conserved(world, tricky);
  });

  it("a registrar that slashes inside its callback is booked in the same transaction, and cannot re-enter", async () => {
    const [seniorRate, before] = [await rate(tricky.senior), await books(tricky)];
    await send(many, "setCallbackSlash", 1, world.local.strategy, WAD);
    await send(many, "setBehaviour", SLASH, ACCEPT);
    await register(tricky, 0, { avs, id: 2 });
    const then = await books(tricky);
    assert.ok(then.junior < before.junior, "booked");
    assert.equal(await rate(tricky.senior), seniorRate);
    await conserved(world, tricky);

    await again();
    await send(many, "setCallbackCall", tricky.address, tricky.tier.interface.encodeFunctionData("sync"));
    await send(many, "setBehaviour", 4, ACCEPT);
    await register(tricky, 0, { avs, id: 2 });
    assert.equal(await many.getFunction("lastCallSucceeded")(), false);
    assert.equal(world.errors.parseError(String(await many.getFunction("lastCallResult")()))?.name, "Locked");
  });

  /** The mandate lowers the target of link 0, so that a change is pending, and the guardian quarantines the group. */
  async function pendingAndQuarantined(): Promise<Contract> {
    const { curator, guardian, keeper } = world.local.signers;
    const agents = tricky.terms.agents.map((terms, n) => ({
      ...terms,
      targets: terms.targets.map((target, m) => (n === 0 && m === 0 ? { ...target, magnitude: WAD / 10n } : target)),
    }));
    await send(as(tricky.mandate, curator), "tighten", { ...tricky.terms, agents });
    const allocator = as(tricky.allocator, keeper);
    await send(allocator, "deallocate", 0, 0);
    await reverts(world, "AccessManagedUnauthorized", send(as(tricky.risk, keeper), "quarantine", 0));
    await send(as(tricky.risk, guardian), "quarantine", (await setState(tricky, 0)).group);
    return allocator;
  }

  it("an agent leaves a quarantined set whose change is pending", async () => {
    const allocator = await pendingAndQuarantined();
    const receipt = await sendFor(allocator, "unwind", 0, 0);
    assert.equal(eventValue(allocator.interface, receipt, "Deregistered", "set"), "0");
    await send(allocator, "unwind", 0, 1); // the group's other sets have nothing pending
    await send(allocator, "unwind", 0, 2);
    await conserved(world, tricky);
  });

  for (const [how, behaviour] of [
    ["refuses", REFUSE],
    ["burns all gas", BURN_ALL_GAS],
  ] as const)
    it(`a registrar that ${how} when the agent leaves cannot hold its stake: all of it is queued, for good`, async () => {
      const allocator = await pendingAndQuarantined();
      await send(many, "setBehaviour", ACCEPT, behaviour);
      await send(allocator, "unwind", 0, 0, { gasLimit: 12_000_000 });
      assert.equal((await agentState(tricky, 0)).exits, 1n);
      await conserved(world, tricky);
      await passDays(world, 14);
      await mine(world, 2);
      const stakes = as(tricky.stakes, world.local.signers.keeper);
      await reverts(world, "Needed", send(stakes, "redeposit", 0, 0));
      await send(stakes, "complete", 0, 0);
      assert.equal((await agentState(tricky, 0)).exits, 0n);
      await conserved(world, tricky);
    });

  it("a registrar that slashes when the agent leaves is booked in the same transaction", async () => {
    const allocator = await pendingAndQuarantined();
    const [seniorRate, before] = [await rate(tricky.senior), await books(tricky)];
    await send(many, "setCallbackSlash", 1, world.local.strategy, WAD);
    await send(many, "setBehaviour", ACCEPT, SLASH);
    await send(allocator, "unwind", 0, 0, { gasLimit: 12_000_000 });
    assert.ok((await books(tricky)).junior < before.junior);
    assert.equal(await rate(tricky.senior), seniorRate);
    await conserved(world, tricky);
  });

  async function slashAs(slasher: JsonRpcSigner, avs: string, setId: number, operator: string): Promise<void> {
    const allocations = as(world.local.core.allocationManager, slasher);
    await send(allocations, "slashOperator", avs, {
      operator,
      operatorSetId: setId,
      strategies: [world.local.strategy],
      wadsToSlash: [WAD],
      description: "test",
    });
  }

  it("a wrong greeting of an agent's key slashes it through the proof, whoever brings it, and the junior pays", async () => {
    const hello = await deployContract(
      world.local.signers.outside,
      hardhatArtifacts("HelloWorldAVS", "contracts/avs/HelloWorldAVS.sol"),
      world.local.eigenlayer.addresses.allocationManager,
      world.local.strategy,
      WAD / 2n,
    );
    await send(hello, "open");
    const set = { avs: await hello.getAddress(), id: Number(await hello.getFunction("OPERATOR_SET_ID")()) };
    const greeting = await openWorkingTier(world, "Greeting", { k: 1 }, [[{ set, magnitude: WAD / 4n }]]);
    const agent = greeting.agents[0]?.address ?? ZeroAddress;
    const key = new SigningKey(`0x${"51".repeat(32)}`);
    const keyAddress = new Wallet(key).address;
    const possession = key.sign(String(await hello.getFunction("keyDigest")(agent))).serialized;
    const data = AbiCoder.defaultAbiCoder().encode(["address", "bytes"], [keyAddress, possession]);
    await register(greeting, 0, set, data);
    await fund(world, greeting, who(bob), who(alice), 50n * ETH);

    await send(hello, "createTask", "World");
    const sign = async (text: string) =>
      key.sign(String(await hello.getFunction("greetingDigest")(1, text))).serialized;
    const stranger = as(hello, who(carol));
    await reverts(
      world,
      "GreetingIsRight",
      send(stranger, "proveMisbehaviour", agent, 1, "Hello, World!", await sign("Hello, World!")),
    );
    const [seniorRate, before] = [await rate(greeting.senior), await books(greeting)];
    await send(stranger, "proveMisbehaviour", agent, 1, "Goodbye, World!", await sign("Goodbye, World!"));
    const receipt = await sendFor(greeting.tier, "sync");
    const { junior, reserve } = await books(greeting);
    assert.equal(reserve, 0n);
    assert.ok(junior < before.junior);
    assert.equal(await rate(greeting.senior), seniorRate);
    assert.equal(eventValue(greeting.risk.interface, receipt, "SlashAttributed", "taken"), String(WAD / 8n));
    await conserved(world, greeting);
  });
});
