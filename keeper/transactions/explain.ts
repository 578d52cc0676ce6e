/** What a contract answered when it refused, in words. */
import { AbiCoder, type ErrorFragment, Interface, type InterfaceAbi, isError } from "ethers";
import { CallReverted } from "../chain/types.ts";
import { UPKEEP } from "./upkeep.ts";

/**
 * Errors of what Bulkhead stands on; the protocol's own come from the deployment's ABIs. EigenLayer's are of v1.9 to
 * v1.13; Lido's withdrawal queue and ERC-20 answer through our calls too.
 */
const EIGENLAYER = [
  "ActivelyDelegated()",
  "AlreadyMemberOfSet()",
  "CallerCannotUndelegate()",
  "CheckpointUnorderedInsertion()",
  "CurrentlyPaused()",
  "EarningsNotGreaterThanClaimed()",
  "FullySlashed()",
  "InputAddressZero()",
  "InputArrayLengthMismatch()",
  "InputArrayLengthZero()",
  "InsufficientMagnitude()",
  "InvalidAVSRegistrar()",
  "InvalidCaller()",
  "InvalidClaimProof()",
  "InvalidDepositScalingFactor()",
  "InvalidEarnerLeafIndex()",
  "InvalidNewPausedStatus()",
  "InvalidOperator()",
  "InvalidOperatorSet()",
  "InvalidPermissions()",
  "InvalidProofLength()",
  "InvalidRedistributionRecipient()",
  "InvalidRootIndex()",
  "InvalidSignature()",
  "InvalidTokenLeafIndex()",
  "InvalidWadToSlash()",
  "MaxStrategiesExceeded()",
  "ModificationAlreadyPending()",
  "NewSharesZero()",
  "NonexistentAVSMetadata()",
  "NotActivelyDelegated()",
  "NotMemberOfSet()",
  "OnlyAllocationManager()",
  "OnlyDelegationManager()",
  "OnlyPauser()",
  "OnlyStrategyManager()",
  "OnlyStrategyManagerOrEigenPodManager()",
  "OnlyStrategyWhitelister()",
  "OnlyUnderlyingToken()",
  "OnlyUnpauser()",
  "OperatorNotRegistered()",
  "OperatorNotSlashable()",
  "OperatorsCannotUndelegate()",
  "RootDisabled()",
  "RootNotActivated()",
  "SameMagnitude()",
  "SharesAmountTooHigh()",
  "SharesAmountZero()",
  "StakerAddressZero()",
  "StrategiesMustBeInAscendingOrder()",
  "StrategyAlreadyInOperatorSet()",
  "StrategyAlreadyInSlash()",
  "StrategyNotInOperatorSet()",
  "StrategyNotWhitelisted()",
  "TotalSharesExceedsMax()",
  "UninitializedAllocationDelay()",
  "WithdrawalAmountExceedsTotalDeposits()",
  "WithdrawalDelayNotElapsed()",
  "WithdrawalNotQueued()",
  "WithdrawerNotCaller()",
];
const LIDO = [
  "RequestAlreadyClaimed(uint256 requestId)",
  "RequestAmountTooLarge(uint256 amount)",
  "RequestAmountTooSmall(uint256 amount)",
  "RequestNotFoundOrNotFinalized(uint256 requestId)",
  "ResumedExpected()",
  "NotOwner(address sender, address owner)",
  "InvalidHint(uint256 hint)",
];
const TOKENS = [
  "ERC20InsufficientBalance(address sender, uint256 balance, uint256 needed)",
  "ERC20InsufficientAllowance(address spender, uint256 allowance, uint256 needed)",
  "AccessManagedUnauthorized(address caller)",
];

const PANICS: Readonly<Record<string, string>> = {
  "1": "an assertion failed",
  "17": "an overflow",
  "18": "a division by zero",
  "33": "a value outside its enumeration",
  "34": "a storage string that is not encoded well",
  "49": "a pop of an empty array",
  "50": "an index outside its array",
  "65": "more memory than there is",
  "81": "a call of a function that is not set",
};
const ERROR = "0x08c379a0";
const PANIC = "0x4e487b71";
const MAX_TEXT = 400;

export class Explainer {
  readonly #errors = new Map<string, { readonly fragment: ErrorFragment; readonly of?: string }>();

  /** With the ABIs of the deployment. */
  constructor(abis: Iterable<Interface | InterfaceAbi>) {
    this.#learn(UPKEEP);
    this.#learn(new Interface(TOKENS.map((one) => `error ${one}`)));
    this.#learn(new Interface(LIDO.map((one) => `error ${one}`)), "Lido");
    this.#learn(new Interface(EIGENLAYER.map((one) => `error ${one}`)), "EigenLayer");
    for (const abi of abis) this.#learn(Interface.from(abi));
  }

  #learn(face: Interface, of?: string): void {
    face.forEachError((fragment) => {
      this.#errors.set(fragment.selector, of === undefined ? { fragment } : { fragment, of });
    });
  }

  /** Revert data in words: `ExceedsDepositLimit(assets 5, limit 3)`. What is not known is shown as it is. */
  data(data: string): string {
    return shorten(this.#data(data));
  }

  #data(data: string): string {
    if (data === "0x" || data === "") return "it reverts without a reason (out of gas, or a contract that gives none)";
    const selector = data.slice(0, 10).toLowerCase();
    const body = `0x${data.slice(10)}`;
    try {
      if (selector === ERROR) return `"${String(AbiCoder.defaultAbiCoder().decode(["string"], body)[0])}"`;
      if (selector === PANIC) {
        const code = String(AbiCoder.defaultAbiCoder().decode(["uint256"], body)[0]);
        return `a panic: ${PANICS[code] ?? `code ${code}`}`;
      }
      const known = this.#errors.get(selector);
      if (known) return this.#words(known.fragment, body, known.of);
    } catch {
      // fewer bytes than the error has arguments: shown as it is
    }
    return `an unknown error ${data}`;
  }

  #words(fragment: ErrorFragment, body: string, of: string | undefined): string {
    const values = AbiCoder.defaultAbiCoder().decode(fragment.inputs, body);
    const args = fragment.inputs.map((input, i) => {
      const value: unknown = values[i];
      const text =
        input.type === "bytes" && typeof value === "string" && value.length >= 10 ? this.#data(value) : String(value);
      return input.name === "" ? text : `${input.name} ${text}`;
    });
    return `${fragment.name}(${args.join(", ")})${of === undefined ? "" : ` of ${of}`}`;
  }

  /** Whatever was thrown, in one line. */
  error(error: unknown): string {
    if (error instanceof CallReverted) return this.data(error.data);
    if (isError(error, "CALL_EXCEPTION") && error.data) return this.data(error.data);
    return shorten(error instanceof Error ? error.message : String(error));
  }
}

const shorten = (text: string) => {
  const line = text.replace(/\s+/g, " ");
  return line.length > MAX_TEXT ? `${line.slice(0, MAX_TEXT)}…` : line;
};
