import { fileURLToPath } from "node:url";
import { defineConfig } from "hardhat/config";
import { forgeTask } from "./tasks/forge.ts";

// The compiler comes from npm, so that nothing is downloaded while building.
const compiler = fileURLToPath(new URL("./scripts/soljson.cjs", import.meta.url));

/** What every simulated chain of this project shares. Mainnet's rules: code size limited, one block a transaction. */
const chain = {
  type: "edr-simulated",
  chainType: "l1",
  chainId: 31337,
  hardfork: "cancun",
  allowUnlimitedContractSize: false,
  blockGasLimit: 45_000_000n,
  mining: { auto: true },
  accounts: { count: 50, accountsBalance: 10n ** 24n },
} as const;

/**
 * A copy of a public network (`hardhat node --network fork --fork URL`). Its accounts are not the usual ones: whoever
 * knows those keys has long given them code on public networks, which would keep what they are paid.
 */
const fork = {
  ...chain,
  hardfork: "prague",
  accounts: { ...chain.accounts, path: "m/44'/60'/31337'/0" },
} as const;

export default defineConfig({
  paths: { sources: "./contracts", tests: { solidity: "./test/solidity" } },
  solidity: {
    version: "0.8.30",
    path: compiler,
    // Deployed as they are: who may do what, and what the proxies point at.
    npmFilesToBuild: [
      "@openzeppelin/contracts/access/manager/AccessManager.sol",
      "@openzeppelin/contracts/proxy/beacon/UpgradeableBeacon.sol",
    ],
    // Keep in step with foundry.toml: both must produce the same bytecode.
    settings: {
      optimizer: { enabled: true, runs: 200 },
      evmVersion: "cancun",
      metadata: { bytecodeHash: "none" },
    },
  },
  tasks: [forgeTask],
  networks: { default: chain, node: chain, fork },
  test: { solidity: { fuzz: { runs: 256 }, invariant: { runs: 5, depth: 40, failOnRevert: true } } },
});
