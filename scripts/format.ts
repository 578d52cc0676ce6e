/** `npm run format`: writes both languages in the project's format, and applies the linter's safe fixes. */
import { spawnSync } from "node:child_process";
import { BIOME, findForge, ROOT } from "./lib/tools.ts";

const forge = findForge();
const commands: [string, ...string[]][] = [[process.execPath, BIOME, "check", "--write"]];
if (forge) commands.push([forge, "fmt"]);
else console.error("SKIPPED: Solidity is not formatted, npm has no forge for this platform.");

for (const [command, ...args] of commands) {
  const { status } = spawnSync(command, args, { cwd: ROOT, stdio: "inherit" });
  if (status !== 0) process.exitCode = 1;
}
