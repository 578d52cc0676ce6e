import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { loadScenario, readScenario, ScenarioFileError } from "../../scenario/load.ts";
import { ROOT } from "../../scripts/lib/tools.ts";

const DEFAULT = readFileSync(join(ROOT, "scenarios/default.yaml"), "utf8");

/** The default file with one text replaced, which must be there once. */
function broken(from: string, to: string): string {
  assert.equal(DEFAULT.split(from).length, 2, `"${from}" should be in the file once`);
  return DEFAULT.replace(from, to);
}

function complaints(text: string): string[] {
  try {
    readScenario(text, "story.yaml");
  } catch (error) {
    assert.ok(error instanceof ScenarioFileError);
    return error.message.split("\n");
  }
  return assert.fail("the file was accepted");
}

const lineOf = (text: string, part: string): number => text.slice(0, text.indexOf(part)).split("\n").length;

/** One complaint, at the line and column of `at` in the text, with these words. */
function refuses(text: string, at: string, words: RegExp): void {
  const all = complaints(text);
  assert.equal(all.length, 1, all.join("\n"));
  const line = lineOf(text, at);
  const before = text.slice(0, text.indexOf(at));
  const column = before.length - before.lastIndexOf("\n");
  assert.ok(all[0]?.startsWith(`story.yaml:${line}:${column}: `), `${all[0]}\nexpected at ${line}:${column}`);
  assert.match(all[0] ?? "", words);
}

describe("a scenario file", () => {
  for (const file of globSync("scenarios/*.yaml", { cwd: ROOT })) {
    it(`${file} is accepted`, () => {
      assert.ok(loadScenario(join(ROOT, file)).story.length > 0);
    });
  }

  it("reads amounts, times and rates in their units", () => {
    const scenario = readScenario(DEFAULT, "story.yaml");
    const bold = scenario.tiers.Bold;
    assert.equal(bold?.seed, 10n * 10n ** 18n);
    assert.equal(bold?.margin, 1000);
    assert.equal(bold?.["mandate delay"], 45 * 86_400);
    assert.equal(bold?.agents.Northwind?.sets.Ferrygate, 38n * 10n ** 16n);
    assert.equal(scenario.staking.yield, 279n * 10n ** 14n);
  });

  it("knows who pays rewards, and with what", () => {
    refuses(
      broken("Plumbline, Blobspring]", "Plumblime, Blobspring]"),
      "[Dawnstore, Quarrydata, Silofield, Tidewatch, Plumblime",
      /There is no AVS "Plumblime"\. Did you mean "Plumbline"\?/,
    );
    refuses(
      broken("sell rewards: { tier: Careful, avs: Blobspring", "sell rewards: { tier: Careful, avs: Tidewatch"),
      "Tidewatch, from",
      /Tidewatch pays in WETH, which goes in directly/,
    );
    refuses(
      broken("claim pay: { operator: Northwind, tier: Careful }", "claim pay: { operator: Nordwind, tier: Careful }"),
      "Nordwind",
      /There is no operator of Careful "Nordwind"\. Did you mean "Northwind"\?/,
    );
    refuses(
      broken(
        "cap: 20_000 ETH\n    seed: 10 ETH\n    mandate delay: 45 days\n    operator fee: 10 %",
        "cap: 20_000 ETH\n    seed: 10 ETH\n    mandate delay: 45 days\n    operator fee: 31 %",
      ),
      "31 %",
      /An operator gets at most 30 %/,
    );
  });

  it("names an unknown key and the one that was meant", () => {
    refuses(
      broken(
        "haircut: 2 %\n    buffer: 2 %\n    instant fee: 0.3 %",
        "haircuts: 2 %\n    haircut: 2 %\n    buffer: 2 %\n    instant fee: 0.3 %",
      ),
      "haircuts",
      /no key "haircuts"\. Did you mean "haircut"\?/,
    );
  });

  it("names an unknown verb of a step", () => {
    refuses(broken("- write off: Bold", "- unwynd: Bold"), "unwynd", /no key "unwynd"\. Did you mean "unwind"\?/);
  });

  it("names an AVS that does not exist", () => {
    refuses(
      broken("Hello World: 38 %", "Hello Word: 38 %"),
      "Hello Word:",
      /no AVS "Hello Word"\. Did you mean "Hello World"\?/,
    );
  });

  it("names a person, a tier and an operator that do not exist", () => {
    refuses(broken("by: Jude", "by: Judy"), "Judy", /no person "Judy"\. Did you mean "Jude"\?/);
    refuses(broken("- write off: Bold", "- unwind: Bald"), "Bald", /no tier "Bald"\. Did you mean "Bold"\?/);
    refuses(
      broken("operator: Northwind, name: Ada", "operator: Nordwind, name: Ada"),
      "Nordwind",
      /no operator of Bold "Nordwind"\. Did you mean "Northwind"\?/,
    );
  });

  it("refuses an amount without its unit, and says how to write it", () => {
    refuses(broken("amount: 1500 ETH", "amount: 1500"), "1500 }", /1500 is no amount of ETH\. Write .* "100 ETH"/);
  });

  it("refuses the wrong unit", () => {
    refuses(broken("exit time: 4 days", "exit time: 4 ETH"), "4 ETH", /"4 ETH" is no duration\. Write .* "14 days"/);
    refuses(broken("yield: 2.79 %", "yield: 2.79"), "2.79\n", /2\.79 is no rate\. Write .* "2\.8 %"/);
  });

  it("refuses negative and impossible values", () => {
    refuses(broken("amount: 1500 ETH", "amount: -1500 ETH"), "-1500", /not positive/);
    refuses(broken("k: 2", "k: 0"), "0\n    margin", /k is 1 or more/);
    refuses(broken("seed: 10 ETH", "seed: 0.001 ETH"), "0.001 ETH", /at least 0\.01 ETH/);
  });

  it("says what is missing and where", () => {
    const text = broken("    seed: 10 ETH\n", "");
    const [only, ...others] = complaints(text);
    assert.equal(others.length, 0);
    // at the first line of the map that lacks it
    assert.match(
      only ?? "",
      new RegExp(`^story.yaml:${lineOf(text, "symbol: BOLD")}:\\d+: seed: It is missing\\. Add it`),
    );
  });

  it("adds up what an agent gives and what agents weigh", () => {
    refuses(broken("Hotwire: 50 %", "Hotwire: 51 %"), "{ Hotwire", /add up to 101 %\. An agent has 100 %/);
    const heavy = DEFAULT.replaceAll("weight: 17 %", "weight: 18 %");
    assert.deepEqual(
      complaints(heavy).map((line) => /weights add up to 101 %/.test(line)),
      [true, true],
    );
  });

  it("refuses a step of two verbs, and a slash where only a proof can slash", () => {
    const two = broken("- write off: Bold\n", "- unwind: Bold\n        deleverage: Bold\n");
    assert.match(complaints(two)[0] ?? "", /A step does one thing/);
    refuses(broken("avs: [Ferrygate, ", "avs: [Hello World, "), "[Hello World,", /slashes by proof alone/);
  });

  it("refuses an empty step", () => {
    refuses(broken("- write off: Bold", "- {}"), "{}", /The step is empty\. Write one of "say"/);
  });

  it("refuses a moment that nobody has remembered", () => {
    refuses(
      broken("since: after the proof", "since: before the proof"),
      "before the proof",
      /no remembered moment "before the proof"/,
    );
  });

  it("tells all mistakes at once, in the order of their lines", () => {
    const text = broken("by: Jude", "by: Judy").replace("yield: 2.79 %", "yield: 2.79 %\n  colour: red");
    // names are looked up once the shape is right
    assert.equal(complaints(text).length, 1);
    const two = broken("amount: 1500 ETH", "amount: much").replace("k: 1", "k: one");
    const lines = complaints(two).map((line) => Number(line.split(":")[1]));
    assert.equal(lines.length, 2);
    assert.deepEqual(
      lines,
      [...lines].sort((a, b) => a - b),
    );
  });

  it("says where the text is no YAML", () => {
    const [first] = complaints("title: x\nstory: [\n");
    assert.match(first ?? "", /^story\.yaml:\d+:\d+: This is not YAML: /);
    assert.match(complaints("title: a\ntitle: b\n")[0] ?? "", /^story\.yaml:2:1: .*unique/);
  });

  it("says that there is no such file", () => {
    assert.throws(() => loadScenario("/nowhere/story.yaml"), /nowhere\/story\.yaml: there is no such file/);
  });
});
