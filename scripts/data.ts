/** `npm run data`: graph-node, Postgres and the gateway beside a running `npm start -- --keep`. */
import { main } from "../stack/data.ts";
import { buildContracts } from "./lib/build.ts";

process.exitCode = await main(process.argv.slice(2), async () => {
  await buildContracts();
});
