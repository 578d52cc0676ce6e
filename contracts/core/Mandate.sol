// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {
    AccessManagedUpgradeable
} from "@openzeppelin/contracts-upgradeable/access/manager/AccessManagedUpgradeable.sol";
import {OperatorSet} from "../interfaces/external/IEigenLayer.sol";
import {IMandate} from "../interfaces/IMandate.sol";
import {AgentTerms, IRiskManager, Params, SetTerms, Terms} from "../interfaces/IRiskManager.sol";
import {ITier} from "../interfaces/ITier.sol";

/// @title What a tier may do, and how that changes
/// @notice See {IMandate}.
contract Mandate is IMandate, AccessManagedUpgradeable {
    /// @dev Longer than the longest ordinary exit: 14 days at EigenLayer, a day of margin, the staking protocol's queue.
    uint40 private constant MIN_DELAY = 45 days;
    uint40 private constant LIFETIME = 30 days;

    /// @custom:storage-location erc7201:bulkhead.storage.Mandate
    struct Store {
        ITier tier;
        uint40 delay;
        IRiskManager risk;
        bytes32 proposal;
        uint40 eta;
        uint40 expiry;
        bytes32 current;
    }

    // keccak256(abi.encode(uint256(keccak256("bulkhead.storage.Mandate")) - 1)) & ~bytes32(uint256(0xff))
    bytes32 private constant STORE = 0xdd2d765b66cc67c61369009507604c745e5a7fe5d609bb5b7bac5309bc947c00;

    /// @custom:oz-upgrades-unsafe-allow constructor
    constructor() {
        _disableInitializers();
    }

    /// @notice Ties the mandate to its tier. Called once, by the factory. `delay_` in seconds, at least 45 days.
    function initialize(address authority, ITier tier, IRiskManager risk, uint40 delay_) external initializer {
        if (delay_ < MIN_DELAY) revert InvalidSetup();
        __AccessManaged_init(authority);
        Store storage $ = _store();
        ($.tier, $.risk, $.delay) = (tier, risk, delay_);
    }

    /// @inheritdoc IMandate
    function propose(Terms calldata terms) external restricted returns (bytes32 id) {
        Store storage $ = _store();
        if (riskierPending()) revert ProposalPending($.proposal);
        id = keccak256(abi.encode(terms));
        $.proposal = id;
        $.eta = uint40(block.timestamp) + $.delay;
        $.expiry = $.eta + LIFETIME;
        emit MandateProposed(id, terms, $.eta, $.expiry);
    }

    /// @inheritdoc IMandate
    function execute(Terms calldata terms) external {
        Store storage $ = _store();
        bytes32 id = keccak256(abi.encode(terms));
        if (id != $.proposal) revert NotProposed(id);
        // judged now and not when it was proposed: whoever has entered since gets the whole delay
        bool early = block.timestamp < $.eta && !_empty($);
        if (early || block.timestamp > $.expiry) revert NotExecutable($.eta, $.expiry);
        delete $.proposal;
        _apply($, terms, id, true);
    }

    /// @inheritdoc IMandate
    function tighten(Terms calldata terms) external restricted {
        Store storage $ = _store();
        bytes32 respect = riskierIn(terms);
        if (respect != 0 && !_empty($)) revert Riskier(respect);
        _apply($, terms, keccak256(abi.encode(terms)), false);
    }

    /// @inheritdoc IMandate
    function cancel() external restricted {
        Store storage $ = _store();
        if ($.proposal == 0) revert NotProposed(0);
        emit MandateCancelled($.proposal);
        delete $.proposal;
    }

    function _apply(Store storage $, Terms calldata terms, bytes32 id, bool riskier) private {
        $.current = id;
        $.tier.begin();
        $.risk.apply_(terms);
        $.tier.end(riskier);
        emit MandateApplied(id, terms, riskier);
    }

    /// @dev Nobody holds a share yet.
    function _empty(Store storage $) private view returns (bool) {
        return $.tier.shares(true).supply == 0 && $.tier.shares(false).supply == 0;
    }

    /// @inheritdoc IMandate
    function riskierIn(Terms calldata terms) public view returns (bytes32) {
        IRiskManager risk = _store().risk;
        Params memory p = risk.params();
        Params calldata q = terms.params;
        if (q.k < p.k) return "k";
        if (q.marginBps < p.marginBps) return "marginBps";
        if (q.haircutBps < p.haircutBps) return "haircutBps";
        if (q.cap > p.cap) return "cap";
        if (q.bufferBps < p.bufferBps) return "bufferBps";
        if (q.instantFeeBps != p.instantFeeBps) return "instantFeeBps";
        if (q.quarantineBps > p.quarantineBps) return "quarantineBps";
        if (terms.releases != 0) return "releases";
        for (uint256 i; i < terms.sets.length; ++i) {
            bytes32 respect = _riskierSet(risk, terms.sets[i]);
            if (respect != 0) return respect;
        }
        for (uint256 i; i < terms.agents.length; ++i) {
            bytes32 respect = _riskierAgent(risk, terms, terms.agents[i]);
            if (respect != 0) return respect;
        }
        return 0;
    }

    function _riskierSet(IRiskManager risk, SetTerms calldata t) private view returns (bytes32) {
        (bool known, uint256 index) = risk.setIndex(t.operatorSet.avs, t.operatorSet.id);
        if (!known) return "set";
        IRiskManager.SetState memory x = risk.set(index);
        if (!x.allowed) return "set";
        if (t.slasher != x.approvedSlasher) return "slasher";
        if (t.redistributing && !x.redistributing) return "redistributing";
        if (t.vetoBlocks < x.vetoBlocks) return "vetoBlocks";
        if (t.category != x.category) return "category";
        return 0;
    }

    function _riskierAgent(IRiskManager risk, Terms calldata terms, AgentTerms calldata t)
        private
        view
        returns (bytes32)
    {
        uint256 index = risk.agentIndex(t.agent);
        IRiskManager.AgentState memory a = risk.agent(index);
        if (t.weightBps > a.weightBps) return "weightBps";
        for (uint256 n; n < t.targets.length; ++n) {
            OperatorSet calldata wanted = terms.sets[t.targets[n].set].operatorSet;
            (, uint256 at) = risk.setIndex(wanted.avs, wanted.id);
            uint64 now_;
            for (uint256 j; j < a.links; ++j) {
                (uint256 linked, IRiskManager.Link memory x) = risk.link(index, j);
                if (linked == at) now_ = x.target;
            }
            if (t.targets[n].magnitude > now_) return "target";
        }
        return 0;
    }

    /// @inheritdoc IMandate
    function riskierPending() public view returns (bool) {
        Store storage $ = _store();
        return $.proposal != 0 && block.timestamp <= $.expiry;
    }

    /// @inheritdoc IMandate
    function pending() external view returns (bytes32, uint40, uint40) {
        Store storage $ = _store();
        return ($.proposal, $.eta, $.expiry);
    }

    /// @inheritdoc IMandate
    function current() external view returns (bytes32) {
        return _store().current;
    }

    /// @inheritdoc IMandate
    function delay() external view returns (uint40) {
        return _store().delay;
    }

    function _store() private pure returns (Store storage $) {
        bytes32 slot = STORE;
        assembly {
            $.slot := slot
        }
    }
}
