/** The questions that analysts ask first: one file each in `questions/`, in the order of their names. */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

export interface Question {
  /** The file's name without its ending. */
  readonly name: string;
  /** The first line, without its #. */
  readonly title: string;
  /** The comment after it: why it is asked, and how the answer is read. */
  readonly why: string;
  /** The whole file, which is what GraphiQL shows. */
  readonly query: string;
}

const folder = fileURLToPath(new URL("questions/", import.meta.url));

export function questions(): readonly Question[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith(".graphql"))
    .sort()
    .map((file) => {
      const query = readFileSync(`${folder}/${file}`, "utf8");
      const lines = query.split("\n");
      const end = lines.findIndex((line) => !line.startsWith("#"));
      const [title = "", ...why] = lines
        .slice(0, end === -1 ? lines.length : end)
        .map((line) => line.replace(/^# ?/, ""));
      return { name: file.replace(/\.graphql$/, ""), title, why: why.join("\n").trim(), query };
    });
}
