/** The end of a story: who paid what, and whether everything that must hold has held. */
import type { View } from "./books.ts";
import type { Verdict } from "./invariants.ts";
import type { Flow, Journal } from "./journal.ts";
import { dayOf, type Printer, table } from "./print.ts";
import { formatEth, formatPercent, WAD } from "./units.ts";

/** Losses below this are the rounding of EigenLayer and Lido: a few wei at a time. */
const DUST = 10n ** 12n;

export function printLosses(p: Printer, journal: Journal): void {
  const { birth } = journal.world;
  const large = journal.losses.filter((loss) => loss.amount >= DUST);
  p.line(p.bold("Who paid for the losses (ETH)"));
  const rows = [["", "tier", "loss", "gains", "reserve", "junior", "senior", "cause"].map((word) => p.dim(word))];
  for (const loss of large) {
    const cause = loss.causes.length > 0 ? loss.causes.map((one) => one.avs).join(", ") : "staking token";
    rows.push([
      dayOf(loss.time, birth.time),
      loss.tier,
      ...[loss.amount, loss.gains, loss.reserve, loss.junior].map((wei) => formatEth(wei)),
      loss.senior === 0n ? "0" : p.red(formatEth(loss.senior)),
      cause,
    ]);
  }
  if (large.length === 0) rows.push(["", "nobody lost anything"]);
  for (const line of table(rows, ["left", "left", "right", "right", "right", "right", "right", "left"])) p.line(line);
  const dust = journal.losses.filter((loss) => loss.amount < DUST);
  const wei = dust.reduce((sum, loss) => sum + loss.amount, 0n);
  if (dust.length > 0) p.line(p.dim(`  and ${wei} wei of rounding in ${dust.length} calls`));
  for (const flow of journal.recoveries) {
    p.line(`  ${flow.person} paid ${formatEth(flow.wei)} ETH of compensation into ${flow.tier}`);
  }
}

export function printPeople(p: Printer, journal: Journal, last: View): void {
  p.line(p.bold("Who put in what, and has what (ETH)"));
  const rows = [["", "", "put in", "paid out", "still in", "to claim", "result", ""].map((word) => p.dim(word))];
  const sum = (flows: readonly Flow[], tier: string, senior: boolean, person: string) =>
    flows
      .filter((flow) => flow.tier === tier && flow.senior === senior && flow.person === person)
      .reduce((total, flow) => total + flow.wei, 0n);
  for (const [name, tier] of last.tiers) {
    for (const senior of [false, true]) {
      for (const person of journal.world.accounts.people.keys()) {
        const put = sum(journal.deposits, name, senior, person);
        const out = sum(journal.payments, name, senior, person);
        const held = tier.holdings.find((one) => one.person === person && one.senior === senior);
        if (put === 0n && out === 0n && !held) continue;
        const [value, claimable] = [held?.value ?? 0n, held?.claimable ?? 0n];
        const result = out + value + claimable - put;
        const text = `${result >= 0n ? "+" : ""}${formatEth(result)}`;
        rows.push([
          person,
          `${name} ${senior ? "senior" : "junior"}`,
          formatEth(put),
          formatEth(out),
          formatEth(value),
          formatEth(claimable),
          result < 0n ? p.red(text) : p.green(text),
          put === 0n ? "" : formatPercent((result * WAD) / put, 2),
        ]);
      }
    }
  }
  for (const line of table(rows, ["left", "left", "right", "right", "right", "right", "right", "right"])) p.line(line);
}

/** Nothing where no AVS has paid. */
export function printRewards(p: Printer, journal: Journal, securities: readonly string[]): void {
  const paid = [...journal.rewards].filter(([, flow]) => flow.came > 0n);
  if (paid.length === 0) return;
  p.line();
  p.line(p.bold("What AVSs paid, and who got it (ETH)"));
  const rows = [["", "rewards", "to the tier", "pay", "of that claimed", "pay as a part"].map((word) => p.dim(word))];
  for (const [name, { came, gained, earned, claimed }] of paid) {
    const amounts = [came, gained, earned, claimed].map((wei) => formatEth(wei, 4));
    rows.push([name, ...amounts, formatPercent((earned * WAD) / came, 2)]);
  }
  for (const line of table(rows, ["left", "right", "right", "right", "right", "right"])) p.line(line);
  for (const { operator, tier, wei } of journal.pays) p.line(`  ${operator} claimed ${formatEth(wei, 4)} in ${tier}`);
  for (const line of securities) p.line(`  ${line}`);
}

/** True if every invariant has held. */
export function printVerdicts(p: Printer, verdicts: readonly Verdict[]): boolean {
  p.line(p.bold("Invariants, checked against the chain"));
  for (const { number, text, checks, failures } of verdicts) {
    const mark = failures.length > 0 ? p.red("FAILED") : checks > 0 ? p.green("ok    ") : p.yellow("–     ");
    const count = checks === 0 ? "this story gave no occasion" : `${checks} checks`;
    p.line(`  ${mark} ${String(number).padStart(2)}  ${text} ${p.dim(`(${count})`)}`);
    for (const failure of failures.slice(0, 3)) p.line(`             ${p.red(failure)}`);
    if (failures.length > 3) p.line(`             ${p.red(`and ${failures.length - 3} more`)}`);
  }
  return verdicts.every(({ failures }) => failures.length === 0);
}
