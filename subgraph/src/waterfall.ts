/** Waterfall.distribute of contracts/libraries/Waterfall.sol, to the wei: the events carry its sum alone. */
import { BigInt } from "@graphprotocol/graph-ts";
import { mulDiv, ZERO } from "./ids";

/** What of a vested sum went where, premium left out (wei). */
export class Yields {
  constructor(
    public reserve: BigInt,
    public junior: BigInt,
    public senior: BigInt,
  ) {}
}

/** R, J, S, G in wei. */
export class Books {
  constructor(
    public reserve: BigInt,
    public junior: BigInt,
    public senior: BigInt,
    public gains: BigInt,
  ) {}

  /**
   * Moves `vested` out of the gains: pro rata, rounded down for reserve and senior, the rest to the junior; without a junior
   * the rest goes to the reserve, and without any owner all of it. `premium` goes from the senior's part to the junior.
   */
  distribute(vested: BigInt, premium: BigInt): Yields {
    this.gains = this.gains.minus(vested);
    const owned = this.reserve.plus(this.junior).plus(this.senior);
    let toReserve = mulDiv(vested, this.reserve, owned);
    const toSenior = mulDiv(vested, this.senior, owned);
    let toJunior = vested.minus(toReserve).minus(toSenior);
    if (this.junior.isZero()) {
      toReserve = toReserve.plus(toJunior);
      toJunior = ZERO;
    }
    this.reserve = this.reserve.plus(toReserve);
    this.junior = this.junior.plus(toJunior).plus(premium);
    this.senior = this.senior.plus(toSenior).minus(premium);
    return new Yields(toReserve, toJunior, toSenior);
  }
}
