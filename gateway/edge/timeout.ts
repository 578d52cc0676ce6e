/** An operation that takes too long is given up, with everything that it has asked for elsewhere. */
import type { Plugin } from "graphql-yoga";
import { refusal } from "./refusal.ts";

interface Cancellable {
  readonly signal?: AbortSignal | undefined;
}

/** The signal goes to the executor, and from there to every request of graph-node and of the chain (`info.signal`). */
export function timeout(milliseconds: number): Plugin {
  return {
    onExecute({ executeFn, setExecuteFn }) {
      setExecuteFn(async (given: unknown) => {
        const args = given as Cancellable & Parameters<typeof executeFn>[0];
        const controller = new AbortController();
        let timer: NodeJS.Timeout | undefined;
        const late = new Promise<never>((_, fail) => {
          timer = setTimeout(() => {
            fail(
              refusal(
                "TIMEOUT",
                504,
                `There was no answer within ${milliseconds / 1000} s: ask for less at once, or try again later.`,
              ),
            );
            controller.abort(new DOMException("given up", "TimeoutError"));
          }, milliseconds);
        });
        const signal =
          args.signal === undefined ? controller.signal : AbortSignal.any([args.signal, controller.signal]);
        try {
          return await Promise.race([executeFn({ ...args, signal } as typeof args), late]);
        } finally {
          clearTimeout(timer);
        }
      });
    },
  };
}
