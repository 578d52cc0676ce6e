// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IAllocator} from "../interfaces/IAllocator.sol";
import {
    IAllocationManager,
    IDelegationManager,
    IPermissionController,
    IRewardsCoordinator,
    IStrategy,
    IStrategyManager,
    OperatorSet
} from "../interfaces/external/IEigenLayer.sol";
import {IRestakingAgent} from "../interfaces/IRestakingAgent.sol";
import {IRewards} from "../interfaces/IRewards.sol";
import {IRiskManager} from "../interfaces/IRiskManager.sol";
import {ITier} from "../interfaces/ITier.sol";

/// @dev The part of EigenLayer's KeyRegistrar whose calls a node operator makes himself, for its selectors.
interface IKeyRegistrar {
    /// @notice Registers a signing key of an operator for a set.
    function registerKey(address operator, OperatorSet calldata operatorSet, bytes calldata key, bytes calldata proof)
        external;
    /// @notice Frees the set of the operator's key.
    function deregisterKey(address operator, OperatorSet calldata operatorSet) external;
}

/// @dev Operator calls that a node operator may make himself, for their selectors.
interface IOperatorMetadata {
    /// @notice Sets where the operator's metadata is.
    function updateOperatorMetadataURI(address operator, string calldata metadataURI) external;
}

/// @title An operator of EigenLayer that is the staker of its own stake
/// @notice See {IRestakingAgent}. It registers with itself as delegation approver and answers no ERC-1271 call, so nobody
/// else can delegate to it or deposit for it; its allocation delay is 0, so the only pending changes are decreases.
contract RestakingAgent is IRestakingAgent, Initializable {
    using SafeERC20 for IERC20;

    /// @custom:oz-upgrades-unsafe-allow state-variable-immutable
    IAllocationManager private immutable ALLOCATIONS;
    /// @custom:oz-upgrades-unsafe-allow state-variable-immutable
    IDelegationManager private immutable DELEGATION;
    /// @custom:oz-upgrades-unsafe-allow state-variable-immutable
    IStrategyManager private immutable STRATEGIES;
    /// @custom:oz-upgrades-unsafe-allow state-variable-immutable
    IPermissionController private immutable PERMISSIONS;
    /// @custom:oz-upgrades-unsafe-allow state-variable-immutable
    IRewardsCoordinator private immutable COORDINATOR;
    /// @custom:oz-upgrades-unsafe-allow state-variable-immutable
    address private immutable KEY_REGISTRAR;

    /// @custom:storage-location erc7201:bulkhead.storage.RestakingAgent
    struct Store {
        address tier;
        address nodeOperator;
        IStrategy strategy;
        IERC20 token;
        address rewards;
        address nominee;
    }

    // keccak256(abi.encode(uint256(keccak256("bulkhead.storage.RestakingAgent")) - 1)) & ~bytes32(uint256(0xff))
    bytes32 private constant STORE = 0xa837a9d509896d3e3aa7483966b31ce4d6b8b38838fb808efc1e34aa2dab9c00;

    modifier only(address caller) {
        if (msg.sender != caller) revert NotAuthorised(msg.sender);
        _;
    }

    /// @custom:oz-upgrades-unsafe-allow constructor
    constructor(
        IAllocationManager allocations,
        IDelegationManager delegation,
        IStrategyManager strategies,
        IPermissionController permissions,
        IRewardsCoordinator coordinator,
        address keyRegistrar
    ) {
        ALLOCATIONS = allocations;
        DELEGATION = delegation;
        STRATEGIES = strategies;
        PERMISSIONS = permissions;
        COORDINATOR = coordinator;
        KEY_REGISTRAR = keyRegistrar;
        _disableInitializers();
    }

    /// @notice Registers as an operator at EigenLayer, whose rewards `rewards_` claims. Called once, by the factory.
    function initialize(
        address tier_,
        address nodeOperator_,
        IStrategy strategy,
        string calldata metadataURI,
        address rewards_
    ) external initializer {
        Store storage $ = _store();
        ($.tier, $.nodeOperator, $.strategy, $.rewards) = (tier_, nodeOperator_, strategy, rewards_);
        $.token = strategy.underlyingToken();
        DELEGATION.registerAsOperator(address(this), 0, metadataURI);
        COORDINATOR.setClaimerFor(rewards_);
        $.token.forceApprove(address(STRATEGIES), type(uint256).max);
        _appoint(nodeOperator_, true);
        emit NodeOperatorNamed(nodeOperator_);
    }

    /// @dev Gives a node operator his rights at EigenLayer, or takes them.
    function _appoint(address appointee, bool may) private {
        _permit(appointee, address(ALLOCATIONS), IAllocationManager.deregisterFromOperatorSets.selector, may);
        _permit(appointee, address(DELEGATION), IOperatorMetadata.updateOperatorMetadataURI.selector, may);
        if (KEY_REGISTRAR != address(0)) {
            _permit(appointee, KEY_REGISTRAR, IKeyRegistrar.registerKey.selector, may);
            _permit(appointee, KEY_REGISTRAR, IKeyRegistrar.deregisterKey.selector, may);
        }
    }

    function _permit(address appointee, address target, bytes4 selector, bool may) private {
        if (may) PERMISSIONS.setAppointee(address(this), appointee, target, selector);
        else PERMISSIONS.removeAppointee(address(this), appointee, target, selector);
    }

    /// @inheritdoc IRestakingAgent
    function deposit(uint256 tokens) external only(_parts().stakes) returns (uint256) {
        Store storage $ = _store();
        return STRATEGIES.depositIntoStrategy($.strategy, $.token, tokens);
    }

    /// @inheritdoc IRestakingAgent
    function queue(uint256 depositShares) external returns (IDelegationManager.Withdrawal memory withdrawal) {
        ITier.Parts memory p = _parts();
        if (msg.sender != p.stakes && msg.sender != p.allocator) revert NotAuthorised(msg.sender);
        IDelegationManager.QueuedWithdrawalParams[] memory params = new IDelegationManager.QueuedWithdrawalParams[](1);
        params[0].strategies = _strategies();
        params[0].depositShares = new uint256[](1);
        params[0].depositShares[0] = depositShares;
        bytes32 root = DELEGATION.queueWithdrawals(params)[0];
        (withdrawal,) = DELEGATION.getQueuedWithdrawal(root);
    }

    /// @inheritdoc IRestakingAgent
    function complete(uint24 nonce, uint32 startBlock, uint128 scaledShares, bool asTokens, address receiver)
        external
        only(_parts().stakes)
    {
        Store storage $ = _store();
        IDelegationManager.Withdrawal memory w;
        (w.staker, w.delegatedTo, w.withdrawer) = (address(this), address(this), address(this));
        (w.nonce, w.startBlock, w.strategies) = (nonce, startBlock, _strategies());
        w.scaledShares = new uint256[](1);
        w.scaledShares[0] = scaledShares;
        IERC20[] memory tokens = new IERC20[](1);
        tokens[0] = $.token;
        DELEGATION.completeQueuedWithdrawal(w, tokens, asTokens);
        uint256 balance = $.token.balanceOf(address(this));
        if (asTokens && balance != 0) $.token.safeTransfer(receiver, balance);
    }

    /// @inheritdoc IRestakingAgent
    function allocate(OperatorSet calldata operatorSet, uint64 magnitude) external only(_parts().allocator) {
        IAllocationManager.AllocateParams[] memory params = new IAllocationManager.AllocateParams[](1);
        params[0].operatorSet = operatorSet;
        params[0].strategies = _strategies();
        params[0].newMagnitudes = new uint64[](1);
        params[0].newMagnitudes[0] = magnitude;
        ALLOCATIONS.modifyAllocations(address(this), params);
    }

    /// @inheritdoc IRestakingAgent
    function deregister(OperatorSet calldata operatorSet) external only(_parts().allocator) {
        uint32[] memory ids = new uint32[](1);
        ids[0] = operatorSet.id;
        ALLOCATIONS.deregisterFromOperatorSets(
            IAllocationManager.DeregisterParams({operator: address(this), avs: operatorSet.avs, operatorSetIds: ids})
        );
    }

    /// @inheritdoc IRestakingAgent
    function register(OperatorSet calldata operatorSet, bytes calldata data) external only(_store().nodeOperator) {
        IAllocator allocator = IAllocator(_parts().allocator);
        allocator.beginRegistration(operatorSet);
        uint32[] memory ids = new uint32[](1);
        ids[0] = operatorSet.id;
        ALLOCATIONS.registerForOperatorSets(
            address(this), IAllocationManager.RegisterParams({avs: operatorSet.avs, operatorSetIds: ids, data: data})
        );
        // the AVS's registrar may have slashed: nothing is written here but what the final sync finds
        allocator.endRegistration();
        emit Registered(operatorSet.avs, operatorSet.id);
    }

    /// @inheritdoc IRestakingAgent
    function nominate(address nominee_) external only(_parts().factory) {
        _store().nominee = nominee_;
        emit NodeOperatorNominated(nominee_);
    }

    /// @inheritdoc IRestakingAgent
    function acceptNomination() external only(_store().nominee) {
        Store storage $ = _store();
        address old = $.nodeOperator;
        ($.nodeOperator, $.nominee) = (msg.sender, address(0));
        _appoint(old, false);
        _appoint(msg.sender, true);
        IRiskManager(_parts().risk).recordNodeOperator();
        IRewards($.rewards).recordOperator();
        emit NodeOperatorNamed(msg.sender);
    }

    /// @inheritdoc IRestakingAgent
    function sweep(IERC20 token) external returns (uint256 amount) {
        Store storage $ = _store();
        if (token == $.token) revert StakingTokenStays();
        amount = token.balanceOf(address(this));
        emit Swept(token, amount);
        token.safeTransfer($.rewards, amount);
    }

    /// @inheritdoc IRestakingAgent
    function nominee() external view returns (address) {
        return _store().nominee;
    }

    /// @inheritdoc IRestakingAgent
    function rewards() external view returns (address) {
        return _store().rewards;
    }

    /// @inheritdoc IRestakingAgent
    function nodeOperator() external view returns (address) {
        return _store().nodeOperator;
    }

    /// @inheritdoc IRestakingAgent
    function tier() external view returns (address) {
        return _store().tier;
    }

    function _strategies() private view returns (IStrategy[] memory list) {
        list = new IStrategy[](1);
        list[0] = _store().strategy;
    }

    function _parts() private view returns (ITier.Parts memory) {
        return ITier(_store().tier).parts();
    }

    function _store() private pure returns (Store storage $) {
        bytes32 slot = STORE;
        assembly {
            $.slot := slot
        }
    }
}
