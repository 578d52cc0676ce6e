/** A deployment does the same however it is carried out, ends as planned, and the audit would see if it did not. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { Contract, type Filter, getAddress, Interface, JsonRpcProvider, type JsonRpcSigner, type Log } from "ethers";
import { rpcProvider } from "../../deploy/account.ts";
import { fullArtifact } from "../../deploy/artifacts.ts";
import { type AuditOptions, audit, sameCode } from "../../deploy/audit.ts";
import { send } from "../../deploy/eigenlayer.ts";
import { run } from "../../deploy/ignition.ts";
import { logsOf } from "../../deploy/logs.ts";
import { inputsFor, networkFile, readNetwork } from "../../deploy/network.ts";
import { ACCESS_MANAGER, beaconId, FACTORY, handsOver, implementationId, planOf } from "../../deploy/plan.ts";
import { deployProtocol } from "../../deploy/protocol.ts";
import { recordOf, writeVerification } from "../../deploy/record.ts";
import { expectedAddresses, report, stepsOf } from "../../deploy/report.ts";
import { IMPLEMENTATIONS, KINDS } from "../../deploy/roles.ts";
import { openCalls, type RoleCall } from "../../deploy/tiers.ts";
import { deploymentSchema, loadDeployment, saveDeployment } from "../../deployments/index.ts";
import { type Stage, startStage } from "./chain.ts";

const TIER = `
tiers:
  - name: Careful
    symbol: CARE
    seed: "0.1"
    mandateDelay: 3888000
    params: { k: 1, marginBps: 500, haircutBps: 200, bufferBps: 300, instantFeeBps: 20, quarantineBps: 100, cap: "10" }
`;

describe("A deployment", () => {
  let stage: Stage;
  let deployer: string;
  let addresses: ReadonlyMap<string, string>;
  let blocks: Map<string, number>;
  let expected: ReadonlyMap<string, string>;
  let firstBlock: number;
  const addressOf = (id: string): string => {
    const address = addresses.get(id);
    assert(address !== undefined, `${id} was not deployed`);
    return address;
  };
  const inputs = () => inputsFor(stage.network, deployer);
  const auditOf = (change: Partial<AuditOptions> = {}) =>
    audit({ provider: stage.provider, plan: planOf(inputs()), deployer, addressOf, fromBlock: firstBlock, ...change });

  before(async () => {
    stage = await startStage();
    deployer = await (await stage.provider.getSigner(40)).getAddress();
    firstBlock = (await stage.provider.getBlockNumber()) + 1;
    const plan = planOf(inputs());
    expected = expectedAddresses(plan, deployer, await stage.provider.getTransactionCount(deployer));
    blocks = new Map();
    const node = rpcProvider(stage.url);
    addresses = await run({
      plan,
      deployer,
      confirmations: 1,
      polling: 5,
      log: () => {},
      provider: {
        async request(call) {
          const result = await node.request(call);
          const receipt = result as { contractAddress?: string; blockNumber?: string } | null;
          if (call.method === "eth_getTransactionReceipt" && receipt?.contractAddress)
            blocks.set(getAddress(receipt.contractAddress), Number(receipt.blockNumber));
          return result;
        },
      },
    });
  });
  after(() => stage.close());

  it("ends as planned: code, immutables, beacons and every right", async () => {
    assert.deepEqual(await auditOf(), []);
  });

  it("leaves the deployer nothing", async () => {
    assert(handsOver(inputs()));
    const manager = new Contract(addressOf("accessManager"), fullArtifact(ACCESS_MANAGER).abi, stage.provider);
    for (const role of [0n, 1n, 2n, 3n, 4n]) {
      const [member] = await manager.getFunction("hasRole")(role, deployer);
      assert.equal(member, false);
    }
    const signer = await stage.provider.getSigner(deployer);
    await assert.rejects(send(manager.connect(signer) as Contract, "grantRole", 1, deployer, 0));
  });

  it("sends one transaction a step, in the order and to the addresses that the review printed", async () => {
    const plan = planOf(inputs());
    assert.equal(await stage.provider.getTransactionCount(deployer), stepsOf(plan).length);
    assert.deepEqual(Object.fromEntries(addresses), Object.fromEntries(expected));
    assert.equal(stepsOf(plan).at(-1), "renounce_admin");
    const lines = report(plan, inputs(), stage.network, 0).join("\n");
    for (const id of stepsOf(plan)) {
      const call = plan.calls.find((one) => one.id === id);
      assert(lines.includes(call?.about ?? `as ${id}, expected at`), `the review leaves ${id} out`);
    }
    for (const holder of Object.values(stage.network.roles)) assert(lines.includes(holder));
    assert.match(lines, /upgrader +0x\w+ +60 days/);
    assert.match(lines, /overdueBlocks +216000/);
  });

  it("gives the same code, rights and parameters when it is carried out directly, as tests do", async () => {
    const from = (await stage.provider.getBlockNumber()) + 1;
    const protocol = await deployProtocol({
      ...inputs(),
      signer: await stage.provider.getSigner(deployer),
    });
    const { implementations, beacons, ...single } = protocol.addresses;
    const directly = new Map<string, string>([
      ...Object.entries(single),
      ...KINDS.map((kind) => [implementationId(kind), implementations[kind]] as const),
      ...KINDS.map((kind) => [beaconId(kind), beacons[kind]] as const),
    ]);
    for (const { id } of planOf(inputs()).contracts) assert(directly.has(id), `${id} is missing`);
    const at = (id: string) => directly.get(id) ?? addressOf(id);
    assert.deepEqual(await auditOf({ addressOf: at, fromBlock: from }), []);
  });

  it("is told apart from what was planned: another parameter, another right, another beacon", async () => {
    const other = planOf({ ...inputs(), timings: { ...inputs().timings, overdueBlocks: 1 } });
    assert.deepEqual(await auditOf({ plan: other }), [
      `stakesImplementation (${addressOf("stakesImplementation")}) has other code than StakeManager compiled here with these arguments.`,
    ]);
    const moved = planOf({ ...inputs(), roles: { ...inputs().roles, guardian: deployer } });
    const found = await auditOf({ plan: moved });
    assert(found.some((line) => line.startsWith(`${deployer} holds guardian: nothing`)));
    assert(found.some((line) => line.includes("which the plan does not give")));
    const swapped = (id: string) => addressOf(id === "tierBeacon" ? "riskBeacon" : id);
    assert((await auditOf({ addressOf: swapped })).some((line) => line.startsWith("What tierBeacon points at")));
    const bare = (id: string) => (id === "tierImplementation" ? stage.network.weth : addressOf(id));
    assert((await auditOf({ addressOf: bare })).some((line) => /tierImplementation .* can be initialised/.test(line)));
  });

  it("reads the same events from a node that limits their range", async () => {
    class Limited extends JsonRpcProvider {
      override async getLogs(filter: Filter): Promise<Log[]> {
        const [from, to] = [Number(filter.fromBlock), filter.toBlock === "latest" ? Infinity : Number(filter.toBlock)];
        if (!(to - from < 10)) throw new Error("at most 10 blocks");
        return super.getLogs(filter);
      }
    }
    const limited = new Limited(stage.url, 31_337, { staticNetwork: true, batchMaxCount: 1, cacheTimeout: -1 });
    try {
      const { abi } = fullArtifact(ACCESS_MANAGER);
      const at = (provider: JsonRpcProvider) => new Contract(addressOf("accessManager"), abi, provider);
      const hashes = async (...[provider, range]: [JsonRpcProvider, number?]) =>
        (await logsOf(at(provider), "*", firstBlock, range)).map((log) => [log.transactionHash, log.index]);
      const all = await hashes(stage.provider);
      assert(all.length > 50);
      assert.deepEqual(await hashes(limited, 10), all);
    } finally {
      limited.destroy();
    }
  });

  it("sees a right that somebody gave later", async () => {
    const snapshot: unknown = await stage.provider.send("evm_snapshot", []);
    const manager = new Contract(
      addressOf("accessManager"),
      fullArtifact(ACCESS_MANAGER).abi,
      stage.outside.signers.admin,
    );
    await send(manager, "grantRole", 2, deployer, 0);
    assert.deepEqual(await auditOf(), [
      `${deployer} holds guardian: with a delay of 0 s, which the plan does not give.`,
      `The deployer (${deployer}) still holds the role guardian.`,
    ]);
    await stage.provider.send("evm_revert", [snapshot]);
  });

  it("allows code to differ only where a contract holds its own address", () => {
    const own = "0x00000000000000000000000000000000000000Ab";
    const word = (last: string) => `${"00".repeat(31)}${last}`;
    const ranges = [{ start: 1, length: 32 }];
    assert(sameCode(`0x60${word("ab")}`, `0x60${word("00")}`, ranges, own));
    assert(!sameCode(`0x60${word("ac")}`, `0x60${word("00")}`, ranges, own));
    assert(!sameCode(`0x61${word("ab")}`, `0x60${word("00")}`, ranges, own));
    assert(!sameCode(`0x60${word("ab")}`, `0x60${word("00")}`, [], own));
  });

  it("is written down for those who build on it, with the tiers that exist, and read back", async () => {
    const { signers, weth, strategy } = stage.outside;
    const plan = planOf(inputs());
    const recorded = () =>
      recordOf({
        network: "local",
        chainId: 31_337,
        inputs: inputs(),
        strategy,
        plan,
        addressOf,
        provider: stage.provider,
        blockOf: (address) => blocks.get(getAddress(address)),
      });
    const text = readFileSync(networkFile("mainnet"), "utf8").concat(TIER);
    const { tiers } = readNetwork(text, "tiers.yaml");
    const [first] = tiers;
    assert(first);

    // the curator's calls, and then the admin's, as the files for their Safes have them
    const known = [weth.interface, fullArtifact(FACTORY).abi, fullArtifact(ACCESS_MANAGER).abi].map((one) =>
      Interface.from(one as never),
    );
    const callAs = async (signer: JsonRpcSigner, file: string, missing: readonly string[]) => {
      const files = await openCalls(stage.provider, await recorded(), tiers, missing);
      assert.deepEqual([...files.keys()], [file]);
      const calls: RoleCall[] = JSON.parse(JSON.stringify(files.get(file)));
      for (const { to, function: fn, args } of calls) {
        const face = known.find((one) => one.hasFunction(fn));
        await (await signer.sendTransaction({ to, data: face?.encodeFunctionData(fn, [...args]) ?? "0x" })).wait();
      }
    };
    await send(weth.connect(signers.curator) as Contract, "deposit", { value: first.seed });
    await callAs(signers.curator, "curator-opens-CARE", []);
    const missing = await auditOf();
    assert(
      missing.length > 0 && missing.every((line) => /: nothing instead of (curator|guardian|canceller)/.test(line)),
    );
    await callAs(signers.admin, "admin-permits-CARE", missing);
    assert.deepEqual(await auditOf(), []);
    const record = await recorded();
    assert.equal((await openCalls(stage.provider, record, tiers, [])).size, 0);
    const file = saveDeployment(record, join(stage.folder, "31337.json"));
    const read = loadDeployment(31_337, file);
    assert.deepEqual(read, record);
    assert.equal(read.startBlock, firstBlock);
    assert.equal(read.tiers[0]?.symbol, "CARE");
    assert.throws(() => loadDeployment(1, file), /of chain 31337, not of chain 1/);
    // whoever reads the file can talk to the protocol with nothing else
    const entry = read.contracts.factory;
    assert(entry);
    const factory = new Contract(entry.address, (read.abis[entry.abi] ?? []) as never, stage.provider);
    assert.equal(await factory.getFunction("tierAt")(0), read.tiers[0]?.tier);
    assert(Interface.from((read.abis.TrancheToken ?? []) as never).getFunction("requestRedeem"));
    assert(!deploymentSchema.safeParse({ ...record, abis: {} }).success);
  });

  it("writes down what explorers verify with: the compiler's own input and the constructor's arguments", async () => {
    const plan = planOf(inputs());
    const folder = join(stage.folder, "verification");
    assert.equal(writeVerification(folder, plan, addressOf).length, plan.contracts.length);
    const entry = JSON.parse(readFileSync(join(folder, "riskImplementation.json"), "utf8"));
    assert.equal(entry.contract, "project/contracts/core/risk/RiskManager.sol:RiskManager");
    assert.equal(entry.compiler, "v0.8.30+commit.73712a01");
    // creation code and arguments are what the transaction carried
    const created = await stage.provider.getBlock(blocks.get(addressOf("riskImplementation")) ?? 0, true);
    const { bytecode } = fullArtifact(IMPLEMENTATIONS.risk);
    assert.equal(created?.prefetchedTransactions[0]?.data, bytecode + entry.constructorArguments);
    const input = JSON.parse(readFileSync(join(folder, entry.standardJsonInput), "utf8"));
    assert.equal(input.language, "Solidity");
    assert(input.sources["project/contracts/core/risk/RiskManager.sol"].content.includes("contract RiskManager"));
    assert.deepEqual(input.settings.optimizer, { enabled: true, runs: 200 });
  });
});
