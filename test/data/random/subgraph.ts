/** Everything that a subgraph says at one block: all entities of all types, with all their stored fields. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type FieldDefinitionNode, Kind, type ObjectTypeDefinitionNode, parse, type TypeNode } from "graphql";
import * as z from "zod";
import { ROOT } from "../../../scripts/lib/tools.ts";

/** A field's value: numbers as text, references as ids. */
export type Value = string | number | boolean | null | readonly string[];
export type Entity = Readonly<Record<string, Value>>;
/** Type → id → entity. */
export type Entities = ReadonlyMap<string, ReadonlyMap<string, Entity>>;

interface Field {
  readonly name: string;
  readonly reference: boolean;
}

const PAGE = 1_000;

const namedType = (node: TypeNode): string => (node.kind === Kind.NAMED_TYPE ? node.name.value : namedType(node.type));

/** Entity types of the schema with the fields that are stored (derived ones are the other side of a reference). */
export function storedFields(): ReadonlyMap<string, readonly Field[]> {
  const document = parse(readFileSync(join(ROOT, "subgraph", "schema.graphql"), "utf8"));
  const types = document.definitions.filter(
    (node): node is ObjectTypeDefinitionNode => node.kind === Kind.OBJECT_TYPE_DEFINITION,
  );
  const entities = new Set(types.map(({ name }) => name.value));
  const derived = ({ directives }: FieldDefinitionNode) => directives?.some(({ name }) => name.value === "derivedFrom");
  return new Map(
    types.map(({ name, fields = [] }) => [
      name.value,
      fields
        .filter((field) => !derived(field))
        .map((field) => ({ name: field.name.value, reference: entities.has(namedType(field.type)) })),
    ]),
  );
}

const answerSchema = z.object({
  data: z.record(z.string(), z.unknown()).nullish(),
  errors: z.array(z.object({ message: z.string() })).optional(),
});

export async function ask(url: string, query: string): Promise<Record<string, unknown>> {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ query }),
  });
  const { data, errors } = answerSchema.parse(await response.json());
  if (errors || !data)
    throw new Error(`The subgraph: ${errors?.map(({ message }) => message).join("; ") ?? "no data"}`);
  return data;
}

const listsSchema = z.object({
  __schema: z.object({
    queryType: z.object({
      fields: z.array(z.object({ name: z.string(), type: z.custom<Wrapped>() })),
    }),
  }),
});
interface Wrapped {
  readonly kind: string;
  readonly name: string | null;
  readonly ofType: Wrapped | null;
}

/** Name of the root field that lists a type. */
async function lists(url: string): Promise<ReadonlyMap<string, string>> {
  const wrapped = "kind name ofType { kind name ofType { kind name ofType { kind name } } }";
  const data = await ask(url, `{ __schema { queryType { fields { name type { ${wrapped} } } } } }`);
  const found = new Map<string, string>();
  for (const { name, type } of listsSchema.parse(data).__schema.queryType.fields) {
    let isList = false;
    let inner: Wrapped | null = type;
    while (inner?.ofType) {
      isList ||= inner.kind === "LIST";
      inner = inner.ofType;
    }
    if (isList && inner?.name && !found.has(inner.name)) found.set(inner.name, name);
  }
  return found;
}

const valueSchema = z.union([z.string(), z.number(), z.boolean(), z.null()]);
const reference = z.object({ id: z.string() });

function plain(raw: unknown): Value {
  if (Array.isArray(raw)) return raw.map((one) => String(plain(one)));
  const object = reference.safeParse(raw);
  return object.success ? object.data.id : valueSchema.parse(raw);
}

/** All entities at a block, by its hash. */
export async function readAll(url: string, blockHash: string): Promise<Entities> {
  const roots = await lists(url);
  const result = new Map<string, Map<string, Entity>>();
  const read = async (type: string, fields: readonly Field[]) => {
    const root = roots.get(type);
    if (!root) throw new Error(`The subgraph has no list of ${type}.`);
    const wanted = fields.map(({ name, reference: refers }) => (refers ? `${name} { id }` : name)).join(" ");
    const entities = new Map<string, Entity>();
    for (let last = ""; ; ) {
      const where = last === "" ? "" : `, where: { id_gt: ${JSON.stringify(last)} }`;
      const data = await ask(
        url,
        `{ list: ${root}(first: ${PAGE}, orderBy: id${where}, block: { hash: "${blockHash}" }) { ${wanted} } }`,
      );
      const rows = z.array(z.record(z.string(), z.unknown())).parse(data.list);
      for (const row of rows) {
        const entity = Object.fromEntries(Object.entries(row).map(([name, raw]) => [name, plain(raw)]));
        entities.set(String(entity.id), entity);
        last = String(entity.id);
      }
      if (rows.length < PAGE) break;
    }
    result.set(type, entities);
  };
  const types = [...storedFields()];
  while (types.length > 0) await Promise.all(types.splice(0, 6).map(([type, fields]) => read(type, fields)));
  return result;
}
