import type { ChainState } from "../state/types.ts";

/** What a keeper can do for a tier. Anybody may do all of it. */
export const JOBS = [
  "sync",
  "poke",
  "unwind",
  "deleverage",
  "complete",
  "redeposit",
  "claimUnstaked",
  "requestUnstake",
  "finalise",
  "deploy",
  "redeploy",
  "unbond",
  "allocate",
  "deallocate",
  "clearQueue",
  "harvest",
  "review",
  "openSeries",
] as const;
export type Job = (typeof JOBS)[number];

/** Protection acts on the head of the chain and may pay much; routine acts on final blocks and may wait. */
export type Urgency = "protection" | "routine";

/** One call, and why. */
export interface Action {
  /** The tier's address. */
  readonly tier: string;
  readonly job: Job;
  /** What it is done to, in a person's words: "agent 2, set 5". With tier and job it names the action. */
  readonly subject: string;
  readonly urgency: Urgency;
  readonly reason: string;
  readonly call: {
    readonly target: string;
    readonly data: string;
    /** For logs: the function and its arguments. */
    readonly text: string;
  };
}

/** What was not done, and why not. */
export interface Withheld {
  readonly tier: string;
  readonly job: Job;
  readonly subject: string;
  readonly reason: string;
}

export interface Plan {
  /** In the order in which they should be carried out. */
  readonly actions: readonly Action[];
  readonly withheld: readonly Withheld[];
}

/** EigenLayer's proof of an agent's rewards, as its published claim files have it. */
export interface RewardsClaim {
  readonly agent: string;
  /** The argument of `Rewards.harvest`. */
  readonly claim: unknown;
  /** Tokens with what the claim brings beyond what was claimed already. */
  readonly due: readonly { readonly token: string; readonly amount: bigint }[];
}

/** What the keeper saw of a set's surroundings when it last looked; a difference is a reason to poke and to tell people. */
export interface Remembered {
  readonly tier: string;
  readonly set: number;
  readonly registrar: string;
  readonly strategies: readonly string[];
}

export interface KeeperState {
  /** For protection. */
  readonly head: ChainState;
  /** For routine; without it only protection is planned. */
  readonly final?: ChainState | undefined;
  readonly claims: readonly RewardsClaim[];
  readonly remembered: readonly Remembered[];
}
