/** Who asks, and how often he may. */
import type { IncomingMessage } from "node:http";
import { isIPv6 } from "node:net";
import type { Plugin } from "graphql-yoga";
import { RateLimiterMemory, RateLimiterRes } from "rate-limiter-flexible";
import type { GatewayLimits } from "../types.ts";
import type { Metrics } from "./metrics.ts";
import { refusal, refusalResponse } from "./refusal.ts";

/**
 * The client's address. Behind a proxy it is what the proxy says in the configured header: the last entry, which the
 * nearest proxy wrote; those before it are the client's own words. Of IPv6 the first 64 bits, because one client has all
 * of the rest.
 */
export function clientOf(request: Request, socket: IncomingMessage["socket"] | undefined, header?: string): string {
  const said = header === undefined ? undefined : request.headers.get(header)?.split(",").at(-1)?.trim();
  const address = (said || socket?.remoteAddress || "unknown").replace(/^::ffff:(?=\d+\.)/, "").slice(0, 64);
  if (!isIPv6(address)) return address;
  const [head = "", tail] = address.split("::");
  const front = head === "" ? [] : head.split(":");
  const back = tail === undefined || tail === "" ? [] : tail.split(":");
  const groups = tail === undefined ? front : [...front, ...Array(8 - front.length - back.length).fill("0"), ...back];
  return `${groups.slice(0, 4).join(":")}::/64`;
}

/** Node's request behind a Request, which yoga's context carries. */
export const socketOf = (context: unknown): IncomingMessage["socket"] | undefined =>
  (context as { req?: IncomingMessage } | undefined)?.req?.socket;

export interface Rate {
  readonly plugin: Plugin;
  /** Counts work that a request causes beyond its first, such as further pages of an export. */
  charge(client: string): void;
}

/** So many requests of one client in so many seconds; what watches the gateway itself is not counted. */
export function rateLimit(limits: GatewayLimits, metrics: Metrics, free: ReadonlySet<string>, header?: string): Rate {
  const limiter = new RateLimiterMemory({ points: limits.requests, duration: limits.perSeconds });
  return {
    charge: (client) => void limiter.penalty(client, 1).catch(() => {}),
    plugin: {
      async onRequest({ request, url, serverContext, endResponse }) {
        if (free.has(url.pathname) || request.method === "OPTIONS") return;
        try {
          await limiter.consume(clientOf(request, socketOf(serverContext), header));
        } catch (rejected) {
          if (!(rejected instanceof RateLimiterRes)) throw rejected;
          metrics.rateRefused();
          const seconds = Math.max(1, Math.ceil(rejected.msBeforeNext / 1000));
          const message =
            `More than ${limits.requests} requests in ${limits.perSeconds} s: wait ${seconds} s, ask for larger pages, ` +
            "or run a gateway of your own (npm run gateway).";
          endResponse(refusalResponse("RATE_LIMIT", 429, message, { "retry-after": String(seconds) }));
        }
      },
    },
  };
}

export interface Subscriptions {
  readonly plugin: Plugin;
  /** Ends all streams, as a server that goes down does. */
  end(): Promise<void>;
}

/** Open streams, of one client and of all. */
export function subscriptionLimit(limits: GatewayLimits, metrics: Metrics, header?: string): Subscriptions {
  const open = new Map<string, number>();
  const streams = new Set<AsyncIterator<unknown>>();
  let all = 0;
  let ending = false;
  const enter = (client: string): (() => void) => {
    const mine = open.get(client) ?? 0;
    if (ending) throw refusal("CLOSING", 503, "This gateway is going down: subscribe again in a moment.");
    if (mine >= limits.subscriptionsPerClient || all >= limits.subscriptions) {
      const whose = mine >= limits.subscriptionsPerClient ? `Your ${mine}` : `All ${all}`;
      throw refusal(
        "SUBSCRIPTION_LIMIT",
        429,
        `${whose} subscriptions are taken: end one, or ask for several fields in one subscription.`,
      );
    }
    open.set(client, mine + 1);
    metrics.subscriptions(++all);
    let left = false;
    return () => {
      if (left) return;
      left = true;
      const rest = (open.get(client) ?? 1) - 1;
      if (rest === 0) open.delete(client);
      else open.set(client, rest);
      metrics.subscriptions(--all);
    };
  };
  return {
    async end() {
      ending = true;
      await Promise.all([...streams].map((one) => one.return?.()));
    },
    plugin: {
      onSubscribe({ args, subscribeFn, setSubscribeFn }) {
        const context = args.contextValue as { request: Request };
        setSubscribeFn(async (given: unknown) => {
          const leave = enter(clientOf(context.request, socketOf(context), header));
          try {
            const result: unknown = await subscribeFn(given as Parameters<typeof subscribeFn>[0]);
            if (!isStream(result)) {
              leave();
              return result;
            }
            return watched(result, streams, leave);
          } catch (error) {
            leave();
            throw error;
          }
        });
      },
    },
  };
}

const isStream = (value: unknown): value is AsyncIterable<unknown> =>
  typeof value === "object" && value !== null && Symbol.asyncIterator in value;

/** The same stream; tells when it ends, whoever ends it. */
function watched(
  source: AsyncIterable<unknown>,
  streams: Set<AsyncIterator<unknown>>,
  leave: () => void,
): AsyncIterableIterator<unknown> {
  const inner = source[Symbol.asyncIterator]();
  let stop: (() => void) | undefined;
  const stopped = new Promise<IteratorResult<unknown>>((done) => {
    stop = () => done({ done: true, value: undefined });
  });
  const end = (): void => {
    stop?.();
    streams.delete(outer);
    leave();
  };
  const outer: AsyncIterableIterator<unknown> = {
    [Symbol.asyncIterator]: () => outer,
    async next() {
      try {
        const step = await Promise.race([inner.next(), stopped]);
        if (step.done) end();
        return step;
      } catch (error) {
        end();
        throw error;
      }
    },
    async return(value?: unknown) {
      end();
      // not awaited: a source that waits for its next event may answer only then
      void Promise.resolve(inner.return?.(value)).catch(() => {});
      return { done: true, value };
    },
  };
  streams.add(outer);
  return outer;
}
