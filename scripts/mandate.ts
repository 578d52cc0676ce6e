/** `npm run mandate`: the curator's calculation. All arguments are its own. */
import { main } from "../economics/run.ts";

process.exitCode = await main(process.argv.slice(2));
