/** The configuration's file: what is read, what is refused and in which words, and the page that is printed of it. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import fc from "fast-check";
import { stringify as toToml } from "smol-toml";
import { stringify as toYaml } from "yaml";
import * as z from "zod";
import { ConfigError, loadConfig, readConfig, unwrapped } from "../../keeper/config/file.ts";
import { FILLED_IN, printConfig } from "../../keeper/config/print.ts";
import { configSchema } from "../../keeper/config/schema.ts";
import { hostOf } from "../../keeper/config/secrets.ts";
import { ROOT } from "../../scripts/lib/tools.ts";

const folder = mkdtempSync(join(tmpdir(), "keeper-config-"));
after(() => rmSync(folder, { recursive: true }));

const KEY = "4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318";

function complaints(text: string, file = "keeper.yaml"): string[] {
  try {
    readConfig(text, file);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.message.split("\n");
  }
  return assert.fail("It was taken.");
}

/** Every key with its schema, groups included. */
function* keys(schema: z.ZodObject, path: readonly string[] = []): Generator<[string, z.ZodType]> {
  for (const [key, value] of Object.entries(schema.shape)) {
    yield [[...path, key].join("."), value as z.ZodType];
    const inner = unwrapped(value as z.ZodType);
    if (inner instanceof z.ZodObject) yield* keys(inner, [...path, key]);
  }
}

describe("the configuration's schema", () => {
  test("says a sentence about every key", () => {
    for (const [name, schema] of keys(configSchema)) assert.match(schema.description ?? "", /^[A-Z].{12,}\.$/, name);
  });

  test("has a default for all but the RPC and what is optional", () => {
    const needed = [...keys(configSchema)].filter(([, schema]) => !schema.safeParse(undefined).success);
    assert.deepEqual(
      needed.map(([name]) => name),
      ["rpc"],
    );
    assert.doesNotThrow(() => readConfig("rpc: [http://node]", "keeper.yaml"));
  });
});

describe("keeper config", () => {
  test("prints a file that reads as the defaults, with the RPC and the key filled in", () => {
    assert.deepEqual(readConfig(printConfig(), "keeper.yaml"), configSchema.parse(FILLED_IN));
  });

  test("puts every key below its sentence", () => {
    const words = printConfig()
      .replaceAll(/\n\s*# /g, " ")
      .replaceAll(/\s+/g, " ");
    for (const [name, schema] of keys(configSchema)) {
      const key = name.split(".").at(-1);
      assert.ok(words.includes(`${schema.description} ${key}:`), name);
    }
  });

  test("has lines of at most 100 columns", () => {
    assert.deepEqual(
      printConfig()
        .split("\n")
        .filter((line) => line.length > 100),
      [],
    );
  });

  test("is what stands in keeper/keeper.example.yaml", () => {
    assert.equal(readFileSync(join(ROOT, "keeper/keeper.example.yaml"), "utf8"), printConfig());
  });

  test("every line that it comments out can be used", () => {
    const example = printConfig();
    for (const [, indent = "", key = "", value = ""] of example.matchAll(/^( *)# (\w+): (.+)$/gm)) {
      const alone = readOne(key, value, indent !== "");
      assert.ok(alone, `${key}: ${value}`);
    }
    function readOne(key: string, value: string, ofKey: boolean): boolean {
      const group = [...keys(configSchema)].find(([name]) => name.endsWith(`.${key}`))?.[0].split(".")[0];
      const lines = ofKey ? [`${group}:`, `  ${key}: ${value}`] : [`${key}: ${value}`];
      const partner: Record<string, string> = {
        keystore: "password_file: password",
        password_file: "keystore: keystore.json",
        password_env: "keystore: keystore.json",
        web3signer: 'address: "0x0000000000000000000000000000000000000001"',
        address: "web3signer: http://127.0.0.1:9000",
      };
      if (partner[key] !== undefined) lines.push(`  ${partner[key]}`);
      readConfig(`rpc: [http://node]\n${lines.join("\n")}\n`, "keeper.yaml");
      return true;
    }
  });
});

describe("a configuration file", () => {
  test("is the same in YAML and in TOML", () => {
    const written = {
      chain_id: 31_337,
      rpc: ["https://one.example", "http://two.example:8545/path"],
      tiers: ["0x5fbdb2315678afecb367f032d93f642f64180aa3"],
      key: { file: "/run/key" },
      routine: { min_move_eth: "0.5", band_bps: 50 },
      fees: { routine: { max_fee_gwei: 12.5 }, min_balance_eth: 3 },
    };
    const yaml = readConfig(toYaml(written), "keeper.yaml");
    assert.deepEqual(readConfig(toToml(written), "keeper.toml"), yaml);
    assert.deepEqual(yaml.tiers, ["0x5FbDB2315678afecb367f032d93F642f64180aa3"]);
    assert.equal(yaml.fees.min_balance_eth, "3");
    assert.equal(yaml.fees.routine.replace_after_blocks, 25, "the rest of a group keeps its defaults");
  });

  test("takes an address without quotes as an address, not as a number", () => {
    const config = readConfig(
      "rpc: [http://node]\ntiers:\n  - 0x5FbDB2315678afecb367f032d93F642f64180aa3\n",
      "keeper.yaml",
    );
    assert.deepEqual(config.tiers, ["0x5FbDB2315678afecb367f032d93F642f64180aa3"]);
  });

  test("names files as seen from its own folder", () => {
    const file = join(folder, "keeper.yaml");
    writeFileSync(
      file,
      "rpc: [http://node]\njournal: data/keeper.db\nkey: { file: /abs/key }\nroutine: { claims: claims }",
    );
    const config = loadConfig(file);
    assert.equal(config.journal, join(folder, "data/keeper.db"));
    assert.equal(config.key.file, "/abs/key");
    assert.equal(config.routine.claims, join(folder, "claims"));
  });

  test("that is not there is refused with a way to get one", () => {
    assert.throws(() => loadConfig(join(folder, "none.yaml")), /none\.yaml: there is no such file.*keeper -- config/);
    assert.throws(() => loadConfig(folder), /it is a folder/);
  });
});

describe("a complaint about a configuration", () => {
  const cases: readonly (readonly [string, string, RegExp])[] = [
    ["a missing RPC", "chain_id: 1\n", /^keeper\.yaml:1:1: rpc: It is missing\. Add .*rpc: \[/],
    ["an empty file", "", /^keeper\.yaml:1:1: rpc: It is missing/],
    [
      "a misspelt key",
      "rpc: [http://a]\nagrement: 2\n",
      /:2:1: agrement: There is no such key\. Did you mean agreement\?$/,
    ],
    [
      "a misspelt key in a group",
      "rpc: [http://a]\nlog:\n  levle: info\n",
      /:3:3: log\.levle: .*Did you mean level\?$/,
    ],
    [
      "an unlike key",
      "rpc: [http://a]\nhttp: { tls: true }\n",
      /:2:9: http\.tls: There is no such key\. There are host, port\.$/,
    ],
    ["a text for a number", "rpc: [http://a]\nchain_id: one\n", /:2:11: chain_id: It is a text\. Write a number\.$/],
    [
      "a part for a whole",
      "rpc: [http://a]\nagreement: 1.5\n",
      /:2:12: agreement: It is 1\.5\. Write a whole number\.$/,
    ],
    ["too small a number", "rpc: [http://a]\nchain:\n  poll_seconds: -1\n", /:3:17: .*It is -1\. Write at least 0\.$/],
    [
      "too large a number",
      "rpc: [http://a]\nhttp: { port: 70000 }\n",
      /:2:15: http\.port: It is 70000\. Write at most 65535\.$/,
    ],
    [
      "a word that is none",
      "rpc: [http://a]\nlog: { level: loud }\n",
      /log\.level: It is none of trace, debug.*Write one/,
    ],
    [
      "an empty group",
      "rpc: [http://a]\nhttp:\n",
      /http: It is empty\. Write keys and values, or leave the line out\.$/,
    ],
    [
      "a tip above the fee",
      "rpc: [http://a]\nfees:\n  routine: { tip_gwei: 30 }\n",
      /:3:24: fees\.routine\.tip_gwei: The tip is part/,
    ],
    [
      "an amount with a unit",
      'rpc: [http://a]\nroutine: { min_move_eth: "1 ETH" }\n',
      /min_move_eth: It is no amount of ETH/,
    ],
    ["a web socket", "rpc: [ws://a]\n", /:1:7: rpc\[1\]: It is no address of a node.*https:\/\/ or http:/],
    ["one RPC twice", "rpc: [http://a, http://a]\n", /rpc: One address stands here twice/],
    [
      "a wrong checksum",
      'rpc: [http://a]\ntiers: ["0x5FbDB2315678afecb367f032d93F642f64180aA3"]\n',
      /tiers\[1\]: It is no address, or/,
    ],
    [
      "two keys",
      "rpc: [http://a]\nkey:\n  env: KEY\n  file: key\n",
      /:4:9: key\.file: There are 2 keys \(env, file\)\. Leave one\.$/,
    ],
    [
      "a keystore without password",
      "rpc: [http://a]\nkey: { keystore: a }\n",
      /key\.keystore: .*Add password_file or password_env/,
    ],
    [
      "a password without keystore",
      "rpc: [http://a]\nkey: { env: A, password_file: b }\n",
      /password_file: Only a keystore/,
    ],
    [
      "a remote signer without account",
      "rpc: [http://a]\nkey: { web3signer: http://a }\n",
      /key\.web3signer: .*Add address/,
    ],
    ["a key twice", "rpc: [http://a]\nrpc: [http://b]\n", /:2:1: This is not YAML: Map keys must be unique/],
    ["no YAML", "rpc: [\n", /:2:1: This is not YAML: /],
    ["a list", "- a\n", /^keeper\.yaml:1:1: It is a list\. Write keys and values\.$/],
  ];
  for (const [what, text, words] of cases) {
    test(`says what to do about ${what}`, () => {
      const list = complaints(text);
      assert.equal(list.length, 1, list.join("\n"));
      assert.match(list[0] ?? "", words);
    });
  }

  test("is made for every mistake of a file at once, in the order of lines", () => {
    const list = complaints("rpc: nonsense\nfoo: 1\nhttp:\n  port: -1\n  hots: a\n");
    assert.deepEqual(
      list.map((line) => line.split(":").slice(1, 2)[0]),
      ["1", "2", "4", "5"],
    );
  });

  test("knows TOML's lines as well", () => {
    const text = 'rpc = ["http://a"]\n\n[fees.routine] # dear\nmax_fee_gwei = "x"\n\n[key]\n"file" = 3\nsecret = "s"\n';
    const list = complaints(text, "keeper.toml");
    assert.match(list[0] ?? "", /^keeper\.toml:4:1: fees\.routine\.max_fee_gwei: It is a text\. Write a number\.$/);
    assert.match(list[1] ?? "", /^keeper\.toml:7:1: key\.file: /);
    assert.match(list[2] ?? "", /^keeper\.toml:8:1: key\.secret: Secrets do not belong/);
    assert.match(complaints("rpc = [\n", "k.toml")[0] ?? "", /^k\.toml:\d+:\d+: This is not TOML: /);
  });

  test("never repeats a private key that stands in the file, wherever it stands", () => {
    const places = [
      `key: { env: ${KEY} }`,
      `key: { env: "0x${KEY}" }`,
      `key: { file: ${KEY} }`,
      `key: { keystore: 0x${KEY}, password_file: a }`,
      `key: { private_key: ${KEY} }`,
      `key: ${KEY}`,
      `key: { ${KEY}: env }`,
      `${KEY}: 1`,
      `tiers: [0x${KEY}]`,
      `chain_id: "${KEY}"`,
      `log: { level: ${KEY} }`,
      `key: { web3signer: "http://x/${KEY}" }`,
      `key: { env: "${KEY}`,
      `key: &${KEY}\n  env: *${KEY}x`,
    ];
    for (const place of places) {
      const said = complaints(`rpc: [http://a]\n${place}\n`).join("\n");
      assert.ok(!said.toLowerCase().includes(KEY), place);
    }
    for (const place of [`key = "${KEY}"`, `[key]\nenv = "${KEY}"`, `[key]\nenv = ${KEY}`, `${KEY} = 1`]) {
      const said = complaints(`rpc = ["http://a"]\n${place}\n`, "keeper.toml").join("\n");
      assert.ok(!said.toLowerCase().includes(KEY), place);
    }
  });

  test("whatever the file holds, it is a complaint and not a crash", () => {
    const value = fc.letrec((tie) => ({
      node: fc.oneof(
        fc.string(),
        fc.double(),
        fc.boolean(),
        fc.constant(null),
        fc.array(tie("node"), { maxLength: 3 }),
        fc.dictionary(fc.constantFrom("rpc", "key", "fees", "routine", "env", "tiers", "log", "x"), tie("node")),
      ),
    })).node;
    fc.assert(
      fc.property(value, (content) => {
        try {
          readConfig(toYaml(content), "keeper.yaml");
        } catch (error) {
          assert.ok(error instanceof ConfigError, String(error));
          for (const line of error.message.split("\n")) assert.match(line, /^keeper\.yaml:\d+:\d+: .+/);
        }
      }),
      { numRuns: 150 },
    );
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.constantFrom("k.yaml", "k.toml"), (text, file) => {
        try {
          readConfig(text, file);
        } catch (error) {
          assert.ok(error instanceof ConfigError, String(error));
        }
      }),
      { numRuns: 300 },
    );
  });
});

test("an RPC's address is shown without what providers use as a password", () => {
  assert.equal(hostOf("https://user:word@node.example:8545/v3/0123456789?key=4567"), "https://node.example:8545/…");
  assert.equal(hostOf("http://127.0.0.1:8545"), "http://127.0.0.1:8545");
});
