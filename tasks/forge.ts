/** The Hardhat task `forge`: the native forge on the same sources, remappings and compiler as Hardhat. */
import { task } from "hardhat/config";

export const forgeTask = task("forge", "Runs the native forge: npx hardhat forge -- test -vv")
  .addVariadicArgument({
    name: "args",
    description: "What forge gets; put -- in front of it",
    defaultValue: ["--help"],
  })
  .setAction(() => import("./forge-action.ts"))
  .build();
