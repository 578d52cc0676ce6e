/** `npm start`: compiles what has changed, then plays the scenario. All arguments are the scenario's. */
import { main } from "../scenario/run.ts";
import { buildContracts } from "./lib/build.ts";

process.exitCode = await main(process.argv.slice(2), async () => {
  const begin = performance.now();
  process.stderr.write("Compiling the contracts where they have changed ...\n");
  const built = await buildContracts();
  process.stderr.write(built ? `Compiled (${((performance.now() - begin) / 1000).toFixed(1)} s).\n` : "Up to date.\n");
});
