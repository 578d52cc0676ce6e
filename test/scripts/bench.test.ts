import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { breakdown, type Step, traceSchema } from "../../bench/breakdown.ts";
import { compare, derive, type Figure, figureName, snapshot, toReport, toSnapshot } from "../../bench/figures.ts";
import { readOptions } from "../../bench/options.ts";
import { pageOf } from "../../bench/page.ts";
import { PUBLISHED } from "../../bench/published.ts";

const gas = (operation: string, agents: number, value: number, target?: number): Figure => ({
  operation,
  agents,
  value,
  unit: "gas",
  ...(target === undefined ? {} : { target }),
});

describe("the gas snapshot", () => {
  it("lets a change of two per cent pass and reports more, new figures and lost ones", () => {
    const committed = { same: 100, up: 1_000, down: 1_000, gone: 7 };
    assert.deepEqual(compare(committed, { same: 102, up: 1_021, down: 979, added: 5 }), [
      { name: "up", was: 1_000, is: 1_021 },
      { name: "down", was: 1_000, is: 979 },
      { name: "gone", was: 7 },
      { name: "added", is: 5 },
    ]);
  });

  it("holds what was measured, not what follows from it", () => {
    const measured = [gas("sync", 1, 100), gas("sync", 8, 170)];
    assert.deepEqual(toSnapshot([...measured, ...derive(measured)]), { "sync, 1 agent": 100, "sync, 8 agents": 170 });
  });
});

describe("figures", () => {
  it("say what a further agent costs", () => {
    const slope = derive([gas("sync without a slash", 1, 100_000), gas("sync without a slash", 8, 170_000)]);
    assert.deepEqual(slope, [
      {
        operation: "sync without a slash, each further agent",
        agents: 0,
        unit: "gas per agent",
        value: 10_000,
        target: 8_000,
      },
    ]);
  });

  it("say how many times the bare call an operation costs, with the target for most agents only", () => {
    const bare = gas("bare EigenLayer: unwrap, stake and deposit", 0, 100);
    const ratios = derive([gas("deploy", 1, 120), gas("deploy", 8, 150), bare]).filter(({ unit }) => unit === "times");
    assert.deepEqual(
      ratios.map(({ agents, value, target }) => [agents, value, target]),
      [
        [1, 1.2, undefined],
        [8, 1.5, 1.3],
      ],
    );
  });

  it("are reported with their verdict, and without one where nothing was aimed at", () => {
    const verdicts = toReport([gas("a", 8, 10, 10), gas("b", 8, 11, 10), gas("c", 8, 10)]).map(({ ok }) => ok);
    assert.deepEqual(verdicts, [true, false, null]);
  });
});

describe("where the gas goes", () => {
  const [caller, callee, code] = ["0x01", "0x02", "0x03"].map((end) => `0x${end.slice(2).padStart(40, "0")}`) as [
    string,
    string,
    string,
  ];
  const step = (depth: number, op: string, left: number, cost: number, stack: string[] = []): Step => ({
    op,
    gas: left,
    gasCost: cost,
    depth,
    stack,
  });
  // the caller calls a proxy cold (2,600), which delegates to its code cold; the code reads and writes a slot
  const steps = [
    step(1, "PUSH1", 100_000, 3),
    step(1, "CALL", 99_997, 92_600, ["0x0", "0x0", "0x0", "0x0", "0x0", callee, "0x15f90"]),
    step(2, "DELEGATECALL", 90_000, 82_600, ["0x0", "0x0", "0x0", "0x0", code, "0x13880"]),
    step(3, "SLOAD", 80_000, 2_100, ["0x0"]),
    step(3, "SSTORE", 77_900, 2_900, ["0x1", "0x0"]),
    step(3, "STOP", 75_000, 0),
    step(2, "RETURN", 82_400, 0, ["0x0", "0x0"]),
    step(1, "LOG0", 89_797, 375, ["0x0", "0x0"]),
    step(1, "STOP", 89_422, 0),
  ];
  const labels = new Map([
    [caller, "Caller"],
    [callee, "proxies"],
    [code, "Code"],
  ]);
  const executed = 100_000 - 89_422;
  const transaction = { to: caller, data: "0x0001", gasUsed: 21_020 + executed };

  it("adds up to the receipt, by the contract whose code runs and by what was paid for", () => {
    const found = breakdown(transaction, steps, labels);
    assert.equal(found.base, 21_020);
    assert.equal(found.refund, 0);
    assert.equal(found.base + found.lines.reduce((sum, line) => sum + line.total, 0), transaction.gasUsed);
    const line = (name: string) => found.lines.find(({ contract }) => contract === name);
    assert.equal(line("Code")?.gas["cold slots"], 2_100);
    assert.equal(line("Code")?.gas["changed slots"], 2_900);
    assert.equal(line("Code")?.total, 5_000);
    assert.equal(line("proxies")?.gas["cold accounts"], 2_500);
    assert.equal(line("Caller")?.gas["cold accounts"], 2_500);
    assert.equal(line("Caller")?.gas.logs, 375);
  });

  it("takes a refund from the difference to the receipt", () => {
    assert.equal(breakdown({ ...transaction, gasUsed: transaction.gasUsed - 4_800 }, steps, labels).refund, 4_800);
  });

  it("refuses a trace that cannot be that of the receipt", () => {
    assert.throws(() => breakdown({ ...transaction, gasUsed: 50_000 }, steps, labels), /does not make 50000/);
    assert.throws(() => traceSchema.parse({ structLogs: [{ op: "PUSH1" }] }));
  });
});

describe("the page of benchmarks", () => {
  const measured = [
    gas("sync without a slash", 1, 100_000),
    {
      ...gas("sync without a slash", 8, 160_000, 150_000),
      breakdown: { base: 21_000, lines: [], refund: 0, total: 160_000 },
    },
  ];
  const page = pageOf([...measured, ...derive(measured)]);

  it("says of each target whether it is reached", () => {
    assert.match(page, /\| sync without a slash, 8 agents \| 160,000 \| 150,000 \| \*\*no\*\* \|/);
    assert.match(page, /\| sync without a slash, each further agent \| 8,571 \| 8,000 \| \*\*no\*\* \|/);
  });

  it("does not call a target reached that is missed on EigenLayer's real bytecode", () => {
    const sync = (value: number) => [gas("sync without a slash", 8, value, 150_000)];
    const row =
      /sync without a slash, 8 agents \| 140,000 \| 160,000 \| 150,000 \| \*\*not with real EigenLayer\*\* \|/;
    assert.match(pageOf(sync(140_000), sync(160_000)), row);
  });

  it("names our operations as they are measured", () => {
    const text = readFileSync(new URL("../../bench/gas.json", import.meta.url), "utf8");
    const known = [...Object.keys(snapshot.parse(JSON.parse(text))), "finalise 1,000 requests, 8 agents"];
    for (const { ours } of PUBLISHED) assert.ok(ours === undefined || known.includes(`${ours}, 8 agents`), ours);
  });

  it("compares with what others pay only where we do the same", () => {
    assert.match(
      pageOf([gas("request, next", 8, 85_667)]),
      /\| Lido withdrawal queue \|.*\| 171,335 \| 85,667 \| 0.50 × \|/,
    );
  });

  it("explains what misses its target, and nothing else", () => {
    assert.match(page, /### sync without a slash, 8 agents: 160,000/);
    const reachedAll = pageOf([gas("sync without a slash", 8, 140_000, 150_000)]);
    assert.doesNotMatch(reachedAll, /Where the gas goes/);
  });
});

describe("the options of npm run bench", () => {
  it("measure everything by default, and one thing when asked", () => {
    assert.equal(readOptions([]).mode, "full");
    assert.equal(readOptions(["--check", "--json", "x.json"]).json, "x.json");
    assert.deepEqual(readOptions(["--quick", "--explain", figureName(gas("deploy", 8, 1))]).explain, [
      "deploy, 8 agents",
    ]);
  });

  it("refuse what contradicts itself, and say what to do", () => {
    assert.throws(() => readOptions(["--accept", "--check"]), /give one of them/);
    assert.throws(() => readOptions(["--explain", "missed"]), /--quick/);
    assert.throws(() => readOptions(["--check", "--real"]), /leave the other option out/);
    assert.throws(() => readOptions(["--fast"]), /Unknown option/);
  });
});
