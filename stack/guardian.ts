/**
 * Ends what its parent started when the parent is gone, kill -9 included: native programs cannot be told to watch their
 * parent, so this process does. It reads lines from its parent, `watch PID`, `forget PID`, `folder PATH`; when that
 * stream ends, it kills every process that is still watched and removes the folders.
 */
import { rmSync } from "node:fs";
import { createInterface } from "node:readline";

const pids = new Set<number>();
const folders = new Set<string>();

for await (const line of createInterface({ input: process.stdin })) {
  const [, verb, rest = ""] = /^(\w+) (.*)$/.exec(line) ?? [];
  if (verb === "watch") pids.add(Number(rest));
  else if (verb === "forget") pids.delete(Number(rest));
  else if (verb === "folder") folders.add(rest);
}
for (const pid of pids) {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // gone already
  }
}
// Postgres' workers notice a moment later that their postmaster is gone, and still write until then
for (const folder of folders) rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
