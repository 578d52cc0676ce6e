/** Two EigenLayer deployments on one chain, and accounts that act in both at once. */
import {
  AbiCoder,
  Contract,
  EventFragment,
  getAddress,
  Interface,
  type JsonRpcProvider,
  type JsonRpcSigner,
  MaxUint256,
  type ParamType,
  type Result,
} from "ethers";
import * as z from "zod";
import {
  type Artifact,
  deployContract,
  type EigenLayerContract,
  type EigenLayerDeployment,
  send,
} from "../../deploy/eigenlayer.ts";
import { compile, pick } from "./compile.ts";

export interface Side {
  readonly name: string;
  readonly deployment: EigenLayerDeployment;
  /** Ascending by address, as slashing wants them; index i means the same on both sides. */
  readonly strategies: readonly string[];
  readonly tokens: readonly string[];
}

export interface OperatorSet {
  readonly avs: string;
  readonly id: number;
}

export interface Call {
  readonly to: string;
  readonly data: string;
}

export interface Outcome {
  readonly ok: boolean;
  /** Return data, or the revert's data. */
  readonly data: string;
  /** Events of this side, decoded, with the side's addresses replaced by names. */
  readonly events: readonly string[];
}

export interface SetView {
  readonly slashCount: bigint;
  readonly slasher: string;
  readonly pendingSlasher: string;
  readonly slasherEffectBlock: bigint;
}

export interface PoolView {
  readonly totalShares: bigint;
  readonly balance: bigint;
}

export interface Allocation {
  readonly currentMagnitude: bigint;
  readonly pendingDiff: bigint;
  readonly effectBlock: bigint;
}

export interface StakeView {
  readonly depositShares: bigint;
  readonly withdrawableShares: bigint;
  readonly maxMagnitude: bigint;
  readonly encumbered: bigint;
  readonly allocatable: bigint;
  readonly walletBalance: bigint;
  /** Per set. */
  readonly allocations: readonly Allocation[];
}

export interface WithdrawalView {
  readonly staker: string;
  readonly delegatedTo: string;
  readonly withdrawer: string;
  readonly nonce: bigint;
  readonly startBlock: bigint;
  readonly strategyIndex: bigint;
  readonly scaledShares: bigint;
  readonly payout: bigint;
}

export interface OperatorView {
  /** Per set. */
  readonly memberships: readonly {
    readonly member: boolean;
    readonly slashable: boolean;
  }[];
  /** Per strategy. */
  readonly stakes: readonly StakeView[];
  readonly queue: readonly WithdrawalView[];
}

/** The part of the lens' answer that the generators use (the comparison uses all of it). */
export interface View {
  readonly sets: readonly SetView[];
  readonly pools: readonly PoolView[];
  readonly operators: readonly OperatorView[];
}

/** What the lens saw on each side. */
export interface Sight {
  /** Both encodings are byte for byte the same. */
  readonly same: boolean;
  /** The encodings, or why the views revert. */
  readonly raw: readonly [string, string];
}

const receiptSchema = z.object({
  status: z.string(),
  blockNumber: z.string(),
  logs: z.array(
    z.object({
      address: z.string(),
      topics: z.array(z.string()),
      data: z.string(),
    }),
  ),
});
const hex = z.string().regex(/^0x/);
const rpcError = z.object({
  info: z.object({ error: z.object({ data: z.unknown() }) }),
});

const GAS = "0xe4e1c0"; // 15M
const coder = AbiCoder.defaultAbiCoder();

export class World {
  readonly provider: JsonRpcProvider;
  readonly sides: readonly [Side, Side];
  readonly tokens: Interface;
  /** Names of the events that both sides declare: what only one release has cannot be compared. */
  readonly sharedEvents: ReadonlySet<string>;
  readonly #lookResult: ParamType;
  readonly #twin: Artifact;
  readonly #twinInterface: Interface;
  readonly #lens: Contract;
  readonly #from: string;

  private constructor(
    provider: JsonRpcProvider,
    sides: readonly [Side, Side],
    contracts: Record<string, Artifact>,
    lens: Contract,
    from: string,
  ) {
    this.provider = provider;
    this.sides = sides;
    this.tokens = Interface.from(pick(contracts, "FreeToken").abi);
    this.#twin = pick(contracts, "Twin");
    this.#twinInterface = Interface.from(this.#twin.abi);
    this.#lens = lens;
    this.#from = from;
    const result = lens.interface.getFunction("look")?.outputs[0];
    if (!result) throw new Error("The lens has no function look.");
    this.#lookResult = result;
    const second = eventNames(sides[1]);
    this.sharedEvents = new Set(eventNames(sides[0]).filter((name) => second.includes(name)));
  }

  /** Gives both deployments `strategies` fresh tokens with a strategy each. */
  static async create(
    provider: JsonRpcProvider,
    deployments: readonly [EigenLayerDeployment, EigenLayerDeployment],
    strategies: number,
  ): Promise<World> {
    const contracts = compile("twins", ["test/eigenlayer/contracts/Twins.sol"]);
    const signer = await provider.getSigner(0);
    const side = async (deployment: EigenLayerDeployment, name: string): Promise<Side> => {
      const pairs: { strategy: string; token: string }[] = [];
      for (let i = 0; i < strategies; i++) {
        const token = await (await deployContract(signer, pick(contracts, "FreeToken"))).getAddress();
        const factory = connect(deployment, "strategyFactory", signer);
        await send(factory, "deployNewStrategy", token);
        pairs.push({
          token,
          strategy: String(await factory.getFunction("deployedStrategies")(token)),
        });
      }
      pairs.sort((a, b) => (BigInt(a.strategy) < BigInt(b.strategy) ? -1 : 1));
      return {
        name,
        deployment,
        strategies: pairs.map((p) => p.strategy),
        tokens: pairs.map((p) => p.token),
      };
    };
    const [first, second] = deployments;
    const same = first.kind === second.kind;
    const sides = [
      await side(first, same ? `${first.kind} (first)` : first.kind),
      await side(second, same ? `${second.kind} (second)` : second.kind),
    ] as const;
    const lens = await deployContract(signer, pick(contracts, "Lens"));
    return new World(provider, sides, contracts, lens, await signer.getAddress());
  }

  async newTwin(): Promise<string> {
    const signer = await this.provider.getSigner(0);
    return (await deployContract(signer, this.#twin)).getAddress();
  }

  async blockNumber(): Promise<number> {
    return Number(hex.parse(await this.provider.send("eth_blockNumber", [])));
  }

  async mine(blocks: number): Promise<void> {
    if (blocks > 0) await this.provider.send("hardhat_mine", [`0x${blocks.toString(16)}`]);
  }

  /** The call data of an EigenLayer function on one side. */
  call(side: Side, contract: EigenLayerContract, fn: string, args: readonly unknown[]): Call {
    return {
      to: side.deployment.addresses[contract],
      data: side.deployment.interfaces[contract].encodeFunctionData(fn, [...args]),
    };
  }

  /** The call data of `mint(strategy, amount)` or `burn(strategy, amount)` on a strategy's token. */
  tokenCall(side: Side, strategy: number, fn: "mint" | "burn", amount: bigint, holder?: string): Call {
    const to = side.tokens[strategy];
    if (to === undefined) throw new Error(`There is no strategy ${strategy}.`);
    return {
      to,
      data: this.tokens.encodeFunctionData(fn, [holder ?? side.strategies[strategy], amount]),
    };
  }

  /** Lets the side's strategy manager take a strategy's token without limit. */
  approval(side: Side, strategy: number): Call {
    const to = side.tokens[strategy];
    if (to === undefined) throw new Error(`There is no strategy ${strategy}.`);
    const { strategyManager } = side.deployment.addresses;
    return {
      to,
      data: this.tokens.encodeFunctionData("approve", [strategyManager, MaxUint256]),
    };
  }

  /** `twin` makes one call on each side, in the same transaction. */
  async both(twin: string, make: (side: Side) => Call): Promise<readonly [Outcome, Outcome]> {
    const [first, second] = [make(this.sides[0]), make(this.sides[1])];
    const data = this.#twinInterface.encodeFunctionData("both", [first.to, first.data, second.to, second.data]);
    const transaction = { from: this.#from, to: twin, data, gas: GAS };
    const hash = await this.provider.send("eth_sendTransaction", [transaction]);
    const receipt = receiptSchema.parse(await this.provider.send("eth_getTransactionReceipt", [hash]));
    const last = receipt.logs.at(-1);
    if (receipt.status !== "0x1" || !last) throw new Error(`The transaction of twin ${twin} failed (out of gas?).`);
    const [firstOk, firstData, secondOk, secondData] = this.#twinInterface.decodeEventLog(
      "Outcome",
      last.data,
      last.topics,
    );
    return [
      {
        ok: firstOk,
        data: firstData,
        events: this.#events(this.sides[0], receipt.logs),
      },
      {
        ok: secondOk,
        data: secondData,
        events: this.#events(this.sides[1], receipt.logs),
      },
    ];
  }

  /** Everything that is compared, on both sides, as of the latest block. */
  async look(operators: readonly string[], sets: readonly OperatorSet[]): Promise<Sight> {
    const read = async (side: Side): Promise<string> => {
      const { delegationManager, strategyManager, allocationManager } = side.deployment.addresses;
      const deployment = [delegationManager, strategyManager, allocationManager, side.strategies];
      const data = this.#lens.interface.encodeFunctionData("look", [
        deployment,
        operators,
        sets.map(({ avs, id }) => [avs, id]),
      ]);
      const to = await this.#lens.getAddress();
      try {
        return hex.parse(await this.provider.send("eth_call", [{ to, data, gas: "0x2aea540" }, "latest"]));
      } catch (error) {
        const known = rpcError.safeParse(error);
        return `the views revert: ${known.success ? JSON.stringify(known.data.info.error.data) : String(error)}`;
      }
    };
    const raw = [await read(this.sides[0]), await read(this.sides[1])] as const;
    return { same: raw[0] === raw[1] && raw[0].startsWith("0x"), raw };
  }

  decode(raw: string): View {
    return decodeWords(this.#lookResult, raw.slice(2), (WORD * Number(word(raw.slice(2), 0))) / 32) as View;
  }

  /** Name and arguments of a revert. */
  revertName(side: Side, data: string): string {
    if (data === "0x") return "(no reason)";
    if (data.startsWith("0x4e487b71")) return `Panic(${coder.decode(["uint256"], `0x${data.slice(10)}`)[0]})`;
    for (const iface of Object.values(side.deployment.interfaces)) {
      const error = iface.parseError(data);
      if (error) return error.args.length === 0 ? error.name : `${error.name}(${error.args.join(", ")})`;
    }
    const text = data.startsWith("0x08c379a0") ? coder.decode(["string"], `0x${data.slice(10)}`)[0] : undefined;
    return text === undefined ? data : `Error(${text})`;
  }

  #events(side: Side, logs: z.infer<typeof receiptSchema>["logs"]): string[] {
    const contracts = new Map<string, Interface>();
    for (const [name, address] of Object.entries(side.deployment.addresses))
      contracts.set(address.toLowerCase(), side.deployment.interfaces[name as EigenLayerContract]);
    return logs.flatMap((log) => {
      const event = contracts.get(log.address.toLowerCase())?.parseLog(log);
      return event ? [`${event.name}(${this.#rename(side, event.args)})`] : [];
    });
  }

  #rename(side: Side, value: unknown): string {
    if (value !== null && typeof value === "object")
      return `[${[...(value as Result)].map((v) => this.#rename(side, v))}]`;
    const text = String(value);
    const strategy = side.strategies.findIndex((s) => s.toLowerCase() === text.toLowerCase());
    if (strategy >= 0) return `strategy ${strategy}`;
    return /^0x[0-9a-f]{64}$/i.test(text) ? "root" : text; // roots hash the strategies' addresses
  }
}

function eventNames(side: Side): string[] {
  return Object.values(side.deployment.interfaces).flatMap((i) =>
    i.fragments.flatMap((fragment) => (fragment instanceof EventFragment ? [fragment.name] : [])),
  );
}

// ethers decodes nested structs too slowly for thousands of steps, and turns empty arrays into objects; the lens
// returns words, booleans, addresses, structs and arrays only.

/** Hex digits of an ABI word. */
const WORD = 64;

function word(hexDigits: string, at: number): bigint {
  return BigInt(`0x${hexDigits.slice(at, at + WORD)}`);
}

function isDynamic(type: ParamType): boolean {
  return type.arrayChildren !== null || (type.components?.some(isDynamic) ?? false);
}

/** Hex digits that a value takes in its place (a dynamic one leaves an offset there). */
function width(type: ParamType): number {
  return isDynamic(type) || !type.components ? WORD : type.components.reduce((sum, child) => sum + width(child), 0);
}

function decodeWords(type: ParamType, data: string, at: number): unknown {
  if (type.arrayChildren) {
    const child = type.arrayChildren;
    const length = Number(word(data, at));
    return Array.from({ length }, (_, i) => decodePart(child, data, at + WORD, i * width(child)));
  }
  if (type.components) {
    let offset = 0;
    const entries = type.components.map((child) => {
      const value = decodePart(child, data, at, offset);
      offset += width(child);
      return [child.name, value] as const;
    });
    return Object.fromEntries(entries);
  }
  const value = word(data, at);
  if (type.type === "bool") return value !== 0n;
  if (type.type === "address") return getAddress(`0x${data.slice(at + 24, at + WORD)}`);
  return type.type.startsWith("int") ? BigInt.asIntN(256, value) : value;
}

/** The part of a struct or array that begins at `base`, at `offset` within it. */
function decodePart(type: ParamType, data: string, base: number, offset: number): unknown {
  const at = isDynamic(type) ? base + (Number(word(data, base + offset)) * WORD) / 32 : base + offset;
  return decodeWords(type, data, at);
}

function connect(deployment: EigenLayerDeployment, contract: EigenLayerContract, signer: JsonRpcSigner): Contract {
  return new Contract(deployment.addresses[contract], deployment.interfaces[contract], signer);
}
