/** Keys: where they come from, what they sign, and that nothing ever shows them. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { inspect } from "node:util";
import { encryptKeystoreJson, Transaction, Wallet } from "ethers";
import { configSchema, type KeyConfig } from "../../keeper/config/schema.ts";
import { main } from "../../keeper/main.ts";
import { KeyError, openSigner, SigningError } from "../../keeper/transactions/signer.ts";
import { ROOT } from "../../scripts/lib/tools.ts";
import { startWeb3Signer, type Web3SignerStandIn } from "./web3signer.ts";

const KEY = "4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318";
const ADDRESS = "0x2c7536E3605D9C16a7a3D7b1898e529396a65c23"; // of KEY, as web3.js' documentation has the pair
const PASSWORD = "correct-horse-battery-staple-7731";
const windows = process.platform === "win32";

const folder = mkdtempSync(join(tmpdir(), "keeper-keys-"));
after(() => rmSync(folder, { recursive: true }));

function write(name: string, text: string, mode = 0o600): string {
  const file = join(folder, name);
  writeFileSync(file, text);
  chmodSync(file, mode);
  return file;
}

const config = (key: Partial<KeyConfig>): KeyConfig => configSchema.parse({ rpc: ["http://node"], key }).key;
const open = (key: Partial<KeyConfig>, environment: NodeJS.ProcessEnv = {}, warn?: (text: string) => void) =>
  openSigner(config(key), { environment, ...(warn === undefined ? {} : { warn }), timeoutMs: 500 });

const ASKED = {
  chainId: 31_337,
  nonce: 7,
  to: "0x5FbDB2315678afecb367f032d93F642f64180aa3",
  data: "0x12345678",
  value: 0n,
  gasLimit: 1_000_000n,
  maxFeePerGas: 30_000_000_000n,
  maxPriorityFeePerGas: 1_000_000_000n,
};

function assertSigned(raw: string): void {
  const signed = Transaction.from(raw);
  assert.equal(signed.from, ADDRESS);
  assert.equal(signed.type, 2);
  const { chainId, nonce, to, data, value, gasLimit, maxFeePerGas, maxPriorityFeePerGas } = signed;
  const asked = { nonce, to, data, value, gasLimit, maxFeePerGas, maxPriorityFeePerGas, chainId: Number(chainId) };
  assert.deepEqual(asked, ASKED);
}

/** Nothing of the key or the password is in the text, in any spelling. */
function assertSilent(text: string): void {
  const secrets = [KEY, PASSWORD, Buffer.from(KEY, "hex").toString("base64"), BigInt(`0x${KEY}`).toString()];
  for (const secret of [...secrets, KEY.slice(1)]) assert.ok(!text.toLowerCase().includes(secret.toLowerCase()), text);
}

let keystore = "";
// few rounds: how long the derivation takes is not what is tested
const encrypted = () => {
  const { address, privateKey } = new Wallet(`0x${KEY}`);
  return encryptKeystoreJson({ address, privateKey }, PASSWORD, { scrypt: { N: 256, r: 8, p: 1 } });
};
before(async () => {
  keystore = write("keystore.json", await encrypted(), 0o644);
});

describe("a key", () => {
  test("comes from an environment variable, which is then empty", async () => {
    const environment = { KEEPER: `0x${KEY}`, OTHER: "1" };
    const signer = await open({ env: "KEEPER" }, environment);
    assertSigned((await signer?.sign(ASKED)) ?? "");
    assert.deepEqual(environment, { OTHER: "1" });
  });

  test("comes from the file that the variable with _FILE names", async () => {
    const signer = await open({ env: "KEEPER" }, { KEEPER_FILE: write("by-variable", `${KEY}\n`) });
    assert.equal(signer?.address, ADDRESS);
  });

  test("comes from a file, with or without 0x and an end of line", async () => {
    for (const text of [KEY, `0x${KEY}`, `${KEY.toUpperCase()}\r\n`]) {
      const signer = await open({ file: write("plain", text) });
      assertSigned((await signer?.sign(ASKED)) ?? "");
    }
  });

  test("comes from a keystore with its password in a file or in a variable, which is then empty", async () => {
    const file = write("password", `${PASSWORD}\n`);
    assertSigned((await (await open({ keystore, password_file: file }))?.sign(ASKED)) ?? "");
    const environment = { WORD: PASSWORD };
    assert.equal((await open({ keystore, password_env: "WORD" }, environment))?.address, ADDRESS);
    assert.deepEqual(environment, {});
  });

  test("is not asked for where the configuration names none", async () => {
    assert.equal(await open({}), undefined);
  });

  test("that is missing or none is refused in words that say what to do", async () => {
    const empty = write("empty", "");
    const cases: readonly (readonly [Partial<KeyConfig>, RegExp])[] = [
      [{ env: "KEEPER" }, /no private key: set KEEPER, or KEEPER_FILE/],
      [{ file: join(folder, "nowhere") }, /private key cannot be read from .*nowhere: there is no such file/],
      [{ file: folder }, /it is no file|it is a folder/],
      [{ file: empty }, /it is empty/],
      [{ file: write("short", KEY.slice(1)) }, /holds no private key: 32 bytes in hex/],
      [{ file: write("zero", "0".repeat(64)) }, /holds no private key/],
      [{ file: write("high", "f".repeat(64)) }, /holds no private key/],
      [{ keystore, password_file: write("wrong", "wrong") }, /does not open: its password is wrong/],
      [{ keystore: empty, password_file: write("any", "any") }, /does not open: it is no Web3 Secret Storage file/],
      [{ keystore: join(folder, "none"), password_file: write("any", "any") }, /keystore cannot be read.*no such file/],
    ];
    for (const [key, words] of cases) {
      const telling = (error: unknown) => {
        assert.ok(error instanceof KeyError, String(error));
        assert.match(error.message, words);
        assertSilent(`${error.stack} ${inspect(error, { showHidden: true, depth: 9 })}`);
        return true;
      };
      await assert.rejects(open(key), telling);
    }
  });

  test("that anybody on the machine can read or change is refused", { skip: windows }, async () => {
    await assert.rejects(open({ file: write("open", KEY, 0o644) }), /Everybody .* can read .*chmod 600/);
    await assert.rejects(open({ file: write("writable", KEY, 0o602) }), /Everybody .* can change .*chmod 600/);
    const key = { keystore, password_file: write("open-password", PASSWORD, 0o604) };
    await assert.rejects(open(key), /which holds a password/);
  });

  test("that its group can read is used with a warning, but for systemd's credentials", { skip: windows }, async () => {
    const said: string[] = [];
    const file = write("group", KEY, 0o640);
    await open({ file }, {}, (text) => said.push(text));
    assert.match(said.join("\n"), /group of .* may read it.*chmod 600/);
    said.length = 0;
    await open({ env: "KEEPER" }, { KEEPER_FILE: file, CREDENTIALS_DIRECTORY: folder }, (text) => said.push(text));
    assert.deepEqual(said, []);
  });
});

describe("a remote signer", () => {
  let standIn: Web3SignerStandIn;
  const remote = (address = ADDRESS) => open({ web3signer: standIn.url, address });
  before(async () => {
    standIn = await startWeb3Signer(new Wallet(`0x${KEY}`), ASKED.chainId);
  });
  after(() => standIn.close());
  const reset = () => {
    standIn.change = undefined;
    standIn.instead = undefined;
    standIn.say = undefined;
    standIn.chainId = ASKED.chainId;
  };

  test("signs the very transaction that it is asked for", async () => {
    const signer = await remote();
    assert.equal(signer?.address, ADDRESS);
    assertSigned((await signer?.sign(ASKED)) ?? "");
  });

  test("that has no such account is refused before anything is signed", async () => {
    const other = Wallet.createRandom().address;
    await assert.rejects(
      remote(other),
      (error) => error instanceof KeyError && /does not sign for/.test(error.message),
    );
  });

  const lies: readonly (readonly [string, () => void, RegExp])[] = [
    ["another nonce", () => (standIn.change = (asked) => ({ ...asked, nonce: "0x8" })), /signed another transaction/],
    ["another target", () => (standIn.change = (asked) => ({ ...asked, to: ADDRESS })), /signed another transaction/],
    ["some value", () => (standIn.change = (asked) => ({ ...asked, value: "0x1" })), /signed another transaction/],
    ["other data", () => (standIn.change = (asked) => ({ ...asked, data: "0x" })), /signed another transaction/],
    ["a dearer fee", () => (standIn.change = (a) => ({ ...a, maxFeePerGas: "0xfffffffffff" })), /another transaction/],
    ["another chain", () => (standIn.chainId = 1), /signs for chain 1, not 31337: start it with --chain-id=31337/],
    ["another key", () => (standIn.instead = new Wallet(`0x${"11".repeat(32)}`)), /signed with the key of 0x19E7/],
  ];
  for (const [what, lie, words] of lies)
    test(`that signs with ${what} is not believed`, async () => {
      const signer = await remote();
      lie();
      const refused = (error: unknown) =>
        error instanceof SigningError && words.test(error.message) && /Nothing was sent/.test(error.message);
      await assert.rejects(async () => signer?.sign(ASKED), refused).finally(reset);
    });

  const faults: readonly (readonly [string, Web3SignerStandIn["say"], RegExp])[] = [
    ["answers no JSON", (response) => response.writeHead(502).end("<html>"), /answers 502 and no JSON/],
    ["answers nothing signed", (response) => response.end('{"result":"0x1234"}'), /answers what is no signed/],
    ["hangs", () => {}, /does not answer \(no answer within the deadline\)/],
    ["closes the connection", (response) => response.destroy(), /does not answer/],
    ["leads elsewhere", (response) => response.writeHead(307, { location: "http://127.0.0.1:1" }).end(), /not answer/],
    ["floods", (response) => response.end("0".repeat(5 * 1024 * 1024)), /its answer is too long/],
    ["refuses", (response) => response.end('{"error":{"code":-32000,"message":"locked"}}'), /refuses .*: locked/],
  ];
  for (const [what, say, words] of faults)
    test(`that ${what} is an error that names it`, async () => {
      const signer = await remote();
      standIn.say = say;
      const named = (error: unknown) =>
        error instanceof SigningError && words.test(error.message) && error.message.includes(standIn.url);
      await assert.rejects(async () => signer?.sign(ASKED), named).finally(reset);
    });
});

describe("whatever a failing process prints, logs or reports", () => {
  const plain = write("child-key", KEY);
  const cases: readonly (readonly [string, () => Partial<KeyConfig>, NodeJS.ProcessEnv, string])[] = [
    ["a key of the environment, an uncaught exception", () => ({ env: "KEEPER" }), { KEEPER: `0x${KEY}` }, "throw"],
    ["a key of a file, a promise that nobody caught", () => ({ file: plain }), {}, "reject"],
    [
      "a keystore with its password in the environment, a transaction that the library refuses",
      () => ({ keystore, password_env: "WORD" }),
      { WORD: PASSWORD },
      "sign",
    ],
  ];
  for (const [what, key, environment, end] of cases)
    test(`does not hold the key or the password: ${what}`, () => {
      const reports = join(folder, `reports-${end}`);
      mkdirSync(reports);
      const child = spawnSync(
        process.execPath,
        [join(ROOT, "test/keeper/key-child.ts"), JSON.stringify(key()), end, reports],
        { env: { ...process.env, ...environment }, encoding: "utf8", maxBuffer: 64 * 1024 * 1024 },
      );
      assert.ok(child.stdout.includes(`signed by ${ADDRESS}`), `It did not get to its end: ${child.stderr}`);
      assert.notEqual(child.status, 0);
      const files = readdirSync(reports).map((name) => readFileSync(join(reports, name), "utf8"));
      assert.equal(files.length, 1, "Node wrote its report of the crash");
      for (const text of [child.stdout, child.stderr, ...files]) assertSilent(text);
    });

  test("does not hold the key or the password: a command that refuses to run", async () => {
    const cases: readonly (readonly [string, NodeJS.ProcessEnv])[] = [
      ["key: { env: KEEPER }", { KEEPER: KEY }], // and then the RPC is dead
      ["key: { env: KEEPER }", { KEEPER: `${KEY}0` }],
      ["key: { env: KEEPER }", { KEEPER: KEY.slice(1) }],
      ["key: { env: KEEPER }", { KEEPER_FILE: KEY }],
      ["key: { env: KEEPER }", { KEEPER_FILE: KEY.slice(1) }],
      [`key: { keystore: ${keystore}, password_env: WORD }`, { WORD: `${PASSWORD}x` }],
      [`key: { keystore: ${plain}, password_env: WORD }`, { WORD: PASSWORD }],
      [`key: { private_key: ${KEY} }`, {}],
      [`key: { file: "${KEY}" }`, {}],
      [`key: { file: "${KEY.slice(1)}" }`, {}],
    ];
    for (const [key, environment] of cases)
      for (const command of ["run", "check", "plan"]) {
        const printed: string[] = [];
        const to = { write: (text: string) => printed.push(text) };
        const config = write("keeper.yaml", `rpc: ["http://127.0.0.1:65533"]\nchain_id: 31337\n${key}\n`);
        const code = await main([command, "--config", config], { out: to, err: to, environment: { ...environment } });
        assert.notEqual(code, 0);
        assert.ok(printed.length > 0);
        assertSilent(printed.join(""));
      }
  });
});
