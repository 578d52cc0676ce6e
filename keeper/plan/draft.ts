import type { TierRef } from "../state/types.ts";
import type { Action, Job, Urgency, Withheld } from "./types.ts";

/** What names an action: a plan has at most one of each. */
export const keyOf = (one: Pick<Action, "tier" | "job" | "subject">): string =>
  `${one.tier}/${one.job}/${one.subject}`.toLowerCase();

/** Actions that may be tried without any other having an effect before: they end with a sync of the tier. */
const WITHOUT_SYNC: ReadonlySet<Job> = new Set(["clearQueue", "openSeries"]);

/** The plan of one tier and urgency while it is written. */
export class Draft {
  readonly tier: TierRef;
  readonly urgency: Urgency;
  readonly actions: Action[] = [];
  readonly withheld: Withheld[] = [];
  readonly #planned: Set<string>;

  /** @param before what has been planned for this tier already: it is not planned again. */
  constructor(tier: TierRef, urgency: Urgency, before?: Draft) {
    this.tier = tier;
    this.urgency = urgency;
    this.#planned = new Set(before?.actions.map(keyOf));
  }

  /** Adds an action, unless it is planned already. */
  act(job: Job, subject: string, reason: string, call: Action["call"]): void {
    const action: Action = { tier: this.tier.address, job, subject, urgency: this.urgency, reason, call };
    const key = keyOf(action);
    if (this.#planned.has(key)) return;
    this.#planned.add(key);
    this.actions.push(action);
  }

  /** Whether it is planned, here or before. */
  has(job: Job, subject: string): boolean {
    return this.#planned.has(keyOf({ tier: this.tier.address, job, subject }));
  }

  hold(job: Job, subject: string, reason: string): void {
    this.withheld.push({ tier: this.tier.address, job, subject, reason });
  }

  /** Whether something is planned that syncs the tier. */
  get syncs(): boolean {
    return this.actions.some(({ job }) => !WITHOUT_SYNC.has(job));
  }
}
