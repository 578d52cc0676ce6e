/** docs/QUESTIONS.md, from the questions and their answers. Pure. */
import type { Question } from "./questions.ts";

export interface Answered extends Question {
  readonly data: unknown;
  /** What only somebody who has the chain at hand can add. */
  readonly aside?: string | undefined;
}

export interface Names {
  /** Names of addresses, by the address in lower case. */
  readonly names: ReadonlyMap<string, string>;
  /** Unix seconds of day 0. */
  readonly begin: number;
}

/** Entries of a list that are shown. */
const SHOWN = 4;

export function questionsPage(answers: readonly Answered[], names: Names): string {
  return `# Questions and answers

The questions that are asked first, each with its query (a tab of GraphiQL), how the answer is read, and the answer from the
default story. \`npm run data\` beside \`npm start -- --keep\` lets you ask them yourself; \`npm run questions\` writes this page.

Numbers are integers: wei of ETH, shares in wei, WAD (1e18 is one), as [the schema](../subgraph/schema.graphql) says of each
field. Here, and only here, addresses have their names from the story, times are days since the first tier was opened, and
long lists are cut. Amounts, blocks and gas differ a little from run to run, because the keeper works when it is its turn.

${answers.map(({ title }, i) => `${i + 1}. [${title}](#${anchor(i + 1, title)})`).join("\n")}
${answers.map((one, i) => section(i + 1, one, names)).join("")}`;
}

const anchor = (number: number, title: string): string =>
  `${number}-${title
    .toLowerCase()
    .replace(/[^a-z0-9 -]/g, "")
    .replaceAll(" ", "-")}`;

function section(number: number, { title, why, query, data, aside }: Answered, names: Names): string {
  return `
## ${number}. ${title}

${why}

\`\`\`graphql
${query.replace(/^(#.*\n)+/, "").trim()}
\`\`\`

\`\`\`json
${compact(named(data, names))}
\`\`\`
${aside === undefined ? "" : `\n${aside}\n`}`;
}

/** The answer with names, days and short lists. */
export function named(value: unknown, names: Names, key = ""): unknown {
  if (Array.isArray(value)) {
    const shown = value.slice(0, SHOWN).map((one) => named(one, names, key));
    return value.length > SHOWN ? [...shown, `... and ${value.length - SHOWN} more`] : shown;
  }
  if (typeof value === "object" && value !== null)
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, named(one, names, name)]));
  if (typeof value !== "string") return value;
  if (/timestamp$|^lastSync$/i.test(key) && /^\d{10}$/.test(value))
    return `day ${Math.floor((Number(value) - names.begin) / 86_400)}`;
  return names.names.get(value.toLowerCase()) ?? value;
}

const WIDTH = 116;

/** JSON with everything on one line that fits on one. */
export function compact(value: unknown, indent = ""): string {
  const flat = spaced(value);
  if (indent.length + flat.length <= WIDTH || typeof value !== "object" || value === null) return flat;
  const deeper = `${indent}  `;
  if (Array.isArray(value))
    return `[\n${value.map((one) => `${deeper}${compact(one, deeper)}`).join(",\n")}\n${indent}]`;
  const lines = Object.entries(value).map(([name, one]) => `${deeper}${JSON.stringify(name)}: ${compact(one, deeper)}`);
  return `{\n${lines.join(",\n")}\n${indent}}`;
}

function spaced(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(spaced).join(", ")}]`;
  if (typeof value === "object" && value !== null)
    return `{ ${Object.entries(value)
      .map(([name, one]) => `${JSON.stringify(name)}: ${spaced(one)}`)
      .join(", ")} }`;
  return JSON.stringify(value);
}
