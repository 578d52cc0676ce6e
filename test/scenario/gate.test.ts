import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, it } from "node:test";
import { type Gate, startGate } from "../../scenario/gate.ts";

describe("the gate between keeper and chain", () => {
  let chain: Server;
  let gate: Gate;
  let asked: string[] = [];
  let answer: () => void = () => {};
  before(async () => {
    chain = createServer(async (request, response) => {
      let body = "";
      for await (const chunk of request) body += chunk;
      asked.push(body);
      if (body === "slow") await new Promise<void>((done) => (answer = done));
      response.end(`answer to ${body}`);
    });
    await new Promise<void>((done) => chain.listen(0, "127.0.0.1", done));
    gate = await startGate(`http://127.0.0.1:${(chain.address() as AddressInfo).port}`);
  });
  after(async () => {
    await gate.stop();
    chain.closeAllConnections();
    chain.close();
  });
  const ask = async (body: string) => (await fetch(gate.url, { method: "POST", body })).text();
  const pause = () => new Promise((done) => setTimeout(done, 30));

  it("lets nothing through while it is closed, and all that waited when it opens, once each", async () => {
    const answers = Promise.all([ask("a"), ask("b")]);
    await pause();
    assert.deepEqual(asked, []);
    gate.open();
    assert.deepEqual(await answers, ["answer to a", "answer to b"]);
    assert.deepEqual(asked.sort(), ["a", "b"]);
    assert.equal(await ask("c"), "answer to c");
  });

  it("is closed only when what had passed is answered, and then for everything", async () => {
    gate.open();
    asked = [];
    const slow = ask("slow");
    await pause();
    let closed = false;
    const closing = gate.close().then(() => {
      closed = true;
    });
    const late = ask("late");
    await pause();
    assert.equal(closed, false);
    answer();
    await closing;
    assert.equal(await slow, "answer to slow");
    assert.deepEqual(asked, ["slow"]);
    gate.open();
    assert.equal(await late, "answer to late");
  });
});
