/**
 * What a keeper that is killed goes through. A story knows nothing of an earlier run but what chain and journal say, so
 * that whoever plays it after a kill goes on where the killed one was.
 */
import { Wallet } from "ethers";
import * as z from "zod";
import type { Step } from "../../keeper/transactions/sender.ts";
import { rpc } from "../../scripts/chain.ts";
import { batch, chainOf, coins, foreign, type Keeper, openKeeper, type Purse, payment } from "./purse.ts";

export const STORY_NAMES = ["replacement", "overtaking", "reorg", "stranger"] as const;

export const settingSchema = z.object({
  story: z.enum(STORY_NAMES),
  url: z.string(),
  upkeep: z.string(),
  token: z.string(),
  key: z.string(),
  journal: z.string(),
  /** Who is paid: one coin by routine, and one by protection where the story has any. */
  payees: z.tuple([z.string(), z.string()]),
  /** The chain before the story, to which the reorg goes back. */
  snapshot: z.string(),
});
export type Setting = z.output<typeof settingSchema>;
export type Story = Setting["story"];

interface Scene extends Setting {
  readonly keeper: Keeper;
  readonly purse: Pick<Purse, "chain" | "upkeep" | "token">;
  paid(payee: 0 | 1): Promise<number>;
  offer(urgency: "routine" | "protection"): Promise<void>;
  /** Mines a block with this base fee (gwei). */
  block(gwei: number): Promise<void>;
}

const ROUNDS = 40;

/** Plays a story to its end: everybody is paid, and nothing is in flight. Rounds go as the daemon's do. */
export async function play(setting: Setting, at: (step: Step) => void | Promise<void>): Promise<void> {
  const chain = chainOf(setting.url);
  const purse = { chain, upkeep: setting.upkeep, token: setting.token };
  const keeper = openKeeper(purse, new Wallet(setting.key), setting.journal, { at });
  const scene: Scene = {
    ...setting,
    keeper,
    purse,
    paid: (payee) => coins(chain, setting.token, setting.payees[payee]),
    offer: async (urgency) => {
      const payee = setting.payees[urgency === "routine" ? 0 : 1];
      await keeper.sender.offer(batch([payment(setting.token, payee, urgency)]), await keeper.head());
    },
    block: async (gwei) => {
      await rpc(setting.url, "hardhat_setNextBlockBaseFeePerGas", [`0x${Math.round(gwei * 1e9).toString(16)}`]);
      await rpc(setting.url, "evm_mine", []);
    },
  };
  try {
    for (let round = 0; round < ROUNDS; round++) if (await STORIES[setting.story](scene)) return;
    throw new Error(
      `The story did not end in ${ROUNDS} rounds: ${JSON.stringify(keeper.notices.map(({ text }) => text))}`,
    );
  } finally {
    keeper.journal.close();
    await chain.close();
  }
}

const idle = ({ keeper }: Scene, lane: string) =>
  !keeper.sender.inFlight().some((entry) => entry.urgency === lane && entry.stage !== "mined");

/** One round of each story; true at its end. */
const STORIES: Readonly<Record<Story, (scene: Scene) => Promise<boolean>>> = {
  // fees rise, and the transaction must be replaced before it is mined
  replacement: async (scene) => {
    const { keeper } = scene;
    await keeper.tend();
    const nothing = keeper.sender.inFlight().length === 0;
    if ((await scene.paid(0)) > 0 && nothing) return true;
    if (nothing) await scene.offer("routine");
    await scene.block(8);
    return false;
  },
  // a routine transaction is stuck where fees rise, and protection must be mined at once
  overtaking: async (scene) => {
    const { keeper } = scene;
    await keeper.tend();
    const [routine, protection] = [await scene.paid(0), await scene.paid(1)];
    if (routine > 0 && protection > 0 && keeper.sender.inFlight().length === 0) return true;
    const begun = () => keeper.journal.history(1).length > 0;
    if (begun() && protection === 0 && idle(scene, "protection")) await scene.offer("protection");
    if (routine === 0 && idle(scene, "routine")) await scene.offer("routine");
    await scene.block(begun() && protection === 0 ? 30 : 1);
    return false;
  },
  // the block with the transaction is taken back, and the next branch does not have it
  reorg: async (scene) => {
    const { keeper, url } = scene;
    const head = await keeper.head();
    await keeper.sender.tend(head, { ...head, number: head.number - 1 });
    const entry = keeper.sender.inFlight()[0];
    if (entry?.stage === "mined" && entry.minedIn?.number === head.number) {
      // only the first time: a snapshot is good for one return
      const back = await rpc(url, "evm_revert", [scene.snapshot]).catch(() => false);
      if (back === true) {
        await rpc(url, "evm_setAutomine", [false]);
        await rpc(url, "hardhat_setCoinbase", [`0x${"0b".repeat(20)}`]);
      }
    }
    const nothing = keeper.sender.inFlight().length === 0;
    const paid = await scene.paid(0);
    if (paid > 0 && nothing) return true;
    if (nothing) await scene.offer("routine");
    // the round after the reorg must see that the block is gone
    if (keeper.sender.inFlight()[0]?.stage !== "mined" || paid > 0) await scene.block(1);
    return false;
  },
  // somebody else uses the keeper's nonce
  stranger: async (scene) => {
    const { keeper, purse } = scene;
    await keeper.tend();
    const nothing = keeper.sender.inFlight().length === 0;
    if ((await scene.paid(0)) > 0 && nothing) return true;
    if (nothing) await scene.offer("routine");
    if ((await purse.chain.nonce(keeper.wallet.address, "latest")) === 0) {
      await foreign(purse, keeper.wallet, 0).catch(() => undefined); // it may be there already
    }
    await scene.block(1);
    return false;
  },
};
