/**
 * kill -9 at every step. A process with a real chain, a real mempool and a real `Upkeep` batch ends itself by SIGKILL at
 * a step; another goes on with its journal. The end must be the same as without a kill: the action took effect exactly
 * once, it was paid for once, nonces have no gap, and the journal has nothing open.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Step } from "../../keeper/transactions/sender.ts";
import { play, STORY_NAMES, type Story } from "./kill-stories.ts";
import { KillWorld } from "./kill-world.ts";

let world: KillWorld;
before(async () => {
  world = await KillWorld.open();
});
after(() => world?.close());

/** Where each story is not what an earlier one is: numbers of steps. */
const NEW: Readonly<Record<Story, (visited: readonly Step[]) => readonly number[]>> = {
  replacement: (visited) => range(0, visited.length),
  // protection is on the wire, and what clears its way is not yet
  overtaking: (visited) => range(visited.lastIndexOf("signed", visited.indexOf("found")), visited.indexOf("found")),
  reorg: (visited) => range(visited.indexOf("unmined"), visited.indexOf("found", visited.indexOf("unmined"))),
  stranger: (visited) => [visited.indexOf("abandoning"), visited.indexOf("abandoned")],
};
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

for (const story of STORY_NAMES) {
  test(`${story}: killed at any step, the end is the same as without a kill`, async (t) => {
    const visited: Step[] = [];
    const undisturbed = await world.setting(story);
    await play(undisturbed, (step) => {
      visited.push(step);
    });
    await world.assertGoodEnd(undisturbed);

    const steps = NEW[story](visited);
    assert.ok(steps.length > 0 && !steps.includes(-1), visited.join(", "));
    for (const i of steps) {
      await t.test(`at step ${i + 1}, ${visited[i]}`, async () => {
        const setting = await world.setting(story);
        assert.ok(await world.killed(setting, { step: i }));
        await play(setting, () => {});
        await world.assertGoodEnd(setting);
      });
    }
  });
}
