/**
 * An input that the Solidity library refuses too. `error` is the name of its custom error and `values` are its
 * arguments, so that a caller can tell a revert and a refusal of the mirror to be the same.
 */
export class ModelError extends Error {
  override readonly name = "ModelError";
  readonly error: string;
  readonly values: readonly bigint[];

  constructor(error: string, values: readonly bigint[], advice: string) {
    super(`${error}(${values.join(", ")}): ${advice}`);
    this.error = error;
    this.values = values;
  }
}
