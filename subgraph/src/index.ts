/**
 * Every handler of the manifest. All data sources name this one module, so that it is compiled once instead of once for
 * each file, and graph-node keeps one of it.
 */
export {
  handleNodeOperatorNamed,
  handleNodeOperatorNominated,
  handleRegistered,
  handleSwept,
} from "./agent";
export {
  handleAllocated,
  handleDeregistered,
  handleStakeEvacuated,
} from "./allocator";
export {
  handleAllocationUpdated,
  handleEncumberedMagnitudeUpdated,
  handleMaxMagnitudeUpdated,
  handleOperatorAddedToOperatorSet,
  handleOperatorRemovedFromOperatorSet,
  handleOperatorSharesSlashed,
  handleOperatorSlashed,
  handleSlasherUpdated,
  handleSlashingWithdrawalCompleted,
  handleSlashingWithdrawalQueued,
} from "./eigenlayer";
export {
  handleAgentCreated,
  handleFactoryAuthorityUpdated,
  handleRewardsCreated,
  handleSeriesCreated,
  handleTierCreated,
} from "./factory";
export {
  handleGreeted,
  handleMisbehaviourProven,
  handleOpened,
  handleOperationCanceled,
  handleOperationExecuted,
  handleOperationScheduled,
  handleOwnershipTransferred,
  handleRoleAccepted,
  handleRoleAdminChanged,
  handleRoleDeclined,
  handleRoleGrantDelayChanged,
  handleRoleGranted,
  handleRoleGuardianChanged,
  handleRoleLabel,
  handleRoleRevoked,
  handleSigningKeyRegistered,
  handleSigningKeyRetired,
  handleTargetAdminDelayUpdated,
  handleTargetClosed,
  handleTargetFunctionRoleUpdated,
  handleTaskCreated,
  handleUpgraded,
} from "./governance";
export {
  handleMandateApplied,
  handleMandateAuthorityUpdated,
  handleMandateCancelled,
  handleMandateProposed,
} from "./mandate";
export {
  handleReceived,
  handleReleased,
  handleStaked,
  handleUnstakeClaimed,
  handleUnstakeRequested,
} from "./module";
export {
  handleAbsorbed,
  handleDropClaimed,
  handleDropClosed,
  handleDropPosted,
  handleEarned,
  handleFaultEnded,
  handleFaultFound,
  handleFeeChanged,
  handleFeeProposed,
  handleFloorChanged,
  handleGainPaid,
  handleHarvested,
  handleLotOpened,
  handleOperatorRecorded,
  handlePayClaimed,
  handleReservedForDrops,
  handleRewardsAuthorityUpdated,
  handleSold,
  handleTokenListed,
  handleTreasuryChanged,
  handleTreasuryOffered,
} from "./rewards";
export {
  handleAgentAdded,
  handleAgentRemoved,
  handleAllocationRecorded,
  handleExitQueued,
  handleExitRemoved,
  handleGroupChanged,
  handleNodeOperatorRecorded,
  handleParamsChanged,
  handleQuarantineChanged,
  handleRiskAuthorityUpdated,
  handleSetAdded,
  handleSetPoked,
  handleSlashAttributed,
  handleStakeRecorded,
  handleTargetChanged,
  handleWeightChanged,
} from "./risk";
export {
  handleDeployed,
  handleUnbonded,
  handleWithdrawalCompleted,
} from "./stakes";
export {
  handleDeficitClosed,
  handleDeficitOpened,
  handleEntriesPaused,
  handleGainsAdded,
  handleInstantlyRedeemed,
  handleLossBooked,
  handleRecovered,
  handleReserveSkimmed,
  handleReserveToppedUp,
  handleSeriesOpened,
  handleSeriesRetired,
  handleSynced,
  handleTierAuthorityUpdated,
} from "./tier";
export {
  handleDeposit,
  handleFinalised,
  handleOperatorSet,
  handlePotPaid,
  handleRedeemRequest,
  handleRequestReturned,
  handleTransfer,
  handleWithdraw,
} from "./token";
export { handlePerformed } from "./upkeep";
