/**
 * A drop from holdings: who gets what, in OpenZeppelin's standard Merkle tree, as `Rewards.claimDrop` checks it. The hash
 * of the inputs is posted with the root, so that anybody can compute both again.
 */
import { StandardMerkleTree } from "@openzeppelin/merkle-tree";
import { getAddress, id } from "ethers";
import { DropError, type HoldingEvent, holdings, type Period } from "./holdings.ts";

export interface DropInputs extends Period {
  readonly events: readonly HoldingEvent[];
  /** Units of the dropped token to share out. */
  readonly amount: bigint;
}

export interface DropPart {
  readonly account: string;
  readonly amount: bigint;
  readonly proof: readonly string[];
}

export interface Drop {
  readonly root: string;
  /** keccak256 of the inputs as `canonical` writes them. */
  readonly inputsHash: string;
  /** In order of accounts; nobody with nothing. */
  readonly parts: readonly DropPart[];
  /** Sum of the parts: the amount less what rounding leaves, which returns to the tier when the drop is closed. */
  readonly total: bigint;
}

/** Shares an amount out in proportion to holdings and time, each part rounded down. */
export function dropOf(inputs: DropInputs): Drop {
  if (inputs.amount <= 0n) throw new DropError("There is nothing to drop: name an amount above 0.");
  const weights = holdings(inputs.events, inputs);
  const all = [...weights.values()].reduce((sum, one) => sum + one, 0n);
  if (all === 0n) throw new DropError("Nobody held a share in the period: choose another one, or another series.");
  const entries: [string, bigint][] = [];
  for (const [account, weight] of weights) {
    const amount = (inputs.amount * weight) / all;
    if (amount > 0n) entries.push([getAddress(account), amount]);
  }
  if (entries.length === 0) throw new DropError("The amount is too small to reach anybody: name a larger one.");
  const tree = StandardMerkleTree.of(entries, ["address", "uint256"]);
  return {
    root: tree.root,
    inputsHash: id(canonical(inputs)),
    parts: entries.map(([account, amount], i) => ({ account, amount, proof: tree.getProof(i) })),
    total: entries.reduce((sum, [, amount]) => sum + amount, 0n),
  };
}

/** The inputs as one text: fields in fixed order, addresses in lower case, amounts in decimals. */
export function canonical({ series, from, until, rates, events, amount }: DropInputs): string {
  const address = (text: string) => text.toLowerCase();
  const rows = events.map((event) => {
    const { kind, time, shares } = event;
    if (kind === "transfer") return [kind, time, address(event.from), address(event.to), shares];
    if (kind === "request") return [kind, time, event.requestId, address(event.controller), shares];
    return kind === "returned" ? [kind, time, event.requestId, shares] : [kind, time, shares];
  });
  const points = (rates ?? []).map(({ time, rate }) => [time, rate]);
  const text = (_: string, value: unknown) => (typeof value === "bigint" ? value.toString() : value);
  return JSON.stringify(["bulkhead drop 1", address(series), from, until, amount, points, rows], text);
}
