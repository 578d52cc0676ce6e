// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

// solhint-disable gas-custom-errors

import {IDelegationManager, IStrategy} from "../../../contracts/interfaces/external/IEigenLayer.sol";
import {ILidoWithdrawalQueue} from "../../../contracts/interfaces/external/ILido.sol";
import {IRiskManager, Params} from "../../../contracts/interfaces/IRiskManager.sol";
import {Premium} from "../../../contracts/libraries/Premium.sol";
import {ProtocolFixture} from "../core/ProtocolFixture.sol";

/// @notice The books of one tier, kept a second time and in another way: straight from the formulas of the
/// specification, with the queue as a plain list of requests, and with V from EigenLayer's and Lido's own views instead
/// of the protocol's caches. Whatever the protocol stores has to equal it to the wei.
/// @dev Taken from the protocol and verified elsewhere (invariant 7): the cached allocations, groups and quarantines.
/// Taken from a library: the exponential of the base rate (`Premium.adapt`), which has its own tests.
abstract contract GhostModel is ProtocolFixture {
    uint256 internal constant BIPS = 1e4;
    uint256 internal constant PARTS = 1e9;
    uint256 internal constant ONE = 1e18;
    uint256 internal constant ENDLESS = 1e27;
    uint256 internal constant WITHDRAWAL_BLOCKS = 100_800;
    uint256 internal constant SLOTS = 8;
    uint256 internal constant GROUPS = 32;

    /// @dev The tier's books. Copied before a call, written back only if the call went through.
    struct Ledger {
        uint256 reserve;
        uint256 junior;
        uint256 senior;
        uint256 gains;
        uint256 idle;
        uint256 reserved;
        uint256 unlockAt;
        uint256 lastSync;
        uint256 rate;
        uint256 use; // U
        uint256 seniorSupply;
        uint256 seniorQueued;
        uint256 juniorSupply;
        uint256 juniorQueued;
        bool seniorLive;
        bool juniorLive;
        bool paused;
        uint256 owed; // the Deficit
        uint256 juniorOwed;
        uint256 openedAt;
        uint256 closesAt;
        address owedSenior;
        address owedJunior;
        uint256 losses; // wei ever taken from R, J or S
    }

    struct Request {
        address controller;
        uint256 blockNumber;
        uint256 start;
        uint256 end;
    }

    struct Part {
        uint256 shares;
        uint256 assets;
    }

    /// @dev One series' queue, request by request, and what was paid when for how many shares.
    struct Line {
        Request[] requests;
        Part[] parts;
        uint256 requested;
        uint256 finalised;
        uint256 assets;
        uint256 paid;
        uint256 supplyAtRetirement;
        uint256 pot;
        bool retired;
        mapping(address controller => uint256) credit;
        mapping(address holder => uint256) held;
    }

    struct Link {
        bool used;
        uint256 set;
        uint256 current;
        uint256 pending;
        uint256 target;
        uint256 effect;
    }

    /// @dev What EigenLayer and Lido say about one tier, and what RiskManager has cached about allocations.
    struct Sight {
        uint256 value; // V
        uint256 staked;
        uint256 exiting;
        uint256 loose;
        uint256 unstaking;
        uint256[] reach; // A_i, strategy shares
        uint256 shares; // all
        uint256[] stake; // wei without the withdrawal queue
        uint256[] max; // maxMagnitude
        uint256[] weight;
        uint256[] exits;
        Link[] links; // agent * SLOTS + link
        uint256[] group; // by set
        bool[] unapproved;
        bool[] quarantined;
        bool[] allowed;
        Params p;
    }

    Deployment internal d;
    Ledger internal ledger;
    mapping(address token => Line) internal lines;
    address[] internal series; // every token ever opened
    address[] internal people;
    uint256 internal strayShares; // stETH shares that lie in the module and are not in the books
    uint256 internal strayWeth;

    // ------------------------------------------------------------------------------------------ the chain

    /// @dev V and exposures as they are now. Where the next sync would change RiskManager's caches, it is tried first.
    function _look(uint256 idle) internal returns (Sight memory s) {
        _readStake(s, d);
        s.value = idle + s.staked + s.loose + s.unstaking;
        bool stale = block.timestamp > d.risk.freshUntil();
        for (uint256 i; i < d.agents.length; ++i) {
            if (d.risk.agent(i).magnitude != s.max[i]) stale = true;
        }
        uint256 snapshot;
        if (stale) {
            snapshot = vm.snapshotState();
            d.tier.sync();
        }
        _readRisk(s);
        if (stale) require(vm.revertToStateAndDelete(snapshot), "snapshot");
    }

    function _readStake(Sight memory s, Deployment storage x) internal view {
        uint256 n = x.agents.length;
        (s.reach, s.stake, s.max) = (new uint256[](n), new uint256[](n), new uint256[](n));
        uint256[] memory slots = new uint256[](n);
        uint256 total;
        for (uint256 i; i < n; ++i) {
            address agent = address(x.agents[i]);
            s.max[i] = allocations.getMaxMagnitude(agent, strategy);
            (uint256[] memory own,) = eigen.delegationManager().getWithdrawableShares(agent, _list());
            (s.stake[i], s.reach[i]) = (own[0], own[0]);
            (IDelegationManager.Withdrawal[] memory w, uint256[][] memory left) =
                eigen.delegationManager().getQueuedWithdrawals(agent);
            slots[i] = w.length;
            total += own[0];
            for (uint256 q; q < w.length; ++q) {
                total += left[q][0];
                s.exiting += left[q][0];
                if (block.number <= w[q].startBlock + WITHDRAWAL_BLOCKS) s.reach[i] += left[q][0];
            }
        }
        s.staked = total == 0 ? 0 : strategy.sharesToUnderlyingView(total);
        if (total != 0) s.exiting = s.exiting * s.staked / total;
        s.shares = total;
        for (uint256 i; i < n; ++i) {
            s.stake[i] = s.stake[i] == 0 ? 0 : strategy.sharesToUnderlyingView(s.stake[i]);
            s.reach[i] += 2 * (1 + slots[i]);
        }
        _readLido(s, x);
    }

    function _readLido(Sight memory s, Deployment storage x) private view {
        address module = address(x.module);
        uint256 stray = address(x.tier) == address(d.tier) ? strayShares : 0;
        s.loose = lido.getPooledEthByShares(lido.sharesOf(module) - stray);
        uint256 last = lidoQueue.getLastRequestId();
        uint256[] memory ids = new uint256[](last);
        for (uint256 i; i < last; ++i) {
            ids[i] = i + 1;
        }
        ILidoWithdrawalQueue.WithdrawalRequestStatus[] memory all = lidoQueue.getWithdrawalStatus(ids);
        (uint256 amount, uint256 shares) = (0, 0);
        for (uint256 i; i < last; ++i) {
            if (all[i].owner != module || all[i].isClaimed) continue;
            amount += all[i].amountOfStETH;
            shares += all[i].amountOfShares;
        }
        s.unstaking = _min(amount, lido.getPooledEthByShares(shares));
    }

    function _readRisk(Sight memory s) private view {
        uint256 n = d.agents.length;
        s.p = d.risk.params();
        s.links = new Link[](n * SLOTS);
        (s.weight, s.exits) = (new uint256[](n), new uint256[](n));
        for (uint256 i; i < n; ++i) {
            IRiskManager.AgentState memory a = d.risk.agent(i);
            (s.weight[i], s.exits[i]) = (a.weightBps, a.exits);
            for (uint256 j; j < a.links; ++j) {
                (uint256 at, IRiskManager.Link memory x) = d.risk.link(i, j);
                s.links[i * SLOTS + j] = Link(true, at, x.current, x.pending, x.target, x.effectBlock);
            }
        }
        uint256 m = d.risk.setCount();
        (s.group, s.unapproved) = (new uint256[](m), new bool[](m));
        (s.quarantined, s.allowed) = (new bool[](m), new bool[](m));
        for (uint256 i; i < m; ++i) {
            IRiskManager.SetState memory x = d.risk.set(i);
            (s.group[i], s.unapproved[i]) = (x.group, x.unapproved);
            (s.quarantined[i], s.allowed[i]) = (x.quarantined, x.allowed);
        }
    }

    function _list() internal view returns (IStrategy[] memory list) {
        list = new IStrategy[](1);
        list[0] = strategy;
    }

    // ------------------------------------------------------------------------------------------- exposure

    enum Which {
        Live,
        Forward,
        Star
    }

    /// @dev Part of agent i's stake that link j could take.
    function _part(Sight memory s, uint256 i, uint256 j, Which which) private pure returns (uint256) {
        Link memory x = s.links[i * SLOTS + j];
        if (!x.used || s.max[i] == 0) return 0;
        uint256 magnitude = which == Which.Forward ? x.current - x.pending : x.current;
        if (which == Which.Star && !s.unapproved[x.set] && !s.quarantined[x.set]) {
            uint256 wanted = _min(x.target, s.max[i]);
            if (wanted > magnitude) magnitude = wanted;
        }
        return _up(magnitude * PARTS, s.max[i]);
    }

    /// @dev Sum over agents of amount·part, by group, unapproved sets apart.
    function _sums(Sight memory s, Which which, uint256[] memory amounts)
        internal
        pure
        returns (uint256[] memory by, uint256 extra)
    {
        by = new uint256[](GROUPS);
        for (uint256 i; i < amounts.length; ++i) {
            for (uint256 j; j < SLOTS; ++j) {
                uint256 e = _part(s, i, j, which) * amounts[i];
                if (e == 0) continue;
                uint256 set = s.links[i * SLOTS + j].set;
                if (s.unapproved[set]) extra += e;
                else by[s.group[set]] += e;
            }
        }
    }

    function _top(uint256[] memory values, uint256 k) internal pure returns (uint256 sum) {
        uint256[] memory left = new uint256[](values.length);
        for (uint256 i; i < values.length; ++i) {
            left[i] = values[i];
        }
        for (uint256 round; round < k; ++round) {
            uint256 best;
            for (uint256 i; i < left.length; ++i) {
                if (left[i] > left[best]) best = i;
            }
            sum += left[best];
            left[best] = 0;
        }
    }

    /// @dev Exposure in shares at the price that all shares together have, rounded up.
    function _priced(Sight memory s, uint256 exposure) internal pure returns (uint256) {
        return s.shares == 0 ? exposure : _up(exposure * s.staked, s.shares);
    }

    function _worst(Sight memory s, Which which) internal pure returns (uint256) {
        (uint256[] memory by, uint256 extra) = _sums(s, which, s.reach);
        return _priced(s, _top(by, s.p.k) + extra);
    }

    /// @dev U, rounded up.
    function _use(Sight memory s, uint256 exposed, uint256 value, uint256 cover, uint256 margin)
        internal
        pure
        returns (uint256)
    {
        uint256 need = (BIPS + margin) * (exposed * BIPS * BIPS + uint256(s.p.haircutBps) * value * PARTS * BIPS);
        if (need == 0) return 0;
        if (cover == 0) return ENDLESS;
        return _min(ENDLESS, _up(need * ONE, cover * BIPS * BIPS * BIPS * PARTS));
    }

    function _covered(Ledger memory l, Sight memory s, uint256 cover) internal pure returns (bool) {
        return _use(s, _worst(s, Which.Live), _total(l), cover, s.p.marginBps) <= ONE;
    }

    /// @dev Whether a senior deposit of `assets` passes: as if it and all free idle were deployed by weight.
    function _seniorFits(Ledger memory l, Sight memory s, uint256 assets) internal view returns (bool) {
        uint256 value = _total(l);
        if (value + assets > s.p.cap) return false;
        uint256 spread = _freeIdle(l, s) + assets;
        (uint256[] memory by, uint256 extra) = _sums(s, Which.Star, s.reach);
        (uint256[] memory rho, uint256 extraRho) = _sums(s, Which.Star, s.weight);
        for (uint256 g; g < GROUPS; ++g) {
            by[g] = _priced(s, by[g]) * BIPS + rho[g] * spread;
        }
        uint256 need =
            _top(by, s.p.k) + _priced(s, extra) * BIPS + extraRho * spread + s.p.haircutBps * (value + assets) * PARTS;
        return (BIPS + s.p.marginBps) * BIPS * need <= _freeCover(l) * BIPS * BIPS * BIPS * PARTS;
    }

    /// @dev Whether deploying `assets` with agent i stays within cover.
    function _deployFits(Ledger memory l, Sight memory s, uint256 i, uint256 assets) internal pure returns (bool) {
        uint256[] memory amounts = new uint256[](s.reach.length);
        amounts[i] = assets;
        (uint256[] memory by, uint256 extra) = _sums(s, Which.Live, s.reach);
        (uint256[] memory more, uint256 extraMore) = _sums(s, Which.Live, amounts);
        for (uint256 g; g < GROUPS; ++g) {
            by[g] = _priced(s, by[g]) + more[g];
        }
        extra = _priced(s, extra) + extraMore;
        uint256 cover = _less(_freeCover(l), _total(l) / 1e16 + 1_000); // less what rounding may take
        return _use(s, _top(by, s.p.k) + extra, _total(l), cover, s.p.marginBps) <= ONE;
    }

    // -------------------------------------------------------------------------------------------- the sync

    function _sync(Ledger memory l, uint256 value) internal view {
        uint256 dt = block.timestamp - l.lastSync;
        bool open = l.closesAt != 0;
        uint256 vested = l.gains;
        if (block.timestamp < l.unlockAt) {
            vested = dt == 0 ? 0 : l.gains * dt / (l.unlockAt - l.lastSync);
        }
        (uint256 j, uint256 s) = (l.junior, l.senior);
        // the premium runs for as long as gains vest
        uint256 until = _min(block.timestamp, l.unlockAt);
        _distribute(l, vested, open || until <= l.lastSync ? 0 : _due(l, until - l.lastSync));
        l.rate = Premium.adapt(l.rate, l.use, j, s, dt);
        if (open && block.timestamp >= l.closesAt) _close(l);
        uint256 booked = _total(l);
        if (value > booked) _gain(l, value - booked);
        else if (value < booked) _lose(l, booked - value);
        if (l.seniorSupply > l.senior * 1e6) {
            l.reserve += l.senior;
            (l.senior, l.seniorSupply, l.seniorQueued, l.seniorLive) = (0, 0, 0, false);
        }
        if (l.juniorSupply > l.junior * 1e6) {
            l.reserve += l.junior;
            (l.junior, l.juniorSupply, l.juniorQueued, l.juniorLive) = (0, 0, 0, false);
        }
        l.lastSync = block.timestamp;
    }

    /// @dev p·min(U,1)·J·S/B·dt, with p a quarter of the base at U = 0, the base at 0.9, four times the base at 1.
    function _due(Ledger memory l, uint256 dt) private pure returns (uint256) {
        uint256 owned = l.reserve + l.junior + l.senior;
        if (owned == 0) return 0;
        uint256 used = _min(l.use, ONE);
        uint256 p;
        if (used >= 0.9e18) {
            p = l.rate * (ONE + 3 * ((used - 0.9e18) * 10)) / ONE;
        } else {
            uint256 below = (0.9e18 - used) * ONE / 0.9e18;
            p = l.rate * (4 * ONE - 3 * below) / (4 * ONE);
        }
        return (l.junior * l.senior / owned) * (p * used * dt) / (ONE * ONE * 365 days);
    }

    function _distribute(Ledger memory l, uint256 vested, uint256 due) private pure {
        l.gains -= vested;
        uint256 owned = l.reserve + l.junior + l.senior;
        if (owned == 0) {
            l.reserve += vested;
            return;
        }
        uint256 toReserve = vested * l.reserve / owned;
        uint256 toSenior = vested * l.senior / owned;
        uint256 toJunior = vested - toReserve - toSenior;
        if (l.junior == 0) {
            (toReserve, toJunior) = (toReserve + toJunior, 0);
        } else {
            uint256 premium = _min(due, toSenior / 2);
            (toSenior, toJunior) = (toSenior - premium, toJunior + premium);
        }
        l.reserve += toReserve;
        l.senior += toSenior;
        l.junior += toJunior;
    }

    function _gain(Ledger memory l, uint256 amount) internal view {
        uint256 left = l.unlockAt > block.timestamp ? l.unlockAt - block.timestamp : 0;
        l.unlockAt = block.timestamp + _up(l.gains * left + amount * 3 days, l.gains + amount);
        l.gains += amount;
    }

    function _lose(Ledger memory l, uint256 amount) private view {
        uint256 x = _min(amount, l.gains);
        l.gains -= x;
        amount -= x;
        l.losses += amount;
        x = _min(amount, l.reserve);
        l.reserve -= x;
        amount -= x;
        uint256 ofJunior = _min(amount, l.junior);
        l.junior -= ofJunior;
        amount -= ofJunior;
        uint256 before = l.senior;
        require(amount <= before, "more was lost than was there");
        l.senior -= amount;
        if (amount == 0) return;
        if (l.closesAt == 0) {
            if (amount * BIPS < before) return;
            l.openedAt = block.timestamp;
            l.owedSenior = _live(true);
            l.owedJunior = _live(false);
        }
        l.owed += amount;
        l.juniorOwed += ofJunior;
        l.closesAt = _min(block.timestamp + 14 days, l.openedAt + 28 days);
    }

    function _close(Ledger memory l) internal pure {
        (l.owed, l.juniorOwed, l.openedAt, l.closesAt) = (0, 0, 0, 0);
        (l.owedSenior, l.owedJunior) = (address(0), address(0));
    }

    // ----------------------------------------------------------------------------------- entries and exits

    /// @dev Shares leave a tranche; rounded down, so those who stay never lose.
    function _leave(Ledger memory l, bool senior, uint256 shares, bool queued) internal pure returns (uint256 assets) {
        (uint256 book, uint256 supply) = _tranche(l, senior);
        assets = book * shares / supply;
        uint256 rest = book - assets;
        if (shares == supply) (l.reserve, rest) = (l.reserve + rest, 0);
        if (senior) {
            if (l.closesAt != 0) l.owed -= l.owed * shares / supply;
            (l.senior, l.seniorSupply) = (rest, supply - shares);
            if (queued) l.seniorQueued -= shares;
        } else {
            (l.junior, l.juniorSupply) = (rest, supply - shares);
            if (queued) l.juniorQueued -= shares;
        }
    }

    function _finalisable(Ledger memory l, Sight memory s, bool senior) internal view returns (uint256) {
        (uint256 book, uint256 supply) = _tranche(l, senior);
        if ((senior ? l.seniorQueued : l.juniorQueued) == 0) return 0;
        uint256 wait = WITHDRAWAL_BLOCKS + MARGIN_BLOCKS;
        uint256 free = l.idle;
        uint256 cover = l.reserve + l.junior;
        if (senior) {
            bool calm = l.closesAt == 0 && _use(s, _worst(s, Which.Live), _total(l), cover, 0) <= ONE;
            if (calm) wait = SENIOR_BLOCKS;
        } else {
            free = _min(_less(free, _seniorDemand(l)), _juniorRoom(l, s));
        }
        return _min(_matured(_live(senior), wait), free * supply / book);
    }

    /// @dev The most that junior may take away: it takes cover and value alike.
    function _juniorRoom(Ledger memory l, Sight memory s) internal pure returns (uint256) {
        uint256 m = BIPS + s.p.marginBps;
        uint256 need = m * (_worst(s, Which.Live) * BIPS * BIPS + uint256(s.p.haircutBps) * _total(l) * PARTS * BIPS);
        uint256 budget = (l.reserve + l.junior) * BIPS * BIPS * BIPS * PARTS;
        return need >= budget
            ? 0
            : (budget - need) / (BIPS * BIPS * BIPS * PARTS - m * uint256(s.p.haircutBps) * PARTS * BIPS);
    }

    function _matured(address token, uint256 wait) internal view returns (uint256 shares) {
        Line storage q = lines[token];
        for (uint256 i; i < q.requests.length; ++i) {
            Request storage r = q.requests[i];
            if (r.blockNumber + wait > block.number) break;
            // the end as it was requested: claims move only the start
            shares = _less(r.end, q.finalised);
        }
    }

    function _seniorDemand(Ledger memory l) internal pure returns (uint256) {
        return l.seniorQueued == 0 ? 0 : _up(l.seniorQueued * l.senior, l.seniorSupply);
    }

    function _freeCover(Ledger memory l) internal pure returns (uint256) {
        uint256 leaving = l.juniorQueued == 0 ? 0 : _up(l.juniorQueued * l.junior, l.juniorSupply);
        return l.reserve + l.junior - leaving;
    }

    /// @dev Idle that no queue and no buffer claims.
    function _freeIdle(Ledger memory l, Sight memory s) internal view returns (uint256) {
        uint256 demand = _seniorDemand(l) + _total(l) * s.p.bufferBps / BIPS;
        if (l.juniorQueued != 0) {
            demand += _up(_matured(_live(false), WITHDRAWAL_BLOCKS + MARGIN_BLOCKS) * l.junior, l.juniorSupply);
        }
        return _less(l.idle, demand);
    }

    /// @dev What the queues and the buffer want in all.
    function _wanted(Ledger memory l, Sight memory s) internal view returns (uint256 wanted) {
        wanted = _seniorDemand(l) + _total(l) * s.p.bufferBps / BIPS;
        if (l.juniorQueued == 0) return wanted;
        uint256 wait = WITHDRAWAL_BLOCKS + MARGIN_BLOCKS;
        uint256 due = _up(_matured(_live(false), wait) * l.junior, l.juniorSupply);
        uint256 overdue = _up(_matured(_live(false), wait + OVERDUE_BLOCKS) * l.junior, l.juniorSupply);
        due = _min(due, _juniorRoom(l, s));
        wanted += due > overdue ? due : overdue;
    }

    // ------------------------------------------------------------------------------------------- the queue

    /// @dev A(s): what the first `shares` of the line were paid, piece by piece.
    function _paidUpTo(Line storage q, uint256 shares) internal view returns (uint256 assets) {
        for (uint256 i; i < q.parts.length; ++i) {
            Part storage p = q.parts[i];
            if (shares < p.shares) return assets + p.assets * shares / p.shares;
            assets += p.assets;
            shares -= p.shares;
        }
    }

    function _claimable(address token, address who) internal view returns (uint256 shares, uint256 assets) {
        Line storage q = lines[token];
        assets = q.credit[who];
        for (uint256 i; i < q.requests.length; ++i) {
            Request storage r = q.requests[i];
            uint256 end = _min(r.end, q.finalised);
            if (r.controller != who || end <= r.start) continue;
            shares += end - r.start;
            assets += _paidUpTo(q, end) - _paidUpTo(q, r.start);
        }
    }

    /// @dev Oldest first, exactly so many shares; the credit goes along.
    function _claimShares(address token, address who, uint256 shares) internal returns (uint256 assets) {
        Line storage q = lines[token];
        assets = q.credit[who];
        q.credit[who] = 0;
        for (uint256 i; i < q.requests.length && shares != 0; ++i) {
            Request storage r = q.requests[i];
            uint256 end = _min(_min(r.end, q.finalised), r.start + shares);
            if (r.controller != who || end <= r.start) continue;
            assets += _paidUpTo(q, end) - _paidUpTo(q, r.start);
            shares -= end - r.start;
            r.start = end;
        }
        require(shares == 0, "more than claimable");
        q.paid += assets;
    }

    /// @dev Oldest first, as few shares as pay `assets`; what the last one is worth beyond them stays as a credit.
    function _claimAssets(address token, address who, uint256 assets) internal returns (uint256 shares) {
        Line storage q = lines[token];
        q.paid += assets;
        if (assets <= q.credit[who]) {
            q.credit[who] -= assets;
            return 0;
        }
        uint256 wanted = assets - q.credit[who];
        for (uint256 i; i < q.requests.length && wanted != 0; ++i) {
            Request storage r = q.requests[i];
            uint256 end = _min(r.end, q.finalised);
            if (r.controller != who || end <= r.start) continue;
            (uint256 to, uint256 worth) = _least(q, r.start, end, wanted);
            shares += to - r.start;
            r.start = to;
            if (worth >= wanted) {
                q.credit[who] = worth - wanted;
                return shares;
            }
            wanted -= worth;
        }
        q.credit[who] = 0;
        require(wanted == 0, "more than claimable");
    }

    /// @dev The smallest end that pays `wanted`, by halving; all if less is there or nothing of worth would be left.
    function _least(Line storage q, uint256 start, uint256 end, uint256 wanted)
        private
        view
        returns (uint256 to, uint256 worth)
    {
        uint256 base = _paidUpTo(q, start);
        uint256 all = _paidUpTo(q, end) - base;
        if (all <= wanted) return (end, all);
        (uint256 low, uint256 high) = (start, end);
        while (low < high) {
            uint256 middle = (low + high) / 2;
            if (_paidUpTo(q, middle) - base < wanted) low = middle + 1;
            else high = middle;
        }
        worth = _paidUpTo(q, low) - base;
        return worth == all ? (end, all) : (low, worth);
    }

    // --------------------------------------------------------------------------------------------- helpers

    function _live(bool senior) internal view returns (address) {
        return address(senior ? d.senior : d.junior);
    }

    function _tranche(Ledger memory l, bool senior) internal pure returns (uint256 book, uint256 supply) {
        return senior ? (l.senior, l.seniorSupply) : (l.junior, l.juniorSupply);
    }

    function _total(Ledger memory l) internal pure returns (uint256) {
        return l.reserve + l.junior + l.senior + l.gains;
    }

    function _up(uint256 a, uint256 b) internal pure returns (uint256) {
        return (a + b - 1) / b;
    }

    function _min(uint256 a, uint256 b) internal pure returns (uint256) {
        return a < b ? a : b;
    }

    function _less(uint256 a, uint256 b) internal pure returns (uint256) {
        return a > b ? a - b : 0;
    }
}
