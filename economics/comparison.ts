/** A proposed mandate against the one in force: what is riskier, and so has to wait (SPEC 6.2). */
import { formatUnits } from "../scenario/units.ts";
import { type MandateTerms, slasherGroups } from "./terms.ts";

/** One respect in which two mandates differ. */
export interface Change {
  readonly what: string;
  readonly from: string;
  readonly to: string;
  readonly riskier: boolean;
}

/** All differences, in the order of the specification; a riskier one makes the whole proposal wait. */
export function compare(now: MandateTerms, proposed: MandateTerms): readonly Change[] {
  const changes: Change[] = [];
  const add = (what: string, from: string, to: string, riskier: boolean) => {
    if (from !== to) changes.push({ what, from, to, riskier });
  };
  const number = (what: string, a: bigint, b: bigint, show: (x: bigint) => string, riskier: boolean) =>
    add(what, show(a), show(b), riskier);
  const plain = (x: bigint) => x.toString();
  number("k", BigInt(now.k), BigInt(proposed.k), plain, proposed.k < now.k);
  number("margin", now.margin, proposed.margin, bps, proposed.margin < now.margin);
  number("haircut", now.haircut, proposed.haircut, bps, proposed.haircut < now.haircut);
  number("cap", now.cap, proposed.cap, (wei) => `${trim(formatUnits(wei, 18, 18))} ETH`, proposed.cap > now.cap);
  number("buffer", now.buffer, proposed.buffer, bps, proposed.buffer < now.buffer);
  number("instant fee", now.instantFee, proposed.instantFee, bps, true);
  number("quarantine", now.quarantine, proposed.quarantine, bps, proposed.quarantine > now.quarantine);

  const before = new Map(now.sets.map((set) => [set.name, set]));
  const after = new Set(proposed.sets.map(({ name }) => name));
  for (const set of proposed.sets) {
    const old = before.get(set.name);
    if (old === undefined) {
      add(`set ${set.name}`, "not allowed", "allowed", true);
      continue;
    }
    const both = <T>(a: T | undefined, b: T | undefined): boolean => a !== undefined && b !== undefined && a !== b;
    if (both(old.slasher, set.slasher)) add(`${set.name}: slasher`, old.slasher ?? "", set.slasher ?? "", true);
    if (both(old.category, set.category)) add(`${set.name}: category`, old.category ?? "", set.category ?? "", true);
    const pays = (one: { redistributing?: boolean }) => (one.redistributing ? "allowed" : "not allowed");
    add(`${set.name}: redistribution`, pays(old), pays(set), set.redistributing === true);
    const veto = (one: { vetoBlocks?: number }) => one.vetoBlocks ?? 0;
    add(`${set.name}: veto window`, `${veto(old)} blocks`, `${veto(set)} blocks`, veto(set) < veto(old));
  }
  for (const { name } of now.sets) if (!after.has(name)) add(`set ${name}`, "allowed", "not allowed", false);

  const agents = new Map(now.agents.map((agent) => [agent.name, agent]));
  for (const agent of proposed.agents) {
    const old = agents.get(agent.name);
    const weight = old?.weight ?? 0n;
    number(`${agent.name}: weight`, weight, agent.weight, bps, agent.weight > weight);
    const targets = new Map(old?.targets.map(({ set, magnitude }) => [set, magnitude]));
    for (const { set, magnitude } of agent.targets) {
      const had = targets.get(set) ?? 0n;
      targets.delete(set);
      number(`${agent.name}: target for ${set}`, had, magnitude, part, magnitude > had);
    }
    for (const [set, had] of targets) number(`${agent.name}: target for ${set}`, had, 0n, part, false);
  }
  const stays = new Set(proposed.agents.map(({ name }) => name));
  for (const agent of now.agents)
    if (!stays.has(agent.name)) add(`agent ${agent.name}`, bps(agent.weight), "0 %", false);

  const count = (terms: MandateTerms) => `${slasherGroups(terms).length}`;
  add("slasher groups", count(now), count(proposed), false);
  return changes;
}

const trim = (text: string): string => text.replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "");
const bps = (value: bigint): string => part(value * 10n ** 14n);
/** All places, so that no difference looks like none. */
const part = (wad: bigint): string => `${trim(formatUnits(wad, 16, 16))} %`;
