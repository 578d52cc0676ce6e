/** The commands of `npm run safe`, without a terminal: each returns what it has to say. */
import { getAddress, Interface, type Provider, type Result, type Signer, type Wallet } from "ethers";
import * as z from "zod";
import { hardhatArtifacts } from "../deploy/eigenlayer.ts";
import type { Book } from "./book.ts";
import { checkMultiSend, checkProposal, execute, missing, readSafe, route, simulate, type Via } from "./chain.ts";
import { effectsOf } from "./effects.ts";
import { type Proposal, proposalHash, transactionOf, withSignature } from "./proposal.ts";
import { type Call, domainOf, messageOf, SAFE_TX_TYPES } from "./transaction.ts";

const json: z.ZodType<unknown> = z.unknown();

/** A call as a file of calls has it. */
export const callSchema = z.strictObject({
  to: z.string(),
  function: z.string().optional(),
  args: z.array(json).default([]),
  /** Instead of function and args. */
  data: z.string().optional(),
  value: z.union([z.string(), z.number().int()]).default("0"),
  via: z.enum(["auto", "direct", "schedule", "execute", "cancel"]).default("auto"),
  /** With via "cancel": who announced the call. */
  of: z.string().optional(),
});
export const callsSchema = z.array(callSchema).min(1);
export type CallSpec = z.infer<typeof callSchema>;

/** `ADDRESS FUNCTION ARGUMENT...`; an argument that starts with [ or { is JSON. */
export function parseCall(text: string, via: Via = "auto"): CallSpec {
  const [to, fn, ...args] = text.match(/[[{].*[\]}]|\S+/g) ?? [];
  if (to === undefined || fn === undefined)
    throw new Error(`"${text}" is not a call: write ADDRESS FUNCTION ARGUMENT...`);
  const read = (one: string): unknown => {
    if (!/^[[{]/.test(one)) return one === "true" ? true : one === "false" ? false : one;
    try {
      return JSON.parse(one);
    } catch {
      throw new Error(`${one} is not JSON.`);
    }
  };
  return callSchema.parse({ to, function: fn, args: args.map(read), via });
}

function encode(book: Book, spec: CallSpec): Call {
  let to: string;
  try {
    to = getAddress(spec.to);
  } catch {
    throw new Error(`"${spec.to}" is not an address.`);
  }
  if ((spec.data === undefined) === (spec.function === undefined))
    throw new Error(`A call to ${to} needs either a function with args, or data.`);
  const data = spec.data ?? book.encode(spec.function ?? "", spec.args);
  return { to, value: BigInt(spec.value), data };
}

export interface ProposeOptions {
  readonly safe: string;
  readonly multiSend: string;
  readonly about: string;
}

export interface Told<T> {
  readonly result: T;
  readonly lines: readonly string[];
}

export async function propose(
  provider: Provider,
  book: Book,
  specs: readonly CallSpec[],
  options: ProposeOptions,
): Promise<Told<Proposal>> {
  const safe = await readSafe(provider, options.safe);
  if (specs.length > 1) await checkMultiSend(provider, options.multiSend);
  const lines: string[] = [];
  const calls: Call[] = [];
  for (const spec of specs) {
    const { call, note } = await route(provider, safe.address, encode(book, spec), spec.via, spec.of);
    calls.push(call);
    if (note !== undefined) lines.push(`call ${calls.length}: ${note}`);
  }
  const { chainId } = await provider.getNetwork();
  const { address, nonce } = safe;
  const multiSend = getAddress(options.multiSend);
  const signatures = new Map<string, string>();
  const proposal: Proposal = { chainId, safe: address, nonce, multiSend, about: options.about, calls, signatures };
  return { result: proposal, lines };
}

/** What a proposal is, for whoever is asked to sign it. */
export function show(book: Book, proposal: Proposal): string[] {
  const lines = [
    proposal.about,
    `Safe ${proposal.safe} on chain ${proposal.chainId}, number ${proposal.nonce}`,
    `hash ${proposalHash(proposal)}`,
  ].filter((line) => line !== "");
  for (const [i, { to, value, data }] of proposal.calls.entries()) {
    const { title, lines: details } = book.describe(data);
    lines.push(`call ${i + 1} to ${to}: ${title}${value === 0n ? "" : `, with ${value} wei`}`);
    lines.push(...details.map((line) => `    ${line}`));
  }
  lines.push(`signed by ${[...proposal.signatures.keys()].join(", ") || "nobody yet"}`);
  return lines;
}

/** Where the effect of a mandate is asked for. */
export interface View {
  readonly lens: string;
  readonly tier: string;
}

export async function rehearse(
  provider: Provider,
  book: Book,
  proposal: Proposal,
  viewOf: (mandate: string) => View | undefined = () => undefined,
): Promise<Told<boolean>> {
  const safe = await checkProposal(provider, proposal);
  const failed = await simulate(provider, book, proposal);
  const { given, absent } = missing(safe, proposal);
  const count = given >= safe.threshold ? "enough" : `${safe.threshold - given} more of ${absent.join(", ")}`;
  const lines = [
    failed === undefined
      ? `simulated on the chain as it is now: all ${proposal.calls.length} calls pass`
      : `simulated on the chain as it is now: call ${failed.index + 1} fails; ${failed.reason}`,
    ...(failed === undefined ? await changes(provider, proposal) : []),
    ...(await effects(provider, proposal, viewOf)),
    `signatures: ${given} of ${safe.threshold}, ${count}`,
  ];
  return { result: failed === undefined, lines };
}

/** What views of the called contracts answer otherwise afterwards. */
async function changes(provider: Provider, proposal: Proposal): Promise<string[]> {
  const lines = await effectsOf(provider, proposal);
  if (lines === undefined) return ["what changes cannot be shown: the node does not know state overrides in eth_call"];
  return lines.length === 0 ? ["no view of the called contracts answers otherwise afterwards"] : lines;
}

const outlookSchema = z.looseObject({
  inForce: z.custom<readonly bigint[]>(),
  atOnce: z.custom<readonly bigint[]>(),
  atTargets: z.custom<readonly bigint[]>(),
  covered: z.boolean(),
});

/** For calls that carry a mandate: what it would do to the tier. */
async function effects(
  provider: Provider,
  proposal: Proposal,
  viewOf: (mandate: string) => View | undefined,
): Promise<string[]> {
  const mandate = Interface.from(hardhatArtifacts("Mandate", "contracts/core/Mandate.sol").abi);
  const lens = Interface.from(hardhatArtifacts("SolvencyLens", "contracts/periphery/SolvencyLens.sol").abi);
  const lines: string[] = [];
  for (const [i, { to, data }] of proposal.calls.entries()) {
    const parsed = mandate.parseTransaction({ data });
    if (parsed === null || !["propose", "execute", "tighten"].includes(parsed.name)) continue;
    const view = viewOf(to);
    if (view === undefined) {
      lines.push(
        `call ${i + 1} changes a mandate that no --deployment file names: ask SolvencyLens.outlook what it does to U`,
      );
      continue;
    }
    const question = lens.encodeFunctionData("outlook", [view.tier, parsed.args[0]]);
    const answer = lens.decodeFunctionResult("outlook", await provider.call({ to: view.lens, data: question }));
    const outlook = outlookSchema.parse(z.custom<Result>().parse(answer[0]).toObject());
    for (const [name, standing] of [
      ["in force", outlook.inForce],
      ["these terms, at once", outlook.atOnce],
      ["these terms, at their targets", outlook.atTargets],
    ] as const)
      lines.push(`call ${i + 1}, ${name}: ${standingInWords(standing)}`);
    if (!outlook.covered) lines.push(`call ${i + 1}: the tier is not covered under these terms now`);
  }
  return lines;
}

function standingInWords([exposed = 0n, u = 0n, senior = 0n, junior = 0n]: readonly bigint[]): string {
  const eth = (wei: bigint) => `${(Number(wei / 10n ** 12n) / 1e6).toFixed(3)} ETH`;
  const percent = `${(Number(u / 10n ** 12n) / 1e4).toFixed(2)} %`;
  return `L_k ${eth(exposed / 10n ** 9n)}, U ${percent}, senior may deposit ${eth(senior)}, junior may leave ${eth(junior)}`;
}

/** Signs, after whoever holds the key has seen what it is. With a provider, only for an owner and a live proposal. */
export async function sign(wallet: Wallet, proposal: Proposal, provider?: Provider): Promise<Told<Proposal>> {
  if (provider !== undefined) {
    const safe = await checkProposal(provider, proposal);
    if (!safe.owners.includes(wallet.address))
      throw new Error(`${wallet.address} is not an owner of the Safe: ${safe.owners.join(", ")} are.`);
  }
  const tx = transactionOf(proposal);
  const signature = await wallet.signTypedData(domainOf(proposal), SAFE_TX_TYPES, messageOf(tx));
  const { proposal: result, owner } = withSignature(proposal, signature);
  return { result, lines: [`signed by ${owner}`] };
}

/** Takes a signature that was made elsewhere (a hardware wallet, Safe's own app). */
export async function addSignature(proposal: Proposal, signature: string, provider: Provider): Promise<Told<Proposal>> {
  const safe = await checkProposal(provider, proposal);
  const { proposal: result, owner } = withSignature(proposal, signature);
  if (!safe.owners.includes(owner))
    throw new Error(`The signature is of ${owner}, who is no owner: it is of another transaction, or of a stranger.`);
  return { result, lines: [`signed by ${owner}`] };
}

export async function send(sender: Signer, book: Book, proposal: Proposal): Promise<Told<string>> {
  const hash = await execute(sender, book, proposal);
  return { result: hash, lines: [`executed in ${hash}`] };
}
