/** Reads the mandate and the books of a deployed tier through the views of its contracts, all at one block. */
import { Contract, getAddress, Interface, isAddress, isCallException, JsonRpcProvider, type Result } from "ethers";
import * as z from "zod";
import { CATEGORIES } from "../scenario/schema.ts";
import type { MandateTerms, SetTerms } from "./terms.ts";

/** The views that are read. `test/integration/mandate.test.ts` compares them with the contracts. */
export const VIEWS = {
  tier: [
    "function preview() view returns (((uint256 reserve, uint256 junior, uint256 senior, uint256 gains) books, (uint256 gains, uint256 reserve, uint256 junior, uint256 senior, uint256 uncovered) borne, (uint128 outstanding, uint128 juniorLoss, address seniorToken, uint40 openedAt, uint40 closesAt, address juniorToken) deficit, (uint256 staked, uint256 queued, uint256 exposed, uint256 exposedAtTarget, uint256 weightAtTarget, uint256 exitBlocks, uint256 slashedAgents, (uint8 k, uint16 marginBps, uint16 haircutBps, uint16 bufferBps, uint16 instantFeeBps, uint16 quarantineBps, uint88 cap) params) observation, uint256 value, uint256 loose, uint256 unstaking, uint256 utilisation, uint256 baseRate, uint256 vested, uint256 premium, uint256 gained, uint40 unlockAt, bool seniorRetires, bool juniorRetires, uint256 idle, uint256 queuedSenior, uint256 queuedJunior, uint256 maturedJunior, uint256 deployable))",
    "function parts() view returns ((address risk, address stakes, address allocator, address mandate, address stakingModule, address factory))",
    "function seed() view returns (uint256)",
    "function shares(bool senior) view returns ((uint128 supply, uint128 queued))",
  ],
  risk: [
    "function params() view returns ((uint8 k, uint16 marginBps, uint16 haircutBps, uint16 bufferBps, uint16 instantFeeBps, uint16 quarantineBps, uint88 cap))",
    "function agentCount() view returns (uint256)",
    "function agent(uint256 index) view returns ((address account, address nodeOperator, uint16 weightBps, uint8 links, uint8 exits, uint40 lastUnbond, uint128 stake, uint64 magnitude, bool quarantined))",
    "function link(uint256 agent, uint256 index) view returns (uint256 set, (uint64 current, uint64 pending, uint32 effectBlock, uint32 slashCount, uint64 target) link)",
    "function setCount() view returns (uint256)",
    "function set(uint256 index) view returns (((address avs, uint32 id) operatorSet, uint8 category, uint8 group, bool allowed, bool redistributing, bool unapproved, bool quarantined, uint32 vetoBlocks, address approvedSlasher, address seenSlasher, address pendingSlasher, uint40 seenAt))",
  ],
  mandate: ["function delay() view returns (uint40)"],
} as const;

/** The books of a deployed tier at one block, wei; `largest` in wei·P, `utilisation` in WAD. */
export interface Books {
  readonly block: number;
  readonly reserve: bigint;
  readonly junior: bigint;
  readonly senior: bigint;
  readonly gains: bigint;
  readonly value: bigint;
  readonly utilisation: bigint;
  readonly largest: bigint;
  readonly queuedJunior: bigint;
}

/** A tier as the chain has it. */
export interface DeployedTier {
  readonly terms: MandateTerms;
  readonly books: Books;
  readonly baseRate: bigint;
  /** Sets with a target that are quarantined or unapproved: nothing new goes there. */
  readonly closedSets: readonly string[];
}

/** A chain or an address that is not what it should be. */
export class ChainError extends Error {
  override readonly name = "ChainError";
}

const wei = z.bigint();
const small = z.bigint().transform(Number);
const previewSchema = z.object({
  books: z.object({ reserve: wei, junior: wei, senior: wei, gains: wei }),
  observation: z.object({ exposed: wei }),
  value: wei,
  utilisation: wei,
  baseRate: wei,
});
const paramsSchema = z.object({
  k: small,
  marginBps: wei,
  haircutBps: wei,
  bufferBps: wei,
  instantFeeBps: wei,
  quarantineBps: wei,
  cap: wei,
});
const agentSchema = z.object({ account: z.string(), weightBps: wei, links: small });
const linkSchema = z.object({ set: small, link: z.object({ target: wei }) });
const setSchema = z.object({
  operatorSet: z.object({ avs: z.string(), id: small }),
  category: small,
  group: small,
  allowed: z.boolean(),
  redistributing: z.boolean(),
  unapproved: z.boolean(),
  quarantined: z.boolean(),
  vetoBlocks: small,
  approvedSlasher: z.string(),
});

const ZERO = `0x${"0".repeat(40)}`;

export async function readTier(url: string, address: string): Promise<DeployedTier> {
  if (!isAddress(address)) {
    throw new ChainError(`"${address}" is no address. Write the tier's, such as 0x followed by 40 hex digits.`);
  }
  const provider = await connect(url);
  try {
    const block = await provider.getBlockNumber();
    if ((await provider.getCode(address)) === "0x") {
      throw new ChainError(
        `There is no contract at ${address} on this chain. Check the address and the chain of ${url}.`,
      );
    }
    return await readAt(provider, getAddress(address), block);
  } catch (error) {
    if (isCallException(error) || error instanceof z.ZodError) {
      throw new ChainError(
        `The contract at ${address} does not answer as a tier does. Give the address of a Tier, not of a token or manager; ` +
          "if it is one, EigenLayer or Lido cannot be read at the moment: try again later.",
      );
    }
    throw error;
  } finally {
    provider.destroy();
  }
}

async function connect(url: string): Promise<JsonRpcProvider> {
  if (!/^https?:\/\//.test(url))
    throw new ChainError(`"${url}" is no RPC URL. Write one such as http://127.0.0.1:8545`);
  const probe = new JsonRpcProvider(url, undefined, { staticNetwork: true, batchMaxCount: 1 });
  try {
    // asked directly: a provider retries for ever where nobody answers
    const answer = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "eth_chainId", params: [] }),
      signal: AbortSignal.timeout(15_000),
    });
    const { result } = z.object({ result: z.string() }).parse(await answer.json());
    probe.destroy();
    return new JsonRpcProvider(url, Number(result), { staticNetwork: true });
  } catch {
    probe.destroy();
    throw new ChainError(`Nobody answers Ethereum's JSON-RPC at ${url}. Check the URL, and that the node is running.`);
  }
}

async function readAt(provider: JsonRpcProvider, address: string, block: number): Promise<DeployedTier> {
  const at = (views: readonly string[], target: string) => {
    const contract = new Contract(target, new Interface(views), provider);
    return async <T extends z.ZodType>(schema: T, fn: string, ...args: unknown[]): Promise<z.output<T>> =>
      schema.parse(plain(await contract.getFunction(fn)(...args, { blockTag: block })));
  };
  const tier = at(VIEWS.tier, address);
  const parts = await tier(z.object({ risk: z.string(), mandate: z.string() }), "parts");
  const risk = at(VIEWS.risk, parts.risk);
  const [preview, seed, junior, params, agentCount, setCount, delay] = await Promise.all([
    tier(previewSchema, "preview"),
    tier(wei, "seed"),
    tier(z.object({ supply: wei, queued: wei }), "shares", false),
    risk(paramsSchema, "params"),
    risk(small, "agentCount"),
    risk(small, "setCount"),
    at(VIEWS.mandate, parts.mandate)(small, "delay"),
  ]);
  const indexes = (count: number) => Array.from({ length: count }, (_, i) => i);
  const [sets, agents] = await Promise.all([
    Promise.all(indexes(setCount).map((i) => risk(setSchema, "set", i))),
    Promise.all(indexes(agentCount).map((i) => risk(agentSchema, "agent", i))),
  ]);
  const names = sets.map(({ operatorSet }) => `${operatorSet.avs.toLowerCase()}/${operatorSet.id}`);
  const agentTerms = await Promise.all(
    agents.flatMap((agent, i) =>
      agent.account === ZERO
        ? []
        : [
            (async () => {
              const links = await Promise.all(indexes(agent.links).map((j) => risk(linkSchema, "link", i, j)));
              const targets = links.flatMap(({ set, link }) =>
                link.target > 0n && sets[set]?.allowed ? [{ set: names[set] ?? "", magnitude: link.target }] : [],
              );
              return { name: agent.account.toLowerCase(), weight: agent.weightBps, targets };
            })(),
          ],
    ),
  );
  const terms: MandateTerms = {
    name: address,
    k: params.k,
    margin: params.marginBps,
    haircut: params.haircutBps,
    buffer: params.bufferBps,
    instantFee: params.instantFeeBps,
    quarantine: params.quarantineBps,
    cap: params.cap,
    seed,
    delay,
    sets: sets.flatMap((set, i): SetTerms[] => {
      const category = CATEGORIES[set.category];
      const one = {
        name: names[i] ?? "",
        ...(category === undefined ? {} : { category }),
        slasher: set.approvedSlasher.toLowerCase(),
        redistributing: set.redistributing,
        vetoBlocks: set.vetoBlocks,
      };
      return set.allowed ? [one] : [];
    }),
    // the chain's own groups: merges of the curator, and of sets that are not in the mandate any more, included
    merged: [...new Set(sets.map(({ group }) => group))]
      .map((group) => names.filter((_, i) => sets[i]?.group === group && sets[i]?.allowed))
      .filter((list) => list.length > 1),
    agents: agentTerms,
  };
  const targeted = new Set(agentTerms.flatMap(({ targets }) => targets.map(({ set }) => set)));
  return {
    terms,
    baseRate: preview.baseRate,
    books: {
      block,
      ...preview.books,
      value: preview.value,
      utilisation: preview.utilisation,
      largest: preview.observation.exposed,
      queuedJunior:
        junior.supply === 0n ? 0n : (preview.books.junior * junior.queued + junior.supply - 1n) / junior.supply,
    },
    closedSets: names.filter((name, i) => targeted.has(name) && (sets[i]?.quarantined || sets[i]?.unapproved)),
  };
}

/** What a call returned, as plain objects. */
function plain(value: unknown): unknown {
  if (!Array.isArray(value)) return value;
  const entries = Object.entries((value as unknown as Result).toObject());
  return Object.fromEntries(entries.map(([key, one]) => [key, plain(one)]));
}
