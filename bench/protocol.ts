/**
 * What each operation of Bulkhead costs. Every operation is measured from the same state: a tier at work, with a day's
 * staking reward vesting, in which everybody's next step is a transaction of its own.
 */
import { type Contract, MaxUint256, parseEther } from "ethers";
import { deployContract, send } from "../deploy/eigenlayer.ts";
import type { TierContracts } from "../deploy/protocol.ts";
import { compile, pick } from "../test/eigenlayer/compile.ts";
import {
  allocateAll,
  as,
  big,
  checkpoint,
  deployAll,
  depositEth,
  ETH,
  mine,
  openStandardTier,
  passDays,
  setState,
  slash,
  type Tier,
  user,
} from "../test/integration/world.ts";
import type { Meter } from "./meter.ts";
import type { BenchWorld } from "./world.ts";

export const SETS_PER_AGENT = 4;
/** Finalisations in one transaction of those that only prepare a claim. */
const AT_ONCE = 40;
const HOUR_OF_BLOCKS = 300;
/** A day of 3 % a year on Lido's whole pool of 300,000 ETH. */
const DAYS_REWARD = parseEther("24.6");

/** Of the tier with eight agents, as whole cold transactions. */
const TARGETS: Readonly<Record<string, number>> = {
  "senior deposit, first": 260_000,
  "request, first": 150_000,
  "request, next": 150_000,
  "finalise 1 request": 110_000,
  "finalise 1,000 requests": 110_000,
  "claim after 1 finalisation": 75_000,
  "claim after 10,000 finalisations": 75_000,
  "claim after 10,000 finalisations, paid by a dozen": 75_000,
  "sync without a slash": 150_000,
};
export const TARGET_AGENTS = 8;

const target = (operation: string, agents: number) => {
  const found = agents === TARGET_AGENTS ? TARGETS[operation] : undefined;
  return found === undefined ? {} : { target: found };
};

/** People of the bench, by account. */
const PEOPLE = { junior: 0, senior: 1, resident: 2, holder: 3, other: 4, keeper: 5, late: 6 } as const;

/** People who claim, beside those whom a bench names; one for each of their requests. */
const CLAIMANTS = [3, 4, 6, 7, 8, 9];

export interface Bench {
  readonly world: BenchWorld;
  readonly meter: Meter;
  readonly agents: number;
  readonly t: Tier;
  readonly people: Readonly<Record<keyof typeof PEOPLE, ReturnType<typeof user>>>;
  /** Back to the tier at work. */
  back(): Promise<void>;
  measure(operation: string, contract: Contract, fn: string, ...args: unknown[]): Promise<number>;
}

/** Opens a tier with so many agents and brings it to work. */
export async function openBench(world: BenchWorld, meter: Meter, agents: number): Promise<Bench> {
  const t = await openStandardTier(world, { name: `Bench ${agents}`, agents, setsPerAgent: SETS_PER_AGENT });
  const people = Object.fromEntries(
    Object.entries(PEOPLE).map(([name, index]) => [name, user(world, index)]),
  ) as Bench["people"];
  labelTier(meter, t);
  for (const [i, { contract }] of t.services.entries()) meter.label(`AVS ${i}`, await contract.getAddress());

  await depositEth(world, people.junior, t.junior, 1_000n * ETH);
  await depositEth(world, people.senior, t.senior, (await big(t.senior, "maxDeposit", people.senior.address)) / 2n);
  await deployAll(world, t);
  await allocateAll(world, t);
  // idle money beside the buffer, so that exits are paid without waiting for EigenLayer
  await depositEth(world, people.resident, t.senior, 60n * ETH);
  const { weth, steth, signers } = world.local;
  for (const who of [people.holder, people.other]) {
    await send(as(weth, who), "deposit", { value: 100n * ETH });
    for (const token of [t.senior, t.junior]) await send(as(weth, who), "approve", token, MaxUint256);
  }
  await depositEth(world, people.other, t.senior, 10n * ETH);
  await send(as(steth, signers.outside), "report", DAYS_REWARD, { value: DAYS_REWARD });
  await send(as(t.tier, people.keeper), "sync");
  await mine(world, HOUR_OF_BLOCKS);

  const back = await checkpoint(world);
  const measure = (operation: string, contract: Contract, fn: string, ...args: unknown[]) =>
    meter.measure({ operation, agents, ...target(operation, agents) }, contract, fn, ...args);
  return { world, meter, agents, t, people, back, measure };
}

export function labelTier(meter: Meter, t: TierContracts & Pick<Tier, "agents">): void {
  const proxies = [t.tier, t.senior, t.junior, t.risk, t.stakes, t.allocator, t.mandate, t.module];
  meter.label("proxies", ...proxies.map(({ target: address }) => String(address)), ...t.agents.map((a) => a.address));
}

/** Everything that holders do, but what needs thousands of transactions first. */
export async function measureHolders({ world, t, people, back, measure }: Bench): Promise<void> {
  const { holder, other, keeper } = people;
  const [senior, junior] = [as(t.senior, holder), as(t.junior, holder)];
  await measure("senior deposit, first", senior, "deposit", ETH, holder.address);
  await mine(world, HOUR_OF_BLOCKS);
  await measure("senior deposit, next", senior, "deposit", ETH, holder.address);
  await mine(world, HOUR_OF_BLOCKS);
  await measure("instant exit", senior, "instantRedeem", ETH / 10n, 0, holder.address, false);
  await back();
  await measure("junior deposit, first", junior, "deposit", ETH, holder.address);
  await mine(world, HOUR_OF_BLOCKS);
  await measure("junior deposit, next", junior, "deposit", ETH, holder.address);
  await back();

  // others wait too: the queue is not empty
  await send(senior, "deposit", 10n * ETH, holder.address);
  await send(as(t.senior, other), "requestRedeem", ETH, other.address, other.address);
  await mine(world, HOUR_OF_BLOCKS);
  await measure("request, first", senior, "requestRedeem", ETH, holder.address, holder.address);
  await mine(world, HOUR_OF_BLOCKS);
  await measure("request, next", senior, "requestRedeem", ETH, holder.address, holder.address);
  await back();

  // the queue has been used before, and nobody else waits
  await send(as(t.senior, other), "requestRedeem", ETH, other.address, other.address);
  await passDays(world, 1);
  await send(as(t.senior, keeper), "finalise", MaxUint256);
  await send(as(t.senior, other), "requestRedeem", ETH, other.address, other.address);
  await passDays(world, 1);
  await measure("finalise 1 request", as(t.senior, keeper), "finalise", MaxUint256);
  await back();
}

/** Finalises requests of so many, beside one. */
export async function measureManyRequests({ world, t, people, back, measure }: Bench): Promise<void> {
  const { other, keeper, resident } = people;
  await send(as(t.senior, other), "requestRedeem", ETH, other.address, other.address);
  await passDays(world, 1);
  await send(as(t.senior, keeper), "finalise", MaxUint256);
  const waiting = await big(t.senior, "queuedShares");
  const data = t.senior.interface.encodeFunctionData("requestRedeem", [ETH / 50n, resident.address, resident.address]);
  const request = { from: resident.address, to: String(t.senior.target), data };
  await world.together(Array(1_000).fill(request), 300_000);
  if ((await big(t.senior, "queuedShares")) !== waiting + 20n * ETH) throw new Error("Not all of 1,000 requests wait.");
  await passDays(world, 1);
  await measure("finalise 1,000 requests", as(t.senior, keeper), "finalise", MaxUint256);
  await back();
}

/** What is queued before claims, in the order of the queue (wei). Uneven: no request ends where a finalisation does. */
const SMALL = ETH / 50n + 123_456_789n;
const LARGE = 3n * ETH + 123_456_789n;
const BETWEEN = 500n * ETH;
const QUEUE = [SMALL, BETWEEN, LARGE, BETWEEN, SMALL, BETWEEN, LARGE, BETWEEN, LARGE, BETWEEN, SMALL];

/**
 * Claims after so many finalisations: of small requests, which one of them or two have paid, and of large ones, which a
 * dozen have paid. Some lie at the beginning, some in the middle and some at the end; the dearest is the figure.
 */
export async function measureClaims(bench: Bench, times: number): Promise<void> {
  const { world, t, people, back, meter, agents } = bench;
  const most = await big(t.senior, "maxDeposit", people.resident.address);
  // as much as fits into the smallest tier
  const scale = times === 1 ? 100n : 1n;
  if (most < (6n * BETWEEN) / scale) throw new Error(`The tier has room for ${most} wei only.`);
  await depositEth(world, people.resident, t.senior, (6n * BETWEEN) / scale);
  const claimants: { readonly who: Bench["people"]["holder"]; readonly shares: bigint }[] = [];
  for (const entry of QUEUE) {
    const shares = entry === BETWEEN ? BETWEEN / scale : entry;
    let who = people.resident;
    if (entry !== BETWEEN) {
      who = user(world, CLAIMANTS[claimants.length] ?? 0);
      claimants.push({ who, shares });
      await depositEth(world, who, t.senior, 4n * ETH);
      await send(as(world.local.weth, who), "deposit", { value: ETH }); // everybody holds WETH already
    }
    await send(as(t.senior, who), "requestRedeem", shares, who.address, who.address);
  }
  await passDays(world, 1);
  const start = await world.provider.getBlockNumber();
  await finaliseOften(bench, times);
  const finalised = await t.senior.queryFilter("Finalised", start);
  if (finalised.length !== times || (await big(t.senior, "queuedShares")) !== 0n)
    throw new Error(`There were ${finalised.length} finalisations instead of ${times}, or they left something.`);
  await mine(world, HOUR_OF_BLOCKS);

  const many = `claim after ${times.toLocaleString("en")} finalisations`;
  const kinds: readonly (readonly [string, readonly bigint[]])[] =
    times === 1
      ? [["claim after 1 finalisation", [SMALL, LARGE]]]
      : [
          [many, [SMALL]],
          [`${many}, paid by a dozen`, [LARGE]],
        ];
  for (const [operation, sizes] of kinds) {
    const first = meter.figures.length;
    for (const { who, shares } of claimants) {
      if (!sizes.includes(shares)) continue;
      const claim = { operation, agents, ...target(operation, agents) };
      await meter.measure(claim, as(t.senior, who), "redeem", shares, who.address, who.address);
    }
    const dearest = meter.figures.splice(first).reduce((a, b) => (b.value > a.value ? b : a));
    meter.figures.push(dearest);
  }
  await back();
}

/** Finalises all that waits by so many finalisations, the largest of them thrice as large as the smallest. */
async function finaliseOften({ t, people: { keeper } }: Bench, times: number): Promise<void> {
  const batches: { readonly calls: number; readonly weight: bigint }[] = [];
  let random = 1;
  for (let left = times - 1; left > 0; left -= AT_ONCE) {
    random = (random * 48_271) % 2_147_483_647; // the same sizes in every run
    batches.push({ calls: Math.min(left, AT_ONCE), weight: BigInt(50 + (random % 101)) });
  }
  const queued = await big(t.senior, "queuedShares");
  const weights = batches.reduce((sum, { calls, weight }) => sum + weight * BigInt(calls), 100n);
  if (batches.length > 0) {
    const code = pick(compile("bench-repeater", ["bench/contracts/Repeater.sol"]), "Repeater");
    const repeater = await deployContract(keeper, code);
    for (const { calls, weight } of batches) {
      const data = t.senior.interface.encodeFunctionData("finalise", [(queued * weight) / weights]);
      await send(repeater, "repeat", t.senior.target, data, calls);
    }
  }
  await send(as(t.senior, keeper), "finalise", MaxUint256);
}

/** What keepers do. */
export async function measureKeepers({ world, t, people, back, measure }: Bench): Promise<void> {
  const { keeper, senior } = people;
  const { signers, steth } = world.local;
  await measure("sync without a slash", as(t.tier, keeper), "sync");
  await back();
  await send(as(steth, signers.outside), "report", DAYS_REWARD, { value: DAYS_REWARD });
  await measure("sync with a reward", as(t.tier, keeper), "sync");
  await back();
  await slash(world, t, 0, ETH / 2n);
  await measure("sync with a slash", as(t.tier, keeper), "sync");
  await back();

  const limit = await big(t.stakes, "deployLimit", 0);
  await measure("deploy", as(t.stakes, keeper), "deploy", 0, limit);
  await back();
  const shares = await big(t.senior, "balanceOf", senior.address);
  await send(as(t.senior, senior), "requestRedeem", shares / 2n, senior.address, senior.address);
  await mine(world, HOUR_OF_BLOCKS);
  await measure("unbond", as(t.stakes, keeper), "unbond");
  await back();

  const { group } = await setState(t, 0);
  await send(as(t.risk, signers.guardian), "quarantine", group);
  await mine(world, HOUR_OF_BLOCKS);
  await measure("unwind, to zero", as(t.allocator, keeper), "unwind", 0, 0);
  await back();
}
