/** Documents that are known beforehand, by the hash of their text; a public gateway can answer these alone. */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { usePersistedOperations } from "@graphql-yoga/plugin-persisted-operations";
import type { Plugin } from "graphql-yoga";
import { refusal } from "./refusal.ts";

export class PersistedError extends Error {
  override readonly name = "PersistedError";
}

/** Read once, at the start; a file whose name is not the hash of its text is an error that names both. */
export function readPersisted(folder: string): ReadonlyMap<string, string> {
  let files: string[];
  try {
    files = readdirSync(folder).filter((file) => file.endsWith(".graphql"));
  } catch {
    throw new PersistedError(`There is no folder ${folder}: name one that holds HASH.graphql files (--persisted).`);
  }
  const documents = new Map<string, string>();
  for (const file of files) {
    const text = readFileSync(join(folder, file), "utf8");
    const hash = createHash("sha256").update(text).digest("hex");
    if (file !== `${hash}.graphql`)
      throw new PersistedError(`${join(folder, file)} should be named ${hash}.graphql, the SHA-256 of its text.`);
    documents.set(hash, text);
  }
  return documents;
}

/** Clients send `extensions: {persistedQuery: {version: 1, sha256Hash}}` and no query, as Apollo's clients do. */
export function persistedDocuments(folder: string, only: boolean): Plugin {
  const documents = readPersisted(folder);
  const how = 'send {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "..."}}} without a query';
  return usePersistedOperations({
    allowArbitraryOperations: !only,
    getPersistedOperation: (hash) => documents.get(hash) ?? null,
    customErrors: {
      notFound: () =>
        refusal(
          "PERSISTED_NOT_FOUND",
          404,
          only
            ? "This gateway has no document of this hash: ask its operator to add it."
            : "No such document: send the query itself.",
        ),
      keyNotFound: () =>
        only
          ? refusal("PERSISTED_ONLY", 400, `This gateway answers persisted documents only: ${how}.`)
          : refusal(
              "BAD_REQUEST",
              400,
              "There is no query in this request: send one, or the hash of a persisted document.",
            ),
      persistedQueryOnly: () =>
        refusal("PERSISTED_ONLY", 403, `This gateway answers persisted documents only: ${how}.`),
    },
  }) as Plugin;
}
