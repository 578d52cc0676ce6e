/** The fields that only the chain knows, as they are added to the subgraph's schema. */

export const LIVE_TYPES = /* GraphQL */ `
  extend type Query {
    "How far the subgraph is, how far the chain, and whether all is well."
    gatewayStatus: GatewayStatus!
  }

  extend type Tier {
    "What a sync now would find, read from the chain at the block that this answer is of. None, with an error, while the chain cannot be read."
    live: LiveTier
    "What if these slasher groups took all that they could take now? Without groups: the k worst. Losses are rounded up, by the wei that a slash may leave to rounding."
    solvency(
      "Numbers of slasher groups."
      groups: [Int!]
      "Whether all sets with an unapproved slasher slash as well."
      unapproved: Boolean = true
    ): Solvency
  }

  extend type AVS {
    "What if every slasher group that a set of this AVS belongs to took all that it could take now: one answer for each tier that knows a set of it."
    whatIf: [Solvency!]
  }

  extend type OperatorSet {
    "What if the slasher group of this set took all that it could take now: one answer for each tier that knows it."
    whatIf: [Solvency!]
  }

  extend type RedeemRequest {
    "When it will be paid, and why not sooner."
    forecast: Forecast
  }

  extend type Position {
    "Value and what grows with time, brought up to the block that this answer is of."
    now: PositionNow
  }

  extend type Account {
    "All of its positions, brought up to the block that this answer is of."
    now: AccountNow
  }

  extend type Link {
    "What the set could take of the agent now (wei, rounded up)."
    atStake: BigInt
  }

  extend type Series {
    "Most shares that holders can redeem at once now; 0 for junior series and while instant exits are closed."
    maxInstantRedeem: BigInt
  }

  "A block."
  type BlockReading {
    "Its number."
    number: Int!
    "Its hash."
    hash: Bytes!
    "Its time (Unix seconds)."
    timestamp: BigInt!
  }

  "How far the subgraph and the chain are."
  type GatewayStatus {
    "The newest block that is indexed; none while graph-node does not answer."
    subgraph: BlockReading
    "The chain's head; none while its RPC does not answer."
    chain: BlockReading
    "Blocks between both; none where one of them is not known."
    lagBlocks: Int
    "Whether the subgraph has failed."
    hasIndexingErrors: Boolean!
    "healthy, unhealthy or failed, as graph-node says; none where it was not asked or does not answer."
    health: String
    "Why the subgraph has failed."
    fatalError: String
    "Oldest block that can be asked for; none where it is not known."
    earliestBlock: Int
    "Id of the subgraph's deployment (hash of its manifest)."
    deployment: String
    "What a reader must know."
    notes: [String!]!
  }

  "A tier as a sync now would leave it."
  type LiveTier {
    "The block that all of this was read at."
    block: BlockReading!
    "V (wei)."
    totalValueLockedETH: BigInt!
    "R (wei)."
    reserve: BigInt!
    "J (wei)."
    junior: BigInt!
    "S (wei)."
    senior: BigInt!
    "G: gains not vested yet (wei)."
    gains: BigInt!
    "Cover c = R + J (wei)."
    cover: BigInt!
    "Cover less the value of queued junior shares (wei): what new exposure may rely on."
    deployableCover: BigInt!
    "U (WAD, rounded up): covered while at most 1e18."
    utilisation: BigInt!
    "Whether U is at most 1."
    covered: Boolean!
    "L_k (wei·1e9): what the k largest slasher groups and all unapproved sets could take."
    exposed: BigInt!
    "What unapproved sets could take (wei·1e9), counted in L_k on top of the k largest groups."
    unapprovedExposure: BigInt!
    "The k largest slasher groups, the largest first: who could hurt most."
    worst: [LiveGroup!]!
    "All slasher groups, the largest first."
    groups: [LiveGroup!]!
    "Wei for 1e18 senior shares (rounded down): the token's collateralRate, which lending markets read."
    seniorRate: BigInt
    "The same for the junior."
    juniorRate: BigInt
    "Premium base rate rT (WAD a year)."
    baseRate: BigInt
    "Premium rate p that rules at this U (WAD a year); 0 while a Deficit is open."
    premiumRate: BigInt
    "Most that the senior tranche takes now (wei)."
    seniorMaxDeposit: BigInt
    "Most that the junior tranche takes now (wei)."
    juniorMaxDeposit: BigInt
    "Senior shares that can be finalised now."
    seniorFinalisable: BigInt!
    "Junior shares that can be finalised now."
    juniorFinalisable: BigInt!
    "Senior shares that wait."
    seniorQueued: BigInt!
    "Junior shares that wait."
    juniorQueued: BigInt!
    "WETH at hand (wei)."
    idle: BigInt!
    "WETH set aside for finalised claims and pots (wei), outside V."
    reserved: BigInt!
    "What queues and buffer ask for (wei)."
    wanted: BigInt!
    "In EigenLayer's withdrawal queue (wei)."
    queued: BigInt!
    "Staking tokens that are not restaked (wei)."
    loose: BigInt!
    "In the staking protocol's exit queue (wei)."
    unstaking: BigInt!
    "Requests of it that are paid and not collected."
    unstakeClaimable: Int!
    "What has to be taken out of EigenLayer for queues and buffer, beyond what is on its way (wei)."
    unbondNeed: BigInt!
    "Idle that no queue and no buffer claims (wei): it may be restaked."
    deployable: BigInt!
    "Whether exposure has to be cut to restore cover."
    deleverageDue: Boolean!
    "Whether allocations to quarantined sets are left to take back."
    unwindDue: Boolean!
    "Whether a loss waits to be booked by a sync."
    lossDue: Boolean!
    "Agents that EigenLayer has slashed since the last sync."
    slashedAgents: [Bytes!]!
    "Wei of the open Deficit that the senior may still recover; 0 if none is open."
    deficitOutstanding: BigInt!
    "Agents with what could be taken from each."
    agents: [LiveAgent!]!
    "What runs with each node operator, and what could be taken from it; the largest first."
    nodeOperators: [LiveShare!]
    "What the sets of each AVS could take; the largest first."
    avss: [LiveShare!]
  }

  "A slasher group now."
  type LiveGroup {
    "Its number: the lowest position of its sets."
    number: Int!
    "E_a (wei·1e9); 0 while all of its sets are unapproved."
    exposure: BigInt!
    "What it could take (wei, rounded up)."
    canTake: BigInt!
    "Cover R + J over that (fraction); none where it could take nothing."
    coverRatio: BigDecimal
    "Whether it is one of the k largest."
    worst: Boolean!
    "Its sets."
    sets: [LiveSet!]!
    "The group as it is indexed."
    group: SlasherGroup
  }

  "An operator set now."
  type LiveSet {
    "Position in the tier's RiskManager."
    index: Int!
    "The AVS's address."
    avs: Bytes!
    "The set's id in the AVS."
    setId: BigInt!
    "Its slasher at EigenLayer."
    slasher: Bytes!
    "A slasher to come at EigenLayer; zero if none is."
    pendingSlasher: Bytes!
    "Whether its slasher is not the approved one."
    unapproved: Boolean!
    "Whether it is quarantined."
    quarantined: Boolean!
  }

  "An agent now."
  type LiveAgent {
    "Its address."
    account: Bytes!
    "Who runs it."
    nodeOperator: Bytes!
    "Position in the tier's RiskManager."
    index: Int!
    "EigenLayer's maxMagnitude (WAD)."
    magnitude: BigInt!
    "Value of its stake without its withdrawal queue (wei, rounded down)."
    stakeValue: BigInt!
    "What a slash could reach: stake and the withdrawals whose delay has not ended (wei, rounded up)."
    reachable: BigInt
    "What all of its sets together could take (wei, rounded up), at most what they can reach."
    atStake: BigInt
    "Whether it has an allocation to a quarantined set."
    quarantined: Boolean!
    "The agent as it is indexed."
    agent: Agent
  }

  "What runs with, or could be taken by, one address."
  type LiveShare {
    "The node operator's or AVS's address."
    id: Bytes!
    "Stake that it runs, or that is allocated to it and could be reached (wei)."
    stake: BigInt!
    "What could be taken (wei, rounded up)."
    atStake: BigInt!
    "That, over V (fraction)."
    shareOfValue: BigDecimal!
  }

  "What a tier would look like after a slash."
  type Solvency {
    "The block that it was read at."
    block: BlockReading!
    "The tier's address."
    tierId: Bytes!
    "The tier as it is indexed."
    tier: Tier
    "V before (wei)."
    value: BigInt!
    "What would be taken (wei, rounded up), at most all that is staked."
    loss: BigInt!
    "What each of these groups would take alone."
    byGroup: [GroupLoss!]!
    "What unapproved sets would take (wei)."
    lossUnapproved: BigInt!
    "What unvested gains would bear (wei)."
    gainsLoss: BigInt!
    "What the reserve would bear (wei)."
    reserveLoss: BigInt!
    "What the junior would bear (wei)."
    juniorLoss: BigInt!
    "What the senior would bear (wei)."
    seniorLoss: BigInt!
    "G afterwards (wei)."
    gainsAfter: BigInt!
    "R afterwards (wei)."
    reserveAfter: BigInt!
    "J afterwards (wei)."
    juniorAfter: BigInt!
    "S afterwards (wei)."
    seniorAfter: BigInt!
    "Loss of the senior's book (bps, rounded up)."
    seniorLossBps: BigInt!
    "Loss of the junior's book (bps, rounded up)."
    juniorLossBps: BigInt!
    "Whether U is at most 1 before it."
    covered: Boolean!
    "Positions that would lose, those with the largest loss first. Exact for those that are shown; which are shown goes by their last indexed value."
    holdersAtRisk(
      "At most so many; up to 1,000."
      first: Int = 100
    ): [HolderAtRisk!]
  }

  "What a group would take."
  type GroupLoss {
    "The group's number."
    number: Int!
    "What it would take alone (wei, rounded up)."
    loss: BigInt!
    "The group as it is indexed."
    group: SlasherGroup
  }

  "A position that would lose."
  type HolderAtRisk {
    "Whose."
    account: Bytes!
    "Whether it is a senior position."
    senior: Boolean!
    "Shares in wallet and queue."
    shares: BigInt!
    "Their value before (wei, rounded down)."
    value: BigInt!
    "What they would lose (wei, rounded down)."
    loss: BigInt!
    "The position as it is indexed."
    position: Position
  }

  "What a request waits for."
  enum ForecastStatus {
    "It can be finalised in the next block."
    READY
    "Its shares are not mature; by then the money will be there."
    MATURING
    "Money has to come back from restaking first."
    WAITING_FOR_MONEY
    "Junior money is bound by what it covers: exposure has to fall, or junior money to come, first."
    WAITING_FOR_COVER
    "Nothing of it waits: it is finalised, claimed or returned."
    SETTLED
    "It cannot be told; the reasons say why."
    UNKNOWN
  }

  "When a request will be paid. A forecast: it says what it assumes."
  type Forecast {
    "The block that it was made at."
    block: BlockReading!
    "What the request waits for."
    status: ForecastStatus!
    "Its shares that wait."
    pendingShares: BigInt!
    "Shares of it that could be finalised in the next block."
    readyShares: BigInt!
    "Shares before it in the queue."
    sharesAhead: BigInt!
    "What the waiting shares are worth now (wei, rounded down)."
    value: BigInt
    "Block from which its shares are mature."
    matureBlock: Int
    "First block in which the whole request could be finalised, if the staking protocol paid at once; none where nothing on its way would pay it."
    earliestBlock: Int
    "Time of that block, at 12 seconds a block."
    earliestTimestamp: BigInt
    "The same with the usual wait in the staking protocol's queue."
    likelyBlock: Int
    "Time of that block, at 12 seconds a block."
    likelyTimestamp: BigInt
    "Money that is missing now for everything up to the end of this request (wei)."
    missing: BigInt
    "Why, in words."
    reasons: [String!]!
    "What must stay as it is for this to come true."
    assumptions: [String!]!
  }

  "A position, brought up to a block."
  type PositionNow {
    "The block."
    block: BlockReading!
    "Value of wallet and queue at the rate that a sync now would store (wei, rounded down)."
    value: BigInt
    "That less the cost basis (wei, signed)."
    unrealisedGain: BigInt
    "Losses that its shares have borne, as booked by syncs (wei, rounded down)."
    lossesBorne: BigInt!
    "Wei-seconds up to the block: at each sync's rate (rounded down)."
    ethSeconds: BigInt!
    "The same in ETH-hours."
    ethHours: BigDecimal!
  }

  "An account, brought up to a block."
  type AccountNow {
    "The block."
    block: BlockReading!
    "Value of all of its positions (wei)."
    value: BigInt
    "That less what they cost (wei, signed)."
    unrealisedGain: BigInt
    "Losses that they have borne (wei)."
    lossesBorne: BigInt!
    "Wei-seconds of them up to the block."
    ethSeconds: BigInt!
    "The same in ETH-hours."
    ethHours: BigDecimal!
  }
`;

export const SUBSCRIPTION_TYPES = /* GraphQL */ `
  "Server-sent events, in the order in which things happened; none lost and none twice. After a reorganisation, events from the announced block on are void and come again as they are now: watch \`reorganised\` too."
  type Subscription {
    "Each sync, of one tier or of all."
    synced(
      "The tier's address."
      tier: ID
    ): Sync!
    "Each booked loss, of one tier or of all."
    lossBooked(
      "The tier's address."
      tier: ID
    ): Loss!
    "U after each sync at which it is above the bound, and after the first at which it is not any more."
    utilisation(
      "The tier's address."
      tier: ID
      "The bound (WAD)."
      above: BigInt = "0"
    ): UtilisationReading!
    "The chain took blocks back."
    reorganised: Reorganisation!
  }

  "U after a sync."
  type UtilisationReading {
    "The tier as it is indexed."
    tier: Tier!
    "U (WAD, rounded up)."
    utilisation: BigInt!
    "Whether it is above the bound."
    above: Boolean!
    "Block of the sync."
    block: BigInt!
    "Time of the sync."
    timestamp: BigInt!
  }

  "Blocks that were taken back."
  type Reorganisation {
    "Events of this block and of later ones, told before, are void."
    fromBlock: Int!
    "The new head."
    head: BlockReading!
  }
`;
