/** A chain on which keepers are killed, and what must hold when their story is over. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Wallet } from "ethers";
import * as z from "zod";
import { Journal } from "../../keeper/transactions/journal.ts";
import { rpc } from "../../scripts/chain.ts";
import type { Setting, Story } from "./kill-stories.ts";
import { automine, coins, fund, identity, type Purse, startPurse } from "./purse.ts";

const CHILD = fileURLToPath(new URL("kill-child.ts", import.meta.url));
const ETHER = 100;
/** Processes that are loaded before they are needed. */
const SPARE = 2;

/** At its nth step, by itself; or so many milliseconds after it began, by us. */
export type Moment = { readonly step: number } | { readonly milliseconds: number };

export class KillWorld {
  readonly #purse: Purse;
  readonly #folder = mkdtempSync(join(tmpdir(), "bulkhead-kills-"));
  readonly #spares: { readonly child: ChildProcess; readonly ready: Promise<unknown> }[] = [];
  #count = 0;

  private constructor(purse: Purse) {
    this.#purse = purse;
  }

  static async open(): Promise<KillWorld> {
    const world = new KillWorld(await startPurse());
    for (let i = 0; i < SPARE; i++) world.#spare();
    return world;
  }

  async close(): Promise<void> {
    for (const { child } of this.#spares) child.kill("SIGKILL");
    await this.#purse.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #spare(): void {
    const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", CHILD], {
      stdio: ["pipe", "pipe", "pipe"],
    });
    assert.ok(child.stdout);
    this.#spares.push({ child, ready: once(child.stdout, "data") });
  }

  /** A new keeper with an account, a journal and payees of its own. */
  async setting(story: Story): Promise<Setting> {
    const { url } = this.#purse.process;
    const wallet = Wallet.createRandom();
    await fund(url, wallet.address, ETHER);
    await automine(url, false);
    await rpc(url, "hardhat_setNextBlockBaseFeePerGas", [`0x${(1e9).toString(16)}`]);
    await rpc(url, "evm_mine", []);
    return {
      story,
      url,
      upkeep: this.#purse.upkeep,
      token: this.#purse.token,
      key: wallet.privateKey,
      journal: join(this.#folder, `${++this.#count}.db`),
      payees: [Wallet.createRandom().address, Wallet.createRandom().address],
      snapshot: z.string().parse(await rpc(url, "evm_snapshot", [])),
    };
  }

  /** Plays the story in a process that is killed; false if the story was over before. */
  async killed(setting: Setting, moment: Moment): Promise<boolean> {
    this.#spare();
    const next = this.#spares.shift();
    assert.ok(next);
    const { child, ready } = next;
    await ready;
    let errors = "";
    child.stderr?.on("data", (chunk: Buffer) => {
      errors += chunk.toString("utf8");
    });
    const exited = once(child, "exit");
    const killAt = "step" in moment ? moment.step : -1;
    child.stdin?.end(`${JSON.stringify({ setting, killAt })}\n`);
    if ("milliseconds" in moment) {
      await Promise.race([sleep(moment.milliseconds), exited]);
      child.kill("SIGKILL");
    }
    const [code, signal] = await exited;
    if (signal !== "SIGKILL") assert.equal(code, 0, errors);
    return signal === "SIGKILL";
  }

  /** What every story must have led to, killed or not. */
  async assertGoodEnd(setting: Setting): Promise<void> {
    const { chain, token } = this.#purse;
    const { address } = new Wallet(setting.key);
    const payments = await Promise.all(setting.payees.map((payee) => coins(chain, token, payee)));
    assert.deepEqual(payments, setting.story === "overtaking" ? [1, 1] : [1, 0], "paid exactly once");

    const journal = Journal.open(setting.journal, identity(this.#purse, address));
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
      // overtaking: what cancels the routine transaction, protection, and the routine one again
      const most = setting.story === "overtaking" ? 3 : 1;
      assert.ok(nonces.length <= most, `${nonces.length} transactions were paid for instead of ${most}`);
      assert.equal(await chain.nonce(address, "latest"), nonces.length + strangers, "the chain counts the same");
      for (const { succeeded, cancelled } of settled) assert.ok(succeeded || cancelled, "nothing reverted");

      if (strangers === 0) {
        const spent = journal.spent().reduce((sum, { wei }) => sum + wei, 0n);
        const left = await chain.balance(address, "latest");
        assert.equal(BigInt(ETHER) * 10n ** 18n - left, spent, "the journal knows of every wei");
      }
    } finally {
      journal.close();
    }
  }
}
