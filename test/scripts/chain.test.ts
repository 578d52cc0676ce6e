import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type Chain, rpc, startChain } from "../../scripts/chain.ts";

const CHAIN = new URL("../../scripts/chain.ts", import.meta.url).href;

async function answers(url: string): Promise<boolean> {
  return rpc(url, "eth_chainId", []).then(
    () => true,
    () => false,
  );
}

async function gone(url: string): Promise<boolean> {
  for (let tries = 0; tries < 50; tries++) {
    if (!(await answers(url))) return true;
    await sleep(100);
  }
  return false;
}

/** Another process with a chain of its own; resolves with the chain's address. */
async function holder(): Promise<{ process: ChildProcess; url: string }> {
  const code = `const { startChain } = await import(${JSON.stringify(CHAIN)});
    console.log((await startChain()).url); setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", code], { stdio: ["ignore", "pipe", "inherit"] });
  const [first] = (await once(child.stdout, "data")) as [Buffer];
  return { process: child, url: first.toString().trim() };
}

describe("the local chain", () => {
  let chain: Chain;
  before(async () => {
    chain = await startChain();
  });
  after(() => chain.stop());

  it("has chain id 31337, fifty rich accounts, and mines 100,800 blocks at 12 s within a second", async () => {
    assert.equal(await rpc(chain.url, "eth_chainId", []), "0x7a69");
    assert.equal(((await rpc(chain.url, "eth_accounts", [])) as string[]).length, 50);
    const time = async () => {
      const block = (await rpc(chain.url, "eth_getBlockByNumber", ["latest", false])) as { timestamp: string };
      return Number(block.timestamp);
    };
    const before = await time();
    const begin = performance.now();
    await rpc(chain.url, "hardhat_mine", ["0x189c0", "0xc"]);
    assert.ok(performance.now() - begin < 1000);
    assert.equal(await rpc(chain.url, "eth_blockNumber", []), "0x189c0");
    assert.ok((await time()) - before >= (100_800 - 1) * 12);
  });

  it("refuses code over EIP-170's limit, as mainnet does", async () => {
    const [from] = (await rpc(chain.url, "eth_accounts", [])) as string[];
    const deploy = (size: number) => {
      const data = `0x62${size.toString(16).padStart(6, "0")}5ff3`; // PUSH3 size, PUSH0, RETURN
      return rpc(chain.url, "eth_sendTransaction", [{ from, gas: "0xf42400", data }]);
    };
    await deploy(24_576);
    await assert.rejects(deploy(24_577));
  });

  it("runs beside another one, which is gone after stop(), and stop() may be called again", async () => {
    const other = await startChain();
    assert.notEqual(other.port, chain.port);
    await other.stop();
    await other.stop();
    assert.equal(await answers(other.url), false);
    assert.equal(await answers(chain.url), true);
  });

  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    it(`ends with its owner on ${signal}`, async () => {
      const owner = await holder();
      assert.equal(await answers(owner.url), true);
      owner.process.kill(signal);
      await once(owner.process, "exit");
      assert.equal(await gone(owner.url), true);
    });
  }

  it("says which port is taken and what to do", async () => {
    await assert.rejects(startChain({ port: chain.port }), new RegExp(`Port ${chain.port} is taken: choose another`));
  });
});
