/**
 * One operation of a client: all of it is of one block. The block is the subgraph's head when the operation asks for data
 * first; every root field without a `block` of its own is asked for at its hash, and the chain is read at it.
 */
import {
  type ArgumentNode,
  type DocumentNode,
  type FieldNode,
  GraphQLError,
  type GraphQLResolveInfo,
  Kind,
  type OperationDefinitionNode,
  type SelectionSetNode,
  valueFromASTUntyped,
} from "graphql";
import { type ChainAccess, ChainView, type HeadWatch } from "./chain.ts";
import { gatewayError } from "./errors.ts";
import type { Subgraph, SubgraphHead } from "./subgraph.ts";
import type { BlockRef, Provenance } from "./types.ts";

/** A subgraph that stays where it is for so long while the chain moves on has stopped. */
const STOPPED_MS = 60_000;

/** What all operations share. */
export interface Services extends ChainAccess {
  readonly subgraph: Subgraph;
  readonly heads: HeadWatch;
  readonly watch: ProgressWatch;
  readonly maxLagBlocks: number;
}

/** The block of a root field, as the client wrote it. */
export interface BlockConstraint {
  readonly hash?: string | undefined;
  readonly number?: number | undefined;
  readonly number_gte?: number | undefined;
}

/** Notices when the subgraph stands still. */
export class ProgressWatch {
  #block: string | undefined;
  #since = 0;
  #chainThen = 0;

  /** Seconds for which the subgraph has stood still although the chain went on; 0 while it moves. */
  observe(subgraph: BlockRef, chain: { readonly number: number } | undefined, now = performance.now()): number {
    if (subgraph.hash !== this.#block) {
      this.#block = subgraph.hash;
      this.#since = now;
      this.#chainThen = Math.max(chain?.number ?? 0, subgraph.number);
    }
    const stands = now - this.#since;
    const moved = chain !== undefined && chain.number > Math.max(this.#chainThen, subgraph.number);
    return moved && stands >= STOPPED_MS ? Math.floor(stands / 1000) : 0;
  }
}

export class Operation {
  readonly services: Services;
  readonly #views = new Map<string, ChainView>();
  /** Blocks that root fields name, asked for once however many rows are below them. */
  readonly #named = new Map<string, Promise<BlockRef>>();
  readonly #notes = new Set<string>();
  #pin: Promise<SubgraphHead> | undefined;
  #pinned: SubgraphHead | undefined;
  #mixed = false;
  #chosen: BlockConstraint | undefined;

  constructor(services: Services, pin?: SubgraphHead) {
    this.services = services;
    if (pin !== undefined) this.pinTo(pin);
  }

  /** The block of this operation. */
  pin(): Promise<SubgraphHead> {
    this.#pin ??= this.services.subgraph.head().then((head) => {
      this.#pinned = head;
      return head;
    });
    return this.#pin;
  }

  pinTo(head: SubgraphHead): void {
    this.#pinned = head;
    this.#pin = Promise.resolve(head);
  }

  note(text: string): void {
    this.#notes.add(text);
  }

  /** Takes note of the blocks that the root fields name. */
  choose(blocks: readonly (BlockConstraint | undefined)[]): void {
    const distinct = new Map(blocks.map((block) => [JSON.stringify(block ?? null), block]));
    if (distinct.size > 1) {
      this.#mixed = true;
      this.note("Fields with a `block` argument of their own are of that block, the others of the subgraph's.");
    } else {
      const [block] = [...distinct.values()];
      if (block?.hash !== undefined || block?.number !== undefined) this.#chosen = block;
    }
  }

  /** The chain at the block that the root field above a field is of. */
  async view(info: GraphQLResolveInfo): Promise<ChainView> {
    const block = await this.blockOf(info);
    let view = this.#views.get(block.hash);
    if (view === undefined) {
      view = new ChainView(this.services, block);
      this.#views.set(block.hash, view);
    }
    return view;
  }

  async blockOf(info: GraphQLResolveInfo): Promise<BlockRef> {
    return await this.#block(constraintOf(info));
  }

  async #block(constraint: BlockConstraint | undefined): Promise<BlockRef> {
    if (constraint?.hash === undefined && constraint?.number === undefined) return (await this.pin()).block;
    const at = constraint.hash === undefined ? Number(constraint.number) : { hash: constraint.hash };
    const key = JSON.stringify(at);
    let found = this.#named.get(key);
    if (found === undefined) {
      found = this.#blockAt(at);
      this.#named.set(key, found);
    }
    return await found;
  }

  async #blockAt(at: number | { readonly hash: string }): Promise<BlockRef> {
    const header = await this.services.chain.header(at);
    if (header === undefined)
      throw gatewayError(
        "BLOCK_UNKNOWN",
        `The chain has no block ${typeof at === "number" ? at : at.hash}: ask for one that it has.`,
      );
    return { number: header.number, hash: header.hash, timestamp: header.timestamp };
  }

  /** What the answer says of itself. */
  async provenance(): Promise<Provenance> {
    const { subgraph, heads, watch, maxLagBlocks } = this.services;
    const head = await heads.head();
    const notes = [...this.#notes];
    let consistent = !this.#mixed;
    const used = [...this.#views.values()].filter((view) => view.used);
    for (const { moved, block } of used) {
      if (moved === undefined) continue;
      consistent = false;
      notes.push(
        `The chain's RPC has no state of block ${moved.number} any more: live fields are of block ${block.number}. An archive node would give both of one block.`,
      );
    }
    const pin = this.#pinned;
    const block = pin && (await this.#shown(pin));
    if (pin === undefined) {
      if (this.#pin !== undefined) notes.push("The subgraph does not answer: nothing here is of it.");
    } else {
      notes.push(...(await this.#subgraphNotes(pin, head)));
      if (watch.observe(pin.block, head) > 0)
        notes.push(
          `The subgraph has stopped: no new block for ${watch.observe(pin.block, head)} seconds while the chain went on to block ${head?.number}.`,
        );
    }
    if (head === undefined) notes.push("The chain's RPC does not answer: how far the subgraph is behind is not known.");
    const lag = pin === undefined || head === undefined ? null : Math.max(0, head.number - pin.block.number);
    if (lag !== null && lag > maxLagBlocks)
      notes.push(
        `The subgraph is ${lag} blocks behind the chain: what happened since block ${pin?.block.number} is missing.`,
      );
    const [view] = used;
    if (used.length > 1) {
      consistent = false;
      notes.push("Live fields are of several blocks: each of its root field's.");
    }
    subgraph.lastHead ??= pin;
    return {
      subgraph: pin && block ? { ...block, hasIndexingErrors: pin.hasIndexingErrors } : null,
      chain: view === undefined ? null : view.block,
      lagBlocks: lag,
      consistent,
      notes: [...new Set(notes)],
    };
  }

  /** The head, or the one block that the client chose. */
  async #shown(pin: SubgraphHead): Promise<BlockRef> {
    if (this.#chosen === undefined) return pin.block;
    const { number, hash } = this.#chosen;
    try {
      return await this.#block(this.#chosen);
    } catch (error) {
      // of a block that does not exist nothing was answered
      if (error instanceof GraphQLError || number === undefined || hash !== undefined) return pin.block;
      return { number, hash: "", timestamp: 0 };
    }
  }

  async #subgraphNotes(pin: SubgraphHead, head: BlockRef | undefined): Promise<string[]> {
    const stands = head !== undefined && head.number > pin.block.number;
    // the index-node is asked only where something may be wrong: its answer takes longer than most queries
    const health = pin.hasIndexingErrors || stands ? await this.services.subgraph.health() : undefined;
    if (!pin.hasIndexingErrors && health?.health !== "failed") {
      return health?.health === "unhealthy"
        ? [`The subgraph had an error and goes on without it: ${health.fatalError ?? "graph-node does not say which"}.`]
        : [];
    }
    return [
      `The subgraph has failed at block ${pin.block.number} and indexes nothing more: ${health?.fatalError ?? "graph-node does not say why"}. What is shown is of before that.`,
    ];
  }
}

/** Where the gateway finds the operation in GraphQL's context. */
export interface OperationContext {
  bulkhead?: Operation;
}

export function operationOf(context: unknown): Operation {
  const operation = (context as OperationContext | undefined)?.bulkhead;
  if (operation === undefined) throw new Error("A resolver ran outside of an operation.");
  return operation;
}

/** The `block` argument of the root field that a field is below. */
export function constraintOf(info: GraphQLResolveInfo): BlockConstraint | undefined {
  let path = info.path;
  while (path.prev !== undefined) path = path.prev;
  const field = rootFields(info.operation, info.fragments).find(
    (node) => (node.alias?.value ?? node.name.value) === path.key,
  );
  const argument = field && blockArgument(field);
  if (argument === undefined) return undefined;
  return valueFromASTUntyped(argument.value, info.variableValues) as BlockConstraint | undefined;
}

export function blockArgument(field: FieldNode): ArgumentNode | undefined {
  return field.arguments?.find(({ name }) => name.value === "block");
}

/** The root fields of an operation, those in fragments too. */
export function rootFields(
  operation: OperationDefinitionNode,
  fragments: Readonly<Record<string, { readonly selectionSet: SelectionSetNode }>>,
): FieldNode[] {
  const fields: FieldNode[] = [];
  const walk = ({ selections }: SelectionSetNode): void => {
    for (const selection of selections) {
      if (selection.kind === Kind.FIELD) fields.push(selection);
      else if (selection.kind === Kind.INLINE_FRAGMENT) walk(selection.selectionSet);
      else {
        const fragment = fragments[selection.name.value];
        if (fragment) walk(fragment.selectionSet);
      }
    }
  };
  walk(operation.selectionSet);
  return fields;
}

export function fragmentsOf(document: DocumentNode): Record<string, { readonly selectionSet: SelectionSetNode }> {
  return Object.fromEntries(
    document.definitions.flatMap((node) => (node.kind === Kind.FRAGMENT_DEFINITION ? [[node.name.value, node]] : [])),
  );
}
