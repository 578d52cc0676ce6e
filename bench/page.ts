/** Writes docs/benchmarks.md. Pure. */
import { type Breakdown, CLASSES } from "./breakdown.ts";
import { BARE, type Figure, figureName, reached } from "./figures.ts";
import type { Measured } from "./meter.ts";
import { PUBLISHED } from "./published.ts";

const number = (value: number): string => value.toLocaleString("en");
const times = (value: number): string => `${value.toFixed(2)} ×`;
/** The keeper's figures are of several units, so each says its own. */
const MEASURES: readonly Figure["unit"][] = ["blocks", "calls", "bytes", "ms", "MB", "events/s"];
const isData = ({ operation }: Figure): boolean => operation.startsWith("data: ");
const isKeepers = (figure: Figure): boolean => MEASURES.includes(figure.unit) && !isData(figure);
const shown = ({ value, unit }: Figure): string =>
  unit === "times" ? times(value) : MEASURES.includes(unit) ? `${number(value)} ${unit}` : number(value);

function table(head: readonly string[], rows: readonly (readonly string[])[], words = 1): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const rule = head.map((_, i) => (i < words ? "---" : "---:"));
  return [line(head), line(rule), ...rows.map(line)].join("\n");
}

const METHOD = `Every figure is the \`gasUsed\` of one whole transaction's receipt on a chain process: the 21,000 and the calldata are in, refunds are taken off, nothing is warm. Accounts, amounts, blocks and their times are fixed, so that every run gives the same figures to the unit. Rules of the chain: Cancun; compiler: solc 0.8.30, optimizer at 200 runs, without via-IR, for peers too.

The tier is at work: k = 2, each agent works for four operator sets of different services (32 slasher groups with eight agents), stake is deployed and allocated, a day's staking reward has been booked and vests, everybody holds WETH already and has approved it without limit. "First" is the first time of that holder, whose balance or list of requests is empty. Each operation starts from this same state. WETH and Lido are local stand-ins, cheaper or dearer than the deployed ones by what proxies and oracles cost; so is EigenLayer, but in what is headed "real EigenLayer": its own bytecode, by \`npm run bench -- --real\`.`;

const CLAIMS = `A claim is measured for requests at the beginning, in the middle and at the end of the queue, none of which begins or ends where a finalisation does; the dearest is shown. The 10,000 finalisations differ in size by up to three times; one or two of them paid the whole request, or a dozen did where the row says so. Claims read no agent, so they are measured after 10,000 finalisations with one tier only.

The largest sync there can be: eight agents with eight links and sixteen exits each, thirty-two sets that nobody has poked for days, every exit over and not settled, every allocation slashed. Its target is what one transaction may use since EIP-7825.`;

/** `real`: the same figures on EigenLayer's own bytecode, where they were measured. */
export function pageOf(figures: readonly Measured[], real?: readonly Measured[]): string {
  const find = (operation: string, agents: number, of = figures) =>
    of.find((figure) => figure.operation === operation && figure.agents === agents);
  const counts = [...new Set(figures.map(({ agents }) => agents))].filter((agents) => agents > 0).sort((a, b) => a - b);
  const most = counts.at(-1) ?? 0;
  const own = [...new Set(figures.filter(({ agents, unit }) => agents > 0 && unit === "gas").map((f) => f.operation))];
  const cell = (figure: Figure | undefined) => (figure ? shown(figure) : "");

  const aims = figures.filter((figure) => figure.target !== undefined && !isKeepers(figure) && !isData(figure));
  const machines = (of: (figure: Figure) => boolean) =>
    figures
      .filter(of)
      .map((figure) => [
        figureName(figure),
        shown(figure),
        figure.target === undefined ? "" : shown({ ...figure, value: figure.target }),
        figure.target === undefined ? "" : reached(figure) ? "yes" : "**no**",
      ]);
  const [keepers, data] = [machines(isKeepers), machines(isData)];
  const missedOnReal = ({ operation, agents, target = Number.POSITIVE_INFINITY }: Figure) =>
    (real ? (find(operation, agents, real)?.value ?? 0) : 0) > target;
  const targets = aims.map((figure) => [
    figureName(figure),
    shown(figure),
    ...(real ? [cell(find(figure.operation, figure.agents, real))] : []),
    figure.unit === "times" ? times(figure.target ?? 0) : number(figure.target ?? 0),
    !reached(figure) ? "**no**" : missedOnReal(figure) ? "**not with real EigenLayer**" : "yes",
  ]);

  const operations = own.map((operation) => [
    operation,
    ...counts.map((agents) => cell(find(operation, agents))),
    cell(find(`${operation}, each further agent`, 0)),
    ...(real ? [cell(find(operation, most, real))] : []),
  ]);

  const beside = (operation: string, plain: string | undefined, symbiotic: string | undefined): string[] => {
    const mine = find(operation, most);
    const peer = (name: string | undefined) => {
      const figure = name === undefined ? undefined : find(name, 0);
      return figure && mine ? [shown(figure), times(mine.value / figure.value)] : ["", ""];
    };
    return [operation, cell(mine), ...peer(plain), ...peer(symbiotic)];
  };
  const peers = [
    beside("senior deposit, first", "plain ERC-4626: deposit, first", "Symbiotic: deposit, first"),
    beside("senior deposit, next", "plain ERC-4626: deposit, next", "Symbiotic: deposit, next"),
    beside("junior deposit, first", "plain ERC-4626: deposit, first", "Symbiotic: deposit, first"),
    beside("junior deposit, next", "plain ERC-4626: deposit, next", "Symbiotic: deposit, next"),
    beside("instant exit", "plain ERC-4626: redeem", undefined),
    beside("request, first", undefined, "Symbiotic: request, first"),
    beside("request, next", undefined, "Symbiotic: request, next"),
    beside("claim after 1 finalisation", undefined, "Symbiotic: claim"),
    beside("sync with a slash", undefined, "Symbiotic: slash"),
  ];

  const published = PUBLISHED.map(({ peer, operation, gas, ours, growth }) => {
    const mine = ours === undefined ? undefined : find(ours, most);
    const ratio = mine ? times(mine.value / gas) : "";
    return [peer, operation, ours ?? "", number(gas), cell(mine), ratio, growth ?? ""];
  });

  const bare = (of: readonly Measured[]) =>
    Object.entries(BARE).flatMap(([operation, call]) => {
      const below = find(call, 0, of);
      if (!below) return [];
      const ratios = counts.map((agents) => cell(find(`${operation} ÷ ${call}`, agents, of)));
      return [[operation, call.replace("bare EigenLayer: ", ""), shown(below), ...ratios]];
    });
  const bareHead = ["operation", "bare calls", "gas", ...counts.map((n) => `${n} ${n === 1 ? "agent" : "agents"}`)];

  const misses = aims.filter((figure) => !reached(figure));
  const explained = figures.filter((figure) => figure.breakdown && concerned(figure, misses));
  const onReal = aims.filter((figure) => reached(figure) && missedOnReal(figure));
  const explainedOnReal = (real ?? []).filter((figure) => figure.breakdown && concerned(figure, onReal));
  const parts = [
    "# Benchmarks",
    "Written by `npm run bench`; do not edit. A change of a figure of `bench/gas.json` by more than 2 % fails `npm test` until it is accepted with `npm run bench -- --accept` and committed.",
    METHOD,
    "## Targets",
    table(["figure", "measured", ...(real ? ["real EigenLayer"] : []), "at most", "reached"], targets),
    "## Every operation",
    table(
      [
        "operation",
        ...counts.map((n) => `${n} ${n === 1 ? "agent" : "agents"}`),
        "each further agent",
        ...(real ? [`real EigenLayer, ${most} agents`] : []),
      ],
      operations,
    ),
    CLAIMS,
    `## Beside peers in the same run (${most} agents)`,
    "The plain vault is OpenZeppelin's upgradeable ERC-4626 behind a beacon with a guard and a pause; it holds its tokens and does nothing else. Symbiotic's vault (`VaultTokenized` of `@symbioticfi/core` 1.0.3, with network, operator and slasher) is compiled from its npm package with our settings: its pragma, 0.8.25 exactly, is widened in memory for that. Its slash moves the tokens as well, while ours is found and booked after EigenLayer has burnt the shares.",
    table(["operation", "Bulkhead", "plain ERC-4626", "ratio", "Symbiotic", "ratio"], peers),
    "## Beside EigenLayer's calls alone",
    "What a contract pays that is operator and staker in one, as an agent is, and calls WETH, Lido and EigenLayer without a protocol around it. Columns by the number of agents show how many times that the tier pays for its own sync, limits and gate on top.",
    table(bareHead, bare(figures), 2),
    ...(real ? ["The same on EigenLayer's real bytecode:", table(bareHead, bare(real), 2)] : []),
    "## What others pay",
    `Not of this run: measured once from the peers' source, as whole cold transactions under forge 1.7.1 with \`isolate = true\`. Beside them what comes nearest to it with us, with ${most} agents.`,
    table(["peer", "operation", "Bulkhead's", "gas", "Bulkhead", "ratio", "the peer's growth"], published, 3),
    ...(keepers.length === 0
      ? []
      : ["## What a keeper takes", KEEPER, table(["figure", "measured", "at most", "reached"], keepers)]),
    ...(data.length === 0
      ? []
      : ["## What the data service takes", DATA, table(["figure", "measured", "at most", "reached"], data)]),
    ...(explained.length + explainedOnReal.length === 0 ? [] : [WHERE]),
    ...explained.flatMap((figure) => explain(figure, "")),
    ...explainedOnReal.flatMap((figure) => explain(figure, " (real EigenLayer)")),
  ];
  return `${parts.join("\n\n")}\n`;
}

const KEEPER = `The real process, on a chain process with a tier of eight agents and 32 sets, on two cores that the chain shares. For the unwinds a block is mined every 1.5 seconds, an eighth of mainnet's time, and in seven of ten of them a group is slashed, twenty in a tier, so that deleverage and the ladder's later rungs are at work too; a distance of 1 is the next block, the nearest there is. Calls and bytes are counted by a proxy between keeper and chain while nothing happens; memory is the process's resident set while it follows a day of 7,200 blocks. A plan is computed for 20 tiers with 8 agents and 8 sets an agent. These figures depend on the machine.`;

const DATA = `Real graph-node and Postgres beside a chain process after a random run over all contracts (1,000 transactions, and 10,000 transfers to as many wallets), on two cores that all of them share. Our subgraph and one that adds one for each of the same events index the chain in turns, twice each; the faster run counts, from graph-node's start to the chain's head. Sixteen clients ask graph-node and the gateway in turns for all tiers with their agents, each again as soon as it is answered. These figures depend on the machine.`;

const WHERE = `## Where the gas goes

For each figure that misses its target, from the trace of its transaction: rows by the contract whose code runs, columns by what is paid for. "Cold accounts" and "cold slots" are the surcharges of the first touch of an account or slot (a write's included), "warm reads" later ones; "new slots" were zero before; "other writes" change a slot again or leave it as it is. "Proxies" and "beacons" are what it costs that everything can be upgraded. Compute is the rest: arithmetic, memory, calldata, dispatch.`;

/** A figure whose target, or whose ratio's or slope's target, is missed. */
function concerned(figure: Figure, misses: readonly Figure[]): boolean {
  return misses.some(
    (miss) =>
      figureName(miss) === figureName(figure) ||
      miss.operation === `${figure.operation}, each further agent` ||
      (miss.agents === figure.agents && miss.operation.startsWith(`${figure.operation} ÷`)),
  );
}

function explain(figure: Measured, where: string): string[] {
  const found = figure.breakdown;
  if (!found) return [];
  const used = CLASSES.filter((name) => found.lines.some(({ gas }) => gas[name] > 0));
  const row = (name: string, gas: Breakdown["lines"][number]["gas"], total: number) => [
    name,
    ...used.map((kind) => (gas[kind] === 0 ? "" : number(gas[kind]))),
    number(total),
  ];
  const sum = (pick: (line: Breakdown["lines"][number]) => number) =>
    found.lines.reduce((total, line) => total + pick(line), 0);
  const all = Object.fromEntries(
    CLASSES.map((kind) => [kind, sum(({ gas }) => gas[kind])]),
  ) as Breakdown["lines"][number]["gas"];
  const only = (name: string, value: number) => [name, ...used.map(() => ""), number(value)];
  return [
    `### ${figureName(figure)}${where}: ${number(figure.value)}`,
    table(
      ["contract", ...used, "all"],
      [
        only("base and calldata", found.base),
        ...found.lines.map(({ contract, gas, total }) => row(contract, gas, total)),
        row(
          "all contracts",
          all,
          sum(({ total }) => total),
        ),
        ...(found.refund > 0 ? [only("refund", -found.refund)] : []),
      ],
    ),
  ];
}
