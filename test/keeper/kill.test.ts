/**
 * kill -9 at every step. A process with a real chain, a real mempool and a real `Upkeep` batch ends itself by SIGKILL at
 * a step; another goes on with its journal. The end must be the same as without a kill: the action took effect exactly
 * once, it was paid for once, nonces have no gap, and the journal has nothing open.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Wallet } from "ethers";
import * as z from "zod";
import { Journal } from "../../keeper/transactions/journal.ts";
import type { Step } from "../../keeper/transactions/sender.ts";
import { rpc } from "../../scripts/chain.ts";
import { play, type Setting, type Story } from "./kill-stories.ts";
import { automine, coins, fund, identity, type Purse, startPurse } from "./purse.ts";

const CHILD = fileURLToPath(new URL("kill-child.ts", import.meta.url));
const ETHER = 100;
/** Processes that are loaded before they are needed. */
const SPARE = 2;

let purse: Purse;
let folder: string;
let count = 0;
const spares: { child: ChildProcess; ready: Promise<unknown> }[] = [];

function spare() {
  const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", CHILD], {
    stdio: ["pipe", "pipe", "pipe"],
  });
  assert.ok(child.stdout);
  spares.push({ child, ready: once(child.stdout, "data") });
}

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "bulkhead-kills-"));
  for (let i = 0; i < SPARE; i++) spare();
  purse = await startPurse();
});
after(async () => {
  for (const { child } of spares) child.kill("SIGKILL");
  await purse?.close();
  rmSync(folder, { recursive: true, force: true });
});

async function newSetting(story: Story): Promise<Setting> {
  const { url } = purse.process;
  const wallet = Wallet.createRandom();
  await fund(url, wallet.address, ETHER);
  await automine(url, false);
  await rpc(url, "hardhat_setNextBlockBaseFeePerGas", [`0x${(1e9).toString(16)}`]);
  await rpc(url, "evm_mine", []);
  return {
    story,
    url,
    upkeep: purse.upkeep,
    token: purse.token,
    key: wallet.privateKey,
    journal: join(folder, `${++count}.db`),
    payees: [Wallet.createRandom().address, Wallet.createRandom().address],
    snapshot: z.string().parse(await rpc(url, "evm_snapshot", [])),
  };
}

/** Plays the story in a process that dies at its nth step. */
async function killed(setting: Setting, killAt: number): Promise<void> {
  spare();
  const next = spares.shift();
  assert.ok(next);
  const { child, ready } = next;
  await ready;
  let errors = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    errors += chunk.toString("utf8");
  });
  const exited = once(child, "exit");
  child.stdin?.end(`${JSON.stringify({ setting, killAt })}\n`);
  const [, signal] = await exited;
  assert.equal(signal, "SIGKILL", errors);
}

/** What every story must have led to, killed or not. */
async function assertGoodEnd(setting: Setting): Promise<void> {
  const { address } = new Wallet(setting.key);
  const payments = await Promise.all(setting.payees.map((payee) => coins(purse.chain, purse.token, payee)));
  assert.deepEqual(payments, setting.story === "overtaking" ? [1, 1] : [1, 0], "paid exactly once");

  const journal = Journal.open(setting.journal, identity(purse, address));
  try {
    assert.deepEqual(journal.open(), [], "nothing is open");
    const settled = journal
      .history(100)
      .filter(({ minedAs, stage }) => minedAs !== undefined && (stage === "final" || stage === "abandoned"));
    const strangers = setting.story === "stranger" ? 1 : 0;
    const nonces = settled.map(({ nonce }) => nonce).sort((a, b) => a - b);
    assert.deepEqual(
      nonces,
      Array.from(nonces, (_, i) => i + strangers),
      "each nonce once, without a gap",
    );
    assert.equal(await purse.chain.nonce(address, "latest"), nonces.length + strangers, "the chain counts the same");
    for (const { succeeded, cancelled } of settled) assert.ok(succeeded || cancelled, "nothing reverted");

    if (strangers === 0) {
      const spent = journal.spent().reduce((sum, { wei }) => sum + wei, 0n);
      const left = await purse.chain.balance(address, "latest");
      assert.equal(BigInt(ETHER) * 10n ** 18n - left, spent, "the journal knows of every wei");
    }
  } finally {
    journal.close();
  }
}

/** Where each story is not what an earlier one is: numbers of steps. */
const NEW: Readonly<Record<Story, (visited: readonly Step[]) => readonly number[]>> = {
  replacement: (visited) => range(0, visited.length),
  // from protection's signature to the end of what clears its way
  overtaking: (visited) => range(visited.indexOf("signed", visited.indexOf("taken")), visited.indexOf("found")),
  reorg: (visited) => range(visited.indexOf("unmined"), visited.indexOf("found", visited.indexOf("unmined"))),
  stranger: (visited) => [visited.indexOf("abandoning"), visited.indexOf("abandoned")],
};
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

for (const story of ["replacement", "overtaking", "reorg", "stranger"] as const) {
  test(`${story}: killed at any step, the end is the same as without a kill`, async (t) => {
    const visited: Step[] = [];
    const undisturbed = await newSetting(story);
    await play(undisturbed, (step) => {
      visited.push(step);
    });
    await assertGoodEnd(undisturbed);

    const steps = NEW[story](visited);
    assert.ok(steps.length > 0 && !steps.includes(-1), visited.join(", "));
    for (const i of steps) {
      await t.test(`at step ${i + 1}, ${visited[i]}`, async () => {
        const setting = await newSetting(story);
        await killed(setting, i);
        await play(setting, () => {});
        await assertGoodEnd(setting);
      });
    }
  });
}
