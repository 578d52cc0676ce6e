/**
 * What the keeper has written down: every transaction before it is on the wire, and what came of it. SQLite in WAL mode
 * with an fsync for each step, held exclusively, so that a process that is killed at any moment finds its place again
 * and a second process cannot share it.
 */
import { existsSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import Database from "better-sqlite3";
import * as z from "zod";
import type { Memory } from "../daemon/ports.ts";
import type { Action, Job, Remembered, Urgency } from "../plan/types.ts";
import type { BlockRef } from "../state/types.ts";
import type { Fees } from "./fees.ts";
import type { Entry, Stage } from "./types.ts";

/** Whose transactions these are. What is left out is not compared. */
export interface Identity {
  readonly chainId: number;
  /** Hash of block 0: tells two local chains of one id apart. */
  readonly genesis?: string | undefined;
  readonly account?: string | undefined;
  /** The factory's address. */
  readonly deployment: string;
}

export type JournalFault = "locked" | "foreign" | "corrupt" | "newer" | "other" | "unusable";

export class JournalError extends Error {
  override readonly name = "JournalError";
  readonly fault: JournalFault;

  constructor(fault: JournalFault, message: string) {
    super(message);
    this.fault = fault;
  }
}

/** One signed transaction. All of an entry's have its nonce, so at most one of them is ever mined. */
export interface Attempt {
  readonly hash: string;
  readonly raw: string;
  /** "cancel" pays the account itself nothing, only to use the nonce up. */
  readonly kind: "act" | "cancel";
  readonly fees: Fees;
  readonly gasLimit: bigint;
  /** The head on which it was signed. */
  readonly head: number;
  /** Whether an RPC took it. */
  readonly taken: boolean;
}

/** An entry with all that is needed to send it again. */
export interface Recorded extends Entry {
  readonly to: string;
  readonly data: string;
  readonly gasLimit: bigint;
  /** Gas that each action used in the simulation: its share of what the transaction costs. */
  readonly shares: readonly bigint[];
  readonly attempts: readonly Attempt[];
  readonly cancelled: boolean;
}

export interface Draft {
  readonly lane: string;
  readonly tier: string;
  readonly urgency: Urgency;
  readonly actions: readonly Action[];
  readonly shares: readonly bigint[];
  readonly nonce: number;
  readonly to: string;
  readonly data: string;
  readonly gasLimit: bigint;
  readonly createdAt: number;
  readonly decidedAt: number;
}

export interface Mined {
  readonly hash: string;
  readonly block: BlockRef;
  readonly gasUsed: bigint;
  readonly paid: bigint;
  readonly succeeded: boolean;
  readonly cancelled: boolean;
  readonly done: readonly boolean[];
  readonly error?: string | undefined;
}

export interface Spent {
  readonly job: Job | "cancel";
  readonly succeeded: boolean;
  readonly transactions: number;
  readonly gas: bigint;
  readonly wei: bigint;
}

/** "BKHD": SQLite keeps it in the file's header, and `file` shows it. */
const APPLICATION_ID = 0x424b4844;
const LOCK_TIMEOUT_MS = 1_000;

/** Each brings the schema from the version that is its index to the next. Append; never change what was released. */
const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE entries (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    lane TEXT NOT NULL,
    tier TEXT NOT NULL,
    urgency TEXT NOT NULL CHECK (urgency IN ('protection', 'routine')),
    actions TEXT NOT NULL,
    shares TEXT NOT NULL,
    nonce INTEGER NOT NULL,
    target TEXT NOT NULL,
    data TEXT NOT NULL,
    gas_limit TEXT NOT NULL,
    stage TEXT NOT NULL CHECK (stage IN ('intended', 'sent', 'mined', 'final', 'abandoned')),
    created_at INTEGER NOT NULL,
    decided_at INTEGER NOT NULL,
    mined_hash TEXT,
    block_number INTEGER,
    block_hash TEXT,
    block_timestamp INTEGER,
    gas_used TEXT,
    paid TEXT,
    succeeded INTEGER,
    cancelled INTEGER NOT NULL DEFAULT 0,
    done TEXT,
    error TEXT
  ) STRICT;
  -- the rule that nothing else may break: a nonce belongs to one open transaction
  CREATE UNIQUE INDEX one_open_entry_a_nonce ON entries (nonce) WHERE stage IN ('intended', 'sent', 'mined');
  CREATE INDEX entries_by_stage ON entries (stage);
  CREATE TABLE attempts (
    hash TEXT PRIMARY KEY,
    entry INTEGER NOT NULL REFERENCES entries (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    raw TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('act', 'cancel')),
    max_fee TEXT NOT NULL,
    tip TEXT NOT NULL,
    gas_limit TEXT NOT NULL,
    head INTEGER NOT NULL,
    taken INTEGER NOT NULL DEFAULT 0
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX attempts_by_entry ON attempts (entry, position);
  CREATE TABLE surroundings (
    tier TEXT NOT NULL, position INTEGER NOT NULL, registrar TEXT NOT NULL, strategies TEXT NOT NULL,
    PRIMARY KEY (tier, position)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE spending (
    job TEXT NOT NULL, succeeded INTEGER NOT NULL, transactions INTEGER NOT NULL, gas TEXT NOT NULL, wei TEXT NOT NULL,
    PRIMARY KEY (job, succeeded)
  ) STRICT, WITHOUT ROWID;
  `,
];

const entryRow = z.object({
  id: z.number(),
  lane: z.string(),
  tier: z.string(),
  urgency: z.enum(["protection", "routine"]),
  actions: z.string(),
  shares: z.string(),
  nonce: z.number(),
  target: z.string(),
  data: z.string(),
  gas_limit: z.string(),
  stage: z.enum(["intended", "sent", "mined", "final", "abandoned"]),
  created_at: z.number(),
  decided_at: z.number(),
  mined_hash: z.string().nullable(),
  block_number: z.number().nullable(),
  block_hash: z.string().nullable(),
  block_timestamp: z.number().nullable(),
  gas_used: z.string().nullable(),
  paid: z.string().nullable(),
  succeeded: z.number().nullable(),
  cancelled: z.number(),
  done: z.string().nullable(),
  error: z.string().nullable(),
});
const attemptRow = z.object({
  hash: z.string(),
  raw: z.string(),
  kind: z.enum(["act", "cancel"]),
  max_fee: z.string(),
  tip: z.string(),
  gas_limit: z.string(),
  head: z.number(),
  taken: z.number(),
});
const strings = z.array(z.string());
const booleans = z.array(z.boolean());
/** Written by this program only; its shape is the type's. */
const actions = z.custom<readonly Action[]>(Array.isArray);
const sum = z.object({ transactions: z.number(), gas: z.string(), wei: z.string() });

const OPEN = "('intended', 'sent', 'mined')";

export class Journal implements Memory {
  readonly file: string;
  readonly identity: Identity;
  readonly #db: Database.Database;
  readonly #statements = new Map<string, Database.Statement>();

  /**
   * Opens the journal, or begins it where there is none. JournalError (which says what to do) when it is held by another
   * process, is damaged, is no journal, or is another account's, chain's or deployment's; the file is then left as it was.
   */
  static open(file: string, identity: Identity): Journal {
    const path = file === ":memory:" ? file : resolve(file);
    if (path !== ":memory:" && !existsSync(dirname(path)))
      throw new JournalError(
        "unusable",
        `There is no folder ${dirname(path)} for the journal: create it, or set "journal" in the configuration.`,
      );
    let db: Database.Database;
    try {
      db = new Database(path, { timeout: LOCK_TIMEOUT_MS });
    } catch (error) {
      throw translate(error, path);
    }
    try {
      db.pragma("locking_mode = EXCLUSIVE");
      // nothing is written before it is certain that the file is this keeper's
      if (recognise(db, path)) compare(db, identity, path);
      db.pragma("journal_mode = WAL");
      db.pragma("synchronous = FULL");
      db.pragma("foreign_keys = ON");
      const known = db
        .transaction(() => {
          migrate(db);
          return claim(db, identity);
        })
        .exclusive();
      return new Journal(path, known, db);
    } catch (error) {
      db.close();
      throw translate(error, path);
    }
  }

  private constructor(file: string, identity: Identity, db: Database.Database) {
    this.file = file;
    this.identity = identity;
    this.#db = db;
  }

  /** Lets go of the file. Safe to call twice. */
  close(): void {
    if (this.#db.open) this.#db.close();
  }

  /** Fails where the disk is full or the file is gone; what readiness asks. */
  assertWritable(): void {
    this.#set("checked_at", String(Math.floor(Date.now() / 1_000)));
  }

  // ------------------------------------------------------------------------------------------------ transactions

  /** What is not final, lowest nonce first. */
  open(): readonly Recorded[] {
    return this.#entries(`SELECT * FROM entries WHERE stage IN ${OPEN} ORDER BY nonce`);
  }

  entry(id: number): Recorded | undefined {
    return this.#entries("SELECT * FROM entries WHERE id = ?", id)[0];
  }

  /** One of the lane that took effect after a block: whoever looks at that block does not see it yet. */
  minedAfter(lane: string, block: number): Recorded | undefined {
    return this.#entries(
      "SELECT * FROM entries WHERE lane = ? AND block_number > ? AND cancelled = 0 ORDER BY block_number DESC LIMIT 1",
      lane,
      block,
    )[0];
  }

  /** The last entries of all stages, the newest first. */
  history(limit: number): readonly Recorded[] {
    return this.#entries("SELECT * FROM entries ORDER BY id DESC LIMIT ?", limit);
  }

  /** All that ever had this nonce: at most one of their attempts is mined. */
  ofNonce(nonce: number): readonly Recorded[] {
    return this.#entries("SELECT * FROM entries WHERE nonce = ? ORDER BY id", nonce);
  }

  /** Every nonce below it is used up for good, whatever an RPC says. */
  get settledNonce(): number {
    return Number(this.#get("settled_nonce") ?? 0);
  }

  /** The lowest nonce that no open transaction has, given how many the chain counts. */
  nextNonce(latest: number): number {
    let nonce = Math.max(latest, this.settledNonce);
    for (const entry of this.open()) if (entry.nonce === nonce) nonce++;
    return nonce;
  }

  /** Writes an intent down. From here on its nonce is taken. */
  intend(draft: Draft): Recorded {
    return this.#write(() => {
      if (draft.nonce < this.settledNonce)
        throw new Error(`Nonce ${draft.nonce} was used up before (the next is ${this.settledNonce}).`);
      const { lastInsertRowid } = this.#run(
        `INSERT INTO entries (lane, tier, urgency, actions, shares, nonce, target, data, gas_limit, stage, created_at,
         decided_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'intended', ?, ?)`,
        draft.lane,
        draft.tier,
        draft.urgency,
        JSON.stringify(draft.actions),
        JSON.stringify(draft.shares.map(String)),
        draft.nonce,
        draft.to,
        draft.data,
        String(draft.gasLimit),
        draft.createdAt,
        draft.decidedAt,
      );
      return this.#found(Number(lastInsertRowid));
    });
  }

  /** Writes a signed transaction down, before anybody sees it. */
  attempted(id: number, attempt: Omit<Attempt, "taken">): Recorded {
    return this.#write(() => {
      this.#run(
        `INSERT INTO attempts (hash, entry, position, raw, kind, max_fee, tip, gas_limit, head)
         VALUES (?, ?, (SELECT count(*) FROM attempts WHERE entry = ?), ?, ?, ?, ?, ?, ?)`,
        attempt.hash,
        id,
        id,
        attempt.raw,
        attempt.kind,
        String(attempt.fees.maxFeePerGas),
        String(attempt.fees.maxPriorityFeePerGas),
        String(attempt.gasLimit),
        attempt.head,
      );
      return this.#found(id);
    });
  }

  /** An RPC took the attempt. */
  taken(id: number, hash: string): Recorded {
    return this.#write(() => {
      this.#run("UPDATE attempts SET taken = 1 WHERE hash = ? AND entry = ?", hash, id);
      this.#run("UPDATE entries SET stage = 'sent' WHERE id = ? AND stage = 'intended'", id);
      return this.#found(id);
    });
  }

  /** It is in a block that is not final. */
  mined(id: number, mined: Mined): Recorded {
    return this.#write(() => {
      this.#run(
        `UPDATE entries SET stage = 'mined', mined_hash = ?, block_number = ?, block_hash = ?, block_timestamp = ?,
         gas_used = ?, paid = ?, succeeded = ?, cancelled = ?, done = ?, error = ? WHERE id = ?`,
        mined.hash,
        mined.block.number,
        mined.block.hash,
        mined.block.timestamp,
        String(mined.gasUsed),
        String(mined.paid),
        Number(mined.succeeded),
        Number(mined.cancelled),
        JSON.stringify(mined.done),
        mined.error ?? null,
        id,
      );
      return this.#found(id);
    });
  }

  /** Its block is no longer of the chain. */
  unmined(id: number): Recorded {
    return this.#write(() => {
      this.#run(
        `UPDATE entries SET stage = 'sent', mined_hash = NULL, block_number = NULL, block_hash = NULL,
         block_timestamp = NULL, gas_used = NULL, paid = NULL, succeeded = NULL, cancelled = 0, done = NULL,
         error = NULL WHERE id = ? AND stage = 'mined'`,
        id,
      );
      return this.#found(id);
    });
  }

  /** Its block is final: what it cost is counted, once. */
  final(id: number): Recorded {
    return this.#write(() => {
      const before = this.#found(id);
      if (before.stage !== "mined") throw new Error(`Transaction ${id} is ${before.stage}, not mined.`);
      this.#run("UPDATE entries SET stage = ? WHERE id = ?", before.cancelled ? "abandoned" : "final", id);
      this.#count(before);
      this.#settle(before.nonce);
      return this.#found(id);
    });
  }

  /** It is given up: never signed, or its nonce was used by something else (then `used`, and nobody gets it again). */
  abandoned(id: number, reason: string, used: boolean): Recorded {
    return this.#write(() => {
      const before = this.#found(id);
      this.#run("UPDATE entries SET stage = 'abandoned', error = ? WHERE id = ?", reason, id);
      if (used) this.#settle(before.nonce);
      return this.#found(id);
    });
  }

  /** An entry that had been given up was mined after all: it has the nonce again, instead of the one that came after it. */
  revived(id: number, instead: number, reason: string): Recorded {
    return this.#write(() => {
      this.#run("UPDATE entries SET stage = 'abandoned', error = ? WHERE id = ?", reason, instead);
      this.#run("UPDATE entries SET stage = 'sent', error = NULL WHERE id = ? AND stage = 'abandoned'", id);
      return this.#found(id);
    });
  }

  /** Forgets all but the last `keep` of what is over. The sums and the nonces stay. */
  prune(keep: number): number {
    return this.#write(
      () =>
        this.#run(
          `DELETE FROM entries WHERE stage NOT IN ${OPEN} AND id <= coalesce(
           (SELECT id FROM entries WHERE stage NOT IN ${OPEN} ORDER BY id DESC LIMIT 1 OFFSET ?), 0)`,
          keep,
        ).changes,
    );
  }

  // ------------------------------------------------------------------------------------------------------ memory

  remembered(): readonly Remembered[] {
    const row = z.object({ tier: z.string(), position: z.number(), registrar: z.string(), strategies: z.string() });
    return this.#all("SELECT * FROM surroundings ORDER BY tier, position", row).map((one) => ({
      tier: one.tier,
      set: one.position,
      registrar: one.registrar,
      strategies: strings.parse(JSON.parse(one.strategies)),
    }));
  }

  remember(seen: readonly Remembered[]): void {
    this.#write(() => {
      for (const one of seen)
        this.#run(
          "INSERT OR REPLACE INTO surroundings (tier, position, registrar, strategies) VALUES (?, ?, ?, ?)",
          one.tier,
          one.set,
          one.registrar,
          JSON.stringify(one.strategies),
        );
    });
  }

  /** Gas and wei by job, of what is final. */
  spent(): readonly Spent[] {
    const row = sum.extend({ job: z.custom<Spent["job"]>((job) => typeof job === "string"), succeeded: z.number() });
    return this.#all("SELECT * FROM spending ORDER BY job, succeeded DESC", row).map((one) => ({
      job: one.job,
      succeeded: one.succeeded === 1,
      transactions: one.transactions,
      gas: BigInt(one.gas),
      wei: BigInt(one.wei),
    }));
  }

  // ---------------------------------------------------------------------------------------------------- internals

  /** Shares out what a transaction cost by what its actions used. */
  #count(entry: Recorded): void {
    const gas = entry.gasUsed ?? 0n;
    const paid = entry.paid ?? 0n;
    if (entry.cancelled || entry.actions.length === 0) {
      this.#add("cancel", true, gas, paid);
      return;
    }
    const total = entry.shares.reduce((all, share) => all + share, 0n);
    let [gasLeft, paidLeft] = [gas, paid];
    for (const [i, action] of entry.actions.entries()) {
      const last = i === entry.actions.length - 1;
      const share = total === 0n ? 0n : (entry.shares[i] ?? 0n);
      const ofGas = last ? gasLeft : total === 0n ? 0n : (gas * share) / total;
      const ofPaid = last ? paidLeft : total === 0n ? 0n : (paid * share) / total;
      this.#add(action.job, entry.done?.[i] ?? false, ofGas, ofPaid);
      gasLeft -= ofGas;
      paidLeft -= ofPaid;
    }
  }

  #add(job: Spent["job"], succeeded: boolean, gas: bigint, wei: bigint): void {
    const select = "SELECT transactions, gas, wei FROM spending WHERE job = ? AND succeeded = ?";
    const [before = { transactions: 0, gas: "0", wei: "0" }] = this.#all(select, sum, job, Number(succeeded));
    this.#run(
      "INSERT OR REPLACE INTO spending (job, succeeded, transactions, gas, wei) VALUES (?, ?, ?, ?, ?)",
      job,
      Number(succeeded),
      before.transactions + 1,
      String(BigInt(before.gas) + gas),
      String(BigInt(before.wei) + wei),
    );
  }

  #settle(nonce: number): void {
    if (nonce >= this.settledNonce) this.#set("settled_nonce", String(nonce + 1));
  }

  #get(name: string): string | undefined {
    const [row] = this.#all("SELECT value FROM about WHERE name = ?", z.object({ value: z.string() }), name);
    return row?.value;
  }

  #set(name: string, value: string): void {
    this.#run("INSERT OR REPLACE INTO about (name, value) VALUES (?, ?)", name, value);
  }

  #found(id: number): Recorded {
    const entry = this.entry(id);
    if (!entry) throw new Error(`The journal has no transaction ${id}.`);
    return entry;
  }

  #entries(sql: string, ...args: readonly unknown[]): readonly Recorded[] {
    return this.#all(sql, entryRow, ...args).map((row) => {
      const attempts = this.#all("SELECT * FROM attempts WHERE entry = ? ORDER BY position", attemptRow, row.id).map(
        (one): Attempt => ({
          hash: one.hash,
          raw: one.raw,
          kind: one.kind,
          fees: { maxFeePerGas: BigInt(one.max_fee), maxPriorityFeePerGas: BigInt(one.tip) },
          gasLimit: BigInt(one.gas_limit),
          head: one.head,
          taken: one.taken === 1,
        }),
      );
      const stage: Stage = row.stage;
      const mined =
        row.mined_hash === null || row.block_number === null || row.block_hash === null || row.block_timestamp === null
          ? {}
          : {
              minedAs: row.mined_hash,
              minedIn: { number: row.block_number, hash: row.block_hash, timestamp: row.block_timestamp },
              gasUsed: BigInt(row.gas_used ?? 0),
              paid: BigInt(row.paid ?? 0),
              succeeded: row.succeeded === 1,
              done: booleans.parse(JSON.parse(row.done ?? "[]")),
            };
      return {
        id: row.id,
        lane: row.lane,
        tier: row.tier,
        urgency: row.urgency,
        actions: actions.parse(JSON.parse(row.actions)),
        shares: strings.parse(JSON.parse(row.shares)).map(BigInt),
        nonce: row.nonce,
        to: row.target,
        data: row.data,
        gasLimit: BigInt(row.gas_limit),
        stage,
        hashes: attempts.map(({ hash }) => hash),
        attempts,
        createdAt: row.created_at,
        decidedAt: row.decided_at,
        cancelled: row.cancelled === 1,
        ...mined,
        ...(row.error === null ? {} : { error: row.error }),
      };
    });
  }

  #all<Row extends z.ZodType>(sql: string, row: Row, ...args: readonly unknown[]): readonly z.output<Row>[] {
    return z.array(row).parse(this.#statement(sql).all(...args));
  }

  #run(sql: string, ...args: readonly unknown[]): Database.RunResult {
    try {
      return this.#statement(sql).run(...args);
    } catch (error) {
      throw translate(error, this.file);
    }
  }

  #write<T>(work: () => T): T {
    try {
      return this.#db.transaction(work).immediate();
    } catch (error) {
      throw translate(error, this.file);
    }
  }

  #statement(sql: string): Database.Statement {
    let statement = this.#statements.get(sql);
    if (!statement) {
      statement = this.#db.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }
}

/** False where the file is still empty, true where it is a journal. Only reads: somebody else's file must stay as it is. */
function recognise(db: Database.Database, path: string): boolean {
  const tables = z.number().parse(db.prepare("SELECT count(*) FROM sqlite_schema").pluck().get());
  const application = db.pragma("application_id", { simple: true });
  if (application !== APPLICATION_ID && (application !== 0 || tables > 0))
    throw new JournalError(
      "foreign",
      `${path} is a database of another program: set "journal" in the configuration to a file of the keeper's own.`,
    );
  const version = z.number().parse(db.pragma("user_version", { simple: true }));
  if (version > MIGRATIONS.length)
    throw new JournalError(
      "newer",
      `${path} was written by a newer keeper (version ${version} of its journal, this one knows ${MIGRATIONS.length}): run that release or a newer one.`,
    );
  const health = z.array(z.object({ quick_check: z.string() })).parse(db.pragma("quick_check(1)"));
  if (health[0]?.quick_check !== "ok") throw damaged(path, health[0]?.quick_check ?? "it has no answer");
  return tables > 0;
}

function migrate(db: Database.Database): void {
  const version = z.number().parse(db.pragma("user_version", { simple: true }));
  if (version === MIGRATIONS.length) return;
  for (const migration of MIGRATIONS.slice(version)) db.exec(migration);
  db.pragma(`user_version = ${MIGRATIONS.length}`);
  db.pragma(`application_id = ${APPLICATION_ID}`);
}

const WORDS = {
  chainId: "chain",
  genesis: "chain (hash of block 0)",
  account: "account",
  deployment: "deployment (factory)",
} as const;
const NAMES = Object.keys(WORDS) as readonly (keyof typeof WORDS)[];

const written = (db: Database.Database, name: keyof Identity): string | undefined =>
  z.string().optional().parse(db.prepare("SELECT value FROM about WHERE name = ?").pluck().get(name));
const mineOf = (identity: Identity, name: keyof Identity): string | undefined =>
  identity[name] === undefined ? undefined : String(identity[name]).toLowerCase();

function compare(db: Database.Database, identity: Identity, path: string): void {
  for (const name of NAMES) {
    const [known, mine] = [written(db, name), mineOf(identity, name)];
    if (known === undefined || mine === undefined || known === mine) continue;
    throw new JournalError(
      "other",
      `The journal ${path} belongs to ${WORDS[name]} ${known}, not to ${mine}: set "journal" in the configuration to a file for this one. Keep the old file; it knows what was sent.`,
    );
  }
}

/** Writes down whose the journal is, as far as it does not say so. Gives all that is known. */
function claim(db: Database.Database, identity: Identity): Identity {
  const known = (name: keyof Identity): string | undefined => {
    const [before, mine] = [written(db, name), mineOf(identity, name)];
    if (before !== undefined || mine === undefined) return before;
    db.prepare("INSERT INTO about (name, value) VALUES (?, ?)").run(name, mine);
    return mine;
  };
  return {
    chainId: Number(known("chainId")),
    genesis: known("genesis"),
    account: known("account"),
    deployment: known("deployment") ?? identity.deployment,
  };
}

const damaged = (path: string, detail: string) =>
  new JournalError(
    "corrupt",
    `The journal ${path} is damaged (${detail.replace(/\s+/g, " ")}): move it away and start with a new one, after a look at the account's pending transactions; what it had in flight is then looked after by nobody.`,
  );

/** SQLite's codes in words that say what to do. */
function translate(error: unknown, path: string): unknown {
  if (!(error instanceof Database.SqliteError)) return error;
  const { code } = error;
  if (code.startsWith("SQLITE_BUSY") || code.startsWith("SQLITE_LOCKED"))
    return new JournalError(
      "locked",
      `Another process has the journal ${path} open: a journal belongs to one keeper. Stop the other, or give this one its own journal and key.`,
    );
  if (code.startsWith("SQLITE_NOTADB"))
    return new JournalError(
      "foreign",
      `${path} is no journal: set "journal" in the configuration to a file of the keeper's own, or to one that does not exist yet.`,
    );
  if (code.startsWith("SQLITE_CORRUPT")) return damaged(path, error.message);
  if (
    ["SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_FULL", "SQLITE_IOERR", "SQLITE_PERM"].some((one) =>
      code.startsWith(one),
    )
  ) {
    const folder = existsSync(path) && statSync(path).isDirectory() ? " It is a folder." : "";
    return new JournalError(
      "unusable",
      `The journal ${path} cannot be written (${error.message}).${folder} See to its permissions and to the disk.`,
    );
  }
  return error;
}
