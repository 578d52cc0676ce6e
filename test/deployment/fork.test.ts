/**
 * `npm start -- --fork`: the story on a copy of a network. No public network can be reached from everywhere, so the
 * original here is a local chain whose EigenLayer, Lido and WETH belong to somebody else; with FORK_RPC_URL set, a public
 * one is copied as well.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { stringify } from "yaml";
import { forkComplaint, readScenario } from "../../scenario/load.ts";
import { ROOT } from "../../scripts/lib/tools.ts";
import { type Stage, startStage } from "./chain.ts";

/** A copy is taken some blocks behind the head, where nothing is reorganised any more. */
const SAFE = 140;

async function play(...args: readonly string[]): Promise<{ readonly code: number | null; readonly output: string }> {
  const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", "scenario/run.ts", ...args], {
    cwd: ROOT,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, FORCE_COLOR: "0", INIT_CWD: ROOT },
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (part: Buffer) => (output += part.toString()));
  return new Promise((resolve) => child.once("close", (code) => resolve({ code, output })));
}

describe("A fork", () => {
  let stage: Stage;
  let config: string;
  const write = (name: string, change: Partial<Stage["network"]> = {}) => {
    const file = join(stage.folder, name);
    // the copy's own accounts play the roles
    const { roles: _, ...network } = { ...stage.network, ...change };
    writeFileSync(file, stringify(network));
    return file;
  };
  before(async () => {
    stage = await startStage();
    config = write("network.yaml");
    for (let i = 0; i < SAFE; i++) await stage.provider.send("evm_mine", []);
  });
  after(() => stage.close());

  it("plays its story on somebody else's EigenLayer and Lido, and sends nothing to the original", async () => {
    const head = await stage.provider.getBlockNumber();
    const { code, output } = await play("--fork", stage.url, "--network-config", config);
    assert.equal(code, 0, output);
    assert.match(output, /✓ Copy: junior lost a part/);
    assert.match(output, /✓ Copy: senior lost nothing/);
    assert.match(output, /completes 2 withdrawals from EigenLayer; asks Lido for ETH/);
    assert.doesNotMatch(output, /Lido pays/);
    assert.doesNotMatch(output, /FAILED/);
    assert.equal(await stage.provider.getBlockNumber(), head);
  });

  it("refuses a network that is not as its configuration says, each difference in a sentence", async () => {
    const { eigenlayer } = stage.network;
    const delays = { withdrawal: 50, deallocation: 100_800, configuration: 126_000 };
    const file = write("other.yaml", { eigenlayer: { ...eigenlayer, delays } });
    const { code, output } = await play("--fork", stage.url, "--network-config", file);
    assert.equal(code, 2, output);
    assert.match(output, /minWithdrawalDelayBlocks is 100800; the configuration expects 50/);
  });

  it("needs a configuration of the right chain, and a node that answers", async () => {
    const none = await play("--fork", stage.url);
    assert.equal(none.code, 2);
    assert.match(none.output, /No file in deploy\/networks\/ is of chain 31337: name one with --network-config/);
    const mainnet = await play("--fork", stage.url, "--network-config", "deploy/networks/mainnet.yaml");
    assert.equal(mainnet.code, 2);
    assert.match(mainnet.output, /on chain 31337; .*mainnet\.yaml is of chain 1/);
    const nobody = await play("--fork", "http://127.0.0.1:65531", "--network-config", config);
    assert.equal(nobody.code, 2);
    assert.match(nobody.output, /does not answer/);
  });

  it("tells no story that needs Lido's oracle or EigenLayer's rewards updater", () => {
    const story = readFileSync(join(ROOT, "scenarios/fork.yaml"), "utf8");
    const told = (from: string, to: string) => {
      assert(story.includes(from));
      return forkComplaint(readScenario(story.replace(from, to), "fork.yaml"));
    };
    assert.equal(forkComplaint(readScenario(story, "fork.yaml")), undefined);
    assert.match(told("yield: 0 %", "yield: 3 %") ?? "", /nobody reports Lido's rewards/);
    assert.match(told("- wait: 1 day", "- staking loss: 1 %") ?? "", /nobody reports a loss of Lido/);
    const paid = "- pay rewards: { avs: [Bridge], rate: 1 %, for: 7 days }";
    assert.match(told("- wait: 1 day", paid) ?? "", /EigenLayer publishes its own roots/);
  });

  const url = process.env.FORK_RPC_URL;
  const skip = url === undefined ? "set FORK_RPC_URL to a node of a public network to play it there" : false;
  it("plays its story on a copy of a public network", { skip }, async () => {
    const { code, output } = await play("--fork", url ?? "");
    assert.equal(code, 0, output);
  });
});
