/** A plan in words, for people. */
import type { BlockRef, TierState } from "../state/types.ts";
import type { Action, KeeperState, Plan, Withheld } from "./types.ts";
import { duration, eth, utilisation } from "./words.ts";

/** Health, actions with reasons, and what is withheld, tier by tier. */
export function printPlan(plan: Plan, state: KeeperState): string {
  const lines = [
    `head ${blockLine(state.head.block)}`,
    state.final ? `final ${blockLine(state.final.block)}` : "no final block: protection only",
  ];
  for (const tier of state.head.tiers) {
    const own = <T extends { readonly tier: string }>(list: readonly T[]) =>
      list.filter((one) => one.tier.toLowerCase() === tier.address.toLowerCase());
    lines.push("", `Tier ${tier.name} ${tier.address}`, `  ${health(tier, state.head.block)}`);
    const actions = own(plan.actions);
    section(lines, "Protection", actions.filter(({ urgency }) => urgency === "protection").flatMap(actionLines));
    section(lines, "Routine", actions.filter(({ urgency }) => urgency === "routine").flatMap(actionLines));
    if (actions.length === 0) lines.push("  Nothing to do.");
    section(lines, "Not done, and why", own(plan.withheld).map(withheldLine));
  }
  const foreign = plan.withheld.filter(({ tier }) => tier === "");
  if (foreign.length > 0) lines.push("");
  section(lines, "Of no tier that is kept here", foreign.map(withheldLine));
  return `${lines.join("\n")}\n`;
}

/** How a tier is, in one line. */
export function health(tier: TierState, block: BlockRef): string {
  if (!tier.readable) return "CANNOT BE READ";
  const { reserve, junior, senior, gains } = tier.books;
  const covered = tier.utilisation <= 10n ** 18n ? "covered" : "NOT COVERED";
  const flight = tier.queued + tier.loose + tier.unstaking;
  return [
    `${covered}, U ${utilisation(tier.utilisation)}`,
    `V ${eth(tier.value)} (reserve ${eth(reserve)}, junior ${eth(junior)}, senior ${eth(senior)}, gains ${eth(gains)})`,
    `L_k ${eth(tier.exposed / 10n ** 9n)}`,
    `idle ${eth(tier.idle)}, in flight ${eth(flight)}`,
    `synced ${duration(Math.max(block.timestamp - tier.lastSync, 0))} ago`,
    ...(tier.slashedAgents !== 0n ? ["A SLASH IS NOT BOOKED YET"] : []),
    ...(tier.deficit.closesAt !== 0 ? [`Deficit of ${eth(tier.deficit.outstanding)}`] : []),
    ...(tier.entriesPaused ? ["entries paused"] : []),
    ...(tier.mandatePending.eta !== 0 ? ["a riskier mandate waits"] : []),
  ].join(" · ");
}

/** One line for a log. */
export const actionLine = ({ job, subject, reason }: Action): string => `${job} ${subject}: ${reason}`;

const actionLines = (action: Action): string[] => [`    ${actionLine(action)}`, `      ${action.call.text}`];

const withheldLine = ({ job, subject, reason }: Withheld): string => `    ${job} ${subject}: ${reason}`;

const blockLine = (block: BlockRef): string =>
  `block ${block.number} of ${new Date(block.timestamp * 1_000).toISOString().replace(".000Z", " UTC").replace("T", " ")}`;

function section(lines: string[], title: string, content: readonly string[]): void {
  if (content.length > 0) lines.push(`  ${title}`, ...content);
}
