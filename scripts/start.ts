/** `npm start`: compiles what has changed, then plays the scenario. All arguments are the scenario's. */
import { buildContracts } from "./lib/build.ts";

const wantsHelp = process.argv.slice(2).some((argument) => argument === "--help" || argument === "-h");
if (!wantsHelp) {
  const begin = performance.now();
  process.stderr.write("Compiling the contracts where they have changed ...\n");
  const built = await buildContracts();
  process.stderr.write(built ? `Compiled (${((performance.now() - begin) / 1000).toFixed(1)} s).\n` : "Up to date.\n");
}
await import(new URL("../scenario/run.ts", import.meta.url).href);
