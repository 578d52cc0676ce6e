/**
 * EigenLayer's reward claims for the tiers' agents: JSON files in a folder, or JSON behind an address, as EigenLayer's own
 * tools write them. What a claim still brings is asked of RewardsCoordinator.
 */
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { getAddress, Interface, isAddress } from "ethers";
import * as z from "zod";
import type { Chain } from "../chain/types.ts";
import type { RewardsClaim } from "../plan/types.ts";
import type { BlockRef, TierState } from "../state/types.ts";
import type { Log } from "./ports.ts";

const face = new Interface(["function cumulativeClaimed(address earner, address token) view returns (uint256)"]);

const MAX_BYTES = 4 * 1024 * 1024;
const MAX_FILES = 256;
const TIMEOUT = 10_000;

const hex = z
  .string()
  .transform((text) => (text.startsWith("0x") ? text : `0x${text}`).toLowerCase())
  .refine((text) => /^0x([0-9a-f]{2})*$/.test(text), "not bytes in hex");
const index = z.coerce.number().int().nonnegative().max(0xffffffff);
const address = z
  .string()
  .refine((text) => isAddress(text), "not an address")
  .transform((text) => getAddress(text));
const amount = z.union([z.string().regex(/^\d+$/), z.number().int().nonnegative()]).transform((value) => BigInt(value));

/** The argument of `Rewards.harvest`. */
const claimSchema = z
  .object({
    rootIndex: index,
    earnerIndex: index,
    earnerTreeProof: hex,
    earnerLeaf: z.object({ earner: address, earnerTokenRoot: hex }),
    tokenIndices: z.array(index).min(1).max(16),
    tokenTreeProofs: z.array(hex),
    tokenLeaves: z.array(z.object({ token: address, cumulativeEarnings: amount })),
  })
  .refine(
    (claim) =>
      claim.tokenIndices.length === claim.tokenLeaves.length &&
      claim.tokenTreeProofs.length === claim.tokenLeaves.length,
    "tokenIndices, tokenTreeProofs and tokenLeaves are of different lengths",
  );
type Claim = z.output<typeof claimSchema>;
const fileSchema = z.union([z.array(claimSchema), claimSchema.transform((one) => [one])]);

export class ClaimsError extends Error {
  override readonly name = "ClaimsError";
}

interface Source {
  readonly name: string;
  /** Changes when the content does. */
  readonly stamp: string;
  read(): Promise<string>;
}

/** Reads claims and leaves out what brings nothing any more; a file that is broken is told once and left out. */
export class Claims {
  readonly #where: string;
  readonly #chain: Chain;
  readonly #coordinator: string;
  readonly #log: Log;
  readonly #parsed = new Map<string, { readonly stamp: string; readonly claims: readonly Claim[] }>();

  constructor(where: string, chain: Chain, coordinator: string, log: Log) {
    this.#where = where;
    this.#chain = chain;
    this.#coordinator = coordinator;
    this.#log = log;
  }

  /** The claims of the tiers' agents that bring something at the block. */
  async due(tiers: readonly TierState[], block: BlockRef): Promise<readonly RewardsClaim[]> {
    const agents = new Map(tiers.flatMap((tier) => tier.agents.map((agent) => [getAddress(agent.account), agent])));
    const mine = (await this.#read()).filter((claim) => agents.has(claim.earnerLeaf.earner));
    const all = await Promise.all(mine.map((claim) => this.#weigh(claim, block)));
    return all.filter((claim) => claim.due.length > 0);
  }

  async #weigh(claim: Claim, block: BlockRef): Promise<RewardsClaim> {
    const agent = claim.earnerLeaf.earner;
    const due = await Promise.all(
      claim.tokenLeaves.map(async ({ token, cumulativeEarnings }) => {
        const data = face.encodeFunctionData("cumulativeClaimed", [agent, token]);
        const answer = await this.#chain.call({ to: this.#coordinator, data }, { hash: block.hash });
        const claimed = z.bigint().parse(face.decodeFunctionResult("cumulativeClaimed", answer)[0]);
        return { token, amount: cumulativeEarnings > claimed ? cumulativeEarnings - claimed : 0n };
      }),
    );
    return { agent, claim, due: due.filter((one) => one.amount > 0n) };
  }

  async #read(): Promise<readonly Claim[]> {
    const claims: Claim[] = [];
    for (const source of await this.#sources()) {
      const known = this.#parsed.get(source.name);
      if (known?.stamp === source.stamp) {
        claims.push(...known.claims);
        continue;
      }
      let found: readonly Claim[] = [];
      try {
        found = parse(await source.read());
      } catch (error) {
        this.#log.warn({ error }, `Leaves out ${source.name}: it is no claim of EigenLayer's as JSON.`);
      }
      this.#parsed.set(source.name, { stamp: source.stamp, claims: found });
      claims.push(...found);
    }
    return claims;
  }

  async #sources(): Promise<readonly Source[]> {
    if (/^https?:\/\//.test(this.#where)) {
      const text = await download(this.#where);
      return [{ name: "the claims at routine.claims", stamp: text, read: async () => text }];
    }
    let names: string[];
    try {
      names = await readdir(this.#where);
    } catch {
      throw new ClaimsError(
        `Cannot read the folder ${this.#where} of routine.claims: create it, or leave the key out.`,
      );
    }
    const files = names.filter((name) => name.endsWith(".json")).sort();
    if (files.length > MAX_FILES)
      throw new ClaimsError(`There are ${files.length} claims in ${this.#where}, ${MAX_FILES} at most are read.`);
    return Promise.all(
      files.map(async (name) => {
        const file = join(this.#where, name);
        const { size, mtimeMs } = await stat(file);
        if (size > MAX_BYTES) throw new ClaimsError(`${file} is larger than ${MAX_BYTES} bytes: it is no claim.`);
        return { name: file, stamp: `${size} ${mtimeMs}`, read: () => readFile(file, "utf8") };
      }),
    );
  }
}

function parse(text: string): readonly Claim[] {
  const json: unknown = JSON.parse(text);
  const parsed = fileSchema.safeParse(json);
  if (!parsed.success) throw new ClaimsError(z.prettifyError(parsed.error));
  return parsed.data;
}

async function download(url: string): Promise<string> {
  let response: Response;
  try {
    response = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT) });
  } catch {
    throw new ClaimsError("The address of routine.claims does not answer.");
  }
  if (!response.ok || !response.body)
    throw new ClaimsError(`The address of routine.claims answers ${response.status}.`);
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of response.body) {
      size += chunk.length;
      if (size > MAX_BYTES) throw new ClaimsError(`The address of routine.claims sends more than ${MAX_BYTES} bytes.`);
      chunks.push(chunk);
    }
  } catch (error) {
    if (error instanceof ClaimsError) throw error;
    throw new ClaimsError("The address of routine.claims broke off.");
  }
  return Buffer.concat(chunks).toString("utf8");
}
