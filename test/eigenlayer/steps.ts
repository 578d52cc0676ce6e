/** The single steps of the comparison: transactions of one account on both sides, jumps in time, fresh operators. */
import type { EigenLayerContract } from "../../deploy/eigenlayer.ts";
import type { Random } from "./random.ts";
import type { Call, OperatorSet, Side, StakeView, View, WithdrawalView, World } from "./world.ts";

/** What the generator knows about the run: who takes part, and what it has seen. */
export interface Scene {
  readonly world: World;
  readonly operators: readonly string[];
  readonly sets: readonly OperatorSet[];
  /** As of the latest block. */
  readonly view: View;
  readonly block: number;
  readonly deregistrations: readonly Deregistration[];
  /** A slash whose shares have not been burned yet. */
  readonly unsettled: { readonly set: OperatorSet; readonly slashId: bigint } | undefined;
}

export interface Deregistration {
  readonly block: number;
  readonly operator: number;
  readonly set: OperatorSet;
}

/** One transaction of one account, on both sides. */
export interface Operation {
  readonly kind: string;
  /** For people: the arguments, with names instead of addresses. */
  readonly text: string;
  readonly actor: string;
  readonly call: (side: Side) => Call;
  /** The operator concerned, if one is. */
  readonly operator?: number;
  readonly slashed?: OperatorSet;
  readonly left?: OperatorSet;
  readonly settles?: true;
  /** The returned bytes name strategies by address or roots, so only success is compared. */
  readonly opaqueResult?: true;
}

export interface Roll {
  readonly kind: "roll";
  readonly text: string;
  readonly blocks: number;
  /** The step that the roll was made for. */
  readonly next?: Generator;
}

export interface Replacement {
  readonly kind: "replace operator";
  readonly text: string;
  readonly operator: number;
}

export type Step = Operation | Roll | Replacement;
export type Generator = (scene: Scene, random: Random) => Step | undefined;

// ---- reading the scene

export function stake(scene: Scene, operator: number, strategy: number): StakeView {
  const found = scene.view.operators[operator]?.stakes[strategy];
  if (!found) throw new Error(`Operator ${operator} or strategy ${strategy} was not seen.`);
  return found;
}

export function slasherOf(scene: Scene, set: OperatorSet): string {
  return scene.view.sets[scene.sets.indexOf(set)]?.slasher ?? set.avs;
}

export function nameOfSet(scene: Scene, set: OperatorSet): string {
  return `set ${scene.sets.indexOf(set)}`;
}

export function address(list: readonly string[], i: number): string {
  const found = list[i];
  if (found === undefined) throw new Error(`No address number ${i}.`);
  return found;
}

/** A call of an EigenLayer contract, with arguments that may differ between the sides. */
export function eigen(
  scene: Scene,
  contract: EigenLayerContract,
  fn: string,
  args: (side: Side) => readonly unknown[],
): (side: Side) => Call {
  return (side) => scene.world.call(side, contract, fn, args(side));
}

// ---- steps

export function deposit(scene: Scene, operator: number, strategy: number, amount: bigint): Operation {
  return {
    kind: "deposit",
    text: `operator ${operator}, strategy ${strategy}, ${amount} wei`,
    operator,
    actor: address(scene.operators, operator),
    call: eigen(scene, "strategyManager", "depositIntoStrategy", (side) => [
      side.strategies[strategy],
      side.tokens[strategy],
      amount,
    ]),
  };
}

/** Sets of one AVS. */
export function register(scene: Scene, operator: number, sets: readonly OperatorSet[]): Operation {
  return {
    kind: "register",
    text: `operator ${operator}, ${sets.map((set) => nameOfSet(scene, set)).join(", ")}`,
    operator,
    actor: address(scene.operators, operator),
    call: eigen(scene, "allocationManager", "registerForOperatorSets", () => [
      scene.operators[operator],
      { avs: sets[0]?.avs, operatorSetIds: sets.map((set) => set.id), data: "0x" },
    ]),
  };
}

export function deregister(scene: Scene, operator: number, set: OperatorSet, byAvs = false): Operation {
  return {
    kind: "deregister",
    text: `operator ${operator}, ${nameOfSet(scene, set)}${byAvs ? ", by the AVS" : ""}`,
    operator,
    left: set,
    actor: byAvs ? set.avs : address(scene.operators, operator),
    call: eigen(scene, "allocationManager", "deregisterFromOperatorSets", () => [
      { operator: scene.operators[operator], avs: set.avs, operatorSetIds: [set.id] },
    ]),
  };
}

export function allocate(
  scene: Scene,
  operator: number,
  set: OperatorSet,
  strategies: readonly number[],
  magnitudes: readonly bigint[],
): Operation {
  return {
    kind: "allocate",
    text: `operator ${operator}, ${nameOfSet(scene, set)}, strategies ${strategies}, magnitudes ${magnitudes}`,
    operator,
    actor: address(scene.operators, operator),
    call: eigen(scene, "allocationManager", "modifyAllocations", (side) => [
      scene.operators[operator],
      [{ operatorSet: set, strategies: strategies.map((i) => side.strategies[i]), newMagnitudes: magnitudes }],
    ]),
  };
}

export function slash(
  scene: Scene,
  operator: number,
  set: OperatorSet,
  strategies: readonly number[],
  wads: readonly bigint[],
  actor = slasherOf(scene, set),
): Operation {
  return {
    kind: "slash",
    text: `operator ${operator} by ${nameOfSet(scene, set)}, strategies ${strategies}, wads ${wads}`,
    operator,
    actor,
    slashed: set,
    call: eigen(scene, "allocationManager", "slashOperator", (side) => [
      set.avs,
      {
        operator: scene.operators[operator],
        operatorSetId: set.id,
        strategies: strategies.map((i) => side.strategies[i]),
        wadsToSlash: wads,
        description: "seeded",
      },
    ]),
  };
}

export function queue(scene: Scene, operator: number, strategy: number, shares: bigint): Operation {
  const { depositShares } = stake(scene, operator, strategy);
  return {
    kind: "queue",
    text: `operator ${operator}, strategy ${strategy}, ${shares} of ${depositShares} deposit shares`,
    operator,
    opaqueResult: true,
    actor: address(scene.operators, operator),
    call: eigen(scene, "delegationManager", "queueWithdrawals", (side) => [
      [[[side.strategies[strategy]], [shares], `0x${"00".repeat(20)}`]],
    ]),
  };
}

export function complete(scene: Scene, operator: number, withdrawal: WithdrawalView, asTokens: boolean): Operation {
  const { nonce, startBlock, payout } = withdrawal;
  return {
    kind: asTokens ? "complete as tokens" : "complete as shares",
    text: `operator ${operator}, nonce ${nonce}, queued in block ${startBlock}, to pay ${payout}`,
    operator,
    actor: address(scene.operators, operator),
    call: eigen(scene, "delegationManager", "completeQueuedWithdrawal", (side) => [
      {
        staker: withdrawal.staker,
        delegatedTo: withdrawal.delegatedTo,
        withdrawer: withdrawal.withdrawer,
        nonce,
        startBlock,
        strategies: [side.strategies[Number(withdrawal.strategyIndex)]],
        scaledShares: [withdrawal.scaledShares],
      },
      [side.tokens[Number(withdrawal.strategyIndex)]],
      asTokens,
    ]),
  };
}

/** Permissionless. */
export function clearDeallocations(
  scene: Scene,
  actor: string,
  operator: number,
  strategy: number,
  count: number,
): Operation {
  return {
    kind: "clear deallocations",
    text: `operator ${operator}, strategy ${strategy}, up to ${count}`,
    operator,
    actor,
    call: eigen(scene, "allocationManager", "clearDeallocationQueue", (side) => [
      scene.operators[operator],
      [side.strategies[strategy]],
      [count],
    ]),
  };
}

/** Burns what the last slash took; permissionless. Nothing to do where no slash is open. */
export function settle(scene: Scene, actor: string): Operation | undefined {
  if (!scene.unsettled) return undefined;
  const { set, slashId } = scene.unsettled;
  return {
    kind: "burn slashed shares",
    text: `slash ${slashId} of ${nameOfSet(scene, set)}`,
    actor,
    settles: true,
    call: eigen(scene, "strategyManager", "clearBurnOrRedistributableShares", () => [set, slashId]),
  };
}

export function updateSlasher(scene: Scene, set: OperatorSet, slasher: string, actor = set.avs): Operation {
  return {
    kind: "update slasher",
    text: `${nameOfSet(scene, set)}, to the AVS of set ${scene.sets.findIndex((s) => s.avs === slasher)}`,
    actor,
    call: eigen(scene, "allocationManager", "updateSlasher", () => [set, slasher]),
  };
}

/** Mines so that the next transaction is `offset` blocks from `block`. */
export function rollTo(scene: Scene, block: number, offset: number, what: string): Roll {
  const blocks = Math.max(block + offset - 1 - scene.block, 1);
  return { kind: "roll", text: `${blocks} blocks: the next transaction is ${offset} blocks from the ${what}`, blocks };
}
