/** The value, where its absence would be a mistake of ours or of a caller. */
export function must<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new RangeError(`There is no ${what}.`);
  return value;
}
