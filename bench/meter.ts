/** Measures transactions: the receipt's gas, and on demand where it went. */
import type { Contract, TransactionReceipt } from "ethers";
import type { LocalDeployment } from "../deploy/local.ts";
import { sendFor } from "../deploy/protocol.ts";
import { rpc } from "../scripts/chain.ts";
import { type Breakdown, breakdown, type Labels, traceSchema } from "./breakdown.ts";
import { type Figure, figureName } from "./figures.ts";
import type { BenchWorld } from "./world.ts";

/** A figure with the breakdown of the transaction behind it, where one was asked for. */
export interface Measured extends Figure {
  readonly breakdown?: Breakdown;
}

/** A longer trace does not fit into one answer of the node. */
const TRACEABLE = 4_000_000;

export class Meter {
  readonly figures: Measured[] = [];
  readonly labels = new Map<string, string>();
  readonly #world: BenchWorld;
  readonly #explain: (figure: Figure) => boolean;

  constructor(world: BenchWorld, explain: (figure: Figure) => boolean) {
    this.#world = world;
    this.#explain = explain;
    this.#labelLocal(world.local);
  }

  label(name: string, ...addresses: readonly string[]): void {
    for (const address of addresses) this.labels.set(address.toLowerCase(), name);
  }

  /** Sends one transaction and keeps its gas. */
  async measure(
    figure: Omit<Figure, "value" | "unit">,
    contract: Contract,
    fn: string,
    ...args: unknown[]
  ): Promise<number> {
    const receipt = await sendFor(contract, fn, ...args);
    if (receipt.status !== 1) throw new Error(`${figureName(figure)}: ${fn} failed.`);
    return this.keep(figure, receipt);
  }

  async keep(figure: Omit<Figure, "value" | "unit">, receipt: TransactionReceipt): Promise<number> {
    const whole: Figure = { ...figure, value: Number(receipt.gasUsed), unit: "gas" };
    const wanted = whole.value < TRACEABLE && this.#explain(whole);
    this.figures.push(wanted ? { ...whole, breakdown: await this.#trace(receipt, this.labels) } : whole);
    return whole.value;
  }

  async #trace(receipt: TransactionReceipt, labels: Labels): Promise<Breakdown> {
    const { chain, provider } = this.#world;
    const transaction = await provider.getTransaction(receipt.hash);
    // not through ethers: it would take a minute to decode a trace
    const answer = await rpc(chain.url, "debug_traceTransaction", [
      receipt.hash,
      { disableMemory: true, disableStorage: true },
    ]);
    if (!transaction?.to) throw new Error(`${receipt.hash} is no call.`);
    const call = { to: transaction.to, data: transaction.data, gasUsed: Number(receipt.gasUsed) };
    return breakdown(call, traceSchema.parse(answer).structLogs, labels);
  }

  #labelLocal({ protocol, eigenlayer, strategy }: LocalDeployment): void {
    const { addresses } = protocol;
    const contracts = {
      tier: "Tier",
      risk: "RiskManager",
      stakes: "StakeManager",
      allocator: "Allocator",
      mandate: "Mandate",
      token: "TrancheToken",
      agent: "RestakingAgent",
      module: "LidoModule",
    } as const;
    for (const [kind, name] of Object.entries(contracts)) {
      this.label(name, addresses.implementations[kind as keyof typeof contracts]);
      this.label("beacons", addresses.beacons[kind as keyof typeof contracts]);
    }
    this.label("RiskConfigurator", addresses.configurator);
    this.label("Router", addresses.router);
    this.label("TierFactory", addresses.factory);
    this.label("AccessManager", addresses.accessManager);
    for (const [name, address] of Object.entries(eigenlayer.addresses))
      this.label(`EigenLayer ${name[0]?.toUpperCase()}${name.slice(1)}`, address);
    this.label("EigenLayer Strategy", strategy);
    this.label("WETH", addresses.weth);
    this.label("Lido stETH", addresses.steth);
    this.label("Lido WithdrawalQueue", addresses.lidoQueue);
  }
}
