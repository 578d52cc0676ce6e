/** The command as an operator types it: its words, what it prints and leaves with. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { describe, test } from "node:test";
import * as z from "zod";
import { COMMANDS, HELP, OptionError, readOptions } from "../../keeper/options.ts";
import { ROOT } from "../../scripts/lib/tools.ts";

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

describe("the keeper's code", () => {
  /** Every file that scripts/keeper.ts needs, and every package. */
  function needed(): { readonly files: ReadonlySet<string>; readonly packages: ReadonlySet<string> } {
    const files = new Set<string>();
    const packages = new Set<string>();
    const open = [join(ROOT, "scripts/keeper.ts")];
    for (let file = open.pop(); file !== undefined; file = open.pop()) {
      if (files.has(file)) continue;
      files.add(file);
      const text = readFileSync(file, "utf8");
      for (const [, type, name = ""] of text.matchAll(/^(?:import|export) (type )?(?:[^;]*? from )?"([^"]+)";$/gms)) {
        if (type !== undefined || name.startsWith("node:")) continue; // types are not there when it runs
        if (name.startsWith(".")) open.push(join(dirname(file), name));
        else packages.add(name.startsWith("@") ? name.split("/").slice(0, 2).join("/") : (name.split("/")[0] ?? ""));
      }
    }
    return { files, packages };
  }

  test("needs no package that is there for building and testing only", () => {
    const { dependencies } = z
      .object({ dependencies: z.record(z.string(), z.string()) })
      .parse(JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")));
    const { packages } = needed();
    assert.ok(packages.has("better-sqlite3") && packages.has("ethers"), "the imports were followed");
    for (const name of packages) assert.ok(name in dependencies, `${name} is no dependency`);
  });

  test("needs no file that its container does not have", () => {
    const text = readFileSync(join(ROOT, "keeper/operate/Containerfile"), "utf8");
    const copied = [...text.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, places = ""]) => places.split(" "));
    const outside = [...needed().files]
      .map((file) => relative(ROOT, file))
      .filter((file) => !copied.some((place) => file === place || file.startsWith(`${place}/`)));
    assert.deepEqual(outside, []);
  });
});
