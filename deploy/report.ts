/** What a deployment would do, for review: every transaction, role and parameter. Pure. */
import { batches } from "@nomicfoundation/ignition-core";
import { formatEther, getCreateAddress } from "ethers";
import { fullArtifact } from "./artifacts.ts";
import { MODULE, moduleOf } from "./ignition.ts";
import type { CompleteNetwork } from "./network.ts";
import { type Argument, grantsOf, type Inputs, isReference, type Plan } from "./plan.ts";

/** The plan's steps in the order in which Ignition sends them on a fresh start, one transaction each. */
export function stepsOf(plan: Plan): readonly string[] {
  const prefix = `${MODULE}#`;
  return batches(moduleOf(plan)).flatMap((batch) => [...batch].sort().map((id) => id.slice(prefix.length)));
}

/** Addresses that contracts get if the deployer sends nothing else from `nonce` on. */
export function expectedAddresses(plan: Plan, deployer: string, nonce: number): ReadonlyMap<string, string> {
  const contracts = new Set(plan.contracts.map(({ id }) => id));
  const addresses = new Map<string, string>();
  for (const [i, id] of stepsOf(plan).entries())
    if (contracts.has(id)) addresses.set(id, getCreateAddress({ from: deployer, nonce: nonce + i }));
  return addresses;
}

export function report(plan: Plan, inputs: Inputs, network: CompleteNetwork, nonce: number): readonly string[] {
  const lines: string[] = [];
  const contracts = new Map(plan.contracts.map((one) => [one.id, one]));
  const calls = new Map(plan.calls.map((one) => [one.id, one]));
  const addresses = expectedAddresses(plan, inputs.deployer, nonce);
  const steps = stepsOf(plan);
  lines.push(`${steps.length} transactions on ${network.name} (chain ${network.chainId}) from ${inputs.deployer}`);
  lines.push("");
  for (const [i, id] of steps.entries()) {
    const number = String(nonce + i).padStart(4);
    const contract = contracts.get(id);
    if (contract) {
      lines.push(`${number}  deploy ${contract.source.name} as ${id}, expected at ${addresses.get(id) ?? "?"}`);
      for (const argument of contract.args) lines.push(`        ${show(argument, addresses)}`);
      continue;
    }
    const call = calls.get(id);
    if (!call) continue;
    lines.push(`${number}  ${call.about}`);
    lines.push(
      `        accessManager.${call.fn}(${call.args.map((argument) => show(argument, addresses)).join(", ")})`,
    );
  }
  lines.push("", "Roles");
  lines.push(`  ${"admin".padEnd(10)} ${inputs.roles.admin}  no delay`);
  for (const { role, holder, delay } of grantsOf(inputs))
    lines.push(`  ${role.padEnd(10)} ${holder}  ${delay === 0 ? "no delay" : `${delay / 86_400} days`}`);
  lines.push("", "Parameters");
  const { timings, eigenlayer, lido } = inputs;
  const parameters: Record<string, string | number> = {
    ...timings,
    ...Object.fromEntries(Object.entries(eigenlayer).map(([name, value]) => [`eigenlayer.${name}`, value])),
    "eigenlayer.keyRegistrar": inputs.keyRegistrar ?? "none",
    "eigenlayer.strategy": network.eigenlayer.strategy,
    "lido.steth": lido.steth,
    "lido.queue": lido.queue,
    weth: inputs.weth,
    treasury: inputs.treasury ?? `${inputs.roles.admin} (the admin)`,
    confirmations: network.confirmations,
  };
  for (const [name, value] of Object.entries(parameters)) lines.push(`  ${name.padEnd(32)} ${value}`);
  for (const { name, symbol, seed, params } of network.tiers) {
    const terms = Object.entries({ ...params, cap: `${formatEther(params.cap)} ETH` });
    lines.push("", `Tier ${name} (${symbol}), opened by the curator afterwards with ${formatEther(seed)} ETH of his`);
    lines.push(`  ${terms.map(([key, value]) => `${key} ${value}`).join(", ")}`);
  }
  return lines;
}

/** Gas of the whole plan: a safe guess from code sizes, for the purse; each transaction is estimated when it is sent. */
export function gasOf(plan: Plan): bigint {
  const creation = plan.contracts.reduce((sum, { source }) => {
    const { bytecode, deployedBytecode } = fullArtifact(source);
    // creation, call data and code deposit (EIP-170's 200 a byte), and a constructor that writes ten words
    return sum + 53_000 + 16 * (bytecode.length / 2) + 200 * (deployedBytecode.length / 2) + 10 * 22_100;
  }, 0);
  return BigInt(creation + 100_000 * plan.calls.length);
}

function show(argument: Argument, addresses: ReadonlyMap<string, string>): string {
  if (typeof argument !== "object") return String(argument);
  if (Array.isArray(argument)) return `[${argument.map((one) => show(one, addresses)).join(", ")}]`;
  if (isReference(argument)) return `${argument.ref} ${addresses.get(argument.ref) ?? ""}`.trim();
  const parts = Object.entries(argument).map(([key, one]) => `${key}: ${show(one, addresses)}`);
  return `{${parts.join(", ")}}`;
}
