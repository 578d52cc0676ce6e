import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { add, readCounts, sentence } from "../../scripts/lib/counts.ts";

describe("the counts of a test run", () => {
  it("come from Hardhat's summary, colours or not", () => {
    assert.deepEqual(readCounts("hardhat", "    ✔ test_a()\n\n\n  99 passing\n"), {
      passed: 99,
      failed: 0,
      skipped: 0,
    });
    const text = "\x1b[32m  7 passing\x1b[39m\n\x1b[31m  2 failing\x1b[39m\n  1 skipped\n";
    assert.deepEqual(readCounts("hardhat", text), { passed: 7, failed: 2, skipped: 1 });
  });

  it("come from forge's last line, not from the line of each suite", () => {
    const text =
      "Suite result: ok. 3 passed; 0 failed; 0 skipped; finished in 5ms (4ms CPU time)\n" +
      "Ran 2 test suites in 12.34ms (9.1ms CPU time): 5 tests passed, 1 failed, 2 skipped (8 total tests)\n";
    assert.deepEqual(readCounts("forge", text), { passed: 5, failed: 1, skipped: 2 });
    const one = "Ran 1 test suite in 1.5s (9.1ms CPU time): 1 test passed, 0 failed, 0 skipped (1 total tests)\n";
    assert.deepEqual(readCounts("forge", one), { passed: 1, failed: 0, skipped: 0 });
  });

  it("come from node's summary, where cancelled counts as failed and todo as skipped", () => {
    const text = "ℹ tests 8\nℹ suites 1\nℹ pass 4\nℹ fail 1\nℹ cancelled 1\nℹ skipped 1\nℹ todo 1\nℹ duration_ms 5\n";
    assert.deepEqual(readCounts("node", text), { passed: 4, failed: 2, skipped: 2 });
  });

  it("come from the last sentence of our own scripts, with or without skipped ones", () => {
    assert.deepEqual(readCounts("sentence", "9 passed, 9 failed\nok\n7 passed, 1 failed\n"), {
      passed: 7,
      failed: 1,
      skipped: 0,
    });
    assert.deepEqual(readCounts("sentence", "7 passed, 0 failed, 2 skipped"), { passed: 7, failed: 0, skipped: 2 });
  });

  it("are unknown, never zero, where a tool printed no summary", () => {
    for (const format of ["hardhat", "forge", "node", "sentence"] as const) {
      assert.equal(readCounts(format, "Error: out of memory\n12 passing thoughts in a comment"), undefined);
    }
  });

  it("add up to the sentence that closes a run", () => {
    const total = add({ passed: 1, failed: 0, skipped: 2 }, { passed: 10, failed: 3, skipped: 0 });
    assert.equal(sentence(total), "11 passed, 3 failed, 2 skipped");
  });
});
