/** The journal: what it must never lose, confuse or overwrite. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, beforeEach, test } from "node:test";
import { fileURLToPath } from "node:url";
import Database from "better-sqlite3";
import type { Action } from "../../keeper/plan/types.ts";
import {
  type Attempt,
  type Draft,
  type Identity,
  Journal,
  JournalError,
  type JournalFault,
  type Mined,
} from "../../keeper/transactions/journal.ts";

const folder = mkdtempSync(join(tmpdir(), "bulkhead-journal-"));
after(() => rmSync(folder, { recursive: true, force: true }));
let file = "";
let count = 0;
beforeEach(() => {
  file = join(folder, `${++count}.db`);
});

const ME: Identity = { chainId: 1, account: `0x${"Aa".repeat(20)}`, deployment: `0x${"bb".repeat(20)}` };
const TIER = `0x${"cc".repeat(20)}`;
const HUGE = 123_456_789_012_345_678_901_234_567_890n;

const action = (job: Action["job"]): Action => ({
  tier: TIER,
  job,
  subject: 'agent 2, "set" 5',
  urgency: "routine",
  reason: "U is 1.23",
  call: { target: TIER, data: "0x12", text: "unwind(2, 5)" },
});
const draft = (nonce: number, more: Partial<Draft> = {}): Draft => ({
  lane: `${TIER}/routine`,
  tier: TIER,
  urgency: "routine",
  actions: [action("deploy"), action("unbond")],
  shares: [300_000n, 100_000n],
  nonce,
  to: TIER,
  data: "0xdead",
  gasLimit: 500_000n,
  createdAt: 1_700_000_000,
  decidedAt: 100,
  ...more,
});
const attempt = (hash: string, more: Partial<Attempt> = {}): Omit<Attempt, "taken"> => ({
  hash,
  raw: `0x02${hash}`,
  kind: "act",
  fees: { maxFeePerGas: HUGE, maxPriorityFeePerGas: 1n },
  gasLimit: 500_000n,
  head: 100,
  ...more,
});
const mined = (hash: string, more: Partial<Mined> = {}): Mined => ({
  hash,
  block: { number: 105, hash: "0xb10c", timestamp: 1_700_000_060 },
  gasUsed: 400_001n,
  paid: HUGE,
  succeeded: true,
  cancelled: false,
  done: [true, false],
  ...more,
});

function fault(work: () => unknown, expected: JournalFault, words: RegExp): void {
  assert.throws(work, (error) => {
    assert.ok(error instanceof JournalError, String(error));
    assert.equal(error.fault, expected);
    assert.match(error.message, words);
    return true;
  });
}

test("what was written is there after the process is gone, to the wei and the word", () => {
  const journal = Journal.open(file, ME);
  const { id } = journal.intend(draft(7));
  journal.attempted(id, attempt("0x01"));
  journal.taken(id, "0x01");
  journal.attempted(id, attempt("0x02", { kind: "cancel" }));
  const before = journal.mined(id, mined("0x01", { error: "unbond: NothingToUnbond()" }));
  journal.remember([{ tier: TIER, set: 3, registrar: "0x0a", strategies: ["0x0b", "0x0c"] }]);
  journal.close();

  const again = Journal.open(file, ME);
  assert.deepEqual(again.open(), [before]);
  assert.deepEqual(again.entry(id)?.hashes, ["0x01", "0x02"]);
  assert.equal(before.paid, HUGE);
  assert.deepEqual(before.done, [true, false]);
  assert.deepEqual(before.actions, draft(7).actions);
  assert.deepEqual(again.remembered(), [{ tier: TIER, set: 3, registrar: "0x0a", strategies: ["0x0b", "0x0c"] }]);
  again.close();
});

test("what a killed process had committed is there, and what it had not is not", () => {
  const code = `
    import { Journal } from ${JSON.stringify(fileURLToPath(new URL("../../keeper/transactions/journal.ts", import.meta.url)))};
    const journal = Journal.open(${JSON.stringify(file)}, ${JSON.stringify(ME)});
    const big = (key, value) => (key === "shares" ? value.map(BigInt) : key === "gasLimit" ? BigInt(value) : value);
    const draft = JSON.parse(${JSON.stringify(
      JSON.stringify(draft(0), (_, value) => (typeof value === "bigint" ? String(value) : value)),
    )}, big);
    journal.intend(draft);
    try { journal.intend(draft); } catch {}
    process.kill(process.pid, "SIGKILL");
  `;
  const child = spawnSync(process.execPath, ["--input-type=module", "-e", code], { encoding: "utf8" });
  assert.equal(child.signal, "SIGKILL", child.stderr);
  const journal = Journal.open(file, ME);
  assert.deepEqual(
    journal.open().map(({ nonce, stage }) => ({ nonce, stage })),
    [{ nonce: 0, stage: "intended" }],
  );
  journal.close();
});

test("a second process cannot share it", () => {
  const journal = Journal.open(file, ME);
  const code = `
    import { Journal } from ${JSON.stringify(fileURLToPath(new URL("../../keeper/transactions/journal.ts", import.meta.url)))};
    try { Journal.open(${JSON.stringify(file)}, ${JSON.stringify(ME)}); console.log("opened"); }
    catch (error) { console.log(error.fault, error.message); }
  `;
  const child = spawnSync(process.execPath, ["--input-type=module", "-e", code], { encoding: "utf8" });
  assert.match(child.stdout, /^locked Another process has the journal .* open: a journal belongs to one keeper/);
  journal.intend(draft(0)); // the first goes on
  journal.close();
  Journal.open(file, ME).close();
});

test("a journal of another chain, account or deployment is refused by name and stays as it was", () => {
  Journal.open(file, { ...ME, genesis: "0x01" }).close();
  const before = readFileSync(file);
  fault(() => Journal.open(file, { ...ME, chainId: 5 }), "other", /belongs to chain 1, not to 5.*set "journal"/);
  fault(() => Journal.open(file, { ...ME, account: `0x${"11".repeat(20)}` }), "other", /belongs to account 0xaaaa/);
  fault(() => Journal.open(file, { ...ME, deployment: TIER }), "other", /belongs to deployment \(factory\) 0xbbbb/);
  fault(() => Journal.open(file, { ...ME, genesis: "0x02" }), "other", /hash of block 0\) 0x01, not to 0x02/);
  assert.deepEqual(readFileSync(file), before);
  const same = Journal.open(file, { ...ME, account: ME.account?.toLowerCase() });
  assert.equal(same.identity.genesis, "0x01");
  same.close();
});

test("a file that is no journal is never overwritten", () => {
  const text = "dear diary, today I slashed an operator".repeat(100);
  writeFileSync(file, text);
  fault(() => Journal.open(file, ME), "foreign", /is no journal/);
  assert.equal(readFileSync(file, "utf8"), text);

  const other = join(folder, "other.db");
  const db = new Database(other);
  db.exec("CREATE TABLE recipes (name TEXT)");
  db.close();
  const before = readFileSync(other);
  fault(() => Journal.open(other, ME), "foreign", /database of another program/);
  assert.deepEqual(readFileSync(other), before);
});

test("a damaged journal is found out when it is opened, and stays as it was", () => {
  const journal = Journal.open(file, ME);
  for (let i = 0; i < 50; i++)
    journal.attempted(journal.intend(draft(i)).id, attempt(`0x${i}`, { raw: "00".repeat(2_000) }));
  journal.close();
  const bytes = readFileSync(file);
  bytes.fill(0xff, 4_096 * 3, 4_096 * 6);
  writeFileSync(file, bytes);
  fault(() => Journal.open(file, ME), "corrupt", /is damaged .*move it away and start with a new one/);
  assert.deepEqual(readFileSync(file), bytes);
});

test("a journal of a newer keeper is refused, and one that was begun but not finished is begun again", () => {
  const db = new Database(file);
  db.pragma("application_id = 1112229956");
  db.pragma("user_version = 99");
  db.close();
  fault(() => Journal.open(file, ME), "newer", /written by a newer keeper \(version 99/);
  writeFileSync(join(folder, "empty.db"), "");
  Journal.open(join(folder, "empty.db"), ME).close();
});

test("a folder that is missing, and one in the file's place, are told with what to do", () => {
  fault(() => Journal.open(join(folder, "none", "keeper.db"), ME), "unusable", /There is no folder .*create it/);
  mkdirSync(file);
  fault(() => Journal.open(file, ME), "unusable", /It is a folder/);
  assert.ok(!existsSync(`${file}-wal`));
});

test("an open transaction's nonce is nobody else's, and one that is final is never used again", () => {
  const journal = Journal.open(file, ME);
  const first = journal.intend(draft(journal.nextNonce(4)));
  const second = journal.intend(draft(journal.nextNonce(4)));
  assert.deepEqual([first.nonce, second.nonce], [4, 5]);
  assert.throws(() => journal.intend(draft(4)), /UNIQUE/);

  journal.abandoned(first.id, "never signed", false);
  assert.equal(journal.nextNonce(4), 4); // nothing was signed for it
  journal.attempted(second.id, attempt("0x05"));
  journal.mined(second.id, mined("0x05"));
  assert.equal(journal.nextNonce(5), 6);
  journal.final(second.id);
  assert.equal(journal.nextNonce(0), 6, "an RPC that is behind changes nothing");
  assert.throws(() => journal.intend(draft(5)), /was used up before/);
  journal.close();
  const again = Journal.open(file, ME);
  assert.equal(again.nextNonce(0), 6);
  assert.equal(again.nextNonce(9), 9);
  again.close();
});

test("gas is counted by job when it is final, once, whole, and also after pruning", () => {
  const journal = Journal.open(file, ME);
  for (let i = 0; i < 5; i++) {
    const { id } = journal.intend(draft(i));
    journal.attempted(id, attempt(`0x0${i}`));
    journal.mined(id, mined(`0x0${i}`));
    journal.unmined(id);
    journal.mined(id, mined(`0x0${i}`));
    assert.equal(journal.spent().find(({ job }) => job === "deploy")?.transactions ?? 0, i);
    journal.final(id);
    assert.throws(() => journal.final(id), /is final, not mined/);
  }
  const spent = journal.spent();
  const total = (pick: (one: (typeof spent)[number]) => bigint) => spent.reduce((sum, one) => sum + pick(one), 0n);
  assert.equal(
    total(({ gas }) => gas),
    5n * 400_001n,
  );
  assert.equal(
    total(({ wei }) => wei),
    5n * HUGE,
  );
  assert.deepEqual(
    spent.map(({ job, succeeded, transactions }) => [job, succeeded, transactions]),
    [
      ["deploy", true, 5],
      ["unbond", false, 5],
    ],
  );
  journal.intend(draft(5));
  assert.equal(journal.prune(2), 3);
  assert.deepEqual(
    journal.history(10).map(({ nonce }) => nonce),
    [5, 4, 3],
  );
  assert.deepEqual(journal.spent(), spent);
  assert.equal(journal.nextNonce(0), 6);
  journal.close();
});
