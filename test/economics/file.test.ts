/** Mandate files: what is read, and that every complaint names its place, its field and the fix. */
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { loadMandates, MandateFileError, readMandates } from "../../economics/file.ts";
import { slasherGroups } from "../../economics/index.ts";
import { WAD } from "../../model/index.ts";
import { ROOT } from "../../scripts/lib/tools.ts";

const SIXTEEN = readFileSync(join(ROOT, "economics/examples/sixteen-groups.yaml"), "utf8");

function broken(from: string, to: string): string {
  assert.equal(SIXTEEN.split(from).length, 2, `"${from}" should be in the file once`);
  return SIXTEEN.replace(from, to);
}

/** One complaint at the line and column of `at`, with these words. */
function refuses(text: string, at: string, words: RegExp): void {
  const offset = text.indexOf(at);
  const before = text.slice(0, offset);
  const place = `tier.yaml:${before.split("\n").length}:${offset - before.lastIndexOf("\n")}: `;
  assert.throws(
    () => readMandates(text, "tier.yaml"),
    (error) => {
      assert.ok(error instanceof MandateFileError);
      const all = error.message.split("\n");
      assert.equal(all.length, 1, error.message);
      assert.ok(all[0]?.startsWith(place), `${all[0]}\nexpected at ${place}`);
      assert.match(all[0] ?? "", words);
      return true;
    },
  );
}

describe("a mandate file", () => {
  for (const file of globSync("economics/examples/*.yaml", { cwd: ROOT })) {
    test(`${file} is accepted`, () => {
      assert.ok(loadMandates(join(ROOT, file)).tiers.length > 0);
    });
  }

  test("is read in its units", () => {
    const { tiers, assumed } = readMandates(SIXTEEN, "tier.yaml");
    const [tier] = tiers;
    assert.equal(tier?.margin, 1000n);
    assert.equal(tier?.seed, 20n * WAD);
    assert.equal(tier?.agents[0]?.weight, 2500n);
    assert.equal(tier?.agents[0]?.targets[0]?.magnitude, WAD / 4n);
    assert.equal(tier?.sets.length, 16);
    assert.deepEqual(assumed.amount, { total: 10_000n * WAD });
    assert.equal(assumed.stakingYield, 28n * 10n ** 15n);
    assert.equal(assumed.avsRewards, WAD / 100n);
    assert.equal(assumed.operatorFee, 1000n);
    assert.equal(assumed.mostPart, WAD);
  });

  test("joins sets of one slasher and those that it merges", () => {
    const text = broken("Blobspring: { category: data availability }", 'Blobspring: { slasher: "0xAB" }')
      .replace("Dawnstore: { category: data availability }", 'Dawnstore: { slasher: "0xab" }')
      .replace("tiers:\n", "merged:\n  - [Wayfix, Calcite]\ntiers:\n");
    const [tier] = readMandates(text, "tier.yaml").tiers;
    assert.ok(tier);
    assert.equal(slasherGroups(tier).length, 14);
  });

  test("may leave its assumptions and its titles out", () => {
    const text = SIXTEEN.slice(SIXTEEN.indexOf("avss:"), SIXTEEN.indexOf("assumptions:"));
    const { assumed } = readMandates(text, "tier.yaml");
    assert.ok(Object.values(assumed).every((value) => value === undefined));
  });

  test("names an unknown key and the one that was meant", () => {
    refuses(broken("haircut: 2 %", "haircut: 2 %\n    haircuts: 2 %"), "haircuts: 2 %", /"haircuts".*"haircut"/);
    refuses(broken("avs rewards: 1 %", "avs reward: 1 %"), "avs reward: 1 %", /"avs reward".*"avs rewards"/);
  });

  test("names an operator set that is not declared", () => {
    const text = broken("{ Blobspring: 25 %,", "{ Blobsprin: 25 %,");
    refuses(text, "Blobsprin: 25 %", /no AVS "Blobsprin"\. Did you mean "Blobspring"/);
    refuses(broken("tiers:\n", "merged: [[Wayfix, Calcit]]\ntiers:\n"), "Calcit]", /no AVS "Calcit"/);
  });

  test("says which values are allowed", () => {
    refuses(broken("margin: 10 %", "margin: 60 %"), "60 %", /margin: .*at most 50 %/);
    refuses(broken("haircut: 2 %", "haircut: 11 %"), "11 %", /haircut: .*at most 10 %/);
    refuses(broken("buffer: 2 %", "buffer: 6 %"), "6 %", /buffer: .*at most 5 %/);
    refuses(broken("k: 2", "k: 0"), "0\n    margin", /k: .*1 or more/);
    refuses(broken("avs rewards: 1 %", "avs rewards: 1"), "1\n  operator", /avs rewards: .*such as "2\.8 %"/);
    refuses(broken("slash chance: 1 %", "slash chance: 100 %"), "100 %\n  slash takes", /certainty/);
    refuses(broken("avs rewards: 1 %", "base rate: 30 %"), "30 %", /base rate: .*between 0\.5 % and 20 %/);
    refuses(broken("total: 10_000 ETH", "total: 10000"), "10000\n", /total: .*such as "100 ETH"/);
    refuses(broken("slash chance: 1 %", "paths: many"), "many", /paths: .*such as 2000/);
  });

  test("says where an address lacks its quotes", () => {
    const address = `0x${"a1".repeat(20)}`;
    const slasher = broken("Blobspring: { category: data availability }", `Blobspring: { slasher: ${address} }`);
    refuses(slasher, address, /slasher: .*An address needs quotes/);
    refuses(broken("Northwind:", `${address}:`), address, /agents: .*write it in quotes/);
  });

  test("says what does not fit together", () => {
    refuses(
      broken("total: 10_000 ETH", "total: 10_000 ETH\n  senior: 5 ETH"),
      "10_000 ETH\n  senior",
      /"senior" already/,
    );
    refuses(broken("least: 10 %, most: 100 %", "least: 60 %, most: 50 %"), "60 %, most", /above "most"/);
    refuses(broken("protocol fee: 0 %", "protocol fee: 95 %"), "95 %", /exceed the AVS rewards/);
    refuses(broken("total: 10_000 ETH", "total: 10_000 ETH\n  reserve: 1 ETH"), "1 ETH\n", /below the seed of Careful/);
    refuses(broken("protocol fee: 0 %", "base rate: 4 %\n  junior asks: 7 %"), "7 %\n", /"base rate" already/);
    const heavy = broken("Northwind:\n        weight: 25 %", "Northwind:\n        weight: 26 %");
    refuses(heavy, "Northwind:", /agents: The weights add up to 101 %/);
  });
});

describe("a scenario", () => {
  test("gives its tiers and its staking yield", () => {
    const { tiers, assumed } = loadMandates(join(ROOT, "scenarios/default.yaml"));
    assert.deepEqual(
      tiers.map(({ name, k }) => [name, k]),
      [
        ["Careful", 2],
        ["Bold", 1],
      ],
    );
    assert.equal(tiers[0]?.sets.length, 16);
    assert.equal(tiers[1]?.sets.length, 8);
    assert.equal(assumed.stakingYield, 279n * 10n ** 14n);
  });
});
