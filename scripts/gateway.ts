/** `npm run gateway`: the GraphQL gateway as a service. All arguments are its own. */
import { main } from "../gateway/main.ts";

process.exitCode = await main(process.argv.slice(2));
