import {
  Deposit,
  Finalised,
  OperatorSet,
  PotPaid,
  RedeemRequest,
  RequestReturned,
  Transfer,
  Withdraw,
} from "../generated/templates/TrancheToken/ITrancheToken";

export function handleDeposit(event: Deposit): void {}

export function handleFinalised(event: Finalised): void {}

export function handleOperatorSet(event: OperatorSet): void {}

export function handlePotPaid(event: PotPaid): void {}

export function handleRedeemRequest(event: RedeemRequest): void {}

export function handleRequestReturned(event: RequestReturned): void {}

export function handleTransfer(event: Transfer): void {}

export function handleWithdraw(event: Withdraw): void {}
