/**
 * What the compiler's output must satisfy: every contract fits EIP-170, and everything public has NatSpec.
 *
 * Read from Hardhat's artifacts, so run it after `npm run build`. `--sizes` prints the size of each contract.
 */
import { globSync, readFileSync } from "node:fs";
import { basename, join, sep } from "node:path";
import { z } from "zod";
import { ROOT } from "./lib/tools.ts";

const LIMIT = 24_576; // EIP-170: bytes of deployed code
const Artifact = z.looseObject({
  contractName: z.string(),
  deployedBytecode: z.string(),
  buildInfoId: z.string(),
  inputSourceName: z.string(),
});
const Documentation = z.union([z.string(), z.looseObject({ text: z.string() })]).nullish();
const Member = z.looseObject({
  nodeType: z.string(),
  name: z.string().optional(),
  src: z.string(),
  kind: z.string().optional(),
  visibility: z.string().optional(),
  documentation: Documentation,
  baseFunctions: z.array(z.number()).optional(),
});
const Unit = z.looseObject({
  nodes: z.array(z.looseObject({ nodeType: z.string(), nodes: z.array(Member).optional() })),
});
const Output = z.looseObject({
  output: z.looseObject({ sources: z.record(z.string(), z.looseObject({ ast: Unit })) }),
});

type Member = z.infer<typeof Member>;
const KINDS = new Set([
  "EventDefinition",
  "ErrorDefinition",
  "FunctionDefinition",
  "VariableDeclaration",
  "ModifierDefinition",
]);

/** Parts that a caller meets. What overrides something takes over the documentation of what it overrides. */
function needsNatSpec(member: Member, library: boolean): boolean {
  if (!KINDS.has(member.nodeType) || member.nodeType === "ModifierDefinition") return false;
  if (member.baseFunctions && member.baseFunctions.length > 0) return false;
  if (member.nodeType === "VariableDeclaration") return member.visibility === "public";
  if (member.nodeType !== "FunctionDefinition") return true;
  if (member.kind !== "function") return false; // constructor, receive, fallback: their comments are for readers
  // A library's internal functions are its surface.
  return ["external", "public", ...(library ? ["internal"] : [])].includes(member.visibility ?? "");
}

const line = (file: string, src: string) =>
  readFileSync(join(ROOT, file)).subarray(0, Number.parseInt(src, 10)).toString("utf8").split("\n").length;

const problems: string[] = [];
const sizes: [string, number][] = [];
const sources = new Map<string, string>(); // source name -> build info
for (const path of globSync("artifacts/contracts/**/*.sol/*.json", { cwd: ROOT })) {
  const artifact = Artifact.parse(JSON.parse(readFileSync(join(ROOT, path), "utf8")));
  const size = (artifact.deployedBytecode.length - 2) / 2;
  sizes.push([basename(path, ".json"), size]);
  if (size > LIMIT)
    problems.push(`${artifact.contractName}: ${size} bytes of code, ${size - LIMIT} over EIP-170's limit`);
  sources.set(artifact.inputSourceName, artifact.buildInfoId);
}
if (sizes.length === 0) problems.push("no artifacts: run `npm run build` first");

const outputs = new Map<string, z.infer<typeof Output>>();
for (const [source, id] of sources) {
  let output = outputs.get(id);
  if (!output) {
    const file = join(ROOT, "artifacts", "build-info", `${id}.output.json`);
    output = Output.parse(JSON.parse(readFileSync(file, "utf8")));
    outputs.set(id, output);
  }
  const file = source
    .replace(/^project\//, "")
    .split("/")
    .join(sep);
  for (const contract of output.output.sources[source]?.ast.nodes ?? []) {
    const library = contract.contractKind === "library";
    for (const member of contract.nodes ?? []) {
      if (!needsNatSpec(member, library)) continue;
      const text = typeof member.documentation === "string" ? member.documentation : member.documentation?.text;
      if (!text?.trim()) {
        problems.push(`${file}:${line(file, member.src)}: ${contract.name}.${member.name} has no NatSpec comment`);
      }
    }
  }
}

sizes.sort(([, a], [, b]) => b - a);
if (process.argv.includes("--sizes"))
  for (const [name, size] of sizes) console.log(`${String(size).padStart(6)}  ${name}`);
const [largest, size] = sizes[0] ?? ["none", 0];
for (const problem of problems) console.error(problem);
console.log(
  `${sizes.length} contracts; the largest is ${largest} with ${size} of ${LIMIT} bytes; ${problems.length} problems`,
);
process.exitCode = problems.length > 0 ? 1 : 0;
