/** What a curator reads in a terminal of 100 columns. */

import { Premium, WAD } from "../model/index.ts";
import { type Printer, table } from "../scenario/print.ts";
import { formatDuration, formatEth, formatUnits } from "../scenario/units.ts";
import type { Books } from "./chain.ts";
import { type Change, compare } from "./comparison.ts";
import { missingJunior } from "./cover.ts";
import { type Calculation, neededCover, type Refusal, utilisationOf } from "./index.ts";
import type { Spread } from "./simulation.ts";
import { largestGroups, percent as pct, short } from "./words.ts";

const ROWS = 16;
const NAME = 23;

export function printCalculation(p: Printer, calculation: Calculation, books?: Books): void {
  const { terms, size, returns, assumptions } = calculation;
  const { market } = assumptions;
  const share = (wei: bigint) => pctOf(wei, size.value);
  const groups = calculation.groups.length;
  p.line(p.bold(`${short(terms.name)}: withstands any ${terms.k} of ${groups} slasher groups`));
  p.line(
    `  ${terms.agents.length} agents, margin ${pct(bps(terms.margin), 1)}, haircut ${pct(bps(terms.haircut), 1)}, ` +
      `buffer ${pct(bps(terms.buffer), 1)}, cap ${eth(terms.cap, 0)} ETH`,
  );
  const weights = terms.agents.reduce((total, { weight }) => total + weight, 0n);
  if (weights < 10_000n) {
    p.line(p.yellow(`  The weights add up to ${pct(bps(weights))}: the rest stays idle and earns nothing.`));
  }
  if (books !== undefined) printBooks(p, calculation, books);

  heading(p, `Needed, for a tier worth ${eth(size.value)} ETH`);
  lines(p, [
    [
      "least junior (U = 1)",
      `${eth(calculation.least.junior)} ETH`,
      `${pctOf(calculation.least.junior, calculation.least.value)}; to the wei ${calculation.least.junior}`,
    ],
    [
      `junior at U = ${pct(assumptions.utilisation, 0)}`,
      `${eth(size.junior)} ETH`,
      `${share(size.junior)}; an ETH of junior carries ${formatUnits(calculation.leverage, 18, 2)} ETH of tier`,
    ],
    ["senior", `${eth(size.senior)} ETH`, share(size.senior)],
    ["reserve", `${eth(size.reserve)} ETH`, share(size.reserve)],
    ["room for more senior", `${eth(calculation.room)} ETH`, "in one deposit, with this junior (SPEC 4.5)"],
  ]);

  heading(
    p,
    `What ${terms.k === 1 ? "one group" : `${terms.k} groups`} could take: ${eth(calculation.worst.takes)} ETH, ${pct(calculation.worst.share)} of the tier`,
  );
  const cover = size.reserve + size.junior;
  p.line(
    `  Reserve and junior together are ${eth(cover)} ETH, so the senior would ${calculation.worst.takes <= cover ? "lose nothing" : p.red("lose")}.`,
  );
  const head = ["slasher group", "takes", "share", "R pays", "J pays", "S pays", "U", "exposed", "closed", "reopens"];
  // of equal groups any could be among the k largest
  const least = calculation.groups.filter((group) => group.worst).at(-1)?.takes ?? 0n;
  const places = size.value < 1_000n * WAD ? 2 : 0;
  const rows = calculation.groups.map((group) => {
    const after = calculation.recoveries.find((one) => one.group === group.name);
    const name = `${group.takes > 0n && group.takes >= least ? "*" : " "} ${short(group.name)}`;
    if (after === undefined) return [name, eth(group.takes, places), pct(group.share)];
    return [
      name,
      eth(group.takes, places),
      pct(group.share),
      eth(after.reserve, places),
      eth(after.junior, places),
      after.senior > 0n ? p.red(eth(after.senior, places)) : "0",
      formatU(after.utilisation),
      `${after.exposedDays} d`,
      after.closedDays === undefined ? "> 1 y" : `${after.closedDays} d`,
      eth(after.missing, places),
    ];
  });
  // equal rows are one line: sixteen groups of one size need no sixteen lines
  const merged: { cells: string[]; names: string[] }[] = [];
  for (const cells of rows) {
    const same = merged.find(
      (one) => one.cells.slice(1).join() === cells.slice(1).join() && one.cells[0]?.[0] === cells[0]?.[0],
    );
    if (same) same.names.push(cells[0] ?? "");
    else merged.push({ cells, names: [cells[0] ?? ""] });
  }
  const shown = merged
    .slice(0, ROWS)
    .map(({ cells, names }) => [
      clip(names.length === 1 ? (names[0] ?? "") : (names[0] ?? "").replace(/^(..)/, `$1${names.length} like `), NAME),
      ...cells.slice(1),
    ]);
  for (const line of table(
    [head.map((one) => p.dim(one)), ...shown],
    ["left", ...head.slice(1).map(() => "right" as const)],
  ))
    p.line(line);
  if (merged.length > ROWS) p.line(`  and ${merged.length - ROWS} smaller ones`);
  note(
    p,
    `* among ${largestGroups(terms.k)}. Each row, in ETH: the group takes all that is allocated to it, alone; U after that. "exposed": days on which another ${terms.k === 1 ? "group" : `${terms.k} groups`} could then reach the senior (U above 1 at b = 0); keepers cut allocations on the day of the slash and EigenLayer takes 14 days. "closed": days until U is at most 1 again without new junior money; entries, restaking and junior exits are closed meanwhile. "reopens": ETH of junior that would do it at once. A smaller slash can close a tier for longer, because nothing is cut until U passes 1 at b = 0; lower targets, which a curator may set at once, open it again.`,
  );

  heading(p, "A year without a loss");
  const fees = pct(bps(market.operatorFee + market.protocolFee), 1);
  const pays = `staking ${pct(market.stakingYield)}, AVS rewards ${pct(market.avsRewards)} of restaked ETH less fees of ${fees}`;
  p.line(`  ${pays};`);
  p.line(`  U = ${pct(calculation.utilisation, 1)}, the premium's base rate ${pct(returns.baseRate)}`);
  const against = (rate: bigint) => {
    const more = rate - market.stakingYield;
    return `${more < 0n ? p.red(pct(more)) : `+${pct(more)}`} against plain staking`;
  };
  lines(p, [
    ["senior", pct(returns.senior), `${against(returns.senior)}; it pays ${pct(returns.premium)} for its cover`],
    ["junior", pct(returns.junior), against(returns.junior)],
    [
      "break-even",
      calculation.breakEven === undefined ? "none" : pct(calculation.breakEven),
      "AVS rewards at which the senior earns what plain staking pays",
    ],
  ]);
  if (assumptions.utilisation !== Premium.TARGET) {
    const moves = assumptions.utilisation > Premium.TARGET ? "rises" : "falls";
    p.line(
      p.yellow(`  The base rate rests at U = 90 % only; while U stays here it ${moves}, as in the simulated years.`),
    );
  }
  if (returns.capped) p.line(p.yellow("  The premium takes half of the senior's yield, which is the most it may."));
  if (!returns.satisfied)
    p.line(p.yellow("  The junior asks for more than the premium can pay: the highest base rate, 20 %, is used."));
  const columns = calculation.table;
  const tableRows = [
    [p.dim("at AVS rewards of"), ...columns.map((one) => p.dim(pct(one.avsRewards, 1)))],
    ["senior", ...columns.map((one) => (one.senior < market.stakingYield ? p.red(pct(one.senior)) : pct(one.senior)))],
    ["junior", ...columns.map((one) => pct(one.junior))],
  ];
  for (const line of table(tableRows, ["left", ...columns.map(() => "right" as const)])) p.line(line);
  printSimulation(p, calculation);
  printAssumptions(p, calculation);
}

function printBooks(p: Printer, { terms }: Calculation, books: Books): void {
  heading(p, `On the chain, at block ${books.block}`);
  const now = { value: books.value, senior: books.senior, junior: books.junior, reserve: books.reserve };
  const full = utilisationOf(terms, now);
  const lacks = missingJunior(terms, books.largest, books.value, books.reserve + books.junior);
  lines(p, [
    [
      "value",
      `${eth(books.value)} ETH`,
      `R ${eth(books.reserve)}, J ${eth(books.junior)}, S ${eth(books.senior)}, G ${eth(books.gains)}`,
    ],
    [
      "U now",
      formatU(books.utilisation),
      books.utilisation > WAD ? p.red(`not covered: ${eth(lacks)} ETH of junior are missing`) : "covered",
    ],
    [
      "U at the targets",
      formatU(full),
      full > WAD ? p.yellow("keepers cannot allocate all that the mandate allows") : "with all but the buffer restaked",
    ],
    ["junior on its way out", `${eth(books.queuedJunior)} ETH`, "does not count for new risk"],
  ]);
}

function printSimulation(p: Printer, { simulation, assumptions, terms }: Calculation): void {
  if (simulation === undefined) return;
  const { hazard } = assumptions;
  heading(p, `${count(simulation.paths)} simulated years (seed ${simulation.seed})`);
  const own = terms.sets.filter((one) => one.slashChance !== undefined).length;
  const chance =
    own === terms.sets.length
      ? "its own chance"
      : pct(hazard.slashChance, 1) + (own > 0 ? ` (${own} have their own)` : "");
  p.line(
    `  Each set slashes with ${chance} a year, between ${pct(hazard.leastPart, 0)} and ${pct(hazard.mostPart, 0)} of what is allocated to it.`,
  );
  const head = ["return of the year", "mean", "5 %", "50 %", "95 %", "worst 5 %", "no slash"];
  const row = (name: string, s: Spread, quiet: number) => [
    name,
    ...[s.mean, s.p5, s.median, s.p95, s.worstTwentieth, quiet].map(fraction),
  ];
  const rows = [
    head.map((one) => p.dim(one)),
    row("senior", simulation.senior, simulation.quiet.senior),
    row("junior", simulation.junior, simulation.quiet.junior),
  ];
  for (const line of table(rows, ["left", ...head.slice(1).map(() => "right" as const)])) p.line(line);
  const { seniorLoss } = simulation;
  const seen = `${count(seniorLoss.count)} of ${count(simulation.paths)}`;
  const odds = `${fraction(seniorLoss.count / simulation.paths)}, 95 % confidence ${fraction(seniorLoss.low)} to ${fraction(seniorLoss.high)}`;
  lines(p, [
    ["a slash happened in", `${count(simulation.slashYears)} years`, `on ${count(simulation.slashDays)} days in all`],
    ["a loss reached the senior in", seen, odds],
    [
      "exposed after a slash",
      `${simulation.exposedAfterSlash.toFixed(1)} days`,
      `on average; ${simulation.longestExposed} days in the worst year`,
    ],
    [
      "closed after a slash",
      `${simulation.closedAfterSlash.toFixed(1)} days`,
      assumptions.refillDays === undefined
        ? "on average, while no new junior money comes"
        : `on average, with new junior money after ${assumptions.refillDays} days`,
    ],
  ]);
  if (simulation.junior.mean < Number(assumptions.market.stakingYield) / 1e18) {
    p.line(p.yellow("  On average the junior earns less than plain staking pays: expect it to ask for more."));
  }
  note(p, '"worst 5 %" is the mean of the worst twentieth of the years. "exposed" and "closed" as above.');
}

function printAssumptions(p: Printer, { assumptions }: Calculation): void {
  const { hazard, pricing } = assumptions;
  heading(p, "Assumed, not known");
  const list = [
    "Yield, rewards, fees, utilisation, chances and sizes of slashes are inputs. No slash of an EigenLayer operator on mainnet is corroborated so far, so nobody knows the last two.",
    "baseRate" in pricing
      ? `The premium's base rate is ${pct(pricing.baseRate)} and U stays at ${pct(assumptions.utilisation, 0)}; on the chain the rate moves until senior and junior agree.`
      : `The base rate moves until the junior earns ${pct(pricing.juniorAsks)} a year without a loss.`,
    "All that the weights name, but the buffer, is restaked at the target magnitudes. Nobody enters or leaves in the simulated year.",
    "Keepers act on the day of a slash, EigenLayer and Lido do not pause, deallocation takes 14 days, the staking token loses nothing.",
    `Sets slash independently, except within a slasher group (${pct(hazard.together, 0)}: the same part on the same day)${hazard.spread > 0n ? ` and with ${pct(hazard.spread, 1)} for each other group` : ""}.`,
  ];
  for (const one of list) bullet(p, one);
}

/** What speaks against the mandate. Returns whether anything does that was not accepted. */
export function printRefusals(p: Printer, refusals: readonly Refusal[], accepted: ReadonlySet<string>): boolean {
  const open = refusals.filter(({ reason }) => !accepted.has(reason));
  const taken = refusals.filter(({ reason }) => accepted.has(reason));
  p.line();
  if (taken.length > 0) {
    p.line(p.yellow("Accepted, against advice:"));
    for (const { sentence } of taken) bullet(p, sentence);
  }
  if (open.length === 0) {
    p.line(
      p.green(
        refusals.length === 0 ? "Nothing speaks against this mandate." : "Nothing else speaks against this mandate.",
      ),
    );
    return false;
  }
  p.line(p.red("This mandate should not be proposed:"));
  for (const { sentence, reason } of open) {
    bullet(p, sentence);
    p.line(p.dim(`    --${reason} accepts that`));
  }
  return true;
}

/** A proposal against the mandate in force. */
export function printComparison(p: Printer, now: Calculation, proposed: Calculation, books?: Books): void {
  const changes = compare(now.terms, proposed.terms);
  heading(p, `Against the mandate in force (${short(now.terms.name)})`);
  const rows: string[][] = [["", p.dim("in force"), p.dim("proposed")]];
  const both = (name: string, show: (one: Calculation) => string) => rows.push([name, show(now), show(proposed)]);
  both("k groups could take", (one) => `${pct(one.worst.share)} of the tier`);
  both("least junior", (one) => `${pctOf(one.least.junior, one.least.value)} of the tier`);
  both("senior a year", (one) => pct(one.returns.senior));
  both("junior a year", (one) => pct(one.returns.junior));
  both("break-even AVS rewards", (one) => (one.breakEven === undefined ? "none" : pct(one.breakEven)));
  if (books !== undefined) {
    const size = { value: books.value, senior: books.senior, junior: books.junior, reserve: books.reserve };
    both("U of today's books, at the targets", (one) => formatU(utilisationOf(one.terms, size)));
    both(
      "junior that today's value needs",
      (one) => `${eth(maxZero(neededCover(one.terms, books.value) - books.reserve))} ETH`,
    );
  }
  for (const line of table(rows, ["left", "right", "right"])) p.line(line);
  p.line();
  if (changes.length === 0) p.line("  The terms are the same.");
  for (const change of changes) p.line(`  ${mark(p, change)} ${short(change.what)}: ${change.from} → ${change.to}`);
  const riskier = changes.filter((one) => one.riskier);
  if (riskier.length > 0) {
    bullet(
      p,
      `${riskier.length} change${riskier.length === 1 ? " is" : "s are"} riskier, so the mandate waits ${formatDuration(now.terms.delay)}, then anybody may execute it, and only while the tier is covered under it. To tighten at once, propose the safer changes alone.`,
    );
  } else if (changes.length > 0) bullet(p, "Nothing is riskier, so it applies at once.");
  if (books !== undefined) {
    const size = {
      value: books.value,
      senior: books.senior,
      junior: books.junior - books.queuedJunior,
      reserve: books.reserve,
    };
    if (utilisationOf(proposed.terms, size) > WAD)
      bullet(
        p,
        "Today's books do not cover it with everything allocated: keepers would allocate as far as the cover goes.",
      );
  }
}

const mark = (p: Printer, change: Change): string => (change.riskier ? p.red("riskier") : p.green("safer  "));

// ---- words and numbers

const maxZero = (x: bigint): bigint => (x > 0n ? x : 0n);
const bps = (value: bigint): bigint => (value * WAD) / 10_000n;
const eth = (wei: bigint, places = 2): string => formatEth(wei, places);
const pctOf = (part: bigint, whole: bigint): string => pct(whole === 0n ? 0n : (part * WAD) / whole);
const fraction = (x: number): string => `${(x * 100).toFixed(2)} %`;
const count = (x: number): string => x.toLocaleString("en-US");
const formatU = (u: bigint): string => (u >= 1000n * WAD ? "> 999" : formatUnits(u, 18, 3));
const clip = (text: string, most: number): string => (text.length <= most ? text : `${text.slice(0, most - 1)}…`);
function heading(p: Printer, text: string): void {
  p.line();
  p.line(p.bold(text));
}

function lines(p: Printer, rows: readonly (readonly [string, string, string])[]): void {
  for (const line of table(rows, ["left", "right", "left"])) p.line(line);
}

function wrap(text: string, most: number): string[] {
  const result: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > most) {
      result.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...result, line];
}

function note(p: Printer, text: string): void {
  for (const line of wrap(text, 96)) p.line(p.dim(`  ${line}`));
}

function bullet(p: Printer, text: string): void {
  wrap(text, 94).forEach((line, i) => {
    p.line(`  ${i === 0 ? "-" : " "} ${line}`);
  });
}
