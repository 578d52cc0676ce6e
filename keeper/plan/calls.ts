/** The calls that keepers make, encoded. Pure. */
import { Interface, MaxUint256 } from "ethers";
import type { TierRef } from "../state/types.ts";
import type { Action, RewardsClaim } from "./types.ts";

type Call = Action["call"];

const CLAIM =
  "(uint32 rootIndex, uint32 earnerIndex, bytes earnerTreeProof, (address earner, bytes32 earnerTokenRoot) earnerLeaf, " +
  "uint32[] tokenIndices, bytes[] tokenTreeProofs, (address token, uint256 cumulativeEarnings)[] tokenLeaves)";

/** Every function that a plan calls, by contract. */
export const FUNCTIONS = {
  Tier: ["function sync()"],
  RiskManager: ["function poke(uint256 index)"],
  Allocator: [
    "function unwind(uint256 agent, uint256 link)",
    "function deleverage(uint256 agent)",
    "function allocate(uint256 agent, uint256 link, uint64 magnitude)",
    "function deallocate(uint256 agent, uint256 link)",
  ],
  StakeManager: [
    "function complete(uint256 agent, uint256 exit)",
    "function redeposit(uint256 agent, uint256 exit)",
    "function claimUnstaked(uint256 maxRequests) returns (uint256)",
    "function requestUnstake(uint256 maxRequests) returns (uint256)",
    "function deploy(uint256 agent, uint256 assets)",
    "function redeploy(uint256 agent, uint256 assets)",
    "function unbond() returns (uint256, uint256)",
  ],
  TrancheToken: ["function finalise(uint256 shares) returns (uint256, uint256)"],
  AllocationManager: ["function clearDeallocationQueue(address operator, address[] strategies, uint16[] numToClear)"],
  Rewards: [`function harvest(${CLAIM} claim)`, "function review(address agent)"],
  TierFactory: ["function openSeries(address tier, bool senior) returns (address)"],
} as const;

const FACES = Object.fromEntries(
  Object.entries(FUNCTIONS).map(([contract, functions]) => [contract, new Interface(functions)]),
) as Record<keyof typeof FUNCTIONS, Interface>;

const ALL_ENTRIES = 65_535;

export const calls = {
  sync: (tier: TierRef): Call => encode("Tier", tier.address, "sync", []),
  poke: (tier: TierRef, set: number): Call => encode("RiskManager", tier.risk, "poke", [set]),
  unwind: (tier: TierRef, agent: number, link: number): Call =>
    encode("Allocator", tier.allocator, "unwind", [agent, link]),
  deleverage: (tier: TierRef, agent: number): Call => encode("Allocator", tier.allocator, "deleverage", [agent]),
  allocate: (tier: TierRef, agent: number, link: number, magnitude: bigint): Call =>
    encode("Allocator", tier.allocator, "allocate", [agent, link, magnitude]),
  deallocate: (tier: TierRef, agent: number, link: number): Call =>
    encode("Allocator", tier.allocator, "deallocate", [agent, link]),
  complete: (tier: TierRef, agent: number, exit: number): Call =>
    encode("StakeManager", tier.stakes, "complete", [agent, exit]),
  redeposit: (tier: TierRef, agent: number, exit: number): Call =>
    encode("StakeManager", tier.stakes, "redeposit", [agent, exit]),
  claimUnstaked: (tier: TierRef, requests: number): Call =>
    encode("StakeManager", tier.stakes, "claimUnstaked", [requests]),
  requestUnstake: (tier: TierRef, requests: number): Call =>
    encode("StakeManager", tier.stakes, "requestUnstake", [requests]),
  deploy: (tier: TierRef, agent: number, assets: bigint): Call =>
    encode("StakeManager", tier.stakes, "deploy", [agent, assets]),
  redeploy: (tier: TierRef, agent: number, assets: bigint): Call =>
    encode("StakeManager", tier.stakes, "redeploy", [agent, assets]),
  unbond: (tier: TierRef): Call => encode("StakeManager", tier.stakes, "unbond", []),
  /** All that can be finalised when it is carried out. */
  finalise: (token: string): Call => ({
    ...encode("TrancheToken", token, "finalise", [MaxUint256]),
    text: "TrancheToken.finalise(all)",
  }),
  clearQueue: (tier: TierRef, account: string): Call => ({
    target: tier.allocationManager,
    data: FACES.AllocationManager.encodeFunctionData("clearDeallocationQueue", [
      account,
      [tier.strategy],
      [ALL_ENTRIES],
    ]),
    text: `AllocationManager.clearDeallocationQueue(${account})`,
  }),
  /** Throws where the claim is not of the shape that EigenLayer publishes. */
  harvest: (tier: TierRef, claim: RewardsClaim): Call => ({
    target: tier.rewards,
    data: FACES.Rewards.encodeFunctionData("harvest", [claim.claim]),
    text: `Rewards.harvest(claim of ${claim.agent})`,
  }),
  review: (tier: TierRef, account: string): Call => encode("Rewards", tier.rewards, "review", [account]),
  openSeries: (tier: TierRef, senior: boolean): Call =>
    encode("TierFactory", tier.factory, "openSeries", [tier.address, senior]),
};

/** Selectors by contract and function. */
const SELECTORS = new Map<string, string>();
for (const [contract, face] of Object.entries(FACES))
  face.forEachFunction(({ name, selector }) => SELECTORS.set(`${contract}.${name}`, selector));

type Word = number | bigint | boolean | string;

/** A word for each argument: numbers, booleans and addresses are all there is. Ten times as fast as an Interface. */
function encode(contract: keyof typeof FUNCTIONS, target: string, name: string, args: readonly Word[]): Call {
  let data = SELECTORS.get(`${contract}.${name}`) ?? "";
  for (const arg of args) data += word(arg);
  return { target, data, text: `${contract}.${name}(${args.join(", ")})` };
}

function word(arg: Word): string {
  const digits = typeof arg === "string" ? arg.slice(2).toLowerCase() : BigInt(arg).toString(16);
  return digits.padStart(64, "0");
}
