/** Needed junior: the gate's own figure, to the wei, and as the specification's formula has it. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { describe, test } from "node:test";
import fc from "fast-check";
import {
  calculate,
  DEFAULTS,
  deployed,
  type MandateTerms,
  missingJunior,
  neededCover,
  type Size,
  seniorRoom,
  sizeForSenior,
  sizeForTotal,
  slasherGroups,
  Uncoverable,
} from "../../economics/index.ts";
import { Exposure, WAD } from "../../model/index.ts";
import { ROOT } from "../../scripts/lib/tools.ts";
import { anyMandate, BASE, equalGroups } from "./mandates.ts";

const amount = fc.bigInt({ min: WAD, max: 1_000_000n * WAD });

/** U as the contracts compute it, of a tier with this junior and everything else unchanged. */
function utilisation(terms: MandateTerms, size: Size, junior = size.junior, value = size.value): bigint {
  const { largest } = deployed(terms, value);
  return Exposure.utilisation(largest, value, size.reserve + junior, terms.margin, terms.haircut);
}

const sized = (make: () => Size): Size | undefined => {
  try {
    return make();
  } catch (error) {
    if (error instanceof Uncoverable) return undefined;
    throw error;
  }
};

const percentOf = (part: bigint, whole: bigint): number => Number((part * 1_000_000n) / whole) / 10_000;

describe("needed junior", () => {
  test("of a tier worth so much passes the gate, and one wei less does not", () => {
    fc.assert(
      fc.property(anyMandate, amount, fc.bigInt({ min: 0n, max: WAD }), (terms, total, reserve) => {
        const size = sized(() => sizeForTotal(terms, total, reserve));
        if (size === undefined) return neededCover(terms, total) > total;
        assert.equal(size.senior + size.junior + size.reserve, total);
        assert.ok(utilisation(terms, size) <= WAD);
        if (size.junior > 0n) assert.ok(utilisation(terms, size, size.junior - 1n) > WAD);
        return true;
      }),
      { numRuns: 500 },
    );
  });

  test("for so much senior passes the gate, and one wei less does not", () => {
    fc.assert(
      fc.property(anyMandate, amount, fc.bigInt({ min: 0n, max: WAD }), (terms, senior, reserve) => {
        const size = sized(() => sizeForSenior(terms, senior, reserve));
        if (size === undefined) return neededCover(terms, 10n ** 30n) >= (10n ** 30n * 99n) / 100n;
        assert.equal(size.senior, senior);
        assert.ok(utilisation(terms, size) <= WAD);
        if (size.junior > 0n) assert.ok(utilisation(terms, size, size.junior - 1n, size.value - 1n) > WAD);
        return true;
      }),
      { numRuns: 300 },
    );
  });

  test("never falls as k, b, h or a target rises", () => {
    const raise: ((terms: MandateTerms) => MandateTerms)[] = [
      (terms) => ({ ...terms, k: terms.k + 1 }),
      (terms) => ({ ...terms, margin: terms.margin + 1n }),
      (terms) => ({ ...terms, haircut: terms.haircut + 1n }),
      (terms) => ({
        ...terms,
        agents: terms.agents.map((agent, i) => ({
          ...agent,
          targets: agent.targets.map((target, j) =>
            i + j === 0 ? { ...target, magnitude: target.magnitude + WAD / 100n } : target,
          ),
        })),
      }),
    ];
    fc.assert(
      fc.property(anyMandate, amount, fc.constantFrom(...raise), (terms, total, change) => {
        return neededCover(change(terms), total) >= neededCover(terms, total);
      }),
      { numRuns: 500 },
    );
  });

  test("is (1 + b)·(k·share + h) of the tier for equal groups", () => {
    const total = 10_000n * WAD;
    const part = (count: number, share: bigint) => percentOf(neededCover(equalGroups(count, share), total), total);
    // 1.1 · (2 · 6.25 % + 2 %) and 1.1 · (2 · 15 % + 2 %)
    assert.equal(part(16, WAD / 16n).toFixed(2), "15.95");
    assert.equal(part(6, (WAD * 15n) / 100n).toFixed(2), "35.20");
  });

  test("is 17 % for sixteen groups of 6.25 %, and 37 % for six of 15 %, with some slack: at U = 94 %", () => {
    const total = 10_000n * WAD;
    const part = (terms: MandateTerms) => percentOf(sizeForTotal(terms, total, 0n, (WAD * 94n) / 100n).junior, total);
    const sixteen = part(equalGroups(16, WAD / 16n));
    assert.equal(sixteen.toFixed(0), "17");
    assert.equal((100 / sixteen).toFixed(1), "5.9");
    assert.equal(part(equalGroups(6, (WAD * 15n) / 100n)).toFixed(0), "37");
  });

  test("at a lower utilisation is more by exactly that factor", () => {
    const terms = equalGroups(16, WAD / 16n);
    const [full, part] = [WAD, (WAD * 9n) / 10n].map((u) => neededCover(terms, 10_000n * WAD, u));
    assert.ok(full !== undefined && part !== undefined);
    const error = part * 9n - full * 10n;
    assert.ok(error >= -10n && error <= 10n);
  });

  test("cannot be had where more junior is more at risk than it covers", () => {
    const terms = equalGroups(2, WAD / 2n, { k: 2 });
    assert.throws(() => sizeForSenior(terms, WAD, 0n), Uncoverable);
    assert.throws(() => sizeForTotal(terms, WAD, 0n), /no junior is enough\. Lower the target magnitudes/);
  });

  test("is nothing where the reserve is enough", () => {
    assert.equal(sizeForTotal(equalGroups(16, WAD / 16n), 100n * WAD, 20n * WAD).junior, 0n);
    assert.equal(sizeForSenior(equalGroups(16, WAD / 16n), 100n * WAD, 40n * WAD).junior, 0n);
  });

  test("that is missing later closes the gap, and one wei less does not", () => {
    fc.assert(
      fc.property(anyMandate, amount, fc.bigInt({ min: 0n, max: 100_000n * WAD }), (terms, value, cover) => {
        const { largest } = deployed(terms, value);
        const { margin: b, haircut: h } = terms;
        const covered = (x: bigint) => Exposure.covered(largest, value + x, cover + x, b, h);
        const x = missingJunior(terms, largest, value, cover);
        assert.ok(covered(x));
        if (x > 0n) assert.ok(!covered(x - 1n));
      }),
      { numRuns: 300 },
    );
  });
});

test("SPEC 4.1: an exposure is the stake and two wei, times the target in billionths, rounded up", () => {
  const sets = [{ name: "S" }];
  const third = {
    ...BASE,
    sets,
    agents: [{ name: "A", weight: 5_000n, targets: [{ set: "S", magnitude: WAD / 3n }] }],
  };
  assert.deepEqual(deployed(third, 100n).exposure, [52n * 333_333_334n]);
  assert.deepEqual(deployed({ ...third, buffer: 400n }, 100n).exposure, [50n * 333_333_334n]);
});

describe("room for more senior", () => {
  test("is gone at the least junior, and there at 90 %", () => {
    const terms = equalGroups(16, WAD / 16n);
    assert.ok(seniorRoom(terms, sizeForTotal(terms, 10_000n * WAD, WAD)) < 10n);
    assert.ok(seniorRoom(terms, sizeForTotal(terms, 10_000n * WAD, WAD, (WAD * 9n) / 10n)) > 1_000n * WAD);
  });

  test("ends at the cap", () => {
    const terms = equalGroups(16, WAD / 16n, { cap: 10_001n * WAD });
    assert.equal(seniorRoom(terms, sizeForTotal(terms, 10_000n * WAD, WAD, WAD / 2n)), WAD);
  });
});

describe("slasher groups", () => {
  test("join sets of one AVS, of one slasher, and what the curator merges, transitively", () => {
    const sets = [
      { name: "Oracle/1", slasher: "x" },
      { name: "Oracle/2" },
      { name: "Bridge", slasher: "x" },
      { name: "Storage" },
      { name: "Relay" },
      { name: "Prover" },
    ];
    const groups = slasherGroups({ ...BASE, sets, merged: [["Relay", "Storage"]] });
    assert.deepEqual(
      groups.map(({ sets: members }) => members),
      [["Oracle/1", "Oracle/2", "Bridge"], ["Storage", "Relay"], ["Prover"]],
    );
    assert.deepEqual(
      groups.map(({ name }) => name),
      ["Oracle/1 +2", "Storage +1", "Prover"],
    );
  });

  test("add up what their sets could take, on one agent or on several", () => {
    const apart = equalGroups(4, WAD / 10n, { k: 1 });
    const joined = { ...apart, merged: [["S0", "S3"]] };
    const total = 1_000n * WAD;
    const [one, two] = [apart, joined].map((terms) => deployed(terms, total).largest / Exposure.P);
    assert.equal(percentOf(one ?? 0n, total), 10);
    assert.equal(percentOf(two ?? 0n, total), 20);
  });
});

describe("the whole calculation", () => {
  test("is about the size that was asked for, with the mandate's seed as reserve", () => {
    const terms = equalGroups(16, WAD / 16n, { seed: 20n * WAD });
    const bySenior = calculate(terms, { ...DEFAULTS, amount: { senior: 5_000n * WAD }, paths: 0 });
    assert.equal(bySenior.size.senior, 5_000n * WAD);
    assert.equal(bySenior.size.reserve, 20n * WAD);
    const byTotal = calculate(terms, { ...DEFAULTS, amount: { total: 5_000n * WAD }, paths: 0 });
    assert.equal(byTotal.size.value, 5_000n * WAD);
    assert.ok(byTotal.utilisation <= DEFAULTS.utilisation);
    assert.equal(byTotal.simulation, undefined);
  });

  test("names the k largest groups and what they could take together", () => {
    const base = equalGroups(16, WAD / 32n);
    const [first, ...others] = base.agents;
    assert.ok(first);
    const targets = first.targets.map((one) => (one.set === "S3" ? { ...one, magnitude: one.magnitude * 3n } : one));
    const terms = { ...base, agents: [{ ...first, targets }, ...others] };
    const { groups, worst } = calculate(terms, { ...DEFAULTS, paths: 0 });
    assert.equal(groups[0]?.name, "S3");
    assert.deepEqual(groups.map((group) => group.worst).slice(0, 3), [true, true, false]);
    // 9.375 % and 3.125 %
    assert.equal(percentOf(worst.share, WAD).toFixed(2), "12.50");
  });
});

test("the calculation runs where there are no files: it imports nothing but itself and the mirror of the maths", () => {
  const seen = new Set<string>();
  const visit = (file: string): void => {
    if (seen.has(file)) return;
    seen.add(file);
    for (const [, from = ""] of readFileSync(file, "utf8").matchAll(
      /^(?:import|export) (?!type )[^;]*?from "([^"]+)";/gms,
    )) {
      assert.match(from, /^\.\.?\//, `${relative(ROOT, file)} imports ${from}`);
      visit(resolve(dirname(file), from));
    }
  };
  visit(join(ROOT, "economics/index.ts"));
  assert.ok(seen.size > 10);
  for (const file of seen) assert.match(relative(ROOT, file), /^(economics|model)\/|^scenario\/units\.ts$/);
});
