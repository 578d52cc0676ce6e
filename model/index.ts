/**
 * The protocol's pure maths in bigint, one module for each Solidity library, with the same names and the same roundings
 * to the wei (`test/model` compares them on random input). For keepers, apps and scenarios: `Exposure.limit(line, k, …)`.
 */
export * as Attribution from "./attribution.ts";
export * as DutchAuction from "./auction.ts";
export { ModelError } from "./errors.ts";
export * as Exposure from "./exposure.ts";
export { WAD, YEAR } from "./integer.ts";
export * as Premium from "./premium.ts";
export * as Queue from "./queue.ts";
export * as Waterfall from "./waterfall.ts";
