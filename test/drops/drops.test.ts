/** Drops: from what a series' token logged to who may claim what. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { StandardMerkleTree } from "@openzeppelin/merkle-tree";
import fc from "fast-check";
import { DropError, type HoldingEvent, holdings } from "../../drops/holdings.ts";
import { canonical, type DropInputs, dropOf } from "../../drops/tree.ts";

const name = (n: number) => `0x${n.toString(16).padStart(40, "0")}`;
const [SERIES, ZERO, ALICE, BOB, CARL] = [name(99), name(0), name(1), name(2), name(3)];
const WAD = 10n ** 18n;
const HOUR = 3_600;

const mint = (time: number, to: string, shares: bigint): HoldingEvent => ({
  kind: "transfer",
  time,
  from: ZERO,
  to,
  shares,
});
const move = (time: number, from: string, to: string, shares: bigint): HoldingEvent => ({
  kind: "transfer",
  time,
  from,
  to,
  shares,
});
const period = (from: number, until: number) => ({ series: SERIES, from, until });
const of = (events: readonly HoldingEvent[], from: number, until: number) =>
  Object.fromEntries([...holdings(events, period(from, until))].map(([account, weight]) => [account, weight / WAD]));

describe("holdings over time", () => {
  it("count shares by the seconds for which they were held within the period", () => {
    const events = [mint(0, ALICE, 10n), mint(100, BOB, 4n), move(150, ALICE, CARL, 5n)];
    assert.deepEqual(of(events, 50, 200), {
      [ALICE]: 10n * 100n + 5n * 50n,
      [BOB]: 4n * 100n,
      [CARL]: 5n * 50n,
    });
    assert.deepEqual(of(events, 160, 170), { [ALICE]: 50n, [BOB]: 40n, [CARL]: 50n });
  });

  it("an hour of one ETH is an ETH-hour", () => {
    const weights = holdings([mint(0, ALICE, WAD)], period(0, HOUR));
    assert.equal(weights.get(ALICE), WAD * WAD * BigInt(HOUR));
  });

  it("queued shares are the controller's until they are finalised, oldest first", () => {
    const events: HoldingEvent[] = [
      mint(0, ALICE, 10n),
      move(100, ALICE, SERIES, 6n),
      { kind: "request", time: 100, requestId: 1n, controller: ALICE, shares: 6n },
      mint(100, BOB, 5n),
      move(100, BOB, SERIES, 5n),
      { kind: "request", time: 100, requestId: 2n, controller: CARL, shares: 5n },
      move(200, SERIES, ZERO, 8n),
      { kind: "finalised", time: 200, shares: 8n },
    ];
    assert.deepEqual(of(events, 0, 300), {
      [ALICE]: 10n * 200n + 4n * 100n,
      [CARL]: 5n * 100n + 3n * 100n,
    });
  });

  it("a returned request goes back to the wallet and is not counted twice", () => {
    const events: HoldingEvent[] = [
      mint(0, ALICE, 10n),
      move(10, ALICE, SERIES, 10n),
      { kind: "request", time: 10, requestId: 1n, controller: ALICE, shares: 10n },
      move(20, SERIES, ALICE, 10n),
      { kind: "returned", time: 20, requestId: 1n, shares: 10n },
    ];
    assert.deepEqual(of(events, 0, 30), { [ALICE]: 300n });
  });

  it("rates weigh the seconds in which they held", () => {
    const rates = [
      { time: 0, rate: WAD },
      { time: 100, rate: 2n * WAD },
    ];
    const early = holdings([mint(0, ALICE, 1n), move(100, ALICE, BOB, 1n)], { ...period(0, 200), rates });
    assert.deepEqual(Object.fromEntries(early), { [ALICE]: 100n * WAD, [BOB]: 200n * WAD });
  });

  it("nothing is lost or made: the weights sum to the supply over time", () => {
    const step = fc.record({
      wait: fc.integer({ min: 0, max: 1000 }),
      who: fc.integer({ min: 1, max: 5 }),
      to: fc.integer({ min: 1, max: 5 }),
      part: fc.bigInt({ min: 1n, max: 1000n }),
      what: fc.constantFrom("mint", "move", "queue", "finalise"),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const wallets = new Map<number, bigint>();
        const events: HoldingEvent[] = [];
        let [time, supply, queued, id, sum] = [0, 0n, 0n, 0n, 0n];
        for (const { wait, who, to, part, what } of steps) {
          sum += supply * BigInt(wait);
          time += wait;
          const has = wallets.get(who) ?? 0n;
          const some = has < part ? has : part;
          if (what === "mint") {
            wallets.set(who, has + part);
            supply += part;
            events.push(mint(time, name(who), part));
          } else if (what === "move") {
            wallets.set(who, has - some);
            wallets.set(to, (wallets.get(to) ?? 0n) + some);
            events.push(move(time, name(who), name(to), some));
          } else if (what === "queue") {
            wallets.set(who, has - some);
            queued += some;
            events.push(move(time, name(who), SERIES, some));
            events.push({ kind: "request", time, requestId: ++id, controller: name(to), shares: some });
          } else {
            const done = queued < part ? queued : part;
            queued -= done;
            supply -= done;
            events.push(move(time, SERIES, ZERO, done), { kind: "finalised", time, shares: done });
          }
        }
        const weights = holdings(events, period(0, time + 1));
        const all = [...weights.values()].reduce((total, one) => total + one, 0n);
        assert.equal(all, (sum + supply) * WAD);
      }),
    );
  });

  it("gaps and disorder in the events are errors, not wrong parts", () => {
    assert.throws(() => of([mint(10, ALICE, 1n), mint(5, BOB, 1n)], 0, 20), /sort them/);
    assert.throws(() => of([move(1, ALICE, BOB, 1n)], 0, 20), /events are missing/);
    assert.throws(() => of([{ kind: "finalised", time: 1, shares: 1n }], 0, 20), /events are missing/);
    assert.throws(() => of([{ kind: "returned", time: 1, requestId: 1n, shares: 1n }], 0, 20), /events are missing/);
    assert.throws(() => of([], 20, 20), /no second/);
  });
});

describe("a drop", () => {
  const inputs: DropInputs = {
    ...period(0, 100),
    amount: 1_000n,
    events: [mint(0, ALICE, 2n), mint(0, BOB, 1n), mint(99, CARL, 1n)],
  };

  it("shares the amount out by time-weighted holdings, rounded down, and its tree proves each part", () => {
    const drop = dropOf(inputs);
    // 200, 100 and 1 of 301
    assert.deepEqual(
      drop.parts.map(({ account, amount }) => [account, amount]),
      [
        [ALICE, 664n],
        [BOB, 332n],
        [CARL, 3n],
      ],
    );
    assert.equal(drop.total, 999n);
    for (const { account, amount, proof } of drop.parts)
      assert.ok(StandardMerkleTree.verify(drop.root, ["address", "uint256"], [account, amount], [...proof]));
  });

  it("is the same for the same inputs, and another one for others", () => {
    assert.deepEqual(dropOf(inputs), dropOf({ ...inputs, series: SERIES.toUpperCase().replace("0X", "0x") }));
    assert.notEqual(dropOf(inputs).inputsHash, dropOf({ ...inputs, until: 101 }).inputsHash);
    assert.notEqual(dropOf(inputs).inputsHash, dropOf({ ...inputs, amount: 1_001n }).inputsHash);
    assert.match(canonical(inputs), /^\["bulkhead drop 1","0x0{38}63",0,100,"1000",\[\],\[\["transfer",0,/);
  });

  it("says why there is none", () => {
    assert.throws(() => dropOf({ ...inputs, amount: 0n }), DropError);
    assert.throws(() => dropOf({ ...inputs, events: [] }), /Nobody held/);
    assert.throws(() => dropOf({ ...inputs, amount: 1n, events: [mint(0, ALICE, 1n), mint(0, BOB, 1n)] }), /too small/);
  });

  it("can be for one holder alone", () => {
    const drop = dropOf({ ...inputs, events: [mint(0, ALICE, 2n)] });
    assert.deepEqual(drop.parts, [{ account: ALICE, amount: 1_000n, proof: [] }]);
  });
});
