/**
 * Pinning documents to a block. Delegated requests are asked for at the operation's block by its hash; an operation that
 * wants nothing but the subgraph's fields goes to graph-node whole, with a question for the head in it, because graph-node
 * answers one request from one block.
 */
import {
  type DefinitionNode,
  type DocumentNode,
  type FieldNode,
  type GraphQLSchema,
  getNamedType,
  getOperationAST,
  isIntrospectionType,
  Kind,
  type OperationDefinitionNode,
  parse,
  print,
  type SelectionSetNode,
  separateOperations,
  TypeInfo,
  valueFromASTUntyped,
  visit,
  visitWithTypeInfo,
} from "graphql";
import { type BlockConstraint, blockArgument, fragmentsOf, rootFields } from "../operation.ts";
import { META } from "../subgraph.ts";

const VARIABLE = "bulkheadPin";
/** Response key of the head that goes along. */
export const HEAD_KEY = "_bulkheadHead";

/** Root fields that take a block. */
export function blockFields(schema: GraphQLSchema): ReadonlySet<string> {
  const fields = Object.values(schema.getQueryType()?.getFields() ?? {});
  return new Set(fields.filter(({ args }) => args.some(({ name }) => name === "block")).map(({ name }) => name));
}

/** The document with every root field of it at a block, but those that name one themselves. */
export function pinned(
  document: DocumentNode,
  variables: Readonly<Record<string, unknown>> | undefined,
  hash: string,
  takesBlock: ReadonlySet<string>,
): { readonly document: DocumentNode; readonly variables: Record<string, unknown> } {
  return { document: pinnedDocument(document, takesBlock), variables: { ...variables, [VARIABLE]: hash } };
}

const pinnedDocuments = new WeakMap<DocumentNode, DocumentNode>();

function pinnedDocument(document: DocumentNode, takesBlock: ReadonlySet<string>): DocumentNode {
  const known = pinnedDocuments.get(document);
  if (known !== undefined) return known;
  const roots = rootFragments(document);
  const pin = (set: SelectionSetNode): SelectionSetNode => ({
    ...set,
    selections: set.selections.map((selection) => {
      if (selection.kind === Kind.INLINE_FRAGMENT) return { ...selection, selectionSet: pin(selection.selectionSet) };
      if (selection.kind !== Kind.FIELD) return selection;
      if (!takesBlock.has(selection.name.value) || blockArgument(selection) !== undefined) return selection;
      return { ...selection, arguments: [...(selection.arguments ?? []), AT_PIN] };
    }),
  });
  const definitions: DefinitionNode[] = document.definitions.map((node) => {
    if (node.kind === Kind.OPERATION_DEFINITION)
      return {
        ...node,
        selectionSet: pin(node.selectionSet),
        variableDefinitions: [...(node.variableDefinitions ?? []), ...PIN_VARIABLE],
      };
    if (node.kind === Kind.FRAGMENT_DEFINITION && roots.has(node.name.value))
      return { ...node, selectionSet: pin(node.selectionSet) };
    return node;
  });
  const made: DocumentNode = { ...document, definitions };
  pinnedDocuments.set(document, made);
  return made;
}

const template = parse(`query ($${VARIABLE}: Bytes!) { x(block: { hash: $${VARIABLE} }) }`)
  .definitions[0] as OperationDefinitionNode;
const PIN_VARIABLE = template.variableDefinitions ?? [];
const AT_PIN = (template.selectionSet.selections[0] as FieldNode).arguments?.[0] ?? fail();

function fail(): never {
  throw new Error("The template has no argument.");
}

/** Names of fragments that are spread at the root. */
function rootFragments(document: DocumentNode): ReadonlySet<string> {
  const found = new Set<string>();
  const fragments = fragmentsOf(document);
  const walk = ({ selections }: SelectionSetNode): void => {
    for (const selection of selections) {
      if (selection.kind === Kind.INLINE_FRAGMENT) walk(selection.selectionSet);
      if (selection.kind !== Kind.FRAGMENT_SPREAD || found.has(selection.name.value)) continue;
      found.add(selection.name.value);
      const fragment = fragments[selection.name.value];
      if (fragment) walk(fragment.selectionSet);
    }
  };
  for (const node of document.definitions) if (node.kind === Kind.OPERATION_DEFINITION) walk(node.selectionSet);
  return found;
}

const HEAD = (parse(`{ ${HEAD_KEY}: _meta { ${META} } }`).definitions[0] as OperationDefinitionNode).selectionSet
  .selections[0] as FieldNode;

/** An operation that goes to graph-node whole. */
export interface WholeOperation {
  readonly document: DocumentNode;
  readonly variables: readonly string[];
  /** The blocks that its root fields name, as far as they do. */
  blocks(variables: Readonly<Record<string, unknown>>): readonly (BlockConstraint | undefined)[];
}

interface Analysed {
  readonly schema: GraphQLSchema;
  readonly byName: Map<string, WholeOperation | undefined>;
}
const analysed = new WeakMap<DocumentNode, Analysed>();

/** The operation for graph-node, if nothing in it is the gateway's own; remembered by document. */
export function wholeOperation(
  document: DocumentNode,
  operationName: string | null | undefined,
  gatewaySchema: GraphQLSchema,
  subgraphSchema: GraphQLSchema,
): WholeOperation | undefined {
  let entry = analysed.get(document);
  if (entry === undefined || entry.schema !== gatewaySchema) {
    entry = { schema: gatewaySchema, byName: new Map() };
    analysed.set(document, entry);
  }
  const key = operationName ?? "";
  if (!entry.byName.has(key)) entry.byName.set(key, analyse(document, key, gatewaySchema, subgraphSchema));
  return entry.byName.get(key);
}

function analyse(
  whole: DocumentNode,
  name: string,
  gatewaySchema: GraphQLSchema,
  subgraphSchema: GraphQLSchema,
): WholeOperation | undefined {
  const separated = separateOperations(whole);
  const document = separated[name] ?? (Object.keys(separated).length === 1 ? Object.values(separated)[0] : undefined);
  const operation = document?.definitions.find((node) => node.kind === Kind.OPERATION_DEFINITION);
  if (document === undefined || operation?.operation !== "query") return undefined;
  let own = false;
  const info = new TypeInfo(gatewaySchema);
  visit(
    document,
    visitWithTypeInfo(info, {
      Field(node) {
        const parent = info.getParentType();
        const type = info.getType();
        if (node.name.value === "__typename" || parent === undefined || parent === null) return;
        if (type && isIntrospectionType(getNamedType(type))) own = true;
        const known = subgraphSchema.getType(parent.name);
        if (!known || !("getFields" in known) || !(node.name.value in known.getFields())) own = true;
      },
      Directive(node) {
        if (node.name.value !== "include" && node.name.value !== "skip") own = true;
      },
    }),
  );
  if (own) return undefined;
  const roots = rootFields(operation, fragmentsOf(document));
  // what names no data has no block
  if (roots.every((field) => field.name.value === "__typename")) return undefined;
  const text = print({
    ...document,
    definitions: document.definitions.map((node) =>
      node === operation
        ? {
            ...operation,
            selectionSet: { ...operation.selectionSet, selections: [...operation.selectionSet.selections, HEAD] },
          }
        : node,
    ),
  });
  return {
    document: parse(text, { noLocation: true }),
    variables: (operation.variableDefinitions ?? []).map(({ variable }) => variable.name.value),
    blocks: (variables) => blocksOf(roots, variables),
  };
}

/** The blocks that root fields name, as far as they do. */
function blocksOf(
  roots: readonly FieldNode[],
  variables: Readonly<Record<string, unknown>>,
): readonly (BlockConstraint | undefined)[] {
  return roots
    .filter(({ name }) => name.value !== "__typename")
    .map((field) => {
      const argument = blockArgument(field);
      return argument && ((valueFromASTUntyped(argument.value, variables) ?? undefined) as BlockConstraint | undefined);
    });
}

/** The same of an operation that is delegated in parts; fields that take no block are left out. */
export function blocksOfOperation(
  document: DocumentNode,
  operationName: string | null | undefined,
  variables: Readonly<Record<string, unknown>>,
  subgraphSchema: GraphQLSchema,
): readonly (BlockConstraint | undefined)[] {
  const operation = getOperationAST(document, operationName);
  if (!operation) return [];
  const takesBlock = blockFields(subgraphSchema);
  const roots = rootFields(operation, fragmentsOf(document));
  return blocksOf(
    roots.filter(({ name }) => takesBlock.has(name.value)),
    variables,
  );
}
