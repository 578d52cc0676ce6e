/**
 * EigenLayer's tree of rewards: leaves of earners, each with the root of a tree over the tokens that he has earned since
 * the beginning. What EigenLayer computes off-chain and publishes for each root; here for chains that have nobody else.
 */
import { concat, keccak256, solidityPackedKeccak256, ZeroHash } from "ethers";

export interface Earning {
  readonly token: string;
  /** All that was ever earned of it, in its units. */
  readonly cumulative: bigint;
}

export interface Claim {
  readonly rootIndex: number;
  readonly earnerIndex: number;
  readonly earnerTreeProof: string;
  readonly earnerLeaf: { readonly earner: string; readonly earnerTokenRoot: string };
  readonly tokenIndices: readonly number[];
  readonly tokenTreeProofs: readonly string[];
  readonly tokenLeaves: readonly { readonly token: string; readonly cumulativeEarnings: bigint }[];
}

const EARNER_SALT = 0;
const TOKEN_SALT = 1;

interface Tree {
  readonly root: string;
  readonly proofs: readonly string[];
}

/** A complete binary tree; at least two leaves, so that no proof is empty. */
function treeOf(leaves: readonly string[]): Tree {
  let width = 2;
  while (width < leaves.length) width *= 2;
  let level = Array.from({ length: width }, (_, i) => leaves[i] ?? ZeroHash);
  const proofs = leaves.map(() => [] as string[]);
  for (let height = 0; level.length > 1; height++) {
    for (const [i, proof] of proofs.entries()) proof.push(level[(i >> height) ^ 1] ?? ZeroHash);
    const below = level;
    level = Array.from({ length: below.length / 2 }, (_, i) =>
      keccak256(concat([below[2 * i] ?? ZeroHash, below[2 * i + 1] ?? ZeroHash])),
    );
  }
  return { root: level[0] ?? ZeroHash, proofs: proofs.map((proof) => concat(proof)) };
}

/** The tree over all earners, and each one's claim; `tokens` picks some of his tokens. */
export function rewardsTree(earners: ReadonlyMap<string, readonly Earning[]>): {
  readonly root: string;
  readonly claim: (earner: string, rootIndex: number, tokens?: readonly string[]) => Claim;
} {
  const list = [...earners].map(([earner, earnings]) => {
    const leaves = earnings.map(({ token, cumulative }) =>
      solidityPackedKeccak256(["uint8", "address", "uint256"], [TOKEN_SALT, token, cumulative]),
    );
    return { earner, earnings, tree: treeOf(leaves) };
  });
  const outer = treeOf(
    list.map(({ earner, tree }) =>
      solidityPackedKeccak256(["uint8", "address", "bytes32"], [EARNER_SALT, earner, tree.root]),
    ),
  );
  return {
    root: outer.root,
    claim: (earner, rootIndex, tokens) => {
      const at = list.findIndex((one) => one.earner === earner);
      const found = list[at];
      if (!found) throw new Error(`${earner} has earned nothing.`);
      const wanted = found.earnings
        .map((earning, i) => ({ ...earning, i }))
        .filter(({ token }) => tokens === undefined || tokens.includes(token));
      return {
        rootIndex,
        earnerIndex: at,
        earnerTreeProof: outer.proofs[at] ?? "0x",
        earnerLeaf: { earner, earnerTokenRoot: found.tree.root },
        tokenIndices: wanted.map(({ i }) => i),
        tokenTreeProofs: wanted.map(({ i }) => found.tree.proofs[i] ?? "0x"),
        tokenLeaves: wanted.map(({ token, cumulative }) => ({ token, cumulativeEarnings: cumulative })),
      };
    },
  };
}
