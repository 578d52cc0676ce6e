/** Plays a story (a line of JSON on stdin) and kills itself at its nth step, as `kill -9` would. */
import { createInterface } from "node:readline";
import * as z from "zod";
import { play, settingSchema } from "./kill-stories.ts";

const order = z.object({ setting: settingSchema, killAt: z.int() });

process.stdout.write("ready\n"); // everything is loaded: starting Node is not what is tested
const [line] = await new Promise<string[]>((resolve) => {
  createInterface({ input: process.stdin }).once("line", (text) => resolve([text]));
});
const { setting, killAt } = order.parse(JSON.parse(line ?? ""));
let steps = 0;
await play(setting, () => {
  if (steps++ === killAt) process.kill(process.pid, "SIGKILL");
});
process.stdout.write("played\n");
process.exit(0);
