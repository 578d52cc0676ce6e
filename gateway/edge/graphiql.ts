/** GraphiQL, whole in one page: a machine without internet shows it too. The example questions are its tabs. */
import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { renderGraphiQL } from "@graphql-yoga/render-graphiql";
import { questions } from "../questions.ts";

const WELCOME = `# Bulkhead: who owns what, what it cost, what it has earned, what could take it away.
# The other tabs are the questions that are asked first. The schema at the left explains every field.
{
  tiers(first: 10, orderBy: index) {
    name
    totalValueLockedETH
    utilisation
    seniorTranche { rate apr7d }
    juniorTranche { rate apr7d }
  }
}
`;

interface Page {
  readonly plain: Uint8Array<ArrayBuffer>;
  readonly packed: Uint8Array<ArrayBuffer>;
  readonly tag: string;
}

let made: Page | undefined;

/** The page. It is some megabytes, so it is made and packed once, and a browser keeps it. */
export function graphiqlPage(request: Request): Response {
  if (made === undefined) {
    const tabs = [WELCOME, ...questions().map(({ query }) => query)].map((query) => ({ query }));
    const html = renderGraphiQL({
      title: "Bulkhead",
      defaultQuery: WELCOME,
      defaultTabs: tabs,
      schemaDescription: true,
      subscriptionsProtocol: "SSE",
    });
    const plain = new TextEncoder().encode(html);
    const hash = createHash("sha256").update(plain).digest("hex");
    made = { plain, packed: new Uint8Array(gzipSync(plain)), tag: `"${hash.slice(0, 16)}"` };
  }
  const headers: Record<string, string> = {
    "content-type": "text/html; charset=utf-8",
    "cache-control": "no-cache",
    etag: made.tag,
    vary: "accept, accept-encoding",
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
  };
  if (request.headers.get("if-none-match") === made.tag) return new Response(null, { status: 304, headers });
  if (request.headers.get("accept-encoding")?.includes("gzip"))
    return new Response(made.packed, { headers: { ...headers, "content-encoding": "gzip" } });
  return new Response(made.plain, { headers });
}
