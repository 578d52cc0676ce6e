/**
 * Tables as CSV (RFC 4180): a time series or a list of one tier, whole, of one block.
 *
 * A file is never cut short: whether it has more rows than allowed is asked before the first byte, and a failure after it
 * breaks the transfer off, which every client notices. Numbers are the subgraph's integers, in wei where they are money.
 */
import { readFileSync } from "node:fs";
import { stringify } from "csv-stringify/sync";
import { Kind, parse, type TypeNode } from "graphql";
import * as z from "zod";
import type { Metrics } from "./metrics.ts";
import { type RefusalCode, refusalResponse } from "./refusal.ts";

/** graph-node's largest page. */
const PAGE = 1_000;

interface Table {
  /** Root field of one entity and of many, and the entity's type. */
  readonly entity: string;
  readonly many: string;
  /** What the file is of, if the path names one. */
  readonly of?: { readonly kind: string; readonly one: string; readonly bytes: number; readonly filter: string };
  /** Rows by their time? Then from and to apply. */
  readonly timed: boolean;
  /** What rows are ordered by: an id that grows with time, or the time with the id. */
  readonly order: "id" | "timestamp";
}

const OF = {
  tiers: { entity: "TierSnapshot", many: "tierSnapshots", kind: "tier", one: "tier", bytes: 20, filter: "tier" },
  tranches: {
    entity: "TrancheSnapshot",
    many: "trancheSnapshots",
    kind: "tranche",
    one: "tranche",
    bytes: 21,
    filter: "tranche",
  },
  agents: { entity: "AgentSnapshot", many: "agentSnapshots", kind: "agent", one: "agent", bytes: 20, filter: "agent" },
  groups: {
    entity: "GroupSnapshot",
    many: "groupSnapshots",
    kind: "group",
    one: "slasherGroup",
    bytes: 21,
    filter: "group",
  },
} as const;

const LISTS = {
  positions: { entity: "Position", many: "positions", timed: false, order: "id" },
  losses: { entity: "Loss", many: "losses", timed: true, order: "id" },
  syncs: { entity: "Sync", many: "syncs", timed: true, order: "timestamp" },
} as const satisfies Record<string, Table>;

const HOW =
  "/csv/tiers/TIER/days, /csv/tranches/TRANCHE/hours, /csv/agents/AGENT/days, /csv/groups/GROUP/days, " +
  "/csv/positions?tier=TIER, /csv/losses?tier=TIER, /csv/syncs?tier=TIER; from, to, fields, block";

export interface CsvOptions {
  readonly subgraphUrl: string;
  /** Rows of one file. */
  readonly rows: number;
  /** For each page. */
  readonly timeoutMs: number;
  /** The chain's hash of a block's number, for the header. */
  readonly blockHash?: (number: number) => Promise<string | undefined>;
  /** Rows of a page; graph-node's largest by default. */
  readonly page?: number;
}

/** What an address under /csv asks for. */
export interface CsvRequest {
  readonly table: Table;
  readonly columns: readonly Column[];
  /** The id of the tier, tranche, agent or group that all rows are of. */
  readonly id: string;
  readonly where: Readonly<Record<string, string>>;
  readonly block: { readonly hash: string } | { readonly number: number } | undefined;
  readonly name: string;
}

export interface Column {
  readonly name: string;
  /** As it stands in a query. */
  readonly selection: string;
}

class CsvError extends Error {
  readonly code: RefusalCode;
  readonly status: number;
  constructor(code: RefusalCode, status: number, message: string) {
    super(message);
    this.code = code;
    this.status = status;
  }
}

const bad = (message: string) => new CsvError("BAD_REQUEST", 400, message);

// ---------------------------------------------------------------------------------------------------------- columns

let schema: ReadonlyMap<string, readonly Column[]> | undefined;

/** Columns of an entity: its numbers, flags and words, and the ids of what it points at; no lists. */
export function columnsOf(entity: string): readonly Column[] {
  schema ??= readColumns();
  const columns = schema.get(entity);
  if (columns === undefined) throw new Error(`The schema has no entity ${entity}.`);
  return columns;
}

function readColumns(): ReadonlyMap<string, readonly Column[]> {
  const document = parse(readFileSync(new URL("../../subgraph/schema.graphql", import.meta.url), "utf8"));
  const entities = document.definitions.filter((one) => one.kind === Kind.OBJECT_TYPE_DEFINITION);
  const names = new Set(entities.map((one) => one.name.value));
  return new Map(
    entities.map((entity) => [
      entity.name.value,
      (entity.fields ?? []).flatMap(({ name, type }): Column[] => {
        const inner = typeOf(type);
        if (inner === undefined) return [];
        return [{ name: name.value, selection: names.has(inner) ? `${name.value} { id }` : name.value }];
      }),
    ]),
  );
}

/** A type's name; none for lists. */
function typeOf(type: TypeNode): string | undefined {
  if (type.kind === Kind.NON_NULL_TYPE) return typeOf(type.type);
  return type.kind === Kind.NAMED_TYPE ? type.name.value : undefined;
}

// ---------------------------------------------------------------------------------------------------------- requests

/** Reads an address below /csv; throws an error that says what is wrong with it. */
export function readCsvRequest(url: URL): CsvRequest {
  const [, , first = "", id, period, ...more] = url.pathname.split("/");
  const allowed = new Set(["fields", "block"]);
  let table: Table;
  let owner: string;
  const where: Record<string, string> = {};
  let name: string;
  if (Object.hasOwn(OF, first)) {
    const { entity, many, ...of } = OF[first as keyof typeof OF];
    if (id === undefined || (period !== "days" && period !== "hours") || more.length > 0)
      throw new CsvError("NOT_FOUND", 404, `After /csv/${first}/ come an id and days or hours: ${HOW}.`);
    table = { entity, many, of, timed: true, order: "id" };
    owner = idOf(id, of.bytes, of.kind);
    where[of.filter] = JSON.stringify(owner);
    where.interval = period === "days" ? "DAY" : "HOUR";
    name = `bulkhead-${of.kind}-${owner}-${period}`;
  } else if (Object.hasOwn(LISTS, first) && id === undefined) {
    table = LISTS[first as keyof typeof LISTS];
    allowed.add("tier");
    const tier = url.searchParams.get("tier");
    if (tier === null) throw bad(`Of which tier? /csv/${first}?tier=0x...`);
    owner = idOf(tier, 20, "tier");
    where.tier = JSON.stringify(owner);
    name = `bulkhead-${first}-${owner}`;
  } else throw new CsvError("NOT_FOUND", 404, `There is no such table. There are: ${HOW}.`);

  if (table.timed) for (const one of ["from", "to"]) allowed.add(one);
  for (const one of new Set(url.searchParams.keys())) {
    if (!allowed.has(one)) throw bad(`There is no parameter ${JSON.stringify(one)} here: ${[...allowed].join(", ")}.`);
    if (url.searchParams.getAll(one).length > 1) throw bad(`Say ${one} once only.`);
  }
  const from = timeOf(url.searchParams.get("from"), "from");
  const to = timeOf(url.searchParams.get("to"), "to");
  if (from !== undefined && to !== undefined && from >= to)
    throw bad("from must be before to: rows are those with from ≤ timestamp < to.");
  if (from !== undefined) where.timestamp_gte = JSON.stringify(String(from));
  if (to !== undefined) where.timestamp_lt = JSON.stringify(String(to));
  return {
    table,
    columns: chosen(table.entity, url.searchParams.get("fields")),
    id: owner,
    where,
    block: blockOf(url.searchParams.get("block")),
    name,
  };
}

function idOf(text: string, bytes: number, kind: string): string {
  if (!new RegExp(`^0x[0-9a-fA-F]{${2 * bytes}}$`).test(text)) {
    const what = bytes === 20 ? "an address" : "the tier's address and a byte more, as the field id says";
    throw bad(`${JSON.stringify(text.slice(0, 80))} is no id of a ${kind}: 0x and ${2 * bytes} digits, ${what}.`);
  }
  return text.toLowerCase();
}

/** Unix seconds, or ISO 8601: a day (UTC) or a time with its zone. */
function timeOf(text: string | null, name: string): number | undefined {
  if (text === null) return undefined;
  if (/^\d{1,12}$/.test(text)) return Number(text);
  const iso = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d))?$/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(iso))
    throw bad(`${name} is Unix seconds, a day (2026-01-31, UTC) or a time with its zone (2026-01-31T12:00:00Z).`);
  return iso / 1000;
}

function blockOf(text: string | null): CsvRequest["block"] {
  if (text === null) return undefined;
  if (/^\d{1,12}$/.test(text)) return { number: Number(text) };
  if (/^0x[0-9a-fA-F]{64}$/.test(text)) return { hash: text.toLowerCase() };
  throw bad("block is a number, or a hash of 0x and 64 digits.");
}

function chosen(entity: string, fields: string | null): readonly Column[] {
  const all = columnsOf(entity);
  if (fields === null) return all;
  const names = fields.split(",").map((one) => one.trim());
  if (new Set(names).size !== names.length) throw bad("A field is named twice in fields.");
  return names.map((name) => {
    const column = all.find((one) => one.name === name);
    if (column === undefined)
      throw bad(`There is no field ${JSON.stringify(name.slice(0, 80))}: ${all.map((one) => one.name).join(", ")}.`);
    return column;
  });
}

// ----------------------------------------------------------------------------------------------------------- answers

const metaSchema = z.object({
  hasIndexingErrors: z.boolean(),
  block: z.object({ number: z.int(), hash: z.string().nullable() }),
});
const rowSchema = z.record(z.string(), z.unknown());

export interface CsvServices {
  readonly metrics: Metrics;
  /** Told of every page after the first, so that a long file counts as the requests that it is. */
  readonly onPage: () => void;
  readonly onFailure: (error: unknown) => void;
  /** The client's; reading ends with it. */
  readonly signal?: AbortSignal | undefined;
}

export async function csvResponse(url: URL, options: CsvOptions, services: CsvServices): Promise<Response> {
  try {
    const request = readCsvRequest(url);
    return await answer(request, options, services);
  } catch (error) {
    if (error instanceof CsvError) return refusalResponse(error.code, error.status, error.message);
    services.onFailure(error);
    return refusalResponse("UPSTREAM_FAILED", 502, "The subgraph gives no data now: /ready says why. Try again later.");
  }
}

async function answer(request: CsvRequest, options: CsvOptions, services: CsvServices): Promise<Response> {
  const inner = services.metrics.measured("subgraph");
  const ask = async (query: string): Promise<Record<string, unknown>> => {
    const timer = AbortSignal.timeout(options.timeoutMs);
    const response = await inner(options.subgraphUrl, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ query }),
      signal: services.signal === undefined ? timer : AbortSignal.any([timer, services.signal]),
    });
    const { data, errors } = z
      .object({ data: rowSchema.nullish(), errors: z.array(z.object({ message: z.string() })).optional() })
      .parse(await response.json());
    if (errors !== undefined || !data) throw new Error(errors?.[0]?.message ?? "The subgraph answered nothing.");
    return data;
  };

  const { table, columns, where } = request;
  const page = options.page ?? PAGE;
  const at = await pin(request, ask, options);
  const block = `block: ${at.argument}`;
  const order = `orderBy: ${table.order}, orderDirection: asc`;

  // is there what was asked for, and not too much of it?
  const one = table.of?.one ?? "tier";
  const probe = await ask(
    `{ it: ${one}(id: "${request.id}", ${block}) { id } ` +
      `more: ${table.many}(first: 1, skip: ${options.rows}, where: ${object(where)}, ${order}, ${block}) { id } }`,
  );
  if (probe.it === null) {
    const kind = table.of?.kind ?? "tier";
    throw new CsvError("NOT_FOUND", 404, `There is no ${kind} ${request.id} at block ${at.number}.`);
  }
  if (Array.isArray(probe.more) && probe.more.length > 0) {
    const how = table.timed ? "narrow it with from and to" : "ask for it in pages by GraphQL (where: {id_gt: LAST_ID})";
    throw new CsvError("CSV_LIMIT", 413, `There are more than ${options.rows} rows: ${how}.`);
  }

  const selections = [
    ...new Set(["id", ...(table.order === "id" ? [] : [table.order]), ...columns.map((c) => c.selection)]),
  ];
  let last: Record<string, unknown> | undefined;
  let pages = 0;
  let done = false;
  const next = async (): Promise<readonly Record<string, unknown>[]> => {
    const data = await ask(
      `{ rows: ${table.many}(first: ${page}, where: ${after(table, where, last)}, ${order}, ${block}) { ${selections.join(" ")} } }`,
    );
    const rows = z.array(rowSchema).parse(data.rows);
    done = rows.length < page;
    last = rows.at(-1);
    if (pages++ > 0) services.onPage();
    services.metrics.csvRows(rows.length);
    return rows;
  };
  const text = (rows: readonly Record<string, unknown>[], header: boolean): Uint8Array =>
    Buffer.from(
      stringify(
        rows.map((row) => columns.map(({ name }) => cell(row[name]))),
        { header, columns: columns.map(({ name }) => name), record_delimiter: "windows" },
      ),
    );
  // the first page before the answer begins: what fails at once has a status of its own
  let ready: Uint8Array | undefined = text(await next(), true);
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        if (ready === undefined && !done) ready = text(await next(), false);
        if (ready !== undefined && ready.byteLength > 0) controller.enqueue(ready);
        ready = undefined;
        if (done) controller.close();
      } catch (error) {
        services.onFailure(error);
        controller.error(error);
      }
    },
  });
  return new Response(body, {
    headers: {
      "content-type": "text/csv; charset=utf-8; header=present",
      "content-disposition": `attachment; filename="${request.name}-block${at.number}.csv"`,
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
      "x-bulkhead-block": String(at.number),
      ...(at.hash === undefined ? {} : { "x-bulkhead-block-hash": at.hash }),
      "x-bulkhead-indexing-errors": String(at.hasIndexingErrors),
    },
  });
}

interface Pin {
  readonly number: number;
  readonly hash: string | undefined;
  readonly hasIndexingErrors: boolean;
  /** As it stands in a query. */
  readonly argument: string;
}

/**
 * The block that all of a file is of: by its hash, so that a reorganisation in the middle is an error and not a mixture;
 * by its number where that was asked for, because graph-node forgets the hashes of old blocks.
 */
async function pin(
  { block }: CsvRequest,
  ask: (query: string) => Promise<Record<string, unknown>>,
  options: CsvOptions,
): Promise<Pin> {
  const meta = async (at: string) => {
    const { _meta } = await ask(
      `{ _meta${at === "" ? "" : `(block: ${at})`} { hasIndexingErrors block { number hash } } }`,
    );
    return metaSchema.parse(_meta);
  };
  const newest = await meta("");
  const { number } = newest.block;
  if (block === undefined) {
    const hash = z.string().parse(newest.block.hash);
    return { number, hash, hasIndexingErrors: newest.hasIndexingErrors, argument: `{ hash: "${hash}" }` };
  }
  const argument = "hash" in block ? `{ hash: "${block.hash}" }` : `{ number: ${block.number} }`;
  try {
    const found = await meta(argument);
    const hash = found.block.hash ?? (await options.blockHash?.(found.block.number).catch(() => undefined));
    return { number: found.block.number, hash, hasIndexingErrors: found.hasIndexingErrors, argument };
  } catch {
    const how = "hash" in block ? "ask for it by its number" : "or it has pruned it";
    throw new CsvError("NOT_FOUND", 404, `The subgraph does not know that block: it is at ${number}; ${how}.`);
  }
}

const object = (fields: Readonly<Record<string, string>>): string =>
  `{ ${Object.entries(fields)
    .map(([name, value]) => `${name}: ${value}`)
    .join(", ")} }`;

/** The filter for the rows after one: ids grow; rows of the same time are told apart by their id. */
function after(
  table: Table,
  where: Readonly<Record<string, string>>,
  last: Readonly<Record<string, unknown>> | undefined,
): string {
  if (last === undefined) return object(where);
  const id = JSON.stringify(last.id);
  if (table.order === "id") return object({ ...where, id_gt: id });
  const time = JSON.stringify(last.timestamp);
  const later = `{ or: [${object({ timestamp_gt: time })}, ${object({ timestamp: time, id_gt: id })}] }`;
  return `{ and: [${object(where)}, ${later}] }`;
}

function cell(value: unknown): string {
  if (value === null || value === undefined) return "";
  if (typeof value === "object" && "id" in value) return String(value.id);
  return String(value);
}
