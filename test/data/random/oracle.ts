/** What the chain says at a block, by its hash, against what the subgraph says at that block. */
import { type Interface, type Result, ZeroAddress, ZeroHash } from "ethers";
import * as z from "zod";
import type { Deployment } from "../../../deployments/index.ts";
import type { Comparison } from "./compare.ts";
import type { At, Block, Node, View } from "./node.ts";
import type { Scene } from "./stage.ts";

const WAD = 10n ** 18n;
const big = (value: unknown): bigint => z.bigint().parse(value);
const str = (value: unknown): string => z.string().parse(value).toLowerCase();
const flag = (value: unknown): boolean => z.boolean().parse(value);
const bytes = (id: string, number: number | bigint, length: number): string =>
  `${id.toLowerCase()}${number.toString(16).padStart(2 * length, "0")}`;

const factoryOf = ({ contracts }: Deployment): string => {
  if (!contracts.factory) throw new Error("The deployment has no factory.");
  return contracts.factory.address;
};

/** Questions are collected, asked in batches, and their answers handed to those who asked. */
class Questions {
  readonly #node: Node;
  readonly #at: At;
  #open: { readonly view: View; readonly then: (result: Result | undefined) => void }[] = [];

  constructor(node: Node, at: At) {
    this.#node = node;
    this.#at = at;
  }

  ask(to: string, face: Interface, fn: string, args: readonly unknown[], then: (result: Result) => void): void {
    this.maybe(to, face, fn, args, (result) => {
      if (!result) throw new Error(`${fn}(${args.join(", ")}) of ${to} reverts.`);
      then(result);
    });
  }

  maybe(
    to: string,
    face: Interface,
    fn: string,
    args: readonly unknown[],
    then: (result: Result | undefined) => void,
  ): void {
    this.#open.push({ view: { to, face, fn, args }, then });
  }

  /** Until nobody asks any more; answers may lead to questions. */
  async answer(): Promise<void> {
    while (this.#open.length > 0) {
      const open = this.#open;
      this.#open = [];
      const results = await this.#node.views(
        open.map(({ view }) => view),
        this.#at,
      );
      for (const [i, { then }] of open.entries()) then(results[i]);
    }
  }
}

/** Compares all that a call can tell. */
export async function compareWithCalls(scene: Scene, block: Block, c: Comparison): Promise<void> {
  const { node, faces, deployment } = scene;
  const q = new Questions(node, { blockHash: block.hash });
  const factory = factoryOf(deployment);
  const tiers: string[] = [];
  q.ask(factory, faces.factory, "tierCount", [], (count) => {
    c.same("Protocol", factory, "tierCount", big(count[0]));
    for (let i = 0n; i < big(count[0]); i++)
      q.ask(factory, faces.factory, "tierAt", [i], (tier) => {
        tiers.push(str(tier[0]));
        c.same("Tier", str(tier[0]), "index", i);
      });
  });
  await q.answer();
  c.ids("Tier", tiers);
  let locked = 0n;
  for (const tier of tiers) compareTier(scene, tier, q, c, (value) => (locked += value));
  for (const series of c.all("Series").keys()) compareSeries(scene, series, q, c);
  await q.answer();
  c.same("Protocol", factory, "totalValueLockedETH", locked);
  await compareExposures(scene, c);
}

function compareTier(scene: Scene, tier: string, q: Questions, c: Comparison, counted: (v: bigint) => void): void {
  const { faces, deployment } = scene;
  const at = (fn: string, args: readonly unknown[], then: (result: Result) => void) =>
    q.ask(tier, faces.tier, fn, args, then);
  const live = [true, false];
  at("books", [], ([books]) => {
    const part = (name: string) => big(books.getValue(name));
    const [reserve, junior, senior, gains] = [part("reserve"), part("junior"), part("senior"), part("gains")];
    const total = reserve + junior + senior + gains;
    c.fields("Tier", tier, { reserve, junior, senior, gains, totalValueLockedETH: total, cover: reserve + junior });
    counted(total);
    for (const isSenior of live)
      at("token", [isSenior], ([token]) => {
        const id = bytes(tier, isSenior ? 1 : 0, 1);
        const series = str(token);
        const assets = isSenior ? senior : junior;
        c.same("Tranche", id, "assets", assets);
        c.same("Tranche", id, "series", series === ZeroAddress ? null : series);
        at("shares", [isSenior], ([shares]) => {
          const supply = big(shares.getValue("supply"));
          const rate = supply === 0n ? WAD : (assets * WAD) / supply;
          c.fields("Tranche", id, {
            supply,
            rate,
            queuedShares: big(shares.getValue("queued")),
            tier,
            senior: isSenior,
          });
          if (series !== ZeroAddress) c.fields("Series", series, { supply, rate, retired: false });
        });
      });
  });
  at("status", [], (s) =>
    c.fields("Tier", tier, {
      utilisation: big(s.getValue("utilisation")),
      baseRate: big(s.getValue("baseRate")),
      lastSync: big(s.getValue("lastSync")),
      unlockAt: big(s.getValue("unlockAt")),
      entriesPaused: flag(s.getValue("entriesPaused")),
    }),
  );
  at("cash", [], ([idle, reserved]) => c.fields("Tier", tier, { idle: big(idle), reserved: big(reserved) }));
  at("deficit", [], ([d]) => {
    const closes = big(d.getValue("closesAt"));
    const id = String(c.all("Tier").get(tier)?.deficit ?? "");
    c.equal("Tier.deficit", tier, closes > 0n, id !== "" && id !== "null");
    if (closes === 0n || !c.all("Deficit").has(id)) return;
    const orNull = (address: string) => (address === ZeroAddress ? null : address);
    c.fields("Deficit", id, {
      tier,
      status: "OPEN",
      outstanding: big(d.getValue("outstanding")),
      juniorOutstanding: big(d.getValue("juniorLoss")),
      closesAt: closes,
      openedTimestamp: big(d.getValue("openedAt")),
      seniorSeries: orNull(str(d.getValue("seniorToken"))),
      juniorSeries: orNull(str(d.getValue("juniorToken"))),
    });
  });
  q.ask(factoryOf(deployment), faces.factory, "rewardsOf", [tier], ([rewards]) => {
    c.same("Tier", tier, "rewards", str(rewards));
    compareRewards(scene, tier, str(rewards), q, c);
  });
  at("parts", [], ([parts]) => {
    const part = (name: string) => str(parts.getValue(name));
    c.fields("Tier", tier, {
      risk: part("risk"),
      stakes: part("stakes"),
      allocator: part("allocator"),
      mandateContract: part("mandate"),
      module: part("stakingModule"),
    });
    const termsOf = (id: unknown) => c.all("Mandate").get(String(id))?.termsId ?? ZeroHash;
    q.ask(part("mandate"), faces.mandate, "current", [], ([current]) =>
      c.equal("Tier.mandate", tier, str(current), termsOf(c.all("Tier").get(tier)?.mandate)),
    );
    q.ask(part("mandate"), faces.mandate, "pending", [], ([terms, eta, expiry]) => {
      const pending = c.all("Tier").get(tier)?.pendingMandate;
      c.equal("Tier.pendingMandate", tier, str(terms), termsOf(pending));
      if (str(terms) === ZeroHash || !pending) return;
      c.fields("Mandate", String(pending), { eta: big(eta), expiry: big(expiry), status: "PROPOSED", tier });
    });
    compareRisk(scene, tier, part("risk"), q, c);
  });
}

function compareRisk(scene: Scene, tier: string, risk: string, q: Questions, c: Comparison): void {
  const { faces, deployment } = scene;
  const { allocationManager } = deployment.external;
  const at = (fn: string, args: readonly unknown[], then: (result: Result) => void) =>
    q.ask(risk, faces.risk, fn, args, then);
  at("strategy", [], ([strategy]) => c.same("Tier", tier, "strategy", str(strategy)));
  at("params", [], ([params]) => {
    const names = ["k", "marginBps", "haircutBps", "bufferBps", "instantFeeBps", "quarantineBps", "cap"];
    for (const name of names) c.same("Tier", tier, name, big(params.getValue(name)));
  });
  at("setCount", [], ([count]) => {
    const sizes = new Map<string, number>();
    let open = Number(big(count));
    for (let i = 0; i < Number(big(count)); i++)
      at("set", [i], ([s]) => {
        const id = bytes(tier, i, 1);
        const [avs, number] = [...s.getValue("operatorSet")];
        const operatorSet = bytes(str(avs), big(number), 4);
        const group = bytes(tier, big(s.getValue("group")), 1);
        sizes.set(group, (sizes.get(group) ?? 0) + 1);
        c.fields("TierSet", id, {
          tier,
          index: i,
          operatorSet,
          group,
          category: big(s.getValue("category")),
          allowed: flag(s.getValue("allowed")),
          unapproved: flag(s.getValue("unapproved")),
          quarantined: flag(s.getValue("quarantined")),
          approvedSlasher: str(s.getValue("approvedSlasher")),
          seenSlasher: str(s.getValue("seenSlasher")),
          seenPendingSlasher: str(s.getValue("pendingSlasher")),
          seenTimestamp: big(s.getValue("seenAt")),
        });
        c.fields("OperatorSet", operatorSet, { avs: str(avs), setId: big(number) });
        if (--open > 0) return;
        for (const [id_, { tier: owner }] of c.all("SlasherGroup"))
          if (owner === tier) c.same("SlasherGroup", id_, "setCount", sizes.get(id_) ?? 0);
        for (const id_ of sizes.keys()) c.same("SlasherGroup", id_, "tier", tier);
      });
  });
  at("agentCount", [], ([count]) => {
    for (let i = 0; i < Number(big(count)); i++)
      // a place that nobody has taken again is empty
      q.maybe(risk, faces.risk, "agent", [i], (found) => {
        const a = found?.[0];
        if (!a || str(a.getValue("account")) === ZeroAddress) return;
        const agent = str(a.getValue("account"));
        c.fields("Agent", agent, {
          tier,
          index: i,
          removed: false,
          nodeOperator: str(a.getValue("nodeOperator")),
          weightBps: big(a.getValue("weightBps")),
          stake: big(a.getValue("stake")),
          exitCount: big(a.getValue("exits")),
        });
        q.ask(agent, faces.agent, "nominee", [], ([nominee]) =>
          c.same("Agent", agent, "nominee", str(nominee) === ZeroAddress ? null : str(nominee)),
        );
        const { strategy } = deployment.external;
        const eigen = (fn: string, args: readonly unknown[], then: (result: Result) => void) =>
          q.ask(allocationManager, faces.allocationManager, fn, args, then);
        eigen("getMaxMagnitude", [agent, strategy], ([m]) => c.same("Agent", agent, "magnitude", big(m)));
        // a decrease that is over frees magnitude in EigenLayer's view at once; its event comes when somebody clears it
        eigen("getEncumberedMagnitude", [agent, strategy], ([m]) =>
          c.equal(
            "Agent.encumbered",
            agent,
            true,
            big(m) <= BigInt(String(c.all("Agent").get(agent)?.encumbered ?? -1)),
          ),
        );
        for (let j = 0; j < Number(big(a.getValue("links"))); j++)
          at("link", [i, j], ([set, link]) => {
            const id = bytes(agent, big(set), 1);
            const part = (name: string) => big(link.getValue(name));
            c.fields("Link", id, {
              agent,
              tier,
              tierSet: bytes(tier, big(set), 1),
              current: part("current"),
              pending: part("pending"),
              effectBlock: part("effectBlock"),
              target: part("target"),
            });
            const known = c.all("OperatorSet").get(String(c.all("TierSet").get(bytes(tier, big(set), 1))?.operatorSet));
            if (known)
              eigen("isMemberOfOperatorSet", [agent, { avs: known.avs, id: known.setId }], ([member]) =>
                c.same("Link", id, "registered", flag(member)),
              );
          });
        let queued = 0n;
        const nonces = new Set<string>();
        const exits = Number(big(a.getValue("exits")));
        for (let j = 0; j < exits; j++)
          at("exit", [i, j], ([exit]) => {
            const part = (name: string) => big(exit.getValue(name));
            queued += part("scaled");
            const id = bytes(agent, part("nonce"), 4);
            nonces.add(id);
            c.fields("Exit", id, {
              agent,
              tier,
              nonce: part("nonce"),
              scaled: part("scaled"),
              startBlock: part("startBlock"),
              tokensOnly: flag(exit.getValue("tokensOnly")),
              completed: false,
            });
            if (nonces.size === exits) c.same("Agent", agent, "queuedStake", queued);
          });
        if (exits === 0) c.same("Agent", agent, "queuedStake", 0n);
        c.equal(
          "Exit.completed",
          agent,
          exits,
          [...c.all("Exit").values()].filter((exit) => exit.agent === agent && exit.completed === false).length,
        );
      });
  });
}

function compareSeries(scene: Scene, series: string, q: Questions, c: Comparison): void {
  const { faces } = scene;
  const known = c.all("Series").get(series);
  const tier = String(known?.tier);
  const at = (fn: string, args: readonly unknown[], then: (result: Result) => void) =>
    q.ask(series, faces.token, fn, args, then);
  at("totalSupply", [], ([supply]) => c.same("Series", series, "supply", big(supply)));
  at("name", [], ([name]) => c.same("Series", series, "name", z.string().parse(name)));
  at("symbol", [], ([symbol]) => c.same("Series", series, "symbol", z.string().parse(symbol)));
  at("series", [], ([number]) => c.same("Series", series, "number", big(number)));
  at("senior", [], ([senior]) => c.same("Series", series, "senior", flag(senior)));
  at("queueTotals", [], ([requested, finalised, assets]) =>
    c.fields("Series", series, {
      requestedShares: big(requested),
      finalisedShares: big(finalised),
      finalisedAssets: big(assets),
    }),
  );
  q.ask(tier, faces.tier, "retired", [series], ([r]) => {
    const retired = flag(r.getValue("exists"));
    c.same("Series", series, "retired", retired);
    if (!retired) return;
    c.fields("Series", series, { pot: big(r.getValue("pot")), potShares: big(r.getValue("supply")), rate: 0 });
  });
  const pendingOf = new Map<string, bigint>();
  const requests = [...c.all("RedeemRequest")].filter(([, { series: own }]) => own === series);
  for (const [id, request] of requests)
    q.ask(series, faces.token, "request", [request.requestId], ([controller, made, pending, claimable]) => {
      const account = String(request.controller);
      pendingOf.set(account, (pendingOf.get(account) ?? 0n) + big(pending));
      c.same("RedeemRequest", id, "pendingShares", big(pending));
      c.equal(
        "RedeemRequest.claimedShares",
        id,
        big(claimable),
        BigInt(String(request.finalisedShares)) - BigInt(String(request.claimedShares)),
      );
      // used up ones are forgotten by the chain
      if (str(controller) !== ZeroAddress)
        c.fields("RedeemRequest", id, { controller: str(controller), block: big(made) });
      else c.equal("RedeemRequest.status", id, true, request.status === "CLAIMED" || request.status === "RETURNED");
    });
  const positions = [...c.all("Position")].filter(([, { series: own }]) => own === series);
  for (const [id, position] of positions) {
    const account = String(position.account);
    at("balanceOf", [account], ([balance]) => {
      // what waits in the queue lies at the token, and is its requesters'
      const queue = account === series ? [...pendingOf.values()].reduce((sum, one) => sum + one, 0n) : 0n;
      c.same("Position", id, "balance", big(balance) - queue);
    });
    const open = requests.filter(([, one]) => one.controller === account && one.status !== "CLAIMED").length;
    if (open > 32) continue; // the chain counts 32 at once
    at("maxRedeem", [account], ([shares]) => c.same("Position", id, "claimableShares", big(shares)));
    at("maxWithdraw", [account], ([assets]) => {
      c.same("Position", id, "claimableAssets", big(assets));
      c.same("Position", id, "queuedShares", pendingOf.get(account) ?? 0n);
    });
  }
}

function compareRewards(scene: Scene, tier: string, rewards: string, q: Questions, c: Comparison): void {
  const { faces } = scene;
  const at = (fn: string, args: readonly unknown[], then: (result: Result) => void) =>
    q.ask(rewards, faces.rewards, fn, args, then);
  for (const [id, agent] of c.all("Agent"))
    if (agent.tier === tier)
      at("agentPay", [id], ([pay]) => {
        const part = (name: string) => big(pay.getValue(name));
        const waits = part("feeFrom") !== 0n;
        c.fields("Agent", id, {
          feeBps: part("feeBps"),
          pendingFeeBps: waits ? part("pendingFeeBps") : null,
          feeFrom: waits ? part("feeFrom") : null,
        });
        // what the guardian says while a fault lasts no event tells: without one both must agree
        if (agent.faultSince === null) c.same("Agent", id, "withheld", flag(pay.getValue("withheld")));
      });
  for (const [id, token] of c.all("RewardToken"))
    if (token.tier === tier)
      at("stock", [token.token], ([stock]) => {
        const part = (name: string) => big(stock.getValue(name));
        c.fields("RewardToken", id, {
          listed: flag(stock.getValue("listed")),
          held: part("held"),
          lot: part("lot"),
          lotSize: part("lotSize"),
          lotProceeds: part("lotProceeds"),
          dropPot: part("pot"),
          floor: part("floor"),
        });
        // the start of the auction that runs; the next one's follows from the last sale
        if (part("lot") > 0n) c.same("RewardToken", id, "startPrice", part("startPrice"));
      });
  for (const [id, pay] of c.all("PayBalance"))
    if (pay.tier === tier)
      at("payOf", [pay.account, pay.token], ([left]) =>
        c.equal("PayBalance.earned", id, big(left), BigInt(String(pay.earned)) - BigInt(String(pay.claimed))),
      );
  at("treasury", [], ([current]) => c.same("Tier", tier, "treasury", str(current)));
  at("protocolFee", [], ([feeBps, pending, from]) =>
    c.fields("Tier", tier, {
      protocolFeeBps: big(feeBps),
      pendingProtocolFeeBps: big(from) === 0n ? null : big(pending),
      protocolFeeFrom: big(from) === 0n ? null : big(from),
    }),
  );
  at("dropCount", [], ([count]) => {
    for (let i = 0; i < Number(big(count)); i++)
      at("drop", [i], ([drop]) => {
        const part = (name: string) => drop.getValue(name);
        c.fields("Drop", bytes(tier, i, 4), {
          tier,
          dropId: i,
          token: str(part("token")),
          series: str(part("series")),
          root: str(part("root")),
          amount: big(part("funded")),
          claimed: big(part("paid")),
          expiry: big(part("expiry")),
          closed: flag(part("closed")),
        });
      });
  });
}

/** Exposures and stakes are as of a block that the subgraph names: the chain is asked at that block. */
async function compareExposures(scene: Scene, c: Comparison): Promise<void> {
  const { node, faces } = scene;
  for (const [tier, entity] of c.all("Tier")) {
    if (entity.exposureBlock === "0") continue;
    const at = `0x${BigInt(String(entity.exposureBlock)).toString(16)}`;
    const call = async (fn: string, args: readonly unknown[]) => {
      const data = faces.risk.encodeFunctionData(fn, args);
      const answer = await node.rpc("eth_call", { to: entity.risk, data }, at);
      return faces.risk.decodeFunctionResult(fn, z.string().parse(answer));
    };
    const [x] = await call("exposures", [false]);
    c.same("Tier", tier, "unapprovedExposure", big(x.getValue("unapproved")));
    const worst = big(x.getValue("worst"));
    for (const [i, exposure] of [...x.getValue("current")].entries()) {
      const id = bytes(tier, i, 1);
      if (!c.all("SlasherGroup").has(id)) continue;
      c.fields("SlasherGroup", id, { exposure: big(exposure), worst: ((worst >> BigInt(i)) & 1n) === 1n });
    }
    const [stakes] = await call("stakes", []);
    for (const [id, agent] of c.all("Agent"))
      if (agent.tier === tier && agent.removed === false)
        c.same("Agent", id, "stakeValue", big([...stakes][Number(agent.index)] ?? 0n));
  }
}
