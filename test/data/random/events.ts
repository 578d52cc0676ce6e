/** All events of our contracts and those of EigenLayer's that concern our agents and known sets, decoded and in order. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Interface, type LogDescription, type Result } from "ethers";
import { parse } from "yaml";
import * as z from "zod";
import { hardhatArtifacts } from "../../../deploy/eigenlayer.ts";
import { ROOT } from "../../../scripts/lib/tools.ts";
import { type Log, logsOf } from "./node.ts";
import type { Faces, Scene } from "./stage.ts";

/** Kinds of contract, by the names of the manifest's data sources and templates; beacons are one kind. */
export type ContractKind = string;

export interface Event {
  /** As in "Tier.Synced". */
  readonly kind: string;
  readonly contract: ContractKind;
  readonly name: string;
  readonly args: Result;
  /** Who emitted it, in lower case. */
  readonly address: string;
  /** The tier that the contract belongs to. */
  readonly tier: string | undefined;
  readonly block: number;
  readonly timestamp: bigint;
  readonly transaction: string;
  readonly index: number;
  /** Transaction, then log index in four bytes. */
  readonly id: string;
}

export const big = (event: Event, name: string): bigint => z.bigint().parse(event.args.getValue(name));
export const address = (event: Event, name: string): string =>
  z.string().parse(event.args.getValue(name)).toLowerCase();
export const flag = (event: Event, name: string): boolean => z.boolean().parse(event.args.getValue(name));

const manifestSchema = z.object({
  dataSources: z.array(
    z.object({ name: z.string(), mapping: z.object({ eventHandlers: z.array(z.object({ event: z.string() })) }) }),
  ),
  templates: z.array(
    z.object({ name: z.string(), mapping: z.object({ eventHandlers: z.array(z.object({ event: z.string() })) }) }),
  ),
});

/** Every event of the manifest, as in "Tier.Synced". */
export function manifestEvents(): ReadonlySet<string> {
  const { dataSources, templates } = manifestSchema.parse(
    parse(readFileSync(join(ROOT, "subgraph", "subgraph.yaml"), "utf8")),
  );
  return new Set(
    [...dataSources, ...templates].flatMap(({ name, mapping }) =>
      mapping.eventHandlers.map(({ event }) => `${kindOf(name)}.${event.slice(0, event.indexOf("("))}`),
    ),
  );
}

const KINDS: Readonly<Record<string, string>> = { Agent: "RestakingAgent" };
const kindOf = (name: string): string => (name.endsWith("Beacon") ? "UpgradeableBeacon" : (KINDS[name] ?? name));

interface Known {
  readonly kind: ContractKind;
  readonly face: Interface;
  readonly tier?: string;
}

/** Decodes the chain's logs up to a block. What other contracts say is left out. */
export async function eventsOf(scene: Scene, toBlock: number): Promise<readonly Event[]> {
  const { node, deployment } = scene;
  const logs = await logsOf(node, 0, toBlock);
  const times = await timesOf(scene, logs);
  const known = fixed(scene);
  const agents = new Set<string>();
  const sets = new Set<string>();
  // contracts first: a tier's parts speak before the factory says that they are there
  const factory = deployment.contracts.factory?.address.toLowerCase();
  for (const log of logs) if (log.address === factory) discover(scene.faces, log, known, agents);
  for (const log of logs) {
    const owner = known.get(log.address);
    if (owner?.kind !== "RiskManager") continue;
    const added = parsed(owner.face, log);
    if (added?.name === "SetAdded") {
      const avs = String(added.args.getValue("avs")).toLowerCase();
      sets.add(`${avs}${Number(added.args.getValue("id")).toString(16).padStart(8, "0")}@${order(log)}`);
      known.set(avs, { kind: "HelloWorldAVS", face: helloWorld });
    }
  }
  const events: Event[] = [];
  const roots = new Set<string>();
  for (const log of logs) {
    const owner = known.get(log.address);
    const found = owner && parsed(owner.face, log);
    if (!owner || !found) continue;
    const event: Event = {
      kind: `${owner.kind}.${found.name}`,
      contract: owner.kind,
      name: found.name,
      args: found.args,
      address: log.address,
      tier: owner.tier,
      block: log.block,
      timestamp: times.get(log.block) ?? 0n,
      transaction: log.transaction,
      index: log.index,
      id: `${log.transaction}${log.index.toString(16).padStart(8, "0")}`,
    };
    if (EIGENLAYER.has(owner.kind) && !concerns(event, agents, sets, roots)) continue;
    events.push(event);
  }
  return events;
}

const EIGENLAYER = new Set(["AllocationManager", "DelegationManager", "StrategyManager"]);
const helloWorld = Interface.from(hardhatArtifacts("HelloWorldAVS", "contracts/avs/HelloWorldAVS.sol").abi);
const order = ({ block, index }: { block: number; index: number }): string => `${block}.${index}`;

/** Whether an event of EigenLayer is about an agent of ours, or about the slasher of a set that a tier knew then. */
function concerns(event: Event, agents: ReadonlySet<string>, sets: ReadonlySet<string>, roots: Set<string>): boolean {
  if (event.name === "SlasherUpdated") {
    const [avs, id] = [...event.args.getValue("operatorSet")];
    const key = `${String(avs).toLowerCase()}${Number(id).toString(16).padStart(8, "0")}@`;
    for (const one of sets) {
      if (!one.startsWith(key)) continue;
      const [block = 0, index = 0] = one.slice(key.length).split(".").map(Number);
      if (block < event.block || (block === event.block && index < event.index)) return true;
    }
    return false;
  }
  if (event.name === "SlashingWithdrawalQueued") {
    const withdrawal = event.args.getValue("withdrawal");
    const ours = agents.has(String(withdrawal.getValue("staker")).toLowerCase());
    if (ours) roots.add(String(event.args.getValue("withdrawalRoot")));
    return ours;
  }
  if (event.name === "SlashingWithdrawalCompleted") return roots.has(String(event.args.getValue("withdrawalRoot")));
  const name = event.name === "Deposit" ? "staker" : "operator";
  return agents.has(String(event.args.getValue(name)).toLowerCase());
}

function parsed(face: Interface, log: Log): LogDescription | null {
  try {
    return face.parseLog({ topics: [...log.topics], data: log.data });
  } catch {
    return null; // another contract's event with the same signature and other indexed fields
  }
}

function fixed({ deployment, faces }: Scene): Map<string, Known> {
  const known = new Map<string, Known>();
  const add = (address: string | undefined, kind: ContractKind, face: Interface) => {
    if (address) known.set(address.toLowerCase(), { kind, face });
  };
  const { contracts, external } = deployment;
  add(contracts.factory?.address, "TierFactory", faces.factory);
  add(contracts.upkeep?.address, "Upkeep", faces.upkeep);
  add(contracts.accessManager?.address, "AccessManager", faces.accessManager);
  add(contracts.acceptance?.address, "RoleAcceptance", faces.acceptance);
  for (const [id, { address }] of Object.entries(contracts))
    if (id.endsWith("Beacon")) add(address, "UpgradeableBeacon", faces.beacon);
  add(external.allocationManager, "AllocationManager", faces.allocationManager);
  add(external.delegationManager, "DelegationManager", faces.delegationManager);
  add(external.strategyManager, "StrategyManager", faces.strategyManager);
  return known;
}

function discover(faces: Faces, log: Log, known: Map<string, Known>, agents: Set<string>): void {
  const event = parsed(faces.factory, log);
  if (!event) return;
  const at = (name: string) => String(event.args.getValue(name)).toLowerCase();
  const tier = event.fragment.inputs.some(({ name }) => name === "tier") ? at("tier") : undefined;
  if (!tier) return;
  const add = (address: string, kind: ContractKind, face: Interface) => known.set(address, { kind, face, tier });
  if (event.name === "TierCreated") {
    add(tier, "Tier", faces.tier);
    add(at("risk"), "RiskManager", faces.risk);
    add(at("stakes"), "StakeManager", faces.stakes);
    add(at("allocator"), "Allocator", faces.allocator);
    add(at("mandate"), "Mandate", faces.mandate);
    add(at("module"), "StakingModule", faces.module);
  }
  if (event.name === "RewardsCreated") add(at("rewards"), "Rewards", faces.rewards);
  if (event.name === "SeriesCreated") add(at("token"), "TrancheToken", faces.token);
  if (event.name === "AgentCreated") {
    add(at("agent"), "RestakingAgent", faces.agent);
    agents.add(at("agent"));
  }
}

async function timesOf({ node }: Scene, logs: readonly Log[]): Promise<ReadonlyMap<number, bigint>> {
  const numbers = [...new Set(logs.map(({ block }) => block))];
  const blocks = await node.batch(
    numbers.map((number) => ({ method: "eth_getBlockByNumber", params: [`0x${number.toString(16)}`, false] })),
  );
  const schema = z.object({ timestamp: z.string() });
  return new Map(numbers.map((number, i) => [number, BigInt(schema.parse(blocks[i]).timestamp)]));
}
