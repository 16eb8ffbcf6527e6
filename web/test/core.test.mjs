import assert from "node:assert/strict";
import { test } from "node:test";
import { createHistory } from "../src/history.js";
import { derived, latest, reads, signal } from "../src/signal.js";
import { createState } from "../src/state.js";

test("acts and undo wait for their turn; undo says when nothing is left", async () => {
  const log = [];
  const api = {
    undo: async () => {
      log.push("undo");
      return { act: "undo draw" };
    },
    redo: async () => {
      throw Object.assign(new Error("nothing"), { status: 404, kind: "UnknownName" });
    },
  };
  const history = createHistory({
    state: createState().history,
    api,
    turned: (change, verb) => log.push(`${verb} ${change.act}`),
  });
  const slow = history.inOrder(async () => {
    await new Promise((done) => setTimeout(done, 10));
    log.push("act");
  });
  const undone = history.undo();
  await slow;
  assert.equal((await undone).act, "undo draw");
  assert.equal(await history.redo(), null);
  assert.deepEqual(log, ["act", "undo", "undo undo draw"]);
});

test("an act that fails lets the next one run; an undo that fails says why", async () => {
  const errors = [];
  const api = {
    undo: async () => {
      throw Object.assign(new Error("changed"), { status: 409, kind: "Conflict" });
    },
  };
  const history = createHistory({ state: createState().history, api, onError: (error) => errors.push(error.message) });
  await assert.rejects(history.inOrder(() => Promise.reject(new Error("no"))));
  assert.equal(await history.undo(), undefined);
  assert.deepEqual(errors, ["changed"]);
});

test("what a job asks of the server belongs to the act in which it was asked for", async () => {
  const caller = { act: "", running: "" };
  const history = createHistory({ state: createState().history, api: {}, caller });
  const seen = [];
  const before = history.inOrder(async () => seen.push(caller.running));
  caller.act = "one";
  const within = history.inOrder(async () => seen.push(caller.running));
  caller.act = "";
  await Promise.all([before, within, history.inOrder(async () => seen.push(caller.running))]);
  assert.equal(seen[1], "one");
  assert.equal(new Set(seen).size, 3);
});

test("a signal tells changes and keeps quiet about none", () => {
  const heard = [];
  const value = signal(1);
  value.on((now) => heard.push(now));
  value.set(1);
  value.set(2);
  assert.deepEqual(heard, [1, 2]);
});

test("of many calls during slow work only the newest runs afterwards", async () => {
  const seen = [];
  const run = latest(async (n) => {
    seen.push(n);
    await new Promise((done) => setTimeout(done, 5));
  });
  run(1);
  run(2);
  run(3);
  await new Promise((done) => setTimeout(done, 40));
  assert.deepEqual(seen, [1, 3]);
});

test("what follows from signals is worked out once for each change, and only when it is asked for", () => {
  const [a, b] = [signal(1), signal(10)];
  let times = 0;
  const sum = derived(() => ((times += 1), a.value + b.value));
  assert.equal(times, 0);
  assert.deepEqual([sum.value, sum.value, times], [11, 11, 1]);
  a.set(2);
  b.set(20);
  assert.deepEqual([times, sum.value, times], [1, 22, 2]);
});

test("what follows from signals follows those that it read last, and tells who listens", () => {
  const [which, a, b] = [signal("a"), signal(1), signal(2)];
  const chosen = derived(() => (which.value === "a" ? a.value : b.value));
  const doubled = derived(() => 2 * chosen.value);
  const heard = [];
  doubled.on(() => heard.push(doubled.value));
  b.set(3);
  which.set("b");
  a.set(5);
  b.set(4);
  assert.deepEqual(heard, [2, 6, 8]);
});

test("reading is noted for the work that reads, not for the work around it", () => {
  const [outer, inner] = [signal(0), signal(0)];
  const [[, within], read] = reads(() => {
    const value = outer.value;
    return [value, reads(() => inner.value)[1]];
  });
  assert.deepEqual([[...within], [...read]], [[inner], [outer]]);
});
