/**
 * What a tier may do, and how that changes. The terms come whole with the events. RiskManager tells numbers, weights, targets and
 * new sets with events of its own in the same call; what else it does with sets is taken from the terms.
 */
import { BigInt, Bytes, ethereum } from "@graphprotocol/graph-ts";
import { Mandate, MandateAgent, MandateChange, MandateSet, Tier } from "../generated/schema";
import {
  AuthorityUpdated,
  MandateApplied,
  MandateCancelled,
  MandateProposed,
} from "../generated/templates/Mandate/IMandate";
import { noteAuthority } from "./governance";
import { byte, eventId, tally, tierOf } from "./ids";
import { applySetTerms } from "./sets";

export function handleMandateAuthorityUpdated(event: AuthorityUpdated): void {
  noteAuthority("Mandate", event, event.params.authority);
}

export function handleMandateProposed(event: MandateProposed): void {
  tally("Mandate.MandateProposed");
  const tier = Tier.load(tierOf())!;
  const old = tier.pendingMandate;
  if (old !== null) {
    // only an expired proposal can be followed by another one
    const expired = Mandate.load(old)!;
    expired.status = "EXPIRED";
    expired.endedTimestamp = expired.expiry;
    expired.save();
  }
  const mandate = create(tier, event.params.id, changetype<ethereum.Tuple>(event.params.terms), event);
  mandate.status = "PROPOSED";
  mandate.riskier = true;
  mandate.proposedTimestamp = event.block.timestamp;
  mandate.eta = event.params.eta;
  mandate.expiry = event.params.expiry;
  mandate.save();
  tier.pendingMandate = mandate.id;
  tier.save();
  change(mandate, "PROPOSED", event);
}

export function handleMandateCancelled(event: MandateCancelled): void {
  tally("Mandate.MandateCancelled");
  const tier = Tier.load(tierOf())!;
  const id = tier.pendingMandate;
  if (id === null) return;
  const mandate = end(id, "CANCELLED", event);
  tier.pendingMandate = null;
  tier.save();
  change(mandate, "CANCELLED", event);
}

export function handleMandateApplied(event: MandateApplied): void {
  tally("Mandate.MandateApplied");
  const tier = Tier.load(tierOf())!;
  const terms = changetype<ethereum.Tuple>(event.params.terms);
  const old = tier.mandate;
  if (old !== null) end(old, "REPLACED", event);
  // riskier terms are those that were proposed; a tightening leaves a proposal waiting, be it the same terms
  const waiting = tier.pendingMandate;
  let mandate: Mandate;
  if (event.params.riskier && waiting !== null) {
    mandate = Mandate.load(waiting)!;
    tier.pendingMandate = null;
  } else {
    mandate = create(tier, event.params.id, terms, event);
    mandate.riskier = event.params.riskier;
  }
  mandate.status = "IN_FORCE";
  mandate.appliedTimestamp = event.block.timestamp;
  mandate.save();
  tier.mandate = mandate.id;
  applyTerms(tier, terms, event);
  tier.save();
  change(mandate, "APPLIED", event);
}

/**
 * What terms in force say of sets, {operatorSet {avs, id}, category, slasher, redistributing, vetoBlocks}: RiskManager tells of new
 * ones only. Its events of the same call have taken back what was before, and told weights, targets and numbers.
 */
export function applyTerms(tier: Tier, terms: ethereum.Tuple, event: ethereum.Event): void {
  const sets = terms[2].toArray();
  for (let i = 0; i < sets.length; i++) {
    const t = sets[i].toTuple();
    const operatorSet = t[0].toTuple();
    applySetTerms(
      tier.id,
      operatorSet[0].toAddress(),
      operatorSet[1].toBigInt(),
      t[1].toI32(),
      t[2].toAddress(),
      event.block,
    );
  }
}

/** A mandate with its sets and agents. Not saved: status and riskier are the caller's. */
function create(tier: Tier, termsId: Bytes, terms: ethereum.Tuple, event: ethereum.Event): Mandate {
  const params = terms[0].toTuple();
  const mandate = new Mandate(tier.id.concat(termsId).concat(eventId(event)));
  mandate.tier = tier.id;
  mandate.termsId = termsId;
  mandate.k = params[0].toI32();
  mandate.marginBps = params[1].toI32();
  mandate.haircutBps = params[2].toI32();
  mandate.bufferBps = params[3].toI32();
  mandate.instantFeeBps = params[4].toI32();
  mandate.quarantineBps = params[5].toI32();
  mandate.cap = params[6].toBigInt();
  mandate.releases = terms[1].toBigInt();
  const sets = terms[2].toArray();
  for (let i = 0; i < sets.length; i++) {
    const t = sets[i].toTuple();
    const operatorSet = t[0].toTuple();
    const set = new MandateSet(byte(mandate.id, i));
    set.mandate = mandate.id;
    set.position = i;
    set.avs = operatorSet[0].toAddress();
    set.setId = operatorSet[1].toBigInt();
    set.category = t[1].toI32();
    set.slasher = t[2].toAddress();
    set.redistributing = t[3].toBoolean();
    set.vetoBlocks = t[4].toBigInt();
    set.save();
  }
  const agents = terms[3].toArray();
  for (let i = 0; i < agents.length; i++) {
    const t = agents[i].toTuple();
    const targets = t[2].toArray();
    const positions = new Array<i32>(targets.length);
    const magnitudes = new Array<BigInt>(targets.length);
    for (let n = 0; n < targets.length; n++) {
      const target = targets[n].toTuple();
      positions[n] = target[0].toI32();
      magnitudes[n] = target[1].toBigInt();
    }
    const agent = new MandateAgent(mandate.id.concat(t[0].toAddress()));
    agent.mandate = mandate.id;
    agent.agent = t[0].toAddress();
    agent.weightBps = t[1].toI32();
    agent.targetSets = positions;
    agent.targetMagnitudes = magnitudes;
    agent.save();
  }
  return mandate;
}

function end(id: Bytes, status: string, event: ethereum.Event): Mandate {
  const mandate = Mandate.load(id)!;
  mandate.status = status;
  mandate.endedTimestamp = event.block.timestamp;
  mandate.save();
  return mandate;
}

function change(mandate: Mandate, kind: string, event: ethereum.Event): void {
  const entry = new MandateChange(eventId(event));
  entry.tier = mandate.tier;
  entry.mandate = mandate.id;
  entry.kind = kind;
  entry.sender = event.transaction.from;
  entry.block = event.block.number;
  entry.timestamp = event.block.timestamp;
  entry.transaction = event.transaction.hash;
  entry.save();
}
