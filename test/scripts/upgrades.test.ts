/** Which storage may follow a released one. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { SolcInput } from "@openzeppelin/upgrades-core";
import {
  compile,
  conflicts,
  type Layouts,
  layoutsOf,
  parseRelease,
  runValidations,
} from "../../scripts/lib/layouts.ts";

/** The layouts of contracts as they would be behind a beacon; by name, their namespaced struct. */
function layouts(contracts: Readonly<Record<string, string>>): Layouts {
  const source = Object.entries(contracts)
    .map(
      ([name, struct]) => `contract ${name} {
        struct Kind { uint64 a; uint64 b; }
        /// @custom:storage-location erc7201:test.storage.${name}
        struct Store { ${struct} }
        uint256 private constant WAD = 1e18;
        function wad() external pure returns (uint256) { return WAD; }
      }`,
    )
    .join("\n");
  const input = {
    language: "Solidity",
    sources: { "A.sol": { content: `// SPDX-License-Identifier: MIT\npragma solidity 0.8.30;\n${source}` } },
    settings: {
      outputSelection: { "*": { "*": ["storageLayout", "evm.bytecode", "evm.methodIdentifiers"], "": ["ast"] } },
    },
  } as unknown as SolcInput;
  const names = Object.keys(contracts).map((name) => `A.sol:${name}`);
  return layoutsOf(runValidations(input, compile(input), "0.8.30"), names);
}

describe("storage of released contracts", () => {
  const before = layouts({ Books: "uint128 senior; uint128 junior; address owner; Kind kind;" });
  const after = (struct: string) => conflicts(before, layouts({ Books: struct }));

  it("may stay as it is, and take fields at its end", () => {
    assert.deepEqual(after("uint128 senior; uint128 junior; address owner; Kind kind;"), []);
    assert.deepEqual(after("uint128 senior; uint128 junior; address owner; Kind kind; uint256 added;"), []);
  });

  it("may not be reordered, retyped, renamed or cut", () => {
    assert.match(after("uint128 junior; uint128 senior; address owner; Kind kind;").join(), /Books/);
    assert.match(after("uint128 senior; uint64 junior; address owner; Kind kind;").join(), /junior/);
    assert.match(after("uint128 first; uint128 junior; address owner; Kind kind;").join(), /first/);
    assert.match(after("uint128 senior; uint128 junior; Kind kind;").join(), /owner/);
    assert.match(after("uint128 senior; uint256 added; uint128 junior; address owner; Kind kind;").join(), /added/);
  });

  it("may not lose a contract that proxies point at", () => {
    assert.match(conflicts(before, layouts({ Ledger: "uint256 a;" })).join(), /A\.sol:Books was released and is gone/);
  });

  it("survives being written to a file and read again", () => {
    const release = parseRelease(JSON.stringify({ version: "1.0.0", contracts: before }), "1.0.0.json");
    assert.deepEqual(conflicts(release.contracts, before), []);
    assert.equal(conflicts(release.contracts, layouts({ Books: "uint256 senior;" })).length, 1);
    assert.throws(() => parseRelease("{}", "x.json"), /x\.json is not a recorded release/);
  });
});
