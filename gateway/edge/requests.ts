/** From an HTTP request to a GraphQL operation's parameters: one JSON object, of a bounded size and depth. */
import type { GraphQLParams, Plugin } from "graphql-yoga";
import type { GatewayLimits } from "../types.ts";
import { refusal } from "./refusal.ts";

/** Objects and lists within each other in a request: filters nest a few levels, and what coerces them is recursive. */
const JSON_DEPTH = 32;

const HOW = 'send POST with content-type: application/json and {"query": "...", "variables": {...}}';

/**
 * POST takes JSON only. A browser sends that to another site's server only after asking it (a preflight), so a foreign page
 * cannot make a visitor's browser post here; there are no cookies to steal and no mutations to forge either.
 */
export function requestParser(limits: GatewayLimits): Plugin {
  return {
    onRequestParse({ request, setRequestParser }) {
      if (request.method === "GET") setRequestParser((one) => fromQuery(one));
      else if (request.method === "POST") setRequestParser((one) => fromBody(one, limits.bodyBytes));
    },
  };
}

function fromQuery(request: Request): GraphQLParams {
  const search = new URL(request.url, "http://localhost").searchParams;
  return {
    ...optional("query", search.get("query")),
    ...optional("operationName", search.get("operationName")),
    ...optional("variables", json(search.get("variables"), "variables")),
    ...optional("extensions", json(search.get("extensions"), "extensions")),
  };
}

const optional = (name: string, value: unknown) => (value ? { [name]: value } : {});

async function fromBody(request: Request, limit: number): Promise<GraphQLParams> {
  const type = (request.headers.get("content-type") ?? "").split(";", 1)[0]?.trim().toLowerCase() ?? "";
  if (type !== "application/json" && type !== "application/graphql+json")
    throw refusal(
      "BAD_CONTENT_TYPE",
      415,
      `This is ${type === "" ? "no content type" : JSON.stringify(type)}: ${HOW}.`,
    );
  const value = json(await textOf(request, limit), "body");
  if (Array.isArray(value))
    throw refusal("BATCH_REFUSED", 400, "Batches are not answered: send one operation a request, several at a time.");
  if (typeof value !== "object" || value === null) throw refusal("BAD_REQUEST", 400, `The body is no object: ${HOW}.`);
  return value as GraphQLParams;
}

/** The body's text, not a byte more than allowed, whatever content-length says. */
async function textOf(request: Request, limit: number): Promise<string> {
  const tooLarge = () =>
    refusal(
      "BODY_LIMIT",
      413,
      `The body is larger than ${limit} bytes: use a filter instead of long lists, or split it.`,
    );
  if (Number(request.headers.get("content-length") ?? 0) > limit) throw tooLarge();
  if (request.body === null) return "";
  const parts: Uint8Array[] = [];
  let size = 0;
  const reader = request.body.getReader() as ReadableStreamDefaultReader<Uint8Array>;
  for (let step = await reader.read(); !step.done; step = await reader.read()) {
    size += step.value.byteLength;
    if (size > limit) throw tooLarge();
    parts.push(step.value);
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(parts));
  } catch {
    throw refusal("BAD_JSON", 400, `The body is not UTF-8: ${HOW}.`);
  }
}

function json(text: string | null, what: string): unknown {
  if (text === null) return undefined;
  if (depthOf(text) > JSON_DEPTH)
    throw refusal("DEPTH_LIMIT", 400, `The ${what} nests deeper than ${JSON_DEPTH}: filters need a few levels only.`);
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw refusal("BAD_JSON", 400, `The ${what} is no JSON (${(error as Error).message}): ${HOW}.`);
  }
}

/** How deep objects and lists nest in a JSON text, without parsing it. */
export function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  let quoted = false;
  for (let at = 0; at < text.length; at++) {
    const sign = text[at];
    if (quoted) {
      if (sign === "\\") at++;
      else if (sign === '"') quoted = false;
    } else if (sign === '"') quoted = true;
    else if (sign === "{" || sign === "[") deepest = Math.max(deepest, ++depth);
    else if (sign === "}" || sign === "]") depth--;
  }
  return deepest;
}
