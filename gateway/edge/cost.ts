/**
 * What an operation may cost at most, before anything is asked: each field counts one for every time that it can be in the
 * answer, so page sizes multiply, and each row that it skips. Pure.
 */
import {
  type ArgumentNode,
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  type GraphQLNamedType,
  type GraphQLSchema,
  getNamedType,
  getNullableType,
  isCompositeType,
  isInterfaceType,
  isListType,
  isObjectType,
  Kind,
  type OperationDefinitionNode,
  type SelectionSetNode,
} from "graphql";

/** A list without `first`: most of ours hold fewer (groups, agents, notes). */
const LIST = 10;

/** Fields that cost more than a row of a database: calls of the chain, and what they begin. By "Type.field". */
export const WEIGHTS: Readonly<Record<string, number>> = {
  "Tier.live": 100,
  "Tier.solvency": 200,
  "AVS.whatIf": 400,
  "OperatorSet.whatIf": 400,
  "RedeemRequest.forecast": 100,
  "Account.now": 100,
  "Position.now": 5,
  "Series.maxInstantRedeem": 50,
  "Link.atStake": 20,
  "Query.gatewayStatus": 20,
};

export interface Cost {
  /** Fields of the largest possible answer, weighted. Infinity is possible. */
  readonly fields: number;
  /** Pages that are asked for, with the field that asks. */
  readonly pages: readonly { readonly field: string; readonly size: number }[];
}

/**
 * The cost of an operation that is valid against the schema. Fragments count wherever they are spread, each looked at once
 * only, so that a document cannot make this function slow; a cycle (which validation refuses) ends.
 */
export function costOf(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
  variables: Readonly<Record<string, unknown>>,
  weights: Readonly<Record<string, number>> = WEIGHTS,
): Cost {
  const fragments = new Map<string, FragmentDefinitionNode>();
  for (const one of document.definitions) if (one.kind === Kind.FRAGMENT_DEFINITION) fragments.set(one.name.value, one);
  const known = new Map<string, number>();
  const pages: { field: string; size: number }[] = [];

  const ofSet = (set: SelectionSetNode | undefined, parent: GraphQLNamedType | undefined | null): number => {
    let sum = 0;
    for (const selection of set?.selections ?? []) {
      if (selection.kind === Kind.FIELD) sum += ofField(selection, parent);
      else if (selection.kind === Kind.INLINE_FRAGMENT) {
        const name = selection.typeCondition?.name.value;
        sum += ofSet(selection.selectionSet, name === undefined ? parent : schema.getType(name));
      } else sum += ofFragment(selection.name.value);
    }
    return sum;
  };

  const ofFragment = (name: string): number => {
    const before = known.get(name);
    if (before !== undefined) return before;
    known.set(name, 0);
    const fragment = fragments.get(name);
    const cost = fragment ? ofSet(fragment.selectionSet, schema.getType(fragment.typeCondition.name.value)) : 0;
    known.set(name, cost);
    return cost;
  };

  const ofField = (node: FieldNode, parent: GraphQLNamedType | undefined | null): number => {
    const name = node.name.value;
    if (name === "__typename") return 1;
    // introspection has rules of its own, and reads no data
    if (name.startsWith("__") || !(isObjectType(parent) || isInterfaceType(parent))) return 0;
    const field = parent.getFields()[name];
    if (field === undefined) return 0;
    const type = getNamedType(field.type);
    const many = isListType(getNullableType(field.type)) && isCompositeType(type);
    let size = 1;
    const first = field.args.find((arg) => arg.name === "first");
    if (first !== undefined) {
      size = numberOf(
        node.arguments?.find((arg) => arg.name.value === "first"),
        variables,
        operation,
      );
      if (Number.isNaN(size)) size = typeof first.defaultValue === "number" ? first.defaultValue : LIST;
      pages.push({ field: name, size });
    } else if (many) size = LIST;
    const own = weights[`${parent.name}.${name}`] ?? 1;
    return skipped(node) + Math.max(size, 1) * (own + ofSet(node.selectionSet, type));
  };

  /** Rows that are skipped are read all the same. */
  const skipped = (node: FieldNode): number => {
    const argument = node.arguments?.find((arg) => arg.name.value === "skip");
    const rows = numberOf(argument, variables, operation);
    return Number.isNaN(rows) ? 0 : Math.max(rows, 0);
  };

  const root = schema.getRootType(operation.operation);
  return { fields: ofSet(operation.selectionSet, root), pages };
}

/** An integer argument, literal or variable; NaN where there is none. */
function numberOf(
  argument: ArgumentNode | undefined,
  variables: Readonly<Record<string, unknown>>,
  operation: OperationDefinitionNode,
): number {
  const value = argument?.value;
  if (value === undefined) return Number.NaN;
  if (value.kind === Kind.INT) return Number(value.value);
  if (value.kind !== Kind.VARIABLE) return Number.NaN;
  const name = value.name.value;
  const given = Object.hasOwn(variables, name) ? variables[name] : undefined;
  if (given !== undefined) return typeof given === "number" ? given : Number.NaN;
  const preset = operation.variableDefinitions?.find((one) => one.variable.name.value === name)?.defaultValue;
  return preset?.kind === Kind.INT ? Number(preset.value) : Number.NaN;
}
