// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Address} from "@openzeppelin/contracts/utils/Address.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {ILido} from "../../interfaces/external/ILido.sol";
import {LocalLidoWithdrawalQueue} from "./LocalLidoWithdrawalQueue.sol";

/// @title Lido's staked ether for local chains
/// @notice Stands for Lido where Bulkhead meets it: shares at a rate, balances and transfers rounded down to shares,
/// a stake limit that refills with each block, staking that can be paused. All ETH stays here; what validators earn or
/// lose, the local owner reports. Only for local chains: the owner sets every rate.
/// @dev Rounding follows docs.lido.fi (stETH integration guide): balance = floor(shares * pooled / totalShares), and a
/// transfer of `amount` moves floor(amount * totalShares / pooled) shares, so a receiver may see 1-2 wei less. Rewards
/// are reported net of Lido's fee, so that no fee shares are minted. Errors have names here; Lido reverts with strings.
contract LocalLido is ILido, IERC20Errors, Ownable {
    using Address for address payable;
    using Math for uint256;

    /// @notice Smallest seed at deployment (wei); it keeps the rate defined for ever.
    uint256 public constant MIN_SEED = 1000;

    /// @notice Holds the seed's shares; nobody has its key.
    address public constant INITIAL_TOKEN_HOLDER = 0x000000000000000000000000000000000000dEaD;

    /// @notice The queue that pays withdrawals; deployed with this contract.
    LocalLidoWithdrawalQueue public immutable withdrawalQueue;

    /// @notice All shares.
    uint256 public getTotalShares;

    /// @notice All ETH behind the shares (wei); equal to this contract's balance unless ETH was forced in.
    uint256 public getTotalPooledEther;

    /// @notice Whether `submit` reverts.
    bool public isStakingPaused;

    /// @inheritdoc IERC20
    mapping(address owner => mapping(address spender => uint256)) public allowance;

    /// @inheritdoc ILido
    mapping(address account => uint256) public sharesOf;

    /// @dev Largest stake limit (wei); 0 means that there is no limit.
    uint256 private _maxStakeLimit;
    /// @dev How much of the limit comes back with each block (wei).
    uint256 private _stakeLimitIncreasePerBlock;
    /// @dev Limit left after the last submit (wei), and that block.
    uint256 private _prevStakeLimit;
    uint256 private _prevStakeBlock;
    uint256 private _lastReportAt;

    /// @notice Shares moved.
    /// @param from Sender, zero for a mint.
    /// @param to Receiver.
    /// @param sharesValue Shares.
    event TransferShares(address indexed from, address indexed to, uint256 sharesValue);

    /// @notice Shares were burned.
    /// @param account Whose shares.
    /// @param preRebaseTokenAmount Their value before (wei).
    /// @param postRebaseTokenAmount The value of as many shares afterwards (wei).
    /// @param sharesAmount Shares.
    event SharesBurnt(
        address indexed account, uint256 preRebaseTokenAmount, uint256 postRebaseTokenAmount, uint256 sharesAmount
    );

    /// @notice ETH was staked.
    /// @param sender Who staked and received shares.
    /// @param amount ETH (wei).
    /// @param referral As given by the caller; not used.
    event Submitted(address indexed sender, uint256 amount, address referral);

    /// @notice The rate changed by a report.
    /// @param reportTimestamp Time of the report (seconds).
    /// @param timeElapsed Since the report before (seconds).
    /// @param preTotalShares Shares before.
    /// @param preTotalEther Pooled ETH before (wei).
    /// @param postTotalShares Shares after.
    /// @param postTotalEther Pooled ETH after (wei).
    /// @param sharesMintedAsFees Always 0 here.
    event TokenRebased(
        uint256 indexed reportTimestamp,
        uint256 timeElapsed,
        uint256 preTotalShares,
        uint256 preTotalEther,
        uint256 postTotalShares,
        uint256 postTotalEther,
        uint256 sharesMintedAsFees
    );

    /// @notice Staking was paused.
    event StakingPaused();

    /// @notice Staking was resumed.
    event StakingResumed();

    /// @notice A stake limit was set.
    /// @param maxStakeLimit Largest amount at once (wei).
    /// @param stakeLimitIncreasePerBlock Refill (wei per block).
    event StakingLimitSet(uint256 maxStakeLimit, uint256 stakeLimitIncreasePerBlock);

    /// @notice The stake limit was removed.
    event StakingLimitRemoved();

    /// @notice The seed is too small.
    /// @param sent ETH sent (wei).
    /// @param required Smallest seed (wei).
    error SeedTooSmall(uint256 sent, uint256 required);

    /// @notice Nothing was sent.
    error ZeroDeposit();

    /// @notice Staking is paused.
    error StakingIsPaused();

    /// @notice The amount is beyond the current stake limit.
    /// @param amount ETH sent (wei).
    /// @param limit What may be staked now (wei).
    error StakeLimitExceeded(uint256 amount, uint256 limit);

    /// @notice A limit must not be 0 nor smaller than its refill.
    /// @param maxStakeLimit Limit asked for (wei).
    /// @param increasePerBlock Refill asked for (wei per block).
    error InvalidStakeLimit(uint256 maxStakeLimit, uint256 increasePerBlock);

    /// @notice Rewards must be sent along, losses must send nothing.
    /// @param sent ETH sent (wei).
    /// @param expected ETH that the report needs (wei).
    error WrongReportValue(uint256 sent, uint256 expected);

    /// @notice A loss must leave at least one wei.
    /// @param loss Reported loss (wei).
    /// @param pooled Pooled ETH (wei).
    error LossTooLarge(uint256 loss, uint256 pooled);

    /// @notice Only the withdrawal queue may call.
    /// @param caller Who called.
    error OnlyWithdrawalQueue(address caller);

    /// @notice Deploys stETH and its withdrawal queue.
    /// @dev The sent ETH becomes shares one for one that belong to nobody, as in Lido's own bootstrap.
    /// @param initialOwner Reports rewards and losses, sets limits, pauses, and finalises withdrawals.
    constructor(address initialOwner) payable Ownable(initialOwner) {
        if (msg.value < MIN_SEED) revert SeedTooSmall(msg.value, MIN_SEED);
        withdrawalQueue = new LocalLidoWithdrawalQueue(this, initialOwner);
        _lastReportAt = block.timestamp;
        getTotalPooledEther = msg.value;
        _mintShares(INITIAL_TOKEN_HOLDER, msg.value);
        _emitMint(INITIAL_TOKEN_HOLDER, msg.value);
    }

    /// @notice Plain ETH is staked for its sender.
    receive() external payable {
        _submit(address(0));
    }

    /// @inheritdoc ILido
    /// @dev Reverts `ZeroDeposit`, `StakingIsPaused` or `StakeLimitExceeded`. Shares are rounded down.
    function submit(address referral) external payable returns (uint256 shares) {
        return _submit(referral);
    }

    /// @inheritdoc IERC20
    /// @dev Moves floor(amount * totalShares / pooled) shares.
    function transfer(address to, uint256 amount) external returns (bool) {
        _transferShares(msg.sender, to, getSharesByPooledEth(amount), amount);
        return true;
    }

    /// @inheritdoc IERC20
    /// @dev Spends the allowance by `amount` even where fewer wei arrive; an unlimited allowance stays.
    function transferFrom(address from, address to, uint256 amount) external returns (bool) {
        _spendAllowance(from, msg.sender, amount);
        _transferShares(from, to, getSharesByPooledEth(amount), amount);
        return true;
    }

    /// @inheritdoc ILido
    function transferShares(address recipient, uint256 shares) external returns (uint256 amount) {
        amount = getPooledEthByShares(shares);
        _transferShares(msg.sender, recipient, shares, amount);
    }

    /// @inheritdoc IERC20
    function approve(address spender, uint256 amount) external returns (bool) {
        if (spender == address(0)) revert ERC20InvalidSpender(spender);
        allowance[msg.sender][spender] = amount;
        emit Approval(msg.sender, spender, amount);
        return true;
    }

    /// @notice Reports rewards or losses of the validators since the last report. Only the owner; local only.
    /// @dev Lido's oracle would report balances and Lido would cap the change; here the change itself is given. Reverts
    /// `WrongReportValue` or `LossTooLarge`. A loss is sent to an address that nobody can spend from.
    /// @param ethDelta Rewards net of fees (positive, equal to the ETH sent) or loss (negative), in wei.
    function report(int256 ethDelta) external payable onlyOwner {
        uint256 before = getTotalPooledEther;
        uint256 expected = ethDelta > 0 ? uint256(ethDelta) : 0;
        if (msg.value != expected) revert WrongReportValue(msg.value, expected);
        uint256 loss = ethDelta < 0 ? uint256(-ethDelta) : 0;
        if (loss >= before) revert LossTooLarge(loss, before);

        uint256 elapsed = block.timestamp - _lastReportAt;
        uint256 pooled = before + expected - loss;
        _lastReportAt = block.timestamp;
        getTotalPooledEther = pooled;
        emit TokenRebased(block.timestamp, elapsed, getTotalShares, before, getTotalShares, pooled, 0);
        if (loss > 0) payable(INITIAL_TOKEN_HOLDER).sendValue(loss);
    }

    /// @notice Pays finalised withdrawals: burns the queue's shares and sends it ETH. Only the withdrawal queue.
    /// @dev Shares that earned more than was requested leave the surplus to the holders who stay, as in Lido.
    /// @param shares Shares of the queue to burn.
    /// @param amount ETH to pay (wei).
    function payWithdrawals(uint256 shares, uint256 amount) external {
        if (msg.sender != address(withdrawalQueue)) revert OnlyWithdrawalQueue(msg.sender);
        uint256 held = sharesOf[msg.sender];
        if (shares > held) revert ERC20InsufficientBalance(msg.sender, held, shares);
        uint256 value = getPooledEthByShares(shares);
        sharesOf[msg.sender] = held - shares;
        getTotalShares -= shares;
        getTotalPooledEther -= amount;
        emit SharesBurnt(msg.sender, value, getPooledEthByShares(shares), shares);
        payable(msg.sender).sendValue(amount);
    }

    /// @notice Stops staking. Only the owner.
    function pauseStaking() external onlyOwner {
        isStakingPaused = true;
        emit StakingPaused();
    }

    /// @notice Allows staking again; the limit refills from this block on. Only the owner.
    function resumeStaking() external onlyOwner {
        isStakingPaused = false;
        _prevStakeBlock = block.number;
        emit StakingResumed();
    }

    /// @notice Sets the stake limit. Only the owner.
    /// @dev The room starts full where there was no limit or the limit sinks below it; otherwise what is left stays.
    /// Reverts `InvalidStakeLimit`.
    /// @param maxStakeLimit Largest amount at once (wei), not 0.
    /// @param stakeLimitIncreasePerBlock Refill (wei per block), at most the limit.
    function setStakingLimit(uint256 maxStakeLimit, uint256 stakeLimitIncreasePerBlock) external onlyOwner {
        if (maxStakeLimit == 0 || stakeLimitIncreasePerBlock > maxStakeLimit) {
            revert InvalidStakeLimit(maxStakeLimit, stakeLimitIncreasePerBlock);
        }
        uint256 left = _stakeLimit();
        _prevStakeLimit = Math.min(left, maxStakeLimit);
        _prevStakeBlock = block.number;
        _maxStakeLimit = maxStakeLimit;
        _stakeLimitIncreasePerBlock = stakeLimitIncreasePerBlock;
        emit StakingLimitSet(maxStakeLimit, stakeLimitIncreasePerBlock);
    }

    /// @notice Removes the stake limit. Only the owner.
    function removeStakingLimit() external onlyOwner {
        _maxStakeLimit = 0;
        emit StakingLimitRemoved();
    }

    /// @notice Name of the token.
    /// @return The name that Lido uses.
    function name() external pure returns (string memory) {
        return "Liquid staked Ether 2.0";
    }

    /// @notice Symbol of the token.
    /// @return The symbol that Lido uses.
    function symbol() external pure returns (string memory) {
        return "stETH";
    }

    /// @notice Decimals of the token.
    /// @return 18.
    function decimals() external pure returns (uint8) {
        return 18;
    }

    /// @inheritdoc IERC20
    function totalSupply() external view returns (uint256) {
        return getTotalPooledEther;
    }

    /// @inheritdoc IERC20
    /// @dev Rounded down.
    function balanceOf(address account) external view returns (uint256) {
        return getPooledEthByShares(sharesOf[account]);
    }

    /// @inheritdoc ILido
    function getCurrentStakeLimit() external view returns (uint256) {
        return isStakingPaused ? 0 : _stakeLimit();
    }

    /// @inheritdoc ILido
    function getPooledEthByShares(uint256 shares) public view returns (uint256) {
        return shares.mulDiv(getTotalPooledEther, getTotalShares);
    }

    /// @inheritdoc ILido
    function getSharesByPooledEth(uint256 amount) public view returns (uint256) {
        return amount.mulDiv(getTotalShares, getTotalPooledEther);
    }

    function _submit(address referral) private returns (uint256 shares) {
        if (msg.value == 0) revert ZeroDeposit();
        if (isStakingPaused) revert StakingIsPaused();
        uint256 limit = _stakeLimit();
        if (msg.value > limit) revert StakeLimitExceeded(msg.value, limit);
        if (_maxStakeLimit > 0) {
            _prevStakeLimit = limit - msg.value;
            _prevStakeBlock = block.number;
        }
        shares = getSharesByPooledEth(msg.value);
        getTotalPooledEther += msg.value;
        _mintShares(msg.sender, shares);
        emit Submitted(msg.sender, msg.value, referral);
        _emitMint(msg.sender, shares);
    }

    function _mintShares(address to, uint256 shares) private {
        getTotalShares += shares;
        sharesOf[to] += shares;
    }

    function _emitMint(address to, uint256 shares) private {
        emit Transfer(address(0), to, getPooledEthByShares(shares));
        emit TransferShares(address(0), to, shares);
    }

    function _transferShares(address from, address to, uint256 shares, uint256 amount) private {
        // Lido refuses its own address too, because tokens would be stuck there.
        if (to == address(0) || to == address(this)) revert ERC20InvalidReceiver(to);
        uint256 held = sharesOf[from];
        if (shares > held) revert ERC20InsufficientBalance(from, getPooledEthByShares(held), amount);
        sharesOf[from] = held - shares;
        sharesOf[to] += shares;
        emit Transfer(from, to, amount);
        emit TransferShares(from, to, shares);
    }

    function _spendAllowance(address owner, address spender, uint256 amount) private {
        uint256 allowed = allowance[owner][spender];
        if (allowed == type(uint256).max) return;
        if (amount > allowed) revert ERC20InsufficientAllowance(spender, allowed, amount);
        allowance[owner][spender] = allowed - amount;
        emit Approval(owner, spender, allowed - amount);
    }

    function _stakeLimit() private view returns (uint256) {
        uint256 max = _maxStakeLimit;
        if (max == 0) return type(uint256).max;
        return Math.min(max, _prevStakeLimit + (block.number - _prevStakeBlock) * _stakeLimitIncreasePerBlock);
    }
}
