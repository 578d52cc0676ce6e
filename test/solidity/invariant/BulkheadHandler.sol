// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

// solhint-disable gas-custom-errors

import {IAllocationManager, OperatorSet} from "../../../contracts/interfaces/external/IEigenLayer.sol";
import {AgentTerms, IRiskManager, SetTerms, Target, Terms} from "../../../contracts/interfaces/IRiskManager.sol";
import {IStakeManager} from "../../../contracts/interfaces/IStakeManager.sol";
import {ITier} from "../../../contracts/interfaces/ITier.sol";
import {RestakingAgent} from "../../../contracts/core/RestakingAgent.sol";
import {TrancheToken} from "../../../contracts/core/TrancheToken.sol";
import {LocalAVS} from "../../../contracts/local/avs/LocalAVS.sol";
import {Waterfall} from "../../../contracts/libraries/Waterfall.sol";
import {GhostModel} from "./GhostModel.sol";

/// @notice Everything that can happen to a tier. Before each call the model says whether it goes through and what the
/// books are afterwards; anything else fails the run, a revert that was not foretold included.
/// Tier A has two agents and five AVSs, the first of which both agents serve; tier B shares that AVS, EigenLayer's
/// strategy and Lido.
contract BulkheadHandler is GhostModel {
    uint256 private constant PEOPLE = 4;
    uint256 private constant AVSS = 5;
    uint64 private constant TARGET = 0.2e18;

    Deployment internal other;
    address internal rogue = makeAddr("rogue slasher");
    address internal sink = makeAddr("sink");
    uint16[2] private _weights = [5_000, 5_000];
    uint64 private _target = TARGET;
    uint8 private _k = 2;
    bytes32 private _otherBooks;
    mapping(bytes32 call => uint256) public passed;
    mapping(bytes32 call => uint256) public refused;
    bytes32[] internal _names;
    uint256 private _repairUntil;

    // ------------------------------------------------------------------------------------------- the world

    function build() external {
        _deployProtocol();
        _keep(d, _createTier("Careful", 2));
        _keep(other, _createTier("Bold", 1));
        for (uint256 g; g <= AVSS; ++g) {
            LocalAVS avs = new LocalAVS(address(this), allocations, "oracle");
            avs.createSet(1, _list(), address(avs));
            if (g < AVSS) d.avss.push(avs);
            if (g == 0 || g == AVSS) other.avss.push(avs);
        }
        for (uint256 i; i < 2; ++i) {
            d.agents.push(RestakingAgent(factory.createAgent(address(d.tier), address(this), "")));
        }
        other.agents.push(RestakingAgent(factory.createAgent(address(other.tier), address(this), "")));
        d.mandate.tighten(_mandate());
        for (uint256 i; i < 2; ++i) {
            for (uint256 j; j < 3; ++j) {
                d.agents[i].register(OperatorSet(address(d.avss[_avsOf(i, j)]), 1), "");
            }
        }
        other.mandate.tighten(_terms(other, 2, TARGET, 1));
        for (uint256 j; j < 2; ++j) {
            other.agents[0].register(OperatorSet(address(other.avss[j]), 1), "");
        }
        string[4] memory names = ["ann", "ben", "cid", "dot"];
        for (uint256 i; i < PEOPLE; ++i) {
            people.push(makeAddr(names[i]));
        }
        _adopt(address(d.senior));
        _adopt(address(d.junior));
        _start();
    }

    /// @dev A life has begun: juniors, seniors up to the limit, restaked.
    function _start() private {
        _deposit(other.junior, sink, 30 ether);
        _deposit(other.senior, sink, 20 ether);
        _deployAll(other);
        _allocateAll(other, 2, TARGET);
        ledger.reserve = ledger.idle = 1 ether;
        (ledger.seniorLive, ledger.juniorLive) = (true, true);
        (,, uint40 lastSync, uint40 unlockAt,) = d.tier.status();
        (ledger.lastSync, ledger.unlockAt, ledger.rate) = (lastSync, unlockAt, 0.04e18);
        _otherBooks = _booksOf(other);
        (Ledger memory l, Sight memory s) = _begin();
        _finish(l, s);
        _enter(people[0], false, 100 ether, false);
        _enter(people[1], true, d.senior.maxDeposit(people[1]) - 5 ether, true);
        for (uint256 i; i < 2; ++i) {
            _deploy(i, d.stakes.deployLimit(i) - 1 ether);
            for (uint256 j; j < 3; ++j) {
                _allocate(i, j, TARGET);
            }
        }
    }

    function _keep(Deployment storage to, Deployment memory from) private {
        (to.tier, to.senior, to.junior, to.risk) = (from.tier, from.senior, from.junior, from.risk);
        (to.stakes, to.allocator, to.mandate, to.module) = (from.stakes, from.allocator, from.mandate, from.module);
    }

    function _adopt(address token) private {
        series.push(token);
        for (uint256 i; i < PEOPLE; ++i) {
            vm.prank(people[i]);
            TrancheToken(token).setOperator(people[(i + 1) % PEOPLE], true);
        }
    }

    /// @dev Agent 0 serves AVSs 0, 1, 2; agent 1 serves 0, 3, 4.
    function _avsOf(uint256 i, uint256 j) private pure returns (uint256) {
        return j == 0 ? 0 : i * 2 + j;
    }

    function _mandate() private view returns (Terms memory t) {
        t.params = _params(_k);
        t.params.cap = 1_000 ether;
        t.sets = new SetTerms[](AVSS);
        for (uint256 g; g < AVSS; ++g) {
            t.sets[g] = SetTerms(OperatorSet(address(d.avss[g]), 1), 2, address(d.avss[g]), false, 0);
        }
        t.agents = new AgentTerms[](2);
        for (uint256 i; i < 2; ++i) {
            Target[] memory targets = new Target[](3);
            for (uint256 j; j < 3; ++j) {
                targets[j] = Target(uint8(_avsOf(i, j)), _target);
            }
            t.agents[i] = AgentTerms(address(d.agents[i]), _weights[i], targets);
        }
    }

    // ---------------------------------------------------------------------------------------- before, after

    /// @dev The books as a sync would leave them now.
    function _begin() internal returns (Ledger memory l, Sight memory s) {
        l = ledger;
        s = _look(l.idle);
        _sync(l, s.value);
    }

    /// @dev A call went through that syncs once, at its beginning.
    function _finish(Ledger memory l, Sight memory s) internal {
        l.use = _use(s, _worst(s, Which.Live), _total(l), l.reserve + l.junior, s.p.marginBps);
        _commit(l);
        compare();
    }

    /// @dev A manager's call went through: it syncs a second time at its end.
    function _finishManaged(Ledger memory l) internal returns (Sight memory s) {
        s = _look(l.idle);
        _sync(l, s.value);
        _finish(l, s);
    }

    function _commit(Ledger memory l) internal {
        if (l.closesAt != 0 && ledger.closesAt == 0) _judge("(a deficit opens)", true, true);
        if (ledger.seniorLive && !l.seniorLive) {
            _judge("(a senior series ends)", true, true);
            _retire(address(d.senior), ledger.seniorSupply);
            delete d.senior;
        }
        if (ledger.juniorLive && !l.juniorLive) {
            _judge("(a junior series ends)", true, true);
            _retire(address(d.junior), ledger.juniorSupply);
            delete d.junior;
        }
        _checkRates(l);
        ledger = l;
    }

    function _retire(address token, uint256 supply) private {
        (lines[token].retired, lines[token].supplyAtRetirement) = (true, supply);
    }

    /// @dev Invariant 9: a rate falls only if somebody lost something.
    function _checkRates(Ledger memory l) private view {
        if (l.losses != ledger.losses) return;
        if (ledger.seniorSupply != 0 && l.seniorSupply != 0) {
            assertGe(l.senior * ledger.seniorSupply, ledger.senior * l.seniorSupply, "9: senior rate fell");
        }
        if (ledger.juniorSupply != 0 && l.juniorSupply != 0) {
            assertGe(l.junior * ledger.juniorSupply, ledger.junior * l.juniorSupply, "9: junior rate fell");
        }
    }

    /// @notice The protocol's books against the model's, to the wei.
    function compare() public view {
        Waterfall.Books memory b = d.tier.books();
        assertEq(b.gains, ledger.gains, "G");
        assertEq(b.reserve, ledger.reserve, "R");
        assertEq(b.junior, ledger.junior, "J");
        assertEq(b.senior, ledger.senior, "S");
        (uint256 idle, uint256 reserved) = d.tier.cash();
        assertEq(idle, ledger.idle, "idle");
        assertEq(reserved, ledger.reserved, "reserved");
        assertEq(weth.balanceOf(address(d.tier)), idle + reserved + strayWeth, "WETH");
        (uint256 use, uint256 rate, uint40 lastSync, uint40 unlockAt, bool paused) = d.tier.status();
        assertEq(use, ledger.use, "U");
        assertEq(rate, ledger.rate, "rate");
        assertEq(lastSync, ledger.lastSync, "last sync");
        assertEq(unlockAt, ledger.unlockAt, "unlock");
        assertEq(paused, ledger.paused, "paused");
        _compareShares();
        _compareDeficit();
        assertEq(_booksOf(other), _otherBooks, "12: the other tier's books changed");
    }

    function _compareShares() private view {
        ITier.Shares memory s = d.tier.shares(true);
        assertEq(s.supply, ledger.seniorSupply, "senior supply");
        assertEq(s.queued, ledger.seniorQueued, "senior queue");
        s = d.tier.shares(false);
        assertEq(s.supply, ledger.juniorSupply, "junior supply");
        assertEq(s.queued, ledger.juniorQueued, "junior queue");
        assertEq(d.tier.token(true), _live(true), "senior token");
        assertEq(d.tier.token(false), _live(false), "junior token");
    }

    function _compareDeficit() private view {
        ITier.Deficit memory x = d.tier.deficit();
        assertEq(x.outstanding, ledger.owed, "deficit");
        assertEq(x.juniorLoss, ledger.juniorOwed, "deficit of the junior");
        assertEq(x.closesAt, ledger.closesAt, "end of the deficit");
        assertEq(x.seniorToken, ledger.owedSenior, "senior of the deficit");
        assertEq(x.juniorToken, ledger.owedJunior, "junior of the deficit");
    }

    function _booksOf(Deployment storage x) internal view returns (bytes32) {
        bytes32 hash = _raw(x, abi.encodeCall(x.tier.books, ()), 0);
        hash = _raw(x, abi.encodeCall(x.tier.cash, ()), hash);
        hash = _raw(x, abi.encodeCall(x.tier.status, ()), hash);
        hash = _raw(x, abi.encodeCall(x.tier.deficit, ()), hash);
        hash = _raw(x, abi.encodeCall(x.tier.shares, (true)), hash);
        return _raw(x, abi.encodeCall(x.tier.shares, (false)), hash);
    }

    function _raw(Deployment storage x, bytes memory data, bytes32 hash) private view returns (bytes32) {
        (bool went, bytes memory result) = address(x.tier).staticcall(data);
        require(went, "view");
        return keccak256(abi.encode(hash, result));
    }

    /// @dev What tier B is worth, as EigenLayer and Lido say.
    function _worthOfOther() internal view returns (uint256) {
        Sight memory s;
        _readStake(s, other);
        (uint256 idle,) = other.tier.cash();
        return idle + s.staked + s.loose + s.unstaking;
    }

    /// @dev Invariant 12: what tier A does moves tier B's assets by no more than the strategy's own rounding.
    modifier apart() {
        uint256 worth = _worthOfOther();
        _;
        assertApproxEqAbs(_worthOfOther(), worth, 1_000, "12: the other tier's assets moved");
    }

    /// @dev The outcome of a call against what the model said.
    function _judge(bytes32 name, bool went, bool should) internal returns (bool) {
        if (passed[name] + refused[name] == 0) _names.push(name);
        if (went) {
            ++passed[name];
            if (!should) revert(string.concat("went through, but must not: ", _string(name)));
        } else {
            ++refused[name];
            if (should) revert(string.concat("must go through, but did not: ", _string(name)));
        }
        return went;
    }

    function _judge(bytes32 name, bool went, bool should, bytes memory why) internal returns (bool) {
        if (!went && should) {
            revert(string.concat("must go through, but did not: ", _string(name), " ", vm.toString(why)));
        }
        return _judge(name, went, should);
    }

    function _string(bytes32 name) private pure returns (string memory) {
        uint256 n;
        while (n < 32 && name[n] != 0) ++n;
        bytes memory b = new bytes(n);
        for (uint256 i; i < n; ++i) {
            b[i] = name[i];
        }
        return string(b);
    }

    /// @dev Calls as somebody; the return data if it went through, else why not.
    function _as(address who, address to, bytes memory data) internal returns (bool went, bytes memory result) {
        vm.prank(who);
        (went, result) = to.call(data);
    }

    function _token(bool senior, uint256 seed) internal view returns (address) {
        address token = _live(senior);
        return token == address(0) ? series[seed % series.length] : token;
    }

    // --------------------------------------------------------------------------------------------- entries

    function deposit(uint256 who, bool senior, uint8 kind, uint256 amount, bool viaRouter) external apart {
        address token = _live(senior);
        if (token == address(0)) return;
        if (kind % 4 < 2) {
            uint256 limit = TrancheToken(token).maxDeposit(address(0));
            // a junior that fills the whole cap would let nobody else in
            if (senior || kind % 8 < 2) _limitIsExact(senior, limit);
            amount = senior ? limit + kind % 4 : bound(amount, 0.01 ether, 50 ether);
            if (amount == 0) return;
        } else if (kind % 4 == 2) {
            amount = bound(amount, 0.01 ether, 40 ether);
        } else {
            amount = bound(amount, 1, 0.01 ether);
        }
        _enter(people[who % PEOPLE], senior, amount, viaRouter);
    }

    /// @dev Invariant 11: the limit that the token gives passes by the formula, and one wei more does not.
    function _limitIsExact(bool senior, uint256 limit) internal {
        (Ledger memory l, Sight memory s) = _begin();
        bool open = _isOpen(l, senior);
        if (!open) {
            assertEq(limit, 0, "11: a closed tranche has a limit");
            return;
        }
        if (senior) {
            if (limit != 0) assertTrue(_seniorFits(l, s, limit), "11: senior limit does not pass");
            assertFalse(_seniorFits(l, s, limit + 1), "11: senior limit is too low");
        } else {
            assertEq(limit, _less(s.p.cap, _total(l)), "11: junior limit");
        }
    }

    function _isOpen(Ledger memory l, bool senior) private view returns (bool) {
        uint256 seed = d.tier.seed();
        return !l.paused && l.closesAt == 0 && (senior ? l.seniorLive : l.juniorLive)
            && (!senior || l.reserve >= seed - seed / 1_000);
    }

    struct Entry {
        address who;
        bool senior;
        uint256 assets;
        uint256 shares;
    }

    function _enter(address who, bool senior, uint256 assets, bool viaRouter) internal {
        (Ledger memory l, Sight memory s) = _begin();
        Entry memory e = Entry(who, senior, assets, 0);
        (uint256 book, uint256 supply) = _tranche(l, senior);
        e.shares = supply == 0 ? assets : book == 0 ? 0 : assets * supply / book;
        bool should = _mayEnter(l, s, e);
        vm.deal(who, who.balance + assets);
        (bool went, bytes memory result) = _callEntry(e, viaRouter);
        if (!_judge("deposit", went, should, result)) return;
        assertEq(abi.decode(result, (uint256)), e.shares, "shares minted");
        _entered(l, s, e);
    }

    function _callEntry(Entry memory e, bool viaRouter) private returns (bool, bytes memory) {
        TrancheToken token = TrancheToken(_live(e.senior));
        if (!viaRouter) {
            _wrap(e.who, address(token), e.assets);
            return _as(e.who, address(token), abi.encodeCall(TrancheToken.deposit, (e.assets, e.who)));
        }
        bytes memory data = abi.encodeCall(router.depositEth, (token, 0, e.who, block.timestamp));
        vm.prank(e.who);
        return address(router).call{value: e.assets}(data);
    }

    function _mayEnter(Ledger memory l, Sight memory s, Entry memory e) private view returns (bool) {
        (, uint256 supply) = _tranche(l, e.senior);
        if (!_isOpen(l, e.senior) || e.shares == 0 || e.assets == 0) return false;
        if (supply == 0 && e.assets < 0.01 ether) return false;
        return e.senior ? _seniorFits(l, s, e.assets) : e.assets + _total(l) <= s.p.cap;
    }

    function _entered(Ledger memory l, Sight memory s, Entry memory e) private {
        lines[_live(e.senior)].held[e.who] += e.shares;
        l.idle += e.assets;
        if (e.senior) (l.senior, l.seniorSupply) = (l.senior + e.assets, l.seniorSupply + e.shares);
        else (l.junior, l.juniorSupply) = (l.junior + e.assets, l.juniorSupply + e.shares);
        if (e.senior) assertTrue(_covered(l, s, _freeCover(l)), "10: a senior deposit left the tier uncovered");
        _finish(l, s);
    }

    function _wrap(address who, address spender, uint256 assets) private {
        vm.startPrank(who);
        weth.deposit{value: assets}();
        weth.approve(spender, assets);
        vm.stopPrank();
    }

    function mint(uint256 who, bool senior, uint256 shares) external apart {
        address token = _live(senior);
        if (token == address(0)) return;
        shares = bound(shares, 0, 30 ether);
        (Ledger memory l, Sight memory s) = _begin();
        Entry memory e = Entry(people[who % PEOPLE], senior, shares, shares);
        (uint256 book, uint256 supply) = _tranche(l, senior);
        if (supply != 0) e.assets = _up(shares * book, supply);
        bool should = _mayEnter(l, s, e);
        vm.deal(e.who, e.who.balance + e.assets);
        _wrap(e.who, token, e.assets);
        (bool went, bytes memory result) = _as(e.who, token, abi.encodeCall(TrancheToken.mint, (shares, e.who)));
        if (!_judge("mint", went, should, result)) return;
        assertEq(abi.decode(result, (uint256)), e.assets, "assets taken");
        _entered(l, s, e);
    }

    // ----------------------------------------------------------------------------------------------- exits

    function transfer(uint256 from, uint256 to, uint256 which, uint256 shares) external {
        address token = series[which % series.length];
        (address a, address b) = (people[from % PEOPLE], people[to % PEOPLE]);
        Line storage q = lines[token];
        shares = bound(shares, 0, q.held[a] + 1);
        (bool went, bytes memory why) = _as(a, token, abi.encodeCall(TrancheToken(token).transfer, (b, shares)));
        if (!_judge("transfer", went, shares <= q.held[a], why)) return;
        q.held[a] -= shares;
        q.held[b] += shares;
        compare();
    }

    struct Ask {
        address token;
        address owner;
        address sender;
        address controller;
        uint256 shares;
    }

    function requestRedeem(uint256 who, uint256 caller, bool senior, uint8 kind, uint256 shares) external {
        Ask memory a;
        (a.token, a.owner) = (_token(senior, who), people[who % PEOPLE]);
        a.sender = caller % 7 == 6 ? sink : caller % 3 == 0 ? _next(a.owner) : a.owner;
        a.controller = kind % 5 == 0 ? people[(who % PEOPLE + 3) % PEOPLE] : a.owner;
        uint256 held = lines[a.token].held[a.owner];
        a.shares = kind % 4 == 0 ? held : bound(shares, 0, kind % 4 == 1 ? held + 1 : held);
        _ask(a);
    }

    function _ask(Ask memory a) private {
        Line storage q = lines[a.token];
        bool should = !q.retired && a.shares != 0 && a.shares <= q.held[a.owner] && a.sender != sink;
        if (should && a.shares != q.held[a.owner]) {
            (uint256 book, uint256 supply) = _tranche(ledger, TrancheToken(a.token).senior());
            should = a.shares * book / supply >= 0.01 ether;
        }
        should = should && _mayControl(a.controller, a.owner, a.sender);
        bytes memory data = abi.encodeCall(TrancheToken.requestRedeem, (a.shares, a.controller, a.owner));
        (bool went, bytes memory result) = _as(a.sender, a.token, data);
        if (!_judge("requestRedeem", went, should, result)) return;
        q.held[a.owner] -= a.shares;
        q.held[a.token] += a.shares;
        q.requests.push(Request(a.controller, block.number, q.requested, q.requested + a.shares));
        q.requested += a.shares;
        if (TrancheToken(a.token).senior()) ledger.seniorQueued += a.shares;
        else ledger.juniorQueued += a.shares;
        assertEq(abi.decode(result, (uint256)), q.requests.length, "request id");
        compare();
    }

    /// @dev The caller is the owner, or his operator (the next person is). For somebody else as controller the owner or
    /// the caller must be that one's operator.
    function _mayControl(address controller, address owner, address sender) private view returns (bool) {
        if (controller == sender || controller == owner) return true;
        return _next(controller) == sender || _next(controller) == owner;
    }

    function _next(address who) private view returns (address) {
        for (uint256 i; i < PEOPLE; ++i) {
            if (people[i] == who) return people[(i + 1) % PEOPLE];
        }
        return address(0);
    }

    function finalise(bool senior, uint8 kind, uint256 shares) external apart {
        address token = _live(senior);
        if (token == address(0)) return;
        (Ledger memory l, Sight memory s) = _begin();
        bool alive = senior ? l.seniorLive : l.juniorLive;
        uint256 most = alive ? _finalisable(l, s, senior) : 0;
        assertEq(d.tier.finalisable(senior), most, "11: finalisable");
        if (kind % 4 == 0) shares = most + 1;
        else if (kind % 4 == 1) shares = bound(shares, 0, most);
        else shares = most;
        bytes memory data = abi.encodeCall(TrancheToken.finalise, (kind % 4 == 3 ? type(uint256).max : shares));
        (bool went, bytes memory result) = token.call(data);
        if (!_judge("finalise", went, !alive || shares <= most, result)) return;
        _tookLeave(l, s, senior, alive ? shares : 0, result);
    }

    function _tookLeave(Ledger memory l, Sight memory s, bool senior, uint256 shares, bytes memory result) private {
        (uint256 done, uint256 assets) = abi.decode(result, (uint256, uint256));
        assertEq(done, shares, "finalised");
        if (shares != 0) {
            assertEq(assets, _leave(l, senior, shares, true), "finalised assets");
            (l.idle, l.reserved) = (l.idle - assets, l.reserved + assets);
            _finalised(_live(senior), shares, assets);
            if (!senior) assertTrue(_covered(l, s, l.reserve + l.junior), "10: a junior exit left the tier uncovered");
        }
        _finish(l, s);
    }

    function _finalised(address token, uint256 shares, uint256 assets) private {
        Line storage q = lines[token];
        q.parts.push(Part(shares, assets));
        q.finalised += shares;
        q.assets += assets;
        q.held[token] -= shares;
    }

    struct Claim {
        address token;
        address controller;
        address sender;
        uint8 kind;
        uint256 amount;
        uint256 most;
    }

    /// @dev Claims by shares or by assets, in part or one too many, by the controller, his operator or a stranger.
    function claim(uint256 who, uint256 which, uint8 kind, uint256 amount, uint256 caller) external {
        Claim memory c;
        (c.token, c.controller, c.kind) = (series[which % series.length], people[who % PEOPLE], kind);
        (uint256 shares, uint256 assets) = _claimable(c.token, c.controller);
        assertEq(TrancheToken(c.token).maxRedeem(c.controller), shares, "claimable shares");
        assertEq(TrancheToken(c.token).maxWithdraw(c.controller), assets, "claimable assets");
        c.sender = caller % 3 == 0 ? c.controller : caller % 3 == 1 ? _next(c.controller) : sink;
        c.most = kind % 3 == 0 ? assets : shares;
        c.amount = kind % 5 == 0 ? c.most + 1 : kind % 5 == 1 ? c.most : bound(amount, 0, c.most);
        _claim(c);
    }

    function _claim(Claim memory c) private {
        uint256 before = weth.balanceOf(sink) + sink.balance;
        (bool went, bytes memory result) = _as(c.sender, c.token, _claimData(c.kind, c.amount, c.controller));
        if (!_judge("claim", went, c.sender != sink && c.amount <= c.most, result)) return;
        uint256 paid;
        if (c.kind % 3 == 0) {
            paid = c.amount;
            assertEq(abi.decode(result, (uint256)), _claimAssets(c.token, c.controller, paid), "shares claimed");
        } else {
            paid = _claimShares(c.token, c.controller, c.amount);
            assertEq(abi.decode(result, (uint256)), paid, "assets claimed");
        }
        assertEq(weth.balanceOf(sink) + sink.balance, before + paid, "paid");
        ledger.reserved -= paid;
        compare();
    }

    function _claimData(uint8 kind, uint256 amount, address controller) private view returns (bytes memory) {
        if (kind % 3 == 0) return abi.encodeCall(TrancheToken.withdraw, (amount, sink, controller));
        if (kind % 3 == 1) return abi.encodeCall(TrancheToken.redeem, (amount, sink, controller));
        return abi.encodeCall(TrancheToken.redeemEth, (amount, sink, controller));
    }

    function instantRedeem(uint256 who, uint256 shares, bool all) external apart {
        address token = _live(true);
        if (token == address(0)) return;
        address holder = people[who % PEOPLE];
        uint256 held = lines[token].held[holder];
        (Ledger memory l, Sight memory s) = _begin();
        uint256 most = TrancheToken(token).maxInstantRedeem();
        shares = all ? _min(most + who % 2, held) : bound(shares, 0, held);
        if (!_instant(l, s)) {
            assertEq(most, 0, "an instant exit is offered");
            (bool through, bytes memory why) =
                _as(holder, token, abi.encodeCall(TrancheToken.instantRedeem, (shares, 0, sink, false)));
            _judge("instantRedeem", through, false, why);
            return;
        }
        _leaveAtOnce(l, s, holder, shares);
    }

    function _instant(Ledger memory l, Sight memory s) private pure returns (bool) {
        return l.seniorLive && l.closesAt == 0 && _covered(l, s, l.reserve + l.junior);
    }

    function _leaveAtOnce(Ledger memory l, Sight memory s, address holder, uint256 shares) private {
        address token = _live(true);
        (uint256 book, uint256 supply) = _tranche(l, true);
        uint256 waiting = l.seniorQueued == 0 ? 0 : _up(l.seniorQueued * book, supply);
        uint256 gross = shares == 0 ? 0 : _leave(l, true, shares, false);
        uint256 fee = _up(gross * s.p.instantFeeBps, BIPS);
        uint256 net = gross - fee;
        (bool went, bytes memory result) =
            _as(holder, token, abi.encodeCall(TrancheToken.instantRedeem, (shares, 0, sink, false)));
        if (!_judge("instantRedeem", went, net != 0 && net + waiting <= l.idle, result)) return;
        assertEq(abi.decode(result, (uint256)), net, "net of an instant exit");
        lines[token].held[holder] -= shares;
        l.idle -= net;
        if (fee != 0) _gain(l, fee);
        _finish(l, s);
    }

    // ---------------------------------------------------------------------------- reserve, deficit, series

    function topUpReserve(uint256 assets) external apart {
        assets = bound(assets, 0, 5 ether);
        (Ledger memory l, Sight memory s) = _begin();
        weth.approve(address(d.tier), assets);
        d.tier.topUpReserve(assets);
        (l.reserve, l.idle) = (l.reserve + assets, l.idle + assets);
        _finish(l, s);
    }

    function addGains(uint256 assets) external apart {
        assets = bound(assets, 0, 2 ether);
        (Ledger memory l, Sight memory s) = _begin();
        weth.approve(address(d.tier), assets);
        (bool went, bytes memory why) = _as(address(this), address(d.tier), abi.encodeCall(d.tier.addGains, (assets)));
        if (!_judge("addGains", went, assets != 0, why)) return;
        l.idle += assets;
        _gain(l, assets);
        _finish(l, s);
    }

    function skimReserve(uint256 assets) external apart {
        (Ledger memory l, Sight memory s) = _begin();
        assets = bound(assets, 0, l.reserve);
        bool should = assets + d.tier.seed() <= l.reserve && assets <= l.idle;
        if (should) {
            (l.reserve, l.idle) = (l.reserve - assets, l.idle - assets);
            should = _covered(l, s, _freeCover(l));
        }
        (bool went, bytes memory why) =
            _as(address(this), address(d.tier), abi.encodeCall(d.tier.skimReserve, (assets, sink)));
        if (_judge("skimReserve", went, should, why)) _finish(l, s);
    }

    function recover(uint256 assets) external apart {
        assets = bound(assets, 0, 30 ether);
        (Ledger memory l, Sight memory s) = _begin();
        bool should = l.closesAt != 0 && assets != 0;
        weth.approve(address(d.tier), assets);
        (bool went, bytes memory why) = _as(address(this), address(d.tier), abi.encodeCall(d.tier.recover, (assets)));
        if (!_judge("recover", went, should, why)) return;
        uint256 toSenior = _min(assets, l.owed);
        uint256 toJunior = _min(assets - toSenior, l.juniorOwed);
        l.reserve += assets - toSenior - toJunior;
        l.idle += assets;
        _credit(l, l.owedSenior, toSenior, true);
        _credit(l, l.owedJunior, toJunior, false);
        (l.owed, l.juniorOwed) = (l.owed - toSenior, l.juniorOwed - toJunior);
        if (l.owed == 0 && l.juniorOwed == 0) _close(l);
        _finish(l, s);
    }

    function _credit(Ledger memory l, address token, uint256 assets, bool senior) private {
        if (assets == 0) return;
        bool dies = senior ? !l.seniorLive && token == _live(true) : !l.juniorLive && token == _live(false);
        if (lines[token].retired || dies) {
            lines[token].pot += assets;
            (l.idle, l.reserved) = (l.idle - assets, l.reserved + assets);
        } else if (senior) {
            l.senior += assets;
        } else {
            l.junior += assets;
        }
    }

    function writeOff(uint256 luck) external {
        if (luck % 4 != 0) return; // mostly let a deficit live
        (Ledger memory l, Sight memory s) = _begin();
        bool should = l.closesAt != 0;
        (bool went, bytes memory why) = _as(address(this), address(d.tier), abi.encodeCall(d.tier.writeOff, ()));
        if (!_judge("writeOff", went, should, why)) return;
        _close(l);
        _finish(l, s);
    }

    function pauseEntries(bool paused, uint256 luck) external {
        if (luck % 3 != 0) paused = false;
        if (paused) d.tier.pauseEntries();
        else d.tier.unpauseEntries();
        ledger.paused = paused;
        compare();
    }

    /// @dev The next series of a dead tranche; requests back to their owners; pots.
    function series_(bool senior, uint256 which, uint256 who, uint256 shares) external {
        bool should = _live(senior) == address(0);
        (bool went, bytes memory result) =
            _as(sink, address(factory), abi.encodeCall(factory.openSeries, (address(d.tier), senior)));
        if (_judge("openSeries", went, should, result)) {
            address fresh = abi.decode(result, (address));
            if (senior) (d.senior, ledger.seniorLive) = (TrancheToken(fresh), true);
            else (d.junior, ledger.juniorLive) = (TrancheToken(fresh), true);
            _adopt(fresh);
        }
        _return(series[which % series.length], shares);
        _redeemPot(series[which % series.length], people[who % PEOPLE], shares);
        compare();
    }

    function _return(address token, uint256 seed) private {
        Line storage q = lines[token];
        if (q.requests.length == 0) return;
        uint256 id = 1 + seed % q.requests.length;
        (bool went, bytes memory result) = _as(sink, token, abi.encodeCall(TrancheToken.returnRequest, (id)));
        if (!_judge("returnRequest", went, q.retired, result)) return;
        Request storage r = q.requests[id - 1];
        uint256 back = _less(r.end, r.start > q.finalised ? r.start : q.finalised);
        assertEq(abi.decode(result, (uint256)), back, "returned");
        r.end -= back;
        q.held[token] -= back;
        q.held[r.controller] += back;
    }

    function _redeemPot(address token, address who, uint256 shares) private {
        Line storage q = lines[token];
        shares = bound(shares, 1, q.held[who] + 1);
        bool open = ledger.closesAt != 0 && block.timestamp < ledger.closesAt;
        bool should = q.retired && !open && shares <= q.held[who];
        (bool went, bytes memory result) =
            _as(who, token, abi.encodeCall(TrancheToken.redeemRetired, (shares, sink, false)));
        if (!_judge("redeemRetired", went, should, result)) return;
        uint256 assets = q.pot * shares / q.supplyAtRetirement;
        assertEq(abi.decode(result, (uint256)), assets, "pot");
        q.held[who] -= shares;
        (q.pot, q.supplyAtRetirement) = (q.pot - assets, q.supplyAtRetirement - shares);
        ledger.reserved -= assets;
    }

    // ------------------------------------------------------------------------------------ time and the world

    function sync() external apart {
        (Ledger memory l, Sight memory s) = _begin();
        d.tier.sync();
        _finish(l, s);
    }

    function pass(uint8 kind, uint256 blocks) external {
        uint256[6] memory spans = [uint256(1), 300, 7_200, 25_000, 100_801, 240_000];
        uint256 most = spans[kind % 6];
        _skip(bound(blocks, 1, most));
    }

    function lidoReport(bool up, uint256 amount) external {
        uint256 pooled = lido.getTotalPooledEther();
        // up to 3 parts in 1,000 up, to 1 part in 100 down
        amount = bound(amount, 1, up ? pooled / 300 : pooled / 100);
        if (up) lido.report{value: amount}(int256(amount));
        else lido.report(-int256(amount));
    }

    function lidoFinalise() external {
        uint256 last = lidoQueue.getLastRequestId();
        if (last != lidoQueue.getLastFinalizedRequestId()) lidoQueue.finalize(last);
    }

    function lidoLimit(uint8 kind) external {
        if (kind % 4 == 0) lido.pauseStaking();
        else if (kind % 4 == 1) lido.setStakingLimit(20 ether, 0.01 ether);
        else lido.removeStakingLimit();
        if (kind % 4 != 0) lido.resumeStaking();
    }

    function donate(uint8 kind, uint256 amount) external {
        amount = bound(amount, 1, 1 ether);
        if (kind % 5 == 0) {
            weth.transfer(address(d.tier), amount);
            strayWeth += amount;
        } else if (kind % 5 == 1) {
            vm.deal(address(d.module), address(d.module).balance + amount);
        } else if (kind % 5 == 2) {
            vm.deal(address(d.tier), address(d.tier).balance + amount);
        } else if (amount <= lido.getCurrentStakeLimit()) {
            uint256 shares = lido.submit{value: amount}(address(0));
            if (kind % 5 == 3) {
                lido.transferShares(address(d.module), shares);
                strayShares += shares;
            } else if (kind % 10 == 4) {
                lido.transferShares(address(d.agents[amount % 2]), shares);
            } else {
                lido.transferShares(address(strategy), shares);
            }
        }
        compare();
    }

    /// @dev An AVS slashes one of tier A's agents: a wei, a part, all; in the current slasher's name.
    function slash(uint256 agent, uint256 link, uint8 kind, uint256 wad) external {
        agent %= 2;
        uint256 avs = _avsOf(agent, link % 3);
        wad = kind % 4 == 0 ? 1 : kind % 4 == 1 ? 1e18 : bound(wad, 1, kind % 4 == 2 ? 0.1e18 : 1e18);
        _slashNow(address(d.agents[agent]), address(d.avss[avs]), wad);
        compare(); // nothing moves before a sync
    }

    /// @dev Many misbehave at once: enough to open a deficit and to end series.
    function catastrophe(uint8 avss, bool booked, uint256 luck) external {
        if (luck % 3 != 0) return;
        for (uint256 i; i < 2; ++i) {
            for (uint256 g; g < AVSS; ++g) {
                if ((avss >> g) & 1 == 1) _slashNow(address(d.agents[i]), address(d.avss[g]), 1e18);
            }
        }
        compare();
        if (!booked) return;
        (Ledger memory l, Sight memory s) = _begin();
        d.tier.sync();
        _finish(l, s);
    }

    function _slashNow(address agent, address avs, uint256 wad) internal {
        OperatorSet memory set = OperatorSet(avs, 1);
        if (!allocations.isOperatorSlashable(agent, set)) return;
        uint256[] memory wads = new uint256[](1);
        wads[0] = wad;
        vm.prank(allocations.getSlasher(set));
        allocations.slashOperator(avs, IAllocationManager.SlashingParams(agent, 1, _list(), wads, ""));
        _judge("slash", true, true);
    }

    /// @dev An AVS throws an agent out, or lets it in again; or its registrar turns bad, or good.
    function membership(uint256 agent, uint256 link, uint8 kind) external {
        agent %= 2;
        LocalAVS avs = d.avss[_avsOf(agent, link % 3)];
        LocalAVS.Behaviour b = LocalAVS.Behaviour(kind % 8 == 0 ? 1 : kind % 8 == 1 ? 2 : 0);
        avs.setBehaviour(LocalAVS.Behaviour.Accept, b);
        if (kind % 8 == 2) {
            if (!allocations.isMemberOfOperatorSet(address(d.agents[agent]), OperatorSet(address(avs), 1))) return;
            uint32[] memory ids = new uint32[](1);
            ids[0] = 1;
            avs.eject(address(d.agents[agent]), ids);
        } else if (kind % 8 > 4) {
            _register(agent, OperatorSet(address(avs), 1));
        }
    }

    function _register(uint256 agent, OperatorSet memory set) private {
        (Ledger memory l, Sight memory s) = _begin();
        (, uint256 at) = d.risk.setIndex(set.avs, 1);
        bool should = s.allowed[at] && !s.quarantined[at] && !s.unapproved[at]
            && !allocations.isOperatorSlashable(address(d.agents[agent]), set);
        (bool went, bytes memory why) =
            _as(address(this), address(d.agents[agent]), abi.encodeCall(RestakingAgent.register, (set, "")));
        if (_judge("register", went, should, why)) _finishManaged(l);
    }

    /// @dev An AVS announces another slasher, or goes back to its own.
    function swapSlasher(uint256 avs, uint256 luck) external {
        if (luck % 3 == 0) return;
        LocalAVS x = d.avss[avs % AVSS];
        x.updateSlasher(1, luck % 3 == 1 ? rogue : address(x));
    }

    /// @dev Tier B lives its own life; tier A's books must not notice.
    function otherTier(uint8 kind, uint256 amount) external {
        uint256 worth = _worth();
        amount = bound(amount, 0.01 ether, 5 ether);
        if (kind % 6 == 0) _as(sink, address(other.tier), abi.encodeCall(other.tier.sync, ()));
        if (kind % 6 == 1 && other.tier.maxDeposit(false) >= amount) _deposit(other.junior, sink, amount);
        if (kind % 6 == 2 && other.tier.maxDeposit(true) >= amount) _deposit(other.senior, sink, amount);
        if (kind % 6 == 3) {
            _as(sink, address(other.stakes), abi.encodeCall(other.stakes.deploy, (0, other.stakes.deployLimit(0))));
        }
        if (kind % 6 == 4) _slashNow(address(other.agents[0]), address(other.avss[amount % 2]), 0.01e18);
        if (kind % 6 == 5) _as(sink, address(other.stakes), abi.encodeCall(other.stakes.unbond, ()));
        _otherBooks = _booksOf(other);
        assertApproxEqAbs(_worth(), worth, 1_000, "12: this tier's assets moved");
        compare();
    }

    function _worth() internal view returns (uint256) {
        Sight memory s;
        _readStake(s, d);
        return ledger.idle + s.staked + s.loose + s.unstaking;
    }

    // -------------------------------------------------------------------------------------------- managers

    /// @dev A keeper's round, as far as there is something to do; now and then with the wait that exits need.
    function keeper(uint8 jobs, bool wait) external {
        if (jobs & 1 != 0) this.unbond();
        if (jobs & 2 != 0) this.unbond();
        if (wait) _skip(WITHDRAWAL_BLOCKS + 1);
        for (uint256 i; i < 2 && jobs & 4 != 0; ++i) {
            if (jobs & 128 != 0) this.redeposit(i, 0);
            this.complete(i, 0);
        }
        if (jobs & 8 != 0) this.requestUnstake(2);
        if (jobs & 16 != 0) this.lidoFinalise();
        if (jobs & 32 != 0) this.claimUnstaked(3);
        if (jobs & 64 != 0) this.finalise(true, 2, 0);
        if (jobs & 64 != 0) this.finalise(false, 2, 0);
    }

    function deploy(uint256 agent, uint8 kind, uint256 assets) external apart {
        agent %= 2;
        uint256 limit = d.stakes.deployLimit(agent);
        if (kind % 3 == 0) assets = limit + 1;
        else if (kind % 3 == 1) assets = limit;
        else assets = bound(assets, 1, limit + 1 ether);
        if (assets != 0) _deploy(agent, assets);
    }

    /// @dev Room by weight, by idle, by Lido, by cover; and an agent that is fit.
    function _mayDeploy(Ledger memory l, Sight memory s, uint256 agent, uint256 assets) private view returns (bool) {
        return assets <= _freeIdle(l, s) && assets <= lido.getCurrentStakeLimit() && _mayRestake(l, s, agent, assets);
    }

    function _mayRestake(Ledger memory l, Sight memory s, uint256 agent, uint256 assets) private pure returns (bool) {
        uint256 restaked = _total(l) - _total(l) * s.p.bufferBps / BIPS;
        return
            assets != 0 && s.stake[agent] + assets <= s.weight[agent] * restaked / BIPS
                && _deployFits(l, s, agent, assets);
    }

    function _fit(Sight memory s, uint256 agent) internal pure returns (bool) {
        for (uint256 j; j < SLOTS; ++j) {
            Link memory x = s.links[agent * SLOTS + j];
            if (x.used && x.current != 0 && s.quarantined[x.set]) return false;
        }
        return s.max[agent] >= 0.1e18;
    }

    function _deploy(uint256 agent, uint256 assets) internal {
        (Ledger memory l, Sight memory s) = _begin();
        bool room = _mayDeploy(l, s, agent, assets);
        bool should = room && _fit(s, agent);
        // a slash that no sync has booked yet may make the agent unfit, which the view does not foresee
        bool offered = assets <= d.stakes.deployLimit(agent);
        assertTrue(offered == should || (offered && room), "11: deployment limit");
        if (should && assets < 1 gwei) return; // less than Lido and the strategy can count
        (bool went, bytes memory why) = _as(sink, address(d.stakes), abi.encodeCall(d.stakes.deploy, (agent, assets)));
        if (!_judge("deploy", went, should, why)) return;
        l.idle -= assets;
        s = _finishManaged(l);
        assertTrue(_covered(l, s, _freeCover(l)), "10: a deployment left the tier uncovered");
    }

    function redeploy(uint256 agent, uint256 assets, bool all) external apart {
        agent %= 2;
        (Ledger memory l, Sight memory s) = _begin();
        if (s.loose < 1 gwei) return;
        assets = all ? s.loose : bound(assets, 1 gwei, s.loose + 1);
        bool should = assets <= s.loose && _mayRestake(l, s, agent, assets) && _fit(s, agent);
        (bool went, bytes memory why) = _as(sink, address(d.stakes), abi.encodeCall(d.stakes.redeploy, (agent, assets)));
        // whether queues need it is decided by what is there afterwards
        if (!went && _is(why, IStakeManager.Needed.selector)) should = false;
        if (!_judge("redeploy", went, should, why)) return;
        s = _finishManaged(l);
        _unneeded(l, s);
    }

    /// @dev What was put back at risk left enough for the queues, and the tier covered.
    function _unneeded(Ledger memory l, Sight memory s) private view {
        assertTrue(_covered(l, s, _freeCover(l)), "10: restaking left the tier uncovered");
        assertGe(
            l.idle + (s.exiting + s.loose + s.unstaking) * 9_500 / BIPS, _wanted(l, s), "restaked what queues need"
        );
    }

    function _is(bytes memory why, bytes4 selector) internal pure returns (bool) {
        return why.length >= 4 && bytes4(why) == selector;
    }

    function unbond() external apart {
        (Ledger memory l, Sight memory s) = _begin();
        uint256 need = _less(_wanted(l, s), l.idle + (s.exiting + s.loose + s.unstaking) * 9_500 / BIPS);
        assertEq(d.stakes.unbondNeed(), need, "need");
        bool able;
        for (uint256 i; i < 2; ++i) {
            IRiskManager.AgentState memory a = d.risk.agent(i);
            if (s.stake[i] != 0 && _deposited(i) > 1_000 && a.exits < 15 && block.timestamp >= a.lastUnbond + 1 days) {
                able = true;
            }
        }
        (bool went, bytes memory why) = _as(sink, address(d.stakes), abi.encodeCall(d.stakes.unbond, ()));
        if (_judge("unbond", went, need != 0 && able, why)) _finishManaged(l);
    }

    function _deposited(uint256 agent) private view returns (uint256) {
        return eigen.strategyManager().stakerDepositShares(address(d.agents[agent]), strategy);
    }

    function complete(uint256 agent, uint256 exit) external apart {
        agent %= 2;
        (Ledger memory l, Sight memory s) = _begin();
        if (s.exits[agent] == 0) return;
        exit %= s.exits[agent];
        bool should = block.number > d.risk.exit(agent, exit).startBlock + WITHDRAWAL_BLOCKS;
        (bool went, bytes memory why) = _as(sink, address(d.stakes), abi.encodeCall(d.stakes.complete, (agent, exit)));
        if (!_judge("complete", went, should, why)) return;
        strayShares = 0; // stETH that was lying in the module is counted from now on
        _finishManaged(l);
    }

    function redeposit(uint256 agent, uint256 exit) external apart {
        agent %= 2;
        (Ledger memory l, Sight memory s) = _begin();
        if (s.exits[agent] == 0) return;
        exit %= s.exits[agent];
        IRiskManager.Exit memory x = d.risk.exit(agent, exit);
        bool should = block.number > x.startBlock + WITHDRAWAL_BLOCKS && !x.tokensOnly && _fit(s, agent);
        (bool went, bytes memory why) = _as(sink, address(d.stakes), abi.encodeCall(d.stakes.redeposit, (agent, exit)));
        // gate and need are decided by what is there afterwards: EigenLayer's factors round
        bool later = _is(why, IStakeManager.Needed.selector) || _is(why, ITier.Uncovered.selector);
        if (!_judge("redeposit", went, should && (went || !later), why)) return;
        s = _finishManaged(l);
        _unneeded(l, s);
    }

    function requestUnstake(uint256 maxRequests) external apart {
        (Ledger memory l, Sight memory s) = _begin();
        uint256 need = _less(_wanted(l, s), l.idle + s.unstaking);
        (bool went, bytes memory why) =
            _as(sink, address(d.stakes), abi.encodeCall(d.stakes.requestUnstake, (maxRequests % 3)));
        if (_judge("requestUnstake", went, need != 0 && s.loose >= 100, why)) _finishManaged(l);
    }

    function claimUnstaked(uint256 maxRequests) external apart {
        (Ledger memory l,) = _begin();
        uint256 claimed = d.stakes.claimUnstaked(maxRequests % 4);
        l.idle += claimed;
        _finishManaged(l);
    }

    function allocate(uint256 agent, uint256 link, uint64 magnitude, bool full) external apart {
        (agent, link) = (agent % 2, link % 3);
        (, Sight memory s) = _begin();
        Link memory x = s.links[agent * SLOTS + link];
        magnitude = full ? uint64(x.target) : uint64(bound(magnitude, 0, 0.3e18));
        _allocate(agent, link, magnitude);
    }

    /// @dev A decrease that has taken effect is pending no longer.
    function _fresh(Link memory x) private view returns (Link memory) {
        if (x.pending != 0 && block.number >= x.effect) (x.current, x.pending) = (x.current - x.pending, 0);
        return x;
    }

    function _allocate(uint256 agent, uint256 link, uint64 magnitude) internal {
        (Ledger memory l, Sight memory s) = _begin();
        Link memory x = _fresh(s.links[agent * SLOTS + link]);
        bool should = s.allowed[x.set] && !s.quarantined[x.set] && !s.unapproved[x.set] && x.pending == 0
            && magnitude > x.current && magnitude <= x.target;
        uint256 room =
            s.max[agent] - eigen.allocationManager().getEncumberedMagnitude(address(d.agents[agent]), strategy);
        should = should && magnitude - x.current <= room;
        if (should) {
            x.current = magnitude; // s.links holds this very struct
            should = _covered(l, s, _freeCover(l));
        }
        (bool went, bytes memory why) =
            _as(sink, address(d.allocator), abi.encodeCall(d.allocator.allocate, (agent, link, magnitude)));
        if (!_judge("allocate", went, should, why)) return;
        s = _finishManaged(l);
        assertTrue(_covered(l, s, _freeCover(l)), "10: an allocation left the tier uncovered");
    }

    function deallocate(uint256 agent, uint256 link) external apart {
        (agent, link) = (agent % 2, link % 3);
        (Ledger memory l, Sight memory s) = _begin();
        Link memory x = _fresh(s.links[agent * SLOTS + link]);
        (bool went, bytes memory why) =
            _as(sink, address(d.allocator), abi.encodeCall(d.allocator.deallocate, (agent, link)));
        if (_judge("deallocate", went, x.pending == 0 && x.current > x.target, why)) _finishManaged(l);
    }

    function unwind(uint256 agent, uint256 link) external apart {
        (agent, link) = (agent % 2, link % 3);
        (Ledger memory l, Sight memory s) = _begin();
        bool should = _mayUnwind(s, agent, s.links[agent * SLOTS + link].set);
        (bool went, bytes memory why) =
            _as(sink, address(d.allocator), abi.encodeCall(d.allocator.unwind, (agent, link)));
        if (_judge("unwind", went, should, why)) _finishManaged(l);
    }

    function _mayUnwind(Sight memory s, uint256 agent, uint256 at) private view returns (bool) {
        OperatorSet memory set = d.risk.set(at).operatorSet;
        address account = address(d.agents[agent]);
        IAllocationManager.Allocation memory a = allocations.getAllocation(account, set, strategy);
        uint256 pending = a.pendingDiff < 0 ? uint256(uint128(-a.pendingDiff)) : 0;
        if (!s.quarantined[at] || a.currentMagnitude == pending) return false;
        if (pending == 0) return true;
        if (!allocations.isMemberOfOperatorSet(account, set)) return false;
        LocalAVS.Behaviour b = LocalAVS(set.avs).onDeregister();
        if (b == LocalAVS.Behaviour.Accept) return true;
        return eigen.strategyManager().stakerDepositShares(account, strategy) > 1_000 && s.exits[agent] < 16;
    }

    function deleverage(uint256 agent) external apart {
        agent %= 2;
        (Ledger memory l, Sight memory s) = _begin();
        uint256 margin = block.timestamp <= _repairUntil ? s.p.marginBps : 0;
        bool needed = _use(s, _worst(s, Which.Forward), _total(l), l.reserve + l.junior - _overdue(l), margin) > ONE;
        (bool says,) = d.allocator.deleverageNeeded();
        assertEq(says, needed, "deleverage needed");
        (bool went, bytes memory why) = _as(sink, address(d.allocator), abi.encodeCall(d.allocator.deleverage, (agent)));
        // there may be nothing to cut with this agent
        if (!_judge("deleverage", went, needed && went, why)) return;
        _repairUntil = block.timestamp + 1 days;
        _quarters(s, _finishManaged(l), agent * SLOTS);
    }

    function _overdue(Ledger memory l) private view returns (uint256) {
        if (l.juniorQueued == 0) return 0;
        uint256 wait = WITHDRAWAL_BLOCKS + MARGIN_BLOCKS + OVERDUE_BLOCKS;
        return _up(_matured(_live(false), wait) * l.junior, l.juniorSupply);
    }

    function _quarters(Sight memory s, Sight memory t, uint256 from) private pure {
        for (uint256 n = from; n < from + SLOTS; ++n) {
            if (!s.links[n].used) continue;
            uint256 before = s.links[n].current - s.links[n].pending;
            uint256 after_ = t.links[n].current - t.links[n].pending;
            if (before != after_) assertLe(after_ * 4, before * 3, "a cut is at least a quarter");
        }
    }

    function poke(uint256 set) external apart {
        (Ledger memory l,) = _begin();
        d.risk.poke(set % AVSS);
        _finishManaged(l);
    }

    function quarantine(uint256 group, uint256 luck) external apart {
        if (luck % 4 != 0) return;
        (Ledger memory l,) = _begin();
        d.risk.quarantine(uint8(group % AVSS));
        _finishManaged(l);
    }

    function _approved() private view returns (bool) {
        for (uint256 g; g < AVSS; ++g) {
            OperatorSet memory set = OperatorSet(address(d.avss[g]), 1);
            (address next,) = allocations.getPendingSlasher(set);
            if (allocations.getSlasher(set) != set.avs || (next != address(0) && next != set.avs)) return false;
        }
        return true;
    }

    /// @dev The curator puts safer terms in force: lower weights or targets, more groups.
    function tighten(uint8 kind, uint256 amount, uint256 luck) external apart {
        if (luck % 4 != 0) return;
        (uint8 k, uint64 target, uint16[2] memory weights) = (_k, _target, _weights);
        if (kind % 4 == 0 && _k < 3) ++_k;
        if (kind % 4 == 1) _target = uint64(bound(amount, target / 2, target));
        if (kind % 4 == 2) _weights[amount % 2] /= 2;
        if (_tightened()) return;
        (_k, _target, _weights) = (k, target, weights);
    }

    function _tightened() private returns (bool) {
        (Ledger memory l,) = _begin();
        bool should = _approved();
        (bool went, bytes memory why) =
            _as(address(this), address(d.mandate), abi.encodeCall(d.mandate.tighten, (_mandate())));
        if (_judge("tighten", went, should, why)) _finishManaged(l);
        return went;
    }
}
