import {
  AuthorityUpdated,
  MandateApplied,
  MandateCancelled,
  MandateProposed,
} from "../generated/templates/Mandate/IMandate";

export function handleAuthorityUpdated(event: AuthorityUpdated): void {}

export function handleMandateApplied(event: MandateApplied): void {}

export function handleMandateCancelled(event: MandateCancelled): void {}

export function handleMandateProposed(event: MandateProposed): void {}
