/**
 * Mirror of `contracts/libraries/Waterfall.sol`: the books of a tier, how gains vest and are shared, how a loss falls.
 * Amounts in wei, times in seconds. Where the Solidity changes a memory struct, these functions return a new one.
 */
import { ModelError } from "./errors.ts";
import { ceilDiv, min, WAD } from "./integer.ts";

/** What a tier owns, in wei: R, J, S and the gains G that have not vested. Their sum is V. */
export interface Books {
  readonly reserve: bigint;
  readonly junior: bigint;
  readonly senior: bigint;
  readonly gains: bigint;
}

/** How one loss fell, in wei. The fields sum to the loss; `uncovered` is what exceeds all books. */
export interface Borne extends Books {
  readonly uncovered: bigint;
}

/** Time over which a gain vests, in seconds. */
export const VESTING = 3n * 86_400n;

/** The largest part of the senior's own yield that the premium may take, in WAD. */
export const THETA_MAX = WAD / 2n;

/** V = R + J + S + G. */
export function total(books: Books): bigint {
  return books.reserve + books.junior + books.senior + books.gains;
}

/** How much of the gains has vested at `time`: linear from `lastSync` to `unlockAt`, rounded down; all from then on. */
export function vested(gains: bigint, lastSync: bigint, unlockAt: bigint, time: bigint): bigint {
  if (time >= unlockAt) return gains;
  if (time <= lastSync) return 0n;
  return (gains * (time - lastSync)) / (unlockAt - lastSync);
}

/**
 * Moves `amount` of vested gains to their owners pro rata, less a premium from the senior's part to the junior: at most
 * `due`, at most half of that part (rounded down), none while a Deficit is open or without a junior.
 * @throws ModelError `InsufficientGains(gains, amount)`.
 */
export function distribute(
  books: Books,
  amount: bigint,
  due: bigint,
  deficitOpen: boolean,
): { readonly books: Books; readonly premium: bigint } {
  if (amount > books.gains) {
    throw new ModelError("InsufficientGains", [books.gains, amount], "distribute at most the gains in the books.");
  }
  const { reserve, junior, senior } = books;
  const gains = books.gains - amount;
  const owned = reserve + junior + senior;
  if (owned === 0n) return { books: { reserve: amount, junior, senior, gains }, premium: 0n };
  const toReserve = (amount * reserve) / owned;
  const toSenior = (amount * senior) / owned;
  const rest = amount - toReserve - toSenior;
  if (junior === 0n) {
    return {
      books: { reserve: reserve + toReserve + rest, junior, senior: senior + toSenior, gains },
      premium: 0n,
    };
  }
  const premium = deficitOpen ? 0n : min(due, (toSenior * THETA_MAX) / WAD);
  return {
    books: {
      reserve: reserve + toReserve,
      junior: junior + rest + premium,
      senior: senior + toSenior - premium,
      gains,
    },
    premium,
  };
}

/**
 * Books a gain. The end of vesting becomes the mean of the remaining times, weighted by amount, rounded up to a second;
 * a gain of 0 changes nothing.
 */
export function gain(
  books: Books,
  amount: bigint,
  unlockAt: bigint,
  time: bigint,
): { readonly books: Books; readonly unlockAt: bigint } {
  if (amount === 0n) return { books, unlockAt };
  const remaining = unlockAt > time ? unlockAt - time : 0n;
  const gains = books.gains + amount;
  return {
    books: { ...books, gains },
    unlockAt: time + ceilDiv(books.gains * remaining + amount * VESTING, gains),
  };
}

/** Books a loss: unvested gains, reserve, junior, senior, each down to zero before the next. Refuses nothing. */
export function lose(books: Books, amount: bigint): { readonly books: Books; readonly borne: Borne } {
  let left = amount;
  const take = (bucket: bigint): bigint => {
    const taken = min(left, bucket);
    left -= taken;
    return taken;
  };
  const gains = take(books.gains);
  const reserve = take(books.reserve);
  const junior = take(books.junior);
  const senior = take(books.senior);
  return {
    books: {
      reserve: books.reserve - reserve,
      junior: books.junior - junior,
      senior: books.senior - senior,
      gains: books.gains - gains,
    },
    borne: { gains, reserve, junior, senior, uncovered: left },
  };
}
