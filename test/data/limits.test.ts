/** Limits of documents that need no subgraph to be shown: what an operation may cost, and how much introspection is answered. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { buildSchema, getIntrospectionQuery, parse } from "graphql";
import { createYoga } from "graphql-yoga";
import { DEFAULT_LIMITS } from "../../gateway/config.ts";
import { costOf } from "../../gateway/edge/cost.ts";
import { documentLimits } from "../../gateway/edge/documents.ts";

const schema = buildSchema(`
  type Query { tiers(first: Int = 100, where: Tier_filter): [Tier!]! accounts(first: Int = 100): [Account!]! }
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

  it("an account's state of now weighs a question to graph-node and to the chain", () => {
    // 10 rows of 1, and 100 and 1 below each
    assert.equal(cost("{ accounts(first: 10) { now { value } } }"), 1_020);
  });
});

describe("introspection", () => {
  const yoga = createYoga({ schema, logging: false, plugins: documentLimits(DEFAULT_LIMITS) });
  const codeOf = async (query: string): Promise<unknown> => {
    const response = await yoga.fetch("http://localhost/graphql", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ query }),
    });
    const { errors } = (await response.json()) as { errors?: { extensions?: { code?: unknown } }[] };
    return errors?.[0]?.extensions?.code;
  };

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
