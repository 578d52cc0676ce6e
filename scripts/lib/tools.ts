/** Where the tools of this project are. */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));

const inModules = (path: string) => fileURLToPath(new URL(`../../node_modules/${path}`, import.meta.url));

export const HARDHAT = inModules("hardhat/dist/src/cli.js");
export const BIOME = inModules("@biomejs/biome/bin/biome");
export const TSC = inModules("typescript/bin/tsc");
export const SOLHINT = inModules("solhint/solhint.js");

/**
 * The native forge, or undefined where npm has none for this platform.
 * Never node_modules/.bin/forge: that wrapper exits with 0 even when tests fail.
 */
export function findForge(): string | undefined {
  const processor = process.arch === "x64" ? "amd64" : process.arch;
  const file = inModules(
    `@foundry-rs/forge-${process.platform}-${processor}/bin/forge${process.platform === "win32" ? ".exe" : ""}`,
  );
  return existsSync(file) ? file : undefined;
}
