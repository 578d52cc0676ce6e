// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {IStrategy} from "../interfaces/external/IEigenLayer.sol";
import {IMandate} from "../interfaces/IMandate.sol";
import {IRiskManager, IRiskTypes, Params, SetTerms, Terms} from "../interfaces/IRiskManager.sol";
import {IStakeManager} from "../interfaces/IStakeManager.sol";
import {ITier} from "../interfaces/ITier.sol";
import {Exposure} from "../libraries/Exposure.sol";
import {Waterfall} from "../libraries/Waterfall.sol";

/// @title Proof of solvency as one view
/// @notice What happens to a tier if slashers slash everything that is allocated to them, now. Lending markets, keepers
/// and the app read this; it holds nothing and trusts only the tier that it is asked about.
contract SolvencyLens {
    using Waterfall for Waterfall.Books;

    uint256 private constant GROUPS = 32;

    /// @notice The answer, in wei. `lossByGroup` is what each chosen group would take alone; `loss` what they take
    /// together, never more than is staked. `borne` says which bucket pays; `afterwards` are the books that remain.
    struct Solvency {
        uint256 value;
        uint256 loss;
        uint256[] lossByGroup;
        uint256 lossUnapproved;
        Waterfall.Borne borne;
        Waterfall.Books afterwards;
        uint256 seniorLossBps; // of the senior's book, rounded up
        uint256 juniorLossBps; // of the junior's book, rounded up
        bool covered; // U <= 1 with margin and haircut
        uint256 worst; // bit g: group g is one of the k largest
    }

    /// @notice A tier's exposure and what follows from it. `exposed` is L_k in wei·1e9, `utilisation` U in WAD, both rounded
    /// up; the limits are wei, as far as cover decides them: entries may be closed and queues empty for other reasons.
    struct Standing {
        uint256 exposed;
        uint256 utilisation;
        uint256 seniorLimit; // most that the senior may deposit
        uint256 juniorLimit; // most junior money that may leave
    }

    /// @notice What terms would do to a tier.
    struct Outlook {
        bytes32 id; // hash of the terms
        bool waits; // they are the proposal that waits
        uint40 eta; // of the proposal that waits, whichever it is
        uint40 expiry;
        bytes32 riskierIn; // first respect in which they are riskier than those in force; 0 if in none
        bool covered; // the gate that a riskier mandate has to pass would let them into force now
        Standing inForce; // under the terms in force
        Standing atOnce; // under these terms, with the allocations of now
        Standing atTargets; // the same once every allocation that may grow has grown to its target
    }

    /// @dev The tier as the terms would leave it. Arrays by set: known ones first, then those that the terms add.
    struct Draft {
        uint256 count;
        SetTerms[] sets;
        uint256[] group;
        bool[] unapproved;
        bool[] quarantined;
        uint256[] indexes; // place of each set of the terms
        uint256[] live; // wei·P by group
        uint256[] star;
        uint256[] rho; // P·Q by group
        uint256 extraLive;
        uint256 extraStar;
        uint256 extraRho;
    }

    /// @notice Every slasher takes everything that he could take now. Reverts if EigenLayer cannot be read.
    function solvency(ITier tier) external view returns (Solvency memory) {
        return solvencyAgainst(tier, type(uint32).max, true);
    }

    /// @notice The k worst groups (and all unapproved sets) take everything: the case that cover is built for.
    function solvencyAgainstWorst(ITier tier) external view returns (Solvency memory) {
        IRiskManager.Exposures memory x = IRiskManager(tier.parts().risk).exposures(false);
        return solvencyAgainst(tier, x.worst, true);
    }

    /// @notice The groups of the bitmap `groups` (bit g: group g) take everything that they could take now, and with
    /// `unapproved` also every set whose slasher is not approved. Losses are rounded up, also beyond what a slash may leave
    /// to rounding in the value of what remains: two wei for each agent and one for each queued withdrawal.
    function solvencyAgainst(ITier tier, uint256 groups, bool unapproved) public view returns (Solvency memory s) {
        ITier.Preview memory p = tier.preview();
        IRiskManager risk = IRiskManager(tier.parts().risk);
        IRiskManager.Exposures memory x = risk.exposures(false);
        uint256 rounding = _rounding(risk);
        s.value = p.value;
        s.covered = p.utilisation <= 1e18;
        s.worst = x.worst;
        s.lossByGroup = new uint256[](GROUPS);
        uint256 sum;
        for (uint256 g; g < GROUPS; ++g) {
            if ((groups >> g) & 1 == 0) continue;
            s.lossByGroup[g] = _loss(x.current[g], rounding);
            sum += x.current[g];
        }
        if (unapproved) {
            s.lossUnapproved = _loss(x.unapproved, rounding);
            sum += x.unapproved;
        }
        s.loss = Math.min(_loss(sum, rounding), p.observation.staked);
        s.afterwards = p.books;
        (uint256 senior, uint256 junior) = (p.books.senior, p.books.junior);
        s.borne = s.afterwards.lose(s.loss);
        s.seniorLossBps = senior == 0 ? 0 : Math.mulDiv(s.borne.senior, Exposure.Q, senior, Math.Rounding.Ceil);
        s.juniorLossBps = junior == 0 ? 0 : Math.mulDiv(s.borne.junior, Exposure.Q, junior, Math.Rounding.Ceil);
    }

    function _loss(uint256 exposure, uint256 rounding) private pure returns (uint256) {
        return exposure == 0 ? 0 : Math.ceilDiv(exposure, Exposure.P) + rounding;
    }

    /// @dev A slash moves every rounded part of V by less than a share, and the whole by less than a wei.
    function _rounding(IRiskManager risk) private view returns (uint256 wei_) {
        uint256 agents = risk.agentCount();
        for (uint256 i; i < agents; ++i) {
            // places of removed agents are empty
            try risk.agent(i) returns (IRiskManager.AgentState memory a) {
                wei_ += 2 + uint256(a.exits);
            } catch {}
        }
    }

    // -------------------------------------------------------------------------------------------- mandates

    /// @notice What `terms` would do to the tier's exposure, U and limits: at once, and once allocations have followed.
    /// For a proposal, pass the terms of its MandateProposed event: `waits` says that they are the ones that wait. Groups
    /// are joined, sets released and slashers approved as the terms say. Allocations are those of the last sync. Reverts
    /// TooMany where the terms name more sets than a tier can know, and as `preview` where EigenLayer cannot be read.
    function outlook(ITier tier, Terms calldata terms) external view returns (Outlook memory o) {
        IMandate mandate = IMandate(tier.parts().mandate);
        o.id = keccak256(abi.encode(terms));
        bytes32 waiting;
        (waiting, o.eta, o.expiry) = mandate.pending();
        o.waits = waiting == o.id;
        o.riskierIn = mandate.riskierIn(terms);
        _foresee(tier, terms, o);
    }

    function _foresee(ITier tier, Terms calldata terms, Outlook memory o) private view {
        ITier.Preview memory p = tier.preview();
        Params memory current = p.observation.params;
        Params calldata next = terms.params;
        uint256 cover = p.books.reserve + p.books.junior;
        o.inForce = _standing(p.observation.exposed, p.value, cover, current);
        o.inForce.seniorLimit = tier.maxDeposit(true);

        Draft memory d = _draft(IRiskManager(tier.parts().risk), terms);
        o.atOnce = _standing(_top(d.live, next.k) + d.extraLive, p.value, cover, next);
        o.atTargets = _standing(_top(d.star, next.k) + d.extraStar, p.value, cover, next);

        uint256 idle;
        (idle, cover,) = IStakeManager(tier.parts().stakes).deployRoom(); // cover that carries new risk, from here on
        o.covered = Exposure.covered(o.atOnce.exposed, p.value, cover, next.marginBps, next.haircutBps);
        // the buffer is the mandate's; where the old one leaves nothing, more than is there is taken as deployed
        uint256 buffer = Math.ceilDiv(p.value * next.bufferBps, Exposure.Q);
        idle = Math.saturatingSub(idle + p.value * current.bufferBps / Exposure.Q, buffer);
        o.atOnce.seniorLimit = _seniorLimit(d, next, idle, cover, p.value);
        o.atTargets.seniorLimit = o.atOnce.seniorLimit;
    }

    function _standing(uint256 exposed, uint256 value, uint256 cover, Params memory q)
        private
        pure
        returns (Standing memory s)
    {
        s.exposed = exposed;
        s.utilisation = Exposure.utilisation(exposed, value, cover, q.marginBps, q.haircutBps);
        s.juniorLimit = Exposure.juniorLimit(exposed, value, cover, q.marginBps, q.haircutBps);
    }

    function _top(uint256[] memory groups, uint256 k) private pure returns (uint256 sum) {
        (sum,) = Exposure.largest(groups, k);
    }

    /// @dev As `deposit` judges: all money deployed by the weights of the terms (SPEC section 4.5).
    function _seniorLimit(Draft memory d, Params calldata q, uint256 idle, uint256 deployable, uint256 value)
        private
        pure
        returns (uint256)
    {
        Exposure.Line memory line =
            Exposure.seniorLine(d.star, d.rho, d.extraStar, d.extraRho, idle, value, q.marginBps, q.haircutBps);
        return Exposure.limit(line, q.k, Exposure.budget(deployable), Math.saturatingSub(q.cap, value));
    }

    /// @dev The tier as the terms would leave it; in the order in which a mandate is applied.
    function _draft(IRiskManager risk, Terms calldata terms) private view returns (Draft memory d) {
        d.sets = new SetTerms[](GROUPS);
        d.group = new uint256[](GROUPS);
        d.unapproved = new bool[](GROUPS);
        d.quarantined = new bool[](GROUPS);
        d.count = risk.setCount();
        for (uint256 i; i < d.count; ++i) {
            IRiskManager.SetState memory x = risk.set(i);
            d.sets[i].operatorSet = x.operatorSet;
            d.sets[i].slasher = x.approvedSlasher;
            (d.group[i], d.unapproved[i], d.quarantined[i]) = (x.group, x.unapproved, x.quarantined);
        }
        d.indexes = new uint256[](terms.sets.length);
        for (uint256 n; n < terms.sets.length; ++n) {
            d.indexes[n] = _name(risk, d, terms.sets[n]);
        }
        for (uint256 i; i < d.count; ++i) {
            if ((terms.releases >> i) & 1 != 0 && !d.unapproved[i]) d.quarantined[i] = false;
        }
        _expose(risk, terms, d);
    }

    function _name(IRiskManager risk, Draft memory d, SetTerms calldata t) private view returns (uint256 at) {
        bool known;
        (known, at) = risk.setIndex(t.operatorSet.avs, t.operatorSet.id);
        if (!known) {
            if (d.count == GROUPS) revert IRiskTypes.TooMany(GROUPS);
            at = d.count++;
            d.group[at] = at;
        }
        d.sets[at] = t;
        d.unapproved[at] = false; // terms with a slasher that is not the set's own never come into force
        for (uint256 i; i < d.count; ++i) {
            SetTerms memory x = d.sets[i];
            if (x.operatorSet.avs == t.operatorSet.avs || x.slasher == t.slasher) _join(d, d.group[at], d.group[i]);
        }
    }

    function _join(Draft memory d, uint256 group, uint256 other) private pure {
        if (group == other) return;
        (uint256 to, uint256 from) = (Math.min(group, other), Math.max(group, other));
        bool bad;
        for (uint256 i; i < d.count; ++i) {
            if (d.group[i] == from) d.group[i] = to;
            if (d.group[i] == to && d.quarantined[i]) bad = true;
        }
        for (uint256 i; bad && i < d.count; ++i) {
            if (d.group[i] == to) d.quarantined[i] = true;
        }
    }

    /// @dev Exposure by group: of the allocations of now, and of the larger of those and the terms' targets.
    function _expose(IRiskManager risk, Terms calldata terms, Draft memory d) private view {
        (d.live, d.star, d.rho) = (new uint256[](GROUPS), new uint256[](GROUPS), new uint256[](GROUPS));
        IStrategy strategy = risk.strategy();
        uint32 delay = risk.withdrawalDelay();
        uint256 agents = risk.agentCount();
        for (uint256 i; i < agents; ++i) {
            // places of removed agents are empty
            try risk.agent(i) returns (IRiskManager.AgentState memory a) {
                _exposeAgent(risk, terms, d, i, a, _slashable(risk, strategy, delay, i, a));
            } catch {}
        }
    }

    function _exposeAgent(
        IRiskManager risk,
        Terms calldata terms,
        Draft memory d,
        uint256 i,
        IRiskManager.AgentState memory a,
        uint256 amount
    ) private view {
        uint256[] memory current = new uint256[](d.count);
        for (uint256 j; j < a.links; ++j) {
            (uint256 at, IRiskManager.Link memory x) = risk.link(i, j);
            current[at] = x.current;
        }
        (uint256 weight, uint256[] memory target) = _targets(terms, d, a.account);
        for (uint256 s; s < d.count; ++s) {
            uint256 e = Exposure.fraction(current[s], a.magnitude);
            uint256 star = e;
            if (!d.quarantined[s] && !d.unapproved[s]) {
                star = Math.max(e, Exposure.fraction(Math.min(target[s], a.magnitude), a.magnitude));
            }
            if (d.unapproved[s]) {
                d.extraLive += amount * e;
                d.extraStar += amount * star;
                d.extraRho += weight * star;
            } else {
                uint256 g = d.group[s];
                d.live[g] += amount * e;
                d.star[g] += amount * star;
                d.rho[g] += weight * star;
            }
        }
    }

    /// @dev Weight (bps) and target magnitude by set that the terms give to an agent.
    function _targets(Terms calldata terms, Draft memory d, address account)
        private
        pure
        returns (uint256 weight, uint256[] memory target)
    {
        target = new uint256[](d.count);
        for (uint256 n; n < terms.agents.length; ++n) {
            if (terms.agents[n].agent != account) continue;
            weight = terms.agents[n].weightBps;
            for (uint256 m; m < terms.agents[n].targets.length; ++m) {
                target[d.indexes[terms.agents[n].targets[m].set]] = terms.agents[n].targets[m].magnitude;
            }
        }
    }

    /// @dev A_i: what a slash of the agent can reach, wei, rounded up, with the two wei that SPEC section 4.1 adds.
    function _slashable(
        IRiskManager risk,
        IStrategy strategy,
        uint32 delay,
        uint256 i,
        IRiskManager.AgentState memory a
    ) private view returns (uint256) {
        uint256 shares = uint256(a.stake) * a.magnitude / 1e18;
        for (uint256 q; q < a.exits; ++q) {
            IRiskManager.Exit memory x = risk.exit(i, q);
            if (block.number <= uint256(x.startBlock) + delay) shares += uint256(x.scaled) * a.magnitude / 1e18;
        }
        return (shares == 0 ? 0 : strategy.sharesToUnderlyingView(shares) + 1) + 2 * (1 + uint256(a.exits));
    }
}
