/** `npm run deploy`: compiles what has changed, then checks, reviews or deploys. All arguments are the deployment's. */
import { main } from "../deploy/command.ts";
import { buildContracts } from "./lib/build.ts";

process.exitCode = await main(process.argv.slice(2), async () => {
  await buildContracts();
});
