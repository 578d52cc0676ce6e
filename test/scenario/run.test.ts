import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import * as z from "zod";
import { INVARIANTS } from "../../scenario/invariants.ts";
import { rpc } from "../../scripts/chain.ts";
import { ROOT } from "../../scripts/lib/tools.ts";

const SMALL = readFileSync(join(ROOT, "test/scenario/stories/small.yaml"), "utf8");
const folder = mkdtempSync(join(tmpdir(), "bulkhead-"));
after(() => rmSync(folder, { recursive: true }));

interface Ended {
  readonly code: number | null;
  readonly output: string;
}

/** Plays a story in a process of its own, as `npm start` does; `watch` sees the output grow and may end it. */
function play(
  text: string,
  args: readonly string[] = [],
  watch?: (output: string, stop: () => void) => void,
): Promise<Ended> {
  const file = join(folder, "story.yaml");
  writeFileSync(file, text);
  const words = ["--disable-warning=ExperimentalWarning", "scenario/run.ts", "--scenario", file, ...args];
  const child = spawn(process.execPath, words, {
    cwd: ROOT,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, FORCE_COLOR: "0" },
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => {
      output += chunk.toString("utf8");
      watch?.(output, () => child.kill("SIGINT"));
    });
  }
  return new Promise((resolve) => child.once("close", (code) => resolve({ code, output })));
}

describe("playing a story", () => {
  it("exits with 0 when every expectation and every invariant has held, and lists them", async () => {
    const { code, output } = await play(SMALL);
    assert.equal(code, 0, output);
    assert.match(output, /✓ Only's senior rate is unchanged \((\d\.\d{18}) before, \1 now\)/);
    for (const [number, text] of INVARIANTS) {
      const line = output.split("\n").find((one) => one.includes(` ${number}  ${text}`));
      assert.match(line ?? "", /^ {2}(ok|–) /, `invariant ${number}: ${line}`);
    }
  });

  it("exits with 1 when an expectation is false, and says which, where, and what was seen", async () => {
    const { code, output } = await play(SMALL.replace("senior rate: unchanged", "senior rate: lower"));
    assert.equal(code, 1, output);
    assert.match(output, /✗ Expected: Only's senior rate is lower\. Seen: (\d\.\d{18}) before, \1 now\./);
    assert.match(output, /in chapter "Proof", step 3 \(expect\)/);
  });

  it("exits with 1 when the contracts refuse a step, and names their error", async () => {
    const { code, output } = await play(SMALL.replace("amount: 80 ETH", "amount: 800 ETH"));
    assert.equal(code, 1, output);
    assert.match(output, /✗ The contracts refuse this step: depositEth: ExceedsDepositLimit\(/);
  });

  it("exits with 1 when a step that must be refused passes", async () => {
    const step =
      "- refused: { step: { deposit: { by: Jo, tier: Only, tranche: junior, amount: 1 ETH } }, because: EntriesClosed }";
    const { code, output } = await play(SMALL.replace("      - upkeep: all", `      ${step}\n      - upkeep: all`));
    assert.equal(code, 1, output);
    assert.match(output, /✗ deposit passes, and should be refused because of EntriesClosed/);
  });

  it("does what every other verb says, down to a Lido that loses and keepers that sleep", async () => {
    const { code, output } = await play(readFileSync(join(ROOT, "test/scenario/stories/verbs.yaml"), "utf8"));
    assert.equal(code, 0, output);
  });

  it("exits with 2 when the file is wrong, before anything is started", async () => {
    const { code, output } = await play(SMALL.replace("k: 1", "k: none"));
    assert.equal(code, 2);
    assert.match(output, /story\.yaml:11:8: k: It is the string "none"\. Write a whole number/);
    assert.doesNotMatch(output, /chain runs/);
  });

  it("with --keep leaves the chain running and writes down where everything is, until it is interrupted", async () => {
    let checked: Promise<void> | undefined;
    const { code, output } = await play(SMALL, ["--keep"], (seen, stop) => {
      if (!seen.includes("Ctrl-C ends it") || checked) return;
      checked = (async () => {
        const book = z
          .object({
            url: z.string(),
            tiers: z.object({ Only: z.object({ tier: z.string() }) }),
            accounts: z.record(z.string(), z.string()),
          })
          .parse(JSON.parse(readFileSync(join(ROOT, ".local/chain.json"), "utf8")));
        assert.ok(
          seen.includes(book.url) && seen.includes(book.tiers.Only.tier) && seen.includes(book.accounts.Sam ?? "?"),
        );
        const code = await rpc(book.url, "eth_getCode", [book.tiers.Only.tier, "latest"]);
        assert.ok(typeof code === "string" && code.length > 2);
      })().finally(stop);
    });
    assert.ok(checked, output);
    await checked;
    assert.equal(code, 0, output);
  });
});
