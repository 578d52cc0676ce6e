/** Numbers that look random and are the same everywhere for the same seed: xoshiro128** (Blackman and Vigna). */

/** A generator of numbers in [0, 1). */
export type Random = () => number;

/** Independent streams of one seed: one for each simulated year, so that more years never change the first ones. */
export function randomStream(seed: number, stream: number): Random {
  let mixed = (seed ^ Math.imul(stream + 1, 0x9e3779b1)) >>> 0;
  const mix = (): number => {
    // splitmix32 spreads the seed over the state, which must not be all zero
    mixed = (mixed + 0x9e3779b9) >>> 0;
    let x = mixed;
    x = Math.imul(x ^ (x >>> 16), 0x21f0aaad);
    x = Math.imul(x ^ (x >>> 15), 0x735a2d97);
    return (x ^ (x >>> 15)) >>> 0;
  };
  let [a, b, c, d] = [mix(), mix(), mix(), mix() | 1];
  const turn = (x: number, by: number): number => ((x << by) | (x >>> (32 - by))) >>> 0;
  const next = (): number => {
    const result = Math.imul(turn(Math.imul(b, 5) >>> 0, 7), 9) >>> 0;
    const shifted = (b << 9) >>> 0;
    c = (c ^ a) >>> 0;
    d = (d ^ b) >>> 0;
    b = (b ^ c) >>> 0;
    a = (a ^ d) >>> 0;
    c = (c ^ shifted) >>> 0;
    d = turn(d, 11);
    return result;
  };
  return () => ((next() >>> 5) * 67_108_864 + (next() >>> 6)) / 9_007_199_254_740_992;
}
