import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  formatDuration,
  formatEth,
  formatPercent,
  parseBps,
  parseDuration,
  parseEth,
  parsePart,
  parseRate,
  UnitError,
} from "../../scenario/units.ts";

describe("units", () => {
  it("read ETH exactly, to the wei", () => {
    assert.equal(parseEth("100 ETH"), 100n * 10n ** 18n);
    assert.equal(parseEth("1_000.5 ETH"), 1000n * 10n ** 18n + 5n * 10n ** 17n);
    assert.equal(parseEth("0.000000000000000001 ETH"), 1n);
    assert.equal(parseEth("3 gwei"), 3n * 10n ** 9n);
    assert.equal(parseEth("1 wei"), 1n);
  });

  it("refuse what is no amount", () => {
    for (const value of [
      "100",
      100,
      "ETH",
      "1e18 ETH",
      "100 eth",
      "100 USD",
      "0 ETH",
      "-1 ETH",
      "0.5 wei",
      null,
      undefined,
    ]) {
      assert.throws(() => parseEth(value), UnitError, String(value));
    }
  });

  it("read times as seconds", () => {
    assert.equal(parseDuration("14 days"), 14 * 86_400);
    assert.equal(parseDuration("1 block"), 12);
    assert.equal(parseDuration("1.5 hours"), 5400);
    for (const value of ["14", "14 years", "0 days", "-1 day", 14])
      assert.throws(() => parseDuration(value), UnitError);
  });

  it("read rates as WAD, and basis points only where they are whole", () => {
    assert.equal(parseRate("2.8 %"), 28n * 10n ** 15n);
    assert.equal(parseRate("-3%"), -3n * 10n ** 16n);
    assert.equal(parseBps("12.34 %"), 1234);
    assert.equal(parsePart("100 %"), 10n ** 18n);
    assert.throws(() => parseBps("0.001 %"), /basis point/);
    assert.throws(() => parseBps("101 %"), /between 0 % and 100 %/);
    assert.throws(() => parsePart("0 %"), /above 0 %/);
    assert.throws(() => parseRate("2.8"), /per cent sign/);
  });

  it("write amounts cut, never rounded up, with thousands apart", () => {
    assert.equal(formatEth(1_234_567n * 10n ** 18n + 999n * 10n ** 15n), "1,234,567.99");
    assert.equal(formatEth(-5n * 10n ** 17n), "-0.50");
    assert.equal(formatEth(-1n), "0.00");
    assert.equal(formatPercent(123n * 10n ** 15n, 1), "12.3 %");
    assert.equal(formatDuration(14 * 86_400), "14 days");
    assert.equal(formatDuration(3600), "1 hour");
  });
});
