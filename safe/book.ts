/** The protocol's functions and errors, to write calls by name and to read them again. */
import { type FunctionFragment, getAddress, Interface, isAddress, isHexString, type Result } from "ethers";
import { ACCESS, DELEGATES } from "../deploy/access.ts";
import { mergeInterfaces } from "../deploy/eigenlayer.ts";
import { ROLES } from "../deploy/roles.ts";
import { surfaces } from "../scripts/lib/surface.ts";

/** What batches call beside the protocol's functions that change something. */
const OUTSIDE = new Interface([
  "function requireAccepted(address manager, uint64 role, address account) view",
  "function approve(address spender, uint256 amount)",
  "function transfer(address to, uint256 amount)",
]);

export interface Described {
  /** "TierFactory.createAgent" where one contract has it; the name where several do. */
  readonly title: string;
  readonly lines: readonly string[];
}

export class Book {
  readonly #functions: ReadonlyMap<string, { readonly fragment: FunctionFragment; readonly contracts: string[] }>;
  readonly errors: Interface;

  /** With `views`, what only reads is known too: never for a Safe, which would sign nothing by it. */
  constructor({ views = false } = {}) {
    const all = surfaces(views);
    const functions = new Map<string, { fragment: FunctionFragment; contracts: string[] }>();
    const add = (contract: string | undefined, fragment: FunctionFragment) => {
      const known = functions.get(fragment.selector) ?? { fragment, contracts: [] };
      if (contract !== undefined) known.contracts.push(contract);
      functions.set(fragment.selector, known);
    };
    for (const { contract, functions: own, face } of all) {
      if (contract in ACCESS) for (const fragment of own) add(contract, fragment);
      if (views && DELEGATES[contract] === undefined)
        face.forEachFunction((fragment) => {
          if (!own.includes(fragment)) add(contract, fragment);
        });
    }
    OUTSIDE.forEachFunction((fragment) => {
      add(undefined, fragment);
    });
    this.#functions = functions;
    this.errors = mergeInterfaces(...all.map(({ face }) => face.fragments));
  }

  /** A function by its name and arguments, or by its signature where that is not enough. */
  encode(name: string, args: readonly unknown[]): string {
    if (name.includes("(")) {
      const face = new Interface([name.startsWith("function") ? name : `function ${name}`]);
      return face.encodeFunctionData(face.fragments[0] as FunctionFragment, args);
    }
    const named = [...this.#functions.values()].filter(({ fragment }) => fragment.name === name);
    const fitting = named.filter(({ fragment }) => fragment.inputs.length === args.length);
    const [one] = fitting;
    if (one === undefined)
      throw new Error(
        named.length === 0
          ? `The protocol has no function ${name} that changes something: write its signature, such as "${name}(address,uint256)".`
          : `${name} takes other arguments: ${named.map(({ fragment }) => fragment.format("full")).join("; ")}.`,
      );
    if (fitting.length > 1)
      throw new Error(
        `There are several ${name}: write which, ${fitting.map(({ fragment }) => fragment.format("sighash")).join(" or ")}.`,
      );
    try {
      return new Interface([one.fragment]).encodeFunctionData(one.fragment, args);
    } catch (error) {
      const why = error instanceof Error && "shortMessage" in error ? String(error.shortMessage) : String(error);
      throw new Error(`The arguments do not fit ${one.fragment.format("full")}: ${why}.`);
    }
  }

  /** How many arguments functions of this name take; empty where there is none. */
  arities(name: string): number[] {
    return [...this.#functions.values()]
      .filter(({ fragment }) => fragment.name === name)
      .map(({ fragment }) => fragment.inputs.length);
  }

  find(data: string): { readonly fragment: FunctionFragment; readonly contracts: readonly string[] } | undefined {
    return this.#functions.get(data.slice(0, 10));
  }

  /** A call in words: its arguments by name, calls inside calls, and the worst that the function can do. */
  describe(data: string): Described {
    if (data === "0x") return { title: "plain payment", lines: [] };
    const known = this.find(data);
    if (known === undefined) return { title: `unknown function ${data.slice(0, 10)}`, lines: [`data ${data}`] };
    const { fragment, contracts } = known;
    const values = new Interface([fragment]).decodeFunctionData(fragment, data);
    const [contract, ...others] = contracts;
    const title = contract !== undefined && others.length === 0 ? `${contract}.${fragment.name}` : fragment.name;
    const lines = fragment.inputs.flatMap((input, i) => this.#value(input.name || `argument ${i}`, values[i]));
    const access = contract === undefined ? undefined : ACCESS[contract]?.[fragment.name];
    if (access?.may === "role") lines.push(`role ${access.role}; at worst: ${access.worst}`);
    return { title, lines };
  }

  #value(name: string, value: unknown): string[] {
    if (typeof value === "string" && isHexString(value) && value.length >= 10 && !isAddress(value)) {
      const inner = this.find(value);
      if (inner !== undefined) {
        const { title, lines } = this.describe(value);
        return [`${name}: ${title}`, ...lines.map((line) => `  ${line}`)];
      }
    }
    if (name === "roleId" || name === "role") {
      const role = Object.entries(ROLES).find(([, id]) => id === BigInt(String(value)))?.[0];
      return [`${name}: ${String(value)}${role === undefined ? "" : ` (${role})`}`];
    }
    if (typeof value === "object" && value !== null) return [`${name}: ${JSON.stringify(plain(value as Result))}`];
    return [`${name}: ${String(value)}`];
  }

  /** The reason of a failed call. */
  reason(data: string): string {
    if (data === "0x") return "it fails without a reason: is there a contract with this function at the address?";
    const error = data.length >= 10 ? this.errors.parseError(data) : null;
    if (error === null) return `it fails with ${data}`;
    const args = error.fragment.inputs.map((input, i) => `${input.name || i} ${String(error.args[i])}`);
    return `it fails with ${error.name}${args.length === 0 ? "" : ` (${args.join(", ")})`}`;
  }
}

/** A decoded value for people and JSON: names where there are names, numbers in decimal. */
export function plain(value: unknown): unknown {
  if (typeof value === "bigint") return String(value);
  if (typeof value === "string" && isAddress(value)) return getAddress(value);
  if (!Array.isArray(value)) return value;
  const result = value as unknown as Result;
  try {
    const object: Record<string, unknown> = result.toObject();
    if (Object.keys(object).every((key) => !key.startsWith("_")))
      return Object.fromEntries(Object.entries(object).map(([key, one]) => [key, plain(one)]));
  } catch {
    // without names it is a list
  }
  return [...result].map(plain);
}
