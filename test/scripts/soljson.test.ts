import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";

const path = (relative: string) => fileURLToPath(new URL(`../../${relative}`, import.meta.url));
const WRAPPER = path("node_modules/solc/wrapper.js");
const COMPILERS = { plain: path("node_modules/solc/soljson.js"), ours: path("scripts/soljson.cjs") };

const source = (name: string) => readFileSync(path(`node_modules/@openzeppelin/contracts/${name}`), "utf8");
const input = (sources: Record<string, string>, runs?: number) => ({
  language: "Solidity",
  sources: Object.fromEntries(Object.entries(sources).map(([name, content]) => [name, { content }])),
  settings: { optimizer: { enabled: runs !== undefined, runs }, outputSelection: { "*": { "*": ["*"], "": ["*"] } } },
});

// What C++ answers with an exception inside must come out the same as what compiles.
const CASES = {
  "code, optimized": input(
    {
      "Math.sol": source("utils/math/Math.sol"),
      "Panic.sol": source("utils/Panic.sol"),
      "SafeCast.sol": source("utils/math/SafeCast.sol"),
    },
    200,
  ),
  "a syntax error": input({ "a.sol": "contract A { function f( public {} }" }),
  "a type error": input({
    "a.sol": 'pragma solidity 0.8.30; contract A { function f() public returns (uint) { return "x"; } }',
  }),
  "an error inside the code generator": input({
    "a.sol": `contract A { function f(${[..."abcdefgh"].map((x) => `uint ${x}`).join(",")}) public pure returns (uint) {
      ${[..."ijklmnopq"].map((x) => `uint ${x} = a + b;`).join(" ")} return ${[..."abcdefghijklmnopq"].join("+")}; } }`,
  }),
  "an import that is missing": input({ "a.sol": 'import "./b.sol"; contract A is B {}' }),
};

function compile(compiler: string): string[] {
  const code = `const solc = require(process.argv[1])(require(process.argv[2]));
    const inputs = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
    process.stdout.write(JSON.stringify(inputs.map((x) => solc.compile(JSON.stringify(x)))));`;
  const done = spawnSync(process.execPath, ["-e", code, WRAPPER, compiler], {
    input: JSON.stringify(Object.values(CASES)),
    maxBuffer: 2 ** 28,
    encoding: "utf8",
  });
  assert.equal(done.status, 0, done.stderr);
  return JSON.parse(done.stdout) as string[];
}

describe("the faster compiler", () => {
  const plain = compile(COMPILERS.plain);
  const ours = compile(COMPILERS.ours);
  for (const [n, name] of Object.keys(CASES).entries()) {
    it(`puts out the same bytes as the published one: ${name}`, () => {
      assert.ok((plain[n] ?? "").length > 100);
      assert.equal(ours[n], plain[n]);
    });
  }
});
