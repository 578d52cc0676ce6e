/** How the gateway says no: a GraphQL error with a code for programs, a sentence that says what to do, an HTTP status. */
import { createGraphQLError } from "graphql-yoga";

/** Every code that a client can meet on the gateway's own account; docs/GATEWAY.md explains them. */
export type RefusalCode =
  | "BAD_REQUEST"
  | "BAD_JSON"
  | "BAD_CONTENT_TYPE"
  | "BATCH_REFUSED"
  | "BODY_LIMIT"
  | "TOKEN_LIMIT"
  | "DEPTH_LIMIT"
  | "ALIAS_LIMIT"
  | "DIRECTIVE_LIMIT"
  | "COST_LIMIT"
  | "PAGE_LIMIT"
  | "PARSE_FAILED"
  | "TIMEOUT"
  | "RATE_LIMIT"
  | "BUSY"
  | "SUBSCRIPTION_LIMIT"
  | "PERSISTED_ONLY"
  | "PERSISTED_NOT_FOUND"
  | "NOT_FOUND"
  | "CSV_LIMIT"
  | "UPSTREAM_FAILED"
  | "CLOSING";

export function refusal(
  code: RefusalCode,
  status: number,
  message: string,
  headers: Readonly<Record<string, string>> = {},
): ReturnType<typeof createGraphQLError> {
  return createGraphQLError(message, { extensions: { code, http: { status, headers } } });
}

/** The same as a whole HTTP answer, where GraphQL's own machinery has not begun or is not concerned. */
export function refusalResponse(
  code: RefusalCode,
  status: number,
  message: string,
  headers: Readonly<Record<string, string>> = {},
): Response {
  return new Response(`${JSON.stringify({ errors: [{ message, extensions: { code } }] })}\n`, {
    status,
    headers: {
      "content-type": "application/json; charset=utf-8",
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
      ...headers,
    },
  });
}
