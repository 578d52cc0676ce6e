/**
 * Gas of protocols that do not run here: their verified source, whole cold transactions with base and calldata, refunds
 * net, under forge 1.7.1 with `isolate = true`. Versions as noted; measured once, not in this run.
 */
export interface Published {
  readonly peer: string;
  readonly operation: string;
  readonly gas: string;
  readonly growth?: string;
}

export const PUBLISHED: readonly Published[] = [
  {
    peer: "EigenLayer v1.12.0",
    operation: "depositIntoStrategy from a contract, first / next",
    gas: "236,591 / 138,808",
  },
  { peer: "EigenLayer v1.12.0", operation: "queueWithdrawals, first / later", gas: "452,034 / 423,360" },
  { peer: "EigenLayer v1.12.0", operation: "modifyAllocations, one set", gas: "251,145" },
  { peer: "EigenLayer v1.12.0", operation: "slashOperator, first / next", gas: "414,367 / 301,336" },
  {
    peer: "Symbiotic vault (npm 1.0.3)",
    operation: "deposit, first / next",
    gas: "273,493 / 242,824",
    growth: "none with operators",
  },
  {
    peer: "Idle tranches",
    operation: "senior deposit, first / next",
    gas: "229,519 / 195,319",
    growth: "reads no slashing",
  },
  { peer: "Idle tranches", operation: "junior deposit, first", gas: "212,440" },
  { peer: "Idle tranches", operation: "withdrawal from its buffer / from the strategy", gas: "186,975 / 238,485" },
  { peer: "Royco Day tranches", operation: "senior deposit, first / next", gas: "374,582 / 357,482" },
  { peer: "Royco Day tranches", operation: "junior deposit, next", gas: "396,298" },
  { peer: "Royco Day tranches", operation: "sync with a gain", gas: "301,866" },
  {
    peer: "Renzo (one LST)",
    operation: "depositETH, first: 1 / 5 / 10 operators",
    gas: "376,719 / 826,671 / 1,389,119",
    growth: "112,000 for each operator",
  },
  {
    peer: "Renzo (one LST)",
    operation: "withdrawal request, next: 1 / 5 / 10 operators",
    gas: "469,658 / 924,452 / 1,492,975",
    growth: "114,000 for each operator",
  },
  {
    peer: "Renzo (one LST)",
    operation: "claim: 1 / 5 / 10 operators",
    gas: "374,566 / 829,359 / 1,397,882",
    growth: "114,000 for each operator",
  },
  {
    peer: "ether.fi",
    operation: "deposit, first / next",
    gas: "122,098 / 104,998",
    growth: "reads no EigenLayer state",
  },
  { peer: "ether.fi", operation: "withdrawal request, next", gas: "182,704" },
  { peer: "ether.fi", operation: "claim", gas: "143,619–173,468" },
  {
    peer: "MetaMorpho 1.1",
    operation: "deposit, next: 1 / 5 markets",
    gas: "168,288 / 406,600",
    growth: "60,000 for each market",
  },
  { peer: "Lido withdrawal queue", operation: "withdrawal request, next", gas: "171,335" },
  { peer: "Lido withdrawal queue", operation: "finalisation", gas: "107,322", growth: "constant" },
  { peer: "Lido withdrawal queue", operation: "claim", gas: "74,790" },
  { peer: "BarnBridge SmartAlpha", operation: "deposit (joins a queue)", gas: "128,308" },
];
