/** Reads how many tests ran out of what the tools print. Pure, so that it can be tested on their real words. */
import { stripVTControlCharacters } from "node:util";

export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

export type Format = "hardhat" | "forge" | "node" | "sentence";

export const NONE: Counts = { passed: 0, failed: 0, skipped: 0 };

export const add = (a: Counts, b: Counts): Counts => ({
  passed: a.passed + b.passed,
  failed: a.failed + b.failed,
  skipped: a.skipped + b.skipped,
});

/** The last line of a run, which CI reads. */
export const sentence = (c: Counts): string => `${c.passed} passed, ${c.failed} failed, ${c.skipped} skipped`;

const PATTERNS: Record<Exclude<Format, "sentence">, readonly (readonly [keyof Counts, RegExp])[]> = {
  // "  99 passing", "  1 failing", "  2 pending"
  hardhat: [
    ["passed", /^ *(\d+) passing(?: \(.*\))?$/gm],
    ["failed", /^ *(\d+) failing$/gm],
    ["skipped", /^ *(\d+) (?:pending|skipped)$/gm],
  ],
  // "Ran 3 test suites in 1.2s (1.1s CPU time): 14 tests passed, 0 failed, 0 skipped (14 total tests)"
  forge: [
    ["passed", /^Ran \d+ test suites? in .*: (\d+) tests? passed/gm],
    ["failed", /^Ran \d+ test suites? in .*passed, (\d+) failed/gm],
    ["skipped", /^Ran \d+ test suites? in .*failed, (\d+) skipped/gm],
  ],
  // "ℹ pass 12": the close of node's spec reporter
  node: [
    ["passed", /^ℹ pass (\d+)$/gm],
    ["failed", /^ℹ (?:fail|cancelled) (\d+)$/gm],
    ["skipped", /^ℹ (?:skipped|todo) (\d+)$/gm],
  ],
};

/** Undefined when the tool printed no summary at all, which a caller must treat as a failure. */
export function readCounts(format: Format, printed: string): Counts | undefined {
  const text = stripVTControlCharacters(printed);
  if (format === "sentence") {
    // Our own scripts close with it; what they run may say the same earlier.
    const last = [...text.matchAll(/^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$/gm)].at(-1);
    return last && { passed: Number(last[1]), failed: Number(last[2]), skipped: Number(last[3] ?? 0) };
  }
  const counts = { ...NONE };
  let seen = false;
  for (const [key, pattern] of PATTERNS[format]) {
    for (const match of text.matchAll(pattern)) {
      counts[key] += Number(match[1]);
      seen = true;
    }
  }
  return seen ? counts : undefined;
}
