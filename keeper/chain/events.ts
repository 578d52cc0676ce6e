/**
 * EigenLayer's events that say that something may have become urgent. They only tell the keeper why, and of whom: a log
 * that an RPC leaves out is harmless, because the pulse is asked at every block anyway.
 */
import { Interface, Result } from "ethers";
import * as z from "zod";
import { mayHold } from "./bloom.ts";
import type { Chain, Header } from "./types.ts";

export type Incident =
  | {
      readonly kind: "slashed";
      readonly operator: string;
      readonly avs: string;
      readonly set: number;
      /** By strategy: the part that was taken, in WAD. */
      readonly taken: readonly { readonly strategy: string; readonly wad: bigint }[];
      readonly description: string;
    }
  | {
      readonly kind: "slasher";
      readonly avs: string;
      readonly set: number;
      readonly slasher: string;
      readonly effectBlock: number;
    }
  | { readonly kind: "registrar"; readonly avs: string; readonly registrar: string }
  | { readonly kind: "strategy"; readonly avs: string; readonly set: number; readonly strategy: string };

const face = new Interface([
  "event OperatorSlashed(address operator, tuple(address avs, uint32 id) operatorSet, address[] strategies, uint256[] wadSlashed, string description)",
  "event SlasherUpdated(tuple(address avs, uint32 id) operatorSet, address slasher, uint32 effectBlock)",
  "event AVSRegistrarSet(address avs, address registrar)",
  "event StrategyAddedToOperatorSet(tuple(address avs, uint32 id) operatorSet, address strategy)",
]);

/** First topics of EigenLayer's AllocationManager that are looked for. */
export const INCIDENT_TOPICS: readonly string[] = face.fragments.flatMap((fragment) => {
  const event = fragment.type === "event" ? face.getEvent(fragment.format("sighash")) : null;
  return event ? [event.topicHash] : [];
});

const setSchema = z
  .instanceof(Result)
  .transform((result) => result.toObject())
  .pipe(z.object({ avs: z.string(), id: z.bigint().transform(Number) }));
const slashedSchema = z.object({
  operator: z.string(),
  operatorSet: setSchema,
  strategies: z.array(z.string()),
  wadSlashed: z.array(z.bigint()),
  description: z.string(),
});
const slasherSchema = z.object({
  operatorSet: setSchema,
  slasher: z.string(),
  effectBlock: z.bigint().transform(Number),
});
const registrarSchema = z.object({ avs: z.string(), registrar: z.string() });
const strategySchema = z.object({ operatorSet: setSchema, strategy: z.string() });

/** Whether the block may hold an incident: certain if not, perhaps chance if so. Costs nothing. */
export const mayHoldIncident = (header: Header, allocationManager: string): boolean =>
  mayHold(header.logsBloom, [allocationManager], INCIDENT_TOPICS);

/** The block's incidents; one request, and none if the header excludes them. */
export async function incidentsIn(
  chain: Pick<Chain, "logs">,
  header: Header,
  allocationManager: string,
): Promise<readonly Incident[]> {
  if (!mayHoldIncident(header, allocationManager)) return [];
  const logs = await chain.logs({
    address: [allocationManager],
    topics: INCIDENT_TOPICS,
    blockHash: header.hash,
  });
  return logs.flatMap((log) => readIncident(log) ?? []);
}

/** Undefined where the log is another, or cannot be read. */
export function readIncident(log: { readonly topics: readonly string[]; readonly data: string }): Incident | undefined {
  let name: string;
  let fields: unknown;
  try {
    const parsed = face.parseLog({ topics: [...log.topics], data: log.data });
    if (!parsed) return undefined;
    name = parsed.name;
    fields = parsed.args.toObject();
    switch (name) {
      case "OperatorSlashed": {
        const { operator, operatorSet, strategies, wadSlashed, description } = slashedSchema.parse(fields);
        const taken = strategies.map((strategy, i) => ({ strategy, wad: wadSlashed[i] ?? 0n }));
        return { kind: "slashed", operator, avs: operatorSet.avs, set: operatorSet.id, taken, description };
      }
      case "SlasherUpdated": {
        const { operatorSet, slasher, effectBlock } = slasherSchema.parse(fields);
        return { kind: "slasher", avs: operatorSet.avs, set: operatorSet.id, slasher, effectBlock };
      }
      case "AVSRegistrarSet":
        return { kind: "registrar", ...registrarSchema.parse(fields) };
      default: {
        const { operatorSet, strategy } = strategySchema.parse(fields);
        return { kind: "strategy", avs: operatorSet.avs, set: operatorSet.id, strategy };
      }
    }
  } catch {
    return undefined; // a description that is not UTF-8, a contract that is not EigenLayer's
  }
}
