/** Plays moves on a chain: several transactions a block, days between some blocks, and a count of what succeeded. */
import { MaxUint256, ZeroAddress } from "ethers";
import * as z from "zod";
import { attachTier, configureTier } from "../../../deploy/protocol.ts";
import { randomStream } from "../../../economics/random.ts";
import { ETH, WAD } from "../../integration/world.ts";
import { mark } from "../../keeper/reorg.ts";
import { agentsOf, anyMove, Dice, disaster, live, type Move, moves, opensTier, type Step, step } from "./moves.ts";
import { type Block, blockOf, type Log, logsOf } from "./node.ts";
import { copyOf, OPEN_SERVICES, remember, type Stage, type TierOf } from "./stage.ts";

const GAS = 5_000_000n;
const BLOCK_GAS = 40_000_000n;
/** The ladder gives an AVS's callback its gas before it climbs on. */
const LADDER_GAS = 16_000_000n;
const BLOCKS_A_DAY = 7_200;

/** The move that brings a kind of transaction. */
const FOR_KIND: Readonly<Record<string, Move>> = {
  cancel: moves.mandates,
  removeAgent: moves.staffs,
  raiseFloor: moves.trades,
  setFloor: moves.trades,
  withholdPay: moves.fees,
  resumePay: moves.fees,
  acceptTreasury: moves.fees,
  register: moves.registers,
  skimReserve: moves.gives,
  acceptNomination: moves.handsOver,
};

const receiptSchema = z.object({ status: z.string() }).nullable();
const hex = (value: bigint | number): string => `0x${value.toString(16)}`;

export class Player {
  readonly stage: Stage;
  readonly dice: Dice;
  /** Transactions by kind: those that succeeded, and those that the protocol refused. */
  readonly done = new Map<string, number>();
  readonly refused = new Map<string, number>();
  #transactions = 0;
  /** On a branch that will be lost no thousands of blocks pass at once: nobody's reorganisations are so deep. */
  #near = false;

  constructor(stage: Stage, seed: number) {
    this.stage = stage;
    this.dice = new Dice(randomStream(seed, 0));
  }

  /** Transactions that succeeded so far, those on lost branches included. */
  get transactions(): number {
    return this.#transactions;
  }

  static async open(stage: Stage, seed: number): Promise<Player> {
    const player = new Player(stage, seed);
    const head = await blockOf(stage.node, "latest");
    remember(stage, await logsOf(stage.node, 0, head.number));
    await stage.node.rpc("evm_setAutomine", false);
    return player;
  }

  head(): Promise<Block> {
    return blockOf(this.stage.node, "latest");
  }

  /** All steps in as few blocks as their gas allows. */
  async send(steps: readonly Step[]): Promise<readonly Log[]> {
    const logs: Log[] = [];
    let block: Step[] = [];
    let gas = 0n;
    for (const one of steps) {
      const needed = one.gas ?? GAS;
      if (gas + needed > BLOCK_GAS) {
        logs.push(...(await this.#block(block)));
        block = [];
        gas = 0n;
      }
      block.push(one);
      gas += needed;
    }
    if (block.length > 0) logs.push(...(await this.#block(block)));
    return logs;
  }

  async #block(steps: readonly Step[]): Promise<readonly Log[]> {
    const { node } = this.stage;
    const hashes = await node.batch(
      steps.map(({ from, to, data, value, gas }) => ({
        method: "eth_sendTransaction",
        params: [{ from, to, data, gas: hex(gas ?? GAS), ...(value === undefined ? {} : { value: hex(value) }) }],
      })),
    );
    // the answers of a batch do not wait for each other: the block comes when all are sent
    await node.rpc("evm_mine");
    const receipts = await node.batch(
      hashes.map((hash) => ({ method: "eth_getTransactionReceipt", params: [hash ?? ""] })),
    );
    for (const [i, { kind }] of steps.entries()) {
      const passed = hashes[i] !== undefined && receiptSchema.parse(receipts[i] ?? null)?.status === "0x1";
      const map = passed ? this.done : this.refused;
      map.set(kind, (map.get(kind) ?? 0) + 1);
      if (passed) this.#transactions++;
    }
    const { number } = await this.head();
    const logs = await logsOf(node, number, number);
    remember(this.stage, logs);
    return logs;
  }

  /** Time passes, in blocks of 12 seconds. */
  async pass(days: number): Promise<void> {
    const blocks = Math.max(1, Math.round(days * BLOCKS_A_DAY));
    await this.stage.node.rpc("hardhat_mine", hex(blocks), "0xc");
  }

  /** Moves until so many more transactions have succeeded. */
  async play(transactions: number): Promise<void> {
    const goal = this.#transactions + transactions;
    const { dice, stage } = this;
    while (this.#transactions < goal) {
      const steps: Step[] = [];
      for (let i = dice.chance(0.6) ? dice.whole(2, 8) : 1; i > 0; i--)
        steps.push(...(await anyMove(dice)(stage, dice)));
      if (steps.length > 0) await this.send(steps);
      if (dice.chance(0.25)) await this.#rest();
    }
  }

  async #rest(): Promise<void> {
    const { dice } = this;
    const roll = dice.whole(1, 100);
    if (roll <= 60 || this.#near) await this.stage.node.rpc("evm_increaseTime", dice.whole(12, 3_600));
    else if (roll <= 90) await this.pass(dice.whole(1, 20) / 24);
    else if (roll <= 97) await this.pass(dice.whole(1, 4));
    else await this.pass(dice.whole(8, 16));
  }

  async move(move: Move): Promise<void> {
    await this.send(await move(this.stage, this.dice));
  }

  // ------------------------------------------------------------------------------------------------- episodes

  /** Every agent of a tier loses a part of all that it has allocated. */
  async ruin(tier: number, wad = WAD): Promise<void> {
    const one = this.stage.memory.tiers[tier];
    if (!one) throw new Error(`There is no tier ${tier}.`);
    const { faces, people } = this.stage;
    await this.send(await disaster(this.stage, one, wad));
    await this.send([step(people.keeper, one.address, faces.tier, "sync")]);
  }

  /** Stakes all that a tier has, so that nothing but EigenLayer holds its value. */
  async stake(tier: number): Promise<void> {
    const one = this.stage.memory.tiers[tier];
    if (!one) throw new Error(`There is no tier ${tier}.`);
    const { faces, people, node, local } = this.stage;
    const { curator } = people;
    await this.send([step(curator, one.address, faces.tier, "unpauseEntries")]);
    const senior = await live(this.stage, one, true);
    const who = people.holders[3];
    if (senior && who) {
      const limit = await node.big(senior.address, faces.token, "maxDeposit", who);
      if (limit > ETH / 100n) await this.send([step(who, senior.address, faces.token, "deposit", limit, who)]);
    }
    const [giver] = people.holders;
    const { addresses } = local.protocol;
    if (giver) {
      const submit = step(giver, addresses.steth, faces.lido, "submit", ZeroAddress);
      await this.send([
        { ...submit, value: ETH / 100n },
        step(giver, addresses.steth, faces.lido, "transfer", one.module, ETH / 200n),
        step(giver, one.stakes, faces.stakes, "creditLoose"),
      ]);
      await this.#redeploy();
    }
    for (let round = 0; round < 4; round++)
      for (const { index, removed } of one.agents) {
        if (removed) continue;
        // the limit falls by the second while gains vest
        const limit = await node.big(one.stakes, faces.stakes, "deployLimit", index);
        if (limit > 0n)
          await this.send([step(people.keeper, one.stakes, faces.stakes, "deploy", index, (limit * 9_999n) / 10_000n)]);
        for (let link = 0; link < 5; link++) {
          const found = await node.views([{ to: one.risk, face: faces.risk, fn: "link", args: [index, link] }]);
          const target = found[0]?.[1]?.getValue("target");
          if (target !== undefined)
            await this.send([step(people.keeper, one.allocator, faces.allocator, "allocate", index, link, target)]);
        }
      }
  }

  /** Tries a move until its transaction has succeeded. */
  async until(kind: string, move: Move, tries = 25): Promise<void> {
    const before = this.done.get(kind) ?? 0;
    for (let i = 0; i < tries && (this.done.get(kind) ?? 0) === before; i++) await this.move(move);
  }

  /** Series are retired with people in their queues; what follows is compensation, pots, returns and new series. */
  async disasters(): Promise<void> {
    const { faces, people, memory, node, weth } = this.stage;
    const doomed = memory.tiers[2];
    if (!doomed) throw new Error("There is no tier to ruin.");
    await this.stake(2);
    for (const senior of [true, false]) {
      const series = await live(this.stage, doomed, senior);
      if (!series) continue;
      for (const who of people.holders) {
        const held = await node.big(series.address, faces.token, "balanceOf", who);
        if (held > 0n) await this.send([step(who, series.address, faces.token, "requestRedeem", held / 3n, who, who)]);
      }
    }
    await this.#climb(doomed);
    await this.ruin(2);
    memory.ruined = true;
    const [payer] = people.holders;
    if (payer) {
      const pay = step(payer, doomed.address, faces.tier, "recover", 2n * ETH);
      await this.send([step(payer, weth, faces.weth, "approve", doomed.address, 10n ** 30n), pay]);
    }
    await this.ruin(1, (WAD * 6n) / 10n);
    await this.until("writeOff", moves.recovers);
    await this.pass(30);
    for (let i = 0; i < 6; i++) await this.move(moves.pots);
    await this.stake(0);
    // uncovered, so that exposure has to be shed
    await this.ruin(0, WAD / 10n);
    await this.#unwind(0);
    await this.play(40);
  }

  /** Sets that a decrease of an allocation leaves in part: the ladder leaves one, and takes all stake from the other. */
  async #climb(tier: TierOf): Promise<void> {
    const { faces, people, services } = this.stage;
    const { terms, mandate, allocator, risk } = tier;
    const refusing = services[OPEN_SERVICES];
    if (!terms || !refusing) return;
    const agents = terms.agents.map(({ targets, ...agent }) => ({
      ...agent,
      targets: targets.map(({ set, magnitude }) => ({ set, magnitude: magnitude / 2n })),
    }));
    await this.send([step(people.curator, mandate, faces.mandate, "tighten", { ...terms, releases: 0, agents })]);
    for (const link of [0, 1])
      await this.send([step(people.keeper, allocator, faces.allocator, "deallocate", 0, link)]);
    await this.send([step(people.outside, refusing.avs, faces.avs, "setBehaviour", 0, 1)]);
    for (const group of [0, 1]) await this.send([step(people.guardian, risk, faces.risk, "quarantine", group)]);
    for (const link of [1, 0])
      await this.send([{ ...step(people.keeper, allocator, faces.allocator, "unwind", 0, link), gas: LADDER_GAS }]);
  }

  /** The guardian quarantines everything of a tier, and the ladder is climbed as far as it goes. */
  async #unwind(tier: number): Promise<void> {
    const one = this.stage.memory.tiers[tier];
    if (!one) return;
    const { faces, people } = this.stage;
    for (const { index } of await agentsOf(this.stage, one))
      await this.send([step(people.keeper, one.allocator, faces.allocator, "deleverage", index)]);
    for (let set = 0; set < 3; set++) await this.send([step(people.guardian, one.risk, faces.risk, "quarantine", set)]);
    for (let rung = 0; rung < 2; rung++)
      for (const { index, links } of await agentsOf(this.stage, one))
        for (const link of links.keys())
          await this.send([
            { ...step(people.keeper, one.allocator, faces.allocator, "unwind", index, link), gas: LADDER_GAS },
          ]);
  }

  /** Loose tokens go back to work wherever they may. */
  async #redeploy(): Promise<void> {
    const { faces, people, memory, node } = this.stage;
    for (const tier of memory.tiers) {
      const loose = await node.big(tier.module, faces.module, "value");
      if (loose === 0n) continue;
      for (const { index } of await agentsOf(this.stage, tier))
        await this.send([step(people.keeper, tier.stakes, faces.stakes, "redeploy", index, loose)]);
    }
  }

  /** Everything that agents are owed and nobody has harvested. */
  async #harvest(): Promise<void> {
    const { faces, people, memory } = this.stage;
    for (const { tier, claim } of memory.claims)
      await this.send([step(people.keeper, tier, faces.rewards, "harvest", claim)]);
    memory.claims = [];
  }

  /** Everybody who has earned something of a tier's rewards takes it. */
  async #claimPay(): Promise<void> {
    const { faces, people, memory, node, tokens, weth } = this.stage;
    for (const { rewards } of memory.tiers)
      for (const who of [people.treasury, ...people.operators])
        for (const token of [weth, ...tokens])
          if ((await node.big(rewards, faces.rewards, "payOf", who, token)) > 0n)
            await this.send([step(who, rewards, faces.rewards, "claimPay", token, who)]);
  }

  /** Half a year of rare things: mandates that waited, upgrades, fees, stake that comes home, drops that run out. */
  async seasons(): Promise<void> {
    const { faces, people, memory, local, node } = this.stage;
    const { beacons, implementations, accessManager: manager } = local.protocol.addresses;
    const [careful] = memory.tiers;
    if (!careful) return;
    const upgrade = faces.beacon.encodeFunctionData("upgradeTo", [implementations.module]);
    await this.send([step(people.upgrader, manager, faces.accessManager, "schedule", beacons.module, upgrade, 0)]);
    await this.send([
      step(people.curator, careful.rewards, faces.rewards, "setOperatorFee", careful.agents[0]?.address, 1_600),
    ]);
    await this.send([step(people.curator, careful.rewards, faces.rewards, "setProtocolFee", 1_000)]);
    await this.until("propose", moves.mandates);
    for (let i = 0; i < 8; i++) await this.move(moves.pays);
    await this.stake(0);
    // nearly everybody leaves, so that stake has to come home
    for (const senior of [true, false]) {
      const series = await live(this.stage, careful, senior);
      for (const who of series ? people.holders : []) {
        const held = series ? await node.big(series.address, faces.token, "balanceOf", who) : 0n;
        if (series && held > ETH)
          await this.send([step(who, series.address, faces.token, "requestRedeem", (held * 9n) / 10n, who, who)]);
      }
    }
    const stakes = (fn: string, ...args: unknown[]) => step(people.keeper, careful.stakes, faces.stakes, fn, ...args);
    for (let i = 0; i < 3; i++) await this.send([stakes("unbond")]);
    await this.pass(15);
    for (const { index, exits } of await agentsOf(this.stage, careful))
      for (let exit = exits - 1; exit >= 0; exit--) await this.send([stakes("complete", index, exit)]);
    await this.send([stakes("requestUnstake", 50)]);
    await this.#harvest();
    for (let i = 0; i < 12; i++) await this.move(moves.trades);
    for (const { rewards } of memory.tiers)
      await this.send([
        step(people.curator, rewards, faces.rewards, "reserveForDrops", this.stage.tokens[1], MaxUint256),
      ]);
    await this.until("postDrop", moves.drops);
    await this.until("claimDrop", moves.drops);
    await this.pass(2);
    await this.until("finalize", moves.lido);
    await this.send([stakes("claimUnstaked", 50)]);
    for (let i = 0; i < 4; i++) await this.move(moves.finalises);
    for (let i = 0; i < 4; i++) await this.move(moves.claims);
    await this.pass(44);
    await this.send([step(people.upgrader, manager, faces.accessManager, "execute", beacons.module, upgrade)]);
    await this.until("execute", moves.mandates, 12);
    await this.send([step(people.keeper, careful.rewards, faces.rewards, "applyFee", careful.agents[0]?.address)]);
    for (const kind of [
      "cancel",
      "merge",
      "removeAgent",
      "raiseFloor",
      "setFloor",
      "withholdPay",
      "resumePay",
      "acceptTreasury",
      "register",
      "skimReserve",
      "acceptNomination",
    ])
      await this.until(kind, FOR_KIND[kind] ?? moves.guards);
    for (const kind of ["labelRole", "setRoleAdmin", "setTargetClosed", "accept", "decline", "setTargetFunctionRole"])
      await this.until(kind, moves.governs, 40);
    await this.send([step(people.keeper, careful.rewards, faces.rewards, "applyFee", ZeroAddress)]);
    // fees count now
    const paid = () => memory.claims.some(({ tier }) => tier === careful.rewards);
    memory.claims = [];
    for (let i = 0; i < 40 && !paid(); i++) await this.move(moves.pays);
    await this.pass(60);
    await this.#harvest();
    await this.#claimPay();
    for (const { tier, id } of memory.drops)
      await this.send([step(people.keeper, tier, faces.rewards, "closeDrop", id)]);
    await this.play(40);
  }

  /** A tier more, with its rights. */
  async openTier(): Promise<void> {
    await this.move(opensTier);
    const { faces, people, local, memory } = this.stage;
    const last = memory.tiers.at(-1);
    if (!last || last.permitted) return;
    await this.stage.node.rpc("evm_setAutomine", true);
    await configureTier(local.protocol, local.signers.admin, await attachTier(last.address, local.signers.admin));
    await this.stage.node.rpc("evm_setAutomine", false);
    last.permitted = true;
    const token = await live(this.stage, last, false);
    const who = people.holders[0];
    if (!token || !who) return;
    const approve = step(who, this.stage.weth, faces.weth, "approve", token.address, 10n ** 30n);
    await this.send([approve, step(who, token.address, faces.token, "deposit", 20n * ETH, who)]);
  }

  /**
   * Plays a branch that will be lost, lets `seen` look at it, and goes back; what is played afterwards is the other
   * branch, which becomes longer than the lost one.
   */
  async branch(lost: () => Promise<void>, seen: () => Promise<void>, kept: () => Promise<void>): Promise<number> {
    const { stage } = this;
    const memory = copyOf(stage.memory);
    const from = await this.head();
    const back = await mark(stage.node.url);
    this.#near = true;
    await lost();
    this.#near = false;
    const old = await this.head();
    await seen();
    stage.memory = memory;
    await back({ blocks: 1, interval: 7 });
    await stage.node.rpc("evm_setAutomine", false);
    await kept();
    for (let { number } = await this.head(); number <= old.number; number++) await stage.node.rpc("evm_mine");
    return old.number - from.number;
  }
}
