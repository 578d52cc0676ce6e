/**
 * A deployment that is killed (SIGKILL, at the worst moments) and run again ends as if nothing had happened, and does
 * nothing twice. The process talks to the chain through a relay that kills it around a transaction of our choice.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { parseEther, Wallet } from "ethers";
import { stringify } from "yaml";
import { KEY_VARIABLE } from "../../deploy/account.ts";
import { inputsFor } from "../../deploy/network.ts";
import { planOf } from "../../deploy/plan.ts";
import { stepsOf } from "../../deploy/report.ts";
import { loadDeployment } from "../../deployments/index.ts";
import { type Stage, startStage } from "./chain.ts";

const COMMAND = fileURLToPath(new URL("../../scripts/deploy.ts", import.meta.url));
const wallet = new Wallet(`0x${"d3".repeat(32)}`);

/** Kills around the transaction that is the `at`-th of all: before the chain has it, or before its hash comes back. */
interface Ambush {
  readonly at: number;
  readonly when: "before" | "after";
}

describe("A deployment by the command", () => {
  let stage: Stage;
  let relay: Server;
  let relayUrl: string;
  let child: ChildProcess | undefined;
  let ambush: Ambush | undefined;
  /** What the relay says is the chain's id. */
  let chainId = "0x7a69";
  /** Transactions that the relay saw, sent or not. */
  let seen = 0;

  before(async () => {
    stage = await startStage();
    writeFileSync(join(stage.folder, "network.yaml"), stringify(stage.network));
    const rich = await stage.provider.getSigner(40);
    await (await rich.sendTransaction({ to: wallet.address, value: parseEther("10") })).wait();
    relay = createServer((request, response) => {
      const parts: Buffer[] = [];
      request.on("data", (part: Buffer) => parts.push(part));
      request.on("end", async () => {
        const body = Buffer.concat(parts).toString("utf8");
        const trap = body.includes("eth_sendRawTransaction") && ++seen === ambush?.at ? ambush : undefined;
        if (trap?.when === "before") return child?.kill("SIGKILL");
        const answer = await fetch(stage.url, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body,
        });
        const text = (await answer.text()).replace('"result":"0x7a69"', `"result":"${chainId}"`);
        if (trap) return child?.kill("SIGKILL");
        response.setHeader("content-type", "application/json");
        response.end(text);
      });
    });
    await new Promise<void>((done) => relay.listen(0, "127.0.0.1", done));
    relayUrl = `http://127.0.0.1:${(relay.address() as AddressInfo).port}`;
  });
  after(async () => {
    relay.closeAllConnections();
    relay.close();
    await stage.close();
  });

  const mine = () => stage.provider.send("evm_mine", []);
  const deploy = async (
    trap?: Ambush,
    watch?: (text: string) => void,
    more: readonly string[] = [],
    key = wallet.privateKey,
  ) => {
    ambush = trap;
    seen = 0;
    const args = [
      "--network-config",
      "network.yaml",
      "--rpc",
      relayUrl,
      "--journal",
      "journal/it",
      "--record",
      "it.json",
    ];
    child = spawn(process.execPath, [COMMAND, ...args, ...more], {
      env: { ...process.env, INIT_CWD: stage.folder, [KEY_VARIABLE]: key, NO_COLOR: "1" },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let text = "";
    const take = (part: Buffer) => {
      text += part.toString();
      watch?.(part.toString());
    };
    for (const stream of [child.stdout, child.stderr]) stream?.on("data", take);
    const [code, signal] = await new Promise<[number | null, string | null]>((done) =>
      child?.once("close", (...how) => done(how)),
    );
    return { code, signal, text };
  };
  const steps = () => stepsOf(planOf(inputsFor(stage.network, wallet.address)));
  const sent = () => stage.provider.getTransactionCount(wallet.address);

  it("sends nothing in a dry run, which prints every step", async () => {
    const { code, text } = await deploy(undefined, undefined, ["--dry-run"]);
    assert.equal(code, 0, text);
    assert.match(text, new RegExp(`^${steps().length} transactions on local`, "m"));
    assert.match(text, /Nothing was sent\./);
    assert.equal(seen, 0);
  });

  it("sends nothing to a public network without --yes, or without a key", async () => {
    const { network } = stage;
    chainId = "0x88bb0";
    writeFileSync(join(stage.folder, "network.yaml"), stringify({ ...network, chainId: Number(chainId) }));
    try {
      const unsure = await deploy();
      assert.equal(unsure.code, 2, unsure.text);
      assert.match(unsure.text, /Look at --dry-run first; then send with --yes/);
      const nobody = await deploy(undefined, undefined, ["--yes"], "");
      assert.equal(nobody.code, 2, nobody.text);
      assert.match(nobody.text, /Nobody pays for the deployment: name a key with --keystore FILE, or set/);
      assert.equal(seen, 0);
    } finally {
      chainId = "0x7a69";
      writeFileSync(join(stage.folder, "network.yaml"), stringify(network));
    }
  });

  it("goes on where it was after a kill: before and after a transaction, of a contract and of a call, mined or not", async () => {
    const before = await deploy({ at: 3, when: "before" });
    assert.equal(before.signal, "SIGKILL", before.text);
    const two = await sent();
    assert.equal(two, 2);

    const after = await deploy({ at: 9, when: "after" });
    assert.equal(after.signal, "SIGKILL", after.text);
    assert.match(after.text, /had not been sent when the last run ended: it is sent now/);
    assert.equal(await sent(), two + 9);

    const call = await deploy({ at: 20, when: "after" });
    assert.equal(call.signal, "SIGKILL", call.text);
    assert.match(call.text, /had been sent when the last run ended \(0x[0-9a-f]{64}\): it is not sent again/);

    // and when what was sent is in the pool and in no block yet
    await stage.provider.send("evm_setAutomine", [false]);
    const pooled = await deploy({ at: 1, when: "after" });
    assert.equal(pooled.signal, "SIGKILL", pooled.text);

    const last = await deploy(undefined, (text) => {
      if (text.includes("Waiting for transaction")) void stage.provider.send("evm_setAutomine", [true]).then(mine);
    });
    assert.equal(last.code, 0, last.text);
    assert.match(last.text, /Waiting for transaction \d+ of 0x\w+, which is sent and not mined/);
    assert.match(last.text, /Verified on the chain: .* the deployer has no rights left/);
  });

  it("has sent every step once by then", async () => {
    assert.equal(await sent(), steps().length);
    const contracts = Object.values(loadDeployment(31_337, join(stage.folder, "it.json")).contracts);
    assert.equal(new Set(contracts.map(({ address }) => address)).size, contracts.length);
  });

  it("does nothing when it is run once more, and refuses a journal of another plan", async () => {
    const again = await deploy();
    assert.equal(again.code, 0, again.text);
    assert.equal(seen, 0);
    assert(existsSync(join(stage.folder, "verification", "it", "factory.json")));

    // what is written down is enough to compare it with the chain: no key, no journal
    const verified = await deploy(undefined, undefined, ["--verify"]);
    assert.equal(verified.code, 0, verified.text);
    assert.match(verified.text, /Verified on the chain/);
    assert.doesNotMatch(verified.text, /progress is kept/);

    const changed = { ...stage.network, timings: { ...stage.network.timings, overdueBlocks: 1_000 } };
    writeFileSync(join(stage.folder, "network.yaml"), stringify(changed));
    const other = await deploy();
    assert.equal(other.code, 1, other.text);
    assert.match(other.text, /The journal is of another plan/);
    assert.equal(seen, 0);
  });
});
