/**
 * Who keeps tiers, what for and at what gas: calls through the Upkeep contract, and the same calls sent straight. Gas of a
 * transaction is only in its receipt, so handlers that note one need `receipt: true`. A transaction that failed as a whole
 * left no event and is not here.
 */
import { Address, BigInt, Bytes, ethereum } from "@graphprotocol/graph-ts";
import { Agent, Keeper, Protocol, Series, Tier, TierContract, Upkeep, UpkeepCall } from "../generated/schema";
import { Performed } from "../generated/Upkeep/Upkeep";
import { mulDiv, number4, tally, ZERO } from "./ids";

const NO_DATA = Bytes.empty();

/** Selectors of what keepers call, and the functions' names, in turn. */
const JOBS: string[] = [
  // Tier
  "0xfff6cae9",
  "sync",
  // RiskManager
  "0x32145f90",
  "poke",
  // StakeManager
  "0x5e79bb60",
  "deploy",
  "0x852602fe",
  "redeploy",
  "0x5df6a6bc",
  "unbond",
  "0xd6380f37",
  "complete",
  "0x1232a169",
  "redeposit",
  "0x23095721",
  "requestUnstake",
  "0x9af40f0c",
  "claimUnstaked",
  "0x19b3e25e",
  "creditLoose",
  // Allocator
  "0x4fd8ac24",
  "allocate",
  "0x0fe81463",
  "deallocate",
  "0xa750a585",
  "unwind",
  "0x9fdabec2",
  "deleverage",
  // TrancheToken
  "0x6b75dbde",
  "finalise",
  "0x45877589",
  "returnRequest",
  // TierFactory
  "0x641a5427",
  "openSeries",
  // Mandate
  "0x5e04356c",
  "execute",
  // Rewards
  "0x2e7a0c9c",
  "harvest",
  "0xee7429d5",
  "review",
  "0xba1b2447",
  "absorb",
  "0x0965af74",
  "applyFee",
  "0x432a06b9",
  "closeDrop",
  // EigenLayer's AllocationManager
  "0x4b5046ef",
  "clearDeallocationQueue",
];

/** Those whose contract belongs to no tier, but whose first argument is one, or an agent of one. */
const OPEN_SERIES = "openSeries";
const CLEAR_QUEUE = "clearDeallocationQueue";

/** Upkeep.perform and performUpkeep. */
const PERFORM = "0xc567dfef";
const PERFORM_UPKEEP = "0x4585e33b";
/** Topic of Upkeep's Performed event. */
const PERFORMED = Bytes.fromHexString("0xde12885d1ee05a3db18105ec5a656468661f8ca66581bb34b6373ee52fefe115");

function jobOf(selector: Bytes): string | null {
  const text = selector.toHexString();
  for (let i = 0; i < JOBS.length; i += 2) {
    if (JOBS[i] == text) return JOBS[i + 1];
  }
  return null;
}

export function handlePerformed(event: Performed): void {
  tally("Upkeep.Performed");
  let upkeep = Upkeep.load(event.transaction.hash);
  if (upkeep === null) upkeep = begin(event, event.address, true, callGas(event));
  const job = jobOf(event.params.selector);
  let tier = tierOfContract(event.params.target);
  if (tier === null && takesTier(job)) tier = tierOfArgument(dataOfCall(event));
  const call = new UpkeepCall(number4(upkeep.id, upkeep.callCount));
  call.upkeep = upkeep.id;
  call.index = upkeep.callCount;
  call.target = event.params.target;
  call.tier = tier;
  call.selector = event.params.selector;
  call.job = job === null ? event.params.selector.toHexString() : job;
  call.success = event.params.success;
  call.gasUsed = event.params.gasUsed;
  call.feeETH = mulDiv(upkeep.feeETH, event.params.gasUsed, upkeep.callGas);
  call.failure = event.params.failure;
  call.timestamp = event.block.timestamp;
  finish(upkeep, call);
}

/**
 * Notes a keeper's call that was sent straight to a tier's contract. For handlers of events that such calls bring (a tier's
 * Synced, and SeriesOpened), with `receipt: true`; twice in a transaction counts once. Loads and saves Tier and Protocol, so
 * the handler must hold neither unsaved.
 */
export function noteDirect(event: ethereum.Event): void {
  const to = event.transaction.to;
  const input = event.transaction.input;
  if (to === null || event.receipt === null || input.length < 4) return;
  const selector = slice(input, 0, 4);
  const job = jobOf(selector);
  if (job === null || Upkeep.load(event.transaction.hash) !== null) return;
  let tier = tierOfContract(to);
  if (tier === null && takesTier(job)) tier = tierOfArgument(input);
  if (tier === null) return;
  const upkeep = begin(event, to, false, event.receipt!.gasUsed);
  const call = new UpkeepCall(number4(upkeep.id, 0));
  call.upkeep = upkeep.id;
  call.index = 0;
  call.target = to;
  call.tier = tier;
  call.selector = selector;
  call.job = job;
  call.success = true;
  call.gasUsed = upkeep.gasUsed;
  call.feeETH = upkeep.feeETH;
  call.failure = NO_DATA;
  call.timestamp = event.block.timestamp;
  finish(upkeep, call);
}

/** The transaction as a whole, and what it adds to its keeper. */
function begin(event: ethereum.Event, to: Address, batched: boolean, gas: BigInt): Upkeep {
  const receipt = event.receipt;
  const upkeep = new Upkeep(event.transaction.hash);
  upkeep.keeper = event.transaction.from;
  upkeep.to = to;
  upkeep.batched = batched;
  upkeep.callCount = 0;
  upkeep.gasUsed = receipt === null ? ZERO : receipt.gasUsed;
  upkeep.gasPrice = event.transaction.gasPrice;
  upkeep.feeETH = upkeep.gasUsed.times(upkeep.gasPrice);
  upkeep.callGas = gas;
  upkeep.block = event.block.number;
  upkeep.timestamp = event.block.timestamp;
  const keeper = loadKeeper(event.transaction.from);
  keeper.transactionCount += 1;
  keeper.cumulativeGas = keeper.cumulativeGas.plus(upkeep.gasUsed);
  keeper.cumulativeFeeETH = keeper.cumulativeFeeETH.plus(upkeep.feeETH);
  keeper.save();
  return upkeep;
}

function loadKeeper(account: Address): Keeper {
  let keeper = Keeper.load(account);
  if (keeper === null) {
    keeper = new Keeper(account);
    keeper.transactionCount = 0;
    keeper.callCount = 0;
    keeper.failedCallCount = 0;
    keeper.cumulativeGas = ZERO;
    keeper.cumulativeFeeETH = ZERO;
  }
  return keeper;
}

function takesTier(job: string | null): boolean {
  return job !== null && (job == OPEN_SERIES || job == CLEAR_QUEUE);
}

function tierOfContract(address: Bytes): Bytes | null {
  const contract = TierContract.load(address);
  if (contract !== null) return contract.tier;
  const series = Series.load(address);
  if (series !== null) return series.tier;
  const agent = Agent.load(address);
  return agent === null ? null : agent.tier;
}

/** The tier that a call's first argument is, or whose agent it is. */
function tierOfArgument(data: Bytes): Bytes | null {
  return data.length < 36 ? null : tierOfContract(slice(data, 16, 36));
}

/** Call data of one of a batch's calls, empty where the transaction was not sent to the Upkeep contract. */
function dataOfCall(event: Performed): Bytes {
  const to = event.transaction.to;
  const input = event.transaction.input;
  if (to === null || to.notEqual(event.address) || input.length < 4) return NO_DATA;
  const selector = slice(input, 0, 4).toHexString();
  const given = slice(input, 4, input.length);
  if (selector == PERFORM) {
    const calls = ethereum.decode("(address,uint256,bytes)[]", given);
    const index = event.params.index.toI32();
    if (calls === null || index >= calls.toArray().length) return NO_DATA;
    return calls.toArray()[index].toTuple()[2].toBytes();
  }
  if (selector == PERFORM_UPKEEP) {
    // abi.encode(tier, steps): the tier's word, behind a selector as in a call
    const steps = ethereum.decode("bytes", given);
    if (steps !== null) return slice(input, 0, 4).concat(steps.toBytes());
  }
  return NO_DATA;
}

/** Gas of all calls that Upkeep made in the transaction; a Performed event's data are success, gas, failure. */
function callGas(event: Performed): BigInt {
  const receipt = event.receipt;
  if (receipt === null) return event.params.gasUsed;
  let sum = ZERO;
  for (let i = 0; i < receipt.logs.length; i++) {
    const log = receipt.logs[i];
    if (log.address.notEqual(event.address) || log.topics[0].notEqual(PERFORMED)) continue;
    sum = sum.plus(BigInt.fromUnsignedBytes(Bytes.fromUint8Array(slice(log.data, 32, 64).reverse())));
  }
  return sum;
}

function slice(data: Bytes, from: i32, to: i32): Bytes {
  return Bytes.fromUint8Array(data.subarray(from, to));
}

/** Saves a call and its transaction, and adds them to the tier and, once, to the protocol. */
function finish(upkeep: Upkeep, call: UpkeepCall): void {
  const keeper = Keeper.load(upkeep.keeper)!;
  if (call.success) keeper.callCount += 1;
  else keeper.failedCallCount += 1;
  keeper.save();
  const id = call.tier;
  if (id !== null) {
    const tier = Tier.load(id)!;
    tier.cumulativeUpkeepGas = tier.cumulativeUpkeepGas.plus(call.gasUsed);
    tier.cumulativeUpkeepFeeETH = tier.cumulativeUpkeepFeeETH.plus(call.feeETH);
    tier.save();
    if (upkeep.protocol === null) {
      const protocol = Protocol.load(tier.protocol)!;
      protocol.cumulativeUpkeepGas = protocol.cumulativeUpkeepGas.plus(upkeep.gasUsed);
      protocol.cumulativeUpkeepFeeETH = protocol.cumulativeUpkeepFeeETH.plus(upkeep.feeETH);
      protocol.save();
      upkeep.protocol = protocol.id;
    }
  }
  upkeep.callCount += 1;
  upkeep.save();
  call.save();
}
