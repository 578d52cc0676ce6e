/**
 * What a proposal would change, read from the chain: the contracts that it calls answer all their views without arguments
 * (and those about the arguments of the calls) before and after it, inside one eth_call.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
  AbiCoder,
  type FunctionFragment,
  getAddress,
  Interface,
  isAddress,
  JsonRpcApiProvider,
  type Provider,
} from "ethers";
import * as z from "zod";
import { surfaces } from "../scripts/lib/surface.ts";
import { ROOT } from "../scripts/lib/tools.ts";
import { plain } from "./book.ts";
import type { Proposal } from "./proposal.ts";

interface Question {
  readonly to: string;
  readonly title: string;
  readonly data: string;
  readonly read: (answer: string) => unknown;
}

const artifact = z.looseObject({ abi: z.custom<string[]>(), deployedBytecode: z.string() });

/** Views that say nothing about an effect. */
const DULL = /^(DOMAIN_SEPARATOR|eip712Domain|UPGRADE_INTERFACE_VERSION|isConsumingScheduledOp)$/;

function questionsFor(proposal: Proposal): Question[] {
  const questions = new Map<string, Question>();
  for (const { to, data } of proposal.calls) ask(to, data);
  return [...questions.values()];

  /** Contracts that know the called function may be what is at the address; views that are not there answer nothing. */
  function ask(to: string, data: string): void {
    for (const { contract, face } of surfaces(true)) {
      const called = face.getFunction(data.slice(0, 10));
      if (called === null) continue;
      const args = [...face.decodeFunctionData(called, data)];
      face.forEachFunction((view) => {
        if (!["view", "pure"].includes(view.stateMutability) || DULL.test(view.name)) return;
        for (const values of argumentsFor(view, called, args)) {
          const encoded = face.encodeFunctionData(view, values);
          const title = `${contract}.${view.name}${values.length === 0 ? "" : `(${values.map(String).join(", ")})`}`;
          const read = (answer: string) => {
            const result = face.decodeFunctionResult(view, answer);
            return plain(result.length === 1 ? result[0] : result);
          };
          questions.set(`${to} ${encoded}`, { to, title, data: encoded, read });
        }
      });
      // what AccessManager calls for the Safe
      const target = args.find((arg) => typeof arg === "string" && isAddress(arg));
      const inner = args.find((arg) => typeof arg === "string" && arg.length >= 10 && !isAddress(arg));
      if (contract === "AccessManager" && called.name === "execute" && target && inner) ask(getAddress(target), inner);
    }
  }
}

/** Lists that a call may change anywhere, with the most that they hold. */
const LISTS: Readonly<Record<string, number>> = { set: 32, agent: 8 };

/** With which arguments a view is asked: none, both answers to a yes or no, a place in a list, those of the call. */
function argumentsFor(view: FunctionFragment, called: FunctionFragment, args: readonly unknown[]): unknown[][] {
  const [first, ...others] = view.inputs;
  if (first === undefined) return [[]];
  if (others.length === 0 && first.type === "bool") return [[false], [true]];
  const length = others.length === 0 && first.type === "uint256" ? LISTS[view.name] : undefined;
  if (length !== undefined) return Array.from({ length }, (_, i) => [i]);
  const places = view.inputs.map(({ type }) => called.inputs.findIndex((input) => input.type === type));
  if (places.includes(-1) || new Set(places).size !== places.length) return [];
  return [places.map((i) => args[i])];
}

/** One line for each answer that differs; undefined where the node cannot tell. */
export async function effectsOf(provider: Provider, proposal: Proposal): Promise<string[] | undefined> {
  if (!(provider instanceof JsonRpcApiProvider)) return undefined;
  const file = join(ROOT, "artifacts/contracts/local/Rehearsal.sol/Rehearsal.json");
  const { abi, deployedBytecode } = artifact.parse(JSON.parse(readFileSync(file, "utf8")));
  const face = Interface.from(abi);
  const questions = questionsFor(proposal);
  const calls = proposal.calls.map(({ to, value, data }) => [to, value, data]);
  const data = face.encodeFunctionData("rehearse", [calls, questions.map((one) => [one.to, one.data])]);
  let answer: unknown;
  try {
    const replaced = { [proposal.safe]: { code: deployedBytecode } };
    answer = await provider.send("eth_call", [{ to: proposal.safe, data }, "latest", replaced]);
  } catch {
    return undefined;
  }
  const [before, afterwards] = AbiCoder.defaultAbiCoder().decode(["bytes[]", "bytes[]"], z.string().parse(answer));
  const lines: string[] = [];
  for (const [i, { title, read }] of questions.entries()) {
    if (before[i] === afterwards[i] || before[i] === "0x" || afterwards[i] === "0x") continue;
    lines.push(...difference(title, decoded(read, before[i]), decoded(read, afterwards[i])));
  }
  return lines;
}

function decoded(read: (answer: string) => unknown, answer: string): unknown {
  try {
    return read(answer);
  } catch {
    return answer; // another contract's answer to the same question
  }
}

/** The parts of a value that differ, by name. */
function difference(title: string, before: unknown, now: unknown): string[] {
  if (isRecord(before) && isRecord(now))
    return Object.keys(now).flatMap((key) => difference(`${title}.${key}`, before[key], now[key]));
  const [a, b] = [JSON.stringify(before), JSON.stringify(now)];
  return a === b ? [] : [`${title}: ${a} -> ${b}`];
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
