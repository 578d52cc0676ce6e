/** Limits of documents that need no subgraph to be shown: what an operation may cost, and how much introspection is answered. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setImmediate } from "node:timers/promises";
import { buildSchema, getIntrospectionQuery, parse } from "graphql";
import { createSchema, createYoga } from "graphql-yoga";
import { DEFAULT_LIMITS } from "../../gateway/config.ts";
import { costOf } from "../../gateway/edge/cost.ts";
import { documentLimits } from "../../gateway/edge/documents.ts";
import { timeout } from "../../gateway/edge/timeout.ts";

const schema = buildSchema(`
  type Query { tiers(first: Int = 100, skip: Int = 0, where: Tier_filter): [Tier!]! accounts(first: Int = 100): [Account!]! }
  input Tier_filter { id: ID agent_: Agent_filter and: [Tier_filter] }
  input Agent_filter { id: ID tier_: Tier_filter }
  type Tier { id: ID! agents(first: Int = 100): [Agent!]! }
  type Agent { id: ID! tier: Tier! }
  type Account { id: ID! now: Now! }
  type Now { value: String! }
`);

const cost = (text: string): number => {
  const document = parse(text);
  const [operation] = document.definitions;
  assert.ok(operation?.kind === "OperationDefinition");
  return costOf(schema, document, operation, {}).fields;
};

describe("cost of an operation", () => {
  it("__typename counts like any field: under names of its own it fills an answer as well", () => {
    // 1,000 rows of the row itself and three names
    assert.equal(cost("{ tiers(first: 1000) { a: __typename b: __typename c: __typename } }"), 4_000);
  });

  it("a row that is skipped is read all the same", () => {
    assert.equal(cost("{ tiers(first: 10, skip: 90000) { id } }"), 90_020);
  });

  it("an account's state of now weighs a question to graph-node and to the chain", () => {
    // 10 rows of 1, and 100 and 1 below each
    assert.equal(cost("{ accounts(first: 10) { now { value } } }"), 1_020);
  });
});

type Yoga = Pick<ReturnType<typeof createYoga>, "fetch">;

async function ask(yoga: Yoga, query: string, client = "192.0.2.1"): Promise<{ status: number; code: unknown }> {
  const response = await yoga.fetch("http://localhost/graphql", {
    method: "POST",
    headers: { "content-type": "application/json", "x-real-ip": client },
    body: JSON.stringify({ query }),
  });
  const { errors } = (await response.json()) as { errors?: { extensions?: { code?: unknown } }[] };
  return { status: response.status, code: errors?.[0]?.extensions?.code };
}

describe("what is answered at the same time", () => {
  /** Answers wait until they are let go; each costs all that one operation may. */
  const slow = (timeoutMs?: number) => {
    let letGo: () => void = () => {};
    const gone = new Promise<[]>((done) => {
      letGo = () => done([]);
    });
    const yoga = createYoga({
      schema: createSchema({ typeDefs: "type Query { wait: [Int!]! }", resolvers: { Query: { wait: () => gone } } }),
      logging: false,
      plugins: [
        ...documentLimits({ ...DEFAULT_LIMITS, cost: 1 }, "x-real-ip"),
        ...(timeoutMs === undefined ? [] : [timeout(timeoutMs)]),
      ],
    });
    return { yoga, letGo };
  };

  it("five of the largest operations of one client and no more; others are answered, and he is again afterwards", async () => {
    const { yoga, letGo } = slow();
    const first = Array.from({ length: 5 }, () => ask(yoga, "{ wait }"));
    await setImmediate();
    assert.deepEqual(await ask(yoga, "{ wait }"), { status: 429, code: "BUSY" });
    const other = ask(yoga, "{ wait }", "192.0.2.2");
    letGo();
    for (const { status } of await Promise.all([...first, other])) assert.equal(status, 200);
    assert.equal((await ask(yoga, "{ wait }")).status, 200);
  });

  it("twenty of all clients; who comes then is told to come back", async () => {
    const { yoga, letGo } = slow();
    const first = Array.from({ length: 20 }, (_, i) => ask(yoga, "{ wait }", `192.0.2.${i}`));
    await setImmediate();
    assert.deepEqual(await ask(yoga, "{ wait }", "192.0.2.99"), { status: 503, code: "BUSY" });
    letGo();
    await Promise.all(first);
  });

  it("an operation that was given up makes room", async () => {
    const { yoga } = slow(20);
    for (let i = 0; i < 6; i++) assert.equal((await ask(yoga, "{ wait }")).code, "TIMEOUT");
  });
});

describe("introspection", () => {
  const yoga = createYoga({ schema, logging: false, plugins: documentLimits(DEFAULT_LIMITS) });
  const codeOf = async (query: string): Promise<unknown> => (await ask(yoga, query)).code;

  it("as tools send it is answered, whatever they ask for", async () => {
    for (const query of [
      getIntrospectionQuery(),
      getIntrospectionQuery({
        descriptions: true,
        inputValueDeprecation: true,
        oneOf: true,
        schemaDescription: true,
        specifiedByUrl: true,
        directiveIsRepeatable: true,
      }),
      '{ a: __type(name: "Tier") { fields { name type { name } } } b: __type(name: "Agent") { fields { name } } }',
    ])
      assert.equal(await codeOf(query), undefined, query);
  });

  it("from the fields of a type to those of their types is refused, in fragments too", async () => {
    for (const query of [
      "{ __schema { types { inputFields { type { inputFields { name } } } } } }",
      "{ __schema { types { fields { args { type { inputFields { name } } } } } } }",
      '{ __type(name: "Query") { fields { args { type { inputFields { name } } } } } }',
      "{ __schema { types { ...T } } } fragment T on __Type { inputFields { type { ...U } } } fragment U on __Type { ...V } fragment V on __Type { inputFields { name } }",
    ])
      assert.equal(await codeOf(query), "DEPTH_LIMIT", query);
  });

  it("the schema several times over is refused", async () => {
    assert.equal(await codeOf("{ __schema { a: types { name } b: types { name } } }"), "DEPTH_LIMIT");
    assert.equal(await codeOf("{ a: __schema { types { name } } }"), "DEPTH_LIMIT");
  });
});
