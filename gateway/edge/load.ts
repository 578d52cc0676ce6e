/** What is being answered at the same time: answers are held in memory, so all of them together have a bound. */
import { clientOf, socketOf } from "./clients.ts";
import { refusal } from "./refusal.ts";

/** So many operations of the largest cost at once, of one client and of all; small ones are as many more. */
const OF_CLIENT = 5;
const OF_ALL = 20;

export class Load {
  readonly #cost: number;
  readonly #header: string | undefined;
  readonly #clients = new Map<string, number>();
  #all = 0;

  constructor(cost: number, clientHeader?: string) {
    this.#cost = cost;
    this.#header = clientHeader;
  }

  /** Counts an operation in until what it gives back is called; refuses it where too much is under way. */
  enter(request: Request, context: unknown, fields: number): () => void {
    const client = clientOf(request, socketOf(context), this.#header);
    const mine = this.#clients.get(client) ?? 0;
    const own = mine + fields > OF_CLIENT * this.#cost;
    if (own || this.#all + fields > OF_ALL * this.#cost) {
      const message = own
        ? "Too much of yours is being answered at the same time: wait for an answer before you ask again."
        : "Too much is being answered at the same time: ask again in a moment, or for less at once.";
      throw refusal("BUSY", own ? 429 : 503, message, { "retry-after": "1" });
    }
    this.#clients.set(client, mine + fields);
    this.#all += fields;
    let left = false;
    return () => {
      if (left) return;
      left = true;
      this.#all -= fields;
      const rest = (this.#clients.get(client) ?? fields) - fields;
      if (rest > 0) this.#clients.set(client, rest);
      else this.#clients.delete(client);
    };
  }
}
