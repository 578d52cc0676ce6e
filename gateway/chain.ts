/** The chain as the gateway sees it: its head, and views of it at one block. */
import { setTimeout as sleep } from "node:timers/promises";
import { Interface, isError, type Result } from "ethers";
import type { Deployment } from "../deployments/index.ts";
import { BlockUnknown, type Chain, type Header } from "../keeper/chain/types.ts";
import { LensError, lensOf, readTier, readTiers } from "../keeper/state/read.ts";
import type { TierRef, TierState } from "../keeper/state/types.ts";
import { gatewayError } from "./errors.ts";
import type { BlockRef } from "./types.ts";

/** A head this old is asked for again, beside the answer. */
const FRESH_MS = 500;
/** A head this old is not shown: it is waited for. */
const STALE_MS = 5_000;
/** After a failure nobody waits for a head for so long. */
const PAUSE_MS = 2_000;
/** An answer waits for a head no longer than this: an RPC that hangs must not hold up what the subgraph knows. */
const PATIENCE_MS = 2_000;

/** The chain's head, known without waiting as a rule: an answer must not become slower because it says how old it is. */
export class HeadWatch {
  readonly #chain: Chain;
  #head: { readonly header: Header; readonly at: number } | undefined;
  #failedAt = Number.NEGATIVE_INFINITY;
  #asking: Promise<Header | undefined> | undefined;

  constructor(chain: Chain) {
    this.#chain = chain;
  }

  /** The head, at most five seconds old; undefined while the RPC does not answer. */
  async head(): Promise<Header | undefined> {
    const age = this.#head === undefined ? Number.POSITIVE_INFINITY : performance.now() - this.#head.at;
    if (age < FRESH_MS) return this.#head?.header;
    if (performance.now() - this.#failedAt < PAUSE_MS) return undefined;
    const asking = this.#ask();
    if (age < STALE_MS) return this.#head?.header;
    return await this.#inTime(asking);
  }

  /** The head of this moment; undefined where the RPC does not answer. */
  now(): Promise<Header | undefined> {
    return this.#inTime(this.#ask());
  }

  async #inTime(asking: Promise<Header | undefined>): Promise<Header | undefined> {
    const timer = new AbortController();
    const late = sleep(PATIENCE_MS, undefined, { signal: timer.signal }).then(
      () => {
        this.#failedAt = performance.now();
        return undefined;
      },
      () => undefined,
    );
    try {
      return await Promise.race([asking, late]);
    } finally {
      timer.abort();
    }
  }

  #ask(): Promise<Header | undefined> {
    this.#asking ??= this.#chain
      .header("latest")
      .then((header) => {
        if (header !== undefined) this.#head = { header, at: performance.now() };
        this.#failedAt = Number.NEGATIVE_INFINITY;
        return header;
      })
      .catch(() => {
        this.#failedAt = performance.now();
        this.#head = undefined;
        return undefined;
      })
      .finally(() => {
        this.#asking = undefined;
      });
    return this.#asking;
  }
}

/** Bulkhead's tiers; they are asked for again when an address is not among them. */
export class Tiers {
  readonly #chain: Chain;
  readonly #deployment: Deployment;
  #known = new Map<string, TierRef>();
  #asking: Promise<void> | undefined;

  constructor(chain: Chain, deployment: Deployment) {
    this.#chain = chain;
    this.#deployment = deployment;
  }

  async get(address: string): Promise<TierRef> {
    const key = address.toLowerCase();
    if (!this.#known.has(key)) await this.#read();
    const tier = this.#known.get(key);
    if (tier === undefined)
      throw gatewayError("BAD_USER_INPUT", `${address} is no tier of this deployment: the field tiers has them all.`);
    return tier;
  }

  #read(): Promise<void> {
    this.#asking ??= readTiers(this.#chain, this.#deployment)
      .then((tiers) => {
        this.#known = new Map(tiers.map((tier) => [tier.address.toLowerCase(), tier]));
      })
      .finally(() => {
        this.#asking = undefined;
      });
    return this.#asking;
  }
}

/** What live fields are read from: shared by all operations. */
export interface ChainAccess {
  readonly chain: Chain;
  readonly deployment: Deployment;
  readonly tiers: Tiers;
}

/**
 * The chain at one block. Everything is asked for once, however many fields need it. Where the RPC knows the block but
 * has no state of it any more, all of the view is read at the head instead, and `moved` says so.
 */
export class ChainView {
  readonly #access: ChainAccess;
  readonly #lens: string;
  readonly #memo = new Map<string, Promise<unknown>>();
  #at: BlockRef;
  #moving: Promise<BlockRef> | undefined;
  /** The block that was asked for, where the view is of another one. */
  moved: BlockRef | undefined;
  used = false;

  constructor(access: ChainAccess, at: BlockRef) {
    this.#access = access;
    this.#at = at;
    this.#lens = lensOf(access.deployment);
  }

  /** The block that is read. */
  get block(): BlockRef {
    return this.#at;
  }

  /** The block that was asked for: the subgraph's part is of it, wherever the view has moved. */
  get asked(): BlockRef {
    return this.moved ?? this.#at;
  }

  get deployment(): Deployment {
    return this.#access.deployment;
  }

  /** The whole state of a tier as a sync would leave it: one call. */
  async tier(address: string): Promise<TierState> {
    const state = await this.#once(`tier ${address.toLowerCase()}`, async () => {
      const ref = await this.#access.tiers.get(address);
      return await this.#read((at) => readTier(this.#access.chain, this.#lens, ref, { hash: at.hash }));
    });
    if (!state.readable)
      throw gatewayError(
        "TIER_UNREADABLE",
        `The tier ${state.name} cannot be synced at block ${this.#at.number}: EigenLayer or the staking protocol does not answer it (${state.failure.slice(0, 10)}). Exits that are finalised can be claimed all the same.`,
      );
    return state;
  }

  /** A contract's view function. */
  async call(to: string, face: Interface, name: string, args: readonly unknown[] = []): Promise<Result> {
    const data = face.encodeFunctionData(name, args);
    return await this.#once(`call ${to.toLowerCase()} ${data}`, () =>
      this.#read(async (at) => {
        const answer = await this.#access.chain.call({ to, data }, { hash: at.hash });
        try {
          return face.decodeFunctionResult(name, answer);
        } catch (error) {
          if (!isError(error, "BAD_DATA") && !isError(error, "BUFFER_OVERRUN")) throw error;
          throw new LensError(`${to} does not answer ${name} at block ${at.number}: it did not exist yet.`);
        }
      }),
    );
  }

  /** The ABI of a contract, from the deployment. */
  interfaceOf(name: string): Interface {
    return interfaceOf(this.#access.deployment, name);
  }

  async #once<T>(key: string, read: () => Promise<T>): Promise<T> {
    this.used = true;
    let found = this.#memo.get(key) as Promise<T> | undefined;
    if (found === undefined) {
      found = read();
      this.#memo.set(key, found);
    }
    return await found;
  }

  async #read<T>(read: (at: BlockRef) => Promise<T>): Promise<T> {
    try {
      return await read(this.#at);
    } catch (error) {
      if (!(error instanceof BlockUnknown) && !(error instanceof LensError && (await this.#isStateless()))) throw error;
      return await read(await this.#toHead(error));
    }
  }

  /** Whether the RPC says of a block whose state it has not that there is no code: some do, instead of an error. */
  async #isStateless(): Promise<boolean> {
    const lens = this.#access.deployment.contracts.upkeepLens;
    if (lens === undefined) return false;
    if (this.#at.number < lens.block)
      throw gatewayError(
        "BAD_USER_INPUT",
        `Live fields can be read from block ${lens.block} on, in which the lens was deployed; block ${this.#at.number} is older.`,
      );
    return (await this.#access.chain.code(lens.address, { hash: this.#at.hash })) === "0x";
  }

  /** Every read that failed for want of state comes here; the first one moves the view. */
  #toHead(error: Error): Promise<BlockRef> {
    this.#moving ??= (async () => {
      const wanted = this.#at;
      const known = await this.#access.chain.header({ hash: wanted.hash });
      const canonical = known === undefined ? undefined : await this.#access.chain.header(wanted.number);
      // a block that was taken back is another matter: nothing is to be read beside the subgraph's part then
      if (canonical?.hash !== wanted.hash) throw error;
      const head = await this.#access.chain.header("latest");
      if (head === undefined || head.hash === wanted.hash) throw error;
      this.moved = wanted;
      this.#at = { number: head.number, hash: head.hash, timestamp: head.timestamp };
      return this.#at;
    })();
    return this.#moving;
  }
}

const faces = new WeakMap<Deployment, Map<string, Interface>>();

function interfaceOf(deployment: Deployment, name: string): Interface {
  let known = faces.get(deployment);
  if (known === undefined) {
    known = new Map();
    faces.set(deployment, known);
  }
  let face = known.get(name);
  if (face === undefined) {
    const abi = deployment.abis[name];
    if (abi === undefined)
      throw new LensError(`The deployment on ${deployment.network} has no ABI of ${name}: write its file again.`);
    face = new Interface(abi as ConstructorParameters<typeof Interface>[0]);
    known.set(name, face);
  }
  return face;
}
