/**
 * What the keeper knows of a tier at one block: the answer of `UpkeepLens`, decoded. Amounts are wei, magnitudes and U in
 * WAD, exposures in wei·P, weights in basis points, times in Unix seconds. Everything is as a sync at that block would
 * leave it: the lens syncs first, in a call that is never sent.
 */

export interface BlockRef {
  readonly number: number;
  readonly hash: string;
  /** Unix seconds. */
  readonly timestamp: number;
}

/** A tier's contracts and names; they do not change while it lives, but for a retired series' token. */
export interface TierRef {
  readonly address: string;
  readonly name: string;
  readonly risk: string;
  readonly stakes: string;
  readonly allocator: string;
  readonly mandate: string;
  readonly module: string;
  readonly rewards: string;
  readonly factory: string;
  /** EigenLayer's, for deallocation queues. */
  readonly allocationManager: string;
  /** The strategy that the tier restakes in. */
  readonly strategy: string;
}

export interface TierState extends TierRef {
  /** False where EigenLayer or the staking protocol could not be read: then nothing else here means anything. */
  readonly readable: boolean;
  /** Why not: the revert data. */
  readonly failure: string;

  /** Bit i: agent i was slashed, and no sync has booked it yet. */
  readonly slashedAgents: bigint;
  readonly books: {
    readonly reserve: bigint;
    readonly junior: bigint;
    readonly senior: bigint;
    readonly gains: bigint;
  };
  readonly value: bigint;
  /** U, and L_k. */
  readonly utilisation: bigint;
  readonly exposed: bigint;
  /** c_dep: R + J less the value of queued junior shares. */
  readonly deployableCover: bigint;
  readonly params: {
    readonly k: number;
    readonly marginBps: bigint;
    readonly haircutBps: bigint;
    readonly bufferBps: bigint;
    readonly quarantineBps: bigint;
    readonly cap: bigint;
  };
  readonly deficit: { readonly outstanding: bigint; readonly closesAt: number };
  /** As stored, before the lens's sync. */
  readonly lastSync: number;
  readonly unlockAt: number;
  readonly entriesPaused: boolean;
  /** As stored, before the lens's sync; that sync looks at stale sets again, so their `seen…` are of now. */
  readonly freshUntil: number;

  readonly reserved: bigint;
  /** Idle that no queue and no buffer claims. */
  readonly deployable: bigint;
  readonly stakeLimit: bigint;
  readonly wanted: bigint;
  readonly idle: bigint;
  readonly queued: bigint;
  readonly loose: bigint;
  readonly unstaking: bigint;
  readonly unbondNeed: bigint;
  readonly unstakeRequests: { readonly open: number; readonly claimable: number };

  readonly deleverageNeeded: boolean;
  readonly ceiling: bigint;
  /** E_a by group (32 entries), what unapproved sets add, and which are the k largest. */
  readonly groups: readonly bigint[];
  readonly unapproved: bigint;
  readonly worst: bigint;

  readonly withdrawalDelay: number;
  readonly vetoBlocks: number;
  readonly mandatePending: { readonly id: string; readonly eta: number; readonly expiry: number };
  readonly senior: TrancheState;
  readonly junior: TrancheState;
  readonly agents: readonly AgentState[];
  readonly sets: readonly SetState[];
}

export interface TrancheState {
  /** The zero address while a retired series has no successor. */
  readonly token: string;
  readonly supply: bigint;
  readonly queued: bigint;
  /** Shares that can be finalised now. */
  readonly finalisable: bigint;
}

export interface AgentState {
  /** Its position in the tier; positions of removed agents are left out. */
  readonly index: number;
  readonly account: string;
  readonly nodeOperator: string;
  readonly weightBps: bigint;
  readonly lastUnbond: number;
  readonly magnitude: bigint;
  readonly quarantined: boolean;
  /** Stake without its withdrawal queue, in wei. */
  readonly stake: bigint;
  readonly deployLimit: bigint;
  /** Magnitude that EigenLayer counts as allocated; `magnitude` less this is free. */
  readonly encumbered: bigint;
  /** When its operator was last reviewed by Rewards (0: never). */
  readonly reviewedAt: number;
  readonly links: readonly LinkState[];
  readonly exits: readonly ExitState[];
}

/** An allocation as the tier has it; a decrease that has taken effect stays pending here until the tier looks again. */
export interface LinkState {
  readonly index: number;
  readonly set: number;
  readonly current: bigint;
  readonly pending: bigint;
  readonly effectBlock: number;
  readonly target: bigint;
  /** Whether the agent is a member of the operator set at EigenLayer. */
  readonly member: boolean;
}

export interface ExitState {
  readonly index: number;
  readonly scaled: bigint;
  readonly startBlock: number;
  readonly nonce: number;
  readonly tokensOnly: boolean;
}

export interface SetState {
  readonly index: number;
  readonly avs: string;
  readonly id: number;
  readonly category: number;
  readonly group: number;
  readonly allowed: boolean;
  readonly unapproved: boolean;
  readonly quarantined: boolean;
  readonly approvedSlasher: string;
  /** As the tier last saw them. */
  readonly seenSlasher: string;
  readonly seenPendingSlasher: string;
  readonly seenAt: number;
  /** As EigenLayer says now. */
  readonly slasher: string;
  readonly pendingSlasher: string;
  readonly pendingSlasherBlock: number;
  readonly registrar: string;
  /** Empty where the AVS has so many that they cannot be read with a million gas. */
  readonly strategies: readonly string[];
}

/** All tiers at one block. */
export interface ChainState {
  readonly block: BlockRef;
  readonly tiers: readonly TierState[];
}

/** The few numbers that every block is asked for: whether a tier needs protection, and its health. */
export interface Pulse {
  readonly address: string;
  readonly readable: boolean;
  /** Why not: the revert data. */
  readonly failure: string;
  readonly slashedAgents: bigint;
  /** Links of quarantined sets of which the unwind ladder can take more. */
  readonly unwinding: number;
  /** And an allocation is left to cut. */
  readonly deleverageNeeded: boolean;
  /** Bit s: set s has another slasher or pending slasher than the tier last saw, and the tier is exposed to it. */
  readonly changedSets: bigint;
  /** Hash of registrars and strategies of the sets that the tier is exposed to. */
  readonly surroundings: string;
  /** These two as stored, before the lens's sync. */
  readonly freshUntil: number;
  readonly lastSync: number;
  readonly utilisation: bigint;
  readonly exposed: bigint;
  readonly cover: bigint;
  readonly value: bigint;
}
