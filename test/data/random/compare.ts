/** A comparison that goes on after a difference, and says at the end what differs and how often. */
import type { Entities, Entity, Value } from "./subgraph.ts";

export type Expected = Value | bigint | undefined;

const text = (value: Expected): string => {
  if (value === null || value === undefined) return "null";
  if (Array.isArray(value)) return `[${value.map((one) => String(one).toLowerCase()).join(",")}]`;
  return String(value).toLowerCase();
};

export class Comparison {
  readonly #entities: Entities;
  readonly #where: string;
  /** "Type.field" → how many values were compared. */
  readonly compared = new Map<string, number>();
  readonly #differences = new Map<string, { count: number; first: string }>();

  constructor(entities: Entities, where: string) {
    this.#entities = entities;
    this.#where = where;
  }

  all(type: string): ReadonlyMap<string, Entity> {
    return this.#entities.get(type) ?? new Map();
  }

  /** One value; amounts may be given as bigint. */
  same(type: string, id: string, field: string, expected: Expected): void {
    const entity = this.all(type).get(id.toLowerCase());
    if (entity) this.equal(`${type}.${field}`, id, expected, entity[field]);
    else this.differ(`${type}.id`, `${id} is missing`);
  }

  equal(what: string, id: string, expected: Expected, got: Expected): void {
    this.count(what);
    if (text(expected) !== text(got)) this.differ(what, `${id}: expected ${text(expected)}, got ${text(got)}`);
  }

  /** Several fields of one entity. */
  fields(type: string, id: string, expected: Readonly<Record<string, Expected>>): void {
    for (const [field, value] of Object.entries(expected)) this.same(type, id, field, value);
  }

  /** Neither more nor fewer entities than these. */
  ids(type: string, expected: Iterable<string>): void {
    const wanted = new Set([...expected].map((id) => id.toLowerCase()));
    this.count(`${type}.id`);
    for (const id of wanted) if (!this.all(type).has(id)) this.differ(`${type}.id`, `${id} is missing`);
    for (const id of this.all(type).keys()) if (!wanted.has(id)) this.differ(`${type}.id`, `${id} should not be there`);
  }

  differ(what: string, said: string): void {
    const known = this.#differences.get(what);
    if (known) known.count++;
    else this.#differences.set(what, { count: 1, first: said });
  }

  count(what: string): void {
    this.compared.set(what, (this.compared.get(what) ?? 0) + 1);
  }

  get values(): number {
    return [...this.compared.values()].reduce((sum, one) => sum + one, 0);
  }

  /** A line for each kind of difference; none where all is equal. */
  report(): readonly string[] {
    return [...this.#differences].map(
      ([what, { count, first }]) => `${this.#where}: ${what} differs ${count} times, as in ${first}`,
    );
  }
}
