/**
 * Every function that changes something, who may call it, and the worst that he could do with it. The chain says which
 * role a function has; this file says what we meant. `npm run roles` makes docs/ROLES.md from both, and
 * test/integration/roles.test.ts calls each function as a stranger. A function that is missing here fails both.
 */
import type { Role } from "./roles.ts";

export type Access =
  /** Permissionless. `effect` is the most that a hostile caller reaches. */
  | { readonly may: "anybody"; readonly effect: string }
  /** One caller, who is not a role; `error` is what everybody else gets. */
  | { readonly may: "only"; readonly caller: string; readonly error: string; readonly effect: string }
  /** A role of AccessManager; `worst` is what its worst holder could do. */
  | { readonly may: "role"; readonly role: Role; readonly worst: string };

const anybody = (effect: string): Access => ({ may: "anybody", effect });
const only = (caller: string, effect: string, error = "NotAuthorised"): Access => ({
  may: "only",
  caller,
  error,
  effect,
});
const role = (name: Role, worst: string): Access => ({ may: "role", role: name, worst });

const once = only(
  "the factory, in the transaction that creates the proxy",
  "sets the proxy up",
  "InvalidInitialization",
);
const authority = only(
  "AccessManager, which the admin tells with `updateAuthority`",
  "hands the roles of this contract to another manager",
  "AccessManagedUnauthorized",
);
const administration = (worst: string) => role("admin", worst);

/** By contract, as its source names it, and function. */
export const ACCESS: Readonly<Record<string, Readonly<Record<string, Access>>>> = {
  Tier: {
    initialize: once,
    setAuthority: authority,
    sync: anybody("books what EigenLayer and Lido say; no rate moves that would not move by itself"),
    topUpReserve: anybody("gives his own WETH to the reserve"),
    addGains: anybody("gives his own WETH to everybody who is in, vesting over three days"),
    recover: anybody("pays his own WETH to those who lost in the open Deficit"),
    begin: only("StakeManager, Allocator, Mandate, RiskManager of the tier", "takes the lock and syncs"),
    end: only("the holder of the lock", "syncs, checks the gate, releases the lock", "NotLockHolder"),
    deposit: only("the live tokens of the tier", "takes WETH and books it"),
    mint: only("the live tokens of the tier", "takes WETH and books it"),
    redeemInstantly: only("the live senior token", "pays from idle, less the fee"),
    requested: only("the live tokens of the tier", "mirrors what is queued"),
    finalise: only("the live tokens of the tier", "sets matured money aside"),
    pay: only("tokens of the tier", "pays what was set aside"),
    payPot: only("retired tokens of the tier", "pays from the pot of a retired series"),
    adoptSeries: only("the factory", "opens a series where there is none"),
    stake: only("StakeManager, lock held", "sends idle through the staking module to an agent"),
    creditUnstaked: only("the staking module, lock held", "books what came back from the staking token"),
    skimReserve: role(
      "curator",
      "takes what the reserve holds above the seed, where the tier is covered without it; no tranche loses",
    ),
    writeOff: role(
      "curator",
      "closes an open Deficit early: entries open, and later compensation goes to those who hold then instead of those who lost",
    ),
    unpauseEntries: role("curator", "opens entries that the guardian closed; the gate still holds"),
    pauseEntries: role("guardian", "keeps entries closed; nobody who is in is held or loses"),
  },
  RiskManager: {
    initialize: once,
    setAuthority: authority,
    poke: anybody("has a set's slashers and allocations read again; a set that turned unapproved is quarantined"),
    refresh: only("Tier", "reads EigenLayer and books slashes"),
    apply_: only("Mandate", "puts terms in force"),
    recordStake: only("StakeManager and Allocator", "reads an agent's stake again"),
    recordAllocation: only("StakeManager and Allocator", "reads an agent's allocation again"),
    recordExit: only("StakeManager and Allocator", "notes a queued withdrawal"),
    removeExit: only("StakeManager and Allocator", "forgets a completed withdrawal"),
    addAgent: only("the factory", "adds an agent without weight"),
    recordNodeOperator: only("an agent of the tier", "notes its own node operator"),
    quarantine: role(
      "guardian",
      "quarantines every group: all allocations are taken down, rewards stop for at least 45 days; no principal is touched",
    ),
    merge: role(
      "curator",
      "joins groups that are independent, for good: L_k rises, limits fall, and junior exits may wait; never less cover",
    ),
    removeAgent: role(
      "curator",
      "removes an agent that holds nothing; a few wei of dust are booked as a loss of gains or reserve",
    ),
  },
  StakeManager: {
    initialize: once,
    deploy: anybody("restakes idle money with an agent of the mandate, up to the limit; gated"),
    redeploy: anybody("restakes loose tokens that no queue needs, up to the limit; gated"),
    unbond: anybody("starts a withdrawal that the queues need, of the agent most above its weight"),
    complete: anybody("completes a withdrawal that is ready, in tokens"),
    redeposit: anybody("puts a withdrawal that nothing needs back into stake; gated"),
    requestUnstake: anybody("sends loose tokens that are needed into the staking token's exit queue"),
    claimUnstaked: anybody("claims what that queue has finished"),
    creditLoose: anybody("has staking tokens that were given to the module counted as a gain"),
  },
  Allocator: {
    initialize: once,
    allocate: anybody("raises an allocation as far as the mandate's target; gated"),
    deallocate: anybody("lowers an allocation that is above the mandate's target"),
    unwind: anybody("takes a quarantined set's allocation down, by the ladder"),
    deleverage: anybody("lowers allocations while the tier is short of cover"),
    beginRegistration: only("an agent of the tier", "takes the lock for a registration with a set of the mandate"),
    endRegistration: only("an agent of the tier", "syncs and releases the lock"),
  },
  Mandate: {
    initialize: once,
    setAuthority: authority,
    propose: role(
      "curator",
      "proposes the riskiest terms that the bounds allow; they wait 45 days or more, can be cancelled, and come into force only if the tier is covered under them",
    ),
    tighten: role(
      "curator",
      "shrinks the tier to nothing: no sets, cap 0, the largest margin and haircut. Entries close, stake comes home, and the haircut may hold junior until the seniors have left",
    ),
    execute: anybody("puts proposed terms in force after their delay, if the tier is covered under them"),
    cancel: role("canceller", "withdraws every proposal, so that the mandate never becomes riskier"),
  },
  TrancheToken: {
    initialize: once,
    deposit: anybody("deposits his own WETH"),
    mint: anybody("deposits his own WETH"),
    transfer: anybody("moves his own shares"),
    approve: anybody("lets somebody move his own shares"),
    setOperator: anybody("lets somebody request and claim for him"),
    finalise: anybody("sets money aside for the head of the queue"),
    instantRedeem: anybody("redeems his own shares at once, for the fee"),
    returnRequest: anybody("gives a retired series' unfinalised request back to its controller"),
    redeemRetired: anybody("takes the part of his own shares in the pot of a retired series"),
    permit: only("who has the owner's signature", "sets an allowance", "ECDSAInvalidSignature"),
    transferFrom: only("whom the owner approved", "moves the owner's shares", "ERC20InsufficientAllowance"),
    requestRedeem: only("the owner, his operator, whom he approved", "queues shares", "ERC20InsufficientAllowance"),
    redeem: only("the controller, his operator", "claims to any receiver", "NotController"),
    redeemEth: only("the controller, his operator", "claims to any receiver", "NotController"),
    withdraw: only("the controller, his operator", "claims to any receiver", "NotController"),
  },
  RestakingAgent: {
    initialize: once,
    deposit: only("StakeManager", "restakes tokens that the agent was sent"),
    complete: only("StakeManager", "completes a withdrawal to the staking module or back into stake"),
    queue: only("StakeManager and Allocator", "queues a withdrawal"),
    allocate: only("Allocator", "changes an allocation"),
    deregister: only("Allocator", "leaves a set"),
    register: only("the node operator", "joins a set of the mandate that is neither quarantined nor unapproved"),
    nominate: only("the factory, for the curator", "offers the agent to another node operator"),
    acceptNomination: only("the nominee", "takes the agent over from its node operator"),
    sweep: anybody("sends tokens that lie with the agent, the staking token excepted, to the tier's Rewards"),
  },
  LidoModule: {
    initialize: once,
    stake: only("Tier", "stakes ETH for an agent"),
    receiveTokens: only("StakeManager", "counts what an agent sent"),
    release: only("StakeManager", "sends loose tokens to an agent"),
    requestUnstake: only("StakeManager", "queues loose tokens at Lido"),
    claimUnstaked: only("StakeManager", "claims from Lido's queue to the tier"),
  },
  TierFactory: {
    setAuthority: authority,
    createTier: role("curator", "opens tiers that nobody needs to enter; he pays their seeds"),
    createAgent: role(
      "curator",
      "fills a tier's eight places with agents of bad node operators; they get no weight but by a mandate",
    ),
    nominateNodeOperator: role(
      "curator",
      "offers agents to a bad node operator, who gets their future pay and may leave sets; he can neither allocate nor withdraw",
    ),
    openSeries: anybody("opens the next series of a tranche whose last one was retired"),
  },
  Rewards: {
    initialize: once,
    setAuthority: authority,
    harvest: anybody("has an agent's rewards paid in, with EigenLayer's proof"),
    absorb: anybody("has tokens that were sent here counted as the tier's"),
    buy: anybody("pays the auction's price of now for reward tokens"),
    claimPay: anybody("takes what he himself has earned"),
    review: anybody("has an agent's operator judged by the state of the chain"),
    applyFee: anybody("puts an announced fee in force after its delay"),
    claimDrop: anybody("has a holder's part of a drop paid to the holder"),
    closeDrop: anybody("returns to the tier what nobody claimed of a drop that is over"),
    recordOperator: only("an agent of the tier", "notes its own node operator"),
    addAgent: only("the factory", "adds an agent"),
    offerTreasury: only("the treasury", "offers its place to another account"),
    acceptTreasury: only("whom the treasury is offered to", "earns the protocol's part from then on"),
    setOperatorFee: role(
      "curator",
      "takes all pay of rewards to come from operators at once, or gives them up to 30 % of AVS rewards after 45 days; never principal or staking yield",
    ),
    setProtocolFee: role("curator", "gives the treasury up to 20 % of AVS rewards after 45 days"),
    resumePay: role("curator", "lets an operator earn whose pay the guardian withheld"),
    listToken: role(
      "curator",
      "sells a reward token too cheaply, as far as nobody outbids him while the price falls; sells what was meant for a drop",
    ),
    setFloor: role(
      "curator",
      "lets the price of a reward token fall to nothing, where nobody buys earlier; or stops its sale",
    ),
    reserveForDrops: role("curator", "gives reward tokens away that could have been sold"),
    postDrop: role(
      "curator",
      "drops reserved reward tokens to whom he likes; anybody can compute the right tree from the inputs that he names",
    ),
    withholdPay: role("guardian", "withholds every operator's pay from then on; the tier gets it"),
    raiseFloor: role("guardian", "stops every sale of reward tokens; they stay here"),
  },
  Router: {
    depositEth: anybody("deposits his own ETH"),
    deposit: anybody("deposits his own WETH"),
    instantRedeem: anybody("redeems his own shares at once"),
    requestRedeem: anybody("queues his own shares, with a permit for the router"),
  },
  Upkeep: {
    perform: anybody("makes calls that he could make himself, from a contract that has no right and holds nothing"),
    simulate: anybody("the same, and says what each call used"),
    attempt: anybody("makes a call that is taken back"),
    performUpkeep: anybody("has jobs of a tier done that anybody may have done"),
    checkUpkeep: only(
      "the zero address, in a simulation",
      "looks which jobs of a tier are due by doing them",
      "OnlySimulatedBackend",
    ),
  },
  UpkeepLens: {
    pulse: anybody("syncs tiers"),
    pulseOf: anybody("syncs a tier"),
    observe: anybody("syncs a tier"),
    stateOf: anybody("syncs a tier"),
  },
  RoleAcceptance: {
    accept: anybody("says that he would take a role; only a grant gives it"),
    decline: anybody("takes his own word back"),
  },
  UpgradeableBeacon: {
    upgradeTo: role(
      "upgrader",
      "everything, 60 days later: any code behind every proxy of this kind. Exits take less, and the guardian may call it off",
    ),
    transferOwnership: role("upgrader", "the same as an upgrade: whoever owns the beacon upgrades at once"),
    renounceOwnership: role("upgrader", "ends upgrades of this kind for good"),
  },
  AccessManager: {
    multicall: anybody("calls several of these functions, each with its own check"),
    renounceRole: anybody("gives his own role up, for good"),
    schedule: only(
      "whoever holds the role of the call",
      "announces a call that has a delay",
      "AccessManagerUnauthorizedCall",
    ),
    execute: only(
      "whoever holds the role of the call",
      "makes a call that was announced",
      "AccessManagerUnauthorizedCall",
    ),
    cancel: only(
      "who announced the call, the guardian of its role, the admin",
      "calls an announced call off",
      "AccessManagerUnauthorizedCancel",
    ),
    consumeScheduledOp: only("the target of the call", "marks an announced call as done", "no data"),
    labelRole: administration("names roles misleadingly"),
    grantRole: administration("gives any role to himself, the upgrader's after its grant delay"),
    revokeRole: administration("takes any role from anybody: nobody could pause, quarantine or call an upgrade off"),
    setRoleAdmin: administration("lets others grant and revoke a role"),
    setRoleGuardian: administration("takes the right to call upgrades off from the guardian"),
    setGrantDelay: administration("shortens the grant delay of a role, after the old one has passed"),
    setTargetFunctionRole: administration(
      "gives any restricted function to any role; for the beacons after their delay",
    ),
    setTargetAdminDelay: administration("shortens the delay of a target, after the old one has passed"),
    setTargetClosed: administration(
      "closes the restricted functions of a contract, protection included; exits have none",
    ),
    updateAuthority: administration("hands the restricted functions of a contract to a manager of his own"),
  },
};

/**
 * Contracts that another one reaches by delegatecall. They are never initialised, so each call to themselves fails; their
 * functions are those of the contract that they serve.
 */
export const DELEGATES: Readonly<Record<string, string>> = {
  RiskConfigurator: "RiskManager",
  RiskWatch: "RiskManager",
  TierReserve: "Tier",
  RewardsConfigurator: "Rewards",
};

/** The entry of a function; a sentence that says what to do where there is none. */
export function accessOf(contract: string, fn: string): Access {
  const access = ACCESS[contract]?.[fn];
  if (access === undefined)
    throw new Error(
      `${contract}.${fn} changes state and deploy/access.ts does not say who may call it: add it there (permissionless, only one caller, or a role with the worst that it could do), and give a role to it in deploy/roles.ts if it is restricted.`,
    );
  return access;
}
