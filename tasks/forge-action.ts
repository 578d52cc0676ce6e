import { spawn } from "node:child_process";
import type { NewTaskActionFunction } from "hardhat/types/tasks";
import { findForge } from "../scripts/lib/tools.ts";

const runForge: NewTaskActionFunction<{ args: string[] }> = async ({ args }, hre) => {
  const forge = findForge();
  if (!forge) {
    throw new Error(
      `npm has no forge for ${process.platform} ${process.arch}: use \`npx hardhat test solidity\`, which runs the same tests.`,
    );
  }
  const child = spawn(forge, args, { cwd: hre.config.paths.root, stdio: "inherit" });
  process.exitCode = await new Promise<number>((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (code) => resolve(code ?? 1));
  });
};

export default runForge;
