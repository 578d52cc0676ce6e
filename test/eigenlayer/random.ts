/** A small seeded generator (xorshift128+ on 64-bit words): the same seed gives the same run on every machine. */
const MASK = (1n << 64n) - 1n;

export class Random {
  #a: bigint;
  #b: bigint;

  constructor(seed: bigint) {
    // splitmix64 spreads small seeds over the whole state
    let s = seed & MASK;
    const split = (): bigint => {
      s = (s + 0x9e3779b97f4a7c15n) & MASK;
      let z = s;
      z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & MASK;
      z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & MASK;
      return z ^ (z >> 31n);
    };
    this.#a = split();
    this.#b = split() | 1n;
  }

  #word(): bigint {
    let x = this.#a;
    const y = this.#b;
    this.#a = y;
    x ^= (x << 23n) & MASK;
    this.#b = (x ^ y ^ (x >> 17n) ^ (y >> 26n)) & MASK;
    return (this.#b + y) & MASK;
  }

  /** From 0 to `limit`, both included. */
  upTo(limit: bigint): bigint {
    return ((this.#word() << 64n) | this.#word()) % (limit + 1n);
  }

  int(limit: number): number {
    return Number(this.upTo(BigInt(limit)));
  }

  /** True once in `n`. */
  oneIn(n: number): boolean {
    return this.int(n - 1) === 0;
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.int(items.length - 1)];
    if (item === undefined) throw new Error("Nothing to pick from.");
    return item;
  }

  /** `pick` with weights. */
  weighted<T>(items: readonly (readonly [number, T])[]): T {
    let at = this.int(items.reduce((sum, [weight]) => sum + weight, 0) - 1);
    for (const [weight, item] of items) {
      if (at < weight) return item;
      at -= weight;
    }
    throw new Error("Nothing to pick from.");
  }

  /** Up to `limit`, but small, round and extreme values come often: that is where roundings differ. */
  amount(limit: bigint): bigint {
    if (limit === 0n) return 0n;
    const value = this.weighted<() => bigint>([
      [6, () => this.upTo(limit)],
      [2, () => this.upTo(9n)],
      [2, () => this.upTo(limit) >> this.upTo(59n)],
      [1, () => limit],
      [1, () => limit - 1n],
      [1, () => limit / 2n],
      [1, () => 10n ** this.upTo(18n)],
    ])();
    return value > limit ? limit : value;
  }
}
