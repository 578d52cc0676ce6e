/** `npm run subgraph`: compiles the contracts where they have changed (their ABIs), then builds, tests or deploys the subgraph. */
import { main } from "../stack/commands.ts";
import { buildContracts } from "./lib/build.ts";

process.exitCode = await main(process.argv.slice(2), async () => {
  await buildContracts();
});
