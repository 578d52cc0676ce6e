import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DEFAULT_SCENARIO, FORK_SCENARIO, OptionError, readOptions } from "../../scenario/options.ts";

describe("the options of npm start", () => {
  it("play the default story on the stand-in, and end", () => {
    assert.deepEqual(readOptions([], {}), {
      help: false,
      scenario: DEFAULT_SCENARIO,
      keep: false,
      data: false,
      port: undefined,
      eigenlayer: "local",
      fork: undefined,
      networkConfig: undefined,
    });
  });

  it("play the fork's story on a copy of a network", () => {
    const options = readOptions(["--fork", "https://node.example/key", "--network-config", "net.yaml"], {});
    assert.deepEqual(
      [options.scenario, options.fork, options.networkConfig],
      [FORK_SCENARIO, "https://node.example/key", "net.yaml"],
    );
    assert.equal(readOptions(["--fork", "http://127.0.0.1:1", "--scenario", "a.yaml"], {}).scenario, "a.yaml");
  });

  it("are read in both spellings", () => {
    const options = readOptions(["--scenario", "a.yaml", "--keep", "--port=8545", "--eigenlayer=real"], {});
    assert.deepEqual(
      [options.scenario, options.keep, options.port, options.eigenlayer],
      ["a.yaml", true, 8545, "real"],
    );
  });

  it("keep the chain for the data beside it", () => {
    assert.equal(readOptions(["--data"], {}).keep, true);
    assert.equal(readOptions(["--keep"], {}).data, false);
  });

  it("take EigenLayer's kind from the environment where the command names none", () => {
    assert.equal(readOptions([], { BULKHEAD_EIGENLAYER: "real" }).eigenlayer, "real");
    assert.equal(readOptions(["--eigenlayer", "local"], { BULKHEAD_EIGENLAYER: "real" }).eigenlayer, "local");
  });

  it("refuse what they do not know, and say what was meant", () => {
    const refuses = (args: string[], words: RegExp) =>
      assert.throws(
        () => readOptions(args, {}),
        (error) => error instanceof OptionError && words.test(error.message),
      );
    refuses(["--scenarios", "x"], /no option --scenarios\. Did you mean --scenario\?/);
    refuses(["--colour"], /no option --colour\. There are --help/);
    refuses(["story.yaml"], /npm start -- --help/);
    refuses(["--scenario"], /npm start -- --help/);
    refuses(["--port", "http"], /"http" is no port/);
    refuses(["--fork", "mainnet"], /"mainnet" is no address of a node/);
    refuses(["--network-config", "net.yaml"], /--fork copies: name both/);
    refuses(["--fork", "http://127.0.0.1:1", "--eigenlayer", "real"], /own EigenLayer/);
    refuses(["--eigenlayer", "holesky"], /"local" .* or "real"/);
  });
});
