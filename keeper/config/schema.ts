/** The keeper's configuration: every key with a sentence and a default, but for the RPC and the key. */
import { getAddress, isAddress } from "ethers";
import * as z from "zod";
import { looksLikeKey } from "./secrets.ts";

const gwei = z.number().nonnegative();
const seconds = z.number().nonnegative();
/** A number is fine too: YAML and TOML read 0.5 as one. */
const ether = z.preprocess(
  (value) => (typeof value === "number" ? String(value) : value),
  z.string().regex(/^\d+(\.\d{1,18})?$/, 'It is no amount of ETH. Write one such as "0.5".'),
);
const address = z
  .string()
  .refine(isAddress, "It is no address, or one with a wrong checksum. Copy it again: 0x and 40 hex digits.")
  .transform((text) => getAddress(text));
/** Never takes the secret itself for the place where it is: the place is shown in messages. */
const place = z
  .string()
  .min(1, "It is empty. Write it, or leave the line out.")
  .refine((text) => !looksLikeKey(text), {
    error:
      "This looks like a private key. Take it out of this file: write where the key is, such as env: BULKHEAD_KEEPER_KEY; " +
      "and use another key if anybody else may have read this one.",
    abort: true,
  });

const urgency = (about: string, maxFee: number, tip: number, replaceAfter: number) =>
  z
    .strictObject({
      max_fee_gwei: gwei.default(maxFee).describe("Never pays more than this for a unit of gas, tip included."),
      tip_gwei: gwei.default(tip).describe("Tip that is offered first; it rises with each replacement."),
      replace_after_blocks: z
        .int()
        .positive()
        .default(replaceAfter)
        .describe("Blocks after which a transaction that is not mined is replaced by a dearer one."),
    })
    .refine((fees) => fees.tip_gwei <= fees.max_fee_gwei, {
      error: "The tip is part of the fee: tip_gwei must not exceed max_fee_gwei.",
      path: ["tip_gwei"],
    })
    .prefault({})
    .describe(about);

export const KEY_SOURCES = ["keystore", "env", "file", "web3signer"] as const;

const keySchema = z
  .strictObject({
    keystore: place
      .optional()
      .describe("Encrypted keystore file (JSON, Web3 Secret Storage).")
      .meta({ example: "keystore.json" }),
    password_file: place.optional().describe("File with the keystore's password.").meta({ example: "password" }),
    password_env: place
      .regex(/^[A-Za-z_]\w*$/, "It is no name of an environment variable. Write one such as KEEPER_PASSWORD.")
      .optional()
      .describe("Environment variable that holds the keystore's password; or, with _FILE behind its name, its file.")
      .meta({ example: "BULKHEAD_KEEPER_PASSWORD" }),
    env: place
      .regex(/^[A-Za-z_]\w*$/, "It is no name of an environment variable. Write one such as BULKHEAD_KEEPER_KEY.")
      .optional()
      .describe(
        "Environment variable that holds the private key; or, with _FILE behind its name, that names its file.",
      ),
    file: place
      .optional()
      .describe("File that holds the private key; nobody but its owner may read it.")
      .meta({ example: "key" }),
    web3signer: place
      .regex(/^https?:\/\//, "It is no address of a signer. Write one such as http://127.0.0.1:9000.")
      .refine((url) => URL.canParse(url), "It is no address of a signer. Write one such as http://127.0.0.1:9000.")
      .refine((url) => !URL.canParse(url) || (new URL(url).username === "" && new URL(url).password === ""), {
        error: "Passwords do not belong in this file: reach the signer through a tunnel or proxy on this machine.",
      })
      .optional()
      .describe("Address of a remote signer with the web3signer interface (eth_signTransaction).")
      .meta({ example: "http://127.0.0.1:9000" }),
    address: place
      .pipe(address)
      .optional()
      .describe("Account to use at the remote signer.")
      .meta({ example: '"0x0000000000000000000000000000000000000001"' }),
  })
  .check(({ value, issues }) => {
    const complain = (key: string, message: string) =>
      issues.push({ code: "custom", input: undefined, path: [key], message });
    const named = KEY_SOURCES.filter((source) => value[source] !== undefined);
    const [, second] = named;
    if (second !== undefined) complain(second, `There are ${named.length} keys (${named.join(", ")}). Leave one.`);
    const passwords = [value.password_file, value.password_env].filter((one) => one !== undefined).length;
    if (value.keystore !== undefined && passwords === 0)
      complain("keystore", "The keystore needs its password. Add password_file or password_env.");
    if (passwords === 2) complain("password_env", "There are two passwords. Leave password_file or password_env.");
    if (value.keystore === undefined && passwords > 0)
      complain(value.password_file === undefined ? "password_env" : "password_file", "Only a keystore has a password.");
    if (value.web3signer !== undefined && value.address === undefined)
      complain("web3signer", "A remote signer may have many accounts. Add address, the one to use.");
    if (value.web3signer === undefined && value.address !== undefined)
      complain("address", "The address follows from the key; only web3signer needs to be told. Leave it out.");
  });

export const configSchema = z.strictObject({
  chain_id: z.int().positive().default(1).describe("The chain that all RPCs must be on; the keeper refuses any other."),
  rpc: z
    .array(
      z
        .string()
        .regex(/^https?:\/\//, "It is no address of a node. Write one that begins with https:// or http://.")
        .refine((url) => URL.canParse(url), "It is no address of a node. Write one such as https://node.example:8545."),
      {
        error: (issue) =>
          issue.input === undefined ? "It is missing. Add the address of a node: rpc: [https://…]" : undefined,
      },
    )
    .min(1, "It is empty. Add the address of a node: rpc: [https://…]")
    .refine((urls) => new Set(urls).size === urls.length, "One address stands here twice: it would agree with itself.")
    .describe(
      "JSON-RPC addresses, the best first. Two or more of different providers make protection decisions safer.",
    ),
  agreement: z
    .int()
    .positive()
    .default(2)
    .describe("How many RPCs must agree before protection acts; all of them where there are fewer."),
  deployment: z
    .string()
    .optional()
    .describe("File that says where Bulkhead is; by default the one that this release has for the chain.")
    .meta({ example: "deployments/1.json" }),
  tiers: z
    .array(address)
    .default([])
    .describe("Addresses of the tiers to keep; an empty list keeps all that the factory knows."),
  key: keySchema
    .prefault({})
    .describe(
      "Where the key is: exactly one of keystore, env, file and web3signer. Not needed for a plan or a dry run.",
    ),
  journal: z
    .string()
    .min(1)
    .default("keeper.db")
    .describe("SQLite file in which the keeper writes down what it does. Never share it and never delete it."),
  dry_run: z.boolean().default(false).describe("Decide, simulate and log, but send nothing."),
  chain: z
    .strictObject({
      poll_seconds: seconds.default(2).describe("How often the head of the chain is asked for."),
      timeout_seconds: z.number().positive().default(10).describe("Deadline of one answer of an RPC."),
      max_head_age_seconds: seconds
        .default(120)
        .describe("An RPC whose head is older than this is left out; 0 for chains with a clock of their own."),
    })
    .prefault({})
    .describe("How the chain is read."),
  routine: z
    .strictObject({
      every_seconds: seconds
        .default(300)
        .describe("How often the routine work is looked at, on final blocks; 0 looks at each."),
      min_move_eth: ether.default("1").describe("Smaller moves of ETH wait, unless somebody waits for the money."),
      min_deploy_eth: ether.default("1").describe("Smaller amounts of idle ETH are not restaked."),
      band_bps: z
        .int()
        .min(0)
        .max(10_000)
        .default(100)
        .describe("An allocation nearer to its target than this part of the agent is left alone."),
      poke_before_hours: z
        .number()
        .positive()
        .default(12)
        .describe("Operator sets are looked at this long before they are stale."),
      sync_every_hours: z.number().positive().default(24).describe("A tier that nobody touched for so long is synced."),
      review_every_days: z.number().positive().default(7).describe("Agents' operators are reviewed this often."),
      claims: z
        .string()
        .optional()
        .describe("Folder or address with EigenLayer's reward claims as JSON; without it nothing is harvested.")
        .meta({ example: "claims" }),
    })
    .prefault({})
    .describe("Work that may wait: idle money, exits, weights, rewards."),
  fees: z
    .strictObject({
      protection: urgency("For slashes, unwinding and cover: what is late costs people money.", 500, 3, 1),
      routine: urgency("For the rest, which waits for cheaper blocks.", 20, 0.1, 25),
      min_balance_eth: ether
        .default("0.2")
        .describe("Below this balance the keeper warns and keeps the rest for protection."),
    })
    .prefault({})
    .describe("What transactions may cost."),
  http: z
    .strictObject({
      host: z.string().min(1).default("127.0.0.1").describe("Address that metrics and health are served on."),
      port: z.int().min(0).max(65_535).default(9464).describe("Its port; 0 takes a free one."),
    })
    .prefault({})
    .describe("Metrics (/metrics) and health (/livez, /readyz, /status)."),
  log: z
    .strictObject({
      level: z
        .enum(["trace", "debug", "info", "warn", "error"])
        .default("info")
        .describe("The least severe line that is logged."),
      format: z
        .enum(["auto", "pretty", "json"])
        .default("auto")
        .describe("Lines for people (pretty), for machines (json), or as the output is a terminal or not (auto)."),
    })
    .prefault({})
    .describe("What the keeper says."),
});

export type Config = z.output<typeof configSchema>;
export type KeyConfig = Config["key"];
