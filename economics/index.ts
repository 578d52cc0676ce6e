/**
 * The curator's calculation, for apps: `calculate(terms, assumptions)`. No files, no chain, no clock: the same input
 * gives the same answer. `npm run mandate` is a shell around it.
 */
export {
  type Assumptions,
  type Calculation,
  calculate,
  DEFAULTS,
  type GroupShare,
  type Row,
  seniorRoom,
} from "./calculate.ts";
export { type Change, compare } from "./comparison.ts";
export {
  deployed,
  missingJunior,
  neededCover,
  type Size,
  sizeForSenior,
  sizeForTotal,
  Uncoverable,
  utilisationOf,
} from "./cover.ts";
export { judge, MOST_CONCENTRATED, REASONS, type Reason, type Refusal } from "./judgement.ts";
export { type Recovery, recoveries } from "./recovery.ts";
export { breakEven, type Market, type Pricing, type Returns, returnsOf } from "./returns.ts";
export { type Hazard, type Simulation, type Spread, simulate, type Year } from "./simulation.ts";
export {
  type AgentTerms,
  type MandateTerms,
  type SetTerms,
  type SlasherGroup,
  slasherGroups,
  type Target,
} from "./terms.ts";
