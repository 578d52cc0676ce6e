/** The command as a curator types it: what it prints, writes and leaves with. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { after, describe, test } from "node:test";
import * as z from "zod";
import { main } from "../../economics/run.ts";
import { ROOT } from "../../scripts/lib/tools.ts";

const SIXTEEN = join(ROOT, "economics/examples/sixteen-groups.yaml");
const SIX = join(ROOT, "economics/examples/six-groups.yaml");
const folder = mkdtempSync(join(tmpdir(), "mandate-"));
after(() => rmSync(folder, { recursive: true }));

interface Done {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** In this process: a start of Node for each would be most of the time. */
async function mandate(...args: string[]): Promise<Done> {
  const [out, err] = [new PassThrough(), new PassThrough()];
  const texts = [out, err].map((stream) => stream.toArray());
  const code = await main(args, { out: out as unknown as NodeJS.WriteStream, err });
  out.end();
  err.end();
  const [printed, complained] = (await Promise.all(texts)).map((chunks) => chunks.join(""));
  return { code, out: printed ?? "", err: complained ?? "" };
}

const report = z.object({
  needed: z.object({ leastJunior: z.string() }),
  settled: z.object({ senior: z.string(), junior: z.string(), value: z.string(), reserve: z.string() }),
  returns: z.object({ senior: z.number(), junior: z.number(), breakEven: z.number() }),
  simulation: z.object({ years: z.array(z.array(z.number())), seed: z.number() }).nullable(),
  against: z.object({ changes: z.array(z.object({ what: z.string(), riskier: z.boolean() })) }).nullable(),
  refusals: z.array(z.object({ reason: z.string(), accepted: z.boolean() })),
});

describe("npm run mandate", () => {
  test("prints a page of 100 columns and leaves with 0 where nothing speaks against the mandate", async () => {
    const { code, out, err } = await mandate(SIXTEEN, "--paths", "50");
    assert.equal(code, 0, err);
    for (const words of [
      "least junior",
      "break-even",
      "50 simulated years (seed 1)",
      "Assumed, not known",
      "Nothing speaks against",
    ]) {
      assert.ok(out.includes(words), words);
    }
    const long = out.split("\n").filter((line) => line.length > 100);
    assert.deepEqual(long, []);
  });

  test("keeps to 100 columns whatever it is asked", async () => {
    const asked = [
      [SIX, "--paths", "20", "--utilisation", "99.9 %", "--base-rate", "20 %"],
      [SIX, "--against", SIXTEEN, "--paths", "0", "--accept-few-groups"],
      [SIXTEEN, "--paths", "20", "--total", "2_000_000 ETH", "--junior-asks", "90 %"],
      [SIXTEEN, "--paths", "0", "--senior", "0.5 ETH", "--slash-chance", "50 %"],
      [join(ROOT, "scenarios/default.yaml"), "--paths", "20", "--slash-chance", "90 %"],
    ];
    for (const args of asked) {
      const { out, code } = await mandate(...args);
      assert.ok(code === 0 || code === 1);
      assert.deepEqual(
        out.split("\n").filter((line) => line.length > 100),
        [],
        args.join(" "),
      );
    }
  });

  test("refuses six large groups with 1, a sentence and the way to accept each", async () => {
    const { code, out } = await mandate(SIX, "--paths", "0");
    assert.equal(code, 1);
    const flags = [...out.matchAll(/--(accept-[a-z-]+)/g)].map(([flag]) => flag);
    assert.equal(flags.length, 3);
    assert.equal((await mandate(SIX, "--paths", "0", ...flags.slice(1))).code, 1);
    const accepted = await mandate(SIX, "--paths", "0", ...flags);
    assert.equal(accepted.code, 0);
    assert.match(accepted.out, /Accepted, against advice/);
  });

  test("says the same to programs, and sums to the wei", async () => {
    const { code, out } = await mandate(
      SIXTEEN,
      "--json",
      "--paths",
      "20",
      "--senior",
      "5000 ETH",
      "--random-seed",
      "9",
    );
    assert.equal(code, 0);
    const one = report.parse(JSON.parse(out));
    const { senior, junior, reserve, value } = one.settled;
    assert.equal(senior, "5000000000000000000000");
    assert.equal(BigInt(senior) + BigInt(junior) + BigInt(reserve), BigInt(value));
    assert.equal(one.simulation?.years.length, 20);
    assert.equal(one.simulation?.seed, 9);
    assert.deepEqual(one.refusals, []);
  });

  test("compares two files and says what has to wait", async () => {
    const { out } = await mandate(SIX, "--against", SIXTEEN, "--paths", "0");
    assert.match(out, /Against the mandate in force \(Careful\)/);
    assert.match(out, /riskier agent|riskier Northwind: weight: 25 % → 50 %/);
    assert.match(out, /waits 45 days/);
    const json = report.parse(JSON.parse((await mandate(SIX, "--against", SIXTEEN, "--paths", "0", "--json")).out));
    assert.ok(json.against?.changes.some(({ what, riskier }) => riskier && what === "Northwind: weight"));
  });

  test("takes the tiers of a scenario, one or all", async () => {
    const all = await mandate(join(ROOT, "scenarios/default.yaml"), "--paths", "0");
    assert.match(all.out, /Careful: withstands any 2 of 16/);
    assert.match(all.out, /Bold: withstands any 1 of 8/);
    const one = await mandate(join(ROOT, "scenarios/default.yaml"), "--paths", "0", "--tier", "Bold");
    assert.doesNotMatch(one.out, /Careful/);
  });

  test("draws an SVG with a panel for each question", async () => {
    const file = join(folder, "chart.svg");
    assert.equal((await mandate(SIXTEEN, "--paths", "50", "--chart", file)).code, 0);
    const svg = readFileSync(file, "utf8");
    assert.match(svg, /^<svg [\s\S]*<\/svg>\s*$/);
    for (const words of [
      "What each slasher group could take",
      "the senior breaks even at 0.77 %",
      "50 simulated years",
      "Blobspring",
    ]) {
      assert.ok(svg.includes(words), words);
    }
  });

  test("leaves with 2 and a way out where the command is wrong", async () => {
    const cases: [string[], RegExp][] = [
      [[], /Name a mandate file/],
      [["missing.yaml"], /missing\.yaml: there is no such file.*economics\/examples/],
      [[SIXTEEN, "--tiers", "x"], /no option --tiers\. Did you mean --tier/],
      [[SIXTEEN, "--tier", "Bold"], /no tier "Bold"\. It has "Careful"/],
      [[SIXTEEN, "--rewards", "1"], /--rewards: "1" is no rate/],
      [[SIXTEEN, "--rewards", "1", "%"], /"%" is too much.*quotes/],
      [[SIXTEEN, "--paths", "-5"], /--paths/],
      [[SIXTEEN, "--rpc", "http://127.0.0.1:1"], /belong together/],
      [[SIXTEEN, "--tier", `0x${"1".repeat(40)}`], /belong together/],
      [["--rpc", "http://127.0.0.1:1", "--tier", `0x${"1".repeat(40)}`], /Nobody answers/],
      [["--rpc", "http://127.0.0.1:1", "--tier", "0x12"], /"0x12" is no address/],
      [[SIXTEEN, "--senior", "5 ETH", "--total", "6 ETH"], /--senior or --total, not both/],
      [[SIXTEEN, "--paths", "0", "--chart", "chart.png"], /name end with \.svg/],
    ];
    for (const [args, words] of cases) {
      const { code, err } = await mandate(...args);
      assert.equal(code, 2, args.join(" "));
      assert.match(err, words);
      assert.doesNotMatch(err, /\n\s+at /);
    }
  });

  test("is a script that leaves with what it found", () => {
    const args = ["scripts/mandate.ts", "economics/examples/six-groups.yaml", "--paths", "0"];
    const done = spawnSync(process.execPath, args, { cwd: ROOT, encoding: "utf8", timeout: 120_000 });
    assert.equal(done.status, 1, done.stderr);
  });

  test("says of which mandates no junior is enough", async () => {
    const { code, err } = await mandate(SIX, "--senior", "1 ETH", "--utilisation", "30 %", "--paths", "0");
    assert.equal(code, 2);
    assert.match(err, /Crowded: the 2 largest groups could take so much that no junior is enough/);
  });
});
