/**
 * Gas of protocols that do not run here: from their source, whole cold transactions with base and calldata, refunds net,
 * under forge 1.7.1 with `isolate = true`. Measured once, not in this run; versions where the project names them.
 */
export interface Published {
  readonly peer: string;
  readonly operation: string;
  readonly gas: number;
  /** Our operation that does the most similar thing for the one who calls. */
  readonly ours?: string;
  readonly growth?: string;
}

export const PUBLISHED: readonly Published[] = [
  ...of("EigenLayer v1.12.0", [
    ["depositIntoStrategy from a contract, first", 236_591],
    ["depositIntoStrategy from a contract, next", 138_808, "deploy", "57,000 for each further agent at once"],
    ["queueWithdrawals, first", 452_034, "unbond", "389,000 for each further agent at once"],
    ["queueWithdrawals, later", 423_360],
    ["modifyAllocations, one set", 251_145],
    ["slashOperator, first", 414_367, undefined, "12,000 more with 10 open withdrawals"],
    ["slashOperator, next", 301_336],
  ]),
  ...of("Royco Day tranches", [
    ["senior deposit, first", 374_582, "senior deposit, first"],
    ["senior deposit, next", 357_482, "senior deposit, next"],
    ["junior deposit, next", 396_298, "junior deposit, next"],
    ["redemption of senior", 372_470, "instant exit"],
    ["sync with a gain", 301_866, "sync with a reward"],
  ]),
  ...of("Idle tranches", [
    ["senior deposit, first", 229_519, "senior deposit, first", "reads no slashing"],
    ["senior deposit, next", 195_319, "senior deposit, next"],
    ["junior deposit, first", 212_440, "junior deposit, first"],
    ["withdrawal from its buffer", 186_975, "instant exit"],
    ["withdrawal from the strategy", 238_485],
    ["harvest", 197_297, "sync with a reward"],
  ]),
  ...of("Renzo, one LST, 1 operator", [
    ["depositETH, first", 376_719, undefined, "112,000 for each operator"],
    ["withdrawal request, next", 469_658, undefined, "114,000 for each operator"],
    ["claim", 374_566, undefined, "114,000 for each operator"],
  ]),
  ...of("Renzo, one LST, 10 operators", [
    ["depositETH, first", 1_389_119, "senior deposit, first"],
    ["withdrawal request, next", 1_492_975, "request, next"],
    ["claim", 1_397_882, "claim after 1 finalisation"],
  ]),
  ...of("ether.fi", [
    ["deposit, first", 122_098, "senior deposit, first", "reads no EigenLayer state"],
    ["deposit, next", 104_998, "senior deposit, next"],
    ["withdrawal request, next", 182_704, "request, next"],
    ["claim, at least", 143_619, "claim after 1 finalisation"],
    ["finalisation, two calls together", 138_256, "finalise 1,000 requests", "constant"],
  ]),
  ...of("MetaMorpho 1.1", [
    ["deposit, next, 1 market", 168_288, undefined, "60,000 for each market"],
    ["deposit, next, 5 markets", 406_600, "senior deposit, next"],
  ]),
  ...of("Lido withdrawal queue", [
    ["request, next", 171_335, "request, next"],
    ["finalisation", 107_322, "finalise 1,000 requests", "constant"],
    ["claim", 74_790, "claim after 1 finalisation"],
  ]),
  ...of("BarnBridge SmartAlpha", [
    ["deposit (joins a queue)", 128_308],
    ["next epoch", 227_294],
  ]),
];

type Row = readonly [operation: string, gas: number, ours?: string | undefined, growth?: string];

function of(peer: string, rows: readonly Row[]): Published[] {
  return rows.map(([operation, gas, ours, growth]) => ({
    peer,
    operation,
    gas,
    ...(ours === undefined ? {} : { ours }),
    ...(growth === undefined ? {} : { growth }),
  }));
}
