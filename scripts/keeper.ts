/** `npm run keeper`: the daemon, its plan, its checks. All arguments are its own. */
import { main } from "../keeper/main.ts";

process.exitCode = await main(process.argv.slice(2));
