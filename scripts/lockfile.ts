/**
 * Checks package-lock.json: every dependency pinned, no registry address, and the packages of every platform there.
 *
 *   node scripts/lockfile.ts [--fix]
 *
 * A registry mirror that lacks the binaries of other platforms makes npm write a lockfile without them, and `npm ci`
 * then fails everywhere else. `--fix` writes the missing entries (without an integrity hash, which only a registry that has them could tell).
 */
import { readFileSync, writeFileSync } from "node:fs";
import { z } from "zod";

const Entry = z.looseObject({
  version: z.string().optional(),
  resolved: z.string().optional(),
  dev: z.boolean().optional(),
  optionalDependencies: z.record(z.string(), z.string()).optional(),
});
const Lock = z.looseObject({ packages: z.record(z.string(), Entry) });
const Versions = z.record(z.string(), z.string()).default({});
const Manifest = z.looseObject({ dependencies: Versions, devDependencies: Versions });

const FILE = new URL("../package-lock.json", import.meta.url);
const SYSTEMS = ["darwin", "android", "freebsd", "win32", "linux"] as const;
const PROCESSORS: readonly (readonly [RegExp, string])[] = [
  [/arm64|aarch64/, "arm64"],
  [/x64|amd64/, "x64"],
  [/ia32/, "ia32"],
  [/ppc64/, "ppc64"],
  [/riscv64/, "riscv64"],
  [/s390x/, "s390x"],
  [/loong64/, "loong64"],
  [/mips64el/, "mips64el"],
  [/arm/, "arm"],
];

type Lock = z.infer<typeof Lock>;

/** npm's look-up: in the folder of the package itself, then in each folder above. */
function present(lock: Lock, from: string, name: string): boolean {
  for (let folder = from; ; folder = folder.slice(0, folder.lastIndexOf("/node_modules/"))) {
    if (lock.packages[`${folder}${folder ? "/" : ""}node_modules/${name}`]) return true;
    if (!folder) return false;
    if (!folder.includes("/node_modules/")) return lock.packages[`node_modules/${name}`] !== undefined;
  }
}

function missing(lock: Lock): Map<string, z.infer<typeof Entry>> {
  const found = new Map<string, z.infer<typeof Entry>>();
  for (const [place, entry] of Object.entries(lock.packages)) {
    for (const [name, range] of Object.entries(entry.optionalDependencies ?? {})) {
      const cpu = PROCESSORS.find(([pattern]) => pattern.test(name))?.[1];
      if (cpu === undefined || present(lock, place, name)) continue; // not a platform's package
      const os = SYSTEMS.find((system) => name.includes(system)) ?? "linux";
      found.set(`node_modules/${name}`, {
        version: range.replace(/^[\^~]/, ""),
        cpu: [cpu],
        ...(entry.dev ? { dev: true } : {}),
        ...(name.includes("musl") ? { libc: ["musl"] } : {}),
        optional: true,
        os: [os],
      });
    }
  }
  return found;
}

const lock = Lock.parse(JSON.parse(readFileSync(FILE, "utf8")));
const manifest = Manifest.parse(JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")));
const problems: string[] = [];

for (const [name, version] of Object.entries({ ...manifest.dependencies, ...manifest.devDependencies })) {
  if (!/^\d+\.\d+\.\d+/.test(version)) problems.push(`package.json: pin ${name} to one version instead of ${version}`);
}
for (const [place, entry] of Object.entries(lock.packages)) {
  if (entry.resolved?.startsWith("http"))
    problems.push(`${place}: a registry address; .npmrc keeps it out on npm 10.7+`);
}
const gaps = missing(lock);
if (process.argv.includes("--fix") && gaps.size > 0) {
  const packages = Object.entries({ ...lock.packages, ...Object.fromEntries(gaps) });
  lock.packages = Object.fromEntries(packages.sort(([a], [b]) => (a < b ? -1 : 1)));
  writeFileSync(FILE, `${JSON.stringify(lock, null, 2)}\n`);
  console.log(`added ${gaps.size} packages of other platforms`);
} else {
  for (const place of gaps.keys()) problems.push(`${place}: missing; run \`node scripts/lockfile.ts --fix\``);
}
for (const problem of problems) console.error(problem);
process.exitCode = problems.length > 0 ? 1 : 0;
