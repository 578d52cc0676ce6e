/**
 * Storage layouts of upgradeable contracts, ERC-7201 namespaces included, and whether one may follow another. The rules
 * are OpenZeppelin's (upgrades-core): fields may be appended, and nothing may move, change its type or its name.
 */
import { createRequire } from "node:module";
import {
  getContractVersion,
  getStorageLayout,
  getStorageUpgradeReport,
  makeNamespacedInput,
  type SolcInput,
  type SolcOutput,
  type StorageLayout,
  solcInputOutputDecoder,
  type ValidationRunData,
  validate,
} from "@openzeppelin/upgrades-core";
import * as z from "zod";

/** Fully qualified name ("contracts/core/Tier.sol:Tier") to layout. */
export type Layouts = Readonly<Record<string, StorageLayout>>;

const compiler = z.object({ compile: z.function({ input: [z.string()], output: z.string() }) });
const standardInput = z.looseObject({ language: z.string(), sources: z.unknown(), settings: z.unknown() });
const messages = z.object({
  errors: z.array(z.looseObject({ severity: z.string(), formattedMessage: z.string() })).optional(),
});

/** Compiles with the compiler from npm. What it answers is checked for errors only: upgrades-core knows its shape. */
export function compile(input: SolcInput): SolcOutput {
  const solc = compiler.parse(createRequire(import.meta.url)("solc"));
  const { language, sources, settings } = standardInput.parse(input); // forge adds keys of its own
  const output: unknown = JSON.parse(solc.compile(JSON.stringify({ language, sources, settings })));
  const fatal = messages.parse(output).errors?.filter(({ severity }) => severity === "error") ?? [];
  if (fatal.length > 0) throw new Error(fatal.map(({ formattedMessage }) => formattedMessage).join("\n"));
  return output as SolcOutput;
}

/**
 * What a build says about each of its contracts. `output` needs ast, storageLayout and bytecode; namespaces need a second
 * compilation, of the declarations alone, in which OpenZeppelin puts each namespace's struct into a variable.
 */
export function runValidations(input: SolcInput, output: SolcOutput, version: string): ValidationRunData {
  const namespaced = compile(makeNamespacedInput(input, output, version));
  return validate(output, solcInputOutputDecoder(input, output), version, input, namespaced);
}

/** The layouts of some contracts of a build. */
export function layoutsOf(run: ValidationRunData, names: readonly string[]): Layouts {
  const layouts: Record<string, StorageLayout> = {};
  for (const name of names) layouts[name] = strip(getStorageLayout(run, getContractVersion(run, name)));
  return layouts;
}

/** Without what changes from build to build and means nothing: places in the source, numbers of the syntax tree. */
function strip(layout: StorageLayout): StorageLayout {
  const item = <T extends { src?: string; astId?: number }>({ src: _, astId: __, ...rest }: T) => ({
    ...rest,
    src: "",
  });
  return {
    ...layout,
    storage: layout.storage.map(item),
    ...(layout.namespaces
      ? { namespaces: Object.fromEntries(Object.entries(layout.namespaces).map(([k, v]) => [k, v.map(item)])) }
      : {}),
  };
}

/** Why `next` may not follow `released`; empty where it may. A contract that is gone is a reason too. */
export function conflicts(released: Layouts, next: Layouts): string[] {
  const found: string[] = [];
  for (const [name, before] of Object.entries(released)) {
    const after = next[name];
    if (after === undefined) {
      found.push(`${name} was released and is gone: proxies still point at it. Keep it, or name its successor here.`);
      continue;
    }
    const report = getStorageUpgradeReport(before, after, {
      kind: "beacon",
      unsafeAllow: [],
      unsafeAllowCustomTypes: false,
      unsafeAllowLinkedLibraries: false,
      unsafeAllowRenames: false,
      unsafeSkipStorageCheck: false,
    });
    if (!report.ok) found.push(`${name}\n${report.explain(false)}`);
  }
  return found;
}

const layout = z.looseObject({ storage: z.array(z.unknown()), types: z.record(z.string(), z.unknown()) });
const releaseFile = z.object({ version: z.string().min(1), contracts: z.record(z.string(), layout) });

/** A file of `released/`: what a release put behind the beacons. */
export interface Release {
  readonly version: string;
  readonly contracts: Layouts;
}

export function parseRelease(text: string, file: string): Release {
  const parsed = releaseFile.safeParse(JSON.parse(text));
  if (!parsed.success) throw new Error(`${file} is not a recorded release: ${z.prettifyError(parsed.error)}`);
  return parsed.data as unknown as Release;
}
