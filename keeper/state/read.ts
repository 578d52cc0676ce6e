/**
 * Reads tiers through UpkeepLens: one `eth_call` for the pulse of eight tiers, one for the whole state of one. The lens
 * syncs before it reads, in a call that is never sent. Pass `{ call: (request, at) => chain.agreedCall(request, at, 2) }`
 * to have several RPCs agree.
 */
import { Interface, type ParamType, type Result } from "ethers";
import * as z from "zod";
import type { Deployment } from "../../deployments/index.ts";
import { type At, CallReverted, type Chain } from "../chain/types.ts";
import type { BlockRef, ChainState, Pulse, TierRef, TierState } from "./types.ts";

/** What reading needs of a chain. */
export type Reader = Pick<Chain, "call">;

/** Tiers of one pulse: each needs a million gas or two, and RPCs give a call 50 million as a rule. */
const PULSE_TIERS = 8;
/** Tiers of one question to the factory. */
const PAGE = 32;

const LINK =
  "tuple(uint256 index, uint256 set, uint256 current, uint256 pending, uint256 effectBlock, uint256 target, bool member)";
const EXIT = "tuple(uint256 index, uint256 scaled, uint256 startBlock, uint256 nonce, bool tokensOnly)";
const AGENT = `tuple(uint256 index, address account, address nodeOperator, uint256 weightBps, uint256 lastUnbond, uint256 magnitude, bool quarantined, uint256 stake, uint256 deployLimit, uint256 encumbered, uint256 reviewedAt, ${LINK}[] links, ${EXIT}[] exits)`;
const SET =
  "tuple(uint256 index, address avs, uint256 id, uint256 category, uint256 group, bool allowed, bool unapproved, bool quarantined, address approvedSlasher, address seenSlasher, address seenPendingSlasher, uint256 seenAt, address slasher, address pendingSlasher, uint256 pendingSlasherBlock, address registrar, address[] strategies)";
const TRANCHE = "tuple(address token, uint256 supply, uint256 queued, uint256 finalisable)";
const STATE = `tuple(address tier, bool readable, bytes failure, uint256 slashedAgents, tuple(uint256 reserve, uint256 junior, uint256 senior, uint256 gains) books, uint256 value, uint256 utilisation, uint256 exposed, uint256 deployableCover, tuple(uint8 k, uint16 marginBps, uint16 haircutBps, uint16 bufferBps, uint16 instantFeeBps, uint16 quarantineBps, uint88 cap) params, tuple(uint256 outstanding, uint256 closesAt) deficit, uint256 lastSync, uint256 unlockAt, bool entriesPaused, uint256 freshUntil, uint256 reserved, uint256 deployable, uint256 stakeLimit, uint256 wanted, uint256 idle, uint256 queued, uint256 loose, uint256 unstaking, uint256 unbondNeed, tuple(uint256 open, uint256 claimable) unstakeRequests, bool deleverageNeeded, uint256 ceiling, uint256[] groups, uint256 unapproved, uint256 worst, uint256 withdrawalDelay, uint256 vetoBlocks, tuple(bytes32 id, uint256 eta, uint256 expiry) mandatePending, ${TRANCHE} senior, ${TRANCHE} junior, ${AGENT}[] agents, ${SET}[] sets)`;
const PULSE =
  "tuple(address tier, bool readable, bytes failure, uint256 slashedAgents, uint256 unwinding, bool deleverageNeeded, uint256 changedSets, bytes32 surroundings, uint256 freshUntil, uint256 lastSync, uint256 utilisation, uint256 exposed, uint256 cover, uint256 value)";
const REF =
  "tuple(address tier, string name, address risk, address stakes, address allocator, address mandate, address module, address rewards, address factory, address allocationManager, address strategy)";

/** The part of UpkeepLens that is read here. */
export const LENS = new Interface([
  `function tiers(uint256 from, uint256 most) view returns (${REF}[] list, uint256 count)`,
  `function pulse(address[] list) returns (${PULSE}[] pulses)`,
  `function observe(address tier) returns (${STATE} s)`,
  "error InsufficientGas(uint256 available, uint256 needed)",
]);

/** The lens's answer is not what this keeper expects, or it could not answer. */
export class LensError extends Error {
  override readonly name = "LensError";
}

const number = z.bigint().transform(Number);
const renamed = <T extends { readonly tier: string }>({ tier, ...rest }: T) => ({ address: tier, ...rest });

const refSchema = z
  .object({
    tier: z.string(),
    name: z.string(),
    risk: z.string(),
    stakes: z.string(),
    allocator: z.string(),
    mandate: z.string(),
    module: z.string(),
    rewards: z.string(),
    factory: z.string(),
    allocationManager: z.string(),
    strategy: z.string(),
  })
  .transform(renamed);

const pulseSchema = z
  .object({
    tier: z.string(),
    readable: z.boolean(),
    failure: z.string(),
    slashedAgents: z.bigint(),
    unwinding: number,
    deleverageNeeded: z.boolean(),
    changedSets: z.bigint(),
    surroundings: z.string(),
    freshUntil: number,
    lastSync: number,
    utilisation: z.bigint(),
    exposed: z.bigint(),
    cover: z.bigint(),
    value: z.bigint(),
  })
  .transform(renamed);

const trancheSchema = z.object({
  token: z.string(),
  supply: z.bigint(),
  queued: z.bigint(),
  finalisable: z.bigint(),
});

const linkSchema = z.object({
  index: number,
  set: number,
  current: z.bigint(),
  pending: z.bigint(),
  effectBlock: number,
  target: z.bigint(),
  member: z.boolean(),
});

const agentSchema = z.object({
  index: number,
  account: z.string(),
  nodeOperator: z.string(),
  weightBps: z.bigint(),
  lastUnbond: number,
  magnitude: z.bigint(),
  quarantined: z.boolean(),
  stake: z.bigint(),
  deployLimit: z.bigint(),
  encumbered: z.bigint(),
  reviewedAt: number,
  links: z.array(linkSchema),
  exits: z.array(
    z.object({ index: number, scaled: z.bigint(), startBlock: number, nonce: number, tokensOnly: z.boolean() }),
  ),
});

const setSchema = z.object({
  index: number,
  avs: z.string(),
  id: number,
  category: number,
  group: number,
  allowed: z.boolean(),
  unapproved: z.boolean(),
  quarantined: z.boolean(),
  approvedSlasher: z.string(),
  seenSlasher: z.string(),
  seenPendingSlasher: z.string(),
  seenAt: number,
  slasher: z.string(),
  pendingSlasher: z.string(),
  pendingSlasherBlock: number,
  registrar: z.string(),
  strategies: z.array(z.string()),
});

const stateSchema = z
  .object({
    tier: z.string(),
    readable: z.boolean(),
    failure: z.string(),
    slashedAgents: z.bigint(),
    books: z.object({ reserve: z.bigint(), junior: z.bigint(), senior: z.bigint(), gains: z.bigint() }),
    value: z.bigint(),
    utilisation: z.bigint(),
    exposed: z.bigint(),
    deployableCover: z.bigint(),
    params: z.object({
      k: number,
      marginBps: z.bigint(),
      haircutBps: z.bigint(),
      bufferBps: z.bigint(),
      quarantineBps: z.bigint(),
      cap: z.bigint(),
    }),
    deficit: z.object({ outstanding: z.bigint(), closesAt: number }),
    lastSync: number,
    unlockAt: number,
    entriesPaused: z.boolean(),
    freshUntil: number,
    reserved: z.bigint(),
    deployable: z.bigint(),
    stakeLimit: z.bigint(),
    wanted: z.bigint(),
    idle: z.bigint(),
    queued: z.bigint(),
    loose: z.bigint(),
    unstaking: z.bigint(),
    unbondNeed: z.bigint(),
    unstakeRequests: z.object({ open: number, claimable: number }),
    deleverageNeeded: z.boolean(),
    ceiling: z.bigint(),
    groups: z.array(z.bigint()),
    unapproved: z.bigint(),
    worst: z.bigint(),
    withdrawalDelay: number,
    vetoBlocks: number,
    mandatePending: z.object({ id: z.string(), eta: number, expiry: number }),
    senior: trancheSchema,
    junior: trancheSchema,
    agents: z.array(agentSchema),
    sets: z.array(setSchema),
  })
  .transform(renamed);

/** The lens of a deployment. */
export function lensOf(deployment: Pick<Deployment, "contracts" | "network">): string {
  const lens = deployment.contracts.upkeepLens;
  if (lens === undefined)
    throw new LensError(
      `The deployment on ${deployment.network} has no UpkeepLens: it is older than the keeper. Deploy the contracts that are missing (npm run deploy).`,
    );
  return lens.address;
}

/** All tiers that the factory knows, with their contracts. One round trip for up to 32, else two. */
export async function readTiers(
  chain: Reader,
  deployment: Pick<Deployment, "contracts" | "network">,
  at: At = "latest",
): Promise<readonly TierRef[]> {
  const lens = lensOf(deployment);
  const page = async (from: number) => {
    const { list, count } = await ask(
      chain,
      lens,
      "tiers",
      [from, PAGE],
      at,
      z.object({ list: z.array(refSchema), count: number }),
    );
    return { list, count };
  };
  const first = await page(0);
  const starts: number[] = [];
  for (let from = PAGE; from < first.count; from += PAGE) starts.push(from);
  const rest = await Promise.all(starts.map(page));
  return [first, ...rest].flatMap(({ list }) => list).map((ref) => ({ ...ref, name: tierName(ref.name, ref.address) }));
}

/** "Bulkhead Careful Senior-2" is a token of the tier "Careful". */
function tierName(token: string, address: string): string {
  return /^Bulkhead (.+) (?:Senior|Junior)(?:-\d+)?$/.exec(token)?.[1] ?? (token || address);
}

/** The pulse of each tier, in their order. One call for eight tiers, all at once. */
export async function readPulse(
  chain: Reader,
  lens: string,
  tiers: readonly Pick<TierRef, "address">[],
  at: At,
): Promise<readonly Pulse[]> {
  const schema = z.object({ pulses: z.array(pulseSchema) });
  const parts: (readonly Pick<TierRef, "address">[])[] = [];
  for (let from = 0; from < tiers.length; from += PULSE_TIERS) parts.push(tiers.slice(from, from + PULSE_TIERS));
  const answers = await Promise.all(
    parts.map((part) => ask(chain, lens, "pulse", [part.map(({ address }) => address)], at, schema)),
  );
  return answers.flatMap(({ pulses }) => pulses);
}

/** A tier's state; `readable` is false where it cannot be read. One call. */
export async function readTier(chain: Reader, lens: string, tier: TierRef, at: At): Promise<TierState> {
  const { s } = await ask(chain, lens, "observe", [tier.address], at, z.object({ s: stateSchema }));
  return { ...tier, ...s };
}

/** All tiers at one block. One round trip: the calls go out together. */
export async function readChain(
  chain: Reader,
  lens: string,
  tiers: readonly TierRef[],
  block: BlockRef,
): Promise<ChainState> {
  const states = await Promise.all(tiers.map((tier) => readTier(chain, lens, tier, { hash: block.hash })));
  return { block: { number: block.number, hash: block.hash, timestamp: block.timestamp }, tiers: states };
}

async function ask<T>(
  chain: Reader,
  lens: string,
  fn: string,
  args: readonly unknown[],
  at: At,
  schema: z.ZodType<T>,
): Promise<T> {
  const fragment = LENS.getFunction(fn);
  if (fragment === null) throw new LensError(`There is no ${fn}.`);
  const decode = (answer: string): T => {
    try {
      return schema.parse(named(fragment.outputs, LENS.decodeFunctionResult(fragment, answer)));
    } catch (error) {
      throw new LensError(
        `The answer of ${lens} to ${fn} is not one of this keeper's UpkeepLens (${answer.length / 2 - 1} bytes): check the deployment's file, or whether the RPC cuts answers.`,
        { cause: error },
      );
    }
  };
  // an RPC's answer that cannot be read is that RPC's error; the one that can be is read once
  let read: { readonly answer: string; readonly value: T } | undefined;
  const check = (answer: string): void => {
    read = { answer, value: decode(answer) };
  };
  try {
    const answer = await chain.call({ to: lens, data: LENS.encodeFunctionData(fragment, args), check }, at);
    return read?.answer === answer ? read.value : decode(answer);
  } catch (error) {
    throw error instanceof CallReverted ? explained(error, lens, fn) : error;
  }
}

function explained(error: CallReverted, lens: string, fn: string): Error {
  const known = error.data.length >= 10 ? LENS.parseError(error.data) : null;
  if (known?.name !== "InsufficientGas")
    return new LensError(`UpkeepLens (${lens}) refuses ${fn}: ${error.message}`, { cause: error });
  return new LensError(
    `The RPC gives a call too little gas for ${fn}: ${known.args.available} were left and ${known.args.needed} are needed. Raise its limit (geth: --rpc.gascap), or use another RPC.`,
    { cause: error },
  );
}

/** Decoded values by their names, all the way down. */
function named(types: readonly ParamType[], values: Result): Readonly<Record<string, unknown>> {
  return Object.fromEntries(types.map((type, i) => [type.name, plain(type, values[i])]));
}

function plain(type: ParamType, value: unknown): unknown {
  if (type.isArray()) {
    const child = type.arrayChildren;
    return z
      .array(z.unknown())
      .parse([...(value as Result)])
      .map((one) => plain(child, one));
  }
  return type.isTuple() ? named(type.components, value as Result) : value;
}
