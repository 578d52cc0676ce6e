/** What a person reads: tables, amounts, and colour where there is a terminal. */
import { type Holding, ranking, rateOf, type Side, type TierView, total, type View } from "./books.ts";
import { BPS, DAY, formatEth, formatPercent, formatUnits, WAD } from "./units.ts";

export interface Printer {
  line(text?: string): void;
  readonly bold: (text: string) => string;
  readonly dim: (text: string) => string;
  readonly red: (text: string) => string;
  readonly green: (text: string) => string;
  readonly yellow: (text: string) => string;
}

export function printer(out: NodeJS.WriteStream, environment: NodeJS.ProcessEnv = process.env): Printer {
  const forced = environment.FORCE_COLOR !== undefined && environment.FORCE_COLOR !== "0";
  const coloured = environment.NO_COLOR === undefined && (out.isTTY === true || forced);
  const paint = (code: number) => (text: string) => (coloured ? `\x1b[${code}m${text}\x1b[0m` : text);
  return {
    line: (text = "") => {
      out.write(`${text}\n`);
    },
    bold: paint(1),
    dim: paint(2),
    red: paint(31),
    green: paint(32),
    yellow: paint(33),
  };
}

type Align = "left" | "right";

const ESCAPES = new RegExp(`${String.fromCharCode(27)}\\[\\d+m`, "g");
const width = (text: string): number => text.replace(ESCAPES, "").length;

/** Aligned columns, two spaces apart. */
export function table(rows: readonly (readonly string[])[], aligns: readonly Align[], indent = "  "): string[] {
  const widths = aligns.map((_, column) => Math.max(...rows.map((row) => width(row[column] ?? ""))));
  return rows.map((row) =>
    `${indent}${aligns
      .map((align, column) => {
        const cell = row[column] ?? "";
        const pad = " ".repeat((widths[column] ?? 0) - width(cell));
        return align === "left" ? cell + pad : pad + cell;
      })
      .join("  ")}`.trimEnd(),
  );
}

export function formatU(u: bigint): string {
  return u >= 1000n * WAD ? "> 999" : formatUnits(u, 18, 3);
}

const rate = (side: Side): string => (side.supply === 0n ? "-" : formatUnits(rateOf(side), 18, 6));
const eth = (value: bigint): string => formatEth(value, 2);
const partOf = (part: bigint, whole: bigint): bigint => (whole === 0n ? 0n : (part * WAD) / whole);

export const dayOf = (time: number, birth: number): string => {
  const days = (time - birth) / DAY;
  return `day ${days.toFixed(days < 10 ? 1 : 0)}`;
};

const HEAD = ["", "V", "R", "J", "S", "G", "senior", "junior", "U", "L_k", "the k worst slasher groups"];
const ALIGNS: readonly Align[] = ["left", ...Array.from({ length: 9 }, (): Align => "right"), "left"];

export function booksTable(p: Printer, view: View): string[] {
  const rows = [HEAD.map((word) => p.dim(word))];
  for (const one of view.tiers.values()) rows.push(tierRow(p, one));
  return table(rows, ALIGNS);
}

function tierRow(p: Printer, one: TierView): string[] {
  const { books, value, utilisation, deficit } = one.preview;
  const worst = ranking(one)
    .filter(({ group }) => (one.exposures.worst >> BigInt(group)) & 1n)
    .map(({ name, wei }) => `${name} ${formatPercent(partOf(wei, value), 1)}`);
  const notes = [
    ...(one.exposures.unapproved > 0n ? [`unapproved ${eth(one.exposures.unapproved / 10n ** 9n)}`] : []),
    ...worst,
  ];
  const u = formatU(utilisation);
  const flags = [
    ...(deficit.closesAt > 0 ? [p.red(`DEFICIT ${eth(deficit.outstanding)}`)] : []),
    ...(one.quarantined.length > 0 ? [p.yellow(`quarantined: ${one.quarantined.join(", ")}`)] : []),
  ];
  const senior = rate(one.senior);
  return [
    p.bold(one.tier.name),
    eth(value),
    eth(books.reserve),
    eth(books.junior),
    eth(books.senior),
    eth(books.gains),
    senior,
    rate(one.junior),
    utilisation > WAD ? p.red(u) : p.green(u),
    formatPercent(partOf(one.exposures.largest / 10n ** 9n, value), 1),
    [notes.length > 0 ? notes.join(", ") : p.dim("nothing allocated"), ...flags].join("; "),
  ];
}

/** What each holder would lose if the k worst slashed everything now. */
export function worstCase(p: Printer, one: TierView): string[] {
  const { solvency, tier, preview } = one;
  const lines: string[] = [];
  const { borne } = solvency;
  const head = `${tier.name}, if its k = ${tier.terms.k} worst took everything now: ${eth(solvency.loss)} ETH`;
  const buckets = `G ${eth(borne.gains)}, R ${eth(borne.reserve)}, J ${eth(borne.junior)}, S ${
    borne.senior > 0n ? p.red(eth(borne.senior)) : "0"
  }`;
  lines.push(`  ${head}, borne by ${buckets}`);
  const loses = (holding: Holding): string => {
    const book = holding.senior ? preview.books.senior : preview.books.junior;
    const lost = book === 0n ? 0n : (holding.value * (holding.senior ? borne.senior : borne.junior)) / book;
    return `${holding.person} ${lost === 0n ? "0" : eth(lost)} of ${eth(holding.value)}`;
  };
  for (const senior of [false, true]) {
    const list = one.holdings.filter((holding) => holding.senior === senior && holding.shares > 0n);
    if (list.length > 0) lines.push(`    ${p.dim(senior ? "seniors:" : "juniors:")} ${list.map(loses).join(", ")}`);
  }
  return lines;
}

/** Terms of a tier, once. */
export function termsLine(p: Printer, one: TierView): string {
  const { terms, name, agents, avss } = one.tier;
  const percent = (bps: number) => formatPercent((BigInt(bps) * WAD) / BPS, 0);
  return `${p.bold(name)} withstands k = ${terms.k} of ${avss.length} slasher groups through ${agents.length} operators (margin ${percent(terms.margin)}, haircut ${percent(terms.haircut)})`;
}

export { total };
