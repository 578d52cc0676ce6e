/**
 * Subscriptions: one poller for all clients, only while there are any. A poll asks graph-node once for its head and for what
 * happened since the last one; graph-node answers a request from one block. Blocks count only once the chain confirms them,
 * so what was told is void exactly when `reorganised` says so.
 */
import { delegateToSchema, type SubschemaConfig } from "@graphql-tools/delegate";
import { type GraphQLResolveInfo, parse } from "graphql";
import * as z from "zod";
import { chainError, gatewayError } from "./errors.ts";
import { reading } from "./live/tier.ts";
import { Operation, type OperationContext, type Services } from "./operation.ts";
import { META, metaSchema, type SubgraphHead } from "./subgraph.ts";
import type { BlockRef } from "./types.ts";

/** Heads that are remembered to find where a reorganisation began. */
const REMEMBERED = 256;
const PAGE = 1_000;
/** Events that may wait for one client. */
const MOST_WAITING = 10_000;

/** What is told to subscribers. */
export type FeedEvent = { readonly head: SubgraphHead } & (
  | {
      readonly kind: "sync";
      readonly id: string;
      readonly tier: string;
      readonly block: number;
      readonly timestamp: number;
      readonly utilisationBefore: bigint;
      readonly utilisation: bigint;
    }
  | { readonly kind: "loss"; readonly id: string; readonly tier: string; readonly block: number }
  | { readonly kind: "reorganised"; readonly fromBlock: number }
);

const NEWS = parse(`query GatewayNews($from: BigInt!, $afterSync: Bytes!, $afterLoss: Bytes!) {
  _meta { ${META} }
  syncs(first: ${PAGE}, where: { block_gte: $from, id_gt: $afterSync }, orderBy: id) { id tier { id } block timestamp utilisationBefore utilisationAfter }
  losses(first: ${PAGE}, where: { block_gte: $from, id_gt: $afterLoss }, orderBy: id) { id tier { id } block lossId }
}`);
const tier = z.object({ id: z.string() }).transform(({ id }) => id);
const newsSchema = z.object({
  _meta: metaSchema,
  syncs: z.array(
    z.object({
      id: z.string(),
      tier,
      block: z.coerce.number(),
      timestamp: z.coerce.number(),
      utilisationBefore: z.string().transform(BigInt),
      utilisationAfter: z.string().transform(BigInt),
    }),
  ),
  losses: z.array(z.object({ id: z.string(), tier, block: z.coerce.number(), lossId: z.coerce.number() })),
});
type News = z.output<typeof newsSchema>;

export class Feed {
  readonly #services: () => Services;
  readonly #pollMs: number;
  readonly #channels = new Set<Channel>();
  #seen: BlockRef[] = [];
  #timer: NodeJS.Timeout | undefined;
  #polling: Promise<void> | undefined;
  #closed = false;

  constructor(services: () => Services, pollMs: number) {
    this.#services = services;
    this.#pollMs = pollMs;
  }

  /** Subscribers now. */
  get size(): number {
    return this.#channels.size;
  }

  /** What happens from now on; ends when its reader stops reading, or with the gateway. */
  async open(): Promise<AsyncIterableIterator<FeedEvent>> {
    if (this.#closed) throw gatewayError("SUBGRAPH_UNAVAILABLE", "The gateway is going down: subscribe again later.");
    const channel = new Channel(() => this.#leave(channel));
    // before the first poll, so that nothing lies between it and the next
    this.#channels.add(channel);
    try {
      // a poll for earlier subscribers, which is still under way, leaves no beginning for this one
      while (this.#seen.length === 0 && !this.#closed) await this.#poll();
    } catch (error) {
      this.#leave(channel);
      throw error;
    }
    this.#schedule();
    return channel;
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const channel of [...this.#channels]) await channel.return();
    clearTimeout(this.#timer);
    await this.#polling?.catch(() => {});
  }

  #leave(channel: Channel): void {
    this.#channels.delete(channel);
    if (this.#channels.size > 0) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#seen = [];
  }

  #schedule(): void {
    if (this.#timer !== undefined || this.#closed || this.#channels.size === 0) return;
    const timer = setTimeout(() => {
      // what fails is asked for again: nothing counts as told before it was
      void this.#poll()
        .catch(() => {})
        .finally(() => {
          if (this.#timer !== timer) return; // everybody left meanwhile
          this.#timer = undefined;
          this.#schedule();
        });
    }, this.#pollMs);
    this.#timer = timer;
  }

  #poll(): Promise<void> {
    this.#polling ??= this.#look().finally(() => {
      this.#polling = undefined;
    });
    return this.#polling;
  }

  async #look(): Promise<void> {
    const { subgraph } = this.#services();
    const last = this.#seen.at(-1);
    if (last === undefined) {
      const { block } = await subgraph.head();
      if (this.#channels.size > 0) this.#seen = [block];
      return;
    }
    let news = await this.#news(last.number + 1);
    const head = news._meta;
    if (head.block.hash === last.hash || !(await this.#isCanonical(head.block))) return;
    let voidFrom: number | undefined;
    if (!(await this.#isCanonical(last))) {
      voidFrom = (await this.#forkOf(head.block)) + 1;
      news = await this.#news(voidFrom);
      if (news._meta.block.hash !== head.block.hash) return; // the next poll finds it at rest
    } else if (head.block.number < last.number) {
      return; // a graph-node that is behind another one
    }
    const events = await this.#rest(news, voidFrom ?? last.number + 1);
    if (events === undefined || last !== this.#seen.at(-1)) return;
    if (voidFrom !== undefined) {
      const from = voidFrom;
      this.#seen = this.#seen.filter(({ number }) => number < from);
      this.#tell({ kind: "reorganised", fromBlock: from, head });
    }
    for (const event of events) this.#tell(event);
    this.#seen = [...this.#seen, head.block].slice(-REMEMBERED);
  }

  #news(from: number, afterSync = "0x", afterLoss = "0x"): Promise<News> {
    return this.#services().subgraph.ask(NEWS, { from: `${from}`, afterSync, afterLoss }, newsSchema);
  }

  /** All events of a head, further pages too, in order; undefined if the head moved while they were asked for. */
  async #rest(first: News, from: number): Promise<FeedEvent[] | undefined> {
    const { _meta: head } = first;
    const syncs = [...first.syncs];
    const losses = [...first.losses];
    let page = first;
    while (page.syncs.length === PAGE || page.losses.length === PAGE) {
      page = await this.#news(from, syncs.at(-1)?.id ?? "0x", losses.at(-1)?.id ?? "0x");
      if (page._meta.block.hash !== head.block.hash) return undefined;
      syncs.push(...page.syncs);
      losses.push(...page.losses);
    }
    syncs.sort((a, b) => a.block - b.block || logIndex(a.id) - logIndex(b.id));
    losses.sort((a, b) => a.block - b.block || a.lossId - b.lossId);
    const told: FeedEvent[] = [
      // a loss is booked in the call whose sync ends it
      ...losses.map(({ id, tier, block }) => ({ kind: "loss" as const, id, tier, block, head })),
      ...syncs.map(({ utilisationAfter, ...sync }) => ({
        ...sync,
        kind: "sync" as const,
        utilisation: utilisationAfter,
        head,
      })),
    ];
    return told.sort((a, b) => blockOf(a) - blockOf(b));
  }

  async #isCanonical({ number, hash }: BlockRef): Promise<boolean> {
    return (await this.#services().chain.header(number))?.hash === hash;
  }

  /** The newest block that was told of and still is one of the chain's. */
  async #forkOf(head: BlockRef): Promise<number> {
    const older = this.#seen.filter(({ number }) => number <= head.number);
    for (const block of older.reverse()) if (await this.#isCanonical(block)) return block.number;
    // nobody was told of anything before the first block that was seen
    return Math.max(0, Math.min(head.number, this.#seen[0]?.number ?? 0) - 1);
  }

  #tell(event: FeedEvent): void {
    for (const channel of [...this.#channels]) channel.push(event);
  }
}

const blockOf = (event: FeedEvent): number => (event.kind === "reorganised" ? event.fromBlock : event.block);
/** An event's id ends with its log index, which counts through the block. */
const logIndex = (id: string): number => Number.parseInt(id.slice(-8), 16);

/** Events on their way to one client. */
class Channel implements AsyncIterableIterator<FeedEvent> {
  readonly #waiting: FeedEvent[] = [];
  readonly #onEnd: () => void;
  #readers: { resolve(result: IteratorResult<FeedEvent>): void; reject(error: unknown): void }[] = [];
  #ended = false;
  #failure: unknown;

  constructor(onEnd: () => void) {
    this.#onEnd = onEnd;
  }

  push(event: FeedEvent): void {
    if (this.#ended) return;
    const reader = this.#readers.shift();
    if (reader !== undefined) reader.resolve({ value: event, done: false });
    else if (this.#waiting.push(event) > MOST_WAITING) {
      this.#waiting.length = 0;
      this.#failure = gatewayError(
        "TIMEOUT",
        `More than ${MOST_WAITING} events wait for this client: subscribe again, and ask for what was missed by a query.`,
      );
      this.#end();
    }
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#onEnd();
    for (const { resolve } of this.#readers.splice(0)) resolve({ value: undefined, done: true });
  }

  next(): Promise<IteratorResult<FeedEvent>> {
    const event = this.#waiting.shift();
    if (event !== undefined) return Promise.resolve({ value: event, done: false });
    if (this.#failure !== undefined) {
      const failure = this.#failure;
      this.#failure = undefined;
      return Promise.reject(failure);
    }
    if (this.#ended) return Promise.resolve({ value: undefined, done: true });
    return new Promise((resolve, reject) => this.#readers.push({ resolve, reject }));
  }

  return(): Promise<IteratorResult<FeedEvent>> {
    this.#waiting.length = 0;
    this.#end();
    return Promise.resolve({ value: undefined, done: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

/** Some of the events, as something else. */
async function select<T>(feed: Feed, pick: (event: FeedEvent) => T | undefined): Promise<AsyncIterableIterator<T>> {
  const events = await feed.open();
  const selected: AsyncIterableIterator<T> = {
    async next() {
      for (;;) {
        const { value, done } = await events.next();
        if (done) return { value: undefined, done: true };
        const picked = pick(value);
        if (picked !== undefined) return { value: picked, done: false };
      }
    },
    async return() {
      await events.return?.();
      return { value: undefined, done: true };
    },
    [Symbol.asyncIterator]: () => selected,
  };
  return selected;
}

type Told<K extends FeedEvent["kind"]> = Extract<FeedEvent, { kind: K }>;
interface ForTier {
  readonly tier?: string | null;
}

export function subscriptionResolvers(subschema: SubschemaConfig, feed: Feed) {
  /** The answer to an event is of the head that brought it. */
  const at = (event: FeedEvent, context: OperationContext): Operation => {
    const services = feedServices(context);
    const operation = new Operation(services, event.head);
    context.bulkhead = operation;
    return operation;
  };
  const entity = async (
    fieldName: string,
    id: string,
    event: FeedEvent,
    context: OperationContext,
    info: GraphQLResolveInfo,
  ) => {
    at(event, context);
    const args = { id, block: { hash: event.head.block.hash } };
    return await delegateToSchema({ schema: subschema, operation: "query" as never, fieldName, args, context, info });
  };
  const known = async ({ tier: id }: ForTier, context: OperationContext): Promise<string | undefined> => {
    if (id === undefined || id === null) return undefined;
    try {
      return (await feedServices(context).tiers.get(id)).address.toLowerCase();
    } catch (error) {
      throw chainError(error);
    }
  };
  return {
    Subscription: {
      synced: {
        subscribe: async (_: unknown, args: ForTier, context: OperationContext) => {
          const only = await known(args, context);
          return select(feed, (event) =>
            event.kind === "sync" && (only ?? event.tier) === event.tier ? event : undefined,
          );
        },
        resolve: (event: Told<"sync">, _: unknown, context: OperationContext, info: GraphQLResolveInfo) =>
          entity("sync", event.id, event, context, info),
      },
      lossBooked: {
        subscribe: async (_: unknown, args: ForTier, context: OperationContext) => {
          const only = await known(args, context);
          return select(feed, (event) =>
            event.kind === "loss" && (only ?? event.tier) === event.tier ? event : undefined,
          );
        },
        resolve: (event: Told<"loss">, _: unknown, context: OperationContext, info: GraphQLResolveInfo) =>
          entity("loss", event.id, event, context, info),
      },
      utilisation: {
        subscribe: async (_: unknown, args: ForTier & { readonly above: string }, context: OperationContext) => {
          const bound = wad(args.above);
          const only = await known(args, context);
          return select(feed, (event) => {
            if (event.kind !== "sync" || (only ?? event.tier) !== event.tier) return undefined;
            const above = event.utilisation > bound;
            return above || event.utilisationBefore > bound ? { ...event, above } : undefined;
          });
        },
        resolve: (event: Told<"sync"> & { readonly above: boolean }, _: unknown, context: OperationContext) => {
          at(event, context);
          return {
            event,
            utilisation: `${event.utilisation}`,
            above: event.above,
            block: `${event.block}`,
            timestamp: `${event.timestamp}`,
          };
        },
      },
      reorganised: {
        subscribe: () => select(feed, (event) => (event.kind === "reorganised" ? event : undefined)),
        resolve: (event: Told<"reorganised">, _: unknown, context: OperationContext) => {
          at(event, context);
          return { fromBlock: event.fromBlock, head: reading(event.head.block) };
        },
      },
    },
    UtilisationReading: {
      tier: (
        { event }: { readonly event: Told<"sync"> },
        _: unknown,
        context: OperationContext,
        info: GraphQLResolveInfo,
      ) => entity("tier", event.tier, event, context, info),
    },
  };
}

function feedServices(context: OperationContext): Services {
  if (context.bulkhead === undefined) throw new Error("A subscription ran outside of an operation.");
  return context.bulkhead.services;
}

function wad(text: string): bigint {
  if (/^\d{1,60}$/.test(`${text}`)) return BigInt(text);
  throw gatewayError("BAD_USER_INPUT", `above is a whole number in WAD ("900000000000000000" is 0.9), not "${text}".`);
}
