// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";

import {IAVSRegistrar} from "../../avs/IAVSRegistrar.sol";
import {IAllocationManager, IStrategy, OperatorSet} from "../../interfaces/external/IEigenLayer.sol";

/// @title Calls that only an AVS makes, with the ABI of release v1.12.0
interface IAllocationManagerForAVS {
    /// @notice Creates sets whose slashed funds go to recipients.
    function createRedistributingOperatorSets(
        address avs,
        IAllocationManager.CreateSetParamsV2[] calldata params,
        address[] calldata redistributionRecipients
    ) external;

    /// @notice Proposes a new slasher, which counts after EigenLayer's delay.
    function updateSlasher(OperatorSet calldata operatorSet, address slasher) external;
}

/// @title An AVS for local chains that does what its owner says
/// @notice Stands for any service (data availability, oracle, bridge, coprocessor, proof of location) in scenarios and
/// tests: it owns operator sets with slashers of choice, slashes without a proof, and can misbehave as a registrar.
/// Never a model for a real AVS: here one key decides.
/// @dev It is its own registrar, which is EigenLayer's default for an AVS that names none.
contract LocalAVS is IAVSRegistrar, Ownable {
    /// @notice What the registrar does when it is asked.
    enum Behaviour {
        Accept,
        Refuse,
        BurnAllGas,
        Slash,
        Call
    }

    /// @notice EigenLayer's AllocationManager.
    IAllocationManager public immutable ALLOCATION_MANAGER;

    /// @notice Kind of service, for people.
    string public category;

    /// @notice What happens when an operator registers.
    Behaviour public onRegister;

    /// @notice What happens when an operator leaves.
    Behaviour public onDeregister;

    /// @notice Whether the last call inside a callback succeeded.
    bool public lastCallSucceeded;

    /// @notice What the last call inside a callback returned, or why it reverted.
    bytes public lastCallResult;

    uint32 private _callbackSetId;
    IStrategy private _callbackStrategy;
    uint256 private _callbackWad;
    address private _callbackTarget;
    bytes private _callbackData;

    /// @notice The registrar was told to refuse.
    /// @param operator The operator.
    error Refused(address operator);

    /// @notice Only EigenLayer's AllocationManager asks the registrar.
    /// @param caller Who called.
    error OnlyAllocationManager(address caller);

    /// @notice Deploys the AVS and gives it metadata, without which it could create no sets.
    /// @param initialOwner Decides everything here.
    /// @param allocationManager EigenLayer's AllocationManager.
    /// @param category_ Kind of service, for people; also the metadata.
    constructor(address initialOwner, IAllocationManager allocationManager, string memory category_)
        Ownable(initialOwner)
    {
        ALLOCATION_MANAGER = allocationManager;
        category = category_;
        allocationManager.updateAVSMetadataURI(address(this), category_);
    }

    /// @notice Creates an operator set. Only the owner.
    /// @param setId Its id.
    /// @param strategies Strategies that may be allocated to it, ascending.
    /// @param slasher Who may slash it; this contract for `slash`, or any other.
    function createSet(uint32 setId, IStrategy[] calldata strategies, address slasher) external onlyOwner {
        ALLOCATION_MANAGER.createOperatorSets(address(this), _setParams(setId, strategies, slasher));
    }

    /// @notice Creates a set whose slashed funds go to a recipient. Only the owner.
    /// @param setId Its id.
    /// @param strategies Strategies that may be allocated to it, ascending.
    /// @param slasher Who may slash it.
    /// @param recipient Who receives slashed funds.
    function createRedistributingSet(uint32 setId, IStrategy[] calldata strategies, address slasher, address recipient)
        external
        onlyOwner
    {
        address[] memory recipients = new address[](1);
        recipients[0] = recipient;
        IAllocationManagerForAVS(address(ALLOCATION_MANAGER))
            .createRedistributingOperatorSets(address(this), _setParams(setId, strategies, slasher), recipients);
    }

    /// @notice Proposes another slasher of a set; it counts after EigenLayer's delay. Only the owner.
    /// @param setId The set.
    /// @param slasher The slasher to come.
    function updateSlasher(uint32 setId, address slasher) external onlyOwner {
        IAllocationManagerForAVS(address(ALLOCATION_MANAGER)).updateSlasher(OperatorSet(address(this), setId), slasher);
    }

    /// @notice Slashes an operator of an own set, of which this contract is the slasher. Only the owner.
    /// @param operator The operator.
    /// @param setId The set.
    /// @param strategy The strategy.
    /// @param wad Part of what is allocated to the set (WAD, 1e18 = all).
    /// @param why Reason, as EigenLayer's event carries it.
    /// @return slashId EigenLayer's id of the slash in the set.
    function slash(address operator, uint32 setId, IStrategy strategy, uint256 wad, string calldata why)
        external
        onlyOwner
        returns (uint256 slashId)
    {
        return _slash(address(this), operator, setId, strategy, wad, why);
    }

    /// @notice Slashes an operator of another AVS's set, of which this contract is the slasher. Only the owner.
    /// @param avs The other AVS.
    /// @param operator The operator.
    /// @param setId The set.
    /// @param strategy The strategy.
    /// @param wad Part of what is allocated to the set (WAD, 1e18 = all).
    /// @param why Reason, as EigenLayer's event carries it.
    /// @return slashId EigenLayer's id of the slash in the set.
    function slashFor(address avs, address operator, uint32 setId, IStrategy strategy, uint256 wad, string calldata why)
        external
        onlyOwner
        returns (uint256 slashId)
    {
        return _slash(avs, operator, setId, strategy, wad, why);
    }

    /// @notice Throws an operator out of sets, as every AVS may. Only the owner.
    /// @param operator The operator.
    /// @param setIds The sets.
    function eject(address operator, uint32[] calldata setIds) external onlyOwner {
        ALLOCATION_MANAGER.deregisterFromOperatorSets(
            IAllocationManager.DeregisterParams(operator, address(this), setIds)
        );
    }

    /// @notice Says what the registrar does from now on. Only the owner.
    /// @param onRegister_ When an operator registers.
    /// @param onDeregister_ When an operator leaves.
    function setBehaviour(Behaviour onRegister_, Behaviour onDeregister_) external onlyOwner {
        onRegister = onRegister_;
        onDeregister = onDeregister_;
    }

    /// @notice Says what `Behaviour.Slash` does: slash the operator who is asked about. Only the owner.
    /// @param setId An own set in which he is slashable at that moment.
    /// @param strategy The strategy.
    /// @param wad Part of what is allocated to the set (WAD).
    function setCallbackSlash(uint32 setId, IStrategy strategy, uint256 wad) external onlyOwner {
        _callbackSetId = setId;
        _callbackStrategy = strategy;
        _callbackWad = wad;
    }

    /// @notice Says what `Behaviour.Call` calls, to re-enter somebody; the outcome is kept, not passed on. Only the owner.
    /// @param target Whom to call.
    /// @param data With what.
    function setCallbackCall(address target, bytes calldata data) external onlyOwner {
        _callbackTarget = target;
        _callbackData = data;
    }

    /// @inheritdoc IAVSRegistrar
    /// @dev Only EigenLayer's AllocationManager.
    function registerOperator(address operator, address, uint32[] calldata, bytes calldata) external {
        _behave(onRegister, operator);
    }

    /// @inheritdoc IAVSRegistrar
    /// @dev Only EigenLayer's AllocationManager.
    function deregisterOperator(address operator, address, uint32[] calldata) external {
        _behave(onDeregister, operator);
    }

    /// @inheritdoc IAVSRegistrar
    function supportsAVS(address avs) external view returns (bool) {
        return avs == address(this);
    }

    function _behave(Behaviour behaviour, address operator) private {
        if (msg.sender != address(ALLOCATION_MANAGER)) revert OnlyAllocationManager(msg.sender);
        if (behaviour == Behaviour.Refuse) revert Refused(operator);
        if (behaviour == Behaviour.BurnAllGas) {
            assembly ("memory-safe") {
                invalid()
            }
        }
        if (behaviour == Behaviour.Slash) {
            _slash(address(this), operator, _callbackSetId, _callbackStrategy, _callbackWad, "inside the callback");
        }
        if (behaviour == Behaviour.Call) {
            (lastCallSucceeded, lastCallResult) = _callbackTarget.call(_callbackData);
        }
    }

    function _slash(address avs, address operator, uint32 setId, IStrategy strategy, uint256 wad, string memory why)
        private
        returns (uint256 slashId)
    {
        IStrategy[] memory strategies = new IStrategy[](1);
        uint256[] memory wads = new uint256[](1);
        strategies[0] = strategy;
        wads[0] = wad;
        (slashId,) = ALLOCATION_MANAGER.slashOperator(
            avs, IAllocationManager.SlashingParams(operator, setId, strategies, wads, why)
        );
    }

    function _setParams(uint32 setId, IStrategy[] calldata strategies, address slasher)
        private
        pure
        returns (IAllocationManager.CreateSetParamsV2[] memory sets)
    {
        sets = new IAllocationManager.CreateSetParamsV2[](1);
        sets[0] = IAllocationManager.CreateSetParamsV2(setId, strategies, slasher);
    }
}
