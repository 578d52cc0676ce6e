/** `npm run data`: the stack and the gateway beside a running `npm start -- --keep`, which has compiled the contracts. */
import { main } from "../stack/data.ts";

process.exitCode = await main(process.argv.slice(2));
