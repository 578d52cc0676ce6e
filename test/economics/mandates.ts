/** Mandates for the tests: equal groups, and random ones. */
import fc from "fast-check";
import type { MandateTerms } from "../../economics/index.ts";
import { WAD } from "../../model/index.ts";

export const BASE: Omit<MandateTerms, "sets" | "agents"> = {
  name: "Tier",
  k: 2,
  margin: 1000n,
  haircut: 200n,
  buffer: 0n,
  instantFee: 20n,
  quarantine: 1000n,
  cap: 1_000_000n * WAD,
  seed: WAD,
  delay: 45 * 86_400,
  merged: [],
};

/** `count` sets that could each take `share` (WAD) of a tier without a buffer, on as few agents as fit. */
export function equalGroups(count: number, share: bigint, more: Partial<MandateTerms> = {}): MandateTerms {
  const agents = Math.max(Math.ceil(count / 8), Math.ceil((Number(share) * count) / Number(WAD)));
  const each = Math.ceil(count / agents);
  const sets = Array.from({ length: count }, (_, i) => ({ name: `S${i}` }));
  return {
    ...BASE,
    sets,
    agents: Array.from({ length: agents }, (_, i) => ({
      name: `A${i}`,
      weight: 10_000n / BigInt(agents),
      targets: sets
        .slice(i * each, (i + 1) * each)
        .map(({ name }) => ({ set: name, magnitude: share * BigInt(agents) })),
    })),
    ...more,
  };
}

/** Mandates as the contracts take them: 1 to 4 agents, each with up to 5 of 12 sets of up to 12 groups. */
export const anyMandate: fc.Arbitrary<MandateTerms> = fc
  .record({
    k: fc.integer({ min: 1, max: 4 }),
    margin: fc.bigInt({ min: 0n, max: 5000n }),
    haircut: fc.bigInt({ min: 0n, max: 1000n }),
    buffer: fc.bigInt({ min: 0n, max: 500n }),
    slashers: fc.array(fc.integer({ min: 0, max: 8 }), { minLength: 12, maxLength: 12 }),
    weights: fc.array(fc.bigInt({ min: 1n, max: 2500n }), { minLength: 1, maxLength: 4 }),
    picks: fc.array(fc.array(fc.nat(11), { minLength: 0, maxLength: 5 }), { minLength: 4, maxLength: 4 }),
    parts: fc.array(fc.bigInt({ min: 1n, max: WAD / 5n }), { minLength: 20, maxLength: 20 }),
  })
  .map(({ k, margin, haircut, buffer, slashers, weights, picks, parts }) => ({
    ...BASE,
    k,
    margin,
    haircut,
    buffer,
    // most sets have a slasher of their own, some share one
    sets: slashers.map((slasher, i) => (slasher < 2 ? { name: `S${i}`, slasher: `X${slasher}` } : { name: `S${i}` })),
    agents: weights.map((weight, i) => ({
      name: `A${i}`,
      weight,
      targets: [...new Set(picks[i])].map((set, j) => ({ set: `S${set}`, magnitude: parts[i * 5 + j] ?? 1n })),
    })),
  }));
