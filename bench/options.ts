/** The command line of `npm run bench`. */
import { parseArgs } from "node:util";

export const HELP = `npm run bench [-- OPTIONS]

Measures the gas of every operation, beside its peers, what a keeper and the data service take, and writes docs/benchmarks.md.

  --quick          the committed figures only (see --check), nothing is written
  --explain NAME   with --quick: also where the gas of this figure goes (may be given again; "missed" takes all
                   figures that miss their target), for example --explain "request, next, 8 agents"
  --check          as --quick, and fails where a figure differs by more than 2 % from the committed one
  --accept         as --quick, and commits the figures as they are now to bench/gas.json
  --keeper         what a keeper takes only: blocks to an unwind, calls, memory, time of a plan (some ten minutes; the
                   machine should have nothing else to do); nothing is written
  --data           what the data service takes only: indexing, latency, a large portfolio (some minutes); nothing is
                   written
  --json FILE      writes every measured figure to FILE: name, value, unit, target, ok
  --real           a second time on EigenLayer's real bytecode, as a further column (needs cargo once)
`;

export interface Options {
  readonly mode: "full" | "quick" | "check" | "accept" | "keeper" | "data" | "help";
  readonly explain: readonly string[];
  readonly json?: string;
  readonly real: boolean;
}

/** Throws with a sentence that says what to do. */
export function readOptions(argv: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      quick: { type: "boolean", default: false },
      check: { type: "boolean", default: false },
      accept: { type: "boolean", default: false },
      real: { type: "boolean", default: false },
      keeper: { type: "boolean", default: false },
      data: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
      explain: { type: "string", multiple: true, default: [] },
      json: { type: "string" },
    },
  });
  const chosen = (["help", "accept", "check", "quick", "keeper", "data"] as const).filter((mode) => values[mode]);
  if (values.accept && values.check) throw new Error("--accept changes what --check compares with: give one of them.");
  const mode = chosen[0] ?? "full";
  for (const alone of ["keeper", "data"] as const)
    if (values[alone] && (values.accept || values.check || values.quick || (values.keeper && values.data)))
      throw new Error(`--${alone} measures no gas and goes alone: leave --quick, --check, --accept and the like out.`);
  if (["full", "keeper", "data"].includes(mode) && values.explain.length > 0)
    throw new Error("--explain goes with --quick; the whole run explains what misses its target on its page.");
  if (mode !== "full" && values.real) throw new Error("--real goes with the whole run: leave the other option out.");
  return { mode, explain: values.explain, real: values.real, ...(values.json ? { json: values.json } : {}) };
}
