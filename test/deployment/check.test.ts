/** Nothing is sent to a chain that is not what the configuration says; each difference is one sentence. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { checkNetwork, listedStrategy } from "../../deploy/check.ts";
import type { CompleteNetwork } from "../../deploy/network.ts";
import { type Stage, startStage } from "./chain.ts";

describe("The check of a network", () => {
  let stage: Stage;
  before(async () => {
    stage = await startStage();
  });
  after(() => stage.close());

  type EigenLayer = CompleteNetwork["eigenlayer"];
  const differences = (change: (network: CompleteNetwork) => Partial<CompleteNetwork>) =>
    checkNetwork(stage.provider, { ...stage.network, ...change(stage.network) });
  const withEigenLayer = (change: (eigenlayer: EigenLayer) => Partial<EigenLayer>) =>
    differences(({ eigenlayer }) => ({ eigenlayer: { ...eigenlayer, ...change(eigenlayer) } }));

  it("finds nothing where everything is as configured", async () => {
    assert.deepEqual(await differences(() => ({})), []);
  });

  it("refuses another chain, and then says nothing else", async () => {
    const found = await differences(() => ({ chainId: 1, name: "mainnet", weth: stage.network.lido.steth }));
    assert.deepEqual(found, ["The node is on chain 31337; mainnet is chain 1."]);
  });

  it("refuses an address without code", async () => {
    const nobody = "0x00000000000000000000000000000000000000AA";
    const found = await withEigenLayer(() => ({ permissionController: nobody }));
    assert.deepEqual(found, [`eigenlayer.permissionController (${nobody}) has no code.`]);
  });

  it("refuses another contract in the place of the expected one", async () => {
    const { weth } = stage.network;
    const found = await withEigenLayer(() => ({ allocationManager: weth }));
    assert.match(found.join("\n"), /AllocationManager \(0x\w+\) does not answer DEALLOCATION_DELAY/);
    // DelegationManager names its own, so two EigenLayers cannot be mixed either
    assert.match(
      found.join("\n"),
      /DelegationManager\.allocationManager is 0x\w+, and not eigenlayer\.allocationManager/,
    );
  });

  it("refuses delays that differ, each by its name", async () => {
    const found = await withEigenLayer(() => ({ delays: { withdrawal: 50, deallocation: 50, configuration: 75 } }));
    assert.deepEqual(found, [
      "DelegationManager.minWithdrawalDelayBlocks is 100800; the configuration expects 50.",
      "AllocationManager.DEALLOCATION_DELAY is 100800; the configuration expects 50.",
      "AllocationManager.ALLOCATION_CONFIGURATION_DELAY is 126000; the configuration expects 75.",
      "AllocationManager.SLASHER_CONFIGURATION_DELAY is 126000; the configuration expects 75.",
    ]);
  });

  it("refuses a version that is too old or too new, and compares numbers, not text", async () => {
    const old = await withEigenLayer(() => ({ version: { atLeast: "1.13.0", below: "2.0.0" } }));
    assert.deepEqual(old, [
      "DelegationManager.version is 1.12.0; the configuration expects at least 1.13.0 and below 2.0.0.",
      "StrategyManager.version is 1.12.0; the configuration expects at least 1.13.0 and below 2.0.0.",
    ]);
    assert.equal((await withEigenLayer(() => ({ version: { atLeast: "1.9.0", below: "1.12.0" } }))).length, 2);
    assert.deepEqual(await withEigenLayer(() => ({ version: { atLeast: "1.9.0", below: "1.100.0" } })), []);
  });

  it("refuses a strategy of another token, and a queue of another stETH", async () => {
    const { weth, lido } = stage.network;
    const found = await differences(() => ({ lido: { ...lido, steth: weth } }));
    assert.match(found.join("\n"), /eigenlayer\.strategy\.underlyingToken is 0x\w+, and not lido\.steth/);
    assert.match(found.join("\n"), /lido\.queue\.STETH is 0x\w+, and not lido\.steth/);
    assert.match(found.join("\n"), /lido\.steth\.symbol is WETH; the configuration expects stETH/);
    assert.match(found.join("\n"), /does not answer getPooledEthByShares/);
  });

  it("knows the strategy that EigenLayer's factory lists, where the configuration leaves it open", async () => {
    const { network } = stage;
    assert.equal(await listedStrategy(stage.provider, network), network.eigenlayer.strategy);
    const other = { ...network, lido: { ...network.lido, steth: network.weth } };
    assert.equal(await listedStrategy(stage.provider, other), undefined);
    const { strategy: _, ...eigenlayer } = network.eigenlayer;
    assert.deepEqual(await checkNetwork(stage.provider, { ...network, eigenlayer }), []);
  });

  it("refuses a WETH that is none", async () => {
    const found = await differences(({ lido }) => ({ weth: lido.steth }));
    assert.deepEqual(found, ["weth.symbol is stETH; the configuration expects WETH."]);
  });

  it("refuses roles that a single key would hold, where the network asks for contracts", async () => {
    const found = await differences(() => ({ rolesMayBeKeys: false }));
    assert.equal(found.length, 4);
    assert.match(found[0] ?? "", /^roles\.admin \(0x\w+\) has no code, so one key would hold it: name a Safe/);
  });
});
