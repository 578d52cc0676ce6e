import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DEFAULT_SCENARIO, OptionError, readOptions } from "../../scenario/options.ts";

describe("the options of npm start", () => {
  it("play the default story on the stand-in, and end", () => {
    assert.deepEqual(readOptions([], {}), {
      help: false,
      scenario: DEFAULT_SCENARIO,
      keep: false,
      port: undefined,
      eigenlayer: "local",
    });
  });

  it("are read in both spellings", () => {
    const options = readOptions(["--scenario", "a.yaml", "--keep", "--port=8545", "--eigenlayer=real"], {});
    assert.deepEqual(
      [options.scenario, options.keep, options.port, options.eigenlayer],
      ["a.yaml", true, 8545, "real"],
    );
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
    refuses(["--eigenlayer", "holesky"], /"local" .* or "real"/);
  });
});
