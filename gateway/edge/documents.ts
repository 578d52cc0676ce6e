/** Limits of what a document may hold: tokens while it is parsed; depth, aliases and directives while it is validated; pages and cost when its variables are known. */
import { maxAliasesRule } from "@escape.tech/graphql-armor-max-aliases";
import { maxDepthRule } from "@escape.tech/graphql-armor-max-depth";
import { maxDirectivesRule } from "@escape.tech/graphql-armor-max-directives";
import { maxTokensPlugin } from "@escape.tech/graphql-armor-max-tokens";
import {
  type ASTVisitor,
  type DocumentNode,
  GraphQLError,
  type GraphQLSchema,
  getOperationAST,
  Kind,
  type OperationDefinitionNode,
  type SelectionSetNode,
  type ValidationContext,
} from "graphql";
import type { Plugin } from "graphql-yoga";
import type { GatewayLimits } from "../types.ts";
import { costOf } from "./cost.ts";
import { Load } from "./load.ts";
import { type RefusalCode, refusal } from "./refusal.ts";

const refuse = (code: RefusalCode, message: string) => [
  () => {
    throw refusal(code, 400, message);
  },
];

export function documentLimits(limits: GatewayLimits, clientHeader?: string): Plugin[] {
  return [parsing(), tokens(limits), shapes(limits), costs(limits, new Load(limits.cost, clientHeader))];
}

/** What the parser throws becomes an error with a code: a stack that overflows, too. */
function parsing(): Plugin {
  return {
    onParse:
      () =>
      ({ result, replaceParseResult }) => {
        if (result instanceof RangeError)
          replaceParseResult(
            refusal("DEPTH_LIMIT", 400, "This document nests too deep to be read: ask for less at once."),
          );
        else if (result instanceof GraphQLError && result.extensions.code === undefined)
          replaceParseResult(
            new GraphQLError(result.message, {
              ...(result.source ? { source: result.source } : {}),
              ...(result.positions ? { positions: result.positions } : {}),
              extensions: { code: "PARSE_FAILED", http: { status: 400 } },
            }),
          );
      },
  };
}

/** Stops in the lexer, so that a long or deep document is never built. */
const tokens = ({ tokens: n }: GatewayLimits): Plugin =>
  maxTokensPlugin({
    n,
    onReject: refuse(
      "TOKEN_LIMIT",
      `This document has more than ${n} tokens: use fragments and variables, or split it into several.`,
    ),
  }) as Plugin;

function shapes({ depth, aliases, directives }: GatewayLimits): Plugin {
  const rules = [
    maxDepthRule({
      n: depth,
      flattenFragments: true,
      onReject: refuse("DEPTH_LIMIT", `Selections nest deeper than ${depth}: begin at an inner entity, or split it.`),
    }),
    maxAliasesRule({
      n: aliases,
      onReject: refuse("ALIAS_LIMIT", `More than ${aliases} aliases: use a list with a filter (id_in), or split it.`),
    }),
    maxDirectivesRule({
      n: directives,
      onReject: refuse("DIRECTIVE_LIMIT", `More than ${directives} directives: leave out what is not needed instead.`),
    }),
  ];
  return {
    onValidate({ addValidationRule }) {
      for (const rule of rules) addValidationRule(rule as Parameters<typeof addValidationRule>[0]);
      addValidationRule(introspection);
    },
  };
}

/** Lists of introspection that lead from a type to others. */
const LEADING = new Set(["fields", "inputFields", "interfaces", "possibleTypes"]);

/**
 * Introspection is answered in one go, which no deadline interrupts, and filters of filters are hundreds of thousands of
 * fields. What tools send passes: the schema once, without aliases, and from none of its types on to the fields of another.
 */
function introspection(context: ValidationContext): ASTVisitor {
  const seen = new Set<string>();
  const refused = refusal(
    "DEPTH_LIMIT",
    400,
    "Too much introspection at once: ask for __schema as tools do (once, no aliases), and for the fields of a field's " +
      'type with a __type(name: "...") of its own.',
  );
  // led: whether a list was gone through; undefined outside of introspection. whole: inside of __schema
  const walk = ({ selections }: SelectionSetNode, led: boolean | undefined, whole: boolean): void => {
    for (const selection of selections) {
      if (selection.kind === Kind.FRAGMENT_SPREAD) {
        const name = selection.name.value;
        const key = `${name} ${led} ${whole}`;
        const fragment = seen.has(key) ? undefined : context.getFragment(name);
        seen.add(key);
        if (fragment) walk(fragment.selectionSet, led, whole);
        continue;
      }
      if (selection.kind === Kind.INLINE_FRAGMENT) {
        walk(selection.selectionSet, led, whole);
        continue;
      }
      const name = selection.name.value;
      const inside = whole || name === "__schema";
      if (inside && selection.alias !== undefined) throw refused;
      const leads = led !== undefined && LEADING.has(name);
      if (led && leads) throw refused;
      const begins = name === "__schema" || name === "__type" ? false : led;
      if (selection.selectionSet) walk(selection.selectionSet, leads || begins, inside);
    }
  };
  return {
    OperationDefinition(operation: OperationDefinitionNode) {
      walk(operation.selectionSet, undefined, false);
    },
  };
}

interface Operation {
  readonly schema: GraphQLSchema;
  readonly document: DocumentNode;
  readonly operationName?: string | null | undefined;
  readonly variableValues?: unknown;
}

/** A subscription is answered again with every event: each answer may cost this part of what an operation may. */
const EVENT_PART = 10;

function costs(limits: GatewayLimits, load: Load): Plugin {
  const check = ({ schema, document, operationName, variableValues }: Operation): number => {
    const operation = getOperationAST(document, operationName);
    if (!operation) {
      throw refusal(
        "BAD_REQUEST",
        400,
        operationName
          ? `There is no operation ${JSON.stringify(operationName)} in this document.`
          : "There are several operations in this document: say which with operationName.",
      );
    }
    const variables = (variableValues ?? {}) as Record<string, unknown>;
    const { fields, pages } = costOf(schema, document, operation, variables);
    const page = pages.find(({ size }) => size > limits.pageSize);
    if (page !== undefined) {
      throw refusal(
        "PAGE_LIMIT",
        400,
        `${page.field}(first: ${page.size}) asks for more than ${limits.pageSize} at once: ask for ${limits.pageSize}, ` +
          "order by id, and go on with where: {id_gt: LAST_ID}; /csv has whole tables.",
      );
    }
    const allowed = operation.operation === "subscription" ? Math.ceil(limits.cost / EVENT_PART) : limits.cost;
    if (fields > allowed) {
      throw refusal(
        "COST_LIMIT",
        400,
        `The answer could have ${fields.toLocaleString("en")} fields, ${allowed.toLocaleString("en")} are allowed: ` +
          "give inner lists a smaller first (it is 100 where it is not given), or split the query.",
      );
    }
    return fields;
  };
  return {
    onExecute({ args, executeFn, setExecuteFn }) {
      const fields = check(args as Operation);
      const { request } = args.contextValue as { readonly request: Request };
      setExecuteFn(async (given: unknown) => {
        const leave = load.enter(request, args.contextValue, fields);
        try {
          return await executeFn(given as Parameters<typeof executeFn>[0]);
        } finally {
          leave();
        }
      });
    },
    onSubscribe: ({ args }) => void check(args as Operation),
  };
}
