/** The command as an operator types it: its words, what it prints and leaves with. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { COMMANDS, HELP, OptionError, readOptions } from "../../keeper/options.ts";

describe("the words after npm run keeper --", () => {
  test("run it where there are none", () => {
    const { command, config, rpc, dryRun } = readOptions([]);
    assert.deepEqual({ command, config, rpc, dryRun }, { command: "run", config: undefined, rpc: [], dryRun: false });
  });

  test("name a command, a file and nodes in any order", () => {
    const options = readOptions(["--rpc", "http://a", "plan", "--config=my.toml", "--rpc=https://b", "--json"]);
    assert.equal(options.command, "plan");
    assert.deepEqual(options.rpc, ["http://a", "https://b"]);
    assert.equal(options.config, "my.toml");
    assert.equal(options.json, true);
  });

  const wrong: readonly (readonly [readonly string[], RegExp])[] = [
    [["paln"], /no command "paln"\. Did you mean plan\?/],
    [["start"], /no command "start"/],
    [["plan", "keeper.yaml"], /"keeper\.yaml" is too much\. A file is named with --config/],
    [["--confg", "a"], /no option --confg\. Did you mean --config\?/],
    [["--verbose"], /no option --verbose\. There are --help, /],
    [["--config"], /--config.*See npm run keeper -- --help/],
    [["plan", "--rpc", "node:8545"], /--rpc is no address of a node\. Write --rpc https/],
    [["run", "--json"], /--json goes with plan and check/],
  ];
  for (const [args, words] of wrong)
    test(`"${args.join(" ")}" is refused with what to write instead`, () => {
      assert.throws(
        () => readOptions(args),
        (error) => error instanceof OptionError && words.test(error.message),
      );
    });

  test("are all explained by --help, in 120 columns", () => {
    for (const word of [
      ...COMMANDS.filter((one) => one !== "run"),
      "--config",
      "--rpc",
      "--deployment",
      "--json",
      "--dry-run",
    ])
      assert.ok(HELP.includes(word), word);
    assert.deepEqual(
      HELP.split("\n").filter((line) => line.length > 120),
      [],
    );
  });
});
