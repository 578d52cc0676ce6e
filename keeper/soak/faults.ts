/** RPCs that fall ill: one of several at a time, now and then all of them for a moment. */
import type { FaultProxy } from "../../test/keeper/proxy.ts";
import type { Dice } from "./events.ts";

type Illness = (proxy: FaultProxy) => unknown;

const ILLNESSES: Readonly<Record<string, Illness>> = {
  "does not answer": (proxy) => proxy.inject("*", { kind: "hang" }),
  "breaks off": (proxy) => proxy.inject("*", { kind: "close" }),
  "answers 502": (proxy) => proxy.inject("*", { kind: "status", status: 502 }),
  "asks for patience": (proxy) => proxy.inject("*", { kind: "status", status: 429, retryAfter: 1 }),
  "is slow": (proxy) => proxy.inject("*", { kind: "latency", milliseconds: 100 }),
  "cuts answers": (proxy) => proxy.inject("eth_call", { kind: "cut" }),
  "is on another chain": (proxy) => proxy.wrongChain(1),
  "stands still": (proxy) => proxy.freeze(),
  "finds no logs": (proxy) => proxy.dropLogs(),
  "forgets transactions": (proxy) => proxy.dropTransactions(),
  "has no receipts": (proxy) => proxy.swallowReceipts(),
  "sends twice": (proxy) => proxy.duplicateTransactions(),
  "miscounts nonces": (proxy) => proxy.lieAboutNonces(3),
};

/** Makes one RPC ill; says how. */
export async function sicken(proxies: readonly FaultProxy[], dice: Dice): Promise<string> {
  const names = Object.keys(ILLNESSES);
  const [name, proxy] = [dice.of(names), dice.of(proxies)];
  await ILLNESSES[name]?.(proxy);
  return `RPC ${proxies.indexOf(proxy)} ${name}`;
}

/** All break off for so long. */
export async function blackout(proxies: readonly FaultProxy[], milliseconds: number): Promise<void> {
  for (const proxy of proxies) proxy.inject("*", { kind: "close" });
  await new Promise((resolve) => setTimeout(resolve, milliseconds));
  heal(proxies);
}

export function heal(proxies: readonly FaultProxy[]): void {
  for (const proxy of proxies) proxy.clear();
}
