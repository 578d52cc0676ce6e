// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {EnumerableMap} from "@openzeppelin/contracts/utils/structs/EnumerableMap.sol";
import {EnumerableSet} from "@openzeppelin/contracts/utils/structs/EnumerableSet.sol";
import {IStrategy, IStrategyManager, OperatorSet} from "../../interfaces/external/IEigenLayer.sol";
import {LocalEigenLayer} from "./LocalEigenLayer.sol";
import {LocalModule} from "./LocalModule.sol";
import {LocalStrategy} from "./LocalStrategy.sol";

/// @title Local stand-in of EigenLayer's StrategyManager
/// @notice Takes deposits, keeps deposit shares, and burns or redistributes what slashes took.
contract LocalStrategyManager is LocalModule, ReentrancyGuardTransient, IStrategyManager {
    using EnumerableMap for EnumerableMap.AddressToUintMap;
    using EnumerableSet for EnumerableSet.AddressSet;
    using SafeERC20 for IERC20;

    /// @notice Where slashed shares of a set without a redistribution recipient go.
    // forge-lint: disable-next-line(screaming-snake-case-const)
    address public constant DEFAULT_BURN_ADDRESS = 0x00000000000000000000000000000000000E16E4;

    /// @dev Pause bit of deposits.
    uint8 private constant PAUSED_DEPOSITS = 0;
    /// @dev Most strategies that one staker may use.
    uint256 private constant MAX_STRATEGIES = 32;

    mapping(address staker => EnumerableMap.AddressToUintMap) private _deposits;
    mapping(bytes32 slash => EnumerableMap.AddressToUintMap) private _slashed;

    /// @notice Whether deposits into a strategy are possible.
    mapping(IStrategy strategy => bool) public strategyIsWhitelistedForDeposit;

    /// @notice `staker` received deposit shares.
    event Deposit(address staker, IStrategy strategy, uint256 shares);
    /// @notice A slash took shares, which wait to be burned or redistributed.
    event BurnOrRedistributableSharesIncreased(
        OperatorSet operatorSet, uint256 slashId, IStrategy strategy, uint256 shares
    );
    /// @notice Shares that a slash took were burned or redistributed.
    event BurnOrRedistributableSharesDecreased(
        OperatorSet operatorSet, uint256 slashId, IStrategy strategy, uint256 shares
    );
    /// @notice Deposits into `strategy` are possible now.
    event StrategyAddedToDepositWhitelist(IStrategy strategy);

    /// @notice The strategy takes no deposits.
    error StrategyNotWhitelisted();
    /// @notice Only the owner of the stand-in or the strategy factory.
    error OnlyStrategyWhitelister();
    /// @notice Only the delegation manager.
    error OnlyDelegationManager();
    /// @notice No staker.
    error StakerAddressZero();
    /// @notice No shares.
    error SharesAmountZero();
    /// @notice More shares than the staker has.
    error SharesAmountTooHigh();
    /// @notice The staker uses 32 strategies already.
    error MaxStrategiesExceeded();
    /// @notice The slash has taken from this strategy already.
    error StrategyAlreadyInSlash();

    modifier onlyDelegationManager() {
        if (msg.sender != address(book.delegationManager())) revert OnlyDelegationManager();
        _;
    }

    /// @param book_ The address book.
    constructor(LocalEigenLayer book_) LocalModule(book_) {}

    /// @inheritdoc IStrategyManager
    function depositIntoStrategy(IStrategy strategy, IERC20 token, uint256 amount)
        external
        whenNotPaused(PAUSED_DEPOSITS)
        nonReentrant
        returns (uint256 depositShares)
    {
        if (!strategyIsWhitelistedForDeposit[strategy]) revert StrategyNotWhitelisted();
        token.safeTransferFrom(msg.sender, address(strategy), amount);
        depositShares = LocalStrategy(address(strategy)).deposit(token, amount);
        uint256 previous = _addShares(msg.sender, strategy, depositShares);
        book.delegationManager().increaseDelegatedShares(msg.sender, strategy, previous, depositShares);
    }

    /// @inheritdoc IStrategyManager
    /// @dev Shares go to the recipient of a redistributing set at once, otherwise to `DEFAULT_BURN_ADDRESS`.
    /// @return amounts Tokens paid out, per strategy.
    function clearBurnOrRedistributableShares(OperatorSet calldata operatorSet, uint256 slashId)
        external
        nonReentrant
        returns (uint256[] memory amounts)
    {
        address[] memory strategies = _slashed[_slashKey(operatorSet, slashId)].keys();
        amounts = new uint256[](strategies.length);
        for (uint256 i; i < strategies.length; ++i) {
            amounts[i] = _clear(operatorSet, slashId, IStrategy(strategies[i]));
        }
    }

    /// @notice Burns or pays out what the slash took from one strategy; permissionless.
    /// @return Tokens paid out.
    function clearBurnOrRedistributableSharesByStrategy(
        OperatorSet calldata operatorSet,
        uint256 slashId,
        IStrategy strategy
    ) external nonReentrant returns (uint256) {
        return _clear(operatorSet, slashId, strategy);
    }

    /// @notice Takes deposits into `strategies` from now on; only the owner of the stand-in or the factory.
    function addStrategiesToDepositWhitelist(IStrategy[] calldata strategies) external {
        if (msg.sender != book.owner() && msg.sender != address(book.strategyFactory())) {
            revert OnlyStrategyWhitelister();
        }
        for (uint256 i; i < strategies.length; ++i) {
            if (strategyIsWhitelistedForDeposit[strategies[i]]) continue;
            strategyIsWhitelistedForDeposit[strategies[i]] = true;
            emit StrategyAddedToDepositWhitelist(strategies[i]);
        }
    }

    /// @notice Credits a withdrawal that was completed as shares; only the delegation manager.
    /// @return previous Deposit shares before.
    /// @return added Deposit shares credited.
    function addShares(address staker, IStrategy strategy, uint256 shares)
        external
        onlyDelegationManager
        returns (uint256 previous, uint256 added)
    {
        return (_addShares(staker, strategy, shares), shares);
    }

    /// @notice Takes deposit shares away; only the delegation manager.
    /// @return remaining Deposit shares left.
    function removeDepositShares(address staker, IStrategy strategy, uint256 shares)
        external
        onlyDelegationManager
        returns (uint256 remaining)
    {
        if (shares == 0) revert SharesAmountZero();
        uint256 previous = stakerDepositShares(staker, strategy);
        if (shares > previous) revert SharesAmountTooHigh();
        remaining = previous - shares;
        if (remaining == 0) _deposits[staker].remove(address(strategy));
        else _deposits[staker].set(address(strategy), remaining);
    }

    /// @notice Pays shares out to `staker`; only the delegation manager.
    function withdrawSharesAsTokens(address staker, IStrategy strategy, IERC20 token, uint256 shares)
        external
        onlyDelegationManager
    {
        LocalStrategy(address(strategy)).withdraw(staker, token, shares);
    }

    /// @notice Records what a slash took from one strategy; only the delegation manager.
    function increaseBurnOrRedistributableShares(
        OperatorSet calldata operatorSet,
        uint256 slashId,
        IStrategy strategy,
        uint256 shares
    ) external onlyDelegationManager {
        if (!_slashed[_slashKey(operatorSet, slashId)].set(address(strategy), shares)) {
            revert StrategyAlreadyInSlash();
        }
        emit BurnOrRedistributableSharesIncreased(operatorSet, slashId, strategy, shares);
    }

    /// @notice What a slash took and nobody has cleared yet.
    /// @return strategies Strategies that it took from.
    /// @return shares Shares of each.
    function getBurnOrRedistributableShares(OperatorSet calldata operatorSet, uint256 slashId)
        external
        view
        returns (IStrategy[] memory strategies, uint256[] memory shares)
    {
        return _entries(_slashed[_slashKey(operatorSet, slashId)]);
    }

    /// @notice What a slash took from one strategy and nobody has cleared yet.
    function getBurnOrRedistributableShares(OperatorSet calldata operatorSet, uint256 slashId, IStrategy strategy)
        external
        view
        returns (uint256 shares)
    {
        (, shares) = _slashed[_slashKey(operatorSet, slashId)].tryGet(address(strategy));
    }

    /// @notice Strategies of a staker with their deposit shares.
    function getDeposits(address staker)
        external
        view
        returns (IStrategy[] memory strategies, uint256[] memory shares)
    {
        return _entries(_deposits[staker]);
    }

    /// @notice The release that the stand-in follows.
    function version() external pure returns (string memory) {
        return "1.12.0";
    }

    /// @inheritdoc IStrategyManager
    function stakerDepositShares(address staker, IStrategy strategy) public view returns (uint256 shares) {
        (, shares) = _deposits[staker].tryGet(address(strategy));
    }

    function _addShares(address staker, IStrategy strategy, uint256 shares) private returns (uint256 previous) {
        if (staker == address(0)) revert StakerAddressZero();
        if (shares == 0) revert SharesAmountZero();
        previous = stakerDepositShares(staker, strategy);
        _deposits[staker].set(address(strategy), previous + shares);
        if (_deposits[staker].length() > MAX_STRATEGIES) revert MaxStrategiesExceeded();
        emit Deposit(staker, strategy, shares);
    }

    function _clear(OperatorSet calldata operatorSet, uint256 slashId, IStrategy strategy)
        private
        returns (uint256 amount)
    {
        EnumerableMap.AddressToUintMap storage slashed = _slashed[_slashKey(operatorSet, slashId)];
        (bool found, uint256 shares) = slashed.tryGet(address(strategy));
        if (!found) return 0;
        slashed.remove(address(strategy));
        if (shares == 0) return 0;
        emit BurnOrRedistributableSharesDecreased(operatorSet, slashId, strategy, shares);
        address recipient = book.allocationManager().getRedistributionRecipient(operatorSet);
        return LocalStrategy(address(strategy)).withdraw(recipient, strategy.underlyingToken(), shares);
    }

    function _entries(EnumerableMap.AddressToUintMap storage map)
        private
        view
        returns (IStrategy[] memory strategies, uint256[] memory shares)
    {
        uint256 n = map.length();
        strategies = new IStrategy[](n);
        shares = new uint256[](n);
        for (uint256 i; i < n; ++i) {
            (address strategy, uint256 amount) = map.at(i);
            strategies[i] = IStrategy(strategy);
            shares[i] = amount;
        }
    }

    function _slashKey(OperatorSet calldata operatorSet, uint256 slashId) private pure returns (bytes32) {
        return keccak256(abi.encode(operatorSet.avs, operatorSet.id, slashId));
    }
}
