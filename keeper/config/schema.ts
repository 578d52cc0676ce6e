/** The keeper's configuration: every key with a sentence and a default, but for the RPC and the key. */
import * as z from "zod";

const gwei = z.number().nonnegative();
const seconds = z.number().nonnegative();
const ether = z.string().regex(/^\d+(\.\d{1,18})?$/, 'an amount of ETH such as "0.5"');

const urgency = (maxFee: number, tip: number, replaceAfter: number) =>
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
    .prefault({});

export const configSchema = z.strictObject({
  chain_id: z.int().positive().describe("The chain that all RPCs must be on; the keeper refuses any other."),
  rpc: z
    .array(z.string().regex(/^https?:\/\//, "an http:// or https:// address"))
    .min(1)
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
    .describe("File that says where Bulkhead is; by default the one that this release has for the chain."),
  tiers: z
    .array(z.string())
    .default([])
    .describe("Addresses of the tiers to keep; an empty list keeps all that the factory knows."),
  key: z
    .strictObject({
      keystore: z.string().optional().describe("Encrypted keystore file (JSON, Web3 Secret Storage)."),
      password_file: z.string().optional().describe("File with the keystore's password."),
      env: z.string().optional().describe("Environment variable that holds the private key."),
      file: z.string().optional().describe("File that holds the private key; readable by its owner only."),
      web3signer: z.string().optional().describe("Address of a remote signer with the web3signer interface."),
      address: z.string().optional().describe("Account to use at the remote signer."),
    })
    .prefault({})
    .describe(
      "Where the key is; exactly one of keystore, env, file and web3signer. Not needed for a plan or a dry run.",
    ),
  journal: z.string().default("keeper.db").describe("SQLite file in which the keeper writes down what it does."),
  dry_run: z.boolean().default(false).describe("Decide, simulate and log, but send nothing."),
  chain: z
    .strictObject({
      poll_seconds: seconds.default(2).describe("How often the head of the chain is asked for."),
      timeout_seconds: seconds.default(10).describe("Deadline of one answer of an RPC."),
      max_head_age_seconds: seconds
        .default(120)
        .describe("An RPC whose head is older than this is left out; 0 for chains with a clock of their own."),
    })
    .prefault({}),
  routine: z
    .strictObject({
      every_seconds: seconds.default(300).describe("How often the routine work is looked at, on final blocks."),
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
        .describe("Folder or address with EigenLayer's reward claims as JSON; without it nothing is harvested."),
    })
    .prefault({}),
  fees: z
    .strictObject({
      protection: urgency(500, 3, 1),
      routine: urgency(20, 0.1, 25),
      min_balance_eth: ether
        .default("0.2")
        .describe("Below this balance the keeper warns and keeps the rest for protection."),
    })
    .prefault({}),
  http: z
    .strictObject({
      host: z.string().default("127.0.0.1").describe("Address that metrics and health are served on."),
      port: z.int().min(0).max(65_535).default(9464).describe("Its port; 0 takes a free one."),
    })
    .prefault({}),
  log: z
    .strictObject({
      level: z
        .enum(["trace", "debug", "info", "warn", "error"])
        .default("info")
        .describe("The least severe line that is logged."),
      format: z
        .enum(["auto", "pretty", "json"])
        .default("auto")
        .describe("Lines for people, for machines, or as the output is a terminal or not."),
    })
    .prefault({}),
});

export type Config = z.output<typeof configSchema>;
