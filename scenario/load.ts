/** Reads a scenario file; every complaint names file, line and column, what is wrong, and the fix. */
import { readFileSync } from "node:fs";
import { type Document, isMap, isScalar, LineCounter, parseDocument } from "yaml";
import type * as z from "zod";
import { crossCheck, type Problem, type Scenario, scenarioSchema } from "./schema.ts";

export class ScenarioFileError extends Error {
  override readonly name = "ScenarioFileError";
}

export function loadScenario(file: string): Scenario {
  return readScenario(readText(file, "examples are in scenarios/"), file);
}

/** The text of a file; `examples` says where a reader finds some, if there is no such file. */
export function readText(file: string, examples: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    const reason = code === "ENOENT" ? "there is no such file" : code === "EISDIR" ? "it is a folder" : String(error);
    throw new ScenarioFileError(`${file}: ${reason}. Name a YAML file; ${examples}.`);
  }
}

export function readScenario(text: string, file: string): Scenario {
  return readDocument(text, file, scenarioSchema, crossCheck);
}

/** YAML that fits a schema and what `check` says beyond it; every complaint has its line. */
export function readDocument<Schema extends z.ZodType>(
  text: string,
  file: string,
  schema: Schema,
  check: (value: z.output<Schema>) => Problem[],
): z.output<Schema> {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const place = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return { line, column: col };
  };
  const complaints: { line: number; column: number; message: string }[] = [];
  for (const error of document.errors) {
    complaints.push({ ...place(error.pos[0]), message: `This is not YAML: ${error.message}` });
  }
  if (complaints.length === 0) {
    const parsed = schema.safeParse(document.toJS());
    const problems = parsed.success ? check(parsed.data) : parsed.error.issues.flatMap(problemsOf);
    if (parsed.success && problems.length === 0) return parsed.data;
    for (const problem of problems) {
      complaints.push({ ...place(offsetOf(document, problem)), message: `${label(problem)}${problem.message}` });
    }
  }
  complaints.sort((a, b) => a.line - b.line || a.column - b.column);
  const list = complaints.map(({ line, column, message }) => `${file}:${line}:${column}: ${message}`);
  throw new ScenarioFileError(list.join("\n"));
}

/** What a story may not tell on a copy of a public network, where Lido's oracle is somebody else. */
export function forkComplaint(scenario: Scenario): string | undefined {
  if (scenario.staking.yield > 0n) return "On a fork nobody reports Lido's rewards: write yield: 0 % under staking.";
  const steps = scenario.story.flatMap(({ steps: list }) => list);
  const losses = steps.some((step) => (step["staking loss"] ?? step.refused?.step["staking loss"]) !== undefined);
  if (losses) return "On a fork nobody reports a loss of Lido: leave the staking losses out.";
  const rewards = scenario.story.some(({ steps }) => steps.some((step) => step["pay rewards"] !== undefined));
  return rewards ? "On a fork EigenLayer publishes its own roots: leave the rewards out." : undefined;
}

/** Every unknown key is a problem of its own; the innermost problem of a union is the telling one. */
function problemsOf(issue: z.core.$ZodIssue): Problem[] {
  const path = issue.path.filter((key) => typeof key !== "symbol");
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key, i) => ({
      path,
      key,
      message: i === 0 ? issue.message : `There is no key "${key}".`,
    }));
  }
  return [{ path, message: issue.message }];
}

const label = (problem: Problem): string => {
  if (problem.key !== undefined) return "";
  const last = [...problem.path].reverse().find((key) => typeof key === "string");
  return last === undefined ? "" : `${last}: `;
};

/** Where a problem is: at the key where one is named, at the value otherwise, at the nearest parent where it is missing. */
function offsetOf(document: Document, problem: Problem): number {
  if (problem.key !== undefined) {
    const parent = problem.path.length === 0 ? document.contents : document.getIn(problem.path, true);
    if (isMap(parent)) {
      for (const pair of parent.items) {
        if (isScalar(pair.key) && String(pair.key.value) === problem.key && pair.key.range) return pair.key.range[0];
      }
    }
  }
  for (let depth = problem.path.length; depth > 0; depth--) {
    const node = document.getIn(problem.path.slice(0, depth), true);
    const range = (node as { range?: [number, number, number] | null } | undefined)?.range;
    if (range) return range[0];
  }
  return document.contents?.range?.[0] ?? 0;
}
