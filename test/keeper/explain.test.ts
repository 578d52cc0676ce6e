/** What contracts answer when they refuse, in words. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { AbiCoder, Interface } from "ethers";
import { hardhatArtifacts } from "../../deploy/eigenlayer.ts";
import { CallReverted } from "../../keeper/chain/types.ts";
import { Explainer } from "../../keeper/transactions/explain.ts";
import { UPKEEP } from "../../keeper/transactions/upkeep.ts";
import { buildContracts } from "../../scripts/lib/build.ts";
import { surfaces } from "../../scripts/lib/surface.ts";

await buildContracts();
const faces = surfaces(true).map(({ face }) => face);
const explainer = new Explainer(faces);
const coder = AbiCoder.defaultAbiCoder();

test("every custom error of the protocol is named, with its arguments and what they are", () => {
  let errors = 0;
  for (const face of faces)
    face.forEachError((error) => {
      const values = error.inputs.map(({ type }) =>
        type === "address"
          ? `0x${"ab".repeat(20)}`
          : type === "bool"
            ? true
            : type === "string"
              ? "words"
              : type.startsWith("bytes")
                ? `0x${"00".repeat(Number(type.slice(5)) || 0)}`
                : type.endsWith("]") || type.startsWith("tuple")
                  ? undefined
                  : 7n,
      );
      if (values.includes(undefined)) return;
      const text = explainer.data(face.encodeErrorResult(error, values));
      assert.ok(text.startsWith(`${error.name}(`), text);
      for (const { name } of error.inputs) assert.ok(text.includes(name), `${text} lacks ${name}`);
      errors++;
    });
  assert.ok(errors > 100, `only ${errors} errors`);
});

test("EigenLayer's errors are known under its name, those of the stand-ins all of them", () => {
  for (const name of ["LocalAllocationManager", "LocalDelegationManager", "LocalStrategyManager"]) {
    const own = new Set<string>();
    for (const face of faces)
      face.forEachError(({ selector }) => {
        own.add(selector);
      });
    Interface.from(hardhatArtifacts(name, `contracts/local/eigenlayer/${name}.sol`).abi).forEachError((error) => {
      if (own.has(error.selector) || /^(ERC20|SafeERC20|Ownable)/.test(error.name)) return;
      assert.equal(explainer.data(error.selector), `${error.name}() of EigenLayer`);
    });
  }
  assert.equal(
    explainer.data(new Interface(["error CurrentlyPaused()"]).encodeErrorResult("CurrentlyPaused")),
    "CurrentlyPaused() of EigenLayer",
  );
});

test("a reason is quoted, a panic is told in words, and no data says what that means", () => {
  const reason = `0x08c379a0${coder.encode(["string"], ["Pausable: paused"]).slice(2)}`;
  assert.equal(explainer.data(reason), '"Pausable: paused"');
  const panic = (code: number) => explainer.data(`0x4e487b71${coder.encode(["uint256"], [code]).slice(2)}`);
  assert.equal(panic(0x11), "a panic: an overflow");
  assert.equal(panic(0x7f), "a panic: code 127");
  assert.match(explainer.data("0x"), /without a reason \(out of gas/);
});

test("what is unknown or broken is shown as it is, in bounded length", () => {
  assert.equal(explainer.data("0x12345678"), "an unknown error 0x12345678");
  const cut = UPKEEP.encodeErrorResult("InsufficientGas", [0, 1, 2]).slice(0, 40);
  assert.equal(explainer.data(cut), `an unknown error ${cut}`);
  assert.ok(explainer.data(`0x12345678${"00".repeat(5_000)}`).length < 500);
  assert.ok(!explainer.error(new Error("two\nlines")).includes("\n"));
  assert.equal(explainer.error(new CallReverted(UPKEEP.encodeErrorResult("NothingDone"))), "NothingDone()");
});

test("the ABI that the sender calls Upkeep by is the contract's", () => {
  const artifact = Interface.from(hardhatArtifacts("Upkeep", "contracts/periphery/upkeep/Upkeep.sol").abi);
  for (const fragment of UPKEEP.fragments) {
    const own = fragment.format("full").replace(/^(function|event|error) /, "");
    const theirs = artifact.fragments.map((one) => one.format("full").replace(/^(function|event|error) /, ""));
    assert.ok(theirs.includes(own), `${own}\nis none of\n${theirs.join("\n")}`);
  }
});
