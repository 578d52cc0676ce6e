/** Configurations, keys and the command's own mistakes: a clear error, before a chain is touched. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { Wallet } from "ethers";
import { AccountError, KEY_VARIABLE, openKey, PASSWORD_VARIABLE } from "../../deploy/account.ts";
import { main } from "../../deploy/command.ts";
import { complete, loadNetwork, NETWORKS, NetworkError, networkFile, readNetwork } from "../../deploy/network.ts";
import { DeploymentFileError, loadDeployment } from "../../deployments/index.ts";

describe("Network configurations", () => {
  for (const name of NETWORKS) {
    it(`${name}: is read, and every address says where it is documented`, () => {
      const network = loadNetwork(networkFile(name));
      assert.equal(network.name, name);
      const text = readFileSync(networkFile(name), "utf8");
      for (const line of text.split("\n").filter((one) => /^[^#]*"0x/.test(one)))
        assert.match(line, /#.*(\[[A-Z]\]|etherscan)/, `no source: ${line}`);
    });

    it(`${name}: names all that it leaves open, instead of guessing`, () => {
      const network = loadNetwork(networkFile(name));
      assert.throws(
        () => complete(network, name),
        (error: unknown) => {
          assert(error instanceof NetworkError);
          for (const role of ["admin", "curator", "guardian", "upgrader"])
            assert.match(error.message, new RegExp(`roles\\.${role}`));
          assert.equal(/^ {2}weth:/m.test(error.message), network.weth === undefined);
          assert.equal(/eigenlayer\.strategy:/.test(error.message), network.eigenlayer.strategy === undefined);
          return true;
        },
      );
    });
  }

  const mainnet = readFileSync(networkFile("mainnet"), "utf8");
  const refused = (from: string, to: string, because: RegExp) => {
    assert(mainnet.includes(from));
    assert.throws(() => readNetwork(mainnet.replace(from, to), "file.yaml"), {
      name: "NetworkError",
      message: because,
    });
  };

  it("a wrong digit in an address is an error", () => {
    refused("0x39053D51B77DC0d36036Fc1fCc8Cb819df8Ef37A", "0x39053D51B77DC0d36036Fc1fCc8Cb819df8Ef37B", /capitals/);
  });

  it("an unknown key and a missing one are errors that name it", () => {
    refused("confirmations:", "confirmation:", /confirmation/);
    refused("chainId: 1\n", "", /chainId is missing/);
  });
});

describe("The deployer's key", () => {
  const folder = mkdtempSync(join(tmpdir(), "bulkhead-key-"));
  after(() => rmSync(folder, { recursive: true, force: true }));
  const wallet = new Wallet(`0x${"1f".repeat(32)}`);
  const keystore = join(folder, "key.json");
  before(() => {
    // few rounds of scrypt: the format is what is tested here
    writeFileSync(keystore, wallet.encryptSync("secret"));
  });

  it("comes from a keystore with a password file, or from the environment", async () => {
    const passwordFile = join(folder, "password");
    writeFileSync(passwordFile, "secret\n");
    assert.equal((await openKey({ keystore, passwordFile }, {}))?.address, wallet.address);
    assert.equal((await openKey({}, { [KEY_VARIABLE]: wallet.privateKey }))?.address, wallet.address);
    assert.equal(await openKey({}, {}), undefined);
  });

  it("is refused with its reason, and never printed", async () => {
    const wrong = [
      openKey({ keystore }, {}),
      openKey({ keystore }, { [PASSWORD_VARIABLE]: "guess" }),
      openKey({ keystore: join(folder, "none.json") }, { [PASSWORD_VARIABLE]: "x" }),
      openKey({}, { [KEY_VARIABLE]: "0x1234" }),
    ];
    const reasons = [/needs its password/, /password is wrong/, /There is no keystore/, /no private key/];
    for (const [i, promise] of wrong.entries()) {
      await assert.rejects(promise, (error: unknown) => {
        assert(error instanceof AccountError);
        assert.match(error.message, reasons[i] ?? /^$/);
        assert(!error.message.includes("0x1234"));
        return true;
      });
    }
  });
});

describe("The command", () => {
  const build = async () => assert.fail("nothing is compiled for a wrong command");
  const run = async (...args: string[]) => {
    const written: string[] = [];
    const { write } = process.stderr;
    process.stderr.write = (text: string | Uint8Array) => written.push(String(text)) > 0;
    try {
      return { code: await main(args, build, {}), text: written.join("") };
    } finally {
      process.stderr.write = write;
    }
  };

  it("says what is wrong with its options, with exit code 2", async () => {
    for (const [args, reason] of [
      [["--netwrok", "mainnet"], /netwrok/],
      [["--network", "mainnet"], /--rpc/],
      [["--network", "mainnet", "--rpc", "here"], /--rpc/],
      [["--rpc", "http://127.0.0.1:1"], /either --network or --network-config/],
      [["--network", "mainnet", "--rpc", "http://127.0.0.1:9", "--from", "me"], /no address/],
      [["--network", "mainnet", "--rpc", "http://127.0.0.1:65531"], /does not answer/],
    ] as const) {
      const { code, text } = await run(...args);
      assert.equal(code, 2, text);
      assert.match(text, reason);
    }
  });
});

describe("deployments/", () => {
  it("says how to get a deployment where there is none", () => {
    assert.throws(() => loadDeployment(1, join(tmpdir(), "no-such-deployment.json")), {
      name: DeploymentFileError.name,
      message: /There is no deployment of Bulkhead on chain 1 .*not deployed there/,
    });
  });
});
