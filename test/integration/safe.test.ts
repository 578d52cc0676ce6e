/** Roles that are held by a Safe: npm run safe, from the proposal to the effect. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, describe, it } from "node:test";
import { getAddress, keccak256, toUtf8Bytes, Wallet } from "ethers";
import { deployContract, hardhatArtifacts, send } from "../../deploy/eigenlayer.ts";
import { DEFAULT_ROLE_DELAYS, IMPLEMENTATIONS, ROLES } from "../../deploy/roles.ts";
import { Book } from "../../safe/book.ts";
import {
  addSignature,
  type CallSpec,
  callSchema,
  send as execute,
  parseCall,
  propose,
  rehearse,
  show,
  sign,
} from "../../safe/commands.ts";
import { formatProposal, type Proposal, parseProposal, transactionOf } from "../../safe/proposal.ts";
import { domainOf, messageOf, SAFE_TX_TYPES } from "../../safe/transaction.ts";
import { ROOT } from "../../scripts/lib/tools.ts";
import { deploySafe, type TestSafe } from "./safes.ts";
import {
  address,
  as,
  call,
  checkpoint,
  conserved,
  ETH,
  fund,
  openStandardTier,
  passDays,
  startWorld,
  type Tier,
  user,
  type World,
} from "./world.ts";

describe("a Safe that holds roles", () => {
  let world: World;
  let tier: Tier;
  let safe: TestSafe;
  let book: Book;
  let folder: string;
  let reset: () => Promise<void>;

  before(async () => {
    world = await startWorld();
    tier = await openStandardTier(world, { agents: 2, setsPerAgent: 8 });
    await fund(world, tier, user(world, 0), user(world, 1), 50n * ETH);
    safe = await deploySafe(world);
    const manager = as(world.local.protocol.accessManager, world.local.signers.admin);
    for (const role of ["curator", "guardian", "canceller"] as const)
      await send(manager, "grantRole", ROLES[role], safe.address, 0);
    await send(manager, "grantRole", ROLES.upgrader, safe.address, DEFAULT_ROLE_DELAYS.upgrader);
    book = new Book();
    folder = mkdtempSync(join(tmpdir(), "bulkhead-safe-"));
    reset = await checkpoint(world);
  });
  beforeEach(() => reset());
  after(async () => {
    rmSync(folder, { recursive: true, force: true });
    await world?.close();
  });

  const to = (target: string, fn: string, ...args: unknown[]): CallSpec =>
    callSchema.parse({ to: target, function: fn, args });
  const [PAUSE, UNPAUSE] = ["pauseEntries", "unpauseEntries"];
  const paused = async (): Promise<boolean> => {
    const status = (await call(tier.tier, "status")) as readonly unknown[];
    return Boolean(status[4]);
  };
  const proposeCalls = async (...specs: CallSpec[]): Promise<Proposal> =>
    (await propose(world.provider, book, specs, { safe: safe.address, multiSend: safe.multiSend, about: "" })).result;
  /** Signed by two of the three. */
  async function signed(proposal: Proposal, ...who: Wallet[]): Promise<Proposal> {
    let result = proposal;
    for (const wallet of who.length > 0 ? who : safe.owners.slice(0, 2))
      result = (await sign(wallet, result, world.provider)).result;
    return result;
  }
  const carryOut = (proposal: Proposal) => execute(safe.owners[2].connect(world.provider), book, proposal);
  const carryOutCalls = async (...specs: CallSpec[]) => carryOut(await signed(await proposeCalls(...specs)));

  function run(
    environment: NodeJS.ProcessEnv,
    ...args: string[]
  ): { readonly code: number | null; readonly text: string } {
    const done = spawnSync(process.execPath, [join(ROOT, "scripts", "safe.ts"), ...args], {
      encoding: "utf8",
      env: { PATH: process.env.PATH ?? "", NODE_OPTIONS: "--disable-warning=ExperimentalWarning", ...environment },
    });
    return { code: done.status, text: `${done.stdout}${done.stderr}` };
  }

  it("pauses entries from the command line: proposed, simulated, signed by two owners, executed", async () => {
    const file = join(folder, "pause.json");
    const rpc = ["--rpc", world.chain.url];
    const [first, second, third] = safe.owners;
    const proposed = run({}, "propose", file, ...rpc, "--safe", safe.address, "--call", `${tier.address} ${PAUSE}`);
    assert.equal(proposed.code, 0, proposed.text);
    assert.match(proposed.text, /call 1 to 0x\w+: Tier\.pauseEntries/);
    assert.match(proposed.text, /role guardian; at worst: keeps entries closed/);
    assert.match(proposed.text, /all 1 calls pass/);
    assert.match(proposed.text, /Tier\.status.*: .*false -> .*true/);

    const keystore = join(folder, "key.json");
    writeFileSync(keystore, await second.encrypt("secret"));
    assert.equal(run({ SAFE_KEY: first.privateKey }, "sign", file, ...rpc).code, 0);
    const early = run({ SAFE_KEY: third.privateKey }, "execute", file, ...rpc);
    assert.match(early.text, /2 owners must sign and 1 did: ask 1 of/);
    assert.equal(early.code, 1);
    assert.match(
      run({}, "sign", file).text,
      /No key: name a keystore with --keystore FILE, or put the key into SAFE_KEY/,
    );
    const wrong = run({ SAFE_PASSWORD: "guess" }, "sign", file, "--keystore", keystore);
    assert.match(wrong.text, /does not open: it is not a keystore, or the password is wrong/);
    const offline = run({ SAFE_PASSWORD: "secret" }, "sign", file, "--keystore", keystore);
    assert.equal(offline.code, 0, offline.text);
    assert.match(run({}, "simulate", file, ...rpc).text, /signatures: 2 of 2, enough/);

    const done = run({ SAFE_KEY: third.privateKey }, "execute", file, ...rpc);
    assert.equal(done.code, 0, done.text);
    assert.equal(await paused(), true);
    const again = run({ SAFE_KEY: third.privateKey }, "execute", file, ...rpc);
    assert.match(again.text, /The proposal has number 0, and the Safe is at 1: this number was used/);
    assert.equal(again.code, 1);
  });

  it("makes several calls all or none, where the later ones need the earlier ones", async () => {
    const { weth, protocol, addresses } = { ...world.local, addresses: world.local.protocol.addresses };
    await world.provider.send("hardhat_setBalance", [safe.address, `0x${(5n * ETH).toString(16)}`]);
    const config = [
      "Second",
      "SECOND",
      world.local.strategy,
      String(ETH),
      45 * 86_400,
      { ...tier.terms.params, cap: String(tier.terms.params.cap) },
    ];
    const wrap = { ...to(addresses.weth, "deposit() payable"), value: String(ETH) };
    const approve = to(addresses.weth, "approve", addresses.factory, String(ETH));
    const create = to(addresses.factory, "createTier", config);
    await assert.rejects(
      (async () => {
        const { result, lines } = await rehearse(world.provider, book, await proposeCalls(create));
        assert.equal(result, false);
        throw new Error(lines.join());
      })(),
      /call 1 fails/,
    );
    const count = async () => (await call(protocol.factory, "tierCount")) as bigint;
    const before = await count();
    await carryOutCalls(wrap, approve, create);
    assert.equal(await count(), before + 1n);
    assert.equal(await call(weth, "balanceOf", safe.address), 0n);

    const bad = await proposeCalls(to(tier.address, PAUSE), to(tier.address, "writeOff"), to(tier.address, UNPAUSE));
    const { result, lines } = await rehearse(world.provider, book, bad);
    assert.equal(result, false);
    assert.match(lines.join("\n"), /call 2 fails; it fails with NoDeficit/);
    await assert.rejects(carryOut(await signed(bad)), /Not sent: call 2 would fail now; it fails with NoDeficit/);
    assert.equal(await paused(), false);
  });

  it("announces an upgrade, waits 60 days, and executes it", async () => {
    const { protocol } = world.local;
    const { beacons, weth, reserve } = protocol.addresses;
    const artifact = hardhatArtifacts(IMPLEMENTATIONS.tier.name, IMPLEMENTATIONS.tier.file);
    const next = await deployContract(world.local.signers.outside, artifact, weth, 3_600, 7_200, reserve);
    const upgrade = to(beacons.tier, "upgradeTo", await next.getAddress());
    const { result, lines } = await propose(world.provider, book, [upgrade], {
      safe: safe.address,
      multiSend: safe.multiSend,
      about: "",
    });
    assert.match(lines.join(), /announced: it can be executed 60 days after this transaction/);
    assert.match(show(book, result).join("\n"), /AccessManager\.schedule[\s\S]*data: UpgradeableBeacon\.upgradeTo/);
    await carryOut(await signed(result));
    await assert.rejects(proposeCalls(upgrade), /was announced and can be executed from .*: propose it again then/);
    await passDays(world, 59);
    await assert.rejects(proposeCalls(upgrade), /can be executed from/);
    await passDays(world, 1);
    await carryOutCalls(upgrade);
    assert.equal(await address(protocol.beacons.tier, "implementation"), getAddress(await next.getAddress()));
    await conserved(world, tier);
  });

  it("calls its announced upgrade off", async () => {
    const { beacons, implementations } = world.local.protocol.addresses;
    const upgrade = to(beacons.token, "upgradeTo", implementations.token);
    await carryOutCalls(upgrade);
    await carryOutCalls({ ...upgrade, via: "cancel", of: safe.address });
    await passDays(world, 61);
    const forced = await proposeCalls({ ...upgrade, via: "execute" });
    const { lines } = await rehearse(world.provider, book, forced);
    assert.match(lines.join("\n"), /fails with AccessManagerNotScheduled/);
  });

  it("sees what a mandate would do to U and the limits before anybody signs it", async () => {
    const terms = { ...tier.terms, params: { ...tier.terms.params, k: 1, cap: String(tier.terms.params.cap) } };
    const plain = JSON.parse(JSON.stringify(terms, (_, value) => (typeof value === "bigint" ? String(value) : value)));
    const proposal = await proposeCalls(to(await tier.mandate.getAddress(), "propose", plain));
    const blind = await rehearse(world.provider, book, proposal);
    assert.match(blind.lines.join("\n"), /changes a mandate that no --deployment file names/);
    const view = { tier: tier.address, lens: world.local.protocol.addresses.lens };
    const { lines } = await rehearse(world.provider, book, proposal, () => view);
    const u = (name: string) => Number(new RegExp(`${name}: L_k .* U ([\\d.]+) %`).exec(lines.join("\n"))?.[1]);
    assert.ok(u("in force") > 1.5 * u("at once") && u("at once") > 0, lines.join("\n"));
  });

  it("shows what would be different afterwards, through AccessManager too", async () => {
    const { accessManager, beacons, implementations } = world.local.protocol.addresses;
    const changes = async (...specs: CallSpec[]) =>
      (await rehearse(world.provider, book, await proposeCalls(...specs))).lines.join("\n");
    const quarantined = await changes(to(await tier.risk.getAddress(), "quarantine", 3));
    assert.match(quarantined, /RiskManager\.set\(3\)\.quarantined: false -> true/);
    await send(as(world.local.protocol.accessManager, world.local.signers.admin), "grantRole", 0n, safe.address, 0);
    const someone = user(world, 5).address;
    const granted = await changes(to(accessManager, "grantRole", "2", someone, 0));
    assert.match(granted, new RegExp(`AccessManager\\.hasRole\\(2, ${someone}\\).*false -> true`));
    const upgrade = to(beacons.token, "upgradeTo", implementations.agent);
    await carryOutCalls(upgrade);
    await passDays(world, 60);
    assert.match(
      await changes(upgrade),
      new RegExp(`UpgradeableBeacon\\.implementation: "${implementations.token}" -> "${implementations.agent}"`),
    );
  });

  describe("refuses", () => {
    it("a file that was changed, however it was changed", async () => {
      const text = formatProposal(await signed(await proposeCalls(to(tier.address, PAUSE)), safe.owners[0]));
      const selector = (fn: string) => keccak256(toUtf8Bytes(`${fn}()`)).slice(0, 10);
      const swapped = text.replace(selector(PAUSE ?? ""), selector("writeOff"));
      assert.notEqual(swapped, text);
      assert.throws(() => parseProposal(swapped), /The file was changed: what it proposes hashes to/);
      // hash and calls of another proposal under the signature of this one
      const other = formatProposal(await proposeCalls(to(tier.address, UNPAUSE)));
      const mixed = { ...JSON.parse(other), signatures: JSON.parse(text).signatures };
      assert.throws(() => parseProposal(JSON.stringify(mixed)), /is not his signature of this transaction/);
      const extended = { ...JSON.parse(text), operation: 1 };
      assert.throws(() => parseProposal(JSON.stringify(extended)), /not a proposal/);
      assert.throws(() => parseProposal(text.slice(0, -20)), /not JSON: it was cut or edited/);
      assert.deepEqual(parseProposal(text).calls, parseProposal(formatProposal(parseProposal(text))).calls);
    });

    it("another chain, a used number, and a number that is not its turn", async () => {
      const proposal = await proposeCalls(to(tier.address, PAUSE));
      const elsewhere = parseProposal(formatProposal({ ...proposal, chainId: 1n }));
      await assert.rejects(rehearse(world.provider, book, elsewhere), /for chain 1, and the RPC is of chain 31337/);
      const later = await signed(parseProposal(formatProposal(proposal)));
      await carryOut(later);
      await assert.rejects(carryOut(later), /this number was used/);
      const tooEarly = parseProposal(formatProposal({ ...proposal, nonce: 5n }));
      await assert.rejects(rehearse(world.provider, book, tooEarly), /execute the ones before it first/);
    });

    it("who is not an owner, and too few signatures", async () => {
      const proposal = await proposeCalls(to(tier.address, PAUSE));
      const stranger = new Wallet(Wallet.createRandom().privateKey);
      await assert.rejects(sign(stranger, proposal, world.provider), /is not an owner of the Safe/);
      const offline = (await sign(stranger, proposal)).result; // without a chain nobody can tell
      await assert.rejects(rehearse(world.provider, book, offline), /signed and is not an owner/);
      const once = await signed(proposal, safe.owners[1]);
      await assert.rejects(carryOut(once), /2 owners must sign and 1 did/);
      const twice = await signed(once, safe.owners[1]);
      await assert.rejects(carryOut(twice), /2 owners must sign and 1 did/, "the same owner again is one owner");
    });

    it("a signature of another transaction, and takes one that was made elsewhere", async () => {
      const proposal = await proposeCalls(to(tier.address, PAUSE));
      const message = (of: Proposal) => [domainOf(of), SAFE_TX_TYPES, messageOf(transactionOf(of))] as const;
      const wrong = await safe.owners[0].signTypedData(...message({ ...proposal, nonce: 7n }));
      await assert.rejects(addSignature(proposal, wrong, world.provider), /is no owner: it is of another transaction/);
      await assert.rejects(addSignature(proposal, "0x1234", world.provider), /not a signature/);
      const right = await safe.owners[0].signTypedData(...message(proposal));
      const { result } = await addSignature(proposal, right, world.provider);
      await carryOut(await signed(result, safe.owners[2]));
      assert.equal(await paused(), true);
    });

    it("what would fail now, though it passed when it was proposed", async () => {
      await carryOutCalls(to(await tier.mandate.getAddress(), "propose", riskier()));
      const cancel = await signed(await proposeCalls(to(await tier.mandate.getAddress(), "cancel()")));
      await send(as(tier.mandate, world.local.signers.guardian), "cancel");
      await assert.rejects(carryOut(cancel), /Not sent: call 1 would fail now; it fails with NotProposed/);
    });

    it("a role that the Safe does not hold, an address without a Safe, a foreign MultiSend", async () => {
      const grab = await proposeCalls(
        to(world.local.protocol.addresses.accessManager, "grantRole", 0, safe.address, 0),
      );
      const { lines } = await rehearse(world.provider, book, grab);
      assert.match(lines.join("\n"), /AccessManagerUnauthorizedAccount/);
      const options = { safe: user(world, 0).address, multiSend: safe.multiSend, about: "" };
      await assert.rejects(
        propose(world.provider, book, [to(tier.address, PAUSE)], options),
        /There is no contract at/,
      );
      await assert.rejects(
        propose(world.provider, book, [to(tier.address, PAUSE)], { ...options, safe: tier.address }),
        /does not answer like a Safe/,
      );
      const both = [to(tier.address, PAUSE), to(tier.address, UNPAUSE)];
      await assert.rejects(
        propose(world.provider, book, both, { safe: safe.address, multiSend: tier.address, about: "" }),
        /is not MultiSendCallOnly of a Safe release/,
      );
    });

    it("calls that it cannot write", () => {
      assert.throws(() => book.encode("drain", []), /has no function drain/);
      assert.throws(() => book.encode(PAUSE ?? "", [1]), /takes other arguments: function pauseEntries\(\)/);
      assert.throws(() => book.encode("upgradeTo", ["nobody"]), /arguments do not fit/);
      assert.throws(() => parseCall("0x00"), /write ADDRESS FUNCTION ARGUMENT/);
      assert.deepEqual(parseCall('0xAb f 1 {"k": [1, 2]} true').args, ["1", { k: [1, 2] }, true]);
      assert.equal(readFileSync(join(ROOT, "scripts", "safe.ts"), "utf8").includes("--key "), false);
    });
  });

  function riskier(): unknown {
    const terms = { ...tier.terms, params: { ...tier.terms.params, cap: 2n * tier.terms.params.cap } };
    return JSON.parse(JSON.stringify(terms, (_, value) => (typeof value === "bigint" ? String(value) : value)));
  }
});
