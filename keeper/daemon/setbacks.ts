/**
 * Who was refused waits: an action that a simulation or the chain refused, and a lane that lost a race against another
 * keeper. Counted in blocks; pure but for the dice.
 */
import type { Action, Urgency } from "../plan/types.ts";

/** The name of an action: what is done, and to what. */
export const keyOf = (action: Pick<Action, "tier" | "job" | "subject">): string =>
  `${action.tier}/${action.job}/${action.subject}`;

interface Limits {
  /** Blocks that a refused action waits at most. */
  readonly wait: number;
  /** Blocks that the loser of races leaves to others at most. */
  readonly defer: number;
}

// A refusal costs no gas, so protection asks again soon; a tier that waits for the other keeper is not protected.
const LIMITS: Readonly<Record<Urgency, Limits>> = {
  protection: { wait: 8, defer: 2 },
  routine: { wait: 300, defer: 50 },
};

const BLOCK_SECONDS = 12;

interface Setback {
  readonly count: number;
  readonly until: number;
}

export class Setbacks {
  readonly #actions = new Map<string, Setback>();
  readonly #losses = new Map<string, number>();
  /** Since which block a lane that lost races has work again. */
  readonly #work = new Map<string, { readonly block: number; readonly time: number }>();
  readonly #random: () => number;

  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  /** The action was refused at block `head`; returns the block from which it may be tried again. */
  refused(action: Action, head: number): number {
    const key = keyOf(action);
    const count = (this.#actions.get(key)?.count ?? 0) + 1;
    const until = head + this.#blocks(count, LIMITS[action.urgency].wait);
    this.#actions.set(key, { count, until });
    return until;
  }

  /** The block from which the action may be tried again, if that is still to come. */
  waits(action: Action, head: number): number | undefined {
    const until = this.#actions.get(keyOf(action))?.until;
    return until !== undefined && until > head ? until : undefined;
  }

  /** How often in a row it was refused. */
  count(action: Action): number {
    return this.#actions.get(keyOf(action))?.count ?? 0;
  }

  /** The action took effect, or is not needed any more. */
  done(action: Action): void {
    this.#actions.delete(keyOf(action));
  }

  /** Forgets actions that nobody planned for long. */
  prune(head: number): void {
    for (const [key, { until }] of this.#actions) if (until + LIMITS.routine.wait < head) this.#actions.delete(key);
  }

  /** Somebody else did the lane's work first, and we paid gas for nothing. */
  lost(lane: string): void {
    this.#losses.set(lane, (this.#losses.get(lane) ?? 0) + 1);
    this.#work.delete(lane);
  }

  /** We did the lane's work: nobody else does it, or not as fast. */
  won(lane: string): void {
    this.#losses.delete(lane);
    this.#work.delete(lane);
  }

  /** The lane has nothing to do: what there was has been done. */
  idle(lane: string): void {
    this.#work.delete(lane);
  }

  /**
   * Whether the lane leaves its work to somebody else for now. After a lost race it waits for some blocks whether the
   * other one does what is to be done, and acts if he does not: two keepers cost one useless transaction, not one each
   * time. `now` is the wall clock in seconds: where no blocks come, it does not wait for them for ever.
   */
  defers(lane: string, urgency: Urgency, head: number, now: number): boolean {
    const losses = this.#losses.get(lane);
    if (losses === undefined) return false;
    let since = this.#work.get(lane);
    if (since === undefined || since.block > head) {
      since = { block: head, time: now };
      this.#work.set(lane, since);
    }
    const blocks = Math.min(2 ** (losses - 1), LIMITS[urgency].defer);
    return head < since.block + blocks && now < since.time + blocks * BLOCK_SECONDS;
  }

  /** 1, 2, 4, … up to `limit`; from 4 on give or take a quarter, so that two keepers do not stay in step. */
  #blocks(count: number, limit: number): number {
    const blocks = Math.min(2 ** (count - 1), limit);
    return blocks < 4 ? blocks : Math.round(blocks * (0.75 + this.#random() / 2));
  }
}
