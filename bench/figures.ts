/** What is measured, what was aimed at, and whether it was reached. Pure. */
import * as z from "zod";

export const UNITS = ["gas", "gas per agent", "times", "blocks", "calls", "bytes", "ms", "MB", "events/s"] as const;
export type Unit = (typeof UNITS)[number];

export interface Figure {
  /** What a reader of the page calls it; unique together with `agents`. */
  readonly operation: string;
  /** Agents of the tier; 0 where there is no tier. */
  readonly agents: number;
  readonly value: number;
  /** `gas per agent` and `times` follow from what is measured; units after them are of the keeper and of the data service. */
  readonly unit: Unit;
  /** The largest value that is good. */
  readonly target?: number;
}

export const figureName = ({ operation, agents }: Pick<Figure, "operation" | "agents">): string =>
  agents === 0 ? operation : `${operation}, ${agents} ${agents === 1 ? "agent" : "agents"}`;

export const reached = ({ value, target }: Figure): boolean | null => (target === undefined ? null : value <= target);

/** What `--json` writes: one entry for each figure. */
export const report = z.array(
  z.object({
    name: z.string(),
    value: z.number(),
    unit: z.enum(UNITS),
    target: z.number().nullable(),
    ok: z.boolean().nullable(),
  }),
);
export type Report = z.infer<typeof report>;

export const toReport = (figures: readonly Figure[]): Report =>
  figures.map((figure) => ({
    name: figureName(figure),
    value: figure.value,
    unit: figure.unit,
    target: figure.target ?? null,
    ok: reached(figure),
  }));

const TIMES_BARE = 1.3;
const WITHIN = 1.1;
const PER_AGENT = 8_000;

export const BARE = {
  deploy: "bare EigenLayer: unwrap, stake and deposit",
  unbond: "bare EigenLayer: queue a withdrawal, first",
  "unwind, to zero": "bare EigenLayer: deallocate",
} as const;

/** Ratios and slopes, as far as what they need was measured. Targets are those of the tier with most agents. */
export function derive(figures: readonly Figure[]): Figure[] {
  const find = (operation: string, agents: number) =>
    figures.find((figure) => figure.operation === operation && figure.agents === agents)?.value;
  const counts = [...new Set(figures.map(({ agents }) => agents))].filter((agents) => agents > 0).sort((a, b) => a - b);
  const most = counts.at(-1) ?? 0;
  const least = counts[0] ?? 0;
  const derived: Figure[] = [];
  const add = (operation: string, agents: number, unit: Unit, value: number, target?: number) =>
    derived.push({ operation, agents, unit, value, ...(target === undefined ? {} : { target }) });
  const times = (operation: string, above: string, below: string, agents: number, target?: number) => {
    const [x, y] = [find(above, agents), find(below, agents) ?? find(below, 0)];
    if (x !== undefined && y !== undefined)
      add(operation, agents, "times", Math.round((x / y) * 1_000) / 1_000, target);
  };
  for (const operation of new Set(figures.filter(({ agents }) => agents > 0).map((figure) => figure.operation))) {
    const [x, y] = [find(operation, most), find(operation, least)];
    if (x === undefined || y === undefined || most === least) continue;
    const slope = Math.round((x - y) / (most - least));
    const target = operation === "sync without a slash" ? PER_AGENT : undefined;
    add(`${operation}, each further agent`, 0, "gas per agent", slope, target);
  }
  for (const agents of counts) {
    const mine = agents === most;
    times(
      "finalise 1,000 requests ÷ 1",
      "finalise 1,000 requests",
      "finalise 1 request",
      agents,
      mine ? WITHIN : undefined,
    );
    for (const claim of ["claim after 10,000 finalisations", "claim after 10,000 finalisations, paid by a dozen"])
      times(`${claim} ÷ 1`, claim, "claim after 1 finalisation", agents, mine ? WITHIN : undefined);
    for (const [operation, bare] of Object.entries(BARE)) {
      const target = mine && operation !== "unwind, to zero" ? TIMES_BARE : undefined;
      times(`${operation} ÷ ${bare}`, operation, bare, agents, target);
    }
  }
  return derived;
}

/** The committed figures: gas by name. */
export const snapshot = z.record(z.string(), z.number().int().positive());
export type Snapshot = z.infer<typeof snapshot>;

export const toSnapshot = (figures: readonly Figure[]): Snapshot =>
  Object.fromEntries(figures.filter(({ unit }) => unit === "gas").map((figure) => [figureName(figure), figure.value]));

/** A change of more than 2 % must be committed on purpose. */
export const TOLERANCE = 0.02;

export interface Change {
  readonly name: string;
  /** Absent: the figure is new. */
  readonly was?: number;
  /** Absent: the figure is gone. */
  readonly is?: number;
}

/** Figures that differ by more than the tolerance, came or went. */
export function compare(committed: Snapshot, measured: Snapshot): Change[] {
  const changes: Change[] = [];
  for (const name of new Set([...Object.keys(committed), ...Object.keys(measured)])) {
    const [was, is] = [committed[name], measured[name]];
    if (was === undefined || is === undefined || Math.abs(is - was) > was * TOLERANCE)
      changes.push({ name, ...(was === undefined ? {} : { was }), ...(is === undefined ? {} : { is }) });
  }
  return changes;
}
