/** The simulated tier keeps the specification's promises, and the simulation says what was drawn. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import {
  DEFAULTS,
  deployed,
  type MandateTerms,
  recoveries,
  type Size,
  simulate,
  sizeForTotal,
  Uncoverable,
} from "../../economics/index.ts";
import { randomStream } from "../../economics/random.ts";
import { drawSlashes, type SimulationOptions, spreadOf, wilson } from "../../economics/simulation.ts";
import { Plan, SimulatedTier } from "../../economics/tier.ts";
import { Premium, WAD } from "../../model/index.ts";
import { anyMandate, equalGroups } from "./mandates.ts";

const TOTAL = 10_000n * WAD;
const { market, hazard } = DEFAULTS;
const SIXTEEN = equalGroups(16, WAD / 16n);

const settled = (terms: MandateTerms, utilisation = Premium.TARGET): Size =>
  sizeForTotal(terms, TOTAL, WAD, utilisation);
const begin = (terms: MandateTerms, size = settled(terms), conduct = {}): SimulatedTier =>
  SimulatedTier.full(new Plan(terms, size, market, Premium.START_RATE, conduct), size);
const whole = (set: number) => ({ set, part: WAD });
const options = (more: Partial<SimulationOptions> = {}): SimulationOptions => ({
  paths: 300,
  seed: 1,
  days: 365,
  conduct: {},
  baseRate: Premium.START_RATE,
  ...more,
});
const run = (terms = SIXTEEN, more: Partial<SimulationOptions> = {}, dangers = {}) =>
  simulate(terms, settled(terms), market, { ...hazard, ...dangers }, options(more));

describe("the simulated tier", () => {
  test("SPEC rule 2: from a covered day, k groups that take everything leave the senior rate where it was", () => {
    fc.assert(
      fc.property(anyMandate, fc.nat(), fc.integer({ min: 0, max: 20 }), (terms, pick, days) => {
        let size: Size;
        try {
          size = sizeForTotal({ ...terms, margin: terms.margin + 1n }, TOTAL, WAD);
        } catch (error) {
          if (error instanceof Uncoverable) return true;
          throw error;
        }
        const tier = begin({ ...terms, margin: terms.margin + 1n }, size);
        for (let day = 0; day < days; day++) tier.advance();
        if (tier.utilisation > WAD) return true;
        // the k largest, or any others
        const { worst, groups } = deployed(terms, TOTAL);
        const chosen = pick % 2 === 0 ? worst : groups.map((_, i) => (i * 7 + pick) % groups.length).slice(0, terms.k);
        const before = tier.seniorRate;
        const slashes = tier.plan.groupOf.flatMap((group, set) => (chosen.includes(group) ? [whole(set)] : []));
        const { borne } = tier.advance(slashes);
        assert.equal(borne?.senior ?? 0n, 0n);
        assert.ok(tier.seniorRate >= before);
        return true;
      }),
      { numRuns: 300 },
    );
  });

  test("SPEC rule 1: books and value are the same on every evening", () => {
    const tier = begin({ ...SIXTEEN, buffer: 200n });
    for (let day = 1; day <= 120; day++) {
      tier.advance(day % 20 === 0 ? [{ set: (day / 20) % 16, part: WAD / 3n }] : []);
      const error = tier.value - tier.booked;
      assert.ok(error <= 0n && error > -100n, `${error} wei on day ${day}`); // a division for each agent's deposit
    }
  });

  test("loses senior money only when reserve and junior are gone", () => {
    const tier = begin(SIXTEEN);
    const { borne } = tier.advance([whole(0), whole(4), whole(8), whole(12)]);
    assert.ok(borne !== undefined && borne.senior > 0n);
    assert.equal(tier.books.junior, 0n);
    assert.equal(tier.juniorRate, 0n);
  });

  test("is repaired 14 days after a slash that made it exposed, and not a day earlier", () => {
    const tier = begin(SIXTEEN);
    tier.advance([whole(0)]);
    for (let day = 1; day < 14; day++) {
      assert.ok(tier.exposed, `day ${day}`);
      tier.advance();
    }
    assert.ok(tier.exposed);
    tier.advance();
    assert.ok(!tier.exposed && tier.utilisation <= WAD);
  });

  test("gives a quarantined group nothing any more", () => {
    const tier = begin(SIXTEEN);
    tier.advance([{ set: 3, part: WAD / 2n }]);
    for (let day = 0; day < 60; day++) tier.advance();
    const before = tier.value;
    const { lost } = tier.advance([whole(3)]);
    assert.equal(lost, 0n);
    assert.ok(tier.value >= before);
  });

  test("earns in a quiet year what the returns say, but for what has not vested", () => {
    const size = settled(SIXTEEN);
    const tier = begin(SIXTEEN, size);
    for (let day = 0; day < 365; day++) tier.advance();
    const senior = Number(tier.seniorRate - WAD) / 1e16;
    const junior = Number(tier.juniorRate - WAD) / 1e16;
    // 3.7 − 4 % · 0.9 · J/V and 3.7 + 4 % · 0.9 · S/V, compounded, with U drifting as the junior earns more
    const part = Number(size.junior) / Number(TOTAL);
    assert.ok(Math.abs(senior - (3.7 - 3.6 * part)) < 0.1, `${senior}`);
    assert.ok(Math.abs(junior - (3.7 + 3.6 * (1 - part))) < 0.3, `${junior}`);
  });

  test("fills up with new junior money where the assumptions say so", () => {
    const size = settled(SIXTEEN);
    const conduct = { refill: { days: 10, utilisation: Premium.TARGET } };
    const [alone, refilled] = [begin(SIXTEEN, size), begin(SIXTEEN, size, conduct)];
    for (const tier of [alone, refilled]) {
      tier.advance([{ set: 0, part: WAD / 3n }]);
      for (let day = 0; day < 11; day++) tier.advance();
    }
    assert.ok(alone.utilisation > WAD);
    assert.ok(refilled.utilisation <= Premium.TARGET + WAD / 100n);
    assert.ok(refilled.juniorRate < WAD);
  });
});

describe("what follows a slash of each group", () => {
  test("is a loss of what the group could take, borne from the reserve down, and 14 days without cover", () => {
    const terms = equalGroups(16, WAD / 16n);
    const list = recoveries(terms, settled(terms), market, Premium.START_RATE);
    assert.equal(list.length, 16);
    for (const one of list) {
      assert.equal(one.reserve + one.junior + one.senior + one.gains, one.loss);
      assert.equal(one.loss, TOTAL / 16n);
      assert.equal(one.reserve, WAD);
      assert.equal(one.senior, 0n);
      assert.equal(one.exposedDays, 14);
      assert.equal(one.closedDays, 14);
    }
  });

  test("is nothing where the cover is so large that one group does not use it up", () => {
    const terms = equalGroups(16, WAD / 100n);
    for (const one of recoveries(terms, settled(terms, WAD / 2n), market, Premium.START_RATE)) {
      assert.equal(one.exposedDays, 0);
      assert.equal(one.closedDays, 0);
      assert.equal(one.missing, 0n);
    }
  });
});

describe("simulated years", () => {
  test("are the same for the same seed, others for another, and more of them begin with the same", () => {
    const years = run().years;
    assert.deepEqual(run().years, years);
    assert.deepEqual(run(SIXTEEN, { paths: 100 }).years, years.slice(0, 100));
    assert.notDeepEqual(run(SIXTEEN, { seed: 2 }).years, years);
  });

  test("are all quiet where nothing ever slashes", () => {
    const simulation = run(SIXTEEN, {}, { slashChance: 0n });
    assert.equal(simulation.slashDays, 0);
    assert.equal(simulation.senior.p5, simulation.quiet.senior);
    assert.equal(simulation.junior.least, simulation.quiet.junior);
    assert.equal(simulation.exposedAfterSlash, 0);
  });

  test("have as many slashes as the chance says", () => {
    const paths = 20_000;
    let years = 0;
    for (let path = 0; path < paths; path++) {
      years += Number(
        drawSlashes(
          SIXTEEN,
          SIXTEEN.sets.map((_, i) => i),
          hazard,
          365,
          randomStream(7, path),
        ).size > 0,
      );
    }
    const expected = 1 - 0.99 ** 16;
    const deviation = Math.sqrt((expected * (1 - expected)) / paths);
    assert.ok(Math.abs(years / paths - expected) < 4 * deviation, `${years / paths} for ${expected}`);
  });

  test("slash the sets of a group together, as often as assumed", () => {
    const groupOf = [0, 0, 1, 1];
    const terms = { ...SIXTEEN, sets: ["a", "b", "c", "d"].map((name) => ({ name, slashChance: WAD / 2n })) };
    for (const [together, most] of [
      [WAD, 1],
      [0n, 0],
    ] as const) {
      let pairs = 0;
      let slashes = 0;
      for (let path = 0; path < 500; path++) {
        for (const list of drawSlashes(terms, groupOf, { ...hazard, together }, 365, randomStream(3, path)).values()) {
          slashes++;
          assert.ok(list.length > 0);
          const groups = list.map(({ set }) => groupOf[set]);
          if (new Set(groups).size < groups.length) {
            pairs++;
            assert.equal(list[0]?.part, list[1]?.part);
          }
        }
      }
      assert.ok(slashes > 500);
      assert.ok(Math.abs(pairs / slashes - most) < 0.02, `${pairs} of ${slashes}`);
    }
  });

  test("lose senior money more often where one slash brings others along", () => {
    const alone = run(SIXTEEN, {}, { slashChance: WAD / 20n });
    const contagious = run(SIXTEEN, {}, { slashChance: WAD / 20n, spread: (WAD * 4n) / 10n });
    assert.equal(alone.seniorLoss.count, 0);
    assert.ok(contagious.seniorLoss.count > 20);
    assert.ok(contagious.seniorLoss.low > 0 && contagious.seniorLoss.high < 1);
    assert.ok(contagious.senior.least < 0);
  });

  test("at 1 % a set and year: senior about 3.1 % without a loss, junior about 4 % on average, -18 % at worst 5 %", () => {
    // the design's own simulation: 3.1 %, 4.3 % and -18 %, with 6 uncovered days after a slash
    const { quiet, junior, seniorLoss, exposedAfterSlash } = run(SIXTEEN, { paths: 2000 });
    assert.equal((quiet.senior * 100).toFixed(1), "3.1");
    assert.equal(seniorLoss.count, 0);
    assert.ok(junior.mean > 0.035 && junior.mean < 0.05, `${junior.mean}`);
    assert.ok(junior.p5 < -0.14 && junior.p5 > -0.22, `${junior.p5}`);
    assert.ok(exposedAfterSlash > 5 && exposedAfterSlash < 8, `${exposedAfterSlash}`);
  });
});

describe("statistics", () => {
  test("take percentiles by nearest rank and the mean of the worst twentieth", () => {
    const spread = spreadOf(Array.from({ length: 100 }, (_, i) => 100 - i));
    assert.deepEqual(spread, { mean: 50.5, p5: 5, median: 50, p95: 95, worstTwentieth: 3, least: 1 });
  });

  test("bound a probability by Wilson's interval", () => {
    // 10 of 100 is 5.5 % to 17.4 % in the textbooks; 0 of 2,000 is up to z²/(n + z²)
    const { low, high } = wilson(10, 100);
    assert.equal(`${low.toFixed(3)} ${high.toFixed(3)}`, "0.055 0.174");
    assert.equal(wilson(0, 2000).low, 0);
    assert.equal(wilson(0, 2000).high.toFixed(5), (3.8415 / 2003.8415).toFixed(5));
  });

  test("draw evenly from [0, 1)", () => {
    const random = randomStream(42, 0);
    const bins = Array.from({ length: 20 }, () => 0);
    for (let i = 0; i < 100_000; i++) {
      const bin = Math.floor(random() * 20);
      bins[bin] = (bins[bin] ?? Number.NaN) + 1;
    }
    // chi-square with 19 degrees of freedom is below 43.8 in 999 of 1,000 cases
    const chi = bins.reduce((sum, seen) => sum + (seen - 5000) ** 2 / 5000, 0);
    assert.ok(chi < 43.8, `${chi}`);
  });

  test("draw different streams for neighbouring years and seeds", () => {
    const first = (seed: number, stream: number) => randomStream(seed, stream)();
    const seen = new Set(Array.from({ length: 1000 }, (_, i) => first(i % 10, Math.floor(i / 10))));
    assert.equal(seen.size, 1000);
  });
});
