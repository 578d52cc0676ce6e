/** What is measured, what was aimed at, and whether it was reached. Pure. */
import * as z from "zod";

export interface Figure {
  /** What a reader of the page calls it; unique together with `agents`. */
  readonly operation: string;
  /** Agents of the tier; 0 where there is no tier. */
  readonly agents: number;
  readonly value: number;
  /** `gas`, or `ratio` (a factor, or the share of a difference). */
  readonly unit: "gas" | "ratio";
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
    unit: z.enum(["gas", "ratio"]),
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
