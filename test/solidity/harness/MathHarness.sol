// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Attribution} from "../../../contracts/libraries/Attribution.sol";
import {DutchAuction} from "../../../contracts/libraries/DutchAuction.sol";
import {Exposure} from "../../../contracts/libraries/Exposure.sol";
import {Premium} from "../../../contracts/libraries/Premium.sol";
import {Queue} from "../../../contracts/libraries/Queue.sol";
import {Waterfall} from "../../../contracts/libraries/Waterfall.sol";

/// @title MathHarness
/// @notice Every library function behind an external one, so that a test can call it and its errors surface as reverts.
/// Holds one queue; everything else is pure. Functions that change a memory struct return it.
contract MathHarness {
    using Queue for Queue.State;

    Queue.State internal queue;

    // Waterfall

    function vested(uint256 gains, uint256 lastSync, uint256 unlockAt, uint256 time) external pure returns (uint256) {
        return Waterfall.vested(gains, lastSync, unlockAt, time);
    }

    function total(Waterfall.Books memory b) external pure returns (uint256) {
        return Waterfall.total(b);
    }

    function distribute(Waterfall.Books memory b, uint256 amount, uint256 due_, bool deficitOpen)
        external
        pure
        returns (Waterfall.Books memory, uint256 premium)
    {
        premium = Waterfall.distribute(b, amount, due_, deficitOpen);
        return (b, premium);
    }

    function gain(Waterfall.Books memory b, uint256 amount, uint256 unlockAt, uint256 time)
        external
        pure
        returns (Waterfall.Books memory, uint256 newUnlockAt)
    {
        newUnlockAt = Waterfall.gain(b, amount, unlockAt, time);
        return (b, newUnlockAt);
    }

    function lose(Waterfall.Books memory b, uint256 amount)
        external
        pure
        returns (Waterfall.Books memory, Waterfall.Borne memory borne)
    {
        borne = Waterfall.lose(b, amount);
        return (b, borne);
    }

    // DutchAuction

    function price(uint256 start, uint256 floor, uint256 elapsed) external pure returns (uint256) {
        return DutchAuction.price(start, floor, elapsed);
    }

    function cost(uint256 amount, uint256 price_) external pure returns (uint256) {
        return DutchAuction.cost(amount, price_);
    }

    function next(uint256 proceeds, uint256 amount, uint256 floor) external pure returns (uint256) {
        return DutchAuction.next(proceeds, amount, floor);
    }

    // Premium

    function err(uint256 u) external pure returns (int256) {
        return Premium.err(u);
    }

    function rate(uint256 base, uint256 u) external pure returns (uint256) {
        return Premium.rate(base, u);
    }

    function due(uint256 base, uint256 u, uint256 junior, uint256 senior, uint256 total_, uint256 dt)
        external
        pure
        returns (uint256)
    {
        return Premium.due(base, u, junior, senior, total_, dt);
    }

    function adapt(uint256 base, uint256 u, uint256 junior, uint256 senior, uint256 dt)
        external
        pure
        returns (uint256)
    {
        return Premium.adapt(base, u, junior, senior, dt);
    }

    // Exposure

    function fraction(uint256 magnitude, uint256 maxMagnitude) external pure returns (uint256) {
        return Exposure.fraction(magnitude, maxMagnitude);
    }

    function largest(uint256[] memory values, uint256 k) external pure returns (uint256 sum, uint256 mask) {
        return Exposure.largest(values, k);
    }

    function need(uint256 exposed, uint256 v, uint256 b, uint256 h) external pure returns (uint256) {
        return Exposure.need(exposed, v, b, h);
    }

    function budget(uint256 cover) external pure returns (uint256) {
        return Exposure.budget(cover);
    }

    function utilisation(uint256 exposed, uint256 v, uint256 cover, uint256 b, uint256 h)
        external
        pure
        returns (uint256)
    {
        return Exposure.utilisation(exposed, v, cover, b, h);
    }

    function covered(uint256 exposed, uint256 v, uint256 cover, uint256 b, uint256 h) external pure returns (bool) {
        return Exposure.covered(exposed, v, cover, b, h);
    }

    function demand(Exposure.Line memory line, uint256 k, uint256 d) external pure returns (uint256) {
        return Exposure.demand(line, k, d);
    }

    function limit(Exposure.Line memory line, uint256 k, uint256 available, uint256 cap)
        external
        pure
        returns (uint256)
    {
        return Exposure.limit(line, k, available, cap);
    }

    function seniorLine(
        uint256[] memory exposure,
        uint256[] memory rho,
        uint256 extraExposure,
        uint256 extraRho,
        uint256 idleToDeploy,
        uint256 v,
        uint256 b,
        uint256 h
    ) external pure returns (Exposure.Line memory) {
        return Exposure.seniorLine(exposure, rho, extraExposure, extraRho, idleToDeploy, v, b, h);
    }

    function deployLine(
        uint256[] memory exposure,
        uint256[] memory e,
        uint256 extraExposure,
        uint256 extraE,
        uint256 v,
        uint256 b,
        uint256 h
    ) external pure returns (Exposure.Line memory) {
        return Exposure.deployLine(exposure, e, extraExposure, extraE, v, b, h);
    }

    function seniorBound(uint256 exposed, uint256 rho, uint256 idleToDeploy, uint256 d, uint256 v, uint256 b, uint256 h)
        external
        pure
        returns (uint256)
    {
        return Exposure.seniorBound(exposed, rho, idleToDeploy, d, v, b, h);
    }

    function deployBound(uint256 exposed, uint256 e, uint256 d, uint256 v, uint256 b, uint256 h)
        external
        pure
        returns (uint256)
    {
        return Exposure.deployBound(exposed, e, d, v, b, h);
    }

    function juniorLimit(uint256 exposed, uint256 v, uint256 cover, uint256 b, uint256 h)
        external
        pure
        returns (uint256)
    {
        return Exposure.juniorLimit(exposed, v, cover, b, h);
    }

    function ceiling(uint256[] memory exposure, uint256 k, uint256 budget_) external pure returns (uint256) {
        return Exposure.ceiling(exposure, k, budget_);
    }

    function target(uint256 cur, uint256 held, uint256 maxMagnitude, uint256 movable, uint256 settled, uint256 ceiling_)
        external
        pure
        returns (uint256)
    {
        return Exposure.target(cur, held, maxMagnitude, movable, settled, ceiling_);
    }

    function deleverageBudget(uint256 cover, uint256 v, uint256 extraExposure, uint256 b, uint256 h)
        external
        pure
        returns (uint256)
    {
        return Exposure.deleverageBudget(cover, v, extraExposure, b, h);
    }

    // Attribution

    function attribute(Attribution.Item[] memory items, uint256 maxBefore, uint256 maxAfter, uint256 blockNumber)
        external
        pure
        returns (uint256[] memory taken, bool estimated)
    {
        return Attribution.attribute(items, maxBefore, maxAfter, blockNumber);
    }

    // Queue

    function push(address controller, uint256 shares) external returns (uint256) {
        return queue.push(controller, shares);
    }

    /// @notice Several requests in one block.
    function pushAll(address[] calldata controllers, uint256[] calldata shares) external {
        for (uint256 i; i < controllers.length; ++i) {
            queue.push(controllers[i], shares[i]);
        }
    }

    function finalise(uint256 shares, uint256 assets) external {
        queue.finalise(shares, assets);
    }

    function claimShares(address controller, uint256 shares) external returns (uint256) {
        return queue.claimShares(controller, shares);
    }

    function claimAssets(address controller, uint256 assets) external returns (uint256) {
        return queue.claimAssets(controller, assets);
    }

    function returnUnfinalised(uint256 id) external returns (address, uint256) {
        return queue.returnUnfinalised(id);
    }

    function pendingShares() external view returns (uint256) {
        return queue.pendingShares();
    }

    function maturedShares(uint256 blockNumber) external view returns (uint256) {
        return queue.maturedShares(blockNumber);
    }

    function assetsAt(uint256 shares) external view returns (uint256) {
        return queue.assetsAt(shares);
    }

    function pendingOf(uint256 id) external view returns (uint256) {
        return queue.pendingOf(id);
    }

    function claimableOf(uint256 id) external view returns (uint256 shares, uint256 assets) {
        return queue.claimableOf(id);
    }

    function claimable(address controller) external view returns (uint256 shares, uint256 assets) {
        return queue.claimable(controller);
    }

    function request(uint256 id) external view returns (Queue.Request memory) {
        return queue.requests[id];
    }

    function creditOf(address controller) external view returns (uint256) {
        return queue.lists[controller].credit;
    }

    function cumulative() external view returns (uint256 requested, uint256 finalised, uint256 assets) {
        return (queue.requested, queue.finalised, queue.assets);
    }
}
