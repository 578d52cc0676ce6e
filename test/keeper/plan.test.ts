/** What the keeper plans, why, and what it withholds; on states of a small model of the protocol. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { getAddress, Interface, ZeroAddress } from "ethers";
import fc from "fast-check";
import { hardhatArtifacts } from "../../deploy/eigenlayer.ts";
import { calls, FUNCTIONS } from "../../keeper/plan/calls.ts";
import { plan } from "../../keeper/plan/plan.ts";
import { printPlan } from "../../keeper/plan/text.ts";
import type { Action, Job, Plan } from "../../keeper/plan/types.ts";
import { min, WAD } from "../../model/integer.ts";
import {
  address,
  agent,
  at,
  BLOCK,
  type Core,
  carryOut,
  config,
  DAY,
  DELAY,
  ETH,
  exit,
  keeperState,
  link,
  passBlocks,
  quiet,
  STRANGER,
  set,
  stateOf,
  type WorldCore,
  world,
} from "./states.ts";

const planOf = (w: WorldCore, own = config()): Plan => plan(keeperState(w), own);
const planFor = (core: Partial<Core>): Plan => planOf(world([quiet(core)]));
const jobs = ({ actions }: Plan): readonly string[] => actions.map(({ job, subject }) => `${job} ${subject}`);
const why = (list: Plan["withheld"] | Plan["actions"], job: Job, subject?: string): string =>
  list.find((one) => one.job === job && (subject === undefined || one.subject === subject))?.reason ?? "";

/** Carries plans out until there is nothing left to do. Returns how many rounds that took and what was refused. */
function settle(w: WorldCore, own = config(), most = 8): { rounds: number; refused: string[]; done: string[] } {
  const refused: string[] = [];
  const done: string[] = [];
  for (let rounds = 0; rounds <= most; rounds++) {
    const { actions } = planOf(w, own);
    if (actions.length === 0) return { rounds, refused, done };
    for (const action of actions) {
      const failure = carryOut(w, action);
      const name = `${action.job} ${action.subject}`;
      if (failure === undefined) done.push(name);
      else refused.push(`${name}: ${failure} (${action.reason})`);
    }
  }
  assert.fail(`Still something to do after ${most} rounds:\n${printPlan(planOf(w, own), keeperState(w))}`);
}

describe("a quiet tier", () => {
  it("gets nothing, and nothing is withheld from it", () => {
    assert.deepEqual(planFor({}), { actions: [], withheld: [] });
  });

  it("is synced once a day", () => {
    const lastSync = BLOCK.timestamp - DAY;
    assert.deepEqual(jobs(planFor({ lastSync })), ["sync tier"]);
    assert.deepEqual(jobs(planFor({ lastSync: lastSync + 1 })), []);
  });

  it("gets no routine without a final block, but protection all the same", () => {
    const w = world([quiet({ slashed: 1n, lastSync: 0 })]);
    const { head, claims, remembered } = keeperState(w);
    assert.deepEqual(jobs(plan({ head, claims, remembered }, config())), ["sync tier"]);
  });
});

describe("protection", () => {
  const quarantined = (own: Partial<Parameters<typeof link>[0]> = {}, setOwn = {}) => ({
    agents: [agent({ links: [link(own)] }), agent({ links: [link({ set: 1 })] })],
    sets: [set({ quarantined: true, ...setOwn }), set({ group: 1 })],
  });

  it("books a slash with a sync, and says who was slashed", () => {
    const made = planFor({ slashed: 0b10n });
    assert.deepEqual(jobs(made), ["sync tier"]);
    assert.equal(made.actions[0]?.urgency, "protection");
    assert.match(why(made.actions, "sync"), /agent 1 was slashed/);
  });

  it("unwinds every link to a quarantined set", () => {
    const made = planFor(quarantined());
    assert.deepEqual(jobs(made), ["unwind agent 0, set 0"]);
    assert.match(why(made.actions, "unwind"), /50 % of the agent, 49\.5/);
    assert.equal(made.actions[0]?.call.data, calls.unwind(quietRef, 0, 0).data);
  });

  it("leaves a link that is on its way to zero alone, and says when it is free", () => {
    const made = planFor(quarantined({ pending: WAD / 2n, effectBlock: BLOCK.number + 7_200 }));
    assert.deepEqual(jobs(made), []);
    assert.match(why(made.withheld, "unwind"), /free in 7200 blocks \(24 hours\)/);
  });

  it("leaves a set in which a smaller decrease is pending", () => {
    const made = planFor(quarantined({ pending: WAD / 4n, effectBlock: BLOCK.number + 7_200 }));
    assert.deepEqual(jobs(made), ["unwind agent 0, set 0"]);
    assert.match(why(made.actions, "unwind"), /leaves the set/);
  });

  it("does not leave a set twice: the rest follows when the decrease is over", () => {
    const effectBlock = BLOCK.number + 7_200;
    const own = { pending: WAD / 4n, effectBlock, member: false };
    assert.deepEqual(jobs(planFor(quarantined(own))), []);
    assert.match(why(planFor(quarantined(own)).withheld, "unwind"), /has left set 0/);
    const w = world([quiet(quarantined(own))], { block: { ...BLOCK, number: effectBlock } });
    assert.ok(jobs(planOf(w)).includes("unwind agent 0, set 0"));
  });

  it("does not try again to leave a set once all stake is queued", () => {
    const core = quarantined({ pending: WAD / 4n, effectBlock: BLOCK.number + 7_200 });
    at(core.agents, 0).stake = 1_000n;
    const made = planFor(core);
    assert.ok(!jobs(made).some((job) => job.startsWith("unwind")));
    assert.match(why(made.withheld, "unwind"), /all stake of the agent is queued already/);
  });

  it("pokes a set whose slasher changes and unwinds it in the same transaction, if the mandate does not approve", () => {
    const sets = [set({ pendingSlasher: STRANGER }), set({ group: 1 })];
    assert.deepEqual(jobs(planFor({ sets })), ["poke set 0", "unwind agent 0, set 0"]);
    assert.match(why(planFor({ sets }).actions, "poke"), /is announced for block 1126000; the mandate approves/);
  });

  it("pokes a set whose announced slasher was taken back, and does not unwind it", () => {
    assert.deepEqual(jobs(planFor({ sets: [set({ seenPendingSlasher: STRANGER }), set({ group: 1 })] })), [
      "poke set 0",
    ]);
  });

  it("does not care who slashes sets that the tier has nothing to do with", () => {
    const sets = [set(), set({ group: 1 }), set({ group: 2, slasher: STRANGER })];
    assert.deepEqual(jobs(planFor({ sets })), []);
  });

  it("pokes a set that has another registrar or another strategy than it remembers", () => {
    const w = world();
    const tier = at(w.tiers, 0).address;
    w.remembered = [
      { tier, set: 0, registrar: address(0x1), strategies: [address(0x57)] },
      { tier, set: 1, registrar: address(0x4e9), strategies: [] },
    ];
    const made = planOf(w);
    assert.deepEqual(jobs(made), ["poke set 0", "poke set 1"]);
    assert.match(why(made.actions, "poke", "set 0"), /another registrar/);
    assert.match(why(made.actions, "poke", "set 1"), /new strategy/);
  });

  it("syncs at once where a set was not looked at for three days", () => {
    const sets = [set({ seenAt: BLOCK.timestamp - 3 * DAY - 1 }), set({ group: 1 })];
    const made = planFor({ sets });
    assert.deepEqual(jobs(made), ["sync tier"]);
    assert.equal(made.actions[0]?.urgency, "protection");
  });

  it("looks at a set half a day before it is stale, as routine", () => {
    const seenAt = BLOCK.timestamp - 2.5 * DAY;
    const made = planFor({ sets: [set({ seenAt }), set({ group: 1, seenAt: seenAt + 1 })] });
    assert.deepEqual(jobs(made), ["poke set 0"]);
    assert.equal(made.actions[0]?.urgency, "routine");
  });

  it("deleverages where U is above 1, the agent with the largest part of what is too much first", () => {
    const made = planFor({
      junior: 40n * ETH,
      agents: [agent({ stake: 60n * ETH, links: [link()] }), agent({ links: [link({ set: 1 })] })],
    });
    assert.deepEqual(jobs(made), ["deleverage agent 1", "deleverage agent 0"]);
    assert.match(
      why(made.actions, "deleverage"),
      /U is 2\.\d+: cuts agent 1; group 1 holds 49\.5 ETH and may keep 17\./,
    );
  });

  it("does not cut where unwinding alone covers the tier", () => {
    const made = planFor({
      junior: 40n * ETH,
      agents: [agent({ links: [link()] }), agent({ links: [link({ set: 1, current: WAD / 10n, target: WAD / 10n })] })],
      sets: [set({ quarantined: true }), set({ group: 1 })],
    });
    assert.deepEqual(jobs(made), ["unwind agent 0, set 0"]);
    assert.match(why(made.withheld, "deleverage"), /the unwinding in this round is enough/);
  });

  it("says so where the tier is uncovered and everything is being cut already", () => {
    const pending = { pending: WAD / 4n, effectBlock: BLOCK.number + 100 };
    const made = planFor({
      junior: 10n * ETH,
      agents: [agent({ links: [link(pending)] }), agent({ links: [link({ set: 1, ...pending })] })],
    });
    assert.ok(!jobs(made).some((job) => job.startsWith("deleverage")));
    assert.match(
      why(made.withheld, "deleverage"),
      /being cut or within the .* that a group may keep; the next is done in 100 blocks/,
    );
  });

  it("does nothing for a tier that cannot be read, and says it loudly", () => {
    const made = planFor({ readable: false, slashed: 1n, lastSync: 0 });
    assert.deepEqual(jobs(made), []);
    assert.match(why(made.withheld, "sync"), /CANNOT BE READ \(0xdeadbeef\)/);
  });

  it("comes first: nothing new is put at risk while a tier needs it, and exits go on", () => {
    const made = planFor({ ...quarantined(), idle: 30n * ETH, queuedSenior: 5n * ETH, maturedSenior: 5n * ETH });
    assert.deepEqual(jobs(made), ["unwind agent 0, set 0", "finalise senior"]);
    assert.match(why(made.withheld, "deploy"), /protection comes first/);
  });
});

describe("money out", () => {
  it("takes a withdrawal whose delay is over out, asks Lido for it, and says why", () => {
    const made = planFor({ idle: 0n, queuedSenior: 12n * ETH, agents: withExits([exit()]) });
    assert.deepEqual(jobs(made).slice(0, 2), ["complete agent 0, withdrawal 0", "requestUnstake Lido"]);
    assert.match(why(made.actions, "complete"), /without it .* would be missing/);
    assert.match(why(made.actions, "requestUnstake"), /asks Lido for 10 ETH of the loose 10 ETH/);
  });

  it("waits for EigenLayer's delay to the block", () => {
    const core = { agents: withExits([exit({ startBlock: BLOCK.number - DELAY })]), idle: 0n, queuedSenior: 8n * ETH };
    const made = planFor(core);
    assert.ok(!jobs(made).some((job) => job.startsWith("complete")));
    assert.match(why(made.withheld, "complete"), /1 withdrawal in EigenLayer's queue; the next is ready in 1 block/);
  });

  it("puts a withdrawal that nobody needs any more back into stake", () => {
    assert.deepEqual(jobs(planFor({ idle: 3n * ETH, agents: withExits([exit()]) })), [
      "redeposit agent 0, withdrawal 0",
    ]);
  });

  it("never puts back what the ladder has queued, nor into an agent that works for a quarantined set", () => {
    assert.deepEqual(jobs(planFor({ agents: withExits([exit({ tokensOnly: true })]) })).slice(0, 1), [
      "complete agent 0, withdrawal 0",
    ]);
    const pending = { pending: WAD / 2n, effectBlock: BLOCK.number + 9 };
    const made = planFor({
      agents: withExits([exit()], link(pending)),
      sets: [set({ quarantined: true }), set({ group: 1 })],
    });
    assert.match(why(made.actions, "complete"), /quarantined set/);
  });

  it("takes it out where the cover has no room for it as stake", () => {
    const made = planFor({ junior: 116n * ETH, idle: 3n * ETH, agents: withExits([exit({ value: 40n * ETH })]) });
    assert.match(why(made.actions, "complete"), /the cover has no room/);
  });

  it("completes an agent's withdrawals from the last, so that places stay what they are", () => {
    const exits = [exit(), exit({ nonce: 1, startBlock: BLOCK.number }), exit({ nonce: 2 })];
    const w = world([quiet({ agents: withExits(exits), queuedSenior: 60n * ETH, idle: 0n })]);
    const complete = planOf(w).actions.filter(({ job }) => job === "complete");
    assert.deepEqual(
      complete.map(({ subject }) => subject),
      ["agent 0, withdrawal 2", "agent 0, withdrawal 0"],
    );
    for (const action of complete) assert.equal(carryOut(w, action), undefined);
    assert.deepEqual(
      at(at(w.tiers, 0).agents, 0).exits.map(({ nonce }) => nonce),
      [1],
    );
  });

  it("claims what Lido pays and says what it waits for otherwise", () => {
    assert.deepEqual(jobs(planFor({ unstaking: 3n * ETH, payable: 3n * ETH })).slice(0, 1), ["claimUnstaked Lido"]);
    assert.match(why(planFor({ unstaking: 3n * ETH }).withheld, "claimUnstaked"), /none of them payable yet/);
  });

  it("asks Lido for less than a full coin only for people who wait, and for them one request at a time", () => {
    const few = { idle: 0n, loose: ETH / 2n, queuedSenior: ETH / 2n };
    assert.ok(jobs(planFor(few)).includes("requestUnstake Lido"));
    const onTheWay = { ...few, queuedSenior: 4n * ETH, unstaking: 3n * ETH };
    assert.match(why(planFor(onTheWay).withheld, "requestUnstake"), /on their way to those who wait/);
    const forTheBuffer = { idle: (3n * ETH) / 2n, loose: ETH / 2n };
    assert.match(why(planFor(forTheBuffer).withheld, "requestUnstake"), /nobody waits for it/);
  });

  it("finalises what can be paid, and says what is waited for otherwise", () => {
    const queue = { queuedSenior: 4n * ETH, maturedSenior: 4n * ETH, idle: 10n * ETH };
    assert.match(why(planFor(queue).actions, "finalise"), /all of the senior queue can be paid: 4 ETH/);
    assert.match(why(planFor({ ...queue, maturedSenior: 0n }).withheld, "finalise"), /4 ETH wait: not mature yet/);
    const dust = { ...queue, maturedSenior: ETH / 1_000n };
    assert.match(why(planFor(dust).withheld, "finalise"), /too little for a transaction/);
  });

  it("unbonds what is missing from the agents most above their weight, one batch from each", () => {
    const agents = [
      agent({ links: [link()], stake: 100n * ETH, weightBps: 5_000n }),
      agent({ links: [link({ set: 1 })], stake: 60n * ETH, weightBps: 5_000n }),
    ];
    const made = planFor({ agents, idle: 0n, queuedSenior: 30n * ETH, maturedSenior: 30n * ETH });
    const unbond = made.actions.filter(({ job }) => job === "unbond");
    assert.deepEqual(
      unbond.map(({ subject }) => subject),
      ["agent 0", "agent 1"],
    );
    assert.match(unbond[0]?.reason ?? "", /leave 31.6 ETH missing: queues 31.6 ETH/);
  });

  it("says why nothing is unbonded: today's batches are out, or every slot is taken", () => {
    const short = { idle: 0n, queuedSenior: 40n * ETH };
    const today = [agent({ lastUnbond: BLOCK.timestamp - 3_600 }), agent({ lastUnbond: BLOCK.timestamp })];
    assert.match(why(planFor({ ...short, agents: today }).withheld, "unbond"), /the next may in 23 hours/);
    const full = Array.from({ length: 15 }, (_, nonce) => exit({ nonce, startBlock: BLOCK.number, value: ETH }));
    assert.match(
      why(planFor({ ...short, agents: [agent({ exits: full })] }).withheld, "unbond"),
      /has 15 withdrawals open/,
    );
  });

  it("does not lock stake for two weeks for less than the least move, unless people wait for it", () => {
    const agents = [agent(), agent()];
    assert.match(why(planFor({ agents, idle: (3n * ETH) / 2n }).withheld, "unbond"), /nobody waits for it/);
    assert.deepEqual(jobs(planFor({ agents, idle: 0n, queuedSenior: ETH / 10n, params: noBuffer })), [
      "unbond agent 0",
    ]);
  });
});

describe("money in", () => {
  it("restakes idle ETH with the agents most below their weight first", () => {
    const agents = [
      agent({ stake: 100n * ETH, links: [link()] }),
      agent({ stake: 60n * ETH, links: [link({ set: 1 })] }),
    ];
    const made = planFor({ agents, idle: 60n * ETH });
    assert.deepEqual(jobs(made), ["deploy agent 1", "deploy agent 0"]);
    assert.match(why(made.actions, "deploy", "agent 1"), /restakes 48\.\d+ ETH/);
  });

  it("stays within Lido's limit, and leaves small change idle", () => {
    const agents = [agent({ stake: 60n * ETH }), agent({ stake: 60n * ETH })];
    const limited = planFor({ agents, idle: 60n * ETH, stakeLimit: 5n * ETH });
    assert.deepEqual(jobs(limited), ["deploy agent 0"]);
    assert.match(limited.actions[0]?.reason ?? "", /restakes 4\.9999 ETH/);
    const none = planFor({ agents, idle: 60n * ETH, stakeLimit: 0n });
    assert.match(why(none.withheld, "deploy"), /Lido takes only 0 ETH now/);
    assert.match(why(planFor({ agents, idle: 2n * ETH }).withheld, "deploy"), /less than 1 ETH, waits for more/);
  });

  it("gives nothing to an agent that is unfit, that has its weight, or that the cover has no room for", () => {
    const unfit = { agents: [agent({ magnitude: WAD / 11n, stake: 9n * ETH }), agent()], idle: 60n * ETH };
    assert.match(why(planFor(unfit).withheld, "deploy", "agent 0"), /less than a tenth/);
    assert.match(
      why(planFor({ idle: 40n * ETH, agents: [agent({ weightBps: 1_000n })] }).withheld, "deploy"),
      /has its weight/,
    );
    const tight = planFor({ idle: 60n * ETH, junior: 116n * ETH });
    assert.match(why(tight.withheld, "deploy"), /the cover has room for/);
  });

  it("restakes loose stETH that no queue needs without a way through Lido", () => {
    const agents = [agent({ stake: 60n * ETH }), agent({ stake: 60n * ETH })];
    assert.deepEqual(jobs(planFor({ agents, loose: 20n * ETH })), ["redeploy agent 0", "redeploy agent 1"]);
    const needed = planFor({ agents, loose: 20n * ETH, queuedSenior: 21n * ETH, idle: 0n });
    assert.ok(!jobs(needed).some((job) => job.startsWith("redeploy")));
  });

  it("raises allocations to their targets", () => {
    const made = planFor({ agents: [agent({ links: [link({ current: 0n })] })] });
    assert.deepEqual(jobs(made), ["allocate agent 0, set 0"]);
    assert.match(why(made.actions, "allocate"), /0 % with a target of 50 % of the agent: raises it to 50 %/);
  });

  it("where the cover does not carry all of it, raises every group to the same ceiling and no further", () => {
    const tight = (): Core =>
      quiet({
        junior: 60n * ETH,
        agents: [
          agent({ links: [link({ current: 0n }), link({ current: 0n, set: 1, target: WAD / 10n })] }),
          agent({ links: [link({ current: 0n, set: 2 })] }),
        ],
        sets: [set(), set({ group: 1 }), set({ group: 2 })],
      });
    const w = world([tight()]);
    const made = planOf(w);
    assert.deepEqual(jobs(made), ["allocate agent 0, set 0", "allocate agent 0, set 1", "allocate agent 1, set 2"]);
    for (const action of made.actions) assert.equal(carryOut(w, action), undefined);
    const after = stateOf(at(w.tiers, 0), w.block);
    assert.ok(after.utilisation <= WAD && after.utilisation > (WAD * 999n) / 1_000n, `U is ${after.utilisation}`);
    assert.equal(after.agents[0]?.links[1]?.current, WAD / 10n, "a small group rises for free");
    assert.deepEqual(jobs(planOf(w)), []);
    assert.match(why(planOf(w).withheld, "allocate"), /the cover has room for 0 % more/);
  });

  it("raises all by the same part where a group stands above that ceiling already", () => {
    const w = world([
      quiet({
        junior: 75n * ETH,
        params: { ...quiet().params, k: 1 },
        agents: [
          agent({ stake: 120n * ETH, links: [link({ target: 0n, pending: WAD / 2n, effectBlock: BLOCK.number + 9 })] }),
          agent({ stake: 200n * ETH, links: [link({ set: 1, current: 0n })] }),
        ],
      }),
    ]);
    const { refused } = settle(w);
    assert.deepEqual(refused, []);
  });

  it("never asks an agent for more magnitude than slashes have left it", () => {
    const links = [link({ target: (WAD * 6n) / 10n }), link({ set: 1, current: 0n, target: (WAD * 4n) / 10n })];
    const w = world([quiet({ agents: [agent({ magnitude: (WAD * 8n) / 10n, links }), agent()] })]);
    assert.deepEqual(settle(w).refused, []);
    assert.match(why(planOf(w).withheld, "allocate", "agent 0, set 1"), /only 0 % of its magnitude free/);
  });

  it("leaves an allocation inside the band alone, and one of a set that left the mandate never", () => {
    const near = link({ current: WAD / 2n + WAD / 250n });
    const inside = planFor({ agents: [agent({ links: [near] })] });
    assert.deepEqual(jobs(inside), []);
    assert.match(
      why(inside.withheld, "deallocate"),
      /50\.4 % of the agent, 0\.4 % above its target: inside the band of 1 %/,
    );
    const far = planFor({ agents: [agent({ links: [link({ current: (WAD * 6n) / 10n })] })] });
    assert.deepEqual(jobs(far), ["deallocate agent 0, set 0"]);
    const left = planFor({
      agents: [agent({ links: [link({ current: WAD / 250n, target: 0n })] })],
      sets: [set({ allowed: false }), set({ group: 1 })],
    });
    assert.deepEqual(jobs(left), ["deallocate agent 0, set 0"]);
  });

  it("puts nothing in while entries are paused, and still unwinds and pays", () => {
    const made = planFor({
      paused: true,
      idle: 60n * ETH,
      agents: [agent({ links: [link()], exits: [exit()] }), agent({ links: [link({ set: 1, current: 0n })] })],
      sets: [set({ quarantined: true }), set({ group: 1 })],
      queuedSenior: 4n * ETH,
      maturedSenior: 4n * ETH,
    });
    assert.deepEqual(jobs(made), ["unwind agent 0, set 0", "complete agent 0, withdrawal 0", "finalise senior"]);
    assert.match(why(made.withheld, "deploy"), /entries are paused/);
  });
});

describe("care", () => {
  it("looks at a set whose decrease is over and clears EigenLayer's queue", () => {
    const links = [link({ current: WAD / 2n, pending: WAD / 4n, target: WAD / 4n, effectBlock: BLOCK.number })];
    assert.deepEqual(jobs(planFor({ agents: [agent({ links })] })), ["poke set 0", "clearQueue agent 0"]);
  });

  it("has operators reviewed every week", () => {
    const agents = [agent({ reviewedAt: BLOCK.timestamp - 7 * DAY }), agent()];
    assert.deepEqual(jobs(planFor({ agents })), ["review agent 0"]);
  });

  it("syncs and opens a new series where one is retired", () => {
    const made = planFor({ retired: { senior: false, junior: true } });
    assert.deepEqual(jobs(made), ["sync tier", "openSeries junior"]);
  });

  it("harvests given claims, leaves dust, and says what is wrong with others", () => {
    const claim = {
      rootIndex: 1,
      earnerIndex: 0,
      earnerTreeProof: "0x",
      earnerLeaf: { earner: address(0xa0), earnerTokenRoot: `0x${"11".repeat(32)}` },
      tokenIndices: [0],
      tokenTreeProofs: ["0x"],
      tokenLeaves: [{ token: address(0x70), cumulativeEarnings: "5" }],
    };
    const due = (amount: bigint) => [{ token: address(0x70), amount }];
    const claims = [
      { agent: address(0xa0), claim, due: due(ETH) },
      { agent: address(0xa1), claim: { nonsense: true }, due: due(ETH) },
      { agent: address(0xdead), claim, due: due(ETH) },
    ];
    const made = planOf(world([quiet()], { claims }));
    assert.deepEqual(jobs(made), ["harvest agent 0"]);
    assert.match(why(made.withheld, "harvest", "agent 1"), /not of EigenLayer's shape/);
    assert.match(why(made.withheld, "harvest", address(0xdead)), /no agent of a tier/);
    const dust = planOf(world([quiet()], { claims: [{ agent: address(0xa0), claim, due: due(1n) }] }));
    assert.match(why(dust.withheld, "harvest"), /waits for more/);
  });
});

describe("every call", () => {
  const REAL: Record<keyof typeof FUNCTIONS, readonly [name: string, file: string]> = {
    Tier: ["Tier", "contracts/core/Tier.sol"],
    RiskManager: ["RiskManager", "contracts/core/risk/RiskManager.sol"],
    Allocator: ["Allocator", "contracts/core/Allocator.sol"],
    StakeManager: ["StakeManager", "contracts/core/StakeManager.sol"],
    TrancheToken: ["TrancheToken", "contracts/core/TrancheToken.sol"],
    AllocationManager: ["LocalAllocationManager", "contracts/local/eigenlayer/LocalAllocationManager.sol"],
    Rewards: ["Rewards", "contracts/modules/Rewards.sol"],
    TierFactory: ["TierFactory", "contracts/core/TierFactory.sol"],
  };

  it("is encoded as the contracts want it", () => {
    for (const [contract, functions] of Object.entries(FUNCTIONS)) {
      const real = new Interface(hardhatArtifacts(...REAL[contract as keyof typeof FUNCTIONS]).abi);
      const ours = new Interface(functions);
      ours.forEachFunction((fragment) => {
        const theirs = real.getFunction(fragment.name);
        assert.equal(theirs?.selector, fragment.selector, `${contract}.${fragment.name}`);
      });
    }
  });
});

describe("what a call says", () => {
  it("is what ethers would encode", () => {
    const made = [
      calls.sync(quietRef),
      calls.allocate(quietRef, 7, 3, WAD - 1n),
      calls.deploy(quietRef, 0, 2n ** 100n),
      calls.unbond(quietRef),
      calls.finalise(address(0x5e)),
      calls.review(quietRef, "0xFeedFacefeEDFACEfeEdFaCefEeDFaceFeeDFACe"),
      calls.openSeries(quietRef, true),
      calls.openSeries(quietRef, false),
      calls.clearQueue(quietRef, address(0xa0)),
    ];
    const face = new Interface(Object.values(FUNCTIONS).flat());
    for (const { data, text } of made) {
      const parsed = face.parseTransaction({ data }) ?? assert.fail(text);
      assert.equal(face.encodeFunctionData(parsed.fragment, parsed.args), data, text);
    }
    assert.deepEqual(face.decodeFunctionData("allocate", at(made, 1).data).toArray(), [7n, 3n, WAD - 1n]);
    assert.deepEqual(face.decodeFunctionData("finalise", at(made, 4).data).toArray(), [2n ** 256n - 1n]);
    assert.deepEqual(face.decodeFunctionData("openSeries", at(made, 6).data).toArray(), [
      getAddress(quietRef.address),
      true,
    ]);
  });
});

// ------------------------------------------------------------------------------------------------- properties

const ether = (most: number) => fc.integer({ min: 0, max: most * 1_000 }).map((n) => (BigInt(n) * ETH) / 1_000n);
/** Hundredths of an agent, sometimes with a remainder. */
const magnitude = (most: number) =>
  fc.tuple(fc.integer({ min: 0, max: most }), fc.constantFrom(0n, 1n, 333n)).map(([n, rest]) => {
    const whole = (BigInt(n) * WAD) / 100n;
    return whole === 0n ? 0n : whole - rest;
  });

const aSet = (index: number): fc.Arbitrary<ReturnType<typeof set>> =>
  fc
    .record({
      group: fc.integer({ min: 0, max: index }),
      allowed: fc.boolean().map((no) => !no || index % 2 === 0),
      state: fc.constantFrom("good", "good", "good", "good", "quarantined", "unapproved", "announced", "announcedSeen"),
      age: fc.integer({ min: 0, max: 4 * DAY }),
      stubborn: fc.boolean(),
    })
    .map(({ group, allowed, state, age, stubborn }) =>
      set({
        group,
        allowed,
        stubborn,
        quarantined: state === "quarantined" || state === "unapproved",
        unapproved: state === "unapproved",
        pendingSlasher: state === "good" || state === "quarantined" ? ZeroAddress : STRANGER,
        seenPendingSlasher: state === "unapproved" ? STRANGER : ZeroAddress,
        seenAt: BLOCK.timestamp - age,
      }),
    );

const anAgent = (sets: number): fc.Arbitrary<ReturnType<typeof agent>> =>
  fc
    .record({
      stake: fc.oneof(ether(500), fc.constant(0n), fc.constant(1_000n)),
      weightBps: fc.integer({ min: 0, max: 4_000 }).map(BigInt),
      left: fc.constantFrom(WAD, WAD, (WAD * 8n) / 10n, WAD / 11n, (WAD * 7n) / 9n),
      lastUnbond: fc.constantFrom(0, BLOCK.timestamp - 3_600),
      links: fc.array(
        fc.record({
          set: fc.integer({ min: 0, max: sets - 1 }),
          current: magnitude(25),
          pendingPart: fc.constantFrom(0n, 0n, 0n, 1n, 2n),
          effect: fc.integer({ min: -10, max: DELAY }),
          target: magnitude(25),
          member: fc.boolean(),
        }),
        { maxLength: 4 },
      ),
      exits: fc.array(
        fc.record({
          value: ether(40),
          start: fc.integer({ min: 0, max: 2 * DELAY }),
          tokensOnly: fc.boolean(),
        }),
        { maxLength: 5 },
      ),
    })
    .map(({ stake, weightBps, left, lastUnbond, links, exits }) => {
      const used = new Set<number>();
      const own = links
        .filter(({ set: one }) => !used.has(one) && used.add(one))
        .map(({ set: one, current, pendingPart, effect, target, member }) => {
          const magnitude = (current * left) / WAD;
          return link({
            set: one,
            current: magnitude,
            pending: (magnitude * pendingPart) / 2n,
            effectBlock: BLOCK.number + effect,
            target,
            member,
          });
        });
      return agent({
        stake,
        weightBps,
        magnitude: left,
        lastUnbond,
        links: own,
        exits: exits.map(({ value, start, tokensOnly }, nonce) =>
          exit({ value: value + 1n, startBlock: BLOCK.number - start, tokensOnly, nonce }),
        ),
      });
    });

/** Any tier within the mandate's bounds: slashed, uncovered, queued up, half unwound. */
const aTier: fc.Arbitrary<Core> = fc.integer({ min: 1, max: 5 }).chain((count) =>
  fc
    .record({
      sets: fc.tuple(...Array.from({ length: count }, (_, i) => aSet(i))),
      agents: fc.array(anAgent(count), { minLength: 1, maxLength: 4 }),
      reserve: ether(3),
      juniorPart: fc.integer({ min: 0, max: 60 }),
      idle: ether(200),
      loose: fc.oneof(ether(60), fc.constant(2n)),
      unstaking: ether(60),
      payable: fc.integer({ min: 0, max: 2 }),
      waiting: fc.tuple(fc.integer({ min: 0, max: 30 }), fc.integer({ min: 0, max: 100 })),
      leaving: fc.tuple(fc.integer({ min: 0, max: 100 }), fc.integer({ min: 0, max: 100 })),
      k: fc.integer({ min: 1, max: 3 }),
      bufferBps: fc.constantFrom(0n, 100n, 500n),
      slashed: fc.constantFrom(0n, 0n, 1n),
      paused: fc.constantFrom(false, false, true),
      age: fc.integer({ min: 0, max: 2 * DAY }),
    })
    .map((r) => {
      const money = { idle: r.idle, loose: r.loose, unstaking: r.unstaking };
      const core = quiet({
        ...money,
        sets: [...r.sets],
        agents: r.agents,
        reserve: r.reserve,
        payable: (r.unstaking * BigInt(r.payable)) / 2n,
        slashed: r.slashed,
        paused: r.paused,
        lastSync: BLOCK.timestamp - r.age,
        params: { ...quiet().params, k: r.k, bufferBps: r.bufferBps },
        junior: 0n,
      });
      const { value } = stateOf(core, BLOCK);
      core.reserve = min(r.reserve, value);
      core.junior = ((value - core.reserve) * BigInt(r.juniorPart)) / 100n;
      const senior = value - core.reserve - core.junior;
      core.queuedSenior = (senior * BigInt(r.waiting[0])) / 100n;
      core.maturedSenior = (core.queuedSenior * BigInt(r.waiting[1])) / 100n;
      core.queuedJunior = (core.junior * BigInt(r.leaving[0])) / 100n;
      core.maturedJunior = (core.queuedJunior * BigInt(r.leaving[1])) / 100n;
      return core;
    }),
);

/** The same tiers in every run; PLAN_SEED=random looks at others, and PLAN_SEED=number at those, and makes a case small. */
const SEED = process.env.PLAN_SEED ?? "1";
const check = (runs: number, property: (core: Core) => void): void =>
  fc.assert(
    fc.property(aTier, (core) => property(structuredClone(core))),
    {
      numRuns: runs,
      includeErrorInReport: true,
      endOnFailure: process.env.PLAN_SEED === undefined || SEED === "random",
      ...(SEED === "random" ? {} : { seed: Number(SEED) }),
    },
  );

describe("in any tier", () => {
  it("a plan is the same for the same state, names each action once, and gives each a reason", () => {
    check(100, (core) => {
      const w = world([core]);
      const made = planOf(w);
      assert.deepEqual(planOf(w), made);
      const named = jobs(made);
      assert.equal(new Set(named).size, named.length, named.join(", "));
      for (const { reason } of [...made.actions, ...made.withheld]) assert.ok(reason.length > 10);
      assert.ok(printPlan(made, keeperState(w)).includes(core.name));
    });
  });

  it("protection comes first, then money out, then money in", () => {
    const order = [
      ["sync", "poke"],
      ["unwind"],
      ["deleverage"],
      ["complete", "redeposit"],
      ["claimUnstaked"],
      ["requestUnstake"],
      ["finalise"],
      ["unbond"],
      ["deallocate"],
      ["deploy"],
      ["redeploy"],
      ["allocate"],
    ];
    const rank = ({ job }: Action) => order.findIndex((some) => some.includes(job));
    check(100, (core) => {
      const { actions } = planOf(world([core]));
      const urgent = actions.filter(({ urgency }) => urgency === "protection");
      assert.deepEqual(actions.slice(0, urgent.length), urgent, "protection first");
      for (const part of [urgent, actions.slice(urgent.length)]) {
        const ranks = part.map(rank).filter((n) => n > 0);
        assert.deepEqual(
          ranks,
          [...ranks].sort((a, b) => a - b),
        );
      }
      for (const { job, urgency } of actions)
        if (job === "unwind" || job === "deleverage") assert.equal(urgency, "protection");
    });
  });

  it("no link to a quarantined set is left with an open rung of the ladder", () => {
    check(150, (core) => {
      const made = planOf(world([core]));
      for (const [i, { stake, links }] of core.agents.entries())
        for (const { set: number, current, pending, effectBlock, member } of links) {
          if (!at(core.sets, number).quarantined || current === 0n || pending === current) continue;
          const first = pending === 0n || (effectBlock <= BLOCK.number && current > pending);
          const second = effectBlock > BLOCK.number && member && stake > 1_000_000n;
          if (first || second)
            assert.ok(jobs(made).includes(`unwind agent ${i}, set ${number}`), JSON.stringify(jobs(made)));
        }
    });
  });

  it("what is restaked stays within idle, Lido's limit and every agent's own", () => {
    check(150, (core) => {
      const { actions } = planOf(world([core]));
      const state = stateOf(core, BLOCK);
      const face = new Interface(FUNCTIONS.StakeManager);
      let deployed = 0n;
      let redeployed = 0n;
      for (const { job, call } of actions) {
        if (job !== "deploy" && job !== "redeploy") continue;
        const [index, amount] = face.decodeFunctionData(job, call.data);
        if (job === "redeploy") redeployed += BigInt(amount);
        else {
          deployed += BigInt(amount);
          assert.ok(BigInt(amount) <= at(state.agents, Number(index)).deployLimit);
        }
      }
      assert.ok(deployed <= state.deployable && deployed <= state.stakeLimit);
      assert.ok(redeployed <= state.loose + state.queued);
      if (core.paused) assert.equal(deployed + redeployed, 0n);
    });
  });

  it("plans that are carried out leave nothing to do, in few rounds", () => {
    check(250, (core) => {
      const w = world([core]);
      // what cannot be foreseen: that a repair is done before its last agent, that an AVS refuses to let an agent go, and
      // how much Lido pays for people who leave
      const surprises = ["deleverage"];
      if (core.sets.some(({ stubborn }) => stubborn)) surprises.push("unwind", "unbond");
      if (core.payable > 0n) surprises.push("deploy", "redeploy");
      const { refused } = settle(w);
      assert.deepEqual(
        refused.filter((one) => !surprises.some((job) => one.startsWith(job))),
        [],
      );
    });
  });

  it("weeks pass, and each time it settles again", () => {
    check(25, (core) => {
      const w = world([core]);
      for (let week = 0; week < 6; week++) {
        settle(w);
        passBlocks(w, 50_400 + week);
        for (const one of w.tiers) one.payable = one.unstaking;
      }
      for (const { agents, sets } of w.tiers)
        for (const { links } of agents)
          for (const { set: number, current } of links)
            if (at(sets, number).quarantined) assert.equal(current, 0n, "what was quarantined is unwound");
    });
  });
});

const noBuffer = { ...quiet().params, bufferBps: 0n };
const quietRef = stateOf(quiet(), BLOCK);
const withExits = (exits: ReturnType<typeof exit>[], own = link()) => [
  agent({ links: [own], exits }),
  agent({ links: [link({ set: 1 })] }),
];
