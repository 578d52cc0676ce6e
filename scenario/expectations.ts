/** What a story file expects of the chain. A check returns what it found true, or throws with what it saw instead. */
import { rateOf, type Side, type TierView, type View } from "./books.ts";
import { compareRates } from "./invariants.ts";
import type { Journal } from "./journal.ts";
import type { Change, Expectation, HolderExpectation, PaidExpectation, PayExpectation, Share } from "./schema.ts";
import { formatEth, formatUnits, WAD } from "./units.ts";
import { must } from "./world.ts";

export class ExpectationError extends Error {
  override readonly name = "ExpectationError";
}

function matches(wanted: Change, difference: bigint): boolean {
  if (wanted === "unchanged") return difference === 0n;
  if (wanted === "higher") return difference > 0n;
  if (wanted === "lower") return difference < 0n;
  return wanted === "not lower" ? difference >= 0n : difference <= 0n;
}

function expectThat(holds: boolean, wanted: string, seen: string): string {
  if (!holds) throw new ExpectationError(`Expected: ${wanted}. Seen: ${seen}.`);
  return wanted;
}

const exact = (side: Side): string => formatUnits(rateOf(side), 18, 18);

export function checkExpectation(wanted: Expectation, since: View, now: View, journal: Journal): string[] {
  const name = wanted.tier;
  const [then, current] = [tierIn(since, name), tierIn(now, name)];
  const found: string[] = [];
  if (wanted.covered !== undefined) {
    const covered = current.preview.utilisation <= WAD;
    const seen = `U = ${formatUnits(current.preview.utilisation, 18, 4)}`;
    found.push(
      `${expectThat(covered === wanted.covered, `${name} is ${wanted.covered ? "covered" : "not covered"}`, seen)} (${seen})`,
    );
  }
  for (const tranche of ["senior", "junior"] as const) {
    const change = wanted[`${tranche} rate`];
    if (change === undefined) continue;
    const [was, is] = [then[tranche], current[tranche]];
    const seen =
      was.token === is.token ? `${exact(was)} before, ${exact(is)} now` : `another series: the old one is retired`;
    const holds = was.token === is.token && matches(change, compareRates(was, is));
    found.push(`${expectThat(holds, `${name}'s ${tranche} rate is ${change}`, seen)} (${seen})`);
  }
  if (wanted.deficit !== undefined) {
    const { closesAt, outstanding } = current.preview.deficit;
    const seen = closesAt > 0 ? `a Deficit of ${formatEth(outstanding)} ETH is open` : "no Deficit";
    const sentence = wanted.deficit === "open" ? `${name} has an open Deficit` : `${name} has no Deficit`;
    found.push(`${expectThat((wanted.deficit === "open") === closesAt > 0, sentence, seen)} (${seen})`);
  }
  if (wanted.quarantined) {
    const seen = current.quarantined.join(", ") || "nothing";
    const same = [...wanted.quarantined].sort().join() === [...current.quarantined].sort().join();
    found.push(expectThat(same, `in quarantine in ${name}: ${wanted.quarantined.join(", ") || "nothing"}`, seen));
  }
  if (wanted.loss) {
    const losses = journal.losses.filter((one) => one.tier === name && one.block > since.block);
    for (const bucket of ["gains", "reserve", "junior", "senior"] as const) {
      const part = wanted.loss[bucket];
      if (part === undefined) continue;
      const taken = losses.reduce((sum, one) => sum + one[bucket], 0n);
      const left = current.stored[bucket];
      const seen: Share = taken === 0n ? "none" : left === 0n ? "all" : "part";
      const words = `${bucket} lost ${part === "none" ? "nothing" : part === "all" ? "everything" : "a part"}`;
      found.push(
        `${expectThat(seen === part, `${name}: ${words}`, `${taken} wei taken, ${left} wei left`)} (${formatEth(taken)} ETH)`,
      );
    }
  }
  if (wanted["junior series"] !== undefined) {
    const seen = `${current.tier.name}'s live junior token is ${current.junior.token}`;
    found.push(
      expectThat(
        current.juniorSeries === wanted["junior series"],
        `${name}'s junior series is number ${wanted["junior series"]}`,
        seen,
      ),
    );
  }
  return found;
}

export function checkHolder(wanted: HolderExpectation, since: View, now: View): string[] {
  const found: string[] = [];
  const [was, is] = [holdingIn(since, wanted, wanted.who), holdingIn(now, wanted, wanted.who)];
  const place = `${wanted.tier} ${wanted.tranche}`;
  if (wanted.value !== undefined) {
    const seen = `${formatEth(was.value)} ETH before, ${formatEth(is.value)} ETH now`;
    found.push(
      `${expectThat(matches(wanted.value, is.value - was.value), `${wanted.who}'s part of ${place} is ${wanted.value}`, seen)} (${seen})`,
    );
  }
  const other = wanted["loses as much a share as"];
  if (other !== undefined) {
    const [theirsWas, theirsIs] = [holdingIn(since, wanted, other), holdingIn(now, wanted, other)];
    const lost = (before: Shares, after: Shares) =>
      before.shares === 0n || after.shares === 0n
        ? 0n
        : (before.value * WAD) / before.shares - (after.value * WAD) / after.shares;
    const [mine, theirs] = [lost(was, is), lost(theirsWas, theirsIs)];
    const gap = mine > theirs ? mine - theirs : theirs - mine;
    const seen = `${wanted.who} ${formatUnits(mine, 18, 9)}, ${other} ${formatUnits(theirs, 18, 9)} ETH a share`;
    const sentence = `${wanted.who} loses as much a share as ${other} in ${place}`;
    // the values are rounded down to a wei before they are divided again
    found.push(`${expectThat(mine > 0n && gap <= 2n, sentence, seen)} (${seen})`);
  }
  return found;
}

export function checkPaid(wanted: PaidExpectation, journal: Journal): string[] {
  const senior = wanted.tranche === "senior";
  const paid = journal.payments
    .filter((one) => one.tier === wanted.tier && one.person === wanted.who && one.senior === senior)
    .reduce((sum, one) => sum + one.wei, 0n);
  const seen = `${formatEth(paid, 6)} ETH`;
  const who = `${wanted.who} has been paid`;
  const found: string[] = [];
  const [least, most] = [wanted["at least"], wanted["at most"]];
  if (least !== undefined)
    found.push(`${expectThat(paid >= least, `${who} at least ${formatEth(least)} ETH`, seen)} (${seen})`);
  if (most !== undefined)
    found.push(`${expectThat(paid <= most, `${who} at most ${formatEth(most)} ETH`, seen)} (${seen})`);
  return found;
}

export function checkPay(wanted: PayExpectation, journal: Journal): string[] {
  const paid = journal.pays
    .filter((one) => one.tier === wanted.tier && one.operator === wanted.operator)
    .reduce((sum, one) => sum + one.wei, 0n);
  const seen = `${formatEth(paid, 6)} ETH`;
  const who = `${wanted.operator} has claimed pay of`;
  const found: string[] = [];
  const [least, most] = [wanted["at least"], wanted["at most"]];
  if (least !== undefined)
    found.push(`${expectThat(paid >= least, `${who} at least ${formatEth(least, 4)} ETH`, seen)} (${seen})`);
  if (most !== undefined)
    found.push(`${expectThat(paid <= most, `${who} at most ${formatEth(most, 4)} ETH`, seen)} (${seen})`);
  return found;
}

interface Shares {
  readonly shares: bigint;
  readonly value: bigint;
}

function tierIn(view: View, name: string): TierView {
  return must(view.tiers.get(name), `tier ${name}`);
}

function holdingIn(view: View, place: { tier: string; tranche: string }, who: string): Shares {
  const tier = tierIn(view, place.tier);
  const senior = place.tranche === "senior";
  const held = tier.holdings.find((one) => one.person === who && one.senior === senior);
  if (!held) return { shares: 0n, value: 0n };
  const side = senior ? tier.senior : tier.junior;
  return { shares: held.shares, value: side.supply === 0n ? 0n : (held.shares * side.book) / side.supply };
}
