/**
 * AVSs pay: into EigenLayer's RewardsCoordinator, in WETH or in their own token; a root is published; a week later the
 * keeper harvests it for the agents. And what secures an AVS that also has a quorum of its own token.
 */
import * as z from "zod";
import { decode } from "./books.ts";
import type { Call, Receipt, Sending } from "./chain.ts";
import type { Keeper } from "./keeper.ts";
import { type Earning, rewardsTree } from "./rewards-tree.ts";
import { WAD } from "./units.ts";
import { type Avs, must, OWN_SET_ID, SET_ID, type Tier, type World } from "./world.ts";

const wei = z.bigint();
const YEAR = 365n * 86_400n;

/** What one quorum of an AVS has at stake, in wei of ETH. */
export interface Security {
  readonly ours: bigint;
  /** Its own token's, at the price of the scenario. */
  readonly own: bigint;
}

export interface Payment {
  readonly avs: Avs;
  readonly amount: bigint;
  readonly security: Security;
}

type Send = (sending: Sending) => Promise<Receipt>;

export class RewardsDesk {
  readonly #world: World;
  /** earner → token → all that was ever earned. */
  readonly #earned = new Map<string, Map<string, bigint>>();
  readonly #keeper: Pick<Keeper, "publish">;

  constructor(world: World, keeper: Pick<Keeper, "publish">) {
    this.#world = world;
    this.#keeper = keeper;
  }

  /** AVSs pay a yearly rate of the stake allocated to them, for a time; the root is published at once. */
  async pay(names: readonly string[], rate: bigint, seconds: number, send: Send): Promise<readonly Payment[]> {
    const { accounts, addresses, faces, chain } = this.#world;
    const payments: Payment[] = [];
    const rewarded = new Set<string>();
    for (const name of names) {
      const avs = must(this.#world.avss.get(name), name);
      const parts = await this.#stakes(avs);
      const token = avs.token?.address ?? addresses.weth;
      let amount = 0n;
      for (const { earner, value, tier } of parts) {
        const worth = (value * rate * BigInt(seconds)) / (YEAR * WAD);
        const units = avs.token ? (worth * WAD) / avs.token.price : worth;
        if (units === 0n) continue;
        const earned = this.#earned.get(earner) ?? new Map<string, bigint>();
        earned.set(token, (earned.get(token) ?? 0n) + units);
        this.#earned.set(earner, earned);
        amount += units;
        if (tier) rewarded.add(earner);
      }
      const from = accounts.avsOwner;
      const to = addresses.rewardsCoordinator;
      if (avs.token) {
        await send({ from, to: avs.token.address, face: faces.localToken, fn: "mint", args: [to, amount] });
      } else {
        const weth = { from, to: addresses.weth, face: faces.weth };
        await send({ ...weth, fn: "deposit", value: amount });
        await send({ ...weth, fn: "transfer", args: [to, amount] });
      }
      payments.push({ avs, amount, security: securityOf(parts) });
    }
    const coordinator = { to: addresses.rewardsCoordinator, face: faces.rewardsCoordinator };
    const tree = rewardsTree(
      new Map(
        [...this.#earned].map(([earner, tokens]) => [
          earner,
          [...tokens].map(([token, cumulative]): Earning => ({ token, cumulative })),
        ]),
      ),
    );
    const index = Number(await chain.get<bigint>({ ...coordinator, fn: "getDistributionRootsLength" }));
    await send({ ...coordinator, from: accounts.outside, fn: "submitRoot", args: [tree.root, chain.head.time] });
    const paid = new Set(names.map((name) => this.#world.avss.get(name)?.token?.address ?? addresses.weth));
    for (const earner of rewarded) {
      const tokens = [...(this.#earned.get(earner)?.keys() ?? [])].filter((token) => paid.has(token));
      this.#keeper.publish(`${index}-${earner}`, tree.claim(earner, index, tokens));
    }
    return payments;
  }

  /** What an AVS has at stake now, from EigenLayer's own views. */
  async security(name: string): Promise<Security> {
    return securityOf(await this.#stakes(must(this.#world.avss.get(name), name)));
  }

  async #stakes(avs: Avs): Promise<readonly Stake[]> {
    const { addresses, tiers } = this.#world;
    const stakes: Stake[] = [];
    for (const tier of tiers.values())
      for (const agent of tier.agents) {
        if (!agent.avss.includes(avs.name)) continue;
        const value = await this.#allocated(agent.address, avs.address, SET_ID, addresses.strategy);
        stakes.push({ earner: agent.address, value, tier });
      }
    if (avs.token) {
      const { operator, strategy, price } = avs.token;
      const units = await this.#allocated(operator, avs.address, OWN_SET_ID, strategy);
      stakes.push({ earner: operator, value: (units * price) / WAD });
    }
    return stakes;
  }

  /** What an operator has allocated to a set, in the strategy's token. */
  async #allocated(operator: string, avs: string, id: number, strategy: string): Promise<bigint> {
    const { chain, faces, addresses } = this.#world;
    const am = (fn: string, ...args: unknown[]): Call => ({
      to: addresses.allocationManager,
      face: faces.allocationManager,
      fn,
      args,
    });
    const [allocation, max, withdrawable] = await chain.read([
      am("getAllocation", operator, { avs, id }, strategy),
      am("getMaxMagnitude", operator, strategy),
      {
        to: addresses.delegationManager,
        face: faces.delegationManager,
        fn: "getWithdrawableShares",
        args: [operator, [strategy]],
      },
    ]);
    const { currentMagnitude } = decode(z.object({ currentMagnitude: wei }), allocation);
    const magnitude = decode(wei, max);
    if (magnitude === 0n) return 0n;
    const shares = wei.parse(withdrawable?.[0]?.[0]);
    const strategyFace = faces.strategy;
    const tokens = await chain.get<bigint>({
      to: strategy,
      face: strategyFace,
      fn: "sharesToUnderlyingView",
      args: [shares],
    });
    return (tokens * currentMagnitude) / magnitude;
  }
}

interface Stake {
  readonly earner: string;
  /** Wei of ETH. */
  readonly value: bigint;
  /** Ours, if it is. */
  readonly tier?: Tier;
}

function securityOf(stakes: readonly Stake[]): Security {
  const sum = (list: readonly Stake[]) => list.reduce((total, { value }) => total + value, 0n);
  return { ours: sum(stakes.filter(({ tier }) => tier)), own: sum(stakes.filter(({ tier }) => !tier)) };
}
