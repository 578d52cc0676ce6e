/** What the calculation refuses, and what it says is riskier. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { calculate, compare, DEFAULTS, type MandateTerms, REASONS } from "../../economics/index.ts";
import { WAD } from "../../model/index.ts";
import { equalGroups } from "./mandates.ts";

const reasons = (terms: MandateTerms, more: Partial<typeof DEFAULTS> = {}) =>
  calculate(terms, { ...DEFAULTS, paths: 0, ...more }).refusals.map(({ reason }) => reason);
const percent = (x: number): bigint => BigInt(x * 100) * 10n ** 14n;

describe("a mandate is refused", () => {
  test("at k = 2 with groups of 25 %, and not with groups of 24 %, which are still too concentrated", () => {
    assert.ok(reasons(equalGroups(4, percent(25))).includes("accept-large-groups"));
    const smaller = reasons(equalGroups(4, percent(24)));
    assert.ok(!smaller.includes("accept-large-groups"));
    assert.ok(smaller.includes("accept-concentration"));
  });

  test("at k = 3 with groups of 15 %", () => {
    const terms = equalGroups(6, percent(15), { k: 3 });
    assert.ok(reasons(terms).includes("accept-large-groups"));
    assert.ok(!reasons({ ...terms, k: 2 }).includes("accept-large-groups"));
  });

  test("where the k largest hold more than 12.5 %, and not at 12.5 %", () => {
    assert.ok(!reasons(equalGroups(16, percent(6.25))).includes("accept-concentration"));
    assert.ok(reasons(equalGroups(15, percent(6.3))).includes("accept-concentration"));
    assert.ok(reasons(equalGroups(7, percent(13), { k: 1 })).includes("accept-concentration"));
  });

  test("with fewer groups than its allocations and k ask for, though each alone were small enough", () => {
    const refusals = calculate(equalGroups(6, percent(15)), { ...DEFAULTS, paths: 0 }).refusals;
    const few = refusals.find(({ reason }) => reason === "accept-few-groups");
    // 2 · 90 % / 12.5 % = 14.4
    assert.match(few?.sentence ?? "", /^6 slasher groups hold 90\.00 % .* k = 2 that takes at least 15 /);
    assert.ok(!reasons(equalGroups(6, percent(5))).includes("accept-few-groups"));
  });

  test("where the senior earns less than plain staking, with the reward that would be enough", () => {
    const few = calculate(equalGroups(16, percent(6.25)), {
      ...DEFAULTS,
      paths: 0,
      market: { ...DEFAULTS.market, avsRewards: 0n },
    });
    const [refusal] = few.refusals;
    assert.equal(refusal?.reason, "accept-expensive-cover");
    assert.match(refusal?.sentence ?? "", /break even\.$/);
    assert.deepEqual(reasons(equalGroups(16, percent(6.25))), []);
  });

  test("without a margin or a haircut", () => {
    assert.deepEqual(reasons(equalGroups(16, percent(6.25), { margin: 0n })), ["accept-no-margin"]);
    assert.deepEqual(reasons(equalGroups(16, percent(6.25), { haircut: 0n })), ["accept-no-haircut"]);
  });

  test("for reasons that each have a sentence and a name to accept them by", () => {
    const all = [equalGroups(4, percent(25), { k: 3, margin: 0n, haircut: 0n })].flatMap(
      (terms) => calculate(terms, { ...DEFAULTS, paths: 0 }).refusals,
    );
    assert.deepEqual(new Set(all.map(({ reason }) => reason)), new Set(Object.keys(REASONS)));
    for (const { sentence } of all) assert.match(sentence, /^[A-Z0-9].*\.$|^S\d.*\.$/);
  });
});

describe("a proposal beside the mandate in force", () => {
  const now = equalGroups(16, percent(6.25), { buffer: 200n });
  const riskier = (proposed: MandateTerms) =>
    compare(now, proposed)
      .filter((one) => one.riskier)
      .map(({ what }) => what);
  const safer = (proposed: MandateTerms) =>
    compare(now, proposed)
      .filter((one) => !one.riskier)
      .map(({ what }) => what);

  test("has no differences with itself", () => {
    assert.deepEqual(compare(now, now), []);
  });

  test("SPEC 6.2: is riskier with k, b, h or buffer lower, or cap or threshold higher, and safer the other way", () => {
    const changes: [Partial<MandateTerms>, Partial<MandateTerms>, string][] = [
      [{ k: 1 }, { k: 3 }, "k"],
      [{ margin: 999n }, { margin: 1001n }, "margin"],
      [{ haircut: 199n }, { haircut: 201n }, "haircut"],
      [{ buffer: 199n }, { buffer: 201n }, "buffer"],
      [{ cap: now.cap + WAD }, { cap: now.cap - WAD }, "cap"],
      [{ quarantine: 1001n }, { quarantine: 999n }, "quarantine"],
    ];
    for (const [worse, better, what] of changes) {
      assert.deepEqual(riskier({ ...now, ...worse }), [what]);
      assert.deepEqual(riskier({ ...now, ...better }), []);
      assert.deepEqual(safer({ ...now, ...better }), [what]);
    }
    assert.deepEqual(riskier({ ...now, instantFee: 10n }), ["instant fee"]);
    assert.deepEqual(riskier({ ...now, instantFee: 30n }), ["instant fee"]);
  });

  test("SPEC 6.2: is riskier with a new set, another slasher or category, redistribution or a shorter veto window", () => {
    const [first, ...others] = now.sets;
    assert.ok(first);
    const had = { ...now, sets: [{ ...first, slasher: "x", category: "oracle", vetoBlocks: 100 }, ...others] };
    const change = (more: object) =>
      compare(had, {
        ...had,
        sets: [{ ...first, slasher: "x", category: "oracle", vetoBlocks: 100, ...more }, ...others],
      })
        .filter((one) => one.riskier)
        .map(({ what }) => what);
    assert.deepEqual(change({ slasher: "y" }), ["S0: slasher"]);
    assert.deepEqual(change({ category: "bridge" }), ["S0: category"]);
    assert.deepEqual(change({ redistributing: true }), ["S0: redistribution"]);
    assert.deepEqual(change({ vetoBlocks: 99 }), ["S0: veto window"]);
    assert.deepEqual(change({ vetoBlocks: 101 }), []);
    assert.deepEqual(riskier({ ...now, sets: [...now.sets, { name: "new" }] }), ["set new"]);
  });

  test("SPEC 6.2: is riskier with a higher weight or target, safer with lower ones or without an agent", () => {
    const [first, ...others] = now.agents;
    assert.ok(first);
    const [target, ...rest] = first.targets;
    assert.ok(target);
    const withTarget = (magnitude: bigint) => ({
      ...now,
      agents: [{ ...first, targets: [{ ...target, magnitude }, ...rest] }, ...others],
    });
    assert.deepEqual(riskier({ ...now, agents: [{ ...first, weight: first.weight + 1n }, ...others] }), ["A0: weight"]);
    assert.deepEqual(riskier(withTarget(target.magnitude + 1n)), ["A0: target for S0"]);
    assert.deepEqual(riskier(withTarget(target.magnitude - 1n)), []);
    assert.deepEqual(safer(withTarget(target.magnitude / 2n)), ["A0: target for S0"]);
    assert.deepEqual(riskier({ ...now, agents: others }), []);
    assert.ok(safer({ ...now, agents: others }).includes("agent A0"));
  });
});
