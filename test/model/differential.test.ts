/**
 * The mirror in `model/` equals the Solidity libraries to the wei, errors included, on random input. A failure prints
 * the seed and the smallest input found: run again with `MODEL_SEED=<seed>`; `MODEL_RUNS` sets the inputs per property.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import fc from "fast-check";
import { Attribution, DutchAuction, Exposure, Premium, Queue, Waterfall } from "../../model/index.ts";
import { deploy, type Harness, type Outcome, outcomeOf } from "./harness.ts";

const RUNS = Number(process.env.MODEL_RUNS ?? 240);
const SEED = process.env.MODEL_SEED;

/** Everything from 0 to 2^bits - 1, each number of bits as likely as any other, with edges. */
const upTo = (bits: number) =>
  fc.oneof(
    { weight: 1, arbitrary: fc.constantFrom(0n, 1n, (1n << BigInt(bits)) - 1n) },
    {
      weight: 8,
      arbitrary: fc.integer({ min: 1, max: bits }).chain((n) => fc.bigInt({ min: 0n, max: (1n << BigInt(n)) - 1n })),
    },
  );
const wei = upTo(118);
const rate = fc.bigInt({ min: Premium.MIN_RATE, max: Premium.MAX_RATE });
const utilisation = fc.oneof(
  fc.bigInt({ min: 0n, max: 12n * 10n ** 17n }),
  fc.bigInt({ min: 0n, max: Exposure.U_MAX }),
  fc.constantFrom(0n, Premium.TARGET - 1n, Premium.TARGET, Premium.TARGET + 1n, 10n ** 18n, Exposure.U_MAX),
);
const seconds = fc.oneof(upTo(20), upTo(32));
const margin = fc.oneof(fc.constantFrom(0n, 200n, 1000n), fc.bigInt({ min: 0n, max: Exposure.Q }));
const count = fc.integer({ min: 0, max: 34 });
const k = fc.oneof(fc.integer({ min: 0, max: 4 }), fc.integer({ min: 0, max: 40 }));
const books = fc.record({ reserve: wei, junior: wei, senior: wei, gains: wei });
const flat = (b: Waterfall.Books) => [b.reserve, b.junior, b.senior, b.gains];

/** Groups' values, with repetitions. */
const groups = (value: fc.Arbitrary<bigint>, length: fc.Arbitrary<number> = count) =>
  length.chain((n) =>
    fc.oneof(
      fc.array(value, { minLength: n, maxLength: n }),
      fc.tuple(value, value).chain((pair) => fc.array(fc.constantFrom(...pair), { minLength: n, maxLength: n })),
    ),
  );

describe("the mirror equals the Solidity to the wei", () => {
  let chain: Harness;
  before(async () => {
    chain = await deploy();
  });
  after(async () => {
    await chain.close();
  });

  /** One property: the same arguments on both sides, the same outcome. */
  function agree<T extends unknown[]>(
    name: string,
    inputs: fc.Arbitrary<T>,
    solidity: (...args: T) => readonly unknown[],
    mirror: (...args: T) => unknown,
    runs = RUNS,
  ) {
    test(`${name}: ${runs} random inputs`, async () => {
      await check(
        fc.asyncProperty(inputs, async (args) => {
          const got: Outcome = await chain.call(name, ...solidity(...args));
          assert.deepEqual(
            outcomeOf(() => mirror(...args)),
            got,
          );
        }),
        runs,
      );
    });
  }

  describe("DutchAuction", () => {
    agree("price", fc.tuple(upTo(128), upTo(128), seconds), (...args) => args, DutchAuction.price);
    agree("cost", fc.tuple(upTo(128), upTo(128)), (...args) => args, DutchAuction.cost);
    agree(
      "next",
      fc.tuple(
        upTo(128),
        upTo(128).map((amount) => amount + 1n),
        upTo(128),
      ),
      (...args) => args,
      DutchAuction.next,
    );
  });

  describe("Waterfall", () => {
    agree("total", fc.tuple(books), (b) => [flat(b)], Waterfall.total);
    agree("vested", fc.tuple(wei, seconds, seconds, seconds), (...args) => args, Waterfall.vested);
    agree(
      "distribute",
      fc.tuple(books, wei, wei, fc.boolean(), fc.boolean()).map(([b, amount, due, deficit, any]) => {
        // mostly within the gains, now and then beyond them
        const within = any ? amount : amount % (b.gains + 1n);
        return [b, within, due, deficit] as [Waterfall.Books, bigint, bigint, boolean];
      }),
      (b, ...rest) => [flat(b), ...rest],
      (...args) => {
        const result = Waterfall.distribute(...args);
        return [flat(result.books), result.premium];
      },
    );
    agree(
      "gain",
      fc.tuple(books, wei, seconds, seconds),
      (b, ...rest) => [flat(b), ...rest],
      (...args) => {
        const result = Waterfall.gain(...args);
        return [flat(result.books), result.unlockAt];
      },
    );
    agree(
      "lose",
      fc.tuple(books, fc.oneof(wei, upTo(255))),
      (b, amount) => [flat(b), amount],
      (...args) => {
        const { books: left, borne } = Waterfall.lose(...args);
        return [flat(left), [borne.gains, borne.reserve, borne.junior, borne.senior, borne.uncovered]];
      },
    );
  });

  describe("Premium", () => {
    agree("err", fc.tuple(utilisation), (u) => [u], Premium.err);
    agree("rate", fc.tuple(rate, utilisation), (...args) => args, Premium.rate);
    agree(
      "due",
      fc.tuple(rate, utilisation, wei, wei, wei, seconds).map(([base, u, junior, senior, reserve, dt]) => {
        return [base, u, junior, senior, reserve + junior + senior, dt] as [
          bigint,
          bigint,
          bigint,
          bigint,
          bigint,
          bigint,
        ];
      }),
      (...args) => args,
      Premium.due,
    );
    agree("adapt", fc.tuple(rate, utilisation, wei, wei, seconds), (...args) => args, Premium.adapt, 2 * RUNS);
  });

  describe("Exposure", () => {
    const exposed = upTo(148);
    const fraction = fc.bigInt({ min: 0n, max: Exposure.P });
    const rho = fc.bigInt({ min: 0n, max: Exposure.P * Exposure.Q });
    const few = fc.integer({ min: 0, max: 32 });
    agree("fraction", fc.tuple(upTo(64), upTo(64)), (...args) => args, Exposure.fraction);
    agree(
      "largest",
      fc.tuple(groups(exposed), k),
      (values, n) => [values, n],
      (values, n) => {
        const top = Exposure.largest(values, n);
        return [top.sum, top.mask];
      },
    );
    agree("need", fc.tuple(exposed, wei, margin, margin), (...args) => args, Exposure.need);
    agree("budget", fc.tuple(wei), (...args) => args, Exposure.budget);
    agree("utilisation", fc.tuple(exposed, wei, wei, margin, margin), (...args) => args, Exposure.utilisation);
    agree("covered", fc.tuple(exposed, wei, wei, margin, margin), (...args) => args, Exposure.covered);
    agree("juniorLimit", fc.tuple(exposed, wei, wei, margin, margin), (...args) => args, Exposure.juniorLimit);
    agree("ceiling", fc.tuple(groups(exposed), k, upTo(150)), (...args) => args, Exposure.ceiling, 2 * RUNS);
    agree(
      "deleverageBudget",
      fc.tuple(wei, wei, exposed, margin, margin),
      (...args) => args,
      Exposure.deleverageBudget,
    );

    agree(
      "target",
      fc
        .tuple(upTo(63), upTo(63), upTo(64), exposed, fc.oneof(fc.constant(0n), exposed), exposed)
        .map(
          ([cur, others, ...rest]) => [cur, cur + others, ...rest] as [bigint, bigint, bigint, bigint, bigint, bigint],
        ),
      (...args) => args,
      Exposure.target,
    );

    const senior = count.chain((n) =>
      fc.record({
        exposure: groups(exposed, fc.constant(n)),
        rho: groups(rho, fc.oneof({ weight: 9, arbitrary: fc.constant(n) }, { weight: 1, arbitrary: count })),
        extraExposure: fc.oneof(fc.constant(0n), exposed),
        extraRho: fc.oneof(fc.constant(0n), rho),
        idleToDeploy: wei,
        v: wei,
        b: margin,
        h: margin,
      }),
    );
    const deploy_ = count.chain((n) =>
      fc.record({
        exposure: groups(exposed, fc.constant(n)),
        e: groups(fraction, fc.oneof({ weight: 9, arbitrary: fc.constant(n) }, { weight: 1, arbitrary: count })),
        extraExposure: fc.oneof(fc.constant(0n), exposed),
        extraE: fc.oneof(fc.constant(0n), fraction),
        v: wei,
        b: margin,
        h: margin,
      }),
    );
    const tuple = (line: Exposure.Line) => [line.level, line.slope, line.baseLevel, line.baseSlope];
    agree(
      "seniorLine",
      fc.tuple(senior),
      (x) => Object.values(x),
      (x) => tuple(Exposure.seniorLine(x)),
    );
    agree(
      "deployLine",
      fc.tuple(deploy_),
      (x) => Object.values(x),
      (x) => tuple(Exposure.deployLine(x)),
    );

    agree("seniorBound", fc.tuple(exposed, rho, wei, wei, wei, margin, margin), (...x) => x, Exposure.seniorBound);
    agree("deployBound", fc.tuple(exposed, fraction, wei, wei, margin, margin), (...x) => x, Exposure.deployBound);

    // exposures and weights of one size, and a cover that is about enough: room that ends in the middle
    const line = fc
      .tuple(
        few,
        upTo(40).map((bits) => bits + (1n << 90n)),
      )
      .chain(([n, scale]) =>
        fc.record({
          exposure: groups(fc.bigInt({ min: 0n, max: scale * Exposure.P }), fc.constant(n)),
          rho: groups(rho, fc.constant(n)),
          extraExposure: fc.oneof(fc.constant(0n), fc.bigInt({ min: 0n, max: scale * Exposure.P })),
          extraRho: fc.oneof(fc.constant(0n), rho),
          idleToDeploy: fc.bigInt({ min: 0n, max: scale }),
          v: fc.bigInt({ min: 0n, max: 8n * scale }),
          b: margin,
          h: margin,
        }),
      )
      .map(Exposure.seniorLine);
    const cover = fc.oneof(wei, fc.bigInt({ min: 1n << 88n, max: 1n << 97n }));
    agree("demand", fc.tuple(line, k, wei), (l, n, d) => [tuple(l), n, d], Exposure.demand);
    agree(
      "limit",
      fc.tuple(line, k, cover.map(Exposure.budget), fc.oneof(wei, upTo(256))),
      (l, n, available, cap) => [tuple(l), n, available, cap],
      Exposure.limit,
      4 * RUNS,
    );
  });

  describe("Attribution", () => {
    const magnitude = fc.bigInt({ min: 0n, max: 10n ** 18n });
    const block = fc.bigInt({ min: 0n, max: 200n });
    const item = fc.record({
      before: magnitude,
      pending: fc.oneof(fc.constant(0n), magnitude),
      effectBlock: block,
      slashed: fc.boolean(),
      afterwards: magnitude,
      calmBeforeEffect: fc.boolean(),
    });
    agree(
      "attribute",
      fc.tuple(fc.array(item, { maxLength: 8 }), upTo(64), upTo(64), block),
      (items, ...rest) => [items.map((x) => Object.values(x)), ...rest],
      (...args) => {
        const { taken, estimated } = Attribution.attribute(...args);
        return [taken, estimated];
      },
      2 * RUNS,
    );
  });

  describe("Queue", () => {
    const people = [1, 2, 3].map((n) => `0x${n.toString(16).padStart(40, "0")}`);
    const person = fc.constantFrom(...people);
    const size = fc.oneof(upTo(8), upTo(90));
    const parts = fc.integer({ min: 0, max: 1100 }).map(BigInt);
    const action = fc.oneof(
      fc.record({ kind: fc.constant("push" as const), requests: fc.array(fc.tuple(person, size), { maxLength: 3 }) }),
      fc.record({ kind: fc.constant("finalise" as const), permille: parts, assets: size }),
      fc.record({ kind: fc.constant("finalise" as const), permille: parts, assets: size }),
      fc.record({ kind: fc.constant("claimShares" as const), person, permille: parts }),
      fc.record({ kind: fc.constant("claimAssets" as const), person, permille: parts }),
    );
    const end = fc.array(fc.integer({ min: 0, max: 12 }), { maxLength: 6 });

    test(`${RUNS / 4} random lives of a queue`, async () => {
      await check(
        fc.asyncProperty(fc.array(action, { minLength: 1, maxLength: 14 }), end, async (actions, ids) => {
          const back = await chain.snapshot();
          const state = Queue.create();
          try {
            for (const act of actions) await step(state, act);
            // the life of a retired series: requests come back, what is finalised can still be claimed
            for (const id of ids) {
              await both("returnUnfinalised", [id], () => {
                const { controller, shares } = Queue.returnUnfinalised(state, id);
                return [controller, shares];
              });
            }
            for (const who of people) {
              const { shares } = Queue.claimable(state, who);
              await both("claimShares", [who, shares], () => Queue.claimShares(state, who, shares));
            }
            await compare(state);
          } finally {
            await back();
          }
        }),
        RUNS / 4,
      );
    });

    async function step(state: Queue.State, act: typeof action extends fc.Arbitrary<infer T> ? T : never) {
      if (act.kind === "push") {
        const blockNumber = (await chain.blockNumber()) + 1n;
        const trial = Queue.copy(state);
        const push = (to: Queue.State) => {
          for (const [who, shares] of act.requests) Queue.push(to, who, shares, blockNumber);
          return [];
        };
        const [who, shares] = [act.requests.map(([w]) => w), act.requests.map(([, s]) => s)];
        // all of them or, as the transaction reverts, none
        const outcome = outcomeOf(() => push(trial));
        assert.deepEqual(outcome, await chain.send("pushAll", who, shares));
        if ("value" in outcome) push(state);
      } else if (act.kind === "finalise") {
        const shares = (Queue.pendingShares(state) * act.permille) / 1000n;
        await both("finalise", [shares, act.assets], () => {
          Queue.finalise(state, shares, act.assets);
          return [];
        });
      } else {
        const can = Queue.claimable(state, act.person);
        const most = act.kind === "claimShares" ? can.shares : can.assets;
        const amount = (most * act.permille) / 1000n;
        await both(act.kind, [act.person, amount], () => Queue[act.kind](state, act.person, amount));
      }
      await compare(state);
    }

    async function both(name: string, args: readonly unknown[], mirror: () => unknown) {
      assert.deepEqual(outcomeOf(mirror), await chain.send(name, ...args), name);
    }

    async function compare(state: Queue.State) {
      const same = async (name: string, args: readonly unknown[], want: unknown) =>
        assert.deepEqual({ value: want }, await chain.call(name, ...args), name);
      const blockNumber = await chain.blockNumber();
      await same("cumulative", [], [state.requested, state.finalised, state.assets]);
      await same("pendingShares", [], Queue.pendingShares(state));
      for (const at of [blockNumber, blockNumber - 1n, blockNumber / 2n]) {
        await same("maturedShares", [at], Queue.maturedShares(state, at));
      }
      for (const part of [1n, 3n, 7n, 8n, 9n]) {
        const shares = (state.finalised * part) / 8n;
        await same("assetsAt", [shares], Queue.assetsAt(state, shares));
      }
      for (const who of people) {
        const { shares, assets } = Queue.claimable(state, who);
        await same("claimable", [who], [shares, assets]);
        await same("creditOf", [who], state.byController.get(who)?.credit ?? 0n);
      }
      const id = state.requests.length;
      if (id === 0) return;
      const { shares, assets } = Queue.claimableOf(state, id);
      await same("claimableOf", [id], [shares, assets]);
      await same("pendingOf", [id], Queue.pendingOf(state, id));
    }
  });
});

async function check(property: fc.IAsyncProperty<unknown>, runs: number) {
  await fc.assert(property as fc.IAsyncPropertyWithHooks<unknown>, {
    numRuns: runs,
    includeErrorInReport: true,
    ...(SEED === undefined ? {} : { seed: Number(SEED) }),
  });
}
