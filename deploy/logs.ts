/** Reads a contract's events, from nodes that answer everything at once and from those that limit the range. */
import type { Contract, EventLog, Log } from "ethers";

const RANGE = 5_000;

export async function logsOf(
  contract: Contract,
  event: string,
  fromBlock: number,
  range: number = RANGE,
): Promise<readonly (EventLog | Log)[]> {
  try {
    return await contract.queryFilter(event, fromBlock);
  } catch {
    // whatever the reason is, it is the same for small ranges, or it was the range
    const head = await contract.runner?.provider?.getBlockNumber();
    if (head === undefined) throw new Error("Events are read from a contract with a provider.");
    const logs: (EventLog | Log)[] = [];
    for (let from = fromBlock; from <= head; from += range)
      logs.push(...(await contract.queryFilter(event, from, Math.min(from + range - 1, head))));
    return logs;
  }
}
