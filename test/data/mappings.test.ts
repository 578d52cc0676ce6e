import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { before, describe, it } from "node:test";
import { Interface } from "ethers";
import { type DefinitionNode, Kind, parse as parseGraphQL } from "graphql";
import { parse as parseYaml } from "yaml";
import * as z from "zod";
import { missingGraphNode } from "../../stack/graph-node.ts";
import { type MappingTests, runMappingTests } from "../../stack/mappings.ts";
import { abiOf, SUBGRAPH } from "../../stack/render.ts";

const sourceSchema = z.object({
  name: z.string(),
  source: z.object({ abi: z.string() }),
  mapping: z.object({
    abis: z.array(z.object({ name: z.string(), file: z.string() })),
    file: z.string(),
    eventHandlers: z.array(z.object({ event: z.string(), handler: z.string() })),
  }),
});
const manifest = z
  .object({ dataSources: z.array(sourceSchema), templates: z.array(sourceSchema) })
  .parse(parseYaml(readFileSync(join(SUBGRAPH, "subgraph.yaml"), "utf8")));
const sources = [...manifest.dataSources, ...manifest.templates];

/** Events that no handler takes, and why. */
const LEFT_OUT: Readonly<Record<string, string>> = {
  Approval: "moves no money and gives no share to anybody; the transfer that uses it is indexed",
  Initialized: "a proxy's first call or an upgrade's, which the beacons' Upgraded tells of",
  EIP712DomainChanged: "never emitted after creation",
};
/** Of EigenLayer's contracts only what concerns our agents and sets is taken: the handlers' list says which. */
const EIGENLAYER = new Set(["AllocationManager", "DelegationManager", "StrategyManager"]);

/** `Transfer(address,address,uint256)` of a handler's `Transfer(indexed address,indexed address,uint256)`. */
const bare = (event: string) => event.replaceAll("indexed ", "");

describe("the schema", () => {
  const document = parseGraphQL(readFileSync(join(SUBGRAPH, "schema.graphql"), "utf8"));
  const named = (node: DefinitionNode): string => ("name" in node ? (node.name?.value ?? "") : "");

  it("says what every type, field, enum and value of it means", () => {
    const silent: string[] = [];
    for (const node of document.definitions) {
      if (node.kind !== Kind.OBJECT_TYPE_DEFINITION && node.kind !== Kind.ENUM_TYPE_DEFINITION) continue;
      const parts = node.kind === Kind.OBJECT_TYPE_DEFINITION ? node.fields : node.values;
      if (!node.description?.value.trim()) silent.push(named(node));
      for (const part of parts ?? [])
        if (!part.description?.value.trim()) silent.push(`${named(node)}.${part.name.value}`);
    }
    assert.deepEqual(silent, []);
    assert.ok(document.definitions.length > 50, "the schema was read");
  });

  it("counts in integers: a decimal stands only for ratios, yearly rates and hours", () => {
    const decimals = document.definitions.flatMap((node) =>
      node.kind !== Kind.OBJECT_TYPE_DEFINITION
        ? []
        : (node.fields ?? [])
            .filter(({ type }) => (type.kind === Kind.NON_NULL_TYPE ? type.type : type).kind === Kind.NAMED_TYPE)
            .filter(({ type }) => JSON.stringify(type).includes('"BigDecimal"'))
            .map(({ name }) => name.value),
    );
    assert.deepEqual([...new Set(decimals)].sort(), ["apr30d", "apr7d", "coverRatio", "ethHours"]);
  });
});

describe("the manifest", () => {
  for (const { name, source, mapping } of sources) {
    const file = mapping.abis.find((abi) => abi.name === source.abi)?.file ?? "";
    const abi = new Interface(abiOf(basename(file, ".json")));
    const events = abi.fragments
      .filter((fragment) => fragment.type === "event")
      .map((event) => event.format("sighash"));
    const handled = mapping.eventHandlers.map(({ event }) => bare(event));

    it(`has a handler for every event of ${name}, or a reason not to`, () => {
      const missing = events.filter((event) => !handled.includes(event) && !((event.split("(")[0] ?? "") in LEFT_OUT));
      assert.deepEqual(EIGENLAYER.has(name) ? [] : missing, []);
      assert.deepEqual(
        handled.filter((event) => !events.includes(event)),
        [],
        "a handler's event must be one of the ABI",
      );
      assert.equal(new Set(handled).size, handled.length, "an event is handled once");
    });
  }
});

describe("the mappings", { skip: missingGraphNode() ?? false }, () => {
  let run: MappingTests;
  before(async () => {
    run = await runMappingTests();
  });

  it("keep every promise of subgraph/tests, in graph-node itself", () => {
    assert.ok(run.passed, run.output);
  });
});
