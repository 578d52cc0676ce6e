/** What is measured in which run. */
import type { EigenLayerKind } from "../deploy/eigenlayer.ts";
import { address } from "../test/integration/world.ts";
import { derive, type Figure, reached } from "./figures.ts";
import { measureLargestSync } from "./largest.ts";
import { type Measured, Meter } from "./meter.ts";
import { measureBareEigenLayer, measurePlainVault, measureSymbiotic } from "./peers.ts";
import { measureClaims, measureHolders, measureKeepers, measureManyRequests, openBench } from "./protocol.ts";
import { startBench } from "./world.ts";

const AGENTS = [1, 4, 8];

/**
 * The committed figures: one agent and eight, without the operations that need thousands of transactions first, and
 * without peers that do not change.
 */
export async function quick(explain: (figure: Figure) => boolean): Promise<Measured[]> {
  const world = await startBench("local");
  try {
    const meter = new Meter(world, explain);
    for (const agents of [1, 8]) {
      const bench = await openBench(world, meter, agents);
      await measureHolders(bench);
      await measureClaims(bench, 1);
      await measureKeepers(bench);
    }
    await measureBareEigenLayer(world, meter);
    return [...meter.figures, ...derive(meter.figures)];
  } finally {
    await world.close();
  }
}

/**
 * Everything, with the breakdown of what misses its target. What EigenLayer has no part in (peers, claims after
 * thousands of finalisations) is not measured a second time on its real bytecode.
 */
export async function full(kind: EigenLayerKind, say: (line: string) => void): Promise<Measured[]> {
  say(kind === "real" ? "On EigenLayer's real bytecode:" : "On the local stand-in for EigenLayer:");
  const world = await startBench(kind, say);
  try {
    const meter = new Meter(world, (figure) => reached(figure) === false || isRatioTarget(figure));
    if (kind === "local") {
      meter.label("EigenLayer addresses and delays", await address(world.local.core.delegationManager, "book"));
    }
    for (const agents of AGENTS) {
      say(`  a tier with ${agents} ${agents === 1 ? "agent" : "agents"} ...`);
      const bench = await openBench(world, meter, agents);
      await measureHolders(bench);
      await measureManyRequests(bench);
      await measureClaims(bench, 1);
      await measureKeepers(bench);
      if (agents !== AGENTS.at(-1) || kind === "real") continue;
      say("  10,000 finalisations ...");
      await measureClaims(bench, 10_000);
    }
    say("  the largest sync ...");
    await measureLargestSync(world, meter);
    say("  the peers ...");
    await measureBareEigenLayer(world, meter);
    if (kind === "local") {
      await measurePlainVault(world, meter);
      await measureSymbiotic(world, meter);
    }
    return [...meter.figures, ...derive(meter.figures)];
  } finally {
    await world.close();
  }
}

/** Whether these miss a ratio or a slope is known only when the others are measured too. */
const isRatioTarget = ({ operation, agents }: Figure): boolean =>
  agents === AGENTS.at(-1) && ["deploy", "unbond", "sync without a slash"].includes(operation);
