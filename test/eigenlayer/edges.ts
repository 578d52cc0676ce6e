/**
 * What every run of the comparison begins with: the blocks in which EigenLayer's delays end, each met exactly, one
 * block before and one behind. Chance alone would need too many steps for that.
 */

import type { Generator, Scene } from "./steps.ts";
import * as steps from "./steps.ts";
import type { OperatorSet } from "./world.ts";

const WAD = 10n ** 18n;
const OFFSETS = [-1, 0, 1];
const OPERATOR = 0;
const STRATEGY = 0;

/** Steps in order; one that has nothing to do is left out. */
export function edgeScript(): Generator[] {
  const set = (scene: Scene): OperatorSet => item(scene.sets, 0);
  const otherAvs = (scene: Scene): string => item(scene.sets, scene.sets.length - 1).avs;
  const allocation = (scene: Scene) => item(steps.stake(scene, OPERATOR, STRATEGY).allocations, 0);
  const settle: Generator = (scene) => steps.settle(scene, otherAvs(scene));
  const slash =
    (wad: bigint, actor?: (scene: Scene) => string): Generator =>
    (scene) =>
      steps.slash(scene, OPERATOR, set(scene), [STRATEGY], [wad], actor?.(scene));
  const withdrawal = (scene: Scene) => item(item(scene.view.operators, OPERATOR).queue, 0);
  const queueDelay = (scene: Scene) => scene.world.sides[0].deployment.delays.withdrawal;
  const free = (scene: Scene) => leftAt(scene) + scene.world.sides[0].deployment.delays.deallocation;

  const begin: Generator[] = [
    (scene) => steps.deposit(scene, OPERATOR, STRATEGY, 1000n * WAD + 7n),
    (scene) => steps.allocate(scene, OPERATOR, set(scene), [STRATEGY], [WAD / 2n + 1n]),
    (scene) => steps.register(scene, OPERATOR, [set(scene)]),
  ];

  /** A slash in the last block of a withdrawal's delay counts, one behind it does not. */
  const slashedWithdrawals = OFFSETS.flatMap((offset): Generator[] => [
    (scene) => steps.queue(scene, OPERATOR, STRATEGY, 30n * WAD + 3n),
    (scene) =>
      steps.rollTo(scene, Number(withdrawal(scene).startBlock) + queueDelay(scene), offset, "end of a withdrawal"),
    slash(WAD / 13n),
    settle,
    (scene) => steps.complete(scene, OPERATOR, withdrawal(scene), offset !== 1),
  ]);

  /** A withdrawal is refused in the last block of its delay and paid in the next. */
  const punctualWithdrawal: Generator[] = [
    (scene) => steps.queue(scene, OPERATOR, STRATEGY, 10n * WAD + 1n),
    (scene) => steps.rollTo(scene, Number(withdrawal(scene).startBlock) + queueDelay(scene), 0, "end of a withdrawal"),
    (scene) => steps.complete(scene, OPERATOR, withdrawal(scene), true),
    (scene) => steps.complete(scene, OPERATOR, withdrawal(scene), true),
  ];

  /** A decrease stays slashable, pending part included, until its block. */
  const slashedDecreases = OFFSETS.flatMap((offset): Generator[] => [
    (scene) => {
      const less = (allocation(scene).currentMagnitude * 9n) / 10n + 1n;
      return steps.allocate(scene, OPERATOR, set(scene), [STRATEGY], [less]);
    },
    (scene) => steps.rollTo(scene, Number(allocation(scene).effectBlock), offset, "end of a deallocation"),
    slash(WAD / 7n),
    settle,
    (scene) => steps.clearDeallocations(scene, otherAvs(scene), OPERATOR, STRATEGY, 65_535),
  ]);

  /** A former member is slashable through the deallocation delay. */
  const slashedFormerMember = OFFSETS.flatMap((offset): Generator[] => [
    (scene) => steps.deregister(scene, OPERATOR, set(scene)),
    (scene) => steps.rollTo(scene, free(scene), offset, "end of a former member's liability"),
    slash(WAD / 11n),
    settle,
    (scene) => steps.rollTo(scene, free(scene), 5, "end of a former member's liability"),
    (scene) => steps.register(scene, OPERATOR, [set(scene)]),
  ]);

  /** He comes back no sooner. */
  const returningMember: Generator[] = [
    (scene) => steps.deregister(scene, OPERATOR, set(scene)),
    (scene) => steps.rollTo(scene, free(scene), -1, "end of a former member's liability"),
    ...OFFSETS.map((): Generator => (scene) => steps.register(scene, OPERATOR, [set(scene)])),
  ];

  /** The old slasher has power until the block in which the new one has. */
  const changedSlasher = OFFSETS.flatMap((offset): Generator[] => [
    (scene) => {
      const now = steps.slasherOf(scene, set(scene));
      return steps.updateSlasher(scene, set(scene), now === set(scene).avs ? otherAvs(scene) : set(scene).avs);
    },
    (scene) => steps.rollTo(scene, Number(item(scene.view.sets, 0).slasherEffectBlock), offset, "change of a slasher"),
    slash(WAD / 17n, (scene) => set(scene).avs),
    settle,
    slash(WAD / 19n, otherAvs),
    settle,
  ]);

  return [
    ...begin,
    ...slashedWithdrawals,
    ...punctualWithdrawal,
    ...slashedDecreases,
    ...slashedFormerMember,
    ...returningMember,
    ...changedSlasher,
  ];
}

function item<T>(list: readonly T[], i: number): T {
  const found = list[i];
  if (found === undefined) throw new Error(`The script of edges expects an item ${i} that is not there.`);
  return found;
}

function leftAt(scene: Scene): number {
  return scene.deregistrations.at(-1)?.block ?? scene.block;
}
